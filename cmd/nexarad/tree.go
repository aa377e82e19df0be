package main

import (
	"fmt"

	"github.com/cosmos/cosmos-sdk/client"
	"github.com/cosmos/cosmos-sdk/client/debug"
	"github.com/cosmos/cosmos-sdk/client/pruning"
	"github.com/cosmos/cosmos-sdk/client/rpc"
	"github.com/cosmos/cosmos-sdk/client/snapshot"
	"github.com/cosmos/cosmos-sdk/server"
	authcli "github.com/cosmos/cosmos-sdk/x/auth/client/cli"
	genutilcli "github.com/cosmos/cosmos-sdk/x/genutil/client/cli"
	"github.com/spf13/cobra"

	"github.com/nexara/nexara/app"
	"github.com/nexara/nexara/cmd/nexarad/market"
)

// ownCommand is one of our commands and the path that it stands under.
type ownCommand struct {
	under string
	cmd   *cobra.Command
}

// ownCommands lists what neither the SDK nor AutoCLI brings. A module's command that stands here is not replaced by
// AutoCLI: it adds the messages that the command lacks.
func ownCommands(enc app.Encoding) []ownCommand {
	return []ownCommand{
		{"", initCommand(enc)},
		{"", testnetCommand(enc)},
		{"", market.JobCommand()},
		{"", market.VerifyCommand()},
		{"tx", market.TasksTxCommand()},
		{"tx", market.NexcoreTxCommand()},
	}
}

func addOwnCommands(root *cobra.Command, enc app.Encoding) error {
	for _, own := range ownCommands(enc) {
		parent, err := find(root, own.under)
		if err != nil {
			return fmt.Errorf("add the command %s: %w", own.cmd.Name(), err)
		}
		parent.AddCommand(own.cmd)
	}
	return nil
}

// addCommands adds what the SDK brings.
func addCommands(root *cobra.Command, enc app.Encoding, home string) {
	server.AddCommands(root, home, newApp, exportApp, func(*cobra.Command) {})
	root.AddCommand(
		server.StatusCommand(),
		genutilcli.Commands(enc.TxConfig, enc.Basics, home),
		keysCommand(),
		queryCommand(),
		txCommand(),
		pruning.Cmd(newApp, home),
		snapshot.Cmd(newApp),
		debug.Cmd(),
	)
	for _, c := range root.Commands() {
		if c.Name() == "version" {
			c.Annotations = map[string]string{noHome: ""}
		}
	}
}

// queryCommand holds what is asked of blocks and transactions; AutoCLI adds the modules' queries.
func queryCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:                        "query",
		Aliases:                    []string{"q"},
		Short:                      "Query the chain",
		Example:                    "  nexarad query staking validators --output json",
		SuggestionsMinimumDistance: 2,
		RunE:                       client.ValidateCmd,
	}
	cmd.AddCommand(
		rpc.WaitTxCmd(),
		server.QueryBlockCmd(),
		server.QueryBlocksCmd(),
		server.QueryBlockResultsCmd(),
		authcli.QueryTxCmd(),
		authcli.QueryTxsByEventsCmd(),
	)
	return cmd
}

// txCommand holds what is done with any transaction; AutoCLI adds the modules' messages.
func txCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:                        "tx",
		Short:                      "Sign and send transactions",
		Example:                    "  nexarad tx bank send alice nexa1... 1000000000000000000anex --gas auto --gas-adjustment 1.3 --gas-prices " + app.MinGasPrices,
		SuggestionsMinimumDistance: 2,
		RunE:                       client.ValidateCmd,
	}
	cmd.AddCommand(
		authcli.GetSignCommand(),
		authcli.GetSignBatchCommand(),
		authcli.GetMultiSignCommand(),
		authcli.GetMultiSignBatchCmd(),
		authcli.GetValidateSignaturesCommand(),
		authcli.GetBroadcastCommand(),
		authcli.GetEncodeCommand(),
		authcli.GetDecodeCommand(),
		authcli.GetSimulateCmd(),
	)
	return cmd
}
