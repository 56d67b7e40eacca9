// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package connector

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"
)

// TokenCache keeps access tokens in the memory of the process, so that
// sessions of one credential share them. Nothing of it is ever stored.
type TokenCache struct {
	mu      sync.Mutex
	entries map[string]*tokenEntry
}

// tokenEntry is one credential's token. Its slot lets one fetch run at a time.
type tokenEntry struct {
	slot    chan struct{}
	token   string
	expires time.Time
}

// NewTokenCache returns an empty cache.
func NewTokenCache() *TokenCache { return &TokenCache{entries: map[string]*tokenEntry{}} }

// credential is a token as it was used, to be forgotten if it was refused.
type credential struct{ key, token string }

func (c *TokenCache) entry(key string) *tokenEntry {
	c.mu.Lock()
	defer c.mu.Unlock()
	e, ok := c.entries[key]
	if !ok {
		e = &tokenEntry{slot: make(chan struct{}, 1)}
		c.entries[key] = e
	}
	return e
}

// get returns the token of key, fetching it if there is none or it is about
// to expire. Only one caller fetches at a time.
func (c *TokenCache) get(ctx context.Context, key string, now time.Time, fetch func() (string, time.Time, error)) (string, error) {
	e := c.entry(key)
	select {
	case e.slot <- struct{}{}:
	case <-ctx.Done():
		return "", ctx.Err()
	}
	defer func() { <-e.slot }()
	if e.token != "" && now.Before(e.expires) {
		return e.token, nil
	}
	token, expires, err := fetch()
	if err != nil {
		return "", err
	}
	e.token, e.expires = token, expires
	return token, nil
}

// forget drops a token that the vendor refused, unless another has taken its
// place already. It reports whether asking again makes sense.
func (c *TokenCache) forget(used credential) bool {
	if used.key == "" {
		return false
	}
	e := c.entry(used.key)
	e.slot <- struct{}{}
	defer func() { <-e.slot }()
	if e.token == used.token {
		e.token = ""
	}
	return true
}

// authorize puts the credential into the request's headers.
func (s *Session) authorize(ctx context.Context, w *wire, vars map[string]any) (credential, error) {
	wrong := func(err error) error {
		return &Error{Class: ClassConfig, Message: "the credential cannot be put together: " + err.Error()}
	}
	secretVars := s.withSecrets(vars)
	if w.token != nil {
		token, err := w.token.Text(ctx, secretVars, nil)
		if err != nil {
			return credential{}, wrong(err)
		}
		if token == "" {
			return credential{}, &Error{Class: ClassAuth, Message: "the Secret lacks the key that this request needs",
				Fix: "the connector's README lists the keys"}
		}
		w.header.Set("Authorization", "Bearer "+token)
		return credential{}, nil
	}
	if s.auth == nil {
		return credential{}, nil
	}
	switch s.auth.kind {
	case "bearer":
		token, err := s.auth.token.Text(ctx, secretVars, nil)
		if err != nil {
			return credential{}, wrong(err)
		}
		w.header.Set("Authorization", "Bearer "+token)
	case "header":
		for _, h := range s.auth.headers {
			v, err := h.value.Text(ctx, secretVars, nil)
			if err != nil {
				return credential{}, wrong(err)
			}
			w.header.Set(h.name, v)
		}
	case "basic":
		user, err := s.auth.username.Text(ctx, secretVars, nil)
		if err != nil {
			return credential{}, wrong(err)
		}
		password, err := s.auth.password.Text(ctx, secretVars, nil)
		if err != nil {
			return credential{}, wrong(err)
		}
		w.header.Set("Authorization", basic(user, password))
	case "oauth2":
		key := s.tokenKey()
		token, err := s.tokens.get(ctx, key, s.clock.Now(), func() (string, time.Time, error) { return s.fetchToken(ctx, secretVars) })
		if err != nil {
			if ctx.Err() != nil {
				return credential{}, &Error{Class: ClassCanceled, Message: "the time for this work ran out while signing in", Err: err}
			}
			return credential{}, err
		}
		w.header.Set("Authorization", "Bearer "+token)
		return credential{key, token}, nil
	}
	return credential{}, nil
}

func basic(user, password string) string {
	return "Basic " + base64.StdEncoding.EncodeToString([]byte(user+":"+password))
}

// credentialHeaders are the headers that never follow a redirect elsewhere.
func (s *Session) credentialHeaders() []string {
	names := []string{"Authorization", "Cookie"}
	if s.auth != nil {
		for _, h := range s.auth.headers {
			names = append(names, h.name)
		}
	}
	return names
}

// tokenKey tells credentials apart without holding them.
func (s *Session) tokenKey() string {
	h := sha256.New()
	h.Write(fmt.Appendf(nil, "%s\x00%s\x00%v\x00%v", s.m.name, s.tokenURL, s.overrides[s.tokenURL.Host], s.o.Permission))
	for _, f := range s.auth.secrets {
		h.Write(fmt.Appendf(nil, "\x00%s=%s", f.name, s.o.Secrets[f.name]))
	}
	return hex.EncodeToString(h.Sum(nil))
}

// fetchToken asks the token endpoint (RFC 6749, 4.4; Zoom's
// account_credentials differs only in the grant and in its query).
func (s *Session) fetchToken(ctx context.Context, secretVars map[string]any) (string, time.Time, error) {
	a := s.auth
	form := url.Values{"grant_type": {a.grant}}
	scopes := a.scopes["read"]
	if s.o.Permission == PermissionReadAndAct {
		scopes = append(scopes[:len(scopes):len(scopes)], a.scopes["act"]...)
	}
	if len(scopes) > 0 && a.grant == "client_credentials" {
		form.Set("scope", strings.Join(scopes, " "))
	}
	w := &wire{method: http.MethodPost, header: http.Header{}}
	w.header.Set("Accept", "application/json")
	w.header.Set("User-Agent", userAgent(s.o.UserAgent))
	w.header.Set("Content-Type", "application/x-www-form-urlencoded")
	id, secret := s.o.Secrets["clientId"], s.o.Secrets["clientSecret"]
	if a.clientAuth == "basic" {
		w.header.Set("Authorization", basic(url.QueryEscape(id), url.QueryEscape(secret)))
	} else {
		form.Set("client_id", id)
		form.Set("client_secret", secret)
	}
	query, err := encodePairs(ctx, a.tokenQuery, secretVars, nil)
	if err != nil {
		return "", time.Time{}, &Error{Class: ClassConfig, Message: "tokenQuery: " + err.Error()}
	}
	u := *s.tokenURL
	u.RawQuery = query
	w.url = &u
	if query != "" {
		form.Del("grant_type") // the query says it
	}
	w.body = []byte(form.Encode())
	if err := s.spend(ctx, w, true); err != nil {
		return "", time.Time{}, err
	}
	ans, failure := s.send(ctx, w)
	if failure != nil {
		return "", time.Time{}, failure
	}
	if class := classOfStatus(ans.status); class != "" {
		if class == ClassInvalid || class == ClassPermission || class == ClassNotFound {
			class = ClassAuth // invalid_client, invalid_grant, unknown account
		}
		e := s.explain(&Error{Class: class, Status: ans.status}, ans)
		e.Message = "signing in failed: " + e.Message
		if class == ClassRateLimit {
			e.RetryAfter, _ = parseRetryAfter(ans.header.Get("Retry-After"), s.clock.Now())
			e.RetryAfter = cmp.Or(e.RetryAfter, defaultPause)
		}
		return "", time.Time{}, e
	}
	m, _ := ans.body.(map[string]any)
	token, _ := m["access_token"].(string)
	if token == "" {
		return "", time.Time{}, &Error{Class: ClassAuth, Status: ans.status, Message: "signing in gave no access token: " + vendorWords(ans.body)}
	}
	life := time.Hour
	if n, ok := m["expires_in"].(int64); ok && n > 0 {
		life = time.Duration(min(n, 30*24*3600)) * time.Second
	}
	// Renew a little early: the clocks differ and a page may take its time.
	return token, s.clock.Now().Add(life - min(life/10, time.Minute)), nil
}
