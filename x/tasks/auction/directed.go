package auction

import (
	"cmp"
	"slices"

	"github.com/nexara/nexara/x/tasks/auction/packing"
)

// effortFor is how many steps of the packing engine a book of so many edges is worth: a small one does not use up
// the block's time, and a large one gets fewer, since each step of it misses more caches. Tuned so that no book takes
// longer than a full one (docs/bench.md).
func effortFor(edges int64) int64 {
	return min(50_000+400*edges, max(2_500_000, 7_000_000-33*edges))
}

// directed solves what is no network: needs differ, or bonds or leases are scarce. The packing engine allocates
// by prices; its result is dealt to entries, filled up greedily where leases were cut differently than it assumed,
// and stands unless Greedy's is better. The prices bound both.
func (s *search) directed() (Allocation, error) {
	m := s.m
	base, err := Greedy{}.Solve(m, Budget{Steps: max(s.left, 1)})
	if err != nil {
		return Allocation{}, err
	}
	s.left -= base.Work
	bound := base.Bound
	if s.partial != nil && better(s.partial, &base) {
		base = *s.partial
		s.certify(&base)
	}
	if s.left < stageLooks*m.looks || len(m.edges) == 0 {
		return base, nil
	}
	s.left -= 8 * m.looks // the problem, its fixed part, dealing
	v := newVector(m, s.slots)
	effort := min(s.left, effortFor(int64(len(v.problem.Edges))))
	result, err := packing.Solve(&v.problem, packing.Options{MaxSteps: effort, Start: v.counts(&base)})
	if err != nil { // the model's bounds are narrower than the engine's: not reached, and greedy stands
		return base, nil
	}
	s.left -= result.Steps
	best := base
	a, _ := s.lease(v.deals(result.Count))
	s.complete(&a)
	if better(&a, &best) {
		best = a
	} else {
		best.Cut = best.Cut || a.Cut // it stands because the other lost leases
	}
	best.Certificate = Certificate{Prices: v.prices(result.Price)}
	s.certify(&best)
	if best.Bound >= bound { // prices of 0 prove as much
		best.Certificate = Certificate{}
		s.certify(&best)
	}
	return best, nil
}

// complete gives shards that have no match to NexCores that still have room, in greedy's order of value.
func (s *search) complete(a *Allocation) {
	m := s.m
	if a.Cut || s.left <= 0 {
		return
	}
	p := pass{m: m, queues: make([]queue, len(m.shapes)), rooms: m.rooms(), left: &s.left, out: *a}
	sortMatches(p.out.Matches)
	open := m.unmatched(p.out.Matches)
	for i := range p.out.Matches {
		match := &p.out.Matches[i]
		at := m.findSupply(match.NexCoreID)
		need := &m.shapes[m.entries[m.holding(match.JobID, match.First)].ShapeIndex].Need
		p.rooms[at].take(need, match.Price, match.Count, &m.params)
	}
	byValue, _ := m.orders()
	place := make([]int32, len(m.entries))
	for i, at := range byValue {
		place[at] = int32(i) + 1
	}
	slices.SortStableFunc(open, func(x, y placing) int { return cmp.Compare(place[x.entry], place[y.entry]) })
	for _, o := range open {
		e := &m.entries[o.entry]
		if place[o.entry] == 0 {
			continue // no NexCore that it can pay
		}
		if p.serve(e, e.First+int64(o.edge), o.count); p.out.Cut {
			break
		}
	}
	*a = p.out
	a.Unmatched = m.coverage.Shards - a.Matched
	sortMatches(a.Matches)
}

// unmatched lists the runs of shards without a match; edge is the run's start in its entry. matches are sorted.
func (m *Model) unmatched(matches []Match) []placing {
	var out []placing
	k := 0
	for i := range m.entries {
		e := &m.entries[i]
		next := e.First
		for ; k < len(matches) && matches[k].JobID == e.JobID && matches[k].First < e.First+e.Count; k++ {
			if gap := matches[k].First - next; gap > 0 {
				out = append(out, placing{int32(i), int32(next - e.First), gap})
			}
			next = matches[k].First + matches[k].Count
		}
		if gap := e.First + e.Count - next; gap > 0 {
			out = append(out, placing{int32(i), int32(next - e.First), gap})
		}
	}
	return out
}

// vector is the book as a packing problem. A class sees all edges that any of its levels sees: layout keeps each
// entry to its own, and what that leaves over is filled up greedily.
type vector struct {
	m       *Model
	problem packing.Problem
	edgeOf  [][]int32 // of each class, its edges in the problem; -1
}

func newVector(m *Model, slots []int64) *vector {
	v := &vector{m: m, edgeOf: make([][]int32, len(m.classes))}
	v.problem.Bins = make([]packing.Vector, len(m.supplies))
	lock := make([]int64, len(m.supplies)) // the dearest of each NexCore's edges, bond
	for i := range m.edges {
		e := &m.edges[i]
		lock[e.Supply] = max(lock[e.Supply], Lock(e.Price, 1, m.params.LockPPM))
	}
	bonded, leased := make([]bool, len(m.supplies)), make([]bool, len(m.supplies))
	for i := range m.supplies {
		d := m.supplies[i].capacity()
		for r, c := range d {
			v.problem.Bins[i][r] = min(c, packing.MaxAmount)
		}
		bonded[i] = lock[i] > 0 && m.supplies[i].FreeBond/lock[i] < slots[i]
		leased[i] = m.supplies[i].LeaseSlots < slots[i]
	}
	edges, own := 0, 2*len(m.classes)
	for i := range m.classes {
		edges += len(m.classes[i].edges)
		for j := range m.classes[i].edges {
			if bonded[m.classes[i].edges[j].Supply] {
				own++
			}
		}
	}
	v.problem.Edges, v.problem.Needs = make([]packing.Edge, 0, edges), make([]packing.Vector, 0, own)
	for i := range m.classes {
		v.addClass(i, bonded, leased)
	}
	return v
}

func (v *vector) addClass(i int, bonded, leased []bool) {
	m, p := v.m, &v.problem
	c := &m.classes[i]
	group := packing.Group{From: int32(len(p.Edges))}
	var need packing.Vector
	copy(need[:], m.shapes[c.shape].Need[:])
	// One need for NexCores on which neither bond nor leases can run out, one where leases can, and its own for
	// each edge where the bond can: what that locks depends on the price.
	plain := int32(len(p.Needs))
	lease := need
	lease[LeaseDim] = m.leaseShare(c)
	p.Needs = append(p.Needs, need, lease)
	v.edgeOf[i] = make([]int32, len(c.edges))
	levels := int32(c.levels)
	for j := range c.edges {
		e := &c.edges[j]
		v.edgeOf[i][j] = -1
		if e.Level >= levels {
			continue
		}
		at := plain
		if leased[e.Supply] {
			at = plain + 1
		}
		if bonded[e.Supply] {
			own := p.Needs[at]
			own[BondDim] = m.bondShare(e.Price)
			at = int32(len(p.Needs))
			p.Needs = append(p.Needs, own)
		}
		v.edgeOf[i][j] = int32(len(p.Edges))
		p.Edges = append(p.Edges, packing.Edge{Bin: e.Supply, Need: at, Cost: e.Cost})
	}
	group.To = int32(len(p.Edges))
	for j := range c.entries {
		e := &c.entries[j]
		if n := len(group.Tiers); n > 0 && group.Tiers[n-1].Value == e.usable {
			group.Tiers[n-1].Count += e.count
		} else {
			group.Tiers = append(group.Tiers, packing.Tier{Value: e.usable, Count: e.count})
		}
	}
	p.Groups = append(p.Groups, group)
}

// counts is an allocation as shards by edge.
func (v *vector) counts(a *Allocation) []int64 {
	out := make([]int64, len(v.problem.Edges))
	for i := range a.Matches {
		match := &a.Matches[i]
		class := v.m.entries[v.m.holding(match.JobID, match.First)].class
		c := &v.m.classes[class]
		at, found := slices.BinarySearchFunc(c.edges, int32(v.m.findSupply(match.NexCoreID)), func(e Edge, s int32) int { return cmp.Compare(e.Supply, s) })
		if found && v.edgeOf[class][at] >= 0 {
			out[v.edgeOf[class][at]] += match.Count
		}
	}
	return out
}

// deals reads shards by edge back: a class fills from its highest limit down.
func (v *vector) deals(count []int64) [][]placing {
	m := v.m
	out := make([][]placing, len(m.classes))
	for i := range m.classes {
		c := &m.classes[i]
		taken, loads := make([]int64, len(c.entries)), make([]load, 0, 64)
		total := int64(0)
		for j, at := range v.edgeOf[i] {
			if at >= 0 && count[at] > 0 {
				loads = append(loads, load{int32(j), count[at]})
				total += count[at]
			}
		}
		for j := range c.entries {
			taken[j] = min(total, c.entries[j].count)
			total -= taken[j]
		}
		out[i] = c.layout(nil, taken, loads)
	}
	return out
}

func (v *vector) prices(list []packing.Vector) []Priced {
	var out []Priced
	for i := range list {
		if p := (Prices{Dims: Dims(list[i])}); p != (Prices{}) {
			out = append(out, Priced{NexCoreID: v.m.supplies[i].ID, Prices: p})
		}
	}
	return out
}
