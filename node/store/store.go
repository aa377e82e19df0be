// Package store is the daemon's crash journal: what it has done about each lease,
// written durably before the next thing is done.
//
// The chain says what should be; this journal says what is. A daemon that was
// killed at any instruction opens it, lists its open leases and goes on from the
// last step of each. The journal never decides what comes next, never talks to a
// chain, a driver or a blob store, and holds no outputs: those lie in folders and
// blocks that its steps name.
//
// Life cycle of a lease:
//
//	Seen -> Acknowledged, ImageFetched, InputsFetched (in any order)
//	     -> per shard: RunStarted -> RunEnded -> Packed
//	     -> ResultPacked -> CustodySigned -> Delivered -> Final
//
// Final may come after any step: a lease that is declined or closed by the chain
// ends too. A repeated step replaces the earlier one, because a daemon that was
// killed between doing and writing does it again. At Final the steps of a lease
// are replaced by one short record, of which the newest few are kept, so the
// file stays small however long the daemon lives.
//
// Place in the flow: node/lease appends; at start it asks Open for the leases.
package store

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime/debug"
	"sort"
	"sync"
	"syscall"
	"time"

	"go.etcd.io/bbolt"
	berrors "go.etcd.io/bbolt/errors"
)

var (
	// ErrLocked means another process has the journal open.
	ErrLocked = errors.New("journal is in use by another process")
	// ErrCorrupt means the file is no journal, or is damaged.
	ErrCorrupt = errors.New("journal is damaged")
	// ErrClosed means the journal was closed.
	ErrClosed = errors.New("journal is closed")
	// ErrOrder means a step cannot follow what the journal holds for its lease.
	ErrOrder = errors.New("step out of order")
	// ErrStep means a step's values are out of range, or bytes are no step.
	ErrStep = errors.New("malformed step")
	// ErrWrite means the disk refused; nothing of the append was kept. The cause,
	// such as syscall.ENOSPC, is wrapped.
	ErrWrite = errors.New("journal could not be written")
)

const (
	// MaxOpenLeases bounds what the journal holds in memory.
	MaxOpenLeases = 16_384
	// DefaultKeepFinished is how many finished leases are remembered.
	DefaultKeepFinished = 4096
	// maxBatch bounds the appends of one commit.
	maxBatch = 256

	formatVersion = "nexara/journal/v1"
)

var (
	bucketMeta     = []byte("meta")
	bucketSteps    = []byte("steps")    // lease id -> nested bucket: sequence -> step
	bucketFinished = []byte("finished") // lease id -> Finished
	bucketOrder    = []byte("order")    // sequence -> lease id, oldest finished first
	keyVersion     = []byte("version")
)

// Config says where the journal is.
type Config struct {
	// Path is the file; it is created with mode 0600 when absent.
	Path string
	// KeepFinished is how many finished leases are remembered; 0 means DefaultKeepFinished.
	KeepFinished int
	// LockTimeout is how long Open waits for another process; 0 means one second.
	LockTimeout time.Duration
}

// Journal is safe for concurrent use. Appends that meet are committed together,
// so many runs share one fsync.
type Journal struct {
	db   *bbolt.DB
	keep int

	appends chan *appending
	done    chan struct{}

	// closing guards closed; it is never held during a write.
	closing sync.Mutex
	closed  bool
	senders sync.WaitGroup

	// open is changed by the writer only, under mu; the writer reads it without.
	mu   sync.Mutex
	open map[uint64]*Lease
}

type appending struct {
	lease uint64
	steps []Step
	reply chan error
}

// Open opens or creates the journal and reads every open lease.
func Open(cfg Config) (j *Journal, err error) {
	if cfg.KeepFinished <= 0 {
		cfg.KeepFinished = DefaultKeepFinished
	}
	if cfg.LockTimeout <= 0 {
		cfg.LockTimeout = time.Second
	}
	_, statErr := os.Stat(cfg.Path)
	created := errors.Is(statErr, os.ErrNotExist)
	// On a damaged file the library panics, or reads past the end of its map.
	// Both must be an error of the file: the daemon then says so and stops.
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	var db *bbolt.DB
	defer func() {
		if p := recover(); p != nil {
			j, err = nil, fmt.Errorf("%w: %v", ErrCorrupt, p)
			if db != nil {
				err = errors.Join(err, db.Close())
			}
		}
	}()
	db, err = openDB(cfg)
	if err != nil {
		return nil, err
	}
	j = &Journal{
		db: db, keep: cfg.KeepFinished, open: map[uint64]*Lease{},
		appends: make(chan *appending, maxBatch), done: make(chan struct{}),
	}
	if err := j.load(); err != nil {
		return nil, errors.Join(err, db.Close())
	}
	if created {
		// The file's name must survive a power cut as its content does.
		if err := syncDir(filepath.Dir(cfg.Path)); err != nil {
			return nil, errors.Join(fmt.Errorf("%w: %w", ErrWrite, err), db.Close())
		}
	}
	go j.write()
	return j, nil
}

func openDB(cfg Config) (db *bbolt.DB, err error) {
	db, err = bbolt.Open(cfg.Path, 0o600, &bbolt.Options{Timeout: cfg.LockTimeout, FreelistType: bbolt.FreelistMapType})
	switch {
	case err == nil:
		return db, nil
	case errors.Is(err, berrors.ErrTimeout):
		return nil, fmt.Errorf("%w: %s", ErrLocked, cfg.Path)
	case errors.As(err, new(*fs.PathError)), errors.As(err, new(syscall.Errno)):
		return nil, fmt.Errorf("open journal: %w", err)
	default:
		// What the system did not refuse, the library did: the content is wrong.
		return nil, fmt.Errorf("%w: %s: %w", ErrCorrupt, cfg.Path, err)
	}
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

func (j *Journal) load() error {
	return j.db.Update(func(tx *bbolt.Tx) error {
		meta, err := tx.CreateBucketIfNotExists(bucketMeta)
		if err != nil {
			return fmt.Errorf("%w: %w", ErrWrite, err)
		}
		switch v := meta.Get(keyVersion); {
		case v == nil:
			if err := meta.Put(keyVersion, []byte(formatVersion)); err != nil {
				return fmt.Errorf("%w: %w", ErrWrite, err)
			}
		case string(v) != formatVersion:
			return fmt.Errorf("%w: format %q, this program reads %q", ErrCorrupt, v, formatVersion)
		}
		for _, name := range [][]byte{bucketSteps, bucketFinished, bucketOrder} {
			if _, err := tx.CreateBucketIfNotExists(name); err != nil {
				return fmt.Errorf("%w: %w", ErrWrite, err)
			}
		}
		steps := tx.Bucket(bucketSteps)
		return steps.ForEachBucket(func(k []byte) error {
			if len(k) != 8 || len(j.open) >= MaxOpenLeases {
				return fmt.Errorf("%w: bad lease key", ErrCorrupt)
			}
			id := binary.BigEndian.Uint64(k)
			lease, err := replay(id, steps.Bucket(k))
			if err != nil {
				return err
			}
			j.open[id] = lease
			return nil
		})
	})
}

func replay(id uint64, b *bbolt.Bucket) (*Lease, error) {
	var lease *Lease
	err := b.ForEach(func(_, v []byte) error {
		step, err := DecodeStep(v)
		if err != nil {
			return fmt.Errorf("%w: lease %d: %w", ErrCorrupt, id, err)
		}
		next, err := apply(lease, id, step)
		if err != nil {
			return fmt.Errorf("%w: lease %d: %w", ErrCorrupt, id, err)
		}
		lease = next
		return nil
	})
	if err == nil && lease == nil {
		err = fmt.Errorf("%w: lease %d has no step", ErrCorrupt, id)
	}
	return lease, err
}

func key(n uint64) []byte { return binary.BigEndian.AppendUint64(nil, n) }

// Leases gives a copy of every open lease, by id.
func (j *Journal) Leases() []*Lease {
	j.mu.Lock()
	defer j.mu.Unlock()
	out := make([]*Lease, 0, len(j.open))
	for _, l := range j.open {
		out = append(out, l.Clone())
	}
	sort.Slice(out, func(a, b int) bool { return out[a].ID < out[b].ID })
	return out
}

// Lease gives a copy of one open lease; nil when it is not open.
func (j *Journal) Lease(id uint64) *Lease {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.open[id].Clone()
}

// Finished gives the record of a finished lease; nil when there is none, or none
// any more. A daemon asks before it begins a lease it is told about.
func (j *Journal) Finished(id uint64) (*Finished, error) {
	var f *Finished
	err := j.db.View(func(tx *bbolt.Tx) error {
		v := tx.Bucket(bucketFinished).Get(key(id))
		if v == nil {
			return nil
		}
		var err error
		f, err = decodeFinished(v)
		return err
	})
	if errors.Is(err, berrors.ErrDatabaseNotOpen) {
		return nil, ErrClosed
	}
	return f, err
}

// Close waits for running appends and closes the file. Closing twice is fine.
func (j *Journal) Close() error {
	j.closing.Lock()
	if j.closed {
		j.closing.Unlock()
		<-j.done
		return nil
	}
	j.closed = true
	j.closing.Unlock()
	j.senders.Wait()
	close(j.appends)
	<-j.done
	return j.db.Close()
}
