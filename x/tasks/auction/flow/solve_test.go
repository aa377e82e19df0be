package flow

import "testing"

func TestSolveReachesTheKnownOptima(t *testing.T) {
	for _, want := range optima {
		t.Run(want.name, func(t *testing.T) {
			g, fixed := loadGraph(t, want.name)
			r, err := Solve(g, Options{})
			if err != nil {
				t.Fatal(err)
			}
			if r.Cost+fixed != want.cost {
				t.Errorf("cost %d, want %d", r.Cost+fixed, want.cost)
			}
			if err := verifyOptimal(g, &r); err != nil {
				t.Error(err)
			}
			t.Logf("%d nodes, %d arcs: %d pivots, %d scanned", g.Nodes, len(g.Arcs), r.Pivots, r.Scanned)
		})
	}
}
