// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package webhook_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"sigs.k8s.io/controller-runtime/pkg/metrics"

	"github.com/seatkeeper/seatkeeper/connectors"
	"github.com/seatkeeper/seatkeeper/internal/connector"
	"github.com/seatkeeper/seatkeeper/internal/connector/fixture"
	"github.com/seatkeeper/seatkeeper/internal/gateway/access"
	"github.com/seatkeeper/seatkeeper/internal/gateway/webhook"
	"github.com/seatkeeper/seatkeeper/internal/model"
	"github.com/seatkeeper/seatkeeper/internal/ratelimit"
	"github.com/seatkeeper/seatkeeper/internal/store"
)

// Whatever a connector's fixtures say that its vendor delivers goes the whole
// way: the challenge is answered, the event stored, the sync asked for.
func TestConnectorsFixtures(t *testing.T) {
	deliveries := 0
	each(t, func(w *world) {
		for _, name := range connectors.Names() {
			m, err := connectors.Builtin(name)
			w.must(err)
			if len(m.Webhooks()) == 0 {
				continue
			}
			f, err := fixture.Load("../../../connectors/" + name + "/testdata/fixtures.yaml")
			w.must(err)
			w.clock.SetTime(f.Now)
			for i, d := range f.Deliveries {
				deliveries++
				own := fmt.Sprintf("%s-%d", name, i)
				path := w.integration(own, name, d.Webhook, f.Secrets)
				w.settle(own)
				in := connector.WebhookRequest{Method: d.Method, Header: http.Header{}, Body: d.Content}
				w.must(m.Webhook(d.Webhook).Prove(w.Context(), &in, f.Secrets, f.Now))
				headers := []string{}
				for k, v := range d.Headers {
					headers = append(headers, k, v)
				}
				for k := range in.Header {
					headers = append(headers, k, in.Header.Get(k))
				}
				got := w.send(d.Method, path, string(d.Content), headers...)
				switch {
				case d.Refused != "":
					if got.code/100 != 4 {
						w.Errorf("%s: delivery %d: %d %s, want a refusal", name, i, got.code, got.body)
					}
				case d.Answer != "":
					if got.code != 200 || got.body != d.Answer {
						w.Errorf("%s: delivery %d: %d %q, want the answer %q", name, i, got.code, got.body, d.Answer)
					}
				case got.code != 200 || got.ID == "":
					w.Errorf("%s: delivery %d: %d %s", name, i, got.code, got.body)
				default:
					again := w.send(d.Method, path, string(d.Content), headers...)
					if again.code != 200 || again.ID != got.ID || !again.Duplicate {
						w.Errorf("%s: delivery %d again: %d %s", name, i, again.code, again.body)
					}
				}
				var names []string
				var ids []string
				for _, e := range w.events() {
					var said model.RealtimeEvent
					w.must(json.Unmarshal(e.Payload, &said))
					if e.Kind != model.EventRealtime || e.Integration != own || said.Webhook != d.Webhook || said.EventID == "" || e.Initial {
						w.Errorf("%s: delivery %d: %+v", name, i, e)
					}
					names, ids = append(names, said.Name), append(ids, e.ID)
				}
				w.must(w.s.MarkEventsHandled(w.Context(), w.tenant, ids))
				if !slices.Equal(names, d.Events) {
					w.Errorf("%s: delivery %d: events %v, want %v", name, i, names, d.Events)
				}
				if due := w.due(own); len(d.Events) > 0 && due != 0 || len(d.Events) == 0 && due != time.Hour {
					w.Errorf("%s: delivery %d: due in %s", name, i, due)
				}
			}
		}
		if waiting, dead := w.waiting(); waiting != 0 || dead != 0 {
			w.Errorf("%d events wait, %d are dead", waiting, dead)
		}
	})
	if deliveries < 12 {
		t.Errorf("only %d deliveries were tried", deliveries)
	}
}

// An event of a Workflow's address keeps its body for the run.
func TestWorkflowDelivery(t *testing.T) {
	each(t, func(w *world) {
		path := w.workflow("hire", connector.GenericWebhook{Signature: &connector.GenericSignature{Header: "X-Signature", Prefix: "sha256="}, Dedupe: "${body.id}"}, "sesame")
		hook, err := connector.NewWebhook(connector.GenericWebhook{Signature: &connector.GenericSignature{Header: "X-Signature", Prefix: "sha256="}})
		w.must(err)
		secrets := map[string]string{connector.GenericKey: "sesame"}
		got := w.deliver(path, hook, secrets, `{"id":7,"first_name":"Ada"}`)
		if got.code != http.StatusAccepted || got.ID == "" || got.header.Get("Content-Type") != "application/json" {
			w.Fatalf("%d %s", got.code, got.body)
		}
		if again := w.deliver(path, hook, secrets, `{"id":7,"first_name":"Ada","again":true}`); again.code != http.StatusAccepted || again.ID != got.ID || !again.Duplicate {
			w.Fatalf("again: %d %s", again.code, again.body)
		}
		if other := w.deliver(path, hook, map[string]string{connector.GenericKey: "guess"}, `{"id":8}`); other.code != http.StatusUnauthorized {
			w.Fatalf("another key: %d %s", other.code, other.body)
		}
		form := w.send("POST", w.workflow("form", connector.GenericWebhook{}, ""), "first_name=Ada&email=ada%40acme.example", "Content-Type", "application/x-www-form-urlencoded")
		if form.code != http.StatusAccepted {
			w.Fatalf("a form: %d %s", form.code, form.body)
		}
		want := map[string]string{"Workflow/hire": `{"first_name":"Ada","id":7}`, "Workflow/form": `{"email":"ada@acme.example","first_name":"Ada"}`}
		events := w.events()
		for _, e := range events {
			var said model.WebhookEvent
			w.must(json.Unmarshal(e.Payload, &said))
			if e.Kind != model.EventWebhook || string(said.Body) != want[e.Subject] || said.EventID != e.ID || !said.ReceivedAt.Equal(t0) {
				w.Errorf("%+v %s", e, e.Payload)
			}
		}
		if len(events) != 2 || events[0].ID != got.ID {
			w.Errorf("%d events", len(events))
		}
		if w.synced != 0 {
			w.Error("a Workflow's event asked for a sync")
		}
	})
}

// The same bytes without an id are one event for a time that can be set.
func TestDedupeWindow(t *testing.T) {
	each(t, func(w *world) {
		standard, short := w.workflow("standard", connector.GenericWebhook{}, ""), w.workflow("short", connector.GenericWebhook{DedupeWindow: time.Minute}, "")
		send := func(path string) string { return w.send("POST", path, `{"a":1}`).ID }
		a, b := send(standard), send(short)
		if a == b || send(standard) != a || send(short) != b {
			w.Fatal("within a moment")
		}
		w.clock.Step(time.Minute)
		if send(standard) != a || send(short) == b {
			w.Fatal("after a minute")
		}
		w.clock.Step(9 * time.Minute)
		if send(standard) == a {
			w.Fatal("after ten minutes")
		}
	})
}

func TestRefusals(t *testing.T) {
	each(t, func(w *world) {
		open := w.workflow("open", connector.GenericWebhook{}, "")
		okta := w.integration("okta", "okta", "eventHook", nil)
		unknown, err := store.NewEndpointToken(w.tenant)
		w.must(err)
		big := strings.Repeat("x", 1<<20)
		for name, c := range map[string]struct {
			method, path, body string
			headers            []string
			code               int
			retry              bool
		}{
			"an unknown path":        {"POST", "/hooks/" + unknown, `{}`, nil, 404, false},
			"an unknown path, GET":   {"GET", "/hooks/" + unknown, ``, nil, 404, false},
			"no token":               {"POST", "/hooks/x", `{}`, nil, 404, false},
			"another tenant's token": {"POST", "/hooks/zz." + strings.SplitN(unknown, ".", 2)[1], `{}`, nil, 404, false},
			"a long token":           {"POST", "/hooks/" + strings.Repeat("a", 4000), `{}`, nil, 404, false},
			"a MiB":                  {"POST", open, big[:1<<20], []string{"Content-Type", "text/plain"}, 202, false},
			"more than a MiB":        {"POST", open, big + "x", nil, 413, false},
			"a key twice":            {"POST", open, `{"a":1,"a":2}`, nil, 400, false},
			"65 levels":              {"POST", open, strings.Repeat("[", 65) + strings.Repeat("]", 65), nil, 400, false},
			"nothing":                {"POST", open, "", nil, 400, false},
			"compressed":             {"POST", open, `{}`, []string{"Content-Encoding", "gzip"}, 415, false},
			"GET":                    {"GET", open, "", nil, 405, false},
			"PUT":                    {"PUT", open, `{}`, nil, 405, false},
			"no key to verify with":  {"POST", okta, `{}`, []string{"Authorization", "x"}, 503, true},
			"Okta's challenge":       {"GET", okta, "", []string{"X-Okta-Verification-Challenge", "abc"}, 200, false},
		} {
			got := w.send(c.method, c.path, c.body, c.headers...)
			if got.code != c.code || c.retry != (got.header.Get("Retry-After") != "") {
				w.Errorf("%s: %d %s, Retry-After %q; want %d", name, got.code, got.body, got.header.Get("Retry-After"), c.code)
			}
		}
		// Where nothing is, the answer is the same in every respect.
		gone := w.workflow("gone", connector.GenericWebhook{}, "")
		w.must(w.s.DeleteEndpoints(w.Context(), w.tenant, "Workflow", "gone"))
		never, was := w.send("POST", "/hooks/"+unknown, `{}`), w.send("POST", gone, `{}`)
		if was.code != 404 || was.body != never.body || len(was.header) != len(never.header) {
			w.Errorf("what was: %d %s, what never was: %d %s", was.code, was.body, never.code, never.body)
		}
		if waiting, _ := w.waiting(); waiting != 1 {
			w.Errorf("%d events were stored, want that of one MiB", waiting)
		}
	})
}

// A delivery that an endpoint refuses is in the audit of its tenant, once an hour
// however often it comes; a guess at an address is nobody's.
func TestRefusedDeliveriesAreAudited(t *testing.T) {
	each(t, func(w *world) {
		path := w.workflow("hire", connector.GenericWebhook{Signature: &connector.GenericSignature{Header: "X-Signature", Prefix: "sha256="}}, "sesame")
		for range 30 {
			if got := w.send("POST", path, `{"id":7}`, "X-Signature", "sha256=00"); got.code != 401 {
				w.Fatalf("%d %s", got.code, got.body)
			}
			w.send("POST", "/hooks/guess", `{}`)
			w.clock.Step(2 * time.Second)
		}
		records, err := w.s.Audit(w.Context(), w.tenant, store.AuditQuery{Action: access.ActionRefuse})
		w.must(err)
		if len(records) != 1 || records[0].ObjectKind != "Workflow" || records[0].ObjectName != "hire" || records[0].Reason != "delivery unverified" ||
			records[0].ActorKind != model.ActorUnknown || records[0].Detail["route"] != "POST /hooks/{token}" || records[0].Detail["address"] == "" {
			w.Errorf("the audit has %+v", records)
		}
		if text := fmt.Sprintf("%+v", records); strings.Contains(text, strings.TrimPrefix(path, "/hooks/")) {
			w.Errorf("the audit has the address: %s", text)
		}
	})
}

// A store that is away costs no event: its sender is told to come again.
func TestStoreAway(t *testing.T) {
	each(t, func(w *world) {
		path := w.workflow("open", connector.GenericWebhook{}, "")
		if got := w.send("POST", path, `{"a":1}`); got.code != 202 {
			w.Fatalf("%d %s", got.code, got.body)
		}
		w.must(w.s.Close())
		for range 2 { // with what is known of the endpoint, and without
			got := w.send("POST", path, `{"a":2}`)
			if got.code != 503 || got.header.Get("Retry-After") == "" {
				w.Errorf("%d %s", got.code, got.body)
			}
			w.clock.Step(time.Hour)
		}
	})
}

func TestBudgets(t *testing.T) {
	each(t, func(w *world) {
		second := ratelimit.Rate{Count: 3, Per: time.Second}
		busy, quiet := w.workflow("busy", connector.GenericWebhook{}, ""), w.workflow("quiet", connector.GenericWebhook{}, "")
		w.handler.Limits = webhook.Limits{Endpoint: second}
		for i := range 4 {
			got := w.send("POST", busy, fmt.Sprint(i))
			if want := []int{202, 202, 202, 429}[i]; got.code != want || want == 429 && got.header.Get("Retry-After") != "1" {
				w.Errorf("%d: %d %s", i, got.code, got.body)
			}
		}
		if got := w.send("POST", quiet, "1"); got.code != 202 {
			w.Errorf("another endpoint: %d", got.code)
		}
		w.clock.Step(time.Minute)
		w.handler.Limits = webhook.Limits{Address: second}
		codes := ""
		for i := range 4 {
			codes += fmt.Sprint(w.send("POST", quiet, fmt.Sprint("again", i)).code, " ")
		}
		if codes != "202 202 202 429 " {
			w.Errorf("by address: %s", codes)
		}
		w.clock.Step(time.Minute)
		w.handler.Limits = webhook.Limits{Refused: second}
		codes = ""
		for range 4 {
			codes += fmt.Sprint(w.send("POST", "/hooks/guess", "1").code, " ")
		}
		if codes += fmt.Sprint(w.send("POST", quiet, "good").code); codes != "404 404 404 429 202" {
			w.Errorf("refusals: %s", codes)
		}
	})
}

// The address is a credential, and neither it nor anything sent to it is told to
// anybody.
func TestNothingIsTold(t *testing.T) {
	each(t, func(w *world) {
		const canary = "canary-7c1f"
		secrets := map[string]string{"eventHookToken": "token-" + canary}
		m, err := connectors.Builtin("okta")
		w.must(err)
		okta := w.integration("okta", "okta", "eventHook", secrets)
		open := w.workflow("open", connector.GenericWebhook{}, "")
		strict := w.workflow("strict", connector.GenericWebhook{Signature: &connector.GenericSignature{Header: "X-Sig"}}, "key-"+canary)
		tokens := []string{okta, open, strict}
		answers := ""
		for _, a := range []answer{
			w.deliver(okta, m.Webhook("eventHook"), secrets, `{"eventId":"`+canary+`","data":{"events":[{"uuid":"`+canary+`","eventType":"user.lifecycle.deactivate"}]}}`),
			w.deliver(okta, m.Webhook("eventHook"), map[string]string{"eventHookToken": canary}, `{}`),
			w.deliver(okta, m.Webhook("eventHook"), secrets, `{"`+canary+`":`),
			w.send("POST", open, canary, "Authorization", canary, "Cookie", canary), w.send("POST", open, `{"`+canary+`":1,"`+canary+`":2}`),
			w.send("POST", strict, canary, "X-Sig", canary), w.send("GET", strict, "", "X-Sig", canary), w.send("POST", "/hooks/"+canary, canary),
		} {
			answers += fmt.Sprintln(a.code, a.body)
		}
		w.must(w.s.HideIntegration(w.Context(), w.tenant, "okta", 0)) // what waits becomes a dead letter
		w.events()
		if _, dead := w.waiting(); dead != 1 {
			w.Errorf("%d dead letters", dead)
		}
		told := map[string]string{"answers": answers, "log": w.log.String()}
		list, err := w.s.ReceivedEvents(w.Context(), w.tenant, store.EventQuery{})
		w.must(err)
		told["list of events"] = fmt.Sprint(list)
		audit, err := w.s.Audit(w.Context(), w.tenant, store.AuditQuery{})
		w.must(err)
		told["audit"] = fmt.Sprint(audit)
		families, err := metrics.Registry.Gather()
		w.must(err)
		for _, f := range families {
			told["metrics"] += fmt.Sprint(f)
		}
		if !strings.Contains(told["metrics"], "seatkeeper_webhook_deliveries_total") || told["log"] == "" {
			w.Error("nothing was looked at")
		}
		for where, text := range told {
			if strings.Contains(text, canary) {
				w.Errorf("%s: tell what was sent:\n%s", where, text)
			}
			for _, path := range tokens {
				token := strings.TrimPrefix(path, "/hooks/")
				if strings.Contains(text, token) || strings.Contains(text, strings.SplitN(token, ".", 2)[1][:12]) {
					w.Errorf("%s: tells an address:\n%s", where, text)
				}
			}
		}
	})
}

// A path that is taken away is good for no longer than two seconds, on a replica
// that has used it.
func TestRotationReachesReplicas(t *testing.T) {
	each(t, func(w *world) {
		old := w.workflow("open", connector.GenericWebhook{}, "")
		w.send("POST", old, "1")
		young := w.workflow("open", connector.GenericWebhook{}, "") // without overlap
		if got := w.send("POST", young, "2"); got.code != 202 {
			w.Fatalf("the new path: %d", got.code)
		}
		w.clock.Step(2 * time.Second)
		if got := w.send("POST", old, "3"); got.code != 404 {
			w.Fatalf("the old path: %d", got.code)
		}
	})
}
