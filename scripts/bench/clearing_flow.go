package main

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/nexara/nexara/x/tasks/auction/flow"
)

// flowOptima are public minimum-cost flow instances with their least costs.
func flowOptima() []struct {
	name string
	cost int64
} {
	return []struct {
		name string
		cost int64
	}{
		{"netgen_8_08a", 142274536},
		{"netgen_sr_08a", 69878458},
		{"netgen_8_10a", 369269289},
		{"netgen_8_12a", 783715427},
		{"goto_8_08a", 560870539},
		{"goto_8_10a", 1861135786},
		{"road_DC_a", 96472800},
		{"firm_100m", 1115043},
		{"firm_1000m", 2089244},
	}
}

const (
	// dimacsBytes bounds an instance, unpacked.
	dimacsBytes = 64 << 20
	// flowRounds are short: a run is 1 to 100 ms.
	flowRounds = 15
	// anchorWithin bounds one run of an anchor.
	anchorWithin = time.Minute
)

// clearingFlow is flow.Solve against LEMON's network simplex, by Debian's dimacs-solver. Both are timed in a new
// process for each run, without reading the file: ours is this program itself. A second time of ours is taken in
// this process, where code and memory are warm, as they are in a validator.
func (b *bench) clearingFlow(ctx context.Context) (any, error) {
	lemon, err := exec.LookPath(b.lemon)
	if err != nil {
		return absent("no " + b.lemon + " (Debian: liblemon-utils)"), nil
	}
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	var list []map[string]any
	for _, want := range flowOptima() {
		file := filepath.Join(b.dir, want.name+".min")
		err := unpack(b.dataFile("mincostflow", want.name+".min.gz"), file)
		if missing(err) {
			list = append(list, map[string]any{"instance": want.name, "absent": "no file in " + b.data})
			continue
		}
		if err == nil {
			var figures map[string]any
			if figures, err = flowFigures(ctx, self, lemon, file, want.cost); err == nil {
				figures["instance"] = want.name
				list = append(list, figures)
			}
		}
		if err != nil {
			return nil, fmt.Errorf("%s: %w", want.name, err)
		}
	}
	return map[string]any{
		"instances": list, "rounds": flowRounds,
		"note": "ours: flow.Solve of the graph, checks and set-up included, int64. lemon: `Run NetworkSimplex` of dimacs-solver, int (its default), " +
			"set-up not included; lemon_setup beside it. ratio: ours / lemon, each in a process of its own; ratio_with_setup: the same with lemon's " +
			"set-up; ratio_int64: against its -long; ratio_warm: ours in a running process; ratio_of_least: of the least times, not the medians",
	}, nil
}

func flowFigures(ctx context.Context, self, lemon, file string, listed int64) (map[string]any, error) {
	g, fixed, err := readDimacs(file)
	if err != nil {
		return nil, err
	}
	check := func(cost int64) error {
		if cost != listed {
			return fmt.Errorf("cost %d, listed %d", cost, listed)
		}
		return nil
	}
	var setup []float64
	var r flow.Result
	anchor := func(setups *[]float64, args ...string) trial {
		return func(ctx context.Context) (time.Duration, error) {
			run, prepare, cost, err := runLemon(ctx, lemon, append(args, file, os.DevNull)...)
			if setups != nil {
				*setups = append(*setups, prepare*1e3)
			}
			return time.Duration(run * float64(time.Second)), errors.Join(err, check(cost))
		}
	}
	took, err := alternate(ctx, flowRounds,
		func(ctx context.Context) (time.Duration, error) {
			once, err := runSelf(ctx, self, file)
			return time.Duration(once.Nanoseconds), errors.Join(err, check(once.Cost))
		},
		anchor(&setup),
		anchor(nil, "-long"),
		timed(func() (err error) {
			if r, err = flow.Solve(g, flow.Options{}); err != nil {
				return err
			}
			return check(r.Cost + fixed)
		}),
	)
	if err != nil {
		return nil, err
	}
	ours, theirs, long, warm, prepare := median(took[0]), median(took[1]), median(took[2]), median(took[3]), median(setup[1:])
	return map[string]any{
		"nodes": g.Nodes, "arcs": len(g.Arcs), "cost": listed, "pivots": r.Pivots, "ours_ms": ours, "lemon_ms": theirs, "lemon_setup_ms": prepare,
		"lemon_int64_ms": long, "ours_warm_ms": warm, "ratio": ours / theirs, "ratio_with_setup": ours / (theirs + prepare),
		"ratio_int64": ours / long, "ratio_warm": warm / theirs, "ratio_of_least": slices.Min(took[0]) / slices.Min(took[1]),
	}, nil
}

// solvedOnce is what `bench -flow-file FILE` prints.
type solvedOnce struct{ Nanoseconds, Cost int64 }

// solveOnce reads a DIMACS file, solves it once and prints time and cost: the measured side of clearingFlow that is
// a new process, as its anchor is.
func solveOnce(file string) error {
	g, fixed, err := readDimacs(file)
	if err != nil {
		return err
	}
	runtime.GC() // what reading left behind is not billed to the solver
	begin := time.Now()
	r, err := flow.Solve(g, flow.Options{})
	took := time.Since(begin)
	if err != nil {
		return err
	}
	return json.NewEncoder(os.Stdout).Encode(solvedOnce{took.Nanoseconds(), r.Cost + fixed})
}

func runSelf(ctx context.Context, self, file string) (once solvedOnce, err error) {
	ctx, cancel := context.WithTimeout(ctx, anchorWithin)
	defer cancel()
	out, err := exec.CommandContext(ctx, self, "-flow-file", file).Output()
	if err == nil {
		err = json.Unmarshal(out, &once)
	}
	return once, err
}

var (
	lemonTime = regexp.MustCompile(`(?m)^(Setup|Run) NetworkSimplex.*real: ([0-9.e+-]+)s$`)
	lemonCost = regexp.MustCompile(`(?m)^Min flow cost: ([0-9-]+)$`)
)

// runLemon runs dimacs-solver and reads its report: seconds of the run and of its set-up.
func runLemon(ctx context.Context, lemon string, args ...string) (run, setup float64, cost int64, err error) {
	ctx, cancel := context.WithTimeout(ctx, anchorWithin)
	defer cancel()
	out, err := exec.CommandContext(ctx, lemon, args...).CombinedOutput()
	if err != nil {
		return 0, 0, 0, fmt.Errorf("%s: %w: %.300s", lemon, err, out)
	}
	times, found := lemonTime.FindAllSubmatch(out, -1), lemonCost.FindSubmatch(out)
	if len(times) != 2 || found == nil {
		return 0, 0, 0, fmt.Errorf("%s: a report without times: %.300s", lemon, out)
	}
	for _, t := range times {
		s, parse := strconv.ParseFloat(string(t[2]), 64)
		if err = errors.Join(err, parse); bytes.Equal(t[1], []byte("Run")) {
			run = s
		} else {
			setup = s
		}
	}
	cost, parse := strconv.ParseInt(string(found[1]), 10, 64)
	return run, setup, cost, errors.Join(err, parse)
}

// unpack writes what a gzip file holds.
func unpack(from, to string) error {
	f, err := os.Open(from)
	if err != nil {
		return err
	}
	defer f.Close()
	unzip, err := gzip.NewReader(f)
	if err != nil {
		return err
	}
	data, err := io.ReadAll(io.LimitReader(unzip, dimacsBytes+1))
	if err == nil && len(data) > dimacsBytes {
		err = fmt.Errorf("more than %d bytes", dimacsBytes)
	}
	if err != nil {
		return err
	}
	return os.WriteFile(to, data, 0o600)
}

// readDimacs reads a DIMACS minimum-cost flow file. Least flows are shifted to 0; fixed is what they cost.
func readDimacs(file string) (g *flow.Graph, fixed int64, err error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, 0, err
	}
	defer f.Close()
	lines := bufio.NewScanner(f)
	for n := 1; lines.Scan(); n++ {
		words := strings.Fields(lines.Text())
		if len(words) == 0 || words[0] == "c" {
			continue
		}
		var v [5]int64
		numbers := words[1:]
		if words[0] == "p" {
			numbers = words[min(2, len(words)):]
		}
		for i := range min(len(numbers), len(v)) {
			if v[i], err = strconv.ParseInt(numbers[i], 10, 64); err != nil {
				return nil, 0, fmt.Errorf("line %d: %w", n, err)
			}
		}
		node := func(x int64) bool { return g != nil && x >= 1 && x <= int64(g.Nodes) }
		switch {
		case words[0] == "p" && g == nil && v[0] >= 0 && v[0] <= flow.MaxNodes && v[1] >= 0 && v[1] <= flow.MaxArcs:
			g = &flow.Graph{Nodes: int(v[0]), Supply: make([]int64, v[0]), Arcs: make([]flow.Arc, 0, v[1])}
		case words[0] == "n" && node(v[0]):
			g.Supply[v[0]-1] += v[1]
		case words[0] == "a" && node(v[0]) && node(v[1]) && len(numbers) == len(v):
			low, high, cost := v[2], v[3], v[4]
			g.Arcs = append(g.Arcs, flow.Arc{From: int32(v[0] - 1), To: int32(v[1] - 1), Cap: high - low, Cost: cost})
			g.Supply[v[0]-1] -= low
			g.Supply[v[1]-1] += low
			fixed += low * cost
		default:
			return nil, 0, fmt.Errorf("line %d is none of a DIMACS minimum-cost flow", n)
		}
	}
	if g == nil && lines.Err() == nil {
		return nil, 0, errors.New("no problem line")
	}
	return g, fixed, lines.Err()
}
