//go:build linux

package containerd_test

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/nexara/nexara/node/driver"
	"github.com/nexara/nexara/node/driver/containerd"
	"github.com/nexara/nexara/node/driver/drivertest"
)

// childVar makes the test binary play a daemon that will be killed.
const childVar = "NEXARA_TEST_DAEMON"

func TestMain(m *testing.M) {
	if args := os.Getenv(childVar); args != "" {
		playDaemon(strings.Split(args, "\n"))
		return
	}
	if os.Getenv(runtimeVar) != "" {
		ownMounts()
	}
	os.Exit(m.Run())
}

// playDaemon starts two runs, says so, and waits to be killed.
func playDaemon(args []string) {
	die := func(err error) {
		if err != nil {
			fmt.Println("failed:", err)
			os.Exit(1)
		}
	}
	ctx := context.Background()
	d, err := containerd.New(ctx, containerd.Config{Dir: args[0], Address: args[1], Namespace: "nexara-test", OCIRuntime: os.Getenv(runtimeVar)})
	die(err)
	for _, s := range []driver.Spec{talk("survivor", args[2]), talk("orphan", args[2])} {
		_, err = d.Start(ctx, s)
		die(err)
	}
	fmt.Println("started")
	select {}
}

func talk(id, image string) driver.Spec {
	s := driver.Spec{ID: id, Image: image, Args: []string{"talk", "600"}, Limits: driver.DefaultLimits()}
	s.Limits.MemoryMiB = 64
	return s
}

// TestKilledDaemon: kill -9 of the daemon's process leaves its runs running; the
// next process recovers one, with its log, outputs and meter, and sweeps the other.
func TestKilledDaemon(t *testing.T) {
	h, image := newHost(t), drivertest.OCILayout(t)
	self, err := os.Executable()
	require.NoError(t, err)
	cmd := exec.Command(self)
	cmd.Env = append(os.Environ(), childVar+"="+strings.Join([]string{filepath.Join(h.dir, "driver"), h.daemon.Address(), image}, "\n"))
	out, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	line, err := bufio.NewReader(out).ReadString('\n')
	require.NoError(t, err)
	require.Equal(t, "started\n", line)
	require.NoError(t, cmd.Process.Kill())
	_ = cmd.Wait()

	ctx := context.Background()
	d := h.open(t)
	require.NotEmpty(t, groups(t, "survivor"), "what clean looks for is there while a run is")
	r, err := d.Recover(ctx, "survivor")
	require.NoError(t, err)
	_, err = d.Start(ctx, talk("orphan", image))
	require.ErrorIs(t, err, driver.ErrExists, "a program of that ID runs")
	removed, err := d.Sweep(ctx, []string{"survivor"})
	require.NoError(t, err)
	require.Equal(t, []string{"orphan"}, removed)
	h.clean(t, "orphan")
	o, err := r.Wait(ctx)
	require.NoError(t, err)
	require.True(t, o.Succeeded(), "%+v", o)
	b, err := os.ReadFile(r.LogPath())
	require.NoError(t, err)
	require.Contains(t, string(b), "line 599")
	require.Positive(t, o.Usage.CPUNanos)
	require.Positive(t, o.Usage.MemoryByteSeconds)
	require.NoError(t, r.Remove(ctx))
	h.clean(t, "survivor")
}

// TestRuntimeRestarts: containerd is killed and comes back; the run never notices.
func TestRuntimeRestarts(t *testing.T) {
	h := newHost(t)
	d := h.open(t)
	ctx := context.Background()
	r, err := d.Start(ctx, talk("patient", drivertest.OCILayout(t)))
	require.NoError(t, err)
	require.NoError(t, syscall.Kill(h.daemon.PID(), syscall.SIGKILL))
	cfg := h.config()
	cfg.Adopt = true
	h.daemon, err = containerd.StartDaemon(ctx, cfg)
	require.NoError(t, err)
	o, err := r.Wait(ctx)
	require.NoError(t, err)
	require.True(t, o.Succeeded(), "%+v", o)
	require.NoError(t, r.Remove(ctx))
	h.clean(t, "patient")
}

// TestRuntimeGone: containerd never comes back, so the run is a fault, not an
// outcome; and starting says that the runtime is unavailable.
func TestRuntimeGone(t *testing.T) {
	h, image := newHost(t), drivertest.OCILayout(t)
	d := h.open(t, func(c *containerd.Config) { c.RuntimeGrace = time.Second })
	ctx := context.Background()
	r, err := d.Start(ctx, talk("lost", image))
	require.NoError(t, err)
	require.NoError(t, syscall.Kill(h.daemon.PID(), syscall.SIGKILL))
	_, err = r.Wait(ctx)
	require.ErrorIs(t, err, driver.ErrFault)
	short, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	_, err = d.Start(short, talk("never", image))
	require.Error(t, err)
	cfg := h.config()
	cfg.Adopt = true
	h.daemon, err = containerd.StartDaemon(ctx, cfg)
	require.NoError(t, err)
	require.NoError(t, r.Remove(ctx), "removed although the watcher had given up")
	_, err = d.Sweep(ctx, nil)
	require.NoError(t, err)
	h.clean(t, "lost")
	h.clean(t, "never")
}

// TestShimKilled: the process between containerd and the program dies; the program
// dies with it, the run is a fault, and nothing is left.
func TestShimKilled(t *testing.T) {
	h := newHost(t)
	d := h.open(t)
	ctx := context.Background()
	r, err := d.Start(ctx, talk("shimless", drivertest.OCILayout(t)))
	require.NoError(t, err)
	files, err := filepath.Glob("/proc/[0-9]*/cmdline")
	require.NoError(t, err)
	for _, f := range files {
		b, _ := os.ReadFile(f)
		if strings.Contains(string(b), "containerd-shim") && strings.Contains(string(b), "shimless") {
			pid, err := strconv.Atoi(filepath.Base(filepath.Dir(f)))
			require.NoError(t, err)
			require.NoError(t, syscall.Kill(pid, syscall.SIGKILL))
		}
	}
	o, err := r.Wait(ctx)
	require.ErrorIs(t, err, driver.ErrFault, "%+v", o)
	require.NoError(t, r.Remove(ctx))
	h.clean(t, "shimless")
}

// TestDaemonClearsItsPast: a daemon that was left behind with a running container,
// as by kill -9 of everything above it, is cleared by the next one.
func TestDaemonClearsItsPast(t *testing.T) {
	h := newHost(t)
	d := h.open(t)
	ctx := context.Background()
	_, err := d.Start(ctx, talk("past", drivertest.OCILayout(t)))
	require.NoError(t, err)
	require.NoError(t, d.Close())
	h.daemon, err = containerd.StartDaemon(ctx, h.config())
	require.NoError(t, err)
	d = h.open(t)
	_, err = d.Recover(ctx, "past")
	require.ErrorIs(t, err, driver.ErrNotFound)
	_, err = d.Sweep(ctx, nil)
	require.NoError(t, err)
	h.clean(t, "past")
}
