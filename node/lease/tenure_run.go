package lease

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/nexara/nexara/node/driver"
	"github.com/nexara/nexara/node/store"
)

// stopTimeout bounds ending and removing one run.
const stopTimeout = time.Minute

// runAll runs every shard that has not ended. The acknowledgement is sent beside
// it: the data is on disk, and nothing here waits for the chain.
func (t *tenure) runAll() (Event, error) {
	t.mu.Lock()
	acked := t.acked
	t.mu.Unlock()
	if !acked {
		t.r.outbox.acknowledge(t.id)
	}
	var wg sync.WaitGroup
	for i, s := range t.shards {
		if s.fate == fateOpen {
			wg.Go(func() { t.runShard(i) })
		}
	}
	wg.Wait()
	if t.work.Err() != nil {
		return 0, t.work.Err()
	}
	return Ended, nil
}

// runShard runs one shard to its fate. A fault of this machine is tried again a
// few times; what the program does to itself is its result.
func (t *tenure) runShard(i int) {
	pause := t.r.pauses()
	for try := 0; ; try++ {
		err := t.runOnce(i, try)
		switch {
		case err == nil || t.work.Err() != nil:
			return
		case errors.Is(err, driver.ErrInvalidSpec), errors.Is(err, driver.ErrUnsupported),
			errors.Is(err, driver.ErrInvalidImage), try >= t.r.cfg.FaultTries:
			t.log.Error("shard lost", "shard", t.seen.First+int64(i), "err", err, "tries", try+1)
			t.r.metrics.runs.WithLabelValues("lost").Inc()
			t.update(i, func(s *shard) { s.fate, s.phase, s.ended = fateLost, "lost", time.Now() })
			return
		}
		t.log.Warn("shard failed on this machine, trying again", "shard", t.seen.First+int64(i), "err", err, "try", try)
		t.update(i, func(s *shard) { s.phase, s.tries = "waiting", try+1 })
		if pause(t.work) != nil {
			return
		}
	}
}

func (t *tenure) runOnce(i, try int) error {
	if t.heavy {
		if err := t.r.runs.enter(t.work, t.restored && try == 0); err != nil {
			return err
		}
		defer t.r.runs.leave()
	}
	run, err := t.obtain(i, try)
	if err != nil {
		return err
	}
	t.update(i, func(s *shard) {
		s.run, s.logPath = run, run.LogPath()
		if s.phase != "running" {
			s.phase, s.started = "running", time.Now()
		}
	})
	t.r.metrics.running.Inc()
	outcome, err := run.Wait(t.work)
	t.r.metrics.running.Dec()
	if t.work.Err() != nil {
		return t.work.Err()
	}
	if err == nil && outcome.Reason == driver.Stopped {
		err = fmt.Errorf("%w: the run was stopped from outside", ErrHost)
	}
	if err != nil {
		t.remove(i, run)
		return err
	}
	t.update(i, func(s *shard) {
		s.phase, s.started, s.ended = "packing", outcome.Started, outcome.Finished
		s.end, s.exit = outcome.Reason.String(), outcome.ExitCode
	})
	p, err := t.packRetry(i, run, outcome)
	if err != nil {
		if t.work.Err() == nil {
			t.remove(i, run)
		}
		return err
	}
	t.update(i, func(s *shard) {
		s.fate, s.phase, s.logPath = fatePacked, "packed", ""
		s.manifest, s.log, s.folder = p.manifest, p.log, p.folder
	})
	t.r.metrics.runs.WithLabelValues(outcome.Reason.String()).Inc()
	t.log.Info("shard ended", "shard", t.seen.First+int64(i), "reason", outcome.Reason.String(), "exit", outcome.ExitCode,
		"wall_ms", outcome.Usage.Wall.Milliseconds(), "cpu_ms", outcome.Usage.CPUNanos/1e6, "output_bytes", p.outputBytes)
	t.remove(i, run)
	return nil
}

// obtain finds the run of an earlier process or starts a new one. It takes a
// start slot, so that a lease of many shards does not start them all at once.
func (t *tenure) obtain(i, try int) (driver.Run, error) {
	select {
	case t.r.starts <- struct{}{}:
	case <-t.work.Done():
		return nil, t.work.Err()
	}
	var once sync.Once
	release := func() { once.Do(func() { <-t.r.starts }) }
	t.update(i, func(s *shard) { s.phase = "starting" })
	run, err := t.start(i, try)
	if err != nil {
		release()
		return nil, err
	}
	// The slot is free again when the run has ended or has shown that it is not a short one.
	hold := time.AfterFunc(t.r.cfg.StartHold, release)
	go func() {
		_, _ = run.Wait(t.work) // the caller reads the outcome
		hold.Stop()
		release()
	}()
	return run, nil
}

func (t *tenure) start(i, try int) (driver.Run, error) {
	recoverer, _ := t.driver.(driver.Recoverer)
	if t.restored && try == 0 && recoverer != nil {
		run, err := recoverer.Recover(t.work, t.runID(i))
		if err == nil {
			t.log.Info("run found again", "shard", t.seen.First+int64(i), "run", run.ID())
			return run, nil
		}
		if !errors.Is(err, driver.ErrNotFound) {
			return nil, err
		}
	}
	spec, err := t.spec(i)
	if err != nil {
		return nil, err
	}
	if t.recovers { // a run that outlives this process has a name in the journal before it exists
		if err := t.append(t.work, true, store.RunStarted{Shard: int64(i), RunID: spec.ID}); err != nil {
			return nil, err
		}
	}
	run, err := t.driver.Start(t.work, spec)
	if errors.Is(err, driver.ErrExists) && recoverer != nil {
		return recoverer.Recover(t.work, spec.ID)
	}
	return run, err
}

// update changes a shard's view.
func (t *tenure) update(i int, change func(*shard)) {
	t.mu.Lock()
	defer t.mu.Unlock()
	change(t.shards[i])
}

// remove deletes a run's traces. What fails is swept at the next start.
func (t *tenure) remove(i int, run driver.Run) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(t.work), stopTimeout)
	defer cancel()
	if err := run.Remove(ctx); err != nil {
		t.log.Warn("run not removed", "run", run.ID(), "err", err)
	}
	t.update(i, func(s *shard) { s.run, s.logPath = nil, "" })
}

// stopRuns ends and removes whatever still runs, some at a time.
func (t *tenure) stopRuns() {
	var wg sync.WaitGroup
	slots := make(chan struct{}, t.r.cfg.StartsAtOnce)
	for i, s := range t.shards {
		t.mu.Lock()
		run, packed := s.run, s.fate == fatePacked
		t.mu.Unlock()
		if run == nil && t.restored && !packed {
			run = t.find(i)
		}
		if run == nil {
			continue
		}
		slots <- struct{}{}
		wg.Go(func() {
			defer func() { <-slots }()
			ctx, cancel := context.WithTimeout(context.WithoutCancel(t.work), stopTimeout)
			defer cancel()
			if err := run.Stop(ctx); err != nil {
				t.log.Warn("run not stopped gracefully", "run", run.ID(), "err", err)
			}
			t.remove(i, run)
			t.update(i, func(s *shard) {
				if s.fate != fatePacked {
					s.phase, s.ended = "stopped", time.Now()
				}
			})
		})
	}
	wg.Wait()
}

// find looks for a run of an earlier process, in every driver: the document may never have been read.
func (t *tenure) find(i int) driver.Run {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(t.work), stopTimeout)
	defer cancel()
	for _, d := range t.r.deps.Drivers {
		if recoverer, ok := d.(driver.Recoverer); ok {
			if run, err := recoverer.Recover(ctx, t.runID(i)); err == nil {
				return run
			}
		}
	}
	return nil
}

// stop ends a lease that the chain has closed.
func (t *tenure) stop() (Event, error) {
	t.mu.Lock()
	closing := t.closing
	t.mu.Unlock()
	t.r.outbox.drop(t.id)
	t.stopRuns()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(t.work), stopTimeout)
	defer cancel()
	if err := t.r.deps.Store.Unpin(ctx, t.pinName()); err != nil {
		t.log.Warn("result not unpinned", "err", err)
	}
	t.log.Info("lease ended without a payout for this run", "chain_reason", closing)
	return Cleaned, nil
}
