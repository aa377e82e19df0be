package keeper

import (
	"context"
	"errors"

	"cosmossdk.io/collections"

	authtypes "github.com/cosmos/cosmos-sdk/x/auth/types"

	nexcoretypes "github.com/nexara/nexara/x/nexcore/types"

	"github.com/nexara/nexara/x/denom"
	"github.com/nexara/nexara/x/tasks/types"
)

// InitGenesis stores a state and rebuilds indexes and queues from its records.
func (k *Keeper) InitGenesis(ctx context.Context, g *types.GenesisState) error {
	if err := g.Validate(); err != nil {
		return err
	}
	err := errors.Join(
		k.params.Set(ctx, g.Params), k.totals.Set(ctx, g.Totals),
		k.nextJob.Set(ctx, max(g.NextJobId, 1)), k.nextLease.Set(ctx, max(g.NextLeaseId, 1)),
		k.nextShape.Set(ctx, max(g.NextShapeId, 1)),
		k.bookCursor.Set(ctx, collections.Join(g.BookCursor, uint64(g.BookCursorFirst))), k.offerCursor.Set(ctx, g.OfferCursor),
	)
	if g.LastClearing.Height > 0 {
		err = errors.Join(err, k.clearings.Set(ctx, g.LastClearing.Height, g.LastClearing))
	}
	if len(g.Seed) > 0 {
		err = errors.Join(err, k.seed.Set(ctx, g.Seed))
	}
	for _, o := range g.Offers {
		if _, bad := k.nexcore.GetNexCore(ctx, o.NexcoreId); bad != nil {
			return types.ErrGenesis.Wrapf("offer of NexCore %d: %s", o.NexcoreId, bad)
		}
		err = errors.Join(err, k.offers.Set(ctx, o.NexcoreId, o), k.schedule(ctx, o.ExpiresHeight, types.DueOffer, o.NexcoreId))
	}
	for _, s := range g.Standings {
		err = errors.Join(err, k.standings.Set(ctx, s.NexcoreId, s))
	}
	for _, s := range g.Shapes {
		digest, bad := auctionShape(s.Shape).Digest()
		err = errors.Join(err, bad, k.shapes.Set(ctx, s.Id, s), k.shapeID.Set(ctx, digest[:], s.Id))
	}
	for _, j := range g.Jobs {
		err = errors.Join(err, k.initJob(ctx, g.Params, j))
	}
	for _, r := range g.Ranges {
		if r.State == types.SHARD_STATE_OPEN {
			err = errors.Join(err, k.book.Set(ctx, rangeKey(r), r))
		} else {
			err = errors.Join(err, k.ranges.Set(ctx, rangeKey(r), r))
		}
	}
	for _, l := range g.Leases {
		err = errors.Join(err, k.initLease(ctx, l))
	}
	if bad := k.initJailed(ctx, g.Leases); bad != nil {
		return bad
	}
	for _, p := range g.Payouts {
		err = errors.Join(err, k.payouts.Set(ctx, p.LeaseId, p))
	}
	for _, t := range g.Tombstones {
		err = errors.Join(err, k.tombstones.Set(ctx, t.JobId, t))
	}
	if err != nil {
		return err
	}
	// Bank must have its balances by then: records without coins behind them are refused.
	for _, a := range []struct {
		account string
		unex    int64
	}{{types.ModuleName, g.Totals.Escrow}, {types.PoolName, g.Totals.Pool}} {
		have := k.bank.GetBalance(ctx, authtypes.NewModuleAddress(a.account), denom.Base)
		if have.Amount.LT(denom.Anex(a.unex)) {
			return types.ErrGenesis.Wrapf("%s owes %d unex, but its account holds %s", a.account, a.unex, have)
		}
	}
	return nil
}

// initJailed puts back the queue entries of jailed NexCores whose leases had not all ended.
func (k *Keeper) initJailed(ctx context.Context, leases []types.Lease) error {
	done := map[uint64]bool{} // looked up only
	for _, l := range leases {
		if !leaseState(l).Live() || done[l.NexcoreId] {
			continue
		}
		done[l.NexcoreId] = true
		n, err := k.nexcore.GetNexCore(ctx, l.NexcoreId)
		if err != nil {
			return types.ErrGenesis.Wrapf("lease %d: %s", l.Id, err)
		}
		if n.Status != nexcoretypes.STATUS_JAILED {
			continue
		}
		if err := k.schedule(ctx, heightOf(ctx), types.DueJail, n.Id); err != nil {
			return err
		}
	}
	return nil
}

func (k *Keeper) initJob(ctx context.Context, p types.Params, j types.Job) error {
	err := errors.Join(k.jobs.Set(ctx, j.Id, j), k.jobsByOwner.Set(ctx, collections.Join(j.Requester, j.Id)))
	switch {
	case j.EndedHeight > 0:
		return errors.Join(err, k.pruneQueue.Set(ctx, collections.Join(j.EndedHeight+p.RetentionBlocks, j.Id)))
	case j.EndReason != "": // its shards were ending: go on at once
		return errors.Join(err, k.schedule(ctx, heightOf(ctx), types.DueJob, j.Id))
	}
	return errors.Join(err, k.schedule(ctx, j.DeadlineHeight, types.DueJob, j.Id))
}

func (k *Keeper) initLease(ctx context.Context, l types.Lease) error {
	err := errors.Join(k.leases.Set(ctx, l.Id, l), k.leasesByJob.Set(ctx, collections.Join(l.JobId, l.Id)))
	if leaseState(l).Live() {
		err = errors.Join(err, k.liveByNode.Set(ctx, collections.Join(l.NexcoreId, l.Id)),
			k.liveByJob.Set(ctx, collections.Join(l.JobId, l.Id)))
	}
	switch l.State {
	case types.LEASE_STATE_ASSIGNED:
		return errors.Join(err, k.schedule(ctx, l.AckBy+1, types.DueAcknowledge, l.Id))
	case types.LEASE_STATE_ACKNOWLEDGED:
		return errors.Join(err, k.schedule(ctx, l.DeliverBy+1, types.DueDeliver, l.Id))
	case types.LEASE_STATE_DELIVERED:
		return errors.Join(err, k.schedule(ctx, l.FinalAt, types.DueFinal, l.Id))
	case types.LEASE_STATE_FINAL:
		return errors.Join(err, k.settleQueue.Set(ctx, l.Id))
	default: // it has ended: nothing will happen to it
		return err
	}
}

// ExportGenesis returns the whole state.
func (k *Keeper) ExportGenesis(ctx context.Context) (*types.GenesisState, error) {
	g := &types.GenesisState{}
	var err error
	keep := func(e error) {
		if e != nil && !errors.Is(e, collections.ErrNotFound) {
			err = errors.Join(err, e)
		}
	}
	var e error
	g.Params, e = k.params.Get(ctx)
	keep(e)
	g.Totals, e = k.totals.Get(ctx)
	keep(e)
	g.LastClearing, e = k.LastClearing(ctx)
	keep(e)
	g.Seed, e = k.seed.Get(ctx)
	keep(e)
	g.NextJobId, e = k.nextJob.Peek(ctx)
	keep(e)
	g.NextLeaseId, e = k.nextLease.Peek(ctx)
	keep(e)
	g.NextShapeId, e = k.nextShape.Peek(ctx)
	keep(e)
	cursor, e := k.bookCursor.Get(ctx)
	keep(e)
	if e == nil {
		g.BookCursor, g.BookCursorFirst = cursor.K1(), int64(cursor.K2())
	}
	g.OfferCursor, e = k.offerCursor.Get(ctx)
	keep(e)
	g.Offers, e = values(ctx, k.offers)
	keep(e)
	g.Standings, e = values(ctx, k.standings)
	keep(e)
	g.Shapes, e = values(ctx, k.shapes)
	keep(e)
	g.Jobs, e = values(ctx, k.jobs)
	keep(e)
	open, e := values(ctx, k.book)
	keep(e)
	other, e := values(ctx, k.ranges)
	keep(e)
	g.Ranges = append(open, other...)
	g.Leases, e = values(ctx, k.leases)
	keep(e)
	g.Payouts, e = values(ctx, k.payouts)
	keep(e)
	g.Tombstones, e = values(ctx, k.tombstones)
	keep(e)
	return g, err
}

func values[K, V any](ctx context.Context, m collections.Map[K, V]) ([]V, error) {
	iter, err := m.Iterate(ctx, nil)
	if err != nil {
		return nil, err
	}
	return iter.Values() // closes the iterator
}
