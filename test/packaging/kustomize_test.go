// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package packaging

import (
	"encoding/json"
	"testing"

	"github.com/onsi/gomega"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/cli-runtime/pkg/genericclioptions"
	"k8s.io/cli-runtime/pkg/resource"
	"k8s.io/utils/ptr"

	"github.com/seatkeeper/seatkeeper/internal/testenv"
)

// kustomizations are what people apply.
var kustomizations = []string{"default", "postgres"}

// infos builds a kustomization with the code that `kubectl apply -k` runs.
func infos(t testing.TB, b *resource.Builder, dir string) []*resource.Info {
	t.Helper()
	all, err := b.Unstructured().ContinueOnError().
		FilenameParam(false, &resource.FilenameOptions{Kustomize: repoPath(t, "config", dir)}).
		Flatten().Do().Infos()
	if err != nil {
		t.Fatalf("kustomize config/%s: %v", dir, err)
	}
	return all
}

// kustomize renders without a cluster.
func kustomize(t testing.TB, dir string) []*unstructured.Unstructured {
	t.Helper()
	var out []*unstructured.Unstructured
	for _, info := range infos(t, resource.NewLocalBuilder(), dir) {
		out = append(out, info.Object.(*unstructured.Unstructured))
	}
	return out
}

// TestKustomizationsApply applies each for real, on the server's side, and its
// pods in a namespace that enforces the restricted standard.
func TestKustomizationsApply(t *testing.T) {
	env := testenv.Cluster(t)
	for _, dir := range kustomizations {
		t.Run(dir, func(t *testing.T) {
			flags := genericclioptions.NewConfigFlags(false)
			flags.KubeConfig = &env.Kubeconfig
			applied := infos(t, resource.NewBuilder(flags), dir)
			t.Cleanup(func() { remove(t, applied) })
			for _, info := range applied {
				apply(t, info)
			}
			var objects []*unstructured.Unstructured
			for _, info := range applied {
				objects = append(objects, info.Object.(*unstructured.Unstructured))
			}
			createPods(t, env, "seatkeeper-system", deployments(t, objects))
		})
	}
}

func apply(t *testing.T, info *resource.Info) {
	t.Helper()
	body, err := json.Marshal(info.Object)
	if err != nil {
		t.Fatal(err)
	}
	helper := resource.NewHelper(info.Client, info.Mapping).WithFieldManager("packaging-test").WithFieldValidation("Strict")
	// Admission learns of a new namespace through a cache.
	gomega.NewWithT(t).Eventually(func() error {
		_, err := helper.Patch(info.Namespace, info.Name, types.ApplyPatchType, body, &metav1.PatchOptions{Force: ptr.To(true)})
		return err
	}).Should(gomega.Succeed(), "%s %s", info.Mapping.GroupVersionKind.Kind, info.Name)
}

// remove deletes what was applied, except for the CRDs and the namespace, which
// other tests need.
func remove(t *testing.T, applied []*resource.Info) {
	for _, info := range applied {
		if kind := info.Mapping.GroupVersionKind.Kind; kind == "CustomResourceDefinition" || kind == "Namespace" {
			continue
		}
		if _, err := resource.NewHelper(info.Client, info.Mapping).Delete(info.Namespace, info.Name); err != nil {
			t.Logf("delete %s %s: %v", info.Mapping.GroupVersionKind.Kind, info.Name, err)
		}
	}
}

func TestRoleOfTheManagerIsGenerated(t *testing.T) {
	for _, dir := range kustomizations {
		role := named(t, kustomize(t, dir), "ClusterRole", "seatkeeper-manager")
		chartRole := named(t, newHelm(t).render(t), "ClusterRole", "seatkeeper-manager")
		if got, want := mustJSON(t, role.Object["rules"]), mustJSON(t, chartRole.Object["rules"]); got != want {
			t.Errorf("config/%s and the chart give the manager different rights:\n%s\n%s", dir, got, want)
		}
	}
}

func mustJSON(t testing.TB, v any) string {
	t.Helper()
	out, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(out)
}
