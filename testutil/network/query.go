package network

import (
	cmtproto "github.com/cometbft/cometbft/proto/tendermint/types"
	"github.com/cosmos/cosmos-sdk/baseapp"
	sdk "github.com/cosmos/cosmos-sdk/types"
	"google.golang.org/grpc"

	"github.com/nexara/nexara/x/denom"
)

// Context returns the committed state for keepers to read. What is written to it is thrown away.
func (c *Chain) Context() sdk.Context {
	ctx, _ := c.App.NewContextLegacy(true, cmtproto.Header{
		ChainID: ChainID, Height: c.height, Time: c.now,
	}).CacheContext()
	return ctx
}

// Conn returns a connection to every query service, for generated clients.
func (c *Chain) Conn() grpc.ClientConnInterface {
	return &baseapp.QueryServiceTestHelper{GRPCQueryRouter: c.App.GRPCQueryRouter(), Ctx: c.Context()}
}

// Balance returns what an address holds in the base denom.
func (c *Chain) Balance(addr sdk.AccAddress) sdk.Coin {
	return c.App.BankKeeper.GetBalance(c.Context(), addr, denom.Base)
}

// ModuleBalance returns what a module account holds in the base denom.
func (c *Chain) ModuleBalance(name string) sdk.Coin {
	return c.Balance(c.App.AccountKeeper.GetModuleAddress(name))
}

// Supply returns how much of the base denom exists.
func (c *Chain) Supply() sdk.Coin {
	return c.App.BankKeeper.GetSupply(c.Context(), denom.Base)
}
