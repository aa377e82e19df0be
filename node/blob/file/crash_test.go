package file

import (
	"bufio"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"testing"

	"github.com/ipfs/go-cid"
	"github.com/stretchr/testify/require"

	"github.com/nexara/nexara/node/blob"
	"github.com/nexara/nexara/node/blob/blobtest"
)

const crashDir = "NEXARA_TEST_CRASH_DIR"

// TestMain is the store in a process of its own when it is told a folder: it puts blocks and names each, until
// it is killed.
func TestMain(m *testing.M) {
	dir := os.Getenv(crashDir)
	if dir == "" {
		os.Exit(m.Run())
	}
	t := &testing.B{}
	st := open(t, dir, 1<<30)
	for i := uint64(0); ; i++ {
		b := blobtest.Block(t, int(i%7)*50_000+1, i)
		if err := st.Put(blobtest.Context(t), b); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		fmt.Println(b.CID())
	}
}

// What Put accepted before a kill -9 is there afterwards, whole, and nothing else is visible.
func TestKill(t *testing.T) {
	dir := t.TempDir()
	acked := map[string]bool{}
	for round := range 3 {
		cmd := exec.Command(os.Args[0])
		cmd.Env = append(os.Environ(), crashDir+"="+dir)
		cmd.Stderr = os.Stderr
		out, err := cmd.StdoutPipe()
		require.NoError(t, err)
		require.NoError(t, cmd.Start())
		lines := bufio.NewScanner(out)
		for range 50 + 37*round {
			require.True(t, lines.Scan(), "the child lives")
			acked[lines.Text()] = true
		}
		require.NoError(t, cmd.Process.Kill())
		for lines.Scan() { // what it said before it died counts too
			acked[lines.Text()] = true
		}
		require.Error(t, cmd.Wait())
		delete(acked, "")
		st := open(t, dir, 1<<30)
		for s := range acked {
			c, err := cid.Decode(s)
			require.NoError(t, err)
			_, err = st.Get(t.Context(), c)
			require.NoError(t, err)
		}
		var sum int64
		require.NoError(t, st.(*Store).eachBlock(func(_ [32]byte, path string, info fs.FileInfo) error {
			sum += diskSize(info.Size())
			return nil
		}))
		s, err := st.Stats(t.Context())
		require.NoError(t, err)
		require.Equal(t, blob.Stats{Blocks: s.Blocks, Bytes: sum, MaxBytes: 1 << 30}, s)
		require.GreaterOrEqual(t, s.Blocks, int64(len(acked)))
		require.NoError(t, st.Close())
	}
}

// The folder belongs to one process at a time, and to the next one as soon as that is gone.
func TestInUse(t *testing.T) {
	dir := t.TempDir()
	st := open(t, dir, 1<<20)
	_, err := Open(Config{Dir: dir, MaxBytes: 1, Logger: st.(*Store).cfg.Logger})
	require.ErrorIs(t, err, ErrInUse)
	require.NoError(t, st.Close())
	require.NoError(t, open(t, dir, 1<<20).Close())
}
