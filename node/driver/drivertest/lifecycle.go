package drivertest

import (
	"context"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/nexara/nexara/node/driver"
)

// lifecycle cases are about the run as a thing: its ends, its ways back, its traces.
var lifecycle = []testCase{
	{name: "stop in the middle", run: func(t *testing.T, s *suite) {
		for _, act := range [][]string{{"spin"}, {"sleep", "100000000"}} {
			r := s.start(t, s.spec(act...))
			ctx, cancel := context.WithTimeout(context.Background(), deadline)
			defer cancel()
			require.NoError(t, r.Stop(ctx))
			o, _ := wait(t, r)
			require.Equal(t, driver.Stopped, o.Reason)
			require.NoError(t, r.Stop(ctx), "stopping an ended run does nothing")
			again, _ := wait(t, r)
			require.Equal(t, o, again)
		}
	}},
	{name: "a wait may give up", run: func(t *testing.T, s *suite) {
		r := s.start(t, s.spec("sleep", "100000000"))
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		_, err := r.Wait(ctx)
		require.ErrorIs(t, err, context.Canceled)
		require.NotErrorIs(t, err, driver.ErrFault)
	}},
	{name: "starting is all the context bounds", run: func(t *testing.T, s *suite) {
		ctx, cancel := context.WithCancel(context.Background())
		r, err := s.Driver.Start(ctx, s.spec("talk", "20"))
		cancel()
		require.NoError(t, err)
		defer s.remove(t, r)
		o, log := wait(t, r)
		require.True(t, o.Succeeded(), log)
		require.Contains(t, log, "line 19")
	}},
	{name: "log can be followed", run: func(t *testing.T, s *suite) {
		r := s.start(t, s.spec("talk", "100000"))
		logged(t, r, "line 3")
		logged(t, r, "line 30")
		ctx, cancel := context.WithTimeout(context.Background(), deadline)
		defer cancel()
		require.NoError(t, r.Stop(ctx))
	}},
	{name: "remove while running", run: func(t *testing.T, s *suite) {
		r := s.start(t, s.spec("spin"))
		s.remove(t, r)
		o, err := r.Wait(context.Background())
		if err == nil {
			require.Equal(t, driver.Stopped, o.Reason)
		}
	}},
	{name: "one ID, one run", run: func(t *testing.T, s *suite) {
		spec := s.spec("sleep", "100000000")
		r := s.start(t, spec)
		_, err := s.Driver.Start(context.Background(), spec)
		require.ErrorIs(t, err, driver.ErrExists)
		s.remove(t, r)
		spec.Args = []string{"nothing"}
		o, _, _ := s.run(t, spec)
		require.True(t, o.Succeeded(), "a removed ID is free again")
	}},
	{name: "many at once", run: func(t *testing.T, s *suite) {
		var all sync.WaitGroup
		for range 8 {
			spec := s.spec("hello", newID())
			r := s.start(t, spec)
			all.Go(func() {
				o, log := wait(t, r)
				if !o.Succeeded() {
					t.Errorf("%s: %+v\n%s", r.ID(), o, log)
				}
			})
		}
		all.Wait()
	}},
	{name: "refusals", run: func(t *testing.T, s *suite) {
		ctx, cancel := context.WithTimeout(context.Background(), deadline)
		defer cancel()
		bad := s.spec("hello")
		bad.ID = "../up"
		_, err := s.Driver.Start(ctx, bad)
		require.ErrorIs(t, err, driver.ErrInvalidSpec)

		gone := s.spec("hello")
		gone.Image = filepath.Join(t.TempDir(), "nothing")
		_, err = s.Driver.Start(ctx, gone)
		require.ErrorIs(t, err, driver.ErrInvalidImage)
		s.Clean(t, gone.ID)

		junk := filepath.Join(t.TempDir(), "junk")
		require.NoError(t, os.WriteFile(junk, []byte("not an image"), 0o600))
		_, err = s.Driver.Prepare(ctx, junk)
		require.ErrorIs(t, err, driver.ErrInvalidImage)

		missing := s.spec("hello")
		missing.Inputs = []driver.Input{{HostPath: filepath.Join(t.TempDir(), "nothing"), GuestPath: "/in/x"}}
		_, err = s.Driver.Start(ctx, missing)
		require.ErrorIs(t, err, driver.ErrFault)
		s.Clean(t, missing.ID)

		huge := s.spec("hello")
		huge.Limits.DiskMiB = 16 << 20
		_, err = s.Driver.Start(ctx, huge)
		require.Error(t, err)
		s.Clean(t, huge.ID)

		if !s.caps.Network {
			net := s.spec("net")
			net.Network = true
			_, err = s.Driver.Start(ctx, net)
			require.ErrorIs(t, err, driver.ErrNetworkUnsupported)
			require.ErrorIs(t, err, driver.ErrUnsupported)
			s.Clean(t, net.ID)
		}
	}},
	{name: "sweep", run: func(t *testing.T, s *suite) {
		ctx, cancel := context.WithTimeout(context.Background(), deadline)
		defer cancel()
		keep, drop := s.start(t, s.spec("sleep", "100000000")), s.start(t, s.spec("sleep", "100000000"))
		removed, err := s.Driver.(driver.Sweeper).Sweep(ctx, []string{keep.ID(), "test-never-existed"})
		require.NoError(t, err)
		require.Contains(t, removed, drop.ID())
		require.NotContains(t, removed, keep.ID())
		s.gone(t, drop)
		require.FileExists(t, keep.LogPath())
	}},
	{name: "recover", run: func(t *testing.T, s *suite) {
		ctx, cancel := context.WithTimeout(context.Background(), deadline)
		defer cancel()
		_, err := s.Driver.(driver.Recoverer).Recover(ctx, newID())
		require.ErrorIs(t, err, driver.ErrNotFound)
		if s.caps.Recovers {
			s.recovers(t, ctx)
			return
		}
		// Runs died with the process, so nothing is found, and a sweep clears the rest.
		spec := s.spec("nothing")
		r, err := s.Driver.Start(ctx, spec)
		require.NoError(t, err)
		s.Driver = s.Reopen(t)
		_, err = s.Driver.(driver.Recoverer).Recover(ctx, spec.ID)
		require.ErrorIs(t, err, driver.ErrNotFound)
		_, err = s.Driver.(driver.Sweeper).Sweep(ctx, []string{spec.ID})
		require.NoError(t, err)
		s.gone(t, r)
	}},
}

// recovers throws the driver away over running, ended and overdue runs.
func (s *suite) recovers(t *testing.T, ctx context.Context) {
	t.Helper()
	late := s.spec("spin")
	late.Limits.WallSeconds = 2
	var runs []driver.Run
	for _, spec := range []driver.Spec{s.spec("talk", "400"), s.spec("exit", "7"), late} {
		r, err := s.Driver.Start(ctx, spec)
		require.NoError(t, err)
		runs = append(runs, r)
	}
	going, quick, overdue := runs[0], runs[1], runs[2]
	logged(t, going, "line 1\n")

	s.Driver = s.Reopen(t)
	rec := s.Driver.(driver.Recoverer)
	for _, c := range []struct {
		run    driver.Run
		reason driver.Reason
		code   int
	}{{going, driver.Exited, 0}, {quick, driver.Exited, 7}, {overdue, driver.OutOfTime, driver.KilledExitCode}} {
		again, err := rec.Recover(ctx, c.run.ID())
		require.NoError(t, err)
		require.Equal(t, c.run.OutputDir(), again.OutputDir())
		o, log := wait(t, again)
		require.Equal(t, c.reason, o.Reason, "%+v\n%s", o, log)
		require.Equal(t, c.code, o.ExitCode)
		require.Positive(t, o.Usage.CPUNanos)
		require.WithinDuration(t, time.Now(), o.Started, deadline)
		if c.run == going {
			require.Contains(t, log, "line 399")
		}
		s.remove(t, again)
	}
	_, err := rec.Recover(ctx, going.ID())
	require.ErrorIs(t, err, driver.ErrNotFound)
}
