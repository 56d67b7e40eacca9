// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package connector

import (
	"context"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	clocktesting "k8s.io/utils/clock/testing"
)

var loopback = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}

// newRequester returns a requester that trusts the servers.
func newRequester(servers ...*httptest.Server) *Requester {
	pool := x509.NewCertPool()
	for _, s := range servers {
		pool.AddCert(s.Certificate())
	}
	return NewRequester(RequesterOptions{AllowedNetworks: loopback, RootCAs: pool})
}

func hostOf(t *testing.T, s *httptest.Server) string {
	t.Helper()
	u, err := url.Parse(s.URL)
	if err != nil {
		t.Fatal(err)
	}
	return u.Host
}

func fixedSecret(data map[string]string) func(context.Context, bool) (map[string]string, error) {
	return func(context.Context, bool) (map[string]string, error) { return data, nil }
}

func tlsServer(t *testing.T, h http.HandlerFunc) *httptest.Server {
	t.Helper()
	s := httptest.NewTLSServer(h)
	t.Cleanup(s.Close)
	return s
}

// TestRequesterBodies has what a body becomes on the wire.
func TestRequesterBodies(t *testing.T) {
	var got string
	s := tlsServer(t, func(_ http.ResponseWriter, r *http.Request) {
		raw, _ := io.ReadAll(r.Body)
		got = r.Header.Get("Content-Type") + "|" + string(raw) + "|" + r.URL.RawQuery
	})
	q := newRequester(s)
	for _, tc := range []struct {
		name   string
		header map[string]string
		body   any
		want   string
	}{
		{"json", nil, map[string]any{"a": int64(1), "b": "<&>"}, `application/json; charset=utf-8|{"a":1,"b":"<&>"}|x=1&y=a+b`},
		{"list", nil, []any{"a", true}, `application/json; charset=utf-8|["a",true]|x=1&y=a+b`},
		{"text", nil, "plain", "text/plain; charset=utf-8|plain|x=1&y=a+b"},
		{"own type", map[string]string{"content-type": "application/xml"}, "<a/>", "application/xml|<a/>|x=1&y=a+b"},
		{"scim", map[string]string{"Content-Type": "application/scim+json"}, map[string]any{"a": nil}, `application/scim+json|{"a":null}|x=1&y=a+b`},
		{"form", map[string]string{"Content-Type": formType}, map[string]any{"grant_type": "client_credentials", "n": int64(2), "none": nil}, formType + "|grant_type=client_credentials&n=2|x=1&y=a+b"},
		{"none", nil, nil, "||x=1&y=a+b"},
	} {
		_, err := q.Send(t.Context(), WebRequest{Method: "POST", URL: s.URL + "/p?x=0&y=a+b", Query: map[string]string{"x": "1"}, Header: tc.header, Body: tc.body, Hosts: []string{hostOf(t, s)}})
		if err != nil || got != tc.want {
			t.Errorf("%s: %v, sent %q, want %q", tc.name, err, got, tc.want)
		}
	}
	for _, r := range []WebRequest{
		{Header: map[string]string{"Host": "elsewhere"}},
		{Header: map[string]string{"X\r\nY": "1"}},
		{Header: map[string]string{"X": "1\r\nY: 2"}},
		{Header: map[string]string{"Content-Type": formType}, Body: map[string]any{"a": []any{}}},
	} {
		r.Method, r.URL, r.Hosts = "POST", s.URL, []string{hostOf(t, s)}
		if ans, err := q.Send(t.Context(), r); ClassOf(err) != ClassConfig || ans.Sent {
			t.Errorf("%v was sent: %+v, %v", r.Header, ans, err)
		}
	}
}

// TestRequesterHosts refuses every place that the request or the operator does
// not name, and says so before anything is sent.
func TestRequesterHosts(t *testing.T) {
	reached := false
	s := tlsServer(t, func(http.ResponseWriter, *http.Request) { reached = true })
	pool := x509.NewCertPool()
	pool.AddCert(s.Certificate())
	strict := NewRequester(RequesterOptions{RootCAs: pool})
	host := hostOf(t, s)
	for _, tc := range []struct{ address, host, says string }{
		{s.URL, host, "a loopback address"},
		{strings.Replace(s.URL, "127.0.0.1", "localhost", 1), strings.Replace(host, "127.0.0.1", "localhost", 1), "resolves to a loopback address"},
		{"https://169.254.169.254/latest", "169.254.169.254", "a link-local address"},
		{"https://10.0.0.1/", "10.0.0.1", "a private address"},
		{"https://[::ffff:10.0.0.1]/", "[::ffff:10.0.0.1]", "a private address"},
		{s.URL, "api.example.com", "not a host that may be reached"},
		{strings.Replace(s.URL, "https", "http", 1), host, "http is not https"},
		{"https://user:pw@" + host, host, "name or password"},
	} {
		ans, err := strict.Send(t.Context(), WebRequest{Method: "POST", URL: tc.address, Hosts: []string{tc.host}})
		if ClassOf(err) != ClassHostRefused || !strings.Contains(err.Error(), tc.says) || ans.Sent {
			t.Errorf("%s: %+v, %v; want %q", tc.address, ans, err, tc.says)
		}
	}
	if reached {
		t.Error("a refused request arrived")
	}
	for host, refused := range map[string]bool{"localhost": true, "x.localhost:8443": true, "127.0.0.1": true, "192.168.1.1": true, "api.example.com": false} {
		if why := strict.RefusesHost(host); (why != "") != refused {
			t.Errorf("%s: %q", host, why)
		}
	}
	redirected := NewRequester(RequesterOptions{RootCAs: pool, Endpoints: map[string]string{"api.example.com": s.URL + "/base"}})
	if ans, err := redirected.Send(t.Context(), WebRequest{Method: "GET", URL: "https://api.example.com/x", Hosts: []string{"api.example.com"}}); err != nil || ans.Status != 200 || !reached {
		t.Errorf("redirected by the operator: %+v, %v", ans, err)
	}
}

// TestRequesterRedirects follows a GET among the named hosts, without what
// authenticates it.
func TestRequesterRedirects(t *testing.T) {
	var seen []string
	note := func(where string, r *http.Request) {
		seen = append(seen, fmt.Sprintf("%s %s auth=%q key=%q", where, r.Method, r.Header.Get("Authorization"), r.Header.Get("X-Api-Key")))
	}
	var back string
	other := tlsServer(t, func(w http.ResponseWriter, r *http.Request) {
		note("other", r)
		if r.URL.Path == "/back" {
			http.Redirect(w, r, back, http.StatusFound)
		}
	})
	s := tlsServer(t, func(w http.ResponseWriter, r *http.Request) {
		note("first", r)
		switch r.URL.Path {
		case "/same":
			http.Redirect(w, r, "/end", http.StatusFound)
		case "/away":
			http.Redirect(w, r, other.URL+"/end", http.StatusTemporaryRedirect)
		case "/round":
			http.Redirect(w, r, other.URL+"/back", http.StatusFound)
		}
	})
	back = s.URL + "/end"
	q := newRequester(s, other)
	send := func(method, path string, hosts ...string) (WebAnswer, error) {
		seen = nil
		return q.Send(t.Context(), WebRequest{Method: method, URL: s.URL + path, Hosts: hosts, Header: map[string]string{"X-Api-Key": "k"},
			Auth: &WebAuth{Type: WebBearer, Secret: fixedSecret(map[string]string{"token": "tok-12345678"})}})
	}
	both := []string{hostOf(t, s), hostOf(t, other)}
	full := `auth="Bearer tok-12345678" key="k"`
	none := `auth="" key=""`
	for _, tc := range []struct {
		method, path string
		want         []string
	}{
		{"GET", "/same", []string{"first GET " + full, "first GET " + full}},
		{"GET", "/away", []string{"first GET " + full, "other GET " + none}},
		{"GET", "/round", []string{"first GET " + full, "other GET " + none, "first GET " + none}},
		{"POST", "/away", []string{"first POST " + full}},
	} {
		if _, err := send(tc.method, tc.path, both...); err != nil {
			t.Errorf("%s: %v", tc.path, err)
		}
		if diff := cmp.Diff(tc.want, seen); diff != "" {
			t.Errorf("%s %s (-want +got):\n%s", tc.method, tc.path, diff)
		}
	}
	if _, err := send("GET", "/away", both[0]); ClassOf(err) != ClassHostRefused || len(seen) != 1 {
		t.Errorf("to a host that is not named: %v, %v", err, seen)
	}
}

// TestRequesterToken fetches a token once for many requests at the same time,
// again when it has ended, and once more after a 401.
func TestRequesterToken(t *testing.T) {
	now := clocktesting.NewFakeClock(time.Date(2026, 11, 2, 10, 0, 0, 0, time.UTC))
	var fetched, refused atomic.Int32
	var mu sync.Mutex
	valid := ""
	s := tlsServer(t, func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		if r.URL.Path == "/token" {
			w.Header().Set("Content-Type", "application/json")
			// Only in the form, as some vendors have it.
			if r.FormValue("client_id") != "id" || r.FormValue("client_secret") != "s3cret-value" || r.FormValue("scope") != "a b" {
				w.WriteHeader(http.StatusUnauthorized)
				_, _ = fmt.Fprintf(w, `{"error":"invalid_client","error_description":"%s is wrong"}`, r.FormValue("client_secret"))
				return
			}
			valid = fmt.Sprintf("token-%d-abcdefgh", fetched.Add(1))
			_, _ = fmt.Fprintf(w, `{"access_token":%q,"token_type":"Bearer","expires_in":3600}`, valid)
			return
		}
		if r.Header.Get("Authorization") != "Bearer "+valid {
			refused.Add(1)
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		_, _ = fmt.Fprintf(w, `{"you sent": %q}`, r.Header.Get("Authorization"))
	})
	q := newRequester(s)
	q.clock = now
	r := WebRequest{Method: "POST", URL: s.URL + "/x", Hosts: []string{hostOf(t, s)}, Auth: &WebAuth{
		Type: WebClientCredentials, Owner: "acme/zoho", TokenURL: s.URL + "/token", Scopes: []string{"a", "b"},
		Secret: fixedSecret(map[string]string{"clientId": "id", "clientSecret": "s3cret-value"}),
	}}
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			if ans, err := q.Send(t.Context(), r); err != nil || ans.Status != 200 {
				t.Errorf("%+v, %v", ans, err)
			}
		})
	}
	all.Wait()
	if fetched.Load() != 1 {
		t.Errorf("8 requests fetched %d tokens", fetched.Load())
	}
	ans, err := q.Send(t.Context(), r)
	if raw, _ := json.Marshal(ans.Body); err != nil || strings.Contains(string(raw), "token-1") {
		t.Errorf("the answer repeats the token: %s, %v", raw, err)
	}
	now.Step(time.Hour)
	if _, err := q.Send(t.Context(), r); err != nil || fetched.Load() != 2 {
		t.Errorf("after its life: %d tokens, %v", fetched.Load(), err)
	}
	mu.Lock()
	valid = "revoked"
	mu.Unlock()
	if ans, err := q.Send(t.Context(), r); err != nil || ans.Status != 200 || fetched.Load() != 3 || refused.Load() != 1 {
		t.Errorf("after a 401: %+v, %d tokens, %d refused, %v", ans, fetched.Load(), refused.Load(), err)
	}
	r.Auth = &WebAuth{Type: WebClientCredentials, Owner: "other/zoho", TokenURL: s.URL + "/token", Scopes: []string{"a", "b"},
		Secret: fixedSecret(map[string]string{"clientId": "id", "clientSecret": "another-secret"})}
	ans, err = q.Send(t.Context(), r)
	if ClassOf(err) != ClassAuth || ans.Sent || strings.Contains(err.Error(), "another-secret") || !strings.Contains(err.Error(), "invalid_client") {
		t.Errorf("with a wrong secret: %+v, %v", ans, err)
	}
}

// TestRequesterSecretChanged reads a Secret again that no longer authenticates.
func TestRequesterSecretChanged(t *testing.T) {
	s := tlsServer(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "Bearer new-token-1" {
			w.WriteHeader(http.StatusUnauthorized)
			_, _ = w.Write([]byte(`{"message": "no such token: ` + r.Header.Get("Authorization") + `"}`))
		}
	})
	stored := "new-token-1"
	send := func() (WebAnswer, error) {
		return newRequester(s).Send(t.Context(), WebRequest{Method: "POST", URL: s.URL, Hosts: []string{hostOf(t, s)}, Auth: &WebAuth{
			Type: WebBearer, Secret: func(_ context.Context, fresh bool) (map[string]string, error) {
				if fresh {
					return map[string]string{"token": stored}, nil
				}
				return map[string]string{"token": "old-token-1"}, nil
			}}})
	}
	if ans, err := send(); err != nil || ans.Status != 200 {
		t.Errorf("%+v, %v", ans, err)
	}
	stored = "old-token-1"
	if ans, err := send(); err != nil || ans.Status != 401 || strings.Contains(ans.Words, "old-token-1") || !strings.Contains(ans.Words, "no such token") {
		t.Errorf("%+v, %v", ans, err)
	}
}

// TestRequesterSchemes has the headers in which a token goes.
func TestRequesterSchemes(t *testing.T) {
	var got http.Header
	s := tlsServer(t, func(_ http.ResponseWriter, r *http.Request) { got = r.Header.Clone() })
	for _, tc := range []struct{ header, scheme, name, want string }{
		{"", "", "Authorization", "Bearer t0ken-value"},
		{"", "Zoho-oauthtoken", "Authorization", "Zoho-oauthtoken t0ken-value"},
		{"authorization", "", "Authorization", "Bearer t0ken-value"},
		{"X-Api-Key", "", "X-Api-Key", "t0ken-value"},
		{"X-Auth", "Token", "X-Auth", "Token t0ken-value"},
	} {
		_, err := newRequester(s).Send(t.Context(), WebRequest{Method: "POST", URL: s.URL, Hosts: []string{hostOf(t, s)}, Auth: &WebAuth{
			Type: WebBearer, Header: tc.header, Scheme: tc.scheme, Secret: fixedSecret(map[string]string{"token": "t0ken-value"})}})
		if err != nil || got.Get(tc.name) != tc.want || tc.name != "Authorization" && got.Get("Authorization") != "" {
			t.Errorf("%+v: %v, %v", tc, got, err)
		}
	}
}

// TestRequesterAnswers has what becomes of an answer.
func TestRequesterAnswers(t *testing.T) {
	s := tlsServer(t, func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/big":
			_, _ = w.Write([]byte(`"` + strings.Repeat("x", maxRequesterAnswer) + `"`))
		case "/text":
			_, _ = w.Write([]byte("fine"))
		case "/later":
			w.Header().Set("Retry-After", "120")
			w.WriteHeader(http.StatusTooManyRequests)
		case "/broken":
			panic(http.ErrAbortHandler)
		case "/graphql":
			_, _ = w.Write([]byte(`{"data": null, "errors": [{"message": "no such issue"}]}`))
		case "/number":
			_, _ = w.Write([]byte(`{"id": 123456789012345678}`))
		}
	})
	q := newRequester(s)
	get := func(path string) (WebAnswer, error) {
		return q.Send(t.Context(), WebRequest{Method: "GET", URL: s.URL + path, Hosts: []string{hostOf(t, s)}})
	}
	if ans, err := get("/big"); err != nil || !ans.TooLong || ans.Body != nil || ans.Status != 200 {
		t.Errorf("big: %v %v", ans.TooLong, err)
	}
	if ans, err := get("/text"); err != nil || ans.Body != "fine" {
		t.Errorf("text: %+v, %v", ans, err)
	}
	if ans, err := get("/empty"); err != nil || ans.Body != nil || ans.Status != 200 {
		t.Errorf("empty: %+v, %v", ans, err)
	}
	if ans, err := get("/later"); err != nil || ans.RetryAfter != 2*time.Minute {
		t.Errorf("later: %+v, %v", ans, err)
	}
	if ans, err := get("/graphql"); err != nil || ans.Words != "no such issue" {
		t.Errorf("graphql: %+v, %v", ans, err)
	}
	if ans, err := get("/number"); err != nil || ans.Body.(map[string]any)["id"] != int64(123456789012345678) {
		t.Errorf("number: %+v, %v", ans, err)
	}
	if ans, err := q.Send(t.Context(), WebRequest{Method: "POST", URL: s.URL + "/broken", Hosts: []string{hostOf(t, s)}}); err == nil || !ans.Sent {
		t.Errorf("a lost answer: %+v, %v", ans, err)
	}
	// On a connection that was used before, too, one request is one.
	broken := 0
	once := tlsServer(t, func(_ http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPost {
			if broken++; r.Header.Get("Idempotency-Key") != "k" {
				t.Errorf("the key is missing: %v", r.Header)
			}
			panic(http.ErrAbortHandler)
		}
	})
	q2 := newRequester(once)
	for _, method := range []string{"GET", "POST"} {
		_, _ = q2.Send(t.Context(), WebRequest{Method: method, URL: once.URL, Hosts: []string{hostOf(t, once)}, Header: map[string]string{"Idempotency-Key": "k"}})
	}
	if broken != 1 {
		t.Errorf("one request was sent %d times", broken)
	}
	s.Close()
	if ans, err := get("/text"); err == nil || ans.Sent {
		t.Errorf("a closed port: %+v, %v", ans, err)
	}
}
