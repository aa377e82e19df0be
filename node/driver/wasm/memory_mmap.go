//go:build (linux || darwin) && (amd64 || arm64 || riscv64)

package wasm

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// mapping is address space of the full limit: growing never copies or moves.
type mapping struct{ b []byte }

func newStorage(limit uint64) (storage, error) {
	limit = max(limit, wasmPage)
	b, err := unix.Mmap(-1, 0, int(limit), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_ANON|unix.MAP_PRIVATE|unix.MAP_NORESERVE)
	if err != nil {
		return nil, fmt.Errorf("reserve %d bytes: %w", limit, err)
	}
	return &mapping{b}, nil
}

func (m *mapping) resize(size uint64) []byte { return m.b[:size:size] }

func (m *mapping) free() {
	if m.b != nil {
		_ = unix.Munmap(m.b)
		m.b = nil
	}
}
