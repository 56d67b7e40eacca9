// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package workflow

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/seatkeeper/seatkeeper/internal/model"
	"github.com/seatkeeper/seatkeeper/internal/notify"
	"github.com/seatkeeper/seatkeeper/internal/store"
)

// KindLicensePolicy is the definition kind of the built-in reclaim flow.
const KindLicensePolicy = "LicensePolicy"

// Mode says who decides about an unused seat.
type Mode string

// Modes. Report starts no run.
const (
	ModeAsk  Mode = "Ask"  // the person who holds the seat
	ModeAuto Mode = "Auto" // the policy
)

// ReclaimSpec is everything that the reclaim of one seat needs, as the policy
// resolved it.
type ReclaimSpec struct {
	Policy     string // LicensePolicy's name
	Generation int64
	Mode       Mode
	IdleSince  model.Date // with policy and assignment the trigger key (decision 2)
	Seat       ReclaimSeat
	Ask        *ReclaimAsk // required by ModeAsk
	Removal    ReclaimRemoval
}

// ReclaimSeat is the seat and the evidence about it. It is kept in the run's
// variables under "seat".
type ReclaimSeat struct {
	App         string       `json:"app"`               // the Application's name
	AppTitle    string       `json:"appTitle"`          // its name for people
	Asker       string       `json:"asker"`             // who asks: "Acme IT"
	Why         string       `json:"why"`               // a clause: "seats that were not used for 90 days are given back"
	Integration string       `json:"integration"`       // that removes the seat
	AccountID   string       `json:"accountID"`         // the vendor's id
	Account     string       `json:"account,omitempty"` // as its holder knows it
	PlanKey     string       `json:"planKey"`
	PlanName    string       `json:"planName"`
	PersonID    string       `json:"personID"`
	PersonName  string       `json:"personName"`
	Email       string       `json:"email"`
	TimeZone    string       `json:"timeZone,omitempty"`
	LastUse     *time.Time   `json:"lastUse,omitempty"`
	Source      string       `json:"source"` // of the evidence: "zoom.last_login_time"
	Observed    time.Time    `json:"observedSince"`
	YearlyCost  *model.Money `json:"yearlyCost,omitempty"`
	Effect      string       `json:"effect"`  // a clause: "your seat is downgraded to Basic; your account stays"
	GetBack     string       `json:"getBack"` // how to have the seat again
	Contact     string       `json:"contact"` // whom to ask
	// Via is set where the seat ends with a membership.
	Via *ReclaimVia `json:"via,omitempty"`
}

// ReclaimVia is the membership in an identity provider's group with which a
// seat ends.
type ReclaimVia struct {
	Integration string `json:"integration"`
	GroupID     string `json:"groupID"`
	Group       string `json:"group"`     // its name for people
	AccountID   string `json:"accountID"` // of the person there
	Action      string `json:"action"`
}

// done says what was taken, and when the seat itself ends.
func (v ReclaimVia) done() string {
	return fmt.Sprintf("removed from group %s in %s; the seat ends when %s's provisioning has taken it", v.Group, v.Integration, v.Integration)
}

// ReclaimAsk says how the holder is asked.
type ReclaimAsk struct {
	Channels  []ChannelRef
	Options   []string // empty: Reclaim, Keep, Escalate
	Reminders []Span
	Timeout   Span
	OnTimeout string // Keep or Reclaim
	KeepFor   Span
	Quiet     *QuietHours
	Escalate  *ReclaimEscalate // required if Options has Escalate
}

// ReclaimEscalate says who decides when the holder escalates.
type ReclaimEscalate struct {
	To       []Role
	Fallback []Role
	Timeout  Span
}

// ReclaimRemoval is the action that gives the seat back.
type ReclaimRemoval struct {
	// Integration that acts; empty: the one that reports the seat.
	Integration string
	Action      string
	With        map[string]any
	Retry       Retry
}

// subject names the seat within the tenant.
func (s ReclaimSeat) subject() string {
	return s.Integration + "/" + s.AccountID + "/" + s.PlanKey
}

// NewRun returns the run that reclaims the seat.
func (s ReclaimSpec) NewRun() (store.NewRun, error) {
	if s.Policy == "" || s.Seat.Integration == "" || s.Seat.AccountID == "" || s.Removal.Action == "" || s.IdleSince == "" {
		return store.NewRun{}, errors.New("reclaim: policy, integration, account, removal action and idle-since day are required")
	}
	def, err := s.Definition()
	if err != nil {
		return store.NewRun{}, err
	}
	raw, err := def.Marshal()
	if err != nil {
		return store.NewRun{}, err
	}
	vars, err := json.Marshal(map[string]any{"seat": s.Seat, "with": s.Removal.With})
	if err != nil {
		return store.NewRun{}, fmt.Errorf("reclaim: %w", err)
	}
	return store.NewRun{
		Kind: KindLicensePolicy, Name: s.Policy, TriggerKind: "license",
		TriggerKey: s.Seat.subject() + "@" + string(s.IdleSince), Subject: s.Seat.subject(), PersonID: s.Seat.PersonID,
		Cause: fmt.Sprintf("LicensePolicy/%s generation %d", s.Policy, s.Generation), Definition: raw, Vars: vars, Priority: store.PriorityBulk,
	}, nil
}

// Definition returns the reclaim flow. It holds nothing of the seat, so that
// all runs of one policy share a revision.
func (s ReclaimSpec) Definition() (Definition, error) {
	flow := []Step{}
	keepFor := Span{}
	if s.Mode == ModeAsk {
		a := s.Ask
		if a == nil || a.Timeout.IsZero() || (a.OnTimeout != notify.Keep && a.OnTimeout != notify.Reclaim) || a.KeepFor.IsZero() {
			return Definition{}, errors.New("reclaim: mode Ask needs ask.timeout, ask.keepFor and ask.onTimeout Keep or Reclaim")
		}
		keepFor = a.KeepFor
		options := a.Options
		if len(options) == 0 {
			options = []string{notify.Reclaim, notify.Keep, notify.Escalate}
		}
		ask := &AskStep{
			Purpose: PurposeSeatKeep, Stages: []AskStage{{Roles: []Role{RolePerson}}}, Channels: a.Channels, Options: options, Reminders: a.Reminders,
			Timeout: a.Timeout, OnTimeout: a.OnTimeout, KeepFor: a.KeepFor, Quiet: a.Quiet,
		}
		flow = append(flow, Step{Name: "ask", Ask: ask})
		cases := map[string][]Step{
			notify.Reclaim: {},
			notify.Keep:    keptSteps("ask", "kept", a.KeepFor),
			Withdrawn:      skippedSteps("ask"),
		}
		if slices.Contains(options, notify.Escalate) {
			e := a.Escalate
			if e == nil || e.Timeout.IsZero() || len(e.To)+len(e.Fallback) == 0 {
				return Definition{}, errors.New("reclaim: option Escalate needs ask.escalate with to or fallback, and a timeout")
			}
			ask.IfNobody = notify.Escalate
			cases[notify.Escalate] = []Step{
				{Name: "escalate", Ask: &AskStep{
					Purpose: PurposeSeatEscalation, Stages: stages(e.To, e.Fallback), Channels: a.Channels, Options: []string{notify.Reclaim, notify.Keep},
					Timeout: e.Timeout, OnTimeout: a.OnTimeout, KeepFor: a.KeepFor, NotSelf: true, Quiet: a.Quiet,
				}},
				{Name: "escalated", Switch: &SwitchStep{On: "steps.escalate.answer", Cases: map[string][]Step{
					notify.Reclaim: {},
					notify.Keep:    keptSteps("escalate", "keptByEscalation", a.KeepFor),
					Withdrawn:      skippedSteps("escalate"),
				}}},
			}
		}
		flow = append(flow, Step{Name: "answered", Switch: &SwitchStep{On: "steps.ask.answer", Cases: cases}})
	}
	integration := cmp.Or(s.Removal.Integration, "${seat.integration}")
	told, gone, ended := "The seat was already gone; there was nothing to give back", EndStep{Reason: "SeatGone", Message: "the seat was already gone"}, ""
	if via := s.Seat.Via; via != nil {
		told = fmt.Sprintf("The account was no longer in group %s in %s; there was nothing to take", via.Group, via.Integration)
		gone, ended = EndStep{Reason: "NotGroupMember", Message: told}, via.done()
	}
	gone.Outcome = string(notify.Skipped)
	flow = append(flow,
		Step{Name: "recheck", Check: &CheckStep{}},
		Step{Name: "still", Switch: &SwitchStep{On: "steps.recheck.decision", Cases: map[string][]Step{string(Go): {}}, Otherwise: skippedSteps("recheck")}},
		Step{Name: "remove", Action: &ActionStep{Integration: integration, Action: s.Removal.Action, WithFrom: "with", Retry: s.Removal.Retry, Recheck: "recheck"}},
		Step{Name: "removed", Switch: &SwitchStep{On: "steps.remove.result", Cases: map[string][]Step{
			string(ResultAlready): {
				{Name: "tellAlready", Tell: &TellStep{Outcome: string(notify.Skipped), Detail: told}},
				{Name: "endAlready", End: &gone},
			},
		}}},
		Step{Name: "book", Book: &BookStep{Kind: string(store.BookReclaimed), KeepFor: keepFor}},
		Step{Name: "tell", Tell: &TellStep{Outcome: string(notify.Reclaimed)}},
		Step{Name: "end", End: &EndStep{Outcome: string(notify.Reclaimed), Message: ended}},
	)
	return Definition{Steps: flow, OnFailure: []Step{{Name: "tellFailed", Tell: &TellStep{Outcome: string(notify.Failed), From: "failure"}}}}, nil
}

func stages(lists ...[]Role) []AskStage {
	var out []AskStage
	for _, roles := range lists {
		if len(roles) > 0 {
			out = append(out, AskStage{Roles: roles})
		}
	}
	return out
}

func keptSteps(asked, name string, keepFor Span) []Step {
	return []Step{
		{Name: name, Book: &BookStep{Kind: string(store.BookKept), KeepFor: keepFor}},
		{Name: name + "Tell", Tell: &TellStep{Outcome: string(notify.Kept)}},
		{Name: name + "End", End: &EndStep{Outcome: string(notify.Kept)}},
	}
}

func skippedSteps(from string) []Step {
	return []Step{
		{Name: from + "Tell", Tell: &TellStep{Outcome: string(notify.Skipped), From: "steps." + from}},
		{Name: from + "End", End: &EndStep{Outcome: string(notify.Skipped), From: "steps." + from}},
	}
}
