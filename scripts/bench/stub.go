package main

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nexara/nexara/node/chain"
	"github.com/nexara/nexara/node/key"
	tasksv1 "github.com/nexara/nexara/proto/gen/nexara/tasks/v1"
	"github.com/nexara/nexara/x/tasks/verdict"
)

// stub acknowledges and delivers whatever it is leased, at once: the load on the chain of a NexCore without
// the machine. Its custody receipts are signed with the world's gateway key.
type stub struct {
	*load
	id     uint64
	node   *key.Key
	sender *chain.Sender
	sent   map[uint64]bool // results on their way
}

const stubCID = "bafkreigh2akiscaildcqabsyg3dfr6chu3fgpregiymsck7e7aqa4s52zy"

// run acts once for each block until ctx ends.
func (s *stub) run(ctx context.Context) {
	last := int64(0)
	for ctx.Err() == nil {
		res, err := s.client.Assignments(ctx, s.id)
		if err == nil && res.Height > last {
			last = res.Height
			s.act(ctx, res.Assignments)
		}
		timer := time.NewTimer(100 * time.Millisecond)
		select {
		case <-ctx.Done():
			timer.Stop()
		case <-timer.C:
		}
	}
}

func (s *stub) act(ctx context.Context, list []*tasksv1.Assignment) {
	var acks []uint64
	var results []*tasksv1.Delivery
	for _, a := range list {
		switch a.Lease.State {
		case tasksv1.LeaseState_LEASE_STATE_ASSIGNED:
			acks = append(acks, a.Lease.Id)
		case tasksv1.LeaseState_LEASE_STATE_ACKNOWLEDGED:
			if !s.sent[a.Lease.Id] {
				if d, err := s.delivery(a.Lease); err == nil {
					results = append(results, d)
				}
			}
		default: // nothing to do for it
		}
	}
	for len(acks) > 0 {
		n := min(len(acks), 64)
		_, _ = s.sender.Submit(ctx, &tasksv1.MsgAcknowledge{Node: s.node.Address(), LeaseIds: acks[:n]}) // sent again with the next block
		acks = acks[n:]
	}
	for len(results) > 0 {
		n := min(len(results), 16)
		if _, err := s.sender.Submit(ctx, &tasksv1.MsgDeliver{Node: s.node.Address(), Deliveries: results[:n]}); err == nil {
			for _, d := range results[:n] {
				s.sent[d.LeaseId] = true
			}
		}
		results = results[n:]
	}
}

func (s *stub) delivery(l *tasksv1.Lease) (*tasksv1.Delivery, error) {
	outcomes, err := verdict.AllDelivered(int(l.Count))
	if err != nil {
		return nil, err
	}
	leaves := make([][]byte, l.Count)
	for i := range leaves {
		leaves[i] = []byte(stubCID)
	}
	root, err := verdict.Root(leaves)
	if err != nil {
		return nil, err
	}
	msg, err := verdict.Custody{ChainID: s.w.ChainID, LeaseID: l.Id, ResultCID: stubCID, Root: root, Bytes: 100, Outcomes: outcomes}.Message()
	if err != nil {
		return nil, err
	}
	return &tasksv1.Delivery{LeaseId: l.Id, Result: &tasksv1.Result{
		Root: root[:], Outcomes: outcomes, Cid: stubCID, Bytes: 100,
		Custody: &tasksv1.Custody{GatewayPubkey: s.gateway.PublicKey(), Signature: s.gateway.Sign(msg)},
	}}, nil
}

// stubs starts n stub NexCores and returns a function that ends them.
func (l *load) stubs(ctx context.Context, n int) (func(), error) {
	ctx, cancel := context.WithCancel(ctx)
	var wg sync.WaitGroup
	stop := func() { cancel(); wg.Wait() }
	for range n {
		s, err := l.register(ctx)
		if err != nil {
			stop()
			return nil, err
		}
		wg.Go(func() { s.run(ctx) })
	}
	h, err := l.w.Height(ctx)
	if err == nil {
		err = l.w.AwaitHeight(ctx, h+4) // offers are in force
	}
	if err != nil {
		stop()
		return nil, err
	}
	return stop, nil
}

// chain is jobs of one shard through submit, acknowledge, result and settle on one validator, offered at a
// constant rate for the time of the load.
func (b *bench) chain(ctx context.Context) (_ any, err error) {
	const rate = 60
	w, err := b.world(ctx, "chain", 0)
	if err != nil {
		return nil, err
	}
	defer stopped(w, &err)
	l, err := newLoad(ctx, w)
	if err != nil {
		return nil, err
	}
	stop, err := l.stubs(ctx, 4)
	if err != nil {
		return nil, err
	}
	defer stop()
	begin := time.Now()
	ticker := time.NewTicker(time.Second / rate)
	defer ticker.Stop()
	var sent, refused atomic.Int64
	var wg sync.WaitGroup
	for time.Since(begin) < b.load {
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-ticker.C:
		}
		wg.Go(func() {
			if _, err := l.sender.Submit(ctx, l.small(1)); err != nil {
				refused.Add(1)
				return
			}
			sent.Add(1)
		})
	}
	wg.Wait()
	loaded := time.Since(begin)
	totals, err := l.settled(ctx, sent.Load())
	if err != nil {
		return nil, err
	}
	all := time.Since(begin).Seconds()
	return map[string]any{
		"offered_per_second": float64(sent.Load()) / loaded.Seconds(), "refused": refused.Load(), "load_s": loaded.Seconds(),
		"settled": totals.ShardsPaid, "closed_leases": totals.LeasesClosed, "until_last_settled_s": all,
		"settled_per_second": float64(totals.ShardsPaid) / (all - disputeSeconds),
		"note":               "settled_per_second leaves out the dispute window of 5 blocks after the last result",
	}, nil
}

// disputeSeconds is the world's dispute window.
const disputeSeconds = 5

// small is a job of cheap shards.
func (l *load) small(shards int64) *tasksv1.MsgSubmit {
	return &tasksv1.MsgSubmit{
		Requester: l.sender.Address(), Name: "bench", Shards: shards, Limit: 1_000, MaxAttempts: 3, WaitBlocks: 600,
		SpecCid: stubCID, ImageCid: stubCID,
		Shape: &tasksv1.Shape{Need: &tasksv1.Resources{CpuMilli: 1, MemoryMib: 1}, Runtime: "wasm", RunSeconds: 60},
	}
}

// settled waits until so many shards are paid.
func (l *load) settled(ctx context.Context, shards int64) (*tasksv1.Totals, error) {
	var last *tasksv1.Totals
	err := poll(ctx, 5*time.Minute, func() (bool, error) {
		t, err := l.totals(ctx)
		if err != nil {
			return false, nil //nolint:nilerr // asked again
		}
		last = t
		return t.ShardsPaid >= shards, nil
	})
	if err != nil {
		return last, fmt.Errorf("%d of %d shards settled: %w", last.GetShardsPaid(), shards, err)
	}
	return last, nil
}

// arrays is shards settled through array jobs in leases of 256.
func (b *bench) arrays(ctx context.Context) (_ any, err error) {
	const jobs, shards = 6, 50_000
	w, err := b.world(ctx, "arrays", 0)
	if err != nil {
		return nil, err
	}
	defer stopped(w, &err)
	l, err := newLoad(ctx, w)
	if err != nil {
		return nil, err
	}
	stop, err := l.stubs(ctx, 4)
	if err != nil {
		return nil, err
	}
	defer stop()
	begin := time.Now()
	for range jobs {
		if _, err := l.sender.Submit(ctx, l.small(shards)); err != nil {
			return nil, err
		}
	}
	totals, err := l.settled(ctx, jobs*shards)
	if err != nil {
		return nil, err
	}
	s := time.Since(begin).Seconds()
	return map[string]any{
		"shards": totals.ShardsPaid, "leases": totals.Leases, "seconds": s,
		"settled_per_second": float64(totals.ShardsPaid) / (s - disputeSeconds),
	}, nil
}
