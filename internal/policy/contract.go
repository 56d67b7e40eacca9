// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package policy

import (
	"time"

	"github.com/seatkeeper/seatkeeper/internal/model"
)

// Stages of contracts, in the words of the API.
const (
	StageDraft     = "Draft"
	StageUpcoming  = "Upcoming"
	StageActive    = "Active"
	StageInNotice  = "InNotice"
	StageMissed    = "Missed"
	StageExpired   = "Expired"
	StageCancelled = "Cancelled"
)

// Contract is what was agreed with a vendor.
type Contract struct {
	Name, App  string
	State      string
	Start, End model.Date // both days belong to the term
	Renewal    string
	// NoticeDays before the end by which the vendor must have the cancellation;
	// nil: none was agreed.
	NoticeDays *int
	TermMonths int
	// ReminderDays before the deadline.
	ReminderDays []int
	Lines        []ContractLine
	Previous     string
}

// ContractLine is one position. Unit is nil if no price was agreed.
type ContractLine struct {
	Plan     string
	Quantity int64
	Unit     *model.Money
	Period   model.Period
}

// Deadline is the last day on which a cancellation counts; ok is false where
// none was agreed.
func (c Contract) Deadline() (d model.Date, ok bool) {
	if c.NoticeDays == nil || c.Renewal == "" || c.Renewal == model.RenewalNone {
		return "", false
	}
	return c.End.AddDays(-*c.NoticeDays), true
}

// Stage is where the contract stands on a day.
func (c Contract) Stage(today model.Date) string {
	switch c.State {
	case model.ContractDraft:
		return StageDraft
	case model.ContractCancelled:
		return StageCancelled
	}
	deadline, ok := c.Deadline()
	if !ok {
		deadline = c.End
	}
	switch {
	case today < c.Start:
		return StageUpcoming
	case today > c.End:
		return StageExpired
	case ok && c.Renewal == model.RenewalAuto && today > deadline:
		return StageMissed
	}
	first := 0
	for _, n := range c.ReminderDays {
		first = max(first, n)
	}
	if first > 0 && today >= deadline.AddDays(-first) && today <= deadline {
		return StageInNotice
	}
	return StageActive
}

// NextChange is the first day after today on which the stage may change, or
// empty if it never will.
func (c Contract) NextChange(today model.Date) model.Date {
	deadline, ok := c.Deadline()
	if !ok {
		deadline = c.End
	}
	var next model.Date
	consider := func(d model.Date) {
		if d > today && (next == "" || d < next) {
			next = d
		}
	}
	consider(c.Start)
	consider(c.End.AddDays(1))
	consider(deadline.AddDays(1))
	for _, n := range c.ReminderDays {
		consider(deadline.AddDays(-n))
	}
	return next
}

// InForce says whether the contract's prices apply on a day.
func (c Contract) InForce(today model.Date) bool {
	return c.State != model.ContractDraft && c.Start <= today && today <= c.End
}

// EffectiveOn is the first day on which a seat less can cost less: the day
// after the term, or after the next one where an automatic renewal can no
// longer be stopped.
func (c Contract) EffectiveOn(today model.Date) model.Date {
	after := c.End.AddDays(1)
	if c.Stage(today) != StageMissed || c.TermMonths <= 0 {
		return after
	}
	t, ok := after.In(time.UTC)
	if !ok {
		return after
	}
	return model.DateOf(model.AddMonths(t, c.TermMonths), time.UTC)
}

// Price returns what a seat of a plan costs under the contract on a day.
func (c Contract) Price(plan string, today model.Date) (model.Price, bool) {
	if !c.InForce(today) {
		return model.Price{}, false
	}
	for _, l := range c.Lines {
		if l.Plan == plan && l.Unit != nil && l.Period.PerYear() > 0 {
			return model.Price{Unit: *l.Unit, Period: l.Period, Contract: c.Name, Plan: plan, TermEnd: c.End, EffectiveOn: c.EffectiveOn(today)}, true
		}
	}
	return model.Price{}, false
}

// ListPrice is a price without a contract: the term is unknown.
type ListPrice struct {
	Plan   string
	Unit   model.Money
	Period model.Period
}

// PriceOf returns the price of a plan on a day: of the contract in force that
// began last, else the list price, else ok is false: unknown.
func PriceOf(plan string, contracts []Contract, list []ListPrice, today model.Date) (p model.Price, ok bool) {
	var start model.Date
	for _, c := range contracts {
		if found, has := c.Price(plan, today); has && (!ok || c.Start > start || (c.Start == start && c.Name < p.Contract)) {
			p, ok, start = found, true, c.Start
		}
	}
	if ok {
		return p, true
	}
	for _, l := range list {
		if l.Plan == plan && l.Period.PerYear() > 0 {
			return model.Price{Unit: l.Unit, Period: l.Period, Plan: plan}, true
		}
	}
	return model.Price{}, false
}

// Annual adds up what a year of the lines costs; ok is false if a line has no
// price or currencies differ.
func (c Contract) Annual() (total model.Money, ok bool) {
	for _, l := range c.Lines {
		if l.Unit == nil || (total.Currency != "" && total.Currency != l.Unit.Currency) {
			return model.Money{}, false
		}
		annual, known := l.Unit.Annual(l.Period)
		if !known {
			return model.Money{}, false
		}
		line, err := annual.MulDiv(l.Quantity, 1)
		if err != nil {
			return model.Money{}, false
		}
		total = model.Money{Minor: total.Minor + line.Minor, Currency: line.Currency}
	}
	return total, len(c.Lines) > 0
}

// Overlaps says whether both are in force for the same plan at the same time.
func (c Contract) Overlaps(o Contract) (plan string, ok bool) {
	if c.State != model.ContractActive || o.State != model.ContractActive || c.App != o.App || c.End < o.Start || o.End < c.Start {
		return "", false
	}
	for _, a := range c.Lines {
		for _, b := range o.Lines {
			if a.Plan == b.Plan {
				return a.Plan, true
			}
		}
	}
	return "", false
}
