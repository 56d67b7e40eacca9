// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package scim

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

const testBase = "https://seatkeeper.example/scim/v2"

// documents are all documents of discovery, by the URI at which they are.
func documents() map[string]any {
	out := map[string]any{
		testBase + "/ServiceProviderConfig": NewServiceProviderConfig(testBase, "https://seatkeeper.example/docs", BulkSupport{MaxOperations: 1, MaxPayloadSize: 1 << 20}, 200),
	}
	for _, s := range Schemas() {
		out[testBase+"/Schemas/"+s.ID] = s.Document(testBase)
	}
	for _, rt := range ResourceTypes() {
		out[testBase+"/ResourceTypes/"+rt.Name] = rt.Document(testBase)
	}
	return out
}

// generic is v as JSON sees it.
func generic(t testing.TB, v any) map[string]any {
	t.Helper()
	var out map[string]any
	if err := json.Unmarshal([]byte(jsonOf(t, v)), &out); err != nil {
		t.Fatal(err)
	}
	return out
}

func TestDiscovery(t *testing.T) {
	t.Run("1 all features and how to authenticate", func(t *testing.T) {
		d := generic(t, documents()[testBase+"/ServiceProviderConfig"])
		for _, name := range []string{"patch", "bulk", "filter", "changePassword", "sort", "etag"} {
			feature, _ := d[name].(map[string]any)
			if _, ok := feature["supported"].(bool); !ok {
				t.Errorf("%s = %v", name, d[name])
			}
		}
		if list, _ := d["authenticationSchemes"].([]any); len(list) == 0 {
			t.Error("no authenticationSchemes")
		}
	})
	t.Run("5 every attribute is described in full", func(t *testing.T) {
		var walk func(path string, list any)
		walk = func(path string, list any) {
			attrs, _ := list.([]any)
			for _, v := range attrs {
				a, _ := v.(map[string]any)
				at := fmt.Sprintf("%s.%v", path, a["name"])
				for _, key := range []string{"name", "type", "multiValued", "description", "required", "caseExact", "mutability", "returned", "uniqueness"} {
					if v, ok := a[key]; !ok || v == "" {
						t.Errorf("%s lacks %s", at, key)
					}
				}
				if subs, _ := a["subAttributes"].([]any); (a["type"] == "complex") != (len(subs) > 0) {
					t.Errorf("%s: type %v has %d sub-attributes", at, a["type"], len(subs))
				}
				if refs, _ := a["referenceTypes"].([]any); (a["type"] == "reference") != (len(refs) > 0) {
					t.Errorf("%s: type %v has %d referenceTypes", at, a["type"], len(refs))
				}
				walk(at, a["subAttributes"])
			}
		}
		for _, s := range Schemas() {
			walk(s.Name, generic(t, s.Document(testBase))["attributes"])
		}
	})
	for uri, d := range documents() {
		t.Run("6 no nulls", func(t *testing.T) {
			if text := jsonOf(t, d); strings.Contains(text, "null") {
				t.Errorf("%s: %s", uri, text)
			}
		})
		t.Run("9 meta.location is where it is", func(t *testing.T) {
			meta, _ := generic(t, d)["meta"].(map[string]any)
			if meta["location"] != uri {
				t.Errorf("%s is at %v", uri, meta["location"])
			}
		})
	}
	t.Run("63 64 a page past the end", func(t *testing.T) {
		want := `{"schemas":["` + ListResponseURN + `"],"totalResults":7,"startIndex":9,"itemsPerPage":0,"Resources":[]}`
		if got := jsonOf(t, NewListResponse[*Resource](7, 9, nil)); got != want {
			t.Error(got)
		}
	})
	t.Run("16 45 names are found in any case and after a URN", func(t *testing.T) {
		for _, s := range Schemas() {
			for _, rt := range ResourceTypes() {
				if s != rt.Schema && !slices.Contains(rt.Extensions, s) {
					continue
				}
				for _, a := range s.Attributes {
					for _, name := range []string{a.Name, strings.ToUpper(a.Name), s.ID + ":" + a.Name, strings.ToLower(s.ID + ":" + a.Name)} {
						ref, ok := rt.Resolve(name)
						if !ok || ref.Attr != a {
							t.Errorf("%s: %s is %v", rt.Name, name, ref)
						}
					}
				}
			}
		}
	})
}

// TestDiscoverySchemas holds the documents against the JSON schemas of an
// independent compliance test.
func TestDiscoverySchemas(t *testing.T) {
	dir := os.Getenv("SEATKEEPER_TESTDATA")
	if dir == "" {
		if os.Getenv("CI") != "" {
			t.Fatal("CI is set and SEATKEEPER_TESTDATA is not: the documents of discovery would go unchecked")
		}
		t.Skip("SEATKEEPER_TESTDATA is not set: the JSON schemas are no part of the project")
	}
	list := func(items ...any) any { return NewListResponse(len(items), 1, items) }
	tests := []struct {
		file string
		doc  any
	}{
		{"CoreUser", coreUser.Document(testBase)},
		{"CoreGroup", coreGroup.Document(testBase)},
		{"Schema", coreUser.Document(testBase)},
		{"Schema", coreGroup.Document(testBase)},
		{"Schema", enterpriseUser.Document(testBase)},
		{"Schemas", list(coreUser.Document(testBase), coreGroup.Document(testBase), enterpriseUser.Document(testBase))},
		{"ResourceType", User.Document(testBase)},
		{"ResourceType", Group.Document(testBase)},
		{"ResourceTypes", list(User.Document(testBase), Group.Document(testBase))},
		{"ServiceProviderConfig", documents()[testBase+"/ServiceProviderConfig"]},
	}
	for _, tt := range tests {
		t.Run(tt.file, func(t *testing.T) {
			text, err := os.ReadFile(filepath.Join(dir, "scim", "suvera-json-schemas", tt.file+".schema.json"))
			if err != nil {
				t.Fatal(err)
			}
			var schema map[string]any
			if err := json.Unmarshal(text, &schema); err != nil {
				t.Fatal(err)
			}
			v := jsonSchema{root: schema}
			for _, problem := range v.check("", schema, generic(t, tt.doc)) {
				t.Error(problem)
			}
			if v.checked < 10 {
				t.Errorf("the schema said only %d things", v.checked)
			}
			if broken := v.check("", schema, map[string]any{"schemas": "x"}); len(broken) == 0 {
				t.Error("the schema accepts anything")
			}
		})
	}
}

// jsonSchema is as much of JSON Schema draft 4 as those schemas use.
type jsonSchema struct {
	root    map[string]any
	checked int
}

func (s *jsonSchema) check(at string, schema map[string]any, v any) []string {
	var out []string
	fail := func(format string, args ...any) { out = append(out, at+": "+fmt.Sprintf(format, args...)) }
	for keyword, rule := range schema {
		s.checked++
		switch keyword {
		case "$schema", "title", "description", "definitions", "additionalItems", "minimum":
		case "$ref":
			target, _ := s.root["definitions"].(map[string]any)[strings.TrimPrefix(rule.(string), "#/definitions/")].(map[string]any)
			out = append(out, s.check(at, target, v)...)
		case "type":
			if got := jsonType(v); got != rule && !(rule == "integer" && got == "number") {
				fail("is %s, not %v", got, rule)
			}
		case "enum":
			if !slices.Contains(rule.([]any), v) {
				fail("is %v, none of %v", v, rule)
			}
		case "minItems", "maxItems":
			list, _ := v.([]any)
			if n := float64(len(list)); keyword == "minItems" && n < rule.(float64) || keyword == "maxItems" && n > rule.(float64) {
				fail("has %v items; %s is %v", n, keyword, rule)
			}
		case "required":
			o, _ := v.(map[string]any)
			for _, name := range rule.([]any) {
				if _, ok := o[name.(string)]; !ok {
					fail("lacks %v", name)
				}
			}
		case "items":
			list, _ := v.([]any)
			for i, e := range list {
				out = append(out, s.check(fmt.Sprintf("%s[%d]", at, i), rule.(map[string]any), e)...)
			}
		case "properties":
			o, _ := v.(map[string]any)
			for name, sub := range rule.(map[string]any) {
				if e, ok := o[name]; ok {
					out = append(out, s.check(at+"."+name, sub.(map[string]any), e)...)
				}
			}
		case "additionalProperties":
			o, _ := v.(map[string]any)
			known, _ := schema["properties"].(map[string]any)
			for name := range o {
				if _, ok := known[name]; !ok && rule == false {
					fail("has %s", name)
				}
			}
		case "anyOf", "oneOf":
			matches := 0
			for _, alternative := range rule.([]any) {
				if len(s.check(at, alternative.(map[string]any), v)) == 0 {
					matches++
				}
			}
			if matches == 0 || keyword == "oneOf" && matches > 1 {
				fail("fits %d of %s", matches, keyword)
			}
		case "dependencies":
			o, _ := v.(map[string]any)
			for name, sub := range rule.(map[string]any) {
				if _, ok := o[name]; ok {
					out = append(out, s.check(at, sub.(map[string]any), v)...)
				}
			}
		default:
			fail("the schema says %q, which this test does not know", keyword)
		}
	}
	return out
}

func jsonType(v any) string {
	switch v.(type) {
	case nil:
		return "null"
	case bool:
		return "boolean"
	case float64:
		return "number"
	case string:
		return "string"
	case []any:
		return "array"
	}
	return "object"
}
