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

	sdk "github.com/cosmos/cosmos-sdk/types"

	"github.com/nexara/nexara/x/reputation/score"
	"github.com/nexara/nexara/x/reputation/types"
)

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
