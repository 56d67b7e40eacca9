// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package runmetrics_test

import (
	"testing"

	"sigs.k8s.io/controller-runtime/pkg/metrics"

	"github.com/seatkeeper/seatkeeper/internal/runmetrics"
	"github.com/seatkeeper/seatkeeper/internal/store/storetest"
)

func TestStartFailed(t *testing.T) {
	storetest.Each(t, func(t *testing.T, open storetest.Opener) {
		s := newScene(t, open, "starts-"+t.Name())
		count := runmetrics.StartFailed(s.store)
		count(s.tenant, "offboard")
		count(s.tenant, "offboard")
		count(s.tenant+1, "hire")
		if got := metricsOf(t, metrics.Registry, "starts-"+t.Name())["workflow_start_failures_total{offboard}"]; got != 2 {
			t.Errorf("counted %v, want 2", got)
		}
		if got := metricsOf(t, metrics.Registry, "unknown")["workflow_start_failures_total{hire}"]; got == 0 {
			t.Error("what fails in a tenant without a namespace is not counted")
		}
	})
}
