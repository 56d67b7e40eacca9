// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package access

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"strings"

	"github.com/seatkeeper/seatkeeper/internal/model"
	"github.com/seatkeeper/seatkeeper/internal/store"
)

// NamespaceHeader names the tenant of a request under /v1.0, whose paths do
// not. A key and a ServiceAccount's own namespace need no header.
const NamespaceHeader = "Seatkeeper-Namespace"

// Callers tells who calls a route under /v1.0, and what they may: by a key of
// type REST, which names its tenant, and whose scopes decide; else by the
// cluster's identity, and RBAC decides. Every route under /v1.0 asks it, and
// nothing else:
//
//	caller, err := a.Callers.Authorise(r, "people:read", access.Request{Verb: "list", Resource: "people"})
//
// A route whose object has to be looked up before it is known what to ask calls
// Identify, then Caller.Require.
type Callers struct {
	Guard   Identifier
	Keys    *Keys
	Tenants Tenants
}

// Identifier is what Callers asks of the cluster; Guard is one.
type Identifier interface {
	Checker
	Identify(r *http.Request) (user string, ok bool)
}

// Tenants finds the tenant of a namespace.
type Tenants interface {
	TenantByNamespace(ctx context.Context, namespace string) (model.TenantID, error)
}

// Caller is who calls a route under /v1.0.
type Caller struct {
	Namespace string
	Tenant    model.TenantID // 0 before Require, if the caller has no key
	// Key is nil for the cluster's identity.
	Key *KeyIdentity
	// User is the name that the audit records.
	User string

	callers *Callers
	request *http.Request
}

// Actor is how the audit records the caller.
func (c *Caller) Actor() model.Actor {
	if c.Key != nil {
		return model.Actor{Name: c.User, Kind: model.ActorKey}
	}
	return model.Actor{Name: c.User, Kind: model.ActorUser}
}

// Authorise returns who calls if they may: with a key by the scope, with the
// cluster's identity by want, whose namespace is filled in. Others get a
// *Refusal as of Identify and Require.
func (c *Callers) Authorise(r *http.Request, scope string, want Request) (*Caller, error) {
	caller, err := c.Identify(r)
	if err != nil {
		return nil, err
	}
	return caller, caller.Require(scope, want)
}

// Identify returns who calls, without asking what they may. A caller that does
// not prove who they are gets a *Refusal.
func (c *Callers) Identify(r *http.Request) (*Caller, error) {
	if HasKey(r) {
		key, err := c.Keys.Authenticate(r, KeyREST)
		if err != nil {
			return nil, err
		}
		if v := r.Header.Get(NamespaceHeader); v != "" && v != key.Namespace {
			NoteOf(r.Context()).Reason = "another namespace"
			return nil, Refuse(http.StatusForbidden, "header %s: the key is of another namespace; leave the header out", NamespaceHeader)
		}
		return &Caller{Namespace: key.Namespace, Tenant: key.Tenant, Key: &key, User: key.Actor(), callers: c, request: r}, nil
	}
	namespace := r.Header.Get(NamespaceHeader)
	user, ok := c.Guard.Identify(r)
	if own, found := strings.CutPrefix(user, "system:serviceaccount:"); found && namespace == "" {
		namespace, _, _ = strings.Cut(own, ":")
	}
	NoteOf(r.Context()).cluster(user, Request{Namespace: namespace})
	if !ok {
		return nil, c.Keys.Failed(r, Unauthorised())
	}
	// A form is what a web page can send with a visitor's certificate.
	if err := http.NewCrossOriginProtection().Check(r); err != nil {
		return nil, Refuse(http.StatusForbidden, "a web page of another origin may not send this")
	}
	if namespace == "" {
		return nil, Refuse(http.StatusBadRequest, "header %s is missing: name the namespace; only a key, or the token of a ServiceAccount, says it by itself", NamespaceHeader)
	}
	return &Caller{Namespace: namespace, User: user, callers: c, request: r}, nil
}

// NotFound answers for what is not there. Nobody learns that before saying who
// they are.
func (c *Callers) NotFound(log *slog.Logger) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		_, err := c.Identify(r)
		var e *Refusal
		if err == nil || errors.As(err, &e) && e.Code == http.StatusBadRequest {
			err = Refuse(http.StatusNotFound, "there is no such endpoint in this version; GET /v1.0/openapi.json lists them")
		}
		Explain(log, r, err).WriteREST(w)
	}
}

// Require refuses a caller who may not: it returns a *Refusal, or another error
// if the API server or the store could not be asked. It fills in the tenant.
func (c *Caller) Require(scope string, want Request) error {
	if c.Key != nil {
		return c.callers.Keys.Require(c.request, *c.Key, scope)
	}
	want.Namespace = c.Namespace
	if _, err := Authorise(c.callers.Guard, c.request, want); err != nil {
		return err
	}
	tenant, err := c.callers.Tenants.TenantByNamespace(c.request.Context(), c.Namespace)
	if errors.Is(err, store.ErrNotFound) {
		return Refuse(http.StatusNotFound, "namespace %q has no Seatkeeper resources yet", c.Namespace)
	}
	c.Tenant = tenant
	return err
}

// HasScope reports whether scopes such as contracts:read, contracts (to read and
// write), *:read or * cover the wanted RESOURCE:VERB. No scopes read everything
// and write nothing.
func HasScope(scopes []string, want string) bool {
	resource, verb, _ := strings.Cut(want, ":")
	if len(scopes) == 0 {
		return verb == "read"
	}
	for _, s := range scopes {
		r, v, ok := strings.Cut(s, ":")
		if (r == "*" || r == resource) && (!ok || v == "*" || v == verb) {
			return true
		}
	}
	return false
}

// restError is how the REST API says no.
type restError struct {
	StatusCode int    `json:"statusCode"`
	Error      string `json:"error"`
	Message    string `json:"message"`
}

// WriteREST answers with the refusal as the routes under /v1.0 do.
func (e *Refusal) WriteREST(w http.ResponseWriter) {
	e.SetHeaders(w)
	WriteJSON(w, e.Code, restError{StatusCode: e.Code, Error: http.StatusText(e.Code), Message: e.Message})
}
