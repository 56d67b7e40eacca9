// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package syncer

import (
	"errors"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// metrics of the sync workers of one process.
type metrics struct {
	duration *prometheus.HistogramVec
	records  *prometheus.CounterVec
	changes  *prometheus.CounterVec
	running  prometheus.Gauge
}

func newMetrics(r prometheus.Registerer) *metrics {
	m := &metrics{
		duration: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "seatkeeper_sync_duration_seconds", Help: "Duration of one sync of an Integration, by connector and result.",
			Buckets: []float64{0.1, 0.5, 1, 5, 15, 60, 300, 1800, 7200},
		}, []string{"connector", "result"}),
		records: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "seatkeeper_sync_records_total", Help: "Records read from vendors, by connector and stream.",
		}, []string{"connector", "stream"}),
		changes: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "seatkeeper_sync_rows_written_total", Help: "Inventory rows that a sync found different, by connector and stream.",
		}, []string{"connector", "stream"}),
		running: prometheus.NewGauge(prometheus.GaugeOpts{Name: "seatkeeper_syncs_running", Help: "Syncs in progress on this replica."}),
	}
	if r != nil {
		m.duration, m.records, m.changes = register(r, m.duration), register(r, m.records), register(r, m.changes)
		m.running = register(r, m.running)
	}
	return m
}

// register returns the collector that is registered already, if there is one:
// several workers of one process, as in tests, share their metrics.
func register[C prometheus.Collector](r prometheus.Registerer, c C) C {
	err := r.Register(c)
	var already prometheus.AlreadyRegisteredError
	if errors.As(err, &already) {
		if old, ok := already.ExistingCollector.(C); ok {
			return old
		}
	}
	return c
}

func (m *metrics) observe(a *attempt, took time.Duration) {
	result := "synced"
	if p := a.status.Problem; p != nil {
		result = p.Reason
	}
	m.duration.WithLabelValues(a.connector(), result).Observe(took.Seconds())
}
