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
	st := storetest.Open(t, "sqlite:"+t.TempDir())
	tenant, err := st.EnsureTenant(t.Context(), "acme")
	if err != nil {
		t.Fatal(err)
	}
	manifest, err := connector.Load("mover.yaml", []byte(movingManifest))
	if err != nil {
		t.Fatal(err)
	}
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
	spec, err := json.Marshal(handover.Spec{Namespace: "acme", Connector: "mover", SecretName: "mover", Permission: string(connector.PermissionReadAndAct)})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := st.UpsertIntegration(t.Context(), tenant, store.IntegrationSpec{Name: "mover", Connector: "mover", Spec: spec}); err != nil {
		t.Fatal(err)
	}
	a := &actions{store: st, clock: clock.RealClock{}, sessions: &syncer.Sessions{
		Builtin: func(string) (*connector.Manifest, error) { return manifest, nil },
		Secrets: secretData{"token": "t0ken"}, Budget: budgets(st), Endpoints: map[string]string{"mover.example": srv.URL},
	}}
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
		status  int
		answer  string
		want    workflow.ResultClass
		final   bool
		unknown bool
	}{
		{200, `{"state":"running"}`, workflow.ResultAbsent, false, false},
		{500, `{}`, "", false, true},
		{200, `{"state":"failed","message":"no such owner"}`, workflow.ResultFailed, true, false},
		{200, `{"state":"done","files":2}`, workflow.ResultDone, false, false},
	} {
		answer, status = tt.answer, tt.status
		res, err := a.Verify(t.Context(), tenant, call)
		if res.Class != tt.want || res.Final != tt.final || (err != nil) != tt.unknown {
			t.Errorf("%s: %+v, %v", tt.answer, res, err)
		}
		if tt.want == workflow.ResultDone && fmt.Sprint(res.Output) != "map[files:2]" {
			t.Errorf("output %v", res.Output)
		}
	}
}
