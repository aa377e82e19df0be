package packing

import (
	"cmp"
	"slices"
)

// searchBits are the fractional bits of money inside a pattern search: 64 shards of any value stay below 2^62.
const (
	searchBits  = 13
	searchShift = PriceBits - searchBits
	maxPicks    = 48 // shards that a search chooses one by one; more of them go in bulk first
	maxItems    = 40
)

// item is an arc in a pattern search.
type item struct {
	arc    int32
	class  int32
	need   int32
	taken  int32
	cost   int64
	weight int64 // price . need
	excess int64 // gain of the first shard less weight
	rank   int64 // excess per weight
}

// pattern searches the best bundle of shards for one bin by branch and bound over its menu. Gains are those of
// the shards that would be placed next, so the bundle is worth what it says when
// the bin is filled with it. The search is cut at a number of nodes; the greedy bundle comes first.
type pattern struct {
	s       *state
	items   []item
	rest    [maxItems + 1]int64 // what positive excess of items from i on can add at most
	picks   [maxPicks]int32
	best    [maxPicks]int32
	depth   int
	bestLen int
	bestSum int64
	nodes   int
	free    Vector
}

// gain of one more shard of an item, searchBits fractional bits; not positive when there is none.
func (q *pattern) gain(it *item) int64 {
	return (q.s.next(it.class, it.taken) - it.cost) >> searchShift
}

// fill adds to bin b the best bundle found within nodes. It returns the steps taken.
func (q *pattern) fill(b int, list []candidate, price *Vector, nodes int) int64 {
	s := q.s
	q.items = q.items[:0]
	for i := range list {
		q.offer(b, list[i].arc, price)
	}
	steps := int64(len(list))
	if len(q.items) == 0 {
		return steps
	}
	slices.SortFunc(q.items, func(x, y item) int {
		return cmp.Or(cmp.Compare(y.rank, x.rank), cmp.Compare(x.arc, y.arc))
	})
	q.bulk(b)
	q.rest[len(q.items)] = 0
	for i := len(q.items) - 1; i >= 0; i-- {
		it := &q.items[i]
		q.rest[i] = q.rest[i+1]
		if it.excess > 0 {
			q.rest[i] += it.excess * s.fit(b, it.arc, min(s.left(it.class), maxPicks))
		}
	}
	q.free = s.free[b]
	q.nodes, q.depth, q.bestLen, q.bestSum = nodes, 0, 0, 0
	room := mulShift(1, dot(price, &q.free), searchShift)
	q.dive(0, 0, room)
	for _, i := range q.best[:q.bestLen] {
		s.move(b, q.items[i].arc, 1)
	}
	return steps + int64(nodes-q.nodes)
}

// offer adds an arc to the items when one shard of it fits and gains.
func (q *pattern) offer(b int, at int32, price *Vector) {
	m := q.s.m
	a := &m.arcs[at]
	it := item{arc: at, class: a.class, need: a.need, cost: a.cost}
	gain := q.gain(&it)
	if gain <= 0 || len(q.items) == maxItems || !fits(&m.need[a.need], &q.s.free[b], m.nres) {
		return
	}
	it.weight = dot(price, &m.need[a.need]) >> searchShift
	it.excess = gain - it.weight
	it.rank = it.excess / (it.weight>>12 + 1)
	q.items = append(q.items, it)
}

// bulk places the first items many at a time while the bin has room for more shards than a search may choose.
func (q *pattern) bulk(b int) {
	for i := range q.items {
		it := &q.items[i]
		n := q.s.fit(b, it.arc, q.s.left(it.class)) - maxPicks/2
		if n <= 0 {
			continue
		}
		// The gain falls with each shard: stop where it ends.
		for it.taken = 0; int64(it.taken) < n && q.gain(it) > 0; it.taken++ {
		}
		n = int64(it.taken)
		it.taken = 0
		q.s.move(b, it.arc, n)
	}
}

// dive tries every bundle that adds items from first on. sum is the gain so far, room the price of what is free.
func (q *pattern) dive(first int, sum, room int64) {
	if sum > q.bestSum {
		q.bestSum, q.bestLen = sum, q.depth
		q.best = q.picks
	}
	if q.depth == maxPicks {
		return
	}
	nres := q.s.m.nres
	for i := first; i < len(q.items); i++ {
		if sum+room+q.rest[i] <= q.bestSum || q.nodes <= 0 {
			return
		}
		q.nodes--
		it := &q.items[i]
		need := &q.s.m.need[it.need]
		if !fits(need, &q.free, nres) {
			continue
		}
		gain := q.gain(it)
		if gain <= 0 {
			continue
		}
		for r := range nres {
			q.free[r] -= need[r]
		}
		it.taken++
		q.picks[q.depth] = int32(i)
		q.depth++
		q.dive(i, sum+gain, max(0, room-it.weight))
		q.depth--
		it.taken--
		for r := range nres {
			q.free[r] += need[r]
		}
	}
}

func fits(need, free *Vector, nres int) bool {
	ok := need[0] <= free[0] && need[1] <= free[1] && need[2] <= free[2] && need[3] <= free[3]
	if nres > 4 {
		ok = ok && need[4] <= free[4] && need[5] <= free[5]
	}
	return ok
}
