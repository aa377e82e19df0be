//go:build linux

package containerd_test

import (
	"context"
	"fmt"
	"os/exec"
	"path/filepath"
	"sort"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/nexara/nexara/node/driver"
	"github.com/nexara/nexara/node/driver/drivertest"
)

// BenchmarkOverhead runs the same image by ctr and by the driver, taking turns, so
// that both meet the same machine. It reports medians: ctr from the start of its
// process to the end, the driver from Start to the outcome, and the driver with
// everything of the run removed.
func BenchmarkOverhead(b *testing.B) {
	h := newHost(b)
	layout := drivertest.OCILayout(b)
	d := h.open(b)
	ctx := context.Background()
	_, err := d.Prepare(ctx, layout)
	require.NoError(b, err)
	archive := filepath.Join(b.TempDir(), "image.tar")
	ctr := func(args ...string) {
		b.Helper()
		out, err := exec.Command("ctr", append([]string{"--address", h.daemon.Address(), "--namespace", "bench"}, args...)...).CombinedOutput()
		require.NoError(b, err, "%s", out)
	}
	out, err := exec.Command("tar", "-C", layout, "-cf", archive, ".").CombinedOutput()
	require.NoError(b, err, "%s", out)
	ctr("image", "import", "--index-name", "bench.local/guest:1", archive)

	var byCtr, byDriver, whole []time.Duration
	for i := 0; b.Loop(); i++ {
		start := time.Now()
		ctr("run", "--rm", "bench.local/guest:1", fmt.Sprint("c", i), "/guest", "nothing")
		byCtr = append(byCtr, time.Since(start))

		start = time.Now()
		r, err := d.Start(ctx, spec(fmt.Sprint("d", i), layout))
		require.NoError(b, err)
		o, err := r.Wait(ctx)
		require.NoError(b, err)
		require.True(b, o.Succeeded())
		byDriver = append(byDriver, time.Since(start))
		require.NoError(b, r.Remove(ctx))
		whole = append(whole, time.Since(start))
	}
	b.ReportMetric(ms(byCtr), "ctr-ms")
	b.ReportMetric(ms(byDriver), "driver-ms")
	b.ReportMetric(ms(whole), "driver+remove-ms")
}

// BenchmarkThroughput runs containers end to end, a few at a time.
func BenchmarkThroughput(b *testing.B) {
	for _, parallel := range []int{1, 2, 4, 8} {
		b.Run(fmt.Sprint("parallel=", parallel), func(b *testing.B) {
			h := newHost(b)
			layout := drivertest.OCILayout(b)
			d := h.open(b)
			ctx := context.Background()
			_, err := d.Prepare(ctx, layout)
			require.NoError(b, err)
			b.ResetTimer()
			start := time.Now()
			var all sync.WaitGroup
			ids := make(chan int)
			for range parallel {
				all.Go(func() {
					for i := range ids {
						r, err := d.Start(ctx, spec(fmt.Sprint("t", i), layout))
						if err != nil {
							b.Error(err)
							continue
						}
						if o, err := r.Wait(ctx); err != nil || !o.Succeeded() {
							b.Error(o, err)
						}
						if err := r.Remove(ctx); err != nil {
							b.Error(err)
						}
					}
				})
			}
			for i := range b.N {
				ids <- i
			}
			close(ids)
			all.Wait()
			b.ReportMetric(float64(b.N)/time.Since(start).Seconds(), "runs/s")
		})
	}
}

func spec(id, image string) driver.Spec {
	return driver.Spec{ID: id, Image: image, Args: []string{"nothing"}, Limits: driver.DefaultLimits()}
}

func ms(all []time.Duration) float64 {
	sort.Slice(all, func(i, j int) bool { return all[i] < all[j] })
	return float64(all[len(all)/2].Microseconds()) / 1000
}
