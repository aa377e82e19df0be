// Package malicious makes results as node/lease makes them, with one step swapped: what a NexCore would hand in that
// wants to be paid for shards it did not run. Tests ask a gateway, and the chain, to take them.
//
// It holds no key, asks nobody and runs nothing: it builds blocks into a store and says what receipt to ask for.
// Imported by tests only.
package malicious

import (
	"context"
	"fmt"
	"path"
	"strings"

	"github.com/ipfs/go-cid"

	"github.com/nexara/nexara/node/blob"
	"github.com/nexara/nexara/node/result"
	tasksv1 "github.com/nexara/nexara/proto/gen/nexara/tasks/v1"
	"github.com/nexara/nexara/x/tasks/verdict"
)

// Steps are the steps of making a result that can be swapped; nil means as node/lease does it.
type Steps struct {
	// Manifest changes the manifest of the lease's i-th shard before it is encoded.
	Manifest func(i int, m *result.Manifest)
	// Bytes changes an encoded manifest.
	Bytes func(raw []byte) []byte
	// Index changes the index before it is encoded; the root and the bits follow from it.
	Index func(x *result.Index)
	// Shard, Shards and Top change the entries of a shard's folder, of the folder of shards, of the result's folder.
	Shard, Shards, Top func(list []blob.Entry) []blob.Entry
	// Custody changes what is asked for at last.
	Custody func(c *verdict.Custody)
}

// Swap is a named attempt.
type Swap struct {
	Name string
	Steps
}

// any CID will do for what nobody looks at.
const someCID = "bafkreigh2akiscaildcqabsyg3dfr6chu3fgpregiymsck7e7aqa4s52zy"

// Build makes the result of a lease of which only the shards ran were run, and gives the receipt to ask for.
func Build(ctx context.Context, st blob.Store, chainID string, lease *tasksv1.Lease, ran []int, s Steps) (verdict.Custody, error) {
	var none verdict.Custody
	index := &result.Index{
		Version: result.IndexVersion, ChainID: chainID, Job: lease.JobId, Lease: lease.Id, NexCore: lease.NexcoreId,
		First: lease.First, Attempt: lease.Attempt, Manifests: make([]string, lease.Count),
	}
	var folders []blob.Entry
	for _, i := range ran {
		id, folder, err := shard(ctx, st, index, i, s)
		if err != nil {
			return none, err
		}
		index.Manifests[i] = id
		folders = append(folders, blob.Entry{Name: path.Base(result.ShardDir(i)), Node: folder})
	}
	if s.Index != nil {
		s.Index(index)
	}
	raw, err := index.Encode()
	if err != nil {
		return none, err
	}
	file, err := blob.AddBytes(ctx, st, raw)
	if err != nil {
		return none, err
	}
	shards, err := dir(ctx, st, s.Shards, folders)
	if err != nil {
		return none, err
	}
	root, err := dir(ctx, st, s.Top, []blob.Entry{{Name: result.IndexName, Node: file}, {Name: result.ShardsName, Node: shards}})
	if err != nil {
		return none, err
	}
	stat, err := blob.Walk(ctx, st, root.CID, blob.Limits{}, func(cid.Cid, int64) error { return nil })
	if err != nil {
		return none, err
	}
	c, err := index.Custody(root.CID.String(), stat.Bytes)
	if err != nil {
		return none, err
	}
	c.ChainID, c.LeaseID = chainID, lease.Id // what is asked for is this lease, whatever the index says
	if s.Custody != nil {
		s.Custody(&c)
	}
	return c, nil
}

func shard(ctx context.Context, st blob.Store, index *result.Index, i int, s Steps) (string, blob.Node, error) {
	outputs, err := blob.AddDir(ctx, st, nil)
	if err != nil {
		return "", outputs, err
	}
	log, err := blob.AddBytes(ctx, st, fmt.Appendf(nil, "log of shard %d of lease %d\n", i, index.Lease))
	if err != nil {
		return "", log, err
	}
	m := &result.Manifest{
		Version: result.ManifestVersion, ChainID: index.ChainID, Job: index.Job, Shard: index.First + int64(i), Attempt: index.Attempt,
		Lease: index.Lease, NexCore: index.NexCore, Spec: someCID, ImageDigest: "sha256:" + strings.Repeat("0f", 32), Reason: "exited",
		Outputs: outputs.CID.String(), Log: log.CID.String(), StartedMillis: 1, FinishedMillis: 2,
	}
	if s.Manifest != nil {
		s.Manifest(i, m)
	}
	raw, _, err := m.Encode()
	if err != nil {
		return "", log, err
	}
	if s.Bytes != nil {
		raw = s.Bytes(raw)
	}
	id, err := result.CID(raw)
	if err != nil {
		return "", log, err
	}
	file, err := blob.AddBytes(ctx, st, raw)
	if err != nil {
		return "", log, err
	}
	folder, err := dir(ctx, st, s.Shard, []blob.Entry{
		{Name: result.ManifestName, Node: file}, {Name: result.OutputsName, Node: outputs}, {Name: result.LogName, Node: log},
	})
	return id, folder, err
}

func dir(ctx context.Context, st blob.Store, change func([]blob.Entry) []blob.Entry, list []blob.Entry) (blob.Node, error) {
	if change != nil {
		list = change(list)
	}
	return blob.AddDir(ctx, st, list)
}
