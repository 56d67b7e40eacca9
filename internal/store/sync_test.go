// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package store_test

import (
	"database/sql"
	"errors"
	"slices"
	"testing"
	"time"

	clocktesting "k8s.io/utils/clock/testing"

	"github.com/seatkeeper/seatkeeper/internal/model"
	"github.com/seatkeeper/seatkeeper/internal/store"
	"github.com/seatkeeper/seatkeeper/internal/store/storetest"
)

func TestSyncWritesOnlyDifferences(t *testing.T) {
	eachWorld(t, func(w *world) {
		first := w.sync("zoom", accountsOf(accounts(100)...))[0]
		if got := first.Types[model.DataAccounts]; !first.Initial || got != (store.Changes{Staged: 100, Added: 100, Total: 100}) {
			w.Fatalf("first sync: %+v", first)
		}
		if ev := w.events(); len(ev[model.EventAccountsLoaded]) != 1 || !ev[model.EventAccountsLoaded][0].Initial || len(ev[model.EventAccountAdded]) != 0 {
			w.Fatalf("events of a first load: %+v", ev)
		}
		before := w.state("zoom")

		again := w.sync("zoom", accountsOf(accounts(100)...))[0]
		if again.Written() != 0 || again.Initial {
			w.Fatalf("the same listing wrote rows: %+v", again)
		}
		if after := w.state("zoom"); after.DataVersion != before.DataVersion || after.StateVersion != before.StateVersion {
			w.Fatalf("versions rose though nothing changed: %d→%d, %d→%d", before.DataVersion, after.DataVersion, before.StateVersion, after.StateVersion)
		}

		w.step(time.Hour)
		next := accounts(100)
		next[3].Account.Role = "admin"
		next[4].Account.LastActivityAt = ptr(t0)
		next[99] = account("new")
		got := w.sync("zoom", accountsOf(next...))[0].Types[model.DataAccounts]
		if want := (store.Changes{Staged: 100, Added: 1, Changed: 1, Removed: 1, Touched: 1, Total: 100}); got != want {
			w.Fatalf("got %+v, want %+v", got, want)
		}
		ev := w.events()
		if !slices.Equal(subjects(ev[model.EventAccountAdded]), []string{"/new"}) || !slices.Equal(subjects(ev[model.EventAccountRemoved]), []string{"/u0099"}) ||
			!slices.Equal(subjects(ev[model.EventAccountChanged]), []string{"/u0003"}) {
			w.Fatalf("events: %+v", ev)
		}
		if ev[model.EventAccountAdded][0].Initial {
			w.Fatal("a later change is not initial")
		}
		rows := w.list(store.AccountQuery{IncludeRemoved: true})
		if len(rows) != 101 || rows["u0099"].RemovedAt == nil || rows["u0003"].Role != "admin" || !rows["u0004"].LastActivityAt.Equal(t0) {
			w.Fatalf("rows: %d, removed %v", len(rows), rows["u0099"].RemovedAt)
		}

		// It comes back: the first sight stays, what was observed begins anew.
		w.step(time.Hour)
		w.sync("zoom", accountsOf(append(next, account("u0099"))...))
		back := w.list(store.AccountQuery{})["u0099"]
		if !back.FirstSeenAt.Equal(t0) || !back.ObservedSince.Equal(t0.Add(2*time.Hour)) || back.RemovedAt != nil {
			w.Fatalf("returned account: %+v", back)
		}
		if got := subjects(w.events()[model.EventAccountAdded]); !slices.Equal(got, []string{"/u0099"}) {
			w.Fatalf("events of a return: %v", got)
		}
	})
}

// Invariant 1: absence is not departure.
func TestWhatCannotBeTrustedChangesNothing(t *testing.T) {
	broken := func(l listing) listing { l.outcome.Complete = false; return l }
	held := func(l listing) listing { l.wantHeld = true; return l }
	for name, l := range map[string]listing{
		"error in the middle": broken(accountsOf(accounts(60)...)),
		"error before a row":  broken(accountsOf()),
		"nothing":             held(accountsOf()),
		"shrunk":              held(accountsOf(accounts(79)...)),
		"shrunk and changed":  held(accountsOf(append(accounts(79), account("new"))...)),
	} {
		t.Run(name, func(t *testing.T) {
			eachWorld(t, func(w *world) {
				w.sync("zoom", accountsOf(accounts(100)...))
				w.events()
				before := w.list(store.AccountQuery{IncludeRemoved: true})
				gen := w.streams("zoom")["users"].Generation
				res := w.sync("zoom", l)[0]
				if res.Written() != 0 {
					w.Fatalf("wrote %+v", res)
				}
				after := w.list(store.AccountQuery{IncludeRemoved: true})
				if len(after) != len(before) {
					w.Fatalf("%d rows before, %d after", len(before), len(after))
				}
				for id, a := range after {
					if a.RemovedAt != nil || a.Role != before[id].Role {
						w.Fatalf("account %s changed", id)
					}
				}
				if ev := w.events(); len(ev) != 0 {
					w.Fatalf("events: %+v", ev)
				}
				if got := w.streams("zoom")["users"].Generation; got != gen {
					w.Fatalf("generation rose from %d to %d", gen, got)
				}
			})
		})
	}
}

func TestZeroRowsAreHeldHoweverFew(t *testing.T) {
	eachWorld(t, func(w *world) {
		l := accountsOf()
		l.outcome.Guard = model.Guard{MinItems: 1000, MaxPercent: 50}
		w.sync("zoom", accountsOf(account("only")))
		l.wantHeld = true
		w.sync("zoom", l)
		if len(w.list(store.AccountQuery{})) != 1 {
			w.Fatal("the only account is gone")
		}
	})
}

func TestAllowedRemovalsPass(t *testing.T) {
	eachWorld(t, func(w *world) {
		w.sync("zoom", accountsOf(accounts(100)...))
		res := w.sync("zoom", accountsOf(accounts(80)...))[0] // exactly 20
		if res.Types[model.DataAccounts].Removed != 20 {
			w.Fatalf("%+v", res)
		}
	})
}

func TestReleaseIsBoundToTheHeldSet(t *testing.T) {
	eachWorld(t, func(w *world) {
		w.sync("zoom", accountsOf(accounts(100)...))
		w.events()
		shrunk := accountsOf(accounts(70)...)
		shrunk.wantHeld = true
		hold := *w.sync("zoom", shrunk)[0].Held
		if hold.Count != 30 || hold.Total != 100 || hold.Allowed != 20 {
			w.Fatalf("hold: %+v", hold)
		}
		items, err := w.s.HoldItems(w.Context(), w.tenant, hold.ID, "", 0)
		w.must(err)
		if len(items) != 30 || items[0] != (store.HoldItem{Item: "accounts:/u0070", Label: "u0070", Detail: "removed"}) {
			w.Fatalf("%d items, first %+v", len(items), items[0])
		}
		if page, err := w.s.HoldItems(w.Context(), w.tenant, hold.ID, items[9].Item, 5); err != nil || len(page) != 5 || page[0] != items[10] {
			w.Fatalf("second page: %v %v", page, err)
		}
		// The same set again: the same hold.
		if again := w.sync("zoom", shrunk)[0].Held; again.ID != hold.ID || again.Digest != hold.Digest {
			w.Fatalf("held again as %+v, was %+v", again, hold)
		}
		by := model.Actor{Name: "alice", Kind: model.ActorUser}
		var mismatch *store.DigestError
		if _, err := w.s.ReleaseHold(w.Context(), w.tenant, hold.HoldSubject, "sha256:other", by, ""); !errors.As(err, &mismatch) || mismatch.Have != hold.Digest {
			w.Fatalf("release of another set: %v", err)
		}
		if _, err := w.s.ReleaseHold(w.Context(), w.tenant, hold.HoldSubject, hold.Digest, by, "they left"); err != nil {
			w.Fatal(err)
		}
		records, err := w.s.Audit(w.Context(), w.tenant, store.AuditQuery{Action: "guard.release"})
		w.must(err)
		if len(records) != 1 || records[0].Actor != "alice" || records[0].Detail["digest"] != hold.Digest {
			w.Fatalf("audit: %+v", records)
		}
		if st := w.state("zoom"); st.DueAt == nil || st.DueAt.After(w.clock.Now()) {
			w.Fatalf("a released sync is due at %v", st.DueAt)
		}
		// One more is missing than was released: held again, under another digest.
		more := accountsOf(accounts(69)...)
		more.wantHeld = true
		other := *w.sync("zoom", more)[0].Held
		if other.Digest == hold.Digest || other.ReleasedAt != nil {
			w.Fatalf("%+v", other)
		}
		if _, err := w.s.ReleaseHold(w.Context(), w.tenant, hold.HoldSubject, hold.Digest, by, ""); !errors.As(err, &mismatch) {
			w.Fatalf("the old digest released the new set: %v", err)
		}
		_, err = w.s.ReleaseHold(w.Context(), w.tenant, other.HoldSubject, other.Digest, by, "")
		w.must(err)
		if got := w.sync("zoom", accountsOf(accounts(69)...))[0].Types[model.DataAccounts].Removed; got != 31 {
			w.Fatalf("removed %d after the release", got)
		}
		if got := len(w.events()[model.EventAccountRemoved]); got != 31 {
			w.Fatalf("%d removal events", got)
		}
		if holds, err := w.s.ListHolds(w.Context(), w.tenant); err != nil || len(holds) != 0 {
			w.Fatalf("holds left: %v %v", holds, err)
		}
		// The release is spent: the next such shrink is held.
		again := accountsOf(accounts(30)...)
		again.wantHeld = true
		w.sync("zoom", again)
	})
}

func TestRecoveredSourceClearsItsHold(t *testing.T) {
	eachWorld(t, func(w *world) {
		w.sync("zoom", accountsOf(accounts(100)...))
		l := accountsOf()
		l.wantHeld = true
		w.sync("zoom", l)
		w.sync("zoom", accountsOf(accounts(100)...))
		if holds, err := w.s.ListHolds(w.Context(), w.tenant); err != nil || len(holds) != 0 {
			w.Fatalf("holds left: %v %v", holds, err)
		}
	})
}

func TestPartitionsAreJudgedApart(t *testing.T) {
	eachWorld(t, func(w *world) {
		in := func(app string, ids ...string) []model.Record {
			var out []model.Record
			for _, id := range ids {
				out = append(out, account(id, func(a *model.Account) { a.AppExternalID = app }))
			}
			return out
		}
		apps := func(outcome store.StreamOutcome, parts map[string][]model.Record) listing {
			outcome.Types, outcome.Guard = []model.DataType{model.DataAccounts}, model.DefaultShrinkGuard
			return listing{stream: "assignments", partOf: parts, outcome: outcome}
		}
		w.sync("okta", apps(store.StreamOutcome{Complete: true}, map[string][]model.Record{"app1": in("app1", "a", "b", "c"), "app2": in("app2", "d", "e", "f")}))
		// app2 broke off: its rows stay, and those that came change nothing.
		res := w.sync("okta", apps(store.StreamOutcome{CompleteParts: []string{"app1"}},
			map[string][]model.Record{"app1": in("app1", "a", "b"), "app2": in("app2", "new")}))[0]
		if got := res.Types[model.DataAccounts]; got.Removed != 1 || got.Added != 0 {
			w.Fatalf("%+v", got)
		}
		rows := w.list(store.AccountQuery{})
		if _, ok := rows["c"]; ok || len(rows) != 5 {
			w.Fatalf("rows: %v", rows)
		}
	})
}

func TestStreamsSweepOnlyTheirOwnRows(t *testing.T) {
	eachWorld(t, func(w *world) {
		guests := complete("guests", []model.DataType{model.DataAccounts}, account("g1"), account("g2"), account("g3"))
		w.sync("slack", accountsOf(accounts(10)...), guests)
		for _, l := range []listing{accountsOf(accounts(10)...), guests} {
			if res := w.sync("slack", l)[0]; res.Written() != 0 {
				w.Fatalf("%+v", res)
			}
		}
		if got := len(w.list(store.AccountQuery{})); got != 13 {
			w.Fatalf("%d accounts", got)
		}
	})
}

func TestARecordThatComesTwiceCountsOnce(t *testing.T) {
	eachWorld(t, func(w *world) {
		twice := append(accounts(10), account("u0003", func(a *model.Account) { a.Role = "last" }))
		if got := w.sync("zoom", accountsOf(twice...))[0].Types[model.DataAccounts]; got.Added != 10 {
			w.Fatalf("%+v", got)
		}
		if got := w.list(store.AccountQuery{})["u0003"].Role; got != "last" {
			w.Fatalf("role %q: the last one counts", got)
		}
		twice = append(accounts(12), account("u0011"))
		if got := w.sync("zoom", accountsOf(twice...))[0].Types[model.DataAccounts]; got.Added != 2 || got.Changed != 1 {
			w.Fatalf("%+v", got)
		}
		// One more of an unchanged record does not make up for a missing one.
		twice = append(accounts(11), account("u0005"))
		if got := w.sync("zoom", accountsOf(twice...))[0].Types[model.DataAccounts]; got.Removed != 1 || got.Staged != 11 || got.Total != 11 {
			w.Fatalf("%+v", got)
		}
	})
}

func TestActivityMovesForwardAndAtMostOnceADay(t *testing.T) {
	eachWorld(t, func(w *world) {
		at := func(when *time.Time) listing {
			return accountsOf(account("u", func(a *model.Account) { a.LastActivityAt = when }))
		}
		w.sync("zoom", at(ptr(t0)))
		w.events()
		for _, step := range []struct {
			when    *time.Time
			touched int64
			want    time.Time
		}{
			{ptr(t0.Add(2 * time.Hour)), 0, t0}, // the same day
			{ptr(t0.Add(24 * time.Hour)), 1, t0.Add(24 * time.Hour)},
			{ptr(t0.Add(-48 * time.Hour)), 1, t0.Add(24 * time.Hour)}, // never back
			{nil, 1, t0.Add(24 * time.Hour)},
			{nil, 0, t0.Add(24 * time.Hour)},
		} {
			got := w.sync("zoom", at(step.when))[0].Types[model.DataAccounts]
			if got.Touched != step.touched || got.Changed != 0 {
				w.Fatalf("%v: %+v", step.when, got)
			}
			if a := w.list(store.AccountQuery{})["u"]; !a.LastActivityAt.Equal(step.want) {
				w.Fatalf("%v: stored %v, want %v", step.when, a.LastActivityAt, step.want)
			}
		}
		if ev := w.events(); len(ev) != 0 {
			w.Fatalf("use made events: %v", ev)
		}
	})
}

func TestTextThatDatabasesRefuseIsCleaned(t *testing.T) {
	eachWorld(t, func(w *world) {
		w.sync("zoom", accountsOf(account("u", func(a *model.Account) {
			a.DisplayName = "nul\x00 and \xff bad"
			a.Custom = map[string]any{"k": "v\x00"}
		})))
		if got := w.list(store.AccountQuery{})["u"].DisplayName; got != "nul and \uFFFD bad" {
			w.Fatalf("%q", got)
		}
	})
}

func TestRecordsWithoutAKeyAreRefused(t *testing.T) {
	eachWorld(t, func(w *world) {
		y, err := w.s.BeginSync(w.Context(), w.claim("zoom", "zoom"))
		w.must(err)
		if err := y.Stage(w.Context(), "users", "", []model.Record{account("")}); err == nil {
			w.Fatal("an account without an id was staged")
		}
	})
}

// state returns the integration's state.
func (w *world) state(name string) store.IntegrationState {
	w.Helper()
	st, err := w.s.IntegrationState(w.Context(), w.tenant, name)
	w.must(err)
	return st
}

func (w *world) streams(name string) map[string]store.StreamState {
	w.Helper()
	st, err := w.s.StreamStates(w.Context(), w.tenant, name)
	w.must(err)
	return st
}

func ptr[T any](v T) *T { return &v }

// A first listing leaves statistics behind: without them PostgreSQL joins a few
// hundred seats for a minute, until its autovacuum has come by.
func TestFirstListingLeavesStatistics(t *testing.T) {
	dsn := storetest.Postgres(t)
	clock := clocktesting.NewFakePassiveClock(t0)
	s := storetest.Open(t, dsn, storetest.WithClock(clock))
	tenant, err := s.EnsureTenant(t.Context(), "acme")
	if err != nil {
		t.Fatal(err)
	}
	w := &world{T: t, s: s, clock: clock, tenant: tenant}
	w.sync("zoom", accountsOf(accounts(100)...))
	db, err := sql.Open("pgx", dsn)
	w.must(err)
	defer func() { _ = db.Close() }()
	var rows float64
	w.must(db.QueryRowContext(t.Context(), `SELECT reltuples FROM pg_class WHERE relname='account'`).Scan(&rows))
	if rows < 100 {
		t.Errorf("PostgreSQL believes that there are %v accounts", rows)
	}
}
