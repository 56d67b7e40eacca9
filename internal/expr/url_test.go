// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package expr

import (
	"errors"
	"net/url"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestURL(t *testing.T) {
	vars := map[string]any{"input": map[string]any{"id": "a/b c", "n": int64(7), "dots": "..", "host": "desk", "evil": "evil.example/?", "url": "https://other.example/base"}}
	for _, tc := range []struct{ source, host, want string }{
		{"https://a.example", "a.example", "https://a.example"},
		{"https://A.example:8443/x", "a.example:8443", "https://A.example:8443/x"},
		{"https://a.example/x/${input.id}/y?n=${input.n}", "a.example", "https://a.example/x/a%2Fb%20c/y?n=7"},
		{"https://a.example/?q=${input.id}&r=1", "a.example", "https://a.example/?q=a%2Fb+c&r=1"},
		{"https://${input.host}.example/x", "", "https://desk.example/x"},
		{"${input.url}", "", "https://other.example/base"},
		{"${input.url}/x/${input.id}", "", "https://other.example/base/x/a%2Fb%20c"},
		{"https://a.example/${input.dots}", "a.example", ""},
		{"https://${input.evil}.example/x", "", ""},
		{"https://a.example${input.evil}", "", ""},
	} {
		host, fill, err := Workflow{}.URL("", tc.source)
		if err != nil || host != tc.host {
			t.Errorf("%s: host %q, %v", tc.source, host, err)
			continue
		}
		got, err := fill(vars)
		if got != tc.want || (err != nil) != (tc.want == "") {
			t.Errorf("%s: %q, %v; want %q", tc.source, got, err, tc.want)
		}
	}
	for source, says := range map[string]string{
		"http://a.example/":     "begins with https://",
		"a.example":             "begins with https://",
		"https:///x":            "no host",
		"https://u:p@a.example": "name or password",
		"https://a.example/${":  "not closed",
	} {
		if _, _, err := (Workflow{}).URL("", source); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%s: %v, want %q", source, err, says)
		}
	}
}

// FuzzURL has values that a hole takes: none leads to another host, or out of
// its segment.
func FuzzURL(f *testing.F) {
	for _, s := range []string{"a", "../..", "%2e%2e/", "@evil.example", "\\evil.example", "?x#y", "\x00", "a\nb"} {
		f.Add(s)
	}
	_, literal, err := Workflow{}.URL("", "https://a.example/x/${input}/y?q=${input}")
	if err != nil {
		f.Fatal(err)
	}
	_, computed, err := Workflow{}.URL("", "https://${input}.a.example/x")
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, v string) {
		vars := map[string]any{"input": v}
		if got, err := literal(vars); err == nil {
			u, err := url.Parse(got)
			if err != nil {
				t.Fatalf("%q gives %q: %v", v, got, err)
			}
			parts := strings.Split(u.EscapedPath(), "/")
			if u.Host != "a.example" || len(parts) != 4 || parts[3] != "y" || u.Fragment != "" || len(u.Query()) != 1 || u.Query().Get("q") != v {
				t.Fatalf("%q gives %q", v, got)
			}
		}
		if got, err := computed(vars); err == nil {
			if u, err := url.Parse(got); err == nil && (u.Path != "/x" || u.User != nil || !strings.HasSuffix(u.Host, ".a.example")) {
				t.Fatalf("%q gives %q", v, got)
			}
		}
	})
}

func TestStepUses(t *testing.T) {
	for source, want := range map[string][]StepUse{
		"steps.a.b.c == 1":                         {{"a", "b"}},
		"text ${steps.a.b} and ${steps['c'].d}":    {{"a", "b"}, {"c", "d"}},
		"steps.a":                                  {{"a", ""}},
		"has(steps.a.b)":                           {{"a", "b"}},
		"steps[input.x].y":                         {{"", ""}},
		"steps.exists(s, true)":                    {{"", ""}},
		"[1].map(x, {'k': steps.a.b + string(x)})": {{"a", "b"}},
		"person.steps.a":                           nil,
		"$${steps.a.b}":                            nil,
		"see steps.a.b":                            nil,
	} {
		if diff := cmp.Diff(want, StepUses(source)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", source, diff)
		}
	}
}

type sealed struct{ opened *int }

func (s sealed) Open() (any, error) {
	if s.opened == nil {
		return nil, errors.New("not for you")
	}
	*s.opened++
	return map[string]any{"deep": []any{"x"}}, nil
}

// TestLazy opens a value when an expression comes to it, and not before.
func TestLazy(t *testing.T) {
	opened := 0
	vars := map[string]any{"steps": map[string]any{"a": map[string]any{"secret": sealed{&opened}, "other": "o"}, "b": map[string]any{"secret": sealed{}}}}
	for source, want := range map[string]any{"steps.a.other": "o", "has(steps.a.secret)": true, "steps.a.secret.deep[0]": "x", "steps['a']['secret'].deep.map(d, d + '!')[0]": "x!"} {
		before := opened
		f, err := Workflow{}.Value("", source)
		if err != nil {
			t.Fatal(err)
		}
		got, err := f(vars)
		if err != nil || got != want {
			t.Errorf("%s: %v, %v", source, got, err)
		}
		if asks := strings.Contains(source, "deep"); asks != (opened > before) {
			t.Errorf("%s opened it: %v", source, opened > before)
		}
	}
	f, err := Workflow{}.Value("", "steps.b.secret == 'x'")
	if err != nil {
		t.Fatal(err)
	}
	if got, err := f(vars); err == nil || !strings.Contains(err.Error(), "not for you") {
		t.Errorf("%v, %v", got, err)
	}
}
