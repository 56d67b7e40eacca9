// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

// Package query serves the inventory to people and their tools under
// /apis/v1/namespaces/{namespace}/…, as the API server would: the same
// identities, RBAC on the resources of the group seatkeeper.dev, one namespace
// at a time (decision 14).
package query

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"k8s.io/utils/clock"

	"github.com/seatkeeper/seatkeeper/internal/coverage"
	"github.com/seatkeeper/seatkeeper/internal/gateway/access"
	"github.com/seatkeeper/seatkeeper/internal/model"
	"github.com/seatkeeper/seatkeeper/internal/store"
)

// List is the answer of a list endpoint.
type List[T any] struct {
	Kind       string   `json:"kind"`
	APIVersion string   `json:"apiVersion"`
	Metadata   ListMeta `json:"metadata"`
	Items      []T      `json:"items"`
}

// ListMeta says how to go on.
type ListMeta struct {
	// Continue is passed back as the parameter of the same name for the next
	// page; empty on the last.
	Continue string `json:"continue,omitempty"`
	// Coverage comes with a view of the integrations.
	Coverage *model.Coverage `json:"coverage,omitempty"`
}

const apiVersion = "query.seatkeeper.dev/v1"

// API serves the query endpoints.
type API struct {
	Store Store
	Guard access.Checker
	Log   *slog.Logger
	// Keyring opens dead letters; nil opens none.
	Keyring *store.Keyring
	// Clock says which keys have expired; nil is the wall clock.
	Clock clock.PassiveClock
	// Connectors are the built-in ones, for views of what could be connected.
	Connectors []coverage.Connectable
}

func (a *API) now() time.Time {
	if a.Clock == nil {
		return time.Now()
	}
	return a.Clock.Now()
}

// call is one authorised request of a tenant.
type call struct {
	context.Context
	tenant    model.TenantID
	namespace string
	user      string
	query     url.Values
	request   *http.Request
	response  http.ResponseWriter
	limit     int
}

// path returns a wildcard of the route.
func (c *call) path(name string) string { return c.request.PathValue(name) }

// endpoint is one route: what RBAC must allow, and what it answers.
type endpoint struct {
	pattern string // method and path below /apis/v1/namespaces/{ns}/
	verb    string
	want    string // resource or resource/subresource
	serve   func(*call) (any, error)
}

// Register adds the routes.
func (a *API) Register(mux access.Mux) {
	for _, e := range a.endpoints() {
		method, path, _ := splitPattern(e.pattern)
		mux.HandleFunc(method+" /apis/v1/namespaces/{ns}/"+path, a.handle(e))
	}
	mux.HandleFunc("/apis/", func(w http.ResponseWriter, r *http.Request) {
		a.fail(w, r, notFound("there is no %s here; this gateway serves /apis/v1/namespaces/NAMESPACE/…", r.URL.Path))
	})
}

func splitPattern(p string) (method, path string, ok bool) {
	for i := range p {
		if p[i] == ' ' {
			return p[:i], p[i+1:], true
		}
	}
	return p, "", false
}

func (a *API) handle(e endpoint) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		c, err := a.authorise(r, e)
		if err == nil {
			c.response = w
			var answer any
			if answer, err = e.serve(c); err == nil {
				err = a.known(c, e, answer)
			}
			if err == nil {
				access.WriteJSON(w, http.StatusOK, answer)
				return
			}
		}
		a.fail(w, r, err)
	}
}

// authorise checks the caller before anything is looked up, so that a refusal
// says nothing about what exists.
func (a *API) authorise(r *http.Request, e endpoint) (*call, error) {
	resource, subresource := e.want, ""
	for i := range resource {
		if resource[i] == '/' {
			resource, subresource = resource[:i], resource[i+1:]
			break
		}
	}
	name := r.PathValue("name")
	if kind := r.PathValue("kind"); kind != "" {
		name = kind + "/" + name // one guard has one name, however its path is written
	}
	want := access.Request{Verb: e.verb, Namespace: r.PathValue("ns"), Resource: resource, Subresource: subresource, Name: name}
	user, err := access.Authorise(a.Guard, r, want)
	if err != nil {
		return nil, err
	}
	limit := 0
	if v := r.URL.Query().Get("limit"); v != "" {
		if limit, err = strconv.Atoi(v); err != nil || limit < 1 || limit > 1000 {
			return nil, badRequest("limit=%q: want 1 to 1000", v)
		}
	}
	tenant, err := a.Store.TenantByNamespace(r.Context(), want.Namespace)
	if errors.Is(err, store.ErrNotFound) {
		return nil, notFound("namespace %q has no Seatkeeper resources yet: apply an Integration there, or check -n", want.Namespace)
	}
	if err != nil {
		return nil, err
	}
	return &call{Context: access.WithActor(r.Context(), user), tenant: tenant, namespace: want.Namespace, user: user, query: r.URL.Query(), request: r, limit: limit}, nil
}

func notFound(format string, args ...any) error {
	return access.Refuse(http.StatusNotFound, format, args...)
}

func badRequest(format string, args ...any) error {
	return access.Refuse(http.StatusBadRequest, format, args...)
}

func conflict(format string, args ...any) error {
	return access.Refuse(http.StatusConflict, format, args...)
}

func (a *API) fail(w http.ResponseWriter, r *http.Request, err error) {
	switch {
	case errors.Is(err, store.ErrNotFound):
		err = notFound("%v", err)
	case errors.Is(err, store.ErrNotInState):
		err = conflict("%v", err)
	}
	access.Explain(a.Log, r, err).Write(w)
}

// page builds a list; next is the continue token if the page is full.
func page[T any](kind string, items []T, next string) List[T] {
	if items == nil {
		items = []T{}
	}
	return List[T]{Kind: kind, APIVersion: apiVersion, Metadata: ListMeta{Continue: next}, Items: items}
}
