// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package connector

import (
	"cmp"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"net/http"
	"net/url"
	"strings"
	"sync"

	"github.com/google/uuid"

	"k8s.io/utils/clock"
)

// How a manifest wants proof of possession (RFC 9449): where the vendor asks for
// it, or always.
const (
	dpopAuto     = "auto"
	dpopRequired = "required"
)

const (
	dpopHeader      = "Dpop"
	dpopNonceHeader = "Dpop-Nonce"
	// maxProofTries bounds what one token request is repeated for: to begin with
	// proofs, and with the vendor's nonce.
	maxProofTries = 3
)

// prover proves that this process holds the key to which a vendor has bound an
// access token. The key is made for the token and lives as long as it: it is
// none of the client's own.
type prover struct {
	clock clock.PassiveClock

	mu     sync.Mutex
	on     bool              // proofs are sent with token requests
	key    *ecdsa.PrivateKey // nil until the first proof
	bound  string            // the access token that is bound to the key
	nonces map[string]string // by origin: the newest that the vendor gave
}

// prover returns that of a credential.
func (c *TokenCache) prover(key string, required bool, ck clock.PassiveClock) *prover {
	e := c.entry(key)
	c.mu.Lock()
	defer c.mu.Unlock()
	if e.prover == nil {
		e.prover = &prover{clock: ck, on: required, nonces: map[string]string{}}
	}
	return e.prover
}

// prover returns what proves possession for the session's tokens, nil if the
// manifest asks for none.
func (s *Session) prover() *prover {
	if s.auth == nil || s.auth.oauth == nil || s.auth.oauth.dpop == "" {
		return nil
	}
	return s.tokens.prover(s.tokenKey(), s.auth.oauth.dpop == dpopRequired, s.clock)
}

// prove puts a proof for one request into it (RFC 9449, 4.2). token is the
// access token that goes with it, empty in a token request.
func (p *prover) prove(w *wire, token string) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.key == nil {
		key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			return err
		}
		p.key = key
	}
	public, err := p.key.PublicKey.ECDH()
	if err != nil {
		return err
	}
	point := public.Bytes() // 4, X, Y
	claims := map[string]any{"jti": uuid.NewString(), "htm": w.method, "htu": htu(w.url), "iat": p.clock.Now().Unix()}
	if token != "" {
		sum := sha256.Sum256([]byte(token))
		claims["ath"] = base64.RawURLEncoding.EncodeToString(sum[:])
	}
	if nonce := p.nonces[origin(w.url)]; nonce != "" {
		claims["nonce"] = nonce
	}
	proof, err := signJWS(p.key, algES256, map[string]any{"typ": "dpop+jwt", "jwk": map[string]any{
		"kty": "EC", "crv": "P-256",
		"x": base64.RawURLEncoding.EncodeToString(point[1:33]), "y": base64.RawURLEncoding.EncodeToString(point[33:]),
	}}, claims)
	if err != nil {
		return err
	}
	w.header.Set(dpopHeader, proof)
	w.hidden = append(w.hidden, proof)
	return nil
}

// begun reports whether token requests carry proofs.
func (p *prover) begun() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.on
}

// askedAgain reports whether a token request was refused for want of a proof or
// of the vendor's nonce, so that it is worth sending once more.
func (p *prover) askedAgain(ans *answer) bool {
	if ans == nil {
		return false
	}
	p.learn(ans)
	m, _ := ans.body.(map[string]any)
	code, _ := m["error"].(string)
	p.mu.Lock()
	defer p.mu.Unlock()
	switch code {
	case "use_dpop_nonce":
		p.on = true
		return true
	case "invalid_dpop_proof":
		fresh := !p.on
		p.on = true
		return fresh
	}
	return false
}

// learn keeps the nonce that an answer brings (RFC 9449, 8.2).
func (p *prover) learn(ans *answer) {
	if nonce := ans.header.Get(dpopNonceHeader); nonce != "" && ans.url != nil && sendable(nonce) {
		p.mu.Lock()
		p.nonces[origin(ans.url)] = nonce
		p.mu.Unlock()
	}
}

// bind notes whether a token that came is bound to the key.
func (p *prover) bind(token, kind string) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.bound = ""; strings.EqualFold(kind, "DPoP") {
		p.bound = token
	}
	return p.bound != ""
}

// binds reports whether the token has to be sent with a proof.
func (p *prover) binds(token string) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return token != "" && p.bound == token
}

// wantsNonce reports whether a resource refused a proof for want of its nonce.
func (s *Session) wantsNonce(w *wire, ans *answer) bool {
	p := s.prover()
	if p == nil || ans == nil || w.header.Get(dpopHeader) == "" {
		return false
	}
	p.learn(ans)
	return ans.status == http.StatusUnauthorized && strings.Contains(ans.header.Get("WWW-Authenticate"), "use_dpop_nonce")
}

// htu is the target of a request without query and fragment.
func htu(u *url.URL) string { return origin(u) + cmp.Or(u.EscapedPath(), "/") }

func origin(u *url.URL) string { return u.Scheme + "://" + u.Host }
