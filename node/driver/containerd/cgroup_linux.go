package containerd

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/nexara/nexara/node/driver"
)

// cgroups is where this host keeps control groups. Reading their files directly
// costs no call to the runtime, works when the runtime is down, and still works
// between a run's exit and its deletion, when final figures are read.
type cgroups struct {
	unified bool
	// roots by controller (v1: cpu, cpuacct, memory, pids; v2: all the same).
	roots map[string]string
	// all are the mount points of every hierarchy: a group has a folder in each.
	all []string
	// plain are folders beside them without a hierarchy. crun makes groups there too, of plain files, and leaves them.
	plain []string
	swap  bool // whether swap is accounted and can be limited
}

// stats are a run's figures so far.
type stats struct {
	cpuNanos       int64
	memory, peak   int64 // bytes; memory without cache that can be dropped
	oomKills, pids int64 // times a limit was met
}

const cgroupRoot = "/sys/fs/cgroup"

// findCgroups finds the hierarchies and refuses a host that lacks a limit.
func findCgroups() (cgroups, error) {
	var s unix.Statfs_t
	if err := unix.Statfs(cgroupRoot, &s); err != nil {
		return cgroups{}, err
	}
	c := cgroups{unified: int64(s.Type) == unix.CGROUP2_SUPER_MAGIC, roots: map[string]string{}}
	if c.unified {
		have, err := os.ReadFile(filepath.Join(cgroupRoot, "cgroup.controllers"))
		if err != nil {
			return cgroups{}, err
		}
		for _, name := range []string{"cpu", "memory", "pids"} {
			if !strings.Contains(" "+strings.TrimSpace(string(have))+" ", " "+name+" ") {
				return cgroups{}, fmt.Errorf("cgroup controller %s is missing", name)
			}
			c.roots[name] = cgroupRoot
		}
		c.roots["cpuacct"], c.all, c.swap = cgroupRoot, []string{cgroupRoot}, true
		return c, nil
	}
	for name, file := range map[string]string{
		"cpu": "cpu.cfs_quota_us", "cpuacct": "cpuacct.usage", "memory": "memory.limit_in_bytes", "pids": "cgroup.procs",
	} {
		root := filepath.Join(cgroupRoot, name)
		if _, err := os.Stat(filepath.Join(root, file)); err != nil {
			return cgroups{}, fmt.Errorf("cgroup controller %s: %w", name, err)
		}
		c.roots[name] = root
	}
	entries, err := os.ReadDir(cgroupRoot)
	if err != nil {
		return cgroups{}, err
	}
	for _, e := range entries {
		if dir := filepath.Join(cgroupRoot, e.Name()); !e.IsDir() {
			continue
		} else if _, err := os.Stat(filepath.Join(dir, "cgroup.procs")); err == nil {
			c.all = append(c.all, dir)
		} else {
			c.plain = append(c.plain, dir)
		}
	}
	_, err = os.Stat(filepath.Join(c.roots["memory"], "memory.memsw.limit_in_bytes"))
	c.swap = err == nil
	return c, nil
}

// String names the version, for people.
func (c cgroups) String() string {
	if c.unified {
		return "v2"
	}
	return "v1"
}

// path is the group of a run below each root.
func (c cgroups) path(namespace, id string) string { return path.Join("/nexara", namespace, id) }

func (c cgroups) file(controller, group, name string) string {
	return filepath.Join(c.roots[controller], group, name)
}

// read gives what can be read; a group that is gone gives ok false.
func (c cgroups) read(group string) (s stats, ok bool) {
	if c.unified {
		cpu, err := keyed(c.file("cpu", group, "cpu.stat"))
		if err != nil {
			return stats{}, false
		}
		s.cpuNanos = cpu["usage_usec"] * 1000
		s.memory, _ = number(c.file("memory", group, "memory.current"))
		mem, _ := keyed(c.file("memory", group, "memory.stat"))
		s.peak, _ = number(c.file("memory", group, "memory.peak")) // since Linux 5.19
		s.memory = max(0, s.memory-mem["inactive_file"])
		events, _ := keyed(c.file("memory", group, "memory.events"))
		s.oomKills = events["oom_kill"]
	} else {
		var err error
		if s.cpuNanos, err = number(c.file("cpuacct", group, "cpuacct.usage")); err != nil {
			return stats{}, false
		}
		s.memory, _ = number(c.file("memory", group, "memory.usage_in_bytes"))
		mem, _ := keyed(c.file("memory", group, "memory.stat"))
		s.memory = max(0, s.memory-mem["total_inactive_file"])
		s.peak, _ = number(c.file("memory", group, "memory.max_usage_in_bytes"))
		oom, _ := keyed(c.file("memory", group, "memory.oom_control"))
		s.oomKills = oom["oom_kill"]
	}
	s.peak = max(s.peak, s.memory)
	pids, _ := keyed(c.file("pids", group, "pids.events"))
	s.pids = pids["max"]
	return s, true
}

// holds is whether a process is in a group of that memory and number of processes.
func (c cgroups) holds(group string, pid int, memory int64, l driver.Limits) error {
	limit := "memory.limit_in_bytes"
	if c.unified {
		limit = "memory.max"
	}
	for file, want := range map[string]int64{
		c.file("memory", group, limit): memory, c.file("pids", group, "pids.max"): l.PIDs,
	} {
		if have, err := number(file); err != nil || have != want {
			return unproven(err, "%s is %d instead of %d", filepath.Base(file), have, want)
		}
	}
	for _, root := range c.roots {
		procs, err := os.ReadFile(filepath.Join(root, group, "cgroup.procs"))
		if err != nil || !slices.Contains(strings.Fields(string(procs)), strconv.Itoa(pid)) {
			return unproven(err, "it is not in its control group below %s", root)
		}
	}
	if _, ok := c.read(group); !ok {
		return unproven(nil, "its control group cannot be metered")
	}
	return nil
}

// throttle caps a group's CPU, in thousandths of a core.
func (c cgroups) throttle(group string, milli int64) error {
	quota := max(milli*cpuPeriod/1000, 1000)
	if c.unified {
		return os.WriteFile(c.file("cpu", group, "cpu.max"), fmt.Appendf(nil, "%d %d", quota, cpuPeriod), 0)
	}
	return errors.Join(
		os.WriteFile(c.file("cpu", group, "cpu.cfs_period_us"), fmt.Append(nil, cpuPeriod), 0),
		os.WriteFile(c.file("cpu", group, "cpu.cfs_quota_us"), fmt.Append(nil, quota), 0))
}

// clear kills what is still in a group and removes it: only for groups whose
// runtime is gone. It may have to be called again while processes die.
func (c cgroups) clear(group string) error {
	var errs []error
	for _, root := range c.all {
		dir := filepath.Join(root, group)
		procs, err := os.ReadFile(filepath.Join(dir, "cgroup.procs"))
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		for _, p := range strings.Fields(string(procs)) {
			if pid, err := strconv.Atoi(p); err == nil && pid > 1 {
				_ = unix.Kill(pid, unix.SIGKILL)
			}
		}
		if err := os.Remove(dir); err != nil && !errors.Is(err, fs.ErrNotExist) {
			errs = append(errs, fmt.Errorf("cgroup: %w", err))
		}
	}
	for _, root := range c.plain {
		errs = append(errs, os.RemoveAll(filepath.Join(root, group)))
	}
	return errors.Join(errs...)
}

// vacate removes a namespace's group and ours above it, when they are empty.
func (c cgroups) vacate(namespace string) {
	for _, root := range slices.Concat(c.all, c.plain) {
		_ = os.Remove(filepath.Join(root, c.path(namespace, "")))
		_ = os.Remove(filepath.Join(root, c.path("", "")))
	}
}

func number(file string) (int64, error) {
	b, err := os.ReadFile(file)
	if err != nil {
		return 0, err
	}
	return strconv.ParseInt(string(bytes.TrimSpace(b)), 10, 64)
}

// keyed reads lines of "name number".
func keyed(file string) (map[string]int64, error) {
	b, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	out := map[string]int64{}
	for lines := bufio.NewScanner(bytes.NewReader(b)); lines.Scan(); {
		name, value, _ := strings.Cut(lines.Text(), " ")
		if n, err := strconv.ParseInt(value, 10, 64); err == nil {
			out[name] = n
		}
	}
	return out, nil
}
