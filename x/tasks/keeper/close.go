package keeper

import (
	"context"
	"errors"
	"slices"

	nexcoretypes "github.com/nexara/nexara/x/nexcore/types"
	reputationtypes "github.com/nexara/nexara/x/reputation/types"

	"github.com/nexara/nexara/x/tasks/lifecycle"
	"github.com/nexara/nexara/x/tasks/types"
)

// penalty is what a closed lease costs its NexCore.
type penalty struct {
	slash          int64 // micro-NEX out of the lock
	proven         int64 // the requester's proven costs
	backoff        bool  // the offer pauses
	miss           bool  // counts towards jail
	requesterFault bool  // the inputs could not be fetched
	dimension      reputationtypes.Dimension
}

// refused is the penalty of a lease that was declined, or not answered in time: its burn.
func refused(l types.Lease) penalty {
	return penalty{slash: l.Burn * l.Count, backoff: true, dimension: reputationtypes.DIMENSION_AVAILABILITY}
}

// missed is the penalty of an acknowledged lease without a result in time: one payment.
func missed(l types.Lease) penalty {
	return penalty{
		slash: l.Price * l.Count, proven: l.Charged * l.Count,
		backoff: true, miss: true, dimension: reputationtypes.DIMENSION_COMPLETION,
	}
}

// allLost is the penalty of an acknowledged lease whose NexCore says that it could run none of its shards: less
// than silence up to the deadline, since the shards are free earlier, and no less than a refusal. ADR 16.
func allLost(l types.Lease) penalty {
	return penalty{slash: l.Burn * l.Count, backoff: true, miss: true, dimension: reputationtypes.DIMENSION_COMPLETION}
}

// jailed is the penalty of a lease that its NexCore's jailing ends: no coin, the jailing was the punishment, but
// the outcome that it is. Without it a jailing would spare the score what the same leases cost at their deadlines.
func jailed(l types.Lease) penalty {
	if l.State == types.LEASE_STATE_ACKNOWLEDGED {
		return penalty{dimension: reputationtypes.DIMENSION_COMPLETION}
	}
	return penalty{dimension: reputationtypes.DIMENSION_AVAILABILITY}
}

// Decline refuses a lease before its acknowledgement. Only unfetchable inputs are free of charge.
func (k *Keeper) Decline(ctx context.Context, nexcore nexcoretypes.NexCore, id uint64, reason types.DeclineReason) error {
	p, err := k.params.Get(ctx)
	if err != nil {
		return err
	}
	lease, err := k.nodeLease(ctx, nexcore, id)
	if err != nil {
		return err
	}
	if lease.State == types.LEASE_STATE_ASSIGNED && heightOf(ctx) > lease.AckBy {
		return types.ErrState.Wrapf("lease %d was to be answered by block %d", id, lease.AckBy)
	}
	pen := refused(lease)
	if reason == types.DECLINE_REASON_INPUT_UNAVAILABLE {
		pen = penalty{requesterFault: true}
	}
	return k.closeLease(ctx, p, lease, lifecycle.Decline, pen)
}

// closeLease ends a live lease without a result: shards return to the market in this block, capacity and
// lock are freed, the NexCore pays what the penalty says.
func (k *Keeper) closeLease(ctx context.Context, p types.Params, lease types.Lease, event lifecycle.Event, pen penalty) error {
	job, err := k.jobs.Get(ctx, lease.JobId)
	if err != nil {
		return err
	}
	standing, err := k.standing(ctx, lease.NexcoreId)
	if err != nil {
		return err
	}
	if err := stepLease(&lease, event); err != nil {
		return err
	}
	back := reopening{event: event, lease: lease, excluded: []uint64{lease.NexcoreId}}
	if pen.requesterFault {
		// Before the shards come back: those of a job that this ends settle for the reason it ends.
		if err := k.inputUnavailable(ctx, p, &job, lease.Operator); err != nil {
			return err
		}
		// The whole operator has spoken: asking its other machines would only be as many free refusals.
		fleet, err := k.nexcore.OfOperator(ctx, lease.Operator, maxExcluded)
		if err != nil {
			return err
		}
		back.excluded, back.free = append(back.excluded, fleet...), true
	}
	if err := k.giveBack(ctx, p, &job, back); err != nil {
		return err
	}
	payout := types.Payout{
		LeaseId: lease.Id, JobId: lease.JobId, NexcoreId: lease.NexcoreId, Operator: lease.Operator,
		Height: heightOf(ctx), Reason: lease.Reason,
	}
	if err := k.endLock(ctx, lease, pen.slash, pen.proven, &payout); err != nil {
		return err
	}
	k.punish(ctx, p, &standing, pen)
	occupy(&standing, job.Shape.Need, lease.Count, -1)
	standing.OpenLeases--
	lease.EndedHeight = heightOf(ctx)
	if err := errors.Join(
		k.leases.Set(ctx, lease.Id, lease), k.payouts.Set(ctx, lease.Id, payout), k.unlive(ctx, lease),
		k.standings.Set(ctx, lease.NexcoreId, standing),
		k.updateTotals(ctx, func(t *types.Totals) { t.LeasesClosed++ }),
	); err != nil {
		return err
	}
	emitLease(ctx, lease, EventLeaseMoved)
	if pen.dimension != reputationtypes.DIMENSION_UNSPECIFIED {
		if err := k.record(ctx, lease, pen.dimension, false, lease.Count); err != nil {
			return err
		}
	}
	if pen.miss && standing.Misses >= p.MissesToJail {
		if err := k.jail(ctx, lease.NexcoreId, standing); err != nil {
			return err
		}
	}
	if pen.requesterFault {
		if err := k.recordRequester(ctx, lease, false); err != nil {
			return err
		}
	}
	return k.finishJob(ctx, p, job)
}

// giveBack takes the shards off a lease that ends without a result: to the requester when it cancelled, else to
// the market. A live lease is one range, so the work is bounded.
func (k *Keeper) giveBack(ctx context.Context, p types.Params, job *types.Job, back reopening) error {
	ranges, err := k.leaseRanges(ctx, back.lease)
	if err != nil {
		return err
	}
	for _, r := range ranges {
		if back.event != lifecycle.Cancel {
			if err := k.reopen(ctx, p, job, r, back); err != nil {
				return err
			}
			continue
		}
		if err := stepRange(job, &r, back.event); err != nil {
			return err
		}
		if job.EndReason == endUnavailable { // cancelled too late to get around it
			if err := k.reserve(ctx, p, job, &r); err != nil {
				return err
			}
		}
		if err := k.refundRange(ctx, job, r); err != nil {
			return err
		}
	}
	return nil
}

// endLock ends the lock of a lease: amount is slashed out of it, of which the requester gets at most its proven
// costs, the rest is free again. The payout says so.
func (k *Keeper) endLock(ctx context.Context, lease types.Lease, amount, proven int64, payout *types.Payout) error {
	if amount <= 0 {
		return k.nexcore.Release(ctx, lease.LockId)
	}
	cost, err := k.slash(ctx, lease, amount, proven)
	payout.Slashed += cost.taken
	payout.Compensated += cost.compensated
	payout.Burned += cost.taken - cost.compensated
	return err
}

// punish changes a standing by a penalty: the pause doubles with every refusal in a row.
func (k *Keeper) punish(ctx context.Context, p types.Params, s *types.Standing, pen penalty) {
	if pen.miss {
		s.Misses++
	}
	if !pen.backoff {
		return
	}
	pause := p.BackoffBaseBlocks
	for i := uint32(0); i < s.Backoff && pause < p.BackoffMaxBlocks; i++ {
		pause *= 2
	}
	s.Backoff++
	s.PausedUntil = max(s.PausedUntil, heightOf(ctx)+min(pause, p.BackoffMaxBlocks))
}

// jail takes a NexCore out of the market and lets EndBlock end its other leases.
func (k *Keeper) jail(ctx context.Context, nexcore uint64, standing types.Standing) error {
	standing.Misses = 0
	return errors.Join(k.nexcore.Jail(ctx, nexcore, "missed_leases"),
		k.standings.Set(ctx, nexcore, standing), k.schedule(ctx, heightOf(ctx), types.DueJail, nexcore))
}

// inputUnavailable notes that an operator could not fetch a job's inputs; enough operators end the job. The
// caller saves the job.
func (k *Keeper) inputUnavailable(ctx context.Context, p types.Params, job *types.Job, operator string) error {
	if job.EndReason != "" || slices.Contains(job.UnavailableOperators, operator) {
		return nil
	}
	job.UnavailableOperators = append(job.UnavailableOperators, operator)
	if uint32(len(job.UnavailableOperators)) < p.UnavailableOperators {
		return nil
	}
	return k.endJob(ctx, job, endUnavailable)
}
