package containerd

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/containerd/containerd/api/services/tasks/v1"
	runcoptions "github.com/containerd/containerd/api/types/runc/options"
	"github.com/containerd/containerd/v2/core/containers"
	"github.com/containerd/errdefs"
	"github.com/containerd/errdefs/pkg/errgrpc"
	"github.com/containerd/typeurl/v2"

	"github.com/nexara/nexara/node/driver"
)

// launch makes and starts the container. The caller purges after a failure.
func (r *run) launch(ctx context.Context) error {
	ctx, cancel := r.driver.call(ctx)
	defer cancel()
	m, err := r.makeSpace(ctx)
	if err != nil {
		return err
	}
	spec, err := r.driver.runtimeSpec(ctx, r.spec, r.config, m)
	if err != nil {
		return err
	}
	specAny, err := typeurl.MarshalAny(spec)
	if err != nil {
		return fmt.Errorf("%w: %w", driver.ErrFault, err)
	}
	options, err := typeurl.MarshalAny(&runcoptions.Options{
		BinaryName: r.driver.oci, Root: filepath.Join(r.driver.cfg.Dir, r.driver.oci),
	})
	if err != nil {
		return fmt.Errorf("%w: %w", driver.ErrFault, err)
	}
	_, err = r.driver.client.ContainerService().Create(ctx, containers.Container{
		ID: r.spec.ID, Labels: map[string]string{labelRun: r.spec.ID, labelImage: r.image}, Spec: specAny,
		Runtime: containers.RuntimeInfo{Name: runtimeName, Options: options},
	})
	if errdefs.IsAlreadyExists(err) {
		return fmt.Errorf("%w: %s", driver.ErrExists, r.spec.ID)
	}
	if err != nil {
		return runtimeFault("create", err)
	}
	log := "file://" + r.LogPath()
	task := r.driver.client.TaskService()
	if _, err := task.Create(ctx, &tasks.CreateTaskRequest{
		ContainerID: r.spec.ID, Rootfs: r.rootfs, Stdout: log, Stderr: log,
	}); err != nil {
		if why, code := r.blame(ctx); code != 0 {
			return r.stillborn(ctx, why, code)
		}
		return runtimeFault("create", errgrpc.ToNative(err))
	}
	// Nothing of the image has run yet: from its first instruction on the cap holds.
	if err := r.driver.cgroups.throttle(r.group, r.spec.Limits.CPUMilli); err != nil {
		return hostFault(err)
	}
	r.started = time.Now()
	if err := r.save(); err != nil {
		return err
	}
	if _, err := task.Start(ctx, &tasks.StartRequest{ContainerID: r.spec.ID}); err != nil {
		return runtimeFault("start", errgrpc.ToNative(err))
	}
	r.gauge.begin(r.started)
	return nil
}

// vacate clears what a dead process left under this ID, and refuses when the
// program of that ID is still there: Recover is the way to it.
func (r *run) vacate(ctx context.Context) error {
	ctx, cancel := r.driver.call(ctx)
	defer cancel()
	_, err := r.driver.client.TaskService().Get(ctx, &tasks.GetRequest{ContainerID: r.spec.ID})
	if err == nil {
		return fmt.Errorf("%w: %s, of an earlier process", driver.ErrExists, r.spec.ID)
	}
	if err = errgrpc.ToNative(err); !errdefs.IsNotFound(err) {
		return runtimeFault("look up", err)
	}
	if _, err := os.Lstat(r.dir); err == nil {
		return r.driver.purge(ctx, r.spec.ID)
	}
	return nil
}
