package app

import (
	"encoding/json"
	"errors"
	"fmt"

	cmtproto "github.com/cometbft/cometbft/proto/tendermint/types"
	servertypes "github.com/cosmos/cosmos-sdk/server/types"
	"github.com/cosmos/cosmos-sdk/x/staking"
)

// ErrZeroHeight says that an export for height zero is not offered.
var ErrZeroHeight = errors.New("export for height zero is not supported: the market's queues are keyed by height, so a chain goes on at the height after its export")

// ExportGenesis returns the state at the loaded height as a genesis whose first block is the next one.
// Named modules alone are exported if any are named.
func (app *App) ExportGenesis(forZeroHeight bool, modules []string) (servertypes.ExportedApp, error) {
	if forZeroHeight {
		return servertypes.ExportedApp{}, ErrZeroHeight
	}
	height := app.LastBlockHeight()
	ctx := app.NewContextLegacy(true, cmtproto.Header{Height: height})
	parts, err := app.modules.ExportGenesisForModules(ctx, app.encoding.Codec, modules)
	if err != nil {
		return servertypes.ExportedApp{}, fmt.Errorf("export the modules: %w", err)
	}
	state, err := json.MarshalIndent(parts, "", "  ")
	if err != nil {
		return servertypes.ExportedApp{}, fmt.Errorf("encode the exported state: %w", err)
	}
	validators, err := staking.WriteValidators(ctx, app.StakingKeeper)
	if err != nil {
		return servertypes.ExportedApp{}, fmt.Errorf("export the validators: %w", err)
	}
	return servertypes.ExportedApp{
		AppState: state, Validators: validators, Height: height + 1, ConsensusParams: app.GetConsensusParams(ctx),
	}, nil
}
