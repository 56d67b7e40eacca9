// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"sigs.k8s.io/yaml"
)

const apiHead = "# API reference\n\n" +
	"Group `seatkeeper.dev`, version `v1alpha1`, category `saas` (`kubectl get saas`). Every\n" +
	"kind is namespaced, and a namespace is a tenant. `*` marks a required field.\n" +
	"[Concepts](concepts.md) says what the kinds are for, [`config/samples`](../config/samples)\n" +
	"has one of each, `kubectl explain` has the same text.\n\n"

// kindOrder is the order in which a user meets the kinds.
var kindOrder = []string{"Organization", "Integration", "Application", "Contract", "LicensePolicy", "Workflow", "WorkflowRun", "Connector", "AccessRequest", "APIKey"}

func writeAPI(b *bytes.Buffer, dir string) error {
	paths, err := filepath.Glob(filepath.Join(dir, "*.yaml"))
	if err != nil {
		return err
	}
	crds := map[string]*apiextensionsv1.CustomResourceDefinition{}
	for _, path := range paths {
		raw, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		crd := &apiextensionsv1.CustomResourceDefinition{}
		if err := yaml.UnmarshalStrict(raw, crd); err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
		crds[crd.Spec.Names.Kind] = crd
	}
	if len(crds) != len(kindOrder) {
		return fmt.Errorf("%s has %d kinds, this page knows %d: add it to kindOrder", dir, len(crds), len(kindOrder))
	}
	b.WriteString(apiHead)
	for _, kind := range kindOrder {
		fmt.Fprintf(b, "- [%s](#%s)\n", kind, strings.ToLower(kind))
	}
	for _, kind := range kindOrder {
		crd, ok := crds[kind]
		if !ok {
			return fmt.Errorf("no CRD of kind %s in %s", kind, dir)
		}
		writeKind(b, crd)
	}
	return nil
}

func writeKind(b *bytes.Buffer, crd *apiextensionsv1.CustomResourceDefinition) {
	names, version := crd.Spec.Names, crd.Spec.Versions[0]
	schema := version.Schema.OpenAPIV3Schema
	fmt.Fprintf(b, "\n## %s\n\n%s\n\n", names.Kind, strings.TrimSpace(schema.Description))
	fmt.Fprintf(b, "`kubectl get %s`", names.Plural)
	if len(names.ShortNames) > 0 {
		fmt.Fprintf(b, ", short `%s`", strings.Join(names.ShortNames, "`, `"))
	}
	b.WriteString("\n")
	for _, part := range []string{"spec", "status"} {
		s, ok := schema.Properties[part]
		if !ok {
			continue
		}
		t := &table{}
		t.walk(part, &s, false)
		fmt.Fprintf(b, "\n### %s %s\n\n| field | type | meaning |\n|---|---|---|\n%s", names.Kind, part, t.rows.String())
	}
}

// table collects the rows of one part of a kind.
type table struct{ rows bytes.Buffer }

// walk adds a row per field below a schema. Nested steps have the fields of
// spec.steps and are not repeated.
func (t *table) walk(path string, s *apiextensionsv1.JSONSchemaProps, inSteps bool) {
	for _, name := range slices.Sorted(maps.Keys(s.Properties)) {
		child := s.Properties[name]
		at := path + "." + name
		steps := isSteps(name, &child)
		t.row(at, &child, slices.Contains(s.Required, name), inSteps && steps)
		if inSteps && steps || name == "conditions" {
			continue
		}
		t.descend(at, &child, inSteps || steps)
	}
}

func (t *table) descend(at string, s *apiextensionsv1.JSONSchemaProps, inSteps bool) {
	switch {
	case s.Items != nil && s.Items.Schema != nil:
		t.descend(at+"[]", s.Items.Schema, inSteps)
	case s.AdditionalProperties != nil && s.AdditionalProperties.Schema != nil:
		t.descend(at+".KEY", s.AdditionalProperties.Schema, inSteps)
	default:
		t.walk(at, s, inSteps)
	}
}

// isSteps tells a list of steps by its items: they have a name and a
// condition to run.
func isSteps(name string, s *apiextensionsv1.JSONSchemaProps) bool {
	if s.Items == nil || s.Items.Schema == nil {
		return false
	}
	_, action := s.Items.Schema.Properties["action"]
	return strings.HasSuffix(strings.ToLower(name), "steps") || action
}

func (t *table) row(path string, s *apiextensionsv1.JSONSchemaProps, required, repeated bool) {
	text := s.Description
	if first, _, more := strings.Cut(text, "\n\n"); more && path != "spec" {
		text = first
	}
	if len(s.Enum) > 0 {
		text += " One of " + enum(s.Enum) + "."
	}
	if s.Default != nil {
		text += " Default " + plain(s.Default.Raw) + "."
	}
	if repeated {
		text += " Fields as in spec.steps."
	}
	star := ""
	if required {
		star = "*"
	}
	// The part's name says nothing in its own table.
	_, short, _ := strings.Cut(path, ".")
	fmt.Fprintf(&t.rows, "| `%s`%s | %s | %s |\n", short, star, typeOf(s), cell(text))
}

func enum(values []apiextensionsv1.JSON) string {
	out := make([]string, len(values))
	for i, v := range values {
		out[i] = plain(v.Raw)
	}
	return strings.Join(out, ", ")
}

// plain is a JSON value without the quotes of a string.
func plain(raw []byte) string {
	var s string
	if json.Unmarshal(raw, &s) == nil {
		return s
	}
	return string(raw)
}

func typeOf(s *apiextensionsv1.JSONSchemaProps) string {
	switch {
	case s.XIntOrString:
		return "integer or string"
	case s.Items != nil && s.Items.Schema != nil:
		return "list of " + typeOf(s.Items.Schema)
	case s.AdditionalProperties != nil && s.AdditionalProperties.Schema != nil:
		return "map to " + typeOf(s.AdditionalProperties.Schema)
	case s.Type == "":
		return "any"
	case s.Format == "date-time":
		return "time"
	}
	return s.Type
}
