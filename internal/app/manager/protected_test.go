// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package manager

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/seatkeeper/seatkeeper/internal/connector"
	"github.com/seatkeeper/seatkeeper/internal/model"
	"github.com/seatkeeper/seatkeeper/internal/store"
	"github.com/seatkeeper/seatkeeper/internal/syncer/handover"
	"github.com/seatkeeper/seatkeeper/internal/workflow"
)

const takingManifest = `
apiVersion: seatkeeper.dev/v1alpha1
kind: Connector
metadata: {name: mover}
spec:
  title: Taker
  category: app
  verified: "No"
  auth: [{id: t, type: bearer, token: "${secret.token}", secrets: {token: {}}}]
  http: {baseURL: https://mover.example}
  actions:
    user.deactivate:
      class: idempotent
      destructive: true
      input: {userId: {type: string, required: true}}
      steps: [{post: "/users/${input.userId}/off"}]
    user.update:
      class: idempotent
      input: {userId: {type: string, required: true}}
      steps: [{patch: "/users/${input.userId}"}]
    data.transfer:
      class: idempotent
      input: {from: {type: string, required: true}}
      steps: [{post: /transfers}]
    ticket.create:
      class: idempotent
      input: {about: {type: string, required: true}}
      steps: [{post: /tickets}]
`

type brokenProtector struct{}

func (brokenProtector) Protected(context.Context, model.TenantID, string, map[string]any) (string, error) {
	return "", errors.New("the store is away")
}

// Whoever calls, and by whatever step: no call that takes from an account leaves
// for one that is protected (invariant 5).
func TestNoCallTouchesTheProtected(t *testing.T) {
	var calls atomic.Int64
	srv := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { calls.Add(1) }))
	defer srv.Close()
	a, tenant := actionsOf(t, takingManifest, srv.URL)
	spec, err := json.Marshal(handover.Spec{Namespace: "acme", Connector: "mover", SecretName: "mover", Permission: string(connector.PermissionReadAndAct), DestructiveActions: []string{"user.deactivate"}})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := a.store.UpsertIntegration(t.Context(), tenant, store.IntegrationSpec{Name: "mover", Connector: "mover", Spec: spec}); err != nil {
		t.Fatal(err)
	}
	if err := a.store.SetTenantFacts(t.Context(), tenant, store.TenantFacts{Protected: []string{"boss@acme.example"}}); err != nil {
		t.Fatal(err)
	}
	guard := a.guard
	for _, tt := range []struct {
		action, field, who string
		guard              protector
		want               workflow.ResultClass
		message            string
	}{
		{"user.deactivate", "userId", "boss@acme.example", guard, workflow.ResultDenied, "boss@acme.example is protected by the Organization; nothing was done"},
		{"user.update", "userId", "Boss@acme.example", guard, workflow.ResultDenied, "is protected"},
		{"data.transfer", "from", "boss@acme.example", guard, workflow.ResultDenied, "is protected"},
		{"user.deactivate", "userId", "ada@acme.example", guard, workflow.ResultDone, ""},
		{"ticket.create", "about", "boss@acme.example", guard, workflow.ResultDone, ""},
		{"user.deactivate", "userId", "ada@acme.example", brokenProtector{}, workflow.ResultFailed, "could not be found out"},
	} {
		a.guard = tt.guard
		before := calls.Load()
		res, err := a.Execute(t.Context(), tenant, workflow.Call{Integration: "mover", Action: tt.action, Input: map[string]any{tt.field: tt.who}})
		if err != nil || res.Class != tt.want || !strings.Contains(res.Message, tt.message) {
			t.Errorf("%s of %s: %+v, %v; want %s", tt.action, tt.who, res, err, tt.want)
		}
		if sent := calls.Load() > before; sent != (tt.want == workflow.ResultDone) || res.Sent != sent {
			t.Errorf("%s of %s: sent %v, said %v", tt.action, tt.who, sent, res.Sent)
		}
	}
}
