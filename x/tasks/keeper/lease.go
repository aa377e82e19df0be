package keeper

import (
	"context"
	"errors"

	"cosmossdk.io/collections"

	nexcoretypes "github.com/nexara/nexara/x/nexcore/types"
	reputationtypes "github.com/nexara/nexara/x/reputation/types"

	"github.com/nexara/nexara/x/denom"
	"github.com/nexara/nexara/x/tasks/auction"
	"github.com/nexara/nexara/x/tasks/escrow"
	"github.com/nexara/nexara/x/tasks/lifecycle"
	"github.com/nexara/nexara/x/tasks/types"
)

func leaseState(l types.Lease) lifecycle.LeaseState { return lifecycle.LeaseState(l.State) }

// stepLease moves a lease by an event.
func stepLease(l *types.Lease, event lifecycle.Event) error {
	to, reason, err := lifecycle.StepLease(leaseState(*l), event)
	if err != nil {
		return types.ErrState.Wrapf("lease %d: %s", l.Id, err)
	}
	l.State, l.Reason = types.LeaseState(to), reason
	return nil
}

// assign turns a match of the clearing into a lease: shards leave the book, the payment is locked in the bond.
func (k *Keeper) assign(ctx context.Context, p types.Params, m auction.Match) error {
	height := heightOf(ctx)
	job, err := k.jobs.Get(ctx, m.JobID)
	if err != nil {
		return err
	}
	nexcore, err := k.nexcore.GetNexCore(ctx, m.NexCoreID)
	if err != nil {
		return err
	}
	taken, err := k.takeOpen(ctx, m.JobID, m.First, m.Count)
	if err != nil {
		return err
	}
	if err := k.chargeBook(ctx, p, &job, &taken); err != nil {
		return err
	}
	lock, err := k.nexcore.Lock(ctx, m.NexCoreID, m.Price*m.Count)
	if err != nil {
		return err
	}
	id, err := k.nextLease.Next(ctx)
	if err != nil {
		return err
	}
	if err := stepRange(&job, &taken, lifecycle.Match); err != nil {
		return err
	}
	taken.Attempt++
	taken.LeaseId, taken.OpenSince = id, 0
	lease := types.Lease{
		Id: id, JobId: job.Id, First: taken.First, Count: taken.Count, NexcoreId: m.NexCoreID,
		Operator: nexcore.Operator, Requester: job.Requester, Kind: types.LEASE_KIND_BATCH,
		Price: m.Price, Rent: m.Rent, Burn: auction.Burn(m.Price+m.Rent, p.BurnPpm), Limit: taken.Limit, Charged: taken.Charged,
		State: types.LEASE_STATE_ASSIGNED, Reason: taken.Reason, Attempt: taken.Attempt, LockId: lock,
		AssignedHeight: height, AckBy: height + p.AckBaseBlocks + ceilDiv(job.FetchBytes, p.AckBytesPerBlock),
	}
	standing, err := k.standing(ctx, m.NexCoreID)
	if err != nil {
		return err
	}
	occupy(&standing, job.Shape.Need, lease.Count, 1)
	standing.OpenLeases++
	key := collections.Join(lease.NexcoreId, id)
	if err := errors.Join(
		k.saveRange(ctx, taken), k.jobs.Set(ctx, job.Id, job), k.leases.Set(ctx, id, lease),
		k.leasesByJob.Set(ctx, collections.Join(job.Id, id)), k.liveByJob.Set(ctx, collections.Join(job.Id, id)),
		k.liveByNode.Set(ctx, key), k.standings.Set(ctx, m.NexCoreID, standing),
		k.schedule(ctx, lease.AckBy+1, types.DueAcknowledge, id),
		k.updateTotals(ctx, func(t *types.Totals) { t.Leases++; t.LiveLeases++ }),
	); err != nil {
		return err
	}
	emitLease(ctx, lease, EventLeaseAssigned)
	return nil
}

// takeOpen cuts [first, first+count) out of the open range that holds it.
func (k *Keeper) takeOpen(ctx context.Context, job uint64, first, count int64) (types.ShardRange, error) {
	r, err := k.openRangeOf(ctx, job, first)
	if err != nil {
		return r, err
	}
	if first+count > r.First+r.Count {
		return r, types.ErrState.Wrapf("shards %d+%d of job %d are not open", first, count, job)
	}
	if err := k.removeOpen(ctx, r); err != nil {
		return r, err
	}
	if head := first - r.First; head > 0 {
		left := r
		left.Count = head
		if err := k.putOpen(ctx, left); err != nil {
			return r, err
		}
	}
	if tail := r.First + r.Count - first - count; tail > 0 {
		right := r
		right.First, right.Count = first+count, tail
		if err := k.putOpen(ctx, right); err != nil {
			return r, err
		}
	}
	r.First, r.Count = first, count
	return r, nil
}

// openRangeOf returns the open range that may hold a shard: the one that starts at it, or the last before.
func (k *Keeper) openRangeOf(ctx context.Context, job uint64, first int64) (types.ShardRange, error) {
	r, err := k.book.Get(ctx, collections.Join(job, uint64(first)))
	if err == nil || !errors.Is(err, collections.ErrNotFound) {
		return r, err
	}
	rng := collections.NewPrefixedPairRange[uint64, uint64](job).EndInclusive(uint64(first)).Descending()
	err = k.book.Walk(ctx, rng, func(_ pair, v types.ShardRange) (bool, error) {
		r = v
		return true, nil
	})
	return r, err
}

// occupy adds (sign 1) or frees (sign -1) the capacity of a live lease.
func occupy(s *types.Standing, need types.Resources, shards, sign int64) {
	n := shards * sign
	s.Used.CpuMilli += need.CpuMilli * n
	s.Used.MemoryMib += need.MemoryMib * n
	s.Used.DiskMib += need.DiskMib * n
	s.Used.Gpus += need.Gpus * n
	s.LiveLeases += sign
}

// Acknowledge notes that a NexCore has image and inputs of leases on disk.
func (k *Keeper) Acknowledge(ctx context.Context, nexcore nexcoretypes.NexCore, id uint64) error {
	p, err := k.params.Get(ctx)
	if err != nil {
		return err
	}
	lease, err := k.nodeLease(ctx, nexcore, id)
	if err != nil {
		return err
	}
	job, err := k.jobs.Get(ctx, lease.JobId)
	if err != nil {
		return err
	}
	if err := inTime(ctx, job, lease); err != nil {
		return err
	}
	if err := stepLease(&lease, lifecycle.Acknowledge); err != nil {
		return err
	}
	if _, err := k.stepShards(ctx, &job, lease, lifecycle.Acknowledge); err != nil {
		return err
	}
	height := heightOf(ctx)
	lease.AckedHeight = height
	lease.DeliverBy = height + runBlocks(p, job.Shape.RunSeconds)
	if err := errors.Join(
		k.leases.Set(ctx, id, lease), k.jobs.Set(ctx, job.Id, job),
		k.schedule(ctx, lease.DeliverBy+1, types.DueDeliver, id),
		k.record(ctx, lease, reputationtypes.DIMENSION_AVAILABILITY, true, lease.Count),
	); err != nil {
		return err
	}
	emitLease(ctx, lease, EventLeaseMoved)
	return nil
}

// inTime refuses what a NexCore says of a lease after its deadline: the queue may be late, the deadline is not.
// The last block that counts is the deadline's own, so the deadline's entry falls due one block later. It also
// refuses to take up a lease whose job was cancelled before: EndBlock refunds that, and an acknowledgement in
// between would turn it into full pay.
func inTime(ctx context.Context, job types.Job, lease types.Lease) error {
	height := heightOf(ctx)
	switch {
	case lease.State == types.LEASE_STATE_ASSIGNED && job.Cancelled:
		return types.ErrState.Wrapf("job %d was cancelled before lease %d was acknowledged", job.Id, lease.Id)
	case lease.State == types.LEASE_STATE_ASSIGNED && height > lease.AckBy:
		return types.ErrState.Wrapf("lease %d was to be acknowledged by block %d, now is %d", lease.Id, lease.AckBy, height)
	case lease.State == types.LEASE_STATE_ACKNOWLEDGED && height > lease.DeliverBy:
		return types.ErrState.Wrapf("lease %d was to be delivered by block %d, now is %d", lease.Id, lease.DeliverBy, height)
	}
	return nil
}

// runBlocks is the window of a result: the declared run time with slack, in blocks, and a grace.
func runBlocks(p types.Params, runSeconds int64) int64 {
	ms := runSeconds * 1_000
	return ceilDiv(ms+escrow.Share(ms, p.DeliverSlackPpm), p.BlockMs) + p.GraceBlocks
}

func ceilDiv(a, b int64) int64 { return (a + b - 1) / b }

// stepShards moves all shards of a lease and says in how many ranges they stand.
func (k *Keeper) stepShards(ctx context.Context, job *types.Job, lease types.Lease, event lifecycle.Event) (int64, error) {
	ranges, err := k.leaseRanges(ctx, lease)
	if err != nil {
		return 0, err
	}
	for _, r := range ranges {
		if err := stepRange(job, &r, event); err != nil {
			return 0, err
		}
		if err := k.saveRange(ctx, r); err != nil {
			return 0, err
		}
	}
	return int64(len(ranges)), nil
}

// nodeLease loads a lease of a NexCore.
func (k *Keeper) nodeLease(ctx context.Context, nexcore nexcoretypes.NexCore, id uint64) (types.Lease, error) {
	lease, err := k.leases.Get(ctx, id)
	if err != nil {
		return lease, found(err, "lease", id)
	}
	if lease.NexcoreId != nexcore.Id {
		return lease, types.ErrUnauthorized.Wrapf("lease %d is another NexCore's", id)
	}
	return lease, nil
}

// unlive takes a lease off the live indexes.
func (k *Keeper) unlive(ctx context.Context, l types.Lease) error {
	return errors.Join(k.liveByNode.Remove(ctx, collections.Join(l.NexcoreId, l.Id)),
		k.liveByJob.Remove(ctx, collections.Join(l.JobId, l.Id)),
		k.updateTotals(ctx, func(t *types.Totals) { t.LiveLeases-- }))
}

// record tells x/reputation of an outcome of n shards of a lease.
func (k *Keeper) record(ctx context.Context, l types.Lease, d reputationtypes.Dimension, good bool, n int64) error {
	return k.reputation.Record(ctx, reputationtypes.Fact{
		NexCoreID: l.NexcoreId, Operator: l.Operator, Requester: l.Requester, Dimension: d, Good: good,
		Burn: min(l.Burn*n, denom.MaxUnex), LeaseID: l.Id, Reason: l.Reason,
	})
}

// recordRequester tells x/reputation whether a requester's inputs could be fetched.
func (k *Keeper) recordRequester(ctx context.Context, l types.Lease, good bool) error {
	return k.reputation.Record(ctx, reputationtypes.Fact{
		NexCoreID: l.NexcoreId, Operator: l.Operator, Requester: l.Requester, AboutRequester: true,
		Dimension: reputationtypes.DIMENSION_REQUESTER, Good: good, Burn: l.Burn * l.Count, LeaseID: l.Id, Reason: l.Reason,
	})
}
