// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package store_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/seatkeeper/seatkeeper/internal/model"
	"github.com/seatkeeper/seatkeeper/internal/store"
)

// The audit tells whom a webhook made known from whom it only said more of.
func TestAuditOfWebhookPeople(t *testing.T) {
	eachWorld(t, func(w *world) {
		w.sync("hris", peopleOf(person("1", "ada@acme.example")))
		by := store.Decider{Actor: "hire", Kind: "Workflow"}
		for id, email := range map[string]string{"a": "ada@acme.example", "b": "bob@acme.example"} {
			for range 2 { // said again it is the same
				_, err := w.s.AddWebhookPerson(w.Context(), w.tenant, store.WebhookPerson{Workflow: "hire", Person: model.Person{ExternalID: id, Email: email}, By: by})
				w.must(err)
			}
		}
		records, err := w.s.Audit(w.Context(), w.tenant, store.AuditQuery{ObjectKind: "Person"})
		w.must(err)
		got := map[string]string{}
		for _, r := range records {
			got[r.Subject["email"]] += r.Action
		}
		want := map[string]string{"ada@acme.example": "person.update", "bob@acme.example": "person.create"}
		if d := cmp.Diff(want, got); d != "" {
			t.Errorf("the audit says (-want +got):\n%s", d)
		}
	})
}
