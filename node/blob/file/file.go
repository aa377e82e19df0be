// Package file keeps blobs on disk: one file per block in a sharded folder, written under a temporary name
// and renamed, within a cap on the disk it uses. It is the store under every blob driver; it never talks to
// a network (node/blob/remote and node/blob/ipfs do).
//
// Layout of the folder: blocks/<two letters>/<CIDv1 raw of the digest>, pins/<hash of name>.json, tmp/,
// quarantine/, LOCK (one process at a time), synced (its time is when the last Sync began).
package file

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/ipfs/go-cid"
	mh "github.com/multiformats/go-multihash"

	"github.com/nexara/nexara/node/blob"
)

const (
	diskUnit      = 4 << 10         // what a small file takes on disk
	touchEvery    = time.Minute     // a use is noted at most this often, to spare the disk
	maxUnsynced   = 4096            // puts between two syncs, so that their list stays small
	maxQuarantine = 16              // corrupt blocks kept for a look
	clockSlack    = 2 * time.Second // file times come from a coarse clock
)

// Config configures a store.
type Config struct {
	// Dir is the store's folder, made with mode 0700 when absent.
	Dir string
	// MaxBytes caps the disk used by blocks (each rounded up to 4 KiB). Required.
	MaxBytes int64
	// Grace protects blocks from GC for this long after their last use. Default 2 minutes; negative: none.
	Grace time.Duration
	// Logger is required.
	Logger *slog.Logger
}

// Store implements blob.Store.
type Store struct {
	cfg  Config
	lock *os.File

	used, blocks, quarantined atomic.Int64
	closed                    atomic.Bool
	stripes                   [64]sync.Mutex // by digest: one writer or remover per block

	// pinMu makes Pin, Unpin and GC exclusive: what Pin found complete stays so.
	pinMu sync.Mutex
	pins  map[string]blob.Pin
	// stuck is the state in which GC last found nothing more to remove; see reserve.
	stuck struct {
		uses int64
		till time.Time
	}
	syncMu  sync.RWMutex // held for reading by a write, for writing while a Sync takes its list
	flushMu sync.Mutex   // one Sync at a time
	changes atomic.Int64 // Unpin, Delete and released holds: reasons to try GC again

	mu       sync.Mutex
	unsynced []string
	holds    map[int64]time.Time
	nextHold int64
}

var _ blob.Store = (*Store)(nil)

// ErrInUse means that another process has the folder open.
var ErrInUse = errors.New("blob folder is in use by another process")

// Open opens or makes the store. It removes leftovers of a crash: temporary files, and blocks written after
// the last Sync whose bytes did not reach the disk.
func Open(cfg Config) (*Store, error) {
	if cfg.Dir == "" || cfg.MaxBytes <= 0 || cfg.Logger == nil {
		return nil, errors.New("file store: Dir, MaxBytes and Logger are required")
	}
	if cfg.Grace == 0 {
		cfg.Grace = 2 * time.Minute
	}
	cfg.Grace = max(cfg.Grace, 0)
	s := &Store{cfg: cfg, pins: map[string]blob.Pin{}, holds: map[int64]time.Time{}}
	for _, d := range []string{"blocks", "pins", "quarantine"} {
		if err := os.MkdirAll(filepath.Join(cfg.Dir, d), 0o700); err != nil {
			return nil, blob.DiskErr(err)
		}
	}
	var err error
	if s.lock, err = lockFile(filepath.Join(cfg.Dir, "LOCK")); err != nil {
		return nil, err
	}
	if err := errors.Join(os.RemoveAll(s.at("tmp")), os.Mkdir(s.at("tmp"), 0o700)); err != nil {
		return nil, errors.Join(blob.DiskErr(err), s.lock.Close())
	}
	if err := errors.Join(s.loadPins(), s.scan()); err != nil {
		return nil, errors.Join(err, s.lock.Close())
	}
	return s, nil
}

func (s *Store) at(parts ...string) string {
	return filepath.Join(append([]string{s.cfg.Dir}, parts...)...)
}

// path is where the block of a digest lives: one place for all CIDs of one digest.
func (s *Store) path(d [sha256.Size]byte) string {
	h := append([]byte{mh.SHA2_256, sha256.Size}, d[:]...)
	name := cid.NewCidV1(cid.Raw, h).String()
	return s.at("blocks", name[len(name)-3:len(name)-1], name)
}

// digestOf reads a block file's name; ok is false for foreign files.
func digestOf(name string) (d [sha256.Size]byte, ok bool) {
	c, err := cid.Decode(name)
	if err != nil || blob.Check(c) != nil || c.Prefix().MhType != mh.SHA2_256 {
		return d, false
	}
	return blob.Digest(c), true
}

func diskSize(n int64) int64 { return (n + diskUnit - 1) / diskUnit * diskUnit }

// eachBlock calls f for every block file.
func (s *Store) eachBlock(f func(d [sha256.Size]byte, path string, info fs.FileInfo) error) error {
	dirs, err := os.ReadDir(s.at("blocks"))
	if err != nil {
		return err
	}
	for _, dir := range dirs {
		entries, err := os.ReadDir(s.at("blocks", dir.Name()))
		if err != nil {
			return err
		}
		for _, e := range entries {
			d, ok := digestOf(e.Name())
			info, err := e.Info()
			if !ok || errors.Is(err, fs.ErrNotExist) {
				continue
			}
			if err == nil {
				err = f(d, s.at("blocks", dir.Name(), e.Name()), info)
			}
			if err != nil {
				return err
			}
		}
	}
	return nil
}

// scan counts what is stored and checks every block that was written or used since the last Sync.
func (s *Store) scan() error {
	var since time.Time
	if st, err := os.Stat(s.at("synced")); err == nil {
		since = st.ModTime().Add(-clockSlack)
	}
	return s.eachBlock(func(d [sha256.Size]byte, path string, info fs.FileInfo) error {
		s.used.Add(diskSize(info.Size()))
		s.blocks.Add(1)
		if info.ModTime().Before(since) {
			return nil
		}
		data, err := readBlock(path)
		if err == nil && sha256.Sum256(data) != d {
			s.cfg.Logger.Warn("removing a block that did not survive the last stop", "path", path)
			err = s.drop(path, info.Size())
		}
		return err
	})
}

// check is the gate of every call: the store is open, the context lives, the CID is handled.
func (s *Store) check(ctx context.Context, c cid.Cid) error {
	if s.closed.Load() {
		return blob.ErrClosed
	}
	if err := blob.ContextErr(ctx); err != nil {
		return err
	}
	return blob.Check(c)
}

// Has implements blob.Reader.
func (s *Store) Has(ctx context.Context, c cid.Cid) (bool, error) {
	_, err := s.Size(ctx, c)
	if errors.Is(err, blob.ErrNotFound) {
		return false, nil
	}
	return err == nil, err
}

// Size implements blob.Reader.
func (s *Store) Size(ctx context.Context, c cid.Cid) (int64, error) {
	if err := s.check(ctx, c); err != nil {
		return 0, err
	}
	if b, ok := blob.Inline(c); ok {
		return int64(len(b.Data())), nil
	}
	path := s.path(blob.Digest(c))
	info, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return 0, fmt.Errorf("block %s: %w", c, blob.ErrNotFound)
	}
	if err != nil {
		return 0, err
	}
	s.touch(path, info)
	return info.Size(), nil
}

// touch notes a use. A failure is of no consequence but to the order of GC.
func (s *Store) touch(path string, info fs.FileInfo) {
	now := time.Now()
	s.mu.Lock()
	held := len(s.holds) > 0
	s.mu.Unlock()
	// Under a hold the note must be exact: the hold keeps what was used after it began.
	if age := now.Sub(info.ModTime()); age > touchEvery || held && age > clockSlack/2 {
		_ = os.Chtimes(path, time.Time{}, now)
	}
}

// Get implements blob.Reader.
func (s *Store) Get(ctx context.Context, c cid.Cid) (blob.Block, error) {
	if err := s.check(ctx, c); err != nil {
		return blob.Block{}, err
	}
	if b, ok := blob.Inline(c); ok {
		return b, nil
	}
	path := s.path(blob.Digest(c))
	data, err := readBlock(path)
	if errors.Is(err, fs.ErrNotExist) {
		return blob.Block{}, fmt.Errorf("block %s: %w", c, blob.ErrNotFound)
	}
	if err != nil {
		return blob.Block{}, err
	}
	b, err := blob.VerifyBlock(c, data)
	if err != nil {
		return blob.Block{}, errors.Join(err, s.quarantine(blob.Digest(c)))
	}
	if info, err := os.Stat(path); err == nil {
		s.touch(path, info)
	}
	return b, nil
}

// readBlock reads a block's file, at most one byte more than a block may have (which then fails its hash).
func readBlock(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	buf := make([]byte, min(info.Size(), blob.MaxBlockSize+1))
	n, err := readFull(f, buf)
	return buf[:n], err
}

// Stats implements blob.Store.
func (s *Store) Stats(ctx context.Context) (blob.Stats, error) {
	pins, err := s.Pins(ctx)
	return blob.Stats{
		Blocks: s.blocks.Load(), Bytes: s.used.Load(), MaxBytes: s.cfg.MaxBytes,
		Pins: len(pins), Quarantined: s.quarantined.Load(),
	}, err
}

// Close syncs and closes the store; calls under way may fail with ErrClosed.
func (s *Store) Close() error {
	if s.closed.Load() {
		return nil
	}
	err := s.Sync(context.Background())
	if s.closed.Swap(true) {
		return nil
	}
	return errors.Join(err, s.lock.Close())
}
