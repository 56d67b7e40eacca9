// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package connector

import (
	"fmt"
	"math"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"github.com/seatkeeper/seatkeeper/internal/expr"
)

var hostnamePattern = regexp.MustCompile(`^([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z]([a-z0-9-]{0,61}[a-z0-9])?$`)

// check validates one value of a config field and returns it in its plain
// form. The problem, if any, has Got, Want and Hint only.
func (f configField) check(raw any) (any, *Problem) {
	wrong := func(want, hint string) (any, *Problem) {
		return nil, &Problem{Got: describe(raw), Want: want, Hint: hint}
	}
	switch f.Type {
	case "integer":
		n, ok := wholeNumber(raw)
		switch {
		case !ok:
			return wrong("an integer", "")
		case f.minimum != nil && n < int64(*f.minimum):
			return wrong(fmt.Sprintf("at least %d", *f.minimum), "")
		case f.maximum != nil && n > int64(*f.maximum):
			return wrong(fmt.Sprintf("at most %d", *f.maximum), "")
		}
		return n, nil
	case "boolean":
		b, ok := raw.(bool)
		if !ok {
			return wrong("true or false", "")
		}
		return b, nil
	case "object":
		m, ok := raw.(map[string]any)
		if !ok {
			return wrong("a map of strings", "")
		}
		for k, v := range m {
			if _, ok := v.(string); !ok {
				return nil, &Problem{Got: fmt.Sprintf("%s at %q", describe(v), k), Want: "a map of strings"}
			}
		}
		return m, nil
	}
	s, ok := raw.(string)
	if !ok {
		return wrong("a string", "")
	}
	switch f.Type {
	case "hostname":
		s = strings.ToLower(strings.TrimSuffix(s, "."))
		if len(s) > 253 || !hostnamePattern.MatchString(s) {
			hint := ""
			if f.example != "" {
				hint = "for example " + f.example
			}
			return wrong("a host name without scheme, port or path", hint)
		}
	case "url":
		u, err := url.Parse(s)
		if err != nil || u.Scheme != "https" || u.Host == "" || u.User != nil {
			return wrong("an https URL without user or password", "")
		}
	}
	if len(f.enum) > 0 && !slices.Contains(f.enum, s) {
		return wrong("one of "+strings.Join(f.enum, ", "), didYouMean(s, f.enum))
	}
	if f.pattern != "" {
		if ok, err := regexp.MatchString(`^(?:`+f.pattern+`)$`, s); err != nil || !ok {
			return wrong("text that matches "+f.pattern, "")
		}
	}
	if len(s) > maxFieldBytes {
		return wrong(fmt.Sprintf("at most %d bytes", maxFieldBytes), "")
	}
	return s, nil
}

// checkConfig validates a whole config against the manifest and fills in the
// defaults. Every field of the schema is in the result, null where unset.
func (m *Manifest) checkConfig(config map[string]any) (map[string]any, Problems) {
	out := map[string]any{}
	var problems Problems
	names := make([]string, 0, len(m.config))
	for _, f := range m.config {
		names = append(names, f.Name)
		raw, ok := config[f.Name]
		if !ok || raw == nil {
			out[f.Name] = f.Default
			if f.Required && f.Default == nil {
				hint := ""
				if f.example != "" {
					hint = "for example " + f.example
				}
				problems = append(problems, Problem{Path: "spec.config." + f.Name, Got: "nothing", Want: "a " + f.Type, Hint: hint})
			}
			continue
		}
		v, p := f.check(raw)
		if p != nil {
			p.Path = "spec.config." + f.Name
			problems = append(problems, *p)
			continue
		}
		out[f.Name] = v
	}
	for _, k := range sortedKeys(config) {
		if !slices.Contains(names, k) {
			want := "no such field"
			if len(names) > 0 {
				want = "one of " + strings.Join(names, ", ")
			}
			problems = append(problems, Problem{Path: "spec.config." + k, Got: "an unknown field", Want: want, Hint: didYouMean(k, names)})
		}
	}
	return out, problems
}

// CheckConfig validates a config without opening a session.
func (m *Manifest) CheckConfig(config map[string]any) error {
	if _, problems := m.checkConfig(config); len(problems) > 0 {
		return problems
	}
	return nil
}

// check validates one value of an action's input.
func (in inputSpec) check(raw any) (any, error) {
	switch in.Type {
	case "boolean":
		if b, ok := raw.(bool); ok {
			return b, nil
		}
	case "integer":
		if n, ok := wholeNumber(raw); ok {
			return n, nil
		}
	case "array":
		if l, ok := plainCopy(raw).([]any); ok {
			return l, nil
		}
	case "object":
		if m, ok := plainCopy(raw).(map[string]any); ok {
			return m, nil
		}
	default:
		s, ok := raw.(string)
		if !ok {
			return nil, fmt.Errorf("got %s, want a string", describe(raw))
		}
		limit := in.maxLength
		if limit == 0 {
			limit = maxFieldBytes
		}
		if len(s) > limit {
			return nil, fmt.Errorf("got %d bytes, want at most %d", len(s), limit)
		}
		if in.Required && s == "" {
			return nil, fmt.Errorf("got an empty string")
		}
		return s, nil
	}
	return nil, fmt.Errorf("got %s, want %s", describe(raw), in.Type)
}

// checkInput validates the input of a call. Every declared input is in the
// result, null where it was not given.
func (a *action) checkInput(input map[string]any) (map[string]any, error) {
	out := map[string]any{}
	known := make([]string, 0, len(a.input))
	for _, in := range a.input {
		known = append(known, in.Name)
		raw, ok := input[in.Name]
		if !ok || raw == nil {
			if in.Required {
				return nil, &Error{Class: ClassConfig, Message: fmt.Sprintf("action %s: input %s is required", a.Name, in.Name)}
			}
			out[in.Name] = in.Default
			continue
		}
		v, err := in.check(raw)
		if err != nil {
			return nil, &Error{Class: ClassConfig, Message: fmt.Sprintf("action %s: input %s: %v", a.Name, in.Name, err)}
		}
		out[in.Name] = v
	}
	for _, k := range sortedKeys(input) {
		if !slices.Contains(known, k) {
			return nil, &Error{Class: ClassConfig, Message: fmt.Sprintf("action %s has no input %s; it has %s", a.Name, k, strings.Join(known, ", "))}
		}
	}
	return out, nil
}

// plainCopy is what JSON would make of v, so that the caller's value is
// neither changed nor shared; nil if JSON cannot hold it.
func plainCopy(v any) any {
	raw, err := encodeJSON(v)
	if err != nil {
		return nil
	}
	out, err := decodeJSON(raw)
	if err != nil {
		return nil
	}
	return out
}

func wholeNumber(raw any) (int64, bool) {
	switch n := raw.(type) {
	case int:
		return int64(n), true
	case int32:
		return int64(n), true
	case int64:
		return n, true
	case float64:
		if n == math.Trunc(n) && math.Abs(n) < 1<<53 {
			return int64(n), true
		}
	}
	return 0, false
}

// describe names a value's type, and shows it where it is short and plain.
func describe(v any) string {
	switch t := v.(type) {
	case string:
		return fmt.Sprintf("%q", clip(t, 60))
	case bool:
		return fmt.Sprint(t)
	case int, int64, float64:
		return fmt.Sprint(t)
	case []any:
		return "a list"
	case map[string]any:
		return "a map"
	}
	return expr.TypeName(v)
}

func sortedKeys[V any](m map[string]V) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}
