// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package connector

import (
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// A GraphQL listing is a read, whatever its method; errors in a good answer
// are failures with the vendor's words, unless a rule knows better.
func TestGraphQL(t *testing.T) {
	answer := ""
	var got []map[string]any
	v := newVendor(t, map[string]http.HandlerFunc{"POST /v1/graphql": func(w http.ResponseWriter, r *http.Request) {
		raw, _ := io.ReadAll(r.Body)
		body, _ := decodeJSON(raw)
		got = append(got, body.(map[string]any))
		_, _ = w.Write([]byte(answer))
	}})
	text := strings.Replace(chaosManifest, "request: {get: /linked}\n      page: {type: link}\n      records: resp\n",
		"request: {post: /graphql, graphql: {query: 'query Q($n: Int) { groups(n: $n) { id name } }', variables: {n: config.size, none: \"get(config, 'x')\"}}}\n      records: resp.data.groups\n", 1)
	text = strings.Replace(text, "    errors:\n", "    errors:\n      - {when: \"get(resp, 'errors.0.code') == 'LIMIT'\", class: rate_limit, retryAfter: 45s}\n", 1)
	s, _ := session(t, v, func(o *Options) { o.Manifest, o.Permission = load1(t, text), PermissionRead })
	answer = `{"data":{"groups":[{"id":"g","name":"G"}]},"errors":[]}`
	if recs, _, err := read(t, s, "linked"); err != nil || len(recs) != 1 {
		t.Fatalf("%d records, %v", len(recs), err)
	}
	want := map[string]any{"query": "query Q($n: Int) { groups(n: $n) { id name } }", "variables": map[string]any{"n": int64(2)}}
	if d := cmp.Diff([]map[string]any{want}, got); d != "" {
		t.Error(d)
	}
	answer = `{"data":null,"errors":[{"message":"no such field"}]}`
	_, _, err := read(t, s, "linked")
	if e := wantClass(t, err, ClassInvalid); e.Message != "no such field" {
		t.Errorf("%v", e)
	}
	answer = `{"errors":[{"message":"slow down","code":"LIMIT"}]}`
	_, _, err = read(t, s, "linked")
	if e := wantClass(t, err, ClassRateLimit); e.RetryAfter != 45*time.Second {
		t.Errorf("%v", e)
	}
	for doc, want := range map[string]bool{
		"{ a }": false, "query { mutation }": false, "mutation { a }": true, "# mutation\nquery Q { a }": false, "fragment F on T { a } mutation M($a: [I!]) { b }": true,
		"query Q(\n$a: S = \"} mutation {\") { a }": false, "query { a(x: \"\"\" } mutation \"\"\") }": false, "subscription S { a }": true, "{ a } mutation": true, "query mutationX { a }": false,
	} {
		if changes(doc) != want {
			t.Errorf("%q: changes is %v", doc, !want)
		}
	}
}

func FuzzGraphQLDocument(f *testing.F) {
	f.Add(`query { a(x: "\"") } mutation { b }`)
	f.Add(`"""`)
	f.Fuzz(func(_ *testing.T, doc string) { changes(doc) })
}
