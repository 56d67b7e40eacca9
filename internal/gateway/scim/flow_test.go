// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package scim_test

import (
	"testing"
)

// What an identity provider does with one person, end to end.
func TestLifeOfAUser(t *testing.T) {
	eachKit(t, func(k *kit) {
		if n := k.find(`userName eq "ann@acme.example"`).want(200).text("totalResults"); n != "0" {
			t.Fatalf("%s users at the start", n)
		}
		id := k.do("POST", "/Users", user("ann@acme.example", object{"externalId": "e1", "name": object{"givenName": "Ann", "familyName": "Lee"}, "active": true})).want(201).text("id")
		if got := k.find(`userName eq "ANN@acme.example"`).want(200); got.names() != "ann" || got.text("itemsPerPage") != "1" {
			t.Fatalf("found %s", got.raw)
		}
		off := k.do("PATCH", "/Users/"+id, patch(op("Replace", "active", "False"))).want(200)
		if off.at("active") != false {
			t.Fatalf("still active: %s", off.raw)
		}
		if got := k.do("GET", "/Users/"+id, nil).want(200); got.at("active") != false || got.text("userType") != "Employee" {
			t.Fatalf("read %s", got.raw)
		}
		group := k.addGroup("ops", id)
		if got := k.do("GET", "/Users/"+id, nil).want(200); len(got.list("groups")) != 1 {
			t.Fatalf("groups of the user: %s", got.raw)
		}
		k.do("DELETE", "/Users/"+id, nil).want(204)
		k.do("GET", "/Users/"+id, nil).fails(404, "")
		if got := k.do("GET", "/Groups/"+group, nil).want(200); len(got.list("members")) != 0 {
			t.Fatalf("a deleted user is a member: %s", got.raw)
		}
	})
}
