// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package trigger

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/mail"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/seatkeeper/seatkeeper/internal/model"
	"github.com/seatkeeper/seatkeeper/internal/store"
	"github.com/seatkeeper/seatkeeper/internal/workflow"
)

// subject is whom a fact is about.
type subject struct {
	known *store.PersonView
	// made is somebody whom the fact makes known when its run starts.
	made *model.Person
	// app, contract and license are what it is about instead, or as well.
	app      *model.AppFacts
	contract *model.ContractFacts
	license  *model.SeatFacts
	about    *workflow.About
}

// accounts is how many accounts a run about an app, or its contract, can reach.
func (s subject) accounts() int64 {
	if s.app == nil || s.license != nil {
		return 0
	}
	return int64(len(s.app.Accounts)) + s.app.MoreAccounts
}

// label is what people read; else is what the fact says itself.
func (s subject) label(otherwise string) string {
	p := s.view()
	switch {
	case s.contract != nil:
		return or(s.contract.DisplayName, s.contract.Name)
	case p != nil && p.Email+p.DisplayName != "":
		return or(p.Email, p.DisplayName)
	case s.license != nil:
		return or(s.license.Username, s.license.AccountID)
	case s.app != nil:
		return or(s.app.DisplayName, s.app.Name)
	}
	return otherwise
}

// view is the person as expressions see one who may not be known yet.
func (s subject) view() *store.PersonView {
	if s.made == nil {
		return s.known
	}
	m := s.made
	return &store.PersonView{Email: m.Email, DisplayName: m.DisplayName, GivenName: m.GivenName, FamilyName: m.FamilyName, Title: m.Title,
		Department: m.Department, Division: m.Division, CostCenter: m.CostCenter, Location: m.Location, TimeZone: m.TimeZone, EmployeeID: m.EmployeeID,
		EmploymentType: m.EmploymentType, ManagerEmail: m.ManagerEmail, StartDate: m.StartDate, EndDate: m.EndDate, Custom: m.Custom}
}

// find finds the person whom a fact is about; the verdict says why there is none.
func (w *watch) find(ctx context.Context, st Store, tenant model.TenantID, f fact, now time.Time) (s subject, v verdict, ok bool, err error) {
	if w.spec.Subject != workflow.SubjectPerson {
		return s, v, true, nil
	}
	var p store.PersonView
	switch {
	case f.person != "":
		p, err = st.Person(ctx, tenant, f.person)
		if errors.Is(err, store.ErrNotFound) { // merged into somebody else, or gone with its source
			return s, skip(now, ReasonNoSubject, "the person is no longer in the directory"), false, nil
		}
	case w.spec.Webhook != nil:
		return w.findByBody(ctx, st, tenant, f, now)
	default:
		p, err = findByEvent(ctx, st, tenant, f)
		if errors.Is(err, store.ErrNotFound) {
			if now.Sub(f.at) < subjectWithin {
				return s, wait(now.Add(lookAgain), ReasonNoSubject, "nobody in the directory is known by what the event says; the next sync of Integration %q may tell", f.source), false, nil
			}
			return s, skip(now, ReasonNoSubject, "nobody in the directory is known by what the event says"), false, nil
		}
	}
	if err != nil {
		return s, v, false, err
	}
	return subject{known: &p}, v, true, nil
}

// findByEvent finds the person of a vendor's event: by the vendor's ids first.
func findByEvent(ctx context.Context, st Store, tenant model.TenantID, f fact) (p store.PersonView, err error) {
	text := func(name string) string { s, _ := f.data[name].(string); return s }
	for _, way := range []struct {
		value string
		find  func(string) (store.PersonView, error)
	}{
		{text("personExternalID"), func(id string) (store.PersonView, error) { return st.PersonOfSource(ctx, tenant, f.source, id) }},
		{text("account"), func(id string) (store.PersonView, error) { return st.PersonOfAccount(ctx, tenant, f.source, id) }},
		{text("person"), func(mail string) (store.PersonView, error) { return st.PersonByEmail(ctx, tenant, mail) }},
	} {
		if way.value == "" {
			continue
		}
		if p, err = way.find(way.value); err == nil || !errors.Is(err, store.ErrNotFound) {
			return p, err
		}
	}
	return p, store.ErrNotFound
}

// findByBody finds the person of a body by the first field to match that the
// body has.
func (w *watch) findByBody(ctx context.Context, st Store, tenant model.TenantID, f fact, now time.Time) (s subject, v verdict, ok bool, err error) {
	scope := map[string]any{localBody: f.data["body"]}
	for i, m := range w.spec.Webhook.Match {
		value, err := text(w.match[i], scope)
		if err != nil || value == "" {
			continue // the body does not have it
		}
		if len(value) > maxField {
			return s, skip(now, ReasonBadPerson, "the %s that the body says has %d bytes: at most %d are taken", m.Field, len(value), maxField), false, nil
		}
		var p store.PersonView
		switch m.Field {
		case MatchEmployeeID:
			p, err = st.PersonOfEmployee(ctx, tenant, value)
		case MatchEmail:
			p, err = st.PersonByEmail(ctx, tenant, value)
		default:
			var facts store.TenantFacts
			if facts, err = st.TenantFacts(ctx, tenant); err == nil {
				p, err = st.PersonOfSource(ctx, tenant, facts.LifecycleIntegration, value)
			}
		}
		switch {
		case err == nil:
			return subject{known: &p}, v, true, nil
		case !errors.Is(err, store.ErrNotFound):
			return s, v, false, err
		case !w.spec.Webhook.Create:
			return s, skip(now, ReasonNoSubject, "nobody in the directory has the %s that the body says, and spec.trigger.webhook.person.create is not true", m.Field), false, nil
		}
		made, err := w.make(scope, m.Field, value)
		if err != nil {
			return s, skip(now, ReasonBadPerson, "%v", err), false, nil
		}
		return subject{made: made}, v, true, nil
	}
	return s, skip(now, ReasonNoSubject, "the body has none of the fields of spec.trigger.webhook.person.match"), false, nil
}

// make makes somebody of a body.
func (w *watch) make(scope map[string]any, matched, value string) (*model.Person, error) {
	p := &model.Person{ExternalID: matched + ":" + value}
	set := func(name, value string) error {
		if err := setField(p, name, value); err != nil {
			return fmt.Errorf("spec.trigger.webhook.person.fields.%s: %w", name, err)
		}
		return nil
	}
	if matched != MatchExternalID {
		if err := set(matched, value); err != nil {
			return nil, err
		}
	}
	for _, name := range slices.Sorted(maps.Keys(w.fields)) {
		value, err := text(w.fields[name], scope)
		if err != nil || value == "" {
			continue // the body does not have it
		}
		if err := set(name, value); err != nil {
			return nil, err
		}
	}
	if p.Email == "" {
		return nil, errors.New("spec.trigger.webhook.person: the body gives no e-mail address, and nobody is made without one")
	}
	if p.DisplayName == "" {
		p.DisplayName = strings.TrimSpace(p.GivenName + " " + p.FamilyName)
	}
	return p, nil
}

// maxField bounds a field of a person that a body gives.
const maxField = 512

// text is the text that a template makes.
func text(f func(map[string]any) (any, error), scope map[string]any) (string, error) {
	v, err := f(scope)
	if err != nil {
		return "", err
	}
	switch x := v.(type) {
	case nil:
		return "", nil
	case string:
		return strings.TrimSpace(strings.ReplaceAll(x, "\x00", "")), nil
	case int64:
		return strconv.FormatInt(x, 10), nil
	case float64:
		return strconv.FormatFloat(x, 'f', -1, 64), nil
	case bool:
		return strconv.FormatBool(x), nil
	}
	raw, err := json.Marshal(v)
	return string(raw), err
}

// customPrefix begins the names of custom fields.
const customPrefix = "custom."

// setters set the fields of a person that a webhook may give.
var setters = map[string]func(p *model.Person) *string{
	"displayName": func(p *model.Person) *string { return &p.DisplayName }, "givenName": func(p *model.Person) *string { return &p.GivenName },
	"familyName": func(p *model.Person) *string { return &p.FamilyName }, "title": func(p *model.Person) *string { return &p.Title },
	"department": func(p *model.Person) *string { return &p.Department }, "division": func(p *model.Person) *string { return &p.Division },
	"costCenter": func(p *model.Person) *string { return &p.CostCenter }, "location": func(p *model.Person) *string { return &p.Location },
	"employeeID": func(p *model.Person) *string { return &p.EmployeeID }, "employmentType": func(p *model.Person) *string { return &p.EmploymentType },
	"timeZone": func(p *model.Person) *string { return &p.TimeZone }, "email": func(p *model.Person) *string { return &p.Email },
	"managerEmail": func(p *model.Person) *string { return &p.ManagerEmail },
	"startDate":    func(p *model.Person) *string { return (*string)(&p.StartDate) }, "endDate": func(p *model.Person) *string { return (*string)(&p.EndDate) },
}

func settable(name string) bool {
	return setters[name] != nil || strings.HasPrefix(name, customPrefix) && len(name) > len(customPrefix)
}

func settableNames() string {
	return "want " + strings.Join(slices.Sorted(maps.Keys(setters)), ", ") + " or " + customPrefix + "NAME"
}

func setField(p *model.Person, name, value string) error {
	if len(value) > maxField {
		return fmt.Errorf("%d bytes: at most %d are taken", len(value), maxField)
	}
	switch name {
	case "email", "managerEmail":
		a, err := mail.ParseAddress(value)
		if err != nil || a.Name != "" {
			return fmt.Errorf("%q is no e-mail address", value)
		}
		value = strings.ToLower(a.Address)
	case "startDate", "endDate":
		d, err := time.Parse(time.DateOnly, value[:min(len(value), len(time.DateOnly))])
		if err != nil {
			return fmt.Errorf("%q is no date such as 2026-03-31", value)
		}
		value = d.Format(time.DateOnly)
	}
	if f := setters[name]; f != nil {
		*f(p) = value
		return nil
	}
	if p.Custom == nil {
		p.Custom = map[string]any{}
	}
	p.Custom[strings.TrimPrefix(name, customPrefix)] = value
	return nil
}
