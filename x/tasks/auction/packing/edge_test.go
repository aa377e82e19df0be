package packing

import (
	"errors"
	"math"
	"math/rand/v2"
	"reflect"
	"slices"
	"testing"
)

// first gives every edge as many shards as fit, in order: a feasible start that is nothing special.
func firstFit(p *Problem) []int64 {
	count := make([]int64, len(p.Edges))
	free := slices.Clone(p.Bins)
	for g := range p.Groups {
		var left int64
		for _, t := range p.Groups[g].Tiers {
			left += t.Count
		}
		for i := p.Groups[g].From; i < p.Groups[g].To && left > 0; i++ {
			e := &p.Edges[i]
			for need := &p.Needs[e.Need]; left > 0 && fits(need, &free[e.Bin], MaxResources); left-- {
				for r := range need {
					free[e.Bin][r] -= need[r]
				}
				count[i]++
			}
		}
	}
	return count
}

func TestBudgets(t *testing.T) {
	p := book(3, 20, 60, 400)
	start := firstFit(p)
	last := Result{}
	for _, steps := range []int64{math.MinInt64, -1, 0, 1, 2, 10, 100, 1_000, 5_000, 20_000, 100_000, 400_000, 2_000_000} {
		r := mustSolve(t, p, Options{MaxSteps: steps})
		mustSolve(t, p, Options{MaxSteps: steps, Start: start})
		// A search may pass its budget by what one bin or one look at a list takes.
		if steps > 0 && r.Steps > steps+int64(4*len(p.Edges)) {
			t.Errorf("%d steps of %d", r.Steps, steps)
		}
		t.Logf("%8d steps: welfare %d, bound %d, cut %v", steps, r.Welfare, r.Bound, r.Cut)
		last = r
	}
	if gap := gapPPM(&last); gap > 20_000 {
		t.Errorf("gap %.0f ppm", gap)
	}
}

func TestDeterminism(t *testing.T) {
	p := book(4, 30, 80, 600)
	opt := Options{MaxSteps: 500_000, Start: firstFit(p)}
	a := mustSolve(t, p, opt)
	b := mustSolve(t, p, opt)
	if !reflect.DeepEqual(a, b) {
		t.Fatal("two solves differ")
	}
	opt.Warm = a.Price
	c := mustSolve(t, p, opt)
	d := mustSolve(t, p, opt)
	if !reflect.DeepEqual(c, d) {
		t.Fatal("two warm solves differ")
	}
	if c.Bound > a.Bound {
		t.Errorf("bound %d after a warm %d", c.Bound, a.Bound)
	}
}

func TestExtremes(t *testing.T) {
	full := Vector{}
	for r := range full {
		full[r] = MaxAmount
	}
	one := Vector{1, 1, 1, 1, 1, 1}
	cases := []struct {
		name    string
		p       Problem
		welfare int64
	}{
		{"nothing", Problem{}, 0},
		{"bins only", Problem{Bins: []Vector{full, {}}}, 0},
		{"class without edges", Problem{Bins: []Vector{full}, Groups: []Group{{Tiers: []Tier{{5, 5}}}}}, 0},
		{"class without shards", Problem{
			Bins: []Vector{full}, Needs: []Vector{one}, Edges: []Edge{{0, 0, 1}}, Groups: []Group{{From: 0, To: 1}},
		}, 0},
		{"zero capacity", Problem{
			Bins: []Vector{{}}, Needs: []Vector{one}, Edges: []Edge{{0, 0, 1}}, Groups: []Group{{0, 1, []Tier{{9, 9}}}},
		}, 0},
		{"zero need has no limit", Problem{
			Bins: []Vector{{}}, Needs: []Vector{{}}, Edges: []Edge{{0, 0, 1}}, Groups: []Group{{0, 1, []Tier{{9, MaxShards - 5}, {1, 5}}}},
		}, 8 * (MaxShards - 5)},
		{"zero need beside a need", Problem{
			Bins: []Vector{{3}, {}}, Needs: []Vector{{1}, {}}, Edges: []Edge{{0, 0, 1}, {1, 1, 4}}, Groups: []Group{{0, 2, []Tier{{9, 5}, {3, 5}}}},
		}, 3*8 + 2*5},
		{"greatest values", Problem{
			Bins: []Vector{full}, Needs: []Vector{full}, Edges: []Edge{{0, 0, 0}}, Groups: []Group{{0, 1, []Tier{{MaxMoney, MaxShards - 1}}}},
		}, MaxMoney},
		{"greatest values, many fit", Problem{
			Bins: []Vector{full}, Needs: []Vector{one}, Edges: []Edge{{0, 0, 0}}, Groups: []Group{{0, 1, []Tier{{MaxMoney, MaxShards - 1}}}},
		}, MaxMoney * (MaxShards - 1)},
		{"greatest costs", Problem{
			Bins: []Vector{full}, Needs: []Vector{one}, Edges: []Edge{{0, 0, MaxMoney}}, Groups: []Group{{0, 1, []Tier{{MaxMoney, MaxShards - 1}}}},
		}, 0},
	}
	for _, c := range cases {
		for _, steps := range []int64{0, 1_000, 50_000} {
			r := mustSolve(t, &c.p, Options{MaxSteps: steps})
			if steps > 1_000 && r.Welfare != c.welfare {
				t.Errorf("%s: welfare %d, want %d", c.name, r.Welfare, c.welfare)
			}
		}
	}
}

// One class of a million like shards: counts move in bulk, not one by one.
func TestGiantClass(t *testing.T) {
	p := &Problem{Needs: []Vector{{1, 2}}, Groups: []Group{{0, 50, []Tier{{1_000, MaxShards}}}}}
	for b := range 50 {
		p.Bins = append(p.Bins, Vector{10_000, 20_000 + int64(b)})
		p.Edges = append(p.Edges, Edge{int32(b), 0, int64(10 * b)})
	}
	r := mustSolve(t, p, Options{MaxSteps: 1_000_000})
	want := int64(0)
	for b := range 50 {
		want += 10_000 * int64(1_000-10*b)
	}
	if r.Welfare != want || gapPPM(&r) > 200 {
		t.Errorf("welfare %d of %d, gap %.0f ppm", r.Welfare, want, gapPPM(&r))
	}
}

func TestRejects(t *testing.T) {
	good := func() *Problem {
		return &Problem{
			Bins: []Vector{{5}, {5}}, Needs: []Vector{{1}}, Edges: []Edge{{0, 0, 1}, {1, 0, 1}}, Groups: []Group{{0, 2, []Tier{{9, 2}, {8, 1}}}},
		}
	}
	bad := map[string]func(p *Problem){
		"capacity below zero":  func(p *Problem) { p.Bins[0][5] = -1 },
		"capacity too great":   func(p *Problem) { p.Bins[0][0] = MaxAmount + 1 },
		"need below zero":      func(p *Problem) { p.Needs[0][1] = math.MinInt64 },
		"unknown bin":          func(p *Problem) { p.Edges[1].Bin = 2 },
		"unknown need":         func(p *Problem) { p.Edges[1].Need = -1 },
		"cost below zero":      func(p *Problem) { p.Edges[0].Cost = -1 },
		"cost too great":       func(p *Problem) { p.Edges[0].Cost = MaxMoney + 1 },
		"bins not ascending":   func(p *Problem) { p.Edges[1].Bin = 0 },
		"run of edges":         func(p *Problem) { p.Groups[0].To = 3 },
		"runs overlap":         func(p *Problem) { p.Groups = append(p.Groups, Group{From: 1, To: 2}) },
		"value below zero":     func(p *Problem) { p.Groups[0].Tiers[1].Value = -1 },
		"value too great":      func(p *Problem) { p.Groups[0].Tiers[0].Value = MaxMoney + 1 },
		"tiers ascend":         func(p *Problem) { p.Groups[0].Tiers[1].Value = 10 },
		"count below zero":     func(p *Problem) { p.Groups[0].Tiers[0].Count = -1 },
		"too many shards":      func(p *Problem) { p.Groups[0].Tiers[0].Count = MaxShards },
		"worth more than fits": func(p *Problem) { p.Groups[0].Tiers = []Tier{{MaxMoney, MaxShards}} },
	}
	if _, err := Solve(good(), Options{}); err != nil {
		t.Fatal(err)
	}
	for name, spoil := range bad {
		p := good()
		spoil(p)
		if _, err := Solve(p, Options{MaxSteps: 100}); !errors.Is(err, ErrProblem) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for name, start := range map[string][]int64{"short": {1}, "negative": {-1, 0}, "too many": {4, 0}, "overfull": {2, math.MaxInt64}} {
		if _, err := Solve(good(), Options{Start: start}); !errors.Is(err, ErrStart) {
			t.Errorf("start %s: %v", name, err)
		}
	}
	for name, warm := range map[string][]Vector{"short": {{1}}, "negative": {{-1}, {}}, "too great": {{}, {MaxPrice + 1}}} {
		if _, err := Solve(good(), Options{Warm: warm}); !errors.Is(err, ErrPrices) {
			t.Errorf("warm %s: %v", name, err)
		}
	}
}

// Any prices bound any allocation, whatever their size.
func TestBoundHoldsForAnyPrices(t *testing.T) {
	for seed := range uint64(500) {
		rng := rand.New(rand.NewPCG(seed, 9))
		p := tiny(rng.IntN)
		best := optimum(p)
		prices := make([]Vector, len(p.Bins))
		for b := range prices {
			for r := range prices[b] {
				prices[b][r] = rng.Int64N(MaxPrice) >> rng.IntN(62)
			}
		}
		bound, err := Bound(p, prices)
		if err != nil || bound < best {
			t.Fatalf("seed %d: bound %d, optimum %d, %v", seed, bound, best, err)
		}
		mustSolve(t, p, Options{MaxSteps: 2_000, Warm: prices})
	}
}

// Hostile magnitudes on random structure: nothing overflows, all promises hold.
func TestHugeNumbers(t *testing.T) {
	for seed := range uint64(500) {
		rng := rand.New(rand.NewPCG(seed, 11))
		p := tiny(rng.IntN)
		for b := range p.Bins {
			for r := range p.Bins[b] {
				p.Bins[b][r] = rng.Int64N(MaxAmount+1) >> (rng.IntN(3) * rng.IntN(50))
			}
		}
		for n := range p.Needs {
			for r := range p.Needs[n] {
				p.Needs[n][r] = rng.Int64N(MaxAmount+1) >> (rng.IntN(3) * rng.IntN(50))
			}
		}
		for e := range p.Edges {
			p.Edges[e].Cost = rng.Int64N(MaxMoney+1) >> rng.IntN(44)
		}
		for g := range p.Groups {
			value := MaxMoney
			for i := range p.Groups[g].Tiers {
				value -= rng.Int64N(value + 1)
				p.Groups[g].Tiers[i].Value = value
				p.Groups[g].Tiers[i].Count = rng.Int64N(MaxShards>>6) >> rng.IntN(15)
			}
		}
		mustSolve(t, p, Options{MaxSteps: 20_000, Start: firstFit(p)})
	}
}

func FuzzSolve(f *testing.F) {
	f.Add([]byte("a market"), int64(1_000))
	f.Add([]byte{}, int64(0))
	f.Add([]byte{2, 3, 8, 8, 8, 3, 5, 1, 4, 2, 2, 1, 0, 7, 7, 7, 200, 255, 31, 9, 4, 1}, int64(20_000))
	f.Fuzz(func(t *testing.T, data []byte, steps int64) {
		at := 0
		p := tiny(func(n int) int {
			if at >= len(data) {
				return 0
			}
			at++
			return int(data[at-1]) % n
		})
		// The rest of the bytes stretch numbers up to, and now and then past, the bounds.
		stretch := func(x *int64) {
			if at < len(data) {
				*x <<= data[at] % 64
				at++
			}
		}
		for e := range p.Edges {
			stretch(&p.Edges[e].Cost)
		}
		for b := range p.Bins {
			stretch(&p.Bins[b][0])
		}
		for n := range p.Needs {
			stretch(&p.Needs[n][0])
		}
		for g := range p.Groups {
			for i := range p.Groups[g].Tiers {
				stretch(&p.Groups[g].Tiers[i].Value)
			}
		}
		opt := Options{MaxSteps: min(steps, 50_000)}
		r, err := Solve(p, opt)
		if err != nil {
			if !isTyped(err) {
				t.Fatal(err)
			}
			return
		}
		certify(t, p, opt, &r)
	})
}
