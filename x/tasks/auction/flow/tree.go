package flow

// arc is a real arc as pricing sees it: turned so that it leads where flow can still be pushed. An arc at its
// lower bound stands as given, one at its upper bound is turned round and its cost negated. So one test,
// cost + pi[from] - pi[to] < 0, finds what may enter the tree; for an arc of the tree the sum is 0 either way.
type arc struct {
	cost     int64
	from, to int32
}

// node is a node of the spanning tree with the arc to its parent. The tree hangs under an artificial root, the
// last node. engine.next and prev link all nodes in a circle in preorder: a subtree is the run from its root to last.
//
// Invariant (strong feasibility): up > 0 for every node but the root, that is, every node can send flow to the
// root along the tree.
type node struct {
	up, down int64 // flow that the arc to the parent can still take towards the parent, and away from it
	parent   int32 // -1 at the root
	size     int32 // nodes of the subtree
	pred     int32 // index of that arc in engine.arcs; -1: artificial
	last     int32
}

// engine is one run of the network simplex method.
//
// It ends: let a pivot push delta along the cycle that arc (f, t) closes, and let the leaving arc be the last
// blocking one as the cycle is walked from its apex (the node nearest to the root) down to f, over (f, t) and
// from t up. Then up > 0 still holds. On the arcs walked before the leaving one: with delta > 0 flow has just
// been pushed away from the root, and with delta = 0 nothing has changed; when the leaving arc is on f's side,
// those between it and t hang the other way round now and, not blocking, can take more in the cycle's
// direction, which now leads to the root; when it is on t's side, then delta = its up > 0, and those between
// f and it, whose way to the root is now against the cycle, carry delta that can be sent back. Arcs walked
// after the leaving one are not blocking and still lead to the root in the cycle's direction. A pivot with
// delta > 0 lowers the objective. In a pivot with delta = 0 the leaving arc is on f's side, because on t's
// side up > 0; so the subtree cut off holds f, and its potentials all rise against the root's by |reduced
// cost| > 0. Potentials are a function of the tree, hence no tree returns, and there are finitely many.
type engine struct {
	arcs  []arc
	caps  []int64 // of arcs, > 0; openCap for Inf
	given []int32 // index in Graph.Arcs
	nodes []node
	// The preorder. Apart from nodes, because potentials are shifted along next all the time.
	next, prev []int32
	// pi may drift by a common amount, even past the range of int64: only differences are used, and those
	// are bounded and survive wrapping.
	pi   []int64
	open int64 // limits.open

	block, at int // pricing looks at block arcs at a time, next at index at

	pivots, scanned       int64
	maxPivots, maxScanned int64
}

// root is the artificial root's index.
func (e *engine) root() int32 { return int32(len(e.nodes) - 1) }

// turn makes arc k lead away from node from, one of its ends.
func (e *engine) turn(k, from int32) {
	if a := &e.arcs[k]; a.from != from {
		a.from, a.to, a.cost = a.to, a.from, -a.cost
	}
}

// pivot pushes flow through arc k from f to t and round the cycle it closes with the tree. The arc can take
// ahead more units from f to t and back units from t to f; rc is its reduced cost in the direction of the push.
// It is false when nothing bounds the push; then nothing has changed.
func (e *engine) pivot(k, f, t int32, rc, ahead, back int64) bool {
	nodes := e.nodes
	// Climb from both ends to the apex: of two nodes, the one with fewer nodes below is not above the other.
	// Strict on f's side and not on t's makes the last blocking arc the one that leaves.
	delta, out, onF := ahead, int32(-1), false
	u, v := f, t
	a, b := &nodes[u], &nodes[v]
	for u != v {
		if a.size < b.size {
			if a.down < delta {
				delta, out, onF = a.down, u, true
			}
			u = a.parent
			a = &nodes[u]
		} else {
			if b.up <= delta {
				delta, out, onF = b.up, v, false
			}
			v = b.parent
			b = &nodes[v]
		}
	}
	if delta > e.open {
		return false
	}
	e.pivots++
	apex := u
	// Push, and count the nodes that the subtree below the leaving arc brings to the other side.
	gainF, gainT, moved := int32(0), int32(0), int32(0)
	if out >= 0 {
		if moved = nodes[out].size; onF {
			gainT = moved
		} else {
			gainF = moved
		}
	}
	if delta > 0 || gainF > 0 {
		for x := f; x != apex; {
			a := &nodes[x]
			a.down -= delta
			a.up += delta
			a.size += gainF
			x = a.parent
		}
	}
	if delta > 0 || gainT > 0 {
		for x := t; x != apex; {
			a := &nodes[x]
			a.up -= delta
			a.down += delta
			a.size += gainT
			x = a.parent
		}
	}
	if out < 0 {
		e.turn(k, t)
		return true
	}
	leaving, above := nodes[out].pred, nodes[out].parent
	below, under, up, down, shift := t, f, back+delta, ahead-delta, rc
	if onF {
		below, under, up, down, shift = f, t, ahead-delta, back+delta, -rc
	}
	if leaving >= 0 {
		if onF {
			e.turn(leaving, out)
		} else {
			e.turn(leaving, above)
		}
	}
	for x := above; x != apex; x = nodes[x].parent {
		nodes[x].size -= moved
	}
	tail := e.hang(out, below, under, k, up, down)
	e.shift(below, tail, under, moved, shift)
	return true
}

// hang cuts the subtree of out, makes below its root and hangs it under node under by arc k. It returns the
// subtree's new last node. Sizes outside the subtree are the caller's.
func (e *engine) hang(out, below, under, k int32, up, down int64) int32 {
	nodes, succ, back := e.nodes, e.next, e.prev
	cut := &nodes[out]
	whole, end, before := cut.size, cut.last, back[out]
	after := succ[end]
	succ[before] = after
	back[after] = before
	for x := cut.parent; x >= 0 && nodes[x].last == end; x = nodes[x].parent {
		nodes[x].last = before
	}
	// Walk the stem from below to out. The new preorder is the subtree of below, then what the subtree of each
	// further stem node holds beyond its predecessor's.
	x, parent, pred, done := below, under, k, int32(0)
	last, prev := nodes[x].last, back[x]
	next, tail := succ[last], last
	for {
		n := &nodes[x]
		y, oldPred, oldUp, oldDown, oldSize := n.parent, n.pred, n.up, n.down, n.size
		n.parent, n.pred, n.up, n.down, n.size = parent, pred, up, down, whole-done
		if x == out {
			break
		}
		m := &nodes[y]
		yLast, yPrev, yNext, rest := m.last, back[y], next, prev
		if yLast != last {
			succ[prev] = next
			back[next] = prev
			yNext, rest = succ[yLast], yLast
		}
		succ[tail] = y
		back[y] = tail
		tail = rest
		parent, pred, up, down, done = x, oldPred, oldDown, oldUp, oldSize
		x, last, prev, next = y, yLast, yPrev, yNext
	}
	for x := out; x != under; x = nodes[x].parent {
		nodes[x].last = tail
	}
	follow := succ[under]
	succ[under] = below
	back[below] = under
	succ[tail] = follow
	back[follow] = tail
	if nodes[under].last == under {
		for x := under; x >= 0 && nodes[x].last == under; x = nodes[x].parent {
			nodes[x].last = tail
		}
	}
	return tail
}

// shift adds by to the potentials of the run from first to last, moved nodes long, or takes it from all others
// (the run from the node after last to the one before first) when those are fewer.
func (e *engine) shift(first, last, before, moved int32, by int64) {
	succ, pi := e.next, e.pi
	if int(moved)*2 > len(pi) {
		first, last, by = succ[last], before, -by
	}
	for x := first; ; x = succ[x] {
		pi[x] += by
		if x == last {
			return
		}
	}
}

// settle computes the potentials of the tree anew from the costs of its arcs: 0 at the root, anchor[v] (0 where
// anchor is nil) at a node v that hangs there by an artificial arc.
func (e *engine) settle(anchor []int64) {
	root := e.root()
	e.pi[root] = 0
	for v := e.next[root]; v != root; v = e.next[v] {
		n := &e.nodes[v]
		switch {
		case n.pred < 0 && anchor == nil:
			e.pi[v] = 0
		case n.pred < 0:
			e.pi[v] = anchor[v]
		case e.arcs[n.pred].from == v:
			e.pi[v] = e.pi[n.parent] - e.arcs[n.pred].cost
		default:
			e.pi[v] = e.pi[n.parent] + e.arcs[n.pred].cost
		}
	}
}
