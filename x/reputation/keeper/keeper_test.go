package keeper_test

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"math/big"
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

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

// auditor recomputes every score and every hash from events alone, with code of its own: unbounded integers,
// decay epoch by epoch, its own protobuf encoder. It knows the design's formulas and nothing of the module's code.
type auditor struct {
	p       types.Params
	height  int64
	tallies map[string][2]*big.Int // subject/dimension -> a, b
	pairs   map[string]*big.Int
}

func (a *auditor) goTo(height int64) {
	for h := a.height + 1; h <= height; h++ {
		if h%int64(a.p.EpochBlocks) != 0 {
			continue
		}
		epoch := h / int64(a.p.EpochBlocks)
		for _, n := range a.pairs {
			n.Rsh(n, 1)
		}
		if epoch%int64(a.p.HalfLifeEpochs) == 0 {
			for _, t := range a.tallies {
				t[0].Rsh(t[0], 1)
				t[1].Rsh(t[1], 1)
			}
		}
	}
	a.height = height
}

func (a *auditor) tally(key string) [2]*big.Int {
	if _, ok := a.tallies[key]; !ok {
		a.tallies[key] = [2]*big.Int{new(big.Int), new(big.Int)}
	}
	return a.tallies[key]
}

// outcome takes one event in and returns the canonical record it stands for.
func (a *auditor) outcome(t require.TestingT, e map[string]string) []byte {
	n := func(key string) *big.Int {
		v, ok := new(big.Int).SetString(e[key], 10)
		require.True(t, ok, "%s of %v", key, e)
		return v
	}
	pairKey := e["requester"] + "|" + e["operator"]
	if a.pairs[pairKey] == nil {
		a.pairs[pairKey] = new(big.Int)
	}
	pair := a.pairs[pairKey]
	require.Equal(t, pair.String(), e["pair"], "recent leases of the pair")

	// w = min(cap, burn / unit) x 8 / (8 + recent leases), in micro-units.
	w := new(big.Int).Mul(n("burn"), big.NewInt(1_000_000))
	w.Quo(w, big.NewInt(a.p.Unit))
	if limit := new(big.Int).SetUint64(a.p.WeightCap); w.Cmp(limit) > 0 {
		w = limit
	}
	w.Mul(w, big.NewInt(8_000))
	w.Quo(w, new(big.Int).Add(big.NewInt(8_000), pair))
	require.Equal(t, w.String(), e["weight"])

	good := e["good"] == "true"
	ab := a.tally(e["subject"] + "#" + e["dimension"])
	if good {
		ab[0].Add(ab[0], w)
	} else {
		ab[0].Quo(ab[0].Mul(ab[0], big.NewInt(2)), big.NewInt(3))
		ab[1].Add(ab[1], new(big.Int).Mul(w, big.NewInt(10)))
	}
	switch requester := e["dimension"] == "4"; {
	case !requester:
		pair.Add(pair, big.NewInt(334))
	case !good:
		pair.Add(pair, big.NewInt(1_000))
	}

	// The record: fields in order of number, zero values left out.
	var r []byte
	text := func(field byte, s string) {
		if s != "" {
			r = append(append(append(r, field<<3|2), binary.AppendUvarint(nil, uint64(len(s)))...), s...)
		}
	}
	number := func(field byte, v uint64) {
		if v != 0 {
			r = append(append(r, field<<3), binary.AppendUvarint(nil, v)...)
		}
	}
	text(1, e["subject"])
	number(2, n("dimension").Uint64())
	if good {
		number(3, 1)
	}
	number(4, w.Uint64())
	number(5, n("height").Uint64())
	number(6, n("lease").Uint64())
	text(7, e["reason"])
	return r
}

// score and lower are the formulas of the design.
func (a *auditor) score(subject string, d types.Dimension) (ppm, lower uint64) {
	ab := a.tally(subject + "#" + strconv.Itoa(int(d)))
	u := big.NewInt(1_000_000)
	sum := new(big.Int).Add(ab[0], ab[1])
	s := new(big.Int).Add(ab[0], u)
	s.Mul(s, big.NewInt(1_000_000))
	s.Quo(s, new(big.Int).Add(sum, new(big.Int).Mul(big.NewInt(5), u)))
	v := new(big.Int).Mul(s, new(big.Int).Sub(big.NewInt(1_000_000), s))
	v.Quo(v.Mul(v, u), new(big.Int).Add(sum, u))
	l := new(big.Int).Sub(s, new(big.Int).Mul(big.NewInt(2), v.Sqrt(v)))
	if l.Sign() < 0 {
		l.SetInt64(0)
	}
	return s.Uint64(), l.Uint64()
}

// block checks a block's events against its stored commitment.
func (a *auditor) block(t require.TestingT, f *fixture, height int64, events sdk.Events) {
	a.goTo(height)
	hash, count := make([]byte, 32), uint64(0)
	sealed := ""
	for _, event := range events {
		e := map[string]string{}
		for _, attribute := range event.Attributes {
			e[attribute.Key] = attribute.Value
		}
		switch event.Type {
		case "nexara_outcome":
			require.Equal(t, strconv.FormatUint(count, 10), e["index"])
			require.Equal(t, strconv.FormatInt(height, 10), e["height"])
			r := a.outcome(t, e)
			in := append(append(append([]byte{}, hash...), byte(len(r)>>24), byte(len(r)>>16), byte(len(r)>>8), byte(len(r))), r...)
			next := sha256.Sum256(in)
			hash, count = next[:], count+1
		case "nexara_outcomes_hash":
			sealed = e["hash"]
		}
	}
	res, err := f.qry.OutcomesHash(f.ctx, &types.QueryOutcomesHashRequest{Height: height})
	if count == 0 {
		require.ErrorIs(t, err, types.ErrNotFound)
		require.Empty(t, sealed)
		return
	}
	require.NoError(t, err)
	require.Equal(t, types.OutcomesHash{Height: height, Hash: hash, Count: count}, res.OutcomesHash)
	require.Equal(t, hex.EncodeToString(hash), sealed)
}

// Random outcomes over random gaps: every score, weight and hash is what the auditor gets from events alone.
func TestAnyoneRecomputes(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		g := start()
		g.Params.EpochBlocks = rapid.Uint64Range(1, 12).Draw(t, "epoch")
		g.Params.HalfLifeEpochs = rapid.Uint64Range(1, 6).Draw(t, "half_life")
		g.Params.Unit = rapid.Int64Range(1, 5_000).Draw(t, "unit")
		g.Params.WeightCap = rapid.Uint64Range(1, score.MaxWeight).Draw(t, "cap")
		f := newFixture(t, g)
		a := &auditor{p: g.Params, height: 1, tallies: map[string][2]*big.Int{}, pairs: map[string]*big.Int{}}
		dims := []types.Dimension{types.DIMENSION_COMPLETION, types.DIMENSION_TIMELINESS, types.DIMENSION_AVAILABILITY, types.DIMENSION_REQUESTER}
		for range rapid.IntRange(1, 25).Draw(t, "blocks") {
			for range rapid.IntRange(0, 6).Draw(t, "outcomes") {
				d := rapid.SampledFrom(dims).Draw(t, "dimension")
				f.record(types.Fact{
					NexCoreID: rapid.Uint64Range(0, 3).Draw(t, "nexcore"), Operator: rapid.SampledFrom([]string{"o1", "o2"}).Draw(t, "operator"),
					Requester: rapid.SampledFrom([]string{"r1", "r2"}).Draw(t, "requester"), Dimension: d,
					Good: rapid.Bool().Draw(t, "good"), Burn: rapid.OneOf(rapid.Int64Range(0, 10_000), rapid.Just(int64(1)<<62)).Draw(t, "burn"),
					LeaseID: rapid.Uint64Range(0, 1<<40).Draw(t, "lease"), Reason: rapid.SampledFrom([]string{"", "delivered", "silent"}).Draw(t, "reason"),
					AboutRequester: d == types.DIMENSION_REQUESTER,
				})
			}
			height := f.ctx.BlockHeight()
			events := f.end(rapid.OneOf(rapid.Just(int64(1)), rapid.Int64Range(1, 40), rapid.Int64Range(1, 2_000)).Draw(t, "gap"))
			a.block(t, f, height, events)
			a.goTo(f.ctx.BlockHeight())
			for _, subject := range []string{"nexcore/0", "nexcore/1", "nexcore/2", "nexcore/3", "requester/r1", "requester/r2"} {
				for _, s := range f.scores(subject) {
					ppm, lower := a.score(subject, s.Dimension)
					require.Equal(t, []uint64{ppm, lower}, []uint64{s.ScorePpm, s.LowerPpm}, "%s %s", subject, s.Dimension)
				}
			}
			for id := range uint64(4) {
				_, want := a.score(fmt.Sprint("nexcore/", id), types.DIMENSION_COMPLETION)
				got, err := f.k.Lower(f.ctx, id)
				require.NoError(t, err)
				require.Equal(t, want, got)
			}
		}
	})
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
