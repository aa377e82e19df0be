// Command ocilayout turns a root file system in a tar file into an OCI image
// layout with one layer. Equal input gives equal digests: it adds no time, host
// name or tool version of its own.
//
// It is called by scripts/build-image.sh. It never pulls or pushes an image.
package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// list is a flag that may be given several times.
type list []string

func (l *list) String() string     { return strings.Join(*l, " ") }
func (l *list) Set(s string) error { *l = append(*l, s); return nil }

type options struct {
	tar, out, arch, user, workdir, cmd string
	epoch                              int64
	env, labels                        list
}

func main() {
	var o options
	flag.StringVar(&o.tar, "tar", "", "root file system, an uncompressed tar file")
	flag.StringVar(&o.out, "out", "", "folder to create; it is replaced whole")
	flag.StringVar(&o.arch, "arch", "amd64", "Go name of the architecture")
	flag.StringVar(&o.user, "user", "65534:65534", "numeric user and group")
	flag.StringVar(&o.workdir, "workdir", "/", "working directory")
	flag.StringVar(&o.cmd, "cmd", "", "default command, split at spaces")
	flag.Int64Var(&o.epoch, "epoch", 0, "creation time in Unix seconds")
	flag.Var(&o.env, "env", "NAME=value, may be repeated")
	flag.Var(&o.labels, "label", "name=value, may be repeated")
	flag.Parse()
	if err := run(o, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "ocilayout:", err)
		os.Exit(1)
	}
}

func run(o options, stdout io.Writer) (err error) {
	if o.tar == "" || o.out == "" {
		return errors.New("-tar and -out are required")
	}
	layer, err := tarball.LayerFromFile(o.tar, tarball.WithMediaType(types.OCILayer))
	if err != nil {
		return fmt.Errorf("read layer: %w", err)
	}
	img := mutate.ConfigMediaType(mutate.MediaType(empty.Image, types.OCIManifestSchema1), types.OCIConfigJSON)
	img, err = mutate.ConfigFile(img, config(o))
	if err != nil {
		return fmt.Errorf("make config: %w", err)
	}
	// The history has no "created by": it would differ with the tool's version.
	img, err = mutate.Append(img, mutate.Addendum{Layer: layer, History: v1.History{Created: v1.Time{Time: time.Unix(o.epoch, 0).UTC()}}})
	if err != nil {
		return fmt.Errorf("append layer: %w", err)
	}

	// A layout appears whole or not at all.
	tmp, err := os.MkdirTemp(filepath.Dir(filepath.Clean(o.out)), ".ocilayout-*")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(tmp)) }()
	if err := os.Chmod(tmp, 0o755); err != nil {
		return err
	}
	path, err := layout.Write(tmp, empty.Index)
	if err != nil {
		return fmt.Errorf("write layout: %w", err)
	}
	platform := v1.Platform{OS: "linux", Architecture: o.arch}
	if err := path.AppendImage(img, layout.WithPlatform(platform)); err != nil {
		return fmt.Errorf("write layout: %w", err)
	}
	if err := os.RemoveAll(o.out); err != nil {
		return err
	}
	if err := os.Rename(tmp, o.out); err != nil {
		return err
	}
	digest, err := img.Digest()
	if err != nil {
		return err
	}
	size, err := layer.Size()
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(stdout, "%s compressed=%d\n", digest, size)
	return err
}

func config(o options) *v1.ConfigFile {
	c := &v1.ConfigFile{
		OS: "linux", Architecture: o.arch, Created: v1.Time{Time: time.Unix(o.epoch, 0).UTC()},
		RootFS: v1.RootFS{Type: "layers"},
		Config: v1.Config{User: o.user, WorkingDir: o.workdir, Env: o.env, Cmd: strings.Fields(o.cmd)},
	}
	for _, l := range o.labels {
		name, value, _ := strings.Cut(l, "=")
		if c.Config.Labels == nil {
			c.Config.Labels = map[string]string{}
		}
		c.Config.Labels[name] = value
	}
	return c
}
