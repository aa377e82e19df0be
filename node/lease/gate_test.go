package lease

import (
	"context"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/nexara/nexara/node/driver"
	"github.com/nexara/nexara/node/jobspec"
	tasksv1 "github.com/nexara/nexara/proto/gen/nexara/tasks/v1"
)

func TestGate(t *testing.T) {
	g := &gate{}
	ctx, cancel := context.WithCancel(t.Context())
	for range 3 {
		require.NoError(t, g.enter(ctx, false), "no limit")
	}
	g.set(2)
	require.NoError(t, g.enter(ctx, true), "what runs already does not wait")
	done := make(chan error, 2)
	go func() { done <- g.enter(ctx, false) }()
	waiting := func(n int) func() bool {
		return func() bool { g.mu.Lock(); defer g.mu.Unlock(); return len(g.waiting) == n }
	}
	(&world{t: t}).eventually("one waits", waiting(1))
	g.leave()
	g.leave()
	require.True(t, waiting(1)(), "two are inside, as many as may")
	g.leave()
	require.NoError(t, <-done)
	go func() { done <- g.enter(ctx, false) }()
	(&world{t: t}).eventually("another waits", waiting(1))
	cancel()
	require.ErrorIs(t, <-done, context.Canceled)
	require.True(t, waiting(0)())
	g.leave()
	g.leave()
	require.Zero(t, g.inside)
}

// heavy is a driver whose runs take memory of their own, and counts how many are there at a time.
type heavy struct {
	driver.Driver
	now, most atomic.Int64
}

func (h *heavy) Capabilities(ctx context.Context) (driver.Capabilities, error) {
	c, err := h.Driver.Capabilities(ctx)
	c.RunMemoryMiB = 10
	return c, err
}

func (h *heavy) Start(ctx context.Context, s driver.Spec) (driver.Run, error) {
	r, err := h.Driver.Start(ctx, s)
	if err != nil {
		return nil, err
	}
	h.most.Store(max(h.most.Load(), h.now.Add(1))) // starts may race: a lost update hides one run at most
	return &heavyRun{Run: r, h: h}, nil
}

type heavyRun struct {
	driver.Run
	h    *heavy
	gone atomic.Bool
}

func (r *heavyRun) Remove(ctx context.Context) error {
	err := r.Run.Remove(ctx)
	if !r.gone.Swap(true) {
		r.h.now.Add(-1)
	}
	return err
}

// Runs that take memory beyond their limits are no more at a time than memory was set aside for.
func TestRunsWaitForTheirMemory(t *testing.T) {
	w := newWorld(t)
	h := &heavy{}
	w.faults = func(d driver.Driver) driver.Driver { h.Driver = d; return h }
	d := w.start(nil)
	d.r.LimitRuns(1)
	id := w.job(6, func(d *jobspec.Document, _ *tasksv1.Assignment) { d.Args = []string{"hello"} })
	w.reaches(id, delivered)
	require.EqualValues(t, 1, h.most.Load())
}
