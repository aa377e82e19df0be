// Package flow finds integer minimum-cost flows and assignments, exactly and with their proof: next to a flow
// it returns potentials from which anyone can check optimality in one pass over the arcs. It is pure: values
// in, values out, int64 only. It never reads a clock, a store or a network, starts no goroutine, ranges over no
// map and panics on no input; a budget is counted in pivots and arcs looked at, so that every validator stops at
// the same step. The clearing of x/tasks/auction builds a Graph from its model and calls Solve.
package flow

import (
	"errors"
	"fmt"
	"math"
	"math/bits"
)

// Bounds of a Graph. Beyond them Solve answers ErrBounds. Together with the checks of validate they keep every
// potential, reduced cost, flow and objective inside int64.
const (
	MaxNodes = 1 << 20
	MaxArcs  = 1 << 24
	MaxCost  = int64(1) << 43 // magnitude of Arc.Cost
	MaxTie   = int64(1) << 31 // magnitude of Arc.Tie
	MaxCap   = int64(1) << 61 // of one finite Arc.Cap, and of all |Supply| together
	// Inf as Arc.Cap means no upper bound.
	Inf = int64(math.MaxInt64)

	maxPath      = uint64(1) << 60 // (nodes + 1) * largest |Cost|: bounds the cost of a path
	maxObjective = uint64(1) << 62 // positive and negative part of each objective
	openCap      = int64(1) << 62  // capacity inside the engine of what has none
)

// What Solve and Assign may answer besides a result; ask with errors.Is.
var (
	// ErrBounds says that the input is malformed or so large that a sum could leave int64.
	ErrBounds = errors.New("flow: out of bounds")
	// ErrInfeasible says that no flow meets the supplies within the capacities.
	ErrInfeasible = errors.New("flow: infeasible")
	// ErrUnbounded says that a cycle of arcs without upper bound lowers an objective for ever. Where one is met
	// before a feasible flow, whether there is any stays open.
	ErrUnbounded = errors.New("flow: unbounded")
	// ErrStart says that Options.Start, Prefer or Potential does not fit the graph.
	ErrStart = errors.New("flow: bad start")
	// ErrBudget says that the budget ended before any feasible flow was found.
	ErrBudget = errors.New("flow: budget ended without a feasible flow")
)

// Arc may carry 0 to Cap units of flow from From to To. Parallel arcs and loops are allowed.
type Arc struct {
	From, To int32 // nodes, 0 to Nodes-1
	Cap      int64 // 0 to MaxCap, or Inf
	Cost     int64 // per unit, |Cost| <= MaxCost
	Tie      int64 // per unit, the second objective, |Tie| <= MaxTie
}

// Graph is a minimum-cost flow problem: at every node v, outflow less inflow is Supply[v].
// Solve does not change it.
type Graph struct {
	Nodes  int     // 0 to MaxNodes
	Supply []int64 // per node; sums to 0, or the problem is infeasible
	Arcs   []Arc
}

// limits is what validate learns about a graph.
type limits struct {
	path      int64 // no path of real arcs costs more, in magnitude
	open      int64 // a cycle that can carry more than this has no upper bound at all
	supplied  bool  // some supply is not 0
	tied      bool  // some Tie is not 0
	unmatched bool  // the supplies do not sum to 0
}

// validate checks all bounds of g in one or two passes.
func validate(g *Graph) (limits, error) {
	var l limits
	if g == nil || g.Nodes < 0 || g.Nodes > MaxNodes || len(g.Supply) != g.Nodes || len(g.Arcs) > MaxArcs {
		return l, fmt.Errorf("%w: size of the graph", ErrBounds)
	}
	var into, out int64
	for v, s := range g.Supply {
		if s > MaxCap || s < -MaxCap {
			return l, fmt.Errorf("%w: supply of node %d", ErrBounds, v)
		}
		into, out = into+max(s, 0), out+max(-s, 0)
		if into > MaxCap || out > MaxCap {
			return l, fmt.Errorf("%w: sum of supplies", ErrBounds)
		}
	}
	l.supplied, l.unmatched = into > 0 || out > 0, into != out

	var dearest, tie int64
	finite, open := uint64(into), false
	nodes := uint32(g.Nodes)
	for i := range g.Arcs {
		a := &g.Arcs[i]
		if uint32(a.From) >= nodes || uint32(a.To) >= nodes {
			return l, fmt.Errorf("%w: ends of arc %d", ErrBounds, i)
		}
		if a.Cost > MaxCost || a.Cost < -MaxCost || a.Tie > MaxTie || a.Tie < -MaxTie {
			return l, fmt.Errorf("%w: cost of arc %d", ErrBounds, i)
		}
		dearest, tie = max(dearest, a.Cost, -a.Cost), max(tie, a.Tie, -a.Tie)
		switch {
		case a.Cap == Inf:
			open = true
		case a.Cap < 0 || a.Cap > MaxCap:
			return l, fmt.Errorf("%w: capacity of arc %d", ErrBounds, i)
		default:
			finite = addSat(finite, uint64(a.Cap))
		}
	}
	path := mulSat(uint64(g.Nodes)+1, uint64(dearest))
	if path > maxPath {
		return l, fmt.Errorf("%w: nodes times largest cost", ErrBounds)
	}
	l.path, l.tied, l.open = int64(path), tie > 0, math.MaxInt64
	if open {
		// In a basic flow an arc outside the tree carries 0 or its finite capacity, so no arc at all carries
		// more than what is supplied plus all finite capacities.
		if finite > uint64(MaxCap) {
			return l, fmt.Errorf("%w: sum of capacities beside arcs without one", ErrBounds)
		}
		l.open = int64(finite)
	}
	if !objectivesFit(g, l.open) {
		return l, fmt.Errorf("%w: objective", ErrBounds)
	}
	return l, nil
}

// objectivesFit says whether the positive and the negative part of both objectives stay in maxObjective for
// every flow the engine can reach. The sum over arcs of capacity * cost is tried first; where it is too coarse
// (many arcs share one node's small throughput) each node's throughput times its largest cost is summed.
func objectivesFit(g *Graph, open int64) bool {
	var cost, tie uint64
	for i := range g.Arcs {
		a := &g.Arcs[i]
		c := uint64(min(a.Cap, open))
		cost = addSat(cost, mulSat(c, magnitude(a.Cost)))
		tie = addSat(tie, mulSat(c, magnitude(a.Tie)))
	}
	if cost <= maxObjective && tie <= maxObjective {
		return true
	}
	through := make([]struct{ in, out uint64 }, g.Nodes)
	for i := range g.Arcs {
		a := &g.Arcs[i]
		c := uint64(min(a.Cap, open))
		through[a.From].out = addSat(through[a.From].out, c)
		through[a.To].in = addSat(through[a.To].in, c)
	}
	for v, s := range g.Supply {
		t := &through[v]
		t.in, t.out = min(t.in, addSat(t.out, uint64(max(-s, 0)))), min(t.out, addSat(t.in, uint64(max(s, 0))))
	}
	// largest per node: positive and negative, of Cost and of Tie, at the tail and at the head.
	largest := make([][8]uint64, g.Nodes)
	for i := range g.Arcs {
		a := &g.Arcs[i]
		tail, head := &largest[a.From], &largest[a.To]
		for k, c := range [4]int64{a.Cost, -a.Cost, a.Tie, -a.Tie} {
			c := uint64(max(c, 0))
			tail[k], head[4+k] = max(tail[k], c), max(head[4+k], c)
		}
	}
	var sum [8]uint64
	for v := range largest {
		for k := range 4 {
			sum[k] = addSat(sum[k], mulSat(through[v].out, largest[v][k]))
			sum[4+k] = addSat(sum[4+k], mulSat(through[v].in, largest[v][4+k]))
		}
	}
	for k := range 4 {
		if min(sum[k], sum[4+k]) > maxObjective {
			return false
		}
	}
	return true
}

func magnitude(x int64) uint64 { return uint64(max(x, -x)) }

// addSat and mulSat stop at the largest uint64.
func addSat(x, y uint64) uint64 {
	if sum, carry := bits.Add64(x, y, 0); carry == 0 {
		return sum
	}
	return math.MaxUint64
}

func mulSat(x, y uint64) uint64 {
	if high, low := bits.Mul64(x, y); high == 0 {
		return low
	}
	return math.MaxUint64
}
