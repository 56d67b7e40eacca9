// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package access

import (
	"context"
	"crypto/subtle"
	"errors"
	"log/slog"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"

	"k8s.io/utils/clock"

	"github.com/seatkeeper/seatkeeper/internal/model"
	"github.com/seatkeeper/seatkeeper/internal/store"
)

// Types of keys, as APIKey.spec.type.
const (
	KeySCIM = "SCIM"
	KeyREST = "REST"
	KeyMCP  = "MCP"
)

// KeyIdentity is who calls with a key.
type KeyIdentity struct {
	Tenant    model.TenantID
	Namespace string
	KeyID     string // public; the audit names the key by it
	Name      string // of the APIKey
	Type      string
	Scopes    []string // empty: read everything, write nothing
}

// Actor is how the audit names the caller.
func (i KeyIdentity) Actor() string { return "apikey/" + i.Name + "/" + i.KeyID }

// KeyStore is what keys are looked up in.
type KeyStore interface {
	APIKeyToken(ctx context.Context, t model.TenantID, keyID string) (store.APIKeyToken, error)
	TouchAPIKey(ctx context.Context, t model.TenantID, keyID string) error
	AppendAudit(ctx context.Context, t model.TenantID, r model.AuditRecord) error
}

// Keys authenticates callers by key. The key is looked up for every request:
// what is revoked is refused from the next request on, by every replica.
type Keys struct {
	Store KeyStore
	Clock clock.PassiveClock
	Log   *slog.Logger

	mu      sync.Mutex
	touched map[string]time.Time
}

// touchEvery bounds how often a replica writes when a key was last used.
const touchEvery = time.Minute

// Bearer returns the bearer token of a request. It is empty without one, or
// with several.
func Bearer(r *http.Request) string {
	values := r.Header.Values("Authorization")
	if len(values) != 1 {
		return ""
	}
	scheme, token, _ := strings.Cut(values[0], " ")
	if !strings.EqualFold(scheme, "Bearer") {
		return ""
	}
	return strings.TrimSpace(token)
}

// HasKey reports whether a request carries what looks like a key of ours.
func HasKey(r *http.Request) bool { return strings.HasPrefix(Bearer(r), store.TokenPrefix) }

// Authenticate returns who calls with a key of the type. To others it is a
// *Refusal: 401 that says nothing about whether the key exists, 403 for the
// wrong type or network, 429 over budget. Any other error means that the store
// could not be asked, and nothing may be served.
func (k *Keys) Authenticate(r *http.Request, keyType string) (KeyIdentity, error) {
	token, err := store.ParseAPIToken(Bearer(r))
	if err != nil {
		return KeyIdentity{}, badKey()
	}
	row, err := k.Store.APIKeyToken(r.Context(), token.Tenant, token.KeyID)
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return KeyIdentity{}, err
	}
	if err != nil || subtle.ConstantTimeCompare(row.Digest, token.Digest()) != 1 || row.Ended(k.Clock.Now()) != "" {
		return KeyIdentity{}, badKey()
	}
	if row.Type != keyType {
		return KeyIdentity{}, Refuse(http.StatusForbidden, "this key is of type %s, and this interface takes keys of type %s", row.Type, keyType)
	}
	if !within(row.Networks, ClientAddress(r)) {
		return KeyIdentity{}, Refuse(http.StatusForbidden, "this key does not work from this address: spec.sourceNetworks of its APIKey says from where")
	}
	k.touch(r.Context(), row)
	return KeyIdentity{Tenant: token.Tenant, Namespace: row.Namespace, KeyID: row.KeyID, Name: row.Name, Type: row.Type, Scopes: row.Scopes}, nil
}

func badKey() *Refusal {
	e := Refuse(http.StatusUnauthorized, "unauthorised: the bearer token is no key that works; it may be mistyped, expired or revoked: `seatkeeper keys list` shows")
	e.Challenge = "Bearer"
	return e
}

// within reports whether the address is in one of the networks; none is any.
func within(networks []string, a netip.Addr) bool {
	return len(networks) == 0 || slices.ContainsFunc(networks, func(n string) bool {
		p, err := netip.ParsePrefix(n)
		return err == nil && p.Contains(a)
	})
}

// touch writes now and then when the key was last used. That it cannot be
// written keeps nobody from using the key.
func (k *Keys) touch(ctx context.Context, row store.APIKeyToken) {
	now := k.Clock.Now()
	k.mu.Lock()
	if k.touched == nil {
		k.touched = map[string]time.Time{}
	}
	due := now.Sub(k.touched[row.KeyID]) >= touchEvery
	if due {
		k.touched[row.KeyID] = now
	}
	k.mu.Unlock()
	if !due {
		return
	}
	if err := k.Store.TouchAPIKey(ctx, row.Tenant, row.KeyID); err != nil && ctx.Err() == nil {
		k.Log.Warn("The last use of a key was not recorded", "key", row.KeyID, "error", err)
	}
}
