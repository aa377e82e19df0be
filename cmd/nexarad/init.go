package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"

	cmtcfg "github.com/cometbft/cometbft/config"
	"github.com/cosmos/cosmos-sdk/client"
	"github.com/cosmos/cosmos-sdk/client/flags"
	"github.com/cosmos/cosmos-sdk/client/input"
	cryptotypes "github.com/cosmos/cosmos-sdk/crypto/types"
	"github.com/cosmos/cosmos-sdk/server"
	"github.com/cosmos/cosmos-sdk/version"
	"github.com/cosmos/cosmos-sdk/x/genutil"
	genutiltypes "github.com/cosmos/cosmos-sdk/x/genutil/types"
	"github.com/cosmos/go-bip39"
	"github.com/spf13/cobra"

	"github.com/nexara/nexara/app"
)

// The flags of init.
const (
	flagOverwrite     = "overwrite"
	flagRecover       = "recover"
	flagInitialHeight = "initial-height"
	flagBlockTime     = "block-time"
)

var (
	errGenesisExists = errors.New("genesis.json is already there (--overwrite replaces it)")
	errMnemonic      = errors.New("not a BIP-39 mnemonic")
	errChainID       = errors.New("a chain needs a name: --chain-id nexara-1")
)

// initReport is what init prints.
type initReport struct {
	Moniker string `json:"moniker"`
	ChainID string `json:"chain_id"`
	NodeID  string `json:"node_id"`
	Home    string `json:"home"`
	Genesis string `json:"genesis"`
}

func initCommand(enc app.Encoding) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "init MONIKER",
		Short: "Write a new node's keys, settings and genesis",
		Long: `Write a new node's keys, settings and default genesis into --home.

For a network on this machine, genesis and all, use testnet instead.`,
		Example: `  nexarad init my-node --chain-id nexara-1
  nexarad genesis add-genesis-account alice 1000000000000000000000anex
  nexarad genesis gentx alice 100000000000000000000anex --chain-id nexara-1
  nexarad genesis collect-gentxs
  nexarad start`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return runInit(cmd, enc, args[0])
		},
	}
	f := cmd.Flags()
	f.String(flags.FlagChainID, "", "the network's name")
	f.BoolP(flagOverwrite, "o", false, "replace an existing genesis.json")
	f.Bool(flagRecover, false, "make the validator key from a mnemonic, asked for")
	f.Int64(flagInitialHeight, 1, "the first block's height")
	f.Duration(flagBlockTime, app.BlockTime, "how long to wait after a block before the next")
	f.String(flags.FlagOutput, flags.OutputFormatText, "how to print the result (text|json)")
	return cmd
}

func runInit(cmd *cobra.Command, enc app.Encoding, moniker string) error {
	clientCtx := client.GetClientContextFromCmd(cmd)
	f := cmd.Flags()
	overwrite, _ := f.GetBool(flagOverwrite)
	fromMnemonic, _ := f.GetBool(flagRecover)
	height, _ := f.GetInt64(flagInitialHeight)
	blockTime, _ := f.GetDuration(flagBlockTime)

	chainID, _ := f.GetString(flags.FlagChainID)
	if chainID == "" {
		chainID = clientCtx.ChainID
	}
	if chainID == "" {
		return errChainID
	}
	var mnemonic string
	if fromMnemonic {
		said, err := input.GetString("Enter the validator key's BIP-39 mnemonic", bufio.NewReader(cmd.InOrStdin()))
		if err != nil {
			return fmt.Errorf("read the mnemonic: %w", err)
		}
		if mnemonic = strings.TrimSpace(said); !bip39.IsMnemonicValid(mnemonic) {
			return errMnemonic
		}
	}
	cfg := server.GetServerContextFromCmd(cmd).Config
	cfg.SetRoot(clientCtx.HomeDir)
	cfg.Moniker = moniker
	cfg.Consensus.TimeoutCommit = blockTime
	if _, err := os.Stat(cfg.GenesisFile()); err == nil && !overwrite {
		return fmt.Errorf("%w: %s", errGenesisExists, cfg.GenesisFile())
	} else if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("look for genesis.json: %w", err)
	}
	nodeID, _, err := writeNodeKeys(cfg, mnemonic)
	if err != nil {
		return err
	}
	if err := writeClientConfig(clientCtx.HomeDir, chainID, clientCtx.Keyring.Backend(), clientCtx.NodeURI); err != nil {
		return err
	}
	state, err := enc.DefaultGenesis()
	if err != nil {
		return err
	}
	genesis, err := newGenesis(chainID, state)
	if err != nil {
		return err
	}
	genesis.InitialHeight = height
	if err := genutil.ExportGenesisFile(genesis, cfg.GenesisFile()); err != nil {
		return fmt.Errorf("write genesis.json: %w", err)
	}
	return printReport(cmd, initReport{
		Moniker: moniker, ChainID: chainID, NodeID: nodeID, Home: clientCtx.HomeDir, Genesis: cfg.GenesisFile(),
	}, func(r initReport) string {
		return fmt.Sprintf("node %s (%s) of %s is ready in %s\n", r.Moniker, r.NodeID, r.ChainID, r.Home)
	})
}

// writeNodeKeys writes config.toml and, unless they are there, the node's key and the validator's.
func writeNodeKeys(cfg *cmtcfg.Config, mnemonic string) (string, cryptotypes.PubKey, error) {
	if err := writeCometConfig(cfg.RootDir, cfg); err != nil {
		return "", nil, err
	}
	nodeID, key, err := genutil.InitializeNodeValidatorFilesFromMnemonic(cfg, mnemonic)
	if err != nil {
		return "", nil, fmt.Errorf("write the node's keys: %w", err)
	}
	return nodeID, key, nil
}

// newGenesis wraps an app state with this chain's consensus parameters.
func newGenesis(chainID string, state app.GenesisState) (*genutiltypes.AppGenesis, error) {
	raw, err := json.MarshalIndent(state, "", "  ")
	if err != nil {
		return nil, fmt.Errorf("encode the genesis: %w", err)
	}
	return &genutiltypes.AppGenesis{
		AppName: version.AppName, AppVersion: version.Version,
		ChainID: chainID, InitialHeight: 1, AppState: raw,
		Consensus: &genutiltypes.ConsensusGenesis{Params: app.ConsensusParams()},
	}, nil
}

// printReport prints a result as the output flag asks.
func printReport[R any](cmd *cobra.Command, report R, text func(R) string) error {
	out := cmd.OutOrStdout()
	if format, _ := cmd.Flags().GetString(flags.FlagOutput); format != flags.OutputFormatJSON {
		_, err := fmt.Fprint(out, text(report))
		return err
	}
	raw, err := json.MarshalIndent(report, "", "  ")
	if err != nil {
		return fmt.Errorf("encode the result: %w", err)
	}
	_, err = fmt.Fprintln(out, string(raw))
	return err
}
