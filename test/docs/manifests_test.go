// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package docs

import (
	"encoding/json"
	"fmt"
	"regexp"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/restmapper"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/yaml"

	"github.com/seatkeeper/seatkeeper/internal/testenv"
)

func position(name string, line int) string { return fmt.Sprintf("%s:%d", name, line) }

var separator = regexp.MustCompile(`(?m)^---$`)

// TestManifestsAreAccepted applies every YAML block of the documentation, on
// the server's side and strictly, without storing it. A block that is no
// manifest says so: "yaml fragment".
func TestManifestsAreAccepted(t *testing.T) {
	env := testenv.Cluster(t)
	client, err := dynamic.NewForConfig(env.Config)
	if err != nil {
		t.Fatal(err)
	}
	mapper := newMapper(t, env)
	seen := 0
	for _, p := range pages(t) {
		for _, b := range p.blocks {
			if b.lang != "yaml" {
				continue
			}
			for _, doc := range separator.Split(b.text, -1) {
				obj := &unstructured.Unstructured{}
				if err := yaml.UnmarshalStrict([]byte(doc), &obj.Object); err != nil {
					t.Errorf("%s: %v", b.at, err)
					continue
				}
				seen++
				if err := dryRun(t, env, client, mapper, obj); err != nil {
					t.Errorf("%s: %s %s: %v", b.at, obj.GetKind(), obj.GetName(), err)
				}
			}
		}
	}
	if seen < 5 {
		t.Errorf("found %d manifests; the search lost some", seen)
	}
}

func newMapper(t testing.TB, env *testenv.Env) meta.RESTMapper {
	t.Helper()
	client, err := discovery.NewDiscoveryClientForConfig(env.Config)
	if err != nil {
		t.Fatal(err)
	}
	groups, err := restmapper.GetAPIGroupResources(client)
	if err != nil {
		t.Fatal(err)
	}
	return restmapper.NewDiscoveryRESTMapper(groups)
}

func dryRun(t *testing.T, env *testenv.Env, client dynamic.Interface, mapper meta.RESTMapper, obj *unstructured.Unstructured) error {
	t.Helper()
	gvk := obj.GroupVersionKind()
	mapping, err := mapper.RESTMapping(gvk.GroupKind(), gvk.Version)
	if err != nil {
		return err
	}
	var resource dynamic.ResourceInterface = client.Resource(mapping.Resource)
	if mapping.Scope.Name() == meta.RESTScopeNameNamespace {
		if obj.GetNamespace() == "" {
			return fmt.Errorf("says no namespace: a reader would apply it to whichever is current")
		}
		ensureNamespace(t, env, obj.GetNamespace())
		resource = client.Resource(mapping.Resource).Namespace(obj.GetNamespace())
	}
	body, err := json.Marshal(obj)
	if err != nil {
		return err
	}
	_, err = resource.Patch(t.Context(), obj.GetName(), types.ApplyPatchType, body, metav1.PatchOptions{
		FieldManager: "docs-test", Force: ptr.To(true), DryRun: []string{metav1.DryRunAll}, FieldValidation: metav1.FieldValidationStrict,
	})
	return err
}

func ensureNamespace(t *testing.T, env *testenv.Env, name string) {
	t.Helper()
	client, err := kubernetes.NewForConfig(env.Config)
	if err != nil {
		t.Fatal(err)
	}
	_, err = client.CoreV1().Namespaces().Create(t.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name}}, metav1.CreateOptions{})
	if err != nil && !apierrors.IsAlreadyExists(err) {
		t.Fatal(err)
	}
}

// knownResource tells whether the cluster serves what a command names:
// "integrations", "licensepolicy", "integration/okta", "guards.seatkeeper.dev".
func knownResource(mapper meta.RESTMapper, categories map[string]bool, name string) bool {
	name, _, _ = strings.Cut(name, "/")
	if categories[name] {
		return true
	}
	resource, group, _ := strings.Cut(name, ".")
	_, err := mapper.ResourceFor(schema.GroupVersionResource{Group: group, Resource: strings.ToLower(resource)})
	return err == nil
}
