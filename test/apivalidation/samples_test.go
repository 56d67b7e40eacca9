// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package apivalidation

import (
	"encoding/json"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/dynamic"
	"sigs.k8s.io/yaml"

	"github.com/seatkeeper/seatkeeper/api/v1alpha1"
)

const sampleNamespace = "acme"

// sample is a resource of config/samples.
type sample struct {
	path string
	obj  *unstructured.Unstructured
}

// samples returns every sample, namespaces first.
func samples(t *testing.T) []sample {
	t.Helper()
	root := repoPath(t, "config", "samples")
	var out []sample
	err := filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || filepath.Ext(path) != ".yaml" || entry.Name() == "kustomization.yaml" {
			return err
		}
		raw, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		relative, err := filepath.Rel(root, path)
		out = append(out, sample{relative, parse(t, string(raw))})
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	for i := range out {
		if out[i].obj.GetKind() != "Namespace" && out[i].obj.GetNamespace() == "" {
			out[i].obj.SetNamespace(sampleNamespace)
		}
	}
	slices.SortStableFunc(out, func(a, b sample) int {
		return boolCompare(b.obj.GetKind() == "Namespace", a.obj.GetKind() == "Namespace")
	})
	return out
}

func boolCompare(a, b bool) int {
	switch {
	case a == b:
		return 0
	case a:
		return 1
	}
	return -1
}

func TestEveryKindHasASample(t *testing.T) {
	kinds := map[string]bool{}
	for _, s := range samples(t) {
		kinds[s.obj.GetKind()] = true
	}
	for kind := range crds(t) {
		if !kinds[kind] {
			t.Errorf("config/samples has no %s", kind)
		}
	}
	if kinds["Secret"] {
		t.Error("config/samples has a Secret; secrets do not belong into git")
	}
}

// TestKustomizationsListEverySample finds files that nobody applies.
func TestKustomizationsListEverySample(t *testing.T) {
	for _, dir := range []string{"config/samples", "config/samples/acme", "config/crd/bases"} {
		listing := filepath.Join(dir, "kustomization.yaml")
		prefix := ""
		if filepath.Base(dir) == "bases" {
			listing, prefix = "config/crd/kustomization.yaml", "bases/"
		}
		raw, err := os.ReadFile(repoPath(t, listing))
		if err != nil {
			t.Fatal(err)
		}
		var kustomization struct {
			Resources []string `json:"resources"`
		}
		if err := yaml.Unmarshal(raw, &kustomization); err != nil {
			t.Fatal(err)
		}
		var files []string
		paths, _ := filepath.Glob(repoPath(t, dir, "*.yaml"))
		for _, path := range paths {
			if name := filepath.Base(path); name != "kustomization.yaml" {
				files = append(files, prefix+name)
			}
		}
		listed := slices.Sorted(slices.Values(kustomization.Resources))
		if diff := cmp.Diff(files, listed); diff != "" {
			t.Errorf("%s does not list the files of %s (-files +listed):\n%s", listing, dir, diff)
		}
	}
}

// TestSamplesDecodeWithoutLoss proves that the Go types know every field that a
// sample sets and write it back as it was.
func TestSamplesDecodeWithoutLoss(t *testing.T) {
	scheme := runtime.NewScheme()
	if err := v1alpha1.AddToScheme(scheme); err != nil {
		t.Fatal(err)
	}
	for _, s := range samples(t) {
		if s.obj.GetKind() == "Namespace" {
			continue
		}
		t.Run(s.path, func(t *testing.T) {
			raw, err := json.Marshal(s.obj)
			if err != nil {
				t.Fatal(err)
			}
			typed, err := scheme.New(s.obj.GroupVersionKind())
			if err != nil {
				t.Fatal(err)
			}
			if err := yaml.UnmarshalStrict(raw, typed); err != nil {
				t.Fatal(err)
			}
			back, err := json.Marshal(typed.DeepCopyObject())
			if err != nil {
				t.Fatal(err)
			}
			got := parse(t, string(back))
			// Defaults that the Go type writes and a manifest leaves out.
			for _, field := range []string{"stop", "dryRun", "revoked"} {
				if _, set, _ := unstructured.NestedBool(s.obj.Object, "spec", field); !set {
					unstructured.RemoveNestedField(got.Object, "spec", field)
				}
			}
			if diff := cmp.Diff(s.obj.Object["spec"], got.Object["spec"]); diff != "" {
				t.Errorf("spec changed on its way through the Go type (-sample +typed):\n%s", diff)
			}
		})
	}
}

func apply(t *testing.T, client dynamic.Interface, obj *unstructured.Unstructured, dryRun ...string) (*unstructured.Unstructured, error) {
	t.Helper()
	raw, err := json.Marshal(obj)
	if err != nil {
		t.Fatal(err)
	}
	return resources(t, client, obj).Patch(t.Context(), obj.GetName(), types.ApplyPatchType, raw, metav1.PatchOptions{
		FieldManager: "apivalidation", FieldValidation: metav1.FieldValidationStrict, DryRun: dryRun,
	})
}

// TestSamplesApply applies every sample as GitOps tools do, twice: the second
// time must change nothing, or a GitOps tool would write for ever.
//
// The status of a new object is a default that the API server does not store,
// so that the next write of any kind stores it. In between stands the first
// status that a controller writes, as in life.
func TestSamplesApply(t *testing.T) {
	client := newClient(t)
	for _, s := range samples(t) {
		t.Run(s.path, func(t *testing.T) {
			if _, err := apply(t, client, s.obj, metav1.DryRunAll); err != nil {
				t.Fatalf("dry run: %v", err)
			}
			first, err := apply(t, client, s.obj)
			if err != nil {
				t.Fatal(err)
			}
			if s.obj.GetKind() == "Namespace" {
				return
			}
			if got, _, _ := unstructured.NestedInt64(first.Object, "status", "observedGeneration"); got != -1 {
				t.Errorf("status.observedGeneration = %d on a new object; want -1, or kstatus calls it current", got)
			}
			first, err = resources(t, client, s.obj).Patch(t.Context(), s.obj.GetName(), types.MergePatchType,
				[]byte(`{"status":{"observedGeneration":1}}`), metav1.PatchOptions{FieldManager: "controller"}, "status")
			if err != nil {
				t.Fatal(err)
			}
			second, err := apply(t, client, s.obj)
			if err != nil {
				t.Fatal(err)
			}
			if first.GetResourceVersion() != second.GetResourceVersion() || first.GetGeneration() != second.GetGeneration() {
				t.Errorf("the second apply wrote:\n%s", cmp.Diff(first.Object, second.Object))
			}
		})
	}
}

// TestUnknownFieldsAreRefused proves that a misspelt field does not vanish
// unseen.
func TestUnknownFieldsAreRefused(t *testing.T) {
	client := newClient(t)
	namespace := sampleNamespaceOf(t, client)
	for _, s := range samples(t) {
		if s.obj.GetKind() == "Namespace" {
			continue
		}
		obj := s.obj.DeepCopy()
		obj.SetNamespace(namespace)
		if err := unstructured.SetNestedField(obj.Object, "x", "spec", "noSuchField"); err != nil {
			t.Fatal(err)
		}
		if _, err := apply(t, client, obj, metav1.DryRunAll); err == nil || !strings.Contains(err.Error(), "noSuchField") {
			t.Errorf("%s with spec.noSuchField: error %v; want one that names the field", s.path, err)
		}
	}
}

func sampleNamespaceOf(t *testing.T, client dynamic.Interface) string {
	t.Helper()
	ns := parse(t, "{apiVersion: v1, kind: Namespace, metadata: {name: "+sampleNamespace+"}}")
	if _, err := resources(t, client, ns).Create(t.Context(), ns, metav1.CreateOptions{}); err != nil && !apierrors.IsAlreadyExists(err) {
		t.Fatal(err)
	}
	return sampleNamespace
}
