// Package blob is the contract for content-addressed data and the arithmetic over it: blocks, UnixFS
// files and directories, CAR streams. Images, inputs, outputs and logs of every Job travel as blobs, named
// by CIDs equal to kubo's for the unixfs-v1-2025 profile.
//
// It holds interfaces (Store, Fetcher) and functions over them. It never opens a socket, never keeps state
// of its own and never links libp2p: node/blob/file keeps blocks on disk, node/blob/ipfs and
// node/blob/remote bring them over a network. A function here never yields bytes that do not match the CID
// they were asked for: what cannot be verified is an error.
//
// Life cycle of a blob: Hold, then AddPath or Fetch or ReadCAR (blocks arrive, each verified), then Pin
// (the whole DAG is there and durable), then release the hold; later Unpin, and GC takes the blocks when
// room is needed.
package blob

import (
	"context"
	"io"
	"time"

	"github.com/ipfs/go-cid"
)

// Reader reads blocks. Implementations are safe for concurrent use.
type Reader interface {
	// Has tells whether the block is stored. It does not read the bytes.
	Has(ctx context.Context, c cid.Cid) (bool, error)
	// Size is the length of the stored block in bytes, or ErrNotFound.
	Size(ctx context.Context, c cid.Cid) (int64, error)
	// Get returns the verified block, or ErrNotFound, or ErrCorrupt when the stored bytes do not match the
	// CID; a corrupt block is moved aside, so that the next Get says ErrNotFound and a fetch heals it.
	Get(ctx context.Context, c cid.Cid) (Block, error)
}

// Writer stores and removes blocks.
type Writer interface {
	// Put stores the block; storing one that is there already is no error and counts as a use. ErrNoSpace
	// when neither the size cap (after a GC) nor the disk has room. It does not retain b's bytes.
	Put(ctx context.Context, b Block) error
	// Delete removes the block, pinned or not; ErrNotFound when it is not there.
	Delete(ctx context.Context, c cid.Cid) error
}

// Pin is a named root that GC keeps with every block below it.
type Pin struct {
	// Name identifies the pin; pinning the same name again moves it to the new root. 1 to 200 bytes.
	Name string `json:"name"`
	// Root is the top of the kept DAG.
	Root cid.Cid `json:"root"`
	// Until is when the pin lapses by itself; zero means never.
	Until time.Time `json:"until,omitzero"`
}

// GCResult counts what a garbage collection removed, and what is left.
type GCResult struct {
	Blocks int64 // blocks removed
	Bytes  int64 // bytes of disk freed
	Left   int64 // bytes of disk still used
}

// Pinner decides what outlives a garbage collection.
type Pinner interface {
	// Hold keeps every block stored or used from now on until release is called, whatever its pins. It is
	// for the time between the first block of a DAG and its Pin. Release may be called more than once.
	Hold() (release func())
	// Pin makes the DAG below p.Root durable and keeps it. The whole DAG must be stored: ErrNotFound
	// names the first block that is not.
	Pin(ctx context.Context, p Pin) error
	// Unpin drops a pin by name; an unknown name is no error. The blocks stay until room is needed.
	Unpin(ctx context.Context, name string) error
	// Pins lists the pins in force, sorted by name.
	Pins(ctx context.Context) ([]Pin, error)
	// GC removes unpinned blocks, least recently used first, until at most target bytes of disk are used
	// or nothing removable is left. Target 0 removes every unpinned block that no hold or grace protects.
	GC(ctx context.Context, target int64) (GCResult, error)
}

// Stats describes a store.
type Stats struct {
	Blocks      int64 // stored blocks
	Bytes       int64 // bytes of disk, each block rounded up to 4 KiB
	MaxBytes    int64 // the cap on Bytes
	Pins        int   // pins in force
	Quarantined int64 // corrupt blocks moved aside since the store was opened
}

// Store keeps blocks on this machine. What Put accepted survives a kill of the process; Sync or Pin make it
// survive a loss of power. After either, a half-written block is never visible.
type Store interface {
	Reader
	Writer
	Pinner
	// Sync makes every block put so far survive a loss of power.
	Sync(ctx context.Context) error
	Stats(ctx context.Context) (Stats, error)
	io.Closer
}

// Fetcher brings blobs from elsewhere into the store it was made with.
type Fetcher interface {
	// Fetch makes the whole DAG below root local and reports its size. Blocks that are there already are
	// not fetched again, so a Fetch after a failed one resumes. ErrTooLarge beyond the limits; ErrNotFound
	// when every source says it has not the block; ErrTimeout when none answers in time; ErrUnavailable
	// when a source broke off; ErrCorrupt when a source sent wrong bytes.
	Fetch(ctx context.Context, root cid.Cid, lim Limits) (Stat, error)
}

// Stat is the size of a DAG.
type Stat struct {
	Blocks int64 // distinct blocks
	Bytes  int64 // bytes of the distinct blocks
	Got    int64 // bytes that were not local before and were fetched
}

// Limits bound work over data that somebody else made. A zero field means the field of DefaultLimits.
type Limits struct {
	// MaxBytes bounds bytes: of distinct blocks when walking, fetching and reading CARs; of file content
	// when adding, reading and exporting.
	MaxBytes int64
	// MaxBlocks bounds distinct blocks, or block visits when content is read.
	MaxBlocks int64
	// MaxEntries bounds files plus directories.
	MaxEntries int64
	// MaxDepth bounds the links between the root and a block, and the nesting of directories.
	MaxDepth int
}

// DefaultLimits is wide enough for a container image or a data set, and finite.
func DefaultLimits() Limits {
	return Limits{MaxBytes: 64 << 30, MaxBlocks: 1 << 20, MaxEntries: 1 << 18, MaxDepth: 128}
}

func (l Limits) withDefaults() Limits {
	d := DefaultLimits()
	if l.MaxBytes == 0 {
		l.MaxBytes = d.MaxBytes
	}
	if l.MaxBlocks == 0 {
		l.MaxBlocks = d.MaxBlocks
	}
	if l.MaxEntries == 0 {
		l.MaxEntries = d.MaxEntries
	}
	if l.MaxDepth == 0 {
		l.MaxDepth = d.MaxDepth
	}
	return l
}
