// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package scim_test

import (
	"context"
	"fmt"
	"time"

	gateway "github.com/seatkeeper/seatkeeper/internal/gateway/scim"
	"github.com/seatkeeper/seatkeeper/internal/model"
	"github.com/seatkeeper/seatkeeper/internal/store"
)

// countingStore counts readings of members.
type countingStore struct {
	gateway.Store
	members int
}

func (s *countingStore) SCIMMembers(ctx context.Context, t model.TenantID, groups []string) (map[string][]store.SCIMMember, error) {
	s.members++
	return s.Store.SCIMMembers(ctx, t, groups)
}

// edit patches a user and returns the answer.
func (k *kit) edit(id string, ops ...object) reply {
	k.Helper()
	return k.do("PATCH", "/Users/"+id, patch(ops...))
}

func mails(list ...string) object {
	var out []object
	for i := 0; i < len(list); i += 2 {
		out = append(out, object{"type": list[i], "value": list[i+1]})
	}
	return object{"emails": out}
}

// mailsOf shows the e-mail addresses of an answer.
func mailsOf(r reply) (out string) {
	for _, e := range r.list("emails") {
		out += fmt.Sprint(at(e, "type"), "=", at(e, "value"), " ")
	}
	return out
}

var patchPoints = []point{
	{72, "a PATCH is a PatchOp with operations", func(k *kit) {
		id := k.add("ann")
		k.edit(id).want(200) // an identity provider's validator sends none
		k.strict()
		k.edit(id).fails(400, "invalidSyntax")
		k.do("PATCH", "/Users/"+id, object{"schemas": []string{coreUser}, "Operations": []object{op("replace", "title", "x")}}).fails(400, "invalidValue")
		k.do("PATCH", "/Users/"+id, object{"Operations": []object{op("replace", "title", "x")}}).fails(400, "invalidValue")
	}},
	{73, "op in any case, and an unknown one is invalidSyntax", func(k *kit) {
		id := k.add("ann")
		for i, name := range []string{"Replace", "ADD", "replace"} {
			title := fmt.Sprint("t", i)
			if r := k.edit(id, op(name, "title", title)).want(200); r.text("title") != title {
				k.Error(r.raw)
			}
		}
		k.edit(id, op("move", "title", "x")).fails(400, "invalidSyntax")
	}},
	{74, "all operations or none", func(k *kit) {
		id := k.add("ann", object{"title": "x"})
		k.edit(id, op("replace", "title", "y"), op("replace", "userType", "Emperor")).fails(400, "invalidValue")
		k.edit(id, op("replace", "title", "y"), op("add", "nowhere", "y")).want(400)
		if r := k.do("GET", "/Users/"+id, nil); r.text("title") != "x" || r.text("meta", "version") != `W/"1"` {
			k.Error(r.raw)
		}
	}},
	{75, "one after the other", func(k *kit) {
		id := k.add("ann")
		r := k.edit(id, op("add", "title", "x"), op("replace", "title", "y"), op("add", "emails", []object{{"type": "work", "value": "a@x.example"}}),
			op("replace", `emails[type eq "work"].value`, "b@x.example"), op("remove", "title", nil)).want(200)
		if r.at("title") != nil || mailsOf(r) != "work=b@x.example " {
			k.Error(r.raw)
		}
	}},
	{76, "add appends, and nothing twice", func(k *kit) {
		id := k.add("ann", mails("work", "a@x.example"))
		r := k.edit(id, op("add", "emails", []object{{"type": "home", "value": "b@x.example"}, {"type": "work", "value": "a@x.example"}})).want(200)
		if mailsOf(r) != "work=a@x.example home=b@x.example " {
			k.Error(r.raw)
		}
	}},
	{77, "adding what is there is no change", func(k *kit) {
		id := k.add("ann", mails("work", "a@x.example"))
		g := k.addGroup("ops", id)
		k.clock.Step(time.Hour)
		r := k.edit(id, op("add", "emails", []object{{"type": "work", "value": "a@x.example"}})).want(200)
		if r.text("meta", "lastModified") != r.text("meta", "created") {
			k.Error(r.raw)
		}
		k.do("PATCH", "/Groups/"+g, patch(op("add", "members", []object{{"value": id}}))).want(204)
		if r := k.do("GET", "/Groups/"+g, nil); r.text("meta", "lastModified") != r.text("meta", "created") || len(r.list("members")) != 1 {
			k.Error(r.raw)
		}
	}},
	{78, "add without a path merges", func(k *kit) {
		id := k.add("ann", object{"title": "x", "name": object{"givenName": "A", "familyName": "B"}})
		r := k.edit(id, op("add", "", object{"nickName": "n", "name": object{"givenName": "C"}})).want(200)
		if r.text("title") != "x" || r.text("nickName") != "n" || r.text("name", "givenName") != "C" || r.text("name", "familyName") != "B" {
			k.Error(r.raw)
		}
	}},
	{79, "remove without a path is noTarget", func(k *kit) { k.edit(k.add("ann"), op("remove", "", nil)).fails(400, "noTarget") }},
	{80, "removing what is required or read-only is mutability", func(k *kit) {
		id := k.add("ann")
		for _, path := range []string{"userName", "id", "meta", "groups", "active"} {
			k.edit(id, op("remove", path, nil)).fails(400, "mutability")
		}
		k.do("PATCH", "/Groups/"+k.addGroup("ops"), patch(op("remove", "displayName", nil))).fails(400, "mutability")
	}},
	{81, "remove by filter, and the last element leaves nothing", func(k *kit) {
		ann, bo := k.add("ann", mails("work", "a@x.example", "home", "b@x.example")), k.add("bo")
		if r := k.edit(ann, op("remove", `emails[type eq "work"]`, nil)).want(200); mailsOf(r) != "home=b@x.example " {
			k.Error(r.raw)
		}
		if r := k.edit(ann, op("remove", `emails[value ew "@x.example"]`, nil)).want(200); r.at("emails") != nil {
			k.Error(r.raw)
		}
		g := k.addGroup("ops", ann, bo)
		k.do("PATCH", "/Groups/"+g, patch(op("remove", `members[value eq "`+ann+`"]`, nil))).want(204)
		if r := k.do("GET", "/Groups/"+g, nil); len(r.list("members")) != 1 || at(r.list("members")[0], "value") != bo {
			k.Error(r.raw)
		}
		// Entra ID names whom to remove: these, and not everybody.
		k.do("PATCH", "/Groups/"+g, patch(op("add", "members", []object{{"value": ann}}))).want(204)
		k.do("PATCH", "/Groups/"+g, patch(op("Remove", "members", []object{{"$ref": nil, "value": ann}}))).want(204)
		if r := k.do("GET", "/Groups/"+g, nil); len(r.list("members")) != 1 || at(r.list("members")[0], "value") != bo {
			k.Errorf("Entra's removal of one member left %s", r.raw)
		}
		k.do("PATCH", "/Groups/"+g, patch(op("remove", `members[type eq "user"]`, nil))).want(204)
		if r := k.do("GET", "/Groups/"+g, nil); r.at("members") != nil {
			k.Error(r.raw)
		}
	}},
	{82, "replacing what a value path does not find is noTarget, or creates for identity providers", func(k *kit) {
		id := k.add("ann")
		if r := k.edit(id, op("replace", `emails[type eq "home"].value`, "h@x.example")).want(200); mailsOf(r) != "home=h@x.example " {
			k.Error(r.raw)
		}
		k.strict()
		k.edit(id, op("replace", `emails[type eq "work"].value`, "w@x.example")).fails(400, "noTarget")
	}},
	{83, "replacing a sub-attribute of all that match", func(k *kit) {
		id := k.add("ann", object{"roles": []object{{"value": "a", "type": "x"}, {"value": "b", "type": "x"}, {"value": "c", "type": "y"}}})
		r := k.edit(id, op("replace", `roles[type eq "x"].display`, "D")).want(200)
		got := ""
		for _, e := range r.list("roles") {
			got += fmt.Sprint(at(e, "value"), at(e, "display"), " ")
		}
		if got != "aD bD c<nil> " {
			k.Error(got)
		}
	}},
	{84, "a bad path is invalidPath", func(k *kit) {
		id := k.add("ann")
		for _, path := range []string{"shoeSize", "emails[type eq", "name.givenName.x", "emails[type eq \"work\"]x", "..", "title[value eq \"x\"]"} {
			if r := k.edit(id, op("replace", path, "x")); r.status != 400 || r.text("scimType") != "invalidPath" && r.text("scimType") != "invalidFilter" {
				k.Errorf("path %s: %s", path, r.raw)
			}
		}
		k.edit(id, op("replace", "shoeSize", "x")).fails(400, "invalidPath")
	}},
	{85, "URNs in paths, and an extension as a whole", func(k *kit) {
		id := k.add("ann")
		r := k.edit(id, op("replace", enterprise+":department", "d"), op("add", enterprise+":manager", []object{{"$ref": "http://x", "value": id}})).want(200)
		if r.text(enterprise, "department") != "d" || r.text(enterprise, "manager", "value") != id {
			k.Error(r.raw)
		}
		r = k.edit(id, op("add", "", object{enterprise: object{"division": "v"}}), op("replace", "", object{enterprise + ":costCenter": "c", "name.givenName": "G"})).want(200)
		if r.text(enterprise, "department") != "d" || r.text(enterprise, "division") != "v" || r.text(enterprise, "costCenter") != "c" || r.text("name", "givenName") != "G" {
			k.Error(r.raw)
		}
		if r = k.edit(id, op("remove", enterprise, nil)).want(200); r.at(enterprise) != nil {
			k.Error(r.raw)
		}
	}},
	{86, "200 with a body or 204, never 200 without", func(k *kit) {
		id := k.add("ann")
		if r := k.edit(id, op("replace", "title", "x")).want(200); r.text("id") != id {
			k.Error(r.raw)
		}
		g := k.addGroup("ops")
		if r := k.do("PATCH", "/Groups/"+g, patch(op("replace", "displayName", "dev"))).want(204); r.raw != "" {
			k.Error(r.raw)
		}
		if r := k.do("PATCH", "/Groups/"+g+"?attributes=displayName", patch(op("replace", "", object{"id": g, "displayName": "sec"}))).want(200); r.text("displayName") != "sec" {
			k.Error(r.raw)
		}
	}},
	{87, "a name that another has is 409", func(k *kit) {
		k.addGroup("ops")
		g := k.addGroup("dev")
		k.do("PATCH", "/Groups/"+g, patch(op("replace", "displayName", "OPS"))).fails(409, "uniqueness")
		k.do("PUT", "/Groups/"+g, group("Ops")).fails(409, "uniqueness")
		k.do("PATCH", "/Groups/"+g, patch(op("replace", "displayName", "DEV"))).want(204)
	}},
}
