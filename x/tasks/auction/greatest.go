package auction

// greatest raises the money of the upper prices as far as they prove the allocation; unex by supply.
func (g *residual) greatest() []int64 {
	n := g.supplies()
	slack := make([]int64, len(g.from)-1) // how far each group can rise, as far as known
	for i := range slack {
		slack[i] = far.money
	}
	for v := int32(1); v < int32(len(g.upper)); v++ {
		own := far.money // a level's to what its lowest entry with a match has
		switch {
		case v <= n && g.free[v-1]:
			own = 0
		case v > n && g.lowest[v] >= 0:
			own = g.m.entries[g.lowest[v]].usable - g.upper[v].money
		}
		slack[g.group[v]] = min(slack[g.group[v]], own)
	}
	g.passUp(slack)
	list, begin := g.shorter(slack)
	q := make(groupHeap, 0, len(slack))
	for i, s := range slack {
		q.push(groupKey{pairOf{money: s}, int32(i)})
	}
	offer := func(group int32, s int64) {
		if s < slack[group] {
			slack[group] = s
			q.push(groupKey{pairOf{money: s}, group})
		}
	}
	for len(q) > 0 {
		top := q.pop()
		s := top.slack.money
		if s != slack[top.group] {
			continue
		}
		for _, e := range list[begin[top.group]:begin[top.group+1]] { // who sees a NexCore is worth at most its cost and price
			offer(e.to, s+e.length)
		}
		for _, v := range g.members(top.group) {
			if v <= n {
				continue
			}
			if c, level := g.at(v); level < c.levels-1 {
				offer(g.group[v+1], s+g.upper[v].money-g.upper[v+1].money)
			}
		}
	}
	prices := make([]int64, n)
	for s := range prices {
		prices[s] = g.upper[1+s].money + slack[g.group[1+s]]
	}
	return prices
}

// passUp lets no level rise further than its cheapest edge does, as far as known. That is no more than a bound: it keeps
// the list of shorter edges short.
func (g *residual) passUp(slack []int64) {
	top := make([]int64, len(g.free)) // greatest prices, as far as known
	for s := range top {
		top[s] = g.upper[1+s].money + slack[g.group[1+s]]
	}
	for i := range g.m.classes {
		c := &g.m.classes[i]
		for l := range c.levels {
			least := 2 * far.money
			for _, e := range c.levelLinks(l) {
				least = min(least, e.cost+top[e.supply])
			}
			node := g.level[i] + int32(l)
			group := g.group[node]
			slack[group] = min(slack[group], least-g.upper[node].money)
		}
	}
}

// way is an edge against its direction: from a NexCore's group to a level's, which can rise by length more.
type way struct {
	length   int64
	from, to int32
}

// shorter lists, by the group they come from, the edges shorter than what is known of their level and of those above it
// that hold a NexCore: no other can matter. Those of a group are list[begin[group]:begin[group+1]].
func (g *residual) shorter(slack []int64) (list []way, begin []int32) {
	var run []way
	all := make([]way, 0, len(g.m.edges)/2)
	for i := range g.m.classes {
		c := &g.m.classes[i]
		limit := int64(0) // costs plus prices from here on do not matter
		for l := c.levels - 1; l >= 0; l-- {
			links := c.levelLinks(l)
			if len(links) >= len(run) {
				run = make([]way, 2*len(links)+1)
			}
			node := g.level[i] + int32(l)
			value, to, k := g.upper[node].money, g.group[node], 0
			if len(g.heldAt(node)) > 0 {
				limit = max(limit, value+slack[to])
			}
			limit = min(limit, value+slack[to])
			for j := range links {
				e := &links[j]
				sum := e.cost + g.upper[1+e.supply].money
				from := g.group[1+e.supply]
				run[k] = way{sum - value, from, to}
				other := uint64(from-to) | uint64(to-from)
				k += int((uint64(sum-limit) & other) >> 63) // one more if both: no branch to be foretold wrong
			}
			all = append(all, run[:k]...)
		}
	}
	begin = make([]int32, len(slack)+2)
	for i := range all {
		begin[all[i].from+2]++
	}
	for s := 2; s < len(begin); s++ {
		begin[s] += begin[s-1]
	}
	list = make([]way, len(all))
	for i := range all {
		at := &begin[all[i].from+1]
		list[*at] = all[i]
		*at++
	}
	return list, begin
}
