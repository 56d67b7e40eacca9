// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package scim

import (
	"encoding/json"
	"errors"
	"net/http"
	"testing"
)

// doc reads JSON that the test itself wrote.
func doc(t testing.TB, text string) map[string]any {
	t.Helper()
	out, err := ParseJSON([]byte(text))
	if err != nil {
		t.Fatalf("ParseJSON(%s): %v", text, err)
	}
	return out
}

// userJSON is a User that has something of every shape.
const userJSON = `{
	"schemas": ["urn:ietf:params:scim:schemas:core:2.0:User", "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"],
	"id": "u1", "externalId": "Ext-1", "userName": "Ada@example.com",
	"name": {"givenName": "Ada", "familyName": "Lovelace"},
	"displayName": "Ada Lovelace", "title": "", "active": true, "userType": "Admin",
	"emails": [
		{"value": "ada@example.com", "type": "work", "primary": true},
		{"value": "ada@home.example", "type": "home"}
	],
	"phoneNumbers": [{"value": "+44 20", "type": "work"}],
	"addresses": [{"type": "work", "country": "GB", "locality": "London"}],
	"roles": [{"value": "viewer"}],
	"groups": [{"value": "g1", "display": "Engineers"}],
	"urn:ietf:params:scim:schemas:extension:enterprise:2.0:User": {
		"employeeNumber": "701", "department": "Engines", "manager": {"value": "u2"}
	},
	"meta": {"resourceType": "User", "created": "2026-01-31T18:42:00Z", "lastModified": "2026-02-01T00:00:00+02:00", "version": "W/\"3\""}
}`

func user(t testing.TB) *Resource {
	t.Helper()
	r, err := Restore(User, []byte(userJSON))
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func group(t testing.TB, text string) *Resource {
	t.Helper()
	r, err := Restore(Group, []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// wantError wants a refusal with the status and the kind.
func wantError(t testing.TB, err error, status int, kind ScimType) {
	t.Helper()
	var e *Error
	if !errors.As(err, &e) {
		t.Fatalf("error = %v, want a %d %s", err, status, kind)
	}
	if e.Status != status || e.Type != kind {
		t.Fatalf("error = %v, want a %d %s", err, status, kind)
	}
	if e.Detail == "" {
		t.Fatal("the refusal says nothing")
	}
}

func want400(t testing.TB, err error, kind ScimType) {
	t.Helper()
	wantError(t, err, http.StatusBadRequest, kind)
}

func jsonOf(t testing.TB, v any) string {
	t.Helper()
	text, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
