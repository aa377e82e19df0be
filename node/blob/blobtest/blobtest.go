// Package blobtest is the conformance suite of the blob contract: every blob.Store passes Run, every
// blob.Fetcher passes RunFetcher. It is imported by tests only and never by the daemons.
package blobtest

import (
	"bytes"
	"context"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/ipfs/go-cid"
	"github.com/stretchr/testify/require"

	"github.com/nexara/nexara/node/blob"
)

// seed of every random byte in the suite; a failing run prints it.
const seed = 20260101

// Bytes gives n bytes that depend on the tag only.
func Bytes(n int, tag uint64) []byte {
	r := rand.New(rand.NewPCG(seed, tag))
	out := make([]byte, n)
	for i := 0; i < n; i += 8 {
		v := r.Uint64()
		for j := i; j < min(i+8, n); j++ {
			out[j] = byte(v)
			v >>= 8
		}
	}
	return out
}

// Block is a raw block of n bytes that depend on the tag only.
func Block(t testing.TB, n int, tag uint64) blob.Block {
	t.Helper()
	b, err := blob.NewBlock(cid.Raw, Bytes(n, tag))
	require.NoError(t, err)
	return b
}

// Tree stores a directory with a large file, a small file and a sub-directory, and returns its root and the
// raw leaves of the large file.
func Tree(t testing.TB, st blob.Writer, tag uint64) (root blob.Node, leaves []blob.Block) {
	t.Helper()
	ctx := Context(t)
	const leaf = 1 << 20
	data := Bytes(3*leaf+77, tag)
	big, err := blob.AddBytes(ctx, st, data)
	require.NoError(t, err)
	for len(data) > 0 {
		n := min(leaf, len(data))
		b, err := blob.NewBlock(cid.Raw, data[:n])
		require.NoError(t, err)
		leaves, data = append(leaves, b), data[n:]
	}
	small, err := blob.AddBytes(ctx, st, []byte("a small file\n"))
	require.NoError(t, err)
	empty, err := blob.AddBytes(ctx, st, nil)
	require.NoError(t, err)
	sub, err := blob.AddDir(ctx, st, []blob.Entry{{Name: "small.txt", Node: small}, {Name: "empty", Node: empty}})
	require.NoError(t, err)
	root, err = blob.AddDir(ctx, st, []blob.Entry{{Name: "big.bin", Node: big}, {Name: "sub", Node: sub}})
	require.NoError(t, err)
	return root, leaves
}

// Context ends before the test binary would be killed, so that a hang is a failure with a stack.
func Context(t testing.TB) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	t.Cleanup(cancel)
	return ctx
}

// Corrupt flips one bit in the stored copy of a block below dir, wherever the store keeps it.
func Corrupt(t testing.TB, dir string, b blob.Block) {
	t.Helper()
	path := find(t, dir, b.Data())
	data := bytes.Clone(b.Data())
	data[len(data)/2] ^= 1
	require.NoError(t, os.WriteFile(path, data, 0o600))
}

// Remove deletes the stored copy of a block behind the store's back.
func Remove(t testing.TB, dir string, b blob.Block) {
	t.Helper()
	require.NoError(t, os.Remove(find(t, dir, b.Data())))
}

func find(t testing.TB, dir string, data []byte) string {
	t.Helper()
	found := ""
	require.NoError(t, filepath.WalkDir(dir, func(p string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		got, err := os.ReadFile(p)
		if bytes.Equal(got, data) {
			found = p
		}
		return err
	}))
	require.NotEmpty(t, found, "no stored copy of the block below %s", dir)
	return found
}

// Equal checks that the tree below root, exported from r, is the one that Tree with the same tag makes.
func Equal(t testing.TB, r blob.Reader, root cid.Cid, tag uint64) {
	t.Helper()
	dest := filepath.Join(t.TempDir(), "out")
	out, err := blob.Export(Context(t), r, root, dest, blob.Limits{})
	require.NoError(t, err)
	require.Equal(t, blob.Exported{Kind: blob.KindDir, Files: 3, Bytes: 3<<20 + 77 + 13}, out)
	got, err := os.ReadFile(filepath.Join(dest, "big.bin"))
	require.NoError(t, err)
	require.True(t, bytes.Equal(Bytes(3<<20+77, tag), got), "big.bin differs")
	got, err = os.ReadFile(filepath.Join(dest, "sub", "small.txt"))
	require.NoError(t, err)
	require.Equal(t, "a small file\n", string(got))
}
