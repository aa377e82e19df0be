package containerd

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/containerd/containerd/api/services/tasks/v1"
	"github.com/containerd/containerd/api/types"
	"github.com/containerd/errdefs"
	"github.com/containerd/errdefs/pkg/errgrpc"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"golang.org/x/sys/unix"

	"github.com/nexara/nexara/node/driver"
)

// tick is how often a running container is looked at: its log's size and its memory.
const tick = 200 * time.Millisecond

const runtimeName = "io.containerd.runc.v2"

// run is one container.
type run struct {
	driver *Driver
	spec   driver.Spec
	image  string // digest
	config ocispec.ImageConfig
	rootfs []*types.Mount
	dir    string
	group  string // cgroup

	started time.Time
	gauge   gauge

	mu    sync.Mutex
	cause driver.Reason // why the driver killed it, 0 if it did not

	settle  sync.Once
	done    chan struct{} // closed when outcome and err are final
	outcome driver.Outcome
	err     error

	removing sync.Mutex
}

var _ driver.Run = (*run)(nil)

func newRun(d *Driver, spec driver.Spec, img *image) *run {
	r := &run{
		driver: d, spec: spec, dir: filepath.Join(d.cfg.Dir, "runs", spec.ID),
		group: d.cgroups.path(d.cfg.Namespace, spec.ID), done: make(chan struct{}),
	}
	if img != nil {
		r.image, r.config, r.rootfs = img.digest, img.config, img.rootfs
	}
	return r
}

// at is a path in the run's folder.
func (r *run) at(names ...string) string {
	return filepath.Join(append([]string{r.dir}, names...)...)
}

// exit is what the runtime said about a program's end.
type exit struct {
	code int
	at   time.Time
	err  error
}

// watch follows the container to its end, or until ctx ends with the driver.
func (r *run) watch(ctx context.Context) {
	exits := make(chan exit, 1)
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	go func() { exits <- r.awaitExit(ctx) }()
	limit := r.started.Add(time.Duration(r.spec.Limits.WallSeconds) * time.Second)
	timer := time.NewTimer(time.Until(limit))
	defer timer.Stop()
	ticker := time.NewTicker(tick)
	defer ticker.Stop()
	for {
		select {
		case e := <-exits:
			if ctx.Err() != nil && e.err != nil {
				r.finish(driver.Outcome{}, driver.ErrClosed)
				return
			}
			r.conclude(ctx, e)
			return
		case <-timer.C:
			r.kill(ctx, driver.OutOfTime, unix.SIGKILL)
		case <-ticker.C:
			if s, ok := r.driver.cgroups.read(r.group); ok {
				s.peak = min(s.peak, memoryLimit(r.driver.cfg, r.spec.Limits))
				s.memory = min(s.memory, s.peak)
				r.gauge.sample(time.Now(), s)
			}
			if r.logSize() > r.spec.Limits.LogBytes {
				r.kill(ctx, driver.LogOverflow, unix.SIGKILL)
			} else if r.killedFor() != 0 && r.killedFor() != driver.Stopped {
				r.kill(ctx, r.killedFor(), unix.SIGKILL) // an earlier call may have failed
			}
		}
	}
}

// awaitExit asks the runtime, and asks again while it does not answer: it may be
// restarting, and its shims keep the programs alive meanwhile.
func (r *run) awaitExit(ctx context.Context) exit {
	var silent time.Time
	for {
		w, err := r.driver.client.TaskService().Wait(ctx, &tasks.WaitRequest{ContainerID: r.spec.ID})
		if err == nil {
			return exit{code: int(w.ExitStatus), at: w.ExitedAt.AsTime()}
		}
		if ctx.Err() != nil {
			return exit{err: ctx.Err()}
		}
		err = errgrpc.ToNative(err)
		if errdefs.IsNotFound(err) {
			return exit{err: fmt.Errorf("%w: the runtime lost the program: %w", driver.ErrFault, err)}
		}
		if silent.IsZero() {
			silent = time.Now()
		}
		if time.Since(silent) > r.driver.cfg.RuntimeGrace {
			return exit{err: fmt.Errorf("%w: the runtime does not answer: %w", driver.ErrFault, err)}
		}
		select {
		case <-ctx.Done():
		case <-time.After(tick):
		}
	}
}

// killedFor is why the driver killed the run, 0 if it did not.
func (r *run) killedFor() driver.Reason {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.cause
}

// kill signals all processes. The first cause stays: it is why the program ended.
func (r *run) kill(ctx context.Context, cause driver.Reason, signal unix.Signal) {
	r.mu.Lock()
	if r.cause == 0 {
		r.cause = cause
	}
	r.mu.Unlock()
	ctx, cancel := r.driver.call(ctx)
	defer cancel()
	_, err := r.driver.client.TaskService().Kill(ctx, &tasks.KillRequest{
		ContainerID: r.spec.ID, Signal: uint32(signal), All: signal == unix.SIGKILL,
	})
	if err = errgrpc.ToNative(err); err != nil && !errdefs.IsNotFound(err) && ctx.Err() == nil {
		r.driver.cfg.Log.Warn("kill failed", "run", r.spec.ID, "error", err)
	}
}

// conclude judges the end while the figures are still there, keeps the outcome on
// disk, and then lets the runtime forget the program, which also completes the log.
func (r *run) conclude(ctx context.Context, e exit) {
	if e.err != nil {
		r.finish(driver.Outcome{}, e.err)
		return
	}
	s, ok := r.driver.cgroups.read(r.group)
	if !ok {
		r.finish(driver.Outcome{}, fmt.Errorf("%w: %s ended unmetered", driver.ErrFault, r.spec.ID))
		return
	}
	ctx, cancel := r.driver.call(context.WithoutCancel(ctx))
	defer cancel()
	full := r.full()
	// A program may have printed its last megabyte just before it ended; the log is
	// complete once the task is deleted.
	o := r.judge(e, s, full, r.logSize())
	if err := r.saveOutcome(o); err != nil {
		r.finish(driver.Outcome{}, err)
		return
	}
	if _, err := r.driver.client.TaskService().Delete(ctx, &tasks.DeleteTaskRequest{ContainerID: r.spec.ID}); err != nil {
		if err = errgrpc.ToNative(err); !errdefs.IsNotFound(err) {
			r.driver.cfg.Log.Warn("task not deleted", "run", r.spec.ID, "error", err)
		}
	}
	if r.logSize() > r.spec.Limits.LogBytes {
		if o.Reason == driver.Exited || o.Reason == driver.LogOverflow {
			o.Reason = driver.LogOverflow
			if err := r.saveOutcome(o); err != nil {
				r.finish(driver.Outcome{}, err)
				return
			}
		}
		_ = os.Truncate(r.LogPath(), r.spec.Limits.LogBytes)
	}
	r.finish(o, nil)
}

// judge names the end from what is known about it. It uses only facts that
// outlive the daemon, plus the cause, so that a recovered run is judged alike.
func (r *run) judge(e exit, s stats, full bool, logged int64) driver.Outcome {
	e.at = latest(e.at, r.started)
	o := driver.Outcome{
		Reason: driver.Exited, ExitCode: e.code, Started: r.started, Finished: e.at,
		Usage: driver.Usage{CPUNanos: s.cpuNanos, Wall: e.at.Sub(r.started)},
	}
	// The kernel may charge a page beyond the limit before it acts; that is not the
	// requester's to pay.
	s.peak = min(s.peak, memoryLimit(r.driver.cfg, r.spec.Limits))
	s.memory = min(s.memory, s.peak)
	o.Usage.PeakMemory, o.Usage.MemoryByteSeconds = r.gauge.end(e.at, s)
	killed := e.code == driver.KilledExitCode
	cause := r.killedFor()
	limit := r.started.Add(time.Duration(r.spec.Limits.WallSeconds) * time.Second)
	switch {
	case cause == driver.Stopped, cause != 0 && killed:
		o.Reason = cause
	case logged > r.spec.Limits.LogBytes:
		o.Reason = driver.LogOverflow
	case e.code == 0:
	case s.oomKills > 0:
		o.Reason = driver.OutOfMemory
	case killed && !e.at.Before(limit):
		o.Reason = driver.OutOfTime // killed by an earlier process that did not live to say so
	case s.pids > 0:
		o.Reason = driver.OutOfPIDs
	case full:
		o.Reason = driver.OutOfDisk
	}
	return o
}

func latest(a, b time.Time) time.Time {
	if a.Before(b) {
		return b
	}
	return a
}

// finish makes the end final; only the first call counts.
func (r *run) finish(o driver.Outcome, err error) {
	r.settle.Do(func() {
		r.outcome, r.err = o, err
		close(r.done)
		r.driver.release(r.image)
	})
}

func (r *run) ended() bool {
	select {
	case <-r.done:
		return true
	default:
		return false
	}
}

// ID is the Spec's.
func (r *run) ID() string { return r.spec.ID }

// LogPath is the log's host file.
func (r *run) LogPath() string { return r.at(logDir, "log") }

// OutputDir is the folder behind /out.
func (r *run) OutputDir() string { return r.at(spaceDir, "out") }

// Wait blocks until the end.
func (r *run) Wait(ctx context.Context) (driver.Outcome, error) {
	select {
	case <-r.done:
		return r.outcome, r.err
	case <-ctx.Done():
		return driver.Outcome{}, ctx.Err()
	}
}

// Stop sends SIGTERM and, after the grace, SIGKILL.
func (r *run) Stop(ctx context.Context) error {
	if r.ended() {
		return nil
	}
	r.kill(ctx, driver.Stopped, unix.SIGTERM)
	grace := time.NewTimer(r.driver.cfg.StopGrace)
	defer grace.Stop()
	select {
	case <-r.done:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	case <-grace.C:
	}
	return r.end(ctx)
}

// end kills until the program is gone.
func (r *run) end(ctx context.Context) error {
	for !r.ended() {
		r.kill(ctx, driver.Stopped, unix.SIGKILL)
		again := time.NewTimer(time.Second)
		select {
		case <-r.done:
		case <-again.C:
		case <-ctx.Done():
			again.Stop()
			return ctx.Err()
		}
		again.Stop()
	}
	return nil
}

// Remove kills what still runs and deletes every trace.
func (r *run) Remove(ctx context.Context) error {
	if err := r.end(ctx); err != nil {
		return err
	}
	r.removing.Lock()
	defer r.removing.Unlock()
	if known := r.driver.known(r.spec.ID); known != nil && known != r {
		return nil // removed before, and the ID belongs to another run now
	}
	if err := r.driver.purge(ctx, r.spec.ID); err != nil {
		return err
	}
	r.driver.forget(r)
	return nil
}
