// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package intent

import (
	"cmp"
	"slices"

	"github.com/seatkeeper/seatkeeper/api/v1alpha1"
	"github.com/seatkeeper/seatkeeper/internal/model"
)

// AppFacts is what an Application and its Contracts say themselves.
func AppFacts(app *v1alpha1.Application, contracts []v1alpha1.Contract) model.AppFacts {
	out := model.AppFacts{Name: app.Name, DisplayName: Title(app), Declared: true, Category: app.Spec.Category, State: string(app.Spec.State), URL: app.Spec.URL,
		Tags: app.Spec.Tags, KnownAs: Identity(app)}
	for _, o := range app.Spec.Owners {
		if o.Role == v1alpha1.OwnerPrimary {
			out.Owners = slices.Insert(out.Owners, 0, string(o.Email))
		} else {
			out.Owners = append(out.Owners, string(o.Email))
		}
	}
	for i := range contracts {
		out.Terms = append(out.Terms, ContractFacts(&contracts[i], app).Term())
	}
	slices.Sort(out.Terms)
	return out
}

// ContractFacts is what a Contract says; app is nil where its Application is not
// there.
func ContractFacts(c *v1alpha1.Contract, app *v1alpha1.Application) model.ContractFacts {
	in := Contract(c)
	deadline, _ := in.Deadline()
	out := model.ContractFacts{Name: c.Name, DisplayName: cmp.Or(c.Spec.DisplayName, c.Name), App: in.App, Vendor: c.Spec.Vendor, State: in.State,
		Start: in.Start, End: in.End, Deadline: deadline, Renewal: in.Renewal, Owner: string(c.Spec.Owner)}
	if app != nil {
		out.AppTitle, out.Owner = Title(app), cmp.Or(out.Owner, Owner(app))
	}
	if in.NoticeDays != nil {
		n := int64(*in.NoticeDays)
		out.NoticeDays = &n
	}
	if annual, ok := in.Annual(); ok {
		out.Annual = &annual
	}
	if c.Spec.Total != nil {
		total := Money(*c.Spec.Total)
		out.Value = &total
	}
	for _, d := range c.Spec.Documents {
		if out.URL = d.URL; out.URL != "" {
			break
		}
	}
	for _, l := range in.Lines {
		out.Lines = append(out.Lines, model.ContractFactsLine{Plan: l.Plan, Quantity: l.Quantity, Unit: l.Unit, Period: l.Period})
	}
	return out
}
