// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package store

import (
	"encoding/json"
	"time"

	"github.com/seatkeeper/seatkeeper/internal/model"
)

// RunState is where a run stands.
type RunState string

// Run states. Ready, Waiting and InFlight runs have a due time; the others are
// not claimed.
const (
	RunReady     RunState = "ready"     // the next step may begin
	RunWaiting   RunState = "waiting"   // for a time, an answer or a released guard
	RunInFlight  RunState = "inflight"  // an intent is committed; its outcome is not
	RunAttention RunState = "attention" // a person must say how to go on
	RunSucceeded RunState = "succeeded"
	RunFailed    RunState = "failed"
	RunStopped   RunState = "stopped"
)

// Ended reports a final state.
func (s RunState) Ended() bool { return s == RunSucceeded || s == RunFailed || s == RunStopped }

// Priority orders runs inside a lane; lower goes first.
type Priority int

// Priorities of spec/engine.md 1.2.
const (
	PriorityOffboarding Priority = 10
	PriorityRealtime    Priority = 20
	PriorityScheduled   Priority = 30
	PriorityBulk        Priority = 40
)

// Run is one run of a definition. The store does not look into Cursor and
// Vars, which belong to the workflow package.
type Run struct {
	Tenant      model.TenantID  `json:"-"`
	ID          string          `json:"id"`
	Shard       int             `json:"-"`
	ParentID    string          `json:"parentID,omitempty"`
	Kind        string          `json:"kind"` // LicensePolicy, Workflow
	Name        string          `json:"name"`
	Revision    int64           `json:"revision"`
	TriggerKind string          `json:"triggerKind"`
	TriggerKey  string          `json:"triggerKey"`
	Subject     string          `json:"subject,omitempty"`
	PersonID    string          `json:"personID,omitempty"`
	Cause       string          `json:"cause,omitempty"`
	State       RunState        `json:"state"`
	Reason      string          `json:"reason,omitempty"`
	Message     string          `json:"message,omitempty"`
	Outcome     string          `json:"outcome,omitempty"` // reclaimed, kept, skipped, failed, …
	StepPath    string          `json:"stepPath,omitempty"`
	Cursor      json.RawMessage `json:"-"`
	Vars        json.RawMessage `json:"-"`
	Lane        string          `json:"lane,omitempty"`
	Priority    Priority        `json:"priority"`
	DueAt       time.Time       `json:"dueAt"`
	Version     int64           `json:"-"`
	StopAt      *time.Time      `json:"stopRequestedAt,omitempty"`
	StopBy      string          `json:"stopRequestedBy,omitempty"`
	CreatedAt   time.Time       `json:"createdAt"`
	UpdatedAt   time.Time       `json:"updatedAt"`
	EndedAt     *time.Time      `json:"endedAt,omitempty"`
	// SlotKey stands for the concurrency key of a run that is bounded by one;
	// SlotHeld says that it has a place. Only a SlotClaim changes them.
	SlotKey  string `json:"-"`
	SlotHeld bool   `json:"-"`
}

// RunKey names a run.
type RunKey struct {
	Tenant model.TenantID
	ID     string
}

// Key returns the run's key.
func (r Run) Key() RunKey { return RunKey{r.Tenant, r.ID} }

// AttemptState is where one attempt at an external call stands.
type AttemptState string

// Attempt states.
const (
	AttemptIntent    AttemptState = "intent"    // committed before the first byte is sent
	AttemptOK        AttemptState = "ok"        // the effect is there
	AttemptNotSent   AttemptState = "notSent"   // provably had no effect
	AttemptFailed    AttemptState = "failed"    // refused; no effect
	AttemptAmbiguous AttemptState = "ambiguous" // the effect may be there
)

// Attempt is one attempt at one external call.
type Attempt struct {
	StepPath      string       `json:"stepPath"`
	LoopIx        int          `json:"loopIx"`
	Generation    int          `json:"generation"`
	N             int          `json:"n"`
	State         AttemptState `json:"state"`
	Integration   string       `json:"integration"`
	Action        string       `json:"action"`
	Class         string       `json:"class"`
	IdemKey       string       `json:"idempotencyKey"`
	RequestDigest string       `json:"requestDigest,omitempty"`
	DeadlineAt    time.Time    `json:"deadlineAt"`
	Result        string       `json:"result,omitempty"`
	StatusCode    int          `json:"statusCode,omitempty"`
	Error         string       `json:"error,omitempty"`
	StartedAt     time.Time    `json:"startedAt"`
	EndedAt       *time.Time   `json:"endedAt,omitempty"`
}

// NewRun asks for one run.
type NewRun struct {
	Kind, Name  string
	TriggerKind string
	TriggerKey  string // unique per (tenant, kind, name): the same key never starts a second run
	Subject     string
	PersonID    string
	Cause       string // policy and generation, or commit
	ParentID    string // the run that waits for this one
	Definition  json.RawMessage
	Source      string // what a user wrote that became Definition, as JSON
	Revision    int64  // of a definition that is stored; 0: Definition is
	Vars        json.RawMessage
	Lane        string
	Priority    Priority
	DueAt       time.Time // zero: now
	// MayTake is from how many accounts a person let the run take access, whatever
	// the guard of its Workflow says.
	MayTake int64
}

// RunDetail is a run with everything that happened in it.
type RunDetail struct {
	Run
	Attempts []Attempt `json:"attempts"`
	Prompts  []Prompt  `json:"prompts"`
}
