package wasm

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"sort"
	"time"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/imports/wasi_snapshot_preview1"

	"github.com/nexara/nexara/node/driver"
)

// module is compiled code, shared by runs. Fields below ready are set before it
// is closed and never change after.
type module struct {
	digest string
	ready  chan struct{}

	err      error
	bytes    int64
	minPages uint32 // memory it starts with, in WASM pages
	maxPages uint32 // memory it allows itself
	compiled wazero.CompiledModule

	// Guarded by Driver.mu: it may be evicted when users is 0.
	users int
	used  uint64
}

// stamp lets a file be hashed once while it does not change.
type stamp struct {
	size   int64
	mtime  time.Time
	digest string
}

// maxStamps bounds how many paths are remembered.
const maxStamps = 1024

// Prepare compiles a module file once per digest. A compilation goes on when ctx
// ends: others may wait for it, or the next try will. Its own limits bound it.
func (d *Driver) Prepare(ctx context.Context, image string) (driver.ImageInfo, error) {
	m, cached, err := d.acquire(ctx, image)
	if err != nil {
		return driver.ImageInfo{}, err
	}
	defer d.release(m)
	return driver.ImageInfo{Digest: m.digest, Bytes: m.bytes, UnpackedBytes: m.bytes, Cached: cached}, nil
}

// acquire gives a compiled module and counts the caller as its user until release.
func (d *Driver) acquire(ctx context.Context, image string) (*module, bool, error) {
	digest, content, err := d.read(image)
	if err != nil {
		return nil, false, err
	}
	for {
		d.mu.Lock()
		if d.closed {
			d.mu.Unlock()
			return nil, false, driver.ErrClosed
		}
		m, found := d.modules[digest]
		if !found {
			if content == nil {
				// Its digest is known but its code was evicted: read again.
				delete(d.files, image)
				d.mu.Unlock()
				if digest, content, err = d.read(image); err != nil {
					return nil, false, err
				}
				continue
			}
			if m = d.compile(digest, content); m.err != nil {
				d.mu.Unlock()
				return nil, false, m.err
			}
			d.modules[digest] = m
		}
		d.tick++
		m.users, m.used = m.users+1, d.tick
		d.evict()
		d.mu.Unlock()
		select {
		case <-m.ready:
		case <-ctx.Done():
			d.release(m)
			return nil, false, ctx.Err()
		}
		if m.err != nil {
			d.release(m)
			return nil, false, m.err
		}
		return m, found, nil
	}
}

func (d *Driver) release(m *module) {
	d.mu.Lock()
	defer d.mu.Unlock()
	m.users--
	if m.err != nil && d.modules[m.digest] == m {
		// Not remembered: a failure may have been ours.
		delete(d.modules, m.digest)
	}
	d.evict()
}

// evict closes the modules that were not used for the longest. d.mu is held.
func (d *Driver) evict() {
	for len(d.modules) > d.cfg.MaxModules {
		var oldest *module
		for _, m := range d.modules {
			if m.users == 0 && (oldest == nil || m.used < oldest.used) {
				oldest = m
			}
		}
		if oldest == nil {
			return
		}
		delete(d.modules, oldest.digest)
		if oldest.compiled != nil {
			_ = oldest.compiled.Close(context.Background())
		}
	}
}

// read gives the digest of a file, and its content unless the digest is known.
func (d *Driver) read(image string) (string, []byte, error) {
	f, err := os.Open(image)
	if err != nil {
		return "", nil, fmt.Errorf("%w: %w", driver.ErrInvalidImage, err)
	}
	defer f.Close()
	st, err := f.Stat()
	if err != nil || !st.Mode().IsRegular() {
		return "", nil, fmt.Errorf("%w: not a file", driver.ErrInvalidImage)
	}
	if st.Size() > d.cfg.MaxModuleBytes {
		return "", nil, fmt.Errorf("%w: %d bytes, at most %d", driver.ErrImageTooLarge, st.Size(), d.cfg.MaxModuleBytes)
	}
	d.mu.Lock()
	known, ok := d.files[image]
	d.mu.Unlock()
	if ok && known.size == st.Size() && known.mtime.Equal(st.ModTime()) {
		return known.digest, nil, nil
	}
	content, err := io.ReadAll(io.LimitReader(f, d.cfg.MaxModuleBytes+1))
	if err != nil {
		return "", nil, fmt.Errorf("%w: %w", driver.ErrFault, err)
	}
	if int64(len(content)) > d.cfg.MaxModuleBytes {
		return "", nil, driver.ErrImageTooLarge
	}
	sum := sha256.Sum256(content)
	digest := "sha256:" + hex.EncodeToString(sum[:])
	d.mu.Lock()
	defer d.mu.Unlock()
	if len(d.files) >= maxStamps {
		clear(d.files)
	}
	d.files[image] = stamp{st.Size(), st.ModTime(), digest}
	return digest, content, nil
}

// compile begins to compile a module, and is one of its users until it is ready;
// one that was refused before is refused again. d.mu is held.
func (d *Driver) compile(digest string, content []byte) *module {
	m := &module{digest: digest, ready: make(chan struct{}), bytes: int64(len(content)), err: d.refused[digest]}
	if m.err != nil {
		return m
	}
	m.users = 1
	d.work.Go(func() {
		err := m.compile(d, content)
		d.mu.Lock()
		if m.err = err; errors.Is(err, driver.ErrImageTooLarge) {
			// It is known only after much work: remembered, so that the work is done once.
			if len(d.refused) >= maxStamps {
				clear(d.refused)
			}
			d.refused[digest] = err
		}
		d.mu.Unlock()
		close(m.ready)
		d.release(m)
	})
	return m
}

// compile checks and compiles. Whatever is wrong with the content is ErrInvalidImage.
func (m *module) compile(d *Driver, content []byte) error {
	safe, err := bound(content)
	if err != nil {
		return err
	}
	if len(d.cfg.Compiler) > 0 && safe.codeBytes > smallCode {
		if err := d.precompile(d.ctx, safe.content); err != nil {
			return err
		}
	}
	c, err := d.runtime.CompileModule(d.ctx, safe.content)
	if err != nil {
		return fmt.Errorf("%w: %w", driver.ErrInvalidImage, err)
	}
	if err := linkable(c, d.runtime); err != nil {
		return errors.Join(err, c.Close(context.Background()))
	}
	m.compiled, m.minPages, m.maxPages = c, safe.minPages, safe.maxPages
	return nil
}

// linkable checks what would otherwise fail only when a run starts.
func linkable(c wazero.CompiledModule, rt wazero.Runtime) error {
	if c.ExportedFunctions()["_start"] == nil {
		return fmt.Errorf("%w: no _start: not a command", driver.ErrInvalidImage)
	}
	if len(c.ImportedMemories()) > 0 {
		return fmt.Errorf("%w: imports a memory", driver.ErrInvalidImage)
	}
	wasi := rt.Module(wasi_snapshot_preview1.ModuleName).ExportedFunctionDefinitions()
	for _, f := range c.ImportedFunctions() {
		mod, name, _ := f.Import()
		if mod != wasi_snapshot_preview1.ModuleName || wasi[name] == nil {
			return fmt.Errorf("%w: imports %.64q %.64q, which is not wasip1", driver.ErrInvalidImage, mod, name)
		}
	}
	return nil
}

// pruneCache deletes the oldest compiled code until the rest fits.
func pruneCache(dir string, limit int64) error {
	type entry struct {
		path string
		size int64
		time time.Time
	}
	var all []entry
	var total int64
	err := filepath.WalkDir(dir, func(p string, e fs.DirEntry, err error) error {
		if err != nil || !e.Type().IsRegular() {
			return err
		}
		st, err := e.Info()
		if err != nil {
			return err
		}
		all = append(all, entry{p, st.Size(), st.ModTime()})
		total += st.Size()
		return nil
	})
	if err != nil {
		return err
	}
	sort.Slice(all, func(i, j int) bool { return all[i].time.Before(all[j].time) })
	for _, e := range all {
		if total <= limit {
			return nil
		}
		if err := os.Remove(e.path); err != nil {
			return err
		}
		total -= e.size
	}
	return nil
}
