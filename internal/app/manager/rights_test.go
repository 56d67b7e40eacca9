// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package manager

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	utilyaml "k8s.io/apimachinery/pkg/util/yaml"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"github.com/seatkeeper/seatkeeper/api/v1alpha1"
	"github.com/seatkeeper/seatkeeper/internal/testenv"
)

// clusterRoles applies every ClusterRole of a manifest file.
func (w *world) clusterRoles(path string) {
	w.t.Helper()
	root, err := testenv.ModuleRoot()
	if err != nil {
		w.t.Fatal(err)
	}
	data, err := os.ReadFile(filepath.Join(root, path))
	if err != nil {
		w.t.Fatal(err)
	}
	for _, doc := range strings.Split(string(data), "\n---") {
		var role rbacv1.ClusterRole
		if err := utilyaml.Unmarshal([]byte(doc), &role); err != nil || role.Kind != "ClusterRole" {
			continue
		}
		if err := w.client.Create(w.t.Context(), &role); client.IgnoreAlreadyExists(err) != nil {
			w.t.Fatal(err)
		}
	}
}

// TestManagerWorksWithItsOwnRights runs the manager as its ServiceAccount with
// the roles of config/rbac and nothing else, which lets it read no Secret of a
// namespace until somebody applies what its message says.
func TestManagerWorksWithItsOwnRights(t *testing.T) {
	env := testenv.Cluster(t)
	user := "system:serviceaccount:" + defaultSystemSpace + ":" + defaultAccount
	w := newWorld(t, func(w *world) {
		w.options.RestConfig = counting(env.ClientCert(t, user, "system:serviceaccounts", "system:authenticated"), w.writes)
		w.clusterRoles("config/rbac/role.yaml")
		w.clusterRoles("config/rbac/roles/tenant.yaml")
		binding := &rbacv1.ClusterRoleBinding{ObjectMeta: metav1.ObjectMeta{Name: w.ns},
			RoleRef:  rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: "seatkeeper-manager"},
			Subjects: []rbacv1.Subject{{Kind: "ServiceAccount", Namespace: defaultSystemSpace, Name: defaultAccount}}}
		if err := w.client.Create(t.Context(), binding); err != nil {
			t.Fatal(err)
		}
	})
	g := NewWithT(t)
	w.secret("zoom", secrets["zoom"])
	zoom := w.integration("zoom", nil)
	w.create(zoom, w.zoomApp())
	c := w.ready(zoom, metav1.ConditionFalse, v1alpha1.ReasonSecretAccessDenied)

	key := &v1alpha1.APIKey{ObjectMeta: metav1.ObjectMeta{Namespace: w.ns, Name: "export"},
		Spec: v1alpha1.APIKeySpec{Type: v1alpha1.APIKeyREST, DeliverTo: &v1alpha1.KeyDelivery{SecretName: "export-key"}}}
	w.create(key)
	denied := w.ready(key, metav1.ConditionFalse, v1alpha1.ReasonSecretAccessDenied)
	g.Expect(denied.Message).To(ContainSubstring("{apiVersion"))

	begin, end := strings.Index(c.Message, "{apiVersion"), strings.LastIndex(c.Message, "}")
	g.Expect(begin).To(BeNumerically(">", 0), "the message has no YAML: %s", c.Message)
	var binding rbacv1.RoleBinding
	g.Expect(yaml.UnmarshalStrict([]byte(c.Message[begin:end+1]), &binding)).To(Succeed())
	g.Expect(binding.Namespace).To(Equal(w.ns))
	w.create(&binding)

	w.annotate(zoom, v1alpha1.RequestedAtAnnotation, "bound")
	w.ready(zoom, metav1.ConditionTrue, v1alpha1.ReasonSynced)
	app := w.zoomApp()
	w.ready(app, metav1.ConditionTrue, v1alpha1.ReasonReconciled)

	// A key is delivered, and taken out of its Secret without the right to delete
	// Secrets: what stays is empty.
	w.annotate(key, v1alpha1.RequestedAtAnnotation, "bound")
	w.ready(key, metav1.ConditionTrue, v1alpha1.ReasonIssued)
	var s corev1.Secret
	w.get("export-key", &s)
	g.Expect(s.Data).To(HaveKey("token"))
	w.patch(key, map[string]any{"spec": map[string]any{"revoked": true}})
	w.ready(key, metav1.ConditionFalse, v1alpha1.ReasonRevoked)
	w.get("export-key", &s)
	g.Expect(s.Data).To(BeEmpty())
	g.Expect(w.client.Delete(t.Context(), key)).To(Succeed())

	// Deleting needs rights as well: the finalizer, the namespace, the dependents.
	g.Expect(w.client.Delete(t.Context(), app)).To(Succeed())
	g.Expect(w.client.Delete(t.Context(), zoom)).To(Succeed())
	g.Eventually(func() bool {
		return apierrors.IsNotFound(w.client.Get(t.Context(), client.ObjectKeyFromObject(zoom), zoom))
	}).Should(BeTrue())
}
