// Package keeper loads, decides through the pure rooms (lifecycle, auction, escrow, verdict) and saves:
// it holds the market's state and none of its rules. Its place in the flow is from price to settle.
package keeper

import (
	"context"
	"errors"

	"cosmossdk.io/collections"
	collcodec "cosmossdk.io/collections/codec"
	"cosmossdk.io/core/store"

	"github.com/cosmos/cosmos-sdk/codec"
	sdk "github.com/cosmos/cosmos-sdk/types"

	"github.com/nexara/nexara/x/tasks/auction"
	"github.com/nexara/nexara/x/tasks/types"
)

type (
	// pair is a two-part key of numbers.
	pair = collections.Pair[uint64, uint64]
	// due is (height, kind, id).
	due = collections.Triple[int64, uint64, uint64]
)

// Keeper is the market's state.
type Keeper struct {
	cdc        codec.BinaryCodec
	bank       types.BankKeeper
	nexcore    types.NexCoreKeeper
	reputation types.ReputationKeeper
	authority  string
	solver     auction.Solver
	files      ClearingFiles // of this node; nil keeps none

	Schema      collections.Schema
	params      collections.Item[types.Params]
	totals      collections.Item[types.Totals]
	seed        collections.Item[[]byte]
	clearings   collections.Map[int64, types.Clearing] // by height, the last clearings_kept
	nextJob     collections.Sequence
	nextLease   collections.Sequence
	nextShape   collections.Sequence
	bookCursor  collections.Item[pair] // the open range that the next clearing reads first
	offerCursor collections.Item[uint64]

	offers      collections.Map[uint64, types.Offer]
	standings   collections.Map[uint64, types.Standing]
	shapes      collections.Map[uint64, types.ShapeRecord]
	shapeID     collections.Map[[]byte, uint64]
	jobs        collections.Map[uint64, types.Job]
	jobsByOwner collections.KeySet[collections.Pair[string, uint64]]
	book        collections.Map[pair, types.ShardRange] // open shards
	ranges      collections.Map[pair, types.ShardRange] // all other shards
	leases      collections.Map[uint64, types.Lease]
	leasesByJob collections.KeySet[pair]
	liveByNode  collections.KeySet[pair] // assigned and acknowledged leases of a NexCore
	liveByJob   collections.KeySet[pair] // assigned and acknowledged leases of a job
	payouts     collections.Map[uint64, types.Payout]
	queue       collections.KeySet[due]
	settleQueue collections.KeySet[uint64]
	pruneQueue  collections.KeySet[collections.Pair[int64, uint64]] // (height, ended job)
	tombstones  collections.Map[uint64, types.Tombstone]
}

// NewKeeper returns the market's keeper. The authority may change parameters.
func NewKeeper(cdc codec.BinaryCodec, storeService store.KVStoreService, bank types.BankKeeper,
	nexcore types.NexCoreKeeper, reputation types.ReputationKeeper, authority string,
) *Keeper {
	sb := collections.NewSchemaBuilder(storeService)
	numbers := collections.PairKeyCodec(collections.Uint64Key, collections.Uint64Key)
	k := &Keeper{
		cdc: cdc, bank: bank, nexcore: nexcore, reputation: reputation, authority: authority,
		solver: auction.Optimal{},

		params:      collections.NewItem(sb, types.ParamsKey, "params", codec.CollValue[types.Params](cdc)),
		totals:      collections.NewItem(sb, types.TotalsKey, "totals", codec.CollValue[types.Totals](cdc)),
		seed:        collections.NewItem(sb, types.SeedKey, "seed", collections.BytesValue),
		clearings:   collections.NewMap(sb, types.ClearingKey, "clearings", collections.Int64Key, codec.CollValue[types.Clearing](cdc)),
		nextJob:     collections.NewSequence(sb, types.NextJobKey, "next_job"),
		nextLease:   collections.NewSequence(sb, types.NextLeaseKey, "next_lease"),
		nextShape:   collections.NewSequence(sb, types.NextShapeKey, "next_shape"),
		bookCursor:  collections.NewItem(sb, types.BookCursorKey, "book_cursor", collcodec.KeyToValueCodec(numbers)),
		offerCursor: collections.NewItem(sb, types.OfferCursorKey, "offer_cursor", collections.Uint64Value),

		offers:    collections.NewMap(sb, types.OffersKey, "offers", collections.Uint64Key, codec.CollValue[types.Offer](cdc)),
		standings: collections.NewMap(sb, types.StandingsKey, "standings", collections.Uint64Key, codec.CollValue[types.Standing](cdc)),
		shapes:    collections.NewMap(sb, types.ShapesKey, "shapes", collections.Uint64Key, codec.CollValue[types.ShapeRecord](cdc)),
		shapeID:   collections.NewMap(sb, types.ShapeDigestKey, "shape_id", collections.BytesKey, collections.Uint64Value),
		jobs:      collections.NewMap(sb, types.JobsKey, "jobs", collections.Uint64Key, codec.CollValue[types.Job](cdc)),
		jobsByOwner: collections.NewKeySet(sb, types.JobsByOwnerKey, "jobs_by_owner",
			collections.PairKeyCodec(collections.StringKey, collections.Uint64Key)),
		book:        collections.NewMap(sb, types.BookKey, "book", numbers, codec.CollValue[types.ShardRange](cdc)),
		ranges:      collections.NewMap(sb, types.RangesKey, "ranges", numbers, codec.CollValue[types.ShardRange](cdc)),
		leases:      collections.NewMap(sb, types.LeasesKey, "leases", collections.Uint64Key, codec.CollValue[types.Lease](cdc)),
		leasesByJob: collections.NewKeySet(sb, types.LeasesByJobKey, "leases_by_job", numbers),
		liveByNode:  collections.NewKeySet(sb, types.LiveByNodeKey, "live_by_node", numbers),
		liveByJob:   collections.NewKeySet(sb, types.LiveByJobKey, "live_by_job", numbers),
		payouts:     collections.NewMap(sb, types.PayoutsKey, "payouts", collections.Uint64Key, codec.CollValue[types.Payout](cdc)),
		queue: collections.NewKeySet(sb, types.QueueKey, "queue",
			collections.TripleKeyCodec(collections.Int64Key, collections.Uint64Key, collections.Uint64Key)),
		settleQueue: collections.NewKeySet(sb, types.SettleQueueKey, "settle_queue", collections.Uint64Key),
		pruneQueue: collections.NewKeySet(sb, types.PruneQueueKey, "prune_queue",
			collections.PairKeyCodec(collections.Int64Key, collections.Uint64Key)),
		tombstones: collections.NewMap(sb, types.TombstonesKey, "tombstones", collections.Uint64Key, codec.CollValue[types.Tombstone](cdc)),
	}
	schema, err := sb.Build()
	if err != nil {
		panic(err) // wiring: two collections share a prefix
	}
	k.Schema = schema
	return k
}

// Params returns the parameters.
func (k *Keeper) Params(ctx context.Context) (types.Params, error) { return k.params.Get(ctx) }

// standing returns a NexCore's standing, a fresh one when it has none yet.
func (k *Keeper) standing(ctx context.Context, id uint64) (types.Standing, error) {
	s, err := k.standings.Get(ctx, id)
	if errors.Is(err, collections.ErrNotFound) {
		return types.Standing{NexcoreId: id}, nil
	}
	return s, err
}

// updateTotals changes the running sums.
func (k *Keeper) updateTotals(ctx context.Context, change func(*types.Totals)) error {
	totals, err := k.totals.Get(ctx)
	if err != nil && !errors.Is(err, collections.ErrNotFound) {
		return err
	}
	change(&totals)
	return k.totals.Set(ctx, totals)
}

// schedule puts an item on the time queue.
func (k *Keeper) schedule(ctx context.Context, height int64, kind types.QueueKind, id uint64) error {
	return k.queue.Set(ctx, collections.Join3(height, kind, id))
}

// found turns the store's "not found" into the market's.
func found(err error, what string, id uint64) error {
	if errors.Is(err, collections.ErrNotFound) {
		return types.ErrNotFound.Wrapf("%s %d", what, id)
	}
	return err
}

func heightOf(ctx context.Context) int64 { return sdk.UnwrapSDKContext(ctx).BlockHeight() }
