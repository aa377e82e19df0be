package packing

import "slices"

// improver betters an allocation under fixed prices: it empties a few bins and fills them again with the best
// bundles it finds, and keeps the result when it is not worse.
type improver struct {
	state
	price []Vector // of the whole market
	v     []int64  // per class: cost and price of one shard at the cheapest bin
	lps   []binLP  // with the arcs worth looking at in each bin
	size  []int64
	shift uint
	q     pattern
	holds [4]hold
	keep  int64    // shards of each class that a bin's programme takes and the search still chooses
	all   []scored // scratch of choose
}

const (
	quickDive = 96
	deepDive  = 400
	byDensity = listSize / 2 // candidates chosen per size, the others as such
)

func newImprover(d *classDual, price []Vector, w *meter) *improver {
	m := d.m
	s := &improver{state: *newState(m), price: price, v: make([]int64, m.classes), lps: d.lps, size: d.size, shift: d.shift}
	s.q.s = &s.state
	for c := range s.v {
		s.v[c] = dotLimit
	}
	for b := range s.lps {
		for at := m.arcAt[b]; at < m.arcAt[b+1]; at++ {
			a := &m.arcs[at]
			s.v[a.class] = min(s.v[a.class], a.cost+dot(&price[b], &m.need[a.need]))
		}
	}
	s.relist(s.v, w)
	return s
}

// scored is an arc with what makes it worth looking at.
type scored struct {
	score int64
	arc   int32
}

// relist chooses the lists of all bins anew: what is worth looking at when classes pay worth.
func (s *improver) relist(worth []int64, w *meter) {
	for b := range s.lps {
		s.choose(b, worth)
		if !w.spend(int64(s.m.arcAt[b+1] - s.m.arcAt[b])) {
			return
		}
	}
}

// choose fills the list of a bin: the arcs that lose least when classes pay worth, some per size (what fills
// most of the bin) and some as such (what fills its corners).
func (s *improver) choose(b int, worth []int64) {
	m := s.m
	lp := &s.lps[b]
	lp.list = lp.list[:0]
	lp.reset(m.nres)
	var best [listSize]scored
	n := 0
	small := m.small(&s.price[b])
	all := s.all[:0]
	for at := m.arcAt[b]; at < m.arcAt[b+1]; at++ {
		a := &m.arcs[at]
		if !a.fits {
			continue
		}
		loss := a.cost - worth[a.class]
		if small {
			loss += plainDot(&s.price[b], &m.need[a.need], m.nres)
		} else {
			loss += dot(&s.price[b], &m.need[a.need])
		}
		all = append(all, scored{loss, at})
		n = keepLeast(best[:byDensity], n, scored{(max(-m.top, min(loss, m.top)) >> s.shift) * s.size[a.class], at})
	}
	s.all = all
	dense := n
	for _, x := range all {
		if !slices.ContainsFunc(best[:dense], func(y scored) bool { return y.arc == x.arc }) {
			n = dense + keepLeast(best[dense:], n-dense, x)
		}
	}
	for _, x := range best[:n] {
		lp.list = append(lp.list, m.newCandidate(b, x.arc))
	}
}

// keepLeast puts x into the ascending list of the n least of them and returns the new n.
func keepLeast(list []scored, n int, x scored) int {
	if n == len(list) && (n == 0 || x.score >= list[n-1].score) {
		return n
	}
	j := min(n, len(list)-1)
	for ; j > 0 && list[j-1].score > x.score; j-- {
		list[j] = list[j-1]
	}
	list[j] = x
	return min(n+1, len(list))
}

// construct fills the bins one after the other with bundles valued at prices per class that follow demand and
// supply as in classDual.pass, so that early bins do not take what all bins like and leave late ones the rest.
// turns after the first empty each bin before they fill it.
func (s *improver) construct(d *classDual, rate int64, turns int, w *meter) {
	copy(d.v, s.v)
	d.setUnits(rate)
	s.ceiling = d.v
	n := len(d.order)
	block := max(1, n/32)
	for turn := range turns {
		for from := 0; from < n; from += block {
			to := min(n, from+block)
			for c := range d.v {
				d.raise(c, int64(to-from), int64(n))
			}
			s.cut(d.v)
			steps := int64(len(d.v))
			for _, b := range d.order[from:to] {
				if turn > 0 {
					s.empty(int(b))
				}
				steps += s.fill(int(b), quickDive)
				for _, at := range s.used[b] {
					a := &s.m.arcs[at]
					d.supply(a.class, s.count[a.edge]<<lpBits)
					s.bid[a.class] = s.next(a.class, 0)
				}
			}
			if !w.spend(steps) {
				s.cut(nil)
				return
			}
		}
	}
	s.cut(nil)
}

// fill adds to an empty bin. The prices that guide it are those at which the present bids just pay for the bin.
func (s *improver) fill(b, nodes int) int64 {
	lp := &s.lps[b]
	steps := lp.solve(s.bid, s.m.nres)
	price := s.m.price(b, &lp.rent)
	for i := range s.m.nres {
		if j := lp.basis[i]; j >= 0 {
			c := &lp.list[j]
			n := mulShift(lp.level[i], c.perBin, lpBits+perBinBits) - s.keep
			if n > 0 && s.m.arcs[c.arc].fits {
				s.commit(b, c.arc, n, &price)
			}
		}
	}
	return steps + s.q.fill(b, lp.list, &price, nodes)
}

// commit places up to n shards on an arc as long as the next one pays at least most of its price.
func (s *improver) commit(b int, at int32, n int64, price *Vector) {
	a := &s.m.arcs[at]
	weight := dot(price, &s.m.need[a.need])
	weight -= weight >> 5
	n = s.fit(b, at, min(n, s.left(a.class)))
	k := int64(0)
	for k < n && s.next(a.class, int32(k))-a.cost >= weight {
		k++
	}
	if k > 0 {
		s.move(b, at, k)
	}
}

// refill empties one bin and fills it again with the shards that bring most now. Never worse.
func (s *improver) refill(b, nodes int, w *meter) bool {
	h := &s.holds[0]
	before := s.welfare
	s.clearBin(b, h)
	ok := w.spend(s.fill(b, nodes))
	if s.welfare < before {
		s.empty(b)
		s.restore(h)
	}
	return ok
}

// sweeps refills all bins in turn until that brings little.
func (s *improver) sweeps(order []int32, w *meter) {
	for range 6 {
		before := s.welfare
		for _, b := range order {
			if !s.refill(int(b), quickDive, w) {
				return
			}
		}
		if s.welfare-before <= before>>11 {
			break
		}
		s.relist(s.bid, w)
	}
}

// loss is what a bin brings less than its prices promise: idle capacity and shards that are cheaper elsewhere.
func (s *improver) loss(b int) int64 {
	loss := dot(&s.price[b], &s.free[b]) >> searchShift
	for _, at := range s.used[b] {
		a := &s.m.arcs[at]
		loss += (a.cost + dot(&s.price[b], &s.m.need[a.need]) - s.v[a.class]) >> searchShift * s.count[a.edge]
	}
	return loss
}

// poor draws a few bins and returns the one with the greatest loss.
func (s *improver) poor(order []int32, draws int) int {
	best, most := 0, int64(-1)
	for range draws {
		b := int(order[s.m.draw(len(order))])
		if loss := s.loss(b); loss > most {
			best, most = b, loss
		}
	}
	return best
}

// mixes goes on until the budget ends or the welfare meets the bound.
func (s *improver) mixes(order []int32, bound int64, w *meter) {
	for s.welfare < bound && w.left > 0 && s.mix(order, quickDive, w) {
	}
}

// mix empties two or three bins that do badly and fills them anew, the first half the time at market prices.
func (s *improver) mix(order []int32, nodes int, w *meter) bool {
	k := 2 + s.m.draw(2)
	var bins [3]int
	for i := range k {
		bins[i] = s.poor(order, 3)
		for j := range i {
			if bins[j] == bins[i] {
				return w.spend(8)
			}
		}
	}
	before := s.welfare
	for i := range k {
		s.clearBin(bins[i], &s.holds[i])
	}
	var steps int64 = 8
	s.keep = int64(s.m.draw(2))
	for i := range k {
		if i == 0 && s.m.draw(2) == 0 {
			s.cut(s.v)
		}
		s.choose(bins[i], s.bid)
		steps += s.fill(bins[i], nodes) + int64(s.m.arcAt[bins[i]+1]-s.m.arcAt[bins[i]])
		if s.ceiling != nil {
			s.cut(nil)
		}
	}
	s.keep = 0
	if s.welfare < before {
		for i := range k {
			s.empty(bins[i])
		}
		for i := range k {
			s.restore(&s.holds[i])
		}
	}
	return w.spend(steps)
}
