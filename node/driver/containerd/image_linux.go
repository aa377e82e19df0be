package containerd

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"syscall"
	"time"

	"github.com/containerd/containerd/api/types"
	corecontent "github.com/containerd/containerd/v2/core/content"
	"github.com/containerd/containerd/v2/core/mount"
	"github.com/containerd/containerd/v2/core/snapshots"
	"github.com/containerd/containerd/v2/pkg/namespaces"
	"github.com/containerd/containerd/v2/pkg/rootfs"
	"github.com/containerd/errdefs"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/nexara/nexara/node/driver"
)

const (
	// prepareTimeout bounds unpacking, which is as long as the image is large.
	prepareTimeout = 30 * time.Minute

	// labelImage marks our snapshots with the digest of their image.
	labelImage = "nexara.image"
	// labelBytes and labelUnpacked remember an image's sizes.
	labelBytes    = "nexara.image.bytes"
	labelUnpacked = "nexara.image.unpacked"
	// labelRoot keeps containerd's collector away.
	labelRoot = "containerd.io/gc.root"

	basePrefix = "nexara-base-"
	viewPrefix = "nexara-view-"
)

// image is an unpacked image. Fields below ready are set before it is closed and
// never change after.
type image struct {
	digest string
	ready  chan struct{}

	err             error
	bytes, unpacked int64
	config          ocispec.ImageConfig
	// rootfs are the mounts of one read-only view that all runs share: a run
	// costs no snapshot of its own.
	rootfs []*types.Mount

	// Guarded by Driver.mu: it may be evicted when users is 0.
	users int
	used  uint64
}

// Prepare unpacks an image once per digest.
func (d *Driver) Prepare(ctx context.Context, path string) (driver.ImageInfo, error) {
	img, cached, err := d.acquire(ctx, path)
	if err != nil {
		return driver.ImageInfo{}, err
	}
	defer d.release(img.digest)
	return driver.ImageInfo{Digest: img.digest, Bytes: img.bytes, UnpackedBytes: img.unpacked, Cached: cached}, nil
}

// acquire gives an unpacked image and counts the caller as its user until release.
func (d *Driver) acquire(ctx context.Context, path string) (*image, bool, error) {
	l, err := openLayout(path, d.cfg)
	if err != nil {
		return nil, false, err
	}
	defer l.root.Close()
	// The index is small and names the content, so it alone is read each time.
	target, err := l.target()
	if err != nil {
		return nil, false, err
	}
	digest := target.Digest.String()
	if target.Digest.Validate() != nil {
		return nil, false, invalid("digest %.80q", digest)
	}
	d.mu.Lock()
	if d.closed {
		d.mu.Unlock()
		return nil, false, driver.ErrClosed
	}
	img, found := d.images[digest]
	var stale []string
	if !found || isClosed(img.ready) && img.rootfs == nil {
		// Unknown, or known from an earlier process by its snapshots only, and then
		// perhaps in use by recovered runs.
		fresh := &image{digest: digest, ready: make(chan struct{})}
		if found {
			fresh.users = img.users
		}
		img, found = fresh, false
		d.images[digest] = img
	}
	d.tick++
	img.users, img.used = img.users+1, d.tick
	if !found {
		stale = d.evict()
	}
	d.mu.Unlock()
	cached := found
	if !found {
		d.drop(ctx, stale)
		cached, img.err = d.prepare(ctx, l, img)
		close(img.ready)
	}
	select {
	case <-img.ready:
	case <-ctx.Done():
		d.release(img.digest)
		return nil, false, ctx.Err()
	}
	if img.err != nil {
		d.release(img.digest)
		return nil, false, img.err
	}
	return img, cached, nil
}

func isClosed(c chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}

// hold counts a recovered run as a user of its image.
func (d *Driver) hold(digest string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if img := d.images[digest]; img != nil {
		img.users++
	}
}

// release is by digest: the entry may have been replaced since it was held.
func (d *Driver) release(digest string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	img := d.images[digest]
	if img == nil {
		return
	}
	img.users--
	if isClosed(img.ready) && img.err != nil {
		// Not remembered: a failure may have been ours.
		delete(d.images, digest)
	}
}

// evict takes the images that were not used for the longest out of the table and
// names them, for drop. d.mu is held.
func (d *Driver) evict() (digests []string) {
	for len(d.images) > d.cfg.MaxImages {
		var oldest *image
		for _, img := range d.images {
			if img.users == 0 && (oldest == nil || img.used < oldest.used) {
				oldest = img
			}
		}
		if oldest == nil {
			break
		}
		delete(d.images, oldest.digest)
		digests = append(digests, oldest.digest)
	}
	return digests
}

// drop removes snapshots; containerd then collects what they stood on.
func (d *Driver) drop(ctx context.Context, digests []string) {
	sn := d.client.SnapshotService(d.snapshotter)
	ctx = namespaces.WithNamespace(ctx, d.cfg.Namespace)
	for _, digest := range digests {
		for _, prefix := range []string{viewPrefix, basePrefix} {
			if err := sn.Remove(ctx, prefix+digest); err != nil && !errdefs.IsNotFound(err) {
				d.cfg.Log.Warn("image not removed", "digest", digest, "error", err)
			}
		}
	}
}

// loadImages lists what earlier processes unpacked, so that it counts for eviction.
func (d *Driver) loadImages(ctx context.Context) error {
	ready := make(chan struct{})
	close(ready)
	err := d.client.SnapshotService(d.snapshotter).Walk(ctx, func(_ context.Context, info snapshots.Info) error {
		if digest, ok := strings.CutPrefix(info.Name, viewPrefix); ok {
			d.images[digest] = &image{digest: digest, ready: ready}
		}
		return nil
	})
	if err != nil && !errdefs.IsNotFound(err) {
		return fmt.Errorf("%w: snapshots: %w", driver.ErrUnavailable, err)
	}
	return nil
}

// prepare unpacks an image unless its snapshots are there.
func (d *Driver) prepare(ctx context.Context, l *layout, img *image) (cached bool, err error) {
	c, err := l.resolve()
	if err != nil {
		return false, err
	}
	if c.target.Digest.String() != img.digest {
		return false, invalid("the layout changed while it was read")
	}
	img.config, img.bytes = c.config.Config, c.bytes
	ctx, cancel := context.WithTimeout(namespaces.WithNamespace(ctx, d.cfg.Namespace), prepareTimeout)
	defer cancel()
	sn := d.client.SnapshotService(d.snapshotter)
	view := viewPrefix + img.digest
	mounts, err := sn.Mounts(ctx, view)
	if cached = err == nil; !cached {
		if mounts, err = d.unpack(ctx, l, c, img); err != nil {
			return false, err
		}
	} else if info, err := sn.Stat(ctx, view); err == nil {
		_, _ = fmt.Sscan(info.Labels[labelUnpacked], &img.unpacked)
	}
	for _, m := range mounts {
		img.rootfs = append(img.rootfs, &types.Mount{Type: m.Type, Source: m.Source, Target: m.Target, Options: m.Options})
	}
	return cached, nil
}

// unpack makes the shared view: content into the store, layers into snapshots,
// mount points into a layer of our own on top.
func (d *Driver) unpack(ctx context.Context, l *layout, c *content, img *image) ([]mount.Mount, error) {
	size, err := l.measure(c)
	if err != nil {
		return nil, err
	}
	img.unpacked = size
	if free, err := freeBytes(d.cfg.Dir); err != nil || free < size+c.bytes+d.cfg.MinFreeBytes {
		return nil, fmt.Errorf("%w: image needs %d bytes, %d are free", driver.ErrNoSpace, size+c.bytes, free)
	}
	// The lease keeps content and layers until the view refers to them.
	ctx, done, err := d.client.WithLease(ctx)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", driver.ErrUnavailable, err)
	}
	defer func() { _ = done(context.WithoutCancel(ctx)) }()
	var layers []rootfs.Layer
	for i, desc := range c.manifest.Layers {
		if err := d.store(ctx, l, desc); err != nil {
			return nil, err
		}
		layers = append(layers, rootfs.Layer{
			Blob: desc, Diff: ocispec.Descriptor{MediaType: ocispec.MediaTypeImageLayer, Digest: c.config.RootFS.DiffIDs[i]},
		})
	}
	sn := d.client.SnapshotService(d.snapshotter)
	chain, err := rootfs.ApplyLayers(ctx, layers, sn, d.client.DiffService())
	if err != nil {
		return nil, runtimeFault("unpack", err)
	}
	labels := map[string]string{
		labelRoot: time.Now().UTC().Format(time.RFC3339), labelImage: img.digest,
		labelBytes: fmt.Sprint(img.bytes), labelUnpacked: fmt.Sprint(img.unpacked),
	}
	base, draft := basePrefix+img.digest, "nexara-draft-"+img.digest
	if _, err := sn.Stat(ctx, base); err != nil {
		_ = sn.Remove(ctx, draft) // of a process that died here
		mounts, err := sn.Prepare(ctx, draft, chain.String())
		if err != nil {
			return nil, runtimeFault("unpack", err)
		}
		if err := mount.WithTempMount(ctx, mounts, mountPoints); err != nil {
			_ = sn.Remove(context.WithoutCancel(ctx), draft)
			return nil, err
		}
		if err := sn.Commit(ctx, base, draft, snapshots.WithLabels(labels)); err != nil && !errdefs.IsAlreadyExists(err) {
			return nil, runtimeFault("unpack", err)
		}
	}
	mounts, err := sn.View(ctx, viewPrefix+img.digest, base, snapshots.WithLabels(labels))
	if errdefs.IsAlreadyExists(err) {
		mounts, err = sn.Mounts(ctx, viewPrefix+img.digest)
	}
	if err != nil {
		return nil, runtimeFault("unpack", err)
	}
	return mounts, nil
}

// store copies a blob into containerd, which checks its digest.
func (d *Driver) store(ctx context.Context, l *layout, desc ocispec.Descriptor) error {
	f, err := l.open(desc)
	if err != nil {
		return err
	}
	defer f.Close()
	err = corecontent.WriteBlob(ctx, d.client.ContentStore(), "nexara-"+desc.Digest.String(), f, desc)
	if errdefs.IsFailedPrecondition(err) || errdefs.IsInvalidArgument(err) {
		return invalid("blob %s: %v", desc.Digest, err)
	}
	if err != nil {
		return runtimeFault("store", err)
	}
	return nil
}

// mountPoints makes the folders that containers are mounted on. The image is
// hostile: a folder that is a link would send a mount elsewhere in the image, so
// a link is refused, and os.Root keeps all of it beneath the image's root.
func mountPoints(dir string) error {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return fmt.Errorf("%w: %w", driver.ErrFault, err)
	}
	defer root.Close()
	for _, p := range []string{"proc", "dev", "sys", "in", "out", "tmp", "etc"} {
		err := root.Mkdir(p, 0o755)
		if err == nil {
			continue
		}
		if !errors.Is(err, fs.ErrExist) {
			return fmt.Errorf("%w: %w", driver.ErrFault, err)
		}
		if st, err := root.Lstat(p); err != nil || !st.IsDir() {
			return invalid("/%s is not a folder", p)
		}
	}
	return nil
}

// runtimeFault classes an error of containerd's.
func runtimeFault(what string, err error) error {
	class := driver.ErrFault
	switch {
	case errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded):
		return fmt.Errorf("containerd: %s: %w", what, err)
	case errdefs.IsUnavailable(err):
		class = driver.ErrUnavailable
	case errors.Is(err, syscall.ENOSPC):
		class = driver.ErrNoSpace
	}
	return fmt.Errorf("%w: %s: %w", class, what, err)
}
