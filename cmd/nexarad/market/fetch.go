package market

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/ipfs/go-cid"
	"github.com/spf13/cobra"

	"github.com/cosmos/cosmos-sdk/client"
	"github.com/cosmos/cosmos-sdk/client/flags"

	"github.com/nexara/nexara/node/blob"
	"github.com/nexara/nexara/node/result"
	"github.com/nexara/nexara/x/tasks/types"
	"github.com/nexara/nexara/x/tasks/verdict"
)

// ErrForged says that what a gateway served is not what the chain committed to.
var ErrForged = errors.New("the result does not match the chain's record")

func fetchCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "fetch JOB",
		Short: "Fetch a job's delivered results and check them against the chain",
		Long: `Writes DIR/shard-00000/{outputs/,log,manifest.json} for each delivered shard. Each block is checked
against its CID, each manifest against the Merkle root that the chain holds. What is there already is kept.`,
		Example: `  nexarad job fetch 1 --dir results
  nexarad job fetch 1 --dir results --output json`,
		Args: cobra.ExactArgs(1),
		RunE: runFetch,
	}
	flags.AddQueryFlagsToCmd(cmd)
	gatewayFlag(cmd)
	cmd.Flags().String("dir", "", "folder to write to (default job-JOB)")
	return cmd
}

// fetched is one shard on disk.
type fetched struct {
	Shard     int64  `json:"shard"`
	Lease     uint64 `json:"lease"`
	NexCore   uint64 `json:"nexcore"`
	ResultCID string `json:"result_cid"`
	ExitCode  int    `json:"exit_code"`
	Reason    string `json:"reason"`
	WallMS    int64  `json:"wall_ms"`
	Dir       string `json:"dir"`
}

func runFetch(cmd *cobra.Command, args []string) error {
	clientCtx, err := client.GetClientQueryContext(cmd)
	if err != nil {
		return err
	}
	id, err := parseJob(args[0])
	if err != nil {
		return err
	}
	dir, _ := cmd.Flags().GetString("dir")
	if dir == "" {
		dir = fmt.Sprintf("job-%d", id)
	}
	gateway, _ := cmd.Flags().GetString(flagGateway)
	v, err := readJob(cmd.Context(), types.NewQueryClient(clientCtx), id)
	if err != nil {
		return err
	}
	store, done, err := openCache()
	if err != nil {
		return err
	}
	defer done()
	var all []fetched
	for i := range v.Leases {
		lease := &v.Leases[i]
		if lease.Result == nil {
			continue
		}
		got, err := fetchLease(cmd.Context(), gateway, store, lease, clientCtx.ChainID, dir)
		if err != nil {
			return fmt.Errorf("lease %d: %w", lease.Id, err)
		}
		all = append(all, got...)
	}
	if isJSON(clientCtx) {
		return printJSON(cmd, map[string]any{"job_id": id, "shards": all})
	}
	for _, f := range all {
		fmt.Fprintf(cmd.OutOrStdout(), "shard %d: exit %d (%s), %d ms on NexCore %d -> %s\n", f.Shard, f.ExitCode, f.Reason, f.WallMS, f.NexCore, f.Dir)
	}
	fmt.Fprintf(cmd.OutOrStdout(), "%d of %d shards fetched and checked\n", len(all), v.Job.Shards)
	return nil
}

// fetchLease downloads one lease's result, checks it against the chain and writes its shards.
func fetchLease(ctx context.Context, gateway string, store blob.Store, lease *types.Lease, chainID, dir string) ([]fetched, error) {
	root, index, err := openResult(ctx, gateway, store, lease, chainID)
	if err != nil {
		return nil, err
	}
	var out []fetched
	for i, manifestCID := range index.Manifests {
		if manifestCID == "" {
			continue
		}
		shard := lease.First + int64(i)
		m, err := readManifest(ctx, store, index, i, manifestCID)
		if err != nil {
			return nil, fmt.Errorf("shard %d: %w", shard, err)
		}
		at, _, err := blob.Resolve(ctx, store, root, result.ShardDir(i))
		if err != nil {
			return nil, err
		}
		dest := filepath.Join(dir, fmt.Sprintf("shard-%05d", shard))
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return nil, err
		}
		if _, err := os.Stat(dest); errors.Is(err, os.ErrNotExist) {
			if _, err := blob.Export(ctx, store, at, dest, blob.Limits{}); err != nil {
				return nil, err
			}
		}
		out = append(out, fetched{
			Shard: shard, Lease: lease.Id, NexCore: lease.NexcoreId, ResultCID: lease.Result.Cid,
			ExitCode: int(m.ExitCode), Reason: m.Reason, WallMS: m.Usage.WallMillis, Dir: dest,
		})
	}
	return out, nil
}

// openResult downloads a lease's result and checks that its index is the one the chain committed to.
func openResult(ctx context.Context, gateway string, store blob.Store, lease *types.Lease, chainID string) (root cid.Cid, index *result.Index, err error) {
	if root, err = blob.Parse(lease.Result.Cid); err != nil {
		return root, nil, err
	}
	if err := fetchCAR(ctx, gateway, store, root); err != nil {
		return root, nil, err
	}
	at, _, err := blob.Resolve(ctx, store, root, result.IndexName)
	if err != nil {
		return root, nil, err
	}
	bz, err := blob.ReadAll(ctx, store, at, result.MaxIndexBytes)
	if err != nil {
		return root, nil, err
	}
	if index, err = result.DecodeIndex(bz); err != nil {
		return root, nil, err
	}
	sum, err := index.Root()
	if err != nil {
		return root, nil, err
	}
	outcomes, err := index.Outcomes()
	if err != nil {
		return root, nil, err
	}
	switch {
	case verdict.Hash(lease.Result.Root) != sum, !bytes.Equal(outcomes, lease.Result.Outcomes):
		return root, nil, fmt.Errorf("%w: another Merkle root", ErrForged)
	case index.Lease != lease.Id || index.Job != lease.JobId || index.First != lease.First || chainID != "" && index.ChainID != chainID:
		return root, nil, fmt.Errorf("%w: another lease's index", ErrForged)
	}
	return root, index, nil
}

func readManifest(ctx context.Context, store blob.Store, index *result.Index, i int, id string) (*result.Manifest, error) {
	c, err := blob.Parse(id)
	if err != nil {
		return nil, err
	}
	bz, err := blob.ReadAll(ctx, store, c, result.MaxManifestBytes)
	if err != nil {
		return nil, err
	}
	m, err := result.DecodeManifest(bz)
	if err != nil {
		return nil, err
	}
	return m, index.Check(i, m)
}
