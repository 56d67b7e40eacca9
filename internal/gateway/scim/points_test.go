// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package scim_test

import (
	"fmt"
	"slices"
	"testing"

	clocktesting "k8s.io/utils/clock/testing"

	"github.com/seatkeeper/seatkeeper/internal/store/storetest"
)

// point is one assertion of the conformance checklist: what RFC 7643, RFC 7644
// or one of our choices demands of the server.
type point struct {
	n     int
	title string
	check func(k *kit)
}

// The checklist has 99 points, and each has a test that runs through HTTP on
// both databases.
func TestPoints(t *testing.T) {
	all := slices.Concat(discoveryPoints, representationPoints, writePoints, filterPoints, pagePoints, projectionPoints, patchPoints, bulkPoints, httpPoints)
	if len(all) != 99 {
		t.Fatalf("%d points are tested, want 99", len(all))
	}
	for i, p := range all {
		if p.n != i+1 {
			t.Fatalf("point %d stands where %d should", p.n, i+1)
		}
	}
	storetest.Each(t, func(t *testing.T, open storetest.Opener) {
		clock := clocktesting.NewFakeClock(t0)
		s := open(storetest.WithClock(clock))
		for _, p := range all {
			t.Run(fmt.Sprintf("point %d: %s", p.n, p.title), func(t *testing.T) {
				clock.SetTime(t0)
				p.check(newKit(t, s, clock))
			})
		}
	})
}

var discoveryPoints = []point{
	{1, "ServiceProviderConfig has all features and authentication schemes", func(k *kit) {
		r := k.do("GET", "/ServiceProviderConfig", nil).want(200)
		for _, f := range []string{"patch", "bulk", "filter", "changePassword", "sort", "etag"} {
			if _, ok := r.at(f, "supported").(bool); !ok {
				k.Errorf("feature %s is not described: %s", f, r.raw)
			}
		}
		if len(r.list("authenticationSchemes")) == 0 || r.text("bulk", "maxOperations") == "" || r.text("bulk", "maxPayloadSize") == "" || r.text("filter", "maxResults") == "" {
			k.Errorf("limits or schemes are missing: %s", r.raw)
		}
	}},
	{2, "declared features match behaviour", func(k *kit) {
		r := k.do("GET", "/ServiceProviderConfig", nil).want(200)
		id := k.add("ann")
		k.add("bo")
		if r.at("patch", "supported") != true || k.do("PATCH", "/Users/"+id, patch(op("replace", "title", "x"))).status != 200 {
			k.Error("patch")
		}
		if r.at("sort", "supported") != true || k.do("GET", "/Users?sortBy=userName&sortOrder=descending", nil).names() != "bo ann" {
			k.Error("sort")
		}
		if r.at("filter", "supported") != true || k.find(`userName eq "bo@acme.example"`).names() != "bo" {
			k.Error("filter")
		}
		if r.at("etag", "supported") != true || k.do("GET", "/Users/"+id, nil).header.Get("ETag") == "" {
			k.Error("etag")
		}
		if r.at("bulk", "supported") != true || k.do("POST", "/Bulk", bulk(0, bulkOp("DELETE", "/Users/"+id, "", nil))).status != 200 {
			k.Error("bulk")
		}
		if r.at("changePassword", "supported") != false {
			k.Error("changePassword")
		}
	}},
	{3, "ResourceTypes is a list, and one by name", func(k *kit) {
		if r := k.do("GET", "/ResourceTypes", nil).want(200); r.text("totalResults") != "2" || len(r.list("Resources")) != 2 {
			k.Error(r.raw)
		}
		if r := k.do("GET", "/ResourceTypes/User", nil).want(200); r.text("endpoint") != "/Users" || r.text("schema") != coreUser {
			k.Error(r.raw)
		}
		k.do("GET", "/ResourceTypes/Device", nil).fails(404, "")
	}},
	{4, "Schemas is a list, one by URN, and an unknown one is 404", func(k *kit) {
		if r := k.do("GET", "/Schemas", nil).want(200); r.text("totalResults") != "3" {
			k.Error(r.raw)
		}
		for _, urn := range []string{coreUser, coreGroup, enterprise} {
			if r := k.do("GET", "/Schemas/"+urn, nil).want(200); r.text("id") != urn {
				k.Error(r.raw)
			}
		}
		k.do("GET", "/Schemas/urn:none", nil).fails(404, "")
	}},
	{5, "every attribute is described in full", func(k *kit) {
		n := 0
		var walk func(list []any)
		walk = func(list []any) {
			for _, e := range list {
				n++
				a, _ := e.(object)
				for _, f := range []string{"name", "type", "mutability", "returned", "uniqueness"} {
					if s, _ := a[f].(string); s == "" {
						k.Errorf("attribute %v lacks %s", a["name"], f)
					}
				}
				for _, f := range []string{"multiValued", "required", "caseExact"} {
					if _, ok := a[f].(bool); !ok {
						k.Errorf("attribute %v lacks %s", a["name"], f)
					}
				}
				subs, _ := a["subAttributes"].([]any)
				if (a["type"] == "complex") != (len(subs) > 0) {
					k.Errorf("attribute %v: type %v with %d sub-attributes", a["name"], a["type"], len(subs))
				}
				walk(subs)
			}
		}
		for _, s := range k.do("GET", "/Schemas", nil).want(200).list("Resources") {
			list, _ := at(s, "attributes").([]any)
			walk(list)
		}
		if n < 50 {
			k.Errorf("only %d attributes", n)
		}
	}},
	{6, "descriptions have no nulls", func(k *kit) {
		for _, path := range []string{"/ServiceProviderConfig", "/ResourceTypes", "/Schemas"} {
			if r := k.do("GET", path, nil).want(200); hasNull(r.body) {
				k.Errorf("%s has a null", path)
			}
		}
	}},
	{7, "descriptions cannot be written", func(k *kit) {
		for _, path := range []string{"/ServiceProviderConfig", "/ResourceTypes", "/Schemas", "/Schemas/" + coreUser} {
			for _, method := range []string{"POST", "PUT", "PATCH", "DELETE"} {
				if r := k.do(method, path, object{}).fails(405, ""); r.header.Get("Allow") != "GET" {
					k.Errorf("%s %s: Allow is %q", method, path, r.header.Get("Allow"))
				}
			}
		}
	}},
	{8, "descriptions cannot be filtered", func(k *kit) {
		for _, path := range []string{"/ServiceProviderConfig", "/ResourceTypes", "/Schemas"} {
			k.do("GET", path+"?filter=id+pr", nil).fails(403, "")
		}
	}},
	{9, "meta.location of a description resolves", func(k *kit) {
		var locations []string
		for _, path := range []string{"/ResourceTypes", "/Schemas"} {
			for _, e := range k.do("GET", path, nil).want(200).list("Resources") {
				l, _ := at(e, "meta", "location").(string)
				locations = append(locations, l)
			}
		}
		locations = append(locations, k.do("GET", "/ServiceProviderConfig", nil).text("meta", "location"))
		for _, l := range locations {
			if r := k.do("GET", l, nil).want(200); r.text("meta", "location") != l {
				k.Errorf("%s says it is %s", l, r.text("meta", "location"))
			}
		}
	}},
	{10, "both bases serve everything, and locations keep the one used", func(k *kit) {
		id := k.add("ann")
		for _, base := range []string{"/scim/v2", "/v1.0/scim/v2"} {
			k.base = base
			for _, path := range []string{"/Users/" + id, "/ServiceProviderConfig", "/Schemas/" + coreUser} {
				if got, want := k.do("GET", path, nil).want(200).text("meta", "location"), k.server.URL+base+path; got != want {
					k.Errorf("location is %s, want %s", got, want)
				}
			}
		}
	}},
}

func hasNull(v any) bool {
	switch v := v.(type) {
	case nil:
		return true
	case object:
		for _, e := range v {
			if hasNull(e) {
				return true
			}
		}
	case []any:
		return slices.ContainsFunc(v, hasNull)
	}
	return false
}
