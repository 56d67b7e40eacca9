// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package scim_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/seatkeeper/seatkeeper/internal/store"
)

func protect(people ...string) func(*store.TenantFacts) {
	return func(f *store.TenantFacts) {
		f.LifecycleSCIM, f.Domains, f.Protected = true, []string{"acme.example"}, people
	}
}

func mail(value string) object {
	return object{"emails": []any{object{"value": value, "type": "work", "primary": true}}}
}

// Whoever is protected is under each of their addresses, and before the first
// user describes them.
func TestProtectedUnderAnyAddress(t *testing.T) {
	eachKit(t, func(k *kit) {
		k.facts(protect())
		byMail := k.do("POST", "/Users", user("upn@acme.example", mail("ceo@acme.example"))).want(201).text("id")
		k.add("ann", object{"userType": "Admin"})
		k.facts(protect("CEO@acme.example", "ghost@acme.example"))
		refused := func(what string, r reply) {
			t.Helper()
			if r.status != 403 || !strings.Contains(r.text("detail"), "spec.protected.people") {
				t.Errorf("%s: %d %s", what, r.status, r.raw)
			}
		}
		refused("disable by another address", k.edit(byMail, op("replace", "active", false)))
		refused("take the address away", k.edit(byMail, op("remove", "emails", nil)))
		refused("delete by another address", k.do("DELETE", "/Users/"+byMail, nil))
		refused("create", k.do("POST", "/Users", user("ghost@acme.example", object{"active": false})))
		refused("create with the address", k.do("POST", "/Users", user("eve@acme.example", mail("ghost@acme.example"))))
		refused("add the address", k.edit(k.add("bo"), op("add", "emails", []object{{"value": "Ghost@acme.example"}})))
	})
}

// A user who would describe a person who is protected under an address that the
// user does not have is refused too.
func TestProtectedPersonBehindAUserName(t *testing.T) {
	eachKit(t, func(k *kit) {
		k.facts(protect())
		id := k.do("POST", "/Users", user("old.upn@acme.example", mail("ceo@acme.example"), object{enterprise: object{"employeeNumber": "E1"}})).want(201).text("id")
		k.edit(id, op("replace", "active", false)).want(200)
		k.facts(protect("ceo@acme.example"))
		k.do("POST", "/Users", user("old.upn@acme.example", object{"displayName": "x"})).fails(403, "")
		k.do("PUT", "/Users/"+id, user("old.upn@acme.example")).fails(403, "")
	})
}

func TestGroupsOfProtectedPeople(t *testing.T) {
	eachKit(t, func(k *kit) {
		root, bo := k.add("root"), k.add("bo")
		in, out := k.addGroup("break glass", root, bo), k.addGroup("staff", bo)
		k.facts(protect("root@acme.example"))
		k.do("PATCH", "/Groups/"+in, patch(op("remove", `members[value eq "`+root+`"]`, nil))).fails(403, "")
		k.do("PATCH", "/Groups/"+in, patch(op("replace", "members", []object{{"value": bo}}))).fails(403, "")
		k.do("PATCH", "/Groups/"+out, patch(op("add", "members", []object{{"value": root}}))).fails(403, "")
		k.do("PUT", "/Groups/"+in, group("break glass", bo)).fails(403, "")
		k.do("POST", "/Groups", group("new", root)).fails(403, "")
		k.do("DELETE", "/Groups/"+in, nil).fails(403, "")
		if r := k.do("GET", "/Groups/"+in, nil).want(200); len(r.list("members")) != 2 {
			t.Errorf("members: %s", r.raw)
		}
		// Others come and go beside them.
		k.do("PATCH", "/Groups/"+in, patch(op("remove", `members[value eq "`+bo+`"]`, nil))).want(204)
		k.do("PATCH", "/Groups/"+in, patch(op("add", "members", []object{{"value": root}, {"value": bo}}))).want(204)
		k.do("PATCH", "/Groups/"+out, patch(op("remove", `members[value eq "`+root+`"]`, nil))).want(204)
	})
}

// Whoever became protected after they were disabled stays, until they are not
// protected any more.
func TestProtectedLeaversStay(t *testing.T) {
	eachKit(t, func(k *kit) {
		k.facts(protect())
		var ids []string
		for i := range 10 {
			ids = append(ids, k.add(fmt.Sprintf("p%d", i), mail(fmt.Sprintf("alias%d@acme.example", i))))
		}
		for _, id := range ids[:3] {
			k.edit(id, op("replace", "active", false)).want(200)
		}
		k.facts(protect("alias1@acme.example", "p2@acme.example"))
		settle := func(want int64) {
			t.Helper()
			k.clock.Step(11 * time.Minute)
			left, held, err := k.store.SettleSCIMLeavers(t.Context(), k.tenant)
			k.must(err)
			if left != want || held != nil {
				t.Errorf("%d left, held %v; want %d", left, held, want)
			}
		}
		settle(1)
		settle(0)
		audit, err := k.store.Audit(t.Context(), k.tenant, store.AuditQuery{Action: "scim.leavers.protected"})
		k.must(err)
		if len(audit) != 2 || audit[0].PersonID == "" || audit[0].ObjectName != ids[1] && audit[0].ObjectName != ids[2] {
			t.Errorf("audit %+v", audit)
		}
		k.facts(protect("p2@acme.example"))
		settle(1)
		k.facts(protect())
		settle(1)
	})
}

// While SCIM is switched off nobody can come back, so nobody leaves either.
func TestNobodyLeavesWhileSwitchedOff(t *testing.T) {
	eachKit(t, func(k *kit) {
		on := func(enabled bool) {
			k.facts(func(f *store.TenantFacts) { f.LifecycleSCIM, f.SCIM.Enabled = true, enabled })
		}
		on(true)
		var ids []string
		for i := range 20 {
			ids = append(ids, k.add(fmt.Sprintf("p%d", i)))
		}
		for _, id := range ids[:5] {
			k.edit(id, op("replace", "active", false)).want(200)
		}
		on(false)
		for _, want := range []int64{0, 5} {
			k.clock.Step(24 * time.Hour)
			left, held, err := k.store.SettleSCIMLeavers(t.Context(), k.tenant)
			k.must(err)
			if left != want || held != nil {
				t.Errorf("%d left, held %v; want %d", left, held, want)
			}
			on(true)
		}
	})
}
