package auction

import "cmp"

// pricedEdge is an edge of a class by cost plus price.
type pricedEdge struct {
	value int64
	tie   uint64
	edge  int32
}

func (a pricedEdge) before(b pricedEdge) bool {
	return cmp.Or(cmp.Compare(a.value, b.value), cmp.Compare(a.tie, b.tie), cmp.Compare(a.edge, b.edge)) < 0
}

// priced hands out the edges of a class in order of (cost + price, tie), sorted no further than asked.
type priced struct {
	sorted []pricedEdge
	heap   []pricedEdge
}

func (q *priced) fill(c *classRow, prices []int64) {
	q.sorted, q.heap = q.sorted[:0], q.heap[:0]
	for i := range c.edges {
		e := &c.edges[i]
		q.heap = append(q.heap, pricedEdge{e.Cost + prices[e.Supply], e.Tie, int32(i)})
	}
	for i := len(q.heap)/2 - 1; i >= 0; i-- {
		q.sink(i)
	}
}

// at is the k-th edge; ok is false after the last.
func (q *priced) at(k int) (e pricedEdge, ok bool) {
	for k >= len(q.sorted) {
		if len(q.heap) == 0 {
			return e, false
		}
		q.sorted = append(q.sorted, q.heap[0])
		last := len(q.heap) - 1
		q.heap[0] = q.heap[last]
		q.heap = q.heap[:last]
		q.sink(0)
	}
	return q.sorted[k], true
}

// drop forgets edges at the front that are of no more use.
func (q *priced) drop(useless func(pricedEdge) bool) {
	n := 0
	for n < len(q.sorted) && useless(q.sorted[n]) {
		n++
	}
	q.sorted = q.sorted[n:]
}

func (q *priced) sink(i int) {
	h := q.heap
	for {
		child := 2*i + 1
		if child >= len(h) {
			return
		}
		if child+1 < len(h) && h[child+1].before(h[child]) {
			child++
		}
		if !h[child].before(h[i]) {
			return
		}
		h[i], h[child] = h[child], h[i]
		i = child
	}
}
