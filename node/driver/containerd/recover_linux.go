package containerd

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"time"

	"github.com/containerd/containerd/api/services/tasks/v1"
	tasktypes "github.com/containerd/containerd/api/types/task"
	"github.com/containerd/errdefs"
	"github.com/containerd/errdefs/pkg/errgrpc"

	"github.com/nexara/nexara/node/driver"
)

// record is run.json: what Recover needs. Our own file, but read with a limit.
type record struct {
	Version int         `json:"version"`
	Spec    driver.Spec `json:"spec"`
	Image   string      `json:"image"`
	Started time.Time   `json:"started"`
}

const (
	recordVersion = 1
	maxRecord     = 2 << 20
)

func (r *run) save() error {
	return writeJSON(r.at("run.json"), record{recordVersion, r.spec, r.image, r.started})
}

func (r *run) saveOutcome(o driver.Outcome) error { return writeJSON(r.at("outcome.json"), o) }

// writeJSON replaces a file in one step, so that a reader sees all or nothing. It
// does not wait for the disk: after a power cut the run itself is gone too.
func writeJSON(path string, v any) error {
	b, err := json.Marshal(v)
	if err == nil {
		if err = os.WriteFile(path+".new", b, 0o600); err == nil {
			err = os.Rename(path+".new", path)
		}
	}
	if err != nil {
		return hostFault(err)
	}
	return nil
}

func readJSON(path string, v any) error {
	st, err := os.Stat(path)
	if err != nil {
		return err
	}
	if st.Size() > maxRecord {
		return fmt.Errorf("%s: %d bytes", path, st.Size())
	}
	b, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	return json.Unmarshal(b, v)
}

// reattach rebuilds a run from its record, its outcome and the runtime. Anything
// that does not add up to a program that was started is ErrNotFound.
func (d *Driver) reattach(ctx context.Context, id string) (*run, error) {
	gone := func(why string) error { return fmt.Errorf("%w: %s: %s", driver.ErrNotFound, id, why) }
	r := newRun(d, driver.Spec{ID: id}, nil)
	var rec record
	if err := readJSON(r.at("run.json"), &rec); errors.Is(err, fs.ErrNotExist) {
		return nil, gone("no record")
	} else if err != nil || rec.Version != recordVersion || rec.Spec.ID != id || rec.Spec.Validate() != nil {
		return nil, gone("unreadable record")
	}
	r.spec, r.image, r.started = rec.Spec, rec.Image, rec.Started
	if ok, err := r.mounted(); err != nil || !ok {
		return nil, errors.Join(gone("its mounts are gone"), err)
	}
	d.hold(r.image)
	var o driver.Outcome
	if err := readJSON(r.at("outcome.json"), &o); err == nil {
		r.finish(o, nil)
		return r, nil
	}
	ctx, cancel := d.call(ctx)
	defer cancel()
	t, err := d.client.TaskService().Get(ctx, &tasks.GetRequest{ContainerID: id})
	switch err = errgrpc.ToNative(err); {
	case errdefs.IsNotFound(err):
		d.release(r.image)
		return nil, gone("no program")
	case err != nil:
		d.release(r.image)
		return nil, runtimeFault("recover", err)
	case t.Process.Status == tasktypes.Status_CREATED:
		d.release(r.image)
		return nil, gone("never started")
	}
	// What happened before is not known in detail: memory counts from the start
	// with what is seen first.
	r.gauge.begin(r.started)
	return r, nil
}

// mounted is whether log and disk are still there; a reboot takes them.
func (r *run) mounted() (bool, error) {
	list, err := mountsBelow(r.dir)
	if err != nil {
		return false, err
	}
	want := map[string]bool{r.at(logDir): true}
	if r.spec.Limits.DiskMiB > 0 {
		want[r.at(spaceDir)] = true
	}
	for _, p := range list {
		delete(want, p)
	}
	return len(want) == 0, nil
}
