package keeper

import (
	"context"
	"errors"

	"cosmossdk.io/collections"

	"github.com/nexara/nexara/x/reputation/types"
)

// InitGenesis stores a state. A chain that starts over at a low height is in an earlier epoch than its records:
// they are then as of the first.
func (k *Keeper) InitGenesis(ctx context.Context, g *types.GenesisState) error {
	if err := g.Validate(); err != nil {
		return err
	}
	epoch := g.Params.Epoch(heightOf(ctx))
	err := k.params.Set(ctx, g.Params)
	for _, t := range g.Tallies {
		t.Epoch = min(t.Epoch, epoch)
		err = errors.Join(err, k.tallies.Set(ctx, collections.Join(t.Subject, uint32(t.Dimension)), t))
	}
	for _, p := range g.Pairs {
		p.Epoch = min(p.Epoch, epoch)
		err = errors.Join(err, k.pairs.Set(ctx, collections.Join(p.Requester, p.Operator), p))
	}
	for _, h := range g.Hashes {
		err = errors.Join(err, k.hashes.Set(ctx, h.Height, h))
	}
	return err
}

// ExportGenesis returns the whole state, decayed to now: halving is the same in one step or in two, so
// nothing changes by it, and a chain that starts over keeps the scores of this moment.
func (k *Keeper) ExportGenesis(ctx context.Context) (*types.GenesisState, error) {
	p, err := k.params.Get(ctx)
	if err != nil {
		return nil, err
	}
	epoch := p.Epoch(heightOf(ctx))
	g := &types.GenesisState{Params: p}
	err = errors.Join(
		k.tallies.Walk(ctx, nil, func(_ tallyKey, t types.Tally) (bool, error) {
			if t = decayed(t, p, epoch); !evidence(t).Zero() {
				g.Tallies = append(g.Tallies, t)
			}
			return false, nil
		}),
		k.pairs.Walk(ctx, nil, func(_ pairKey, pair types.Pair) (bool, error) {
			if pair = fade(pair, epoch); pair.Count > 0 {
				g.Pairs = append(g.Pairs, pair)
			}
			return false, nil
		}),
		k.hashes.Walk(ctx, nil, func(_ int64, h types.OutcomesHash) (bool, error) {
			g.Hashes = append(g.Hashes, h)
			return false, nil
		}),
	)
	return g, err
}
