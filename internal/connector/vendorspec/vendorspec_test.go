// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package vendorspec

import (
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const openapiText = `{"openapi": "3.0.3", "info": {"title": "t", "version": "1"}, "servers": [{"url": "https://api.toy.example/v1"}],
"paths": {
 "/users": {
  "get": {"parameters": [{"name": "limit", "in": "query", "schema": {"type": "integer", "maximum": 100}}],
   "security": [{"key": []}, {"oauth": ["users.read"]}],
   "responses": {"200": {"description": "", "content": {"application/json": {"schema": {"type": "object", "properties": {
    "next": {"type": "string"}, "users": {"type": "array", "items": {"$ref": "#/components/schemas/User"}}}}}}}}},
  "post": {"requestBody": {"required": true, "content": {"application/json": {"schema": {"$ref": "#/components/schemas/User"}}}},
   "responses": {"201": {"description": ""}}}},
 "/users/me": {"get": {"responses": {"200": {"description": ""}}}},
 "/users/{id}": {"parameters": [{"name": "id", "in": "path", "required": true, "schema": {"type": "string", "minLength": 2}}],
  "get": {"responses": {"200": {"description": "", "content": {"application/json": {"schema": {"$ref": "#/components/schemas/User"}}}}}},
  "delete": {"responses": {"204": {"description": ""}}}}},
"components": {"schemas": {"User": {"type": "object", "required": ["id"], "properties": {
 "id": {"type": "string"}, "tags": {"type": "array", "items": {"type": "object", "properties": {"name": {"type": "string"}}}},
 "profile": {"allOf": [{"type": "object", "properties": {"email": {"type": "string"}}}, {"type": "object", "additionalProperties": true, "properties": {"phone": {"type": "string"}}}]},
 "links": {"type": "object", "additionalProperties": {"type": "object", "properties": {"href": {"type": "string"}}}}}}}}}`

const discoveryText = `{"kind": "discovery#restDescription", "rootUrl": "https://toy.googleapis.example/", "servicePath": "",
"parameters": {"fields": {"type": "string", "location": "query"}},
"schemas": {
 "Row": {"type": "object", "properties": {"values": {"type": "array", "items": {"type": "array", "items": {"type": "any"}}}, "kind": {"type": "string", "enum": ["A", "B"]}, "free": {"type": "any"}}},
 "Done": {"type": "object", "properties": {"updated": {"type": "string"}}}},
"resources": {"rows": {"methods": {
 "append": {"httpMethod": "POST", "path": "v4/sheets/{id}/values/{range}:append", "parameters": {
  "id": {"type": "string", "required": true, "location": "path"}, "range": {"type": "string", "required": true, "location": "path"},
  "how": {"type": "string", "required": true, "enum": ["RAW"], "location": "query"}, "n": {"type": "integer", "maximum": "5", "location": "query"}},
  "request": {"$ref": "Row"}, "response": {"$ref": "Done"}, "scopes": ["rows"]}}}}}`

func loadText(t *testing.T, text string, options ...Option) *Description {
	t.Helper()
	file := filepath.Join(t.TempDir(), "d.json")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	d, err := Load(file, options...)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func TestCheck(t *testing.T) {
	toy, google := loadText(t, openapiText), loadText(t, discoveryText)
	if toy.Host != "api.toy.example" || google.Host != "toy.googleapis.example" {
		t.Errorf("hosts %q, %q", toy.Host, google.Host)
	}
	if op := toy.Find("GET", "/v1/users/me"); op == nil || op.Path != "/users/me" {
		t.Errorf("a literal path gives way to a parameter: %+v", op)
	}
	if got := toy.Find("GET", "/v1/users").Scopes; !slices.Equal(got, []string{"users.read"}) {
		t.Errorf("scopes %v", got)
	}
	const appendTo = "/v4/sheets/s/values/A%211:append"
	for name, tt := range map[string]struct {
		d                    *Description
		method, target, body string
		want                 []Violation
	}{
		"good":              {toy, "GET", "/v1/users?limit=10", "", nil},
		"unknown parameter": {toy, "GET", "/v1/users?limit=10&page=2", "", []Violation{"GET /users: the description has no query parameter page"}},
		"unknown path":      {toy, "GET", "/v1/groups", "", []Violation{"GET /v1/groups: no such operation"}},
		"unknown method":    {toy, "PUT", "/v1/users", "", []Violation{"PUT /v1/users: no such operation"}},
		"good body":         {toy, "POST", "/v1/users", `{"id": "u", "tags": [{"name": "x"}], "profile": {"email": "e", "phone": "1", "any": 1}}`, nil},
		"unknown fields": {toy, "POST", "/v1/users", `{"id": "u", "ids": 1, "tags": [{"nam": "x"}]}`,
			[]Violation{"POST /users: the description has no body field ids", "POST /users: the description has no body field tags.nam"}},
		"empty body":           {toy, "DELETE", "/v1/users/u1", `{}`, nil},
		"body of a DELETE":     {toy, "DELETE", "/v1/users/u1", `{"why": 1}`, []Violation{"DELETE /users/{id}: the description has no body"}},
		"discovery":            {google, "POST", appendTo + "?how=RAW&fields=updated&n=5", `{"values": [["a", 1, null]], "kind": "B", "free": {"x": 1}}`, nil},
		"discovery, parameter": {google, "POST", appendTo + "?how=RAW&what=1", `{}`, []Violation{"POST /v4/sheets/{id}/values/{range}:append: the description has no query parameter what"}},
		"discovery, field":     {google, "POST", appendTo + "?how=RAW", `{"value": 1}`, []Violation{"POST /v4/sheets/{id}/values/{range}:append: the description has no body field value"}},
	} {
		got := tt.d.Check(request(tt.method, tt.target, tt.body), []byte(tt.body))
		if d := cmp.Diff(tt.want, got); d != "" {
			t.Errorf("%s (-want +got):\n%s", name, d)
		}
	}
	for name, tt := range map[string]struct {
		d                          *Description
		method, target, body, want string
	}{
		"too large":              {toy, "GET", "/v1/users?limit=101", "", `GET /users: parameter "limit" in query`},
		"path parameter":         {toy, "GET", "/v1/users/x", "", `GET /users/{id}: parameter "id" in path`},
		"required field":         {toy, "POST", "/v1/users", `{"tags": []}`, "POST /users: request body has an error"},
		"discovery, required":    {google, "POST", appendTo, `{}`, "the required parameter how is missing"},
		"discovery, enum":        {google, "POST", appendTo + "?how=COOKED", `{}`, "how is none of [RAW]"},
		"discovery, number":      {google, "POST", appendTo + "?how=RAW&n=6", `{}`, "6 is more than 5"},
		"discovery, body's type": {google, "POST", appendTo + "?how=RAW", `{"values": "x"}`, "body.values is no array"},
		"discovery, body's enum": {google, "POST", appendTo + "?how=RAW", `{"kind": "C"}`, "body.kind is none of [A B]"},
	} {
		got := tt.d.Check(request(tt.method, tt.target, tt.body), []byte(tt.body))
		if len(got) != 1 || !strings.Contains(string(got[0]), tt.want) {
			t.Errorf("%s: got %q, want %q", name, got, tt.want)
		}
	}
}

func request(method, target, body string) *http.Request {
	r := httptest.NewRequest(method, target, strings.NewReader(body))
	if body != "" {
		r.Header.Set("Content-Type", "application/json; charset=utf-8")
	}
	return r
}

const slackish = `{"swagger": "2.0", "info": {"title": "t", "version": "1"}, "host": "s.example", "basePath": "/api", "schemes": ["https"], "paths": {
"/chat.post": {"post": {"consumes": ["application/x-www-form-urlencoded"], "parameters": [
 {"name": "token", "in": "header", "required": true, "type": "string"}, {"name": "channel", "in": "formData", "required": true, "type": "string"},
 {"name": "text", "in": "formData", "type": "string"}],
 "responses": {"200": {"description": ""}}}},
"/users.list": {"get": {"parameters": [{"name": "token", "in": "query", "required": true, "type": "string"}, {"name": "limit", "in": "query", "type": "integer"}],
 "responses": {"200": {"description": ""}}}}}}`

// A vendor that takes arguments anywhere is held to what it calls them.
func TestAnyMethod(t *testing.T) {
	d := loadText(t, slackish, AnyMethod())
	for _, tt := range []struct {
		method, target, body, want string
	}{
		{"POST", "/api/chat.post", `{"channel": "C"}`, ""},
		{"POST", "/api/chat.post", `{"channel": "C", "blocks": []}`, "no body field blocks"},
		{"POST", "/api/chat.post", `{"text": "x"}`, "channel"},
		{"POST", "/api/users.list", `{"limit": 5}`, ""},
		{"GET", "/api/users.list?limit=5&more=1", "", "no query parameter more"},
	} {
		got := d.Check(request(tt.method, tt.target, tt.body), []byte(tt.body))
		if tt.want == "" && len(got) > 0 || tt.want != "" && (len(got) != 1 || !strings.Contains(string(got[0]), tt.want)) {
			t.Errorf("%s %s %s: %q, want %q", tt.method, tt.target, tt.body, got, tt.want)
		}
	}
}

const toyManifest = `
spec:
  http: {baseURL: "https://${config.host}/v1"}
  account: {get: /users/a, id: resp.id, name: resp.nickname}
  streams:
    tags:
      forEach: {stream: users, as: u, when: u.idle == true}
      request: {get: "/users/${u.id}", query: {q: "${u.qq}"}}
      records: list(resp.tags)
      key: r.name
      emit: [{forEach: "[r].filter(x, x.nome2 == '')", as: x, map: {a: x.nime, b: x.name, c: "resp.tags.map(q, q.mane)"}}]
    users:
      request: {get: /users}
      page: {next: "get(resp, 'nxt')"}
      records: resp.users
      filter: "get(r, 'profile.email') != null && r.profile.anything == 1"
      key: r['idd']
      emit: [{map: {a: "get(r, 'tags.0.nome')", b: "coalesce([get(r, 'tags.0.name'), get(r, 'links.self.ref')])", c: "lookup(r, 'lnks', null)", d: "'ident' in r"}}]
  actions:
    x:
      steps:
      - {get: /users, save: {all: "resp.users.filter(z, z.id == input.id)"}}
      - {delete: "/users/${vars.all[0].idd2}"}
      verify: {get: "/users/${input.id}", expect: "resp.tags.exists(g, g.gnome == '') && vars == null"}
`

func TestMissingFields(t *testing.T) {
	d := loadText(t, openapiText)
	got, err := MissingFields([]byte(toyManifest), d.Find)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, v := range got {
		op, name, _ := strings.Cut(string(v), ": the answer has no field ")
		names = append(names, op+" "+name)
	}
	want := []string{
		"DELETE /users/{id} idd2", "GET /users/{id} qq", "GET /users idd", "GET /users idle", "GET /users ident", "GET /users links.self.ref", "GET /users lnks", "GET /users nxt", "GET /users tags.0.nome",
		"GET /users/{id} gnome", "GET /users/{id} mane", "GET /users/{id} nome2", "GET /users/{id} nickname", "GET /users/{id} nime",
	}
	slices.Sort(names)
	slices.Sort(want)
	if diff := cmp.Diff(want, names); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

func TestHoles(t *testing.T) {
	got := holesOf("/a/${x['}']}/$${no}/${ {'k': 1}.k }/${\"\\\"}\"}")
	if d := cmp.Diff([]string{"x['}']", " {'k': 1}.k ", "\"\\\"}\""}, got); d != "" {
		t.Error(d)
	}
}
