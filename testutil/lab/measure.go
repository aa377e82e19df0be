package lab

import (
	"slices"

	"github.com/nexara/nexara/x/tasks/auction"
)

// Summary is a run in figures. Steady state counts blocks and tasks from Config.Warmup on.
type Summary struct {
	Policy          string
	Certified       bool    // whether any clearing carried a certificate
	GPUShare        float64 // allocated part of all GPUs: at the end (inflation), mean over blocks (steady)
	FullShare       float64 // inflation: allocated part when the GPUs asked for first reached all of them
	IdleGPUs        float64 // what GPUShare leaves
	StrandedGPUs    float64 // of the idle ones, those on machines where no task of the trace would fit
	Served          float64 // part of the tasks that were matched
	WelfareNEX      float64
	Clearings       int64 // with a book to clear
	Congested       int64 // of them
	CertifiedBlocks int64 // congested clearings with a certificate
	GapMedianPPM    int64 // over congested clearings with a certificate
	GapP95PPM       int64
	WaitMedian      float64 // of matched tasks, blocks
	WaitMean        float64
	WaitP95         float64
	WaitAllMedian   float64 // of all tasks; one never matched waited until it left or the replay ended
	WaitAllP95      float64
	Jain            float64 // Jain's index of served work / asked work across requesters
	WorstDecile     float64 // mean served part of the tenth of requesters served least
	SolveMedianMS   float64 // model and solve, per clearing
	SolveP95MS      float64
	CheckMedianMS   float64
	CheckP95MS      float64
	Cut             int64 // clearings whose budget ended
}

// Summarise computes the figures of a run.
func Summarise(cfg Config, m *Market, run *Run) Summary {
	s := Summary{Policy: run.Policy}
	from := int64(0)
	if m.Scenario == Steady {
		from = cfg.Warmup
	}
	var gaps []int64
	var solve, check []float64
	for i := range run.Blocks {
		b := &run.Blocks[i]
		if b.Height < from {
			continue
		}
		s.WelfareNEX += float64(b.Welfare) / 1e6
		if s.FullShare == 0 && b.AskedGPUs >= m.GPUs {
			s.FullShare = float64(b.UsedGPUs) / float64(m.GPUs)
		}
		s.GPUShare += float64(b.UsedGPUs) / float64(m.GPUs)
		s.StrandedGPUs += float64(b.Stranded)
		if b.Matched+b.Waiting == 0 {
			continue
		}
		s.Clearings++
		solve = append(solve, float64((b.Decision.Model+b.Decision.Solve).Microseconds())/1e3)
		check = append(check, float64(b.Decision.Check.Microseconds())/1e3)
		s.Certified = s.Certified || b.Decision.Certified
		if b.Decision.Cut {
			s.Cut++
		}
		if b.Congested {
			s.Congested++
			if b.Decision.Certified {
				s.CertifiedBlocks++
				gaps = append(gaps, b.Decision.Certificate.GapPPM)
			}
		}
	}
	if last := len(run.Blocks) - 1; m.Scenario == Inflation && last >= 0 {
		s.GPUShare, s.StrandedGPUs = float64(run.Blocks[last].UsedGPUs)/float64(m.GPUs), float64(run.Blocks[last].Stranded)
	} else {
		counted := float64(max(1, int64(len(run.Blocks))-from))
		s.GPUShare, s.StrandedGPUs = s.GPUShare/counted, s.StrandedGPUs/counted
	}
	s.IdleGPUs = (1 - s.GPUShare) * float64(m.GPUs)
	s.GapMedianPPM, s.GapP95PPM = quantile(gaps, 50), quantile(gaps, 95)
	s.SolveMedianMS, s.SolveP95MS = quantile(solve, 50), quantile(solve, 95)
	s.CheckMedianMS, s.CheckP95MS = quantile(check, 50), quantile(check, 95)
	s.addTasks(m, run, from)
	return s
}

func (s *Summary) addTasks(m *Market, run *Run, from int64) {
	end := int64(len(run.Blocks))
	asked, served := make(map[int]int64), make(map[int]int64)
	var waits, all []float64
	tasks, matched := 0, 0
	for i := range m.Tasks {
		t := &m.Tasks[i]
		if t.Arrive < from {
			continue
		}
		tasks++
		asked[t.Requester] += t.Fair
		until := end
		switch {
		case run.Matched[i] >= 0:
			matched++
			served[t.Requester] += t.Fair
			until = run.Matched[i]
			waits = append(waits, float64(until-t.Arrive))
		case run.Left[i] >= 0:
			until = run.Left[i]
		}
		all = append(all, float64(until-t.Arrive))
	}
	s.Served = float64(matched) / float64(max(1, tasks))
	s.WaitMedian, s.WaitP95 = quantile(waits, 50), quantile(waits, 95)
	for _, w := range waits {
		s.WaitMean += w / float64(len(waits))
	}
	s.WaitAllMedian, s.WaitAllP95 = quantile(all, 50), quantile(all, 95)
	var parts []float64
	for requester, work := range asked {
		if work > 0 {
			parts = append(parts, float64(served[requester])/float64(work))
		}
	}
	slices.Sort(parts) // before any sum: the order of a map is none
	s.Jain = jain(parts)
	worst := parts[:min(len(parts), (len(parts)+9)/10)]
	for _, p := range worst {
		s.WorstDecile += p / float64(len(worst))
	}
}

// jain is (sum x)^2 / (n sum x^2): 1 when all are served alike, 1/n when one gets all; 1 of nothing.
func jain(x []float64) float64 {
	sum, squares := 0.0, 0.0
	for _, v := range x {
		sum += v
		squares += v * v
	}
	if squares == 0 {
		return 1
	}
	return sum * sum / (float64(len(x)) * squares)
}

// quantile is the least value that at least percent of the values do not pass; zero of none.
func quantile[T int64 | float64](values []T, percent int) T {
	if len(values) == 0 {
		return 0
	}
	sorted := slices.Clone(values)
	slices.Sort(sorted)
	return sorted[max(0, (len(sorted)*percent+99)/100-1)]
}

// paidPerGPU is what this block's matches on each GPU model pay per GPU and declared hour, all resources of the
// task included: to operators and as rent (paid), and the rent alone. In unex, -1 where nothing was matched.
func (m *Market) paidPerGPU(placed []Placement, rents []int64) (paid, rent []int64) {
	money, extra, seconds := make([]int64, len(m.Models)), make([]int64, len(m.Models)), make([]int64, len(m.Models))
	for i, p := range placed {
		shape := &m.Shapes[m.Tasks[p.Task].Shape]
		at, found := slices.BinarySearch(m.Models, m.Nodes[p.Node].Model)
		if !found || shape.Need[auction.GPUs] == 0 {
			continue
		}
		money[at] += p.Price
		if rents != nil {
			extra[at] += rents[i]
		}
		seconds[at] += shape.Need[auction.GPUs] * shape.RunSeconds
	}
	paid, rent = make([]int64, len(m.Models)), make([]int64, len(m.Models))
	for i := range paid {
		paid[i], rent[i] = -1, -1
		if seconds[i] > 0 {
			hours := float64(seconds[i]) / 3_600
			paid[i], rent[i] = int64(float64(money[i]+extra[i])/hours), int64(float64(extra[i])/hours)
		}
	}
	return paid, rent
}
