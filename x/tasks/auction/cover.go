package auction

import (
	"cmp"
	"slices"
)

// cover takes the canonical part of the book that one clearing looks at. Every choice is by rank under the
// seed, so the part rotates with the seed and nobody's place in the book depends on their number:
//
//  1. shapes without a valid entry are not covered and not counted;
//  2. the MaxShapes used shapes of lowest rank; entries of others wait;
//  3. the MaxSupplies NexCores of lowest rank, those that may trade at all before those that may not, and
//     no more than BoundEdges / shapes;
//  4. entries of covered shapes in order of rank, until MaxEntries or MaxShards is reached; the last one is
//     covered by its first shards only.
func (m *Model) cover(seed [32]byte) {
	shardsTotal := int64(0)
	used := make([]bool, len(m.shapes))
	for i := range m.entries {
		used[m.entries[i].ShapeIndex] = true
		shardsTotal += m.entries[i].Count
	}
	m.coverage.EntriesTotal, m.coverage.ShardsTotal = int64(len(m.entries)), shardsTotal
	m.coverShapes(seed, used)
	m.coverSupplies(seed)
	m.coverEntries()
}

func (m *Model) coverShapes(seed [32]byte, used []bool) {
	ranks := make([]ranked, 0, len(m.shapes))
	for i := range m.shapes {
		if used[i] {
			ranks = append(ranks, ranked{i, false, seedKey(seed, "shape", m.shapes[i].digest[:])})
		}
	}
	m.coverage.ShapesTotal = int64(len(ranks))
	ranks = lowest(ranks, m.params.MaxShapes)
	m.coverage.Shapes = int64(len(ranks))

	target := make([]int, len(m.shapes)) // old index to new, -1: not covered
	for i := range target {
		target[i] = -1
	}
	shapes := make([]shapeRow, 0, len(ranks))
	for _, r := range ranks {
		target[r.index] = len(shapes)
		shapes = append(shapes, m.shapes[r.index])
	}
	m.shapes = shapes
	kept := m.entries[:0]
	for _, e := range m.entries {
		if e.ShapeIndex = target[e.ShapeIndex]; e.ShapeIndex >= 0 {
			kept = append(kept, e)
		}
	}
	m.entries = kept
}

func (m *Model) coverSupplies(seed [32]byte) {
	m.coverage.SuppliesTotal = int64(len(m.supplies))
	limit := m.params.MaxSupplies
	if n := int64(len(m.shapes)); n > 0 {
		limit = min(limit, max(1, BoundEdges/n))
	}
	if int64(len(m.supplies)) > limit {
		key := seedKey(seed, "supply", nil)
		ranks := make([]ranked, len(m.supplies))
		for i := range m.supplies {
			ranks[i] = ranked{i, !m.supplies[i].standing, rankOf(key, m.supplies[i].ID)}
		}
		kept := make([]supplyRow, 0, limit)
		for _, r := range lowest(ranks, limit) {
			kept = append(kept, m.supplies[r.index])
		}
		m.supplies = kept
	}
	m.coverage.Supplies = int64(len(m.supplies))
}

func (m *Model) coverEntries() {
	shards := int64(0)
	for i := range m.entries {
		shards += m.entries[i].Count
	}
	if int64(len(m.entries)) > m.params.MaxEntries || shards > m.params.MaxShards {
		ranks := make([]ranked, len(m.entries))
		for i := range m.entries {
			ranks[i] = ranked{i, false, m.entries[i].rank}
		}
		slices.SortFunc(ranks, compareRanked)
		shards = 0
		n := 0
		for ; n < len(ranks) && int64(n) < m.params.MaxEntries && shards < m.params.MaxShards; n++ {
			e := &m.entries[ranks[n].index]
			e.Count = min(e.Count, m.params.MaxShards-shards)
			shards += e.Count
		}
		kept := make([]entryRow, 0, n)
		for _, r := range lowest(ranks, int64(n)) {
			kept = append(kept, m.entries[r.index])
		}
		m.entries = kept
	}
	m.coverage.Entries, m.coverage.Shards = int64(len(m.entries)), shards
}

// ranked is an item's place: last after all that are not last, then by rank, then by canonical index.
type ranked struct {
	index int
	last  bool
	rank  uint64
}

func compareRanked(a, b ranked) int {
	if a.last != b.last {
		if b.last {
			return -1
		}
		return 1
	}
	return cmp.Or(cmp.Compare(a.rank, b.rank), cmp.Compare(a.index, b.index))
}

// lowest returns the n lowest ranked items in canonical order.
func lowest(ranks []ranked, n int64) []ranked {
	if int64(len(ranks)) > n {
		slices.SortFunc(ranks, compareRanked)
		ranks = ranks[:n]
	}
	slices.SortFunc(ranks, func(a, b ranked) int { return cmp.Compare(a.index, b.index) })
	return ranks
}
