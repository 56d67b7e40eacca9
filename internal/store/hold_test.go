// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package store_test

import (
	"testing"

	"github.com/seatkeeper/seatkeeper/internal/model"
	"github.com/seatkeeper/seatkeeper/internal/store"
)

// Another set ends a hold. Who was in one that somebody let pass stays known; who
// was in one that nobody did does not.
func TestSetsOfEndedHolds(t *testing.T) {
	eachWorld(t, func(w *world) {
		subject := store.PolicyHold("zoom-90d")
		hold := func(items ...store.HoldItem) store.Hold {
			w.Helper()
			h, err := w.s.PutHold(w.Context(), w.tenant, store.Hold{HoldSubject: subject, Count: int64(len(items)), Total: 9}, items)
			w.must(err)
			return h
		}
		expect := func(when string, h store.Hold, want int) {
			w.Helper()
			items, err := w.s.HoldItems(w.Context(), w.tenant, h.ID, "", 100)
			w.must(err)
			if len(items) != want {
				w.Errorf("%s: %d members, want %d", when, len(items), want)
			}
		}
		ada, bob := store.HoldItem{Item: "1", Label: "ada@acme.example"}, store.HoldItem{Item: "2", Label: "bob@acme.example"}
		first := hold(ada)
		expect("held", first, 1)
		second := hold(ada, bob)
		expect("another set is held", first, 0)
		expect("held", second, 2)
		if again := hold(bob, ada); again.ID != second.ID {
			w.Errorf("the same set is held anew: %+v", again)
		}
		if _, err := w.s.ReleaseHold(w.Context(), w.tenant, subject, second.Digest, model.Actor{Name: "root"}, "checked"); err != nil {
			w.Fatal(err)
		}
		third := hold(bob)
		expect("released, and then another is held", second, 2)
		w.must(w.s.ClearHold(w.Context(), w.tenant, subject))
		expect("nothing is held", third, 0)
	})
}
