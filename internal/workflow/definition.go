// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package workflow

import "encoding/json"

// Definition is a step graph. Texts in it may have holes of its language.
type Definition struct {
	Language string `json:"language,omitempty"` // LanguageCEL, or empty: ${path} holes
	// Subject is the kind of thing that a run is about, and with it the variable
	// that expressions have beside the common ones.
	Subject string `json:"subject,omitempty"`
	// Locals are the names of the items that the steps know, of a definition that
	// is the steps of a forEach.
	Locals []string `json:"locals,omitempty"`
	// When is false for a run that shall do nothing.
	When  string `json:"when,omitempty"`
	Steps []Step `json:"steps"`
	// OnFailure runs when a step has failed for good; the run then ends failed.
	OnFailure []Step `json:"onFailure,omitempty"`
	// Timeout of a whole run; zero: none.
	Timeout Span `json:"timeout,omitzero"`
	// Concurrency bounds the runs that are under way at once; nil: nothing does.
	Concurrency *Concurrency `json:"concurrency,omitempty"`
}

// Step does exactly one thing. Its result is ${steps.NAME}.
type Step struct {
	Name string `json:"name"`
	// When is false where the step is to be skipped.
	When string `json:"when,omitempty"`
	// OnError says what a step that failed for good does to its run: Fail
	// (default), Continue or Ask.
	OnError string `json:"onError,omitempty"`
	// Timeout of the step with all its attempts; zero: none.
	Timeout Span `json:"timeout,omitzero"`
	// Outputs are expressions over the answer of the step's call, kept in its
	// result by name.
	Outputs map[string]string `json:"outputs,omitempty"`
	// Sensitive are the outputs that are sealed while the run keeps them.
	Sensitive []string `json:"sensitive,omitempty"`

	Action  *ActionStep  `json:"action,omitempty"`
	HTTP    *HTTPStep    `json:"http,omitempty"`
	ForEach *ForEachStep `json:"forEach,omitempty"`
	// Workflow runs another Workflow.
	Workflow    *CallStep        `json:"workflow,omitempty"`
	Offboarding *OffboardingStep `json:"offboarding,omitempty"`

	Ask    *AskStep    `json:"ask,omitempty"`
	Switch *SwitchStep `json:"switch,omitempty"`
	Wait   *WaitStep   `json:"wait,omitempty"`
	Check  *CheckStep  `json:"check,omitempty"`
	Book   *BookStep   `json:"book,omitempty"`
	Tell   *TellStep   `json:"tell,omitempty"`
	Notify *NotifyStep `json:"notify,omitempty"`
	End    *EndStep    `json:"end,omitempty"`
}

// OnError values.
const (
	OnErrorContinue = "Continue"
	OnErrorAsk      = "Ask"
)

// ActionStep makes one external write.
type ActionStep struct {
	Integration string         `json:"integration"`
	Action      string         `json:"action"`
	With        map[string]any `json:"with,omitempty"`
	// WithFrom is the path of a variable that holds further input.
	WithFrom string `json:"withFrom,omitempty"`
	Retry    Retry  `json:"retry,omitzero"`
	// OnAmbiguous says what an unsafe action with an unknown outcome does:
	// Ask (default), Fail or Retry.
	OnAmbiguous string `json:"onAmbiguous,omitempty"`
	// Recheck names the check step before this one. Its verdict is asked for
	// again when the action is sent later than right after it: behind a rate
	// limit, an outage, a stopped process. A Hold waits; a Drop goes on behind
	// the check, whose result it becomes.
	Recheck string `json:"recheck,omitempty"`
}

// OnAmbiguous values.
const (
	AmbiguousAsk   = "Ask"
	AmbiguousFail  = "Fail"
	AmbiguousRetry = "Retry"
)

// Retry bounds how a step is repeated. Waiting for a rate limit does not count.
type Retry struct {
	MaxAttempts int  `json:"maxAttempts,omitempty"` // 0: 4 refusals, or a day of outage
	Base        Span `json:"base,omitzero"`         // 0: 1s, doubled each time
	Max         Span `json:"max,omitzero"`          // 0: 5m
	Timeout     Span `json:"timeout,omitzero"`      // of one request; 0: 30s
}

// AskStep asks people. Its result has answer, by, byKind, reason and source
// (answer, timeout, withdrawn, noApprover, nobody).
type AskStep struct {
	Purpose string `json:"purpose"` // seat.keep, seat.escalation, …
	// Stages are asked one after the other, each for Timeout; a stage that
	// nobody holds is passed over.
	Stages   []AskStage   `json:"stages"`
	Channels []ChannelRef `json:"channels"`
	Options  []string     `json:"options"`
	// Reminders are sent so long after the question.
	Reminders []Span `json:"reminders,omitempty"`
	Timeout   Span   `json:"timeout"`
	// OnTimeout is the answer that silence stands for. A matter without one fails
	// its step.
	OnTimeout string `json:"onTimeout"`
	// KeepFor is what Keep means, for the question's text.
	KeepFor Span `json:"keepFor,omitzero"`
	// IfNobody is the answer of a question that nobody can be asked: the person
	// has left, or is not known. Without it such a question is held, because
	// the silence of nobody decides nothing.
	IfNobody string `json:"ifNobody,omitempty"`
	// NotSelf excludes the run's person: no self-approval.
	// The one who started a matter's run by hand is excluded as well.
	NotSelf bool        `json:"notSelf,omitempty"`
	Quiet   *QuietHours `json:"quiet,omitempty"` // of a matter: only of its reminders
	Matter  *AskMatter  `json:"matter,omitempty"`
}

// Purposes of questions that the engine words itself.
const (
	PurposeSeatKeep       = "seat.keep"
	PurposeSeatEscalation = "seat.escalation"
)

// Withdrawn is the answer of a question that no longer arises.
const Withdrawn = "Withdrawn"

// QuietHours holds questions back between two wall times of the day in the
// zone of the person asked; From may be later than To.
type QuietHours struct {
	From string `json:"from"` // "18:00"
	To   string `json:"to"`   // "09:00"
}

// AskStage names who is asked together; the first answer counts.
type AskStage struct {
	Roles []Role `json:"roles,omitempty"`
	// To is asked by a matter. Stages of one Group are alternatives: the first
	// who can be found and reached is asked, and after a silence the next Group.
	To    *Recipient `json:"to,omitempty"`
	Group int        `json:"group,omitempty"`
}

// ChannelRef names a channel.
type ChannelRef struct {
	Kind        string `json:"kind"`
	Integration string `json:"integration,omitempty"`
}

// SwitchStep goes on in the case that equals the value of On, or in the first
// of When that is true; without one, in Otherwise.
type SwitchStep struct {
	On        string            `json:"on,omitempty"` // a path: steps.ask.answer
	Cases     map[string][]Step `json:"cases,omitempty"`
	When      []CaseStep        `json:"when,omitempty"`
	Otherwise []Step            `json:"otherwise,omitempty"`
}

// CaseStep is a branch with a condition.
type CaseStep struct {
	When  string `json:"when"`
	Steps []Step `json:"steps"`
}

// WaitStep waits for a time, until a moment or for days of work.
type WaitStep struct {
	For          Span    `json:"for"`
	Until        *Moment `json:"until,omitempty"`
	BusinessDays int     `json:"businessDays,omitempty"`
}

// Moment is a date, moved by days, at a wall time in a zone.
type Moment struct {
	Date       string `json:"date"` // an expression that gives a date
	OffsetDays int    `json:"offsetDays,omitempty"`
	// OffsetBusinessDays moves it by days of work instead; 0: to the next one,
	// unless it is one.
	OffsetBusinessDays *int   `json:"offsetBusinessDays,omitempty"`
	Time               string `json:"time,omitempty"` // HH:MM or EndOfDay; empty: 09:00
	// Zone is Person, Organization or an IANA name; empty: Person, where the run
	// has one that says its zone, else Organization.
	Zone string `json:"zone,omitempty"`
}

// CheckStep asks Facts whether the reason to act still stands. Its result has
// decision, reason and message. A Hold waits.
type CheckStep struct{}

// BookStep writes ledger, exemption and the run's decision in the transaction
// that moves the run on.
type BookStep struct {
	Kind    string `json:"kind"`             // Reclaimed, Kept
	KeepFor Span   `json:"keepFor,omitzero"` // of Kept
}

// TellStep replaces every message that the run delivered. Detail, or else the
// message of the result at the path From, says why nothing was done.
type TellStep struct {
	Outcome string `json:"outcome"` // reclaimed, kept, skipped, failed
	From    string `json:"from,omitempty"`
	Detail  string `json:"detail,omitempty"`
}

// EndStep ends the run as succeeded. Reason and Message are its own or those
// of the result at the path From.
type EndStep struct {
	Outcome string `json:"outcome"`
	From    string `json:"from,omitempty"`
	Reason  string `json:"reason,omitempty"`
	Message string `json:"message,omitempty"`
}

// Marshal returns the definition's canonical JSON; equal definitions have
// equal bytes, so they share a revision.
func (d Definition) Marshal() (json.RawMessage, error) { return json.Marshal(d) }
