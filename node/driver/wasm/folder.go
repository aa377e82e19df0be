package wasm

import (
	"errors"
	"io/fs"
	"math"
	"os"
	"strings"
	"syscall"
	"time"

	experimentalsys "github.com/tetratelabs/wazero/experimental/sys"
	"github.com/tetratelabs/wazero/sys"
)

// folder is a host folder as the guest sees it. All access goes through os.Root,
// which neither a path nor a symbolic link can leave; the engine's own folder
// mount follows links anywhere. A guest has one thread, so a check and the act
// after it cannot be separated by the guest.
type folder struct {
	experimentalsys.UnimplementedFS
	root     *os.Root
	quota    *quota
	writable bool
}

var _ experimentalsys.FS = (*folder)(nil)

// errno maps an error of the host. The engine knows no ENOSPC: the guest sees EIO.
func (d *folder) errno(err error) experimentalsys.Errno {
	if err == nil {
		return 0
	}
	if errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) || errors.Is(err, syscall.EMFILE) ||
		errors.Is(err, syscall.ENFILE) || errors.Is(err, syscall.EIO) {
		d.quota.hostError(err)
	}
	if errno := experimentalsys.UnwrapOSError(err); errno != 0 {
		return errno
	}
	return experimentalsys.EIO
}

// OpenFile opens beneath the root.
func (d *folder) OpenFile(p string, flag experimentalsys.Oflag, _ fs.FileMode) (experimentalsys.File, experimentalsys.Errno) {
	if p == "" {
		p = "."
	}
	mode := flag & (experimentalsys.O_RDONLY | experimentalsys.O_RDWR | experimentalsys.O_WRONLY)
	writes := mode != experimentalsys.O_RDONLY || flag&(experimentalsys.O_CREAT|experimentalsys.O_TRUNC) != 0
	if writes && !d.writable {
		return nil, experimentalsys.EROFS
	}
	if flag&experimentalsys.O_NOFOLLOW != 0 {
		if st, err := d.root.Lstat(p); err == nil && st.Mode()&fs.ModeSymlink != 0 {
			return nil, experimentalsys.ELOOP
		}
	}
	st, err := d.root.Stat(p)
	fresh := errors.Is(err, fs.ErrNotExist) && flag&experimentalsys.O_CREAT != 0 && flag&experimentalsys.O_DIRECTORY == 0
	switch {
	case err != nil && !fresh:
		return nil, d.errno(err)
	case fresh:
	case flag&experimentalsys.O_CREAT != 0 && flag&experimentalsys.O_EXCL != 0:
		return nil, experimentalsys.EEXIST
	case st.IsDir() && mode != experimentalsys.O_RDONLY:
		return nil, experimentalsys.EISDIR
	case !st.IsDir() && flag&experimentalsys.O_DIRECTORY != 0:
		return nil, experimentalsys.ENOTDIR
	case !st.IsDir() && !st.Mode().IsRegular():
		return nil, experimentalsys.EPERM // an input folder may hold anything
	}
	if !d.quota.openFile() {
		return nil, experimentalsys.EAGAIN
	}
	f, errno := d.open(p, mode, flag, fresh)
	if errno != 0 {
		d.quota.closeFile()
	}
	return f, errno
}

func (d *folder) open(p string, mode, flag experimentalsys.Oflag, fresh bool) (experimentalsys.File, experimentalsys.Errno) {
	// Neither O_APPEND nor O_TRUNC nor O_SYNC reaches the host: sizes change only
	// where the quota sees it, and a guest does not drive the host's disk.
	how := os.O_RDONLY
	switch mode {
	case experimentalsys.O_RDWR:
		how = os.O_RDWR
	case experimentalsys.O_WRONLY:
		how = os.O_WRONLY
	}
	if fresh {
		if !d.quota.take(inodeCost) {
			return nil, experimentalsys.EIO
		}
		how |= os.O_CREATE | os.O_EXCL
	}
	f, err := d.root.OpenFile(p, how, 0o600)
	if err != nil {
		if fresh {
			d.quota.give(inodeCost)
		}
		return nil, d.errno(err)
	}
	info, err := f.Stat()
	if err != nil {
		_ = f.Close()
		return nil, d.errno(err)
	}
	st := sys.NewStat_t(info)
	if info.IsDir() {
		return &dirFile{handle: handle{folder: d, file: f, path: p, stat: st}}, 0
	}
	of := &openFile{handle: handle{folder: d, file: f, path: p, stat: st}, flag: flag}
	if d.writable {
		of.node = d.quota.attach(st.Ino, st.Size)
	}
	if flag&experimentalsys.O_TRUNC != 0 {
		if errno := of.Truncate(0); errno != 0 {
			_ = of.Close()
			// Close gives the handle back, and so does the caller.
			d.quota.openFile()
			return nil, errno
		}
	}
	return of, 0
}

// Lstat does not follow the last link.
func (d *folder) Lstat(p string) (sys.Stat_t, experimentalsys.Errno) {
	st, err := d.root.Lstat(p)
	if err != nil {
		return sys.Stat_t{}, d.errno(err)
	}
	return sys.NewStat_t(st), 0
}

// Stat follows links that stay beneath the root.
func (d *folder) Stat(p string) (sys.Stat_t, experimentalsys.Errno) {
	st, err := d.root.Stat(p)
	if err != nil {
		return sys.Stat_t{}, d.errno(err)
	}
	return sys.NewStat_t(st), 0
}

// create makes an inode with do, paid before.
func (d *folder) create(extra int64, do func() error) experimentalsys.Errno {
	if !d.writable {
		return experimentalsys.EROFS
	}
	if !d.quota.take(inodeCost + extra) {
		return experimentalsys.EIO
	}
	if err := do(); err != nil {
		d.quota.give(inodeCost + extra)
		return d.errno(err)
	}
	return 0
}

// Mkdir makes a folder.
func (d *folder) Mkdir(p string, _ fs.FileMode) experimentalsys.Errno {
	return d.create(0, func() error { return d.root.Mkdir(strings.TrimRight(p, "/"), 0o700) })
}

// Symlink makes a link to anything; following it is what is checked.
func (d *folder) Symlink(target, p string) experimentalsys.Errno {
	if len(target) > inodeCost {
		return experimentalsys.ENAMETOOLONG
	}
	return d.create(0, func() error { return d.root.Symlink(target, p) })
}

// Link is refused: an inode with two names could not be paid once.
func (d *folder) Link(string, string) experimentalsys.Errno { return experimentalsys.ENOTSUP }

// Readlink reads a link.
func (d *folder) Readlink(p string) (string, experimentalsys.Errno) {
	t, err := d.root.Readlink(p)
	return t, d.errno(err)
}

// Chmod does nothing: the guest's files belong to the daemon, modes included.
func (d *folder) Chmod(p string, _ fs.FileMode) experimentalsys.Errno {
	if !d.writable {
		return experimentalsys.EROFS
	}
	_, errno := d.Stat(p)
	return errno
}

// Unlink removes a name that is not a folder's.
func (d *folder) Unlink(p string) experimentalsys.Errno {
	return d.remove(p, func(isDir bool) experimentalsys.Errno {
		if isDir {
			return experimentalsys.EISDIR
		}
		return 0
	})
}

// Rmdir removes an empty folder.
func (d *folder) Rmdir(p string) experimentalsys.Errno {
	return d.remove(strings.TrimRight(p, "/"), func(isDir bool) experimentalsys.Errno {
		if !isDir {
			return experimentalsys.ENOTDIR
		}
		return 0
	})
}

func (d *folder) remove(p string, check func(isDir bool) experimentalsys.Errno) experimentalsys.Errno {
	if !d.writable {
		return experimentalsys.EROFS
	}
	info, err := d.root.Lstat(p)
	if err != nil {
		return d.errno(err)
	}
	if errno := check(info.IsDir()); errno != 0 {
		return errno
	}
	if err := d.root.Remove(p); err != nil {
		return d.errno(err)
	}
	d.settle(info)
	return 0
}

// settle pays back an entry that is gone.
func (d *folder) settle(info fs.FileInfo) {
	size := int64(0)
	if info.Mode().IsRegular() {
		size = info.Size()
	}
	d.quota.unlinked(sys.NewStat_t(info).Ino, size)
}

// Rename moves within the folder, over what is there.
func (d *folder) Rename(from, to string) experimentalsys.Errno {
	if !d.writable {
		return experimentalsys.EROFS
	}
	from, to = strings.TrimRight(from, "/"), strings.TrimRight(to, "/")
	source, err := d.root.Lstat(from)
	if err != nil {
		return d.errno(err)
	}
	target, gone := d.root.Lstat(to)
	if err := d.root.Rename(from, to); err != nil {
		return d.errno(err)
	}
	if gone == nil && !os.SameFile(source, target) {
		d.settle(target)
	}
	return 0
}

// Utimens sets times.
func (d *folder) Utimens(p string, atim, mtim int64) experimentalsys.Errno {
	if !d.writable {
		return experimentalsys.EROFS
	}
	return d.errno(d.root.Chtimes(p, moment(atim), moment(mtim)))
}

// moment is the zero time for "leave as it is".
func moment(nanos int64) time.Time {
	if nanos == experimentalsys.UTIME_OMIT || nanos == math.MinInt64 {
		return time.Time{}
	}
	return time.Unix(0, nanos)
}
