// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package query

import (
	"context"
	"errors"
	"time"

	"github.com/seatkeeper/seatkeeper/internal/model"
	"github.com/seatkeeper/seatkeeper/internal/store"
)

// KeyStore is what the endpoints of keys need.
type KeyStore interface {
	APIKey(ctx context.Context, t model.TenantID, name string) (store.APIKey, error)
	APIKeys(ctx context.Context, t model.TenantID) ([]store.APIKey, error)
	IssueAPIKey(ctx context.Context, t model.TenantID, name string, in store.IssueAPIKey) (store.APIKeyToken, string, error)
	RevokeAPIKey(ctx context.Context, t model.TenantID, name string, by model.Actor, reason string) error
}

// Key is an APIKey with its newest token, which is not kept.
type Key struct {
	Name        string     `json:"name"`
	Type        string     `json:"type"`
	State       string     `json:"state"` // Works, NotIssued, Expired, Revoked
	KeyID       string     `json:"keyID,omitempty"`
	Description string     `json:"description,omitempty"`
	Scopes      []string   `json:"scopes,omitempty"`
	Networks    []string   `json:"sourceNetworks,omitempty"`
	CreatedAt   *time.Time `json:"createdAt,omitempty"`
	CreatedBy   string     `json:"createdBy,omitempty"`
	ExpiresAt   *time.Time `json:"expiresAt,omitempty"`
	LastUsed    *time.Time `json:"lastUsed,omitempty"` // to the minute
	RevokedAt   *time.Time `json:"revokedAt,omitempty"`
	RevokedBy   string     `json:"revokedBy,omitempty"`
	// Previous is the token that a rotation replaced and that still works.
	Previous      string     `json:"previousKeyID,omitempty"`
	PreviousEnds  *time.Time `json:"previousEnds,omitempty"`
	PreviousUsed  *time.Time `json:"previousLastUsed,omitempty"`
	DeliveredTo   string     `json:"deliveredTo,omitempty"`
	RemovedSecret bool       `json:"removedFromSecret,omitempty"`
}

// States of a Key.
const (
	keyWorks     = "Works"
	keyNotIssued = "NotIssued"
	keyExpired   = "Expired"
	keyRevoked   = "Revoked"
)

func keyView(k store.APIKey, now time.Time) Key {
	v := Key{Name: k.Name, Type: k.Type, State: keyNotIssued, Description: k.Description, Scopes: k.Scopes, Networks: k.Networks,
		ExpiresAt: k.ExpiresAt, RevokedAt: k.RevokedAt, RevokedBy: k.RevokedBy}
	if len(k.Tokens) > 0 {
		t := k.Tokens[0]
		v.KeyID, v.CreatedAt, v.CreatedBy, v.LastUsed, v.DeliveredTo, v.RemovedSecret = t.KeyID, &t.CreatedAt, t.CreatedBy, t.LastUsedAt, t.DeliverTo, t.WithdrawnAt != nil
	}
	switch {
	case k.RevokedAt != nil:
		v.State = keyRevoked
	case k.ExpiresAt != nil && !now.Before(*k.ExpiresAt):
		v.State = keyExpired
	case k.Current(now) != nil || k.Previous(now) != nil:
		v.State = keyWorks
	}
	if p := k.Previous(now); p != nil {
		v.Previous, v.PreviousEnds, v.PreviousUsed = p.KeyID, p.EndsAt, p.LastUsedAt
	}
	return v
}

func (a *API) keys(c *call) (any, error) {
	keys, err := a.Store.APIKeys(c, c.tenant)
	if err != nil {
		return nil, err
	}
	views := make([]Key, len(keys))
	for i, k := range keys {
		views[i] = keyView(k, a.now())
	}
	return page("KeyList", views, ""), nil
}

// KeyToken is the answer to who makes a token, and the only place it is shown.
type KeyToken struct {
	Name      string     `json:"name"`
	Type      string     `json:"type"`
	KeyID     string     `json:"keyID"`
	Token     string     `json:"token"`
	ExpiresAt *time.Time `json:"expiresAt,omitempty"`
	// PreviousEnds is when the token before stops working.
	Previous     string     `json:"previousKeyID,omitempty"`
	PreviousEnds *time.Time `json:"previousEnds,omitempty"`
}

func (a *API) issueKey(c *call) (any, error)  { return a.issue(c, false) }
func (a *API) rotateKey(c *call) (any, error) { return a.issue(c, true) }

// issue makes a token of a declared key. Without rotate that is once: whoever
// comes second is told so, and the audit has it.
func (a *API) issue(c *call, rotate bool) (any, error) {
	var in struct {
		// UID of the APIKey that is meant; one that was made anew is not seen yet.
		UID string `json:"uid"`
	}
	if err := c.decode(&in); err != nil {
		return nil, err
	}
	name := c.path("name")
	key, err := a.Store.APIKey(c, c.tenant, name)
	if errors.Is(err, store.ErrNotFound) || err == nil && in.UID != "" && in.UID != key.UID {
		return nil, notFound("APIKey %q was not seen by the manager yet: try again in a moment, and look at `kubectl get apikey %s -n %s`", name, name, c.namespace)
	}
	if err != nil {
		return nil, err
	}
	token, text, err := a.Store.IssueAPIKey(c, c.tenant, name, store.IssueAPIKey{By: c.actor(), Rotate: rotate})
	if errors.Is(err, store.ErrKeyIssued) || errors.Is(err, store.ErrKeyRevoked) || errors.Is(err, store.ErrKeyExpired) {
		if err := a.Store.AppendAudit(c, c.tenant, model.AuditRecord{Actor: c.user, ActorKind: model.ActorUser, Action: "key.create", ObjectKind: "APIKey",
			ObjectName: name, Reason: err.Error(), Result: "refused"}); err != nil {
			return nil, err
		}
		return nil, conflict("%v", err)
	}
	if err != nil {
		return nil, err
	}
	out := KeyToken{Name: name, Type: token.Type, KeyID: token.KeyID, Token: text, ExpiresAt: token.ExpiresAt}
	if key, err = a.Store.APIKey(c, c.tenant, name); err == nil { // what is told beside the token must not lose it
		if p := key.Previous(a.now()); p != nil {
			out.Previous, out.PreviousEnds = p.KeyID, p.EndsAt
		}
	}
	return out, nil
}

func (a *API) revokeKey(c *call) (any, error) {
	var in struct {
		Reason string `json:"reason"`
	}
	if err := c.decode(&in); err != nil {
		return nil, err
	}
	if len(in.Reason) > 256 {
		return nil, badRequest("reason: want at most 256 bytes")
	}
	if err := a.Store.RevokeAPIKey(c, c.tenant, c.path("name"), c.actor(), in.Reason); err != nil {
		return nil, err
	}
	key, err := a.Store.APIKey(c, c.tenant, c.path("name"))
	if err != nil {
		return nil, err
	}
	return keyView(key, a.now()), nil
}
