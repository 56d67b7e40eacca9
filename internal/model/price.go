// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package model

import "time"

// Price is what one seat costs and what it is bound to.
type Price struct {
	Unit   Money  `json:"unit"`
	Period Period `json:"period"`
	// Contract and Plan name the contract line that the price comes from. An
	// empty Contract is a list price of the Application, without a term.
	Contract string `json:"contract,omitempty"`
	Plan     string `json:"plan"`
	// TermEnd is the last day that is paid for; empty: not known.
	TermEnd Date `json:"termEnd,omitempty"`
	// EffectiveOn is the first day on which one seat less can cost less.
	EffectiveOn Date `json:"effectiveOn,omitempty"`
}

// Annual is what a year of one seat costs.
func (p Price) Annual() (Money, bool) { return p.Unit.Annual(p.Period) }

// Sunk is what is paid for the seat from a day to the end of the term and
// comes back only if somebody else uses the seat: whole months, and the rest
// by days of the month that they are of. ok is false without a term or with an
// unknown period.
func (p Price) Sunk(from Date) (m Money, ok bool) {
	annual, ok := p.Annual()
	start, okStart := from.In(time.UTC)
	end, okEnd := p.TermEnd.In(time.UTC)
	if !ok || !okStart || !okEnd {
		return Money{}, false
	}
	end = end.AddDate(0, 0, 1) // the last day belongs to the term
	if !start.Before(end) {
		return Money{Currency: p.Unit.Currency}, true
	}
	months := int64(0)
	for !AddMonths(start, int(months)+1).After(end) {
		months++
	}
	begin := AddMonths(start, int(months))
	daysOfMonth := days(begin, AddMonths(start, int(months)+1))
	sunk, err := annual.MulDiv(months*daysOfMonth+days(begin, end), 12*daysOfMonth)
	return sunk, err == nil
}

func days(from, to time.Time) int64 { return int64(to.Sub(from).Hours() / 24) }

// AddMonths returns the same day n months later, or the last day of a month
// that has no such day (time.AddDate would run over into the next one).
func AddMonths(t time.Time, n int) time.Time {
	first := time.Date(t.Year(), t.Month()+time.Month(n), 1, t.Hour(), t.Minute(), t.Second(), t.Nanosecond(), t.Location())
	last := first.AddDate(0, 1, -1).Day()
	return first.AddDate(0, 0, min(t.Day(), last)-1)
}
