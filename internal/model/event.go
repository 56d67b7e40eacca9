// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package model

import (
	"encoding/json"
	"time"
)

// EventKind names what happened to a fact.
type EventKind string

// Event kinds. The *Loaded kinds stand for a whole first load of a stream that
// may have millions of rows: one event with a count, always initial.
const (
	EventPersonAdded   EventKind = "person.added"   // first seen, whatever the lifecycle
	EventPersonJoined  EventKind = "person.joined"  // lifecycle became current
	EventPersonLeft    EventKind = "person.left"    // lifecycle became past
	EventPersonChanged EventKind = "person.changed" // fields of the merged person changed

	EventAccountsLoaded EventKind = "accounts.loaded"
	EventAccountAdded   EventKind = "account.added"
	EventAccountRemoved EventKind = "account.removed"
	EventAccountChanged EventKind = "account.changed"

	EventSeatsLoaded EventKind = "seats.loaded"
	EventSeatGained  EventKind = "seat.gained"
	EventSeatLost    EventKind = "seat.lost"

	EventAppDiscovered   EventKind = "app.discovered"
	EventAppStateChanged EventKind = "app.stateChanged" // of an Application, as those below
	EventAppNotInIDP     EventKind = "app.notInIdP"
	EventAppSpendChanged EventKind = "app.spendChanged" // or a term of its contracts

	// EventRealtime is what a vendor told by the webhook of its connector; the
	// payload is a RealtimeEvent.
	EventRealtime EventKind = "realtime"
	// EventWebhook is what came to the address of a Workflow; the subject is
	// "Workflow/NAME" and the payload a WebhookEvent.
	EventWebhook EventKind = "webhook"
)

// RealtimeEvent is one thing that a vendor told of, in the words of the source.
// References that the vendor did not state are empty.
type RealtimeEvent struct {
	Name    string `json:"event"`   // "account.changed", …
	EventID string `json:"eventID"` // for triggers to fire once
	Webhook string `json:"webhook"` // of the connector's manifest
	// At is when it happened, as the vendor says.
	At               time.Time      `json:"at"`
	Account          string         `json:"account,omitempty"` // external id
	App              string         `json:"app,omitempty"`     // external id of the app behind the source
	Person           string         `json:"person,omitempty"`  // e-mail address
	PersonExternalID string         `json:"personExternalID,omitempty"`
	Data             map[string]any `json:"data,omitempty"`
}

// WebhookEvent is a body that somebody sent to the address of a Workflow.
type WebhookEvent struct {
	EventID    string    `json:"eventID"` // as the sender was told it
	ReceivedAt time.Time `json:"receivedAt"`
	// Body is the JSON that was sent; a form as an object, a bare text as a
	// string.
	Body json.RawMessage `json:"body"`
}

// Event is one row of the outbox, written in the transaction of the change.
type Event struct {
	ID   string    `json:"id"`
	Kind EventKind `json:"kind"`
	// Subject is the person id for person events; "app/account",
	// "account/plan" or the app's id, as the source names them, for others.
	Subject string `json:"subject"`
	// Integration whose sync found it; empty if it is gone or there is none.
	Integration string `json:"integration,omitempty"`
	// Initial events come from a first load or a change of configuration, not
	// from a change in the world: nothing may act on them.
	Initial   bool            `json:"initial,omitempty"`
	Payload   json.RawMessage `json:"payload,omitempty"`
	CreatedAt time.Time       `json:"createdAt"`
}
