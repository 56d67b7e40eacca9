// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package workflow

import (
	"cmp"
	"time"

	"github.com/seatkeeper/seatkeeper/internal/model"
)

// The subjects that runs have, as Definition.Subject names them; empty: none.
const (
	SubjectPerson = "Person"
	// SubjectApplication gives the variable application.
	SubjectApplication = "Application"
	// SubjectContract gives contract, and application: what the contract is about.
	SubjectContract = "Contract"
	// SubjectLicense gives license, person, who holds the seat, and application.
	SubjectLicense = "License"
)

// HasPerson says that runs with the subject have a person.
func HasPerson(subject string) bool { return subject == SubjectPerson || subject == SubjectLicense }

// HasApp says that runs with the subject are about an app, whose owners can be
// asked.
func HasApp(subject string) bool {
	return subject == SubjectApplication || subject == SubjectContract || subject == SubjectLicense
}

// appVars is an app as expressions see one. all adds what runs about many seats
// of an app leave out.
func appVars(a model.AppFacts, all bool) map[string]any {
	out := map[string]any{
		"name": a.Name, "displayName": cmp.Or(a.DisplayName, a.Name), "declared": a.Declared, "category": a.Category, "state": a.State, "url": a.URL,
		"tags": list(a.Tags), "owners": list(a.Owners), "connected": a.Connected, "users": a.Users, "sources": list(a.Sources),
	}
	if a.InIDP != nil {
		out["inIdP"] = *a.InIDP
	}
	amount(out, "spend", a.Spend)
	if !all {
		return out
	}
	contracts, accounts := make([]any, 0, len(a.Contracts)), make([]any, 0, len(a.Accounts))
	for _, c := range a.Contracts {
		contracts = append(contracts, contractVars(c))
	}
	for _, c := range a.Accounts {
		accounts = append(accounts, map[string]any{
			"integration": c.Integration, "externalId": c.ExternalID, "username": c.Username, "displayName": c.DisplayName, "email": c.Email,
			"status": string(c.Status), "kind": string(cmp.Or(c.Kind, model.AccountHuman)), "role": c.Role, "isAdmin": c.IsAdmin,
		})
	}
	out["contracts"], out["accounts"], out["moreAccounts"] = contracts, accounts, a.MoreAccounts
	return out
}

func contractVars(c model.ContractFacts) map[string]any {
	lines := make([]any, 0, len(c.Lines))
	for _, l := range c.Lines {
		line := map[string]any{"plan": l.Plan, "quantity": l.Quantity, "period": string(l.Period)}
		if l.Unit != nil { // a seat costs cents
			line["unitCostMinor"], line["currency"] = l.Unit.Minor, l.Unit.Currency
		}
		lines = append(lines, line)
	}
	out := map[string]any{
		"name": c.Name, "displayName": cmp.Or(c.DisplayName, c.Name), "source": c.Source, "application": c.App, "vendor": c.Vendor, "state": c.State,
		"start": string(c.Start), "end": string(c.End), "cancellationDeadline": string(c.Deadline), "renewal": c.Renewal, "autoRenew": c.Renewal == model.RenewalAuto,
		"owner": c.Owner, "url": c.URL, "lines": lines,
	}
	if c.NoticeDays != nil {
		out["noticeDays"] = *c.NoticeDays
	}
	amount(out, "value", c.Value)
	amount(out, "annual", c.Annual)
	return out
}

func licenseVars(s model.SeatFacts) map[string]any {
	out := map[string]any{
		"integration": s.Integration, "externalId": s.AccountID, "username": s.Username, "planKey": s.PlanKey, "planName": cmp.Or(s.PlanName, s.PlanKey),
		"policy": s.Policy, "reason": s.Reason, "since": string(s.Since), "daysUnused": s.Days, "lastUsed": "", "signal": s.Evidence.Source,
	}
	if s.Evidence.LastUsed != nil {
		out["lastUsed"] = s.Evidence.LastUsed.UTC().Format(time.RFC3339)
	}
	amount(out, "cost", s.Annual)
	return out
}

// amount sets an amount in whole units, beside its currency; one that is not known
// has no value.
func amount(out map[string]any, name string, m *model.Money) {
	if m == nil {
		return
	}
	out[name] = m.Units()
	out["currency"] = m.Currency
}

func list(texts []string) []any {
	out := make([]any, len(texts))
	for i, t := range texts {
		out[i] = t
	}
	return out
}
