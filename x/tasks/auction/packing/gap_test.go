package packing

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// gapSets are the public instances and the values to reach: optima, and for gapd what a MIP solver had after 25 s.
var gapSets = []struct {
	name     string
	maximise bool
	values   []int64
}{
	{"gap1", true, []int64{336, 327, 339, 341, 326}},
	{"gap2", true, []int64{434, 436, 420, 419, 428}},
	{"gap3", true, []int64{580, 564, 573, 570, 564}},
	{"gap4", true, []int64{656, 644, 673, 647, 664}},
	{"gap5", true, []int64{563, 558, 564, 568, 559}},
	{"gap6", true, []int64{761, 759, 758, 752, 747}},
	{"gapa", false, []int64{1698, 3235, 1360, 2623, 1158, 2339}},
	{"gapd", false, []int64{6360, 12745, 6387, 12457, 6295, 12371}},
}

// Every job must be assigned: a placed job is worth far more than any cost.
const jobWorth = 1_000_000

// gapInstance is one problem with what is needed to read a welfare as a value of the original problem.
type gapInstance struct {
	name     string
	p        *Problem
	maximise bool
	listed   int64
	jobs     int64
}

func (g *gapInstance) value(welfare int64) int64 {
	if g.maximise { // cost = jobWorth / 2 - profit
		return welfare - g.jobs*jobWorth/2
	}
	return g.jobs*jobWorth - welfare
}

func (g *gapInstance) reached(value int64) bool {
	if g.maximise {
		return value >= g.listed
	}
	return value <= g.listed
}

func (g *gapInstance) steps() int64 {
	if strings.HasPrefix(g.name, "gapd") {
		return gapSteps * 5
	}
	return gapSteps
}

func readGAP(t testing.TB, set int) (out []gapInstance) {
	t.Helper()
	s := &gapSets[set]
	path := filepath.Join("testdata", s.name+".txt")
	if _, err := os.Stat(path); err != nil {
		path = filepath.Join(dataFolder, "gap", s.name+".txt")
	}
	data, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		t.Skipf("no generalised assignment data: %v", err)
	}
	if err != nil {
		t.Fatal(err)
	}
	fields := strings.Fields(string(data))
	next := func() int64 {
		n := number(t, fields[0])
		fields = fields[1:]
		return n
	}
	for i := range next() {
		agents, jobs := int(next()), int(next())
		cost, need := make([]int64, agents*jobs), make([]int64, agents*jobs)
		for k := range cost {
			if cost[k] = next(); s.maximise {
				cost[k] = jobWorth/2 - cost[k]
			}
		}
		for k := range need {
			need[k] = next()
		}
		p := &Problem{}
		for range agents {
			p.Bins = append(p.Bins, Vector{next()})
		}
		for j := range jobs {
			g := Group{From: int32(len(p.Edges)), Tiers: []Tier{{jobWorth, 1}}}
			for a := range agents {
				k := a*jobs + j
				p.Edges = append(p.Edges, Edge{int32(a), int32(len(p.Needs)), cost[k]})
				p.Needs = append(p.Needs, Vector{need[k]})
			}
			g.To = int32(len(p.Edges))
			p.Groups = append(p.Groups, g)
		}
		out = append(out, gapInstance{fmt.Sprintf("%s-%d", s.name, i+1), p, s.maximise, s.values[i], int64(jobs)})
	}
	return out
}

// All optima of gap1 to gap6 and gapa, and the values listed of gapd, within a second or two of one slow core each.
func TestGAP(t *testing.T) {
	for set := range gapSets {
		t.Run(gapSets[set].name, func(t *testing.T) {
			for _, g := range readGAP(t, set) {
				r := mustSolve(t, g.p, Options{MaxSteps: g.steps()})
				if value := g.value(r.Welfare); !g.reached(value) {
					t.Errorf("%s: value %d, listed %d", g.name, value, g.listed)
				}
			}
		})
	}
}

// BenchmarkGAP reports, per instance, the value reached and the value listed.
func BenchmarkGAP(b *testing.B) {
	for set := range gapSets {
		for _, g := range readGAP(b, set) {
			b.Run(g.name, func(b *testing.B) {
				var r Result
				for b.Loop() {
					r = mustSolve(b, g.p, Options{MaxSteps: g.steps()})
				}
				b.ReportMetric(float64(g.value(r.Welfare)), "value")
				b.ReportMetric(float64(g.listed), "listed")
				b.ReportMetric(float64(g.value(r.Bound)), "bound")
			})
		}
	}
}

// gapSteps is less than a second on one slow core; the instances of gapd get five times as many.
const gapSteps = 20_000_000
