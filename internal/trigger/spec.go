// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package trigger

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/seatkeeper/seatkeeper/internal/model"
	"github.com/seatkeeper/seatkeeper/internal/workflow"
)

// Spec is what starts runs of a Workflow. Exactly one kind is set.
type Spec struct {
	Person   *Person   `json:"person,omitempty"`
	Realtime *Realtime `json:"realtime,omitempty"`
	Webhook  *Webhook  `json:"webhook,omitempty"`
	Schedule *Schedule `json:"schedule,omitempty"`

	Application *Application `json:"application,omitempty"`
	Contract    *Contract    `json:"contract,omitempty"`
	License     *License     `json:"license,omitempty"`

	// Subject is what runs are about, as workflow names it; empty: nothing.
	Subject string `json:"subject,omitempty"`
	// When is a condition over what a run begins with; empty: always.
	When string `json:"when,omitempty"`
	// At moves the start to a moment; nil: at once.
	At      *workflow.Moment `json:"at,omitempty"`
	CatchUp *CatchUp         `json:"catchUp,omitempty"`
	// Guard bounds how many runs start; nil: nothing does.
	Guard *Guard `json:"guard,omitempty"`
}

// Person events.
const (
	Joined   = "Joined"
	Left     = "Left"
	Changed  = "Changed"
	StartsOn = "StartsOn"
	EndsOn   = "EndsOn"
)

// Person starts runs when something happens to a person.
type Person struct {
	Events []string `json:"events"`
	// Changed are the fields that count with event Changed.
	Changed []string `json:"changed,omitempty"`
}

// Realtime starts runs on what a vendor tells.
type Realtime struct {
	Integration string `json:"integration"`
	Event       string `json:"event"`
}

// Webhook starts runs on what is sent to the address of the Workflow.
type Webhook struct {
	// Match finds the person whom a body is about: the first entry whose field
	// the body has decides. Without entries a run has no subject.
	Match []Match `json:"match,omitempty"`
	// Create makes somebody whom nothing matches known, with Fields.
	Create bool              `json:"create,omitempty"`
	Fields map[string]string `json:"fields,omitempty"`
}

// Match fields.
const (
	MatchEmployeeID = "employeeID"
	MatchEmail      = "email"
	MatchExternalID = "externalID"
)

// Match compares a field of people with what a template makes of a body.
type Match struct {
	Field string `json:"field"`
	Value string `json:"value"`
}

// Schedule starts runs at wall times.
type Schedule struct {
	Cron     string `json:"cron"`
	TimeZone string `json:"timeZone,omitempty"` // empty: the organisation's
}

// Catch-up modes.
const (
	CatchUpRun         = "Run"
	CatchUpSkip        = "Skip"
	CatchUpRunIfWithin = "RunIfWithin"
)

// CatchUp says what becomes of a moment that has passed when it is first seen.
type CatchUp struct {
	Mode   string        `json:"mode"`
	Within workflow.Span `json:"within,omitzero"` // of RunIfWithin
}

// Guard bounds how many runs start in a window (decision 18).
type Guard struct {
	MinItems   int           `json:"minItems"`
	MaxPercent int           `json:"maxPercent"`
	Per        time.Duration `json:"per"`
}

// DefaultGuard applies to runs about people and to those that do what cannot be
// undone, where a Workflow declares none.
var DefaultGuard = Guard{MinItems: model.DefaultActionGuard.MinItems, MaxPercent: model.DefaultActionGuard.MaxPercent, Per: 24 * time.Hour}

// Allowed is how many runs about people of a set of total may start in a window.
// Where runs are about nobody there is no set, and MinItems is all there is.
func (g Guard) Allowed(subject string, total int64) int64 {
	if !workflow.HasPerson(subject) {
		return int64(g.MinItems)
	}
	return model.Guard{MinItems: g.MinItems, MaxPercent: g.MaxPercent}.Allowed(total)
}

// Marshal returns the spec as it is stored with its Workflow.
func (s Spec) Marshal() (string, error) {
	b, err := json.Marshal(s)
	if err != nil {
		return "", fmt.Errorf("encode a trigger: %w", err)
	}
	return string(b), nil
}
