// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package perf

import (
	"context"
	"fmt"
	"io/fs"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"github.com/seatkeeper/seatkeeper/api/v1alpha1"
	"github.com/seatkeeper/seatkeeper/config"
	"github.com/seatkeeper/seatkeeper/internal/fakesaas"
	"github.com/seatkeeper/seatkeeper/internal/testenv"
)

// people of the company whose vendors are synced.
const people = 500

// categories of the Applications: as many as a catalogue of software has.
const categories = 40

// fleet is a namespace with the sample company and many Applications.
type fleet struct {
	client client.Client
	ns     string
	apps   int
}

func newFleet(b *testing.B, env *testenv.Env, apps int) *fleet {
	b.Helper()
	c := env.Client(b)
	return &fleet{client: c, ns: env.Namespace(b), apps: apps}
}

// vendors starts the simulated vendors of the sample company.
func vendors(b *testing.B) *fakesaas.Server {
	b.Helper()
	company := fakesaas.Generate(fakesaas.Config{Seed: 11, People: people, Now: time.Now().UTC().Truncate(time.Second), Domain: "acme.example"})
	sim, err := fakesaas.Start(b.Context(), fakesaas.Options{Company: company})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = sim.Close() })
	return sim
}

var secrets = map[string]map[string]string{
	"okta-token":   {"token": fakesaas.SimOktaToken},
	"slack-tokens": {"token": fakesaas.SimSlackBotToken, "adminToken": fakesaas.SimSlackAdminToken, "signingSecret": fakesaas.SimSlackSigningSecret},
	"zoom-s2s":     {"accountId": fakesaas.SimZoomAccountID, "clientId": fakesaas.SimZoomClientID, "clientSecret": fakesaas.SimZoomClientSecret},
	"hris-export":  {"token": fakesaas.SimHRISToken},
}

// applySample creates the sample company: four Integrations, three
// Applications, Contracts, and LicensePolicies that report only, so that no
// question is out while the manager is measured at rest.
func (f *fleet) applySample(b *testing.B) {
	b.Helper()
	for name, data := range secrets {
		f.create(b, &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: f.ns, Name: name}, StringData: data})
	}
	files, err := fs.Glob(config.Files, "samples/acme/*.yaml")
	if err != nil {
		b.Fatal(err)
	}
	for _, file := range files {
		data, err := fs.ReadFile(config.Files, file)
		if err != nil {
			b.Fatal(err)
		}
		obj := &unstructured.Unstructured{}
		if err := yaml.Unmarshal(data, &obj.Object); err != nil {
			b.Fatalf("%s: %v", file, err)
		}
		switch obj.GetKind() {
		case "Namespace", "Kustomization":
			continue
		case v1alpha1.KindLicensePolicy:
			if err := unstructured.SetNestedField(obj.Object, string(v1alpha1.ModeReport), "spec", "mode"); err != nil {
				b.Fatal(err)
			}
		}
		obj.SetNamespace(f.ns)
		f.create(b, obj)
	}
}

func (f *fleet) create(b *testing.B, obj client.Object) {
	b.Helper()
	if err := f.client.Create(b.Context(), obj); err != nil {
		b.Fatalf("create %T %s: %v", obj, obj.GetName(), err)
	}
}

// createApplications creates the many, as a fleet of teams would declare them.
func (f *fleet) createApplications(b *testing.B) {
	b.Helper()
	g, ctx := errgroup.WithContext(b.Context())
	g.SetLimit(8)
	for i := range f.apps {
		g.Go(func() error {
			if err := f.client.Create(ctx, application(f.ns, i)); err != nil {
				return fmt.Errorf("create Application %d: %w", i, err)
			}
			return nil
		})
	}
	if err := g.Wait(); err != nil {
		b.Fatal(err)
	}
}

func application(ns string, i int) *v1alpha1.Application {
	name := fmt.Sprintf("app-%05d", i)
	return &v1alpha1.Application{
		ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: name, Labels: map[string]string{"team": fmt.Sprintf("team-%02d", i%25)}},
		Spec: v1alpha1.ApplicationSpec{
			DisplayName: fmt.Sprintf("Application %d", i), URL: "https://" + name + ".example",
			Domains: []v1alpha1.DomainName{v1alpha1.DomainName(name + ".example")}, Category: fmt.Sprintf("Category %d", i%categories),
			State:  v1alpha1.ApplicationSanctioned,
			Owners: []v1alpha1.ApplicationOwner{{Email: "it@acme.example", Role: v1alpha1.OwnerPrimary}},
			Plans: []v1alpha1.ApplicationPlan{{Name: "Standard", VendorKeys: []string{name + ".standard"},
				UnitCost: &v1alpha1.Money{Minor: 1200, Currency: "EUR"}, Period: v1alpha1.PeriodMonth}},
		},
	}
}

// kinds are every kind that the manager writes the status of.
func kinds() []client.ObjectList {
	return []client.ObjectList{&v1alpha1.ApplicationList{}, &v1alpha1.IntegrationList{}, &v1alpha1.LicensePolicyList{}, &v1alpha1.ContractList{}, &v1alpha1.OrganizationList{}}
}

// state is the resourceVersion of every object, and how many Applications are Ready.
func (f *fleet) state(b *testing.B) (versions map[string]string, ready int) {
	b.Helper()
	versions = map[string]string{}
	for _, list := range kinds() {
		f.pages(b, list, func(o client.Object) {
			versions[fmt.Sprintf("%T/%s", o, o.GetName())] = o.GetResourceVersion()
			if app, ok := o.(*v1alpha1.Application); ok && meta.IsStatusConditionTrue(app.Status.Conditions, v1alpha1.ConditionReady) {
				ready++
			}
		})
	}
	return versions, ready
}

func (f *fleet) pages(b *testing.B, list client.ObjectList, visit func(client.Object)) {
	b.Helper()
	ctx, cancel := context.WithTimeout(b.Context(), 2*time.Minute)
	defer cancel()
	token := ""
	for {
		if err := f.client.List(ctx, list, client.InNamespace(f.ns), client.Limit(1000), client.Continue(token)); err != nil {
			b.Fatalf("list %T: %v", list, err)
		}
		if err := meta.EachListItem(list, func(o runtime.Object) error { visit(o.(client.Object)); return nil }); err != nil {
			b.Fatal(err)
		}
		if token = list.GetContinue(); token == "" {
			return
		}
	}
}
