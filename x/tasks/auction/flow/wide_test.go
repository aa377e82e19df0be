package flow

import (
	"math/rand/v2"
	"testing"
)

// chain has a dear wide arc from each node to the next and three cheap narrow ones to nodes further on. Node 0 gives,
// node n-2 takes; an arc leads from node n-1, which no wide arc touches.
func chain(n int32, seed uint64) *Graph {
	draw := rand.New(rand.NewPCG(seed, 0))
	g := &Graph{Nodes: int(n), Supply: make([]int64, n)}
	g.Supply[0], g.Supply[n-2] = 10_000, -10_000
	for v := range n - 2 {
		g.Arcs = append(g.Arcs, Arc{From: v, To: v + 1, Cap: 10_000, Cost: 1000 + draw.Int64N(100)})
		for range 3 {
			g.Arcs = append(g.Arcs, Arc{From: v, To: v + 1 + draw.Int32N(min(9, n-1-v)), Cap: 1 + draw.Int64N(1000), Cost: draw.Int64N(1000)})
		}
	}
	g.Arcs = append(g.Arcs, Arc{From: n - 1, To: n - 2, Cap: 1})
	return g
}

// cost is that of the flow e holds.
func cost(e *engine, g *Graph) (sum int64) {
	flow := make([]int64, len(g.Arcs))
	e.outside(g, flow)
	e.inside(g, flow)
	for i, f := range flow {
		sum += f * g.Arcs[i].Cost
	}
	return sum
}

// With one giver and one taker the first pivot sends everything along wide arcs, and then fewer than half as many pivots
// are left as from the tree of crash alone. Where one wide arc is missing, or with a second giver, crash's tree stays.
func TestFirstTreeIsWide(t *testing.T) {
	const n = 200
	for seed := range uint64(20) {
		g := chain(n, seed)
		l, err := validate(g)
		if err != nil {
			t.Fatal(err)
		}
		first := func(plain bool) *engine {
			e := newEngine(g, l, &Options{})
			if plain {
				e.star(g, l.path+1)
				e.crash(g, l.path+1)
			} else {
				e.first(g, l.path+1)
			}
			if err := verifyTree(e); err != nil {
				t.Fatalf("seed %d: %v", seed, err)
			}
			return e
		}
		e := first(false)
		for v := int32(1); v < n-2; v++ {
			if k := e.nodes[v].pred; k < 0 || e.caps[k] < 10_000 {
				t.Fatalf("seed %d: node %d hangs by arc %d", seed, v, k)
			}
		}
		if e.nodes[n-1].pred < 0 {
			t.Errorf("seed %d: node n-1, off the way, was not left where crash hung it", seed)
		}
		if e.pivots != 1 || e.artificial(g) != 0 {
			t.Errorf("seed %d: artificial arcs carry %d after %d pivots", seed, e.artificial(g), e.pivots)
		}
		plain := first(true)
		if e.run() != optimal || plain.run() != optimal || 2*e.pivots > plain.pivots {
			t.Errorf("seed %d: %d pivots from the wide way, %d from cheap ones", seed, e.pivots, plain.pivots)
		}
		if cost(e, g) != cost(plain, g) {
			t.Errorf("seed %d: %d from the wide way, %d from cheap ones", seed, cost(e, g), cost(plain, g))
		}

		same := func(change string) {
			t.Helper()
			e, plain := first(false), first(true)
			for v := range e.nodes {
				if e.nodes[v] != plain.nodes[v] {
					t.Fatalf("seed %d, %s: node %d differs from crash", seed, change, v)
				}
			}
		}
		g.Arcs[4*(n/2)].Cap--
		same("a narrower arc")
		g.Arcs[4*(n/2)].Cap++
		g.Supply[0]--
		g.Supply[n-1]++
		same("two givers")
		g.Supply[0], g.Supply[n-2], g.Supply[n-1] = 1, -1, 0
		if r, err := Solve(g, Options{MaxPivots: 1}); err != nil || verifyFlow(g, &r) != nil {
			t.Errorf("seed %d: one pivot makes no feasible flow: %v", seed, err)
		}
		if e := first(false); e.pivots != 1 || e.artificial(g) != 0 || cost(e, g) >= 1000*n/10 {
			t.Errorf("seed %d: one unit goes the cheapest way at cost %d after %d pivots", seed, cost(e, g), e.pivots)
		}
	}
}
