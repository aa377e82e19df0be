package flow

import "fmt"

// Options say where Solve starts and when it stops.
type Options struct {
	// MaxPivots and MaxScanned bound the work, 0 for no bound. Never exceeded.
	MaxPivots, MaxScanned int64
	// Start is a feasible flow per arc to begin with; nil for none. Where all supplies are 0, none means the
	// zero flow. From a start on every intermediate flow is feasible and no costlier than it. Arcs strictly
	// between their bounds should form a forest; each that closes a cycle costs one pivot, which pushes flow
	// round it in the direction that does not cost more. An arc without bound may not close one: ErrStart.
	Start []int64
	// Prefer lists arcs to complete the first spanning tree with, best first, such as those of reduced cost 0
	// under earlier prices, or an earlier Result.Tree. One that closes a cycle is passed over. Only used with a start.
	Prefer []int32
	// Potential are earlier potentials, per node, as a hint for what Prefer does not decide. Only used with a start.
	Potential []int64
}

// Result is a feasible flow with the proof of its optimality.
//
// The reduced cost of an arc is Cost + Potential[From] - Potential[To], its reduced tie is the same with Tie
// and TiePotential. If Optimal, then on every arc the pair (reduced cost, reduced tie), compared first by
// cost and then by tie, is >= (0, 0) where Flow < Cap and <= (0, 0) where Flow > 0. That proves
// that no feasible flow has a smaller (Cost, TieCost).
type Result struct {
	Flow         []int64 // per arc
	Potential    []int64 // per node, 0 at node 0
	TiePotential []int64 // per node, 0 at node 0
	Tree         []int32 // arcs of the last spanning tree, by lower node: a good Prefer for the next call
	Cost         int64   // sum of Cost * Flow
	TieCost      int64   // sum of Tie * Flow
	Pivots       int64
	Scanned      int64 // arcs looked at
	CostOptimal  bool  // Cost is least, and Potential proves it
	Optimal      bool  // and TieCost is least among all flows of that Cost
}

// Solve finds a flow of least cost and, among those, of least tie cost, by the primal network simplex method.
// It is a function of its arguments alone. When the budget ends early the feasible flow at hand is returned with
// Optimal false, or ErrBudget if there is none yet. Other errors: ErrBounds, ErrStart, ErrInfeasible, ErrUnbounded;
// then the result holds the work done only.
func Solve(g *Graph, opt Options) (Result, error) {
	if opt.MaxPivots < 0 || opt.MaxScanned < 0 {
		return Result{}, fmt.Errorf("%w: budget", ErrBounds)
	}
	l, err := validate(g)
	if err != nil {
		return Result{}, err
	}
	if l.unmatched {
		return Result{}, fmt.Errorf("%w: supplies do not sum to 0", ErrInfeasible)
	}
	e := newEngine(g, l, &opt)
	var rest []loose
	state := optimal
	given := opt.Start != nil || (!l.supplied && (opt.Prefer != nil || opt.Potential != nil))
	if given {
		if rest, err = e.adopt(g, &opt, l.path); err != nil {
			return Result{}, err
		}
		rest, state = e.tighten(g, rest)
	} else {
		dear := l.path + 1
		if !l.supplied {
			dear = 0 // nothing to drive out
		}
		e.first(g, dear)
	}
	if state == optimal {
		state = e.run()
	}
	r := Result{Pivots: e.pivots, Scanned: e.scanned}
	if state == unbounded {
		return r, ErrUnbounded
	}
	if !given && e.artificial(g) > 0 {
		if state == exhausted {
			return r, ErrBudget
		}
		return r, ErrInfeasible
	}
	r.CostOptimal = state == optimal
	r.Potential = e.potentials()
	r.Flow = make([]int64, len(g.Arcs))
	e.outside(g, r.Flow)
	for _, a := range rest {
		r.Flow[e.given[a.k]] = a.flow
	}
	if r.CostOptimal && l.tied {
		e.narrow(g)
		state = e.run()
		r.TiePotential = e.potentials()
		e.outside(g, r.Flow)
	} else {
		r.TiePotential = make([]int64, g.Nodes)
	}
	r.Pivots, r.Scanned, r.Optimal = e.pivots, e.scanned, state == optimal
	if state == unbounded {
		return Result{Pivots: r.Pivots, Scanned: r.Scanned}, ErrUnbounded
	}
	r.Tree = e.inside(g, r.Flow)
	if !loops(g, r.Flow) {
		return Result{Pivots: r.Pivots, Scanned: r.Scanned}, ErrUnbounded
	}
	for i, f := range r.Flow {
		r.Cost += f * g.Arcs[i].Cost
		r.TieCost += f * g.Arcs[i].Tie
	}
	return r, nil
}

// tighten brings arcs strictly between their bounds into the tree or to a bound, one pivot each, in the direction
// that lowers the cost, or to less flow where both cost the same. It returns those not reached.
func (e *engine) tighten(g *Graph, rest []loose) ([]loose, verdict) {
	for i, l := range rest {
		if e.maxPivots > 0 && e.pivots >= e.maxPivots {
			return rest[i:], exhausted
		}
		a := e.arcs[l.k]
		away, towards := e.room(g, l.k, a.from, l.flow)
		rc := a.cost + e.pi[a.from] - e.pi[a.to]
		var bounded bool
		if rc < 0 {
			bounded = e.pivot(l.k, a.from, a.to, rc, away, towards)
		} else {
			bounded = e.pivot(l.k, a.to, a.from, -rc, towards, away)
		}
		if !bounded {
			return rest[i:], unbounded
		}
	}
	return nil, optimal
}

// narrow turns to the second objective: it keeps only the arcs of reduced cost 0, prices them by Tie and
// settles the tree anew. Flow that moves on such arcs alone keeps the first objective, and the first
// potentials stay a proof of it; conversely every optimal flow differs from this one on such arcs alone.
func (e *engine) narrow(g *Graph) {
	at := make([]int32, len(e.arcs))
	kept := 0
	for k := range e.arcs {
		a := e.arcs[k]
		at[k] = -1
		if a.cost+e.pi[a.from]-e.pi[a.to] != 0 {
			continue
		}
		given := &g.Arcs[e.given[k]]
		a.cost = given.Tie
		if a.from != given.From {
			a.cost = -a.cost
		}
		at[k] = int32(kept)
		e.arcs[kept], e.caps[kept], e.given[kept] = a, e.caps[k], e.given[k]
		kept++
	}
	e.arcs, e.caps, e.given = e.arcs[:kept], e.caps[:kept], e.given[:kept]
	for v := range e.nodes {
		if n := &e.nodes[v]; n.pred >= 0 {
			n.pred = at[n.pred]
		}
	}
	e.settle(nil)
	e.setBlock()
}

// potentials returns those of the graph's nodes, less that of node 0.
func (e *engine) potentials() []int64 {
	p := make([]int64, len(e.pi)-1)
	for v := range p {
		p[v] = e.pi[v] - e.pi[0]
	}
	return p
}

// outside writes the flow of all arcs as if none were in the tree: those turned round carry their capacity.
func (e *engine) outside(g *Graph, flow []int64) {
	for k, i := range e.given {
		flow[i] = 0
		if e.arcs[k].from != g.Arcs[i].From {
			flow[i] = e.caps[k]
		}
	}
}

// inside writes the flow of the tree's arcs and lists them.
func (e *engine) inside(g *Graph, flow []int64) []int32 {
	tree := make([]int32, 0, len(e.nodes)-1)
	for v := range e.nodes {
		n := &e.nodes[v]
		if n.pred < 0 {
			continue
		}
		i := e.given[n.pred]
		tree = append(tree, i)
		if g.Arcs[i].From == int32(v) {
			flow[i] = n.down
		} else {
			flow[i] = n.up
		}
	}
	return tree
}

// loops fills those arcs from a node to itself that lower the objective; false when one has no upper bound.
func loops(g *Graph, flow []int64) bool {
	for i := range g.Arcs {
		a := &g.Arcs[i]
		if a.From != a.To {
			continue
		}
		flow[i] = 0
		if a.Cost < 0 || (a.Cost == 0 && a.Tie < 0) {
			if a.Cap == Inf {
				return false
			}
			flow[i] = a.Cap
		}
	}
	return true
}
