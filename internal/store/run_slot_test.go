// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package store_test

import (
	"testing"
	"time"

	"github.com/seatkeeper/seatkeeper/internal/store"
	"github.com/seatkeeper/seatkeeper/internal/store/storetest"
)

// A run that is to be replaced keeps its place while a call of it is under way;
// its end hands the place over in the same transaction.
func TestReplacedRunKeepsItsPlaceDuringACall(t *testing.T) {
	storetest.Each(t, func(t *testing.T, open storetest.Opener) {
		s := open()
		tenant := mustTenant(t, s, "acme")
		held := hold(t, s, store.HoldRequest{Owner: "a"})
		if _, err := s.CreateRuns(t.Context(), tenant, newRuns("k", 3)); err != nil {
			t.Fatal(err)
		}
		var ids []string // the oldest first
		for _, key := range []string{"k0", "k1", "k2"} {
			r, err := s.RunByTrigger(t.Context(), tenant, "Workflow", "w", key)
			if err != nil {
				t.Fatal(err)
			}
			ids = append(ids, r.ID)
		}
		advance := func(change func(r *store.RunChange), ids ...string) {
			t.Helper()
			var keys []store.RunKey
			for _, id := range ids {
				keys = append(keys, store.RunKey{Tenant: tenant, ID: id})
			}
			err := s.AdvanceRuns(t.Context(), held.Leases, keys, func(_ time.Time, l store.LoadedRun) (*store.RunChange, error) {
				c := &store.RunChange{Run: l.Run}
				change(c)
				return c, nil
			})
			if err != nil {
				t.Fatal(err)
			}
		}
		claim := func(c *store.RunChange) {
			c.Run.State, c.Run.Reason, c.Run.DueAt = store.RunWaiting, store.ReasonConcurrencyLimit, time.Now().Add(time.Hour)
			c.Claim = &store.SlotClaim{Key: "k", Max: 1, Policy: store.SlotReplace}
		}
		expect := func(id string, state store.RunState, slot bool) store.Run {
			t.Helper()
			r, err := s.Run(t.Context(), tenant, id)
			if err != nil {
				t.Fatal(err)
			}
			if r.State != state || r.SlotHeld != slot {
				t.Errorf("the run is %s (%s %s), has a place: %t; want %s, %t", r.State, r.Reason, r.Message, r.SlotHeld, state, slot)
			}
			return r.Run
		}
		advance(claim, ids[0])
		expect(ids[0], store.RunReady, true)
		advance(func(c *store.RunChange) { c.Run.State = store.RunInFlight }, ids[0])
		advance(claim, ids[1])
		if r := expect(ids[0], store.RunInFlight, true); r.StopAt == nil {
			t.Error("the older run is not asked to stop")
		}
		expect(ids[1], store.RunWaiting, false)
		advance(func(c *store.RunChange) {
			end := time.Now()
			c.Run.State, c.Run.EndedAt = store.RunStopped, &end
		}, ids[0])
		expect(ids[1], store.RunReady, false)
		advance(claim, ids[1])
		expect(ids[1], store.RunReady, true)

		// Both in one transaction: the older moves on, the newer replaces it.
		advance(func(c *store.RunChange) {
			if c.Run.ID == ids[2] {
				claim(c)
			}
		}, ids[1], ids[2])
		if r := expect(ids[1], store.RunStopped, false); r.EndedAt == nil {
			t.Error("the older run has no end")
		}
		expect(ids[2], store.RunReady, true)
	})
}
