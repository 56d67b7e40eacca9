// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package workflow

import (
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/seatkeeper/seatkeeper/internal/store"
)

// vars are a run's variables: what it started with, the results of its steps
// under "steps", the last decision under "decision" and a failure under
// "failure".
type vars map[string]any

func parseVars(raw json.RawMessage) (vars, error) {
	v := vars{}
	if len(raw) > 0 {
		if err := json.Unmarshal(raw, &v); err != nil {
			return nil, fmt.Errorf("variables: %w", err)
		}
	}
	return v, nil
}

// lookup returns the value at a dotted path, nil if there is none.
func (v vars) lookup(path string) any {
	var at any = map[string]any(v)
	for key := range strings.SplitSeq(path, ".") {
		m, ok := at.(map[string]any)
		if !ok {
			return nil
		}
		at = m[key]
	}
	return at
}

// text returns the string at a path, "" if there is none.
func (v vars) text(path string) string {
	s, _ := v.lookup(path).(string)
	return s
}

// setStep stores the result of a step, with its place in the order.
func (v vars) setStep(name string, result map[string]any) {
	steps, _ := v["steps"].(map[string]any)
	if steps == nil {
		steps = map[string]any{}
		v["steps"] = steps
	}
	result["n"] = len(steps) + 1
	steps[name] = result
}

// dropStep forgets the result of a step.
func (v vars) dropStep(name string) {
	if steps, ok := v["steps"].(map[string]any); ok {
		delete(steps, name)
	}
}

// StepResult is a finished step, for people.
type StepResult struct {
	N       int    `json:"n"`
	Name    string `json:"name"`
	Path    string `json:"path,omitempty"` // of a user's definition
	At      string `json:"at,omitempty"`
	Result  string `json:"result"` // done, already, Keep, Go, …
	Reason  string `json:"reason,omitempty"`
	Message string `json:"message,omitempty"`
	// Request is what a dry run would have sent.
	Request map[string]any `json:"request,omitempty"`
}

// StepResults lists the finished steps of a run in the order in which they
// ended.
func StepResults(r store.Run) ([]StepResult, error) {
	v, err := parseVars(r.Vars)
	if err != nil {
		return nil, fmt.Errorf("run %s: %w", r.ID, err)
	}
	steps, _ := v["steps"].(map[string]any)
	out := make([]StepResult, 0, len(steps))
	for name := range steps {
		s := StepResult{Name: name, Reason: v.text("steps." + name + ".reason"), Message: v.text("steps." + name + ".message"),
			Path: v.text("steps." + name + ".path"), At: v.text("steps." + name + ".at")}
		s.Request, _ = v.lookup("steps." + name + ".request").(map[string]any)
		n, _ := v.lookup("steps." + name + ".n").(float64)
		s.N = int(n)
		for _, key := range []string{"result", "answer", "decision", "kind"} {
			if s.Result == "" {
				s.Result = v.text("steps." + name + "." + key)
			}
		}
		out = append(out, s)
	}
	slices.SortFunc(out, func(a, b StepResult) int { return cmp.Or(a.N-b.N, cmp.Compare(a.Name, b.Name)) })
	return out, nil
}

// decode reads the variable at path into a struct.
func (v vars) decode(path string, into any) error {
	raw, err := json.Marshal(v.lookup(path))
	if err == nil {
		err = json.Unmarshal(raw, into)
	}
	if err != nil {
		return fmt.Errorf("variable %s: %w", path, err)
	}
	return nil
}

// fill replaces ${path} holes; a string that is one hole takes the value's own
// type. A path without a value is an error, never an empty input.
func (v vars) fill(in any) (any, error) {
	switch x := in.(type) {
	case map[string]any:
		out := make(map[string]any, len(x))
		for k, e := range x {
			f, err := v.fill(e)
			if err != nil {
				return nil, err
			}
			out[k] = f
		}
		return out, nil
	case []any:
		out := make([]any, len(x))
		for i, e := range x {
			f, err := v.fill(e)
			if err != nil {
				return nil, err
			}
			out[i] = f
		}
		return out, nil
	case string:
		return v.fillString(x)
	}
	return in, nil
}

func (v vars) fillString(s string) (any, error) {
	var b strings.Builder
	for {
		before, rest, ok := strings.Cut(s, "${")
		if !ok {
			return b.String() + s, nil
		}
		path, after, ok := strings.Cut(rest, "}")
		if !ok {
			return nil, fmt.Errorf("%q: the hole ${ is not closed", s)
		}
		value := v.lookup(path)
		if value == nil {
			return nil, fmt.Errorf("${%s} has no value", path)
		}
		if before == "" && after == "" && b.Len() == 0 {
			return value, nil
		}
		b.WriteString(before)
		if text, ok := value.(string); ok {
			b.WriteString(text)
		} else {
			raw, err := json.Marshal(value)
			if err != nil {
				return nil, err
			}
			b.Write(raw)
		}
		s = after
	}
}
