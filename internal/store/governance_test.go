// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package store_test

import (
	"errors"
	"fmt"
	"iter"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/seatkeeper/seatkeeper/internal/model"
	"github.com/seatkeeper/seatkeeper/internal/store"
)

func sequence(list []model.Finding, last error) iter.Seq2[model.Finding, error] {
	return func(yield func(model.Finding, error) bool) {
		for _, f := range list {
			if !yield(f, nil) {
				return
			}
		}
		if last != nil {
			yield(model.Finding{}, last)
		}
	}
}

func finding(n int, class model.SeatClass) model.Finding {
	used := t0.AddDate(0, 0, -100)
	return model.Finding{
		Policy: "zoom-90d", Integration: "zoom", AccountID: fmt.Sprintf("u%05d", n), PlanKey: "pro", PersonID: fmt.Sprintf("p%d", n),
		Class: class, Reason: "Unused", Since: "2025-11-22", Evidence: model.Evidence{LastUsed: &used, Source: "zoom.last_login_time"},
		Annual: &model.Money{Minor: 19188, Currency: "USD"},
	}
}

func TestReplaceFindingsWritesOnlyChanges(t *testing.T) {
	eachWorld(t, func(w *world) {
		const n = 4500 // more than two batches
		list := make([]model.Finding, n)
		for i := range list {
			list[i] = finding(i, model.SeatInactive)
		}
		replace := func(want int64, list []model.Finding) {
			w.Helper()
			got, err := w.s.ReplaceFindings(w.Context(), w.tenant, "zoom-90d", sequence(list, nil))
			w.must(err)
			if got != want {
				w.Errorf("wrote %d, want %d", got, want)
			}
		}
		replace(n, list)
		replace(0, list)
		list[7].Class, list[8].Reason = model.SeatUnknown, "NeverUsed"
		later := t0
		list[9].Evidence.LastUsed = &later
		replace(3, list)
		list[7].Evidence.LastUsed = &later // of an Unknown seat: moves by itself
		replace(0, list)
		replace(2, list[2:]) // two are gone
		got, err := w.s.Findings(w.Context(), w.tenant, store.FindingQuery{Policy: "zoom-90d", Limit: 3})
		w.must(err)
		if diff := cmp.Diff(list[2:5], got); diff != "" {
			w.Error(diff)
		}
		last := got[2]
		got, err = w.s.Findings(w.Context(), w.tenant, store.FindingQuery{Limit: 1, Classes: []model.SeatClass{model.SeatUnknown},
			After: &store.FindingCursor{Policy: last.Policy, Integration: last.Integration, AccountID: last.AccountID, PlanKey: last.PlanKey}})
		w.must(err)
		if len(got) != 1 || got[0].AccountID != "u00007" {
			w.Errorf("the unknown seat after the first page: %+v", got)
		}
		// A stream that breaks off removes nothing: absence is not departure.
		broken := errors.New("broken")
		if _, err := w.s.ReplaceFindings(w.Context(), w.tenant, "zoom-90d", sequence(list[2:10], broken)); !errors.Is(err, broken) {
			w.Errorf("got %v", err)
		}
		counts, err := w.s.CountFindings(w.Context(), w.tenant, []string{"zoom"})
		w.must(err)
		want := []store.FindingCount{{"zoom-90d", "zoom", "pro", model.SeatInactive, n - 3}, {"zoom-90d", "zoom", "pro", model.SeatUnknown, 1}}
		if diff := cmp.Diff(want, counts); diff != "" {
			w.Error(diff)
		}
		// Another tenant sees nothing and cannot disturb (invariant 12).
		other := w.otherTenant("globex")
		if counts, err := other.s.CountFindings(w.Context(), other.tenant, []string{"zoom"}); err != nil || len(counts) > 0 {
			w.Errorf("another tenant sees %v, %v", counts, err)
		}
		_, err = other.s.ReplaceFindings(w.Context(), other.tenant, "zoom-90d", sequence(nil, nil))
		w.must(err)
		replace(0, list[2:])
	})
}

var proPrice = model.Price{Unit: model.Money{Minor: 2000, Currency: "EUR"}, Period: model.PeriodMonth, Contract: "c", Plan: "Pro", TermEnd: "2026-12-31", EffectiveOn: "2027-01-01"}

func reclaim(n int) store.Reclaim {
	return store.Reclaim{Policy: "zoom-90d", App: "zoom", Integration: "zoom", AccountID: fmt.Sprintf("u%d", n), PlanKey: "pro", RunID: fmt.Sprintf("run-%d", n), DecidedBy: "ada"}
}

func (w *world) totals(q store.LedgerQuery) map[model.LedgerKind]store.LedgerTotal {
	w.Helper()
	list, err := w.s.LedgerTotals(w.Context(), w.tenant, q)
	w.must(err)
	out := map[model.LedgerKind]store.LedgerTotal{}
	for _, x := range list {
		sum := out[x.Kind]
		sum.Quantity += x.Quantity
		if x.Amount != nil {
			if sum.Amount == nil {
				sum.Amount = &model.Money{Currency: x.Amount.Currency}
			}
			sum.Amount.Minor += x.Amount.Minor
		}
		out[x.Kind] = sum
	}
	return out
}

func (w *world) wantTotal(kind model.LedgerKind, minor, quantity int64) {
	w.Helper()
	got := w.totals(store.LedgerQuery{})[kind]
	if (minor == 0) != (got.Amount == nil || got.Amount.Minor == 0) || (got.Amount != nil && got.Amount.Minor != minor) || got.Quantity != quantity {
		w.Errorf("%s: %+v (%+v), want %d for %d seats", kind, got, got.Amount, minor, quantity)
	}
}

// Journey 10: 10 seats at EUR 20 a month with five months of the term left.
func TestLedgerFollowsJourney10(t *testing.T) {
	eachWorld(t, func(w *world) {
		w.clock.SetTime(time.Date(2026, 8, 1, 9, 0, 0, 0, time.UTC))
		w.must(w.s.SetSeatPrices(w.Context(), w.tenant, "zoom-90d", map[model.SeatKey]model.Price{{Integration: "zoom", PlanKey: "pro"}: proPrice}))
		for n := range 10 {
			w.must(w.s.BookReclaim(w.Context(), w.tenant, reclaim(n)))
			w.must(w.s.BookReclaim(w.Context(), w.tenant, reclaim(n))) // a crash made it run twice
		}
		w.wantTotal(model.LedgerPotential, 240000, 10)
		w.wantTotal(model.LedgerSunk, 100000, 10)
		w.wantTotal(model.LedgerRealised, 0, 0)
		w.wantTotal(model.LedgerUnknown, 0, 0)

		// Two of them are given to others at once; a third is given back to the
		// one who had it, which avoids no purchase.
		w.step(time.Minute)
		reuse := []store.Reuse{{Integration: "zoom", AccountID: "new1", PlanKey: "pro", At: w.clock.Now()}, {Integration: "zoom", AccountID: "new2", PlanKey: "pro", At: w.clock.Now()}}
		for range 2 {
			_, err := w.s.BookReuse(w.Context(), w.tenant, "zoom-90d", reuse)
			w.must(err)
		}
		w.wantTotal(model.LedgerAvoided, 20000, 2)

		// The renewal buys 15 seats fewer, of which 10 are the policy's merit.
		annual := model.Money{Minor: 24000, Currency: "EUR"}
		for range 2 {
			_, err := w.s.BookRealised(w.Context(), w.tenant, "zoom", "c", "c-2027", "Pro", 15, annual)
			w.must(err)
		}
		w.wantTotal(model.LedgerRealised, 240000, 10)

		entries, err := w.s.Ledger(w.Context(), w.tenant, store.LedgerQuery{RunID: "run-3"})
		w.must(err)
		if len(entries) != 2 || entries[0].Contract != "c" || entries[0].Line != "Pro" || entries[0].EffectiveOn != "2027-01-01" || entries[0].DecidedBy != "ada" {
			w.Errorf("%+v", entries)
		}
		if other := w.otherTenant("globex"); len(other.totals(store.LedgerQuery{})) > 0 {
			w.Error("another tenant sees the ledger")
		}
	})
}

func TestReuseCountsNoMoreThanWasReclaimed(t *testing.T) {
	eachWorld(t, func(w *world) {
		w.must(w.s.SetSeatPrices(w.Context(), w.tenant, "zoom-90d", map[model.SeatKey]model.Price{{Integration: "zoom", PlanKey: "pro"}: proPrice}))
		before := w.clock.Now().Add(-time.Hour)
		w.must(w.s.BookReclaim(w.Context(), w.tenant, reclaim(1)))
		w.step(time.Hour)
		booked, err := w.s.BookReuse(w.Context(), w.tenant, "zoom-90d", []store.Reuse{
			{Integration: "zoom", AccountID: "earlier", PlanKey: "pro", At: before},
			{Integration: "zoom", AccountID: "u1", PlanKey: "pro", At: w.clock.Now()}, // had it before
			{Integration: "zoom", AccountID: "other", PlanKey: "webinar", At: w.clock.Now()},
			{Integration: "zoom", AccountID: "a", PlanKey: "pro", At: w.clock.Now()},
			{Integration: "zoom", AccountID: "b", PlanKey: "pro", At: w.clock.Now()},
		})
		w.must(err)
		if booked != 1 {
			w.Errorf("booked %d, want 1", booked)
		}
	})
}

func TestReclaimWithoutPriceOrTermIsUnknown(t *testing.T) {
	eachWorld(t, func(w *world) {
		w.must(w.s.BookReclaim(w.Context(), w.tenant, reclaim(1)))
		w.wantTotal(model.LedgerUnknown, 0, 1)
		w.wantTotal(model.LedgerPotential, 0, 0)
		listed := proPrice
		listed.Contract, listed.TermEnd, listed.EffectiveOn = "", "", ""
		w.must(w.s.SetSeatPrices(w.Context(), w.tenant, "zoom-90d", map[model.SeatKey]model.Price{{Integration: "zoom", PlanKey: "pro"}: listed}))
		w.must(w.s.BookReclaim(w.Context(), w.tenant, reclaim(2)))
		w.wantTotal(model.LedgerPotential, 24000, 1)
		w.wantTotal(model.LedgerUnknown, 0, 2)
		w.wantTotal(model.LedgerSunk, 0, 0)
	})
}

func TestKeeps(t *testing.T) {
	eachWorld(t, func(w *world) {
		keep := model.Keep{Policy: "zoom-90d", Integration: "zoom", AccountID: "u1", PlanKey: "pro", PersonID: "p1", Until: w.clock.Now().Add(48 * time.Hour), By: "ada", Reason: "project"}
		w.must(w.s.KeepSeat(w.Context(), w.tenant, keep, "run-1"))
		shorter := keep
		shorter.Until = w.clock.Now().Add(time.Hour)
		w.must(w.s.KeepSeat(w.Context(), w.tenant, shorter, "run-2")) // arrives late; the longer one wins
		key := model.SeatKey{Integration: "zoom", AccountID: "u1", PlanKey: "pro"}
		got, err := w.s.SeatKeep(w.Context(), w.tenant, "zoom-90d", key)
		w.must(err)
		if got == nil || !got.Until.Equal(keep.Until) || got.Reason != "project" {
			w.Errorf("%+v", got)
		}
		for name, c := range map[string]struct {
			policy string
			tenant model.TenantID
			want   int
		}{"policy": {"zoom-90d", w.tenant, 1}, "all": {"", w.tenant, 1}, "other policy": {"slack-90d", w.tenant, 0}, "other tenant": {"", w.otherTenant("globex").tenant, 0}} {
			if list, err := w.s.Keeps(w.Context(), c.tenant, c.policy); err != nil || len(list) != c.want {
				w.Errorf("%s: %v, %v", name, list, err)
			}
		}
		w.step(48 * time.Hour)
		if got, err := w.s.SeatKeep(w.Context(), w.tenant, "zoom-90d", key); err != nil || got != nil {
			w.Errorf("still kept: %+v, %v", got, err)
		}
	})
}

func TestPolicyState(t *testing.T) {
	eachWorld(t, func(w *world) {
		p := store.PolicyState{Policy: "zoom-90d", UID: "u", Generation: 1, App: "zoom", Mode: "Ask", Rules: []byte("{}")}
		w.must(w.s.UpsertPolicy(w.Context(), w.tenant, p))
		w.must(w.s.SetPolicyResult(w.Context(), w.tenant, p.Policy, []byte("{\"covered\":3}"), 0))
		w.must(w.s.SetSeatPrices(w.Context(), w.tenant, p.Policy, map[model.SeatKey]model.Price{{Integration: "zoom", PlanKey: "pro"}: proPrice}))
		_, err := w.s.ReplaceFindings(w.Context(), w.tenant, p.Policy, sequence([]model.Finding{finding(1, model.SeatInactive)}, nil))
		w.must(err)
		w.must(w.s.UpsertPolicy(w.Context(), w.tenant, p))
		got, err := w.s.Policy(w.Context(), w.tenant, p.Policy)
		w.must(err)
		if string(got.Counts) != "{\"covered\":3}" || got.Removed || got.Mode != "Ask" {
			w.Errorf("%+v", got)
		}
		w.must(w.s.RemovePolicy(w.Context(), w.tenant, p.Policy))
		w.must(w.s.RemovePolicy(w.Context(), w.tenant, p.Policy))
		got, err = w.s.Policy(w.Context(), w.tenant, p.Policy)
		w.must(err)
		list, err := w.s.ListPolicies(w.Context(), w.tenant)
		w.must(err)
		findings, err := w.s.Findings(w.Context(), w.tenant, store.FindingQuery{})
		w.must(err)
		if !got.Removed || len(list) != 0 || len(findings) != 0 {
			w.Errorf("removed: %+v, %v, %v", got, list, findings)
		}
		w.must(w.s.UpsertPolicy(w.Context(), w.tenant, p))
		if got, err := w.s.Policy(w.Context(), w.tenant, p.Policy); err != nil || got.Removed {
			w.Errorf("a policy that is back: %+v, %v", got, err)
		}
	})
}
