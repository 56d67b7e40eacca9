// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package syncer_test

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	clocktesting "k8s.io/utils/clock/testing"

	"github.com/seatkeeper/seatkeeper/internal/connector"
	"github.com/seatkeeper/seatkeeper/internal/model"
	"github.com/seatkeeper/seatkeeper/internal/store"
	"github.com/seatkeeper/seatkeeper/internal/store/storetest"
	"github.com/seatkeeper/seatkeeper/internal/syncer"
	"github.com/seatkeeper/seatkeeper/internal/syncer/handover"
)

const partsManifest = `
apiVersion: seatkeeper.dev/v1alpha1
kind: Connector
metadata: {name: parts}
spec:
  title: Parts
  category: app
  verified: "No"
  auth: [{id: t, type: bearer, token: "${secret.token}", secrets: {token: {}}}]
  http: {baseURL: https://api.parts.example, rateLimit: {retryAfter: Retry-After}}
  account: {get: /me, id: resp.id}
  streams:
    groups:
      essential: true
      request: {get: /groups}
      page: {type: page, param: page, start: 1, last: resp.last}
      records: resp.groups
      key: r.id
      deletes: {by: absence}
      emit: [{type: Group, map: {externalId: r.id, name: r.id}}]
    members:
      essential: true
      forEach: {stream: groups, as: p}
      request: {get: "/groups/${p.id}/members"}
      records: resp.members
      key: p.id + '/' + r.id
      deletes: {by: absence, scope: partition}
      covers: [all]
      lastActivity: NotReported
      emit: [{type: Account, map: {appExternalId: p.id, externalId: r.id, status: "'active'"}}]
`

// groupVendor has groups and members, and a limit on listings of members.
type groupVendor struct {
	mu     sync.Mutex
	groups map[string]map[string]bool
	left   int // listings of members until the limit; below 0: none
	listed map[string]int
	// silent: past the limit the vendor does not answer.
	silent bool
}

func (v *groupVendor) serve(t *testing.T) string {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /me", func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(`{"id":"A"}`)) })
	mux.HandleFunc("GET /groups", func(w http.ResponseWriter, r *http.Request) {
		v.mu.Lock()
		defer v.mu.Unlock()
		ids, page, size := slices.Sorted(maps.Keys(v.groups)), 1, 7
		_, _ = fmt.Sscan(r.URL.Query().Get("page"), &page)
		out := []map[string]any{}
		for i := (page - 1) * size; i < min(page*size, len(ids)); i++ {
			out = append(out, map[string]any{"id": ids[i]})
		}
		_ = json.NewEncoder(w).Encode(map[string]any{"groups": out, "last": max(1, (len(ids)+size-1)/size)})
	})
	mux.HandleFunc("GET /groups/{id}/members", func(w http.ResponseWriter, r *http.Request) {
		v.mu.Lock()
		defer v.mu.Unlock()
		if v.left == 0 && v.silent {
			<-r.Context().Done()
			return
		}
		if v.left == 0 {
			w.Header().Set("Retry-After", "7200")
			w.WriteHeader(http.StatusTooManyRequests)
			return
		}
		v.left--
		v.listed[r.PathValue("id")]++
		out := []map[string]any{}
		for _, id := range slices.Sorted(maps.Keys(v.groups[r.PathValue("id")])) {
			out = append(out, map[string]any{"id": id})
		}
		_ = json.NewEncoder(w).Encode(map[string]any{"members": out})
	})
	srv := httptest.NewServer(mux)
	t.Cleanup(srv.Close)
	return srv.URL
}

// truth is every membership as GROUP/MEMBER.
func (v *groupVendor) truth() map[string]bool {
	out := map[string]bool{}
	for g, members := range v.groups {
		for m := range members {
			out[g+"/"+m] = true
		}
	}
	return out
}

// partsBench is a bench whose Integration reads a groupVendor.
type partsBench struct {
	*bench
	vendor *groupVendor
	clock  *clocktesting.FakeClock
}

func newPartsBench(t *testing.T, s *store.Store, groups int) *partsBench {
	t.Helper()
	v := &groupVendor{groups: map[string]map[string]bool{}, left: -1, listed: map[string]int{}}
	for g := range groups {
		members := map[string]bool{}
		for m := range 3 {
			members[fmt.Sprintf("u%d-%d", g, m)] = true
		}
		v.groups[fmt.Sprintf("g%03d", g)] = members
	}
	url := v.serve(t)
	manifest, err := connector.Load("parts.yaml", []byte(partsManifest))
	if err != nil {
		t.Fatal(err)
	}
	b := &partsBench{bench: newBench(t, s), vendor: v, clock: clocktesting.NewFakeClock(time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC))}
	b.spec.ShrinkMinItems, b.spec.ShrinkMaxPercent = 1000, 50
	b.worker = syncer.New(syncer.Options{Store: s, Owner: "test", Open: func(_ context.Context, _ syncer.Key, _ handover.Spec, states map[string]connector.StreamState) (syncer.Session, error) {
		return connector.Open(connector.Options{Manifest: manifest, Secrets: map[string]string{"token": "x"}, SecretVersion: "1", State: states, Clock: b.clock,
			Endpoints: map[string]string{"api.parts.example": url}})
	}})
	return b
}

// again syncs as the interval does: nobody asked for it.
func (b *partsBench) again(limit int) handover.Status {
	b.t.Helper()
	b.clock.Step(2 * time.Hour)
	b.vendor.left, b.vendor.listed = limit, map[string]int{}
	if b.version == 0 {
		if b.vendor.left > 0 {
			b.vendor.left++ // the connect test takes one
		}
		status, _ := b.sync(b.t.Context())
		return status
	}
	c, err := b.store.ClaimIntegration(b.t.Context(), b.tenant, b.name, "test", time.Minute)
	if err != nil {
		b.t.Fatal(err)
	}
	b.worker.Sync(b.t.Context(), c)
	status, _ := b.left(b.name)
	return status
}

// stored is every membership that the store holds for there.
func (b *partsBench) stored() map[string]bool {
	b.t.Helper()
	rows, next, err := b.store.ListAccounts(b.t.Context(), b.tenant, store.AccountQuery{Page: store.Page{Limit: 1000}})
	if err != nil || next != "" {
		b.t.Fatal(next, err)
	}
	out := map[string]bool{}
	for _, r := range rows {
		out[r.AppExternalID+"/"+r.ExternalID] = true
	}
	return out
}

// A vendor whose limit allows ten groups at a time is read to the end all the
// same, each group once, and what was read counts at once.
func TestPartitionsGoOnInTheNextSync(t *testing.T) {
	storetest.Each(t, func(t *testing.T, open storetest.Opener) {
		b := newPartsBench(t, open(), 25)
		listed := map[string]int{}
		for i, want := range []int{30, 60, 75} {
			status := b.again(10)
			maps.Copy(listed, b.vendor.listed)
			if got := len(b.stored()); got != want || len(b.vendor.listed) > 11 {
				t.Fatalf("sync %d: %d memberships, want %d; %d groups were asked", i, got, want, len(b.vendor.listed))
			}
			if complete := i == 2; complete != (status.Problem == nil) {
				t.Fatalf("sync %d: %+v", i, status.Problem)
			}
		}
		if len(listed) != 25 {
			t.Errorf("%d groups were asked", len(listed))
		}
		// What the first of three syncs read is as old as that.
		states, err := b.store.StreamStates(t.Context(), b.tenant, b.name)
		if err != nil {
			t.Fatal(err)
		}
		if at := states["members"].CompletedAt; at.After(b.clock.Now().Add(-4 * time.Hour)) {
			t.Errorf("the list counts as read at %v, it is %v", at, b.clock.Now())
		}
		// The next round begins with the first group, and who asks for a sync
		// gets one that is read from there.
		b.again(10)
		if b.vendor.listed["g000"] != 1 {
			t.Error("the next round did not begin anew")
		}
		b.vendor.left, b.vendor.listed = 10, map[string]int{}
		b.sync(t.Context())
		if b.vendor.listed["g000"] != 1 {
			t.Error("a sync that was asked for went on with an old round")
		}
	})
}

// A list that takes longer than a sync may last comes to its end all the same:
// the partitions that were read when the time is up are stored, and the next
// sync goes on behind them.
func TestPartitionsReadInTimeAreStored(t *testing.T) {
	storetest.Each(t, func(t *testing.T, open storetest.Opener) {
		b := newPartsBench(t, open(), 25)
		b.vendor.silent, b.spec.Timeout = true, 2*time.Second
		for i, want := range []int{30, 60, 75} {
			status := b.again(10)
			if got := len(b.stored()); got != want {
				t.Fatalf("sync %d: %d memberships, want %d: %+v", i, got, want, status.Problem)
			}
			if complete := i == 2; complete != (status.Problem == nil) {
				t.Fatalf("sync %d: %+v", i, status.Problem)
			}
		}
	})
}

// What the parts of a first load bring was there before anybody looked, in
// whichever sync they are read; what a later round finds is new.
func TestFirstLoadOverSeveralSyncs(t *testing.T) {
	storetest.Each(t, func(t *testing.T, open storetest.Opener) {
		b := newPartsBench(t, open(), 25)
		for i := range 3 {
			status := b.again(10)
			if complete := i == 2; complete != (status.Problem == nil) {
				t.Fatalf("sync %d: %+v", i, status.Problem)
			}
			for _, e := range b.news() {
				if !e.Initial {
					t.Errorf("sync %d of the first load: %s of %s counts as new in the world", i, e.Kind, e.Subject)
				}
			}
		}
		// Part of a later round is no first load.
		b.vendor.groups["g000"]["late"] = true
		if status := b.again(10); status.Problem == nil {
			t.Fatal("the round was to break off")
		}
		news := b.news()
		if len(news) != 1 || news[0].Initial || news[0].Kind != model.EventAccountAdded {
			t.Errorf("a member who came later: %+v", news)
		}
	})
}

// news is every event since it was asked for last.
func (b *partsBench) news() []model.Event {
	b.t.Helper()
	events, err := b.store.NewEvents(b.t.Context(), b.tenant, 1000)
	if err != nil {
		b.t.Fatal(err)
	}
	ids := make([]string, len(events))
	for i, e := range events {
		ids[i] = e.ID
	}
	if err := b.store.MarkEventsHandled(b.t.Context(), b.tenant, ids); err != nil {
		b.t.Fatal(err)
	}
	return events
}

// TestPartitionsUnderChaos changes the groups while rounds break off anywhere:
// what is there all the time is never removed, and what a quiet round reads is
// the truth.
func TestPartitionsUnderChaos(t *testing.T) {
	for seed := range uint64(3) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			storetest.Each(t, func(t *testing.T, open storetest.Opener) {
				rng := rand.New(rand.NewPCG(seed, 7)) //nolint:gosec // chaos that repeats
				b := newPartsBench(t, open(), 20)
				steady := map[string]bool{} // stored, and there ever since
				for i := range 25 {
					b.vendor.change(rng, i)
					truth := b.vendor.truth()
					maps.DeleteFunc(steady, func(k string, _ bool) bool { return !truth[k] })
					b.again(rng.IntN(24))
					stored := b.stored()
					for k := range steady {
						if !stored[k] {
							t.Fatalf("sync %d removed %s, which was there all the time", i, k)
						}
					}
					for k := range stored {
						if truth[k] {
							steady[k] = true
						}
					}
				}
				for range 2 { // the rest of a round, and a quiet one
					for done := false; !done; {
						done = b.again(9).Problem == nil
					}
				}
				if d := cmp.Diff(b.vendor.truth(), b.stored()); d != "" {
					t.Errorf("after a quiet round (-truth +stored):\n%s", d)
				}
			})
		})
	}
}

// change lets members come and go, and groups.
func (v *groupVendor) change(rng *rand.Rand, round int) {
	v.mu.Lock()
	defer v.mu.Unlock()
	ids := slices.Sorted(maps.Keys(v.groups))
	some := func() map[string]bool { return v.groups[ids[rng.IntN(len(ids))]] }
	some()[fmt.Sprintf("new%d", round)] = true
	if members := some(); len(members) > 1 {
		delete(members, slices.Sorted(maps.Keys(members))[0])
	}
	switch rng.IntN(3) {
	case 0:
		delete(v.groups, ids[rng.IntN(len(ids))])
	case 1:
		v.groups[fmt.Sprintf("g%03d", rng.IntN(999))] = map[string]bool{fmt.Sprintf("first%d", round): true}
	}
}
