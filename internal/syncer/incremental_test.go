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
	"strings"
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

const incrementalManifest = `
apiVersion: seatkeeper.dev/v1alpha1
kind: Connector
metadata: {name: inc}
spec:
  title: Incremental
  category: app
  verified: "No"
  auth: [{id: t, type: bearer, token: "${secret.token}", secrets: {token: {}}}]
  http: {baseURL: https://api.inc.example}
  account: {get: /me, id: resp.id}
  streams:
    users:
      essential: true
      covers: [all]
      lastActivity: Reported
      request: {get: /users, query: {since: "${state.cursor}"}}
      records: resp
      key: r.id
      deletes: {by: absence}
      sync: {mode: incremental, cursor: ts(r.changed), overlap: 10m, fullEvery: 24h, removed: "get(r, 'deleted') == true"}
      emit:
        - type: Account
          map: {externalId: r.id, status: "'active'", username: "get(r, 'name')", lastActivityAt: "ts(get(r, 'seen'))"}
        - {type: LicenseAssignment, forEach: "list(get(r, 'plans'))", as: plan, map: {accountExternalId: r.id, planKey: plan, state: "'active'"}}
    events:
      optional: true
      request: {get: /events}
      page: {type: delta, next: "get(resp, 'next')", delta: "get(resp, 'delta')", removed: "get(r, 'removed') != null"}
      records: resp.value
      key: r.id
      deletes: {by: absence}
      emit: [{type: Group, map: {externalId: r.id, name: r.name}}]
`

// changing is a vendor that tells what changed since a moment, and a delta feed.
type changing struct {
	*httptest.Server
	account string
	users   []map[string]any
	asked   []string // since of each request, "-" for none
	expired bool
	deltas  []string
}

func newChanging(t *testing.T) *changing {
	v := &changing{account: "A"}
	mux := http.NewServeMux()
	answer := func(w http.ResponseWriter, body any) { _ = json.NewEncoder(w).Encode(body) }
	mux.HandleFunc("/me", func(w http.ResponseWriter, _ *http.Request) { answer(w, map[string]any{"id": v.account}) })
	mux.HandleFunc("/users", func(w http.ResponseWriter, r *http.Request) {
		since, _ := time.Parse(time.RFC3339, r.URL.Query().Get("since"))
		if since.IsZero() {
			v.asked = append(v.asked, "-")
		} else {
			v.asked = append(v.asked, since.UTC().Format("15:04"))
		}
		out := []map[string]any{}
		for _, u := range v.users {
			changed, _ := time.Parse(time.RFC3339, u["changed"].(string))
			if !changed.Before(since) && (u["deleted"] == nil || !since.IsZero()) {
				out = append(out, u)
			}
		}
		answer(w, out)
	})
	mux.HandleFunc("/events", func(w http.ResponseWriter, r *http.Request) {
		token := r.URL.Query().Get("token")
		v.deltas = append(v.deltas, token)
		var value []any
		switch {
		case token == "":
			for i := range 10 {
				value = append(value, map[string]any{"id": fmt.Sprint("g", i), "name": "x"})
			}
		case v.expired:
			w.WriteHeader(http.StatusGone)
			return
		default:
			value = []any{map[string]any{"id": "g1", "removed": map[string]any{"reason": "deleted"}}, map[string]any{"id": "new", "name": "y"}}
		}
		answer(w, map[string]any{"value": value, "delta": fmt.Sprintf("https://api.inc.example/events?token=t%d", len(v.deltas))})
	})
	v.Server = httptest.NewServer(mux)
	t.Cleanup(v.Close)
	for i := range 20 {
		v.users = append(v.users, map[string]any{"id": fmt.Sprintf("u%02d", i), "name": "n", "changed": "2026-11-20T08:00:00Z", "plans": []string{"pro", "phone"}})
	}
	return v
}

// due syncs what is due by itself, as after the interval.
func (b *bench) due(ctx context.Context) (handover.Status, map[string]store.StreamState) {
	b.t.Helper()
	var claims []store.Claim
	for deadline := time.Now().Add(10 * time.Second); len(claims) == 0; {
		var err error
		if claims, err = b.store.ClaimDueIntegrations(ctx, "test", 10, time.Minute); err != nil || time.Now().After(deadline) {
			b.t.Fatalf("nothing is due: %v", err)
		}
	}
	b.worker.Sync(ctx, claims[0])
	st, err := b.store.IntegrationState(ctx, b.tenant, "zoom")
	if err != nil {
		b.t.Fatal(err)
	}
	var status handover.Status
	if err := json.Unmarshal(st.Status, &status); err != nil {
		b.t.Fatal(err)
	}
	states, err := b.store.StreamStates(ctx, b.tenant, "zoom")
	if err != nil {
		b.t.Fatal(err)
	}
	return status, states
}

func newIncrementalBench(t *testing.T, s *store.Store, v *changing) (*bench, *clocktesting.FakeClock) {
	b := newBench(t, s)
	b.spec.Interval = time.Millisecond
	manifest, err := connector.Load("inc.yaml", []byte(incrementalManifest))
	if err != nil {
		t.Fatal(err)
	}
	now := clocktesting.NewFakeClock(time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC))
	b.worker = syncer.New(syncer.Options{Store: s, Owner: "test", Open: func(_ context.Context, _ syncer.Key, _ handover.Spec, states map[string]connector.StreamState) (syncer.Session, error) {
		return connector.Open(connector.Options{Manifest: manifest, Secrets: map[string]string{"token": "x"}, State: states, Clock: now,
			Endpoints: map[string]string{"api.inc.example": v.URL}})
	}})
	return b, now
}

// A real session against a real store: only what changed is asked for, nothing
// else is taken as gone, deletions that are told are carried out, and a whole
// read comes in time.
func TestIncrementalSync(t *testing.T) {
	storetest.Each(t, func(t *testing.T, open storetest.Opener) {
		v := newChanging(t)
		b, now := newIncrementalBench(t, open(), v)
		ctx := t.Context()
		counts := func() map[model.DataType]int64 {
			c, err := b.store.Counts(ctx, b.tenant, "zoom")
			if err != nil {
				t.Fatal(err)
			}
			return c
		}
		expect := func(when string, st handover.Status, users, seats, groups int64) {
			t.Helper()
			c := counts()
			if st.Problem != nil || c[model.DataAccounts] != users || c[model.DataAssignments] != seats || c[model.DataGroups] != groups {
				t.Errorf("%s: %v, want %d users, %d seats, %d groups; problem %+v", when, c, users, seats, groups, st.Problem)
			}
		}
		st, _ := b.sync(ctx)
		expect("first", st, 20, 40, 10)

		v.users[3]["changed"], v.users[3]["plans"] = "2026-11-20T11:00:00Z", []string{"pro"} // lost a seat
		v.users[4]["changed"], v.users[4]["deleted"] = "2026-11-20T11:30:00Z", true
		v.users = append(v.users, map[string]any{"id": "late", "name": "n", "changed": "2026-11-20T11:45:00Z", "plans": []string{"pro"}})
		now.Step(time.Hour)
		status, states := b.due(ctx)
		expect("changes", status, 20, 38, 10)
		// The overlap is read twice: 08:00 less ten minutes, and then 11:45 less.
		now.Step(time.Hour)
		status, _ = b.due(ctx)
		expect("no changes", status, 20, 38, 10)
		if got := strings.Join(v.asked, " "); got != "- - 07:50 11:35" {
			t.Errorf("asked since %s", got)
		}
		if states["users"].Generation != 2 {
			t.Errorf("%+v", states["users"])
		}
		// A record that cannot be mapped keeps the place.
		v.users[5]["changed"], v.users[5]["seen"] = "2026-11-20T13:30:00Z", "nonsense"
		now.Step(time.Hour)
		b.due(ctx)
		v.users[5]["seen"] = "2026-11-20T13:29:00Z"
		now.Step(time.Hour)
		status, _ = b.due(ctx)
		expect("mended", status, 20, 38, 10)
		if got := v.asked[len(v.asked)-2:]; !slices.Equal(got, []string{"11:35", "11:35"}) {
			t.Errorf("asked since %v", got)
		}
		// Who disappears without a word is noticed by the whole read.
		v.users = v.users[1:]
		now.Step(20 * time.Hour)
		status, _ = b.due(ctx)
		expect("whole", status, 19, 36, 10)
		if v.asked[len(v.asked)-1] != "-" {
			t.Errorf("asked since %v", v.asked)
		}
		// A person who asks for a sync gets a whole one.
		before := len(v.asked)
		b.sync(ctx)
		if v.asked[before] != "-" {
			t.Errorf("asked since %v", v.asked[before:])
		}
	})
}

func TestDeltaSync(t *testing.T) {
	storetest.Each(t, func(t *testing.T, open storetest.Opener) {
		v := newChanging(t)
		b, now := newIncrementalBench(t, open(), v)
		ctx := t.Context()
		b.sync(ctx)
		v.deltas = nil
		now.Step(time.Hour)
		b.due(ctx)
		c, err := b.store.Counts(ctx, b.tenant, "zoom")
		if err != nil || c[model.DataGroups] != 10 || len(v.deltas) != 1 || !strings.HasPrefix(v.deltas[0], "t") {
			t.Fatalf("%v after %v, %v", c, v.deltas, err)
		}
		// The vendor has forgotten the place: everything is read, and g1 is back.
		v.expired, v.deltas = true, nil
		now.Step(time.Hour)
		status, _ := b.due(ctx)
		c, err = b.store.Counts(ctx, b.tenant, "zoom")
		if err != nil || status.Problem != nil || c[model.DataGroups] != 10 || len(v.deltas) != 2 || v.deltas[1] != "" {
			t.Errorf("%v after %v, %+v, %v", c, v.deltas, status.Problem, err)
		}
	})
}

// Where the reads of one remote account ended means nothing for another.
func TestAnotherAccountIsReadAsAWhole(t *testing.T) {
	storetest.Each(t, func(t *testing.T, open storetest.Opener) {
		v := newChanging(t)
		b, now := newIncrementalBench(t, open(), v)
		b.sync(t.Context())
		v.account, b.spec.AcceptAccount, b.spec.SecretVersion = "B", "B", "2"
		now.Step(time.Hour)
		v.asked = nil
		raw, err := json.Marshal(b.spec)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := b.store.UpsertIntegration(t.Context(), b.tenant, store.IntegrationSpec{
			Name: "zoom", Connector: "zoom", Spec: raw, Generation: 1, RequestedAt: fmt.Sprint(b.version), Interval: b.spec.Interval}); err != nil {
			t.Fatal(err)
		}
		status, _ := b.due(t.Context())
		c, err := b.store.Counts(t.Context(), b.tenant, "zoom")
		if err != nil || status.Problem != nil || c[model.DataAccounts] != 20 || slices.ContainsFunc(v.asked, func(s string) bool { return s != "-" }) {
			t.Errorf("%v, asked since %v, %+v, %v", c, v.asked, status.Problem, err)
		}
	})
}

// What a whole read had to leave out stays left out until it is read again: a
// read of changes does not look at it.
func TestLeftOutRecordStaysKnown(t *testing.T) {
	storetest.Each(t, func(t *testing.T, open storetest.Opener) {
		v := newChanging(t)
		b, now := newIncrementalBench(t, open(), v)
		v.users[5]["seen"] = "nonsense"
		v.users[6]["changed"] = "2026-11-20T11:00:00Z" // u05 is older than the next read asks for
		status, _ := b.sync(t.Context())
		if st := status.Streams["users"]; st.Quarantined != 1 {
			t.Fatalf("%+v", st)
		}
		now.Step(time.Hour)
		status, _ = b.due(t.Context())
		if st := status.Streams["users"]; st.State == handover.Fresh && st.Quarantined == 0 {
			t.Errorf("asked since %v: u05 is still left out, and the status says %+v", v.asked, st)
		}
	})
}
