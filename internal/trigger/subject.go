// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package trigger

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/seatkeeper/seatkeeper/internal/model"
	"github.com/seatkeeper/seatkeeper/internal/store"
	"github.com/seatkeeper/seatkeeper/internal/workflow"
)

// Application events.
const (
	Discovered   = "Discovered"
	StateChanged = "StateChanged"
	NotInIDP     = "NotInIdP"
	SpendChanged = "SpendChanged"
)

// Application starts runs when something happens to an app.
type Application struct {
	Events []string `json:"events"`
}

// Dates of a contract.
const (
	OfEnd      = "End"
	OfDeadline = "CancellationDeadline"
)

// Contract starts runs before a date of contracts.
type Contract struct {
	Before int    `json:"before"` // days
	Of     string `json:"of"`
}

// Dates of a contract, as expressions name them.
var contractDates = map[string]string{OfEnd: "contract.end", OfDeadline: "contract.cancellationDeadline"}

// moment is when a run about a contract starts: at is what the Workflow declares,
// which moves the time of the day alone. On the last day of a term it is the end of
// the day.
func (c Contract) moment(at *workflow.Moment) (workflow.Moment, error) {
	m := workflow.Moment{Date: contractDates[c.Of], Zone: workflow.ZoneOrganization}
	if c.Before == 0 && c.Of == OfEnd {
		m.Time = workflow.EndOfDay
	}
	if at != nil {
		if at.Date != m.Date || at.OffsetDays != 0 || at.OffsetBusinessDays != nil {
			return m, fmt.Errorf("%q: with trigger contract the date is %s, moved by spec.trigger.contract.before; spec.at changes the time alone", at.Date, m.Date)
		}
		m.Time, m.Zone = or(at.Time, m.Time), or(at.Zone, m.Zone)
	}
	m.OffsetDays = -c.Before
	return m, nil
}

// License starts runs about unused seats: those that a LicensePolicy found, or those
// that were not used for so many days.
type License struct {
	Policy      string `json:"policy,omitempty"`
	InactiveFor int    `json:"inactiveFor,omitempty"`
}

// Kinds of facts that are no events of the outbox.
const (
	kindContract = "contract.date"
	kindLicense  = "license.unused"
)

// appEvents are the events of an app by what the outbox calls them. What appears
// beside the identity provider is not in it from the beginning.
var appEvents = map[model.EventKind][]string{
	model.EventAppDiscovered:   {Discovered, NotInIDP},
	model.EventAppStateChanged: {StateChanged},
	model.EventAppNotInIDP:     {NotInIDP},
	model.EventAppSpendChanged: {SpendChanged},
}

// appKinds are the kinds of facts by event of an app.
var appKinds = map[string]model.EventKind{
	Discovered: model.EventAppDiscovered, StateChanged: model.EventAppStateChanged, NotInIDP: model.EventAppNotInIDP, SpendChanged: model.EventAppSpendChanged,
}

// appFacts are what an event of an app means to the Workflow.
func (w *watch) appFacts(e model.Event) ([]fact, error) {
	if w.spec.Application == nil {
		return nil, nil
	}
	var out []fact
	for _, event := range appEvents[e.Kind] {
		if !slices.Contains(w.spec.Application.Events, event) {
			continue
		}
		f := fact{kind: string(appKinds[event]), subject: e.Subject, label: e.Subject, at: e.CreatedAt, due: e.CreatedAt, source: e.Integration,
			key: "application/" + event + "/" + e.ID}
		if e.Kind == model.EventAppDiscovered {
			f.subject = e.Integration + "/" + e.Subject
			f.key = "application/" + event + "/" + short(f.subject) // however often it is told
		}
		var err error
		if f.data, err = decoded(orEmpty(e.Payload)); err != nil {
			return nil, fmt.Errorf("event %s: %w", e.ID, err)
		}
		out = append(out, f)
	}
	return out, nil
}

func orEmpty(payload json.RawMessage) json.RawMessage {
	if len(payload) == 0 {
		return json.RawMessage("{}")
	}
	return payload
}

// about finds the app, the contract or the seat that a fact is about; the verdict
// says why there is none.
func (l *look) about(ctx context.Context, w *watch, f fact) (s subject, v verdict, ok bool, err error) {
	switch w.spec.Subject {
	case workflow.SubjectApplication:
		return l.aboutApp(ctx, f)
	case workflow.SubjectContract:
		return l.aboutContract(ctx, w, f)
	}
	return l.aboutSeat(ctx, w, f)
}

func (l *look) aboutApp(ctx context.Context, f fact) (s subject, v verdict, ok bool, err error) {
	gone := verdict{drop: true}
	_, _, discovered := strings.Cut(f.subject, "/")
	if discovered && f.fresh() { // of what another source knew before, nothing is new
		known, err := l.Store.KnownBefore(ctx, l.tenant, f.source, strings.TrimPrefix(f.subject, f.source+"/"))
		if errors.Is(err, store.ErrNotFound) || err == nil && known {
			return s, gone, false, nil
		}
		if err != nil {
			return s, v, false, err
		}
	}
	app, err := l.Store.App(ctx, l.tenant, f.subject)
	switch {
	case errors.Is(err, store.ErrNotFound):
		return s, gone, false, nil
	case err != nil:
		return s, v, false, err
	case discovered && app.Declared: // somebody knows of it
		return s, gone, false, nil
	}
	switch model.EventKind(f.kind) {
	case model.EventAppStateChanged:
		if app.State != f.data["state"] {
			return s, gone, false, nil // it changed again, which its own event tells
		}
	case model.EventAppNotInIDP:
		switch {
		case app.Missing():
		case !discovered || app.InIDP != nil && *app.InIDP:
			return s, gone, false, nil
		case l.now.Sub(f.at) > tooLate:
			return subject{app: &app}, skip(l.now, ReasonNoSubject, "nobody was seen to use the app within a week, or no identity provider has told of its apps"), false, nil
		default:
			return subject{app: &app}, wait(l.now.Add(time.Hour), ReasonNoSubject, "nobody is known to use the app yet, or no identity provider has told of its apps"), false, nil
		}
	}
	return subject{app: &app, about: &workflow.About{App: f.subject}}, v, true, nil
}

// date is the date of a contract that the Workflow goes by; empty: it has none, or
// its state lets none count.
func (w *watch) date(c model.ContractFacts) model.Date {
	switch {
	case w.spec.Contract == nil:
		return ""
	case w.spec.Contract.Of == OfEnd && (c.State == model.ContractActive || c.State == model.ContractCancelled): // either way its term ends
		return c.End
	case w.spec.Contract.Of == OfDeadline && c.State == model.ContractActive:
		return c.Deadline
	}
	return ""
}

// contractKey is one for each date of a contract: a date that comes back is no new
// one.
func (w *watch) contractKey(c model.ContractFacts) string {
	return fmt.Sprintf("contract/%s/%s/%s/%dd", short(c.Name), w.spec.Contract.Of, w.date(c), w.spec.Contract.Before)
}

func (l *look) aboutContract(ctx context.Context, w *watch, f fact) (s subject, v verdict, ok bool, err error) {
	c, err := l.Store.Contract(ctx, l.tenant, f.subject)
	if errors.Is(err, store.ErrNotFound) || err == nil && (w.date(c.ContractFacts) == "" || w.contractKey(c.ContractFacts) != f.key) {
		return s, verdict{drop: true}, false, nil // gone, or its date is another one
	}
	if err != nil {
		return s, v, false, err
	}
	app, err := l.Store.AppOfContract(ctx, l.tenant, c.ContractFacts)
	return subject{app: &app, contract: &c.ContractFacts, about: &workflow.About{Contract: c.Name, App: c.App}}, v, err == nil, err
}

// seatOf is the seat that a fact of an unused one is about.
func seatOf(f fact) model.SeatKey {
	text := func(name string) string { s, _ := f.data[name].(string); return s }
	return model.SeatKey{Integration: text("integration"), AccountID: text("externalId"), PlanKey: text("planKey")}
}

// licenseKey is one for each time that a seat became unused.
func (w *watch) licenseKey(f model.Finding) string {
	return fmt.Sprintf("license/%s/%s/%s", or(w.spec.License.Policy, fmt.Sprintf("%dd", w.spec.License.InactiveFor)),
		short(strings.Join([]string{f.Integration, f.AccountID, f.PlanKey}, "/")), f.Since)
}

func (l *look) aboutSeat(ctx context.Context, w *watch, f fact) (s subject, v verdict, ok bool, err error) {
	found, err := l.unused(ctx, w, seatOf(f))
	if err != nil {
		return s, v, false, err
	}
	if found == nil || w.licenseKey(*found) != f.key {
		return s, verdict{drop: true}, false, nil // used again, or nothing that anybody may take
	}
	seat, app, err := l.Store.SeatFacts(ctx, l.tenant, *found)
	if errors.Is(err, store.ErrNotFound) {
		return s, verdict{drop: true}, false, nil
	}
	if err != nil {
		return s, v, false, err
	}
	seat.Days = workflow.DaysUnused(found.Since, l.now)
	s = subject{app: &app, license: &seat, known: &store.PersonView{}, about: &workflow.About{Seat: &workflow.AboutSeat{
		Integration: found.Integration, AccountID: found.AccountID, PlanKey: found.PlanKey, Policy: w.spec.License.Policy, InactiveFor: w.spec.License.InactiveFor}}}
	if found.PersonID != "" {
		p, err := l.Store.Person(ctx, l.tenant, found.PersonID)
		if err != nil && !errors.Is(err, store.ErrNotFound) {
			return s, v, false, err
		}
		s.known = &p
	}
	return s, v, true, nil
}
