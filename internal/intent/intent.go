// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

// Package intent translates what resources say into the plain types that
// decisions look at, once for all controllers.
package intent

import (
	"cmp"
	"slices"
	"strings"

	"github.com/seatkeeper/seatkeeper/api/v1alpha1"
	"github.com/seatkeeper/seatkeeper/internal/model"
	"github.com/seatkeeper/seatkeeper/internal/policy"
)

// Contract translates a Contract.
func Contract(c *v1alpha1.Contract) policy.Contract {
	out := policy.Contract{
		Name: c.Name, App: string(c.Spec.ApplicationRef.Name), State: string(cmp.Or(c.Spec.State, v1alpha1.ContractActive)),
		Start: model.Date(c.Spec.Term.Start), End: model.Date(c.Spec.Term.End), Renewal: model.RenewalNone,
	}
	if r := c.Spec.Renewal; r != nil {
		out.Renewal = string(r.Type)
		if r.NoticePeriodDays != nil {
			n := int(*r.NoticePeriodDays)
			out.NoticeDays = &n
		}
		if r.TermMonths != nil {
			out.TermMonths = int(*r.TermMonths)
		}
	}
	for _, r := range c.Spec.Reminders {
		if n, err := r.Before.Count(); err == nil { // the schema lets nothing else in
			out.ReminderDays = append(out.ReminderDays, n)
		}
	}
	for _, l := range c.Spec.Lines {
		line := policy.ContractLine{Plan: string(l.Plan), Period: model.Period(l.Period)}
		if l.Quantity != nil {
			line.Quantity = *l.Quantity
		}
		if l.UnitCost != nil {
			unit := Money(*l.UnitCost)
			line.Unit = &unit
		}
		out.Lines = append(out.Lines, line)
	}
	if c.Spec.PreviousRef != nil {
		out.Previous = string(c.Spec.PreviousRef.Name)
	}
	return out
}

// Money translates an amount.
func Money(m v1alpha1.Money) model.Money {
	return model.Money{Minor: m.Minor, Currency: string(m.Currency)}
}

// PlanName is what the Application calls a vendor's plan: the plan that lists
// its key, else the vendor's own name, else the key.
func PlanName(app *v1alpha1.Application, key, vendorName string) string {
	for _, plan := range app.Spec.Plans {
		if slices.Contains(plan.VendorKeys, key) {
			return string(plan.Name)
		}
	}
	return cmp.Or(vendorName, key)
}

// ListPrices are the prices that the Application itself states.
func ListPrices(app *v1alpha1.Application) []policy.ListPrice {
	var out []policy.ListPrice
	for _, p := range app.Spec.Plans {
		if p.UnitCost != nil {
			out = append(out, policy.ListPrice{Plan: string(p.Name), Unit: Money(*p.UnitCost), Period: model.Period(p.Period)})
		}
	}
	return out
}

// Title is what people call the app.
func Title(app *v1alpha1.Application) string { return cmp.Or(app.Spec.DisplayName, app.Name) }

// Owner is the e-mail address of whom to ask about the app, or "".
func Owner(app *v1alpha1.Application) string {
	for _, o := range app.Spec.Owners {
		if o.Role == v1alpha1.OwnerPrimary {
			return string(o.Email)
		}
	}
	if len(app.Spec.Owners) > 0 {
		return string(app.Spec.Owners[0].Email)
	}
	return ""
}

// Identity is by what other sources know the app.
func Identity(app *v1alpha1.Application) model.AppIdentity {
	var id model.AppIdentity
	for _, n := range append([]string{app.Name, app.Spec.DisplayName}, app.Spec.Aliases...) {
		if n = strings.ToLower(strings.TrimSpace(n)); n != "" && !slices.Contains(id.Names, n) {
			id.Names = append(id.Names, n)
		}
	}
	for _, d := range app.Spec.Domains {
		id.Domains = append(id.Domains, strings.ToLower(string(d)))
	}
	return id
}

// Delivers says whether an Integration's own accounts are the app's: by name,
// or else by a domain that app and connector both declare.
func Delivers(app *v1alpha1.Application, integration string, domains []string) bool {
	if len(app.Spec.IntegrationRefs) > 0 {
		return slices.ContainsFunc(app.Spec.IntegrationRefs, func(ref v1alpha1.ObjectReference) bool { return string(ref.Name) == integration })
	}
	return slices.ContainsFunc(app.Spec.Domains, func(d v1alpha1.DomainName) bool { return slices.Contains(domains, string(d)) })
}
