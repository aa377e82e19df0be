package keeper_test

import (
	"context"
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"

	nexcoretypes "github.com/nexara/nexara/x/nexcore/types"

	"github.com/nexara/nexara/testutil/network"
	"github.com/nexara/nexara/x/tasks/types"
)

// The healthy path: one submission, one acknowledgement, one result; the operator gets its ask, the burn is
// burned, the requester gets the rest of its limit back, the bond is free again.
func TestHealthyJob(t *testing.T) {
	m := newMarket(t, 2, nil, network.Options{})
	alice := m.Account("alice")
	before := m.balance(alice)
	id := m.submit(jobOf(alice, 3, 1_000)) // 100 unex a core second, 2 s: price 200, burn 10

	leases := m.leases(id)
	require.Len(t, leases, 1, "three identical shards are one lease")
	l := leases[0]
	require.Equal(t, m.Height(), l.AssignedHeight, "a job of block H is leased in block H")
	require.EqualValues(t, 200, l.Price)
	require.EqualValues(t, 10, l.Burn)
	op := m.stub(l.NexcoreId).operator
	earned := m.balance(op)

	m.ack(l)
	m.deliver(l)
	require.EqualValues(t, 3, m.job(id).Counts.Delivered)
	m.Advance(5)
	m.checkMoney()

	job := m.job(id)
	require.EqualValues(t, 3, job.Counts.Paid)
	require.Zero(t, job.Escrow)
	require.EqualValues(t, 600, m.balance(op)-earned)
	gas := int64(1) // the fee of one transaction: 10^9 anex is a thousandth of a unex, rounded
	require.InDelta(t, 630, before-m.balance(alice), float64(gas))
	p := m.payouts(id)
	require.Len(t, p, 1)
	require.Equal(t, "paid", p[0].Reason)
	require.EqualValues(t, []int64{600, 24, 6, 2_370}, []int64{p[0].Paid, p[0].Burned, p[0].Pooled, p[0].Refunded})
	n, err := nexcoretypes.NewQueryClient(m.Conn()).NexCore(context.Background(), &nexcoretypes.QueryNexCoreRequest{Id: l.NexcoreId})
	require.NoError(t, err)
	require.Zero(t, n.Nexcore.Locked)
}

// A shard that nobody can run stays in the book; why-not names rules and the cheapest change.
func TestWhyNot(t *testing.T) {
	m := newMarket(t, 3, nil, network.Options{})
	msg := jobOf(m.Account("alice"), 1, 100)
	msg.Shape.Regions = []string{"ap-south", "eu-west"}
	id := m.submit(msg)
	why, err := m.query().WhyNot(context.Background(), &types.QueryWhyNotRequest{JobId: id})
	require.NoError(t, err)
	require.EqualValues(t, 3, why.Offers)
	require.Zero(t, why.Eligible)
	require.Equal(t, []types.RuleCount{{Rule: "region", First: 1, Total: 1}, {Rule: "price", First: 2, Total: 3}}, why.Rules)
	require.NotNil(t, why.Cheapest)
	require.Equal(t, "limit", why.Cheapest.Field)
	require.EqualValues(t, 210, why.Cheapest.Price, "price and burn; the limit must also cover a newcomer's penalty")
	limit, err := strconv.ParseInt(why.Cheapest.To, 10, 64)
	require.NoError(t, err)

	// The change it names does match.
	m.MustDeliver(m.Account("alice"), &types.MsgTopUp{Requester: msg.Requester, JobId: id, Limit: limit})
	require.EqualValues(t, 1, m.job(id).Counts.Leased)
	m.checkMoney()
}

// No acknowledgement in time: the shard goes to another NexCore in the same block, the silent one pays the
// burn, pauses, and is excluded.
func TestSilence(t *testing.T) {
	m := newMarket(t, 2, nil, network.Options{})
	id := m.submit(jobOf(m.Account("alice"), 1, 1_000))
	first := m.leases(id)[0]
	m.AdvanceTo(first.AckBy + 1)
	leases := m.leases(id)
	require.Len(t, leases, 2)
	require.Equal(t, "silent", leases[0].Reason)
	require.Equal(t, m.Height(), leases[1].AssignedHeight, "back to the market in the same block")
	require.NotEqual(t, first.NexcoreId, leases[1].NexcoreId)
	p := m.payouts(id)
	require.EqualValues(t, 10, p[0].Slashed)
	offer, err := m.query().Offer(context.Background(), &types.QueryOfferRequest{NexcoreId: first.NexcoreId})
	require.NoError(t, err)
	require.Greater(t, offer.Standing.PausedUntil, m.Height())
	m.checkMoney()
}

// Acknowledged and never delivered: the bond pays one payment and the job completes elsewhere.
func TestMissedDeadline(t *testing.T) {
	m := newMarket(t, 2, nil, network.Options{})
	id := m.submit(jobOf(m.Account("alice"), 1, 1_000))
	first := m.leases(id)[0]
	m.ack(first)
	m.AdvanceTo(m.leases(id)[0].DeliverBy + 1)
	leases := m.leases(id)
	require.Equal(t, "missed", leases[0].Reason)
	require.EqualValues(t, 200, m.payouts(id)[0].Slashed)
	m.ack(leases[1])
	m.deliver(leases[1])
	m.Advance(5)
	require.EqualValues(t, 1, m.job(id).Counts.Paid)
	m.checkMoney()
}

// A NexCore that misses again and again is jailed; its other leases return to the market without a slash.
func TestJail(t *testing.T) {
	m := newMarket(t, 1, func(p *types.Params) { p.MissesToJail, p.BackoffBaseBlocks = 1, 1 }, network.Options{})
	first := m.submit(jobOf(m.Account("alice"), 1, 1_000))
	l := m.leases(first)[0]
	m.ack(l)
	deadline := m.leases(first)[0].DeliverBy
	m.AdvanceTo(deadline - 1)
	second := m.submit(jobOf(m.Account("bob"), 1, 1_000))
	require.EqualValues(t, 1, m.job(second).Counts.Leased)
	m.AdvanceTo(deadline + 2)
	require.EqualValues(t, 1, m.job(second).Counts.Open)
	require.Equal(t, "jailed", m.leases(second)[0].Reason)
	require.Zero(t, m.payouts(second)[0].Slashed)
	n, err := nexcoretypes.NewQueryClient(m.Conn()).NexCore(context.Background(), &nexcoretypes.QueryNexCoreRequest{Id: l.NexcoreId})
	require.NoError(t, err)
	require.Equal(t, nexcoretypes.STATUS_JAILED, n.Nexcore.Status)
	m.checkMoney()
}

// Partial failure inside a lease: delivered shards are paid, lost ones run elsewhere.
func TestPartialResult(t *testing.T) {
	m := newMarket(t, 2, nil, network.Options{})
	id := m.submit(jobOf(m.Account("alice"), 4, 1_000))
	l := m.leases(id)[0]
	require.EqualValues(t, 4, l.Count)
	m.ack(l)
	m.deliver(l, 1, 2)
	leases := m.leases(id)
	require.Len(t, leases, 2)
	require.EqualValues(t, []int64{1, 2}, []int64{leases[1].First, leases[1].Count})
	require.NotEqual(t, l.NexcoreId, leases[1].NexcoreId)
	m.checkMoney()
	m.deliver(leases[1]) // a result may overtake its acknowledgement
	m.Advance(6)
	require.EqualValues(t, 4, m.job(id).Counts.Paid)
	m.checkMoney()
}

// Inputs that cannot be fetched cost no operator anything: two say so, the job ends, the requester pays a reservation.
func TestInputUnavailable(t *testing.T) {
	m := newMarket(t, 3, nil, network.Options{})
	id := m.submit(jobOf(m.Account("alice"), 1, 1_000))
	for range 2 {
		l := m.leases(id)[len(m.leases(id))-1]
		s := m.stub(l.NexcoreId)
		m.MustDeliver(s.node, &types.MsgDecline{Node: s.node.String(), LeaseId: l.Id, Reason: types.DECLINE_REASON_INPUT_UNAVAILABLE})
	}
	job := m.job(id)
	require.EqualValues(t, 1, job.Counts.Settled)
	require.Equal(t, "input_unavailable", job.EndReason)
	for _, p := range m.payouts(id) {
		require.Zero(t, p.Slashed)
	}
	money, err := m.query().Money(context.Background(), &types.QueryMoneyRequest{})
	require.NoError(t, err)
	require.EqualValues(t, 10, money.Totals.Pooled, "1 % of the limit")
	require.EqualValues(t, 990, money.Totals.Refunded)
	m.checkMoney()
}

// Declining for another reason costs the lease's burn; the same NexCore is not asked again for these shards.
func TestDecline(t *testing.T) {
	m := newMarket(t, 1, nil, network.Options{})
	id := m.submit(jobOf(m.Account("alice"), 1, 1_000))
	l := m.leases(id)[0]
	s := m.stub(l.NexcoreId)
	m.MustDeliver(s.node, &types.MsgDecline{Node: s.node.String(), LeaseId: l.Id, Reason: types.DECLINE_REASON_NO_CAPACITY})
	require.EqualValues(t, 10, m.payouts(id)[0].Slashed)
	m.Advance(10)
	require.Len(t, m.leases(id), 1)
	m.AdvanceTo(m.job(id).DeadlineHeight)
	job := m.job(id)
	require.EqualValues(t, 1, job.Counts.Settled)
	require.Equal(t, "expired", job.EndReason)
	require.Zero(t, job.Escrow)
	m.checkMoney()
}

// Attempts run out: the shard ends and its money returns.
func TestAttemptsExhausted(t *testing.T) {
	m := newMarket(t, 2, nil, network.Options{})
	msg := jobOf(m.Account("alice"), 1, 1_000)
	msg.MaxAttempts = 1
	id := m.submit(msg)
	m.AdvanceTo(m.leases(id)[0].AckBy + 1)
	shards, err := m.query().Shards(context.Background(), &types.QueryShardsRequest{JobId: id})
	require.NoError(t, err)
	require.Equal(t, "attempts_exhausted", shards.Ranges[0].Reason)
	require.Zero(t, m.job(id).Escrow)
	m.checkMoney()
}

// Cancelling refunds what waits and what is not acknowledged, and pays in full what runs.
func TestCancel(t *testing.T) {
	m := newMarket(t, 1, func(p *types.Params) { p.LeaseMax = 2 }, network.Options{})
	alice := m.Account("alice")
	id := m.submit(jobOf(alice, 8, 1_000)) // 4 cores: two leases of two shards, four shards wait
	leases := m.leases(id)
	require.Len(t, leases, 2)
	m.ack(leases[0])
	m.MustDeliver(alice, &types.MsgCancel{Requester: alice.String(), JobId: id})
	job := m.job(id)
	require.EqualValues(t, 8, job.Counts.Settled)
	require.EqualValues(t, 2, job.Counts.Paid)
	require.Zero(t, job.Escrow)
	require.Equal(t, "cancelled_paid", m.leases(id)[0].Reason)
	require.Equal(t, "cancelled", m.leases(id)[1].Reason)
	require.Empty(t, m.live(m.nexcores[0]))
	m.checkMoney()
	res := m.Deliver(alice, &types.MsgCancel{Requester: alice.String(), JobId: id})
	require.Equal(t, types.ErrState.ABCICode(), res.Code)
}

// The book charge is taken for each block in the book and ends a shard when it has eaten the limit.
func TestBookCharge(t *testing.T) {
	m := newMarket(t, 0, func(p *types.Params) { p.BookCharge = 10 }, network.Options{})
	id := m.submit(jobOf(m.Account("alice"), 2, 35))
	m.Advance(3)
	require.EqualValues(t, 2, m.job(id).Counts.Open)
	m.Advance(1)
	job := m.job(id)
	require.EqualValues(t, 2, job.Counts.Settled)
	money, err := m.query().Money(context.Background(), &types.QueryMoneyRequest{})
	require.NoError(t, err)
	require.EqualValues(t, 70, money.Totals.Pooled)
	m.checkMoney()
}

// Settled records are deleted after their retention; a tombstone with a Merkle root stays.
func TestPrune(t *testing.T) {
	m := newMarket(t, 2, func(p *types.Params) { p.MaxPrune, p.LeaseMax = 2, 1 }, network.Options{})
	id := m.submit(jobOf(m.Account("alice"), 5, 1_000))
	for m.job(id).Counts.Settled < 5 {
		for _, s := range m.nexcores {
			// All at once: a block for each would outlast the window of acknowledgement.
			var deliveries []types.Delivery
			for _, l := range m.live(s) {
				deliveries = append(deliveries, m.delivery(l))
			}
			if len(deliveries) > 0 {
				m.MustDeliver(s.node, deliverOf(s, deliveries...))
			}
		}
		m.Advance(1)
	}
	leases := len(m.leases(id))
	m.AdvanceTo(m.job(id).EndedHeight + 40)
	m.Advance(8)
	_, err := m.query().Job(context.Background(), &types.QueryJobRequest{Id: id})
	require.Error(t, err)
	tomb, err := m.query().Tombstone(context.Background(), &types.QueryTombstoneRequest{JobId: id})
	require.NoError(t, err)
	require.EqualValues(t, leases, tomb.Tombstone.Leases)
	require.Len(t, tomb.Tombstone.Root, 32)
	require.Equal(t, "completed", tomb.Tombstone.State)
	state, err := m.App.TasksKeeper.ExportGenesis(m.Context())
	require.NoError(t, err)
	require.Empty(t, state.Leases)
	require.Empty(t, state.Ranges)
	require.Empty(t, state.Shapes)
	m.checkMoney()
}
