package wasm

import (
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"sort"
	"strings"

	experimentalsys "github.com/tetratelabs/wazero/experimental/sys"
	"github.com/tetratelabs/wazero/sys"

	"github.com/nexara/nexara/node/driver"
)

// inputs is /in: host files and folders at their guest paths, and the folders
// between that exist only as names. Everything is read-only.
type inputs struct {
	experimentalsys.UnimplementedFS
	mounts []mount
	quota  *quota
}

// mount is one input, relative to /in. For a file, folder is its parent and name
// its base name: nothing else of the parent can be reached.
type mount struct {
	at     string
	folder *folder
	name   string // "." for a folder
}

var _ experimentalsys.FS = (*inputs)(nil)

// openInputs opens the host paths; links in them are the caller's and are resolved.
func openInputs(list []driver.Input, q *quota) (*inputs, error) {
	in := &inputs{quota: q}
	for _, input := range list {
		host, err := filepath.EvalSymlinks(input.HostPath)
		if err != nil {
			return nil, closing(in, fmt.Errorf("%w: input %s: %w", driver.ErrFault, input.GuestPath, err))
		}
		st, err := os.Stat(host)
		if err != nil {
			return nil, closing(in, fmt.Errorf("%w: input %s: %w", driver.ErrFault, input.GuestPath, err))
		}
		dir, name := host, "."
		if !st.IsDir() {
			dir, name = filepath.Dir(host), filepath.Base(host)
		}
		root, err := os.OpenRoot(dir)
		if err != nil {
			return nil, closing(in, fmt.Errorf("%w: input %s: %w", driver.ErrFault, input.GuestPath, err))
		}
		at := strings.TrimPrefix(strings.TrimPrefix(input.GuestPath, driver.InputRoot), "/")
		if at == "" {
			at = "."
		}
		in.mounts = append(in.mounts, mount{at, &folder{root: root, quota: q}, name})
	}
	return in, nil
}

func closing(in *inputs, err error) error {
	in.close()
	return err
}

func (in *inputs) close() {
	for _, m := range in.mounts {
		_ = m.folder.root.Close()
	}
}

// find gives the mount that a path belongs to and the path within it, or tells
// whether the path is a folder on the way to some mount.
func (in *inputs) find(p string) (f *folder, name string, between bool) {
	p = path.Clean(strings.TrimRight(p, "/"))
	for _, m := range in.mounts {
		switch {
		case m.at == ".":
			if m.name != "." {
				continue // a file cannot be mounted as /in itself
			}
			return m.folder, p, false
		case p == m.at:
			return m.folder, m.name, false
		case strings.HasPrefix(p, m.at+"/") && m.name == ".":
			return m.folder, p[len(m.at)+1:], false
		case p == "." || strings.HasPrefix(m.at, p+"/"):
			between = true
		}
	}
	return nil, "", between || p == "."
}

// OpenFile opens for reading.
func (in *inputs) OpenFile(p string, flag experimentalsys.Oflag, perm fs.FileMode) (experimentalsys.File, experimentalsys.Errno) {
	f, name, between := in.find(p)
	switch {
	case f != nil:
		return f.OpenFile(name, flag, perm)
	case !between:
		return nil, experimentalsys.ENOENT
	case flag&(experimentalsys.O_RDWR|experimentalsys.O_WRONLY) != 0:
		return nil, experimentalsys.EISDIR
	}
	return &nameDir{entries: in.names(path.Clean(strings.TrimRight(p, "/")))}, 0
}

// Lstat describes an input or a folder on the way.
func (in *inputs) Lstat(p string) (sys.Stat_t, experimentalsys.Errno) {
	f, name, between := in.find(p)
	switch {
	case f != nil:
		return f.Lstat(name)
	case between:
		return nameStat(), 0
	}
	return sys.Stat_t{}, experimentalsys.ENOENT
}

// Stat follows links within one input.
func (in *inputs) Stat(p string) (sys.Stat_t, experimentalsys.Errno) {
	if f, name, _ := in.find(p); f != nil {
		return f.Stat(name)
	}
	return in.Lstat(p)
}

// Readlink reads a link of an input.
func (in *inputs) Readlink(p string) (string, experimentalsys.Errno) {
	if f, name, _ := in.find(p); f != nil {
		return f.Readlink(name)
	}
	return "", experimentalsys.EINVAL
}

// The rest would write.

// Mkdir is refused.
func (in *inputs) Mkdir(string, fs.FileMode) experimentalsys.Errno { return experimentalsys.EROFS }

// Chmod is refused.
func (in *inputs) Chmod(string, fs.FileMode) experimentalsys.Errno { return experimentalsys.EROFS }

// Rename is refused.
func (in *inputs) Rename(string, string) experimentalsys.Errno { return experimentalsys.EROFS }

// Rmdir is refused.
func (in *inputs) Rmdir(string) experimentalsys.Errno { return experimentalsys.EROFS }

// Unlink is refused.
func (in *inputs) Unlink(string) experimentalsys.Errno { return experimentalsys.EROFS }

// Link is refused.
func (in *inputs) Link(string, string) experimentalsys.Errno { return experimentalsys.EROFS }

// Symlink is refused.
func (in *inputs) Symlink(string, string) experimentalsys.Errno { return experimentalsys.EROFS }

// Utimens is refused.
func (in *inputs) Utimens(string, int64, int64) experimentalsys.Errno { return experimentalsys.EROFS }

// names lists what lies directly under a folder on the way.
func (in *inputs) names(dir string) []experimentalsys.Dirent {
	seen := map[string]bool{}
	var all []experimentalsys.Dirent
	for _, m := range in.mounts {
		rest := m.at
		if dir != "." {
			var ok bool
			if rest, ok = strings.CutPrefix(m.at, dir+"/"); !ok {
				continue
			}
		}
		name, _, deeper := strings.Cut(rest, "/")
		if seen[name] {
			continue
		}
		seen[name] = true
		kind := fs.ModeDir
		if !deeper && m.name != "." {
			kind = 0
		}
		all = append(all, experimentalsys.Dirent{Name: name, Type: kind})
	}
	sort.Slice(all, func(i, j int) bool { return all[i].Name < all[j].Name })
	return all
}
