package main

import (
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"regexp"
	"strings"
	"time"

	"github.com/cosmos/cosmos-sdk/client/flags"
	"github.com/cosmos/cosmos-sdk/server"
	sdk "github.com/cosmos/cosmos-sdk/types"
	"github.com/spf13/cobra"

	"github.com/nexara/nexara/app"
)

// The flags of testnet.
const (
	flagValidators      = "validators"
	flagOutputDir       = "output-dir"
	flagFund            = "fund"
	flagGenesisOverride = "genesis-override"
	flagP2PPort         = "p2p-port"
	flagRPCPort         = "rpc-port"
	flagAPIPort         = "api-port"
	flagGRPCPort        = "grpc-port"
	flagPortStep        = "port-step"
	flagGateway         = "gateway"
	flagStart           = "start"
)

const (
	maxTestValidators = 100
	maxOverrideBytes  = 4 << 20
	maxPort           = 65535
)

var (
	errTestnet  = errors.New("testnet")
	accountName = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9_.-]{0,62}$`)
)

// testnetConfig is what testnet was asked for.
type testnetConfig struct {
	Validators   int
	Dir          string
	ChainID      string
	Keyring      string
	BlockTime    time.Duration
	MinGasPrices string
	Override     []byte
	Gateways     [][]byte // compressed public keys whose custody receipts count
	Fund         []fundedAccount
	Ports        ports
	PortStep     int
	Stdin        io.Reader
}

// fundedAccount is an account besides the validators' and what it holds at genesis.
type fundedAccount struct {
	Name   string
	Amount sdk.Coin
}

// ports are one node's.
type ports struct{ P2P, RPC, API, GRPC int }

func (p ports) plus(n int) ports { return ports{p.P2P + n, p.RPC + n, p.API + n, p.GRPC + n} }

// testnetReport is what testnet prints.
type testnetReport struct {
	ChainID  string          `json:"chain_id"`
	Genesis  string          `json:"genesis"`
	Nodes    []nodeReport    `json:"nodes"`
	Accounts []accountReport `json:"accounts"`
}

type nodeReport struct {
	Name      string `json:"name"`
	Home      string `json:"home"`
	NodeID    string `json:"node_id"`
	Validator string `json:"validator"`
	P2P       string `json:"p2p"`
	RPC       string `json:"rpc"`
	API       string `json:"api"`
	GRPC      string `json:"grpc"`
}

type accountReport struct {
	Name    string `json:"name"`
	Address string `json:"address"`
	Balance string `json:"balance"`
	Home    string `json:"home"`
}

func testnetCommand(enc app.Encoding) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "testnet",
		Short: "Write the files of a network on this machine",
		Long: `Write the homes of a network of validators on this machine: keys, settings and one genesis.

Nodes listen on the loopback address only, each with the usual ports moved up by --port-step. With --start
every node runs as a process of its own until Ctrl-C; else run "nexarad start --home DIR/nodeN" for each. Accounts named with --fund have their key in
node0's keyring, which by default is the unencrypted one meant for tests.

--genesis-override names a file with a JSON merge patch of the genesis' app_state, such as
  {"gov": {"params": {"voting_period": "60s"}}}`,
		Example: `  nexarad testnet --validators 1 --output-dir ./net --fund alice=1000NEX
  nexarad testnet --validators 3 --block-time 500ms --fund alice=1000NEX --fund bob=2.5NEX --output json
  nexarad testnet --validators 3 --start
  nexarad testnet --gateway 02f1... --fund alice=1000NEX   # the key that nexgate init prints
  nexarad testnet --genesis-override ./genesis.patch.json`,
		Args:        cobra.NoArgs,
		Annotations: map[string]string{noHome: ""},
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, err := readTestnetConfig(cmd)
			if err != nil {
				return err
			}
			report, err := writeTestnet(cmd.Context(), enc, cfg)
			if err != nil {
				return err
			}
			start, _ := cmd.Flags().GetBool(flagStart)
			show := showTestnet
			if start {
				show = showNodes
			}
			if err := printReport(cmd, report, show); err != nil || !start {
				return err
			}
			return startTestnet(cmd.Context(), report, cmd.ErrOrStderr())
		},
	}
	f := cmd.Flags()
	f.Int(flagValidators, 1, "how many validators")
	f.String(flagOutputDir, "./testnet", "the folder for the nodes' homes")
	f.String(flags.FlagChainID, "nexara-local-1", "the network's name")
	f.String(flags.FlagKeyringBackend, "test", "where keys are kept (test|file|os)")
	f.Duration(flagBlockTime, app.BlockTime, "how long to wait after a block before the next")
	f.String(server.FlagMinGasPrices, app.MinGasPrices, "the least price per unit of gas")
	f.StringArray(flagFund, nil, "an account to make, NAME=AMOUNT, such as alice=1000NEX; may be repeated")
	f.String(flagGenesisOverride, "", "a file with a JSON merge patch of app_state")
	f.StringArray(flagGateway, nil, "hex public key of a gateway whose receipts count; may be repeated")
	f.Bool(flagStart, false, "start every node and run until Ctrl-C")
	f.Int(flagP2PPort, 26656, "node0's peer-to-peer port")
	f.Int(flagRPCPort, 26657, "node0's CometBFT RPC port")
	f.Int(flagAPIPort, 1317, "node0's REST port")
	f.Int(flagGRPCPort, 9090, "node0's gRPC port")
	f.Int(flagPortStep, 10, "how much each further node's ports are moved up")
	f.String(flags.FlagOutput, flags.OutputFormatText, "how to print the result (text|json)")
	return cmd
}

func readTestnetConfig(cmd *cobra.Command) (testnetConfig, error) {
	f := cmd.Flags()
	cfg := testnetConfig{Stdin: cmd.InOrStdin()}
	cfg.Validators, _ = f.GetInt(flagValidators)
	cfg.Dir, _ = f.GetString(flagOutputDir)
	cfg.ChainID, _ = f.GetString(flags.FlagChainID)
	cfg.Keyring, _ = f.GetString(flags.FlagKeyringBackend)
	cfg.BlockTime, _ = f.GetDuration(flagBlockTime)
	cfg.MinGasPrices, _ = f.GetString(server.FlagMinGasPrices)
	cfg.Ports.P2P, _ = f.GetInt(flagP2PPort)
	cfg.Ports.RPC, _ = f.GetInt(flagRPCPort)
	cfg.Ports.API, _ = f.GetInt(flagAPIPort)
	cfg.Ports.GRPC, _ = f.GetInt(flagGRPCPort)
	cfg.PortStep, _ = f.GetInt(flagPortStep)

	funds, _ := f.GetStringArray(flagFund)
	for _, s := range funds {
		account, err := parseFund(s)
		if err != nil {
			return testnetConfig{}, err
		}
		cfg.Fund = append(cfg.Fund, account)
	}
	gateways, _ := f.GetStringArray(flagGateway)
	for _, s := range gateways {
		key, err := hex.DecodeString(s)
		if err != nil {
			return testnetConfig{}, fmt.Errorf("%w: --%s: %w", errTestnet, flagGateway, err)
		}
		cfg.Gateways = append(cfg.Gateways, key)
	}
	if path, _ := f.GetString(flagGenesisOverride); path != "" {
		patch, err := readLimited(path, maxOverrideBytes)
		if err != nil {
			return testnetConfig{}, fmt.Errorf("--%s: %w", flagGenesisOverride, err)
		}
		cfg.Override = patch
	}
	return cfg, cfg.validate()
}

func parseFund(s string) (fundedAccount, error) {
	name, amount, found := strings.Cut(s, "=")
	if !found || !accountName.MatchString(name) {
		return fundedAccount{}, fmt.Errorf("%w: --%s %q is not NAME=AMOUNT", errTestnet, flagFund, s)
	}
	coin, err := parseAmount(amount)
	if err != nil {
		return fundedAccount{}, fmt.Errorf("--%s %s: %w", flagFund, name, err)
	}
	return fundedAccount{Name: name, Amount: coin}, nil
}

// validate checks what flags alone can tell.
func (c testnetConfig) validate() error {
	if c.Validators < 1 || c.Validators > maxTestValidators {
		return fmt.Errorf("%w: --%s %d is not between 1 and %d", errTestnet, flagValidators, c.Validators, maxTestValidators)
	}
	if c.BlockTime <= 0 {
		return fmt.Errorf("%w: --%s must be above zero", errTestnet, flagBlockTime)
	}
	if _, err := sdk.ParseDecCoins(c.MinGasPrices); err != nil {
		return fmt.Errorf("%w: --%s: %w", errTestnet, server.FlagMinGasPrices, err)
	}
	used := map[int]string{}
	for i := range c.Validators {
		p := c.Ports.plus(i * c.PortStep)
		for _, n := range []int{p.P2P, p.RPC, p.API, p.GRPC} {
			if n < 1 || n > maxPort {
				return fmt.Errorf("%w: node%d would use port %d", errTestnet, i, n)
			}
			if by, taken := used[n]; taken {
				return fmt.Errorf("%w: %s and node%d would both use port %d (change --%s)", errTestnet, by, i, n, flagPortStep)
			}
			used[n] = fmt.Sprintf("node%d", i)
		}
	}
	names := map[string]bool{}
	for _, a := range c.Fund {
		if a.Name == validatorKey || names[a.Name] {
			return fmt.Errorf("%w: the account %q is there twice", errTestnet, a.Name)
		}
		names[a.Name] = true
	}
	return nil
}

func readLimited(path string, limit int64) ([]byte, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	raw, err := io.ReadAll(io.LimitReader(file, limit+1))
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", path, err)
	}
	if int64(len(raw)) > limit {
		return nil, fmt.Errorf("%w: %s is larger than %d bytes", errTestnet, path, limit)
	}
	return raw, nil
}

func showTestnet(r testnetReport) string {
	var b strings.Builder
	b.WriteString(showNodes(r))
	b.WriteString("start each node with\n")
	for _, n := range r.Nodes {
		fmt.Fprintf(&b, "  nexarad start --home %s\n", n.Home)
	}
	return b.String()
}

func showNodes(r testnetReport) string {
	var b strings.Builder
	fmt.Fprintf(&b, "network %s\n", r.ChainID)
	for _, n := range r.Nodes {
		fmt.Fprintf(&b, "  %s  rpc %s  api %s  grpc %s  p2p %s\n", n.Name, n.RPC, n.API, n.GRPC, n.P2P)
	}
	for _, a := range r.Accounts {
		fmt.Fprintf(&b, "  %s  %s  %s\n", a.Name, a.Address, a.Balance)
	}
	return b.String()
}
