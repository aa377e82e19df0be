package keeper

import (
	"context"
	"slices"

	"cosmossdk.io/collections"

	"github.com/nexara/nexara/x/tasks/auction"
	"github.com/nexara/nexara/x/tasks/escrow"
	"github.com/nexara/nexara/x/tasks/lifecycle"
	"github.com/nexara/nexara/x/tasks/types"
)

// Shards are stored as ranges: neighbouring shards of one job in one state are one record, so that an
// array of a thousand costs as much as its leases. Open ranges live in the book, all others beside it;
// the key of both is (job, first shard).

// maxExcluded bounds the NexCores that a range remembers as excluded: those that failed it, and the fleets of
// operators that could not fetch its inputs.
const maxExcluded = auction.MaxExcluded

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
		if err := k.reserve(ctx, p, job, &r); err != nil {
			return err
		}
	}
	return k.refundRange(ctx, job, r)
}

// reserve takes what shards with dead inputs cost their requester out of their limit, into the pool.
func (k *Keeper) reserve(ctx context.Context, p types.Params, job *types.Job, r *types.ShardRange) error {
	reserve := min(escrow.Share(r.Limit, p.ReservationPpm), remaining(*r))
	r.Charged += reserve
	job.Escrow -= reserve * r.Count
	return k.pool(ctx, reserve*r.Count)
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

// reopening says how shards come back from a lease.
type reopening struct {
	event    lifecycle.Event
	lease    types.Lease
	excluded []uint64 // NexCores that are not asked again for these shards
	free     bool     // nobody failed: no attempt is used up
}

// reopen returns leased shards to the market in this block, without the NexCores that failed them; shards
// whose attempts are used up, or whose job is ending, end instead. A free attempt is counted all the same once
// the list of excluded NexCores is full: nothing else would bound how often it comes.
func (k *Keeper) reopen(ctx context.Context, p types.Params, job *types.Job, r types.ShardRange, back reopening) error {
	if err := k.ranges.Remove(ctx, rangeKey(r)); err != nil {
		return err
	}
	if err := stepRange(job, &r, back.event); err != nil {
		return err
	}
	r.LeaseId = 0
	r.OpenSince, r.EnteredHeight = heightOf(ctx), heightOf(ctx)
	r.Excluded = exclude(r.Excluded, back.excluded)
	if back.free && len(r.Excluded) < maxExcluded {
		r.Attempt--
	}
	emit(ctx, EventShardsMoved, num("job", r.JobId), num("first", r.First), num("count", r.Count),
		word("state", shardState(r).String()), word("reason", r.Reason), num("attempt", r.Attempt))
	switch {
	case job.EndReason != "":
		return k.settleUnpaid(ctx, p, job, r, endEvent(job.EndReason))
	case r.Attempt >= job.MaxAttempts:
		return k.settleUnpaid(ctx, p, job, r, lifecycle.Exhaust)
	}
	if job.Counts.Open > r.Count { // others wait: perhaps neighbours
		if err := k.absorb(ctx, &r, back.lease); err != nil {
			return err
		}
	}
	return k.putOpen(ctx, r)
}

// absorb takes the open neighbours of a range that are like it out of the book and into the range. It looks at
// one on each side, and on the lease's ends alone: between two runs that a lease lost is one that it delivered.
func (k *Keeper) absorb(ctx context.Context, r *types.ShardRange, lease types.Lease) error {
	if end := r.First + r.Count; end == lease.First+lease.Count {
		right, err := k.book.Get(ctx, collections.Join(r.JobId, uint64(end)))
		if err := ignoreMissing(err); err != nil {
			return err
		}
		if err == nil && alike(*r, right) {
			if err := k.removeOpen(ctx, right); err != nil {
				return err
			}
			r.Count += right.Count
		}
	}
	if r.First != lease.First || r.First == 0 {
		return nil
	}
	left, err := k.openRangeOf(ctx, r.JobId, r.First-1)
	if err != nil || left.First+left.Count != r.First || !alike(left, *r) {
		return err
	}
	if err := k.removeOpen(ctx, left); err != nil {
		return err
	}
	r.First, r.Count = left.First, left.Count+r.Count
	return nil
}

// alike says that two open ranges of a job differ in their place alone.
func alike(a, b types.ShardRange) bool {
	return a.JobId == b.JobId && a.State == b.State && a.Attempt == b.Attempt && a.Limit == b.Limit &&
		a.Charged == b.Charged && a.OpenSince == b.OpenSince && a.EnteredHeight == b.EnteredHeight &&
		a.ShapeId == b.ShapeId && a.Reason == b.Reason && slices.Equal(a.Excluded, b.Excluded)
}

// exclude adds NexCores to a sorted list, each once, as far as there is room. It never changes the list it gets.
func exclude(list, ids []uint64) []uint64 {
	out := slices.Clone(list)
	for _, id := range ids {
		if i, found := slices.BinarySearch(out, id); !found && len(out) < maxExcluded {
			out = slices.Insert(out, i, id)
		}
	}
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
