// Package market holds nexarad's own commands for requesters and operators: submit a job from a file,
// watch it, read its logs, fetch its results, ask why it does not match; register a NexCore. It speaks to a
// node over RPC and to a gateway over HTTP and links no libp2p.
package market

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/cosmos/cosmos-sdk/client"
	"github.com/cosmos/cosmos-sdk/client/flags"
	"github.com/cosmos/cosmos-sdk/client/input"
	"github.com/cosmos/cosmos-sdk/client/tx"
	sdk "github.com/cosmos/cosmos-sdk/types"
	"github.com/cosmos/cosmos-sdk/types/query"
	authtx "github.com/cosmos/cosmos-sdk/x/auth/tx"

	"github.com/nexara/nexara/x/tasks/types"
)

const (
	flagGateway = "gateway"
	// defaultGateway is where `nexgate start` listens.
	defaultGateway = "http://127.0.0.1:8480"
	// inclusionTimeout bounds the wait for a transaction's block.
	inclusionTimeout = 60 * time.Second
	// pollInterval is how often the chain is asked while something is awaited.
	pollInterval = 400 * time.Millisecond
)

// ErrRefused says that the chain refused a transaction; the text is the chain's.
var ErrRefused = errors.New("the chain refused")

// JobCommand returns `nexarad job`.
func JobCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "job",
		Short: "Watch jobs, read their logs, fetch their results, ask why they wait",
		RunE:  client.ValidateCmd,
	}
	cmd.AddCommand(watchCommand(), logsCommand(), fetchCommand(), whyCommand())
	return cmd
}

// TasksTxCommand returns `nexarad tx tasks`; AutoCLI adds the other messages to it.
func TasksTxCommand() *cobra.Command {
	cmd := &cobra.Command{Use: types.ModuleName, Short: "Submit, top up and cancel jobs; act for a NexCore", RunE: client.ValidateCmd}
	cmd.AddCommand(submitCommand())
	return cmd
}

func gatewayFlag(cmd *cobra.Command) {
	cmd.Flags().String(flagGateway, envOr("NEXARA_GATEWAY", defaultGateway), "gateway for uploads, downloads and live logs (also NEXARA_GATEWAY)")
}

func envOr(name, fallback string) string {
	if v := os.Getenv(name); v != "" {
		return v
	}
	return fallback
}

func isJSON(ctx client.Context) bool { return ctx.OutputFormat == flags.OutputFormatJSON }

// send signs and broadcasts messages, waits for their block and returns the result. On a terminal it asks before
// signing unless --yes. With --generate-only or --dry-run it prints what they ask for, sends nothing and returns nil.
func send(cmd *cobra.Command, clientCtx client.Context, msgs ...sdk.Msg) (*sdk.TxResponse, error) {
	factory, err := tx.NewFactoryCLI(clientCtx, cmd.Flags())
	if err != nil {
		return nil, err
	}
	if clientCtx.GenerateOnly || clientCtx.Simulate {
		return nil, tx.GenerateOrBroadcastTxWithFactory(clientCtx, factory, msgs...)
	}
	if factory, err = factory.Prepare(clientCtx); err != nil {
		return nil, err
	}
	if factory.SimulateAndExecute() {
		_, gas, err := tx.CalculateGas(clientCtx, factory, msgs...)
		if err != nil {
			return nil, fmt.Errorf("%w: %w", ErrRefused, err)
		}
		factory = factory.WithGas(gas)
	}
	if err := confirm(cmd, clientCtx, factory, msgs); err != nil {
		return nil, err
	}
	builder, err := factory.BuildUnsignedTx(msgs...)
	if err != nil {
		return nil, err
	}
	if err := tx.Sign(clientCtx.CmdContext, factory, clientCtx.FromName, builder, true); err != nil {
		return nil, err
	}
	bz, err := clientCtx.TxConfig.TxEncoder()(builder.GetTx())
	if err != nil {
		return nil, err
	}
	res, err := clientCtx.BroadcastTxSync(bz)
	if err != nil {
		return nil, err
	}
	if res.Code != 0 {
		return nil, fmt.Errorf("%w (%s %d): %s", ErrRefused, res.Codespace, res.Code, res.RawLog)
	}
	return included(clientCtx, res.TxHash)
}

// confirm shows on a terminal what is about to be signed and asks. Scripts are not asked.
func confirm(cmd *cobra.Command, clientCtx client.Context, factory tx.Factory, msgs []sdk.Msg) error {
	in, ok := cmd.InOrStdin().(*os.File)
	if clientCtx.SkipConfirm || !ok || !isTerminal(in) {
		return nil
	}
	for _, msg := range msgs {
		bz, err := clientCtx.Codec.MarshalInterfaceJSON(msg)
		if err != nil {
			return err
		}
		fmt.Fprintln(cmd.ErrOrStderr(), string(bz))
	}
	fmt.Fprintf(cmd.ErrOrStderr(), "gas %d at %s\n", factory.Gas(), factory.GasPrices())
	yes, err := input.GetConfirmation("sign and send?", bufio.NewReader(in), cmd.ErrOrStderr())
	if err == nil && !yes {
		err = ErrNotConfirmed
	}
	return err
}

// ErrNotConfirmed says that whoever was asked said no.
var ErrNotConfirmed = errors.New("not sent")

// included waits until a transaction is in a block.
func included(clientCtx client.Context, hash string) (*sdk.TxResponse, error) {
	ctx, cancel := context.WithTimeout(clientCtx.CmdContext, inclusionTimeout)
	defer cancel()
	for {
		res, err := authtx.QueryTx(clientCtx, hash)
		if err == nil {
			if res.Code != 0 {
				return nil, fmt.Errorf("%w (%s %d): %s", ErrRefused, res.Codespace, res.Code, res.RawLog)
			}
			return res, nil
		}
		if err := pause(ctx, pollInterval); err != nil {
			return nil, fmt.Errorf("transaction %s is in no block after %s: %w", hash, inclusionTimeout, err)
		}
	}
}

func pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}

// attribute returns the value of an event's attribute, "" when absent.
func attribute(res *sdk.TxResponse, event, key string) string {
	for _, e := range res.Events {
		if e.Type != event {
			continue
		}
		for _, a := range e.Attributes {
			if a.Key == key {
				return a.Value
			}
		}
	}
	return ""
}

// view is all that the commands show of a job.
type view struct {
	Job     types.Job
	State   string
	Ranges  []types.ShardRange
	Leases  []types.Lease
	Payouts []types.Payout
}

// readJob loads a job with everything below it.
func readJob(ctx context.Context, q types.QueryClient, id uint64) (*view, error) {
	job, err := q.Job(ctx, &types.QueryJobRequest{Id: id})
	if err != nil {
		return nil, err
	}
	v := &view{Job: job.Job, State: job.State}
	for page := (&query.PageRequest{Limit: 1_000}); page != nil; {
		res, err := q.Shards(ctx, &types.QueryShardsRequest{JobId: id, Pagination: page})
		if err != nil {
			return nil, err
		}
		v.Ranges = append(v.Ranges, res.Ranges...)
		page = next(res.Pagination)
	}
	for page := (&query.PageRequest{Limit: 1_000}); page != nil; {
		res, err := q.Leases(ctx, &types.QueryLeasesRequest{JobId: id, Pagination: page})
		if err != nil {
			return nil, err
		}
		v.Leases = append(v.Leases, res.Leases...)
		page = next(res.Pagination)
	}
	for page := (&query.PageRequest{Limit: 1_000}); page != nil; {
		res, err := q.Payouts(ctx, &types.QueryPayoutsRequest{JobId: id, Pagination: page})
		if err != nil {
			return nil, err
		}
		v.Payouts = append(v.Payouts, res.Payouts...)
		page = next(res.Pagination)
	}
	return v, nil
}

func next(page *query.PageResponse) *query.PageRequest {
	if page == nil || len(page.NextKey) == 0 {
		return nil
	}
	return &query.PageRequest{Key: page.NextKey, Limit: 1_000}
}

// leaseOf returns the newest lease that holds a shard, nil when there is none.
func (v *view) leaseOf(shard int64) *types.Lease {
	var last *types.Lease
	for i := range v.Leases {
		if l := &v.Leases[i]; shard >= l.First && shard < l.First+l.Count {
			last = l
		}
	}
	return last
}

// rangeOf returns the range that holds a shard.
func (v *view) rangeOf(shard int64) *types.ShardRange {
	for i := range v.Ranges {
		if r := &v.Ranges[i]; shard >= r.First && shard < r.First+r.Count {
			return r
		}
	}
	return nil
}
