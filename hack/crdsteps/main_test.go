// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/json"
	"strings"
	"testing"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"sigs.k8s.io/yaml"
)

func TestValueValidation(t *testing.T) {
	tests := []struct{ rule, want string }{
		{
			"(has(self.a)?1:0)+(has(self.b)?1:0) == 1",
			`{"oneOf":[{"required":["a"]},{"required":["b"]}]}`,
		},
		{
			"(has(self.a)?1:0)+(has(self.b)?1:0) <= 1",
			`{"not":{"required":["a","b"]}}`,
		},
		{
			"!has(self.method) || self.method == 'GET' || has(self.class)",
			`{"anyOf":[{"not":{"required":["method"]}},{"required":["method"],"properties":{"method":{"enum":["GET"]}}},{"required":["class"]}]}`,
		},
		{
			"self.type != 'Basic' || has(self.user)",
			`{"anyOf":[{"not":{"required":["type"],"properties":{"type":{"enum":["Basic"]}}}},{"required":["user"]}]}`,
		},
	}
	for _, tt := range tests {
		got, err := valueValidation(tt.rule)
		if err != nil {
			t.Errorf("%s: %v", tt.rule, err)
			continue
		}
		raw, err := json.Marshal(got)
		if err != nil {
			t.Fatal(err)
		}
		if !sameJSON(t, string(raw), tt.want) {
			t.Errorf("%s\n got %s\nwant %s", tt.rule, raw, tt.want)
		}
	}
}

// TestValueValidationRefuses: a rule that is not understood must stop the
// generation, or it would be lost at the innermost level.
func TestValueValidationRefuses(t *testing.T) {
	for _, rule := range []string{
		"(has(self.a)?1:0)+(has(self.b)?1:0)+(has(self.c)?1:0) <= 1",
		"(has(self.a)?1:0)+(has(self.b)?1:0) == 2",
		"self.a > 1",
		"has(self.a) && has(self.b)",
		"has(self.a.b)",
		"duration(self) > duration('1m')",
		"",
	} {
		if got, err := valueValidation(rule); err == nil {
			t.Errorf("%q was translated to %+v; want an error", rule, got)
		}
	}
}

func TestRewriteRulesKeepsTheOthers(t *testing.T) {
	s := &apiextensionsv1.JSONSchemaProps{XValidations: apiextensionsv1.ValidationRules{
		{Rule: "has(self.a)"}, {Rule: "self.b > 1"},
	}}
	err := rewriteRules(s, "x", func(rule string) bool { return strings.Contains(rule, "has") })
	if err != nil {
		t.Fatal(err)
	}
	if len(s.XValidations) != 1 || s.XValidations[0].Rule != "self.b > 1" || len(s.AllOf) != 1 {
		t.Errorf("kept %v, rewrote %v", s.XValidations, s.AllOf)
	}
	if err := rewriteRules(s, "x", func(string) bool { return true }); err == nil {
		t.Error("a rule that cannot be rewritten was dropped")
	}
}

func TestCompactKeepsTheMeaning(t *testing.T) {
	deep := `{"a":"x: y","b":["- c","{d}",true,1,null,"yes","2026-01-01"]}`
	for range 2 * flowDepth {
		deep = `{"n":` + deep + `}`
	}
	in, err := yaml.JSONToYAML([]byte(deep))
	if err != nil {
		t.Fatal(err)
	}
	out, err := compact(in)
	if err != nil {
		t.Fatal(err)
	}
	if len(out) >= len(in) {
		t.Errorf("%d bytes became %d", len(in), len(out))
	}
	back, err := yaml.YAMLToJSON(out)
	if err != nil {
		t.Fatal(err)
	}
	if !sameJSON(t, string(back), deep) {
		t.Errorf("meaning changed:\n%s", out)
	}
}

func sameJSON(t *testing.T, a, b string) bool {
	t.Helper()
	var values [2]any
	for i, text := range []string{a, b} {
		if err := json.Unmarshal([]byte(text), &values[i]); err != nil {
			t.Fatal(err)
		}
	}
	x, _ := json.Marshal(values[0])
	y, _ := json.Marshal(values[1])
	return string(x) == string(y)
}
