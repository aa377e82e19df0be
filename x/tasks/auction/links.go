package auction

// link is an edge of a class as passes over all edges read it: half as long as an Edge.
type link struct {
	cost   int64
	supply int32
	bonus  int32 // tieBonus
}

// pair is the cost with its bonus, the second order.
func (e *link) pair() pairOf { return pairOf{e.cost, -int64(e.bonus)} }

// place is where the edge of a link is in the class's edges.
func (c *classRow) place(supply int32) int32 {
	low, high := 0, len(c.edges)
	for low < high {
		mid := int(uint(low+high) >> 1)
		if c.edges[mid].Supply < supply {
			low = mid + 1
		} else {
			high = mid
		}
	}
	return int32(low)
}

// levelLinks are the edges of a class that level l sees and the one below does not.
func (c *classRow) levelLinks(l int) []link { return c.links[c.starts[l]:c.starts[l+1]] }

// addLinks counts the levels that the entries of each class use and lists its edges by level, then by supply;
// edges that no entry sees are left out.
func (m *Model) addLinks() {
	total := 0
	for i := range m.classes {
		total += len(m.classes[i].edges)
	}
	backing := make([]link, total)
	for i := range m.classes {
		c := &m.classes[i]
		top := int32(0)
		for j := range c.entries {
			top = max(top, c.entries[j].level)
		}
		c.levels = int(top) + 1
		c.starts = make([]int32, c.levels+2)
		for j := range c.edges {
			c.starts[min(c.edges[j].Level, top+1)+1]++
		}
		for l := 1; l < len(c.starts); l++ {
			c.starts[l] += c.starts[l-1]
		}
		c.links, backing = backing[:len(c.edges)], backing[len(c.edges):]
		at := append(make([]int32, 0, 32), c.starts...)
		for j := range c.edges {
			e := &c.edges[j]
			l := min(e.Level, top+1)
			c.links[at[l]] = link{cost: e.Cost, supply: e.Supply, bonus: int32(tieBonus(e.Tie))}
			at[l]++
		}
		c.links, c.starts = c.links[:c.starts[c.levels]], c.starts[:c.levels+1]
	}
}
