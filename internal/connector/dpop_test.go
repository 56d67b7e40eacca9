// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package connector

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha1" //nolint:gosec // of a certificate
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"math/big"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"
)

const dpopMethod = `
    - id: app
      type: oauth2
      grant: client_credentials
      clientAuth: private_key_jwt
      dpop: MODE
      tokenURL: https://login.chaos.example/token
      scopes: {read: [users.read]}
      secrets: {clientId: {}, privateKey: {format: pem}, keyId: {optional: true}}`

// dpopVendor gives tokens that are bound to the key of the proof, and takes
// none without one.
type dpopVendor struct {
	t     testing.TB
	binds bool // the app requires proofs

	mu         sync.Mutex
	seen       map[string]bool // jti of proofs and assertions
	bound      map[string]string
	tokens     int
	refused    int
	tokenNonce string // wanted in proofs of token requests
	apiNonce   string
}

// check verifies a proof (RFC 9449, 4.3) and returns the thumbprint of its key.
func (v *dpopVendor) check(r *http.Request, htu, token, nonce string) string {
	v.t.Helper()
	proofs := r.Header.Values("DPoP")
	if len(proofs) != 1 {
		v.t.Errorf("%d proofs", len(proofs))
		return ""
	}
	raw, err := base64.RawURLEncoding.DecodeString(strings.Split(proofs[0], ".")[0])
	if err != nil {
		v.t.Error(err)
		return ""
	}
	var head struct {
		Typ, Alg string
		JWK      map[string]string
	}
	if err := json.Unmarshal(raw, &head); err != nil || head.Typ != "dpop+jwt" || head.Alg != "ES256" || head.JWK["kty"] != "EC" || head.JWK["crv"] != "P-256" || head.JWK["d"] != "" {
		v.t.Errorf("header %s: %v", raw, err)
	}
	point := []byte{4}
	for _, name := range []string{"x", "y"} {
		b, err := base64.RawURLEncoding.DecodeString(head.JWK[name])
		if err != nil || len(b) != 32 {
			v.t.Errorf("%s: %q", name, head.JWK[name])
		}
		point = append(point, b...)
	}
	key, err := ecdsa.ParseUncompressedPublicKey(elliptic.P256(), point)
	if err != nil {
		v.t.Error(err)
		return ""
	}
	_, claims := verifyJWT(v.t, proofs[0], key)
	jti, _ := claims["jti"].(string)
	if jti == "" || v.seen[jti] {
		v.t.Errorf("jti %q a second time", jti)
	}
	v.seen[jti] = true
	ath := ""
	if token != "" {
		sum := sha256.Sum256([]byte(token))
		ath = base64.RawURLEncoding.EncodeToString(sum[:])
	}
	if claims["htm"] != r.Method || claims["htu"] != htu || fmt.Sprint(claims["iat"]) == "" || claims["ath"] != any(ath) && (ath != "" || claims["ath"] != nil) {
		v.t.Errorf("claims %v, want %s %s, ath %q", claims, r.Method, htu, ath)
	}
	if claims["nonce"] != any(nonce) && (nonce != "" || claims["nonce"] != nil) {
		return ""
	}
	return head.JWK["x"] + head.JWK["y"]
}

func (v *dpopVendor) token(w http.ResponseWriter, r *http.Request) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if err := r.ParseForm(); err != nil {
		v.t.Error(err)
	}
	if a := r.PostForm.Get("client_assertion"); v.seen[a] || a == "" {
		v.t.Error("an assertion came a second time")
	} else {
		v.seen[a] = true
	}
	refuse := func(code string) {
		v.refused++
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(http.StatusBadRequest)
		_, _ = fmt.Fprintf(w, `{"error":%q,"error_description":"x"}`, code)
	}
	v.tokens++
	token := fmt.Sprint("token-", v.tokens)
	switch {
	case !v.binds:
		reply(w, map[string]any{"access_token": token, "token_type": "Bearer", "expires_in": 3600})
	case r.Header.Get("DPoP") == "":
		refuse("invalid_dpop_proof")
	default:
		key := v.check(r, "https://login.chaos.example/token", "", v.tokenNonce)
		if key == "" {
			w.Header().Set("DPoP-Nonce", v.tokenNonce)
			refuse("use_dpop_nonce")
			return
		}
		v.bound[token] = key
		reply(w, map[string]any{"access_token": token, "token_type": "DPoP", "expires_in": 3600})
	}
}

func (v *dpopVendor) users(w http.ResponseWriter, r *http.Request) {
	v.mu.Lock()
	defer v.mu.Unlock()
	scheme, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	if !v.binds {
		if scheme != "Bearer" || r.Header.Get("DPoP") != "" {
			v.t.Errorf("%s with proof %q", scheme, r.Header.Get("DPoP"))
		}
		users(w, r)
		return
	}
	key := v.check(r, "https://api.chaos.example/v1/users", token, v.apiNonce)
	switch {
	case key == "":
		v.refused++
		w.Header().Set("DPoP-Nonce", v.apiNonce)
		w.Header().Set("WWW-Authenticate", `DPoP error="use_dpop_nonce"`)
		w.WriteHeader(http.StatusUnauthorized)
	case scheme != "DPoP" || v.bound[token] != key:
		v.t.Errorf("%s %s is not of the key", scheme, token)
		w.WriteHeader(http.StatusUnauthorized)
	default:
		users(w, r)
	}
}

// TestDPoP is RFC 9449 from the client's side: a proof of a key of its own for
// each request, with the vendor's nonces, and only where the vendor wants it.
func TestDPoP(t *testing.T) {
	for name, tt := range map[string]struct {
		mode                 string
		binds                bool
		tokenNonce, apiNonce string
		refused              int // requests that the vendor had to refuse
	}{
		"auto, not asked for":   {"auto", false, "", "", 0},
		"auto, asked for":       {"auto", true, "", "", 1},
		"auto, with nonces":     {"auto", true, "n-1", "n-2", 3},
		"required":              {"required", true, "", "", 0},
		"required, with nonces": {"required", true, "n-1", "n-2", 2},
	} {
		t.Run(name, func(t *testing.T) {
			dv := &dpopVendor{t: t, binds: tt.binds, seen: map[string]bool{}, bound: map[string]string{}, tokenNonce: tt.tokenNonce, apiNonce: tt.apiNonce}
			v := newVendor(t, map[string]http.HandlerFunc{"POST /token": dv.token, "/v1/users": dv.users})
			method := strings.Replace(dpopMethod, "MODE", tt.mode, 1)
			s, c := signingIn(t, v, method, map[string]string{"clientId": "id1", "privateKey": pemOf(t, rsaKey())})
			for range 2 {
				if recs, _, err := read(t, s, "users"); err != nil || len(recs) != 5 {
					t.Fatalf("%d records, %v", len(recs), err)
				}
			}
			c.Step(2 * time.Hour) // another token: what was learned holds
			if recs, _, err := read(t, s, "users"); err != nil || len(recs) != 5 {
				t.Fatalf("%d records, %v", len(recs), err)
			}
			if dv.refused != tt.refused {
				t.Errorf("the vendor refused %d requests, want %d", dv.refused, tt.refused)
			}
		})
	}
}

// A vendor that gives a token anybody could use is not what the manifest wants.
func TestDPoPRequiredAndNotGiven(t *testing.T) {
	dv := &dpopVendor{t: t, seen: map[string]bool{}, bound: map[string]string{}}
	v := newVendor(t, map[string]http.HandlerFunc{"POST /token": dv.token, "/v1/users": dv.users})
	s, _ := signingIn(t, v, strings.Replace(dpopMethod, "MODE", "required", 1), map[string]string{"clientId": "id1", "privateKey": pemOf(t, rsaKey())})
	_, _, err := read(t, s, "users")
	wantClass(t, err, ClassAuth)
}

const certificateMethod = `
    - id: app
      type: oauth2
      grant: client_credentials
      clientAuth: private_key_jwt
      clientAssertion: {ALGcertificate: "${secret.certificate}"}
      tokenURL: https://login.chaos.example/token
      scopes: {read: [users.read]}
      secrets: {clientId: {}, privateKey: {format: pem}, certificate: {format: certificate}}`

func certificateOf(t testing.TB, key crypto.Signer) (*x509.Certificate, string) {
	t.Helper()
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "seatkeeper"}, NotBefore: testNow, NotAfter: testNow.Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return cert, string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
}

// TestCertificateCredential names the key by its certificate, as Entra ID asks.
func TestCertificateCredential(t *testing.T) {
	for name, tt := range map[string]struct {
		alg  string
		key  crypto.Signer
		weak bool
	}{"PS256": {"alg: PS256, ", rsaKey(), false}, "RS256": {"", rsaKey(), true}, "ES256": {"alg: ES256, ", ecKey(), false}} {
		t.Run(name, func(t *testing.T) {
			cert, text := certificateOf(t, tt.key)
			v := newVendor(t, map[string]http.HandlerFunc{
				"POST /token": tokenEndpoint(t, func(f url.Values, _ *http.Request) string {
					header, claims := verifyJWT(t, f.Get("client_assertion"), tt.key.Public())
					strong := sha256.Sum256(cert.Raw)
					weak := sha1.Sum(cert.Raw) //nolint:gosec // of a certificate
					if header["alg"] != name || header["x5t#S256"] != base64.RawURLEncoding.EncodeToString(strong[:]) || header["kid"] != nil {
						t.Errorf("header %v", header)
					}
					if (header["x5t"] == base64.RawURLEncoding.EncodeToString(weak[:])) != tt.weak {
						t.Errorf("x5t %v", header["x5t"])
					}
					if claims["nbf"] != claims["iat"] || claims["aud"] != "https://login.chaos.example/token" || claims["iss"] != "id1" || claims["sub"] != "id1" {
						t.Errorf("claims %v", claims)
					}
					return `{"access_token":"tok","expires_in":60}`
				}),
				"/v1/users": guarded("Authorization", "Bearer tok"),
			})
			secrets := map[string]string{"clientId": "id1", "privateKey": pemOf(t, tt.key), "certificate": text}
			s, _ := signingIn(t, v, strings.Replace(certificateMethod, "ALG", tt.alg, 1), secrets)
			if recs, _, err := read(t, s, "users"); err != nil || len(recs) != 5 {
				t.Fatalf("%d records, %v", len(recs), err)
			}
			_, other := certificateOf(t, ecKey())
			for what, wrong := range map[string]string{"of another key": other, "none": "nothing", "damaged": "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----"} {
				if what == "of another key" && name == "ES256" {
					continue
				}
				secrets["certificate"] = wrong
				s, _ := signingIn(t, v, strings.Replace(certificateMethod, "ALG", tt.alg, 1), secrets)
				_, _, err := read(t, s, "users")
				if wantClass(t, err, ClassAuth); !strings.Contains(err.Error(), "certificate") || strings.Contains(err.Error(), "AAAA") {
					t.Errorf("%s: %v", what, err)
				}
			}
		})
	}
}
