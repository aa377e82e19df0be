package file

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/ipfs/go-cid"

	"github.com/nexara/nexara/node/blob"
)

const maxPinName = 200 // bytes

func (s *Store) pinPath(name string) string {
	h := sha256.Sum256([]byte(name))
	return s.at("pins", hex.EncodeToString(h[:16])+".json")
}

func (s *Store) loadPins() error {
	entries, err := os.ReadDir(s.at("pins"))
	if err != nil {
		return err
	}
	for _, e := range entries {
		var p blob.Pin
		data, err := os.ReadFile(s.at("pins", e.Name()))
		if err == nil {
			err = json.Unmarshal(data, &p)
		}
		if err != nil {
			return fmt.Errorf("pin %s: %w", e.Name(), err)
		}
		s.pins[p.Name] = p
	}
	return nil
}

// Hold implements blob.Pinner.
func (s *Store) Hold() func() {
	s.mu.Lock()
	id := s.nextHold
	s.nextHold++
	s.holds[id] = time.Now()
	s.mu.Unlock()
	return sync.OnceFunc(func() {
		s.mu.Lock()
		delete(s.holds, id)
		s.mu.Unlock()
		s.changes.Add(1)
	})
}

// Pin implements blob.Pinner.
func (s *Store) Pin(ctx context.Context, p blob.Pin) error {
	if err := s.check(ctx, p.Root); err != nil {
		return err
	}
	if p.Name == "" || len(p.Name) > maxPinName {
		return fmt.Errorf("pin name of %d bytes: %w", len(p.Name), blob.ErrInvalid)
	}
	s.pinMu.Lock()
	defer s.pinMu.Unlock()
	all := blob.Limits{MaxBytes: math.MaxInt64, MaxBlocks: math.MaxInt64, MaxDepth: math.MaxInt}
	if _, err := blob.Walk(ctx, s, p.Root, all, nil); err != nil {
		return fmt.Errorf("pin %s: %w", p.Name, err)
	}
	if err := s.Sync(ctx); err != nil {
		return err
	}
	if err := s.writePin(p); err != nil {
		return fmt.Errorf("pin %s: %w", p.Name, blob.DiskErr(err))
	}
	s.pins[p.Name] = p
	return nil
}

func (s *Store) writePin(p blob.Pin) error {
	data, err := json.Marshal(p)
	if err != nil {
		return err
	}
	tmp, err := os.CreateTemp(s.at("tmp"), "pin-*")
	if err != nil {
		return err
	}
	_, err = tmp.Write(data)
	if err = errors.Join(err, tmp.Sync(), tmp.Close()); err == nil {
		err = os.Rename(tmp.Name(), s.pinPath(p.Name))
	}
	if err != nil {
		return errors.Join(err, os.Remove(tmp.Name()))
	}
	return flush(s.at("pins"))
}

// Unpin implements blob.Pinner.
func (s *Store) Unpin(ctx context.Context, name string) error {
	if s.closed.Load() {
		return blob.ErrClosed
	}
	if err := blob.ContextErr(ctx); err != nil {
		return err
	}
	s.pinMu.Lock()
	defer s.pinMu.Unlock()
	return s.unpin(name)
}

func (s *Store) unpin(name string) error {
	if err := os.Remove(s.pinPath(name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("unpin %s: %w", name, err)
	}
	delete(s.pins, name)
	s.changes.Add(1)
	return nil
}

// Pins implements blob.Pinner.
func (s *Store) Pins(ctx context.Context) ([]blob.Pin, error) {
	if s.closed.Load() {
		return nil, blob.ErrClosed
	}
	s.pinMu.Lock()
	defer s.pinMu.Unlock()
	now := time.Now()
	out := make([]blob.Pin, 0, len(s.pins))
	for _, p := range s.pins {
		if p.Until.IsZero() || p.Until.After(now) {
			out = append(out, p)
		}
	}
	slices.SortFunc(out, func(a, b blob.Pin) int { return strings.Compare(a.Name, b.Name) })
	return out, blob.ContextErr(ctx)
}

// GC implements blob.Pinner.
func (s *Store) GC(ctx context.Context, target int64) (blob.GCResult, error) {
	if s.closed.Load() {
		return blob.GCResult{}, blob.ErrClosed
	}
	s.pinMu.Lock()
	defer s.pinMu.Unlock()
	return s.gc(ctx, target)
}

// gc marks everything below the pins and sweeps the rest, oldest use first. The caller holds pinMu.
func (s *Store) gc(ctx context.Context, target int64) (blob.GCResult, error) {
	now := time.Now()
	for name, p := range s.pins {
		if !p.Until.IsZero() && !p.Until.After(now) {
			if err := s.unpin(name); err != nil {
				return blob.GCResult{}, err
			}
		}
	}
	live := map[[sha256.Size]byte]struct{}{}
	for _, p := range s.pins {
		if err := s.mark(ctx, live, p.Root); err != nil {
			return blob.GCResult{}, fmt.Errorf("gc: pin %s: %w", p.Name, err)
		}
	}
	keepFrom := now.Add(-s.cfg.Grace)
	s.mu.Lock()
	for _, began := range s.holds {
		if began = began.Add(-clockSlack); began.Before(keepFrom) {
			keepFrom = began
		}
	}
	s.mu.Unlock()
	type candidate struct {
		digest [sha256.Size]byte
		used   time.Time
	}
	var old []candidate
	err := s.eachBlock(func(d [sha256.Size]byte, _ string, info fs.FileInfo) error {
		_, kept := live[d]
		if used := info.ModTime(); !kept && used.Before(keepFrom) {
			old = append(old, candidate{d, used})
		}
		return blob.ContextErr(ctx)
	})
	if err != nil {
		return blob.GCResult{}, fmt.Errorf("gc: %w", err)
	}
	slices.SortFunc(old, func(a, b candidate) int {
		return cmp.Or(a.used.Compare(b.used), slices.Compare(a.digest[:], b.digest[:]))
	})
	var out blob.GCResult
	for _, c := range old {
		if s.used.Load() <= target {
			break
		}
		n, err := s.collect(c.digest, keepFrom)
		if err != nil {
			return out, fmt.Errorf("gc: %w", err)
		}
		if n > 0 {
			out.Blocks++
			out.Bytes += n
		}
	}
	out.Left = s.used.Load()
	if out.Blocks > 0 {
		s.cfg.Logger.Info("blobs collected", "blocks", out.Blocks, "bytes", out.Bytes, "left", out.Left)
	}
	return out, nil
}

// collect removes one block unless it was used meanwhile, and returns the disk freed.
func (s *Store) collect(d [sha256.Size]byte, keepFrom time.Time) (int64, error) {
	m := s.stripe(d)
	m.Lock()
	defer m.Unlock()
	path := s.path(d)
	info, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) || err == nil && !info.ModTime().Before(keepFrom) {
		return 0, nil
	}
	if err == nil {
		err = s.drop(path, info.Size())
	}
	return diskSize(sizeOf(info)), err
}

func sizeOf(info fs.FileInfo) int64 {
	if info == nil {
		return 0
	}
	return info.Size()
}

// mark adds every digest below root. A pinned block that is lost or corrupt is logged and passed over: the
// rest of its DAG must still be kept.
func (s *Store) mark(ctx context.Context, live map[[sha256.Size]byte]struct{}, root cid.Cid) error {
	all := blob.Limits{MaxBytes: math.MaxInt64, MaxBlocks: math.MaxInt64, MaxDepth: math.MaxInt}
	r := &lenient{Store: s}
	_, err := blob.Walk(ctx, r, root, all, func(c cid.Cid, _ int64) error {
		live[blob.Digest(c)] = struct{}{}
		return nil
	})
	if r.lost > 0 {
		s.cfg.Logger.Error("pinned blocks are lost", "root", root.String(), "blocks", r.lost, "first", r.first.String())
	}
	return err
}

// lenient reads lost blocks as empty, so that a walk goes on past them. An empty dag-pb block has no links.
// Only mark uses it: what it reads never leaves this file.
type lenient struct {
	*Store
	lost  int64
	first cid.Cid
}

func (l *lenient) excuse(c cid.Cid, err error) error {
	if !errors.Is(err, blob.ErrNotFound) && !errors.Is(err, blob.ErrCorrupt) {
		return err
	}
	if l.lost++; l.lost == 1 {
		l.first = c
	}
	return nil
}

// Size implements blob.Reader without noting a use: marking is no use.
func (l *lenient) Size(_ context.Context, c cid.Cid) (int64, error) {
	info, err := os.Stat(l.path(blob.Digest(c)))
	if errors.Is(err, fs.ErrNotExist) {
		return 0, l.excuse(c, blob.ErrNotFound)
	}
	return sizeOf(info), err
}

// Get implements blob.Reader.
func (l *lenient) Get(ctx context.Context, c cid.Cid) (blob.Block, error) {
	b, err := l.Store.Get(ctx, c)
	if err == nil {
		return b, nil
	}
	if err := l.excuse(c, err); err != nil {
		return blob.Block{}, err
	}
	return blob.NewBlock(cid.DagProtobuf, nil)
}

// gcMayHelp and noteStuck keep a store that is full of pinned blocks from sweeping at every Put.
func (s *Store) gcMayHelp() bool {
	return s.changes.Load() != s.stuck.uses || time.Now().After(s.stuck.till)
}

func (s *Store) noteStuck() {
	s.stuck.uses, s.stuck.till = s.changes.Load(), time.Now().Add(10*time.Second)
}
