// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"context"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/seatkeeper/seatkeeper/api/v1alpha1"
	"github.com/seatkeeper/seatkeeper/internal/model"
	"github.com/seatkeeper/seatkeeper/internal/reconcile"
	"github.com/seatkeeper/seatkeeper/internal/reconcile/reconciletest"
	"github.com/seatkeeper/seatkeeper/internal/syncer/handover"
	"github.com/seatkeeper/seatkeeper/internal/testenv"
	"github.com/seatkeeper/seatkeeper/internal/webhookurl"
)

func TestMain(m *testing.M) { testenv.Start(m) }

// backend stands for connectors, Secrets and the store.
type backend struct {
	problem      *handover.Problem
	state        func(HandOver) *handover.Status
	last         HandOver
	handed       bool
	disconnected string
	retainFor    time.Duration
	released     []string
	webhooks     Webhooks
}

func (b *backend) Describe(spec handover.Spec) (Connector, *handover.Problem) {
	return Connector{Name: spec.Connector, DataTypes: []model.DataType{model.DataAccounts, model.DataPlans}, Actions: []string{"user.delete"},
		Capabilities: &v1alpha1.Capabilities{DataTypes: []v1alpha1.DataType{v1alpha1.DataAccounts, v1alpha1.DataPlans}}}, nil
}

func (b *backend) Check(context.Context, string, handover.Spec) (Checked, *handover.Problem) {
	return Checked{SecretVersion: "1"}, b.problem
}

func (b *backend) HandOver(_ context.Context, h HandOver) error {
	b.last, b.handed = h, true
	return nil
}

func (b *backend) State(context.Context, string, string) (*handover.Status, error) {
	if b.state == nil || !b.handed {
		return nil, nil
	}
	return b.state(b.last), nil
}

func (b *backend) Release(_ context.Context, _, _, stream, digest string) (bool, error) {
	b.released = append(b.released, stream+"="+digest)
	return true, nil
}

func (b *backend) Webhooks(context.Context, string, string, handover.Spec) (Webhooks, *handover.Problem, error) {
	return b.webhooks, nil, nil
}

func (b *backend) Disconnect(_ context.Context, _, name, _ string, retainFor time.Duration) error {
	b.disconnected, b.retainFor = name, retainFor
	return nil
}

// leaves is what a worker leaves after a sync without a problem.
func leaves(change ...func(*handover.Status)) func(HandOver) *handover.Status {
	return func(h HandOver) *handover.Status {
		s := &handover.Status{Synced: true, Generation: h.Generation, Request: h.Request, Digest: "1-1",
			Test:      &handover.Test{Input: h.Spec.TestInput(), Outcome: handover.AllPassed},
			Account:   &handover.Account{ID: "acc", Name: "Acme"},
			DataTypes: []handover.DataType{{Name: model.DataAccounts, State: handover.Fresh, Records: 12}},
		}
		for _, c := range change {
			c(s)
		}
		return s
	}
}

func setup(t *testing.T) (*testenv.Env, client.Client) {
	t.Helper()
	env := testenv.Cluster(t)
	return env, env.Client(t)
}

func zoom(ns string) *v1alpha1.Integration {
	return &v1alpha1.Integration{ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: "zoom"}, Spec: v1alpha1.IntegrationSpec{Connector: "zoom"}}
}

func TestStatusIsSteady(t *testing.T) {
	env, c := setup(t)
	held := func(s *handover.Status) {
		s.Problem = &handover.Problem{Reason: v1alpha1.ReasonGuardHeld, Message: "held"}
		s.Held = []handover.HeldSet{{Stream: "users", Digest: "d", Count: 9, Total: 10, Allowed: 2, Reason: v1alpha1.ReasonGuardHeld}}
	}
	tests := []struct {
		name    string
		change  func(*v1alpha1.Integration)
		problem *handover.Problem
		state   func(HandOver) *handover.Status
		verdict reconciletest.Verdict
		reason  string
	}{
		{"first sync in progress", nil, nil, nil, reconciletest.InProgress, v1alpha1.ReasonSyncing},
		{"synced", nil, nil, leaves(), reconciletest.Current, v1alpha1.ReasonSynced},
		{"suspended", func(i *v1alpha1.Integration) { i.Spec.Suspend = true }, nil, leaves(), reconciletest.InProgress, v1alpha1.ReasonSuspended},
		{"bad config", nil, &handover.Problem{Reason: v1alpha1.ReasonInvalidConfig, Message: "spec.config.x: want a string"}, nil, reconciletest.Failed, v1alpha1.ReasonInvalidConfig},
		{"unknown data type", func(i *v1alpha1.Integration) { i.Spec.DataTypes = []v1alpha1.DataType{v1alpha1.DataPeople} }, nil, nil,
			reconciletest.Failed, v1alpha1.ReasonDataTypeUnsupported},
		{"older generation synced", nil, nil, leaves(func(s *handover.Status) { s.Generation = 0 }), reconciletest.InProgress, v1alpha1.ReasonProgressing},
		{"test failed", nil, nil, leaves(func(s *handover.Status) {
			s.Test.Outcome, s.Problem = handover.Failed, &handover.Problem{Reason: v1alpha1.ReasonFailed, Message: "401"}
		}), reconciletest.Failed, v1alpha1.ReasonFailed},
		{"vendor down", nil, nil, leaves(func(s *handover.Status) {
			s.Problem = &handover.Problem{Reason: v1alpha1.ReasonVendorError, Message: "503", Transient: true}
		}), reconciletest.InProgress, v1alpha1.ReasonVendorError},
		{"held", nil, nil, leaves(held), reconciletest.Failed, v1alpha1.ReasonGuardHeld},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			obj := zoom(env.Namespace(t))
			if tt.change != nil {
				tt.change(obj)
			}
			if err := c.Create(t.Context(), obj); err != nil {
				t.Fatal(err)
			}
			b := &backend{problem: tt.problem, state: tt.state}
			r := &Reconciler{Env: &reconcile.Env{Client: c}, Backend: b, Reader: c}
			reconciletest.Reconcile(t, r, obj) // hands over; what a worker left is seen next
			reconciletest.Steady(t, c, obj, r)
			if v := reconciletest.Kstatus(obj); v != tt.verdict {
				t.Errorf("kstatus is %s, want %s", v, tt.verdict)
			}
			if got := meta.FindStatusCondition(obj.Status.Conditions, v1alpha1.ConditionReady); got.Reason != tt.reason {
				t.Errorf("Ready: %s %q, want %s", got.Reason, got.Message, tt.reason)
			}
			wantSuspended := tt.problem != nil || obj.Spec.Suspend || tt.reason == v1alpha1.ReasonDataTypeUnsupported
			if b.last.Spec.Suspended != wantSuspended {
				t.Errorf("handed over with suspended=%v, want %v", b.last.Spec.Suspended, wantSuspended)
			}
			// Readers of the store are told what a suspension by the controller is about.
			if p := b.last.Spec.Problem; (p != nil) != (wantSuspended && !obj.Spec.Suspend) || p != nil && p.Reason != tt.reason {
				t.Errorf("handed over with the problem %+v, want %s", p, tt.reason)
			}
		})
	}
}

func TestReleaseNamesExactlyTheHeldSet(t *testing.T) {
	env, c := setup(t)
	obj := zoom(env.Namespace(t))
	obj.Annotations = map[string]string{v1alpha1.ReleaseAnnotation: "other"}
	if err := c.Create(t.Context(), obj); err != nil {
		t.Fatal(err)
	}
	b := &backend{state: leaves(func(s *handover.Status) {
		s.Problem = &handover.Problem{Reason: v1alpha1.ReasonGuardHeld, Message: "held"}
		s.Held = []handover.HeldSet{{Stream: "users", Digest: "d1", Reason: v1alpha1.ReasonGuardHeld}, {Stream: "groups", Digest: "d2", Reason: v1alpha1.ReasonGuardHeld}}
	})}
	r := &Reconciler{Env: &reconcile.Env{Client: c}, Backend: b, Reader: c}
	reconciletest.Reconcile(t, r, obj)
	reconciletest.Reconcile(t, r, obj)
	if len(b.released) != 0 {
		t.Fatalf("released %v by another digest", b.released)
	}
	obj.Annotations[v1alpha1.ReleaseAnnotation] = "d2"
	if err := c.Get(t.Context(), client.ObjectKeyFromObject(obj), obj); err != nil {
		t.Fatal(err)
	}
	obj.Annotations[v1alpha1.ReleaseAnnotation] = "d2"
	if err := c.Update(t.Context(), obj); err != nil {
		t.Fatal(err)
	}
	reconciletest.Reconcile(t, r, obj)
	if len(b.released) != 1 || b.released[0] != "groups=d2" {
		t.Errorf("released %v, want groups=d2", b.released)
	}
}

func TestDisconnectGuard(t *testing.T) {
	env, c := setup(t)
	ns := env.Namespace(t)
	obj := zoom(ns)
	obj.Spec.RetainFor = "0d"
	policy := &v1alpha1.LicensePolicy{ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: "zoom-90d"}, Spec: v1alpha1.LicensePolicySpec{
		ApplicationRef: &v1alpha1.ObjectReference{Name: "zoom"},
		Removal:        &v1alpha1.Removal{Via: v1alpha1.ViaDirect, Integration: "zoom"},
	}}
	for _, o := range []client.Object{obj, policy} {
		if err := c.Create(t.Context(), o); err != nil {
			t.Fatal(err)
		}
	}
	b := &backend{state: leaves()}
	r := &Reconciler{Env: &reconcile.Env{Client: c}, Backend: b, Reader: c}
	reconciletest.Reconcile(t, r, obj)
	if err := c.Delete(t.Context(), obj); err != nil {
		t.Fatal(err)
	}
	reconciletest.Steady(t, c, obj, r)
	if b.disconnected != "" || !b.last.Spec.Disconnecting || b.last.Spec.Suspended {
		t.Fatalf("a held Integration must go on syncing and send no action: %+v, disconnected %q", b.last.Spec, b.disconnected)
	}
	if held := meta.FindStatusCondition(obj.Status.Conditions, v1alpha1.ConditionDisconnectHeld); held == nil || !strings.Contains(held.Message, "LicensePolicy/zoom-90d") {
		t.Errorf("DisconnectHeld does not name the dependent: %+v", held)
	}
	if err := c.Delete(t.Context(), policy); err != nil {
		t.Fatal(err)
	}
	reconciletest.Reconcile(t, r, obj)
	if b.disconnected != "zoom" || b.retainFor != 0 {
		t.Errorf("disconnected %q with retainFor %s, want zoom and 0", b.disconnected, b.retainFor)
	}
	if err := c.Get(t.Context(), client.ObjectKeyFromObject(obj), obj); client.IgnoreNotFound(err) != nil || err == nil {
		t.Errorf("the Integration is still there: %v", err)
	}
}

func TestTerminatingNamespaceReleases(t *testing.T) {
	env, c := setup(t)
	ns := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{GenerateName: "going-"}}
	if err := c.Create(t.Context(), ns); err != nil {
		t.Fatal(err)
	}
	_ = env
	obj := zoom(ns.Name)
	app := &v1alpha1.Application{ObjectMeta: metav1.ObjectMeta{Namespace: ns.Name, Name: "zoom"},
		Spec: v1alpha1.ApplicationSpec{IntegrationRefs: []v1alpha1.ObjectReference{{Name: "zoom"}}}}
	for _, o := range []client.Object{obj, app} {
		if err := c.Create(t.Context(), o); err != nil {
			t.Fatal(err)
		}
	}
	b := &backend{state: leaves()}
	r := &Reconciler{Env: &reconcile.Env{Client: c}, Backend: b, Reader: c}
	reconciletest.Reconcile(t, r, obj)
	if err := c.Delete(t.Context(), ns); err != nil {
		t.Fatal(err)
	}
	if err := c.Delete(t.Context(), obj); client.IgnoreNotFound(err) != nil {
		t.Fatal(err)
	}
	reconciletest.Reconcile(t, r, obj)
	if b.disconnected != "zoom" {
		t.Error("an Integration held its terminating namespace")
	}
}

func TestNamesIntegration(t *testing.T) {
	tests := []struct {
		name string
		spec any
		want bool
	}{
		{"application ref", v1alpha1.ApplicationSpec{IntegrationRefs: []v1alpha1.ObjectReference{{Name: "zoom"}}}, true},
		{"offboarding", v1alpha1.ApplicationSpec{Offboarding: []v1alpha1.OffboardingMethod{{Name: "zoom", Method: "Ignore"}}}, true},
		{"another app", v1alpha1.ApplicationSpec{DisplayName: "zoom", Tags: []string{"zoom"}}, false},
		{"ask channel", v1alpha1.LicensePolicySpec{Ask: &v1alpha1.Ask{Channels: []v1alpha1.AskChannel{{Integration: "zoom"}}}}, true},
		{"lifecycle source", v1alpha1.OrganizationSpec{LifecycleSource: &v1alpha1.LifecycleSource{Integration: "zoom"}}, true},
		{"source rank", v1alpha1.OrganizationSpec{SourceRank: []v1alpha1.SourceRank{{Fields: []string{"*"}, Sources: []v1alpha1.ResourceName{"okta", "zoom"}}}}, true},
		{"none", v1alpha1.OrganizationSpec{DisplayName: "zoom"}, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := namesIntegration(tt.spec, "zoom")
			if err != nil || got != tt.want {
				t.Errorf("namesIntegration: %v, %v; want %v", got, err, tt.want)
			}
		})
	}
}

// TestWhatCannotBeBuiltIsHandedOverAsProblem lets views and workers know of an
// Integration whose spec cannot be made a hand-over of.
func TestWhatCannotBeBuiltIsHandedOverAsProblem(t *testing.T) {
	env := testenv.Cluster(t)
	c := env.Client(t)
	for _, tt := range []struct {
		name, reason, words, connector string
		spec                           v1alpha1.IntegrationSpec
	}{
		{"an unknown Connector", v1alpha1.ReasonConnectorNotFound, `no Connector "crm"`, "crm",
			v1alpha1.IntegrationSpec{ConnectorRef: &v1alpha1.ObjectReference{Name: "crm"}}},
		{"a config that is too large", v1alpha1.ReasonValueTooLarge, "spec.config.columns", "csv",
			v1alpha1.IntegrationSpec{Connector: "csv", Config: map[string]v1alpha1.Value{"columns": {Raw: []byte(`"` + strings.Repeat("x", 17<<10) + `"`)}}}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			b := &backend{}
			obj := &v1alpha1.Integration{ObjectMeta: metav1.ObjectMeta{Namespace: env.Namespace(t), Name: "own"}, Spec: tt.spec}
			if err := c.Create(t.Context(), obj); err != nil {
				t.Fatal(err)
			}
			reconciletest.Steady(t, c, obj, &Reconciler{Env: &reconcile.Env{Client: c}, Backend: b, Reader: c})
			if v := reconciletest.Kstatus(obj); v != reconciletest.Failed {
				t.Errorf("kstatus is %s", v)
			}
			p := b.last.Spec.Problem
			if !b.handed || !b.last.Spec.Suspended || p == nil || p.Reason != tt.reason || !strings.Contains(p.Message, tt.words) {
				t.Errorf("handed over: %v, suspended %v, %+v", b.handed, b.last.Spec.Suspended, p)
			}
			if obj.Status.Connector != tt.connector {
				t.Errorf("status.connector is %q", obj.Status.Connector)
			}
		})
	}
}

// addresses makes an address for whatever asks.
type addresses struct{}

func (addresses) Ensure(context.Context, string, client.Object, []webhookurl.Hook) (webhookurl.Result, error) {
	return webhookurl.Result{SecretName: "zoom-webhook"}, nil
}

// TestWebhooksOfWhatIsRefusedAreNotReady: its Secret was never looked into.
func TestWebhooksOfWhatIsRefusedAreNotReady(t *testing.T) {
	env, c := setup(t)
	obj := zoom(env.Namespace(t))
	if err := c.Create(t.Context(), obj); err != nil {
		t.Fatal(err)
	}
	b := &backend{webhooks: Webhooks{Names: []string{"events"}, Missing: []string{"webhookToken"}},
		problem: &handover.Problem{Reason: v1alpha1.ReasonSingleAccountConnector, Message: "the older has it"}}
	r := &Reconciler{Env: &reconcile.Env{Client: c}, Backend: b, Reader: c, Addresses: addresses{}}
	reconciletest.Steady(t, c, obj, r)
	got := meta.FindStatusCondition(obj.Status.Conditions, v1alpha1.ConditionWebhookReady)
	if got == nil || got.Status != metav1.ConditionUnknown || got.Reason != v1alpha1.ReasonSingleAccountConnector {
		t.Errorf("refused: %+v", got)
	}
	b.problem = nil // and once a sync has seen the Secret, what it lacks is told
	b.state = leaves()
	reconciletest.Steady(t, c, obj, r)
	if got = meta.FindStatusCondition(obj.Status.Conditions, v1alpha1.ConditionWebhookReady); got == nil || got.Reason != v1alpha1.ReasonSecretKeyMissing {
		t.Errorf("synced: %+v", got)
	}
}
