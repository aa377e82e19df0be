package lease

import (
	"context"
	"sync"
)

// gate lets a number of runs be there at a time, first come first served. The
// number may change; 0 is no limit.
type gate struct {
	mu      sync.Mutex
	limit   int64
	inside  int64
	waiting []chan struct{} // closed when let in
}

// enter waits for room. Whoever is inside already, of an earlier process, does not wait.
func (g *gate) enter(ctx context.Context, already bool) error {
	g.mu.Lock()
	if already || g.room() && len(g.waiting) == 0 {
		g.inside++
		g.mu.Unlock()
		return nil
	}
	in := make(chan struct{})
	g.waiting = append(g.waiting, in)
	g.mu.Unlock()
	select {
	case <-in:
		return nil
	case <-ctx.Done():
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	for i, c := range g.waiting {
		if c == in {
			g.waiting = append(g.waiting[:i], g.waiting[i+1:]...)
			return context.Cause(ctx)
		}
	}
	g.inside-- // let in at the same moment
	g.admit()
	return context.Cause(ctx)
}

func (g *gate) leave() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.inside--
	g.admit()
}

func (g *gate) set(limit int64) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.limit = limit
	g.admit()
}

// room and admit are called with mu held.
func (g *gate) room() bool { return g.limit == 0 || g.inside < g.limit }

func (g *gate) admit() {
	for len(g.waiting) > 0 && g.room() {
		close(g.waiting[0])
		g.waiting = g.waiting[1:]
		g.inside++
	}
}
