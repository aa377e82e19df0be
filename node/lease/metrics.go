package lease

import (
	"errors"
	"fmt"

	"github.com/prometheus/client_golang/prometheus"
)

// metrics of the reconciler. Names are part of the interface to operators.
type metrics struct {
	moves           *prometheus.CounterVec
	runs            *prometheus.CounterVec
	txs             *prometheus.CounterVec
	running         prometheus.Gauge
	fetched         prometheus.Counter
	chainErrors     prometheus.Counter
	custodyFailures prometheus.Counter
	notice          prometheus.Histogram
}

func newMetrics(reg prometheus.Registerer, r *Reconciler) (*metrics, error) {
	name := func(s string) string { return "nexcore_" + s }
	m := &metrics{
		moves: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: name("lease_moves_total"), Help: "Moves of leases between stages, by the stage reached and the reason.",
		}, []string{"stage", "reason"}),
		runs: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: name("runs_total"), Help: "Ended runs, by the reason of the outcome; lost ones failed on this machine.",
		}, []string{"reason"}),
		txs: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: name("transactions_total"), Help: "Transactions about leases, by message and what became of them.",
		}, []string{"message", "result"}),
		running: prometheus.NewGauge(prometheus.GaugeOpts{Name: name("runs"), Help: "Runs going on now."}),
		fetched: prometheus.NewCounter(prometheus.CounterOpts{
			Name: name("input_bytes_total"), Help: "Bytes of images and inputs made ready for leases.",
		}),
		chainErrors: prometheus.NewCounter(prometheus.CounterOpts{
			Name: name("chain_errors_total"), Help: "Queries of the desired state that failed.",
		}),
		custodyFailures: prometheus.NewCounter(prometheus.CounterOpts{
			Name: name("custody_failures_total"), Help: "Rounds over all custodians in which nobody signed.",
		}),
		notice: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: name("lease_notice_seconds"), Help: "Time from a block becoming known on this machine to a lease of it being taken up.",
			Buckets: []float64{.005, .01, .025, .05, .1, .2, .3, .5, 1, 2},
		}),
	}
	leases := prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: name("leases"), Help: "Leases being carried out."},
		func() float64 { return float64(r.Leases()) })
	height := prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: name("chain_height"), Help: "Height of the newest desired state."},
		func() float64 { return float64(r.Head().Height) })
	var errs error
	for _, c := range []prometheus.Collector{
		m.moves, m.runs, m.txs, m.running, m.fetched, m.chainErrors, m.custodyFailures, m.notice, leases, height,
	} {
		errs = errors.Join(errs, reg.Register(c))
	}
	if errs != nil {
		return nil, fmt.Errorf("%w: metrics: %w", ErrConfig, errs)
	}
	return m, nil
}
