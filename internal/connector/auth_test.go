// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package connector

import (
	"crypto"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// withAuth is the chaos manifest with another way to sign in.
func withAuth(auth string) string {
	old := "\n  auth: [{id: t, type: bearer, token: \"${secret.token}\", secrets: {token: {}}}]\n"
	if !strings.Contains(chaosManifest, old) {
		panic("the chaos manifest has another auth section")
	}
	return strings.Replace(chaosManifest, old, "\n  auth:\n"+auth+"\n", 1)
}

// signingIn opens a session with a way to sign in, against v for everything.
func signingIn(t testing.TB, v *vendor, auth string, secrets map[string]string, change ...func(*Options)) (*Session, *leaping) {
	t.Helper()
	return session(t, v, append([]func(*Options){func(o *Options) {
		o.Manifest, o.Secrets = load1(t, withAuth(auth)), secrets
		o.Endpoints["login.chaos.example"] = v.URL
	}}, change...)...)
}

// tokenEndpoint answers with what check says, and keeps the forms.
func tokenEndpoint(t testing.TB, answer func(form url.Values, r *http.Request) string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		raw, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		form, err := url.ParseQuery(string(raw))
		if err != nil {
			t.Error(err)
		}
		body := answer(form, r)
		if strings.Contains(body, `"error"`) {
			w.WriteHeader(http.StatusBadRequest)
		}
		_, _ = w.Write([]byte(body))
	}
}

// guarded answers the users with the wanted header alone.
func guarded(header, value string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get(header) != value {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		users(w, r)
	}
}

const clientAuthMethod = `
    - id: app
      type: oauth2
      grant: client_credentials
      clientAuth: private_key_jwt
      tokenURL: https://login.chaos.example/token
      tokenForm: {resource: "https://api.${secret.clientId}.example"}
      scopes: {read: [users.read], act: [users.manage]}
      scopeSeparator: ","
      tokenHeader: {name: Authorization, prefix: "Zoho-oauthtoken "}
      tokenField: data.token
      secrets: {clientId: {}, privateKey: {format: pem}, keyId: {optional: true}}`

func TestPrivateKeyJWT(t *testing.T) {
	for name, key := range map[string]crypto.Signer{"RS256": rsaKey(), "ES256": ecKey()} {
		t.Run(name, func(t *testing.T) {
			seen := map[string]bool{}
			v := newVendor(t, map[string]http.HandlerFunc{
				"POST /token": tokenEndpoint(t, func(f url.Values, r *http.Request) string {
					if f.Get("grant_type") != "client_credentials" || f.Get("client_id") != "id1" || f.Get("resource") != "https://api.id1.example" ||
						f.Get("client_assertion_type") != "urn:ietf:params:oauth:client-assertion-type:jwt-bearer" || f.Has("client_secret") || r.Header.Get("Authorization") != "" {
						t.Errorf("form %v", f)
					}
					if f.Get("scope") != "users.read,users.manage" {
						t.Errorf("scope %q", f.Get("scope"))
					}
					header, claims := verifyJWT(t, f.Get("client_assertion"), key.Public())
					if header["alg"] != name || header["kid"] != "k9" {
						t.Errorf("header %v", header)
					}
					jti, _ := claims["jti"].(string)
					if seen[jti] || jti == "" {
						t.Errorf("jti %q", jti)
					}
					seen[jti] = true
					delete(claims, "jti")
					iat, _ := claims["iat"].(float64)
					want := map[string]any{"iss": "id1", "sub": "id1", "aud": "https://login.chaos.example/token", "iat": iat, "exp": iat + 300}
					if d := cmp.Diff(want, claims); d != "" {
						t.Error(d)
					}
					return `{"data":{"token":"tok"},"expires_in":"60"}`
				}),
				"/v1/users": guarded("Authorization", "Zoho-oauthtoken tok"),
			})
			s, c := signingIn(t, v, clientAuthMethod, map[string]string{"clientId": "id1", "keyId": "k9", "privateKey": pemOf(t, key)})
			if recs, _, err := read(t, s, "users"); err != nil || len(recs) != 5 {
				t.Fatalf("%d records, %v", len(recs), err)
			}
			c.Step(time.Minute) // the life of the token, as a string of seconds
			if _, _, err := read(t, s, "users"); err != nil || len(seen) != 2 {
				t.Errorf("%d tokens, %v", len(seen), err)
			}
		})
	}
}

const bearerMethod = `
    - id: app
      type: oauth2
      grant: jwt_bearer
      tokenURL: https://login.chaos.example/token
      scopes: {read: [a, b], act: [c]}
      assertion:
        iss: "${secret.email}"
        sub: "admin+${config.size}@acme.example"
        aud: https://login.chaos.example/audience
        ttl: 1h
        alg: RS256
        kid: "${secret.keyId}"
        key: "${secret.key}"
        jti: true
        SCOPE
        claims: {box_sub_type: enterprise, size: "${config.size}", nothing: "${get(config, 'no')}"}
      secrets: {email: {}, keyId: {}, key: {format: pem}}`

func TestJWTBearer(t *testing.T) {
	for _, scopeClaim := range []bool{true, false} {
		v := newVendor(t, map[string]http.HandlerFunc{
			"POST /token": tokenEndpoint(t, func(f url.Values, _ *http.Request) string {
				header, claims := verifyJWT(t, f.Get("assertion"), rsaKey().Public())
				if f.Get("grant_type") != "urn:ietf:params:oauth:grant-type:jwt-bearer" || header["kid"] != "k1" || claims["jti"] == "" {
					t.Errorf("%v %v", f, header)
				}
				delete(claims, "jti")
				iat, _ := claims["iat"].(float64)
				want := map[string]any{"iss": "robot@acme.example", "sub": "admin+2@acme.example", "aud": "https://login.chaos.example/audience",
					"iat": iat, "exp": iat + 3600, "box_sub_type": "enterprise", "size": 2.0}
				inForm := "a b c"
				if scopeClaim {
					want["scope"], inForm = "a b c", ""
				}
				if d := cmp.Diff(want, claims); d != "" || f.Get("scope") != inForm {
					t.Errorf("scope %q\n%s", f.Get("scope"), d)
				}
				return `{"access_token":"tok"}`
			}),
			"/v1/users": guarded("Authorization", "Bearer tok"),
		})
		method := strings.Replace(bearerMethod, "SCOPE", fmt.Sprintf("scope: %v", scopeClaim), 1)
		s, _ := signingIn(t, v, method, map[string]string{"email": "robot@acme.example", "keyId": "k1", "key": pemOf(t, rsaKey())})
		if recs, _, err := read(t, s, "users"); err != nil || len(recs) != 5 {
			t.Fatalf("%d records, %v", len(recs), err)
		}
	}
}

const queryMethod = `
    - {id: key, type: query, query: {api_key: "${secret.key}"}, secrets: {key: {}}}`

// The key in the query reaches the vendor, and nothing else: no error, digest,
// link or Referer, also where the vendor repeats it.
func TestQueryKeyIsToldToNobody(t *testing.T) {
	const key = "s3cret/k+y&9"
	var referers []string
	page := 0
	v := newVendor(t, map[string]http.HandlerFunc{
		"/v1/linked": func(w http.ResponseWriter, r *http.Request) {
			if got := r.URL.Query()["api_key"]; !slices.Equal(got, []string{key}) {
				t.Errorf("the key arrived as %q", got)
			}
			if page++; page < 3 { // the vendor repeats the key in its link
				w.Header().Set("Link", fmt.Sprintf(`<https://api.chaos.example/v1/linked?at=%d&api_key=%s>; rel="next"`, page, url.QueryEscape(key)))
			}
			fmt.Fprintf(w, `[{"id":"g%d","name":"n"}]`, page)
		},
		"/v1/users": func(w http.ResponseWriter, r *http.Request) {
			w.WriteHeader(http.StatusForbidden)
			fmt.Fprintf(w, `{"message":"the key %s (%s) may not do this"}`, key, r.URL.RawQuery)
		},
		"/v1/me": func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Location", "/v1/me2")
			w.WriteHeader(http.StatusFound)
		},
		"/v1/me2": func(w http.ResponseWriter, r *http.Request) {
			referers = append(referers, r.Header.Get("Referer"))
			if r.URL.Query().Get("api_key") != key {
				w.WriteHeader(http.StatusUnauthorized)
			}
			_, _ = w.Write([]byte(`{"id":"a","name":"A"}`))
		},
		"PATCH /v1/users/{id}": func(w http.ResponseWriter, r *http.Request) {
			w.WriteHeader(http.StatusInternalServerError)
			_, _ = w.Write([]byte(`{"errors":["` + r.URL.RawQuery + `"]}`))
		},
	})
	s, _ := signingIn(t, v, queryMethod, map[string]string{"key": key})
	var told []string
	if recs, _, err := read(t, s, "linked"); err != nil || len(recs) != 3 {
		t.Fatalf("%d records, %v", len(recs), err)
	}
	_, _, err := read(t, s, "users")
	e := wantClass(t, err, ClassPermission)
	if !strings.Contains(e.Message, "the key [key]") {
		t.Errorf("%v", e)
	}
	told = append(told, fmt.Sprintf("%v %+v", err, e))
	rep := s.Test(t.Context())
	if rep.Account.ID != "a" || rep.AccountError != "" {
		t.Errorf("a redirect to the same host lost the key: %+v", rep)
	}
	told = append(told, fmt.Sprintf("%+v %+v", rep, rep.Err))
	call := ActionCall{Name: "license.remove", Input: map[string]any{"userId": "1"}}
	res, err := s.Execute(t.Context(), call)
	told = append(told, fmt.Sprintf("%+v %v", res, err))
	v.Close()
	_, _, err = read(t, s, "linked")
	told = append(told, fmt.Sprintf("%v %#v", err, err))
	for _, text := range append(told, referers...) {
		for _, form := range []string{key, url.QueryEscape(key), url.PathEscape(key)} {
			if strings.Contains(text, form) {
				t.Errorf("the key is told: %s", text)
			}
		}
	}
	// The digest does not depend on the key.
	other, _ := signingIn(t, newVendor(t, map[string]http.HandlerFunc{"/": say(`{}`)}), queryMethod, map[string]string{"key": "another"})
	if again, err := other.Execute(t.Context(), call); err != nil || again.RequestDigest != res.RequestDigest || res.RequestDigest == "" {
		t.Errorf("digests %q and %q, %v", res.RequestDigest, again.RequestDigest, err)
	}
}

const sessionMethod = `
    - id: two
      type: session
      login:
        post: /session
        body: "{'user': secret.user, 'password': secret.password}"
        token: headers['x-token']
        expires: get(resp, 'ttl')
      header: {name: X-Session, prefix: "sid="}
      secrets: {user: {}, password: {}}`

func TestSession(t *testing.T) {
	logins, valid := 0, ""
	v := newVendor(t, map[string]http.HandlerFunc{
		"POST /v1/session": func(w http.ResponseWriter, r *http.Request) {
			body, _ := io.ReadAll(r.Body)
			if string(body) != `{"password":"pass-word","user":"u1"}` {
				w.WriteHeader(http.StatusUnprocessableEntity)
				_, _ = w.Write([]byte(`{"message":"wrong: ` + strings.ReplaceAll(string(body), `"`, `'`) + `"}`))
				return
			}
			logins++
			valid = fmt.Sprintf("sid=s%d-session", logins)
			w.Header().Set("X-Token", strings.TrimPrefix(valid, "sid="))
			_, _ = w.Write([]byte(`{"ttl":600}`))
		},
		"/v1/users": func(w http.ResponseWriter, r *http.Request) { guarded("X-Session", valid)(w, r) },
	})
	secrets := map[string]string{"user": "u1", "password": "pass-word"}
	s, c := signingIn(t, v, sessionMethod, secrets, func(o *Options) { o.Permission = PermissionRead })
	for i, step := range []time.Duration{0, 0, 11 * time.Minute} {
		c.Step(step)
		if recs, _, err := read(t, s, "users"); err != nil || len(recs) != 5 || logins != []int{1, 1, 2}[i] {
			t.Fatalf("%d: %d records, %d logins, %v", i, len(recs), logins, err)
		}
	}
	valid = "sid=another" // the vendor ended the session
	if _, _, err := read(t, s, "users"); err != nil || logins != 3 {
		t.Errorf("%d logins, %v", logins, err)
	}
	secrets = map[string]string{"user": "u1", "password": "wrong-word"}
	s, _ = signingIn(t, v, sessionMethod, secrets)
	_, _, err := read(t, s, "users")
	if e := wantClass(t, err, ClassAuth); strings.Contains(fmt.Sprintf("%+v", e), "wrong-word") || !strings.Contains(e.Message, "[password]") {
		t.Errorf("%v", e)
	}
}

// A hundred callers need one token: one is asked for. A refused credential is
// not tried a hundred times.
func TestOneTokenRequestAtATime(t *testing.T) {
	for name, tt := range map[string]struct {
		answer string
		want   int
	}{"granted": {`{"access_token":"tok"}`, 1}, "refused": {`{"error":"invalid_client"}`, 1}} {
		v := newVendor(t, map[string]http.HandlerFunc{
			"POST /token": tokenEndpoint(t, func(url.Values, *http.Request) string { return tt.answer }),
			"/v1/users":   guarded("Authorization", "Bearer tok"),
		})
		method := strings.Replace(strings.Replace(clientAuthMethod, "tokenField: data.token", "", 1), `prefix: "Zoho-oauthtoken "`, `prefix: "Bearer "`, 1)
		s, _ := signingIn(t, v, method, map[string]string{"clientId": "id1", "privateKey": pemOf(t, ecKey())})
		var wg sync.WaitGroup
		for range 100 {
			wg.Go(func() {
				_, _, err := read(t, s, "users")
				if (err == nil) != (name == "granted") {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		if n := v.count("/token"); n != tt.want {
			t.Errorf("%s: %d token requests", name, n)
		}
	}
}

// Only a failure that says so is worth a new token, once.
func TestErrorsThatANewTokenMends(t *testing.T) {
	issued := 0
	v := newVendor(t, map[string]http.HandlerFunc{
		"POST /token": tokenEndpoint(t, func(url.Values, *http.Request) string {
			issued++
			return fmt.Sprintf(`{"access_token":"tok%d"}`, issued)
		}),
		"/v1/users": func(w http.ResponseWriter, r *http.Request) {
			if r.Header.Get("Authorization") != "Bearer tok2" {
				_, _ = w.Write([]byte(`{"error":"EXPIRED"}`))
				return
			}
			users(w, r)
		},
		"/v1/pages": say(`{"error":"dead"}`),
	})
	rule := `    - {when: "status == 200 && get(resp, 'error') == 'EXPIRED'", class: auth, refresh: true}` + "\n"
	text := strings.Replace(withAuth(strings.Split(clientAuthMethod, "tokenHeader")[0]+`secrets: {clientId: {}, privateKey: {format: pem}}`), "    errors:\n", "    errors:\n  "+rule, 1)
	s, _ := signingIn(t, v, clientAuthMethod, map[string]string{"clientId": "id1", "privateKey": pemOf(t, ecKey())}, func(o *Options) { o.Manifest = load1(t, text) })
	if recs, _, err := read(t, s, "users"); err != nil || len(recs) != 5 || issued != 2 {
		t.Errorf("%d records, %d tokens, %v", len(recs), issued, err)
	}
	_, _, err := read(t, s, "pages")
	wantClass(t, err, ClassAuth)
	if issued != 2 {
		t.Errorf("%d tokens: the rule does not say that a token mends it", issued)
	}
}

// withSecrets must not hand one way's keys to a template of another Secret.
func TestMissingOptionalKeysAreEmpty(t *testing.T) {
	s, _ := session(t, newVendor(t, nil))
	got := s.withSecrets(s.vars(), map[string]string{"token": "a", "other": "b"})["secret"]
	if !maps.Equal(got.(map[string]string), map[string]string{"token": "a"}) {
		t.Errorf("%v", got)
	}
}

// Whatever a vendor repeats of a request, in whatever form, no error, result,
// report or digest tells the credential.
func TestNoCredentialIsTold(t *testing.T) {
	const marker = "hunter2"
	key := pemOf(t, ecKey())
	for name, tt := range map[string]struct {
		auth    string
		secrets map[string]string
	}{
		"bearer":        {`    - {id: a, type: bearer, token: "${secret.token}", secrets: {token: {}}}`, map[string]string{"token": marker + `"/+& ü`}},
		"header":        {`    - {id: a, type: header, headers: {X-Key: "key ${secret.token}"}, secrets: {token: {}}}`, map[string]string{"token": marker + "-key"}},
		"basic":         {`    - {id: a, type: basic, username: "${secret.user}", password: "${secret.password}", secrets: {user: {}, password: {}}}`, map[string]string{"user": "u1", "password": marker + "-pass"}},
		"query":         {queryMethod, map[string]string{"key": marker + "/=?"}},
		"session":       {sessionMethod, map[string]string{"user": "u1", "password": marker + `"\pass`}},
		"client secret": {strings.NewReplacer("grant: refresh_token", "grant: client_credentials", "{optional: true}", "{}").Replace(refreshMethod), map[string]string{"clientId": "id1", "clientSecret": marker + " secret", "refreshToken": marker + "-r"}},
		"refresh token": {refreshMethod, map[string]string{"clientId": "id1", "clientSecret": marker + "/secret", "refreshToken": marker + "=refresh"}},
		"private key":   {strings.Replace(clientAuthMethod, "tokenField: data.token", "tokenField: access_token", 1), map[string]string{"clientId": "id1", "privateKey": key}},
	} {
		for _, where := range []string{"token", "api"} {
			var sent []string // what must not be told, beside the marker
			echo := func(w http.ResponseWriter, r *http.Request, status int) {
				body, _ := io.ReadAll(r.Body)
				authorization := r.Header.Get("Authorization")
				for _, v := range []string{authorization, r.PostForm.Get("client_assertion")} {
					if _, token, ok := strings.Cut(v, " "); ok && len(token) > 8 {
						sent = append(sent, token)
					}
				}
				form, _ := url.ParseQuery(string(body))
				if v := form.Get("client_assertion"); v != "" {
					sent = append(sent, v)
				}
				w.WriteHeader(status)
				_ = json.NewEncoder(w).Encode(map[string]any{"message": fmt.Sprintf("%s %s %s %v %s %s", authorization, r.Header.Get("X-Key"), r.Header.Get("X-Session"), form, r.URL.RawQuery, body)})
			}
			granted := marker + "-granted"
			v := newVendor(t, map[string]http.HandlerFunc{
				"/": func(w http.ResponseWriter, r *http.Request) { echo(w, r, http.StatusForbidden) },
				"POST /token": func(w http.ResponseWriter, r *http.Request) {
					if where == "token" {
						echo(w, r, http.StatusBadRequest)
						return
					}
					fmt.Fprintf(w, `{"access_token":%q,"refresh_token":%q}`, granted, marker+"-next")
				},
				"POST /v1/session": func(w http.ResponseWriter, r *http.Request) {
					if where == "token" {
						echo(w, r, http.StatusUnauthorized)
						return
					}
					w.Header().Set("X-Token", granted)
					_, _ = w.Write([]byte(`{}`))
				},
			})
			vault := &faultyVault{}
			s, _ := signingIn(t, v, tt.auth, tt.secrets, func(o *Options) { o.Vault = vault })
			_, res, err := read(t, s, "users")
			call := ActionCall{Name: "license.remove", Input: map[string]any{"userId": "1"}}
			done, err2 := s.Execute(t.Context(), call)
			rep := s.Test(t.Context())
			if err == nil || err2 == nil || rep.Outcome != Failed {
				t.Fatalf("%s, %s: %v, %v, %s", name, where, err, err2, rep.Outcome)
			}
			text := fmt.Sprintf("%+v %v %#v %+v %v %#v %+v %v", res, err, err, done, err2, err2, rep, rep.Err)
			for _, word := range append(sent, marker, key[40:60]) {
				if strings.Contains(text, word) {
					t.Errorf("%s, %s: %q is told: %s", name, where, word, text)
				}
			}
		}
	}
}

// A token endpoint that stumbles fails no listing.
func TestSigningInIsTriedAgain(t *testing.T) {
	asked := 0
	v := newVendor(t, map[string]http.HandlerFunc{
		"POST /token": func(w http.ResponseWriter, _ *http.Request) {
			switch asked++; asked {
			case 1:
				w.WriteHeader(http.StatusBadGateway)
			case 2:
				w.WriteHeader(http.StatusBadRequest)
				_, _ = w.Write([]byte(`{"error":"temporarily_unavailable"}`))
			default:
				_, _ = w.Write([]byte(`{"data":{"token":"tok"}}`))
			}
		},
		"/v1/users": guarded("Authorization", "Zoho-oauthtoken tok"),
	})
	s, _ := signingIn(t, v, clientAuthMethod, map[string]string{"clientId": "id1", "privateKey": pemOf(t, ecKey())})
	if recs, _, err := read(t, s, "users"); err != nil || len(recs) != 5 || asked != 3 {
		t.Errorf("%d records after %d requests, %v", len(recs), asked, err)
	}
	asked = 0
	s, _ = signingIn(t, v, clientAuthMethod, map[string]string{"clientId": "id1", "privateKey": pemOf(t, ecKey())})
	res, err := s.Execute(t.Context(), ActionCall{Name: "license.remove", Input: map[string]any{"userId": "1"}})
	if ClassOf(err) != ClassTransient || res.Sent || asked != 1 {
		t.Errorf("an action does not wait: %+v, %v, %d requests", res, err, asked)
	}
}

// A cache of one Secret's tokens does not grow with each change of the config.
func TestTokenCacheIsBounded(t *testing.T) {
	c := NewTokenCache()
	fetches := 0
	get := func(key string) {
		t.Helper()
		token, err := c.get(t.Context(), key, testNow, func(*tokenEntry) (string, time.Time, error) {
			fetches++
			return "token of " + key, testNow.Add(time.Hour), nil
		})
		if err != nil || token != "token of "+key {
			t.Fatalf("%s: %q, %v", key, token, err)
		}
	}
	get("unsaved")
	c.entries["unsaved"].unsaved = unsavedSet{name: "x", value: []byte("only copy")}
	get("often")
	for i := range 200 {
		get(fmt.Sprint("config ", i))
		get("often")
	}
	if len(c.entries) > maxTokens || fetches != 202 {
		t.Errorf("%d entries after %d fetches", len(c.entries), fetches)
	}
	if c.entries["unsaved"] == nil || c.entries["often"] == nil || c.entries["config 199"] == nil || c.entries["config 1"] != nil {
		t.Errorf("entries: %v", slices.Collect(maps.Keys(c.entries)))
	}
}

// A credential with a line break was copied badly; the vendor is not away.
func TestCredentialThatNoHeaderCarries(t *testing.T) {
	for name, tt := range map[string]struct{ method, key string }{
		"bearer": {`    - {id: a, type: bearer, token: "${secret.k}", secrets: {k: {}}}`, "k"},
		"header": {`    - {id: a, type: header, headers: {X-Key: "Key ${secret.k}"}, secrets: {k: {}}}`, "k"},
	} {
		v := newVendor(t, nil)
		s, _ := signingIn(t, v, tt.method, map[string]string{tt.key: "s3cret\nline"})
		_, _, err := read(t, s, "users")
		wantClass(t, err, ClassAuth)
		if strings.Contains(err.Error(), "s3cret") || !strings.Contains(err.Error(), "line break") {
			t.Errorf("%s: %v", name, err)
		}
	}
}
