package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/nexara/nexara/node/chain"
	tasksv1 "github.com/nexara/nexara/proto/gen/nexara/tasks/v1"
	"github.com/nexara/nexara/testutil/scenario"
)

// emptyModule is a WASM module with one page of memory and a _start that does nothing: the same program as
// in the anchor's measurement.
var emptyModule = []byte("\x00asm\x01\x00\x00\x00" +
	"\x01\x04\x01\x60\x00\x00" + // one type: func()
	"\x03\x02\x01\x00" + // one function of it
	"\x05\x03\x01\x00\x01" + // one memory of one page
	"\x07\x13\x02\x06memory\x02\x00\x06_start\x00\x00" + // both exported
	"\x0a\x04\x01\x02\x00\x0b") // its body: end

// noop writes the module.
func (b *bench) noop() (string, error) {
	out := filepath.Join(b.dir, "noop.wasm")
	return out, os.WriteFile(out, emptyModule, 0o600)
}

func (b *bench) jobFile(wasm string, shards int) (string, error) {
	file := filepath.Join(b.dir, fmt.Sprintf("job-%d.yaml", shards))
	return file, os.WriteFile(file, fmt.Appendf(nil, `name: bench
runtime: wasm
image: %s
shards: %d
resources: {cpu: 5m, memory: 16MiB, disk: 1MiB}
time: 30s
price: {limit: 0.001 NEX}
attempts: 3
deadline: 10m
`, wasm, shards), 0o600)
}

// latency is submit to running as a client sees it: 100 single-shard jobs at 2 a second at random times, with
// a warm image. Running is the acknowledged state on chain. Beside it, how long after the commit of its block a
// NexCore takes up a lease.
func (b *bench) latency(ctx context.Context) (_ any, err error) {
	w, err := b.world(ctx, "latency", 3)
	if err != nil {
		return nil, err
	}
	defer stopped(w, &err)
	l, err := newLoad(ctx, w)
	if err != nil {
		return nil, err
	}
	template, err := b.warm(ctx, w, l)
	if err != nil {
		return nil, err
	}
	commits, err := watchCommits(ctx, w)
	if err != nil {
		return nil, err
	}
	defer commits.stop()
	const jobs = 100
	rng := rand.New(rand.NewPCG(1, 2))
	var mu sync.Mutex
	var seen []float64
	var wg sync.WaitGroup
	failed := make(chan error, jobs)
	for range jobs {
		timer := time.NewTimer(time.Duration(rng.Float64() * float64(time.Second)))
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-timer.C:
		}
		wg.Add(1)
		go func() {
			defer wg.Done()
			took, err := l.submitToRunning(ctx, template)
			if err != nil {
				failed <- err
				return
			}
			mu.Lock()
			seen = append(seen, took.Seconds())
			mu.Unlock()
		}()
	}
	wg.Wait()
	select {
	case err := <-failed:
		return nil, err
	default:
	}
	commits.stop()
	out := percentiles(seen)
	out["lease_seen_after_commit"], err = commits.toSeen(w)
	return out, err
}

// warm runs a no-op job of one shard to its end, and gives the message that submits another like it.
func (b *bench) warm(ctx context.Context, w *scenario.World, l *load) (*tasksv1.MsgSubmit, error) {
	wasm, err := b.noop()
	if err != nil {
		return nil, err
	}
	file, err := b.jobFile(wasm, 1)
	if err != nil {
		return nil, err
	}
	id, err := w.Submit(ctx, file)
	if err != nil {
		return nil, err
	}
	if _, err := w.AwaitJob(ctx, id, 2*time.Minute, "ends", scenario.Ended); err != nil {
		return nil, err
	}
	msg, err := l.message(ctx, id)
	if err != nil {
		return nil, err
	}
	msg.Requester = l.sender.Address()
	return msg, nil
}

func percentiles(v []float64) map[string]any {
	slices.Sort(v)
	at := func(p float64) float64 { return v[min(int(float64(len(v))*p), len(v)-1)] }
	return map[string]any{"n": len(v), "p50_s": at(0.50), "p95_s": at(0.95), "max_s": v[len(v)-1]}
}

// wasm is real no-op WASM shards end to end as an array job on three NexCores: from submission to the last
// result on chain.
func (b *bench) wasm(ctx context.Context) (_ any, err error) {
	w, err := b.world(ctx, "wasm", 3)
	if err != nil {
		return nil, err
	}
	defer stopped(w, &err)
	wasm, err := b.noop()
	if err != nil {
		return nil, err
	}
	const shards = 3_072
	for _, n := range []int{3, shards} { // the first compiles the module everywhere
		file, err := b.jobFile(wasm, n)
		if err != nil {
			return nil, err
		}
		took, err := endToEnd(ctx, w, file)
		if err != nil {
			return nil, err
		}
		if n == shards {
			s := took.Seconds()
			return map[string]any{"shards": n, "seconds": s, "shards_per_second": float64(n) / s}, nil
		}
	}
	return nil, nil
}

// endToEnd submits a job file and gives the time until the last result is on chain. It asks the node itself
// and not too often: questions take the cores from what is measured.
func endToEnd(ctx context.Context, w *scenario.World, file string) (time.Duration, error) {
	client, err := chain.New(chain.Config{RPC: w.RPC, ChainID: w.ChainID})
	if err != nil {
		return 0, err
	}
	defer client.Close()
	begin := time.Now()
	id, err := w.Submit(ctx, file)
	if err != nil {
		return 0, err
	}
	err = pollEach(ctx, 100*time.Millisecond, 10*time.Minute, func() (bool, error) {
		var res tasksv1.QueryJobResponse
		if _, err := client.Query(ctx, "/nexara.tasks.v1.Query/Job", &tasksv1.QueryJobRequest{Id: id}, &res); err != nil {
			return false, nil //nolint:nilerr // asked again
		}
		c := res.Job.Counts
		if ended := res.Job.EndedHeight > 0; ended && c.Paid < res.Job.Shards {
			return false, fmt.Errorf("job %d ended with %d of %d shards paid", id, c.Paid, res.Job.Shards)
		}
		return c.Delivered+c.Final+c.Settled == res.Job.Shards, nil
	})
	return time.Since(begin), err
}
