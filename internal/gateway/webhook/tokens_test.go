// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package webhook_test

import (
	"context"
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/seatkeeper/seatkeeper/internal/connector"
	"github.com/seatkeeper/seatkeeper/internal/gateway/webhook"
	"github.com/seatkeeper/seatkeeper/internal/model"
	"github.com/seatkeeper/seatkeeper/internal/store"
	"github.com/seatkeeper/seatkeeper/internal/tokens"
)

// declared makes a Workflow with its endpoint.
func (w *world) declared(name string, g connector.GenericWebhook, key string) (path string) {
	w.Helper()
	_, err := w.s.PutWorkflow(w.Context(), w.tenant, store.WorkflowState{Name: name, TriggerKind: "webhook", State: store.WorkflowReady}, nil)
	w.must(err)
	return w.workflow(name, g, key)
}

// tokens are the paths that a Workflow's bodies were seen to have.
func (w *world) tokens(name string) (out []string) {
	w.Helper()
	known, err := tokens.Of(w.Context(), w.s, w.tenant, name)
	w.must(err)
	for _, p := range known.Paths() {
		out = append(out, p.Under(tokens.RootTrigger)+": "+p.Type())
	}
	return out
}

func (w *world) learned(name string, want ...string) {
	w.Helper()
	if got := w.tokens(name); !slices.Equal(got, want) {
		w.Errorf("tokens of %s: %q, want %q", name, got, want)
	}
}

// writes counts what is learned.
type writes struct {
	webhook.DrainStore
	n int
}

func (s *writes) UpdateWorkflowTokens(ctx context.Context, t model.TenantID, name string, edit func(json.RawMessage) (json.RawMessage, bool, error)) error {
	s.n++
	return s.DrainStore.UpdateWorkflowTokens(ctx, t, name, edit)
}

// What is delivered teaches paths and types, once, and never a value; it is there
// after a restart, of this Workflow and tenant alone.
func TestDeliveriesTeach(t *testing.T) {
	each(t, func(w *world) {
		counting := &writes{DrainStore: w.s}
		w.drainer.Store = counting
		hire, other := w.declared("hire", connector.GenericWebhook{Dedupe: "${body.id}"}, ""), w.declared("other", connector.GenericWebhook{}, "")
		send := func(path, body string) {
			w.Helper()
			if got := w.send("POST", path, body); got.code != 202 {
				w.Fatal(got.body)
			}
			w.must(w.drainer.Drain(w.Context()))
		}
		send(hire, `{"id": 1, "first_name": "canary", "items": [{"sku": "canary"}], "canary@acme.example": {"canary 7": "canary"}}`)
		send(hire, `{"id": 2, "first_name": null, "department": "canary"}`)
		send(other, `{"x": 1.5}`)
		all := []string{"body.*.*: string", "body.department: string", "body.first_name: string or null", "body.id: integer", "body.items[].sku: string"}
		w.learned("hire", all...)
		w.learned("other", "body.x: number")
		if counting.n != 3 {
			t.Errorf("%d writes for three bodies", counting.n)
		}
		for i := range 5 {
			send(hire, `{"id": 3`+strings.Repeat("0", i)+`, "first_name": "canary"}`)
		}
		if counting.n != 3 {
			t.Errorf("%d writes: nothing new was in five bodies", counting.n)
		}
		raw, err := w.s.WorkflowTokens(w.Context(), w.tenant, "hire")
		w.must(err)
		if strings.Contains(string(raw), "canary") {
			t.Errorf("a value was kept: %s", raw)
		}
		elsewhere, err := w.s.EnsureTenant(w.Context(), "elsewhere")
		w.must(err)
		if raw, err := w.s.WorkflowTokens(w.Context(), elsewhere, "hire"); err != nil || raw != nil {
			t.Errorf("of another tenant: %s, %v", raw, err)
		}
		w.must(w.s.DeleteWorkflow(w.Context(), w.tenant, "hire", true, store.Decider{Actor: "ada", Kind: model.ActorUser}))
		w.learned("hire")
		send(hire, `{"id": 9}`)
		w.declared("hire", connector.GenericWebhook{Dedupe: "${body.id}"}, "")
		w.learned("hire") // a Workflow that is made anew knows nothing
	})
}

// Nothing that learning meets holds up an event.
func TestLearningHoldsUpNothing(t *testing.T) {
	each(t, func(w *world) {
		path := w.declared("hire", connector.GenericWebhook{}, "")
		w.must(w.s.UpdateWorkflowTokens(w.Context(), w.tenant, "hire", func(json.RawMessage) (json.RawMessage, bool, error) { return json.RawMessage("{damaged"), true, nil }))
		if got := w.send("POST", path, `{"a": 1}`); got.code != 202 {
			t.Fatal(got.body)
		}
		if events := w.events(); len(events) != 1 {
			t.Errorf("%d events", len(events))
		}
		if !strings.Contains(w.log.String(), "was not learned") {
			t.Error("nobody was told")
		}
	})
}

// A test delivery is verified as any and teaches, and nothing of it is an event:
// there is nothing that a crash or a replay could bring back.
func TestTestDelivery(t *testing.T) {
	each(t, func(w *world) {
		g := connector.GenericWebhook{Dedupe: "${body.id}", Signature: &connector.GenericSignature{Header: "X-Signature", Prefix: "sha256="}}
		path := w.declared("hire", g, "sesame")
		hook, err := connector.NewWebhook(g)
		w.must(err)
		secrets := map[string]string{connector.GenericKey: "sesame"}
		body := `{"id": "evt-1", "first_name": "Ada"}`
		if got := w.send("POST", path+"/test", body); got.code != 401 {
			t.Fatalf("without a signature: %d %s", got.code, got.body)
		}
		w.learned("hire")
		got := w.deliver(path+"/test", hook, secrets, body)
		want := `{"test":true,"message":"verified and learned; nothing was started","paths":[{"path":"body.first_name","type":"string"},{"path":"body.id","type":"string"}]}`
		if got.code != 200 || strings.TrimSpace(got.body) != want {
			t.Fatalf("%d %s", got.code, got.body)
		}
		w.learned("hire", "body.first_name: string", "body.id: string")
		received, err := w.s.ReceivedEvents(w.Context(), w.tenant, store.EventQuery{})
		w.must(err)
		if waiting, dead := w.waiting(); waiting != 0 || dead != 0 || len(received) != 0 {
			t.Fatalf("%d wait, %d are dead, %d were received", waiting, dead, len(received))
		}
		if events := w.events(); len(events) != 0 {
			t.Fatalf("events: %v", events)
		}
		// The same as a delivery is no duplicate of the test.
		if got := w.deliver(path, hook, secrets, body); got.code != 202 || got.Duplicate {
			t.Fatalf("%d %s", got.code, got.body)
		}
		if events := w.events(); len(events) != 1 {
			t.Errorf("%d events", len(events))
		}
		for send, code := range map[[3]string]int{{"GET", path + "/test", ""}: 405, {"POST", path + "/tset", "{}"}: 404, {"POST", path + "x/test", "{}"}: 404, {"POST", path + "/test/", "{}"}: 404} {
			if got := w.send(send[0], send[1], send[2]); got.code != code {
				t.Errorf("%v: %d, want %d", send, got.code, code)
			}
		}
		if got := w.deliver(path+"/test", hook, secrets, `"Ping test"`); got.code != 400 {
			t.Errorf("a request of set-up: %d %s", got.code, got.body)
		}
		if got := w.deliver(path+"/test", hook, secrets, `{"a": 1, "a": 2}`); got.code != 400 {
			t.Errorf("a key twice: %d %s", got.code, got.body)
		}
	})
}

// An Integration's address takes no tests.
func TestTestDeliveryToAnIntegration(t *testing.T) {
	each(t, func(w *world) {
		path := w.integration("okta", "okta", "eventHook", oktaSecrets)
		if got := w.send("POST", path+"/test", `{}`, "Authorization", "sesame"); got.code != 404 {
			t.Errorf("%d %s", got.code, got.body)
		}
		if waiting, _ := w.waiting(); waiting != 0 {
			t.Errorf("%d events", waiting)
		}
	})
}

// Rehearse reads what a delivery would be read as.
func TestRehearse(t *testing.T) {
	each(t, func(w *world) {
		w.declared("hire", connector.GenericWebhook{Dedupe: "${body.id}", Signature: &connector.GenericSignature{Header: "X-Signature"}}, "sesame")
		e, err := w.s.EndpointOf(w.Context(), w.tenant, store.Hook{OwnerKind: "Workflow", OwnerName: "hire"})
		w.must(err)
		rehearse := func(body string) (webhook.Rehearsed, error) {
			return webhook.Rehearse(w.Context(), e, connector.WebhookRequest{Method: "POST", Body: []byte(body)}, t0)
		}
		got, err := rehearse(`{"id": "evt-1"}`)
		w.must(err)
		if got.DedupeID != "evt-1" || got.Window != 0 || got.Event.Kind != model.EventWebhook || got.Event.Subject != "Workflow/hire" || !strings.Contains(string(got.Event.Payload), "evt-1") {
			t.Errorf("%+v", got)
		}
		if got, err = rehearse(`{"a": 1}`); err != nil || got.DedupeID != "" || got.Window != 10*time.Minute {
			t.Errorf("without an id: %+v, %v", got, err)
		}
		for _, body := range []string{"", `{"a": 1, "a": 2}`, `{"challenge": "x", "type": "url_verification"}`} {
			if _, err := rehearse(body); err == nil {
				t.Errorf("%q passed", body)
			}
		}
	})
}
