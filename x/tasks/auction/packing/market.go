package packing

import (
	"math/bits"
)

// arc is an edge seen from its bin.
type arc struct {
	class, edge, need int32
	fits              bool // one shard fits the empty bin
	cost              int64
}

// market is a Problem laid out for search. Two kinds of edge are taken out of it, both exactly:
//   - an edge that needs nothing can take any number of shards, so it is an outside option of its class: every
//     value is cut to the cost of the cheapest such edge, and what stays unplaced goes there at the end;
//   - an edge that needs what its bin has none of can carry nothing, and a price on that resource costs nothing.
type market struct {
	p       *Problem
	nres    int // resources from here on are zero in every need
	classes int
	value   []int64 // marginal values of each class in 1/PriceScale money, descending, one per shard
	valueAt []int32 // value[valueAt[c]:valueAt[c+1]] are of class c
	outside []int32 // the edge of a class that needs nothing, or -1
	arcs    []arc   // by bin, inside a bin by class
	arcAt   []int32 // arcs[arcAt[b]:arcAt[b+1]] are of bin b
	spread  []int32 // number of arcs of each class
	need    []Vector
	maxNeed Vector // over edges
	top     int64  // greatest of value
	state   uint64 // of the xorshift generator
}

// meter counts steps down.
type meter struct{ left, used int64 }

// spend takes n steps; false means that the budget has ended.
func (m *meter) spend(n int64) bool {
	m.left -= n
	m.used += n
	return m.left > 0
}

func newMarket(p *Problem) *market {
	m := &market{
		p: p, classes: len(p.Groups), need: p.Needs, state: 0x9e3779b97f4a7c15,
		valueAt: make([]int32, len(p.Groups)+1), outside: make([]int32, len(p.Groups)),
		arcAt: make([]int32, len(p.Bins)+1), spread: make([]int32, len(p.Groups)),
	}
	kind := make([]uint8, len(p.Edges)) // 0: no edge, 1: arc, 2: arc that fits
	for g := range p.Groups {
		group := &p.Groups[g]
		m.outside[g] = -1
		for i := group.From; i < group.To; i++ {
			e := &p.Edges[i]
			kind[i] = m.classify(g, i, &p.Needs[e.Need], &p.Bins[e.Bin])
			if kind[i] != 0 {
				m.arcAt[e.Bin+1]++
				m.spread[g]++
			}
		}
	}
	for b := range p.Bins {
		m.arcAt[b+1] += m.arcAt[b]
	}
	m.arcs = make([]arc, m.arcAt[len(p.Bins)])
	fill := make([]int32, len(p.Bins))
	copy(fill, m.arcAt)
	for g := range p.Groups {
		for i := p.Groups[g].From; i < p.Groups[g].To; i++ {
			if kind[i] != 0 {
				e := &p.Edges[i]
				m.arcs[fill[e.Bin]] = arc{class: int32(g), edge: i, need: e.Need, fits: kind[i] == 2, cost: e.Cost << PriceBits}
				fill[e.Bin]++
			}
		}
	}
	m.listValues()
	return m
}

// classify sorts an edge out and notes the greatest needs and the outside option.
func (m *market) classify(g int, i int32, need, capacity *Vector) uint8 {
	kind, zero := uint8(2), true
	for r, n := range need {
		if n > 0 {
			zero = false
			m.nres = max(m.nres, r+1)
			m.maxNeed[r] = max(m.maxNeed[r], n)
			if capacity[r] == 0 {
				return 0
			}
			if n > capacity[r] {
				kind = 1
			}
		}
	}
	if zero {
		if o := m.outside[g]; o < 0 || m.p.Edges[i].Cost < m.p.Edges[o].Cost {
			m.outside[g] = i
		}
		return 0
	}
	return kind
}

// listValues writes out one marginal value per shard that an arc could serve.
func (m *market) listValues() {
	var total int64
	for g := range m.p.Groups {
		for _, t := range m.p.Groups[g].Tiers {
			total += t.Count
		}
	}
	m.value = make([]int64, 0, total)
	for g := range m.p.Groups {
		if m.spread[g] > 0 {
			for _, t := range m.p.Groups[g].Tiers {
				value := t.Value
				if o := m.outside[g]; o >= 0 {
					value = min(value, m.p.Edges[o].Cost)
				}
				for range t.Count {
					m.value = append(m.value, value<<PriceBits)
				}
				m.top = max(m.top, value<<PriceBits)
			}
		}
		m.valueAt[g+1] = int32(len(m.value))
	}
}

// shards is how many shards class c has on offer to arcs.
func (m *market) shards(c int32) int64 { return int64(m.valueAt[c+1] - m.valueAt[c]) }

// settle adds to count what goes to outside options: the shards beyond those placed whose value passes its cost.
func (m *market) settle(count []int64) {
	for g := range m.p.Groups {
		o := m.outside[g]
		if o < 0 {
			continue
		}
		group := &m.p.Groups[g]
		var placed, worth int64
		for i := group.From; i < group.To; i++ {
			placed += count[i]
		}
		for _, t := range group.Tiers {
			if t.Value > m.p.Edges[o].Cost {
				worth += t.Count
			}
		}
		count[o] += max(0, worth-placed)
	}
}

// draw returns the next pseudo-random number below n, which is more than 0. The sequence is fixed.
func (m *market) draw(n int) int {
	m.state ^= m.state << 13
	m.state ^= m.state >> 7
	m.state ^= m.state << 17
	hi, _ := bits.Mul64(m.state, uint64(n))
	return int(hi)
}

// dotLimit is where priced sums saturate: no value passes it, and a cost on top still fits.
const dotLimit = MaxPrice - 1

// small says that price . need stays below dotLimit for every need of an edge, so that plain products do.
func (m *market) small(price *Vector) bool {
	var w wide
	w.addDot(price, &m.maxNeed)
	return w.hi == 0 && w.lo < uint64(dotLimit)
}

// dot returns price . need in 1/PriceScale money, at most dotLimit.
func dot(price, need *Vector) int64 {
	var w wide
	w.addDot(price, need)
	if w.hi != 0 || w.lo > uint64(dotLimit) {
		return dotLimit
	}
	return int64(w.lo)
}

// plainDot is dot where small(price) holds.
func plainDot(price, need *Vector, nres int) int64 {
	sum := price[0]*need[0] + price[1]*need[1] + price[2]*need[2] + price[3]*need[3]
	if nres > 4 {
		sum += price[4]*need[4] + price[5]*need[5]
	}
	return sum
}

// mulShift returns a x b >> shift for a, b >= 0, at most dotLimit.
func mulShift(a, b int64, shift uint) int64 {
	hi, lo := bits.Mul64(uint64(a), uint64(b))
	if hi>>shift != 0 {
		return dotLimit
	}
	return int64(min(hi<<(64-shift)|lo>>shift, uint64(dotLimit)))
}

// mulDiv returns a x b / c for a, b >= 0 and c > 0, at most dotLimit.
func mulDiv(a, b, c int64) int64 {
	hi, lo := bits.Mul64(uint64(a), uint64(b))
	if hi >= uint64(c) {
		return dotLimit
	}
	q, _ := bits.Div64(hi, lo, uint64(c))
	return int64(min(q, uint64(dotLimit)))
}
