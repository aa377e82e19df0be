package containerd

import (
	"context"
	"path"
	"slices"
	"strings"

	"github.com/containerd/containerd/v2/contrib/seccomp"
	"github.com/containerd/containerd/v2/core/containers"
	"github.com/containerd/containerd/v2/pkg/namespaces"
	"github.com/containerd/containerd/v2/pkg/oci"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"github.com/opencontainers/runtime-spec/specs-go"

	"github.com/nexara/nexara/node/driver"
)

const (
	// ociVersion has all that the spec says; crun refuses newer ones before it looks at their content.
	ociVersion  = "1.0.2"
	cpuPeriod   = 100_000 // microseconds
	maxOpen     = 4096    // file handles of one process
	oomScore    = 800     // the host's own processes are spared first
	defaultPath = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
)

// mounted says where a run's folders are on the host.
type mounted struct {
	in, out, tmp string // out and tmp are empty without disk
	inputs       []driver.Input
}

// runtimeSpec is the OCI description of a run. The default spec gives
// namespaces, masked paths and a closed device list; everything a program could
// use against its host is taken away here, in one place.
func (d *Driver) runtimeSpec(ctx context.Context, spec driver.Spec, config ocispec.ImageConfig, m mounted) (*specs.Spec, error) {
	ctx = namespaces.WithNamespace(ctx, d.cfg.Namespace)
	uid, gid := user(config)
	args, err := command(spec, config)
	if err != nil {
		return nil, err
	}
	return oci.GenerateSpec(ctx, nil, &containers.Container{ID: spec.ID},
		oci.WithRootFSReadonly(),
		oci.WithNoNewPrivileges,
		oci.WithCapabilities(nil),
		func(_ context.Context, _ oci.Client, _ *containers.Container, s *oci.Spec) error {
			s.Version = ociVersion
			s.Hostname = "nexara"
			s.Process.User = specs.User{UID: uid, GID: gid, AdditionalGids: []uint32{gid}}
			s.Process.Args, s.Process.Env, s.Process.Cwd = args, environment(spec, config), workDir(spec, config)
			s.Process.Rlimits = []specs.POSIXRlimit{
				{Type: "RLIMIT_NOFILE", Hard: maxOpen, Soft: maxOpen}, {Type: "RLIMIT_CORE"},
			}
			score := oomScore
			s.Process.OOMScoreAdj = &score
			s.Mounts = mounts(m)
			s.Linux.CgroupsPath = d.cgroups.path(d.cfg.Namespace, spec.ID)
			if d.cgroups.unified {
				s.Linux.Namespaces = append(slices.DeleteFunc(s.Linux.Namespaces, func(n specs.LinuxNamespace) bool {
					return n.Type == specs.CgroupNamespace
				}), specs.LinuxNamespace{Type: specs.CgroupNamespace})
			}
			d.limit(s.Linux.Resources, spec.Limits)
			return nil
		},
		seccomp.WithDefaultProfile(), // after capabilities: they open calls in it
		nativeCalls,
	)
}

// nativeCalls leaves the profile of the machine's own architecture, which a filter always has. Those of its older
// brothers, by which 32-bit programs run on a 64-bit kernel, open a second way into the kernel, and making them is
// half of what a run's filter costs. A program of another architecture than its image's is killed by SIGSYS.
func nativeCalls(_ context.Context, _ oci.Client, _ *containers.Container, s *oci.Spec) error {
	s.Linux.Seccomp.Architectures = nil
	return nil
}

// memoryLimit is the group's, in bytes. Writable space in memory is charged to the
// same group, so it is allowed on top: the program gets its memory whole.
func memoryLimit(cfg Config, l driver.Limits) int64 {
	if l.DiskMiB <= cfg.TmpfsMaxMiB {
		return (l.MemoryMiB + l.DiskMiB) << 20
	}
	return l.MemoryMiB << 20
}

// limit sets what the kernel enforces from the first moment. The quota of CPU is not here: launch sets it
// between creation and start. The runtime prepares the container inside its group, and a small share would
// stretch those milliseconds to seconds, in which a start slot is held and nobody is served.
func (d *Driver) limit(res *specs.LinuxResources, l driver.Limits) {
	memory := memoryLimit(d.cfg, l)
	shares := uint64(max(l.CPUMilli*1024/1000, 2))
	pids := l.PIDs
	res.CPU = &specs.LinuxCPU{Shares: &shares}
	res.Memory = &specs.LinuxMemory{Limit: &memory}
	if d.cgroups.swap {
		res.Memory.Swap = &memory // memory and swap together: no swap
	}
	res.Pids = &specs.LinuxPids{Limit: &pids}
}

func mounts(m mounted) []specs.Mount {
	list := []specs.Mount{
		{Destination: "/proc", Type: "proc", Source: "proc", Options: []string{"nosuid", "noexec", "nodev"}},
		{Destination: "/dev", Type: "tmpfs", Source: "tmpfs", Options: []string{"nosuid", "strictatime", "mode=755", "size=64k"}},
		{Destination: "/dev/pts", Type: "devpts", Source: "devpts", Options: []string{"nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620"}},
		// Shared memory is charged to the run's memory, so its size needs no limit of its own.
		{Destination: "/dev/shm", Type: "tmpfs", Source: "shm", Options: []string{"nosuid", "noexec", "nodev", "mode=1777"}},
		{Destination: "/sys", Type: "sysfs", Source: "sysfs", Options: []string{"nosuid", "noexec", "nodev", "ro"}},
	}
	bind := func(from, to string, options ...string) {
		list = append(list, specs.Mount{
			Destination: to, Type: "bind", Source: from,
			Options: append([]string{"bind", "nosuid", "nodev", "private"}, options...),
		})
	}
	if m.in != "" {
		bind(m.in, driver.InputRoot, "ro")
	}
	for _, in := range m.inputs {
		bind(in.HostPath, in.GuestPath, "ro")
	}
	if m.out != "" {
		bind(m.out, driver.OutputRoot, "rw")
		bind(m.tmp, driver.ScratchRoot, "rw")
	}
	return list
}

// command is the entry point and its arguments, as container users know them.
func command(spec driver.Spec, config ocispec.ImageConfig) ([]string, error) {
	args := spec.Args
	if len(args) == 0 {
		args = config.Cmd
	}
	all := slices.Concat(config.Entrypoint, args)
	if len(all) == 0 {
		return nil, invalid("the image has no command and the job gives none")
	}
	return all, nil
}

func workDir(spec driver.Spec, config ocispec.ImageConfig) string {
	switch {
	case spec.WorkDir != "":
		return spec.WorkDir
	case path.IsAbs(config.WorkingDir):
		return path.Clean(config.WorkingDir)
	}
	return "/"
}

// environment lets the run's variables win over the image's.
func environment(spec driver.Spec, config ocispec.ImageConfig) []string {
	var names []string
	values := map[string]string{}
	for _, e := range slices.Concat([]string{defaultPath, "HOME=/tmp"}, config.Env, spec.Env) {
		name, _, ok := strings.Cut(e, "=")
		if !ok || name == "" {
			continue
		}
		if _, known := values[name]; !known {
			names = append(names, name)
		}
		values[name] = e
	}
	out := make([]string, 0, len(names))
	for _, name := range names {
		out = append(out, values[name])
	}
	return out
}
