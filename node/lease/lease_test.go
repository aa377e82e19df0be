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
	"github.com/nexara/nexara/x/tasks/lifecycle"
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
		Custodian: custodian{w, st, c}, Journal: journal{j, c}, Logger: log,
	})
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(context.Background())
	if c != nil {
		c.kill = cancel
	}
	done := make(chan error, 1)
	go func() { done <- r.Run(ctx) }()
	w.chain.set(func() { w.chain.wake = r.Wake })
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

func TestDiagram(t *testing.T) {
	const frame = "# Run: a lease on its NexCore\n\nDrawn from the table in node/lease/machine.go; " +
		"`go test ./node/lease -run TestDiagram -update` draws it again.\n\n```mermaid\n%s```\n"
	path := filepath.Join("..", "..", "docs", "spec", "run.md")
	if *update {
		require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o755))
		require.NoError(t, os.WriteFile(path, fmt.Appendf(nil, frame, Diagram()), 0o644))
	}
	got, err := os.ReadFile(path)
	require.NoError(t, err)
	require.Equal(t, fmt.Sprintf(frame, Diagram()), string(got), "stale; run with -update")
}

// Every stage but the last is left, every one is reached, no event has two moves.
func TestTableIsAMachine(t *testing.T) {
	reached, left := map[Stage]bool{Seen: true}, map[Stage]bool{}
	type edge struct {
		Stage
		Event
	}
	seen := map[edge]bool{}
	for _, m := range table {
		require.False(t, seen[edge{m.from, m.event}])
		seen[edge{m.from, m.event}] = true
		reached[m.to], left[m.from] = true, true
		if m.from != Stopping && m.from != Declining {
			require.True(t, m.to > m.from || m.event == Refused, "%s goes back on %s", m.from, m.event)
		}
	}
	for s := Seen; s <= Done; s++ {
		require.True(t, reached[s], s.String())
		require.Equal(t, s != Done, left[s], s.String())
		if s < Stopping {
			require.True(t, seen[edge{s, Closed}], "%s cannot be closed", s)
		}
	}
	_, _, err := Step(Done, Begin)
	require.ErrorIs(t, err, ErrIllegal)
}

func TestArrayRunsToDelivery(t *testing.T) {
	w := newWorld(t)
	d := w.start(nil)
	id := w.job(5, nil)
	w.reaches(id, delivered)
	for i, m := range w.manifests(id) {
		require.Equal(t, int64(i), m.Shard)
		require.Equal(t, "exited", m.Reason)
		require.Zero(t, m.ExitCode)
		require.Positive(t, m.Usage.BytesIn)
		require.Equal(t, fmt.Sprintf("%d some words", i), w.content(id, i, "outputs/deep/er/result.txt"))
		require.Contains(t, w.content(id, i, "log"), fmt.Sprintf("shard %d ends", i))
	}
	w.eventually("done", func() bool { return d.r.Leases() == 0 })
	runs, err := os.ReadDir(filepath.Join(w.dir, "wasm", "runs"))
	require.NoError(t, err)
	require.Empty(t, runs, "a run was left behind")
	f, err := os.ReadFile(filepath.Join(w.dir, "journal.db"))
	require.NoError(t, err)
	require.NotEmpty(t, f)
	pins, err := d.store.Pins(t.Context())
	require.NoError(t, err)
	require.Len(t, pins, 1)
}

func TestFailureOfTheProgramIsDelivered(t *testing.T) {
	w := newWorld(t)
	w.start(nil)
	fail := w.job(1, func(d *jobspec.Document, _ *tasksv1.Assignment) { d.Args = []string{"fail"} })
	link := w.job(1, func(d *jobspec.Document, _ *tasksv1.Assignment) { d.Args = []string{"link"} })
	slow := w.job(1, func(d *jobspec.Document, a *tasksv1.Assignment) {
		d.Args, d.Env, d.RunSeconds = []string{"sleep"}, []jobspec.Var{{Name: "MILLIS", Value: "60000"}}, 1
		a.Job.Shape.RunSeconds = 1
	})
	w.reaches(fail, delivered)
	require.Equal(t, int32(3), w.manifests(fail)[0].ExitCode)
	w.reaches(link, delivered)
	m := w.manifests(link)[0]
	if m.ExitCode == 0 { // the engine let the link be made, so the collection refused it
		require.Equal(t, reasonRefused, m.Reason)
		require.Contains(t, w.content(link, 0, "log"), "the output folder was refused")
	}
	w.reaches(slow, delivered)
	require.Equal(t, "out_of_time", w.manifests(slow)[0].Reason)
}

func TestUnfetchableInputIsDeclinedForFree(t *testing.T) {
	for name, change := range map[string]func(w *world, d *jobspec.Document, a *tasksv1.Assignment){
		"nobody has the input": func(w *world, d *jobspec.Document, a *tasksv1.Assignment) {
			b, err := blob.NewBlock(cid.Raw, []byte("never stored anywhere"))
			require.NoError(t, err)
			d.Inputs[0].CID = b.CID().String()
			a.Lease.AckBy = w.chain.height + 16
		},
		"nobody has the document": func(w *world, _ *jobspec.Document, a *tasksv1.Assignment) {
			b, err := blob.NewBlock(cid.Raw, []byte("no such document"))
			require.NoError(t, err)
			a.Job.SpecCid, a.Lease.AckBy = b.CID().String(), w.chain.height+16
		},
		"more than declared":      func(_ *world, _ *jobspec.Document, a *tasksv1.Assignment) { a.Job.FetchBytes = 0 },
		"document of another job": func(_ *world, d *jobspec.Document, _ *tasksv1.Assignment) { d.Resources.MemoryMiB = 4096 },
		"document is no document": func(w *world, _ *jobspec.Document, a *tasksv1.Assignment) { a.Job.SpecCid = w.image.CID.String() },
		"image is no image": func(w *world, d *jobspec.Document, a *tasksv1.Assignment) {
			d.Image = w.input.CID.String()
			a.Job.ImageCid = d.Image
		},
		"network the job has none": func(_ *world, _ *jobspec.Document, a *tasksv1.Assignment) { a.Job.Shape.Network = true },
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.chain.set(func() { w.chain.every = 100 * time.Millisecond }) // the window is counted in blocks
			w.start(nil)
			id := w.job(2, func(d *jobspec.Document, a *tasksv1.Assignment) { change(w, d, a) })
			good := w.job(1, nil)
			w.reaches(id, closed)
			w.chain.set(func() {
				require.Equal(t, tasksv1.DeclineReason_DECLINE_REASON_INPUT_UNAVAILABLE, w.chain.declines[id])
				require.Zero(t, w.chain.acks[id])
			})
			w.reaches(good, delivered)
		})
	}
}

func TestInputsThatComeLate(t *testing.T) {
	w := newWorld(t)
	w.lost.Store(true)
	d := w.start(nil)
	id := w.job(1, nil)
	w.eventually("fetching", func() bool { s := d.r.Status(); return len(s) == 1 && s[0].Stage == "fetching" })
	w.lost.Store(false)
	w.reaches(id, delivered)
}

// A lease that the chain ends stops its runs.
func TestVanishedLeaseStopsItsRuns(t *testing.T) {
	w := newWorld(t)
	d := w.start(nil)
	sleep := func(doc *jobspec.Document, _ *tasksv1.Assignment) {
		doc.Args, doc.Env = []string{"sleep"}, []jobspec.Var{{Name: "MILLIS", Value: "19000"}}
	}
	id := w.job(3, sleep)
	running := func() bool {
		for _, l := range d.r.Status() {
			n := 0
			for _, s := range l.Shards {
				if s.State == "running" {
					n++
				}
			}
			return n == 3
		}
		return false
	}
	w.reaches(id, acked)
	w.eventually("running", running)
	log, err := d.r.OpenLog(t.Context(), id, 1)
	require.NoError(t, err)
	require.True(t, log.Live)
	require.NoError(t, log.Close())

	// Nothing stops while the chain is away, or while it is only slow to say anything.
	w.chain.set(func() { w.chain.down = true })
	time.Sleep(100 * time.Millisecond) // not a synchronisation: time in which nothing may happen
	require.True(t, running())
	w.chain.set(func() { w.chain.down = false })
	require.True(t, running())

	w.chain.end(id, lifecycle.Cancel)
	w.reaches(id, cancelledEnd)
	w.eventually("stopped", func() bool { return d.r.Leases() == 0 })
	runs, err := os.ReadDir(filepath.Join(w.dir, "wasm", "runs"))
	require.NoError(t, err)
	require.Empty(t, runs)
	w.chain.set(func() { require.Empty(t, w.chain.results[id]) })
}

// After the grace, runs stop; when the chain is back and still holds the lease, it is run again.
func TestGrace(t *testing.T) {
	w := newWorld(t)
	w.config = func(c *Config) { c.Grace = 50 * time.Millisecond }
	d := w.start(nil)
	id := w.job(1, func(doc *jobspec.Document, _ *tasksv1.Assignment) {
		doc.Args, doc.Env = []string{"sleep"}, []jobspec.Var{{Name: "MILLIS", Value: "400"}}
	})
	w.reaches(id, acked)
	w.chain.set(func() { w.chain.down = true })
	w.eventually("stopped", func() bool { return d.r.Leases() == 0 })
	w.chain.set(func() { w.chain.down = false })
	w.reaches(id, delivered)
	require.Equal(t, "exited", w.manifests(id)[0].Reason)
}

// The gateway may be away for long, and the chain may refuse its signature: the result waits and is vouched for again.
func TestCustodyIsTriedAgain(t *testing.T) {
	w := newWorld(t)
	w.noGateway.Store(true)
	w.chain.badSigs = 1
	d := w.start(nil)
	id := w.job(2, nil)
	w.eventually("vouching", func() bool { s := d.r.Status(); return len(s) == 1 && s[0].Stage == "vouching" })
	w.noGateway.Store(false)
	w.reaches(id, delivered)
	require.GreaterOrEqual(t, w.vouched.Load(), int64(2))
	w.manifests(id)
}

// brokenDriver fails to start chosen shards, as a full disk does.
type brokenDriver struct {
	driver.Driver
	broken func(id string) error
}

func (b brokenDriver) Start(ctx context.Context, s driver.Spec) (driver.Run, error) {
	if err := b.broken(s.ID); err != nil {
		return nil, err
	}
	return b.Driver.Start(ctx, s)
}

func TestHostFaultLosesOnlyItsShard(t *testing.T) {
	w := newWorld(t)
	w.faults = func(d driver.Driver) driver.Driver {
		return brokenDriver{d, func(id string) error {
			if id == RunID(1, 1) || id == RunID(2, 0) {
				return fmt.Errorf("%w: disk full", driver.ErrNoSpace)
			}
			return nil
		}}
	}
	w.start(nil)
	some, none, fine := w.job(3, nil), w.job(1, nil), w.job(2, nil)
	w.reaches(some, delivered)
	m := w.manifests(some)
	require.NotNil(t, m[0])
	require.Nil(t, m[1])
	require.NotNil(t, m[2])
	w.reaches(fine, delivered)
	w.reaches(none, closed)
	w.chain.set(func() { require.Empty(t, w.chain.leases[none].Lease.Result) })
}

func TestUnsupportedRuntimeIsDeclined(t *testing.T) {
	w := newWorld(t)
	w.start(nil)
	id := w.job(1, func(d *jobspec.Document, a *tasksv1.Assignment) {
		d.Runtime, a.Job.Shape.Runtime = jobspec.RuntimeContainer, "container"
	})
	w.reaches(id, closed)
	w.chain.set(func() {
		require.Equal(t, tasksv1.DeclineReason_DECLINE_REASON_UNSUPPORTED, w.chain.declines[id])
	})
}

// Messages of many leases share transactions, and one bad lease does not hurt the others.
func TestManyLeasesShareTransactions(t *testing.T) {
	w := newWorld(t)
	w.chain.set(func() { w.chain.noBlocks = true })
	w.start(nil)
	var ids []uint64
	for range 20 {
		ids = append(ids, w.job(1, nil))
	}
	w.chain.set(func() { w.chain.noBlocks = false })
	for _, id := range ids {
		w.reaches(id, delivered)
		w.manifests(id)
	}
	w.chain.set(func() { require.Less(t, len(w.chain.txs), 30, "40 messages") })
}

// The daemon is killed before and after each of its steps towards the outside, and
// started again: the lease is delivered once, whole, and nothing is left.
func TestKilledAtEveryStep(t *testing.T) {
	if testing.Short() {
		t.Skip("many restarts")
	}
	for _, after := range []bool{false, true} {
		for at := int64(1); ; at++ {
			c := &crash{at: at, after: after}
			done := t.Run(fmt.Sprintf("after=%v/%d", after, at), func(t *testing.T) {
				w := newWorld(t)
				first := w.start(c)
				id := w.job(2, nil)
				w.eventually("killed or done", func() bool { return c.killed.Load() || first.r.Leases() == 0 && w.chain.state(id) == delivered })
				first.stop()
				if c.killed.Load() {
					t.Logf("killed at %s", c.points[len(c.points)-1])
				}
				second := w.start(nil)
				w.reaches(id, delivered)
				w.eventually("done", func() bool { return len(second.log.Leases()) == 0 && second.r.Leases() == 0 })
				for i, m := range w.manifests(id) {
					require.Equal(t, "exited", m.Reason)
					require.Equal(t, fmt.Sprintf("%d some words", i), w.content(id, i, "outputs/deep/er/result.txt"))
				}
				runs, err := os.ReadDir(filepath.Join(w.dir, "wasm", "runs"))
				require.NoError(t, err)
				require.Empty(t, runs)
				second.stop()
				// The end is in the journal: a third process has nothing to do.
				j, err := store.Open(store.Config{Path: filepath.Join(w.dir, "journal.db")})
				require.NoError(t, err)
				require.Empty(t, j.Leases())
				require.NoError(t, j.Close())
			})
			if !done || !c.killed.Load() {
				break
			}
		}
	}
}

// A restarted daemon goes on without the chain: what it needs is on its disk.
func TestRestartWithoutTheChain(t *testing.T) {
	w := newWorld(t)
	w.noGateway.Store(true)
	first := w.start(nil)
	id := w.job(2, nil)
	w.eventually("vouching", func() bool { s := first.r.Status(); return len(s) == 1 && s[0].Stage == "vouching" })
	first.stop()
	w.chain.set(func() { w.chain.down = true })
	w.lost.Store(true)
	second := w.start(nil)
	w.noGateway.Store(false)
	w.eventually("delivering", func() bool { s := second.r.Status(); return len(s) == 1 && s[0].Stage == "delivering" })
	w.chain.set(func() { w.chain.down = false })
	w.reaches(id, delivered)
	w.manifests(id)
}

func TestConfigIsChecked(t *testing.T) {
	for _, change := range []func(*Config){
		func(c *Config) { c.Home = "relative" }, func(c *Config) { c.Grace = -1 },
		func(c *Config) { c.StartsAtOnce = -1 }, func(c *Config) { c.LogBytes = -1 },
	} {
		c := Default()
		c.Home = "/x"
		change(&c)
		require.ErrorIs(t, c.Validate(), ErrConfig)
	}
	_, err := New(Config{Home: t.TempDir()}, Deps{})
	require.ErrorIs(t, err, ErrConfig)
	_, err = NewGateways(GatewaysConfig{URLs: []string{"gateway"}})
	require.ErrorIs(t, err, ErrConfig)
}
