package flow

// first builds the first tree where no start is given: the star, with nodes hung by crash.
//
// Where one node gives and one takes all flow, the first pivot sends everything along one way: the cheapest
// if that can carry it, else the cheapest made of wide arcs, those that can, if there is one. The artificial
// arcs are empty from then on and no arc of the way is short of room: most narrow arcs that enter are full before
// the tree blocks, go to their upper bound and leave the tree as it is. A way of cheap narrow arcs would fill up
// instead and be rebuilt pivot after pivot. With more givers or takers an arc carries less than all, and cheapest
// paths serve best.
func (e *engine) first(g *Graph, dear int64) {
	e.star(g, dear)
	e.crash(g, dear)
	giver, taker := ends(g)
	if giver < 0 {
		return
	}
	all := g.Supply[giver]
	way := e.outlet(giver, taker)
	if way >= 0 && !e.wide(way, taker, all) {
		way = e.reroute(g, dear, giver, taker)
	}
	if way >= 0 {
		a := e.arcs[way]
		e.pivot(way, giver, a.to, a.cost+e.pi[giver]-e.pi[a.to], e.caps[way], 0)
	}
}

// ends returns the node that gives flow and the node that takes it, -1 unless there is exactly one of each.
func ends(g *Graph) (giver, taker int32) {
	giver, taker = -1, -1
	for v, s := range g.Supply {
		switch {
		case s == 0:
		case s > 0 && giver < 0:
			giver = int32(v)
		case s < 0 && taker < 0:
			taker = int32(v)
		default:
			return -1, -1
		}
	}
	return giver, taker
}

// outlet is the first arc of the giver's cheapest way along the tree to the taker, the earliest of equals; -1 if no
// arc leads from the giver to the taker or to a node that crash hung below it.
func (e *engine) outlet(giver, taker int32) int32 {
	best, least := int32(-1), int64(0)
	for k := range e.arcs {
		a := &e.arcs[k]
		if a.from != giver || (a.to != taker && e.nodes[a.to].pred < 0) {
			continue
		}
		if c := a.cost - e.pi[a.to]; best < 0 || c < least {
			best, least = int32(k), c
		}
	}
	return best
}

// wide says whether arc way and the tree's arcs from there to the taker can carry all.
func (e *engine) wide(way, taker int32, all int64) bool {
	room := e.caps[way]
	for v := e.arcs[way].to; v != taker; v = e.nodes[v].parent {
		room = min(room, e.nodes[v].up)
	}
	return room >= all
}

// reroute hangs the nodes of the cheapest way made of wide arcs one under the other, the others stay. It returns the
// way's first arc, or -1 if there is no such way, and then changes nothing.
func (e *engine) reroute(g *Graph, dear int64, giver, taker int32) int32 {
	w := &engine{
		nodes: make([]node, len(e.nodes)), pi: make([]int64, len(e.pi)),
		next: make([]int32, len(e.nodes)), prev: make([]int32, len(e.nodes)),
	}
	var at []int32 // index in e.arcs of w's
	for k, c := range e.caps {
		if c >= g.Supply[giver] {
			w.arcs, w.caps, at = append(w.arcs, e.arcs[k]), append(w.caps, c), append(at, int32(k))
		}
	}
	w.star(g, dear)
	w.crash(g, dear)
	way := w.outlet(giver, taker)
	if way < 0 {
		return -1
	}
	for v := w.arcs[way].to; v != taker; v = w.nodes[v].parent {
		n := &w.nodes[v]
		e.nodes[v] = node{up: n.up, parent: n.parent, pred: at[n.pred]}
	}
	e.thread()
	e.measure()
	e.settle(e.pi) // nodes under the root keep theirs
	return at[way]
}

// thread links the nodes in preorder, children by number.
func (e *engine) thread() {
	root := e.root()
	child, beside := make([]int32, root+1), make([]int32, root+1) // first child, next sibling
	for v := range child {
		child[v] = -1
	}
	for v := root - 1; v >= 0; v-- {
		p := e.nodes[v].parent
		beside[v], child[p] = child[p], v
	}
	beside[root] = -1
	end := root
	for v := child[root]; v >= 0; {
		e.next[end], e.prev[v], end = v, end, v
		if child[v] >= 0 {
			v = child[v]
			continue
		}
		for v != root && beside[v] < 0 {
			v = e.nodes[v].parent
		}
		v = beside[v]
	}
	e.next[end], e.prev[root] = root, end
}
