package inventory

import (
	"context"
	"sync"
	"time"
)

const (
	// speedTable is 256 KiB: more than a first-level cache, less than a second-level one.
	speedTable = 32 << 10
	// speedRounds is the number of steps of one operation.
	speedRounds = 64
	// speedChunk is how many operations run between two looks at the clock.
	speedChunk = 2048
)

// splitmix is a step of SplitMix64: integer adds, shifts and multiplications,
// the same on every architecture and accelerated on none.
func splitmix(x uint64) uint64 {
	x += 0x9e3779b97f4a7c15
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}

// worker is the fixed workload: a chain of mixing steps, each of which reads and
// writes a place in a table that the step before chose.
type worker struct {
	table [speedTable]uint64
	state uint64
}

func newWorker() *worker {
	w := &worker{state: 1}
	for i := range w.table {
		w.state = splitmix(w.state)
		w.table[i] = w.state
	}
	return w
}

// do runs n operations and gives the state, which depends on all of them.
func (w *worker) do(n int) uint64 {
	x := w.state
	for range n {
		for range speedRounds {
			i := x % speedTable
			x = splitmix(x ^ w.table[i])
			w.table[i] = x
		}
	}
	w.state = x
	return x
}

// measureSpeed gives thousands of operations a second on one core and on all
// cores at once, each measured for about d.
func measureSpeed(ctx context.Context, cores int, d time.Duration) (single, multi int64) {
	return speedOf(ctx, 1, d), speedOf(ctx, cores, d)
}

func speedOf(ctx context.Context, n int, d time.Duration) int64 {
	var (
		wg    sync.WaitGroup
		ready sync.WaitGroup
		begin = make(chan struct{})
		rates = make([]float64, n)
	)
	for i := range rates {
		ready.Add(1)
		wg.Go(func() {
			w := newWorker()
			w.do(speedChunk)
			ready.Done()
			<-begin
			start := time.Now()
			ops := 0
			for time.Since(start) < d && ctx.Err() == nil {
				w.do(speedChunk)
				ops += speedChunk
			}
			rates[i] = float64(ops) / time.Since(start).Seconds()
		})
	}
	ready.Wait()
	close(begin)
	wg.Wait()
	var sum float64
	for _, r := range rates {
		sum += r
	}
	return max(int64(sum/1000), 1)
}
