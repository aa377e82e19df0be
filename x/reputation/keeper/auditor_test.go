package keeper_test

import (
	"errors"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/nexara/nexara/testutil/audit"
	"github.com/nexara/nexara/x/reputation/score"
	"github.com/nexara/nexara/x/reputation/types"
)

// Random outcomes over random gaps: every score, weight and hash is what the auditor gets from events alone.
func TestAnyoneRecomputes(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		g := start()
		g.Params.EpochBlocks = rapid.Uint64Range(1, 12).Draw(t, "epoch")
		g.Params.HalfLifeEpochs = rapid.Uint64Range(1, 6).Draw(t, "half_life")
		g.Params.Unit = rapid.Int64Range(1, 5_000).Draw(t, "unit")
		g.Params.WeightCap = rapid.Uint64Range(1, score.MaxWeight).Draw(t, "cap")
		f := newFixture(t, g)
		a := audit.New(g.Params, 1)
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
			var stored *types.OutcomesHash
			if res, err := f.qry.OutcomesHash(f.ctx, &types.QueryOutcomesHashRequest{Height: height}); err == nil {
				stored = &res.OutcomesHash
			} else if !errors.Is(err, types.ErrNotFound) {
				t.Fatalf("hash of block %d: %v", height, err)
			}
			require.NoError(t, a.Block(height, events.ToABCIEvents(), stored))
			a.GoTo(f.ctx.BlockHeight())
			for _, subject := range []string{"nexcore/0", "nexcore/1", "nexcore/2", "nexcore/3", "requester/r1", "requester/r2"} {
				for _, s := range f.scores(subject) {
					ppm, lower := a.Score(subject, s.Dimension)
					require.Equal(t, []uint64{ppm, lower}, []uint64{s.ScorePpm, s.LowerPpm}, "%s %s", subject, s.Dimension)
				}
			}
			for id := range uint64(4) {
				_, want := a.Score(fmt.Sprint("nexcore/", id), types.DIMENSION_COMPLETION)
				got, err := f.k.Lower(f.ctx, id)
				require.NoError(t, err)
				require.Equal(t, want, got)
			}
		}
	})
}
