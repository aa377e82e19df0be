package gateway

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/ipfs/go-cid"
	"github.com/stretchr/testify/require"

	"github.com/nexara/nexara/node/blob"
	"github.com/nexara/nexara/node/key"
	"github.com/nexara/nexara/node/result"
	nexcorev1 "github.com/nexara/nexara/proto/gen/nexara/nexcore/v1"
	tasksv1 "github.com/nexara/nexara/proto/gen/nexara/tasks/v1"
	"github.com/nexara/nexara/testutil/malicious"
	"github.com/nexara/nexara/x/tasks/verdict"
)

const testChain = "test-1"

// fakeLedger is a chain of a few records.
type fakeLedger struct {
	leases   map[uint64]*tasksv1.Lease
	nexcores map[uint64]*nexcorev1.NexCore
	down     error
}

func (l *fakeLedger) Lease(_ context.Context, id uint64) (*tasksv1.Lease, error) {
	if x := l.leases[id]; x != nil || l.down != nil {
		return x, l.down
	}
	return nil, fmt.Errorf("%w: lease %d", ErrLease, id)
}

func (l *fakeLedger) NexCore(_ context.Context, id uint64) (*nexcorev1.NexCore, error) {
	if x := l.nexcores[id]; x != nil || l.down != nil {
		return x, l.down
	}
	return nil, fmt.Errorf("%w: NexCore %d", ErrLease, id)
}

// dialled notes what it is asked to connect with.
type dialled struct {
	mu   sync.Mutex
	asks [][]string
}

func (d *dialled) Connect(_ context.Context, addrs []string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.asks = append(d.asks, addrs)
	return errors.New("nobody there")
}

// from fetches from the NexCore's store; gate, when set, is what each fetch waits for.
type from struct {
	far, near blob.Store
	gate      chan struct{}
	entered   chan struct{}
}

func (f *from) Fetch(ctx context.Context, root cid.Cid, lim blob.Limits) (blob.Stat, error) {
	if f.gate != nil {
		f.entered <- struct{}{}
		select {
		case <-f.gate:
		case <-ctx.Done():
			return blob.Stat{}, blob.ContextErr(ctx)
		}
	}
	return blob.FetchDAG(ctx, f.near, root, lim, 4, func(ctx context.Context, c cid.Cid) ([]byte, error) {
		b, err := f.far.Get(ctx, c)
		return b.Data(), err
	})
}

// bench is a gateway, a NexCore with a lease of two shards, and the chain between them.
type bench struct {
	*Custodian
	t          *testing.T
	ledger     *fakeLedger
	peers      *dialled
	fetch      *from
	near, far  blob.Store
	node, gate *key.Key
	lease      *tasksv1.Lease
}

func newBench(t *testing.T) *bench {
	b := &bench{t: t, peers: &dialled{}, near: blobStore(t, t.TempDir(), 64<<20), far: blobStore(t, t.TempDir(), 64<<20)}
	var err error
	b.node, err = key.Generate()
	require.NoError(t, err)
	b.gate, err = key.Generate()
	require.NoError(t, err)
	b.lease = &tasksv1.Lease{
		Id: 9, JobId: 7, First: 3, Count: 2, NexcoreId: 5, Attempt: 1, State: tasksv1.LeaseState_LEASE_STATE_ACKNOWLEDGED,
	}
	b.ledger = &fakeLedger{
		leases: map[uint64]*tasksv1.Lease{9: b.lease},
		nexcores: map[uint64]*nexcorev1.NexCore{5: {
			Id: 5, NodePubkey: b.node.PublicKey(), Spec: &nexcorev1.Spec{PeerIds: []string{"me"}, Multiaddrs: []string{"/ip4/192.0.2.1/tcp/1/p2p/me"}},
		}},
	}
	metrics, err := NewMetrics(b.near)
	require.NoError(t, err)
	b.fetch = &from{far: b.far, near: b.near}
	b.Custodian = NewCustodian(CustodyConfig{
		ChainID: testChain, MaxBytes: 1 << 20, Timeout: time.Minute, Keep: time.Hour, Parallel: 2, Metrics: metrics,
	}, b.gate, b.near, b.fetch, b.peers, b.ledger)
	return b
}

// build makes a result of the lease; only the first shard was run.
func (b *bench) build(s malicious.Steps) verdict.Custody {
	b.t.Helper()
	c, err := malicious.Build(b.t.Context(), b.far, testChain, b.lease, []int{0}, s)
	require.NoError(b.t, err)
	return c
}

// of makes the result of another lease, of which the first shard was run.
func (b *bench) of(lease uint64) verdict.Custody {
	b.t.Helper()
	c, err := malicious.Build(b.t.Context(), b.far, testChain, b.ledger.leases[lease], []int{0}, malicious.Steps{})
	require.NoError(b.t, err)
	return c
}

// request is what an honest program of the NexCore would send for c.
func (b *bench) request(c verdict.Custody, addrs ...string) CustodyRequest {
	b.t.Helper()
	msg, err := result.RequestMessage(c, addrs)
	require.NoError(b.t, err)
	return CustodyRequest{
		ChainID: c.ChainID, LeaseID: c.LeaseID, CID: c.ResultCID, Root: hex.EncodeToString(c.Root[:]), Bytes: c.Bytes,
		Outcomes: hex.EncodeToString(c.Outcomes), Addrs: addrs, Signature: hex.EncodeToString(b.node.Sign(msg)),
	}
}

func (b *bench) pins() []blob.Pin {
	b.t.Helper()
	pins, err := b.near.Pins(b.t.Context())
	require.NoError(b.t, err)
	return pins
}
