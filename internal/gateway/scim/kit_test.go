// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package scim_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	clocktesting "k8s.io/utils/clock/testing"

	"github.com/seatkeeper/seatkeeper/internal/gateway/access"
	gateway "github.com/seatkeeper/seatkeeper/internal/gateway/scim"
	"github.com/seatkeeper/seatkeeper/internal/model"
	"github.com/seatkeeper/seatkeeper/internal/store"
	"github.com/seatkeeper/seatkeeper/internal/store/storetest"
)

var t0 = time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC)

const (
	coreUser   = "urn:ietf:params:scim:schemas:core:2.0:User"
	coreGroup  = "urn:ietf:params:scim:schemas:core:2.0:Group"
	enterprise = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"
	patchOp    = "urn:ietf:params:scim:api:messages:2.0:PatchOp"
	searchURN  = "urn:ietf:params:scim:api:messages:2.0:SearchRequest"
	bulkURN    = "urn:ietf:params:scim:api:messages:2.0:BulkRequest"
	errorURN   = "urn:ietf:params:scim:api:messages:2.0:Error"
)

type object = map[string]any

// fakeKeys knows callers by token.
type fakeKeys map[string]access.KeyIdentity

func (k fakeKeys) Authenticate(r *http.Request, keyType string) (access.KeyIdentity, error) {
	token := access.Bearer(r)
	id, ok := k[token]
	if ok {
		access.NoteOf(r.Context()).Key(id, true)
	}
	switch {
	case token == "" || !ok:
		e := access.Refuse(http.StatusUnauthorized, "unauthorised: the bearer token is no key that works")
		e.Challenge = "Bearer"
		return id, e
	case id.Type == "busy":
		e := access.Refuse(http.StatusTooManyRequests, "too many requests")
		e.RetryAfter = 3 * time.Second
		return id, e
	case id.Type != keyType:
		return id, access.Refuse(http.StatusForbidden, "this key is of type %s", id.Type)
	}
	return id, nil
}

// Spend knows of no end but that of the operations of "broke".
func (k fakeKeys) Spend(context.Context, access.KeyIdentity) time.Duration {
	if _, broke := k["broke"]; broke {
		return time.Hour
	}
	return 0
}

func (k fakeKeys) Require(_ *http.Request, id access.KeyIdentity, scope string) error {
	if id.May(scope) {
		return nil
	}
	return access.Refuse(http.StatusForbidden, "the key lacks the scope %s", scope)
}

// kit is a SCIM server over a store.
type kit struct {
	testing.TB
	store    *store.Store
	clock    *clocktesting.FakeClock
	tenant   model.TenantID
	api      *gateway.API
	requests *gateway.Recorder
	refusals *access.Refusals
	server   *httptest.Server
	token    string
	base     string
	logged   *bytes.Buffer
}

// eachKit runs a test against both databases.
func eachKit(t *testing.T, fn func(k *kit)) {
	storetest.Each(t, func(t *testing.T, open storetest.Opener) {
		clock := clocktesting.NewFakeClock(t0)
		fn(newKit(t, open(storetest.WithClock(clock)), clock))
	})
}

// newKit makes a server with two tenants that nobody else has.
func newKit(t testing.TB, s *store.Store, clock *clocktesting.FakeClock) *kit {
	k := &kit{TB: t, clock: clock, store: s, token: "acme", base: "/scim/v2", logged: &bytes.Buffer{}}
	log := slog.New(slog.NewTextHandler(k.logged, nil))
	keys := fakeKeys{"rest": {Tenant: 1, KeyID: "r1", Name: "rest", Type: access.KeyREST}, "busy": {Type: "busy"}}
	for _, ns := range []string{"acme", "globex"} {
		tenant, err := k.store.EnsureTenant(t.Context(), ns+"-"+strings.ToLower(rand.Text()))
		k.must(err)
		keys[ns] = access.KeyIdentity{Tenant: tenant, Namespace: ns, KeyID: "k-" + ns, Name: "entra", Type: access.KeySCIM,
			Scopes: []string{access.SCIMRead, access.SCIMWrite, access.SCIMAdmins}}
		k.tenant = tenant
		k.facts(func(*store.TenantFacts) {})
	}
	for token, scopes := range map[string][]string{"unscoped": nil, "reader": {access.SCIMRead}, "writer": {access.SCIMWrite}} {
		id := keys["acme"]
		id.KeyID, id.Scopes = "k-"+token, scopes
		keys[token] = id
	}
	k.tenant = keys["acme"].Tenant
	k.requests = gateway.NewRecorder(k.store, clock, log)
	k.api = &gateway.API{Store: k.store, Keys: keys, Clock: clock, Log: log, Requests: k.requests}
	k.refusals = access.NewRefusals(k.store, clock, log)
	mux := &access.Router{Refusals: k.refusals}
	k.api.Register(mux)
	k.server = httptest.NewServer(mux)
	t.Cleanup(k.server.Close)
	return k
}

func (k *kit) must(err error) {
	k.Helper()
	if err != nil {
		k.Fatal(err)
	}
}

// facts sets the tenant's facts: SCIM is on.
func (k *kit) facts(edit func(*store.TenantFacts)) {
	k.Helper()
	f := store.TenantFacts{SCIM: store.SCIMFacts{Enabled: true}}
	edit(&f)
	k.must(k.store.SetTenantFacts(k.Context(), k.tenant, f))
}

func (k *kit) strict() { k.facts(func(f *store.TenantFacts) { f.SCIM.Strict = true }) }

// reply is an answer.
type reply struct {
	*kit
	status int
	header http.Header
	raw    string
	body   object
}

// do sends a request; body is nil, a string or something to marshal.
func (k *kit) do(method, path string, body any, headers ...string) reply {
	k.Helper()
	var payload io.Reader
	switch b := body.(type) {
	case nil:
	case string:
		payload = strings.NewReader(b)
	default:
		raw, err := json.Marshal(b)
		k.must(err)
		payload = bytes.NewReader(raw)
	}
	target := path
	if !strings.HasPrefix(path, "http") {
		target = k.server.URL + k.base + path
	}
	r, err := http.NewRequestWithContext(k.Context(), method, target, payload)
	k.must(err)
	if k.token != "" {
		r.Header.Set("Authorization", "Bearer "+k.token)
	}
	if payload != nil {
		r.Header.Set("Content-Type", "application/scim+json")
	}
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	resp, err := http.DefaultClient.Do(r)
	k.must(err)
	defer func() { _ = resp.Body.Close() }()
	raw, err := io.ReadAll(resp.Body)
	k.must(err)
	out := reply{kit: k, status: resp.StatusCode, header: resp.Header, raw: string(raw)}
	if len(raw) > 0 && strings.Contains(resp.Header.Get("Content-Type"), "json") {
		d := json.NewDecoder(bytes.NewReader(raw))
		d.UseNumber()
		k.must(d.Decode(&out.body))
	}
	return out
}

func (r reply) want(status int) reply {
	r.Helper()
	if r.status != status {
		r.Fatalf("answered %d %s, want %d", r.status, r.raw, status)
	}
	return r
}

// fails expects an Error of the protocol.
func (r reply) fails(status int, scimType string) reply {
	r.Helper()
	r.want(status)
	got, _ := r.body["scimType"].(string)
	if got != scimType || r.body["status"] != json.Number("").String()+itoa(status) || len(r.list("schemas")) != 1 || r.list("schemas")[0] != errorURN {
		r.Fatalf("answered %s, want a SCIM Error %d %q", r.raw, status, scimType)
	}
	return r
}

func itoa(n int) string { b, _ := json.Marshal(n); return string(b) }

// at is the value at a path of names, nil where there is none.
func (r reply) at(names ...string) any { return at(r.body, names...) }

func at(v any, names ...string) any {
	for _, n := range names {
		o, _ := v.(object)
		v = o[n]
	}
	return v
}

func (r reply) text(names ...string) string {
	switch v := r.at(names...).(type) {
	case string:
		return v
	case json.Number:
		return v.String()
	}
	return ""
}

func (r reply) list(name string) []any {
	l, _ := r.body[name].([]any)
	return l
}

// names are the userNames, or displayNames, of a list.
func (r reply) names() string {
	var out []string
	for _, e := range r.list("Resources") {
		name, _ := at(e, "userName").(string)
		if name == "" {
			name, _ = at(e, "displayName").(string)
		}
		name, _, _ = strings.Cut(name, "@")
		out = append(out, name)
	}
	return strings.Join(out, " ")
}

func user(name string, edit ...object) object {
	o := object{"schemas": []string{coreUser}, "userName": name}
	for _, e := range edit {
		for k, v := range e {
			o[k] = v
		}
	}
	return o
}

func group(name string, members ...string) object {
	list := make([]object, len(members))
	for i, m := range members {
		list[i] = object{"value": m}
	}
	return object{"schemas": []string{coreGroup}, "displayName": name, "members": list}
}

func patch(ops ...object) object { return object{"schemas": []string{patchOp}, "Operations": ops} }

func op(kind, path string, value any) object {
	o := object{"op": kind}
	if path != "" {
		o["path"] = path
	}
	if value != nil {
		o["value"] = value
	}
	return o
}

// add creates a user and returns its id.
func (k *kit) add(name string, edit ...object) string {
	k.Helper()
	return k.do("POST", "/Users", user(name+"@acme.example", edit...)).want(201).text("id")
}

func (k *kit) addGroup(name string, members ...string) string {
	k.Helper()
	return k.do("POST", "/Groups", group(name, members...)).want(201).text("id")
}

// find lists the users that a filter selects.
func (k *kit) find(filter string) reply {
	k.Helper()
	return k.do("GET", "/Users?filter="+url.QueryEscape(filter), nil)
}

func (k *kit) selects(filter, want string) {
	k.Helper()
	if got := k.find(filter).want(200).names(); got != want {
		k.Errorf("filter %s selects %q, want %q", filter, got, want)
	}
}
