// Package app wires the chain: it lists the modules, hands each keeper what it may use, and fixes the
// order of work in a block. It decides nothing about jobs or money and never computes: rules live in
// x/*, and their arithmetic in the pure rooms under them. It is the last step of the flow on the chain's side,
// the one that nexarad runs and that tests run in process.
//
// A new application: SetConfig once per process, then New. Everything that differs between a node
// and a test comes in through arguments.
package app

import (
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"sync"

	autocliv1 "cosmossdk.io/api/cosmos/autocli/v1"
	reflectionv1 "cosmossdk.io/api/cosmos/reflection/v1"
	"cosmossdk.io/client/v2/autocli"
	"cosmossdk.io/core/appmodule"
	"cosmossdk.io/log/v2"
	abci "github.com/cometbft/cometbft/abci/types"
	dbm "github.com/cosmos/cosmos-db"
	"github.com/cosmos/cosmos-sdk/baseapp"
	"github.com/cosmos/cosmos-sdk/client"
	"github.com/cosmos/cosmos-sdk/client/grpc/cmtservice"
	nodeservice "github.com/cosmos/cosmos-sdk/client/grpc/node"
	runtimeservices "github.com/cosmos/cosmos-sdk/runtime/services"
	"github.com/cosmos/cosmos-sdk/server"
	"github.com/cosmos/cosmos-sdk/server/api"
	"github.com/cosmos/cosmos-sdk/server/config"
	servertypes "github.com/cosmos/cosmos-sdk/server/types"
	storetypes "github.com/cosmos/cosmos-sdk/store/v2/types"
	sdk "github.com/cosmos/cosmos-sdk/types"
	"github.com/cosmos/cosmos-sdk/types/mempool"
	"github.com/cosmos/cosmos-sdk/types/module"
	"github.com/cosmos/cosmos-sdk/version"
	authcodec "github.com/cosmos/cosmos-sdk/x/auth/codec"
	authtx "github.com/cosmos/cosmos-sdk/x/auth/tx"
)

var _ servertypes.Application = (*App)(nil)

// ErrGenesis says that a genesis file cannot start the chain.
var ErrGenesis = errors.New("unusable genesis")

// App is the chain's state machine, driven by CometBFT through ABCI.
type App struct {
	*baseapp.BaseApp
	Keepers

	encoding     Encoding
	keys         map[string]*storetypes.KVStoreKey
	modules      *module.Manager
	configurator module.Configurator
	closing      func() error
}

// Options are what a node or a test sets; the zero value is an application in memory.
type Options struct {
	// Home is the node's folder: x/upgrade writes its halt note there, and the model files of clearings are under
	// data/clearings. Empty writes nothing.
	Home string
	// SkipUpgradeHeights are heights whose planned upgrade is ignored.
	SkipUpgradeHeights []int64
	// Encoding is shared between applications of one process; nil makes a new one.
	Encoding *Encoding
	// BaseApp are the SDK's own options, such as pruning and minimum gas prices.
	BaseApp []func(*baseapp.BaseApp)
	// SkipLoad leaves the state unloaded: for exports at a height and for command trees, which need
	// the wiring only.
	SkipLoad bool
}

// New returns the application over db. It fails when db holds a state that this binary cannot load.
func New(logger log.Logger, db dbm.DB, opts Options) (*App, error) {
	enc := opts.Encoding
	if enc == nil {
		made, err := NewEncoding()
		if err != nil {
			return nil, err
		}
		enc = &made
	}
	base := baseapp.NewBaseApp(Name, logger, db, enc.TxConfig.TxDecoder(), opts.BaseApp...)
	base.SetVersion(version.Version)
	base.SetInterfaceRegistry(enc.Registry)
	base.SetTxEncoder(enc.TxConfig.TxEncoder())
	// Whatever app.toml says: ordering and admission are CometBFT's, a cache that outlives a block has
	// made nodes disagree before, and the executor stays sequential because no other is installed.
	base.SetMempool(mempool.NoOpMempool{})
	baseapp.SetInterBlockCache(nil)(base)

	app := &App{BaseApp: base, encoding: *enc, keys: storetypes.NewKVStoreKeys(storeKeys()...)}
	app.closing = sync.OnceValue(base.Close)
	app.Keepers = newKeepers(app, logger, opts)
	if opts.Home != "" {
		files, err := openClearingFiles(filepath.Join(opts.Home, "data", "clearings"), DefaultKeptClearings, logger.With("module", "clearings"))
		if err != nil {
			return nil, err
		}
		app.TasksKeeper.KeepFiles(files)
	}
	if err := app.wireModules(); err != nil {
		return nil, err
	}
	if err := app.installUpgrades(releases(), opts.Home); err != nil {
		return nil, err
	}

	app.MountKVStores(app.keys)
	app.SetInitChainer(app.initChain)
	app.SetPreBlocker(app.preBlock)
	app.SetBeginBlocker(app.beginBlock)
	app.SetEndBlocker(app.endBlock)
	if err := app.wireAnte(); err != nil {
		return nil, err
	}
	proposals := proposalRules{decode: enc.TxConfig.TxDecoder(), logger: logger.With("module", "proposals")}
	app.SetPrepareProposal(proposals.prepare)
	app.SetProcessProposal(proposals.process)

	if opts.SkipLoad {
		return app, nil
	}
	if err := app.LoadLatestVersion(); err != nil {
		return nil, fmt.Errorf("load the latest state: %w", err)
	}
	return app, nil
}

// Encoding returns the codecs.
func (app *App) Encoding() Encoding { return app.encoding }

// Close gives the databases back. The SDK's server calls it twice on its way out, so only the first
// call does anything.
func (app *App) Close() error { return app.closing() }

// LoadHeight loads the state of one height; the application must have been made with SkipLoad.
func (app *App) LoadHeight(height int64) error { return app.LoadVersion(height) }

func (app *App) preBlock(ctx sdk.Context, _ *abci.RequestFinalizeBlock) (*sdk.ResponsePreBlock, error) {
	return app.modules.PreBlock(ctx)
}

func (app *App) beginBlock(ctx sdk.Context) (sdk.BeginBlock, error) {
	return app.modules.BeginBlock(ctx)
}

func (app *App) endBlock(ctx sdk.Context) (sdk.EndBlock, error) { return app.modules.EndBlock(ctx) }

func (app *App) initChain(ctx sdk.Context, req *abci.RequestInitChain) (*abci.ResponseInitChain, error) {
	var state GenesisState
	if err := json.Unmarshal(req.AppStateBytes, &state); err != nil {
		return nil, fmt.Errorf("%w: app state is no JSON object of modules: %w", ErrGenesis, err)
	}
	for name := range state {
		if _, known := app.modules.Modules[name]; !known {
			return nil, fmt.Errorf("%w: module %q is not part of this chain", ErrGenesis, name)
		}
	}
	if err := app.UpgradeKeeper.SetModuleVersionMap(ctx, app.modules.GetVersionMap()); err != nil {
		return nil, fmt.Errorf("store the module versions: %w", err)
	}
	return app.modules.InitGenesis(ctx, app.encoding.Codec, state)
}

// RegisterAPIRoutes serves the REST gateway: transactions, CometBFT, node and every module's queries.
func (app *App) RegisterAPIRoutes(srv *api.Server, _ config.APIConfig) {
	authtx.RegisterGRPCGatewayRoutes(srv.ClientCtx, srv.GRPCGatewayRouter)
	cmtservice.RegisterGRPCGatewayRoutes(srv.ClientCtx, srv.GRPCGatewayRouter)
	nodeservice.RegisterGRPCGatewayRoutes(srv.ClientCtx, srv.GRPCGatewayRouter)
	app.encoding.Basics.RegisterGRPCGatewayRoutes(srv.ClientCtx, srv.GRPCGatewayRouter)
}

// RegisterTxService serves simulation and look-up of transactions.
func (app *App) RegisterTxService(ctx client.Context) {
	authtx.RegisterTxService(app.GRPCQueryRouter(), ctx, app.Simulate, app.encoding.Registry)
}

// RegisterTendermintService serves blocks and validators.
func (app *App) RegisterTendermintService(ctx client.Context) {
	abciApp := server.NewCometABCIWrapper(app)
	cmtservice.RegisterTendermintService(ctx, app.GRPCQueryRouter(), app.encoding.Registry, abciApp.Query)
}

// RegisterNodeService serves the node's settings and status.
func (app *App) RegisterNodeService(ctx client.Context, cfg config.Config) {
	nodeservice.RegisterNodeService(ctx, app.GRPCQueryRouter(), cfg, func() int64 {
		return app.CommitMultiStore().EarliestVersion()
	})
}

// AutoCLI returns what the generated command line is built from.
func (app *App) AutoCLI() autocli.AppOptions {
	mods := make(map[string]appmodule.AppModule, len(app.modules.Modules))
	for name, m := range app.modules.Modules {
		if am, ok := m.(appmodule.AppModule); ok {
			mods[name] = am
		}
	}
	cfg := sdk.GetConfig()
	return autocli.AppOptions{
		Modules:               mods,
		ModuleOptions:         runtimeservices.ExtractAutoCLIOptions(app.modules.Modules),
		AddressCodec:          authcodec.NewBech32Codec(cfg.GetBech32AccountAddrPrefix()),
		ValidatorAddressCodec: authcodec.NewBech32Codec(cfg.GetBech32ValidatorAddrPrefix()),
		ConsensusAddressCodec: authcodec.NewBech32Codec(cfg.GetBech32ConsensusAddrPrefix()),
	}
}

// registerReflection serves what generic clients ask: AutoCLI options and the protobuf files.
func (app *App) registerReflection() error {
	autocliv1.RegisterQueryServer(app.GRPCQueryRouter(), runtimeservices.NewAutoCLIQueryService(app.modules.Modules))
	svc, err := runtimeservices.NewReflectionService()
	if err != nil {
		return fmt.Errorf("build the reflection service: %w", err)
	}
	reflectionv1.RegisterReflectionServiceServer(app.GRPCQueryRouter(), svc)
	return nil
}
