// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package connector

import (
	"context"
	"fmt"
	"net/http"
	"strconv"
	"time"
)

// judge decides whether an answer is a failure, and of which class: okWhen,
// then the manifest's rules in order, then HTTP's own meaning. It also feeds
// what the answer says of limits into the budget.
func (s *Session) judge(ctx context.Context, x exchange, w *wire, ans *answer) *Error {
	vars := answerVars(x.vars, ans)
	failure := s.classify(ctx, x, ans, vars)
	if err := s.observe(ctx, w, ans, failure); err != nil {
		return &Error{Class: ClassTransient, Message: "the rate budget could not be stored", Err: err}
	}
	return failure
}

func (s *Session) classify(ctx context.Context, x exchange, ans *answer, vars map[string]any) *Error {
	if x.spec.okWhen != nil {
		ok, err := x.spec.okWhen.EvalBool(ctx, vars)
		if err == nil && ok {
			return nil
		}
	}
	for _, rule := range s.m.http.errors {
		hit, err := rule.when.EvalBool(ctx, vars)
		if err != nil || !hit {
			continue // a rule that cannot read this answer says nothing about it
		}
		e := &Error{Class: rule.class, Status: ans.status, RetryAfter: rule.retryAfter, Fix: rule.fix}
		e.renewable = rule.refresh || rule.class == ClassAuth && ans.status == http.StatusUnauthorized
		if rule.message != nil {
			if text, err := rule.message.EvalString(ctx, vars); err == nil {
				e.Message = clip(s.redact(text, ans.hidden), maxWords)
			}
		}
		return s.explain(e, ans)
	}
	if class := classOfStatus(ans.status); class != "" {
		return s.explain(&Error{Class: class, Status: ans.status, renewable: class == ClassAuth}, ans)
	}
	if x.spec.graphql != nil && graphqlErrors(ans.body) {
		return s.explain(&Error{Class: ClassInvalid, Status: ans.status}, ans)
	}
	if ans.bodyErr != nil {
		return &Error{Class: ClassMapping, Status: ans.status, Message: "the answer is no JSON",
			Fix: "check that the address is the API's and not a sign-in page or a proxy's"}
	}
	if x.spec.okWhen != nil {
		return s.explain(&Error{Class: ClassInvalid, Status: ans.status}, ans)
	}
	return nil
}

func classOfStatus(status int) ErrorClass {
	switch {
	case status >= 200 && status < 300:
		return ""
	case status == http.StatusUnauthorized:
		return ClassAuth
	case status == http.StatusForbidden:
		return ClassPermission
	case status == http.StatusNotFound, status == http.StatusGone:
		return ClassNotFound
	case status == http.StatusConflict, status == http.StatusPreconditionFailed:
		return ClassConflict
	case status == http.StatusTooManyRequests:
		return ClassRateLimit
	case status >= 500, status == http.StatusRequestTimeout, status == http.StatusTooEarly:
		return ClassTransient
	}
	return ClassInvalid
}

// maxWords bounds what a vendor says of a failure.
const maxWords = 300

const fixSecret = "renew the credential and update the Secret" //nolint:gosec // words, no credential

// explain fills what the rule left open: the vendor's own words and a fix.
func (s *Session) explain(e *Error, ans *answer) *Error {
	if e.Message == "" {
		e.Message = clip(s.redact(vendorWords(ans.body), ans.hidden), maxWords)
	}
	if e.Message == "" {
		e.Message = fmt.Sprintf("HTTP %d %s", ans.status, http.StatusText(ans.status))
	}
	if e.Fix == "" {
		switch e.Class {
		case ClassAuth:
			e.Fix = fixSecret
		case ClassPermission:
			e.Fix = "grant the missing right to the credential; the connector's README lists them"
		case ClassPlan:
			e.Fix = "this needs another plan at the vendor; leave the data type out of spec.dataTypes to go on without it"
		}
	}
	return e
}

// vendorWords finds the message in the shapes that vendors use.
func vendorWords(body any) string {
	m, ok := body.(map[string]any)
	if !ok {
		if l, isList := body.([]any); isList && len(l) > 0 {
			m, ok = l[0].(map[string]any)
		}
		if !ok {
			return ""
		}
	}
	for _, k := range []string{"errorSummary", "error_description", "message", "detail", "reason", "error", "errors", "title"} {
		switch v := m[k].(type) {
		case string:
			if v != "" {
				return v
			}
		case map[string]any, []any:
			if s := vendorWords(v); s != "" {
				return s
			}
		}
	}
	return ""
}

// spend draws on the budget: every bucket that the request falls into, then
// the block of its key.
func (s *Session) spend(ctx context.Context, w *wire, patient bool) error {
	limit := s.maxWait
	if !patient {
		limit = min(limit, maxActionWait)
	}
	take := func(key string, rate Rate) error {
		for waited := time.Duration(0); ; {
			wait, err := s.budget.Take(ctx, key, rate)
			if err != nil {
				return &Error{Class: ClassTransient, Message: "the rate budget could not be read", Err: err}
			}
			if wait <= 0 {
				return nil
			}
			limited := &Error{Class: ClassRateLimit, RetryAfter: wait, Message: fmt.Sprintf("the vendor's rate limit is used up for %s", wait.Round(time.Second))}
			if waited += wait; waited > limit {
				return limited
			}
			if err := s.sleep(ctx, wait); err != nil {
				limited.Err = err
				return limited
			}
		}
	}
	vars := map[string]any{"method": w.method, "host": w.url.Host, "path": w.url.Path, "body": w.decoded}
	for i, b := range s.m.http.limits.buckets {
		hit, err := b.match.EvalBool(ctx, vars)
		if err != nil || !hit {
			continue
		}
		key := fmt.Sprintf("bucket/%d", i)
		if b.key != nil {
			k, err := b.key.EvalString(ctx, vars)
			if err != nil {
				return &Error{Class: ClassMapping, Message: "rateLimit.buckets: " + err.Error()}
			}
			key += "/" + k
		}
		if err := take(key, b.rate.Scale(s.reserve)); err != nil {
			return err
		}
	}
	if s.m.http.limits.usage != nil {
		if err := take(usageKey, Rate{}); err != nil {
			return err
		}
	}
	return take(s.limitKey(w), Rate{})
}

// usageKey names the budget that rateLimit.usage blocks: an allowance of the
// whole account, whatever a request counts against beside it.
const usageKey = "usage"

// limitKey names the part of the vendor's limit that a request counts against.
func (s *Session) limitKey(w *wire) string {
	key := "limit"
	for _, part := range s.m.http.limits.key {
		key += "/"
		switch part {
		case "method":
			key += w.method
		case "host":
			key += w.url.Host
		case "path":
			key += w.url.Path
		default: // path[0:n]
			key += firstSegments(w.url.Path, int(part[len("path[0:")]-'0'))
		}
	}
	return key
}

func firstSegments(path string, n int) string {
	for i := 1; i < len(path); i++ {
		if path[i] == '/' {
			if n--; n == 0 {
				return path[:i]
			}
		}
	}
	return path
}

// observe blocks the budget where the vendor refused for its limit, or where
// what remains falls below the share that is left to others.
func (s *Session) observe(ctx context.Context, w *wire, ans *answer, failure *Error) error {
	l := s.m.http.limits
	now := s.clock.Now()
	if used, limit, ok := l.usage.read(ans); ok && used >= limit*int64(100-s.reserve)/100 {
		if err := s.budget.Block(ctx, usageKey, now.Add(l.usage.pause)); err != nil {
			return err
		}
	}
	pause, stated := time.Duration(0), false
	if l.retryAfter != "" {
		pause, stated = parseRetryAfter(ans.header.Get(l.retryAfter), now)
	}
	if !stated && l.reset != "" {
		pause, stated = parseReset(ans.header.Get(l.reset), l.resetFormat, now)
	}
	if failure != nil && failure.Class == ClassRateLimit {
		if !stated || pause <= 0 {
			pause = failure.RetryAfter
			if pause <= 0 {
				pause = defaultPause
			}
			if stated {
				pause = time.Second // the stated moment has just passed
			}
		}
		failure.RetryAfter = pause
		failure.Fix = "nothing to mend: work goes on when the vendor allows it"
		return s.budget.Block(ctx, s.limitKey(w), now.Add(pause))
	}
	remaining, ok := headerNumber(ans, l.remaining)
	if !ok || !stated || pause <= 0 || l.reset == "" {
		return nil
	}
	limit, _ := headerNumber(ans, l.limit)
	if remaining <= limit*int64(s.reserve)/100 {
		return s.budget.Block(ctx, s.limitKey(w), now.Add(pause))
	}
	return nil
}

// read finds how much of the allowance is used; ok is false where the answer
// does not say.
func (u *usageSpec) read(ans *answer) (used, limit int64, ok bool) {
	if u == nil {
		return 0, 0, false
	}
	m := u.regex.FindStringSubmatch(ans.header.Get(u.header))
	if m == nil {
		return 0, 0, false
	}
	used, err := strconv.ParseInt(m[u.regex.SubexpIndex("used")], 10, 64)
	if err != nil {
		return 0, 0, false
	}
	limit, err = strconv.ParseInt(m[u.regex.SubexpIndex("limit")], 10, 64)
	return used, limit, err == nil && limit > 0 && limit < 1<<50
}

func headerNumber(ans *answer, name string) (int64, bool) {
	if name == "" {
		return 0, false
	}
	var n int64
	if _, err := fmt.Sscan(ans.header.Get(name), &n); err != nil {
		return 0, false
	}
	return n, true
}

// evalFailure says that an answer was not what the manifest expects.
func evalFailure(stream, what string, err error) *Error {
	return &Error{Class: ClassMapping, Stream: stream, Message: what + ": " + err.Error(),
		Fix: "the vendor's answer differs from what the manifest expects", Err: err}
}
