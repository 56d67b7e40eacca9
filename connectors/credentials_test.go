// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package connectors_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net/http"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/seatkeeper/seatkeeper/connectors"
	"github.com/seatkeeper/seatkeeper/internal/connector"
	"github.com/seatkeeper/seatkeeper/internal/connector/fixture"
)

// signIn stands before the fixtures of a connector as the part of the vendor
// that knows who signs in, for a credential that the fixtures do not use.
type signIn struct {
	t         *testing.T
	tokenPath string
	// token answers requests for tokens; check looks at every other request.
	token http.HandlerFunc
	check func(*http.Request) error

	mu             sync.Mutex
	tokens, others int
}

func (s *signIn) wrap(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.mu.Lock()
		defer s.mu.Unlock()
		if r.URL.Path == s.tokenPath {
			s.tokens++
			w.Header().Set("Content-Type", "application/json")
			if err := r.ParseForm(); err != nil {
				s.t.Error(err)
			}
			s.token(w, r)
			return
		}
		s.others++
		if err := s.check(r); err != nil {
			s.t.Errorf("%s %s: %v", r.Method, r.URL.Path, err)
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// play runs a connector's fixtures behind a sign-in: what it reads and does must
// be what it reads and does with the credential of the fixtures.
func (s *signIn) play(t *testing.T, name string, f *fixture.Fixture) {
	t.Helper()
	m, err := connectors.Builtin(name)
	if err != nil {
		t.Fatal(err)
	}
	f.Responses = without(f.Responses, s.tokenPath)
	res, err := f.RunThrough(t.Context(), m, s.wrap)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range res.Problems() {
		t.Error(p)
	}
	got, err := fixture.Golden(res.Records())
	if err != nil {
		t.Fatal(err)
	}
	want, err := os.ReadFile(name + "/testdata/records.golden.json")
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(string(want), string(got)); d != "" {
		t.Errorf("(-golden +got)\n%s", d)
	}
	if s.others == 0 {
		t.Error("nothing was asked")
	}
}

func without(list []fixture.Response, path string) []fixture.Response {
	var out []fixture.Response
	for _, r := range list {
		if r.Path != path {
			out = append(out, r)
		}
	}
	return out
}

// openJWT verifies a JWT in compact serialisation (RFC 7515) and returns it.
func openJWT(token string, key crypto.PublicKey) (header, claims map[string]any, err error) {
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		return nil, nil, fmt.Errorf("a JWT of %d parts", len(parts))
	}
	raw := make([][]byte, 3)
	for i, p := range parts {
		if raw[i], err = base64.RawURLEncoding.DecodeString(p); err != nil {
			return nil, nil, err
		}
	}
	if err := errors.Join(json.Unmarshal(raw[0], &header), json.Unmarshal(raw[1], &claims)); err != nil {
		return nil, nil, err
	}
	if key == nil {
		if key, err = ownKey(header["jwk"]); err != nil {
			return nil, nil, err
		}
	}
	sum := sha256.Sum256([]byte(parts[0] + "." + parts[1]))
	switch k := key.(type) {
	case *rsa.PublicKey:
		if header["alg"] == "PS256" {
			return header, claims, rsa.VerifyPSS(k, crypto.SHA256, sum[:], raw[2], &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash})
		}
		return header, claims, rsa.VerifyPKCS1v15(k, crypto.SHA256, sum[:], raw[2])
	case *ecdsa.PublicKey:
		if len(raw[2]) != 64 || !ecdsa.Verify(k, sum[:], new(big.Int).SetBytes(raw[2][:32]), new(big.Int).SetBytes(raw[2][32:])) {
			return nil, nil, errors.New("the signature does not verify")
		}
		return header, claims, nil
	}
	return nil, nil, fmt.Errorf("a key of type %T", key)
}

// ownKey is the key that a proof brings along (RFC 9449, 4.2).
func ownKey(jwk any) (*ecdsa.PublicKey, error) {
	fields, _ := jwk.(map[string]any)
	point := []byte{4}
	for _, name := range []string{"x", "y"} {
		text, _ := fields[name].(string)
		b, err := base64.RawURLEncoding.DecodeString(text)
		if err != nil || len(b) != 32 {
			return nil, fmt.Errorf("jwk %v", jwk)
		}
		point = append(point, b...)
	}
	if fields["kty"] != "EC" || fields["crv"] != "P-256" || fields["d"] != nil {
		return nil, fmt.Errorf("jwk %v", jwk)
	}
	return ecdsa.ParseUncompressedPublicKey(elliptic.P256(), point)
}

func privateKey(t *testing.T, text string) crypto.Signer {
	t.Helper()
	block, _ := pem.Decode([]byte(text))
	if block == nil {
		t.Fatal("no key in PEM")
	}
	key, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	return key.(crypto.Signer)
}

// TestOktaDemandsDPoP plays an app that requires proofs of possession, as Okta
// makes new ones: a token only for a proof with its nonce, and every request with
// a proof of the same key that nobody else could have made
// (https://developer.okta.com/docs/guides/dpop/nonoktaresourceserver/main/).
func TestOktaDemandsDPoP(t *testing.T) {
	f, err := fixture.Load("okta/testdata/fixtures.yaml")
	if err != nil {
		t.Fatal(err)
	}
	key := privateKey(t, f.Secrets["privateKey"]).Public()
	const nonce = "nonce-of-okta"
	bound, seen := map[string]string{}, map[string]bool{}
	// prove returns the key of a request's proof.
	prove := func(r *http.Request, token string) (string, error) {
		if len(r.Header.Values("DPoP")) != 1 {
			return "", fmt.Errorf("%d proofs", len(r.Header.Values("DPoP")))
		}
		header, claims, err := openJWT(r.Header.Get("DPoP"), nil)
		if err != nil {
			return "", err
		}
		want := map[string]any{"htm": r.Method, "htu": "https://" + r.Host + r.URL.EscapedPath()}
		if token != "" {
			sum := sha256.Sum256([]byte(token))
			want["ath"] = base64.RawURLEncoding.EncodeToString(sum[:])
		}
		for name, v := range want {
			if claims[name] != v {
				return "", fmt.Errorf("%s is %v, want %v", name, claims[name], v)
			}
		}
		jti, _ := claims["jti"].(string)
		if header["typ"] != "dpop+jwt" || header["alg"] != "ES256" || jti == "" || seen[jti] {
			return "", fmt.Errorf("header %v, jti %q", header, jti)
		}
		seen[jti] = true
		if token == "" && claims["nonce"] != nonce {
			return "", nil
		}
		return fmt.Sprint(header["jwk"]), nil
	}
	s := &signIn{t: t, tokenPath: "/oauth2/v1/token"}
	s.token = func(w http.ResponseWriter, r *http.Request) {
		refuse := func(code string) {
			w.WriteHeader(http.StatusBadRequest)
			_, _ = fmt.Fprintf(w, `{"error":%q,"error_description":"refused"}`, code)
		}
		if _, claims, err := openJWT(r.PostForm.Get("client_assertion"), key); err != nil || claims["sub"] != f.Secrets["clientId"] || seen[r.PostForm.Get("client_assertion")] {
			t.Errorf("assertion: %v %v", claims, err)
		}
		seen[r.PostForm.Get("client_assertion")] = true
		if r.Header.Get("DPoP") == "" {
			refuse("invalid_dpop_proof")
			return
		}
		of, err := prove(r, "")
		if err != nil {
			t.Error(err)
		}
		if of == "" {
			w.Header().Set("DPoP-Nonce", nonce)
			refuse("use_dpop_nonce")
			return
		}
		token := fmt.Sprintf("test-access-%d", len(bound))
		bound[token] = of
		_, _ = fmt.Fprintf(w, `{"token_type":"DPoP","expires_in":3600,"access_token":%q,"scope":%q}`, token, r.PostForm.Get("scope"))
	}
	s.check = func(r *http.Request) error {
		scheme, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
		if scheme != "DPoP" || bound[token] == "" {
			return fmt.Errorf("signed in by %s", scheme)
		}
		of, err := prove(r, token)
		if err == nil && of != bound[token] {
			err = errors.New("the proof is of another key than the token")
		}
		return err
	}
	s.play(t, "okta", f)
	if s.tokens < 3 || len(bound) == 0 {
		t.Errorf("%d requests for tokens, %d tokens", s.tokens, len(bound))
	}
}

// TestEntraTakesACertificate signs in by the certificate of an app registration
// (https://learn.microsoft.com/en-us/entra/identity-platform/certificate-credentials).
func TestEntraTakesACertificate(t *testing.T) {
	f, err := fixture.Load("entra/testdata/fixtures.yaml")
	if err != nil {
		t.Fatal(err)
	}
	key, text := newKey(t)
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "seatkeeper"}, NotBefore: f.Now.Add(-time.Hour), NotAfter: f.Now.Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	delete(f.Secrets, "clientSecret")
	f.Secrets["certificate"] = string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
	f.Secrets["privateKey"] = text
	thumbprint := sha256.Sum256(der)
	tenant := fmt.Sprint(f.Config["tenantId"])
	s := &signIn{t: t, tokenPath: "/" + tenant + "/oauth2/v2.0/token"}
	seen := map[any]bool{}
	s.token = func(w http.ResponseWriter, r *http.Request) {
		form := map[string]string{
			"grant_type": "client_credentials", "client_id": f.Secrets["clientId"], "scope": "https://graph.microsoft.com/.default",
			"client_assertion_type": "urn:ietf:params:oauth:client-assertion-type:jwt-bearer", "client_secret": "",
		}
		for name, want := range form {
			if got := r.PostForm.Get(name); got != want {
				t.Errorf("%s is %q, want %q", name, got, want)
			}
		}
		header, claims, err := openJWT(r.PostForm.Get("client_assertion"), key.Public())
		if err != nil {
			t.Error(err)
		}
		if header["alg"] != "PS256" || header["typ"] != "JWT" || header["x5t#S256"] != base64.RawURLEncoding.EncodeToString(thumbprint[:]) {
			t.Errorf("header %v", header)
		}
		if id := f.Secrets["clientId"]; claims["aud"] != "https://login.microsoftonline.com"+s.tokenPath || claims["iss"] != id || claims["sub"] != id ||
			claims["nbf"] == nil || claims["exp"] == nil || claims["jti"] == nil || seen[claims["jti"]] {
			t.Errorf("claims %v", claims)
		}
		seen[claims["jti"]] = true
		_, _ = w.Write([]byte(`{"token_type":"Bearer","expires_in":3599,"access_token":"by-certificate"}`))
	}
	s.check = func(r *http.Request) error {
		if got := r.Header.Get("Authorization"); got != "Bearer by-certificate" {
			return errors.New("signed in by another credential")
		}
		return nil
	}
	s.play(t, "entra", f)

	// A certificate of another key is told as that, and nothing is sent.
	_, f.Secrets["privateKey"] = newKey(t)
	before := s.tokens
	m, err := connectors.Builtin("entra")
	if err != nil {
		t.Fatal(err)
	}
	res, err := f.RunThrough(t.Context(), m, s.wrap)
	if err != nil {
		t.Fatal(err)
	}
	if res.Test.Outcome != connector.Failed || s.tokens != before || !strings.Contains(fmt.Sprint(res.Problems()), "certificate") {
		t.Errorf("with another key: %s, %d requests for tokens: %v", res.Test.Outcome, s.tokens-before, res.Problems()[:1])
	}
}

// newKey returns a key, as such and in PEM.
func newKey(t *testing.T) (*rsa.PrivateKey, string) {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return key, string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
}
