package keeper

import (
	"context"
	"sort"

	"cosmossdk.io/collections"

	"github.com/nexara/nexara/x/tasks/escrow"
	"github.com/nexara/nexara/x/tasks/lifecycle"
	"github.com/nexara/nexara/x/tasks/types"
)

// Shards are stored as ranges: neighbouring shards of one job in one state are one record, so that an
// array of a thousand costs as much as its leases. Open ranges live in the book, all others beside it;
// the key of both is (job, first shard).

// maxExcluded bounds the NexCores that a range remembers as excluded; attempts are bounded by as many.
const maxExcluded = types.MaxAttemptsBound

func rangeKey(r types.ShardRange) pair { return collections.Join(r.JobId, uint64(r.First)) }

func shardState(r types.ShardRange) lifecycle.ShardState { return lifecycle.ShardState(r.State) }

// count returns the job's counter of a state.
func count(c *types.ShardCounts, s lifecycle.ShardState) *int64 {
	switch s {
	case lifecycle.ShardOpen:
		return &c.Open
	case lifecycle.ShardLeased:
		return &c.Leased
	case lifecycle.ShardRunning:
		return &c.Running
	case lifecycle.ShardDelivered:
		return &c.Delivered
	case lifecycle.ShardFinal:
		return &c.Final
	default:
		return &c.Settled
	}
}

// stepRange moves a range by an event, in the record and in its job's counters.
func stepRange(job *types.Job, r *types.ShardRange, event lifecycle.Event) error {
	from := shardState(*r)
	to, reason, err := lifecycle.StepShard(from, event)
	if err != nil {
		return types.ErrState.Wrapf("shards %d+%d of job %d: %s", r.First, r.Count, r.JobId, err)
	}
	*count(&job.Counts, from) -= r.Count
	*count(&job.Counts, to) += r.Count
	r.State, r.Reason = types.ShardState(to), reason
	return nil
}

// saveRange stores a range that is not open.
func (k *Keeper) saveRange(ctx context.Context, r types.ShardRange) error {
	return k.ranges.Set(ctx, rangeKey(r), r)
}

// removeOpen takes an open range out of the book.
func (k *Keeper) removeOpen(ctx context.Context, r types.ShardRange) error {
	if err := k.book.Remove(ctx, rangeKey(r)); err != nil {
		return err
	}
	return k.updateTotals(ctx, func(t *types.Totals) { t.OpenShards -= r.Count })
}

// putOpen puts an open range into the book.
func (k *Keeper) putOpen(ctx context.Context, r types.ShardRange) error {
	if err := k.book.Set(ctx, rangeKey(r), r); err != nil {
		return err
	}
	return k.updateTotals(ctx, func(t *types.Totals) { t.OpenShards += r.Count })
}

// remaining is what escrow holds for each shard of a range.
func remaining(r types.ShardRange) int64 { return r.Limit - r.Charged }

// chargeBook takes the book charge of an open range up to this block out of its limit, into the pool.
func (k *Keeper) chargeBook(ctx context.Context, p types.Params, job *types.Job, r *types.ShardRange) error {
	height := heightOf(ctx)
	charge := escrow.BookCharge(p.BookCharge, height-r.OpenSince, remaining(*r))
	r.OpenSince = height
	if charge == 0 {
		return nil
	}
	r.Charged += charge
	job.Escrow -= charge * r.Count
	return k.pool(ctx, charge*r.Count)
}

// settleUnpaid ends open shards without a payment: what escrow holds for them returns to the requester,
// less the reservation when the inputs could not be fetched.
func (k *Keeper) settleUnpaid(ctx context.Context, p types.Params, job *types.Job, r types.ShardRange, event lifecycle.Event) error {
	if err := k.chargeBook(ctx, p, job, &r); err != nil {
		return err
	}
	if err := stepRange(job, &r, event); err != nil {
		return err
	}
	if event == lifecycle.Unavailable {
		reserve := min(escrow.Share(r.Limit, p.ReservationPpm), remaining(r))
		r.Charged += reserve
		job.Escrow -= reserve * r.Count
		if err := k.pool(ctx, reserve*r.Count); err != nil {
			return err
		}
	}
	return k.refundRange(ctx, job, r)
}

// refundRange returns what escrow still holds for settled shards and stores them.
func (k *Keeper) refundRange(ctx context.Context, job *types.Job, r types.ShardRange) error {
	back := remaining(r) * r.Count
	job.Escrow -= back
	if err := k.refund(ctx, job.Requester, back); err != nil {
		return err
	}
	r.OpenSince, r.LeaseId = 0, 0
	emit(ctx, EventShardsMoved, num("job", r.JobId), num("first", r.First), num("count", r.Count),
		word("state", shardState(r).String()), word("reason", r.Reason), num("refunded", back))
	return k.saveRange(ctx, r)
}

// reopen returns leased shards to the market in this block, without the NexCore that failed them; shards
// whose attempts are used up, or whose job is ending, end instead.
func (k *Keeper) reopen(ctx context.Context, p types.Params, job *types.Job, r types.ShardRange, event lifecycle.Event, nexcore uint64) error {
	if err := k.ranges.Remove(ctx, rangeKey(r)); err != nil {
		return err
	}
	if err := stepRange(job, &r, event); err != nil {
		return err
	}
	r.LeaseId = 0
	r.OpenSince, r.EnteredHeight = heightOf(ctx), heightOf(ctx)
	r.Excluded = exclude(r.Excluded, nexcore)
	emit(ctx, EventShardsMoved, num("job", r.JobId), num("first", r.First), num("count", r.Count),
		word("state", shardState(r).String()), word("reason", r.Reason), num("attempt", r.Attempt))
	switch {
	case job.EndReason != "":
		return k.settleUnpaid(ctx, p, job, r, endEvent(job.EndReason))
	case r.Attempt >= job.MaxAttempts:
		return k.settleUnpaid(ctx, p, job, r, lifecycle.Exhaust)
	}
	return k.putOpen(ctx, r)
}

// exclude adds a NexCore to a sorted list, once.
func exclude(list []uint64, id uint64) []uint64 {
	i := sort.Search(len(list), func(i int) bool { return list[i] >= id })
	if i < len(list) && list[i] == id || len(list) >= maxExcluded {
		return list
	}
	out := make([]uint64, 0, len(list)+1)
	out = append(append(append(out, list[:i]...), id), list[i:]...)
	return out
}

// leaseRanges returns the ranges that a lease holds: one, or several after a partial result.
func (k *Keeper) leaseRanges(ctx context.Context, l types.Lease) ([]types.ShardRange, error) {
	first := uint64(l.First)
	// The common case needs no iterator, which is slow over a block's unsaved writes.
	if r, err := k.ranges.Get(ctx, collections.Join(l.JobId, first)); err == nil && r.LeaseId == l.Id && r.Count == l.Count {
		return []types.ShardRange{r}, nil
	}
	rng := new(collections.Range[pair]).
		StartInclusive(collections.Join(l.JobId, first)).
		EndExclusive(collections.Join(l.JobId, first+uint64(l.Count)))
	var out []types.ShardRange
	err := k.ranges.Walk(ctx, rng, func(_ pair, r types.ShardRange) (bool, error) {
		if r.LeaseId == l.Id {
			out = append(out, r)
		}
		return false, nil
	})
	return out, err
}
