// Command bench measures the figures of docs/bench.md on this machine with real processes and prints them as
// JSON, with the machine described. It asserts nothing: a shared machine is noisy, so figures are compared
// with their anchors and never tested. It is run by `make bench`.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"time"

	"github.com/nexara/nexara/testutil/scenario"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	var b bench
	only := flag.String("only", "", "comma-separated sections (default all): size, latency, wasm, containers, overhead, chain, arrays, idle, memory, endblock, clearing")
	flag.StringVar(&b.bin, "bin", "build", "folder with nexarad, nexcore and nexgate")
	flag.IntVar(&b.containerShards, "container-shards", 200, "shards of the containers section")
	flag.StringVar(&b.containerCPU, "container-cpu", "10m", "share of a core of each of its shards")
	flag.DurationVar(&b.load, "load", time.Minute, "how long the chain section keeps its load up")
	flag.StringVar(&b.data, "data", "../shared/data", "folder of the public instances of the clearing section")
	flag.StringVar(&b.lemon, "lemon", "dimacs-solver", "anchor of the clearing section: LEMON's solver of DIMACS files")
	flag.StringVar(&b.python, "python", "/usr/bin/python3", "anchor of the clearing section: a Python with scipy")
	flowFile := flag.String("flow-file", "", "solve this DIMACS file once, print time and cost, and end (the clearing section runs itself so)")
	flag.Parse()
	if *flowFile != "" {
		if err := solveOnce(*flowFile); err != nil {
			fmt.Fprintln(os.Stderr, "bench:", err)
			os.Exit(1)
		}
		return
	}
	if err := b.run(ctx, *only); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

type bench struct {
	bin  string
	load time.Duration
	dir  string
	out  map[string]any

	containerShards int
	containerCPU    string

	// Of the clearing section: where instances lie, and the anchors' programs.
	data, lemon, python string
}

type section struct {
	name string
	run  func(context.Context) (any, error)
}

func (b *bench) run(ctx context.Context, only string) (err error) {
	if b.bin, err = filepath.Abs(b.bin); err != nil {
		return err
	}
	if b.dir, err = os.MkdirTemp("", "nexara-bench-"); err != nil {
		return err
	}
	defer os.RemoveAll(b.dir)
	var failed error
	b.out = map[string]any{"machine": machine(b.dir), "time": time.Now().UTC().Format(time.RFC3339)}
	for _, s := range []section{
		{"size", b.size},
		{"latency", b.latency},
		{"wasm", b.wasm},
		{"containers", b.containers},
		{"overhead", b.overhead},
		{"chain", b.chain},
		{"arrays", b.arrays},
		{"idle", b.idle},
		{"memory", b.memory},
		{"endblock", b.endblock},
		{"clearing", b.clearing},
	} {
		if only != "" && !strings.Contains(","+only+",", ","+s.name+",") {
			continue
		}
		fmt.Fprintln(os.Stderr, "bench:", s.name)
		figures, err := s.run(ctx)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err != nil { // the other figures are worth having
			fmt.Fprintf(os.Stderr, "bench: %s: %v\n", s.name, err)
			failed = errors.Join(failed, fmt.Errorf("%s: %w", s.name, err))
			figures = map[string]any{"error": err.Error()}
		}
		b.out[s.name] = figures
	}
	enc := json.NewEncoder(os.Stdout)
	enc.SetIndent("", "  ")
	return errors.Join(enc.Encode(b.out), failed)
}

// size is the stripped binaries, in bytes.
func (b *bench) size(context.Context) (any, error) {
	sizes := map[string]int64{}
	for _, name := range []string{"nexarad", "nexcore", "nexgate"} {
		info, err := os.Stat(filepath.Join(b.bin, name))
		if err != nil {
			return nil, err
		}
		sizes[name+"_bytes"] = info.Size()
	}
	return sizes, nil
}

// world starts a world with n NexCores that can take many small leases.
func (b *bench) world(ctx context.Context, name string, n int) (*scenario.World, error) {
	return scenario.Start(ctx, b.options(name, n))
}

func (b *bench) options(name string, n int) scenario.Options {
	var list []scenario.NexCore
	for i := range n {
		list = append(list, scenario.NexCore{
			Name: fmt.Sprintf("n%d", i+1), Region: "local", CPUMilli: int64(runtime.NumCPU()) * 1_000, MemoryMiB: 6_000, DiskMiB: 2_000, Price: 50,
			Init: []string{"--log-format", "json"},
		})
	}
	return scenario.Options{Dir: filepath.Join(b.dir, name), Bin: b.bin, Driver: "wasm", NexCores: list, Params: market()}
}

// market are the parameters of a chain that takes a load at once.
func market() map[string]any {
	return map[string]any{"lease_cap_base": "512", "max_shards_per_job": "1000000", "max_matches": "2000", "max_settle": "2000"}
}

func stopped(w *scenario.World, err *error) { *err = errors.Join(*err, w.Stop()) }
