// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package connector

import (
	"encoding/base64"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// Invariant 3 and 4: what is not granted is not sent.
func TestPermissionIsEnforcedWhereRequestsAreMade(t *testing.T) {
	v := newVendor(t, map[string]http.HandlerFunc{"/": say(`{"type":1}`)})
	tests := map[string]struct {
		change func(*Options)
		action string
	}{
		"the zero permission reads": {func(o *Options) { o.Permission = "" }, "license.remove"},
		"Read":                      {func(o *Options) { o.Permission = PermissionRead }, "license.remove"},
		"Read, destructive granted": {func(o *Options) { o.Permission, o.Destructive = PermissionRead, []string{"user.delete"} }, "user.delete"},
		"ReadAndAct, not granted":   {func(o *Options) {}, "user.delete"},
	}
	for name, tt := range tests {
		s, _ := session(t, v, tt.change)
		call := ActionCall{Name: tt.action, Input: map[string]any{"userId": "1"}}
		res, err := s.Execute(t.Context(), call)
		wantClass(t, err, ClassPermission)
		if res.Class != ResultDenied || res.Sent {
			t.Errorf("%s: %+v", name, res)
		}
		if res, err := s.Precheck(t.Context(), call); err == nil || res.Class != ResultDenied {
			t.Errorf("%s precheck: %+v", name, res)
		}
		// Even a write that no action names is refused by the session itself.
		if s.o.Permission != PermissionReadAndAct {
			spec := s.m.action("license.remove").steps[0].request
			vars := s.vars()
			vars["input"] = map[string]any{"userId": "1"}
			_, err := s.do(t.Context(), exchange{spec: &spec, vars: vars})
			wantClass(t, err, ClassPermission)
		}
	}
	if n := v.count("/"); n != 0 {
		t.Errorf("%d requests were sent", n)
	}
	if _, err := Open(Options{Manifest: load1(t, chaosManifest), Destructive: []string{"license.remove"}}); err == nil {
		t.Error("an action that is not destructive can be granted as one")
	}
}

func TestActionResults(t *testing.T) {
	status, body := 0, ""
	var hang atomic.Bool
	v := newVendor(t, map[string]http.HandlerFunc{
		"GET /v1/users/{id}": say(`{"type":1}`),
		"PATCH /v1/users/{id}": func(w http.ResponseWriter, r *http.Request) {
			if hang.Load() {
				c, _, _ := http.NewResponseController(w).Hijack()
				_ = c.Close()
				return
			}
			got, _ := io.ReadAll(r.Body)
			if string(got) != `{"type":1}` {
				t.Errorf("body %s", got)
			}
			w.Header().Set("Retry-After", "90")
			w.WriteHeader(status)
			_, _ = w.Write([]byte(body))
		},
	})
	call := ActionCall{Name: "license.remove", Input: map[string]any{"userId": "u 1"}}
	for _, tt := range []struct {
		status int
		body   string
		want   ResultClass
	}{
		{204, "", ResultDone}, {200, "{}", ResultDone}, {202, "{}", ResultAccepted}, {401, "", ResultDenied}, {403, "", ResultDenied}, {404, "", ResultNotFound},
		{409, "", ResultConflict}, {400, `{"message":"bad"}`, ResultFailed}, {429, "", ResultRateLimited}, {500, "", ResultUnknown}, {503, "", ResultUnknown},
		{200, "<html>", ResultUnknown}, {302, "", ResultFailed},
	} {
		status, body = tt.status, tt.body
		s, _ := session(t, v)
		res, err := s.Execute(t.Context(), call)
		if res.Class != tt.want || !res.Sent || res.StatusCode != tt.status || res.RequestDigest == "" || (err == nil) != (tt.want == ResultDone || tt.want == ResultAccepted) {
			t.Errorf("%d %s: %+v, %v", tt.status, tt.body, res, err)
		}
		if tt.status == 429 && res.RetryAfter != 90*time.Second {
			t.Errorf("retry after %s", res.RetryAfter)
		}
	}
	hang.Store(true)
	s, _ := session(t, v)
	if res, err := s.Execute(t.Context(), call); res.Class != ResultUnknown || !res.Sent || err == nil {
		t.Errorf("lost answer: %+v, %v", res, err)
	}
	closed := httptest.NewServer(http.NotFoundHandler())
	closed.Close()
	s, _ = session(t, &vendor{Server: closed})
	if res, err := s.Execute(t.Context(), call); res.Class != ResultFailed || res.Sent || ClassOf(err) != ClassUnreachable {
		t.Errorf("never sent: %+v, %v", res, err)
	}
	if res, err := func() (ActionResult, error) { s, _ := session(t, v); return s.Precheck(t.Context(), call) }(); err != nil || res.Class != ResultAlready {
		t.Errorf("precheck: %+v, %v", res, err)
	}
}

func TestKeyedActionCarriesItsKey(t *testing.T) {
	var keys []string
	s, _ := session(t, newVendor(t, map[string]http.HandlerFunc{"POST /v1/tickets": func(w http.ResponseWriter, r *http.Request) {
		keys = append(keys, r.Header.Get("Idempotency-Key"))
		_, _ = w.Write([]byte(`{"id":77}`))
	}}))
	res, err := s.Execute(t.Context(), ActionCall{Name: "ticket.create", Input: map[string]any{"text": "x"}, IdempotencyKey: "k1"})
	if err != nil || !cmp.Equal(res.Output, map[string]any{"id": int64(77)}) || !cmp.Equal(keys, []string{"k1"}) {
		t.Errorf("%+v, %v, keys %q", res, err, keys)
	}
	if _, err := s.Execute(t.Context(), ActionCall{Name: "ticket.create", Input: map[string]any{"text": "x"}}); ClassOf(err) != ClassConfig || len(keys) != 1 {
		t.Errorf("without a key: %v", err)
	}
}

func TestActionInput(t *testing.T) {
	v := newVendor(t, map[string]http.HandlerFunc{"/": say(`{}`)})
	s, _ := session(t, v)
	for name, in := range map[string]map[string]any{
		"missing": {}, "empty": {"userId": ""}, "wrong type": {"userId": 7}, "unknown": {"userId": "1", "user": "2"}, "dots": {"userId": ".."}, "dot": {"userId": "."},
	} {
		if res, err := s.Execute(t.Context(), ActionCall{Name: "license.remove", Input: in}); err == nil || res.Sent {
			t.Errorf("%s: %+v", name, res)
		}
	}
	if v.count("/") != 0 {
		t.Error("something was sent")
	}
	// A slash stays inside its segment.
	if _, err := s.Execute(t.Context(), ActionCall{Name: "license.remove", Input: map[string]any{"userId": "../admin?x#y"}}); err != nil {
		t.Fatal(err)
	}
	if got := v.requests[0].URL; got.EscapedPath() != "/v1/users/..%2Fadmin%3Fx%23y" || got.RawQuery != "" {
		t.Errorf("sent to %s", got)
	}
	if a, b := s.IntentDigest(ActionCall{Name: "x", Input: map[string]any{"a": 1, "b": 2}}), s.IntentDigest(ActionCall{Name: "x", Input: map[string]any{"b": 2, "a": 1}}); a != b {
		t.Error("the digest depends on the order of the input")
	}
}

const oauthPatch = `
  auth:
    - id: app
      type: oauth2
      grant: account_credentials
      clientAuth: basic
      tokenURL: https://login.chaos.example/token
      tokenQuery: {grant_type: account_credentials, account_id: "${secret.accountId}"}
      secrets: {accountId: {}, clientId: {}, clientSecret: {}}
`

func oauthManifest() string {
	return strings.Replace(chaosManifest, `
  auth: [{id: t, type: bearer, token: "${secret.token}", secrets: {token: {}}}]
`, oauthPatch, 1)
}

// A token that ends in mid-list is renewed once, and the list goes on; one
// that is refused again is an authentication failure.
func TestTokenExpiryInMidList(t *testing.T) {
	issued, valid := 0, ""
	dead := false
	v := newVendor(t, map[string]http.HandlerFunc{
		"POST /token": func(w http.ResponseWriter, r *http.Request) {
			want := "Basic " + base64.StdEncoding.EncodeToString([]byte("id:s3cret"))
			if r.Header.Get("Authorization") != want || r.URL.Query().Get("account_id") != "acc" || r.URL.Query().Get("grant_type") != "account_credentials" {
				w.WriteHeader(http.StatusBadRequest)
				_, _ = w.Write([]byte(`{"reason":"Invalid client_id or client_secret","error":"invalid_client"}`))
				return
			}
			issued++
			valid = fmt.Sprintf("tok%d", issued)
			fmt.Fprintf(w, `{"access_token":%q,"expires_in":3600}`, valid)
		},
		"/v1/users": func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Query().Get("cursor") == "c1" && issued == 1 {
				valid = "" // the token ends here
			}
			if r.Header.Get("Authorization") != "Bearer "+valid || dead {
				w.WriteHeader(http.StatusUnauthorized)
				return
			}
			users(w, r)
		},
	})
	secret := map[string]string{"accountId": "acc", "clientId": "id", "clientSecret": "s3cret"}
	cache := NewTokenCache()
	withOAuth := func(o *Options) {
		o.Manifest, o.Secrets, o.Tokens = load1(t, oauthManifest()), secret, cache
		o.Endpoints["login.chaos.example"] = v.URL
	}
	s, _ := session(t, v, withOAuth)
	if recs, _, err := read(t, s, "users"); err != nil || len(recs) != 5 || issued != 2 {
		t.Fatalf("%d records, %d tokens, %v", len(recs), issued, err)
	}
	// Another session of the same credential uses the same token.
	s, c := session(t, v, withOAuth)
	if _, _, err := read(t, s, "users"); err != nil || issued != 2 {
		t.Errorf("%d tokens, %v", issued, err)
	}
	c.Step(2 * time.Hour)
	if _, _, err := read(t, s, "users"); err != nil || issued != 3 {
		t.Errorf("after expiry: %d tokens, %v", issued, err)
	}
	dead = true
	_, _, err := read(t, s, "users")
	wantClass(t, err, ClassAuth)
	if issued != 4 {
		t.Errorf("%d tokens: a refused token is renewed once", issued)
	}
	secret = map[string]string{"accountId": "acc", "clientId": "id", "clientSecret": "s3cret-wrong"}
	s, _ = session(t, v, withOAuth)
	_, _, err = read(t, s, "users")
	if e := wantClass(t, err, ClassAuth); !strings.Contains(e.Message, "invalid_client") && !strings.Contains(e.Message, "Invalid client") {
		t.Errorf("the vendor's words are lost: %v", e)
	}
	delete(secret, "clientId")
	s, _ = session(t, v, withOAuth)
	_, _, err = read(t, s, "users")
	if e := wantClass(t, err, ClassAuth); !strings.Contains(e.Fix, "accountId, clientId, clientSecret") {
		t.Errorf("%v", e)
	}
}

func TestConnectTestOutcomes(t *testing.T) {
	good := map[string]http.HandlerFunc{
		"/v1/me": say(`{"id":"acc-1","name":"Acme"}`), "/v1/users": users, "/v1/linked": say(`[{"id":"g","name":"G"}]`),
		"/v1/linked/{id}/members": say(`[{"id":"u"}]`), "/v1/pages": say(`{"items":[]}`), "/v1/events": say(`[]`),
	}
	refuse := func(status int, body string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(status); _, _ = w.Write([]byte(body)) }
	}
	tests := map[string]struct {
		path    string
		answer  http.HandlerFunc
		outcome TestOutcome
		class   ErrorClass
		message string
	}{
		"A":                          {"/v1/pages", good["/v1/pages"], AllPassed, "", ""},
		"B permission":               {"/v1/linked", refuse(403, `{"message":"needs groups:read"}`), Partial, ClassPermission, "needs groups:read"},
		"B not found":                {"/v1/events", refuse(404, ``), Partial, ClassNotFound, "HTTP 404 Not Found"},
		"C essential":                {"/v1/users", refuse(403, `{"message":"needs users:read"}`), Failed, ClassPermission, "needs users:read"},
		"C assertion":                {"/v1/users", say(`{"users":[]}`), Failed, ClassAssertion, "nobody is listed"},
		"C auth":                     {"/v1/me", refuse(401, ``), Failed, "", ""},
		"transient decides nothing":  {"/v1/users", refuse(503, ``), Inconclusive, ClassTransient, "HTTP 503 Service Unavailable"},
		"rate limit decides nothing": {"/v1/linked", refuse(429, ``), Inconclusive, ClassRateLimit, "HTTP 429 Too Many Requests"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			handlers := map[string]http.HandlerFunc{}
			for p, h := range good {
				handlers[p] = h
			}
			handlers[tt.path] = tt.answer
			s, _ := session(t, newVendor(t, handlers), func(o *Options) { o.Permission = PermissionRead })
			rep := s.Test(t.Context())
			if rep.Outcome != tt.outcome {
				t.Fatalf("got %s: %+v", rep.Outcome, rep)
			}
			if tt.path != "/v1/me" && rep.Account != (RemoteAccount{"acc-1", "Acme"}) {
				t.Errorf("account %+v", rep.Account)
			}
			for _, st := range rep.Streams {
				if st.State == TestFailed && (st.Class != tt.class || st.Message != tt.message && tt.class != ClassRateLimit) {
					t.Errorf("stream %s: %s %q, want %s %q", st.Stream, st.Class, st.Message, tt.class, tt.message)
				}
			}
			if tt.outcome == Failed && rep.Err == nil {
				t.Error("nothing says why")
			}
		})
	}
}
