// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package store_test

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/seatkeeper/seatkeeper/internal/model"
	"github.com/seatkeeper/seatkeeper/internal/store"
)

func use(e model.UsageEvent) model.Record { return model.Record{Usage: &e} }

func usageOf(window store.Window, records ...model.Record) listing {
	return listing{stream: "events", records: records, outcome: store.StreamOutcome{Complete: true, Types: []model.DataType{model.DataUsage},
		Window: &window, ActivityReported: true, Guard: model.DefaultShrinkGuard}}
}

func (w *world) seats(f store.SeatFilter) []model.Seat {
	w.Helper()
	var out []model.Seat
	w.must(w.s.Seats(w.Context(), w.tenant, f, func(s model.Seat) error {
		out = append(out, s)
		return nil
	}))
	return out
}

func TestSeatCarriesEverySignOfUse(t *testing.T) {
	eachWorld(t, func(w *world) {
		day := 24 * time.Hour
		w.withTruth("hris")
		w.sync("hris", peopleOf(person("1", "ada@acme.example", func(p *model.Person) {
			p.Department, p.TimeZone, p.ManagerEmail = "Sales", "Asia/Tokyo", "bob@acme.example"
		}),
			person("2", "bob@acme.example")))
		w.step(time.Hour)
		w.sync("zoom",
			accountsOf(account("z1", func(a *model.Account) {
				a.PersonKey, a.IsAdmin, a.CreatedAt = "ada@acme.example", true, ptr(t0.Add(-400*day))
				a.LastActivityAt, a.LastActivitySource = ptr(t0.Add(-100*day)), "zoom.last_login_time"
			})),
			complete("licenses", []model.DataType{model.DataPlans, model.DataAssignments},
				model.Record{Plan: &model.Plan{Key: "pro", Name: "Pro", Paid: true}},
				model.Record{Assignment: &model.Assignment{AccountExternalID: "z1", PlanKey: "pro", Paid: true, State: model.AssignmentActive, AssignedAt: ptr(t0.Add(-300 * day))}},
				model.Record{Assignment: &model.Assignment{AccountExternalID: "gone", PlanKey: "pro", Paid: true, State: model.AssignmentActive}}),
			usageOf(store.Window{From: t0.Add(-30 * day), Until: t0},
				use(model.UsageEvent{AccountExternalID: "z1", At: t0.Add(-9 * day), Kind: "meeting", Source: "zoom.report"}),
				use(model.UsageEvent{AccountExternalID: "z1", At: t0.Add(-8 * day), Kind: "meeting", Source: "zoom.report"}),
				use(model.UsageEvent{PersonKey: "ADA@acme.example", At: t0.Add(-7 * day), Kind: "login"})))
		w.sync("okta", accountsOf(account("o1", func(a *model.Account) { a.PersonKey = "ada@acme.example" })),
			complete("apps", []model.DataType{model.DataApps},
				model.Record{App: &model.DiscoveredApp{ExternalID: "okta-zoom", Name: "Zoom Workplace", URL: "https://acme.zoom.us/saml"}},
				model.Record{App: &model.DiscoveredApp{ExternalID: "okta-slack", Name: "Slack"}}),
			usageOf(store.Window{From: t0.Add(-90 * day), Until: t0},
				use(model.UsageEvent{AppExternalID: "okta-zoom", AccountExternalID: "o1", At: t0.Add(-2 * day), Kind: "sso_login", Source: "okta.log"}),
				use(model.UsageEvent{AppExternalID: "okta-slack", AccountExternalID: "o1", At: t0.Add(-1 * day), Kind: "sso_login", Source: "okta.log"})))

		seats := w.seats(store.SeatFilter{Integrations: []string{"zoom"}, PaidOnly: true, Plans: []string{"Pro"}, KnownAs: map[string]model.AppIdentity{
			"zoom": {Names: []string{"zoom"}, Domains: []string{"zoom.us"}}, "okta": {Names: []string{"slack"}}}})
		if len(seats) != 2 {
			w.Fatalf("%d seats: %+v", len(seats), seats)
		}
		people, now := w.people(), t0.Add(time.Hour)
		ada, bob := people["ada@acme.example"], people["bob@acme.example"]
		want := model.Seat{
			Integration: "zoom", AccountExternalID: "z1", PlanKey: "pro", PlanName: "Pro", Paid: true, State: model.AssignmentActive,
			AssignedAt: ptr(t0.Add(-300 * day)), ObservedSince: now,
			AccountKnown: true, AccountStatus: model.AccountActive, AccountKind: model.AccountHuman, IsAdmin: true, Username: "z1", DisplayName: "User z1",
			AccountCreatedAt: ptr(t0.Add(-400 * day)), AccountObservedSince: now,
			PersonID: ada.ID, PersonName: "Person 1", Email: "ada@acme.example", Department: "Sales", TimeZone: "Asia/Tokyo", Lifecycle: model.LifecycleCurrent,
			ManagerID: bob.ID, ManagerEmail: "bob@acme.example",
			ActivityReported: true, LastActivityAt: ptr(t0.Add(-100 * day)), LastActivitySource: "zoom.last_login_time",
			Usage: []model.SeatUsage{{Integration: "zoom", Kind: "login", LastAt: t0.Add(-7 * day)},
				{Integration: "zoom", Kind: "meeting", Source: "zoom.report", LastAt: t0.Add(-8 * day)},
				{Integration: "okta", Kind: "sso_login", Source: "okta.log", LastAt: t0.Add(-2 * day)}},
			UsageCoverage: []model.UsageCoverage{
				{Integration: "zoom", Stream: "events", From: t0.Add(-30 * day), Until: t0, ActivityReported: true, SyncedAt: now},
				{Integration: "okta", Stream: "events", From: t0.Add(-90 * day), Until: t0, ActivityReported: true, SyncedAt: now, Kinds: []string{"sso_login"}}},
			SeatsSyncedAt: now, AccountsSyncedAt: now, ActivitySyncedAt: now,
		}
		if diff := cmp.Diff(want, seats[1]); diff != "" {
			w.Fatalf("seat (-want +got):\n%s", diff)
		}
		if s := seats[0]; s.AccountExternalID != "gone" || s.AccountKnown || s.PersonID != "" || len(s.Usage) != 0 {
			w.Fatalf("a seat without an account: %+v", s)
		}
		// Without the mapping, signing on to another app proves nothing here.
		if s := w.seats(store.SeatFilter{Integrations: []string{"zoom"}, Account: "z1"}); len(s) != 1 || len(s[0].Usage) != 2 || len(s[0].UsageCoverage) != 1 {
			w.Fatalf("%+v", s)
		}
		if !w.list(store.AccountQuery{Integrations: []string{"zoom"}})["z1"].Paid {
			w.Fatal("the account is not marked as holding a paid seat")
		}
		stop := errors.New("enough")
		if err := w.s.Seats(w.Context(), w.tenant, store.SeatFilter{}, func(model.Seat) error { return stop }); !errors.Is(err, stop) {
			w.Fatalf("%v", err)
		}
	})
}

func TestSeatsGivenByAddressFindTheirAccountInAnyOrder(t *testing.T) {
	eachWorld(t, func(w *world) {
		byMail := complete("licenses", []model.DataType{model.DataAssignments},
			model.Record{Assignment: &model.Assignment{PersonKey: "U1@acme.example", PlanKey: "pro", Paid: true}})
		for _, order := range [][]listing{{byMail, accountsOf(account("u1"))}, {accountsOf(account("u1")), byMail}} {
			other := w.otherTenant(fmt.Sprint(order[0].stream))
			other.sync("google", order...)
			if s := other.seats(store.SeatFilter{}); len(s) != 1 || s[0].AccountExternalID != "u1" || !s[0].AccountKnown || s[0].Username != "u1" {
				w.Fatalf("%+v", s)
			}
			if !other.list(store.AccountQuery{})["u1"].Paid {
				w.Fatal("not marked as paid")
			}
		}
	})
}

func TestUsageOnlyAccumulatesAndCoverageGrowsWithoutGaps(t *testing.T) {
	eachWorld(t, func(w *world) {
		hour := time.Hour
		read := func(from, until time.Duration, at time.Duration) (start, end time.Time) {
			w.Helper()
			w.sync("zoom", usageOf(store.Window{From: t0.Add(from), Until: t0.Add(until)}, use(model.UsageEvent{AccountExternalID: "u", At: t0.Add(at), Kind: "login"})))
			st := w.streams("zoom")["events"]
			return *st.CoversFrom, *st.CoversUntil
		}
		check := func(gotFrom, gotUntil time.Time, from, until time.Duration) {
			w.Helper()
			if !gotFrom.Equal(t0.Add(from)) || !gotUntil.Equal(t0.Add(until)) {
				w.Fatalf("covers %v to %v, want %v to %v", gotFrom, gotUntil, t0.Add(from), t0.Add(until))
			}
		}
		a, b := read(0, 10*hour, hour)
		check(a, b, 0, 10*hour)
		a, b = read(9*hour, 20*hour, 12*hour) // overlaps
		check(a, b, 0, 20*hour)
		a, b = read(30*hour, 40*hour, 5*hour) // a gap; the event is older than what is known
		check(a, b, 30*hour, 40*hour)

		w.sync("zoom", accountsOf(account("u")), complete("licenses", nil, seat("u", "pro", true)))
		if s := w.seats(store.SeatFilter{}); len(s[0].Usage) != 1 || !s[0].Usage[0].LastAt.Equal(t0.Add(12*hour)) {
			w.Fatalf("%+v", s[0].Usage)
		}
	})
}

func TestListsPageAndFilter(t *testing.T) {
	eachWorld(t, func(w *world) {
		var acc, seats, people []model.Record
		for i := range 25 {
			id := fmt.Sprintf("u%02d", i)
			acc = append(acc, account(id, func(a *model.Account) {
				if i%5 == 0 {
					a.Status = model.AccountSuspended
				}
				if i < 10 {
					a.LastActivityAt = ptr(t0)
				}
			}))
			seats = append(seats, seat(id, []string{"free", "pro"}[i%2], i%2 == 1))
			people = append(people, person(id, id+"@acme.example", func(p *model.Person) { p.Department = []string{"Sales", "R&D"}[i%2] }))
		}
		w.sync("zoom", accountsOf(acc...), complete("licenses", nil, seats...))
		w.sync("hris", peopleOf(people...))

		count := func(next func(store.Page) (int, string)) (n int) {
			w.Helper()
			p := store.Page{Limit: 7}
			for pages := 0; ; pages++ {
				if pages > 10 {
					w.Fatal("paging does not end")
				}
				got, cursor := next(p)
				n += got
				if p.Cursor = cursor; cursor == "" {
					return n
				}
			}
		}
		for name, tc := range map[string]struct {
			want int
			next func(store.Page) (int, string)
		}{
			"accounts":  {25, w.accountPage(store.AccountQuery{})},
			"suspended": {5, w.accountPage(store.AccountQuery{Statuses: []string{"suspended"}})},
			"search":    {10, w.accountPage(store.AccountQuery{Search: "U1"})},
			"wildcard":  {0, w.accountPage(store.AccountQuery{Search: "u_1%"})},
			"unused":    {15, w.accountPage(store.AccountQuery{UnusedSince: ptr(t0)})},
			"elsewhere": {0, w.accountPage(store.AccountQuery{Integrations: []string{"slack"}})},
			"people":    {25, w.peoplePage(store.PeopleQuery{})},
			"dept":      {12, w.peoplePage(store.PeopleQuery{Department: "R&D"})},
			"by source": {25, w.peoplePage(store.PeopleQuery{Integration: "hris"})},
			"seats":     {25, w.seatPage(store.SeatFilter{})},
			"paid":      {12, w.seatPage(store.SeatFilter{PaidOnly: true})},
			"plan":      {13, w.seatPage(store.SeatFilter{Plans: []string{"free"}})},
			"unused s.": {15, w.seatPage(store.SeatFilter{UnusedSince: ptr(t0)})},
		} {
			if got := count(tc.next); got != tc.want {
				w.Errorf("%s: %d, want %d", name, got, tc.want)
			}
		}
		for _, bad := range []string{"x", "W10", "WyJ4IiwiYiIsImMiLCJkIl0"} {
			if _, _, err := w.s.ListAccounts(w.Context(), w.tenant, store.AccountQuery{Page: store.Page{Cursor: bad}}); !errors.Is(err, store.ErrCursor) {
				w.Errorf("cursor %q: %v", bad, err)
			}
		}
		roll, err := w.s.AppRollup(w.Context(), w.tenant, []string{"zoom"})
		w.must(err)
		if roll.Accounts != 25 || roll.ActiveAccounts != 20 || roll.People != 25 || roll.Seats != 25 || roll.PaidSeats != 12 || len(roll.Plans) != 2 || roll.Plans[1].Assigned != 12 || !roll.Reported {
			w.Errorf("rollup: %+v", roll)
		}
	})
}

func (w *world) accountPage(q store.AccountQuery) func(store.Page) (int, string) {
	return func(p store.Page) (int, string) {
		w.Helper()
		q.Page = p
		rows, next, err := w.s.ListAccounts(w.Context(), w.tenant, q)
		w.must(err)
		return len(rows), next
	}
}

func (w *world) peoplePage(q store.PeopleQuery) func(store.Page) (int, string) {
	return func(p store.Page) (int, string) {
		w.Helper()
		q.Page = p
		rows, next, err := w.s.ListPeople(w.Context(), w.tenant, q)
		w.must(err)
		return len(rows), next
	}
}

func (w *world) seatPage(f store.SeatFilter) func(store.Page) (int, string) {
	return func(p store.Page) (int, string) {
		w.Helper()
		rows, next, err := w.s.ListSeats(w.Context(), w.tenant, f, p)
		w.must(err)
		return len(rows), next
	}
}

func TestAppsAreDiscoveredOnceAndNumbered(t *testing.T) {
	eachWorld(t, func(w *world) {
		apps := func(names ...string) listing {
			var out []model.Record
			for _, n := range names {
				out = append(out, model.Record{App: &model.DiscoveredApp{ExternalID: n, Name: n, Source: "idp", Scopes: []string{"b", "a"}}})
			}
			return complete("apps", []model.DataType{model.DataApps}, out...)
		}
		w.sync("okta", apps("slack", "zoom"))
		if ev := w.events()[model.EventAppDiscovered]; len(ev) != 2 || !ev[0].Initial {
			w.Fatalf("%+v", ev)
		}
		w.sync("okta", apps("slack", "zoom", "figma"))
		if ev := w.events()[model.EventAppDiscovered]; len(ev) != 1 || ev[0].Initial || ev[0].Subject != "figma" {
			w.Fatalf("%+v", ev)
		}
		rows, _, err := w.s.ListApps(w.Context(), w.tenant, store.AppQuery{})
		w.must(err)
		seen := map[int64]bool{}
		for _, a := range rows {
			seen[a.APIID] = true
		}
		if len(rows) != 3 || len(seen) != 3 || seen[0] || rows[0].Name != "figma" || len(rows[0].Scopes) != 2 {
			w.Fatalf("%+v", rows)
		}
	})
}

func TestGroupPeople(t *testing.T) {
	eachWorld(t, func(w *world) {
		member := func(g, a string) model.Record {
			return model.Record{Membership: &model.Membership{GroupExternalID: g, AccountExternalID: a}}
		}
		w.sync("okta", peopleOf(person("a", "a@acme.example"), person("b", "b@acme.example")), accountsOf(account("a"), account("b")),
			complete("groups", nil, model.Record{Group: &model.Group{ExternalID: "g1", Name: "execs"}}, model.Record{Group: &model.Group{ExternalID: "g2", Name: "all"}},
				member("g1", "a"), member("g2", "a"), member("g2", "b")))
		got, err := w.s.GroupPeople(w.Context(), w.tenant, []string{"execs", "all", "none"})
		w.must(err)
		if len(got["execs"]) != 1 || got["execs"][0] != w.people()["a@acme.example"].ID || len(got["all"]) != 2 || len(got) != 2 {
			w.Fatalf("%v", got)
		}
		names, err := w.s.PersonGroups(w.Context(), w.tenant, w.people()["a@acme.example"].ID)
		w.must(err)
		if !slices.Equal(names, []string{"all", "execs"}) {
			w.Fatalf("groups of a person: %q", names)
		}
	})
}
