package types_test

import (
	"math/big"
	"testing"

	"github.com/stretchr/testify/require"

	_ "github.com/nexara/nexara/proto/gen/nexara/tasks/v1" // the light bindings, compared by wire.Check
	"github.com/nexara/nexara/testutil/wire"
	"github.com/nexara/nexara/x/denom"
	"github.com/nexara/nexara/x/tasks/auction"
	"github.com/nexara/nexara/x/tasks/escrow"
	"github.com/nexara/nexara/x/tasks/types"
)

var sentinels = []error{
	types.ErrParams, types.ErrUnauthorized, types.ErrInvalidOffer, types.ErrInvalidJob, types.ErrInvalidShape, types.ErrLimit,
	types.ErrInvalidLease, types.ErrResult, types.ErrCustody, types.ErrGenesis,
}

// judge asks the rules about a message that was decoded. What they accept must be inside the bounds on which the
// auction and escrow rely; what they refuse is a typed error. True when it was accepted.
func judge(t testing.TB, m wire.Message) bool {
	t.Helper()
	p := types.DefaultParams()
	refused := func(err error) bool {
		if err != nil {
			wire.Typed(t, err, sentinels...)
		}
		return err != nil
	}
	switch m := m.(type) {
	case *types.MsgSubmit:
		if refused(m.Validate(p)) {
			return false
		}
		sum, err := escrow.Total(m.Shards, m.Limit)
		require.NoError(t, err)
		require.LessOrEqual(t, sum, denom.MaxUnex)
		require.NoError(t, auction.ValidateShape(auctionShape(m.Shape)))
		require.LessOrEqual(t, len(m.Name), types.MaxNameBytes)
	case *types.MsgPostOffer:
		if refused(m.Validate(p)) {
			return false
		}
		require.NoError(t, auction.ValidateAsk(auction.Ask{m.Ask.CpuMilli, m.Ask.MemoryMib, m.Ask.DiskMib, m.Ask.Gpu}))
		capacity := auction.Resources{m.Capacity.CpuMilli, m.Capacity.MemoryMib, m.Capacity.DiskMib, m.Capacity.Gpus}
		require.NoError(t, auction.ValidateSupply(auction.Supply{
			ID: 1, Capacity: capacity, Free: capacity, Runtimes: m.Runtimes, MaxRunSeconds: m.MaxRunSeconds,
		}))
	case *types.MsgDeliver:
		accepted := len(m.Deliveries) > 0
		for i := range m.Deliveries[:min(len(m.Deliveries), types.MaxDeliveries)] {
			accepted = !refused(m.Deliveries[i].Result.Validate()) && accepted
		}
		return accepted
	case *types.Result:
		return !refused(m.Validate())
	case *types.Shape:
		if refused(m.Validate(p)) {
			return false
		}
		require.NoError(t, auction.ValidateShape(auctionShape(*m)))
	case *types.Params:
		return !refused(m.Validate())
	case *types.MsgUpdateParams:
		return !refused(m.Params.Validate())
	case *types.GenesisState:
		if refused(m.Validate()) {
			return false
		}
		sum := new(big.Int)
		for _, j := range m.Jobs {
			require.Positive(t, j.Id)
			require.GreaterOrEqual(t, j.Escrow, int64(0))
			sum.Add(sum, big.NewInt(j.Escrow))
		}
		require.Zero(t, sum.Cmp(big.NewInt(m.Totals.Escrow)), "escrow is the sum of the jobs'")
	default:
		return false
	}
	return true
}

func auctionShape(s types.Shape) auction.Shape {
	return auction.Shape{
		Need:    auction.Resources{s.Need.CpuMilli, s.Need.MemoryMib, s.Need.DiskMib, s.Need.Gpus},
		Runtime: s.Runtime, Arch: s.Arch, Regions: s.Regions, GPUModel: s.GpuModel, Network: s.Network,
		RunSeconds: s.RunSeconds, MinScorePPM: s.MinScorePpm,
	}
}

func resources() types.Resources {
	return types.Resources{CpuMilli: 1_000, MemoryMib: 512, DiskMib: 64, Gpus: 1}
}

func shape() types.Shape {
	return types.Shape{
		Need: resources(), Runtime: "container", Arch: "amd64", Regions: []string{"eu-west", "us-east"}, GpuModel: "a100",
		Network: true, RunSeconds: 600, MinScorePpm: 250_000,
	}
}

const cid = "bafybeigdyrzt5sfp7udm7hu76uh7y26nf3efuylqabf3oclgtqy55fbzdi"

func submit() *types.MsgSubmit {
	return &types.MsgSubmit{
		Requester: "nexa1requester", Name: "digits", Shape: shape(), Shards: 8, Limit: 1_000, MaxAttempts: 3, WaitBlocks: 100,
		SpecCid: cid, ImageCid: cid, FetchBytes: 1 << 20,
	}
}

func result() types.Result {
	key := make([]byte, types.PubkeyBytes)
	key[0] = 2
	return types.Result{
		Root: make([]byte, types.RootBytes), Outcomes: []byte{0xff}, Cid: cid, Bytes: 4_096,
		Custody: types.Custody{GatewayPubkey: key, Signature: make([]byte, types.SignatureBytes)},
	}
}

func genesis() *types.GenesisState {
	g := types.DefaultGenesis()
	g.Seed = make([]byte, types.SeedBytes)
	g.NextJobId, g.NextLeaseId, g.NextShapeId = 3, 2, 2
	g.Shapes = []types.ShapeRecord{{Id: 1, Shape: shape(), Jobs: 2}}
	g.Jobs = []types.Job{
		{Id: 1, Requester: "nexa1requester", Shape: shape(), ShapeId: 1, Shards: 8, Limit: 1_000, Escrow: 8_000, SpecCid: cid, ImageCid: cid},
		{Id: 2, Requester: "nexa1requester", Shape: shape(), ShapeId: 1, Shards: 1, Limit: 5, EndReason: "cancelled"},
	}
	g.Ranges = []types.ShardRange{
		{JobId: 1, First: 0, Count: 5, State: types.SHARD_STATE_LEASED, LeaseId: 1, Limit: 1_000},
		{JobId: 1, First: 5, Count: 3, State: types.SHARD_STATE_OPEN, Limit: 1_000, Excluded: []uint64{4}},
		{JobId: 2, First: 0, Count: 1, State: types.SHARD_STATE_SETTLED, Reason: "cancelled"},
	}
	r := result()
	g.Leases = []types.Lease{{Id: 1, JobId: 1, Count: 5, NexcoreId: 4, Price: 10, Burn: 1, Limit: 1_000, State: types.LEASE_STATE_ASSIGNED, Result: &r}}
	g.Offers = []types.Offer{{NexcoreId: 4, Capacity: resources(), Runtimes: []string{"wasm"}}}
	g.Standings = []types.Standing{{NexcoreId: 4, Used: resources(), LiveLeases: 1}}
	g.Totals.Escrow, g.Totals.Offers = 8_000, 1
	return g
}

// valid are messages that the rules accept, by full name.
func valid() map[string]wire.Message {
	p, r, s := types.DefaultParams(), result(), shape()
	return map[string]wire.Message{
		"MsgSubmit": submit(),
		"MsgPostOffer": &types.MsgPostOffer{
			Node: "nexa1node", Ask: types.Ask{CpuMilli: 15_000_000, MemoryMib: 7, DiskMib: 1, Gpu: 1 << 40}, Capacity: resources(),
			Runtimes: []string{"container", "wasm"}, Network: true, MaxRunSeconds: 86_400,
		},
		"MsgDeliver":      &types.MsgDeliver{Node: "nexa1node", Deliveries: []types.Delivery{{LeaseId: 1, Result: r}, {LeaseId: 2, Result: r}}},
		"MsgUpdateParams": &types.MsgUpdateParams{Authority: "nexa1gov", Params: p},
		"Result":          &r, "Shape": &s, "Params": &p, "GenesisState": genesis(),
	}
}

func suite() wire.Suite {
	return wire.Suite{Package: "nexara.tasks.v1", Seed: 1, Valid: valid, Judge: judge}
}

func TestArbitraryBytes(t *testing.T)       { suite().Bytes(t) }
func TestArbitraryFields(t *testing.T)      { suite().Fields(t) }
func TestArbitraryGenesisJSON(t *testing.T) { suite().GenesisJSON(t) }

// The targets run their seeds in every test; bytes beyond those come from the tests above.

func FuzzMessages(f *testing.F)    { suite().FuzzMessages(f) }
func FuzzGenesisJSON(f *testing.F) { suite().FuzzGenesisJSON(f) }
