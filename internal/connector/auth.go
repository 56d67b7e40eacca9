// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package connector

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/seatkeeper/seatkeeper/internal/expr"
)

// TokenCache keeps access tokens in the memory of the process, so that
// sessions of one credential share them.
type TokenCache struct {
	mu      sync.Mutex
	entries map[string]*tokenEntry
	turn    uint64
	limit   int         // 0: maxTokens
	vault   memoryVault // for sessions without one of their own
}

// tokenEntry is one credential's token. Its slot lets one fetch run at a time.
type tokenEntry struct {
	used    uint64 // the turn in which it was last asked for
	slot    chan struct{}
	token   string
	expires time.Time
	refused string // the last token that the vendor did not take
	// failed is why the credential was refused at failedAt: those who waited
	// behind it do not knock again at once.
	failed   *Error
	failedAt time.Time
	unsaved  unsavedSet
	prover   *prover // guarded by the cache's mu; nil where none is wanted
}

// refusedFor is how long a refused credential is not tried again.
const refusedFor = 10 * time.Second

// NewTokenCache returns an empty cache.
func NewTokenCache() *TokenCache { return &TokenCache{entries: map[string]*tokenEntry{}} }

// credential is a token as it was used, to be forgotten if it was refused.
type credential struct{ key, token string }

func (c *TokenCache) entry(key string) *tokenEntry {
	c.mu.Lock()
	defer c.mu.Unlock()
	e, ok := c.entries[key]
	if !ok {
		c.prune()
		e = &tokenEntry{slot: make(chan struct{}, 1)}
		c.entries[key] = e
	}
	c.turn++
	e.used = c.turn
	return e
}

// maxTokens bounds a cache. One credential has one token for each way to sign in,
// permission and config; only those that were changed often have more.
const maxTokens = 16

// prune makes place for one more: what was used longest ago goes, unless it is
// in use or has a refresh token that nobody else has.
func (c *TokenCache) prune() {
	if len(c.entries) < cmp.Or(c.limit, maxTokens) {
		return
	}
	oldest := ""
	for key, e := range c.entries {
		select {
		case e.slot <- struct{}{}:
			idle := e.unsaved.value == nil
			<-e.slot
			if idle && (oldest == "" || e.used < c.entries[oldest].used) {
				oldest = key
			}
		default: // in use
		}
	}
	delete(c.entries, oldest)
}

// get returns the token of key, fetching it if there is none or it is about
// to expire. Only one caller fetches at a time.
func (c *TokenCache) get(ctx context.Context, key string, now time.Time, fetch func(*tokenEntry) (string, time.Time, error)) (string, error) {
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
	if since := now.Sub(e.failedAt); e.failed != nil && since >= 0 && since < refusedFor {
		return "", e.failed
	}
	token, expires, err := fetch(e)
	e.failed = nil
	if err != nil {
		var refused *Error
		if errors.As(err, &refused) && refused.Class == ClassAuth {
			e.failed, e.failedAt = refused, now
		}
		return "", err
	}
	e.token, e.expires = token, expires
	return token, nil
}

// forget drops a token that the vendor refused, unless another has taken its
// place already. It reports whether asking again makes sense.
func (c *TokenCache) forget(ctx context.Context, used credential) bool {
	if used.key == "" {
		return false
	}
	e := c.entry(used.key)
	select {
	case e.slot <- struct{}{}:
	case <-ctx.Done():
		return false
	}
	defer func() { <-e.slot }()
	if e.token == used.token {
		e.token, e.refused = "", used.token
	}
	return true
}

// param is an evaluated query parameter.
type param struct{ name, value string }

// authorize puts the credential into the request.
func (s *Session) authorize(ctx context.Context, w *wire, vars map[string]any) (credential, error) {
	var failed error
	secretVars := s.withSecrets(vars, s.o.Secrets)
	text := func(t *expr.Template) string {
		v, err := t.Text(ctx, secretVars, nil)
		if err != nil && failed == nil {
			failed = &Error{Class: ClassConfig, Message: "the credential cannot be put together: " + err.Error()}
		}
		return v
	}
	w.credential, w.hidden = nil, nil
	if w.token != nil {
		token := text(w.token)
		if failed == nil && token == "" {
			failed = &Error{Class: ClassAuth, Message: "the Secret lacks the key that this request needs",
				Fix: "the connector's README lists the keys"}
		}
		w.header.Set("Authorization", "Bearer "+token)
		if failed == nil {
			failed = unsendable(w.header)
		}
		return credential{}, failed
	}
	if s.auth == nil {
		return credential{}, nil
	}
	switch s.auth.kind {
	case "bearer":
		w.header.Set("Authorization", "Bearer "+text(s.auth.token))
	case "header":
		for _, h := range s.auth.headers {
			w.header.Set(h.name, text(h.value))
		}
	case "basic":
		s.sendBasic(w, text(s.auth.username), text(s.auth.password))
	case "query":
		for _, q := range s.auth.query {
			p := param{q.name, text(q.value)}
			w.credential, w.hidden = append(w.credential, p), append(w.hidden, p.value)
		}
	default:
		return s.authorizeWithToken(ctx, w, vars)
	}
	if failed == nil {
		failed = unsendable(w.header)
	}
	return credential{}, failed
}

// sendable reports whether a header can carry the text (RFC 9110 5.5). The HTTP
// client finds out too, but only when it sends, and says that sending failed.
func sendable(text string) bool {
	return !strings.ContainsFunc(text, func(r rune) bool { return r < ' ' && r != '\t' || r == 0x7f })
}

// unsendable names the header that a credential cannot be sent in.
func unsendable(header http.Header) error {
	for name, values := range header {
		if slices.ContainsFunc(values, func(v string) bool { return !sendable(v) }) {
			return &Error{Class: ClassAuth, Message: "the credential for header " + name + " has a line break or another control character",
				Fix: "put it into the Secret without one"}
		}
	}
	return nil
}

// authorizeWithToken sends a token that the credential was exchanged for.
func (s *Session) authorizeWithToken(ctx context.Context, w *wire, vars map[string]any) (credential, error) {
	key := s.tokenKey()
	token, err := s.tokens.get(ctx, key, s.clock.Now(), func(e *tokenEntry) (string, time.Time, error) {
		switch {
		case s.auth.login != nil:
			return s.logIn(ctx)
		case s.auth.oauth.grant == grantRefresh:
			return s.refresh(ctx, e)
		}
		t, err := s.requestToken(ctx, s.o.Secrets, "")
		return t.access, t.expires, err
	})
	if err != nil {
		if ctx.Err() != nil {
			return credential{}, &Error{Class: ClassCanceled, Message: "the time for this work ran out while signing in", Err: err}
		}
		return credential{}, err
	}
	w.header.Set(s.auth.sendAs.name, s.auth.sendAs.prefix+token)
	w.hidden = []string{token}
	if p := s.prover(); p != nil && p.binds(token) {
		w.header.Set(s.auth.sendAs.name, "DPoP "+token)
		if err := p.prove(w, token); err != nil {
			return credential{}, &Error{Class: ClassConfig, Message: "no proof of possession could be made: " + err.Error()}
		}
	} else {
		w.header.Del(dpopHeader)
	}
	return credential{key, token}, nil
}

// sendBasic sends a name and a password (RFC 7617).
func (s *Session) sendBasic(w *wire, user, password string) {
	text := base64.StdEncoding.EncodeToString([]byte(user + ":" + password))
	w.header.Set("Authorization", "Basic "+text)
	w.hidden = append(w.hidden, text)
}

// credentialHeaders are the headers that never follow a redirect elsewhere.
func (s *Session) credentialHeaders() []string {
	names := []string{"Authorization", "Cookie", dpopHeader}
	if s.auth != nil {
		for _, h := range s.auth.headers {
			names = append(names, h.name)
		}
		if s.auth.sendAs.name != "" {
			names = append(names, s.auth.sendAs.name)
		}
	}
	return names
}

// tokenKey tells credentials apart without holding them.
func (s *Session) tokenKey() string {
	h := sha256.New()
	config, _ := encodeJSON(s.config)
	h.Write(fmt.Appendf(nil, "%s\x00%s\x00%s\x00%v\x00%v\x00%s", s.m.name, s.auth.id, s.tokenURL, s.overrides, s.o.Permission, config))
	for _, f := range s.auth.secrets {
		h.Write(fmt.Appendf(nil, "\x00%s=%s", f.name, s.o.Secrets[f.name]))
	}
	return hex.EncodeToString(h.Sum(nil))
}

// sentURL is the URL with the credential in its query.
func (w *wire) sentURL() string {
	u := *w.url
	u.RawQuery = withParams(u.RawQuery, w.credential)
	return u.String()
}

func withParams(query string, list []param) string {
	for _, p := range list {
		if query != "" {
			query += "&"
		}
		query += url.QueryEscape(p.name) + "=" + url.QueryEscape(p.value)
	}
	return query
}

// withoutCredential returns u without the query parameters that hold the
// credential: a vendor may repeat them in a link to the next page.
func (s *Session) withoutCredential(u *url.URL) *url.URL {
	if s.auth == nil || len(s.auth.query) == 0 || u.RawQuery == "" {
		return u
	}
	var kept []string
	for _, part := range strings.Split(u.RawQuery, "&") {
		raw, _, _ := strings.Cut(part, "=")
		name, err := url.QueryUnescape(raw)
		if err != nil || !slices.ContainsFunc(s.auth.query, func(p pair) bool { return strings.EqualFold(p.name, name) }) {
			kept = append(kept, part)
		}
	}
	c := *u
	c.RawQuery = strings.Join(kept, "&")
	return &c
}

// keepCredential gives a redirect to the same host the query credential that
// its target lacks, as a header would have followed.
func (s *Session) keepCredential(to, from *url.URL) {
	if s.auth == nil || len(s.auth.query) == 0 {
		return
	}
	have, had := to.Query(), from.Query()
	for _, p := range s.auth.query {
		if !have.Has(p.name) && had.Has(p.name) {
			to.RawQuery = withParams(to.RawQuery, []param{{p.name, had.Get(p.name)}})
		}
	}
}

// minSecret is the length from which a value is looked for in what a vendor
// says; shorter ones would hide ordinary words.
const minSecret = 4

// redact takes the credential out of a vendor's words: some repeat the key
// that they refuse.
func (s *Session) redact(text string, hidden []string) string {
	return redactValues(text, s.o.Secrets, hidden)
}

// redactValues takes secrets, by name, and hidden tokens out of a text.
func redactValues(text string, secrets map[string]string, hidden []string) string {
	type mark struct{ value, name string }
	var marks []mark
	add := func(value, name string) {
		quoted, _ := encodeJSON(value) // a string always encodes
		for _, v := range []string{value, url.QueryEscape(value), url.PathEscape(value), strings.Trim(string(quoted), `"`)} {
			if len(v) >= minSecret {
				marks = append(marks, mark{v, name})
			}
		}
	}
	for name, v := range secrets {
		add(v, name)
	}
	for _, v := range hidden {
		add(v, "token")
	}
	// The longest first, so that no rest of one stays behind another.
	slices.SortFunc(marks, func(a, b mark) int {
		return cmp.Or(len(b.value)-len(a.value), strings.Compare(a.name, b.name))
	})
	for _, m := range marks {
		text = strings.ReplaceAll(text, m.value, "["+m.name+"]")
	}
	return text
}
