// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package access

import (
	"cmp"
	"fmt"
	"net/http"
	"slices"
	"strings"
)

// Mux is where handlers register their routes; *http.ServeMux and *Router are.
type Mux interface {
	Handle(pattern string, h http.Handler)
	HandleFunc(pattern string, h func(http.ResponseWriter, *http.Request))
}

// Class says by what the callers of a route prove who they are.
type Class string

// The access classes.
const (
	// Public routes tell nothing about any tenant.
	Public Class = "Public"
	// Cluster routes take the cluster's identity, and RBAC decides.
	Cluster Class = "Cluster"
	// SCIM routes take keys of type SCIM and nothing else.
	SCIM Class = "SCIM"
	// REST routes take keys of type REST, or the cluster's identity.
	REST Class = "REST"
	// Link routes have a credential in their path: who does not know it learns
	// that nothing is there.
	Link Class = "Link"
	// Signed routes take requests that their sender has signed.
	Signed Class = "Signed"
)

// classes says the class of every path, by its longest prefix. A path that none
// of them covers cannot be registered.
var classes = []struct {
	prefix string
	class  Class
}{
	{"/healthz", Public},
	{"/readyz", Public},
	{"/apis/", Cluster},
	{"/scim/v2", SCIM},
	{"/v1.0/scim/v2", SCIM},
	{"/v1.0/", REST},
	{"/v1.0/openapi.json", Public},
	{"/delegate/", Link},
	{"/answer/", Link},
	{"/hooks/", Link},
	{"/slack/", Signed},
}

// ClassOf returns the class of a path, or "" if it has none.
func ClassOf(path string) Class {
	best := 0
	var class Class
	for _, c := range classes {
		if strings.HasPrefix(path, c.prefix) && len(c.prefix) > best {
			best, class = len(c.prefix), c.class
		}
	}
	return class
}

// Route is a pattern that a handler registered.
type Route struct {
	Pattern string // as of net/http
	Method  string // empty: any
	Path    string
	Class   Class
}

// Router is a mux that knows its routes and how each may be called.
type Router struct {
	http.ServeMux
	// Refusals audits what is refused on any route; nil audits nothing.
	Refusals *Refusals

	routes []Route
}

// Handle registers a route.
func (m *Router) Handle(pattern string, h http.Handler) {
	m.routes = append(m.routes, routeOf(pattern))
	m.ServeMux.Handle(pattern, m.Refusals.handler(h))
}

// HandleFunc registers a route.
func (m *Router) HandleFunc(pattern string, h func(http.ResponseWriter, *http.Request)) {
	m.Handle(pattern, http.HandlerFunc(h))
}

func routeOf(pattern string) Route {
	method, path, ok := strings.Cut(pattern, " ")
	if !ok {
		method, path = "", pattern
	}
	path = strings.TrimSpace(path)
	return Route{Pattern: pattern, Method: method, Path: path, Class: ClassOf(path)}
}

// Routes returns what was registered, by pattern.
func (m *Router) Routes() []Route {
	return slices.SortedFunc(slices.Values(m.routes), func(a, b Route) int {
		return cmp.Or(cmp.Compare(a.Path, b.Path), cmp.Compare(a.Method, b.Method))
	})
}

// Check refuses a route without access class: nobody has said who may call it.
func (m *Router) Check() error {
	for _, r := range m.routes {
		if r.Class == "" {
			return fmt.Errorf("the route %q has no access class: say in internal/gateway/access/router.go who may call it", r.Pattern)
		}
	}
	return nil
}
