// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package manager

import (
	"encoding/json"
	"testing"

	"github.com/seatkeeper/seatkeeper/internal/store"
	"github.com/seatkeeper/seatkeeper/internal/store/storetest"
	"github.com/seatkeeper/seatkeeper/internal/workflow"
)

// A question about the app that has somebody's mailbox does not go there
// (decision 31); to others it does.
func TestUnreadMailboxIsNotWrittenTo(t *testing.T) {
	storetest.EachDSN(t, func(t *testing.T, dsn string) {
		st := storetest.Open(t, dsn)
		tenant, err := st.EnsureTenant(t.Context(), "acme")
		if err != nil {
			t.Fatal(err)
		}
		for name, connector := range map[string]string{"workspace": "google-workspace", "zoom": "zoom"} {
			if _, err := st.UpsertIntegration(t.Context(), tenant, store.IntegrationSpec{Name: name, Connector: connector, UID: name, Spec: json.RawMessage(`{}`)}); err != nil {
				t.Fatal(err)
			}
		}
		p := &people{store: st}
		for _, c := range []struct{ integration, want string }{{"workspace", ""}, {"zoom", "ada@acme.example"}, {"gone", "ada@acme.example"}} {
			vars, err := json.Marshal(map[string]any{"seat": workflow.ReclaimSeat{Integration: c.integration, PersonID: "p-ada"}})
			if err != nil {
				t.Fatal(err)
			}
			found := []store.Assignee{{PersonID: "p-mia", Email: "mia@acme.example"}, {PersonID: "p-ada", Email: "ada@acme.example"}}
			if err := p.hideUnreadMailbox(t.Context(), tenant, workflow.Subject{Vars: vars}, found); err != nil {
				t.Fatal(err)
			}
			if found[1].Email != c.want || found[0].Email != "mia@acme.example" {
				t.Errorf("%s: %+v", c.integration, found)
			}
		}
		found := []store.Assignee{{PersonID: "p-ada", Email: "ada@acme.example"}}
		if err := p.hideUnreadMailbox(t.Context(), tenant, workflow.Subject{Vars: json.RawMessage(`{"person":{}}`)}, found); err != nil || found[0].Email == "" {
			t.Errorf("a run that is about no seat: %+v, %v", found, err)
		}
	})
}
