package packing

import (
	"cmp"
	"math/bits"
	"slices"
)

// tabu goes on where a market is small enough to know every shard by itself: a search over single moves and
// exchanges that may overload bins at a price. The price of overload rises while bins stay overloaded and falls
// while they do not, so the walk keeps crossing the border of what is feasible, where the good allocations are.
// Places worth trying per shard are the few that lose least under the market's prices. The bin after the last
// stands for not being placed; it costs the shard's value.
type tabu struct {
	m      *market
	price  []Vector
	unit   []unit
	active []int32  // units with more than one bin to be in
	at     []int32  // per unit: index into its places
	now    []place  // per unit: the place it is at
	fine   []int64  // per bin: what its overload costs now
	free   []Vector // per bin, below zero where overloaded
	alpha  []Vector // price of overload per bin and scaled unit
	scale  [MaxResources]uint
	held   [][]int64 // per unit and place: the round until which it is not entered
	member [][]int32 // per bin: active units there
	pos    []int32   // per unit: index into the members of its bin
	want   [][]want  // per bin: active units with a place there
	first  []int32   // scratch of scan, all -1 between scans: per bin the head of a list of wants
	next   []int32   // and the links of the lists
	cost   int64     // of the current allocation, without overload, tabuShift fractional bits
	least  int64     // cost of the best feasible allocation
	best   []int32   // its places
	over   int       // bins overloaded
	round  int64
	since  int64 // round of the last improvement
	inside int   // rounds in a row without overload
}

type unit struct {
	class int32
	place []place
}

// place is where a unit may be: cost in money, edge -1 for not placed.
type place struct {
	bin, edge int32
	cost      int64
	need      Vector
}

const (
	tabuUnits  = 1 << 9
	tabuPlaces = 8       // per unit, besides not being placed
	tabuShift  = 10      // fractional bits of penalties
	alphaMost  = 1 << 38 // and overMost units of overload: fines stay below 2^61
	overMost   = 1 << 20
	leastScans = 500 // a budget for fewer scans is better spent on bins
	stale      = 500 // rounds without improvement before a kick
)

// fitsTabu says that the market is small enough for the steps that are left.
func fitsTabu(m *market, steps int64) bool {
	units := int64(len(m.value))
	return units > 0 && units <= tabuUnits && units*int64(len(m.p.Bins)) <= 1<<20 && scanSteps(units) < steps/leastScans
}

// scanSteps is about what one scan takes.
func scanSteps(units int64) int64 { return units*(tabuPlaces+1) + units*units/4 }

// newTabu begins at count. A place that loses more than slack (1/PriceScale money) against the best one of its
// class is left out; with slack at least bound - welfare no better allocation is lost by that.
func newTabu(m *market, price []Vector, count []int64, slack int64) *tabu {
	t := &tabu{
		m: m, price: price, free: append(slices.Clone(m.p.Bins), Vector{}),
		alpha: make([]Vector, len(m.p.Bins)+1),
	}
	for r := range t.scale {
		most := int64(0)
		for b := range m.p.Bins {
			most = max(most, m.p.Bins[b][r])
		}
		t.scale[r] = uint(max(0, bits.Len64(uint64(most))-20))
	}
	for b := range price {
		for r := range m.nres {
			t.alpha[b][r] = min(alphaMost, max(1, mulShift(price[b][r], 1<<t.scale[r], PriceBits-tabuShift)*2))
		}
	}
	for c := range m.classes {
		t.addClass(int32(c), count, slack)
	}
	t.listMembers()
	t.best = slices.Clone(t.at)
	t.fine = make([]int64, len(t.free))
	t.least = t.cost
	for b := range t.free {
		if t.overloaded(int32(b)) {
			t.over++
		}
	}
	return t
}

// listMembers fills the lists by bin, of active units.
func (t *tabu) listMembers() {
	t.member, t.want = make([][]int32, len(t.free)), make([][]want, len(t.free))
	t.pos = make([]int32, len(t.unit))
	for _, j := range t.active {
		b := t.now[j].bin
		t.pos[j] = int32(len(t.member[b]))
		t.member[b] = append(t.member[b], j)
		for k := range t.unit[j].place {
			b := t.unit[j].place[k].bin
			t.want[b] = append(t.want[b], want{j, int32(k)})
		}
	}
	t.first = make([]int32, len(t.free))
	for b := range t.first {
		t.first[b] = -1
	}
	t.next = make([]int32, len(t.unit))
}

// addClass makes the units of a class, each where count has it; those without an edge of count are not placed.
func (t *tabu) addClass(c int32, count []int64, slack int64) {
	m := t.m
	type option struct {
		loss int64
		edge int32
	}
	var options []option
	group := &m.p.Groups[c]
	left := []option{}
	for i := group.From; i < group.To; i++ {
		e := &m.p.Edges[i]
		need := &m.need[e.Need]
		if *need == (Vector{}) || !fits(need, &m.p.Bins[e.Bin], MaxResources) {
			continue
		}
		o := option{e.Cost<<PriceBits + dot(&t.price[e.Bin], need), i}
		options = append(options, o)
		for range count[i] {
			left = append(left, o)
		}
	}
	slices.SortFunc(options, func(a, b option) int {
		return cmp.Or(cmp.Compare(a.loss, b.loss), cmp.Compare(a.edge, b.edge))
	})
	for k, value := range m.value[m.valueAt[c]:m.valueAt[c+1]] {
		u := unit{class: c}
		add := func(bin, edge int32, cost int64, need Vector) {
			if !slices.ContainsFunc(u.place, func(p place) bool { return p.bin == bin }) {
				u.place = append(u.place, place{bin, edge, cost << tabuShift, need})
			}
		}
		add(int32(len(m.p.Bins)), -1, value>>PriceBits, Vector{})
		if k < len(left) {
			e := &m.p.Edges[left[k].edge]
			add(e.Bin, left[k].edge, e.Cost, m.need[e.Need])
		}
		at := int32(len(u.place) - 1)
		for _, o := range options[:min(tabuPlaces, len(options))] {
			if o.loss-options[0].loss > slack {
				break
			}
			e := &m.p.Edges[o.edge]
			add(e.Bin, o.edge, e.Cost, m.need[e.Need])
		}
		if len(u.place) > 2 {
			t.active = append(t.active, int32(len(t.unit)))
		}
		t.unit = append(t.unit, u)
		t.held = append(t.held, make([]int64, len(u.place)))
		t.at = append(t.at, at)
		p := &u.place[at]
		t.now = append(t.now, *p)
		t.cost += p.cost
		for r := range m.nres {
			t.free[p.bin][r] -= p.need[r]
		}
	}
}

func (t *tabu) overloaded(b int32) bool {
	for r := range t.m.nres {
		if t.free[b][r] < 0 {
			return true
		}
	}
	return false
}

// fineOf is what the overload of a bin costs when what is free there is free plus out minus in.
func (t *tabu) fineOf(b int32, in, out *Vector) (sum int64) {
	free, alpha := &t.free[b], &t.alpha[b]
	if t.m.nres == 1 {
		if after := free[0] - in[0] + out[0]; after < 0 {
			return alpha[0] * min(overMost, -after>>t.scale[0]+1)
		}
		return 0
	}
	for r := range t.m.nres {
		if after := free[r] - in[r] + out[r]; after < 0 {
			sum += alpha[r] * min(overMost, -after>>t.scale[r]+1)
		}
	}
	return sum
}

// enter moves unit j to its place k.
func (t *tabu) enter(j int, k int32) {
	if t.at[j] == k {
		return
	}
	from, to := &t.unit[j].place[t.at[j]], &t.unit[j].place[k]
	t.cost += to.cost - from.cost
	for _, step := range [2]*place{from, to} {
		was := t.overloaded(step.bin)
		for r := range t.m.nres {
			if step == from {
				t.free[step.bin][r] += step.need[r]
			} else {
				t.free[step.bin][r] -= step.need[r]
			}
		}
		switch now := t.overloaded(step.bin); {
		case now && !was:
			t.over++
		case was && !now:
			t.over--
		}
	}
	was, now := t.member[from.bin], t.pos[j]
	last := was[len(was)-1]
	was[now], t.pos[last] = last, now
	t.member[from.bin] = was[:len(was)-1]
	t.pos[j] = int32(len(t.member[to.bin]))
	t.member[to.bin] = append(t.member[to.bin], int32(j))
	// Not back there for a while.
	t.held[j][t.at[j]] = t.round + 3 + int64(t.m.draw(3))
	t.at[j], t.now[j] = k, *to
}

// run walks until the budget ends or until the best allocation meets the floor.
func (t *tabu) run(floor int64, w *meter) {
	if len(t.active) == 0 {
		return
	}
	for need := scanSteps(int64(len(t.active))); t.least > floor && w.left > need; {
		t.round++
		best, steps := t.scan()
		if !w.spend(steps + 1) {
			return
		}
		if best.a >= 0 {
			t.enter(best.a, best.ka)
			if best.b >= 0 {
				t.enter(best.b, best.kb)
			}
		}
		if t.over == 0 {
			t.inside++
			if t.cost < t.least {
				t.least, t.since = t.cost, t.round
				copy(t.best, t.at)
			}
		} else {
			t.inside = 0
		}
		t.adapt()
		if t.round-t.since > stale {
			t.kick()
		}
	}
}

// adapt moves the price of overload.
func (t *tabu) adapt() {
	for b := range t.alpha {
		for r := range t.m.nres {
			a := &t.alpha[b][r]
			switch {
			case t.free[b][r] < 0:
				*a = min(alphaMost, *a+*a>>7+1)
			case t.inside > 0:
				*a = max(1, *a-*a>>7)
			}
		}
	}
}

// kick returns to the best allocation and moves a few units at random.
func (t *tabu) kick() {
	for j, k := range t.best {
		t.enter(j, k)
	}
	for range 2 + t.m.draw(max(1, len(t.active)/60)) {
		j := int(t.active[t.m.draw(len(t.active))])
		if n := len(t.unit[j].place); n > 1 {
			t.enter(j, int32(1+t.m.draw(n-1)))
		}
	}
	t.since = t.round
}

// count writes the best allocation as counts per edge.
func (t *tabu) count() []int64 {
	out := make([]int64, len(t.m.p.Edges))
	for j, k := range t.best {
		if e := t.unit[j].place[k].edge; e >= 0 {
			out[e]++
		}
	}
	return out
}
