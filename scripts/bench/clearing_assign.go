package main

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"github.com/nexara/nexara/x/tasks/auction/flow"
)

// assignSize is n of the dense assignments.
const assignSize = 1_000

// clearingAssign is flow.Assign on random dense costs against scipy.optimize.linear_sum_assignment on the same
// matrix, given to it as the float64 that it works with.
func (b *bench) clearingAssign(ctx context.Context) (any, error) {
	var list []map[string]any
	for _, below := range []int64{1_000, 1_000_000} {
		const seed = 1
		rng := rand.New(rand.NewPCG(seed, uint64(below)))
		wide, narrow := make([]int64, assignSize*assignSize), make([]int32, assignSize*assignSize)
		data := make([]byte, 0, 4*len(narrow))
		for i := range wide {
			wide[i] = rng.Int64N(below)
			narrow[i] = int32(wide[i])
			data = binary.LittleEndian.AppendUint32(data, uint32(narrow[i]))
		}
		file := filepath.Join(b.dir, "costs.int32")
		if err := os.WriteFile(file, data, 0o600); err != nil {
			return nil, err
		}
		figures, err := b.assignFigures(ctx, file, wide, narrow)
		if errors.Is(err, errNoScipy) {
			return absent(err.Error()), nil
		}
		if err != nil {
			return nil, err
		}
		figures["n"], figures["costs_below"], figures["seed"] = assignSize, below, seed
		list = append(list, figures)
	}
	return map[string]any{
		"instances": list, "note": "uniform random costs; ratio: int64 / scipy; scipy's clock is Python's around the call alone, the matrix float64 already",
	}, nil
}

func (b *bench) assignFigures(ctx context.Context, file string, wide []int64, narrow []int32) (_ map[string]any, err error) {
	s, err := b.startScipy(ctx, file)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, s.stop()) }()
	var totals [3]int64
	took, err := alternate(ctx, clearingRounds,
		timed(func() (err error) { totals[0], err = assign(wide); return err }),
		func(context.Context) (took time.Duration, err error) {
			took, totals[1], err = s.round()
			return took, err
		},
		timed(func() (err error) { totals[2], err = assign(narrow); return err }),
	)
	if err == nil && (totals[0] != totals[1] || totals[2] != totals[1]) {
		err = fmt.Errorf("total costs differ: ours %d and %d, scipy's %d", totals[0], totals[2], totals[1])
	}
	if err != nil {
		return nil, err
	}
	ours, scipy, short := median(took[0]), median(took[1]), median(took[2])
	return map[string]any{
		"cost": totals[0], "ours_int64_ms": ours, "ours_int32_ms": short, "scipy_ms": scipy, "ratio": ours / scipy, "ratio_int32": short / scipy,
		"scipy": s.version,
	}, nil
}

// assign is the least cost of an assignment, by its proof.
func assign[C int32 | int64](cost []C) (total int64, err error) {
	_, u, v, err := flow.Assign(assignSize, cost)
	for i := range u {
		total += u[i] + v[i]
	}
	return total, err
}

// scipyProgram reads the costs once and solves them once for each line that it is sent.
const scipyProgram = `
import sys, time
import numpy, scipy
from scipy.optimize import linear_sum_assignment
n = int(sys.argv[2])
cost = numpy.fromfile(sys.argv[1], dtype="<i4").astype(numpy.float64).reshape(n, n)
print(scipy.__version__, flush=True)
for line in sys.stdin:
    begin = time.perf_counter_ns()
    rows, columns = linear_sum_assignment(cost)
    took = time.perf_counter_ns() - begin
    print(took, int(cost[rows, columns].sum()), flush=True)
`

// errNoScipy says that the anchor is not installed.
var errNoScipy = errors.New("no Python with scipy (Debian: python3-scipy)")

// scipy is a Python process that waits for its turns.
type scipy struct {
	version string
	cmd     *exec.Cmd
	in      io.WriteCloser
	out     *bufio.Reader
	cancel  context.CancelFunc
}

// startScipy starts the anchor on a file of costs.
func (b *bench) startScipy(ctx context.Context, file string) (*scipy, error) {
	ctx, cancel := context.WithTimeout(ctx, 2*anchorWithin)
	s := &scipy{cancel: cancel, cmd: exec.CommandContext(ctx, b.python, "-c", scipyProgram, file, fmt.Sprint(assignSize))}
	// One thread, as ours has.
	s.cmd.Env = append(os.Environ(), "OMP_NUM_THREADS=1", "OPENBLAS_NUM_THREADS=1")
	var err error
	if s.in, err = s.cmd.StdinPipe(); err != nil {
		cancel()
		return nil, err
	}
	out, err := s.cmd.StdoutPipe()
	if err == nil {
		err = s.cmd.Start()
	}
	if err != nil {
		cancel()
		return nil, fmt.Errorf("%w: %w", errNoScipy, err)
	}
	s.out = bufio.NewReader(out)
	if _, err := fmt.Fscanln(s.out, &s.version); err != nil {
		return nil, fmt.Errorf("%w: %w", errNoScipy, errors.Join(err, s.stop()))
	}
	return s, nil
}

// round solves once.
func (s *scipy) round() (took time.Duration, total int64, err error) {
	if _, err := fmt.Fprintln(s.in); err != nil {
		return 0, 0, err
	}
	var ns int64
	if _, err := fmt.Fscanln(s.out, &ns, &total); err != nil {
		return 0, 0, fmt.Errorf("scipy: %w", err)
	}
	return time.Duration(ns), total, nil
}

// stop ends the process: it ends by itself when it is sent no more.
func (s *scipy) stop() error {
	defer s.cancel()
	return errors.Join(s.in.Close(), s.cmd.Wait())
}
