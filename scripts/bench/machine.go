package main

import (
	"os"
	"os/exec"
	"runtime"
	"strings"
	"syscall"
)

// machine describes what the figures were measured on; what cannot be found out is left out.
func machine(dir string) map[string]any {
	m := map[string]any{"cores": runtime.NumCPU(), "go": runtime.Version(), "os": runtime.GOOS, "arch": runtime.GOARCH}
	first := func(file, key string) string {
		bz, err := os.ReadFile(file)
		if err != nil {
			return ""
		}
		for _, line := range strings.Split(string(bz), "\n") {
			if k, v, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(k) == key {
				return strings.TrimSpace(v)
			}
		}
		return ""
	}
	whole := func(file string) string {
		bz, _ := os.ReadFile(file)
		return strings.TrimSpace(string(bz))
	}
	version := func(name string, args ...string) string {
		out, err := exec.Command(name, args...).Output()
		if err != nil {
			return ""
		}
		line, _, _ := strings.Cut(string(out), "\n")
		return strings.TrimSpace(line)
	}
	cgroups := "v1"
	if _, err := os.Stat("/sys/fs/cgroup/cgroup.controllers"); err == nil {
		cgroups = "v2"
	}
	disk := ""
	var st syscall.Statfs_t
	if syscall.Statfs(dir, &st) == nil {
		disk = version("stat", "-f", "-c", "%T", dir)
		m["disk_free_gib"] = int64(st.Bavail) * st.Bsize >> 30
	}
	for key, value := range map[string]string{
		"cpu": first("/proc/cpuinfo", "model name"), "memory": first("/proc/meminfo", "MemTotal"),
		"kernel": whole("/proc/sys/kernel/osrelease"), "loadavg_at_start": whole("/proc/loadavg"), "cgroups": cgroups,
		"file_system": disk, "containerd": version("containerd", "--version"), "runc": version("runc", "--version"),
		"crun": version("crun", "--version"), "virtualization": version("systemd-detect-virt"),
	} {
		if value != "" {
			m[key] = value
		}
	}
	return m
}
