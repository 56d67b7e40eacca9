// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package scim_test

import (
	"crypto/rand"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/seatkeeper/seatkeeper/internal/gateway/access"
	"github.com/seatkeeper/seatkeeper/internal/model"
	"github.com/seatkeeper/seatkeeper/internal/store"
)

func roles(names ...string) func(*store.TenantFacts) {
	return func(f *store.TenantFacts) {
		for _, n := range names {
			name, admin := strings.CutSuffix(n, "!")
			f.SCIM.Roles = append(f.SCIM.Roles, store.TenantRole{Name: name, Admin: admin})
		}
	}
}

func TestOffUnlessEnabled(t *testing.T) {
	eachKit(t, func(k *kit) {
		k.must(k.store.SetTenantFacts(t.Context(), k.tenant, store.TenantFacts{}))
		for _, path := range []string{"/Users", "/ServiceProviderConfig", "/Schemas"} {
			if r := k.do("GET", path, nil).fails(403, ""); !strings.Contains(r.text("detail"), "spec.scim.enabled") {
				t.Errorf("detail %q does not say how to mend it", r.text("detail"))
			}
		}
	})
}

func TestUserNames(t *testing.T) {
	eachKit(t, func(k *kit) {
		for _, name := range []string{"ann", "ann@", "@acme.example", "ann@localhost", "ann@10.0.0.1", "ann@[10.0.0.1]", "Ann <ann@acme.example>", "ann@acme.example ", "a b@acme.example", "ann@acme..example"} {
			k.do("POST", "/Users", user(name)).fails(400, "invalidValue")
		}
		k.facts(func(f *store.TenantFacts) { f.SCIM.Domains = []string{"acme.example"} })
		k.do("POST", "/Users", user("eve@evil.example")).fails(400, "invalidValue")
		k.add("ann")
		k.facts(func(f *store.TenantFacts) { f.SCIM.AnyUserName = true })
		k.do("POST", "/Users", user("bo")).want(201)
	})
}

func TestRoles(t *testing.T) {
	eachKit(t, func(k *kit) {
		k.facts(roles("Owner!", "IT Admin!", "Read Only"))
		admin := k.add("root", object{"userType": "Owner"})
		r := k.do("POST", "/Users", user("ann@acme.example", object{"userType": "owner"})).fails(400, "invalidValue")
		for _, name := range []string{"Employee", "Owner", "IT Admin", "Read Only"} {
			if !strings.Contains(r.text("detail"), name) {
				t.Errorf("detail %q does not name %s", r.text("detail"), name)
			}
		}
		for _, empty := range []any{nil, "", "  "} {
			id := k.do("POST", "/Users", user(fmt.Sprintf("e%d@acme.example", len(fmt.Sprint(empty))), object{"userType": empty})).want(201)
			if id.text("userType") != "Employee" {
				t.Error(id.raw)
			}
		}
		id := k.add("bo", object{"userType": "IT Admin"})
		if r := k.do("PUT", "/Users/"+id, user("bo@acme.example", object{"title": "x"})).want(200); r.text("userType") != "IT Admin" {
			t.Errorf("PUT without userType: %s", r.raw)
		}
		if r := k.edit(id, op("remove", "userType", nil)).want(200); r.text("userType") != "Employee" {
			t.Errorf("without a role: %s", r.raw)
		}
		k.edit(id, op("replace", "userType", "Read Only")).want(200)
		// A role that is gone keeps nobody from changing something else.
		k.facts(roles("Owner!"))
		k.edit(id, op("replace", "title", "y")).want(200)
		k.edit(admin, op("replace", "userType", "Read Only")).fails(400, "invalidValue")

		shown, err := k.store.ListRoles(t.Context(), k.tenant)
		k.must(err)
		if len(shown) != 2 || shown[0].Name != "Employee" || shown[0].Members != 3 || shown[1].Name != "Owner" || shown[1].Members != 1 || !shown[1].Admin {
			t.Errorf("roles %+v", shown)
		}
		members, _, err := k.store.ListMembers(t.Context(), k.tenant, store.MemberQuery{})
		k.must(err)
		if len(members) != 2 || members[0].UserName != "bo@acme.example" || members[1].UserName != "root@acme.example" || !members[1].Admin {
			t.Errorf("members %+v", members)
		}
	})
}

func TestLastAdmin(t *testing.T) {
	eachKit(t, func(k *kit) {
		ann := k.add("ann", object{"userType": "Admin"})
		bo := k.add("bo", object{"userType": "Admin", "active": false})
		for _, try := range []func() reply{
			func() reply { return k.edit(ann, op("replace", "active", false)) },
			func() reply { return k.edit(ann, op("replace", "userType", "Employee")) },
			func() reply { return k.edit(ann, op("remove", "userType", nil)) },
			func() reply { return k.do("PUT", "/Users/"+ann, user("ann@acme.example", object{"active": false})) },
			func() reply { return k.do("DELETE", "/Users/"+ann, nil) },
		} {
			if r := try().fails(403, ""); !strings.Contains(r.text("detail"), "last") {
				t.Error(r.raw)
			}
		}
		k.edit(ann, op("replace", "title", "x")).want(200)
		k.edit(bo, op("replace", "active", true)).want(200)
		k.edit(ann, op("replace", "active", false)).want(200)
		k.do("DELETE", "/Users/"+bo, nil).fails(403, "")
		k.do("DELETE", "/Users/"+ann, nil).want(204)
	})
}

// A role that differs from an administrator's in capitals alone is none, and who
// had it before does not count as one.
func TestLastAdminAmongRolesThatFoldAlike(t *testing.T) {
	eachKit(t, func(k *kit) {
		k.facts(roles("ADMIN"))
		k.add("bo", object{"userType": "ADMIN"})
		k.facts(roles("Admin!", "ADMIN", "EMPLOYEE!"))
		ann := k.add("ann", object{"userType": "Admin"})
		for _, name := range []string{"ADMIN", "EMPLOYEE"} {
			k.do("POST", "/Users", user("cyd@acme.example", object{"userType": name})).fails(400, "invalidValue")
		}
		k.edit(ann, op("replace", "active", false)).fails(403, "")
		k.do("DELETE", "/Users/"+ann, nil).fails(403, "")
		k.add("dan", object{"userType": "Admin"})
		k.edit(ann, op("replace", "active", false)).want(200)
	})
}

func TestProtectedPeople(t *testing.T) {
	eachKit(t, func(k *kit) {
		id := k.add("root")
		k.facts(func(f *store.TenantFacts) { f.Protected = []string{"ROOT@acme.example"} })
		k.edit(id, op("replace", "active", false)).fails(403, "")
		k.edit(id, op("replace", "title", "x")).fails(403, "")
		k.do("PUT", "/Users/"+id, user("root@acme.example", object{"title": "x"})).fails(403, "")
		if r := k.do("DELETE", "/Users/"+id, nil).fails(403, ""); !strings.Contains(r.text("detail"), "spec.protected.people") {
			t.Error(r.raw)
		}
		k.edit(id, op("replace", "active", true)).want(200) // it changes nothing
	})
}

func TestReactivationOnPOST(t *testing.T) {
	eachKit(t, func(k *kit) {
		id := k.add("ann", object{"userType": "Admin", "title": "old", "externalId": "e1"})
		k.add("bo", object{"userType": "Admin"})
		g := k.addGroup("ops", id)
		k.do("POST", "/Users", user("ann@acme.example")).fails(409, "uniqueness")
		k.edit(id, op("replace", "active", false)).want(200)
		k.do("POST", "/Users", user("ann@acme.example", object{"active": false})).fails(409, "uniqueness")
		r := k.do("POST", "/Users", user("ANN@acme.example", object{"title": "new", "externalId": "e2"})).want(201)
		if r.text("id") != id || r.text("userName") != "ann@acme.example" || r.text("title") != "new" || r.text("externalId") != "e2" || r.at("active") != true {
			t.Error(r.raw)
		}
		if r.text("userType") != "Employee" {
			t.Errorf("whoever comes back got their old role: %s", r.raw)
		}
		if got := k.do("GET", "/Groups/"+g, nil); len(got.list("members")) != 1 {
			t.Error("memberships ended while the user was inactive")
		}
	})
}

// Decision 4: 300 of 1,000 users unassigned start nothing without the
// declaration, and are held with it.
func TestUnassigning300Of1000(t *testing.T) {
	if testing.Short() {
		t.Skip("1,000 users")
	}
	eachKit(t, func(k *kit) {
		k.staff(1000)
		var ids []string
		for start := 1; len(ids) < 300; start += 200 {
			r := k.page(fmt.Sprintf("count=200&startIndex=%d&attributes=id", start)).want(200)
			for _, e := range r.list("Resources") {
				ids = append(ids, at(e, "id").(string))
			}
		}
		for _, id := range ids[:300] {
			k.edit(id, op("Replace", "active", "False")).want(200)
		}
		settle := func(wantLeft int64) *store.Hold {
			t.Helper()
			k.clock.Step(time.Hour)
			left, held, err := k.store.SettleSCIMLeavers(t.Context(), k.tenant)
			k.must(err)
			if left != wantLeft {
				t.Fatalf("%d left, want %d; held %v", left, wantLeft, held)
			}
			return held
		}
		starts := func(want int) {
			t.Helper()
			n := k.handleEvents()
			if n[model.EventPersonLeft] != want || n[model.EventPersonJoined] != 0 || n[model.EventPersonChanged] != want {
				t.Errorf("events that may start runs: %v, want %d people who left", n, want)
			}
		}
		k.handleEvents() // people were added
		if held := settle(0); held != nil {
			t.Errorf("held without the declaration: %+v", held)
		}
		starts(0)
		k.facts(func(f *store.TenantFacts) { f.LifecycleSCIM = true })
		for range 2 {
			if held := settle(0); held == nil || held.Count != 300 || held.Total != 1000 || held.Allowed != 100 {
				t.Fatalf("hold %+v", held)
			}
		}
		starts(0)
		held := settle(0)
		_, err := k.store.ReleaseHold(t.Context(), k.tenant, store.SCIMLeaversHold(), held.Digest, model.Actor{Name: "ann", Kind: model.ActorUser}, "")
		k.must(err)
		settle(300)
		starts(300)
		if n := k.find(`active eq false`).want(200).text("totalResults"); n != "300" {
			t.Errorf("%s users are inactive", n)
		}
	})
}

// handleEvents counts and ends the events that could start a run.
func (k *kit) handleEvents() map[model.EventKind]int {
	k.Helper()
	out := map[model.EventKind]int{}
	for {
		events, err := k.store.NewEvents(k.Context(), k.tenant, 500)
		k.must(err)
		if len(events) == 0 {
			return out
		}
		ids := make([]string, len(events))
		for i, e := range events {
			ids[i] = e.ID
			if !e.Initial {
				out[e.Kind]++
			}
		}
		k.must(k.store.MarkEventsHandled(k.Context(), k.tenant, ids))
	}
}

// Each request is in the log with its outcome and correlation id, and with
// names of attributes only; each write is in the audit.
func TestLogAndAudit(t *testing.T) {
	eachKit(t, func(k *kit) {
		const canary = "Canary-Surname"
		r := k.do("POST", "/Users", user("ann@acme.example", object{"name": object{"familyName": canary}}), "X-Request-Id", "trace-1").want(201)
		id := r.text("id")
		if r.header.Get("X-Request-Id") != "trace-1" {
			t.Errorf("X-Request-Id is %q", r.header.Get("X-Request-Id"))
		}
		r = k.do("PATCH", "/Users/"+id, patch(op("replace", "active", false), op("replace", "name.familyName", canary+"2")), "X-Request-Id", "bad id; DROP").want(200)
		own := r.header.Get("X-Request-Id")
		if own == "" || strings.Contains(own, " ") {
			t.Errorf("X-Request-Id is %q", own)
		}
		k.do("POST", "/Users", user("ann@acme.example", object{"title": canary, "active": false})).fails(409, "uniqueness")
		k.find(`name.familyName eq "` + canary + `"`).want(200)
		k.requests.Flush(t.Context())
		log, _, err := k.store.SCIMLog(t.Context(), k.tenant, store.SCIMLogQuery{})
		k.must(err)
		if len(log) != 4 {
			t.Fatalf("the log has %d requests: %+v", len(log), log)
		}
		byRoute := map[string]store.SCIMRequest{}
		for _, l := range log {
			byRoute[fmt.Sprint(l.Method, l.Route, l.Status)] = l
			if strings.Contains(fmt.Sprintf("%+v", l), canary) || strings.Contains(fmt.Sprintf("%+v", l), "ann@") {
				t.Errorf("the log has a value: %+v", l)
			}
		}
		if l := byRoute["PATCH/Users/{id}200"]; l.CorrelationID != own || l.ResourceID != id || strings.Join(l.Changed, " ") != "name.familyName active" || l.KeyName != "entra" || l.Address == "" {
			t.Errorf("PATCH is logged as %+v", l)
		}
		if l := byRoute["POST/Users409"]; l.ScimType != "uniqueness" {
			t.Errorf("the refusal is logged as %+v", l)
		}
		failed, _, err := k.store.SCIMLog(t.Context(), k.tenant, store.SCIMLogQuery{Failed: true})
		k.must(err)
		if len(failed) != 1 || failed[0].Status != 409 {
			t.Errorf("failed: %+v", failed)
		}
		health, err := k.store.SCIMHealth(t.Context(), k.tenant, t0)
		k.must(err)
		if health.Requests != 4 || health.Failures != 1 {
			t.Errorf("health %+v", health)
		}
		audit, err := k.store.Audit(t.Context(), k.tenant, store.AuditQuery{ObjectName: id})
		k.must(err)
		if len(audit) != 2 || audit[1].Action != "scim.user.create" || audit[0].Detail["attributes"] != "name.familyName,active" || audit[0].Detail["correlationID"] != own ||
			audit[0].Actor != "apikey/entra/k-acme" || audit[0].ActorKind != model.ActorKey || audit[0].PersonID == "" {
			t.Errorf("audit %+v", audit)
		}
		refused, err := k.store.Audit(t.Context(), k.tenant, store.AuditQuery{Action: access.ActionRefuse})
		k.must(err)
		if len(refused) != 1 || refused[0].Detail["status"] != "409" || refused[0].Detail["scimType"] != "uniqueness" || refused[0].Result != "refused" {
			t.Errorf("refusals in the audit: %+v", refused)
		}
		if strings.Contains(fmt.Sprintf("%+v", audit), canary) || strings.Contains(k.logged.String(), canary) {
			t.Error("a value is in the audit or the log")
		}
	})
}

// A person who is provisioned is in the one directory, and SCIM is told apart.
func TestDirectoryKnowsWhence(t *testing.T) {
	eachKit(t, func(k *kit) {
		id := k.add("ann", object{"displayName": "Ann Lee", enterprise: object{"department": "R&D"}})
		p, err := k.store.PersonByEmail(t.Context(), k.tenant, "ann@acme.example")
		k.must(err)
		if p.DisplayName != "Ann Lee" || p.Department != "R&D" || len(p.Sources) != 1 || p.Sources[0].Integration != store.SCIMSource || p.Sources[0].ExternalID != id {
			t.Errorf("person %+v", p)
		}
	})
}

// What no index can hold is refused or not indexed, but never fails the store.
func TestLongValues(t *testing.T) {
	eachKit(t, func(k *kit) {
		random := func(n int) string {
			var b strings.Builder
			for b.Len() < n {
				b.WriteString(rand.Text())
			}
			return b.String()[:n]
		}
		cert, number := random(12_000), random(9_000)
		id := k.add("ann", object{"title": random(20_000), "x509Certificates": []object{{"value": cert}}, "photos": []object{{"value": "https://" + random(8000)}},
			enterprise: object{"employeeNumber": number}})
		for filter, want := range map[string]string{`x509Certificates.value eq "` + cert[:3000] + `"`: "", `x509Certificates.value sw "` + cert[:3000] + `"`: "ann",
			enterprise + `:employeeNumber sw "` + number[:3000] + `"`: "ann"} {
			k.selects(filter, want)
		}
		for _, long := range []object{{"externalId": random(5000)}, {enterprise: object{"manager": object{"value": random(5000)}}}} {
			k.do("PUT", "/Users/"+id, user("ann@acme.example", long)).fails(400, "invalidValue")
		}
		k.do("POST", "/Groups", group(random(5000))).fails(400, "invalidValue")
		k.do("GET", "/Users/"+random(6000), nil).fails(404, "")
		k.facts(func(f *store.TenantFacts) { f.SCIM.AnyUserName = true })
		k.do("POST", "/Users", user(random(5000))).fails(400, "invalidValue")
	})
}
