package blobtest

import (
	"os"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/nexara/nexara/node/blob"
)

// testDiskFull runs the store on a file system of 4 MiB that it believes to be larger. With
// NEXARA_REQUIRE_CONTAINERS=1, as in CI, a machine that cannot mount one fails.
func testDiskFull(t *testing.T, open Open) {
	dir := t.TempDir()
	if err := unix.Mount("tmpfs", dir, "tmpfs", 0, "size=4m"); err != nil {
		require.NotEqual(t, "1", os.Getenv("NEXARA_REQUIRE_CONTAINERS"), "a small file system cannot be mounted: %v", err)
		t.Skipf("needs the right to mount a tmpfs: %v", err)
	}
	defer func() { require.NoError(t, unix.Unmount(dir, 0)) }()
	ctx, st := Context(t), open(t, dir, room)
	defer st.Close()
	var kept []blob.Block
	var err error
	release := st.Hold() // nothing can be collected
	for i := uint64(0); err == nil; i++ {
		require.Less(t, i, uint64(100))
		b := Block(t, 100_000, i)
		if err = st.Put(ctx, b); err == nil {
			kept = append(kept, b)
		}
	}
	require.ErrorIs(t, err, blob.ErrNoSpace)
	require.Greater(t, len(kept), 30)
	for _, b := range kept {
		got, err := st.Get(ctx, b.CID())
		require.NoError(t, err)
		require.Equal(t, b.Data(), got.Data())
	}
	s, err := st.Stats(ctx)
	require.NoError(t, err)
	require.EqualValues(t, len(kept), s.Blocks)
	release()
	require.NoError(t, st.Put(ctx, Block(t, 100_000, 1000)), "collectable blocks make room")
}
