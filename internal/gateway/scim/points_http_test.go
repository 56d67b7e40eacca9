// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package scim_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"

	gateway "github.com/seatkeeper/seatkeeper/internal/gateway/scim"
	"github.com/seatkeeper/seatkeeper/internal/model"
	"github.com/seatkeeper/seatkeeper/internal/store"
)

func bulk(failOnErrors int, ops ...object) object {
	o := object{"schemas": []string{bulkURN}, "Operations": ops}
	if failOnErrors > 0 {
		o["failOnErrors"] = failOnErrors
	}
	return o
}

func bulkOp(method, path, id string, data any) object {
	o := object{"method": method, "path": path}
	if id != "" {
		o["bulkId"] = id
	}
	if data != nil {
		o["data"] = data
	}
	return o
}

// statuses are those of the operations of an answer.
func statuses(r reply) string {
	var out []string
	for _, e := range r.list("Operations") {
		out = append(out, fmt.Sprint(at(e, "status")))
	}
	return strings.Join(out, " ")
}

var bulkPoints = []point{
	{88, "Bulk: order, references, circles, failOnErrors and limits", func(k *kit) {
		// A group that refers to users that come after it.
		r := k.do("POST", "/Bulk", bulk(0, bulkOp("POST", "/Groups", "g", group("ops", "bulkId:a", "bulkId:b")), bulkOp("POST", "/Users", "a", user("ann@acme.example")),
			bulkOp("POST", "/Users", "b", user("bo@acme.example")), bulkOp("PATCH", "/Users/bulkId:a", "", patch(op("replace", "title", "x"))))).want(200)
		if statuses(r) != "201 201 201 200" {
			k.Fatal(r.raw)
		}
		first := r.list("Operations")[0]
		if got := k.do("GET", at(first, "location").(string), nil).want(200); len(got.list("members")) != 2 || at(first, "bulkId") != "g" || at(first, "version") == nil {
			k.Error(got.raw)
		}
		// A circle, and a reference to nothing.
		r = k.do("POST", "/Bulk", bulk(0, bulkOp("POST", "/Groups", "x", group("x", "bulkId:y")), bulkOp("POST", "/Groups", "y", group("y", "bulkId:x")),
			bulkOp("DELETE", "/Users/bulkId:nobody", "", nil), bulkOp("POST", "/Users", "c", user("cy@acme.example")))).want(200)
		if statuses(r) != "409 409 409 201" {
			k.Error(r.raw)
		}
		// It stops after so many errors.
		bad := bulkOp("POST", "/Users", "q", user("no address"))
		bad2 := bulkOp("POST", "/Users", "q2", user("no address"))
		if r = k.do("POST", "/Bulk", bulk(1, bad, bulkOp("POST", "/Users", "d", user("di@acme.example")))).want(200); statuses(r) != "400" || k.find(`userName sw "di@"`).names() != "" {
			k.Error(r.raw)
		}
		if r = k.do("POST", "/Bulk", bulk(2, bad, bulkOp("POST", "/Users", "d", user("di@acme.example")), bad2, bulkOp("POST", "/Users", "e", user("ed@acme.example")))).want(200); statuses(r) != "400 201 400" {
			k.Error(r.raw)
		}
		if status := at(r.list("Operations")[0], "response", "scimType"); status != "invalidValue" {
			k.Error(r.raw)
		}
		// Each operation is held to the rules of its own request.
		id := k.find(`userName sw "ann"`).list("Resources")[0].(object)["id"].(string)
		stale := bulkOp("DELETE", "/Users/"+id, "", nil)
		stale["version"] = `W/"999"`
		if r = k.do("POST", "/Bulk", bulk(0, stale, bulkOp("POST", "/Me", "m", user("x@acme.example")), bulkOp("DELETE", "/Users/"+id, "", nil))).want(200); statuses(r) != "412 400 204" {
			k.Error(r.raw)
		}
		k.token = "globex"
		if r = k.do("POST", "/Bulk", bulk(0, bulkOp("DELETE", "/Users/"+id, "", nil))).want(200); statuses(r) != "404" {
			k.Error(r.raw)
		}
		k.token = "acme"
		many := make([]object, 1001)
		for i := range many {
			many[i] = bulkOp("DELETE", "/Users/x", "", nil)
		}
		k.do("POST", "/Bulk", bulk(0, many...)).fails(413, "")
		k.do("POST", "/Bulk", `{"x":"`+strings.Repeat("a", 4<<20)+`"}`).fails(413, "")
		k.do("POST", "/Bulk", bulk(0)).fails(400, "invalidSyntax")
	}},
	{89, "/Me is 501 for keys", func(k *kit) {
		for _, method := range []string{"GET", "POST", "PUT", "PATCH", "DELETE"} {
			k.do(method, "/Me", object{}).fails(501, "")
		}
	}},
	{90, "POST .search is GET", func(k *kit) {
		k.crowd()
		k.addGroup("ann and friends")
		search := func(path string, body object) string {
			body["schemas"] = []string{searchURN}
			return k.do("POST", path, body).want(200).names()
		}
		if got := search("/Users/.search", object{"filter": `userName gt "ann@acme.example"`, "sortBy": "userName", "sortOrder": "descending", "count": 1, "startIndex": 2}); got != "bo" {
			k.Error(got)
		}
		if got := search("/Groups/.search", object{"filter": `displayName co "friends"`}); got != "ann and friends" {
			k.Error(got)
		}
		if got := search("/.search", object{"filter": `displayName co "ann"`}); got != "cy ann and friends" {
			k.Error(got)
		}
		if r := k.do("GET", "/?count=3&startIndex=2", nil).want(200); r.names() != "bo cy ann and friends" || r.text("totalResults") != "4" {
			k.Error(r.raw)
		}
		k.do("POST", "/.search", object{"schemas": []string{searchURN}, "filter": `nothing eq 1`}).fails(400, "invalidFilter")
		k.do("POST", "/Users/.search", object{"filter": `title pr`}).fails(400, "invalidValue")
		k.do("GET", "/Users/.search", nil).fails(405, "")
	}},
}

// brokenStore is away.
type brokenStore struct{ gateway.Store }

var errAway = errors.New(`dial tcp 10.1.2.3:5432: SELECT secret FROM scim_user: connection refused`)

func (brokenStore) TenantFacts(context.Context, model.TenantID) (store.TenantFacts, error) {
	return store.TenantFacts{}, errAway
}

var httpPoints = []point{
	{91, "both media types in, one out, anything else 415", func(k *kit) {
		for i, kind := range []string{"application/scim+json", "application/json; charset=utf-8", "APPLICATION/SCIM+JSON"} {
			if r := k.do("POST", "/Users", user(fmt.Sprintf("u%d@acme.example", i)), "Content-Type", kind).want(201); r.header.Get("Content-Type") != "application/scim+json" {
				k.Error(r.header)
			}
		}
		for _, kind := range []string{"text/plain", "application/xml", "application/x-www-form-urlencoded", ""} {
			if r := k.do("POST", "/Users", user("x@acme.example"), "Content-Type", kind).fails(415, ""); r.header.Get("Content-Type") != "application/scim+json" {
				k.Error(r.header)
			}
		}
	}},
	{92, "errors have the schema, a status that is a string, and a scimType only where there is one", func(k *kit) {
		r := k.do("GET", "/Users/none", nil).fails(404, "")
		if _, text := r.body["status"].(string); !text || r.body["scimType"] != nil || r.text("detail") == "" {
			k.Error(r.raw)
		}
		k.add("ann")
		if r := k.do("POST", "/Users", user("ann@acme.example")).fails(409, "uniqueness"); r.text("detail") == "" {
			k.Error(r.raw)
		}
	}},
	{93, "401 with a challenge, 403 for the wrong key, on every route", func(k *kit) {
		id := k.add("ann")
		for _, path := range []string{"", "/", "/Users", "/Users/" + id, "/Users/.search", "/Groups", "/Groups/x", "/Bulk", "/Me", "/.search", "/Schemas", "/ServiceProviderConfig", "/ResourceTypes", "/nowhere"} {
			for _, method := range []string{"GET", "POST", "PUT", "PATCH", "DELETE"} {
				k.token = ""
				if r := k.do(method, path, nil).fails(401, ""); !strings.HasPrefix(r.header.Get("WWW-Authenticate"), "Bearer") {
					k.Errorf("%s %s: no challenge", method, path)
				}
				k.token = "wrong"
				k.do(method, path, nil).fails(401, "")
				k.token = "rest"
				k.do(method, path, nil).fails(403, "")
			}
		}
		k.token = "acme"
		k.do("GET", "/Users/"+id, nil).want(200)
	}},
	{94, "weak ETags, 304 and 412", func(k *kit) {
		id := k.add("ann")
		tag := k.do("GET", "/Users/"+id, nil).want(200).header.Get("ETag")
		if tag != `W/"1"` {
			k.Fatal(tag)
		}
		if r := k.do("GET", "/Users/"+id, nil, "If-None-Match", tag).want(304); r.raw != "" {
			k.Error(r.raw)
		}
		k.do("PATCH", "/Users/"+id, patch(op("replace", "title", "x")), "If-Match", tag).want(200)
		for method, body := range map[string]any{"PATCH": patch(op("replace", "title", "y")), "PUT": user("ann@acme.example"), "DELETE": nil} {
			k.do(method, "/Users/"+id, body, "If-Match", tag).fails(412, "")
		}
		k.do("GET", "/Users/"+id, nil, "If-None-Match", tag).want(200)
		// Joining a group changes what is shown, and so the version.
		now := k.do("GET", "/Users/"+id, nil).header.Get("ETag")
		k.addGroup("ops", id)
		k.do("GET", "/Users/"+id, nil, "If-None-Match", now).want(200)
		k.do("DELETE", "/Users/"+id, nil, "If-Match", "*").want(204)
	}},
	{95, "a name twice in an object is 400 invalidSyntax", func(k *kit) {
		k.do("POST", "/Users", `{"schemas":["`+coreUser+`"],"userName":"ann@acme.example","userName":"bo@acme.example"}`).fails(400, "invalidSyntax")
		k.do("POST", "/Users", `{"schemas":["`+coreUser+`"],"userName":"ann@acme.example","USERNAME":"bo@acme.example"}`).fails(400, "invalidSyntax")
		k.do("POST", "/Users", `{"schemas":["`+coreUser+`"],"userName":"ann@acme.example","name":{"givenName":"a","givenName":"b"}}`).fails(400, "invalidSyntax")
	}},
	{96, "too large is 413, and anything after the object 400", func(k *kit) {
		k.do("POST", "/Users", `{"schemas":["`+coreUser+`"],"userName":"ann@acme.example","title":"`+strings.Repeat("a", 1<<20)+`"}`).fails(413, "")
		k.do("POST", "/Users", `{"schemas":["`+coreUser+`"],"userName":"ann@acme.example"} {}`).fails(400, "invalidSyntax")
		for _, body := range []string{``, `[]`, `"x"`, `{`, `{"a":` + strings.Repeat("[", 5000), "\xff{}", `nul`} {
			k.do("POST", "/Users", body).fails(400, "invalidSyntax")
		}
		k.do("POST", "/Users", `{"schemas":["`+coreUser+`"],"userName":"ann@acme.example","x":`+strings.Repeat("[", 50)+strings.Repeat("]", 50)+`}`).fails(400, "invalidSyntax")
	}},
	{97, "429 says when to come back", func(k *kit) {
		k.token = "busy"
		if r := k.do("GET", "/Users", nil).fails(429, ""); r.header.Get("Retry-After") != "3" {
			k.Errorf("Retry-After is %q", r.header.Get("Retry-After"))
		}
	}},
	{98, "a wrong method is 405 with Allow", func(k *kit) {
		id := k.add("ann")
		for _, c := range []struct{ method, path, allow string }{
			{"DELETE", "/Users", "GET, POST"}, {"POST", "/Users/" + id, "DELETE, GET, PATCH, PUT"}, {"GET", "/Users/.search", "POST"}, {"GET", "/Bulk", "POST"},
			{"PUT", "/Groups", "GET, POST"}, {"PATCH", "/Schemas", "GET"},
		} {
			if r := k.do(c.method, c.path, nil).fails(405, ""); r.header.Get("Allow") != c.allow {
				k.Errorf("%s %s: Allow is %q, want %q", c.method, c.path, r.header.Get("Allow"), c.allow)
			}
		}
		k.do("GET", "/nowhere", nil).fails(404, "")
		k.do("GET", "/Users/x/y", nil).fails(404, "")
	}},
	{99, "errors show no SQL and no stack", func(k *kit) {
		k.api.Store = brokenStore{k.api.Store}
		r := k.do("GET", "/Users", nil).fails(http.StatusServiceUnavailable, "")
		if r.header.Get("Retry-After") == "" {
			k.Error("no Retry-After")
		}
		for _, leak := range []string{"SELECT", "10.1.2.3", "goroutine", "scim_user"} {
			if strings.Contains(r.raw, leak) {
				k.Errorf("answered %s", r.raw)
			}
		}
		var doc map[string]any
		k.must(json.Unmarshal([]byte(r.raw), &doc))
	}},
}
