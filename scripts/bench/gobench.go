package main

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
)

// endblock is the worst-case EndBlock on the seeded book, by the benchmark of the keeper.
func (b *bench) endblock(ctx context.Context) (any, error) {
	return goBenchmark(ctx, "./x/tasks/keeper", "EndBlock", "10x")
}

// goBenchmark runs Go benchmarks and returns their figures by name and unit, as testing prints them.
func goBenchmark(ctx context.Context, pkg, pattern, benchtime string) (map[string]map[string]float64, error) {
	cmd := exec.CommandContext(ctx, "go", "test", pkg, "-run", "^$", "-bench", pattern, "-benchtime", benchtime)
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	var errs bytes.Buffer
	cmd.Stderr = &errs
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("%s: %w: %.300s%.300s", pkg, err, errs.String(), out)
	}
	return parseBenchmarks(out), nil
}

// parseBenchmarks reads lines such as "BenchmarkX-2  10  123 ns/op  45 leases/op". Everything else is a log.
func parseBenchmarks(out []byte) map[string]map[string]float64 {
	figures := map[string]map[string]float64{}
	lines := bufio.NewScanner(bytes.NewReader(out))
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		fields := strings.Fields(lines.Text())
		if len(fields) < 4 || len(fields)%2 != 0 || !strings.HasPrefix(fields[0], "Benchmark") {
			continue
		}
		row := map[string]float64{}
		for i := 2; i+1 < len(fields); i += 2 {
			value, err := strconv.ParseFloat(fields[i], 64)
			if err != nil {
				row = nil
				break
			}
			row[fields[i+1]] = value
		}
		if row != nil {
			figures[strings.TrimPrefix(fields[0], "Benchmark")] = row
		}
	}
	return figures
}
