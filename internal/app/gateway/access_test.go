// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package gateway_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/utils/clock"

	authv1 "k8s.io/api/authentication/v1"

	"github.com/seatkeeper/seatkeeper/internal/app/gateway"
	"github.com/seatkeeper/seatkeeper/internal/cli/queryclient"
	"github.com/seatkeeper/seatkeeper/internal/gateway/access"
	"github.com/seatkeeper/seatkeeper/internal/model"
	"github.com/seatkeeper/seatkeeper/internal/store"
	"github.com/seatkeeper/seatkeeper/internal/store/storetest"
	"github.com/seatkeeper/seatkeeper/internal/testenv"
)

func TestMain(m *testing.M) { testenv.Start(m) }

// fixture is a gateway over TLS in front of an empty store, and a cluster.
type fixture struct {
	t      *testing.T
	env    *testenv.Env
	admin  kubernetes.Interface
	store  *store.Store
	server string
	ca     string
	ring   *store.Keyring
	routes []access.Route
	logged *logged
}

// logged is what a gateway wrote into its log.
type logged struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (l *logged) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(b)
}

func (l *logged) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.String()
}

func newFixture(t *testing.T, s *store.Store) *fixture {
	t.Helper()
	return newFixtureAs(t, s, testenv.Cluster(t).Config)
}

// newFixtureAs is newFixture with a gateway of this identity in the cluster.
func newFixtureAs(t *testing.T, s *store.Store, identity *rest.Config) *fixture {
	t.Helper()
	env := testenv.Cluster(t)
	f := &fixture{t: t, env: env, admin: kubernetes.NewForConfigOrDie(env.Config), store: s, logged: &logged{}}
	dir := t.TempDir()
	cert, key := writeServingCert(t, dir)
	f.ca = cert
	ctx, cancel := context.WithCancel(t.Context())
	address := make(chan net.Addr, 1)
	ring, err := store.LoadKeyring(filepath.Join(dir, "keyring"), true)
	if err != nil {
		t.Fatal(err)
	}
	f.ring = ring
	app, err := gateway.New(gateway.Options{
		Store: s, Keyring: ring, RestConfig: identity, Listen: "127.0.0.1:0", CertFile: cert, KeyFile: key, ClientCA: env.CAFile,
		Proxies: access.Proxies{netip.MustParsePrefix("127.0.0.0/8")},
		Clock:   clock.RealClock{}, Log: slog.New(slog.NewTextHandler(f.logged, &slog.HandlerOptions{Level: slog.LevelDebug})), Listening: func(a net.Addr) { address <- a },
	})
	if err != nil {
		t.Fatal(err)
	}
	f.routes = app.Routes()
	done := make(chan error, 1)
	go func() { done <- app.Start(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("the gateway did not stop gracefully: %v", err)
		}
	})
	select {
	case a := <-address:
		f.server = "https://" + a.String()
	case err := <-done:
		t.Fatal(err)
	}
	return f
}

func (f *fixture) client(cfg *rest.Config) *queryclient.Client {
	f.t.Helper()
	c, err := queryclient.New(f.t.Context(), cfg, queryclient.Options{Server: f.server, CAFile: f.ca})
	if err != nil {
		f.t.Fatal(err)
	}
	f.t.Cleanup(c.Close)
	return c
}

// bind gives a user the verbs on resources of the group in one namespace.
func (f *fixture) bind(namespace, user string, verbs []string, resources ...string) {
	f.t.Helper()
	f.bindNamed(namespace, user, nil, verbs, resources...)
}

// bindNamed is bind for the objects of these names only; nil is all.
func (f *fixture) bindNamed(namespace, user string, names, verbs []string, resources ...string) {
	f.t.Helper()
	ctx := f.t.Context()
	name := "test-" + user
	_, err := f.admin.RbacV1().Roles(namespace).Create(ctx, &rbacv1.Role{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Rules:      []rbacv1.PolicyRule{{APIGroups: []string{"seatkeeper.dev"}, Resources: resources, ResourceNames: names, Verbs: verbs}},
	}, metav1.CreateOptions{})
	if err != nil {
		f.t.Fatal(err)
	}
	_, err = f.admin.RbacV1().RoleBindings(namespace).Create(ctx, &rbacv1.RoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "Role", Name: name},
		Subjects:   []rbacv1.Subject{{APIGroup: rbacv1.GroupName, Kind: "User", Name: user}},
	}, metav1.CreateOptions{})
	if err != nil {
		f.t.Fatal(err)
	}
}

func status(err error) int32 {
	var e *queryclient.Error
	if errors.As(err, &e) {
		return e.Status.Code
	}
	if err == nil {
		return 200
	}
	return -1
}

func (f *fixture) expect(c *queryclient.Client, want int32, path string) {
	f.t.Helper()
	var out map[string]any
	if err := c.Get(f.t.Context(), path, nil, &out); status(err) != want {
		f.t.Errorf("GET %s: %d (%v), want %d", path, status(err), err, want)
	}
}

// hold puts a held set of two seats in a tenant.
func (f *fixture) hold(tenant model.TenantID, policy string) store.Hold {
	f.t.Helper()
	h, err := f.store.PutHold(f.t.Context(), tenant, store.Hold{HoldSubject: store.PolicyHold(policy), Count: 2, Total: 4, Allowed: 1, Reason: "over the guard"},
		[]store.HoldItem{{Item: "zoom/1/p", Label: "Ada"}, {Item: "zoom/2/p", Label: "Bo"}})
	if err != nil {
		f.t.Fatal(err)
	}
	return h
}

func apis(namespace, path string) string { return "/apis/v1/namespaces/" + namespace + "/" + path }

// TestAccess is decision 14: identity and RBAC are the cluster's.
func TestAccess(t *testing.T) {
	storetest.Each(t, func(t *testing.T, open storetest.Opener) {
		f := newFixture(t, open())
		a, b := f.env.Namespace(t), f.env.Namespace(t)
		ta, err := f.store.EnsureTenant(t.Context(), a)
		if err != nil {
			t.Fatal(err)
		}
		tb, err := f.store.EnsureTenant(t.Context(), b)
		if err != nil {
			t.Fatal(err)
		}
		held, other := f.hold(ta, "zoom-90d"), f.hold(tb, "zoom-90d")
		f.bind(a, "viewer", []string{"get", "list"}, "people", "seats", "guards", "integrations", "audit")
		f.bind(a, "approver", []string{"create"}, "guards/release")

		stranger := f.client(f.env.ClientCert(t, "stranger"))
		viewer := f.client(f.env.ClientCert(t, "viewer"))
		approver := f.client(f.env.ClientCert(t, "approver"))
		nobody := f.client(rest.AnonymousClientConfig(f.env.Config))

		f.expect(nobody, 401, apis(a, "people"))
		f.expect(stranger, 403, apis(a, "people"))
		f.expect(viewer, 200, apis(a, "people"))
		f.expect(viewer, 200, apis(a, "seats"))
		f.expect(viewer, 403, apis(a, "savings")) // not in the role
		f.expect(viewer, 403, apis(b, "people"))  // another tenant
		f.expect(viewer, 403, apis("no-such-namespace", "people"))
		f.expect(viewer, 200, apis(a, "guards/policy%2Fzoom-90d"))
		f.expect(approver, 403, apis(a, "guards"))

		release := func(c *queryclient.Client, namespace, digest string) error {
			return c.Post(t.Context(), apis(namespace, "guards/policy/zoom-90d/release"), map[string]string{"digest": digest}, nil)
		}
		if err := release(viewer, a, held.Digest); status(err) != 403 {
			t.Errorf("a viewer released: %v", err)
		}
		if err := release(approver, b, other.Digest); status(err) != 403 {
			t.Errorf("an approver of another tenant released: %v", err)
		}
		if err := release(approver, a, "sha256:of-another-set"); status(err) != 409 {
			t.Errorf("a release of another set: %v, want 409", err)
		}
		if err := release(approver, a, held.Digest); err != nil {
			t.Errorf("release: %v", err)
		}
		if got, _ := f.store.Hold(t.Context(), tb, store.PolicyHold("zoom-90d")); got.ReleasedAt != nil {
			t.Error("the other tenant's set was released too")
		}
		refused, err := f.store.Audit(t.Context(), ta, store.AuditQuery{Action: access.ActionRefuse})
		if err != nil {
			t.Fatal(err)
		}
		var audit []string
		for _, r := range slices.Backward(refused) {
			audit = append(audit, strings.Join([]string{r.Actor, r.Detail["status"], r.ObjectKind, r.ObjectName}, " "))
		}
		if want := []string{"anonymous 401 people ", "stranger 403 people ", "viewer 403 savings ", "approver 403 guards ", "viewer 403 guards policy/zoom-90d", "approver 409 guards policy/zoom-90d"}; !slices.Equal(audit, want) {
			t.Errorf("audit of the refusals: %q, want %q", audit, want)
		}
		records, err := f.store.Audit(t.Context(), ta, store.AuditQuery{Action: "guard.release"})
		if err != nil || len(records) != 1 || records[0].Actor != "approver" {
			t.Errorf("audit of the release: %+v, %v; want one record by approver", records, err)
		}
	})
}

// TestGuardsByName lets a role name the guards that it releases: by the one name
// that lists show, so that the policy and the sync of a name are told apart.
func TestGuardsByName(t *testing.T) {
	f := newFixture(t, storetest.Open(t, storetest.SQLite(t)))
	ns := f.env.Namespace(t)
	tenant, err := f.store.EnsureTenant(t.Context(), ns)
	if err != nil {
		t.Fatal(err)
	}
	mine, other := f.hold(tenant, "mine"), f.hold(tenant, "other")
	f.bindNamed(ns, "keeper", []string{"policy/mine"}, []string{"get", "create"}, "guards", "guards/release")
	keeper := f.client(f.env.ClientCert(t, "keeper"))
	f.expect(keeper, 200, apis(ns, "guards/policy%2Fmine"))
	f.expect(keeper, 403, apis(ns, "guards/policy%2Fother"))
	for path, want := range map[string]int32{"policy/other": 403, "shrink/mine": 403, "policy/mine": 200} {
		digest := mine.Digest
		if path == "policy/other" {
			digest = other.Digest
		}
		err := keeper.Post(t.Context(), apis(ns, "guards/"+path+"/release"), map[string]string{"digest": digest}, nil)
		if status(err) != want {
			t.Errorf("release %s: %d (%v), want %d", path, status(err), err, want)
		}
	}
}

// TestBearerToken authenticates by TokenReview.
func TestBearerToken(t *testing.T) {
	f := newFixture(t, storetest.Open(t, storetest.SQLite(t)))
	ns := f.env.Namespace(t)
	if _, err := f.store.EnsureTenant(t.Context(), ns); err != nil {
		t.Fatal(err)
	}
	if _, err := f.admin.CoreV1().ServiceAccounts(ns).Create(t.Context(), serviceAccount("reporter"), metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	token, err := f.admin.CoreV1().ServiceAccounts(ns).CreateToken(t.Context(), "reporter", &authv1.TokenRequest{}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	cfg := rest.AnonymousClientConfig(f.env.Config)
	cfg.BearerToken = token.Status.Token
	reporter := f.client(cfg)
	f.expect(reporter, 403, apis(ns, "savings"))
	f.bind(ns, "system:serviceaccount:"+ns+":reporter", []string{"list"}, "savings")
	deadline := time.Now().Add(30 * time.Second) // a refusal is cached for a few seconds
	for {
		var out map[string]any
		err := reporter.Get(t.Context(), apis(ns, "savings"), nil, &out)
		if err == nil {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("bound, and still refused: %v", err)
		}
		time.Sleep(250 * time.Millisecond)
	}
	cfg.BearerToken += "x"
	f.expect(f.client(cfg), 401, apis(ns, "savings"))
}

// TestUnknownRoutesAndBadInput answers clearly.
func TestUnknownRoutesAndBadInput(t *testing.T) {
	f := newFixture(t, storetest.Open(t, storetest.SQLite(t)))
	ns := f.env.Namespace(t)
	if _, err := f.store.EnsureTenant(t.Context(), ns); err != nil {
		t.Fatal(err)
	}
	admin := f.client(f.env.Config)
	f.expect(admin, 404, apis(ns, "nonsense"))
	f.expect(admin, 404, "/apis/v2/namespaces/"+ns+"/people")
	f.expect(admin, 404, apis("not-a-tenant", "people"))
	f.expect(admin, 404, apis(ns, "people/nobody"))
	f.expect(admin, 400, apis(ns, "guards/nonsense"))
	for _, query := range []string{"limit=0", "limit=1001", "limit=x", "continue=%21%21"} {
		var out map[string]any
		err := admin.Get(t.Context(), apis(ns, "people"), parseQuery(t, query), &out)
		if status(err) != 400 {
			t.Errorf("people?%s: %v, want 400", query, err)
		}
	}
	for _, path := range []string{"summary", "integrations", "apps", "people", "accounts", "seats", "runs", "savings", "audit", "guards"} {
		f.expect(admin, 200, apis(ns, path))
	}
}

func writeFile(t *testing.T, dir, name string, data []byte) string {
	t.Helper()
	path := filepath.Join(dir, name)
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}
