package lab

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/nexara/nexara/x/tasks/auction"
)

// What a configuration can ask too much of.
var (
	ErrTooManyShapes = errors.New("more shapes than a clearing covers")
	ErrTooManyTasks  = errors.New("more tasks than a clearing covers")
)

// Base asks, the same for every GPU model, so that scarcity alone makes models differ in price. In anex per unit
// and second: 0.02 NEX per core and hour, 0.0025 NEX per GiB and hour, 1 NEX per GPU and hour.
const (
	baseCPU    = 20_000 * 1_000_000_000_000 / 3_600 / 1_000
	baseMemory = 2_500 * 1_000_000_000_000 / 3_600 / 1_024
	baseGPU    = 1_000_000 * 1_000_000_000_000 / 3_600
)

// inflationSeconds is the declared run time of every task when nobody departs.
const inflationSeconds = 3_600

// ample is a bond or a number of lease slots that no policy can use up: the trace knows neither.
const ample = int64(1) << 50

// limitQuantiles are the deciles of limit / fair cost, in thousandths: a few cannot pay the mean ask, the
// median pays a third above it, one in ten pays twice as much or more.
func limitQuantiles() []int64 {
	return []int64{950, 1_060, 1_130, 1_200, 1_270, 1_350, 1_440, 1_560, 1_720, 2_000, 3_000}
}

// Task is one sampled task: a job of one shard.
type Task struct {
	Shape     int   // into Market.Shapes
	Limit     int64 // all-in, unex
	Usable    int64 // what is left for price and penalty
	Fair      int64 // cost at the base asks with burn, unex: the measure of work in fairness
	Requester int
	Arrive    int64 // block
	Run       int64 // blocks it really runs; 0: for ever
}

// Market is a scenario's fixed part: machines, shapes and tasks in order of arrival. It is read by every policy
// and changed by none.
type Market struct {
	Scenario     Scenario
	Seed         uint64
	Params       auction.Params
	Nodes        []Node
	Supplies     []auction.Supply // of empty machines; Supplies[i] is Nodes[i], its number is i+1
	Shapes       []auction.Shape
	Tasks        []Task
	Models       []string // GPU models, ascending
	GPUs         int64    // of all machines
	BlockSeconds int64    // declared seconds that one block stands for
	Classes      []Class  // needs of the trace's whole list, whatever was sampled

	edges    [][]auction.Edge // by shape: machines that could take it when empty, Edge.Supply is the node
	leastFor []int64          // least cost of those
}

// Class is a need with its frequency in the trace: what fragmentation is measured against.
type Class struct {
	Need   auction.Resources
	Models []string // accepted, empty: any
	Count  int64
}

func (k *Class) accepts(model string) bool {
	return len(k.Models) == 0 || slices.Contains(k.Models, model)
}

// NewMarket samples a market. Errors: ErrConfig, ErrTooManyShapes, ErrTooManyTasks, or the auction's own.
func NewMarket(cfg Config, scenario Scenario, nodes []Node, pods []Pod) (*Market, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	m := &Market{Scenario: scenario, Seed: cfg.Seed, Params: auction.DefaultParams(), Nodes: nodes}
	m.Params.BurnPPM, m.Params.PenaltyKPPM = cfg.BurnPPM, cfg.PenaltyKPPM
	m.addSupplies(cfg)
	if m.GPUs == 0 || len(pods) == 0 {
		return nil, fmt.Errorf("%w: no GPU or no task to replay", ErrConfig)
	}
	shapes := shapeTable{index: make(map[string]int)}
	if err := m.addTasks(cfg, pods, &shapes); err != nil {
		return nil, err
	}
	m.Shapes = shapes.shapes
	m.addClasses(pods)
	m.Params.MaxShapes = min(1<<16, int64(len(m.Shapes)))
	m.Params.MaxSupplies = int64(len(nodes))
	m.Params.MaxEntries = int64(len(m.Tasks))
	m.Params.MaxMatches = m.Params.MaxEntries
	return m, m.addEdges()
}

func (m *Market) addSupplies(cfg Config) {
	draw := newStream(cfg.Seed, "supplies")
	for i, n := range m.Nodes {
		factor := uint64(draw.between(1_000-cfg.AskSpread, 1_000+cfg.AskSpread))
		m.Supplies = append(m.Supplies, auction.Supply{
			ID: uint64(i + 1), Operator: fmt.Sprint("operator-", i+1), Active: true, Capacity: n.Capacity, Free: n.Capacity,
			Ask:      auction.Ask{baseCPU * factor / 1_000, baseMemory * factor / 1_000, 0, baseGPU * factor / 1_000},
			Runtimes: []string{"container"}, Region: n.Model, GPUModel: n.Model, MaxRunSeconds: auction.MaxRunSeconds,
			FreeBond: ample, LeaseSlots: ample, ScorePPM: draw.between(900_000, auction.PPM),
		})
		m.GPUs += n.Capacity[auction.GPUs]
		if n.Model != "" {
			m.Models = append(m.Models, n.Model)
		}
	}
	slices.Sort(m.Models)
	m.Models = slices.Compact(m.Models)
}

// shapeTable numbers distinct shapes in order of first use.
type shapeTable struct {
	shapes []auction.Shape
	index  map[string]int
}

// of returns the shape of a pod that declares so many seconds. One accepted model is the shape's GPU model. The
// auction's shape has no list of models, but one of region cells, and the trace has one site: so the region cell of
// each machine is its GPU model, and several accepted models are several accepted cells. Both are exact.
func (t *shapeTable) of(p *Pod, seconds int64) int {
	key := fmt.Sprint(p.Need, seconds, p.Models)
	at, known := t.index[key]
	if !known {
		s := auction.Shape{Need: p.Need, Runtime: "container", RunSeconds: seconds}
		switch len(p.Models) {
		case 0:
		case 1:
			s.GPUModel = p.Models[0]
		default:
			s.Regions = p.Models
		}
		at = len(t.shapes)
		t.shapes, t.index[key] = append(t.shapes, s), at
	}
	return at
}

func (m *Market) addTasks(cfg Config, pods []Pod, shapes *shapeTable) error {
	which, limits, parties := newStream(cfg.Seed, "tasks"), newStream(cfg.Seed, "limits"), newStream(cfg.Seed, "requesters")
	requester := newSkewed(cfg.Requesters)
	limitOf := limitQuantiles()
	add := func(pod *Pod, seconds, arrive, run int64) error {
		if int64(len(m.Tasks)) == auction.BoundShards {
			return fmt.Errorf("%w: %d", ErrTooManyTasks, auction.BoundShards)
		}
		t := Task{Shape: shapes.of(pod, seconds), Requester: requester.draw(parties), Arrive: arrive, Run: run}
		t.Fair = m.fair(&shapes.shapes[t.Shape])
		t.Limit = min(auction.MaxLimit, max(1, t.Fair*limits.quantiles(limitOf)/1_000*cfg.LimitScale/1_000))
		t.Usable = auction.Usable(t.Limit, m.Params.BurnPPM)
		m.Tasks = append(m.Tasks, t)
		return nil
	}
	if m.Scenario == Inflation {
		m.BlockSeconds = inflationSeconds
		for asked := int64(0); asked*1_000 < m.GPUs*cfg.LoadPermille; {
			pod := &pods[which.below(int64(len(pods)))]
			if err := add(pod, inflationSeconds, int64(len(m.Tasks))/cfg.PerBlock, 0); err != nil {
				return err
			}
			asked += pod.Need[auction.GPUs]
		}
		return nil
	}
	runs := newRunTimes(cfg, pods)
	m.BlockSeconds = runs.blockSeconds
	offered := int64(0) // GPU-blocks
	for block := range cfg.Blocks {
		for offered*1_000 < m.GPUs*cfg.LoadPermille*(block+1) {
			pod := &pods[which.below(int64(len(pods)))]
			run := runs.draw(which, pod)
			if err := add(pod, min(auction.MaxRunSeconds, declared(run)*m.BlockSeconds), block, run); err != nil {
				return err
			}
			offered += run * pod.Need[auction.GPUs]
		}
	}
	return nil
}

// declared is the run time a requester declares for a run of so many blocks: the next power of two. Declared times
// are part of a shape, and people round them up.
func declared(run int64) int64 {
	d := int64(1)
	for d < run {
		d *= 2
	}
	return d
}

// runTimes turns the trace's seconds into blocks, so that the mean run is what the configuration wants.
type runTimes struct {
	known        []int64 // seconds of the runs the trace saw
	longest      int64
	blockSeconds int64
}

func newRunTimes(cfg Config, pods []Pod) runTimes {
	r := runTimes{longest: cfg.LongestRun}
	sum := int64(0)
	for i := range pods {
		if s := pods[i].RunSeconds; s > 0 {
			r.known = append(r.known, s)
			sum += min(s, r.longest)
		}
	}
	if len(r.known) == 0 {
		r.known, sum = []int64{1}, 1
	}
	r.blockSeconds = max(1, sum/(int64(len(r.known))*cfg.MeanRunBlocks))
	return r
}

// draw gives a pod its own run time, or another pod's when the trace never saw it run.
func (r *runTimes) draw(s *stream, pod *Pod) int64 {
	seconds := pod.RunSeconds
	if other := r.known[s.below(int64(len(r.known)))]; seconds == 0 {
		seconds = other
	}
	return max(1, (min(seconds, r.longest)+r.blockSeconds-1)/r.blockSeconds)
}

// fair is what one shard of a shape costs at the base asks, burn included.
func (m *Market) fair(s *auction.Shape) int64 {
	price, _ := auction.Price(auction.Ask{baseCPU, baseMemory, 0, baseGPU}, *s)
	return auction.LeastLimit(price, m.Params.BurnPPM)
}

func (m *Market) addClasses(pods []Pod) {
	index := make(map[string]int)
	for i := range pods {
		key := fmt.Sprint(pods[i].Need, strings.Join(pods[i].Models, "|"))
		at, known := index[key]
		if !known {
			at = len(m.Classes)
			index[key] = at
			m.Classes = append(m.Classes, Class{Need: pods[i].Need, Models: pods[i].Models})
		}
		m.Classes[at].Count++
	}
}

// addEdges asks the auction which machine could take which shape when everything is empty and money is no
// object: every policy chooses among these edges, by what is free and what the task can pay.
func (m *Market) addEdges() error {
	b := auction.Book{Params: m.Params, Shapes: m.Shapes, Supplies: m.Supplies}
	for i := range m.Shapes {
		b.Entries = append(b.Entries, auction.Entry{JobID: uint64(i + 1), Count: 1, ShapeIndex: i, Limit: auction.MaxLimit, VisibleBefore: 1})
	}
	model, err := auction.NewModel(b)
	if err != nil {
		return err
	}
	if r := model.Rejected(); len(r) > 0 {
		return fmt.Errorf("the auction refuses an item of the trace: %w", r[0].Err)
	}
	if c := model.Coverage(); c.Truncated() {
		return fmt.Errorf("%w: %d of %d", ErrTooManyShapes, c.Shapes, c.ShapesTotal)
	}
	m.edges, m.leastFor = make([][]auction.Edge, len(m.Shapes)), make([]int64, len(m.Shapes))
	for i := range model.NumEntries() {
		e, _ := model.Entry(i)
		shape := e.JobID - 1
		m.edges[shape] = model.Edges(e.ShapeIndex)
		m.leastFor[shape] = auction.MaxLimit + 1
		for _, edge := range m.edges[shape] {
			m.leastFor[shape] = min(m.leastFor[shape], edge.Cost)
		}
	}
	return nil
}

// edge finds the edge of a shape to a machine.
func (m *Market) edge(shape, node int) (*auction.Edge, bool) {
	edges := m.edges[shape]
	at, found := slices.BinarySearchFunc(edges, int32(node), func(e auction.Edge, node int32) int { return int(e.Supply) - int(node) })
	if !found {
		return nil, false
	}
	return &edges[at], true
}

// couldRun says whether a task could be matched in the empty market.
func (m *Market) couldRun(task int) bool {
	t := &m.Tasks[task]
	return m.leastFor[t.Shape] <= t.Usable
}

// seed is the seed of a block's clearing.
func (m *Market) seed(block int64) (seed [32]byte) {
	binary.BigEndian.PutUint64(seed[:8], m.Seed)
	binary.BigEndian.PutUint64(seed[24:], uint64(block))
	return seed
}
