// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package manager

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"k8s.io/utils/clock"

	"github.com/seatkeeper/seatkeeper/internal/connector"
	"github.com/seatkeeper/seatkeeper/internal/govern"
	"github.com/seatkeeper/seatkeeper/internal/model"
	"github.com/seatkeeper/seatkeeper/internal/store"
	"github.com/seatkeeper/seatkeeper/internal/store/storetest"
	"github.com/seatkeeper/seatkeeper/internal/syncer"
	"github.com/seatkeeper/seatkeeper/internal/syncer/handover"
	"github.com/seatkeeper/seatkeeper/internal/workflow"
)

const movingManifest = `
apiVersion: seatkeeper.dev/v1alpha1
kind: Connector
metadata: {name: mover}
spec:
  title: Mover
  category: app
  verified: "No"
  auth: [{id: t, type: bearer, token: "${secret.token}", secrets: {token: {}}}]
  http: {baseURL: https://mover.example}
  actions:
    data.transfer:
      class: idempotent
      steps: [{post: /transfers, save: {job: resp.id}}]
      wait: {get: "/transfers/${vars.job}", every: 1m, timeout: 2h, done: resp.state == 'done', failed: resp.state == 'failed'}
      output: {files: resp.files}
`

// What the connector says of accepted work reaches the workflow engine as what
// the engine understands by it.
func TestAcceptedWorkReachesTheEngine(t *testing.T) {
	answer, status := "", http.StatusOK
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPost {
			_, _ = io.WriteString(w, `{"id":"j1"}`)
			return
		}
		if r.URL.Path != "/transfers/j1" {
			t.Errorf("asked for %s", r.URL.Path)
		}
		w.WriteHeader(status)
		_, _ = io.WriteString(w, answer)
	}))
	defer srv.Close()
	a, tenant := actionsOf(t, movingManifest, srv.URL)
	info, err := a.Action(t.Context(), tenant, "mover", "data.transfer")
	if err != nil || info.WaitTimeout != 2*time.Hour || info.WaitEvery != time.Minute || info.Refused != "" {
		t.Fatalf("%+v, %v", info, err)
	}
	call := workflow.Call{Integration: "mover", Action: "data.transfer"}
	res, err := a.Execute(t.Context(), tenant, call)
	if err != nil || res.Class != workflow.ResultAccepted || fmt.Sprint(res.Output) != "map[job:j1]" {
		t.Fatalf("%+v, %v", res, err)
	}
	call.Accepted = res.Output
	for _, tt := range []struct {
		status int
		answer string
		want   workflow.ResultClass
		final  bool
	}{
		{200, `{"state":"running"}`, workflow.ResultAbsent, false},
		{500, `{}`, workflow.ResultFailed, false}, // to ask, not to do it
		{200, `{"state":"failed","message":"no such owner"}`, workflow.ResultFailed, true},
		{200, `{"state":"done","files":2}`, workflow.ResultDone, false},
	} {
		answer, status = tt.answer, tt.status
		res, err := a.Verify(t.Context(), tenant, call)
		if res.Class != tt.want || res.Final != tt.final || err != nil {
			t.Errorf("%s: %+v, %v", tt.answer, res, err)
		}
		if tt.want == workflow.ResultDone && fmt.Sprint(res.Output) != "map[files:2]" {
			t.Errorf("output %v", res.Output)
		}
	}
}

// actionsOf are the actions of an Integration "mover" whose connector is
// declared in text.
func actionsOf(t *testing.T, text, url string) (*actions, model.TenantID) {
	t.Helper()
	st := storetest.Open(t, "sqlite:"+t.TempDir())
	tenant, err := st.EnsureTenant(t.Context(), "acme")
	if err != nil {
		t.Fatal(err)
	}
	manifest, err := connector.Load("mover.yaml", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	spec, err := json.Marshal(handover.Spec{Namespace: "acme", Connector: "mover", SecretName: "mover", Permission: string(connector.PermissionReadAndAct)})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := st.UpsertIntegration(t.Context(), tenant, store.IntegrationSpec{Name: "mover", Connector: "mover", Spec: spec}); err != nil {
		t.Fatal(err)
	}
	sessions := &syncer.Sessions{
		Builtin: func(string) (*connector.Manifest, error) { return manifest, nil },
		Secrets: secretData{"token": "t0ken"}, Budget: budgets(st), Endpoints: map[string]string{"mover.example": url},
	}
	return newActions(st, sessions, clock.RealClock{}, govern.NewRechecker(st, clock.RealClock{})), tenant
}

const refusingManifest = `
apiVersion: seatkeeper.dev/v1alpha1
kind: Connector
metadata: {name: mover}
spec:
  title: Refuser
  category: app
  verified: "No"
  auth: [{id: t, type: bearer, token: "${secret.token}", secrets: {token: {}}}]
  http:
    baseURL: https://mover.example
    rateLimit: {retryAfter: Retry-After}
  actions:
    ticket.create:
      class: unsafe
      steps: [{post: /tickets, save: {id: string(resp.id)}}]
      output: {id: vars.id}
    page.add:
      class: keyed
      steps: [{post: /pages}, {post: /links}]
`

// A vendor's refusal is no unknown outcome: what came back says whether the
// effect is there, and the engine decides by it whether it is sent again.
func TestRefusalsReachTheEngine(t *testing.T) {
	status, body, broken := 0, "{}", "/tickets"
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != broken {
			return
		}
		w.Header().Set("Retry-After", "90")
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	}))
	defer srv.Close()
	a, tenant := actionsOf(t, refusingManifest, srv.URL)
	for _, tt := range []struct {
		action string
		path   string
		status int
		body   string
		want   workflow.ResultClass
	}{
		{"ticket.create", "/tickets", 201, `{"id":1}`, workflow.ResultDone},
		{"ticket.create", "/tickets", 400, `{"message":"no subject"}`, workflow.ResultFailed},
		{"ticket.create", "/tickets", 401, `{}`, workflow.ResultDenied},
		{"ticket.create", "/tickets", 403, `{}`, workflow.ResultDenied},
		{"ticket.create", "/tickets", 404, `{}`, workflow.ResultNotFound},
		{"ticket.create", "/tickets", 409, `{}`, workflow.ResultConflict},
		{"ticket.create", "/tickets", 503, `{}`, workflow.ResultUnknown},
		{"ticket.create", "/tickets", 201, `{}`, workflow.ResultUnknown}, // made, and nothing to find it by
		{"page.add", "/links", 409, `{}`, workflow.ResultUnknown},        // half of it is there
		{"ticket.create", "/tickets", 429, `{}`, workflow.ResultRateLimited},
	} {
		status, body, broken = tt.status, tt.body, tt.path
		res, err := a.Execute(t.Context(), tenant, workflow.Call{Integration: "mover", Action: tt.action, IdemKey: "k"})
		if err != nil || res.Class != tt.want || !res.Sent || res.StatusCode != tt.status {
			t.Errorf("%s answered with %d %s: %+v, %v; want %s", tt.action, tt.status, tt.body, res, err, tt.want)
		}
		if tt.want != workflow.ResultDone && res.Message == "" {
			t.Errorf("%d: nothing is said", tt.status)
		}
		if tt.status == http.StatusTooManyRequests && res.RetryAfter != 90*time.Second {
			t.Errorf("to be asked again after %s", res.RetryAfter)
		}
	}
}
