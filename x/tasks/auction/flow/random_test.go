package flow

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// drawGraph draws a small graph: zero capacities, parallel arcs, loops, parts that do not hang together,
// supplies that may not be met. Few distinct values make ties and degenerate pivots common.
func drawGraph(t *rapid.T, nodes, arcs int, infinite bool) *Graph {
	n := rapid.IntRange(1, nodes).Draw(t, "nodes")
	cost := rapid.SampledFrom([]int64{0, 1, 3, 100}).Draw(t, "costs")
	tie := rapid.SampledFrom([]int64{0, 1, 5}).Draw(t, "ties")
	top := rapid.SampledFrom([]int64{1, 2, 6}).Draw(t, "caps")
	g := &Graph{Nodes: n, Supply: make([]int64, n)}
	end := rapid.Int32Range(0, int32(n)-1)
	for range rapid.IntRange(0, arcs).Draw(t, "arcs") {
		a := Arc{
			From: end.Draw(t, "from"), To: end.Draw(t, "to"), Cap: rapid.Int64Range(0, top).Draw(t, "cap"),
			Cost: rapid.Int64Range(-cost, cost).Draw(t, "cost"), Tie: rapid.Int64Range(-tie, tie).Draw(t, "tie"),
		}
		if infinite && rapid.IntRange(0, 3).Draw(t, "inf") == 0 {
			a.Cap = Inf
		}
		g.Arcs = append(g.Arcs, a)
	}
	switch rapid.IntRange(0, 2).Draw(t, "supplies") {
	case 1: // of a random flow: feasible
		for _, a := range g.Arcs {
			f := rapid.Int64Range(0, min(a.Cap, 3)).Draw(t, "flow")
			g.Supply[a.From] += f
			g.Supply[a.To] -= f
		}
	case 2:
		s := rapid.Int64Range(0, 3).Draw(t, "supply")
		g.Supply[0] += s
		g.Supply[n-1] -= s
	}
	return g
}

// solveChecked solves and verifies whatever comes back.
func solveChecked(t *rapid.T, g *Graph, opt Options) (Result, error) {
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
	case !errors.Is(err, ErrInfeasible) && !errors.Is(err, ErrUnbounded) && !errors.Is(err, ErrBudget) && !errors.Is(err, ErrStart):
		t.Fatal(err)
	}
	return r, err
}

func TestRandomGraphsProveThemselves(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		g := drawGraph(t, 12, 40, true)
		r, err := solveChecked(t, g, Options{})
		again, errAgain := Solve(g, Options{})
		if !slices.Equal(r.Flow, again.Flow) || !slices.Equal(r.Potential, again.Potential) || !slices.Equal(r.TiePotential, again.TiePotential) ||
			r.Pivots != again.Pivots || r.Scanned != again.Scanned || fmt.Sprint(err) != fmt.Sprint(errAgain) {
			t.Fatal("two calls differ")
		}
	})
}

// bruteForce tries every flow.
func bruteForce(g *Graph) (cost, tie int64, feasible bool) {
	balance := slices.Clone(g.Supply)
	var walk func(i int, c, s int64)
	walk = func(i int, c, s int64) {
		if i == len(g.Arcs) {
			for _, b := range balance {
				if b != 0 {
					return
				}
			}
			if !feasible || c < cost || (c == cost && s < tie) {
				cost, tie, feasible = c, s, true
			}
			return
		}
		a := g.Arcs[i]
		for f := int64(0); f <= a.Cap; f++ {
			balance[a.From] -= f
			balance[a.To] += f
			walk(i+1, c+f*a.Cost, s+f*a.Tie)
			balance[a.From] += f
			balance[a.To] -= f
		}
	}
	walk(0, 0, 0)
	return cost, tie, feasible
}

func TestLexicographicOptimumEqualsBruteForce(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		g := drawGraph(t, 5, 6, false)
		cost, tie, feasible := bruteForce(g)
		r, err := solveChecked(t, g, Options{})
		if feasible != (err == nil) || !feasible && !errors.Is(err, ErrInfeasible) {
			t.Fatalf("feasible %v: %v", feasible, err)
		}
		if feasible && (r.Cost != cost || r.TieCost != tie) {
			t.Fatalf("(%d, %d), brute force (%d, %d)", r.Cost, r.TieCost, cost, tie)
		}
	})
}

// drawStart doubles the supplies and capacities of g and returns the sum of two flows of the old ones, each optimal
// under other costs: feasible, and often between its bounds on cycles. It returns nil where there is none.
func drawStart(t *rapid.T, g *Graph) []int64 {
	sum := make([]int64, len(g.Arcs))
	for range 2 {
		other := &Graph{Nodes: g.Nodes, Supply: slices.Clone(g.Supply), Arcs: slices.Clone(g.Arcs)}
		for i := range other.Arcs {
			other.Arcs[i].Cost = rapid.Int64Range(-9, 9).Draw(t, "other")
		}
		r, err := Solve(other, Options{})
		if err != nil {
			return nil
		}
		for i, f := range r.Flow {
			sum[i] += f
		}
	}
	for i := range g.Supply {
		g.Supply[i] *= 2
	}
	for i := range g.Arcs {
		g.Arcs[i].Cap *= 2
	}
	return sum
}

func TestWarmEqualsColdAndStaysFeasible(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		g := drawGraph(t, 10, 30, false)
		start := drawStart(t, g)
		if start == nil {
			return
		}
		cold, err := solveChecked(t, g, Options{})
		if err != nil {
			t.Fatal(err)
		}
		opt := Options{Start: start}
		for range rapid.IntRange(0, len(g.Arcs)).Draw(t, "prefers") {
			opt.Prefer = append(opt.Prefer, rapid.Int32Range(0, int32(len(g.Arcs))-1).Draw(t, "prefer"))
		}
		if rapid.Bool().Draw(t, "hint") {
			opt.Potential = rapid.SliceOfN(rapid.Int64(), g.Nodes, g.Nodes).Draw(t, "potential")
		}
		warm, err := solveChecked(t, g, opt)
		if err != nil || warm.Cost != cold.Cost || warm.TieCost != cold.TieCost {
			t.Fatalf("warm (%d, %d), cold (%d, %d): %v", warm.Cost, warm.TieCost, cold.Cost, cold.TieCost, err)
		}
		// Every budget stops with a feasible flow that is no costlier than the one before.
		last := int64(math.MaxInt64)
		for opt.MaxPivots = 1; opt.MaxPivots <= warm.Pivots; opt.MaxPivots++ {
			r, err := solveChecked(t, g, opt)
			if err != nil || r.Cost > last || r.Pivots > opt.MaxPivots {
				t.Fatalf("%d pivots: cost %d after %d: %v", opt.MaxPivots, r.Cost, last, err)
			}
			last = r.Cost
		}
		opt.MaxPivots = 0
		for opt.MaxScanned = 1; opt.MaxScanned <= warm.Scanned; opt.MaxScanned += 1 + warm.Scanned/50 {
			if r, err := solveChecked(t, g, opt); err != nil || r.Scanned > opt.MaxScanned {
				t.Fatalf("%d scanned: %v", opt.MaxScanned, err)
			}
		}
		// From its own tree there is nothing left to do but look.
		if r, err := solveChecked(t, g, Options{Start: warm.Flow, Prefer: warm.Tree, Potential: warm.Potential}); err != nil || r.Cost != warm.Cost || r.TieCost != warm.TieCost {
			t.Fatal(r.Cost, err)
		}
	})
}

func TestTreesStayStronglyFeasible(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		g := drawGraph(t, 12, 40, false)
		l, err := validate(g)
		if err != nil || l.unmatched {
			return
		}
		opt := Options{}
		for range rapid.IntRange(0, len(g.Arcs)).Draw(t, "prefers") {
			opt.Prefer = append(opt.Prefer, rapid.Int32Range(0, int32(len(g.Arcs))-1).Draw(t, "prefer"))
		}
		var rest []loose
		start := []int64(nil)
		if rapid.Bool().Draw(t, "warm") {
			start = drawStart(t, g)
			if l, err = validate(g); err != nil {
				t.Fatal(err)
			}
		}
		opt.Start = start
		e := newEngine(g, l, &opt)
		if opt.Start != nil {
			if rest, err = e.adopt(g, &opt, l.path); err != nil {
				t.Fatal(err)
			}
			if err := verifyTree(e); err != nil {
				t.Fatal("adopted: ", err)
			}
			_, _ = e.tighten(g, rest)
		} else {
			e.first(g, l.path+1)
		}
		for limit := int64(1); ; limit++ {
			if err := verifyTree(e); err != nil {
				t.Fatal(err)
			}
			e.maxPivots = e.pivots + 1
			if e.run() == optimal {
				break
			}
			if limit > 10_000 {
				t.Fatal("cycles")
			}
		}
		e.narrow(g)
		if err := verifyTree(e); err != nil {
			t.Fatal("narrowed: ", err)
		}
	})
}

// LEMON's dimacs-solver agrees where it is installed.
func TestAgreesWithLemon(t *testing.T) {
	lemon, err := exec.LookPath("dimacs-solver")
	if err != nil {
		t.Skip("no dimacs-solver on PATH (Debian package liblemon-utils)")
	}
	file := filepath.Join(t.TempDir(), "graph.min")
	tried := 0
	rapid.Check(t, func(t *rapid.T) {
		if tried++; tried > 40 {
			return
		}
		g := drawGraph(t, 20, 80, false)
		var text bytes.Buffer
		fmt.Fprintf(&text, "p min %d %d\n", g.Nodes, len(g.Arcs))
		for v, s := range g.Supply {
			fmt.Fprintf(&text, "n %d %d\n", v+1, s)
		}
		for _, a := range g.Arcs {
			fmt.Fprintf(&text, "a %d %d 0 %d %d\n", a.From+1, a.To+1, a.Cap, a.Cost)
		}
		if err := os.WriteFile(file, text.Bytes(), 0o600); err != nil {
			t.Fatal(err)
		}
		out, err := exec.Command(lemon, file, os.DevNull).CombinedOutput()
		if err != nil {
			t.Fatal(err, string(out))
		}
		r, err := solveChecked(t, g, Options{})
		want := "Feasible flow: not found"
		if err == nil {
			want = fmt.Sprintf("Min flow cost: %d\n", r.Cost)
		}
		if !strings.Contains(string(out), want) {
			t.Fatalf("want %q (%v), LEMON says %s", want, err, out)
		}
	})
}
