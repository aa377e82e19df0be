package blobtest

import (
	"context"
	"errors"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/ipfs/go-cid"
	"github.com/stretchr/testify/require"

	"github.com/nexara/nexara/node/blob"
)

// Pair is a source of blobs and a client that fetches from it.
type Pair struct {
	// Source holds what the client can fetch, in SourceDir.
	Source    blob.Store
	SourceDir string
	// Client is the store that Fetcher fills.
	Client  blob.Store
	Fetcher blob.Fetcher
	// Stop makes the source unreachable, Start brings it back with what is stored in SourceDir.
	Stop, Start func()
}

// MakePair makes a pair with empty stores; the fetcher gives up on a block within seconds. The client's store
// has the given cap. Cleanup is the maker's.
type MakePair func(t testing.TB, clientMax int64) *Pair

// RunFetcher is the suite of blob.Fetcher.
func RunFetcher(t *testing.T, make MakePair) {
	t.Logf("seed %d", seed)
	for _, c := range []struct {
		name string
		test func(t *testing.T, p *Pair)
		max  int64
	}{
		{"fetch", testFetch, room},
		{"missing at the source", testFetchMissing, room},
		{"corrupt at the source", testFetchCorrupt, room},
		{"limits", testFetchLimits, room},
		{"client full", testFetchFull, 2 << 20},
		{"source stops and comes back", testFetchResume, room},
		{"many at once", testFetchMany, room},
		{"ended context", testFetchEnded, room},
		{"unsupported", testFetchUnsupported, room},
	} {
		t.Run(c.name, func(t *testing.T) { c.test(t, make(t, c.max)) })
	}
}

func testFetch(t *testing.T, p *Pair) {
	ctx := Context(t)
	root, _ := Tree(t, p.Source, 1)
	whole, err := blob.Walk(ctx, p.Source, root.CID, blob.Limits{}, nil)
	require.NoError(t, err)
	st, err := p.Fetcher.Fetch(ctx, root.CID, blob.Limits{})
	require.NoError(t, err)
	require.Equal(t, blob.Stat{Blocks: whole.Blocks, Bytes: whole.Bytes, Got: whole.Bytes}, st)
	Equal(t, p.Client, root.CID, 1)
	require.NoError(t, p.Client.Pin(ctx, blob.Pin{Name: "x", Root: root.CID}))
	st, err = p.Fetcher.Fetch(ctx, root.CID, blob.Limits{})
	require.NoError(t, err)
	require.Equal(t, whole, st, "nothing is fetched twice")
	p.Stop()
	_, err = p.Fetcher.Fetch(ctx, root.CID, blob.Limits{})
	require.NoError(t, err, "what is local needs no source")
	p.Start()
}

// notThere is what a fetcher may answer for a block that no source has.
func notThere(t *testing.T, err error) {
	t.Helper()
	require.Error(t, err)
	for _, class := range []error{blob.ErrNotFound, blob.ErrTimeout, blob.ErrUnavailable} {
		if errors.Is(err, class) {
			return
		}
	}
	require.ErrorIs(t, err, blob.ErrNotFound)
}

func testFetchMissing(t *testing.T, p *Pair) {
	ctx := Context(t)
	_, err := p.Fetcher.Fetch(ctx, Block(t, 10, 99).CID(), blob.Limits{})
	notThere(t, err)
	root, leaves := Tree(t, p.Source, 1)
	Remove(t, p.SourceDir, leaves[1])
	_, err = p.Fetcher.Fetch(ctx, root.CID, blob.Limits{})
	notThere(t, err)
	require.NoError(t, p.Source.Put(ctx, leaves[1]))
	_, err = p.Fetcher.Fetch(ctx, root.CID, blob.Limits{})
	require.NoError(t, err)
	Equal(t, p.Client, root.CID, 1)
}

func testFetchCorrupt(t *testing.T, p *Pair) {
	ctx := Context(t)
	root, leaves := Tree(t, p.Source, 1)
	Corrupt(t, p.SourceDir, leaves[2])
	_, err := p.Fetcher.Fetch(ctx, root.CID, blob.Limits{})
	require.Error(t, err)
	ok, err := p.Client.Has(ctx, leaves[2].CID())
	require.NoError(t, err)
	require.False(t, ok)
	require.NoError(t, p.Source.Put(ctx, leaves[2]))
	_, err = p.Fetcher.Fetch(ctx, root.CID, blob.Limits{})
	require.NoError(t, err)
	Equal(t, p.Client, root.CID, 1)
	// A block that went bad on the client is fetched again.
	Corrupt(t, clientDir(t, p), leaves[0])
	_, err = p.Client.Get(ctx, leaves[0].CID())
	require.ErrorIs(t, err, blob.ErrCorrupt)
	st, err := p.Fetcher.Fetch(ctx, root.CID, blob.Limits{})
	require.NoError(t, err)
	require.EqualValues(t, len(leaves[0].Data()), st.Got)
	Equal(t, p.Client, root.CID, 1)
}

// clientDir is beside SourceDir by the convention of NewDirs.
func clientDir(t testing.TB, p *Pair) string {
	t.Helper()
	return filepath.Join(filepath.Dir(p.SourceDir), "client")
}

// NewDirs gives the folders of a pair.
func NewDirs(t testing.TB) (source, client string) {
	base := t.TempDir()
	return filepath.Join(base, "source"), filepath.Join(base, "client")
}

func testFetchLimits(t *testing.T, p *Pair) {
	ctx := Context(t)
	root, _ := Tree(t, p.Source, 1)
	for name, lim := range map[string]blob.Limits{
		"bytes": {MaxBytes: 2 << 20}, "blocks": {MaxBlocks: 3}, "depth": {MaxDepth: 1},
	} {
		_, err := p.Fetcher.Fetch(ctx, root.CID, lim)
		require.ErrorIs(t, err, blob.ErrTooLarge, name)
	}
}

func testFetchFull(t *testing.T, p *Pair) {
	root, _ := Tree(t, p.Source, 1)
	_, err := p.Fetcher.Fetch(Context(t), root.CID, blob.Limits{})
	require.ErrorIs(t, err, blob.ErrNoSpace)
}

func testFetchResume(t *testing.T, p *Pair) {
	ctx := Context(t)
	data := Bytes(24<<20, 7)
	n, err := blob.AddBytes(ctx, p.Source, data)
	require.NoError(t, err)
	var once sync.Once
	stopped := make(chan struct{})
	go func() { // stop as soon as something has arrived
		defer close(stopped)
		for ctx.Err() == nil {
			if s, err := p.Client.Stats(ctx); err == nil && s.Bytes > 4<<20 {
				break
			}
			time.Sleep(time.Millisecond)
		}
		once.Do(p.Stop)
	}()
	_, err = p.Fetcher.Fetch(ctx, n.CID, blob.Limits{})
	<-stopped
	if err == nil {
		t.Log("the fetch was faster than the stop")
	} else {
		notThere(t, err)
	}
	p.Start()
	var st blob.Stat
	for { // the way back to the source may take some attempts
		if st, err = p.Fetcher.Fetch(ctx, n.CID, blob.Limits{}); err == nil || ctx.Err() != nil {
			break
		}
		notThere(t, err)
	}
	require.NoError(t, err)
	require.Less(t, st.Got, st.Bytes, "the second fetch resumed")
	got, err := blob.ReadAll(ctx, p.Client, n.CID, 32<<20)
	require.NoError(t, err)
	require.True(t, string(data) == string(got))
}

func testFetchMany(t *testing.T, p *Pair) {
	ctx := Context(t)
	var roots []cid.Cid
	for i := range 6 {
		root, _ := Tree(t, p.Source, uint64(i))
		roots = append(roots, root.CID, root.CID) // each by two at once
	}
	var wg sync.WaitGroup
	errs := make([]error, len(roots))
	for i, root := range roots {
		wg.Go(func() { _, errs[i] = p.Fetcher.Fetch(ctx, root, blob.Limits{}) })
	}
	wg.Wait()
	for i := range roots {
		require.NoError(t, errs[i])
		Equal(t, p.Client, roots[i], uint64(i/2))
	}
}

func testFetchEnded(t *testing.T, p *Pair) {
	root, _ := Tree(t, p.Source, 1)
	ended, cancel := context.WithDeadline(context.Background(), time.Unix(1, 0))
	defer cancel()
	_, err := p.Fetcher.Fetch(ended, root.CID, blob.Limits{})
	require.ErrorIs(t, err, blob.ErrTimeout)
	ended, cancel = context.WithCancel(context.Background())
	cancel()
	_, err = p.Fetcher.Fetch(ended, root.CID, blob.Limits{})
	require.ErrorIs(t, err, context.Canceled)
}

func testFetchUnsupported(t *testing.T, p *Pair) {
	_, err := p.Fetcher.Fetch(Context(t), cid.NewCidV1(cid.DagCBOR, Block(t, 1, 1).CID().Hash()), blob.Limits{})
	require.ErrorIs(t, err, blob.ErrUnsupported)
}
