package blob_test

import (
	"bytes"
	"context"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/ipfs/boxo/blockservice"
	"github.com/ipfs/boxo/blockstore"
	chunk "github.com/ipfs/boxo/chunker"
	"github.com/ipfs/boxo/exchange/offline"
	"github.com/ipfs/boxo/ipld/merkledag"
	"github.com/ipfs/boxo/ipld/unixfs/hamt"
	"github.com/ipfs/boxo/ipld/unixfs/importer/balanced"
	"github.com/ipfs/boxo/ipld/unixfs/importer/helpers"
	uio "github.com/ipfs/boxo/ipld/unixfs/io"
	"github.com/ipfs/go-cid"
	"github.com/ipfs/go-datastore"
	dssync "github.com/ipfs/go-datastore/sync"
	ipld "github.com/ipfs/go-ipld-format"
	mh "github.com/multiformats/go-multihash"
	"github.com/stretchr/testify/require"

	"github.com/nexara/nexara/node/blob"
	"github.com/nexara/nexara/node/blob/blobtest"
)

const seed = 4711 // of every random choice here

// oracle is boxo with the profile's parameters.
type oracle struct{ ds ipld.DAGService }

func newOracle() oracle {
	bs := blockstore.NewBlockstore(dssync.MutexWrap(datastore.NewMapDatastore()))
	return oracle{merkledag.NewDAGService(blockservice.New(bs, offline.Exchange(bs)))}
}

func builder() cid.Builder {
	return cid.V1Builder{Codec: cid.DagProtobuf, MhType: mh.SHA2_256}
}

func (o oracle) file(t testing.TB, data []byte) ipld.Node {
	p := helpers.DagBuilderParams{Maxlinks: 1024, RawLeaves: true, CidBuilder: builder(), Dagserv: o.ds}
	db, err := p.New(chunk.NewSizeSplitter(bytes.NewReader(data), 1<<20))
	require.NoError(t, err)
	n, err := balanced.Layout(db)
	require.NoError(t, err)
	return n
}

// dir builds a directory; a HAMT directly, because growing into one takes boxo quadratic time. Where one
// turns into the other is fixed by kubo's vectors.
func (o oracle) dir(t testing.TB, entries map[string]ipld.Node, sharded bool) ipld.Node {
	if sharded {
		s, err := hamt.NewShard(o.ds, 256)
		require.NoError(t, err)
		s.SetCidBuilder(builder())
		for name, n := range entries {
			require.NoError(t, s.Set(t.Context(), name, n))
		}
		n, err := s.Node()
		require.NoError(t, err)
		return n
	}
	d, err := uio.NewDirectory(o.ds, uio.WithCidBuilder(builder()),
		uio.WithSizeEstimationMode(uio.SizeEstimationBlock), uio.WithMaxHAMTFanout(256))
	require.NoError(t, err)
	for name, n := range entries {
		require.NoError(t, d.AddChild(t.Context(), name, n))
	}
	n, err := d.GetNode()
	require.NoError(t, err)
	require.NoError(t, o.ds.Add(t.Context(), n))
	return n
}

// The same trees built here and by boxo have the same CIDs and sizes, and come out as they went in.
func TestSameAsBoxo(t *testing.T) {
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 1))
	o, st := newOracle(), newMemory()
	ctx := t.Context()
	for _, size := range []int{0, 1, 1<<20 - 1, 1 << 20, 1<<20 + 1, 5<<20 + 3} {
		data := blobtest.Bytes(size, uint64(size))
		want := o.file(t, data)
		got, err := blob.AddBytes(ctx, st, data)
		require.NoError(t, err)
		require.Equal(t, want.Cid(), got.CID, "file of %d", size)
		wantSize, err := want.Size()
		require.NoError(t, err)
		require.EqualValues(t, wantSize, got.DAGSize)
		require.EqualValues(t, size, got.Bytes)
		back, err := blob.ReadAll(ctx, st, got.CID, int64(size))
		require.NoError(t, err)
		require.True(t, bytes.Equal(data, back))
		again, err := blob.Link(ctx, st, got.CID)
		require.NoError(t, err)
		require.Equal(t, got, again)
	}
	for _, count := range []int{0, 1, 20, 1000, 6000, 30_000} {
		want, entries := map[string]ipld.Node{}, []blob.Entry(nil)
		leaf := o.file(t, []byte("x"))
		mine, err := blob.AddBytes(ctx, st, []byte("x"))
		require.NoError(t, err)
		for i := range count {
			name := fmt.Sprintf("%x-%d", r.Uint64()>>r.IntN(60), i)
			want[name] = leaf
			entries = append(entries, blob.Entry{Name: name, Node: mine})
		}
		n := o.dir(t, want, count > 5000)
		got, err := blob.AddDir(ctx, st, entries)
		require.NoError(t, err)
		require.Equal(t, n.Cid(), got.CID, "directory of %d", count)
		wantSize, err := n.Size()
		require.NoError(t, err)
		require.EqualValues(t, wantSize, got.DAGSize)
		listed, err := blob.List(ctx, st, got.CID, blob.Limits{})
		require.NoError(t, err)
		require.Len(t, listed, count)
		for _, e := range listed {
			if _, ok := want[e.Name]; !ok || e.Node.CID != mine.CID {
				t.Fatalf("listed %q as %s", e.Name, e.Node.CID)
			}
		}
	}
}

// A random tree on disk comes back from AddPath, a CAR and Export as it was.
func TestRoundTrip(t *testing.T) {
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 2))
	src := filepath.Join(t.TempDir(), "src")
	var grow func(dir string, depth int)
	grow = func(dir string, depth int) {
		require.NoError(t, os.MkdirAll(dir, 0o755))
		for i := range 8 + r.IntN(5) {
			at := filepath.Join(dir, fmt.Sprintf("é %d", i))
			if depth < 2 && r.IntN(3) == 0 {
				grow(at, depth+1)
			} else {
				require.NoError(t, os.WriteFile(at, blobtest.Bytes(r.IntN(3<<20)>>(6+r.IntN(16)), r.Uint64()), 0o644))
			}
		}
	}
	grow(src, 0)
	ctx, a, b := t.Context(), newMemory(), newMemory()
	n, err := blob.AddPath(ctx, a, src+"/.", blob.Limits{})
	require.NoError(t, err)
	var car, again bytes.Buffer
	wrote, err := blob.WriteCAR(ctx, &car, a, n.CID, blob.Limits{})
	require.NoError(t, err)
	root, read, err := blob.ReadCAR(ctx, b, bytes.NewReader(car.Bytes()), blob.Limits{})
	require.NoError(t, err)
	require.Equal(t, n.CID, root)
	require.Equal(t, blob.Stat{Blocks: wrote.Blocks, Bytes: wrote.Bytes, Got: wrote.Bytes}, read)
	_, err = blob.WriteCAR(ctx, &again, b, root, blob.Limits{})
	require.NoError(t, err)
	require.True(t, bytes.Equal(car.Bytes(), again.Bytes()), "one DAG has one CAR")
	dest := filepath.Join(t.TempDir(), "dest")
	out, err := blob.Export(ctx, b, root, dest, blob.Limits{})
	require.NoError(t, err)
	require.Equal(t, n.Bytes, out.Bytes)
	require.Greater(t, out.Files, int64(10))
	require.Equal(t, treeOf(t, src), treeOf(t, dest))
	_, err = blob.Export(ctx, b, root, dest, blob.Limits{})
	require.ErrorIs(t, err, fs.ErrExist)
}

func treeOf(t *testing.T, dir string) map[string]string {
	out := map[string]string{}
	require.NoError(t, filepath.WalkDir(dir, func(p string, e fs.DirEntry, err error) error {
		rel, _ := filepath.Rel(dir, p)
		if err != nil || e.IsDir() {
			out[rel] = "dir"
			return err
		}
		data, err := os.ReadFile(p)
		out[rel] = string(data)
		return err
	}))
	return out
}

// AddPath takes files and directories and nothing else.
func TestAddPathRefuses(t *testing.T) {
	ctx := t.Context()
	for name, make := range map[string]func(at string) error{
		"symlink out":    func(at string) error { return os.Symlink("/etc/passwd", at) },
		"symlink within": func(at string) error { return os.Symlink("ok", at) },
		"pipe":           func(at string) error { return syscall.Mkfifo(at, 0o600) },
	} {
		dir := t.TempDir()
		require.NoError(t, os.WriteFile(filepath.Join(dir, "ok"), []byte("ok"), 0o600))
		require.NoError(t, make(filepath.Join(dir, "bad")))
		_, err := blob.AddPath(ctx, newMemory(), dir, blob.Limits{})
		require.ErrorIs(t, err, blob.ErrUnsupported, name)
		_, err = blob.AddPath(ctx, newMemory(), filepath.Join(dir, "bad"), blob.Limits{})
		require.ErrorIs(t, err, blob.ErrUnsupported, name)
	}
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, `back\slash`), nil, 0o600))
	_, err := blob.AddPath(ctx, newMemory(), dir, blob.Limits{})
	require.ErrorIs(t, err, blob.ErrInvalid)
	_, err = blob.AddPath(ctx, newMemory(), filepath.Join(dir, "none"), blob.Limits{})
	require.ErrorIs(t, err, fs.ErrNotExist)
	big := filepath.Join(t.TempDir(), "big")
	require.NoError(t, os.WriteFile(big, make([]byte, 5000), 0o600))
	_, err = blob.AddPath(ctx, newMemory(), big, blob.Limits{MaxBytes: 4999})
	require.ErrorIs(t, err, blob.ErrTooLarge)
	_, err = blob.AddPath(ctx, newMemory(), filepath.Dir(big), blob.Limits{MaxEntries: 1})
	require.ErrorIs(t, err, blob.ErrTooLarge)
}

func TestAddDirRefuses(t *testing.T) {
	ctx, st := t.Context(), newMemory()
	n, err := blob.AddBytes(ctx, st, nil)
	require.NoError(t, err)
	for _, bad := range []string{"", ".", "..", "a/b", `a\b`, "a\x00", strings.Repeat("x", 256), "\xff"} {
		_, err := blob.AddDir(ctx, st, []blob.Entry{{Name: bad, Node: n}})
		require.ErrorIs(t, err, blob.ErrInvalid, "%q", bad)
	}
	_, err = blob.AddDir(ctx, st, []blob.Entry{{Name: "a", Node: n}, {Name: "a", Node: n}})
	require.ErrorIs(t, err, blob.ErrInvalid)
	_, err = blob.AddDir(ctx, st, []blob.Entry{{Name: "a"}})
	require.ErrorIs(t, err, blob.ErrInvalid)
}

func TestResolve(t *testing.T) {
	ctx, st := t.Context(), newMemory()
	root, _ := blobtest.Tree(t, st, 1)
	c, kind, err := blob.Resolve(ctx, st, root.CID, "/sub/small.txt")
	require.NoError(t, err)
	require.Equal(t, blob.KindFile, kind)
	data, err := blob.ReadAll(ctx, st, c, 100)
	require.NoError(t, err)
	require.Equal(t, "a small file\n", string(data))
	_, err = blob.ReadAll(ctx, st, c, 5)
	require.ErrorIs(t, err, blob.ErrTooLarge)
	_, kind, err = blob.Resolve(ctx, st, root.CID, "sub")
	require.NoError(t, err)
	require.Equal(t, blob.KindDir, kind)
	for _, p := range []string{"none", "sub/none", "big.bin/x", ".."} {
		_, _, err = blob.Resolve(ctx, st, root.CID, p)
		require.ErrorIs(t, err, blob.ErrNotFound, p)
	}
	_, err = blob.ReadAll(ctx, st, root.CID, 100)
	require.ErrorIs(t, err, blob.ErrInvalid)
	_, err = blob.List(ctx, st, c, blob.Limits{})
	require.ErrorIs(t, err, blob.ErrInvalid)
}

func TestParse(t *testing.T) {
	for s, want := range map[string]error{
		"bafkreihdwdcefgh4dqkjv67uzcmw7ojee6xedzdetojuzjevtenxquvyku": nil,
		"QmUNLLsPACCz1vLxQVkXqqLX5R1X345qqfHbsf67hvA3Nn":              nil,
		"":                       blob.ErrInvalid,
		"../etc":                 blob.ErrInvalid,
		strings.Repeat("b", 600): blob.ErrTooLarge,
		cid.NewCidV1(cid.DagCBOR, blobtest.Block(t, 1, 1).CID().Hash()).String(): blob.ErrUnsupported,
	} {
		_, err := blob.Parse(s)
		require.ErrorIs(t, err, want, "%.80q", s)
	}
	for _, class := range []error{blob.ErrNotFound, blob.ErrCorrupt, blob.ErrNoSpace} {
		require.Equal(t, class, blob.OfCode(blob.Code(fmt.Errorf("x: %w", class))))
	}
	require.Empty(t, blob.Code(context.Canceled))
}
