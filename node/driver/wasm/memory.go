package wasm

import (
	"sync"
	"time"

	"github.com/tetratelabs/wazero/experimental"
)

const (
	wasmPage     = 64 << 10
	maxMemoryMiB = 4095 // of a 32-bit address space, less a page
)

// memory is the linear memory of one run: its limit, its gauge and its storage.
// It is taken from the host when the run starts and given back when it ends, so
// that the collector neither scans it nor keeps it.
type memory struct {
	limit uint64
	own   uint64 // the module's own limit
	tick  func() // what the guest calls by asking for more than maxPages
	store storage

	mu      sync.Mutex
	size    uint64
	peak    uint64
	refused bool
	since   time.Time
	// byteNanos is exact: sizes change only in Reallocate.
	byteNanos float64
}

var _ experimental.MemoryAllocator = (*memory)(nil)

// storage holds a memory's bytes. resize keeps the content.
type storage interface {
	resize(size uint64) []byte
	free()
}

// newMemory reserves limit bytes; they cost nothing until they are touched.
func newMemory(limit uint64) (*memory, error) {
	limit = min(limit, maxMemoryMiB<<20)
	s, err := newStorage(limit)
	if err != nil {
		return nil, err
	}
	return &memory{limit: limit, own: maxPages * wasmPage, tick: func() {}, store: s, since: time.Now()}, nil
}

// Allocate implements experimental.MemoryAllocator; a module has one memory.
func (m *memory) Allocate(_, _ uint64) experimental.LinearMemory { return m }

// Reallocate answers nil above the limit, which the guest sees as a failed grow.
func (m *memory) Reallocate(size uint64) []byte {
	if size > maxPages*wasmPage {
		m.tick()
		return nil
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if size > m.own {
		return nil // by its own word, not by its lease's
	}
	if size > m.limit {
		m.refused = true
		return nil
	}
	b := m.store.resize(size)
	if b == nil {
		m.refused = true
		return nil
	}
	m.account()
	m.size, m.peak = size, max(m.peak, size)
	return b
}

// account adds the time since the last change. mu is held.
func (m *memory) account() {
	now := time.Now()
	m.byteNanos += float64(m.size) * float64(now.Sub(m.since))
	m.since = now
}

// Free implements experimental.LinearMemory. The storage itself goes in close,
// when no code of the run can be executing any more.
func (m *memory) Free() {}

// close gives the memory back and reads the gauge.
func (m *memory) close() (peak, byteSeconds int64, refused bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.account()
	m.size = 0
	m.store.free()
	return int64(m.peak), int64(m.byteNanos / 1e9), m.refused
}
