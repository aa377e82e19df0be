package keeper

import (
	"context"

	"cosmossdk.io/math"

	sdk "github.com/cosmos/cosmos-sdk/types"
	authtypes "github.com/cosmos/cosmos-sdk/x/auth/types"

	"github.com/nexara/nexara/x/denom"
	"github.com/nexara/nexara/x/tasks/types"
)

// Every coin of the market moves through this file, and each move changes the totals with it: that is
// what makes the money law checkable in O(1). Amounts are in micro-NEX.

func coins(unex int64) sdk.Coins {
	return sdk.NewCoins(sdk.NewCoin(denom.Base, denom.Anex(unex)))
}

// payable refuses an address that bank pays nothing to, a module's: its refund could never be made.
func (k *Keeper) payable(address string) error {
	addr, err := sdk.AccAddressFromBech32(address)
	if err != nil {
		return types.ErrUnauthorized.Wrapf("%q is not an address", address)
	}
	if k.bank.BlockedAddr(addr) {
		return types.ErrUnauthorized.Wrapf("%s is a module's account and can receive no refund", address)
	}
	return nil
}

// lockEscrow takes a requester's money into escrow.
func (k *Keeper) lockEscrow(ctx context.Context, requester string, amount int64) error {
	from, err := sdk.AccAddressFromBech32(requester)
	if err != nil {
		return types.ErrUnauthorized.Wrap("requester is not an address")
	}
	if have := k.bank.GetBalance(ctx, from, denom.Base); have.Amount.LT(denom.Anex(amount)) {
		return types.ErrFunds.Wrapf("escrow needs %s, %s has %s",
			denom.String(amount), requester, denom.String(have.Amount.Quo(math.NewInt(denom.AnexPerUnex)).Int64()))
	}
	if err := k.bank.SendCoinsFromAccountToModule(ctx, from, types.ModuleName, coins(amount)); err != nil {
		return types.ErrFunds.Wrap(err.Error())
	}
	return k.updateTotals(ctx, func(t *types.Totals) { t.PaidIn += amount; t.Escrow += amount })
}

// refund returns escrow to a requester.
func (k *Keeper) refund(ctx context.Context, requester string, amount int64) error {
	if err := k.fromEscrow(ctx, requester, amount); err != nil {
		return err
	}
	return k.updateTotals(ctx, func(t *types.Totals) { t.Refunded += amount; t.Escrow -= amount })
}

// pay gives escrow to an operator.
func (k *Keeper) pay(ctx context.Context, operator string, amount int64) error {
	if err := k.fromEscrow(ctx, operator, amount); err != nil {
		return err
	}
	return k.updateTotals(ctx, func(t *types.Totals) { t.PaidOut += amount; t.Escrow -= amount })
}

func (k *Keeper) fromEscrow(ctx context.Context, address string, amount int64) error {
	if amount == 0 {
		return nil
	}
	to, err := sdk.AccAddressFromBech32(address)
	if err != nil {
		return err
	}
	return k.bank.SendCoinsFromModuleToAccount(ctx, types.ModuleName, to, coins(amount))
}

// burn destroys escrow.
func (k *Keeper) burn(ctx context.Context, amount int64) error {
	if amount == 0 {
		return nil
	}
	if err := k.bank.BurnCoins(ctx, types.ModuleName, coins(amount)); err != nil {
		return err
	}
	return k.updateTotals(ctx, func(t *types.Totals) { t.Burned += amount; t.Escrow -= amount })
}

// pool moves escrow into the pool.
func (k *Keeper) pool(ctx context.Context, amount int64) error {
	if amount == 0 {
		return nil
	}
	if err := k.bank.SendCoinsFromModuleToModule(ctx, types.ModuleName, types.PoolName, coins(amount)); err != nil {
		return err
	}
	return k.updateTotals(ctx, func(t *types.Totals) { t.Pooled += amount; t.Pool += amount; t.Escrow -= amount })
}

// slashed is what a broken promise cost and where it went.
type slashed struct{ taken, compensated int64 }

// slash takes up to amount out of a lock, gives the requester at most its proven costs and burns the rest.
// The lock ends.
func (k *Keeper) slash(ctx context.Context, lease types.Lease, amount, proven int64) (slashed, error) {
	taken, err := k.nexcore.Slash(ctx, lease.LockId, amount, types.ModuleName)
	if err != nil {
		return slashed{}, err
	}
	if err := k.updateTotals(ctx, func(t *types.Totals) { t.SlashedIn += taken; t.Escrow += taken }); err != nil {
		return slashed{}, err
	}
	compensated := min(proven, taken)
	if compensated > 0 {
		if err := k.fromEscrow(ctx, lease.Requester, compensated); err != nil {
			return slashed{}, err
		}
		if err := k.updateTotals(ctx, func(t *types.Totals) { t.Compensated += compensated; t.Escrow -= compensated }); err != nil {
			return slashed{}, err
		}
	}
	return slashed{taken, compensated}, k.burn(ctx, taken-compensated)
}

// Money returns both sides of the money law: what records say and what accounts hold.
func (k *Keeper) Money(ctx context.Context) (*types.QueryMoneyResponse, error) {
	totals, err := k.totals.Get(ctx)
	if err != nil {
		return nil, err
	}
	bonds, unbondings, bondBalance, err := k.nexcore.BondTotals(ctx)
	if err != nil {
		return nil, err
	}
	escrow := k.bank.GetBalance(ctx, authtypes.NewModuleAddress(types.ModuleName), denom.Base)
	pool := k.bank.GetBalance(ctx, authtypes.NewModuleAddress(types.PoolName), denom.Base)
	in := totals.PaidIn + totals.SlashedIn
	out := totals.PaidOut + totals.Refunded + totals.Burned + totals.Pooled + totals.Compensated
	return &types.QueryMoneyResponse{
		Holds: escrow.Amount.Equal(denom.Anex(totals.Escrow)) && pool.Amount.Equal(denom.Anex(totals.Pool)) &&
			bondBalance.Amount.Equal(denom.Anex(bonds+unbondings)) && totals.Escrow == in-out,
		EscrowRecords: totals.Escrow, EscrowBalance: escrow.Amount.String(),
		PoolRecords: totals.Pool, PoolBalance: pool.Amount.String(),
		BondRecords: bonds + unbondings, BondBalance: bondBalance.Amount.String(),
		Totals: totals,
	}, nil
}
