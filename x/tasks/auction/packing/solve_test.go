package packing

import (
	"errors"
	"math/rand/v2"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// tiny draws a small market; what it may contain is steered by the source of numbers.
func tiny(below func(int) int) *Problem {
	p := &Problem{}
	nres := 1 + below(3)
	vector := func(most int) (v Vector) {
		for r := range nres {
			v[r] = int64(below(most))
		}
		return v
	}
	for range below(4) {
		p.Bins = append(p.Bins, vector(9))
	}
	for range 1 + below(4) {
		p.Needs = append(p.Needs, vector(6))
	}
	shards := int64(5)
	for range below(4) {
		g := Group{From: int32(len(p.Edges))}
		own := below(2) == 0 // needs that differ by edge
		need := int32(below(len(p.Needs)))
		for b := range p.Bins {
			if below(5) == 0 {
				continue
			}
			if own {
				need = int32(below(len(p.Needs)))
			}
			p.Edges = append(p.Edges, Edge{Bin: int32(b), Need: need, Cost: int64(below(12))})
		}
		g.To = int32(len(p.Edges))
		value := int64(30)
		for range below(4) {
			value = max(0, value-int64(below(12)))
			n := min(shards, int64(below(3)))
			shards -= n
			g.Tiers = append(g.Tiers, Tier{value, n})
		}
		p.Groups = append(p.Groups, g)
	}
	return p
}

// optimum tries every count of every edge.
func optimum(p *Problem) int64 {
	count := make([]int64, len(p.Edges))
	left := make([]int64, len(p.Groups))
	group := make([]int, len(p.Edges))
	for g := range p.Groups {
		for _, t := range p.Groups[g].Tiers {
			left[g] += t.Count
		}
		for i := p.Groups[g].From; i < p.Groups[g].To; i++ {
			group[i] = g
		}
	}
	free := slices.Clone(p.Bins)
	var best int64
	var try func(e int)
	try = func(e int) {
		if e == len(p.Edges) {
			if w, err := Evaluate(p, count); err == nil {
				best = max(best, w)
			}
			return
		}
		edge, g := &p.Edges[e], group[e]
		n := int64(0)
		for {
			count[e] = n
			try(e + 1)
			need := &p.Needs[edge.Need]
			if left[g] == 0 || !fits(need, &free[edge.Bin], MaxResources) {
				break
			}
			for r := range need {
				free[edge.Bin][r] -= need[r]
			}
			left[g]--
			n++
		}
		for ; n > 0; n-- {
			for r, need := range p.Needs[edge.Need] {
				free[edge.Bin][r] += need
			}
			left[g]++
		}
		count[e] = 0
	}
	try(0)
	return best
}

// certify checks all that a result promises, by the functions that share nothing with the search.
func certify(t interface{ Fatalf(string, ...any) }, p *Problem, opt Options, r *Result) {
	welfare, err := Evaluate(p, r.Count)
	if err != nil || welfare != r.Welfare {
		t.Fatalf("welfare %d, evaluated %d, %v", r.Welfare, welfare, err)
	}
	bound, err := Bound(p, r.Price)
	if err != nil || bound != r.Bound {
		t.Fatalf("bound %d, recomputed %d, %v", r.Bound, bound, err)
	}
	if r.Welfare > r.Bound {
		t.Fatalf("welfare %d above bound %d", r.Welfare, r.Bound)
	}
	if opt.Start != nil {
		if start, err := Evaluate(p, opt.Start); err != nil || r.Welfare < start {
			t.Fatalf("welfare %d below start %d, %v", r.Welfare, start, err)
		}
	}
}

func mustSolve(t interface{ Fatalf(string, ...any) }, p *Problem, opt Options) Result {
	r, err := Solve(p, opt)
	if err != nil {
		t.Fatalf("%v", err)
	}
	certify(t, p, opt, &r)
	return r
}

// Against brute force: the bound holds, the result is feasible and mostly optimal.
func TestBruteForce(t *testing.T) {
	const trials = 3_000
	optimal, tight := 0, 0
	var lost, all int64
	for seed := range uint64(trials) {
		p := tiny(rand.New(rand.NewPCG(seed, 7)).IntN)
		best := optimum(p)
		r := mustSolve(t, p, Options{MaxSteps: 200_000})
		if r.Welfare > best || r.Bound < best {
			t.Fatalf("seed %d: welfare %d, optimum %d, bound %d", seed, r.Welfare, best, r.Bound)
		}
		if r.Welfare == best {
			optimal++
		} else if testing.Verbose() {
			t.Logf("seed %d: welfare %d, optimum %d", seed, r.Welfare, best)
		}
		if r.Bound == best {
			tight++
		}
		lost, all = lost+best-r.Welfare, all+best
	}
	t.Logf("%d of %d optimal, bound equal to the optimum in %d, %d of %d welfare lost", optimal, trials, tight, lost, all)
	if optimal < trials*99/100 {
		t.Errorf("optimal in %d of %d", optimal, trials)
	}
}

func TestRapid(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := tiny(func(n int) int { return rapid.IntRange(0, n-1).Draw(t, "n") })
		first := mustSolve(t, p, Options{MaxSteps: rapid.Int64Range(-1, 3_000).Draw(t, "steps")})
		again := mustSolve(t, p, Options{MaxSteps: 3_000, Start: first.Count, Warm: first.Price})
		if again.Bound > first.Bound {
			t.Fatalf("bound %d after a warm %d", again.Bound, first.Bound)
		}
	})
}

var errorsOf = []error{ErrProblem, ErrStart, ErrPrices}

func isTyped(err error) bool {
	return slices.ContainsFunc(errorsOf, func(e error) bool { return errors.Is(err, e) })
}
