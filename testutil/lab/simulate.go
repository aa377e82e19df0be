package lab

import (
	"fmt"
	"time"

	"github.com/nexara/nexara/x/tasks/auction"
)

// Block is what one block of a replay left behind.
type Block struct {
	Height    int64
	Arrived   int64 // tasks so far
	Waiting   int64 // tasks after the clearing
	Matched   int64 // tasks in this block
	GivenUp   int64 // tasks that lost patience in this block
	UsedGPUs  int64 // after the clearing
	AskedGPUs int64 // of all tasks that arrived so far
	Stranded  int64 // idle GPUs of machines on which no task of the trace's list would fit
	Welfare   int64 // of this block's matches, unex
	Congested bool  // a task stays unmatched that the empty market could run
	Paid      []int64
	Rent      []int64 // as Paid: unex per GPU-hour by Market.Models over this block's matches, -1 without any
	Decision  Decision
}

// Run is a policy's replay of a market.
type Run struct {
	Policy  string
	Blocks  []Block
	Node    []int32       // by task: where it ran, -1: nowhere
	Matched []int64       // by task: the block, -1: never
	Left    []int64       // by task: the block in which it lost patience, -1: never
	Took    time.Duration // all decisions together
}

// Simulate replays a market under a policy. Errors are faults of the policy.
func Simulate(cfg Config, m *Market, p Policy) (*Run, error) {
	s := newSimulation(cfg, m, p)
	for height := int64(0); s.goesOn(height); height++ {
		if err := s.step(height); err != nil {
			return nil, fmt.Errorf("%s, %s, block %d: %w", m.Scenario, p.Name(), height, err)
		}
	}
	return s.run, nil
}

type departure struct{ task, node int }

type simulation struct {
	cfg     Config
	market  *Market
	policy  Policy
	cluster *Cluster
	run     *Run
	waiting []int
	waits   []bool
	next    int   // first task that has not arrived
	asked   int64 // GPUs of those that have
	leaves  map[int64][]departure
}

func newSimulation(cfg Config, m *Market, p Policy) *simulation {
	n := len(m.Tasks)
	s := &simulation{
		cfg: cfg, market: m, policy: p, cluster: newCluster(m), waits: make([]bool, n), leaves: make(map[int64][]departure),
		run: &Run{Policy: p.Name(), Node: make([]int32, n), Matched: make([]int64, n), Left: make([]int64, n)},
	}
	for i := range n {
		s.run.Node[i], s.run.Matched[i], s.run.Left[i] = -1, -1, -1
	}
	return s
}

// goesOn ends inflation with the first block that brought neither an arrival nor a match, steady state after its
// blocks. Inflation ends: each further block matches a task or is the last.
func (s *simulation) goesOn(height int64) bool {
	if s.market.Scenario == Steady {
		return height < s.cfg.Blocks
	}
	if s.next < len(s.market.Tasks) || height == 0 {
		return true
	}
	last := s.run.Blocks[len(s.run.Blocks)-1]
	return last.Matched > 0 && last.Waiting > 0
}

func (s *simulation) step(height int64) error {
	b := Block{Height: height}
	for _, d := range s.leaves[height] {
		s.cluster.give(d.task, d.node)
	}
	delete(s.leaves, height)
	b.GivenUp = s.losePatience(height)
	for ; s.next < len(s.market.Tasks) && s.market.Tasks[s.next].Arrive <= height; s.next++ {
		s.waiting = append(s.waiting, s.next)
		s.waits[s.next] = true
		s.asked += s.market.Shapes[s.market.Tasks[s.next].Shape].Need[auction.GPUs]
	}
	r := &Round{Block: height, Waiting: s.waiting, market: s.market, cluster: s.cluster, waits: s.waits}
	decision, err := s.policy.Clear(r)
	if err != nil {
		return err
	}
	for _, p := range r.placed {
		s.run.Node[p.Task], s.run.Matched[p.Task] = int32(p.Node), height
		b.Welfare += p.Welfare
		if t := &s.market.Tasks[p.Task]; t.Run > 0 {
			s.leaves[height+t.Run] = append(s.leaves[height+t.Run], departure{p.Task, p.Node})
		}
	}
	s.dropPlaced()
	for _, task := range s.waiting {
		b.Congested = b.Congested || s.market.couldRun(task)
	}
	b.Arrived, b.Waiting, b.Matched = int64(s.next), int64(len(s.waiting)), int64(len(r.placed))
	b.UsedGPUs, b.AskedGPUs, b.Decision = s.cluster.used, s.asked, decision
	b.Stranded = s.cluster.stranded()
	b.Paid, b.Rent = s.market.paidPerGPU(r.placed, decision.Rents)
	s.run.Took += decision.Model + decision.Solve
	s.run.Blocks = append(s.run.Blocks, b)
	return nil
}

// losePatience lets tasks go that have waited as long as they will.
func (s *simulation) losePatience(height int64) int64 {
	if s.market.Scenario != Steady {
		return 0
	}
	gone := int64(0)
	for _, task := range s.waiting { // in order of arrival: the first that stays ends it
		if height-s.market.Tasks[task].Arrive < s.cfg.Patience {
			break
		}
		s.waits[task] = false
		s.run.Left[task] = height
		gone++
	}
	s.waiting = s.waiting[gone:]
	return gone
}

func (s *simulation) dropPlaced() {
	kept := make([]int, 0, len(s.waiting))
	for _, task := range s.waiting {
		if s.waits[task] {
			kept = append(kept, task)
		}
	}
	s.waiting = kept
}
