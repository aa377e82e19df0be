package keeper_test

import (
	"context"
	"strings"
	"testing"

	abci "github.com/cometbft/cometbft/abci/types"
	"github.com/stretchr/testify/require"

	"github.com/nexara/nexara/testutil/network"
	"github.com/nexara/nexara/x/tasks/types"
)

// Each rule of the market's behaviour that one story shows.
func TestMarketRules(t *testing.T) {
	for _, c := range []struct {
		rule     string
		nexcores int
		params   func(*types.Params)
		story    func(*testing.T, *market)
	}{
		{"withdrawal is immediate", 1, nil, withdrawalIsImmediate},
		{"the old ask stands until ask_delay blocks have passed", 1, func(p *types.Params) { p.AskDelay = 5 }, oldAskStands},
		{"the window of acknowledgement grows with fetch_bytes", 1, nil, windowGrows},
		{"free bond below the lock excludes", 1, func(p *types.Params) { p.LeaseMax = 1 }, freeBondExcludes},
		{"the lease cap grows with results that burned a unit", 1, func(p *types.Params) {
			p.LeaseMax, p.LeaseCapBase, p.LeaseCapStep, p.LeaseCapMax = 1, 1, 1, 3
		}, leaseCapGrows},
		{"the pause doubles with every failure in a row, up to its bound", 1, func(p *types.Params) {
			p.BackoffMaxBlocks, p.MissesToJail = 7, 100
		}, pauseDoubles},
		{"a top-up reaches shards in the book alone", 1, func(p *types.Params) { p.BookCharge = 0 }, topUpReachesTheBook},
		{"the book charge comes off the limit of a match", 1, func(p *types.Params) { p.BookCharge = 7 }, bookChargeOfAMatch},
		{"a budget of settlements counts ranges", 2, func(p *types.Params) { p.MaxSettle = 2 }, budgetCountsRanges},
		{"a budget of deadlines counts ranges", 2, func(p *types.Params) { p.MaxExpire = 2 }, budgetCountsRanges},
		{"like neighbours merge when they come back", 1, func(p *types.Params) { p.LeaseMax, p.MissesToJail = 2, 100 }, neighboursMerge},
		{"a jailing records what it ends", 1, func(p *types.Params) { p.MissesToJail, p.LeaseMax = 1, 2 }, jailingRecords},
		{"a job that was cancelled while all of it ran is cancelled", 1, nil, cancelledIsCancelled},
	} {
		t.Run(c.rule, func(t *testing.T) {
			m := newMarket(t, c.nexcores, c.params, network.Options{NoShadows: true})
			c.story(t, m)
			m.checkMoney()
		})
	}
}

func withdrawalIsImmediate(t *testing.T, m *market) {
	alice, s := m.Account("alice"), m.nexcores[0]
	m.Block(m.Sign(s.node, &types.MsgWithdrawOffer{Node: s.node.String()}), m.Sign(alice, jobOf(alice, 1, 1_000)))
	require.EqualValues(t, 1, m.job(1).Counts.Open)
	require.Empty(t, m.leases(1))
}

func oldAskStands(t *testing.T, m *market) {
	s := m.nexcores[0]
	m.offer(s, 300, types.Resources{CpuMilli: 4_000, MemoryMib: 4_096, DiskMib: 4_096})
	posted := m.Height()
	for m.Height() < posted+4 {
		id := m.submit(jobOf(m.Account("alice"), 1, 1_000))
		require.EqualValues(t, 200, m.leases(id)[0].Price, "%d blocks after the new ask", m.Height()-posted)
		m.deliver(m.leases(id)[0])
	}
	m.AdvanceTo(posted + 4)
	id := m.submit(jobOf(m.Account("alice"), 1, 1_000))
	require.EqualValues(t, 600, m.leases(id)[0].Price, "%d blocks after the new ask", m.Height()-posted)
}

func windowGrows(t *testing.T, m *market) {
	p, err := m.App.TasksKeeper.Params(m.Context())
	require.NoError(t, err)
	for bytes, more := range map[int64]int64{0: 0, 1: 1, p.AckBytesPerBlock: 1, 3*p.AckBytesPerBlock + 1: 4} {
		msg := jobOf(m.Account("alice"), 1, 1_000)
		msg.FetchBytes = bytes
		l := m.leases(m.submit(msg))[0]
		require.Equal(t, l.AssignedHeight+p.AckBaseBlocks+more, l.AckBy, "%d bytes", bytes)
		m.deliver(l)
	}
}

func freeBondExcludes(t *testing.T, m *market) {
	m.offer(m.nexcores[0], 10_000_000, types.Resources{CpuMilli: 4_000, MemoryMib: 4_096})
	m.Advance(2)
	msg := jobOf(m.Account("alice"), 2, 1_000_000_000)
	msg.Shape.RunSeconds = 60 // a shard costs 600 of the bond's 1,000 NEX
	id := m.submit(msg)
	require.EqualValues(t, []int64{1, 1}, []int64{m.job(id).Counts.Leased, m.job(id).Counts.Open})
	why, err := m.query().WhyNot(context.Background(), &types.QueryWhyNotRequest{JobId: id})
	require.NoError(t, err)
	require.Equal(t, []types.RuleCount{{Rule: "free_bond", First: 1, Total: 1}}, why.Rules)
	m.deliver(m.leases(id)[0])
	require.EqualValues(t, 1, m.job(id).Counts.Open, "capacity is free at delivery, the bond at the end")
	m.AdvanceTo(m.leases(id)[0].FinalAt)
	require.EqualValues(t, 1, m.job(id).Counts.Leased)
}

func leaseCapGrows(t *testing.T, m *market) {
	s := m.nexcores[0]
	run := func(limit int64) (leases int) {
		id := m.submit(jobOf(m.Account("alice"), 4, limit))
		leases = len(m.live(s))
		m.deliver(m.live(s)[0])
		m.Deliver(m.Account("alice"), cancelOf(m.Account("alice"), id))
		m.AdvanceTo(m.leases(id)[0].FinalAt)
		return leases
	}
	require.Equal(t, 1, run(1_000))
	require.Equal(t, 1, run(1_000))
	require.Zero(t, m.standing(s).VerifiedResults, "a burn of 10 makes no unit of 1,000")
	m.offer(s, 10_000, types.Resources{CpuMilli: 4_000, MemoryMib: 4_096}) // 20,000 a shard, 1,000 burned
	m.Advance(2)
	require.Equal(t, 1, run(90_000))
	require.Equal(t, 2, run(90_000))
	require.Equal(t, 3, run(90_000))
	require.Equal(t, 3, run(90_000), "lease_cap_max")
	require.EqualValues(t, 4, m.standing(s).VerifiedResults)
}

func pauseDoubles(t *testing.T, m *market) {
	s := m.nexcores[0]
	miss := func() int64 {
		m.AdvanceTo(max(m.Height(), m.standing(s).PausedUntil))
		id := m.submit(jobOf(m.Account("alice"), 1, 1_000))
		m.ack(m.leases(id)[0]) // starting is no reason to be trusted again
		m.AdvanceTo(m.leases(id)[0].DeliverBy + 1)
		require.Equal(t, "missed", m.leases(id)[0].Reason)
		return m.standing(s).PausedUntil - m.Height()
	}
	for _, want := range []int64{2, 4, 7, 7} {
		require.Equal(t, want, miss())
	}
	m.AdvanceTo(m.standing(s).PausedUntil)
	id := m.submit(jobOf(m.Account("alice"), 1, 1_000))
	m.deliver(m.leases(id)[0])
	require.Zero(t, m.standing(s).Backoff, "a result is")
	require.EqualValues(t, 2, miss())
}

func topUpReachesTheBook(t *testing.T, m *market) {
	alice := m.Account("alice")
	id := m.submit(jobOf(alice, 6, 1_000)) // four cores: four leased, two wait
	before := m.totals()
	m.MustDeliver(alice, &types.MsgTopUp{Requester: alice.String(), JobId: id, Limit: 1_500})
	require.EqualValues(t, 1_000, m.totals().PaidIn-before.PaidIn, "500 for each of two")
	require.EqualValues(t, 7_000, m.job(id).Escrow)
	require.EqualValues(t, 1_000, m.leases(id)[0].Limit)
	for _, r := range m.shards(id) {
		want := int64(1_000)
		if r.State == types.SHARD_STATE_OPEN {
			want = 1_500
		}
		require.Equal(t, want, r.Limit)
	}
	m.deliver(m.leases(id)[0])
	require.EqualValues(t, 1_500, m.leases(id)[1].Limit)
}

func bookChargeOfAMatch(t *testing.T, m *market) {
	alice := m.Account("alice")
	id := m.submit(jobOf(alice, 1, 205)) // price 200 and burn 10
	m.Advance(2)
	require.Empty(t, m.leases(id))
	m.MustDeliver(alice, &types.MsgTopUp{Requester: alice.String(), JobId: id, Limit: 400})
	l := m.leases(id)[0]
	require.EqualValues(t, 21, l.Charged, "three blocks in the book")
	require.EqualValues(t, []int64{379, 21}, []int64{m.job(id).Escrow, m.totals().Pool})
	m.deliver(l)
	m.AdvanceTo(m.leases(id)[0].FinalAt)
	p := m.payouts(id)[0]
	require.EqualValues(t, []int64{200, 8, 2, 400 - 21 - 210}, []int64{p.Paid, p.Burned, p.Pooled, p.Refunded})
}

// Two leases are delivered in one block, each in two ranges; a block that ends two ranges ends one of them.
func budgetCountsRanges(t *testing.T, m *market) {
	msg := jobOf(m.Account("alice"), 8, 1_000)
	msg.MaxAttempts = 1
	id := m.submit(msg)
	leases := m.leases(id)
	require.Len(t, leases, 2)
	var txs [][]byte
	for _, l := range leases {
		s := m.stub(l.NexcoreId)
		txs = append(txs, m.Sign(s.node, deliverOf(s, m.delivery(l, 1, 3))))
	}
	m.Block(txs...)
	m.Advance(10)
	leases = m.leases(id)
	require.Equal(t, leases[0].FinalAt, leases[1].FinalAt)
	require.Equal(t, leases[0].FinalAt, min(leases[0].EndedHeight, leases[1].EndedHeight))
	require.Equal(t, leases[0].FinalAt+1, max(leases[0].EndedHeight, leases[1].EndedHeight))
	require.EqualValues(t, 4, m.job(id).Counts.Paid)
	require.Equal(t, "partial", m.state(id))
}

// A NexCore gives two neighbouring leases back in one block, in either order.
func neighboursMerge(t *testing.T, m *market) {
	s := m.nexcores[0]
	for _, order := range [][2]int{{0, 1}, {1, 0}} {
		m.AdvanceTo(max(m.Height(), m.standing(s).PausedUntil))
		alice := m.Account("alice")
		id := m.submit(jobOf(alice, 8, 1_000)) // two leases of two shards, four shards wait
		leases := m.leases(id)
		require.Len(t, leases, 2)
		require.Equal(t, leases[0].First+leases[0].Count, leases[1].First)
		m.Block(m.Sign(s.node, declineOf(s, leases[order[0]], types.DECLINE_REASON_OTHER)),
			m.Sign(s.node, declineOf(s, leases[order[1]], types.DECLINE_REASON_OTHER)))
		shards := m.shards(id)
		require.Len(t, shards, 2, "those that waited are not like those that came back")
		require.EqualValues(t, []int64{0, 4, 4, 4}, []int64{shards[0].First, shards[0].Count, shards[1].First, shards[1].Count})
		require.Equal(t, "declined", shards[0].Reason)
		m.checkMoney()
		m.MustDeliver(alice, cancelOf(alice, id))
	}
}

// The leases that a jailing ends are outcomes as they would have been at their deadlines, and cost no coin.
func jailingRecords(t *testing.T, m *market) {
	s := m.nexcores[0]
	first := m.leases(m.submit(jobOf(m.Account("alice"), 2, 1_000)))[0]
	m.ack(first)
	deadline := m.leases(first.JobId)[0].DeliverBy
	m.AdvanceTo(deadline - 3)
	second := m.submit(jobOf(m.Account("bob"), 1, 1_000))
	m.ack(m.leases(second)[0])
	third := m.submit(jobOf(m.Account("carol"), 1, 1_000))
	m.AdvanceTo(deadline + 1)
	require.Equal(t, "missed", m.leases(first.JobId)[0].Reason)
	m.Advance(1)
	nexcore, err := m.App.NexCoreKeeper.GetNexCore(m.Context(), s.id)
	require.NoError(t, err)
	require.Zero(t, nexcore.Locked)
	outcomes := map[string]string{}
	for _, e := range m.LastBlock().Events {
		if e.Type == "nexara_outcome" {
			one := []abci.Event{e}
			outcomes[value(one, e.Type, "lease")] = strings.Join([]string{
				value(one, e.Type, "dimension"), value(one, e.Type, "good"), value(one, e.Type, "reason"),
			}, " ")
		}
	}
	require.Equal(t, map[string]string{"2": "1 false jailed", "3": "3 false jailed"}, outcomes, "completion of the one, availability of the other")
	for _, id := range []uint64{second, third} {
		require.Zero(t, m.payouts(id)[0].Slashed)
		require.EqualValues(t, 1, m.job(id).Counts.Open)
	}
}

func cancelledIsCancelled(t *testing.T, m *market) {
	alice := m.Account("alice")
	id := m.submit(jobOf(alice, 2, 1_000))
	m.ack(m.leases(id)[0])
	m.MustDeliver(alice, cancelOf(alice, id))
	require.EqualValues(t, 2, m.job(id).Counts.Paid)
	require.Equal(t, "cancelled", m.state(id))
}
