package auction

import "fmt"

// proof verifies that no priced NexCore could be cheaper: by induction over the steps, each price is exactly what
// keeps one entry from moving there, from no match or from a NexCore that could not be cheaper either.
func (c *checker) proof(used []int64) error {
	steps := c.a.Certificate.Proof
	if len(steps) != len(c.a.Certificate.Prices) {
		return fmt.Errorf("%w: %d steps for %d prices", ErrProof, len(steps), len(c.a.Certificate.Prices))
	}
	proved := make([]bool, len(c.m.supplies))
	for i := range c.prices {
		proved[i] = c.prices[i] == (Prices{}) // what costs nothing cannot be cheaper
	}
	for i := range steps {
		if !c.step(&steps[i], used, proved) {
			return fmt.Errorf("step %d, NexCore %d: %w", i, steps[i].NexCoreID, ErrProof)
		}
	}
	return nil
}

// step verifies one step and marks its NexCore as proved.
func (c *checker) step(s *Step, used []int64, proved []bool) bool {
	node, at := c.supply(s.NexCoreID), c.m.find(s.JobID, s.First)
	if node < 0 || at < 0 || proved[node] {
		return false
	}
	entry := &c.m.entries[at]
	edges := c.m.classes[entry.class].edges
	e := edgeIn(edges, node)
	if e == nil || e.Level > entry.level {
		return false
	}
	keeps := offer{entry.usable, tieBonus(entry.rank)} // a shard without a match moves for less than its worth
	if s.Parent == 0 {
		if used[at] == entry.Count {
			return false
		}
	} else { // one with a match for less than it has there
		parent := c.supply(s.Parent)
		if parent < 0 || !proved[parent] || !c.serves(s.Parent, entry) {
			return false
		}
		keeps = c.at(edgeIn(edges, parent))
	}
	proved[node] = true
	return c.at(e) == keeps
}

// at is what an edge offers at the certificate's prices.
func (c *checker) at(e *Edge) offer {
	p := &c.prices[e.Supply]
	return offer{e.Cost + p.Slot, p.Tie - tieBonus(e.Tie)}
}

// serves says whether a NexCore has a match with shards of an entry.
func (c *checker) serves(nexcore uint64, entry *entryRow) bool {
	low, high := 0, len(c.a.Matches)
	for low < high {
		mid := int(uint(low+high) >> 1)
		if x := &c.a.Matches[mid]; x.JobID < entry.JobID || x.JobID == entry.JobID && x.First < entry.First {
			low = mid + 1
		} else {
			high = mid
		}
	}
	for ; low < len(c.a.Matches) && c.a.Matches[low].JobID == entry.JobID && c.a.Matches[low].First < entry.First+entry.Count; low++ {
		if c.a.Matches[low].NexCoreID == nexcore {
			return true
		}
	}
	return false
}
