package containerd

import (
	"archive/tar"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"

	"github.com/containerd/containerd/v2/core/images"
	"github.com/containerd/containerd/v2/pkg/archive/compression"
	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/nexara/nexara/node/driver"
)

const (
	maxDocument  = 4 << 20 // bytes of an index, manifest or image config
	maxLayers    = 128
	maxManifests = 256
)

// layout is an OCI image layout on disk, read as hostile: every size is bounded,
// every blob is checked against its digest, and blobs are opened beneath the folder.
type layout struct {
	root *os.Root
	cfg  Config
}

// content is one image of a layout, resolved for this platform.
type content struct {
	target   ocispec.Descriptor // of the manifest
	manifest ocispec.Manifest
	config   ocispec.Image
	bytes    int64 // as fetched
}

func openLayout(dir string, cfg Config) (*layout, error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", driver.ErrInvalidImage, err)
	}
	return &layout{root, cfg}, nil
}

func invalid(format string, args ...any) error {
	return fmt.Errorf("%w: %s", driver.ErrInvalidImage, fmt.Sprintf(format, args...))
}

// target finds the manifest's descriptor in the index, one level deep.
func (l *layout) target() (ocispec.Descriptor, error) {
	var index ocispec.Index
	f, err := l.root.Open(ocispec.ImageIndexFile)
	if err != nil {
		return ocispec.Descriptor{}, fmt.Errorf("%w: %w", driver.ErrInvalidImage, err)
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, maxDocument+1))
	if err != nil {
		return ocispec.Descriptor{}, fmt.Errorf("%w: %w", driver.ErrFault, err)
	}
	if len(b) > maxDocument || json.Unmarshal(b, &index) != nil {
		return ocispec.Descriptor{}, invalid("index.json is not an index")
	}
	d, ok := choose(index.Manifests)
	if ok && images.IsIndexType(d.MediaType) {
		index = ocispec.Index{}
		if err := l.document(d, &index); err != nil {
			return ocispec.Descriptor{}, err
		}
		d, ok = choose(index.Manifests)
	}
	if !ok || !images.IsManifestType(d.MediaType) {
		return ocispec.Descriptor{}, invalid("no manifest for linux/%s", runtime.GOARCH)
	}
	return d, nil
}

// choose takes the first image of this platform, or the only one there is.
func choose(list []ocispec.Descriptor) (ocispec.Descriptor, bool) {
	if len(list) > maxManifests {
		return ocispec.Descriptor{}, false
	}
	for _, d := range list {
		if d.Platform != nil && d.Platform.OS == "linux" && d.Platform.Architecture == runtime.GOARCH {
			return d, true
		}
	}
	if len(list) == 1 && list[0].Platform == nil {
		return list[0], true
	}
	return ocispec.Descriptor{}, false
}

// resolve reads and checks the documents of an image.
func (l *layout) resolve() (*content, error) {
	target, err := l.target()
	if err != nil {
		return nil, err
	}
	c := &content{target: target}
	if err := l.document(target, &c.manifest); err != nil {
		return nil, err
	}
	if err := l.document(c.manifest.Config, &c.config); err != nil {
		return nil, err
	}
	layers, diffs := c.manifest.Layers, c.config.RootFS.DiffIDs
	switch {
	case len(layers) == 0 || len(layers) > maxLayers || len(diffs) != len(layers):
		return nil, invalid("%d layers, %d diff ids", len(layers), len(diffs))
	case c.config.OS != "linux" || c.config.Architecture != runtime.GOARCH:
		return nil, invalid("image is for %.32s/%.32s", c.config.OS, c.config.Architecture)
	}
	c.bytes = target.Size + c.manifest.Config.Size
	for i, d := range layers {
		if !images.IsLayerType(d.MediaType) || strings.Contains(d.MediaType, "encrypted") || len(d.URLs) > 0 {
			return nil, invalid("layer %d has type %.80s", i, d.MediaType)
		}
		if d.Digest.Validate() != nil || d.Digest.Algorithm() != digest.SHA256 || diffs[i].Validate() != nil || d.Size < 0 {
			return nil, invalid("layer %d has a bad descriptor", i)
		}
		if d.Size > l.cfg.MaxImageBytes-c.bytes {
			return nil, fmt.Errorf("%w: more than %d bytes", driver.ErrImageTooLarge, l.cfg.MaxImageBytes)
		}
		c.bytes += d.Size
	}
	return c, nil
}

// document decodes a small JSON blob.
func (l *layout) document(d ocispec.Descriptor, v any) error {
	if d.Size > maxDocument {
		return invalid("document of %d bytes", d.Size)
	}
	f, err := l.open(d)
	if err != nil {
		return err
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, maxDocument+1))
	if err != nil {
		return fmt.Errorf("%w: %w", driver.ErrFault, err)
	}
	if int64(len(b)) != d.Size || digest.FromBytes(b) != d.Digest {
		return invalid("blob %s is not what it says", d.Digest)
	}
	if err := json.Unmarshal(b, v); err != nil {
		return invalid("blob %s: %v", d.Digest, err)
	}
	return nil
}

// open opens a blob, unchecked.
func (l *layout) open(d ocispec.Descriptor) (*os.File, error) {
	if d.Digest.Validate() != nil || d.Digest.Algorithm() != digest.SHA256 {
		return nil, invalid("digest %.80q", string(d.Digest))
	}
	f, err := l.root.Open(filepath.Join("blobs", "sha256", d.Digest.Encoded()))
	if err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			return nil, invalid("blob %s is missing", d.Digest)
		}
		return nil, fmt.Errorf("%w: %w", driver.ErrInvalidImage, err)
	}
	return f, nil
}

// measure decompresses every layer once without writing it, so that neither a
// decompression bomb nor a hundred million files ever reach the disk. It returns
// the unpacked size.
func (l *layout) measure(c *content) (int64, error) {
	var total, files int64
	for i, d := range c.manifest.Layers {
		size, n, err := l.measureLayer(d, l.cfg.MaxUnpackedBytes-total, l.cfg.MaxImageFiles-files)
		if err != nil {
			return 0, fmt.Errorf("layer %d: %w", i, err)
		}
		total, files = total+size, files+n
	}
	return total, nil
}

func (l *layout) measureLayer(d ocispec.Descriptor, maxBytes, maxFiles int64) (bytes, files int64, err error) {
	f, err := l.open(d)
	if err != nil {
		return 0, 0, err
	}
	defer f.Close()
	s, err := compression.DecompressStream(f)
	if err != nil {
		return 0, 0, invalid("%v", err)
	}
	defer s.Close()
	limited := &io.LimitedReader{R: s, N: maxBytes + 1}
	for r := tar.NewReader(limited); ; files++ {
		h, err := r.Next()
		if limited.N <= 0 || files > maxFiles {
			return 0, 0, fmt.Errorf("%w: more than %d bytes or %d files unpacked", driver.ErrImageTooLarge, l.cfg.MaxUnpackedBytes, l.cfg.MaxImageFiles)
		}
		if errors.Is(err, io.EOF) {
			return maxBytes + 1 - limited.N, files, nil
		}
		if err != nil {
			return 0, 0, invalid("%v", err)
		}
		// A sparse entry is larger than its bytes in the archive.
		if h.Size > maxBytes {
			return 0, 0, fmt.Errorf("%w: file of %d bytes", driver.ErrImageTooLarge, h.Size)
		}
	}
}

// nobody runs what does not say otherwise.
const nobody = 65534

// user is who runs the image: its own numeric user, but never root.
func user(config ocispec.ImageConfig) (uid, gid uint32) {
	name, group, grouped := strings.Cut(config.User, ":")
	u, err := strconv.ParseUint(name, 10, 31)
	if err != nil || u == 0 {
		return nobody, nobody
	}
	g, err := strconv.ParseUint(group, 10, 31)
	if !grouped || err != nil || g == 0 {
		return uint32(u), nobody
	}
	return uint32(u), uint32(g)
}
