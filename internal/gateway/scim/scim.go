// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

// Package scim serves SCIM 2.0 (RFC 7643, RFC 7644) to identity providers: the
// transport around the protocol of internal/scim and the directory of the
// store. Callers prove who they are with a key of type SCIM, which names the
// tenant; everything that is answered or changed is that tenant's.
package scim

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/google/uuid"
	"k8s.io/utils/clock"

	"github.com/seatkeeper/seatkeeper/internal/gateway/access"
	"github.com/seatkeeper/seatkeeper/internal/model"
	"github.com/seatkeeper/seatkeeper/internal/scim"
	"github.com/seatkeeper/seatkeeper/internal/scim/compat"
	"github.com/seatkeeper/seatkeeper/internal/store"
)

// Bases are the paths under which the same is served; locations keep the one
// that was used.
var Bases = []string{"/scim/v2", "/v1.0/scim/v2"}

// Limits of a request.
const (
	maxBody        = 1 << 20
	maxBulkBody    = 4 << 20
	maxBulk        = 1000
	defaultResults = 100
	maxResults     = 200
	// maxRelated bounds the members of the groups of a page, and the groups of its
	// users. A page that would have more is shorter; of a group with more alone the
	// members are read, so many at once, while they are sent.
	maxRelated = 20_000
	// manyRelated are worth a turn.
	manyRelated = 2000
	// largeBody is worth a turn.
	largeBody    = 256 << 10
	deadline     = 25 * time.Second
	bulkDeadline = 90 * time.Second
)

// Keys tells who calls. A refusal is an *access.Refusal; any other error means
// that the store could not be asked.
type Keys interface {
	Authenticate(r *http.Request, keyType string) (access.KeyIdentity, error)
	// Spend takes from the budget of a key; it returns how long to wait, or 0.
	Spend(ctx context.Context, id access.KeyIdentity) time.Duration
	Require(r *http.Request, id access.KeyIdentity, scope string) error
}

// Store is the directory.
type Store interface {
	TenantFacts(ctx context.Context, t model.TenantID) (store.TenantFacts, error)
	SCIMUser(ctx context.Context, t model.TenantID, id string) (store.SCIMResource, error)
	SCIMGroup(ctx context.Context, t model.TenantID, id string) (store.SCIMResource, error)
	ListSCIM(ctx context.Context, t model.TenantID, rt *scim.ResourceType, q store.SCIMQuery) ([]store.SCIMResource, int64, error)
	SCIMGroupsOf(ctx context.Context, t model.TenantID, users []string) (map[string][]store.SCIMMembership, error)
	SCIMRelated(ctx context.Context, t model.TenantID, rt *scim.ResourceType, ids []string) (map[string]int, error)
	SCIMMembers(ctx context.Context, t model.TenantID, groups []string) (map[string][]store.SCIMMember, error)
	SCIMMembersAfter(ctx context.Context, t model.TenantID, group, after string, limit int) ([]store.SCIMMember, error)
	WriteSCIMUser(ctx context.Context, t model.TenantID, by store.SCIMCaller, key store.SCIMUserKey, rule store.SCIMUserRule) (store.SCIMWritten, error)
	WriteSCIMGroup(ctx context.Context, t model.TenantID, by store.SCIMCaller, id string, rule store.SCIMGroupRule) (store.SCIMWritten, error)
}

// API serves SCIM.
type API struct {
	Store Store
	Keys  Keys
	Clock clock.Clock
	Log   *slog.Logger
	// Requests keeps what was asked and answered.
	Requests *Recorder
	// Patience is how long a request waits for its turn; 0 is 3 s.
	Patience time.Duration

	turns turns
}

// Register adds the routes.
func (a *API) Register(mux access.Mux) {
	a.turns = newTurns()
	for _, base := range Bases {
		h := func(w http.ResponseWriter, r *http.Request) { a.serve(w, r, base) }
		mux.HandleFunc(base, h)
		mux.HandleFunc(base+"/", h)
	}
}

// call is one request of a caller who is known.
type call struct {
	context.Context
	api     *API
	request *http.Request
	caller  access.KeyIdentity
	// refused is whose key was refused, for the log: nobody is served as that.
	refused access.KeyIdentity
	facts   store.TenantFacts
	dialect scim.Dialect
	// base is the URL that locations begin with.
	base          string
	correlationID string
	// until is when the request is over, answered or not.
	until time.Time

	method string
	path   []string // below the base
	query  map[string][]string
	// body reads the body once; nil where there can be none.
	body    func() (map[string]any, error)
	ifMatch string

	held held
	// streamed are groups whose members are read while they are sent.
	streamed map[string]bool

	// What the log says of the request.
	route    string
	resource string
	changed  []string
}

// answer is a result.
type answer struct {
	status int
	body   any // nil: none
	header map[string]string
}

func (a *API) serve(w http.ResponseWriter, r *http.Request, base string) {
	timeout := deadline
	if strings.EqualFold(strings.Trim(strings.TrimPrefix(r.URL.Path, base), "/"), "Bulk") {
		timeout = bulkDeadline
	}
	ctx, cancel := context.WithTimeout(r.Context(), timeout)
	defer cancel()
	c := &call{Context: ctx, api: a, request: r, until: a.Clock.Now().Add(timeout), correlationID: correlationID(r), base: origin(r) + base, method: r.Method, ifMatch: r.Header.Get("If-Match"),
		path: segments(strings.TrimPrefix(r.URL.Path, base)), route: "none", held: held{}}
	defer c.held.end()
	w.Header().Set("X-Request-Id", c.correlationID)
	out, err := a.answer(c, w)
	status, kind := out.status, scim.ScimType("")
	if err != nil {
		e, refusal := a.problem(c, err)
		status, kind = e.Status, e.Type
		c.note(e)
		a.fail(w, c, err, e, refusal)
	} else {
		a.write(w, c, out)
	}
	outcomes.WithLabelValues(outcome(status)).Inc()
	switch now := a.Clock.Now(); {
	case c.caller.KeyID != "":
		a.Requests.add(c.caller.Tenant, c.logged(c.caller, now, status, kind))
	case c.refused.KeyID != "":
		a.Requests.addRefused(c.refused.Tenant, c.logged(c.refused, now, status, kind))
	}
}

// answer finds out who calls, and what they get.
func (a *API) answer(c *call, w http.ResponseWriter) (answer, error) {
	caller, err := a.Keys.Authenticate(c.request, access.KeySCIM)
	if err != nil {
		c.refused = caller
		_, c.route = c.lookup()
		return answer{}, err
	}
	c.caller = caller
	if c.facts, err = a.Store.TenantFacts(c, caller.Tenant); err != nil {
		return answer{}, err
	}
	if !c.facts.SCIM.Enabled {
		return answer{}, &scim.Error{Status: http.StatusForbidden,
			Detail: "SCIM is switched off in this namespace: set spec.scim.enabled of its Organization to true."}
	}
	if !c.facts.SCIM.Strict {
		c.dialect = compat.Dialect
	}
	if c.query, err = parseQuery(c.request.URL.RawQuery); err != nil {
		return answer{}, err
	}
	c.body = a.reader(c, w)
	return c.dispatch()
}

func (c *call) logged(caller access.KeyIdentity, at time.Time, status int, kind scim.ScimType) store.SCIMRequest {
	address := ""
	if ip := access.ClientAddress(c.request); ip.IsValid() {
		address = ip.String()
	}
	return store.SCIMRequest{At: at, KeyID: caller.KeyID, KeyName: caller.Name, Address: address, Method: c.method, Route: c.route,
		ResourceID: loggedID(c.resource), Status: status, ScimType: string(kind), CorrelationID: c.correlationID, Changed: c.changed}
}

// note says for the audit what is refused.
func (c *call) note(e *scim.Error) {
	n := access.NoteOf(c)
	n.Route, n.Detail, n.Reads = c.auditRoute(), c.auditDetail(e), strings.HasSuffix(c.route, ".search")
	if c.caller.KeyID != "" {
		n.ObjectKind, n.ObjectName = "scim", loggedID(c.resource)
	}
	if n.Reason == "" {
		n.Reason = refusalReason(e)
	}
}

// auditRoute is the path as the audit shows it; empty for one that is not there.
func (c *call) auditRoute() string {
	if c.route == "none" {
		return ""
	}
	return Bases[0] + c.route
}

func (c *call) auditDetail(e *scim.Error) map[string]string {
	return map[string]string{"scimType": string(e.Type), "correlationID": c.correlationID}
}

func refusalReason(e *scim.Error) string {
	return strings.TrimSpace(http.StatusText(e.Status) + " " + string(e.Type))
}

// loggedID is an id as log and audit have it: one that is none of ours may be an
// address or a name, which somebody took for an id.
func loggedID(id string) string {
	if id == "" {
		return ""
	}
	if _, err := uuid.Parse(id); err != nil || len(id) != len(uuid.Nil.String()) {
		return "{id}"
	}
	return id
}

// by is how the audit names the caller.
func (c *call) by() store.SCIMCaller {
	return store.SCIMCaller{Actor: c.caller.Actor(), KeyID: c.caller.KeyID, CorrelationID: c.correlationID}
}

// correlationID is the caller's own if it is harmless, else a new one.
func correlationID(r *http.Request) string {
	id := r.Header.Get("X-Request-Id")
	harmless := func(c rune) bool {
		return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '-' || c == '_' || c == '.'
	}
	if id != "" && len(id) <= 64 && strings.IndexFunc(id, func(c rune) bool { return !harmless(c) }) < 0 {
		return id
	}
	return uuid.NewString()
}

// origin is scheme and host as the caller sees them. A proxy that ends TLS says
// so; whoever else does deceives only themselves.
func origin(r *http.Request) string {
	scheme := "http"
	if r.TLS != nil || strings.EqualFold(r.Header.Get("X-Forwarded-Proto"), "https") {
		scheme = "https"
	}
	return scheme + "://" + r.Host
}

// parseQuery reads the query of a URL, all of it: a filter that was left out
// because it cannot be read would select everything.
func parseQuery(raw string) (url.Values, error) {
	query, err := url.ParseQuery(raw)
	if err != nil {
		return nil, &scim.Error{Status: http.StatusBadRequest, Type: scim.InvalidFilter,
			Detail: "The query of the URL cannot be read: percent-encode what stands in it, such as a semicolon (%3B) or a percent sign (%25)."}
	}
	return query, nil
}

func segments(path string) []string {
	if path = strings.Trim(path, "/"); path == "" {
		return nil
	}
	return strings.Split(path, "/")
}

// problem is what an error is in the terms of the protocol.
func (a *API) problem(c *call, err error) (*scim.Error, *access.Refusal) {
	if e, ok := scim.AsError(err); ok {
		return e, nil
	}
	if errors.Is(err, store.ErrNotFound) {
		return notFound(), nil
	}
	var tooBig *http.MaxBytesError
	if errors.As(err, &tooBig) {
		return &scim.Error{Status: http.StatusRequestEntityTooLarge, Detail: "The body is larger than this endpoint takes; /ServiceProviderConfig says how large."}, nil
	}
	refusal := access.Explain(a.Log, c.request, err)
	var own *access.Refusal
	if !errors.As(err, &own) {
		return &scim.Error{Status: refusal.Code, Detail: "The service cannot answer now, and nothing was changed: try again after Retry-After."}, refusal
	}
	return &scim.Error{Status: refusal.Code, Detail: refusal.Message}, refusal
}

func notFound() *scim.Error {
	return &scim.Error{Status: http.StatusNotFound, Detail: "There is no such resource."}
}

// fail answers with an error, which is e in the terms of the protocol.
func (a *API) fail(w http.ResponseWriter, c *call, err error, e *scim.Error, refusal *access.Refusal) {
	if refusal != nil {
		refusal.SetHeaders(w)
	}
	var allowed *methodError
	if errors.As(err, &allowed) {
		w.Header().Set("Allow", strings.Join(allowed.allow, ", "))
	}
	a.write(w, c, answer{status: e.Status, body: errorBody(e)})
}
