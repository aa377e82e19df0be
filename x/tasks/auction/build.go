package auction

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"fmt"
	"slices"
)

type shapeRow struct {
	Shape
	digest           [32]byte
	runtime          uint32
	arch             uint32
	gpuModel         uint32
	regions          []uint32
	maxUsable        int64 // of its covered entries; 0 without any
	minCost          int64 // of its edges
	tie              uint64
	edgeFrom, edgeTo int
}

type supplyRow struct {
	Supply
	runtimes []uint32
	arch     uint32
	region   uint32
	gpuModel uint32
	penalty  uint64 // k * (10^6 - L)
	standing bool   // the rules about the NexCore alone hold
}

type entryRow struct {
	Entry
	usable int64
	rank   uint64
	level  int32 // sees the edges of its shape up to this visibility level
	class  int32 // index into Model.classes
}

func (e *entryRow) excludes(id uint64) bool {
	for _, x := range e.Excluded {
		if x >= id {
			return x == id
		}
	}
	return false
}

// NewModel validates a book, brings it into canonical order, takes the part that one clearing covers and
// finds its edges. The result does not depend on the order of the book. Items that break a bound, all supplies
// that share a number, and all entries of a job whose entries overlap are left out and listed by Rejected.
// The only error is ErrParams. Work is O(shapes * supplies + entries * log entries).
func NewModel(b Book) (*Model, error) {
	if err := b.Params.Validate(); err != nil {
		return nil, err
	}
	m := &Model{params: b.Params}
	words := newNames()
	shapeOf := m.addShapes(b.Shapes, words)
	m.addSupplies(b.Supplies, words)
	m.addEntries(b.Entries, shapeOf, seedKey(b.Seed, "entry", nil))
	m.cover(b.Seed)
	m.ids, m.asked = make([]uint64, len(m.supplies)), make([]int64, len(m.supplies))
	for i := range m.supplies {
		m.ids[i], m.asked[i] = m.supplies[i].ID, m.supplies[i].AskHeight
	}
	m.addEdges(b.Seed)
	m.addClasses()
	m.addHints(b.Hints)
	m.slots, m.uniform = m.countSlots()
	return m, nil
}

// addShapes merges equal shapes and returns where each shape of the book went, -1 for a rejected one.
func (m *Model) addShapes(shapes []Shape, words names) []int {
	type source struct {
		index  int
		digest [32]byte
	}
	valid := make([]source, 0, len(shapes))
	shapeOf := make([]int, len(shapes))
	for i, s := range shapes {
		shapeOf[i] = -1
		if err := ValidateShape(s); err != nil {
			m.rejected = append(m.rejected, Rejection{Kind: ShapeItem, ID: uint64(i), Err: err})
			continue
		}
		valid = append(valid, source{i, sha256.Sum256(s.encode())})
	}
	slices.SortFunc(valid, func(a, b source) int {
		return cmp.Or(bytes.Compare(a.digest[:], b.digest[:]), cmp.Compare(a.index, b.index))
	})
	for _, src := range valid {
		if n := len(m.shapes); n == 0 || m.shapes[n-1].digest != src.digest {
			s := shapes[src.index]
			s.Regions = slices.Clone(s.Regions)
			m.shapes = append(m.shapes, shapeRow{
				Shape: s, digest: src.digest,
				runtime: words.id(s.Runtime), arch: words.id(s.Arch), gpuModel: words.id(s.GPUModel), regions: words.all(s.Regions),
			})
		}
		shapeOf[src.index] = len(m.shapes) - 1
	}
	return shapeOf
}

func (m *Model) addSupplies(supplies []Supply, words names) {
	m.supplies = make([]supplyRow, 0, len(supplies))
	var p pair // one for all: the table of rules makes it escape
	conditions := inScope(ofSupply)
	for _, s := range supplies {
		if err := ValidateSupply(s); err != nil {
			m.rejected = append(m.rejected, Rejection{Kind: SupplyItem, ID: s.ID, Err: err})
			continue
		}
		s.Runtimes = slices.Clone(s.Runtimes)
		row := supplyRow{
			Supply: s, runtimes: words.all(s.Runtimes), arch: words.id(s.Arch), region: words.id(s.Region), gpuModel: words.id(s.GPUModel),
			penalty: uint64(m.params.PenaltyKPPM) * uint64(PPM-s.ScorePPM),
		}
		m.supplies = append(m.supplies, row)
		last := &m.supplies[len(m.supplies)-1]
		p = pair{params: &m.params, supply: last}
		last.standing = p.all(conditions)
	}
	slices.SortFunc(m.supplies, func(a, b supplyRow) int { return cmp.Compare(a.ID, b.ID) })
	m.supplies = dropRuns(m.supplies,
		func(prev, next *supplyRow) bool { return prev.ID == next.ID },
		func(s *supplyRow) {
			err := fmt.Errorf("%w: NexCore %d is in the book more than once", ErrSupply, s.ID)
			m.rejected = append(m.rejected, Rejection{Kind: SupplyItem, ID: s.ID, Err: err})
		})
}

func (m *Model) addEntries(entries []Entry, shapeOf []int, key uint64) {
	m.entries = make([]entryRow, 0, len(entries))
	reject := func(e *Entry, err error) {
		m.rejected = append(m.rejected, Rejection{Kind: EntryItem, ID: e.JobID, First: e.First, Err: err})
	}
	for _, e := range entries {
		if err := ValidateEntry(e, len(shapeOf)); err != nil {
			reject(&e, err)
			continue
		}
		if shapeOf[e.ShapeIndex] < 0 {
			reject(&e, fmt.Errorf("%w: its shape %d was left out", ErrEntry, e.ShapeIndex))
			continue
		}
		e.ShapeIndex = shapeOf[e.ShapeIndex]
		e.Excluded = slices.Clone(e.Excluded)
		m.entries = append(m.entries, entryRow{
			Entry: e, usable: Usable(e.Limit, m.params.BurnPPM), rank: rankOfEntry(key, e.JobID, e.First),
		})
	}
	if !m.entriesInOrder() {
		slices.SortFunc(m.entries, func(a, b entryRow) int {
			return cmp.Or(cmp.Compare(a.JobID, b.JobID), cmp.Compare(a.First, b.First))
		})
	}
	m.dropOverlaps(reject)
}

// entriesInOrder says whether entries are in order of (job, first) already: a keeper's mostly are, and rows are large.
func (m *Model) entriesInOrder() bool {
	for i := 1; i < len(m.entries); i++ {
		a, b := &m.entries[i-1], &m.entries[i]
		if a.JobID > b.JobID || a.JobID == b.JobID && a.First > b.First {
			return false
		}
	}
	return true
}

// dropOverlaps leaves out every entry of a job that has two entries with a shard in common: which of them
// is right cannot be known here, and any choice would depend on the order of the book.
func (m *Model) dropOverlaps(reject func(*Entry, error)) {
	kept := m.entries[:0]
	for from := 0; from < len(m.entries); {
		to, end, overlaps := from, int64(0), false
		for ; to < len(m.entries) && m.entries[to].JobID == m.entries[from].JobID; to++ {
			overlaps = overlaps || (to > from && m.entries[to].First < end)
			end = max(end, m.entries[to].First+m.entries[to].Count)
		}
		for i := from; i < to; i++ {
			if overlaps {
				reject(&m.entries[i].Entry, fmt.Errorf("%w: entries of job %d overlap", ErrEntry, m.entries[i].JobID))
			} else if len(kept) == i {
				kept = kept[:i+1] // where it was
			} else {
				kept = append(kept, m.entries[i])
			}
		}
		from = to
	}
	m.entries = kept
}

// dropRuns removes every run of two or more neighbours that are the same.
func dropRuns[T any](rows []T, same func(prev, next *T) bool, dropped func(*T)) []T {
	kept := rows[:0]
	for from := 0; from < len(rows); {
		to := from + 1
		for to < len(rows) && same(&rows[to-1], &rows[to]) {
			to++
		}
		if to-from == 1 {
			kept = append(kept, rows[from])
		} else {
			for i := from; i < to; i++ {
				dropped(&rows[i])
			}
		}
		from = to
	}
	return kept
}

// The searches below are written out: rows are large, and a comparison by value would copy one at each step.

// entriesUpTo is how many entries start before a shard or with it.
func (m *Model) entriesUpTo(job uint64, shard int64) int {
	low, high := 0, len(m.entries)
	for low < high {
		mid := int(uint(low+high) >> 1)
		if e := &m.entries[mid]; e.JobID < job || e.JobID == job && e.First <= shard {
			low = mid + 1
		} else {
			high = mid
		}
	}
	return low
}

// find returns the index of the entry that starts with a shard, or -1.
func (m *Model) find(job uint64, first int64) int {
	i := m.entriesUpTo(job, first) - 1
	if i < 0 || m.entries[i].JobID != job || m.entries[i].First != first {
		return -1
	}
	return i
}

// holding returns the index of the entry that holds a shard, or -1.
func (m *Model) holding(job uint64, shard int64) int {
	i := m.entriesUpTo(job, shard) - 1
	if i < 0 || m.entries[i].JobID != job || shard-m.entries[i].First >= m.entries[i].Count {
		return -1
	}
	return i
}

// findSupply returns the index of a NexCore, or -1. Numbers are mostly dense: the search is for those that are not.
func (m *Model) findSupply(id uint64) int {
	low, high := 0, len(m.ids)
	if high == 0 || id < m.ids[0] || id > m.ids[high-1] {
		return -1
	}
	if near := id - m.ids[0]; near < uint64(high) && m.ids[near] == id {
		return int(near)
	}
	for low < high {
		mid := int(uint(low+high) >> 1)
		if m.ids[mid] < id {
			low = mid + 1
		} else {
			high = mid
		}
	}
	if low == len(m.ids) || m.ids[low] != id {
		return -1
	}
	return low
}

// edge finds the edge of a shape and a supply, nil without one.
func (m *Model) edge(shape, supply int) *Edge { return edgeIn(m.Edges(shape), int32(supply)) }

func edgeIn(edges []Edge, supply int32) *Edge {
	low, high := 0, len(edges)
	for low < high {
		mid := int(uint(low+high) >> 1)
		if edges[mid].Supply < supply {
			low = mid + 1
		} else {
			high = mid
		}
	}
	if low == len(edges) || edges[low].Supply != supply {
		return nil
	}
	return &edges[low]
}
