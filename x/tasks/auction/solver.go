package auction

import "errors"

// ErrBudget says that a solver was given no steps.
var ErrBudget = errors.New("no budget")

// DefaultSteps is a budget that the greedy solver meets in about a quarter of a second on one slow core.
const DefaultSteps = int64(20_000_000)

// Budget bounds a solver's work. It is counted in steps (an edge queued, a candidate looked at, an entry
// begun), never in time, so that every validator stops at the same point.
type Budget struct {
	Steps int64 // more than 0
}

// Match binds neighbouring shards of one entry to one NexCore: the keeper makes one lease of it.
type Match struct {
	JobID     uint64
	First     int64 // index of the first shard
	Count     int64 // 1 to Params.LeaseMax
	NexCoreID uint64
	Price     int64 // per shard to the operator, unex, without burn
	Rent      int64 // per shard for scarce capacity, never to the operator, unex; Price + Rent <= usable limit
	Welfare   int64 // of all Count shards: Count * (usable limit - cost), unex, >= 0
}

// Allocation is what a solver found.
type Allocation struct {
	Matches   []Match // ascending by (JobID, First)
	Welfare   int64   // sum over Matches, unex
	Matched   int64   // shards
	Unmatched int64   // covered shards without a match
	Work      int64   // steps done
	Cut       bool    // the budget or Params.MaxMatches ended the search early

	Bound       int64 // no allocation of the covered book has more welfare, unex
	Certificate Certificate
}

// Solver finds an allocation of a model. Solve is a function of the model and the budget alone. What it
// returns passes Check, also when the budget ends; an error means that no allocation was made at all.
type Solver interface {
	// Name is what the clearing's record calls the solver.
	Name() string
	// Solve returns a feasible allocation, or ErrBudget.
	Solve(m *Model, b Budget) (Allocation, error)
}
