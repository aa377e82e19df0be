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

// load says how many shards an edge of a class takes.
type load struct {
	edge  int32
	count int64
}

// layout deals the shards of one class that are matched to the NexCores that take them, both in a canonical
// order: NexCores by the newest level first, then by (cost, tie); entries by the newest level first, then in fill
// order. What entries see is nested, so this serves all of them if anything does: an edge of a level is dealt
// before every entry that cannot see it. taken is by position in the class's entries; loads are of distinct edges,
// above 0. Both are used up. What cannot be dealt stays in them. Placings are appended to out.
func (c *classRow) layout(out []placing, taken []int64, loads []load) []placing {
	slices.SortFunc(loads, func(a, b load) int {
		x, y := &c.edges[a.edge], &c.edges[b.edge]
		switch {
		case x.Level != y.Level:
			return cmp.Compare(y.Level, x.Level)
		case x.Cost != y.Cost:
			return cmp.Compare(x.Cost, y.Cost)
		}
		return cmp.Compare(x.Tie, y.Tie)
	})
	entries := make([]int32, 0, 64)
	for i := range taken {
		if taken[i] > 0 {
			entries = append(entries, int32(i))
		}
	}
	if c.levels > 1 {
		slices.SortStableFunc(entries, func(a, b int32) int {
			return cmp.Compare(c.entries[b].level, c.entries[a].level)
		})
	}
	for i, j := 0, 0; i < len(loads) && j < len(entries); {
		on, at := &loads[i], entries[j]
		entry, edge := &c.entries[at], &c.edges[on.edge]
		if entry.level < edge.Level || entry.usable < edge.Cost {
			i++ // nobody that is left sees it
			continue
		}
		n := min(on.count, taken[at])
		out = append(out, placing{entry.entry, on.edge, n})
		on.count -= n
		taken[at] -= n
		if on.count == 0 {
			i++
		}
		if taken[at] == 0 {
			j++
		}
	}
	return out
}
