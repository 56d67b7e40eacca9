// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package flowtest

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/rogpeppe/go-internal/diff"
	"go.yaml.in/yaml/v3"

	"github.com/seatkeeper/seatkeeper/internal/workflow"
)

// Result is what came of one test.
type Result struct {
	Test    Test
	Outcome *Outcome
	// Failures say what is not as expected, each with its diff; none: it passed.
	Failures []string
}

// RunFile carries out every test of a file whose name contains only.
func RunFile(ctx context.Context, path, only string) ([]Result, error) {
	f, err := ReadFile(path)
	if err != nil {
		return nil, err
	}
	var out []Result
	for _, t := range f.Tests {
		if !strings.Contains(t.Name, only) {
			continue
		}
		w, err := ReadWorkflow(f.Workflow, t.Given)
		if err != nil {
			return nil, err
		}
		if err := t.check(w); err != nil {
			return nil, fmt.Errorf("%s:%d: test %q: %w", path, t.Line, t.Name, err)
		}
		o, err := Run(ctx, w, t.Given, t.When)
		if err != nil {
			return nil, fmt.Errorf("%s:%d: test %q: %w", path, t.Line, t.Name, err)
		}
		out = append(out, Result{Test: t, Outcome: o, Failures: t.Expect.compare(o)})
	}
	return out, nil
}

// check finds what can be no answer to this Workflow.
func (t Test) check(w *Workflow) error {
	names, leaves := map[string]bool{}, map[string]bool{}
	for _, one := range append([]*Workflow{w}, w.calls...) {
		for _, steps := range [][]workflow.Step{one.Definition.Steps, one.Definition.OnFailure} {
			walk(steps, func(s workflow.Step) { names[s.Name], leaves[s.Name] = true, s.Offboarding != nil })
		}
	}
	for i, c := range t.Given.Later {
		var p Person
		if c.At.IsZero() || len(c.fields()) == 0 {
			return fmt.Errorf("given.later[%d]: say at, and the fields of person that change", i)
		}
		if err := known(&c.Person, &p); err != nil {
			return fmt.Errorf("given.later[%d].person: %w", i, err)
		}
	}
	for _, step := range slices.Sorted(maps.Keys(t.Given.Answers)) {
		offboarding, _, _ := strings.Cut(step[strings.LastIndex(step, "/")+1:], ".")
		if !names[short(step)] && !leaves[offboarding] {
			return fmt.Errorf("given.answers.%s: the Workflow has no step %q", step, short(step))
		}
		for _, a := range t.Given.Answers[step] {
			if a.Result != "" && !slices.Contains(results, workflow.ResultClass(a.Result)) {
				return fmt.Errorf("given.answers.%s.result: %q: want one of %v", step, a.Result, results)
			}
			if a.After != "" {
				if _, err := workflow.ParseSpan(a.After); err != nil {
					return fmt.Errorf("given.answers.%s.after: %w", step, err)
				}
			}
		}
	}
	return nil
}

// results are those that an answer may name.
var results = []workflow.ResultClass{
	workflow.ResultDone, workflow.ResultAlready, workflow.ResultDenied, workflow.ResultNotFound, workflow.ResultConflict, workflow.ResultFailed, workflow.ResultUnknown,
}

// walk visits steps at every depth.
func walk(steps []workflow.Step, visit func(workflow.Step)) {
	for _, s := range steps {
		visit(s)
		if s.Switch != nil {
			for _, c := range s.Switch.When {
				walk(c.Steps, visit)
			}
			walk(s.Switch.Otherwise, visit)
		}
		if s.ForEach != nil {
			walk(s.ForEach.Steps, visit)
		}
	}
}

// compare lists what is not as expected.
func (e Expect) compare(o *Outcome) (failures []string) {
	differ := func(what string, want, got any) {
		if d := difference(what, want, got); d != "" {
			failures = append(failures, d)
		}
	}
	failures = e.compareStart(o)
	if o.Start.At.IsZero() { // of a run that there is not, nothing more is so
		return append(failures, e.wantRun(o)...)
	}
	r := o.Run
	if e.Outcome != "" && e.Outcome != string(r.State) && e.Outcome != r.Outcome {
		failures = append(failures, unlike("outcome", e.Outcome, strings.TrimSpace(string(r.State)+": "+strings.TrimSpace(r.Reason+" "+r.Message))))
	}
	if e.Reason != "" && e.Reason != r.Reason {
		failures = append(failures, unlike("reason", e.Reason, strings.TrimSpace(cmp.Or(r.Reason, "none")+": "+r.Message)))
	}
	if !e.EndedAt.IsZero() && (r.EndedAt == nil || !r.EndedAt.Equal(e.EndedAt)) {
		got := "it has not ended"
		if r.EndedAt != nil {
			got = moment(*r.EndedAt)
		}
		failures = append(failures, unlike("endedAt", moment(e.EndedAt), got))
	}
	failures = append(failures, e.comparePerson(o)...)
	if e.Steps != nil {
		got := make([]map[string]string, len(o.Steps))
		for i, s := range o.Steps {
			got[i] = map[string]string{s.Name: cmp.Or(s.Result, string(s.State))}
		}
		differ("steps", e.Steps, got)
	}
	if e.Apps != nil {
		differ("apps", e.Apps, o.Apps)
	}
	if e.Requests != nil {
		differ("requests", *e.Requests, narrowed(*e.Requests, o.Requests))
	}
	if e.Asked != nil {
		differ("asked", *e.Asked, narrowedAsked(*e.Asked, slices.Clone(o.Asked)))
	}
	return failures
}

// compareStart compares whether and when a run starts.
func (e Expect) compareStart(o *Outcome) (failures []string) {
	got := "no run: " + o.Start.Reason + ": " + o.Start.Message
	if !o.Start.At.IsZero() {
		got = moment(o.Start.At)
	}
	if e.Starts != nil && *e.Starts == o.Start.At.IsZero() {
		failures = append(failures, unlike("starts", strconv.FormatBool(*e.Starts), got))
	}
	if !e.StartsAt.IsZero() && !e.StartsAt.Equal(o.Start.At) {
		failures = append(failures, unlike("startsAt", moment(e.StartsAt), got))
	}
	return failures
}

// wantRun says what is expected of a run that did not start.
func (e Expect) wantRun(o *Outcome) []string {
	got := "no run: " + o.Start.Reason + ": " + o.Start.Message
	if e.Reason != "" && e.Reason != o.Start.Reason {
		return []string{unlike("reason", e.Reason, got)}
	}
	no := e
	no.Reason, no.Starts, no.StartsAt = "", nil, time.Time{}
	switch {
	case reflect.ValueOf(no).IsZero() && (e.Starts != nil || e.Reason != "" || !e.StartsAt.IsZero()):
		return nil // it is expected, or is said above
	case e.Outcome != "":
		return []string{unlike("outcome", e.Outcome, got)}
	}
	return []string{unlike("starts", "true", got)}
}

// comparePerson compares whom the run is about.
func (e Expect) comparePerson(o *Outcome) (failures []string) {
	if e.Created != nil && *e.Created != o.Created {
		failures = append(failures, unlike("created", strconv.FormatBool(*e.Created), strconv.FormatBool(o.Created)))
	}
	if e.Person == nil {
		return failures
	}
	got := map[string]any{}
	for field := range e.Person {
		if v, ok := o.Person[field]; ok {
			got[field] = v
		}
	}
	if d := difference("person", e.Person, got); d != "" {
		failures = append(failures, d)
	}
	return failures
}

func moment(t time.Time) string { return t.UTC().Format(time.RFC3339) }

// unlike shows what was wanted and what came of it.
func unlike(what, want, got string) string {
	return fmt.Sprintf("%s:\n  want %s\n  got  %s", what, want, got)
}

// narrowed shows of each request what the one that is expected in its place
// says anything about.
func narrowed(want []ExpectedRequest, got []Request) []ExpectedRequest {
	out := make([]ExpectedRequest, len(got))
	for i, r := range got {
		out[i] = ExpectedRequest(r)
		if i >= len(want) {
			continue
		}
		w := want[i]
		for field, empty := range map[*string]bool{&out[i].Step: w.Step == "", &out[i].Integration: w.Integration == "", &out[i].Action: w.Action == "", &out[i].Method: w.Method == "", &out[i].URL: w.URL == ""} {
			if empty {
				*field = ""
			}
		}
		if w.With == nil {
			out[i].With = nil
		}
		if w.Body == nil {
			out[i].Body = nil
		}
	}
	return out
}

func narrowedAsked(want, got []ExpectedQuestion) []ExpectedQuestion {
	for i := range got {
		if i >= len(want) {
			break
		}
		if want[i].Step == "" {
			got[i].Step = ""
		}
		if want[i].To == nil {
			got[i].To = nil
		}
		if want[i].Answer == "" {
			got[i].Answer = ""
		}
	}
	return got
}

// difference compares two values as YAML.
func difference(what string, want, got any) string {
	a, errA := canonical(want)
	b, errB := canonical(got)
	if errA != nil || errB != nil {
		return fmt.Sprintf("%s: cannot be compared: %v %v", what, errA, errB)
	}
	return string(diff.Diff(what+" wanted", a, what+" got", b))
}

// canonical writes a value so that equal ones are equal: numbers as JSON has
// them, keys in order.
func canonical(v any) ([]byte, error) {
	raw, err := yaml.Marshal(v)
	if err != nil {
		return nil, err
	}
	var plain any
	if err := yaml.Unmarshal(raw, &plain); err != nil {
		return nil, err
	}
	if raw, err = json.Marshal(plain); err != nil {
		return nil, err
	}
	plain = nil
	if err := json.Unmarshal(raw, &plain); err != nil {
		return nil, err
	}
	return yaml.Marshal(plain)
}
