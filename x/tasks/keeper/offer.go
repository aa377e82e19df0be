package keeper

import (
	"context"
	"errors"

	"cosmossdk.io/collections"

	nexcoretypes "github.com/nexara/nexara/x/nexcore/types"

	"github.com/nexara/nexara/x/tasks/types"
)

// node returns the NexCore whose hot key signed, if it may still act.
func (k *Keeper) node(ctx context.Context, address string) (nexcoretypes.NexCore, error) {
	nexcore, err := k.nexcore.NexCoreByNode(ctx, address)
	if err != nil {
		return nexcore, types.ErrUnauthorized.Wrapf("%s is no NexCore's node key", address)
	}
	if nexcore.Status == nexcoretypes.STATUS_DEREGISTERED {
		return nexcore, types.ErrStanding.Wrapf("NexCore %d is deregistered", nexcore.Id)
	}
	return nexcore, nil
}

// PostOffer replaces a NexCore's standing offer. A changed ask is in force ask_delay blocks later; until
// then the old one stands. Everything else changes at once.
func (k *Keeper) PostOffer(ctx context.Context, msg *types.MsgPostOffer) (int64, error) {
	p, err := k.params.Get(ctx)
	if err != nil {
		return 0, err
	}
	if err := msg.Validate(p); err != nil {
		return 0, err
	}
	nexcore, err := k.node(ctx, msg.Node)
	if err != nil {
		return 0, err
	}
	if nexcore.Status != nexcoretypes.STATUS_ACTIVE {
		return 0, types.ErrStanding.Wrapf("NexCore %d is %s", nexcore.Id, nexcore.Status)
	}
	if err := withinSpec(msg, nexcore.Spec); err != nil {
		return 0, err
	}
	height := heightOf(ctx)
	offer, err := k.offers.Get(ctx, nexcore.Id)
	isNew := errors.Is(err, collections.ErrNotFound)
	if err != nil && !isNew {
		return 0, err
	}
	offer.NexcoreId = nexcore.Id
	offer.Ask, offer.AskHeight = askInForce(offer, height)
	if activated(offer, height) {
		offer.NextAsk, offer.NextAskHeight, offer.ActivationHeight = types.Ask{}, 0, 0
	}
	switch {
	case offer.AskHeight > 0 && msg.Ask == offer.Ask:
		offer.NextAsk, offer.NextAskHeight, offer.ActivationHeight = types.Ask{}, 0, 0
	case offer.NextAskHeight > 0 && msg.Ask == offer.NextAsk: // already on its way
	default:
		offer.NextAsk, offer.NextAskHeight, offer.ActivationHeight = msg.Ask, height, height+p.AskDelay
	}
	offer.Capacity, offer.Runtimes, offer.Network, offer.MaxRunSeconds = msg.Capacity, msg.Runtimes, msg.Network, msg.MaxRunSeconds
	offer.ExpiresHeight = height + p.OfferTtlBlocks
	if err := k.offers.Set(ctx, nexcore.Id, offer); err != nil {
		return 0, err
	}
	if isNew {
		if err := errors.Join(k.schedule(ctx, offer.ExpiresHeight, types.DueOffer, nexcore.Id),
			k.updateTotals(ctx, func(t *types.Totals) { t.Offers++ })); err != nil {
			return 0, err
		}
	}
	emit(ctx, EventOfferPosted, num("nexcore", nexcore.Id), num("activation", offer.ActivationHeight))
	return offer.ActivationHeight, nil
}

// withinSpec checks that an offer promises no more than what is registered.
func withinSpec(msg *types.MsgPostOffer, spec nexcoretypes.Spec) error {
	gpus := int64(0)
	for _, g := range spec.Gpus {
		gpus += int64(g.Count)
	}
	for _, c := range []struct {
		name           string
		offered, owned int64
	}{
		{"cpu_milli", msg.Capacity.CpuMilli, int64(spec.CpuMilli)},
		{"memory_mib", msg.Capacity.MemoryMib, int64(spec.MemoryMib)},
		{"disk_mib", msg.Capacity.DiskMib, int64(spec.DiskMib)},
		{"gpus", msg.Capacity.Gpus, gpus},
	} {
		if c.offered > c.owned {
			return types.ErrInvalidOffer.Wrapf("%s: %d offered, %d registered", c.name, c.offered, c.owned)
		}
	}
	for _, runtime := range msg.Runtimes {
		if !contains(spec.Runtimes, runtime) {
			return types.ErrInvalidOffer.Wrapf("runtime %q is not registered", runtime)
		}
	}
	return nil
}

func contains(list []string, word string) bool {
	for _, w := range list {
		if w == word {
			return true
		}
	}
	return false
}

// activated says that a committed ask has come into force.
func activated(o types.Offer, height int64) bool {
	return o.NextAskHeight > 0 && height >= o.ActivationHeight
}

// askInForce returns the ask in force and the block in which it was committed, 0 when none is.
func askInForce(o types.Offer, height int64) (types.Ask, int64) {
	if activated(o, height) {
		return o.NextAsk, o.NextAskHeight
	}
	return o.Ask, o.AskHeight
}

// WithdrawOffer takes an offer away at once. Running leases go on.
func (k *Keeper) WithdrawOffer(ctx context.Context, msg *types.MsgWithdrawOffer) error {
	nexcore, err := k.node(ctx, msg.Node)
	if err != nil {
		return err
	}
	return k.removeOffer(ctx, nexcore.Id, "withdrawn")
}

func (k *Keeper) removeOffer(ctx context.Context, id uint64, reason string) error {
	if has, err := k.offers.Has(ctx, id); err != nil || !has {
		return found(errors.Join(err, collections.ErrNotFound), "offer of NexCore", id)
	}
	emit(ctx, EventOfferRemoved, num("nexcore", id), word("reason", reason))
	return errors.Join(k.offers.Remove(ctx, id), k.updateTotals(ctx, func(t *types.Totals) { t.Offers-- }))
}

// refresh keeps an offer standing; every message of its NexCore does so. A NexCore without an offer is
// left alone. The record is written only when it gains a tenth of its life: refreshing is frequent.
func (k *Keeper) refresh(ctx context.Context, id uint64) (int64, error) {
	p, err := k.params.Get(ctx)
	if err != nil {
		return 0, err
	}
	offer, err := k.offers.Get(ctx, id)
	if errors.Is(err, collections.ErrNotFound) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	if expires := heightOf(ctx) + p.OfferTtlBlocks; expires-offer.ExpiresHeight > p.OfferTtlBlocks/10 {
		offer.ExpiresHeight = expires
		return expires, k.offers.Set(ctx, id, offer)
	}
	return offer.ExpiresHeight, nil
}
