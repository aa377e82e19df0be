package network

import (
	"encoding/json"

	abci "github.com/cometbft/cometbft/abci/types"

	"github.com/nexara/nexara/app"
)

// Export returns options that start a new chain from this one's committed state, at the next height:
// New with them is an import.
func (c *Chain) Export() Options {
	c.tb.Helper()
	exported, err := c.App.ExportGenesis(false, nil)
	if err != nil {
		c.tb.Fatalf("export at height %d: %v", c.height, err)
	}
	var state app.GenesisState
	if err := json.Unmarshal(exported.AppState, &state); err != nil {
		c.tb.Fatalf("decode the export of height %d: %v", c.height, err)
	}
	opts := c.opts
	opts.State, opts.InitialHeight, opts.StartTime = state, exported.Height, c.now
	opts.ConsensusParams, opts.Continued = &exported.ConsensusParams, true
	opts.Validators = nil
	for _, v := range exported.Validators {
		opts.Validators = append(opts.Validators, abci.Ed25519ValidatorUpdate(v.PubKey.Bytes(), v.Power))
	}
	return opts
}
