package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"

	"cosmossdk.io/log/v2"
	cmtcli "github.com/cometbft/cometbft/libs/cli"
	dbm "github.com/cosmos/cosmos-db"
	"github.com/cosmos/cosmos-sdk/client"
	clientconfig "github.com/cosmos/cosmos-sdk/client/config"
	"github.com/cosmos/cosmos-sdk/client/flags"
	nodeservice "github.com/cosmos/cosmos-sdk/client/grpc/node"
	"github.com/cosmos/cosmos-sdk/server"
	servercmd "github.com/cosmos/cosmos-sdk/server/cmd"
	authtypes "github.com/cosmos/cosmos-sdk/x/auth/types"
	"github.com/spf13/cobra"

	"github.com/nexara/nexara/app"
)

// noHome marks, as an annotation, a command that neither reads nor makes a node's folder.
const noHome = "no-home"

// errStart is what a node that could not be made fails with.
var errStart = errors.New("cannot start")

// Run executes the command that Args name. The error says what failed; it has not been printed.
func (m Main) Run(ctx context.Context) (err error) {
	defer func() {
		// The SDK's application creator has no error to return, so node.go panics with errStart.
		if p := recover(); p != nil {
			cause, isError := p.(error)
			if !isError || !errors.Is(cause, errStart) {
				panic(p)
			}
			err = cause
		}
	}()
	app.SetConfig()
	root, err := m.root()
	if err != nil {
		return err
	}
	root.SetArgs(m.Args)
	root.SetIn(m.Stdin)
	root.SetOut(m.Stdout)
	root.SetErr(m.Stderr)
	return root.ExecuteContext(servercmd.CreateExecuteContext(ctx))
}

// root builds the command tree.
func (m Main) root() (*cobra.Command, error) {
	enc, err := app.NewEncoding()
	if err != nil {
		return nil, err
	}
	// AutoCLI reads the commands off the wired modules; their state is never loaded.
	wired, err := app.New(log.NewNopLogger(), dbm.NewMemDB(), app.Options{Encoding: &enc, SkipLoad: true})
	if err != nil {
		return nil, fmt.Errorf("wire the modules: %w", err)
	}
	clientCtx := client.Context{}.
		WithCodec(enc.Codec).
		WithInterfaceRegistry(enc.Registry).
		WithTxConfig(enc.TxConfig).
		WithLegacyAmino(enc.Amino).
		WithInput(m.Stdin).
		WithAccountRetriever(authtypes.AccountRetriever{}).
		WithHomeDir(m.Home).
		WithViper(app.EnvPrefix)

	root := &cobra.Command{
		Use:   app.BinaryName,
		Short: "The Nexara chain: node, wallet and queries",
		Long: `nexarad runs a node of the Nexara compute market and is its command line.

Settings come from flags, then from NEXARAD_ variables (NEXARAD_NODE, NEXARAD_CHAIN_ID, ...), then from
client.toml, app.toml and config.toml in the config folder of --home.`,
		Example: `  nexarad testnet --validators 1 --output-dir ./net --fund alice=1000NEX
  nexarad start --home ./net/node0
  nexarad query bank balances "$(nexarad keys show alice -a --home ./net/node0)" --home ./net/node0`,
		SilenceErrors: true,
		SilenceUsage:  true,
		PersistentPreRunE: func(cmd *cobra.Command, _ []string) error {
			return prepare(cmd, clientCtx)
		},
	}
	addCommands(root, enc, m.Home)
	if err := addOwnCommands(root, enc); err != nil {
		return nil, err
	}

	cli := wired.AutoCLI()
	cli.ClientCtx = clientCtx
	nodeCommands := nodeservice.NewNodeCommands()
	cli.ModuleOptions[nodeCommands.Name()] = nodeCommands.AutoCLIOptions()
	if err := cli.EnhanceRootCommand(root); err != nil {
		return nil, fmt.Errorf("build the generated commands: %w", err)
	}
	addRootFlags(root)
	return cmtcli.PrepareBaseCmd(root, app.EnvPrefix, m.Home).Command, nil
}

func addRootFlags(root *cobra.Command) {
	f := root.PersistentFlags()
	f.String(flags.FlagLogLevel, "info", "The logging level (trace|debug|info|warn|error|fatal|panic|disabled or '*:<level>,<key>:<level>')")
	f.String(flags.FlagLogFormat, "plain", "The logging format (json|plain)")
	f.Bool(flags.FlagLogNoColor, false, "Disable coloured logs")
	f.String(flags.FlagVerboseLogLevel, "debug", "The logging level during upgrades; none keeps the usual one")
}

// prepare fills a command's context: where the chain is, which keys there are, what the files say.
func prepare(cmd *cobra.Command, clientCtx client.Context) error {
	for c := cmd; c != nil; c = c.Parent() {
		if _, skip := c.Annotations[noHome]; skip {
			return nil
		}
	}
	clientCtx, err := client.ReadPersistentCommandFlags(clientCtx.WithCmdContext(cmd.Context()), cmd.Flags())
	if err != nil {
		return err
	}
	if clientCtx, err = clientconfig.ReadFromClientConfig(clientCtx); err != nil {
		return err
	}
	if err := client.SetCmdClientContextHandler(clientCtx, cmd); err != nil {
		return err
	}
	if err := gasDefaults(cmd); err != nil {
		return err
	}
	if err := ensureCometConfig(clientCtx.HomeDir); err != nil {
		return err
	}
	template, settings := appConfigTemplate()
	return server.InterceptConfigsPreRunHandler(cmd, template, settings, cometConfig(app.BlockTime))
}

// gasDefaults makes a transaction simulate for its gas and pay the least price that nodes take, where neither flags
// nor variables say otherwise: without them no example of the help would be accepted.
func gasDefaults(cmd *cobra.Command) error {
	if path := strings.Fields(cmd.CommandPath()); len(path) < 2 || path[1] != "tx" {
		return nil
	}
	f := cmd.Flags()
	given := func(name string) bool {
		flag := f.Lookup(name)
		_, inEnv := os.LookupEnv(app.EnvPrefix + "_" + strings.ToUpper(strings.ReplaceAll(name, "-", "_")))
		return flag == nil || flag.Changed || inEnv
	}
	var errs []error
	if !given(flags.FlagGasPrices) && !given(flags.FlagFees) {
		errs = append(errs, f.Lookup(flags.FlagGasPrices).Value.Set(app.MinGasPrices))
	}
	if offline, _ := f.GetBool(flags.FlagOffline); !offline && !given(flags.FlagGas) {
		errs = append(errs, f.Lookup(flags.FlagGas).Value.Set(flags.GasFlagAuto))
		if !given(flags.FlagGasAdjustment) {
			errs = append(errs, f.Lookup(flags.FlagGasAdjustment).Value.Set("1.4"))
		}
	}
	return errors.Join(errs...)
}

// find returns the command at a path of names below root, such as "tx tasks".
func find(root *cobra.Command, path string) (*cobra.Command, error) {
	at := root
next:
	for _, name := range strings.Fields(path) {
		for _, c := range at.Commands() {
			if c.Name() == name {
				at = c
				continue next
			}
		}
		return nil, fmt.Errorf("no command %q below %q", name, at.CommandPath())
	}
	return at, nil
}
