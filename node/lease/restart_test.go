package lease

import (
	"context"
	"path/filepath"
	"testing"
	"time"

	"github.com/ipfs/go-cid"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"

	"github.com/nexara/nexara/node/blob"
)

// What is already on the disk of a restarted daemon was fetched all the same.
func TestBytesInAfterARestart(t *testing.T) {
	w := newWorld(t)
	first := w.start(nil)
	before := w.job(1, nil)
	w.reaches(before, delivered)
	first.stop()
	w.start(nil)
	after := w.job(1, nil)
	w.reaches(after, delivered)
	want := w.manifests(before)[0].Usage.BytesIn
	require.Positive(t, want)
	require.Equal(t, want, w.manifests(after)[0].Usage.BytesIn)
}

// Blocks are what wakes the reconciler: its own clock could be hours away.
func TestLeaseIsTakenUpOnTheBlock(t *testing.T) {
	w := newWorld(t)
	registry := prometheus.NewRegistry()
	w.metrics, w.config = registry, func(c *Config) { c.Poll = time.Hour }
	d := w.start(nil)
	w.eventually("first look", func() bool { return d.r.Head().Height > 0 })
	w.reaches(w.job(1, nil), delivered)
	families, err := registry.Gather()
	require.NoError(t, err)
	for _, f := range families {
		if f.GetName() == "nexcore_lease_notice_seconds" {
			h := f.GetMetric()[0].GetHistogram()
			require.EqualValues(t, 1, h.GetSampleCount())
			require.Positive(t, h.GetSampleSum())
			return
		}
	}
	t.Fatal("no such metric")
}

// counting fetches as a fetcher of nothing does, and counts.
type counting struct {
	blob.Fetcher
	asked []blob.Limits
}

func (c *counting) Fetch(_ context.Context, _ cid.Cid, lim blob.Limits) (blob.Stat, error) {
	c.asked = append(c.asked, lim)
	return blob.Stat{}, blob.ErrNotFound
}

// A budget that is used up is no budget: to a fetcher, a limit of 0 is the default of gigabytes.
func TestNothingIsFetchedWithoutABudget(t *testing.T) {
	f := &counting{}
	c, err := newCache(filepath.Join(t.TempDir(), "cache"), 1<<20, nil, f)
	require.NoError(t, err)
	for _, limit := range []int64{0, -1} {
		_, _, _, err = c.get(t.Context(), newWorld(t).image.CID, limit)
		require.ErrorIs(t, err, blob.ErrTooLarge)
		require.Empty(t, f.asked)
	}
}
