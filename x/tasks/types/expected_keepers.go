package types

import (
	"context"

	sdk "github.com/cosmos/cosmos-sdk/types"

	nexcoretypes "github.com/nexara/nexara/x/nexcore/types"
	reputationtypes "github.com/nexara/nexara/x/reputation/types"
)

// BankKeeper moves the market's coins.
type BankKeeper interface {
	GetBalance(ctx context.Context, addr sdk.AccAddress, denom string) sdk.Coin
	SendCoinsFromAccountToModule(ctx context.Context, from sdk.AccAddress, module string, amt sdk.Coins) error
	SendCoinsFromModuleToAccount(ctx context.Context, module string, to sdk.AccAddress, amt sdk.Coins) error
	SendCoinsFromModuleToModule(ctx context.Context, from, to string, amt sdk.Coins) error
	BurnCoins(ctx context.Context, module string, amt sdk.Coins) error
	// BlockedAddr says that an address, a module's, is paid nothing.
	BlockedAddr(addr sdk.AccAddress) bool
}

// Registry reads who may compute.
type Registry interface {
	// GetNexCore returns one NexCore, or nexcoretypes.ErrNotFound.
	GetNexCore(ctx context.Context, id uint64) (nexcoretypes.NexCore, error)
	// NexCoreByNode returns the NexCore of a hot node address, or nexcoretypes.ErrNotFound.
	NexCoreByNode(ctx context.Context, nodeAddress string) (nexcoretypes.NexCore, error)
	// OfOperator returns up to limit NexCores of an operator, in the order of their numbers.
	OfOperator(ctx context.Context, operator string, limit int) ([]uint64, error)
}

// Bonds holds promises. Amounts are in micro-NEX.
type Bonds interface {
	// Lock holds amount of a NexCore's free bond; nexcoretypes.ErrBond when free bond is less.
	Lock(ctx context.Context, nexcoreID uint64, amount int64) (lockID uint64, err error)
	// Release ends a lock.
	Release(ctx context.Context, lockID uint64) error
	// Slash takes amount, at most the lock, out of the bond into a module account and ends the lock.
	Slash(ctx context.Context, lockID uint64, amount int64, toModule string) (taken int64, err error)
	// Jail takes a NexCore out of the market.
	Jail(ctx context.Context, nexcoreID uint64, reason string) error
	// BondTotals returns the sum of bonds and of unbondings, and what the bond account holds in anex.
	BondTotals(ctx context.Context) (bonds, unbondings int64, balance sdk.Coin, err error)
}

// NexCoreKeeper is all of x/nexcore that the market uses.
type NexCoreKeeper interface {
	Registry
	Bonds
}

// ReputationKeeper takes outcomes and gives scores.
type ReputationKeeper interface {
	// Record moves a score by one objective outcome; burn (micro-NEX) sets its weight.
	Record(ctx context.Context, fact reputationtypes.Fact) error
	// Lower returns a NexCore's lower confidence bound of completion, in millionths.
	Lower(ctx context.Context, nexcoreID uint64) (uint64, error)
	// Params returns the parameters: their unit says which burn is worth an outcome.
	Params(ctx context.Context) (reputationtypes.Params, error)
}
