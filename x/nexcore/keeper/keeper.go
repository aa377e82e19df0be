// Package keeper loads, decides through the pure room bond and saves: it holds the registry of NexCores and
// the coins of their bonds, and none of the rules. It never looks at jobs, leases or prices: x/tasks calls
// it, it calls nobody but bank. Its place in the flow is the first step, register and bond, and behind every lease
// the lock.
package keeper

import (
	"context"
	"errors"

	"cosmossdk.io/collections"
	"cosmossdk.io/core/store"
	"cosmossdk.io/math"

	"github.com/cosmos/cosmos-sdk/codec"
	sdk "github.com/cosmos/cosmos-sdk/types"
	authtypes "github.com/cosmos/cosmos-sdk/x/auth/types"

	"github.com/nexara/nexara/x/denom"
	"github.com/nexara/nexara/x/nexcore/bond"
	"github.com/nexara/nexara/x/nexcore/types"
)

type (
	// pair is a two-part key of numbers.
	pair = collections.Pair[uint64, uint64]
	// tag is a word and a NexCore's number.
	tag = collections.Pair[string, uint64]
	// due is (block time in Unix seconds, unbonding).
	due = collections.Pair[int64, uint64]
)

// Keeper is the registry's state.
type Keeper struct {
	bank      types.BankKeeper
	authority string
	account   sdk.AccAddress

	Schema         collections.Schema
	params         collections.Item[types.Params]
	bondTotal      collections.Item[int64] // sum of all bonds, locked parts included
	unbondingTotal collections.Item[int64] // sum of all queued unbondings
	nextNexCore    collections.Sequence
	nextLock       collections.Sequence
	nextUnbonding  collections.Sequence

	nexcores      collections.Map[uint64, types.NexCore]
	byNode        collections.Map[string, uint64]
	byOperator    collections.KeySet[tag]
	byRegion      collections.KeySet[tag]
	byRuntime     collections.KeySet[tag]
	byArch        collections.KeySet[tag]
	operatorCount collections.Map[string, uint64]

	locks            collections.Map[uint64, types.Lock]
	locksByNexCore   collections.KeySet[pair]
	unbondings       collections.Map[uint64, types.Unbonding]
	unbondingsByNode collections.KeySet[pair]
	queue            collections.KeySet[due]
}

// NewKeeper returns the registry's keeper. The authority may change parameters. The module account
// types.ModuleName must exist in the application; it needs no permission.
func NewKeeper(cdc codec.BinaryCodec, storeService store.KVStoreService, bank types.BankKeeper, authority string) *Keeper {
	sb := collections.NewSchemaBuilder(storeService)
	numbers := collections.PairKeyCodec(collections.Uint64Key, collections.Uint64Key)
	tags := collections.PairKeyCodec(collections.StringKey, collections.Uint64Key)
	k := &Keeper{
		bank: bank, authority: authority, account: authtypes.NewModuleAddress(types.ModuleName),

		params:         collections.NewItem(sb, types.ParamsKey, "params", codec.CollValue[types.Params](cdc)),
		bondTotal:      collections.NewItem(sb, types.BondTotalKey, "bond_total", collections.Int64Value),
		unbondingTotal: collections.NewItem(sb, types.UnbondingTotalKey, "unbonding_total", collections.Int64Value),
		nextNexCore:    collections.NewSequence(sb, types.NextNexCoreKey, "next_nexcore"),
		nextLock:       collections.NewSequence(sb, types.NextLockKey, "next_lock"),
		nextUnbonding:  collections.NewSequence(sb, types.NextUnbondingKey, "next_unbonding"),

		nexcores:      collections.NewMap(sb, types.NexCoresKey, "nexcores", collections.Uint64Key, codec.CollValue[types.NexCore](cdc)),
		byNode:        collections.NewMap(sb, types.ByNodeKey, "by_node", collections.StringKey, collections.Uint64Value),
		byOperator:    collections.NewKeySet(sb, types.ByOperatorKey, "by_operator", tags),
		byRegion:      collections.NewKeySet(sb, types.ByRegionKey, "by_region", tags),
		byRuntime:     collections.NewKeySet(sb, types.ByRuntimeKey, "by_runtime", tags),
		byArch:        collections.NewKeySet(sb, types.ByArchKey, "by_arch", tags),
		operatorCount: collections.NewMap(sb, types.OperatorCountKey, "operator_count", collections.StringKey, collections.Uint64Value),

		locks:            collections.NewMap(sb, types.LocksKey, "locks", collections.Uint64Key, codec.CollValue[types.Lock](cdc)),
		locksByNexCore:   collections.NewKeySet(sb, types.LocksByNexCoreKey, "locks_by_nexcore", numbers),
		unbondings:       collections.NewMap(sb, types.UnbondingsKey, "unbondings", collections.Uint64Key, codec.CollValue[types.Unbonding](cdc)),
		unbondingsByNode: collections.NewKeySet(sb, types.UnbondingsByNexCoreKey, "unbondings_by_nexcore", numbers),
		queue: collections.NewKeySet(sb, types.UnbondingQueueKey, "unbonding_queue",
			collections.PairKeyCodec(collections.Int64Key, collections.Uint64Key)),
	}
	schema, err := sb.Build()
	if err != nil {
		panic(err) // wiring: two collections share a prefix
	}
	k.Schema = schema
	return k
}

// Authority may change parameters.
func (k *Keeper) Authority() string { return k.authority }

// Params returns the parameters.
func (k *Keeper) Params(ctx context.Context) (types.Params, error) { return k.params.Get(ctx) }

// BondTotals returns the sums of all bonds and of all queued unbondings in micro-NEX, and what the module's
// account holds in anex. The money law is: balance = (bonds + unbondings) in anex. It costs three reads.
func (k *Keeper) BondTotals(ctx context.Context) (bonds, unbondings int64, balance sdk.Coin, err error) {
	if bonds, err = total(k.bondTotal.Get(ctx)); err != nil {
		return 0, 0, sdk.Coin{}, err
	}
	if unbondings, err = total(k.unbondingTotal.Get(ctx)); err != nil {
		return 0, 0, sdk.Coin{}, err
	}
	return bonds, unbondings, k.bank.GetBalance(ctx, k.account, denom.Base), nil
}

// setAccount stores a NexCore with its money changed, and changes the running totals by the same.
func (k *Keeper) setAccount(ctx context.Context, n *types.NexCore, after bond.Account) error {
	before := n.Account()
	n.SetAccount(after)
	return errors.Join(
		k.nexcores.Set(ctx, n.Id, *n),
		change(ctx, k.bondTotal, after.Bond-before.Bond),
		change(ctx, k.unbondingTotal, after.Unbonding-before.Unbonding),
	)
}

func change(ctx context.Context, item collections.Item[int64], by int64) error {
	if by == 0 {
		return nil
	}
	before, err := total(item.Get(ctx))
	if err != nil {
		return err
	}
	after, err := bond.Sum(before, by)
	if err != nil {
		return bonded(err)
	}
	return item.Set(ctx, after)
}

// total reads a running total that may not be stored yet.
func total(n int64, err error) (int64, error) {
	if errors.Is(err, collections.ErrNotFound) {
		return 0, nil
	}
	return n, err
}

// bonded turns a refusal of the pure room into the module's error.
func bonded(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, bond.ErrBroken):
		return types.ErrLock.Wrap(err.Error())
	default:
		return types.ErrBond.Wrap(err.Error())
	}
}

// found turns the store's "not found" into the module's.
func found(err error, what string, id uint64) error {
	if errors.Is(err, collections.ErrNotFound) {
		return types.ErrNotFound.Wrapf("%s %d", what, id)
	}
	return err
}

func coins(unex int64) sdk.Coins { return sdk.NewCoins(sdk.NewCoin(denom.Base, anex(unex))) }

func anex(unex int64) math.Int { return denom.Anex(unex) }
