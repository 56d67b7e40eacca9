// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package csvfile

import (
	"fmt"
	"strings"
	"time"
	"unicode"

	"github.com/seatkeeper/seatkeeper/internal/model"
)

var accountStatuses = []model.AccountStatus{
	model.AccountActive, model.AccountInvited, model.AccountSuspended, model.AccountArchived,
	model.AccountDeactivated, model.AccountDeleted, model.AccountUnknown,
}

// statusWords are the words that admin consoles use, in lower case.
var statusWords = map[string]model.AccountStatus{
	"active": model.AccountActive, "enabled": model.AccountActive, "yes": model.AccountActive, "true": model.AccountActive, "1": model.AccountActive,
	"licensed": model.AccountActive, "member": model.AccountActive, "password_expired": model.AccountActive, "password expired": model.AccountActive,
	"recovery": model.AccountActive, "locked_out": model.AccountActive, "locked out": model.AccountActive, "password_reset": model.AccountActive,
	"password reset": model.AccountActive,
	"invited":        model.AccountInvited, "pending": model.AccountInvited, "provisioned": model.AccountInvited, "staged": model.AccountInvited,
	"pending user action": model.AccountInvited, "pending_activation": model.AccountInvited,
	"suspended": model.AccountSuspended, "blocked": model.AccountSuspended,
	"archived": model.AccountArchived,
	"inactive": model.AccountDeactivated, "deactivated": model.AccountDeactivated, "disabled": model.AccountDeactivated,
	"deprovisioned": model.AccountDeactivated, "no": model.AccountDeactivated, "false": model.AccountDeactivated, "0": model.AccountDeactivated,
	"deleted": model.AccountDeleted,
}

var lifecycleWords = map[string]model.Lifecycle{
	"active": model.LifecycleCurrent, "current": model.LifecycleCurrent, "employed": model.LifecycleCurrent, "yes": model.LifecycleCurrent,
	"on leave": model.LifecycleOnLeave, "onleave": model.LifecycleOnLeave, "leave": model.LifecycleOnLeave, "leave of absence": model.LifecycleOnLeave,
	"terminated": model.LifecyclePast, "inactive": model.LifecyclePast, "past": model.LifecyclePast, "left": model.LifecyclePast, "no": model.LifecyclePast,
	"future": model.LifecycleFuture, "pending": model.LifecycleFuture, "pre-hire": model.LifecycleFuture, "prehire": model.LifecycleFuture,
	"external": model.LifecycleExternal,
}

// neverWords stand for "has never signed in".
var neverWords = map[string]bool{"never": true, "never logged in": true, "never signed in": true, "never active": true}

func isNever(s string) bool {
	s = strings.ToLower(s)
	return s == "" || s == "-" || s == "n/a" || neverWords[s]
}

func parseBool(s string) (value, ok bool) {
	switch strings.ToLower(s) {
	case "1", "true", "yes", "y", "t", "x", "on", "enabled", "enrolled":
		return true, true
	case "0", "false", "no", "n", "f", "off", "disabled", "not enrolled":
		return false, true
	}
	return false, false
}

// rowView reads one row by target.
type rowView struct {
	p        *parser
	cells    []string
	checking bool
}

func (v rowView) text(target string) string {
	i, ok := v.p.index[target]
	if !ok {
		return ""
	}
	return v.cells[i]
}

func (v rowView) lower(target string) string { return strings.ToLower(v.text(target)) }

// first returns the first target that has a value.
func (v rowView) first(targets ...string) string {
	for _, t := range targets {
		if s := v.text(t); s != "" {
			return s
		}
	}
	return ""
}

func (v rowView) boolean(target string) bool {
	b, _ := parseBool(v.text(target))
	return b
}

// moment reads a date that the first pass has validated.
func (v rowView) moment(target string) *time.Time {
	i, ok := v.p.index[target]
	if !ok || v.checking || isNever(v.cells[i]) {
		return nil // dates are not settled while the file is checked
	}
	t, _, err := parseDate(v.cells[i], v.p.columns[i].date.order())
	if err != nil {
		return nil
	}
	return &t
}

func (v rowView) date(target string) model.Date {
	t := v.moment(target)
	if t == nil {
		return ""
	}
	return model.DateOf(*t, time.UTC)
}

// build makes the records of a row. In the first pass, when dates are not
// settled yet, it only counts and checks.
func (p *parser) build(row int, cells []string, checking bool) ([]model.Record, *RefusedError) {
	v := rowView{p, cells, checking}
	var out []model.Record
	person := p.hasPerson || p.format.name == "okta"
	if person {
		rec, refused := p.person(row, v)
		if refused != nil {
			return nil, refused
		}
		out = append(out, model.Record{Person: rec})
	}
	if !p.hasAccount {
		return out, nil
	}
	acc := p.account(v)
	out = append(out, model.Record{Account: acc})
	if custom := p.custom(cells); custom != nil {
		if person {
			out[0].Person.Custom = custom
		} else {
			acc.Custom = custom
		}
	}
	for _, pl := range p.plans(v) {
		state := model.AssignmentActive
		switch acc.Status {
		case model.AccountInvited:
			state = model.AssignmentPending
		case model.AccountSuspended, model.AccountArchived:
			state = model.AssignmentSuspended
		case model.AccountDeactivated, model.AccountDeleted:
			continue
		}
		out = append(out, model.Record{Assignment: &model.Assignment{
			AccountExternalID: acc.ExternalID, PersonKey: acc.PersonKey, PlanKey: pl.key, PlanName: pl.name, Paid: pl.paid,
			State: state, AssignedAt: v.moment("license.assignedAt"), GrantedVia: "direct",
		}})
	}
	return out, nil
}

func (p *parser) account(v rowView) *model.Account {
	a := &model.Account{
		ExternalID: v.text("account.externalId"), PersonKey: v.lower("account.email"), Username: v.text("account.username"),
		DisplayName: v.text("account.displayName"), Status: model.AccountActive, Role: v.text("account.role"),
		IsAdmin: v.boolean("account.isAdmin"), CreatedAt: v.moment("account.createdAt"),
	}
	if a.ExternalID == "" {
		a.ExternalID = v.first("account.email", "account.username")
		if strings.Contains(a.ExternalID, "@") {
			a.ExternalID = strings.ToLower(a.ExternalID)
		}
	}
	if a.PersonKey == "" && strings.Contains(a.Username, "@") {
		a.PersonKey = strings.ToLower(a.Username)
	}
	if a.DisplayName == "" {
		a.DisplayName = strings.TrimSpace(v.text("account.givenName") + " " + v.text("account.familyName"))
	}
	if b, ok := parseBool(v.text("account.mfa")); ok {
		a.MFA = &b
	}
	if i, ok := p.index["account.status"]; ok {
		a.RawStatus = v.cells[i]
		p.status(a, v.checking)
	}
	if i, ok := p.index["account.lastActivityAt"]; ok {
		// Only a date or the word "never" is a report; an empty cell is silence.
		a.ActivityReported = !isNever(v.cells[i]) || neverWords[strings.ToLower(v.cells[i])]
		if a.LastActivityAt = v.moment("account.lastActivityAt"); a.LastActivityAt != nil {
			a.LastActivitySource = "csv." + p.header[i]
		}
	}
	return a
}

// status reads the status word; in Slack's export it tells role and kind too.
func (p *parser) status(a *model.Account, checking bool) {
	word := strings.ToLower(a.RawStatus)
	if s, ok := p.o.Statuses[word]; ok {
		a.Status = model.AccountStatus(s)
		return
	}
	if p.format.name == "slack" {
		a.Role = a.RawStatus
		switch {
		case word == "bot":
			a.Kind = model.AccountService
		case strings.Contains(word, "guest"), strings.Contains(word, "restricted"):
			a.Kind = model.AccountGuest
		case strings.Contains(word, "owner"), strings.Contains(word, "admin"):
			a.IsAdmin = true
		case strings.Contains(word, "deactivated"), word == "inactive":
			a.Status = model.AccountDeactivated
		case strings.Contains(word, "invited"):
			a.Status = model.AccountInvited
		case word == "member", word == "regular", word == "active":
		default:
			p.unknownStatus(a, word, checking)
		}
		return
	}
	s, ok := statusWords[word]
	if !ok {
		p.unknownStatus(a, word, checking)
		return
	}
	a.Status = s
}

func (p *parser) unknownStatus(a *model.Account, word string, checking bool) {
	a.Status = model.AccountUnknown
	if checking && (len(p.unknown) < 100 || p.unknown[word] > 0) {
		p.unknown[word]++
	}
}

func (p *parser) person(row int, v rowView) (*model.Person, *RefusedError) {
	email := strings.ToLower(v.first("person.email", "account.email", "account.username"))
	if !strings.Contains(email, "@") {
		return nil, &RefusedError{Row: row, Column: p.header[p.emailColumn()], Reason: "the e-mail address of the person is missing"}
	}
	per := &model.Person{
		ExternalID: v.first("person.externalId", "person.employeeId", "account.externalId", "person.email", "account.email", "account.username"), Email: email,
		DisplayName: v.first("person.displayName", "account.displayName"),
		GivenName:   v.first("person.givenName", "account.givenName"), FamilyName: v.first("person.familyName", "account.familyName"),
		Title: v.text("person.title"), Department: v.text("person.department"), Division: v.text("person.division"),
		CostCenter: v.text("person.costCenter"), Location: v.text("person.location"), TimeZone: v.text("person.timeZone"),
		EmployeeID: v.text("person.employeeId"), EmploymentType: v.text("person.employmentType"),
		ManagerEmail: v.lower("person.managerEmail"), ManagerExternalID: v.text("person.managerExternalId"),
		StartDate: v.date("person.startDate"), EndDate: v.date("person.endDate"),
	}
	if all := v.lower("person.aliases"); all != "" {
		per.Aliases = strings.FieldsFunc(all, func(r rune) bool { return strings.ContainsRune("|,; \n", r) })
	}
	if per.DisplayName == "" {
		per.DisplayName = strings.TrimSpace(per.GivenName + " " + per.FamilyName)
	}
	if i, ok := p.index["person.lifecycle"]; ok {
		word := strings.ToLower(v.cells[i])
		l, known := lifecycleWords[word]
		if !known && word != "" {
			return nil, &RefusedError{Row: row, Column: p.header[i], Reason: fmt.Sprintf("the lifecycle %q is not known", v.cells[i]),
				Hint: "use active, on leave, terminated, future or external; a wrong guess could start an offboarding"}
		}
		per.Lifecycle = l
	}
	if !p.hasAccount {
		per.Custom = p.custom(v.cells)
	}
	return per, nil
}

func (p *parser) emailColumn() int {
	for _, t := range []string{"person.email", "account.email", "account.username"} {
		if i, ok := p.index[t]; ok {
			return i
		}
	}
	return 0
}

func (p *parser) custom(cells []string) map[string]any {
	var out map[string]any
	for i, c := range p.columns {
		if c.kind == kindCustom && cells[i] != "" {
			if out == nil {
				out = map[string]any{}
			}
			out[c.header] = cells[i]
		}
	}
	return out
}

// plans returns the seats that a row holds.
func (p *parser) plans(v rowView) []plan {
	if p.has("license.billed") {
		if !v.boolean("license.billed") {
			return nil
		}
		if !p.has("license.plan") {
			if pl, ok := p.format.plans[""]; ok {
				return []plan{pl}
			}
			return []plan{{p.format.name + ".member", "Member", true}}
		}
	}
	var out []plan
	for _, name := range strings.FieldsFunc(v.text("license.plan"), func(r rune) bool { return r == ',' || r == ';' || r == '\n' }) {
		name = strings.TrimSpace(name)
		if name == "" || strings.EqualFold(name, "none") || name == "-" {
			continue
		}
		if pl, ok := p.format.plans[normal(name)]; ok {
			out = append(out, pl)
			continue
		}
		out = append(out, plan{key: p.format.name + "." + slug(name), name: name, paid: !freeWord(name)})
	}
	return out
}

func freeWord(s string) bool {
	s = strings.ToLower(s)
	return s == "free" || s == "basic" || s == "viewer" || s == "guest" || strings.HasPrefix(s, "free ") || strings.HasSuffix(s, " free")
}

// slug makes a stable key of a plan's name.
func slug(s string) string {
	var b strings.Builder
	dash := false
	for _, r := range strings.ToLower(s) {
		if unicode.IsLetter(r) || unicode.IsDigit(r) || r == '+' {
			if dash && b.Len() > 0 {
				b.WriteByte('-')
			}
			b.WriteRune(r)
			dash = false
		} else {
			dash = true
		}
	}
	return b.String()
}
