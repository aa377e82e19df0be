package keeper

import (
	"context"
	"errors"

	"cosmossdk.io/collections"

	reputationtypes "github.com/nexara/nexara/x/reputation/types"

	"github.com/nexara/nexara/x/tasks/escrow"
	"github.com/nexara/nexara/x/tasks/lifecycle"
	"github.com/nexara/nexara/x/tasks/types"
)

// finalize ends the dispute window of a lease and queues its settlement. It says how many ranges it moved beyond
// the first.
func (k *Keeper) finalize(ctx context.Context, lease types.Lease) (int64, error) {
	job, err := k.jobs.Get(ctx, lease.JobId)
	if err != nil {
		return 0, err
	}
	if err := stepLease(&lease, lifecycle.Close); err != nil {
		return 0, err
	}
	moved, err := k.stepShards(ctx, &job, lease, lifecycle.Close)
	if err != nil {
		return 0, err
	}
	return max(moved, 1) - 1, errors.Join(k.leases.Set(ctx, lease.Id, lease), k.jobs.Set(ctx, job.Id, job), k.settleQueue.Set(ctx, lease.Id))
}

// settle pays final leases, up to max_settle ranges in a block and at most one lease beyond. One that fails is
// tried again later: it may be neither lost nor in the way of the others.
func (k *Keeper) settle(ctx context.Context, p types.Params) error {
	var ids []uint64
	budget := p.MaxSettle
	if err := k.settleQueue.Walk(ctx, nil, func(id uint64) (bool, error) {
		ids = append(ids, id)
		return int64(len(ids)) >= budget, nil
	}); err != nil {
		return err
	}
	for _, id := range ids {
		if budget <= 0 {
			break
		}
		if err := k.settleQueue.Remove(ctx, id); err != nil {
			return err
		}
		used := int64(1)
		kept := k.item(ctx, "settle", id, func(ctx context.Context) error {
			lease, err := k.leases.Get(ctx, id)
			if err != nil {
				return err
			}
			used, err = k.payLease(ctx, p, lease, lifecycle.Settle, lease.Delivered)
			return err
		})
		budget -= max(used, 1)
		if !kept {
			if err := k.schedule(ctx, heightOf(ctx)+retryBlocks, types.DueFinal, id); err != nil {
				return err
			}
		}
	}
	return nil
}

// payCancelled pays the acknowledged lease of a cancelled job in full: the operator kept its capacity for it.
func (k *Keeper) payCancelled(ctx context.Context, p types.Params, lease types.Lease) error {
	standing, err := k.standing(ctx, lease.NexcoreId)
	if err != nil {
		return err
	}
	job, err := k.jobs.Get(ctx, lease.JobId)
	if err != nil {
		return err
	}
	occupy(&standing, job.Shape.Need, lease.Count, -1)
	if err := errors.Join(k.standings.Set(ctx, lease.NexcoreId, standing), k.unlive(ctx, lease)); err != nil {
		return err
	}
	_, err = k.payLease(ctx, p, lease, lifecycle.Cancel, lease.Count)
	return err
}

// payLease pays n shards of a lease: the operator its ask, the burn and the pool their shares, the requester
// what is left of its limit. The lock on the bond ends; shards that the lease lost cost their burn (ADR 16). It says how
// many ranges it moved.
func (k *Keeper) payLease(ctx context.Context, p types.Params, lease types.Lease, event lifecycle.Event, n int64) (int64, error) {
	job, err := k.jobs.Get(ctx, lease.JobId)
	if err != nil {
		return 0, err
	}
	if err := stepLease(&lease, event); err != nil {
		return 0, err
	}
	settled := job.Counts.Settled
	moved, err := k.stepShards(ctx, &job, lease, event)
	if err != nil {
		return moved, err
	}
	if shards := job.Counts.Settled - settled; shards != n {
		return moved, types.ErrState.Wrapf("lease %d holds %d shards, not %d", lease.Id, shards, n)
	}
	split, err := escrow.Settle(n, lease.Limit-lease.Charged-lease.Rent, lease.Price, lease.Burn, p.PoolSharePpm)
	if err != nil {
		return moved, err
	}
	if split, err = split.WithRent(n, lease.Rent, p.RentPoolPpm); err != nil {
		return moved, err
	}
	job.Escrow -= split.Total()
	job.Counts.Paid += n
	if err := errors.Join(
		k.pay(ctx, lease.Operator, split.Paid), k.burn(ctx, split.Burned), k.pool(ctx, split.Pooled),
		k.refund(ctx, lease.Requester, split.Refunded),
		k.updateTotals(ctx, func(t *types.Totals) { t.ShardsPaid += n }),
	); err != nil {
		return moved, err
	}
	lease.EndedHeight = heightOf(ctx)
	payout := types.Payout{
		LeaseId: lease.Id, JobId: lease.JobId, NexcoreId: lease.NexcoreId, Operator: lease.Operator, Shards: n,
		Paid: split.Paid, Burned: split.Burned, Pooled: split.Pooled, Refunded: split.Refunded,
		Rent: lease.Rent * n, Height: lease.EndedHeight, Reason: lease.Reason,
	}
	if err := k.endLock(ctx, lease, lease.Burn*(lease.Count-n), 0, &payout); err != nil {
		return moved, err
	}
	standing, err := k.standing(ctx, lease.NexcoreId)
	if err != nil {
		return moved, err
	}
	standing.OpenLeases--
	if event == lifecycle.Settle {
		if err := errors.Join(k.verified(ctx, &standing, lease.Burn*n),
			k.record(ctx, lease, reputationtypes.DIMENSION_COMPLETION, true, n),
			k.recordRequester(ctx, lease, true)); err != nil {
			return moved, err
		}
	}
	emit(ctx, EventPayout, num("lease", lease.Id), num("job", lease.JobId), num("nexcore", lease.NexcoreId),
		word("operator", lease.Operator), num("shards", n), num("paid", split.Paid), num("burned", split.Burned),
		num("pooled", split.Pooled), num("refunded", split.Refunded), num("rent", payout.Rent), word("reason", lease.Reason))
	emitLease(ctx, lease, EventLeaseMoved)
	return moved, errors.Join(
		k.standings.Set(ctx, lease.NexcoreId, standing), k.leases.Set(ctx, lease.Id, lease),
		k.payouts.Set(ctx, lease.Id, payout), k.finishJob(ctx, p, job),
	)
}

// verified counts a settled lease towards the lease cap if it burned enough to make a unit of reputation: an
// operator that buys from itself then pays for its cap.
func (k *Keeper) verified(ctx context.Context, s *types.Standing, burned int64) error {
	p, err := k.reputation.Params(ctx)
	if err == nil && burned >= p.Unit {
		s.VerifiedResults++
	}
	return err
}

// jobLeases returns up to limit leases of a job in the order of their numbers.
func (k *Keeper) jobLeases(ctx context.Context, job uint64, limit int) ([]uint64, error) {
	var ids []uint64
	err := k.leasesByJob.Walk(ctx, collections.NewPrefixedPairRange[uint64, uint64](job), func(key pair) (bool, error) {
		ids = append(ids, key.K2())
		return len(ids) >= limit, nil
	})
	return ids, err
}
