package containerd

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/containerd/containerd/api/services/tasks/v1"
	"github.com/containerd/containerd/api/types"
	"github.com/containerd/errdefs/pkg/errgrpc"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"golang.org/x/sys/unix"

	"github.com/nexara/nexara/node/driver"
)

// The OCI runtimes that the shim may make containers with. A container keeps to the one that made it: the shim
// holds that in the container's bundle, so that runs of an earlier process are recovered whatever is chosen now.
const (
	runc = "runc"
	crun = "crun"
)

// errUnproven is why a runtime is not used.
var errUnproven = errors.New("the OCI runtime did not prove itself")

// unproven says what was found missing, and err, when there is one, why it could not be looked at.
func unproven(err error, format string, args ...any) error {
	return errors.Join(fmt.Errorf("%w: %s", errUnproven, fmt.Sprintf(format, args...)), err)
}

// chooseRuntime sets the OCI runtime: the configured one, else crun where a container of crun's holds everything
// that is demanded of it, else runc. crun costs a third of runc's CPU for a container, yet there are hosts that it
// refuses, so that its presence says nothing.
func (d *Driver) chooseRuntime(ctx context.Context) error {
	if d.oci = d.cfg.OCIRuntime; d.oci == runc {
		return nil
	}
	d.oci = crun
	err := d.prove(ctx)
	switch {
	case err == nil, ctx.Err() != nil:
		return err
	case d.cfg.OCIRuntime == crun:
		return fmt.Errorf("%w: crun: %w", driver.ErrUnavailable, err)
	}
	d.oci, d.whyNotCrun = runc, strings.ReplaceAll(err.Error(), "\n", "; ")
	d.cfg.Log.Info("containers are made with runc", "why_not_crun", d.whyNotCrun)
	return nil
}

// prove runs a program that waits in a container of the driver's own making, and looks at what the kernel says of
// it from outside. Nothing of it is left.
func (d *Driver) prove(ctx context.Context) (err error) {
	if _, err := exec.LookPath(d.oci); err != nil {
		return err
	}
	program, err := waiter()
	if err != nil {
		return err
	}
	root := filepath.Join(d.cfg.Dir, "probe")
	defer func() { err = errors.Join(err, os.RemoveAll(root)) }()
	for _, dir := range []string{".", "proc", "dev", "sys", "in", "out", "tmp", "etc"} {
		if err := os.MkdirAll(filepath.Join(root, dir), 0o755); err != nil {
			return hostFault(err)
		}
	}
	if err := os.WriteFile(filepath.Join(root, "waiter"), program, 0o755); err != nil {
		return hostFault(err)
	}
	limits := driver.DefaultLimits()
	limits.MemoryMiB, limits.DiskMiB = 16, min(1, d.cfg.TmpfsMaxMiB)
	r := newRun(d, driver.Spec{ID: "probe", Limits: limits}, &image{
		config: ocispec.ImageConfig{Entrypoint: []string{"/waiter"}},
		// Could be written to, were it not for the runtime.
		rootfs: []*types.Mount{{Type: "bind", Source: root, Options: []string{"rbind", "rw"}}},
	})
	defer func() { err = errors.Join(err, d.purge(context.WithoutCancel(ctx), r.spec.ID)) }()
	if err := errors.Join(d.purge(ctx, r.spec.ID), r.launch(ctx)); err != nil {
		return err
	}
	if r.ended() {
		return unproven(nil, "its program could not be executed")
	}
	return r.inspectKept(ctx)
}

// inspectKept is whether a run that waits has everything taken away and limited that its spec says.
func (r *run) inspectKept(ctx context.Context) error {
	ctx, cancel := r.driver.call(ctx)
	defer cancel()
	t, err := r.driver.client.TaskService().Get(ctx, &tasks.GetRequest{ContainerID: r.spec.ID})
	if err != nil {
		return runtimeFault("probe", errgrpc.ToNative(err))
	}
	proc := fmt.Sprintf("/proc/%d", t.Process.Pid)
	// Started means that the runtime lets go of it: what runs may for a moment still be the runtime.
	for exe := ""; filepath.Base(exe) != "waiter"; {
		if exe, err = os.Readlink(proc + "/exe"); err != nil {
			return unproven(err, "its program does not run")
		}
		select {
		case <-ctx.Done():
			return unproven(ctx.Err(), "%q runs instead of its program", exe)
		case <-time.After(time.Millisecond):
		}
	}
	have, err := fields(proc + "/status")
	if err != nil {
		return hostFault(err)
	}
	none := "0000000000000000"
	nobody := strings.TrimSpace(strings.Repeat("65534 ", 4))
	for name, want := range map[string]string{
		"Uid": nobody, "Gid": nobody, "CapEff": none, "CapPrm": none, "CapInh": none, "CapBnd": none, "CapAmb": none,
		"NoNewPrivs": "1", "Seccomp": "2",
	} {
		if have[name] != want {
			return unproven(nil, "%s is %q instead of %q", name, have[name], want)
		}
	}
	for _, name := range []string{"mnt", "pid", "ipc", "uts", "net"} {
		its, err := os.Readlink(filepath.Join(proc, "ns", name))
		ours, err2 := os.Readlink(filepath.Join("/proc/self/ns", name))
		if err != nil || err2 != nil || its == ours {
			return unproven(errors.Join(err, err2), "its %s namespace is the host's", name)
		}
	}
	var s unix.Statfs_t
	if err := unix.Statfs(proc+"/root/", &s); err != nil || s.Flags&unix.ST_RDONLY == 0 {
		return unproven(err, "its root can be written to")
	}
	return r.driver.cgroups.holds(r.group, int(t.Process.Pid), memoryLimit(r.driver.cfg, r.spec.Limits), r.spec.Limits)
}

// fields reads lines of "Name:<space>values" and joins the values by one space each.
func fields(file string) (map[string]string, error) {
	b, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	out := map[string]string{}
	for _, line := range strings.Split(string(b), "\n") {
		name, value, _ := strings.Cut(line, ":")
		out[name] = strings.Join(strings.Fields(value), " ")
	}
	return out, nil
}
