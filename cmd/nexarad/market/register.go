package market

import (
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"github.com/cosmos/cosmos-sdk/client"
	"github.com/cosmos/cosmos-sdk/client/flags"
	"github.com/cosmos/cosmos-sdk/crypto/keys/secp256k1"
	sdk "github.com/cosmos/cosmos-sdk/types"
	"github.com/cosmos/cosmos-sdk/x/feegrant"

	"github.com/nexara/nexara/x/denom"
	nexcoretypes "github.com/nexara/nexara/x/nexcore/types"
	"github.com/nexara/nexara/x/tasks/types"
)

// NexcoreTxCommand returns `nexarad tx nexcore`; AutoCLI adds the other messages to it.
func NexcoreTxCommand() *cobra.Command {
	cmd := &cobra.Command{Use: nexcoretypes.ModuleName, Short: "Register NexCores and manage their bonds", RunE: client.ValidateCmd}
	cmd.AddCommand(registerCommand())
	return cmd
}

func registerCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "register REGISTER.json",
		Short: "Register a NexCore with the file that `nexcore init` wrote, bond for it and pay its gas",
		Long: `Registers the NexCore described in the file, bonds --bond micro-NEX for it and grants its hot node key an
allowance for gas (--allowance) that is good for a daemon's messages alone, all in one transaction signed by the operator.`,
		Example: `  nexarad tx nexcore register ~/.nexcore/register.json --from operator
  nexarad tx nexcore register register.json --bond 200000000 --from operator --yes --output json`,
		Args: cobra.ExactArgs(1),
		RunE: runRegister,
	}
	flags.AddTxFlagsToCmd(cmd)
	cmd.Flags().Int64("bond", 0, "bond in micro-NEX (0: the least that the chain takes)")
	cmd.Flags().Int64("allowance", 10_000_000, "gas allowance for the hot node key in micro-NEX, 0 for none")
	return cmd
}

// registration is the file that `nexcore init` writes.
type registration struct {
	Operator   string          `json:"operator"`
	NodePubkey string          `json:"node_pubkey"` // hex
	NodeProof  string          `json:"node_proof"`  // hex
	Spec       json.RawMessage `json:"spec"`        // proto JSON
}

// daemonMessages are all that a hot node key may spend its operator's gas on.
var daemonMessages = []string{
	sdk.MsgTypeURL(&types.MsgPostOffer{}), sdk.MsgTypeURL(&types.MsgRefreshOffer{}), sdk.MsgTypeURL(&types.MsgWithdrawOffer{}),
	sdk.MsgTypeURL(&types.MsgAcknowledge{}), sdk.MsgTypeURL(&types.MsgDecline{}), sdk.MsgTypeURL(&types.MsgDeliver{}),
	sdk.MsgTypeURL(&nexcoretypes.MsgDrain{}),
}

func runRegister(cmd *cobra.Command, args []string) error {
	clientCtx, err := client.GetClientTxContext(cmd)
	if err != nil {
		return err
	}
	bz, err := os.ReadFile(args[0])
	if err != nil {
		return err
	}
	var file registration
	if err := json.Unmarshal(bz, &file); err != nil {
		return fmt.Errorf("%s: %w", args[0], err)
	}
	bond, _ := cmd.Flags().GetInt64("bond")
	if bond == 0 {
		params, err := nexcoretypes.NewQueryClient(clientCtx).Params(cmd.Context(), &nexcoretypes.QueryParamsRequest{})
		if err != nil {
			return err
		}
		bond = params.Params.MinBond
	}
	msg := &nexcoretypes.MsgRegister{Operator: clientCtx.GetFromAddress().String(), Bond: bond}
	if file.Operator != "" && file.Operator != msg.Operator {
		return fmt.Errorf("%s was made for operator %s, but %s signs", args[0], file.Operator, msg.Operator)
	}
	if msg.NodePubkey, err = hex.DecodeString(file.NodePubkey); err != nil {
		return fmt.Errorf("%s: node_pubkey: %w", args[0], err)
	}
	if msg.NodeProof, err = hex.DecodeString(file.NodeProof); err != nil {
		return fmt.Errorf("%s: node_proof: %w", args[0], err)
	}
	if err := clientCtx.Codec.UnmarshalJSON(file.Spec, &msg.Spec); err != nil {
		return fmt.Errorf("%s: spec: %w", args[0], err)
	}
	msgs := []sdk.Msg{msg}
	if allowance, _ := cmd.Flags().GetInt64("allowance"); allowance > 0 {
		if len(msg.NodePubkey) != secp256k1.PubKeySize {
			return fmt.Errorf("%s: node_pubkey has %d bytes, not %d", args[0], len(msg.NodePubkey), secp256k1.PubKeySize)
		}
		node := sdk.AccAddress((&secp256k1.PubKey{Key: msg.NodePubkey}).Address())
		limited, err := feegrant.NewAllowedMsgAllowance(&feegrant.BasicAllowance{
			SpendLimit: sdk.NewCoins(sdk.NewCoin(denom.Base, denom.Anex(allowance))),
		}, daemonMessages)
		if err != nil {
			return err
		}
		grant, err := feegrant.NewMsgGrantAllowance(limited, clientCtx.GetFromAddress(), node)
		if err != nil {
			return err
		}
		msgs = append(msgs, grant)
	}
	res, err := send(cmd, clientCtx, msgs...)
	if err != nil || res == nil {
		return err
	}
	id := attribute(res, "nexara_nexcore_registered", "nexcore")
	if isJSON(clientCtx) {
		return printJSON(cmd, map[string]any{"nexcore_id": id, "height": res.Height, "tx_hash": res.TxHash})
	}
	fmt.Fprintf(cmd.OutOrStdout(), "NexCore %s registered in block %d\n", id, res.Height)
	return nil
}
