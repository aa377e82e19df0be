package lab

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/nexara/nexara/x/tasks/auction"
)

// smallTrace is a made-up cluster with every kind of machine and task of the real one, the same on each call.
func smallTrace() ([]Node, []Pod) {
	draw := newStream(7, "small trace")
	var nodes []Node
	for i := range 24 {
		n := Node{Name: fmt.Sprint("node-", i), Capacity: auction.Resources{32_000, 131_072, 0, 0}}
		if i >= 4 {
			n.Model = []string{"G2", "T4", "V100"}[i%3]
			n.Capacity[auction.GPUs] = []int64{8, 2, 4}[i%3]
			n.Capacity[auction.CPUMilli] = []int64{96_000, 64_000, 32_000}[i%3]
		}
		nodes = append(nodes, n)
	}
	var pods []Pod
	for i := range 40 {
		p := Pod{Name: fmt.Sprint("pod-", i), RunSeconds: draw.between(0, 900)}
		p.Need = auction.Resources{1_000 * draw.between(2, 16), 1_024 * draw.between(2, 40), 0, []int64{0, 1, 1, 1, 1, 2, 4}[draw.below(7)]}
		if p.Need[auction.GPUs] > 0 {
			p.Models = [][]string{nil, nil, nil, {"T4"}, {"G2"}, {"G2", "V100"}, {"T4", "V100"}}[draw.below(7)]
		}
		pods = append(pods, p)
	}
	return nodes, pods
}

// smallConfig fits smallTrace.
func smallConfig() Config {
	cfg := DefaultConfig()
	cfg.Seed, cfg.PerBlock, cfg.Blocks, cfg.Warmup, cfg.MeanRunBlocks, cfg.Patience, cfg.Requesters = 20261122, 10, 40, 15, 6, 5, 12
	cfg.Steps = 50_000 // solvers may use all they are given
	return cfg
}

func TestMarketIsAFunctionOfTheSeed(t *testing.T) {
	nodes, pods := smallTrace()
	for _, scenario := range []Scenario{Inflation, Steady} {
		cfg := smallConfig()
		t.Log("seed", cfg.Seed)
		a, err := NewMarket(cfg, scenario, nodes, pods)
		require.NoError(t, err)
		b, err := NewMarket(cfg, scenario, nodes, pods)
		require.NoError(t, err)
		require.Equal(t, a, b)
		cfg.Seed++
		c, err := NewMarket(cfg, scenario, nodes, pods)
		require.NoError(t, err)
		require.NotEqual(t, a.Tasks, c.Tasks)
		require.NotEqual(t, a.Supplies, c.Supplies)
	}
}

func TestInflationOffersTheLoad(t *testing.T) {
	nodes, pods := smallTrace()
	cfg := smallConfig()
	m, err := NewMarket(cfg, Inflation, nodes, pods)
	require.NoError(t, err)
	asked, last := int64(0), int64(0)
	for i := range m.Tasks {
		last = m.Shapes[m.Tasks[i].Shape].Need[auction.GPUs]
		asked += last
		require.EqualValues(t, int64(i)/cfg.PerBlock, m.Tasks[i].Arrive)
	}
	require.GreaterOrEqual(t, asked*1_000, m.GPUs*cfg.LoadPermille)
	require.Less(t, (asked-last)*1_000, m.GPUs*cfg.LoadPermille, "the last task was one too many")
	t.Logf("seed %d: %d tasks ask for %d GPUs of %d", cfg.Seed, len(m.Tasks), asked, m.GPUs)
}

func TestSteadyOffersTheLoadInEveryBlock(t *testing.T) {
	nodes, pods := smallTrace()
	cfg := smallConfig()
	m, err := NewMarket(cfg, Steady, nodes, pods)
	require.NoError(t, err)
	offered, longest := int64(0), int64(0)
	next := 0
	for block := range cfg.Blocks {
		for ; next < len(m.Tasks) && m.Tasks[next].Arrive == block; next++ {
			task := &m.Tasks[next]
			shape := &m.Shapes[task.Shape]
			require.Positive(t, task.Run)
			require.GreaterOrEqual(t, shape.RunSeconds, task.Run*m.BlockSeconds, "nobody runs longer than declared")
			work := task.Run * shape.Need[auction.GPUs]
			offered, longest = offered+work, max(longest, work)
		}
		require.GreaterOrEqual(t, offered*1_000, m.GPUs*cfg.LoadPermille*(block+1))
		require.Less(t, (offered-longest)*1_000, m.GPUs*cfg.LoadPermille*(block+1))
	}
	require.Equal(t, len(m.Tasks), next)
}

func TestAsksLimitsAndRequesters(t *testing.T) {
	nodes, pods := smallTrace()
	cfg := smallConfig()
	cfg.LoadPermille = 10_000
	for _, scale := range []int64{1_000, DefaultConfig().LimitScale} {
		cfg.LimitScale = scale
		m, err := NewMarket(cfg, Inflation, nodes, pods)
		require.NoError(t, err)
		for _, s := range m.Supplies {
			require.InDelta(t, baseGPU, float64(s.Ask[auction.GPUs]), baseGPU*0.2001)
			require.InDelta(t, baseCPU, float64(s.Ask[auction.CPUMilli]), baseCPU*0.2001)
		}
		count := make([]int, cfg.Requesters)
		below, above := 0, 0
		for i := range m.Tasks {
			task := &m.Tasks[i]
			count[task.Requester]++
			require.GreaterOrEqual(t, task.Limit*1_000, task.Fair*949*scale/1_000)
			require.LessOrEqual(t, task.Limit*1_000, task.Fair*3*scale)
			if task.Limit*1_000 < task.Fair*1_350*scale/1_000 {
				below++
			} else {
				above++
			}
		}
		require.InDelta(t, 1, float64(below)/float64(above), 0.25, "1350 is the median of limit / fair, before scaling")
		require.Greater(t, count[0], 3*count[cfg.Requesters-1], "requesters are skewed")
		t.Logf("seed %d, limits times %d/1000: tasks by requester %v", cfg.Seed, scale, count)
	}
}

// The edges are the accepted models and the capacity, nothing else: the encoding of model sets is exact.
func TestEdgesHonourModels(t *testing.T) {
	nodes, pods := smallTrace()
	m, err := NewMarket(smallConfig(), Inflation, nodes, pods)
	require.NoError(t, err)
	byKey := make(map[string]*Pod)
	for i := range pods {
		byKey[fmt.Sprint(pods[i].Need, pods[i].Models)] = &pods[i]
	}
	sets := 0
	for i := range m.Shapes {
		shape := &m.Shapes[i]
		models := shape.Regions
		if shape.GPUModel != "" {
			models = []string{shape.GPUModel}
		}
		if len(models) > 1 {
			sets++
		}
		require.Contains(t, byKey, fmt.Sprint(shape.Need, models))
		class := Class{Need: shape.Need, Models: models}
		for node := range nodes {
			_, found := m.edge(i, node)
			want := class.accepts(nodes[node].Model) && shape.Need.Fits(&nodes[node].Capacity)
			require.Equal(t, want, found, "shape %v on %v", *shape, nodes[node])
		}
	}
	require.Positive(t, sets)
}

func TestConfigErrors(t *testing.T) {
	nodes, pods := smallTrace()
	for name, change := range map[string]func(*Config){
		"load": func(c *Config) { c.LoadPermille = 0 }, "blocks": func(c *Config) { c.Blocks = 0 }, "warmup": func(c *Config) { c.Warmup = c.Blocks },
		"policy": func(c *Config) { c.Policies = []string{"best"} }, "scenario": func(c *Config) { c.Scenarios = []string{"boom"} },
		"none": func(c *Config) { c.Policies = nil }, "steps": func(c *Config) { c.Steps = 0 },
	} {
		cfg := smallConfig()
		change(&cfg)
		_, err := NewMarket(cfg, Inflation, nodes, pods)
		require.ErrorIs(t, err, ErrConfig, name)
	}
	_, err := Conduct(smallConfig(), 0, "", nodes, pods, nil)
	require.ErrorIs(t, err, ErrConfig)
	_, err = NewMarket(smallConfig(), Inflation, nodes[:4], pods)
	require.ErrorIs(t, err, ErrConfig, "no GPU at all")
	_, err = NewMarket(smallConfig(), Inflation, nodes, nil)
	require.ErrorIs(t, err, ErrConfig)
	_, err = NewMarket(smallConfig(), Inflation, nodes, []Pod{pod(1, 0)})
	require.ErrorIs(t, err, ErrTooManyTasks, "no number of tasks without GPUs asks for a GPU")
	_, err = NewPolicy("best", smallConfig(), nil)
	require.ErrorIs(t, err, ErrConfig)
}
