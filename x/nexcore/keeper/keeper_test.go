package keeper_test

import (
	"context"
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"cosmossdk.io/math"

	"github.com/cosmos/cosmos-sdk/codec"
	cdctypes "github.com/cosmos/cosmos-sdk/codec/types"
	"github.com/cosmos/cosmos-sdk/crypto/keys/secp256k1"
	"github.com/cosmos/cosmos-sdk/runtime"
	storetypes "github.com/cosmos/cosmos-sdk/store/v2/types"
	"github.com/cosmos/cosmos-sdk/testutil"
	sdk "github.com/cosmos/cosmos-sdk/types"
	sdkerrors "github.com/cosmos/cosmos-sdk/types/errors"
	authtypes "github.com/cosmos/cosmos-sdk/x/auth/types"

	"github.com/nexara/nexara/x/denom"
	"github.com/nexara/nexara/x/nexcore/bond"
	"github.com/nexara/nexara/x/nexcore/keeper"
	"github.com/nexara/nexara/x/nexcore/types"
)

func TestMain(m *testing.M) {
	sdk.GetConfig().SetBech32PrefixForAccount(denom.Bech32Prefix, denom.Bech32Prefix+"pub")
	os.Exit(m.Run())
}

const (
	chainID = "nexara-test"
	market  = "tasks"
	nex     = int64(denom.UnexPerNEX)
)

// bank is a bank in memory, in anex. Like the real one it fails when money is missing, and it can be told to
// refuse, or to panic over, payments to one address. Its writes are outside the store: it takes part in a cached
// context only as far as these tests need, by failing before it moves anything.
type bank struct {
	balances map[string]math.Int
	refuse   string
	explode  string
	blocked  string
}

func (b *bank) BlockedAddr(addr sdk.AccAddress) bool { return addr.String() == b.blocked }

func (b *bank) of(addr string) math.Int {
	if n, ok := b.balances[addr]; ok {
		return n
	}
	return math.ZeroInt()
}

func (b *bank) move(from, to sdk.AccAddress, amt sdk.Coins) error {
	n := amt.AmountOf(denom.Base)
	switch to.String() {
	case b.refuse:
		return sdkerrors.ErrUnauthorized.Wrap("blocked address")
	case b.explode:
		panic("bank exploded")
	}
	if b.of(from.String()).LT(n) {
		return sdkerrors.ErrInsufficientFunds
	}
	b.balances[from.String()] = b.of(from.String()).Sub(n)
	b.balances[to.String()] = b.of(to.String()).Add(n)
	return nil
}

func (b *bank) GetBalance(_ context.Context, addr sdk.AccAddress, d string) sdk.Coin {
	return sdk.NewCoin(d, b.of(addr.String()))
}

func (b *bank) SendCoinsFromAccountToModule(_ context.Context, from sdk.AccAddress, module string, amt sdk.Coins) error {
	return b.move(from, authtypes.NewModuleAddress(module), amt)
}

func (b *bank) SendCoinsFromModuleToAccount(_ context.Context, module string, to sdk.AccAddress, amt sdk.Coins) error {
	return b.move(authtypes.NewModuleAddress(module), to, amt)
}

func (b *bank) SendCoinsFromModuleToModule(_ context.Context, from, to string, amt sdk.Coins) error {
	return b.move(authtypes.NewModuleAddress(from), authtypes.NewModuleAddress(to), amt)
}

// fixture is the module on a real store.
type fixture struct {
	t    require.TestingT
	ctx  sdk.Context
	bank *bank
	k    *keeper.Keeper
	msg  types.MsgServer
	qry  types.QueryServer
}

var authority = authtypes.NewModuleAddress("gov").String()

func newFixture(tb testing.TB, genesis *types.GenesisState) *fixture {
	key := storetypes.NewKVStoreKey(types.StoreKey)
	tc := testutil.DefaultContextWithDB(tb, key, storetypes.NewTransientStoreKey("t"))
	f := empty(tb, tc.Ctx, key)
	if genesis != nil {
		require.NoError(tb, f.k.InitGenesis(f.ctx, genesis))
	}
	return f
}

func empty(t require.TestingT, ctx sdk.Context, key *storetypes.KVStoreKey) *fixture {
	cdc := codec.NewProtoCodec(cdctypes.NewInterfaceRegistry())
	b := &bank{balances: map[string]math.Int{}}
	k := keeper.NewKeeper(cdc, runtime.NewKVStoreService(key), b, authority)
	return &fixture{
		t: t, bank: b, k: k, msg: keeper.NewMsgServer(k), qry: keeper.NewQueryServer(k),
		ctx: ctx.WithChainID(chainID).WithBlockHeight(10).WithBlockTime(time.Unix(1_000_000, 0)),
	}
}

// params are small, so that every bound is reached.
func params() types.Params {
	return types.Params{MinBond: 10 * nex, UnbondingSeconds: 1_000, JailBlocks: 50, MaxNexcoresPerOperator: 3, MaxUnbondingsPerBlock: 2}
}

func start() *types.GenesisState {
	g := types.DefaultGenesis()
	g.Params = params()
	return g
}

// pass moves the block on.
func (f *fixture) pass(blocks, seconds int64) {
	f.ctx = f.ctx.WithBlockHeight(f.ctx.BlockHeight() + blocks).WithBlockTime(f.ctx.BlockTime().Add(time.Duration(seconds) * time.Second)).
		WithEventManager(sdk.NewEventManager())
}

// events returns the events of a kind since the block began.
func (f *fixture) events(kind string) []map[string]string {
	var out []map[string]string
	for _, e := range f.ctx.EventManager().Events() {
		if e.Type == kind {
			m := map[string]string{}
			for _, a := range e.Attributes {
				m[a.Key] = a.Value
			}
			out = append(out, m)
		}
	}
	return out
}

// lawful checks the money law and that the totals are the sums of the records.
func (f *fixture) lawful() {
	bonds, unbondings, balance, err := f.k.BondTotals(f.ctx)
	require.NoError(f.t, err)
	require.Equal(f.t, denom.Anex(bonds+unbondings).String(), balance.Amount.String(), "the account is not bonds and unbondings")
	g, err := f.k.ExportGenesis(f.ctx)
	require.NoError(f.t, err)
	require.NoError(f.t, g.Validate())
	b, u := int64(0), int64(0)
	for _, n := range g.Nexcores {
		b, u = b+n.Bond, u+n.Unbonding
	}
	require.Equal(f.t, []int64{b, u}, []int64{bonds, unbondings}, "totals are not the sums of the records")
}

func person(name string) string {
	return sdk.AccAddress(secp256k1.GenPrivKeyFromSecret([]byte(name)).PubKey().Address()).String()
}

// fund gives an operator money.
func (f *fixture) fund(name string, unex int64) string {
	a := person(name)
	f.bank.balances[a] = f.bank.of(a).Add(denom.Anex(unex))
	return a
}

func spec() types.Spec {
	return types.Spec{Arch: "amd64", CpuMilli: 1_000, MemoryMib: 512, Runtimes: []string{"container", "wasm"}, Region: "eu-west"}
}

// register makes the message of an operator and a node key.
func register(operator, node string, amount int64) *types.MsgRegister {
	key := secp256k1.GenPrivKeyFromSecret([]byte(node))
	msg := &types.MsgRegister{Operator: operator, NodePubkey: key.PubKey().Bytes(), Spec: spec(), Bond: amount}
	text, err := bond.Registration{ChainID: chainID, Operator: operator, NodePubkey: msg.NodePubkey}.Message()
	if err != nil {
		panic(err)
	}
	if msg.NodeProof, err = key.Sign(text); err != nil {
		panic(err)
	}
	return msg
}

func (f *fixture) mustRegister(operator, node string, amount int64) uint64 {
	res, err := f.msg.Register(f.ctx, register(operator, node, amount))
	require.NoError(f.t, err)
	return res.NexcoreId
}

func (f *fixture) nexcore(id uint64) types.NexCore {
	n, err := f.k.GetNexCore(f.ctx, id)
	require.NoError(f.t, err)
	return n
}
