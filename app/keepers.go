package app

import (
	corestore "cosmossdk.io/core/store"
	"cosmossdk.io/log/v2"
	"github.com/cosmos/cosmos-sdk/runtime"
	sdk "github.com/cosmos/cosmos-sdk/types"
	authcodec "github.com/cosmos/cosmos-sdk/x/auth/codec"
	authkeeper "github.com/cosmos/cosmos-sdk/x/auth/keeper"
	authtypes "github.com/cosmos/cosmos-sdk/x/auth/types"
	bankkeeper "github.com/cosmos/cosmos-sdk/x/bank/keeper"
	banktypes "github.com/cosmos/cosmos-sdk/x/bank/types"
	consensuskeeper "github.com/cosmos/cosmos-sdk/x/consensus/keeper"
	consensustypes "github.com/cosmos/cosmos-sdk/x/consensus/types"
	distrkeeper "github.com/cosmos/cosmos-sdk/x/distribution/keeper"
	distrtypes "github.com/cosmos/cosmos-sdk/x/distribution/types"
	evidencekeeper "github.com/cosmos/cosmos-sdk/x/evidence/keeper"
	evidencetypes "github.com/cosmos/cosmos-sdk/x/evidence/types"
	"github.com/cosmos/cosmos-sdk/x/feegrant"
	feegrantkeeper "github.com/cosmos/cosmos-sdk/x/feegrant/keeper"
	govkeeper "github.com/cosmos/cosmos-sdk/x/gov/keeper"
	govtypes "github.com/cosmos/cosmos-sdk/x/gov/types"
	mintkeeper "github.com/cosmos/cosmos-sdk/x/mint/keeper"
	minttypes "github.com/cosmos/cosmos-sdk/x/mint/types"
	slashingkeeper "github.com/cosmos/cosmos-sdk/x/slashing/keeper"
	slashingtypes "github.com/cosmos/cosmos-sdk/x/slashing/types"
	stakingkeeper "github.com/cosmos/cosmos-sdk/x/staking/keeper"
	stakingtypes "github.com/cosmos/cosmos-sdk/x/staking/types"
	upgradekeeper "github.com/cosmos/cosmos-sdk/x/upgrade/keeper"
	upgradetypes "github.com/cosmos/cosmos-sdk/x/upgrade/types"

	nexcorekeeper "github.com/nexara/nexara/x/nexcore/keeper"
	nexcoretypes "github.com/nexara/nexara/x/nexcore/types"
	reputationkeeper "github.com/nexara/nexara/x/reputation/keeper"
	reputationtypes "github.com/nexara/nexara/x/reputation/types"
	taskskeeper "github.com/nexara/nexara/x/tasks/keeper"
	taskstypes "github.com/nexara/nexara/x/tasks/types"
)

// Keepers are the chain's state, one field per module that has any.
type Keepers struct {
	AccountKeeper   authkeeper.AccountKeeper
	BankKeeper      bankkeeper.BaseKeeper
	StakingKeeper   *stakingkeeper.Keeper
	SlashingKeeper  slashingkeeper.Keeper
	DistrKeeper     distrkeeper.Keeper
	MintKeeper      mintkeeper.Keeper
	GovKeeper       *govkeeper.Keeper
	UpgradeKeeper   *upgradekeeper.Keeper
	EvidenceKeeper  *evidencekeeper.Keeper
	ConsensusKeeper consensuskeeper.Keeper
	FeeGrantKeeper  feegrantkeeper.Keeper

	NexCoreKeeper    *nexcorekeeper.Keeper
	ReputationKeeper *reputationkeeper.Keeper
	TasksKeeper      *taskskeeper.Keeper
}

// modulePermissions lists every account that a module owns and what it may do with coins.
func modulePermissions() map[string][]string {
	return map[string][]string{
		authtypes.FeeCollectorName:          nil,
		distrtypes.ModuleName:               nil,
		minttypes.ModuleName:                {authtypes.Minter},
		stakingtypes.BondedPoolName:         {authtypes.Burner, authtypes.Staking},
		stakingtypes.NotBondedPoolName:      {authtypes.Burner, authtypes.Staking},
		stakingtypes.KeyRotationFeePoolName: {authtypes.Burner},
		govtypes.ModuleName:                 {authtypes.Burner},
		nexcoretypes.ModuleName:             nil,                // bonds
		taskstypes.ModuleName:               {authtypes.Burner}, // escrow
		taskstypes.PoolName:                 nil,                // audits and probes
	}
}

// BlockedAddresses are the module accounts. None may be sent coins by a user: what a module holds is
// then always what its own messages put there, which the money law counts on.
func BlockedAddresses() map[string]bool {
	perms := modulePermissions()
	blocked := make(map[string]bool, len(perms))
	for name := range perms {
		blocked[authtypes.NewModuleAddress(name).String()] = true
	}
	return blocked
}

func storeKeys() []string {
	return []string{
		authtypes.StoreKey, banktypes.StoreKey, stakingtypes.StoreKey, slashingtypes.StoreKey,
		distrtypes.StoreKey, minttypes.StoreKey, govtypes.StoreKey, upgradetypes.StoreKey,
		evidencetypes.StoreKey, consensustypes.StoreKey, feegrant.StoreKey,
		nexcoretypes.StoreKey, reputationtypes.StoreKey, taskstypes.StoreKey,
	}
}

// Authority is the only account that may change parameters: the governance module's.
func Authority() string { return authtypes.NewModuleAddress(govtypes.ModuleName).String() }

// newKeepers builds every keeper, each after those it uses.
func newKeepers(app *App, logger log.Logger, opts Options) Keepers {
	var (
		k         Keepers
		cdc       = app.encoding.Codec
		authority = Authority()
		cfg       = sdk.GetConfig()
		accounts  = authcodec.NewBech32Codec(cfg.GetBech32AccountAddrPrefix())
		service   = func(name string) corestore.KVStoreService { return runtime.NewKVStoreService(app.keys[name]) }
	)
	k.ConsensusKeeper = consensuskeeper.NewKeeper(cdc, service(consensustypes.StoreKey), authority, runtime.EventService{})
	app.SetParamStore(k.ConsensusKeeper.ParamsStore)

	k.AccountKeeper = authkeeper.NewAccountKeeper(
		cdc, service(authtypes.StoreKey), authtypes.ProtoBaseAccount, modulePermissions(),
		accounts, cfg.GetBech32AccountAddrPrefix(), authority,
		authkeeper.WithUnorderedTransactions(true),
	)
	k.BankKeeper = bankkeeper.NewBaseKeeper(
		cdc, service(banktypes.StoreKey), k.AccountKeeper, BlockedAddresses(), authority, logger,
	)
	k.StakingKeeper = stakingkeeper.NewKeeper(
		cdc, service(stakingtypes.StoreKey), k.AccountKeeper, k.BankKeeper, authority,
		authcodec.NewBech32Codec(cfg.GetBech32ValidatorAddrPrefix()),
		authcodec.NewBech32Codec(cfg.GetBech32ConsensusAddrPrefix()),
	)
	k.MintKeeper = mintkeeper.NewKeeper(
		cdc, service(minttypes.StoreKey), k.StakingKeeper, k.AccountKeeper, k.BankKeeper,
		authtypes.FeeCollectorName, authority,
	)
	k.DistrKeeper = distrkeeper.NewKeeper(
		cdc, service(distrtypes.StoreKey), k.AccountKeeper, k.BankKeeper, k.StakingKeeper,
		authtypes.FeeCollectorName, authority,
	)
	k.SlashingKeeper = slashingkeeper.NewKeeper(
		cdc, app.encoding.Amino, service(slashingtypes.StoreKey), k.StakingKeeper, authority,
	)
	k.StakingKeeper.SetHooks(stakingtypes.NewMultiStakingHooks(k.DistrKeeper.Hooks(), k.SlashingKeeper.Hooks()))

	k.FeeGrantKeeper = feegrantkeeper.NewKeeper(cdc, service(feegrant.StoreKey), k.AccountKeeper).SetBankKeeper(k.BankKeeper)
	k.EvidenceKeeper = evidencekeeper.NewKeeper(
		cdc, service(evidencetypes.StoreKey), k.StakingKeeper, k.SlashingKeeper,
		accounts, runtime.ProvideCometInfoService(),
	)
	skip := make(map[int64]bool, len(opts.SkipUpgradeHeights))
	for _, h := range opts.SkipUpgradeHeights {
		skip[h] = true
	}
	k.UpgradeKeeper = upgradekeeper.NewKeeper(
		skip, service(upgradetypes.StoreKey), cdc, opts.Home, app.BaseApp, authority,
	)
	k.GovKeeper = govkeeper.NewKeeper(
		cdc, service(govtypes.StoreKey), k.AccountKeeper, k.BankKeeper, k.DistrKeeper,
		app.MsgServiceRouter(), govtypes.DefaultConfig(), authority,
		govkeeper.NewDefaultCalculateVoteResultsAndVotingPower(k.StakingKeeper),
	)
	// Calls go tasks -> nexcore and tasks -> reputation, never back.
	k.NexCoreKeeper = nexcorekeeper.NewKeeper(cdc, service(nexcoretypes.StoreKey), k.BankKeeper, authority)
	k.ReputationKeeper = reputationkeeper.NewKeeper(cdc, service(reputationtypes.StoreKey), authority)
	k.TasksKeeper = taskskeeper.NewKeeper(
		cdc, service(taskstypes.StoreKey), k.BankKeeper, k.NexCoreKeeper, k.ReputationKeeper, authority,
	)
	return k
}
