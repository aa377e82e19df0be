package file

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"sync"

	"github.com/ipfs/go-cid"

	"github.com/nexara/nexara/node/blob"
)

func (s *Store) stripe(d [sha256.Size]byte) *sync.Mutex { return &s.stripes[d[0]%64] }

// Put implements blob.Writer. The bytes go to a temporary file that is then renamed: a reader sees the whole
// block or none. They are flushed to the disk by Sync, not here.
func (s *Store) Put(ctx context.Context, b blob.Block) error {
	if err := s.check(ctx, b.CID()); err != nil {
		return err
	}
	if _, inline := blob.Inline(b.CID()); inline {
		return nil
	}
	d := blob.Digest(b.CID())
	path := s.path(d)
	if info, err := os.Stat(path); err == nil && info.Size() == int64(len(b.Data())) {
		s.touch(path, info)
		return nil
	}
	size := diskSize(int64(len(b.Data())))
	if err := s.reserve(ctx, size); err != nil {
		return fmt.Errorf("put %s: %w", b.CID(), err)
	}
	// size is counted from here on; it is given back if nothing is written.
	wrote, full, err := s.write(d, path, b.Data())
	if errors.Is(err, blob.ErrNoSpace) {
		// The disk is fuller than our own count: make room from what is ours, and try once more.
		if r, gcErr := s.GC(ctx, max(0, s.used.Load()-2*size)); gcErr == nil && r.Bytes > 0 {
			wrote, full, err = s.write(d, path, b.Data())
		}
	}
	if !wrote {
		s.used.Add(-size)
	}
	if err != nil {
		return fmt.Errorf("put %s: %w", b.CID(), err)
	}
	if wrote {
		s.blocks.Add(1)
	}
	if full {
		return s.Sync(ctx)
	}
	return nil
}

// reserve counts size bytes as used, making room by GC first where the cap asks for it.
func (s *Store) reserve(ctx context.Context, size int64) error {
	if s.take(size) {
		return nil
	}
	s.pinMu.Lock()
	defer s.pinMu.Unlock()
	if s.take(size) { // another caller made room meanwhile
		return nil
	}
	// A full mark and sweep that found nothing is not repeated for each block until something changed.
	if s.gcMayHelp() {
		// Down to nine tenths, so that a full store does not sweep for every block.
		if _, err := s.gc(ctx, max(0, min(s.cfg.MaxBytes-size, s.cfg.MaxBytes/10*9))); err != nil {
			return err
		}
		if s.take(size) {
			return nil
		}
		s.noteStuck()
	}
	return fmt.Errorf("store's cap of %d bytes is full: %w", s.cfg.MaxBytes, blob.ErrNoSpace)
}

// take counts size bytes if the cap allows.
func (s *Store) take(size int64) bool {
	for {
		used := s.used.Load()
		if used+size > s.cfg.MaxBytes {
			return false
		}
		if s.used.CompareAndSwap(used, used+size) {
			return true
		}
	}
}

// write stores data under path; wrote is false when a good file of that name is there already, full is true
// when a Sync is due.
func (s *Store) write(d [sha256.Size]byte, path string, data []byte) (wrote, full bool, err error) {
	// No Sync begins between the write and its note: what is older than a Sync's stamp is in its list.
	s.syncMu.RLock()
	defer s.syncMu.RUnlock()
	tmp, err := os.CreateTemp(s.at("tmp"), "put-*")
	if err != nil {
		return false, false, blob.DiskErr(err)
	}
	_, err = tmp.Write(data)
	err = errors.Join(err, tmp.Close())
	if err == nil {
		wrote, err = s.place(d, tmp.Name(), path)
	}
	if !wrote {
		return false, false, blob.DiskErr(errors.Join(err, os.Remove(tmp.Name())))
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.unsynced = append(s.unsynced, path)
	return true, len(s.unsynced) >= maxUnsynced, nil
}

func (s *Store) place(d [sha256.Size]byte, tmp, path string) (bool, error) {
	m := s.stripe(d)
	m.Lock()
	defer m.Unlock()
	switch info, err := os.Stat(path); {
	case err == nil:
		was, err := os.Stat(tmp)
		if err != nil || was.Size() == info.Size() {
			return false, err
		}
		// The stored file was cut short or grew: take its count back and replace it.
		if err := s.drop(path, info.Size()); err != nil {
			return false, err
		}
	case !errors.Is(err, fs.ErrNotExist):
		return false, err
	}
	err := os.Rename(tmp, path)
	if errors.Is(err, fs.ErrNotExist) { // the first block of its folder
		if err = os.MkdirAll(filepath.Dir(path), 0o700); err == nil {
			err = os.Rename(tmp, path)
		}
	}
	return err == nil, err
}

// drop removes a block's file and its count. The caller holds the stripe or is alone.
func (s *Store) drop(path string, size int64) error {
	if err := os.Remove(path); err != nil {
		return err
	}
	s.used.Add(-diskSize(size))
	s.blocks.Add(-1)
	return nil
}

// Delete implements blob.Writer.
func (s *Store) Delete(ctx context.Context, c cid.Cid) error {
	if err := s.check(ctx, c); err != nil {
		return err
	}
	if _, inline := blob.Inline(c); inline {
		return nil
	}
	d := blob.Digest(c)
	m := s.stripe(d)
	m.Lock()
	defer m.Unlock()
	path := s.path(d)
	info, err := os.Stat(path)
	if err == nil {
		err = s.drop(path, info.Size())
	}
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("delete %s: %w", c, blob.ErrNotFound)
	}
	s.changes.Add(1)
	return err
}

// quarantine moves a corrupt block out of the way, so that it is not found again and can be fetched anew. It
// looks again under the lock: a good copy may have come meanwhile.
func (s *Store) quarantine(d [sha256.Size]byte) error {
	m := s.stripe(d)
	m.Lock()
	defer m.Unlock()
	path := s.path(d)
	data, err := readBlock(path)
	if errors.Is(err, fs.ErrNotExist) || err == nil && sha256.Sum256(data) == d {
		return nil
	}
	info, statErr := os.Stat(path)
	if statErr != nil {
		return statErr
	}
	slot := fmt.Sprintf("%02d-%s", s.quarantined.Add(1)%maxQuarantine, filepath.Base(path))
	old, err := filepath.Glob(s.at("quarantine", slot[:3]+"*"))
	for _, o := range old {
		err = errors.Join(err, os.Remove(o))
	}
	if err = errors.Join(err, os.Rename(path, s.at("quarantine", slot))); err != nil {
		return err
	}
	s.used.Add(-diskSize(info.Size()))
	s.blocks.Add(-1)
	s.cfg.Logger.Warn("block was corrupt on disk and is set aside", "path", path, "kept_as", slot)
	return nil
}

// Sync implements blob.Store: every block put since the last Sync is flushed, then the folders that name
// them. Flushing late and together lets the kernel order the writes.
func (s *Store) Sync(ctx context.Context) error {
	if s.closed.Load() {
		return blob.ErrClosed
	}
	s.flushMu.Lock()
	defer s.flushMu.Unlock()
	stamp := s.at("tmp", "synced")
	s.syncMu.Lock()
	f, err := os.Create(stamp) // its time is taken before the flush: later writes are newer
	s.mu.Lock()
	paths := s.unsynced
	s.unsynced = nil
	s.mu.Unlock()
	s.syncMu.Unlock()
	if err == nil {
		err = f.Close()
	}
	dirs := map[string]struct{}{s.at("blocks"): {}}
	for i := 0; err == nil && i < len(paths); i++ {
		if err = blob.ContextErr(ctx); err == nil {
			dirs[filepath.Dir(paths[i])] = struct{}{}
			err = flush(paths[i])
		}
	}
	for d := range dirs {
		if err == nil {
			err = flush(d)
		}
	}
	if err == nil {
		err = errors.Join(os.Rename(stamp, s.at("synced")), flush(s.cfg.Dir))
	}
	if err != nil { // not done: the next Sync has them again
		s.mu.Lock()
		s.unsynced = append(s.unsynced, paths...)
		s.mu.Unlock()
		return fmt.Errorf("sync blobs: %w", blob.DiskErr(err))
	}
	return nil
}

// flush makes a file's bytes or a folder's names durable; a file removed meanwhile needs nothing.
func flush(path string) error {
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}

func readFull(r io.Reader, buf []byte) (int, error) {
	n, err := io.ReadFull(r, buf)
	if errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, io.EOF) {
		err = nil
	}
	return n, err
}
