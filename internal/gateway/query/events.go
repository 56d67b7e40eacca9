// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package query

import (
	"context"
	"errors"

	"github.com/seatkeeper/seatkeeper/internal/model"
	"github.com/seatkeeper/seatkeeper/internal/store"
)

// EventStore is what the endpoints of received events need.
type EventStore interface {
	ReceivedEvents(ctx context.Context, t model.TenantID, q store.EventQuery) ([]store.ReceivedEvent, error)
	ReceivedEvent(ctx context.Context, t model.TenantID, id string) (store.ReceivedEvent, error)
	EventBody(ctx context.Context, k *store.Keyring, t model.TenantID, id string) ([]byte, error)
	ReplayEvent(ctx context.Context, k *store.Keyring, t model.TenantID, id string, by model.Actor, reason string) error
}

func (a *API) events(c *call) (any, error) {
	states, err := oneOf(c, "state", store.EventNew, store.EventHandled, store.EventDead)
	if err != nil {
		return nil, err
	}
	q := store.EventQuery{States: states, Endpoint: c.query.Get("endpoint"), Before: c.query.Get("continue"), Limit: c.limit}
	events, err := a.Store.ReceivedEvents(c, c.tenant, q)
	if err != nil {
		return nil, err
	}
	return page("EventList", events, c.next(len(events), func(i int) string { return events[i].ID })), nil
}

func (a *API) event(c *call) (any, error) { return a.Store.ReceivedEvent(c, c.tenant, c.path("name")) }

// EventBody is what a dead letter says, to whom may read it.
type EventBody struct {
	ID   string `json:"id"`
	Body string `json:"body"`
}

// eventBody shows what was received, which may name people: who looked is kept.
func (a *API) eventBody(c *call) (any, error) {
	body, err := a.letter(c)
	if err != nil {
		return nil, err
	}
	err = a.Store.AppendAudit(c, c.tenant, model.AuditRecord{Actor: c.user, ActorKind: model.ActorUser, Action: "event.read", ObjectKind: "Event", ObjectName: c.path("name"), Result: "shown"})
	if err != nil {
		return nil, err
	}
	return EventBody{ID: c.path("name"), Body: string(body)}, nil
}

func (a *API) letter(c *call) ([]byte, error) {
	if a.Keyring == nil {
		return nil, conflict("this gateway has no key that opens dead letters")
	}
	body, err := a.Store.EventBody(c, a.Keyring, c.tenant, c.path("name"))
	if errors.Is(err, store.ErrNoBody) {
		return nil, conflict("%v", err)
	}
	return body, err
}

func (a *API) replayEvent(c *call) (any, error) {
	var in struct {
		Reason string `json:"reason"`
	}
	if err := c.decode(&in); err != nil {
		return nil, err
	}
	if _, err := a.letter(c); err != nil {
		return nil, err
	}
	err := a.Store.ReplayEvent(c, a.Keyring, c.tenant, c.path("name"), c.actor(), in.Reason)
	if errors.Is(err, store.ErrNoBody) {
		return nil, conflict("%v", err)
	}
	if err != nil {
		return nil, err
	}
	return a.Store.ReceivedEvent(c, c.tenant, c.path("name"))
}
