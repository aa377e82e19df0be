package lease

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/ipfs/go-cid"
	"github.com/stretchr/testify/require"

	"github.com/nexara/nexara/node/blob"
	"github.com/nexara/nexara/node/driver"
	"github.com/nexara/nexara/node/jobspec"
	"github.com/nexara/nexara/node/store"
	tasksv1 "github.com/nexara/nexara/proto/gen/nexara/tasks/v1"
	"github.com/nexara/nexara/x/tasks/lifecycle"
)

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
		n := 0
		for _, l := range d.r.Status() {
			for _, s := range l.Shards {
				if s.State == "running" {
					n++
				}
			}
		}
		return n == 3
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
				in, err := blob.Walk(t.Context(), w.remote, w.input.CID, blob.Limits{}, nil)
				require.NoError(t, err)
				for i, m := range w.manifests(id) {
					require.Equal(t, in.Bytes, m.Usage.BytesIn, "whoever fetched")
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
	_, err = NewGateways(GatewaysConfig{URLs: []string{"gateway"}, Sign: func([]byte) []byte { return nil }})
	require.ErrorIs(t, err, ErrConfig)
	_, err = NewGateways(GatewaysConfig{URLs: []string{"http://127.0.0.1:1"}})
	require.ErrorIs(t, err, ErrConfig, "nobody signs")
}
