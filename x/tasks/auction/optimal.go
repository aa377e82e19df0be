package auction

import (
	"cmp"
	"slices"
)

// Optimal is the market's solver. What nobody competes for goes to its cheapest NexCores, and that is the best
// there is. Where every shard takes one like slot of a NexCore the market is a network: the best flow, exactly,
// with the least prices that prove it. Elsewhere an allocation directed by prices, never below Greedy's, with an
// honest bound.
type Optimal struct{}

// Name implements Solver.
func (Optimal) Name() string { return "optimal" }

// Solve implements Solver. Work counts edges looked at, in searches and in what is fixed: building, dealing, proving.
// What is fixed is charged the same from any start. A stage begins only if the budget holds what is fixed of it. What can
// pass the budget is making leases, by their number, and the last step of a search, by less than a look at everything.
func (Optimal) Solve(m *Model, b Budget) (Allocation, error) {
	if b.Steps <= 0 {
		return Allocation{}, ErrBudget
	}
	s := &search{m: m, left: b.Steps, slots: m.slots}
	a, done := s.uncontended()
	if !done && s.cut == nil && s.left >= stageLooks*m.looks && m.uniform {
		a, done = s.network()
	}
	var err error
	switch {
	case done:
	case s.cut != nil:
		a, err = s.short()
	default:
		a, err = s.directed()
	}
	a.Work = b.Steps - s.left
	return a, err
}

// stageLooks bounds what is fixed of a stage and of a start that follows prices, in looks at every edge, entry and NexCore.
const stageLooks = 16

// search is one run of Optimal.
type search struct {
	m     *Model
	left  int64 // steps; below 0 once the budget has been passed
	slots []int64
	// cut is the best allocation less what MaxMatches left out, with the prices that prove the whole; nil where no
	// best allocation was cut.
	cut *Allocation
	// partial is a feasible allocation that a first attempt left, without a certificate; nil without one.
	partial *Allocation
}

// uncontended gives each shard the cheapest NexCore that it sees; done is false if they do not all fit. Then no
// allocation is better, at prices of 0.
func (s *search) uncontended() (Allocation, bool) {
	m := s.m
	if s.left < stageLooks*m.looks {
		return Allocation{}, false
	}
	s.left -= 2 * m.looks // choosing and dealing
	deals := make([][]placing, len(m.classes))
	room := slices.Clone(s.slots)
	var best []int32 // of each level, the place of its cheapest edge; -1
	for i := range m.classes {
		c := &m.classes[i]
		best = best[:0]
		least, place := far, int32(-1)
		for l := range c.levels {
			run, at := c.levelLinks(l), -1
			for j := range run {
				if e := &run[j]; e.cost <= least.money && e.pair().compare(least) < 0 {
					least, at = e.pair(), j
				}
			}
			if at >= 0 {
				place = c.place(run[at].supply)
			}
			best = append(best, place)
		}
		taken, loads := make([]int64, len(c.entries)), make([]load, 0, 16)
		for j := range c.entries {
			e := &c.entries[j]
			b := best[e.level]
			if b < 0 || c.edges[b].Cost > e.usable {
				continue
			}
			taken[j] = e.count
			if room[c.edges[b].Supply] -= e.count; room[c.edges[b].Supply] < 0 {
				return Allocation{}, false // most crowded books end here, early
			}
			if n := len(loads); n > 0 && loads[n-1].edge == b {
				loads[n-1].count += e.count
			} else {
				loads = append(loads, load{b, e.count})
			}
		}
		deals[i] = c.layout(nil, taken, merged(loads))
	}
	a, fits := s.lease(deals)
	if !fits {
		return Allocation{}, false
	}
	if a.Cut {
		s.cut = &a
		return Allocation{}, false
	}
	a.Certificate.Exact = true
	s.certify(&a)
	return a, true
}

// merged makes loads of distinct edges, in order of edges.
func merged(loads []load) []load {
	slices.SortFunc(loads, func(a, b load) int { return cmp.Compare(a.edge, b.edge) })
	kept := loads[:0]
	for _, l := range loads {
		if n := len(kept); n > 0 && kept[n-1].edge == l.edge {
			kept[n-1].count += l.count
		} else {
			kept = append(kept, l)
		}
	}
	return kept
}

// lease turns deals into matches; fits is false if bond or room for leases did not last. Beyond MaxMatches the
// matches of least welfare are cut.
func (s *search) lease(deals [][]placing) (a Allocation, fits bool) {
	m := s.m
	rooms := m.rooms()
	fits = true
	next := make([]int64, len(m.entries))
	placings := 0
	for i := range deals {
		placings += len(deals[i])
	}
	placings = int(min(int64(placings), 2*m.params.MaxMatches+1)) // no more are kept at any time
	a.Matches = make([]Match, 0, placings)
	of := make([]int32, 0, placings) // the entry of each match, unless some were cut
	for i := range m.classes {
		c := &m.classes[i]
		for _, d := range deals[i] {
			left, made := m.leaseOut(&a, c, &c.edges[d.edge], d, rooms, next)
			fits = fits && left == 0
			s.left -= made
			for len(of) < len(a.Matches) {
				of = append(of, d.entry)
			}
		}
	}
	if int64(len(a.Matches)) > m.params.MaxMatches {
		m.cutMatches(&a)
	}
	a.Unmatched = m.coverage.Shards - a.Matched
	s.left -= m.looks
	if a.Cut {
		sortMatches(a.Matches)
	} else {
		a.Matches = m.inOrder(a.Matches, of)
	}
	return a, fits
}

// inOrder brings matches into canonical order: those of one entry are in order among themselves.
func (m *Model) inOrder(matches []Match, of []int32) []Match {
	if len(matches) == 0 {
		return nil
	}
	at := make([]int32, len(m.entries)+1) // where the next match of each entry goes
	for _, e := range of {
		at[e+1]++
	}
	for i := range m.entries {
		at[i+1] += at[i]
	}
	out := make([]Match, len(matches))
	for i, e := range of {
		out[at[e]] = matches[i]
		at[e]++
	}
	return out
}

// leaseOut makes leases of one placing and returns how many shards found no room, and how many leases it made. No more
// than twice those that a clearing may make are kept at any time.
func (m *Model) leaseOut(a *Allocation, c *classRow, e *Edge, d placing, rooms []room, next []int64) (left, made int64) {
	entry, need := &m.entries[d.entry], &m.shapes[c.shape].Need
	r := &rooms[e.Supply]
	for left = d.count; left > 0; {
		n := min(left, r.fit(need, e.Price, &m.params))
		if n == 0 {
			return left, made
		}
		r.take(need, e.Price, n, &m.params)
		a.add(Match{
			JobID: entry.JobID, First: entry.First + next[d.entry], Count: n, NexCoreID: m.supplies[e.Supply].ID,
			Price: e.Price, Welfare: n * (entry.usable - e.Cost),
		})
		next[d.entry] += n
		left -= n
		if made++; int64(len(a.Matches)) > 2*m.params.MaxMatches {
			m.cutMatches(a)
		}
	}
	return left, made
}

func (a *Allocation) add(match Match) {
	a.Matches = append(a.Matches, match)
	a.Welfare += match.Welfare
	a.Matched += match.Count
}

// cutMatches keeps the MaxMatches matches of most welfare.
func (m *Model) cutMatches(a *Allocation) {
	slices.SortFunc(a.Matches, func(x, y Match) int {
		return cmp.Or(cmp.Compare(y.Welfare, x.Welfare), cmp.Compare(x.JobID, y.JobID), cmp.Compare(x.First, y.First))
	})
	kept := a.Matches[:m.params.MaxMatches]
	*a = Allocation{Cut: true, Matches: kept[:0]}
	for _, match := range kept {
		a.add(match)
	}
}

func sortMatches(matches []Match) {
	slices.SortFunc(matches, func(x, y Match) int {
		return cmp.Or(cmp.Compare(x.JobID, y.JobID), cmp.Compare(x.First, y.First))
	})
}

// certify sets what follows from the prices of a certificate: the bound and the rent of each match. It takes
// the claim to be exact back where the bound does not reach down to the welfare. Where the search was cut short a
// NexCore with room for one more shard charges no rent: there what is scarce is leases, not capacity.
func (s *search) certify(a *Allocation) {
	m := s.m
	s.left -= m.looks + int64(len(a.Matches))
	prices := make([]Prices, len(m.supplies))
	for _, p := range a.Certificate.Prices {
		prices[m.findSupply(p.NexCoreID)] = p.Prices
	}
	if a.Bound = m.bound(prices); a.Bound > a.Welfare {
		a.Certificate.Exact, a.Certificate.Proof = false, nil
	}
	if a.Cut && len(a.Certificate.Prices) > 0 {
		s.left -= m.looks
		for i, room := range m.roomy(a) {
			if room {
				prices[i] = Prices{}
			}
		}
	}
	shares := m.leaseShares()
	entry := 0
	for i := range a.Matches {
		match := &a.Matches[i]
		for m.entries[entry].endsBefore(match.JobID, match.First) {
			entry++ // both are in order of (job, first)
		}
		match.Rent = 0
		supply := m.findSupply(match.NexCoreID)
		if prices[supply] == (Prices{}) {
			continue
		}
		e := &m.entries[entry]
		match.Rent = m.rent(e, match.Price, match.Welfare/match.Count, &prices[supply], shares[e.class])
	}
}
