package flow

import (
	"errors"
	"math"
	"testing"
)

// FuzzSolve decodes arbitrary bytes into a small graph, its numbers also far out of bounds, with a start and a budget.
// Nothing panics, errors are of this package, and what is called optimal proves itself.
func FuzzSolve(f *testing.F) {
	f.Add([]byte{})
	f.Add([]byte{3, 0, 0, 5, 0, 0, 0, 1, 4, 2, 1, 1, 2, 4, 3, 0, 2, 0, 9, 200, 7})
	f.Add([]byte{2, 1, 7, 0, 1, 255, 200, 3, 1, 0, 255, 200, 3})
	f.Fuzz(func(t *testing.T, data []byte) {
		next := func() int64 {
			if len(data) == 0 {
				return 0
			}
			b := data[0]
			data = data[1:]
			return int64(b)
		}
		number := func() int64 {
			switch b := next(); {
			case b < 240:
				return b - 100
			default:
				return [16]int64{0, 1, -1, MaxCost, -MaxCost, MaxCost + 1, MaxTie, -MaxTie, MaxCap, -MaxCap, MaxCap + 1, Inf, math.MinInt64, 1 << 40, -1 << 40, 1 << 52}[b-240]
			}
		}
		g := &Graph{Nodes: int(next()%10) - 1}
		kind := next()
		for range max(g.Nodes, 0) {
			s := int64(0)
			if kind&1 > 0 {
				s = number()
			}
			g.Supply = append(g.Supply, s)
		}
		opt := Options{MaxPivots: max(kind/4-32, 0), MaxScanned: max(kind-200, 0)}
		for len(data) > 0 && len(g.Arcs) < 24 {
			a := Arc{From: int32(next() % 9), To: int32(next() % 9), Cap: number(), Cost: number(), Tie: number()}
			if kind&2 > 0 {
				a.Cap, a.Cost, a.Tie = max(a.Cap, -a.Cap)%8, a.Cost%8, a.Tie%4
				if g.Nodes > 0 {
					a.From, a.To = a.From%int32(g.Nodes), a.To%int32(g.Nodes)
				}
			}
			if kind&4 > 0 {
				opt.Start = append(opt.Start, number())
				opt.Prefer = append(opt.Prefer, int32(number()))
			}
			g.Arcs = append(g.Arcs, a)
		}
		r, err := Solve(g, opt)
		switch {
		case err == nil && r.Optimal:
			if err := verifyOptimal(g, &r); err != nil {
				t.Fatal(err)
			}
		case err == nil:
			if err := verifyFlow(g, &r); err != nil {
				t.Fatal(err)
			}
		case !errors.Is(err, ErrBounds) && !errors.Is(err, ErrStart) && !errors.Is(err, ErrInfeasible) && !errors.Is(err, ErrUnbounded) && !errors.Is(err, ErrBudget):
			t.Fatal(err)
		}
	})
}
