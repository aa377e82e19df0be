//go:build !((linux || darwin) && (amd64 || arm64 || riscv64))

package wasm

// heap storage serves machines whose address space is too small to reserve.
type heap struct{ b []byte }

func newStorage(uint64) (storage, error) { return &heap{}, nil }

func (h *heap) resize(size uint64) []byte {
	if size > uint64(cap(h.b)) {
		grown := make([]byte, size)
		copy(grown, h.b)
		h.b = grown
	}
	h.b = h.b[:size]
	return h.b
}

func (h *heap) free() { h.b = nil }
