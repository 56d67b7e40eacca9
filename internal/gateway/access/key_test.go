// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package access

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	clocktesting "k8s.io/utils/clock/testing"

	"github.com/seatkeeper/seatkeeper/internal/model"
	"github.com/seatkeeper/seatkeeper/internal/store"
	"github.com/seatkeeper/seatkeeper/internal/store/storetest"
)

var ada = model.Actor{Name: "ada", Kind: model.ActorUser}

// watched counts look-ups, and can be away or answer something else.
type watched struct {
	*store.Store
	lookups int
	away    error
	change  func(*store.APIKeyToken)
}

func (w *watched) APIKeyToken(ctx context.Context, t model.TenantID, keyID string) (store.APIKeyToken, error) {
	w.lookups++
	if w.away != nil {
		return store.APIKeyToken{}, w.away
	}
	row, err := w.Store.APIKeyToken(ctx, t, keyID)
	if err == nil && w.change != nil {
		w.change(&row)
	}
	return row, err
}

type keyWorld struct {
	*testing.T
	keys   *Keys
	store  *watched
	clock  *clocktesting.FakeClock
	tenant model.TenantID
	// refusals audits what code is refused.
	refusals *Refusals
	logged   bytes.Buffer
}

func eachKeyWorld(t *testing.T, fn func(w *keyWorld)) {
	storetest.Each(t, func(t *testing.T, open storetest.Opener) {
		w := &keyWorld{T: t, clock: clocktesting.NewFakeClock(time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC))}
		w.store = &watched{Store: open(storetest.WithClock(w.clock))}
		log := slog.New(slog.NewTextHandler(&w.logged, &slog.HandlerOptions{Level: slog.LevelDebug}))
		w.keys, w.refusals = NewKeys(w.store, w.clock, log), NewRefusals(w.store, w.clock, log)
		var err error
		w.tenant, err = w.store.EnsureTenant(t.Context(), "acme")
		w.must(err)
		fn(w)
	})
}

func (w *keyWorld) must(err error) {
	w.Helper()
	if err != nil {
		w.Fatal(err)
	}
}

func (w *keyWorld) step(d time.Duration) { w.clock.SetTime(w.clock.Now().Add(d)) }

// key declares a key and makes its token.
func (w *keyWorld) key(name, kind string, change func(*store.APIKeySpec)) string {
	w.Helper()
	spec := store.APIKeySpec{Name: name, UID: "uid-" + name, Type: kind, Overlap: time.Hour}
	if change != nil {
		change(&spec)
	}
	w.must(w.store.PutAPIKey(w.Context(), w.tenant, spec, ada))
	_, text, err := w.store.IssueAPIKey(w.Context(), w.tenant, name, store.IssueAPIKey{By: ada})
	w.must(err)
	return text
}

// from is a request of an address with a token.
func from(address, token string) *http.Request {
	r := httptest.NewRequest(http.MethodGet, "/v1.0/users", nil)
	r.RemoteAddr = address + ":4711"
	r.Header.Set("Authorization", "Bearer "+token)
	return r
}

// code is what a request is answered: 200 for a key that was taken.
func (w *keyWorld) code(r *http.Request, kind string) int {
	w.Helper()
	code := 0
	router := &Router{Refusals: w.refusals}
	router.HandleFunc("/apis/", func(rw http.ResponseWriter, r *http.Request) {
		_, err := w.keys.Authenticate(r, kind)
		code = w.codeOf(err)
		rw.WriteHeader(code)
	})
	r = r.Clone(r.Context())
	r.URL.Path = "/apis/"
	router.ServeHTTP(httptest.NewRecorder(), r)
	return code
}

func (w *keyWorld) codeOf(err error) int {
	w.Helper()
	var e *Refusal
	switch {
	case err == nil:
		return 200
	case !errors.As(err, &e):
		w.Fatalf("%v is no refusal", err)
	case e.Code == 401 && e.Challenge != "Bearer", e.Code == 429 && e.RetryAfter <= 0:
		w.Errorf("%d with challenge %q, Retry-After %s", e.Code, e.Challenge, e.RetryAfter)
	}
	return e.Code
}

const here = "192.0.2.1"

func TestKeyIdentity(t *testing.T) {
	eachKeyWorld(t, func(w *keyWorld) {
		token := w.key("entra", KeySCIM, func(s *store.APIKeySpec) { s.Scopes = []string{"a:read"} })
		id, err := w.keys.Authenticate(from(here, token), KeySCIM)
		w.must(err)
		parsed, err := store.ParseAPIToken(token)
		w.must(err)
		if id.Tenant != w.tenant || id.Namespace != "acme" || id.KeyID != parsed.KeyID || id.Name != "entra" || id.Type != KeySCIM || !slices.Equal(id.Scopes, []string{"a:read"}) || id.Actor() != "apikey/entra/"+parsed.KeyID {
			t.Errorf("%+v", id)
		}
		row, err := w.store.APIKeyToken(t.Context(), w.tenant, parsed.KeyID)
		w.must(err)
		if row.LastUsedAt == nil {
			t.Error("the use was not recorded")
		}
	})
}

// What is no token is refused before any look-up.
func TestNoKeyNoLookup(t *testing.T) {
	eachKeyWorld(t, func(w *keyWorld) {
		token := w.key("entra", KeySCIM, nil)
		two := from(here, token)
		two.Header.Add("Authorization", "Bearer "+token)
		bare := httptest.NewRequest(http.MethodGet, "/", nil)
		basic := from(here, token)
		basic.Header.Set("Authorization", "Basic "+token)
		inQuery := httptest.NewRequest(http.MethodGet, "/?access_token="+token, nil) // RFC 6750, 2.3: not supported
		for name, r := range map[string]*http.Request{
			"none": bare, "two": two, "Basic": basic, "in the query": inQuery, "empty": from(here, ""), "short": from(here, "skp_"),
			"cut": from(here, token[:len(token)-1]), "mistyped": from(here, strings.ToUpper(token)), "somebody's JWT": from(here, "eyJhbGciOi.J9.x"), "with more": from(here, token+" x"),
		} {
			if got := w.code(r, KeySCIM); got != 401 {
				t.Errorf("%s: %d, want 401", name, got)
			}
		}
		if w.store.lookups != 0 {
			t.Errorf("%d look-ups for what is no token", w.store.lookups)
		}
		lower := from(here, token)
		lower.Header.Set("Authorization", "bearer "+token) // RFC 9110, 11.1: the scheme has no case
		if got := w.code(lower, KeySCIM); got != 200 {
			t.Errorf("bearer: %d", got)
		}
	})
}

func TestRefusedKeys(t *testing.T) {
	eachKeyWorld(t, func(w *keyWorld) {
		ctx := t.Context()
		at := w.clock.Now().Add(time.Hour)
		scim, rest := w.key("entra", KeySCIM, nil), w.key("export", KeyREST, nil)
		expiring := w.key("short", KeySCIM, func(s *store.APIKeySpec) { s.ExpiresAt = &at })
		near := w.key("near", KeySCIM, func(s *store.APIKeySpec) { s.Networks = []string{"10.0.0.0/8", "2001:db8::/32"} })
		revoked := w.key("revoked", KeySCIM, nil)
		for i, tc := range []struct {
			token, address, kind string
			want                 int
		}{
			{scim, here, KeySCIM, 200}, {scim, here, KeyREST, 403}, {scim, here, KeyMCP, 403}, {rest, here, KeySCIM, 403}, {rest, here, KeyREST, 200},
			{near, here, KeySCIM, 403}, {near, "10.1.2.3", KeySCIM, 200}, {near, "[2001:db8::7]", KeySCIM, 200}, {near, "[::ffff:10.1.2.3]", KeySCIM, 200},
			{expiring, here, KeySCIM, 200}, {revoked, here, KeySCIM, 200},
		} {
			if got := w.code(from(tc.address, tc.token), tc.kind); got != tc.want {
				t.Errorf("%d: %d, want %d", i, got, tc.want)
			}
		}
		noAddress := from(here, near)
		noAddress.RemoteAddr = "@"
		if got := w.code(noAddress, KeySCIM); got != 403 {
			t.Errorf("from no address: %d", got)
		}
		w.must(w.store.RevokeAPIKey(ctx, w.tenant, "revoked", ada, ""))
		w.step(time.Hour)
		for name, token := range map[string]string{"revoked": revoked, "expired": expiring} {
			if got := w.code(from(here, token), KeySCIM); got != 401 {
				t.Errorf("%s: %d, want 401", name, got)
			}
		}
		w.store.change = func(row *store.APIKeyToken) { row.Digest = bytes.Repeat([]byte{1}, 32) }
		if got := w.code(from(here, scim), KeySCIM); got != 401 {
			t.Errorf("a wrong secret: %d, want 401", got)
		}
		w.store.change, w.store.away = nil, errors.New("the store is away")
		if _, err := w.keys.Authenticate(from(here, scim), KeySCIM); !errors.Is(err, w.store.away) {
			t.Errorf("the store is away: %v", err)
		}

		// Each is in the audit, without a secret, and what is repeated is counted.
		w.store.away = nil
		for range 30 {
			w.code(from(here, rest), KeySCIM)
		}
		count := func(name, why string) (n int) {
			records, err := w.store.Audit(ctx, w.tenant, store.AuditQuery{Action: ActionRefuse, ObjectName: name, Limit: 1000})
			w.must(err)
			for _, r := range records {
				if text := fmt.Sprintf("%+v", r); strings.Contains(text, rest) || strings.Contains(text, rest[len(rest)-49:]) {
					t.Errorf("the audit has the key: %s", text)
				}
				if r.Reason == why && r.Detail["address"] != "" && r.Result == "refused" {
					n++
				}
			}
			return n
		}
		for _, tc := range []struct {
			name, why string
			want      int
		}{{"export", "wrong type", 2}, {"near", "network", 1}, {"revoked", store.TokenRevoked, 1}, {"short", store.TokenExpired, 1}, {"entra", "wrong secret", 1}} {
			if n := count(tc.name, tc.why); n != tc.want {
				t.Errorf("%s: %d audit records of %s, want %d", tc.name, n, tc.why, tc.want)
			}
		}
		if w.logged.Len() > 0 {
			t.Errorf("logged: %s", w.logged.String())
		}
	})
}

// A key has a budget of its own, well above the 25 requests a second that
// identity providers ask for.
func TestKeyBudget(t *testing.T) {
	eachKeyWorld(t, func(w *keyWorld) {
		one, two := w.key("one", KeySCIM, nil), w.key("two", KeySCIM, nil)
		for i := range 200 {
			if got := w.code(from(here, one), KeySCIM); got != 200 {
				t.Fatalf("request %d: %d", i, got)
			}
		}
		if got := w.code(from("198.51.100.7", one), KeySCIM); got != 429 {
			t.Errorf("over the budget: %d", got)
		}
		if got := w.code(from(here, two), KeySCIM); got != 200 {
			t.Errorf("another key: %d", got)
		}
		taken := 0
		for range 10 {
			w.step(100 * time.Millisecond)
			for range 100 {
				if w.code(from(here, one), KeySCIM) == 200 {
					taken++
				}
			}
		}
		if taken < 49 || taken > 51 {
			t.Errorf("%d requests in a second, want 50", taken)
		}
	})
}

// Of an address that fails too often few keys are looked up; those that work from
// there go on.
func TestFailureBudget(t *testing.T) {
	eachKeyWorld(t, func(w *keyWorld) {
		working, other, fresh, revoked := w.key("working", KeySCIM, nil), w.key("other", KeySCIM, nil), w.key("fresh", KeySCIM, nil), w.key("revoked", KeySCIM, nil)
		w.must(w.store.RevokeAPIKey(t.Context(), w.tenant, "revoked", ada, ""))
		if got := w.code(from(here, working), KeySCIM); got != 200 {
			t.Fatalf("%d", got)
		}
		codes := map[int]int{}
		for range 60 {
			codes[w.code(from(here, revoked), KeySCIM)]++
		}
		if codes[401] != 50 || codes[429] != 10 {
			t.Errorf("answers to 60 failures: %v, want 50 of 401 and 10 of 429", codes)
		}
		before := w.store.lookups
		for range 200 {
			if got := w.code(from(here, revoked), KeySCIM); got != 429 {
				t.Fatalf("over the budget: %d, want 429", got)
			}
		}
		if n := w.store.lookups - before; n != 10 { // of 20, 10 are used up
			t.Errorf("%d look-ups over the budget, want 10", n)
		}
		if got := w.code(from(here, working), KeySCIM); got != 200 {
			t.Errorf("a key that works, behind the same address: %d", got)
		}
		if got := w.code(from("198.51.100.7", other), KeySCIM); got != 200 {
			t.Errorf("another address: %d", got)
		}
		if got := w.code(from(here, fresh), KeySCIM); got != 429 {
			t.Errorf("a key that never worked, over both budgets: %d", got)
		}
		w.step(time.Second)
		if got := w.code(from(here, fresh), KeySCIM); got != 200 {
			t.Errorf("after a second: %d", got)
		}
	})
}

// A replica that has just started knows no key yet. Whoever fails from the same
// address, with what is no key or with keys that do not work, locks nobody out.
func TestNeighbourLocksNobodyOut(t *testing.T) {
	eachKeyWorld(t, func(w *keyWorld) {
		mine, wrong := w.key("mine", KeySCIM, nil), w.key("wrong", KeySCIM, nil)
		w.must(w.store.RevokeAPIKey(t.Context(), w.tenant, "wrong", ada, ""))
		for range 100 {
			w.code(from(here, "wrong"), KeySCIM)
		}
		for range 15 {
			if got := w.code(from(here, wrong), KeySCIM); got != 429 {
				t.Fatalf("what fails is not blocked: %d", got)
			}
		}
		if got := w.code(from(here, mine), KeySCIM); got != 200 {
			t.Errorf("a key that works: %d, want 200", got)
		}
		for range 100 { // it has worked: it goes on without that budget
			w.code(from(here, wrong), KeySCIM)
		}
		if got := w.code(from(here, mine), KeySCIM); got != 200 {
			t.Errorf("again: %d, want 200", got)
		}
	})
}

func TestHasScope(t *testing.T) {
	for _, tc := range []struct {
		scopes string
		want   string
		ok     bool
	}{
		{"", "people:read", true}, {"", "records:write", false},
		{"people:read", "people:read", true}, {"people:read", "people:write", false}, {"people:read", "peoples:read", false},
		{"people", "people:read", true}, {"people", "people:write", true}, {"people", "apps:read", false},
		{"*:read", "apps:read", true}, {"*:read", "apps:write", false}, {"*", "apps:write", true}, {"apps:*", "apps:write", true}, {"apps:*", "people:read", false},
		{"people:read records:write", "records:write", true}, {"people:read records:write", "records:read", false},
		{":read", "apps:read", false}, {"read", "apps:read", false},
	} {
		if got := HasScope(strings.Fields(tc.scopes), tc.want); got != tc.ok {
			t.Errorf("scopes %q, %s: %t, want %t", tc.scopes, tc.want, got, tc.ok)
		}
	}
}

// Keys of type SCIM have scopes of their own, from a closed list.
func TestScopesOfSCIM(t *testing.T) {
	for _, tc := range []struct {
		kind, scopes, may string
	}{
		{KeySCIM, "", "scim:read scim:write"},
		{KeySCIM, "scim:read", "scim:read"},
		{KeySCIM, "scim:write", "scim:write"},
		{KeySCIM, "scim:read scim:write scim:admins", "scim:read scim:write scim:admins"},
		{KeySCIM, "* scim scim:* *:read", ""},
		{KeyREST, "", "scim:read people:read"},
		{KeyREST, "people", "people:read"},
	} {
		var may []string
		for _, scope := range []string{SCIMRead, SCIMWrite, SCIMAdmins, "people:read"} {
			if (KeyIdentity{Type: tc.kind, Scopes: strings.Fields(tc.scopes)}).May(scope) {
				may = append(may, scope)
			}
		}
		if got := strings.Join(may, " "); got != tc.may {
			t.Errorf("%s with %q may %q, want %q", tc.kind, tc.scopes, got, tc.may)
		}
	}
	eachKeyWorld(t, func(w *keyWorld) {
		id, err := w.keys.Authenticate(from(here, w.key("entra", KeySCIM, nil)), KeySCIM)
		w.must(err)
		w.must(w.keys.Require(from(here, ""), id, SCIMWrite))
		err = w.keys.Require(from(here, ""), id, SCIMAdmins)
		if w.codeOf(err) != 403 || !strings.Contains(err.Error(), "scim:admins") || !strings.Contains(err.Error(), "makes nobody an administrator") {
			t.Errorf("%v", err)
		}
	})
}

// A look-up for every request is what makes a revocation count at once. This is
// what it costs.
func BenchmarkAuthenticate(b *testing.B) {
	for _, dsn := range []func(testing.TB) string{func(tb testing.TB) string { return "sqlite:" + tb.TempDir() }, func(tb testing.TB) string { return storetest.Postgres(tb) }} {
		at := dsn(b)
		b.Run(strings.SplitN(at, ":", 2)[0], func(b *testing.B) {
			clock := clocktesting.NewFakePassiveClock(time.Now())
			s, err := store.Open(b.Context(), store.Options{DSN: at, Clock: clock})
			if err != nil {
				b.Fatal(err)
			}
			defer func() { _ = s.Close() }()
			if err := s.Migrate(b.Context()); err != nil {
				b.Fatal(err)
			}
			tenant, err := s.EnsureTenant(b.Context(), "acme")
			if err != nil {
				b.Fatal(err)
			}
			if err := s.PutAPIKey(b.Context(), tenant, store.APIKeySpec{Name: "entra", UID: "u", Type: KeySCIM}, ada); err != nil {
				b.Fatal(err)
			}
			_, token, err := s.IssueAPIKey(b.Context(), tenant, "entra", store.IssueAPIKey{By: ada})
			if err != nil {
				b.Fatal(err)
			}
			keys, r := NewKeys(s, clock, slog.New(slog.DiscardHandler)), from(here, token)
			for b.Loop() {
				if _, err := keys.Authenticate(r, KeySCIM); err != nil {
					b.Fatal(err)
				}
				clock.SetTime(clock.Now().Add(20 * time.Millisecond)) // within the budget
			}
		})
	}
}
