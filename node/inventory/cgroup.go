package inventory

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// cgroupLimits are the tightest limits above this process; 0 means none.
type cgroupLimits struct {
	cpuMilli    int64
	memoryBytes int64
}

func (l *cgroupLimits) cpu(milli int64) {
	if milli > 0 && (l.cpuMilli == 0 || milli < l.cpuMilli) {
		l.cpuMilli = milli
	}
}

func (l *cgroupLimits) memory(b int64) {
	// Version 1 writes "no limit" as nearly 2^63.
	if b > 0 && b < 1<<60 && (l.memoryBytes == 0 || b < l.memoryBytes) {
		l.memoryBytes = b
	}
}

// maxSystemFile bounds every file read from /proc, /sys and /etc.
const maxSystemFile = 1 << 20

var errSystemFile = errors.New("system file not understood")

func readSystemFile(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, maxSystemFile+1))
	if err != nil {
		return nil, err
	}
	if len(b) > maxSystemFile {
		return nil, fmt.Errorf("%w: %s is larger than %d bytes", errSystemFile, path, maxSystemFile)
	}
	return b, nil
}

// readCgroup finds the limits of version 1, 2 and mixed hierarchies. A system
// without cgroups has no limits.
func readCgroup(root string) (cgroupLimits, error) {
	var l cgroupLimits
	mounts, err := readSystemFile(filepath.Join(root, "proc/self/mountinfo"))
	if errors.Is(err, fs.ErrNotExist) {
		return l, nil
	}
	if err != nil {
		return l, err
	}
	groups, err := readSystemFile(filepath.Join(root, "proc/self/cgroup"))
	if errors.Is(err, fs.ErrNotExist) {
		return l, nil
	}
	if err != nil {
		return l, err
	}
	paths := parseCgroupPaths(groups)
	var errs []error
	for _, m := range parseCgroupMounts(mounts) {
		for _, controller := range m.controllers {
			path, ok := paths[controller]
			if !ok {
				continue
			}
			for _, dir := range m.dirs(root, path) {
				errs = append(errs, l.read(dir, controller))
			}
		}
	}
	return l, errors.Join(errs...)
}

// read takes the limits of one directory. A file that is absent sets no limit.
func (l *cgroupLimits) read(dir, controller string) error {
	number := func(name string) (int64, error) {
		b, err := readSystemFile(filepath.Join(dir, name))
		if errors.Is(err, fs.ErrNotExist) {
			return 0, nil
		}
		if err != nil {
			return 0, err
		}
		s := strings.TrimSpace(string(b))
		if s == "max" {
			return 0, nil
		}
		v, err := strconv.ParseInt(s, 10, 64)
		if err != nil {
			return 0, fmt.Errorf("%w: %s", errSystemFile, filepath.Join(dir, name))
		}
		return v, nil
	}
	var errs []error
	if controller == "" || controller == "memory" {
		name := "memory.limit_in_bytes"
		if controller == "" {
			name = "memory.max"
		}
		v, err := number(name)
		l.memory(v)
		errs = append(errs, err)
	}
	switch controller {
	case "":
		b, err := readSystemFile(filepath.Join(dir, "cpu.max"))
		if err != nil {
			if !errors.Is(err, fs.ErrNotExist) {
				errs = append(errs, err)
			}
			break
		}
		milli, err := parseCPUMax(string(b))
		l.cpu(milli)
		errs = append(errs, err)
	case "cpu":
		quota, err := number("cpu.cfs_quota_us")
		period, err2 := number("cpu.cfs_period_us")
		errs = append(errs, err, err2)
		l.cpu(quotaMilli(quota, period))
	}
	return errors.Join(errs...)
}

// quotaMilli rounds down: an offer must not promise what the quota denies.
func quotaMilli(quota, period int64) int64 {
	if quota <= 0 || period <= 0 || quota > 1<<50 {
		return 0
	}
	return max(quota*1000/period, 1)
}

// parseCPUMax reads "max 100000" or "50000 100000".
func parseCPUMax(s string) (milli int64, err error) {
	f := strings.Fields(s)
	if len(f) != 2 {
		return 0, fmt.Errorf("%w: cpu.max", errSystemFile)
	}
	if f[0] == "max" {
		return 0, nil
	}
	quota, err1 := strconv.ParseInt(f[0], 10, 64)
	period, err2 := strconv.ParseInt(f[1], 10, 64)
	if err1 != nil || err2 != nil {
		return 0, fmt.Errorf("%w: cpu.max", errSystemFile)
	}
	return quotaMilli(quota, period), nil
}

// parseCgroupPaths maps a controller to the process's path in its hierarchy; the
// empty name is version 2.
func parseCgroupPaths(b []byte) map[string]string {
	out := map[string]string{}
	for s := bufio.NewScanner(bytes.NewReader(b)); s.Scan(); {
		f := strings.SplitN(s.Text(), ":", 3)
		if len(f) != 3 {
			continue
		}
		for _, c := range strings.Split(f[1], ",") {
			out[c] = f[2]
		}
	}
	return out
}

type cgroupMount struct {
	root, point string
	// controllers has the one empty name for version 2.
	controllers []string
}

// parseCgroupMounts reads /proc/self/mountinfo: fields 4 and 5 are root and mount
// point, and after a lone dash come type, source and options.
func parseCgroupMounts(b []byte) []cgroupMount {
	var out []cgroupMount
	for s := bufio.NewScanner(bytes.NewReader(b)); s.Scan(); {
		before, after, ok := strings.Cut(s.Text(), " - ")
		f, g := strings.Fields(before), strings.Fields(after)
		if !ok || len(f) < 5 || len(g) < 3 {
			continue
		}
		m := cgroupMount{root: f[3], point: f[4]}
		switch g[0] {
		case "cgroup2":
			m.controllers = []string{""}
		case "cgroup":
			for _, c := range strings.Split(g[2], ",") {
				if c == "cpu" || c == "memory" {
					m.controllers = append(m.controllers, c)
				}
			}
		default:
			continue
		}
		out = append(out, m)
	}
	return out
}

// dirs lists the process's directory and all above it, up to the mount. Inside a
// container the path may name a place outside the mount; then the mount is ours.
func (m cgroupMount) dirs(root, path string) []string {
	top := filepath.Join(root, m.point)
	rel, err := filepath.Rel(m.root, path)
	if err != nil || rel == ".." || strings.HasPrefix(rel, "../") {
		return []string{top}
	}
	out := []string{top}
	at := top
	for _, part := range strings.Split(rel, "/") {
		if part == "." || part == "" {
			continue
		}
		at = filepath.Join(at, part)
		out = append(out, at)
	}
	return out
}
