// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package store_test

import (
	"testing"
	"time"

	"github.com/seatkeeper/seatkeeper/internal/store"
	"github.com/seatkeeper/seatkeeper/internal/store/storetest"
)

// A run that is being moved on by one replica, woken by the end of one of those that
// it started, misses no other that ends in another replica meanwhile.
func TestEndWakesWhoIsBeingMovedOn(t *testing.T) {
	storetest.Each(t, func(t *testing.T, open storetest.Opener) {
		s := open()
		tenant := mustTenant(t, s, "acme")
		if _, err := s.CreateRuns(t.Context(), tenant, newRuns("p", 1)); err != nil {
			t.Fatal(err)
		}
		leases := hold(t, s, store.HoldRequest{Owner: "a"}).Leases
		advance := func(k store.RunKey, edit func(now time.Time, l store.LoadedRun) *store.RunChange) error {
			return s.AdvanceRuns(t.Context(), leases, []store.RunKey{k}, func(now time.Time, l store.LoadedRun) (*store.RunChange, error) { return edit(now, l), nil })
		}
		await := func(now time.Time, l store.LoadedRun) *store.RunChange {
			l.Run.State, l.Run.Reason, l.Run.DueAt = store.RunWaiting, store.ReasonWaitingForRun, now.Add(time.Hour)
			return &store.RunChange{Run: l.Run}
		}
		end := func(k store.RunKey) error {
			return advance(k, func(now time.Time, l store.LoadedRun) *store.RunChange {
				l.Run.State, l.Run.EndedAt = store.RunSucceeded, &now
				return &store.RunChange{Run: l.Run}
			})
		}
		all, err := s.ListRuns(t.Context(), tenant, store.RunFilter{})
		if err != nil || len(all) != 1 {
			t.Fatal(all, err)
		}
		parent, below := all[0].Key(), newRuns("c", 2)
		for i := range below {
			below[i].Kind, below[i].ParentID = "Item", parent.ID
		}
		if err := advance(parent, func(now time.Time, l store.LoadedRun) *store.RunChange {
			c := await(now, l)
			c.Starts = below
			return c
		}); err != nil {
			t.Fatal(err)
		}
		items, err := s.ListRuns(t.Context(), tenant, store.RunFilter{Kind: "Item"})
		if err != nil || len(items) != 2 {
			t.Fatal(items, err)
		}
		if err := end(items[0].Key()); err != nil {
			t.Fatal(err)
		}
		ended := make(chan error, 1)
		once := true
		if err := advance(parent, func(now time.Time, l store.LoadedRun) *store.RunChange {
			if once {
				once = false
				go func() { ended <- end(items[1].Key()) }()
				select {
				case err := <-ended: // before this one commits
					ended <- err
				case <-time.After(time.Second): // it waits for this one
				}
			}
			return await(now, l)
		}); err != nil {
			t.Fatal(err)
		}
		if err := <-ended; err != nil {
			t.Fatal(err)
		}
		if d, err := s.Run(t.Context(), tenant, parent.ID); err != nil || d.State != store.RunReady {
			t.Errorf("the run is %s, and due in an hour: %v", d.State, err)
		}
	})
}
