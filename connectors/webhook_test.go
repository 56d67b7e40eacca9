// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package connectors_test

import (
	"net/http"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/seatkeeper/seatkeeper/connectors"
	"github.com/seatkeeper/seatkeeper/internal/connector"
)

// Who an event is about, when it happened, and that one which comes again has
// the same id: fixtures say only what it is called.
func TestDelivered(t *testing.T) {
	changed := func(id, account, person string, at time.Time, data map[string]any) []connector.WebhookEvent {
		return []connector.WebhookEvent{{Name: "account.changed", ID: id + "/account.changed/0", At: at, Account: account, Person: person, PersonExternalID: account, Data: data}}
	}
	for name, tt := range map[string]struct {
		connector, secret, body string
		want                    []connector.WebhookEvent
	}{
		"who joins Slack": {"slack", "signingSecret",
			`{"type": "event_callback", "event_id": "Ev1", "event_time": 1795254900, "event": {"type": "team_join", "user": {"id": "U900", "deleted": false, "profile": {"email": "Nina@acme.example"}}}}`,
			changed("Ev1", "U900", "nina@acme.example", time.Unix(1795254900, 0).UTC(), map[string]any{"type": "team_join", "deactivated": false})},
		"who is deactivated in Slack, without an address": {"slack", "signingSecret",
			`{"type": "event_callback", "event_id": "Ev2", "event_time": 1795254900, "event": {"type": "user_change", "user": {"id": "U901", "deleted": true, "profile": {}}}}`,
			changed("Ev2", "U901", "", time.Unix(1795254900, 0).UTC(), map[string]any{"type": "user_change", "deactivated": true})},
		"a status in Slack":   {"slack", "signingSecret", `{"type": "event_callback", "event_id": "Ev3", "event_time": 1795254900, "event": {"type": "user_change", "user": {"id": "U900", "deleted": false}}}`, nil},
		"Slack slows us down": {"slack", "signingSecret", `{"type": "app_rate_limited", "team_id": "T0ACME", "minute_rate_limited": 1795254900}`, nil},
		"a user of Zoom ended": {"zoom", "webhookToken",
			`{"event": "user.deleted", "event_ts": 1795254900123, "payload": {"account_id": "a", "object": {"id": "z2", "email": "Bo@acme.example", "type": 1}}}`,
			changed("1795254900123 user.deleted z2", "z2", "bo@acme.example", time.UnixMilli(1795254900123).UTC(), map[string]any{"type": "user.deleted"})},
		"a meeting in Zoom":        {"zoom", "webhookToken", `{"event": "meeting.started", "event_ts": 1795254900123, "payload": {"object": {"id": 77}}}`, nil},
		"an app taken out of Zoom": {"zoom", "webhookToken", `{"event": "app_deauthorized", "event_ts": 1795254900123, "payload": {"account_id": "a"}}`, nil},
	} {
		t.Run(name, func(t *testing.T) {
			m, err := connectors.Builtin(tt.connector)
			if err != nil {
				t.Fatal(err)
			}
			hook, secrets, now := m.Webhook("events"), map[string]string{tt.secret: "test-secret"}, time.Unix(1795254905, 0)
			in := connector.WebhookRequest{Method: http.MethodPost, Header: http.Header{}, Body: []byte(tt.body)}
			if err := hook.Prove(t.Context(), &in, secrets, now); err != nil {
				t.Fatal(err)
			}
			got, err := hook.Handle(t.Context(), in, secrets, now)
			if err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(tt.want, got.Events); d != "" {
				t.Errorf("events (-want +got):\n%s", d)
			}
			in.Body = append(in.Body, ' ')
			if _, err := hook.Handle(t.Context(), in, secrets, now); connector.ClassOf(err) != connector.ClassAuth {
				t.Errorf("a changed body: %v", err)
			}
		})
	}
}
