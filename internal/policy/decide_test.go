// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package policy

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/seatkeeper/seatkeeper/internal/expr"
	"github.com/seatkeeper/seatkeeper/internal/model"
)

var now = time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)

func ago(days int) time.Time { return now.AddDate(0, 0, -days) }

func at(t time.Time) *time.Time { return &t }

func rules(change ...func(*Rules)) Rules {
	r := Rules{
		Policy: "zoom-90d", InactiveAfterDays: 90, Signals: []string{"activity", "login"}, HoldOnLeave: true, Zone: "UTC",
		Sources: map[string]Source{"zoom": {App: "zoom", StaleAfter: 24 * time.Hour, FirstSyncedAt: ago(1)}},
	}
	for _, f := range change {
		f(&r)
	}
	return r
}

func compile(t testing.TB, r Rules) *Compiled {
	t.Helper()
	c, err := Compile(r)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// seat is idle for 97 days by the vendor's own memory.
func seat(change ...func(*model.Seat)) model.Seat {
	s := model.Seat{
		Integration: "zoom", AccountExternalID: "a1", PlanKey: "zoom.type.2", PlanName: "Licensed", Paid: true, State: model.AssignmentActive,
		ObservedSince: ago(1), AccountKnown: true, AccountStatus: model.AccountActive, AccountKind: model.AccountHuman,
		Username: "ada", AccountCreatedAt: at(ago(700)), AccountObservedSince: ago(1),
		PersonID: "p1", Email: "Ada@acme.example", Department: "Sales", Lifecycle: model.LifecycleCurrent,
		ActivityReported: true, LastActivityAt: at(ago(97)), LastActivitySource: "zoom.last_login_time",
		SeatsSyncedAt: now.Add(-time.Hour), AccountsSyncedAt: now.Add(-time.Hour),
	}
	for _, f := range change {
		f(&s)
	}
	return s
}

func neverUsed(s *model.Seat) { s.LastActivityAt, s.LastActivitySource = nil, "zoom.last_login_time" }

func noActivity(s *model.Seat) {
	s.ActivityReported, s.LastActivityAt, s.LastActivitySource = false, nil, ""
}

func feed(from time.Time, reported bool) model.UsageCoverage {
	return model.UsageCoverage{Integration: "zoom", Stream: "usage", From: from, Until: now.Add(-time.Minute), ActivityReported: reported, SyncedAt: now.Add(-time.Minute)}
}

func TestDecide(t *testing.T) {
	type testCase struct {
		name   string
		rules  func(*Rules)
		seat   func(*model.Seat)
		input  func(*Input)
		class  model.SeatClass
		reason string
	}
	cases := []testCase{
		{name: "idle for 97 days", class: model.SeatInactive, reason: ReasonUnused},
		{name: "used yesterday", seat: func(s *model.Seat) { s.LastActivityAt = at(ago(1)) }, class: model.SeatActive, reason: ReasonUsed},
		{name: "used exactly 90 days ago is unused", seat: func(s *model.Seat) { s.LastActivityAt = at(ago(90)) }, class: model.SeatInactive, reason: ReasonUnused},
		{name: "used a millisecond inside 90 days", seat: func(s *model.Seat) { s.LastActivityAt = at(ago(90).Add(time.Millisecond)) }, class: model.SeatActive, reason: ReasonUsed},
		{name: "use is proof even when the listing is stale", seat: func(s *model.Seat) { s.LastActivityAt, s.AccountsSyncedAt = at(ago(5)), ago(4) }, class: model.SeatActive, reason: ReasonUsed},

		// Invariant 2: Unknown is not inactive.
		{name: "no source reports activity", seat: noActivity, class: model.SeatUnknown, reason: ReasonNoTrustedSignal},
		{name: "the account listing is stale", seat: func(s *model.Seat) { s.AccountsSyncedAt = ago(2) }, class: model.SeatUnknown, reason: ReasonSyncStale},
		{name: "the last activity was read too long ago", seat: func(s *model.Seat) { s.ActivitySyncedAt = ago(2) }, class: model.SeatUnknown, reason: ReasonSyncStale},
		{name: "the last activity was read with a whole listing", seat: func(s *model.Seat) { s.ActivitySyncedAt = now.Add(-11 * time.Hour) }, class: model.SeatInactive, reason: ReasonUnused},
		{name: "the seat listing is stale", seat: func(s *model.Seat) { s.SeatsSyncedAt = ago(2) }, class: model.SeatUnknown, reason: ReasonSyncStale},
		{name: "the accounts were never listed", seat: func(s *model.Seat) { s.AccountsSyncedAt = time.Time{} }, class: model.SeatUnknown, reason: ReasonSyncStale},
		{name: "the account is not known", seat: func(s *model.Seat) { s.AccountKnown = false; noActivity(s) }, class: model.SeatUnknown, reason: ReasonAccountUnknown},
		{name: "the signal is not trusted", rules: func(r *Rules) { r.Signals = []string{"activity"} }, class: model.SeatUnknown, reason: ReasonNoTrustedSignal},
		{
			name: "a sign-on at the identity provider proves nothing",
			seat: func(s *model.Seat) {
				noActivity(s)
				s.Usage = []model.SeatUsage{{Integration: "okta", Kind: "sso_login", LastAt: ago(200)}}
				s.UsageCoverage = []model.UsageCoverage{{Integration: "okta", From: ago(300), Until: now, SyncedAt: now, ActivityReported: true}}
			},
			class: model.SeatUnknown, reason: ReasonNoTrustedSignal,
		},
		{
			name:  "a sign-on counts where the policy lists it",
			rules: func(r *Rules) { r.Signals = append(r.Signals, "sso_login") },
			seat: func(s *model.Seat) {
				noActivity(s)
				s.Usage = []model.SeatUsage{{Integration: "okta", Kind: "sso_login", LastAt: ago(3)}}
			},
			class: model.SeatActive, reason: ReasonUsed,
		},

		// Never used.
		{name: "never used since long", seat: neverUsed, class: model.SeatInactive, reason: ReasonNeverUsed},
		{name: "never used, account young", seat: func(s *model.Seat) { neverUsed(s); s.AccountCreatedAt = at(ago(20)) }, class: model.SeatUnknown, reason: ReasonNotEnoughHistory},
		{name: "never used, account exactly 90 days old", seat: func(s *model.Seat) { neverUsed(s); s.AccountCreatedAt = at(ago(90)) }, class: model.SeatInactive, reason: ReasonNeverUsed},
		{name: "never used, age known to nobody", seat: func(s *model.Seat) { neverUsed(s); s.AccountCreatedAt = nil }, class: model.SeatUnknown, reason: ReasonNotEnoughHistory},
		{
			name: "never used, observed long enough ourselves", rules: func(r *Rules) { r.Sources["zoom"] = Source{FirstSyncedAt: ago(91)} },
			seat: func(s *model.Seat) {
				neverUsed(s)
				s.AccountCreatedAt, s.ObservedSince, s.AccountObservedSince = nil, ago(91), ago(91)
			},
			class: model.SeatInactive, reason: ReasonNeverUsed,
		},
		{name: "never used, own shorter window", rules: func(r *Rules) { r.NeverUsedAfterDays = 30 }, seat: func(s *model.Seat) { neverUsed(s); s.AccountCreatedAt = at(ago(31)) }, class: model.SeatInactive, reason: ReasonNeverUsed},
		{name: "assigned anew after the last use", seat: func(s *model.Seat) { s.AssignedAt = at(ago(10)) }, class: model.SeatUnknown, reason: ReasonNotEnoughHistory},
		{
			name: "seen to be assigned after the last use", rules: func(r *Rules) { r.Sources["zoom"] = Source{FirstSyncedAt: ago(300)} },
			seat: func(s *model.Seat) { s.ObservedSince = ago(10) }, class: model.SeatUnknown, reason: ReasonNotEnoughHistory,
		},

		// Feeds of events.
		{
			name: "feed shows the last use and reaches back", class: model.SeatInactive, reason: ReasonUnused,
			seat: func(s *model.Seat) {
				noActivity(s)
				s.Usage = []model.SeatUsage{{Integration: "zoom", Kind: "login", LastAt: ago(100)}}
				s.UsageCoverage = []model.UsageCoverage{feed(ago(120), false)}
			},
		},
		{
			name: "feed covers less than the window", class: model.SeatUnknown, reason: ReasonNotEnoughHistory,
			seat: func(s *model.Seat) {
				noActivity(s)
				s.UsageCoverage = []model.UsageCoverage{feed(ago(60), true)}
			},
		},
		{
			name: "a short feed does not hide a long one", class: model.SeatInactive, reason: ReasonNeverUsed,
			seat: func(s *model.Seat) {
				noActivity(s)
				s.UsageCoverage = []model.UsageCoverage{feed(ago(60), true), feed(ago(120), true)}
			},
		},
		{
			name: "feed that reports everything, and no event", class: model.SeatInactive, reason: ReasonNeverUsed,
			seat: func(s *model.Seat) {
				noActivity(s)
				s.UsageCoverage = []model.UsageCoverage{feed(ago(120), true)}
			},
		},
		{
			name: "feed that may miss events, and no event", class: model.SeatUnknown, reason: ReasonNoTrustedSignal,
			seat: func(s *model.Seat) {
				noActivity(s)
				s.UsageCoverage = []model.UsageCoverage{feed(ago(120), false)}
			},
		},
		{
			name: "feed that stopped", class: model.SeatUnknown, reason: ReasonSyncStale,
			seat: func(s *model.Seat) {
				noActivity(s)
				f := feed(ago(120), true)
				f.Until = ago(30)
				s.UsageCoverage = []model.UsageCoverage{f}
			},
		},

		// Invariant 5: protected is never touched.
		{name: "protected person, in any case", rules: func(r *Rules) { r.Protected.People = []string{"ADA@acme.example"} }, class: model.SeatProtected, reason: ReasonProtectedPerson},
		{name: "protected account", rules: func(r *Rules) { r.Protected.Accounts = map[string][]string{"zoom": {"a1"}} }, class: model.SeatProtected, reason: ReasonProtectedAccount},
		{name: "same id in another integration is another account", rules: func(r *Rules) { r.Protected.Accounts = map[string][]string{"okta": {"a1"}} }, class: model.SeatInactive, reason: ReasonUnused},
		{name: "service account", seat: func(s *model.Seat) { s.AccountKind = model.AccountService }, class: model.SeatProtected, reason: ReasonServiceAccount},
		{name: "protected by condition", rules: func(r *Rules) { r.Protected.When = "person.department == 'Sales'" }, class: model.SeatProtected, reason: ReasonProtectedByRule},
		{name: "a condition that fails protects", rules: func(r *Rules) { r.Protected.When = "account.createdAt < now" }, seat: func(s *model.Seat) { s.AccountCreatedAt = nil }, class: model.SeatUnknown, reason: ReasonExpressionFailed},
		{name: "protected and in use is in use", rules: func(r *Rules) { r.Protected.People = []string{"ada@acme.example"} }, seat: func(s *model.Seat) { s.LastActivityAt = at(ago(2)) }, class: model.SeatActive, reason: ReasonUsed},
		{name: "last administrator", seat: func(s *model.Seat) { s.IsAdmin = true }, class: model.SeatProtected, reason: ReasonLastAdmin},
		{name: "one of two administrators", seat: func(s *model.Seat) { s.IsAdmin = true }, input: func(in *Input) { in.OtherAdmins = 1 }, class: model.SeatInactive, reason: ReasonUnused},

		{name: "exempt person", rules: func(r *Rules) { r.Exempt = []Exemption{{People: []string{"ada@acme.example"}}} }, class: model.SeatExempt, reason: ReasonExempt},
		{name: "exempt group", rules: func(r *Rules) { r.Exempt = []Exemption{{Groups: []string{"execs"}}} }, input: func(in *Input) { in.Groups = []string{"execs"} }, class: model.SeatExempt, reason: ReasonExempt},
		{name: "exempt by condition, last day", rules: func(r *Rules) {
			r.Exempt = []Exemption{{When: "person.department == 'Sales'", Until: "2026-11-21"}}
		}, class: model.SeatExempt, reason: ReasonExempt},
		{name: "exemption that is over", rules: func(r *Rules) {
			r.Exempt = []Exemption{{When: "person.department == 'Sales'", Until: "2026-11-20"}}
		}, class: model.SeatInactive, reason: ReasonUnused},
		{name: "kept", input: func(in *Input) { in.Keep = &model.Keep{Until: now.Add(time.Second)} }, class: model.SeatKept, reason: ReasonKept},
		{name: "kept until now", input: func(in *Input) { in.Keep = &model.Keep{Until: now} }, class: model.SeatInactive, reason: ReasonUnused},
		{name: "on leave is held, not idle", seat: func(s *model.Seat) { s.Lifecycle = model.LifecycleOnLeave }, class: model.SeatHeld, reason: ReasonOnLeave},
		{name: "on leave and evaluated", rules: func(r *Rules) { r.HoldOnLeave = false }, seat: func(s *model.Seat) { s.Lifecycle = model.LifecycleOnLeave }, class: model.SeatInactive, reason: ReasonUnused},
		{name: "on leave and in use", seat: func(s *model.Seat) { s.Lifecycle, s.LastActivityAt = model.LifecycleOnLeave, at(ago(2)) }, class: model.SeatActive, reason: ReasonUsed},
		{name: "run under way", input: func(in *Input) { in.InFlight = true }, class: model.SeatInFlight, reason: ReasonInFlight},
	}
	for _, tc := range cases {
		t.Run(tc.name, func(t *testing.T) {
			r := rules()
			if tc.rules != nil {
				tc.rules(&r)
			}
			in := Input{Seat: seat(), Now: now}
			if tc.seat != nil {
				tc.seat(&in.Seat)
			}
			if tc.input != nil {
				tc.input(&in)
			}
			got := compile(t, r).Decide(t.Context(), in)
			if got.Class != tc.class || got.Reason != tc.reason {
				t.Errorf("got %s (%s), want %s (%s)", got.Class, got.Reason, tc.class, tc.reason)
			}
			if got.Class == model.SeatInactive && got.Since.IsZero() {
				t.Error("Inactive without a day from which it is idle")
			}
		})
	}
}

// A question names the source whose silence it rests on, and since when.
func TestNeverUsedNamesItsSource(t *testing.T) {
	s := seat(neverUsed)
	got := compile(t, rules()).Decide(t.Context(), Input{Seat: s, Now: now}).Evidence
	if got.LastUsed != nil || got.Source != "zoom.last_login_time" || got.ObservedSince == nil || !got.ObservedSince.Equal(*s.AccountCreatedAt) {
		t.Errorf("evidence of a seat never used = %+v, want zoom.last_login_time since %v", got, s.AccountCreatedAt)
	}
}

func TestDaysAreCalendarDaysInTheZone(t *testing.T) {
	// Berlin left summer time on 25 October 2026: 90 calendar days at the same
	// wall time are 2161 hours, not 2160.
	c := compile(t, rules(func(r *Rules) { r.Zone = "Europe/Berlin" }))
	at2160 := now.Add(-2160 * time.Hour)
	got := c.Decide(t.Context(), Input{Seat: seat(func(s *model.Seat) { s.LastActivityAt = &at2160 }), Now: now})
	if got.Class != model.SeatActive {
		t.Errorf("2160 hours ago, 90 days less an hour by the wall: got %s", got.Class)
	}
	at2161 := now.Add(-2161 * time.Hour)
	got = c.Decide(t.Context(), Input{Seat: seat(func(s *model.Seat) { s.LastActivityAt = &at2161 }), Now: now})
	if got.Class != model.SeatInactive {
		t.Errorf("2161 hours ago: got %s", got.Class)
	}
}

func TestCompileNamesEveryBadExpression(t *testing.T) {
	_, err := Compile(rules(func(r *Rules) {
		r.Protected.When = "account.kin == 'service'"
		r.Exempt = []Exemption{{When: "true"}, {When: "person.department"}}
	}))
	var one *ExpressionError
	if !errors.As(err, &one) {
		t.Fatalf("got %v", err)
	}
	var at *expr.Error
	if !errors.As(err, &at) {
		t.Errorf("no position in %v", err)
	}
	for _, field := range []string{"Organization spec.protected.when", "spec.exempt[1].when"} {
		if !strings.Contains(err.Error(), field) {
			t.Errorf("%q is not named in: %v", field, err)
		}
	}
}
