package packing

import "slices"

// state is a feasible allocation under change, kept so that a look costs little: counts per edge, what is free
// per bin, what each class has placed, and which edges each bin uses.
type state struct {
	m       *market
	count   []int64 // per edge
	free    []Vector
	placed  []int32   // per class, over arcs
	used    [][]int32 // per bin: arcs with a count
	welfare int64     // of arcs, money
	bid     []int64   // per class: value of the shard that would be placed next, 0 when none is left
	ceiling []int64   // per class: bids are cut to it when it is set
}

func newState(m *market) *state {
	s := &state{
		m: m, count: make([]int64, len(m.p.Edges)), free: make([]Vector, len(m.p.Bins)),
		placed: make([]int32, m.classes), used: make([][]int32, len(m.p.Bins)), bid: make([]int64, m.classes),
	}
	copy(s.free, m.p.Bins)
	s.cut(nil)
	return s
}

// load takes over a feasible allocation, less what lies on outside options.
func (s *state) load(count []int64) {
	for b := range s.free {
		for at := s.m.arcAt[b]; at < s.m.arcAt[b+1]; at++ {
			a := &s.m.arcs[at]
			if n := min(count[a.edge], s.left(a.class)); n > 0 {
				s.move(b, at, n)
			}
		}
	}
}

// cut sets the ceiling of bids.
func (s *state) cut(ceiling []int64) {
	s.ceiling = ceiling
	for c := range s.bid {
		s.bid[c] = s.next(int32(c), 0)
	}
}

// next is the bid of class c once more shards more than now are placed, 0 when none is left.
func (s *state) next(c, more int32) int64 {
	at := s.m.valueAt[c] + s.placed[c] + more
	switch {
	case at >= s.m.valueAt[c+1]:
		return 0
	case s.ceiling != nil:
		return min(s.ceiling[c], s.m.value[at])
	}
	return s.m.value[at]
}

// left is how many shards of class c are not placed.
func (s *state) left(c int32) int64 { return s.m.shards(c) - int64(s.placed[c]) }

// move changes the count of an arc of bin b by n. The caller knows that it fits.
func (s *state) move(b int, at int32, n int64) {
	a := &s.m.arcs[at]
	need := &s.m.need[a.need]
	for r := range s.m.nres {
		s.free[b][r] -= need[r] * n
	}
	values := s.m.value[s.m.valueAt[a.class]:]
	for range n {
		s.welfare += (values[s.placed[a.class]] - a.cost) >> PriceBits
		s.placed[a.class]++
	}
	for range -n {
		s.placed[a.class]--
		s.welfare -= (values[s.placed[a.class]] - a.cost) >> PriceBits
	}
	s.bid[a.class] = s.next(a.class, 0)
	before := s.count[a.edge]
	s.count[a.edge] += n
	switch {
	case before == 0 && n > 0:
		s.used[b] = append(s.used[b], at)
	case before > 0 && before+n == 0:
		i := slices.Index(s.used[b], at)
		last := len(s.used[b]) - 1
		s.used[b][i] = s.used[b][last]
		s.used[b] = s.used[b][:last]
	}
}

// fit is how many shards of an arc the free part of its bin takes, at most most.
func (s *state) fit(b int, at int32, most int64) int64 {
	need := &s.m.need[s.m.arcs[at].need]
	free := &s.free[b]
	for r := range s.m.nres {
		if n := need[r]; n > 0 && n > free[r]/max(1, most) { // n x most > free
			most = min(most, free[r]/n)
		}
	}
	return most
}

// hold remembers what a bin has, so that a trial can be undone.
type hold struct {
	bin   int
	arcs  []int32
	count []int64
}

// clearBin takes everything out of a bin and notes it in h.
func (s *state) clearBin(b int, h *hold) {
	h.bin = b
	h.arcs = append(h.arcs[:0], s.used[b]...)
	h.count = h.count[:0]
	for _, at := range h.arcs {
		n := s.count[s.m.arcs[at].edge]
		h.count = append(h.count, n)
		s.move(b, at, -n)
	}
}

// restore puts back what clearBin noted; the bin must be empty.
func (s *state) restore(h *hold) {
	for i, at := range h.arcs {
		s.move(h.bin, at, h.count[i])
	}
}

// empty takes everything out of a bin.
func (s *state) empty(b int) {
	for len(s.used[b]) > 0 {
		at := s.used[b][len(s.used[b])-1]
		s.move(b, at, -s.count[s.m.arcs[at].edge])
	}
}
