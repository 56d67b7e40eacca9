// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package gateway_test

import (
	"bytes"
	"strings"
	"testing"

	"github.com/seatkeeper/seatkeeper/internal/cli"
	"github.com/seatkeeper/seatkeeper/internal/store"
	"github.com/seatkeeper/seatkeeper/internal/store/storetest"
)

// TestEvents lists, shows and replays dead letters by the command line, each as
// far as RBAC allows it.
func TestEvents(t *testing.T) {
	storetest.Each(t, func(t *testing.T, open storetest.Opener) {
		f := newFixture(t, open())
		ns, other := f.env.Namespace(t), f.env.Namespace(t)
		tenant, err := f.store.EnsureTenant(t.Context(), ns)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := f.store.EnsureTenant(t.Context(), other); err != nil {
			t.Fatal(err)
		}
		event := store.Event{Tenant: tenant, Endpoint: store.Hook{OwnerKind: "Integration", OwnerName: "okta", Webhook: "eventHook"}.Endpoint(), DedupeKey: "k",
			Body: []byte(`{"who":"ada@acme.example"}`), Headers: map[string]string{"x-a": "b"}}
		if event.ID, err = f.store.ReceiveEvent(t.Context(), event); err != nil {
			t.Fatal(err)
		}
		if err := f.store.BuryEvent(t.Context(), f.ring, event, "its time cannot be read"); err != nil {
			t.Fatal(err)
		}
		f.bind(ns, "looker", []string{"get", "list"}, "events")
		f.bind(ns, "keeper", []string{"get", "list", "create"}, "events", "events/body", "events/replay")
		f.bind(other, "neighbour", []string{"get", "list", "create"}, "events", "events/body", "events/replay")
		run := func(user, namespace string, args ...string) (code int, out string) {
			var o bytes.Buffer
			kubeconfig := f.env.WriteKubeconfig(t, f.env.ClientCert(t, user), namespace)
			code = cli.Execute(t.Context(), "seatkeeper", append(args, "--kubeconfig", kubeconfig, "--server", f.server, "--server-ca", f.ca, "-n", namespace), &o, &o)
			return code, o.String()
		}
		for name, c := range map[string]struct {
			user, ns string
			args     []string
			code     int
			want     string
		}{
			"list":                 {"looker", ns, []string{"events", "list", "--state", "dead"}, 0, "Integration/okta/eventHook"},
			"list by endpoint":     {"looker", ns, []string{"events", "--endpoint", "Workflow/okta"}, 0, "No events found"},
			"a wrong state":        {"looker", ns, []string{"events", "list", "--state", "lost"}, 1, "want new, handled, dead"},
			"show":                 {"looker", ns, []string{"events", "show", event.ID}, 0, "its time cannot be read"},
			"body":                 {"keeper", ns, []string{"events", "show", event.ID, "--body"}, 0, `{"who":"ada@acme.example"}`},
			"body, not allowed":    {"looker", ns, []string{"events", "show", event.ID, "--body"}, 3, "seatkeeper-auditor"},
			"replay, not allowed":  {"looker", ns, []string{"events", "replay", event.ID}, 3, "seatkeeper-editor"},
			"another tenant":       {"keeper", other, []string{"events", "show", event.ID}, 3, "may not"},
			"of another tenant":    {"neighbour", other, []string{"events", "show", event.ID, "--body"}, 1, "SK9004"},
			"replay of another's":  {"neighbour", other, []string{"events", "replay", event.ID}, 1, "SK9004"},
			"what is not there":    {"keeper", ns, []string{"events", "show", "nothing"}, 1, "SK9004"},
			"rotate what is wrong": {"keeper", ns, []string{"webhooks", "rotate", "policy/zoom"}, 2, "want integration/NAME"},
		} {
			code, out := run(c.user, c.ns, c.args...)
			if code != c.code || !strings.Contains(out, c.want) {
				t.Errorf("%s: %d\n%s", name, code, out)
			}
			if strings.Contains(out, "ada@") != (name == "body") {
				t.Errorf("%s: the body is there or not: %s", name, out)
			}
		}
		if code, out := run("keeper", ns, "events", "replay", event.ID, "--reason", "mended"); code != 0 {
			t.Fatalf("replay: %d\n%s", code, out)
		}
		if code, out := run("keeper", ns, "events", "replay", event.ID); code != 1 || !strings.Contains(out, "SK9005") {
			t.Errorf("again: %d\n%s", code, out)
		}
		pending, err := f.store.PendingHooks(t.Context(), nil, 10, 1<<20)
		if err != nil || len(pending) != 1 || string(pending[0].Body) != string(event.Body) || pending[0].Headers["x-a"] != "b" {
			t.Errorf("%+v, %v", pending, err)
		}
		for action, want := range map[string]int{"event.read": 1, "event.replay": 1} {
			if log, err := f.store.Audit(t.Context(), tenant, store.AuditQuery{Action: action, Actor: "keeper"}); err != nil || len(log) != want {
				t.Errorf("audit %s: %+v, %v", action, log, err)
			}
		}
	})
}
