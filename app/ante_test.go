package app_test

import (
	"bytes"
	"testing"
	"time"

	abci "github.com/cometbft/cometbft/abci/types"
	"github.com/cosmos/cosmos-sdk/baseapp"
	sdk "github.com/cosmos/cosmos-sdk/types"
	sdkerrors "github.com/cosmos/cosmos-sdk/types/errors"
	authtypes "github.com/cosmos/cosmos-sdk/x/auth/types"
	banktypes "github.com/cosmos/cosmos-sdk/x/bank/types"
	"github.com/cosmos/cosmos-sdk/x/feegrant"
	"github.com/stretchr/testify/require"

	"github.com/nexara/nexara/app"
	"github.com/nexara/nexara/testutil/network"
	"github.com/nexara/nexara/x/denom"
)

func TestUnorderedTransactions(t *testing.T) {
	c := network.New(t, network.Options{})
	a, b := c.Account("alice"), c.Account("bob")
	msg := banktypes.NewMsgSend(a.Address, b.Address, sdk.NewCoins(app.NEX(1)))

	// Three of one account in one block, in whatever order they come.
	one := c.SignWith(a, network.TxOptions{Unordered: true}, msg)
	two := c.SignWith(a, network.TxOptions{Unordered: true}, msg)
	three := c.SignWith(a, network.TxOptions{Unordered: true}, msg)
	for i, res := range c.Block(three, one, two).Txs {
		require.True(t, res.IsOK(), "transaction %d: %s", i, res.Log)
	}
	require.Zero(t, c.App.AccountKeeper.GetAccount(c.Context(), a.Address).GetSequence())

	replayed := c.Block(one).Txs[0]
	require.False(t, replayed.IsOK(), "a replay went through")

	tooFar := c.SignWith(a, network.TxOptions{Unordered: true, Timeout: c.Time().Add(app.MaxUnorderedTimeout + 2*time.Second)}, msg)
	require.False(t, c.Block(tooFar).Txs[0].IsOK(), "a timeout above the limit went through")

	late := c.SignWith(a, network.TxOptions{Unordered: true, Timeout: c.Time()}, msg)
	require.False(t, c.Block(late).Txs[0].IsOK(), "a transaction past its timeout went through")
}

func TestFeeGrantPaysGas(t *testing.T) {
	c := network.New(t, network.Options{})
	operator, node := c.Account("alice"), c.Account("node key without coins")
	grant, err := feegrant.NewMsgGrantAllowance(&feegrant.BasicAllowance{}, operator.Address, node.Address)
	require.NoError(t, err)
	c.MustDeliver(operator, grant)
	before := c.Balance(operator.Address)

	revoke := feegrant.NewMsgRevokeAllowance(node.Address, operator.Address) // any message; it fails, but its fee is due
	res := c.Block(c.SignWith(node, network.TxOptions{Granter: operator, Unordered: true}, &revoke)).Txs[0]
	require.False(t, res.IsOK(), "there was no grant to revoke")
	require.True(t, c.Balance(operator.Address).IsLT(before), "the granter has paid nothing")

	res = c.Block(c.SignWith(node, network.TxOptions{Unordered: true}, &revoke)).Txs[0]
	require.Equal(t, sdkerrors.ErrInsufficientFunds.ABCICode(), res.Code, res.Log)
}

func TestAdmission(t *testing.T) {
	c := network.New(t, network.Options{NoShadows: true, BaseApp: []func(*baseapp.BaseApp){baseapp.SetMinGasPrices(app.MinGasPrices)}})
	a, b := c.Account("alice"), c.Account("bob")
	msg := banktypes.NewMsgSend(a.Address, b.Address, sdk.NewCoins(app.NEX(1)))
	price, err := sdk.ParseDecCoin(app.MinGasPrices)
	require.NoError(t, err)
	enough := sdk.NewCoins(sdk.NewCoin(denom.Base, price.Amount.MulInt64(200_000).TruncateInt()))

	for _, tc := range []struct {
		name string
		opts network.TxOptions
		want uint32
	}{
		{"fee at the least price", network.TxOptions{Gas: 200_000, Fee: enough}, 0},
		{"fee below it", network.TxOptions{Gas: 200_001, Fee: enough}, sdkerrors.ErrInsufficientFee.ABCICode()},
		{"no gas", network.TxOptions{Gas: 1, Fee: enough}, sdkerrors.ErrOutOfGas.ABCICode()},
		{"gas above a block's", network.TxOptions{Gas: app.MaxBlockGas + 1, Fee: sdk.NewCoins(app.NEX(1))}, sdkerrors.ErrInvalidGasLimit.ABCICode()},
		{"too large", network.TxOptions{Gas: 200_000, Fee: enough, Memo: string(bytes.Repeat([]byte{'x'}, app.MaxTxBytes))}, sdkerrors.ErrTxTooLarge.ABCICode()},
		{"signed as text", network.TxOptions{Gas: 200_000, Fee: enough, AminoJSON: true}, 0},
	} {
		t.Run(tc.name, func(t *testing.T) {
			c.Advance(1) // forget what CheckTx of the last case did
			res, err := c.App.CheckTx(&abci.RequestCheckTx{Tx: c.SignWith(a, tc.opts, msg), Type: abci.CheckTxType_New})
			require.NoError(t, err)
			require.Equal(t, tc.want, res.Code, res.Log)
		})
	}
}

// TestModuleAccountsTakeNothing says that nobody can send coins to a module: what it holds is what its own
// messages put there.
func TestModuleAccountsTakeNothing(t *testing.T) {
	c := network.New(t, network.Options{})
	a := c.Account("alice")
	perms := c.App.AccountKeeper.GetModulePermissions()
	require.Len(t, perms, len(app.BlockedAddresses()))
	for name := range perms {
		to := authtypes.NewModuleAddress(name)
		res := c.Deliver(a, banktypes.NewMsgSend(a.Address, to, sdk.NewCoins(app.NEX(1))))
		require.Equal(t, sdkerrors.ErrUnauthorized.ABCICode(), res.Code, "%s: %s", name, res.Log)
	}
}
