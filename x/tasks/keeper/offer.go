package keeper

import (
	"context"
	"errors"

	"cosmossdk.io/collections"

	nexcoretypes "github.com/nexara/nexara/x/nexcore/types"

	"github.com/nexara/nexara/x/tasks/auction"
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
	standing, err := k.standing(ctx, nexcore.Id)
	if err != nil {
		return 0, err
	}
	offer.NexcoreId = nexcore.Id
	commitAsk(&offer, &standing, msg.Ask, height, p.AskDelay)
	if standing.FirstAskHeight == 0 {
		standing.FirstAskHeight = height
		if err := k.standings.Set(ctx, nexcore.Id, standing); err != nil {
			return 0, err
		}
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

// commitAsk makes an ask the one to come, or leaves what is there when nothing changes. The height that goes with
// an ask is the block since which no part of it has risen: a lowered ask keeps it, so waiting jobs see the lower
// price; a raised one starts anew, so it never reaches a job that its operator could see. Leaving the market and coming back
// is no way around: the ask of the last offer still counts.
func commitAsk(offer *types.Offer, standing *types.Standing, ask types.Ask, height, delay int64) {
	offer.Ask, offer.AskHeight = askInForce(*offer, height)
	if activated(*offer, height) {
		offer.NextAsk, offer.NextAskHeight, offer.ActivationHeight = types.Ask{}, 0, 0
	}
	before, since := offer.Ask, offer.AskHeight
	if since == 0 && offer.NextAskHeight == 0 {
		before, since = standing.LastAsk, standing.LastAskHeight
	}
	switch {
	case offer.AskHeight > 0 && ask == offer.Ask:
		offer.NextAsk, offer.NextAskHeight, offer.ActivationHeight = types.Ask{}, 0, 0
	case offer.NextAskHeight > 0 && ask == offer.NextAsk: // already on its way
	default:
		if since == 0 || !notAbove(ask, before) {
			since = height
		}
		offer.NextAsk, offer.NextAskHeight, offer.ActivationHeight = ask, since, height+delay
	}
}

// notAbove says that no part of an ask is above another's.
func notAbove(a, b types.Ask) bool {
	return a.CpuMilli <= b.CpuMilli && a.MemoryMib <= b.MemoryMib && a.DiskMib <= b.DiskMib && a.Gpu <= b.Gpu
}

// within is the part of a capacity that a registration covers, and the GPU model that it is sold as: an offer is
// one vector with one model, so a machine with several sells the one that it registered first.
func within(capacity auction.Resources, spec nexcoretypes.Spec) (auction.Resources, string) {
	gpus, model := int64(0), ""
	if len(spec.Gpus) > 0 {
		gpus, model = int64(spec.Gpus[0].Count), spec.Gpus[0].Model
	}
	for i, owned := range [auction.NumResources]int64{
		auction.CPUMilli: int64(spec.CpuMilli), auction.MemoryMiB: int64(spec.MemoryMib),
		auction.DiskMiB: int64(spec.DiskMib), auction.GPUs: gpus,
	} {
		capacity[i] = min(capacity[i], owned)
	}
	return capacity, model
}

// withinSpec checks that an offer promises no more than what is registered.
func withinSpec(msg *types.MsgPostOffer, spec nexcoretypes.Spec) error {
	offered := resources(msg.Capacity)
	owned, model := within(offered, spec)
	for i := range offered {
		if offered[i] > owned[i] {
			hint := ""
			if i == auction.GPUs && len(spec.Gpus) > 1 {
				hint = " of the first model, " + model
			}
			return types.ErrInvalidOffer.Wrapf("%s: %d offered, %d registered%s", auction.ResourceName(i), offered[i], owned[i], hint)
		}
	}
	for _, runtime := range msg.Runtimes {
		if !contains(spec.Runtimes, runtime) {
			return types.ErrInvalidOffer.Wrapf("runtime %q is not registered", runtime)
		}
	}
	return nil
}

// both lists what is in two lists, in the order of the first.
func both(a, b []string) []string {
	out := make([]string, 0, len(a))
	for _, w := range a {
		if contains(b, w) {
			out = append(out, w)
		}
	}
	return out
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

// askInForce returns the ask in force and the block since which no part of it has risen, 0 when none is.
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
	offer, err := k.offers.Get(ctx, id)
	if err != nil {
		return found(err, "offer of NexCore", id)
	}
	standing, err := k.standing(ctx, id)
	if err != nil {
		return err
	}
	standing.LastAsk, standing.LastAskHeight = askInForce(offer, heightOf(ctx))
	if standing.LastAskHeight == 0 {
		standing.LastAsk, standing.LastAskHeight = offer.NextAsk, offer.NextAskHeight
	}
	emit(ctx, EventOfferRemoved, num("nexcore", id), word("reason", reason))
	return errors.Join(k.offers.Remove(ctx, id), k.standings.Set(ctx, id, standing),
		k.updateTotals(ctx, func(t *types.Totals) { t.Offers-- }))
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
