// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package store_test

import (
	"fmt"
	"strings"
	"testing"

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
