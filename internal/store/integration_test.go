// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package store_test

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/seatkeeper/seatkeeper/internal/model"
	"github.com/seatkeeper/seatkeeper/internal/store"
)

func spec(name string, edit ...func(*store.IntegrationSpec)) store.IntegrationSpec {
	s := store.IntegrationSpec{Name: name, UID: "uid", Generation: 1, Connector: "zoom", Spec: json.RawMessage(`{"a":1}`), SecretVersion: "1",
		Interval: time.Hour, RetryInterval: 5 * time.Minute}
	for _, e := range edit {
		e(&s)
	}
	return s
}

func TestHandOverWritesOnlyChangesAndMakesThemDue(t *testing.T) {
	eachWorld(t, func(w *world) {
		put := func(s store.IntegrationSpec) bool {
			w.Helper()
			changed, err := w.s.UpsertIntegration(w.Context(), w.tenant, s)
			w.must(err)
			return changed
		}
		if !put(spec("zoom")) || put(spec("zoom")) {
			w.Fatal("the first hand-over is a change, the same again is none")
		}
		for name, tc := range map[string]struct {
			edit func(*store.IntegrationSpec)
			due  bool
		}{
			"generation":     {func(s *store.IntegrationSpec) { s.Generation = 2 }, true},
			"secret":         {func(s *store.IntegrationSpec) { s.SecretVersion = "2" }, true},
			"requested":      {func(s *store.IntegrationSpec) { s.RequestedAt = "now" }, true},
			"accept account": {func(s *store.IntegrationSpec) { s.AcceptAccount = "x" }, true},
			"re-created":     {func(s *store.IntegrationSpec) { s.UID = "other" }, true},
			"suspended":      {func(s *store.IntegrationSpec) { s.Suspended = true }, false},
		} {
			put(spec("zoom"))
			claims, err := w.s.ClaimDueIntegrations(w.Context(), "r", 10, time.Minute)
			w.must(err)
			for _, c := range claims {
				w.must(w.s.FinishIntegration(w.Context(), c, store.IntegrationResult{NextDue: ptr(w.clock.Now().Add(time.Hour))}))
			}
			if !put(spec("zoom", tc.edit)) {
				w.Fatalf("%s: not seen as a change", name)
			}
			if due := !w.state("zoom").DueAt.After(w.clock.Now()); due != tc.due {
				w.Fatalf("%s: due %v, want %v", name, due, tc.due)
			}
		}
	})
}

func TestClaimsAreExclusiveAndFenced(t *testing.T) {
	eachWorld(t, func(w *world) {
		old := w.claim("zoom", "zoom")
		if again, err := w.s.ClaimDueIntegrations(w.Context(), "replica-2", 10, time.Minute); err != nil || len(again) != 0 {
			w.Fatalf("claimed twice: %v %v", again, err)
		}
		paused, err := w.s.BeginSync(w.Context(), old)
		w.must(err)
		w.must(paused.Stage(w.Context(), "users", "", accounts(10)))

		// The lease runs out while the owner is paused; another takes over.
		w.step(2 * time.Minute)
		claims, err := w.s.ClaimDueIntegrations(w.Context(), "replica-2", 10, time.Minute)
		w.must(err)
		if len(claims) != 1 || claims[0].Epoch <= old.Epoch {
			w.Fatalf("take-over: %+v", claims)
		}
		if err := w.s.RenewClaim(w.Context(), old, time.Minute); !errors.Is(err, store.ErrFenced) {
			w.Fatalf("renew: %v", err)
		}
		if _, err := w.s.BeginSync(w.Context(), old); !errors.Is(err, store.ErrFenced) {
			w.Fatalf("begin: %v", err)
		}
		if _, err := paused.FinishStream(w.Context(), "users", accountsOf().outcome); !errors.Is(err, store.ErrFenced) {
			w.Fatalf("finish stream: %v", err)
		}
		if err := w.s.FinishIntegration(w.Context(), old, store.IntegrationResult{Status: json.RawMessage(`{}`)}); !errors.Is(err, store.ErrFenced) {
			w.Fatalf("finish: %v", err)
		}
		if n := len(w.list(store.AccountQuery{})); n != 0 {
			w.Fatalf("the old owner wrote %d rows", n)
		}
		if _, _, err := w.s.RestoreIntegration(w.Context(), old, store.RemoteAccount{ID: "r"}); !errors.Is(err, store.ErrFenced) {
			w.Fatalf("restore: %v", err)
		}
		w.syncClaimed(claims[0], accountsOf(accounts(3)...))
		if n := len(w.list(store.AccountQuery{})); n != 3 {
			w.Fatalf("the new owner wrote %d rows", n)
		}
	})
}

func TestStateVersionRisesOnlyWithTheStatus(t *testing.T) {
	eachWorld(t, func(w *world) {
		finish := func(status string) {
			w.Helper()
			w.must(w.s.FinishIntegration(w.Context(), w.claim("zoom", "zoom"), store.IntegrationResult{Status: json.RawMessage(status), RemoteID: "r1", RemoteName: "Acme"}))
		}
		finish(`{"a":1}`)
		first, err := w.s.ChangedStates(w.Context(), 0)
		w.must(err)
		if len(first) != 1 || string(first[0].Status) != `{"a":1}` || first[0].RemoteID != "r1" {
			w.Fatalf("%+v", first)
		}
		finish(`{"a":1}`)
		if again, err := w.s.ChangedStates(w.Context(), first[0].StateVersion); err != nil || len(again) != 0 {
			w.Fatalf("the same status is news: %v %v", again, err)
		}
		finish(`{"a":2}`)
		other := w.otherTenant("beta")
		other.must(w.s.FinishIntegration(w.Context(), other.claim("zoom", "zoom"), store.IntegrationResult{Status: json.RawMessage(`{}`)}))
		news, err := w.s.ChangedStates(w.Context(), first[0].StateVersion)
		w.must(err)
		if len(news) != 2 || news[0].Tenant != w.tenant || news[1].Tenant != other.tenant || news[0].StateVersion >= news[1].StateVersion {
			w.Fatalf("%+v", news)
		}
	})
}

func TestAChangeDuringASyncMakesItDueAgain(t *testing.T) {
	eachWorld(t, func(w *world) {
		c := w.claim("zoom", "zoom")
		s := c.IntegrationSpec
		s.Generation++
		_, err := w.s.UpsertIntegration(w.Context(), w.tenant, s)
		w.must(err)
		w.must(w.s.FinishIntegration(w.Context(), c, store.IntegrationResult{NextDue: ptr(w.clock.Now().Add(time.Hour))}))
		if due := w.state("zoom").DueAt; due == nil || due.After(w.clock.Now()) {
			w.Fatalf("due at %v", due)
		}
	})
}

func TestAFileThatArrivesDuringASyncMakesItDueAgain(t *testing.T) {
	eachWorld(t, func(w *world) {
		c := w.claim("files", "csv")
		w.clock.SetTime(w.clock.Now().Add(time.Second))
		_, err := w.s.PutUpload(w.Context(), w.tenant, "files", "members.csv", strings.NewReader("a"))
		w.must(err)
		w.must(w.s.FinishIntegration(w.Context(), c, store.IntegrationResult{NextDue: ptr(w.clock.Now().Add(time.Hour))}))
		if due := w.state("files").DueAt; due == nil || due.After(w.clock.Now()) {
			w.Fatalf("due at %v: the file waits for the next interval", due)
		}
	})
}

func TestFailuresAreCountedInARow(t *testing.T) {
	eachWorld(t, func(w *world) {
		for i, failed := range []bool{true, true, false, true} {
			w.must(w.s.FinishIntegration(w.Context(), w.claim("zoom", "zoom"), store.IntegrationResult{Failed: failed}))
			if got, want := w.state("zoom").Failures, []int{1, 2, 0, 1}[i]; got != want {
				w.Fatalf("after %d: %d failures, want %d", i, got, want)
			}
		}
	})
}

// connect syncs an Integration with one person, account, seat and app of a
// remote account.
func (w *world) connect(name, connector, remote string) {
	w.Helper()
	c := w.claim(name, connector)
	c, _, err := w.s.RestoreIntegration(w.Context(), c, store.RemoteAccount{ID: remote, Name: remote})
	w.must(err)
	y, err := w.s.BeginSync(w.Context(), c)
	w.must(err)
	w.must(y.Stage(w.Context(), "users", "", []model.Record{person("p-"+remote, remote+"@acme.example"), account(remote),
		seat(remote, "pro", true), {App: &model.DiscoveredApp{ExternalID: "app-" + remote, Name: remote, Source: "idp"}}}))
	_, err = y.FinishStream(w.Context(), "users", store.StreamOutcome{Complete: true, Guard: model.DefaultShrinkGuard})
	w.must(err)
	w.must(w.s.FinishIntegration(w.Context(), c, store.IntegrationResult{Synced: true, RemoteID: remote, RemoteName: remote}))
}

func (w *world) known() store.Totals {
	w.Helper()
	t, err := w.s.Totals(w.Context(), w.tenant)
	w.must(err)
	return t
}

func TestDisconnectHidesAtOnceAndReconnectRestores(t *testing.T) {
	eachWorld(t, func(w *world) {
		w.connect("zoom", "zoom", "acme-1")
		w.connect("okta", "okta", "acme-2")
		first := w.list(store.AccountQuery{Integrations: []string{"zoom"}})["acme-1"]
		id := w.people()["acme-1@acme.example"].ID
		w.events()

		w.must(w.s.HideIntegration(w.Context(), w.tenant, "zoom", 30*24*time.Hour))
		w.must(w.s.HideIntegration(w.Context(), w.tenant, "zoom", 30*24*time.Hour)) // again is no error
		if got := w.known(); got.Accounts != 1 || got.People != 1 || got.Seats != 1 || got.Apps != 1 || got.Integrations != 1 {
			w.Fatalf("after the disconnect: %+v", got)
		}
		if _, err := w.s.Person(w.Context(), w.tenant, id); !errors.Is(err, store.ErrNotFound) {
			w.Fatalf("a person whom only the hidden source knew: %v", err)
		}
		w.step(24 * time.Hour)
		w.connect("zoom-again", "zoom", "acme-1")
		back := w.list(store.AccountQuery{Integrations: []string{"zoom-again"}})["acme-1"]
		if !back.FirstSeenAt.Equal(first.FirstSeenAt) || back.PersonID != first.PersonID {
			w.Fatalf("restored %+v, was %+v", back, first)
		}
		if p := w.people()["acme-1@acme.example"]; p.ID != id {
			w.Fatalf("the person came back as %q, was %q", p.ID, id)
		}
		if ev := w.events(); len(ev) != 0 {
			w.Fatalf("a disconnect and its undoing made events: %+v", ev)
		}
		if n, err := w.s.PurgeHidden(w.Context()); err != nil || n != 0 {
			w.Fatalf("purged %d, %v", n, err)
		}
	})
}

func TestAnotherRemoteAccountRestoresNothing(t *testing.T) {
	eachWorld(t, func(w *world) {
		w.connect("zoom", "zoom", "acme-1")
		w.must(w.s.HideIntegration(w.Context(), w.tenant, "zoom", time.Hour))
		w.connect("zoom", "zoom", "acme-9") // the same name, not the same account
		rows := w.list(store.AccountQuery{})
		if _, ok := rows["acme-1"]; ok || len(rows) != 1 {
			w.Fatalf("%+v", rows)
		}
	})
}

func TestPurgeErasesWhatNobodyElseKnows(t *testing.T) {
	eachWorld(t, func(w *world) {
		w.connect("zoom", "zoom", "acme-1")
		w.connect("okta", "okta", "acme-1") // knows the same person
		w.connect("slack", "slack", "acme-3")
		w.must(w.s.HideIntegration(w.Context(), w.tenant, "zoom", 0))
		w.must(w.s.HideIntegration(w.Context(), w.tenant, "slack", time.Hour))
		if n, err := w.s.PurgeHidden(w.Context()); err != nil || n != 1 {
			w.Fatalf("purged %d, %v", n, err)
		}
		if got := w.known(); got.People != 1 || got.Accounts != 1 {
			w.Fatalf("%+v", got)
		}
		w.step(time.Hour)
		if n, err := w.s.PurgeHidden(w.Context()); err != nil || n != 1 {
			w.Fatalf("purged %d, %v", n, err)
		}
		audit, err := w.s.Audit(w.Context(), w.tenant, store.AuditQuery{Action: "integration.purge"})
		w.must(err)
		if len(audit) != 2 {
			w.Fatalf("audit: %+v", audit)
		}
		w.connect("slack", "slack", "acme-3") // too late to restore
		if got := w.list(store.AccountQuery{Integrations: []string{"slack"}})["acme-3"]; !got.FirstSeenAt.Equal(w.clock.Now()) {
			w.Fatalf("purged rows came back: %+v", got)
		}
	})
}

func TestAcceptedAccountReplacesTheOldOne(t *testing.T) {
	eachWorld(t, func(w *world) {
		w.connect("zoom", "zoom", "acme-1")
		c := w.claim("zoom", "zoom")
		if c.RemoteID != "acme-1" || c.FirstSyncedAt == nil {
			w.Fatalf("what is needed to notice another account is missing: %+v", c)
		}
		fresh, err := w.s.ReplaceAccount(w.Context(), c, store.RemoteAccount{ID: "acme-2"}, time.Hour)
		w.must(err)
		if n := len(w.list(store.AccountQuery{})); n != 0 {
			w.Fatalf("%d rows of the old account are in sight", n)
		}
		if err := w.s.RenewClaim(w.Context(), c, time.Hour); !errors.Is(err, store.ErrFenced) {
			w.Fatalf("the old claim: %v", err)
		}
		w.syncClaimed(fresh, accountsOf(account("new")))
		if rows := w.list(store.AccountQuery{}); len(rows) != 1 || rows["new"].Integration != "zoom" {
			w.Fatalf("%+v", rows)
		}
	})
}

// Invariant 12: tenants cannot observe or affect each other.
func TestTenantsAreApart(t *testing.T) {
	eachWorld(t, func(w *world) {
		other := w.otherTenant("beta")
		w.connect("zoom", "zoom", "same")
		other.connect("zoom", "zoom", "same")
		if a, b := w.people()["same@acme.example"].ID, other.people()["same@acme.example"].ID; a == b || a == "" {
			w.Fatalf("one person for two tenants: %q %q", a, b)
		}
		w.must(w.s.HideIntegration(w.Context(), other.tenant, "zoom", 0))
		if _, err := w.s.PurgeHidden(w.Context()); err != nil {
			w.Fatal(err)
		}
		if got := w.known(); got.People != 1 || got.Accounts != 1 || got.Seats != 1 || got.Apps != 1 || got.Integrations != 1 {
			w.Fatalf("tenant A after B was purged: %+v", got)
		}
		if got := other.known(); got != (store.Totals{}) {
			w.Fatalf("tenant B: %+v", got)
		}
		id := w.people()["same@acme.example"].ID
		if _, err := w.s.Person(w.Context(), other.tenant, id); !errors.Is(err, store.ErrNotFound) {
			w.Fatalf("B reads A's person: %v", err)
		}
		if ev := other.events(); len(ev[model.EventPersonAdded]) != 1 {
			w.Fatalf("B's events: %+v", ev)
		}
		if ev := w.events(); len(ev[model.EventPersonAdded]) != 1 {
			w.Fatalf("A's events: %+v", ev)
		}
	})
}
