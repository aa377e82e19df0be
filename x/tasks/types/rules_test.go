package types_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/nexara/nexara/x/denom"
	"github.com/nexara/nexara/x/tasks/auction"
	"github.com/nexara/nexara/x/tasks/types"
)

// Each rule at its bound and one beyond it.
func TestSubmitRules(t *testing.T) {
	p := types.DefaultParams()
	words := func(n int) (out []string) {
		for i := range n {
			out = append(out, "r"+strings.Repeat("a", i))
		}
		return out
	}
	for _, c := range []struct {
		name   string
		change func(*types.MsgSubmit)
		want   error
	}{
		{"as it is", func(*types.MsgSubmit) {}, nil},
		{"longest name", func(m *types.MsgSubmit) { m.Name = strings.Repeat("a", types.MaxNameBytes) }, nil},
		{"longer name", func(m *types.MsgSubmit) { m.Name = strings.Repeat("a", types.MaxNameBytes+1) }, types.ErrInvalidJob},
		{"name in another alphabet", func(m *types.MsgSubmit) { m.Name = "подбор параметров" }, nil},
		{"name that clears a terminal", func(m *types.MsgSubmit) { m.Name = "a\x1b[2J" }, types.ErrInvalidJob},
		{"name that is no text", func(m *types.MsgSubmit) { m.Name = "a\xff" }, types.ErrInvalidJob},
		{"no shard", func(m *types.MsgSubmit) { m.Shards = 0 }, types.ErrInvalidJob},
		{"most shards", func(m *types.MsgSubmit) { m.Shards = p.MaxShardsPerJob }, nil},
		{"more shards", func(m *types.MsgSubmit) { m.Shards = p.MaxShardsPerJob + 1 }, types.ErrInvalidJob},
		{"no limit", func(m *types.MsgSubmit) { m.Limit = 0 }, types.ErrLimit},
		{"highest limit", func(m *types.MsgSubmit) { m.Shards, m.Limit = 1, auction.MaxLimit }, nil},
		{"higher limit", func(m *types.MsgSubmit) { m.Shards, m.Limit = 1, auction.MaxLimit+1 }, types.ErrLimit},
		{"more than all money", func(m *types.MsgSubmit) { m.Shards, m.Limit = denom.MaxUnex/auction.MaxLimit+1, auction.MaxLimit }, types.ErrLimit},
		{"no attempt", func(m *types.MsgSubmit) { m.MaxAttempts = 0 }, types.ErrInvalidJob},
		{"more attempts", func(m *types.MsgSubmit) { m.MaxAttempts = p.MaxAttempts + 1 }, types.ErrInvalidJob},
		{"no patience", func(m *types.MsgSubmit) { m.WaitBlocks = 0 }, types.ErrInvalidJob},
		{"more patience", func(m *types.MsgSubmit) { m.WaitBlocks = p.MaxWaitBlocks + 1 }, types.ErrInvalidJob},
		{"no document", func(m *types.MsgSubmit) { m.SpecCid = "" }, types.ErrInvalidJob},
		{"CID of version 0", func(m *types.MsgSubmit) { m.SpecCid = "QmYwAPJzv5CZsnA625s3Xf2nemtYgPpHdWEz79ojWKMDx" }, types.ErrInvalidJob},
		{"CID in capitals", func(m *types.MsgSubmit) { m.ImageCid = strings.ToUpper(cid) }, types.ErrInvalidJob},
		{"CID with another letter", func(m *types.MsgSubmit) { m.ImageCid = cid + "1" }, types.ErrInvalidJob},
		{"long CID", func(m *types.MsgSubmit) { m.ImageCid = "b" + strings.Repeat("a", types.MaxCIDBytes) }, types.ErrInvalidJob},
		{"negative bytes", func(m *types.MsgSubmit) { m.FetchBytes = -1 }, types.ErrInvalidJob},
		{"most bytes", func(m *types.MsgSubmit) { m.FetchBytes = types.MaxFetchBytes }, nil},
		{"more bytes", func(m *types.MsgSubmit) { m.FetchBytes = types.MaxFetchBytes + 1 }, types.ErrInvalidJob},

		{"no core", func(m *types.MsgSubmit) { m.Shape.Need.CpuMilli = 0 }, types.ErrInvalidShape},
		{"no memory", func(m *types.MsgSubmit) { m.Shape.Need.MemoryMib = 0 }, types.ErrInvalidShape},
		{"no disk", func(m *types.MsgSubmit) { m.Shape.Need.DiskMib = 0 }, nil},
		{"negative disk", func(m *types.MsgSubmit) { m.Shape.Need.DiskMib = -1 }, types.ErrInvalidShape},
		{"more memory than there is", func(m *types.MsgSubmit) { m.Shape.Need.MemoryMib = types.MaxMemoryMiB + 1 }, types.ErrInvalidShape},
		{"more GPUs than there are", func(m *types.MsgSubmit) { m.Shape.Need.Gpus = types.MaxGPUs + 1 }, types.ErrInvalidShape},
		{"a model without GPUs", func(m *types.MsgSubmit) { m.Shape.Need.Gpus = 0 }, types.ErrInvalidShape},
		{"GPUs of any model", func(m *types.MsgSubmit) { m.Shape.GpuModel = "" }, nil},
		{"no runtime", func(m *types.MsgSubmit) { m.Shape.Runtime = "" }, types.ErrInvalidShape},
		{"runtime in capitals", func(m *types.MsgSubmit) { m.Shape.Runtime = "WASM" }, types.ErrInvalidShape},
		{"any architecture", func(m *types.MsgSubmit) { m.Shape.Arch = "" }, nil},
		{"architecture with a zero byte", func(m *types.MsgSubmit) { m.Shape.Arch = "a\x00" }, types.ErrInvalidShape},
		{"any region", func(m *types.MsgSubmit) { m.Shape.Regions = nil }, nil},
		{"most regions", func(m *types.MsgSubmit) { m.Shape.Regions = words(types.MaxRegions) }, nil},
		{"more regions", func(m *types.MsgSubmit) { m.Shape.Regions = words(types.MaxRegions + 1) }, types.ErrInvalidShape},
		{"regions out of order", func(m *types.MsgSubmit) { m.Shape.Regions = []string{"us", "eu"} }, types.ErrInvalidShape},
		{"region twice", func(m *types.MsgSubmit) { m.Shape.Regions = []string{"eu", "eu"} }, types.ErrInvalidShape},
		{"longest word", func(m *types.MsgSubmit) { m.Shape.GpuModel = strings.Repeat("a", types.MaxWordBytes) }, nil},
		{"longer word", func(m *types.MsgSubmit) { m.Shape.GpuModel = strings.Repeat("a", types.MaxWordBytes+1) }, types.ErrInvalidShape},
		{"no time", func(m *types.MsgSubmit) { m.Shape.RunSeconds = 0 }, types.ErrInvalidShape},
		{"more time", func(m *types.MsgSubmit) { m.Shape.RunSeconds = p.MaxRunSeconds + 1 }, types.ErrInvalidShape},
		{"score above one", func(m *types.MsgSubmit) { m.Shape.MinScorePpm = denom.PPM + 1 }, types.ErrInvalidShape},
		{"negative score", func(m *types.MsgSubmit) { m.Shape.MinScorePpm = -1 }, types.ErrInvalidShape},
	} {
		m := submit()
		c.change(m)
		require.ErrorIs(t, m.Validate(p), c.want, c.name)
	}
}

func TestOfferAndResultRules(t *testing.T) {
	p := types.DefaultParams()
	for _, c := range []struct {
		name   string
		change func(*types.MsgPostOffer)
		want   error
	}{
		{"as it is", func(*types.MsgPostOffer) {}, nil},
		{"for nothing", func(m *types.MsgPostOffer) { m.Ask = types.Ask{} }, nil},
		{"highest ask", func(m *types.MsgPostOffer) { m.Ask.Gpu = types.MaxAsk }, nil},
		{"higher ask", func(m *types.MsgPostOffer) { m.Ask.DiskMib = types.MaxAsk + 1 }, types.ErrInvalidOffer},
		{"negative capacity", func(m *types.MsgPostOffer) { m.Capacity.CpuMilli = -1 }, types.ErrInvalidOffer},
		{"more capacity", func(m *types.MsgPostOffer) { m.Capacity.CpuMilli = types.MaxCPUMilli + 1 }, types.ErrInvalidOffer},
		{"no runtime", func(m *types.MsgPostOffer) { m.Runtimes = nil }, types.ErrInvalidOffer},
		{"more runtimes", func(m *types.MsgPostOffer) { m.Runtimes = make([]string, types.MaxRuntimes+1) }, types.ErrInvalidOffer},
		{"empty runtime", func(m *types.MsgPostOffer) { m.Runtimes = []string{""} }, types.ErrInvalidOffer},
		{"no time", func(m *types.MsgPostOffer) { m.MaxRunSeconds = 0 }, types.ErrInvalidOffer},
		{"more time", func(m *types.MsgPostOffer) { m.MaxRunSeconds = types.MaxRunSecondsCap + 1 }, types.ErrInvalidOffer},
	} {
		m := valid()["MsgPostOffer"].(*types.MsgPostOffer)
		c.change(m)
		require.ErrorIs(t, m.Validate(p), c.want, c.name)
	}
	for _, c := range []struct {
		name   string
		change func(*types.Result)
		want   error
	}{
		{"as it is", func(*types.Result) {}, nil},
		{"short root", func(r *types.Result) { r.Root = r.Root[1:] }, types.ErrResult},
		{"no outcomes", func(r *types.Result) { r.Outcomes = nil }, types.ErrResult},
		{"most outcomes", func(r *types.Result) { r.Outcomes = make([]byte, types.MaxLeaseShards/8) }, nil},
		{"more outcomes", func(r *types.Result) { r.Outcomes = make([]byte, types.MaxLeaseShards/8+1) }, types.ErrResult},
		{"negative bytes", func(r *types.Result) { r.Bytes = -1 }, types.ErrResult},
		{"more bytes", func(r *types.Result) { r.Bytes = types.MaxResultBytes + 1 }, types.ErrResult},
		{"no CID", func(r *types.Result) { r.Cid = "" }, types.ErrResult},
		{"short signature", func(r *types.Result) { r.Custody.Signature = r.Custody.Signature[1:] }, types.ErrCustody},
		{"no gateway", func(r *types.Result) { r.Custody.GatewayPubkey = nil }, types.ErrCustody},
		{"uncompressed gateway", func(r *types.Result) { r.Custody.GatewayPubkey[0] = 4 }, types.ErrCustody},
		{"a NexCore instead", func(r *types.Result) { r.Custody.NexcoreId, r.Custody.GatewayPubkey = 9, nil }, nil},
	} {
		r := result()
		c.change(&r)
		require.ErrorIs(t, r.Validate(), c.want, c.name)
	}
}

func TestGenesisRules(t *testing.T) {
	require.NoError(t, types.DefaultGenesis().Validate())
	for name, change := range map[string]func(*types.GenesisState){
		"short seed":              func(g *types.GenesisState) { g.Seed = g.Seed[1:] },
		"shape twice":             func(g *types.GenesisState) { g.Shapes = append(g.Shapes, g.Shapes[0]) },
		"shape not numbered yet":  func(g *types.GenesisState) { g.NextShapeId = 1 },
		"bad shape":               func(g *types.GenesisState) { g.Shapes[0].Shape.Runtime = "" },
		"job twice":               func(g *types.GenesisState) { g.Jobs = append(g.Jobs, g.Jobs[1]) },
		"job zero":                func(g *types.GenesisState) { g.Jobs[1].Id = 0 },
		"job of no shape":         func(g *types.GenesisState) { g.Jobs[0].ShapeId = 9 },
		"negative escrow":         func(g *types.GenesisState) { g.Jobs[0].Escrow = -1 },
		"escrow above all money":  func(g *types.GenesisState) { g.Jobs[0].Escrow = denom.MaxUnex + 1 },
		"escrow that adds not up": func(g *types.GenesisState) { g.Totals.Escrow++ },
		"range of no job":         func(g *types.GenesisState) { g.Ranges[0].JobId = 9 },
		"range of nothing":        func(g *types.GenesisState) { g.Ranges[0].Count = 0 },
		"range past the end":      func(g *types.GenesisState) { g.Ranges[1].First = 6 },
		"shards missing":          func(g *types.GenesisState) { g.Ranges = g.Ranges[1:] },
		"lease of no job":         func(g *types.GenesisState) { g.Leases[0].JobId = 9 },
		"offers not counted":      func(g *types.GenesisState) { g.Totals.Offers++ },
		"shards of no lease":      func(g *types.GenesisState) { g.Ranges[0].LeaseId = 9 },
		"charged beyond a limit":  func(g *types.GenesisState) { g.Ranges[0].Charged = 1_001 },
		"escrow of other shards":  func(g *types.GenesisState) { g.Ranges[0].Charged = 1 },
		"lease not numbered yet":  func(g *types.GenesisState) { g.NextLeaseId = 1 },
	} {
		g := genesis()
		change(g)
		require.ErrorIs(t, g.Validate(), types.ErrGenesis, name)
	}
	g := genesis()
	g.Params.MaxSettle = 0
	require.ErrorIs(t, g.Validate(), types.ErrParams)
	// A job that is being pruned over several blocks has fewer shards than it had.
	g = genesis()
	g.Ranges, g.Tombstones = g.Ranges[:2], []types.Tombstone{{JobId: 2}}
	require.NoError(t, g.Validate())
}
