package blob_test

import (
	"bytes"
	"errors"
	"io"
	"testing"
	"testing/iotest"

	"github.com/ipfs/go-cid"
	carv2 "github.com/ipld/go-car/v2"
	"github.com/ipld/go-car/v2/storage"
	mh "github.com/multiformats/go-multihash"
	"github.com/stretchr/testify/require"

	"github.com/nexara/nexara/node/blob"
	"github.com/nexara/nexara/node/blob/blobtest"
)

func carOf(t testing.TB, st blob.Reader, root cid.Cid) []byte {
	var buf bytes.Buffer
	_, err := blob.WriteCAR(blobtest.Context(t), &buf, st, root, blob.Limits{})
	require.NoError(t, err)
	return buf.Bytes()
}

// The independent library reads what we write and writes what we read.
func TestCARSameAsGoCAR(t *testing.T) {
	ctx, st := t.Context(), newMemory()
	root, _ := blobtest.Tree(t, st, 1)
	ours := carOf(t, st, root.CID)
	br, err := carv2.NewBlockReader(bytes.NewReader(ours))
	require.NoError(t, err)
	require.EqualValues(t, 1, br.Version)
	require.Equal(t, []cid.Cid{root.CID}, br.Roots)
	var theirs bytes.Buffer
	w, err := storage.NewWritable(&theirs, []cid.Cid{root.CID}, carv2.WriteAsCarV1(true))
	require.NoError(t, err)
	n := 0
	for {
		b, err := br.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		require.NoError(t, err)
		require.NoError(t, w.Put(ctx, b.Cid().KeyString(), b.RawData()))
		n++
	}
	require.Equal(t, 4+1+2+1+1, n)
	require.NoError(t, w.Finalize())
	require.True(t, bytes.Equal(ours, theirs.Bytes()))
	got, stat, err := blob.ReadCAR(ctx, newMemory(), &theirs, blob.Limits{})
	require.NoError(t, err)
	require.Equal(t, root.CID, got)
	require.EqualValues(t, n, stat.Blocks)
}

func TestReadCARRefuses(t *testing.T) {
	st := newMemory()
	root, leaves := blobtest.Tree(t, st, 1)
	good := carOf(t, st, root.CID)
	other, err := blob.AddBytes(t.Context(), st, []byte("not of this DAG"))
	require.NoError(t, err)
	otherCAR := carOf(t, st, other.CID)
	flipped := bytes.Clone(good)
	flipped[len(flipped)/2] ^= 1
	lacking := newMemory()
	lacking.blocks = st.clone().blocks
	require.NoError(t, lacking.Delete(t.Context(), leaves[3].CID()))
	for _, c := range []struct {
		name string
		car  []byte
		lim  blob.Limits
		want error
	}{
		{"empty", nil, blob.Limits{}, blob.ErrInvalid},
		{"cut in a block", good[:len(good)-5], blob.Limits{}, blob.ErrUnavailable},
		{"cut between blocks", good[:59], blob.Limits{}, blob.ErrNotFound},
		{"cut in the header", good[:20], blob.Limits{}, blob.ErrUnavailable},
		{"flipped bit", flipped, blob.Limits{}, blob.ErrCorrupt},
		{"a block of no use", append(bytes.Clone(good), otherCAR[59:]...), blob.Limits{}, blob.ErrInvalid},
		{"too many bytes", good, blob.Limits{MaxBytes: 1 << 20}, blob.ErrTooLarge},
		{"too many blocks", good, blob.Limits{MaxBlocks: 3}, blob.ErrTooLarge},
		{"too deep", good, blob.Limits{MaxDepth: 1}, blob.ErrTooLarge},
		{"version 2", []byte("\x0a\xa1\x67version\x02"), blob.Limits{}, blob.ErrUnsupported},
		{"no roots", []byte("\x11\xa2\x65roots\x80\x67version\x01"), blob.Limits{}, blob.ErrUnsupported},
		{"huge section", append(bytes.Clone(good[:59]), 0xff, 0xff, 0xff, 0xff, 0x0f), blob.Limits{}, blob.ErrTooLarge},
		{"endless length", append(bytes.Clone(good[:59]), bytes.Repeat([]byte{0xff}, 20)...), blob.Limits{}, blob.ErrUnavailable},
		{"zero section", append(bytes.Clone(good[:59]), 0), blob.Limits{}, blob.ErrInvalid},
	} {
		t.Run(c.name, func(t *testing.T) {
			into := newMemory()
			_, _, err := blob.ReadCAR(t.Context(), into, bytes.NewReader(c.car), c.lim)
			require.ErrorIs(t, err, c.want)
		})
	}
	var out bytes.Buffer
	_, err = blob.WriteCAR(t.Context(), &out, lacking, root.CID, blob.Limits{})
	require.ErrorIs(t, err, blob.ErrNotFound)
	_, _, err = blob.ReadCAR(t.Context(), newMemory(), &out, blob.Limits{})
	require.Error(t, err, "a CAR cut short by its writer is never taken for whole")
	out.Reset()
	_, err = blob.WriteCAR(t.Context(), &out, newMemory(), root.CID, blob.Limits{})
	require.ErrorIs(t, err, blob.ErrNotFound)
	require.Zero(t, out.Len(), "no byte before the root is found")
}

// Blocks that the receiver has may be left out; slow and split reads change nothing; duplicates are passed over.
func TestReadCARAccepts(t *testing.T) {
	st := newMemory()
	root, leaves := blobtest.Tree(t, st, 1)
	good := carOf(t, st, root.CID)
	into := newMemory()
	_, _, err := blob.ReadCAR(t.Context(), into, iotest.OneByteReader(bytes.NewReader(good[:100_000])), blob.Limits{})
	require.ErrorIs(t, err, blob.ErrUnavailable)
	_, _, err = blob.ReadCAR(t.Context(), into, iotest.HalfReader(bytes.NewReader(good)), blob.Limits{})
	require.NoError(t, err)
	blobtest.Equal(t, into, root.CID, 1)
	// Header and root only: complete because the rest is there.
	_, stat, err := blob.ReadCAR(t.Context(), into, bytes.NewReader(good[:59]), blob.Limits{})
	require.NoError(t, err)
	require.Zero(t, stat.Got)
	require.EqualValues(t, 9, stat.Blocks)
	twice := append(bytes.Clone(good), good[59:]...)
	_, stat, err = blob.ReadCAR(t.Context(), newMemory(), bytes.NewReader(twice), blob.Limits{})
	require.NoError(t, err)
	require.EqualValues(t, 9, stat.Blocks)
	// A root that carries itself.
	h, err := mh.Sum([]byte("tiny"), mh.IDENTITY, -1)
	require.NoError(t, err)
	inline := cid.NewCidV1(cid.Raw, h)
	got, stat, err := blob.ReadCAR(t.Context(), newMemory(), bytes.NewReader(carOf(t, st, inline)), blob.Limits{})
	require.NoError(t, err)
	require.Equal(t, inline, got)
	require.Zero(t, stat.Blocks)
	_ = leaves
}

func FuzzReadCAR(f *testing.F) {
	st := newMemory()
	small, err := blob.AddBytes(f.Context(), st, []byte("seed"))
	require.NoError(f, err)
	dir, err := blob.AddDir(f.Context(), st, []blob.Entry{{Name: "a", Node: small}, {Name: "b", Node: small}})
	require.NoError(f, err)
	f.Add(carOf(f, st, dir.CID))
	f.Add(carOf(f, st, small.CID))
	f.Add([]byte("\x0a\xa1\x67version\x02"))
	f.Fuzz(func(t *testing.T, data []byte) {
		into := newMemory()
		root, stat, err := blob.ReadCAR(t.Context(), into, bytes.NewReader(data), blob.Limits{MaxBytes: 1 << 20})
		if err != nil {
			return
		}
		// What was taken is whole and verified, and writes back to the same DAG.
		again, err := blob.WalkDAG(t.Context(), into, root, blob.Limits{}, nil)
		require.NoError(t, err)
		require.Equal(t, stat.Blocks, again.Blocks)
		require.NotEmpty(t, carOf(t, into, root))
	})
}
