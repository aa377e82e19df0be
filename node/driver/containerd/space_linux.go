package containerd

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"sort"
	"strconv"
	"strings"

	"github.com/containerd/containerd/v2/core/mount"
	"golang.org/x/sys/unix"

	"github.com/nexara/nexara/node/driver"
)

// A run's folder:
//
//	run.json      what was started, for Recover
//	outcome.json  how it ended, written before the runtime forgets it
//	log/log       on a tmpfs a page larger than the cap
//	rw/{out,tmp}  on a sized tmpfs, or on disk.img
//	disk.img      an ext4 of fixed size, when large
//	in/           empty folders and files that inputs are mounted on
const (
	logDir   = "log"
	spaceDir = "rw"
	inputDir = "in"
	diskFile = "disk.img"
	page     = 4096
)

// makeSpace prepares folder, log, inputs and writable space of a run. Whatever it
// leaves behind on failure, purge removes.
func (r *run) makeSpace(ctx context.Context) (mounted, error) {
	for _, dir := range []string{r.dir, r.at(logDir), r.at(spaceDir), r.at(inputDir)} {
		if err := os.Mkdir(dir, 0o711); err != nil {
			return mounted{}, hostFault(err)
		}
	}
	// One page more than the cap: whoever uses it has exceeded the cap.
	size := (r.spec.Limits.LogBytes+page-1)/page*page + page
	if err := tmpfs(r.at(logDir), size, 16); err != nil {
		return mounted{}, hostFault(err)
	}
	if err := os.WriteFile(r.LogPath(), nil, 0o600); err != nil {
		return mounted{}, hostFault(err)
	}
	m := mounted{}
	if err := r.makeDisk(ctx); err != nil {
		return mounted{}, err
	}
	if r.spec.Limits.DiskMiB > 0 {
		uid, gid := user(r.config)
		m.out, m.tmp = r.OutputDir(), r.at(spaceDir, "tmp")
		for _, dir := range []string{m.out, m.tmp} {
			if err := errors.Join(os.Mkdir(dir, 0o755), os.Chown(dir, int(uid), int(gid))); err != nil {
				return mounted{}, hostFault(err)
			}
		}
	} else if err := os.Mkdir(r.OutputDir(), 0o755); err != nil {
		return mounted{}, hostFault(err)
	}
	return m, r.makeInputs(&m)
}

func (r *run) makeDisk(ctx context.Context) error {
	mib := r.spec.Limits.DiskMiB
	switch {
	case mib == 0:
		return nil
	case mib <= r.driver.cfg.TmpfsMaxMiB:
		// An empty file costs memory without using blocks: bound files too.
		if err := tmpfs(r.at(spaceDir), mib<<20, mib*256+1024); err != nil {
			return hostFault(err)
		}
		return nil
	}
	// The file is allocated whole, so that a full host disk shows now and not as a
	// broken file system later. Its own tables are on top of what was promised.
	size := (mib + mib/20 + 2) << 20
	free, err := freeBytes(r.dir)
	if err != nil {
		return hostFault(err)
	}
	if free-r.driver.cfg.MinFreeBytes < size {
		return fmt.Errorf("%w: %d bytes free, %d needed", driver.ErrNoSpace, free, size)
	}
	f, err := os.OpenFile(r.at(diskFile), os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return hostFault(err)
	}
	err = errors.Join(unix.Fallocate(int(f.Fd()), 0, 0, size), f.Close())
	if err != nil {
		return hostFault(err)
	}
	mkfs := exec.CommandContext(ctx, r.driver.mkfs, "-q", "-F", "-m", "0", "-O", "^has_journal,^resize_inode",
		"-i", "8192", "-E", "nodiscard,lazy_itable_init=1", r.at(diskFile))
	if out, err := mkfs.CombinedOutput(); err != nil {
		return fmt.Errorf("%w: mkfs.ext4: %w: %.200s", driver.ErrFault, err, out)
	}
	m := mount.Mount{Type: "ext4", Source: r.at(diskFile), Options: []string{"loop", "nodev", "nosuid", "noatime"}}
	if err := m.Mount(r.at(spaceDir)); err != nil {
		return fmt.Errorf("%w: %w", driver.ErrFault, err)
	}
	return nil
}

// makeInputs makes what inputs are mounted on: nothing can be made inside a
// container whose root is read-only.
func (r *run) makeInputs(m *mounted) error {
	m.in = r.at(inputDir)
	for _, in := range r.spec.Inputs {
		host, err := filepath.EvalSymlinks(in.HostPath)
		if err != nil {
			return fmt.Errorf("%w: input %s: %w", driver.ErrFault, in.GuestPath, err)
		}
		st, err := os.Stat(host)
		if err != nil {
			return fmt.Errorf("%w: input %s: %w", driver.ErrFault, in.GuestPath, err)
		}
		m.inputs = append(m.inputs, driver.Input{HostPath: host, GuestPath: in.GuestPath})
		if in.GuestPath == driver.InputRoot {
			m.in = ""
			continue
		}
		at := r.at(inputDir, strings.TrimPrefix(in.GuestPath, driver.InputRoot+"/"))
		if st.IsDir() {
			err = os.MkdirAll(at, 0o755)
		} else if err = os.MkdirAll(filepath.Dir(at), 0o755); err == nil {
			err = os.WriteFile(at, nil, 0o644)
		}
		if err != nil {
			return hostFault(err)
		}
	}
	return os.Chmod(r.at(inputDir), 0o755)
}

// full is whether the writable space has no room left, in bytes or in files.
func (r *run) full() bool {
	if r.spec.Limits.DiskMiB == 0 {
		return false
	}
	var s unix.Statfs_t
	if unix.Statfs(r.at(spaceDir), &s) != nil {
		return false
	}
	// tmpfs counts exactly. ext4 refuses a little early, by what it sets aside for
	// itself and for data that has no place yet.
	room := uint64(4)
	if r.spec.Limits.DiskMiB > r.driver.cfg.TmpfsMaxMiB {
		room = max(room, s.Blocks/32)
	}
	return s.Bavail < room || s.Ffree == 0
}

// logSize is the log's size so far, 0 when it cannot be told.
func (r *run) logSize() int64 {
	st, err := os.Stat(r.LogPath())
	if err != nil {
		return 0
	}
	return st.Size()
}

func tmpfs(dir string, size, inodes int64) error {
	opts := fmt.Sprintf("size=%d,nr_inodes=%d,mode=0711", size, inodes)
	if err := unix.Mount("tmpfs", dir, "tmpfs", unix.MS_NODEV|unix.MS_NOSUID, opts); err != nil {
		return fmt.Errorf("tmpfs: %w", err)
	}
	return nil
}

// mountsBelow lists mount points at or under dir, deepest first.
func mountsBelow(dir string) ([]string, error) {
	f, err := os.Open("/proc/self/mountinfo")
	if err != nil {
		return nil, err
	}
	defer f.Close()
	var list []string
	lines := bufio.NewScanner(f)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		fields := strings.Fields(lines.Text())
		if len(fields) < 5 {
			continue
		}
		p := unescape(fields[4])
		if p == dir || strings.HasPrefix(p, dir+"/") {
			list = append(list, p)
		}
	}
	sort.Slice(list, func(i, j int) bool { return len(list[i]) > len(list[j]) })
	return list, lines.Err()
}

// unescape undoes the octal escapes of mountinfo.
func unescape(s string) string {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] == '\\' && i+3 < len(s) {
			if n, err := strconv.ParseUint(s[i+1:i+4], 8, 8); err == nil {
				b.WriteByte(byte(n))
				i += 3
				continue
			}
		}
		b.WriteByte(s[i])
	}
	return b.String()
}

// unmountBelow unmounts everything at or under dir. A mount that is still busy is
// detached: the kernel frees it, loop device included, with its last user.
func unmountBelow(dir string) error {
	list, err := mountsBelow(dir)
	if err != nil {
		return err
	}
	var errs []error
	for _, p := range list {
		err := unix.Unmount(p, unix.UMOUNT_NOFOLLOW)
		if errors.Is(err, unix.EBUSY) {
			err = unix.Unmount(p, unix.UMOUNT_NOFOLLOW|unix.MNT_DETACH)
		}
		if err != nil && !errors.Is(err, unix.EINVAL) && !errors.Is(err, fs.ErrNotExist) {
			errs = append(errs, fmt.Errorf("unmount %s: %w", p, err))
		}
	}
	return errors.Join(errs...)
}

// hostFault classes a failure of the host's.
func hostFault(err error) error {
	if errors.Is(err, unix.ENOSPC) {
		return fmt.Errorf("%w: %w", driver.ErrNoSpace, err)
	}
	return fmt.Errorf("%w: %w", driver.ErrFault, err)
}
