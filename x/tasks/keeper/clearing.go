package keeper

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"

	"cosmossdk.io/collections"

	sdk "github.com/cosmos/cosmos-sdk/types"

	"github.com/nexara/nexara/x/tasks/auction"
	"github.com/nexara/nexara/x/tasks/types"
)

// mixSeed folds the hash of the last commit into the seed of ties and subsets. A proposer can grind it
// only by choosing the transactions of the block before: docs/spec/clearing.md says what that gains.
// It is a stage of its own, so that a clearing that fails does not meet the same seed again.
func (k *Keeper) mixSeed(ctx context.Context, _ types.Params) error {
	old, err := k.seed.Get(ctx)
	if err != nil && !errors.Is(err, collections.ErrNotFound) {
		return err
	}
	last := sdk.UnwrapSDKContext(ctx).BlockHeader().AppHash
	seed := sha256.Sum256(append(append([]byte("nexara/seed/v1"), old...), last...))
	return k.seed.Set(ctx, seed[:])
}

// clear allocates the book of this block: load it, let the solver decide, make leases of the matches, keep the
// record.
func (k *Keeper) clear(ctx context.Context, p types.Params) error {
	if err := k.pruneClearings(ctx, p); err != nil {
		return err
	}
	totals, err := k.totals.Get(ctx)
	if err != nil && !errors.Is(err, collections.ErrNotFound) {
		return err
	}
	market, err := k.loadMarket(ctx, p)
	if err != nil || len(market.book.Entries) == 0 || len(market.book.Supplies) == 0 {
		return err
	}
	book := market.book
	model, err := auction.NewModel(book)
	if err != nil {
		return err
	}
	for _, r := range model.Rejected() {
		emit(ctx, EventClearingRejected, num("kind", uint64(r.Kind)), num("id", r.ID))
	}
	solution, record, err := k.decide(ctx, model)
	if err != nil {
		return err
	}
	record.Truncated = record.Truncated || market.truncated
	record.BookJob, record.BookFirst, record.OfferFrom = market.bookJob, market.bookFirst, market.offerFrom
	record.OpenShards, record.StandingOffers = totals.OpenShards, totals.Offers
	file := auction.File{Height: record.Height, Solver: record.Solver, Book: book, Allocation: solution}
	data := file.Encode()
	digest := auction.FileDigest(data)
	record.Digest = digest[:]
	for _, m := range solution.Matches {
		if k.item(ctx, "assign", m.JobID, func(ctx context.Context) error { return k.assign(ctx, p, m) }) {
			record.Leases++
			record.Matched += m.Count
		}
	}
	if record.Leases > 0 {
		emit(ctx, EventClearing, num("matched", record.Matched), num("leases", record.Leases),
			num("welfare", record.Welfare), num("bound", record.Bound), num("gap_ppm", record.GapPpm), num("work", record.Work))
	}
	if k.files != nil && sdk.UnwrapSDKContext(ctx).ExecMode() == sdk.ExecModeFinalize {
		k.files.Keep(record.Height, data)
	}
	return k.clearings.Set(ctx, record.Height, record)
}

// decide solves and checks. Greedy stands in when the solver fails or its answer does not pass the check: that
// is a fault of ours, the record and an event say so, and the market goes on.
func (k *Keeper) decide(ctx context.Context, model *auction.Model) (auction.Allocation, types.Clearing, error) {
	budget := auction.Budget{Steps: auction.DefaultSteps}
	solver, fallback := k.solver, ""
	solution, err := solve(solver, model, budget)
	if err != nil {
		sdk.UnwrapSDKContext(ctx).Logger().Error("clearing falls back to greedy", "solver", solver.Name(), "error", err)
		fallback = "solver_failed"
		emit(ctx, EventClearingFallback, word("solver", solver.Name()), word("cause", fallback))
		solver = auction.Greedy{}
		if solution, err = solve(solver, model, budget); err != nil {
			return solution, types.Clearing{}, err
		}
	}
	covered := model.Coverage()
	record := types.Clearing{
		Height: heightOf(ctx), Solver: solver.Name(), Work: solution.Work, Welfare: solution.Welfare,
		Shapes: covered.Shapes, Offers: covered.Supplies, Entries: covered.Entries, Shards: covered.Shards,
		Truncated: solution.Cut || covered.Truncated(), Fallback: fallback,
		Bound: solution.Bound, GapPpm: auction.GapPPM(solution.Bound, solution.Welfare), Exact: solution.Certificate.Exact,
	}
	for _, price := range solution.Certificate.Prices {
		record.Width = max(record.Width, price.Width)
		record.Prices = append(record.Prices, clearingPrice(price))
	}
	return solution, record, nil
}

// solve runs a solver and the check. The solver is pure and does not panic; should it, that is an error here.
func solve(solver auction.Solver, model *auction.Model, budget auction.Budget) (out auction.Allocation, err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("%w: %v", errSolverPanicked, r)
		}
	}()
	if out, err = solver.Solve(model, budget); err != nil {
		return out, err
	}
	return out, auction.Check(model, out)
}

var errSolverPanicked = errors.New("solver panicked")
