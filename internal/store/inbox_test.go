// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package store_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/seatkeeper/seatkeeper/internal/model"
	"github.com/seatkeeper/seatkeeper/internal/store"
	"github.com/seatkeeper/seatkeeper/internal/store/storetest"
)

// An event is kept until it is handled; afterwards only that it came, so that a
// copy of it is refused.
func TestInbox(t *testing.T) {
	eachWorld(t, func(w *world) {
		other, ctx := w.otherTenant("beta"), w.Context()
		receive := func(w *world) (string, error) {
			return w.s.ReceiveEvent(ctx, store.Event{Tenant: w.tenant, Endpoint: "slack/slack", DedupeKey: "k", Body: []byte("response_url=secret&user=ada"), Headers: map[string]string{"h": "secret"}})
		}
		id, err := receive(w)
		w.must(err)
		if again, err := receive(w); !errors.Is(err, store.ErrDuplicate) || again != id {
			w.Fatalf("a copy: %q, %v", again, err)
		}
		if _, err := receive(other); err != nil {
			w.Fatalf("the same event of another tenant: %v", err)
		}
		w.must(w.s.FinishEvent(ctx, other.tenant, id, ""))
		pending, err := w.s.PendingEvents(ctx, 0, 10)
		w.must(err)
		if len(pending) != 2 || !bytes.Contains(pending[0].Body, []byte("ada")) || pending[0].Headers["h"] != "secret" {
			w.Fatalf("pending: %+v", pending)
		}
		w.must(w.s.FinishEvent(ctx, w.tenant, id, ""))
		w.must(w.s.FinishEvent(ctx, w.tenant, id, "too late to be dead"))
		if pending, err = w.s.PendingEvents(ctx, 0, 10); err != nil || len(pending) != 1 || pending[0].Tenant != other.tenant {
			w.Fatalf("pending: %+v, %v", pending, err)
		}
		var state, headers string
		var body []byte
		w.must(w.s.InboxDB().QueryRowContext(ctx, `SELECT state, headers, body FROM inbox WHERE tenant = $1 AND id = $2`, w.tenant, id).Scan(&state, &headers, &body))
		if rest := fmt.Sprint(state, headers, string(body)); rest != "handled{}" {
			w.Errorf("what is kept of a handled event: %q", rest)
		}
		if _, err := receive(w); !errors.Is(err, store.ErrDuplicate) {
			w.Errorf("a copy of a handled event: %v", err)
		}
	})
}

// A key counts for as long as it was asked to, and then its event is another.
func TestInboxDedupeWindow(t *testing.T) {
	eachWorld(t, func(w *world) {
		receive := func(key string, window time.Duration) (string, error) {
			return w.s.ReceiveEvent(w.Context(), store.Event{Tenant: w.tenant, Endpoint: hook.Endpoint(), DedupeKey: key, DedupeFor: window, Body: []byte(`{}`)})
		}
		first, err := receive("body", 10*time.Minute)
		w.must(err)
		w.step(10*time.Minute - time.Millisecond)
		if id, err := receive("body", 10*time.Minute); id != first || !errors.Is(err, store.ErrDuplicate) {
			w.Fatalf("within the window: %q, %v", id, err)
		}
		w.step(time.Millisecond)
		second, err := receive("body", 10*time.Minute)
		if err != nil || second == first {
			w.Fatalf("after the window: %q, %v", second, err)
		}
		if id, err := receive("body", 10*time.Minute); id != second || !errors.Is(err, store.ErrDuplicate) {
			w.Fatalf("a copy of the second: %q, %v", id, err)
		}
		forever, err := receive("id", 0)
		w.must(err)
		w.step(1000 * time.Hour)
		if id, err := receive("id", 0); id != forever || !errors.Is(err, store.ErrDuplicate) {
			w.Fatalf("a delivery id: %q, %v", id, err)
		}
	})
}

var hook = store.Hook{OwnerKind: "Integration", OwnerName: "okta", Webhook: "eventHook"}

// Events that come at once share commits, copies among them too, and none is
// lost or stored twice.
func TestInboxCommitsTogether(t *testing.T) {
	eachWorld(t, func(w *world) {
		const events, copies = 300, 3
		ids := make([][copies]string, events)
		var wait sync.WaitGroup
		for i := range events {
			for c := range copies {
				wait.Go(func() {
					id, err := w.s.ReceiveEvent(w.Context(), store.Event{Tenant: w.tenant, Endpoint: hook.Endpoint(), DedupeKey: fmt.Sprint(i), Body: fmt.Append(nil, i)})
					if err != nil && !errors.Is(err, store.ErrDuplicate) {
						w.Error(err)
					}
					ids[i][c] = id
				})
			}
		}
		wait.Wait()
		seen := map[string]bool{}
		for i, of := range ids {
			if of[0] == "" || of[0] != of[1] || of[1] != of[2] || seen[of[0]] {
				w.Fatalf("event %d has the ids %q", i, of)
			}
			seen[of[0]] = true
		}
		got, err := w.s.PendingHooks(w.Context(), nil, 1000, 1<<20)
		w.must(err)
		if len(got) != events {
			w.Fatalf("%d of %d events", len(got), events)
		}
		if some, err := w.s.PendingHooks(w.Context(), nil, 1000, 20); err != nil || len(some) < 6 || len(some) > 20 {
			w.Fatalf("%d events of 20 bytes together, %v", len(some), err)
		}
		if none, err := w.s.PendingHooks(w.Context(), []store.TenantEndpoint{{Tenant: w.tenant, Endpoint: hook.Endpoint()}}, 10, 1<<20); err != nil || len(none) != 0 {
			w.Fatalf("%d events of an endpoint that is passed over, %v", len(none), err)
		}
	})
}

// What cannot be handled is kept sealed, can be shown and replayed by who has
// the key, and is erased when its time is over.
func TestDeadLetters(t *testing.T) {
	eachWorld(t, func(w *world) {
		ctx, old, young := w.Context(), key(w.T, "k1"), key(w.T, "k2")
		ring := keyring(w.T, old)
		other := w.otherTenant("beta")
		body := []byte(`{"employee":"ada@acme.example"}`)
		id, err := w.s.ReceiveEvent(ctx, store.Event{Tenant: w.tenant, Endpoint: hook.Endpoint(), DedupeKey: "k", Body: body, Headers: map[string]string{"content-type": "application/json"}})
		w.must(err)
		pending := func() store.Event {
			w.Helper()
			got, err := w.s.PendingHooks(ctx, nil, 10, 1<<20)
			w.must(err)
			if len(got) != 1 {
				w.Fatalf("%d events wait", len(got))
			}
			return got[0]
		}
		w.must(w.s.RetryEvent(ctx, w.tenant, id, "the store was slow", t0.Add(time.Minute)))
		e := pending()
		if e.Attempts != 1 || !e.DueAt.Equal(t0.Add(time.Minute)) {
			w.Fatalf("tried again: %+v", e)
		}
		w.must(w.s.BuryEvent(ctx, ring, e, "it makes no sense"))
		got, err := w.s.ReceivedEvent(ctx, w.tenant, id)
		w.must(err)
		if got.State != store.EventDead || !got.HasBody || got.Attempts != 2 || got.Message != "it makes no sense" || got.Bytes != int64(len(body)) || got.Endpoint != "Integration/okta/eventHook" {
			w.Fatalf("%+v", got)
		}
		var kept []byte
		w.must(w.s.InboxDB().QueryRowContext(ctx, `SELECT body FROM inbox WHERE id = $1`, id).Scan(&kept))
		if bytes.Contains(kept, []byte("ada")) {
			w.Fatal("the body lies there in the clear")
		}
		if names, err := w.s.DeadLetters(ctx, w.tenant, "Integration", "okta"); err != nil || !slices.Equal(names, []string{"eventHook"}) {
			w.Fatalf("%v, %v", names, err)
		}
		for _, q := range []store.EventQuery{{Endpoint: "Integration/okta"}, {Endpoint: "Integration/okta/eventHook"}, {States: []string{store.EventDead}}} {
			if list, err := w.s.ReceivedEvents(ctx, w.tenant, q); err != nil || len(list) != 1 {
				w.Fatalf("%+v: %v, %v", q, list, err)
			}
		}
		for _, q := range []store.EventQuery{{Endpoint: "Integration/ok"}, {Endpoint: "Workflow/okta"}, {States: []string{store.EventNew}}, {Before: id}} {
			if list, err := w.s.ReceivedEvents(ctx, w.tenant, q); err != nil || len(list) != 0 {
				w.Fatalf("%+v: %v, %v", q, list, err)
			}
		}
		if _, err := w.s.EventBody(ctx, ring, other.tenant, id); !errors.Is(err, store.ErrNotFound) {
			w.Fatalf("of another tenant: %v", err)
		}
		rotated := keyring(w.T, young+old)
		_, err = w.s.Reseal(ctx, rotated)
		w.must(err)
		if got, err := w.s.EventBody(ctx, keyring(w.T, young), w.tenant, id); err != nil || !bytes.Equal(got, body) {
			w.Fatalf("%s, %v", got, err)
		}
		by := model.Actor{Name: "grace", Kind: model.ActorUser}
		if err := w.s.ReplayEvent(ctx, rotated, other.tenant, id, by, ""); !errors.Is(err, store.ErrNotFound) {
			w.Fatalf("another tenant replays: %v", err)
		}
		w.must(w.s.ReplayEvent(ctx, rotated, w.tenant, id, by, "the mapping is mended"))
		if err := w.s.ReplayEvent(ctx, rotated, w.tenant, id, by, ""); !errors.Is(err, store.ErrNoBody) {
			w.Fatalf("replayed twice: %v", err)
		}
		e = pending()
		if !bytes.Equal(e.Body, body) || e.Headers["content-type"] != "application/json" || e.Attempts != 0 {
			w.Fatalf("%+v", e)
		}
		if log, err := w.s.Audit(ctx, w.tenant, store.AuditQuery{Action: "event.replay"}); err != nil || len(log) != 1 || log[0].Actor != "grace" || log[0].ObjectName != id {
			w.Fatalf("%+v, %v", log, err)
		}
		w.must(w.s.BuryEvent(ctx, rotated, e, "again"))
		w.must(w.s.PruneInbox(ctx, w.tenant, w.clock.Now().Add(time.Hour), w.clock.Now()))
		if _, err := w.s.ReceivedEvent(ctx, w.tenant, id); err != nil {
			w.Fatal("erased before its time")
		}
		w.must(w.s.PruneInbox(ctx, w.tenant, w.clock.Now().Add(time.Hour), w.clock.Now().Add(time.Millisecond)))
		if _, err := w.s.ReceivedEvent(ctx, w.tenant, id); !errors.Is(err, store.ErrNotFound) {
			w.Fatalf("after its time: %v", err)
		}
	})
}

// What is received does not wait for connections that other work has taken.
func TestInboxHasItsOwnConnections(t *testing.T) {
	s := storetest.Open(t, storetest.Postgres(t))
	tenant, err := s.EnsureTenant(t.Context(), "acme")
	if err != nil {
		t.Fatal(err)
	}
	db := s.ReadDB()
	for range db.Stats().MaxOpenConnections {
		c, err := db.Conn(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = c.Close() }()
	}
	if all := db.Stats().MaxOpenConnections + s.InboxDB().Stats().MaxOpenConnections; all != 16 {
		t.Errorf("%d connections in all", all)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	w := &world{T: t, s: s, tenant: tenant}
	if _, err := s.EndpointByToken(ctx, keyring(t, key(t, "k1")), w.endpointToken()); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("looking up an address: %v", err)
	}
	if _, err := s.ReceiveEvent(ctx, store.Event{Tenant: tenant, Endpoint: "hook", DedupeKey: "k", Body: []byte("{}")}); err != nil {
		t.Errorf("receiving: %v", err)
	}
}
