package gateway

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/ipfs/go-cid"

	"github.com/nexara/nexara/node/blob"
	"github.com/nexara/nexara/node/key"
	"github.com/nexara/nexara/node/result"
	nexcorev1 "github.com/nexara/nexara/proto/gen/nexara/nexcore/v1"
	tasksv1 "github.com/nexara/nexara/proto/gen/nexara/tasks/v1"
	"github.com/nexara/nexara/x/tasks/verdict"
)

// Errors of custody; each maps to one HTTP status.
var (
	// ErrRequest says that a request is malformed.
	ErrRequest = errors.New("bad request")
	// ErrLease says that the chain knows no live lease that fits the request.
	ErrLease = errors.New("no such live lease")
	// ErrResult says that the blocks fetched are not the result the request describes.
	ErrResult = errors.New("result does not fit")
	// ErrUnavailable says that blocks, or the chain, could not be reached in time.
	ErrUnavailable = errors.New("unavailable")
)

// Ledger is what the gateway asks the chain.
type Ledger interface {
	Lease(ctx context.Context, id uint64) (*tasksv1.Lease, error)
	NexCore(ctx context.Context, id uint64) (*nexcorev1.NexCore, error)
}

// Peers reaches NexCores.
type Peers interface {
	// Connect dials a peer at any of its addresses, each ending in /p2p/ID.
	Connect(ctx context.Context, addrs []string) error
}

// CustodyConfig bounds what the gateway takes custody of.
type CustodyConfig struct {
	ChainID  string
	MaxBytes int64         // of one lease's result
	Timeout  time.Duration // of one request
	Keep     time.Duration // how long a result stays pinned
	Parallel int           // requests fetched at once; more wait
}

// Custodian fetches results and signs that it holds them: without such a receipt no operator is paid.
// It signs only for live leases of the chain, and only what it has verified block by block.
type Custodian struct {
	cfg    CustodyConfig
	key    *key.Key
	store  blob.Store
	fetch  blob.Fetcher
	peers  Peers
	ledger Ledger
	slots  chan struct{}
}

// NewCustodian returns a custodian.
func NewCustodian(cfg CustodyConfig, k *key.Key, store blob.Store, fetch blob.Fetcher, peers Peers, ledger Ledger) *Custodian {
	return &Custodian{cfg: cfg, key: k, store: store, fetch: fetch, peers: peers, ledger: ledger, slots: make(chan struct{}, max(cfg.Parallel, 1))}
}

// CustodyRequest asks for a receipt.
type CustodyRequest struct {
	ChainID string   `json:"chain_id"`
	LeaseID uint64   `json:"lease_id"`
	CID     string   `json:"cid"`
	Root    string   `json:"root"`  // hex, 32 bytes
	Bytes   int64    `json:"bytes"` // of all blocks under CID
	Addrs   []string `json:"addrs"` // where the NexCore listens now, each ending in /p2p/ID
}

// CustodyReceipt is the answer.
type CustodyReceipt struct {
	Pubkey    string `json:"pubkey"`    // hex, 33 bytes
	Signature string `json:"signature"` // hex, 64 bytes R||S
}

const (
	maxRequestBytes = 16 << 10
	maxAddrs        = 16
)

// ServeHTTP answers POST /v1/custody.
func (c *Custodian) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	var req CustodyRequest
	dec := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxRequestBytes))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&req); err != nil {
		writeError(w, fmt.Errorf("%w: %w", ErrRequest, err))
		return
	}
	ctx, cancel := context.WithTimeout(r.Context(), c.cfg.Timeout)
	defer cancel()
	receipt, err := c.Take(ctx, req)
	if err != nil {
		writeError(w, err)
		return
	}
	writeJSON(w, http.StatusOK, receipt)
}

// Take fetches, verifies and pins a result and signs for it.
func (c *Custodian) Take(ctx context.Context, req CustodyRequest) (CustodyReceipt, error) {
	root, hash, err := c.check(req)
	if err != nil {
		return CustodyReceipt{}, err
	}
	select {
	case c.slots <- struct{}{}:
		defer func() { <-c.slots }()
	case <-ctx.Done():
		return CustodyReceipt{}, fmt.Errorf("%w: busy", ErrUnavailable)
	}
	lease, err := c.ledger.Lease(ctx, req.LeaseID)
	if err != nil {
		return CustodyReceipt{}, fmt.Errorf("%w: %w", ErrLease, err)
	}
	if lease.State != tasksv1.LeaseState_LEASE_STATE_ASSIGNED && lease.State != tasksv1.LeaseState_LEASE_STATE_ACKNOWLEDGED {
		return CustodyReceipt{}, fmt.Errorf("%w: lease %d is %s", ErrLease, req.LeaseID, lease.State)
	}
	c.connect(ctx, lease.NexcoreId, req.Addrs)
	release := c.store.Hold()
	defer release()
	stat, err := c.fetch.Fetch(ctx, root, blob.Limits{MaxBytes: min(req.Bytes, c.cfg.MaxBytes)})
	if err != nil {
		if errors.Is(err, blob.ErrTooLarge) || errors.Is(err, blob.ErrCorrupt) {
			return CustodyReceipt{}, fmt.Errorf("%w: %w", ErrResult, err)
		}
		return CustodyReceipt{}, fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	if stat.Bytes != req.Bytes {
		return CustodyReceipt{}, fmt.Errorf("%w: %d bytes under %s, not %d", ErrResult, stat.Bytes, req.CID, req.Bytes)
	}
	if err := c.checkIndex(ctx, root, hash, lease); err != nil {
		return CustodyReceipt{}, err
	}
	pin := blob.Pin{Name: fmt.Sprintf("lease-%d", req.LeaseID), Root: root, Until: time.Now().Add(c.cfg.Keep)}
	if err := c.store.Pin(ctx, pin); err != nil {
		return CustodyReceipt{}, fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	msg, err := verdict.Custody{ChainID: c.cfg.ChainID, LeaseID: req.LeaseID, ResultCID: req.CID, Root: hash, Bytes: req.Bytes}.Message()
	if err != nil {
		return CustodyReceipt{}, fmt.Errorf("%w: %w", ErrRequest, err)
	}
	return CustodyReceipt{Pubkey: hex.EncodeToString(c.key.PublicKey()), Signature: hex.EncodeToString(c.key.Sign(msg))}, nil
}

// check looks at the form of a request.
func (c *Custodian) check(req CustodyRequest) (root cid.Cid, hash verdict.Hash, err error) {
	if req.ChainID != c.cfg.ChainID {
		return root, hash, fmt.Errorf("%w: chain %q is not %q", ErrRequest, req.ChainID, c.cfg.ChainID)
	}
	if len(req.Addrs) > maxAddrs || req.Bytes < 0 || req.Bytes > c.cfg.MaxBytes {
		return root, hash, fmt.Errorf("%w: %d addresses, %d bytes", ErrRequest, len(req.Addrs), req.Bytes)
	}
	bz, err := hex.DecodeString(req.Root)
	if err != nil || len(bz) != len(hash) {
		return root, hash, fmt.Errorf("%w: root is not %d bytes of hex", ErrRequest, len(hash))
	}
	if root, err = blob.Parse(req.CID); err != nil {
		return root, hash, fmt.Errorf("%w: %w", ErrRequest, err)
	}
	return root, verdict.Hash(bz), nil
}

// connect dials the NexCore where it says it is and where the registry says; blocks may also come from others.
func (c *Custodian) connect(ctx context.Context, nexcore uint64, addrs []string) {
	if len(addrs) > 0 && c.peers.Connect(ctx, addrs) == nil {
		return
	}
	if record, err := c.ledger.NexCore(ctx, nexcore); err == nil && len(record.GetSpec().GetMultiaddrs()) > 0 {
		_ = c.peers.Connect(ctx, record.Spec.Multiaddrs) // the fetch says what is missing
	}
}

// checkIndex makes sure that the folder is this lease's result and has the Merkle root that is signed.
func (c *Custodian) checkIndex(ctx context.Context, root cid.Cid, want verdict.Hash, lease *tasksv1.Lease) error {
	at, _, err := blob.Resolve(ctx, c.store, root, result.IndexName)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrResult, err)
	}
	bz, err := blob.ReadAll(ctx, c.store, at, result.MaxIndexBytes)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrResult, err)
	}
	index, err := result.DecodeIndex(bz)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrResult, err)
	}
	got, err := index.Root()
	if err != nil || got != want {
		return fmt.Errorf("%w: another Merkle root", ErrResult)
	}
	if index.Lease != lease.Id || index.Job != lease.JobId || index.First != lease.First || int64(len(index.Manifests)) != lease.Count {
		return fmt.Errorf("%w: another lease's index", ErrResult)
	}
	return nil
}
