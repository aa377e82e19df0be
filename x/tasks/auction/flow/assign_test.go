package flow

import (
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"pgregory.net/rapid"
)

// verifyAssign checks from scratch that the answer is a permutation whose duals prove it, and returns its cost.
func verifyAssign[C int32 | int64](n int, cost []C, col []int32, u, v []int64) (int64, error) {
	taken := make([]bool, n)
	var total, dual int64
	for i := range n {
		j := int(col[i])
		if j < 0 || j >= n || taken[j] {
			return 0, fmt.Errorf("row %d takes column %d", i, j)
		}
		taken[j] = true
		total += int64(cost[i*n+j])
		dual += u[i] + v[i]
		for j, c := range cost[i*n : (i+1)*n] {
			if u[i]+v[j] > int64(c) {
				return 0, fmt.Errorf("dual of (%d, %d): %d + %d > %d", i, j, u[i], v[j], c)
			}
		}
	}
	if total != dual {
		return 0, fmt.Errorf("cost %d, duals %d", total, dual)
	}
	return total, nil
}

func TestAssignReachesTheKnownOptima(t *testing.T) {
	for _, want := range assignOptima {
		t.Run(want.name, func(t *testing.T) {
			r := openData(t, "assignment", want.name+".txt.gz")
			var n int
			if _, err := fmt.Fscan(r, &n); err != nil {
				t.Fatal(err)
			}
			cost := make([]int64, n*n)
			for i := range cost {
				if _, err := fmt.Fscan(r, &cost[i]); err != nil {
					t.Fatal(err)
				}
			}
			col, u, v, err := Assign(n, cost)
			if err != nil {
				t.Fatal(err)
			}
			got, err := verifyAssign(n, cost, col, u, v)
			if err != nil || got != want.cost {
				t.Fatalf("cost %d, want %d: %v", got, want.cost, err)
			}
		})
	}
}

func TestAssignProvesItself(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(0, 24).Draw(t, "n")
		size := rapid.SampledFrom([]int64{0, 1, 3, 50, MaxCost}).Draw(t, "size")
		cost := rapid.SliceOfN(rapid.Int64Range(-size, size), n*n, n*n).Draw(t, "cost")
		col, u, v, err := Assign(n, cost)
		if err != nil {
			t.Fatal(err)
		}
		got, err := verifyAssign(n, cost, col, u, v)
		if err != nil {
			t.Fatal(err)
		}
		// The same as a flow.
		g := &Graph{Nodes: 2 * n, Supply: make([]int64, 2*n)}
		for i := range n {
			g.Supply[i], g.Supply[n+i] = 1, -1
			for j := range n {
				g.Arcs = append(g.Arcs, Arc{From: int32(i), To: int32(n + j), Cap: 1, Cost: cost[i*n+j]})
			}
		}
		r, err := Solve(g, Options{})
		if err != nil || r.Cost != got {
			t.Fatalf("flow %d, assignment %d: %v", r.Cost, got, err)
		}
	})
}

func TestAssignRefuses(t *testing.T) {
	for _, call := range []func() error{
		func() error { _, _, _, err := Assign(2, []int64{1, 2, 3}); return err },
		func() error { _, _, _, err := Assign(-1, []int64{}); return err },
		func() error { _, _, _, err := Assign(MaxAssign+1, []int32{}); return err },
		func() error { _, _, _, err := Assign(1, []int64{MaxCost + 1}); return err },
		func() error { _, _, _, err := Assign(1, []int64{math.MinInt64}); return err },
	} {
		if err := call(); !errors.Is(err, ErrBounds) {
			t.Error(err)
		}
	}
}

func randomCosts[C int32 | int64](n int, below int64) []C {
	random := rand.New(rand.NewPCG(1, uint64(n)))
	cost := make([]C, n*n)
	for i := range cost {
		cost[i] = C(random.Int64N(below))
	}
	return cost
}

func benchmarkAssign[C int32 | int64](b *testing.B, below int64) {
	const n = 1000
	cost := randomCosts[C](n, below)
	for b.Loop() {
		if _, _, _, err := Assign(n, cost); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkAssign1000(b *testing.B) {
	b.Run("int64", func(b *testing.B) { benchmarkAssign[int64](b, 1_000_000) })
	b.Run("int32", func(b *testing.B) { benchmarkAssign[int32](b, 1_000_000) })
	b.Run("range100", func(b *testing.B) { benchmarkAssign[int64](b, 100) })
}
