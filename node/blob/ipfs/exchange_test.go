package ipfs

import (
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/nexara/nexara/node/blob"
	"github.com/nexara/nexara/node/blob/blobtest"
)

// exchange adds size bytes to one node and fetches them with another.
func exchange(t testing.TB, size int, quic bool) (fetch func()) {
	ctx := blobtest.Context(t)
	mode := func(c *Config) {
		if c.QUIC = quic; quic {
			c.Listen = []string{"/ip4/127.0.0.1/udp/0/quic-v1"}
		}
	}
	a := start(t, filepath.Join(t.TempDir(), "a"), 1<<30, mode)
	t.Cleanup(func() { require.NoError(t, a.Close()) })
	b := start(t, filepath.Join(t.TempDir(), "b"), 1<<30, mode)
	t.Cleanup(func() { require.NoError(t, b.Close()) })
	n, err := blob.AddBytes(ctx, a, blobtest.Bytes(size, 1))
	require.NoError(t, err)
	require.NoError(t, b.Connect(ctx, a.Addrs()[0]))
	return func() {
		_, err := b.GC(ctx, 0)
		require.NoError(t, err)
		st, err := b.Fetch(ctx, n.CID, blob.Limits{})
		require.NoError(t, err)
		require.GreaterOrEqual(t, st.Got, int64(size))
	}
}

func TestExchange64MiB(t *testing.T) { exchange(t, 64<<20, false)() }

func BenchmarkFetch(b *testing.B) {
	for name, quic := range map[string]bool{"tcp": false, "quic": true} {
		b.Run(name, func(b *testing.B) {
			fetch := exchange(b, 64<<20, quic)
			b.SetBytes(64 << 20)
			for b.Loop() {
				fetch()
			}
		})
	}
}
