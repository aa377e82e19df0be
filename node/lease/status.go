package lease

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/nexara/nexara/node/blob"
)

// Head is what the reconciler knows of the chain.
type Head struct {
	Height int64 `json:"height"`
	// Time is the block's, Heard this machine's when the answer came.
	Time  time.Time `json:"time"`
	Heard time.Time `json:"heard"`
	// OfferExpires is the height at which the standing offer is void, 0 for none.
	OfferExpires int64 `json:"offer_expires"`
}

// Head is the newest answer of the chain.
func (r *Reconciler) Head() Head {
	r.mu.Lock()
	defer r.mu.Unlock()
	return Head{Height: r.height, Time: r.blockAt, Heard: r.heard, OfferExpires: r.expires}
}

// LeaseStatus is a lease for people and programs that watch.
type LeaseStatus struct {
	Lease        uint64        `json:"lease"`
	Job          uint64        `json:"job"`
	Name         string        `json:"name"`
	Runtime      string        `json:"runtime"`
	Attempt      uint32        `json:"attempt"`
	Stage        string        `json:"stage"`
	Reason       string        `json:"reason"`
	Since        time.Time     `json:"since"`
	Acknowledged bool          `json:"acknowledged"`
	AckBy        int64         `json:"ack_by"`
	DeliverBy    int64         `json:"deliver_by"`
	RunSeconds   int64         `json:"run_seconds"`
	Result       string        `json:"result,omitempty"`
	Shards       []ShardStatus `json:"shards"`
}

// ShardStatus is one shard of a lease.
type ShardStatus struct {
	// Shard is the job's index of it.
	Shard int64 `json:"shard"`
	// State is waiting, starting, running, packing, packed, lost or stopped.
	State string `json:"state"`
	// Millis is for how long it has run, or ran.
	Millis int64 `json:"run_ms"`
	// Progress is the share of the declared run time that has passed, in percent, 100 when ended.
	Progress int    `json:"progress_percent"`
	End      string `json:"end,omitempty"`
	Exit     int    `json:"exit_code"`
	Tries    int    `json:"tries,omitempty"`
}

// Status lists the leases that are not done, by id.
func (r *Reconciler) Status() []LeaseStatus {
	out := []LeaseStatus{}
	for _, t := range r.snapshot() {
		out = append(out, t.status(time.Now()))
	}
	return out
}

func (t *tenure) status(now time.Time) LeaseStatus {
	t.mu.Lock()
	defer t.mu.Unlock()
	job := t.assignment.GetJob()
	s := LeaseStatus{
		Lease: t.id, Job: t.seen.Job, Name: job.GetName(), Runtime: job.GetShape().GetRuntime(), Attempt: t.seen.Attempt,
		Stage: t.stage.String(), Reason: t.reason, Since: t.since, Acknowledged: t.acked, AckBy: t.ackBy, DeliverBy: t.deliverBy,
		RunSeconds: job.GetShape().GetRunSeconds(), Shards: make([]ShardStatus, len(t.shards)),
	}
	if t.result != nil {
		s.Result = t.result.CID
	}
	for i, sh := range t.shards {
		st := ShardStatus{Shard: t.seen.First + int64(i), State: sh.phase, End: sh.end, Exit: sh.exit, Tries: sh.tries}
		switch {
		case !sh.ended.IsZero():
			st.Millis, st.Progress = sh.ended.Sub(sh.started).Milliseconds(), 100
		case !sh.started.IsZero():
			st.Millis = now.Sub(sh.started).Milliseconds()
			if s.RunSeconds > 0 {
				st.Progress = int(min(st.Millis/(10*s.RunSeconds), 99))
			}
		}
		s.Shards[i] = st
	}
	return s
}

// Log is a shard's output so far.
type Log struct {
	io.ReadSeekCloser
	// Live is whether more may come.
	Live bool
}

// OpenLog opens the log of a shard, by the job's index: the file of a run that
// goes on, or what was packed. ErrUnknown when there is none here.
func (r *Reconciler) OpenLog(ctx context.Context, lease uint64, shardIndex int64) (Log, error) {
	r.mu.Lock()
	t := r.tenures[lease]
	r.mu.Unlock()
	if t == nil || shardIndex < t.seen.First || shardIndex >= t.seen.First+t.seen.Count {
		return Log{}, fmt.Errorf("%w: lease %d shard %d", ErrUnknown, lease, shardIndex)
	}
	t.mu.Lock()
	sh := t.shards[shardIndex-t.seen.First]
	path, packedLog, manifest := sh.logPath, sh.log, sh.manifest
	ended := sh.fate != fateOpen
	t.mu.Unlock()
	if path != "" {
		f, err := os.Open(path)
		if err == nil {
			return Log{f, true}, nil
		}
		if !errors.Is(err, os.ErrNotExist) {
			return Log{}, fmt.Errorf("%w: log: %w", ErrHost, err)
		}
	}
	if !packedLog.Defined() && manifest != "" {
		m, _, err := readManifest(ctx, r.deps.Store, manifest)
		if err != nil {
			return Log{}, fmt.Errorf("%w: log: %w", ErrUnknown, err)
		}
		if packedLog, err = blob.Parse(m.Log); err != nil {
			return Log{}, fmt.Errorf("%w: log: %w", ErrUnknown, err)
		}
	}
	if packedLog.Defined() {
		raw, err := blob.ReadAll(ctx, r.deps.Store, packedLog, r.cfg.LogBytes+256<<10)
		if err != nil {
			return Log{}, fmt.Errorf("%w: log: %w", ErrUnknown, err)
		}
		return Log{nopCloser{bytes.NewReader(raw)}, false}, nil
	}
	return Log{nopCloser{bytes.NewReader(nil)}, !ended}, nil
}

type nopCloser struct{ *bytes.Reader }

func (nopCloser) Close() error { return nil }
