package wasm

import (
	"context"
	"time"
)

// A guest runs on one thread of the daemon, in slices that end in run.tick. The
// core keeps it to its share of a core, and the daemon's scheduler to its turn.

const (
	// period is over which a share of a core is kept: a run may use what its share
	// gives in one period at once, and then waits for as long as it takes.
	period = 100 * time.Millisecond
	// minBurst is the least that is used at once, so that tiny shares get somewhere.
	minBurst = time.Millisecond
	// slice is how long a run keeps its turn while others wait for one.
	slice = 10 * time.Millisecond
)

// share is a budget of CPU time that refills with wall time. It is a bucket, not
// a sum: what a sleeping guest did not use it cannot use later.
type share struct {
	milli int64 // thousandths of a core; a thread never uses more than 1000
	left  time.Duration
	wall  time.Time     // when it was looked at last
	used  time.Duration // CPU time then
}

func newShare(milli int64, now time.Time, used time.Duration) share {
	s := share{milli: milli, wall: now, used: used}
	s.left = s.burst()
	return s
}

func (s *share) burst() time.Duration {
	return max(period*time.Duration(s.milli)/1000, minBurst)
}

// spend books the CPU time used up to now and says how long the run must pause
// before it may go on; 0 for not at all.
func (s *share) spend(now time.Time, used time.Duration) time.Duration {
	if s.milli >= 1000 {
		return 0
	}
	s.left = min(s.left+max(now.Sub(s.wall), 0)*time.Duration(s.milli)/1000, s.burst()) - (used - s.used)
	s.wall, s.used = now, used
	if s.left > 0 {
		return 0
	}
	return (s.burst() - s.left) * 1000 / time.Duration(s.milli)
}

// turns hands out the right to run native code. There are as many turns as cores:
// native code keeps its scheduler's place until it calls back, and with more of it
// than places the rest of the daemon would wait behind all guests.
type turns chan struct{}

// take waits for a turn, first come first served; false when ctx ended first.
func (t turns) take(ctx context.Context) bool {
	select {
	case t <- struct{}{}:
		return true
	case <-ctx.Done():
		return false
	}
}

func (t turns) give() { <-t }

// full is whether all turns are taken: somebody may be waiting.
func (t turns) full() bool { return len(t) == cap(t) }

// tick is called by the guest's code, on its thread, every quantum of
// instructions. It does not return when the run has ended.
func (r *run) tick() {
	r.alive()
	now := time.Now()
	if pause := r.share.spend(now, threadTime()); pause > 0 {
		r.aside(func() { r.wait(pause) })
		// Where CPU time is wall time, the pause was not use.
		r.share.used = threadTime()
		return
	}
	if r.turn && r.driver.turns.full() && now.Sub(r.since) > slice {
		r.aside(func() {})
	}
}

// aside lets others have the turn during do. It does not return when the run has
// ended meanwhile.
func (r *run) aside(do func()) {
	r.leave()
	do()
	r.enter()
	r.alive()
}

func (r *run) enter() {
	r.turn, r.since = r.driver.turns.take(r.ctx), time.Now()
}

func (r *run) leave() {
	if r.turn {
		r.driver.turns.give()
		r.turn = false
	}
}

// wait sleeps for d, or until the run is to end.
func (r *run) wait(d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-r.ctx.Done():
	}
}
