package keeper_test

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/cosmos/cosmos-sdk/codec"
	cdctypes "github.com/cosmos/cosmos-sdk/codec/types"
	"github.com/cosmos/cosmos-sdk/runtime"
	storetypes "github.com/cosmos/cosmos-sdk/store/v2/types"
	"github.com/cosmos/cosmos-sdk/testutil"
	sdk "github.com/cosmos/cosmos-sdk/types"
	"github.com/cosmos/cosmos-sdk/types/query"

	"github.com/nexara/nexara/x/reputation/keeper"
	"github.com/nexara/nexara/x/reputation/score"
	"github.com/nexara/nexara/x/reputation/types"
)

const authority = "governance"

type fixture struct {
	t   require.TestingT
	ctx sdk.Context
	k   *keeper.Keeper
	msg types.MsgServer
	qry types.QueryServer
}

func newFixture(t require.TestingT, g *types.GenesisState) *fixture {
	key := storetypes.NewKVStoreKey(types.StoreKey)
	k := keeper.NewKeeper(codec.NewProtoCodec(cdctypes.NewInterfaceRegistry()), runtime.NewKVStoreService(key), authority)
	f := &fixture{
		t: t, k: k, msg: keeper.NewMsgServer(k), qry: keeper.NewQueryServer(k),
		ctx: testutil.DefaultContext(key, storetypes.NewTransientStoreKey("t")).WithBlockHeight(1),
	}
	require.NoError(t, k.InitGenesis(f.ctx, g))
	return f
}

// start has short epochs: 10 blocks, and a half-life of 3 of them.
func start() *types.GenesisState {
	return &types.GenesisState{Params: types.Params{
		EpochBlocks: 10, HalfLifeEpochs: 3, Unit: 1_000, WeightCap: 2 * score.Unit, HashRetention: 200,
	}}
}

// end ends the block and begins another, n blocks later. It returns the block's events.
func (f *fixture) end(n int64) sdk.Events {
	require.NoError(f.t, f.k.EndBlock(f.ctx))
	events := f.ctx.EventManager().Events()
	f.ctx = f.ctx.WithBlockHeight(f.ctx.BlockHeight() + n).WithEventManager(sdk.NewEventManager())
	return events
}

func (f *fixture) record(facts ...types.Fact) {
	for _, fact := range facts {
		require.NoError(f.t, f.k.Record(f.ctx, fact))
	}
}

func (f *fixture) scores(subject string) []types.Score {
	res, err := f.qry.Scores(f.ctx, &types.QueryScoresRequest{Subject: subject})
	require.NoError(f.t, err)
	return res.Scores
}

func fact(id uint64, d types.Dimension, good bool) types.Fact {
	return types.Fact{
		NexCoreID: id, Operator: fmt.Sprint("op", id), Requester: "req", Dimension: d, Good: good, Burn: 1_000,
		LeaseID: 1, Reason: "delivered", AboutRequester: d == types.DIMENSION_REQUESTER,
	}
}

func TestNewcomerAndFirstOutcomes(t *testing.T) {
	f := newFixture(t, start())
	for _, s := range f.scores("nexcore/1") {
		require.Equal(t, []uint64{200_000, 0}, []uint64{s.ScorePpm, s.LowerPpm})
	}
	require.Len(t, f.scores("nexcore/1"), 3)
	require.Len(t, f.scores("requester/req"), 1)
	lower, err := f.k.Lower(f.ctx, 1)
	require.NoError(t, err)
	require.Zero(t, lower)

	f.record(fact(1, types.DIMENSION_COMPLETION, true))
	got := f.scores("nexcore/1")
	require.Equal(t, score.Unit, got[0].Tally.Good)
	require.Equal(t, uint64(333_333), got[0].ScorePpm, "2/6")
	require.Equal(t, uint64(200_000), got[1].ScorePpm, "another dimension")
	require.Equal(t, uint64(200_000), f.scores("nexcore/2")[0].ScorePpm, "another NexCore")

	f.record(fact(1, types.DIMENSION_REQUESTER, false))
	require.Equal(t, uint64(200_000), f.scores("nexcore/1")[1].ScorePpm)
	require.Less(t, f.scores("requester/req")[0].ScorePpm, uint64(200_000))
	_, err = f.qry.Scores(f.ctx, &types.QueryScoresRequest{Subject: "x"})
	require.ErrorIs(t, err, types.ErrSubject)
	require.ErrorIs(t, f.k.Record(f.ctx, types.Fact{}), types.ErrFact)
}

// Dealing with oneself does not pay: the same outcomes spread over requesters weigh several times as much.
func TestPairDiscount(t *testing.T) {
	f := newFixture(t, start())
	for i := range 30 {
		alone, many := fact(1, types.DIMENSION_COMPLETION, true), fact(2, types.DIMENSION_COMPLETION, true)
		many.Requester = fmt.Sprint("req", i)
		f.record(alone, many)
	}
	alone, many := f.scores("nexcore/1")[0].Tally.Good, f.scores("nexcore/2")[0].Tally.Good
	require.Equal(t, 30*score.Unit, many)
	require.Less(t, alone, many*7/10)
	f.end(300) // 30 epochs: the pair is forgotten
	f.record(fact(1, types.DIMENSION_TIMELINESS, true))
	require.Equal(t, score.Unit, f.scores("nexcore/1")[1].Tally.Good)
}

func TestHashesAndRetention(t *testing.T) {
	f := newFixture(t, start())
	require.Empty(t, f.end(1))
	_, err := f.qry.OutcomesHash(f.ctx, &types.QueryOutcomesHashRequest{Height: 1})
	require.ErrorIs(t, err, types.ErrNotFound, "a block without outcomes")
	for range 40 {
		f.record(fact(1, types.DIMENSION_COMPLETION, true))
		f.end(1)
	}
	got, err := f.qry.OutcomesHash(f.ctx, &types.QueryOutcomesHashRequest{Height: 2})
	require.NoError(t, err)
	require.Equal(t, uint64(1), got.OutcomesHash.Count)
	f.end(200) // at height 242
	require.NoError(t, f.k.EndBlock(f.ctx))
	hashes := func() int {
		g, err := f.k.ExportGenesis(f.ctx)
		require.NoError(t, err)
		return len(g.Hashes)
	}
	require.Equal(t, 40-types.PrunePerBlock, hashes(), "pruning is bounded")
	f.end(1)
	f.end(1)
	f.end(1)
	require.NoError(t, f.k.EndBlock(f.ctx))
	height := f.ctx.BlockHeight()
	g, err := f.k.ExportGenesis(f.ctx)
	require.NoError(t, err)
	for _, h := range g.Hashes {
		require.GreaterOrEqual(t, h.Height, height-200)
	}
}

// An outcome of a failed item is undone with it: tally, pair, hash and event.
func TestUndoneOutcomeLeavesNothing(t *testing.T) {
	f, g := newFixture(t, start()), newFixture(t, start())
	f.record(fact(1, types.DIMENSION_COMPLETION, true))
	g.record(fact(1, types.DIMENSION_COMPLETION, true))
	cache, _ := f.ctx.CacheContext() // never written
	require.NoError(t, f.k.Record(cache, fact(1, types.DIMENSION_COMPLETION, false)))
	f.record(fact(2, types.DIMENSION_AVAILABILITY, true))
	g.record(fact(2, types.DIMENSION_AVAILABILITY, true))
	require.Equal(t, g.end(1), f.end(1))
	a, err := f.k.ExportGenesis(f.ctx)
	require.NoError(t, err)
	b, err := g.k.ExportGenesis(g.ctx)
	require.NoError(t, err)
	require.Equal(t, b, a)
}

// What decayed to nothing is forgotten, a bounded number of records a block, and nobody can tell.
func TestSweep(t *testing.T) {
	f := newFixture(t, start())
	const n = 3*types.SweepPerBlock + 5
	for id := range uint64(n) {
		f.record(fact(id, types.DIMENSION_COMPLETION, true))
	}
	stored := func() int {
		res, err := f.qry.Tallies(f.ctx, &types.QueryTalliesRequest{Pagination: &query.PageRequest{Limit: 500}})
		require.NoError(t, err)
		return len(res.Tallies)
	}
	for range 8 {
		f.end(1)
	}
	require.Equal(t, n, stored(), "nothing has decayed yet")
	f.end(2_000) // 200 epochs, 66 half-lives
	before := stored()
	f.end(1)
	require.LessOrEqual(t, before-stored(), types.SweepPerBlock)
	for range 12 {
		f.end(1)
	}
	require.Zero(t, stored())
	require.Equal(t, uint64(200_000), f.scores("nexcore/1")[0].ScorePpm)
}

func TestUpdateParams(t *testing.T) {
	f := newFixture(t, start())
	p := start().Params
	p.HalfLifeEpochs = 5
	_, err := f.msg.UpdateParams(f.ctx, &types.MsgUpdateParams{Authority: "thief", Params: p})
	require.ErrorIs(t, err, types.ErrUnauthorized)
	_, err = f.msg.UpdateParams(f.ctx, &types.MsgUpdateParams{Authority: authority, Params: p})
	require.NoError(t, err)
	got, err := f.qry.Params(f.ctx, &types.QueryParamsRequest{})
	require.NoError(t, err)
	require.Equal(t, p, got.Params)
	p.EpochBlocks = 11
	_, err = f.msg.UpdateParams(f.ctx, &types.MsgUpdateParams{Authority: authority, Params: p})
	require.ErrorIs(t, err, types.ErrParams)
}

func TestGenesisRoundTrip(t *testing.T) {
	f := newFixture(t, start())
	for id := range uint64(5) {
		f.record(fact(id, types.DIMENSION_COMPLETION, id%2 == 0), fact(id, types.DIMENSION_TIMELINESS, true), fact(id, types.DIMENSION_REQUESTER, true))
		f.end(7)
	}
	exported, err := f.k.ExportGenesis(f.ctx)
	require.NoError(t, err)
	require.NoError(t, exported.Validate())

	same := newFixture(t, start())
	same.ctx = same.ctx.WithBlockHeight(f.ctx.BlockHeight())
	require.NoError(t, same.k.InitGenesis(same.ctx, exported))
	again, err := same.k.ExportGenesis(same.ctx)
	require.NoError(t, err)
	require.Equal(t, exported, again)
	for range 6 { // behaviour is kept: same outcomes, same hashes, same decay
		for _, x := range []*fixture{f, same} {
			x.record(fact(1, types.DIMENSION_COMPLETION, true))
			x.end(9)
		}
	}
	a, err := f.k.ExportGenesis(f.ctx)
	require.NoError(t, err)
	b, err := same.k.ExportGenesis(same.ctx)
	require.NoError(t, err)
	require.Equal(t, a, b)

	// A chain that starts over at height 1 keeps the scores and decays them from there.
	over := newFixture(t, exported)
	require.Equal(t, exported.Tallies[0].Good, over.scores(exported.Tallies[0].Subject)[0].Tally.Good)
	over.end(1_000)
	require.Zero(t, over.scores("nexcore/0")[0].Tally.Good)
}

func BenchmarkRecord(b *testing.B) {
	f := newFixture(b, start())
	for b.Loop() {
		f.record(fact(1, types.DIMENSION_COMPLETION, true))
	}
}

func BenchmarkLower(b *testing.B) {
	f := newFixture(b, start())
	f.record(fact(1, types.DIMENSION_COMPLETION, true))
	for b.Loop() {
		if _, err := f.k.Lower(f.ctx, 1); err != nil {
			b.Fatal(err)
		}
	}
}
