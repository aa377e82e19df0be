package flow

import (
	"fmt"
	"math/bits"
	"slices"
)

// newEngine lays the arcs out for pricing. Loops and arcs without capacity never enter a tree and are left out.
// Neighbours in a graph's list often share a node; taking every stride-th arc makes each block a fair sample.
func newEngine(g *Graph, l limits, opt *Options) *engine {
	kept := 0
	for i := range g.Arcs {
		if a := &g.Arcs[i]; a.Cap > 0 && a.From != a.To {
			kept++
		}
	}
	e := &engine{
		arcs: make([]arc, 0, kept), caps: make([]int64, 0, kept), given: make([]int32, 0, kept),
		nodes: make([]node, g.Nodes+1), pi: make([]int64, g.Nodes+1),
		next: make([]int32, g.Nodes+1), prev: make([]int32, g.Nodes+1),
		open: l.open, maxPivots: opt.MaxPivots, maxScanned: opt.MaxScanned,
	}
	stride := 1
	for stride*stride < len(g.Arcs) {
		stride++
	}
	for first := range stride {
		for i := first; i < len(g.Arcs); i += stride {
			a := &g.Arcs[i]
			if a.Cap == 0 || a.From == a.To {
				continue
			}
			e.arcs = append(e.arcs, arc{a.Cost, a.From, a.To})
			e.given = append(e.given, int32(i))
			c := a.Cap
			if c == Inf {
				c = openCap
			}
			e.caps = append(e.caps, c)
		}
	}
	e.setBlock()
	return e
}

// star is the first tree without a start: every node hangs under the root by an artificial arc that carries
// its supply, at a cost above that of any path of real arcs. So a pivot never raises what artificial arcs carry in
// total, once it is 0 it stays 0, and if it is not 0 at the optimum then no feasible flow exists.
func (e *engine) star(g *Graph, dear int64) {
	root := e.root()
	for v := range e.nodes {
		e.nodes[v] = node{parent: root, pred: -1, last: int32(v), size: 1}
		e.next[v], e.prev[v] = int32(v)+1, int32(v)-1
	}
	for v, s := range g.Supply {
		n := &e.nodes[v]
		if s >= 0 {
			n.up, n.down, e.pi[v] = openCap-s, s, -dear
		} else {
			n.up, n.down, e.pi[v] = -s, openCap+s, dear
		}
	}
	e.nodes[root] = node{parent: -1, pred: -1, last: max(root-1, 0), size: root + 1}
	e.next[root], e.prev[0] = 0, root
}

// artificial is what the artificial arcs carry in total.
func (e *engine) artificial(g *Graph) int64 {
	var sum int64
	for v, s := range g.Supply {
		if n := &e.nodes[v]; n.pred < 0 {
			if s < 0 {
				sum += n.up
			} else {
				sum += n.down
			}
		}
	}
	return sum
}

// loose is an arc strictly between its bounds outside the tree.
type loose struct {
	k    int32
	flow int64
}

// adopt makes the first tree from a feasible flow.
//
// Arcs strictly between their bounds are joined to a forest; those that close a cycle are returned. A preferred
// arc at a bound joins two trees of the forest only if flow can pass it in the direction of the root, so each
// tree of the forest takes at most one, as its way out; a tree without one hangs under the root by an
// artificial arc from a node to the root. These carry nothing, and never will: they all lead to the root, which
// supplies and takes nothing. So their costs are free, and the tree is strongly feasible. The costs are chosen
// so that all preferred arcs that close no cycle have reduced cost 0, also those in the wrong direction: the
// pivots start at the caller's prices.
func (e *engine) adopt(g *Graph, opt *Options, bound int64) ([]loose, error) {
	m := len(e.arcs)
	flow := func(k int32) int64 {
		if opt.Start == nil {
			return 0
		}
		return opt.Start[e.given[k]]
	}
	if err := checkStart(g, opt); err != nil {
		return nil, err
	}
	at := make([]int32, 0)
	if len(opt.Prefer) > 0 {
		at = make([]int32, len(g.Arcs))
		for i := range at {
			at[i] = -1
		}
		for k, i := range e.given {
			at[i] = int32(k)
		}
	}
	free := newSets(g.Nodes)
	var links []link
	var rest []loose
	join := func(k int32) error {
		a := &e.arcs[k]
		if free.union(a.from, a.to) {
			links = append(links, link{k, a.from, a.to, true})
		} else {
			if e.caps[k] == openCap {
				return fmt.Errorf("%w: arc %d has no bound and closes a cycle of arcs between their bounds", ErrStart, e.given[k])
			}
			rest = append(rest, loose{k, flow(k)})
		}
		return nil
	}
	taken := make([]bool, m)
	if opt.Start != nil {
		// Arcs without a bound first: all that is left over is finite, so no flow exceeds limits.open.
		for k := range int32(m) {
			if f := flow(k); e.caps[k] == openCap && f > 0 {
				taken[k] = true
				if err := join(k); err != nil {
					return nil, err
				}
			}
		}
		for _, i := range opt.Prefer {
			if k := at[i]; k >= 0 && !taken[k] {
				if f := flow(k); f > 0 && f < e.caps[k] {
					taken[k] = true
					_ = join(k)
				}
			}
		}
		for k := range int32(m) {
			f := flow(k)
			if f == e.caps[k] {
				e.turn(k, e.arcs[k].to)
			} else if f > 0 && !taken[k] {
				_ = join(k)
			}
		}
	}
	all := sets(slices.Clone(free))
	exits := make([]bool, g.Nodes) // of a forest tree's representative: it has its way out
	for _, i := range opt.Prefer {
		k := at[i]
		if k < 0 || (flow(k) > 0 && flow(k) < e.caps[k]) {
			continue
		}
		a := &e.arcs[k]
		if !all.union(a.from, a.to) {
			continue
		}
		out := free.find(a.from)
		links = append(links, link{k, a.from, a.to, !exits[out]})
		exits[out] = true
	}
	e.plant(g, opt, links, flow, bound)
	return rest, nil
}

// checkStart checks shapes and ranges of the start, and that its flow is feasible.
func checkStart(g *Graph, opt *Options) error {
	if opt.Potential != nil && len(opt.Potential) != g.Nodes {
		return fmt.Errorf("%w: number of potentials", ErrStart)
	}
	if len(opt.Prefer) > MaxArcs {
		return fmt.Errorf("%w: number of preferred arcs", ErrStart)
	}
	for _, i := range opt.Prefer {
		if i < 0 || int(i) >= len(g.Arcs) {
			return fmt.Errorf("%w: preferred arc %d", ErrStart, i)
		}
	}
	if opt.Start == nil {
		return nil
	}
	if len(opt.Start) != len(g.Arcs) {
		return fmt.Errorf("%w: number of flows", ErrStart)
	}
	// Balances in 128 bits: the sum of many flows may leave int64 before they cancel out.
	type balance struct{ high, low uint64 }
	sum := make([]balance, g.Nodes)
	for v, s := range g.Supply {
		sum[v] = balance{uint64(s >> 63), uint64(s)}
	}
	for i, f := range opt.Start {
		a := &g.Arcs[i]
		if f < 0 || f > a.Cap {
			return fmt.Errorf("%w: flow of arc %d", ErrStart, i)
		}
		from, to := &sum[a.From], &sum[a.To]
		var carry uint64
		from.low, carry = bits.Sub64(from.low, uint64(f), 0)
		from.high -= carry
		to.low, carry = bits.Add64(to.low, uint64(f), 0)
		to.high += carry
	}
	for v, s := range sum {
		if s.high != 0 || s.low != 0 {
			return fmt.Errorf("%w: balance of node %d", ErrStart, v)
		}
	}
	return nil
}

// sets is a union-find structure: the representative's entry is -1 - size, any other's points towards it.
type sets []int32

func newSets(n int) sets {
	s := make(sets, n)
	for i := range s {
		s[i] = -2
	}
	return s
}

func (s sets) find(v int32) int32 {
	for s[v] >= 0 {
		if up := s[s[v]]; up >= 0 {
			s[v] = up
		}
		v = s[v]
	}
	return v
}

// union is false when a and b were in one set already.
func (s sets) union(a, b int32) bool {
	if a, b = s.find(a), s.find(b); a == b {
		return false
	}
	if s[a] > s[b] {
		a, b = b, a
	}
	s[a] += s[b] + 1
	s[b] = a
	return true
}
