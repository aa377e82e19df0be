package store

import (
	"bufio"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

const crashEnv = "NEXARA_STORE_CRASH_CHILD"

func TestMain(m *testing.M) {
	if path := os.Getenv(crashEnv); path != "" {
		crashChild(path)
		return
	}
	goleak.VerifyTestMain(m)
}

// crashChild appends for ever and prints each lease and step count that Append
// has confirmed. Its parent kills it.
func crashChild(path string) {
	j, err := Open(Config{Path: path, KeepFinished: 8})
	if err != nil {
		fmt.Println("open:", err)
		return
	}
	next := uint64(1)
	for _, l := range j.Leases() {
		next = max(next, l.ID+1)
	}
	for {
		if f, err := j.Finished(next); err != nil || f == nil {
			break
		}
		next++
	}
	var wg sync.WaitGroup
	for w := range uint64(4) {
		wg.Go(func() {
			for id := next + w; ; id += 4 {
				for n, s := range whole() {
					if err := j.Append(id, s); err != nil {
						fmt.Println("append:", err)
						return
					}
					fmt.Printf("%d %d\n", id, n+1)
				}
			}
		})
	}
	wg.Wait()
}

// steps counts how far a lease got along whole().
func steps(l *Lease) int {
	n := 1
	for _, done := range []bool{l.Acknowledged != nil, l.ImageFetched != nil, l.InputsFetched != nil, l.Result != nil, l.Custody != nil, l.Delivered != nil} {
		if done {
			n++
		}
	}
	for _, s := range l.Shards {
		for _, done := range []bool{s.Started != nil, s.Ended != nil, s.Packed != nil} {
			if done {
				n++
			}
		}
	}
	return n
}

// TestKill kills a writing process again and again. What Append confirmed must be
// there; what was in flight is there whole or not at all.
func TestKill(t *testing.T) {
	seed := uint64(20260917)
	t.Logf("seed %d", seed)
	rng := rand.New(rand.NewPCG(seed, 0))
	path := filepath.Join(t.TempDir(), "journal.db")
	exe, err := os.Executable()
	require.NoError(t, err)
	for round := range 8 {
		cmd := exec.Command(exe, "-test.run=^$")
		cmd.Env = append(os.Environ(), crashEnv+"="+path)
		out, err := cmd.StdoutPipe()
		require.NoError(t, err)
		require.NoError(t, cmd.Start())
		killAt := 20 + rng.IntN(400)
		confirmed := map[uint64]int{}
		lines := bufio.NewScanner(out)
		for n := 0; lines.Scan(); n++ {
			var id uint64
			var count int
			if _, err := fmt.Sscanf(lines.Text(), "%d %d", &id, &count); err != nil {
				require.NoError(t, cmd.Process.Kill())
				t.Fatalf("child: %s", lines.Text())
			}
			confirmed[id] = count
			if n == killAt {
				require.NoError(t, cmd.Process.Signal(syscall.SIGKILL))
			}
		}
		require.Error(t, cmd.Wait())
		require.GreaterOrEqual(t, len(confirmed), 1)

		j, err := Open(Config{Path: path, KeepFinished: 8})
		require.NoError(t, err, "round %d", round)
		last := len(whole())
		for id, count := range confirmed {
			l := j.Lease(id)
			if count >= last-1 && l == nil {
				continue // finished, or finished in flight
			}
			require.NotNil(t, l, "round %d: lease %d was confirmed up to %d and is gone", round, id, count)
			got := steps(l)
			require.True(t, got == count || got == count+1, "round %d: lease %d confirmed %d, holds %d", round, id, count, got)
		}
		require.NoError(t, j.Close())
	}
}

func TestDamagedFilesAreTyped(t *testing.T) {
	dir := t.TempDir()
	good := filepath.Join(dir, "good.db")
	j, err := Open(Config{Path: good})
	require.NoError(t, err)
	for id := range uint64(40) {
		require.NoError(t, j.Append(id+1, whole()[:11]...))
	}
	require.NoError(t, j.Close())
	content, err := os.ReadFile(good)
	require.NoError(t, err)
	seed := uint64(7)
	t.Logf("seed %d", seed)
	rng := rand.New(rand.NewPCG(seed, 0))
	for i := range 120 {
		bad := filepath.Join(dir, fmt.Sprintf("bad-%d.db", i))
		b := append([]byte(nil), content...)
		switch i % 3 {
		case 0:
			b = b[:rng.IntN(len(b))]
		case 1:
			for range 1 + rng.IntN(8) {
				b[rng.IntN(len(b))] ^= byte(1 + rng.IntN(255))
			}
		case 2:
			at := rng.IntN(len(b))
			clear(b[at:min(len(b), at+4096)])
		}
		require.NoError(t, os.WriteFile(bad, b, 0o600))
		j, err := Open(Config{Path: bad})
		if err == nil {
			require.NoError(t, j.Close())
			continue
		}
		if !errors.Is(err, ErrCorrupt) {
			t.Fatalf("case %d: untyped error %v", i, err)
		}
	}
}

func TestDiskFull(t *testing.T) {
	dir := t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=256k"); err != nil {
		require.NotEqual(t, "1", os.Getenv("NEXARA_REQUIRE_CONTAINERS"), "a tmpfs cannot be mounted: %v", err)
		t.Skipf("needs the right to mount a tmpfs: %v", err)
	}
	t.Cleanup(func() { require.NoError(t, syscall.Unmount(dir, 0)) })
	path := filepath.Join(dir, "journal.db")
	j := openAt(t, path)
	t.Cleanup(func() { _ = j.Close() })
	var err error
	var kept uint64
	for id := uint64(1); id < 10_000; id++ {
		if err = j.Append(id, whole()[:11]...); err != nil {
			break
		}
		kept = id
	}
	require.ErrorIs(t, err, ErrWrite)
	require.ErrorIs(t, err, syscall.ENOSPC)
	require.Len(t, j.Leases(), int(kept), "memory is as the disk is")
	j = reopen(t, j, path)
	require.Len(t, j.Leases(), int(kept))
}
