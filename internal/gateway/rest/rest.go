// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

// Package rest serves the read routes of the REST API under /v1.0, which speaks
// as the reference product's does: integers as ids, its names of fields, errors
// as {statusCode, error, message}.
package rest

import (
	"context"
	"log/slog"
	"net/http"
	"slices"

	"github.com/seatkeeper/seatkeeper/internal/gateway/access"
	"github.com/seatkeeper/seatkeeper/internal/model"
	"github.com/seatkeeper/seatkeeper/internal/store"
)

// Store is what the routes read.
type Store interface {
	PersonFields(ctx context.Context, t model.TenantID) ([]store.PersonField, error)
}

// API serves the routes.
type API struct {
	Store   Store
	Callers *access.Callers
	Log     *slog.Logger
}

// route is one GET: what its callers must be allowed to list, the query
// parameters that it knows, and its answer.
type route struct {
	pattern  string
	resource string
	params   []string
	serve    func(*API, *http.Request, model.TenantID) (any, error)
}

var routes = []route{
	{"GET /v1.0/users/fields", "people", nil, (*API).userFields},
	{"GET /v1.0/users/metadata", "people", []string{"q"}, (*API).userMetadata},
}

// Register adds the routes.
func (a *API) Register(mux access.Mux) {
	for _, rt := range routes {
		mux.HandleFunc(rt.pattern, func(w http.ResponseWriter, r *http.Request) {
			answer, err := a.answer(rt, r)
			if err != nil {
				access.Explain(a.Log, r, err).WriteREST(w)
				return
			}
			access.WriteJSON(w, http.StatusOK, answer)
		})
	}
}

func (a *API) answer(rt route, r *http.Request) (any, error) {
	caller, err := a.Callers.Authorise(r, rt.resource+":read", access.Request{Verb: "list", Resource: rt.resource})
	if err != nil {
		return nil, err
	}
	if err := knownParams(r, rt.params); err != nil {
		return nil, err
	}
	return rt.serve(a, r, caller.Tenant)
}

// knownParams refuses a parameter that would be ignored.
func knownParams(r *http.Request, known []string) error {
	for name := range r.URL.Query() {
		if !slices.Contains(known, name) {
			return access.Refuse(http.StatusBadRequest, "there is no such query parameter here; known are %q", known)
		}
	}
	return nil
}
