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
	entries  []asker  // in fill order
	shards   int64
	levels   int     // that its entries use
	links    []link  // the edges that they see, by level
	starts   []int32 // of each level in links, and the end
}

// asker is an entry of a class as passes over all entries read it.
type asker struct {
	usable, count int64
	level         int32
	entry         int32 // index into Model.entries
	bonus         int32 // tieBonus
}

// worth is what a match of a shard of an entry is worth before its cost.
func (e *asker) worth() pairOf { return pairOf{e.usable, int64(e.bonus)} }

// filled is an entry's place in the fill order of its class: usable limit, highest first, then rank, then place.
type filled struct {
	usable int64
	rank   uint64
	entry  int32
}

func (a filled) compare(b filled) int {
	switch {
	case a.usable != b.usable:
		return cmp.Compare(b.usable, a.usable)
	case a.rank != b.rank:
		return cmp.Compare(a.rank, b.rank)
	}
	return cmp.Compare(a.entry, b.entry)
}

// entriesByShape lists all entries by shape and then by place: those of shape i are order[begin[i]:begin[i+1]].
func (m *Model) entriesByShape() (order, begin []int32) {
	begin = make([]int32, len(m.shapes)+2)
	for i := range m.entries {
		begin[m.entries[i].ShapeIndex+2]++
	}
	for s := 2; s < len(begin); s++ {
		begin[s] += begin[s-1]
	}
	order = make([]int32, len(m.entries))
	for i := range m.entries {
		at := &begin[m.entries[i].ShapeIndex+1]
		order[*at] = int32(i)
		*at++
	}
	return order, begin
}

// heights lists from which heights some entries look at the asks, ascending.
func (m *Model) heights(entries []int32) []int64 {
	heights := make([]int64, 0, 16)
	for _, i := range entries {
		if h := m.entries[i].VisibleBefore; len(heights) == 0 || h != heights[len(heights)-1] {
			heights = append(heights, h)
		}
	}
	slices.Sort(heights)
	return slices.Compact(heights)
}

// addLevels numbers the heights from which the entries of a shape look at the asks: what level l sees, level l+1 sees
// too. A height that shows no more edges than the one before has its number. young are the edges of the shape that not
// every entry sees; the others are of level 0.
func (m *Model) addLevels(heights []int64, young, entries []int32) {
	shows := make([]bool, len(heights)+1)
	for _, i := range young {
		e := &m.edges[i]
		e.Level = firstAbove(heights, m.asked[e.Supply])
		shows[e.Level] = true
	}
	level := make([]int32, len(heights)+1) // old number to new
	for i := 1; i < len(level); i++ {
		level[i] = level[i-1]
		if shows[i] {
			level[i]++
		}
	}
	for _, i := range young {
		m.edges[i].Level = level[m.edges[i].Level]
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
	order, begin := m.entriesByShape()
	m.classes = make([]classRow, 0, len(m.shapes))
	backing := make([]asker, 0, len(m.entries))
	var run []filled
	for shape := range m.shapes {
		run = run[:0]
		split := false
		for _, i := range order[begin[shape]:begin[shape+1]] {
			e := &m.entries[i]
			if len(e.Excluded) > 0 {
				excluded[i] = m.effective(e)
				split = split || len(excluded[i]) > 0
			}
			run = append(run, filled{e.usable, e.rank, i})
		}
		slices.SortFunc(run, filled.compare)
		if split {
			slices.SortStableFunc(run, func(a, b filled) int { return slices.Compare(excluded[a.entry], excluded[b.entry]) })
		}
		for from := 0; from < len(run); {
			c := classRow{shape: shape, excluded: excluded[run[from].entry]}
			first := len(backing)
			for ; from < len(run) && slices.Equal(excluded[run[from].entry], c.excluded); from++ {
				i := run[from].entry
				e := &m.entries[i]
				e.class = int32(len(m.classes))
				c.shards += e.Count
				backing = append(backing, asker{e.usable, e.Count, e.level, i, int32(tieBonus(e.rank))})
			}
			c.entries = backing[first:len(backing):len(backing)]
			m.classes = append(m.classes, c)
		}
	}
	if m.dropClasses() {
		m.addClasses() // once: what is left is within the bound
		return
	}
	m.looks = int64(len(m.entries) + len(m.supplies))
	for i := range m.classes {
		m.classes[i].edges = m.classEdges(&m.classes[i])
		m.looks += int64(len(m.classes[i].edges))
	}
	m.addLinks()
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
		id := m.ids[e.Supply]
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
		r := ranked{index: i, rank: m.entries[c.entries[0].entry].rank}
		for j := range c.entries {
			r.rank = min(r.rank, m.entries[c.entries[j].entry].rank)
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
			for j := range c.entries {
				drop[c.entries[j].entry] = true
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
