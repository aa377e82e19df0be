package lab

import (
	"slices"

	"github.com/nexara/nexara/x/tasks/auction"
)

// fragmentation is the fragmentation-gradient descent of Weng et al. (ATC 2023), for whole GPUs: a task goes where
// the expected number of GPUs that a next task could not use grows least. For one machine
//
//	F(free) = sum over classes of frequency * (free GPUs when the class cannot run there, else 0)
//
// A class cannot run there when it needs more than is free, accepts other models, or needs no GPU at all.
type fragmentation struct {
	market *Market
	// open[model] are the classes that machines of a model may run at all, by index into Market.Classes; the
	// others add the same to every state and so are counted once.
	open    [][]Class
	shut    []int64 // frequency of the others, by model
	modelOf []int   // by machine; the last model is none
	before  []remembered
	after   []remembered // by shape * machines + machine
}

// remembered is a value that holds for one version of a machine.
type remembered struct {
	version uint32
	value   int64
}

func newFragmentation(m *Market) *fragmentation {
	models := append(slices.Clone(m.Models), "")
	f := &fragmentation{
		market: m, open: make([][]Class, len(models)), shut: make([]int64, len(models)), modelOf: make([]int, len(m.Nodes)),
		before: make([]remembered, len(m.Nodes)), after: make([]remembered, len(m.Nodes)*len(m.Shapes)),
	}
	for i, model := range models {
		for _, c := range m.Classes {
			if c.Need[auction.GPUs] > 0 && c.accepts(model) {
				f.open[i] = append(f.open[i], c)
			} else {
				f.shut[i] += c.Count
			}
		}
	}
	for i := range m.Nodes {
		f.modelOf[i] = slices.Index(models, m.Nodes[i].Model)
	}
	return f
}

// of is F times the number of tasks in the trace: whole numbers.
func (f *fragmentation) of(model int, free *auction.Resources) int64 {
	gpus := free[auction.GPUs]
	if gpus == 0 {
		return 0
	}
	stuck := f.shut[model]
	for i := range f.open[model] {
		if c := &f.open[model][i]; !c.Need.Fits(free) {
			stuck += c.Count
		}
	}
	return stuck * gpus
}

func (f *fragmentation) value(c *Cluster, node, shape int) int64 {
	version, model := c.version[node], f.modelOf[node]
	before := &f.before[node]
	if before.version != version {
		*before = remembered{version, f.of(model, &c.free[node])}
	}
	after := &f.after[shape*len(f.before)+node]
	if after.version != version {
		free := c.free[node]
		for r, v := range f.market.Shapes[shape].Need {
			free[r] -= v
		}
		*after = remembered{version, f.of(model, &free)}
	}
	return after.value - before.value
}
