package keeper_test

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/cosmos/cosmos-sdk/codec"
	sdk "github.com/cosmos/cosmos-sdk/types"
	authtypes "github.com/cosmos/cosmos-sdk/x/auth/types"
	banktypes "github.com/cosmos/cosmos-sdk/x/bank/types"
	"github.com/cosmos/gogoproto/proto"

	"github.com/nexara/nexara/app"
	"github.com/nexara/nexara/testutil/network"
	"github.com/nexara/nexara/x/denom"
	nexcoretypes "github.com/nexara/nexara/x/nexcore/types"
	"github.com/nexara/nexara/x/tasks/types"
)

// bookSeed makes the seeded book the same in every run.
const bookSeed = 20261122

// seededBook is a genesis with so many shapes, offers and open single-shard jobs of distinct limits.
func seededBook(b testing.TB, shapes, offers, jobs int) network.Options {
	app.SetConfig() // addresses are made before the chain is
	rng := rand.New(rand.NewPCG(bookSeed, 1))
	params := types.DefaultParams()
	state := types.GenesisState{
		Params: params, NextJobId: uint64(jobs) + 1, NextLeaseId: 1, NextShapeId: uint64(shapes) + 1, Seed: make([]byte, 32),
	}
	registry := nexcoretypes.DefaultGenesis()
	regions := []string{"ap-south", "eu-west", "us-east"}
	for i := range offers {
		id := uint64(i + 1)
		operator := network.NamedKey(fmt.Sprintf("op-%d", i))
		node := network.NamedKey(fmt.Sprintf("node-%d", i))
		registry.Nexcores = append(registry.Nexcores, nexcoretypes.NexCore{
			Id: id, Operator: sdk.AccAddress(operator.PubKey().Address()).String(),
			NodeAddress: sdk.AccAddress(node.PubKey().Address()).String(), NodePubkey: node.PubKey().Bytes(),
			Spec: nexcoretypes.Spec{
				Arch: "amd64", CpuMilli: 64_000, MemoryMib: 1 << 18, DiskMib: 1 << 20, Runtimes: []string{"container", "wasm"},
				Region: regions[i%3],
			},
			Status: nexcoretypes.STATUS_ACTIVE, Bond: 1_000 * denom.UnexPerNEX, RegisteredHeight: 1,
		})
		state.Offers = append(state.Offers, types.Offer{
			NexcoreId: id, Ask: types.Ask{CpuMilli: uint64(rng.IntN(100)+20) * denom.AnexPerUnex / 1_000}, AskHeight: 1,
			Capacity: types.Resources{CpuMilli: rng.Int64N(60_000) + 4_000, MemoryMib: rng.Int64N(200_000) + 8_000, DiskMib: 1 << 19},
			Runtimes: []string{"container", "wasm"}, MaxRunSeconds: 3_600, ExpiresHeight: 1_000_000,
		})
	}
	registry.NextNexcoreId = uint64(offers) + 1
	for i := range shapes {
		state.Shapes = append(state.Shapes, types.ShapeRecord{Id: uint64(i + 1), Jobs: int64(jobs/shapes + 1), Shape: types.Shape{
			Need:    types.Resources{CpuMilli: rng.Int64N(3_000) + 100, MemoryMib: rng.Int64N(4_000) + 64, DiskMib: rng.Int64N(1_000)},
			Runtime: []string{"container", "wasm"}[i%2], RunSeconds: int64(i + 1),
		}})
	}
	for i := range jobs {
		id, shape := uint64(i+1), state.Shapes[i%shapes]
		limit := rng.Int64N(100_000) + int64(i) + 1_000 // distinct with overwhelming probability; matched or not
		job := types.Job{
			Id: id, Requester: sdk.AccAddress(network.NamedKey("alice").PubKey().Address()).String(), Shape: shape.Shape, ShapeId: shape.Id,
			Shards: 1, Limit: limit, MaxAttempts: 3, SpecCid: someCID, ImageCid: someCID, SubmitHeight: 2,
			DeadlineHeight: 1_000_000, Escrow: limit, Counts: types.ShardCounts{Open: 1},
		}
		state.Jobs = append(state.Jobs, job)
		state.Ranges = append(state.Ranges, types.ShardRange{
			JobId: id, Count: 1, State: types.SHARD_STATE_OPEN, Limit: limit, OpenSince: 2, EnteredHeight: 2, ShapeId: shape.Id,
		})
		state.Totals.Escrow += limit
		state.Totals.PaidIn += limit
	}
	state.Totals.OpenShards, state.Totals.Offers = int64(jobs), int64(offers)
	return network.Options{NoShadows: true, Genesis: func(enc app.Encoding, g app.GenesisState) error {
		escrow := authtypes.NewModuleAddress(types.ModuleName)
		bonds := authtypes.NewModuleAddress(nexcoretypes.ModuleName)
		var bank banktypes.GenesisState
		enc.Codec.MustUnmarshalJSON(g[banktypes.ModuleName], &bank)
		for _, in := range []struct {
			addr sdk.AccAddress
			unex int64
		}{{escrow, state.Totals.Escrow}, {bonds, int64(offers) * 1_000 * denom.UnexPerNEX}} {
			coins := sdk.NewCoins(sdk.NewCoin(denom.Base, denom.Anex(in.unex)))
			bank.Balances = append(bank.Balances, banktypes.Balance{Address: in.addr.String(), Coins: coins})
		}
		g[banktypes.ModuleName] = enc.Codec.MustMarshalJSON(&bank)
		var err error
		if g[types.ModuleName], err = raw(&state); err != nil {
			return err
		}
		g[nexcoretypes.ModuleName], err = raw(registry)
		return err
	}}
}

func raw(m proto.Message) (json.RawMessage, error) { return codec.ProtoMarshalJSON(m, nil) }

// BenchmarkEndBlock ends a block on the largest book that a clearing covers: 200 shapes, 1,000 offers, 10,000
// open shards with distinct limits. Each round starts from the same committed state, so leases are made anew.
func BenchmarkEndBlock(b *testing.B) {
	c := network.New(b, seededBook(b, 200, 1_000, 10_000))
	matched := int64(0)
	var worst time.Duration
	for b.Loop() {
		b.StopTimer()
		ctx, _ := c.Context().CacheContext()
		ctx = ctx.WithBlockHeight(ctx.BlockHeight() + 1)
		b.StartTimer()
		begin := time.Now()
		if err := c.App.TasksKeeper.EndBlock(ctx); err != nil {
			b.Fatal(err)
		}
		worst = max(worst, time.Since(begin))
		b.StopTimer()
		state, err := c.App.TasksKeeper.LastClearing(ctx)
		if err != nil {
			b.Fatal(err)
		}
		matched = state.Matched
		b.StartTimer()
	}
	if matched == 0 {
		b.Fatal("nothing was matched")
	}
	b.ReportMetric(float64(matched), "matched/op")
	b.ReportMetric(float64(worst.Milliseconds()), "worst-ms")
}
