// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package gateway_test

import (
	"net/http"
	"sync"
	"testing"
	"time"

	"k8s.io/client-go/rest"
	"k8s.io/utils/clock"

	"github.com/seatkeeper/seatkeeper/internal/gateway/access"
	"github.com/seatkeeper/seatkeeper/internal/store"
	"github.com/seatkeeper/seatkeeper/internal/store/storetest"
)

// TestRevokedOnEveryReplica revokes and rotates keys at one of two whole gateways
// on one PostgreSQL while the keys are used at both: within five seconds neither
// takes them any more.
func TestRevokedOnEveryReplica(t *testing.T) {
	dsn := storetest.Postgres(t)
	var replicas []*fixture
	for range 2 {
		s, err := store.Open(t.Context(), store.Options{DSN: dsn, Clock: clock.RealClock{}})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = s.Close() })
		if err := s.Migrate(t.Context()); err != nil {
			t.Fatal(err)
		}
		replicas = append(replicas, newFixture(t, s))
	}
	one := replicas[0]
	ns := one.env.Namespace(t)
	tokens := map[string]string{"revoke": one.key(ns, "leaked", access.KeyREST, nil), "rotate": one.key(ns, "old", access.KeyREST, nil)}
	clients := map[*fixture]*http.Client{}
	for _, r := range replicas {
		clients[r] = r.httpClient(rest.AnonymousClientConfig(r.env.Config))
	}
	use := func(f *fixture, token string) int {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, f.server+"/v1.0/nothing", nil)
		if err != nil {
			t.Error(err)
			return 0
		}
		req.Header.Set("Authorization", "Bearer "+token)
		resp, err := clients[f].Do(req)
		if err != nil {
			t.Error(err)
			return 0
		}
		_ = resp.Body.Close()
		return resp.StatusCode
	}
	for i, r := range replicas {
		for name, token := range tokens {
			if got := use(r, token); got != http.StatusNotFound { // known, and there is nothing there
				t.Fatalf("replica %d takes the key to %s: %d", i, name, got)
			}
		}
	}
	admin := one.client(one.env.Config)
	if err := admin.Post(t.Context(), apis(ns, "keys/leaked/revoke"), map[string]string{"reason": "test"}, nil); err != nil {
		t.Fatal(err)
	}
	if err := admin.Post(t.Context(), apis(ns, "keys/old/rotate"), map[string]string{}, nil); err != nil {
		t.Fatal(err)
	}
	ended := time.Now()
	var group sync.WaitGroup
	for i, r := range replicas {
		for name, token := range tokens {
			group.Go(func() {
				for use(r, token) != http.StatusUnauthorized {
					if time.Since(ended) > 5*time.Second {
						t.Errorf("replica %d still takes what was ended by %s", i, name)
						return
					}
				}
				t.Logf("replica %d refuses what was ended by %s after %s", i, name, time.Since(ended).Round(time.Millisecond))
			})
		}
	}
	group.Wait()
}
