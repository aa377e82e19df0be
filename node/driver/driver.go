// Package driver is the contract between the daemon and whatever executes a
// Run: a container runtime, a WASM engine, later a sandbox or a VM. It holds the
// words (Spec, Run, Outcome, Usage, Capabilities), the typed errors, and the safe
// collection of outputs. It executes nothing itself and knows no chain, no lease
// and no price. Place in the flow: node/lease turns a Lease into one Spec per
// Shard, a Driver turns the Spec into a Run, node/result turns the Outcome and
// the collected outputs into a Result.
//
// # Life cycle
//
//	Prepare(image) -> Start(spec) -> Wait -> (Collect, read the log) -> Remove
//
// Prepare validates and unpacks or compiles an image once per content digest;
// later calls find it. Start calls it too, so calling it ahead only moves the
// cost. Start returns when the program is running, or with an error that says
// why nothing runs; after such an error nothing of the run is left behind.
//
// A Run ends by itself, by a limit, or by Stop. Whatever the program did to
// itself, hostile acts included, is an Outcome with a Reason and is metered and
// charged. Whatever went wrong with the machinery is an error: the run is not
// charged and may be tried again elsewhere. Nothing else is reported: a caller
// that sees a nil error may charge.
//
// After Wait the output folder and the log stay readable until Remove, which is
// idempotent, may be called at any time (it stops a run that still runs), and
// leaves no mount, file, process or runtime record. A caller must copy what it
// wants to keep before Remove.
//
// # What the guest sees
//
//	/in    its inputs, read-only, at the guest paths of the Spec
//	/out   writable, collected after the run
//	/tmp   writable scratch, thrown away; shares DiskMiB with /out
//
// Everything else is read-only. Standard output and standard error go into one
// log file. Standard input is empty. The program runs without privileges and,
// unless the Spec and the Capabilities both allow it, without a network.
//
// # Limits
//
// Writing beyond DiskMiB, starting a process beyond PIDs and allocating beyond
// MemoryMiB fail inside the guest. A program that copes and exits with 0 has
// Reason Exited; one that then fails has the Reason of the limit it met. Time
// and log limits kill.
//
// # After a restart of the daemon
//
// A driver whose runs outlive the daemon implements Recoverer for real. One whose
// runs die with it answers ErrNotFound, and the caller starts afresh. Every driver
// is a Sweeper: at start the daemon names the runs it still knows, and the rest go.
package driver

import (
	"context"
	"io"
	"time"
)

// Runtime names, as offers and jobs spell them.
const (
	// RuntimeContainer runs OCI images.
	RuntimeContainer = "container"
	// RuntimeWASM runs WASM modules for wasip1.
	RuntimeWASM = "wasm"
)

// Folders of the guest.
const (
	// InputRoot holds the inputs, read-only.
	InputRoot = "/in"
	// OutputRoot is collected after the run.
	OutputRoot = "/out"
	// ScratchRoot is thrown away after the run.
	ScratchRoot = "/tmp"
)

// Driver executes runs of one runtime. All methods are safe for concurrent use.
type Driver interface {
	// Name is the runtime this driver executes: RuntimeContainer or RuntimeWASM.
	Name() string
	// Capabilities says what this driver can enforce on this machine now.
	// ErrUnavailable means that it can run nothing at all.
	Capabilities(ctx context.Context) (Capabilities, error)
	// Prepare makes the image at a host path ready to run, once per digest.
	// ErrInvalidImage and ErrImageTooLarge are the requester's fault, other errors ours.
	Prepare(ctx context.Context, image string) (ImageInfo, error)
	// Start begins a run. ErrInvalidSpec, ErrUnsupported, ErrInvalidImage and
	// ErrImageTooLarge will not go away by trying again; ErrExists means that the
	// ID is in use; ErrNoSpace, ErrUnavailable and ErrFault are ours.
	// ctx bounds starting only: the run goes on when it is cancelled later.
	Start(ctx context.Context, spec Spec) (Run, error)
	// Close releases what the driver holds in this process. Runs that cannot
	// outlive the process are stopped; others go on and can be recovered.
	io.Closer
}

// Recoverer finds runs again that an earlier process started.
type Recoverer interface {
	// Recover attaches to a run by ID, running or ended but not removed.
	// ErrNotFound means that there is nothing to attach to: no program of that
	// ID runs, and what may be left of it goes with Sweep.
	Recover(ctx context.Context, id string) (Run, error)
}

// Sweeper removes what nobody knows any more.
type Sweeper interface {
	// Sweep removes every run of this driver, files and records included, whose
	// ID is not in keep, and returns the IDs it removed. Call it before the first
	// Start of a process. It goes on after a failure and joins the errors.
	Sweep(ctx context.Context, keep []string) ([]string, error)
}

// Run is one execution. All methods are safe for concurrent use.
type Run interface {
	// ID is the Spec's.
	ID() string
	// Wait blocks until the run has ended and gives the same answer each time.
	// ErrFault means that the machinery failed: the outcome is worthless. An error
	// of ctx means only that this call gave up.
	Wait(ctx context.Context) (Outcome, error)
	// Stop asks the program to end, kills it after a grace, and returns when it
	// has ended. Stopping an ended run does nothing.
	Stop(ctx context.Context) error
	// LogPath is a host file that holds at most LogBytes (rounded up to a memory
	// page) of output and can be read while it grows.
	LogPath() string
	// OutputDir is the host folder behind /out. Read it after Wait, and only
	// through Collect: its content is hostile.
	OutputDir() string
	// Remove deletes every trace of the run.
	Remove(ctx context.Context) error
}

// Capabilities is what a driver can promise, as data. A zero limit means that the
// driver offers none of that resource.
type Capabilities struct {
	// Runtime is the driver's name.
	Runtime string
	// Arch is the architecture of images in Go's spelling; empty when images are portable.
	Arch string
	// CPUMilli is the most CPU one run can use, in thousandths of a core.
	CPUMilli int64
	// CPUFractions is whether less than a core is enforced. If not, a run can occupy
	// a whole core, and the driver is not offered: the market sells thousandths.
	CPUFractions bool
	// MemoryMiB is the largest memory limit that is enforced.
	MemoryMiB int64
	// DiskMiB is the largest writable space that is enforced.
	DiskMiB int64
	// DiskInMemoryMiB is the largest DiskMiB that is kept in memory, on top of
	// MemoryMiB: whoever hands out the machine's memory has to add it.
	DiskInMemoryMiB int64
	// RunMemoryMiB is what each run takes of the machine's memory beyond all its
	// limits, at most. LogInMemory is whether its log is kept there too.
	RunMemoryMiB int64
	LogInMemory  bool
	// Processes is whether the guest can start processes; their number is then limited.
	Processes bool
	// Network is whether a run can be given a network without the host's.
	Network bool
	// Recovers is whether runs outlive the daemon.
	Recovers bool
	// Facts are for people (doctor, logs): versions, mechanisms, reasons.
	Facts map[string]string
}

// ImageInfo describes a prepared image.
type ImageInfo struct {
	// Digest is "sha256:" and 64 hex digits: of the platform's manifest for a
	// container, of the file for WASM.
	Digest string
	// Bytes is the size as fetched, UnpackedBytes the size on disk when ready.
	Bytes, UnpackedBytes int64
	// Cached is whether nothing had to be done.
	Cached bool
}

// Reason is how a run ended by its own doing or by the requester's.
type Reason uint8

// Reasons. The numbers are stable: results carry them.
const (
	// Exited: the program ended by itself; see ExitCode.
	Exited Reason = 1
	// OutOfMemory: it failed after its memory limit had been enforced.
	OutOfMemory Reason = 2
	// OutOfTime: killed at WallSeconds.
	OutOfTime Reason = 3
	// OutOfDisk: it failed after its writable space had been full.
	OutOfDisk Reason = 4
	// OutOfPIDs: it failed after it had been refused a process.
	OutOfPIDs Reason = 5
	// LogOverflow: killed because its output exceeded LogBytes. What fitted is kept.
	LogOverflow Reason = 6
	// Stopped: ended by Stop or Remove.
	Stopped Reason = 7
)

var reasonNames = [...]string{
	Exited: "exited", OutOfMemory: "out-of-memory", OutOfTime: "out-of-time", OutOfDisk: "out-of-disk",
	OutOfPIDs: "out-of-pids", LogOverflow: "log-overflow", Stopped: "stopped",
}

// String is the reason's name in events, logs and manifests.
func (r Reason) String() string {
	if int(r) < len(reasonNames) && reasonNames[r] != "" {
		return reasonNames[r]
	}
	return "unknown"
}

// KilledExitCode is the exit code of a program that was ended by a signal it did
// not choose (128 + SIGKILL), whatever the driver.
const KilledExitCode = 137

// Outcome is how a run ended.
type Outcome struct {
	Reason Reason
	// ExitCode is the program's own when Reason is Exited, else informative.
	ExitCode int
	Usage    Usage
	// Started is when the program began, Finished when it was gone, by the host's clock.
	Started, Finished time.Time
}

// Succeeded is whether the program ended by itself with 0.
func (o Outcome) Succeeded() bool { return o.Reason == Exited && o.ExitCode == 0 }

// Usage is what a run consumed.
type Usage struct {
	// CPUNanos is CPU time of all its processes, user and system.
	CPUNanos int64
	// MemoryByteSeconds integrates memory in use over time. Samples are a
	// fraction of a second apart; a run shorter than that is peak times wall.
	MemoryByteSeconds int64
	// PeakMemory is the most memory in use, in bytes.
	PeakMemory int64
	// Wall is Finished - Started.
	Wall time.Duration
	// BytesIn and BytesOut crossed the run's network. Fetching inputs and
	// delivering outputs is the daemon's traffic and is not counted here.
	BytesIn, BytesOut int64
}
