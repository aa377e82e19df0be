package blobtest

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/ipfs/go-cid"
	mh "github.com/multiformats/go-multihash"
	"github.com/stretchr/testify/require"

	"github.com/nexara/nexara/node/blob"
)

// Open opens the store under test on a folder, with a cap on its disk and no grace for unpinned blocks. The
// suite closes it.
type Open func(t testing.TB, dir string, maxBytes int64) blob.Store

const room = 64 << 20 // a cap that the tests below do not reach by accident

// Run is the suite of blob.Store.
func Run(t *testing.T, open Open) {
	t.Logf("seed %d", seed)
	for _, c := range []struct {
		name string
		test func(t *testing.T, open Open)
	}{
		{"blocks", testBlocks},
		{"unsupported CIDs", testUnsupported},
		{"reopen", testReopen},
		{"corrupt block on disk", testCorrupt},
		{"missing child", testMissingChild},
		{"pins and gc", testGC},
		{"pin lapses", testPinLapses},
		{"hold", testHold},
		{"cap", testCap},
		{"disk full", testDiskFull},
		{"concurrent", testConcurrent},
		{"crash", testCrash},
		{"ended context and closed store", testEnded},
	} {
		t.Run(c.name, func(t *testing.T) { c.test(t, open) })
	}
}

func testBlocks(t *testing.T, open Open) {
	ctx, st := Context(t), open(t, t.TempDir(), room)
	defer st.Close()
	for _, n := range []int{0, 1, 4095, 1 << 20, blob.MaxBlockSize} {
		b := Block(t, n, uint64(n))
		ok, err := st.Has(ctx, b.CID())
		require.NoError(t, err)
		require.False(t, ok)
		_, err = st.Get(ctx, b.CID())
		require.ErrorIs(t, err, blob.ErrNotFound)
		_, err = st.Size(ctx, b.CID())
		require.ErrorIs(t, err, blob.ErrNotFound)
		require.ErrorIs(t, st.Delete(ctx, b.CID()), blob.ErrNotFound)
		require.NoError(t, st.Put(ctx, b))
		require.NoError(t, st.Put(ctx, b), "again")
		got, err := st.Get(ctx, b.CID())
		require.NoError(t, err)
		require.Equal(t, len(b.Data()), len(got.Data()))
		require.Equal(t, b.CID(), got.CID())
		size, err := st.Size(ctx, b.CID())
		require.NoError(t, err)
		require.EqualValues(t, n, size)
		// One digest is one block, whatever the codec and version of the CID.
		alias := cid.NewCidV0(b.CID().Hash())
		got, err = st.Get(ctx, alias)
		require.NoError(t, err)
		require.Equal(t, alias, got.CID())
		s, err := st.Stats(ctx)
		require.NoError(t, err)
		require.EqualValues(t, 1, s.Blocks)
		require.NoError(t, st.Delete(ctx, b.CID()))
		s, err = st.Stats(ctx)
		require.NoError(t, err)
		require.Zero(t, s.Blocks)
		require.Zero(t, s.Bytes)
	}
	_, err := blob.NewBlock(cid.Raw, make([]byte, blob.MaxBlockSize+1))
	require.ErrorIs(t, err, blob.ErrTooLarge)
}

func testUnsupported(t *testing.T, open Open) {
	ctx, st := Context(t), open(t, t.TempDir(), room)
	defer st.Close()
	inline := func(n int) cid.Cid {
		h, err := mh.Sum(Bytes(n, 1), mh.IDENTITY, -1)
		require.NoError(t, err)
		return cid.NewCidV1(cid.Raw, h)
	}
	b, err := st.Get(ctx, inline(blob.MaxInlineSize))
	require.NoError(t, err, "a small identity CID carries its block")
	require.Equal(t, Bytes(blob.MaxInlineSize, 1), b.Data())
	require.NoError(t, st.Put(ctx, b))
	sha512, err := mh.Sum([]byte("x"), mh.SHA2_512, -1)
	require.NoError(t, err)
	for name, c := range map[string]cid.Cid{
		"big identity": inline(blob.MaxInlineSize + 1),
		"hash":         cid.NewCidV1(cid.Raw, sha512),
		"codec":        cid.NewCidV1(cid.DagCBOR, Block(t, 1, 1).CID().Hash()),
	} {
		_, err := st.Get(ctx, c)
		require.ErrorIs(t, err, blob.ErrUnsupported, name)
		_, err = st.Has(ctx, c)
		require.ErrorIs(t, err, blob.ErrUnsupported, name)
	}
	require.ErrorIs(t, st.Put(ctx, blob.Block{}), blob.ErrInvalid)
}

func testReopen(t *testing.T, open Open) {
	ctx, dir := Context(t), t.TempDir()
	st := open(t, dir, room)
	root, _ := Tree(t, st, 1)
	require.NoError(t, st.Pin(ctx, blob.Pin{Name: "tree", Root: root.CID}))
	before, err := st.Stats(ctx)
	require.NoError(t, err)
	require.NoError(t, st.Close())
	require.NoError(t, st.Close(), "again")
	st = open(t, dir, room)
	defer st.Close()
	after, err := st.Stats(ctx)
	require.NoError(t, err)
	require.Equal(t, before, after)
	pins, err := st.Pins(ctx)
	require.NoError(t, err)
	require.Equal(t, []blob.Pin{{Name: "tree", Root: root.CID}}, pins)
	Equal(t, st, root.CID, 1)
}

func testCorrupt(t *testing.T, open Open) {
	ctx, dir := Context(t), t.TempDir()
	st := open(t, dir, room)
	defer st.Close()
	root, leaves := Tree(t, st, 1)
	Corrupt(t, dir, leaves[1])
	_, err := blob.Export(ctx, st, root.CID, filepath.Join(t.TempDir(), "out"), blob.Limits{})
	require.ErrorIs(t, err, blob.ErrCorrupt)
	_, err = st.Get(ctx, leaves[1].CID())
	require.ErrorIs(t, err, blob.ErrNotFound, "set aside")
	s, err := st.Stats(ctx)
	require.NoError(t, err)
	require.EqualValues(t, 1, s.Quarantined)
	require.NoError(t, st.Put(ctx, leaves[1]))
	Equal(t, st, root.CID, 1)
}

func testMissingChild(t *testing.T, open Open) {
	ctx, dir := Context(t), t.TempDir()
	st := open(t, dir, room)
	defer st.Close()
	root, leaves := Tree(t, st, 1)
	Remove(t, dir, leaves[2])
	_, err := blob.Walk(ctx, st, root.CID, blob.Limits{}, nil)
	require.ErrorIs(t, err, blob.ErrNotFound)
	require.ErrorIs(t, st.Pin(ctx, blob.Pin{Name: "x", Root: root.CID}), blob.ErrNotFound)
	dest := filepath.Join(t.TempDir(), "out")
	_, err = blob.Export(ctx, st, root.CID, dest, blob.Limits{})
	require.ErrorIs(t, err, blob.ErrNotFound)
	left, err := os.ReadDir(filepath.Dir(dest))
	require.NoError(t, err)
	require.Empty(t, left, "nothing half-written")
}

func testGC(t *testing.T, open Open) {
	ctx, st := Context(t), open(t, t.TempDir(), room)
	defer st.Close()
	kept, _ := Tree(t, st, 1)
	gone, _ := Tree(t, st, 2) // shares the small files with kept
	require.NoError(t, st.Pin(ctx, blob.Pin{Name: "a", Root: kept.CID}))
	require.NoError(t, st.Pin(ctx, blob.Pin{Name: "b", Root: gone.CID}))
	r, err := st.GC(ctx, 0)
	require.NoError(t, err)
	require.Zero(t, r.Blocks)
	require.NoError(t, st.Unpin(ctx, "b"))
	require.NoError(t, st.Unpin(ctx, "no such pin"))
	r, err = st.GC(ctx, 0)
	require.NoError(t, err)
	require.EqualValues(t, 4+1+1, r.Blocks, "four leaves, the file's node, the root")
	Equal(t, st, kept.CID, 1)
	_, err = blob.Walk(ctx, st, gone.CID, blob.Limits{}, nil)
	require.ErrorIs(t, err, blob.ErrNotFound)
	// A pin moves with its name.
	other := Block(t, 100, 3)
	require.NoError(t, st.Put(ctx, other))
	require.NoError(t, st.Pin(ctx, blob.Pin{Name: "a", Root: other.CID()}))
	r, err = st.GC(ctx, 0)
	require.NoError(t, err)
	s, err := st.Stats(ctx)
	require.NoError(t, err)
	require.EqualValues(t, 1, s.Blocks)
	require.Equal(t, r.Left, s.Bytes)
	require.ErrorIs(t, st.Pin(ctx, blob.Pin{Root: other.CID()}), blob.ErrInvalid)
}

func testPinLapses(t *testing.T, open Open) {
	ctx, st := Context(t), open(t, t.TempDir(), room)
	defer st.Close()
	b := Block(t, 10, 1)
	require.NoError(t, st.Put(ctx, b))
	require.NoError(t, st.Pin(ctx, blob.Pin{Name: "x", Root: b.CID(), Until: time.Now().Add(-time.Second)}))
	pins, err := st.Pins(ctx)
	require.NoError(t, err)
	require.Empty(t, pins)
	r, err := st.GC(ctx, 0)
	require.NoError(t, err)
	require.EqualValues(t, 1, r.Blocks)
}

func testHold(t *testing.T, open Open) {
	ctx, st := Context(t), open(t, t.TempDir(), room)
	defer st.Close()
	release := st.Hold()
	b := Block(t, 10, 1)
	require.NoError(t, st.Put(ctx, b))
	r, err := st.GC(ctx, 0)
	require.NoError(t, err)
	require.Zero(t, r.Blocks)
	release()
	release()
	r, err = st.GC(ctx, 0)
	require.NoError(t, err)
	require.EqualValues(t, 1, r.Blocks)
}

func testCap(t *testing.T, open Open) {
	const limit = 4 << 20
	ctx, st := Context(t), open(t, t.TempDir(), limit)
	defer st.Close()
	first := Block(t, 1<<20, 0)
	require.NoError(t, st.Put(ctx, first))
	require.NoError(t, st.Pin(ctx, blob.Pin{Name: "first", Root: first.CID()}))
	for i := range 12 { // unpinned blocks make room for each other
		require.NoError(t, st.Put(ctx, Block(t, 1<<20, uint64(i+1))))
		s, err := st.Stats(ctx)
		require.NoError(t, err)
		require.LessOrEqual(t, s.Bytes, int64(limit))
	}
	ok, err := st.Has(ctx, first.CID())
	require.NoError(t, err)
	require.True(t, ok, "the pinned block stays")
	// Pinned blocks do not make room.
	for i := range 3 {
		b := Block(t, 1<<20, uint64(100+i))
		require.NoError(t, st.Put(ctx, b))
		require.NoError(t, st.Pin(ctx, blob.Pin{Name: fmt.Sprint(i), Root: b.CID()}))
	}
	require.ErrorIs(t, st.Put(ctx, Block(t, 1, 200)), blob.ErrNoSpace)
	require.ErrorIs(t, st.Put(ctx, Block(t, 1, 201)), blob.ErrNoSpace)
	require.NoError(t, st.Unpin(ctx, "0"))
	require.NoError(t, st.Put(ctx, Block(t, 1, 200)), "room again at once")
}

func testConcurrent(t *testing.T, open Open) {
	ctx, st := Context(t), open(t, t.TempDir(), room)
	defer st.Close()
	const writers, blocks = 8, 40
	release := st.Hold()
	defer release()
	var wg sync.WaitGroup
	errs := make(chan error, writers*2)
	for w := range writers {
		wg.Go(func() { // all write the same blocks, from different ends, and read them back
			for i := range blocks {
				b := Block(t, 100*(i+1), uint64((i+w*5)%blocks))
				if err := st.Put(ctx, b); err != nil {
					errs <- err
					return
				}
				got, err := st.Get(ctx, b.CID())
				if err != nil || len(got.Data()) != len(b.Data()) {
					errs <- fmt.Errorf("get: %w", err)
					return
				}
			}
		})
	}
	wg.Go(func() {
		for range 5 {
			if _, err := st.GC(ctx, 0); err != nil {
				errs <- err
			}
			if err := st.Sync(ctx); err != nil {
				errs <- err
			}
		}
	})
	wg.Wait()
	close(errs)
	for err := range errs {
		require.NoError(t, err)
	}
	release()
	_, err := st.GC(ctx, 0)
	require.NoError(t, err)
	s, err := st.Stats(ctx)
	require.NoError(t, err)
	require.Zero(t, s.Blocks, "the count is exact after concurrent puts of one block")
	require.Zero(t, s.Bytes)
}

// testCrash opens a copy of a live store's folder, as a power loss would leave it: with a block cut short
// and with leftovers of a write under way.
func testCrash(t *testing.T, open Open) {
	ctx, dir := Context(t), t.TempDir()
	st := open(t, dir, room)
	defer st.Close()
	safe, cut := Block(t, 5000, 1), Block(t, 5000, 2)
	require.NoError(t, st.Put(ctx, safe))
	require.NoError(t, st.Sync(ctx))
	require.NoError(t, st.Put(ctx, cut))
	after := t.TempDir()
	require.NoError(t, os.CopyFS(after, os.DirFS(dir)))
	path := find(t, after, cut.Data())
	require.NoError(t, os.Truncate(path, 1000))
	require.NoError(t, os.MkdirAll(filepath.Join(after, "tmp"), 0o700))
	require.NoError(t, os.WriteFile(filepath.Join(after, "tmp", "put-1"), cut.Data()[:10], 0o600))
	again := open(t, after, room)
	defer again.Close()
	ok, err := again.Has(ctx, cut.CID())
	require.NoError(t, err)
	require.False(t, ok, "the cut block is not visible")
	got, err := again.Get(ctx, safe.CID())
	require.NoError(t, err)
	require.Equal(t, safe.Data(), got.Data())
	s, err := again.Stats(ctx)
	require.NoError(t, err)
	require.EqualValues(t, 1, s.Blocks)
	require.NoError(t, again.Put(ctx, cut))
	left, err := os.ReadDir(filepath.Join(after, "tmp"))
	require.NoError(t, err)
	require.Empty(t, left)
}

func testEnded(t *testing.T, open Open) {
	st := open(t, t.TempDir(), room)
	b := Block(t, 10, 1)
	ended, cancel := context.WithDeadline(context.Background(), time.Unix(1, 0))
	defer cancel()
	require.ErrorIs(t, st.Put(ended, b), blob.ErrTimeout)
	_, err := st.Get(ended, b.CID())
	require.ErrorIs(t, err, blob.ErrTimeout)
	require.NoError(t, st.Close())
	ctx := Context(t)
	require.ErrorIs(t, st.Put(ctx, b), blob.ErrClosed)
	_, err = st.Get(ctx, b.CID())
	require.ErrorIs(t, err, blob.ErrClosed)
	_, err = st.GC(ctx, 0)
	require.ErrorIs(t, err, blob.ErrClosed)
}
