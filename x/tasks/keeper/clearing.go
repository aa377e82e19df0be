package keeper

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"

	"cosmossdk.io/collections"

	sdk "github.com/cosmos/cosmos-sdk/types"

	nexcoretypes "github.com/nexara/nexara/x/nexcore/types"

	"github.com/nexara/nexara/x/denom"
	"github.com/nexara/nexara/x/tasks/auction"
	"github.com/nexara/nexara/x/tasks/escrow"
	"github.com/nexara/nexara/x/tasks/lifecycle"
	"github.com/nexara/nexara/x/tasks/types"
)

// mixSeed folds the hash of the last commit into the seed of ties and subsets. A proposer can grind it
// only by choosing the transactions of the block before: docs/spec/clearing.md says what that gains.
func (k *Keeper) mixSeed(ctx context.Context) ([32]byte, error) {
	old, err := k.seed.Get(ctx)
	if err != nil && !errors.Is(err, collections.ErrNotFound) {
		return [32]byte{}, err
	}
	last := sdk.UnwrapSDKContext(ctx).BlockHeader().AppHash
	seed := sha256.Sum256(append(append([]byte("nexara/seed/v1"), old...), last...))
	return seed, k.seed.Set(ctx, seed[:])
}

// clear allocates the book of this block: load it, let the solver decide, make leases of the matches, keep the
// record.
func (k *Keeper) clear(ctx context.Context, p types.Params) error {
	seed, err := k.mixSeed(ctx)
	if err != nil {
		return err
	}
	if err := k.pruneClearings(ctx, p); err != nil {
		return err
	}
	entries, truncated, err := k.loadBook(ctx, p)
	if err != nil || len(entries) == 0 {
		return err
	}
	book, err := k.loadMarket(ctx, p, seed, entries)
	if err != nil || len(book.Supplies) == 0 {
		return err
	}
	if book.Hints, err = k.hints(ctx); err != nil {
		return err
	}
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
	record.Truncated = record.Truncated || truncated
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

// loadBook reads up to max_entries open ranges, from the cursor on and around. Ranges whose limit the book
// charge has used up end here.
func (k *Keeper) loadBook(ctx context.Context, p types.Params) ([]types.ShardRange, bool, error) {
	cursor, err := k.bookCursor.Get(ctx)
	if err != nil && !errors.Is(err, collections.ErrNotFound) {
		return nil, false, err
	}
	height := heightOf(ctx)
	var entries, spent []types.ShardRange
	limit := int(p.MaxEntries)
	next, truncated := uint64(0), false
	visit := func(key pair, r types.ShardRange) (bool, error) {
		if len(entries)+len(spent) == limit {
			next, truncated = key.K1(), true
			return true, nil
		}
		if left := remaining(r); left-escrow.BookCharge(p.BookCharge, height-r.OpenSince, left) < 1 {
			spent = append(spent, r)
		} else {
			entries = append(entries, r)
		}
		return false, nil
	}
	start := collections.Join(cursor, uint64(0))
	if err := k.book.Walk(ctx, new(collections.Range[pair]).StartInclusive(start), visit); err != nil {
		return nil, false, err
	}
	if !truncated && cursor > 0 {
		if err := k.book.Walk(ctx, new(collections.Range[pair]).EndExclusive(start), visit); err != nil {
			return nil, false, err
		}
	}
	if next != cursor {
		if err := k.bookCursor.Set(ctx, next); err != nil {
			return nil, false, err
		}
	}
	for _, r := range spent {
		k.item(ctx, "spend", r.JobId, func(ctx context.Context) error { return k.endOpen(ctx, p, r, lifecycle.Spend) })
	}
	return entries, truncated, nil
}

// endOpen ends one open range.
func (k *Keeper) endOpen(ctx context.Context, p types.Params, r types.ShardRange, event lifecycle.Event) error {
	job, err := k.jobs.Get(ctx, r.JobId)
	if err != nil {
		return err
	}
	if err := k.removeOpen(ctx, r); err != nil {
		return err
	}
	if err := k.settleUnpaid(ctx, p, &job, r, event); err != nil {
		return err
	}
	return k.finishJob(ctx, p, job)
}

// loadMarket turns open ranges, their shapes and the standing offers into the auction's book.
func (k *Keeper) loadMarket(ctx context.Context, p types.Params, seed [32]byte, ranges []types.ShardRange) (auction.Book, error) {
	book := auction.Book{Params: auctionParams(p), Seed: seed}
	height := heightOf(ctx)
	index := map[uint64]int{} // looked up only, never ranged over
	for _, r := range ranges {
		i, seen := index[r.ShapeId]
		if !seen {
			record, err := k.shapes.Get(ctx, r.ShapeId)
			if err != nil {
				return book, err
			}
			i = len(book.Shapes)
			index[r.ShapeId] = i
			book.Shapes = append(book.Shapes, auctionShape(record.Shape))
		}
		left := remaining(r)
		book.Entries = append(book.Entries, auction.Entry{
			JobID: r.JobId, First: r.First, Count: r.Count, ShapeIndex: i,
			Limit:         left - escrow.BookCharge(p.BookCharge, height-r.OpenSince, left),
			VisibleBefore: viewHeight(p, r.EnteredHeight, height), Excluded: r.Excluded,
		})
	}
	var err error
	book.Supplies, err = k.loadSupplies(ctx, p)
	return book, err
}

// viewHeight is the block whose asks a waiting shard sees: that of its entry, renewed every
// book_refresh_blocks, so that an operator cannot reprice for a job it has just seen.
func viewHeight(p types.Params, entered, height int64) int64 {
	return entered + (height-entered)/p.BookRefreshBlocks*p.BookRefreshBlocks
}

func auctionParams(p types.Params) auction.Params {
	return auction.Params{
		BurnPPM: p.BurnPpm, PenaltyKPPM: p.PenaltyPpm, LockPPM: denom.PPM, LeaseMax: p.LeaseMax,
		MaxShapes: p.MaxShapes, MaxSupplies: p.MaxOffers, MaxEntries: p.MaxEntries,
		MaxShards: auction.BoundShards, MaxMatches: p.MaxMatches,
	}
}

// loadSupplies reads up to max_offers standing offers, from the cursor on and around.
func (k *Keeper) loadSupplies(ctx context.Context, p types.Params) ([]auction.Supply, error) {
	cursor, err := k.offerCursor.Get(ctx)
	if err != nil && !errors.Is(err, collections.ErrNotFound) {
		return nil, err
	}
	var out []auction.Supply
	next, full := uint64(0), false
	visit := func(id uint64, offer types.Offer) (bool, error) {
		if len(out) == int(p.MaxOffers) {
			next, full = id, true
			return true, nil
		}
		supply, err := k.supply(ctx, p, offer)
		if err != nil {
			return true, err
		}
		out = append(out, supply)
		return false, nil
	}
	if err := k.offers.Walk(ctx, new(collections.Range[uint64]).StartInclusive(cursor), visit); err != nil {
		return nil, err
	}
	if !full && cursor > 0 {
		if err := k.offers.Walk(ctx, new(collections.Range[uint64]).EndExclusive(cursor), visit); err != nil {
			return nil, err
		}
	}
	if next != cursor {
		return out, k.offerCursor.Set(ctx, next)
	}
	return out, nil
}

// supply is one NexCore's side of the market as of this block.
func (k *Keeper) supply(ctx context.Context, p types.Params, offer types.Offer) (auction.Supply, error) {
	nexcore, err := k.nexcore.GetNexCore(ctx, offer.NexcoreId)
	if err != nil {
		return auction.Supply{}, err
	}
	standing, err := k.standing(ctx, offer.NexcoreId)
	if err != nil {
		return auction.Supply{}, err
	}
	score, err := k.reputation.Lower(ctx, offer.NexcoreId)
	if err != nil {
		return auction.Supply{}, err
	}
	height := heightOf(ctx)
	ask, committed := askInForce(offer, height)
	capacity := resources(offer.Capacity)
	free := capacity
	for i, used := range resources(standing.Used) {
		free[i] -= used
	}
	model := ""
	if len(nexcore.Spec.Gpus) > 0 {
		model = nexcore.Spec.Gpus[0].Model
	}
	return auction.Supply{
		ID: nexcore.Id, Operator: nexcore.Operator,
		Active:  committed > 0,
		Expired: height >= offer.ExpiresHeight,
		Paused:  height < standing.PausedUntil, Draining: nexcore.Status == nexcoretypes.STATUS_DRAINING,
		Jailed:   nexcore.Status == nexcoretypes.STATUS_JAILED || nexcore.Status == nexcoretypes.STATUS_DEREGISTERED,
		Capacity: capacity, Free: free,
		Ask:       auction.Ask{ask.CpuMilli, ask.MemoryMib, ask.DiskMib, ask.Gpu},
		AskHeight: committed,
		Runtimes:  offer.Runtimes, Arch: nexcore.Spec.Arch, Region: nexcore.Spec.Region, GPUModel: model,
		Network: offer.Network, MaxRunSeconds: offer.MaxRunSeconds,
		FreeBond: nexcore.Bond - nexcore.Locked, LeaseSlots: leaseCap(p, standing) - standing.LiveLeases,
		ScorePPM: int64(score),
	}, nil
}

// leaseCap is how many leases a NexCore may have at once: it grows with verified results.
func leaseCap(p types.Params, s types.Standing) int64 {
	return min(p.LeaseCapBase+s.VerifiedResults/p.LeaseCapStep, p.LeaseCapMax)
}
