package auction

import "math/bits"

// The bound, for the checker. For any prices pi >= 0 of capacity, let v of a class at a level be the least of
// cost + pi * need over the edges it sees, and u = max(0, usable - v) what a shard is left with at best. Then
// no allocation has more welfare than D = sum u + sum capacity * pi: each match is worth usable - cost <= u +
// pi * need, and a NexCore's needs sum to at most its capacity. So prices need no trust: bad ones only make the
// bound worse. All of it is one pass over the edges in checked or saturating arithmetic that errs upward.

// wide is a non-negative number of 128 bits that saturates.
type wide struct{ hi, lo uint64 }

func (w *wide) add(hi, lo uint64) {
	var carry uint64
	w.lo, carry = bits.Add64(w.lo, lo, 0)
	w.hi, carry = bits.Add64(w.hi, hi, carry)
	if carry != 0 {
		w.hi, w.lo = ^uint64(0), ^uint64(0)
	}
}

func (w *wide) addMul(a, b uint64) { w.add(bits.Mul64(a, b)) }

// unex is the whole micro-NEX of a sum in 2^-19 unex, rounded down (welfare is whole), at most 2^63 - 1.
func (w *wide) unex() int64 {
	if w.hi>>(priceShift-1) != 0 {
		return maxInt64
	}
	return int64(w.hi<<(64-priceShift) | w.lo>>priceShift)
}

// dear is a cost in 2^-19 unex above every usable limit.
const dear = uint64(unpayable) << priceShift

// rentOf is pi * need of one shard in 2^-19 unex, saturating at dear: lower than it is, so v errs downward and
// the bound upward.
func rentOf(p *Prices, need *Resources, bond, lease int64) uint64 {
	if p.Slot >= unpayable {
		return dear
	}
	sum, over := uint64(p.Slot)<<priceShift, uint64(0)
	for r, v := range need {
		hi, lo := bits.Mul64(uint64(p.Dims[r]), uint64(v))
		var carry uint64
		sum, carry = bits.Add64(sum, lo, 0)
		over |= hi | carry
	}
	if p.Dims[BondDim]|p.Dims[LeaseDim] != 0 {
		hi, lo := bits.Mul64(uint64(p.Dims[BondDim]), uint64(bond))
		h2, l2 := bits.Mul64(uint64(p.Dims[LeaseDim]), uint64(lease))
		var c1, c2 uint64
		sum, c1 = bits.Add64(sum, lo, 0)
		sum, c2 = bits.Add64(sum, l2, 0)
		over |= hi | h2 | c1 | c2
	}
	if over != 0 || sum > dear {
		return dear
	}
	return sum
}

// values fills value with v of a class for each level, in 2^-19 unex: the least cost plus rent among the edges
// that the level sees. prices are by supply, all non-negative.
func (m *Model) values(c *classRow, prices []Prices, flat bool, value []uint64) {
	for i := range value {
		value[i] = dear
	}
	need, share, top := &m.shapes[c.shape].Need, m.leaseShare(c), int32(len(value))
	if flat { // slot prices only: no multiplication
		for i := range c.edges {
			e := &c.edges[i]
			if v := uint64(e.Cost+prices[e.Supply].Slot) << priceShift; e.Level < top && v < value[e.Level] {
				value[e.Level] = v
			}
		}
	} else {
		for i := range c.edges {
			e := &c.edges[i]
			p := &prices[e.Supply]
			bond := int64(0)
			if p.Dims[BondDim] != 0 {
				bond = m.bondShare(e.Price)
			}
			if v := uint64(e.Cost)<<priceShift + rentOf(p, need, bond, share); e.Level < top && v < value[e.Level] {
				value[e.Level] = v
			}
		}
	}
	for i := 1; i < len(value); i++ {
		value[i] = min(value[i], value[i-1])
	}
}

// levels is how many levels the entries of a class use.
func (m *Model) levels(c *classRow) int {
	top := int32(0)
	for _, e := range c.entries {
		top = max(top, m.entries[e].level)
	}
	return int(top) + 1
}

// bound is D of the model at prices by supply, in unex.
func (m *Model) bound(prices []Prices) int64 { return m.boundAt(prices, m.slots()) }

// boundAt is bound for slots that are known.
func (m *Model) boundAt(prices []Prices, slots []int64) int64 {
	flat := true
	var sum wide
	for i := range prices {
		p := &prices[i]
		if *p == (Prices{}) {
			continue
		}
		sum.addMul(uint64(p.Slot)<<priceShift, uint64(slots[i]))
		if p.Dims == (Dims{}) {
			continue
		}
		flat = false
		capacity := m.supplies[i].capacity()
		for d, v := range p.Dims {
			sum.addMul(uint64(v), uint64(capacity[d]))
		}
	}
	var value []uint64
	for i := range m.classes {
		c := &m.classes[i]
		if n := m.levels(c); n > cap(value) {
			value = make([]uint64, n)
		} else {
			value = value[:n]
		}
		m.values(c, prices, flat, value)
		for _, at := range c.entries {
			e := &m.entries[at]
			if usable := uint64(e.usable) << priceShift; usable > value[e.level] {
				sum.addMul(usable-value[e.level], uint64(e.Count))
			}
		}
	}
	return sum.unex()
}
