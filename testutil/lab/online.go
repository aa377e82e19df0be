package lab

import (
	"time"

	"github.com/nexara/nexara/x/tasks/auction"
)

// score ranks the machines that could take a task: the least value wins, then the cheaper machine, then the lower
// number.
type score struct {
	name string
	make func(*Market) scorer
}

// scorer values a machine, with what it has free, for a shape that fits. It may not keep free.
type scorer interface {
	value(c *Cluster, node, shape int) int64
}

// scores lists the online schedulers: those the clearing must beat, and a floor.
func scores() []score {
	return []score{
		{"best-fit", func(m *Market) scorer { return bestFit{newNormal(m)} }},
		{"dot-product", func(m *Market) scorer { return alignment{newNormal(m), -1} }},
		{"dot-product-low", func(m *Market) scorer { return alignment{newNormal(m), 1} }},
		{"fragmentation", func(m *Market) scorer { return newFragmentation(m) }},
		{"first-fit", func(*Market) scorer { return firstFit{} }},
	}
}

// online takes tasks one by one in order of arrival, those of this block before those that wait already (or after
// them, if oldestFirst), and never moves one again.
type online struct {
	name        string
	oldestFirst bool
	market      *Market
	scorer      scorer
	// refused[shape] is the greatest usable limit that found no machine in this round. Room only shrinks during a
	// round, so a task that can pay no more need not look again.
	refused []int64
}

func newOnline(s score, cfg Config, m *Market) *online {
	return &online{name: s.name, oldestFirst: cfg.OldestFirst, market: m, scorer: s.make(m), refused: make([]int64, len(m.Shapes))}
}

// Name implements Policy.
func (o *online) Name() string { return o.name }

// Clear implements Policy.
func (o *online) Clear(r *Round) (Decision, error) {
	began := time.Now()
	for i := range o.refused {
		o.refused[i] = -1
	}
	split := 0
	if !o.oldestFirst {
		for split < len(r.Waiting) && o.market.Tasks[r.Waiting[split]].Arrive < r.Block {
			split++
		}
	}
	for _, queue := range [...][]int{r.Waiting[split:], r.Waiting[:split]} {
		for _, task := range queue {
			if err := o.place(r, task); err != nil {
				return Decision{}, err
			}
		}
	}
	return Decision{Solve: time.Since(began)}, nil
}

func (o *online) place(r *Round, task int) error {
	t := &o.market.Tasks[task]
	if t.Usable <= o.refused[t.Shape] {
		return nil
	}
	node := o.choose(r.cluster, t)
	if node < 0 {
		o.refused[t.Shape] = t.Usable
		return nil
	}
	return r.Place(task, node)
}

// choose returns a task's best machine, or -1.
func (o *online) choose(c *Cluster, t *Task) int {
	need := &o.market.Shapes[t.Shape].Need
	var best *auction.Edge
	least := int64(0)
	for i := range o.market.edges[t.Shape] {
		edge := &o.market.edges[t.Shape][i]
		if edge.Cost > t.Usable || !need.Fits(&c.free[edge.Supply]) {
			continue
		}
		v := o.scorer.value(c, int(edge.Supply), t.Shape)
		if best == nil || v < least || (v == least && edge.Cost < best.Cost) {
			best, least = edge, v
		}
	}
	if best == nil {
		return -1
	}
	return int(best.Supply)
}

// firstFit takes the machine of the lowest number.
type firstFit struct{}

func (firstFit) value(_ *Cluster, node, _ int) int64 { return int64(node) }

// normal expresses resources as parts, in 2^-20, of the largest machine's.
type normal struct {
	shapes []auction.Shape
	most   auction.Resources
}

const whole = int64(1) << 20

func newNormal(m *Market) normal {
	n := normal{shapes: m.Shapes}
	for i := range m.Nodes {
		for r, v := range m.Nodes[i].Capacity {
			n.most[r] = max(n.most[r], v)
		}
	}
	return n
}

// part is at most 2^20 for a machine's own vector; the product cannot overflow: 2^40 * 2^20.
func (n *normal) part(r int, v int64) int64 {
	if n.most[r] == 0 {
		return 0
	}
	return v * whole / n.most[r]
}

// bestFit leaves the least behind, CPU and GPUs counting alike (as in the evaluation of FGD, ATC 2023).
type bestFit struct{ normal }

func (b bestFit) value(c *Cluster, node, shape int) int64 {
	need, free := &b.shapes[shape].Need, &c.free[node]
	return b.part(auction.CPUMilli, free[auction.CPUMilli]-need[auction.CPUMilli]) + b.part(auction.GPUs, free[auction.GPUs]-need[auction.GPUs])
}

// alignment is the dot product of need and free capacity. Tetris (SIGCOMM 2014) takes the greatest, sign -1; the
// evaluation of FGD took the least, sign 1.
type alignment struct {
	normal
	sign int64
}

func (a alignment) value(c *Cluster, node, shape int) int64 {
	need, free := &a.shapes[shape].Need, &c.free[node]
	sum := int64(0)
	for _, r := range [...]int{auction.CPUMilli, auction.MemoryMiB, auction.GPUs} {
		sum += a.part(r, need[r]) * a.part(r, free[r])
	}
	return a.sign * sum
}
