package flow

import (
	"errors"
	"testing"
)

func TestSolveRefuses(t *testing.T) {
	pair := func(a Arc, supply ...int64) *Graph { return &Graph{Nodes: 2, Supply: supply, Arcs: []Arc{a}} }
	cases := []struct {
		name string
		g    *Graph
		opt  Options
		want error
	}{
		{"nil", nil, Options{}, ErrBounds},
		{"supplies missing", &Graph{Nodes: 2}, Options{}, ErrBounds},
		{"node out of range", pair(Arc{To: 2}, 0, 0), Options{}, ErrBounds},
		{"negative node", pair(Arc{From: -1}, 0, 0), Options{}, ErrBounds},
		{"negative capacity", pair(Arc{To: 1, Cap: -1}, 0, 0), Options{}, ErrBounds},
		{"capacity", pair(Arc{To: 1, Cap: MaxCap + 1}, 0, 0), Options{}, ErrBounds},
		{"cost", pair(Arc{To: 1, Cost: MaxCost + 1}, 0, 0), Options{}, ErrBounds},
		{"tie", pair(Arc{To: 1, Tie: -MaxTie - 1}, 0, 0), Options{}, ErrBounds},
		{"supply", pair(Arc{To: 1}, MaxCap+1, -MaxCap-1), Options{}, ErrBounds},
		{"objective", pair(Arc{To: 1, Cap: MaxCap, Cost: MaxCost}, 1<<60, -1<<60), Options{}, ErrBounds},
		{"negative budget", pair(Arc{To: 1}, 0, 0), Options{MaxPivots: -1}, ErrBounds},
		{"supplies do not sum to 0", pair(Arc{To: 1, Cap: 9}, 1, 0), Options{}, ErrInfeasible},
		{"too little capacity", pair(Arc{To: 1, Cap: 1}, 2, -2), Options{}, ErrInfeasible},
		{"budget", &Graph{Nodes: 3, Supply: []int64{2, -1, -1}, Arcs: []Arc{{0, 1, 2, 1, 0}, {1, 2, 2, 1, 0}}}, Options{MaxScanned: 1}, ErrBudget},
		{"short start", pair(Arc{To: 1, Cap: 9}, 1, -1), Options{Start: []int64{}}, ErrStart},
		{"start over capacity", pair(Arc{To: 1, Cap: 1}, 2, -2), Options{Start: []int64{2}}, ErrStart},
		{"start out of balance", pair(Arc{To: 1, Cap: 9}, 2, -2), Options{Start: []int64{1}}, ErrStart},
		{"preferred arc", pair(Arc{To: 1, Cap: 9}, 0, 0), Options{Prefer: []int32{1}}, ErrStart},
		{"potentials", pair(Arc{To: 1, Cap: 9}, 0, 0), Options{Potential: []int64{1}}, ErrStart},
		{"loop without bound", &Graph{Nodes: 1, Supply: []int64{0}, Arcs: []Arc{{Cap: Inf, Cost: -1}}}, Options{}, ErrUnbounded},
		{"cycle without bound", &Graph{Nodes: 2, Supply: []int64{0, 0}, Arcs: []Arc{{0, 1, Inf, -2, 0}, {1, 0, Inf, 1, 0}}}, Options{}, ErrUnbounded},
		{"tie without bound", &Graph{Nodes: 2, Supply: []int64{0, 0}, Arcs: []Arc{{0, 1, Inf, -1, -2}, {1, 0, Inf, 1, 0}}}, Options{}, ErrUnbounded},
		{"start on a cycle without bound", &Graph{Nodes: 2, Supply: []int64{0, 0}, Arcs: []Arc{{0, 1, Inf, 1, 0}, {1, 0, Inf, 1, 0}}}, Options{Start: []int64{5, 5}}, ErrStart},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			if _, err := Solve(c.g, c.opt); !errors.Is(err, c.want) {
				t.Errorf("%v, want %v", err, c.want)
			}
		})
	}
	if r, err := Solve(&Graph{}, Options{}); err != nil || !r.Optimal {
		t.Error("the empty graph: ", err)
	}
}

// At the largest costs the bounds allow, sums still fit: a long path at MaxCost, both signs, exact.
func TestLargestNumbersFit(t *testing.T) {
	const n = 1 << 16
	for _, sign := range []int64{1, -1} {
		g := &Graph{Nodes: n, Supply: make([]int64, n)}
		g.Supply[0], g.Supply[n-1] = 4, -4
		for v := range int32(n - 1) {
			g.Arcs = append(g.Arcs, Arc{From: v, To: v + 1, Cap: 7, Cost: sign * MaxCost, Tie: sign * MaxTie})
		}
		r, err := Solve(g, Options{})
		if err != nil {
			t.Fatal(err)
		}
		if err := verifyOptimal(g, &r); err != nil || r.Cost != sign*4*(n-1)*MaxCost {
			t.Error(r.Cost, err)
		}
	}
}
