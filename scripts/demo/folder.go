package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/nexara/nexara/node/driver/containerd"
)

// marker says that a folder was made by the demo and may be removed by it.
const marker = ".nexara-demo"

// folder makes an empty demo folder and locks it. The returned function gives the lock back.
func (d *demo) folder() (func() error, error) {
	if _, err := os.Stat(d.dir); err == nil {
		if _, err := os.Stat(filepath.Join(d.dir, marker)); errors.Is(err, fs.ErrNotExist) {
			return nil, fmt.Errorf("%s was not made by the demo; remove it or name another with -dir", d.dir)
		}
	}
	if err := os.MkdirAll(d.dir, 0o700); err != nil {
		return nil, err
	}
	lock, err := os.OpenFile(filepath.Join(d.dir, marker), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		lock.Close()
		return nil, fmt.Errorf("another demo runs in %s", d.dir)
	}
	// What a demo that was killed left running ends here, and its mounts and files go.
	if err := endStrays(d.dir); err != nil {
		lock.Close()
		return nil, err
	}
	unmount(d.dir)
	for _, name := range []string{"world", "results"} {
		if err := os.RemoveAll(filepath.Join(d.dir, name)); err != nil {
			lock.Close()
			return nil, err
		}
	}
	return func() error {
		unmount(d.dir)
		return errors.Join(litter(d.dir), lock.Close())
	}, nil
}

// mountsBelow lists the mounts below a folder, the newest first.
func mountsBelow(dir string) []string {
	mounts, err := os.ReadFile("/proc/self/mounts")
	if err != nil {
		return nil // no /proc: not Linux, and no container driver either
	}
	var out []string
	for _, line := range strings.Split(string(mounts), "\n") {
		if f := strings.Fields(line); len(f) > 1 && strings.HasPrefix(f[1], dir+"/") {
			out = append([]string{f[1]}, out...)
		}
	}
	return out
}

// unmount clears the writable spaces of runs that were cut off. A NexCore that is told to stop leaves its
// containers running, so that it finds them again when it is back; the demo ends them with their containerd
// and nobody comes back for what they were mounted on.
func unmount(dir string) {
	for _, path := range mountsBelow(dir) {
		_ = syscall.Unmount(path, mntDetach) // litter tells what stayed
	}
}

// mntDetach lets a busy mount go when its last user does.
const mntDetach = 2

// daemon is a containerd of the demo's own.
type daemon struct {
	*containerd.Daemon
	address, root string
}

// startContainerd runs containerd with root, state and socket below dir, sharing nothing with the host's.
func startContainerd(ctx context.Context, dir string) (*daemon, error) {
	if os.Geteuid() != 0 {
		return nil, errors.New("containers need root here; run as root or: make demo DRIVER=wasm")
	}
	d := &daemon{address: filepath.Join(dir, "c.sock"), root: filepath.Join(dir, "root")}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	var err error
	d.Daemon, err = containerd.StartDaemon(ctx, containerd.DaemonConfig{
		Root: d.root, State: filepath.Join(dir, "state"), Address: d.address,
		Log: slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelWarn})),
	})
	return d, err
}

// stop ends containerd with its shims and mounts, and removes what it stored.
func (d *daemon) stop() error {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if err := d.Stop(ctx); err != nil {
		return err
	}
	return os.RemoveAll(filepath.Dir(d.address))
}
