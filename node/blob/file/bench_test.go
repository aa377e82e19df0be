package file

import (
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/nexara/nexara/node/blob"
	"github.com/nexara/nexara/node/blob/blobtest"
)

func BenchmarkAdd(b *testing.B) {
	data := blobtest.Bytes(64<<20, 1)
	st := open(b, b.TempDir(), 1<<30)
	defer st.Close()
	b.SetBytes(int64(len(data)))
	for b.Loop() {
		n, err := blob.AddBytes(b.Context(), st, data)
		require.NoError(b, err)
		require.NoError(b, st.Pin(b.Context(), blob.Pin{Name: "x", Root: n.CID}))
		require.NoError(b, st.Unpin(b.Context(), "x"))
		_, err = st.GC(b.Context(), 0)
		require.NoError(b, err)
	}
}

// A small result, as a no-op shard leaves it: four blocks and a pin.
func BenchmarkAddSmall(b *testing.B) {
	st := open(b, b.TempDir(), 1<<30)
	defer st.Close()
	for i := uint64(0); b.Loop(); i++ {
		f, err := blob.AddBytes(b.Context(), st, blobtest.Bytes(300, i))
		require.NoError(b, err)
		g, err := blob.AddBytes(b.Context(), st, blobtest.Bytes(100, i))
		require.NoError(b, err)
		d, err := blob.AddDir(b.Context(), st, []blob.Entry{{Name: "f", Node: f}, {Name: "g", Node: g}})
		require.NoError(b, err)
		require.NoError(b, st.Pin(b.Context(), blob.Pin{Name: "x", Root: d.CID}))
	}
}

func BenchmarkExport(b *testing.B) {
	st := open(b, b.TempDir(), 1<<30)
	defer st.Close()
	n, err := blob.AddBytes(b.Context(), st, blobtest.Bytes(64<<20, 1))
	require.NoError(b, err)
	b.SetBytes(64 << 20)
	for b.Loop() {
		_, err := blob.Export(b.Context(), st, n.CID, filepath.Join(b.TempDir(), "out"), blob.Limits{})
		require.NoError(b, err)
	}
}
