package market

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/spf13/cobra"

	"github.com/cosmos/cosmos-sdk/client"
	"github.com/cosmos/cosmos-sdk/client/flags"

	"github.com/nexara/nexara/node/blob"
	"github.com/nexara/nexara/node/result"
	"github.com/nexara/nexara/x/tasks/types"
)

// ErrNoLog says that a shard has not begun.
var ErrNoLog = errors.New("the shard has no log yet")

func logsCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "logs JOB",
		Short: "Print a shard's log, live while it runs",
		Long: `Prints what a shard wrote to standard output and error. A running shard is read live from its NexCore
through the gateway, a delivered one from its result. With --output json each piece is one line {"job", "shard", "text"}.`,
		Example: `  nexarad job logs 1 --shard 3
  nexarad job logs 1 --shard 3 --follow`,
		Args: cobra.ExactArgs(1),
		RunE: runLogs,
	}
	flags.AddQueryFlagsToCmd(cmd)
	gatewayFlag(cmd)
	cmd.Flags().Int64("shard", 0, "which shard")
	cmd.Flags().BoolP("follow", "f", false, "go on until the shard is delivered")
	return cmd
}

func runLogs(cmd *cobra.Command, args []string) error {
	clientCtx, err := client.GetClientQueryContext(cmd)
	if err != nil {
		return err
	}
	id, err := parseJob(args[0])
	if err != nil {
		return err
	}
	shard, _ := cmd.Flags().GetInt64("shard")
	follow, _ := cmd.Flags().GetBool("follow")
	gateway, _ := cmd.Flags().GetString(flagGateway)
	queries := types.NewQueryClient(clientCtx)
	out := cmd.OutOrStdout()
	if isJSON(clientCtx) {
		out = &logLines{out: out, job: id, shard: shard}
	}
	printed := int64(0)
	for {
		v, err := readJob(cmd.Context(), queries, id)
		if err != nil {
			return err
		}
		if shard < 0 || shard >= v.Job.Shards {
			return fmt.Errorf("job %d has shards 0 to %d, not %d", id, v.Job.Shards-1, shard)
		}
		lease := v.leaseOf(shard)
		switch {
		case lease != nil && lease.Result != nil:
			return deliveredLog(cmd.Context(), out, gateway, lease, clientCtx.ChainID, shard, printed)
		case lease != nil && (lease.State == types.LEASE_STATE_ASSIGNED || lease.State == types.LEASE_STATE_ACKNOWLEDGED):
			n, err := liveLog(cmd.Context(), out, gateway, lease.Id, shard, printed)
			printed += n
			if err != nil && !follow {
				return err
			}
		case !follow || v.Job.EndedHeight > 0:
			reason := "between two states"
			if r := v.rangeOf(shard); r != nil {
				reason = r.Reason
			}
			return fmt.Errorf("%w: it is %s", ErrNoLog, reason)
		}
		if !follow {
			return nil
		}
		if err := pause(cmd.Context(), pollInterval); err != nil {
			return err
		}
	}
}

// logLines writes each piece of a log as a line of JSON.
type logLines struct {
	out   io.Writer
	job   uint64
	shard int64
}

func (l *logLines) Write(p []byte) (int, error) {
	err := json.NewEncoder(l.out).Encode(map[string]any{"job": l.job, "shard": l.shard, "text": string(p)})
	if err != nil {
		return 0, err
	}
	return len(p), nil
}

// liveLog copies what a running shard printed since offset.
func liveLog(ctx context.Context, w io.Writer, gateway string, lease uint64, shard, offset int64) (int64, error) {
	ctx, cancel := context.WithTimeout(ctx, 15*time.Second)
	defer cancel()
	url := fmt.Sprintf("%s/v1/logs/%d/%d?offset=%d", gateway, lease, shard, offset)
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return 0, err
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, err
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		text, _ := io.ReadAll(io.LimitReader(res.Body, 1<<10))
		return 0, fmt.Errorf("%w: gateway says %s: %s", ErrNoLog, res.Status, text)
	}
	return io.Copy(w, io.LimitReader(res.Body, 16<<20))
}

// deliveredLog prints a delivered shard's log from offset on.
func deliveredLog(ctx context.Context, w io.Writer, gateway string, lease *types.Lease, chainID string, shard, offset int64) error {
	store, done, err := openCache()
	if err != nil {
		return err
	}
	defer done()
	root, _, err := openResult(ctx, gateway, store, lease, chainID)
	if err != nil {
		return err
	}
	at, _, err := blob.Resolve(ctx, store, root, result.ShardDir(int(shard-lease.First))+"/"+result.LogName)
	if err != nil {
		return err
	}
	text, err := blob.ReadAll(ctx, store, at, 64<<20)
	if err != nil {
		return err
	}
	if offset < int64(len(text)) {
		_, err = w.Write(text[offset:])
	}
	return err
}
