// Package lease carries out leases: it is the reconciler of the daemon. What the
// chain assigns to this NexCore is desired, what the journal says is actual, and
// each lease is moved from one to the other by the table in machine.go: fetch,
// run, pack, have vouched for, deliver, clean up.
//
// It never decides on prices, bonds or payouts, never trusts an event to be
// complete (Wake only says "look again"), and never stops a paid run because the
// chain, a gateway or IPFS cannot be reached, before a long grace.
//
// Place in the flow: node/chain wakes it and answers its queries; node/driver runs
// the shards; node/blob holds images, inputs and results; node/result gives results
// their bytes; node/store keeps the journal. node/provider wires them.
//
// # Killed at any instruction
//
// A lease enters the journal before anything is done for it. A shard is noted
// as packed before its run is removed, so that a run is found again or its result
// is. The result is fixed in the journal before it is sent, so that a second one
// for the same lease is never made. A lease leaves the journal only after the
// chain's state has shown its end.
package lease

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"runtime"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"google.golang.org/protobuf/proto"

	"github.com/nexara/nexara/node/blob"
	"github.com/nexara/nexara/node/driver"
	"github.com/nexara/nexara/node/store"
	tasksv1 "github.com/nexara/nexara/proto/gen/nexara/tasks/v1"
	"github.com/nexara/nexara/x/tasks/verdict"
)

// Sentinels, asked with errors.Is.
var (
	// ErrConfig: the configuration cannot work.
	ErrConfig = errors.New("lease: invalid configuration")
	// ErrInput: document, image or inputs are not what the job declares. The requester's fault.
	ErrInput = errors.New("lease: input unavailable")
	// ErrHost: this machine cannot do what it offered.
	ErrHost = errors.New("lease: host fault")
	// ErrCustody: no custodian vouches for the result now.
	ErrCustody = errors.New("lease: no custody")
	// ErrUnknown: no such lease or shard here.
	ErrUnknown = errors.New("lease: unknown lease or shard")

	errClosed = errors.New("lease: closed by the chain")
	errWindow = errors.New("lease: window of acknowledgement is ending")
	errGrace  = errors.New("lease: chain out of reach for longer than the grace")
)

// Tx is a transaction on its way.
type Tx struct {
	Hash string
	// Expires is the block time from which it can no longer be included.
	Expires time.Time
}

// Fate is what became of a transaction, or why it was refused.
type Fate uint8

// The fates.
const (
	// FatePending: in no block yet.
	FatePending Fate = iota
	// FateIncluded: in a block, with success.
	FateIncluded
	// FateRetry: refused or failed for a reason that may pass; send again.
	FateRetry
	// FateLease: the lease is not in a state for it; the state will tell why.
	FateLease
	// FateCustody: the custody receipt was not accepted.
	FateCustody
	// FateFinal: it will never be accepted.
	FateFinal
)

// Chain is all the reconciler needs of the chain.
type Chain interface {
	// Assignments are the leases of this NexCore that are assigned or acknowledged.
	Assignments(ctx context.Context) (*tasksv1.QueryAssignmentsResponse, error)
	// Lease reads one lease; found is false when the chain has no such record (any more).
	Lease(ctx context.Context, id uint64) (l *tasksv1.Lease, found bool, err error)
	// Submit hands messages to the chain in one transaction. After an error, fate says what to do.
	Submit(ctx context.Context, msgs ...proto.Message) (tx Tx, fate Fate, err error)
	// Confirm says what became of a transaction. An error means that nothing is known now.
	Confirm(ctx context.Context, hash string) (Fate, error)
}

// Custodian finds somebody else to hold a result and to sign that.
type Custodian interface {
	// Vouch returns a receipt over c, verified, or ErrCustody.
	Vouch(ctx context.Context, c verdict.Custody) (*tasksv1.Custody, error)
}

// Journal is the part of node/store that the reconciler uses.
type Journal interface {
	// Append writes steps of one lease, all or none, durably.
	Append(lease uint64, steps ...store.Step) error
	// Leases are the open ones.
	Leases() []*store.Lease
	// Lease is nil when the lease is not open.
	Lease(id uint64) *store.Lease
	// Finished is nil when the lease is not known as finished.
	Finished(id uint64) (*store.Finished, error)
}

// Identity is who this NexCore is.
type Identity struct {
	ChainID string
	NexCore uint64
	// Address is the account of the hot node key.
	Address string
}

// Config is how leases are carried out. Zero values mean the defaults.
type Config struct {
	// Home holds the cache of images and inputs.
	Home string
	// StartsAtOnce is how many runs may be starting at a time; StartHold is for how
	// long at most a run counts as starting. Shards of a lease are all started, as
	// promised, but not in one thundering herd: short ones take turns, long ones all
	// run after a few holds.
	StartsAtOnce int
	StartHold    time.Duration
	// PacksAtOnce is how many shards are packed at a time.
	PacksAtOnce int
	// CacheBytes bounds the cache of unpacked images and inputs.
	CacheBytes int64
	// FetchTimeout bounds one attempt to fetch.
	FetchTimeout time.Duration
	// RetryMin and RetryMax bound the pauses between tries of anything outside this machine.
	RetryMin, RetryMax time.Duration
	// Grace is for how long the chain may be out of reach before runs are stopped.
	Grace time.Duration
	// Batch is how long a message waits for others to share its transaction.
	Batch time.Duration
	// LogBytes, OutputFiles and PIDs limit each run; they are not part of a job's shape.
	LogBytes, OutputFiles, PIDs int64
	// RetainResults is for how long a delivered result stays pinned here.
	RetainResults time.Duration
	// FaultTries is how often a shard is started again after a fault of this machine.
	FaultTries int
	// Poll is how often the chain is asked when no block wakes the reconciler.
	Poll time.Duration
}

// Default is sized for the machine.
func Default() Config {
	n := runtime.GOMAXPROCS(0)
	return Config{
		StartsAtOnce: 2 * n, StartHold: 100 * time.Millisecond, PacksAtOnce: 2 * n, CacheBytes: 20 << 30,
		FetchTimeout: 10 * time.Minute, RetryMin: 250 * time.Millisecond, RetryMax: 15 * time.Second, Grace: time.Hour, Batch: 25 * time.Millisecond, LogBytes: 4 << 20,
		OutputFiles: 4096, PIDs: 256, RetainResults: 24 * time.Hour, FaultTries: 2, Poll: 5 * time.Second,
	}
}

// Validate fills zero values with defaults and refuses what cannot work.
func (c *Config) Validate() error {
	if !filepath.IsAbs(c.Home) {
		return fmt.Errorf("%w: home %q is not absolute", ErrConfig, c.Home)
	}
	d := Default()
	for _, f := range []struct {
		v   *int64
		def int64
	}{{&c.CacheBytes, d.CacheBytes}, {&c.LogBytes, d.LogBytes}, {&c.OutputFiles, d.OutputFiles}, {&c.PIDs, d.PIDs}} {
		if *f.v == 0 {
			*f.v = f.def
		}
		if *f.v < 0 {
			return fmt.Errorf("%w: negative size", ErrConfig)
		}
	}
	for _, f := range []struct {
		v   *time.Duration
		def time.Duration
	}{
		{&c.StartHold, d.StartHold},
		{&c.RetryMin, d.RetryMin},
		{&c.RetryMax, d.RetryMax},
		{&c.FetchTimeout, d.FetchTimeout},
		{&c.Grace, d.Grace},
		{&c.Batch, d.Batch},
		{&c.RetainResults, d.RetainResults},
		{&c.Poll, d.Poll},
	} {
		if *f.v == 0 {
			*f.v = f.def
		}
		if *f.v < 0 {
			return fmt.Errorf("%w: negative duration", ErrConfig)
		}
	}
	for _, f := range []struct {
		v   *int
		def int
	}{{&c.StartsAtOnce, d.StartsAtOnce}, {&c.PacksAtOnce, d.PacksAtOnce}, {&c.FaultTries, d.FaultTries}} {
		if *f.v == 0 {
			*f.v = f.def
		}
		if *f.v < 0 {
			return fmt.Errorf("%w: negative count", ErrConfig)
		}
	}
	return nil
}

// Deps are the rooms the reconciler works with; all are required.
type Deps struct {
	Identity  Identity
	Chain     Chain
	Drivers   map[string]driver.Driver
	Store     blob.Store
	Fetcher   blob.Fetcher
	Custodian Custodian
	Journal   Journal
	Logger    *slog.Logger
	Metrics   prometheus.Registerer
}

func (d *Deps) validate() error {
	switch {
	case d.Identity.ChainID == "" || d.Identity.NexCore == 0 || d.Identity.Address == "":
		return fmt.Errorf("%w: incomplete identity", ErrConfig)
	case d.Chain == nil || len(d.Drivers) == 0 || d.Store == nil || d.Fetcher == nil || d.Custodian == nil || d.Journal == nil:
		return fmt.Errorf("%w: missing collaborator", ErrConfig)
	}
	if d.Logger == nil {
		d.Logger = slog.New(slog.DiscardHandler)
	}
	if d.Metrics == nil {
		d.Metrics = prometheus.NewRegistry()
	}
	return nil
}
