package packing

import (
	"cmp"
	"math/rand/v2"
	"slices"
)

// book makes a market like a full clearing: shapes x bins, one NexCore in five without what a shape asks for, an
// ask per resource and NexCore within 20 %, and shards whose values all differ.
func book(seed uint64, classes, bins, shards int) *Problem {
	rng := rand.New(rand.NewPCG(seed, 1))
	p := &Problem{}
	ask := [4]int64{9, 1, 0, 400_000} // per core-milli, MiB, ..., GPU
	var asks []Vector
	for range bins {
		cores := []int64{16_000, 32_000, 64_000, 96_000, 128_000}[rng.IntN(5)]
		memory := cores / 1000 * []int64{2_048, 4_096, 8_192}[rng.IntN(3)]
		gpus := []int64{0, 1, 2, 4, 8, 8}[rng.IntN(6)]
		p.Bins = append(p.Bins, Vector{cores, memory, 1_000_000 * (1 + rng.Int64N(4)), gpus})
		var a Vector
		for r := range ask {
			a[r] = ask[r] * (800 + rng.Int64N(401))
		}
		a[2] = 20 + rng.Int64N(10)
		asks = append(asks, a)
	}
	for range classes {
		need := Vector{500 * (1 + rng.Int64N(32)), 1_024 * (1 + rng.Int64N(48)), 10_000 * rng.Int64N(20), 0}
		if rng.IntN(2) == 0 {
			need[3] = []int64{1, 1, 1, 2, 4, 8}[rng.IntN(6)]
		}
		seconds := 600 * (1 + rng.Int64N(100))
		group := Group{From: int32(len(p.Edges))}
		p.Needs = append(p.Needs, need)
		var base int64
		for b := range p.Bins {
			fits := true
			var cost int64
			for r := range 4 {
				fits = fits && need[r] <= p.Bins[b][r]
				cost += need[r] * asks[b][r]
			}
			if fits && rng.IntN(5) > 0 {
				cost = cost / 1_000_000 * seconds / 100
				base = max(base, cost)
				p.Edges = append(p.Edges, Edge{Bin: int32(b), Need: int32(len(p.Needs) - 1), Cost: cost})
			}
		}
		group.To = int32(len(p.Edges))
		for range shards / classes {
			value := base/2 + rng.Int64N(base+2)
			group.Tiers = append(group.Tiers, Tier{value, 1})
		}
		slices.SortFunc(group.Tiers, func(a, b Tier) int { return cmp.Compare(b.Value, a.Value) })
		p.Groups = append(p.Groups, group)
	}
	return p
}
