package packing

import (
	"cmp"
	"compress/gzip"
	"encoding/csv"
	"errors"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// Where the public benchmark data lies, seen from this folder.
const dataFolder = "../../../../../shared/data"

type traceNode struct {
	capacity Vector // cpu milli, memory MiB, GPUs
	model    string
	factor   int64 // of the resource prices, in thousandths
}

type tracePod struct {
	need   Vector
	models string
}

func readTrace(t testing.TB, name string) [][]string {
	t.Helper()
	f, err := os.Open(filepath.Join(dataFolder, "cluster-trace", name))
	if errors.Is(err, fs.ErrNotExist) {
		t.Skipf("no cluster trace: %v", err)
	}
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	rows, err := csv.NewReader(z).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	return rows[1:]
}

func number(t testing.TB, s string) int64 {
	t.Helper()
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// readCluster reads nodes and pods; a pod with a GPU share takes one whole GPU.
func readCluster(t testing.TB, rng *rand.Rand) (nodes []traceNode, pods []tracePod) {
	for _, row := range readTrace(t, "openb_node_list_all_node.csv.gz") {
		nodes = append(nodes, traceNode{
			Vector{number(t, row[1]), number(t, row[2]), number(t, row[3])}, row[4], 800 + rng.Int64N(401),
		})
	}
	for _, row := range readTrace(t, "openb_pod_list_gpuspec33.csv.gz") {
		pods = append(pods, tracePod{Vector{number(t, row[1]), number(t, row[2]), number(t, row[3])}, row[5]})
	}
	return nodes, pods
}

func (p *tracePod) accepts(n *traceNode) bool {
	return p.models == "" || slices.Contains(strings.Split(p.models, "|"), n.model)
}

// base is what a pod's resources cost at list price.
func (p *tracePod) base() int64 { return p.need[0]*20 + p.need[1]*2 + p.need[2]*1_000_000 }

// clusterMarket makes classes of like pods, with an edge to every node that accepts the class and has room.
// A pod is worth half to twice its resources.
func clusterMarket(nodes []traceNode, free []Vector, pods []tracePod, rng *rand.Rand) *Problem {
	p := &Problem{Bins: free}
	classes := map[tracePod]int{}
	for _, pod := range pods {
		g, ok := classes[pod]
		if !ok {
			g = len(p.Groups)
			classes[pod] = g
			p.Needs = append(p.Needs, pod.need)
			p.Groups = append(p.Groups, Group{From: int32(len(p.Edges))})
			for b := range nodes {
				if fits(&pod.need, &free[b], MaxResources) && pod.accepts(&nodes[b]) {
					p.Edges = append(p.Edges, Edge{int32(b), int32(g), pod.base() * nodes[b].factor / 1000})
				}
			}
			p.Groups[g].To = int32(len(p.Edges))
		}
		value := pod.base() * (500 + rng.Int64N(1501)) / 1000
		p.Groups[g].Tiers = append(p.Groups[g].Tiers, Tier{value, 1})
	}
	for g := range p.Groups {
		slices.SortFunc(p.Groups[g].Tiers, func(a, b Tier) int { return cmp.Compare(b.Value, a.Value) })
	}
	return p
}

// congested is the whole cluster with pods sampled until they ask for 130 % of its GPUs.
func congested(t testing.TB, seed uint64) *Problem {
	rng := rand.New(rand.NewPCG(seed, 2))
	nodes, list := readCluster(t, rng)
	var free []Vector
	var gpus, asked int64
	for _, n := range nodes {
		free = append(free, n.capacity)
		gpus += n.capacity[2]
	}
	var pods []tracePod
	for asked*100 < gpus*130 {
		pod := list[rng.IntN(len(list))]
		pods = append(pods, pod)
		asked += pod.need[2]
	}
	return clusterMarket(nodes, free, pods, rng)
}

// remainders is the cluster after best-fit has placed pods on 90 % of its GPUs: the next 200 pods find odd rests.
func remainders(t testing.TB, seed uint64) *Problem {
	rng := rand.New(rand.NewPCG(seed, 3))
	nodes, list := readCluster(t, rng)
	var free []Vector
	var gpus, taken int64
	for _, n := range nodes {
		free = append(free, n.capacity)
		gpus += n.capacity[2]
	}
	for tries := 0; taken*100 < gpus*90 && tries < 50_000; tries++ {
		pod := list[rng.IntN(len(list))]
		best, least := -1, int64(0)
		for b := range nodes {
			if !fits(&pod.need, &free[b], MaxResources) || !pod.accepts(&nodes[b]) {
				continue
			}
			// What would be left, in millionths of the node.
			var left int64
			for r := range 3 {
				left += (free[b][r] - pod.need[r]) * 1_000_000 / max(1, nodes[b].capacity[r])
			}
			if best < 0 || left < least {
				best, least = b, left
			}
		}
		if best >= 0 {
			for r := range 3 {
				free[best][r] -= pod.need[r]
			}
			taken += pod.need[2]
		}
	}
	var pods []tracePod
	for range 200 {
		pods = append(pods, list[rng.IntN(len(list))])
	}
	return clusterMarket(nodes, free, pods, rng)
}

func gapPPM(r *Result) float64 {
	return 1e6 * float64(r.Bound-r.Welfare) / float64(max(1, r.Bound))
}

func benchmarkMarket(b *testing.B, p *Problem, steps int64) {
	var r Result
	for b.Loop() {
		r = mustSolve(b, p, Options{MaxSteps: steps})
	}
	b.ReportMetric(gapPPM(&r), "gap-ppm")
	b.ReportMetric(float64(len(p.Edges)), "edges")
	b.ReportMetric(float64(r.Steps), "steps")
}

// 200 classes, 1,000 bins, 10,000 shards with values that all differ.
func BenchmarkBook(b *testing.B) { benchmarkMarket(b, book(1, 200, 1_000, 10_000), DefaultSteps) }

// The cluster of the trace with 130 % of its GPUs asked for.
func BenchmarkCluster(b *testing.B) { benchmarkMarket(b, congested(b, 1), DefaultSteps) }

// The next 200 pods on a cluster that is 90 % full: median and 95th percentile of the gap over 50 seeds.
func BenchmarkRemainders(b *testing.B) {
	var problems []*Problem
	for seed := range uint64(50) {
		problems = append(problems, remainders(b, seed))
	}
	gaps := make([]float64, len(problems))
	b.ResetTimer()
	for range b.N {
		for i, p := range problems {
			r := mustSolve(b, p, Options{MaxSteps: DefaultSteps})
			gaps[i] = gapPPM(&r)
		}
	}
	slices.Sort(gaps)
	b.ReportMetric(gaps[len(gaps)/2], "median-gap-ppm")
	b.ReportMetric(gaps[len(gaps)*95/100], "p95-gap-ppm")
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*len(problems)), "ns/solve")
}
