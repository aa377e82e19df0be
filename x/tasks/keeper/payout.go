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

// finalize ends the dispute window of a lease and queues its settlement.
func (k *Keeper) finalize(ctx context.Context, lease types.Lease) error {
	job, err := k.jobs.Get(ctx, lease.JobId)
	if err != nil {
		return err
	}
	if err := stepLease(&lease, lifecycle.Close); err != nil {
		return err
	}
	if err := k.stepShards(ctx, &job, lease, lifecycle.Close); err != nil {
		return err
	}
	return errors.Join(k.leases.Set(ctx, lease.Id, lease), k.jobs.Set(ctx, job.Id, job), k.settleQueue.Set(ctx, lease.Id))
}

// settle pays final leases, up to max_settle in a block.
func (k *Keeper) settle(ctx context.Context, p types.Params) error {
	var ids []uint64
	if err := k.settleQueue.Walk(ctx, nil, func(id uint64) (bool, error) {
		ids = append(ids, id)
		return int64(len(ids)) >= p.MaxSettle, nil
	}); err != nil {
		return err
	}
	for _, id := range ids {
		if err := k.settleQueue.Remove(ctx, id); err != nil {
			return err
		}
		k.item(ctx, "settle", id, func(ctx context.Context) error {
			lease, err := k.leases.Get(ctx, id)
			if err != nil {
				return err
			}
			return k.payLease(ctx, p, lease, lifecycle.Settle, lease.Delivered)
		})
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
	return k.payLease(ctx, p, lease, lifecycle.Cancel, lease.Count)
}

// payLease pays n shards of a lease: the operator its ask, the burn and the pool their shares, the requester
// what is left of its limit. The lock on the bond ends.
func (k *Keeper) payLease(ctx context.Context, p types.Params, lease types.Lease, event lifecycle.Event, n int64) error {
	job, err := k.jobs.Get(ctx, lease.JobId)
	if err != nil {
		return err
	}
	if err := stepLease(&lease, event); err != nil {
		return err
	}
	ranges, err := k.leaseRanges(ctx, lease)
	if err != nil {
		return err
	}
	shards := int64(0)
	for _, r := range ranges {
		if err := stepRange(&job, &r, event); err != nil {
			return err
		}
		shards += r.Count
		if err := k.saveRange(ctx, r); err != nil {
			return err
		}
	}
	if shards != n {
		return types.ErrState.Wrapf("lease %d holds %d shards, not %d", lease.Id, shards, n)
	}
	split, err := escrow.Settle(n, lease.Limit-lease.Charged-lease.Rent, lease.Price, lease.Burn, p.PoolSharePpm)
	if err != nil {
		return err
	}
	if split, err = split.WithRent(n, lease.Rent, p.RentPoolPpm); err != nil {
		return err
	}
	job.Escrow -= split.Total()
	job.Counts.Paid += n
	if err := errors.Join(
		k.pay(ctx, lease.Operator, split.Paid), k.burn(ctx, split.Burned), k.pool(ctx, split.Pooled),
		k.refund(ctx, lease.Requester, split.Refunded), k.nexcore.Release(ctx, lease.LockId),
		k.updateTotals(ctx, func(t *types.Totals) { t.ShardsPaid += n }),
	); err != nil {
		return err
	}
	lease.EndedHeight = heightOf(ctx)
	payout := types.Payout{
		LeaseId: lease.Id, JobId: lease.JobId, NexcoreId: lease.NexcoreId, Operator: lease.Operator, Shards: n,
		Paid: split.Paid, Burned: split.Burned, Pooled: split.Pooled, Refunded: split.Refunded,
		Rent: lease.Rent * n, Height: lease.EndedHeight, Reason: lease.Reason,
	}
	standing, err := k.standing(ctx, lease.NexcoreId)
	if err != nil {
		return err
	}
	standing.OpenLeases--
	if event == lifecycle.Settle {
		standing.VerifiedResults++
		if err := errors.Join(k.record(ctx, lease, reputationtypes.DIMENSION_COMPLETION, true, n),
			k.recordRequester(ctx, lease, true)); err != nil {
			return err
		}
	}
	emit(ctx, EventPayout, num("lease", lease.Id), num("job", lease.JobId), num("nexcore", lease.NexcoreId),
		word("operator", lease.Operator), num("shards", n), num("paid", split.Paid), num("burned", split.Burned),
		num("pooled", split.Pooled), num("refunded", split.Refunded), num("rent", payout.Rent), word("reason", lease.Reason))
	emitLease(ctx, lease, EventLeaseMoved)
	return errors.Join(
		k.standings.Set(ctx, lease.NexcoreId, standing), k.leases.Set(ctx, lease.Id, lease),
		k.payouts.Set(ctx, lease.Id, payout), k.finishJob(ctx, p, job),
	)
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
