//go:build linux

package containerd_test

import (
	"archive/tar"
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/containerd/containerd/v2/client"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/stretchr/testify/require"

	"github.com/nexara/nexara/node/driver"
	"github.com/nexara/nexara/node/driver/containerd"
	"github.com/nexara/nexara/node/driver/drivertest"
)

// try runs one act and gives outcome and log.
func try(t *testing.T, d driver.Driver, spec driver.Spec) (driver.Outcome, string) {
	t.Helper()
	ctx := context.Background()
	r, err := d.Start(ctx, spec)
	require.NoError(t, err)
	o, err := r.Wait(ctx)
	require.NoError(t, err)
	b, err := os.ReadFile(r.LogPath())
	require.NoError(t, err)
	require.NoError(t, r.Remove(ctx))
	return o, string(b)
}

// TestPrivileges looks at a container from inside.
func TestPrivileges(t *testing.T) {
	h := newHost(t)
	d := h.open(t)
	guest := drivertest.Binary(t)
	for _, c := range []struct{ user, uid string }{
		{"", "65534"}, {"0", "65534"}, {"root", "65534"}, {"0:5", "65534"}, {"4242:4343", "4242"}, {"4242:0", "4242"},
	} {
		image := drivertest.Layout(t, guest, func(cfg *v1.Config) { cfg.Entrypoint, cfg.User = []string{"/guest"}, c.user })
		s := spec("who", image)
		s.Args = []string{"identity"}
		o, log := try(t, d, s)
		require.True(t, o.Succeeded(), log)
		require.Contains(t, log, "uid="+c.uid+" gid=", "image user %q", c.user)
		require.NotContains(t, log, "gid=0\n")
		for _, line := range []string{
			"CapEff:\t0000000000000000", "CapPrm:\t0000000000000000", "CapBnd:\t0000000000000000", "CapInh:\t0000000000000000",
			"CapAmb:\t0000000000000000", "NoNewPrivs:\t1", "Seccomp:\t2",
		} {
			require.Contains(t, log, line)
		}
	}
	s := spec("try", drivertest.OCILayout(t))
	s.Args = []string{"privilege"}
	o, log := try(t, d, s)
	require.Equal(t, 1, o.ExitCode, log)
	require.Contains(t, log, "nothing allowed")
}

// TestJobMistakes: a program or a folder that is not there is the job's outcome,
// like in a shell, and not a fault of ours.
func TestJobMistakes(t *testing.T) {
	h := newHost(t)
	d := h.open(t)
	image := drivertest.Layout(t, drivertest.Binary(t), nil)
	for name, c := range map[string]struct {
		args []string
		dir  string
		code int
	}{
		"path":        {[]string{"/nothing"}, "", 127},
		"name":        {[]string{"nothing"}, "", 127},
		"a folder":    {[]string{"/proc"}, "", 126},
		"work folder": {[]string{"/guest", "nothing"}, "/nowhere", 126},
	} {
		t.Run(name, func(t *testing.T) {
			s := spec("mistake", image)
			s.Args, s.WorkDir = c.args, c.dir
			o, log := try(t, d, s)
			require.Equal(t, driver.Exited, o.Reason)
			require.Equal(t, c.code, o.ExitCode, log)
			require.Contains(t, log, "nexara: ")
			h.clean(t, "mistake")
		})
	}
	s := spec("none", image)
	s.Args = nil
	_, err := d.Start(context.Background(), s)
	require.ErrorIs(t, err, driver.ErrInvalidImage, "neither image nor job names a program")
	h.clean(t, "none")
}

// TestHostileImages: what is wrong with an image is found before anything runs.
func TestHostileImages(t *testing.T) {
	h := newHost(t)
	d := h.open(t, func(c *containerd.Config) { c.MaxUnpackedBytes, c.MaxImageFiles = 16<<20, 100 })
	file := func(name string, content []byte) drivertest.Entry {
		return drivertest.Entry{Header: tar.Header{Name: name, Mode: 0o755}, Content: content}
	}
	link := func(name, target string) drivertest.Entry {
		return drivertest.Entry{Header: tar.Header{Name: name, Linkname: target, Typeflag: tar.TypeSymlink, Mode: 0o777}}
	}
	many := make([]drivertest.Entry, 101)
	for i := range many {
		many[i] = file(strings.Repeat("a", i+1), nil)
	}
	good := func(t *testing.T) string { return drivertest.LayoutOf(t, nil, file("guest", []byte("x"))) }
	blob := func(t *testing.T, dir string, i int) string {
		var index v1.IndexManifest
		b, err := os.ReadFile(filepath.Join(dir, "index.json"))
		require.NoError(t, err)
		require.NoError(t, json.Unmarshal(b, &index))
		p := filepath.Join(dir, "blobs/sha256", index.Manifests[0].Digest.Hex)
		if i == 0 {
			return p
		}
		var m v1.Manifest
		b, err = os.ReadFile(p)
		require.NoError(t, err)
		require.NoError(t, json.Unmarshal(b, &m))
		return filepath.Join(dir, "blobs/sha256", m.Layers[0].Digest.Hex)
	}
	outside := filepath.Join(t.TempDir(), "outside")
	require.NoError(t, os.Mkdir(outside, 0o755))
	for name, c := range map[string]struct {
		image func(*testing.T) string
		want  error
	}{
		"decompression bomb": {func(t *testing.T) string {
			return drivertest.LayoutOf(t, nil, file("zeros", make([]byte, 32<<20)))
		}, driver.ErrImageTooLarge},
		"too many files": {func(t *testing.T) string { return drivertest.LayoutOf(t, nil, many...) }, driver.ErrImageTooLarge},
		"output folder is a link": {func(t *testing.T) string {
			return drivertest.LayoutOf(t, nil, file("guest", nil), link("out", outside))
		}, driver.ErrInvalidImage},
		"input folder is a link": {func(t *testing.T) string {
			return drivertest.LayoutOf(t, nil, file("guest", nil), link("in", "../../.."+outside))
		}, driver.ErrInvalidImage},
		"no blobs": {func(t *testing.T) string {
			dir := good(t)
			require.NoError(t, os.RemoveAll(filepath.Join(dir, "blobs")))
			return dir
		}, driver.ErrInvalidImage},
		"manifest changed": {func(t *testing.T) string {
			dir := good(t)
			flip(t, blob(t, dir, 0))
			return dir
		}, driver.ErrInvalidImage},
		"layer changed": {func(t *testing.T) string {
			dir := good(t)
			flip(t, blob(t, dir, 1))
			return dir
		}, driver.ErrInvalidImage},
		"blob is a link out": {func(t *testing.T) string {
			dir := good(t)
			p := blob(t, dir, 1)
			moved := filepath.Join(t.TempDir(), "moved")
			require.NoError(t, os.Rename(p, moved))
			require.NoError(t, os.Symlink(moved, p))
			return dir
		}, driver.ErrInvalidImage},
		"index is not JSON": {func(t *testing.T) string {
			dir := good(t)
			require.NoError(t, os.WriteFile(filepath.Join(dir, "index.json"), []byte("{"), 0o600))
			return dir
		}, driver.ErrInvalidImage},
		"index is huge": {func(t *testing.T) string {
			dir := good(t)
			require.NoError(t, os.Truncate(filepath.Join(dir, "index.json"), 1<<40))
			return dir
		}, driver.ErrInvalidImage},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := d.Prepare(context.Background(), c.image(t))
			require.ErrorIs(t, err, c.want)
			require.ErrorIs(t, err, driver.ErrInvalidImage)
		})
	}
	left, err := os.ReadDir(outside)
	require.NoError(t, err)
	require.Empty(t, left)
}

// TestImagesAreEvicted: the oldest unused image goes, and can be prepared again.
func TestImagesAreEvicted(t *testing.T) {
	h := newHost(t)
	d := h.open(t, func(c *containerd.Config) { c.MaxImages = 2 })
	ctx := context.Background()
	var layouts []string
	for _, content := range []string{"a", "b", "c"} {
		layouts = append(layouts, drivertest.LayoutOf(t, nil, drivertest.Entry{
			Header: tar.Header{Name: "guest", Mode: 0o755}, Content: []byte(content),
		}))
	}
	for _, l := range layouts {
		info, err := d.Prepare(ctx, l)
		require.NoError(t, err)
		require.False(t, info.Cached)
	}
	for i, cached := range []bool{true, true, false} {
		info, err := d.Prepare(ctx, layouts[2-i])
		require.NoError(t, err)
		require.Equal(t, cached, info.Cached, "image %d", 2-i)
	}
	// Another process finds what is unpacked.
	require.NoError(t, d.Close())
	info, err := h.open(t).Prepare(ctx, layouts[0])
	require.NoError(t, err)
	require.True(t, info.Cached)
	require.Positive(t, info.UnpackedBytes)
}

// flip changes one byte in the middle of a file.
func flip(t *testing.T, path string) {
	t.Helper()
	b, err := os.ReadFile(path)
	require.NoError(t, err)
	b[len(b)/2] ^= 1
	require.NoError(t, os.WriteFile(path, b, 0o600))
}

// TestErase: nothing is left of a driver that only tried something, not even its namespace.
func TestErase(t *testing.T) {
	h := newHost(t)
	d := h.open(t)
	ctx := context.Background()
	r, err := d.Start(ctx, driver.Spec{ID: "tried", Image: drivertest.OCILayout(t), Args: []string{"nothing"}, Limits: driver.DefaultLimits()})
	require.NoError(t, err)
	_, err = r.Wait(ctx)
	require.NoError(t, err)
	require.NoError(t, d.Close())

	d = h.open(t) // an earlier process's image goes as well
	require.NoError(t, d.Erase(ctx))
	_, err = d.Prepare(ctx, drivertest.OCILayout(t))
	require.ErrorIs(t, err, driver.ErrClosed)
	require.NoError(t, d.Close())
	h.clean(t, "tried")
	c, err := client.New(h.daemon.Address())
	require.NoError(t, err)
	defer c.Close()
	list, err := c.NamespaceService().List(ctx)
	require.NoError(t, err)
	require.NotContains(t, list, "nexara-test")
	require.NoError(t, h.open(t).Erase(ctx), "of a namespace that is not there")
}
