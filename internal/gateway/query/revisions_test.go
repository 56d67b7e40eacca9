// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package query

import (
	"encoding/json"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/seatkeeper/seatkeeper/internal/model"
	"github.com/seatkeeper/seatkeeper/internal/store"
	"github.com/seatkeeper/seatkeeper/internal/store/storetest"
	"github.com/seatkeeper/seatkeeper/internal/workflow"
)

// TestRevisionsAndVerbs goes through revisions and through what people do to
// runs, with what each refusal answers.
func TestRevisionsAndVerbs(t *testing.T) {
	storetest.Each(t, func(t *testing.T, open storetest.Opener) {
		ctx, s := t.Context(), open()
		tenant, err := s.EnsureTenant(ctx, "acme")
		if err != nil {
			t.Fatal(err)
		}
		put := func(spec string, steps ...workflow.Step) {
			t.Helper()
			definition, err := workflow.Definition{Language: workflow.LanguageCEL, Steps: steps}.Marshal()
			if err == nil {
				_, err = s.PutWorkflow(ctx, tenant, store.WorkflowState{Name: "wf", TriggerKind: "manual", State: store.WorkflowReady, Spec: spec, Author: "kubectl 4711"}, definition)
			}
			if err != nil {
				t.Fatal(err)
			}
		}
		pause := workflow.Step{Name: "pause", Wait: &workflow.WaitStep{For: workflow.Hours(1)}}
		put(`{"n":1}`, pause)
		put(`{"n":2}`, pause)
		put(`{"n":1}`, pause) // the same spec is the same revision
		run, _, err := workflow.Start(ctx, s, tenant, workflow.StartRequest{Workflow: "wf", Key: "k", By: store.Decider{Actor: "ann", Kind: model.ActorUser}})
		if err == nil {
			_, err = s.StopRun(ctx, tenant, run.ID, store.Decider{Actor: "ann", Kind: model.ActorUser})
		}
		if err != nil {
			t.Fatal(err)
		}
		parked, _, err := workflow.Start(ctx, s, tenant, workflow.StartRequest{Workflow: "wf", Key: "p", By: store.Decider{Actor: "ann", Kind: model.ActorUser}})
		if err != nil {
			t.Fatal(err)
		}
		held, err := s.HoldShards(ctx, store.HoldRequest{Owner: "a", Lease: time.Minute})
		if err == nil {
			err = s.AdvanceRuns(ctx, held.Leases, []store.RunKey{parked.Key()}, func(_ time.Time, l store.LoadedRun) (*store.RunChange, error) {
				l.Run.State, l.Run.Reason = store.RunAttention, "OutcomeUnknown"
				return &store.RunChange{Run: l.Run}, nil
			})
		}
		if err != nil {
			t.Fatal(err)
		}
		definition, err := workflow.Definition{Language: workflow.LanguageCEL, Subject: workflow.SubjectContract, Steps: []workflow.Step{pause}}.Marshal()
		if err == nil {
			_, err = s.PutWorkflow(ctx, tenant, store.WorkflowState{Name: "renewal", TriggerKind: "manual", Subject: workflow.SubjectContract, State: store.WorkflowReady}, definition)
		}
		if err == nil {
			err = s.PutDeclaredContract(ctx, tenant, model.ContractFacts{Name: "zoom-2026", DisplayName: "Zoom 2026", State: model.ContractActive})
		}
		if err != nil {
			t.Fatal(err)
		}
		mux := http.NewServeMux()
		(&API{Store: s, Guard: everybody{}, Log: slog.New(slog.DiscardHandler)}).Register(mux)
		for _, tc := range []struct {
			method, path, body string
			code               int
			says               string
		}{
			{"POST", "workflows/renewal/runs", `{"contract":"zoom-2026","key":"k"}`, 200, `"subject":"Zoom 2026"`},
			{"POST", "workflows/renewal/runs", `{"contract":"zoom-2027","key":"l"}`, 404, "zoom-2027"},
			{"POST", "workflows/renewal/runs", `{"application":"zoom"}`, 400, "does not run for an app"},
			{"POST", "workflows/wf/runs", `{"contract":"zoom-2026","key":"m"}`, 400, "does not run for a contract"},
			{"GET", "workflows/wf/revisions", "", 200, `"revision":2,"author":"kubectl 4711"`},
			{"GET", "workflows/wf/revisions?limit=1", "", 200, `"continue":"2"`},
			{"GET", "workflows/wf/revisions?limit=1&continue=2", "", 200, `"revision":1`},
			{"GET", "workflows/wf/revisions?continue=x", "", 400, "continue"},
			{"GET", "workflows/none/revisions", "", 404, "none"},
			{"GET", "workflows/wf/revisions/2", "", 200, `"spec":{"n":2}`},
			{"GET", "workflows/wf/revisions/3", "", 404, "revision 3"},
			{"GET", "workflows/wf/revisions/0", "", 400, "from 1 on"},
			{"GET", "runs?since=24h", "", 200, run.ID},
			{"GET", "runs?since=2199-01-01", "", 200, `"items":[]`},
			{"GET", "runs?since=yesterday", "", 400, "since"},
			{"GET", "runs?person=jo@acme.example", "", 404, "jo@acme.example"},
			{"POST", "runs/none/resume", "{}", 404, "none"},
			{"POST", "runs/" + run.ID + "/resume", `{"toRevision":7}`, 409, "no revision 7"},
			{"POST", "runs/" + run.ID + "/resume", `{"fromStep":"pause"}`, 400, "only retry takes a step"},
			{"POST", "runs/" + run.ID + "/skip", `{"toRevision":1}`, 400, "only resume takes a revision"},
			{"POST", "runs/" + run.ID + "/retry", `{"fromStep":"pause"}`, 409, `not come to step \"pause\"`},
			{"POST", "runs/" + run.ID + "/resume", `{"toRevision":2,"reason":"4711"}`, 200, `"state":"ready"`},
			{"POST", "runs/" + run.ID + "/resume", `{}`, 409, "only a stopped run"},
			{"POST", "runs/" + run.ID + "/resolve", `{"how":"skip"}`, 409, "not in attention"},
			// The key is what the caller gave.
			{"POST", "runs/" + run.ID + "/stop", `{}`, 200, `"triggerKey":"k"`},
			{"POST", "runs/" + parked.ID + "/resolve", `{"how":"skip"}`, 200, `"triggerKey":"p"`},
		} {
			w := httptest.NewRecorder()
			mux.ServeHTTP(w, httptest.NewRequest(tc.method, "/apis/v1/namespaces/acme/"+tc.path, strings.NewReader(tc.body)))
			if w.Code != tc.code || !strings.Contains(w.Body.String(), tc.says) {
				t.Errorf("%s %s %s: %d %s; want %d %s", tc.method, tc.path, tc.body, w.Code, w.Body, tc.code, tc.says)
			}
		}
		records, err := s.Audit(ctx, tenant, store.AuditQuery{})
		if err != nil {
			t.Fatal(err)
		}
		raw, err := json.Marshal(records)
		if err != nil || !strings.Contains(string(raw), `"run.resume"`) || !strings.Contains(string(raw), "revision 2 instead of 1") {
			t.Errorf("%s %v", raw, err)
		}
	})
}
