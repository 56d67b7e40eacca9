// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

// Package apivalidation proves against a real API server what the schemas of
// the project's kinds accept and refuse.
package apivalidation

import (
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/dynamic"
	"sigs.k8s.io/yaml"

	"github.com/seatkeeper/seatkeeper/api/v1alpha1"
	"github.com/seatkeeper/seatkeeper/internal/testenv"
)

func TestMain(m *testing.M) { testenv.Start(m) }

// repoPath returns a path below the module's root.
func repoPath(t testing.TB, elements ...string) string {
	t.Helper()
	root, err := testenv.ModuleRoot()
	if err != nil {
		t.Fatal(err)
	}
	return filepath.Join(append([]string{root}, elements...)...)
}

// crdFile is a generated CRD and the file that holds it.
type crdFile struct {
	*apiextensionsv1.CustomResourceDefinition
	path string
	raw  []byte
}

// schema returns the schema of the only version.
func (c crdFile) schema() *apiextensionsv1.JSONSchemaProps {
	return c.Spec.Versions[0].Schema.OpenAPIV3Schema
}

// crds returns every generated CRD by kind.
func crds(t testing.TB) map[string]crdFile {
	t.Helper()
	read.Lock()
	defer read.Unlock()
	if read.crds == nil {
		read.crds = readCRDs(t)
	}
	return read.crds
}

// read holds what is read only once.
var read struct {
	sync.Mutex
	crds map[string]crdFile
}

func readCRDs(t testing.TB) map[string]crdFile {
	t.Helper()
	paths, err := filepath.Glob(repoPath(t, "config", "crd", "bases", "*.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]crdFile{}
	for _, path := range paths {
		raw, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		crd := &apiextensionsv1.CustomResourceDefinition{}
		if err := yaml.UnmarshalStrict(raw, crd); err != nil {
			t.Fatalf("%s: %v", path, err)
		}
		out[crd.Spec.Names.Kind] = crdFile{crd, path, raw}
	}
	if len(out) != 10 {
		t.Fatalf("found %d CRDs; want 10", len(out))
	}
	return out
}

// resources returns a client for the kind of obj in its namespace.
func resources(t testing.TB, client dynamic.Interface, obj *unstructured.Unstructured) dynamic.ResourceInterface {
	t.Helper()
	gvk := obj.GroupVersionKind()
	if gvk.Group == "" {
		return client.Resource(schema.GroupVersionResource{Version: gvk.Version, Resource: strings.ToLower(gvk.Kind) + "s"})
	}
	crd, ok := crds(t)[gvk.Kind]
	if !ok {
		t.Fatalf("no CRD of kind %s", gvk.Kind)
	}
	return client.Resource(v1alpha1.GroupVersion.WithResource(crd.Spec.Names.Plural)).Namespace(obj.GetNamespace())
}

func parse(t testing.TB, text string) *unstructured.Unstructured {
	t.Helper()
	obj := &unstructured.Unstructured{}
	if err := yaml.UnmarshalStrict([]byte(text), &obj.Object); err != nil {
		t.Fatalf("%v in\n%s", err, text)
	}
	return obj
}

func newClient(t testing.TB) dynamic.Interface {
	t.Helper()
	client, err := dynamic.NewForConfig(testenv.Cluster(t).Config)
	if err != nil {
		t.Fatal(err)
	}
	return client
}
