package wasm

import (
	"io/fs"
	"path"
	"strings"

	experimentalsys "github.com/tetratelabs/wazero/experimental/sys"
	"github.com/tetratelabs/wazero/sys"
)

// tree is the guest's root: in, out and tmp, and nothing beside them. out and tmp
// are rooted apart, although renaming between them would be handy: from a common
// root a link could reach the folder out itself and put something else in its place.
type tree struct {
	in       *inputs
	out, tmp *folder
}

var _ experimentalsys.FS = (*tree)(nil)

// find gives the file system that a path belongs to and the path within it. The
// root itself belongs to neither.
func (t *tree) find(p string) (experimentalsys.FS, string, experimentalsys.Errno) {
	clean := path.Clean(strings.TrimRight(p, "/"))
	first, rest, deeper := strings.Cut(clean, "/")
	if rest += p[len(strings.TrimRight(p, "/")):]; !deeper {
		rest = "."
	}
	switch first {
	case "in":
		return t.in, rest, 0
	case "out":
		return t.out, rest, 0
	case "tmp":
		return t.tmp, rest, 0
	case ".":
		return nil, ".", 0
	}
	return nil, "", experimentalsys.ENOENT
}

// change is find for what alters a name: neither the root nor its three folders
// can be altered.
func (t *tree) change(p string) (experimentalsys.FS, string, experimentalsys.Errno) {
	f, rest, errno := t.find(p)
	if f == nil || !strings.Contains(strings.Trim(path.Clean(p), "/"), "/") {
		return nil, "", experimentalsys.EROFS
	}
	return f, rest, errno
}

// OpenFile opens in one of the three folders, or the root for listing.
func (t *tree) OpenFile(p string, flag experimentalsys.Oflag, perm fs.FileMode) (experimentalsys.File, experimentalsys.Errno) {
	f, rest, errno := t.find(p)
	switch {
	case errno != 0 && flag&experimentalsys.O_CREAT != 0:
		return nil, experimentalsys.EROFS
	case errno != 0:
		return nil, errno
	case f != nil:
		return f.OpenFile(rest, flag, perm)
	case flag&(experimentalsys.O_RDWR|experimentalsys.O_WRONLY) != 0:
		return nil, experimentalsys.EISDIR
	}
	return &nameDir{entries: []experimentalsys.Dirent{
		{Name: "in", Type: fs.ModeDir}, {Name: "out", Type: fs.ModeDir}, {Name: "tmp", Type: fs.ModeDir},
	}}, 0
}

// Lstat does not follow the last link.
func (t *tree) Lstat(p string) (sys.Stat_t, experimentalsys.Errno) {
	f, rest, errno := t.find(p)
	if errno != 0 {
		return sys.Stat_t{}, errno
	}
	if f == nil {
		return nameStat(), 0
	}
	return f.Lstat(rest)
}

// Stat follows links.
func (t *tree) Stat(p string) (sys.Stat_t, experimentalsys.Errno) {
	f, rest, errno := t.find(p)
	if errno != 0 {
		return sys.Stat_t{}, errno
	}
	if f == nil {
		return nameStat(), 0
	}
	return f.Stat(rest)
}

// Readlink reads a link.
func (t *tree) Readlink(p string) (string, experimentalsys.Errno) {
	f, rest, errno := t.find(p)
	if errno != 0 {
		return "", errno
	}
	if f == nil {
		return "", experimentalsys.EINVAL
	}
	return f.Readlink(rest)
}

// Mkdir makes a folder.
func (t *tree) Mkdir(p string, perm fs.FileMode) experimentalsys.Errno {
	if _, errno := t.Lstat(p); errno == 0 {
		return experimentalsys.EEXIST
	}
	f, rest, errno := t.change(p)
	if errno != 0 {
		return errno
	}
	return f.Mkdir(rest, perm)
}

// Chmod does nothing where writing is allowed.
func (t *tree) Chmod(p string, perm fs.FileMode) experimentalsys.Errno {
	f, rest, errno := t.change(p)
	if errno != 0 {
		return errno
	}
	return f.Chmod(rest, perm)
}

// Rename moves within out or within tmp.
func (t *tree) Rename(from, to string) experimentalsys.Errno {
	a, fromRest, errno := t.change(from)
	if errno != 0 {
		return errno
	}
	b, toRest, errno := t.change(to)
	if errno != 0 {
		return errno
	}
	if a != b {
		return experimentalsys.ENOTSUP
	}
	return a.Rename(fromRest, toRest)
}

// Rmdir removes an empty folder.
func (t *tree) Rmdir(p string) experimentalsys.Errno {
	f, rest, errno := t.change(p)
	if errno != 0 {
		return errno
	}
	return f.Rmdir(rest)
}

// Unlink removes a name.
func (t *tree) Unlink(p string) experimentalsys.Errno {
	f, rest, errno := t.change(p)
	if errno != 0 {
		return errno
	}
	return f.Unlink(rest)
}

// Link is refused everywhere.
func (t *tree) Link(string, string) experimentalsys.Errno { return experimentalsys.ENOTSUP }

// Symlink makes a link.
func (t *tree) Symlink(target, p string) experimentalsys.Errno {
	f, rest, errno := t.change(p)
	if errno != 0 {
		return errno
	}
	return f.Symlink(target, rest)
}

// Utimens sets times.
func (t *tree) Utimens(p string, atim, mtim int64) experimentalsys.Errno {
	f, rest, errno := t.change(p)
	if errno != 0 {
		return errno
	}
	return f.Utimens(rest, atim, mtim)
}

// nameStat describes a folder that exists only as a name.
func nameStat() sys.Stat_t { return sys.Stat_t{Mode: fs.ModeDir | 0o555, Nlink: 1} }

// nameDir is an open folder that has no host folder behind it.
type nameDir struct {
	experimentalsys.DirFile
	entries []experimentalsys.Dirent
	next    int
}

var _ experimentalsys.File = (*nameDir)(nil)

// Dev is none.
func (d *nameDir) Dev() (uint64, experimentalsys.Errno) { return 0, 0 }

// Ino is none.
func (d *nameDir) Ino() (sys.Inode, experimentalsys.Errno) { return 0, 0 }

// Stat is a read-only folder.
func (d *nameDir) Stat() (sys.Stat_t, experimentalsys.Errno) { return nameStat(), 0 }

// Seek rewinds, nothing else.
func (d *nameDir) Seek(offset position, whence int) (position, experimentalsys.Errno) {
	if offset != 0 || whence != 0 {
		return 0, experimentalsys.EINVAL
	}
	d.next = 0
	return 0, 0
}

// Readdir gives the next n names, or all with n <= 0.
func (d *nameDir) Readdir(n int) ([]experimentalsys.Dirent, experimentalsys.Errno) {
	rest := d.entries[d.next:]
	if n > 0 {
		rest = rest[:min(n, len(rest))]
	}
	d.next += len(rest)
	return rest, 0
}

// Sync does nothing.
func (d *nameDir) Sync() experimentalsys.Errno { return 0 }

// Datasync does nothing.
func (d *nameDir) Datasync() experimentalsys.Errno { return 0 }

// Utimens is refused.
func (d *nameDir) Utimens(int64, int64) experimentalsys.Errno { return experimentalsys.EROFS }

// Close does nothing.
func (d *nameDir) Close() experimentalsys.Errno { return 0 }
