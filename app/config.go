package app

import (
	"fmt"
	"os"
	"path/filepath"
	"sync"

	"cosmossdk.io/math"
	sdk "github.com/cosmos/cosmos-sdk/types"
	"github.com/cosmos/cosmos-sdk/version"

	"github.com/nexara/nexara/x/denom"
)

const (
	// Name is the application's name, as it stands in genesis files and in ABCI Info.
	Name = "nexara"
	// BinaryName is the chain's binary.
	BinaryName = "nexarad"
	// EnvPrefix starts the names of the binary's environment variables.
	EnvPrefix = "NEXARAD"
	// HomeDir is the folder under the user's home in which a node keeps its files.
	HomeDir = ".nexarad"
	// CoinType is the SLIP-44 number of derived keys: that of Cosmos, so that its wallets work.
	CoinType = 118
	// MinGasPrices is the price per unit of gas below which a node does not take a transaction, as
	// written to app.toml. A transaction of 120,000 gas then costs 0.000012 NEX: unnoticed by a job,
	// while filling every block of a day costs about 1,700 NEX.
	MinGasPrices = "100000000" + denom.Base
)

// setConfigOnce guards the SDK's process-wide settings, which are plain variables.
var setConfigOnce sync.Once

// SetConfig sets what the SDK keeps per process: address prefixes, coin type, bond denom, the tokens
// per unit of voting power, and the application's name. Every main and every test calls it before anything else of this
// package; calling it again does nothing.
func SetConfig() {
	setConfigOnce.Do(func() {
		const p = denom.Bech32Prefix
		cfg := sdk.GetConfig()
		cfg.SetBech32PrefixForAccount(p, p+sdk.PrefixPublic)
		cfg.SetBech32PrefixForValidator(
			p+sdk.PrefixValidator+sdk.PrefixOperator,
			p+sdk.PrefixValidator+sdk.PrefixOperator+sdk.PrefixPublic,
		)
		cfg.SetBech32PrefixForConsensusNode(
			p+sdk.PrefixValidator+sdk.PrefixConsensus,
			p+sdk.PrefixValidator+sdk.PrefixConsensus+sdk.PrefixPublic,
		)
		cfg.SetCoinType(CoinType)
		cfg.Seal()
		sdk.DefaultBondDenom = denom.Base
		// A build may set these at link time; what it leaves out must still name this chain.
		if version.Name == "" {
			version.Name, version.AppName = Name, BinaryName
		}
		if version.Version == "" {
			version.Version = "devel"
		}
		sdk.DefaultPowerReduction = math.NewIntWithDecimal(1, denom.Exponent)
	})
}

// DefaultHome returns the folder of a node's files: NEXARAD_HOME, or .nexarad under the user's home.
func DefaultHome() (string, error) {
	if home := os.Getenv(EnvPrefix + "_HOME"); home != "" {
		return home, nil
	}
	user, err := os.UserHomeDir()
	if err != nil {
		return "", fmt.Errorf("find the home folder (set %s_HOME instead): %w", EnvPrefix, err)
	}
	return filepath.Join(user, HomeDir), nil
}

// NEX returns whole NEX in the base denom.
func NEX(n int64) sdk.Coin {
	return sdk.NewCoin(denom.Base, math.NewIntWithDecimal(n, denom.Exponent))
}
