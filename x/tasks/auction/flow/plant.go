package flow

// link is an arc that joins two trees of the starting forest. Those not in the tree only relate potentials.
type link struct {
	k, from, to int32
	tree        bool
}

// plant builds the tree and the potentials from links, which form a forest on the graph's nodes.
func (e *engine) plant(g *Graph, opt *Options, links []link, flow func(int32) int64, bound int64) {
	n := int32(g.Nodes)
	root := e.root()
	// Links by node: beside[first[v]:first[v+1]].
	first := make([]int32, n+2)
	for _, l := range links {
		first[l.from+2]++
		first[l.to+2]++
	}
	for v := int32(2); v < n+2; v++ {
		first[v] += first[v-1]
	}
	beside := make([]int32, 2*len(links))
	for i, l := range links {
		beside[first[l.from+1]] = int32(i)
		first[l.from+1]++
		beside[first[l.to+1]] = int32(i)
		first[l.to+1]++
	}

	// Potentials: along all links, each component anchored at its lowest node.
	anchor := make([]int64, n)
	seen := make([]bool, n)
	stack := make([]int32, 0, n)
	for s := range n {
		if seen[s] {
			continue
		}
		seen[s] = true
		if opt.Potential != nil {
			anchor[s] = min(max(opt.Potential[s], -bound), bound)
		}
		stack = append(stack, s)
		for len(stack) > 0 {
			v := stack[len(stack)-1]
			stack = stack[:len(stack)-1]
			for _, i := range beside[first[v]:first[v+1]] {
				a := &e.arcs[links[i].k]
				u := a.from + a.to - v
				if seen[u] {
					continue
				}
				seen[u] = true
				if a.from == v {
					anchor[u] = anchor[v] + a.cost
				} else {
					anchor[u] = anchor[v] - a.cost
				}
				stack = append(stack, u)
			}
		}
	}

	// The trees of the forest that have no way out hang under the root by their lowest node. A forest tree is
	// what is joined by arcs between their bounds alone; a link at a bound is the way out of the tree of its tail.
	between := newSets(g.Nodes)
	for _, l := range links {
		if f := flow(l.k); f > 0 && f < e.caps[l.k] {
			between.union(l.from, l.to)
		}
	}
	closed := make([]bool, n)
	for _, l := range links {
		if f := flow(l.k); l.tree && (f == 0 || f == e.caps[l.k]) {
			closed[between.find(l.from)] = true
		}
	}
	e.nodes[root] = node{parent: -1, pred: -1}
	end := root // last node in preorder so far
	clear(seen)
	for s := range n {
		if set := between.find(s); closed[set] {
			continue
		} else {
			closed[set] = true
		}
		e.nodes[s] = node{parent: root, pred: -1, up: openCap}
		seen[s] = true
		stack = append(stack, s)
		for len(stack) > 0 {
			v := stack[len(stack)-1]
			stack = stack[:len(stack)-1]
			e.next[end], e.prev[v], end = v, end, v
			for _, i := range beside[first[v]:first[v+1]] {
				l := &links[i]
				u := l.from + l.to - v
				if !l.tree || seen[u] {
					continue
				}
				seen[u] = true
				child := node{parent: v, pred: l.k}
				child.up, child.down = e.room(g, l.k, u, flow(l.k))
				e.nodes[u] = child
				stack = append(stack, u)
			}
		}
	}
	e.next[end], e.prev[root] = root, end
	e.measure()
	e.settle(anchor)
}

// room is what arc k can take away from node v, one of its ends, and towards it, when it carries flow.
func (e *engine) room(g *Graph, k, v int32, flow int64) (away, towards int64) {
	if g.Arcs[e.given[k]].From == v {
		return e.caps[k] - flow, flow
	}
	return flow, e.caps[k] - flow
}

// measure computes size and last of every node from the preorder.
func (e *engine) measure() {
	root := e.root()
	for v := range e.nodes {
		e.nodes[v].size, e.nodes[v].last = 1, -1
	}
	for v := e.prev[root]; ; v = e.prev[v] {
		n := &e.nodes[v]
		if n.last < 0 {
			n.last = v
		}
		if v == root {
			return
		}
		p := &e.nodes[n.parent]
		p.size += n.size
		if p.last < 0 {
			p.last = n.last
		}
	}
}
