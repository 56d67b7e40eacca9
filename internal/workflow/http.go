// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package workflow

import (
	"cmp"
	"context"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/seatkeeper/seatkeeper/internal/expr"
	"github.com/seatkeeper/seatkeeper/internal/failpoint"
	"github.com/seatkeeper/seatkeeper/internal/model"
	"github.com/seatkeeper/seatkeeper/internal/store"
)

// Request is one request of an http step, filled.
type Request struct {
	Method  string
	URL     string
	Headers map[string]string
	Query   map[string]string
	Body    any // nil: none; text as it is; else JSON, or a form as Content-Type says
	Auth    *HTTPAuth
	// Hosts may be reached, also by a redirect of a GET.
	Hosts []string
	// KeyHeader carries Key, which names the effect; empty: none does.
	KeyHeader, Key string
}

// Answer is what came back of a request.
type Answer struct {
	Status int
	Header map[string]string // names in lower case
	// Body is decoded JSON, else text; nil where it is empty, or was TooLong to
	// be read.
	Body    any
	TooLong bool
	Words   string // what the vendor says of a failure
}

// Requests sends the requests of http steps. A Result has an Answer wherever
// one came, whatever it says; without one it tells whether the request left.
type Requests interface {
	Send(ctx context.Context, tenant model.TenantID, r Request) (Result, error)
}

// httpPrefix begins the name under which a host stands where the Integration
// of an action does: in lanes, attempts and audit.
const httpPrefix = "https://"

// http makes one request. Its result is done, with the status and the outputs.
func (t *turn) http(n *node, s *HTTPStep) {
	req, err := t.fillRequest(n, s)
	if err != nil {
		t.unbuilt(n, err)
		return
	}
	u, err := url.Parse(req.URL)
	switch {
	case err != nil || !strings.EqualFold(u.Scheme, "https") || u.Host == "":
		t.failStep(n, "BadInput", t.redact(fmt.Sprintf("url: %q is no https address", req.URL)))
		return
	case u.User != nil || !slices.Contains(n.http.hosts, strings.ToLower(u.Host)):
		t.failStep(n, "HostNotAllowed", t.redact(fmt.Sprintf("url: %s is not a host that the step names; allowHosts would allow it", u.Host)))
		return
	}
	shown := t.shownRequest(req)
	if t.dryRun() {
		t.complete(n, t.withoutAnswer(n, map[string]any{"result": resultDryRun, "request": shown}))
		return
	}
	call := Call{Integration: httpPrefix + strings.ToLower(u.Host), Action: "http." + strings.ToLower(s.Method), Input: shown, Request: req}
	if err := t.addVerify(n, s, &call); err != nil {
		t.unbuilt(n, err)
		return
	}
	info := ActionInfo{Class: s.Class}
	if s.Verify != nil {
		info.HasVerify, info.VerifyWithin = true, s.Verify.within()
	}
	t.judge(n, s)
	retry := s.Retry
	if limit := n.step.Timeout.Elapsed; limit > 0 {
		retry.Timeout = Span{Elapsed: min(limit, maxRequestTime)}
	}
	out := t.perform(callSpec{path: n.path, call: call, info: &info, retry: retry, onAmbiguous: s.OnAmbiguous, postedPoint: failpoint.AfterEffectBeforeOutcome, outlasts: true})
	switch {
	case out.pending:
	case out.ok:
		t.requested(n, out)
	case out.decided:
		t.fail(out.reason, out.message)
	default:
		t.failStep(n, out.reason, out.message)
	}
}

// unbuilt goes on where a request cannot be put together. One of which an
// attempt may have had its effect is for a person.
func (t *turn) unbuilt(n *node, err error) {
	if _, decided := t.resolution(); decided || t.intent == nil && !t.cur.Lost {
		t.unfilled(n, err)
		return
	}
	if t.intent != nil {
		a := *t.intent
		t.closeIntent(a, store.AttemptAmbiguous)
		t.audit(a, string(ResultUnknown))
	}
	t.cur.Asking = ""
	t.park("OutcomeUnknown", t.redact(fmt.Sprintf("the request may have had its effect, and it cannot be put together again (%v): look, then say retry, skip or fail", err)))
}

// requested completes a step whose request had its effect.
func (t *turn) requested(n *node, out callOutcome) {
	result := string(ResultDone)
	if !out.wrote {
		result = string(ResultAlready)
	}
	res := map[string]any{"result": result, "at": t.now.Format(time.RFC3339)}
	if out.status != 0 {
		res["status"] = out.status
	}
	if problem, _ := out.output[keptProblem].(string); problem != "" {
		t.failStep(n, reasonExpression, problem)
		return
	}
	kept, _ := out.output[keptOutputs].(map[string]any)
	for name, v := range kept {
		res[name] = v
	}
	t.complete(n, res)
}

func (v *HTTPVerify) within() time.Duration {
	if v.Within.Elapsed > 0 {
		return v.Within.Elapsed
	}
	return defaultWithin
}

// fillRequest fills the holes of a request.
func (t *turn) fillRequest(n *node, s *HTTPStep) (*Request, error) {
	scope := t.scope()
	r := &Request{Method: s.Method, Headers: map[string]string{}, Query: map[string]string{}, Auth: s.Auth, Hosts: n.http.hosts}
	if s.Class == ClassKeyed {
		r.KeyHeader = cmp.Or(s.KeyHeader, DefaultKeyHeader)
	}
	var err error
	if r.URL, err = n.http.url(scope); err != nil {
		return nil, &fieldError{"url", err}
	}
	for part, list := range map[string]map[string]value{"headers": n.http.headers, "query": n.http.query} {
		into := r.Headers
		if part == "query" {
			into = r.Query
		}
		for name, f := range list {
			v, err := f(scope)
			if err != nil {
				return nil, &fieldError{part + "." + name, err}
			}
			if v == nil {
				continue // a hole without a value leaves the parameter out
			}
			text, err := asText(v)
			if err != nil {
				return nil, &fieldError{part + "." + name, err}
			}
			into[name] = text
		}
	}
	switch {
	case s.GraphQL != nil:
		variables, err := fillBody(n.http.variables, scope)
		if err != nil {
			return nil, within("graphql.variables", err)
		}
		body := map[string]any{"query": s.GraphQL.Query}
		if m, ok := variables.(map[string]any); ok && len(m) > 0 {
			body["variables"] = m
		}
		r.Body = body
	case n.http.body != nil:
		if r.Body, err = fillBody(n.http.body, scope); err != nil {
			return nil, within("body", err)
		}
	}
	return r, r.bounded()
}

// bounded refuses a request that is too large, and says which part of it is.
func (r *Request) bounded() error {
	texts := func(m map[string]string) (n int) {
		for k, v := range m {
			n += len(k) + len(v)
		}
		return n
	}
	body, _ := expr.Weigh(r.Body, maxInput)
	left := maxInput
	for _, part := range []struct {
		name string
		size int
	}{{"url", len(r.URL)}, {"headers", texts(r.Headers)}, {"query", texts(r.Query)}, {"body", body}} {
		if left -= part.size; left < 0 {
			return &fieldError{part.name, &sizeError{"the request with it", maxInput}}
		}
	}
	return nil
}

func fillBody(f value, scope map[string]any) (any, error) {
	v, err := f(scope)
	if err != nil {
		return nil, err
	}
	return reveal(v)
}

// asText formats what a header or a query can carry.
func asText(v any) (string, error) {
	switch x := v.(type) {
	case string:
		return x, nil
	case bool, int64, float64, int:
		return fmt.Sprint(x), nil
	}
	return "", fmt.Errorf("want text, a number or true or false; it yields %T", v)
}

// addVerify fills the request that reads back, as the request's own headers and
// auth do it.
func (t *turn) addVerify(n *node, s *HTTPStep, c *Call) error {
	if s.Verify == nil {
		return nil
	}
	address, err := n.http.verifyURL(t.scope())
	if err != nil {
		return &fieldError{"verify.url", err}
	}
	u, err := url.Parse(address)
	if err != nil || u.User != nil || !slices.Contains(n.http.hosts, strings.ToLower(u.Host)) {
		return &fieldError{"verify.url", fmt.Errorf("%s is no address at a host that the step names", t.redact(address))}
	}
	headers := map[string]string{}
	for name, v := range c.Request.Headers {
		if !strings.EqualFold(name, "Content-Type") {
			headers[name] = v
		}
	}
	c.ReadBack = &Request{Method: http.MethodGet, URL: address, Headers: headers, Auth: s.Auth, Hosts: n.http.hosts}
	return nil
}

// shownRequest is a request as people and digests may see it.
func (t *turn) shownRequest(r *Request) map[string]any {
	out := map[string]any{"method": r.Method, "url": r.URL}
	texts := func(m map[string]string) map[string]any {
		out := make(map[string]any, len(m))
		for k, v := range m {
			out[k] = v
		}
		return out
	}
	headers := texts(r.Headers)
	if a := r.Auth; a != nil {
		headers[cmp.Or(a.Header, "Authorization")] = fmt.Sprintf("[%s, from Secret %s]", a.Type, a.SecretName)
	}
	if len(headers) > 0 {
		out["headers"] = headers
	}
	if len(r.Query) > 0 {
		out["query"] = texts(r.Query)
	}
	if r.Body != nil {
		out["body"] = r.Body
	}
	shown, _ := t.mask(out).(map[string]any)
	return shown
}

// withoutAnswer gives the sensitive outputs of a call that a dry run leaves out
// a value, so that the requests that would use them can be shown.
func (t *turn) withoutAnswer(n *node, result map[string]any) map[string]any {
	for _, name := range n.step.Sensitive {
		result[name] = masked
	}
	return result
}

// request sends the request of an http step.
func (e *Engine) request(ctx context.Context, tenant model.TenantID, c Call) (Result, error) {
	r := *c.Request
	if r.KeyHeader != "" {
		r.Key = c.IdemKey
	}
	return e.sendRequest(ctx, tenant, r)
}

// readBack looks whether the request of an http step took effect.
func (e *Engine) readBack(ctx context.Context, tenant model.TenantID, c Call) (Result, error) {
	return e.sendRequest(ctx, tenant, *c.ReadBack)
}

func (e *Engine) sendRequest(ctx context.Context, tenant model.TenantID, r Request) (Result, error) {
	if e.o.Requests == nil {
		return Result{Class: ResultDenied, Message: "nothing here sends the requests of http steps"}, nil
	}
	return e.o.Requests.Send(ctx, tenant, r)
}
