package keeper

import (
	"context"
	"errors"

	"cosmossdk.io/collections"

	"github.com/nexara/nexara/x/tasks/types"
	"github.com/nexara/nexara/x/tasks/verdict"
)

// prune deletes the records of jobs whose retention has ended, up to max_prune records in a block. What
// stays is a tombstone with the Merkle root over the job's leases, each leaf the canonical bytes of the
// lease followed by those of its payout. A job of many leases is folded over several blocks.
func (k *Keeper) prune(ctx context.Context, p types.Params) error {
	height := heightOf(ctx)
	budget := int(p.MaxPrune)
	var jobs []collections.Pair[int64, uint64]
	rng := new(collections.Range[collections.Pair[int64, uint64]]).EndExclusive(collections.Join(height+1, uint64(0)))
	if err := k.pruneQueue.Walk(ctx, rng, func(key collections.Pair[int64, uint64]) (bool, error) {
		jobs = append(jobs, key)
		return len(jobs) >= budget, nil
	}); err != nil {
		return err
	}
	for _, key := range jobs {
		if budget <= 0 {
			return nil
		}
		done := false
		kept := k.item(ctx, "prune", key.K2(), func(ctx context.Context) error {
			used, end, err := k.pruneJob(ctx, key.K2(), budget)
			budget -= used
			done = end
			return err
		})
		if !kept || done {
			if err := k.pruneQueue.Remove(ctx, key); err != nil {
				return err
			}
		}
		if !kept {
			if err := k.pruneQueue.Set(ctx, collections.Join(height+retryBlocks, key.K2())); err != nil {
				return err
			}
		}
	}
	return nil
}

// pruneJob deletes up to budget records of a job and says how many, and whether the job is gone.
func (k *Keeper) pruneJob(ctx context.Context, id uint64, budget int) (int, bool, error) {
	job, err := k.jobs.Get(ctx, id)
	if err != nil {
		return 0, true, ignoreMissing(err)
	}
	tomb, err := k.tombstones.Get(ctx, id)
	if err != nil && !errors.Is(err, collections.ErrNotFound) {
		return 0, false, err
	}
	leases, err := k.jobLeases(ctx, id, budget)
	if err != nil {
		return 0, false, err
	}
	frontier := verdict.Frontier{Count: uint64(tomb.Leases)}
	for _, peak := range tomb.Peaks {
		frontier.Peaks = append(frontier.Peaks, verdict.Hash(peak))
	}
	for _, lease := range leases {
		leaf, err := k.foldLease(ctx, id, lease)
		if err != nil {
			return 0, false, err
		}
		frontier.Add(leaf)
	}
	used := len(leases)
	tomb.JobId, tomb.Leases, tomb.Peaks = id, int64(frontier.Count), nil
	rest, err := k.pruneRanges(ctx, id, budget-used)
	if err != nil {
		return 0, false, err
	}
	used += rest
	if used >= budget { // perhaps more to do: keep the peaks for the next block
		for _, peak := range frontier.Peaks {
			tomb.Peaks = append(tomb.Peaks, peak[:])
		}
		return used, false, k.tombstones.Set(ctx, id, tomb)
	}
	root := frontier.Root()
	tomb.Root, tomb.Height, tomb.State = root[:], heightOf(ctx), JobState(job)
	emit(ctx, EventJobPruned, num("job", id), num("leases", tomb.Leases))
	return used + 1, true, errors.Join(
		k.tombstones.Set(ctx, id, tomb), k.jobs.Remove(ctx, id),
		k.jobsByOwner.Remove(ctx, collections.Join(job.Requester, id)), k.releaseShape(ctx, job.ShapeId),
	)
}

// foldLease deletes a lease and its payout and returns their canonical bytes.
func (k *Keeper) foldLease(ctx context.Context, job, id uint64) ([]byte, error) {
	leaf, err := k.leaseLeaf(ctx, id)
	if err != nil {
		return nil, err
	}
	return leaf, errors.Join(k.leases.Remove(ctx, id), k.payouts.Remove(ctx, id), k.leasesByJob.Remove(ctx, collections.Join(job, id)))
}

// leaseLeaf is what a tombstone's root commits to for one lease.
func (k *Keeper) leaseLeaf(ctx context.Context, id uint64) ([]byte, error) {
	lease, err := k.leases.Get(ctx, id)
	if err != nil {
		return nil, err
	}
	payout, err := k.payouts.Get(ctx, id)
	if err != nil && !errors.Is(err, collections.ErrNotFound) {
		return nil, err
	}
	a, err := k.cdc.Marshal(&lease)
	if err != nil {
		return nil, err
	}
	b, err := k.cdc.Marshal(&payout)
	return append(a, b...), err
}

func (k *Keeper) pruneRanges(ctx context.Context, job uint64, budget int) (int, error) {
	var keys []pair
	if budget <= 0 {
		return 0, nil
	}
	if err := k.ranges.Walk(ctx, collections.NewPrefixedPairRange[uint64, uint64](job), func(key pair, _ types.ShardRange) (bool, error) {
		keys = append(keys, key)
		return len(keys) >= budget, nil
	}); err != nil {
		return 0, err
	}
	for _, key := range keys {
		if err := k.ranges.Remove(ctx, key); err != nil {
			return 0, err
		}
	}
	return len(keys), nil
}
