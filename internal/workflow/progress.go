// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package workflow

import (
	"cmp"
	"regexp"
	"strings"

	"github.com/seatkeeper/seatkeeper/internal/store"
)

// Results of steps that did not do what they say.
const (
	StepSkipped = resultSkipped
	StepFailed  = "failed"
)

// StepProgress is how far one step of a run is.
type StepProgress struct {
	// Name with the names of the steps around it: dept.crm, each[2].crm.
	Name   string `json:"name"`
	Result string `json:"result,omitempty"` // of a finished step
	// State is the run's, for the step that it is at.
	State    store.RunState `json:"state,omitempty"`
	Reason   string         `json:"reason,omitempty"`
	Message  string         `json:"message,omitempty"`
	Attempts int            `json:"attempts,omitempty"`
	At       string         `json:"at,omitempty"`
	// Request is what a dry run would have sent.
	Request map[string]any `json:"request,omitempty"`
}

var branchMark = regexp.MustCompile(`\[[^]]*\]`)

// StepName is a step's path as people read it: without the branches, and with
// the index of an item as in a list.
func StepName(path string) string {
	path = strings.TrimPrefix(path, onFailurePrefix)
	path = branchMark.ReplaceAllStringFunc(path, func(mark string) string {
		if indexMark.MatchString(mark) {
			return "[" + strings.TrimPrefix(mark, "[#")
		}
		return ""
	})
	return strings.ReplaceAll(path, "/", ".")
}

// Progress lists the steps that a run has come to, in order, and the one that
// it is at or failed at.
func Progress(r store.RunDetail) ([]StepProgress, error) {
	done, err := StepResults(r.Run)
	if err != nil {
		return nil, err
	}
	attempts := map[string]int{}
	for _, a := range r.Attempts {
		attempts[a.StepPath]++
	}
	out := make([]StepProgress, 0, len(done)+1)
	finished := map[string]bool{}
	for _, s := range done {
		path := cmp.Or(s.Path, s.Name)
		finished[path] = true
		out = append(out, StepProgress{Name: StepName(path), Result: cmp.Or(s.Result, string(ResultDone)), Reason: s.Reason, Message: s.Message, Attempts: attempts[path], At: s.At, Request: s.Request})
	}
	v, err := parseVars(r.Vars)
	if err != nil {
		return nil, err
	}
	if path := v.text("failure.step"); path != "" && !finished[path] {
		finished[path] = true
		out = append(out, StepProgress{Name: StepName(path), Result: StepFailed, Reason: v.text("failure.reason"), Message: v.text("failure.message"), Attempts: attempts[path]})
	}
	if path := r.StepPath; path != pathEnd && !finished[path] {
		out = append(out, StepProgress{Name: StepName(path), State: r.State, Reason: reasonName.FindString(r.Reason), Message: r.Message, Attempts: attempts[path]})
	}
	return out, nil
}

var reasonName = regexp.MustCompile(`^[A-Za-z]{0,64}`)
