package containerd

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/containerd/containerd/v2/core/mount"
	"github.com/containerd/continuity/fs"
	"github.com/containerd/errdefs"

	"github.com/nexara/nexara/node/driver"
)

// Exit codes of a program that could not be executed, as shells have them.
const (
	notFoundCode      = 127
	notExecutableCode = 126
)

// blame looks for the requester's mistake after the runtime refused to create a
// container: a program or a work folder that the image does not have. The runtime
// reports those like its own failures, and its words are not to be matched.
// Code 0 means that nothing is wrong with the job.
func (r *run) blame(ctx context.Context) (why string, code int) {
	args, err := command(r.spec, r.config)
	if err != nil {
		return "", 0
	}
	var mounts []mount.Mount
	for _, m := range r.rootfs {
		mounts = append(mounts, mount.Mount{Type: m.Type, Source: m.Source, Target: m.Target, Options: m.Options})
	}
	err = mount.WithReadonlyTempMount(ctx, mounts, func(root string) error {
		why, code = inspect(root, args[0], workDir(r.spec, r.config), environment(r.spec, r.config))
		return nil
	})
	if err != nil {
		return "", 0
	}
	return why, code
}

// inspect resolves paths as the container would, links included, within root.
func inspect(root, program, dir string, env []string) (string, int) {
	if !within(dir, driver.InputRoot, driver.OutputRoot, driver.ScratchRoot, "/proc", "/sys", "/dev") {
		if st, err := stat(root, dir); err != nil || !st.IsDir() {
			return fmt.Sprintf("work folder %s: not in the image", dir), notExecutableCode
		}
	}
	var candidates []string
	if strings.Contains(program, "/") {
		if !filepath.IsAbs(program) {
			program = filepath.Join(dir, program)
		}
		if within(program, driver.InputRoot) {
			return "", 0 // an input: it cannot be seen from here
		}
		candidates = []string{program}
	} else {
		for _, e := range env {
			if list, ok := strings.CutPrefix(e, "PATH="); ok {
				for _, p := range filepath.SplitList(list) {
					candidates = append(candidates, filepath.Join("/", p, program))
				}
			}
		}
	}
	found := false
	for _, c := range candidates {
		st, err := stat(root, c)
		if err != nil {
			continue
		}
		if found = true; st.Mode().IsRegular() && st.Mode()&0o111 != 0 {
			return "", 0
		}
	}
	if found {
		return program + ": cannot be executed", notExecutableCode
	}
	return program + ": not found", notFoundCode
}

func within(p string, dirs ...string) bool {
	for _, d := range dirs {
		if p == d || strings.HasPrefix(p, d+"/") {
			return true
		}
	}
	return false
}

func stat(root, p string) (os.FileInfo, error) {
	real, err := fs.RootPath(root, p)
	if err != nil {
		return nil, err
	}
	return os.Lstat(real)
}

// stillborn ends a run whose program could not be executed: an outcome like any
// other, with the reason in the log.
func (r *run) stillborn(ctx context.Context, why string, code int) error {
	if err := r.driver.client.ContainerService().Delete(ctx, r.spec.ID); err != nil && !errdefs.IsNotFound(err) {
		return runtimeFault("delete", err)
	}
	if err := os.WriteFile(r.LogPath(), []byte("nexara: "+why+"\n"), 0o600); err != nil {
		return hostFault(err)
	}
	r.started = time.Now()
	o := driver.Outcome{Reason: driver.Exited, ExitCode: code, Started: r.started, Finished: r.started}
	if err := r.save(); err != nil {
		return err
	}
	if err := r.saveOutcome(o); err != nil {
		return err
	}
	r.finish(o, nil)
	return nil
}
