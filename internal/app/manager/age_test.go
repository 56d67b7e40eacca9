// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package manager

import (
	"context"
	"log/slog"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	. "github.com/onsi/gomega"
	"github.com/prometheus/client_golang/prometheus"
	clocktesting "k8s.io/utils/clock/testing"

	"github.com/seatkeeper/seatkeeper/internal/store"
	"github.com/seatkeeper/seatkeeper/internal/store/storetest"
)

func TestInventoryAge(t *testing.T) {
	clock := clocktesting.NewFakePassiveClock(time.Date(2026, 11, 18, 12, 0, 0, 0, time.UTC))
	st := storetest.Open(t, storetest.SQLite(t), storetest.WithClock(clock))
	forward := func(d time.Duration) { clock.SetTime(clock.Now().Add(d)) }
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	registry := prometheus.NewRegistry()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() {
		done <- (&leaderMetrics{of: []prometheus.Collector{&inventoryAge{store: st, clock: clock, log: slog.New(slog.DiscardHandler)}}, registry: registry}).Start(ctx)
	}()
	ages := func() map[string]float64 {
		t.Helper()
		families, err := registry.Gather()
		must(err)
		out := map[string]float64{}
		for _, f := range families {
			for _, m := range f.GetMetric() {
				key := f.GetName()
				for _, l := range m.GetLabel() {
					key += "," + l.GetName() + "=" + l.GetValue()
				}
				out[key] = m.GetGauge().GetValue()
			}
		}
		return out
	}
	equal := func(want map[string]float64) {
		t.Helper()
		if d := cmp.Diff(want, ages()); d != "" {
			t.Errorf("ages (-want +got):\n%s", d)
		}
	}
	const zoom, slack = "seatkeeper_inventory_age_seconds,integration=zoom,namespace=acme", "seatkeeper_inventory_age_seconds,integration=slack,namespace=acme"

	tenant, err := st.EnsureTenant(t.Context(), "acme")
	must(err)
	for _, name := range []string{"zoom", "slack"} {
		_, err := st.UpsertIntegration(t.Context(), tenant, store.IntegrationSpec{Name: name, UID: name, Generation: 1, Connector: name, Interval: time.Hour})
		must(err)
	}
	forward(time.Minute)
	NewWithT(t).Eventually(ages).ShouldNot(BeEmpty(), "the metric is not registered")
	equal(map[string]float64{zoom: 60, slack: 60}) // never synced

	claims, err := st.ClaimDueIntegrations(t.Context(), "test", 10, time.Hour)
	must(err)
	for _, c := range claims {
		must(st.FinishIntegration(t.Context(), c, store.IntegrationResult{Synced: c.Name == "zoom"}))
	}
	forward(time.Minute)
	equal(map[string]float64{zoom: 60, slack: 120})

	must(st.HideIntegration(t.Context(), tenant, "slack", 0))
	equal(map[string]float64{zoom: 60})

	cancel()
	must(<-done)
	equal(map[string]float64{})
}
