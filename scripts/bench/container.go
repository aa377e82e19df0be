package main

import (
	"archive/tar"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"time"

	"github.com/nexara/nexara/node/driver/containerd"
	"github.com/nexara/nexara/testutil/scenario"
)

// runtimeHost is a containerd of the bench's own, with an image of the no-op program.
type runtimeHost struct {
	daemon *containerd.Daemon
	dir    string
	image  string // OCI layout
}

// startRuntime starts a containerd that shares nothing with the host's, and makes the image.
func (b *bench) startRuntime(ctx context.Context, name string) (*runtimeHost, error) {
	h := &runtimeHost{dir: filepath.Join(b.dir, name+"-c")}
	h.image = filepath.Join(h.dir, "image")
	if err := os.MkdirAll(h.dir, 0o711); err != nil {
		return nil, err
	}
	if err := b.layout(ctx, h.image); err != nil {
		return nil, err
	}
	var err error
	h.daemon, err = containerd.StartDaemon(ctx, containerd.DaemonConfig{
		Root: filepath.Join(h.dir, "root"), State: filepath.Join(h.dir, "state"), Address: filepath.Join(h.dir, "c.sock"),
		Log: slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelWarn})),
	})
	return h, err
}

// ociRuntime is what a NexCore on that containerd makes its containers with, and why.
func (h *runtimeHost) ociRuntime(ctx context.Context) (_ string, err error) {
	d, err := containerd.New(ctx, containerd.Config{Dir: filepath.Join(h.dir, "ask"), Address: h.daemon.Address(), Namespace: "ask"})
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, d.Close()) }()
	caps, err := d.Capabilities(ctx)
	return caps.Facts["runtime"], err
}

// stop ends containerd with its shims and mounts.
func (h *runtimeHost) stop(err *error) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	*err = errors.Join(*err, h.daemon.Stop(ctx))
}

// layout packs the no-op program into an OCI layout, by the same tool as the demo's image.
func (b *bench) layout(ctx context.Context, out string) error {
	program := filepath.Join(b.bin, "noop")
	content, err := os.ReadFile(program)
	if err != nil {
		return fmt.Errorf("%w (scripts/bench.sh builds it)", err)
	}
	archive := out + ".tar"
	f, err := os.Create(archive)
	if err != nil {
		return err
	}
	w := tar.NewWriter(f)
	err = w.WriteHeader(&tar.Header{Name: "noop", Mode: 0o755, Size: int64(len(content)), Typeflag: tar.TypeReg})
	if err == nil {
		_, err = w.Write(content)
	}
	if err := errors.Join(err, w.Close(), f.Close()); err != nil {
		return err
	}
	text, err := exec.CommandContext(ctx, filepath.Join(b.bin, "ocilayout"),
		"-tar", archive, "-out", out, "-arch", runtime.GOARCH, "-cmd", "/noop").CombinedOutput()
	if err != nil {
		return fmt.Errorf("ocilayout: %w: %.300s", err, text)
	}
	return nil
}

// containerWorld starts a world with one NexCore on that containerd.
func (b *bench) containerWorld(ctx context.Context, name string, h *runtimeHost) (*scenario.World, error) {
	return scenario.Start(ctx, scenario.Options{
		Dir: filepath.Join(b.dir, name), Bin: b.bin, Driver: "container", Containerd: h.daemon.Address(), Params: market(),
		NexCores: []scenario.NexCore{{
			Name: "n1", Region: "local", CPUMilli: int64(runtime.NumCPU()) * 1_000, MemoryMiB: 6_000, DiskMiB: 1_000, Price: 50,
			Init: []string{"--log-format", "json"},
		}},
	})
}

func (b *bench) containerJob(image string, shards int, cpu string) (string, error) {
	file := filepath.Join(b.dir, fmt.Sprintf("container-%d.yaml", shards))
	return file, os.WriteFile(file, fmt.Appendf(nil, `name: bench
runtime: container
image: %s
shards: %d
resources: {cpu: %s, memory: 16MiB, disk: 1MiB}
time: 60s
price: {limit: 0.05 NEX}
attempts: 3
deadline: 10m
`, image, shards, cpu), 0o600)
}

// containers is real no-op container shards end to end as an array job on one NexCore: from submission to the
// last result on chain. The image is warm: a job of one shard went before.
func (b *bench) containers(ctx context.Context) (_ any, err error) {
	h, err := b.startRuntime(ctx, "containers")
	if err != nil {
		return nil, err
	}
	defer h.stop(&err)
	oci, err := h.ociRuntime(ctx)
	if err != nil {
		return nil, err
	}
	w, err := b.containerWorld(ctx, "containers", h)
	if err != nil {
		return nil, err
	}
	defer stopped(w, &err)
	if _, err := b.delivered(ctx, w, h.image, 1, b.containerCPU); err != nil {
		return nil, err
	}
	took, err := b.delivered(ctx, w, h.image, b.containerShards, b.containerCPU)
	if err != nil {
		return nil, err
	}
	return map[string]any{
		"oci_runtime": oci, "shards": b.containerShards, "cpu_of_each": b.containerCPU, "seconds": took.Seconds(),
		"shards_per_second": float64(b.containerShards) / took.Seconds(),
	}, nil
}

// delivered submits a container job and gives the time until its last result is on chain.
func (b *bench) delivered(ctx context.Context, w *scenario.World, image string, shards int, cpu string) (time.Duration, error) {
	file, err := b.containerJob(image, shards, cpu)
	if err != nil {
		return 0, err
	}
	return endToEnd(ctx, w, file)
}
