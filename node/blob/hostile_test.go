package blob_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/ipfs/go-cid"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/encoding/protowire"

	"github.com/nexara/nexara/node/blob"
	"github.com/nexara/nexara/node/blob/blobtest"
)

// A forge of nodes that no honest writer makes.
type forged struct {
	name  string
	child cid.Cid
}

func forge(t testing.TB, st blob.Writer, data []byte, links ...forged) cid.Cid {
	var out []byte
	for _, l := range links {
		var in []byte
		in = protowire.AppendBytes(protowire.AppendTag(in, 1, protowire.BytesType), l.child.Bytes())
		in = protowire.AppendString(protowire.AppendTag(in, 2, protowire.BytesType), l.name)
		in = protowire.AppendVarint(protowire.AppendTag(in, 3, protowire.VarintType), 1)
		out = protowire.AppendBytes(protowire.AppendTag(out, 2, protowire.BytesType), in)
	}
	out = protowire.AppendBytes(protowire.AppendTag(out, 1, protowire.BytesType), data)
	b, err := blob.NewBlock(cid.DagProtobuf, out)
	require.NoError(t, err)
	require.NoError(t, st.Put(blobtest.Context(t), b))
	return b.CID()
}

func fsData(typ uint64, data []byte, size uint64, sizes ...uint64) []byte {
	out := protowire.AppendVarint(protowire.AppendTag(nil, 1, protowire.VarintType), typ)
	if data != nil {
		out = protowire.AppendBytes(protowire.AppendTag(out, 2, protowire.BytesType), data)
	}
	out = protowire.AppendVarint(protowire.AppendTag(out, 3, protowire.VarintType), size)
	for _, s := range sizes {
		out = protowire.AppendVarint(protowire.AppendTag(out, 4, protowire.VarintType), s)
	}
	return out
}

func shardData(fanout, hash uint64) []byte {
	out := protowire.AppendVarint(protowire.AppendTag(nil, 1, protowire.VarintType), 5)
	out = protowire.AppendVarint(protowire.AppendTag(out, 5, protowire.VarintType), hash)
	return protowire.AppendVarint(protowire.AppendTag(out, 6, protowire.VarintType), fanout)
}

// Every hostile DAG ends in a typed error and leaves nothing behind, inside or outside the destination.
func TestHostileExport(t *testing.T) {
	st := newMemory()
	x, err := blob.AddBytes(t.Context(), st, []byte("x"))
	require.NoError(t, err)
	leaf := x.CID
	dir := fsData(1, nil, 0)
	nest := func(levels int, typ []byte, name string) cid.Cid {
		c := leaf
		for range levels {
			c = forge(t, st, typ, forged{name, c})
		}
		return c
	}
	// Ten levels of sixteen links to the level below: 16^10 entries in eleven blocks.
	bomb := leaf
	for range 10 {
		var links []forged
		for i := range 16 {
			links = append(links, forged{fmt.Sprint(i), bomb})
		}
		bomb = forge(t, st, dir, links...)
	}
	// The same with a file whose every node doubles, announcing true sizes.
	flood, size := leaf, uint64(1)
	for range 40 {
		flood, size = forge(t, st, fsData(2, nil, 2*size, size, size), forged{"", flood}, forged{"", flood}), 2*size
	}
	// And one of no bytes at all, which no limit on bytes would stop.
	null := forge(t, st, fsData(2, nil, 0))
	for range 40 {
		null = forge(t, st, fsData(2, nil, 0, 0, 0), forged{"", null}, forged{"", null})
	}
	var wide []forged
	for i := range 20_000 {
		wide = append(wide, forged{fmt.Sprint(i), leaf})
	}
	for _, c := range []struct {
		name string
		root cid.Cid
		want error
	}{
		{"dot dot", forge(t, st, dir, forged{"..", leaf}), blob.ErrInvalid},
		{"dot", forge(t, st, dir, forged{".", leaf}), blob.ErrInvalid},
		{"empty name", forge(t, st, dir, forged{"", leaf}), blob.ErrInvalid},
		{"slash", forge(t, st, dir, forged{"a/b", leaf}), blob.ErrInvalid},
		{"climbing", forge(t, st, dir, forged{"../../x", leaf}), blob.ErrInvalid},
		{"absolute", forge(t, st, dir, forged{"/etc/x", leaf}), blob.ErrInvalid},
		{"backslash", forge(t, st, dir, forged{`..\x`, leaf}), blob.ErrInvalid},
		{"nul", forge(t, st, dir, forged{"a\x00b", leaf}), blob.ErrInvalid},
		{"twice", forge(t, st, dir, forged{"a", leaf}, forged{"a", leaf}), blob.ErrInvalid},
		{"file and directory of one name", forge(t, st, dir, forged{"a", forge(t, st, dir)}, forged{"a", leaf}), blob.ErrInvalid},
		{"symlink", forge(t, st, dir, forged{"a", forge(t, st, fsData(4, []byte("/etc"), 0))}), blob.ErrUnsupported},
		{"symlink, then through it", forge(t, st, dir,
			forged{"a", forge(t, st, fsData(4, []byte("/tmp"), 0))}, forged{"a", forge(t, st, dir, forged{"x", leaf})}), blob.ErrUnsupported},
		{"metadata node", forge(t, st, fsData(3, nil, 0)), blob.ErrUnsupported},
		{"not unixfs", forge(t, st, []byte("\xff\xff")), blob.ErrInvalid},
		{"no type", forge(t, st, nil), blob.ErrInvalid},
		{"child of unknown codec", forge(t, st, dir, forged{"a", cid.NewCidV1(cid.DagCBOR, leaf.Hash())}), blob.ErrUnsupported},
		{"deep directories", nest(300, dir, "d"), blob.ErrTooLarge},
		{"deep file", nest(300, fsData(2, nil, 1, 1), ""), blob.ErrTooLarge},
		{"deep HAMT", nest(300, shardData(256, 0x22), "00"), blob.ErrTooLarge},
		{"directory bomb", bomb, blob.ErrTooLarge},
		{"file bomb", flood, blob.ErrTooLarge},
		{"bomb of nothing", null, blob.ErrTooLarge},
		{"wide", forge(t, st, dir, wide...), blob.ErrTooLarge},
		{"file larger than it says", forge(t, st, fsData(2, nil, 5, 5), forged{"", leaf}), blob.ErrInvalid},
		{"sizes without links", forge(t, st, fsData(2, nil, 1, 1)), blob.ErrInvalid},
		{"links without sizes", forge(t, st, fsData(2, nil, 0), forged{"", leaf}), blob.ErrInvalid},
		{"sizes that overflow", forge(t, st, fsData(2, nil, 1, 1<<63, 1<<63), forged{"", leaf}, forged{"", leaf}), blob.ErrTooLarge},
		{"directory inside a file", forge(t, st, fsData(2, nil, 1, 1), forged{"", forge(t, st, dir)}), blob.ErrInvalid},
		{"HAMT of another hash", forge(t, st, shardData(256, 0x12)), blob.ErrUnsupported},
		{"HAMT of fan-out 3", forge(t, st, shardData(3, 0x22)), blob.ErrUnsupported},
		{"HAMT of huge fan-out", forge(t, st, shardData(1<<40, 0x22)), blob.ErrUnsupported},
		{"HAMT link without prefix", forge(t, st, shardData(256, 0x22), forged{"x", leaf}), blob.ErrInvalid},
		{"HAMT entry dot dot", forge(t, st, shardData(256, 0x22), forged{"00..", leaf}), blob.ErrInvalid},
		{"HAMT child is a file", forge(t, st, shardData(256, 0x22), forged{"00", leaf}), blob.ErrInvalid},
		{"HAMT child is a plain directory", forge(t, st, shardData(256, 0x22), forged{"00", forge(t, st, dir)}), blob.ErrInvalid},
		{"missing", forge(t, st, dir, forged{"a", blobtest.Block(t, 9, 9).CID()}), blob.ErrNotFound},
	} {
		t.Run(c.name, func(t *testing.T) {
			base := t.TempDir()
			lim := blob.Limits{MaxBytes: 1 << 20, MaxBlocks: 50_000, MaxEntries: 2000}
			_, err := blob.Export(t.Context(), st, c.root, filepath.Join(base, "in", "out"), lim)
			require.Error(t, err, "the parent does not exist")
			require.NoError(t, os.Mkdir(filepath.Join(base, "in"), 0o755))
			_, err = blob.Export(t.Context(), st, c.root, filepath.Join(base, "in", "out"), lim)
			require.ErrorIs(t, err, c.want)
			require.Equal(t, map[string]string{".": "dir", "in": "dir"}, treeOf(t, base), "nothing is left")
		})
	}
}

// Walks visit shared blocks once, so the bombs above are small to them.
func TestWalkIsLinear(t *testing.T) {
	st := newMemory()
	bomb := blobtest.Block(t, 10, 1)
	require.NoError(t, st.Put(t.Context(), bomb))
	c := bomb.CID()
	for range 100 {
		c = forge(t, st, fsData(1, nil, 0), forged{"a", c}, forged{"b", c})
	}
	s, err := blob.WalkDAG(t.Context(), st, c, blob.Limits{}, nil)
	require.NoError(t, err)
	require.EqualValues(t, 101, s.Blocks)
	require.NotEmpty(t, carOf(t, st, c))
	s, err = blob.FetchDAG(t.Context(), newMemory(), c, blob.Limits{}, 4, source(st))
	require.NoError(t, err)
	require.EqualValues(t, 101, s.Blocks)
	for name, lim := range map[string]blob.Limits{"depth": {MaxDepth: 50}, "blocks": {MaxBlocks: 50}, "bytes": {MaxBytes: 50}} {
		_, err = blob.WalkDAG(t.Context(), st, c, lim, nil)
		require.ErrorIs(t, err, blob.ErrTooLarge, name)
		_, err = blob.FetchDAG(t.Context(), newMemory(), c, lim, 4, source(st))
		require.ErrorIs(t, err, blob.ErrTooLarge, name)
	}
}

func source(st blob.Reader) blob.Source {
	return func(ctx context.Context, c cid.Cid) ([]byte, error) {
		b, err := st.Get(ctx, c)
		return b.Data(), err
	}
}

// A source that lies is found out, and its bytes are not stored.
func TestFetchFromALiar(t *testing.T) {
	st := newMemory()
	root, leaves := blobtest.Tree(t, st, 1)
	into := newMemory()
	_, err := blob.FetchDAG(t.Context(), into, root.CID, blob.Limits{}, 4, func(ctx context.Context, c cid.Cid) ([]byte, error) {
		b, err := st.Get(ctx, c)
		if c == leaves[1].CID() {
			return bytes.Repeat([]byte("lie"), 100), err
		}
		return b.Data(), err
	})
	require.ErrorIs(t, err, blob.ErrCorrupt)
	ok, err := into.Has(t.Context(), leaves[1].CID())
	require.NoError(t, err)
	require.False(t, ok)
}

// FuzzExport builds a DAG of two nodes from arbitrary bytes: whatever they are, nothing is written outside the
// destination, and an export that succeeds is complete.
func FuzzExport(f *testing.F) {
	f.Add(fsData(1, nil, 0), "name", fsData(2, []byte("inline"), 6))
	f.Add(fsData(2, nil, 6, 6), "", fsData(2, []byte("inline"), 6))
	f.Add(shardData(256, 0x22), "A7name", fsData(4, []byte("/etc"), 0))
	f.Add(shardData(8, 0x22), "7..", fsData(1, nil, 0))
	f.Fuzz(func(t *testing.T, top []byte, name string, below []byte) {
		if len(top)+len(name)+len(below) > 1<<20 {
			return
		}
		st := newMemory()
		root := forge(t, st, top, forged{name, forge(t, st, below)})
		base := t.TempDir()
		dest := filepath.Join(base, "out")
		_, err := blob.Export(t.Context(), st, root, dest, blob.Limits{MaxBytes: 1 << 20})
		left, readErr := os.ReadDir(base)
		require.NoError(t, readErr)
		if err != nil {
			require.Empty(t, left)
			require.NotEmpty(t, blob.Code(err), "typed: %v", err)
			return
		}
		require.Len(t, left, 1)
		require.Equal(t, "out", left[0].Name())
		require.False(t, errors.Is(err, os.ErrExist))
	})
}

func FuzzNode(f *testing.F) {
	f.Add(fsData(1, nil, 0))
	f.Fuzz(func(t *testing.T, data []byte) {
		if len(data) > blob.MaxBlockSize {
			return
		}
		st := newMemory()
		b, err := blob.NewBlock(cid.DagProtobuf, data)
		require.NoError(t, err)
		require.NoError(t, st.Put(t.Context(), b))
		for _, err := range []error{
			second(blob.List(t.Context(), st, b.CID(), blob.Limits{})),
			second(blob.ReadAll(t.Context(), st, b.CID(), 1<<20)),
			second(blob.WalkDAG(t.Context(), st, b.CID(), blob.Limits{}, nil)),
			second(blob.Link(t.Context(), st, b.CID())),
		} {
			if err != nil {
				require.NotEmpty(t, blob.Code(err), "typed: %v", err)
			}
		}
	})
}

func second[T any](_ T, err error) error { return err }
