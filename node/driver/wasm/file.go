package wasm

import (
	"errors"
	"io"
	"os"

	experimentalsys "github.com/tetratelabs/wazero/experimental/sys"
	"github.com/tetratelabs/wazero/sys"
)

// position is int64. The engine's Seek answers an Errno where io.Seeker answers an
// error, and vet takes any Seek(int64, int) for a broken io.Seeker.
type position = int64

// handle is what open files and open folders share.
type handle struct {
	folder *folder
	file   *os.File
	path   string
	stat   sys.Stat_t // when opened: device and inode
	closed bool
}

// Dev is the device, fixed.
func (h *handle) Dev() (uint64, experimentalsys.Errno) { return h.stat.Dev, 0 }

// Ino is the inode, fixed.
func (h *handle) Ino() (sys.Inode, experimentalsys.Errno) { return h.stat.Ino, 0 }

// Stat asks the host.
func (h *handle) Stat() (sys.Stat_t, experimentalsys.Errno) {
	if h.closed {
		return sys.Stat_t{}, experimentalsys.EBADF
	}
	info, err := h.file.Stat()
	if err != nil {
		return sys.Stat_t{}, h.folder.errno(err)
	}
	return sys.NewStat_t(info), 0
}

// Sync does nothing: outputs are packed, not kept in place.
func (h *handle) Sync() experimentalsys.Errno { return 0 }

// Datasync does nothing, as Sync.
func (h *handle) Datasync() experimentalsys.Errno { return 0 }

// Utimens goes by the name the file was opened with.
func (h *handle) Utimens(atim, mtim int64) experimentalsys.Errno {
	return h.folder.Utimens(h.path, atim, mtim)
}

// Close gives the host's handle back.
func (h *handle) Close() experimentalsys.Errno {
	if h.closed {
		return 0
	}
	h.closed = true
	h.folder.quota.closeFile()
	return h.folder.errno(h.file.Close())
}

// dirFile is an open folder.
type dirFile struct {
	experimentalsys.DirFile
	handle
}

var _ experimentalsys.File = (*dirFile)(nil)

// Seek rewinds, nothing else.
func (d *dirFile) Seek(offset position, whence int) (position, experimentalsys.Errno) {
	if offset != 0 || whence != io.SeekStart {
		return 0, experimentalsys.EINVAL
	}
	_, err := d.file.Seek(0, io.SeekStart)
	return 0, d.folder.errno(err)
}

// Readdir gives the next n entries, or all with n <= 0. What a run may hold in
// one folder is bounded by its quota.
func (d *dirFile) Readdir(n int) ([]experimentalsys.Dirent, experimentalsys.Errno) {
	infos, err := d.file.Readdir(n)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, d.folder.errno(err)
	}
	out := make([]experimentalsys.Dirent, 0, len(infos))
	for _, info := range infos {
		out = append(out, experimentalsys.Dirent{
			Ino: sys.NewStat_t(info).Ino, Name: info.Name(), Type: info.Mode().Type(),
		})
	}
	return out, 0
}

// openFile is an open regular file. It keeps its own offset, so that every write
// has a known end before it happens.
type openFile struct {
	handle
	flag   experimentalsys.Oflag
	node   *node // nil when read-only
	offset int64
}

var _ experimentalsys.File = (*openFile)(nil)

// IsDir is false.
func (f *openFile) IsDir() (bool, experimentalsys.Errno) { return false, 0 }

// IsAppend is whether writes go to the end.
func (f *openFile) IsAppend() bool { return f.flag&experimentalsys.O_APPEND != 0 }

// SetAppend switches that.
func (f *openFile) SetAppend(enable bool) experimentalsys.Errno {
	if f.flag &^= experimentalsys.O_APPEND; enable {
		f.flag |= experimentalsys.O_APPEND
	}
	return 0
}

// Read reads at the offset; 0 bytes and no error is the end.
func (f *openFile) Read(buf []byte) (int, experimentalsys.Errno) {
	n, errno := f.Pread(buf, f.offset)
	f.offset += int64(n)
	return n, errno
}

// Pread reads at off.
func (f *openFile) Pread(buf []byte, off int64) (int, experimentalsys.Errno) {
	if off < 0 {
		return 0, experimentalsys.EINVAL
	}
	n, err := f.file.ReadAt(buf, off)
	if err != nil && !errors.Is(err, io.EOF) {
		return n, f.folder.errno(err)
	}
	return n, 0
}

// Seek moves the offset.
func (f *openFile) Seek(offset position, whence int) (position, experimentalsys.Errno) {
	base := int64(0)
	switch whence {
	case io.SeekStart:
	case io.SeekCurrent:
		base = f.offset
	case io.SeekEnd:
		st, errno := f.Stat()
		if errno != 0 {
			return 0, errno
		}
		base = st.Size
	default:
		return 0, experimentalsys.EINVAL
	}
	if offset > 0 && base > (1<<62)-offset || base+offset < 0 {
		return 0, experimentalsys.EINVAL
	}
	f.offset = base + offset
	return f.offset, 0
}

// Readdir is for folders.
func (f *openFile) Readdir(int) ([]experimentalsys.Dirent, experimentalsys.Errno) {
	return nil, experimentalsys.ENOTDIR
}

// Write writes at the offset, or at the end in append mode.
func (f *openFile) Write(buf []byte) (int, experimentalsys.Errno) {
	if f.node != nil && f.IsAppend() {
		f.offset = f.node.size
	}
	n, errno := f.Pwrite(buf, f.offset)
	f.offset += int64(n)
	return n, errno
}

// Pwrite writes at off what the quota allows: all or nothing.
func (f *openFile) Pwrite(buf []byte, off int64) (int, experimentalsys.Errno) {
	if f.node == nil {
		return 0, experimentalsys.EBADF
	}
	if off < 0 || off > (1<<62) {
		return 0, experimentalsys.EINVAL
	}
	if len(buf) == 0 {
		return 0, 0
	}
	n := 0
	fits, err := f.folder.quota.resize(f.node, max(f.node.size, off+int64(len(buf))), func() (err error) {
		n, err = f.file.WriteAt(buf, off)
		return err
	})
	if !fits {
		return 0, experimentalsys.EIO
	}
	return n, f.folder.errno(err)
}

// Truncate changes the size; what a hole hides is paid like what is written.
func (f *openFile) Truncate(size int64) experimentalsys.Errno {
	if f.node == nil {
		return experimentalsys.EBADF
	}
	if size < 0 {
		return experimentalsys.EINVAL
	}
	fits, err := f.folder.quota.resize(f.node, size, func() error { return f.file.Truncate(size) })
	if !fits {
		return experimentalsys.EIO
	}
	return f.folder.errno(err)
}

// Close settles the inode when its last handle goes.
func (f *openFile) Close() experimentalsys.Errno {
	if !f.closed && f.node != nil {
		f.folder.quota.detach(f.stat.Ino, f.node)
	}
	return f.handle.Close()
}
