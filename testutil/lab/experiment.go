package lab

import (
	"fmt"
	"time"
)

// Experiment replays every scenario under every policy for a number of seeds.
type Experiment struct {
	Config    Config
	Seeds     int // Config.Seed and the next ones
	List      string
	Nodes     int
	Pods      int
	Took      time.Duration
	Scenarios []Comparison
}

// Comparison is one scenario under all policies.
type Comparison struct {
	Scenario  Scenario
	Policies  []string
	Summaries [][]Summary // by policy, then seed
	// Market and Runs are of the first seed: what the plots show. Runs are by policy.
	Market *Market
	Runs   []*Run
}

// maxSeeds bounds the repetitions of one experiment.
const maxSeeds = 100

// Conduct runs an experiment. tell hears of each finished replay.
func Conduct(cfg Config, seeds int, list string, nodes []Node, pods []Pod, tell func(string)) (*Experiment, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	if seeds < 1 || seeds > maxSeeds {
		return nil, fmt.Errorf("%w: seeds is %d, allowed are 1 to %d", ErrConfig, seeds, maxSeeds)
	}
	began := time.Now()
	x := &Experiment{Config: cfg, Seeds: seeds, List: list, Nodes: len(nodes), Pods: len(pods)}
	for _, name := range cfg.Scenarios {
		c := Comparison{Scenario: Scenario(name), Policies: cfg.Policies, Summaries: make([][]Summary, len(cfg.Policies))}
		for n := range seeds {
			seeded := cfg
			seeded.Seed += uint64(n)
			if err := c.add(seeded, nodes, pods, n == 0, tell); err != nil {
				return nil, err
			}
		}
		x.Scenarios = append(x.Scenarios, c)
	}
	x.Took = time.Since(began)
	return x, nil
}

func (c *Comparison) add(cfg Config, nodes []Node, pods []Pod, keep bool, tell func(string)) error {
	m, err := NewMarket(cfg, c.Scenario, nodes, pods)
	if err != nil {
		return err
	}
	if keep {
		c.Market = m
	}
	for i, name := range c.Policies {
		began := time.Now()
		p, err := NewPolicy(name, cfg, m)
		if err != nil {
			return err
		}
		run, err := Simulate(cfg, m, p)
		if err != nil {
			return err
		}
		s := Summarise(cfg, m, run)
		c.Summaries[i] = append(c.Summaries[i], s)
		if keep {
			c.Runs = append(c.Runs, run)
		}
		tell(fmt.Sprintf("%-9s seed %-3d %-16s %6.2f %% of GPUs  %6.1f s", c.Scenario, cfg.Seed, name, 100*s.GPUShare, time.Since(began).Seconds()))
	}
	return nil
}

// Mean is a policy's summary with each figure averaged over the seeds. Quantiles are averaged too: a mean of
// medians, not a median of all.
func (c *Comparison) Mean(policy int) Summary {
	all := c.Summaries[policy]
	mean := Summary{Policy: c.Policies[policy]}
	n := float64(len(all))
	for i := range all {
		s := &all[i]
		mean.Certified = mean.Certified || s.Certified
		mean.Clearings += s.Clearings
		mean.Congested += s.Congested
		mean.CertifiedBlocks += s.CertifiedBlocks
		mean.Cut += s.Cut
		mean.GapMedianPPM += s.GapMedianPPM
		mean.GapP95PPM += s.GapP95PPM
		for _, f := range [...]struct {
			to   *float64
			from float64
		}{
			{&mean.GPUShare, s.GPUShare},
			{&mean.FullShare, s.FullShare},
			{&mean.IdleGPUs, s.IdleGPUs},
			{&mean.StrandedGPUs, s.StrandedGPUs},
			{&mean.Served, s.Served},
			{&mean.WelfareNEX, s.WelfareNEX},
			{&mean.WaitMedian, s.WaitMedian},
			{&mean.WaitMean, s.WaitMean},
			{&mean.WaitP95, s.WaitP95},
			{&mean.WaitAllMedian, s.WaitAllMedian},
			{&mean.WaitAllP95, s.WaitAllP95},
			{&mean.Jain, s.Jain},
			{&mean.WorstDecile, s.WorstDecile},
			{&mean.SolveMedianMS, s.SolveMedianMS},
			{&mean.SolveP95MS, s.SolveP95MS},
			{&mean.CheckMedianMS, s.CheckMedianMS},
			{&mean.CheckP95MS, s.CheckP95MS},
		} {
			*f.to += f.from / n
		}
	}
	mean.GapMedianPPM /= int64(len(all))
	mean.GapP95PPM /= int64(len(all))
	return mean
}

// Span is the least and the greatest GPU share of a policy over the seeds.
func (c *Comparison) Span(policy int) (least, most float64) {
	least, most = 1, 0
	for i := range c.Summaries[policy] {
		least, most = min(least, c.Summaries[policy][i].GPUShare), max(most, c.Summaries[policy][i].GPUShare)
	}
	return least, most
}
