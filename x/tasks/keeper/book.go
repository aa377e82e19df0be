package keeper

import (
	"context"
	"errors"

	"cosmossdk.io/collections"

	nexcoretypes "github.com/nexara/nexara/x/nexcore/types"

	"github.com/nexara/nexara/x/denom"
	"github.com/nexara/nexara/x/tasks/auction"
	"github.com/nexara/nexara/x/tasks/escrow"
	"github.com/nexara/nexara/x/tasks/lifecycle"
	"github.com/nexara/nexara/x/tasks/types"
)

// market is what one clearing works on, and which part of everything that waits and stands it is: the open
// ranges and the offers are read in the order of their keys from a cursor on and around, up to max_entries and
// max_offers; the next clearing goes on where this one ended.
type market struct {
	book      auction.Book
	bookJob   uint64 // the open range read first
	bookFirst int64
	offerFrom uint64 // the offer read first
	truncated bool   // something waits or stands beyond the caps
}

// loadMarket reads the book of this block. What cannot be traded goes: ranges whose limit the book charge has
// used up end, offers of NexCores that are gone are removed. A range whose shape is missing is left out and evented:
// one bad item never stops a clearing.
func (k *Keeper) loadMarket(ctx context.Context, p types.Params) (market, error) {
	m := market{}
	ranges, err := k.loadRanges(ctx, p, &m)
	if err != nil || len(ranges) == 0 {
		return m, err
	}
	supplies, gone, err := k.loadSupplies(ctx, p, &m)
	if err != nil {
		return m, err
	}
	for _, id := range gone {
		k.item(ctx, "offer", id, func(ctx context.Context) error { return k.removeOffer(ctx, id, "nexcore_gone") })
	}
	m.book, err = k.newBook(ctx, p, ranges, supplies)
	return m, err
}

// newBook turns open ranges, their shapes and supplies into the auction's book.
func (k *Keeper) newBook(ctx context.Context, p types.Params, ranges []types.ShardRange, supplies []auction.Supply) (auction.Book, error) {
	book := auction.Book{Params: auctionParams(p), Supplies: supplies}
	seed, err := k.seed.Get(ctx)
	if err != nil && !errors.Is(err, collections.ErrNotFound) {
		return book, err
	}
	copy(book.Seed[:], seed)
	if book.Hints, err = k.hints(ctx); err != nil {
		return book, err
	}
	height := heightOf(ctx)
	index := map[uint64]int{} // looked up only, never ranged over
	for _, r := range ranges {
		i, seen := index[r.ShapeId]
		if !seen {
			record, err := k.shapes.Get(ctx, r.ShapeId)
			if errors.Is(err, collections.ErrNotFound) {
				emit(ctx, EventItemFailed, word("kind", "range"), num("id", r.JobId), word("cause", "shape_missing"))
				continue
			}
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
			VisibleBefore: r.EnteredHeight, Excluded: r.Excluded,
		})
	}
	return book, nil
}

// loadRanges reads open ranges and ends the spent ones, up to max_expire of them in a block.
func (k *Keeper) loadRanges(ctx context.Context, p types.Params, m *market) ([]types.ShardRange, error) {
	cursor, err := k.bookCursor.Get(ctx)
	if errors.Is(err, collections.ErrNotFound) {
		cursor, err = collections.Join(uint64(0), uint64(0)), nil
	}
	if err != nil {
		return nil, err
	}
	m.bookJob, m.bookFirst = cursor.K1(), int64(cursor.K2())
	height := heightOf(ctx)
	var open, spent []types.ShardRange
	next := collections.Join(uint64(0), uint64(0))
	visit := func(key pair, r types.ShardRange) (bool, error) {
		if len(open)+len(spent) == int(p.MaxEntries) {
			next, m.truncated = key, true
			return true, nil
		}
		left := remaining(r)
		switch {
		case left-escrow.BookCharge(p.BookCharge, height-r.OpenSince, left) >= 1:
			open = append(open, r)
		case len(spent) < int(p.MaxExpire):
			spent = append(spent, r)
		}
		return false, nil
	}
	if err := k.book.Walk(ctx, new(collections.Range[pair]).StartInclusive(cursor), visit); err != nil {
		return nil, err
	}
	if !m.truncated && (cursor.K1() > 0 || cursor.K2() > 0) {
		if err := k.book.Walk(ctx, new(collections.Range[pair]).EndExclusive(cursor), visit); err != nil {
			return nil, err
		}
	}
	if next.K1() != cursor.K1() || next.K2() != cursor.K2() {
		if err := k.bookCursor.Set(ctx, next); err != nil {
			return nil, err
		}
	}
	for _, r := range spent {
		k.item(ctx, "spend", r.JobId, func(ctx context.Context) error { return k.endOpen(ctx, p, r, lifecycle.Spend) })
	}
	return open, nil
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

// loadSupplies reads standing offers, and lists those whose NexCore has left the registry.
func (k *Keeper) loadSupplies(ctx context.Context, p types.Params, m *market) (out []auction.Supply, gone []uint64, err error) {
	cursor, err := k.offerCursor.Get(ctx)
	if err != nil && !errors.Is(err, collections.ErrNotFound) {
		return nil, nil, err
	}
	m.offerFrom = cursor
	next, full := uint64(0), false
	visit := func(id uint64, offer types.Offer) (bool, error) {
		if len(out)+len(gone) == int(p.MaxOffers) {
			next, full = id, true
			return true, nil
		}
		supply, err := k.supply(ctx, p, offer)
		if errors.Is(err, nexcoretypes.ErrNotFound) {
			gone = append(gone, id)
			return false, nil
		}
		if err != nil {
			return true, err
		}
		out = append(out, supply)
		return false, nil
	}
	if err := k.offers.Walk(ctx, new(collections.Range[uint64]).StartInclusive(cursor), visit); err != nil {
		return nil, nil, err
	}
	if !full && cursor > 0 {
		if err := k.offers.Walk(ctx, new(collections.Range[uint64]).EndExclusive(cursor), visit); err != nil {
			return nil, nil, err
		}
	}
	m.truncated = m.truncated || full
	if next != cursor {
		return out, gone, k.offerCursor.Set(ctx, next)
	}
	return out, gone, nil
}

func auctionParams(p types.Params) auction.Params {
	return auction.Params{
		BurnPPM: p.BurnPpm, PenaltyKPPM: p.PenaltyPpm, LockPPM: denom.PPM, LeaseMax: p.LeaseMax,
		MaxShapes: p.MaxShapes, MaxSupplies: p.MaxOffers, MaxEntries: p.MaxEntries,
		MaxShards: auction.BoundShards, MaxMatches: p.MaxMatches,
	}
}

// supply is one NexCore's side of the market as of this block. A registration that was reduced after the offer
// was posted counts at once.
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
	ask, since := askInForce(offer, height)
	active := since > 0
	if since == standing.FirstAskHeight && height-since >= p.BookRefreshBlocks {
		since = 0 // no newcomer any more: jobs that waited before it came see it too
	}
	capacity, model := within(resources(offer.Capacity), nexcore.Spec)
	free := capacity
	for i, used := range resources(standing.Used) {
		free[i] = max(0, free[i]-used)
	}
	return auction.Supply{
		ID: nexcore.Id, Operator: nexcore.Operator,
		Active:  active,
		Expired: height >= offer.ExpiresHeight,
		Paused:  height < standing.PausedUntil, Draining: nexcore.Status == nexcoretypes.STATUS_DRAINING,
		Jailed:   nexcore.Status == nexcoretypes.STATUS_JAILED || nexcore.Status == nexcoretypes.STATUS_DEREGISTERED,
		Capacity: capacity, Free: free,
		Ask:       auction.Ask{ask.CpuMilli, ask.MemoryMib, ask.DiskMib, ask.Gpu},
		AskHeight: since,
		Runtimes:  both(offer.Runtimes, nexcore.Spec.Runtimes), Arch: nexcore.Spec.Arch, Region: nexcore.Spec.Region, GPUModel: model,
		Network: offer.Network, MaxRunSeconds: offer.MaxRunSeconds,
		FreeBond: nexcore.Bond - nexcore.Locked, LeaseSlots: leaseCap(p, standing) - standing.LiveLeases,
		ScorePPM: int64(score),
	}, nil
}

// leaseCap is how many leases a NexCore may have at once: it grows with verified results.
func leaseCap(p types.Params, s types.Standing) int64 {
	return min(p.LeaseCapBase+s.VerifiedResults/p.LeaseCapStep, p.LeaseCapMax)
}
