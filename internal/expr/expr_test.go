// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package expr

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/seatkeeper/seatkeeper/internal/model"
)

func connector(t testing.TB, extra ...string) *Env {
	t.Helper()
	env, err := Connector(extra...)
	if err != nil {
		t.Fatal(err)
	}
	return env
}

func TestHelpers(t *testing.T) {
	r := map[string]any{
		"a": map[string]any{"b": []any{int64(7), nil, "x"}}, "s": " Ada ", "null": nil, "empty": "",
		"big": int64(9007199254740993), "ms": int64(1795000000000), "s10": "1795000000", "when": "2026-11-01T10:00:00.000Z",
		"late": "2026-11-01T10:00:00.000+0200", "m": map[string]any{"k": "v", "n": nil, "z": int64(1)},
	}
	day := time.Date(2026, 11, 1, 10, 0, 0, 0, time.UTC)
	tests := map[string]struct {
		want any
	}{
		`get(r, 'a.b.0')`:             {int64(7)},
		`get(r, 'a.b.1')`:             {nil},
		`get(r, 'a.b.9')`:             {nil},
		`get(r, 'a.b.x')`:             {nil},
		`get(r, 's.deeper')`:          {nil},
		`get(null, 'a')`:              {nil},
		`get({'x': {'y': 1}}, 'x.y')`: {int64(1)},
		`coalesce([get(r,'null'), get(r,'empty'), r.s])`: {" Ada "},
		`coalesce([])`:                        {nil},
		`lower(r.s)`:                          {"ada"},
		`lower(null)`:                         {nil},
		`words([r.s, null, '', 'L'])`:         {"Ada L"},
		`words([null])`:                       {nil},
		`list(null)`:                          {[]any{}},
		`list('x')`:                           {[]any{"x"}},
		`list(r.a.b)[0]`:                      {int64(7)},
		`r.big + 1`:                           {int64(9007199254740994)},
		`ts(r.ms)`:                            {time.UnixMilli(1795000000000).UTC()},
		`ts(r.s10)`:                           {time.Unix(1795000000, 0).UTC()},
		`ts(r.when)`:                          {day},
		`ts(r.late)`:                          {day.Add(-2 * time.Hour)},
		`ts('2026-11-01')`:                    {day.Add(-10 * time.Hour)},
		`ts(0)`:                               {nil},
		`ts('')`:                              {nil},
		`ts(null)`:                            {nil},
		`rfc3339(ts(r.when))`:                 {"2026-11-01T10:00:00.000Z"},
		`omit(r.m, ['z'])`:                    {map[string]any{"k": "v"}},
		`omit(null, ['z'])`:                   {map[string]any{}},
		`soql("O'Brien")`:                     {`O\'Brien`},
		`soql('100%_')`:                       {`100%_`},
		`soql(r.empty) + soql(null)`:          {""},
		`lookup({'a': 'b'}, 'a', 'c')`:        {"b"},
		`lookup({'a': 'b'}, null, 'c')`:       {"c"},
		`lookup({'a': 'b'}, get(r,'s'), 'c')`: {"c"},
		`{'k': [1, 'x', null]}`:               {map[string]any{"k": []any{int64(1), "x", nil}}},
		`now - duration('1h') < now`:          {true},
	}
	env := connector(t)
	for src, tt := range tests {
		p, err := env.Compile(src, nil)
		if err != nil {
			t.Errorf("%s: %v", src, err)
			continue
		}
		got, err := p.Eval(t.Context(), map[string]any{"r": r, "now": day})
		if err != nil {
			t.Errorf("%s: %v", src, err)
			continue
		}
		if d := cmp.Diff(tt.want, got); d != "" {
			t.Errorf("%s: (-want +got)\n%s", src, d)
		}
	}
}

// The program is compiled once and each use yields another password: nothing
// folds the call into a constant.
func TestRandomPassword(t *testing.T) {
	p, err := connector(t).Compile("{'password': randomPassword()}", Map)
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	for range 20 {
		v, err := p.Eval(t.Context(), map[string]any{})
		if err != nil {
			t.Fatal(err)
		}
		text, _ := v.(map[string]any)["password"].(string)
		if seen[text] || len(text) < 32 || !strings.ContainsAny(text, "abc") || !strings.ContainsAny(text, "-") || !strings.ContainsAny(text, "0123456789") {
			t.Fatalf("got %q", text)
		}
		seen[text] = true
	}
}

func TestCompileErrorsSayWhere(t *testing.T) {
	env := connector(t)
	tests := []struct {
		src  string
		want *Type
		line int
		col  int
		msg  string
	}{
		{"r.id ==", nil, 1, 8, "Syntax error"},
		{"1 +\n nope", nil, 2, 2, "undeclared reference to 'nope'"},
		{"'text'", Bool, 1, 1, "yields string, want bool"},
		{"size(r) + 1", String, 1, 1, "yields int, want string"},
		{"get(r)", nil, 1, 4, "found no matching overload"},
		{"secret.token", nil, 1, 1, "undeclared reference to 'secret'"},
	}
	for _, tt := range tests {
		_, err := env.Compile(tt.src, tt.want)
		var e *Error
		if !errors.As(err, &e) {
			t.Errorf("%s: got %v, want an *Error", tt.src, err)
			continue
		}
		if e.Line != tt.line || e.Column != tt.col || !strings.Contains(e.Message, tt.msg) {
			t.Errorf("%s: got %d:%d %q, want %d:%d %q", tt.src, e.Line, e.Column, e.Message, tt.line, tt.col, tt.msg)
		}
	}
}

func TestRuntimeErrorsHoldNoValues(t *testing.T) {
	env := connector(t)
	for _, src := range []string{"ts(r.email)", "lower(r.n)", "r.missing", "omit(r.email, [])", "soql(r.n)"} {
		p, err := env.Compile(src, nil)
		if err != nil {
			t.Fatal(err)
		}
		_, err = p.Eval(t.Context(), map[string]any{"r": map[string]any{"email": "ada@acme.example", "n": int64(4711)}})
		if err == nil {
			t.Fatalf("%s: no error", src)
		}
		if strings.Contains(err.Error(), "ada@") || strings.Contains(err.Error(), "4711") {
			t.Errorf("%s: the error tells a value: %v", src, err)
		}
	}
}

func TestCostIsBounded(t *testing.T) {
	env := connector(t)
	many := make([]any, 3000)
	for i := range many {
		many[i] = int64(i)
	}
	p, err := env.Compile("r.all(a, r.all(b, r.all(c, a + b + c >= 0)))", Bool)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := p.Eval(t.Context(), map[string]any{"r": many}); err == nil || !strings.Contains(err.Error(), "limit") {
		t.Fatalf("got %v, want the cost limit", err)
	}
	unbounded, err := env.WithCost(1<<62).Compile(p.Source(), Bool)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	start := time.Now()
	if _, err := unbounded.Eval(ctx, map[string]any{"r": many}); !errors.Is(err, context.DeadlineExceeded) {
		t.Fatalf("got %v, want the deadline", err)
	}
	if took := time.Since(start); took > 5*time.Second {
		t.Fatalf("the interrupt took %s", took)
	}
}

func TestTemplate(t *testing.T) {
	env := connector(t)
	vars := map[string]any{"r": map[string]any{"id": "x}y", "n": int64(3), "none": nil}}
	tests := []struct {
		src  string
		want any
	}{
		{"plain", "plain"},
		{"", ""},
		{"/users/${r.id}", "/users/x}y"},
		{"${r.n}", int64(3)},
		{"${r.none}", nil},
		{"a${r.none}b", "ab"},
		{"${'}'}${\"${\"}", "}${"},
		{"${{'a': 1}.a + 1}", int64(2)},
		{`${'it\'s }'}`, "it's }"},
		{`${r'\}'}!`, `\}!`},
		{"$${r.id}", "${r.id}"},
		{"a$b", "a$b"},
		{"${'''a'}'''}", "a'}"},
		{"${r.n // } comment\n}", int64(3)},
	}
	for _, tt := range tests {
		tpl, err := env.Template(tt.src)
		if err != nil {
			t.Errorf("%q: %v", tt.src, err)
			continue
		}
		got, err := tpl.Eval(t.Context(), vars)
		if err != nil || !cmp.Equal(got, tt.want) {
			t.Errorf("%q: got %#v, %v, want %#v", tt.src, got, err, tt.want)
		}
	}
	for src, want := range map[string]string{
		"ab${r.id":     "column 3: the hole ${ is not closed",
		"ab${}":        "column 3: the hole ${} is empty",
		"ab${r.id +}":  "column 11: Syntax error",
		"x\ny ${nope}": "line 2, column 5: undeclared reference",
		"${'unclosed}": "not closed",
	} {
		if _, err := env.Template(src); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: got %v, want %q", src, err, want)
		}
	}
}

func TestPolicyEnvironmentIsTyped(t *testing.T) {
	env, err := Policy()
	if err != nil {
		t.Fatal(err)
	}
	seen := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	s := Subject{
		PersonID:    7,
		Person:      &model.Person{Department: "Legal", Email: "ada@acme.example", Custom: map[string]any{"vip": true}},
		Integration: "zoom",
		Account:     &model.Account{Kind: model.AccountService, LastActivityAt: &seen},
		Application: Application{Tags: []string{"core"}, Fields: map[string]string{"risk": "low"}},
		Org:         Org{Domains: []string{"acme.example"}},
		Now:         seen.AddDate(0, 6, 0),
	}
	for src, want := range map[string]bool{
		"person.department == 'Legal'":                          true,
		"person.title == ''":                                    true,
		"person.custom.vip == true":                             true,
		"has(person.custom.gone)":                               false,
		"account.kind == 'service'":                             true,
		"account.createdAt == null":                             true,
		"account.mfa == null":                                   true,
		"account.lastActivityAt < now - duration('2160h')":      true,
		"license.paid":                                          false,
		"'core' in application.tags":                            true,
		"application.fields.risk == 'low'":                      true,
		"org.domains.exists(d, person.email.endsWith('@' + d))": true,
		"person.id == 7 && account.integration == 'zoom'":       true,
	} {
		p, err := env.Compile(src, Bool)
		if err != nil {
			t.Errorf("%s: %v", src, err)
			continue
		}
		got, err := p.EvalBool(t.Context(), s.Vars())
		if err != nil || got != want {
			t.Errorf("%s: got %v, %v, want %v", src, got, err, want)
		}
	}
	for src, want := range map[string]string{
		"person.departement == 'Legal'": "undefined field 'departement'",
		"person.department == 1":        "no matching overload",
		"person.department":             "yields string, want bool",
		"seat.paid":                     "undeclared reference",
	} {
		if _, err := env.Compile(src, Bool); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want %q", src, err, want)
		}
	}
}

// Every declared field has a value, so that no expression that compiles fails
// for want of a key.
func TestPolicyVarsMatchTheDeclaration(t *testing.T) {
	vars := Subject{}.Vars()
	for name, typ := range map[string]string{VarPerson: "Person", VarAccount: "Account", VarLicense: "License", VarApplication: "Application", VarOrg: "Org"} {
		m := vars[name].(map[string]any)
		for field := range policyTypes[typ] {
			if _, ok := m[field]; !ok {
				t.Errorf("%s.%s is declared but has no value", name, field)
			}
		}
		for field := range m {
			if _, ok := policyTypes[typ][field]; !ok {
				t.Errorf("%s.%s has a value but is not declared", name, field)
			}
		}
	}
}

func FuzzTemplate(f *testing.F) {
	for _, s := range []string{"a${r.id}b", "${'}'}", "$${", "${{'a':1}.a}", "${r'\\'}", "${'''x'''}", "${//\n1}"} {
		f.Add(s)
	}
	env := connector(f)
	vars := map[string]any{"r": map[string]any{"id": "1"}}
	f.Fuzz(func(t *testing.T, s string) {
		tpl, err := env.Template(s)
		if err != nil {
			return
		}
		if _, err := tpl.Eval(t.Context(), vars); err != nil {
			return
		}
		if text, ok := tpl.Literal(); ok && !strings.Contains(s, "$${") && text != s {
			t.Fatalf("a literal changed: %q became %q", s, text)
		}
	})
}

// soqlLiteral reads a quoted string at the beginning of a query as Salesforce
// does, and returns what it means and what comes behind it.
func soqlLiteral(query string) (text, rest string, ok bool) {
	if !strings.HasPrefix(query, "'") {
		return "", "", false
	}
	meant := map[byte]string{'n': "\n", 'r': "\r", 't': "\t", 'b': "\b", 'f': "\f", '"': `"`, '\'': "'", '\\': `\`}
	var b strings.Builder
	for i := 1; i < len(query); i++ {
		switch c := query[i]; c {
		case '\'':
			return b.String(), query[i+1:], true
		case '\n', '\r':
			return "", "", false
		case '\\':
			i++
			if i == len(query) || meant[query[i]] == "" {
				return "", "", false
			}
			b.WriteString(meant[query[i]])
		default:
			b.WriteByte(c)
		}
	}
	return "", "", false
}

// Whatever a value holds, it stays inside its quotation marks and means itself.
func FuzzSOQL(f *testing.F) {
	for _, s := range []string{"", "005000000000011AAA", "x' OR IsFrozen = true", `\`, `\'`, `\\' OR Id != '`, "a\nb\rc\td\be\f", `"`, `\u0027`, "'' ''", "\u2019\x00"} {
		f.Add(s)
	}
	tpl, err := connector(f).Template(`'${soql(input.v)}' AND IsActive = true`)
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, s string) {
		v, err := tpl.Eval(t.Context(), map[string]any{"input": map[string]any{"v": s}})
		query, _ := v.(string)
		if err != nil {
			if len(s) <= maxSOQL {
				t.Fatal(err)
			}
			return
		}
		text, rest, ok := soqlLiteral(query)
		if !ok || text != s || rest != " AND IsActive = true" {
			t.Fatalf("%q became %q: read as %q and %q", s, query, text, rest)
		}
	})
}

// Text that would grow with each call is refused before it has grown.
func TestSOQLIsBounded(t *testing.T) {
	nested := strings.Repeat("soql(", 30) + "input.v" + strings.Repeat(")", 30)
	p, err := connector(t).Compile(nested, nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := p.Eval(t.Context(), map[string]any{"input": map[string]any{"v": `\`}}); err == nil || !strings.Contains(err.Error(), "at most") {
		t.Fatalf("got %v, want a refusal", err)
	}
}

// Lists of JSON and literals, put together, become plain values.
func TestConcatenationIsPlain(t *testing.T) {
	p, err := connector(t).Compile("list(input.given) + [{'a': [1, {'b': 'c'}]}] + list(input.given).map(x, {'x': x})", List)
	if err != nil {
		t.Fatal(err)
	}
	got, err := p.Eval(t.Context(), map[string]any{"input": map[string]any{"given": []any{map[string]any{"k": "v"}}}})
	if err != nil {
		t.Fatal(err)
	}
	want := []any{
		map[string]any{"k": "v"},
		map[string]any{"a": []any{int64(1), map[string]any{"b": "c"}}},
		map[string]any{"x": map[string]any{"k": "v"}},
	}
	if d := cmp.Diff(any(want), got); d != "" {
		t.Errorf("(-want +got)\n%s", d)
	}
}
