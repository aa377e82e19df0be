package auction

import "cmp"

// Least prices. Given the best allocation and any prices that prove it, the least such prices come from shortest
// paths: a price can fall until an entry would move there, from no match or from a NexCore whose own price
// cannot fall further. The greatest prices come the same way from the other side. Pairs (money, ties) are compared as
// one number, so the least pair has the least money. Both are the same whatever the prices they start from.

func (a pairOf) plus(b pairOf) pairOf  { return pairOf{a.money + b.money, a.tie + b.tie} }
func (a pairOf) minus(b pairOf) pairOf { return pairOf{a.money - b.money, a.tie - b.tie} }

func costOf(e *Edge) pairOf { return pairOf{e.Cost, -tieBonus(e.Tie)} }

// worth is what a match of a shard of an entry is worth before its cost.
func (e *entryRow) worth() pairOf { return pairOf{e.usable, tieBonus(e.rank)} }

// residual is the graph of moves that an allocation leaves open. Nodes are those of the transport: the root, which is
// not used, supplies, then one for each level of each class: those of its shards that see that level or more.
type residual struct {
	m      *Model
	level  []int32  // first node of each class
	class  []int32  // of each level, from the first one on
	upper  []pairOf // prices that prove the allocation; of a class level, the least cost plus price it sees
	free   []bool   // supplies with room left
	best   []int32  // of each node, the best entry of a level with an open shard; -1
	lowest []int32  // of each node, the lowest matched entry of a level; -1
	begin  []int32  // of each node in holds, and the end
	holds  []hold   // of a supply, whose shards it has; of a level, where its shards are
	group  []int32  // of each node: those that shards join. Their prices fall and rise together
	from   []int32  // of each group in nodes, and the end
	nodes  []int32  // by group
}

// hold says that shards of an entry are on an edge of its class.
type hold struct {
	node  int32 // the class level or the supply at the other end
	entry int32
}

// residualOf makes the graph; ok is false if the prices do not prove the allocation: then nothing is least. values
// are the least cost plus price of each level, by node.
func (m *Model) residualOf(deals [][]placing, prices []Prices, values []pairOf, slots []int64) (g *residual, ok bool) {
	n := len(m.supplies)
	g = &residual{m: m, level: make([]int32, len(m.classes)), class: make([]int32, len(values)-1-n), upper: values, free: make([]bool, n)}
	for i, p := range prices {
		g.upper[1+i] = pairOf{p.Slot, p.Tie}
	}
	node := int32(1 + n)
	for i := range m.classes {
		g.level[i] = node
		for range m.classes[i].levels {
			g.class[int(node)-1-n] = int32(i)
			node++
		}
	}
	g.best, g.lowest = make([]int32, len(values)), make([]int32, len(values))
	load, used := make([]int64, n), make([]int64, len(m.entries))
	g.begin = make([]int32, len(values)+2)
	for i := range m.classes {
		c := &m.classes[i]
		for _, d := range deals[i] {
			e := &c.edges[d.edge]
			at, on := g.level[i]+m.entries[d.entry].level, 1+e.Supply
			if costOf(e).plus(g.upper[on]) != g.upper[at] {
				return nil, false
			}
			load[e.Supply] += d.count
			used[d.entry] += d.count
			g.begin[at+2]++
			g.begin[on+2]++
		}
		if !g.ends(i, used) {
			return nil, false
		}
	}
	for s := range load {
		g.free[s] = load[s] < slots[s]
		if g.free[s] && g.upper[1+s] != (pairOf{}) {
			return nil, false
		}
	}
	g.hang(deals)
	g.join()
	return g, true
}

// ends finds, for each level of a class, the best entry without a match and the lowest with one.
func (g *residual) ends(class int, used []int64) bool {
	c := &g.m.classes[class]
	base := g.level[class]
	for l := range int32(c.levels) {
		g.best[base+l], g.lowest[base+l] = -1, -1
	}
	for j := range c.entries { // in fill order: limits fall
		e := &c.entries[j]
		at, node := e.entry, base+e.level
		if used[at] < e.count && g.best[node] < 0 {
			g.best[node] = at
		}
		if used[at] > 0 {
			g.lowest[node] = at
		}
		value, v := e.worth(), g.upper[node]
		if used[at] > 0 && value.compare(v) < 0 || used[at] < e.count && value.compare(v) > 0 {
			return false
		}
	}
	return true
}

// hang lists what holds what, in the order of deals. begin has counts, two places on.
func (g *residual) hang(deals [][]placing) {
	for v := 2; v < len(g.begin); v++ {
		g.begin[v] += g.begin[v-1]
	}
	g.holds = make([]hold, g.begin[len(g.begin)-1])
	put := func(node int32, h hold) {
		g.holds[g.begin[node+1]] = h
		g.begin[node+1]++
	}
	for i := range deals {
		for _, d := range deals[i] {
			at, on := g.level[i]+g.m.entries[d.entry].level, 1+g.m.classes[i].edges[d.edge].Supply
			put(on, hold{at, d.entry})
			put(at, hold{on, d.entry})
		}
	}
}

// join finds the groups.
func (g *residual) join() {
	g.group, g.nodes = make([]int32, len(g.upper)), make([]int32, 0, len(g.upper))
	for v := range g.group {
		g.group[v] = -1
	}
	for v := int32(1); v < int32(len(g.group)); v++ {
		if g.group[v] >= 0 {
			continue
		}
		id := int32(len(g.from))
		i := len(g.nodes)
		g.from = append(g.from, int32(i))
		g.group[v] = id
		g.nodes = append(g.nodes, v)
		for ; i < len(g.nodes); i++ {
			for _, h := range g.heldAt(g.nodes[i]) {
				if g.group[h.node] < 0 {
					g.group[h.node] = id
					g.nodes = append(g.nodes, h.node)
				}
			}
		}
	}
	g.from = append(g.from, int32(len(g.nodes)))
}

// members are the nodes of a group.
func (g *residual) members(group int32) []int32 { return g.nodes[g.from[group]:g.from[group+1]] }

func (g *residual) heldAt(node int32) []hold { return g.holds[g.begin[node]:g.begin[node+1]] }

func (g *residual) supplies() int32 { return int32(len(g.free)) }

// at is the class and the level of a node.
func (g *residual) at(node int32) (c *classRow, level int) {
	class := g.class[node-1-g.supplies()]
	return &g.m.classes[class], int(node - g.level[class])
}

// far is longer than any path.
var far = pairOf{money: 4 * unpayable}

// least lowers the upper prices as far as they go: of supplies, and of levels what their shards pay then.
func (g *residual) least() []pairOf {
	n := g.supplies()
	slack := make([]pairOf, len(g.from)-1) // how far each group can fall, as far as known
	for i := range slack {
		slack[i] = far
	}
	for v := int32(1); v < int32(len(g.upper)); v++ {
		own := g.upper[v] // a NexCore's to nothing, a level's to what its best entry without a match has
		if v > n {
			if g.best[v] < 0 {
				continue
			}
			own = own.minus(g.m.entries[g.best[v]].worth())
		}
		if s := &slack[g.group[v]]; own.compare(*s) < 0 {
			*s = own
		}
	}
	q := make(groupHeap, 0, len(slack))
	for i, s := range slack {
		if s != far {
			q.push(groupKey{s, int32(i)})
		}
	}
	offer := func(node int32, s pairOf) {
		if group := g.group[node]; s.compare(slack[group]) < 0 {
			slack[group] = s
			q.push(groupKey{s, group})
		}
	}
	for len(q) > 0 {
		top := q.pop()
		if top.slack != slack[top.group] {
			continue
		}
		for _, v := range g.members(top.group) {
			if v <= n {
				continue
			}
			c, level := g.at(v)
			base := top.slack.minus(g.upper[v])
			if level > 0 { // what sees this level sees the one below
				offer(v-1, base.plus(g.upper[v-1]))
			}
			for _, e := range c.levelLinks(level) {
				p := &g.upper[1+e.supply]
				if money := base.money + e.cost + p.money; money <= slack[g.group[1+e.supply]].money { // few
					offer(1+e.supply, pairOf{money, base.tie + p.tie - int64(e.bonus)})
				}
			}
		}
	}
	out := make([]pairOf, len(g.upper))
	for v := 1; v < len(out); v++ {
		out[v] = g.upper[v].minus(slack[g.group[v]])
	}
	return out
}

// groupHeap is a binary heap of groups by slack, then number.
type groupHeap []groupKey

type groupKey struct {
	slack pairOf
	group int32
}

func (a *groupKey) before(b *groupKey) bool {
	switch {
	case a.slack.money != b.slack.money:
		return a.slack.money < b.slack.money
	case a.slack.tie != b.slack.tie:
		return a.slack.tie < b.slack.tie
	}
	return cmp.Less(a.group, b.group)
}

func (q *groupHeap) push(k groupKey) {
	*q = append(*q, k)
	h := *q
	i := len(h) - 1
	for i > 0 {
		up := (i - 1) / 2
		if !k.before(&h[up]) {
			break
		}
		h[i] = h[up]
		i = up
	}
	h[i] = k
}

func (q *groupHeap) pop() groupKey {
	h := *q
	top, last := h[0], h[len(h)-1]
	h = h[:len(h)-1]
	*q = h
	i := 0
	for {
		child := 2*i + 1
		if child >= len(h) {
			break
		}
		if child+1 < len(h) && h[child+1].before(&h[child]) {
			child++
		}
		if !h[child].before(&last) {
			break
		}
		h[i] = h[child]
		i = child
	}
	if len(h) > 0 {
		h[i] = last
	}
	return top
}
