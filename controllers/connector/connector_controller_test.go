// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package connector

import (
	"context"
	"encoding/json"
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/seatkeeper/seatkeeper/api/v1alpha1"
	"github.com/seatkeeper/seatkeeper/internal/reconcile"
	"github.com/seatkeeper/seatkeeper/internal/reconcile/reconciletest"
	"github.com/seatkeeper/seatkeeper/internal/testenv"
)

func TestMain(m *testing.M) { testenv.Start(m) }

type manifests struct{ err error }

func (m manifests) Validate(string, json.RawMessage) (*v1alpha1.Capabilities, error) {
	if m.err != nil {
		return nil, m.err
	}
	return &v1alpha1.Capabilities{DataTypes: []v1alpha1.DataType{v1alpha1.DataAccounts}}, nil
}

func (manifests) Builtin() []string { return []string{"okta"} }

// catalogue holds entries by namespace/name.
type catalogue map[string]Entry

func (c catalogue) PutConnector(_ context.Context, namespace string, e Entry) error {
	c[namespace+"/"+e.Name] = e
	return nil
}

func (c catalogue) RemoveConnector(_ context.Context, namespace, name string) error {
	delete(c, namespace+"/"+name)
	return nil
}

func TestReconcile(t *testing.T) {
	env := testenv.Cluster(t)
	c := env.Client(t)
	tests := []struct {
		name, object string
		err          error
		verdict      reconciletest.Verdict
		reason       string
	}{
		{"valid", "crm", nil, reconciletest.Current, v1alpha1.ReasonManifestValid},
		{"wrong", "crm", errors.New("spec.streams.users: want a request\nspec.http: want where the API is"), reconciletest.Failed, v1alpha1.ReasonInvalidManifest},
		{"built-in name", "okta", nil, reconciletest.Failed, v1alpha1.ReasonNameReserved},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			obj := &v1alpha1.Connector{ObjectMeta: metav1.ObjectMeta{Namespace: env.Namespace(t), Name: tt.object},
				Spec: v1alpha1.ConnectorSpec{Title: "CRM", Category: "app", Domains: []v1alpha1.DomainName{"crm.example"}}}
			if err := c.Create(t.Context(), obj); err != nil {
				t.Fatal(err)
			}
			// Was valid before.
			known := catalogue{obj.Namespace + "/" + tt.object: {Name: tt.object, Title: "Old"}}
			r := &Reconciler{Env: &reconcile.Env{Client: c}, Manifests: manifests{tt.err}, Catalogue: known}
			reconciletest.Steady(t, c, obj, r)
			want := catalogue{}
			if tt.verdict == reconciletest.Current {
				want[obj.Namespace+"/crm"] = Entry{Name: "crm", Title: "CRM", Category: "app", Domains: []string{"crm.example"}}
			}
			if diff := cmp.Diff(want, known); diff != "" {
				t.Errorf("catalogue (-want +got):\n%s", diff)
			}
			if v := reconciletest.Kstatus(obj); v != tt.verdict {
				t.Errorf("kstatus is %s, want %s", v, tt.verdict)
			}
			found := false
			if ready := meta.FindStatusCondition(obj.Status.Conditions, v1alpha1.ConditionReady); tt.err != nil && ready.Message != "spec.streams.users: want a request; spec.http: want where the API is" {
				t.Errorf("the problems run together: %s", ready.Message)
			}
			for _, cond := range obj.Status.Conditions {
				found = found || cond.Type == v1alpha1.ConditionReady && cond.Reason == tt.reason
			}
			if !found {
				t.Errorf("conditions %+v, want reason %s", obj.Status.Conditions, tt.reason)
			}
			if err := c.Delete(t.Context(), obj); err != nil {
				t.Fatal(err)
			}
			if _, err := r.Reconcile(t.Context(), ctrl.Request{NamespacedName: client.ObjectKeyFromObject(obj)}); err != nil {
				t.Fatal(err)
			}
			if len(known) > 0 {
				t.Errorf("a deleted Connector is still in the catalogue: %v", known)
			}
		})
	}
}
