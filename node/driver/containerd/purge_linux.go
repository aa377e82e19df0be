package containerd

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/containerd/containerd/api/services/tasks/v1"
	tasktypes "github.com/containerd/containerd/api/types/task"
	"github.com/containerd/errdefs"
	"github.com/containerd/errdefs/pkg/errgrpc"
	"golang.org/x/sys/unix"

	"github.com/nexara/nexara/node/driver"
)

// purge removes the container, its cgroup, mounts and files, whatever of them is
// there. It is the one way by which traces go.
func (d *Driver) purge(ctx context.Context, id string) error {
	ctx, cancel := d.call(ctx)
	defer cancel()
	dir := filepath.Join(d.cfg.Dir, "runs", id)
	if err := d.purgeTask(ctx, id); err != nil {
		return err
	}
	if err := d.client.ContainerService().Delete(ctx, id); err != nil && !errdefs.IsNotFound(err) {
		return runtimeFault("delete", err)
	}
	_ = os.Remove(shimSocket(d.cfg.Address, d.cfg.Namespace, id)) // a shim that was killed leaves it
	group := d.cgroups.path(d.cfg.Namespace, id)
	err := d.cgroups.clear(group)
	for err != nil && ctx.Err() == nil {
		time.Sleep(5 * time.Millisecond) // killed processes leave a group one by one
		err = d.cgroups.clear(group)
	}
	err = errors.Join(err, unmountBelow(dir))
	if err == nil {
		err = os.RemoveAll(dir)
	}
	if err != nil {
		return fmt.Errorf("%w: remove %s: %w", driver.ErrFault, id, err)
	}
	return nil
}

// shimSocket is where a shim listens: containerd derives it from address,
// namespace and ID alone.
func shimSocket(address, namespace, id string) string {
	return fmt.Sprintf("/run/containerd/s/%x", sha256.Sum256([]byte(filepath.Join(address, namespace, id))))
}

// purgeTask kills and deletes the program of a container. A runtime that does not
// answer may be coming back, so it is asked until ctx ends.
func (d *Driver) purgeTask(ctx context.Context, id string) error {
	task := d.client.TaskService()
	for {
		got, err := task.Get(ctx, &tasks.GetRequest{ContainerID: id})
		if err == nil {
			if s := got.Process.Status; s != tasktypes.Status_STOPPED && s != tasktypes.Status_CREATED {
				_, _ = task.Kill(ctx, &tasks.KillRequest{ContainerID: id, Signal: uint32(unix.SIGKILL), All: true})
				_, _ = task.Wait(ctx, &tasks.WaitRequest{ContainerID: id})
			}
			_, err = task.Delete(ctx, &tasks.DeleteTaskRequest{ContainerID: id})
		}
		if err = errgrpc.ToNative(err); err == nil || errdefs.IsNotFound(err) {
			return nil
		}
		select {
		case <-ctx.Done():
			return runtimeFault("delete", err)
		case <-time.After(20 * time.Millisecond):
		}
	}
}
