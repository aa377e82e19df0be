package auction

import (
	"cmp"
	"slices"
)

// placing says how many shards of an entry go to an edge of its class.
type placing struct {
	entry int32
	edge  int32 // in the class's edges
	count int64
}

// layout deals the shards of one class that are matched to the NexCores that take them, both in a canonical
// order: NexCores by the newest level first, then by (cost, tie); entries by the newest level first, then in fill
// order. What entries see is nested, so this serves all of them if anything does: an edge of a level is dealt
// before every entry that cannot see it. taken is by position in the class's entries, load by edge; both are
// used up. What cannot be dealt stays in taken and load.
func (m *Model) layout(c *classRow, taken, load []int64) []placing {
	var edges, entries []int32
	for i := range load {
		if load[i] > 0 {
			edges = append(edges, int32(i))
		}
	}
	for i := range taken {
		if taken[i] > 0 {
			entries = append(entries, int32(i))
		}
	}
	slices.SortFunc(edges, func(a, b int32) int {
		x, y := &c.edges[a], &c.edges[b]
		return cmp.Or(cmp.Compare(y.Level, x.Level), cmp.Compare(x.Cost, y.Cost), cmp.Compare(x.Tie, y.Tie))
	})
	slices.SortStableFunc(entries, func(a, b int32) int {
		return cmp.Compare(m.entries[c.entries[b]].level, m.entries[c.entries[a]].level)
	})
	var out []placing
	for i, j := 0, 0; i < len(edges) && j < len(entries); {
		edge, at := edges[i], entries[j]
		entry := &m.entries[c.entries[at]]
		if entry.level < c.edges[edge].Level || entry.usable < c.edges[edge].Cost {
			i++ // nobody that is left sees it
			continue
		}
		n := min(load[edge], taken[at])
		out = append(out, placing{c.entries[at], edge, n})
		load[edge] -= n
		taken[at] -= n
		if load[edge] == 0 {
			i++
		}
		if taken[at] == 0 {
			j++
		}
	}
	return out
}
