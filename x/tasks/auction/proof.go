package auction

// proof shows that prices are least: one step for each NexCore that has one, each after its parent. least are the
// prices and, of levels, what their shards pay, by node. The steps go breadth first from the entries without a match that pay
// a price exactly, then from NexCores without a price, all in order of nodes: they follow from the allocation and the
// least prices alone, not from how these were found.
func (g *residual) proof(least []pairOf) []Step {
	n := g.supplies()
	type reach struct {
		node, entry int32
		parent      uint64
	}
	var queue []reach
	done := make([]bool, len(least))
	come := func(r reach) {
		if !done[r.node] {
			done[r.node] = true
			queue = append(queue, r)
		}
	}
	for node := 1 + n; node < int32(len(least)); node++ {
		if e := g.best[node]; e >= 0 && least[node] == g.m.entries[e].worth() {
			come(reach{node: node, entry: e})
		}
	}
	for s := range n {
		if least[1+s] == (pairOf{}) {
			come(reach{node: 1 + s})
		}
	}
	var proof []Step
	for i := 0; i < len(queue); i++ {
		r := queue[i]
		value := least[r.node]
		if r.node <= n {
			id := g.m.supplies[r.node-1].ID
			if value != (pairOf{}) {
				entry := &g.m.entries[r.entry]
				proof = append(proof, Step{NexCoreID: id, JobID: entry.JobID, First: entry.First, Parent: r.parent})
			}
			for _, h := range g.heldAt(r.node) {
				come(reach{node: h.node, entry: h.entry, parent: id})
			}
			continue
		}
		c, level := g.at(r.node)
		if level > 0 && least[r.node-1] == value {
			come(reach{r.node - 1, r.entry, r.parent})
		}
		for _, e := range c.levelLinks(level) {
			if p := &least[1+e.supply]; e.cost+p.money == value.money && p.tie-int64(e.bonus) == value.tie {
				come(reach{1 + e.supply, r.entry, r.parent})
			}
		}
	}
	return proof
}
