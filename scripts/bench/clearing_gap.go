package main

import (
	"context"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/nexara/nexara/x/tasks/auction/packing"
)

// gapSets are public instances of generalised assignment with the values to reach: optima, and for gapd what a
// MIP solver had after 25 s.
func gapSets() []gapSet {
	return []gapSet{
		{"gap1", true, []int64{336, 327, 339, 341, 326}},
		{"gap2", true, []int64{434, 436, 420, 419, 428}},
		{"gap3", true, []int64{580, 564, 573, 570, 564}},
		{"gap4", true, []int64{656, 644, 673, 647, 664}},
		{"gap5", true, []int64{563, 558, 564, 568, 559}},
		{"gap6", true, []int64{761, 759, 758, 752, 747}},
		{"gapa", false, []int64{1698, 3235, 1360, 2623, 1158, 2339}},
		{"gapd", false, []int64{6360, 12745, 6387, 12457, 6295, 12371}},
	}
}

type gapSet struct {
	name     string
	maximise bool
	listed   []int64
}

const (
	// gapSteps is the first budget of an instance, gapMore the second, gapMost the last: 0.2, 2 and 15 s or so.
	gapSteps, gapMore, gapMost = int64(20_000_000), int64(200_000_000), int64(1_600_000_000)
	// gapWithin bounds the seconds of all three by cutting the last, at the speed of the second. The aim is 25 s.
	gapWithin = 22.0
	// gapWorth makes a placed job worth far more than any cost: every job must be assigned.
	gapWorth = 1_000_000
	// gapBytes bounds a file, gapSize agents x jobs of an instance.
	gapBytes, gapSize = 1 << 20, 1 << 16
)

// clearingGAP is the value that the vector engine reaches on each instance, and how long it takes. Nothing is
// repeated: equal budgets give equal values.
func (b *bench) clearingGAP(ctx context.Context) (any, error) {
	var list []map[string]any
	reached, all := 0, 0
	for _, set := range gapSets() {
		problems, err := readGAP(b.dataFile("gap", set.name+".txt"), set.maximise)
		if missing(err) {
			return absent("no generalised assignment data in " + b.data), nil
		}
		if err == nil && len(problems) != len(set.listed) {
			err = fmt.Errorf("%d instances, %d are known", len(problems), len(set.listed))
		}
		if err != nil {
			return nil, fmt.Errorf("%s: %w", set.name, err)
		}
		for i, p := range problems {
			if err := ctx.Err(); err != nil {
				return nil, err
			}
			figures, ok, err := gapFigures(p, set, set.listed[i])
			if err != nil {
				return nil, fmt.Errorf("%s-%d: %w", set.name, i+1, err)
			}
			if all++; ok {
				reached++
			}
			figures["instance"] = fmt.Sprintf("%s-%d", set.name, i+1)
			list = append(list, figures)
		}
	}
	return map[string]any{
		"instances": list, "reached_listed": reached, "of": all,
		"note": "gap1-6 and gapa: listed are optima; gapd: what HiGHS had after 25 s. bound is what the prices prove. seconds: of all runs of the instance, " +
			"with budgets of 20, 200 and (cut to fit 22 s) 1,600 million steps until listed is reached",
	}, nil
}

// gapFigures solves one instance, with larger budgets until it reaches what is listed.
func gapFigures(p *packing.Problem, set gapSet, listed int64) (map[string]any, bool, error) {
	jobs := int64(len(p.Groups))
	value := func(welfare int64) int64 {
		if set.maximise { // cost is gapWorth / 2 - profit
			return welfare - jobs*gapWorth/2
		}
		return jobs*gapWorth - welfare
	}
	spent, budgets := 0.0, []int64{gapSteps, gapMore, gapMost}
	for try := 0; ; try++ {
		budget, last := budgets[try], try == len(budgets)-1
		begin := time.Now()
		r, err := packing.Solve(p, packing.Options{MaxSteps: budget})
		took := time.Since(begin).Seconds()
		if err != nil {
			return nil, false, err
		}
		welfare, err := packing.Evaluate(p, r.Count)
		if err == nil && welfare != r.Welfare {
			err = fmt.Errorf("the allocation is worth %d, not %d", welfare, r.Welfare)
		}
		if err != nil {
			return nil, false, err
		}
		spent += took
		if try == 1 {
			budgets[2] = max(gapSteps, min(gapMost, int64(float64(r.Steps)/took*(gapWithin-spent))))
		}
		v := value(r.Welfare)
		reached := v == listed || v > listed == set.maximise
		if reached || last {
			return map[string]any{
				"value": v, "listed": listed, "bound": value(r.Bound), "reached": reached, "seconds": spent, "last_run_seconds": took, "last_run_steps": budget,
			}, reached, nil
		}
	}
}

// readGAP reads the problems of a file: their number; then of each agents, jobs, costs and needs by agent and
// job, capacities. Profits become costs.
func readGAP(path string, maximise bool) (out []*packing.Problem, err error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if info.Size() > gapBytes {
		return nil, fmt.Errorf("%d bytes", info.Size())
	}
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	fields := strings.Fields(string(data))
	next := func() int64 {
		if len(fields) == 0 || err != nil {
			return 0
		}
		var n int64
		n, err = strconv.ParseInt(fields[0], 10, 64)
		fields = fields[1:]
		return n
	}
	for range next() {
		agents, jobs := next(), next()
		if agents < 1 || jobs < 1 || agents > gapSize/jobs || int64(len(fields)) < (2*jobs+1)*agents {
			return nil, fmt.Errorf("%d agents, %d jobs in %d numbers", agents, jobs, len(fields))
		}
		cost, need := make([]int64, agents*jobs), make([]int64, agents*jobs)
		for k := range cost {
			if cost[k] = next(); maximise {
				cost[k] = gapWorth/2 - cost[k]
			}
		}
		for k := range need {
			need[k] = next()
		}
		p := &packing.Problem{}
		for range agents {
			p.Bins = append(p.Bins, packing.Vector{next()})
		}
		for j := range jobs {
			g := packing.Group{From: int32(len(p.Edges)), Tiers: []packing.Tier{{Value: gapWorth, Count: 1}}}
			for a := range agents {
				p.Edges = append(p.Edges, packing.Edge{Bin: int32(a), Need: int32(len(p.Needs)), Cost: cost[a*jobs+j]})
				p.Needs = append(p.Needs, packing.Vector{need[a*jobs+j]})
			}
			g.To = int32(len(p.Edges))
			p.Groups = append(p.Groups, g)
		}
		out = append(out, p)
	}
	return out, err
}
