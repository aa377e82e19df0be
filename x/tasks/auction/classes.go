package auction

import (
	"cmp"
	"slices"
)

// BoundClassEdges bounds the edges that one model copies for classes of entries with excluded NexCores, or the number
// of its own edges does where that is more. So excluding costs a clearing no more than a book twice as full.
const BoundClassEdges = int64(1) << 17

// classRow is a demand class: the covered entries of one shape that may use the same NexCores but for how much
// they pay and how new an ask they see. What they see is nested: an entry of level l sees every edge of level
// l and below, so that a class needs one list of edges and no copy for each height.
type classRow struct {
	shape    int
	excluded []uint64 // that have an edge of the shape; ascending
	edges    []Edge   // of the shape less the excluded, ascending by supply
	entries  []int32  // in fill order
	shards   int64
}

// before is the fill order of two entries of one class: usable limit, highest first, then rank, then place.
func (m *Model) before(a, b int32) int {
	x, y := &m.entries[a], &m.entries[b]
	return cmp.Or(cmp.Compare(y.usable, x.usable), cmp.Compare(x.rank, y.rank), cmp.Compare(a, b))
}

// addLevels numbers, for each shape, the heights from which its entries look at the asks. A height that shows
// no more edges than the one before has its number.
func (m *Model) addLevels() {
	byShape := m.entriesByShape()
	for from := 0; from < len(byShape); {
		to := from
		shape := m.entries[byShape[from]].ShapeIndex
		for to < len(byShape) && m.entries[byShape[to]].ShapeIndex == shape {
			to++
		}
		m.levelShape(shape, byShape[from:to])
		from = to
	}
}

// entriesByShape lists all entries by shape and then by place.
func (m *Model) entriesByShape() []int32 {
	out := make([]int32, len(m.entries))
	for i := range out {
		out[i] = int32(i)
	}
	slices.SortStableFunc(out, func(a, b int32) int {
		return cmp.Compare(m.entries[a].ShapeIndex, m.entries[b].ShapeIndex)
	})
	return out
}

func (m *Model) levelShape(shape int, entries []int32) {
	heights := make([]int64, 0, 16)
	for _, i := range entries {
		if h := m.entries[i].VisibleBefore; len(heights) == 0 || h != heights[len(heights)-1] {
			heights = append(heights, h)
		}
	}
	slices.Sort(heights)
	heights = slices.Compact(heights)
	edges := m.edges[m.shapes[shape].edgeFrom:m.shapes[shape].edgeTo]
	shows := make([]bool, len(heights)+1)
	for i := range edges {
		edges[i].Level = firstAbove(heights, m.supplies[edges[i].Supply].AskHeight)
		shows[edges[i].Level] = true
	}
	level := make([]int32, len(heights)+1) // old number to new
	for i := 1; i < len(level); i++ {
		level[i] = level[i-1]
		if shows[i] {
			level[i]++
		}
	}
	for i := range edges {
		edges[i].Level = level[edges[i].Level]
	}
	for _, i := range entries {
		at, _ := slices.BinarySearch(heights, m.entries[i].VisibleBefore)
		m.entries[i].level = level[at]
	}
}

// firstAbove is the index of the first height above h, len(heights) without one.
func firstAbove(heights []int64, h int64) int32 {
	low, high := 0, len(heights)
	for low < high {
		if mid := (low + high) / 2; heights[mid] > h {
			high = mid
		} else {
			low = mid + 1
		}
	}
	return int32(low)
}

// addClasses groups the entries. Classes with excluded NexCores copy edges; those beyond BoundClassEdges, by
// the least rank among their entries, are not covered by this clearing.
func (m *Model) addClasses() {
	excluded := make([][]uint64, len(m.entries)) // the part that has an edge
	for i := range m.entries {
		excluded[i] = m.effective(&m.entries[i])
	}
	order := m.entriesByShape()
	slices.SortStableFunc(order, func(a, b int32) int {
		return cmp.Or(cmp.Compare(m.entries[a].ShapeIndex, m.entries[b].ShapeIndex),
			slices.Compare(excluded[a], excluded[b]), m.before(a, b))
	})
	m.classes = m.classes[:0]
	for from := 0; from < len(order); {
		first := order[from]
		c := classRow{shape: m.entries[first].ShapeIndex, excluded: excluded[first]}
		to := from
		for to < len(order) && m.entries[order[to]].ShapeIndex == c.shape && slices.Equal(excluded[order[to]], c.excluded) {
			c.shards += m.entries[order[to]].Count
			to++
		}
		c.entries = order[from:to:to]
		m.classes = append(m.classes, c)
		from = to
	}
	if m.dropClasses() {
		m.addClasses() // once: what is left is within the bound
		return
	}
	m.looks = int64(len(m.entries) + len(m.supplies))
	for i := range m.classes {
		m.classes[i].edges = m.classEdges(&m.classes[i])
		m.looks += int64(len(m.classes[i].edges))
		for _, e := range m.classes[i].entries {
			m.entries[e].class = int32(i)
		}
	}
}

// effective is the part of an entry's excluded NexCores that has an edge of its shape.
func (m *Model) effective(e *entryRow) []uint64 {
	var out []uint64
	edges := m.Edges(e.ShapeIndex)
	for _, id := range e.Excluded {
		at := m.findSupply(id)
		if at < 0 {
			continue
		}
		if edgeIn(edges, int32(at)) != nil {
			out = append(out, id)
		}
	}
	return out
}

// classEdges are the edges of a class. Where it excludes some they are copies with a tie of their own: which of two
// classes of a shape gets which of two equal NexCores then is a matter of the second order too.
func (m *Model) classEdges(c *classRow) []Edge {
	edges := m.Edges(c.shape)
	if len(c.excluded) == 0 {
		return edges
	}
	key := m.shapes[c.shape].tie
	for _, id := range c.excluded {
		key = rankOf(key, id)
	}
	out := make([]Edge, 0, len(edges))
	for _, e := range edges {
		id := m.supplies[e.Supply].ID
		if _, found := slices.BinarySearch(c.excluded, id); !found {
			e.Tie = rankOf(key, id)
			out = append(out, e)
		}
	}
	return out
}

// dropClasses takes the entries of classes beyond the bound out of the model and says whether there were any.
func (m *Model) dropClasses() bool {
	ranks := make([]ranked, 0)
	total := int64(0)
	for i := range m.classes {
		c := &m.classes[i]
		if len(c.excluded) == 0 {
			continue
		}
		r := ranked{index: i, rank: m.entries[c.entries[0]].rank}
		for _, e := range c.entries {
			r.rank = min(r.rank, m.entries[e].rank)
		}
		ranks = append(ranks, r)
		total += int64(len(m.Edges(c.shape)))
	}
	bound := max(BoundClassEdges, int64(len(m.edges)))
	if total <= bound {
		return false
	}
	slices.SortFunc(ranks, compareRanked)
	drop := make([]bool, len(m.entries))
	total = 0
	for _, r := range ranks {
		c := &m.classes[r.index]
		if total += int64(len(m.Edges(c.shape))); total > bound {
			for _, e := range c.entries {
				drop[e] = true
			}
		}
	}
	kept := m.entries[:0]
	for i := range m.entries {
		if drop[i] {
			m.coverage.Entries--
			m.coverage.Shards -= m.entries[i].Count
		} else {
			kept = append(kept, m.entries[i])
		}
	}
	m.entries = kept
	return true
}
