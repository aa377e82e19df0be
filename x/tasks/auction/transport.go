package auction

import (
	"github.com/nexara/nexara/x/tasks/auction/flow"
)

// transport is the book as a network: money flows from the root over entries to the levels of their class, over
// edges to NexCores and over their slots back to the root. An entry's arc earns its usable limit, an edge costs
// its cost; whatever is not worth it stays at the root. Edges are never full: one more than all shards of the
// class fits, so that only entries and slots have a price.
//
// It need not hold all edges. Prices that prove the best flow of some edges prove it for all if no edge left out
// costs less with its price than what a class pays; extend adds those that do.
type transport struct {
	m     *Model
	slots []int64
	graph flow.Graph
	level []int32     // first node of each class
	entry []int32     // of each class, the arc of its first entry; the others' follow
	slot  int32       // arc of the first supply; the others' follow
	first int32       // the arcs of edges begin here
	links []classLink // of them
	has   [][]bool    // of each class, which links are in
}

// classLink is a link of a class.
type classLink struct{ class, link int32 }

const root = int32(0)

// newTransport makes the network without edges; extra is how many to make room for.
func newTransport(m *Model, slots []int64, extra int) *transport {
	t := &transport{m: m, slots: slots}
	nodes := int32(1 + len(m.supplies))
	t.level = make([]int32, len(m.classes))
	total := 0
	for i := range m.classes {
		t.level[i] = nodes
		nodes += int32(m.classes[i].levels)
		total += len(m.classes[i].links)
	}
	arcs := len(m.entries) + int(nodes)
	t.graph = flow.Graph{Nodes: int(nodes), Arcs: make([]flow.Arc, 0, arcs+extra), Supply: make([]int64, nodes)}
	t.entry, t.has = make([]int32, len(m.classes)), make([][]bool, len(m.classes))
	backing := make([]bool, total)
	for i := range m.classes {
		c := &m.classes[i]
		t.has[i], backing = backing[:len(c.links)], backing[len(c.links):]
		t.entry[i] = int32(len(t.graph.Arcs))
		for j := range c.entries {
			e := &c.entries[j]
			t.add(flow.Arc{From: root, To: t.level[i] + e.level, Cap: e.count, Cost: -e.usable, Tie: -int64(e.bonus)})
		}
		for l := int32(1); l < int32(c.levels); l++ {
			t.add(flow.Arc{From: t.level[i] + l, To: t.level[i] + l - 1, Cap: c.shards + 1})
		}
	}
	t.slot = int32(len(t.graph.Arcs))
	for s := range m.supplies {
		t.add(flow.Arc{From: int32(1 + s), To: root, Cap: slots[s]})
	}
	t.first = int32(len(t.graph.Arcs))
	t.links = make([]classLink, 0, extra)
	return t
}

func (t *transport) add(a flow.Arc) { t.graph.Arcs = append(t.graph.Arcs, a) }

// include adds an edge, the link at a place in a class that level l sees first, unless it is in.
func (t *transport) include(class, l int, at int32) {
	if t.has[class][at] {
		return
	}
	t.has[class][at] = true
	c := &t.m.classes[class]
	e := &c.links[at]
	t.add(flow.Arc{From: t.level[class] + int32(l), To: 1 + e.supply, Cap: c.shards + 1, Cost: e.cost, Tie: -int64(e.bonus)})
	t.links = append(t.links, classLink{int32(class), at})
}

// includeAll adds all edges.
func (t *transport) includeAll() {
	for i := range t.m.classes {
		c := &t.m.classes[i]
		for l := range c.levels {
			for at := c.starts[l]; at < c.starts[l+1]; at++ {
				t.include(i, l, at)
			}
		}
	}
}

// includeBest adds, for every level, the edges of least cost plus price that it sees, and returns that sum by node.
func (t *transport) includeBest(prices []int64) []int64 {
	value := make([]int64, t.graph.Nodes)
	for i := range t.m.classes {
		c := &t.m.classes[i]
		best := int64(unpayable)
		for l := range c.levels {
			run := c.levelLinks(l)
			least := int64(unpayable)
			for j := range run {
				least = min(least, run[j].cost+prices[run[j].supply])
			}
			best = min(best, least)
			value[t.level[i]+int32(l)] = best
			if least > best || best == unpayable {
				continue
			}
			for j := range run {
				if run[j].cost+prices[run[j].supply] == best {
					t.include(i, l, c.starts[l]+int32(j))
				}
			}
		}
	}
	return value
}

// prices reads the value of slots from the potentials of an optimal flow.
func (t *transport) prices(r *flow.Result) []Prices {
	out := make([]Prices, len(t.m.supplies))
	for i := range out {
		if t.slots[i] > 0 {
			if p := worth(r, int32(1+i)); p.compare(pairOf{}) > 0 {
				out[i] = Prices{Slot: p.money, Tie: p.tie}
			}
		}
	}
	return out
}

// worth is what potentials say about a node: what a slot of a NexCore, or a shard at a level, is worth at the root.
func worth(r *flow.Result, node int32) pairOf {
	return pairOf{r.Potential[root] - r.Potential[node], r.TiePotential[root] - r.TiePotential[node]}
}

// extend adds edges by which the best flow of the edges so far could get better, as its prices show, and
// returns how many. With none the flow is the best of all, and values are the least cost plus price by node.
func (t *transport) extend(r *flow.Result, prices []Prices) (added int, values []pairOf) {
	m := t.m
	values = make([]pairOf, t.graph.Nodes)
	pays := make([]pairOf, 0, 32) // the most that a shard at this level or above pays or would pay
	for i := range m.classes {
		c := &m.classes[i]
		from := t.level[i]
		value := values[from : from+int32(c.levels)]
		m.pairValues(c, prices, value)
		pays = append(pays[:0], make([]pairOf, c.levels)...)
		for j := range c.entries {
			e := &c.entries[j]
			pay := &pays[e.level]
			if used := r.Flow[t.entry[i]+int32(j)]; used > 0 {
				*pay = worth(r, from+e.level)
			} else if own := e.worth(); own.compare(*pay) > 0 {
				*pay = own
			}
		}
		for l := c.levels - 1; l >= 0; l-- {
			if l+1 < c.levels && pays[l+1].compare(pays[l]) > 0 {
				pays[l] = pays[l+1]
			}
			if value[l].compare(pays[l]) >= 0 {
				continue
			}
			added += t.includeLeast(i, l, pays[l], prices)
		}
	}
	return added, values
}

// mostAtOnce is how many edges extend adds for one level: more than a few are of no use once these are in.
const mostAtOnce = 6

// includeLeast adds the edges of least cost plus price that a level sees first, of those that stay below a limit.
func (t *transport) includeLeast(class, level int, limit pairOf, prices []Prices) (added int) {
	c := &t.m.classes[class]
	type found struct {
		value pairOf
		at    int32
	}
	var least [mostAtOnce]found // ascending
	n := 0
	for at := c.starts[level]; at < c.starts[level+1]; at++ {
		e := &c.links[at]
		p := &prices[e.supply]
		f := found{pairOf{e.cost + p.Slot, p.Tie - int64(e.bonus)}, at}
		if f.value.money > limit.money || f.value.compare(limit) >= 0 || t.has[class][at] || n == mostAtOnce && f.value.compare(least[n-1].value) >= 0 {
			continue
		}
		n = min(n+1, mostAtOnce)
		i := n - 1
		for ; i > 0 && f.value.compare(least[i-1].value) < 0; i-- {
			least[i] = least[i-1]
		}
		least[i] = f
	}
	for i := range n {
		t.include(class, level, least[i].at)
	}
	return n
}

// deals reads a flow back: which entries have how many shards on which edges.
func (t *transport) deals(amount []int64) [][]placing {
	m := t.m
	start := make([]int32, len(m.classes)+1) // of each class in loads
	for k, f := range amount[t.first:] {
		if f > 0 {
			start[t.links[k].class+1]++
		}
	}
	placings := 0
	for i := range m.classes {
		placings += int(start[i+1]) + len(m.classes[i].entries)
		start[i+1] += start[i]
	}
	loads, next := make([]load, start[len(m.classes)]), append([]int32(nil), start...)
	for k, f := range amount[t.first:] {
		if f > 0 {
			on := t.links[k]
			c := &m.classes[on.class]
			loads[next[on.class]] = load{c.place(c.links[on.link].supply), f}
			next[on.class]++
		}
	}
	out := make([][]placing, len(m.classes))
	all := make([]placing, 0, placings)
	var taken []int64
	for i := range m.classes {
		c := &m.classes[i]
		taken = append(taken[:0], amount[t.entry[i]:int(t.entry[i])+len(c.entries)]...)
		c.refill(taken)
		from := len(all)
		all = c.layout(all, taken, loads[start[i]:start[i+1]])
		out[i] = all[from:len(all):len(all)]
	}
	return out
}

// refill moves what is taken at each level to the first entries in fill order: entries of equal limit are equal
// to the flow, not to the market.
func (c *classRow) refill(taken []int64) {
	total := make([]int64, c.levels)
	for j := range c.entries {
		total[c.entries[j].level] += taken[j]
	}
	for j := range c.entries {
		e := &c.entries[j]
		taken[j] = min(e.count, total[e.level])
		total[e.level] -= taken[j]
	}
}
