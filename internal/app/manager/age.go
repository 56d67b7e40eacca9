// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package manager

import (
	"context"
	"log/slog"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"k8s.io/utils/clock"

	"github.com/seatkeeper/seatkeeper/internal/store"
)

// ageTimeout bounds the one query that a scrape costs.
const ageTimeout = 5 * time.Second

// inventoryAge serves how old what is known of each Integration is. It asks the
// store at each scrape, so that an age grows while nothing happens and ends with
// the Integration.
type inventoryAge struct {
	store *store.Store
	clock clock.PassiveClock
	log   *slog.Logger
}

var ageDesc = prometheus.NewDesc("seatkeeper_inventory_age_seconds",
	"Time since the Integration was last synced without a problem; before the first such sync, since it was handed over.",
	[]string{"namespace", "integration"}, nil)

// Describe implements prometheus.Collector.
func (a *inventoryAge) Describe(out chan<- *prometheus.Desc) { out <- ageDesc }

// Collect implements prometheus.Collector.
func (a *inventoryAge) Collect(out chan<- prometheus.Metric) {
	ctx, cancel := context.WithTimeout(context.Background(), ageTimeout)
	defer cancel()
	times, err := a.store.SyncTimes(ctx)
	if err != nil {
		// An invalid metric would take all others with it; that one is missing is
		// what an alarm sees.
		a.log.Error("Could not read the age of the inventory", "error", err)
		return
	}
	for _, t := range times {
		out <- prometheus.MustNewConstMetric(ageDesc, prometheus.GaugeValue, a.clock.Since(t.At).Seconds(), t.Namespace, t.Integration)
	}
}
