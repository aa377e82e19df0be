package lab

import (
	"fmt"
	"time"

	"github.com/nexara/nexara/x/tasks/auction"
)

// Decision is what a policy tells about one round beside its placements.
type Decision struct {
	Model, Solve, Check time.Duration // Model and Check are of clearings only
	Certified           bool          // online schedulers prove nothing
	Certificate         Certificate
	Rents               []int64 // by placement of this round, unex; nil where none are due
	Cut                 bool    // the budget ended the search
}

// Policy decides each round which waiting tasks go where.
type Policy interface {
	// Name is what tables and plots call it.
	Name() string
	// Clear places tasks of the round. An error is a fault of the policy, never of the market.
	Clear(r *Round) (Decision, error)
}

// PolicyNames lists all policies: clearings first, then online schedulers.
func PolicyNames() []string {
	var names []string
	for _, e := range Engines() {
		names = append(names, e.Solver.Name())
	}
	for _, s := range scores() {
		names = append(names, s.name)
	}
	return names
}

// NewPolicy makes a policy for one replay of a market, or ErrConfig for an unknown name.
func NewPolicy(name string, cfg Config, m *Market) (Policy, error) {
	for _, e := range Engines() {
		if e.Solver.Name() == name {
			return &clearing{solver: e.Solver, warm: cfg.Warm, market: m, budget: auction.Budget{Steps: cfg.Steps}}, nil
		}
	}
	for _, s := range scores() {
		if s.name == name {
			return newOnline(s, cfg, m), nil
		}
	}
	return nil, fmt.Errorf("%w: no policy %q", ErrConfig, name)
}

// clearing is the market's own policy: the whole book, waiting tasks included, is cleared at once.
type clearing struct {
	solver auction.Solver
	market *Market
	budget auction.Budget
	warm   bool
	hints  []auction.Hint // prices of the round before, if warm
}

// Name implements Policy.
func (c *clearing) Name() string { return c.solver.Name() }

// Clear implements Policy.
func (c *clearing) Clear(r *Round) (Decision, error) {
	var d Decision
	if len(r.Waiting) == 0 {
		return d, nil
	}
	book := bookOf(r)
	if c.warm {
		book.Hints = c.hints
	}
	began := time.Now()
	model, err := auction.NewModel(book)
	if err != nil {
		return d, err
	}
	d.Model = time.Since(began)
	began = time.Now()
	a, err := c.solver.Solve(model, c.budget)
	if err != nil {
		return d, err
	}
	d.Solve, d.Cut = time.Since(began), a.Cut
	began = time.Now()
	if err := auction.Check(model, a); err != nil {
		return d, fmt.Errorf("%s: %w", c.Name(), err)
	}
	d.Check = time.Since(began)
	c.hints = nil
	for _, p := range a.Certificate.Prices {
		c.hints = append(c.hints, auction.Hint(p))
	}
	d.Certificate, d.Certified = Proved(&a), true
	d.Rents = d.Certificate.Rents // placements are made in the order of matches
	for _, match := range a.Matches {
		task, node := int(match.JobID)-1, int(match.NexCoreID)-1
		if err := r.Place(task, node); err != nil {
			return d, err
		}
	}
	return d, nil
}

// bookOf is the round as the auction sees it: a job of one shard per waiting task, numbered task+1, and every
// machine, numbered node+1, with what it has free.
func bookOf(r *Round) auction.Book {
	m := r.market
	b := auction.Book{Params: m.Params, Seed: m.seed(r.Block), Supplies: make([]auction.Supply, len(m.Supplies))}
	for i := range m.Supplies {
		b.Supplies[i] = m.Supplies[i]
		b.Supplies[i].Free = r.cluster.free[i]
	}
	at := make([]int, len(m.Shapes)) // shape of the market to shape of the book, plus one
	for _, task := range r.Waiting {
		t := &m.Tasks[task]
		if at[t.Shape] == 0 {
			b.Shapes = append(b.Shapes, m.Shapes[t.Shape])
			at[t.Shape] = len(b.Shapes)
		}
		b.Entries = append(b.Entries, auction.Entry{
			JobID: uint64(task + 1), Count: 1, ShapeIndex: at[t.Shape] - 1, Limit: t.Limit, VisibleBefore: t.Arrive + 1,
		})
	}
	return b
}
