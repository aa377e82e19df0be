package containerd

import (
	"sync"
	"time"
)

// gauge integrates memory over time from samples. Between two samples it counts
// the larger: a program cannot hide a spike by timing it, beyond one tick.
type gauge struct {
	mu      sync.Mutex
	since   time.Time // of the last sample, or the start
	last    int64
	peak    int64
	sum     float64 // byte seconds
	sampled bool
}

func (g *gauge) begin(at time.Time) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.since = at
}

func (g *gauge) sample(at time.Time, s stats) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.add(at, s.memory)
	g.peak, g.sampled = max(g.peak, s.peak), true
}

// add counts the time since the last sample. mu is held.
func (g *gauge) add(at time.Time, memory int64) {
	if d := at.Sub(g.since).Seconds(); d > 0 {
		g.sum += float64(max(g.last, memory)) * d
		g.since = at
	}
	g.last = memory
}

// end closes the integral. A run that was never sampled is its peak for all its time.
func (g *gauge) end(at time.Time, s stats) (peak, byteSeconds int64) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.peak = max(g.peak, s.peak)
	memory := g.last
	if !g.sampled {
		memory = g.peak
	}
	g.add(at, memory)
	return g.peak, int64(g.sum)
}
