package auction

import (
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

// network finds the best flow and its least prices; done is false if its half of the budget, or what is left but for the
// closing, ends first or leases do not fit. What it had by then is kept as a candidate.
//
// With prices to follow it begins with the edges that are best at these prices and adds others as long as the flow's
// own prices ask for them. Without, it begins with all. Prices change the way, and the answer at most between
// allocations of equal welfare and equal ties; they are in the book, so every validator has the same.
func (s *search) network() (Allocation, bool) {
	m := s.m
	s.left -= 3 * m.looks // building, starting, dealing: the same from any start
	t, options := s.begin()
	limit := s.left - max(s.left/2, closingLooks*m.looks)
	var result flow.Result
	var prices []Prices
	var values []pairOf // of levels, by node, once the flow is proved to be the best
	for values == nil && limit > 0 {
		options.MaxScanned = limit * arcsPerStep
		options.MaxPivots = max(options.MaxScanned/256, 1)
		next, err := flow.Solve(&t.graph, options)
		spent := (next.Scanned + m.looks) / arcsPerStep
		s.left, limit = s.left-spent, limit-spent
		if err != nil {
			break
		}
		if result = next; !result.Optimal {
			break
		}
		prices = t.prices(&result)
		var added int
		if added, values = t.extend(&result, prices); added > 0 {
			values = nil
			options.Start = append(result.Flow, make([]int64, added)...)
			options.Prefer, options.Potential = result.Tree, result.Potential
		}
	}
	if result.Flow == nil {
		return Allocation{}, false
	}
	deals := t.deals(result.Flow)
	a, fits := s.lease(deals)
	if !fits || values == nil {
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
	graph, proved := m.residualOf(deals, prices, values, s.slots)
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

// begin makes the network and says where the flow engine starts.
func (s *search) begin() (*transport, flow.Options) {
	m := s.m
	if len(m.hints) == 0 {
		t := newTransport(m, s.slots, len(m.edges))
		t.includeAll()
		return t, flow.Options{}
	}
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
