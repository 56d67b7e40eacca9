// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package scim_test

import (
	"encoding/json"
	"reflect"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/seatkeeper/seatkeeper/internal/scim"
	"github.com/seatkeeper/seatkeeper/internal/scim/scimtest"
)

var tolerant = scim.Dialect{
	BareLiterals: true, StringBooleans: true, EmptyOperations: true, CreateUnmatched: true,
	RemoveListed: true, RepeatedTypes: true, AnySchemas: true,
}

func dialect(lenient bool) scim.Dialect {
	if lenient {
		return tolerant
	}
	return scim.Strict
}

func jsonText(t testing.TB, v any) string {
	t.Helper()
	text, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// wantRefusal wants an error to be one that can be answered.
func wantRefusal(t testing.TB, err error, kinds ...scim.ScimType) {
	t.Helper()
	e, ok := scim.AsError(err)
	if !ok || e.Detail == "" || e.Status != 400 && e.Status != 413 || e.Status == 400 && !slices.Contains(kinds, e.Type) {
		t.Fatalf("error = %v", err)
	}
}

// sameFilter wants the canonical text of a filter to mean the filter.
func sameFilter(t *testing.T, rt *scim.ResourceType, e scim.Expr, resources []*scim.Resource) {
	t.Helper()
	text := e.String()
	again, err := scim.ParseFilter(rt, text, scim.Strict)
	if err != nil {
		// A bare name stands for a longer one, and a negative for a nested one.
		if len(text) > scim.MaxFilterLength || strings.Count(text, "(")+strings.Count(text, "[") > scim.MaxFilterDepth {
			return
		}
		t.Fatalf("%s: %v", text, err)
	}
	if again.String() != text {
		t.Fatalf("%s is read as %s", text, again)
	}
	for _, r := range resources {
		if got := scim.Match(e, r); scim.Match(again, r) != got || scim.Match(&scim.Not{Term: e}, r) == got {
			t.Fatalf("%s does not mean one thing of %s", text, jsonText(t, r))
		}
	}
}

func FuzzFilter(f *testing.F) {
	for _, seed := range []string{
		`userName eq "ada@example.com"`, `not (emails[type eq "work" and value co "@x"]) and active eq true or id pr`,
		`emails[type eq work].value ne a@b`, scim.EnterpriseUserURN + `:manager.value eq null`, `meta.created ge "2026-01-31T18:42:00+02:00"`,
		`displayName eq "\"\\\u0041\ud83d\ude00"`, `((((id pr))))`, `manager pr`, `schemas co "enterprise"`, `active eq "True"`,
		strings.Repeat("(", 100), strings.Repeat("not(", 40) + "id pr", strings.Repeat("id pr or ", 70) + "id pr",
	} {
		f.Add(seed, true)
		f.Add(seed, false)
	}
	resources := []*scim.Resource{scimtest.Seed(1).Resource(1), scimtest.Seed(2).Resource(2), scim.NewResource(scim.User)}
	f.Fuzz(func(t *testing.T, text string, lenient bool) {
		for _, rt := range scim.ResourceTypes() {
			e, err := scim.ParseFilter(rt, text, dialect(lenient))
			if err != nil {
				wantRefusal(t, err, scim.InvalidFilter)
				continue
			}
			sameFilter(t, rt, e, resources)
		}
	})
}

func FuzzFilterMade(f *testing.F) {
	f.Add([]byte("seed"))
	f.Fuzz(func(t *testing.T, data []byte) {
		s := scimtest.New(data)
		resources := []*scim.Resource{s.Resource(1), s.Resource(2)}
		for _, rt := range scim.ResourceTypes() {
			text := s.Filter(rt)
			e, err := scim.ParseFilter(rt, text, scim.Strict)
			if err != nil {
				t.Fatalf("%s: %v", text, err)
			}
			sameFilter(t, rt, e, resources)
			by, order := s.Sort(rt)
			sort, err := scim.ParseSort(rt, by, order)
			if err != nil {
				wantRefusal(t, err, scim.InvalidValue)
				continue
			}
			a, b := resources[0], resources[1]
			if sort.Compare(a, a) != 0 || sort.Compare(a, b) != -sort.Compare(b, a) {
				t.Fatalf("%s %s is no order", by, order)
			}
		}
	})
}

func FuzzPath(f *testing.F) {
	for _, seed := range []string{
		"members", `emails[type eq "work"].value`, scim.EnterpriseUserURN, scim.EnterpriseUserURN + ":manager.value",
		scim.CoreUserURN + ":name.givenName", `roles[primary eq "True"].value`, `emails[not (type pr)]`, "emails[", "a.b.c", "..", "emails[]",
	} {
		f.Add(seed, true)
		f.Add(seed, false)
	}
	f.Fuzz(func(t *testing.T, text string, lenient bool) {
		for _, rt := range scim.ResourceTypes() {
			p, err := scim.ParsePath(rt, text, dialect(lenient))
			if err != nil {
				wantRefusal(t, err, scim.InvalidPath, scim.InvalidFilter)
				continue
			}
			if len(p.String()) > scim.MaxFilterLength {
				continue
			}
			again, err := scim.ParsePath(rt, p.String(), scim.Strict)
			if err != nil || again.String() != p.String() {
				t.Fatalf("%s is read as %v (%v)", p, again, err)
			}
		}
	})
}

func FuzzProjection(f *testing.F) {
	for _, seed := range []string{"userName,emails.type", `emails[type eq "work"].value, id`, scim.EnterpriseUserURN + ",manager.value", `[,"],"`, `x["\\"],y`} {
		f.Add(seed, true)
		f.Add(seed, false)
	}
	r := scimtest.Seed(3).Resource(1)
	f.Fuzz(func(t *testing.T, list string, excluded bool) {
		names := scim.SplitNames(list)
		only, without := names, []string(nil)
		if excluded {
			only, without = nil, names
		}
		p, err := scim.ParseProjection(scim.User, only, without)
		if err != nil {
			wantRefusal(t, err, scim.InvalidValue)
			return
		}
		before := jsonText(t, r)
		out := p.Apply(r)
		// A value path may select by what it leaves out.
		differs := !strings.Contains(list, "[") && !reflect.DeepEqual(p.Apply(out), out)
		if out.ID() != r.ID() || jsonText(t, r) != before || differs {
			t.Fatalf("%q comes to %s", list, jsonText(t, out))
		}
		for name, v := range out.Attributes {
			if whole, ok := r.Attributes[name]; !ok || len(jsonText(t, v)) > len(jsonText(t, whole)) {
				t.Fatalf("%q adds %s", list, name)
			}
		}
	})
}

func FuzzJSON(f *testing.F) {
	for _, seed := range []string{
		`{"a":1,"b":[true,null,"x",{"c":-1.5e3}]}`, `{"a":1,"a":2}`, `{"a":1,"\u0061":2}`, `{} {}`, `[]`, `{"a":[1,]}`, "{\"a\":\"\xff\"}",
		strings.Repeat(`{"a":`, 40) + "1" + strings.Repeat("}", 40), `{"a":"\ud800"}`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		doc, err := scim.ParseJSON(body)
		if err != nil {
			wantRefusal(t, err, scim.InvalidSyntax)
			return
		}
		dec := json.NewDecoder(strings.NewReader(string(body)))
		dec.UseNumber()
		var want map[string]any
		if err := dec.Decode(&want); err != nil || !reflect.DeepEqual(want, doc) {
			t.Fatalf("%s is read as %v (%v)", body, doc, err)
		}
		if depth(doc) > scim.MaxJSONDepth {
			t.Fatalf("nests %d deep", depth(doc))
		}
	})
}

func depth(v any) int {
	deepest := 0
	switch v := v.(type) {
	case map[string]any:
		for _, e := range v {
			deepest = max(deepest, depth(e))
		}
	case []any:
		for _, e := range v {
			deepest = max(deepest, depth(e))
		}
	default:
		return 0
	}
	return deepest + 1
}

// wantCanonical wants a resource to hold what every resource holds to.
func wantCanonical(t *testing.T, r *scim.Resource, repeated bool) {
	t.Helper()
	text := jsonText(t, r)
	if strings.Contains(text, ":null") && !strings.Contains(text, `"null`) && !strings.Contains(text, `:null"`) && !strings.Contains(text, `\`) {
		t.Fatalf("a null in %s", text)
	}
	again, err := scim.Restore(r.Type, []byte(text))
	if err != nil || !reflect.DeepEqual(again.Attributes, r.Attributes) {
		t.Fatalf("%s is restored as %v (%v)", text, again, err)
	}
	if r.Get("password") != nil {
		t.Fatalf("a password in %s", text)
	}
	for _, a := range r.Type.Schema.Attributes {
		if v := r.Attributes[a.Name]; a.Required && (v == nil || v == "") {
			t.Fatalf("no %s in %s", a.Name, text)
		}
		list, _ := r.Attributes[a.Name].([]any)
		primaries, types := 0, map[string]bool{}
		for _, v := range list {
			o, _ := v.(scim.Object)
			if len(o) == 0 {
				t.Fatalf("an empty value of %s in %s", a.Name, text)
			}
			if o["primary"] == true {
				primaries++
			}
			kind, _ := o["type"].(string)
			if kind = scim.Fold(kind); kind != "" && a.OnePerType && types[kind] && !repeated {
				t.Fatalf("two %s of one type in %s", a.Name, text)
			}
			types[kind] = true
		}
		if primaries > 1 {
			t.Fatalf("%d primary %s in %s", primaries, a.Name, text)
		}
	}
	all, err := scim.ParseProjection(r.Type, nil, nil)
	if err != nil || jsonText(t, all.Apply(r)) != text {
		t.Fatalf("projected to %s", jsonText(t, all.Apply(r)))
	}
}

func FuzzDecode(f *testing.F) {
	for n := range uint64(8) {
		f.Add([]byte(jsonText(f, scimtest.Seed(n).User(1))), n%2 == 0)
		f.Add([]byte(jsonText(f, scimtest.Seed(n).Group(1))), n%2 == 0)
	}
	f.Fuzz(func(t *testing.T, body []byte, lenient bool) {
		doc, err := scim.ParseJSON(body)
		if err != nil {
			return
		}
		for _, rt := range scim.ResourceTypes() {
			r, err := scim.Decode(rt, doc, dialect(lenient))
			if err != nil {
				wantRefusal(t, err, scim.InvalidValue, scim.InvalidSyntax)
				continue
			}
			wantCanonical(t, r, lenient)
			if r.ID() != "" || r.Get("meta") != nil || r.Get("groups") != nil {
				t.Fatalf("took over what is the server's: %s", jsonText(t, r))
			}
			same, changed, err := scim.Replace(r, r)
			if err != nil || len(changed) != 0 || !reflect.DeepEqual(same, r) {
				t.Fatalf("replaced by itself: %v, %v", changed, err)
			}
		}
	})
}

// patchHolds applies a PATCH and wants what holds of every one.
func patchHolds(t *testing.T, stored *scim.Resource, doc map[string]any, lenient bool) {
	t.Helper()
	before := jsonText(t, stored)
	request := jsonText(t, doc)
	p, err := scim.ParsePatch(stored.Type, doc, dialect(lenient))
	var res *scim.PatchResult
	if err == nil {
		res, err = p.Apply(stored, func(scim.Expr) ([]scim.Member, error) { return []scim.Member{{Value: "u1"}}, nil })
	}
	if jsonText(t, stored) != before {
		t.Fatalf("%s changed what is stored: %s", request, before)
	}
	if jsonText(t, doc) != request {
		t.Fatalf("%s changed the request", request)
	}
	if err != nil {
		wantRefusal(t, err, scim.InvalidSyntax, scim.InvalidPath, scim.InvalidFilter, scim.InvalidValue, scim.NoTarget, scim.Mutability)
		return
	}
	wantCanonical(t, res.Resource, true)
	after := jsonText(t, res.Resource)
	if (len(res.Changed) == 0) != (after == before) {
		t.Fatalf("%s: changed %v\n%s\n%s", request, res.Changed, before, after)
	}
	for _, name := range []string{"id", "meta", "groups"} {
		if !reflect.DeepEqual(res.Resource.Get(name), stored.Get(name)) {
			t.Fatalf("%s changed %s", request, name)
		}
	}
	for _, name := range res.Changed {
		ref, ok := stored.Type.Resolve(name)
		if !ok || ref.String() != name {
			t.Fatalf("%s changed what has no name: %s", request, name)
		}
		if list, _ := res.Resource.Get(name).([]any); !lenient && ref.Attr.OnePerType {
			types := map[string]bool{}
			for _, v := range list {
				kind, _ := v.(scim.Object)["type"].(string)
				if kind = scim.Fold(kind); kind != "" && types[kind] {
					t.Fatalf("%s: two %s of one type", request, name)
				}
				types[kind] = true
			}
		}
	}
	if d := res.Members; d != nil {
		seen := map[string]bool{}
		for _, m := range d.Add {
			if seen[m.Value] || m.Value == "" {
				t.Fatalf("%s: members %+v", request, d)
			}
			seen[m.Value] = true
		}
		for _, id := range d.Remove {
			if seen[id] || d.ReplaceAll {
				t.Fatalf("%s: members %+v", request, d)
			}
			seen[id] = true
		}
	}
}

func FuzzPatch(f *testing.F) {
	f.Add([]byte("seed"), true)
	f.Fuzz(func(t *testing.T, data []byte, lenient bool) {
		s := scimtest.New(data)
		patchHolds(t, s.Resource(1), s.Patch(scim.User), lenient)
		g := scim.NewResource(scim.Group)
		g.Attributes["displayName"] = "x" + s.Text()
		patchHolds(t, g, s.Patch(scim.Group), lenient)
	})
}

func FuzzPatchBody(f *testing.F) {
	for n := range uint64(16) {
		f.Add([]byte(jsonText(f, scimtest.Seed(n).Patch(scim.User))), n%2 == 0)
		f.Add([]byte(jsonText(f, scimtest.Seed(n).Patch(scim.Group))), n%2 == 0)
	}
	u, g := scimtest.Seed(3).Resource(1), scim.NewResource(scim.Group)
	g.Attributes["displayName"] = "Engineers"
	f.Fuzz(func(t *testing.T, body []byte, lenient bool) {
		doc, err := scim.ParseJSON(body)
		if err != nil {
			return
		}
		patchHolds(t, u, doc, lenient)
		patchHolds(t, g, doc, lenient)
	})
}

func FuzzUserName(f *testing.F) {
	for _, seed := range []string{"ada@example.com", "Ada <ada@example.com>", `"a b"@example.com`, "ada@[192.0.2.1]", "a@b", "ada@bücher.example"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, name string) {
		if (scim.UserNameRule{}).Check(name) != nil {
			return
		}
		local, domain, _ := strings.Cut(name, "@")
		if local == "" || strings.ContainsAny(name, " \t\r\n<>()[],;:\"\x00") || strings.Count(name, "@") != 1 ||
			!strings.Contains(domain, ".") || strings.HasSuffix(domain, ".") || len(name) > 254 {
			t.Fatalf("%q is accepted", name)
		}
	})
}

func FuzzFold(f *testing.F) {
	f.Add("Straße", "STRASSE")
	f.Add("\u212a", "k")
	f.Fuzz(func(t *testing.T, a, b string) {
		if !utf8.ValidString(a) || !utf8.ValidString(b) {
			return
		}
		if (scim.Fold(a) == scim.Fold(b)) != strings.EqualFold(a, b) || scim.Fold(scim.Fold(a)) != scim.Fold(a) {
			t.Fatalf("%q and %q fold to %q and %q", a, b, scim.Fold(a), scim.Fold(b))
		}
	})
}
