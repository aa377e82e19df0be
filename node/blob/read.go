package blob

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/ipfs/go-cid"
)

// Kind is what a UnixFS node is.
type Kind int

// The kinds.
const (
	KindFile Kind = iota + 1
	KindDir
)

func decodeUnixFS(b Block) (node, fsNode, error) {
	n, err := decodeNode(b.data)
	if err != nil {
		return node{}, fsNode{}, fmt.Errorf("block %s: %w", b.cid, err)
	}
	f, err := decodeFS(n.data)
	if err != nil {
		return node{}, fsNode{}, fmt.Errorf("block %s: %w", b.cid, err)
	}
	return n, f, nil
}

// view is one pass of reading content with its limits.
type view struct {
	r      Reader
	budget *budget
}

// open reads the root block of a node and tells its kind. Symbolic links and everything that is not UnixFS
// are ErrUnsupported.
func (v *view) open(ctx context.Context, c cid.Cid, depth int) (Block, Kind, error) {
	if err := v.budget.block(depth); err != nil {
		return Block{}, 0, err
	}
	b, err := v.r.Get(ctx, c)
	if err != nil || c.Prefix().Codec == cid.Raw {
		return b, KindFile, err
	}
	_, f, err := decodeUnixFS(b)
	if err != nil {
		return Block{}, 0, err
	}
	switch f.typ {
	case fsFile, fsRaw:
		return b, KindFile, nil
	case fsDirectory, fsShard:
		return b, KindDir, nil
	case fsSymlink:
		return Block{}, 0, fmt.Errorf("block %s is a symbolic link: %w", c, ErrUnsupported)
	default:
		return Block{}, 0, fmt.Errorf("block %s has unixfs type %d: %w", c, f.typ, ErrUnsupported)
	}
}

// file writes the content below b to w. want is the size its parent announced, or -1 for a root. Every node
// must deliver what it announced and no node may be empty, so the visits are bounded by the bytes.
func (v *view) file(ctx context.Context, w io.Writer, b Block, want int64, depth int) error {
	data := b.data
	var n node
	var f fsNode
	if b.cid.Prefix().Codec == cid.DagProtobuf {
		var err error
		if n, f, err = decodeUnixFS(b); err != nil {
			return err
		}
		if f.typ != fsFile && f.typ != fsRaw {
			return fmt.Errorf("block %s inside a file has unixfs type %d: %w", b.cid, f.typ, ErrInvalid)
		}
		data = f.data
	}
	size := uint64(len(data))
	for _, s := range f.sizes {
		if s == 0 || s > uint64(v.budget.lim.MaxBytes) {
			return fmt.Errorf("block %s announces a part of %d bytes: %w", b.cid, s, ErrTooLarge)
		}
		if size += s; size > uint64(v.budget.lim.MaxBytes) {
			return fmt.Errorf("file of more than %d bytes: %w", v.budget.lim.MaxBytes, ErrTooLarge)
		}
	}
	bad := len(f.sizes) != len(n.links) || want >= 0 && size != uint64(want)
	if f.size != 0 || len(n.links) > 0 {
		bad = bad || f.size != size
	}
	if bad {
		return fmt.Errorf("block %s: sizes do not add up: %w", b.cid, ErrInvalid)
	}
	if err := v.budget.content(int64(len(data))); err != nil {
		return err
	}
	if _, err := w.Write(data); err != nil {
		return DiskErr(err)
	}
	for i, l := range n.links {
		if err := v.budget.block(depth + 1); err != nil {
			return err
		}
		child, err := v.r.Get(ctx, l.cid)
		if err != nil {
			return err
		}
		if err := v.file(ctx, w, child, int64(f.sizes[i]), depth+1); err != nil {
			return err
		}
	}
	return nil
}

// list calls fn for each entry of a directory, in the order of its blocks; names are checked, distinct or
// not is left to the caller.
func (v *view) list(ctx context.Context, b Block, depth int, fn func(name string, l cid.Cid, tsize uint64) error) error {
	n, f, err := decodeUnixFS(b)
	if err != nil {
		return err
	}
	pad := 0
	if f.typ == fsShard {
		if f.hashType != shardHash || f.fanout < 8 || f.fanout > 1024 || f.fanout&(f.fanout-1) != 0 {
			return fmt.Errorf("block %s: HAMT of hash 0x%x and fan-out %d: %w", b.cid, f.hashType, f.fanout, ErrUnsupported)
		}
		pad = len(strconv.FormatUint(f.fanout-1, 16))
	} else if f.typ != fsDirectory {
		return fmt.Errorf("block %s is no directory: %w", b.cid, ErrInvalid)
	}
	for _, l := range n.links {
		if len(l.name) < pad || !isHex(l.name[:pad]) {
			return fmt.Errorf("block %s: HAMT link %.80q: %w", b.cid, l.name, ErrInvalid)
		}
		if pad > 0 && len(l.name) == pad {
			if depth > v.budget.lim.MaxDepth {
				return fmt.Errorf("block %s: HAMT deeper than %d: %w", b.cid, v.budget.lim.MaxDepth, ErrTooLarge)
			}
			sub, kind, err := v.open(ctx, l.cid, depth+1)
			if err != nil {
				return err
			}
			if kind != KindDir {
				return fmt.Errorf("block %s inside a HAMT is no directory: %w", l.cid, ErrInvalid)
			}
			if _, sf, err := decodeUnixFS(sub); err != nil || sf.typ != fsShard {
				return fmt.Errorf("block %s inside a HAMT is no HAMT: %w", l.cid, ErrInvalid)
			}
			if err := v.list(ctx, sub, depth+1, fn); err != nil {
				return err
			}
			continue
		}
		name := l.name[pad:]
		if err := CheckName(name); err != nil {
			return fmt.Errorf("block %s: %w", b.cid, err)
		}
		if err := fn(name, l.cid, l.tsize); err != nil {
			return err
		}
	}
	return nil
}

func isHex(s string) bool {
	return strings.Trim(s, "0123456789ABCDEF") == ""
}

// ReadAll returns the content of a file of at most max bytes; ErrTooLarge beyond.
func ReadAll(ctx context.Context, r Reader, c cid.Cid, max int64) ([]byte, error) {
	var buf bytes.Buffer
	_, err := CopyFile(ctx, &buf, r, c, Limits{MaxBytes: max})
	if err != nil {
		return nil, err
	}
	return buf.Bytes(), nil
}

// CopyFile writes the content of a file to w and reports its bytes. A directory is ErrInvalid. After an
// error w may hold a part of the content.
func CopyFile(ctx context.Context, w io.Writer, r Reader, c cid.Cid, lim Limits) (int64, error) {
	v := &view{r: r, budget: newBudget(lim)}
	b, kind, err := v.open(ctx, c, 0)
	if err != nil {
		return 0, fmt.Errorf("read %s: %w", c, err)
	}
	if kind != KindFile {
		return 0, fmt.Errorf("read %s: a directory: %w", c, ErrInvalid)
	}
	if err := v.file(ctx, w, b, -1, 0); err != nil {
		return v.budget.bytes, fmt.Errorf("read %s: %w", c, err)
	}
	return v.budget.bytes, nil
}

// List returns the entries of a directory. Node.Bytes is not known from a listing and is 0.
func List(ctx context.Context, r Reader, c cid.Cid, lim Limits) ([]Entry, error) {
	v := &view{r: r, budget: newBudget(lim)}
	b, kind, err := v.open(ctx, c, 0)
	if err != nil {
		return nil, fmt.Errorf("list %s: %w", c, err)
	}
	if kind != KindDir {
		return nil, fmt.Errorf("list %s: a file: %w", c, ErrInvalid)
	}
	var out []Entry
	err = v.list(ctx, b, 0, func(name string, l cid.Cid, tsize uint64) error {
		out = append(out, Entry{Name: name, Node: Node{CID: l, DAGSize: int64(tsize)}})
		return v.budget.entry(0)
	})
	if err != nil {
		return nil, fmt.Errorf("list %s: %w", c, err)
	}
	return out, nil
}

// Resolve follows a slash-separated path of entry names from root; ErrNotFound names what is missing. An
// empty path is root itself.
func Resolve(ctx context.Context, r Reader, root cid.Cid, p string) (cid.Cid, Kind, error) {
	v := &view{r: r, budget: newBudget(Limits{})}
	b, kind, err := v.open(ctx, root, 0)
	if err != nil {
		return cid.Undef, 0, fmt.Errorf("resolve %s: %w", root, err)
	}
	at := root
	for _, want := range strings.FieldsFunc(p, func(c rune) bool { return c == '/' }) {
		next := cid.Undef
		if kind == KindDir {
			err = v.list(ctx, b, 0, func(name string, l cid.Cid, _ uint64) error {
				if name == want {
					next = l
				}
				return nil
			})
		}
		if err == nil && !next.Defined() {
			err = fmt.Errorf("no entry %.80q: %w", want, ErrNotFound)
		}
		if err == nil {
			b, kind, err = v.open(ctx, next, 0)
		}
		if err != nil {
			return cid.Undef, 0, fmt.Errorf("resolve %s/%s: %w", root, p, err)
		}
		at = next
	}
	return at, kind, nil
}
