// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package connector

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"maps"
	"math/big"
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

var (
	rsaKey = sync.OnceValue(func() *rsa.PrivateKey {
		k, err := rsa.GenerateKey(rand.Reader, 2048)
		if err != nil {
			panic(err)
		}
		return k
	})
	ecKey = sync.OnceValue(func() *ecdsa.PrivateKey {
		k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			panic(err)
		}
		return k
	})
)

func pemOf(t testing.TB, key any) string {
	t.Helper()
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
}

// verifyJWT checks a JWT as a vendor does and returns its claims.
func verifyJWT(t testing.TB, token string, pub crypto.PublicKey) (header, claims map[string]any) {
	t.Helper()
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		t.Fatalf("a JWT of %d parts", len(parts))
	}
	raw := make([][]byte, 3)
	for i, p := range parts {
		var err error
		if raw[i], err = base64.RawURLEncoding.DecodeString(p); err != nil {
			t.Fatal(err)
		}
	}
	sum := sha256.Sum256([]byte(parts[0] + "." + parts[1]))
	switch k := pub.(type) {
	case *rsa.PublicKey:
		if err := rsa.VerifyPKCS1v15(k, crypto.SHA256, sum[:], raw[2]); err != nil {
			t.Fatal(err)
		}
	case *ecdsa.PublicKey:
		if len(raw[2]) != 64 || !ecdsa.Verify(k, sum[:], new(big.Int).SetBytes(raw[2][:32]), new(big.Int).SetBytes(raw[2][32:])) {
			t.Fatal("the signature does not verify")
		}
	}
	for i, at := range []*map[string]any{&header, &claims} {
		if err := json.Unmarshal(raw[i], at); err != nil {
			t.Fatal(err)
		}
	}
	return header, claims
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
					if f.Get("scope") != "users.read users.manage" {
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

// A key that is none says which key of the Secret is wrong, and what, but
// nothing of its content.
func TestWrongPrivateKeys(t *testing.T) {
	small, err := rsa.GenerateKey(rand.Reader, 1024) //nolint:gosec // what is to be refused
	if err != nil {
		t.Fatal(err)
	}
	p384, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	good := pemOf(t, rsaKey())
	block := func(label, body string) string {
		return string(pem.EncodeToMemory(&pem.Block{Type: label, Bytes: []byte(body)}))
	}
	const marker = "hunter2hunter2"
	for name, tt := range map[string]struct{ pem, want string }{
		"no PEM":      {marker, "holds no PEM private key"},
		"JSON":        {`{"private_key": "` + marker + `"}`, "holds JSON"},
		"certificate": {block("CERTIFICATE", marker), "holds a PEM CERTIFICATE"},
		"label":       {block(marker, marker), "holds no PEM private key"},
		"damaged":     {block("PRIVATE KEY", marker), "holds a damaged private key"},
		"passphrase":  {block("ENCRYPTED PRIVATE KEY", marker), "passphrase"},
		"small":       {pemOf(t, small), "1024 bits"},
		"curve":       {pemOf(t, p384), "not on P-256"},
		"algorithm":   {pemOf(t, ecKey()), "signs with RS256"},
		"cut":         {good[:len(good)/2], "holds no PEM private key"},
	} {
		v := newVendor(t, map[string]http.HandlerFunc{"/": say(`{}`)})
		method := strings.Replace(bearerMethod, "SCOPE", "scope: true", 1)
		s, _ := signingIn(t, v, method, map[string]string{"email": "e", "keyId": "k", "key": tt.pem})
		_, _, err := read(t, s, "users")
		e := wantClass(t, err, ClassAuth)
		if !strings.Contains(e.Message, "the Secret's key key "+tt.want) && !strings.Contains(e.Message, tt.want) {
			t.Errorf("%s: %v", name, e)
		}
		body := base64.StdEncoding.EncodeToString([]byte(marker))[:12]
		if all := fmt.Sprintf("%v %+v", err, e); strings.Contains(all, marker) || strings.Contains(all, body) || strings.Contains(all, tt.pem[len(tt.pem)/3:len(tt.pem)/3+8]) && name != "passphrase" {
			t.Errorf("%s: the error tells the key: %s", name, all)
		}
		if rep := s.Test(t.Context()); rep.Outcome != Failed || rep.Err == nil || v.count("/") != 0 {
			t.Errorf("%s: %s after %d requests", name, rep.Outcome, v.count("/"))
		}
	}
	// As it is copied out of a JSON file, with its escapes.
	if _, err := parsePrivateKey(strings.ReplaceAll(good, "\n", `\n`)); err != nil {
		t.Error(err)
	}
	for _, k := range []struct {
		label string
		der   []byte
	}{{"RSA PRIVATE KEY", x509.MarshalPKCS1PrivateKey(rsaKey())}, {"EC PRIVATE KEY", must(x509.MarshalECPrivateKey(ecKey()))}} {
		if _, err := parsePrivateKey(block("EC PARAMETERS", "x") + block(k.label, string(k.der))); err != nil {
			t.Errorf("%s: %v", k.label, err)
		}
	}
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

func FuzzParsePrivateKey(f *testing.F) {
	f.Add("-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n")
	f.Add(`{"a":1}`)
	f.Add(string(pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: must(x509.MarshalECPrivateKey(ecKey()))})))
	f.Fuzz(func(t *testing.T, text string) {
		k, err := parsePrivateKey(text)
		if (k == nil) == (err == nil) {
			t.Fatal("neither key nor error, or both")
		}
		if k != nil {
			if _, err := signJWT(k, "", map[string]any{}); err != nil {
				t.Fatal(err)
			}
		}
	})
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

func TestAuthFaultsAreNamedAtLoad(t *testing.T) {
	for name, tt := range map[string]struct{ auth, path, want string }{
		"type":         {`- {id: a, type: magic}`, "spec.auth[0].type", "one of"},
		"key of other": {`- {id: a, type: bearer, token: "${secret.t}", query: {}, secrets: {t: {}}}`, "spec.auth[0].query", "unknown key"},
		"undeclared":   {`- {id: a, type: query, query: {k: "${secret.keyy}"}, secrets: {key: {}}}`, "spec.auth[0].query.k", "did you mean key?"},
		"twice":        {"- {id: a, type: bearer, token: \"${secret.t}\", secrets: {t: {}}}\n    - {id: a, type: bearer, token: \"${secret.t}\", secrets: {t: {}}}", "spec.auth[1].id", "second time"},
		"rotates":      {`- {id: a, type: bearer, token: "${secret.t}", secrets: {t: {rotates: true}}}`, "spec.auth[0].secrets.t.rotates", "refreshToken"},
		"format":       {`- {id: a, type: bearer, token: "${secret.t}", secrets: {t: {format: der}}}`, "spec.auth[0].secrets.t.format", "pem"},
		"no pem":       {strings.Replace(clientAuthMethod, "{format: pem}", "{}", 1), "spec.auth[0].secrets.privateKey", "format: pem"},
		"optional key": {strings.Replace(clientAuthMethod, "{format: pem}", "{format: pem, optional: true}", 1), "spec.auth[0].secrets.privateKey", "required"},
		"clientAuth":   {strings.Replace(clientAuthMethod, "private_key_jwt", "psychic", 1), "spec.auth[0].clientAuth", "private_key_jwt"},
		"http":         {strings.Replace(clientAuthMethod, "https://login", "http://login", 1), "spec.auth[0].tokenURL", "https://"},
		"assertion":    {clientAuthMethod + "\n      assertion: {iss: x}", "spec.auth[0].assertion", "jwt_bearer"},
		"no assertion": {`- {id: a, type: oauth2, grant: jwt_bearer, tokenURL: "https://l.example/t"}`, "spec.auth[0].assertion", "nothing"},
		"key text":     {strings.Replace(bearerMethod, `key: "${secret.key}"`, `key: "x${secret.key}"`, 1), "spec.auth[0].assertion.key", "one Secret key alone"},
		"ttl":          {strings.Replace(bearerMethod, "ttl: 1h", "ttl: 2h", 1), "spec.auth[0].assertion.ttl", "at most 1h"},
		"refresh":      {`- {id: a, type: oauth2, grant: refresh_token, clientAuth: basic, tokenURL: "https://l.example/t", secrets: {clientId: {}, clientSecret: {optional: true}}}`, "spec.auth[0].secrets", "refreshToken"},
		"login":        {`- {id: a, type: session, secrets: {}}`, "spec.auth[0].login", "nothing"},
		"login type":   {`- {id: a, type: session, login: {post: /x, token: "1"}, secrets: {}}`, "spec.auth[0].login.token", "string"},
		"login path":   {`- {id: a, type: session, login: {post: "/x/${secret.a}", token: resp.t}, secrets: {a: {}}}`, "spec.auth[0].login.post", "secret"},
		"login host":   {`- {id: a, type: session, login: {post: /x, host: nowhere, token: resp.t}, secrets: {}}`, "spec.auth[0].login.host", "http.hosts"},
	} {
		text := withAuth("    " + strings.TrimSpace(strings.Replace(tt.auth, "SCOPE", "scope: true", 1)))
		_, err := Load("f.yaml", []byte(text))
		ps, _ := err.(Problems)
		if !slices.ContainsFunc(ps, func(p Problem) bool {
			return p.Path == tt.path && strings.Contains(p.String(), tt.want) && p.Line > 0 && strings.HasPrefix(p.String(), "f.yaml:")
		}) {
			t.Errorf("%s: want %s … %s, got:\n%v", name, tt.path, tt.want, err)
		}
	}
	for name, tt := range map[string]struct{ old, text, path, want string }{
		"refresh":     {"class: auth}", "class: plan, refresh: true}", "spec.http.errors[1].refresh", "class auth"},
		"usage regex": {"      key: [path]\n", "      key: [path]\n      usage: {header: X, regex: '(?P<used>x)'}\n", "spec.http.rateLimit.usage.regex", "limit"},
		"concurrency": {"    rateLimit:\n", "    concurrency: 17\n    rateLimit:\n", "spec.http.concurrency", "16"},
		"mutation":    {"request: {get: /linked}", "request: {post: /g, graphql: {query: 'mutation M { x }'}}", "spec.streams.linked.request.graphql.query", "a query"},
		"graphql get": {"request: {get: /linked}", "request: {get: /g, graphql: {query: '{ x }'}}", "spec.streams.linked.request.graphql", "POST"},
		"both":        {"request: {get: /linked}", "request: {post: /g, body: '{}', graphql: {query: '{ x }'}}", "spec.streams.linked.request.graphql", "one of them"},
		"token":       {"request: {get: /linked}", "request: {get: /linked, token: '${secret.tokn}'}", "spec.streams.linked.request.token", "did you mean token?"},
		"own token":   {"request: {get: /linked}", "token: '${secret.admin}'\n      request: {get: /linked}", "spec.streams.linked.token", "way to sign in"},
		"put":         {"request: {get: /linked}", "request: {put: /g}", "spec.streams.linked.request", "search"},
	} {
		text := strings.Replace(chaosManifest, tt.old, tt.text, 1)
		_, err := Load("f.yaml", []byte(text))
		ps, _ := err.(Problems)
		if text == chaosManifest || !slices.ContainsFunc(ps, func(p Problem) bool { return p.Path == tt.path && strings.Contains(p.String(), tt.want) }) {
			t.Errorf("%s: want %s … %s, got:\n%v", name, tt.path, tt.want, err)
		}
	}
}

// A GraphQL listing is a read, whatever its method; errors in a good answer
// are failures with the vendor's words, unless a rule knows better.
func TestGraphQL(t *testing.T) {
	answer := ""
	var got []map[string]any
	v := newVendor(t, map[string]http.HandlerFunc{"POST /v1/graphql": func(w http.ResponseWriter, r *http.Request) {
		raw, _ := io.ReadAll(r.Body)
		body, _ := decodeJSON(raw)
		got = append(got, body.(map[string]any))
		_, _ = w.Write([]byte(answer))
	}})
	text := strings.Replace(chaosManifest, "request: {get: /linked}\n      page: {type: link}\n      records: resp\n",
		"request: {post: /graphql, graphql: {query: 'query Q($n: Int) { groups(n: $n) { id name } }', variables: {n: config.size, none: \"get(config, 'x')\"}}}\n      records: resp.data.groups\n", 1)
	text = strings.Replace(text, "    errors:\n", "    errors:\n      - {when: \"get(resp, 'errors.0.code') == 'LIMIT'\", class: rate_limit, retryAfter: 45s}\n", 1)
	s, _ := session(t, v, func(o *Options) { o.Manifest, o.Permission = load1(t, text), PermissionRead })
	answer = `{"data":{"groups":[{"id":"g","name":"G"}]},"errors":[]}`
	if recs, _, err := read(t, s, "linked"); err != nil || len(recs) != 1 {
		t.Fatalf("%d records, %v", len(recs), err)
	}
	want := map[string]any{"query": "query Q($n: Int) { groups(n: $n) { id name } }", "variables": map[string]any{"n": int64(2)}}
	if d := cmp.Diff([]map[string]any{want}, got); d != "" {
		t.Error(d)
	}
	answer = `{"data":null,"errors":[{"message":"no such field"}]}`
	_, _, err := read(t, s, "linked")
	if e := wantClass(t, err, ClassInvalid); e.Message != "no such field" {
		t.Errorf("%v", e)
	}
	answer = `{"errors":[{"message":"slow down","code":"LIMIT"}]}`
	_, _, err = read(t, s, "linked")
	if e := wantClass(t, err, ClassRateLimit); e.RetryAfter != 45*time.Second {
		t.Errorf("%v", e)
	}
	for doc, want := range map[string]bool{
		"{ a }": false, "query { mutation }": false, "mutation { a }": true, "# mutation\nquery Q { a }": false, "fragment F on T { a } mutation M($a: [I!]) { b }": true,
		"query Q(\n$a: S = \"} mutation {\") { a }": false, "query { a(x: \"\"\" } mutation \"\"\") }": false, "subscription S { a }": true, "{ a } mutation": true, "query mutationX { a }": false,
	} {
		if changes(doc) != want {
			t.Errorf("%q: changes is %v", doc, !want)
		}
	}
}

func FuzzGraphQLDocument(f *testing.F) {
	f.Add(`query { a(x: "\"") } mutation { b }`)
	f.Add(`"""`)
	f.Fuzz(func(_ *testing.T, doc string) { changes(doc) })
}

// A usage header blocks the whole account before the allowance is used up.
func TestUsageHeader(t *testing.T) {
	used := 10
	v := newVendor(t, map[string]http.HandlerFunc{"/": func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Sforce-Limit-Info", fmt.Sprintf("api-usage=%d/1000", used))
		_, _ = w.Write([]byte(`[]`))
	}})
	text := strings.Replace(chaosManifest, "      key: [path]\n",
		"      key: [path]\n      reservePercent: 20\n      usage: {header: Sforce-Limit-Info, regex: 'api-usage=(?P<used>\\d+)/(?P<limit>\\d+)'}\n", 1)
	s, c := session(t, v, func(o *Options) { o.Manifest = load1(t, text) })
	for range 2 {
		if _, _, err := read(t, s, "linked"); err != nil {
			t.Fatal(err)
		}
	}
	used = 800
	if _, _, err := read(t, s, "linked"); err != nil {
		t.Fatal(err) // it was answered
	}
	sent := v.count("/")
	_, _, err := read(t, s, "events") // another path, the same allowance
	if e := wantClass(t, err, ClassRateLimit); e.RetryAfter != time.Hour || v.count("/") != sent {
		t.Errorf("%v after %d requests", e, v.count("/")-sent)
	}
	c.Step(time.Hour)
	used = 100
	if _, _, err := read(t, s, "linked"); err != nil {
		t.Error(err)
	}
	for _, header := range []string{"", "api-usage=1/0", "api-usage=99999999999999999999/1000", "api-usage=x/y"} {
		u := s.m.http.limits.usage
		if _, _, ok := u.read(&answer{header: http.Header{"Sforce-Limit-Info": {header}}}); ok {
			t.Errorf("%q is taken", header)
		}
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
