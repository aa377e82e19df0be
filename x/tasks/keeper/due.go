package keeper

import (
	"context"
	"errors"
	"fmt"

	"cosmossdk.io/collections"

	sdk "github.com/cosmos/cosmos-sdk/types"

	"github.com/nexara/nexara/x/tasks/lifecycle"
	"github.com/nexara/nexara/x/tasks/types"
)

// EndBlock ends a block of the market: expire, settle, clear (after mixing its seed), prune. Each item runs in its own cache
// context with recover, so that one bad item is evented and tried again later and never halts the chain.
func (k *Keeper) EndBlock(ctx context.Context) error {
	p, err := k.params.Get(ctx)
	if err != nil {
		return err
	}
	for _, stage := range []struct {
		name string
		run  func(context.Context, types.Params) error
	}{{"expire", k.expire}, {"settle", k.settle}, {"seed", k.mixSeed}, {"clear", k.clear}, {"prune", k.prune}} {
		k.item(ctx, stage.name, 0, func(ctx context.Context) error { return stage.run(ctx, p) })
	}
	return nil
}

// item runs one piece of work in a cache context and says whether it was kept. An error, or a panic of
// the stores below, drops its changes and is evented with the code of the error alone: texts are not in state.
func (k *Keeper) item(ctx context.Context, kind string, id uint64, work func(context.Context) error) (kept bool) {
	sdkCtx := sdk.UnwrapSDKContext(ctx)
	cached, write := sdkCtx.CacheContext()
	defer func() {
		if r := recover(); r != nil {
			kept = false
			sdkCtx.Logger().Error("market item panicked", "kind", kind, "id", id, "panic", fmt.Sprint(r))
			emit(ctx, EventItemFailed, word("kind", kind), num("id", id), word("cause", "panic"))
		}
	}()
	if err := work(cached); err != nil {
		sdkCtx.Logger().Error("market item failed", "kind", kind, "id", id, "error", err)
		emitFailure(ctx, kind, id, err)
		return false
	}
	write()
	return true
}

// expire handles what is due, up to max_expire items; the rest waits for the next block.
func (k *Keeper) expire(ctx context.Context, p types.Params) error {
	height := heightOf(ctx)
	budget := p.MaxExpire
	var items []due
	rng := new(collections.Range[due]).EndExclusive(collections.Join3(height+1, uint64(0), uint64(0)))
	err := k.queue.Walk(ctx, rng, func(key due) (bool, error) {
		items = append(items, key)
		return int64(len(items)) >= budget, nil
	})
	if err != nil {
		return err
	}
	for _, key := range items {
		if budget <= 0 {
			break
		}
		budget--
		if err := k.queue.Remove(ctx, key); err != nil {
			return err
		}
		kept := k.item(ctx, "due", key.K3(), func(ctx context.Context) error {
			used, err := k.handleDue(ctx, p, key.K2(), key.K3(), budget)
			budget -= used
			return err
		})
		if !kept { // tried again later: a broken item may not be lost, nor block the others
			if err := k.schedule(ctx, height+retryBlocks, key.K2(), key.K3()); err != nil {
				return err
			}
		}
	}
	return nil
}

// retryBlocks is after how many blocks a failed item is tried again.
const retryBlocks = 100

// handleDue handles one item and says how much more of the budget it used.
func (k *Keeper) handleDue(ctx context.Context, p types.Params, kind types.QueueKind, id uint64, budget int64) (int64, error) {
	switch kind {
	case types.DueAcknowledge, types.DueDeliver, types.DueFinal:
		lease, err := k.leases.Get(ctx, id)
		if err != nil {
			return 0, ignoreMissing(err)
		}
		return k.leaseDue(ctx, p, kind, lease)
	case types.DueJob:
		return k.jobDue(ctx, p, id, budget)
	case types.DueJail:
		return k.jailDue(ctx, p, id, budget)
	case types.DueOffer:
		return 0, k.offerDue(ctx, id)
	}
	return 0, nil
}

// leaseDue handles a deadline of a lease, if it still applies: queue entries are never taken back. It says how
// much more of the budget it used: a lease of many ranges is not one piece of work.
func (k *Keeper) leaseDue(ctx context.Context, p types.Params, kind types.QueueKind, lease types.Lease) (int64, error) {
	height := heightOf(ctx)
	switch {
	case kind == types.DueAcknowledge && lease.State == types.LEASE_STATE_ASSIGNED && height > lease.AckBy:
		return 0, k.closeLease(ctx, p, lease, lifecycle.Silence, refused(lease))
	case kind == types.DueDeliver && lease.State == types.LEASE_STATE_ACKNOWLEDGED && height > lease.DeliverBy:
		return 0, k.closeLease(ctx, p, lease, lifecycle.Miss, missed(lease))
	case kind == types.DueFinal && lease.State == types.LEASE_STATE_DELIVERED && height >= lease.FinalAt:
		return k.finalize(ctx, lease)
	case kind == types.DueFinal && lease.State == types.LEASE_STATE_FINAL: // its settlement failed
		return 0, k.settleQueue.Set(ctx, lease.Id)
	}
	return 0, nil
}

// jobDue ends the waiting shards of a job: it was cancelled, its inputs cannot be fetched, or it waited
// long enough. Many shards take several blocks.
func (k *Keeper) jobDue(ctx context.Context, p types.Params, id uint64, budget int64) (int64, error) {
	job, err := k.jobs.Get(ctx, id)
	if err != nil {
		return 0, ignoreMissing(err)
	}
	if job.EndReason == "" {
		if heightOf(ctx) < job.DeadlineHeight || job.EndedHeight > 0 {
			return 0, nil
		}
		job.EndReason = endExpired
		if err := k.jobs.Set(ctx, id, job); err != nil {
			return 0, err
		}
	}
	used := int64(0)
	open, err := k.openRanges(ctx, id, int(budget)+1)
	if err != nil {
		return 0, err
	}
	for _, r := range open {
		if used++; used > budget {
			return used, k.schedule(ctx, heightOf(ctx)+1, types.DueJob, id)
		}
		if err := k.endOpen(ctx, p, r, endEvent(job.EndReason)); err != nil {
			return used, err
		}
	}
	if !job.Cancelled {
		return used, k.finishDue(ctx, p, id)
	}
	live, err := k.liveLeases(ctx, k.liveByJob, id, int(budget-used)+1)
	if err != nil {
		return used, err
	}
	for _, lease := range live {
		if used++; used > budget {
			return used, k.schedule(ctx, heightOf(ctx)+1, types.DueJob, id)
		}
		if lease.State == types.LEASE_STATE_ACKNOWLEDGED {
			err = k.payCancelled(ctx, p, lease)
		} else {
			err = k.closeLease(ctx, p, lease, lifecycle.Cancel, penalty{})
		}
		if err != nil {
			return used, err
		}
	}
	return used, k.finishDue(ctx, p, id)
}

// finishDue ends a job whose shards have all settled. Each settlement looks for that already: here it makes sure
// that a job which is ending ends, however it got there.
func (k *Keeper) finishDue(ctx context.Context, p types.Params, id uint64) error {
	job, err := k.jobs.Get(ctx, id)
	if err != nil {
		return err
	}
	return k.finishJob(ctx, p, job)
}

// jailDue returns the shards of a jailed NexCore's live leases to the market.
func (k *Keeper) jailDue(ctx context.Context, p types.Params, id uint64, budget int64) (int64, error) {
	live, err := k.liveLeases(ctx, k.liveByNode, id, int(budget)+1)
	if err != nil {
		return 0, err
	}
	used := int64(0)
	for _, lease := range live {
		if used++; used > budget {
			return used, k.schedule(ctx, heightOf(ctx)+1, types.DueJail, id)
		}
		if err := k.closeLease(ctx, p, lease, lifecycle.Jail, jailed(lease)); err != nil {
			return used, err
		}
	}
	return used, nil
}

// offerDue removes an offer that was not refreshed, or looks again when it expires.
func (k *Keeper) offerDue(ctx context.Context, id uint64) error {
	offer, err := k.offers.Get(ctx, id)
	if err != nil {
		return ignoreMissing(err)
	}
	if heightOf(ctx) < offer.ExpiresHeight {
		return k.schedule(ctx, offer.ExpiresHeight, types.DueOffer, id)
	}
	return k.removeOffer(ctx, id, "expired")
}

// liveLeases returns up to limit live leases of a job or of a NexCore.
func (k *Keeper) liveLeases(ctx context.Context, index collections.KeySet[pair], id uint64, limit int) ([]types.Lease, error) {
	var ids []uint64
	err := index.Walk(ctx, collections.NewPrefixedPairRange[uint64, uint64](id), func(key pair) (bool, error) {
		ids = append(ids, key.K2())
		return len(ids) >= limit, nil
	})
	if err != nil {
		return nil, err
	}
	out := make([]types.Lease, 0, len(ids))
	for _, lease := range ids {
		l, err := k.leases.Get(ctx, lease)
		if err != nil {
			return nil, err
		}
		out = append(out, l)
	}
	return out, nil
}

func ignoreMissing(err error) error {
	if errors.Is(err, collections.ErrNotFound) {
		return nil
	}
	return err
}
