package driver_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/nexara/nexara/node/driver"
)

func good() driver.Spec {
	return driver.Spec{ID: "lease-1.shard-2", Image: "/images/a", Limits: driver.DefaultLimits()}
}

func TestSpecRules(t *testing.T) {
	ok := good()
	ok.Inputs = []driver.Input{{"/data/a", "/in/a"}, {"/data/b", "/in/ab"}}
	ok.Env, ok.Args, ok.WorkDir = []string{"A=", "B=c=d"}, []string{""}, "/work"
	require.NoError(t, ok.Validate())

	for name, change := range map[string]func(*driver.Spec){
		"id empty":          func(s *driver.Spec) { s.ID = "" },
		"id slash":          func(s *driver.Spec) { s.ID = "a/b" },
		"id dots":           func(s *driver.Spec) { s.ID = ".." },
		"id long":           func(s *driver.Spec) { s.ID = strings.Repeat("a", 65) },
		"image relative":    func(s *driver.Spec) { s.Image = "images/a" },
		"image climbs":      func(s *driver.Spec) { s.Image = "/images/../a" },
		"args zero byte":    func(s *driver.Spec) { s.Args = []string{"a\x00b"} },
		"args large":        func(s *driver.Spec) { s.Args = []string{strings.Repeat("a", 1<<20)} },
		"env no value":      func(s *driver.Spec) { s.Env = []string{"A"} },
		"env no name":       func(s *driver.Spec) { s.Env = []string{"=a"} },
		"workdir relative":  func(s *driver.Spec) { s.WorkDir = "work" },
		"cpu zero":          func(s *driver.Spec) { s.Limits.CPUMilli = 0 },
		"wall for ever":     func(s *driver.Spec) { s.Limits.WallSeconds = 1 << 40 },
		"disk negative":     func(s *driver.Spec) { s.Limits.DiskMiB = -1 },
		"input elsewhere":   func(s *driver.Spec) { s.Inputs = []driver.Input{{"/data", "/etc"}} },
		"input climbs":      func(s *driver.Spec) { s.Inputs = []driver.Input{{"/data", "/in/../etc"}} },
		"inputs in another": func(s *driver.Spec) { s.Inputs = []driver.Input{{"/d", "/in/a/b"}, {"/d", "/in/a"}} },
	} {
		t.Run(name, func(t *testing.T) {
			s := good()
			change(&s)
			require.ErrorIs(t, s.Validate(), driver.ErrInvalidSpec)
		})
	}
}

func TestErrorClasses(t *testing.T) {
	err := fmt.Errorf("%w: eth0", driver.ErrNetworkUnsupported)
	require.ErrorIs(t, err, driver.ErrNetworkUnsupported)
	require.ErrorIs(t, err, driver.ErrUnsupported)
	require.False(t, errors.Is(driver.ErrOutputLink, driver.ErrOutputPath))
	require.ErrorIs(t, driver.ErrOutputLink, driver.ErrOutput)
	require.Equal(t, "unknown", driver.Reason(99).String())
	require.Equal(t, "out-of-memory", driver.OutOfMemory.String())
}

// collect gives what Collect visits as "path" or "path=content" lines.
func collect(dir string, limits driver.Limits) ([]string, driver.Collected, error) {
	var seen []string
	sum, err := driver.Collect(context.Background(), dir, limits, func(o driver.Output, r io.Reader) error {
		line := o.Path
		if !o.Dir {
			b, err := io.ReadAll(r)
			if err != nil {
				return err
			}
			if line += "=" + string(b); int64(len(b)) != o.Size {
				return errors.New("size")
			}
		}
		seen = append(seen, line)
		return nil
	})
	return seen, sum, err
}

func TestCollectOrder(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, "b.txt", "bb")
	write(t, dir, "a/z", "")
	write(t, dir, "a/model", "mm")
	require.NoError(t, os.Symlink("a/model", filepath.Join(dir, "latest")))
	require.NoError(t, os.Mkdir(filepath.Join(dir, "empty"), 0o700))
	seen, sum, err := collect(dir, driver.DefaultLimits())
	require.NoError(t, err)
	require.Equal(t, []string{"a", "a/model=mm", "a/z=", "b.txt=bb", "empty", "latest=mm"}, seen)
	require.Equal(t, driver.Collected{Files: 6, Bytes: 6}, sum)
}

func TestCollectRefuses(t *testing.T) {
	secret := filepath.Join(t.TempDir(), "secret")
	require.NoError(t, os.WriteFile(secret, []byte("secret"), 0o600))
	link := func(target string) func(*testing.T, string) {
		return func(t *testing.T, dir string) {
			write(t, dir, "ok", "fine")
			require.NoError(t, os.MkdirAll(filepath.Join(dir, "sub/deep"), 0o700))
			require.NoError(t, os.Symlink(target, filepath.Join(dir, "sub/link")))
		}
	}
	limits := driver.DefaultLimits()
	limits.OutputFiles, limits.OutputBytes = 10, 100
	for name, c := range map[string]struct {
		make func(*testing.T, string)
		want error
	}{
		"link to absolute":    {link(secret), driver.ErrOutputLink},
		"link climbs":         {link("../../" + filepath.Base(filepath.Dir(secret)) + "/secret"), driver.ErrOutputLink},
		"link to parent":      {link(".."), driver.ErrOutputLink},
		"link to folder":      {link("deep"), driver.ErrOutputLink},
		"link dangles":        {link("nothing"), driver.ErrOutputLink},
		"link to itself":      {link("link"), driver.ErrOutputLink},
		"link to proc":        {link("/proc/self/environ"), driver.ErrOutputLink},
		"link through a link": {func(t *testing.T, dir string) { link("..")(t, dir); link2(t, dir) }, driver.ErrOutputLink},
		"pipe": {func(t *testing.T, dir string) {
			require.NoError(t, syscall.Mkfifo(filepath.Join(dir, "pipe"), 0o600))
		}, driver.ErrOutputKind},
		"socket": {func(t *testing.T, dir string) {
			l, err := net.Listen("unix", filepath.Join(dir, "s"))
			require.NoError(t, err)
			t.Cleanup(func() { l.Close() })
		}, driver.ErrOutputKind},
		"bad name": {func(t *testing.T, dir string) { write(t, dir, "a\xff", "") }, driver.ErrOutputPath},
		"deep": {func(t *testing.T, dir string) {
			write(t, dir, strings.Repeat("d/", 70)+"f", "")
		}, driver.ErrOutput},
		"many": {func(t *testing.T, dir string) {
			for i := range 11 {
				write(t, dir, fmt.Sprint(i), "")
			}
		}, driver.ErrOutputFiles},
		"large": {func(t *testing.T, dir string) {
			write(t, dir, "a", strings.Repeat("a", 60))
			write(t, dir, "b", strings.Repeat("a", 41))
		}, driver.ErrOutputBytes},
		"sparse": {func(t *testing.T, dir string) {
			write(t, dir, "hole", "")
			require.NoError(t, os.Truncate(filepath.Join(dir, "hole"), 1<<40))
		}, driver.ErrOutputBytes},
	} {
		t.Run(name, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "o")
			require.NoError(t, os.Mkdir(dir, 0o700))
			c.make(t, dir)
			seen, _, err := collect(dir, limits)
			require.ErrorIs(t, err, c.want)
			require.ErrorIs(t, err, driver.ErrOutput)
			require.Empty(t, seen, "nothing is visited of a refused folder")
		})
	}
}

func TestCollectCancelled(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, "a", "")
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	_, err := driver.Collect(ctx, dir, driver.DefaultLimits(), nil)
	require.ErrorIs(t, err, context.Canceled)
	_, err = driver.Collect(context.Background(), filepath.Join(dir, "gone"), driver.DefaultLimits(), nil)
	require.ErrorIs(t, err, driver.ErrFault)
}

func link2(t *testing.T, dir string) {
	t.Helper()
	require.NoError(t, os.Symlink("sub/link/../../..", filepath.Join(dir, "second")))
}

func write(t *testing.T, dir, name, content string) {
	t.Helper()
	p := filepath.Join(dir, name)
	require.NoError(t, os.MkdirAll(filepath.Dir(p), 0o700))
	require.NoError(t, os.WriteFile(p, []byte(content), 0o600))
}
