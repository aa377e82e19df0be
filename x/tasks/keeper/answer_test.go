package keeper_test

import (
	"strconv"
	"testing"

	abci "github.com/cometbft/cometbft/abci/types"
	"github.com/stretchr/testify/require"

	storetypes "github.com/cosmos/cosmos-sdk/store/v2/types"
	sdk "github.com/cosmos/cosmos-sdk/types"

	"github.com/nexara/nexara/testutil/network"
	nexcoretypes "github.com/nexara/nexara/x/nexcore/types"
	"github.com/nexara/nexara/x/tasks/keeper"
	"github.com/nexara/nexara/x/tasks/types"
)

// An acknowledged lease of which nothing comes costs its burn, a pause and a miss; before the acknowledgement an
// empty result is refused, since a refusal has its own message and price.
func TestNothingDelivered(t *testing.T) {
	m := newMarket(t, 1, func(p *types.Params) { p.MissesToJail = 2 }, network.Options{})
	s := m.nexcores[0]
	for i := range 2 {
		id := m.submit(jobOf(m.Account("alice"), 3, 1_000))
		l := m.leases(id)[0]
		res := m.Deliver(s.node, deliverOf(s, m.delivery(l, all(l)...)))
		require.Equal(t, types.ErrState.ABCICode(), res.Code, res.Log)
		require.Equal(t, types.LEASE_STATE_ASSIGNED, m.leases(id)[0].State)

		m.ack(l)
		m.deliver(l, all(l)...)
		require.Equal(t, "lost", m.leases(id)[0].Reason)
		require.EqualValues(t, 3, m.job(id).Counts.Open)
		p := m.payouts(id)[0]
		require.EqualValues(t, []int64{30, 30, 0}, []int64{p.Slashed, p.Burned, p.Paid})
		require.Greater(t, m.standing(s).PausedUntil, m.Height())
		m.checkMoney()
		if i == 0 {
			require.EqualValues(t, 1, m.standing(s).Misses)
			m.AdvanceTo(m.standing(s).PausedUntil)
		}
	}
	nexcore, err := m.App.NexCoreKeeper.GetNexCore(m.Context(), s.id)
	require.NoError(t, err)
	require.Equal(t, nexcoretypes.STATUS_JAILED, nexcore.Status, "twice in a row")
}

// Shards that a lease lost cost their burn when it is settled; the rest of the lock is free.
func TestLostShardsCostTheirBurn(t *testing.T) {
	m := newMarket(t, 1, nil, network.Options{})
	msg := jobOf(m.Account("alice"), 4, 1_000)
	msg.MaxAttempts = 1
	id := m.submit(msg)
	l := m.leases(id)[0]
	m.ack(l)
	m.deliver(l, 0, 2)
	m.Advance(5)
	p := m.payouts(id)[0]
	require.EqualValues(t, []int64{2, 400, 20}, []int64{p.Shards, p.Paid, p.Slashed})
	require.EqualValues(t, 16+20, p.Burned, "four fifths of the burn of two shards, and the burn of the two lost")
	nexcore, err := m.App.NexCoreKeeper.GetNexCore(m.Context(), l.NexcoreId)
	require.NoError(t, err)
	require.Zero(t, nexcore.Locked)
	require.Equal(t, "partial", m.state(id))
	m.checkMoney()
}

// What comes after the cancellation in the same block is too late to be paid for.
func TestAnswersAfterTheCancellation(t *testing.T) {
	m := newMarket(t, 1, nil, network.Options{})
	alice, s := m.Account("alice"), m.nexcores[0]
	for name, answer := range map[string]func(types.Lease) sdk.Msg{
		"acknowledgement": func(l types.Lease) sdk.Msg { return ackOf(s, l) },
		"result":          func(l types.Lease) sdk.Msg { return deliverOf(s, m.delivery(l)) },
	} {
		id := m.submit(jobOf(alice, 2, 1_000))
		l := m.leases(id)[0]
		block := m.Block(m.Sign(alice, cancelOf(alice, id)), m.Sign(s.node, answer(l)))
		require.True(t, block.Txs[0].IsOK(), block.Txs[0].Log)
		require.Equal(t, types.ErrState.ABCICode(), block.Txs[1].Code, "%s: %s", name, block.Txs[1].Log)
		require.Zero(t, m.payouts(id)[0].Paid)
		require.Equal(t, "cancelled", m.leases(id)[0].Reason)
		m.checkMoney()
	}
	// An acknowledgement before the cancellation is paid, and the job is cancelled all the same.
	id := m.submit(jobOf(alice, 2, 1_000))
	l := m.leases(id)[0]
	m.Block(m.Sign(s.node, ackOf(s, l)), m.Sign(alice, cancelOf(alice, id)))
	require.EqualValues(t, 400, m.payouts(id)[0].Paid)
	require.Equal(t, "cancelled", m.state(id))
	m.checkMoney()
}

// The block of a deadline is the last that counts.
func TestDeadlinesAreKept(t *testing.T) {
	m := newMarket(t, 1, func(p *types.Params) { p.MissesToJail = 100 }, network.Options{NoShadows: true})
	s := m.nexcores[0]
	for _, c := range []struct {
		name   string
		acked  bool
		answer func(types.Lease) sdk.Msg
	}{
		{"acknowledgement", false, func(l types.Lease) sdk.Msg { return ackOf(s, l) }},
		{"free decline", false, func(l types.Lease) sdk.Msg { return declineOf(s, l, types.DECLINE_REASON_INPUT_UNAVAILABLE) }},
		{"overtaking result", false, func(l types.Lease) sdk.Msg { return deliverOf(s, m.delivery(l)) }},
		{"result", true, func(l types.Lease) sdk.Msg { return deliverOf(s, m.delivery(l)) }},
		{"empty result", true, func(l types.Lease) sdk.Msg { return deliverOf(s, m.delivery(l, all(l)...)) }},
	} {
		for late := range int64(2) {
			m.AdvanceTo(max(m.Height(), m.standing(s).PausedUntil))
			id := m.submit(jobOf(m.Account("alice"), 1, 1_000))
			l := m.leases(id)[0]
			deadline := l.AckBy
			if c.acked {
				m.ack(l)
				deadline = m.leases(id)[0].DeliverBy
			}
			m.AdvanceTo(deadline - 1 + late)
			res := m.Deliver(s.node, c.answer(l))
			require.Equal(t, deadline+late, m.Height())
			require.Equal(t, late == 0, res.IsOK(), "%s %d blocks late: %s", c.name, late, res.Log)
			if late > 0 {
				require.Equal(t, types.ErrState.ABCICode(), res.Code, res.Log)
				require.Equal(t, types.LEASE_STATE_CLOSED, m.leases(id)[0].State, "the queue ended it in the same block")
			}
			m.Deliver(m.Account("alice"), cancelOf(m.Account("alice"), id)) // what is left of it, if anything
		}
	}
	m.checkMoney()
}

// An item of a batch that is refused says which lease it was and why.
func TestRefusedItemsOfABatch(t *testing.T) {
	m := newMarket(t, 2, func(p *types.Params) { p.LeaseMax = 1 }, network.Options{})
	id := m.submit(jobOf(m.Account("alice"), 8, 1_000))
	var mine, others types.Lease
	for _, l := range m.leases(id) {
		if l.NexcoreId == m.nexcores[0].id {
			mine = l
		} else {
			others = l
		}
	}
	s := m.nexcores[0]
	failed := func(events []abci.Event) (out [][4]string) {
		for _, e := range events {
			if e.Type == keeper.EventItemFailed {
				one := []abci.Event{e}
				out = append(out, [4]string{
					value(one, e.Type, "kind"), value(one, e.Type, "id"), value(one, e.Type, "codespace"), value(one, e.Type, "code"),
				})
			}
		}
		return out
	}
	res := m.MustDeliver(s.node, ackOf(s, others, mine, types.Lease{Id: 999}))
	require.Equal(t, [][4]string{
		{"acknowledge", strconv.FormatUint(others.Id, 10), "tasks", "3"}, {"acknowledge", "999", "tasks", "4"},
	}, failed(res.Events))
	bad := m.delivery(mine)
	bad.Result.Custody.Signature[0] ^= 1
	res = m.MustDeliver(s.node, deliverOf(s, bad, m.delivery(mine)))
	require.Equal(t, [][4]string{{"deliver", strconv.FormatUint(mine.Id, 10), "tasks", "13"}}, failed(res.Events))
}

// meter counts what is charged for custody.
type meter struct {
	storetypes.GasMeter
	custody uint64
}

func (g *meter) ConsumeGas(amount uint64, what string) {
	if what == "custody signature" {
		g.custody += amount
	}
	g.GasMeter.ConsumeGas(amount, what)
}

// Each signature that a message makes the chain check is paid for, also when it does not fit.
func TestCustodySignaturesCostGas(t *testing.T) {
	m := newMarket(t, 1, nil, network.Options{})
	id := m.submit(jobOf(m.Account("alice"), 1, 1_000))
	s, l := m.nexcores[0], m.leases(id)[0]
	bad := m.delivery(l)
	bad.Result.Custody.Signature[0] ^= 1
	g := &meter{GasMeter: storetypes.NewInfiniteGasMeter()}
	_, err := keeper.NewMsgServer(m.App.TasksKeeper).Deliver(m.Context().WithGasMeter(g), deliverOf(s, bad, bad, m.delivery(l)))
	require.NoError(t, err)
	require.Equal(t, 3*types.CustodyGas, g.custody)
}
