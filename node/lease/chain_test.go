package lease

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"google.golang.org/protobuf/proto"

	tasksv1 "github.com/nexara/nexara/proto/gen/nexara/tasks/v1"
	"github.com/nexara/nexara/x/tasks/lifecycle"
)

var errDown = errors.New("chain is down")

// ledger is an in-memory chain: it moves leases by the chain's own table, takes
// transactions whole or not at all, and counts what it refused.
type ledger struct {
	mu       sync.Mutex
	height   int64
	leases   map[uint64]*tasksv1.Assignment
	mempool  []*ledgerTx
	txs      map[string]*ledgerTx
	down     bool
	noBlocks bool
	badSigs  int // so many custody receipts are refused
	refused  int // second deliveries and other illegal moves
	results  map[uint64][]*tasksv1.Result
	declines map[uint64]tasksv1.DeclineReason
	acks     map[uint64]int
	wake     func()
	every    time.Duration // between blocks
}

type ledgerTx struct {
	hash    string
	msgs    []proto.Message
	expires time.Time
	done    bool
	fate    Fate
}

func newLedger() *ledger {
	return &ledger{
		height: 10, every: 15 * time.Millisecond, leases: map[uint64]*tasksv1.Assignment{}, txs: map[string]*ledgerTx{}, results: map[uint64][]*tasksv1.Result{},
		declines: map[uint64]tasksv1.DeclineReason{}, acks: map[uint64]int{},
	}
}

func (l *ledger) now() time.Time { return time.Unix(1_700_000_000+l.height, 0) }

// run makes blocks until ctx ends.
func (l *ledger) run(ctx context.Context) {
	for {
		l.mu.Lock()
		every := l.every
		l.mu.Unlock()
		select {
		case <-ctx.Done():
			return
		case <-time.After(every):
			l.block()
		}
	}
}

func (l *ledger) block() {
	l.mu.Lock()
	if l.noBlocks {
		l.mu.Unlock()
		return
	}
	l.height++
	for _, tx := range l.mempool {
		l.apply(tx)
	}
	l.mempool = nil
	for _, a := range l.leases {
		lease := a.Lease
		switch {
		case lease.State == tasksv1.LeaseState_LEASE_STATE_ASSIGNED && l.height > lease.AckBy:
			l.step(lease, lifecycle.Silence)
		case lease.State == tasksv1.LeaseState_LEASE_STATE_ACKNOWLEDGED && l.height > lease.DeliverBy:
			l.step(lease, lifecycle.Miss)
		}
	}
	wake := l.wake
	l.mu.Unlock()
	if wake != nil {
		wake()
	}
}

func (l *ledger) step(lease *tasksv1.Lease, event lifecycle.Event) bool {
	to, reason, err := lifecycle.StepLease(lifecycle.LeaseState(lease.State), event)
	if err != nil {
		l.refused++
		return false
	}
	lease.State, lease.Reason = tasksv1.LeaseState(to), reason
	return true
}

// apply is all or nothing, as a transaction is.
func (l *ledger) apply(tx *ledgerTx) {
	tx.done, tx.fate = true, FateIncluded
	saved := map[uint64]*tasksv1.Assignment{}
	for id, a := range l.leases {
		saved[id] = proto.Clone(a).(*tasksv1.Assignment)
	}
	var undo []func()
	for _, m := range tx.msgs {
		fate := FateIncluded
		switch m := m.(type) {
		case *tasksv1.MsgAcknowledge:
			for _, id := range m.LeaseIds {
				a := l.leases[id]
				if a == nil || !l.step(a.Lease, lifecycle.Acknowledge) {
					fate = FateLease
					continue
				}
				a.Lease.DeliverBy = l.height + 100*a.Job.Shape.RunSeconds
				l.acks[id]++
				undo = append(undo, func() { l.acks[id]-- })
			}
		case *tasksv1.MsgDecline:
			if a := l.leases[m.LeaseId]; a == nil || !l.step(a.Lease, lifecycle.Decline) {
				fate = FateLease
			} else {
				l.declines[m.LeaseId] = m.Reason
			}
		case *tasksv1.MsgDeliver:
			for _, d := range m.Deliveries {
				if f := l.deliver(d, &undo); f != FateIncluded {
					fate = f
				}
			}
		}
		if fate != FateIncluded {
			tx.fate, l.leases = fate, saved
			for _, f := range undo {
				f()
			}
			return
		}
	}
}

func (l *ledger) deliver(d *tasksv1.Delivery, undo *[]func()) Fate {
	a := l.leases[d.LeaseId]
	if a == nil || !lifecycle.LeaseState(a.Lease.State).Live() {
		l.refused++
		return FateLease
	}
	delivered := int64(0)
	for _, b := range d.Result.Outcomes {
		for ; b != 0; b &= b - 1 {
			delivered++
		}
	}
	if delivered > 0 && l.badSigs > 0 {
		l.badSigs--
		return FateCustody
	}
	event := lifecycle.Deliver
	if delivered == 0 {
		event = lifecycle.Lose
	}
	if !l.step(a.Lease, event) {
		return FateLease
	}
	if delivered > 0 {
		a.Lease.Result, a.Lease.Delivered = d.Result, delivered
	}
	l.results[d.LeaseId] = append(l.results[d.LeaseId], d.Result)
	*undo = append(*undo, func() { l.results[d.LeaseId] = l.results[d.LeaseId][:len(l.results[d.LeaseId])-1] })
	return FateIncluded
}

// assign adds a lease in the next block's state.
func (l *ledger) assign(a *tasksv1.Assignment) {
	l.mu.Lock()
	defer l.mu.Unlock()
	a.Lease.State = tasksv1.LeaseState_LEASE_STATE_ASSIGNED
	a.Lease.AssignedHeight = l.height
	if a.Lease.AckBy == 0 {
		a.Lease.AckBy = l.height + 2000
	}
	l.leases[a.Lease.Id] = a
}

// end closes a lease from the requester's side.
func (l *ledger) end(id uint64, event lifecycle.Event) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.step(l.leases[id].Lease, event)
}

func (l *ledger) state(id uint64) tasksv1.LeaseState {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.leases[id].Lease.State
}

func (l *ledger) set(f func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	f()
}

func (l *ledger) Assignments(context.Context) (*tasksv1.QueryAssignmentsResponse, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.down {
		return nil, errDown
	}
	out := &tasksv1.QueryAssignmentsResponse{Height: l.height, TimeUnixMs: l.now().UnixMilli()}
	for _, a := range l.leases {
		if lifecycle.LeaseState(a.Lease.State).Live() {
			out.Assignments = append(out.Assignments, proto.Clone(a).(*tasksv1.Assignment))
		}
	}
	return out, nil
}

func (l *ledger) Lease(_ context.Context, id uint64) (*tasksv1.Lease, bool, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.down {
		return nil, false, errDown
	}
	a := l.leases[id]
	if a == nil {
		return nil, false, nil
	}
	return proto.Clone(a.Lease).(*tasksv1.Lease), true, nil
}

func (l *ledger) Submit(_ context.Context, msgs ...proto.Message) (Tx, Fate, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.down {
		return Tx{}, FateRetry, errDown
	}
	tx := &ledgerTx{hash: fmt.Sprint("tx", len(l.txs)), expires: l.now().Add(30 * time.Second)}
	for _, m := range msgs {
		tx.msgs = append(tx.msgs, proto.Clone(m))
	}
	l.mempool = append(l.mempool, tx)
	l.txs[tx.hash] = tx
	return Tx{Hash: tx.hash, Expires: tx.expires}, FatePending, nil
}

func (l *ledger) Confirm(_ context.Context, hash string) (Fate, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.down {
		return FatePending, errDown
	}
	tx := l.txs[hash]
	if tx == nil || !tx.done {
		return FatePending, nil
	}
	return tx.fate, nil
}
