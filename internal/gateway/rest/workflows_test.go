// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package rest_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/seatkeeper/seatkeeper/internal/model"
	"github.com/seatkeeper/seatkeeper/internal/store"
	"github.com/seatkeeper/seatkeeper/internal/store/storetest"
)

// send calls a route as a user, checks the answer against the description and
// returns it.
func (w *world) send(c *contract, method, path, user, body string, header ...string) (int, http.Header, map[string]any) {
	w.Helper()
	r, err := http.NewRequestWithContext(w.Context(), method, w.url+path, strings.NewReader(body))
	w.must(err)
	if user != "" {
		r.Header.Set("Authorization", "Bearer "+user)
	}
	r.Header.Set("Seatkeeper-Namespace", "acme")
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	for i := 0; i+1 < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	resp, err := http.DefaultClient.Do(r)
	w.must(err)
	defer func() { _ = resp.Body.Close() }()
	text, err := io.ReadAll(resp.Body)
	w.must(err)
	c.check(r, resp.StatusCode, resp.Header, string(text))
	out := map[string]any{}
	if err := json.Unmarshal(text, &out); err != nil {
		w.Fatalf("%s %s: %d %s", method, path, resp.StatusCode, text)
	}
	return resp.StatusCode, resp.Header, out
}

// putWorkflow stores a Workflow as its controller does.
func (w *world) putWorkflow(tenant model.TenantID, s store.WorkflowState, definition string) store.WorkflowState {
	w.Helper()
	if s.State == "" {
		s.State = store.WorkflowReady
	}
	out, err := w.s.PutWorkflow(w.Context(), tenant, s, json.RawMessage(definition))
	w.must(err)
	return out
}

const waits = `{"language":"CEL","subject":"Person","steps":[{"name":"wait","wait":{"for":"1h"}}]}`

// TestTrigger is acceptance rows 47 and 48.
func TestTrigger(t *testing.T) {
	storetest.Each(t, func(t *testing.T, open storetest.Opener) {
		w := newWorld(t, open())
		c := newContract(t, w.url)
		tenant, err := w.s.EnsureTenant(t.Context(), "acme")
		w.must(err)
		w.syncPeople(tenant, "hris", map[string]any{}, map[string]any{})
		leaver := w.putWorkflow(tenant, store.WorkflowState{Name: "leaver", DisplayName: "Leaver", TriggerKind: "manual", Subject: "Person"}, waits)
		w.putWorkflow(tenant, store.WorkflowState{Name: "paused", TriggerKind: "manual", Suspended: true}, waits)
		w.putWorkflow(tenant, store.WorkflowState{Name: "broken", TriggerKind: "manual", State: store.WorkflowInvalid, Message: "spec.steps[a]: no"}, "")

		for name, tc := range map[string]struct {
			path, user, body string
			header           []string
			code             int
			says             string
		}{
			"nobody":               {"/v1.0/workflows/leaver/trigger", "", `{}`, nil, 401, "unauthorised"},
			"who may only read":    {"/v1.0/workflows/leaver/trigger", "ann", `{}`, nil, 403, "workflowruns"},
			"of another tenant":    {"/v1.0/workflows/leaver/trigger", "eve", `{}`, nil, 403, ""},
			"an unknown person":    {"/v1.0/workflows/leaver/trigger", client, `{"triggerUserEmail":"nobody@acme.example"}`, nil, 404, "nobody@acme.example"},
			"without a person":     {"/v1.0/workflows/leaver/trigger", client, `{}`, nil, 400, "person"},
			"an unknown Workflow":  {"/v1.0/workflows/joiner/trigger", client, `{}`, nil, 404, "joiner"},
			"an unknown number":    {"/v1.0/workflows/77/trigger", client, `{}`, nil, 404, "77"},
			"one that is paused":   {"/v1.0/workflows/paused/trigger", client, `{}`, nil, 409, "suspended"},
			"one that is not good": {"/v1.0/workflows/broken/trigger", client, `{}`, nil, 409, "spec.steps[a]: no"},
			"an unknown field":     {"/v1.0/workflows/leaver/trigger", client, `{"user":"x"}`, nil, 400, "user"},
			"another subject":      {"/v1.0/workflows/leaver/trigger", client, `{"triggerAppId":7}`, nil, 400, "triggerAppId"},
			"two keys":             {"/v1.0/workflows/leaver/trigger", client, `{"idempotencyKey":"a"}`, []string{"Idempotency-Key", "b"}, 400, "Idempotency-Key"},
			"no JSON":              {"/v1.0/workflows/leaver/trigger", client, `{} {}`, nil, 400, "goes on"},
			"a form":               {"/v1.0/workflows/leaver/trigger", client, `{}`, []string{"Content-Type", "text/plain"}, 415, "application/json"},
			"too much":             {"/v1.0/workflows/leaver/trigger", client, `{"input":{"x":"` + strings.Repeat("x", 200<<10) + `"}}`, nil, 413, "bytes"},
		} {
			code, _, body := w.send(c, "POST", tc.path, tc.user, tc.body, tc.header...)
			if code != tc.code || !strings.Contains(fmt.Sprint(body["message"]), tc.says) {
				t.Errorf("%s: %d %v, want %d that says %q", name, code, body, tc.code, tc.says)
			}
		}
		if runs, err := w.s.ListRuns(t.Context(), tenant, store.RunFilter{}); err != nil || len(runs) != 0 {
			t.Fatalf("a refused request started %d runs, %v", len(runs), err)
		}

		byNumber := fmt.Sprintf("/v1.0/workflows/%d", leaver.APIID)
		code, _, first := w.send(c, "POST", byNumber+"/trigger", client, `{"triggerUserEmail":"0@ACME.example","input":{"ticket":7}}`, "Idempotency-Key", "k1")
		if code != 202 || first["state"] != "ready" || first["idWorkflow"] != float64(leaver.APIID) || first["revision"] != 1.0 {
			t.Fatalf("%d %v", code, first)
		}
		code, header, again := w.send(c, "POST", "/v1.0/workflows/leaver/trigger", client, `{"triggerUserEmail":"0@acme.example","idempotencyKey":"k1"}`)
		if code != 200 || again["id"] != first["id"] || header.Get("Idempotency-Replayed") != "true" {
			t.Errorf("the same key: %d %v", code, again)
		}
		code, _, other := w.send(c, "POST", byNumber+"/trigger", client, `{"triggerUserEmail":"1@acme.example"}`)
		if code != 202 || other["id"] == first["id"] {
			t.Errorf("another request: %d %v", code, other)
		}
		code, _, run := w.send(c, "GET", fmt.Sprintf("%s/runs/%s", byNumber, first["id"]), "ann", "")
		if code != 200 || run["isCompleted"] != false || run["idempotencyKey"] != "k1" {
			t.Errorf("the run: %d %v", code, run)
		}
		if code, _, _ := w.send(c, "GET", fmt.Sprintf("/v1.0/workflows/paused/runs/%s", first["id"]), "ann", ""); code != 404 {
			t.Errorf("the run of another Workflow: %d", code)
		}
		records, err := w.s.Audit(t.Context(), tenant, store.AuditQuery{Action: "run.start"})
		w.must(err)
		if len(records) != 2 || records[0].Actor != client || records[0].RunID != other["id"] {
			t.Errorf("audit: %+v", records)
		}
	})
}

// TestWorkflows reads what is there, and what it did (rows 168 and 194).
func TestWorkflows(t *testing.T) {
	storetest.Each(t, func(t *testing.T, open storetest.Opener) {
		w := newWorld(t, open())
		c := newContract(t, w.url)
		tenant, err := w.s.EnsureTenant(t.Context(), "acme")
		w.must(err)
		if code, _, body := w.send(c, "GET", "/v1.0/workflows", "ann", ""); code != 200 || fmt.Sprint(body) != "map[count:0 nextCursor:<nil> total:0 workflows:[]]" {
			t.Errorf("none: %d %v", code, body)
		}
		w.syncPeople(tenant, "hris", map[string]any{})
		w.putWorkflow(tenant, store.WorkflowState{Name: "b", TriggerKind: "person", Subject: "Person"}, waits)
		w.putWorkflow(tenant, store.WorkflowState{Name: "a", TriggerKind: "manual", DisplayName: "First"}, waits)
		w.putWorkflow(tenant, store.WorkflowState{Name: "gone", TriggerKind: "manual"}, waits)
		w.must(w.s.DeleteWorkflow(t.Context(), tenant, "gone", true, store.Decider{}))
		_, _, list := w.send(c, "GET", "/v1.0/workflows", "ann", "")
		names := ""
		for _, v := range list["workflows"].([]any) {
			v := v.(map[string]any)
			names += fmt.Sprint(v["id"], v["key"], v["name"], v["type"], v["state"], ";")
		}
		if names != "2 a First manual active;1 b b person active;" && names != "2aFirstmanualactive;1bbpersonactive;" {
			t.Errorf("%s", names)
		}
		if _, _, some := w.send(c, "GET", "/v1.0/workflows?type=person", "ann", ""); some["count"] != 1.0 {
			t.Errorf("by type: %v", some)
		}
		if code, _, _ := w.send(c, "GET", "/v1.0/workflows?type=odd", "ann", ""); code != 400 {
			t.Errorf("an unknown type: %d", code)
		}
		if code, _, v := w.send(c, "GET", "/v1.0/workflows/a", "ann", ""); code != 200 || v["id"] != 2.0 {
			t.Errorf("by name: %d %v", code, v)
		}
		if code, _, _ := w.send(c, "GET", "/v1.0/workflows/gone", "ann", ""); code != 404 {
			t.Errorf("one that is deleted: %d", code)
		}
		w.executions(c, tenant)
	})
}

// executions lets three runs act, and reads what they did.
func (w *world) executions(c *contract, tenant model.TenantID) {
	w.Helper()
	ctx := w.Context()
	held, err := w.s.HoldShards(ctx, store.HoldRequest{Owner: "test", Lease: time.Minute, TakeOver: true})
	w.must(err)
	for i := range 3 {
		_, _, run := w.send(c, "POST", "/v1.0/workflows/b/trigger", client, fmt.Sprintf(`{"triggerUserEmail":"0@acme.example","idempotencyKey":"%d"}`, i))
		key := store.RunKey{Tenant: tenant, ID: run["id"].(string)}
		w.must(w.s.AdvanceRuns(ctx, held.Leases, []store.RunKey{key}, func(now time.Time, l store.LoadedRun) (*store.RunChange, error) {
			r := l.Run
			r.StepPath, r.State = "dept[0]/off", store.RunInFlight
			at := func(n int, state store.AttemptState, problem string) store.Attempt {
				began := now.Add(time.Duration(i)*time.Second + time.Duration(n)*time.Millisecond)
				return store.Attempt{StepPath: r.StepPath, N: n, State: state, Integration: "hris", Action: "user.suspend", Class: "idempotent", StartedAt: began, DeadlineAt: began, EndedAt: &began, Error: problem}
			}
			out := &store.RunChange{Attempts: []store.Attempt{at(1, store.AttemptNotSent, "dial"), at(2, store.AttemptOK, "")}}
			switch i {
			case 0: // done
				r.State, r.EndedAt, r.StepPath = store.RunSucceeded, &now, ""
			case 1: // refused for good
				out.Attempts[1].State, out.Attempts[1].Error = store.AttemptFailed, "no such user"
				r.State, r.EndedAt = store.RunFailed, &now
			}
			out.Run = r
			return out, nil
		}))
	}
	all := []map[string]any{}
	for cursor := ""; ; {
		_, _, page := w.send(c, "GET", "/v1.0/workflows/actionExecutions?size=2&cursor="+cursor, "ann", "")
		if page["total"] != 3.0 {
			w.Fatalf("%v", page)
		}
		for _, e := range page["actionExecutions"].([]any) {
			all = append(all, e.(map[string]any))
		}
		next, ok := page["nextCursor"].(string)
		if !ok {
			break
		}
		cursor = next
	}
	got := ""
	ids := map[any]bool{}
	for _, e := range all {
		ids[e["id"]] = true
		got += fmt.Sprintf("%v %v %v %v %q %v; ", e["step"], e["status"], e["isRun"], e["isCompleted"], fmt.Sprint(e["errorMessage"]), e["idActionUser"])
	}
	want := `dept.off running true false "<nil>" 1; dept.off failed true true "no such user" 1; dept.off success true true "<nil>" 1; `
	if got != want || len(ids) != 3 {
		w.Errorf("executions are\n%s, want\n%s", got, want)
	}
	if all[0]["idAction"] != all[1]["idAction"] || all[0]["idWorkflow"] != 1.0 || all[0]["idActionApp"] == nil {
		w.Errorf("%v", all[0])
	}
	for filter, n := range map[string]float64{"status=failed": 1, "idWorkflow=1": 3, "idWorkflow=2": 0, "idActionUser=1": 3, "idActionUser=9": 0, fmt.Sprintf("idActionApp=%v", all[0]["idActionApp"]): 3, "idActionApp=99": 0} {
		if _, _, page := w.send(c, "GET", "/v1.0/workflows/actionExecutions?"+filter, "ann", ""); page["count"] != n || page["total"] != n {
			w.Errorf("%s: %v", filter, page)
		}
	}
	for _, bad := range []string{"cursor=odd", "size=0", "size=1001", "idWorkflow=x", "status=odd", "page=2", "size=1&size=2"} {
		if code, _, body := w.send(c, "GET", "/v1.0/workflows/actionExecutions?"+bad, "ann", ""); code != 400 {
			w.Errorf("%s: %d %v", bad, code, body)
		}
	}
	if code, _, _ := w.send(c, "GET", "/v1.0/workflows/actionExecutions", "eve", ""); code != 403 {
		w.Errorf("another tenant's: %d", code)
	}
}
