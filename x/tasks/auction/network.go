package auction

import (
	"slices"

	"github.com/nexara/nexara/x/tasks/auction/flow"
)

// arcsPerStep is how many arcs the flow engine, or a pass over links on its behalf, looks at for one step of the budget.
const arcsPerStep = 4

// What follows a flow, in looks at everything. A proof takes proofLooks: the residual graph, least and greatest prices and
// the steps pass over the edges once or twice each. closingLooks adds the last extend, leases and the certificate.
const (
	proofLooks   = 6
	closingLooks = proofLooks + 4
)

// followShare is the part of the network's budget that a start from prices may take: 1 / followShare.
const followShare = 5

// flown is a flow on a network and what it proves.
type flown struct {
	net    *transport
	amount []int64  // by arc; nil without a flow
	prices []Prices // by supply
	values []pairOf // of levels, by node; nil unless the flow is proved to be the best
}

// network finds the best flow and its least prices; done is false if its half of the budget, or what is left but for the
// closing, ends first or leases do not fit. What it had by then is kept as a candidate.
//
// Where there are prices of slots to follow it starts from them; where these lead nowhere within their share of the budget, anew
// without. Prices change the way, and the answer at most between allocations of equal welfare and equal ties; they are in
// the book, so every validator has the same.
func (s *search) network() (Allocation, bool) {
	m := s.m
	var best flown
	follows := slices.ContainsFunc(m.hints, func(h Hint) bool { return h.Slot > 0 })
	if follows {
		best = s.flow(s.following, followShare)
	}
	if best.values == nil && (!follows || s.left >= stageLooks*m.looks) {
		best = s.flow(s.anew, 1)
	}
	if best.amount == nil {
		return Allocation{}, false
	}
	deals, prices := best.net.deals(best.amount), best.prices
	a, fits := s.lease(deals)
	if !fits || best.values == nil {
		s.partial = &a
		return Allocation{}, false
	}
	if a.Cut {
		for i := range prices {
			if p := &prices[i]; p.Slot > 0 {
				a.Certificate.Prices = append(a.Certificate.Prices, Priced{NexCoreID: m.supplies[i].ID, Prices: Prices{Slot: p.Slot}})
			}
		}
		s.cut = &a
		return Allocation{}, false
	}
	s.left -= proofLooks * m.looks
	graph, proved := m.residualOf(deals, prices, best.values, s.slots)
	if !proved {
		return Allocation{}, false
	}
	least, greatest := graph.least(), graph.greatest()
	for i := range m.supplies {
		p := least[1+i]
		if p.tie > maxTie || p.tie < -maxTie {
			return Allocation{}, false // thousands of NexCores in a row: no certificate holds such ties
		}
		if p != (pairOf{}) {
			a.Certificate.Prices = append(a.Certificate.Prices, Priced{
				NexCoreID: m.supplies[i].ID, Prices: Prices{Slot: p.money, Tie: p.tie}, Width: greatest[i] - p.money,
			})
		}
	}
	a.Certificate.Exact, a.Certificate.Proof = true, graph.proof(least)
	s.certify(&a)
	return a, true
}

// flow looks for the best flow from a start, within 1 / share of the network's budget. As long as its own prices show edges
// that are missing it adds them and goes on.
func (s *search) flow(start func() (*transport, flow.Options), share int64) (f flown) {
	m := s.m
	s.left -= 3 * m.looks // building, starting, dealing: the same from any start
	t, options := start()
	f.net = t
	limit := (s.left - max(s.left/2, closingLooks*m.looks)) / share
	for f.values == nil && limit > 0 {
		options.MaxScanned = limit * arcsPerStep
		options.MaxPivots = max(options.MaxScanned/256, 1)
		result, err := flow.Solve(&t.graph, options)
		spent := (result.Scanned + m.looks) / arcsPerStep
		s.left, limit = s.left-spent, limit-spent
		if err != nil {
			break
		}
		if f.amount = result.Flow; !result.Optimal {
			break
		}
		f.prices = t.prices(&result)
		var added int
		if added, f.values = t.extend(&result, f.prices); added > 0 {
			f.values = nil
			options.Start = append(result.Flow, make([]int64, added)...)
			options.Prefer, options.Potential = result.Tree, result.Potential
		}
	}
	return f
}

// anew starts with all edges and nothing else.
func (s *search) anew() (*transport, flow.Options) {
	t := newTransport(s.m, s.slots, len(s.m.edges))
	t.includeAll()
	return t, flow.Options{}
}

// following starts with the edges that are best at the prices to follow, from a flow that follows them.
func (s *search) following() (*transport, flow.Options) {
	m := s.m
	prices := make([]int64, len(m.supplies))
	for _, h := range m.hints {
		prices[m.findSupply(h.NexCoreID)] = h.Slot
	}
	looked := m.mend(prices, s.slots)
	t := newTransport(m, s.slots, 8*len(m.supplies))
	value := t.includeBest(prices)
	amount, even, potential, followed := t.follow(prices, value)
	s.left -= (looked + followed + m.looks) / arcsPerStep
	return t, flow.Options{Start: amount, Prefer: even, Potential: potential}
}
