// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package manager

import (
	"context"
	"log/slog"

	"github.com/prometheus/client_golang/prometheus"
)

// leaderMetrics serves what is the same wherever it is measured, such as counts of
// the store, while this replica leads.
type leaderMetrics struct {
	of       []prometheus.Collector
	registry prometheus.Registerer
	log      *slog.Logger
}

// NeedLeaderElection tells controller-runtime that only the leader serves them.
func (*leaderMetrics) NeedLeaderElection() bool { return true }

// Start serves the metrics until ctx ends.
func (m *leaderMetrics) Start(ctx context.Context) error {
	for _, c := range m.of {
		if err := m.registry.Register(c); err != nil {
			m.log.Error("Could not serve metrics", "error", err) // no reason to stop the work
			continue
		}
		defer m.registry.Unregister(c)
	}
	<-ctx.Done()
	return nil
}
