// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package webhook

import (
	"github.com/prometheus/client_golang/prometheus"
	"sigs.k8s.io/controller-runtime/pkg/metrics"
)

// No label holds a name: their number has no bound, and addresses are secret.
var (
	deliveries = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "seatkeeper_webhook_deliveries_total", Help: "Deliveries to addresses of webhooks, by kind of their owner and what became of them.",
	}, []string{"owner", "outcome"})
	handled = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "seatkeeper_webhook_events_total", Help: "Received events by how handling them ended: handled, retried or dead.",
	}, []string{"outcome"})
	depth = prometheus.NewGauge(prometheus.GaugeOpts{
		Name: "seatkeeper_webhook_inbox_depth", Help: "Events that were acknowledged and wait to be handled.",
	})
	letters = prometheus.NewGauge(prometheus.GaugeOpts{
		Name: "seatkeeper_webhook_dead_letters", Help: "Events that could not be handled and are kept to be replayed.",
	})
)

func init() {
	metrics.Registry.MustRegister(deliveries, handled, depth, letters)
}

// count counts a delivery; the target may not be known.
func count(t *target, outcome string) {
	owner := "none"
	if t != nil {
		owner = t.OwnerKind
	}
	deliveries.WithLabelValues(owner, outcome).Inc()
}
