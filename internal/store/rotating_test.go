// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package store_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	clocktesting "k8s.io/utils/clock/testing"

	"github.com/seatkeeper/seatkeeper/internal/store"
	"github.com/seatkeeper/seatkeeper/internal/store/storetest"
)

// hold runs f with a rotating secret that the Integration of that name uses.
func (w *world) hold(k *store.Keyring, name string, f func(context.Context, *store.RotatingSecret) error) error {
	return w.s.HoldRotating(w.Context(), k, w.tenant, name, name, f)
}

func (w *world) rotating(k *store.Keyring, name string) (value string) {
	w.Helper()
	w.must(w.s.HoldRotating(w.Context(), k, w.tenant, "who looks", name, func(ctx context.Context, r *store.RotatingSecret) error {
		got, err := r.Load(ctx)
		value = string(got)
		return err
	}))
	return value
}

func TestRotatingSecretHasOneHolder(t *testing.T) {
	eachWorld(t, func(w *world) {
		k := keyring(w.T, key(w.T, "k1"))
		var inside, most atomic.Int32
		var wg sync.WaitGroup
		for range 8 {
			wg.Go(func() {
				err := w.hold(k, "xero", func(ctx context.Context, r *store.RotatingSecret) error {
					if n := inside.Add(1); n > most.Load() {
						most.Store(n)
					}
					defer inside.Add(-1)
					got, err := r.Load(ctx)
					if err != nil {
						return err
					}
					return r.Keep(ctx, fmt.Appendf(nil, "%s+", got))
				})
				if err != nil {
					w.Error(err)
				}
			})
		}
		wg.Wait()
		if got := w.rotating(k, "xero"); got != "++++++++" || most.Load() != 1 {
			w.Fatalf("%q, %d at once", got, most.Load())
		}
		if got := w.rotating(k, "other"); got != "" {
			w.Fatalf("another value reads %q", got)
		}
		if got := w.otherTenant("beta").rotating(k, "xero"); got != "" {
			w.Fatalf("another tenant reads %q", got)
		}
	})
}

// A holder that died is waited for, and no longer than its time.
func TestRotatingSecretOutlivesItsHolder(t *testing.T) {
	eachWorld(t, func(w *world) {
		k := keyring(w.T, key(w.T, "k1"))
		stuck, leave := make(chan *store.RotatingSecret), make(chan struct{})
		done := make(chan error)
		go func() {
			done <- w.hold(k, "xero", func(ctx context.Context, r *store.RotatingSecret) error {
				if _, err := r.Load(ctx); err != nil {
					return err
				}
				stuck <- r
				<-leave
				return nil
			})
		}()
		late := <-stuck
		ctx, cancel := context.WithTimeout(w.Context(), 500*time.Millisecond)
		defer cancel()
		if err := w.s.HoldRotating(ctx, k, w.tenant, "another", "xero", func(context.Context, *store.RotatingSecret) error { return nil }); !errors.Is(err, context.DeadlineExceeded) {
			w.Fatalf("a second holder: %v", err)
		}
		w.must(w.s.WriteSQL(w.Context(), func(tx *sql.Tx) error { // its time is over
			_, err := tx.ExecContext(w.Context(), `UPDATE lane SET blocked_until=blocked_until-$1 WHERE lane_key='rotating/xero'`, store.HoldFor.Milliseconds())
			return err
		}))
		w.must(w.hold(k, "xero", func(ctx context.Context, r *store.RotatingSecret) error {
			if _, err := r.Load(ctx); err != nil {
				return err
			}
			return r.Keep(ctx, []byte("newer"))
		}))
		if err := late.Keep(w.Context(), []byte("older")); !errors.Is(err, store.ErrFenced) {
			w.Fatalf("who overstayed overwrote something newer: %v", err)
		}
		w.must(w.hold(k, "xero", func(ctx context.Context, r *store.RotatingSecret) error {
			close(leave) // the end of the first hold does not end this one
			if err := <-done; err != nil {
				return err
			}
			ctx, cancel := context.WithTimeout(ctx, 500*time.Millisecond)
			defer cancel()
			if err := w.s.HoldRotating(ctx, k, w.tenant, "another", "xero", func(context.Context, *store.RotatingSecret) error { return nil }); err == nil {
				return errors.New("two hold it")
			}
			return nil
		}))
		if got := w.rotating(k, "xero"); got != "newer" {
			w.Fatalf("%q", got)
		}
	})
}

// A replica whose clock is wrong neither takes what another holds nor waits
// longer than that one's time.
func TestRotatingSecretWithSkewedClocks(t *testing.T) {
	dsn := storetest.Postgres(t)
	k := keyring(t, key(t, "k1"))
	var replicas []*store.Store
	for _, skew := range []time.Duration{0, -time.Hour, time.Hour} {
		replicas = append(replicas, storetest.Open(t, dsn, storetest.WithClock(clocktesting.NewFakePassiveClock(time.Now().Add(skew)))))
	}
	tenant, err := replicas[0].EnsureTenant(t.Context(), "acme")
	if err != nil {
		t.Fatal(err)
	}
	for i, holder := range replicas {
		err := holder.HoldRotating(t.Context(), k, tenant, "xero", "xero", func(ctx context.Context, _ *store.RotatingSecret) error {
			for j, other := range replicas {
				ctx, cancel := context.WithTimeout(ctx, 300*time.Millisecond)
				err := other.HoldRotating(ctx, k, tenant, "xero", "xero", func(context.Context, *store.RotatingSecret) error { return nil })
				cancel()
				if !errors.Is(err, context.DeadlineExceeded) {
					t.Errorf("replica %d took what replica %d holds: %v", j, i, err)
				}
			}
			return nil
		})
		if err != nil {
			t.Errorf("replica %d: %v", i, err)
		}
	}
}

// Sealing again with another key is no change of the value.
func TestRotatingSecretSurvivesResealing(t *testing.T) {
	eachWorld(t, func(w *world) {
		one, two := key(w.T, "k1"), key(w.T, "k2")
		both := keyring(w.T, two+one)
		w.must(w.hold(keyring(w.T, one), "xero", func(ctx context.Context, r *store.RotatingSecret) error { return r.Keep(ctx, []byte("a")) }))
		w.must(w.hold(both, "xero", func(ctx context.Context, r *store.RotatingSecret) error {
			if _, err := r.Load(ctx); err != nil {
				return err
			}
			if n, err := w.s.Reseal(ctx, both); err != nil || n != 1 {
				return fmt.Errorf("resealed %d: %w", n, err)
			}
			return r.Keep(ctx, []byte("b"))
		}))
		if got := w.rotating(keyring(w.T, two), "xero"); got != "b" {
			w.Fatalf("%q", got)
		}
		// Without the key nothing is overwritten.
		err := w.hold(keyring(w.T, one), "xero", func(ctx context.Context, r *store.RotatingSecret) error {
			_, err := r.Load(ctx)
			return err
		})
		var unknown *store.UnknownKeyError
		if !errors.As(err, &unknown) {
			w.Fatalf("%v", err)
		}
	})
}

// What a vendor gave goes with the rest of a disconnected Integration, unless
// another one uses it, or one of the same name is there by now.
func TestPurgeErasesCredentials(t *testing.T) {
	eachWorld(t, func(w *world) {
		k := keyring(w.T, key(w.T, "k1"))
		keep := func(ctx context.Context, r *store.RotatingSecret) error { return r.Keep(ctx, []byte("token")) }
		for _, name := range []string{"zoom", "zoom-2", "slack"} {
			w.connect(name, name, "acme-1")
			w.must(w.s.PutSigningSecrets(w.Context(), k, w.tenant, name, map[string]string{"signingSecret": "sign " + name}))
			w.must(w.hold(k, name, keep))
		}
		w.must(w.s.HoldRotating(w.Context(), k, w.tenant, "zoom", "shared", keep))
		w.must(w.s.HoldRotating(w.Context(), k, w.tenant, "zoom-2", "shared", func(context.Context, *store.RotatingSecret) error { return nil }))
		for _, name := range []string{"zoom", "slack"} {
			w.must(w.s.HideIntegration(w.Context(), w.tenant, name, time.Hour))
		}
		w.step(time.Hour)
		w.connect("slack", "slack", "acme-9") // the same name, another account
		if n, err := w.s.PurgeHidden(w.Context()); err != nil || n != 2 {
			w.Fatalf("purged %d, %v", n, err)
		}
		for name, there := range map[string]bool{"zoom": false, "zoom-2": true, "slack": true} {
			_, err := w.s.SigningSecrets(w.Context(), k, w.tenant, name)
			if got := w.rotating(k, name); (got != "") != there || (err == nil) != there {
				w.Errorf("%s: %q, %v", name, got, err)
			}
		}
		if got := w.rotating(k, "shared"); got == "" {
			w.Error("what another Integration uses is gone")
		}
		w.must(w.s.HideIntegration(w.Context(), w.tenant, "zoom-2", 0))
		if n, err := w.s.PurgeHidden(w.Context()); err != nil || n != 1 {
			w.Fatalf("purged %d, %v", n, err)
		}
		for _, name := range []string{"zoom-2", "shared"} {
			if got := w.rotating(k, name); got != "" {
				w.Errorf("%s: %q", name, got)
			}
		}
	})
}
