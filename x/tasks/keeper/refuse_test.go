package keeper_test

import (
	"testing"

	errorsmod "cosmossdk.io/errors"
	"github.com/stretchr/testify/require"

	sdk "github.com/cosmos/cosmos-sdk/types"

	"github.com/nexara/nexara/testutil/network"
	"github.com/nexara/nexara/x/denom"
	"github.com/nexara/nexara/x/tasks/auction"
	"github.com/nexara/nexara/x/tasks/types"
)

// Bad input gives a typed error and loses nothing.
func TestRefusals(t *testing.T) {
	m := newMarket(t, 2, func(p *types.Params) { p.AckBaseBlocks = 100 }, network.Options{})
	alice, bob := m.Account("alice"), m.Account("bob")
	id := m.submit(jobOf(alice, 2, 1_000))
	patient := jobOf(bob, 1, 100) // below every ask: it waits
	patient.WaitBlocks = 500
	waiting := m.submit(patient)
	l := m.leases(id)[0]
	own, other := m.stub(l.NexcoreId), m.nexcores[0]
	if other == own {
		other = m.nexcores[1]
	}
	submit := func(change func(*types.MsgSubmit)) *types.MsgSubmit {
		msg := jobOf(alice, 2, 1_000)
		change(msg)
		return msg
	}
	deliver := func(change func(*types.Delivery)) *types.MsgDeliver {
		d := m.delivery(l)
		change(&d)
		return &types.MsgDeliver{Node: own.node.String(), Deliveries: []types.Delivery{d}}
	}
	for _, c := range []struct {
		name string
		from *network.Account
		msg  sdk.Msg
		want *errorsmod.Error
	}{
		{"no shards", alice, submit(func(s *types.MsgSubmit) { s.Shards = 0 }), types.ErrInvalidJob},
		{"too many shards", alice, submit(func(s *types.MsgSubmit) { s.Shards = 1 << 40 }), types.ErrInvalidJob},
		{"no limit", alice, submit(func(s *types.MsgSubmit) { s.Limit = 0 }), types.ErrLimit},
		{"negative limit", alice, submit(func(s *types.MsgSubmit) { s.Limit = -5 }), types.ErrLimit},
		{"limit overflows", alice, submit(func(s *types.MsgSubmit) { s.Limit = 1<<63 - 1 }), types.ErrLimit},
		{"sum overflows", alice, submit(func(s *types.MsgSubmit) { s.Shards, s.Limit = 100_000, 4_000_000_000_000 }), types.ErrLimit},
		{"too little money", alice, submit(func(s *types.MsgSubmit) { s.Limit = 900_000 * denom.UnexPerNEX }), types.ErrFunds},
		{"no CID", alice, submit(func(s *types.MsgSubmit) { s.SpecCid = "../etc/passwd" }), types.ErrInvalidJob},
		{"no need", alice, submit(func(s *types.MsgSubmit) { s.Shape.Need = types.Resources{} }), types.ErrInvalidShape},
		{"unsorted regions", alice, submit(func(s *types.MsgSubmit) { s.Shape.Regions = []string{"b", "a"} }), types.ErrInvalidShape},
		{"endless run", alice, submit(func(s *types.MsgSubmit) { s.Shape.RunSeconds = 1 << 50 }), types.ErrInvalidShape},
		{"another's job", bob, &types.MsgCancel{Requester: bob.String(), JobId: id}, types.ErrUnauthorized},
		{"no such job", bob, &types.MsgCancel{Requester: bob.String(), JobId: 999}, types.ErrNotFound},
		{"top-up without shards in the book", alice, &types.MsgTopUp{Requester: alice.String(), JobId: id, Limit: 2_000}, types.ErrState},
		{"top-up above what a clearing takes", bob, &types.MsgTopUp{Requester: bob.String(), JobId: waiting, Limit: auction.MaxLimit + 1}, types.ErrLimit},
		{"top-up to less than nothing", bob, &types.MsgTopUp{Requester: bob.String(), JobId: waiting, Limit: -1}, types.ErrLimit},
		{"top-up that raises nothing", bob, &types.MsgTopUp{Requester: bob.String(), JobId: waiting, Limit: 100}, types.ErrLimit},
		{"top-up of another's job", alice, &types.MsgTopUp{Requester: alice.String(), JobId: waiting, Limit: 200}, types.ErrUnauthorized},
		{"no shard delivered before the acknowledgement", own.node, deliver(func(d *types.Delivery) { d.Result.Outcomes = []byte{0} }), types.ErrState},
		{"offer of no node", bob, &types.MsgPostOffer{Node: bob.String(), Runtimes: []string{"wasm"}, MaxRunSeconds: 1}, types.ErrUnauthorized},
		{"offer above the registration", own.node, offerOf(own, 1, types.Resources{CpuMilli: 900_000}), types.ErrInvalidOffer},
		{"another's lease", other.node, &types.MsgAcknowledge{Node: other.node.String(), LeaseIds: []uint64{l.Id}}, types.ErrUnauthorized},
		{"no leases", own.node, &types.MsgAcknowledge{Node: own.node.String()}, types.ErrInvalidLease},
		{"decline without reason", own.node, &types.MsgDecline{Node: own.node.String(), LeaseId: l.Id}, types.ErrInvalidLease},
		{"short root", own.node, deliver(func(d *types.Delivery) { d.Result.Root = d.Result.Root[:31] }), types.ErrResult},
		{"bits beyond the lease", own.node, deliver(func(d *types.Delivery) { d.Result.Outcomes = []byte{0xff} }), types.ErrResult},
		{"no custody", own.node, deliver(func(d *types.Delivery) { d.Result.Custody.Signature = nil }), types.ErrCustody},
		{"custody of another size", own.node, deliver(func(d *types.Delivery) { d.Result.Bytes++ }), types.ErrCustody},
		{"a bit more than was signed for", own.node, func() sdk.Msg {
			d := m.delivery(l, 1) // the gateway has seen the first shard only
			d.Result.Outcomes[0] |= 1 << 1
			return &types.MsgDeliver{Node: own.node.String(), Deliveries: []types.Delivery{d}}
		}(), types.ErrCustody},
		{"a bit less than was signed for", own.node, deliver(func(d *types.Delivery) { d.Result.Outcomes[0] &^= 1 }), types.ErrCustody},
		{"custody of no bytes", own.node, deliver(func(d *types.Delivery) { d.Result.Bytes = 0 }), types.ErrCustody},
		{"an unlisted gateway", own.node, deliver(func(d *types.Delivery) {
			d.Result.Custody = types.Custody{GatewayPubkey: bob.Key.PubKey().Bytes(), Signature: m.receipt(bob, *d)}
		}), types.ErrCustody},
		{"custody by itself", own.node, deliver(func(d *types.Delivery) {
			d.Result.Custody = types.Custody{NexcoreId: own.id, Signature: m.receipt(own.node, *d)}
		}), types.ErrCustody},
		{"parameters by anyone", alice, &types.MsgUpdateParams{Authority: alice.String(), Params: types.DefaultParams()}, types.ErrUnauthorized},
	} {
		before := m.job(id)
		res := m.Deliver(c.from, c.msg)
		require.Equal(t, [2]any{c.want.Codespace(), c.want.ABCICode()}, [2]any{res.Codespace, res.Code}, "%s: %s", c.name, res.Log)
		require.Equal(t, before, m.job(id), c.name)
	}
	m.checkMoney()

	// Custody by a NexCore of another operator is as good as a gateway's.
	m.MustDeliver(own.node, deliver(func(d *types.Delivery) {
		d.Result.Custody = types.Custody{NexcoreId: other.id, Signature: m.receipt(other.node, *d)}
	}))
	res := m.Deliver(own.node, deliver(func(*types.Delivery) {}))
	require.Equal(t, types.ErrState.ABCICode(), res.Code, "a second result")
}
