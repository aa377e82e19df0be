package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	cmtcfg "github.com/cometbft/cometbft/config"
	serverconfig "github.com/cosmos/cosmos-sdk/server/config"

	"github.com/nexara/nexara/app"
)

const (
	// queryGasLimit bounds what one query may read: a few hundred thousand records.
	queryGasLimit = 100_000_000
	dirMode       = 0o755
	fileMode      = 0o600
)

// cometConfig is config.toml of a new node.
func cometConfig(blockTime time.Duration) *cmtcfg.Config {
	cfg := cmtcfg.DefaultConfig()
	cfg.Consensus.TimeoutCommit = blockTime
	cfg.Mempool.MaxTxBytes = app.MaxTxBytes
	// A profiler port per node is nothing to open unasked, and two nodes of one machine would clash on it.
	cfg.RPC.PprofListenAddress = ""
	return cfg
}

// appConfig is app.toml of a new node.
func appConfig() serverconfig.Config {
	cfg := serverconfig.DefaultConfig()
	cfg.MinGasPrices = app.MinGasPrices
	cfg.QueryGasLimit = queryGasLimit
	cfg.InterBlockCache = false
	return *cfg
}

func appConfigTemplate() (string, any) {
	return serverconfig.DefaultConfigTemplate, appConfig()
}

// ensureCometConfig writes config.toml if there is none. It must run before the SDK looks for the file: the
// SDK writes its own then, and takes a commit timeout of one second, which is CometBFT's default
// and ours, for one that nobody chose and makes it five.
func ensureCometConfig(home string) error {
	path := filepath.Join(home, "config", "config.toml")
	switch _, err := os.Stat(path); {
	case err == nil:
		return nil
	case !errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("look for config.toml: %w", err)
	}
	return writeCometConfig(home, cometConfig(app.BlockTime))
}

func writeCometConfig(home string, cfg *cmtcfg.Config) error {
	for _, dir := range []string{"config", "data"} {
		if err := os.MkdirAll(filepath.Join(home, dir), dirMode); err != nil {
			return fmt.Errorf("make the node's folder: %w", err)
		}
	}
	if err := cfg.ValidateBasic(); err != nil {
		return fmt.Errorf("config.toml: %w", err)
	}
	cmtcfg.WriteConfigFile(filepath.Join(home, "config", "config.toml"), cfg)
	return nil
}

func writeAppConfig(home string, cfg serverconfig.Config) error {
	if err := cfg.ValidateBasic(); err != nil {
		return fmt.Errorf("app.toml: %w", err)
	}
	serverconfig.SetConfigTemplate(serverconfig.DefaultConfigTemplate)
	serverconfig.WriteConfigFile(filepath.Join(home, "config", "app.toml"), cfg)
	return nil
}

// writeClientConfig writes client.toml: what query and tx use unless told otherwise.
func writeClientConfig(home, chainID, keyring, node string) error {
	text := fmt.Sprintf(`# What nexarad's queries and transactions use unless a flag says otherwise.

# The network's name
chain-id = %q
# Where keys are kept (os|file|kwallet|pass|test|memory)
keyring-backend = %q
# The key that signs when --from is not given
keyring-default-keyname = ""
# How results are printed (text|json)
output = "text"
# CometBFT's RPC of a node
node = %q
# Whether to wait for the mempool's answer (sync|async)
broadcast-mode = "sync"
`, chainID, keyring, node)
	path := filepath.Join(home, "config", "client.toml")
	if err := os.WriteFile(path, []byte(text), fileMode); err != nil {
		return fmt.Errorf("write client.toml: %w", err)
	}
	return nil
}
