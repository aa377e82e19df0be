package scenario

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// Stories with real processes: what must survive does, and money is right afterwards. Each has a world of its
// own; those here run on the WASM driver, so that they run everywhere and need no root.

var bin, worker string

func TestMain(m *testing.M) {
	os.Exit(func() int {
		dir, err := os.MkdirTemp("", "nexara-bin-")
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		defer os.RemoveAll(dir)
		bin = os.Getenv("NEXARA_BIN")
		if bin == "" {
			bin = dir
			if err := build(nil, "-o", dir, "../../cmd/nexarad", "../../cmd/nexcore", "../../cmd/nexgate"); err != nil {
				fmt.Fprintln(os.Stderr, err)
				return 1
			}
		}
		worker = filepath.Join(dir, "worker.wasm")
		if err := build([]string{"GOOS=wasip1", "GOARCH=wasm"}, "-o", worker, "./testdata/worker"); err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		return m.Run()
	}())
}

func build(env []string, args ...string) error {
	cmd := exec.Command("go", append([]string{"build"}, args...)...)
	cmd.Env = append(os.Environ(), env...)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("go build %s: %w: %s", strings.Join(args, " "), err, out)
	}
	return nil
}

// machines are n equal NexCores; the first is the cheapest, so it is chosen first.
func machines(n int) []NexCore {
	var out []NexCore
	for i := range n {
		out = append(out, NexCore{
			Name: fmt.Sprintf("n%d", i+1), Region: "local", CPUMilli: 1_000, MemoryMiB: 1_024, DiskMiB: 128, Price: int64(50 + 20*i),
		})
	}
	return out
}

func start(t *testing.T, n int, params map[string]any) (*World, context.Context) {
	t.Helper()
	return startWith(t, Options{Dir: t.TempDir(), Driver: "wasm", NexCores: machines(n), Params: params})
}

// startWith starts a world that ends with the test, and shows the daemons' logs when the test fails.
func startWith(t *testing.T, o Options) (*World, context.Context) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 8*time.Minute)
	t.Cleanup(cancel)
	o.Bin = bin
	w, err := Start(ctx, o)
	require.NoError(t, err)
	t.Cleanup(func() {
		if t.Failed() {
			for _, m := range w.Machines {
				t.Logf("--- %s ---\n%s", m.NexCore.Name, m.Tail(3_000))
			}
			t.Logf("--- gateway ---\n%s", w.Gate.Tail(2_000))
		}
		require.NoError(t, w.Stop())
	})
	return w, ctx
}

// jobFile writes a job of the worker.
func jobFile(t *testing.T, shards int, seconds float64, extra string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "job.yaml")
	text := fmt.Sprintf(`name: survival
runtime: wasm
image: %s
shards: %d
env: {SECONDS: "%g"}
resources: {cpu: 200m, memory: 64MiB, disk: 8MiB}
time: 60s
price: {limit: 0.02 NEX}
attempts: 4
deadline: 5m
%s`, worker, shards, seconds, extra)
	require.NoError(t, os.WriteFile(file, []byte(text), 0o600))
	return file
}

func running(j Job) bool { return j.Job.Counts.Running != "" && j.Job.Counts.Running != "0" }

// settle waits for the end of a job and checks that each shard was paid exactly once and the money law holds.
func settle(t *testing.T, ctx context.Context, w *World, id uint64) {
	t.Helper()
	j, err := w.AwaitJob(ctx, id, 4*time.Minute, "ends", Ended)
	require.NoError(t, err)
	require.Equal(t, "completed", j.State, "%+v", j)
	payouts, err := w.Payouts(ctx, id)
	require.NoError(t, err)
	var paid int64
	for _, p := range payouts {
		if p.Reason == "paid" {
			var n int64
			_, err := fmt.Sscan(p.Shards, &n)
			require.NoError(t, err)
			paid += n
		}
	}
	require.Equal(t, j.Job.Shards, paid, "each shard is paid once: %+v", payouts)
	money, err := w.Money(ctx)
	require.NoError(t, err)
	require.True(t, money.Holds, "%+v", money)
}

func await(t *testing.T, ctx context.Context, w *World, id uint64, what string, holds func(Job) bool) {
	t.Helper()
	_, err := w.AwaitJob(ctx, id, time.Minute, what, holds)
	require.NoError(t, err)
}

// owner is the NexCore of a job's first lease.
func owner(t *testing.T, ctx context.Context, w *World, id uint64) *Machine {
	t.Helper()
	leases, err := w.Leases(ctx, id)
	require.NoError(t, err)
	require.NotEmpty(t, leases)
	m := w.Machine(leases[0].NexCoreID)
	require.NotNil(t, m)
	return m
}

// A NexCore killed in the middle of a run and started again finishes or cleanly fails what it held.
func TestKilledNexCoreComesBack(t *testing.T) {
	w, ctx := start(t, 1, nil)
	id, err := w.Submit(ctx, jobFile(t, 2, 8, ""))
	require.NoError(t, err)
	await(t, ctx, w, id, "runs", running)
	m := owner(t, ctx, w, id)
	require.NoError(t, m.Kill())
	require.NoError(t, m.Start())
	settle(t, ctx, w, id)
	leases, err := w.Leases(ctx, id)
	require.NoError(t, err)
	require.Len(t, leases, 1, "the lease survived the kill: %+v", leases)
}

// A NexCore that is gone for good: its lease times out, its bond pays, the shards run elsewhere.
func TestNexCoreGoneForGood(t *testing.T) {
	w, ctx := start(t, 2, map[string]any{"grace_blocks": "2", "deliver_slack_ppm": "0"})
	id, err := w.Submit(ctx, jobFileSeconds(t, 2, 12, 14))
	require.NoError(t, err)
	await(t, ctx, w, id, "runs", running)
	gone := owner(t, ctx, w, id)
	require.NoError(t, gone.Kill())
	settle(t, ctx, w, id)
	payouts, err := w.Payouts(ctx, id)
	require.NoError(t, err)
	require.Equal(t, "missed", payouts[0].Reason)
	require.NotContains(t, []string{"", "0"}, payouts[0].Slashed)
	require.NotEqual(t, payouts[0].NexCoreID, payouts[len(payouts)-1].NexCoreID)
}

// jobFileSeconds is jobFile with a declared run time.
func jobFileSeconds(t *testing.T, shards int, seconds float64, declared int) string {
	t.Helper()
	file := jobFile(t, shards, seconds, "")
	bz, err := os.ReadFile(file)
	require.NoError(t, err)
	text := strings.Replace(string(bz), "time: 60s", fmt.Sprintf("time: %ds", declared), 1)
	require.NoError(t, os.WriteFile(file, []byte(text), 0o600))
	return file
}

// The chain stands still for 30 s in the middle of a run: the run goes on, its result lands afterwards.
func TestChainStops(t *testing.T) {
	w, ctx := start(t, 1, nil)
	id, err := w.Submit(ctx, jobFile(t, 2, 10, ""))
	require.NoError(t, err)
	await(t, ctx, w, id, "runs", running)
	require.NoError(t, w.Node.Stop(stopTimeout))
	pause := time.NewTimer(30 * time.Second) // the story itself: a chain that is away for half a minute
	defer pause.Stop()
	<-pause.C
	require.NoError(t, w.Node.Start())
	settle(t, ctx, w, id)
	leases, err := w.Leases(ctx, id)
	require.NoError(t, err)
	require.Len(t, leases, 1)
}

// The gateway is killed in the middle of a run and comes back: custody is asked for again.
func TestGatewayKilled(t *testing.T) {
	w, ctx := start(t, 1, nil)
	id, err := w.Submit(ctx, jobFile(t, 2, 4, ""))
	require.NoError(t, err)
	await(t, ctx, w, id, "runs", running)
	require.NoError(t, w.Gate.Kill())
	h, err := w.Height(ctx)
	require.NoError(t, err)
	require.NoError(t, w.AwaitHeight(ctx, h+8)) // the run is over, and nobody vouches for its result
	j, err := w.Job(ctx, id)
	require.NoError(t, err)
	require.Contains(t, []string{"", "0"}, j.Job.Counts.Delivered, "without custody nothing is delivered")
	require.Contains(t, []string{"", "0"}, j.Job.Counts.Settled)
	require.NoError(t, w.StartGateway(ctx))
	settle(t, ctx, w, id)
}

// A NexCore that acknowledges and never delivers pays one payment; the job completes elsewhere.
func TestAcknowledgedNeverDelivered(t *testing.T) {
	w, ctx := start(t, 2, map[string]any{"grace_blocks": "2", "deliver_slack_ppm": "0"})
	id, err := w.Submit(ctx, jobFileSeconds(t, 1, 12, 14))
	require.NoError(t, err)
	await(t, ctx, w, id, "runs", running)
	frozen := owner(t, ctx, w, id)
	require.NoError(t, frozen.Pause())
	defer func() { _ = frozen.Resume() }()
	settle(t, ctx, w, id)
	payouts, err := w.Payouts(ctx, id)
	require.NoError(t, err)
	require.Equal(t, "missed", payouts[0].Reason)
	require.NoError(t, frozen.Resume())
}

// Bad requesters and impossible jobs, on one world: each gets a clear answer and no operator pays for it.
func TestRequesters(t *testing.T) {
	w, ctx := start(t, 2, nil)

	t.Run("too little money", func(t *testing.T) {
		file := jobFile(t, 2, 1, "")
		bz, err := os.ReadFile(file)
		require.NoError(t, err)
		require.NoError(t, os.WriteFile(file, []byte(strings.Replace(string(bz), "0.02 NEX", "90000 NEX", 1)), 0o600))
		_, err = w.Submit(ctx, file)
		require.ErrorContains(t, err, "too little money")
	})

	t.Run("inputs that cannot be fetched", func(t *testing.T) {
		id, err := w.Submit(ctx, jobFile(t, 1, 1, "inputs: [{cid: bafkreigh2akiscaildcqabsyg3dfr6chu3fgpregiymsck7e7aqa4s52zy, mount: /in/missing}]\n"))
		require.NoError(t, err)
		j, err := w.AwaitJob(ctx, id, 3*time.Minute, "ends", Ended)
		require.NoError(t, err)
		require.Equal(t, "input_unavailable", j.Job.EndReason)
		payouts, err := w.Payouts(ctx, id)
		require.NoError(t, err)
		require.NotEmpty(t, payouts)
		for _, p := range payouts {
			require.Contains(t, []string{"", "0"}, p.Slashed, "no operator pays: %+v", p)
		}
	})

	t.Run("a job that nothing can run", func(t *testing.T) {
		id, err := w.Submit(ctx, jobFile(t, 1, 1, "place: {regions: [moon]}\n"))
		require.NoError(t, err)
		out, err := w.CLI(ctx, "job", "why", fmt.Sprint(id))
		require.NoError(t, err)
		require.Contains(t, string(out), "region (2)")
		require.Contains(t, string(out), "local", "it names the region that would match: %s", out)
	})
}
