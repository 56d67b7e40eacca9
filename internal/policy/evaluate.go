// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package policy

import (
	"context"
	"strings"
	"time"

	"github.com/seatkeeper/seatkeeper/internal/model"
)

// Facts is what a whole evaluation looks at beside the seats themselves.
type Facts struct {
	// Keeps by seat.
	Keeps map[model.SeatKey]model.Keep
	// InFlight are the subjects of runs that have not ended.
	InFlight map[string]bool
	// Admins are the account ids of the active administrators of each
	// Integration.
	Admins map[string][]string
	// Groups of each person, by id, of those that the rules mention.
	Groups map[string][]string
	// Prices by integration and plan; SeatKey.AccountID is empty.
	Prices map[model.SeatKey]model.Price
	// Directory is set where seats end with a membership.
	Directory *Directory
}

// accountKey names an account inside a tenant.
type accountKey struct{ integration, id string }

// Counts sums an evaluation up.
type Counts struct {
	// Covered = Active + Unknown + Inactive + Exempt + Protected + Kept + OnLeave +
	// Unremovable; all but the first two are idle.
	Covered int64 `json:"covered"`
	Active  int64 `json:"active"`
	Unknown int64 `json:"unknown"`
	// Inactive seats are idle and nothing but the guard stands in the way;
	// those with a run under way are among them.
	Inactive  int64 `json:"inactive"`
	InFlight  int64 `json:"inFlight"`
	Exempt    int64 `json:"exempt"`
	Protected int64 `json:"protected"`
	Kept      int64 `json:"kept"`
	OnLeave   int64 `json:"onLeave"`
	// Unremovable are idle, and no membership is there to take; UnremovableBy
	// counts them by reason.
	Unremovable   int64            `json:"unremovable,omitempty"`
	UnremovableBy map[string]int64 `json:"unremovableBy,omitempty"`
	// UnknownBy counts the unknown by reason.
	UnknownBy map[string]int64 `json:"unknownBy,omitempty"`
	// Potential is what a year costs less without the inactive seats, by
	// currency, in minor units; Unpriced is how many of them have no price.
	Potential map[string]int64 `json:"potential,omitempty"`
	Unpriced  int64            `json:"unpriced"`
}

// Evaluator judges a stream of seats. It is for one evaluation and one
// goroutine.
type Evaluator struct {
	rules      *Compiled
	facts      Facts
	now        time.Time
	counts     Counts
	candidates []Candidate
	// admins are those whom neither a run nor this evaluation is about to
	// touch, so that one is always left.
	admins map[string]map[string]bool
}

// NewEvaluator begins an evaluation of the state at an instant.
func NewEvaluator(rules *Compiled, facts Facts, now time.Time) *Evaluator {
	e := &Evaluator{rules: rules, facts: facts, now: now,
		counts: Counts{UnknownBy: map[string]int64{}, Potential: map[string]int64{}}, admins: map[string]map[string]bool{}}
	taken := map[accountKey]bool{}
	for subject := range facts.InFlight {
		if integration, rest, ok := strings.Cut(subject, "/"); ok {
			if i := strings.LastIndexByte(rest, '/'); i >= 0 {
				taken[accountKey{integration, rest[:i]}] = true
			}
		}
	}
	for integration, accounts := range facts.Admins {
		e.admins[integration] = map[string]bool{}
		for _, id := range accounts {
			if !taken[accountKey{integration, id}] {
				e.admins[integration][id] = true
			}
		}
	}
	return e
}

// otherAdmins counts the administrators of the seat's Integration who stay.
func (e *Evaluator) otherAdmins(s model.Seat) int64 {
	n := int64(len(e.admins[s.Integration]))
	if e.admins[s.Integration][s.AccountExternalID] {
		n--
	}
	return n
}

// Seat judges one seat; ok is false if the policy does not cover it.
func (e *Evaluator) Seat(ctx context.Context, s model.Seat) (f model.Finding, ok bool) {
	if !e.rules.Covers(s) {
		return f, false
	}
	key := model.SeatKey{Integration: s.Integration, AccountID: s.AccountExternalID, PlanKey: s.PlanKey}
	in := Input{
		Seat: s, Now: e.now, InFlight: e.facts.InFlight[Subject(key)],
		Groups:      e.facts.Groups[s.PersonID],
		OtherAdmins: e.otherAdmins(s),
		Directory:   e.facts.Directory.Of(s.PersonID),
	}
	if keep, ok := e.facts.Keeps[key]; ok {
		in.Keep = &keep
	}
	d := e.rules.Decide(ctx, in)
	f = model.Finding{
		Policy: e.rules.Policy, Integration: s.Integration, AccountID: s.AccountExternalID, PlanKey: s.PlanKey, PersonID: s.PersonID,
		Class: d.Class, Use: d.Use, Reason: d.Reason, Evidence: d.Evidence,
	}
	if !d.Since.IsZero() {
		f.Since = model.DateOf(d.Since, e.rules.zone)
	}
	if price, ok := e.facts.Prices[model.SeatKey{Integration: s.Integration, PlanKey: s.PlanKey}]; ok {
		if annual, ok := price.Annual(); ok {
			f.Annual = &annual
		}
	}
	e.count(s, f, in.Directory.Leaves())
	return f, true
}

func (e *Evaluator) count(s model.Seat, f model.Finding, leaves *model.DirectoryAccount) {
	c := &e.counts
	c.Covered++
	switch f.Class {
	case model.SeatActive:
		c.Active++
	case model.SeatUnknown:
		c.Unknown++
		c.UnknownBy[f.Reason]++
	case model.SeatExempt:
		c.Exempt++
	case model.SeatProtected:
		c.Protected++
	case model.SeatKept:
		c.Kept++
	case model.SeatHeld:
		e.countHeld(f.Reason)
	case model.SeatInactive, model.SeatInFlight:
		e.countInactive(s, f, leaves)
	}
}

func (e *Evaluator) countHeld(reason string) {
	c := &e.counts
	if reason == ReasonOnLeave {
		c.OnLeave++
		return
	}
	c.Unremovable++
	if c.UnremovableBy == nil {
		c.UnremovableBy = map[string]int64{}
	}
	c.UnremovableBy[reason]++
}

func (e *Evaluator) countInactive(s model.Seat, f model.Finding, leaves *model.DirectoryAccount) {
	e.counts.Inactive++
	if f.Annual != nil {
		e.counts.Potential[f.Annual.Currency] += f.Annual.Minor
	} else {
		e.counts.Unpriced++
	}
	if s.IsAdmin {
		delete(e.admins[s.Integration], s.AccountExternalID)
	}
	if f.Class == model.SeatInFlight {
		e.counts.InFlight++
		return
	}
	e.candidates = append(e.candidates, Candidate{SeatKey: f.Key(), PersonID: f.PersonID, Since: f.Since, Reason: f.Reason, Evidence: f.Evidence, Label: label(s),
		Directory: leaves})
}

// label is what a person recognises the seat by.
func label(s model.Seat) string {
	for _, name := range []string{s.Email, s.Username, s.DisplayName} {
		if name != "" {
			return name
		}
	}
	return s.AccountExternalID
}

// Result returns what was counted and who would be acted on.
func (e *Evaluator) Result() (Counts, []Candidate) { return e.counts, e.candidates }
