package keeper

import (
	"context"
	"errors"
	"fmt"

	"cosmossdk.io/collections"

	sdk "github.com/cosmos/cosmos-sdk/types"

	"github.com/nexara/nexara/x/nexcore/types"
)

// Unbond starts taking free bond out and returns when it is paid, in Unix seconds of block time. min_bond
// stays bonded as long as the NexCore is registered; who wants all of it deregisters.
func (k *Keeper) Unbond(ctx context.Context, msg *types.MsgUnbond) (int64, error) {
	if err := types.CheckAmount(msg.Amount); err != nil {
		return 0, err
	}
	p, err := k.params.Get(ctx)
	if err != nil {
		return 0, err
	}
	n, err := k.owned(ctx, msg.NexcoreId, msg.Operator)
	if err != nil {
		return 0, err
	}
	if n.Status == types.STATUS_DEREGISTERED {
		return 0, types.ErrStatus.Wrapf("NexCore %d has left: all of its bond is unbonding", n.Id)
	}
	queued := 0
	if err := k.unbondingsByNode.Walk(ctx, collections.NewPrefixedPairRange[uint64, uint64](n.Id), func(pair) (bool, error) {
		queued++
		return queued >= types.MaxUnbondings, nil
	}); err != nil {
		return 0, err
	}
	if queued >= types.MaxUnbondings {
		return 0, types.ErrLimit.Wrapf("NexCore %d has %d unbondings queued already", n.Id, queued)
	}
	after, err := n.Account().Unbond(msg.Amount, p.MinBond)
	if err != nil {
		return 0, bonded(err)
	}
	complete, err := k.enqueue(ctx, n, msg.Amount)
	if err != nil {
		return 0, err
	}
	return complete, k.setAccount(ctx, &n, after)
}

// enqueue stores an unbonding; the caller changes the account.
func (k *Keeper) enqueue(ctx context.Context, n types.NexCore, amount int64) (int64, error) {
	p, err := k.params.Get(ctx)
	if err != nil {
		return 0, err
	}
	id, err := k.nextUnbonding.Next(ctx)
	if err != nil {
		return 0, err
	}
	u := types.Unbonding{
		Id: id, NexcoreId: n.Id, Operator: n.Operator, Amount: amount, CompleteTime: now(ctx) + p.UnbondingSeconds,
	}
	emitNexCore(ctx, types.EventUnbonding, n, num("unbonding", id), num("amount", amount), num("complete_time", u.CompleteTime))
	return u.CompleteTime, k.storeUnbonding(ctx, u)
}

func (k *Keeper) storeUnbonding(ctx context.Context, u types.Unbonding) error {
	return errors.Join(k.unbondings.Set(ctx, u.Id, u), k.unbondingsByNode.Set(ctx, collections.Join(u.NexcoreId, u.Id)),
		k.queue.Set(ctx, collections.Join(u.CompleteTime, u.Id)))
}

// pay pays one matured unbonding and removes the record of a NexCore that left with it.
func (k *Keeper) pay(ctx context.Context, key due) error {
	u, err := k.unbondings.Get(ctx, key.K2())
	if err != nil {
		return found(err, "unbonding", key.K2())
	}
	n, err := k.GetNexCore(ctx, u.NexcoreId)
	if err != nil {
		return err
	}
	after, err := n.Account().Pay(u.Amount)
	if err != nil {
		return bonded(err)
	}
	to, err := sdk.AccAddressFromBech32(u.Operator)
	if err != nil {
		return types.ErrItem.Wrap("operator is not an address")
	}
	if err := k.bank.SendCoinsFromModuleToAccount(ctx, types.ModuleName, to, coins(u.Amount)); err != nil {
		return err
	}
	emitNexCore(ctx, types.EventUnbonded, n, num("unbonding", u.Id), num("amount", u.Amount))
	if err := errors.Join(k.queue.Remove(ctx, key), k.unbondings.Remove(ctx, u.Id),
		k.unbondingsByNode.Remove(ctx, collections.Join(u.NexcoreId, u.Id)), k.setAccount(ctx, &n, after)); err != nil {
		return err
	}
	return k.removeIfGone(ctx, n)
}

// tryPay pays in a cache of its own, so that a failure, even a panic, leaves nothing half done.
func (k *Keeper) tryPay(ctx sdk.Context, key due) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = types.ErrItem.Wrap(fmt.Sprint(p))
		}
	}()
	cache, write := ctx.CacheContext()
	if err := k.pay(cache, key); err != nil {
		return err
	}
	write()
	return nil
}

// postpone moves an unbonding that could not be paid behind those that can, to be tried again after
// types.RetrySeconds. A queue entry without a record is dropped: there is nothing to pay.
func (k *Keeper) postpone(ctx context.Context, key due) error {
	if err := k.queue.Remove(ctx, key); err != nil {
		return err
	}
	u, err := k.unbondings.Get(ctx, key.K2())
	if errors.Is(err, collections.ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	u.CompleteTime = now(ctx) + types.RetrySeconds
	return k.storeUnbonding(ctx, u)
}

// now is the block's time in Unix seconds.
func now(ctx context.Context) int64 { return sdk.UnwrapSDKContext(ctx).BlockTime().Unix() }
