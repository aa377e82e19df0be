package keeper_test

import (
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"cosmossdk.io/math"

	storetypes "github.com/cosmos/cosmos-sdk/store/v2/types"
	"github.com/cosmos/cosmos-sdk/testutil"
	authtypes "github.com/cosmos/cosmos-sdk/x/auth/types"

	"github.com/nexara/nexara/x/denom"
	"github.com/nexara/nexara/x/nexcore/types"
)

func (f *fixture) marketHolds() math.Int {
	return f.bank.of(authtypes.NewModuleAddress(market).String())
}

func TestLocks(t *testing.T) {
	f := newFixture(t, start())
	op := f.fund("op", 100*nex)
	id := f.mustRegister(op, "node", 20*nex)
	lock := func(n int64) uint64 {
		l, err := f.k.Lock(f.ctx, id, n)
		require.NoError(t, err)
		return l
	}
	a, b, free := lock(5*nex), lock(15*nex), lock(0)
	require.Equal(t, []uint64{1, 2, 3}, []uint64{a, b, free})
	_, err := f.k.Lock(f.ctx, id, 1)
	require.ErrorIs(t, err, types.ErrBond, "nothing is free")
	_, err = f.k.Lock(f.ctx, id, -1)
	require.ErrorIs(t, err, types.ErrBond)
	_, err = f.k.Lock(f.ctx, 99, 1)
	require.ErrorIs(t, err, types.ErrNotFound)
	_, err = f.msg.Unbond(f.ctx, &types.MsgUnbond{Operator: op, NexcoreId: id, Amount: 1})
	require.ErrorIs(t, err, types.ErrBond, "a locked bond")

	require.NoError(t, f.k.Release(f.ctx, a))
	require.ErrorIs(t, f.k.Release(f.ctx, a), types.ErrNotFound, "released twice")
	_, err = f.k.Slash(f.ctx, a, 1, market)
	require.ErrorIs(t, err, types.ErrNotFound, "slashed after release")
	_, err = f.k.Slash(f.ctx, b, -1, market)
	require.ErrorIs(t, err, types.ErrBond)

	taken, err := f.k.Slash(f.ctx, b, 100*nex, market)
	require.NoError(t, err)
	require.Equal(t, 15*nex, taken, "at most the lock")
	require.Equal(t, denom.Anex(15*nex), f.marketHolds())
	n := f.nexcore(id)
	require.Equal(t, []int64{5 * nex, 0}, []int64{n.Bond, n.Locked})
	_, err = f.msg.Deregister(f.ctx, &types.MsgDeregister{Operator: op, NexcoreId: id})
	require.ErrorIs(t, err, types.ErrLock, "a lock of nothing is a promise too")
	taken, err = f.k.Slash(f.ctx, free, 1, market)
	require.NoError(t, err)
	require.Zero(t, taken)
	f.lawful()
}

func TestUnbonding(t *testing.T) {
	f := newFixture(t, start())
	op := f.fund("op", 100*nex)
	id := f.mustRegister(op, "node", 30*nex)
	unbond := func(n int64) (int64, error) {
		res, err := f.msg.Unbond(f.ctx, &types.MsgUnbond{Operator: op, NexcoreId: id, Amount: n})
		if err != nil {
			return 0, err
		}
		return res.CompleteTime, nil
	}
	for _, bad := range []int64{0, -1, 1 << 62, 20*nex + 1} {
		_, err := unbond(bad)
		require.ErrorIs(t, err, types.ErrBond, bad)
	}
	complete, err := unbond(nex)
	require.NoError(t, err)
	require.Equal(t, f.ctx.BlockTime().Unix()+1_000, complete)
	for range types.MaxUnbondings - 1 {
		_, err := unbond(nex)
		require.NoError(t, err)
	}
	_, err = unbond(nex)
	require.ErrorIs(t, err, types.ErrLimit)
	f.lawful()

	// Nothing a second early; then two each block, oldest first.
	f.pass(1, 999)
	require.NoError(t, f.k.EndBlock(f.ctx))
	require.Empty(t, f.events(types.EventUnbonded))
	f.pass(1, 1)
	require.NoError(t, f.k.EndBlock(f.ctx))
	paid := f.events(types.EventUnbonded)
	require.Len(t, paid, 2)
	require.Equal(t, []string{"1", "2"}, []string{paid[0]["unbonding"], paid[1]["unbonding"]})
	require.Equal(t, denom.Anex(72*nex), f.bank.of(op))
	list, err := f.qry.Unbondings(f.ctx, &types.QueryUnbondingsRequest{NexcoreId: id})
	require.NoError(t, err)
	require.Len(t, list.Unbondings, types.MaxUnbondings-2)
	require.Equal(t, uint64(3), list.Unbondings[0].Id)
	f.lawful()
}

// One unbonding that cannot be paid, whether bank refuses or panics, holds up nobody and is paid later.
func TestUnbondingPostponed(t *testing.T) {
	f := newFixture(t, start())
	bad, good := f.fund("bad", 100*nex), f.fund("good", 100*nex)
	a, b := f.mustRegister(bad, "n1", 20*nex), f.mustRegister(good, "n2", 20*nex)
	for _, m := range []*types.MsgUnbond{{Operator: bad, NexcoreId: a, Amount: nex}, {Operator: good, NexcoreId: b, Amount: nex}} {
		_, err := f.msg.Unbond(f.ctx, m)
		require.NoError(t, err)
	}
	for i, fail := range []func(){func() { f.bank.refuse = bad }, func() { f.bank.refuse, f.bank.explode = "", bad }} {
		fail()
		f.pass(1, types.RetrySeconds)
		require.NoError(t, f.k.EndBlock(f.ctx))
		require.Len(t, f.events(types.EventPostponed), 1)
		require.Len(t, f.events(types.EventUnbonded), 1-i, "only the good one, only once")
		require.Equal(t, nex, f.nexcore(a).Unbonding)
		f.lawful()
	}
	f.bank.explode = ""
	f.pass(1, types.RetrySeconds-1)
	require.NoError(t, f.k.EndBlock(f.ctx))
	require.Empty(t, f.events(types.EventUnbonded), "before its next try")
	f.pass(1, 1)
	require.NoError(t, f.k.EndBlock(f.ctx))
	require.Len(t, f.events(types.EventUnbonded), 1)
	require.Zero(t, f.nexcore(a).Unbonding)
	f.lawful()
}

func TestDeregister(t *testing.T) {
	f := newFixture(t, start())
	op := f.fund("op", 100*nex)
	id := f.mustRegister(op, "node", 20*nex)
	_, err := f.msg.Unbond(f.ctx, &types.MsgUnbond{Operator: op, NexcoreId: id, Amount: nex})
	require.NoError(t, err)
	lock, err := f.k.Lock(f.ctx, id, nex)
	require.NoError(t, err)
	leave := &types.MsgDeregister{Operator: op, NexcoreId: id}
	_, err = f.msg.Deregister(f.ctx, leave)
	require.ErrorIs(t, err, types.ErrLock)
	require.NoError(t, f.k.Release(f.ctx, lock))
	f.pass(1, 500)
	_, err = f.msg.Deregister(f.ctx, leave)
	require.NoError(t, err)
	n := f.nexcore(id)
	require.Equal(t, types.STATUS_DEREGISTERED, n.Status)
	require.Equal(t, []int64{0, 20 * nex}, []int64{n.Bond, n.Unbonding})
	f.lawful()

	_, err = f.msg.Deregister(f.ctx, leave)
	require.ErrorIs(t, err, types.ErrStatus)
	_, err = f.msg.Bond(f.ctx, &types.MsgBond{Operator: op, NexcoreId: id, Amount: 1})
	require.ErrorIs(t, err, types.ErrStatus)
	_, err = f.msg.Unbond(f.ctx, &types.MsgUnbond{Operator: op, NexcoreId: id, Amount: 1})
	require.ErrorIs(t, err, types.ErrStatus)
	_, err = f.msg.Update(f.ctx, &types.MsgUpdate{Operator: op, NexcoreId: id, Spec: spec()})
	require.ErrorIs(t, err, types.ErrStatus)
	_, err = f.k.Lock(f.ctx, id, 0)
	require.ErrorIs(t, err, types.ErrStatus)
	_, err = f.msg.Register(f.ctx, register(op, "node", 10*nex))
	require.ErrorIs(t, err, types.ErrExists, "the key is taken as long as money is owed")

	f.pass(1, 500) // the first unbonding
	require.NoError(t, f.k.EndBlock(f.ctx))
	require.Equal(t, 19*nex, f.nexcore(id).Unbonding)
	f.pass(1, 500) // the last
	require.NoError(t, f.k.EndBlock(f.ctx))
	_, err = f.k.GetNexCore(f.ctx, id)
	require.ErrorIs(t, err, types.ErrNotFound)
	require.Len(t, f.events(types.EventRemoved), 1)
	require.Equal(t, denom.Anex(100*nex), f.bank.of(op))
	for _, req := range []*types.QueryNexCoresRequest{{}, {Operator: op}, {Region: "eu-west"}, {Runtime: "wasm"}, {Arch: "amd64"}} {
		list, err := f.qry.NexCores(f.ctx, req)
		require.NoError(t, err)
		require.Empty(t, list.Nexcores)
	}
	require.Equal(t, id+1, f.mustRegister(op, "node", 10*nex), "same key, new number")
	f.lawful()
}

// A NexCore that lost its whole bond has nothing to wait for.
func TestDeregisterWithNothing(t *testing.T) {
	f := newFixture(t, start())
	op := f.fund("op", 100*nex)
	id := f.mustRegister(op, "node", 10*nex)
	lock, err := f.k.Lock(f.ctx, id, 10*nex)
	require.NoError(t, err)
	_, err = f.k.Slash(f.ctx, lock, 10*nex, market)
	require.NoError(t, err)
	_, err = f.msg.Deregister(f.ctx, &types.MsgDeregister{Operator: op, NexcoreId: id})
	require.NoError(t, err)
	_, err = f.k.GetNexCore(f.ctx, id)
	require.ErrorIs(t, err, types.ErrNotFound)
	f.lawful()
}

func TestGenesisRoundTrip(t *testing.T) {
	f := newFixture(t, start())
	op := f.fund("op", 200*nex)
	id, left := f.mustRegister(op, "node", 30*nex), f.mustRegister(op, "left", 10*nex)
	lock, err := f.k.Lock(f.ctx, id, 3*nex)
	require.NoError(t, err)
	_, err = f.k.Lock(f.ctx, id, 0)
	require.NoError(t, err)
	_, err = f.msg.Unbond(f.ctx, &types.MsgUnbond{Operator: op, NexcoreId: id, Amount: nex})
	require.NoError(t, err)
	_, err = f.msg.Deregister(f.ctx, &types.MsgDeregister{Operator: op, NexcoreId: left})
	require.NoError(t, err)
	exported, err := f.k.ExportGenesis(f.ctx)
	require.NoError(t, err)

	g := newFixture(t, nil)
	require.ErrorIs(t, g.k.InitGenesis(g.ctx, exported), types.ErrGenesis, "records without coins")
	g = newFixture(t, nil)
	for address, n := range f.bank.balances {
		g.bank.balances[address] = n
	}
	require.NoError(t, g.k.InitGenesis(g.ctx, exported))
	again, err := g.k.ExportGenesis(g.ctx)
	require.NoError(t, err)
	require.Equal(t, exported, again)
	g.lawful()

	// Behaviour is kept: indexes, counts, queue, locks and numbers.
	for _, h := range []*fixture{f, g} {
		require.NoError(t, h.k.Release(h.ctx, lock))
		h.pass(1, 1_000)
		require.NoError(t, h.k.EndBlock(h.ctx))
		_, err = h.k.GetNexCore(h.ctx, left)
		require.ErrorIs(t, err, types.ErrNotFound)
		require.Equal(t, left+1, h.mustRegister(op, "new", 10*nex))
		list, err := h.qry.NexCores(h.ctx, &types.QueryNexCoresRequest{Runtime: "wasm", Operator: op})
		require.NoError(t, err)
		require.Len(t, list.Nexcores, 2)
		h.lawful()
	}
	x, err := f.k.ExportGenesis(f.ctx)
	require.NoError(t, err)
	y, err := g.k.ExportGenesis(g.ctx)
	require.NoError(t, err)
	require.Equal(t, x, y)
}

// Whatever messages, locks, slashes and blocks come in whatever order, no coin is made or lost and records agree.
func TestMoneyLaw(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		key := storetypes.NewKVStoreKey(types.StoreKey)
		f := empty(t, testutil.DefaultContext(key, storetypes.NewTransientStoreKey("t")), key)
		require.NoError(t, f.k.InitGenesis(f.ctx, start()))
		ops := []string{f.fund("a", 300*nex), f.fund("b", 300*nex)}
		supply := denom.Anex(600 * nex)
		var locks []uint64
		next := uint64(1)
		for step := range rapid.IntRange(5, 60).Draw(t, "steps") {
			op := rapid.SampledFrom(ops).Draw(t, "operator")
			id := rapid.Uint64Range(1, next).Draw(t, "nexcore")
			amount := rapid.Int64Range(-1, 25).Draw(t, "amount") * nex
			ctx, write := f.ctx.CacheContext()
			balances := map[string]math.Int{}
			for k, v := range f.bank.balances {
				balances[k] = v
			}
			var err error
			switch rapid.SampledFrom([]string{"register", "bond", "unbond", "lock", "lock", "lock", "release", "slash", "slash", "drain", "undrain", "jail", "unjail", "leave", "block", "block"}).Draw(t, "action") {
			case "register":
				if _, err = f.msg.Register(ctx, register(op, "node"+string(rune('a'+step)), amount)); err == nil {
					next++
				}
			case "bond":
				_, err = f.msg.Bond(ctx, &types.MsgBond{Operator: op, NexcoreId: id, Amount: amount})
			case "unbond":
				_, err = f.msg.Unbond(ctx, &types.MsgUnbond{Operator: op, NexcoreId: id, Amount: amount})
			case "lock":
				var l uint64
				if l, err = f.k.Lock(ctx, id, amount); err == nil {
					locks = append(locks, l)
				}
			case "release":
				err = f.k.Release(ctx, rapid.Uint64Range(1, uint64(len(locks))+1).Draw(t, "lock"))
			case "slash":
				_, err = f.k.Slash(ctx, rapid.Uint64Range(1, uint64(len(locks))+1).Draw(t, "lock"), amount, market)
			case "drain":
				_, err = f.msg.Drain(ctx, &types.MsgDrain{Signer: op, NexcoreId: id, Drain: true})
			case "undrain":
				_, err = f.msg.Drain(ctx, &types.MsgDrain{Signer: op, NexcoreId: id})
			case "jail":
				err = f.k.Jail(ctx, id, "missed_leases")
			case "unjail":
				_, err = f.msg.Unjail(ctx, &types.MsgUnjail{Operator: op, NexcoreId: id})
			case "leave":
				_, err = f.msg.Deregister(ctx, &types.MsgDeregister{Operator: op, NexcoreId: id})
			case "block":
				f.bank.refuse = rapid.SampledFrom([]string{"", "", ops[0]}).Draw(t, "refuse")
				f.pass(rapid.Int64Range(1, 60).Draw(t, "blocks"), rapid.Int64Range(0, 1_500).Draw(t, "seconds"))
				ctx, write = f.ctx.CacheContext()
				if err := f.k.EndBlock(ctx); err != nil {
					t.Fatalf("EndBlock: %v", err)
				}
				f.bank.refuse = ""
			}
			if err == nil {
				write()
			} else {
				f.bank.balances = balances // as the real bank's store would
			}
			f.lawful()
			sum := math.ZeroInt()
			for _, n := range f.bank.balances {
				sum = sum.Add(n)
			}
			if !sum.Equal(supply) {
				t.Fatalf("%s coins of %s", sum, supply)
			}
		}
	})
}
