package lab

import (
	"errors"
	"fmt"

	"github.com/nexara/nexara/x/tasks/auction"
)

// What a policy can do wrong.
var (
	ErrOverCapacity = errors.New("a machine is given more than it has free")
	ErrIneligible   = errors.New("a rule does not hold between a task and a machine")
	ErrNotWaiting   = errors.New("a task is placed that does not wait")
)

// Cluster is what the machines hold now. It refuses to go over capacity, so no policy can.
type Cluster struct {
	market  *Market
	free    []auction.Resources
	version []uint32 // of each machine, grows with every change
	used    int64    // GPUs
}

func newCluster(m *Market) *Cluster {
	c := &Cluster{market: m, free: make([]auction.Resources, len(m.Nodes)), version: make([]uint32, len(m.Nodes))}
	for i := range m.Nodes {
		c.free[i] = m.Nodes[i].Capacity
		c.version[i] = 1
	}
	return c
}

// take gives a task's need from a machine, or ErrOverCapacity.
func (c *Cluster) take(task, node int) error {
	need := &c.market.Shapes[c.market.Tasks[task].Shape].Need
	if !need.Fits(&c.free[node]) {
		return fmt.Errorf("%w: task %d needs %v, %s has %v", ErrOverCapacity, task, *need, c.market.Nodes[node].Name, c.free[node])
	}
	c.move(need, node, -1)
	return nil
}

// give takes it back.
func (c *Cluster) give(task, node int) {
	c.move(&c.market.Shapes[c.market.Tasks[task].Shape].Need, node, 1)
}

func (c *Cluster) move(need *auction.Resources, node int, sign int64) {
	for r, v := range need {
		c.free[node][r] += sign * v
	}
	c.used -= sign * need[auction.GPUs]
	c.version[node]++
}

// stranded counts the idle GPUs of machines on which no task of the trace's list would fit any more, whoever
// waits and whatever is paid.
func (c *Cluster) stranded() int64 {
	sum := int64(0)
	for i := range c.free {
		if gpus := c.free[i][auction.GPUs]; gpus > 0 && !c.useful(i) {
			sum += gpus
		}
	}
	return sum
}

func (c *Cluster) useful(node int) bool {
	for i := range c.market.Classes {
		if k := &c.market.Classes[i]; k.Need[auction.GPUs] > 0 && k.accepts(c.market.Nodes[node].Model) && k.Need.Fits(&c.free[node]) {
			return true
		}
	}
	return false
}

// Placement is one task on one machine.
type Placement struct {
	Task, Node int
	Price      int64 // unex, to the operator
	Welfare    int64 // usable limit less price and penalty, unex
}

// Round is one block as a policy sees it. Waiting tasks are in order of arrival, those of this block last.
type Round struct {
	Block   int64
	Waiting []int // into Market.Tasks

	market  *Market
	cluster *Cluster
	waits   []bool // by task: still waits in this round
	placed  []Placement
}

// Place puts a task on a machine at once. It is the one way to do so: it refuses what the rules or the free
// capacity forbid (ErrNotWaiting, ErrIneligible, ErrOverCapacity).
func (r *Round) Place(task, node int) error {
	if task < 0 || task >= len(r.waits) || !r.waits[task] {
		return fmt.Errorf("%w: task %d", ErrNotWaiting, task)
	}
	t := &r.market.Tasks[task]
	edge, found := r.market.edge(t.Shape, node)
	if !found || edge.Cost > t.Usable {
		return fmt.Errorf("%w: task %d, machine %d", ErrIneligible, task, node)
	}
	if err := r.cluster.take(task, node); err != nil {
		return err
	}
	r.waits[task] = false
	r.placed = append(r.placed, Placement{Task: task, Node: node, Price: edge.Price, Welfare: t.Usable - edge.Cost})
	return nil
}
