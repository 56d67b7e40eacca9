// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package connector

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"
)

const refreshMethod = `
    - id: app
      type: oauth2
      grant: refresh_token
      clientAuth: basic
      tokenURL: https://login.chaos.example/token
      secrets: {clientId: {}, clientSecret: {optional: true}, refreshToken: {rotates: true}}`

// rotatingVendor takes each refresh token once, and answers users with the
// newest access token alone.
type rotatingVendor struct {
	*vendor
	mu      sync.Mutex
	valid   string // the refresh token
	access  string
	used    map[string]int
	silent  bool // answers without a new refresh token
	onToken func()
	// complain repeats the client's secret in a refusal.
	complain bool
}

func newRotatingVendor(t testing.TB, first string) *rotatingVendor {
	r := &rotatingVendor{valid: first, used: map[string]int{}}
	r.vendor = newVendor(t, map[string]http.HandlerFunc{
		"POST /token": tokenEndpoint(t, func(f url.Values, req *http.Request) string {
			if want := "Basic " + base64.StdEncoding.EncodeToString([]byte("id%3A1:s%2Fecret")); !r.complain && r.onToken == nil && req.Header.Get("Authorization") != want || f.Get("grant_type") != "refresh_token" {
				t.Errorf("%q %v", req.Header.Get("Authorization"), f)
			}
			r.mu.Lock()
			defer r.mu.Unlock()
			got := f.Get("refresh_token")
			r.used[got]++
			if r.onToken != nil {
				r.onToken()
			}
			if r.complain {
				_, secret, _ := req.BasicAuth()
				return fmt.Sprintf(`{"error":"invalid_client","error_description":"%s with %s is wrong"}`, secret, got)
			}
			if got != r.valid {
				return fmt.Sprintf(`{"error":"invalid_grant","error_description":"%s is spent"}`, got)
			}
			n := len(r.used)
			r.access = fmt.Sprintf("access-%d-%s", n, got)
			if r.silent {
				return fmt.Sprintf(`{"access_token":%q,"expires_in":3600}`, r.access)
			}
			r.valid = fmt.Sprintf("refresh-%d-%s", n, first)
			return fmt.Sprintf(`{"access_token":%q,"refresh_token":%q,"expires_in":3600}`, r.access, r.valid)
		}),
		"/v1/users": func(w http.ResponseWriter, req *http.Request) {
			r.mu.Lock()
			access := r.access
			r.mu.Unlock()
			guarded("Authorization", "Bearer "+access)(w, req)
		},
	})
	return r
}

// faultyVault is a Vault that several sessions share, as replicas do.
type faultyVault struct {
	memoryVault
	fail    int    // so many Keeps fail
	changed func() // what another process does instead
	onKeep  func([]byte)
}

func (v *faultyVault) Hold(ctx context.Context, name string, f func(context.Context, Held) error) error {
	return v.memoryVault.Hold(ctx, name, func(ctx context.Context, h Held) error { return f(ctx, faultyHeld{h, v}) })
}

type faultyHeld struct {
	Held
	v *faultyVault
}

func (h faultyHeld) Keep(ctx context.Context, value []byte) error {
	if h.v.fail > 0 {
		h.v.fail--
		if h.v.changed != nil {
			h.v.changed()
			return ErrVaultChanged
		}
		return errors.New("the database is away")
	}
	if h.v.onKeep != nil {
		h.v.onKeep(value)
	}
	return h.Held.Keep(ctx, value)
}

func (v *faultyVault) kept() string {
	if m := v.only(); m != nil {
		return string(m.value)
	}
	return ""
}

// only is the value that is kept, where there is one.
func (v *faultyVault) only() *memoryValue {
	for _, m := range v.values {
		return m
	}
	return nil
}

// secretOf is a Secret that a user may change.
type secretOf struct {
	mu      sync.Mutex
	data    map[string]string
	reloads int
}

func newSecret(refresh string) *secretOf {
	return &secretOf{data: map[string]string{"clientId": "id:1", "clientSecret": "s/ecret", "refreshToken": refresh}}
}

func (s *secretOf) set(refresh string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.data["refreshToken"] = refresh
}

func (s *secretOf) read(context.Context) (map[string]string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.reloads++
	return maps.Clone(s.data), nil
}

// replica opens a session as another process would: with the vault and the
// Secret alone in common.
func (r *rotatingVendor) replica(t testing.TB, vault Vault, secret *secretOf) (*Session, *leaping) {
	t.Helper()
	data, err := secret.read(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return signingIn(t, r.vendor, refreshMethod, data, func(o *Options) { o.Vault, o.Reload = vault, secret.read })
}

func wantUsers(t testing.TB, s *Session) {
	t.Helper()
	if recs, _, err := read(t, s, "users"); err != nil || len(recs) != 5 {
		t.Fatalf("%d records, %v", len(recs), err)
	}
}

// A hundred readers in four processes: one refresh, at the beginning and after
// each expiry, and no refresh token is used twice.
func TestOneRefreshAtATime(t *testing.T) {
	v, vault, secret := newRotatingVendor(t, "first"), &faultyVault{}, newSecret("first")
	var replicas []*Session
	var clocks []*leaping
	for range 4 {
		s, c := v.replica(t, vault, secret)
		replicas, clocks = append(replicas, s), append(clocks, c)
	}
	for round := 1; round <= 3; round++ {
		var wg sync.WaitGroup
		for i := range 100 {
			wg.Go(func() {
				if recs, _, err := read(t, replicas[i%4], "users"); err != nil || len(recs) != 5 {
					t.Errorf("%d records, %v", len(recs), err)
				}
			})
		}
		wg.Wait()
		if n := v.count("/token"); n != round {
			t.Fatalf("round %d: %d refreshes", round, n)
		}
		for _, c := range clocks {
			c.Step(time.Hour)
		}
	}
	for token, n := range v.used {
		if n > 1 {
			t.Errorf("%s was used %d times", token, n)
		}
	}
}

// The new refresh token is durable before anything is sent with the access
// token beside it: a process that dies there leaves all that another needs.
func TestRotatedTokenIsKeptBeforeUse(t *testing.T) {
	v, vault, secret := newRotatingVendor(t, "first"), &faultyVault{}, newSecret("first")
	keeps := 0
	vault.onKeep = func(value []byte) {
		keeps++
		if v.count("/v1/users") != 0 {
			t.Error("the access token was used before the refresh token was kept")
		}
		if !bytes.Contains(value, []byte("refresh-1-first")) {
			t.Errorf("kept %s", value)
		}
	}
	s, _ := v.replica(t, vault, secret)
	died := errors.New("killed")
	func() {
		defer func() {
			if recover() != any(died) {
				t.Error("the process did not die")
			}
		}()
		keep := vault.onKeep
		vault.onKeep = func(value []byte) {
			keep(value)
			vault.only().value = bytes.Clone(value) // durable
			panic(died)
		}
		_, _, _ = read(t, s, "users")
	}()
	vault.onKeep = nil
	if keeps != 1 || v.count("/v1/users") != 0 {
		t.Fatalf("kept %d times, %d requests", keeps, v.count("/v1/users"))
	}
	next, c := v.replica(t, vault, secret)
	wantUsers(t, next)
	if v.count("/token") != 1 {
		t.Errorf("%d refreshes: what the dead process kept was not used", v.count("/token"))
	}
	c.Step(time.Hour)
	wantUsers(t, next)
	if v.used["first"] != 1 || v.used["refresh-1-first"] != 1 {
		t.Errorf("%v", v.used)
	}
}

// While the new token cannot be stored nothing is sent with it; it is not
// forgotten, and goes on once it is stored.
func TestTokenThatCannotBeKept(t *testing.T) {
	v, vault, secret := newRotatingVendor(t, "first"), &faultyVault{fail: 10}, newSecret("first") // two readings of four tries
	s, _ := v.replica(t, vault, secret)
	for range 2 {
		_, _, err := read(t, s, "users")
		wantClass(t, err, ClassTransient)
		if v.count("/v1/users") != 0 || v.count("/token") != 1 {
			t.Fatalf("%d requests, %d refreshes", v.count("/v1/users"), v.count("/token"))
		}
	}
	wantUsers(t, s)
	if v.count("/token") != 1 || !strings.Contains(vault.kept(), "refresh-1-first") {
		t.Errorf("%d refreshes, kept %s", v.count("/token"), vault.kept())
	}
	// Another process was faster: its token stands, and this one is not tried.
	v, vault = newRotatingVendor(t, "first"), &faultyVault{fail: 1}
	vault.changed = func() {
		v.access = "of the other"
		raw, err := json.Marshal(tokenSet{Refresh: "r", Access: v.access, Expires: testNow.Add(time.Hour)})
		if err != nil {
			t.Error(err)
		}
		vault.only().value = raw
	}
	s, _ = v.replica(t, vault, secret)
	wantUsers(t, s)
	if v.count("/v1/users") != 3 || v.count("/token") != 1 {
		t.Errorf("%d pages, %d refreshes: a token was used that is not kept", v.count("/v1/users"), v.count("/token"))
	}
}

// Who is told to authorise anew would lose a token that is good.
func TestUnknownClientIsNotASpentToken(t *testing.T) {
	v, vault, secret := newRotatingVendor(t, "first"), &faultyVault{}, newSecret("first")
	v.complain = true
	s, _ := v.replica(t, vault, secret)
	_, _, err := read(t, s, "users")
	if e := wantClass(t, err, ClassAuth); strings.Contains(e.Fix, secretRefreshToken) || e.Fix != fixSecret {
		t.Errorf("told to %q", e.Fix)
	}
}

// A spent token makes the Secret and the kept token be read again, once.
func TestInvalidGrantReadsAgain(t *testing.T) {
	v, vault, secret := newRotatingVendor(t, "first"), &faultyVault{}, newSecret("first")
	s, _ := v.replica(t, vault, secret)
	v.valid = "second" // the user authorised anew, and the Secret changes while the old one is tried
	v.onToken = func() { secret.set("second") }
	wantUsers(t, s)
	if v.used["first"] != 1 || v.used["second"] != 1 || len(v.used) != 2 {
		t.Errorf("%v", v.used)
	}
	// Dead for good: two looks, one request, and no more for a while.
	v.valid, v.onToken = "lost", nil
	vault.only().value = nil
	secret.set("third")
	s, _ = v.replica(t, vault, secret)
	before := v.count("/token")
	for range 3 {
		_, _, err := read(t, s, "users")
		e := wantClass(t, err, ClassAuth)
		if !strings.Contains(e.Fix, "refreshToken") || !strings.Contains(e.Message, "spent") || strings.Contains(fmt.Sprintf("%+v", e), "third") {
			t.Errorf("%+v", e)
		}
	}
	if n := v.count("/token") - before; n != 1 {
		t.Errorf("%d requests with a dead token", n)
	}
	// What the Secret has by now is as secret as what it had.
	secret.set("fourth-and-last")
	secret.data["clientSecret"] = "changed-secret"
	v.onToken = func() { v.complain = true }
	s, _ = v.replica(t, vault, secret)
	s.o.Secrets = map[string]string{"clientId": "id:1", "clientSecret": "s/ecret", "refreshToken": "third"}
	_, _, err := read(t, s, "users")
	if e := wantClass(t, err, ClassAuth); strings.Contains(fmt.Sprintf("%+v", e), "changed-secret") || strings.Contains(e.Message, "fourth") {
		t.Errorf("%+v", e)
	}
}

// A changed Secret supersedes what descends from the old one, and a process
// that still has the old Secret open does not bring it back.
func TestChangedSecretSupersedes(t *testing.T) {
	v, vault, secret := newRotatingVendor(t, "first"), &faultyVault{}, newSecret("first")
	old, c := v.replica(t, vault, secret)
	wantUsers(t, old)
	v.valid = "second"
	secret.set("second")
	fresh, _ := v.replica(t, vault, secret)
	wantUsers(t, fresh)
	if v.used["second"] != 1 || v.used["refresh-1-first"] != 0 {
		t.Fatalf("%v", v.used)
	}
	c.Step(time.Hour)
	wantUsers(t, old)
	if v.used["first"] != 1 || v.used["refresh-1-first"] != 0 || v.used["second"] != 1 {
		t.Errorf("the old Secret came back: %v", v.used)
	}
}

// A vendor that keeps its refresh tokens says none, and the same one goes on.
func TestRefreshTokenThatStays(t *testing.T) {
	v, vault, secret := newRotatingVendor(t, "first"), &faultyVault{}, newSecret("first")
	v.silent = true
	s, c := v.replica(t, vault, secret)
	wantUsers(t, s)
	v.access = "revoked by the vendor before its time"
	wantUsers(t, s)
	c.Step(time.Hour)
	wantUsers(t, s)
	if v.used["first"] != 3 || len(v.used) != 1 {
		t.Errorf("%v", v.used)
	}
	// Without a vault it lives as long as the tokens' cache.
	data, _ := secret.read(t.Context())
	v = newRotatingVendor(t, "first")
	s, _ = signingIn(t, v.vendor, refreshMethod, data)
	wantUsers(t, s)
	if strings.Contains(vault.kept(), "s/ecret") {
		t.Error("the client's secret is kept beside the token")
	}
}
