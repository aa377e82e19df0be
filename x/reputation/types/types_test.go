package types_test

import (
	"crypto/sha256"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/nexara/nexara/x/reputation/score"
	"github.com/nexara/nexara/x/reputation/types"
)

func fact() types.Fact {
	return types.Fact{
		NexCoreID: 7, Operator: "nexa1operator", Requester: "nexa1requester", Dimension: types.DIMENSION_COMPLETION,
		Good: true, Burn: 100, LeaseID: 3, Reason: "delivered",
	}
}

func TestFactValidate(t *testing.T) {
	require.NoError(t, fact().Validate())
	about := fact()
	about.AboutRequester, about.Dimension = true, types.DIMENSION_REQUESTER
	require.NoError(t, about.Validate())
	require.Equal(t, "requester/nexa1requester", about.Subject())
	require.Equal(t, "nexcore/7", fact().Subject())
	for name, change := range map[string]func(*types.Fact){
		"negative burn":            func(f *types.Fact) { f.Burn = -1 },
		"no operator":              func(f *types.Fact) { f.Operator = "" },
		"no requester":             func(f *types.Fact) { f.Requester = "" },
		"zero byte in a party":     func(f *types.Fact) { f.Requester = "a\x00b" },
		"long party":               func(f *types.Fact) { f.Operator = strings.Repeat("a", types.MaxNameBytes+1) },
		"long reason":              func(f *types.Fact) { f.Reason = strings.Repeat("a", types.MaxReasonBytes+1) },
		"no dimension":             func(f *types.Fact) { f.Dimension = 0 },
		"unknown dimension":        func(f *types.Fact) { f.Dimension = 99 },
		"NexCore as a requester":   func(f *types.Fact) { f.Dimension = types.DIMENSION_REQUESTER },
		"requester as a NexCore":   func(f *types.Fact) { f.AboutRequester = true },
		"requester's timeliness":   func(f *types.Fact) { f.AboutRequester, f.Dimension = true, types.DIMENSION_TIMELINESS },
		"party with a slash in it": func(f *types.Fact) { f.Requester = "nexcore/7" },
	} {
		f := fact()
		change(&f)
		require.ErrorIs(t, f.Validate(), types.ErrFact, name)
	}
}

func TestParseSubject(t *testing.T) {
	for subject, requester := range map[string]bool{"nexcore/0": false, "nexcore/18446744073709551615": false, "requester/nexa1x": true} {
		got, err := types.ParseSubject(subject)
		require.NoError(t, err)
		require.Equal(t, requester, got)
	}
	for _, bad := range []string{
		"", "nexcore", "nexcore/", "nexcore/-1", "nexcore/+1", "nexcore/01", "nexcore/18446744073709551616", "requester/", "requester/a/b",
		"requester/a\x00", "validator/1", strings.Repeat("a", 1<<16), "requester/" + strings.Repeat("a", types.MaxNameBytes+1),
	} {
		_, err := types.ParseSubject(bad)
		require.ErrorIs(t, err, types.ErrSubject, "%.40q", bad)
		require.Less(t, len(err.Error()), 1_000)
	}
}

func TestParams(t *testing.T) {
	p := types.DefaultParams()
	require.NoError(t, p.Validate())
	for name, change := range map[string]func(*types.Params){
		"epoch_blocks":     func(p *types.Params) { p.EpochBlocks = 0 },
		"half_life_epochs": func(p *types.Params) { p.HalfLifeEpochs = 0 },
		"unit":             func(p *types.Params) { p.Unit = 0 },
		"weight_cap":       func(p *types.Params) { p.WeightCap = score.MaxWeight + 1 },
		"hash_retention":   func(p *types.Params) { p.HashRetention = 1 << 63 },
	} {
		q := p
		change(&q)
		require.ErrorIs(t, q.Validate(), types.ErrParams, name)
		require.ErrorIs(t, p.ValidateChange(q), types.ErrParams, name)
	}
	q := p
	q.HalfLifeEpochs++
	require.NoError(t, p.ValidateChange(q))
	q.EpochBlocks++
	require.ErrorIs(t, p.ValidateChange(q), types.ErrParams, "the epoch's length is fixed")
	require.Zero(t, p.Epoch(-5))
	require.Equal(t, uint64(1), p.Epoch(int64(p.EpochBlocks)))
}

func TestGenesisValidate(t *testing.T) {
	good := func() *types.GenesisState {
		g := types.DefaultGenesis()
		g.Tallies = []types.Tally{
			{Subject: "nexcore/1", Dimension: types.DIMENSION_COMPLETION, Good: 5},
			{Subject: "requester/nexa1x", Dimension: types.DIMENSION_REQUESTER, Bad: 5},
		}
		g.Pairs = []types.Pair{{Requester: "nexa1x", Operator: "nexa1y", Count: 334}}
		g.Hashes = []types.OutcomesHash{{Height: 4, Hash: make([]byte, 32), Count: 1}, {Height: 5, Hash: make([]byte, 32), Count: 2}}
		return g
	}
	require.NoError(t, types.DefaultGenesis().Validate())
	require.NoError(t, good().Validate())
	for name, change := range map[string]func(*types.GenesisState){
		"tally twice":          func(g *types.GenesisState) { g.Tallies = append(g.Tallies, g.Tallies[0]) },
		"unknown subject":      func(g *types.GenesisState) { g.Tallies[0].Subject = "x" },
		"dimension of another": func(g *types.GenesisState) { g.Tallies[0].Dimension = types.DIMENSION_REQUESTER },
		"tally too large":      func(g *types.GenesisState) { g.Tallies[0].Good = score.MaxTally + 1 },
		"pair twice":           func(g *types.GenesisState) { g.Pairs = append(g.Pairs, g.Pairs[0]) },
		"pair of nobody":       func(g *types.GenesisState) { g.Pairs[0].Operator = "" },
		"pair too large":       func(g *types.GenesisState) { g.Pairs[0].Count = score.MaxPair + 1 },
		"hashes out of order":  func(g *types.GenesisState) { g.Hashes[1].Height = 4 },
		"short hash":           func(g *types.GenesisState) { g.Hashes[0].Hash = nil },
		"hash of nothing":      func(g *types.GenesisState) { g.Hashes[0].Count = 0 },
	} {
		g := good()
		change(g)
		require.ErrorIs(t, g.Validate(), types.ErrGenesis, name)
	}
}

// Records of different lengths or in another order never give the same commitment.
func TestNextHash(t *testing.T) {
	var zero [types.HashBytes]byte
	chain := func(records ...string) [types.HashBytes]byte {
		h := zero
		for _, r := range records {
			h = types.NextHash(h, []byte(r))
		}
		return h
	}
	require.Equal(t, sha256.Sum256([]byte(strings.Repeat("\x00", 32)+"\x00\x00\x00\x01a")), chain("a"))
	seen := map[[types.HashBytes]byte]bool{}
	for _, records := range [][]string{{}, {""}, {"", ""}, {"ab"}, {"a", "b"}, {"b", "a"}, {"", "ab"}, {"ab", ""}} {
		require.False(t, seen[chain(records...)], records)
		seen[chain(records...)] = true
	}
}

func FuzzGenesis(f *testing.F) {
	g := types.DefaultGenesis()
	g.Tallies = []types.Tally{{Subject: "nexcore/1", Dimension: types.DIMENSION_COMPLETION, Good: 5}}
	g.Pairs = []types.Pair{{Requester: "nexa1x", Operator: "nexa1y", Count: 334}}
	raw, err := g.Marshal()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(raw)
	f.Fuzz(func(t *testing.T, raw []byte) {
		var g types.GenesisState
		if g.Unmarshal(raw) != nil || g.Validate() != nil {
			return
		}
		for _, tally := range g.Tallies {
			_, err := types.ParseSubject(tally.Subject)
			require.NoError(t, err)
			e := score.Tally{Good: tally.Good, Bad: tally.Bad}
			require.LessOrEqual(t, e.Lower(), e.Score())
		}
	})
}

func FuzzParams(f *testing.F) {
	p := types.DefaultParams()
	raw, err := p.Marshal()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(raw)
	f.Fuzz(func(t *testing.T, raw []byte) {
		var p types.Params
		if p.Unmarshal(raw) != nil || p.Validate() != nil {
			return
		}
		require.LessOrEqual(t, score.Weight(1<<62, p.Unit, p.WeightCap, 0), p.WeightCap)
		_ = p.Epoch(1<<63 - 1)
	})
}

func FuzzSubject(f *testing.F) {
	f.Add("nexcore/1")
	f.Add("requester/nexa1x")
	f.Fuzz(func(t *testing.T, subject string) {
		if requester, err := types.ParseSubject(subject); err == nil {
			require.NotEmpty(t, types.Dimensions(requester))
			require.NotContains(t, subject, "\x00")
		}
	})
}
