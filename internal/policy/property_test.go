// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package policy

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/seatkeeper/seatkeeper/internal/model"
)

// randomSeat is any seat at all, likely and unlikely.
func randomSeat(r *rand.Rand, n int) model.Seat {
	maybe := func(days int) *time.Time {
		if r.IntN(3) == 0 {
			return nil
		}
		return at(ago(r.IntN(days)).Add(-time.Duration(r.IntN(86400)) * time.Second))
	}
	sync := func() time.Time {
		if r.IntN(8) == 0 {
			return time.Time{}
		}
		return now.Add(-time.Duration(r.IntN(30)) * time.Hour)
	}
	s := model.Seat{
		Integration: "zoom", AccountExternalID: fmt.Sprintf("a%d", n), PlanKey: "p", Paid: true, ObservedSince: ago(r.IntN(400)),
		AccountKnown: r.IntN(10) > 0, AccountKind: []model.AccountKind{model.AccountHuman, model.AccountService, model.AccountGuest}[r.IntN(3)],
		IsAdmin: r.IntN(5) == 0, AccountCreatedAt: maybe(900), AssignedAt: maybe(900), AccountObservedSince: ago(r.IntN(400)),
		Lifecycle:        []model.Lifecycle{model.LifecycleCurrent, model.LifecycleOnLeave, model.LifecyclePast}[r.IntN(3)],
		ActivityReported: r.IntN(3) > 0, LastActivityAt: maybe(300), LastActivitySource: "zoom.last_login_time",
		SeatsSyncedAt: sync(), AccountsSyncedAt: sync(), ActivitySyncedAt: sync(), Email: fmt.Sprintf("u%d@acme.example", n),
	}
	if !s.ActivityReported {
		s.LastActivityAt = nil
	}
	if r.IntN(2) == 0 {
		if u := maybe(300); u != nil {
			s.Usage = []model.SeatUsage{{Integration: "zoom", Kind: "login", LastAt: *u}}
		}
		s.UsageCoverage = []model.UsageCoverage{{Integration: "zoom", From: ago(r.IntN(300)), Until: now, SyncedAt: sync(), ActivityReported: r.IntN(2) == 0}}
	}
	return s
}

// lastSeenUse is the newest use that anything at all has seen.
func lastSeenUse(s model.Seat) (last time.Time) {
	if s.LastActivityAt != nil {
		last = *s.LastActivityAt
	}
	for _, u := range s.Usage {
		if u.LastAt.After(last) {
			last = u.LastAt
		}
	}
	return last
}

// What must hold of every seat whatsoever (invariants 2 and 5).
func TestInactiveIsAlwaysProven(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	c := compile(t, rules(func(r *Rules) { r.Sources["zoom"] = Source{StaleAfter: 12 * time.Hour, FirstSyncedAt: ago(400)} }))
	seen := map[model.SeatClass]int{}
	for n := range 20000 {
		s := randomSeat(r, n)
		d := c.Decide(t.Context(), Input{Seat: s, Now: now, OtherAdmins: 3})
		seen[d.Class]++
		if d.Class != model.SeatInactive {
			continue
		}
		switch {
		case lastSeenUse(s).After(ago(90)):
			t.Fatalf("used inside the window: %+v", s)
		case s.AccountKind == model.AccountService:
			t.Fatalf("service account: %+v", s)
		case now.Sub(s.SeatsSyncedAt) > 12*time.Hour || now.Sub(s.AccountsSyncedAt) > 12*time.Hour:
			t.Fatalf("stale: %+v", s)
		case !s.ActivitySyncedAt.IsZero() && now.Sub(s.ActivitySyncedAt) > 12*time.Hour && s.ActivityReported:
			t.Fatalf("stale activity: %+v", s)
		case !s.ActivityReported && len(s.UsageCoverage) == 0:
			t.Fatalf("no signal: %+v", s)
		case d.Since.After(ago(90)):
			t.Fatalf("idle since %s only: %+v", d.Since, s)
		case s.AssignedAt != nil && s.AssignedAt.After(ago(90)):
			t.Fatalf("assigned inside the window: %+v", s)
		case s.Lifecycle == model.LifecycleOnLeave:
			t.Fatalf("on leave: %+v", s)
		}
	}
	for _, class := range []model.SeatClass{model.SeatActive, model.SeatInactive, model.SeatUnknown, model.SeatProtected, model.SeatHeld} {
		if seen[class] < 100 {
			t.Errorf("the sample has only %d %s seats and proves little", seen[class], class)
		}
	}
}

// However many administrators are idle, one always stays (invariant 5).
func TestOneAdminAlwaysStays(t *testing.T) {
	c := compile(t, rules())
	for admins := 1; admins <= 5; admins++ {
		for inFlight := 0; inFlight < admins; inFlight++ {
			facts := Facts{Admins: map[string][]string{}, InFlight: map[string]bool{}}
			var seats []model.Seat
			for n := range admins {
				s := seat(func(s *model.Seat) { s.AccountExternalID, s.IsAdmin = fmt.Sprintf("admin/%d", n), true })
				facts.Admins["zoom"] = append(facts.Admins["zoom"], s.AccountExternalID)
				if n >= admins-inFlight { // those that come last in the stream
					facts.InFlight["zoom/"+s.AccountExternalID+"/zoom.type.2"] = true
				}
				// The same person may hold two seats and is still one administrator.
				seats = append(seats, s, seat(func(x *model.Seat) { *x = s; x.PlanKey = "zoom.webinar" }))
			}
			e := NewEvaluator(c, facts, now)
			for _, s := range seats {
				e.Seat(t.Context(), s)
			}
			_, candidates := e.Result()
			touched := map[string]bool{}
			for _, x := range candidates {
				touched[x.AccountID] = true
			}
			for n := admins - inFlight; n < admins; n++ {
				touched[fmt.Sprintf("admin/%d", n)] = true
			}
			if len(touched) >= admins {
				t.Errorf("%d administrators, %d in flight: all would go", admins, inFlight)
			}
		}
	}
}

func candidates(n int) []Candidate {
	out := make([]Candidate, n)
	for i := range out {
		out[i] = Candidate{SeatKey: model.SeatKey{Integration: "zoom", AccountID: fmt.Sprintf("a%04d", i), PlanKey: "p"}, Since: model.DateOf(ago(90+i%7), time.UTC)}
	}
	return out
}

// Invariant 4: nothing beyond the guard starts until the held set is released.
func TestGuardProperties(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	for range 300 {
		total := int64(r.IntN(2000))
		list := candidates(r.IntN(int(total) + 1))
		started := int64(r.IntN(60))
		guard := model.Guard{MinItems: r.IntN(40), MaxPercent: r.IntN(20)}
		s := Select(list, guard, total, started, nil)
		if len(s.Start)+len(s.Held) != len(list) {
			t.Fatalf("%d + %d of %d", len(s.Start), len(s.Held), len(list))
		}
		if int64(len(s.Start))+started > max(s.Allowed, started) {
			t.Fatalf("%d started before, %d now, %d allowed", started, len(s.Start), s.Allowed)
		}
		if int64(len(s.Start)) > total/2 {
			t.Fatalf("over half of the set: %d of %d", len(s.Start), total)
		}
		r.Shuffle(len(list), func(i, j int) { list[i], list[j] = list[j], list[i] })
		again := Select(list, guard, total, started, nil)
		if digest(again.Held) != digest(s.Held) {
			t.Fatal("the held set depends on the order of the candidates")
		}
		released := map[string]bool{}
		for _, c := range s.Held {
			released[c.TriggerKey()] = true
		}
		after := Select(list, guard, total, started+int64(len(s.Start)), released)
		starts := map[string]bool{}
		for _, c := range after.Start {
			starts[c.TriggerKey()] = true
		}
		for _, c := range s.Held {
			if !starts[c.TriggerKey()] {
				t.Fatalf("released and still held: %s", c.TriggerKey())
			}
		}
		if int64(len(after.Start)-len(s.Held)) > max(0, s.Allowed-started-int64(len(s.Start))) {
			t.Fatal("a release let through what was not released")
		}
	}
}

func digest(list []Candidate) string {
	keys := make([]string, len(list))
	for i, c := range list {
		keys[i] = c.TriggerKey()
	}
	return model.SetDigest(keys)
}

func TestGuardTakesTheLongestIdleFirst(t *testing.T) {
	s := Select(candidates(100), model.DefaultActionGuard, 100, 0, nil)
	if s.Allowed != 20 || len(s.Start) != 20 || len(s.Held) != 80 {
		t.Fatalf("allowed %d, start %d, held %d; want 20, 20, 80", s.Allowed, len(s.Start), len(s.Held))
	}
	for _, held := range s.Held {
		if held.Since < s.Start[0].Since {
			t.Errorf("%s is idle longer than what starts", held.TriggerKey())
		}
	}
}
