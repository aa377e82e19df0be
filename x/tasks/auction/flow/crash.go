package flow

// crash hangs nodes without supply under real arcs, along cheapest paths to the nodes that take flow, or where none does
// to the one most arcs lead to, instead of under the root. Their arcs carry nothing and lead up, so the tree stays strongly feasible; the first units
// pushed then follow cheap paths. Costs below 0 count as 0: the paths are a heuristic, the potentials are
// those of the tree.
func (e *engine) crash(g *Graph, dear int64) {
	n := int32(g.Nodes)
	into := make([]int32, n+2) // arcs by head
	for k := range e.arcs {
		into[e.arcs[k].to+2]++
	}
	for v := int32(2); v < n+2; v++ {
		into[v] += into[v-1]
	}
	list := make([]int32, len(e.arcs))
	for k := range e.arcs {
		to := e.arcs[k].to
		list[into[to+1]] = int32(k)
		into[to+1]++
	}
	const far = int64(1) << 62
	dist, via := make([]int64, n), make([]int32, n)
	var h heap
	hub := int32(-1)
	for v, s := range g.Supply {
		dist[v], via[v] = far, -1
		if s < 0 {
			dist[v] = 0
			h.push(entry{0, int32(v)})
		}
		if hub < 0 || into[v+1]-into[v] > into[hub+1]-into[hub] {
			hub = int32(v)
		}
	}
	if len(h) == 0 && hub >= 0 {
		dist[hub] = 0
		h.push(entry{0, hub})
	}
	for len(h) > 0 {
		top := h.pop()
		v := top.node
		if top.dist > dist[v] {
			continue
		}
		if k := via[v]; k >= 0 {
			// v, a leaf under the root so far, moves in the preorder to behind its new parent.
			under := e.arcs[k].to
			e.nodes[v] = node{up: e.caps[k], parent: under, pred: k}
			e.next[e.prev[v]], e.prev[e.next[v]] = e.next[v], e.prev[v]
			e.next[v], e.prev[v] = e.next[under], under
			e.prev[e.next[v]], e.next[under] = v, v
		}
		for _, k := range list[into[v]:into[v+1]] {
			a := &e.arcs[k]
			if d := top.dist + max(a.cost, 0); g.Supply[a.from] == 0 && d < dist[a.from] {
				dist[a.from], via[a.from] = d, k
				h.push(entry{d, a.from})
			}
		}
	}
	e.measure()
	anchor := make([]int64, n)
	for v, s := range g.Supply {
		anchor[v] = dear
		if s >= 0 {
			anchor[v] = -dear
		}
	}
	e.settle(anchor)
}

// entry is a node at a distance; equal distances go by node.
type entry struct {
	dist int64
	node int32
}

func (a entry) before(b entry) bool { return a.dist < b.dist || (a.dist == b.dist && a.node < b.node) }

// heap is a binary heap, least entry first.
type heap []entry

func (h *heap) push(x entry) {
	s := append(*h, x)
	i := len(s) - 1
	for i > 0 && x.before(s[(i-1)/2]) {
		s[i] = s[(i-1)/2]
		i = (i - 1) / 2
	}
	s[i] = x
	*h = s
}

func (h *heap) pop() entry {
	s := *h
	top, x := s[0], s[len(s)-1]
	s = s[:len(s)-1]
	*h = s
	i := 0
	for 2*i+1 < len(s) {
		c := 2*i + 1
		if c+1 < len(s) && s[c+1].before(s[c]) {
			c++
		}
		if !s[c].before(x) {
			break
		}
		s[i] = s[c]
		i = c
	}
	if len(s) > 0 {
		s[i] = x
	}
	return top
}
