// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package store_test

import (
	"slices"
	"testing"
	"time"

	"github.com/seatkeeper/seatkeeper/internal/store"
	"github.com/seatkeeper/seatkeeper/internal/store/storetest"
)

// Runs are found by their states, whichever index a set of states leads to.
func TestListRunsByState(t *testing.T) {
	storetest.Each(t, func(t *testing.T, open storetest.Opener) {
		s := open()
		acme := mustTenant(t, s, "acme")
		all := []store.RunState{store.RunReady, store.RunWaiting, store.RunInFlight, store.RunAttention, store.RunFailed, store.RunStopped, store.RunSucceeded}
		if _, err := s.CreateRuns(t.Context(), acme, newRuns("r", len(all))); err != nil {
			t.Fatal(err)
		}
		runs, err := s.ListRuns(t.Context(), acme, store.RunFilter{})
		if err != nil || len(runs) != len(all) {
			t.Fatalf("%d runs, %v", len(runs), err)
		}
		keys, states := make([]store.RunKey, len(runs)), map[string]store.RunState{}
		for i, r := range runs {
			keys[i], states[r.ID] = r.Key(), all[i]
		}
		held := hold(t, s, store.HoldRequest{Owner: "a"})
		if err := s.AdvanceRuns(t.Context(), held.Leases, keys, func(now time.Time, l store.LoadedRun) (*store.RunChange, error) {
			if l.Run.State = states[l.Run.ID]; l.Run.State.Ended() {
				l.Run.EndedAt = &now
			}
			return &store.RunChange{Run: l.Run}, nil
		}); err != nil {
			t.Fatal(err)
		}
		sets := [][]store.RunState{nil, all[:3], all[:4], all[3:6], all[4:], {store.RunWaiting, store.RunFailed}}
		for _, st := range all {
			sets = append(sets, []store.RunState{st})
		}
		for _, set := range sets {
			want := slices.Clone(set)
			if set == nil {
				want = slices.Clone(all)
			}
			found, err := s.ListRuns(t.Context(), acme, store.RunFilter{States: set})
			if err != nil {
				t.Fatal(err)
			}
			var got []store.RunState
			for _, r := range found {
				got = append(got, r.State)
			}
			slices.Sort(got)
			if slices.Sort(want); !slices.Equal(got, want) {
				t.Errorf("of %v there were found %v", want, got)
			}
		}
	})
}
