package auction

import (
	"errors"
	"fmt"
	"slices"
)

// What is wrong with a certificate or with what follows from it.
var (
	ErrPriceVector = errors.New("prices are malformed")
	ErrBound       = errors.New("the bound is not what the prices give")
	ErrRent        = errors.New("a match has a rent that its price of capacity does not give")
	ErrCut         = errors.New("an exact certificate of a clearing that was cut")
	ErrGap         = errors.New("an exact certificate leaves a gap")
	ErrFill        = errors.New("shards are not filled in canonical order")
	ErrTie         = errors.New("among equals not the allocation that the ties name")
	ErrProof       = errors.New("prices are not proved to be the least")
)

// certificate verifies what an allocation says about its quality: prices, bound and rents always; if it claims to
// be exact also that nothing is better (gap), nothing equal comes before it (fill and ties), and no price could be
// lower (proof).
func (c *checker) certificate() error {
	a := c.a
	if err := c.priceVector(); err != nil {
		return err
	}
	c.room()
	d, ties := c.bound()
	if d != a.Bound || d < a.Welfare {
		return fmt.Errorf("%w: %d unex, not %d", ErrBound, d, a.Bound)
	}
	if err := c.rents(); err != nil {
		return err
	}
	if !a.Certificate.Exact {
		if len(a.Certificate.Proof) > 0 {
			return fmt.Errorf("%w: a proof without an exact certificate", ErrProof)
		}
		return nil
	}
	switch {
	case a.Cut:
		return ErrCut
	case d != a.Welfare:
		return fmt.Errorf("%w: bound %d, welfare %d unex", ErrGap, d, a.Welfare)
	}
	used, err := c.fill()
	if err != nil {
		return err
	}
	if err := c.ties(ties); err != nil {
		return err
	}
	return c.proof(used)
}

// priceVector brings the prices of the certificate into the order of supplies. An exact one prices slots alone, and
// has a width.
func (c *checker) priceVector() error {
	list, exact := c.a.Certificate.Prices, c.a.Certificate.Exact
	c.prices = make([]Prices, len(c.m.supplies))
	for i := range list {
		p := &list[i]
		at := c.supply(p.NexCoreID)
		switch {
		case at < 0 || i > 0 && list[i-1].NexCoreID >= p.NexCoreID:
			return fmt.Errorf("%w: NexCore %d is unknown or out of order", ErrPriceVector, p.NexCoreID)
		case p.Slot < 0 || p.Slot > MaxLimit || p.Slot == 0 && p.Tie < 0 || p.Tie > maxTie || p.Tie < -maxTie:
			return fmt.Errorf("%w: NexCore %d has slot price %d, tie %d", ErrPriceVector, p.NexCoreID, p.Slot, p.Tie)
		case slices.Min(p.Dims[:]) < 0 || p.Prices == (Prices{}):
			return fmt.Errorf("%w: NexCore %d has a price below 0 or none", ErrPriceVector, p.NexCoreID)
		case p.Width < 0 || p.Width > MaxLimit || !exact && p.Width != 0 || exact && p.Dims != (Dims{}):
			return fmt.Errorf("%w: NexCore %d has width %d, dimensions %v, exact %t", ErrPriceVector, p.NexCoreID, p.Width, p.Dims, exact)
		}
		c.prices[at] = p.Prices
	}
	return nil
}

// rents verifies what each match pays for scarce capacity: price times need, rounded down, and no more than the limit
// leaves over cost. In a clearing that was cut a NexCore with room for one more shard charges none: there what is
// scarce is leases, not capacity.
func (c *checker) rents() error {
	lease := make([]int64, len(c.m.classes))
	for i := range lease {
		lease[i] = c.leaseOf(&c.m.classes[i])
	}
	for i := range c.a.Matches {
		match, at := &c.a.Matches[i], &c.places[i]
		want := int64(0)
		if p := &c.prices[at.supply]; *p != (Prices{}) && (c.roomy == nil || !c.roomy[at.supply]) {
			entry := &c.m.entries[at.entry]
			most := entry.usable - at.edge.Cost
			want = min(p.Slot, most)
			if p.Dims != (Dims{}) {
				n := &c.m.shapes[entry.ShapeIndex].Need
				need := Dims{n[0], n[1], n[2], n[3], c.bondOf(at.edge.Price), lease[entry.class]}
				want = most
				if sum, exact := spent(p, &need, 0); exact {
					want = min(int64(sum>>priceShift), most)
				}
			}
		}
		if match.Rent != want {
			return match.fault(i, fmt.Errorf("%w: %d unex, not %d", ErrRent, match.Rent, want))
		}
	}
	return nil
}

// fill verifies which shards are matched and where each goes: in an entry from its first on, in a class and level
// from the highest usable limit down, and over a class in order, so that no later entry has an earlier NexCore. It
// returns how many shards of each entry are matched.
func (c *checker) fill() (used []int64, err error) {
	m := c.m
	used = make([]int64, len(m.entries))
	start := make([]int32, len(m.entries)+1) // the matches of entry i are start[i] to start[i+1]
	for i := range c.a.Matches {
		match, at := &c.a.Matches[i], c.places[i].entry
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
	var deal []dealt
	for i := range m.classes {
		class := &m.classes[i]
		open = append(open[:0], make([]bool, c.top(class)+1)...)
		deal = deal[:0]
		for j := range class.entries {
			e := &class.entries[j]
			at := e.entry
			if used[at] > 0 && open[e.level] {
				return nil, fmt.Errorf("job %d shard %d: %w", m.entries[at].JobID, m.entries[at].First, ErrFill)
			}
			open[e.level] = open[e.level] || used[at] < e.count
			for k := start[at]; k < start[at+1]; k++ {
				deal = append(deal, dealt{e, c.places[k].edge})
			}
		}
		if len(open) > 1 { // who sees the newest asks is served first, and by them
			slices.SortStableFunc(deal, func(x, y dealt) int { return int(y.entry.level - x.entry.level) })
		}
		for k := 1; k < len(deal); k++ {
			if deal[k].edge.comesBefore(deal[k-1].edge) {
				e := &m.entries[deal[k].entry.entry]
				return nil, fmt.Errorf("job %d shard %d: %w", e.JobID, e.First, ErrFill)
			}
		}
	}
	return used, nil
}

// dealt is an edge on which an entry has a match.
type dealt struct {
	entry *asker
	edge  *Edge
}

// comesBefore is the order in which NexCores are dealt out: newest level, least cost, least hash.
func (e *Edge) comesBefore(f *Edge) bool {
	switch {
	case e.Level != f.Level:
		return e.Level > f.Level
	case e.Cost != f.Cost:
		return e.Cost < f.Cost
	}
	return e.Tie < f.Tie
}

// ties verifies for the second order what the bound does for the first: no allocation of this welfare has a greater
// sum of bonuses than the prices allow, and this one has that sum. classes is the part of it that bound computed.
func (c *checker) ties(classes int64) error {
	have, allowed, slots := int64(0), classes, int64(0)
	for i := range c.a.Matches {
		at := &c.places[i]
		have += c.a.Matches[i].Count * (tieBonus(at.edge.Tie) + tieBonus(c.m.entries[at.entry].rank))
	}
	for i := range c.prices {
		// Without a gap a NexCore with a slot price is full, so that these are at most the shards of the model. One
		// that has a tie price alone must be full as well.
		if p := &c.prices[i]; *p != (Prices{}) {
			if slots += c.slots[i]; slots > c.m.coverage.Shards {
				return fmt.Errorf("%w: NexCore %d is priced and not full", ErrTie, c.m.supplies[i].ID)
			}
			allowed += c.slots[i] * p.Tie
		}
	}
	if have != allowed {
		return fmt.Errorf("%w: bonus %d, best %d", ErrTie, have, allowed)
	}
	return nil
}
