// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package manager

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	clocktesting "k8s.io/utils/clock/testing"

	"github.com/seatkeeper/seatkeeper/internal/connector"
	"github.com/seatkeeper/seatkeeper/internal/model"
	"github.com/seatkeeper/seatkeeper/internal/store"
	"github.com/seatkeeper/seatkeeper/internal/store/storetest"
	"github.com/seatkeeper/seatkeeper/internal/syncer"
	"github.com/seatkeeper/seatkeeper/internal/syncer/handover"
)

// A vendor that asked for an hour of peace gets it, from a process that was
// started since, too; and an action meets the block that a sync ran into.
func TestBackOffSurvivesARestart(t *testing.T) {
	storetest.EachDSN(t, func(t *testing.T, dsn string) {
		text := strings.Replace(movingManifest, "http: {baseURL: https://mover.example}", `http: {baseURL: "https://mover.example", rateLimit: {retryAfter: Retry-After}}
  streams:
    groups: {essential: true, request: {get: /groups}, records: resp, key: r.id, emit: [{type: Group, map: {externalId: r.id, name: r.id}}]}`, 1)
		manifest, err := connector.Load("mover.yaml", []byte(text))
		if err != nil {
			t.Fatal(err)
		}
		var requests atomic.Int32
		srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if requests.Add(1) == 1 {
				w.Header().Set("Retry-After", "3600")
				w.WriteHeader(http.StatusTooManyRequests)
				return
			}
			if r.Method == http.MethodPost {
				_, _ = w.Write([]byte(`{"id":"j1"}`))
				return
			}
			_, _ = w.Write([]byte(`[{"id":"g1"}]`))
		}))
		defer srv.Close()
		clk := clocktesting.NewFakeClock(time.Date(2026, 11, 2, 10, 0, 0, 0, time.UTC))
		// life is one process: it opens the store, reads and acts, and ends.
		life := func() (read, act error) {
			st, err := store.Open(t.Context(), store.Options{DSN: dsn, Clock: clk})
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = st.Close() }()
			if err := st.Migrate(t.Context()); err != nil {
				t.Fatal(err)
			}
			tenant, err := st.EnsureTenant(t.Context(), "acme")
			if err != nil {
				t.Fatal(err)
			}
			sessions := &syncer.Sessions{
				Builtin: func(string) (*connector.Manifest, error) { return manifest, nil }, Secrets: secretData{"token": "t0ken"},
				Budget: budgets(st), Endpoints: map[string]string{"mover.example": srv.URL}, Clock: clk, MaxWait: time.Second,
			}
			s, _, err := sessions.Open(t.Context(), syncer.Key{Tenant: tenant, Namespace: "acme", Name: "mover"},
				handover.Spec{Connector: "mover", SecretName: "mover", Permission: "ReadAndAct"}, nil)
			if err != nil {
				t.Fatal(err)
			}
			defer s.Close()
			_, read = s.Read(t.Context(), "groups", func(context.Context, string, []model.Record) error { return nil })
			res, act := s.Execute(t.Context(), connector.ActionCall{Name: "data.transfer"})
			if act != nil && (res.Class != connector.ResultRateLimited || res.Sent) {
				t.Errorf("%+v", res)
			}
			return read, act
		}
		for _, passed := range []time.Duration{0, time.Minute, 58 * time.Minute} {
			clk.Step(passed)
			read, act := life()
			if connector.ClassOf(read) != connector.ClassRateLimit || connector.ClassOf(act) != connector.ClassRateLimit || requests.Load() != 1 {
				t.Fatalf("after %s: %v; %v; %d requests", passed, read, act, requests.Load())
			}
		}
		clk.Step(time.Minute)
		if read, act := life(); read != nil || act != nil || requests.Load() != 3 {
			t.Errorf("after the hour: %v; %v; %d requests", read, act, requests.Load())
		}
	})
}
