package lease

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/ipfs/go-cid"

	"github.com/nexara/nexara/node/blob"
)

// bootFile names the boot in which the cache was filled. Files that were not
// flushed before a loss of power may be short or empty, so a cache of an earlier
// boot is thrown away: blocks in the store carry their hash, unpacked files do not.
const bootFile = "boot"

// sizeSuffix names the file beside an entry that holds the size of its DAG: what was
// fetched for an entry must be known after a restart too.
const sizeSuffix = ".size"

// unpacked is how much larger than its DAG an unpacked image or input may be:
// repeated blocks are legitimate, bombs are not.
const unpacked = 4

// cache holds unpacked images and inputs by CID, shared by all leases, within a size.
type cache struct {
	dir     string
	max     int64
	store   blob.Store
	fetcher blob.Fetcher

	mu      sync.Mutex
	entries map[string]*cached
}

type cached struct {
	turn  chan struct{} // one filler at a time
	refs  int
	ready bool
	size  int64 // on disk
	dag   int64 // of the blocks
	used  time.Time
}

func newCache(dir string, max int64, st blob.Store, f blob.Fetcher) (*cache, error) {
	c := &cache{dir: dir, max: max, store: st, fetcher: f, entries: map[string]*cached{}}
	boot, _ := os.ReadFile("/proc/sys/kernel/random/boot_id") // absent elsewhere: then each start counts as a boot
	old, err := os.ReadFile(filepath.Join(dir, bootFile))
	if err != nil || len(boot) == 0 || !bytes.Equal(old, boot) {
		if err := os.RemoveAll(dir); err != nil {
			return nil, fmt.Errorf("%w: cache: %w", ErrHost, err)
		}
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, fmt.Errorf("%w: cache: %w", ErrHost, err)
	}
	if err := os.WriteFile(filepath.Join(dir, bootFile), boot, 0o644); err != nil {
		return nil, fmt.Errorf("%w: cache: %w", ErrHost, err)
	}
	list, err := os.ReadDir(dir)
	if err != nil {
		return nil, fmt.Errorf("%w: cache: %w", ErrHost, err)
	}
	for _, e := range list {
		at := filepath.Join(dir, e.Name())
		if e.Name() == bootFile || strings.HasSuffix(e.Name(), sizeSuffix) {
			continue
		}
		dag, known := c.readSize(e.Name())
		if strings.HasPrefix(e.Name(), ".") || !known { // half an export of a killed process
			err = errors.Join(err, os.RemoveAll(at))
			continue
		}
		c.entries[e.Name()] = &cached{turn: make(chan struct{}, 1), ready: true, size: sizeOf(at), dag: dag, used: time.Now()}
	}
	for _, e := range list {
		if name, ok := strings.CutSuffix(e.Name(), sizeSuffix); ok && c.entries[name] == nil {
			err = errors.Join(err, os.Remove(filepath.Join(dir, e.Name())))
		}
	}
	if err != nil {
		return nil, fmt.Errorf("%w: cache: %w", ErrHost, err)
	}
	return c, nil
}

// readSize is what writeSize wrote; known is false when there is no such file.
func (c *cache) readSize(name string) (dag int64, known bool) {
	raw, err := os.ReadFile(filepath.Join(c.dir, name+sizeSuffix))
	if err != nil {
		return 0, false
	}
	dag, err = strconv.ParseInt(string(raw), 10, 64)
	return dag, err == nil && dag >= 0
}

// writeSize notes the size of an entry's DAG; the entry itself comes after it.
func (c *cache) writeSize(name string, dag int64) error {
	half := filepath.Join(c.dir, "."+name+".half")
	if err := os.WriteFile(half, strconv.AppendInt(nil, dag, 10), 0o644); err != nil {
		return fmt.Errorf("%w: cache: %w", ErrHost, err)
	}
	if err := os.Rename(half, filepath.Join(c.dir, name+sizeSuffix)); err != nil {
		return fmt.Errorf("%w: cache: %w", ErrHost, err)
	}
	return nil
}

// get makes the blob available as a file or folder until release is called, and
// returns its size in blocks. It fetches at most limit bytes; with none left
// nothing is asked for, as 0 means a default to whoever fetches.
func (c *cache) get(ctx context.Context, id cid.Cid, limit int64) (path string, dag int64, release func(), err error) {
	name := id.String()
	if limit <= 0 {
		return "", 0, nil, fmt.Errorf("%w: %s, and the declared bytes are used up", blob.ErrTooLarge, name)
	}
	c.mu.Lock()
	e := c.entries[name]
	if e == nil {
		e = &cached{turn: make(chan struct{}, 1)}
		c.entries[name] = e
	}
	e.refs++
	c.mu.Unlock()
	var once sync.Once
	done := func() { once.Do(func() { c.release(name, e) }) }
	defer func() {
		if err != nil {
			done()
		}
	}()
	select {
	case e.turn <- struct{}{}:
		defer func() { <-e.turn }()
	case <-ctx.Done():
		return "", 0, nil, context.Cause(ctx)
	}
	path = filepath.Join(c.dir, name)
	if !e.ready {
		if err := c.fill(ctx, id, path, e, limit); err != nil {
			return "", 0, nil, err
		}
	}
	if e.dag > limit {
		return "", 0, nil, fmt.Errorf("%w: %s has %d bytes, declared are %d", blob.ErrTooLarge, name, e.dag, limit)
	}
	c.evict()
	return path, e.dag, done, nil
}

func (c *cache) fill(ctx context.Context, id cid.Cid, path string, e *cached, limit int64) error {
	defer c.store.Hold()()
	stat, err := c.fetcher.Fetch(ctx, id, blob.Limits{MaxBytes: limit})
	if err != nil {
		return err
	}
	if err := c.writeSize(id.String(), stat.Bytes); err != nil {
		return err
	}
	_, err = blob.Export(ctx, c.store, id, path, blob.Limits{MaxBytes: unpacked * limit})
	if err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	e.ready, e.dag, e.size = true, stat.Bytes, sizeOf(path)
	return nil
}

func (c *cache) release(name string, e *cached) {
	c.mu.Lock()
	defer c.mu.Unlock()
	e.refs--
	e.used = time.Now()
	if e.refs == 0 && !e.ready {
		delete(c.entries, name)
	}
}

// evict removes the least recently used entries that nobody holds, down to the cap.
func (c *cache) evict() {
	c.mu.Lock()
	defer c.mu.Unlock()
	var total int64
	for _, e := range c.entries {
		total += e.size
	}
	for total > c.max {
		oldest := ""
		for name, e := range c.entries {
			if e.refs == 0 && e.ready && (oldest == "" || e.used.Before(c.entries[oldest].used)) {
				oldest = name
			}
		}
		if oldest == "" {
			return
		}
		// A removal that fails half-way must not leave a half entry that looks whole.
		at, gone := filepath.Join(c.dir, oldest), filepath.Join(c.dir, "."+oldest)
		if os.Rename(at, gone) != nil {
			return
		}
		total -= c.entries[oldest].size
		delete(c.entries, oldest)
		_, _ = os.RemoveAll(gone), os.Remove(at+sizeSuffix) // what stays is swept at the next start
	}
}

func sizeOf(path string) (total int64) {
	_ = filepath.WalkDir(path, func(_ string, d fs.DirEntry, err error) error {
		if err != nil {
			return nil //nolint:nilerr // a size for eviction may be rough
		}
		if info, err := d.Info(); err == nil {
			total += info.Size()
		}
		return nil
	})
	return total
}
