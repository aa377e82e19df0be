package blob

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"syscall"

	"github.com/ipfs/go-cid"
)

// Node names a file or directory that was built.
type Node struct {
	// CID is its root block.
	CID cid.Cid
	// Bytes is the content bytes of the files at and below it.
	Bytes int64
	// DAGSize is the bytes of all blocks at and below it, repeated ones counted each time (kubo's Tsize).
	DAGSize int64
}

// AddBytes stores data as a file.
func AddBytes(ctx context.Context, w Writer, data []byte) (Node, error) {
	return AddReader(ctx, w, bytes.NewReader(data), Limits{MaxBytes: int64(len(data)) + 1})
}

// AddReader stores what r yields as a file, in constant memory. ErrTooLarge beyond lim.MaxBytes.
func AddReader(ctx context.Context, w Writer, r io.Reader, lim Limits) (Node, error) {
	return newAdder(w, lim).file(ctx, r)
}

// AddPath stores the file or directory at p and everything below it. Only regular files and directories are
// taken: a symbolic link, device, socket or pipe is ErrUnsupported, and nothing outside p is ever read,
// even if the tree changes meanwhile. Modes and times are not stored.
func AddPath(ctx context.Context, w Writer, p string, lim Limits) (Node, error) {
	a := newAdder(w, lim)
	root, err := os.OpenRoot(filepath.Dir(filepath.Clean(p)))
	if err != nil {
		return Node{}, fmt.Errorf("add %s: %w", p, err)
	}
	defer root.Close()
	name := filepath.Base(filepath.Clean(p))
	if name == "." || name == ".." || name == string(filepath.Separator) {
		abs, err := filepath.Abs(p)
		if err != nil || filepath.Base(abs) == string(filepath.Separator) {
			return Node{}, fmt.Errorf("add %s: %w", p, errors.Join(ErrInvalid, err))
		}
		return AddPath(ctx, w, abs, lim)
	}
	n, err := a.path(ctx, root, name, name, 0)
	if err != nil {
		return Node{}, fmt.Errorf("add: %w", err)
	}
	return n, nil
}

type adder struct {
	w      Writer
	budget *budget
	buf    []byte // one chunk, reused: Put does not retain bytes
}

func newAdder(w Writer, lim Limits) *adder {
	a := &adder{w: w, budget: newBudget(lim)}
	// Content that may not reach a whole chunk needs no buffer for one: small files are many.
	size := int64(chunkSize)
	if most := a.budget.lim.MaxBytes; most < chunkSize {
		size = max(0, most) + 1
	}
	a.buf = make([]byte, size)
	return a
}

// path adds entry name of dir; at is its path for messages.
func (a *adder) path(ctx context.Context, dir *os.Root, name, at string, depth int) (Node, error) {
	if err := a.budget.entry(depth); err != nil {
		return Node{}, fmt.Errorf("%s: %w", at, err)
	}
	was, err := dir.Lstat(name)
	if err != nil {
		return Node{}, err
	}
	if !was.IsDir() && !was.Mode().IsRegular() {
		return Node{}, fmt.Errorf("%s is neither file nor directory (%s): %w", at, was.Mode().Type(), ErrUnsupported)
	}
	if was.IsDir() {
		sub, err := dir.OpenRoot(name)
		if err != nil {
			return Node{}, err
		}
		defer sub.Close()
		if now, err := sub.Stat("."); err != nil || !os.SameFile(was, now) {
			return Node{}, fmt.Errorf("%s was replaced while it was read: %w", at, errors.Join(ErrUnsupported, err))
		}
		return a.dir(ctx, sub, at, depth)
	}
	// O_NONBLOCK: should a pipe have taken the file's place since Lstat, the open must not wait for a writer.
	f, err := dir.OpenFile(name, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return Node{}, err
	}
	defer f.Close()
	if now, err := f.Stat(); err != nil || !os.SameFile(was, now) {
		return Node{}, fmt.Errorf("%s was replaced while it was read: %w", at, errors.Join(ErrUnsupported, err))
	}
	n, err := a.file(ctx, f)
	if err != nil {
		return Node{}, fmt.Errorf("%s: %w", at, err)
	}
	return n, nil
}

func (a *adder) dir(ctx context.Context, dir *os.Root, at string, depth int) (Node, error) {
	f, err := dir.Open(".")
	if err != nil {
		return Node{}, err
	}
	defer f.Close()
	var entries []Entry
	for {
		batch, err := f.ReadDir(256)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return Node{}, err
		}
		for _, e := range batch {
			if err := CheckName(e.Name()); err != nil {
				return Node{}, fmt.Errorf("%s: %w", at, err)
			}
			n, err := a.path(ctx, dir, e.Name(), path.Join(at, e.Name()), depth+1)
			if err != nil {
				return Node{}, err
			}
			entries = append(entries, Entry{Name: e.Name(), Node: n})
		}
	}
	return AddDir(ctx, a.w, entries)
}

// file cuts r into leaves and stacks nodes of up to fileWidth links above them: the balanced layout. Level 0
// of open holds the links to leaves; a full level is closed into a node one level up only when one more link
// arrives, so that the last node standing is the root.
func (a *adder) file(ctx context.Context, r io.Reader) (Node, error) {
	var open [][]fileLink
	var total int64
	for first := true; ; first = false {
		if err := ContextErr(ctx); err != nil {
			return Node{}, err
		}
		n, err := io.ReadFull(r, a.buf)
		if errors.Is(err, io.EOF) && !first {
			break
		}
		if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
			return Node{}, err
		}
		total += int64(n)
		if err := a.budget.content(int64(n)); err != nil {
			return Node{}, err
		}
		b, err2 := NewBlock(cid.Raw, a.buf[:n])
		if err2 == nil {
			err2 = a.w.Put(ctx, b)
		}
		if err2 != nil {
			return Node{}, err2
		}
		if open, err2 = a.push(ctx, open, 0, fileLink{link{cid: b.cid, tsize: uint64(n)}, uint64(n)}); err2 != nil {
			return Node{}, err2
		}
		if err != nil { // a short read: the end
			break
		}
	}
	for lvl := 0; ; lvl++ {
		if lvl == len(open)-1 && len(open[lvl]) == 1 {
			top := open[lvl][0]
			return Node{CID: top.cid, Bytes: total, DAGSize: int64(top.tsize)}, nil
		}
		l, err := a.close(ctx, open[lvl])
		if err != nil {
			return Node{}, err
		}
		if open, err = a.push(ctx, open, lvl+1, l); err != nil {
			return Node{}, err
		}
	}
}

// fileLink is a link and the content bytes below it.
type fileLink struct {
	link
	size uint64
}

func (a *adder) push(ctx context.Context, open [][]fileLink, lvl int, l fileLink) ([][]fileLink, error) {
	if lvl == len(open) {
		open = append(open, nil)
	}
	if len(open[lvl]) == fileWidth {
		up, err := a.close(ctx, open[lvl])
		if err != nil {
			return nil, err
		}
		open[lvl] = open[lvl][:0]
		if open, err = a.push(ctx, open, lvl+1, up); err != nil {
			return nil, err
		}
	}
	open[lvl] = append(open[lvl], l)
	return open, nil
}

// close stores the node over the given links.
func (a *adder) close(ctx context.Context, links []fileLink) (fileLink, error) {
	var up fileLink
	n := node{links: make([]link, len(links))}
	sizes := make([]uint64, len(links))
	for i, l := range links {
		n.links[i], sizes[i] = l.link, l.size
		up.size += l.size
		up.tsize += l.tsize
	}
	n.data = encodeFileNode(up.size, sizes)
	b, err := NewBlock(cid.DagProtobuf, encodeNode(n))
	if err == nil {
		err = a.w.Put(ctx, b)
	}
	up.cid = b.cid
	up.tsize += uint64(len(b.data))
	return up, err
}

// budget counts work against limits.
type budget struct {
	lim                    Limits
	bytes, blocks, entries int64
}

func newBudget(lim Limits) *budget { return &budget{lim: lim.withDefaults()} }

func (b *budget) content(n int64) error {
	if b.bytes += n; b.bytes > b.lim.MaxBytes {
		return fmt.Errorf("more than %d bytes: %w", b.lim.MaxBytes, ErrTooLarge)
	}
	return nil
}

func (b *budget) block(depth int) error {
	if b.blocks++; b.blocks > b.lim.MaxBlocks {
		return fmt.Errorf("more than %d blocks: %w", b.lim.MaxBlocks, ErrTooLarge)
	}
	if depth > b.lim.MaxDepth {
		return fmt.Errorf("deeper than %d links: %w", b.lim.MaxDepth, ErrTooLarge)
	}
	return nil
}

func (b *budget) entry(depth int) error {
	if b.entries++; b.entries > b.lim.MaxEntries {
		return fmt.Errorf("more than %d files and directories: %w", b.lim.MaxEntries, ErrTooLarge)
	}
	if depth > b.lim.MaxDepth {
		return fmt.Errorf("nested deeper than %d: %w", b.lim.MaxDepth, ErrTooLarge)
	}
	return nil
}
