// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package workflow

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// HTTPStep sends a request to a host of the author's choice.
type HTTPStep struct {
	Method  string            `json:"method"`
	URL     string            `json:"url"`
	Headers map[string]string `json:"headers,omitempty"`
	Query   map[string]string `json:"query,omitempty"`
	// Body is text, or sent as JSON; a form where the header Content-Type says
	// so. GraphQL stands in its place.
	Body    any          `json:"body,omitempty"`
	GraphQL *GraphQLStep `json:"graphql,omitempty"`
	Auth    *HTTPAuth    `json:"auth,omitempty"`
	// Expect is true of a good answer; empty: any 2xx.
	Expect    string      `json:"expect,omitempty"`
	Class     Class       `json:"class"`
	KeyHeader string      `json:"keyHeader,omitempty"` // of class keyed
	Verify    *HTTPVerify `json:"verify,omitempty"`    // of class verifiable
	// AllowHosts are reached beside the literal host of a URL.
	AllowHosts []string `json:"allowHosts,omitempty"`
	Retry      Retry    `json:"retry,omitzero"`
	// OnAmbiguous is that of an action.
	OnAmbiguous string `json:"onAmbiguous,omitempty"`
}

// GraphQLStep is a GraphQL request.
type GraphQLStep struct {
	Query     string         `json:"query"`
	Variables map[string]any `json:"variables,omitempty"`
}

// HTTPAuth names the Secret that authenticates a request.
type HTTPAuth struct {
	Type       string   `json:"type"` // Bearer, Basic or ClientCredentials
	SecretName string   `json:"secretName"`
	Header     string   `json:"header,omitempty"` // empty: Authorization
	Scheme     string   `json:"scheme,omitempty"` // empty: Bearer in Authorization, none elsewhere
	TokenURL   string   `json:"tokenURL,omitempty"`
	Scopes     []string `json:"scopes,omitempty"`
}

// Types of HTTPAuth.
const (
	AuthBearer            = "Bearer"
	AuthBasic             = "Basic"
	AuthClientCredentials = "ClientCredentials"
)

// HTTPVerify reads back whether a request took effect.
type HTTPVerify struct {
	URL    string `json:"url"`
	Expect string `json:"expect"`
	Within Span   `json:"within,omitzero"` // 0: 1m
}

// Defaults of http steps.
const (
	DefaultKeyHeader = "Idempotency-Key"
	defaultWithin    = time.Minute
	// maxRequestTime bounds one request of a step with a longer timeout.
	maxRequestTime = 2 * time.Minute
)

// httpNode is an http step, compiled.
type httpNode struct {
	url, verifyURL  func(vars map[string]any) (string, error)
	hosts           []string // that the step may reach
	headers, query  map[string]value
	body, variables value
	expect, verify  condition
}

// http compiles an http step.
func (l *linker) http(field string, s *HTTPStep) (h *httpNode, err error) {
	h = &httpNode{headers: map[string]value{}, query: map[string]value{}}
	for _, host := range s.AllowHosts {
		h.hosts = append(h.hosts, strings.ToLower(host))
	}
	if h.url, err = l.url(field+".url", s.URL, h); err != nil {
		return nil, err
	}
	for part, texts := range map[string]map[string]string{"headers": s.Headers, "query": s.Query} {
		into := h.headers
		if part == "query" {
			into = h.query
		}
		for _, name := range slices.Sorted(maps.Keys(texts)) {
			if into[name], err = l.value(field+"."+part+"."+name, texts[name]); err != nil {
				return nil, err
			}
		}
	}
	if s.Body != nil {
		if h.body, err = l.value(field+".body", s.Body); err != nil {
			return nil, err
		}
	}
	if s.GraphQL != nil {
		if h.variables, err = l.value(field+".graphql.variables", orMap(s.GraphQL.Variables)); err != nil {
			return nil, err
		}
	}
	if s.Expect != "" {
		if h.expect, err = l.expectation(field+".expect", s.Expect); err != nil {
			return nil, err
		}
	}
	if s.Verify != nil {
		if h.verifyURL, err = l.url(field+".verify.url", s.Verify.URL, h); err != nil {
			return nil, err
		}
		h.verify, err = l.expectation(field+".verify.expect", s.Verify.Expect)
	}
	return h, err
}

func orMap(m map[string]any) map[string]any {
	if m == nil {
		return map[string]any{}
	}
	return m
}

// url compiles an address; a literal host of it may be reached.
func (l *linker) url(field, source string, h *httpNode) (func(map[string]any) (string, error), error) {
	host, fill, err := l.lang.URL(l.subject, source, l.locals...)
	switch {
	case err != nil:
		return nil, &fieldError{field, err}
	case host != "" && !slices.Contains(h.hosts, host):
		h.hosts = append(h.hosts, host)
	case host == "" && len(h.hosts) == 0:
		return nil, fmt.Errorf("%s: the host is computed, so allowHosts must name those that it may be", field)
	}
	return fill, nil
}

func (l *linker) expectation(field, source string) (condition, error) {
	f, err := l.lang.Expect(source)
	if err != nil {
		return nil, &fieldError{field, err}
	}
	return f, nil
}
