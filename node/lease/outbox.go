package lease

import (
	"cmp"
	"context"
	"slices"
	"sync"
	"time"

	"google.golang.org/protobuf/proto"

	tasksv1 "github.com/nexara/nexara/proto/gen/nexara/tasks/v1"
)

// Bounds of the chain's messages.
const (
	maxAcks       = 64
	maxDeliveries = 16
)

// patience is after how many blocks without effect a sent message is looked up.
const patience = 2

// outbox sends acknowledgements, refusals and results. Messages of many leases
// share transactions; a transaction that fails because of one of them is taken
// apart, so that no lease suffers for another. A message stays until the chain's
// state shows that it is not needed any more: what was sent is never believed.
type outbox struct {
	r    *Reconciler
	wake chan struct{}

	mu      sync.Mutex
	parcels map[uint64]*parcel
	height  int64
	time    time.Time // block time of height
}

type kind uint8

const (
	kindAck kind = iota
	kindDecline
	kindDeliver
)

func (k kind) String() string { return [...]string{"acknowledge", "decline", "deliver"}[k] }

// parcel is what is to be said about one lease. A later kind replaces an earlier
// one: who delivers need not acknowledge.
type parcel struct {
	lease    uint64
	kind     kind
	reason   tasksv1.DeclineReason
	result   *tasksv1.Result
	refused  func()
	solo     bool // its transaction failed together with others
	mates    int  // how many shared its last transaction, itself included
	tx       string
	expires  time.Time
	sentAt   int64 // height
	notUntil time.Time
	pauses   int
}

func newOutbox(r *Reconciler) *outbox {
	return &outbox{r: r, wake: make(chan struct{}, 1), parcels: map[uint64]*parcel{}}
}

func (o *outbox) acknowledge(lease uint64) { o.put(&parcel{lease: lease, kind: kindAck}) }

func (o *outbox) decline(lease uint64, reason tasksv1.DeclineReason) {
	o.put(&parcel{lease: lease, kind: kindDecline, reason: reason})
}

// deliver sends a result; refused is called when the chain does not take its custody receipt.
func (o *outbox) deliver(lease uint64, res *tasksv1.Result, refused func()) {
	o.put(&parcel{lease: lease, kind: kindDeliver, result: res, refused: refused})
}

func (o *outbox) put(p *parcel) {
	o.mu.Lock()
	o.parcels[p.lease] = p
	o.mu.Unlock()
	o.poke()
}

func (o *outbox) drop(lease uint64) {
	o.mu.Lock()
	delete(o.parcels, lease)
	o.mu.Unlock()
}

func (o *outbox) poke() {
	select {
	case o.wake <- struct{}{}:
	default:
	}
}

// observe is told of every answer of the chain.
func (o *outbox) observe(height int64, at time.Time, states map[uint64]tasksv1.LeaseState) {
	o.mu.Lock()
	o.height, o.time = height, at
	for id, p := range o.parcels {
		if state, listed := states[id]; p.kind == kindAck && (!listed || state != tasksv1.LeaseState_LEASE_STATE_ASSIGNED) {
			delete(o.parcels, id)
		}
	}
	o.mu.Unlock()
	o.poke()
}

// run sends until ctx ends. A short wait after each wake lets messages meet.
func (o *outbox) run(ctx context.Context) {
	again := time.NewTicker(time.Second) // parcels whose pause is over
	defer again.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-o.wake:
			select {
			case <-ctx.Done():
				return
			case <-time.After(o.r.cfg.Batch):
			}
		case <-again.C:
		}
		o.lookUp(ctx)
		o.flush(ctx)
	}
}

// flush sends everything that waits, in as few transactions as may be.
func (o *outbox) flush(ctx context.Context) {
	o.mu.Lock()
	groups := map[kind][]*parcel{}
	var alone []*parcel
	for _, p := range o.parcels {
		switch {
		case p.tx != "" || time.Now().Before(p.notUntil):
		case p.solo || p.kind == kindDecline:
			alone = append(alone, p)
		default:
			groups[p.kind] = append(groups[p.kind], p)
		}
	}
	o.mu.Unlock()
	byLease := func(a, b *parcel) int { return cmp.Compare(a.lease, b.lease) }
	for _, g := range groups {
		slices.SortFunc(g, byLease)
	}
	slices.SortFunc(alone, byLease)
	for part := range slices.Chunk(groups[kindAck], maxAcks) {
		o.send(ctx, part)
	}
	for part := range slices.Chunk(groups[kindDeliver], maxDeliveries) {
		o.send(ctx, part)
	}
	for _, p := range alone {
		o.send(ctx, []*parcel{p})
	}
}

// send puts parcels of one kind into one transaction.
func (o *outbox) send(ctx context.Context, parcels []*parcel) {
	if ctx.Err() != nil {
		return
	}
	tx, fate, err := o.r.deps.Chain.Submit(ctx, o.message(parcels))
	name := parcels[0].kind.String()
	if err != nil {
		o.r.metrics.txs.WithLabelValues(name, "refused").Inc()
		o.r.deps.Logger.Warn("message not taken", "message", name, "leases", len(parcels), "err", err)
	} else {
		o.r.metrics.txs.WithLabelValues(name, "sent").Inc()
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, p := range parcels {
		if err != nil {
			o.failed(p, fate, len(parcels) > 1)
			continue
		}
		p.tx, p.expires, p.sentAt, p.mates = tx.Hash, tx.Expires, o.height, len(parcels)
	}
}

func (o *outbox) message(parcels []*parcel) proto.Message {
	node := o.r.deps.Identity.Address
	switch parcels[0].kind {
	case kindAck:
		m := &tasksv1.MsgAcknowledge{Node: node}
		for _, p := range parcels {
			m.LeaseIds = append(m.LeaseIds, p.lease)
		}
		return m
	case kindDecline:
		return &tasksv1.MsgDecline{Node: node, LeaseId: parcels[0].lease, Reason: parcels[0].reason}
	default:
		m := &tasksv1.MsgDeliver{Node: node}
		for _, p := range parcels {
			m.Deliveries = append(m.Deliveries, &tasksv1.Delivery{LeaseId: p.lease, Result: p.result})
		}
		return m
	}
}

// lookUp asks what became of transactions that have had no effect for some blocks.
func (o *outbox) lookUp(ctx context.Context) {
	o.mu.Lock()
	due := map[string][]*parcel{}
	for _, p := range o.parcels {
		if p.tx != "" && o.height >= p.sentAt+patience {
			due[p.tx] = append(due[p.tx], p)
		}
	}
	o.mu.Unlock()
	for hash, parcels := range due {
		fate, err := o.r.deps.Chain.Confirm(ctx, hash)
		if ctx.Err() != nil {
			return
		}
		o.mu.Lock()
		for _, p := range parcels {
			switch {
			case p.tx != hash: // changed meanwhile
			case err != nil || fate == FatePending:
				if o.time.After(p.expires) { // it can no longer be included
					o.failed(p, FateRetry, false)
				}
			case fate == FateIncluded:
				// The state will show it. If it does not, the record of a forked or lagging node was read.
				if o.height >= p.sentAt+10*patience {
					o.failed(p, FateRetry, false)
				}
			default:
				o.r.metrics.txs.WithLabelValues(p.kind.String(), "failed").Inc()
				o.failed(p, fate, p.mates > 1)
			}
		}
		o.mu.Unlock()
	}
}

// failed lets a parcel be sent again, later each time; mu is held.
func (o *outbox) failed(p *parcel, fate Fate, together bool) {
	p.tx = ""
	if together && fate != FateRetry {
		p.solo = true // at once, but alone
		o.poke()
		return
	}
	pause := o.r.cfg.RetryMin << min(p.pauses, 10)
	switch fate {
	case FateCustody:
		if p.refused != nil {
			p.refused()
		}
	case FateLease, FateFinal: // the next answers of the chain will say more
		pause = o.r.cfg.RetryMax
	case FatePending, FateIncluded, FateRetry:
	}
	p.pauses++
	p.notUntil = time.Now().Add(min(pause, o.r.cfg.RetryMax))
}
