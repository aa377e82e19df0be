package main

import (
	"archive/tar"
	"bytes"
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/validate"
	"github.com/stretchr/testify/require"
)

func rootTar(t *testing.T) string {
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	require.NoError(t, w.WriteHeader(&tar.Header{Name: "etc/", Typeflag: tar.TypeDir, Mode: 0o755}))
	require.NoError(t, w.WriteHeader(&tar.Header{Name: "etc/hello", Typeflag: tar.TypeReg, Mode: 0o644, Size: 2}))
	_, err := w.Write([]byte("hi"))
	require.NoError(t, err)
	require.NoError(t, w.Close())
	path := filepath.Join(t.TempDir(), "root.tar")
	require.NoError(t, os.WriteFile(path, b.Bytes(), 0o644))
	return path
}

func TestLayoutIsValidAndReproducible(t *testing.T) {
	root := rootTar(t)
	dir := t.TempDir()
	var digests []string
	for _, name := range []string{"a", "b", "a"} {
		var out bytes.Buffer
		o := options{
			tar: root, out: filepath.Join(dir, name), arch: "arm64", user: "65534:65534", workdir: "/", cmd: "python3 -V",
			epoch: 1_700_000_000, env: list{"PATH=/usr/bin"}, labels: list{"a=b=c"},
		}
		require.NoError(t, run(o, &out))
		digests = append(digests, out.String())
		index, err := layout.ImageIndexFromPath(o.out)
		require.NoError(t, err)
		require.NoError(t, validate.Index(index))
		manifest, err := index.IndexManifest()
		require.NoError(t, err)
		require.Len(t, manifest.Manifests, 1)
		require.Equal(t, "arm64", manifest.Manifests[0].Platform.Architecture)
		img, err := index.Image(manifest.Manifests[0].Digest)
		require.NoError(t, err)
		c, err := img.ConfigFile()
		require.NoError(t, err)
		require.Equal(t, "65534:65534", c.Config.User)
		require.Equal(t, []string{"python3", "-V"}, c.Config.Cmd)
		require.Equal(t, "b=c", c.Config.Labels["a"])
		require.Len(t, c.RootFS.DiffIDs, 1)
	}
	require.Equal(t, digests[0], digests[1])
	require.Equal(t, digests[0], digests[2])
	left, err := filepath.Glob(filepath.Join(dir, ".ocilayout-*"))
	require.NoError(t, err)
	require.Empty(t, left)
}

func TestWhatIsMissing(t *testing.T) {
	require.Error(t, run(options{}, io.Discard))
	dir := t.TempDir()
	require.Error(t, run(options{tar: filepath.Join(dir, "none"), out: filepath.Join(dir, "out")}, io.Discard))
	require.NoDirExists(t, filepath.Join(dir, "out"))
}
