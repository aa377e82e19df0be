package gateway

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"path"

	"github.com/ipfs/go-cid"

	"github.com/nexara/nexara/node/blob"
	"github.com/nexara/nexara/node/result"
	tasksv1 "github.com/nexara/nexara/proto/gen/nexara/tasks/v1"
	"github.com/nexara/nexara/x/tasks/verdict"
)

// checkResult makes sure that the folder under root is the result of which the receipt want speaks: the index is
// this lease's, has the root and the outcomes that are signed, and every shard it names is there with its manifest,
// its outputs and its log, and nothing else. The blocks themselves were verified as they came.
//
// The work is bounded whatever the folder holds: two listings of at most 256 names, an index of 64 KiB, and for each
// shard a listing of three names and a manifest of 16 KiB. ErrResult names what does not fit.
func checkResult(ctx context.Context, r blob.Reader, root cid.Cid, want verdict.Custody, lease *tasksv1.Lease) error {
	top, err := folder(ctx, r, root, result.IndexName, result.ShardsName)
	if err != nil {
		return err
	}
	raw, err := blob.ReadAll(ctx, r, top[result.IndexName], result.MaxIndexBytes)
	if err != nil {
		return unfit(ctx, err)
	}
	index, err := result.DecodeIndex(raw)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrResult, err)
	}
	if err := checkIndex(index, want, lease); err != nil {
		return err
	}
	var names []string
	for i, id := range index.Manifests {
		if id != "" {
			names = append(names, shardName(i))
		}
	}
	shards, err := folder(ctx, r, top[result.ShardsName], names...)
	if err != nil {
		return err
	}
	for i, id := range index.Manifests {
		if id == "" {
			continue
		}
		if err := checkShard(ctx, r, shards[shardName(i)], index, i); err != nil {
			return fmt.Errorf("shard %d: %w", i, err)
		}
	}
	return nil
}

func shardName(i int) string { return path.Base(result.ShardDir(i)) }

// checkIndex compares an index with the lease on the chain and with what is signed.
func checkIndex(index *result.Index, want verdict.Custody, lease *tasksv1.Lease) error {
	if index.ChainID != want.ChainID || index.Lease != lease.Id || index.Job != lease.JobId || index.NexCore != lease.NexcoreId ||
		index.First != lease.First || int64(len(index.Manifests)) != lease.Count || index.Attempt != lease.Attempt {
		return fmt.Errorf("%w: another lease's index", ErrResult)
	}
	has, err := index.Custody(want.ResultCID, want.Bytes)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrResult, err)
	}
	if has.Root != want.Root {
		return fmt.Errorf("%w: another Merkle root", ErrResult)
	}
	if !bytes.Equal(has.Outcomes, want.Outcomes) {
		return fmt.Errorf("%w: outcomes are %x, not %x", ErrResult, has.Outcomes, want.Outcomes)
	}
	return nil
}

// checkShard looks at the folder of the lease's i-th shard.
func checkShard(ctx context.Context, r blob.Reader, dir cid.Cid, index *result.Index, i int) error {
	parts, err := folder(ctx, r, dir, result.ManifestName, result.OutputsName, result.LogName)
	if err != nil {
		return err
	}
	if got := parts[result.ManifestName].String(); got != index.Manifests[i] {
		return fmt.Errorf("%w: manifest is %s, the index says %s", ErrResult, got, index.Manifests[i])
	}
	raw, err := blob.ReadAll(ctx, r, parts[result.ManifestName], result.MaxManifestBytes)
	if err != nil {
		return unfit(ctx, err)
	}
	m, err := result.DecodeManifest(raw)
	if err == nil {
		err = index.Check(i, m)
	}
	if err != nil {
		return fmt.Errorf("%w: %w", ErrResult, err)
	}
	for _, p := range []struct {
		name, want string
		kind       blob.Kind
	}{{result.OutputsName, m.Outputs, blob.KindDir}, {result.LogName, m.Log, blob.KindFile}} {
		if got := parts[p.name].String(); got != p.want {
			return fmt.Errorf("%w: %s is %s, the manifest says %s", ErrResult, p.name, got, p.want)
		}
		kind, err := kindOf(ctx, r, parts[p.name])
		if err != nil {
			return unfit(ctx, err)
		}
		if kind != p.kind {
			return fmt.Errorf("%w: %s is of the wrong kind", ErrResult, p.name)
		}
	}
	return nil
}

// kindOf reads at most the first block of a node: a raw block is a file whatever is in it.
func kindOf(ctx context.Context, r blob.Reader, c cid.Cid) (blob.Kind, error) {
	if c.Prefix().Codec == cid.Raw {
		return blob.KindFile, nil
	}
	_, kind, err := blob.Resolve(ctx, r, c, "")
	return kind, err
}

// folder lists a folder that must have exactly these entries.
func folder(ctx context.Context, r blob.Reader, dir cid.Cid, names ...string) (map[string]cid.Cid, error) {
	n := int64(len(names))
	list, err := blob.List(ctx, r, dir, blob.Limits{MaxEntries: n, MaxBlocks: n + 1, MaxDepth: 8})
	if err != nil {
		return nil, unfit(ctx, err)
	}
	out := make(map[string]cid.Cid, len(list))
	for _, e := range list {
		out[e.Name] = e.Node.CID
	}
	for _, name := range names {
		if !out[name].Defined() {
			return nil, fmt.Errorf("%w: %s has no entry %q", ErrResult, dir, name)
		}
	}
	if len(list) != len(names) {
		return nil, fmt.Errorf("%w: %s has %d entries, not %d", ErrResult, dir, len(list), len(names))
	}
	return out, nil
}

// unfit classes an error of reading or fetching a result: blocks that are wrong will be wrong again, blocks that
// cannot be had now may come later.
func unfit(ctx context.Context, err error) error {
	for _, wrong := range []error{blob.ErrTooLarge, blob.ErrCorrupt, blob.ErrInvalid, blob.ErrUnsupported} {
		if ctx.Err() == nil && errors.Is(err, wrong) {
			return fmt.Errorf("%w: %w", ErrResult, err)
		}
	}
	return fmt.Errorf("%w: %w", ErrUnavailable, err)
}
