//go:build !linux

package wasm

import (
	"time"

	"golang.org/x/sys/unix"
)

const meterName = "wall time"

// threadTime falls back to the clock where threads are not metered: a guest that
// sleeps is charged as if it computed, never the other way round.
func threadTime() time.Duration { return time.Duration(time.Now().UnixNano()) }

// freeBytes is what an unprivileged process can still write below dir.
func freeBytes(dir string) (int64, error) {
	var s unix.Statfs_t
	if err := unix.Statfs(dir, &s); err != nil {
		return 0, err
	}
	return int64(s.Bavail) * int64(s.Bsize), nil
}
