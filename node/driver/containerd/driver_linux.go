package containerd

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"sort"
	"sync"
	"time"

	"github.com/containerd/containerd/v2/client"
	"github.com/containerd/containerd/v2/pkg/namespaces"
	"golang.org/x/sys/unix"

	"github.com/nexara/nexara/node/driver"
)

// callTimeout bounds a call to containerd that has no reason to take long.
const callTimeout = 30 * time.Second

// shimMiB is what a run's shim takes at most, beside what shims share.
const shimMiB = 10

// labelRun marks our containers with their run's ID.
const labelRun = "nexara.run"

// Driver implements driver.Driver, driver.Recoverer and driver.Sweeper.
type Driver struct {
	cfg         Config
	client      *client.Client
	version     string
	snapshotter string
	cgroups     cgroups
	mkfs        string // path of mkfs.ext4, empty without
	oci         string // the OCI runtime: runc or crun
	whyNotCrun  string // why crun is not used although it might be

	ctx    context.Context // of watchers; ends with Close
	cancel context.CancelFunc
	watch  sync.WaitGroup

	mu     sync.Mutex
	closed bool
	runs   map[string]*run
	images map[string]*image // by digest
	tick   uint64
}

// New connects to containerd. ErrUnavailable says why there can be no containers.
func New(ctx context.Context, cfg Config) (*Driver, error) {
	cfg = cfg.Default()
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	if os.Geteuid() != 0 {
		return nil, fmt.Errorf("%w: containers need root, for mounts and cgroups", driver.ErrUnavailable)
	}
	if _, err := os.Stat(cfg.Address); err != nil {
		return nil, fmt.Errorf("%w: %w", driver.ErrUnavailable, err)
	}
	if err := os.MkdirAll(filepath.Join(cfg.Dir, "runs"), 0o711); err != nil {
		return nil, fmt.Errorf("containerd: %w", err)
	}
	c, err := client.New(cfg.Address, client.WithTimeout(callTimeout), client.WithDefaultNamespace(cfg.Namespace))
	if err != nil {
		return nil, fmt.Errorf("%w: %w", driver.ErrUnavailable, err)
	}
	d := &Driver{cfg: cfg, client: c, runs: map[string]*run{}, images: map[string]*image{}}
	d.ctx, d.cancel = context.WithCancel(namespaces.WithNamespace(context.Background(), cfg.Namespace))
	if err := d.probe(ctx); err != nil {
		return nil, errors.Join(err, d.Close())
	}
	return d, nil
}

// probe learns what this host offers.
func (d *Driver) probe(ctx context.Context) error {
	ctx, cancel := d.call(ctx)
	defer cancel()
	v, err := d.client.Version(ctx)
	if err != nil {
		return fmt.Errorf("%w: %w", driver.ErrUnavailable, err)
	}
	d.version = v.Version
	if d.snapshotter, err = d.findSnapshotter(ctx); err != nil {
		return err
	}
	if d.cgroups, err = findCgroups(); err != nil {
		return fmt.Errorf("%w: %w", driver.ErrUnavailable, err)
	}
	if _, err := os.Stat("/dev/loop-control"); err == nil {
		d.mkfs, _ = exec.LookPath("mkfs.ext4")
	}
	if err := d.chooseRuntime(ctx); err != nil {
		return err
	}
	return d.loadImages(ctx)
}

// findSnapshotter prefers overlayfs: native copies the whole image per layer.
func (d *Driver) findSnapshotter(ctx context.Context) (string, error) {
	list, err := d.client.IntrospectionService().Plugins(ctx, "type==io.containerd.snapshotter.v1")
	if err != nil {
		return "", fmt.Errorf("%w: %w", driver.ErrUnavailable, err)
	}
	usable := map[string]bool{}
	for _, p := range list.Plugins {
		usable[p.ID] = p.InitErr == nil
	}
	for _, name := range []string{"overlayfs", "native"} {
		if usable[name] {
			return name, nil
		}
	}
	return "", fmt.Errorf("%w: neither the overlayfs nor the native snapshotter works", driver.ErrUnavailable)
}

// call gives ctx our namespace and a time limit.
func (d *Driver) call(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(namespaces.WithNamespace(ctx, d.cfg.Namespace), callTimeout)
}

// Name is driver.RuntimeContainer.
func (d *Driver) Name() string { return driver.RuntimeContainer }

// Capabilities says what is enforced on this host.
func (d *Driver) Capabilities(ctx context.Context) (driver.Capabilities, error) {
	ctx, cancel := d.call(ctx)
	defer cancel()
	if _, err := d.client.Version(ctx); err != nil {
		return driver.Capabilities{}, fmt.Errorf("%w: %w", driver.ErrUnavailable, err)
	}
	var info unix.Sysinfo_t
	if err := unix.Sysinfo(&info); err != nil {
		return driver.Capabilities{}, fmt.Errorf("%w: %w", driver.ErrUnavailable, err)
	}
	c := driver.Capabilities{
		Runtime: driver.RuntimeContainer, Arch: runtime.GOARCH, CPUMilli: int64(runtime.NumCPU()) * 1000, CPUFractions: true,
		MemoryMiB: int64(info.Totalram) * int64(info.Unit) >> 20, DiskMiB: d.cfg.TmpfsMaxMiB, DiskInMemoryMiB: d.cfg.TmpfsMaxMiB,
		RunMemoryMiB: shimMiB, LogInMemory: true, Processes: true, Recovers: true,
		Facts: map[string]string{
			"containerd": d.version, "snapshotter": d.snapshotter, "cgroups": d.cgroups.String(), "seccomp": "containerd default, calls of the machine's own architecture only",
			"runtime": d.oci,
			"disk":    "tmpfs", "network": "none: no isolated way out is configured",
		},
	}
	if d.whyNotCrun != "" {
		c.Facts["runtime"] = "runc; not crun: " + d.whyNotCrun
	}
	if d.mkfs != "" {
		free, err := freeBytes(d.cfg.Dir)
		if err != nil {
			return driver.Capabilities{}, fmt.Errorf("%w: %w", driver.ErrUnavailable, err)
		}
		c.DiskMiB = max(c.DiskMiB, max(0, free-d.cfg.MinFreeBytes)>>20)
		c.Facts["disk"] = fmt.Sprintf("tmpfs up to %d MiB, then ext4 in a file", d.cfg.TmpfsMaxMiB)
	}
	return c, nil
}

// Start begins a run. The image is prepared when it is not yet.
func (d *Driver) Start(ctx context.Context, spec driver.Spec) (driver.Run, error) {
	if err := spec.Validate(); err != nil {
		return nil, err
	}
	if err := d.supports(spec); err != nil {
		return nil, err
	}
	img, _, err := d.acquire(ctx, spec.Image)
	if err != nil {
		return nil, err
	}
	r, err := d.admit(spec, img)
	if err != nil {
		d.release(img.digest)
		return nil, err
	}
	err = r.vacate(ctx)
	if err == nil {
		if err = r.launch(ctx); err != nil {
			// Whatever was made goes, even when ctx is over.
			err = errors.Join(err, d.purge(context.WithoutCancel(ctx), spec.ID))
		}
	}
	if err != nil {
		r.finish(driver.Outcome{}, err)
		d.forget(r)
		return nil, err
	}
	if !r.ended() {
		d.follow(r)
	}
	return r, nil
}

// supports refuses what cannot be enforced here.
func (d *Driver) supports(spec driver.Spec) error {
	switch {
	case spec.Network:
		return driver.ErrNetworkUnsupported
	case spec.Limits.DiskMiB > d.cfg.TmpfsMaxMiB && d.mkfs == "":
		return fmt.Errorf("%w: %d MiB of disk without loop devices and mkfs.ext4", driver.ErrUnsupported, spec.Limits.DiskMiB)
	case spec.Limits.CPUMilli < 10:
		return fmt.Errorf("%w: less than 10 thousandths of a core", driver.ErrUnsupported)
	}
	return nil
}

// admit takes the ID. What a dead process left under it is checked in launch.
func (d *Driver) admit(spec driver.Spec, img *image) (*run, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.closed {
		return nil, driver.ErrClosed
	}
	if d.runs[spec.ID] != nil {
		return nil, fmt.Errorf("%w: %s", driver.ErrExists, spec.ID)
	}
	r := newRun(d, spec, img)
	d.runs[spec.ID] = r
	return r, nil
}

// follow watches a run until it ends or the driver closes.
func (d *Driver) follow(r *run) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.closed {
		r.finish(driver.Outcome{}, driver.ErrClosed)
		return
	}
	d.watch.Add(1)
	go func() {
		defer d.watch.Done()
		r.watch(d.ctx)
	}()
}

func (d *Driver) forget(r *run) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.runs[r.spec.ID] == r {
		delete(d.runs, r.spec.ID)
	}
}

func (d *Driver) known(id string) *run {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.runs[id]
}

// Recover attaches to a run of an earlier process.
func (d *Driver) Recover(ctx context.Context, id string) (driver.Run, error) {
	if !driver.ValidID(id) {
		return nil, fmt.Errorf("%w: %q", driver.ErrNotFound, id)
	}
	if r := d.known(id); r != nil {
		return r, nil
	}
	r, err := d.reattach(ctx, id)
	if err != nil {
		return nil, err
	}
	d.mu.Lock()
	if other := d.runs[id]; other != nil {
		d.mu.Unlock()
		return other, nil
	}
	d.runs[id] = r
	d.mu.Unlock()
	if !r.ended() {
		d.follow(r)
	}
	return r, nil
}

// Sweep removes the runs that are not in keep: folders, mounts and containers.
func (d *Driver) Sweep(ctx context.Context, keep []string) ([]string, error) {
	ids := map[string]bool{}
	entries, err := os.ReadDir(filepath.Join(d.cfg.Dir, "runs"))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%w: %w", driver.ErrFault, err)
	}
	for _, e := range entries {
		ids[e.Name()] = true
	}
	listing, cancel := d.call(ctx)
	defer cancel()
	list, err := d.client.ContainerService().List(listing, "labels.\""+labelRun+"\"")
	if err != nil {
		return nil, fmt.Errorf("%w: %w", driver.ErrUnavailable, err)
	}
	for _, c := range list {
		ids[c.ID] = true
	}
	var removed []string
	var errs []error
	for id := range ids {
		if slices.Contains(keep, id) || !driver.ValidID(id) {
			continue
		}
		if r := d.known(id); r != nil {
			err = r.Remove(ctx)
		} else {
			err = d.purge(ctx, id)
		}
		if errs = append(errs, err); err == nil {
			removed = append(removed, id)
		}
	}
	sort.Strings(removed)
	return removed, errors.Join(errs...)
}

// Close lets go of the runs; they go on and can be recovered.
func (d *Driver) Close() error {
	d.mu.Lock()
	d.closed = true
	d.mu.Unlock()
	if d.ctx.Err() != nil {
		return nil
	}
	d.cancel()
	d.watch.Wait()
	d.cgroups.vacate(d.cfg.Namespace)
	return d.client.Close()
}

// freeBytes is what can still be written below dir.
func freeBytes(dir string) (int64, error) {
	var s unix.Statfs_t
	if err := unix.Statfs(dir, &s); err != nil {
		return 0, err
	}
	return int64(s.Bavail) * int64(s.Bsize), nil
}
