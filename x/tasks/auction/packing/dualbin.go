package packing

// binDual looks for good prices from the supply side: every class sends all its demand to its cheapest bin and
// each bin's rent follows its overload, with falling steps, from the best point so far. It suits few bins with
// many classes, where classDual would jump from class to class.
type binDual struct {
	m     *market
	rent  [][MaxResources]int64 // of the whole capacity, 1/PriceScale money
	best  []Vector
	bound int64
	scale int64 // money at stake per bin, 1/PriceScale
}

func newBinDual(m *market) *binDual {
	d := &binDual{m: m, rent: make([][MaxResources]int64, len(m.p.Bins)), best: make([]Vector, len(m.p.Bins))}
	var stake int64
	for c := range m.classes {
		group := &m.p.Groups[c]
		low, high := MaxMoney, int64(0)
		for i := group.From; i < group.To; i++ {
			low, high = min(low, m.p.Edges[i].Cost), max(high, m.p.Edges[i].Cost)
		}
		if high = min(high, max(low+1, m.top>>PriceBits)); high > low {
			stake += (high - low) * min(m.shards(int32(c)), 1<<10)
			stake = min(stake, MaxMoney)
		}
	}
	d.scale = max(1, stake/int64(max(1, len(m.p.Bins)))) << PriceBits
	d.bound, _ = Bound(m.p, d.best) // zero prices are in range
	return d
}

// start takes over prices whose bound is known.
func (d *binDual) start(prices []Vector, bound int64) {
	d.bound = bound
	copy(d.best, prices)
	for b := range d.rent {
		for r := range d.m.nres {
			d.rent[b][r] = mulShift(prices[b][r], d.m.p.Bins[b][r], 0)
		}
	}
}

// run does rounds with steps falling by half every half rounds.
func (d *binDual) run(rounds, half int, w *meter) {
	m := d.m
	step := int64(rateOne)
	price := make([]Vector, len(d.rent))
	load := make([]Vector, len(d.rent))
	stale := 0
	for t := range rounds {
		for b := range price {
			price[b] = m.price(b, &d.rent[b])
		}
		if bound := d.look(price, load); bound < d.bound {
			d.bound, stale = bound, 0
			copy(d.best, price)
		} else if stale++; stale > half {
			stale = 0
			for b := range d.rent {
				for r := range m.nres {
					d.rent[b][r] = mulShift(d.best[b][r], m.p.Bins[b][r], 0)
				}
			}
		}
		if !w.spend(int64(len(m.p.Edges) + len(price))) {
			return
		}
		if t%half == half-1 {
			step = max(1, step-step>>1)
		}
		for b := range d.rent {
			for r := range m.nres {
				capacity := m.p.Bins[b][r]
				if capacity == 0 {
					continue
				}
				// At most eight times the capacity counts: one giant must not throw the rents about.
				excess := min(load[b][r]-capacity, 8*capacity)
				move := mulDiv(mulShift(d.scale, step, 16), max(excess, -excess), 4*capacity)
				if excess < 0 {
					d.rent[b][r] = max(0, d.rent[b][r]-move)
				} else {
					d.rent[b][r] = min(dotLimit/2, d.rent[b][r]+min(move, dotLimit/4))
				}
			}
		}
	}
}

// look returns the bound at prices and what every bin is asked for, saturated.
func (d *binDual) look(price, load []Vector) int64 {
	m := d.m
	clear(load)
	bound, err := Bound(m.p, price)
	if err != nil {
		return d.bound
	}
	for c := range m.classes {
		group := &m.p.Groups[c]
		best, v := group.From, int64(-1)
		for i := group.From; i < group.To; i++ {
			e := &m.p.Edges[i]
			if x := e.Cost<<PriceBits + dot(&price[e.Bin], &m.need[e.Need]); v < 0 || x < v {
				best, v = i, x
			}
		}
		var n int64
		for _, value := range m.value[m.valueAt[c]:m.valueAt[c+1]] {
			if value <= v {
				break
			}
			n++
		}
		if n > 0 {
			e := &m.p.Edges[best]
			for r, need := range m.need[e.Need] {
				load[e.Bin][r] = min(1<<60, load[e.Bin][r]+mulShift(need, n, 0))
			}
		}
	}
	return bound
}
