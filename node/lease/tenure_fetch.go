package lease

import (
	"context"
	"errors"
	"fmt"

	"github.com/nexara/nexara/node/blob"
	"github.com/nexara/nexara/node/driver"
	"github.com/nexara/nexara/node/jobspec"
	"github.com/nexara/nexara/node/store"
	tasksv1 "github.com/nexara/nexara/proto/gen/nexara/tasks/v1"
)

// fetch brings document, image and inputs to this disk, trying again until the
// window of acknowledgement is almost over.
func (t *tenure) fetch() (Event, error) {
	ctx, cancel := context.WithCancelCause(t.work)
	defer cancel(nil)
	t.mu.Lock()
	t.window = cancel
	if t.assignment != nil && t.windowOver(t.height) && !t.trusted {
		cancel(errWindow)
	}
	t.mu.Unlock()
	defer func() {
		t.mu.Lock()
		t.window = nil
		t.mu.Unlock()
	}()

	pause := t.r.pauses()
	var last error
	for {
		err := t.fetchOnce(ctx)
		switch {
		case err == nil:
			return Fetched, nil
		case t.work.Err() != nil:
			return 0, t.work.Err()
		case blame(err):
			t.setDecline(tasksv1.DeclineReason_DECLINE_REASON_INPUT_UNAVAILABLE, err)
			return Unfetchable, nil
		case errors.Is(err, driver.ErrUnsupported):
			t.setDecline(tasksv1.DeclineReason_DECLINE_REASON_UNSUPPORTED, err)
			return Broken, nil
		}
		if !errors.Is(err, errWindow) && ctx.Err() == nil {
			last = err
			t.log.Info("fetch failed, trying again", "err", err)
			if pause(ctx) == nil {
				continue
			}
			if t.work.Err() != nil {
				return 0, t.work.Err()
			}
		}
		// The window is almost over.
		if last == nil || elsewhere(last) {
			t.setDecline(tasksv1.DeclineReason_DECLINE_REASON_INPUT_UNAVAILABLE, errors.Join(errWindow, last))
			return Unfetchable, nil
		}
		t.setDecline(tasksv1.DeclineReason_DECLINE_REASON_NO_CAPACITY, errors.Join(errWindow, last))
		return Broken, nil
	}
}

// job waits for the chain's record of the job; after a restart it may not be there yet.
func (t *tenure) job(ctx context.Context) (*tasksv1.Job, error) {
	for {
		t.mu.Lock()
		a, ch := t.assignment, t.changed
		t.mu.Unlock()
		if a != nil {
			return a.GetJob(), nil
		}
		if err := t.wait(ctx, ch); err != nil {
			return nil, err
		}
	}
}

func (t *tenure) fetchOnce(ctx context.Context) error {
	budget := int64(1 << 50) // what was checked before a restart is not counted again
	var job *tasksv1.Job
	if !t.trusted {
		var err error
		if job, err = t.job(ctx); err != nil {
			return err
		}
		budget = fetchLimit(job.GetFetchBytes())
	}
	ctx, cancel := context.WithTimeout(ctx, t.r.cfg.FetchTimeout)
	defer cancel()
	err := t.fetchAll(ctx, job, budget)
	if err != nil && errors.Is(context.Cause(ctx), errWindow) {
		return errors.Join(errWindow, err)
	}
	return err
}

func (t *tenure) fetchAll(ctx context.Context, job *tasksv1.Job, budget int64) error {
	doc, err := t.document(ctx, job)
	if err != nil {
		return err
	}
	t.doc = doc
	if t.driver = t.r.deps.Drivers[string(doc.Runtime)]; t.driver == nil {
		return fmt.Errorf("%w: no driver for %s", driver.ErrUnsupported, doc.Runtime)
	}
	caps, err := t.r.capabilities(ctx, t.driver)
	if err != nil {
		return err
	}
	t.recovers, t.heavy = caps.Recovers, caps.RunMemoryMiB > 0 || caps.LogInMemory
	take := func(text string) (string, int64, error) {
		id, err := blob.Parse(text)
		if err != nil {
			return "", 0, err
		}
		path, size, release, err := t.r.cache.get(ctx, id, budget)
		if err != nil {
			return "", 0, fmt.Errorf("%s: %w", text, err)
		}
		t.releases = append(t.releases, release)
		budget -= size
		t.r.metrics.fetched.Add(float64(size))
		return path, size, nil
	}
	held := len(t.releases)
	undo := func(err error) error {
		for _, release := range t.releases[held:] {
			release()
		}
		t.releases = t.releases[:held]
		return err
	}
	path, _, err := take(doc.Image)
	if err != nil {
		return undo(fmt.Errorf("image %w", err))
	}
	t.image, t.inputs, t.inBytes = path, nil, 0
	for _, in := range doc.Inputs {
		path, size, err := take(in.CID)
		if err != nil {
			return undo(fmt.Errorf("input %w", err))
		}
		t.inputs = append(t.inputs, driver.Input{HostPath: path, GuestPath: in.Mount})
		t.inBytes += size
	}
	if t.fetched != nil { // the shards of a lease agree, whichever process packed them
		t.inBytes = t.fetched.Bytes
	}
	// Everything is here before the costly part begins: what cannot be fetched is known soon.
	info, err := t.driver.Prepare(ctx, path)
	if err != nil {
		return undo(fmt.Errorf("image %s: %w", doc.Image, err))
	}
	t.digest = info.Digest
	spec, err := t.spec(0)
	if err == nil {
		err = spec.Validate()
	}
	if err != nil {
		return undo(err)
	}
	if !t.trusted {
		err := t.append(ctx, true, store.ImageFetched{Digest: info.Digest}, store.InputsFetched{Bytes: t.inBytes})
		if err != nil {
			return undo(err)
		}
		t.trusted = true
	}
	t.log.Info("data on disk", "runtime", doc.Runtime, "image", info.Digest, "input_bytes", t.inBytes)
	return nil
}

// document reads the job document and checks it against the job, unless that was done before.
func (t *tenure) document(ctx context.Context, job *tasksv1.Job) (*jobspec.Document, error) {
	id, err := blob.Parse(t.seen.SpecCID)
	if err != nil {
		return nil, fmt.Errorf("job document: %w", err)
	}
	defer t.r.deps.Store.Hold()()
	if _, err := t.r.deps.Fetcher.Fetch(ctx, id, blob.Limits{MaxBytes: jobspec.MaxDocumentBytes + fetchSlack}); err != nil {
		return nil, fmt.Errorf("job document: %w", err)
	}
	raw, err := blob.ReadAll(ctx, t.r.deps.Store, id, jobspec.MaxDocumentBytes)
	if err != nil {
		return nil, fmt.Errorf("job document: %w", err)
	}
	doc, err := jobspec.DecodeDocument(raw)
	if err != nil {
		return nil, fmt.Errorf("job document: %w", err)
	}
	if t.seen.First+t.seen.Count > doc.Shards {
		return nil, fmt.Errorf("%w: the document has %d shards, the lease ends at %d", ErrInput, doc.Shards, t.seen.First+t.seen.Count)
	}
	if job != nil {
		err = checkDocument(doc, job)
	}
	return doc, err
}

// spec of the lease's i-th shard.
func (t *tenure) spec(i int) (driver.Spec, error) {
	env, err := t.doc.ShardEnv(t.seen.First + int64(i))
	if err != nil {
		return driver.Spec{}, err
	}
	return driver.Spec{
		ID: t.runID(i), Image: t.image, Args: t.doc.Args, Env: env, Limits: t.r.limits(t.doc),
		Network: t.doc.Network, Inputs: t.inputs,
	}, nil
}

// runID names the run of a shard. It follows from the lease alone, so a restarted
// daemon finds every run without having noted it.
func (t *tenure) runID(i int) string { return RunID(t.id, i) }

// RunID names the run of the i-th shard of a lease.
func RunID(lease uint64, i int) string { return fmt.Sprintf("l%d-s%d", lease, i) }
