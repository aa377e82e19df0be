package keeper

import (
	"context"
	"encoding/hex"
	"errors"

	"cosmossdk.io/collections"

	"github.com/nexara/nexara/x/reputation/types"
)

// EndBlock stores the block's commitment if the block had outcomes, forgets expired ones and sweeps a few
// records that decayed to nothing. All of it is bounded by constants.
func (k *Keeper) EndBlock(ctx context.Context) error {
	p, err := k.params.Get(ctx)
	if err != nil {
		return err
	}
	return errors.Join(k.seal(ctx), k.prune(ctx, p), k.sweepTallies(ctx, p), k.sweepPairs(ctx, p))
}

// seal moves the running commitment to the stored ones.
func (k *Keeper) seal(ctx context.Context) error {
	pending, err := k.pending.Get(ctx)
	if errors.Is(err, collections.ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	emit(ctx, types.EventHash, num("height", uint64(pending.Height)), attr("hash", hex.EncodeToString(pending.Hash)),
		num("count", pending.Count))
	return errors.Join(k.hashes.Set(ctx, pending.Height, pending), k.pending.Remove(ctx))
}

// prune forgets the hashes of blocks more than hash_retention ago, oldest first.
func (k *Keeper) prune(ctx context.Context, p types.Params) error {
	oldest := heightOf(ctx) - int64(p.HashRetention)
	old := make([]int64, 0, types.PrunePerBlock)
	if err := k.hashes.Walk(ctx, new(collections.Range[int64]).EndExclusive(oldest), func(height int64, _ types.OutcomesHash) (bool, error) {
		old = append(old, height)
		return len(old) >= types.PrunePerBlock, nil
	}); err != nil {
		return err
	}
	for _, height := range old {
		if err := k.hashes.Remove(ctx, height); err != nil {
			return err
		}
	}
	return nil
}

// sweepTallies forgets tallies that decayed to nothing: they equal those never written.
func (k *Keeper) sweepTallies(ctx context.Context, p types.Params) error {
	epoch := p.Epoch(heightOf(ctx))
	return sweep(ctx, k.tallies, k.tallyCursor, func(t types.Tally) bool {
		t = decayed(t, p, epoch)
		return evidence(t).Zero()
	})
}

// sweepPairs forgets pairs that have not dealt for long.
func (k *Keeper) sweepPairs(ctx context.Context, p types.Params) error {
	epoch := p.Epoch(heightOf(ctx))
	return sweep(ctx, k.pairs, k.pairCursor, func(pair types.Pair) bool { return fade(pair, epoch).Count == 0 })
}

// sweep looks at the next types.SweepPerBlock records after a cursor and removes those that are empty. At the
// end of the map it starts over with the next block.
func sweep[K, V any](ctx context.Context, m collections.Map[K, V], cursor collections.Item[K], empty func(V) bool) error {
	from := new(collections.Range[K])
	start, err := cursor.Get(ctx)
	switch {
	case err == nil:
		from = from.StartExclusive(start)
	case !errors.Is(err, collections.ErrNotFound):
		return err
	}
	seen, gone := 0, make([]K, 0, types.SweepPerBlock)
	last := start
	if err := m.Walk(ctx, from, func(key K, value V) (bool, error) {
		seen, last = seen+1, key
		if empty(value) {
			gone = append(gone, key)
		}
		return seen >= types.SweepPerBlock, nil
	}); err != nil {
		return err
	}
	for _, key := range gone {
		if err := m.Remove(ctx, key); err != nil {
			return err
		}
	}
	if seen < types.SweepPerBlock {
		if err == nil { // a cursor is stored and the end is reached
			return cursor.Remove(ctx)
		}
		return nil
	}
	return cursor.Set(ctx, last)
}
