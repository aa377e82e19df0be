package auction

import (
	"github.com/nexara/nexara/x/tasks/auction/flow"
)

// arcsPerStep is how many arcs the flow engine looks at for one step of the budget.
const arcsPerStep = 4

// network finds the best flow and its least prices; done is false if its half of the budget ends first or leases
// do not fit. What it had by then is kept as a candidate.
func (s *search) network() (Allocation, bool) {
	m := s.m
	t := newTransport(m, s.slots)
	limit := max(s.left/2, 1) * arcsPerStep
	options := flow.Options{MaxScanned: limit, MaxPivots: max(limit/256, 1)}
	if len(m.hints) > 0 { // without prices to follow the engine's own start is as good and cheaper
		hints := make([]int64, len(m.supplies))
		for _, h := range m.hints {
			hints[m.findSupply(h.NexCoreID)] = h.Slot
		}
		options.Start, options.Potential = t.start(hints), t.potential(hints)
	}
	result, err := flow.Solve(&t.graph, options)
	s.left -= result.Scanned/arcsPerStep + 3*m.looks // building, starting, dealing
	if err != nil {
		return Allocation{}, false
	}
	deals := t.deals(result.Flow)
	a, fits := s.lease(deals)
	if !fits || !result.Optimal {
		s.partial = &a
		return Allocation{}, false
	}
	prices := t.prices(&result)
	if a.Cut {
		for i, p := range prices {
			if p.money > 0 {
				a.Certificate.Prices = append(a.Certificate.Prices, Priced{NexCoreID: m.supplies[i].ID, Prices: Prices{Slot: p.money}})
			}
		}
		s.cut = &a
		return Allocation{}, false
	}
	graph, proved := m.residualOf(deals, prices, s.slots)
	if !proved {
		return Allocation{}, false
	}
	least, proof := graph.least()
	greatest := graph.greatest()
	s.left -= graph.looked + 3*m.looks
	for i, p := range least {
		if p.tie > maxTie || p.tie < -maxTie {
			return Allocation{}, false // thousands of NexCores in a row: no certificate holds such ties
		}
		if p != (pairOf{}) {
			a.Certificate.Prices = append(a.Certificate.Prices, Priced{
				NexCoreID: m.supplies[i].ID, Prices: Prices{Slot: p.money, Tie: p.tie}, Width: greatest[i] - p.money,
			})
		}
	}
	a.Certificate.Exact, a.Certificate.Proof = true, proof
	s.certify(&a)
	return a, true
}

// prices reads the value of slots from the potentials of an optimal flow.
func (t *transport) prices(r *flow.Result) []pairOf {
	out := make([]pairOf, len(t.m.supplies))
	for i := range out {
		if t.slots[i] > 0 {
			p := pairOf{r.Potential[root] - r.Potential[1+i], r.TiePotential[root] - r.TiePotential[1+i]}
			if p.compare(pairOf{}) > 0 {
				out[i] = p
			}
		}
	}
	return out
}
