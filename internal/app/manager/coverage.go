// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package manager

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"k8s.io/utils/clock"

	"github.com/seatkeeper/seatkeeper/internal/coverage"
	"github.com/seatkeeper/seatkeeper/internal/model"
	"github.com/seatkeeper/seatkeeper/internal/store"
)

const (
	// coverageAge is how long what was counted is served: it changes when a
	// source discovers an app, or somebody connects one.
	coverageAge     = 5 * time.Minute
	coverageTimeout = 10 * time.Second
)

// connectionCoverage serves which part of the systems in use is connected, as
// the views of the Integrations tell it (acceptance row 71).
type connectionCoverage struct {
	store *store.Store
	clock clock.PassiveClock
	log   *slog.Logger

	mu      sync.Mutex
	counted time.Time
	ratios  map[string]float64 // by namespace
}

var coverageDesc = prometheus.NewDesc("seatkeeper_connection_coverage_ratio",
	"Part of the systems in use with a connector that are connected and read, of 1; none where no such system is known.",
	[]string{"namespace"}, nil)

// Describe implements prometheus.Collector.
func (*connectionCoverage) Describe(out chan<- *prometheus.Desc) { out <- coverageDesc }

// Collect implements prometheus.Collector.
func (c *connectionCoverage) Collect(out chan<- prometheus.Metric) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if now := c.clock.Now(); c.ratios == nil || now.Sub(c.counted) >= coverageAge {
		ctx, cancel := context.WithTimeout(context.Background(), coverageTimeout)
		defer cancel()
		ratios, err := c.count(ctx)
		if err != nil {
			// That the metric is missing is what an alarm sees.
			c.log.Error("Could not count what is connected", "error", err)
			c.ratios = nil
			return
		}
		c.ratios, c.counted = ratios, now
	}
	for namespace, ratio := range c.ratios {
		out <- prometheus.MustNewConstMetric(coverageDesc, prometheus.GaugeValue, ratio, namespace)
	}
}

func (c *connectionCoverage) count(ctx context.Context) (map[string]float64, error) {
	tenants, err := c.store.Tenants(ctx)
	if err != nil {
		return nil, err
	}
	builtin, out := coverage.Builtin(), map[string]float64{}
	for _, t := range tenants {
		covered, err := c.countTenant(ctx, t.ID, builtin)
		if err != nil {
			return nil, err
		}
		if covered.Connectable > 0 {
			out[t.Namespace] = float64(covered.Connected) / float64(covered.Connectable)
		}
	}
	return out, nil
}

func (c *connectionCoverage) countTenant(ctx context.Context, tenant model.TenantID, builtin []coverage.Connectable) (model.Coverage, error) {
	states, err := c.store.ListIntegrations(ctx, tenant)
	if err != nil || len(states) == 0 {
		return model.Coverage{}, err
	}
	own, err := c.store.OwnConnectors(ctx, tenant)
	if err != nil {
		return model.Coverage{}, err
	}
	var have []coverage.Connected
	for _, st := range states {
		have = append(have, coverage.Connected{Name: st.Name, Connector: st.Connector, Read: st.LastSyncedAt != nil})
	}
	tally, err := coverage.Of(ctx, c.store, tenant, coverage.With(builtin, own), have)
	if err != nil {
		return model.Coverage{}, err
	}
	return tally.Coverage(), nil
}
