package drivertest

import (
	"archive/tar"
	"bytes"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/stretchr/testify/require"
)

// WASM compiles the guest for wasip1 and gives the module's path.
func WASM(t testing.TB) string {
	t.Helper()
	return compile(t, "guest.wasm", "GOOS=wasip1", "GOARCH=wasm")
}

// Binary compiles the guest as a static Linux program and gives its path.
func Binary(t testing.TB) string {
	t.Helper()
	return compile(t, "guest", "GOOS=linux", "GOARCH="+runtime.GOARCH)
}

// compile relies on the build cache of the go command for speed.
func compile(t testing.TB, name string, env ...string) string {
	t.Helper()
	_, self, _, ok := runtime.Caller(0)
	require.True(t, ok)
	out := filepath.Join(t.TempDir(), name)
	cmd := exec.Command("go", "build", "-trimpath", "-ldflags", "-s -w", "-o", out, ".")
	cmd.Dir = filepath.Join(filepath.Dir(self), "testdata", "guest")
	cmd.Env = append(append(os.Environ(), "CGO_ENABLED=0"), env...)
	text, err := cmd.CombinedOutput()
	require.NoError(t, err, "%s", text)
	return out
}

// OCILayout builds an image of the guest, entry point included, and gives the
// folder of its OCI layout.
func OCILayout(t testing.TB) string {
	t.Helper()
	return Layout(t, Binary(t), func(c *v1.Config) { c.Entrypoint = []string{"/guest"} })
}

// Layout builds a one-layer image with the program at /guest.
func Layout(t testing.TB, program string, configure func(*v1.Config)) string {
	t.Helper()
	content, err := os.ReadFile(program)
	require.NoError(t, err)
	return LayoutOf(t, configure, Entry{Header: tar.Header{Name: "guest", Mode: 0o755}, Content: content})
}

// Entry is a member of a layer.
type Entry struct {
	Header  tar.Header
	Content []byte
}

// LayoutOf builds a one-layer image of the entries.
func LayoutOf(t testing.TB, configure func(*v1.Config), entries ...Entry) string {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, e := range entries {
		e.Header.Size = int64(len(e.Content))
		if e.Header.Typeflag == 0 {
			e.Header.Typeflag = tar.TypeReg
		}
		require.NoError(t, w.WriteHeader(&e.Header))
		_, err := w.Write(e.Content)
		require.NoError(t, err)
	}
	require.NoError(t, w.Close())
	layer, err := tarball.LayerFromOpener(func() (io.ReadCloser, error) {
		return io.NopCloser(bytes.NewReader(b.Bytes())), nil
	})
	require.NoError(t, err)
	img, err := mutate.AppendLayers(empty.Image, layer)
	require.NoError(t, err)
	cf, err := img.ConfigFile()
	require.NoError(t, err)
	cf = cf.DeepCopy()
	cf.OS, cf.Architecture = "linux", runtime.GOARCH
	if configure != nil {
		configure(&cf.Config)
	}
	img, err = mutate.ConfigFile(img, cf)
	require.NoError(t, err)
	dir := filepath.Join(t.TempDir(), "layout")
	p, err := layout.Write(dir, empty.Index)
	require.NoError(t, err)
	require.NoError(t, p.AppendImage(img))
	return dir
}
