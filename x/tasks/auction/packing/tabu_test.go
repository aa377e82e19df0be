package packing

import (
	"math/rand/v2"
	"slices"
	"testing"
)

// walked is a tabu search on a small assignment of tight bins after some rounds, so that units are held, bins
// overloaded and a few units not placed.
func walked(seed uint64) *tabu {
	rng := rand.New(rand.NewPCG(seed, 4))
	p := &Problem{}
	nres := 1 + int(seed%3)
	bins := 2 + rng.IntN(5)
	for range bins {
		var v Vector
		for r := range nres {
			v[r] = 150 + rng.Int64N(60)
		}
		p.Bins = append(p.Bins, v)
	}
	for range bins * 5 {
		g := Group{From: int32(len(p.Edges)), Tiers: []Tier{{300 + rng.Int64N(200), 1}}}
		for b := range bins {
			var v Vector
			for r := range nres {
				v[r] = 1 + rng.Int64N(70)
			}
			p.Edges = append(p.Edges, Edge{int32(b), int32(len(p.Needs)), 110 - v[0] + rng.Int64N(20)})
			p.Needs = append(p.Needs, v)
		}
		g.To = int32(len(p.Edges))
		p.Groups = append(p.Groups, g)
	}
	price := make([]Vector, bins)
	for b := range price {
		for r := range nres {
			price[b][r] = rng.Int64N(2) << PriceBits
		}
	}
	t := newTabu(newMarket(p), price, make([]int64, len(p.Edges)), 60<<PriceBits)
	t.run(0, &meter{left: 20_000})
	return t
}

// The lists of scan hide no move: the best one is as good as the best of all.
func TestScanSeesEveryMove(t *testing.T) {
	for seed := range uint64(60) {
		x := walked(seed)
		for range 20 {
			x.round++
			best, _ := x.scan()
			if least := bruteMove(x); best.delta != least {
				t.Fatalf("seed %d: best move %+v, there is one of %d", seed, best, least)
			}
			if best.a < 0 {
				break
			}
			x.enter(best.a, best.ka)
			if best.b >= 0 {
				x.enter(best.b, best.kb)
			}
		}
	}
}

// bruteMove is the change of cost and fines of the best allowed move, tried one by one.
func bruteMove(t *tabu) int64 {
	total := func(free []Vector) (sum int64) {
		var none Vector
		kept := t.free
		t.free = free
		for b := range free {
			sum += t.fineOf(int32(b), &none, &none)
		}
		t.free = kept
		return sum
	}
	least := int64(1) << 62
	now := total(t.free)
	try := func(moves ...[2]int32) {
		free := slices.Clone(t.free)
		held, cost := false, int64(0)
		for _, m := range moves {
			from, to := &t.now[m[0]], &t.unit[m[0]].place[m[1]]
			held = held || t.held[m[0]][m[1]] > t.round
			cost += to.cost - from.cost
			for r := range from.need {
				free[from.bin][r] += from.need[r]
				free[to.bin][r] -= to.need[r]
			}
		}
		delta := cost + total(free) - now
		if !held || (t.over == 0 && t.cost+delta < t.least) {
			least = min(least, delta)
		}
	}
	for _, a := range t.active {
		for ka, to := range t.unit[a].place {
			if to.bin == t.now[a].bin {
				continue
			}
			try([2]int32{a, int32(ka)})
			for _, b := range t.active {
				for kb, back := range t.unit[b].place {
					if b < a && t.now[b].bin == to.bin && back.bin == t.now[a].bin {
						try([2]int32{a, int32(ka)}, [2]int32{b, int32(kb)})
					}
				}
			}
		}
	}
	return least
}

// Whatever a search over subsets does, its books agree with the allocation, it is feasible and never worse than
// its start; without noise every change is for the better, and some are found.
func TestSubsets(t *testing.T) {
	found := 0
	for seed := range uint64(60) {
		x := walked(seed)
		for j, k := range x.best {
			x.enter(j, k)
		}
		s := newSubset(x)
		for range 40 {
			k := min(subsetMost, 2+x.m.draw(2), len(x.price))
			bins := make([]int32, 0, k)
			for len(bins) < k {
				if b := int32(x.m.draw(len(x.price))); !slices.Contains(bins, b) {
					bins = append(bins, b)
				}
			}
			noise := int64(x.m.draw(2)) * 5 << tabuShift
			before := x.cost
			changed, _ := s.search(bins, 2_000, noise)
			if noise == 0 && changed != (x.cost < before) || !changed && x.cost != before {
				t.Fatalf("seed %d: changed %v, cost %d after %d", seed, changed, x.cost, before)
			}
			if changed && noise == 0 {
				found++
			}
			agrees(t, seed, x)
		}
		start := x.least
		x.deepen(0, &meter{left: 100_000})
		if agrees(t, seed, x); x.least > start {
			t.Fatalf("seed %d: %d after %d", seed, x.least, start)
		}
		if _, err := Evaluate(x.m.p, x.count()); err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
	}
	if found < 60 {
		t.Errorf("%d changes for the better", found)
	}
}

// agrees recomputes from the places of the units what a feasible tabu search keeps.
func agrees(t *testing.T, seed uint64, x *tabu) {
	t.Helper()
	free := append(slices.Clone(x.m.p.Bins), Vector{})
	var cost int64
	for j, k := range x.at {
		p := &x.unit[j].place[k]
		cost += p.cost
		for r := range p.need {
			free[p.bin][r] -= p.need[r]
			if free[p.bin][r] < 0 {
				t.Fatalf("seed %d: bin %d is overloaded", seed, p.bin)
			}
		}
	}
	if cost != x.cost || x.over != 0 || !slices.Equal(free, x.free) || x.least > cost {
		t.Fatalf("seed %d: cost %d kept as %d, best %d, %d overloaded", seed, cost, x.cost, x.least, x.over)
	}
}
