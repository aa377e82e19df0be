package lease

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/ipfs/go-cid"

	"github.com/nexara/nexara/node/blob"
	"github.com/nexara/nexara/node/driver"
	"github.com/nexara/nexara/node/jobspec"
	"github.com/nexara/nexara/node/store"
	tasksv1 "github.com/nexara/nexara/proto/gen/nexara/tasks/v1"
)

// tenure is one lease being carried out. Its goroutine moves it through the
// stages; the reconciler tells it what the chain says; the outbox tells it what
// became of its messages. Everything shared is under mu.
type tenure struct {
	r   *Reconciler
	id  uint64
	log *slog.Logger

	// work is cancelled with a cause when the chain closes the lease or the grace is over.
	work   context.Context
	cancel context.CancelCauseFunc

	mu     sync.Mutex
	stage  Stage
	reason string
	since  time.Time
	seen   store.Seen
	// assignment is nil after a restart until the chain answers.
	assignment *tasksv1.Assignment
	acked      bool
	ackBy      int64 // block heights, as the chain said last
	deliverBy  int64
	height     int64 // of the last answer that listed it
	shards     []*shard
	decline    tasksv1.DeclineReason
	result     *store.ResultPacked
	custody    *store.CustodySigned
	closing    string // the chain's reason for the end
	window     context.CancelCauseFunc
	changed    chan struct{} // closed and replaced at every change
	unhold     func()        // releases the hold on packed blocks
	verdict    Event         // what the chain says of what was sent: Confirmed, Refused or Closed

	// Only the tenure's goroutine touches what follows.
	restored bool // from the journal of an earlier process
	trusted  bool // the document was checked against the job before
	doc      *jobspec.Document
	driver   driver.Driver
	recovers bool
	heavy    bool // each run takes memory beyond its limits
	image    string
	digest   string
	inputs   []driver.Input
	inBytes  int64
	fetched  *store.InputsFetched // of an earlier process
	releases []func()
}

// shard is one shard of the lease; fields are under the tenure's mu.
type shard struct {
	fate     fate
	phase    string // for people: waiting, starting, running, packing, packed, lost, stopped
	manifest string
	log      cid.Cid   // once packed
	folder   blob.Node // once packed by this process
	logPath  string    // while the run is there
	run      driver.Run
	started  time.Time
	ended    time.Time
	end      string
	exit     int
	tries    int
}

// fate of a shard on this machine.
type fate uint8

const (
	fateOpen   fate = iota // has not ended
	fatePacked             // its result is in the store
	fateLost               // this machine could not run it: its bit stays unset
)

func (r *Reconciler) newTenure(id uint64, seen store.Seen) *tenure {
	t := &tenure{
		r: r, id: id, seen: seen, stage: Seen, since: time.Now(), changed: make(chan struct{}),
		ackBy: seen.AckBy, deliverBy: seen.DeliverBy,
		log: r.deps.Logger.With("lease", id, "job", seen.Job), shards: make([]*shard, seen.Count),
	}
	for i := range t.shards {
		t.shards[i] = &shard{phase: "waiting"}
	}
	t.work, t.cancel = context.WithCancelCause(r.ctx)
	return t
}

// adopt takes up a lease that the chain has just listed.
func (r *Reconciler) adopt(a *tasksv1.Assignment, height int64) *tenure {
	l, j := a.GetLease(), a.GetJob()
	t := r.newTenure(l.GetId(), store.Seen{
		Job: l.GetJobId(), NexCore: l.GetNexcoreId(), First: l.GetFirst(), Count: l.GetCount(), Attempt: l.GetAttempt(),
		SpecCID: j.GetSpecCid(), AckBy: l.GetAckBy(), DeliverBy: l.GetDeliverBy(),
	})
	t.assignment, t.height, t.acked = a, height, acknowledged(l)
	return t
}

// restore takes up a lease of the journal at the stage its last step says.
func (r *Reconciler) restore(l *store.Lease) *tenure {
	t := r.newTenure(l.ID, l.Seen)
	t.restored, t.trusted, t.stage, t.fetched = true, l.InputsFetched != nil, Fetching, l.InputsFetched
	t.result, t.custody = l.Result, l.Custody
	for i, s := range l.Shards {
		if s.Packed != nil {
			t.shards[i].fate, t.shards[i].phase, t.shards[i].manifest = fatePacked, "packed", s.Packed.ManifestCID
			t.shards[i].end, t.shards[i].exit = s.Ended.Reason, int(s.Ended.ExitCode)
			t.shards[i].started, t.shards[i].ended = time.UnixMilli(s.Ended.StartedMillis), time.UnixMilli(s.Ended.FinishedMillis)
		}
	}
	if len(l.Shards) > 0 {
		t.hold()
	}
	switch {
	case l.Custody != nil:
		t.stage = Delivering
	case l.Result != nil:
		t.stage = Vouching
	}
	return t
}

func acknowledged(l *tasksv1.Lease) bool {
	return l.GetState() == tasksv1.LeaseState_LEASE_STATE_ACKNOWLEDGED
}

// run moves the lease until it is done, the process ends, or the grace is over.
func (t *tenure) run() {
	defer t.letGo()
	for {
		stage := t.Stage()
		if stage == Done {
			return
		}
		event, err := t.do(stage)
		switch {
		case err == nil:
		case errors.Is(context.Cause(t.work), errClosed) && stage != Stopping:
			event = Closed
		case errors.Is(context.Cause(t.work), errGrace):
			t.stopRuns()
			return
		default: // the process ends; containers go on and are found again
			if t.work.Err() == nil {
				t.log.Error("lease left to the next start", "stage", stage.String(), "err", err)
			}
			return
		}
		if !t.move(event) {
			return
		}
	}
}

// do does the work of one stage and returns the event that ends it. An error
// means that the tenure's work was cancelled.
func (t *tenure) do(stage Stage) (Event, error) {
	switch stage {
	case Seen:
		return t.note()
	case Fetching:
		return t.fetch()
	case Running:
		return t.runAll()
	case Sealing:
		return t.seal()
	case Vouching:
		return t.vouch()
	case Delivering:
		return t.deliver()
	case Declining:
		return t.giveUp()
	case Stopping:
		return t.stop()
	case Done:
	}
	return 0, ErrIllegal
}

// move makes a move of the table.
func (t *tenure) move(event Event) bool {
	t.mu.Lock()
	from := t.stage
	to, reason, err := Step(from, event)
	if err == nil {
		t.stage, t.reason, t.since = to, reason, time.Now()
		t.touch()
	}
	t.mu.Unlock()
	if err != nil {
		// A bug. The lease is left to its deadline; the others go on.
		t.log.Error("illegal move", "err", err)
		return false
	}
	t.r.metrics.moves.WithLabelValues(to.String(), reason).Inc()
	t.log.Info("lease moved", "from", from.String(), "to", to.String(), "reason", reason)
	if to == Done {
		t.finish(reason)
	}
	return true
}

// touch wakes whoever waits for a change; mu is held.
func (t *tenure) touch() {
	close(t.changed)
	t.changed = make(chan struct{})
}

// Stage is where the lease stands.
func (t *tenure) Stage() Stage {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.stage
}

// listed is told by the reconciler at each answer that holds the lease.
func (t *tenure) listed(a *tasksv1.Assignment, height int64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.assignment, t.height = a, height
	t.acked = acknowledged(a.GetLease())
	t.ackBy, t.deliverBy = a.GetLease().GetAckBy(), a.GetLease().GetDeliverBy()
	if t.window != nil && t.windowOver(height) {
		t.window(errWindow)
	}
	t.touch()
}

// windowOver is whether it is time to answer: what remains of the window is for
// the answer to get into a block; mu is held.
func (t *tenure) windowOver(height int64) bool {
	if !t.acked {
		margin := min(max((t.ackBy-t.assignment.GetLease().GetAssignedHeight())/4, 1), 4)
		return height >= t.ackBy-margin
	}
	return t.deliverBy > 0 && height >= t.deliverBy-4
}

// ended is told by the reconciler when the chain no longer lists the lease. l is
// nil when the chain has no record of it any more.
func (t *tenure) ended(l *tasksv1.Lease) {
	t.mu.Lock()
	defer t.mu.Unlock()
	ours := t.result != nil && l.GetResult().GetCid() == t.result.CID && l.GetDelivered() > 0
	t.closing = l.GetReason()
	if t.closing == "" {
		t.closing = "gone"
	}
	if t.stage == Delivering && ours {
		t.verdict = Confirmed
	} else {
		t.verdict = Closed
		t.cancel(errClosed)
	}
	t.touch()
}

// refused is told by the outbox when the chain did not take the custody receipt.
func (t *tenure) refused() {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.stage == Delivering && t.verdict == 0 {
		t.verdict = Refused
		t.touch()
	}
}

// wait blocks until something has changed since ch was read.
func (t *tenure) wait(ctx context.Context, ch <-chan struct{}) error {
	select {
	case <-ch:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// append writes to the journal and tries again while the disk refuses. It gives
// up after some tries only when mayFail.
func (t *tenure) append(ctx context.Context, mayFail bool, steps ...store.Step) error {
	pause := t.r.pauses()
	for try := 0; ; try++ {
		err := t.r.deps.Journal.Append(t.id, steps...)
		if err == nil || errors.Is(err, store.ErrOrder) || errors.Is(err, store.ErrStep) || errors.Is(err, store.ErrClosed) {
			return err
		}
		t.log.Warn("journal refused", "err", err, "try", try)
		if mayFail && try >= t.r.cfg.FaultTries {
			return err
		}
		if err := pause(ctx); err != nil {
			return err
		}
	}
}

// note opens the lease in the journal.
func (t *tenure) note() (Event, error) {
	err := t.append(t.work, true, t.seen)
	switch {
	case t.work.Err() != nil:
		return 0, t.work.Err()
	case err != nil:
		t.setDecline(tasksv1.DeclineReason_DECLINE_REASON_NO_CAPACITY, err)
		return Broken, nil
	}
	return Begin, nil
}

func (t *tenure) setDecline(reason tasksv1.DeclineReason, why error) {
	t.log.Warn("lease cannot be carried out", "reason", reason.String(), "err", why)
	t.mu.Lock()
	t.decline = reason
	t.mu.Unlock()
}

// finish writes the last step and forgets the messages.
func (t *tenure) finish(reason string) {
	t.r.outbox.drop(t.id)
	t.mu.Lock()
	if t.closing != "" && reason != "delivered" {
		reason = t.closing
	}
	t.mu.Unlock()
	// When this fails the lease is found open at the next start, and the chain says again that it has ended.
	if err := t.r.deps.Journal.Append(t.id, store.Final{Reason: reason}); err != nil && !errors.Is(err, store.ErrOrder) {
		t.log.Warn("journal refused the end", "err", err)
	}
}

// letGo releases what the tenure holds in this process.
func (t *tenure) letGo() {
	t.cancel(nil)
	for _, release := range t.releases {
		release()
	}
	t.releases = nil
	t.mu.Lock()
	unhold := t.unhold
	t.unhold = nil
	t.mu.Unlock()
	if unhold != nil {
		unhold()
	}
}
