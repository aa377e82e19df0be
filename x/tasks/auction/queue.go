package auction

import "math/bits"

// queue hands out the edges of one shape in order of (cost, tie). It sorts no further than it is asked:
// sorted edges come from a heap on demand. Killed candidates are skipped by a union-find over positions, so a
// full NexCore costs its shape one look per pass.
type queue struct {
	edges  []Edge
	sorted []int32 // indices of edges, in order
	heap   []int32 // the rest, a binary heap
	jump   []int32 // position to the next live one, itself when live; one longer than edges
}

func (q *queue) started() bool { return q.jump != nil }

// start makes the heap and returns the steps it took.
func (q *queue) start(edges []Edge) int64 {
	q.edges = edges
	q.sorted = make([]int32, 0, min(len(edges), 16))
	q.heap = make([]int32, len(edges))
	q.jump = make([]int32, len(edges)+1)
	for i := range q.heap {
		q.heap[i] = int32(i)
	}
	for i := len(q.heap)/2 - 1; i >= 0; i-- {
		q.sink(i)
	}
	q.revive()
	return int64(len(edges))
}

// revive brings every killed candidate back.
func (q *queue) revive() {
	for i := range q.jump {
		q.jump[i] = int32(i)
	}
}

// candidate returns the first live edge at position at or after it, its position and the steps it took;
// nil after the last.
func (q *queue) candidate(at int) (edge *Edge, position int, steps int64) {
	at = q.live(at)
	steps = 1
	for at >= len(q.sorted) {
		if len(q.heap) == 0 {
			return nil, at, steps
		}
		steps += int64(bits.Len(uint(len(q.heap))))
		q.sorted = append(q.sorted, q.pop())
	}
	return &q.edges[q.sorted[at]], at, steps
}

// kill removes the candidate at a position until revive.
func (q *queue) kill(at int) { q.jump[at] = int32(at) + 1 }

func (q *queue) live(at int) int {
	at = min(at, len(q.edges))
	for int(q.jump[at]) != at {
		q.jump[at] = q.jump[q.jump[at]]
		at = int(q.jump[at])
	}
	return at
}

func (q *queue) less(a, b int32) bool {
	x, y := &q.edges[a], &q.edges[b]
	return x.Cost < y.Cost || (x.Cost == y.Cost && x.Tie < y.Tie)
}

func (q *queue) pop() int32 {
	top, last := q.heap[0], len(q.heap)-1
	q.heap[0] = q.heap[last]
	q.heap = q.heap[:last]
	q.sink(0)
	return top
}

func (q *queue) sink(i int) {
	for {
		child := 2*i + 1
		if child >= len(q.heap) {
			return
		}
		if child+1 < len(q.heap) && q.less(q.heap[child+1], q.heap[child]) {
			child++
		}
		if !q.less(q.heap[child], q.heap[i]) {
			return
		}
		q.heap[i], q.heap[child] = q.heap[child], q.heap[i]
		i = child
	}
}
