// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package reconcile_test

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/seatkeeper/seatkeeper/api/v1alpha1"
	"github.com/seatkeeper/seatkeeper/internal/reconcile"
	"github.com/seatkeeper/seatkeeper/internal/testenv"
)

func TestInNamespace(t *testing.T) {
	env := testenv.Cluster(t)
	c, ns, other := env.Client(t), env.Namespace(t), env.Namespace(t)
	for name, namespace := range map[string]string{"slack": ns, "zoom": ns, "jira": other} {
		if err := c.Create(t.Context(), &v1alpha1.Application{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name}}); err != nil {
			t.Fatal(err)
		}
	}
	woken := func(concerns ...func(changed, woken client.Object) bool) (got []string) {
		wake := reconcile.InNamespace(c, func() client.ObjectList { return &v1alpha1.ApplicationList{} }, concerns...)
		for _, req := range wake(t.Context(), &v1alpha1.Integration{ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: "zoom"}}) {
			got = append(got, req.String())
		}
		slices.Sort(got)
		return got
	}
	if d := cmp.Diff([]string{ns + "/slack", ns + "/zoom"}, woken()); d != "" {
		t.Errorf("woken (-want +got):\n%s", d)
	}
	same := func(changed, woken client.Object) bool { return changed.GetName() == woken.GetName() }
	if d := cmp.Diff([]string{ns + "/zoom"}, woken(same)); d != "" {
		t.Errorf("woken where it concerns them (-want +got):\n%s", d)
	}
}
