// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

// Package rest serves the REST API under /v1.0, which speaks as the reference
// product's does: integers as ids, its names of fields, errors as {statusCode,
// error, message}. The routes and their description, /v1.0/openapi.json, are
// made of one table.
package rest

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"mime"
	"net/http"
	"slices"
	"strconv"

	"github.com/seatkeeper/seatkeeper/internal/gateway/access"
	"github.com/seatkeeper/seatkeeper/internal/model"
	"github.com/seatkeeper/seatkeeper/internal/store"
	"github.com/seatkeeper/seatkeeper/internal/workflow"
)

// Store is what the routes read, and the runs that they start.
type Store interface {
	workflow.StartStore
	ListRoles(ctx context.Context, t model.TenantID) ([]store.RoleView, error)
	PersonFields(ctx context.Context, t model.TenantID) ([]store.PersonField, error)
	ListWorkflows(ctx context.Context, t model.TenantID) ([]store.WorkflowState, error)
	WorkflowByNumber(ctx context.Context, t model.TenantID, id int64) (store.WorkflowState, error)
	Run(ctx context.Context, t model.TenantID, id string) (store.RunDetail, error)
	ActionExecutions(ctx context.Context, t model.TenantID, q store.ExecutionQuery) ([]store.ActionExecution, string, int64, error)
}

// API serves the routes.
type API struct {
	Store   Store
	Callers *access.Callers
	Log     *slog.Logger
}

// Base is where the routes begin.
const Base = "/v1.0"

// operation is one route: what its callers must be allowed to do, what it takes
// and what it answers.
type operation struct {
	method, path string // path below Base
	id, summary  string
	// scope is what a key must have, and want what the cluster must allow its own
	// identities.
	scope  string
	want   access.Request
	params []param
	// body and answer are values of the types that are sent; nil: none.
	body, answer any
	// form describes a body that is a form instead of JSON.
	form map[string]any
	// codes are the successes; none: 200. refusals are the errors beside those
	// that every route may have.
	codes    []int
	refusals []int
	// serve is nil for a route that another package serves.
	serve func(*API, *call) (any, error)
}

// param is a query parameter.
type param struct {
	name, kind, doc string
	enum            []string
	min, max        int64
}

// call is one authorised request.
type call struct {
	*access.Caller
	context.Context
	r    *http.Request
	w    http.ResponseWriter
	code int // of the answer; 0: 200
}

// operations are all of this package and, described only, those of others.
func operations() []operation {
	return slices.Concat(userOperations(), roleOperations(), workflowOperations(), elsewhere())
}

// Register adds the routes.
func (a *API) Register(mux access.Mux) {
	all := operations()
	for _, op := range all {
		if op.serve != nil {
			mux.HandleFunc(op.method+" "+Base+op.path, a.handle(op))
		}
	}
	text := describe(all)
	mux.HandleFunc("GET "+Base+"/openapi.json", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write(text) // an error here is a caller that has gone
	})
}

func (a *API) handle(op operation) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		c := &call{r: r, w: w, code: http.StatusOK}
		answer, err := a.answer(op, c)
		if err != nil {
			access.Explain(a.Log, r, err).WriteREST(w)
			return
		}
		access.WriteJSON(w, c.code, answer)
	}
}

func (a *API) answer(op operation, c *call) (any, error) {
	caller, err := a.Callers.Authorise(c.r, op.scope, op.want)
	if err != nil {
		return nil, err
	}
	c.Caller, c.Context = caller, access.WithActor(c.r.Context(), caller.User)
	if err := knownParams(c.r, op.params); err != nil {
		return nil, err
	}
	return op.serve(a, c)
}

// knownParams refuses a parameter that would be ignored, or has a value that
// would be.
func knownParams(r *http.Request, known []param) error {
	for name, values := range r.URL.Query() {
		i := slices.IndexFunc(known, func(p param) bool { return p.name == name })
		if i < 0 {
			names := make([]string, len(known))
			for i, p := range known {
				names[i] = p.name
			}
			return access.Refuse(http.StatusBadRequest, "there is no such query parameter here; known are %q", names)
		}
		if err := known[i].check(values); err != nil {
			return err
		}
	}
	return nil
}

func (p param) check(values []string) error {
	if len(values) != 1 {
		return access.Refuse(http.StatusBadRequest, "%s is there %d times: want it once", p.name, len(values))
	}
	if p.kind == kindInteger {
		n, err := strconv.ParseInt(values[0], 10, 64)
		if err != nil || n < p.min || p.max > 0 && n > p.max {
			if p.max > 0 {
				return access.Refuse(http.StatusBadRequest, "%s: want a number from %d to %d", p.name, p.min, p.max)
			}
			return access.Refuse(http.StatusBadRequest, "%s: want a number of at least %d", p.name, p.min)
		}
	}
	if len(p.enum) > 0 && !slices.Contains(p.enum, values[0]) {
		return access.Refuse(http.StatusBadRequest, "%s: want one of %q", p.name, p.enum)
	}
	return nil
}

// text and number return a query parameter; knownParams has checked it.
func (c *call) text(name string) string { return c.r.URL.Query().Get(name) }

func (c *call) number(name string) int64 {
	n, _ := strconv.ParseInt(c.text(name), 10, 64)
	return n
}

// maxBody bounds a body of JSON.
const maxBody = 128 << 10

// decode reads a body of JSON, and refuses fields that would be ignored.
func (c *call) decode(into any) error {
	if mediaType, _, _ := mime.ParseMediaType(c.r.Header.Get("Content-Type")); mediaType != "application/json" {
		return access.Refuse(http.StatusUnsupportedMediaType, "Content-Type: want application/json")
	}
	d := json.NewDecoder(http.MaxBytesReader(c.w, c.r.Body, maxBody))
	d.DisallowUnknownFields()
	err := d.Decode(into)
	var tooBig *http.MaxBytesError
	switch {
	case errors.As(err, &tooBig):
		return access.Refuse(http.StatusRequestEntityTooLarge, "the body is larger than %d bytes", maxBody)
	case err != nil:
		return access.Refuse(http.StatusBadRequest, "the body is not what this route takes: %v", err)
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return access.Refuse(http.StatusBadRequest, "the body goes on after its JSON value")
	}
	return nil
}
