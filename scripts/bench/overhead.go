package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/nexara/nexara/testutil/scenario"
)

const (
	overheadRounds = 20
	// overheadCPU lets a shard use a whole core, as `ctr run` does: its cap must not be measured.
	overheadCPU = "1"
)

// overhead is what the whole daemon adds to a container: the time from a lease seen to its shard packed in the
// journal, by the daemon's own log, less `ctr run --rm` of the same image on the same containerd. The two take
// turns, so that both meet the same machine.
func (b *bench) overhead(ctx context.Context) (_ any, err error) {
	h, err := b.startRuntime(ctx, "overhead")
	if err != nil {
		return nil, err
	}
	defer h.stop(&err)
	oci, err := h.ociRuntime(ctx)
	if err != nil {
		return nil, err
	}
	w, err := b.containerWorld(ctx, "overhead", h)
	if err != nil {
		return nil, err
	}
	defer stopped(w, &err)
	const image = "bench.local/noop:1"
	archive := filepath.Join(h.dir, "layout.tar")
	if out, err := exec.CommandContext(ctx, "tar", "-C", h.image, "-cf", archive, ".").CombinedOutput(); err != nil {
		return nil, fmt.Errorf("tar: %w: %.300s", err, out)
	}
	ctr := func(args ...string) (time.Duration, error) {
		begin := time.Now()
		out, err := exec.CommandContext(ctx, "ctr", append([]string{"--address", h.daemon.Address(), "--namespace", "bench"}, args...)...).CombinedOutput()
		if err != nil {
			return 0, fmt.Errorf("ctr %s: %w: %.300s", args[0], err, out)
		}
		return time.Since(begin), nil
	}
	if _, err := ctr("image", "import", "--index-name", image, archive); err != nil {
		return nil, err
	}
	defer func() { _, _ = ctr("image", "rm", "--sync", image) }() // the folder goes anyway
	var byCtr []float64
	for i := range overheadRounds + 1 { // the first warms both
		if _, err := b.delivered(ctx, w, h.image, 1, overheadCPU); err != nil {
			return nil, err
		}
		took, err := ctr("run", "--rm", image, fmt.Sprint("c", i), "/noop")
		if err != nil {
			return nil, err
		}
		if i > 0 {
			byCtr = append(byCtr, milliseconds(took))
		}
	}
	spans, err := runSpans(w.Machines[0])
	if err != nil {
		return nil, err
	}
	if len(spans) != overheadRounds+1 {
		return nil, fmt.Errorf("the daemon's log tells of %d runs, there were %d", len(spans), overheadRounds+1)
	}
	var daemon, fetch, packed []float64
	for _, s := range spans[1:] {
		daemon = append(daemon, milliseconds(s.packed.Sub(s.seen)))
		fetch = append(fetch, milliseconds(s.running.Sub(s.seen)))
		packed = append(packed, milliseconds(s.packed.Sub(s.running)))
	}
	return map[string]any{
		"rounds": overheadRounds, "ctr_ms": median(byCtr), "daemon_ms": median(daemon), "of_it_seen_to_start_ms": median(fetch),
		"of_it_start_to_packed_ms": median(packed), "overhead_ms": median(daemon) - median(byCtr),
		"daemon_oci_runtime": oci, "ctr_oci_runtime": "runc",
		"note": "medians; daemon: lease seen to shard packed, by its log; ctr: start to end of `ctr run --rm`",
	}, nil
}

// span is one lease of one shard, as the daemon's log tells it.
type span struct{ seen, running, packed time.Time }

// maxLogLine bounds a line of the daemon's log.
const maxLogLine = 1 << 20

// runSpans reads the daemon's log, in the order of leases.
func runSpans(m *scenario.Machine) ([]span, error) {
	f, err := os.Open(m.Log)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	byLease := map[uint64]*span{}
	var order []uint64
	lines := bufio.NewScanner(f)
	lines.Buffer(nil, maxLogLine)
	for lines.Scan() {
		var e struct {
			Time  time.Time
			Msg   string
			Lease uint64
			To    string
		}
		if !strings.HasPrefix(lines.Text(), "{") || json.Unmarshal(lines.Bytes(), &e) != nil || e.Lease == 0 {
			continue // of a library
		}
		s := byLease[e.Lease]
		if s == nil {
			s = &span{}
			byLease[e.Lease], order = s, append(order, e.Lease)
		}
		switch {
		case e.Msg == "lease seen":
			s.seen = e.Time
		case e.Msg == "lease moved" && e.To == "running":
			s.running = e.Time
		case e.Msg == "shard ended":
			s.packed = e.Time
		}
	}
	var out []span
	for _, id := range order {
		if s := byLease[id]; !s.seen.IsZero() && !s.running.IsZero() && !s.packed.IsZero() {
			out = append(out, *s)
		}
	}
	return out, lines.Err()
}

func milliseconds(d time.Duration) float64 { return float64(d.Microseconds()) / 1_000 }

func median(v []float64) float64 {
	v = slices.Clone(v)
	slices.Sort(v)
	return v[len(v)/2]
}
