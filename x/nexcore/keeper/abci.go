package keeper

import (
	"context"
	"errors"

	"cosmossdk.io/collections"
	errorsmod "cosmossdk.io/errors"

	sdk "github.com/cosmos/cosmos-sdk/types"

	"github.com/nexara/nexara/x/nexcore/types"
)

// EndBlock pays matured unbondings, oldest first, at most max_unbondings_per_block of them; the rest waits for
// the next block. One that fails is postponed and evented and never holds up the others. Only a store that
// cannot be read gives an error.
func (k *Keeper) EndBlock(ctx context.Context) error {
	p, err := k.params.Get(ctx)
	if err != nil {
		return err
	}
	sdkCtx := sdk.UnwrapSDKContext(ctx)
	mature := make([]due, 0)
	end := collections.NewPrefixUntilPairRange[int64, uint64](now(ctx))
	if err := k.queue.Walk(ctx, end, func(key due) (bool, error) {
		mature = append(mature, key)
		return uint64(len(mature)) >= p.MaxUnbondingsPerBlock, nil
	}); err != nil {
		return err
	}
	for _, key := range mature {
		err := k.tryPay(sdkCtx, key)
		if err == nil {
			continue
		}
		// The text of an error is for the log alone: only its number is the same on every node.
		codespace, code, _ := errorsmod.ABCIInfo(err, false)
		sdkCtx.Logger().Error("unbonding not paid", "module", types.ModuleName, "unbonding", key.K2(), "err", err)
		emit(ctx, types.EventPostponed, num("unbonding", key.K2()), word("codespace", codespace), num("code", code))
		if err := k.postpone(ctx, key); err != nil {
			return errors.Join(types.ErrItem, err)
		}
	}
	return nil
}
