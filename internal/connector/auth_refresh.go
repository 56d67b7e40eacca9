// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package connector

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"
)

// Vault keeps, sealed, what a vendor replaces of a credential, for every
// process that uses the credential.
type Vault interface {
	// Hold runs f while nobody else, in any process and for any Integration of
	// the tenant, runs one for name. The context of f ends before another may
	// begin.
	Hold(ctx context.Context, name string, f func(context.Context, Held) error) error
}

// Held is a value of a Vault that nobody else changes meanwhile.
type Held interface {
	// Load returns what is kept, nil if nothing is.
	Load(ctx context.Context) ([]byte, error)
	// Keep replaces what was loaded last, durably. It fails with
	// ErrVaultChanged, and keeps nothing, if that is not what is kept any more.
	Keep(ctx context.Context, value []byte) error
}

// ErrVaultChanged says that a value was replaced by somebody else.
var ErrVaultChanged = errors.New("the value was replaced by another process")

// Times of one refresh. It is not given up with its caller: an answer that
// nobody takes would hold the only refresh token there is.
const (
	refreshTimeout = 25 * time.Second
	keepTimeout    = 10 * time.Second
	keepTries      = 3
)

// tokenSet is what is kept of a credential with a refresh token.
type tokenSet struct {
	Refresh string    `json:"refresh"`
	Access  string    `json:"access,omitempty"`
	Expires time.Time `json:"expires,omitzero"`
}

// unsavedSet is a token set that could not be kept, what it replaces, and under
// which name.
type unsavedSet struct {
	name        string
	over, value []byte
}

// originOf names what descends from the refresh token of a Secret. Integrations
// that share the Secret share the name, a renamed one keeps it, and a Secret
// that the user changed has another: what descends from the old one is void
// (decision 12).
func (s *Session) originOf(secrets map[string]string) string {
	sum := sha256.Sum256(fmt.Appendf(nil, "seatkeeper refresh token v1\x00%s\x00%s\x00%s", s.tokenURL, secrets[secretClientID], secrets[secretRefreshToken]))
	return hex.EncodeToString(sum[:16])
}

// Rotates reports that signing in spends the credential: the vendor replaces it
// at each use, so that only what keeps the new one (Options.Vault) may try.
func (s *Session) Rotates() bool {
	return s.auth != nil && slices.ContainsFunc(s.auth.secrets, func(f secretField) bool { return f.rotates })
}

// refresh returns an access token: the one that another process has got
// meanwhile, or a new one. A rotated refresh token is kept before the access
// token beside it is used at all.
func (s *Session) refresh(ctx context.Context, e *tokenEntry) (string, time.Time, error) {
	secrets := s.o.Secrets
	if fresh, err := s.reload(ctx); err == nil {
		secrets = fresh
	}
	set, err := s.refreshWith(ctx, e, secrets)
	if ClassOf(err) == ClassAuth {
		// Perhaps the user has just put another token into the Secret.
		fresh, again := s.reload(ctx)
		switch {
		case again != nil:
			err = fmt.Errorf("read the Secret again: %w", again)
		case maps.Equal(fresh, secrets):
			err = withoutToken(err)
		default:
			if set, err = s.refreshWith(ctx, e, fresh); ClassOf(err) == ClassAuth {
				err = withoutToken(err)
			}
		}
	}
	var known *Error
	switch {
	case err == nil, errors.As(err, &known):
		return set.Access, set.Expires, err
	}
	return "", time.Time{}, &Error{Class: ClassTransient, Message: "the refresh token could not be used: " + err.Error(), Err: err}
}

// reload reads the Secret as it is now.
func (s *Session) reload(ctx context.Context) (map[string]string, error) {
	if s.o.Reload == nil {
		return s.o.Secrets, nil
	}
	return s.o.Reload(ctx)
}

// withoutToken says how to mend a refresh token that nobody takes.
func withoutToken(err error) error {
	var e *Error
	if !errors.As(err, &e) || e.badClient {
		return err
	}
	c := *e
	c.Fix = "authorise the app anew and put the new refresh token into the Secret's key " + secretRefreshToken
	return &c
}

func (s *Session) refreshWith(ctx context.Context, e *tokenEntry, secrets map[string]string) (tokenSet, error) {
	vault := s.o.Vault
	if vault == nil {
		vault = &s.tokens.vault
	}
	r := &refresher{s: s, entry: e, secrets: secrets, name: s.originOf(secrets)}
	err := vault.Hold(ctx, r.name, func(ctx context.Context, held Held) error {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), refreshTimeout)
		defer cancel()
		r.held = held
		return r.run(ctx)
	})
	return r.set, err
}

// refresher is one turn at a vault.
type refresher struct {
	s       *Session
	entry   *tokenEntry
	secrets map[string]string
	name    string
	held    Held
	raw     []byte
	set     tokenSet
}

func (r *refresher) run(ctx context.Context) error {
	if err := r.load(ctx); err != nil || r.usable() {
		return err
	}
	t, err := r.s.requestToken(ctx, r.secrets, r.set.Refresh)
	if ClassOf(err) == ClassAuth {
		// Perhaps who held it before stayed too long: look once more.
		tried := r.set.Refresh
		if again := r.load(ctx); again != nil {
			return again
		}
		switch {
		case r.usable():
			return nil
		case r.set.Refresh == tried:
			return err
		}
		t, err = r.s.requestToken(ctx, r.secrets, r.set.Refresh)
	}
	if err != nil {
		return err
	}
	r.set.Access, r.set.Expires = t.access, t.expires
	if t.refresh != "" {
		r.set.Refresh = t.refresh
	}
	return r.keep(ctx)
}

// usable reports whether the set's access token can be sent.
func (r *refresher) usable() bool {
	return r.set.Access != "" && r.set.Access != r.entry.refused && r.s.clock.Now().Before(r.set.Expires)
}

// load reads what is kept, or begins with the Secret's own token.
func (r *refresher) load(ctx context.Context) error {
	raw, err := r.held.Load(ctx)
	if err != nil {
		return err
	}
	if u := r.entry.unsaved; u.value != nil && u.name == r.name {
		if bytes.Equal(u.over, raw) {
			if err := r.held.Keep(ctx, u.value); err != nil {
				return err
			}
			raw = u.value
		}
		r.entry.unsaved = unsavedSet{}
	}
	r.raw, r.set = raw, tokenSet{Refresh: r.secrets[secretRefreshToken]}
	if raw == nil {
		return nil
	}
	if err := json.Unmarshal(raw, &r.set); err != nil {
		return errors.New("what is kept of the credential is damaged")
	}
	return nil
}

// keep stores the set. The vendor has already taken back the token before it,
// so that this is tried again, and remembered if it fails.
func (r *refresher) keep(ctx context.Context) error {
	value, err := json.Marshal(r.set)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), keepTimeout)
	defer cancel()
	for range keepTries {
		if err = r.held.Keep(ctx, value); err == nil || errors.Is(err, ErrVaultChanged) {
			break
		}
	}
	if err == nil {
		return nil
	}
	if !errors.Is(err, ErrVaultChanged) {
		r.entry.unsaved = unsavedSet{name: r.name, over: r.raw, value: value}
	}
	return fmt.Errorf("keep the new refresh token: %w", err)
}

// memoryVault is a Vault for one process, for sessions that nobody gave one.
type memoryVault struct {
	mu     sync.Mutex
	values map[string]*memoryValue
}

type memoryValue struct {
	mu    sync.Mutex
	value []byte
}

// Hold implements Vault.
func (v *memoryVault) Hold(ctx context.Context, name string, f func(context.Context, Held) error) error {
	v.mu.Lock()
	if v.values == nil {
		v.values = map[string]*memoryValue{}
	}
	m, ok := v.values[name]
	if !ok {
		m = &memoryValue{}
		v.values[name] = m
	}
	v.mu.Unlock()
	m.mu.Lock()
	defer m.mu.Unlock()
	return f(ctx, m)
}

// Load implements Held.
func (m *memoryValue) Load(context.Context) ([]byte, error) { return m.value, nil }

// Keep implements Held.
func (m *memoryValue) Keep(_ context.Context, value []byte) error {
	m.value = bytes.Clone(value)
	return nil
}
