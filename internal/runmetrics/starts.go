// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package runmetrics

import (
	"context"

	"github.com/prometheus/client_golang/prometheus"
	"sigs.k8s.io/controller-runtime/pkg/metrics"

	"github.com/seatkeeper/seatkeeper/internal/model"
	"github.com/seatkeeper/seatkeeper/internal/store"
)

var notStarted = prometheus.NewCounterVec(prometheus.CounterOpts{
	Name: "seatkeeper_workflow_start_failures_total", Help: "Attempts at starting a run of a Workflow that failed and are repeated; `seatkeeper starts` says why.",
}, []string{"namespace", "workflow"})

func init() { metrics.Registry.MustRegister(notStarted) }

// StartFailed returns what counts runs of Workflows that could not be started.
func StartFailed(s *store.Store) func(tenant model.TenantID, workflow string) {
	namespaces := &store.Namespaces{Store: s}
	return func(tenant model.TenantID, workflow string) {
		ctx, cancel := context.WithTimeout(context.Background(), namesTimeout)
		defer cancel()
		ns, err := namespaces.Of(ctx, tenant)
		if err != nil {
			ns = "unknown"
		}
		notStarted.WithLabelValues(ns, workflow).Inc()
	}
}
