// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package policy

import (
	"testing"

	"github.com/seatkeeper/seatkeeper/internal/model"
)

func days(n int) *int { return &n }

func TestContractStage(t *testing.T) {
	// Journey 9: end 2027-03-31, notice 60 days: deadline 2027-01-30.
	auto := Contract{
		State: model.ContractActive, Start: "2026-04-01", End: "2027-03-31", Renewal: model.RenewalAuto, NoticeDays: days(60), TermMonths: 12, ReminderDays: []int{30, 90, 60},
	}
	if d, ok := auto.Deadline(); !ok || d != "2027-01-30" {
		t.Fatalf("deadline %s, %v", d, ok)
	}
	edited := auto
	edited.NoticeDays = days(90)
	if d, _ := edited.Deadline(); d != "2026-12-31" {
		t.Errorf("deadline after the edit: %s", d)
	}
	manual := auto
	manual.Renewal = model.RenewalManual
	none := Contract{State: model.ContractActive, Start: "2026-04-01", End: "2027-03-31", ReminderDays: []int{30}}
	draft, cancelled := auto, auto
	draft.State, cancelled.State = model.ContractDraft, model.ContractCancelled
	for _, tc := range []struct {
		name  string
		c     Contract
		today model.Date
		stage string
	}{
		{"before the term", auto, "2026-03-31", StageUpcoming},
		{"first day", auto, "2026-04-01", StageActive},
		{"day before the first reminder", auto, "2026-10-31", StageActive},
		{"first reminder", auto, "2026-11-01", StageInNotice},
		{"deadline itself", auto, "2027-01-30", StageInNotice},
		{"day after the deadline", auto, "2027-01-31", StageMissed},
		{"last day", auto, "2027-03-31", StageMissed},
		{"day after the term", auto, "2027-04-01", StageExpired},
		{"manual renewal misses nothing", manual, "2027-01-31", StageActive},
		{"no renewal: reminders count from the end", none, "2027-03-01", StageInNotice},
		{"no renewal: last day", none, "2027-03-31", StageInNotice},
		{"draft", draft, "2027-03-31", StageDraft},
		{"cancelled", cancelled, "2027-03-31", StageCancelled},
	} {
		if got := tc.c.Stage(tc.today); got != tc.stage {
			t.Errorf("%s: got %s, want %s", tc.name, got, tc.stage)
		}
	}
}

// Between two changes that NextChange names, the stage stays.
func TestNextChangeMissesNoChange(t *testing.T) {
	c := Contract{State: model.ContractActive, Start: "2026-04-01", End: "2027-03-31", Renewal: model.RenewalAuto, NoticeDays: days(60), ReminderDays: []int{90, 30}}
	today := model.Date("2026-01-01")
	next := c.NextChange(today)
	for today < "2027-06-01" {
		day := today.AddDays(1)
		if c.Stage(day) != c.Stage(today) && day != next {
			t.Fatalf("the stage changes on %s, NextChange said %s", day, next)
		}
		if today = day; day == next {
			next = c.NextChange(day)
		}
	}
	if next != "" {
		t.Errorf("a change is announced after the last one: %s", next)
	}
}

func eur(minor int64) model.Money { return model.Money{Minor: minor, Currency: "EUR"} }

// Journey 10: ten seats at EUR 20 a month, five months of the term left.
func TestJourney10(t *testing.T) {
	unit := eur(2000)
	c := Contract{Name: "c", State: model.ContractActive, Start: "2026-01-01", End: "2026-12-31", Renewal: model.RenewalAuto, NoticeDays: days(30), TermMonths: 12,
		Lines: []ContractLine{{Plan: "Pro", Quantity: 100, Unit: &unit, Period: model.PeriodMonth}}}
	price, ok := PriceOf("Pro", []Contract{c}, nil, "2026-08-01")
	if !ok {
		t.Fatal("no price")
	}
	annual, _ := price.Annual()
	sunk, ok := price.Sunk("2026-08-01")
	if !ok || annual.Minor*10 != 240000 || sunk.Minor*10 != 100000 || price.EffectiveOn != "2027-01-01" {
		t.Errorf("potential %d, sunk %d, effective %s; want 240000, 100000, 2027-01-01", annual.Minor*10, sunk.Minor*10, price.EffectiveOn)
	}
	if missed, _ := c.Price("Pro", "2026-12-15"); missed.EffectiveOn != "2028-01-01" {
		t.Errorf("past the deadline a seat less costs less from %s, want 2028-01-01", missed.EffectiveOn)
	}
}

func TestSunk(t *testing.T) {
	for _, tc := range []struct {
		name   string
		period model.Period
		unit   int64
		from   model.Date
		end    model.Date
		want   int64
	}{
		{"whole months", model.PeriodMonth, 2000, "2026-08-01", "2026-12-31", 10000},
		{"a day and whole months", model.PeriodMonth, 3100, "2026-07-31", "2026-08-31", 3203}, // 31 Jul to 31 Aug, then 1 of the 30 days to 30 Sep
		{"half a month", model.PeriodMonth, 3000, "2026-09-16", "2026-09-30", 1500},
		{"last day", model.PeriodMonth, 3000, "2026-09-30", "2026-09-30", 100}, // 1 of the 30 days to 30 Oct
		{"a year, paid by the year", model.PeriodYear, 24000, "2026-01-01", "2026-12-31", 24000},
		{"a quarter, paid by the quarter", model.PeriodQuarter, 6000, "2026-10-01", "2026-12-31", 6000},
		{"after the term", model.PeriodMonth, 2000, "2027-01-01", "2026-12-31", 0},
		{"from the end of a long month", model.PeriodMonth, 2800, "2026-01-31", "2026-02-27", 2800},
	} {
		got, ok := model.Price{Unit: eur(tc.unit), Period: tc.period, TermEnd: tc.end}.Sunk(tc.from)
		if !ok || got.Minor != tc.want {
			t.Errorf("%s: got %d, %v; want %d", tc.name, got.Minor, ok, tc.want)
		}
	}
	if _, ok := (model.Price{Unit: eur(1), Period: model.PeriodMonth}).Sunk("2026-01-01"); ok {
		t.Error("sunk without a term must be unknown")
	}
	if _, ok := (model.Price{Unit: eur(1), TermEnd: "2026-12-31"}).Sunk("2026-01-01"); ok {
		t.Error("sunk without a period must be unknown")
	}
}

// What is sunk never rises as days pass, and never exceeds what the rest of
// the term costs.
func TestSunkProperties(t *testing.T) {
	p := model.Price{Unit: eur(1999), Period: model.PeriodMonth, TermEnd: "2028-02-29"}
	last := int64(1 << 60)
	for d := model.Date("2025-12-31"); d < "2028-03-05"; d = d.AddDays(1) {
		got, ok := p.Sunk(d)
		if !ok || got.Minor > last || got.Minor < 0 {
			t.Fatalf("%s: %d after %d", d, got.Minor, last)
		}
		last = got.Minor
	}
	if last != 0 {
		t.Errorf("after the term %d is left", last)
	}
}

func TestPriceOf(t *testing.T) {
	ten, twelve := eur(1000), eur(1200)
	old := Contract{Name: "old", State: model.ContractActive, Start: "2026-01-01", End: "2026-12-31", Lines: []ContractLine{{Plan: "Pro", Unit: &ten, Period: model.PeriodMonth}}}
	renewed := Contract{Name: "new", State: model.ContractActive, Start: "2026-07-01", End: "2027-06-30", Lines: []ContractLine{{Plan: "Pro", Unit: &twelve, Period: model.PeriodMonth}}}
	draft := renewed
	draft.Name, draft.State, draft.Start = "draft", model.ContractDraft, "2026-08-01"
	list := []ListPrice{{Plan: "Pro", Unit: eur(1500), Period: model.PeriodMonth}}
	for _, tc := range []struct {
		name  string
		today model.Date
		plan  string
		want  int64
		from  string
	}{
		{"one in force", "2026-03-01", "Pro", 1000, "old"},
		{"the later one wins", "2026-09-01", "Pro", 1200, "new"},
		{"none in force: list price", "2028-01-01", "Pro", 1500, ""},
	} {
		p, ok := PriceOf(tc.plan, []Contract{old, renewed, draft}, list, tc.today)
		if !ok || p.Unit.Minor != tc.want || p.Contract != tc.from {
			t.Errorf("%s: %+v, %v", tc.name, p, ok)
		}
	}
	if _, ok := PriceOf("Basic", []Contract{old}, list, "2026-03-01"); ok {
		t.Error("a plan without a price must be unknown")
	}
	if plan, ok := old.Overlaps(renewed); !ok || plan != "Pro" {
		t.Error("the overlap is not found")
	}
	if _, ok := old.Overlaps(draft); ok {
		t.Error("a draft overlaps nothing")
	}
}
