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

	EventAppDiscovered EventKind = "app.discovered"
)

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
