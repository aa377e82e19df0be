package auction

import "cmp"

// Least prices. Given the best allocation and any prices that prove it, the least such prices come from shortest
// paths: a price can fall until an entry would move there, from no match or from a NexCore whose own price
// cannot fall further. The tree of these last obstacles is the proof. The greatest prices come the same way from
// the other side. Pairs (money, ties) are compared as one number, so the least pair has the least money.

func (a pairOf) plus(b pairOf) pairOf  { return pairOf{a.money + b.money, a.tie + b.tie} }
func (a pairOf) minus(b pairOf) pairOf { return pairOf{a.money - b.money, a.tie - b.tie} }

func costOf(e *Edge) pairOf { return pairOf{e.Cost, -tieBonus(e.Tie)} }

// worth is what a match of a shard of an entry is worth before its cost.
func (e *entryRow) worth() pairOf { return pairOf{e.usable, tieBonus(e.rank)} }

// residual is the graph of moves that an allocation leaves open. Nodes are supplies, then one node for each
// level of each class: those of its shards that see that level or more.
type residual struct {
	m      *Model
	from   []int32   // first node of each class
	levels []int     // of each class
	nodes  int       // supplies and class levels
	upper  []pairOf  // prices that prove the allocation; of a class level, the least cost plus price it sees
	free   []bool    // supplies with room left
	best   []int32   // of a class level, its best entry with an open shard; -1
	lowest []int32   // of a class level, its lowest matched entry; -1
	serves [][]holds // of a supply, whose shards it has
	held   [][]holds // of a class level, where its shards are
	looked int64     // edges looked at
}

// holds says that shards of an entry are on an edge of its class.
type holds struct {
	node  int32 // the class level or the supply at the other end
	entry int32
	edge  *Edge
}

// residualOf makes the graph; ok is false if the prices do not prove the allocation: then nothing is least.
func (m *Model) residualOf(deals [][]placing, prices []pairOf, slots []int64) (g *residual, ok bool) {
	g = &residual{m: m, nodes: len(m.supplies), from: make([]int32, len(m.classes)), levels: make([]int, len(m.classes))}
	for i := range m.classes {
		g.from[i], g.levels[i] = int32(g.nodes), m.levels(&m.classes[i])
		g.nodes += g.levels[i]
	}
	g.upper = make([]pairOf, g.nodes)
	copy(g.upper, prices)
	g.free = make([]bool, len(m.supplies))
	g.serves = make([][]holds, len(m.supplies))
	g.held = make([][]holds, g.nodes-len(m.supplies))
	g.best, g.lowest = make([]int32, len(g.held)), make([]int32, len(g.held))
	load, used := make([]int64, len(m.supplies)), make([]int64, len(m.entries))
	flat := make([]Prices, len(prices))
	for i, p := range prices {
		flat[i] = Prices{Slot: p.money, Tie: p.tie}
	}
	for i := range m.classes {
		c := &m.classes[i]
		m.pairValues(c, flat, g.upper[g.from[i]:int(g.from[i])+g.levels[i]])
		for _, d := range deals[i] {
			e := &c.edges[d.edge]
			node := g.from[i] + m.entries[d.entry].level
			if costOf(e).plus(prices[e.Supply]) != g.upper[node] {
				return nil, false
			}
			load[e.Supply] += d.count
			used[d.entry] += d.count
			g.serves[e.Supply] = append(g.serves[e.Supply], holds{node, d.entry, e})
			g.held[int(node)-len(m.supplies)] = append(g.held[int(node)-len(m.supplies)], holds{e.Supply, d.entry, e})
		}
		if !g.ends(i, used) {
			return nil, false
		}
	}
	for s := range load {
		g.free[s] = load[s] < slots[s]
		if g.free[s] && prices[s] != (pairOf{}) {
			return nil, false
		}
	}
	return g, true
}

// ends finds, for each level of a class, the best entry without a match and the lowest with one.
func (g *residual) ends(class int, used []int64) bool {
	c := &g.m.classes[class]
	base := int(g.from[class]) - len(g.m.supplies)
	for l := range g.levels[class] {
		g.best[base+l], g.lowest[base+l] = -1, -1
	}
	for _, at := range c.entries { // in fill order: limits fall
		e := &g.m.entries[at]
		l := base + int(e.level)
		if used[at] < e.Count && g.best[l] < 0 {
			g.best[l] = at
		}
		if used[at] > 0 {
			g.lowest[l] = at
		}
		value, v := e.worth(), g.upper[int(g.from[class])+int(e.level)]
		if used[at] > 0 && value.compare(v) < 0 || used[at] < e.Count && value.compare(v) > 0 {
			return false
		}
	}
	return true
}

// reach is the best way to a node found so far.
type reach struct {
	slack  pairOf // how far the node is from its upper price
	entry  int32  // the obstacle: this entry,
	parent int32  // coming from this supply, -1: from no match; -2: the node may be free of charge
	known  bool
	done   bool
}

// least lowers the upper prices as far as they go. It returns the slot prices by supply and the steps of the
// proof in order.
func (g *residual) least() ([]pairOf, []Step) {
	n := len(g.m.supplies)
	ways := make([]reach, g.nodes)
	var q nodeHeap
	offer := func(node int32, w reach) {
		old := &ways[node]
		if !old.done && (!old.known || w.slack.compare(old.slack) < 0) {
			w.known = true
			*old = w
			q.push(nodeKey{w.slack, node})
		}
	}
	for s := range n {
		offer(int32(s), reach{slack: g.upper[s], entry: -1, parent: -2})
	}
	for i, at := range g.best {
		if at >= 0 {
			node := int32(n + i)
			offer(node, reach{slack: g.upper[node].minus(g.m.entries[at].worth()), entry: at, parent: -1})
		}
	}
	var proof []Step
	for len(q) > 0 {
		top := q.pop()
		w := &ways[top.node]
		if w.done || top.slack != w.slack {
			continue
		}
		w.done = true
		if int(top.node) < n {
			if w.parent != -2 {
				step := Step{NexCoreID: g.m.supplies[top.node].ID, JobID: g.m.entries[w.entry].JobID, First: g.m.entries[w.entry].First}
				if w.parent >= 0 {
					step.Parent = g.m.supplies[w.parent].ID
				}
				proof = append(proof, step)
			}
			for _, h := range g.serves[top.node] {
				offer(h.node, reach{slack: w.slack, entry: h.entry, parent: top.node})
			}
			continue
		}
		class := g.classOf(top.node)
		level := top.node - g.from[class]
		if level > 0 { // what sees this level sees the one below
			below := g.upper[top.node-1].minus(g.upper[top.node])
			offer(top.node-1, reach{slack: w.slack.plus(below), entry: w.entry, parent: w.parent})
		}
		edges := g.m.classes[class].edges
		g.looked += int64(len(edges))
		for i := range edges {
			if e := &edges[i]; e.Level == level {
				length := g.upper[e.Supply].plus(costOf(e)).minus(g.upper[top.node])
				offer(e.Supply, reach{slack: w.slack.plus(length), entry: w.entry, parent: w.parent})
			}
		}
	}
	prices := make([]pairOf, n)
	kept := proof[:0]
	for s := range n {
		if prices[s] = g.upper[s]; ways[s].known {
			prices[s] = g.upper[s].minus(ways[s].slack)
		}
	}
	for _, step := range proof {
		if prices[g.m.findSupply(step.NexCoreID)] != (pairOf{}) {
			kept = append(kept, step)
		}
	}
	return prices, kept
}

// greatest raises the money of the upper prices as far as they prove the allocation; unex by supply.
func (g *residual) greatest() []int64 {
	n := len(g.m.supplies)
	ways := make([]reach, g.nodes)
	var q nodeHeap
	offer := func(node int32, slack int64) {
		old := &ways[node]
		if !old.done && (!old.known || slack < old.slack.money) {
			*old = reach{slack: pairOf{money: slack}, known: true}
			q.push(nodeKey{old.slack, node})
		}
	}
	for s := range n {
		if g.free[s] {
			offer(int32(s), 0)
		}
	}
	for i, at := range g.lowest {
		if at >= 0 {
			offer(int32(n+i), g.m.entries[at].usable-g.upper[n+i].money)
		}
	}
	// The edges of a supply, to walk against their direction.
	seen := make([][]holds, n)
	for i := range g.m.classes {
		c := &g.m.classes[i]
		for j := range c.edges {
			if e := &c.edges[j]; int(e.Level) < g.levels[i] {
				seen[e.Supply] = append(seen[e.Supply], holds{node: g.from[i] + e.Level, edge: e})
			}
		}
	}
	for len(q) > 0 {
		top := q.pop()
		w := &ways[top.node]
		if w.done || top.slack != w.slack {
			continue
		}
		w.done = true
		if int(top.node) < n { // a class level that sees it is worth at most its cost and price
			g.looked += int64(len(seen[top.node]))
			for _, h := range seen[top.node] {
				offer(h.node, w.slack.money+g.upper[top.node].money+h.edge.Cost-g.upper[h.node].money)
			}
			continue
		}
		for _, h := range g.held[int(top.node)-n] {
			offer(h.node, w.slack.money)
		}
		if class := g.classOf(top.node); int(top.node-g.from[class]) < g.levels[class]-1 {
			offer(top.node+1, w.slack.money+g.upper[top.node].money-g.upper[top.node+1].money)
		}
	}
	prices := make([]int64, n)
	for s := range n {
		if prices[s] = g.upper[s].money; ways[s].known {
			prices[s] += ways[s].slack.money
		}
	}
	return prices
}

func (g *residual) classOf(node int32) int {
	low, high := 0, len(g.from)
	for high-low > 1 {
		if mid := (low + high) / 2; g.from[mid] <= node {
			low = mid
		} else {
			high = mid
		}
	}
	return low
}

// nodeHeap is a binary heap of nodes by slack, then number.
type nodeHeap []nodeKey

type nodeKey struct {
	slack pairOf
	node  int32
}

func (a nodeKey) before(b nodeKey) bool {
	return cmp.Or(a.slack.compare(b.slack), cmp.Compare(a.node, b.node)) < 0
}

func (q *nodeHeap) push(k nodeKey) {
	*q = append(*q, k)
	h := *q
	for i := len(h) - 1; i > 0; {
		up := (i - 1) / 2
		if !h[i].before(h[up]) {
			return
		}
		h[i], h[up] = h[up], h[i]
		i = up
	}
}

func (q *nodeHeap) pop() nodeKey {
	h := *q
	top, last := h[0], len(h)-1
	h[0] = h[last]
	h = h[:last]
	*q = h
	for i := 0; ; {
		child := 2*i + 1
		if child >= len(h) {
			return top
		}
		if child+1 < len(h) && h[child+1].before(h[child]) {
			child++
		}
		if !h[child].before(h[i]) {
			return top
		}
		h[i], h[child] = h[child], h[i]
		i = child
	}
}
