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

// fleet is a namespace with the sample company, many Applications, and a tenth as
// many Workflows.
type fleet struct {
	client client.Client
	ns     string
	apps   int
}

func (f *fleet) workflows() int { return f.apps / 10 }

// size is how many objects become Ready.
func (f *fleet) size() int { return f.apps + f.workflows() }

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

// createAll creates the many, as a fleet of teams would declare them.
func (f *fleet) createAll(b *testing.B) {
	b.Helper()
	g, ctx := errgroup.WithContext(b.Context())
	g.SetLimit(8)
	for i := range f.size() {
		g.Go(func() error {
			var obj client.Object
			if i < f.apps {
				obj = application(f.ns, i)
			} else {
				obj = onboardingOf(b, f.ns, i-f.apps)
			}
			if err := f.client.Create(ctx, obj); err != nil {
				return fmt.Errorf("create %s: %w", obj.GetName(), err)
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

// onboarding is what a team does for its new colleagues. Nobody of the sample
// company is in such a department, so that no run is under way while the manager
// is measured at rest.
const onboarding = `
trigger:
  person:
    events: [Joined]
when: "person.department == 'Team %d'"
direction: Onboarding
steps:
- name: meetings
  action:
    integration: zoom
    name: user.create
    with: {email: "${person.email}", licensed: true}
- name: firstDay
  wait:
    until: {date: "person.startDate"}
- name: desk
  switch:
  - when: "person.title.startsWith('Head')"
    steps:
    - name: welcome
      notify:
        to: [{role: Manager}]
        subject: "${person.displayName} begins"
        text: "${person.displayName} begins today."
- name: week
  wait: {for: 5d}
- name: check
  ask:
    to: "${person.managerEmail}"
    text: "Has ${person.displayName} everything that is needed?"
    options: ["Yes", "No"]
    timeout: 7d
    default: "Yes"
`

func onboardingOf(b *testing.B, ns string, i int) *v1alpha1.Workflow {
	w := &v1alpha1.Workflow{ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: fmt.Sprintf("onboarding-%04d", i)}}
	if err := yaml.UnmarshalStrict(fmt.Appendf(nil, onboarding, i), &w.Spec); err != nil {
		b.Error(err)
	}
	return w
}

// kinds are every kind that the manager writes the status of.
func kinds() []client.ObjectList {
	return []client.ObjectList{&v1alpha1.ApplicationList{}, &v1alpha1.IntegrationList{}, &v1alpha1.LicensePolicyList{}, &v1alpha1.ContractList{}, &v1alpha1.OrganizationList{}, &v1alpha1.WorkflowList{}}
}

// state is the resourceVersion of every object, and how many Applications and
// Workflows are Ready.
func (f *fleet) state(b *testing.B) (versions map[string]string, ready int) {
	b.Helper()
	versions = map[string]string{}
	for _, list := range kinds() {
		f.pages(b, list, func(o client.Object) {
			versions[fmt.Sprintf("%T/%s", o, o.GetName())] = o.GetResourceVersion()
			switch o := o.(type) {
			case *v1alpha1.Application:
				ready += one(o.Status.Conditions)
			case *v1alpha1.Workflow:
				ready += one(o.Status.Conditions)
			}
		})
	}
	return versions, ready
}

// one is 1 for an object that is Ready.
func one(conditions []metav1.Condition) int {
	if meta.IsStatusConditionTrue(conditions, v1alpha1.ConditionReady) {
		return 1
	}
	return 0
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
