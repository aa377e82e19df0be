package gateway

import (
	"bytes"
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/ipfs/go-cid"

	"github.com/nexara/nexara/node/blob"
	"github.com/nexara/nexara/node/key"
	"github.com/nexara/nexara/node/result"
	nexcorev1 "github.com/nexara/nexara/proto/gen/nexara/nexcore/v1"
	tasksv1 "github.com/nexara/nexara/proto/gen/nexara/tasks/v1"
	"github.com/nexara/nexara/x/tasks/verdict"
)

// Errors of custody and logs; each maps to one HTTP status.
var (
	// ErrRequest says that a request is malformed.
	ErrRequest = errors.New("bad request")
	// ErrSigner says that a request is not signed by the NexCore that holds the lease.
	ErrSigner = errors.New("not signed by the lease's NexCore")
	// ErrLease says that the chain knows no live lease that fits the request.
	ErrLease = errors.New("no such live lease")
	// ErrResult says that the blocks fetched are not the result the request describes.
	ErrResult = errors.New("result does not fit")
	// ErrKept says that as many results of the lease are kept as may be.
	ErrKept = errors.New("too many results of one lease")
	// ErrUnavailable says that blocks, or the chain, could not be reached in time.
	ErrUnavailable = errors.New("unavailable")
)

// Ledger is what the gateway asks the chain. ErrLease says that there is no such record; any other error that
// nothing is known now.
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
	Parallel int           // requests fetched at once; three times as many wait, more are told to come again
	// Metrics may be nil.
	Metrics *Metrics
}

// Custodian fetches results and signs that it holds them: without such a receipt no operator is paid.
// It signs only for live leases of the chain, only what their NexCore asks for, and only what it has verified
// block by block and manifest by manifest: the chain pays each shard whose bit is under the signature.
type Custodian struct {
	cfg    CustodyConfig
	key    *key.Key
	store  blob.Store
	fetch  blob.Fetcher
	peers  Peers
	ledger Ledger
	asked  chan struct{} // requests under way, waiting ones included
	slots  chan struct{} // requests that fetch

	mu   sync.Mutex
	busy map[uint64]uint64 // leases with a request under way, and their NexCores
}

// NewCustodian returns a custodian.
func NewCustodian(cfg CustodyConfig, k *key.Key, store blob.Store, fetch blob.Fetcher, peers Peers, ledger Ledger) *Custodian {
	n := max(cfg.Parallel, 1)
	return &Custodian{
		cfg: cfg, key: k, store: store, fetch: fetch, peers: peers, ledger: ledger,
		asked: make(chan struct{}, 4*n), slots: make(chan struct{}, n), busy: map[uint64]uint64{},
	}
}

// CustodyRequest asks for a receipt. Signature is by the node key of the lease's NexCore over
// result.RequestMessage of all other fields.
type CustodyRequest struct {
	ChainID   string   `json:"chain_id"`
	LeaseID   uint64   `json:"lease_id"`
	CID       string   `json:"cid"`
	Root      string   `json:"root"`      // hex, 32 bytes
	Bytes     int64    `json:"bytes"`     // of all blocks under CID
	Outcomes  string   `json:"outcomes"`  // hex, a bit for each shard of the lease
	Addrs     []string `json:"addrs"`     // where the NexCore listens now, each ending in /p2p/ID
	Signature string   `json:"signature"` // hex, 64 bytes R||S
}

// CustodyReceipt is the answer.
type CustodyReceipt struct {
	Pubkey    string `json:"pubkey"`    // hex, 33 bytes
	Signature string `json:"signature"` // hex, 64 bytes R||S
}

const (
	maxRequestBytes = 16 << 10
	// maxKept bounds the results kept of one lease. One is the rule; another comes when a NexCore has lost blocks.
	maxKept = 4
	// pinPrefix begins the names of pins of results: pinPrefix LEASE / CID.
	pinPrefix = "custody/"
)

// ServeHTTP answers POST /v1/custody.
func (c *Custodian) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	began := time.Now()
	req, err := decodeRequest(w, r)
	var receipt CustodyReceipt
	if err == nil {
		ctx, cancel := context.WithTimeout(r.Context(), c.cfg.Timeout)
		defer cancel()
		receipt, err = c.Take(ctx, req)
	}
	if err != nil {
		c.cfg.Metrics.refused(err)
		writeError(w, err)
		return
	}
	c.cfg.Metrics.signed(time.Since(began), req.Bytes)
	writeJSON(w, http.StatusOK, receipt)
}

// decodeRequest reads the whole body, one document of JSON. A web page can send none: it may not say that it
// sends JSON, or tells its origin.
func decodeRequest(w http.ResponseWriter, r *http.Request) (req CustodyRequest, err error) {
	if t, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || t != "application/json" || r.Header.Get("Origin") != "" {
		return req, fmt.Errorf("%w: want content type application/json and no origin", ErrRequest)
	}
	raw, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxRequestBytes))
	if err != nil {
		return req, fmt.Errorf("%w: %w", ErrRequest, err)
	}
	dec := json.NewDecoder(bytes.NewReader(raw))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&req); err != nil {
		return req, fmt.Errorf("%w: %w", ErrRequest, err)
	}
	if dec.More() {
		return req, fmt.Errorf("%w: more than one document", ErrRequest)
	}
	return req, nil
}

// Take fetches, verifies and pins a result and signs for it.
func (c *Custodian) Take(ctx context.Context, req CustodyRequest) (CustodyReceipt, error) {
	var none CustodyReceipt
	want, root, err := c.parse(req)
	if err != nil {
		return none, err
	}
	select {
	case c.asked <- struct{}{}:
		defer func() { <-c.asked }()
	default:
		return none, errBusy
	}
	lease, nexcore, err := c.authorise(ctx, want, req)
	if err != nil {
		return none, err
	}
	if !c.claim(lease) {
		return none, errBusy
	}
	defer c.unclaim(lease.Id)
	select {
	case c.slots <- struct{}{}:
		defer func() { <-c.slots }()
	case <-ctx.Done():
		return none, fmt.Errorf("%w: busy", ErrUnavailable)
	}
	pin, err := c.pinOf(ctx, lease.Id, root)
	if err != nil {
		return none, err
	}
	c.connect(ctx, nexcore, req.Addrs)
	defer c.store.Hold()()
	stat, err := c.fetch.Fetch(ctx, root, blob.Limits{MaxBytes: want.Bytes})
	if err != nil {
		return none, unfit(ctx, err)
	}
	if stat.Bytes != want.Bytes {
		return none, fmt.Errorf("%w: %d bytes under %s, not %d", ErrResult, stat.Bytes, want.ResultCID, want.Bytes)
	}
	if err := checkResult(ctx, c.store, root, want, lease); err != nil {
		return none, err
	}
	if err := c.store.Pin(ctx, pin); err != nil {
		return none, fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	msg, err := want.Message()
	if err != nil {
		return none, fmt.Errorf("%w: %w", ErrRequest, err)
	}
	return CustodyReceipt{Pubkey: hex.EncodeToString(c.key.PublicKey()), Signature: hex.EncodeToString(c.key.Sign(msg))}, nil
}

// parse looks at the form of a request and gives the receipt that it asks for.
func (c *Custodian) parse(req CustodyRequest) (want verdict.Custody, root cid.Cid, err error) {
	bad := func(format string, args ...any) (verdict.Custody, cid.Cid, error) {
		return want, root, fmt.Errorf("%w: "+format, append([]any{ErrRequest}, args...)...)
	}
	if req.ChainID != c.cfg.ChainID {
		return bad("chain %.80q is not %q", req.ChainID, c.cfg.ChainID)
	}
	// Nought would be no bound at all on what is fetched.
	if req.Bytes < 1 || req.Bytes > c.cfg.MaxBytes {
		return bad("%d bytes, allowed are 1 to %d", req.Bytes, c.cfg.MaxBytes)
	}
	hash, err := hex.DecodeString(req.Root)
	if err != nil || len(hash) != verdict.HashSize {
		return bad("root is not %d bytes of hex", verdict.HashSize)
	}
	outcomes, err := hex.DecodeString(req.Outcomes)
	if err != nil {
		return bad("outcomes is not hex")
	}
	if root, err = blob.Parse(req.CID); err != nil {
		return bad("%w", err)
	}
	if root.Version() != 1 || root.String() != req.CID {
		return bad("CID is not the canonical text of a CIDv1")
	}
	want = verdict.Custody{
		ChainID: req.ChainID, LeaseID: req.LeaseID, ResultCID: req.CID, Root: verdict.Hash(hash), Bytes: req.Bytes, Outcomes: outcomes,
	}
	if _, err := result.RequestMessage(want, req.Addrs); err != nil {
		return bad("%w", err)
	}
	return want, root, nil
}

// authorise finds the live lease and makes sure that its NexCore is who asks.
func (c *Custodian) authorise(ctx context.Context, want verdict.Custody, req CustodyRequest) (*tasksv1.Lease, *nexcorev1.NexCore, error) {
	lease, nexcore, err := lookUp(ctx, c.ledger, want.LeaseID)
	if err != nil {
		return nil, nil, err
	}
	msg, err := result.RequestMessage(want, req.Addrs)
	if err != nil {
		return nil, nil, fmt.Errorf("%w: %w", ErrRequest, err)
	}
	signature, err := hex.DecodeString(req.Signature)
	if err != nil {
		return nil, nil, fmt.Errorf("%w: signature is not hex", ErrRequest)
	}
	if err := key.Verify(nexcore.NodePubkey, msg, signature); err != nil {
		return nil, nil, fmt.Errorf("%w: NexCore %d: %w", ErrSigner, nexcore.Id, err)
	}
	if lease.State != tasksv1.LeaseState_LEASE_STATE_ASSIGNED && lease.State != tasksv1.LeaseState_LEASE_STATE_ACKNOWLEDGED {
		return nil, nil, fmt.Errorf("%w: lease %d is %s", ErrLease, lease.Id, lease.State)
	}
	if err := want.Outcomes.Check(int(lease.Count)); err != nil {
		return nil, nil, fmt.Errorf("%w: lease of %d shards: %w", ErrResult, lease.Count, err)
	}
	return lease, nexcore, nil
}

// lookUp asks the chain for a lease and its NexCore.
func lookUp(ctx context.Context, ledger Ledger, id uint64) (*tasksv1.Lease, *nexcorev1.NexCore, error) {
	lease, err := ledger.Lease(ctx, id)
	var nexcore *nexcorev1.NexCore
	if err == nil {
		nexcore, err = ledger.NexCore(ctx, lease.NexcoreId)
	}
	if err != nil && !errors.Is(err, ErrLease) {
		err = fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	return lease, nexcore, err
}

// claim takes the right to work on a lease: a second request at the same time has nothing to win. One NexCore has
// at most half of the slots, or one whose blocks never come could keep all others from theirs.
func (c *Custodian) claim(lease *tasksv1.Lease) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if _, taken := c.busy[lease.Id]; taken {
		return false
	}
	own := 0
	for _, nexcore := range c.busy {
		if nexcore == lease.NexcoreId {
			own++
		}
	}
	if own >= max(cap(c.slots)/2, 1) {
		return false
	}
	c.busy[lease.Id] = lease.NexcoreId
	return true
}

func (c *Custodian) unclaim(lease uint64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.busy, lease)
}

// pinOf is the pin of a result. It has lease and CID in its name: what was signed for is kept for its time, and
// never moves because something else is signed for. The caller has claimed the lease.
func (c *Custodian) pinOf(ctx context.Context, lease uint64, root cid.Cid) (blob.Pin, error) {
	of := fmt.Sprintf("%s%d/", pinPrefix, lease)
	pin := blob.Pin{Name: of + root.String(), Root: root, Until: time.Now().Add(c.cfg.Keep)}
	pins, err := c.store.Pins(ctx)
	if err != nil {
		return pin, fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	held := 0
	for _, p := range pins {
		switch {
		case p.Name == pin.Name:
			if p.Until.IsZero() || p.Until.After(pin.Until) {
				pin.Until = p.Until
			}
			return pin, nil
		case strings.HasPrefix(p.Name, of):
			held++
		}
	}
	if held >= maxKept {
		return pin, fmt.Errorf("%w: lease %d has %d", ErrKept, lease, held)
	}
	return pin, nil
}

// connect dials the NexCore where it says it is and where the registry says; blocks may also come from others.
// Only addresses of peers that the registry names are dialled.
func (c *Custodian) connect(ctx context.Context, nexcore *nexcorev1.NexCore, addrs []string) {
	spec := nexcore.GetSpec()
	own := slices.DeleteFunc(slices.Clone(addrs), func(a string) bool { return !ofPeers(a, spec.GetPeerIds()) })
	if len(own) > 0 && c.peers.Connect(ctx, own) == nil {
		return
	}
	if registered := spec.GetMultiaddrs(); len(registered) > 0 {
		_ = c.peers.Connect(ctx, registered) // the fetch says what is missing
	}
}

// ofPeers says whether an address ends at one of the peers and passes through no other.
func ofPeers(addr string, peers []string) bool {
	_, id, ok := strings.Cut(addr, "/p2p/")
	return ok && id != "" && slices.Contains(peers, id)
}
