package auction

import (
	"cmp"
	"slices"
)

// Greedy is the first solver: it takes entries in a fixed order and gives each the cheapest NexCores that
// still have room. It never moves a shard again. It goes over the book twice, once in order of value per shard
// and once in order of value per share of the scarcest resource, and keeps the better pass: each order alone
// can lose without bound against the other (one dear giant against many small ones).
type Greedy struct{}

// Name implements Solver.
func (Greedy) Name() string { return "greedy" }

// Solve implements Solver. Work is at most two passes of (edges + entries * candidates looked at); a candidate
// with no room left for its shape is never looked at again in that pass.
func (Greedy) Solve(m *Model, b Budget) (Allocation, error) {
	if b.Steps <= 0 {
		return Allocation{}, ErrBudget
	}
	left := b.Steps
	queues := make([]queue, len(m.shapes))
	byValue, byDensity := m.orders()
	best := run(m, byValue, queues, &left)
	if second := run(m, byDensity, queues, &left); better(&second, &best) {
		best = second
	}
	best.Work = b.Steps - left
	best.Unmatched = m.coverage.Shards - best.Matched
	best.Bound = m.bound(make([]Prices, len(m.supplies)))
	sortMatches(best.Matches)
	return best, nil
}

// better prefers welfare, then matched shards, then the earlier pass.
func better(a, b *Allocation) bool {
	if a.Welfare != b.Welfare {
		return a.Welfare > b.Welfare
	}
	return a.Matched > b.Matched
}

// orders lists the entries that have an edge they can pay, by value and by density. Inside a shape both
// orders are: limit descending, then rank under the seed, then (job, first).
func (m *Model) orders() (byValue, byDensity []int32) {
	type item struct {
		key   int64
		entry int32
	}
	values := make([]item, 0, len(m.entries))
	densities := make([]item, 0, len(m.entries))
	shares := m.shares()
	for i := range m.entries {
		e := &m.entries[i]
		value := e.usable - m.shapes[e.ShapeIndex].minCost
		if value < 0 {
			continue
		}
		values = append(values, item{value, int32(i)})
		densities = append(densities, item{mulDivFloor(value, wholeShare, shares[e.ShapeIndex]), int32(i)})
	}
	sorted := func(items []item) []int32 {
		slices.SortFunc(items, func(a, b item) int {
			if a.key != b.key {
				return cmp.Compare(b.key, a.key)
			}
			x, y := &m.entries[a.entry], &m.entries[b.entry]
			return cmp.Or(cmp.Compare(y.Limit, x.Limit), cmp.Compare(x.rank, y.rank), cmp.Compare(a.entry, b.entry))
		})
		out := make([]int32, len(items))
		for i, it := range items {
			out[i] = it.entry
		}
		return out
	}
	return sorted(values), sorted(densities)
}

// wholeShare is all of a resource in the market: shares are in billionths.
const wholeShare = 1_000_000_000

// shares gives each shape its dominant share: the greatest part of the market's free capacity that one
// shard takes, at least 1.
func (m *Model) shares() []int64 {
	var free Resources // at most 2^20 supplies of 2^40: below 2^60
	for i := range m.supplies {
		if m.supplies[i].standing {
			for r, v := range m.supplies[i].Free {
				free[r] += max(0, v)
			}
		}
	}
	shares := make([]int64, len(m.shapes))
	for i := range m.shapes {
		shares[i] = 1
		for r, need := range m.shapes[i].Need {
			shares[i] = max(shares[i], mulDivFloor(need, wholeShare, free[r]))
		}
	}
	return shares
}

// room is what a NexCore has left during a pass.
type room struct {
	free  Resources
	bond  int64
	slots int64
}

// fit is how many shards one more lease can hold. Zero is for good: room only shrinks during a pass.
func (r *room) fit(need *Resources, price int64, params *Params) int64 {
	if r.slots < 1 || !need.Fits(&r.free) {
		return 0
	}
	n := params.LeaseMax
	for i, v := range need {
		if v > 0 && v*n > r.free[i] { // v <= 2^40, n <= 2^10
			n = r.free[i] / v
		}
	}
	if Lock(price, n, params.LockPPM) <= r.bond {
		return n
	}
	low := int64(0) // the lock of low shards fits, that of n does not
	for n-low > 1 {
		if half := (low + n) / 2; Lock(price, half, params.LockPPM) <= r.bond {
			low = half
		} else {
			n = half
		}
	}
	return low
}

func (r *room) take(need *Resources, price, count int64, params *Params) {
	for i, v := range need {
		r.free[i] -= v * count
	}
	r.bond -= Lock(price, count, params.LockPPM)
	r.slots--
}

// pass is one run over the book.
type pass struct {
	m      *Model
	queues []queue // one per shape, shared between passes
	rooms  []room  // one per supply
	left   *int64  // steps
	out    Allocation
}

func run(m *Model, order []int32, queues []queue, left *int64) Allocation {
	p := pass{m: m, queues: queues, rooms: m.rooms(), left: left}
	for i := range queues {
		queues[i].revive()
	}
	for _, entry := range order {
		e := &m.entries[entry]
		if p.serve(e, e.First, e.Count); p.out.Cut {
			break
		}
	}
	return p.out
}

// rooms is what every NexCore has at the start.
func (m *Model) rooms() []room {
	rooms := make([]room, len(m.supplies))
	for i := range m.supplies {
		s := &m.supplies[i]
		rooms[i] = room{s.Free, s.FreeBond, s.LeaseSlots}
	}
	return rooms
}

// spend takes steps from the budget; false means that it has ended.
func (p *pass) spend(steps int64) bool {
	*p.left -= steps
	if *p.left < 0 {
		*p.left, p.out.Cut = 0, true
	}
	return !p.out.Cut
}

// serve gives left shards of an entry, from next on, to its cheapest NexCores with room.
func (p *pass) serve(e *entryRow, next, left int64) {
	shape := &p.m.shapes[e.ShapeIndex]
	q := &p.queues[e.ShapeIndex]
	if !q.started() && !p.spend(q.start(p.m.edges[shape.edgeFrom:shape.edgeTo])) {
		return
	}
	if !p.spend(1) {
		return
	}
	for at := 0; left > 0; at++ {
		var edge *Edge
		var steps int64
		edge, at, steps = q.candidate(at)
		if !p.spend(steps) || edge == nil || edge.Cost > e.usable {
			return
		}
		supply := &p.m.supplies[edge.Supply]
		if supply.AskHeight >= e.VisibleBefore || e.excludes(supply.ID) {
			continue
		}
		room := &p.rooms[edge.Supply]
		for left > 0 {
			n := min(left, room.fit(&shape.Need, edge.Price, &p.m.params))
			if n == 0 {
				q.kill(at)
				break
			}
			if int64(len(p.out.Matches)) == p.m.params.MaxMatches {
				p.out.Cut = true
				return
			}
			room.take(&shape.Need, edge.Price, n, &p.m.params)
			p.out.add(Match{
				JobID: e.JobID, First: next, Count: n, NexCoreID: supply.ID, Price: edge.Price, Welfare: n * (e.usable - edge.Cost),
			})
			next, left = next+n, left-n
		}
	}
}
