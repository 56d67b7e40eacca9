// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package manager

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	clocktesting "k8s.io/utils/clock/testing"

	"github.com/seatkeeper/seatkeeper/internal/model"
	"github.com/seatkeeper/seatkeeper/internal/store"
	"github.com/seatkeeper/seatkeeper/internal/store/storetest"
)

func TestConnectionCoverage(t *testing.T) {
	storetest.Each(t, func(t *testing.T, open storetest.Opener) {
		clock := clocktesting.NewFakePassiveClock(time.Date(2026, 11, 18, 12, 0, 0, 0, time.UTC))
		st := open(storetest.WithClock(clock))
		must := func(err error) {
			t.Helper()
			if err != nil {
				t.Fatal(err)
			}
		}
		registry := prometheus.NewRegistry()
		registry.MustRegister(&connectionCoverage{store: st, clock: clock, log: slog.New(slog.DiscardHandler)})
		equal := func(when string, want map[string]float64) {
			t.Helper()
			families, err := registry.Gather()
			must(err)
			got := map[string]float64{}
			for _, f := range families {
				for _, m := range f.GetMetric() {
					got[f.GetName()+" "+m.GetLabel()[0].GetValue()] = m.GetGauge().GetValue()
				}
			}
			if d := cmp.Diff(want, got); d != "" {
				t.Errorf("%s (-want +got):\n%s", when, d)
			}
		}
		syncs := 0
		sync := func(namespace, name, connector string, apps ...string) {
			t.Helper()
			syncs++
			tenant, err := st.EnsureTenant(t.Context(), namespace)
			must(err)
			_, err = st.UpsertIntegration(t.Context(), tenant, store.IntegrationSpec{Name: name, UID: name, Connector: connector, RequestedAt: fmt.Sprint(syncs), Interval: time.Hour})
			must(err)
			c, err := st.ClaimIntegration(t.Context(), tenant, name, "worker", time.Minute)
			must(err)
			y, err := st.BeginSync(t.Context(), c)
			must(err)
			for _, a := range apps {
				must(y.Stage(t.Context(), "apps", "", []model.Record{{App: &model.DiscoveredApp{ExternalID: a, Name: a, Source: "idp", State: "active"}}}))
			}
			_, err = y.FinishStream(t.Context(), "apps", store.StreamOutcome{Complete: true, Types: []model.DataType{model.DataApps}, Guard: model.DefaultShrinkGuard})
			must(err)
			must(y.Close(t.Context()))
			must(st.FinishIntegration(t.Context(), c, store.IntegrationResult{Status: json.RawMessage(`{}`), Synced: true}))
		}
		_, err := st.EnsureTenant(t.Context(), "empty")
		must(err)
		sync("acme", "okta", "okta", "Zoom", "Slack", "Intranet")
		sync("beta", "okta", "okta")
		sync("files", "list", "csv")
		const metric = "seatkeeper_connection_coverage_ratio "
		before := map[string]float64{metric + "acme": 1.0 / 3, metric + "beta": 1}
		equal("Okta, of Okta, Zoom and Slack", before)

		sync("acme", "zoom", "zoom")
		equal("not counted again at each scrape", before)
		clock.SetTime(clock.Now().Add(coverageAge))
		equal("later", map[string]float64{metric + "acme": 2.0 / 3, metric + "beta": 1})
	})
}
