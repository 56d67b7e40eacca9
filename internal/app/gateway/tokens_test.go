// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package gateway_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/seatkeeper/seatkeeper/internal/cli"
	"github.com/seatkeeper/seatkeeper/internal/connector"
	"github.com/seatkeeper/seatkeeper/internal/model"
	"github.com/seatkeeper/seatkeeper/internal/store"
	"github.com/seatkeeper/seatkeeper/internal/store/storetest"
	"github.com/seatkeeper/seatkeeper/internal/tokens"
	"github.com/seatkeeper/seatkeeper/internal/trigger"
	"github.com/seatkeeper/seatkeeper/internal/workflow"
)

const hireSpec = `{"trigger": {"webhook": {"dedupe": "${body.id}", "person": {"match": [{"email": "${body.email}"}], "create": true,
	"fields": {"email": "${body.email}", "givenName": "${body.fist_name}"}}}}, "when": "event.data.body.kind == 'hire'"}`

// hire declares a Workflow with a webhook as its controller does.
func hire(t *testing.T, f *fixture, tenant model.TenantID) {
	t.Helper()
	starts, err := trigger.Spec{Subject: workflow.SubjectPerson, When: "event.data.body.kind == 'hire'", Guard: &trigger.DefaultGuard, Webhook: &trigger.Webhook{
		Match: []trigger.Match{{Field: trigger.MatchEmail, Value: "${body.email}"}}, Create: true,
		Fields: map[string]string{"email": "${body.email}", "givenName": "${body.fist_name}"}}}.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	definition, err := workflow.Definition{Language: workflow.LanguageCEL, Subject: workflow.SubjectPerson, Steps: []workflow.Step{{Name: "rest", Wait: &workflow.WaitStep{For: workflow.Hours(1)}}}}.Marshal()
	if err == nil {
		_, err = f.store.PutWorkflow(t.Context(), tenant, store.WorkflowState{Name: "hire", TriggerKind: "webhook", Subject: workflow.SubjectPerson, Trigger: starts, State: store.WorkflowReady, Spec: hireSpec}, definition)
	}
	if err != nil {
		t.Fatal(err)
	}
	config, err := json.Marshal(connector.GenericWebhook{Dedupe: "${body.id}", Signature: &connector.GenericSignature{Header: "X-Signature"}})
	if err != nil {
		t.Fatal(err)
	}
	token, err := store.NewEndpointToken(tenant)
	if err == nil {
		err = f.store.PutEndpoints(t.Context(), f.ring, tenant, "Workflow", "hire", "uid", []store.EndpointSpec{{Token: token, Config: config}})
	}
	if err != nil {
		t.Fatal(err)
	}
}

// TestTokens tests a webhook and lists what it received by the command line, each
// as far as RBAC allows it, and proves that a test starts nothing.
func TestTokens(t *testing.T) {
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
		hire(t, f, tenant)
		if _, err := f.store.PutWorkflow(t.Context(), tenant, store.WorkflowState{Name: "manual", TriggerKind: "manual", State: store.WorkflowReady}, nil); err != nil {
			t.Fatal(err)
		}
		if _, err := f.store.PutWorkflow(t.Context(), tenant, store.WorkflowState{Name: "homeless", TriggerKind: "webhook", State: store.WorkflowReady}, nil); err != nil {
			t.Fatal(err)
		}
		f.bind(ns, "looker", []string{"get", "list"}, "workflows")
		f.bind(ns, "keeper", []string{"get", "list", "create"}, "workflows", "workflows/test")
		f.bind(other, "neighbour", []string{"get", "list", "create"}, "workflows", "workflows/test")
		configs := map[string]string{}
		for user, namespace := range map[string]string{"looker": ns, "keeper": ns, "neighbour": other} {
			configs[user] = f.env.WriteKubeconfig(t, f.env.ClientCert(t, user), namespace)
		}
		run := func(user, namespace string, args ...string) (code int, out string) {
			var o bytes.Buffer
			code = cli.Execute(t.Context(), "seatkeeper", append(args, "--kubeconfig", configs[user], "--server", f.server, "--server-ca", f.ca, "-n", namespace), &o, &o)
			return code, o.String()
		}
		dir := t.TempDir()
		write := func(name, body string) string {
			writeFile(t, dir, name, []byte(body))
			return filepath.Join(dir, name)
		}
		body := write("body.json", `{"id": "evt-1", "kind": "hire", "email": "New@acme.example", "first_name": "Ada", "items": [{"sku": "canary"}]}`)
		fire := write("fire.json", `{"id": "evt-2", "kind": "fire", "email": "New@acme.example"}`)
		twice := write("twice.json", `{"id": "evt-3", "id": "evt-4"}`)
		large := write("large.json", `"`+strings.Repeat("x", 1<<20)+`"`)
		for _, c := range []struct {
			name, user, ns, args string
			code                 int
			want                 []string
		}{
			{"nothing yet", "looker", ns, "workflow tokens hire", 0, []string{"Nothing was received yet"}},
			{"nothing to check", "looker", ns, "workflow tokens hire --check", 0, []string{"nothing could be checked"}},
			{"test", "keeper", ns, "webhooks test hire -f " + body, 0, []string{"nothing was started", "Outcome   the guard would hold the run, GuardHeld: ", // there is nobody of whom half may start
				`Person    new@acme.example, would be made known: nobody was found by email "New@acme.example"`, `          email = "new@acme.example"`,
				"When      true: event.data.body.kind == 'hire'\n          event.data.body.kind = \"hire\"\n", "Guard     0 runs may start in 24h0m0s, 0 have", `Event     known by the id "evt-1"`,
				"Received  body.email: string (new)\n", "          body.items[].sku: string (new)\n"}},
			{"test, when is false", "keeper", ns, "webhook test hire -f " + fire, 0, []string{"no run would start: spec.when is false", "When      false", "Received  body.email: string\n"}},
			{"test, as JSON", "keeper", ns, "webhook test hire -o json -f " + body, 0, []string{`"outcome": "Held"`, `"test": true`}},
			{"test, refused body", "keeper", ns, "webhook test hire -f " + twice, 1, []string{"SK9006", "same key"}},
			{"test, large body", "keeper", ns, "webhook test hire -f " + large, 1, []string{"1 MiB"}},
			{"test, no file", "keeper", ns, "webhook test hire", 2, []string{"--file is missing"}},
			{"test, file gone", "keeper", ns, "webhook test hire -f " + body + "x", 1, []string{"SK9019"}},
			{"test, not allowed", "looker", ns, "webhook test hire -f " + body, 3, []string{"seatkeeper-editor"}},
			{"test, no webhook", "keeper", ns, "webhook test manual -f " + body, 1, []string{"SK9006", "trigger manual"}},
			{"test, no address", "keeper", ns, "webhook test homeless -f " + body, 1, []string{"SK9005", "WebhookReady"}},
			{"test, not there", "keeper", ns, "webhook test nothing -f " + body, 1, []string{"SK9004"}},
			{"test, of another tenant", "neighbour", other, "webhook test hire -f " + body, 1, []string{"SK9004"}},
			{"test, another tenant", "neighbour", ns, "webhook test hire -f " + body, 3, []string{"may not"}},
			{"tokens", "looker", ns, "workflow tokens hire", 0, []string{"IN THE TRIGGER", "${body.first_name}", "${event.data.body.first_name}", "string", "${event.data.body.items[0].sku}",
				"spec.trigger.webhook.person.fields.givenName: body.fist_name was never received; did you mean body.first_name?"}},
			{"tokens as JSON", "looker", ns, "workflow tokens hire -o json", 0, []string{`"path": "body.items[].sku"`, `"nearest": "body.first_name"`}},
			{"tokens as names", "looker", ns, "workflow tokens hire -o name", 0, []string{"${body.email}\n"}},
			{"check", "looker", ns, "workflow tokens hire --check", 1, []string{"did you mean body.first_name?\n", "SK9023"}},
			{"tokens of another tenant", "neighbour", other, "workflow tokens hire", 1, []string{"SK9004"}},
		} {
			code, out := run(c.user, c.ns, strings.Fields(c.args)...)
			for _, want := range c.want {
				if code != c.code || !strings.Contains(out, want) {
					t.Errorf("%s: %d, want %q in\n%s", c.name, code, want, out)
				}
			}
			if strings.HasPrefix(c.name, "tokens") && strings.Contains(out, "canary") {
				t.Errorf("%s: a value is shown\n%s", c.name, out)
			}
		}
		// Nothing came of any of it.
		received, err := f.store.ReceivedEvents(t.Context(), tenant, store.EventQuery{})
		if err != nil || len(received) != 0 {
			t.Errorf("received: %v, %v", received, err)
		}
		if events, err := f.store.NewEvents(t.Context(), tenant, 10); err != nil || len(events) != 0 {
			t.Errorf("events: %v, %v", events, err)
		}
		if runs, err := f.store.ListRuns(t.Context(), tenant, store.RunFilter{}); err != nil || len(runs) != 0 {
			t.Errorf("runs: %v, %v", runs, err)
		}
		if people, err := f.store.PeopleCounts(t.Context(), tenant); err != nil || len(people) != 0 {
			t.Errorf("people: %v, %v", people, err)
		}
		// What was delivered before would be a copy.
		e := store.Event{Tenant: tenant, Endpoint: store.Hook{OwnerKind: "Workflow", OwnerName: "hire"}.Endpoint(), Body: []byte("{}")}
		sum := sha256.Sum256([]byte("dedupe\nevt-1"))
		e.DedupeKey = "id/" + base64.RawURLEncoding.EncodeToString(sum[:])
		if _, err := f.store.ReceiveEvent(t.Context(), e); err != nil {
			t.Fatal(err)
		}
		if code, out := run("keeper", ns, "webhook", "test", "hire", "-f", body); code != 0 || !strings.Contains(out, "no run would start: the same was delivered before") {
			t.Errorf("a copy: %d\n%s", code, out)
		}
		// A correction ends the warning.
		if _, err := tokens.Teach(t.Context(), f.store, tenant, "hire", tokens.Body{Value: map[string]any{"fist_name": "x"}, At: time.Now()}); err != nil {
			t.Fatal(err)
		}
		if code, out := run("looker", ns, "workflow", "tokens", "hire", "--check"); code != 0 || !strings.Contains(out, "Every expression") {
			t.Errorf("corrected: %d\n%s", code, out)
		}
	})
}

// TestStartsPageByPage: the command line goes through all pages, each start is
// there once, while those that wait are decided on again.
func TestStartsPageByPage(t *testing.T) {
	storetest.Each(t, func(t *testing.T, open storetest.Opener) {
		f := newFixture(t, open())
		ns := f.env.Namespace(t)
		tenant, err := f.store.EnsureTenant(t.Context(), ns)
		if err != nil {
			t.Fatal(err)
		}
		const starts = 1203
		var b store.StartBatch
		at := time.Date(2026, 11, 22, 0, 0, 0, 0, time.UTC)
		for i := range starts { // several happened in one instant
			when := at.Add(time.Duration(i/7) * time.Second)
			b.Starts = append(b.Starts, store.WorkflowStart{Workflow: fmt.Sprint("w", i%3), Key: fmt.Sprintf("k%04d", i), Kind: "schedule", Label: fmt.Sprintf("start-%04d", i), State: store.StartWaiting, HappenedAt: when, DueAt: when, LookAt: when})
		}
		if _, err := f.store.ApplyStarts(t.Context(), tenant, b); err != nil {
			t.Fatal(err)
		}
		f.bind(ns, "looker", []string{"get", "list"}, "runs")
		var o, e bytes.Buffer
		kubeconfig := f.env.WriteKubeconfig(t, f.env.ClientCert(t, "looker"), ns)
		run := func(args ...string) string {
			t.Helper()
			o.Reset()
			if code := cli.Execute(t.Context(), "seatkeeper", append(args, "--kubeconfig", kubeconfig, "--server", f.server, "--server-ca", f.ca, "-n", ns), &o, &e); code != 0 {
				t.Fatalf("%v: %d %s", args, code, e.String())
			}
			return o.String()
		}
		seen := map[string]int{}
		lines := strings.Split(strings.TrimSpace(run("starts", "-o", "csv")), "\n")[1:]
		for _, line := range lines {
			seen[line]++
		}
		if len(seen) != starts || len(lines) != starts || !strings.Contains(lines[0], "start-1") || !strings.Contains(lines[starts-1], "start-000") {
			t.Errorf("%d lines, %d starts, want %d, from %s to %s", len(lines), len(seen), starts, lines[0], lines[len(lines)-1])
		}
		if n := strings.Count(run("starts", "-o", "csv", "--workflow", "w1"), "\n") - 1; n != starts/3 {
			t.Errorf("%d of one Workflow, want %d", n, starts/3)
		}
		code := cli.Execute(t.Context(), "seatkeeper", []string{"starts", "--kubeconfig", kubeconfig, "--server", f.server, "--server-ca", f.ca, "-n", ns, "--limit", "5"}, &o, &e)
		if code != 0 || !strings.Contains(e.String(), "first 5; more follow") {
			t.Errorf("%d %s", code, e.String())
		}
	})
}
