package keeper

import (
	"context"
	"errors"
	"slices"

	"cosmossdk.io/collections"

	"github.com/nexara/nexara/x/tasks/auction"
	"github.com/nexara/nexara/x/tasks/types"
)

// ClearingFiles keeps the model files of the last clearings on this node, so that anyone can check them. They
// are no state: each record has the digest of its file. Keep must not block and must not fail the block.
type ClearingFiles interface {
	// Keep stores the file of a clearing. It may be called again for a height, the last call counts.
	Keep(height int64, file []byte)
	// Read returns up to limit bytes from an offset, and the size of the file; types.ErrNotFound without one.
	Read(height, offset int64, limit int) (data []byte, size int64, err error)
}

// KeepFiles sets where this node keeps model files.
func (k *Keeper) KeepFiles(files ClearingFiles) { k.files = files }

// UseSolver replaces the solver. All validators must run the same: one that does not is outvoted.
func (k *Keeper) UseSolver(solver auction.Solver) { k.solver = solver }

// modelChunk bounds one answer of the ClearingModel query, in bytes.
const modelChunk = 1 << 20

// LastClearing returns the record of the last clearing, collections.ErrNotFound before the first.
func (k *Keeper) LastClearing(ctx context.Context) (out types.Clearing, err error) {
	err = collections.ErrNotFound
	walkErr := k.clearings.Walk(ctx, new(collections.Range[int64]).Descending(), func(_ int64, v types.Clearing) (bool, error) {
		out, err = v, nil
		return true, nil
	})
	return out, errors.Join(err, walkErr)
}

// pruneClearings deletes records older than clearings_kept, two in a block: one is made in each.
func (k *Keeper) pruneClearings(ctx context.Context, p types.Params) error {
	var old []int64
	end := heightOf(ctx) - p.ClearingsKept
	rng := new(collections.Range[int64]).EndInclusive(end)
	if err := k.clearings.Walk(ctx, rng, func(height int64, _ types.Clearing) (bool, error) {
		old = append(old, height)
		return len(old) == 2, nil
	}); err != nil {
		return err
	}
	for _, height := range old {
		if err := k.clearings.Remove(ctx, height); err != nil {
			return err
		}
	}
	return nil
}

// hints are the prices of the last clearing: where the solver starts. They come from state, so that a node that
// restarts starts there too.
func (k *Keeper) hints(ctx context.Context) ([]auction.Hint, error) {
	last, err := k.LastClearing(ctx)
	if errors.Is(err, collections.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	out := make([]auction.Hint, len(last.Prices))
	for i, p := range last.Prices {
		out[i] = auction.Hint{NexCoreID: p.NexcoreId, Prices: auction.Prices{Slot: p.Slot, Tie: p.Tie}, Width: p.Width}
		copy(out[i].Dims[:], p.Dims)
	}
	return out, nil
}

func clearingPrice(p auction.Priced) types.ClearingPrice {
	out := types.ClearingPrice{NexcoreId: p.NexCoreID, Slot: p.Slot, Tie: p.Tie, Width: p.Width}
	if p.Dims != (auction.Dims{}) {
		out.Dims = slices.Clone(p.Dims[:])
	}
	return out
}

// clearing returns a record by height, the last one for 0.
func (k *Keeper) clearing(ctx context.Context, height int64) (types.Clearing, error) {
	if height == 0 {
		last, err := k.LastClearing(ctx)
		return last, found(err, "clearing of block", 0)
	}
	record, err := k.clearings.Get(ctx, height)
	return record, found(err, "clearing of block", uint64(max(height, 0)))
}
