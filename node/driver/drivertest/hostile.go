package drivertest

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/nexara/nexara/node/driver"
)

// hostile programs are stopped, typed and metered, and nobody else feels them.
var hostile = []testCase{
	{name: "memory hog", run: func(t *testing.T, s *suite) {
		spec := s.spec("hog")
		spec.Limits.MemoryMiB = 64
		o, log, _ := s.run(t, spec)
		require.Equal(t, driver.OutOfMemory, o.Reason, "%+v\n%s", o, log)
		require.NotZero(t, o.ExitCode)
		allowed := (spec.Limits.MemoryMiB + min(spec.Limits.DiskMiB, s.caps.DiskInMemoryMiB)) << 20
		require.LessOrEqual(t, o.Usage.PeakMemory, allowed)
		require.Greater(t, o.Usage.PeakMemory, int64(16<<20))
		require.Positive(t, o.Usage.CPUNanos)
	}},
	{name: "memory below the program's need", run: func(t *testing.T, s *suite) {
		spec := s.spec("hog")
		spec.Limits.MemoryMiB = 8
		o, _, _ := s.run(t, spec)
		require.False(t, o.Succeeded())
	}},
	{name: "disk filler", needs: disk, run: func(t *testing.T, s *suite) {
		o := s.overfill(t, "fill")
		require.Equal(t, driver.OutOfDisk, o.Reason, "%+v", o)
	}},
	{name: "disk filler without names", needs: disk, run: func(t *testing.T, s *suite) {
		// Its files are gone when it has ended, so where the kernel counts, the
		// reason can be the program's own failure.
		o := s.overfill(t, "hide")
		require.Contains(t, []driver.Reason{driver.OutOfDisk, driver.Exited}, o.Reason)
	}},
	{name: "file larger than any disk", needs: disk, run: func(t *testing.T, s *suite) {
		spec := s.spec("sparse")
		o, log, r := s.run(t, spec)
		if o.Succeeded() {
			// A hole costs nothing where the kernel counts blocks, but it is not collected.
			_, err := outputs(t, r, spec.Limits)
			require.ErrorIs(t, err, driver.ErrOutputBytes, log)
		}
	}},
	{name: "endless loop", run: func(t *testing.T, s *suite) {
		spec := s.spec("spin")
		spec.Limits.WallSeconds = 1
		o, _, _ := s.run(t, spec)
		require.Equal(t, driver.OutOfTime, o.Reason)
		require.Equal(t, driver.KilledExitCode, o.ExitCode)
		require.GreaterOrEqual(t, o.Usage.Wall.Seconds(), 1.0, "not killed early")
		require.Positive(t, o.Usage.CPUNanos)
	}},
	{name: "endless sleep", run: func(t *testing.T, s *suite) {
		spec := s.spec("sleep", "100000000")
		spec.Limits.WallSeconds = 1
		o, _, _ := s.run(t, spec)
		require.Equal(t, driver.OutOfTime, o.Reason)
	}},
	{name: "output flood", run: func(t *testing.T, s *suite) {
		spec := s.spec("flood")
		spec.Limits.LogBytes = 256 << 10
		o, log, _ := s.run(t, spec)
		require.Equal(t, driver.LogOverflow, o.Reason, "%+v", o)
		require.LessOrEqual(t, int64(len(log)), spec.Limits.LogBytes+4096)
		require.Contains(t, log, "flood flood")
	}},
	{name: "fork bomb", needs: func(c driver.Capabilities) bool { return c.Processes }, run: func(t *testing.T, s *suite) {
		spec := s.spec("bomb")
		spec.Limits.PIDs = 40
		o, log, _ := s.run(t, spec)
		require.Equal(t, driver.OutOfPIDs, o.Reason, "%+v\n%s", o, log)
		require.Positive(t, o.Usage.CPUNanos)
	}},
	{name: "path that climbs out", needs: disk, run: func(t *testing.T, s *suite) {
		name := newID()
		spec := s.spec("climb", name)
		o, log, r := s.run(t, spec)
		require.True(t, o.Succeeded(), log)
		for _, dir := range append([]string{
			"/", "/tmp", "/var/tmp", filepath.Dir(r.OutputDir()), filepath.Dir(filepath.Dir(r.OutputDir())),
			filepath.Join(filepath.Dir(r.OutputDir()), "var/tmp"),
		}, s.Folders...) {
			_, err := os.Lstat(filepath.Join(dir, name))
			require.ErrorIs(t, err, os.ErrNotExist, dir)
		}
		out, err := outputs(t, r, spec.Limits)
		require.NoError(t, err)
		require.Equal(t, "ok", out["honest"])
	}},
	{name: "symlink out of the outputs", needs: disk, run: func(t *testing.T, s *suite) {
		for _, target := range []string{"/etc/passwd", "../../../../../../../etc/passwd", "..", "/proc/self/environ"} {
			spec := s.spec("link", target)
			o, log, r := s.run(t, spec)
			require.True(t, o.Succeeded(), log)
			out, err := outputs(t, r, spec.Limits)
			require.ErrorIs(t, err, driver.ErrOutputLink, target)
			require.Empty(t, out)
		}
	}},
	{name: "many files", needs: disk, run: func(t *testing.T, s *suite) {
		spec := s.spec("files", "300")
		spec.Limits.OutputFiles = 100
		o, log, r := s.run(t, spec)
		require.True(t, o.Succeeded(), log)
		_, err := outputs(t, r, spec.Limits)
		require.ErrorIs(t, err, driver.ErrOutputFiles)
	}},
	{name: "files without end", needs: disk, run: func(t *testing.T, s *suite) {
		spec := s.spec("files", "100000000")
		spec.Limits.DiskMiB = 4
		o, log, _ := s.run(t, spec)
		require.Equal(t, driver.OutOfDisk, o.Reason, "%+v\n%s", o, log)
	}},
	{name: "no network", run: func(t *testing.T, s *suite) {
		o, log, _ := s.run(t, s.spec("net"))
		require.Equal(t, 1, o.ExitCode, log)
	}},
	{name: "neighbours feel nothing", needs: disk, run: func(t *testing.T, s *suite) {
		var hostiles []driver.Run
		for _, act := range []string{"hog", "fill", "spin", "flood"} {
			spec := s.spec(act)
			spec.Limits.MemoryMiB, spec.Limits.WallSeconds, spec.Limits.CPUMilli = 96, 2, 500
			hostiles = append(hostiles, s.start(t, spec))
		}
		spec := s.spec("copy", "/in", "/out")
		spec.Inputs = testInputs(t)
		for range 3 {
			spec.ID = newID()
			o, log, r := s.run(t, spec)
			require.True(t, o.Succeeded(), "%+v\n%s", o, log)
			out, err := outputs(t, r, spec.Limits)
			require.NoError(t, err)
			require.Len(t, out, 3)
		}
		for _, r := range hostiles {
			o, _ := wait(t, r)
			require.False(t, o.Succeeded(), r.ID())
		}
	}},
}

func (s *suite) overfill(t *testing.T, act string) driver.Outcome {
	t.Helper()
	spec := s.spec(act)
	spec.Limits.DiskMiB = 8
	o, log, r := s.run(t, spec)
	require.Equal(t, 1, o.ExitCode, "the program was told\n%s", log)
	out, err := outputs(t, r, spec.Limits)
	require.NoError(t, err)
	total := 0
	for _, content := range out {
		total += len(content)
	}
	// A file system needs room for its own tables; a little of it may be left over.
	require.LessOrEqual(t, total, 12<<20)
	return o
}
