// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package workflow

import (
	"cmp"
	"context"
	"encoding/json"
	"maps"
	"net/http"
	"slices"
	"strings"

	"github.com/seatkeeper/seatkeeper/api/v1alpha1"
	engine "github.com/seatkeeper/seatkeeper/internal/workflow"
)

// Requests is what the controller needs to know of the requests of http steps.
type Requests interface {
	// RefusesHost says why no request may go to a host; empty: nothing is wrong
	// with its name.
	RefusesHost(host string) string
	// TakesHeader reports whether a request may set the header.
	TakesHeader(name string) bool
	// Changes reports whether a GraphQL document changes something.
	Changes(document string) bool
	// Secret says what keeps a Secret from authenticating a request; no reason:
	// nothing does.
	Secret(ctx context.Context, namespace, name, auth string) (reason, message string, err error)
}

// httpUse is a request that a step sends.
type httpUse struct {
	field string
	step  *engine.HTTPStep
	hosts map[string]string // that it names, by field
}

// classes are those of the API, as the engine calls them.
var classes = map[string]engine.Class{
	"Read": engine.ClassRead, "Idempotent": engine.ClassIdempotent, "Keyed": engine.ClassKeyed,
	"Verifiable": engine.ClassVerifiable, "Unsafe": engine.ClassUnsafe,
}

// http translates a request.
func (t *translator) http(field string, s step) (*engine.HTTPStep, error) {
	h := s.action.HTTP
	field += ".http"
	out := &engine.HTTPStep{
		Method: h.Method, URL: string(h.URL), Expect: string(h.Expect), Class: classes[h.Class], KeyHeader: h.KeyHeader,
		Headers: texts(h.Headers), Query: texts(h.Query),
	}
	use := httpUse{field: field, step: out, hosts: map[string]string{field + ".url": literalHost(out.URL)}}
	for _, host := range h.AllowHosts {
		out.AllowHosts = append(out.AllowHosts, string(host))
		use.hosts[field+".allowHosts"] = string(host)
	}
	if h.Body != nil {
		if err := json.Unmarshal(h.Body.Raw, &out.Body); err != nil {
			return nil, &stepError{field + ".body", "is no JSON"}
		}
	}
	if err := graphql(field, h, out); err != nil {
		return nil, err
	}
	if out.Method == "" {
		out.Method = http.MethodGet
	}
	if out.Class == "" {
		out.Class = engine.ClassRead // of a GET and a GraphQL query; the schema demands it of others
	}
	if a := h.Auth; a != nil {
		out.Auth = &engine.HTTPAuth{Type: a.Type, SecretName: string(a.SecretName), Header: a.Header, Scheme: a.Scheme, TokenURL: a.TokenURL, Scopes: a.Scopes}
		use.hosts[field+".auth.tokenURL"] = literalHost(a.TokenURL)
	}
	if v := h.Verify; v != nil {
		out.Verify = &engine.HTTPVerify{URL: string(v.URL), Expect: string(v.Expect)}
		use.hosts[field+".verify.url"] = literalHost(out.Verify.URL)
		if v.Within != "" {
			var err error
			if out.Verify.Within, err = span(field+".verify.within", v1alpha1.DurationOrDays(v.Within)); err != nil {
				return nil, err
			}
		}
	}
	if err := rules(field, out); err != nil {
		return nil, err
	}
	t.plan.requests = append(t.plan.requests, use)
	var err error
	out.Retry, err = t.retries(field, s)
	return out, err
}

func texts(in map[string]v1alpha1.Template) map[string]string {
	if len(in) == 0 {
		return nil
	}
	out := make(map[string]string, len(in))
	for k, v := range in {
		out[k] = string(v)
	}
	return out
}

// graphql translates a GraphQL request, which is a POST.
func graphql(field string, h *v1alpha1.HTTPStep, out *engine.HTTPStep) error {
	if h.GraphQL == nil {
		return nil
	}
	if h.Method != "" && h.Method != http.MethodPost {
		return &stepError{field + ".method", "GraphQL goes by POST"}
	}
	out.Method = http.MethodPost
	out.GraphQL = &engine.GraphQLStep{Query: h.GraphQL.Query}
	for _, name := range slices.Sorted(maps.Keys(h.GraphQL.Variables)) {
		var v any
		if err := json.Unmarshal(h.GraphQL.Variables[name].Raw, &v); err != nil {
			return &stepError{field + ".graphql.variables." + name, "is no JSON"}
		}
		if out.GraphQL.Variables == nil {
			out.GraphQL.Variables = map[string]any{}
		}
		out.GraphQL.Variables[name] = v
	}
	return nil
}

// rules are what fits together in a request.
func rules(field string, s *engine.HTTPStep) error {
	bad := func(at, message string) error { return &stepError{field + at, message} }
	headers := map[string]bool{}
	for name := range s.Headers {
		headers[strings.ToLower(name)] = true
	}
	switch {
	case s.Method == http.MethodGet && s.Body != nil:
		return bad(".body", "a GET has no body")
	case s.Class == engine.ClassRead && (s.Method == http.MethodPut || s.Method == http.MethodPatch || s.Method == http.MethodDelete):
		return bad(".class", "Read is for requests that change nothing, and "+s.Method+" does")
	case s.KeyHeader != "" && s.Class != engine.ClassKeyed:
		return bad(".keyHeader", "only a request with class Keyed has a key")
	case s.Class == engine.ClassKeyed && headers[strings.ToLower(cmp.Or(s.KeyHeader, engine.DefaultKeyHeader))]:
		return bad(".headers", "the header "+cmp.Or(s.KeyHeader, engine.DefaultKeyHeader)+" is the key, which class Keyed sets")
	case s.Verify != nil && s.Class != engine.ClassVerifiable:
		return bad(".verify", "only a request with class Verifiable is read back")
	case s.Auth != nil && headers[strings.ToLower(cmp.Or(s.Auth.Header, "Authorization"))]:
		return bad(".headers", "auth sets "+cmp.Or(s.Auth.Header, "Authorization")+"; leave one of them out")
	case s.Auth != nil && s.Auth.Type == engine.AuthBasic && (s.Auth.Header != "" || s.Auth.Scheme != ""):
		return bad(".auth", "type Basic has its header and scheme")
	case s.Auth != nil && s.Auth.Type != engine.AuthClientCredentials && (s.Auth.TokenURL != "" || len(s.Auth.Scopes) > 0):
		return bad(".auth", "tokenURL and scopes are for type ClientCredentials")
	}
	return nil
}

// literalHost is the host of an address, empty where a hole decides it.
func literalHost(address string) string {
	rest, ok := strings.CutPrefix(address, "https://")
	if !ok {
		return ""
	}
	if end := strings.IndexAny(rest, "/?#"); end >= 0 {
		rest = rest[:end]
	}
	if strings.Contains(rest, "${") {
		return ""
	}
	return rest
}

// checkRequest checks what is known of a request before it is sent. A *problem
// that waits is for the Secret, which may come later.
func (r *Reconciler) checkRequest(ctx context.Context, namespace string, u httpUse) error {
	if err := literals(u); err != nil {
		return err
	}
	if r.Requests == nil {
		return nil
	}
	for _, field := range slices.Sorted(maps.Keys(u.hosts)) {
		if host := u.hosts[field]; host != "" {
			if why := r.Requests.RefusesHost(host); why != "" {
				return wrong(v1alpha1.ReasonHostNotAllowed, "%s: %s; the operator can allow a network or redirect a host", field, why)
			}
		}
	}
	for _, name := range slices.Sorted(maps.Keys(u.step.Headers)) {
		if !r.Requests.TakesHeader(name) {
			return wrong(v1alpha1.ReasonInvalidStep, "%s.headers: %q cannot be set", u.field, name)
		}
	}
	if g := u.step.GraphQL; g != nil && u.step.Class == engine.ClassRead && r.Requests.Changes(g.Query) {
		return wrong(v1alpha1.ReasonInvalidStep, "%s.class: the GraphQL document changes something, so it needs a class: Idempotent, Keyed, Verifiable or Unsafe", u.field)
	}
	a := u.step.Auth
	if a == nil {
		return nil
	}
	if a.Header != "" && !r.Requests.TakesHeader(a.Header) {
		return wrong(v1alpha1.ReasonInvalidStep, "%s.auth.header: %q cannot be set", u.field, a.Header)
	}
	reason, message, err := r.Requests.Secret(ctx, namespace, a.SecretName, a.Type)
	if err != nil || reason == "" {
		return err
	}
	return &problem{reason: reason, message: u.field + ".auth.secretName: " + message, waits: true}
}
