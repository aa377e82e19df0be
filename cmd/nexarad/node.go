package main

import (
	"fmt"

	"cosmossdk.io/log/v2"
	dbm "github.com/cosmos/cosmos-db"
	"github.com/cosmos/cosmos-sdk/client/flags"
	"github.com/cosmos/cosmos-sdk/server"
	servertypes "github.com/cosmos/cosmos-sdk/server/types"
	"github.com/spf13/cast"

	"github.com/nexara/nexara/app"
)

// newApp makes the application of a node from its files and flags. It panics with errStart, which
// Main.Run returns, since the SDK's type for it has no error.
func newApp(logger log.Logger, db dbm.DB, opts servertypes.AppOptions) servertypes.Application {
	a, err := app.New(logger, db, nodeOptions(opts))
	if err != nil {
		panic(fmt.Errorf("%w: %w", errStart, err))
	}
	return a
}

func nodeOptions(opts servertypes.AppOptions) app.Options {
	var skip []int64
	for _, h := range cast.ToIntSlice(opts.Get(server.FlagUnsafeSkipUpgrades)) {
		skip = append(skip, int64(h))
	}
	return app.Options{
		Home:               cast.ToString(opts.Get(flags.FlagHome)),
		SkipUpgradeHeights: skip,
		BaseApp:            server.DefaultBaseappOptions(opts),
	}
}

// exportApp makes the application as of a height, -1 being the latest, and exports its state.
func exportApp(
	logger log.Logger, db dbm.DB, height int64, forZeroHeight bool, _ []string,
	opts servertypes.AppOptions, modules []string,
) (servertypes.ExportedApp, error) {
	options := nodeOptions(opts)
	options.SkipLoad = height != -1
	a, err := app.New(logger, db, options)
	if err != nil {
		return servertypes.ExportedApp{}, err
	}
	if height != -1 {
		if err := a.LoadHeight(height); err != nil {
			return servertypes.ExportedApp{}, fmt.Errorf("load height %d (pruned?): %w", height, err)
		}
	}
	return a.ExportGenesis(forZeroHeight, modules)
}
