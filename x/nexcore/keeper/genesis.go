package keeper

import (
	"context"
	"errors"

	"cosmossdk.io/collections"

	"github.com/nexara/nexara/x/nexcore/types"
)

// InitGenesis stores a state and rebuilds indexes, queue and totals from its records. Bank must have its
// balances by then: records without coins behind them are refused.
func (k *Keeper) InitGenesis(ctx context.Context, g *types.GenesisState) error {
	if err := g.Validate(); err != nil {
		return err
	}
	bonds, unbondings := int64(0), int64(0)
	err := errors.Join(k.params.Set(ctx, g.Params), k.nextNexCore.Set(ctx, g.NextNexcoreId),
		k.nextLock.Set(ctx, g.NextLockId), k.nextUnbonding.Set(ctx, g.NextUnbondingId))
	for _, n := range g.Nexcores {
		bonds, unbondings = bonds+n.Bond, unbondings+n.Unbonding // Validate proved that the sums fit
		err = errors.Join(err, k.nexcores.Set(ctx, n.Id, n), k.index(ctx, n))
	}
	for _, l := range g.Locks {
		err = errors.Join(err, k.locks.Set(ctx, l.Id, l), k.locksByNexCore.Set(ctx, collections.Join(l.NexcoreId, l.Id)))
	}
	for _, u := range g.Unbondings {
		err = errors.Join(err, k.storeUnbonding(ctx, u))
	}
	err = errors.Join(err, k.bondTotal.Set(ctx, bonds), k.unbondingTotal.Set(ctx, unbondings))
	if err != nil {
		return err
	}
	_, _, balance, err := k.BondTotals(ctx)
	if err != nil {
		return err
	}
	if balance.Amount.LT(anex(bonds).Add(anex(unbondings))) {
		return types.ErrGenesis.Wrapf("bonds of %d and unbondings of %d unex, but the account holds %s", bonds, unbondings, balance)
	}
	return nil
}

// ExportGenesis returns the whole state, in the order of numbers.
func (k *Keeper) ExportGenesis(ctx context.Context) (*types.GenesisState, error) {
	g := types.DefaultGenesis()
	var e1, e2, e3, e4 error
	g.Params, e1 = k.params.Get(ctx)
	g.NextNexcoreId, e2 = k.nextNexCore.Peek(ctx)
	g.NextLockId, e3 = k.nextLock.Peek(ctx)
	g.NextUnbondingId, e4 = k.nextUnbonding.Peek(ctx)
	err := errors.Join(e1, e2, e3, e4,
		k.nexcores.Walk(ctx, nil, func(_ uint64, n types.NexCore) (bool, error) {
			g.Nexcores = append(g.Nexcores, n)
			return false, nil
		}),
		k.locks.Walk(ctx, nil, func(_ uint64, l types.Lock) (bool, error) {
			g.Locks = append(g.Locks, l)
			return false, nil
		}),
		k.unbondings.Walk(ctx, nil, func(_ uint64, u types.Unbonding) (bool, error) {
			g.Unbondings = append(g.Unbondings, u)
			return false, nil
		}),
	)
	return g, err
}
