// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package store_test

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/seatkeeper/seatkeeper/internal/model"
	"github.com/seatkeeper/seatkeeper/internal/store"
)

var seatTypes = []model.DataType{model.DataAccounts, model.DataAssignments, model.DataMemberships}

// changes is what an incremental read of the stream staged.
func changes(records ...model.Record) listing {
	return listing{stream: "users", records: records, outcome: store.StreamOutcome{Complete: true, Incremental: true, Types: seatTypes, Guard: model.DefaultShrinkGuard}}
}

func gone(r model.Record) model.Record {
	r.Removed = true
	return r
}

func membership(group, account string) model.Record {
	return model.Record{Membership: &model.Membership{GroupExternalID: group, AccountExternalID: account}}
}

// held lists the seats as account/plan.
func (w *world) held() []string {
	w.Helper()
	var out []string
	for _, s := range w.seats(store.SeatFilter{}) {
		out = append(out, s.AccountExternalID+"/"+s.PlanKey)
	}
	slices.Sort(out)
	return out
}

// Invariant 1: what changed is no list of what is there. Invariant 2: what did
// not change is as fresh as the read, but its last activity is not, because
// vendors do not call a sign-in a change.
func TestIncrementalReadProvesNoAbsence(t *testing.T) {
	eachWorld(t, func(w *world) {
		all := make([]model.Record, 0, 60)
		for i := range 30 {
			id := fmt.Sprintf("u%02d", i)
			all = append(all, account(id), seat(id, "pro", true))
		}
		w.sync("zoom", complete("users", seatTypes, all...))
		w.step(time.Hour)
		res := w.sync("zoom", changes(account("u03", func(a *model.Account) { a.Status = model.AccountSuspended }), account("new")))
		if c := res[0].Types[model.DataAccounts]; c.Removed != 0 || c.Changed != 1 || c.Added != 1 || c.Total != 31 {
			w.Errorf("changes %+v", c)
		}
		rows := w.list(store.AccountQuery{})
		if len(rows) != 31 || rows["u03"].Status != model.AccountSuspended || len(w.held()) != 30 {
			w.Fatalf("%d accounts, %d seats", len(rows), len(w.held()))
		}
		for id, a := range rows {
			if !a.SyncedAt.Equal(t0.Add(time.Hour)) || !a.ActivitySyncedAt.Equal(t0) {
				w.Errorf("%s counts as read at %v, its activity at %v", id, a.SyncedAt, a.ActivitySyncedAt)
			}
		}
		for _, s := range w.seats(store.SeatFilter{}) {
			if !s.SeatsSyncedAt.Equal(t0.Add(time.Hour)) || !s.AccountsSyncedAt.Equal(t0.Add(time.Hour)) || !s.ActivitySyncedAt.Equal(t0) {
				w.Errorf("seat %+v", s)
			}
		}
		// Nothing changed at all: that is no empty source.
		w.step(time.Hour)
		w.sync("zoom", changes())
		if rows := w.list(store.AccountQuery{}); len(rows) != 31 || !rows["u00"].SyncedAt.Equal(t0.Add(2*time.Hour)) || !rows["u00"].ActivitySyncedAt.Equal(t0) {
			w.Errorf("after nothing changed: %d, %+v", len(rows), rows["u00"])
		}
		// Something that changed could not be read: nothing is fresher than before.
		w.step(time.Hour)
		gaps := changes(account("u05", func(a *model.Account) { a.Username = "renamed" }))
		gaps.outcome.Gaps = true
		w.sync("zoom", gaps)
		if rows := w.list(store.AccountQuery{}); rows["u05"].Username != "renamed" || !rows["u05"].SyncedAt.Equal(t0.Add(2*time.Hour)) || !rows["u06"].SyncedAt.Equal(t0.Add(2*time.Hour)) {
			w.Errorf("after a read with gaps: %+v", rows["u05"])
		}
		// The next whole read has the last word, on activity too.
		w.step(time.Hour)
		w.sync("zoom", complete("users", seatTypes, all[:58]...))
		rows = w.list(store.AccountQuery{})
		if now := t0.Add(4 * time.Hour); len(rows) != 29 || !rows["u00"].SyncedAt.Equal(now) || !rows["u00"].ActivitySyncedAt.Equal(now) || len(w.held()) != 29 {
			w.Errorf("after a whole read: %d accounts, %+v", len(rows), rows["u00"])
		}
	})
}

// A row that the last whole read could not prove stays as old as it was,
// whatever the reads of changes since say of others.
func TestIncrementalReadDoesNotRefreshWhatWasUnread(t *testing.T) {
	eachWorld(t, func(w *world) {
		w.sync("zoom", complete("users", seatTypes, account("a"), account("b")))
		w.step(time.Hour)
		part := complete("users", seatTypes, account("a"))
		part.outcome.KeepAbsent = true
		w.sync("zoom", part)
		w.step(time.Hour)
		w.sync("zoom", changes())
		rows := w.list(store.AccountQuery{})
		if !rows["a"].SyncedAt.Equal(t0.Add(2*time.Hour)) || !rows["b"].SyncedAt.Equal(t0) || !rows["b"].ActivitySyncedAt.Equal(t0) {
			w.Errorf("a %v, b %v", rows["a"].SyncedAt, rows["b"].SyncedAt)
		}
		w.step(time.Hour)
		w.sync("zoom", changes(account("b")))
		if rows := w.list(store.AccountQuery{}); !rows["b"].SyncedAt.Equal(t0.Add(3 * time.Hour)) {
			w.Errorf("b %v", rows["b"].SyncedAt)
		}
	})
}

func TestTombstones(t *testing.T) {
	eachWorld(t, func(w *world) {
		var others []model.Record // the guard lets no more than half go
		for i := range 10 {
			id := fmt.Sprint("x", i)
			others = append(others, account(id), seat(id, "other", false), membership("g3", id))
		}
		w.sync("zoom", complete("users", seatTypes, append(others,
			account("a"), account("b"), account("c"), account("d"),
			seat("a", "pro", true), seat("a", "phone", true), seat("b", "pro", true), seat("b", "phone", true), seat("c", "pro", true),
			membership("g1", "a"), membership("g1", "b"), membership("g2", "a"), membership("g2", "c"))...))
		w.step(time.Hour)
		res := w.sync("zoom", changes(
			gone(account("a")), gone(seat("a", "", false)), gone(membership("", "a")), // with all it had
			gone(seat("b", "", false)), seat("b", "pro", true), seat("b", "webinar", true), // what it has now
			gone(account("never-seen")), gone(seat("never-seen", "", false)),
			account("d"), gone(account("d")), // removed in the end
			gone(account("c")), account("c"), // back in the end
		))
		if c := res[0].Types[model.DataAccounts]; c.Removed != 2 || c.Added != 0 || c.Total != 12 {
			w.Errorf("accounts %+v", c)
		}
		if c := res[0].Types[model.DataAssignments]; c.Removed != 3 || c.Added != 1 || c.Total != 13 {
			w.Errorf("seats %+v", c)
		}
		isOther := func(id string) bool { return id[0] == 'x' }
		if ids := slices.DeleteFunc(slices.Sorted(maps.Keys(w.list(store.AccountQuery{}))), isOther); !slices.Equal(ids, []string{"b", "c"}) {
			w.Errorf("accounts %v", ids)
		}
		if d := cmp.Diff([]string{"b/pro", "b/webinar", "c/pro"}, slices.DeleteFunc(w.held(), isOther)); d != "" {
			w.Errorf("seats (-want +got)\n%s", d)
		}
		if c := res[0].Types[model.DataMemberships]; c.Removed != 2 || c.Total != 12 {
			w.Errorf("memberships %+v", c)
		}
		if removed := subjects(w.events()[model.EventAccountRemoved]); len(removed) != 2 || !strings.Contains(strings.Join(removed, " "), "/a") {
			w.Errorf("events %v", removed)
		}
		// The same changes again change nothing.
		w.step(time.Hour)
		if res := w.sync("zoom", changes(gone(account("a")), gone(seat("a", "", false)), account("b"))); res[0].Written() != 0 {
			w.Errorf("again: %+v", res[0])
		}
	})
}

// A vendor's word that many are gone is held like their absence would be.
func TestTombstonesAreGuarded(t *testing.T) {
	eachWorld(t, func(w *world) {
		all := accounts(100)
		w.sync("zoom", complete("users", seatTypes, all...))
		tombstones := make([]model.Record, 60)
		for i := range tombstones {
			tombstones[i] = gone(all[i])
		}
		l := changes(tombstones...)
		l.wantHeld = true
		res := w.sync("zoom", l)
		if h := res[0].Held; h.Count != 60 || h.Total != 100 || len(w.list(store.AccountQuery{})) != 100 {
			w.Errorf("%+v", h)
		}
	})
}

func TestFirstReadIsWhole(t *testing.T) {
	eachWorld(t, func(w *world) {
		y, err := w.s.BeginSync(w.Context(), w.claim("zoom", "zoom"))
		w.must(err)
		w.must(y.Stage(w.Context(), "users", "", []model.Record{account("a")}))
		if _, err := y.FinishStream(w.Context(), "users", changes().outcome); err == nil || !strings.Contains(err.Error(), "as a whole") {
			w.Errorf("got %v", err)
		}
		w.must(y.Close(w.Context()))
		// A source that had nothing may be told of what is gone.
		w.sync("slack", complete("users", seatTypes))
		if res := w.sync("slack", changes(gone(account("a")), account("b"), account("c"), gone(account("c")))); res[0].Types[model.DataAccounts].Added != 1 {
			w.Errorf("%+v", res[0])
		}
		// A whole read that is told of a deletion does not list it.
		whole := complete("users", seatTypes, account("b"), account("c"), gone(account("c")))
		if res := w.sync("slack", whole); res[0].Types[model.DataAccounts].Total != 1 {
			w.Errorf("%+v", res[0])
		}
	})
}

// A list of changes may name a record several times (Graph: "the last one
// wins"): what its earlier version held is not held.
func TestLastChangeWinsForSeats(t *testing.T) {
	eachWorld(t, func(w *world) {
		all := []model.Record{account("a"), seat("a", "basic", true), account("b"), seat("b", "basic", true)}
		for i := range 30 {
			all = append(all, account(fmt.Sprintf("x%d", i)), seat(fmt.Sprintf("x%d", i), "basic", true))
		}
		w.sync("zoom", complete("users", seatTypes, all...))
		none := func(id string) model.Record { return gone(seat(id, "", false)) }
		w.step(time.Hour)
		w.sync("zoom", changes(
			account("a"), none("a"), seat("a", "pro", true), // first page: a has pro
			account("b"), none("b"), seat("b", "pro", true),
			account("a"), none("a"), seat("a", "team", true), // later page: a has team instead
			gone(account("b")), none("b"), // later page: b is gone
		))
		got := slices.DeleteFunc(w.held(), func(s string) bool { return s[0] == 'x' })
		if !slices.Equal(got, []string{"a/team"}) {
			t.Errorf("seats %v, want a/team only", got)
		}
	})
}
