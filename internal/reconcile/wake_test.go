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
	wake := reconcile.InNamespace(c, func() client.ObjectList { return &v1alpha1.ApplicationList{} })
	var got []string
	for _, req := range wake(t.Context(), &v1alpha1.Integration{ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: "okta"}}) {
		got = append(got, req.String())
	}
	slices.Sort(got)
	if d := cmp.Diff([]string{ns + "/slack", ns + "/zoom"}, got); d != "" {
		t.Errorf("woken (-want +got):\n%s", d)
	}
}
