// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package store_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/seatkeeper/seatkeeper/internal/model"
	"github.com/seatkeeper/seatkeeper/internal/store"
)

func peopleOf(records ...model.Record) listing {
	return complete("workers", []model.DataType{model.DataPeople}, records...)
}

// withTruth makes an Integration the source of truth.
func (w *world) withTruth(integration string, domains ...string) {
	w.Helper()
	w.must(w.s.SetTenantFacts(w.Context(), w.tenant, store.TenantFacts{LifecycleIntegration: integration, Domains: domains}))
}

func TestPeopleMergeByEmployeeIDThenEmailThenAlias(t *testing.T) {
	eachWorld(t, func(w *world) {
		w.sync("hris", peopleOf(
			person("1", "ada@acme.example", employee("E1")),
			person("2", "bob@acme.example", employee("E2"), func(p *model.Person) { p.Aliases = []string{"Robert@acme.example"} }),
			person("3", "cyd@acme.example")))
		w.sync("okta", peopleOf(
			person("o1", "other@acme.example", employee("E1")), // by employee id
			person("o2", "robert@acme.example"),                // by alias
			person("o3", "cyd@acme.example", employee("E3")),   // by e-mail
			person("o4", "dan@acme.example", employee("E4"))))  // somebody new
		people := w.people()
		if len(people) != 4 {
			w.Fatalf("%d people: %v", len(people), people)
		}
		for _, tc := range []struct{ email, sources string }{
			{"ada@acme.example", "hris/1 okta/o1"}, {"bob@acme.example", "hris/2 okta/o2"},
			{"cyd@acme.example", "hris/3 okta/o3"}, {"dan@acme.example", "okta/o4"}} {
			p, err := w.s.Person(w.Context(), w.tenant, people[tc.email].ID)
			w.must(err)
			var got []string
			for _, o := range p.Sources {
				got = append(got, o.Integration+"/"+o.ExternalID)
			}
			if strings.Join(got, " ") != tc.sources {
				w.Fatalf("%s: %v, want %s", tc.email, got, tc.sources)
			}
		}
		if people["cyd@acme.example"].EmployeeID != "E3" {
			w.Fatal("a field that only the second source has is missing")
		}
		byMail, err := w.s.PersonByEmail(w.Context(), w.tenant, "Other@acme.example")
		if err != nil || byMail.ID != people["ada@acme.example"].ID {
			w.Fatalf("by the second address: %+v, %v", byMail, err)
		}
		ids := map[int64]bool{}
		for _, p := range people {
			ids[p.APIID] = true
		}
		if len(ids) != 4 || ids[0] {
			w.Fatalf("api ids: %v", ids)
		}
	})
}

func TestAmbiguousRecordsMergeWithNobody(t *testing.T) {
	eachWorld(t, func(w *world) {
		alias := func(p *model.Person) { p.Aliases = []string{"team@acme.example"} }
		w.sync("hris", peopleOf(person("1", "ada@acme.example", alias), person("2", "bob@acme.example", alias)))
		w.sync("okta", peopleOf(person("o1", "team@acme.example")))
		if n := len(w.people()); n != 2 {
			w.Fatalf("%d people", n)
		}
		reviews, err := w.s.ListReviews(w.Context(), w.tenant)
		w.must(err)
		if len(reviews) != 1 || reviews[0].Integration != "okta" || reviews[0].ExternalID != "o1" || len(reviews[0].Candidates) != 2 {
			w.Fatalf("reviews: %+v", reviews)
		}
		// The ambiguity is gone, and with it the review.
		w.sync("hris", peopleOf(person("1", "ada@acme.example", alias), person("2", "bob@acme.example")))
		if reviews, err := w.s.ListReviews(w.Context(), w.tenant); err != nil || len(reviews) != 0 {
			w.Fatalf("reviews left: %v %v", reviews, err)
		}
		if n := len(w.people()); n != 2 {
			w.Fatalf("%d people", n)
		}
	})
}

func TestRenameKeepsThePerson(t *testing.T) {
	for name, after := range map[string]model.Record{
		"same id at the source":            person("1", "ada.new@acme.example", employee("E1")),
		"source keyed by e-mail":           person("ada.new@acme.example", "ada.new@acme.example", employee("E1")),
		"same id, without any employee id": person("1", "ada.new@acme.example"),
	} {
		t.Run(name, func(t *testing.T) {
			eachWorld(t, func(w *world) {
				w.withTruth("hris")
				rest := []model.Record{person("2", "bob@acme.example"), person("3", "cyd@acme.example")}
				first := person("1", "ada@acme.example", employee("E1"))
				if name == "same id, without any employee id" {
					first = person("1", "ada@acme.example")
				}
				w.sync("hris", peopleOf(append(rest, first)...))
				w.sync("zoom", accountsOf(account("z1", func(a *model.Account) { a.PersonKey = "ada@acme.example" }),
					account("z2", func(a *model.Account) { a.PersonKey = "ada.new@acme.example" })))
				id := w.people()["ada@acme.example"].ID
				w.events()
				w.sync("hris", peopleOf(append(rest, after)...))
				people := w.people()
				if len(people) != 3 || people["ada.new@acme.example"].ID != id {
					w.Fatalf("people after the rename: %+v", people)
				}
				ev := w.events()
				if len(ev[model.EventPersonJoined])+len(ev[model.EventPersonLeft])+len(ev[model.EventPersonAdded]) != 0 || len(ev[model.EventPersonChanged]) != 1 {
					w.Fatalf("a rename is neither a leaver nor a joiner: %+v", ev)
				}
				acc := w.list(store.AccountQuery{Integrations: []string{"zoom"}})
				if acc["z2"].PersonID != id || acc["z1"].PersonID != "" {
					w.Fatalf("accounts: old address → %q, new address → %q, person %q", acc["z1"].PersonID, acc["z2"].PersonID, id)
				}
			})
		})
	}
}

func TestRecycledEmailDoesNotInherit(t *testing.T) {
	for name, after := range map[string][]model.Record{
		"another id at the source": {person("1", "ada@acme.example", employee("E1"), lifecycle(model.LifecyclePast)), person("9", "ada@acme.example", employee("E9"))},
		"source keyed by e-mail":   {person("1", "ada@acme.example", employee("E9"))},
		"no employee ids, both listed": {person("1", "ada@acme.example", lifecycle(model.LifecyclePast)),
			person("9", "ada@acme.example")},
	} {
		t.Run(name, func(t *testing.T) {
			eachWorld(t, func(w *world) {
				w.withTruth("hris")
				first := person("1", "ada@acme.example", employee("E1"))
				if strings.HasPrefix(name, "no employee ids") {
					first = person("1", "ada@acme.example")
				}
				rest := []model.Record{person("2", "bob@acme.example"), person("3", "cyd@acme.example")}
				w.sync("hris", peopleOf(append(rest, first)...))
				w.sync("zoom", accountsOf(account("z1", func(a *model.Account) { a.PersonKey = "ada@acme.example"; a.PersonExternalID = "" })))
				old := w.people()["ada@acme.example"].ID
				if got := w.list(store.AccountQuery{})["z1"].PersonID; got != old {
					w.Fatalf("the account belongs to %q, not %q", got, old)
				}
				l := peopleOf(append(rest, after...)...)
				l.outcome.Guard = model.Guard{MinItems: 1, MaxPercent: 50}
				w.sync("hris", l)
				rows, _, err := w.s.ListPeople(w.Context(), w.tenant, store.PeopleQuery{})
				w.must(err)
				var fresh string
				for _, p := range rows {
					if p.Email == "ada@acme.example" && p.ID != old {
						fresh = p.ID
					}
				}
				if fresh == "" {
					w.Fatalf("the new hire is not a person of their own: %+v", rows)
				}
				if got := w.list(store.AccountQuery{})["z1"].PersonID; got == fresh && name != "source keyed by e-mail" {
					w.Fatal("the new hire inherited the account")
				}
			})
		})
	}
}

func TestLifecycleComesFromTheSourceOfTruthAlone(t *testing.T) {
	eachWorld(t, func(w *world) {
		rest := []model.Record{person("2", "bob@acme.example"), person("3", "cyd@acme.example"), person("4", "dan@acme.example")}
		// Nothing declared: nobody's lifecycle is known, and nothing is guessed.
		w.sync("okta", peopleOf(append(rest, person("1", "ada@acme.example"))...))
		if got := w.people()["ada@acme.example"].Lifecycle; got != "" {
			w.Fatalf("lifecycle %q without a source of truth", got)
		}
		if ev := w.events(); len(ev[model.EventPersonAdded]) != 4 || !ev[model.EventPersonAdded][0].Initial || len(ev[model.EventPersonJoined]) != 0 {
			w.Fatalf("events: %+v", ev)
		}
		w.withTruth("hris")
		w.sync("hris", peopleOf(append(rest, person("1", "ada@acme.example"))...))
		ev := w.events()
		if len(ev[model.EventPersonJoined]) != 4 || !ev[model.EventPersonJoined][0].Initial {
			w.Fatalf("first load of the truth: %+v", ev)
		}
		// Another source says past: only the profile counts.
		w.sync("okta", peopleOf(append(rest, person("1", "ada@acme.example", lifecycle(model.LifecyclePast), func(p *model.Person) { p.PhotoURL = "https://x/y" }))...))
		if p := w.people()["ada@acme.example"]; p.Lifecycle != model.LifecycleCurrent || p.PhotoURL == "" {
			w.Fatalf("%+v", p)
		}
		// The truth forgets her: absence is not departure.
		w.sync("hris", peopleOf(rest...))
		if got := w.people()["ada@acme.example"].Lifecycle; got != model.LifecycleCurrent {
			w.Fatalf("lifecycle %q after she was no longer listed", got)
		}
		if ev := w.events(); len(ev[model.EventPersonLeft]) != 0 {
			w.Fatalf("left by absence: %+v", ev)
		}
		// The truth says so.
		w.sync("hris", peopleOf(append(rest, person("1", "ada@acme.example", lifecycle(model.LifecyclePast)))...))
		ev = w.events()
		if got := subjects(ev[model.EventPersonLeft]); !slices.Equal(got, []string{w.people()["ada@acme.example"].ID}) || ev[model.EventPersonLeft][0].Initial {
			w.Fatalf("left: %+v", ev)
		}
		// And she comes back.
		w.sync("hris", peopleOf(append(rest, person("1", "ada@acme.example"))...))
		if ev := w.events(); len(ev[model.EventPersonJoined]) != 1 {
			w.Fatalf("returned: %+v", ev)
		}
		counts, err := w.s.PeopleCounts(w.Context(), w.tenant)
		w.must(err)
		if counts[model.LifecycleCurrent] != 4 {
			w.Fatalf("counts: %v", counts)
		}
	})
}

func TestGuardCountsPeopleWhoAreSaidToHaveLeft(t *testing.T) {
	eachWorld(t, func(w *world) {
		w.withTruth("hris")
		list := func(gone int) listing {
			var out []model.Record
			for i := range 100 {
				l := model.LifecycleCurrent
				if i < gone {
					l = model.LifecyclePast
				}
				out = append(out, person(fmt.Sprint(i), fmt.Sprintf("p%d@acme.example", i), lifecycle(l)))
			}
			return peopleOf(out...)
		}
		w.sync("hris", list(0))
		w.events()
		many := list(30)
		many.wantHeld = true
		if h := w.sync("hris", many)[0].Held; h.Count != 30 || h.Total != 100 {
			w.Fatalf("%+v", h)
		}
		if counts, err := w.s.PeopleCounts(w.Context(), w.tenant); err != nil || counts[model.LifecyclePast] != 0 {
			w.Fatalf("%v %v", counts, err)
		}
		w.sync("hris", list(20))
		if got := len(w.events()[model.EventPersonLeft]); got != 20 {
			w.Fatalf("%d left", got)
		}
	})
}

func TestOtherDomainsAreExternalUnlessTheTruthSaysOtherwise(t *testing.T) {
	eachWorld(t, func(w *world) {
		w.withTruth("hris", "acme.example")
		w.sync("okta", peopleOf(person("1", "ada@acme.example"), person("2", "x@vendor.example"), person("3", "y@vendor.example")))
		w.sync("hris", peopleOf(person("y", "y@vendor.example")))
		p := w.people()
		if p["ada@acme.example"].Lifecycle != "" || p["x@vendor.example"].Lifecycle != model.LifecycleExternal || p["y@vendor.example"].Lifecycle != model.LifecycleCurrent {
			w.Fatalf("%+v", p)
		}
		w.withTruth("hris", "acme.example", "vendor.example")
		if got := w.people()["x@vendor.example"].Lifecycle; got != "" {
			w.Fatalf("%q after the domain became our own", got)
		}
	})
}

func TestSourceRankDecidesFields(t *testing.T) {
	eachWorld(t, func(w *world) {
		with := func(dept, title string) func(*model.Person) {
			return func(p *model.Person) { p.Department, p.Title = dept, title }
		}
		w.sync("okta", peopleOf(person("o", "ada@acme.example", with("Okta dept", "Okta title"))))
		w.sync("hris", peopleOf(person("h", "ada@acme.example", with("HR dept", "HR title"))))
		if p := w.people()["ada@acme.example"]; p.Department != "Okta dept" {
			w.Fatalf("undeclared: the source connected first wins, got %q", p.Department)
		}
		w.must(w.s.SetTenantFacts(w.Context(), w.tenant, store.TenantFacts{SourceRank: []store.SourceRank{
			{Fields: []string{"title"}, Sources: []string{"okta"}}, {Fields: []string{"*"}, Sources: []string{"hris", "okta"}}}}))
		if p := w.people()["ada@acme.example"]; p.Department != "HR dept" || p.Title != "Okta title" {
			w.Fatalf("%+v", p)
		}
		for _, kind := range []model.EventKind{model.EventPersonChanged} {
			for _, e := range w.events()[kind] {
				if strings.Contains(string(e.Payload), "HR dept") {
					w.Fatal("an event carries personal data")
				}
			}
		}
	})
}

func TestManagersAreFoundWhateverTheOrder(t *testing.T) {
	eachWorld(t, func(w *world) {
		w.sync("hris", peopleOf(
			person("1", "ada@acme.example", func(p *model.Person) { p.ManagerExternalID = "3" }),
			person("2", "bob@acme.example", func(p *model.Person) { p.ManagerEmail = "Cyd@acme.example" }),
			person("3", "cyd@acme.example")))
		p := w.people()
		cyd := p["cyd@acme.example"].ID
		if p["ada@acme.example"].ManagerID != cyd || p["bob@acme.example"].ManagerID != cyd || p["ada@acme.example"].ManagerEmail != "cyd@acme.example" {
			w.Fatalf("%+v", p)
		}
	})
}

func TestAccountsFollowTheirPeopleWhateverComesFirst(t *testing.T) {
	eachWorld(t, func(w *world) {
		w.sync("zoom", accountsOf(account("ada"), account("svc", func(a *model.Account) { a.PersonKey = "" })))
		w.sync("okta", accountsOf(account("x", func(a *model.Account) { a.PersonKey = "wrong@acme.example"; a.PersonExternalID = "o1" })),
			peopleOf(person("o1", "ada@acme.example")))
		ada := w.people()["ada@acme.example"].ID
		acc := w.list(store.AccountQuery{})
		if acc["ada"].PersonID != ada || acc["x"].PersonID != ada || acc["svc"].PersonID != "" {
			w.Fatalf("ada is %q: %+v", ada, acc)
		}
		// New accounts of known people link at once.
		w.sync("slack", accountsOf(account("s", func(a *model.Account) { a.PersonKey = "ADA@acme.example" })))
		if got := w.list(store.AccountQuery{PersonID: ada}); len(got) != 3 {
			w.Fatalf("%d accounts of ada", len(got))
		}
	})
}

func TestUnchangedPeopleWriteNothing(t *testing.T) {
	eachWorld(t, func(w *world) {
		l := peopleOf(person("1", "ada@acme.example"), person("2", "bob@acme.example"))
		w.sync("hris", l)
		w.events()
		before := w.people()
		w.step(time.Hour)
		if res := w.sync("hris", l)[0]; res.Written() != 0 {
			w.Fatalf("%+v", res)
		}
		for mail, p := range w.people() {
			if !p.ChangedAt.Equal(before[mail].ChangedAt) {
				w.Fatalf("%s was written", mail)
			}
		}
		if ev := w.events(); len(ev) != 0 {
			w.Fatalf("%+v", ev)
		}
	})
}

func TestManyPeopleAreMergedInBatches(t *testing.T) {
	eachWorld(t, func(w *world) {
		var a, b []model.Record
		for i := range 1203 {
			mail := fmt.Sprintf("p%04d@acme.example", i)
			a = append(a, person(fmt.Sprint("h", i), mail, employee(fmt.Sprint("E", i)), func(p *model.Person) { p.ManagerExternalID = fmt.Sprint("h", (i+700)%1203) }))
			b = append(b, person(fmt.Sprint("o", i), "other-"+mail, employee(fmt.Sprint("E", i))))
		}
		w.sync("hris", peopleOf(a...))
		w.sync("okta", peopleOf(b...))
		totals, err := w.s.Totals(w.Context(), w.tenant)
		w.must(err)
		if totals.People != 1203 || totals.Reviews != 0 {
			w.Fatalf("%+v", totals)
		}
		p, err := w.s.PersonByEmail(w.Context(), w.tenant, "p0001@acme.example")
		w.must(err)
		if p.ManagerEmail != "p0701@acme.example" || len(p.Sources) != 2 {
			w.Fatalf("%+v", p)
		}
	})
}
