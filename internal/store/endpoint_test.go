// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package store_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/seatkeeper/seatkeeper/internal/model"
	"github.com/seatkeeper/seatkeeper/internal/store"
)

func (w *world) endpointToken() string {
	w.Helper()
	token, err := store.NewEndpointToken(w.tenant)
	w.must(err)
	return token
}

// An endpoint is found by its path alone, by the one before until the overlap
// ends, and by none other.
func TestEndpointRotation(t *testing.T) {
	eachWorld(t, func(w *world) {
		ring, ctx := keyring(w.T, key(w.T, "k1")), w.Context()
		first, second := w.endpointToken(), w.endpointToken()
		if len(first) < 45 || first == second || !store.TokenOfTenant(w.tenant, first) || store.TokenOfTenant(w.tenant+1, first) {
			w.Fatalf("tokens %q, %q", first, second)
		}
		found := func(token string) bool {
			w.Helper()
			e, err := w.s.EndpointByToken(ctx, ring, token)
			if err != nil && !errors.Is(err, store.ErrNotFound) {
				w.Fatal(err)
			}
			if err == nil && (e.Tenant != w.tenant || e.OwnerName != "okta" || e.Webhook != "eventHook" || e.OwnerUID != "uid" || string(e.Config) != `{"a":1}`) {
				w.Fatalf("found %+v", e)
			}
			return err == nil
		}
		put := func(specs ...store.EndpointSpec) {
			w.Helper()
			for i := range specs {
				specs[i].Webhook, specs[i].Config = "eventHook", []byte(`{"a":1}`)
			}
			w.must(w.s.PutEndpoints(ctx, ring, w.tenant, "Integration", "okta", "uid", specs))
		}
		put(store.EndpointSpec{Token: first})
		if !found(first) || found(second) || found("") || found(first+"x") || found(strings.ToUpper(first)) || found(first[:len(first)-1]) {
			w.Fatal("the first path")
		}
		put(store.EndpointSpec{Token: second, Previous: first, PreviousUntil: t0.Add(24 * time.Hour)})
		if !found(first) || !found(second) {
			w.Fatal("both paths are good in the overlap")
		}
		w.step(24 * time.Hour)
		if found(first) || !found(second) {
			w.Fatal("the overlap has ended")
		}
		var kept string
		w.must(w.s.ReadDB().QueryRowContext(ctx, `SELECT digest || previous_digest || config FROM webhook_endpoint`).Scan(&kept))
		if strings.Contains(kept, second) || strings.Contains(kept, strings.SplitN(second, ".", 2)[1]) {
			w.Fatal("the path itself is stored")
		}
		put()
		if found(second) {
			w.Fatal("an endpoint that is gone")
		}
		put(store.EndpointSpec{Token: second})
		w.must(w.s.DeleteEndpoints(ctx, w.tenant+1, "Integration", "okta"))
		if !found(second) {
			w.Fatal("another tenant ended it")
		}
		w.must(w.s.DeleteEndpoints(ctx, w.tenant, "Integration", "okta"))
		if found(second) {
			w.Fatal("a deleted endpoint")
		}
	})
}

// A burst asks for one sync, an event during a sync for another one, and one that
// waits after failures is left alone.
func TestHookAsksForSync(t *testing.T) {
	eachWorld(t, func(w *world) {
		ring, ctx := keyring(w.T, key(w.T, "k1")), w.Context()
		hook := store.Hook{OwnerKind: "Integration", OwnerName: "okta", Webhook: "eventHook"}
		w.must(w.s.PutEndpoints(ctx, ring, w.tenant, hook.OwnerKind, hook.OwnerName, "uid", []store.EndpointSpec{{Webhook: hook.Webhook, Token: w.endpointToken()}}))
		next := func() time.Time { return w.clock.Now().Add(time.Hour) }
		finish := func(c store.Claim, failed bool) {
			w.Helper()
			due := next()
			w.must(w.s.FinishIntegration(ctx, c, store.IntegrationResult{NextDue: &due, Failed: failed, Synced: !failed}))
		}
		finish(w.claim("okta", "okta"), false)
		dueIn := func() time.Duration {
			w.Helper()
			st, err := w.s.IntegrationState(ctx, w.tenant, "okta")
			w.must(err)
			return st.DueAt.Sub(w.clock.Now())
		}
		n := 0
		event := func() bool {
			w.Helper()
			n++
			due, err := w.s.ApplyHook(ctx, store.HookEvents{Tenant: w.tenant, Hook: hook, AskForSync: true, Between: time.Minute,
				Events: []model.Event{{ID: strings.Repeat("e", n), Kind: model.EventRealtime, Subject: "u1", CreatedAt: w.clock.Now()}}})
			w.must(err)
			return due
		}
		if !event() || dueIn() != 0 {
			w.Fatalf("due in %s after an event", dueIn())
		}
		w.step(time.Second)
		if event() || dueIn() != -time.Second {
			w.Fatalf("due in %s after another", dueIn())
		}
		claims, err := w.s.ClaimDueIntegrations(ctx, "a", 10, time.Minute)
		w.must(err)
		if len(claims) != 1 {
			w.Fatalf("%d claims", len(claims))
		}
		w.step(time.Second)
		event()
		event()
		finish(claims[0], false)
		if d := dueIn(); d <= 0 || d > time.Minute {
			w.Fatalf("due in %s after a sync during which an event came", d)
		}
		w.step(time.Minute)
		if claims, err = w.s.ClaimDueIntegrations(ctx, "a", 10, time.Minute); err != nil || len(claims) != 1 {
			w.Fatalf("%d claims, %v", len(claims), err)
		}
		finish(claims[0], true)
		if event() || dueIn() != time.Hour {
			w.Fatalf("due in %s: back-off after a failure is left alone", dueIn())
		}
		if events, err := w.s.NewEvents(ctx, w.tenant, 100); err != nil || len(events) != n || events[0].Integration != "okta" {
			w.Fatalf("%d events of %d, %v", len(events), n, err)
		}
		hook.OwnerName = "gone"
		if _, err := w.s.ApplyHook(ctx, store.HookEvents{Tenant: w.tenant, Hook: hook}); !errors.Is(err, store.ErrNotFound) {
			w.Fatalf("an Integration that is not there: %v", err)
		}
	})
}
