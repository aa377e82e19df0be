package wasm

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/experimental"
	"github.com/tetratelabs/wazero/experimental/sysfs"
	"github.com/tetratelabs/wazero/sys"

	"github.com/nexara/nexara/node/driver"
)

// Why the driver ended a run: the cause of its context.
var (
	errOutOfTime   = errors.New("wasm: out of time")
	errLogOverflow = errors.New("wasm: log overflow")
	errStopped     = errors.New("wasm: stopped")
)

// trapExitCode is 128 + SIGABRT: the module did what WASM forbids.
const trapExitCode = 134

// run is one execution of a module.
type run struct {
	driver *Driver
	spec   driver.Spec
	module *module
	dir    string

	ctx    context.Context // its cause says why the driver ended the run
	cancel context.CancelCauseFunc
	quota  *quota
	log    *cappedLog
	memory *memory
	inputs *inputs
	out    *folder
	tmp    *folder

	// Only the run's own goroutine touches these.
	share share
	turn  bool      // whether it has a turn
	since time.Time // since when

	started time.Time
	done    chan struct{} // closed when outcome and err are final
	outcome driver.Outcome
	err     error

	removing sync.Mutex
}

var _ driver.Run = (*run)(nil)

func newRun(d *Driver, spec driver.Spec, mod *module) *run {
	ctx, cancel := context.WithCancelCause(context.Background())
	return &run{
		driver: d, spec: spec, module: mod, dir: filepath.Join(d.cfg.Dir, "runs", spec.ID),
		ctx: ctx, cancel: cancel, quota: newQuota(spec.Limits.DiskMiB << 20), done: make(chan struct{}),
	}
}

// open makes the run's folder, log, memory and mounts.
func (r *run) open() error {
	err := os.Mkdir(r.dir, 0o700)
	if errors.Is(err, os.ErrExist) {
		// Left by a process that died: nothing runs there, or it would be in the table.
		if err = os.RemoveAll(r.dir); err == nil {
			err = os.Mkdir(r.dir, 0o700)
		}
	}
	if err != nil {
		return hostFault(err)
	}
	file, err := os.OpenFile(r.LogPath(), os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return hostFault(err)
	}
	r.log = &cappedLog{file: file, left: r.spec.Limits.LogBytes, full: func() { r.cancel(errLogOverflow) }}
	if r.inputs, err = openInputs(r.spec.Inputs, r.quota); err != nil {
		return err
	}
	if r.out, err = r.mkroot(r.OutputDir()); err != nil {
		return hostFault(err)
	}
	if r.tmp, err = r.mkroot(filepath.Join(r.dir, "tmp")); err != nil {
		return hostFault(err)
	}
	if r.memory, err = newMemory(uint64(r.spec.Limits.MemoryMiB) << 20); err != nil {
		return hostFault(err)
	}
	return nil
}

func (r *run) mkroot(dir string) (*folder, error) {
	if err := os.Mkdir(dir, 0o700); err != nil {
		return nil, err
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, err
	}
	return &folder{root: root, quota: r.quota, writable: true}, nil
}

// hostFault classes a failure of the host's.
func hostFault(err error) error {
	if errors.Is(err, syscall.ENOSPC) {
		return fmt.Errorf("%w: %w", driver.ErrNoSpace, err)
	}
	return fmt.Errorf("%w: %w", driver.ErrFault, err)
}

// execute runs the module to its end and settles the outcome.
func (r *run) execute() {
	r.started = time.Now()
	timer := time.AfterFunc(time.Duration(r.spec.Limits.WallSeconds)*time.Second, func() { r.cancel(errOutOfTime) })
	// One thread for the whole run: its CPU clock is the run's meter.
	runtime.LockOSThread()
	before := threadTime()
	r.share = newShare(r.spec.Limits.CPUMilli, r.started, before)
	r.enter()
	err := r.call()
	r.leave()
	cpu := threadTime() - before
	runtime.UnlockOSThread()
	timer.Stop()
	finished := time.Now()
	peak, byteSeconds, refused := r.memory.close()
	r.closeFiles()
	r.outcome = driver.Outcome{
		Started: r.started, Finished: finished,
		Usage: driver.Usage{
			CPUNanos: int64(cpu), MemoryByteSeconds: byteSeconds, PeakMemory: peak, Wall: finished.Sub(r.started),
		},
	}
	r.outcome.Reason, r.outcome.ExitCode, r.err = r.judge(err, refused)
	if r.err != nil {
		r.outcome = driver.Outcome{}
	}
	r.cancel(errStopped)
	r.driver.release(r.module)
	close(r.done)
}

// errTooSmall: the module starts with more memory than the run may have.
var errTooSmall = errors.New("wasm: memory limit below the module's initial memory")

// engineError is a panic of the engine itself: the guest is not charged for it.
type engineError struct{ value any }

func (p engineError) Error() string { return fmt.Sprint("wasm: engine: ", p.value) }

func (r *run) call() (err error) {
	defer func() {
		if v := recover(); v != nil {
			r.driver.cfg.Log.Error("engine panic", "run", r.spec.ID, "panic", v, "stack", string(debug.Stack()))
			err = engineError{v}
		}
	}()
	if uint64(r.module.minPages)*wasmPage > r.memory.limit {
		return errTooSmall
	}
	root := &tree{in: r.inputs, out: r.out, tmp: r.tmp}
	cfg := wazero.NewModuleConfig().WithName("").
		WithFSConfig(wazero.NewFSConfig().(sysfs.FSConfig).WithSysFSMount(root, "/")).
		WithStdin(strings.NewReader("")).WithStdout(r.log).WithStderr(r.log).
		WithArgs(append([]string{"main"}, r.spec.Args...)...).
		WithSysWalltime().WithSysNanotime().WithRandSource(rand.Reader).WithNanosleep(r.sleep)
	r.memory.tick, r.memory.own = r.tick, uint64(r.module.maxPages)*wasmPage
	workDir := r.spec.WorkDir
	if workDir == "" {
		workDir = "/"
	}
	cfg = cfg.WithEnv("PWD", workDir)
	for _, e := range r.spec.Env {
		name, value, _ := strings.Cut(e, "=")
		cfg = cfg.WithEnv(name, value)
	}
	mod, err := r.driver.runtime.InstantiateModule(experimental.WithMemoryAllocator(r.ctx, r.memory), r.module.compiled, cfg)
	if mod != nil {
		_ = mod.Close(context.Background())
	}
	return err
}

// sleep lets a guest sleep without outliving its run.
func (r *run) sleep(nanos int64) { r.aside(func() { r.wait(time.Duration(nanos)) }) }

// alive ends the guest's code when the run is to end.
func (r *run) alive() {
	if r.ctx.Err() != nil {
		panic(sys.NewExitError(sys.ExitCodeContextCanceled))
	}
}

// judge names how the call ended.
func (r *run) judge(err error, memoryRefused bool) (driver.Reason, int, error) {
	diskFull, fault := r.quota.state()
	if fault == nil {
		fault = r.log.err
	}
	var exit *sys.ExitError
	code := 0
	switch {
	case err == nil:
	case errors.Is(err, errTooSmall):
		return driver.OutOfMemory, driver.KilledExitCode, nil
	case errors.As(err, &engineError{}):
		return 0, 0, fmt.Errorf("%w: %w", driver.ErrFault, err)
	case errors.As(err, &exit) && exit.ExitCode() == sys.ExitCodeContextCanceled && r.ctx.Err() != nil:
		return r.ended()
	case errors.As(err, &exit):
		code = int(exit.ExitCode())
	default:
		// A trap; its text tells the requester which.
		_, _ = fmt.Fprintf(r.log, "%.4096s\n", err)
		code = trapExitCode
	}
	switch {
	case errors.Is(context.Cause(r.ctx), errLogOverflow):
		// The guest may have ended itself on the failed write.
		return driver.LogOverflow, driver.KilledExitCode, nil
	case code == 0:
		return driver.Exited, 0, nil
	case fault != nil:
		// It failed, and the host had failed it before.
		return 0, 0, hostFault(fault)
	case memoryRefused:
		return driver.OutOfMemory, code, nil
	case diskFull:
		return driver.OutOfDisk, code, nil
	}
	return driver.Exited, code, nil
}

// ended names why the driver ended the run.
func (r *run) ended() (driver.Reason, int, error) {
	switch cause := context.Cause(r.ctx); {
	case errors.Is(cause, errOutOfTime):
		return driver.OutOfTime, driver.KilledExitCode, nil
	case errors.Is(cause, errLogOverflow):
		return driver.LogOverflow, driver.KilledExitCode, nil
	case errors.Is(cause, errStopped):
		return driver.Stopped, driver.KilledExitCode, nil
	default:
		return 0, 0, fmt.Errorf("%w: %w", driver.ErrFault, cause)
	}
}

func (r *run) closeFiles() {
	for _, f := range []*folder{r.out, r.tmp} {
		if f != nil {
			_ = f.root.Close()
		}
	}
	if r.inputs != nil {
		r.inputs.close()
	}
	if r.log != nil {
		_ = r.log.file.Close()
	}
}

// abandon undoes open after it failed, and lets go whoever found the run meanwhile.
func (r *run) abandon(cause error) error {
	defer close(r.done)
	r.err = cause
	r.cancel(errStopped)
	r.closeFiles()
	if r.memory != nil {
		r.memory.close()
	}
	return os.RemoveAll(r.dir)
}

// ID is the Spec's.
func (r *run) ID() string { return r.spec.ID }

// LogPath is the log's host file.
func (r *run) LogPath() string { return filepath.Join(r.dir, "log") }

// OutputDir is the folder behind /out.
func (r *run) OutputDir() string { return filepath.Join(r.dir, "out") }

// Wait blocks until the end.
func (r *run) Wait(ctx context.Context) (driver.Outcome, error) {
	select {
	case <-r.done:
		return r.outcome, r.err
	case <-ctx.Done():
		return driver.Outcome{}, ctx.Err()
	}
}

// Stop ends the run at its next tick or sleep. There is no grace: a guest
// has no signals to react to.
func (r *run) Stop(ctx context.Context) error {
	r.cancel(errStopped)
	select {
	case <-r.done:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Remove stops the run and deletes its folder.
func (r *run) Remove(ctx context.Context) error {
	if err := r.Stop(ctx); err != nil {
		return err
	}
	r.removing.Lock()
	defer r.removing.Unlock()
	if err := os.RemoveAll(r.dir); err != nil {
		return fmt.Errorf("%w: %w", driver.ErrFault, err)
	}
	r.driver.forget(r)
	return nil
}
