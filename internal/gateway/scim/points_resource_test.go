// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package scim_test

import (
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/seatkeeper/seatkeeper/internal/store"
)

var representationPoints = []point{
	{11, "schemas lists the extensions that are there", func(k *kit) {
		plain := k.do("GET", "/Users/"+k.add("ann"), nil).want(200)
		more := k.do("GET", "/Users/"+k.add("bo", object{enterprise: object{"department": "R&D"}}), nil).want(200)
		if !slices.Equal(plain.list("schemas"), []any{coreUser}) || !slices.Equal(more.list("schemas"), []any{coreUser, enterprise}) {
			k.Errorf("schemas are %v and %v", plain.list("schemas"), more.list("schemas"))
		}
	}},
	{12, "the server makes the id, and it stays", func(k *kit) {
		id := k.add("ann", object{"id": "mine"})
		k.do("PUT", "/Users/"+id, user("ann@acme.example", object{"id": "mine"})).want(200)
		if got := k.do("GET", "/Users/"+id, nil).want(200).text("id"); id == "mine" || id == "" || got != id {
			k.Errorf("id is %q, then %q", id, got)
		}
	}},
	{13, "meta is complete, in RFC 3339 and UTC", func(k *kit) {
		r := k.do("GET", "/Users/"+k.add("ann"), nil).want(200)
		for _, name := range []string{"created", "lastModified"} {
			at, err := time.Parse(time.RFC3339, r.text("meta", name))
			if err != nil || !at.Equal(t0) || !strings.HasSuffix(r.text("meta", name), "Z") {
				k.Errorf("%s is %q", name, r.text("meta", name))
			}
		}
		if r.text("meta", "resourceType") != "User" || r.text("meta", "location") == "" || r.text("meta", "version") != `W/"1"` {
			k.Error(r.raw)
		}
	}},
	{14, "lastModified moves only on change", func(k *kit) {
		id := k.add("ann", object{"title": "x"})
		modified := func() string { return k.do("GET", "/Users/"+id, nil).want(200).text("meta", "lastModified") }
		first := modified()
		k.clock.Step(time.Minute)
		k.do("PATCH", "/Users/"+id, patch(op("replace", "title", "x"))).want(200)
		k.do("PUT", "/Users/"+id, user("ann@acme.example", object{"title": "x"})).want(200)
		if modified() != first {
			k.Error("it moved without a change")
		}
		k.do("PATCH", "/Users/"+id, patch(op("replace", "title", "y"))).want(200)
		if modified() == first {
			k.Error("it stayed at a change")
		}
	}},
	{15, "Location equals meta.location on 201", func(k *kit) {
		for path, body := range map[string]any{"/Users": user("ann@acme.example"), "/Groups": group("ops")} {
			r := k.do("POST", path, body).want(201)
			if l := r.header.Get("Location"); l == "" || l != r.text("meta", "location") || k.do("GET", l, nil).status != 200 {
				k.Errorf("Location %q, meta.location %q", l, r.text("meta", "location"))
			}
		}
	}},
	{16, "names of attributes come in any case", func(k *kit) {
		r := k.do("POST", "/Users", object{"SCHEMAS": []string{coreUser}, "USERNAME": "ann@acme.example", "Name": object{"GIVENNAME": "Ann"}}).want(201)
		if r.text("userName") != "ann@acme.example" || r.text("name", "givenName") != "Ann" {
			k.Error(r.raw)
		}
	}},
	{17, "null and [] are unassigned, and what is empty is not returned", func(k *kit) {
		r := k.do("POST", "/Users", user("ann@acme.example", object{"title": nil, "emails": []any{}, "name": object{"givenName": nil}, "roles": []any{}})).want(201)
		for _, name := range []string{"title", "emails", "name", "roles", "groups"} {
			if _, there := r.body[name]; there {
				k.Errorf("%s is returned: %s", name, r.raw)
			}
		}
	}},
	{18, "unknown attributes are ignored", func(k *kit) {
		r := k.do("POST", "/Users", user("ann@acme.example", object{"shoeSize": 42, "urn:example:x": object{"y": 1}})).want(201)
		if r.at("shoeSize") != nil || r.at("urn:example:x") != nil {
			k.Error(r.raw)
		}
	}},
	{19, "read-only attributes in POST and PUT are ignored", func(k *kit) {
		junk := object{"groups": []object{{"value": "g"}}, "meta": object{"created": "1999-01-01T00:00:00Z", "version": "x"}}
		id := k.add("ann", junk)
		r := k.do("PUT", "/Users/"+id, user("ann@acme.example", junk)).want(200)
		if r.at("groups") != nil || strings.HasPrefix(r.text("meta", "created"), "1999") {
			k.Error(r.raw)
		}
	}},
	{20, "an immutable change is 400 mutability", func(k *kit) {
		id := k.add("ann")
		g := k.addGroup("ops", id)
		k.do("PATCH", "/Groups/"+g, patch(op("replace", `members[value eq "`+id+`"].value`, "other"))).fails(400, "mutability")
		// userName does not change here.
		k.do("PATCH", "/Users/"+id, patch(op("replace", "userName", "bo@acme.example"))).fails(400, "mutability")
		k.do("PUT", "/Users/"+id, user("bo@acme.example")).fails(400, "mutability")
	}},
	{21, "a password is never returned, in errors and logs neither", func(k *kit) {
		const secret = "canary-pass-phrase"
		id := k.add("ann", object{"password": secret})
		answers := []reply{k.do("GET", "/Users/"+id, nil), k.do("GET", "/Users/"+id+"?attributes=password", nil),
			k.do("PATCH", "/Users/"+id, patch(op("replace", "password", secret))), k.do("PUT", "/Users/"+id, user("ann@acme.example", object{"password": secret, "active": 7})),
			k.do("POST", "/Users", user("ann@acme.example", object{"password": secret})), k.find(`password eq "` + secret + `"`)}
		k.requests.Flush(k.Context())
		log, _, err := k.store.SCIMLog(k.Context(), k.tenant, store.SCIMLogQuery{})
		k.must(err)
		for _, a := range answers {
			if strings.Contains(a.raw, secret) {
				k.Errorf("returned: %s", a.raw)
			}
		}
		for _, l := range log {
			if strings.Contains(strings.Join(l.Changed, " ")+l.Route+l.ResourceID, secret) {
				k.Errorf("logged: %+v", l)
			}
		}
		if strings.Contains(k.logged.String(), secret) {
			k.Error("in the log")
		}
	}},
	{22, "what is always returned survives excludedAttributes", func(k *kit) {
		r := k.do("GET", "/Users/"+k.add("ann")+"?excludedAttributes=id,schemas,userName", nil).want(200)
		if r.text("id") == "" || len(r.list("schemas")) == 0 || r.at("userName") != nil {
			k.Error(r.raw)
		}
	}},
	{23, "groups of a user are derived and read-only", func(k *kit) {
		id := k.add("ann")
		g := k.addGroup("ops", id)
		r := k.do("GET", "/Users/"+id, nil).want(200)
		if len(r.list("groups")) != 1 || at(r.list("groups")[0], "value") != g || at(r.list("groups")[0], "display") != "ops" {
			k.Error(r.raw)
		}
		k.do("PATCH", "/Users/"+id, patch(op("remove", "groups", nil))).fails(400, "mutability")
	}},
	{24, "one primary per attribute: setting one clears the other", func(k *kit) {
		id := k.add("ann", object{"emails": []object{{"value": "a@acme.example", "type": "work", "primary": true}, {"value": "b@acme.example", "type": "home"}}})
		r := k.do("PATCH", "/Users/"+id, patch(op("replace", `emails[type eq "home"].primary`, true))).want(200)
		primary := ""
		for _, e := range r.list("emails") {
			if at(e, "primary") == true {
				primary += at(e, "value").(string) + " "
			}
		}
		if primary != "b@acme.example " {
			k.Errorf("primary: %q in %s", primary, r.raw)
		}
		k.do("POST", "/Users", user("bo@acme.example", object{"emails": []object{{"value": "a@x.example", "primary": true}, {"value": "b@x.example", "primary": true}}})).fails(400, "invalidValue")
	}},
	{25, "a wrong type is 400 invalidValue", func(k *kit) {
		for _, wrong := range []object{{"active": "perhaps"}, {"title": 7}, {"emails": "x"}, {"name": "Ann"}, {"x509Certificates": []object{{"value": "!"}}}} {
			k.strict()
			k.do("POST", "/Users", user("ann@acme.example", wrong)).fails(400, "invalidValue")
		}
	}},
	{26, "enterprise attributes are under their URN", func(k *kit) {
		r := k.do("GET", "/Users/"+k.add("ann", object{enterprise: object{"employeeNumber": "7", "department": "R&D"}}), nil).want(200)
		if r.text(enterprise, "employeeNumber") != "7" || r.text(enterprise, "department") != "R&D" || r.at("department") != nil {
			k.Error(r.raw)
		}
	}},
	{27, "manager.value is an id, an unknown one is kept, and displayName is read-only", func(k *kit) {
		boss := k.add("bo")
		r := k.do("GET", "/Users/"+k.add("ann", object{enterprise: object{"manager": object{"value": boss, "displayName": "Eve"}}}), nil).want(200)
		if r.text(enterprise, "manager", "value") != boss || r.text(enterprise, "manager", "displayName") == "Eve" {
			k.Error(r.raw)
		}
		r = k.do("GET", "/Users/"+k.add("cy", object{enterprise: object{"manager": object{"value": "not-there-yet"}}}), nil).want(200)
		if r.text(enterprise, "manager", "value") != "not-there-yet" {
			k.Error(r.raw)
		}
	}},
	{28, "external ids are never keys", func(k *kit) {
		ann := k.add("ann", object{"externalId": "1"})
		bo := k.add("bo", object{"externalId": ann})
		k.do("GET", "/Users/1", nil).fails(404, "")
		if r := k.do("GET", "/Users/"+ann, nil).want(200); r.text("userName") != "ann@acme.example" {
			k.Errorf("the externalId of %s stands for another user: %s", bo, r.raw)
		}
		k.do("POST", "/Groups", group("ops", "1")).fails(400, "invalidValue")
	}},
}

var writePoints = []point{
	{29, "POST is 201 with body, Location and ETag", func(k *kit) {
		r := k.do("POST", "/Users", user("ann@acme.example")).want(201)
		if r.text("id") == "" || r.header.Get("Location") == "" || r.header.Get("ETag") != `W/"1"` {
			k.Errorf("%s %v", r.raw, r.header)
		}
	}},
	{30, "a missing userName is 400 invalidValue", func(k *kit) {
		k.do("POST", "/Users", object{"schemas": []string{coreUser}}).fails(400, "invalidValue")
		k.do("POST", "/Users", user("")).fails(400, "invalidValue")
	}},
	{31, "a userName that is taken, in any case, is 409 uniqueness", func(k *kit) {
		k.add("ann")
		k.do("POST", "/Users", user("ANN@Acme.Example")).fails(409, "uniqueness")
		k.addGroup("Ops")
		k.do("POST", "/Groups", group("oPS")).fails(409, "uniqueness")
	}},
	{32, "of concurrent duplicates exactly one is 201", func(k *kit) {
		const n = 8
		status := make([]int, n)
		var all sync.WaitGroup
		for i := range n {
			all.Go(func() { status[i] = k.do("POST", "/Users", user("ann@acme.example")).status })
		}
		all.Wait()
		slices.Sort(status)
		if status[0] != 201 || status[1] != 409 || status[n-1] != 409 {
			k.Errorf("answers: %v", status)
		}
	}},
	{33, "externalId is scoped to the tenant", func(k *kit) {
		id := k.add("ann", object{"externalId": "e1"})
		k.token = "globex"
		if n := k.find(`externalId eq "e1"`).want(200).text("totalResults"); n != "0" {
			k.Error("another tenant finds it")
		}
		k.add("ann", object{"externalId": "e1"})
		k.do("GET", "/Users/"+id, nil).fails(404, "")
		k.do("DELETE", "/Users/"+id, nil).fails(404, "")
		k.token = "acme"
		if r := k.find(`externalId eq "e1"`).want(200); r.text("totalResults") != "1" || at(r.list("Resources")[0], "id") != id {
			k.Error(r.raw)
		}
	}},
	{34, "PUT replaces: what is left out is cleared", func(k *kit) {
		id := k.add("ann", object{"title": "x", "userType": "Admin", "nickName": "n", enterprise: object{"department": "d"}})
		r := k.do("PUT", "/Users/"+id, user("ann@acme.example", object{"title": "y"})).want(200)
		if r.text("title") != "y" || r.at("nickName") != nil || r.at(enterprise) != nil {
			k.Error(r.raw)
		}
		if r.text("userType") != "Admin" || r.at("active") != true {
			k.Errorf("leaving out the role or active changed it: %s", r.raw)
		}
	}},
	{35, "PUT of what is not there is 404 and creates nothing", func(k *kit) {
		k.do("PUT", "/Users/none", user("ann@acme.example")).fails(404, "")
		k.do("PUT", "/Groups/none", group("ops")).fails(404, "")
		if k.do("GET", "/Users", nil).text("totalResults") != "0" || k.do("GET", "/Groups", nil).text("totalResults") != "0" {
			k.Error("something was created")
		}
	}},
	{36, "the id in the body of PUT does not count", func(k *kit) {
		ann, bo := k.add("ann"), k.add("bo")
		k.do("PUT", "/Users/"+ann, user("ann@acme.example", object{"id": bo, "title": "x"})).want(200)
		if k.do("GET", "/Users/"+ann, nil).text("title") != "x" || k.do("GET", "/Users/"+bo, nil).text("title") != "" {
			k.Error("the body's id was written to")
		}
	}},
	{37, "after DELETE everything is 404, and lists and groups forget", func(k *kit) {
		id := k.add("ann")
		g := k.addGroup("ops", id)
		if r := k.do("DELETE", "/Users/"+id, nil).want(204); r.raw != "" {
			k.Error(r.raw)
		}
		k.do("GET", "/Users/"+id, nil).fails(404, "")
		k.do("PATCH", "/Users/"+id, patch(op("replace", "title", "x"))).fails(404, "")
		k.do("PUT", "/Users/"+id, user("ann@acme.example")).fails(404, "")
		k.do("DELETE", "/Users/"+id, nil).fails(404, "")
		if k.do("GET", "/Users", nil).text("totalResults") != "0" || len(k.do("GET", "/Groups/"+g, nil).list("members")) != 0 {
			k.Error("it is still listed")
		}
		k.do("DELETE", "/Groups/"+g, nil).want(204)
		k.do("DELETE", "/Groups/"+g, nil).fails(404, "")
	}},
	{38, "the same userName may come again, under a new id", func(k *kit) {
		id := k.add("ann")
		k.do("DELETE", "/Users/"+id, nil).want(204)
		if again := k.add("ann"); again == id {
			k.Error("the id came again")
		}
	}},
}
