package auction

import (
	"github.com/nexara/nexara/x/tasks/auction/flow"
)

// transport is the book as a network: money flows from the root over entries to the levels of their class, over
// edges to NexCores and over their slots back to the root. An entry's arc earns its usable limit, an edge costs
// its cost; whatever is not worth it stays at the root. Edges are never full: one more than all shards of the
// class fits, so that only entries and slots have a price.
type transport struct {
	m     *Model
	slots []int64
	graph flow.Graph
	level []int32   // first node of each class
	entry []int32   // arc of each entry, -1
	arcOf [][]int32 // of each class, the arc of each edge; -1 for one that no entry sees
	slot  []int32   // arc of each supply
}

const root = int32(0)

func newTransport(m *Model, slots []int64) *transport {
	t := &transport{m: m, slots: slots}
	supplies := int32(len(m.supplies))
	nodes := supplies + 1
	t.level = make([]int32, len(m.classes))
	arcs := len(m.entries) + len(m.supplies)
	for i := range m.classes {
		t.level[i] = nodes
		levels := m.levels(&m.classes[i])
		nodes += int32(levels)
		arcs += len(m.classes[i].edges) + levels
	}
	t.graph = flow.Graph{Nodes: int(nodes), Arcs: make([]flow.Arc, 0, arcs), Supply: make([]int64, nodes)}
	t.entry = make([]int32, len(m.entries))
	t.arcOf = make([][]int32, len(m.classes))
	backing := make([]int32, len(m.edges))
	for i := range m.classes {
		c := &m.classes[i]
		levels := int32(m.levels(c))
		for _, at := range c.entries {
			e := &m.entries[at]
			t.entry[at] = t.add(flow.Arc{From: root, To: t.level[i] + e.level, Cap: e.Count, Cost: -e.usable, Tie: -tieBonus(e.rank)})
		}
		for l := int32(1); l < levels; l++ {
			t.add(flow.Arc{From: t.level[i] + l, To: t.level[i] + l - 1, Cap: c.shards + 1})
		}
		if len(c.edges) <= len(backing) {
			t.arcOf[i], backing = backing[:len(c.edges)], backing[len(c.edges):]
		} else {
			t.arcOf[i] = make([]int32, len(c.edges))
		}
		for j := range c.edges {
			e := &c.edges[j]
			if e.Level >= levels {
				t.arcOf[i][j] = -1
				continue
			}
			t.arcOf[i][j] = t.add(flow.Arc{
				From: t.level[i] + e.Level, To: 1 + e.Supply, Cap: c.shards + 1, Cost: e.Cost, Tie: -tieBonus(e.Tie),
			})
		}
	}
	t.slot = make([]int32, len(m.supplies))
	for s := range supplies {
		t.slot[s] = t.add(flow.Arc{From: 1 + s, To: root, Cap: slots[s]})
	}
	return t
}

func (t *transport) add(a flow.Arc) int32 {
	t.graph.Arcs = append(t.graph.Arcs, a)
	return int32(len(t.graph.Arcs)) - 1
}

// start is a feasible flow that follows prices: class by class, each entry in fill order takes the least cost plus
// price that it sees and that has room. With good prices it is close to the best flow.
func (t *transport) start(prices []int64) []int64 {
	m := t.m
	out := make([]int64, len(t.graph.Arcs))
	room := append([]int64(nil), t.slots...)
	var q priced
	for i := range m.classes {
		c := &m.classes[i]
		q.fill(c, prices)
		for _, at := range c.entries {
			e := &m.entries[at]
			left := e.Count
			for k := 0; left > 0; k++ {
				key, ok := q.at(k)
				if !ok || key.value > e.usable {
					break
				}
				edge := &c.edges[key.edge]
				if edge.Level > e.level || room[edge.Supply] == 0 {
					continue
				}
				n := min(left, room[edge.Supply])
				room[edge.Supply] -= n
				left -= n
				out[t.arcOf[i][key.edge]] += n
				out[t.slot[edge.Supply]] += n
				out[t.entry[at]] += n
				for l := edge.Level + 1; l <= e.level; l++ {
					out[t.chain(i, l)] += n
				}
			}
			q.drop(func(k pricedEdge) bool { return room[c.edges[k.edge].Supply] == 0 })
		}
	}
	return out
}

// potential is what prices say about every node: a NexCore is worth its price less, a level of a class the least
// cost plus price that it sees.
func (t *transport) potential(prices []int64) []int64 {
	out := make([]int64, t.graph.Nodes)
	flat := make([]Prices, len(prices))
	for i, p := range prices {
		out[1+i], flat[i].Slot = -p, p
	}
	var value []pairOf
	for i := range t.m.classes {
		c := &t.m.classes[i]
		value = append(value[:0], make([]pairOf, t.m.levels(c))...)
		t.m.pairValues(c, flat, value)
		for l, v := range value {
			out[int(t.level[i])+l] = -min(v.money, MaxLimit)
		}
	}
	return out
}

// chain is the arc from a level of a class to the one below: the arcs after the last entry's.
func (t *transport) chain(class int, level int32) int32 {
	c := &t.m.classes[class]
	return t.entry[c.entries[len(c.entries)-1]] + level
}

// deals reads a flow back: which entries have how many shards on which edges.
func (t *transport) deals(amount []int64) [][]placing {
	m := t.m
	out := make([][]placing, len(m.classes))
	for i := range m.classes {
		c := &m.classes[i]
		taken, load := make([]int64, len(c.entries)), make([]int64, len(c.edges))
		for j, at := range c.entries {
			taken[j] = amount[t.entry[at]]
		}
		for j, arc := range t.arcOf[i] {
			if arc >= 0 {
				load[j] = amount[arc]
			}
		}
		t.refill(c, taken)
		out[i] = m.layout(c, taken, load)
	}
	return out
}

// refill moves what is taken at each level to the first entries in fill order: entries of equal limit are equal
// to the flow, not to the market.
func (t *transport) refill(c *classRow, taken []int64) {
	total := make([]int64, t.m.levels(c))
	for j, at := range c.entries {
		total[t.m.entries[at].level] += taken[j]
	}
	for j, at := range c.entries {
		e := &t.m.entries[at]
		taken[j] = min(e.Count, total[e.level])
		total[e.level] -= taken[j]
	}
}
