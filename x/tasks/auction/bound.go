package auction

import (
	"cmp"
	"math/bits"
)

// The bound, for the solvers; the checker has its own (check_bound.go). For any prices pi >= 0 of capacity, let v of
// a class at a level be the least of cost + pi * need over the edges it sees, and u = max(0, usable - v) what a shard
// is left with at best. Then no allocation has more welfare than D = sum u + sum capacity * pi: each match is worth
// usable - cost <= u + pi * need, and a NexCore's needs sum to at most its capacity. So prices need no trust: bad
// ones only make the bound worse. All of it is one pass over the edges, in arithmetic that errs upward.

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
// the bound upward. Written out, since every edge of a vector market comes through here.
func rentOf(p *Prices, need *Dims) uint64 {
	if p.Slot >= unpayable {
		return dear
	}
	h0, l0 := bits.Mul64(uint64(p.Dims[0]), uint64(need[0]))
	h1, l1 := bits.Mul64(uint64(p.Dims[1]), uint64(need[1]))
	h2, l2 := bits.Mul64(uint64(p.Dims[2]), uint64(need[2]))
	h3, l3 := bits.Mul64(uint64(p.Dims[3]), uint64(need[3]))
	h4, l4 := bits.Mul64(uint64(p.Dims[4]), uint64(need[4]))
	h5, l5 := bits.Mul64(uint64(p.Dims[5]), uint64(need[5]))
	sum, carry := bits.Add64(uint64(p.Slot)<<priceShift, l0, 0)
	over := h0 | h1 | h2 | h3 | h4 | h5 | carry
	sum, carry = bits.Add64(sum, l1, 0)
	over |= carry
	sum, carry = bits.Add64(sum, l2, 0)
	over |= carry
	sum, carry = bits.Add64(sum, l3, 0)
	over |= carry
	sum, carry = bits.Add64(sum, l4, 0)
	over |= carry
	sum, carry = bits.Add64(sum, l5, 0)
	if over |= carry; over != 0 || sum > dear {
		return dear
	}
	return sum
}

// needOf is what one shard of a class takes of every dimension at a price.
func (m *Model) needOf(c *classRow, price int64) Dims {
	n := &m.shapes[c.shape].Need
	return Dims{n[0], n[1], n[2], n[3], m.bondShare(price), m.leaseShare(c)}
}

// plainRent is rentOf where no product can pass 60 bits and so no sum 63: fits says for which needs.
func plainRent(p *Prices, need *Dims) uint64 {
	d := &p.Dims
	sum := p.Slot<<priceShift + d[0]*need[0] + d[1]*need[1] + d[2]*need[2] + d[3]*need[3] + d[4]*need[4] + d[5]*need[5]
	return min(uint64(sum), dear)
}

// fits says whether prices up to highest and a need multiply within 60 bits in every dimension.
func fits(highest *Prices, need *Dims) bool {
	for d, v := range need {
		if bits.Len64(uint64(highest.Dims[d]))+bits.Len64(uint64(v)) > 60 {
			return false
		}
	}
	return highest.Slot < unpayable
}

// values fills value with v of a class for each level, in 2^-19 unex: the least cost plus rent among the edges
// that the level sees. prices are by supply, all non-negative and none above highest.
func (m *Model) values(c *classRow, prices []Prices, highest *Prices, value []uint64) {
	for i := range value {
		value[i] = dear
	}
	need, top := m.needOf(c, MaxLimit), int32(len(value))
	plain, bonded := fits(highest, &need), highest.Dims[BondDim] != 0
	for i := range c.edges {
		e := &c.edges[i]
		p := &prices[e.Supply]
		if bonded {
			need[BondDim] = m.bondShare(e.Price)
		}
		v := uint64(e.Cost) << priceShift
		if plain {
			v += plainRent(p, &need)
		} else {
			v += rentOf(p, &need)
		}
		if e.Level < top && v < value[e.Level] {
			value[e.Level] = v
		}
	}
	for i := 1; i < len(value); i++ {
		value[i] = min(value[i], value[i-1])
	}
}

// slotValues is values where slots alone have a price, by supply: no multiplication, nothing that can overflow.
func slotValues(c *classRow, slot []int64, value []uint64) {
	best := int64(unpayable)
	for l := range value {
		for _, e := range c.levelLinks(l) {
			best = min(best, e.cost+slot[e.supply])
		}
		value[l] = uint64(best) << priceShift
	}
}

// bound is D of the model at prices by supply, in unex.
func (m *Model) bound(prices []Prices) int64 {
	flat := true
	var sum wide
	var highest Prices
	slot := make([]int64, len(prices))
	for i := range prices {
		p := &prices[i]
		if *p == (Prices{}) {
			continue
		}
		slot[i] = p.Slot
		highest.Slot = max(highest.Slot, p.Slot)
		sum.addMul(uint64(p.Slot)<<priceShift, uint64(m.slots[i]))
		if p.Dims == (Dims{}) {
			continue
		}
		flat = false
		for d, v := range p.Dims {
			highest.Dims[d] = max(highest.Dims[d], v)
		}
		capacity := m.supplies[i].capacity()
		for d, v := range p.Dims {
			sum.addMul(uint64(v), uint64(capacity[d]))
		}
	}
	var value []uint64
	for i := range m.classes {
		c := &m.classes[i]
		if n := c.levels; n > cap(value) {
			value = make([]uint64, n)
		} else {
			value = value[:n]
		}
		if flat {
			slotValues(c, slot, value)
		} else {
			m.values(c, prices, &highest, value)
		}
		for j := range c.entries {
			e := &c.entries[j]
			if usable := uint64(e.usable) << priceShift; usable > value[e.level] {
				sum.addMul(usable-value[e.level], uint64(e.count))
			}
		}
	}
	return sum.unex()
}

// rent is what a shard of an entry pays for scarce capacity at a price of its own, unex: at most what the limit leaves
// over cost, for outside the exact case prices of capacity may pass what a match is worth.
func (m *Model) rent(entry *entryRow, price, left int64, p *Prices, leaseShare int64) int64 {
	n := &m.shapes[entry.ShapeIndex].Need
	need := Dims{n[0], n[1], n[2], n[3], m.bondShare(price), leaseShare}
	return min(int64(rentOf(p, &need)>>priceShift), left)
}

// pairOf is a value in the order of money first and ties second.
type pairOf struct{ money, tie int64 }

func (a pairOf) compare(b pairOf) int {
	return cmp.Or(cmp.Compare(a.money, b.money), cmp.Compare(a.tie, b.tie))
}

// pairValues is values in pairs: the least (cost + slot price, tie price - bonus) that each level sees.
func (m *Model) pairValues(c *classRow, prices []Prices, value []pairOf) {
	best := pairOf{money: 2 * unpayable}
	for l := range value {
		for _, e := range c.levelLinks(l) {
			p := &prices[e.supply]
			money := e.cost + p.Slot
			if money > best.money {
				continue // most edges: their tie is not looked at
			}
			if v := (pairOf{money, p.Tie - int64(e.bonus)}); v.compare(best) < 0 {
				best = v
			}
		}
		value[l] = best
	}
}
