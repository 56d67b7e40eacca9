// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package application

import (
	"cmp"
	"maps"
	"slices"

	"github.com/seatkeeper/seatkeeper/api/v1alpha1"
	"github.com/seatkeeper/seatkeeper/internal/intent"
	"github.com/seatkeeper/seatkeeper/internal/model"
	"github.com/seatkeeper/seatkeeper/internal/policy"
	"github.com/seatkeeper/seatkeeper/internal/reconcile"
)

// maxList bounds lists in status, as the schema does.
const maxList = 64

// validate finds what contradicts other Applications or itself.
func validate(app *v1alpha1.Application, all []v1alpha1.Application) error {
	owner := map[string]string{}
	for _, p := range app.Spec.Plans {
		for _, k := range p.VendorKeys {
			if other, ok := owner[k]; ok {
				return reconcile.Stalling(v1alpha1.ReasonPlanConflict, "spec.plans: %q and %q both claim the vendor key %q", other, p.Name, k)
			}
			owner[k] = string(p.Name)
		}
	}
	for i := range all {
		o := &all[i]
		if o.Name == app.Name || !older(o, app) {
			continue
		}
		for _, d := range app.Spec.Domains {
			if slices.Contains(o.Spec.Domains, d) {
				return reconcile.Stalling(v1alpha1.ReasonDomainConflict, "spec.domains: the older Application %q declares %q as well", o.Name, d)
			}
		}
	}
	return nil
}

func older(a, b *v1alpha1.Application) bool {
	if !a.CreationTimestamp.Equal(&b.CreationTimestamp) {
		return a.CreationTimestamp.Before(&b.CreationTimestamp)
	}
	return a.Name < b.Name
}

// ownIntegrations returns the Integrations whose own accounts are the app's:
// those that it names, else those whose connector declares one of its domains.
func ownIntegrations(app *v1alpha1.Application, all []v1alpha1.Integration, domains func(*v1alpha1.Integration) []string) (own []v1alpha1.Integration, missing []string) {
	if refs := app.Spec.IntegrationRefs; len(refs) > 0 {
		for _, ref := range refs {
			i := slices.IndexFunc(all, func(i v1alpha1.Integration) bool { return i.Name == string(ref.Name) })
			if i < 0 {
				missing = append(missing, string(ref.Name))
				continue
			}
			own = append(own, all[i])
		}
		return own, missing
	}
	for i := range all {
		if intent.Delivers(app, all[i].Name, domains(&all[i])) {
			own = append(own, all[i])
		}
	}
	slices.SortFunc(own, func(a, b v1alpha1.Integration) int { return cmp.Compare(a.Name, b.Name) })
	return own, nil
}

func queryOf(app *v1alpha1.Application, own []v1alpha1.Integration) Query {
	q := Query{KnownAs: intent.Identity(app)}
	for _, i := range own {
		q.Integrations = append(q.Integrations, i.Name)
	}
	return q
}

// fill writes the roll-up into the status.
func fill(app *v1alpha1.Application, own []v1alpha1.Integration, r RollUp, contracts []v1alpha1.Contract) {
	s := &app.Status
	s.Connected = slices.ContainsFunc(own, func(i v1alpha1.Integration) bool { return i.Status.Digest != "" })
	s.InIDP = r.InIDP
	// A source that is gone stays listed: where an app was known from is history.
	s.Sources = union(s.Sources, r.Sources)
	s.Users = &r.Users
	plans := byPlan(app, r.Plans)
	s.Seats, s.Plans = &v1alpha1.SeatCounts{}, nil
	for _, p := range plans {
		if !p.paid {
			continue
		}
		add(s.Seats, p.seats)
		if len(s.Plans) < maxList {
			seats := p.seats
			s.Plans = append(s.Plans, v1alpha1.PlanStatus{Name: v1alpha1.PlanName(p.name), Seats: &seats})
		}
	}
	s.Spend = spend(plans, contractsOf(contracts), intent.ListPrices(app), r.Today)
}

// listed is the app as people list it, and as runs about it know it, once its
// status is filled.
func listed(app *v1alpha1.Application, own []v1alpha1.Integration, idpKnown bool, contracts []v1alpha1.Contract) Declared {
	s := app.Status
	d := Declared{Name: app.Name, Title: app.Spec.DisplayName, Users: s.Users.Total, Paid: s.Seats.Assigned, Unused: s.Seats.Unused, Unknown: s.Seats.Unknown}
	for _, i := range own {
		d.Sources = append(d.Sources, i.Name)
	}
	slices.Sort(d.Sources)
	d.Facts = intent.AppFacts(app, contracts)
	d.Facts.Connected, d.Facts.Users, d.Facts.Sources = s.Connected, d.Users, d.Sources
	if idpKnown {
		d.Facts.InIDP = &s.InIDP
	}
	if s.Spend != nil {
		d.Facts.Spend = &model.Money{Minor: s.Spend.AnnualMinor, Currency: string(s.Spend.Currency)}
	}
	return d
}

func add(to *v1alpha1.SeatCounts, s v1alpha1.SeatCounts) {
	to.Assigned, to.Used, to.Unused, to.Unknown = to.Assigned+s.Assigned, to.Used+s.Used, to.Unused+s.Unused, to.Unknown+s.Unknown
	if s.Purchased != nil {
		sum := *s.Purchased
		if to.Purchased != nil {
			sum += *to.Purchased
		}
		to.Purchased = &sum
	}
}

func union(a, b []string) []string {
	out := slices.Concat(a, b)
	slices.Sort(out)
	out = slices.Compact(out)
	return out[:min(len(out), maxList)]
}

// plan is one plan of the app over all its Integrations.
type plan struct {
	name   string
	paid   bool
	seats  v1alpha1.SeatCounts
	vendor *policy.ListPrice // the vendor's own price
}

// byPlan groups the vendor's plans by the plans that the spec declares.
func byPlan(app *v1alpha1.Application, rows []Plan) []plan {
	found := map[string]*plan{}
	for _, row := range rows {
		name := intent.PlanName(app, row.Key, row.Name)
		p := found[name]
		if p == nil {
			p = &plan{name: name}
			found[name] = p
		}
		spec := declared(app, name)
		p.paid = p.paid || isPaid(row, spec)
		add(&p.seats, v1alpha1.SeatCounts{Purchased: row.Purchased, Assigned: row.Assigned, Used: row.Used, Unused: row.Unused, Unknown: row.Unknown})
		if row.Unit != nil {
			p.vendor = &policy.ListPrice{Plan: name, Unit: *row.Unit, Period: row.Period}
		}
		if spec != nil && spec.Purchased != nil {
			p.seats.Purchased = spec.Purchased
		}
	}
	out := make([]plan, 0, len(found))
	for _, name := range slices.Sorted(maps.Keys(found)) {
		out = append(out, *found[name])
	}
	return out
}

func declared(app *v1alpha1.Application, name string) *v1alpha1.ApplicationPlan {
	for i := range app.Spec.Plans {
		if string(app.Spec.Plans[i].Name) == name {
			return &app.Spec.Plans[i]
		}
	}
	return nil
}

// isPaid lets the spec overrule the connector in one direction each: a price
// makes a plan paid, a price of 0 makes it free.
func isPaid(row Plan, spec *v1alpha1.ApplicationPlan) bool {
	if spec != nil && spec.UnitCost != nil {
		return spec.UnitCost.Minor > 0
	}
	return row.Paid
}

// spend is what plans cost in a year: what is contracted, else purchased, else
// assigned, at the contract's price, else the declared, else the vendor's. It is
// nil where a paid plan has no price or currencies differ.
func spend(plans []plan, contracts []policy.Contract, list []policy.ListPrice, today model.Date) *v1alpha1.Spend {
	var total model.Money
	var fromContract, fromList bool
	for _, p := range plans {
		if !p.paid {
			continue
		}
		prices := list
		if p.vendor != nil {
			prices = append(slices.Clone(list), *p.vendor)
		}
		price, ok := policy.PriceOf(p.name, contracts, prices, today)
		if !ok {
			return nil
		}
		annual, known := price.Annual()
		if !known || total.Currency != "" && total.Currency != annual.Currency {
			return nil
		}
		sum, err := annual.MulDiv(quantity(p, price, contracts), 1)
		if err != nil {
			return nil
		}
		total = model.Money{Minor: total.Minor + sum.Minor, Currency: annual.Currency}
		fromContract = fromContract || price.Contract != ""
		fromList = fromList || price.Contract == ""
	}
	if total.Currency == "" {
		return nil
	}
	src := v1alpha1.SpendFromPlan
	switch {
	case fromContract && fromList:
		src = v1alpha1.SpendMixed
	case fromContract:
		src = v1alpha1.SpendFromContract
	}
	return &v1alpha1.Spend{AnnualMinor: total.Minor, Currency: v1alpha1.CurrencyCode(total.Currency), Summary: total.String(), Source: src}
}

// quantity is how many seats are paid for.
func quantity(p plan, price model.Price, contracts []policy.Contract) int64 {
	for _, c := range contracts {
		if c.Name != price.Contract {
			continue
		}
		for _, l := range c.Lines {
			if l.Plan == p.name && l.Quantity > 0 {
				return l.Quantity
			}
		}
	}
	if p.seats.Purchased != nil {
		return *p.seats.Purchased
	}
	return p.seats.Assigned
}

// contractsOf keeps what prices need of Contracts.
func contractsOf(list []v1alpha1.Contract) []policy.Contract {
	out := make([]policy.Contract, len(list))
	for i := range list {
		out[i] = intent.Contract(&list[i])
	}
	return out
}

// used says whether anybody has an account of the app.
func used(app *v1alpha1.Application) bool {
	return app.Status.Users != nil && app.Status.Users.Total > 0
}

// similar lists other apps of the category that somebody uses.
func similar(app *v1alpha1.Application, alike []v1alpha1.Application) []string {
	const most = 16
	var out []string
	for i := range alike {
		if o := &alike[i]; o.Name != app.Name && o.Spec.Category == app.Spec.Category && used(o) {
			out = append(out, o.Name)
		}
	}
	slices.Sort(out)
	return out[:min(len(out), most)]
}

// staleSources names the Integrations whose accounts or seats are not current.
func staleSources(own []v1alpha1.Integration) []string {
	var out []string
	for _, i := range own {
		for _, d := range i.Status.DataTypes {
			if d.State == v1alpha1.DataTypeStale && (d.Name == v1alpha1.DataAccounts || d.Name == v1alpha1.DataLicenses || d.Name == v1alpha1.DataUsage) {
				out = append(out, i.Name+" ("+string(d.Name)+")")
			}
		}
	}
	return out
}

func texts[T ~string](in []T) []string {
	out := make([]string, len(in))
	for i, v := range in {
		out[i] = string(v)
	}
	return out
}
