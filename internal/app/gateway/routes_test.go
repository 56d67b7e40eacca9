// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package gateway_test

import (
	"crypto/tls"
	"encoding/json"
	"io"
	"maps"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	authv1 "k8s.io/api/authentication/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
	certutil "k8s.io/client-go/util/cert"

	"github.com/seatkeeper/seatkeeper/internal/gateway/access"
	"github.com/seatkeeper/seatkeeper/internal/model"
	"github.com/seatkeeper/seatkeeper/internal/store"
	"github.com/seatkeeper/seatkeeper/internal/store/storetest"
)

// canary is in the name of everything that the walked tenant has.
const canary = "canary-of-the-walk"

// credential is what a request proves who it is with.
type credential struct {
	name   string
	bearer string
	client *http.Client // with a certificate of its own, if any
	header http.Header
}

// walker sends requests to every route.
type walker struct {
	*fixture
	plain *http.Client
	ns    string // the tenant that is walked
	sent  int
}

// TestEveryRouteRefuses walks every route without credentials, and with such as
// are garbage, expired, revoked, of another kind, without the scope or role, and
// of another tenant. A route that is added is walked too; one without an access
// class keeps the gateway from starting.
func TestEveryRouteRefuses(t *testing.T) {
	storetest.Each(t, func(t *testing.T, open storetest.Opener) {
		f := newFixture(t, open())
		w := &walker{fixture: f, plain: f.httpClient(rest.AnonymousClientConfig(f.env.Config)), ns: f.env.Namespace(t)}
		other := f.env.Namespace(t)
		for _, ns := range []string{w.ns, other} {
			f.furnish(ns)
		}
		creds := w.credentials(other)
		if len(f.routes) < 20 {
			t.Fatalf("%d routes; the walk lost some", len(f.routes))
		}
		for _, r := range f.routes {
			for _, request := range w.requests(r) {
				for _, c := range creds[r.Class] {
					w.refused(r, request, c)
				}
			}
		}
		w.keptQuiet(creds, w.ns, other)
	})
}

// keptQuiet looks for credentials in the log and in the audit.
func (w *walker) keptQuiet(creds map[access.Class][]credential, namespaces ...string) {
	w.t.Helper()
	places := map[string]string{"log": w.logged.String()}
	for _, ns := range namespaces {
		tenant, err := w.store.TenantByNamespace(w.t.Context(), ns)
		if err != nil {
			w.t.Fatal(err)
		}
		records, err := w.store.Audit(w.t.Context(), tenant, store.AuditQuery{Limit: 1000})
		if err != nil {
			w.t.Fatal(err)
		}
		raw, err := json.Marshal(records)
		if err != nil {
			w.t.Fatal(err)
		}
		places["audit of "+ns] = string(raw)
	}
	for _, who := range []string{`"apikey/`, `"anonymous"`, `"walker-stranger"`} {
		if audit := places["audit of "+w.ns]; !strings.Contains(audit, `"actor":`+who) {
			w.t.Errorf("the audit has no refusal of %s", who)
		}
	}
	for _, route := range []string{"GET /apis/v1/", "POST /apis/v1/", "GET /v1.0/", "POST /v1.0/", "GET /scim/v2/", "POST /v1.0/scim/v2/"} {
		if audit := places["audit of "+w.ns]; !strings.Contains(audit, `"route":"`+route) {
			w.t.Errorf("the audit has no refusal of %s", route)
		}
	}
	for place, text := range places {
		for _, c := range slices.Concat(slices.Collect(maps.Values(creds))...) {
			if c.bearer != "" && c.bearer != "garbage" && strings.Contains(text, c.bearer[len(c.bearer)/2:]) {
				w.t.Errorf("the %s has the credential %s", place, c.name)
			}
		}
		for _, word := range []string{"Bearer ", "no-such-secret"} {
			if strings.Contains(text, word) {
				w.t.Errorf("the %s has %q", place, word)
			}
		}
	}
}

// furnish puts something into a tenant that a leak would show.
func (f *fixture) furnish(ns string) {
	f.t.Helper()
	f.connectPush(ns, canary)
	tenant, err := f.store.TenantByNamespace(f.t.Context(), ns)
	if err != nil {
		f.t.Fatal(err)
	}
	f.hold(tenant, canary)
	if err := f.store.PutDeclaredApp(f.t.Context(), tenant, store.DeclaredApp{Name: canary, Title: canary}); err != nil {
		f.t.Fatal(err)
	}
}

// key declares a key in a namespace and makes its token.
func (f *fixture) key(ns, name, kind string, change func(*store.APIKeySpec)) string {
	f.t.Helper()
	tenant, err := f.store.EnsureTenant(f.t.Context(), ns)
	if err != nil {
		f.t.Fatal(err)
	}
	spec := store.APIKeySpec{Name: name, UID: "uid-" + name, Type: kind}
	if change != nil {
		change(&spec)
	}
	by := model.Actor{Name: "test", Kind: model.ActorUser}
	if err := f.store.PutAPIKey(f.t.Context(), tenant, spec, by); err != nil {
		f.t.Fatal(err)
	}
	_, token, err := f.store.IssueAPIKey(f.t.Context(), tenant, name, store.IssueAPIKey{By: by})
	if err != nil {
		f.t.Fatal(err)
	}
	return token
}

func (f *fixture) httpClient(cfg *rest.Config) *http.Client {
	f.t.Helper()
	pool, err := certutil.NewPool(f.ca)
	if err != nil {
		f.t.Fatal(err)
	}
	conf := &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12}
	if len(cfg.CertData) > 0 {
		pair, err := tls.X509KeyPair(cfg.CertData, cfg.KeyData)
		if err != nil {
			f.t.Fatal(err)
		}
		conf.Certificates = []tls.Certificate{pair}
	}
	transport := &http.Transport{TLSClientConfig: conf}
	f.t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport, Timeout: 30 * time.Second}
}

// credentials are those that a class of routes must refuse.
func (w *walker) credentials(other string) map[access.Class][]credential {
	w.t.Helper()
	ctx := w.t.Context()
	bearer := func(name, token string) credential { return credential{name: name, bearer: token} }
	none, garbage := credential{name: "none"}, bearer("garbage", "garbage")
	empty := credential{name: "empty", header: http.Header{"Authorization": {"Bearer "}}}

	token := map[string]string{}
	for _, kind := range []string{access.KeySCIM, access.KeyREST, access.KeyMCP} {
		token[kind] = w.key(w.ns, strings.ToLower(kind), kind, nil)
	}
	ended := func(kind string) []credential {
		expired := w.key(w.ns, "expired-"+strings.ToLower(kind), kind, nil)
		revoked := w.key(w.ns, "revoked-"+strings.ToLower(kind), kind, nil)
		tenant, err := w.store.TenantByNamespace(ctx, w.ns)
		if err != nil {
			w.t.Fatal(err)
		}
		by, past := model.Actor{Name: "test", Kind: model.ActorUser}, time.Now().Add(-time.Minute)
		if err := w.store.PutAPIKey(ctx, tenant, store.APIKeySpec{Name: "expired-" + strings.ToLower(kind), UID: "uid-expired-" + strings.ToLower(kind), Type: kind, ExpiresAt: &past}, by); err != nil {
			w.t.Fatal(err)
		}
		if err := w.store.RevokeAPIKey(ctx, tenant, "revoked-"+strings.ToLower(kind), by, ""); err != nil {
			w.t.Fatal(err)
		}
		return []credential{bearer("expired "+kind, expired), bearer("revoked "+kind, revoked), bearer("cut "+kind, token[kind][:40])}
	}
	far := func(s *store.APIKeySpec) { s.Networks = []string{"203.0.113.0/24"} }
	keys := slices.Concat([]credential{bearer("SCIM key", token[access.KeySCIM]), bearer("REST key", token[access.KeyREST]), bearer("MCP key", token[access.KeyMCP])})

	// People of the cluster: one without a role, and one who may everything in
	// another tenant.
	w.bind(other, "walker-elsewhere", []string{"*"}, "*")
	stranger := credential{name: "stranger", client: w.httpClient(w.env.ClientCert(w.t, "walker-stranger"))}
	elsewhere := credential{name: "another tenant's administrator", client: w.httpClient(w.env.ClientCert(w.t, "walker-elsewhere"))}
	if _, err := w.admin.CoreV1().ServiceAccounts(w.ns).Create(ctx, serviceAccount("walker"), metav1.CreateOptions{}); err != nil {
		w.t.Fatal(err)
	}
	sa, err := w.admin.CoreV1().ServiceAccounts(w.ns).CreateToken(ctx, "walker", &authv1.TokenRequest{}, metav1.CreateOptions{})
	if err != nil {
		w.t.Fatal(err)
	}
	account := bearer("ServiceAccount without a role", sa.Status.Token)
	restEnded := ended(access.KeyREST)
	inNamespace := func(c credential) credential {
		c.header = http.Header{access.NamespaceHeader: {w.ns}}
		return c
	}
	nobody := []credential{none, garbage, empty}
	people := []credential{stranger, elsewhere, account}
	return map[access.Class][]credential{
		access.Public:  nobody,
		access.Cluster: slices.Concat(nobody, people, keys, restEnded),
		access.SCIM: slices.Concat(nobody, people, ended(access.KeySCIM), []credential{
			bearer("REST key", token[access.KeyREST]), bearer("MCP key", token[access.KeyMCP]), bearer("elsewhere's network", w.key(w.ns, "far-scim", access.KeySCIM, far)),
		}),
		access.REST: slices.Concat(nobody, restEnded, []credential{
			inNamespace(stranger), inNamespace(elsewhere), account,
			bearer("SCIM key", token[access.KeySCIM]), bearer("MCP key", token[access.KeyMCP]), bearer("elsewhere's network", w.key(w.ns, "far-rest", access.KeyREST, far)),
			bearer("REST key without the scope", w.key(w.ns, "narrow", access.KeyREST, func(s *store.APIKeySpec) { s.Scopes = []string{"nothing:read"} })),
			inNamespace(bearer("another tenant's REST key", w.key(other, "everything", access.KeyREST, func(s *store.APIKeySpec) { s.Scopes = []string{"*"} }))),
		}),
		access.Link:   slices.Concat(nobody, people, keys),
		access.Signed: slices.Concat(nobody, people, keys),
	}
}

// request is one that a route serves.
type request struct{ method, path string }

// scimPaths are below the base: the handler of SCIM tells them apart itself.
var scimPaths = []string{"", "Users", "Users/1", "Users/.search", "Groups", "Groups/1", "Groups/.search", "Roles", "Roles/1", "Bulk", "Me", ".search", "ServiceProviderConfig", "Schemas",
	"Schemas/urn:ietf:params:scim:schemas:core:2.0:User", "ResourceTypes", "ResourceTypes/User", "nothing"}

// requests are concrete ones of a route, of the tenant that is walked.
func (w *walker) requests(r access.Route) []request {
	path := r.Path
	for strings.Contains(path, "{") {
		open, end := strings.Index(path, "{"), strings.Index(path, "}")
		value := canary
		switch name := strings.TrimSuffix(path[open+1:end], "..."); name {
		case "ns", "namespace":
			value = w.ns
		case "token":
			value = "no-such-secret"
		case "id":
			value = "1"
		case "kind":
			value = "policy"
		case "$":
			value = ""
		}
		path = path[:open] + value + path[end+1:]
	}
	paths := []string{path}
	if strings.HasSuffix(path, "/") {
		paths = []string{path + "nothing"}
		if r.Class == access.SCIM {
			paths = nil
			for _, p := range scimPaths {
				paths = append(paths, path+p)
			}
		}
	}
	methods := []string{r.Method}
	if r.Method == "" {
		methods = []string{"GET", "POST", "PUT", "PATCH", "DELETE"}
	}
	var out []request
	for _, p := range paths {
		for _, m := range methods {
			out = append(out, request{m, p})
		}
	}
	return out
}

// wanted are the answers that a class of routes may give to who may not.
var wanted = map[access.Class][]int{
	access.Public: {200}, access.Cluster: {401, 403}, access.SCIM: {401, 403}, access.REST: {401, 403},
	access.Link: {404}, access.Signed: {401, 403, 404},
}

// refused sends a request and looks at what it is answered.
func (w *walker) refused(r access.Route, q request, c credential) {
	w.t.Helper()
	client := w.plain
	if c.client != nil {
		client = c.client
	}
	var body io.Reader
	if q.method != http.MethodGet {
		body = strings.NewReader(`{"idFile":1,"idAppAccount":1}`) // as a custom sync names what it is for
	}
	req, err := http.NewRequestWithContext(w.t.Context(), q.method, w.server+q.path, body)
	if err != nil {
		w.t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	for k, v := range c.header {
		req.Header[k] = v
	}
	// Each comes from an address of its own: failures have a budget.
	w.sent++
	req.Header.Set("X-Forwarded-For", netip.AddrFrom4([4]byte{198, 18, byte(w.sent >> 8), byte(w.sent)}).String())
	if c.bearer != "" {
		req.Header.Set("Authorization", "Bearer "+c.bearer)
	}
	resp, err := client.Do(req)
	if err != nil {
		w.t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		w.t.Fatal(err)
	}
	codes := wanted[r.Class]
	if strings.HasSuffix(r.Path, "/") && r.Class != access.SCIM {
		codes = append(slices.Clone(codes), http.StatusNotFound) // there is nothing for anybody
	}
	if !slices.Contains(codes, resp.StatusCode) {
		w.t.Errorf("%s (%s) with %s: %d, want one of %v: %s", r.Pattern, q.path, c.name, resp.StatusCode, codes, text)
	}
	if resp.StatusCode == http.StatusUnauthorized && r.Class != access.Signed && resp.Header.Get("WWW-Authenticate") == "" {
		w.t.Errorf("%s with %s: 401 without WWW-Authenticate (RFC 9110, 11.6.1)", r.Pattern, c.name)
	}
	leaks := []string{canary}
	if c.bearer != "" && c.bearer != "garbage" {
		leaks = append(leaks, c.bearer)
	}
	for _, leak := range leaks {
		// What the path names may be repeated; it is the caller's own.
		if strings.Contains(strings.ReplaceAll(string(text), q.path, ""), leak) && (leak != canary || !strings.Contains(q.path, canary)) {
			w.t.Errorf("%s with %s tells: %s", r.Pattern, c.name, text)
		}
	}
}
