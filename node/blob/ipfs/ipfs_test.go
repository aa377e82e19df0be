package ipfs

import (
	"bufio"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/nexara/nexara/node/blob"
	"github.com/nexara/nexara/node/blob/blobtest"
	"github.com/nexara/nexara/node/blob/file"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m)
}

var quiet = slog.New(slog.DiscardHandler)

// start runs a node on dir with its key beside it, so that it is the same peer after a restart.
func start(t testing.TB, dir string, maxBytes int64, change ...func(*Config)) *Node {
	t.Helper()
	require.NoError(t, os.MkdirAll(dir, 0o700))
	st, err := file.Open(file.Config{Dir: dir, MaxBytes: maxBytes, Grace: -1, Logger: quiet})
	require.NoError(t, err)
	key := dir + ".key"
	_, err = InitKey(key)
	require.NoError(t, err)
	cfg := Config{Store: st, KeyFile: key, BlockTimeout: 4 * time.Second, Logger: quiet}
	for _, f := range change {
		f(&cfg)
	}
	n, err := Open(cfg)
	require.NoError(t, err)
	return n
}

func TestStore(t *testing.T) {
	blobtest.Run(t, func(t testing.TB, dir string, maxBytes int64) blob.Store {
		st, err := file.Open(file.Config{Dir: dir, MaxBytes: maxBytes, Grace: -1, Logger: quiet})
		require.NoError(t, err)
		key := filepath.Join(t.TempDir(), "key")
		_, err = InitKey(key)
		require.NoError(t, err)
		n, err := Open(Config{Store: st, KeyFile: key, Logger: quiet})
		require.NoError(t, err)
		return n
	})
}

func TestFetcher(t *testing.T) {
	blobtest.RunFetcher(t, func(t testing.TB, clientMax int64) *blobtest.Pair {
		srcDir, cliDir := blobtest.NewDirs(t)
		src := start(t, srcDir, 1<<30)
		cli := start(t, cliDir, clientMax)
		addrs := src.Addrs()
		require.NoError(t, cli.Connect(blobtest.Context(t), addrs[0]))
		p := &blobtest.Pair{Source: src, SourceDir: srcDir, Client: cli, Fetcher: cli}
		p.Stop = func() { require.NoError(t, src.Close()) }
		p.Start = func() { // on the same port: the client finds it again by itself
			src = start(t, srcDir, 1<<30, func(c *Config) { c.Listen = []string{addrs[0][:len(addrs[0])-len("/p2p/")-len(src.PeerID())]} })
			p.Source = src
		}
		t.Cleanup(func() {
			require.NoError(t, cli.Close())
			require.NoError(t, src.Close())
		})
		return p
	})
}

// Three nodes in a line of trust: b fetches from a, c fetches from b what it never had from a, all in both
// directions, over QUIC as well.
func TestThreeNodes(t *testing.T) {
	for name, quic := range map[string]bool{"tcp": false, "quic": true} {
		t.Run(name, func(t *testing.T) {
			ctx := blobtest.Context(t)
			mode := func(c *Config) {
				if c.QUIC = quic; quic {
					c.Listen = []string{"/ip4/127.0.0.1/udp/0/quic-v1"}
				}
			}
			a := start(t, filepath.Join(t.TempDir(), "a"), 1<<30, mode)
			defer a.Close()
			b := start(t, filepath.Join(t.TempDir(), "b"), 1<<30, mode)
			defer b.Close()
			c := start(t, filepath.Join(t.TempDir(), "c"), 1<<30, mode)
			defer c.Close()
			require.NoError(t, b.Connect(ctx, a.Addrs()[0]))
			require.NoError(t, c.Connect(ctx, b.Addrs()[0]))
			root, _ := blobtest.Tree(t, a, 1)
			_, err := b.Fetch(ctx, root.CID, blob.Limits{})
			require.NoError(t, err)
			_, err = c.Fetch(ctx, root.CID, blob.Limits{})
			require.NoError(t, err)
			blobtest.Equal(t, c, root.CID, 1)
			back, _ := blobtest.Tree(t, b, 2)
			_, err = a.Fetch(ctx, back.CID, blob.Limits{})
			require.NoError(t, err, "the side that was dialled fetches too")
			require.Len(t, b.Peers(), 2)
		})
	}
}

// A want that waits is served as soon as a peer stores the block.
func TestFetchWaitsForTheBlock(t *testing.T) {
	ctx := blobtest.Context(t)
	a := start(t, filepath.Join(t.TempDir(), "a"), 1<<30)
	defer a.Close()
	b := start(t, filepath.Join(t.TempDir(), "b"), 1<<30, func(c *Config) { c.BlockTimeout = time.Minute })
	defer b.Close()
	require.NoError(t, b.Connect(ctx, a.Addrs()[0]))
	blk := blobtest.Block(t, 5000, 1)
	got := make(chan error, 1)
	go func() {
		_, err := b.Fetch(ctx, blk.CID(), blob.Limits{})
		got <- err
	}()
	require.Eventually(t, func() bool { return len(b.bits.GetWantlist()) > 0 }, time.Minute, time.Millisecond)
	require.NoError(t, a.Put(ctx, blk))
	require.NoError(t, <-got)
}

// A node comes back by itself to a peer that was away, and to one that was not there when it started.
func TestReconnect(t *testing.T) {
	ctx := blobtest.Context(t)
	dir := filepath.Join(t.TempDir(), "a")
	a := start(t, dir, 1<<30)
	addr := a.Addrs()[0]
	listen := addr[:len(addr)-len("/p2p/")-len(a.PeerID())]
	require.NoError(t, a.Close())
	b := start(t, filepath.Join(t.TempDir(), "b"), 1<<30, func(c *Config) { c.Peers = []string{addr} })
	defer b.Close()
	require.ErrorIs(t, b.Connect(ctx, addr), blob.ErrUnavailable)
	for range 2 {
		a = start(t, dir, 1<<30, func(c *Config) { c.Listen = []string{listen} })
		require.Eventually(t, func() bool { return len(b.Peers()) == 1 }, time.Minute, 5*time.Millisecond)
		require.NoError(t, a.Close())
		require.Eventually(t, func() bool { return len(b.Peers()) == 0 }, time.Minute, 5*time.Millisecond)
	}
	require.NoError(t, b.SetPeers(nil))
	require.Empty(t, b.dialer.kept)
	require.ErrorIs(t, b.SetPeers([]string{"/ip4/127.0.0.1/tcp/1"}), blob.ErrInvalid)
	require.ErrorIs(t, b.AddPeers("nonsense"), blob.ErrInvalid)
}

func TestAllow(t *testing.T) {
	ctx := blobtest.Context(t)
	a := start(t, filepath.Join(t.TempDir(), "a"), 1<<30, func(c *Config) {
		c.Allow = func(string) bool { return false }
	})
	defer a.Close()
	b := start(t, filepath.Join(t.TempDir(), "b"), 1<<30)
	defer b.Close()
	_ = b.Connect(ctx, a.Addrs()[0]) // the handshake may end well before the other side closes
	blk := blobtest.Block(t, 10, 1)
	require.NoError(t, a.Put(ctx, blk))
	_, err := b.Fetch(ctx, blk.CID(), blob.Limits{})
	require.ErrorIs(t, err, blob.ErrTimeout)
	require.ErrorIs(t, a.Connect(ctx, b.Addrs()[0]), blob.ErrUnavailable)
}

func TestStream(t *testing.T) {
	ctx := blobtest.Context(t)
	a := start(t, filepath.Join(t.TempDir(), "a"), 1<<30)
	defer a.Close()
	b := start(t, filepath.Join(t.TempDir(), "b"), 1<<30)
	defer b.Close()
	a.Handle("/nexara/echo/1.0.0", func(peerID string, s Stream) {
		line, err := bufio.NewReader(io.LimitReader(s, 100)).ReadString('\n')
		if err != nil {
			_ = s.Reset()
			return
		}
		_, _ = io.WriteString(s, peerID+" said "+line)
	})
	require.NoError(t, b.Connect(ctx, a.Addrs()[0]))
	s, err := b.Dial(ctx, a.PeerID(), "/nexara/echo/1.0.0")
	require.NoError(t, err)
	_, err = io.WriteString(s, "hello\n")
	require.NoError(t, err)
	require.NoError(t, s.CloseWrite())
	got, err := io.ReadAll(s)
	require.NoError(t, err)
	require.Equal(t, b.PeerID()+" said hello\n", string(got))
	require.NoError(t, s.Close())
	_, err = b.Dial(ctx, a.PeerID(), "/nexara/other/1.0.0")
	require.ErrorIs(t, err, blob.ErrUnsupported)
	_, err = b.Dial(ctx, "nonsense", "/nexara/echo/1.0.0")
	require.ErrorIs(t, err, blob.ErrInvalid)
	c := start(t, filepath.Join(t.TempDir(), "c"), 1<<30)
	gone := c.PeerID()
	require.NoError(t, c.Close())
	_, err = b.Dial(ctx, gone, "/nexara/echo/1.0.0")
	require.ErrorIs(t, err, blob.ErrUnavailable)
}

func TestKeyFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "key")
	id, err := InitKey(path)
	require.NoError(t, err)
	again, err := InitKey(path)
	require.NoError(t, err)
	require.Equal(t, id, again)
	info, err := os.Stat(path)
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o600), info.Mode().Perm())
	require.NoError(t, os.Chmod(path, 0o644))
	_, err = InitKey(path)
	require.ErrorIs(t, err, ErrKeyFile)
	require.NoError(t, os.WriteFile(path, []byte("garbage"), 0o600))
	require.NoError(t, os.Chmod(path, 0o600))
	_, err = InitKey(path)
	require.ErrorIs(t, err, ErrKeyFile)
}
