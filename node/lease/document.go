package lease

import (
	"context"
	"errors"
	"fmt"

	"github.com/nexara/nexara/node/blob"
	"github.com/nexara/nexara/node/driver"
	"github.com/nexara/nexara/node/jobspec"
	tasksv1 "github.com/nexara/nexara/proto/gen/nexara/tasks/v1"
)

// fetchSlack is granted on top of the declared bytes: the document itself and the
// inner nodes of the DAGs.
const fetchSlack = 1 << 20

// fetchLimit is how many bytes of blocks a job may make this machine fetch.
func fetchLimit(declared int64) int64 {
	declared = max(declared, 0)
	return declared + declared/16 + fetchSlack
}

// documentRules say that the document asks for exactly what the chain has sold. A
// document that asks for anything else is not the job's: ErrInput.
var documentRules = []struct {
	name  string
	holds func(d *jobspec.Document, j *tasksv1.Job) bool
}{
	{"runtime", func(d *jobspec.Document, j *tasksv1.Job) bool { return string(d.Runtime) == j.GetShape().GetRuntime() }},
	{"image", func(d *jobspec.Document, j *tasksv1.Job) bool { return d.Image == j.GetImageCid() }},
	{"shards", func(d *jobspec.Document, j *tasksv1.Job) bool { return d.Shards == j.GetShards() }},
	{"resources", func(d *jobspec.Document, j *tasksv1.Job) bool {
		n := j.GetShape().GetNeed()
		return d.Resources.CPUMilli == n.GetCpuMilli() && d.Resources.MemoryMiB == n.GetMemoryMib() &&
			d.Resources.DiskMiB == n.GetDiskMib() && d.Resources.GPUs == n.GetGpus()
	}},
	{"run_seconds", func(d *jobspec.Document, j *tasksv1.Job) bool { return d.RunSeconds == j.GetShape().GetRunSeconds() }},
	{"network", func(d *jobspec.Document, j *tasksv1.Job) bool { return d.Network == j.GetShape().GetNetwork() }},
}

func checkDocument(d *jobspec.Document, j *tasksv1.Job) error {
	for _, rule := range documentRules {
		if !rule.holds(d, j) {
			return fmt.Errorf("%w: the job document differs from the job in %s", ErrInput, rule.name)
		}
	}
	return nil
}

// limits of one shard's run.
func (r *Reconciler) limits(d *jobspec.Document) driver.Limits {
	const mib = 1 << 20
	return driver.Limits{
		CPUMilli: d.Resources.CPUMilli, MemoryMiB: d.Resources.MemoryMiB, DiskMiB: d.Resources.DiskMiB,
		PIDs: r.cfg.PIDs, WallSeconds: d.RunSeconds, LogBytes: r.cfg.LogBytes,
		OutputBytes: max(d.Resources.DiskMiB, 1) * mib, OutputFiles: r.cfg.OutputFiles,
	}
}

// blame sorts an error of fetching: true when no retry on this machine can help
// because the data is not what the job declares.
func blame(err error) (requester bool) {
	for _, class := range []error{
		ErrInput, jobspec.ErrDocument, blob.ErrTooLarge, blob.ErrInvalid, blob.ErrUnsupported,
		driver.ErrInvalidImage, driver.ErrInvalidSpec,
	} {
		if errors.Is(err, class) {
			return true
		}
	}
	return false
}

// elsewhere is whether an error says that the data could not be brought here,
// rather than that this machine could not take it.
func elsewhere(err error) bool {
	for _, class := range []error{blob.ErrNotFound, blob.ErrUnavailable, blob.ErrTimeout, blob.ErrCorrupt, context.DeadlineExceeded} {
		if errors.Is(err, class) {
			return true
		}
	}
	return false
}
