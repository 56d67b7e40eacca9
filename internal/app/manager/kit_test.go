// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package manager

import (
	"context"
	"encoding/json"
	"encoding/pem"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"sync/atomic"
	"testing"
	"time"

	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/seatkeeper/seatkeeper/api/v1alpha1"
	"github.com/seatkeeper/seatkeeper/internal/fakesaas"
	"github.com/seatkeeper/seatkeeper/internal/store"
	"github.com/seatkeeper/seatkeeper/internal/testenv"
)

func TestMain(m *testing.M) {
	trustTestServers()
	testenv.Start(m)
}

// trustTestServers makes this process trust the certificate that all TLS
// servers of httptest have. The system's roots are read once, so it comes first.
func trustTestServers() {
	srv := httptest.NewTLSServer(nil)
	defer srv.Close()
	f, err := os.CreateTemp("", "roots-*.pem")
	if err == nil {
		err = errors.Join(pem.Encode(f, &pem.Block{Type: "CERTIFICATE", Bytes: srv.Certificate().Raw}), f.Close(), os.Setenv("SSL_CERT_FILE", f.Name()))
	}
	if err != nil {
		panic(err)
	}
}

// testLog writes what the manager logs to the test's own log.
type testLog struct{ t testing.TB }

func (l testLog) Write(b []byte) (int, error) {
	l.t.Logf("%s", b)
	return len(b), nil
}

// world is a running manager on a namespace of its own, with simulated vendors.
type world struct {
	t       *testing.T
	ns      string
	client  client.Client
	vendors *fakesaas.Server
	company *fakesaas.Company
	options Options
	writes  *atomic.Int64 // to the API server
	second  string        // another namespace that the manager watches
	store   *store.Store
	stop    func()
}

// setup is what a test changes before the manager starts.
type setup func(*world)

func newWorld(t *testing.T, changes ...setup) *world {
	t.Helper()
	env := testenv.Cluster(t)
	w := &world{t: t, ns: env.Namespace(t), second: env.Namespace(t), writes: &atomic.Int64{}}
	w.company = fakesaas.Generate(fakesaas.Config{Seed: 7, People: 60, Now: time.Now().UTC().Truncate(time.Second), Domain: "acme.example"})
	var err error
	if w.vendors, err = fakesaas.Start(t.Context(), fakesaas.Options{Company: w.company}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = w.vendors.Close() })
	w.client = env.Client(t)
	w.options = Options{
		RestConfig: counting(env.Config, w.writes), Store: "sqlite:" + t.TempDir(), WatchNamespaces: []string{w.ns, w.second},
		ConnectorEndpoints: w.vendors.Endpoints(), AllowedNetworks: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")},
		MetricsBindAddress: "0", HealthBindAddress: "0", StatusInterval: 500 * time.Millisecond,
		Log: slog.New(slog.NewTextHandler(testLog{t}, nil)),
	}
	for _, change := range changes {
		change(w)
	}
	w.start()
	return w
}

// start runs the manager until the test ends or stop is called.
func (w *world) start() {
	w.t.Helper()
	opened := make(chan *store.Store, 1)
	w.options.opened = func(s *store.Store) { opened <- s }
	app, err := New(w.options)
	if err != nil {
		w.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- app.Start(ctx) }()
	select {
	case w.store = <-opened:
	case err := <-done:
		cancel()
		w.t.Fatalf("the manager did not start: %v", err)
	}
	stopped := false
	w.stop = func() {
		if stopped {
			return
		}
		stopped = true
		cancel()
		if err := <-done; err != nil {
			w.t.Errorf("the manager ended with: %v", err)
		}
	}
	w.t.Cleanup(func() { w.stop() })
}

// counting counts the writes of a client.
func counting(c *rest.Config, writes *atomic.Int64) *rest.Config {
	c = rest.CopyConfig(c)
	c.Wrap(func(next http.RoundTripper) http.RoundTripper {
		return roundTripper(func(r *http.Request) (*http.Response, error) {
			if r.Method != http.MethodGet {
				writes.Add(1)
			}
			return next.RoundTrip(r)
		})
	})
	return c
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// secrets by name, as the simulated vendors accept them.
var secrets = map[string]map[string]string{
	"okta": {"token": fakesaas.SimOktaToken},
	"slack": {"token": fakesaas.SimSlackBotToken, "adminToken": fakesaas.SimSlackAdminToken,
		"signingSecret": fakesaas.SimSlackSigningSecret},
	"zoom": {"accountId": fakesaas.SimZoomAccountID, "clientId": fakesaas.SimZoomClientID, "clientSecret": fakesaas.SimZoomClientSecret},
	"hris": {"token": fakesaas.SimHRISToken},
}

// secret creates or replaces a Secret.
func (w *world) secret(name string, data map[string]string) {
	w.t.Helper()
	s := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: w.ns, Name: name}, StringData: data}
	err := w.client.Create(w.t.Context(), s)
	if client.IgnoreAlreadyExists(err) != nil {
		w.t.Fatal(err)
	}
	if err != nil {
		old := &corev1.Secret{}
		w.get(name, old)
		old.StringData = data
		old.Data = nil
		if err := w.client.Update(w.t.Context(), old); err != nil {
			w.t.Fatal(err)
		}
	}
}

// integration returns an Integration of a connector with the Secret of its name.
func (w *world) integration(connector string, config map[string]any) *v1alpha1.Integration {
	w.t.Helper()
	i := &v1alpha1.Integration{
		ObjectMeta: metav1.ObjectMeta{Namespace: w.ns, Name: connector},
		Spec:       v1alpha1.IntegrationSpec{Connector: connector, Interval: "1h", CredentialsRef: &v1alpha1.ObjectReference{Name: v1alpha1.ResourceName(connector)}},
	}
	if len(config) > 0 {
		i.Spec.Config = map[string]v1alpha1.Value{}
	}
	for k, v := range config {
		value, err := v1alpha1.NewValue(v)
		if err != nil {
			w.t.Fatal(err)
		}
		i.Spec.Config[k] = value
	}
	return i
}

func (w *world) create(objects ...client.Object) {
	w.t.Helper()
	for _, o := range objects {
		if err := w.client.Create(w.t.Context(), o); err != nil {
			w.t.Fatal(err)
		}
	}
}

func (w *world) get(name string, into client.Object) {
	w.t.Helper()
	if err := w.client.Get(w.t.Context(), client.ObjectKey{Namespace: w.ns, Name: name}, into); err != nil {
		w.t.Fatal(err)
	}
}

// patch changes an object as a user would.
func (w *world) patch(o client.Object, body map[string]any) {
	w.t.Helper()
	raw, err := json.Marshal(body)
	if err != nil {
		w.t.Fatal(err)
	}
	if err := w.client.Patch(w.t.Context(), o, client.RawPatch("application/merge-patch+json", raw)); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) annotate(o client.Object, key, value string) {
	w.t.Helper()
	w.patch(o, map[string]any{"metadata": map[string]any{"annotations": map[string]any{key: value}}})
}

// ready waits until Ready has the status and reason, and returns the condition.
func (w *world) ready(o interface {
	client.Object
	GetConditions() []metav1.Condition
}, status metav1.ConditionStatus, reason string) metav1.Condition {
	w.t.Helper()
	return w.condition(o, v1alpha1.ConditionReady, status, reason)
}

func (w *world) condition(o interface {
	client.Object
	GetConditions() []metav1.Condition
}, kind string, status metav1.ConditionStatus, reason string) metav1.Condition {
	w.t.Helper()
	var found metav1.Condition
	NewWithT(w.t).Eventually(func(g Gomega) {
		g.Expect(w.client.Get(w.t.Context(), client.ObjectKeyFromObject(o), o)).To(Succeed())
		c := meta.FindStatusCondition(o.GetConditions(), kind)
		g.Expect(c).NotTo(BeNil(), "no condition %s in %v", kind, o.GetConditions())
		g.Expect(string(c.Status)+"/"+c.Reason).To(Equal(string(status)+"/"+reason), "%s", c.Message)
		g.Expect(c.ObservedGeneration).To(Equal(o.GetGeneration()))
		found = *c
	}).Should(Succeed())
	return found
}

// otherNamespace is a second tenant of the same manager.
func (w *world) otherNamespace() string { return w.second }

// syncBehindTheAPI makes an Integration due as its interval does, without a
// write to the API server, and waits until a worker synced it.
func (w *world) syncBehindTheAPI(name string) {
	w.t.Helper()
	g := NewWithT(w.t)
	ctx := w.t.Context()
	tenant, err := w.store.TenantByNamespace(ctx, w.ns)
	g.Expect(err).NotTo(HaveOccurred())
	before, err := w.store.IntegrationState(ctx, tenant, name)
	g.Expect(err).NotTo(HaveOccurred())
	spec := before.IntegrationSpec
	spec.RequestedAt = time.Now().String()
	_, err = w.store.UpsertIntegration(ctx, tenant, spec)
	g.Expect(err).NotTo(HaveOccurred())
	g.Eventually(func(g Gomega) {
		after, err := w.store.IntegrationState(ctx, tenant, name)
		g.Expect(err).NotTo(HaveOccurred())
		g.Expect(after.LastSyncedAt.After(*before.LastSyncedAt)).To(BeTrue())
		g.Expect(after.Owner).To(BeEmpty())
	}).Should(Succeed())
}
