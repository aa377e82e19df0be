package blob

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"

	"github.com/ipfs/go-cid"
)

// Exported counts what Export wrote.
type Exported struct {
	Kind  Kind
	Files int64
	Bytes int64 // content bytes
}

// Export writes the file or directory below root to dest, which must not exist (fs.ErrExist). All of it
// must be local: Fetch first. It is written under a temporary name beside dest and renamed at the end, so
// dest is whole or absent. Nothing is written outside dest whatever the DAG says: names obey CheckName,
// symbolic links are ErrUnsupported, an entry that comes twice is ErrInvalid, sizes and counts are bound by
// lim. Files are made with mode 0644 and directories with 0755, less the umask.
func Export(ctx context.Context, r Reader, root cid.Cid, dest string, lim Limits) (Exported, error) {
	out, err := export(ctx, r, root, filepath.Clean(dest), lim)
	if err != nil {
		return out, fmt.Errorf("export %s to %s: %w", root, dest, err)
	}
	return out, nil
}

func export(ctx context.Context, r Reader, c cid.Cid, dest string, lim Limits) (out Exported, err error) {
	if _, err := os.Lstat(dest); !errors.Is(err, fs.ErrNotExist) {
		return out, errors.Join(fs.ErrExist, err)
	}
	tmp, err := os.MkdirTemp(filepath.Dir(dest), ".export-*")
	if err != nil {
		return out, DiskErr(err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(tmp)) }()
	dir, err := os.OpenRoot(tmp)
	if err != nil {
		return out, err
	}
	defer dir.Close()
	x := &exporter{view: view{r: r, budget: newBudget(lim)}, dir: dir}
	if out.Kind, err = x.node(ctx, "x", c, 0); err != nil {
		return out, err
	}
	out.Files, out.Bytes = x.files, x.budget.bytes
	return out, os.Rename(filepath.Join(tmp, "x"), dest)
}

type exporter struct {
	view
	dir   *os.Root // everything is written through it, below a folder nobody else writes to
	files int64
}

func (x *exporter) node(ctx context.Context, at string, c cid.Cid, depth int) (Kind, error) {
	if err := ContextErr(ctx); err != nil {
		return 0, err
	}
	if err := x.budget.entry(depth); err != nil {
		return 0, err
	}
	b, kind, err := x.open(ctx, c, depth)
	if err != nil {
		return 0, err
	}
	if kind == KindFile {
		return kind, x.write(ctx, at, b, depth)
	}
	if err := x.dir.Mkdir(at, 0o755); err != nil {
		return 0, twice(err)
	}
	// The children are gathered before any is written: a listing holds one chain of HAMT blocks, and a
	// directory's bytes are freed before its sub-directories are read.
	type child struct {
		name string
		cid  cid.Cid
	}
	var children []child
	err = x.list(ctx, b, depth, func(name string, l cid.Cid, _ uint64) error {
		if x.budget.entries+int64(len(children)) >= x.budget.lim.MaxEntries {
			return fmt.Errorf("more than %d files and directories: %w", x.budget.lim.MaxEntries, ErrTooLarge)
		}
		children = append(children, child{name, l})
		return nil
	})
	if err != nil {
		return 0, err
	}
	for _, ch := range children {
		if _, err := x.node(ctx, path.Join(at, ch.name), ch.cid, depth+1); err != nil {
			return 0, err
		}
	}
	return kind, nil
}

func (x *exporter) write(ctx context.Context, at string, b Block, depth int) error {
	f, err := x.dir.OpenFile(at, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return twice(err)
	}
	x.files++
	if err := x.file(ctx, f, b, -1, depth); err != nil {
		return errors.Join(err, f.Close())
	}
	return DiskErr(f.Close())
}

// twice turns "exists already" into ErrInvalid: the folder was empty, so the DAG named one entry twice (or
// two names are one on this file system).
func twice(err error) error {
	if errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("%w: %w", ErrInvalid, err)
	}
	return DiskErr(err)
}
