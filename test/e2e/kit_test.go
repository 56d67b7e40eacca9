// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"bytes"
	"context"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"io/fs"
	"log/slog"
	"net"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"github.com/seatkeeper/seatkeeper/api/v1alpha1"
	"github.com/seatkeeper/seatkeeper/config"
	"github.com/seatkeeper/seatkeeper/internal/app/manager"
	"github.com/seatkeeper/seatkeeper/internal/cli"
	"github.com/seatkeeper/seatkeeper/internal/cli/queryclient"
	"github.com/seatkeeper/seatkeeper/internal/fakesaas"
	"github.com/seatkeeper/seatkeeper/internal/model"
	"github.com/seatkeeper/seatkeeper/internal/testenv"
)

// wait is how long something may take that the product does in a few seconds,
// on a machine with other work.
const wait = 40 * time.Second

// noon is when every journey begins: a working day, inside working hours from
// Lisbon to Delhi.
var noon = time.Date(2026, 11, 18, 12, 0, 0, 0, time.UTC)

// journeyClock runs like the real one from noon on, and can be put forward.
type journeyClock struct {
	clock.RealClock
	began  time.Time
	offset atomic.Int64
}

func newClock() *journeyClock { return &journeyClock{began: time.Now()} }

func (c *journeyClock) Now() time.Time {
	return noon.Add(time.Since(c.began)).Add(time.Duration(c.offset.Load()))
}

func (c *journeyClock) Since(t time.Time) time.Duration { return c.Now().Sub(t) }

func (c *journeyClock) forward(d time.Duration) { c.offset.Add(int64(d)) }

// site is a company on a cluster: the sample resources, a manager with its
// gateway, and the vendors.
type site struct {
	t      *testing.T
	env    *testenv.Env
	ns     string
	clock  *journeyClock
	sim    *fakesaas.Server
	client client.Client
	server string // of the gateway
	ca     string
}

// plan is how a site differs from the sample.
type plan struct {
	people    int
	seed      uint64
	namespace string                                // default: a new one
	objects   func(*unstructured.Unstructured) bool // changes a sample; false leaves it out
	vendors   func(*fakesaas.Company)
	manager   func(*manager.Options)
}

func newSite(t *testing.T, p plan) *site {
	t.Helper()
	env := testenv.Cluster(t)
	s := &site{t: t, env: env, ns: p.namespace, clock: newClock()}
	scheme := runtime.NewScheme()
	if err := clientgoscheme.AddToScheme(scheme); err != nil {
		t.Fatal(err)
	}
	if err := v1alpha1.AddToScheme(scheme); err != nil {
		t.Fatal(err)
	}
	var err error
	if s.client, err = client.New(env.Config, client.Options{Scheme: scheme}); err != nil {
		t.Fatal(err)
	}
	if s.ns == "" {
		s.ns = env.Namespace(t)
	} else if err := s.client.Create(t.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: s.ns}}); err != nil {
		t.Fatal(err)
	}
	var key string
	s.ca, key = servingCert(t)
	trusting, err := queryclient.TrustingClient(s.ca)
	if err != nil {
		t.Fatal(err)
	}
	company := fakesaas.Generate(fakesaas.Config{Seed: p.seed, People: p.people, Now: noon, Domain: "acme.example"})
	if p.vendors != nil {
		p.vendors(company)
	}
	if s.sim, err = fakesaas.Start(t.Context(), fakesaas.Options{Company: company, Clock: s.clock, HTTPClient: trusting}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.sim.Close() })
	s.startManager(key, p.manager)
	s.sim.SetInteractivityURL(s.server + "/slack/interactions/" + s.ns + "/slack")
	s.applySample(p.objects)
	return s
}

func (s *site) startManager(key string, change func(*manager.Options)) {
	s.t.Helper()
	address := make(chan net.Addr, 1)
	o := manager.Options{
		RestConfig: s.env.Config, Store: "sqlite:" + s.t.TempDir(), WatchNamespaces: []string{s.ns},
		Gateway: true, GatewayOptions: manager.GatewayOptions{
			Listen: "127.0.0.1:0", CertFile: s.ca, KeyFile: key, ClientCA: s.env.CAFile, Listening: func(a net.Addr) { address <- a },
		},
		ConnectorEndpoints: s.sim.Endpoints(), MetricsBindAddress: "0", HealthBindAddress: "0",
		StatusInterval: 500 * time.Millisecond, Clock: s.clock,
		Log: slog.New(slog.NewTextHandler(&failureLog{t: s.t}, &slog.HandlerOptions{Level: slog.LevelWarn})),
	}
	if change != nil {
		change(&o)
	}
	app, err := manager.New(o)
	if err != nil {
		s.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- app.Start(ctx) }()
	s.t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			s.t.Errorf("the manager ended with: %v", err)
		}
	})
	select {
	case a := <-address:
		s.server = "https://" + a.String()
	case err := <-done:
		done <- err
		s.t.Fatalf("the manager did not start: %v", err)
	}
}

// failureLog passes the manager's warnings on to the test's log.
type failureLog struct{ t *testing.T }

func (l *failureLog) Write(b []byte) (int, error) {
	if l.t.Context().Err() == nil {
		l.t.Logf("manager: %s", bytes.TrimSpace(b))
	}
	return len(b), nil
}

// servingCert writes a certificate for 127.0.0.1 that signs itself.
func servingCert(t *testing.T) (cert, key string) {
	t.Helper()
	tmp := httptest.NewTLSServer(nil)
	defer tmp.Close()
	der, err := x509.MarshalPKCS8PrivateKey(tmp.TLS.Certificates[0].PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	cert, key = filepath.Join(dir, "tls.crt"), filepath.Join(dir, "tls.key")
	for file, block := range map[string]*pem.Block{
		cert: {Type: "CERTIFICATE", Bytes: tmp.Certificate().Raw}, key: {Type: "PRIVATE KEY", Bytes: der},
	} {
		if err := os.WriteFile(file, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return cert, key
}

// vendorSecrets are the Secrets that the sample company's Integrations name.
var vendorSecrets = map[string]map[string]string{
	"okta-token":   {"token": fakesaas.SimOktaToken},
	"slack-tokens": {"token": fakesaas.SimSlackBotToken, "adminToken": fakesaas.SimSlackAdminToken, "signingSecret": fakesaas.SimSlackSigningSecret},
	"zoom-s2s":     {"accountId": fakesaas.SimZoomAccountID, "clientId": fakesaas.SimZoomClientID, "clientSecret": fakesaas.SimZoomClientSecret},
	"hris-export":  {"token": fakesaas.SimHRISToken},
}

// applySample creates config/samples/acme in the site's namespace.
func (s *site) applySample(change func(*unstructured.Unstructured) bool) {
	s.t.Helper()
	for name, data := range vendorSecrets {
		s.create(s.secret(name, data))
	}
	files, err := fs.Glob(config.Files, "samples/acme/*.yaml")
	if err != nil {
		s.t.Fatal(err)
	}
	for _, file := range files {
		data, err := fs.ReadFile(config.Files, file)
		if err != nil {
			s.t.Fatal(err)
		}
		obj := &unstructured.Unstructured{}
		if err := yaml.Unmarshal(data, &obj.Object); err != nil {
			s.t.Fatalf("%s: %v", file, err)
		}
		if kind := obj.GetKind(); kind == "Namespace" || kind == "Kustomization" {
			continue
		}
		obj.SetNamespace(s.ns)
		if change == nil || change(obj) {
			s.create(obj)
		}
	}
}

func (s *site) create(obj client.Object) {
	s.t.Helper()
	if err := s.client.Create(s.t.Context(), obj); err != nil {
		s.t.Fatalf("create %T %s: %v", obj, obj.GetName(), err)
	}
}

// patch changes an object of the site as a user would.
func (s *site) patch(obj client.Object, name string, body map[string]any) {
	s.t.Helper()
	raw, err := json.Marshal(body)
	if err != nil {
		s.t.Fatal(err)
	}
	obj.SetNamespace(s.ns)
	obj.SetName(name)
	if err := s.client.Patch(s.t.Context(), obj, client.RawPatch("application/merge-patch+json", raw)); err != nil {
		s.t.Fatalf("patch %T %s: %v", obj, name, err)
	}
}

// request asks for a sync now, as `kubectl annotate` would.
func (s *site) request(integration, value string) {
	s.t.Helper()
	s.patch(&v1alpha1.Integration{}, integration, map[string]any{"metadata": map[string]any{"annotations": map[string]any{v1alpha1.RequestedAtAnnotation: value}}})
}

// secret is a Secret of the site.
func (s *site) secret(name string, data map[string]string) *corev1.Secret {
	return &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: s.ns, Name: name}, StringData: data}
}

// resync asks for a sync now and waits for it.
func (s *site) resync(names ...string) {
	s.t.Helper()
	g := NewWithT(s.t)
	before := map[string]time.Time{}
	for _, name := range names {
		before[name] = s.integration(name).LastSync
		s.request(name, s.clock.Now().Format(time.RFC3339Nano))
	}
	for _, name := range names {
		g.Eventually(func() time.Time { return s.integration(name).LastSync }, wait).Should(BeTemporally(">", before[name]), name+" was not synced again")
	}
}

// conditioned is a resource of the project.
type conditioned interface {
	client.Object
	GetConditions() []metav1.Condition
}

// condition waits until the object's condition has the reason, and returns it.
func (s *site) condition(obj conditioned, name, kind, reason string) metav1.Condition {
	s.t.Helper()
	var found metav1.Condition
	NewWithT(s.t).Eventually(func(g Gomega) {
		g.Expect(s.client.Get(s.t.Context(), client.ObjectKey{Namespace: s.ns, Name: name}, obj)).To(Succeed())
		c := meta.FindStatusCondition(obj.GetConditions(), kind)
		g.Expect(c).NotTo(BeNil(), "%T %s has no condition %s: %+v", obj, name, kind, obj.GetConditions())
		g.Expect(c.Reason).To(Equal(reason), "%T %s: %s", obj, name, c.Message)
		g.Expect(c.ObservedGeneration).To(Equal(obj.GetGeneration()))
		found = *c
	}, wait).Should(Succeed())
	return found
}

// settled waits until every sample is ready and judged with all the data.
func (s *site) settled() {
	s.t.Helper()
	for _, name := range []string{"hris", "okta", "slack", "zoom"} {
		s.condition(&v1alpha1.Integration{}, name, v1alpha1.ConditionReady, v1alpha1.ReasonSynced)
	}
	for _, name := range []string{"slack-90d", "zoom-90d"} {
		s.condition(&v1alpha1.LicensePolicy{}, name, v1alpha1.ConditionReady, v1alpha1.ReasonReconciled)
	}
}

// result of a command.
type result struct {
	out, err string
	code     int
}

// cli runs the command line in the site's namespace as the cluster's
// administrator.
func (s *site) cli(args ...string) result {
	s.t.Helper()
	return s.cliAs(s.env.Kubeconfig, args...)
}

func (s *site) cliAs(kubeconfig string, args ...string) result {
	var out, errOut bytes.Buffer
	args = append(slices.Clone(args), "--kubeconfig", kubeconfig, "--server", s.server, "--server-ca", s.ca)
	if !slices.Contains(args, "-n") {
		args = append(args, "-n", s.ns)
	}
	code := cli.Execute(s.t.Context(), "seatkeeper", args, &out, &errOut)
	return result{out.String(), errOut.String(), code}
}

// read decodes what a command prints with -o json.
func read[T any](s *site, args ...string) T {
	s.t.Helper()
	var v T
	r := s.cli(append(args, "-o", "json")...)
	if r.code != 0 {
		s.t.Fatalf("seatkeeper %s: exit %d: %s", strings.Join(args, " "), r.code, r.err)
	}
	if err := json.Unmarshal([]byte(r.out), &v); err != nil {
		s.t.Fatalf("seatkeeper %s -o json: %v\n%s", strings.Join(args, " "), err, r.out)
	}
	return v
}

type listOf[T any] struct {
	Items []T `json:"items"`
}

func list[T any](s *site, args ...string) []T {
	s.t.Helper()
	return read[listOf[T]](s, args...).Items
}

// integration as `seatkeeper integrations NAME` shows it.
type integration struct {
	State, Message string
	LastSync       time.Time
	Records        int
}

func (s *site) integration(name string) integration {
	return read[integration](s, "integrations", name)
}

// run as `seatkeeper runs` shows it.
type run struct {
	ID, State, Outcome, Reason, Message, Subject, PersonID string
}

// seat as `seatkeeper seats` shows it.
type seat struct {
	Policy, Integration, AccountExternalID, Holder, Class, Use, Reason, LastUse, PersonID string
}

// saving as `seatkeeper savings` shows it.
type saving struct {
	Kind, App, Policy, Contract, Plan, Effective, RunID, DecidedBy, Reason string
	Quantity                                                               int
	Amount                                                                 *struct {
		Minor    int64
		Currency string
	}
}

// record as `seatkeeper audit` shows it.
type record struct {
	Actor, ActorKind, Action, ObjectName, Reason, Result, RunID, PersonID, RequestDigest string
}

// held as `seatkeeper guards` shows it.
type held struct {
	Guard, Digest, Reason string
	Count, Total, Allowed int
	Items                 []struct{ Item, Label string }
}

// samplePrices are the contracts' of config/samples/acme.
var samplePrices = map[string]int64{fakesaas.Slack: 1250, fakesaas.Zoom: 1599}

// expectTruth compares every number of a summary with the vendors' own count.
func expectTruth(g Gomega, got model.Summary, want *fakesaas.TruthReport) {
	people := map[string]int{}
	for l, n := range got.People {
		if l != model.Unstated {
			people[l] = n
		}
	}
	g.Expect(people).To(Equal(want.ByLifecycle), "people by lifecycle")
	g.Expect(got.People[model.Unstated]).To(Equal(want.Unowned[fakesaas.Okta]), "users whom only Okta lists")
	g.Expect(got.Apps).To(Equal(want.Apps), "apps")
	g.Expect(got.Integrations).To(Equal(4))
	g.Expect(got.Seats).To(HaveLen(2))
	currency := map[string]string{fakesaas.Slack: "EUR", fakesaas.Zoom: "USD"}
	for _, app := range got.Seats {
		w := want.Seats[app.App]
		g.Expect(w).NotTo(BeNil(), "an app %q with seats", app.App)
		g.Expect([]int{app.Paid, app.Active, app.Unused, app.Unknown, app.Unpriced}).To(
			Equal([]int{w.Paid, w.Active, w.Unused, w.Unknown, 0}), "%s: paid, active, unused, unknown, unpriced", app.App)
		g.Expect(app.AnnualCost).To(HaveExactElements(HaveField("Minor", w.YearlyMinor)), "%s: cost of paid seats", app.App)
		g.Expect(app.AnnualCost[0].Currency).To(Equal(currency[app.App]))
		if w.Unused > 0 {
			g.Expect(app.UnusedCost).To(HaveExactElements(HaveField("Minor", w.YearlyUnusedMinor)), "%s: cost of unused seats", app.App)
		}
	}
	g.Expect([]int{got.Total.Paid, got.Total.Active, got.Total.Unused, got.Total.Unknown}).To(
		Equal([]int{want.Total.Paid, want.Total.Active, want.Total.Unused, want.Total.Unknown}), "totals")
}
