package lab

import (
	"errors"
	"fmt"
	"slices"

	"github.com/nexara/nexara/x/tasks/auction"
)

// ErrConfig says that a setting of the lab is out of range.
var ErrConfig = errors.New("invalid setting")

// Scenario is what happens to tasks once they run.
type Scenario string

// The scenarios.
const (
	// Inflation has no departures: tasks arrive until the load is offered, then until the book no longer moves.
	Inflation Scenario = "inflation"
	// Steady has departures: tasks arrive for Blocks blocks at the offered load, run, leave, and lose patience.
	Steady Scenario = "steady"
)

// Config is everything that a run depends on.
type Config struct {
	Seed          uint64
	LoadPermille  int64    // GPUs requested (inflation) or GPU-blocks offered per block (steady), of capacity
	PerBlock      int64    // tasks arriving per block, inflation
	Blocks        int64    // of steady state
	Warmup        int64    // first blocks of steady state that no summary counts
	MeanRunBlocks int64    // mean run of a task, steady state
	LongestRun    int64    // seconds of the trace after which a recorded run is cut; tails of months never get steady
	Patience      int64    // blocks a task waits before it leaves, steady state
	OldestFirst   bool     // online schedulers take those that wait before this block's arrivals, not after
	Warm          bool     // a clearing starts from the prices of the one before, as on the chain
	Requesters    int      // who share the tasks, with weights falling as 1/rank
	Steps         int64    // budget of one clearing
	BurnPPM       int64    // burn on top of each price
	PenaltyKPPM   int64    // weight of the score penalty
	LimitScale    int64    // limits as drawn, times so many thousandths
	AskSpread     int64    // asks differ by so many thousandths up and down
	Scenarios     []string // of Scenario
	Policies      []string // names from PolicyNames
}

// DefaultConfig is what the lab's command runs when nothing is said.
func DefaultConfig() Config {
	params := auction.DefaultParams()
	return Config{
		Seed: 1, LoadPermille: 1_300, AskSpread: 200, LimitScale: 1_500, Requesters: 100, Warm: true,
		PerBlock: 100,
		Blocks:   120, Warmup: 60, MeanRunBlocks: 12, LongestRun: 2 * 3_600, Patience: 10,
		BurnPPM: params.BurnPPM, PenaltyKPPM: params.PenaltyKPPM, Steps: auction.DefaultSteps,
		Scenarios: []string{string(Inflation), string(Steady)}, Policies: PolicyNames(),
	}
}

// Validate checks each setting against its bounds, with ErrConfig.
func (c Config) Validate() error {
	for _, b := range [...]struct {
		name            string
		value, min, max int64
	}{
		{"load", c.LoadPermille, 1, 10_000},
		{"per-block", c.PerBlock, 1, 100_000},
		{"blocks", c.Blocks, 1, 10_000},
		{"warmup", c.Warmup, 0, c.Blocks - 1},
		{"mean-run", c.MeanRunBlocks, 1, 1_000},
		{"longest-run", c.LongestRun, 1, auction.MaxRunSeconds},
		{"patience", c.Patience, 1, 10_000},
		{"requesters", int64(c.Requesters), 1, 10_000},
		{"steps", c.Steps, 1, 1 << 40},
		{"burn", c.BurnPPM, 0, auction.PPM},
		{"penalty-k", c.PenaltyKPPM, 0, 10 * auction.PPM},
		{"limit-scale", c.LimitScale, 1, 100_000},
		{"ask-spread", c.AskSpread, 0, 999},
	} {
		if b.value < b.min || b.value > b.max {
			return fmt.Errorf("%w: %s is %d, allowed are %d to %d", ErrConfig, b.name, b.value, b.min, b.max)
		}
	}
	if len(c.Scenarios) == 0 || len(c.Policies) == 0 {
		return fmt.Errorf("%w: no scenario or no policy", ErrConfig)
	}
	for _, s := range c.Scenarios {
		if s != string(Inflation) && s != string(Steady) {
			return fmt.Errorf("%w: no scenario %q", ErrConfig, s)
		}
	}
	for _, p := range c.Policies {
		if !slices.Contains(PolicyNames(), p) {
			return fmt.Errorf("%w: no policy %q, known are %v", ErrConfig, p, PolicyNames())
		}
	}
	return nil
}
