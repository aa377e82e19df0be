package market

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/cosmos/cosmos-sdk/client"
	"github.com/cosmos/cosmos-sdk/client/flags"

	"github.com/nexara/nexara/node/blob"
	"github.com/nexara/nexara/node/jobspec"
	"github.com/nexara/nexara/x/denom"
	"github.com/nexara/nexara/x/tasks/types"
)

func submitCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "submit JOB.yaml",
		Short: "Upload what a job needs, lock its limit in escrow and put it into the market",
		Long: `Reads a job file, uploads its image and local inputs to a gateway as CAR, and submits the job.
Each shard's all-in limit is locked in escrow; what is not used returns when the shard ends.
Errors of the file name its line and field.`,
		Example: `  nexarad tx tasks submit examples/wordcount/job.yaml --from alice --watch
  nexarad tx tasks submit job.yaml --from alice --output json --yes`,
		Args: cobra.ExactArgs(1),
		RunE: runSubmit,
	}
	flags.AddTxFlagsToCmd(cmd)
	gatewayFlag(cmd)
	cmd.Flags().Bool("watch", false, "watch the job until it ends")
	return cmd
}

func runSubmit(cmd *cobra.Command, args []string) error {
	clientCtx, err := client.GetClientTxContext(cmd)
	if err != nil {
		return err
	}
	spec, err := readSpec(args[0])
	if err != nil {
		return err
	}
	gateway, _ := cmd.Flags().GetString(flagGateway)
	params, err := types.NewQueryClient(clientCtx).Params(cmd.Context(), &types.QueryParamsRequest{})
	if err != nil {
		return err
	}
	// What the chain would refuse is refused before anything is uploaded.
	if int64(spec.Attempts) > int64(params.Params.MaxAttempts) {
		return fmt.Errorf("%s: attempts: %d is more than the %d that the chain allows", args[0], spec.Attempts, params.Params.MaxAttempts)
	}
	if spec.Shards > params.Params.MaxShardsPerJob {
		return fmt.Errorf("%s: shards: %d is more than the %d that the chain allows", args[0], spec.Shards, params.Params.MaxShardsPerJob)
	}
	say := func(format string, a ...any) {
		if !isJSON(clientCtx) {
			fmt.Fprintf(cmd.ErrOrStderr(), format+"\n", a...)
		}
	}
	up, err := upload(cmd.Context(), gateway, filepath.Dir(args[0]), spec, say)
	if err != nil {
		return err
	}
	msg := message(spec, up, clientCtx.GetFromAddress().String(), params.Params.BlockMs)
	say("escrow: %s for each of %d shards, %s in all", denom.String(msg.Limit), msg.Shards, denom.String(msg.Limit*msg.Shards))
	res, err := send(cmd, clientCtx, msg)
	if err != nil || res == nil {
		return err
	}
	id, err := strconv.ParseUint(attribute(res, "nexara_job_submitted", "job"), 10, 64)
	if err != nil {
		return fmt.Errorf("transaction %s names no job: %w", res.TxHash, err)
	}
	watch, _ := cmd.Flags().GetBool("watch")
	switch {
	case isJSON(clientCtx):
		said := map[string]any{"job_id": id, "height": res.Height, "tx_hash": res.TxHash, "spec_cid": msg.SpecCid, "image_cid": msg.ImageCid}
		if err := printJSON(cmd, said); err != nil || !watch {
			return err
		}
	case watch:
		say("job %d submitted in block %d", id, res.Height)
	}
	if watch {
		return watchJob(cmd, clientCtx, id)
	}
	fmt.Fprintf(cmd.OutOrStdout(), "job %d submitted in block %d\n  nexarad job watch %d\n", id, res.Height, id)
	return nil
}

// readSpec reads and parses a job file.
func readSpec(path string) (*jobspec.Spec, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	buf := make([]byte, jobspec.MaxFileBytes+1)
	n := 0
	for n < len(buf) {
		m, err := f.Read(buf[n:])
		n += m
		if err != nil {
			break
		}
	}
	return jobspec.Parse(path, buf[:n])
}

// uploaded is what a gateway holds for a job.
type uploaded struct {
	spec, image string
	bytes       int64
}

// upload packs image, inputs and job document and sends to the gateway what it does not have.
func upload(ctx context.Context, gateway, dir string, spec *jobspec.Spec, say func(string, ...any)) (uploaded, error) {
	var out uploaded
	store, done, err := openCache()
	if err != nil {
		return out, err
	}
	defer done()
	put := func(what string, src jobspec.Source) (string, error) {
		if src.CID != "" {
			return "", nil
		}
		path := src.Path
		if !filepath.IsAbs(path) {
			path = filepath.Join(dir, path)
		}
		node, err := blob.AddPath(ctx, store, path, blob.Limits{})
		if err != nil {
			return "", fmt.Errorf("%s: %w", what, err)
		}
		if err := sendCAR(ctx, gateway, store, node.CID); err != nil {
			return "", fmt.Errorf("upload of %s to %s: %w", what, gateway, err)
		}
		out.bytes += node.DAGSize
		say("%s: %s (%d bytes)", what, node.CID, node.Bytes)
		return node.CID.String(), nil
	}
	image, err := put("image", spec.Image)
	if err != nil {
		return out, err
	}
	inputs := make([]string, len(spec.Inputs))
	for i, in := range spec.Inputs {
		if inputs[i], err = put("input "+in.Mount, in.Source); err != nil {
			return out, err
		}
	}
	doc, err := spec.Document(image, inputs)
	if err != nil {
		return out, err
	}
	bz, err := doc.Encode()
	if err != nil {
		return out, err
	}
	node, err := blob.AddBytes(ctx, store, bz)
	if err != nil {
		return out, err
	}
	if err := sendCAR(ctx, gateway, store, node.CID); err != nil {
		return out, fmt.Errorf("upload of the job document to %s: %w", gateway, err)
	}
	out.spec, out.image = node.CID.String(), doc.Image
	out.bytes += node.DAGSize
	return out, nil
}

// message turns a job file and its uploads into the chain's message.
func message(spec *jobspec.Spec, up uploaded, requester string, blockMs int64) *types.MsgSubmit {
	return &types.MsgSubmit{
		Requester: requester, Name: spec.Name,
		Shape: types.Shape{
			Need: types.Resources{
				CpuMilli: spec.Resources.CPUMilli, MemoryMib: spec.Resources.MemoryMiB,
				DiskMib: spec.Resources.DiskMiB, Gpus: spec.Resources.GPUs,
			},
			Runtime: string(spec.Runtime), Arch: spec.Arch, Regions: spec.Regions, GpuModel: spec.Resources.GPUModel,
			Network: spec.Network, RunSeconds: spec.RunSeconds, MinScorePpm: spec.MinScorePPM,
		},
		Shards: spec.Shards, Limit: spec.LimitUnex, MaxAttempts: uint32(spec.Attempts),
		WaitBlocks: max(spec.DeadlineSeconds*1_000/blockMs, 1),
		SpecCid:    up.spec, ImageCid: up.image, FetchBytes: up.bytes,
	}
}
