// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package rest_test

import (
	"bytes"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/getkin/kin-openapi/routers"
)

// contract checks what goes to and fro against the description that is served.
type contract struct {
	*testing.T
	doc  *openapi3.T
	mux  *http.ServeMux
	seen map[string]bool // operations whose answers were checked
}

func newContract(t *testing.T, base string) *contract {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, base+"/v1.0/openapi.json", nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	text, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK {
		t.Fatalf("%d %s %v", resp.StatusCode, text, err)
	}
	doc, err := openapi3.NewLoader().LoadFromData(text)
	if err != nil {
		t.Fatal(err)
	}
	if doc.OpenAPI != "3.1.0" {
		t.Errorf("openapi is %q", doc.OpenAPI)
	}
	if err := doc.Validate(t.Context()); err != nil {
		t.Fatal(err)
	}
	c := &contract{T: t, doc: doc, mux: http.NewServeMux(), seen: map[string]bool{}}
	for path, item := range doc.Paths.Map() {
		for method := range item.Operations() {
			c.mux.Handle(method+" /v1.0"+path, http.NotFoundHandler())
		}
	}
	return c
}

// find returns the description of the route that a request takes; nil: none.
func (c *contract) find(r *http.Request) *routers.Route {
	_, pattern := c.mux.Handler(r)
	_, path, _ := strings.Cut(pattern, " /v1.0")
	item := c.doc.Paths.Value(path)
	if item == nil {
		return nil
	}
	return &routers.Route{Spec: c.doc, Path: path, PathItem: item, Method: r.Method, Operation: item.GetOperation(r.Method)}
}

// check fails the test unless the description allows the answer.
func (c *contract) check(r *http.Request, code int, header http.Header, body string) {
	c.Helper()
	route := c.find(r)
	if route == nil {
		c.Errorf("%s %s is not described", r.Method, r.URL.Path)
		return
	}
	if code < 300 {
		c.seen[route.Operation.OperationID] = true
	}
	err := openapi3filter.ValidateResponse(c.Context(), &openapi3filter.ResponseValidationInput{
		RequestValidationInput: &openapi3filter.RequestValidationInput{Request: r, Route: route},
		Status:                 code, Header: header, Body: io.NopCloser(bytes.NewBufferString(body)),
		Options: &openapi3filter.Options{IncludeResponseStatus: true},
	})
	if err != nil {
		c.Errorf("%s %s: the answer %d is not as described: %v\n%s", r.Method, r.URL.Path, code, err, body)
	}
}

// TestEveryRouteIsDescribed compares the routes that are registered with the
// description, both ways.
func TestEveryRouteIsDescribed(t *testing.T) {
	w := newWorld(t, nil)
	c := newContract(t, w.url)
	registered := map[string]bool{}
	for _, rt := range w.router.Routes() {
		if rt.Method == "" || !strings.HasPrefix(rt.Path, "/v1.0/") || rt.Path == "/v1.0/openapi.json" {
			continue
		}
		registered[rt.Pattern] = true
		r, err := http.NewRequestWithContext(t.Context(), rt.Method, strings.NewReplacer("{", "", "}", "").Replace(rt.Path), nil)
		if err != nil {
			t.Fatal(err)
		}
		if route := c.find(r); route == nil || "/v1.0"+route.Path != rt.Path {
			t.Errorf("%s is not described", rt.Pattern)
		}
	}
	if len(registered) < 9 {
		t.Errorf("only %d routes are registered: %v", len(registered), registered)
	}
	for path, item := range c.doc.Paths.Map() {
		for method := range item.Operations() {
			if !registered[method+" /v1.0"+path] {
				t.Errorf("%s %s is described and not there", method, path)
			}
		}
	}
}
