package lease

import (
	"cmp"
	"context"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/nexara/nexara/node/driver"
	tasksv1 "github.com/nexara/nexara/proto/gen/nexara/tasks/v1"
)

// Reconciler carries out the leases of one NexCore.
type Reconciler struct {
	cfg     Config
	deps    Deps
	cache   *cache
	outbox  *outbox
	metrics *metrics
	starts  chan struct{}
	packs   chan struct{}
	runs    gate
	wake    chan struct{}
	woken   atomic.Pointer[time.Time] // when the block became known that nobody has looked at yet

	ctx context.Context // of Run

	mu      sync.Mutex
	tenures map[uint64]*tenure
	height  int64     // of the newest answer
	blockAt time.Time // its block time
	heard   time.Time // when it came
	expires int64     // the offer's expiry, from the same answer
	running bool
	caps    map[string]driver.Capabilities // by driver, once asked
}

// New checks the configuration and prepares the cache. Nothing runs before Run.
func New(cfg Config, deps Deps) (*Reconciler, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	if err := deps.validate(); err != nil {
		return nil, err
	}
	c, err := newCache(filepath.Join(cfg.Home, "cache"), cfg.CacheBytes, deps.Store, deps.Fetcher)
	if err != nil {
		return nil, err
	}
	r := &Reconciler{
		cfg: cfg, deps: deps, cache: c, tenures: map[uint64]*tenure{}, caps: map[string]driver.Capabilities{},
		starts: make(chan struct{}, cfg.StartsAtOnce), packs: make(chan struct{}, cfg.PacksAtOnce), wake: make(chan struct{}, 1),
	}
	if r.metrics, err = newMetrics(deps.Metrics, r); err != nil {
		return nil, err
	}
	r.outbox = newOutbox(r)
	return r, nil
}

// Wake says that a block is there, and when this machine learned of it. It never
// blocks; wakes that meet are one, as old as the oldest of them.
func (r *Reconciler) Wake(seen time.Time) {
	r.woken.CompareAndSwap(nil, &seen)
	select {
	case r.wake <- struct{}{}:
	default:
	}
}

// Run takes up the leases of the journal, sweeps what nobody knows, and reconciles
// until ctx ends. Runs that outlive the process are left alone then. It returns
// nil at the end of ctx, else why it could not start.
func (r *Reconciler) Run(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	r.mu.Lock()
	if r.running {
		r.mu.Unlock()
		return fmt.Errorf("%w: runs already", ErrConfig)
	}
	r.running, r.ctx, r.heard = true, ctx, time.Now()
	r.mu.Unlock()

	var group sync.WaitGroup
	defer group.Wait()
	defer cancel()
	if err := r.resume(ctx, &group); err != nil {
		return err
	}
	group.Go(func() { r.outbox.run(ctx) })
	poll := time.NewTimer(0)
	defer poll.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-r.wake:
		case <-poll.C:
		}
		r.reconcile(ctx, r.woken.Swap(nil), &group)
		poll.Reset(r.cfg.Poll)
	}
}

// resume sweeps the drivers and starts the tenures of the journal.
func (r *Reconciler) resume(ctx context.Context, group *sync.WaitGroup) error {
	open := r.deps.Journal.Leases()
	var keep []string
	for _, l := range open {
		for i := range int(l.Seen.Count) {
			if l.Shards[int64(i)].Packed == nil {
				keep = append(keep, RunID(l.ID, i))
			}
		}
	}
	for name, d := range r.deps.Drivers {
		s, ok := d.(driver.Sweeper)
		if !ok {
			continue
		}
		gone, err := s.Sweep(ctx, keep)
		if len(gone) > 0 {
			r.deps.Logger.Info("orphaned runs removed", "driver", name, "runs", len(gone))
		}
		if err != nil { // what cannot be removed now must not keep the leases from going on
			r.deps.Logger.Warn("sweep incomplete", "driver", name, "err", err)
		}
	}
	for _, l := range open {
		if l.Seen.NexCore != r.deps.Identity.NexCore {
			return fmt.Errorf("%w: the journal holds lease %d of NexCore %d, this is %d", ErrConfig, l.ID, l.Seen.NexCore, r.deps.Identity.NexCore)
		}
		r.deps.Logger.Info("lease resumed", "lease", l.ID, "job", l.Seen.Job, "shards", l.Seen.Count)
		r.launch(r.restore(l), group)
	}
	return nil
}

func (r *Reconciler) launch(t *tenure, group *sync.WaitGroup) {
	r.mu.Lock()
	r.tenures[t.id] = t
	r.mu.Unlock()
	group.Go(func() {
		t.run()
		r.mu.Lock()
		if r.tenures[t.id] == t {
			delete(r.tenures, t.id)
		}
		r.mu.Unlock()
	})
}

// reconcile reads the desired state once and moves the actual one towards it.
// woken is when the block behind it became known, nil when none did.
func (r *Reconciler) reconcile(ctx context.Context, woken *time.Time, group *sync.WaitGroup) {
	answer, err := r.deps.Chain.Assignments(ctx)
	if ctx.Err() != nil {
		return
	}
	if err != nil {
		r.lost(err)
		return
	}
	height, at := answer.GetHeight(), time.UnixMilli(answer.GetTimeUnixMs())
	r.mu.Lock()
	if height < r.height { // another node, which is behind
		r.mu.Unlock()
		return
	}
	fresh := height > r.height
	r.height, r.blockAt, r.heard, r.expires = height, at, time.Now(), answer.GetOfferExpiresHeight()
	known := make(map[uint64]*tenure, len(r.tenures))
	for id, t := range r.tenures {
		known[id] = t
	}
	r.mu.Unlock()

	states := make(map[uint64]tasksv1.LeaseState, len(answer.GetAssignments()))
	for _, a := range answer.GetAssignments() {
		id := a.GetLease().GetId()
		states[id] = a.GetLease().GetState()
		if t := known[id]; t != nil {
			t.listed(a, height)
			continue
		}
		if !r.acceptable(a) {
			continue
		}
		done, err := r.deps.Journal.Finished(id)
		if err != nil {
			r.deps.Logger.Error("journal unreadable", "err", err)
			continue
		}
		if done != nil { // a node that is behind, or a message on its way
			continue
		}
		if l := r.deps.Journal.Lease(id); l != nil { // put aside when the grace was over
			t := r.restore(l)
			t.listed(a, height)
			r.launch(t, group)
			continue
		}
		t := r.adopt(a, height)
		if woken != nil {
			r.metrics.notice.Observe(time.Since(*woken).Seconds())
		}
		t.log.Info("lease seen", "shards", t.seen.Count, "height", height, "assigned", a.GetLease().GetAssignedHeight(),
			"after_block_ms", time.Since(at).Milliseconds())
		r.launch(t, group)
	}
	r.outbox.observe(height, at, states)
	if fresh {
		r.vanished(ctx, height, known, states)
	}
}

// acceptable refuses what no honest chain says; it bounds memory.
func (r *Reconciler) acceptable(a *tasksv1.Assignment) bool {
	l := a.GetLease()
	ok := l.GetId() > 0 && l.GetNexcoreId() == r.deps.Identity.NexCore && l.GetCount() >= 1 && l.GetCount() <= 256 &&
		l.GetFirst() >= 0 && l.GetJobId() == a.GetJob().GetId() && a.GetJob().GetSpecCid() != "" &&
		len(a.GetJob().GetSpecCid()) <= 256
	if !ok {
		r.deps.Logger.Error("malformed assignment", "lease", l.GetId())
	}
	return ok
}

// vanished asks about leases that the chain no longer lists at a height newer than
// the last that did, and tells their tenures how they ended.
func (r *Reconciler) vanished(ctx context.Context, height int64, known map[uint64]*tenure, states map[uint64]tasksv1.LeaseState) {
	var g errgroup.Group
	g.SetLimit(8)
	for id, t := range known {
		if _, listed := states[id]; listed || t.lastListed() >= height {
			continue
		}
		if stage := t.Stage(); stage == Stopping || stage == Done {
			continue
		}
		g.Go(func() error {
			l, found, err := r.deps.Chain.Lease(ctx, id)
			switch {
			case err != nil:
				r.deps.Logger.Warn("lease not readable", "lease", id, "err", err)
			case !found:
				t.ended(nil)
			case live(l.GetState()): // the node answered from another height
			default:
				t.ended(l)
			}
			return nil
		})
	}
	_ = g.Wait() // every error was logged, and the next block asks again
}

func live(s tasksv1.LeaseState) bool {
	return s == tasksv1.LeaseState_LEASE_STATE_ASSIGNED || s == tasksv1.LeaseState_LEASE_STATE_ACKNOWLEDGED
}

func (t *tenure) lastListed() int64 {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.height
}

// lost notes that the chain cannot be reached. Runs go on; after the grace they stop,
// and the journal keeps their leases in case the chain comes back.
func (r *Reconciler) lost(err error) {
	r.mu.Lock()
	away := time.Since(r.heard)
	var over []*tenure
	if away > r.cfg.Grace {
		for _, t := range r.tenures {
			over = append(over, t)
		}
	}
	r.mu.Unlock()
	r.metrics.chainErrors.Inc()
	r.deps.Logger.Warn("chain not reachable", "err", err, "for", away.Round(time.Second))
	for _, t := range over {
		if stage := t.Stage(); stage == Running || stage == Fetching {
			t.log.Warn("grace is over: runs are stopped", "grace", r.cfg.Grace)
			t.cancel(errGrace)
		}
	}
}

// capabilities asks a driver once for what does not change.
func (r *Reconciler) capabilities(ctx context.Context, d driver.Driver) (driver.Capabilities, error) {
	r.mu.Lock()
	caps, known := r.caps[d.Name()]
	r.mu.Unlock()
	if known {
		return caps, nil
	}
	caps, err := d.Capabilities(ctx)
	if err != nil {
		return caps, err
	}
	r.mu.Lock()
	r.caps[d.Name()] = caps
	r.mu.Unlock()
	return caps, nil
}

// LimitRuns sets how many runs may be there at a time that take memory beyond their
// limits (driver.Capabilities.RunMemoryMiB); 0 is no limit. Others wait for them to end.
func (r *Reconciler) LimitRuns(n int64) { r.runs.set(n) }

// pauses returns a waiter whose waits grow from RetryMin to RetryMax, with jitter.
func (r *Reconciler) pauses() func(context.Context) error {
	d := r.cfg.RetryMin
	return func(ctx context.Context) error {
		timer := time.NewTimer(d/2 + rand.N(d/2+1))
		defer timer.Stop()
		d = min(2*d, r.cfg.RetryMax)
		select {
		case <-timer.C:
			return nil
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// Leases counts the leases that are not done.
func (r *Reconciler) Leases() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.tenures)
}

func (r *Reconciler) snapshot() []*tenure {
	r.mu.Lock()
	defer r.mu.Unlock()
	out := make([]*tenure, 0, len(r.tenures))
	for _, t := range r.tenures {
		out = append(out, t)
	}
	slices.SortFunc(out, func(a, b *tenure) int { return cmp.Compare(a.id, b.id) })
	return out
}
