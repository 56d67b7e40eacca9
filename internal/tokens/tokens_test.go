// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package tokens

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

var t0 = time.Date(2026, 11, 22, 10, 0, 0, 0, time.UTC)

func decode(t testing.TB, raw string) (v any) {
	t.Helper()
	if err := json.Unmarshal([]byte(raw), &v); err != nil {
		t.Fatal(err)
	}
	return v
}

func learn(t testing.TB, bodies ...string) Known {
	t.Helper()
	var k Known
	for _, b := range bodies {
		k, _ = k.Learn(decode(t, b), t0)
	}
	return k
}

func listed(k Known) (out []string) {
	for _, p := range k.Paths() {
		out = append(out, p.Under(RootTrigger)+": "+p.Type())
	}
	return out
}

func TestPaths(t *testing.T) {
	for name, tc := range map[string]struct {
		bodies []string
		want   string
	}{
		"nested":    {[]string{`{"employee": {"first_name": "Ada", "age": 36, "rate": 1.5, "remote": true}}`}, "employee.age: integer, employee.first_name: string, employee.rate: number, employee.remote: boolean"},
		"lists":     {[]string{`{"items": [{"sku": "a"}, {"sku": 1, "n": 2}], "tags": ["x"], "none": []}`}, "items[].n: integer, items[].sku: string or integer, none: array, tags[]: string"},
		"nullable":  {[]string{`{"manager": null}`, `{"manager": "grace"}`}, "manager: string or null"},
		"mixed":     {[]string{`{"manager": {"name": "grace"}}`, `{"manager": "grace"}`, `{"amount": 1}`, `{"amount": 1.5}`}, "amount: number, manager: string or object, manager.name: string"},
		"text":      {[]string{`"Ping"`}, ": string"},
		"list":      {[]string{`[{"a": 1}]`}, "[].a: integer"},
		"empty":     {[]string{`{}`}, ": object"},
		"by e-mail": {[]string{`{"people": {"ada@acme.example": {"role": "admin"}, "grace@acme.example": {"role": "user", "since": null}}}`}, "people.*.role: string, people.*.since: null"},
		"by id":     {[]string{`{"seats": {"00u1abcdef": 1, "4711": 2, "2026-11-22": 3, "550e8400-e29b-41d4-a716-446655440000": 4, "deadbeefcafe": 5}, "line2": "x"}`}, "line2: string, seats.*: integer"},
		"by name":   {[]string{`{"Ada Lovelace": 1, "first_name": "Ada"}`}, "*: integer, first_name: string"},
		"words":     {[]string{`{"in": 1, "cost-center": 2, "straße": "x"}`}, "cost-center: integer, in: integer, straße: string"},
	} {
		t.Run(name, func(t *testing.T) {
			got := strings.ReplaceAll(strings.Join(listed(learn(t, tc.bodies...)), ", "), "body.", "")
			if diff := cmp.Diff(tc.want, strings.ReplaceAll(got, "body", "")); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// What somebody wrote into a body is nowhere in what is known.
func TestNoValues(t *testing.T) {
	canaries := []string{"canary-value", "canary@acme.example", "Canary Bird", "canary.dotted", "99887766", "2026-11-21", "can/ary", "ff00ff00ff00", "c1a2n3a4r5y6"}
	var fields []string
	for i, c := range canaries {
		fields = append(fields, fmt.Sprintf(`"field_%c": %q, %q: {"inner": %q}`, 'a'+i, c, c+"@", c))
		if c != "canary-value" { // which could be the name of a field
			fields = append(fields, fmt.Sprintf(`%q: [%q]`, c, c))
		}
	}
	raw, err := learn(t, "{"+strings.Join(fields, ", ")+"}").Marshal()
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range append(canaries, "canary", "ary") {
		if strings.Contains(string(raw), c) {
			t.Errorf("%q is in %s", c, raw)
		}
	}
	if !strings.Contains(string(raw), "field_a") {
		t.Errorf("nothing was learned: %s", raw)
	}
}

// The keys of records by name are data, however innocent each looks.
func TestRecordsByKey(t *testing.T) {
	var b []string
	for i := range 8 {
		b = append(b, fmt.Sprintf(`"user%c": {"role": "r", "team": "t"}`, 'a'+i))
	}
	if diff := cmp.Diff([]string{"body.*.role: string", "body.*.team: string"}, listed(learn(t, "{"+strings.Join(b, ",")+"}"))); diff != "" {
		t.Error(diff)
	}
	if got := listed(learn(t, `{"employee": {"id": 1}, "manager": {"id": 2}, "buddy": {"id": 3}}`)); len(got) != 3 {
		t.Errorf("three objects: %v", got)
	}
	var many []string // each alone is a name; of all bodies together they are too many
	for i := range maxNames + 1 {
		many = append(many, fmt.Sprintf(`{"by": {"n%c%c": 1}}`, 'a'+i/26, 'a'+i%26))
	}
	if diff := cmp.Diff([]string{"body.by.*: integer"}, listed(learn(t, many...))); diff != "" {
		t.Error(diff)
	}
}

func TestBounds(t *testing.T) {
	wide := map[string]any{}
	for i := range 20 {
		inner := map[string]any{}
		for j := range 20 {
			inner[fmt.Sprintf("f%c%c", 'a'+i, 'a'+j)] = "v"
		}
		wide[fmt.Sprintf("o%c", 'a'+i)] = inner
	}
	k, news := Known{}.Learn(wide, t0)
	if n := k.root.size(); n != maxPaths || !news || !k.Full() {
		t.Errorf("%d paths, full %t", n, k.Full())
	}
	if _, again := k.Learn(wide, t0.Add(time.Hour)); again {
		t.Error("the same body is news")
	}
	// What was not seen for long makes way.
	later := map[string]any{"fresh": "x"}
	if k, _ := k.Learn(later, t0.AddDate(0, 0, 10)); k.Has([]string{"fresh"}) && strings.Contains(strings.Join(listed(k), " "), "fresh") {
		t.Error("it made way after ten days")
	}
	if k, news := k.Learn(later, t0.AddDate(0, 0, 40)); !news || k.Full() || !slices.Equal(listed(k), []string{"body.fresh: string"}) {
		t.Errorf("after 40 days: %v", listed(k))
	}
	deep := any("x")
	for range 60 {
		deep = map[string]any{"d": deep}
	}
	if k, _ := (Known{}).Learn(deep, t0); k.root.size() != maxDepth+1 || !k.Has(strings.Split(strings.Repeat("d ", 20)+"d", " ")) {
		t.Errorf("%d levels", k.root.size())
	}
}

func TestDays(t *testing.T) {
	k := learn(t, `{"a": 1, "b": 1}`)
	if _, news := k.Learn(decode(t, `{"a": 2}`), t0.Add(time.Hour)); news {
		t.Error("news on the same day")
	}
	k, news := k.Learn(decode(t, `{"a": 2}`), t0.AddDate(0, 0, 2))
	p := k.Paths()
	if !news || p[0].FirstSeen != "2026-11-22" || p[0].LastSeen != "2026-11-24" || p[1].LastSeen != "2026-11-22" {
		t.Errorf("%+v", p)
	}
	if k, _ := k.Learn(decode(t, `{"a": 2}`), t0.AddDate(0, 0, -2)); k.Paths()[0].FirstSeen != "2026-11-20" || k.Paths()[0].LastSeen != "2026-11-24" {
		t.Errorf("%+v", k.Paths())
	}
}

func TestExpression(t *testing.T) {
	k := learn(t, `{"first_name": "x", "cost-center": 1, "in": 2, "items": [{"sku": 1}], "a@b": {"c": 1}}`)
	var got []string
	for _, p := range k.Paths() {
		got = append(got, p.String()+" "+p.Expression(RootSteps))
	}
	want := []string{`*.c event.data.body["KEY"].c`, `cost-center event.data.body["cost-center"]`, `first_name event.data.body.first_name`,
		`in event.data.body["in"]`, `items[].sku event.data.body.items[0].sku`}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestCheck(t *testing.T) {
	k := learn(t, `{"first_name": "x", "employee": {"email": "a"}, "items": [{"sku": 1}], "none": [], "by": {"a@b": {"c": 1}}}`)
	spec := `{"trigger": {"webhook": {"dedupe": "${body.ide}", "person": {"match": [{"email": "${body.email}"}], "fields": {"givenName": "${body.fist_name}", "title": "${has(body.title) ? body.title : ''}"}}}},
		"when": "event.data.body.firstName == 'x' && event.data.body.by['z@z'].c == 1 && event.data.body.none[0].x == 1",
		"steps": [{"name": "hello", "notify": {"text": "Hi ${event.data.body.employee.emial}, ${event.data.body.items.exists(i, i.sdk == 1)}, ${body.first_name}"}}, {"name": "rest", "wait": {"for": "1h"}}]}`
	found, err := Check(json.RawMessage(spec), k)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, f := range found {
		got = append(got, f.String())
	}
	want := []string{
		"spec.steps[hello].notify.text: event.data.body.employee.emial was never received; did you mean event.data.body.employee.email?",
		"spec.steps[hello].notify.text: event.data.body.items[].sdk was never received; did you mean event.data.body.items[].sku?",
		"spec.trigger.webhook.dedupe: body.ide was never received",
		"spec.trigger.webhook.person.fields.givenName: body.fist_name was never received; did you mean body.first_name?",
		"spec.trigger.webhook.person.match[0].email: body.email was never received; did you mean body.employee.email?",
		"spec.when: event.data.body.firstName was never received; did you mean event.data.body.first_name?",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if found, err := Check(json.RawMessage(spec), Known{}); err != nil || found != nil {
		t.Errorf("with nothing received: %v, %v", found, err)
	}
}

// FuzzLearn: what is learned is bounded, survives being stored, and is no news a
// second time.
func FuzzLearn(f *testing.F) {
	for _, s := range []string{`{"a": [{"b": null}, 1.5], "a@b": {"x": true}}`, `[]`, `"x"`, `{"": {"": 1}}`, `{"a":{"b":{"c":{"d":{"e":{"f":{"g":{"h":{"i":1}}}}}}}}}`} {
		f.Add(s, `{"a": 1}`, 0)
	}
	f.Fuzz(func(t *testing.T, first, second string, days int) {
		var a, b any
		if json.Unmarshal([]byte(first), &a) != nil || json.Unmarshal([]byte(second), &b) != nil {
			t.Skip()
		}
		k, _ := Known{}.Learn(a, t0)
		before, err := k.Marshal()
		if err != nil {
			t.Fatal(err)
		}
		next, _ := k.Learn(b, t0.AddDate(0, 0, days%100))
		if after, _ := k.Marshal(); string(after) != string(before) {
			t.Fatal("what was known has changed")
		}
		for round := 0; ; round++ {
			var news bool
			if next, news = next.Learn(b, t0.AddDate(0, 0, days%100)); !news {
				break
			}
			if round == 5 {
				t.Fatal("it is news for ever")
			}
		}
		if n := next.root.size(); n > maxPaths {
			t.Fatalf("%d paths", n)
		}
		raw, err := next.Marshal()
		if err != nil {
			t.Fatal(err)
		}
		read, err := Parse(raw)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(listed(next), listed(read)); diff != "" {
			t.Fatal(diff)
		}
		for _, p := range next.Paths() {
			if !next.Has(p.Parts) {
				t.Fatalf("%v is listed and not known", p.Parts)
			}
			for _, part := range p.Parts {
				if part != AnyItem && part != AnyKey && !isName(part) {
					t.Fatalf("%q is no name", part)
				}
			}
		}
	})
}
