// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package store_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/seatkeeper/seatkeeper/internal/store"
)

// A Connector is listed until it is deleted, or nobody has seen it for hours
// because it was deleted while no manager ran.
func TestOwnConnectorsAreListedWhileTheyExist(t *testing.T) {
	eachWorld(t, func(w *world) {
		crm := store.OwnConnector{Name: "crm", Title: "CRM", Category: "app", Domains: []string{"crm.example"}}
		rota := store.OwnConnector{Name: "rota", Title: "Rota", Category: "hris", Domains: []string{}}
		listed := func(want ...store.OwnConnector) {
			w.Helper()
			got, err := w.s.OwnConnectors(w.Context(), w.tenant)
			w.must(err)
			if d := cmp.Diff(want, got); d != "" {
				w.Errorf("(-want +got):\n%s", d)
			}
		}
		w.must(w.s.PutOwnConnector(w.Context(), w.tenant, crm))
		w.must(w.s.PutOwnConnector(w.Context(), w.tenant, store.OwnConnector{Name: "rota", Title: "Rota", Category: "hris"}))
		listed(crm, rota)
		w.step(2 * time.Hour)
		rota.Title = "Duty rota"
		w.must(w.s.PutOwnConnector(w.Context(), w.tenant, rota))
		w.must(w.s.PutOwnConnector(w.Context(), w.tenant, crm)) // unchanged, and yet seen again
		w.must(w.s.PruneOwnConnectors(w.Context(), w.tenant, w.clock.Now().Add(-time.Hour)))
		listed(crm, rota)
		w.step(2 * time.Hour)
		w.must(w.s.PutOwnConnector(w.Context(), w.tenant, crm))
		w.must(w.s.PruneOwnConnectors(w.Context(), w.tenant, w.clock.Now().Add(-time.Hour)))
		listed(crm)
		w.must(w.s.RemoveOwnConnector(w.Context(), w.tenant, "crm"))
		w.must(w.s.RemoveOwnConnector(w.Context(), w.tenant, "crm"))
		listed()
	})
}
