package drivertest

import (
	"context"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/nexara/nexara/node/driver"
)

// honest programs get what they were promised.
var honest = []testCase{
	{name: "hello", run: func(t *testing.T, s *suite) {
		spec := s.spec("hello", "a b", "ü")
		spec.Env = []string{"NEXARA_SHARD=7", "EMPTY=", "EQ=a=b"}
		o, log, _ := s.run(t, spec)
		require.True(t, o.Succeeded(), "%+v\n%s", o, log)
		require.Contains(t, log, `args=["a b" "ü"]`)
		for _, e := range []string{`"NEXARA_SHARD=7"`, `"EMPTY="`, `"EQ=a=b"`} {
			require.Contains(t, log, e)
		}
		require.Contains(t, log, "dir=/\n")
		require.Contains(t, log, "to stderr")
		require.Positive(t, o.Usage.CPUNanos)
		require.Positive(t, o.Usage.PeakMemory)
	}},
	{name: "work folder", run: func(t *testing.T, s *suite) {
		spec := s.spec("hello")
		spec.WorkDir = driver.InputRoot
		o, log, _ := s.run(t, spec)
		require.True(t, o.Succeeded(), log)
		require.Contains(t, log, "dir=/in\n")
	}},
	{name: "exit code", run: func(t *testing.T, s *suite) {
		o, _, _ := s.run(t, s.spec("exit", "42"))
		require.Equal(t, driver.Exited, o.Reason)
		require.Equal(t, 42, o.ExitCode)
		require.False(t, o.Succeeded())
	}},
	{name: "inputs and outputs", needs: disk, run: func(t *testing.T, s *suite) {
		spec := s.spec("copy", "/in", "/out/copy")
		spec.Inputs = testInputs(t)
		o, log, r := s.run(t, spec)
		require.True(t, o.Succeeded(), log)
		out, err := outputs(t, r, spec.Limits)
		require.NoError(t, err)
		require.Equal(t, map[string]string{
			"copy/data/a.txt": "alpha", "copy/data/sub/b.txt": "beta", "copy/more/one": "single",
		}, out)
	}},
	{name: "one input at the root", needs: disk, run: func(t *testing.T, s *suite) {
		spec := s.spec("copy", "/in/sub", "/out")
		spec.Inputs = testInputs(t)[:1]
		spec.Inputs[0].GuestPath = driver.InputRoot
		o, log, r := s.run(t, spec)
		require.True(t, o.Succeeded(), log)
		out, err := outputs(t, r, spec.Limits)
		require.NoError(t, err)
		require.Equal(t, map[string]string{"b.txt": "beta"}, out)
	}},
	{name: "inputs are read-only", run: func(t *testing.T, s *suite) {
		spec := s.spec("tamper", "/in/data", "/in/data/a.txt")
		spec.Inputs = testInputs(t)
		o, log, _ := s.run(t, spec)
		require.Equal(t, 1, o.ExitCode, log)
		require.Contains(t, log, "all refused")
		b, err := os.ReadFile(filepath.Join(spec.Inputs[0].HostPath, "a.txt"))
		require.NoError(t, err)
		require.Equal(t, "alpha", string(b))
	}},
	{name: "disk is given back", needs: disk, run: func(t *testing.T, s *suite) {
		spec := s.spec("churn")
		spec.Limits.DiskMiB = 4
		o, log, _ := s.run(t, spec)
		require.True(t, o.Succeeded(), log)
	}},
	{name: "no disk", run: func(t *testing.T, s *suite) {
		spec := s.spec("fill")
		spec.Limits.DiskMiB = 0
		o, log, r := s.run(t, spec)
		require.False(t, o.Succeeded(), log)
		out, err := outputs(t, r, spec.Limits)
		require.NoError(t, err)
		for p, content := range out {
			require.Empty(t, content, p)
		}
	}},
	{name: "metering", run: func(t *testing.T, s *suite) {
		o, log, _ := s.run(t, s.spec("burn", "800"))
		require.True(t, o.Succeeded(), log)
		wall := o.Usage.Wall.Nanoseconds()
		require.GreaterOrEqual(t, o.Usage.CPUNanos, wall/10, "a loop is CPU time")
		require.LessOrEqual(t, o.Usage.CPUNanos, 2*wall, "one thread cannot use two cores")
		require.Positive(t, o.Usage.MemoryByteSeconds)

		idle, log, _ := s.run(t, s.spec("sleep", "800"))
		require.True(t, idle.Succeeded(), log)
		if s.caps.Facts["cpu"] != "wall time" {
			require.Less(t, idle.Usage.CPUNanos, o.Usage.CPUNanos, "sleeping is not CPU time")
		}
	}},
	{
		name: "a share of a core", needs: func(c driver.Capabilities) bool { return c.CPUFractions },
		run: func(t *testing.T, s *suite) {
			// Beside others that take whatever they get.
			for range 2 {
				other := s.spec("spin")
				other.Limits.WallSeconds = 60
				s.start(t, other)
			}
			spec := s.spec("burn", "3000")
			spec.Limits.CPUMilli = 200
			o, log, _ := s.run(t, spec)
			require.True(t, o.Succeeded(), log)
			// What a runtime spends before the program's first instruction is metered, and not capped.
			used := o.Usage.CPUNanos - (50 * time.Millisecond).Nanoseconds()
			require.LessOrEqual(t, used, o.Usage.Wall.Nanoseconds()*24/100, "a fifth of a core was promised")
		},
	},
	{name: "prepare once", run: func(t *testing.T, s *suite) {
		ctx, cancel := context.WithTimeout(context.Background(), deadline)
		defer cancel()
		a, err := s.Driver.Prepare(ctx, s.Image)
		require.NoError(t, err)
		b, err := s.Driver.Prepare(ctx, s.Image)
		require.NoError(t, err)
		require.True(t, b.Cached)
		require.Equal(t, a.Digest, b.Digest)
		require.Len(t, a.Digest, len("sha256:")+64)
		require.Positive(t, a.Bytes)
	}},
}

// testInputs are two folders' worth of files at different depths.
func testInputs(t *testing.T) []driver.Input {
	t.Helper()
	// Guests are not root and have to be able to read.
	dir, err := os.MkdirTemp("", "nexara-inputs-")
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, os.RemoveAll(dir)) })
	require.NoError(t, os.Chmod(dir, 0o755))
	data := filepath.Join(dir, "tree")
	require.NoError(t, os.MkdirAll(filepath.Join(data, "sub"), 0o755))
	for name, content := range map[string]string{
		filepath.Join(data, "a.txt"): "alpha", filepath.Join(data, "sub/b.txt"): "beta", filepath.Join(dir, "single"): "single",
	} {
		require.NoError(t, os.WriteFile(name, []byte(content), 0o644))
	}
	return []driver.Input{
		{HostPath: data, GuestPath: "/in/data"},
		{HostPath: filepath.Join(dir, "single"), GuestPath: "/in/more/one"},
	}
}
