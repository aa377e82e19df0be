package flow

import (
	"math/rand/v2"
	"testing"
)

// market is a circulation of the clearing's form: node 0, shapes, NexCores; arcs 0 -> shape (one shard of one limit,
// cost -limit), shape -> NexCore (price), NexCore -> 0 (slots). Two in a hundred of its prices and limits
// depend on change, the rest on seed alone.
func market(shapes, cores, limits, slots int, change uint64) *Graph {
	base, other := rand.New(rand.NewPCG(7, 1)), rand.New(rand.NewPCG(8, change))
	g := &Graph{Nodes: 1 + shapes + cores}
	g.Supply = make([]int64, g.Nodes)
	draw := func(below int64) int64 {
		x, y := base.Int64N(below), other.Int64N(below)
		if base.IntN(100) == 0 {
			return y
		}
		return x
	}
	for range limits {
		g.Arcs = append(g.Arcs, Arc{From: 0, To: int32(1 + base.IntN(shapes)), Cap: 1, Cost: -1_000_000 - draw(1_000_000), Tie: 0})
	}
	size, ask := make([]int64, shapes), make([]int64, cores)
	for s := range size {
		size[s] = 100 + base.Int64N(900)
	}
	for c := range ask {
		ask[c] = 1000 + draw(1000)
	}
	for s := range shapes {
		for c := range cores {
			g.Arcs = append(g.Arcs, Arc{From: int32(1 + s), To: int32(1 + shapes + c), Cap: int64(slots), Cost: size[s]*ask[c] + draw(10_000), Tie: int64(base.Uint32() >> 1)})
		}
	}
	for c := range cores {
		g.Arcs = append(g.Arcs, Arc{From: int32(1 + shapes + c), To: 0, Cap: int64(1 + base.IntN(2*slots-1))})
	}
	return g
}

func TestMarketWarmEqualsCold(t *testing.T) {
	before := market(20, 60, 500, 5, 1)
	first, err := Solve(before, Options{})
	if err != nil {
		t.Fatal(err)
	}
	for change := uint64(2); change < 12; change++ {
		g := market(20, 60, 500, 5, change)
		cold, err := Solve(g, Options{})
		if err != nil {
			t.Fatal(err)
		}
		warm, err := Solve(g, Options{Start: first.Flow, Prefer: first.Tree, Potential: first.Potential})
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range []*Result{&cold, &warm} {
			if err := verifyOptimal(g, r); err != nil {
				t.Fatal(err)
			}
		}
		if warm.Cost != cold.Cost || warm.TieCost != cold.TieCost {
			t.Fatalf("warm (%d, %d), cold (%d, %d)", warm.Cost, warm.TieCost, cold.Cost, cold.TieCost)
		}
		if warm.Pivots >= cold.Pivots {
			t.Errorf("warm %d pivots, cold %d", warm.Pivots, cold.Pivots)
		}
	}
}

func BenchmarkMarket(b *testing.B) {
	before, g := market(200, 1000, 10_000, 5, 1), market(200, 1000, 10_000, 5, 2)
	first, err := Solve(before, Options{})
	if err != nil {
		b.Fatal(err)
	}
	run := func(name string, opt Options) {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			var r Result
			for b.Loop() {
				if r, err = Solve(g, opt); err != nil || !r.Optimal {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(r.Pivots), "pivots")
			b.ReportMetric(float64(r.Scanned), "scanned")
		})
	}
	run("cold", Options{})
	run("flow", Options{Start: first.Flow})
	run("warm", Options{Start: first.Flow, Prefer: first.Tree, Potential: first.Potential})
}
