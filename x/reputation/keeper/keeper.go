// Package keeper stores tallies, pair counts and outcome hashes, and moves them through the pure room score. It
// judges nothing: x/tasks says what happened, it never calls back and never touches money. Its place in the
// flow is the last step, settle.
package keeper

import (
	"context"
	"errors"

	"cosmossdk.io/collections"
	collcodec "cosmossdk.io/collections/codec"
	"cosmossdk.io/core/store"

	"github.com/cosmos/cosmos-sdk/codec"
	sdk "github.com/cosmos/cosmos-sdk/types"

	"github.com/nexara/nexara/x/reputation/score"
	"github.com/nexara/nexara/x/reputation/types"
)

type (
	// tallyKey is a subject and a dimension.
	tallyKey = collections.Pair[string, uint32]
	// pairKey is a requester and an operator.
	pairKey = collections.Pair[string, string]
)

// Keeper is the state of the scores.
type Keeper struct {
	authority string

	Schema      collections.Schema
	params      collections.Item[types.Params]
	pending     collections.Item[types.OutcomesHash] // of the block that runs; gone when it ends
	tallyCursor collections.Item[tallyKey]           // where the sweep goes on
	pairCursor  collections.Item[pairKey]
	tallies     collections.Map[tallyKey, types.Tally]
	pairs       collections.Map[pairKey, types.Pair]
	hashes      collections.Map[int64, types.OutcomesHash]
}

// NewKeeper returns the scores' keeper. The authority may change parameters.
func NewKeeper(cdc codec.BinaryCodec, storeService store.KVStoreService, authority string) *Keeper {
	sb := collections.NewSchemaBuilder(storeService)
	tallyKeys := collections.PairKeyCodec(collections.StringKey, collections.Uint32Key)
	pairKeys := collections.PairKeyCodec(collections.StringKey, collections.StringKey)
	k := &Keeper{
		authority: authority,

		params:      collections.NewItem(sb, types.ParamsKey, "params", codec.CollValue[types.Params](cdc)),
		pending:     collections.NewItem(sb, types.PendingKey, "pending", codec.CollValue[types.OutcomesHash](cdc)),
		tallyCursor: collections.NewItem(sb, types.TallyCursorKey, "tally_cursor", collcodec.KeyToValueCodec(tallyKeys)),
		pairCursor:  collections.NewItem(sb, types.PairCursorKey, "pair_cursor", collcodec.KeyToValueCodec(pairKeys)),
		tallies:     collections.NewMap(sb, types.TalliesKey, "tallies", tallyKeys, codec.CollValue[types.Tally](cdc)),
		pairs:       collections.NewMap(sb, types.PairsKey, "pairs", pairKeys, codec.CollValue[types.Pair](cdc)),
		hashes:      collections.NewMap(sb, types.HashesKey, "hashes", collections.Int64Key, codec.CollValue[types.OutcomesHash](cdc)),
	}
	schema, err := sb.Build()
	if err != nil {
		panic(err) // wiring: two collections share a prefix
	}
	k.Schema = schema
	return k
}

// Authority may change parameters.
func (k *Keeper) Authority() string { return k.authority }

// Params returns the parameters.
func (k *Keeper) Params(ctx context.Context) (types.Params, error) { return k.params.Get(ctx) }

// Lower returns a NexCore's lower confidence bound of completion, in millionths: 0 for a newcomer.
func (k *Keeper) Lower(ctx context.Context, nexcoreID uint64) (uint64, error) {
	p, err := k.params.Get(ctx)
	if err != nil {
		return 0, err
	}
	t, err := k.tally(ctx, p, types.NexCoreSubject(nexcoreID), types.DIMENSION_COMPLETION)
	if err != nil {
		return 0, err
	}
	return evidence(t).Lower(), nil
}

// tally returns a tally decayed to now, an empty one when there is none.
func (k *Keeper) tally(ctx context.Context, p types.Params, subject string, d types.Dimension) (types.Tally, error) {
	t, err := k.tallies.Get(ctx, collections.Join(subject, uint32(d)))
	if errors.Is(err, collections.ErrNotFound) {
		return types.Tally{Subject: subject, Dimension: d, Epoch: p.Epoch(heightOf(ctx))}, nil
	}
	return decayed(t, p, p.Epoch(heightOf(ctx))), err
}

// decayed returns a tally as of an epoch.
func decayed(t types.Tally, p types.Params, epoch uint64) types.Tally {
	left := evidence(t).Decay(score.Halvings(t.Epoch, epoch, p.HalfLifeEpochs))
	t.Good, t.Bad, t.Epoch = left.Good, left.Bad, epoch
	return t
}

// fade returns a pair's count as of an epoch: it halves with each.
func fade(p types.Pair, epoch uint64) types.Pair {
	p.Count = score.Halve(p.Count, score.Halvings(p.Epoch, epoch, 1))
	p.Epoch = epoch
	return p
}

func evidence(t types.Tally) score.Tally { return score.Tally{Good: t.Good, Bad: t.Bad} }

func heightOf(ctx context.Context) int64 { return sdk.UnwrapSDKContext(ctx).BlockHeight() }
