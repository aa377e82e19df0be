// Command marketlab judges a change of market policy: it replays a recorded GPU cluster's tasks under the market's
// clearing and under online schedulers, prints a table and writes it with plots into a folder. It is for people who
// change policy, never for daemons. What the figures mean is in testutil/lab/README.md.
package main

import (
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/nexara/nexara/testutil/lab"
)

func main() {
	if err := run(os.Args[1:], os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "marketlab:", err)
		os.Exit(1)
	}
}

func run(args []string, out io.Writer) error {
	cfg := lab.DefaultConfig()
	flags := flag.NewFlagSet("marketlab", flag.ContinueOnError)
	data := flags.String("data", "../shared/data/cluster-trace", "folder of the trace's files")
	list := flags.String("list", "gpuspec33", "list of tasks: default, or gpuspec33 (a third of the GPU tasks name models)")
	dir := flags.String("out", "build/lab", "folder for the report and the plots")
	seeds := flags.Int("seeds", 2, "how many seeds, from -seed on")
	flags.Uint64Var(&cfg.Seed, "seed", cfg.Seed, "first seed")
	flags.Int64Var(&cfg.LoadPermille, "load", cfg.LoadPermille, "offered load, in thousandths of all GPUs")
	flags.Int64Var(&cfg.PerBlock, "per-block", cfg.PerBlock, "inflation: tasks that arrive per block")
	flags.Int64Var(&cfg.Blocks, "blocks", cfg.Blocks, "steady state: blocks")
	flags.Int64Var(&cfg.Warmup, "warmup", cfg.Warmup, "steady state: first blocks that no figure counts")
	flags.Int64Var(&cfg.MeanRunBlocks, "mean-run", cfg.MeanRunBlocks, "steady state: mean run of a task, in blocks")
	flags.Int64Var(&cfg.LongestRun, "longest-run", cfg.LongestRun, "steady state: longer runs of the trace are cut to so many seconds")
	flags.Int64Var(&cfg.Patience, "patience", cfg.Patience, "steady state: blocks that a task waits")
	flags.BoolVar(&cfg.OldestFirst, "oldest-first", cfg.OldestFirst, "online schedulers take waiting tasks before a block's arrivals")
	flags.BoolVar(&cfg.Warm, "warm", cfg.Warm, "a clearing starts from the prices of the one before, as on the chain; -warm=false: from none")
	flags.IntVar(&cfg.Requesters, "requesters", cfg.Requesters, "requesters who share the tasks")
	flags.Int64Var(&cfg.AskSpread, "ask-spread", cfg.AskSpread, "asks differ by so many thousandths up and down")
	flags.Int64Var(&cfg.LimitScale, "limit-scale", cfg.LimitScale, "limits as drawn, times so many thousandths")
	flags.Int64Var(&cfg.BurnPPM, "burn", cfg.BurnPPM, "burn on top of each price, in millionths")
	flags.Int64Var(&cfg.PenaltyKPPM, "penalty-k", cfg.PenaltyKPPM, "weight of the score penalty, in millionths")
	flags.Int64Var(&cfg.Steps, "steps", cfg.Steps, "budget of one clearing, in steps")
	scenarios := flags.String("scenarios", strings.Join(cfg.Scenarios, ","), "scenarios, by comma")
	policies := flags.String("policies", strings.Join(cfg.Policies, ","), "policies, by comma")
	if err := flags.Parse(args); err != nil {
		return err
	}
	cfg.Scenarios, cfg.Policies = strings.Split(*scenarios, ","), strings.Split(*policies, ",")
	nodes, err := lab.ReadNodes(filepath.Join(*data, "openb_node_list_all_node.csv.gz"))
	if err != nil {
		return err
	}
	pods, err := lab.ReadPods(filepath.Join(*data, "openb_pod_list_"+*list+".csv.gz"))
	if err != nil {
		return err
	}
	x, err := lab.Conduct(cfg, *seeds, *list, nodes, pods, func(line string) { fmt.Fprintln(out, line) })
	if err != nil {
		return err
	}
	names, err := x.Write(*dir)
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "\n%s\n%d files in %s, %.0f s\n", x.Closing(), len(names), *dir, x.Took.Seconds())
	return nil
}
