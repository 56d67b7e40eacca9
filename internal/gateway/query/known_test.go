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

	"github.com/seatkeeper/seatkeeper/internal/store"
	"github.com/seatkeeper/seatkeeper/internal/store/storetest"
)

// A filter that names what is not there is refused, with what may be meant: an
// empty list would look like good news. What is there and has nothing is empty.
func TestFiltersNameWhatIsThere(t *testing.T) {
	storetest.Each(t, func(t *testing.T, open storetest.Opener) {
		s := open()
		must := func(err error) {
			t.Helper()
			if err != nil {
				t.Fatal(err)
			}
		}
		tenant, err := s.EnsureTenant(t.Context(), "acme")
		must(err)
		_, err = s.PutWorkflow(t.Context(), tenant, store.WorkflowState{Name: "zoom-leaver", State: store.WorkflowReady}, json.RawMessage(`{}`))
		must(err)
		must(s.UpsertPolicy(t.Context(), tenant, store.PolicyState{Policy: "zoom-90d", Rules: json.RawMessage(`{}`)}))
		for _, name := range []string{"zoom", "slack"} {
			_, err = s.UpsertIntegration(t.Context(), tenant, store.IntegrationSpec{Name: name, UID: name, Connector: name, Interval: time.Hour})
			must(err)
		}
		_, err = s.CreateRuns(t.Context(), tenant, []store.NewRun{{Kind: "Workflow", Name: "gone", TriggerKind: "manual", TriggerKey: "1", Definition: json.RawMessage(`{}`)}})
		must(err)
		run, err := s.RunByTrigger(t.Context(), tenant, "Workflow", "gone", "1")
		must(err)
		held, err := s.HoldShards(t.Context(), store.HoldRequest{Owner: "a", Lease: time.Minute})
		must(err)
		must(s.AdvanceRuns(t.Context(), held.Leases, []store.RunKey{run.Key()}, func(now time.Time, l store.LoadedRun) (*store.RunChange, error) {
			l.Run.State, l.Run.Reason = store.RunAttention, "OutcomeUnknown"
			return &store.RunChange{Run: l.Run, Attempts: []store.Attempt{{StepPath: "a", N: 1, State: store.AttemptAmbiguous, Integration: "zoom", Action: "user.suspend", IdemKey: "k", StartedAt: now}}}, nil
		}))

		mux := http.NewServeMux()
		(&API{Store: s, Guard: everybody{}, Log: slog.New(slog.DiscardHandler)}).Register(mux)
		for path, want := range map[string]string{
			"runs?workflow=zoom-leaver": "0 items", "runs?workflow=zoom-leavr": `there is no Workflow "zoom-leavr" in namespace "acme"; did you mean "zoom-leaver"?`,
			"runs?workflow=gone": "1 items", "runs?workflow=payroll": `there is no Workflow "payroll" in namespace "acme"`,
			"runs?name=zoom-90d": "0 items", "runs?name=zom-90d": `did you mean "zoom-90d"?`,
			"runs?integration=zoom": "1 items", "runs?integration=slack": "0 items", "runs?integration=slak": `there is no Integration "slak" in namespace "acme"; did you mean "slack"?`,
			"runs?reason=OutcomeUnknown": "1 items", "runs?reason=Waiting": "0 items", "runs?integration=zoom&state=failed": "0 items",
			"starts?workflow=zoom-leaver": "0 items", "starts?workflow=zomleaver": `did you mean "zoom-leaver"?`,
			"seats?policy=zoom-90d": "0 items", "seats?policy=zoom-9d": `there is no LicensePolicy "zoom-9d"`, "seats?integration=okta": `there is no Integration "okta"`,
			"accounts?integration=zoom": "0 items", "accounts?integration=zom": `did you mean "zoom"?`, "transactions?integration=zom": `did you mean "zoom"?`,
			"contracts?integration=zom": `did you mean "zoom"?`, "savings?policy=zom": "there is no LicensePolicy", "savings?policy=zoom-90d": "0 items",
			"audit?run=" + run.ID: "0 items", "audit?run=0190": `there is no run "0190" in namespace "acme"`,
		} {
			w := httptest.NewRecorder()
			mux.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/apis/v1/namespaces/acme/"+path, nil))
			var l struct {
				Items   []any  `json:"items"`
				Message string `json:"message"`
			}
			must(json.Unmarshal(w.Body.Bytes(), &l))
			if n, ok := strings.CutSuffix(want, " items"); ok {
				if w.Code != http.StatusOK || strings.Repeat("1", len(l.Items)) != strings.TrimLeft(n, "0") {
					t.Errorf("%s: %d %s, want %s", path, w.Code, w.Body, want)
				}
			} else if w.Code != http.StatusNotFound || !strings.Contains(l.Message, want) || strings.Contains(l.Message, "mean") != strings.Contains(want, "mean") && strings.HasSuffix(want, `"acme"`) {
				t.Errorf("%s: %d %q, want 404 with %s", path, w.Code, l.Message, want)
			}
		}
	})
}
