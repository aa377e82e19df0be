package lease

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/ipfs/go-cid"

	"github.com/nexara/nexara/node/blob"
	"github.com/nexara/nexara/node/driver"
	"github.com/nexara/nexara/node/result"
	"github.com/nexara/nexara/node/store"
)

// reasonRefused is the manifest's reason of a shard whose output folder could not
// be taken as it was: a link out of it, a device, too many files. It is the
// program's doing: delivered and charged, without outputs.
const reasonRefused = "output_refused"

type packed struct {
	manifest    string
	log         cid.Cid
	folder      blob.Node
	outputBytes int64
}

// packRetry packs a shard and notes it in the journal. The disk may be full for a
// moment; after some tries the shard is lost.
func (t *tenure) packRetry(i int, run driver.Run, o driver.Outcome) (packed, error) {
	select {
	case t.r.packs <- struct{}{}:
		defer func() { <-t.r.packs }()
	case <-t.work.Done():
		return packed{}, t.work.Err()
	}
	t.hold()
	pause := t.r.pauses()
	for try := 0; ; try++ {
		p, err := t.pack(i, run, o)
		if err == nil || t.work.Err() != nil {
			return p, err
		}
		if try >= t.r.cfg.FaultTries {
			return p, fmt.Errorf("%w: pack: %w", ErrHost, err)
		}
		t.log.Warn("packing failed, trying again", "shard", t.seen.First+int64(i), "err", err)
		if err := pause(t.work); err != nil {
			return p, err
		}
	}
}

// hold keeps the lease's blocks from the garbage collection until the result is pinned.
func (t *tenure) hold() {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.unhold == nil {
		t.unhold = t.r.deps.Store.Hold()
	}
}

func (t *tenure) pack(i int, run driver.Run, o driver.Outcome) (packed, error) {
	ctx, st := t.work, t.r.deps.Store
	reason, note := strings.ReplaceAll(o.Reason.String(), "-", "_"), ""
	outputs, err := packOutputs(ctx, st, run.OutputDir(), t.r.limits(t.doc))
	if errors.Is(err, driver.ErrOutput) {
		reason, note = reasonRefused, fmt.Sprintf("\nnexara: the output folder was refused: %v\n", err)
		outputs, err = blob.AddDir(ctx, st, nil)
	}
	if err != nil {
		return packed{}, err
	}
	log, err := packLog(ctx, st, run.LogPath(), note, t.r.cfg.LogBytes)
	if err != nil {
		return packed{}, err
	}
	u := o.Usage
	m := &result.Manifest{
		Version: result.ManifestVersion, ChainID: t.r.deps.Identity.ChainID, Job: t.seen.Job, Shard: t.seen.First + int64(i),
		Attempt: t.seen.Attempt, Lease: t.id, NexCore: t.seen.NexCore, Spec: t.seen.SpecCID, ImageDigest: t.digest,
		Reason: reason, ExitCode: int32(min(max(o.ExitCode, math.MinInt32), math.MaxInt32)),
		Outputs: outputs.CID.String(), Log: log.CID.String(),
		Usage: result.Usage{
			CPUNanos: max(u.CPUNanos, 0), MemoryByteSeconds: max(u.MemoryByteSeconds, 0), WallMillis: max(u.Wall.Milliseconds(), 0),
			BytesIn: t.inBytes + max(u.BytesIn, 0), BytesOut: outputs.Bytes + log.Bytes + max(u.BytesOut, 0),
		},
		StartedMillis: max(o.Started.UnixMilli(), 0), FinishedMillis: max(o.Finished.UnixMilli(), o.Started.UnixMilli(), 0),
	}
	for _, in := range t.doc.Inputs {
		m.Inputs = append(m.Inputs, in.CID)
	}
	raw, id, err := m.Encode()
	if err != nil {
		return packed{}, err
	}
	file, err := blob.AddBytes(ctx, st, raw)
	if err != nil {
		return packed{}, err
	}
	folder, err := addShardFolder(ctx, st, file, outputs, log)
	if err != nil {
		return packed{}, err
	}
	// One append: a shard is packed in the journal, or its run is found again.
	err = t.r.deps.Journal.Append(t.id,
		store.RunStarted{Shard: int64(i), RunID: run.ID()},
		store.RunEnded{
			Shard: int64(i), RunID: run.ID(), Reason: reason, ExitCode: m.ExitCode, CPUNanos: m.Usage.CPUNanos,
			MemoryByteSeconds: m.Usage.MemoryByteSeconds, WallMillis: m.Usage.WallMillis, BytesIn: m.Usage.BytesIn,
			BytesOut: m.Usage.BytesOut, StartedMillis: m.StartedMillis, FinishedMillis: m.FinishedMillis,
		},
		store.Packed{Shard: int64(i), ManifestCID: id})
	return packed{manifest: id, log: log.CID, folder: folder, outputBytes: outputs.Bytes}, err
}

// packOutputs builds a UnixFS folder from what Collect yields. The folder's
// content is hostile; only Collect touches it.
func packOutputs(ctx context.Context, st blob.Writer, dir string, limits driver.Limits) (blob.Node, error) {
	folders := map[string][]blob.Entry{".": nil}
	_, err := driver.Collect(ctx, dir, limits, func(o driver.Output, r io.Reader) error {
		if o.Dir {
			folders[o.Path] = nil
			return nil
		}
		n, err := blob.AddReader(ctx, st, r, blob.Limits{MaxBytes: o.Size + 1})
		if err != nil {
			return err
		}
		parent := path.Dir(o.Path)
		folders[parent] = append(folders[parent], blob.Entry{Name: path.Base(o.Path), Node: n})
		return nil
	})
	if err != nil {
		return blob.Node{}, err
	}
	names := make([]string, 0, len(folders))
	for name := range folders {
		if name != "." {
			names = append(names, name)
		}
	}
	// Deepest first, so that a folder is complete before its parent lists it.
	slices.SortFunc(names, func(a, b string) int { return strings.Count(b, "/") - strings.Count(a, "/") })
	for _, name := range names {
		n, err := blob.AddDir(ctx, st, folders[name])
		if errors.Is(err, blob.ErrInvalid) {
			return n, fmt.Errorf("%w: %w", driver.ErrOutputPath, err)
		}
		if err != nil {
			return n, err
		}
		parent := path.Dir(name)
		folders[parent] = append(folders[parent], blob.Entry{Name: path.Base(name), Node: n})
	}
	n, err := blob.AddDir(ctx, st, folders["."])
	if errors.Is(err, blob.ErrInvalid) { // a name that a file system allows and UnixFS does not
		return n, fmt.Errorf("%w: %w", driver.ErrOutputPath, err)
	}
	return n, err
}

// packLog stores the log file, and a note of the daemon after it.
func packLog(ctx context.Context, st blob.Writer, file, note string, limit int64) (blob.Node, error) {
	f, err := os.Open(file)
	if err != nil {
		return blob.Node{}, fmt.Errorf("%w: log: %w", ErrHost, err)
	}
	defer f.Close()
	const page = 64 << 10 // drivers may round the limit up to a page
	r := io.MultiReader(io.LimitReader(f, limit+page), strings.NewReader(note))
	return blob.AddReader(ctx, st, r, blob.Limits{MaxBytes: limit + 2*page})
}

// seal puts the result of the lease together and pins it. From then on it never changes.
func (t *tenure) seal() (Event, error) {
	t.hold()
	pause := t.r.pauses()
	for {
		res, err := t.sealOnce()
		switch {
		case t.work.Err() != nil:
			return 0, t.work.Err()
		case err == nil && res == nil:
			return Broken, nil
		case err == nil:
			if err := t.append(t.work, false, *res); err != nil {
				return 0, err
			}
			t.mu.Lock()
			t.result = res
			unhold := t.unhold
			t.unhold = nil
			t.mu.Unlock()
			if unhold != nil {
				unhold()
			}
			t.log.Info("result sealed", "cid", res.CID, "bytes", res.Bytes)
			return Sealed, nil
		}
		t.log.Warn("sealing failed, trying again", "err", err)
		if err := pause(t.work); err != nil {
			return 0, err
		}
	}
}

// sealOnce returns nil without an error when no shard is left to deliver.
func (t *tenure) sealOnce() (*store.ResultPacked, error) {
	ctx, st := t.work, t.r.deps.Store
	index := &result.Index{
		Version: result.IndexVersion, ChainID: t.r.deps.Identity.ChainID, Job: t.seen.Job, Lease: t.id, NexCore: t.seen.NexCore,
		First: t.seen.First, Attempt: t.seen.Attempt, Manifests: make([]string, t.seen.Count),
	}
	var folders []blob.Entry
	for i, s := range t.shards {
		if s.fate != fatePacked {
			continue
		}
		n := s.folder
		var err error
		if !n.CID.Defined() { // packed by an earlier process
			n, err = t.shardFolder(ctx, s)
		}
		if errors.Is(err, blob.ErrNotFound) || errors.Is(err, blob.ErrCorrupt) {
			t.log.Error("packed shard is not in the store any more", "shard", t.seen.First+int64(i), "err", err)
			t.update(i, func(s *shard) { s.fate, s.phase = fateLost, "lost" })
			continue
		}
		if err != nil {
			return nil, err
		}
		index.Manifests[i] = s.manifest
		folders = append(folders, blob.Entry{Name: path.Base(result.ShardDir(i)), Node: n})
	}
	if len(folders) == 0 {
		return nil, nil
	}
	raw, err := index.Encode()
	if err != nil {
		return nil, err
	}
	file, err := blob.AddBytes(ctx, st, raw)
	if err != nil {
		return nil, err
	}
	shards, err := blob.AddDir(ctx, st, folders)
	if err != nil {
		return nil, err
	}
	root, err := blob.AddDir(ctx, st, []blob.Entry{{Name: result.IndexName, Node: file}, {Name: result.ShardsName, Node: shards}})
	if err != nil {
		return nil, err
	}
	stat, err := blob.Walk(ctx, st, root.CID, blob.Limits{}, func(cid.Cid, int64) error { return nil })
	if err != nil {
		return nil, err
	}
	pin := blob.Pin{Name: t.pinName(), Root: root.CID, Until: time.Now().Add(t.r.cfg.RetainResults)}
	if err := st.Pin(ctx, pin); err != nil {
		return nil, err
	}
	hash, err := index.Root()
	if err != nil {
		return nil, err
	}
	outcomes, err := index.Outcomes()
	if err != nil {
		return nil, err
	}
	return &store.ResultPacked{CID: root.CID.String(), Root: hash[:], Outcomes: outcomes, Bytes: stat.Bytes}, nil
}

// shardFolder builds the folder of a packed shard again from its manifest, and
// makes sure that all of it is there.
func (t *tenure) shardFolder(ctx context.Context, s *shard) (blob.Node, error) {
	st := t.r.deps.Store
	m, raw, err := readManifest(ctx, st, s.manifest)
	if err != nil {
		return blob.Node{}, err
	}
	file, err := blob.AddBytes(ctx, st, raw)
	if err != nil {
		return blob.Node{}, err
	}
	var parts [2]blob.Node
	for i, text := range []string{m.Outputs, m.Log} {
		id, err := blob.Parse(text)
		if err != nil {
			return blob.Node{}, err
		}
		if parts[i], err = blob.Link(ctx, st, id); err != nil {
			return blob.Node{}, err
		}
		if _, err := blob.Walk(ctx, st, id, blob.Limits{}, func(cid.Cid, int64) error { return nil }); err != nil {
			return blob.Node{}, err
		}
	}
	return addShardFolder(ctx, st, file, parts[0], parts[1])
}

func addShardFolder(ctx context.Context, st blob.Writer, manifest, outputs, log blob.Node) (blob.Node, error) {
	return blob.AddDir(ctx, st, []blob.Entry{
		{Name: result.ManifestName, Node: manifest}, {Name: result.OutputsName, Node: outputs}, {Name: result.LogName, Node: log},
	})
}

func readManifest(ctx context.Context, st blob.Reader, text string) (*result.Manifest, []byte, error) {
	id, err := blob.Parse(text)
	if err != nil {
		return nil, nil, err
	}
	raw, err := blob.ReadAll(ctx, st, id, result.MaxManifestBytes)
	if err != nil {
		return nil, nil, err
	}
	m, err := result.DecodeManifest(raw)
	return m, raw, err
}

func (t *tenure) pinName() string { return fmt.Sprintf("lease-%d", t.id) }
