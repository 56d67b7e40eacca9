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
	"slices"
	"sync"
	"time"
)

// Vault keeps, sealed, what a vendor replaces of a credential, for every
// process that uses the credential.
type Vault interface {
	// Hold runs f while nobody else, in any process, runs one for name. The
	// context of f ends before another may begin.
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
	// Origin identifies the Secret's refresh token that this one descends from:
	// when the user changes the Secret, what descends from the old one is void
	// (decision 12).
	Origin  string    `json:"origin"`
	Refresh string    `json:"refresh"`
	Access  string    `json:"access,omitempty"`
	Expires time.Time `json:"expires,omitzero"`
}

// unsavedSet is a token set that could not be kept, and what it replaces.
type unsavedSet struct{ over, value []byte }

// originOf identifies the refresh token of a Secret.
func originOf(secrets map[string]string) string {
	sum := sha256.Sum256(fmt.Appendf(nil, "seatkeeper refresh token v1\x00%s\x00%s", secrets[secretClientID], secrets[secretRefreshToken]))
	return hex.EncodeToString(sum[:])
}

// Rotates reports that signing in spends the credential: the vendor replaces it
// at each use, so that only what keeps the new one (Options.Vault) may try.
func (s *Session) Rotates() bool {
	return s.auth != nil && slices.ContainsFunc(s.auth.secrets, func(f secretField) bool { return f.rotates })
}

// refresher is one turn at a vault.
type refresher struct {
	s       *Session
	held    Held
	entry   *tokenEntry
	secrets map[string]string // of the Secret that set descends from
	raw     []byte
	set     tokenSet
}

// refresh returns an access token: the one that another process has got
// meanwhile, or a new one. A rotated refresh token is kept before the access
// token beside it is used at all.
func (s *Session) refresh(ctx context.Context, e *tokenEntry) (string, time.Time, error) {
	vault := s.o.Vault
	if vault == nil {
		vault = &s.tokens.vault
	}
	var set tokenSet
	err := vault.Hold(ctx, s.auth.id, func(ctx context.Context, held Held) error {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), refreshTimeout)
		defer cancel()
		r := &refresher{s: s, held: held, entry: e, secrets: s.o.Secrets}
		err := r.run(ctx)
		set = r.set
		return err
	})
	if err != nil {
		var known *Error
		if errors.As(err, &known) {
			return "", time.Time{}, known
		}
		return "", time.Time{}, &Error{Class: ClassTransient, Message: "the refresh token could not be used: " + err.Error(), Err: err}
	}
	return set.Access, set.Expires, nil
}

func (r *refresher) run(ctx context.Context) error {
	if err := r.load(ctx); err != nil {
		return err
	}
	if r.usable() {
		return nil
	}
	t, err := r.s.requestToken(ctx, r.secrets, r.set.Refresh)
	if ClassOf(err) == ClassAuth {
		// Perhaps another token has taken its place: look once more.
		tried := r.set
		if again := r.load(ctx); again != nil {
			return again
		}
		switch {
		case r.set.Refresh == tried.Refresh:
			return r.dead(err)
		case r.usable():
			return nil
		}
		if t, err = r.s.requestToken(ctx, r.secrets, r.set.Refresh); ClassOf(err) == ClassAuth {
			return r.dead(err)
		}
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

// load finds the newest token set: what is kept, unless the Secret was changed
// since. When the two disagree either may be the older, so that the Secret is
// read again to tell.
func (r *refresher) load(ctx context.Context) error {
	raw, err := r.held.Load(ctx)
	if err != nil {
		return err
	}
	if u := r.entry.unsaved; u.value != nil {
		if bytes.Equal(u.over, raw) {
			if err := r.held.Keep(ctx, u.value); err != nil {
				return err
			}
			raw = u.value
		}
		r.entry.unsaved = unsavedSet{}
	}
	first := r.set.Refresh == ""
	r.raw, r.set = raw, tokenSet{}
	if raw != nil {
		if err := json.Unmarshal(raw, &r.set); err != nil {
			return errors.New("what is kept of the credential is damaged")
		}
	}
	if first && raw != nil && r.set.Origin == originOf(r.secrets) {
		return nil
	}
	if r.s.o.Reload != nil {
		if r.secrets, err = r.s.o.Reload(ctx); err != nil {
			return fmt.Errorf("read the Secret again: %w", err)
		}
	}
	if origin := originOf(r.secrets); r.set.Origin != origin {
		r.set = tokenSet{Origin: origin, Refresh: r.secrets[secretRefreshToken]}
	}
	return nil
}

func (r *refresher) dead(err error) error {
	var e *Error
	if !errors.As(err, &e) {
		return err
	}
	c := *e
	c.Fix = "authorise the app anew and put the new refresh token into the Secret's key " + secretRefreshToken
	return &c
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
	if err != nil && !errors.Is(err, ErrVaultChanged) {
		r.entry.unsaved = unsavedSet{over: r.raw, value: value}
	}
	if err != nil {
		return fmt.Errorf("keep the new refresh token: %w", err)
	}
	return nil
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
