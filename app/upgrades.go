package app

import (
	"context"
	"fmt"

	storetypes "github.com/cosmos/cosmos-sdk/store/v2/types"
	"github.com/cosmos/cosmos-sdk/types/module"
	upgradetypes "github.com/cosmos/cosmos-sdk/x/upgrade/types"
)

// release is one release that changes state. Governance names it in a plan; the binary that lacks the
// name stops at the plan's height, the one that has it migrates and goes on.
type release struct {
	// name is the plan's, exactly.
	name string
	// stores are those that the release adds, renames or drops.
	stores storetypes.StoreUpgrades
	// before runs ahead of the modules' own migrations; nil does nothing.
	before func(ctx context.Context) error
}

// releases lists every release since genesis that changed state, oldest first. There is none yet.
func releases() []release { return nil }

// installUpgrades hands x/upgrade a handler per release. If the disk says that the previous binary halted for
// one of them, its stores are changed while the state is loaded.
func (app *App) installUpgrades(list []release, home string) error {
	for _, u := range list {
		app.UpgradeKeeper.SetUpgradeHandler(u.name, app.migrate(u))
	}
	if home == "" {
		return nil
	}
	halted, err := app.UpgradeKeeper.ReadUpgradeInfoFromDisk()
	if err != nil {
		return fmt.Errorf("read why the last binary halted: %w", err)
	}
	for _, u := range list {
		if u.name == halted.Name && !app.UpgradeKeeper.IsSkipHeight(halted.Height) {
			stores := u.stores
			app.SetStoreLoader(upgradetypes.UpgradeStoreLoader(halted.Height, &stores))
		}
	}
	return nil
}

func (app *App) migrate(u release) upgradetypes.UpgradeHandler {
	return func(ctx context.Context, _ upgradetypes.Plan, from module.VersionMap) (module.VersionMap, error) {
		if u.before != nil {
			if err := u.before(ctx); err != nil {
				return nil, fmt.Errorf("upgrade %s: %w", u.name, err)
			}
		}
		return app.modules.RunMigrations(ctx, app.configurator, from)
	}
}
