package driver

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"sort"
	"strings"
	"unicode/utf8"
)

// Bounds of an output path.
const (
	maxOutputPath  = 1024
	maxOutputDepth = 64
)

// Output is one entry of a collected folder.
type Output struct {
	// Path is relative, slash separated and clean; it never contains "..".
	Path string
	// Dir is whether it is a folder; then Size is 0.
	Dir bool
	// Size in bytes. A symbolic link to a file of the folder counts and is
	// delivered as a file of its own.
	Size int64
	// Executable is whether its owner may execute it.
	Executable bool
}

// Collected sums up a collection. Files counts files and folders.
type Collected struct {
	Files, Bytes int64
}

// Collect walks an output folder after its run has ended and hands every entry to
// visit, a folder before its content, names in byte order. r is nil for a folder
// and valid during the call only. The whole folder is checked before the first
// visit, so a refused folder yields nothing.
//
// The folder is hostile: no symbolic link is followed out of it, no device,
// socket or pipe is opened, and no more than limits.OutputFiles entries and
// limits.OutputBytes bytes are read. A refusal is an ErrOutput, which is the
// program's doing; an error of visit or ctx is returned as it is; anything else is ErrFault.
func Collect(ctx context.Context, dir string, limits Limits, visit func(o Output, r io.Reader) error) (Collected, error) {
	if st, err := os.Lstat(dir); err != nil || !st.IsDir() {
		return Collected{}, fmt.Errorf("%w: %s is not a folder", ErrFault, dir)
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return Collected{}, fmt.Errorf("%w: output folder: %w", ErrFault, err)
	}
	defer root.Close()
	c := collector{ctx: ctx, root: root, limits: limits}
	if err := c.walk(".", 0); err != nil {
		return Collected{}, err
	}
	sum := c.sum
	c.sum, c.visit = Collected{}, visit
	if err := c.walk(".", 0); err != nil {
		return Collected{}, err
	}
	return sum, nil
}

type collector struct {
	ctx    context.Context
	root   *os.Root
	limits Limits
	sum    Collected
	visit  func(Output, io.Reader) error // nil: check only
}

func (c *collector) walk(dir string, depth int) error {
	names, err := c.names(dir)
	if err != nil {
		return err
	}
	for _, name := range names {
		if err := c.ctx.Err(); err != nil {
			return err
		}
		p := path.Join(dir, name)
		if !utf8.ValidString(name) || strings.ContainsRune(name, '\\') || len(p) > maxOutputPath || depth >= maxOutputDepth {
			return fmt.Errorf("%w: %.80q", ErrOutputPath, p)
		}
		if err := c.entry(p, depth); err != nil {
			return err
		}
	}
	return nil
}

// names lists a folder, but never reads more entries than are still allowed:
// a folder of ten million files must not become ten million strings.
func (c *collector) names(dir string) ([]string, error) {
	f, err := c.root.Open(dir)
	if err != nil {
		return nil, fmt.Errorf("%w: output %.80q: %w", ErrFault, dir, err)
	}
	defer f.Close()
	var names []string
	for {
		batch, err := f.Readdirnames(1024)
		names = append(names, batch...)
		if c.sum.Files+int64(len(names)) > c.limits.OutputFiles {
			return nil, fmt.Errorf("%w: more than %d", ErrOutputFiles, c.limits.OutputFiles)
		}
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, fmt.Errorf("%w: output %.80q: %w", ErrFault, dir, err)
		}
	}
	sort.Strings(names)
	c.sum.Files += int64(len(names))
	return names, nil
}

func (c *collector) entry(p string, depth int) error {
	st, err := c.root.Lstat(p)
	if err != nil {
		return fmt.Errorf("%w: output %.80q: %w", ErrFault, p, err)
	}
	if st.Mode()&fs.ModeSymlink != 0 {
		// Root.Stat follows links only while they stay beneath the folder.
		if st, err = c.root.Stat(p); err != nil || st.IsDir() {
			return fmt.Errorf("%w: %.80q", ErrOutputLink, p)
		}
	}
	switch {
	case st.IsDir():
		if c.visit != nil {
			if err := c.visit(Output{Path: p, Dir: true}, nil); err != nil {
				return err
			}
		}
		return c.walk(p, depth+1)
	case !st.Mode().IsRegular():
		return fmt.Errorf("%w: %.80q is %s", ErrOutputKind, p, st.Mode().Type())
	}
	if st.Size() > c.limits.OutputBytes-c.sum.Bytes {
		return fmt.Errorf("%w: more than %d", ErrOutputBytes, c.limits.OutputBytes)
	}
	c.sum.Bytes += st.Size()
	if c.visit == nil {
		return nil
	}
	return c.file(p, st)
}

func (c *collector) file(p string, st fs.FileInfo) error {
	f, err := c.root.Open(p)
	if err != nil {
		return fmt.Errorf("%w: output %.80q: %w", ErrFault, p, err)
	}
	defer f.Close()
	now, err := f.Stat()
	if err != nil || !os.SameFile(st, now) || now.Size() != st.Size() {
		return fmt.Errorf("%w: output %.80q changed while it was collected", ErrFault, p)
	}
	return c.visit(Output{Path: p, Size: st.Size(), Executable: st.Mode()&0o100 != 0}, io.LimitReader(f, st.Size()))
}
