// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package query

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/seatkeeper/seatkeeper/internal/store"
	"github.com/seatkeeper/seatkeeper/internal/store/storetest"
)

// A run is shown with those that its steps have started, and says how many there
// are besides.
func TestRunTree(t *testing.T) {
	storetest.Each(t, func(t *testing.T, open storetest.Opener) {
		ctx, s := t.Context(), open()
		tenant, err := s.EnsureTenant(ctx, "acme")
		if err != nil {
			t.Fatal(err)
		}
		add := func(runs ...store.NewRun) (ids []string) {
			t.Helper()
			for i := range runs {
				runs[i].Name, runs[i].Definition = "leaver", json.RawMessage(`{"steps":[]}`)
			}
			if _, err := s.CreateRuns(ctx, tenant, runs); err != nil {
				t.Fatal(err)
			}
			for _, r := range runs {
				run, err := s.RunByTrigger(ctx, tenant, r.Kind, r.Name, r.TriggerKey)
				if err != nil {
					t.Fatal(err)
				}
				ids = append(ids, run.ID)
			}
			return ids
		}
		root := add(store.NewRun{Kind: "Workflow", TriggerKey: "k"})[0]
		items := make([]store.NewRun, 60)
		for i := range items {
			items[i] = store.NewRun{Kind: "Item", ParentID: root, TriggerKey: fmt.Sprintf("%s/outer[#1]/access[#%d]/0", root, i)}
		}
		first := add(items...)[0]
		accounts := make([]store.NewRun, 60)
		for i := range accounts {
			accounts[i] = store.NewRun{Kind: "Offboarding", ParentID: first, TriggerKey: fmt.Sprintf("%s/apps[#%d]/0", first, i)}
		}
		add(accounts...)
		mux := http.NewServeMux()
		(&API{Store: s, Guard: everybody{}, Log: slog.New(slog.DiscardHandler)}).Register(mux)
		w := httptest.NewRecorder()
		mux.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/apis/v1/namespaces/acme/runs/"+root, nil))
		var got RunDetail
		if err := json.Unmarshal(w.Body.Bytes(), &got); err != nil || w.Code != http.StatusOK {
			t.Fatalf("%d %s: %v", w.Code, w.Body, err)
		}
		if len(got.Runs) != 60 || got.MoreRuns != 0 || got.Runs[2].Step != "outer[1].access" || got.Runs[2].Place != "[2]" {
			t.Fatalf("%d runs and %d more: %+v", len(got.Runs), got.MoreRuns, got.Runs[2])
		}
		if below := got.Runs[0]; len(below.Runs) != 40 || below.MoreRuns != 20 || below.Runs[1].Step != "apps" || below.Runs[1].Place != "[1]" {
			t.Errorf("%d runs below, %d more: %+v", len(below.Runs), below.MoreRuns, below.Runs[1])
		}
	})
}
