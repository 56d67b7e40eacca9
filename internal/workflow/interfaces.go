// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package workflow

import (
	"context"
	"encoding/json"
	"time"

	"github.com/seatkeeper/seatkeeper/internal/model"
	"github.com/seatkeeper/seatkeeper/internal/notify"
	"github.com/seatkeeper/seatkeeper/internal/store"
)

// Class says how an unknown outcome of an action is resolved.
type Class string

// Classes of spec/engine.md 1.3.
const (
	ClassRead       Class = "read"
	ClassIdempotent Class = "idempotent"
	ClassKeyed      Class = "keyed"
	ClassVerifiable Class = "verifiable"
	ClassUnsafe     Class = "unsafe"
)

// ActionInfo is what the engine must know of an action before it sends it.
type ActionInfo struct {
	Class       Class
	HasPrecheck bool
	HasVerify   bool
	// VerifyWithin is how long the vendor may take to show the effect.
	VerifyWithin time.Duration
	// WaitTimeout is how long the vendor may work at what it accepted, and
	// WaitEvery how often to ask; zero: accepted is all there is to know.
	WaitTimeout time.Duration `json:",omitempty"`
	WaitEvery   time.Duration `json:",omitempty"`
	EndsAccount bool
	// Removes says that the action takes access from an account.
	Removes bool `json:",omitempty"`
	// Refused says why the action may not be sent: permission Read, a
	// destructive action that the Integration does not name. Empty: it may.
	Refused string
	// Paused says why it may not be sent for now: the Integration is suspended.
	Paused string
}

// Call is one logical effect in a tenant's integration.
type Call struct {
	Integration string         `json:"integration"`
	Action      string         `json:"action"`
	Input       map[string]any `json:"input,omitempty"`
	IdemKey     string         `json:"-"`
	// Request is what an http step sends, and ReadBack how it looks whether it
	// took effect; Input is what may be shown of them.
	Request  *Request `json:"-"`
	ReadBack *Request `json:"-"`
	// Accepted is what Execute gave for work that the vendor goes on with;
	// Verify asks for that work's end.
	Accepted map[string]any `json:"-"`
}

// ResultClass is how a call ended.
type ResultClass string

// Result classes of spec/connectors.md; Absent is the answer of Precheck and
// Verify when the effect is not there.
const (
	ResultDone        ResultClass = "done"
	ResultAlready     ResultClass = "already"
	ResultAccepted    ResultClass = "accepted"
	ResultDenied      ResultClass = "denied"
	ResultNotFound    ResultClass = "not_found"
	ResultConflict    ResultClass = "conflict"
	ResultRateLimited ResultClass = "rate_limited"
	ResultFailed      ResultClass = "failed"
	ResultUnknown     ResultClass = "unknown"
	ResultAbsent      ResultClass = "absent"
)

// Result is the outcome of a call.
type Result struct {
	Class  ResultClass
	Output map[string]any
	// Sent is false only if the request that has the effect provably never
	// left this process.
	Sent          bool
	RequestDigest string
	StatusCode    int
	RetryAfter    time.Duration
	Message       string // fit for a person; holds no secret
	// Final tells of a verification that it need not be asked again: the work
	// that the vendor accepted ended without its effect. It tells of a failure
	// that another attempt would meet it again, or could make it worse.
	Final bool
	// Answer is what came back of a request of an http step.
	Answer *Answer
}

// NotSentError is the error of a call that provably had no effect: it never left
// this process.
type NotSentError struct{ Err error }

func (e *NotSentError) Error() string { return e.Err.Error() }

// Unwrap returns the cause.
func (e *NotSentError) Unwrap() error { return e.Err }

// Actions reaches a tenant's integrations. An error means that nothing is
// known about the call, unless it is a *NotSentError; a Result is preferred
// wherever something is.
type Actions interface {
	// Action describes an action as the integration now allows it.
	Action(ctx context.Context, tenant model.TenantID, integration, action string) (ActionInfo, error)
	// Precheck and Verify ask whether the effect is there and change nothing.
	Precheck(ctx context.Context, tenant model.TenantID, c Call) (Result, error)
	Execute(ctx context.Context, tenant model.TenantID, c Call) (Result, error)
	Verify(ctx context.Context, tenant model.TenantID, c Call) (Result, error)
}

// Decision is what a recheck says.
type Decision string

// Recheck decisions.
const (
	Go   Decision = "Go"   // the reason to act still stands
	Drop Decision = "Drop" // it does not: nothing will be done
	Hold Decision = "Hold" // something forbids it for now: a guard, leave
)

// Verdict is the answer of Facts.Recheck.
type Verdict struct {
	Decision Decision
	Reason   string // RenewedUse, PolicyGone, PolicySuspended, SeatGone, Protected, Exempt, GuardHeld, OnLeave
	Message  string // one sentence for the person concerned
}

// Facts knows what the inventory and the policies say now.
type Facts interface {
	// Recheck looks again, right before an effect, whether the run's reason
	// still stands.
	Recheck(ctx context.Context, tenant model.TenantID, run Subject) (Verdict, error)
}

// Subject is what a run is about.
type Subject struct {
	RunID      string
	Kind, Name string // the definition: LicensePolicy/zoom-90d
	Subject    string
	PersonID   string
	CreatedAt  time.Time
	StartedBy  string          // who started it by hand, as they authenticated
	Vars       json.RawMessage // of the reclaim flow: see ReclaimVars
}

// Role names people relative to a run.
type Role string

// Roles.
const (
	RolePerson   Role = "Person"   // the run's own person
	RoleManager  Role = "Manager"  // of the run's person
	RoleAppOwner Role = "AppOwner" // owners of the app concerned
	RoleOwner    Role = "Owner"    // of the contract that the run is about
)

// People knows who holds a role and how to reach them.
type People interface {
	// Holders returns who holds the role for the run's subject: nobody when
	// the person is unknown or has left.
	Holders(ctx context.Context, tenant model.TenantID, run Subject, role Role) ([]store.Assignee, error)
	// ByEmail returns the person with the address. known is false for one who
	// is not in the directory; who has left is known, and nobody.
	ByEmail(ctx context.Context, tenant model.TenantID, email string) (found []store.Assignee, known bool, err error)
	// Channels are those that the organisation declares, for steps that name
	// none.
	Channels(ctx context.Context, tenant model.TenantID) ([]ChannelRef, error)
	// SlackUser returns the person's Slack user in the integration. ok is
	// false if none is linked, or if the run is about that very app and the
	// person does not use it (decision 31).
	SlackUser(ctx context.Context, tenant model.TenantID, run Subject, integration, personID string) (userID string, ok bool, err error)
}

// Channel turns a question into the call that delivers it. It makes no call
// itself: delivery is an effect like any other.
type Channel interface {
	// Kind is what definitions call the channel: slack, email.
	Kind() string
	// Send delivers q to the address; token is what the answer must carry.
	Send(integration, address string, q notify.Question) (Call, error)
	// Ref reads from the outcome of Send where the message is.
	Ref(output map[string]any) (map[string]string, error)
	// Update replaces a delivered message.
	Update(m store.MessageRef, c notify.Closing) (Call, error)
}

// Lanes shares the rate budget of one connector account among all that draw
// on it. A lane is "TENANT/INTEGRATION".
type Lanes interface {
	// Draw takes up to want starts and returns how many it got and, if fewer,
	// when to ask again.
	Draw(ctx context.Context, tenant model.TenantID, integration string, want int) (got int, again time.Time, err error)
	// Block lets nobody draw before until (HTTP 429).
	Block(ctx context.Context, tenant model.TenantID, integration string, until time.Time) error
}
