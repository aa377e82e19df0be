package lab

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/nexara/nexara/x/tasks/auction"
)

// tiny is a market by hand: machines, and tasks that pay anything, all in block 0. All asks and scores are alike.
func tiny(t *testing.T, nodes []Node, pods []Pod, tasks ...int) *Market {
	t.Helper()
	cfg := smallConfig()
	m := &Market{Scenario: Inflation, Seed: cfg.Seed, Params: auction.DefaultParams(), Nodes: nodes, BlockSeconds: inflationSeconds}
	cfg.AskSpread = 0
	m.addSupplies(cfg)
	for i := range m.Supplies {
		m.Supplies[i].ScorePPM = auction.PPM
	}
	shapes := shapeTable{index: make(map[string]int)}
	for _, pod := range tasks {
		task := Task{Shape: shapes.of(&pods[pod], inflationSeconds), Limit: 1_000_000_000}
		task.Fair = m.fair(&shapes.shapes[task.Shape])
		task.Usable = auction.Usable(task.Limit, m.Params.BurnPPM)
		m.Tasks = append(m.Tasks, task)
	}
	m.Shapes = shapes.shapes
	m.addClasses(pods)
	require.NoError(t, m.addEdges())
	return m
}

func node(model string, cores, gpus int64) Node {
	return Node{Name: model, Model: model, Capacity: auction.Resources{1_000 * cores, 64 * 1_024, 0, gpus}}
}

func pod(cores, gpus int64, models ...string) Pod {
	return Pod{Need: auction.Resources{1_000 * cores, 1_024, 0, gpus}, Models: models}
}

// Each case ends with where its tasks run; -1: nowhere.
func TestChoices(t *testing.T) {
	cpu := Node{Name: "cpu", Capacity: auction.Resources{16_000, 64 * 1_024, 0, 0}}
	for _, c := range []struct {
		name   string
		policy string
		nodes  []Node
		pods   []Pod
		tasks  []int // by index of pods
		want   []int32
	}{
		{
			"the lowest number that fits", "first-fit",
			[]Node{node("A", 4, 1), node("A", 64, 8), node("A", 8, 1)},
			[]Pod{pod(8, 1)},
			[]int{0},
			[]int32{1},
		},
		{
			"the tightest machine", "best-fit",
			[]Node{node("A", 64, 8), node("A", 32, 4), node("A", 8, 1), node("A", 8, 2)},
			[]Pod{pod(8, 1)},
			[]int{0, 0, 0, 0},
			[]int32{2, 3, 1, 1},
		},
		{
			"the most aligned machine is the largest", "dot-product",
			[]Node{node("A", 8, 1), node("A", 64, 8), node("A", 64, 4)},
			[]Pod{pod(8, 1)},
			[]int{0},
			[]int32{1},
		},
		{
			"the least product", "dot-product-low",
			[]Node{node("A", 64, 8), node("A", 8, 1), node("A", 64, 4)},
			[]Pod{pod(8, 1)},
			[]int{0},
			[]int32{1},
		},
		// A task of one GPU on A leaves a machine that the task of two cannot use; B has an odd one to spare.
		{
			"the machine with an odd GPU", "fragmentation",
			[]Node{node("A", 64, 2), node("B", 64, 3)},
			[]Pod{pod(1, 1), pod(1, 2)},
			[]int{0, 1},
			[]int32{1, 0},
		},
		// All cores of the first machine would go to a task without GPUs and strand its GPUs.
		{
			"a machine without GPUs", "fragmentation",
			[]Node{node("A", 16, 4), cpu},
			[]Pod{pod(16, 0), pod(4, 1)},
			[]int{0, 1, 1},
			[]int32{1, 0, 0},
		},
		// Only A is accepted by the constrained class: the others keep away from it.
		{
			"the model that fewer accept", "fragmentation",
			[]Node{node("A", 64, 2), node("B", 64, 2)},
			[]Pod{pod(1, 1), pod(1, 1, "B")},
			[]int{0, 0, 1, 1},
			[]int32{0, 0, 1, 1},
		},
		{"nothing accepts", "best-fit", []Node{node("A", 64, 2)}, []Pod{pod(1, 1, "B"), pod(1, 1, "B", "C")}, []int{0, 1}, []int32{-1, -1}},
		{
			"a set of models", "first-fit",
			[]Node{node("A", 64, 2), node("B", 64, 2), node("C", 64, 2)},
			[]Pod{pod(1, 1, "B", "C")},
			[]int{0, 0, 0},
			[]int32{1, 1, 2},
		},
		{"all at once", "greedy", []Node{node("A", 8, 1), node("B", 8, 1)}, []Pod{pod(8, 1), pod(8, 1, "A"), pod(8, 1, "B")}, []int{1, 2}, []int32{0, 1}},
	} {
		t.Run(c.policy+": "+c.name, func(t *testing.T) {
			m := tiny(t, c.nodes, c.pods, c.tasks...)
			cfg := smallConfig()
			p, err := NewPolicy(c.policy, cfg, m)
			require.NoError(t, err)
			run, err := Simulate(cfg, m, p)
			require.NoError(t, err)
			require.Equal(t, c.want, run.Node)
		})
	}
}

// Fragmentation by hand: 4 GPUs and 8 cores free on a machine of model A; of five tasks in the trace, two fit.
func TestFragmentationValue(t *testing.T) {
	nodes := []Node{node("A", 8, 4), node("B", 8, 4)}
	pods := []Pod{pod(2, 1), pod(2, 1), pod(16, 1), pod(2, 1, "B"), pod(2, 0)}
	m := tiny(t, nodes, pods, 0)
	f := newFragmentation(m)
	free := auction.Resources{8_000, 8 * 1_024, 0, 4}
	a, b := f.modelOf[0], f.modelOf[1]
	require.EqualValues(t, 3*4, f.of(a, &free), "the large, the one for B and the one without GPUs cannot use them")
	require.EqualValues(t, 2*4, f.of(b, &free))
	free[auction.CPUMilli] = 1_000
	require.EqualValues(t, 5*4, f.of(a, &free))
	require.EqualValues(t, 5*4, f.of(b, &free))
	free[auction.GPUs] = 0
	require.Zero(t, f.of(a, &free))

	// What is remembered follows the machine.
	c := newCluster(m)
	first := f.value(c, 0, m.Tasks[0].Shape)
	require.EqualValues(t, 3*3-3*4, first)
	require.NoError(t, c.take(0, 0))
	c.free[0][auction.CPUMilli] = 2_000 // as if three more cores' tasks were there
	c.version[0]++
	require.EqualValues(t, 5*2-3*3, f.value(c, 0, m.Tasks[0].Shape))
}

// The price decides between machines that score alike, and a task that cannot pay is refused, then and after.
func TestOnlinePaysAndRefuses(t *testing.T) {
	m := tiny(t, []Node{node("A", 8, 2), node("A", 8, 2)}, []Pod{pod(1, 1)}, 0, 0, 0)
	m.Supplies[0].Ask[auction.GPUs] *= 2
	require.NoError(t, m.addEdges())
	dear, _ := m.edge(0, 0)
	cheap, _ := m.edge(0, 1)
	require.Greater(t, dear.Cost, cheap.Cost)
	m.Tasks[1].Usable = cheap.Cost - 1
	p, err := NewPolicy("best-fit", smallConfig(), m)
	require.NoError(t, err)
	run, err := Simulate(smallConfig(), m, p)
	require.NoError(t, err)
	require.Equal(t, []int32{1, -1, 1}, run.Node)
}

func TestPlaceRefuses(t *testing.T) {
	m := tiny(t, []Node{node("A", 8, 1), node("B", 8, 1)}, []Pod{pod(1, 1, "A")}, 0, 0)
	r := &Round{market: m, cluster: newCluster(m), waits: []bool{true, true}, Waiting: []int{0, 1}}
	require.ErrorIs(t, r.Place(0, 1), ErrIneligible)
	require.ErrorIs(t, r.Place(0, 2), ErrIneligible)
	require.ErrorIs(t, r.Place(2, 0), ErrNotWaiting)
	require.NoError(t, r.Place(0, 0))
	require.ErrorIs(t, r.Place(0, 0), ErrNotWaiting)
	require.ErrorIs(t, r.Place(1, 0), ErrOverCapacity)
	m.Tasks[1].Usable = 1
	require.ErrorIs(t, r.Place(1, 0), ErrIneligible)
}
