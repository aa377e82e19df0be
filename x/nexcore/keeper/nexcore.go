package keeper

import (
	"context"
	"errors"

	"cosmossdk.io/collections"

	sdk "github.com/cosmos/cosmos-sdk/types"

	"github.com/nexara/nexara/x/nexcore/bond"
	"github.com/nexara/nexara/x/nexcore/types"
)

// GetNexCore returns one NexCore, or types.ErrNotFound.
func (k *Keeper) GetNexCore(ctx context.Context, id uint64) (types.NexCore, error) {
	n, err := k.nexcores.Get(ctx, id)
	return n, found(err, "NexCore", id)
}

// NexCoreByNode returns the NexCore of a hot node address, or types.ErrNotFound.
func (k *Keeper) NexCoreByNode(ctx context.Context, nodeAddress string) (types.NexCore, error) {
	id, err := k.byNode.Get(ctx, nodeAddress)
	if errors.Is(err, collections.ErrNotFound) {
		return types.NexCore{}, types.ErrNotFound.Wrapf("no NexCore has the node address %q", nodeAddress)
	}
	if err != nil {
		return types.NexCore{}, err
	}
	return k.GetNexCore(ctx, id)
}

// Register stores a new NexCore and takes its first bond. The operator proved its key by signing the
// transaction, the node key proves itself by the message's signature over the registration bytes.
func (k *Keeper) Register(ctx context.Context, msg *types.MsgRegister) (uint64, error) {
	p, err := k.params.Get(ctx)
	if err != nil {
		return 0, err
	}
	if err := msg.Validate(p); err != nil {
		return 0, err
	}
	if err := k.payable(msg.Operator); err != nil {
		return 0, err
	}
	sdkCtx := sdk.UnwrapSDKContext(ctx)
	sdkCtx.GasMeter().ConsumeGas(types.ProofGas, "node key proof")
	if err := msg.VerifyProof(sdkCtx.ChainID()); err != nil {
		return 0, err
	}
	node := types.NodeAddress(msg.NodePubkey)
	used, err := k.byNode.Has(ctx, node)
	if err != nil {
		return 0, err
	}
	if used {
		return 0, types.ErrExists.Wrapf("a NexCore with the node address %s", node)
	}
	count, err := k.countOf(ctx, msg.Operator)
	if err != nil {
		return 0, err
	}
	if count >= p.MaxNexcoresPerOperator {
		return 0, types.ErrLimit.Wrapf("%s has %d NexCores, at most %d", msg.Operator, count, p.MaxNexcoresPerOperator)
	}
	status, reason, err := bond.Step(bond.New, bond.Register)
	if err != nil {
		return 0, types.ErrStatus.Wrap(err.Error())
	}
	id, err := k.nextNexCore.Next(ctx)
	if err != nil {
		return 0, err
	}
	n := types.NexCore{
		Id: id, Operator: msg.Operator, NodeAddress: node, NodePubkey: msg.NodePubkey, Spec: msg.Spec,
		Status: types.Status(status), RegisteredHeight: sdkCtx.BlockHeight(),
	}
	if err := k.index(ctx, n); err != nil {
		return 0, err
	}
	emitNexCore(ctx, types.EventRegistered, n, word("reason", reason), word("region", n.Spec.Region), word("arch", n.Spec.Arch))
	return id, k.deposit(ctx, &n, msg.Bond)
}

// payable refuses an operator that bank pays nothing to, a module's account: neither its payouts nor its bond
// could ever be given to it.
func (k *Keeper) payable(operator string) error {
	addr, err := sdk.AccAddressFromBech32(operator)
	if err != nil {
		return types.ErrUnauthorized.Wrap("operator is not an address")
	}
	if k.bank.BlockedAddr(addr) {
		return types.ErrUnauthorized.Wrapf("%s is a module's account and can receive no payout", operator)
	}
	return nil
}

// OfOperator returns up to limit NexCores of an operator, in the order of their numbers, those that have left
// and still unbond included.
func (k *Keeper) OfOperator(ctx context.Context, operator string, limit int) ([]uint64, error) {
	var ids []uint64
	err := k.byOperator.Walk(ctx, collections.NewPrefixedPairRange[string, uint64](operator), func(key tag) (bool, error) {
		ids = append(ids, key.K2())
		return len(ids) >= limit, nil
	})
	return ids, err
}

// Update replaces what a NexCore says about itself.
func (k *Keeper) Update(ctx context.Context, msg *types.MsgUpdate) error {
	p, err := k.params.Get(ctx)
	if err != nil {
		return err
	}
	n, err := k.owned(ctx, msg.NexcoreId, msg.Operator)
	if err != nil {
		return err
	}
	if n.Status == types.STATUS_DEREGISTERED {
		return types.ErrStatus.Wrapf("NexCore %d has left", n.Id)
	}
	if err := msg.Spec.Validate(p); err != nil {
		return err
	}
	if err := k.eachTag(ctx, n, remove); err != nil {
		return err
	}
	n.Spec = msg.Spec
	emitNexCore(ctx, types.EventUpdated, n, word("region", n.Spec.Region), word("arch", n.Spec.Arch))
	return errors.Join(k.eachTag(ctx, n, add), k.nexcores.Set(ctx, n.Id, n))
}

// Drain stops new leases, or allows them again. The hot node key may stop, so that a daemon can drain its own
// machine; only the operator may allow again.
func (k *Keeper) Drain(ctx context.Context, msg *types.MsgDrain) error {
	n, err := k.GetNexCore(ctx, msg.NexcoreId)
	if err != nil {
		return err
	}
	event := bond.Undrain
	if msg.Drain {
		event = bond.Drain
	}
	if msg.Signer != n.Operator && (!msg.Drain || msg.Signer != n.NodeAddress) {
		return types.ErrUnauthorized.Wrapf("%s of NexCore %d", event, n.Id)
	}
	if err := step(ctx, &n, event); err != nil {
		return err
	}
	return k.nexcores.Set(ctx, n.Id, n)
}

// Jail takes a NexCore out of the market until its operator unjails it, at the earliest after jail_blocks. A
// second jailing prolongs the first. The reason is a code of the caller.
func (k *Keeper) Jail(ctx context.Context, nexcoreID uint64, reason string) error {
	if err := types.CheckReason(reason); err != nil {
		return err
	}
	p, err := k.params.Get(ctx)
	if err != nil {
		return err
	}
	n, err := k.GetNexCore(ctx, nexcoreID)
	if err != nil {
		return err
	}
	until := sdk.UnwrapSDKContext(ctx).BlockHeight() + p.JailBlocks
	if err := step(ctx, &n, bond.Jail, word("cause", reason), num("jailed_until", until)); err != nil {
		return err
	}
	n.JailedUntil, n.JailReason = max(n.JailedUntil, until), reason
	return k.nexcores.Set(ctx, n.Id, n)
}

// Unjail returns a jailed NexCore to the market after its time. A bond that was slashed below min_bond must
// be filled up first: it is what an identity costs.
func (k *Keeper) Unjail(ctx context.Context, msg *types.MsgUnjail) error {
	p, err := k.params.Get(ctx)
	if err != nil {
		return err
	}
	n, err := k.owned(ctx, msg.NexcoreId, msg.Operator)
	if err != nil {
		return err
	}
	height := sdk.UnwrapSDKContext(ctx).BlockHeight()
	switch {
	case n.Status == types.STATUS_JAILED && height < n.JailedUntil:
		return types.ErrStatus.Wrapf("NexCore %d is jailed until height %d, now is %d", n.Id, n.JailedUntil, height)
	case n.Status == types.STATUS_JAILED && n.Bond < p.MinBond:
		return types.ErrBond.Wrapf("NexCore %d has a bond of %d, unjail needs %d unex", n.Id, n.Bond, p.MinBond)
	}
	if err := step(ctx, &n, bond.Unjail); err != nil {
		return err
	}
	n.JailedUntil, n.JailReason = 0, ""
	return k.nexcores.Set(ctx, n.Id, n)
}

// Deregister leaves the market: nothing may be locked, and the whole bond starts unbonding. The record, and
// with it the claim on the node key, stays until the last unbonding is paid; its number is never given again.
func (k *Keeper) Deregister(ctx context.Context, msg *types.MsgDeregister) error {
	n, err := k.owned(ctx, msg.NexcoreId, msg.Operator)
	if err != nil {
		return err
	}
	open, err := k.hasLocks(ctx, n.Id)
	if err != nil {
		return err
	}
	if open {
		return types.ErrLock.Wrapf("NexCore %d has open leases: drain it and wait for them", n.Id)
	}
	if err := step(ctx, &n, bond.Deregister); err != nil {
		return err
	}
	after, left, err := n.Account().Leave()
	if err != nil {
		return bonded(err)
	}
	if left > 0 {
		if _, err := k.enqueue(ctx, n, left); err != nil {
			return err
		}
	}
	if err := k.setAccount(ctx, &n, after); err != nil {
		return err
	}
	return k.removeIfGone(ctx, n)
}

// removeIfGone deletes the record of a NexCore that left and has nothing unbonding any more.
func (k *Keeper) removeIfGone(ctx context.Context, n types.NexCore) error {
	if n.Status != types.STATUS_DEREGISTERED || n.Unbonding != 0 {
		return nil
	}
	count, err := k.countOf(ctx, n.Operator)
	if err != nil {
		return err
	}
	if count > 1 {
		err = k.operatorCount.Set(ctx, n.Operator, count-1)
	} else {
		err = k.operatorCount.Remove(ctx, n.Operator)
	}
	emitNexCore(ctx, types.EventRemoved, n)
	return errors.Join(err, k.eachTag(ctx, n, remove), k.byOperator.Remove(ctx, collections.Join(n.Operator, n.Id)),
		k.byNode.Remove(ctx, n.NodeAddress), k.nexcores.Remove(ctx, n.Id))
}

// step moves a NexCore's status by the table; the caller saves.
func step(ctx context.Context, n *types.NexCore, event bond.Event, more ...sdk.Attribute) error {
	from := bond.Status(n.Status)
	to, reason, err := bond.Step(from, event)
	if err != nil {
		return types.ErrStatus.Wrapf("NexCore %d: %s", n.Id, err)
	}
	n.Status = types.Status(to)
	emitNexCore(ctx, types.EventStatus, *n, append(more, word("from", from.String()), word("to", to.String()),
		word("event", event.String()), word("reason", reason))...)
	return nil
}

// owned loads a NexCore of an operator.
func (k *Keeper) owned(ctx context.Context, id uint64, operator string) (types.NexCore, error) {
	n, err := k.GetNexCore(ctx, id)
	if err != nil {
		return n, err
	}
	if n.Operator != operator {
		return n, types.ErrUnauthorized.Wrapf("NexCore %d is another operator's", id)
	}
	return n, nil
}

// countOf is how many records an operator has, those that left and still unbond included: they take state too.
func (k *Keeper) countOf(ctx context.Context, operator string) (uint64, error) {
	count, err := k.operatorCount.Get(ctx, operator)
	if errors.Is(err, collections.ErrNotFound) {
		return 0, nil
	}
	return count, err
}

// index adds a new record to every index. The record itself is stored by the caller.
func (k *Keeper) index(ctx context.Context, n types.NexCore) error {
	count, err := k.countOf(ctx, n.Operator)
	return errors.Join(err, k.operatorCount.Set(ctx, n.Operator, count+1), k.byNode.Set(ctx, n.NodeAddress, n.Id),
		k.byOperator.Set(ctx, collections.Join(n.Operator, n.Id)), k.eachTag(ctx, n, add))
}

func add(ctx context.Context, s collections.KeySet[tag], t tag) error    { return s.Set(ctx, t) }
func remove(ctx context.Context, s collections.KeySet[tag], t tag) error { return s.Remove(ctx, t) }

// eachTag adds or removes the index entries that follow from the spec.
func (k *Keeper) eachTag(ctx context.Context, n types.NexCore, do func(context.Context, collections.KeySet[tag], tag) error) error {
	err := errors.Join(do(ctx, k.byRegion, collections.Join(n.Spec.Region, n.Id)),
		do(ctx, k.byArch, collections.Join(n.Spec.Arch, n.Id)))
	for _, r := range n.Spec.Runtimes {
		err = errors.Join(err, do(ctx, k.byRuntime, collections.Join(r, n.Id)))
	}
	return err
}

// hasLocks says whether any promise is open. Counting what is locked would miss leases without a price.
func (k *Keeper) hasLocks(ctx context.Context, id uint64) (bool, error) {
	open := false
	err := k.locksByNexCore.Walk(ctx, collections.NewPrefixedPairRange[uint64, uint64](id), func(pair) (bool, error) {
		open = true
		return true, nil
	})
	return open, err
}
