package packing

import (
	"cmp"
	"math/bits"
	"slices"
)

// subset searches the best way to share the units of one, two or three bins, all others held, by branch and
// bound. What an allocation is worse than its prices promise is the loss of each unit (cost and price of its place
// above those of its cheapest one) and what the idle rests of the bins are priced at; both are at least 0 at good
// prices, and a better allocation of the subset loses less than the present one in sum. So it differs from
// "everyone at the cheapest place" by few changes of little loss, and these are enumerated in order of loss.
//
// The sum of loss and idle value differs from the cost by a constant, whatever the values of needs are: rounding
// and saturation of them steer the search and cannot make a worse allocation look better.
type subset struct {
	t       *tabu
	worth   [][]int64 // per unit and place: value of its need at the bin's prices, tabuShift fractional bits
	loss    [][]int64 // per unit and place
	room    []int64   // per bin: value of the capacity that active units share
	slot    []int32   // per bin: 1 + its index in bins, or 0
	bins    []int32
	free    [subsetMost + 1]Vector
	idle    [subsetMost + 1]int64 // value of free
	units   []int32
	moved   []bool // per unit of the subset
	home    []int32
	changes []change
	stack   []int32 // changes made
	found   []int32 // changes of the best allocation yet
	base    int64   // loss of everyone at home
	budget  int64   // an allocation must not lose more
	over    uint8   // bins overloaded
	better  bool
	nodes   int64 // left
}

// change sends a unit from its home, the cheapest place in the subset, to another place there.
type change struct {
	loss              int64 // more than at home
	unit, place       int32
	from, to          int32 // where in the subset
	out, in           *Vector
	worthOut, worthIn int64
}

const (
	subsetMost = 3 // bins at a time
	// lossPart is the part of the budget, in sixteenths, that losses may take; idle rests have the other. There are
	// far fewer allocations of little loss, and the more of the budget they leave, the more of them fit.
	lossPart = 7
	// worthMost keeps sums over all units below 2^63: values and costs are below 2^53.
	worthMost = int64(1) << 52
	nodeSteps = 4
)

func newSubset(t *tabu) *subset {
	x := &subset{t: t, room: make([]int64, len(t.free)), slot: make([]int32, len(t.free))}
	for j := range t.unit {
		places := t.unit[j].place
		worth, loss := make([]int64, len(places)), make([]int64, len(places))
		for k := range places {
			p := &places[k]
			if p.edge >= 0 {
				worth[k] = t.worthOf(p.bin, &p.need)
			}
			loss[k] = p.cost + worth[k]
		}
		least := slices.Min(loss)
		for k := range loss {
			loss[k] -= least
		}
		x.worth, x.loss = append(x.worth, worth), append(x.loss, loss)
	}
	for b := range t.price {
		free := t.free[b]
		for _, j := range t.member[b] {
			for r := range free {
				free[r] += t.now[j].need[r]
			}
		}
		x.room[b] = t.worthOf(int32(b), &free)
	}
	return x
}

// worthOf is what an amount costs at the prices of a bin, tabuShift fractional bits.
func (t *tabu) worthOf(b int32, amount *Vector) int64 {
	return min(worthMost, dot(&t.price[b], amount)>>(PriceBits-tabuShift))
}

// index is where in the subset a bin is, -1 for outside; not being placed comes last and is always there.
func (x *subset) index(b int32) int32 {
	if int(b) == len(x.slot)-1 {
		return int32(len(x.bins))
	}
	return x.slot[b] - 1
}

// search looks for an allocation of the units in bins, and of those not placed anywhere, that loses less than the
// present one, within about so many nodes, and makes it. With noise, every place costs at random up to noise more
// and what is best then is made, so it may be worse. It returns whether anything changed, and the steps.
func (x *subset) search(bins []int32, nodes, noise int64) (changed bool, steps int64) {
	t := x.t
	x.bins = bins
	for i, b := range bins {
		x.slot[b] = int32(i) + 1
	}
	x.units, x.moved, x.home, x.changes = x.units[:0], x.moved[:0], x.home[:0], x.changes[:0]
	x.base, x.budget = 0, -1
	x.free[len(bins)], x.idle[len(bins)] = Vector{}, 0
	for i, b := range bins {
		x.free[i], x.idle[i] = t.free[b], x.room[b]
		for _, j := range t.member[b] {
			x.idle[i] -= x.worth[j][t.at[j]]
		}
		x.budget += x.idle[i]
	}
	for _, b := range bins {
		for _, j := range t.member[b] {
			x.add(j, noise)
		}
	}
	for _, j := range t.member[len(t.free)-1] {
		x.add(j, noise)
	}
	steps = int64(len(x.units)+len(x.changes)) * nodeSteps
	slices.SortFunc(x.changes, func(a, b change) int {
		return cmp.Or(cmp.Compare(a.loss, b.loss), cmp.Compare(a.unit, b.unit), cmp.Compare(a.place, b.place))
	})
	x.nodes, x.better, x.over, x.stack = nodes, false, 0, x.stack[:0]
	for i := range bins {
		x.look(int32(i))
	}
	x.offer(x.base)
	x.descend(0, x.base)
	if x.better {
		x.enter()
	}
	for _, b := range bins {
		x.slot[b] = 0
	}
	return x.better, steps + (nodes-x.nodes)*nodeSteps
}

// add brings a unit in, if it may be anywhere in the subset, and puts it at home.
func (x *subset) add(j int32, noise int64) {
	t := x.t
	var extra [tabuPlaces + 2]int64
	home, at := int32(-1), t.at[j]
	places, loss := t.unit[j].place, x.loss[j]
	for k := range places {
		if x.index(places[k].bin) < 0 {
			continue
		}
		extra[k] = loss[k]
		if noise > 0 {
			extra[k] += mulShift(int64(t.m.draw(1<<20)), noise, 20)
		}
		if home < 0 || extra[k] < extra[home] {
			home = int32(k)
		}
	}
	n := int32(len(x.units))
	x.units, x.moved, x.home = append(x.units, j), append(x.moved, false), append(x.home, home)
	x.base += extra[home]
	x.budget += extra[at]
	change := func(from, to int32) change {
		return change{
			loss: extra[to] - extra[from], unit: n, place: to, from: x.index(places[from].bin), to: x.index(places[to].bin),
			out: &places[from].need, in: &places[to].need, worthOut: x.worth[j][from], worthIn: x.worth[j][to],
		}
	}
	if home != at {
		g := change(at, home)
		x.move(g.from, g.to, g.out, g.in, g.worthOut, g.worthIn)
	}
	for k := range places {
		if x.index(places[k].bin) >= 0 && int32(k) != home {
			x.changes = append(x.changes, change(home, int32(k)))
		}
	}
}

// move takes a need out of one bin of the subset and puts one into another.
func (x *subset) move(from, to int32, out, in *Vector, worthOut, worthIn int64) {
	for r := range x.t.m.nres {
		x.free[from][r] += out[r]
		x.free[to][r] -= in[r]
	}
	x.idle[from] += worthOut
	x.idle[to] -= worthIn
}

// look brings over up to date after a change of a bin.
func (x *subset) look(i int32) {
	if int(i) == len(x.bins) {
		return
	}
	x.over &^= 1 << i
	for r := range x.t.m.nres {
		if x.free[i][r] < 0 {
			x.over |= 1 << i
		}
	}
}

// offer keeps the present changes if they are feasible and lose least yet; sum is the loss of the units.
func (x *subset) offer(sum int64) {
	if x.over != 0 {
		return
	}
	for i := range x.bins {
		sum += x.idle[i]
	}
	if sum <= x.budget {
		x.better, x.budget = true, sum-1
		x.found = append(x.found[:0], x.stack...)
	}
}

// descend adds changes from the given one on to those made, whose units lose sum. A change relieves one bin and
// fills one, so as many more are needed as there are bins overloaded, or with more idle than the budget allows.
func (x *subset) descend(first int, sum int64) {
	over, idle := x.over, uint8(0)
	for i := range x.bins {
		if over>>i&1 == 0 && x.idle[i] > x.budget-sum {
			idle |= 1 << i
		}
	}
	least := int64(max(1, bits.OnesCount8(over), bits.OnesCount8(idle)))
	limit := x.base + (x.budget-x.base)/16*lossPart
	for n := first; n < len(x.changes) && x.nodes > 0; n++ {
		g := &x.changes[n]
		if g.loss > (limit-sum)/least {
			return
		}
		s := sum + g.loss
		last := limit-s < g.loss
		if x.moved[g.unit] || last && (over&^(1<<g.from) != 0 || idle&^(1<<g.to) != 0) {
			continue
		}
		x.nodes--
		x.move(g.from, g.to, g.out, g.in, g.worthOut, g.worthIn)
		x.look(g.from)
		x.look(g.to)
		x.moved[g.unit] = true
		x.stack = append(x.stack, int32(n))
		x.offer(s)
		if !last {
			x.descend(n+1, s)
		}
		x.stack = x.stack[:len(x.stack)-1]
		x.moved[g.unit] = false
		x.move(g.to, g.from, g.in, g.out, g.worthIn, g.worthOut)
		x.over = over
	}
}

// enter makes the best allocation found.
func (x *subset) enter() {
	t := x.t
	for _, n := range x.found {
		g := &x.changes[n]
		x.home[g.unit] = g.place
	}
	for n, j := range x.units {
		t.enter(int(j), x.home[n])
	}
	if t.over == 0 && t.cost < t.least {
		t.least = t.cost
		copy(t.best, t.at)
	}
}

// lossOf is what the units in bins and the idle rests there lose now.
func (x *subset) lossOf(bins []int32) (sum int64) {
	t := x.t
	for _, b := range bins {
		sum += x.room[b]
		for _, j := range t.member[b] {
			sum += x.loss[j][t.at[j]] - x.worth[j][t.at[j]]
		}
	}
	return max(0, sum)
}
