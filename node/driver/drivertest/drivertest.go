// Package drivertest is the conformance suite of drivers: Run takes a driver and
// shows, with real programs, that it keeps the contract of node/driver. Every
// driver calls it from its own test with a Harness and adds what is particular to
// it. The programs come from testdata/guest, compiled by the suite for wasip1 and
// for Linux; the container image is built here too, no registry is asked.
//
// The suite never asserts how long something takes; it waits for conditions under
// a generous deadline. It is imported by tests only.
package drivertest

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"io"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/nexara/nexara/node/driver"
)

// Harness is one driver under test.
type Harness struct {
	// Driver is open and knows no run.
	Driver driver.Driver
	// Image holds the guest program: WASM or OCILayout made it.
	Image string
	// Reopen abandons the driver as a killed process would and opens another on
	// the same state. The suite uses only what it returned last.
	Reopen func(t *testing.T) driver.Driver
	// Clean fails the test if the host still has anything of the run.
	Clean func(t *testing.T, id string)
	// Folders of the host that a climbing guest might reach, besides the usual.
	Folders []string
}

// deadline bounds every wait of the suite; it is not a measure of anything.
const deadline = 2 * time.Minute

// suite is a Harness at work.
type suite struct {
	Harness
	caps driver.Capabilities
}

// Run applies every case to the driver.
func Run(t *testing.T, h Harness) {
	ctx, cancel := context.WithTimeout(context.Background(), deadline)
	defer cancel()
	caps, err := h.Driver.Capabilities(ctx)
	require.NoError(t, err)
	require.Equal(t, h.Driver.Name(), caps.Runtime)
	require.Positive(t, caps.CPUMilli)
	require.Positive(t, caps.MemoryMiB)
	t.Logf("capabilities: %+v", caps)
	s := &suite{h, caps}
	for _, c := range append(append(honest, hostile...), lifecycle...) {
		t.Run(c.name, func(t *testing.T) {
			if c.needs != nil && !c.needs(caps) {
				t.Skip("the driver does not offer this")
			}
			c.run(t, s)
		})
	}
}

type testCase struct {
	name  string
	needs func(driver.Capabilities) bool
	run   func(*testing.T, *suite)
}

func disk(c driver.Capabilities) bool { return c.DiskMiB > 0 }

// spec gives a run of the guest that should be at ease.
func (s *suite) spec(args ...string) driver.Spec {
	l := driver.DefaultLimits()
	l.DiskMiB, l.WallSeconds = min(16, s.caps.DiskMiB), 60
	return driver.Spec{ID: newID(), Image: s.Image, Args: args, Limits: l}
}

// newID is random because IDs must be unique among everything on the host.
func newID() string {
	var b [6]byte
	_, _ = rand.Read(b[:])
	return "test-" + hex.EncodeToString(b[:])
}

// start starts a run and sees to it that nothing of it survives the test.
func (s *suite) start(t *testing.T, spec driver.Spec) driver.Run {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), deadline)
	defer cancel()
	r, err := s.Driver.Start(ctx, spec)
	require.NoError(t, err)
	require.Equal(t, spec.ID, r.ID())
	t.Cleanup(func() { s.remove(t, r) })
	return r
}

func (s *suite) remove(t *testing.T, r driver.Run) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), deadline)
	defer cancel()
	require.NoError(t, r.Remove(ctx))
	require.NoError(t, r.Remove(ctx), "Remove is idempotent")
	s.gone(t, r)
}

// gone checks that a removed run left nothing.
func (s *suite) gone(t *testing.T, r driver.Run) {
	t.Helper()
	require.NoFileExists(t, r.LogPath())
	require.NoDirExists(t, r.OutputDir())
	s.Clean(t, r.ID())
}

// wait gives the outcome and the log.
func wait(t *testing.T, r driver.Run) (driver.Outcome, string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), deadline)
	defer cancel()
	o, err := r.Wait(ctx)
	require.NoError(t, err)
	again, err := r.Wait(ctx)
	require.NoError(t, err)
	require.Equal(t, o, again, "Wait gives the same answer each time")
	b, err := os.ReadFile(r.LogPath())
	require.NoError(t, err)
	plausible(t, o)
	return o, string(b)
}

// run starts and waits.
func (s *suite) run(t *testing.T, spec driver.Spec) (driver.Outcome, string, driver.Run) {
	t.Helper()
	r := s.start(t, spec)
	o, log := wait(t, r)
	return o, log, r
}

// plausible holds for every outcome there is.
func plausible(t *testing.T, o driver.Outcome) {
	t.Helper()
	u := o.Usage
	require.NotEqual(t, "unknown", o.Reason.String())
	require.False(t, o.Finished.Before(o.Started))
	require.Equal(t, o.Finished.Sub(o.Started), u.Wall)
	require.GreaterOrEqual(t, u.CPUNanos, int64(0))
	require.GreaterOrEqual(t, u.MemoryByteSeconds, int64(0))
	// An integral cannot exceed its maximum over its length; a second is slack
	// for sampling, which starts late and ends late.
	require.LessOrEqual(t, float64(u.MemoryByteSeconds), float64(u.PeakMemory)*(u.Wall.Seconds()+1))
	require.Zero(t, u.BytesIn)
	require.Zero(t, u.BytesOut)
}

// outputs collects what the run left, as path and content.
func outputs(t *testing.T, r driver.Run, l driver.Limits) (map[string]string, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), deadline)
	defer cancel()
	out := map[string]string{}
	_, err := driver.Collect(ctx, r.OutputDir(), l, func(o driver.Output, r io.Reader) error {
		if o.Dir {
			return nil
		}
		b, err := io.ReadAll(r)
		out[o.Path] = string(b)
		return err
	})
	return out, err
}

// logged waits until the log of a running run contains text.
func logged(t *testing.T, r driver.Run, text string) {
	t.Helper()
	require.Eventually(t, func() bool {
		b, err := os.ReadFile(r.LogPath())
		return err == nil && strings.Contains(string(b), text)
	}, deadline, 5*time.Millisecond, "the log never said %q", text)
}
