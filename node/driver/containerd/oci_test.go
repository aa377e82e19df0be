//go:build linux

package containerd_test

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/nexara/nexara/node/driver"
	"github.com/nexara/nexara/node/driver/containerd"
)

// runtimeVar names the OCI runtime of every test; empty leaves the choice to the driver. A test binary that gets it
// has mounts of its own.
const runtimeVar = "NEXARA_TEST_OCI_RUNTIME"

// unifiedDir is where hosts with control groups of version 1 may have the empty hierarchy of version 2.
const unifiedDir = "/sys/fs/cgroup/unified"

// ownMounts hides what makes crun refuse a host: controllers that version 1 does not have and version 2 therefore
// keeps. It is for a process that was started with mounts of its own.
func ownMounts() {
	if _, err := os.Stat(unifiedDir); err != nil {
		return
	}
	if err := unix.Mount("tmpfs", unifiedDir, "tmpfs", 0, "size=1m,mode=755"); err != nil {
		fmt.Println("failed:", err)
		os.Exit(1)
	}
}

// TestOtherRuntime runs all tests of this package on the OCI runtime that the driver does not choose here.
func TestOtherRuntime(t *testing.T) {
	if os.Getenv(runtimeVar) != "" {
		t.Skip("this is it")
	}
	caps, err := newHost(t).open(t).Capabilities(context.Background())
	require.NoError(t, err)
	other := "crun"
	if caps.Facts["runtime"] == "crun" {
		other = "runc"
	}
	if _, err := exec.LookPath(other); err != nil {
		t.Skip(err)
	}
	self, err := os.Executable()
	require.NoError(t, err)
	cmd := exec.Command(self, "-test.v", "-test.timeout=10m")
	cmd.Env = append(os.Environ(), runtimeVar+"="+other, requireVar+"=1")
	cmd.SysProcAttr = &syscall.SysProcAttr{Unshareflags: syscall.CLONE_NEWNS, Pdeathsig: syscall.SIGKILL}
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, "on %s: %s", other, out)
	t.Logf("on %s all of %d tests passed", other, strings.Count(string(out), "--- PASS"))
}

// fakeCrun puts a program called crun before any other.
func fakeCrun(t *testing.T, script string) {
	t.Helper()
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "crun"), []byte("#!/bin/sh\n"+script), 0o755))
	t.Setenv("PATH", dir+":"+os.Getenv("PATH"))
}

// TestRuntimeMustProveItself: a crun is used only when its container has everything that is demanded, whatever it
// says of itself.
func TestRuntimeMustProveItself(t *testing.T) {
	if os.Getenv(runtimeVar) != "" {
		t.Skip("the choice is made")
	}
	lies := func(change string) string {
		return `for a; do [ "$last" = --bundle ] && sed -i '` + change + `' "$a/config.json"; last=$a; done; exec runc "$@"`
	}
	for name, c := range map[string]struct{ script, why string }{
		"refuses":        {"echo no >&2; exit 1", "create"},
		"new privileges": {lies(`s/"noNewPrivileges":true/"noNewPrivileges":false/`), "NoNewPrivs"},
		"no filter":      {lies(`s/"seccomp":/"nothing":/`), "Seccomp"},
		"root":           {lies(`s/"uid":65534/"uid":0/`), "Uid"},
		"writable":       {lies(`s/"readonly":true/"readonly":false/`), "root can be written"},
		"no namespace":   {lies(`s/,{"type":"network"}//`), "namespace"},
		"memory":         {lies(`s/"memory":{[^}]*},*//`), "memory"},
		"processes":      {lies(`s/,"pids":{[^}]*}//`), "pids"},
		"group":          {lies(`s#"cgroupsPath":"/nexara/nexara-test/#&x#`), "cpu."},
	} {
		t.Run(name, func(t *testing.T) {
			fakeCrun(t, c.script)
			h := newHost(t)
			caps, err := h.open(t).Capabilities(context.Background())
			require.NoError(t, err)
			require.Contains(t, caps.Facts["runtime"], "runc; not crun: ")
			t.Log(caps.Facts["runtime"])
			_, err = containerd.New(context.Background(), containerd.Config{
				Dir: filepath.Join(h.dir, "forced"), Address: h.daemon.Address(), Namespace: "nexara-test", OCIRuntime: "crun",
			})
			require.ErrorIs(t, err, driver.ErrUnavailable)
			require.ErrorContains(t, err, c.why)
			h.clean(t, "probe")
			require.NoDirExists(t, filepath.Join(h.dir, "driver", "probe"))
		})
	}
	t.Run("honest", func(t *testing.T) {
		fakeCrun(t, `exec runc "$@"`)
		h := newHost(t)
		caps, err := h.open(t).Capabilities(context.Background())
		require.NoError(t, err)
		require.Equal(t, "crun", caps.Facts["runtime"])
		h.clean(t, "probe")
	})
}
