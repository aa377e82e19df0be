package types

import (
	"context"

	sdk "github.com/cosmos/cosmos-sdk/types"
)

// BankKeeper moves the coins of bonds.
type BankKeeper interface {
	GetBalance(ctx context.Context, addr sdk.AccAddress, denom string) sdk.Coin
	SendCoinsFromAccountToModule(ctx context.Context, from sdk.AccAddress, module string, amt sdk.Coins) error
	SendCoinsFromModuleToAccount(ctx context.Context, module string, to sdk.AccAddress, amt sdk.Coins) error
	// BlockedAddr says that an address, a module's, is paid nothing.
	BlockedAddr(addr sdk.AccAddress) bool
	SendCoinsFromModuleToModule(ctx context.Context, from, to string, amt sdk.Coins) error
}
