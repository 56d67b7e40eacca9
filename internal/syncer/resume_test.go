// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package syncer_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"testing"
	"time"

	clocktesting "k8s.io/utils/clock/testing"

	"github.com/seatkeeper/seatkeeper/internal/connector"
	"github.com/seatkeeper/seatkeeper/internal/model"
	"github.com/seatkeeper/seatkeeper/internal/store/storetest"
	"github.com/seatkeeper/seatkeeper/internal/syncer"
	"github.com/seatkeeper/seatkeeper/internal/syncer/handover"
)

const longManifest = `
apiVersion: seatkeeper.dev/v1alpha1
kind: Connector
metadata: {name: long}
spec:
  title: Long
  category: app
  verified: "No"
  auth: [{id: t, type: bearer, token: "${secret.token}", secrets: {token: {}}}]
  http: {baseURL: https://api.long.example, rateLimit: {retryAfter: Retry-After}}
  account: {get: /me, id: resp.id}
  streams:
    users:
      essential: true
      covers: [all]
      lastActivity: NotReported
      request: {get: /users}
      page: {type: cursor, stable: true, param: at, next: "get(resp, 'next')"}
      records: resp.users
      key: r.id
      deletes: {by: absence}
      emit: [{type: Account, map: {externalId: r.id, status: "'active'"}}]
`

// A vendor whose limit is used up in the middle of a long listing parks the
// sync; the next one goes on there, and only the whole list counts.
func TestSyncGoesOnWhereTheListingBrokeOff(t *testing.T) {
	storetest.Each(t, func(t *testing.T, open storetest.Opener) {
		const pages = 40
		limitAt, asked := -1, []int{}
		mux := http.NewServeMux()
		mux.HandleFunc("/me", func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(`{"id":"A"}`)) })
		mux.HandleFunc("/users", func(w http.ResponseWriter, r *http.Request) {
			at := 0
			_, _ = fmt.Sscan(r.URL.Query().Get("at"), &at)
			if at == limitAt {
				w.Header().Set("Retry-After", "7200")
				w.WriteHeader(http.StatusTooManyRequests)
				return
			}
			asked = append(asked, at)
			out := map[string]any{"users": []any{map[string]any{"id": fmt.Sprintf("u%02d", at)}}}
			if at+1 < pages {
				out["next"] = fmt.Sprint(at + 1)
			}
			_ = json.NewEncoder(w).Encode(out)
		})
		srv := httptest.NewServer(mux)
		defer srv.Close()
		manifest, err := connector.Load("long.yaml", []byte(longManifest))
		if err != nil {
			t.Fatal(err)
		}
		b := newBench(t, open())
		clk := clocktesting.NewFakeClock(time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC))
		b.worker = syncer.New(syncer.Options{Store: b.store, Owner: "test", Open: func(_ context.Context, _ syncer.Key, _ handover.Spec, states map[string]connector.StreamState) (syncer.Session, error) {
			return connector.Open(connector.Options{Manifest: manifest, Secrets: map[string]string{"token": "x"}, State: states, Clock: clk,
				Endpoints: map[string]string{"api.long.example": srv.URL}})
		}})
		accounts := func() int64 {
			counts, err := b.store.Counts(t.Context(), b.tenant, "zoom")
			if err != nil {
				t.Fatal(err)
			}
			return counts[model.DataAccounts]
		}
		limitAt = 30
		status, _ := b.sync(t.Context())
		if status.Problem == nil || accounts() != 0 {
			t.Fatalf("%d accounts, %+v", accounts(), status)
		}
		limitAt, asked = -1, nil
		clk.Step(2 * time.Hour)
		status, _ = b.sync(t.Context())
		if status.Problem != nil || accounts() != pages || !slices.Contains(asked, 30) || slices.Contains(asked, 29) {
			t.Fatalf("%d accounts, asked %v, %+v", accounts(), asked, status.Problem)
		}
		// What was read before it broke off is as old as that, not as its end.
		states, err := b.store.StreamStates(t.Context(), b.tenant, "zoom")
		if err != nil {
			t.Fatal(err)
		}
		if got := states["users"].CompletedAt; got.After(clk.Now().Add(-2 * time.Hour)) {
			t.Errorf("the list counts as read at %v, its first page is from %v", got, clk.Now().Add(-2*time.Hour))
		}
		// A whole sync later nothing of that is left.
		asked = nil
		if status, _ = b.sync(t.Context()); status.Problem != nil || accounts() != pages || len(asked) != pages {
			t.Errorf("%d accounts, %d pages, %+v", accounts(), len(asked), status.Problem)
		}
	})
}
