// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package manager

import (
	"encoding/json"
	"maps"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	. "github.com/onsi/gomega"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"github.com/seatkeeper/seatkeeper/api/v1alpha1"
)

const ticketWorkflow = `
trigger: {manual: {}}
steps:
- name: token
  http:
    url: https://id.example/token
    method: POST
    class: Read
    headers: {Content-Type: application/x-www-form-urlencoded}
    body: {grant_type: client_credentials}
    auth: {type: Basic, secretName: desk}
  outputs:
    access: {value: resp.access_token, sensitive: true}
- name: pause
  wait: {for: 1s}
- name: ticket
  http:
    url: https://desk.example/tickets
    method: POST
    class: Keyed
    headers: {Authorization: "Zoho-oauthtoken ${steps.token.access}"}
    body: {subject: "Laptop ${string(input.number)}"}
  outputs:
    id: {value: resp.id}
`

// TestWorkflowSendsRequests takes an http step through the whole manager: it
// waits for its Secret, runs by a WorkflowRun, and shows no credential.
func TestWorkflowSendsRequests(t *testing.T) {
	const password, access = "canary-password-1", "canary-access-1"
	var mu sync.Mutex
	tickets := map[string]int{}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /token", func(rw http.ResponseWriter, r *http.Request) {
		if _, pass, _ := r.BasicAuth(); pass != password || r.FormValue("grant_type") != "client_credentials" {
			rw.WriteHeader(http.StatusUnauthorized)
			return
		}
		_, _ = rw.Write([]byte(`{"access_token": "` + access + `"}`))
	})
	mux.HandleFunc("POST /tickets", func(rw http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "Zoho-oauthtoken "+access {
			rw.WriteHeader(http.StatusUnauthorized)
			return
		}
		mu.Lock()
		defer mu.Unlock()
		tickets[r.Header.Get("Idempotency-Key")]++
		_, _ = rw.Write([]byte(`{"id": "T-1"}`))
	})
	desk := httptest.NewServer(mux)
	t.Cleanup(desk.Close)
	w := newWorld(t, func(w *world) {
		endpoints := maps.Clone(w.options.ConnectorEndpoints)
		endpoints["id.example"], endpoints["desk.example"] = desk.URL, desk.URL
		w.options.ConnectorEndpoints = endpoints
	})
	g := NewWithT(t)
	wf := &v1alpha1.Workflow{ObjectMeta: metav1.ObjectMeta{Namespace: w.ns, Name: "ticket"}}
	w.must(yaml.UnmarshalStrict([]byte(ticketWorkflow), &wf.Spec))
	w.create(wf)
	w.ready(wf, metav1.ConditionFalse, v1alpha1.ReasonSecretNotFound)
	w.condition(wf, v1alpha1.ConditionValid, metav1.ConditionTrue, v1alpha1.ReasonCompiled)
	w.secret("desk", map[string]string{"username": "client", "password": password})
	w.patch(wf, map[string]any{"spec": map[string]any{"displayName": "Ticket"}}) // sooner than in a minute
	w.ready(wf, metav1.ConditionTrue, v1alpha1.ReasonReconciled)

	run := &v1alpha1.WorkflowRun{ObjectMeta: metav1.ObjectMeta{Namespace: w.ns, Name: "one"}, Spec: v1alpha1.WorkflowRunSpec{
		WorkflowRef: v1alpha1.ObjectReference{Name: "ticket"}, Input: map[string]v1alpha1.Value{"number": raw(t, 7)}}}
	w.create(run)
	w.condition(run, v1alpha1.ConditionSucceeded, metav1.ConditionTrue, v1alpha1.ReasonCompleted)
	mu.Lock()
	g.Expect(tickets).To(HaveLen(1))
	mu.Unlock()
	for _, o := range []client.Object{wf, run} {
		text, err := json.Marshal(o)
		w.must(err)
		for _, canary := range []string{password, access} {
			g.Expect(strings.Contains(string(text), canary)).To(BeFalse(), "%s shows %s", o.GetName(), canary)
		}
	}
}
