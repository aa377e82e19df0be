package auction

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
)

// What is wrong with a certificate or with what follows from it.
var (
	ErrPriceVector = errors.New("prices are malformed")
	ErrBound       = errors.New("the bound is not what the prices give")
	ErrGap         = errors.New("an exact certificate leaves a gap")
	ErrFill        = errors.New("shards are not filled in canonical order")
	ErrTie         = errors.New("among equals not the allocation that the ties name")
	ErrProof       = errors.New("prices are not proved to be the least")
	ErrRent        = errors.New("a match has a rent that its price of capacity does not give")
)

// tieBonus is what a match adds to the second order: among allocations of equal welfare the greatest sum
// stands, so that more shards come before fewer and then the hashes of the seed decide. 1 to 2^20.
func tieBonus(e *Edge) int64 { return int64(tieSpan - e.Tie>>(64-tieBits)) }

const (
	tieBits = 20
	tieSpan = uint64(1) << tieBits
	// maxTie bounds a tie price, so that their sums over all shards stay in int64.
	maxTie = int64(1) << 34
)

// pairOf is a value in the order of money first and ties second.
type pairOf struct{ money, tie int64 }

func (a pairOf) compare(b pairOf) int {
	return cmp.Or(cmp.Compare(a.money, b.money), cmp.Compare(a.tie, b.tie))
}

// checkCertificate verifies what an allocation says about its quality, in one pass over the edges, from the
// model and the matches alone.
func (m *Model) checkCertificate(a *Allocation, places []place) error {
	prices, err := m.checkPrices(a.Certificate.Prices)
	if err != nil {
		return err
	}
	if bound := m.bound(prices); bound != a.Bound || bound < a.Welfare {
		return fmt.Errorf("%w: %d unex, not %d", ErrBound, bound, a.Bound)
	}
	shares := m.leaseShares()
	for i := range a.Matches {
		entry := &m.entries[places[i].entry]
		e := places[i].edge
		want := m.rent(entry, e.Price, entry.usable-e.Cost, &prices[places[i].supply], shares[entry.class])
		if a.Matches[i].Rent != want {
			return a.Matches[i].fault(i, fmt.Errorf("%w: %d unex, not %d", ErrRent, a.Matches[i].Rent, want))
		}
	}
	if !a.Certificate.Exact {
		if len(a.Certificate.Proof) > 0 {
			return fmt.Errorf("%w: a proof without an exact certificate", ErrProof)
		}
		return nil
	}
	if a.Bound != a.Welfare {
		return fmt.Errorf("%w: bound %d, welfare %d unex", ErrGap, a.Bound, a.Welfare)
	}
	used, err := m.checkFill(a, places)
	if err != nil {
		return err
	}
	if err := m.checkTies(a, places, prices); err != nil {
		return err
	}
	return m.checkProof(a, prices, used)
}

// checkPrices brings the prices of a certificate into the order of supplies.
func (m *Model) checkPrices(list []Priced) ([]Prices, error) {
	prices := make([]Prices, len(m.supplies))
	for i := range list {
		p := &list[i]
		at := m.findSupply(p.NexCoreID)
		switch {
		case at < 0 || i > 0 && list[i-1].NexCoreID >= p.NexCoreID:
			return nil, fmt.Errorf("%w: NexCore %d is unknown or out of order", ErrPriceVector, p.NexCoreID)
		case p.Slot < 0 || p.Slot > MaxLimit || p.Slot == 0 && p.Tie < 0 || p.Tie > maxTie || p.Tie < -maxTie:
			return nil, fmt.Errorf("%w: NexCore %d has slot price %d, tie %d", ErrPriceVector, p.NexCoreID, p.Slot, p.Tie)
		case slices.Min(p.Dims[:]) < 0 || p.Width < 0 || p.Width > MaxLimit || p.Prices == (Prices{}):
			return nil, fmt.Errorf("%w: NexCore %d has a price below 0 or none", ErrPriceVector, p.NexCoreID)
		}
		prices[at] = p.Prices
	}
	return prices, nil
}

// rent is what a shard of an entry pays for scarce capacity at a price of its own, unex: at most what the limit
// leaves over cost, for outside the exact case prices of capacity may pass what a match is worth.
func (m *Model) rent(entry *entryRow, price, left int64, p *Prices, leaseShare int64) int64 {
	if *p == (Prices{}) {
		return 0
	}
	n := &m.shapes[entry.ShapeIndex].Need
	need := Dims{n[0], n[1], n[2], n[3], m.bondShare(price), leaseShare}
	return min(int64(rentOf(p, &need)>>priceShift), left)
}

// checkFill verifies which shards are matched and where each goes: within a class and level from the highest
// limit down, within a class in the order of layout. It returns how many shards of each entry are matched.
func (m *Model) checkFill(a *Allocation, places []place) (used []int64, err error) {
	used = make([]int64, len(m.entries))
	start := make([]int32, len(m.entries)+1) // the matches of entry i are start[i] to start[i+1]
	for i := range a.Matches {
		match, at := &a.Matches[i], places[i].entry
		if match.First != m.entries[at].First+used[at] {
			return nil, match.fault(i, ErrFill)
		}
		used[at] += match.Count
		start[at+1]++
	}
	for i := range m.entries {
		start[i+1] += start[i]
	}
	var open []bool // a shard of this level has no match
	var deal []placeOf
	for i := range m.classes {
		c := &m.classes[i]
		open = append(open[:0], make([]bool, c.levels)...)
		deal = deal[:0]
		for j := range c.entries {
			e := &c.entries[j]
			at := e.entry
			if used[at] > 0 && open[e.level] {
				return nil, fmt.Errorf("job %d shard %d: %w", m.entries[at].JobID, m.entries[at].First, ErrFill)
			}
			open[e.level] = open[e.level] || used[at] < e.count
			for k := start[at]; k < start[at+1]; k++ {
				deal = append(deal, placeOf{at, places[k].edge})
			}
		}
		if err := m.checkDeal(deal, len(open) > 1); err != nil {
			return nil, err
		}
	}
	return used, nil
}

// placeOf is an edge on which an entry has a match.
type placeOf struct {
	entry int32
	edge  *Edge
}

// checkDeal verifies that the matches of a class, given in fill order, meet NexCores in order: no later entry has
// an earlier NexCore.
func (m *Model) checkDeal(deal []placeOf, levels bool) error {
	if levels {
		slices.SortStableFunc(deal, func(x, y placeOf) int { return cmp.Compare(m.entries[y.entry].level, m.entries[x.entry].level) })
	}
	for i := 1; i < len(deal); i++ {
		x, y := deal[i-1].edge, deal[i].edge
		if cmp.Or(cmp.Compare(y.Level, x.Level), cmp.Compare(x.Cost, y.Cost), cmp.Compare(x.Tie, y.Tie)) > 0 {
			e := &m.entries[deal[i].entry]
			return fmt.Errorf("job %d shard %d: %w", e.JobID, e.First, ErrFill)
		}
	}
	return nil
}

// checkTies does for pairs (welfare, ties) what bound does for welfare: no allocation of this welfare has a
// greater sum of tie bonuses than the prices allow, and this one has that sum.
func (m *Model) checkTies(a *Allocation, places []place, prices []Prices) error {
	have, allowed, priced := int64(0), int64(0), int64(0)
	for i := range a.Matches {
		have += a.Matches[i].Count * tieBonus(places[i].edge)
	}
	for i := range prices {
		p := &prices[i]
		if *p == (Prices{}) {
			continue
		}
		// A priced NexCore is full, or the gap were not 0: so its slots are at most the shards of the model.
		if priced += m.slots[i]; priced > m.coverage.Shards || p.Dims != (Dims{}) {
			return fmt.Errorf("%w: NexCore %d is priced and not full", ErrTie, m.supplies[i].ID)
		}
		allowed += m.slots[i] * p.Tie
	}
	var value []pairOf
	for i := range m.classes {
		c := &m.classes[i]
		value = append(value[:0], make([]pairOf, c.levels)...)
		m.pairValues(c, prices, value)
		for j := range c.entries {
			e := &c.entries[j]
			v := value[e.level]
			switch {
			case e.usable > v.money:
				allowed -= e.count * v.tie
			case e.usable == v.money:
				allowed += e.count * max(0, -v.tie)
			}
		}
	}
	if have != allowed {
		return fmt.Errorf("%w: bonus %d, best %d", ErrTie, have, allowed)
	}
	return nil
}

// pairValues is values in pairs: the least (cost + slot price, tie price - bonus) that each level sees.
func (m *Model) pairValues(c *classRow, prices []Prices, value []pairOf) {
	best := pairOf{money: 2 * unpayable}
	for l := range value {
		for _, e := range c.levelLinks(l) {
			p := &prices[e.supply]
			money := e.cost + p.Slot
			if money > best.money {
				continue // most edges: their tie is not looked at
			}
			if v := (pairOf{money, p.Tie - int64(e.bonus)}); v.compare(best) < 0 {
				best = v
			}
		}
		value[l] = best
	}
}

// checkProof verifies that no priced NexCore could be cheaper: by induction over the steps, each price is
// exactly what keeps one entry from moving there, from no match or from a NexCore that could not be cheaper
// either.
func (m *Model) checkProof(a *Allocation, prices []Prices, used []int64) error {
	if len(a.Certificate.Proof) != len(a.Certificate.Prices) {
		return fmt.Errorf("%w: %d steps for %d prices", ErrProof, len(a.Certificate.Proof), len(a.Certificate.Prices))
	}
	proved := make([]bool, len(m.supplies))
	for i := range a.Certificate.Proof {
		if err := m.checkStep(a, &a.Certificate.Proof[i], prices, used, proved); err != nil {
			return fmt.Errorf("step %d, NexCore %d: %w", i, a.Certificate.Proof[i].NexCoreID, err)
		}
	}
	return nil
}

func (m *Model) checkStep(a *Allocation, step *Step, prices []Prices, used []int64, proved []bool) error {
	node, at := m.findSupply(step.NexCoreID), m.find(step.JobID, step.First)
	if node < 0 || at < 0 || proved[node] || prices[node] == (Prices{}) {
		return ErrProof
	}
	entry := &m.entries[at]
	e := m.edge(entry.ShapeIndex, node)
	if e == nil || e.Level > entry.level || entry.excludes(step.NexCoreID) {
		return ErrProof
	}
	keeps := pairOf{entry.usable, 0} // what the entry pays elsewhere, at least: all it has, or the parent's
	if step.Parent == 0 {
		if used[at] == entry.Count {
			return ErrProof
		}
	} else {
		parent := m.findSupply(step.Parent)
		if parent < 0 || !proved[parent] && prices[parent] != (Prices{}) || !hasShard(a, entry, step.Parent) {
			return ErrProof
		}
		from := m.edge(entry.ShapeIndex, parent)
		keeps = pairOf{from.Cost + prices[parent].Slot, prices[parent].Tie - tieBonus(from)}
	}
	if (pairOf{e.Cost + prices[node].Slot, prices[node].Tie - tieBonus(e)}) != keeps {
		return ErrProof
	}
	proved[node] = true
	return nil
}

// hasShard says whether a NexCore has a match with shards of an entry.
func hasShard(a *Allocation, entry *entryRow, nexcore uint64) bool {
	i, _ := slices.BinarySearchFunc(a.Matches, entry, func(x Match, e *entryRow) int {
		return cmp.Or(cmp.Compare(x.JobID, e.JobID), cmp.Compare(x.First, e.First))
	})
	for ; i < len(a.Matches) && a.Matches[i].JobID == entry.JobID && a.Matches[i].First < entry.First+entry.Count; i++ {
		if a.Matches[i].NexCoreID == nexcore {
			return true
		}
	}
	return false
}
