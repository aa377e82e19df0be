package keeper

import (
	"context"
	"errors"

	"cosmossdk.io/collections"

	sdk "github.com/cosmos/cosmos-sdk/types"

	"github.com/nexara/nexara/x/nexcore/types"
)

// Bond adds to a NexCore's bond. A jailed one may: that is how a slashed bond is filled up.
func (k *Keeper) Bond(ctx context.Context, msg *types.MsgBond) error {
	if err := types.CheckAmount(msg.Amount); err != nil {
		return err
	}
	n, err := k.owned(ctx, msg.NexcoreId, msg.Operator)
	if err != nil {
		return err
	}
	if n.Status == types.STATUS_DEREGISTERED {
		return types.ErrStatus.Wrapf("NexCore %d has left", n.Id)
	}
	return k.deposit(ctx, &n, msg.Amount)
}

// deposit takes coins of the operator into the bond and stores the NexCore.
func (k *Keeper) deposit(ctx context.Context, n *types.NexCore, amount int64) error {
	after, err := n.Account().Add(amount)
	if err != nil {
		return bonded(err)
	}
	from, err := sdk.AccAddressFromBech32(n.Operator)
	if err != nil {
		return types.ErrUnauthorized.Wrap("operator is not an address")
	}
	if err := k.bank.SendCoinsFromAccountToModule(ctx, from, types.ModuleName, coins(amount)); err != nil {
		return err
	}
	emitNexCore(ctx, types.EventBonded, *n, num("amount", amount), num("bond", after.Bond))
	return k.setAccount(ctx, n, after)
}

// Lock holds amount (micro-NEX, 0 for a lease without a price) of an active NexCore's free bond against a
// promise. ErrBond when the free bond is less, ErrStatus when the NexCore may not promise.
func (k *Keeper) Lock(ctx context.Context, nexcoreID uint64, amount int64) (uint64, error) {
	n, err := k.GetNexCore(ctx, nexcoreID)
	if err != nil {
		return 0, err
	}
	if n.Status != types.STATUS_ACTIVE {
		return 0, types.ErrStatus.Wrapf("NexCore %d is not active", nexcoreID)
	}
	after, err := n.Account().Lock(amount)
	if err != nil {
		return 0, bonded(err)
	}
	id, err := k.nextLock.Next(ctx)
	if err != nil {
		return 0, err
	}
	return id, errors.Join(
		k.locks.Set(ctx, id, types.Lock{Id: id, NexcoreId: nexcoreID, Amount: amount}),
		k.locksByNexCore.Set(ctx, collections.Join(nexcoreID, id)),
		k.setAccount(ctx, &n, after),
	)
}

// Release ends a lock: its amount is free again. ErrNotFound when there is no such lock.
func (k *Keeper) Release(ctx context.Context, lockID uint64) error {
	lock, n, err := k.locked(ctx, lockID)
	if err != nil {
		return err
	}
	after, err := n.Account().Release(lock.Amount)
	if err != nil {
		return bonded(err)
	}
	return errors.Join(k.unlock(ctx, lock), k.setAccount(ctx, &n, after))
}

// Slash takes amount (micro-NEX), at most the lock, out of the bond into a module account and ends the lock;
// what of the lock was not taken is free again. It returns what was taken. A locked coin cannot be
// unbonded, so no slash ever has to follow a bond into unbonding.
func (k *Keeper) Slash(ctx context.Context, lockID uint64, amount int64, toModule string) (int64, error) {
	lock, n, err := k.locked(ctx, lockID)
	if err != nil {
		return 0, err
	}
	after, taken, err := n.Account().Slash(lock.Amount, amount)
	if err != nil {
		return 0, bonded(err)
	}
	if taken > 0 {
		if err := k.bank.SendCoinsFromModuleToModule(ctx, types.ModuleName, toModule, coins(taken)); err != nil {
			return 0, err
		}
	}
	emitNexCore(ctx, types.EventSlashed, n, num("lock", lock.Id), num("locked", lock.Amount), num("amount", taken),
		word("to", toModule), num("bond", after.Bond))
	return taken, errors.Join(k.unlock(ctx, lock), k.setAccount(ctx, &n, after))
}

// locked loads a lock and its NexCore.
func (k *Keeper) locked(ctx context.Context, lockID uint64) (types.Lock, types.NexCore, error) {
	lock, err := k.locks.Get(ctx, lockID)
	if err != nil {
		return lock, types.NexCore{}, found(err, "lock", lockID)
	}
	n, err := k.GetNexCore(ctx, lock.NexcoreId)
	return lock, n, err
}

func (k *Keeper) unlock(ctx context.Context, lock types.Lock) error {
	return errors.Join(k.locks.Remove(ctx, lock.Id), k.locksByNexCore.Remove(ctx, collections.Join(lock.NexcoreId, lock.Id)))
}
