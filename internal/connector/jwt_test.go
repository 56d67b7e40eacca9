// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package connector

import (
	"bytes"
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
	"math/big"
	"net/http"
	"strings"
	"sync"
	"testing"
)

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
		err := rsa.VerifyPKCS1v15(k, crypto.SHA256, sum[:], raw[2])
		if bytes.Contains(raw[0], []byte(`"PS256"`)) {
			err = rsa.VerifyPSS(k, crypto.SHA256, sum[:], raw[2], &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash})
		}
		if err != nil {
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
