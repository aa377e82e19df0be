//go:build linux

package containerd_test

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/nexara/nexara/node/driver"
	"github.com/nexara/nexara/node/driver/containerd"
	"github.com/nexara/nexara/node/driver/drivertest"
)

// requireVar makes a missing runtime a failure instead of a skip.
const requireVar = "NEXARA_REQUIRE_CONTAINERS"

// host is a private containerd and a folder for drivers on it.
type host struct {
	dir    string
	daemon *containerd.Daemon
}

func newHost(t testing.TB) *host {
	t.Helper()
	// Guests are not root: they have to be able to walk to what is bound into them.
	// The name is short because sockets have short names.
	dir, err := os.MkdirTemp("", "nxc-")
	require.NoError(t, err)
	require.NoError(t, os.Chmod(dir, 0o711))
	h := &host{dir: dir}
	h.daemon, err = containerd.StartDaemon(context.Background(), h.config())
	if err != nil {
		require.NoError(t, os.RemoveAll(dir))
		if errors.Is(err, driver.ErrUnavailable) && os.Getenv(requireVar) != "1" {
			t.Skipf("needs root, containerd and runc (set %s=1 to make this a failure): %v", requireVar, err)
		}
		require.NoError(t, err)
	}
	t.Cleanup(func() {
		require.NoError(t, h.daemon.Stop(context.Background()))
		mounts, left := below(t, "/proc/self/mountinfo", dir), processes(t, func(arg string) bool { return strings.HasPrefix(arg, dir) })
		// A failed test must not litter either.
		for i := range mounts {
			_ = syscall.Unmount(strings.Fields(mounts[len(mounts)-1-i])[4], syscall.MNT_DETACH)
		}
		require.NoError(t, os.RemoveAll(dir))
		require.Empty(t, mounts, "mounts left")
		require.Empty(t, left, "processes left")
	})
	return h
}

func (h *host) config() containerd.DaemonConfig {
	return containerd.DaemonConfig{
		Root: filepath.Join(h.dir, "root"), State: filepath.Join(h.dir, "state"), Address: filepath.Join(h.dir, "c.sock"),
	}
}

// open opens a driver on the host. Options change its Config.
func (h *host) open(t testing.TB, options ...func(*containerd.Config)) *containerd.Driver {
	t.Helper()
	cfg := containerd.Config{
		Dir: filepath.Join(h.dir, "driver"), Address: h.daemon.Address(), Namespace: "nexara-test", OCIRuntime: os.Getenv(runtimeVar),
	}
	for _, o := range options {
		o(&cfg)
	}
	d, err := containerd.New(context.Background(), cfg)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, d.Close()) })
	return d
}

// clean fails if the host still has anything of a run.
func (h *host) clean(t *testing.T, id string) {
	t.Helper()
	require.NoDirExists(t, filepath.Join(h.dir, "driver", "runs", id))
	require.Empty(t, below(t, "/proc/self/mountinfo", filepath.Join(h.dir, "driver", "runs", id)), "mounts left")
	require.Empty(t, processes(t, func(arg string) bool { return arg == id }), "processes left")
	sum := sha256.Sum256([]byte(filepath.Join(h.daemon.Address(), "nexara-test", id)))
	require.NoFileExists(t, fmt.Sprintf("/run/containerd/s/%x", sum), "shim socket left")
	require.Empty(t, groups(t, id), "cgroups left")
	loops, err := filepath.Glob("/sys/block/loop*/loop/backing_file")
	require.NoError(t, err)
	for _, l := range loops {
		b, _ := os.ReadFile(l)
		require.NotContains(t, string(b), id, "loop device left")
	}
}

// groups are the control groups of a run: under each controller in v1, once in v2.
func groups(t *testing.T, id string) (found []string) {
	t.Helper()
	for _, pattern := range []string{"/sys/fs/cgroup/*/nexara/*/", "/sys/fs/cgroup/nexara/*/"} {
		list, err := filepath.Glob(pattern + id)
		require.NoError(t, err)
		found = append(found, list...)
	}
	return found
}

// below gives the lines of a file that contain text.
func below(t testing.TB, file, text string) (lines []string) {
	t.Helper()
	b, err := os.ReadFile(file)
	require.NoError(t, err)
	for _, l := range strings.Split(string(b), "\n") {
		if strings.Contains(l, text) {
			lines = append(lines, l)
		}
	}
	return lines
}

// processes gives the command lines with an argument that matches: whole arguments, as the machine runs more
// than this test. A shim ends a moment after its last container, so the answer is waited for.
func processes(t testing.TB, match func(arg string) bool) (found []string) {
	t.Helper()
	for end := time.Now().Add(10 * time.Second); time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
		found = nil
		files, err := filepath.Glob("/proc/[0-9]*/cmdline")
		require.NoError(t, err)
		for _, f := range files {
			b, err := os.ReadFile(f)
			if args := strings.Split(string(b), "\x00"); err == nil && slices.ContainsFunc(args, match) {
				found = append(found, strings.Join(args, " "))
			}
		}
		if len(found) == 0 {
			return nil
		}
	}
	return found
}

func TestConformance(t *testing.T) {
	for _, c := range []struct {
		name   string
		option func(*containerd.Config)
	}{
		{"disk in memory", func(*containerd.Config) {}},
		{"disk in a file", func(c *containerd.Config) { c.TmpfsMaxMiB = 1 }},
	} {
		t.Run(c.name, func(t *testing.T) {
			h := newHost(t)
			d := h.open(t, c.option)
			drivertest.Run(t, drivertest.Harness{
				Driver: d,
				Image:  drivertest.OCILayout(t),
				Reopen: func(t *testing.T) driver.Driver {
					require.NoError(t, d.Close())
					d = h.open(t, c.option)
					return d
				},
				Clean:   h.clean,
				Folders: []string{h.dir, filepath.Join(h.dir, "driver"), filepath.Join(h.dir, "driver", "runs")},
			})
			left, err := os.ReadDir(filepath.Join(h.dir, "driver", "runs"))
			require.NoError(t, err)
			require.Empty(t, left)
		})
	}
}
