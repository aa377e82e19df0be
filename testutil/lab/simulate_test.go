package lab

import (
	"flag"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/nexara/nexara/x/tasks/auction"
)

// audited asks the auction's model of the same block about every placement of a policy.
type audited struct {
	Policy
	t *testing.T
}

func (a audited) Clear(r *Round) (Decision, error) {
	model, err := auction.NewModel(bookOf(r))
	require.NoError(a.t, err)
	require.Empty(a.t, model.Rejected())
	require.False(a.t, model.Coverage().Truncated())
	entryOf := make(map[uint64]int)
	for i := range model.NumEntries() {
		e, _ := model.Entry(i)
		entryOf[e.JobID] = i
	}
	d, err := a.Policy.Clear(r)
	require.NoError(a.t, err)
	given := make([]auction.Resources, model.NumSupplies())
	for _, p := range r.placed {
		at, known := entryOf[uint64(p.Task+1)]
		require.True(a.t, known, "task %d did not wait", p.Task)
		e, usable := model.Entry(at)
		shape, _ := model.Shape(e.ShapeIndex)
		var edge *auction.Edge
		for i := range model.Edges(e.ShapeIndex) {
			if found := &model.Edges(e.ShapeIndex)[i]; int(found.Supply) == p.Node {
				edge = found
			}
		}
		require.NotNil(a.t, edge, "%s: the auction knows no edge from task %d to machine %d", a.Name(), p.Task, p.Node)
		require.True(a.t, model.Admits(at, edge))
		require.Equal(a.t, edge.Price, p.Price)
		require.Equal(a.t, usable-edge.Cost, p.Welfare)
		for i, v := range shape.Need {
			given[p.Node][i] += v
		}
		s := model.Supply(p.Node)
		require.True(a.t, given[p.Node].Fits(&s.Free), "%s: machine %d is given %v of %v", a.Name(), p.Node, given[p.Node], s.Free)
	}
	return d, nil
}

// No machine over capacity at any block, counted anew from where tasks ran; every match by the auction's rules; the
// figures of each block add up.
func TestConservation(t *testing.T) {
	nodes, pods := smallTrace()
	cfg := smallConfig()
	for _, scenario := range []Scenario{Inflation, Steady} {
		m, err := NewMarket(cfg, scenario, nodes, pods)
		require.NoError(t, err)
		for _, name := range PolicyNames() {
			t.Run(string(scenario)+" "+name, func(t *testing.T) {
				p, err := NewPolicy(name, cfg, m)
				require.NoError(t, err)
				run, err := Simulate(cfg, m, audited{p, t})
				require.NoError(t, err)
				matched, left := int64(0), int64(0)
				for _, b := range run.Blocks {
					held := make([]auction.Resources, len(nodes))
					gpus, here := int64(0), int64(0)
					for i := range m.Tasks {
						from := run.Matched[i]
						if from < 0 || from > b.Height || (m.Tasks[i].Run > 0 && b.Height >= from+m.Tasks[i].Run) {
							continue
						}
						if from == b.Height {
							here++
						}
						for r, v := range m.Shapes[m.Tasks[i].Shape].Need {
							held[run.Node[i]][r] += v
						}
					}
					for i := range held {
						require.True(t, held[i].Fits(&nodes[i].Capacity), "block %d, %s holds %v of %v", b.Height, nodes[i].Name, held[i], nodes[i].Capacity)
						gpus += held[i][auction.GPUs]
					}
					require.Equal(t, gpus, b.UsedGPUs)
					require.Equal(t, here, b.Matched)
					require.LessOrEqual(t, b.Stranded, m.GPUs-b.UsedGPUs)
					matched, left = matched+b.Matched, left+b.GivenUp
					require.Equal(t, b.Arrived, b.Waiting+matched+left)
				}
				for i := range m.Tasks {
					if run.Matched[i] >= 0 {
						require.GreaterOrEqual(t, run.Matched[i], m.Tasks[i].Arrive)
						require.Negative(t, run.Left[i])
					}
				}
			})
		}
	}
}

// Two replays differ in nothing but the time they took.
func TestReplayIsDeterministic(t *testing.T) {
	nodes, pods := smallTrace()
	cfg := smallConfig()
	for _, scenario := range []Scenario{Inflation, Steady} {
		for _, name := range PolicyNames() {
			var runs [2]*Run
			for i := range runs {
				m, err := NewMarket(cfg, scenario, nodes, pods)
				require.NoError(t, err)
				p, err := NewPolicy(name, cfg, m)
				require.NoError(t, err)
				runs[i], err = Simulate(cfg, m, p)
				require.NoError(t, err)
				timeless(runs[i])
			}
			require.Equal(t, runs[0], runs[1], "%s, %s", scenario, name)
		}
	}
}

func timeless(run *Run) {
	run.Took = 0
	for i := range run.Blocks {
		d := &run.Blocks[i].Decision
		d.Model, d.Solve, d.Check = 0, 0, 0
	}
}

// Inflation ends: the book no longer moves, and nothing that waits could be placed where room is.
func TestInflationEndsFull(t *testing.T) {
	nodes, pods := smallTrace()
	cfg := smallConfig()
	m, err := NewMarket(cfg, Inflation, nodes, pods)
	require.NoError(t, err)
	for _, name := range PolicyNames() {
		p, err := NewPolicy(name, cfg, m)
		require.NoError(t, err)
		s := newSimulation(cfg, m, p)
		for height := int64(0); s.goesOn(height); height++ {
			require.NoError(t, s.step(height))
		}
		require.Equal(t, len(m.Tasks), s.next)
		for _, task := range s.waiting {
			need := &m.Shapes[m.Tasks[task].Shape].Need
			for _, e := range m.edges[m.Tasks[task].Shape] {
				require.False(t, e.Cost <= m.Tasks[task].Usable && need.Fits(&s.cluster.free[e.Supply]), "%s leaves task %d beside room on machine %d", name, task, e.Supply)
			}
		}
	}
}

// Those of this block come before those that wait, unless the configuration says otherwise.
func TestQueueOrder(t *testing.T) {
	for oldestFirst, want := range map[bool]int{false: 1, true: 0} {
		m := tiny(t, []Node{node("A", 8, 1)}, []Pod{pod(1, 1)}, 0, 0)
		m.Tasks[1].Arrive = 1
		cfg := smallConfig()
		cfg.OldestFirst = oldestFirst
		p, err := NewPolicy("best-fit", cfg, m)
		require.NoError(t, err)
		r := &Round{Block: 1, Waiting: []int{0, 1}, market: m, cluster: newCluster(m), waits: []bool{true, true}}
		_, err = p.Clear(r)
		require.NoError(t, err)
		require.Len(t, r.placed, 1)
		require.Equal(t, want, r.placed[0].Task)
	}
}

var update = flag.Bool("update", false, "write testdata anew")

// The whole way from a trace to the table, online schedulers only: their choices change with this package alone.
func TestGoldenRun(t *testing.T) {
	nodes, pods := smallTrace()
	cfg := smallConfig()
	cfg.Policies = nil
	for _, s := range scores() {
		cfg.Policies = append(cfg.Policies, s.name)
	}
	x, err := Conduct(cfg, 2, "small", nodes, pods, func(string) {})
	require.NoError(t, err)
	for i := range x.Scenarios {
		for p := range x.Scenarios[i].Summaries {
			for k := range x.Scenarios[i].Summaries[p] {
				s := &x.Scenarios[i].Summaries[p][k]
				s.SolveMedianMS, s.SolveP95MS, s.CheckMedianMS, s.CheckP95MS = 0, 0, 0, 0
			}
		}
	}
	got := x.Closing()
	path := filepath.Join("testdata", "golden.txt")
	if *update {
		require.NoError(t, os.MkdirAll("testdata", 0o755))
		require.NoError(t, os.WriteFile(path, []byte(got), 0o644))
	}
	want, err := os.ReadFile(path)
	require.NoError(t, err)
	require.Equal(t, string(want), got, "seed %d; -update writes it anew", cfg.Seed)
}
