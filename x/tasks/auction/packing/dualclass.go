package packing

import (
	"math/bits"
	"slices"
)

// classDual looks for good prices from the demand side: it keeps one price v per class, lets every bin answer
// with its own programme, and moves v against the excess demand after each few bins (an incremental subgradient
// on the dual function). A bin that picks a class lowers that class's price for the next bin at once, so alike
// bins do not all run to the same class. The mean of v over the last passes is what counts.
type classDual struct {
	m      *market
	lps    []binLP
	order  []int32 // bins, shuffled
	v      []int64 // 1/PriceScale money
	low    []int64 // least cost of each class
	size   []int64 // shards of a class that fill a typical bin of its own
	share  []int64 // part of a typical bin that one shard fills, lpBits fractional bits
	unit   []int64 // step of v per whole bin of excess
	demand []int32 // shards worth more than v
	mean   []int64 // mean of v over the blocks since the mean began
	terms  int64
	shift  uint // makes top x size fit
}

const sizeBits = 16 // most shards per bin that weighing sees, in bits

func newClassDual(m *market) *classDual {
	d := &classDual{
		m: m, lps: make([]binLP, len(m.p.Bins)), v: make([]int64, m.classes), low: make([]int64, m.classes),
		size: make([]int64, m.classes), share: make([]int64, m.classes), unit: make([]int64, m.classes),
		demand: make([]int32, m.classes), mean: make([]int64, m.classes),
	}
	d.shift = uint(max(0, bits.Len64(uint64(m.top))+sizeBits-61))
	for b := range d.lps {
		d.lps[b].reset(m.nres)
		if m.arcAt[b] < m.arcAt[b+1] {
			d.order = append(d.order, int32(b))
		}
	}
	for i := len(d.order) - 1; i > 0; i-- {
		j := m.draw(i + 1)
		d.order[i], d.order[j] = d.order[j], d.order[i]
	}
	for c := range d.low {
		d.measure(c)
	}
	return d
}

// measure finds the least cost of a class and its size, from a few of its edges.
func (d *classDual) measure(c int) {
	m := d.m
	group := &m.p.Groups[c]
	d.low[c] = m.top
	for i := group.From; i < group.To; i++ {
		d.low[c] = min(d.low[c], m.p.Edges[i].Cost<<PriceBits)
	}
	const samples = 16
	stride := max(1, (group.To-group.From)/samples)
	var sum, n int64
	for i := group.From; i < group.To; i += stride {
		e := &m.p.Edges[i]
		var top int64
		for r, need := range m.need[e.Need] {
			if capacity := m.p.Bins[e.Bin][r]; need > 0 && capacity > 0 {
				top = max(top, min(lpOne, mulDiv(need, lpOne, capacity)))
			}
		}
		sum, n = sum+top, n+1
	}
	d.share[c] = max(lpOne>>sizeBits, sum/max(1, n))
	d.size[c] = max(1, lpOne/d.share[c])
}

// startCold sets v to where a single price per part of a bin would clear the market.
func (d *classDual) startCold() {
	m := d.m
	type item struct {
		density int64
		share   int64
	}
	items := make([]item, 0, len(m.value))
	for c := range m.classes {
		for _, value := range m.value[m.valueAt[c]:m.valueAt[c+1]] {
			if value > d.low[c] {
				items = append(items, item{(value - d.low[c]) >> d.shift * d.size[c], d.share[c]})
			}
		}
	}
	slices.SortFunc(items, func(a, b item) int {
		switch {
		case a.density > b.density:
			return -1
		case a.density < b.density:
			return 1
		}
		return 0
	})
	// Packing wastes some: what is full at 85 % of the shares sets the price.
	room := int64(len(d.order)) * lpOne / 100 * 85
	density := int64(0)
	for _, it := range items {
		if room -= it.share; room < 0 {
			density = it.density
			break
		}
	}
	for c := range d.v {
		d.v[c] = d.low[c] + density/d.size[c]<<d.shift
	}
}

// startWarm sets v from prices: what one shard costs at the cheapest bin.
func (d *classDual) startWarm(prices []Vector) {
	m := d.m
	for c := range d.v {
		group := &m.p.Groups[c]
		v := dotLimit
		for i := group.From; i < group.To; i++ {
			e := &m.p.Edges[i]
			v = min(v, e.Cost<<PriceBits+dot(&prices[e.Bin], &m.need[e.Need]))
		}
		d.v[c] = v
	}
}

// pass lets every bin answer once and moves v as it goes. rate is the step in 1/rateOne of a class's margin
// when all its bins are in excess. Each bin chooses its candidates anew every period passes, in turn: a bin that does
// not see a class lets its price run away.
func (d *classDual) pass(turn, period int, rate int64, mean bool, w *meter) bool {
	m := d.m
	n := len(d.order)
	block := max(1, n/32)
	d.setUnits(rate)
	for from := 0; from < n; from += block {
		to := min(n, from+block)
		for c := range d.v {
			d.raise(c, int64(to-from), int64(n))
			if mean {
				d.mean[c] += (d.v[c] - d.mean[c]) / (d.terms + 1)
			}
		}
		if mean {
			d.terms++
		}
		steps := int64(len(d.v))
		for i, b := range d.order[from:to] {
			lp := &d.lps[b]
			if (i+turn)%period == 0 {
				looked, _ := m.refresh(int(b), lp, d.v, d.size, d.shift)
				steps += looked
			}
			steps += lp.solve(d.v, m.nres)
			for i := range m.nres {
				if j := lp.basis[i]; j >= 0 {
					d.supply(lp.list[j].class, mulShift(lp.level[i], lp.list[j].perBin, perBinBits))
				}
			}
		}
		if !w.spend(steps) {
			return false
		}
	}
	return true
}

// supply lowers the price of a class for shards (lpBits fractional bits) that a bin takes.
func (d *classDual) supply(c int32, shards int64) {
	d.v[c] = max(0, d.v[c]-mulShift(d.unit[c], mulShift(shards, d.share[c], lpBits), lpBits))
}

// setUnits sets the steps of all classes from their present margins.
func (d *classDual) setUnits(rate int64) {
	m := d.m
	for c := range d.unit {
		first, last := m.valueAt[c], m.valueAt[c+1]
		if first == last {
			d.unit[c] = 0
			continue
		}
		margin := max(0, d.v[c]-d.low[c]) + max(0, m.value[first]-d.low[c])>>5
		// A market that is short of the whole demand of a class once moves its price by its margin.
		bins := min(int64(m.spread[c]), 1+int64(last-first)*d.share[c]>>lpBits)
		d.unit[c] = mulDiv(margin, rate, rateOne) / max(1, bins)
	}
}

const (
	rateOne       = 1 << 16
	refreshPeriod = 6
)

// raise adds part/whole of one pass's demand to the price of a class.
func (d *classDual) raise(c int, part, whole int64) {
	value := d.m.value[d.m.valueAt[c]:d.m.valueAt[c+1]]
	at := d.demand[c]
	for int(at) < len(value) && value[at] > d.v[c] {
		at++
	}
	for at > 0 && value[at-1] <= d.v[c] {
		at--
	}
	d.demand[c] = at
	if at == 0 {
		if len(value) > 0 {
			d.v[c] = min(d.v[c], value[0]) // beyond the best shard's value nothing changes
		}
		return
	}
	// demand x share <= 2^44, part/whole <= 1
	excess := int64(at) * d.share[c] / whole * part
	d.v[c] = min(d.v[c]+mulShift(d.unit[c], excess, lpBits), value[0])
}

// refresh chooses the candidates of all bins anew and brings their programmes to the optimum, in up to rounds
// rounds per bin.
func (d *classDual) refresh(rounds int, w *meter) {
	for _, b := range d.order {
		for i := range rounds {
			steps, worst := d.m.refresh(int(b), &d.lps[b], d.v, d.size, d.shift)
			if i > 0 && worst <= 0 {
				if !w.spend(steps) {
					return
				}
				break
			}
			steps += d.lps[b].solve(d.v, d.m.nres)
			if !w.spend(steps) {
				return
			}
		}
	}
}

// run does passes with falling steps and leaves the mean in v. It stops early when steps run out.
func (d *classDual) run(passes int, firstRate, lastRate int64, w *meter) {
	rate := firstRate
	clear(d.mean)
	d.terms = 0
	d.refresh(1, w)
	for t := range passes {
		if !d.pass(t, min(2+t/4, refreshPeriod), max(rate, lastRate), 2*t >= passes, w) {
			break
		}
		// Falls to lastRate at about two thirds of the passes.
		rate -= (rate - lastRate/2) * 6 / int64(passes+5)
	}
	if d.terms > 0 {
		for c := range d.v {
			d.v[c] = d.mean[c]
		}
	}
}

// prices closes the run: candidates and programmes once more at the final v, then prices per bin.
func (d *classDual) prices(w *meter) []Vector {
	out := make([]Vector, len(d.lps))
	d.refresh(8, w)
	for _, b := range d.order {
		out[b] = d.m.price(int(b), &d.lps[b].rent)
	}
	return out
}
