package wasm

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
	experimentalsys "github.com/tetratelabs/wazero/experimental/sys"
	"pgregory.net/rapid"
)

// TestQuotaNeverLies: after any sequence of file operations the quota equals what
// is on disk or open, and never exceeds its limit.
func TestQuotaNeverLies(t *testing.T) {
	base := t.TempDir()
	n := 0
	rapid.Check(t, func(t *rapid.T) {
		n++
		dir := filepath.Join(base, fmt.Sprint(n))
		require.NoError(t, os.Mkdir(dir, 0o700))
		root, err := os.OpenRoot(dir)
		require.NoError(t, err)
		defer root.Close()
		const limit = 64 << 10
		q := newQuota(limit)
		d := &folder{root: root, quota: q, writable: true}
		var open []*openFile
		name := rapid.SampledFrom([]string{"a", "b", "d", "d/a", "d/b", "l", "../x", "l/y"})
		flags := rapid.SampledFrom([]experimentalsys.Oflag{
			experimentalsys.O_RDWR | experimentalsys.O_CREAT,
			experimentalsys.O_RDWR | experimentalsys.O_CREAT | experimentalsys.O_TRUNC,
			experimentalsys.O_WRONLY | experimentalsys.O_APPEND | experimentalsys.O_CREAT,
			experimentalsys.O_RDWR | experimentalsys.O_CREAT | experimentalsys.O_EXCL,
			experimentalsys.O_RDONLY,
		})
		size := rapid.IntRange(0, 40<<10)
		pick := func(t *rapid.T) *openFile {
			if len(open) == 0 {
				t.Skip("nothing open")
			}
			return open[rapid.IntRange(0, len(open)-1).Draw(t, "file")]
		}
		t.Repeat(map[string]func(*rapid.T){
			"open": func(t *rapid.T) {
				f, errno := d.OpenFile(name.Draw(t, "name"), flags.Draw(t, "flags"), 0o600)
				if errno != 0 {
					return
				}
				if of, ok := f.(*openFile); ok {
					open = append(open, of)
				} else {
					require.Zero(t, f.Close())
				}
			},
			"write": func(t *rapid.T) { pick(t).Write(make([]byte, size.Draw(t, "n"))) },
			"pwrite": func(t *rapid.T) {
				pick(t).Pwrite(make([]byte, size.Draw(t, "n")), int64(size.Draw(t, "at")))
			},
			"truncate": func(t *rapid.T) { pick(t).Truncate(int64(size.Draw(t, "n"))) },
			"seek":     func(t *rapid.T) { pick(t).Seek(int64(size.Draw(t, "n")), 0) },
			"close": func(t *rapid.T) {
				f := pick(t)
				require.Zero(t, f.Close())
				for i := range open {
					if open[i] == f {
						open = append(open[:i], open[i+1:]...)
						break
					}
				}
			},
			"unlink":  func(t *rapid.T) { d.Unlink(name.Draw(t, "name")) },
			"rmdir":   func(t *rapid.T) { d.Rmdir(name.Draw(t, "name")) },
			"mkdir":   func(t *rapid.T) { d.Mkdir(name.Draw(t, "name"), 0o700) },
			"rename":  func(t *rapid.T) { d.Rename(name.Draw(t, "from"), name.Draw(t, "to")) },
			"symlink": func(t *rapid.T) { d.Symlink(name.Draw(t, "target"), name.Draw(t, "name")) },
			"": func(t *rapid.T) {
				want := int64(0)
				require.NoError(t, filepath.WalkDir(dir, func(p string, e fs.DirEntry, err error) error {
					if err != nil || p == dir {
						return err
					}
					st, err := e.Info()
					if err == nil {
						if want += inodeCost; st.Mode().IsRegular() {
							want += st.Size()
						}
					}
					return err
				}))
				for _, node := range q.nodes {
					if node.orphan {
						want += inodeCost + node.size
					}
				}
				require.Equal(t, want, q.used)
				require.LessOrEqual(t, q.used, int64(limit))
				require.Equal(t, len(open), q.open)
				require.NoError(t, q.fault)
			},
		})
		for _, f := range open {
			require.Zero(t, f.Close())
		}
		require.Empty(t, q.nodes)
		entries, err := os.ReadDir(base)
		require.NoError(t, err)
		for _, e := range entries {
			require.True(t, e.IsDir(), "%s escaped", e.Name())
		}
	})
}
