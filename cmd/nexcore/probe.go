package main

import (
	"archive/tar"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"time"

	"github.com/nexara/nexara/node/driver"
	"github.com/nexara/nexara/node/driver/containerd"
	"github.com/nexara/nexara/node/driver/wasm"
	"github.com/nexara/nexara/node/provider"
)

// probe runs something real with a driver, apart from the daemon's own runs.
type probe struct {
	name  string
	open  func(ctx context.Context, dir string) (driver.Driver, error)
	image func(dir string) (string, error)
	args  []string
}

func probes(cfg provider.DriverConfig) (out []probe) {
	if cfg.WASM {
		out = append(out, probe{
			name: driver.RuntimeWASM,
			open: func(_ context.Context, dir string) (driver.Driver, error) { return wasm.New(wasm.Config{Dir: dir}) },
			image: func(dir string) (string, error) {
				path := filepath.Join(dir, "probe.wasm")
				return path, os.WriteFile(path, probeModule, 0o600)
			},
		})
	}
	if cfg.Container.Address != "" {
		out = append(out, probe{
			name: driver.RuntimeContainer, image: ownImage, args: []string{"version"},
			open: func(ctx context.Context, dir string) (driver.Driver, error) {
				// Its own namespace: sweeping it never touches the daemon's runs.
				return containerd.New(ctx, containerd.Config{
					Dir: dir, Address: cfg.Container.Address, Namespace: cfg.Container.Namespace + "-doctor", OCIRuntime: cfg.Container.OCIRuntime,
				})
			},
		})
	}
	return out
}

// probeModule is (module (memory (export "memory") 1) (func (export "_start"))).
var probeModule = []byte{
	0x00, 'a', 's', 'm', 0x01, 0x00, 0x00, 0x00,
	0x01, 0x04, 0x01, 0x60, 0x00, 0x00, // type: func () -> ()
	0x03, 0x02, 0x01, 0x00, // function 0 has type 0
	0x05, 0x03, 0x01, 0x00, 0x01, // memory of one page
	0x07, 0x13, 0x02, // two exports
	0x06, 'm', 'e', 'm', 'o', 'r', 'y', 0x02, 0x00,
	0x06, '_', 's', 't', 'a', 'r', 't', 0x00, 0x00,
	0x0a, 0x04, 0x01, 0x02, 0x00, 0x0b, // code: end
}

// eraser is a driver that keeps things outside its folder.
type eraser interface {
	Erase(ctx context.Context) error
}

const eraseTimeout = 30 * time.Second

// run prepares, runs and removes the probe, and says how long the run took.
func (p probe) run(ctx context.Context) (caps driver.Capabilities, took time.Duration, err error) {
	dir, err := os.MkdirTemp("", "nexcore-doctor-")
	if err != nil {
		return caps, 0, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	home := filepath.Join(dir, "driver")
	if err := os.Mkdir(home, 0o711); err != nil {
		return caps, 0, err
	}
	d, err := p.open(ctx, home)
	if err != nil {
		return caps, 0, err
	}
	defer func() {
		if e, ok := d.(eraser); ok {
			erasing, cancel := context.WithTimeout(context.WithoutCancel(ctx), eraseTimeout)
			err = errors.Join(err, e.Erase(erasing))
			cancel()
		}
		err = errors.Join(err, d.Close())
	}()
	if caps, err = d.Capabilities(ctx); err != nil {
		return caps, 0, err
	}
	image, err := p.image(dir)
	if err != nil {
		return caps, 0, err
	}
	if _, err := d.Prepare(ctx, image); err != nil {
		return caps, 0, err
	}
	limits := driver.DefaultLimits()
	limits.WallSeconds, limits.DiskMiB = 60, min(limits.DiskMiB, caps.DiskMiB)
	begun := time.Now()
	run, err := d.Start(ctx, driver.Spec{ID: fmt.Sprintf("doctor-%d", os.Getpid()), Image: image, Args: p.args, Limits: limits})
	if err != nil {
		return caps, 0, err
	}
	defer func() { err = errors.Join(err, run.Remove(context.WithoutCancel(ctx))) }()
	outcome, err := run.Wait(ctx)
	if err != nil {
		return caps, 0, err
	}
	if !outcome.Succeeded() {
		return caps, 0, fmt.Errorf("%w: the probe ended with %s, exit code %d", driver.ErrFault, outcome.Reason, outcome.ExitCode)
	}
	return caps, time.Since(begun), nil
}

// ownImage is an OCI layout with this very program in it: it is static, so it is a
// container image of one file.
func ownImage(dir string) (string, error) {
	self, err := os.Executable()
	if err != nil {
		return "", err
	}
	root := filepath.Join(dir, "image")
	blobs := filepath.Join(root, "blobs", "sha256")
	if err := os.MkdirAll(blobs, 0o700); err != nil {
		return "", err
	}
	layer, size, err := tarOf(self, filepath.Join(blobs, "layer"))
	if err != nil {
		return "", err
	}
	if err := os.Rename(filepath.Join(blobs, "layer"), filepath.Join(blobs, layer)); err != nil {
		return "", err
	}
	put := func(v any) (map[string]any, error) {
		raw, err := json.Marshal(v)
		if err != nil {
			return nil, err
		}
		sum := sha256.Sum256(raw)
		id := hex.EncodeToString(sum[:])
		return map[string]any{"digest": "sha256:" + id, "size": len(raw)}, os.WriteFile(filepath.Join(blobs, id), raw, 0o600)
	}
	config, err := put(map[string]any{
		"architecture": runtime.GOARCH, "os": "linux", "config": map[string]any{"Entrypoint": []string{"/nexcore"}},
		"rootfs": map[string]any{"type": "layers", "diff_ids": []string{"sha256:" + layer}},
	})
	if err != nil {
		return "", err
	}
	config["mediaType"] = "application/vnd.oci.image.config.v1+json"
	const manifestType = "application/vnd.oci.image.manifest.v1+json"
	manifest, err := put(map[string]any{
		"schemaVersion": 2, "mediaType": manifestType, "config": config,
		"layers": []any{map[string]any{"mediaType": "application/vnd.oci.image.layer.v1.tar", "digest": "sha256:" + layer, "size": size}},
	})
	if err != nil {
		return "", err
	}
	manifest["mediaType"] = manifestType
	index, err := json.Marshal(map[string]any{
		"schemaVersion": 2, "mediaType": "application/vnd.oci.image.index.v1+json", "manifests": []any{manifest},
	})
	if err != nil {
		return "", err
	}
	return root, errors.Join(
		os.WriteFile(filepath.Join(root, "index.json"), index, 0o600),
		os.WriteFile(filepath.Join(root, "oci-layout"), []byte(`{"imageLayoutVersion":"1.0.0"}`), 0o600))
}

// tarOf packs one program into a layer and gives its digest and size.
func tarOf(program, to string) (digest string, size int64, err error) {
	in, err := os.Open(program)
	if err != nil {
		return "", 0, err
	}
	defer in.Close()
	info, err := in.Stat()
	if err != nil {
		return "", 0, err
	}
	out, err := os.OpenFile(to, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return "", 0, err
	}
	defer func() { err = errors.Join(err, out.Close()) }()
	sum := sha256.New()
	w := tar.NewWriter(io.MultiWriter(out, sum))
	if err := w.WriteHeader(&tar.Header{Name: "nexcore", Mode: 0o755, Size: info.Size(), Typeflag: tar.TypeReg}); err != nil {
		return "", 0, err
	}
	if _, err := io.Copy(w, in); err != nil {
		return "", 0, err
	}
	if err := w.Close(); err != nil {
		return "", 0, err
	}
	if info, err = out.Stat(); err != nil {
		return "", 0, err
	}
	return hex.EncodeToString(sum.Sum(nil)), info.Size(), nil
}
