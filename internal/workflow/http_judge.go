// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package workflow

import (
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
)

// What an http step keeps of an answer while it is verified.
const (
	keptOutputs = "outputs"
	keptProblem = "problem" // an output has no value
)

// judge says what the answer of an http step means, where one has just come.
func (t *turn) judge(n *node, s *HTTPStep) {
	switch t.event.kind {
	case eventResult:
		t.event.result = t.judged(n, s, t.event.result)
	case eventVerified:
		t.event.result = t.judgedBack(n, t.event.result)
	}
}

// judged classifies the answer of the request itself.
func (t *turn) judged(n *node, s *HTTPStep, r Result) Result {
	r.Message = t.redact(r.Message)
	a := r.Answer
	if a == nil {
		return r
	}
	r.StatusCode = a.Status
	good, why := n.http.meets(a, s)
	changes := s.Class != ClassRead
	switch {
	case a.Status == http.StatusTooManyRequests:
		r.Class, r.Message = ResultRateLimited, "HTTP 429"
	case good:
		r.Class, r.Message = ResultDone, ""
		if a.Status == http.StatusAccepted && s.Verify != nil {
			r.Class = ResultAccepted
		}
		r.Output = t.outputsOf(n, a)
	case a.Status >= 200 && a.Status < 300:
		// It was answered, and not as it should be. Whether it changed something
		// is for a write not known, so it is not repeated.
		r.Class, r.Final, r.Message = ResultFailed, s.Class != ClassRead && s.Class != ClassIdempotent, t.words(a, why)
	case a.Status == http.StatusUnauthorized, a.Status == http.StatusForbidden:
		r.Class, r.Message = ResultDenied, t.words(a, "")
	case a.Status == http.StatusNotFound, a.Status == http.StatusGone:
		r.Class, r.Message = ResultNotFound, t.words(a, "")
		if s.Method == http.MethodDelete && s.Class == ClassIdempotent && s.Expect == "" {
			r.Class, r.Output = ResultAlready, t.outputsOf(n, a)
		}
	case a.Status == http.StatusConflict && s.Class == ClassKeyed && t.cur.Lost:
		// The attempt before may still be at work under the same key.
		r.Class, r.Message = ResultUnknown, t.words(a, "")
	case a.Status == http.StatusConflict:
		r.Class, r.Final, r.Message = ResultConflict, changes, t.words(a, "")
	case a.Status >= 500, a.Status == http.StatusRequestTimeout, a.Status == http.StatusTooEarly:
		r.Class, r.Message = ResultUnknown, t.words(a, "")
	default:
		r.Class, r.Final, r.Message = ResultFailed, true, t.words(a, "")
	}
	return r
}

// judgedBack says whether the effect is there. What is no plain answer proves
// nothing, least of all that it is absent.
func (t *turn) judgedBack(n *node, r Result) Result {
	r.Message = t.redact(r.Message)
	a := r.Answer
	switch {
	case a == nil:
		if r.Class != ResultRateLimited {
			r.Class = ResultUnknown
		}
		return r
	case a.Status == http.StatusTooManyRequests:
		r.Class, r.Message = ResultRateLimited, "HTTP 429"
		return r
	case a.TooLong, a.Status >= 300 && a.Status != http.StatusNotFound && a.Status != http.StatusGone:
		r.Class, r.Message = ResultUnknown, "verify: "+t.words(a, "")
		return r
	}
	there, err := n.http.verify(answerScope(a))
	switch {
	case err != nil && a.Status >= 300: // there is nothing to look at
		r.Class = ResultAbsent
	case err != nil:
		r.Class, r.Message = ResultUnknown, "verify.expect: "+noValue(err)
	case there:
		r.Class, r.Message, r.Output = ResultDone, "", t.outputsOf(n, a)
	default:
		r.Class = ResultAbsent
	}
	return r
}

// meets reports whether an answer is a good one, and if not, why.
func (h *httpNode) meets(a *Answer, s *HTTPStep) (good bool, why string) {
	if h.expect != nil {
		ok, err := h.expect(answerScope(a))
		if err != nil {
			return false, "expect: " + noValue(err)
		}
		return ok, "expect is not true of the answer"
	}
	if a.Status < 200 || a.Status > 299 {
		return false, ""
	}
	m, _ := a.Body.(map[string]any)
	if list, _ := m["errors"].([]any); s.GraphQL != nil && len(list) > 0 { // GraphQL, 7.1.2
		return false, "the answer lists errors"
	}
	return true, ""
}

// answerScope is an answer as expressions see it.
func answerScope(a *Answer) map[string]any {
	headers := a.Header
	if headers == nil {
		headers = map[string]string{}
	}
	return map[string]any{"resp": plain(a.Body), "status": int64(a.Status), "headers": headers}
}

// outputsOf evaluates the outputs that the step declares, as they are kept.
func (t *turn) outputsOf(n *node, a *Answer) map[string]any {
	kept, scope := map[string]any{}, answerScope(a)
	problem := func(format string, args ...any) map[string]any {
		return map[string]any{keptProblem: fmt.Sprintf(format, args...)}
	}
	if a.TooLong && len(n.outputs) > 0 {
		return problem("the request was answered, and the answer has more than 1 MiB, so it has no outputs")
	}
	all := map[string]any{}
	for _, name := range slices.Sorted(maps.Keys(n.outputs)) {
		v, err := n.outputs[name](scope)
		if err != nil {
			return problem("the request was answered, and outputs.%s is not in the answer: %s", name, noValue(err))
		}
		all[name] = v
		if err := t.addOutput(n.step, name, v, kept); err != nil {
			return problem("outputs.%s: %v", name, err)
		}
	}
	if size, ok := fits(all); !ok {
		return problem("outputs have %d bytes: at most %d are kept", size, maxOutput)
	}
	return map[string]any{keptOutputs: kept}
}

// words are the status and what the vendor says of a failure.
func (t *turn) words(a *Answer, why string) string {
	parts := []string{strings.TrimSpace(fmt.Sprintf("HTTP %d %s", a.Status, http.StatusText(a.Status)))}
	if a.Status >= 300 && a.Status < 400 {
		parts = append(parts, "a redirect that is not followed")
	}
	for _, p := range []string{why, t.redact(a.Words)} {
		if p != "" {
			parts = append(parts, p)
		}
	}
	return strings.Join(parts, ": ")
}
