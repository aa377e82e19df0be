package keeper

import (
	"context"
	"errors"

	"cosmossdk.io/collections"

	"github.com/nexara/nexara/x/tasks/auction"
	"github.com/nexara/nexara/x/tasks/escrow"
	"github.com/nexara/nexara/x/tasks/lifecycle"
	"github.com/nexara/nexara/x/tasks/types"
)

// Why a job's waiting shards were ended, as stored in Job.EndReason.
const (
	endCancelled   = "cancelled"
	endUnavailable = "input_unavailable"
	endExpired     = "expired"
)

// endEvent is the event that ends an open shard for a job's end reason.
func endEvent(reason string) lifecycle.Event {
	switch reason {
	case endCancelled:
		return lifecycle.Cancel
	case endUnavailable:
		return lifecycle.Unavailable
	default:
		return lifecycle.Expire
	}
}

// JobState derives a job's state from its shards.
func JobState(j types.Job) string {
	c := j.Counts
	switch {
	case c.Settled == j.Shards && j.Cancelled: // first: running shards of a cancelled job are paid too
		return "cancelled"
	case c.Settled == j.Shards && c.Paid == j.Shards:
		return "completed"
	case c.Settled == j.Shards && c.Paid > 0:
		return "partial"
	case c.Settled == j.Shards:
		return "failed"
	case c.Leased+c.Running > 0:
		return "running"
	case c.Open > 0:
		return "waiting"
	default:
		return "delivered"
	}
}

// Submit stores a new job and locks its all-in limit. Its shards enter the book in this block.
func (k *Keeper) Submit(ctx context.Context, msg *types.MsgSubmit) (uint64, error) {
	p, err := k.params.Get(ctx)
	if err != nil {
		return 0, err
	}
	if err := msg.Validate(p); err != nil {
		return 0, err
	}
	if err := k.payable(msg.Requester); err != nil {
		return 0, err
	}
	total := msg.Shards * msg.Limit
	if err := k.lockEscrow(ctx, msg.Requester, total); err != nil {
		return 0, err
	}
	shapeID, err := k.internShape(ctx, msg.Shape)
	if err != nil {
		return 0, err
	}
	id, err := k.nextJob.Next(ctx)
	if err != nil {
		return 0, err
	}
	height := heightOf(ctx)
	job := types.Job{
		Id: id, Requester: msg.Requester, Name: msg.Name, Shape: msg.Shape, ShapeId: shapeID, Shards: msg.Shards,
		Limit: msg.Limit, MaxAttempts: msg.MaxAttempts, SpecCid: msg.SpecCid, ImageCid: msg.ImageCid,
		FetchBytes: msg.FetchBytes, SubmitHeight: height, DeadlineHeight: height + msg.WaitBlocks,
		Escrow: total, Counts: types.ShardCounts{Open: msg.Shards},
	}
	if err := errors.Join(
		k.jobs.Set(ctx, id, job),
		k.jobsByOwner.Set(ctx, collections.Join(job.Requester, id)),
		k.putOpen(ctx, types.ShardRange{
			JobId: id, Count: job.Shards, State: types.SHARD_STATE_OPEN, Limit: job.Limit, OpenSince: height,
			EnteredHeight: height, ShapeId: shapeID, Reason: "submitted",
		}),
		k.schedule(ctx, job.DeadlineHeight, types.DueJob, id),
		k.updateTotals(ctx, func(t *types.Totals) { t.Jobs++; t.Shards += job.Shards }),
	); err != nil {
		return 0, err
	}
	emit(ctx, EventJobSubmitted, num("job", id), word("requester", job.Requester), num("shards", job.Shards),
		num("limit", job.Limit), num("escrow", total))
	return id, nil
}

// internShape gives equal shapes one number, so that the book holds demand classes.
func (k *Keeper) internShape(ctx context.Context, shape types.Shape) (uint64, error) {
	digest, err := auctionShape(shape).Digest()
	if err != nil {
		return 0, types.ErrInvalidShape.Wrap(err.Error())
	}
	id, err := k.shapeID.Get(ctx, digest[:])
	switch {
	case err == nil:
		record, err := k.shapes.Get(ctx, id)
		if err != nil {
			return 0, err
		}
		record.Jobs++
		return id, k.shapes.Set(ctx, id, record)
	case !errors.Is(err, collections.ErrNotFound):
		return 0, err
	}
	if id, err = k.nextShape.Next(ctx); err != nil {
		return 0, err
	}
	return id, errors.Join(k.shapeID.Set(ctx, digest[:], id),
		k.shapes.Set(ctx, id, types.ShapeRecord{Id: id, Shape: shape, Jobs: 1}))
}

// releaseShape forgets a shape with its last job.
func (k *Keeper) releaseShape(ctx context.Context, id uint64) error {
	record, err := k.shapes.Get(ctx, id)
	if err != nil {
		return err
	}
	if record.Jobs--; record.Jobs > 0 {
		return k.shapes.Set(ctx, id, record)
	}
	digest, err := auctionShape(record.Shape).Digest()
	if err != nil {
		return err
	}
	return errors.Join(k.shapeID.Remove(ctx, digest[:]), k.shapes.Remove(ctx, id))
}

// TopUp raises the limit of shards that wait in the book, and accepts the asks as they are now.
func (k *Keeper) TopUp(ctx context.Context, msg *types.MsgTopUp) (int64, error) {
	p, err := k.params.Get(ctx)
	if err != nil {
		return 0, err
	}
	if err := msg.Validate(p); err != nil {
		return 0, err
	}
	job, err := k.ownJob(ctx, msg.JobId, msg.Requester)
	if err != nil {
		return 0, err
	}
	if job.EndReason != "" || job.Counts.Open == 0 {
		return 0, types.ErrState.Wrapf("job %d has no shard in the book", job.Id)
	}
	if _, err := escrow.Total(job.Shards, msg.Limit); err != nil {
		return 0, types.ErrLimit.Wrapf("limit %d for each of %d shards: the sum is out of range", msg.Limit, job.Shards)
	}
	open, err := k.openRanges(ctx, job.Id, -1)
	if err != nil {
		return 0, err
	}
	paid := int64(0)
	for _, r := range open {
		if msg.Limit <= r.Limit {
			return 0, types.ErrLimit.Wrapf("limit %d is not above %d", msg.Limit, r.Limit)
		}
		paid += (msg.Limit - r.Limit) * r.Count
		r.Limit, r.EnteredHeight = msg.Limit, heightOf(ctx) // a new order: it sees the asks of this block
		if err := k.book.Set(ctx, rangeKey(r), r); err != nil {
			return 0, err
		}
	}
	if err := k.lockEscrow(ctx, job.Requester, paid); err != nil {
		return 0, err
	}
	job.Escrow += paid
	job.Limit = msg.Limit
	emit(ctx, EventJobToppedUp, num("job", job.Id), num("limit", msg.Limit), num("paid", paid))
	return paid, k.jobs.Set(ctx, job.Id, job)
}

// Cancel ends a job: EndBlock refunds waiting and unacknowledged shards and pays running ones in full. A job that
// was ending already keeps its reason, and what that costs.
func (k *Keeper) Cancel(ctx context.Context, msg *types.MsgCancel) error {
	job, err := k.ownJob(ctx, msg.JobId, msg.Requester)
	if err != nil {
		return err
	}
	if job.Cancelled || job.Counts.Open+job.Counts.Leased+job.Counts.Running == 0 {
		return types.ErrState.Wrapf("job %d has nothing left to cancel", job.Id)
	}
	job.Cancelled = true
	return errors.Join(k.endJob(ctx, &job, endCancelled), k.jobs.Set(ctx, job.Id, job))
}

// endJob marks a job as ending; its shards end in this block's EndBlock, or in the next ones when they are many.
// The first reason stays. The caller saves the job.
func (k *Keeper) endJob(ctx context.Context, job *types.Job, reason string) error {
	if job.EndReason == "" {
		job.EndReason = reason
	}
	emit(ctx, EventJobEnding, num("job", job.Id), word("reason", reason))
	return k.schedule(ctx, heightOf(ctx), types.DueJob, job.Id)
}

// ownJob loads a job of a requester.
func (k *Keeper) ownJob(ctx context.Context, id uint64, requester string) (types.Job, error) {
	job, err := k.jobs.Get(ctx, id)
	if err != nil {
		return job, found(err, "job", id)
	}
	if job.Requester != requester {
		return job, types.ErrUnauthorized.Wrapf("job %d is another requester's", id)
	}
	return job, nil
}

// openRanges returns up to limit open ranges of a job, all when limit is negative.
func (k *Keeper) openRanges(ctx context.Context, job uint64, limit int) ([]types.ShardRange, error) {
	var out []types.ShardRange
	if limit == 0 {
		return nil, nil
	}
	err := k.book.Walk(ctx, collections.NewPrefixedPairRange[uint64, uint64](job), func(_ pair, r types.ShardRange) (bool, error) {
		out = append(out, r)
		return limit > 0 && len(out) >= limit, nil
	})
	return out, err
}

// finishJob stores a job and, with its last shard settled, ends it.
func (k *Keeper) finishJob(ctx context.Context, p types.Params, job types.Job) error {
	if job.Counts.Settled == job.Shards && job.EndedHeight == 0 {
		job.EndedHeight = heightOf(ctx)
		emit(ctx, EventJobEnded, num("job", job.Id), word("state", JobState(job)), num("paid", job.Counts.Paid))
		if err := k.pruneQueue.Set(ctx, collections.Join(job.EndedHeight+p.RetentionBlocks, job.Id)); err != nil {
			return err
		}
	}
	return k.jobs.Set(ctx, job.Id, job)
}

// auctionShape is a shape in the auction's terms.
func auctionShape(s types.Shape) auction.Shape {
	return auction.Shape{
		Need:    resources(s.Need),
		Runtime: s.Runtime, Arch: s.Arch, Regions: s.Regions, GPUModel: s.GpuModel,
		Network: s.Network, RunSeconds: s.RunSeconds, MinScorePPM: s.MinScorePpm,
	}
}

func resources(r types.Resources) auction.Resources {
	return auction.Resources{r.CpuMilli, r.MemoryMib, r.DiskMib, r.Gpus}
}
