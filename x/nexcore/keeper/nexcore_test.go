package keeper_test

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	sdkerrors "github.com/cosmos/cosmos-sdk/types/errors"
	"github.com/cosmos/cosmos-sdk/types/query"

	"github.com/nexara/nexara/x/nexcore/types"
)

func TestRegister(t *testing.T) {
	f := newFixture(t, start())
	op := f.fund("op", 100*nex)
	id := f.mustRegister(op, "node", 10*nex)
	require.Equal(t, types.FirstID, id)
	n := f.nexcore(id)
	require.Equal(t, types.STATUS_ACTIVE, n.Status)
	require.Equal(t, 10*nex, n.Bond)
	require.Equal(t, person("node"), n.NodeAddress)
	require.Equal(t, int64(10), n.RegisteredHeight)
	byNode, err := f.k.NexCoreByNode(f.ctx, person("node"))
	require.NoError(t, err)
	require.Equal(t, n, byNode)
	require.Len(t, f.events(types.EventRegistered), 1)
	f.lawful()

	_, err = f.msg.Register(f.ctx, register(op, "node", 10*nex))
	require.ErrorIs(t, err, types.ErrExists, "same node key")
	_, err = f.msg.Register(f.ctx, register(f.fund("other", 100*nex), "node", 10*nex))
	require.ErrorIs(t, err, types.ErrExists, "node key of another operator")
	_, err = f.msg.Register(f.ctx, register(op, "small", 10*nex-1))
	require.ErrorIs(t, err, types.ErrBond)
	_, err = f.msg.Register(f.ctx, register(person("poor"), "poor node", 10*nex))
	require.ErrorIs(t, err, sdkerrors.ErrInsufficientFunds)
	stolen := register(op, "stolen", 10*nex)
	stolen.Operator = person("other")
	_, err = f.msg.Register(f.ctx, stolen)
	require.ErrorIs(t, err, types.ErrProof)
	_, err = f.msg.Register(f.ctx.WithChainID("another"), register(op, "stolen", 10*nex))
	require.ErrorIs(t, err, types.ErrProof, "proof of another chain")
	f.bank.blocked = op
	_, err = f.msg.Register(f.ctx, register(op, "of a module", 10*nex))
	require.ErrorIs(t, err, types.ErrUnauthorized, "an operator that nobody may pay")
}

// The NexCores of an operator by number, as many as asked for, and of nobody else.
func TestOfOperator(t *testing.T) {
	f := newFixture(t, start())
	a, b := f.fund("a", 100*nex), f.fund("b", 100*nex)
	one, other, two := f.mustRegister(a, "n1", 10*nex), f.mustRegister(b, "n2", 10*nex), f.mustRegister(a, "n3", 10*nex)
	for _, c := range []struct {
		operator string
		limit    int
		want     []uint64
	}{{a, 64, []uint64{one, two}}, {a, 1, []uint64{one}}, {b, 64, []uint64{other}}, {person("c"), 64, nil}} {
		got, err := f.k.OfOperator(f.ctx, c.operator, c.limit)
		require.NoError(t, err)
		require.Equal(t, c.want, got)
	}
}

func TestRegisterLimit(t *testing.T) {
	f := newFixture(t, start())
	op := f.fund("op", 1_000*nex)
	var last uint64
	for i := range 3 {
		last = f.mustRegister(op, fmt.Sprint("node", i), 10*nex)
	}
	_, err := f.msg.Register(f.ctx, register(op, "one more", 10*nex))
	require.ErrorIs(t, err, types.ErrLimit)

	// Leaving alone does not make room, its record still takes state; being paid does.
	_, err = f.msg.Deregister(f.ctx, &types.MsgDeregister{Operator: op, NexcoreId: last})
	require.NoError(t, err)
	_, err = f.msg.Register(f.ctx, register(op, "one more", 10*nex))
	require.ErrorIs(t, err, types.ErrLimit)
	f.pass(1, 1_000)
	require.NoError(t, f.k.EndBlock(f.ctx))
	require.Equal(t, last+1, f.mustRegister(op, "one more", 10*nex), "a number was given again")
	f.lawful()
}

func TestUnknownAndForeign(t *testing.T) {
	f := newFixture(t, start())
	op := f.fund("op", 100*nex)
	id := f.mustRegister(op, "node", 20*nex)
	node, thief := person("node"), f.fund("thief", 100*nex)
	call := func(signer string, id uint64) map[string]error {
		out := map[string]error{}
		_, out["update"] = f.msg.Update(f.ctx, &types.MsgUpdate{Operator: signer, NexcoreId: id, Spec: spec()})
		_, out["bond"] = f.msg.Bond(f.ctx, &types.MsgBond{Operator: signer, NexcoreId: id, Amount: 1})
		_, out["unbond"] = f.msg.Unbond(f.ctx, &types.MsgUnbond{Operator: signer, NexcoreId: id, Amount: 1})
		_, out["undrain"] = f.msg.Drain(f.ctx, &types.MsgDrain{Signer: signer, NexcoreId: id})
		_, out["deregister"] = f.msg.Deregister(f.ctx, &types.MsgDeregister{Operator: signer, NexcoreId: id})
		_, out["unjail"] = f.msg.Unjail(f.ctx, &types.MsgUnjail{Operator: signer, NexcoreId: id})
		return out
	}
	for name, err := range call(op, 99) {
		require.ErrorIs(t, err, types.ErrNotFound, name)
	}
	for _, signer := range []string{thief, node} {
		for name, err := range call(signer, id) {
			require.ErrorIs(t, err, types.ErrUnauthorized, name)
		}
	}
	_, err := f.msg.Drain(f.ctx, &types.MsgDrain{Signer: thief, NexcoreId: id, Drain: true})
	require.ErrorIs(t, err, types.ErrUnauthorized)
	_, err = f.k.NexCoreByNode(f.ctx, person("nobody"))
	require.ErrorIs(t, err, types.ErrNotFound)
}

func TestDrain(t *testing.T) {
	f := newFixture(t, start())
	op := f.fund("op", 100*nex)
	id := f.mustRegister(op, "node", 10*nex)
	drain := func(signer string, on bool) error {
		_, err := f.msg.Drain(f.ctx, &types.MsgDrain{Signer: signer, NexcoreId: id, Drain: on})
		return err
	}
	require.ErrorIs(t, drain(op, false), types.ErrStatus, "undrain of an active one")
	require.NoError(t, drain(person("node"), true))
	require.Equal(t, types.STATUS_DRAINING, f.nexcore(id).Status)
	require.ErrorIs(t, drain(op, true), types.ErrStatus, "drain twice")
	_, err := f.k.Lock(f.ctx, id, 1)
	require.ErrorIs(t, err, types.ErrStatus, "a lease while draining")
	require.ErrorIs(t, drain(person("node"), false), types.ErrUnauthorized, "undrain by the node")
	require.NoError(t, drain(op, false))
	require.Equal(t, types.STATUS_ACTIVE, f.nexcore(id).Status)
	got := f.events(types.EventStatus)
	require.Len(t, got, 2)
	require.Equal(t, "drained", got[0]["reason"])
	require.Equal(t, "undrained", got[1]["reason"])
}

func TestJail(t *testing.T) {
	f := newFixture(t, start())
	op := f.fund("op", 100*nex)
	id := f.mustRegister(op, "node", 10*nex)
	unjail := func() error {
		_, err := f.msg.Unjail(f.ctx, &types.MsgUnjail{Operator: op, NexcoreId: id})
		return err
	}
	require.ErrorIs(t, unjail(), types.ErrStatus, "not jailed")
	require.ErrorIs(t, f.k.Jail(f.ctx, id, "No Word"), types.ErrLimit)
	require.ErrorIs(t, f.k.Jail(f.ctx, 99, "missed_leases"), types.ErrNotFound)
	lock, err := f.k.Lock(f.ctx, id, 4*nex)
	require.NoError(t, err)
	require.NoError(t, f.k.Jail(f.ctx, id, "missed_leases"))
	n := f.nexcore(id)
	require.Equal(t, types.STATUS_JAILED, n.Status)
	require.Equal(t, int64(60), n.JailedUntil)
	require.Equal(t, "missed_leases", n.JailReason)
	_, err = f.k.Lock(f.ctx, id, 1)
	require.ErrorIs(t, err, types.ErrStatus, "a lease while jailed")
	_, err = f.msg.Drain(f.ctx, &types.MsgDrain{Signer: op, NexcoreId: id, Drain: true})
	require.ErrorIs(t, err, types.ErrStatus)

	f.pass(20, 20)
	require.NoError(t, f.k.Jail(f.ctx, id, "missed_again"), "jailed twice")
	require.Equal(t, int64(80), f.nexcore(id).JailedUntil)
	f.pass(49, 49)
	require.ErrorIs(t, unjail(), types.ErrStatus, "one block early")
	f.pass(1, 1)
	taken, err := f.k.Slash(f.ctx, lock, nex, market)
	require.NoError(t, err)
	require.Equal(t, nex, taken)
	require.ErrorIs(t, unjail(), types.ErrBond, "bond below the minimum")
	_, err = f.msg.Bond(f.ctx, &types.MsgBond{Operator: op, NexcoreId: id, Amount: nex})
	require.NoError(t, err)
	require.NoError(t, unjail())
	n = f.nexcore(id)
	require.Equal(t, types.STATUS_ACTIVE, n.Status)
	require.Zero(t, n.JailedUntil)
	require.Empty(t, n.JailReason)
	f.lawful()
}

func TestUpdateAndLists(t *testing.T) {
	f := newFixture(t, start())
	a, b := f.fund("a", 100*nex), f.fund("b", 100*nex)
	one, two, three := f.mustRegister(a, "n1", 10*nex), f.mustRegister(a, "n2", 10*nex), f.mustRegister(b, "n3", 10*nex)
	arm := spec()
	arm.Arch, arm.Region, arm.Runtimes = "arm64", "us-east", []string{"wasm"}
	_, err := f.msg.Update(f.ctx, &types.MsgUpdate{Operator: a, NexcoreId: two, Spec: arm})
	require.NoError(t, err)
	bad := spec()
	bad.Region = ""
	_, err = f.msg.Update(f.ctx, &types.MsgUpdate{Operator: a, NexcoreId: two, Spec: bad})
	require.ErrorIs(t, err, types.ErrInvalidSpec)

	list := func(req types.QueryNexCoresRequest) []uint64 {
		ids := []uint64{}
		res, err := f.qry.NexCores(f.ctx, &req)
		require.NoError(t, err)
		for _, n := range res.Nexcores {
			ids = append(ids, n.Id)
		}
		return ids
	}
	for _, c := range []struct {
		name string
		req  types.QueryNexCoresRequest
		want []uint64
	}{
		{"all", types.QueryNexCoresRequest{}, []uint64{one, two, three}},
		{"operator", types.QueryNexCoresRequest{Operator: a}, []uint64{one, two}},
		{"region", types.QueryNexCoresRequest{Region: "eu-west"}, []uint64{one, three}},
		{"region of the update", types.QueryNexCoresRequest{Region: "us-east"}, []uint64{two}},
		{"runtime of all", types.QueryNexCoresRequest{Runtime: "wasm"}, []uint64{one, two, three}},
		{"runtime of some", types.QueryNexCoresRequest{Runtime: "container"}, []uint64{one, three}},
		{"arch", types.QueryNexCoresRequest{Arch: "arm64"}, []uint64{two}},
		{"prefix of a word", types.QueryNexCoresRequest{Arch: "arm"}, []uint64{}},
		{"operator and arch", types.QueryNexCoresRequest{Operator: a, Arch: "amd64"}, []uint64{one}},
		{"region and runtime", types.QueryNexCoresRequest{Region: "us-east", Runtime: "container"}, []uint64{}},
	} {
		require.Equal(t, c.want, list(c.req), c.name)
	}

	// Pages: one at a time, with a key and with a filter.
	for _, req := range []types.QueryNexCoresRequest{{}, {Runtime: "wasm"}, {Runtime: "wasm", Operator: a}} {
		want, got := list(req), []uint64{}
		req.Pagination = &query.PageRequest{Limit: 1}
		for range 5 {
			res, err := f.qry.NexCores(f.ctx, &req)
			require.NoError(t, err)
			for _, n := range res.Nexcores {
				got = append(got, n.Id)
			}
			if len(res.Pagination.NextKey) == 0 {
				break
			}
			req.Pagination = &query.PageRequest{Limit: 1, Key: res.Pagination.NextKey}
		}
		require.Equal(t, want, got)
	}
	_, err = f.qry.NexCores(f.ctx, &types.QueryNexCoresRequest{Pagination: &query.PageRequest{Offset: 1, Key: []byte{1}}})
	require.ErrorIs(t, err, types.ErrQuery)
	_, err = f.qry.NexCore(f.ctx, &types.QueryNexCoreRequest{Id: 99})
	require.ErrorIs(t, err, types.ErrNotFound)
	_, err = f.qry.NexCore(f.ctx, nil)
	require.ErrorIs(t, err, types.ErrQuery)
	shown, err := f.qry.ByNodeAddress(f.ctx, &types.QueryByNodeAddressRequest{NodeAddress: person("n3")})
	require.NoError(t, err)
	require.Equal(t, three, shown.Nexcore.Id)
}

func TestUpdateParams(t *testing.T) {
	f := newFixture(t, start())
	p := types.DefaultParams()
	_, err := f.msg.UpdateParams(f.ctx, &types.MsgUpdateParams{Authority: person("thief"), Params: p})
	require.ErrorIs(t, err, types.ErrUnauthorized)
	_, err = f.msg.UpdateParams(f.ctx, &types.MsgUpdateParams{Authority: authority})
	require.ErrorIs(t, err, types.ErrParams)
	_, err = f.msg.UpdateParams(f.ctx, &types.MsgUpdateParams{Authority: authority, Params: p})
	require.NoError(t, err)
	got, err := f.qry.Params(f.ctx, &types.QueryParamsRequest{})
	require.NoError(t, err)
	require.Equal(t, p, got.Params)
}
