package lease

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ipfs/go-cid"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
	"google.golang.org/protobuf/proto"

	"github.com/nexara/nexara/node/blob"
	"github.com/nexara/nexara/node/blob/file"
	"github.com/nexara/nexara/node/driver"
	"github.com/nexara/nexara/node/driver/wasm"
	"github.com/nexara/nexara/node/jobspec"
	"github.com/nexara/nexara/node/key"
	"github.com/nexara/nexara/node/result"
	"github.com/nexara/nexara/node/store"
	tasksv1 "github.com/nexara/nexara/proto/gen/nexara/tasks/v1"
	"github.com/nexara/nexara/x/tasks/verdict"
)

var (
	update  = flag.Bool("update", false, "rewrite the diagram in docs/spec")
	verbose = flag.Bool("trace", false, "print the daemon's log")
	guest   string // the guest as a module
	native  string // a folder of the wasm driver that has compiled it
)

func TestMain(m *testing.M) {
	flag.Parse()
	dir, err := os.MkdirTemp("", "nexara-lease-")
	if err != nil {
		panic(err)
	}
	guest = filepath.Join(dir, "guest.wasm")
	build := exec.Command("go", "build", "-trimpath", "-ldflags", "-s -w", "-o", guest, ".")
	build.Dir = "testdata/guest"
	build.Env = append(os.Environ(), "GOOS=wasip1", "GOARCH=wasm", "CGO_ENABLED=0")
	if text, err := build.CombinedOutput(); err != nil {
		panic(fmt.Sprintf("%v: %s", err, text))
	}
	native = filepath.Join(dir, "wasm")
	d, err := wasm.New(wasm.Config{Dir: native})
	if err == nil {
		_, err = d.Prepare(context.Background(), guest)
		err = errors.Join(err, d.Close())
	}
	if err != nil {
		panic(err)
	}
	code := m.Run()
	os.RemoveAll(dir)
	if code == 0 {
		if err := goleak.Find(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			code = 1
		}
	}
	os.Exit(code)
}

var errKilled = errors.New("killed")

// crash kills the daemon at its n-th step towards the outside: before or after it.
type crash struct {
	at     int64
	after  bool
	count  atomic.Int64
	killed atomic.Bool
	kill   func()
	points []string
	mu     sync.Mutex
}

// step runs op unless the process is dead, and kills it at the chosen point.
func (c *crash) step(name string, op func() error) error {
	if c == nil {
		return op()
	}
	if c.killed.Load() {
		return errKilled
	}
	n := c.count.Add(1)
	c.mu.Lock()
	c.points = append(c.points, name)
	c.mu.Unlock()
	if n == c.at && !c.after {
		c.killed.Store(true)
		c.kill()
		return errKilled
	}
	err := op()
	if n == c.at {
		c.killed.Store(true)
		c.kill()
		return errKilled
	}
	return err
}

// world outlives the daemon: the chain, the requester's blobs, the daemon's disk.
type world struct {
	t         *testing.T
	dir       string
	chain     *ledger
	remote    blob.Store
	gateway   *key.Key
	noGateway atomic.Bool
	vouched   atomic.Int64
	lost      atomic.Bool // the requester's blobs cannot be fetched
	faults    func(driver.Driver) driver.Driver
	config    func(*Config)
	metrics   prometheus.Registerer
	image     blob.Node
	input     blob.Node
	nextID    uint64
}

func newWorld(t *testing.T) *world {
	w := &world{t: t, dir: t.TempDir(), chain: newLedger()}
	var err error
	w.remote, err = file.Open(file.Config{Dir: filepath.Join(w.dir, "remote"), MaxBytes: 1 << 30, Logger: slog.New(slog.DiscardHandler)})
	require.NoError(t, err)
	w.gateway, err = key.Generate()
	require.NoError(t, err)
	require.NoError(t, os.CopyFS(filepath.Join(w.dir, "wasm"), os.DirFS(native)))
	w.image, err = blob.AddPath(t.Context(), w.remote, guest, blob.Limits{})
	require.NoError(t, err)
	data := filepath.Join(w.dir, "data")
	require.NoError(t, os.MkdirAll(data, 0o755))
	require.NoError(t, os.WriteFile(filepath.Join(data, "text"), []byte("some words"), 0o644))
	w.input, err = blob.AddPath(t.Context(), w.remote, data, blob.Limits{})
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { defer close(done); w.chain.run(ctx) }()
	t.Cleanup(func() { cancel(); <-done; require.NoError(t, w.remote.Close()) })
	return w
}

// Fetch implements blob.Fetcher of the store given by local.
type fetcher struct {
	w     *world
	local blob.Store
}

func (f fetcher) Fetch(ctx context.Context, root cid.Cid, lim blob.Limits) (blob.Stat, error) {
	return blob.FetchDAG(ctx, f.local, root, lim, 4, func(ctx context.Context, c cid.Cid) ([]byte, error) {
		if f.w.lost.Load() {
			return nil, blob.ErrNotFound
		}
		b, err := f.w.remote.Get(ctx, c)
		return b.Data(), err
	})
}

type custodian struct {
	w     *world
	local blob.Store
	c     *crash
}

func (k custodian) Vouch(ctx context.Context, c verdict.Custody) (*tasksv1.Custody, error) {
	if k.w.noGateway.Load() {
		return nil, ErrCustody
	}
	root, err := blob.Parse(c.ResultCID)
	if err != nil {
		return nil, err
	}
	// It takes custody for real: every block, and the size that is signed.
	stat, err := blob.FetchDAG(ctx, k.w.remote, root, blob.Limits{}, 4, func(ctx context.Context, id cid.Cid) ([]byte, error) {
		b, err := k.local.Get(ctx, id)
		return b.Data(), err
	})
	if err != nil || stat.Bytes != c.Bytes {
		return nil, fmt.Errorf("%w: %d bytes, not %d: %w", ErrCustody, stat.Bytes, c.Bytes, err)
	}
	msg, err := c.Message()
	if err != nil {
		return nil, err
	}
	k.w.vouched.Add(1)
	out := &tasksv1.Custody{GatewayPubkey: k.w.gateway.PublicKey(), Signature: k.w.gateway.Sign(msg)}
	return out, k.c.step("custody", func() error { return nil })
}

type journal struct {
	*store.Journal
	c *crash
}

func (j journal) Append(lease uint64, steps ...store.Step) error {
	return j.c.step(fmt.Sprintf("journal %T", steps[len(steps)-1]), func() error { return j.Journal.Append(lease, steps...) })
}

type chainOf struct {
	*ledger
	c *crash
}

func (x chainOf) Submit(ctx context.Context, msgs ...proto.Message) (tx Tx, fate Fate, err error) {
	err = x.c.step(fmt.Sprintf("submit %T", msgs[0]), func() error { tx, fate, err = x.ledger.Submit(ctx, msgs...); return err })
	return tx, fate, err
}

func (x chainOf) Assignments(ctx context.Context) (a *tasksv1.QueryAssignmentsResponse, err error) {
	if x.c != nil && x.c.killed.Load() {
		return nil, errKilled
	}
	return x.ledger.Assignments(ctx)
}

// daemon is one process: from open files to closed files.
type daemon struct {
	w     *world
	r     *Reconciler
	store blob.Store
	log   *store.Journal
	stop  func() // as kill does: nothing is tidied up
}

func (w *world) start(c *crash) *daemon {
	t := w.t
	t.Helper()
	log := slog.New(slog.DiscardHandler)
	if *verbose {
		log = slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelDebug}))
	}
	st, err := file.Open(file.Config{Dir: filepath.Join(w.dir, "blobs"), MaxBytes: 1 << 30, Logger: log})
	require.NoError(t, err)
	j, err := store.Open(store.Config{Path: filepath.Join(w.dir, "journal.db")})
	require.NoError(t, err)
	wasmDriver, err := wasm.New(wasm.Config{Dir: filepath.Join(w.dir, "wasm")})
	require.NoError(t, err)
	var d driver.Driver = wasmDriver
	if w.faults != nil {
		d = w.faults(d)
	}
	cfg := Default()
	cfg.Home, cfg.RetryMin, cfg.RetryMax, cfg.Batch, cfg.Poll = w.dir, 5*time.Millisecond, 50*time.Millisecond, 2*time.Millisecond, 50*time.Millisecond
	if w.config != nil {
		w.config(&cfg)
	}
	r, err := New(cfg, Deps{
		Identity: Identity{ChainID: "test-1", NexCore: 7, Address: w.gateway.Address()},
		Chain:    chainOf{w.chain, c}, Drivers: map[string]driver.Driver{"wasm": d}, Store: st, Fetcher: fetcher{w, st},
		Custodian: custodian{w, st, c}, Journal: journal{j, c}, Logger: log, Metrics: w.metrics,
	})
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(context.Background())
	if c != nil {
		c.kill = cancel
	}
	done := make(chan error, 1)
	go func() { done <- r.Run(ctx) }()
	w.chain.set(func() { w.chain.wake = func() { r.Wake(time.Now()) } })
	var once sync.Once
	stop := func() {
		once.Do(func() {
			cancel()
			require.NoError(t, <-done)
			w.chain.set(func() { w.chain.wake = nil })
			require.NoError(t, wasmDriver.Close())
			require.NoError(t, j.Close())
			require.NoError(t, st.Close())
		})
	}
	t.Cleanup(stop)
	return &daemon{w: w, r: r, store: st, log: j, stop: stop}
}

// job puts a job of so many shards into the requester's blobs and assigns all of it.
func (w *world) job(shards int64, change func(*jobspec.Document, *tasksv1.Assignment)) uint64 {
	w.nextID++
	doc := &jobspec.Document{
		Version: jobspec.DocumentVersion, Name: "test", Runtime: jobspec.RuntimeWASM, Image: w.image.CID.String(),
		Args: []string{"hello"}, Shards: shards, Inputs: []jobspec.Mount{{CID: w.input.CID.String(), Mount: "/in/data"}},
		Resources: jobspec.Resources{CPUMilli: 100, MemoryMiB: 64, DiskMiB: 8}, RunSeconds: 20,
	}
	a := &tasksv1.Assignment{
		Lease: &tasksv1.Lease{Id: w.nextID, JobId: 100 + w.nextID, Count: shards, NexcoreId: 7, Attempt: 1},
		Job: &tasksv1.Job{
			Id: 100 + w.nextID, Name: "test", Shards: shards, ImageCid: doc.Image, FetchBytes: 64 << 20,
			Shape: &tasksv1.Shape{Runtime: "wasm", RunSeconds: 20, Need: &tasksv1.Resources{CpuMilli: 100, MemoryMib: 64, DiskMib: 8}},
		},
	}
	if change != nil {
		change(doc, a)
	}
	raw, err := doc.Encode()
	require.NoError(w.t, err)
	n, err := blob.AddBytes(w.t.Context(), w.remote, raw)
	require.NoError(w.t, err)
	if a.Job.SpecCid == "" {
		a.Job.SpecCid = n.CID.String()
	}
	w.chain.assign(a)
	return w.nextID
}

func (w *world) eventually(what string, cond func() bool) {
	w.t.Helper()
	deadline := time.Now().Add(60 * time.Second)
	for !cond() {
		if time.Now().After(deadline) {
			w.t.Fatalf("never: %s", what)
		}
		time.Sleep(2 * time.Millisecond)
	}
}

func (w *world) reaches(id uint64, states ...tasksv1.LeaseState) {
	w.t.Helper()
	w.eventually(fmt.Sprintf("lease %d in %v", id, states), func() bool {
		for _, s := range states {
			if w.chain.state(id) == s {
				return true
			}
		}
		return false
	})
}

const (
	assigned     = tasksv1.LeaseState_LEASE_STATE_ASSIGNED
	acked        = tasksv1.LeaseState_LEASE_STATE_ACKNOWLEDGED
	delivered    = tasksv1.LeaseState_LEASE_STATE_DELIVERED
	closed       = tasksv1.LeaseState_LEASE_STATE_CLOSED
	cancelledEnd = tasksv1.LeaseState_LEASE_STATE_SETTLED
)

// manifests reads the delivered result as a requester would, checking every proof.
func (w *world) manifests(id uint64) []*result.Manifest {
	t, ctx := w.t, w.t.Context()
	t.Helper()
	var res *tasksv1.Result
	w.chain.set(func() {
		require.Len(t, w.chain.results[id], 1, "exactly one delivery")
		res = w.chain.results[id][0]
	})
	root, err := blob.Parse(res.Cid)
	require.NoError(t, err)
	at, _, err := blob.Resolve(ctx, w.remote, root, result.IndexName)
	require.NoError(t, err)
	raw, err := blob.ReadAll(ctx, w.remote, at, result.MaxIndexBytes)
	require.NoError(t, err)
	index, err := result.DecodeIndex(raw)
	require.NoError(t, err)
	hash, err := index.Root()
	require.NoError(t, err)
	require.Equal(t, hash[:], res.Root)
	outcomes, err := index.Outcomes()
	require.NoError(t, err)
	require.Equal(t, []byte(outcomes), res.Outcomes)
	out := make([]*result.Manifest, len(index.Manifests))
	for i, text := range index.Manifests {
		if text == "" {
			continue
		}
		at, _, err := blob.Resolve(ctx, w.remote, root, result.ShardDir(i)+"/"+result.ManifestName)
		require.NoError(t, err)
		raw, err := blob.ReadAll(ctx, w.remote, at, result.MaxManifestBytes)
		require.NoError(t, err)
		out[i], err = result.DecodeManifest(raw)
		require.NoError(t, err)
		require.NoError(t, index.Check(i, out[i]))
	}
	return out
}

func (w *world) content(id uint64, i int, name string) string {
	root, err := blob.Parse(w.chain.results[id][0].Cid)
	require.NoError(w.t, err)
	at, _, err := blob.Resolve(w.t.Context(), w.remote, root, result.ShardDir(i)+"/"+name)
	require.NoError(w.t, err)
	raw, err := blob.ReadAll(w.t.Context(), w.remote, at, 1<<20)
	require.NoError(w.t, err)
	return string(raw)
}
