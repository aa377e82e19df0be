package app

import (
	"fmt"

	"github.com/cosmos/cosmos-sdk/types/module"
	"github.com/cosmos/cosmos-sdk/x/auth"
	authtypes "github.com/cosmos/cosmos-sdk/x/auth/types"
	"github.com/cosmos/cosmos-sdk/x/bank"
	banktypes "github.com/cosmos/cosmos-sdk/x/bank/types"
	"github.com/cosmos/cosmos-sdk/x/consensus"
	consensustypes "github.com/cosmos/cosmos-sdk/x/consensus/types"
	distr "github.com/cosmos/cosmos-sdk/x/distribution"
	distrtypes "github.com/cosmos/cosmos-sdk/x/distribution/types"
	"github.com/cosmos/cosmos-sdk/x/evidence"
	evidencetypes "github.com/cosmos/cosmos-sdk/x/evidence/types"
	"github.com/cosmos/cosmos-sdk/x/feegrant"
	feegrantmodule "github.com/cosmos/cosmos-sdk/x/feegrant/module"
	"github.com/cosmos/cosmos-sdk/x/genutil"
	genutiltypes "github.com/cosmos/cosmos-sdk/x/genutil/types"
	"github.com/cosmos/cosmos-sdk/x/gov"
	govtypes "github.com/cosmos/cosmos-sdk/x/gov/types"
	"github.com/cosmos/cosmos-sdk/x/mint"
	minttypes "github.com/cosmos/cosmos-sdk/x/mint/types"
	"github.com/cosmos/cosmos-sdk/x/slashing"
	slashingtypes "github.com/cosmos/cosmos-sdk/x/slashing/types"
	"github.com/cosmos/cosmos-sdk/x/staking"
	stakingtypes "github.com/cosmos/cosmos-sdk/x/staking/types"
	"github.com/cosmos/cosmos-sdk/x/upgrade"
	upgradetypes "github.com/cosmos/cosmos-sdk/x/upgrade/types"

	"github.com/nexara/nexara/x/nexcore"
	nexcoretypes "github.com/nexara/nexara/x/nexcore/types"
	"github.com/nexara/nexara/x/reputation"
	reputationtypes "github.com/nexara/nexara/x/reputation/types"
	"github.com/nexara/nexara/x/tasks"
	taskstypes "github.com/nexara/nexara/x/tasks/types"
)

// moduleBasics lists the stateless half of every module that wireModules lists.
func moduleBasics() module.BasicManager {
	return module.NewBasicManager(
		genutil.NewAppModuleBasic(genutiltypes.DefaultMessageValidator),
		auth.AppModuleBasic{},
		bank.AppModuleBasic{},
		staking.AppModuleBasic{},
		slashing.AppModuleBasic{},
		distr.AppModuleBasic{},
		mint.AppModuleBasic{},
		gov.NewAppModuleBasic(nil),
		upgrade.AppModuleBasic{},
		evidence.AppModuleBasic{},
		consensus.AppModuleBasic{},
		feegrantmodule.AppModuleBasic{},
		nexcore.AppModule{},
		tasks.AppModule{},
		reputation.AppModule{},
	)
}

// wireModules lists the modules and fixes every order of work.
func (app *App) wireModules() error {
	cdc, reg := app.encoding.Codec, app.encoding.Registry
	app.modules = module.NewManager(
		genutil.NewAppModule(app.AccountKeeper, app.StakingKeeper, app, app.encoding.TxConfig),
		auth.NewAppModule(cdc, app.AccountKeeper, nil),
		bank.NewAppModule(cdc, app.BankKeeper, app.AccountKeeper),
		staking.NewAppModule(cdc, app.StakingKeeper, app.AccountKeeper, app.BankKeeper),
		slashing.NewAppModule(cdc, app.SlashingKeeper, app.AccountKeeper, app.BankKeeper, app.StakingKeeper, reg),
		distr.NewAppModule(cdc, app.DistrKeeper, app.AccountKeeper, app.BankKeeper, app.StakingKeeper),
		mint.NewAppModule(cdc, app.MintKeeper, app.AccountKeeper, nil),
		gov.NewAppModule(cdc, app.GovKeeper, app.AccountKeeper, app.BankKeeper),
		upgrade.NewAppModule(app.UpgradeKeeper, app.AccountKeeper.AddressCodec()),
		evidence.NewAppModule(*app.EvidenceKeeper),
		consensus.NewAppModule(cdc, app.ConsensusKeeper),
		feegrantmodule.NewAppModule(cdc, app.AccountKeeper, app.BankKeeper, app.FeeGrantKeeper, reg),
		nexcore.NewAppModule(app.NexCoreKeeper),
		tasks.NewAppModule(app.TasksKeeper),
		reputation.NewAppModule(app.ReputationKeeper),
	)
	// An upgrade must run before anything reads state; expired unordered nonces go before
	// transactions are checked against them.
	app.modules.SetOrderPreBlockers(upgradetypes.ModuleName, authtypes.ModuleName)
	// Coins are minted before the fees of the last block, and they, are shared out; evidence is judged while the
	// validators of the last block are still known to slashing.
	app.modules.SetOrderBeginBlockers(
		minttypes.ModuleName, distrtypes.ModuleName, slashingtypes.ModuleName,
		evidencetypes.ModuleName, stakingtypes.ModuleName,
	)
	app.modules.SetOrderEndBlockers(endBlockOrder()...)

	genesis := genesisOrder()
	app.modules.SetOrderInitGenesis(genesis...)
	app.modules.SetOrderExportGenesis(genesis...)

	app.configurator = module.NewConfigurator(cdc, app.MsgServiceRouter(), app.GRPCQueryRouter())
	if err := app.modules.RegisterServices(app.configurator); err != nil {
		return fmt.Errorf("register the modules' services: %w", err)
	}
	return app.registerReflection()
}

// endBlockOrder is the order of a block's end. Bank first, as the SDK demands; governance may change
// parameters that the rest then uses; the validators are fixed before the market works; x/nexcore
// matures what x/tasks may no longer lock; x/reputation is last because it hashes the outcomes that
// all others gave it.
func endBlockOrder() []string {
	return []string{
		banktypes.ModuleName, govtypes.ModuleName, stakingtypes.ModuleName, feegrant.ModuleName,
		nexcoretypes.ModuleName, taskstypes.ModuleName, reputationtypes.ModuleName,
	}
}

// genesisOrder puts each module after those whose state its own needs; genutil is last because its
// transactions run on the whole state.
func genesisOrder() []string {
	return []string{
		consensustypes.ModuleName, authtypes.ModuleName, banktypes.ModuleName, distrtypes.ModuleName,
		stakingtypes.ModuleName, slashingtypes.ModuleName, govtypes.ModuleName, minttypes.ModuleName,
		evidencetypes.ModuleName, feegrant.ModuleName, upgradetypes.ModuleName,
		nexcoretypes.ModuleName, reputationtypes.ModuleName, taskstypes.ModuleName,
		genutiltypes.ModuleName,
	}
}
