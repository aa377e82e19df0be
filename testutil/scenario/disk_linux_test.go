package scenario

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
)

// smallDisk mounts a file system of so many MiB, which goes when the test ends. It needs root; CI has it.
func smallDisk(t *testing.T, dir string, mib int) {
	t.Helper()
	if os.Geteuid() != 0 && os.Getenv("CI") == "" {
		t.Skip("a disk that can be filled needs root, to be mounted")
	}
	require.NoError(t, os.MkdirAll(dir, 0o700))
	require.NoError(t, syscall.Mount("tmpfs", dir, "tmpfs", syscall.MS_NODEV|syscall.MS_NOSUID, fmt.Sprintf("mode=0700,size=%dm", mib)))
	t.Cleanup(func() { require.NoError(t, syscall.Unmount(dir, 0)) })
}

// fill takes all the room there is below dir and returns how to give it back.
func fill(t *testing.T, dir string) (free func()) {
	t.Helper()
	file := filepath.Join(dir, "filler")
	f, err := os.OpenFile(file, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	require.NoError(t, err)
	defer f.Close()
	for chunk := make([]byte, 1<<20); len(chunk) > 0; {
		_, err := f.Write(chunk)
		if errors.Is(err, syscall.ENOSPC) {
			chunk = chunk[:len(chunk)/2] // the last bytes too
			continue
		}
		require.NoError(t, err)
	}
	return func() { require.NoError(t, os.Remove(file)) }
}

// input writes a file of random bytes, the same in every run.
func input(t *testing.T, size int) string {
	t.Helper()
	data := make([]byte, size)
	_, _ = rand.NewChaCha8([32]byte{1}).Read(data) // it never fails
	file := filepath.Join(t.TempDir(), "data")
	require.NoError(t, os.WriteFile(file, data, 0o600))
	return file
}

// The disk of a NexCore with its journal, blobs and runs is full in the middle of a run. The run is a fault of
// that machine: nobody is charged for it and the shards run elsewhere. The daemon lives on; killed and started
// on the full disk it either runs or says why it cannot; with room again it carries the next job out.
func TestDiskFull(t *testing.T) {
	dir := t.TempDir()
	home := filepath.Join(dir, "n1")
	smallDisk(t, home, 160)
	w, ctx := startWith(t, Options{Dir: dir, Driver: "wasm", NexCores: machines(2), Params: map[string]any{"ack_base_blocks": "16"}})
	full, other := w.Machines[0], w.Machines[1]

	id, err := w.Submit(ctx, jobFile(t, 2, 6, ""))
	require.NoError(t, err)
	await(t, ctx, w, id, "runs", running)
	require.Equal(t, full.ID, owner(t, ctx, w, id).ID, "the cheapest NexCore is the one on the small disk")
	free := fill(t, home)
	settle(t, ctx, w, id)
	leases, err := w.Leases(ctx, id)
	require.NoError(t, err)
	require.Equal(t, other.ID, w.Machine(leases[len(leases)-1].NexCoreID).ID, "the shards ran elsewhere: %+v", leases)
	require.True(t, full.Running(), "the daemon survives a full disk")
	_, err = w.Status(ctx, full)
	require.NoError(t, err)

	// Nothing can be fetched either: it tries until its window of acknowledgement ends and then declines, unless
	// its offer has dropped the disk by then and it is not asked at all.
	id, err = w.Submit(ctx, jobFile(t, 2, 1, "inputs: [{path: "+input(t, 1<<20)+", mount: /in/data}]\n"))
	require.NoError(t, err)
	settle(t, ctx, w, id)
	leases, err = w.Leases(ctx, id)
	require.NoError(t, err)
	require.Equal(t, other.ID, w.Machine(leases[len(leases)-1].NexCoreID).ID, "%+v", leases)
	for _, l := range leases[:len(leases)-1] {
		require.Equal(t, "declined", l.Reason, "%+v", l)
	}
	require.True(t, full.Running())

	require.NoError(t, full.Kill())
	require.NoError(t, full.Start())
	require.NoError(t, Until(ctx, startTimeout, "a daemon that works or has ended", func(ctx context.Context) (bool, error) {
		if !full.Running() {
			return true, nil
		}
		status, err := w.Status(ctx, full)
		if err != nil {
			return false, err
		}
		head, _ := status["chain"].(map[string]any)
		height, _ := head["height"].(float64)
		return height > 0, nil
	}))
	if !full.Running() {
		require.Contains(t, full.Tail(2_000), syscall.ENOSPC.Error(), "it says why it ended")
	}

	free()
	require.NoError(t, full.Stop(stopTimeout))
	require.NoError(t, full.Start())
	require.NoError(t, other.Stop(stopTimeout))
	id, err = w.Submit(ctx, jobFile(t, 2, 1, ""))
	require.NoError(t, err)
	settle(t, ctx, w, id)
	leases, err = w.Leases(ctx, id)
	require.NoError(t, err)
	require.Equal(t, full.ID, w.Machine(leases[len(leases)-1].NexCoreID).ID, "%+v", leases)
}
