package lab

import (
	"fmt"
	"math"
)

// plot is a chart with its file name.
type plot struct {
	name  string
	chart Chart
}

// plots draws the first seed's replays. The gap is drawn only where a clearing carries a bound.
func (c *Comparison) plots() []plot {
	note := fmt.Sprintf("%s, seed %d, %d GPUs", c.title(), c.Market.Seed, c.Market.GPUs)
	blocks := func(b *Block) float64 { return float64(b.Height) }
	load := func(b *Block) float64 { return 100 * float64(b.AskedGPUs) / float64(c.Market.GPUs) }
	share := func(b *Block) float64 { return 100 * float64(b.UsedGPUs) / float64(c.Market.GPUs) }
	var out []plot
	add := func(name string, chart Chart) {
		chart.Note = note
		out = append(out, plot{name, chart})
	}
	if c.Scenario == Inflation {
		top := float64(0)
		for _, r := range c.Runs {
			top = max(top, load(&r.Blocks[len(r.Blocks)-1]))
		}
		add("gpu-share", Chart{
			Title: "Allocated GPUs", X: "GPUs asked for so far, % of all", Y: "allocated GPUs, % of all",
			Lines: c.lines(load, share), Low: 0, High: 105, From: 0, To: top,
		})
		add("idle", Chart{
			Title: "GPUs left idle as the load grows", X: "GPUs asked for so far, % of all", Y: "idle GPUs",
			Lines: c.lines(load, func(b *Block) float64 { return float64(c.Market.GPUs - b.UsedGPUs) }), From: 90, To: max(top, 91),
		})
	} else {
		lines := c.lines(blocks, share)
		low := 100.0
		for _, l := range lines {
			for i, v := range l.Y {
				if l.X[i] >= float64(len(l.Y))/8 {
					low = min(low, v)
				}
			}
		}
		add("gpu-share", Chart{Title: "Allocated GPUs", X: "block", Y: "allocated GPUs, % of all", Lines: lines, Low: max(0, 5*math.Floor(low/5)-0.01), High: 100.2})
	}
	add("welfare", Chart{Title: "Welfare, all blocks so far", X: "block", Y: "welfare, NEX", Lines: c.cumulated(func(b *Block) float64 { return float64(b.Welfare) / 1e6 })})
	if gaps := c.gaps(); len(gaps) > 0 {
		add("gap", Chart{Title: "Proved gap of congested clearings", X: "block", Y: "(bound - welfare) / bound, %", Lines: gaps})
	}
	if best := c.bestClearing(); best >= 0 {
		name := c.Policies[best]
		add("price", Chart{
			Title: "Price path by GPU model under " + name, X: "block", Y: "paid per GPU and hour, rent included, NEX", Close: true,
			Lines: c.prices(best, func(b *Block) []int64 { return b.Paid }),
		})
		if c.Mean(best).Certified {
			add("rent", Chart{
				Title: "Scarcity rent by GPU model under " + name, X: "block", Y: "rent per GPU and hour, NEX",
				Lines: c.prices(best, func(b *Block) []int64 { return b.Rent }),
			})
		}
	}
	add("waiting", Chart{Title: "Tasks waiting after each clearing", X: "block", Y: "tasks", Lines: c.lines(blocks, func(b *Block) float64 { return float64(b.Waiting) })})
	waits := []Bar{{Name: "matched, median", Colour: palette(5)}, {Name: "matched, mean", Colour: palette(2)}, {Name: "matched, p95", Colour: palette(0)}, {Name: "all tasks, p95", Colour: palette(6)}}
	fair := []Bar{{Name: "Jain's index", Colour: palette(2)}, {Name: "worst decile served", Colour: palette(1)}}
	for i := range c.Policies {
		s := &c.Summaries[i][0]
		waits[0].Values, waits[1].Values = append(waits[0].Values, s.WaitMedian), append(waits[1].Values, s.WaitMean)
		waits[2].Values, waits[3].Values = append(waits[2].Values, s.WaitP95), append(waits[3].Values, s.WaitAllP95)
		fair[0].Values, fair[1].Values = append(fair[0].Values, s.Jain), append(fair[1].Values, s.WorstDecile)
	}
	add("wait", Chart{Title: "Waiting time of tasks", X: "policy", Y: "blocks from arrival to lease, or to leaving", Groups: c.Policies, Bars: waits, Places: 1})
	add("fairness", Chart{Title: "Fairness across requesters", X: "policy", Y: "part of asked work, and index", Groups: c.Policies, Bars: fair, Low: 0, High: 1.08, Places: 3})
	if times := c.times(); len(times) > 0 {
		add("time", Chart{Title: "Time of a clearing", X: "block", Y: "milliseconds", Lines: times})
	}
	return out
}

func (c *Comparison) bestClearing() int {
	for i, name := range c.Policies {
		if isClearing(name) {
			return i
		}
	}
	return -1
}

func (c *Comparison) lines(x, y func(*Block) float64) []Line {
	var lines []Line
	for i, run := range c.Runs {
		l := Line{Name: run.Policy, Colour: palette(i), Bold: isClearing(run.Policy), Dashed: run.Policy == "first-fit"}
		for k := range run.Blocks {
			l.X, l.Y = append(l.X, x(&run.Blocks[k])), append(l.Y, y(&run.Blocks[k]))
		}
		lines = append(lines, l)
	}
	return lines
}

func (c *Comparison) cumulated(of func(*Block) float64) []Line {
	lines := c.lines(func(b *Block) float64 { return float64(b.Height) }, of)
	for _, l := range lines {
		for i := 1; i < len(l.Y); i++ {
			l.Y[i] += l.Y[i-1]
		}
	}
	return lines
}

// gaps has a line for each policy that certified something.
func (c *Comparison) gaps() []Line {
	var out []Line
	for _, l := range c.lines(func(b *Block) float64 { return float64(b.Height) }, func(b *Block) float64 {
		if !b.Decision.Certified || !b.Congested {
			return math.NaN()
		}
		return float64(b.Decision.Certificate.GapPPM) / 1e4
	}) {
		for _, v := range l.Y {
			if !math.IsNaN(v) {
				out = append(out, l)
				break
			}
		}
	}
	return out
}

// priceWindow is how many blocks a point of a price path is the mean of: single blocks match few tasks of a model.
const priceWindow = 5

func (c *Comparison) prices(policy int, of func(*Block) []int64) []Line {
	var lines []Line
	for k, model := range c.Market.Models {
		l := Line{Name: model, Colour: palette(k)}
		blocks := c.Runs[policy].Blocks
		for i := range blocks {
			sum, n := int64(0), int64(0)
			for j := max(0, i-priceWindow+1); j <= i; j++ {
				if v := of(&blocks[j])[k]; v >= 0 {
					sum, n = sum+v, n+1
				}
			}
			v := math.NaN()
			if n > 0 {
				v = float64(sum) / float64(n) / 1e6
			}
			l.X, l.Y = append(l.X, float64(i)), append(l.Y, v)
		}
		lines = append(lines, l)
	}
	return lines
}

// times are the clearings' own: an online scheduler's round is no clearing.
func (c *Comparison) times() []Line {
	var lines []Line
	for i, run := range c.Runs {
		if !isClearing(run.Policy) {
			continue
		}
		solve := Line{Name: run.Policy + ": solve", Colour: palette(i)}
		check := Line{Name: run.Policy + ": check", Colour: palette(i), Dashed: true}
		for k := range run.Blocks {
			b := &run.Blocks[k]
			solve.X, solve.Y = append(solve.X, float64(b.Height)), append(solve.Y, float64((b.Decision.Model+b.Decision.Solve).Microseconds())/1e3)
			check.X, check.Y = append(check.X, float64(b.Height)), append(check.Y, float64(b.Decision.Check.Microseconds())/1e3)
		}
		lines = append(lines, solve, check)
	}
	return lines
}
