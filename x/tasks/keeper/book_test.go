package keeper_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/cosmos/cosmos-sdk/types/query"
	"github.com/stretchr/testify/require"

	"github.com/nexara/nexara/testutil/network"
	nexcoretypes "github.com/nexara/nexara/x/nexcore/types"
	"github.com/nexara/nexara/x/tasks/types"
)

func (m *market) why(id uint64) *types.QueryWhyNotResponse {
	m.t.Helper()
	why, err := m.query().WhyNot(context.Background(), &types.QueryWhyNotRequest{JobId: id})
	if err != nil {
		m.t.Fatalf("why job %d waits: %v", id, err)
	}
	return why
}

// An operator that raises its ask after it has seen a job never reaches that job, however long it waits, whether it
// changes its offer or leaves and comes back. What the operator wins is printed: nothing.
func TestRaisedAskNeverReachesAWaitingJob(t *testing.T) {
	small, large := types.Resources{CpuMilli: 500, MemoryMib: 4_096}, types.Resources{CpuMilli: 4_000, MemoryMib: 4_096}
	for _, leaves := range []bool{false, true} {
		t.Run(fmt.Sprintf("leaves=%v", leaves), func(t *testing.T) {
			m := newMarket(t, 1, func(p *types.Params) { p.BookRefreshBlocks = 3 }, network.Options{})
			s := m.nexcores[0]
			m.offer(s, 100, small)
			msg := jobOf(m.Account("alice"), 1, 4_000)
			msg.WaitBlocks = 500
			id := m.submit(msg) // a core for two seconds: 200 at the ask it saw
			require.Equal(t, "free_capacity", m.why(id).Rules[1].Rule)

			// The only machine sees the limit and asks for all of it, in force before it shows its room.
			if leaves {
				m.MustDeliver(s.node, &types.MsgWithdrawOffer{Node: s.node.String()})
			}
			m.offer(s, 900, small)
			m.Advance(3)
			m.offer(s, 900, large)
			m.Advance(40)
			require.Empty(t, m.leases(id))
			why := m.why(id)
			require.Equal(t, "ask_visible", why.Rules[0].Rule)
			require.Equal(t, "view_height", why.Cheapest.Field)
			t.Logf("asked 1800 of a limit of 4000 after seeing it: leased %d of 1 shards in 43 blocks, earned 0", len(m.leases(id)))

			m.offer(s, 90, large)
			m.Advance(3)
			require.Empty(t, m.leases(id), "lower than the last ask, but that one was raised: the job may still not be reached")

			// The requester may accept asks as they are: a top-up is a new order.
			m.MustDeliver(m.Account("alice"), &types.MsgTopUp{Requester: m.Account("alice").String(), JobId: id, Limit: 5_000})
			require.Len(t, m.leases(id), 1)
			m.checkMoney()
		})
	}
}

// A lowered ask reaches the jobs that wait, once it is in force; before, the old one stands.
func TestLoweredAskReachesAWaitingJob(t *testing.T) {
	m := newMarket(t, 1, func(p *types.Params) { p.AskDelay = 4 }, network.Options{})
	s := m.nexcores[0]
	id := m.submit(jobOf(m.Account("alice"), 1, 150)) // the ask wants 200: waits
	m.offer(s, 25, types.Resources{CpuMilli: 4_000, MemoryMib: 4_096})
	posted := m.Height()
	for m.Height() < posted+4-1 {
		require.Empty(t, m.leases(id), "block %d: the old ask stands", m.Height())
		m.Advance(1)
	}
	m.Advance(1)
	leases := m.leases(id)
	require.Len(t, leases, 1)
	require.Equal(t, posted+4, leases[0].AssignedHeight)
	require.EqualValues(t, 50, leases[0].Price)
}

// A NexCore that joins after a job is seen by it book_refresh_blocks after its first ask.
func TestNewcomerReachesAWaitingJob(t *testing.T) {
	m := newMarket(t, 2, func(p *types.Params) { p.BookRefreshBlocks = 12 },
		network.Options{Accounts: []string{"op-2", "node-2"}})
	for _, s := range m.nexcores {
		m.MustDeliver(s.node, &types.MsgWithdrawOffer{Node: s.node.String()})
	}
	id := m.submit(jobOf(m.Account("alice"), 1, 1_000))
	// The two came before the job and come back at the price that they had: it sees them at once.
	m.offer(m.nexcores[0], 100, types.Resources{CpuMilli: 4_000, MemoryMib: 4_096})
	m.Advance(1)
	require.Len(t, m.leases(id), 1)

	m.MustDeliver(m.nexcores[0].node, &types.MsgWithdrawOffer{Node: m.nexcores[0].node.String()})
	second := m.submit(jobOf(m.Account("alice"), 1, 1_000))
	require.Empty(t, m.leases(second))
	s := m.join(2, 100, types.Resources{CpuMilli: 4_000, MemoryMib: 4_096})
	first := m.Height()
	m.AdvanceTo(first + 11)
	require.Empty(t, m.leases(second))
	m.Advance(1)
	require.Equal(t, s.id, m.leases(second)[0].NexcoreId)
	m.checkMoney()
}

// A NexCore that leaves the registry while its offer stands takes its offer with it and stops nobody.
func TestNexCoreThatIsGoneStopsNobody(t *testing.T) {
	params := types.DefaultParams()
	m := newMarket(t, 2, nil, network.Options{})
	gone := m.nexcores[0]
	m.MustDeliver(gone.operator, &nexcoretypes.MsgDeregister{Operator: gone.operator.String(), NexcoreId: gone.id})
	nexcore, err := nexcoretypes.NewQueryClient(m.Conn()).Params(context.Background(), &nexcoretypes.QueryParamsRequest{})
	require.NoError(t, err)
	m.Skip(time.Duration(nexcore.Params.UnbondingSeconds+1) * time.Second)
	require.Less(t, m.Height(), params.OfferTtlBlocks, "the offer has not run out")

	id := m.submit(jobOf(m.Account("alice"), 1, 1_000))
	require.Len(t, m.leases(id), 1)
	_, err = m.query().Offer(context.Background(), &types.QueryOfferRequest{NexcoreId: gone.id})
	require.ErrorContains(t, err, "not found")
	m.checkMoney()
}

// A registration that shrinks after the offer was posted binds the offer at once.
func TestOfferStaysWithinTheRegistration(t *testing.T) {
	m := newMarket(t, 1, nil, network.Options{})
	s := m.nexcores[0]
	spec := nexcoretypes.Spec{Arch: "amd64", CpuMilli: 1_500, MemoryMib: 1 << 10, DiskMib: 1 << 10, Runtimes: []string{"container"}, Region: "eu-west"}
	m.MustDeliver(s.operator, &nexcoretypes.MsgUpdate{Operator: s.operator.String(), NexcoreId: s.id, Spec: spec})
	id := m.submit(jobOf(m.Account("alice"), 2, 1_000))
	require.Equal(t, "runtime", m.why(id).Rules[0].Rule)
	spec.Runtimes = []string{"wasm"}
	m.MustDeliver(s.operator, &nexcoretypes.MsgUpdate{Operator: s.operator.String(), NexcoreId: s.id, Spec: spec})
	require.EqualValues(t, 1, m.job(id).Counts.Leased, "one core and a half hold one shard of a core")
}

// A job in more pieces than a clearing may read does not keep the others out: the next clearing goes on behind it,
// and the record says that something was left out.
func TestLargeBookIsReadAround(t *testing.T) {
	m := newMarket(t, 1, func(p *types.Params) { p.MaxEntries = 2 }, network.Options{})
	torn := m.submit(jobOf(m.Account("alice"), 4, 1_000))
	lease := m.leases(torn)[0]
	m.ack(lease)
	m.deliver(lease, 0, 2)
	torn2 := m.submit(jobOf(m.Account("bob"), 4, 1_000))
	m.Advance(2)
	lease = m.leases(torn2)[0]
	m.ack(lease)
	m.deliver(lease, 0, 2) // four pieces of one shard, none of which the only NexCore may run again
	id := m.submit(jobOf(m.Account("carol"), 1, 1_000))
	m.Advance(2)
	require.Len(t, m.leases(id), 1, "a clearing of two entries goes around a book of five in three blocks")
	record, err := m.query().Clearing(context.Background(), &types.QueryClearingRequest{Height: m.leases(id)[0].AssignedHeight})
	require.NoError(t, err)
	require.True(t, record.Clearing.Truncated)
	require.EqualValues(t, 5, record.Clearing.OpenShards)
	m.checkMoney()
}

// One job's pieces alone can be more than a clearing reads: the cursor moves inside the job.
func TestCursorMovesInsideAJob(t *testing.T) {
	m := newMarket(t, 1, func(p *types.Params) { p.MaxEntries = 2 }, network.Options{})
	torn := m.submit(jobOf(m.Account("alice"), 4, 1_000))
	require.Len(t, m.leases(torn), 1)
	more := jobOf(m.Account("alice"), 8, 1_000)
	more.Shape.Need.CpuMilli = 500
	torn = m.submit(more)
	m.ack(m.leases(torn - 1)[0])
	m.deliver(m.leases(torn - 1)[0])
	m.Advance(1)
	lease := m.leases(torn)[0]
	require.EqualValues(t, 8, lease.Count)
	m.ack(lease)
	m.deliver(lease, 0, 2, 4, 6)
	id := m.submit(jobOf(m.Account("carol"), 1, 1_000))
	m.Advance(3)
	require.Len(t, m.leases(id), 1)
	m.checkMoney()
}

// More offers than a clearing may read is said too.
func TestTruncatedOffersAreSaid(t *testing.T) {
	m := newMarket(t, 3, func(p *types.Params) { p.MaxOffers = 2 }, network.Options{})
	id := m.submit(jobOf(m.Account("alice"), 1, 1_000))
	record, err := m.query().Clearing(context.Background(), &types.QueryClearingRequest{Height: m.leases(id)[0].AssignedHeight})
	require.NoError(t, err)
	require.True(t, record.Clearing.Truncated)
	require.EqualValues(t, 2, record.Clearing.Offers)
	require.EqualValues(t, 3, record.Clearing.StandingOffers)
	require.Zero(t, record.Clearing.OfferFrom)
	id = m.submit(jobOf(m.Account("alice"), 1, 1_000))
	record, err = m.query().Clearing(context.Background(), &types.QueryClearingRequest{Height: m.leases(id)[0].AssignedHeight})
	require.NoError(t, err)
	require.Equal(t, m.nexcores[2].id, record.Clearing.OfferFrom, "the third offer is next")
}

// A machine of several GPU models sells those of the first.
func TestGPUsOfOneModel(t *testing.T) {
	m := newMarket(t, 1, nil, network.Options{})
	s := m.nexcores[0]
	spec := nexcoretypes.Spec{
		Arch: "amd64", CpuMilli: 64_000, MemoryMib: 1 << 20, DiskMib: 1 << 20, Runtimes: []string{"wasm"}, Region: "eu-west",
		Gpus: []nexcoretypes.GPU{{Model: "a100", Count: 1}, {Model: "t4", Count: 7}},
	}
	m.MustDeliver(s.operator, &nexcoretypes.MsgUpdate{Operator: s.operator.String(), NexcoreId: s.id, Spec: spec})
	res := m.Deliver(s.node, offerOf(s, 100, types.Resources{CpuMilli: 4_000, MemoryMib: 4_096, Gpus: 8}))
	require.Contains(t, res.Log, "gpus: 8 offered, 1 registered of the first model, a100")
	m.offer(s, 100, types.Resources{CpuMilli: 4_000, MemoryMib: 4_096, Gpus: 1})
	job := jobOf(m.Account("alice"), 2, 1_000)
	job.Shape.Need.Gpus, job.Shape.GpuModel = 1, "a100"
	id := m.submit(job)
	require.EqualValues(t, 1, m.job(id).Counts.Leased)
}

// All ranges of a job can be read, whatever their state, page by page.
func TestShardPages(t *testing.T) {
	m := newMarket(t, 1, nil, network.Options{})
	id := m.submit(jobOf(m.Account("alice"), 4, 1_000))
	lease := m.leases(id)[0]
	m.ack(lease)
	m.deliver(lease, 0, 2)
	seen := map[int64]int64{}
	page := &query.PageRequest{Limit: 1}
	for pages := 1; ; pages++ {
		require.LessOrEqual(t, pages, 4)
		res, err := m.query().Shards(context.Background(), &types.QueryShardsRequest{JobId: id, Pagination: page})
		require.NoError(t, err)
		for _, r := range res.Ranges {
			seen[r.First] = r.Count
		}
		if len(res.Pagination.NextKey) == 0 {
			break
		}
		page = &query.PageRequest{Limit: 1, Key: res.Pagination.NextKey}
	}
	require.Equal(t, map[int64]int64{0: 1, 1: 1, 2: 1, 3: 1}, seen)
	for _, bad := range []*query.PageRequest{{Offset: 1}, {Reverse: true}, {CountTotal: true}, {Key: []byte("x")}, {Key: []byte("\x02abcdefgh")}} {
		_, err := m.query().Shards(context.Background(), &types.QueryShardsRequest{JobId: id, Pagination: bad})
		require.ErrorContains(t, err, "invalid page request")
	}
}

// A genesis whose records do not belong together, or that no coins stand behind, is refused.
func TestGenesisIsWhole(t *testing.T) {
	m := newMarket(t, 1, nil, network.Options{})
	m.submit(jobOf(m.Account("alice"), 6, 1_000)) // four leased, two open
	state, err := m.App.TasksKeeper.ExportGenesis(m.Context())
	require.NoError(t, err)
	require.NoError(t, state.Validate())
	for name, spoil := range map[string]func(*types.GenesisState){
		"escrow of a job":      func(g *types.GenesisState) { g.Ranges[0].Charged++ },
		"lease of nobody":      func(g *types.GenesisState) { g.Ranges[len(g.Ranges)-1].LeaseId = 99 },
		"double lease":         func(g *types.GenesisState) { g.Leases = append(g.Leases, g.Leases[0]) },
		"double offer":         func(g *types.GenesisState) { g.Offers = append(g.Offers, g.Offers[0]) },
		"offers of the totals": func(g *types.GenesisState) { g.Totals.Offers++ },
		"charged too much":     func(g *types.GenesisState) { g.Ranges[0].Charged = g.Ranges[0].Limit + 1 },
	} {
		bad := *state
		bad.Ranges = append([]types.ShardRange(nil), state.Ranges...)
		spoil(&bad)
		require.ErrorIs(t, bad.Validate(), types.ErrGenesis, name)
	}
	// Coins: the same records on a chain whose accounts are empty.
	empty := newMarket(t, 1, nil, network.Options{NoShadows: true})
	require.ErrorContains(t, empty.App.TasksKeeper.InitGenesis(empty.Context(), state), "but its account holds")
}
