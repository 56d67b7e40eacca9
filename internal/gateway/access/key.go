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
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/metrics"

	"github.com/seatkeeper/seatkeeper/internal/model"
	"github.com/seatkeeper/seatkeeper/internal/ratelimit"
	"github.com/seatkeeper/seatkeeper/internal/store"
)

// Types of keys, as APIKey.spec.type.
const (
	KeySCIM = "SCIM"
	KeyREST = "REST"
	KeyMCP  = "MCP"
)

var refusedUses = prometheus.NewCounterVec(prometheus.CounterOpts{
	Name: "seatkeeper_api_key_refused_total", Help: "Requests refused for their key, by the type of key asked for and status code.",
}, []string{"type", "code"})

func init() { metrics.Registry.MustRegister(refusedUses) }

// Scopes of keys of type SCIM. They have no others.
const (
	SCIMRead  = "scim:read"
	SCIMWrite = "scim:write"
	// SCIMAdmins is to give people roles that administer. Nobody has it unasked:
	// who may put people into a directory need not decide who governs it.
	SCIMAdmins = "scim:admins"
)

// KeyIdentity is who calls with a key.
type KeyIdentity struct {
	Tenant    model.TenantID
	Namespace string
	KeyID     string // public; the audit names the key by it
	Name      string // of the APIKey
	Type      string
	Scopes    []string // of its APIKey; May says what they amount to
}

// May reports whether the key has a scope. Without scopes a key of type SCIM has
// scim:read and scim:write; another reads everything and writes nothing.
func (i KeyIdentity) May(scope string) bool {
	switch {
	case i.Type != KeySCIM:
		return HasScope(i.Scopes, scope)
	case len(i.Scopes) == 0:
		return scope == SCIMRead || scope == SCIMWrite
	}
	return slices.Contains(i.Scopes, scope)
}

// Actor is how the audit names the caller.
func (i KeyIdentity) Actor() string { return "apikey/" + i.Name + "/" + i.KeyID }

// KeyStore is what keys are looked up in.
type KeyStore interface {
	APIKeyToken(ctx context.Context, t model.TenantID, keyID string) (store.APIKeyToken, error)
	TouchAPIKey(ctx context.Context, t model.TenantID, keyID string) error
}

// Keys authenticates callers by key. The key is looked up for every request, by
// primary key: what is revoked is refused from the next request on, by every
// replica. Make one with NewKeys.
type Keys struct {
	store  KeyStore
	clock  clock.PassiveClock
	log    *slog.Logger
	budget *ratelimit.Memory
	*Failures

	mu      sync.Mutex
	touched map[string]time.Time
}

// NewKeys looks keys up in the store.
func NewKeys(s KeyStore, c clock.PassiveClock, log *slog.Logger) *Keys {
	return &Keys{store: s, clock: c, log: log, budget: ratelimit.NewMemory(c), Failures: NewFailures(c), touched: map[string]time.Time{}}
}

// Budgets, of each replica.
var (
	// keyRate is what one key may call. Entra ID asks for at least 25 a second.
	keyRate = ratelimit.Rate{Count: 50, Per: time.Second, Burst: 200}
)

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

// HasKey reports whether a request carries what looks like a key of ours, in
// whatever form.
func HasKey(r *http.Request) bool {
	return slices.ContainsFunc(r.Header.Values("Authorization"), func(v string) bool { return strings.Contains(v, store.TokenPrefix) })
}

// Authenticate returns who calls with a key of the type. To others it is a
// *Refusal: 401 that says nothing about whether the key exists, 403 for the
// wrong type or network, 429 over budget. With a refusal comes who the key is, if
// it names one that exists: for logs, and proof of nothing. Any other error means that the store
// could not be asked, and nothing may be served.
func (k *Keys) Authenticate(r *http.Request, keyType string) (KeyIdentity, error) {
	id, err := k.authenticate(r, keyType)
	var refused *Refusal
	if errors.As(err, &refused) {
		refusedUses.WithLabelValues(keyType, strconv.Itoa(refused.Code)).Inc()
	}
	return id, err
}

func (k *Keys) authenticate(r *http.Request, keyType string) (KeyIdentity, error) {
	token, err := store.ParseAPIToken(Bearer(r))
	if err != nil {
		return KeyIdentity{}, k.Failed(r, badKey())
	}
	if blocked := k.BlockedLookup(r); blocked != nil {
		return KeyIdentity{}, blocked
	}
	row, err := k.store.APIKeyToken(r.Context(), token.Tenant, token.KeyID)
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return KeyIdentity{}, err
	}
	if err != nil {
		return KeyIdentity{}, k.Failed(r, badKey())
	}
	id := KeyIdentity{Tenant: token.Tenant, Namespace: row.Namespace, KeyID: row.KeyID, Name: row.Name, Type: row.Type, Scopes: row.Scopes}
	why := row.Ended(k.clock.Now())
	if subtle.ConstantTimeCompare(row.Digest, token.Digest()) != 1 {
		why = "wrong secret"
	}
	note := NoteOf(r.Context())
	note.Key(id, why == "")
	if note.Reason = why; why != "" {
		return id, k.Failed(r, badKey())
	}
	k.Proved(r)
	if row.Type != keyType {
		note.Reason = "wrong type"
		return id, Refuse(http.StatusForbidden, "this key is of type %s, and this interface takes keys of type %s", row.Type, keyType)
	}
	if !within(row.Networks, ClientAddress(r)) {
		note.Reason = "network"
		return id, Refuse(http.StatusForbidden, "this key does not work from this address: spec.sourceNetworks of its APIKey says from where")
	}
	if wait := k.take(r.Context(), "key/"+row.KeyID, keyRate); wait > 0 {
		return id, tooMany(wait)
	}
	k.touch(r.Context(), row)
	return id, nil
}

func badKey() *Refusal {
	e := Refuse(http.StatusUnauthorized, "unauthorised: the bearer token is no key that works; it may be mistyped, expired or revoked: `seatkeeper keys list` shows")
	e.Challenge = "Bearer"
	return e
}

func (k *Keys) take(ctx context.Context, key string, rate ratelimit.Rate) time.Duration {
	wait, err := k.budget.Take(ctx, key, rate)
	if err != nil {
		return time.Second // a budget in memory does not fail
	}
	return wait
}

// Require refuses a key without a scope such as contracts:read, with a *Refusal.
func (k *Keys) Require(r *http.Request, id KeyIdentity, scope string) error {
	if id.May(scope) {
		return nil
	}
	otherwise := "reads everything and writes nothing"
	if id.Type == KeySCIM {
		otherwise = "reads and writes, and makes nobody an administrator"
	}
	NoteOf(r.Context()).Reason = "scope " + scope
	return Refuse(http.StatusForbidden, "the key lacks the scope %s: spec.scopes of its APIKey lists what it may; without any it %s", scope, otherwise)
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
	now := k.clock.Now()
	k.mu.Lock()
	if len(k.touched) >= maxProven {
		clear(k.touched)
	}
	due := now.Sub(k.touched[row.KeyID]) >= touchEvery
	if due {
		k.touched[row.KeyID] = now
	}
	k.mu.Unlock()
	if !due {
		return
	}
	if err := k.store.TouchAPIKey(ctx, row.Tenant, row.KeyID); err != nil && ctx.Err() == nil {
		k.log.Warn("The last use of a key was not recorded", "key", row.KeyID, "error", err)
	}
}
