package gateway

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/nexara/nexara/node/blob"
)

// Metrics of the gateway. Names are part of the interface to operators. A nil Metrics counts nothing.
type Metrics struct {
	registry *prometheus.Registry
	requests *prometheus.CounterVec
	refusals *prometheus.CounterVec
	bytes    prometheus.Counter
	seconds  prometheus.Histogram
	logs     prometheus.Gauge
}

// NewMetrics makes a registry of its own over what the gateway does and what its store holds.
func NewMetrics(store blob.Store) (*Metrics, error) {
	name := func(s string) string { return "nexgate_" + s }
	m := &Metrics{
		registry: prometheus.NewRegistry(),
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: name("requests_total"), Help: "Answered requests, by route and HTTP status.",
		}, []string{"route", "status"}),
		refusals: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: name("custody_refusals_total"), Help: "Requests for custody that were not signed, by the error's code.",
		}, []string{"code"}),
		bytes: prometheus.NewCounter(prometheus.CounterOpts{
			Name: name("custody_bytes_total"), Help: "Bytes of the results signed for.",
		}),
		seconds: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: name("custody_seconds"), Help: "Time from a request for custody to its receipt; the count is that of receipts.",
			Buckets: []float64{.025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 120},
		}),
		logs: prometheus.NewGauge(prometheus.GaugeOpts{Name: name("log_streams"), Help: "Live logs being passed on now."}),
	}
	stat := func(s, help string, of func(blob.Stats) int64) prometheus.Collector {
		return prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: name(s), Help: help}, func() float64 {
			stats, err := store.Stats(context.Background())
			if err != nil {
				return -1
			}
			return float64(of(stats))
		})
	}
	var errs error
	for _, c := range []prometheus.Collector{
		m.requests, m.refusals, m.bytes, m.seconds, m.logs,
		stat("blocks", "Stored blocks, -1 when the store does not say.", func(s blob.Stats) int64 { return s.Blocks }),
		stat("blob_bytes", "Bytes of disk of the stored blocks.", func(s blob.Stats) int64 { return s.Bytes }),
		stat("pins", "Pins in force: uploads and results.", func(s blob.Stats) int64 { return int64(s.Pins) }),
	} {
		errs = errors.Join(errs, m.registry.Register(c))
	}
	if errs != nil {
		return nil, fmt.Errorf("metrics: %w", errs)
	}
	return m, nil
}

// handler serves the registry to programs of this machine only, as nexcore's local API does: the HTTP address may
// stand behind a proxy.
func (m *Metrics) handler() http.Handler {
	serve := promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{})
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !Loopback(r) {
			http.Error(w, "for this machine only", http.StatusForbidden)
			return
		}
		serve.ServeHTTP(w, r)
	})
}

// counted counts the answers of each route.
func (m *Metrics) counted(next http.Handler) http.Handler {
	if m == nil {
		return next
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		out, ok := w.(*steady)
		if !ok {
			out = newSteady(w, defaultStall)
		}
		next.ServeHTTP(out, r)
		route, status := r.Pattern, out.status
		if route == "" {
			route = "none"
		}
		if status == 0 {
			status = http.StatusOK // an answer without a word
		}
		m.requests.WithLabelValues(route, strconv.Itoa(status)).Inc()
	})
}

func (m *Metrics) refused(err error) {
	if m != nil {
		_, code := classOf(err)
		m.refusals.WithLabelValues(code).Inc()
	}
}

func (m *Metrics) signed(took time.Duration, size int64) {
	if m != nil {
		m.seconds.Observe(took.Seconds())
		m.bytes.Add(float64(size))
	}
}

// reading counts a live log until the function it returns is called.
func (m *Metrics) reading() func() {
	if m == nil {
		return func() {}
	}
	m.logs.Inc()
	return m.logs.Dec
}
