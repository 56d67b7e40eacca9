// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package store_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/seatkeeper/seatkeeper/internal/model"
	"github.com/seatkeeper/seatkeeper/internal/store"
)

// Invariant 2: what a finished sync did not read is as old as the sync that
// read it last, however fresh its stream is, so that nobody is judged by it.
func TestRowsThatWereNotReadAreNotFresh(t *testing.T) {
	types := []model.DataType{model.DataAccounts, model.DataPlans, model.DataAssignments}
	seat := func(id string) []model.Record {
		return []model.Record{account(id), {Assignment: &model.Assignment{AccountExternalID: id, PlanKey: "pro", Paid: true, State: model.AssignmentActive}}}
	}
	both := map[string][]model.Record{"east": seat("e"), "west": seat("w")}
	onlyEast := map[string][]model.Record{"east": seat("e")}
	for name, tc := range map[string]struct {
		parts   map[string][]model.Record
		outcome store.StreamOutcome
	}{
		"its partition failed":           {onlyEast, store.StreamOutcome{CompleteParts: []string{"east"}}},
		"its partition broke off":        {both, store.StreamOutcome{CompleteParts: []string{"east"}}},
		"its record could not be mapped": {onlyEast, store.StreamOutcome{Complete: true, KeepAbsent: true}},
	} {
		t.Run(name, func(t *testing.T) {
			eachWorld(t, func(w *world) {
				read := func(parts map[string][]model.Record, o store.StreamOutcome) {
					o.Types, o.Guard = types, model.DefaultShrinkGuard
					w.sync("zoom", listing{stream: "users", partOf: parts, outcome: o})
				}
				expect := func(when string, east, west time.Time) {
					w.Helper()
					want := map[string]time.Time{"e": east, "w": west}
					seats := w.seats(store.SeatFilter{})
					if len(seats) != 2 {
						w.Fatalf("%s: %d seats", when, len(seats))
					}
					for _, s := range seats {
						at := want[s.AccountExternalID]
						if !s.SeatsSyncedAt.Equal(at) || !s.AccountsSyncedAt.Equal(at) {
							w.Errorf("%s: seat of %s counts as read at %v (its account at %v), want %v", when, s.AccountExternalID, s.SeatsSyncedAt, s.AccountsSyncedAt, at)
						}
					}
					got := map[string]time.Time{}
					for id, a := range w.list(store.AccountQuery{}) {
						got[id] = a.SyncedAt
					}
					if diff := cmp.Diff(want, got); diff != "" {
						w.Errorf("%s: accounts were read at (-want +got)\n%s", when, diff)
					}
				}
				whole := store.StreamOutcome{Complete: true}
				read(both, whole)
				expect("after the first sync", t0, t0)
				w.step(time.Hour)
				read(tc.parts, tc.outcome)
				expect("after a sync without the west", t0.Add(time.Hour), t0)
				w.step(time.Hour)
				read(tc.parts, tc.outcome)
				expect("after another", t0.Add(2*time.Hour), t0)
				w.step(time.Hour)
				read(both, whole)
				expect("after a whole sync", t0.Add(3*time.Hour), t0.Add(3*time.Hour))
			})
		})
	}
}

// A row that was never part of a whole listing is known since it was read, and
// not before.
func TestFirstSyncInPart(t *testing.T) {
	eachWorld(t, func(w *world) {
		w.sync("zoom", listing{stream: "users", partOf: map[string][]model.Record{"east": {account("e")}, "west": {account("w")}},
			outcome: store.StreamOutcome{CompleteParts: []string{"east"}, Types: []model.DataType{model.DataAccounts}, Guard: model.DefaultShrinkGuard}})
		rows := w.list(store.AccountQuery{})
		if len(rows) != 1 || !rows["e"].SyncedAt.Equal(t0) {
			w.Fatalf("accounts: %+v", rows)
		}
	})
}
