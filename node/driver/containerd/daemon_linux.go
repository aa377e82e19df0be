package containerd

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/containerd/containerd/v2/client"
	"github.com/containerd/containerd/v2/pkg/namespaces"
	"golang.org/x/sys/unix"

	"github.com/nexara/nexara/node/driver"
)

// DaemonConfig of a private containerd. Root, State and Address are required and
// nobody else may use them.
type DaemonConfig struct {
	// Root is for images and snapshots, State for what lives with the process.
	Root, State string
	// Address is the socket, at most 100 bytes long.
	Address string
	// Binary is the program; empty finds containerd in PATH.
	Binary string
	// Adopt keeps containers that an earlier daemon on these folders left running,
	// for drivers to Recover. Without it they are killed.
	Adopt bool
	// StartTimeout bounds the wait for the socket; 0 is 30 seconds.
	StartTimeout time.Duration
	// Log receives what operators should know; nil discards.
	Log *slog.Logger
}

// Daemon is a running private containerd.
type Daemon struct {
	cfg  DaemonConfig
	cmd  *exec.Cmd
	gone chan struct{} // closed when the process has ended
}

// StartDaemon starts a containerd that shares nothing with the host's own: no
// CRI, own folders, own socket. A daemon that an earlier process left on the same
// folders is ended first, and its shims and mounts are cleared unless Adopt is set.
// ErrUnavailable says what is missing.
func StartDaemon(ctx context.Context, cfg DaemonConfig) (*Daemon, error) {
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	if cfg.StartTimeout == 0 {
		cfg.StartTimeout = 30 * time.Second
	}
	for _, p := range []string{cfg.Root, cfg.State, cfg.Address} {
		if !filepath.IsAbs(p) || filepath.Clean(p) == "/" {
			return nil, fmt.Errorf("containerd: %q is not an absolute path of its own", p)
		}
	}
	if len(cfg.Address) > 100 {
		return nil, errors.New("containerd: Address is too long for a socket")
	}
	if os.Geteuid() != 0 {
		return nil, fmt.Errorf("%w: containerd needs root", driver.ErrUnavailable)
	}
	if cfg.Binary == "" {
		cfg.Binary = "containerd"
	}
	for _, name := range []string{cfg.Binary, "containerd-shim-runc-v2", "runc"} {
		if _, err := exec.LookPath(name); err != nil {
			return nil, fmt.Errorf("%w: %w", driver.ErrUnavailable, err)
		}
	}
	d := &Daemon{cfg: cfg, gone: make(chan struct{})}
	if err := d.clearPrevious(ctx); err != nil {
		return nil, err
	}
	for _, dir := range []string{cfg.Root, cfg.State, filepath.Dir(cfg.Address)} {
		if err := os.MkdirAll(dir, 0o711); err != nil {
			return nil, fmt.Errorf("containerd: %w", err)
		}
	}
	if err := d.start(); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, cfg.StartTimeout)
	defer cancel()
	if err := d.ready(ctx); err != nil {
		return nil, errors.Join(err, d.Stop(context.WithoutCancel(ctx)))
	}
	return d, nil
}

func (d *Daemon) start() error {
	config := filepath.Join(d.cfg.State, "config.toml")
	text := fmt.Sprintf("version = 2\nroot = %q\nstate = %q\ndisabled_plugins = [\"io.containerd.grpc.v1.cri\"]\n"+
		"[grpc]\n  address = %q\n[debug]\n  level = \"warn\"\n", d.cfg.Root, d.cfg.State, d.cfg.Address)
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		return fmt.Errorf("containerd: %w", err)
	}
	log, err := os.OpenFile(d.logPath(), os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o600)
	if err != nil {
		return fmt.Errorf("containerd: %w", err)
	}
	defer log.Close()
	d.cmd = exec.Command(d.cfg.Binary, "--config", config)
	d.cmd.Stdout, d.cmd.Stderr = log, log
	// Ctrl-C in the terminal must reach our caller only, which then stops us in order.
	d.cmd.SysProcAttr = &unix.SysProcAttr{Setpgid: true}
	if err := d.cmd.Start(); err != nil {
		return fmt.Errorf("%w: %w", driver.ErrUnavailable, err)
	}
	go func() {
		_ = d.cmd.Wait()
		close(d.gone)
	}()
	return os.WriteFile(d.pidPath(), []byte(strconv.Itoa(d.cmd.Process.Pid)), 0o600)
}

func (d *Daemon) logPath() string { return filepath.Join(d.cfg.State, "containerd.log") }
func (d *Daemon) pidPath() string { return filepath.Join(d.cfg.State, "containerd.pid") }

// ready waits until the daemon answers.
func (d *Daemon) ready(ctx context.Context) error {
	for {
		if _, err := os.Stat(d.cfg.Address); err == nil {
			if d.answers(ctx) {
				return nil
			}
		}
		select {
		case <-d.gone:
			b, _ := os.ReadFile(d.logPath())
			return fmt.Errorf("%w: containerd ended: %s", driver.ErrUnavailable, tail(b, 500))
		case <-ctx.Done():
			return fmt.Errorf("%w: containerd does not answer: %w", driver.ErrUnavailable, ctx.Err())
		case <-time.After(20 * time.Millisecond):
		}
	}
}

func (d *Daemon) answers(ctx context.Context) bool {
	c, err := client.New(d.cfg.Address, client.WithTimeout(2*time.Second))
	if err != nil {
		return false
	}
	defer c.Close()
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	_, err = c.Version(ctx)
	return err == nil
}

// Address is the socket.
func (d *Daemon) Address() string { return d.cfg.Address }

// PID is the process, for those who test what happens when it dies.
func (d *Daemon) PID() int { return d.cmd.Process.Pid }

// Stop ends all containers, the daemon, its shims and its mounts. Images stay in
// Root. It is complete even after the daemon itself has died.
func (d *Daemon) Stop(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	var errs []error
	select {
	case <-d.gone:
	default:
		if err := d.removeContainers(ctx); err != nil {
			d.cfg.Log.Warn("containers not removed", "error", err)
		}
		_ = d.cmd.Process.Signal(unix.SIGTERM)
		select {
		case <-d.gone:
		case <-time.After(10 * time.Second):
			_ = d.cmd.Process.Kill()
			<-d.gone
		}
	}
	errs = append(errs, d.clear(ctx))
	return errors.Join(errs...)
}

// removeContainers purges every namespace in order, so that shims end by themselves.
func (d *Daemon) removeContainers(ctx context.Context) error {
	c, err := client.New(d.cfg.Address, client.WithTimeout(5*time.Second))
	if err != nil {
		return err
	}
	defer c.Close()
	list, err := c.NamespaceService().List(ctx)
	if err != nil {
		return err
	}
	var errs []error
	for _, ns := range list {
		ctx := namespaces.WithNamespace(ctx, ns)
		containers, err := c.Containers(ctx)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		for _, container := range containers {
			if task, err := container.Task(ctx, nil); err == nil {
				if _, err := task.Delete(ctx, client.WithProcessKill); err != nil {
					errs = append(errs, err)
				}
			}
			errs = append(errs, container.Delete(ctx))
		}
	}
	return errors.Join(errs...)
}

// clearPrevious ends a daemon of an earlier process that was started on the same
// folders, known by its own command line, and clears what it left.
func (d *Daemon) clearPrevious(ctx context.Context) error {
	b, err := os.ReadFile(d.pidPath())
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("containerd: %w", err)
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(b)))
	config := filepath.Join(d.cfg.State, "config.toml")
	if err == nil && pid > 1 && hasArgument(pid, config) {
		_ = unix.Kill(pid, unix.SIGTERM)
		for end := time.Now().Add(10 * time.Second); hasArgument(pid, config); {
			if time.Now().After(end) {
				_ = unix.Kill(pid, unix.SIGKILL)
			}
			select {
			case <-ctx.Done():
				return ctx.Err()
			case <-time.After(10 * time.Millisecond):
			}
		}
	}
	if d.cfg.Adopt {
		return nil
	}
	return d.clear(ctx)
}

// clear kills the shims of this daemon and unmounts what lies in its folders. It
// is for a daemon that has ended.
func (d *Daemon) clear(ctx context.Context) error {
	for {
		shims := d.shims()
		if len(shims) == 0 {
			break
		}
		for _, pid := range shims {
			args := arguments(pid)
			// A shim is its container's subreaper: its children must go with it.
			for _, child := range children(pid) {
				_ = unix.Kill(child, unix.SIGKILL)
			}
			_ = unix.Kill(pid, unix.SIGKILL)
			_ = os.Remove(shimSocket(d.cfg.Address, option(args, "namespace"), option(args, "id")))
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(10 * time.Millisecond):
		}
	}
	err := errors.Join(unmountBelow(d.cfg.State), unmountBelow(d.cfg.Root))
	for _, p := range []string{d.cfg.Address, d.cfg.Address + ".ttrpc", d.pidPath()} {
		if e := os.Remove(p); e != nil && !errors.Is(e, fs.ErrNotExist) {
			err = errors.Join(err, e)
		}
	}
	return err
}

// shims are the processes that were started with our address.
func (d *Daemon) shims() []int {
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return nil
	}
	var pids []int
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil {
			continue
		}
		args := arguments(pid)
		if len(args) == 0 || filepath.Base(args[0]) != "containerd-shim-runc-v2" {
			continue
		}
		if option(args, "address") == d.cfg.Address {
			pids = append(pids, pid)
		}
	}
	return pids
}

// option is the value after -name.
func option(args []string, name string) string {
	for i := 0; i+1 < len(args); i++ {
		if strings.TrimLeft(args[i], "-") == name {
			return args[i+1]
		}
	}
	return ""
}

func hasArgument(pid int, arg string) bool {
	for _, a := range arguments(pid) {
		if a == arg {
			return true
		}
	}
	return false
}

func arguments(pid int) []string {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
	if err != nil || len(b) == 0 {
		return nil
	}
	return strings.Split(string(bytes.TrimRight(b, "\x00")), "\x00")
}

// children of all threads: an orphan may be adopted by any of them.
func children(pid int) (pids []int) {
	lists, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", pid))
	for _, list := range lists {
		b, _ := os.ReadFile(list)
		for _, f := range strings.Fields(string(b)) {
			if p, err := strconv.Atoi(f); err == nil {
				pids = append(pids, p)
			}
		}
	}
	return pids
}

func tail(b []byte, n int) string { return strings.TrimSpace(string(b[max(0, len(b)-n):])) }
