package lease

import (
	"encoding/hex"
	"fmt"

	"github.com/ipfs/go-cid"

	"github.com/nexara/nexara/node/blob"
	"github.com/nexara/nexara/node/store"
	tasksv1 "github.com/nexara/nexara/proto/gen/nexara/tasks/v1"
	"github.com/nexara/nexara/x/tasks/verdict"
)

// vouch asks custodians until one has signed. Gateways may be away for long: the
// result is pinned and waits.
func (t *tenure) vouch() (Event, error) {
	msg, err := t.custodyMessage()
	if err != nil {
		return 0, err
	}
	pause := t.r.pauses()
	for {
		receipt, err := t.r.deps.Custodian.Vouch(t.work, msg)
		if t.work.Err() != nil {
			return 0, t.work.Err()
		}
		if err == nil {
			signed := store.CustodySigned{NexCore: receipt.GetNexcoreId(), PublicKey: receipt.GetGatewayPubkey(), Signature: receipt.GetSignature()}
			if err := t.append(t.work, false, signed); err != nil {
				return 0, err
			}
			t.mu.Lock()
			t.custody = &signed
			t.mu.Unlock()
			return Vouched, nil
		}
		t.r.metrics.custodyFailures.Inc()
		t.log.Warn("no custody yet, trying again", "err", err)
		if err := pause(t.work); err != nil {
			return 0, err
		}
	}
}

func (t *tenure) custodyMessage() (verdict.Custody, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	c := verdict.Custody{ChainID: t.r.deps.Identity.ChainID, LeaseID: t.id, ResultCID: t.result.CID, Bytes: t.result.Bytes, Outcomes: t.result.Outcomes}
	if copy(c.Root[:], t.result.Root) != len(c.Root) {
		return c, fmt.Errorf("%w: Merkle root of %d bytes", ErrHost, len(t.result.Root))
	}
	return c, nil
}

// deliver sends the result until the chain's state shows it, or the end of the lease.
func (t *tenure) deliver() (Event, error) {
	t.mu.Lock()
	if t.verdict == Refused {
		t.verdict = 0
	}
	res := &tasksv1.Result{
		Root: t.result.Root, Outcomes: t.result.Outcomes, Cid: t.result.CID, Bytes: t.result.Bytes,
		Custody: &tasksv1.Custody{NexcoreId: t.custody.NexCore, GatewayPubkey: t.custody.PublicKey, Signature: t.custody.Signature},
	}
	t.mu.Unlock()
	t.r.outbox.deliver(t.id, res, t.refused)
	event, err := t.await()
	if event == Refused {
		t.r.outbox.drop(t.id)
		// A custodian that signs for another key than the chain lists would be asked again at once.
		if err := t.r.pauses()(t.work); err != nil {
			return 0, err
		}
	}
	return event, err
}

// await waits for what the chain says of a message.
func (t *tenure) await() (Event, error) {
	for {
		t.mu.Lock()
		v, ch := t.verdict, t.changed
		t.mu.Unlock()
		if v != 0 {
			return v, nil
		}
		if err := t.wait(t.work, ch); err != nil {
			return 0, err
		}
	}
}

// giveUp tells the chain that nothing will come: a refusal while that is still
// possible, else a result in which no shard's bit is set.
func (t *tenure) giveUp() (Event, error) {
	empty, err := nothing(int(t.seen.Count))
	if err != nil {
		return 0, err
	}
	for sent := 0; ; {
		t.mu.Lock()
		v, ch, acked, reason := t.verdict, t.changed, t.acked, t.decline
		t.mu.Unlock()
		if v != 0 {
			return Closed, nil
		}
		switch {
		case acked && sent != 2:
			t.r.outbox.deliver(t.id, empty, func() {})
			sent = 2
		case !acked && sent == 0:
			if reason == 0 {
				reason = tasksv1.DeclineReason_DECLINE_REASON_NO_CAPACITY
			}
			t.r.outbox.decline(t.id, reason)
			sent = 1
		}
		if err := t.wait(t.work, ch); err != nil {
			return 0, err
		}
	}
}

// nothing is the result of a lease none of whose shards could be run here: no bit
// is set, and the chain looks at neither CID nor custody.
func nothing(shards int) (*tasksv1.Result, error) {
	bits, err := verdict.NewOutcomes(shards)
	if err != nil {
		return nil, err
	}
	empty, err := blob.NewBlock(cid.Raw, nil)
	if err != nil {
		return nil, err
	}
	key, err := hex.DecodeString("0279be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798") // any point: nobody signed
	if err != nil {
		return nil, err
	}
	return &tasksv1.Result{
		Root: make([]byte, verdict.HashSize), Outcomes: bits, Cid: empty.CID().String(),
		Custody: &tasksv1.Custody{GatewayPubkey: key, Signature: make([]byte, 64)},
	}, nil
}
