package market

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"

	"github.com/cosmos/cosmos-sdk/client"
	"github.com/cosmos/cosmos-sdk/client/flags"
	"github.com/spf13/cobra"

	"github.com/nexara/nexara/x/tasks/auction"
	"github.com/nexara/nexara/x/tasks/types"
)

// ErrVerify says that a clearing is not what its record says.
var ErrVerify = errors.New("FAIL")

// errModelSize says that a node announces a model file larger than one may be, or sends less than it announced.
var errModelSize = errors.New("size of the model file")

const flagModelFile = "file"

// VerifyCommand holds what anyone can check about the chain.
func VerifyCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use: "verify", Short: "Check what the chain did, from public data alone", RunE: client.ValidateCmd,
		Example: "  nexarad verify clearing 1200",
	}
	cmd.AddCommand(verifyClearingCommand())
	return cmd
}

func verifyClearingCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "clearing HEIGHT",
		Short: "Recompute a block's clearing: digest, rules, welfare, bound, gap, ties, least prices",
		Long: `Takes the model file of a clearing from a node, checks it against the digest in the chain's state and
recomputes everything: that every match keeps every rule, that no allocation could be better than the bound says,
that ties and prices are the ones the rules name, every figure of the record, and the solve itself. Ends with PASS,
or FAIL and the step. HEIGHT 0 is the last clearing.`,
		Example: "  nexarad verify clearing 1200\n  nexarad verify clearing 1200 --file 1200.model --output json",
		Args:    cobra.ExactArgs(1),
		RunE:    runVerifyClearing,
	}
	flags.AddQueryFlagsToCmd(cmd)
	cmd.Flags().String(flagModelFile, "", "read the model from this file instead of from the node")
	return cmd
}

func runVerifyClearing(cmd *cobra.Command, args []string) error {
	clientCtx, err := client.GetClientQueryContext(cmd)
	if err != nil {
		return err
	}
	height, err := strconv.ParseInt(args[0], 10, 64)
	if err != nil || height < 0 {
		return fmt.Errorf("HEIGHT is a block's height, or 0 for the last clearing, not %q", args[0])
	}
	queries := types.NewQueryClient(clientCtx)
	res, err := queries.Clearing(cmd.Context(), &types.QueryClearingRequest{Height: height})
	if err != nil {
		return err
	}
	record := res.Clearing
	var data []byte
	if name, _ := cmd.Flags().GetString(flagModelFile); name != "" {
		data, err = os.ReadFile(name)
	} else {
		data, err = downloadModel(cmd.Context(), queries, record.Height)
	}
	if err != nil {
		return err
	}
	held, failed := auction.Verify(data, claimOf(record))
	return printVerdict(cmd, clientCtx, record.Height, held, failed)
}

// downloadModel reads a model file in parts.
func downloadModel(ctx context.Context, queries types.QueryClient, height int64) ([]byte, error) {
	var data []byte
	for {
		part, err := queries.ClearingModel(ctx, &types.QueryClearingModelRequest{Height: height, Offset: int64(len(data))})
		if err != nil {
			return nil, err
		}
		data = append(data, part.Data...)
		switch {
		case part.Size_ > auction.MaxFileBytes || len(data) > auction.MaxFileBytes:
			return nil, fmt.Errorf("%w: %d bytes announced, at most %d", errModelSize, part.Size_, auction.MaxFileBytes)
		case int64(len(data)) >= part.Size_:
			return data, nil
		case len(part.Data) == 0:
			return nil, fmt.Errorf("%w: %d of %d bytes came", errModelSize, len(data), part.Size_)
		}
	}
}

// claimOf is the chain's record in the auction's terms.
func claimOf(r types.Clearing) auction.Claim {
	claim := auction.Claim{
		Height: r.Height, Solver: r.Solver, Shapes: r.Shapes, Offers: r.Offers, Entries: r.Entries, Shards: r.Shards,
		Matched: r.Matched, Leases: r.Leases, Welfare: r.Welfare, Bound: r.Bound, GapPPM: r.GapPpm, Width: r.Width, Work: r.Work,
		Exact: r.Exact, Truncated: r.Truncated, Fallback: r.Fallback,
	}
	copy(claim.Digest[:], r.Digest)
	for _, p := range r.Prices {
		priced := auction.Priced{NexCoreID: p.NexcoreId, Prices: auction.Prices{Slot: p.Slot, Tie: p.Tie}, Width: p.Width}
		copy(priced.Dims[:], p.Dims)
		claim.Prices = append(claim.Prices, priced)
	}
	return claim
}

func printVerdict(cmd *cobra.Command, clientCtx client.Context, height int64, held []auction.Finding, failed error) error {
	if isJSON(clientCtx) {
		verdict := struct {
			Height int64             `json:"height"`
			Pass   bool              `json:"pass"`
			Steps  []auction.Finding `json:"steps"`
			Error  string            `json:"error,omitempty"`
		}{Height: height, Pass: failed == nil, Steps: held}
		if failed != nil {
			verdict.Error = failed.Error()
		}
		if err := printJSON(cmd, verdict); err != nil {
			return err
		}
	} else {
		for _, f := range held {
			fmt.Fprintf(cmd.OutOrStdout(), "  ok  %-10s  %s\n", f.Step, f.Detail)
		}
		if failed == nil {
			fmt.Fprintf(cmd.OutOrStdout(), "PASS  clearing of block %d\n", height)
		}
	}
	if failed != nil {
		return fmt.Errorf("%w clearing of block %d at %w", ErrVerify, height, failed)
	}
	return nil
}
