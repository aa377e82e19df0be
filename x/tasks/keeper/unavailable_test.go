package keeper_test

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/nexara/nexara/testutil/network"
	"github.com/nexara/nexara/x/tasks/types"
)

// declineLast declines the newest lease of a job for its inputs.
func (m *market) declineLast(job uint64) {
	m.t.Helper()
	leases := m.leases(job)
	l := leases[len(leases)-1]
	s := m.stub(l.NexcoreId)
	res := m.MustDeliver(s.node, declineOf(s, l, types.DECLINE_REASON_INPUT_UNAVAILABLE))
	if res.GasUsed > 240_000 {
		m.t.Fatalf("%d gas: node/chain sets aside 180,000 and 60,000 for the transaction", res.GasUsed)
	}
	m.t.Logf("gas of a free decline: %d", res.GasUsed)
}

// However its attempts ran out, a job whose inputs k operators could not fetch ends, pays its reservation and is
// deleted after its retention.
func TestUnavailableJobEnds(t *testing.T) {
	for name, c := range map[string]struct {
		attempts uint32
		silent   bool // the first NexCore says nothing
	}{
		"the last decline is the last attempt": {3, true},
		"fewer attempts than operators needed": {1, false},
	} {
		t.Run(name, func(t *testing.T) {
			m := newMarket(t, 3, func(p *types.Params) { p.BookCharge = 0 }, network.Options{NoShadows: true})
			msg := jobOf(m.Account("alice"), 1, 1_000)
			msg.MaxAttempts = c.attempts
			id := m.submit(msg)
			if c.silent {
				m.AdvanceTo(m.leases(id)[0].AckBy + 1)
			}
			m.declineLast(id)
			m.declineLast(id)

			job := m.job(id)
			require.Equal(t, "input_unavailable", job.EndReason)
			require.Equal(t, "input_unavailable", m.shards(id)[0].Reason)
			require.Equal(t, m.Height(), job.EndedHeight)
			require.Equal(t, "failed", m.state(id))
			require.EqualValues(t, []int64{10, 990}, []int64{m.totals().Pooled, m.totals().Refunded})
			m.checkMoney()
			m.AdvanceTo(job.EndedHeight + 41)
			_, err := m.query().Job(context.Background(), &types.QueryJobRequest{Id: id})
			require.Error(t, err, "deleted after its retention")
		})
	}
}

// An operator says once what it has to say: all its NexCores are excluded by one free decline, which is no attempt.
func TestUnavailableExcludesTheOperator(t *testing.T) {
	m := newMarket(t, 1, nil, network.Options{})
	second := m.enlist(m.Account("op-0"), m.Account("carol"), 0, 100, types.Resources{CpuMilli: 4_000, MemoryMib: 4_096})
	m.Advance(2)
	msg := jobOf(m.Account("alice"), 1, 1_000)
	msg.MaxAttempts = 1
	id := m.submit(msg)
	m.declineLast(id)
	m.Advance(3)
	require.Len(t, m.leases(id), 1)
	r := m.shards(id)[0]
	require.Equal(t, types.SHARD_STATE_OPEN, r.State)
	require.Zero(t, r.Attempt)
	require.Equal(t, []uint64{m.nexcores[0].id, second.id}, r.Excluded)
	require.Equal(t, []string{m.Account("op-0").String()}, m.job(id).UnavailableOperators)

	// Another operator runs it: one word alone ends nothing.
	m.enlist(m.Account("alice"), m.Account("bob"), 0, 100, types.Resources{CpuMilli: 4_000, MemoryMib: 4_096})
	for blocks := 0; len(m.leases(id)) < 2; blocks++ { // an ask committed later is seen after book_refresh_blocks
		require.Less(t, blocks, 10)
		m.Advance(1)
	}
	leases := m.leases(id)
	m.ack(leases[1])
	m.deliver(leases[1])
	m.Advance(5)
	require.Equal(t, "completed", m.state(id))
	m.checkMoney()
}

// Cancelling a job that ends for its inputs keeps the reason, and the reservation of all its shards.
func TestCancelKeepsTheReason(t *testing.T) {
	m := newMarket(t, 1, func(p *types.Params) {
		p.LeaseMax, p.UnavailableOperators, p.BookCharge = 2, 1, 0
	}, network.Options{})
	alice, s := m.Account("alice"), m.nexcores[0]
	id := m.submit(jobOf(alice, 8, 1_000)) // two leases of two shards, four shards wait
	leases := m.leases(id)
	require.Len(t, leases, 2)
	block := m.Block(m.Sign(s.node, declineOf(s, leases[0], types.DECLINE_REASON_INPUT_UNAVAILABLE)), m.Sign(alice, cancelOf(alice, id)))
	require.True(t, block.Txs[0].IsOK() && block.Txs[1].IsOK(), "%s %s", block.Txs[0].Log, block.Txs[1].Log)
	job := m.job(id)
	require.Equal(t, "input_unavailable", job.EndReason)
	require.True(t, job.Cancelled)
	require.Equal(t, m.Height(), job.EndedHeight)
	require.EqualValues(t, []int64{80, 7_920}, []int64{m.totals().Pooled, m.totals().Refunded})
	require.Empty(t, m.live(s))
	m.checkMoney()
}
