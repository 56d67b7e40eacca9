// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package store_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/seatkeeper/seatkeeper/internal/model"
	"github.com/seatkeeper/seatkeeper/internal/scim"
	"github.com/seatkeeper/seatkeeper/internal/store"
)

func number(e string) func(scim.Object) {
	return func(o scim.Object) {
		o["urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"] = scim.Object{"employeeNumber": e}
	}
}

func mails(list ...string) func(scim.Object) {
	return func(o scim.Object) {
		var emails []any
		for _, m := range list {
			emails = append(emails, scim.Object{"value": m, "type": "work"})
		}
		o["emails"] = emails
	}
}

// describes says which rows make up the person of an address.
func (w *world) describes(mail string) string {
	w.Helper()
	p, err := w.s.PersonByEmail(w.Context(), w.tenant, mail)
	if err != nil {
		return "nobody"
	}
	var out []string
	for _, o := range p.Sources {
		out = append(out, o.Integration+":"+o.Email)
	}
	return strings.Join(out, " ")
}

func (w *world) reviewed(want ...string) {
	w.Helper()
	reviews, err := w.s.ListReviews(w.Context(), w.tenant)
	w.must(err)
	got := []string{}
	for _, r := range reviews {
		got = append(got, r.Integration+":"+r.Email)
	}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		w.Errorf("in review: %v, want %v", got, want)
	}
}

// Whoever writes users can write any employee number and any address down:
// neither makes a user somebody who is there already.
func TestSCIMNumberTakesNobodyOver(t *testing.T) {
	eachWorld(t, func(w *world) {
		w.must(w.s.SetTenantFacts(w.Context(), w.tenant, store.TenantFacts{Domains: []string{"acme.example"}}))
		w.sync("hris", complete("people", []model.DataType{model.DataPeople}, person("1", "ceo@acme.example", employee("E1"), func(p *model.Person) { p.Aliases = []string{"boss@acme.example"} }),
			person("2", "bob@acme.example", employee("E2"))))
		eve := w.provision(scimUser("eve@gmail.example", number("E1")))
		w.reviewed("SCIM:eve@gmail.example")
		if got := w.describes("ceo@acme.example"); got != "hris:ceo@acme.example" {
			t.Errorf("the person of ceo@ is of %s", got)
		}
		// Nor does another number later, for who is somebody by now.
		w.provision(scimUser("eve@gmail.example"))
		w.reviewed()
		if got := w.describes("eve@gmail.example"); got != "SCIM:eve@gmail.example" {
			t.Errorf("eve is of %s", got)
		}
		before := w.people()["eve@gmail.example"].ID
		for _, e := range []string{"E9", "E2", "E1"} {
			w.provision(scimUser("eve@gmail.example", number(e), mails("boss@acme.example", "bob@acme.example")))
			if w.describes("bob@acme.example") != "hris:bob@acme.example" || w.describes("boss@acme.example") != "hris:ceo@acme.example" || w.people()["eve@gmail.example"].ID != before {
				t.Errorf("%s: bob@ is %s, boss@ is %s, %s", e, w.describes("bob@acme.example"), w.describes("boss@acme.example"), eve.ID)
			}
		}
		// Two users with one number are two people, and one who is there with
		// another number waits for a person.
		w.provision(scimUser("mallory@gmail.example", number("E9")))
		w.provision(scimUser("admin-mallory@gmail.example", number("E9")))
		if w.describes("mallory@gmail.example") != "SCIM:mallory@gmail.example" || w.describes("admin-mallory@gmail.example") != "SCIM:admin-mallory@gmail.example" {
			t.Errorf("mallory is %s", w.describes("mallory@gmail.example"))
		}
		w.provision(scimUser("bob@acme.example", number("E7")))
		w.reviewed("SCIM:bob@acme.example")
		if got := w.describes("bob@acme.example"); got != "hris:bob@acme.example" {
			t.Errorf("bob is %s", got)
		}
		// What agrees is the same person.
		w.provision(scimUser("ceo@acme.example", number("E1")))
		if got := w.describes("ceo@acme.example"); got != "SCIM:ceo@acme.example hris:ceo@acme.example" {
			t.Errorf("the person of ceo@ is of %s", got)
		}
	})
}

// What a user claims before others are known takes nobody over either.
func TestSCIMClaimsNobodyWhoComesLater(t *testing.T) {
	eachWorld(t, func(w *world) {
		w.must(w.s.SetTenantFacts(w.Context(), w.tenant, store.TenantFacts{Domains: []string{"acme.example"}}))
		w.provision(scimUser("eve@gmail.example", number("E1"), mails("ceo@acme.example")))
		w.sync("hris", complete("people", []model.DataType{model.DataPeople}, person("1", "ceo@acme.example", employee("E1"))))
		if got := w.describes("ceo@acme.example"); got != "hris:ceo@acme.example" {
			t.Errorf("the person of ceo@ is of %s", got)
		}
		if got := w.describes("eve@gmail.example"); got != "SCIM:eve@gmail.example" {
			t.Errorf("eve is of %s", got)
		}
	})
}

// external makes an identity provider's own id of a user.
func external(id string) func(scim.Object) {
	return func(o scim.Object) { o["externalId"] = id }
}

// Whoever is provisioned under the userName of a deleted user is that person
// only if what the identity provider calls them agrees.
func TestSCIMRecycledUserName(t *testing.T) {
	none := func(scim.Object) {}
	for name, tc := range map[string]struct {
		before, after func(scim.Object)
		same          bool
	}{
		"the same externalId":               {external("a"), external("a"), true},
		"another externalId":                {external("a"), external("b"), false},
		"no externalId at all":              {none, none, true},
		"an externalId before":              {external("a"), none, false},
		"an externalId since":               {none, external("b"), false},
		"another employee number":           {number("E1"), number("E2"), false},
		"the same employee number":          {number("E1"), number("E1"), true},
		"an employee number since":          {none, number("E1"), true},
		"another object, the same employee": {both(external("a"), number("E1")), both(external("b"), number("E1")), true},
		"the same object, another employee": {both(external("a"), number("E1")), both(external("a"), number("E2")), false},
	} {
		for how, leave := range map[string]func(*world, string){
			"deleted": func(w *world, id string) { w.deprovision(id) },
			"deleted, waiting": func(w *world, id string) {
				w.must(w.s.SetTenantFacts(w.Context(), w.tenant, store.TenantFacts{LifecycleSCIM: true, SCIM: store.SCIMFacts{Enabled: true}}))
				w.deprovision(id)
			},
			"deleted, left": func(w *world, id string) {
				w.must(w.s.SetTenantFacts(w.Context(), w.tenant, store.TenantFacts{LifecycleSCIM: true, SCIM: store.SCIMFacts{Enabled: true}}))
				w.deprovision(id)
				w.step(time.Hour)
				_, _, err := w.s.SettleSCIMLeavers(w.Context(), w.tenant)
				w.must(err)
			},
			"deleted, ended": func(w *world, id string) {
				w.must(w.s.SetTenantFacts(w.Context(), w.tenant, store.TenantFacts{LifecycleSCIM: true, SCIM: store.SCIMFacts{Enabled: true}}))
				w.deprovision(id)
				for range 2 {
					w.step(time.Hour)
					_, _, err := w.s.SettleSCIMLeavers(w.Context(), w.tenant)
					w.must(err)
				}
			},
		} {
			t.Run(name+"/"+how, func(t *testing.T) {
				eachWorld(t, func(w *world) {
					w.staff(30)
					old := w.provision(scimUser("ann@acme.example", tc.before))
					who := w.people()["ann@acme.example"].ID
					w.sync("zoom", accountsOf(account("z1", func(a *model.Account) { a.PersonKey = "ann@acme.example"; a.PersonExternalID = "" })))
					leave(w, old.ID)
					w.step(time.Minute)
					fresh := w.provision(scimUser("ann@acme.example", tc.after))
					if fresh.ID == old.ID {
						w.Fatal("a deleted user is back under its id")
					}
					// Whoever waited has left by then.
					for range 2 {
						w.step(time.Hour)
						_, _, err := w.s.SettleSCIMLeavers(w.Context(), w.tenant)
						w.must(err)
					}
					p, err := w.s.PersonByEmail(w.Context(), w.tenant, "ann@acme.example")
					w.must(err)
					if p.Sources[len(p.Sources)-1].ExternalID != fresh.ID {
						w.Errorf("the address stands for %+v", p.Sources)
					}
					if (p.ID == who) != tc.same {
						w.Errorf("the address stands for the same person: %v, want %v", p.ID == who, tc.same)
					}
					if before, err := w.s.Person(w.Context(), w.tenant, who); err != nil || before.DisplayName == "" {
						w.Errorf("the person before is %+v, %v", before, err)
					}
					want := who
					if !tc.same {
						want = ""
					}
					if got := w.list(store.AccountQuery{})["z1"].PersonID; got != want {
						w.Errorf("the account is of %q, want %q", got, want)
					}
					w.sync("zoom", accountsOf(account("z1", func(a *model.Account) {
						a.PersonKey = "ann@acme.example"
						a.PersonExternalID = ""
						a.DisplayName = "Ann"
					}),
						account("z2", func(a *model.Account) { a.PersonKey = "ann@acme.example"; a.PersonExternalID = "" })))
					if got := w.list(store.AccountQuery{}); got["z1"].PersonID != want || got["z2"].PersonID != p.ID {
						w.Errorf("the account of before is of %q, want %q; that of now of %q, want %q", got["z1"].PersonID, want, got["z2"].PersonID, p.ID)
					}
					w.reviewed()
				})
			})
		}
	}
}

func both(edit ...func(scim.Object)) func(scim.Object) {
	return func(o scim.Object) {
		for _, e := range edit {
			e(o)
		}
	}
}

// A user who is not active and comes back is who they were; but not if the
// identity provider says that the userName is somebody else's now.
func TestSCIMRecycledUserNameOfAnInactiveUser(t *testing.T) {
	for name, tc := range map[string]struct {
		before, after func(scim.Object)
		same          bool
	}{
		"the same externalId":     {external("a"), external("a"), true},
		"no externalId since":     {external("a"), func(scim.Object) {}, true},
		"another externalId":      {external("a"), external("b"), false},
		"another employee number": {number("E1"), number("E2"), false},
		"a new object":            {both(external("a"), number("E1")), both(external("b"), number("E1")), true},
	} {
		for how, declared := range map[string]bool{"SCIM decides who works here": true, "it does not": false} {
			t.Run(name+"/"+how, func(t *testing.T) {
				eachWorld(t, func(w *world) {
					w.must(w.s.SetTenantFacts(w.Context(), w.tenant, store.TenantFacts{LifecycleSCIM: declared, SCIM: store.SCIMFacts{Enabled: true}}))
					w.staff(30)
					old := w.provision(scimUser("ann@acme.example", tc.before))
					who := w.people()["ann@acme.example"].ID
					w.setActive(old.ID, false)
					w.events()
					if fresh := w.provision(scimUser("ann@acme.example", tc.after)); fresh.ID != old.ID {
						w.Error("the user has another id")
					}
					for range 2 {
						w.step(time.Hour)
						_, _, err := w.s.SettleSCIMLeavers(w.Context(), w.tenant)
						w.must(err)
					}
					p, err := w.s.PersonByEmail(w.Context(), w.tenant, "ann@acme.example")
					w.must(err)
					if (p.ID == who) != tc.same || declared && p.Lifecycle != model.LifecycleCurrent {
						w.Errorf("the same person: %v, want %v; %s", p.ID == who, tc.same, p.Lifecycle)
					}
					before, err := w.s.Person(w.Context(), w.tenant, who)
					if err != nil || before.DisplayName == "" || len(before.Sources) != 1 {
						w.Errorf("the person before is %+v, %v", before, err)
					}
					ev := w.events()
					if left := len(ev[model.EventPersonLeft]); (left == 1) != (declared && !tc.same) || left > 1 {
						w.Errorf("%d left", left)
					}
					if joined := len(ev[model.EventPersonJoined]); (joined == 1) != (declared && !tc.same) || joined > 1 {
						w.Errorf("%d joined", joined)
					}
					audit, err := w.s.Audit(w.Context(), w.tenant, store.AuditQuery{Action: "scim.user.recycle"})
					w.must(err)
					if (len(audit) == 1) == tc.same || !tc.same && audit[0].PersonID != who {
						w.Errorf("audit: %+v", audit)
					}
					w.reviewed()
				})
			})
		}
	}
}

// What another source lists now says who has an address, and an identity
// provider that is set up anew makes nobody somebody else. Of whom it says
// that they have left, a person decides.
func TestSCIMRecycledUserNameOfWhomOthersList(t *testing.T) {
	eachWorld(t, func(w *world) {
		w.withTruth("hris")
		w.sync("hris", complete("people", []model.DataType{model.DataPeople}, person("1", "ann@acme.example"), person("2", "bob@acme.example", lifecycle(model.LifecyclePast))))
		for _, name := range []string{"ann@acme.example", "bob@acme.example"} {
			w.deprovision(w.provision(scimUser(name, external("a"))).ID)
			w.provision(scimUser(name, external("b")))
		}
		// The rows of deleted users are history.
		if got := w.describes("ann@acme.example"); got != "SCIM:ann@acme.example SCIM:ann@acme.example hris:ann@acme.example" {
			t.Errorf("ann is %s", got)
		}
		if got := w.describes("bob@acme.example"); got != "SCIM:bob@acme.example hris:bob@acme.example" {
			t.Errorf("bob is %s", got)
		}
		w.reviewed("SCIM:bob@acme.example")
	})
}
