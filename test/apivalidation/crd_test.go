// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package apivalidation

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"testing"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/seatkeeper/seatkeeper/api/v1alpha1"
)

const maxCRDBytes = 200 << 10

func TestCRDSize(t *testing.T) {
	for kind, crd := range crds(t) {
		compact, err := json.Marshal(crd.CustomResourceDefinition)
		if err != nil {
			t.Fatal(err)
		}
		if len(crd.raw) >= maxCRDBytes || len(compact) >= maxCRDBytes {
			t.Errorf("%s: %d bytes as file, %d as JSON; want less than %d", kind, len(crd.raw), len(compact), maxCRDBytes)
		}
	}
}

// TestCRDsAreInstalled proves that the API server accepted every schema, with
// its CEL rules and their cost, and serves it.
func TestCRDsAreInstalled(t *testing.T) {
	client := newClient(t)
	for kind, crd := range crds(t) {
		list, err := client.Resource(v1alpha1.GroupVersion.WithResource(crd.Spec.Names.Plural)).List(t.Context(), metav1.ListOptions{})
		if err != nil {
			t.Errorf("%s: %v", kind, err)
		} else if list.GetKind() != kind+"List" {
			t.Errorf("%s: list has kind %s", kind, list.GetKind())
		}
	}
}

func TestCRDConventions(t *testing.T) {
	shortNames := map[string]string{}
	for kind, crd := range crds(t) {
		if crd.Spec.Group != v1alpha1.GroupName || crd.Spec.Scope != apiextensionsv1.NamespaceScoped || len(crd.Spec.Versions) != 1 {
			t.Errorf("%s: group %s, scope %s, %d versions", kind, crd.Spec.Group, crd.Spec.Scope, len(crd.Spec.Versions))
		}
		if !slices.Contains(crd.Spec.Names.Categories, "saas") || slices.Contains(crd.Spec.Names.Categories, "all") {
			t.Errorf("%s: categories %v; want saas and not all", kind, crd.Spec.Names.Categories)
		}
		if len(crd.Spec.Names.ShortNames) != 1 || !strings.HasPrefix(crd.Spec.Names.ShortNames[0], "sk") {
			t.Errorf("%s: short names %v; want one that begins with sk", kind, crd.Spec.Names.ShortNames)
		}
		for _, name := range crd.Spec.Names.ShortNames {
			if other, taken := shortNames[name]; taken {
				t.Errorf("%s and %s share the short name %s", kind, other, name)
			}
			shortNames[name] = kind
		}
		version := crd.Spec.Versions[0]
		if version.Subresources == nil || version.Subresources.Status == nil {
			t.Errorf("%s: no status subresource", kind)
		}
		status := crd.schema().Properties["status"]
		if status.Default == nil || string(status.Default.Raw) != `{"observedGeneration":-1}` {
			t.Errorf("%s: status has no default of observedGeneration -1", kind)
		}
		var wide []string
		for _, column := range version.AdditionalPrinterColumns {
			if column.Priority == 0 {
				wide = append(wide, column.Name)
			}
		}
		first := "Ready"
		if kind == v1alpha1.KindWorkflowRun {
			first = "Succeeded"
		}
		if len(wide) < 4 || wide[0] != first || wide[1] != "Reason" || wide[len(wide)-1] != "Age" {
			t.Errorf("%s: columns %v; want %s, Reason, …, Age", kind, wide, first)
		}
	}
}

// walkSchema calls fn for every schema below s with its path. Value validations
// such as oneOf are not entered.
func walkSchema(path string, s *apiextensionsv1.JSONSchemaProps, fn func(path string, s *apiextensionsv1.JSONSchemaProps)) {
	fn(path, s)
	for _, name := range slices.Sorted(maps.Keys(s.Properties)) {
		property := s.Properties[name]
		walkSchema(path+"."+name, &property, fn)
	}
	if s.Items != nil && s.Items.Schema != nil {
		walkSchema(path+"[]", s.Items.Schema, fn)
	}
	if s.AdditionalProperties != nil && s.AdditionalProperties.Schema != nil {
		walkSchema(path+"{}", s.AdditionalProperties.Schema, fn)
	}
}

// TestEverythingIsBounded checks rules 3, 7 and 8 of the API's style: bounds on
// everything, no floats, and a list type on every list.
func TestEverythingIsBounded(t *testing.T) {
	// LabelSelector and Condition are types of apimachinery.
	foreign := func(path string) bool {
		return strings.Contains(path, ".applicationSelector") || strings.Contains(path, ".status.conditions[]")
	}
	for kind, crd := range crds(t) {
		for _, top := range []string{"spec", "status"} {
			schema := crd.schema().Properties[top]
			walkSchema(kind+"."+top, &schema, func(path string, s *apiextensionsv1.JSONSchemaProps) {
				if foreign(path) {
					return
				}
				switch s.Type {
				case "string":
					if s.MaxLength == nil && len(s.Enum) == 0 && s.Format != "date-time" {
						t.Errorf("%s: a string needs maxLength, enum or format", path)
					}
				case "array":
					if s.MaxItems == nil {
						t.Errorf("%s: a list needs maxItems", path)
					}
					if s.XListType == nil {
						t.Errorf("%s: a list needs a list type", path)
					}
				case "object":
					if s.AdditionalProperties != nil && s.MaxProperties == nil {
						t.Errorf("%s: a map needs maxProperties", path)
					}
					if s.AdditionalProperties == nil && len(s.Properties) == 0 {
						t.Errorf("%s: an object needs properties", path)
					}
				case "integer":
					if top == "spec" && s.Minimum == nil && !strings.HasSuffix(path, ".minor") {
						t.Errorf("%s: a number needs a minimum", path)
					}
				case "number":
					t.Errorf("%s: floats are not used", path)
				case "":
					if s.XPreserveUnknownFields == nil {
						t.Errorf("%s: a free value must preserve unknown fields", path)
					}
				}
			})
		}
	}
}
