package auction

import "math/bits"

// The bound, for the checker. For any prices pi >= 0 of a NexCore's capacity, let v of a class at a level be the
// least of cost + pi * need over the edges that the level sees, and u = max(0, usable - v). Then no allocation has
// more welfare than
//
//	D = sum over shards of u + sum over NexCores of capacity * pi
//
// for each match is worth usable - cost <= u + pi * need, and the needs of a NexCore's shards sum to at most its
// capacity. bound_test.go computes the same from the book alone with math/big.

// total sums non-negative numbers in 128 bits, in 2^-19 unex. Past them it stays at the top: D is then beyond every
// welfare, as it is beyond 2^63 unex.
type total struct{ high, low uint64 }

func (t *total) add(a, b uint64) { // a * b
	high, low := bits.Mul64(a, b)
	var carry uint64
	t.low, carry = bits.Add64(t.low, low, 0)
	if t.high, carry = bits.Add64(t.high, high, carry); carry != 0 {
		t.high, t.low = ^uint64(0), ^uint64(0)
	}
}

// whole is the sum in unex, rounded down since welfare is whole, at most 2^63 - 1.
func (t *total) whole() int64 {
	if t.high >= 1<<(priceShift-1) {
		return maxInt64
	}
	return int64(t.high<<(64-priceShift) | t.low>>priceShift)
}

// offer is the best that a level of a class is offered: cost and slot price, then tie price less bonus.
type offer struct{ money, tie int64 }

func (o offer) below(p offer) bool { return o.money < p.money || o.money == p.money && o.tie < p.tie }

// noOffer is above every usable limit.
const noOffer = 2 * unpayable

// bound is D, and the same for ties: what the second order of prices allows, which counts only where every price is
// one of slots. Sums of ties stay in int64: prices are within maxTie, and shards within BoundShards.
func (c *checker) bound() (d, ties int64) {
	var sum total
	vector := false
	for i := range c.prices {
		p := &c.prices[i]
		if *p == (Prices{}) {
			continue
		}
		sum.add(uint64(p.Slot)<<priceShift, uint64(c.slots[i]))
		if p.Dims == (Dims{}) {
			continue
		}
		vector = true
		s := &c.m.supplies[i]
		for r, price := range p.Dims[:NumResources] {
			sum.add(uint64(price), uint64(max(s.Free[r], 0)))
		}
		sum.add(uint64(p.Dims[BondDim]), uint64(max(s.FreeBond, 0)))
		sum.add(uint64(p.Dims[LeaseDim]), uint64(min(max(s.LeaseSlots, 0), BoundShards)*PriceScale))
	}
	if vector {
		c.vectorPass(&sum)
	} else {
		ties = c.slotPass(&sum)
	}
	return sum.whole(), ties
}

// slotPass adds what the shards of all classes are left with where slots alone are priced: an addition and a
// comparison for each edge, numbers below 2^44.
func (c *checker) slotPass(sum *total) (ties int64) {
	slot := make([]int64, len(c.prices))
	for i := range c.prices {
		slot[i] = c.prices[i].Slot
	}
	var best []offer
	for i := range c.m.classes {
		class := &c.m.classes[i]
		best = c.offers(class, slot, best)
		for j := range class.entries {
			e := &class.entries[j]
			o, bonus := best[e.level], int64(e.bonus)
			switch {
			case e.usable > o.money:
				sum.add(uint64(e.usable-o.money)<<priceShift, uint64(e.count))
				ties += e.count * (bonus - o.tie)
			case e.usable == o.money && bonus > o.tie:
				ties += e.count * (bonus - o.tie)
			}
		}
	}
	return ties
}

// offers finds the best offer for each level of a class. best is memory to use again.
func (c *checker) offers(class *classRow, slot []int64, best []offer) []offer {
	best = best[:0]
	for range c.top(class) + 1 {
		best = append(best, offer{money: noOffer})
	}
	for j := range class.edges {
		e := &class.edges[j]
		if int(e.Level) >= len(best) || e.Cost+slot[e.Supply] > best[e.Level].money {
			continue // most edges: their tie is not looked at
		}
		if o := c.at(e); o.below(best[e.Level]) {
			best[e.Level] = o
		}
	}
	for l := 1; l < len(best); l++ {
		if best[l-1].below(best[l]) {
			best[l] = best[l-1] // a level sees what the one below sees
		}
	}
	return best
}

// top is the highest level of a class's entries.
func (c *checker) top(class *classRow) int32 {
	top := int32(0)
	for j := range class.entries {
		top = max(top, class.entries[j].level)
	}
	return top
}

// vectorPass is slotPass where other dimensions are priced too, in 2^-19 unex.
func (c *checker) vectorPass(sum *total) {
	var highest Prices
	for i := range c.prices {
		p := &c.prices[i]
		highest.Slot = max(highest.Slot, p.Slot)
		for d, v := range p.Dims {
			highest.Dims[d] = max(highest.Dims[d], v)
		}
	}
	var least []uint64
	for i := range c.m.classes {
		class := &c.m.classes[i]
		least = least[:0]
		for range c.top(class) + 1 {
			least = append(least, uint64(noOffer)<<priceShift)
		}
		n := &c.m.shapes[class.shape]
		bond := c.bondOf(n.maxUsable) // no edge costs more
		need := Dims{n.Need[0], n.Need[1], n.Need[2], n.Need[3], bond, c.leaseOf(class)}
		if _, exact := spent(&highest, &need, MaxLimit); exact {
			c.plainPass(class, need, highest.Dims[BondDim] > 0, least)
		} else {
			c.carefulPass(class, need, least)
		}
		for l := 1; l < len(least); l++ {
			least[l] = min(least[l], least[l-1])
		}
		for j := range class.entries {
			e := &class.entries[j]
			if usable := uint64(e.usable) << priceShift; usable > least[e.level] {
				sum.add(usable-least[e.level], uint64(e.count))
			}
		}
	}
}

// plainPass finds the least cost and rent for each level where spent of the highest prices was exact: then no sum of
// an edge passes 2^63.
func (c *checker) plainPass(class *classRow, n Dims, bonds bool, least []uint64) {
	for j := range class.edges {
		e := &class.edges[j]
		if bonds {
			n[BondDim] = c.bondOf(e.Price)
		}
		p := &c.prices[e.Supply]
		d := &p.Dims
		v := uint64((e.Cost+p.Slot)<<priceShift + d[0]*n[0] + d[1]*n[1] + d[2]*n[2] + d[3]*n[3] + d[4]*n[4] + d[5]*n[5])
		if int(e.Level) < len(least) && v < least[e.Level] {
			least[e.Level] = v
		}
	}
}

// carefulPass is plainPass for any numbers.
func (c *checker) carefulPass(class *classRow, need Dims, least []uint64) {
	for j := range class.edges {
		e := &class.edges[j]
		if int(e.Level) >= len(least) {
			continue
		}
		need[BondDim] = c.bondOf(e.Price)
		if v, exact := spent(&c.prices[e.Supply], &need, e.Cost); exact && v < least[e.Level] {
			least[e.Level] = v
		}
	}
}

// spent is cost + pi * need of one shard in 2^-19 unex; exact is false from 2^63 on, which is above every limit.
func spent(p *Prices, need *Dims, cost int64) (sum uint64, exact bool) {
	var t total
	t.add(uint64(cost)+uint64(p.Slot), uint64(PriceScale))
	for d, v := range need {
		t.add(uint64(p.Dims[d]), uint64(v))
	}
	return t.low, t.high == 0 && t.low < 1<<63
}

// leaseOf is the least part of a lease, in 2^-19, that a shard of a class takes: a lease holds at most LeaseMax
// shards, all of one entry.
func (c *checker) leaseOf(class *classRow) int64 {
	most := int64(1)
	for j := range class.entries {
		most = max(most, class.entries[j].count)
	}
	return PriceScale / min(most, c.m.params.LeaseMax)
}

// bondOf is the bond that a shard at a price locks, rounded down; Lock rounds up.
func (c *checker) bondOf(price int64) int64 {
	if c.m.params.LockPPM == PPM {
		return price // the usual lock
	}
	high, low := bits.Mul64(uint64(price), uint64(c.m.params.LockPPM)) // below 2^42 * 2^27
	bond, _ := bits.Div64(high, low, PPM)
	return int64(bond)
}

// leastOf is the least that a shard on any edge of a NexCore needs, by resource and in price.
type leastOf struct {
	need  Resources
	price int64
	any   bool
}

// room counts the slots of NexCores with a slot price: how many shards they hold at most, whatever their mix, for n
// of them need n times the least need of every resource. In a clearing that was cut it also says which NexCores
// could take one more shard.
func (c *checker) room() {
	c.slots = make([]int64, len(c.prices))
	asked, some := make([]bool, len(c.prices)), c.a.Cut
	for i := range c.prices {
		asked[i] = c.a.Cut || c.prices[i].Slot != 0 || c.prices[i].Tie != 0
		some = some || asked[i]
	}
	if !some {
		return
	}
	least := c.leastNeeds(asked)
	if c.a.Cut {
		c.roomy = make([]bool, len(c.prices))
	}
	for i := range least {
		l := &least[i]
		if !l.any {
			continue
		}
		c.slots[i] = c.m.coverage.Shards
		for r, v := range l.need {
			if v > 0 {
				c.slots[i] = min(c.slots[i], c.m.supplies[i].Free[r]/v)
			}
		}
		if c.a.Cut {
			left := &c.left[i]
			c.roomy[i] = left.leases > 0 && l.need.Fits(&left.free) && Lock(l.price, 1, c.m.params.LockPPM) <= left.bond
		}
	}
}

// leastNeeds looks at the edges shape by shape, until nobody that it is asked about could need less.
func (c *checker) leastNeeds(asked []bool) []leastOf {
	floor := Resources{MaxCapacity, MaxCapacity, MaxCapacity, MaxCapacity}
	for i := range c.m.shapes {
		for r, v := range c.m.shapes[i].Need {
			floor[r] = min(floor[r], v)
		}
	}
	least, open := make([]leastOf, len(asked)), 0
	for _, a := range asked {
		if a {
			open++
		}
	}
	for i := 0; i < len(c.m.shapes) && (open > 0 || c.a.Cut); i++ {
		need := &c.m.shapes[i].Need
		edges := c.m.Edges(i)
		for j := range edges {
			e := &edges[j]
			l := &least[e.Supply]
			if !asked[e.Supply] || l.any && l.need == floor && !c.a.Cut {
				continue
			}
			if !l.any {
				*l = leastOf{*need, e.Price, true}
			}
			l.price = min(l.price, e.Price)
			for r, v := range need {
				l.need[r] = min(l.need[r], v)
			}
			if l.need == floor {
				open--
			}
		}
	}
	return least
}
