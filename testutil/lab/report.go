package lab

import (
	"encoding/csv"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
)

// Write puts an experiment's files into a folder, which it makes: report.md, summary.json, blocks-*.csv and the
// plots. It returns their names in order.
func (x *Experiment) Write(dir string) ([]string, error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	var names []string
	put := func(name, text string) error {
		names = append(names, name)
		return os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644)
	}
	summary, err := x.json()
	if err != nil {
		return nil, err
	}
	if err := put("report.md", x.Markdown()); err != nil {
		return nil, err
	}
	if err := put("summary.json", summary); err != nil {
		return nil, err
	}
	for i := range x.Scenarios {
		c := &x.Scenarios[i]
		if err := put("blocks-"+string(c.Scenario)+".csv", c.csv()); err != nil {
			return nil, err
		}
		for _, p := range c.plots() {
			if err := put(string(c.Scenario)+"-"+p.name+".svg", p.chart.SVG()); err != nil {
				return nil, err
			}
		}
	}
	return names, nil
}

// Markdown is the report's text.
func (x *Experiment) Markdown() string {
	var b strings.Builder
	cfg := &x.Config
	fmt.Fprintf(&b, "# Market lab\n\n%d machines, %d tasks in the list `%s`; seeds %d to %d; offered load %.0f %% of GPUs; asks within +-%.0f %%; %s.\n",
		x.Nodes, x.Pods, x.List, cfg.Seed, cfg.Seed+uint64(x.Seeds)-1, float64(cfg.LoadPermille)/10, float64(cfg.AskSpread)/10, machine())
	fmt.Fprintf(&b, "Figures are means over the seeds; plots show seed %d. What they mean is in testutil/lab/README.md.\n", cfg.Seed)
	for i := range x.Scenarios {
		c := &x.Scenarios[i]
		fmt.Fprintf(&b, "\n## %s\n\n%s\n\n%s", c.title(), c.about(cfg), c.table())
		fmt.Fprintf(&b, "\n%s\n", c.verdict())
		for _, p := range c.plots() {
			fmt.Fprintf(&b, "\n![%s](%s-%s.svg)", p.chart.Title, c.Scenario, p.name)
		}
		b.WriteString("\n")
	}
	return b.String()
}

func machine() string {
	return fmt.Sprintf("%s/%s, %d cores, %s", runtime.GOOS, runtime.GOARCH, runtime.NumCPU(), runtime.Version())
}

func (c *Comparison) title() string {
	if c.Scenario == Inflation {
		return "Inflation: nobody departs"
	}
	return "Steady state: tasks run and leave"
}

func (c *Comparison) about(cfg *Config) string {
	m := c.Market
	size := fmt.Sprintf("Seed %d: %d tasks in %d shapes on %d GPUs", m.Seed, len(m.Tasks), len(m.Shapes), m.GPUs)
	if c.Scenario == Inflation {
		return fmt.Sprintf("%s, %d tasks per block.", size, cfg.PerBlock)
	}
	return fmt.Sprintf("%s, %d blocks of which the first %d are not counted; runs of %d blocks in the mean; patience %d blocks.",
		size, cfg.Blocks, cfg.Warmup, cfg.MeanRunBlocks, cfg.Patience)
}

// column is one figure of the table.
type column struct {
	head string
	of   func(*Summary) string
}

func number(places int, of func(*Summary) float64) func(*Summary) string {
	return func(s *Summary) string { return strconv.FormatFloat(of(s), 'f', places, 64) }
}

func (c *Comparison) columns() []column {
	gap := func(ppm func(*Summary) int64) func(*Summary) string {
		return func(s *Summary) string {
			if s.CertifiedBlocks == 0 {
				return "no bound"
			}
			return fmt.Sprintf("%.3f", float64(ppm(s))/1e4)
		}
	}
	check := func(s *Summary) string {
		if s.CheckP95MS == 0 {
			return "-"
		}
		return fmt.Sprintf("%.2f / %.2f", s.CheckMedianMS, s.CheckP95MS)
	}
	columns := []column{
		{"GPUs allocated %", number(2, func(s *Summary) float64 { return 100 * s.GPUShare })},
		{"idle GPUs", number(1, func(s *Summary) float64 { return s.IdleGPUs })},
		{"of them stranded", number(1, func(s *Summary) float64 { return s.StrandedGPUs })},
		{"at 100 % load %", number(2, func(s *Summary) float64 { return 100 * s.FullShare })},
		{"welfare NEX", number(1, func(s *Summary) float64 { return s.WelfareNEX })},
		{"tasks served %", number(1, func(s *Summary) float64 { return 100 * s.Served })},
		{"gap median %", gap(func(s *Summary) int64 { return s.GapMedianPPM })},
		{"gap p95 %", gap(func(s *Summary) int64 { return s.GapP95PPM })},
		{"wait of matched, median / mean / p95 blocks", func(s *Summary) string { return fmt.Sprintf("%.0f / %.2f / %.0f", s.WaitMedian, s.WaitMean, s.WaitP95) }},
		{"wait of all, median / p95 blocks", func(s *Summary) string { return fmt.Sprintf("%.0f / %.0f", s.WaitAllMedian, s.WaitAllP95) }},
		{"Jain", number(4, func(s *Summary) float64 { return s.Jain })},
		{"worst decile %", number(1, func(s *Summary) float64 { return 100 * s.WorstDecile })},
		{"solve median / p95 ms", func(s *Summary) string { return fmt.Sprintf("%.1f / %.1f", s.SolveMedianMS, s.SolveP95MS) }},
		{"check ms", check},
	}
	if c.Scenario == Steady {
		columns = append(columns[:3], columns[4:]...)
	}
	return columns
}

func (c *Comparison) table() string {
	var b strings.Builder
	columns := c.columns()
	b.WriteString("| policy |")
	for _, col := range columns {
		b.WriteString(" " + col.head + " |")
	}
	b.WriteString("\n|---|" + strings.Repeat("---:|", len(columns)) + "\n")
	for i := range c.Policies {
		mean := c.Mean(i)
		fmt.Fprintf(&b, "| %s |", mean.Policy)
		for _, col := range columns {
			b.WriteString(" " + col.of(&mean) + " |")
		}
		b.WriteString("\n")
	}
	return b.String()
}

// verdict sets each clearing against the best of the schedulers it must beat.
func (c *Comparison) verdict() string {
	var b strings.Builder
	rival := -1
	for i, name := range c.Policies {
		if isRival(name) && (rival < 0 || c.Mean(i).GPUShare > c.Mean(rival).GPUShare) {
			rival = i
		}
	}
	for i, name := range c.Policies {
		if !isClearing(name) {
			continue
		}
		mean := c.Mean(i)
		least, most := c.Span(i)
		fmt.Fprintf(&b, "- `%s` allocates %.2f %% of the GPUs (%.2f to %.2f over seeds)", name, 100*mean.GPUShare, 100*least, 100*most)
		if rival >= 0 {
			other := c.Mean(rival)
			word := "below"
			if mean.GPUShare > other.GPUShare {
				word = "above"
			}
			fmt.Fprintf(&b, ", %s the best online scheduler `%s` (%.2f %%); its welfare is %+.1f %% of that one's",
				word, other.Policy, 100*other.GPUShare, 100*(mean.WelfareNEX/other.WelfareNEX-1))
		}
		if mean.CertifiedBlocks > 0 {
			fmt.Fprintf(&b, "; gap %.3f %% at the median, %.3f %% at p95 of %d congested clearings", float64(mean.GapMedianPPM)/1e4, float64(mean.GapP95PPM)/1e4, mean.CertifiedBlocks)
		} else {
			fmt.Fprintf(&b, "; no bound is known for its %d congested clearings", mean.Congested)
		}
		if mean.Cut > 0 {
			fmt.Fprintf(&b, "; the budget ended %d of %d", mean.Cut, mean.Clearings)
		}
		b.WriteString(".\n")
	}
	return b.String()
}

func isClearing(name string) bool {
	for _, e := range Engines() {
		if e.Solver.Name() == name {
			return true
		}
	}
	return false
}

// isRival leaves the floor out.
func isRival(name string) bool { return !isClearing(name) && name != "first-fit" }

func (x *Experiment) json() (string, error) {
	type scenario struct {
		Scenario  Scenario
		Means     []Summary
		Summaries [][]Summary
	}
	out := struct {
		Machine         string
		List            string
		Nodes, Pods     int
		Seeds           int
		Config          Config
		TookSeconds     float64
		Scenarios       []scenario
		PricesGPUModels []string
	}{Machine: machine(), List: x.List, Nodes: x.Nodes, Pods: x.Pods, Seeds: x.Seeds, Config: x.Config, TookSeconds: x.Took.Seconds()}
	for i := range x.Scenarios {
		c := &x.Scenarios[i]
		s := scenario{Scenario: c.Scenario, Summaries: c.Summaries}
		for p := range c.Policies {
			s.Means = append(s.Means, c.Mean(p))
		}
		out.Scenarios, out.PricesGPUModels = append(out.Scenarios, s), c.Market.Models
	}
	text, err := json.MarshalIndent(out, "", "  ")
	return string(text) + "\n", err
}

// csv has one line per policy and block of the first seed. Money is in unex; prices per GPU-hour by model, empty
// without a match.
func (c *Comparison) csv() string {
	var b strings.Builder
	w := csv.NewWriter(&b)
	head := []string{
		"policy", "block", "arrived", "matched", "waiting", "given_up", "asked_gpus", "used_gpus", "welfare", "congested", "bound", "gap_ppm",
		"price_width", "model_us", "solve_us", "check_us",
	}
	for _, m := range c.Market.Models {
		head = append(head, "paid_"+m, "rent_"+m)
	}
	_ = w.Write(head) // a strings.Builder takes everything
	for _, run := range c.Runs {
		for i := range run.Blocks {
			bl := &run.Blocks[i]
			d := &bl.Decision
			bound, gap, width := "", "", ""
			if d.Certified {
				bound, gap = fmt.Sprint(d.Certificate.Bound), fmt.Sprint(d.Certificate.GapPPM)
				if d.Certificate.Width >= 0 {
					width = fmt.Sprint(d.Certificate.Width)
				}
			}
			line := []string{
				run.Policy, fmt.Sprint(bl.Height), fmt.Sprint(bl.Arrived), fmt.Sprint(bl.Matched), fmt.Sprint(bl.Waiting), fmt.Sprint(bl.GivenUp),
				fmt.Sprint(bl.AskedGPUs), fmt.Sprint(bl.UsedGPUs), fmt.Sprint(bl.Welfare), fmt.Sprint(bl.Congested), bound, gap, width,
				fmt.Sprint(d.Model.Microseconds()), fmt.Sprint(d.Solve.Microseconds()), fmt.Sprint(d.Check.Microseconds()),
			}
			for k := range c.Market.Models {
				for _, v := range [...]int64{bl.Paid[k], bl.Rent[k]} {
					if v < 0 {
						line = append(line, "")
					} else {
						line = append(line, fmt.Sprint(v))
					}
				}
			}
			_ = w.Write(line)
		}
	}
	w.Flush()
	return b.String()
}

// Closing is the tables and verdicts without plots: what the command prints at its end.
func (x *Experiment) Closing() string {
	var b strings.Builder
	for i := range x.Scenarios {
		c := &x.Scenarios[i]
		fmt.Fprintf(&b, "%s. %s\n\n%s\n%s\n", c.title(), c.about(&x.Config), c.terminal(), c.verdict())
	}
	return b.String()
}

// terminal is the table turned, figures down and policies across, in even columns.
func (c *Comparison) terminal() string {
	rows := [][]string{append([]string{""}, c.Policies...)}
	for _, col := range c.columns() {
		line := []string{col.head}
		for i := range c.Policies {
			mean := c.Mean(i)
			line = append(line, col.of(&mean))
		}
		rows = append(rows, line)
	}
	widths := make([]int, len(rows[0]))
	for _, line := range rows {
		for i, cell := range line {
			widths[i] = max(widths[i], len(cell))
		}
	}
	var b strings.Builder
	for _, line := range rows {
		fmt.Fprintf(&b, "%-*s", widths[0], line[0])
		for i, cell := range line[1:] {
			fmt.Fprintf(&b, "  %*s", widths[i+1], cell)
		}
		b.WriteString("\n")
	}
	return b.String()
}
