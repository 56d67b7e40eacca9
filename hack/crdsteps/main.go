// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

// Command crdsteps rewrites the schema of nested steps in the CRD of Workflow,
// in place. Steps nest three levels deep and hold free values, which
// has consequences:
//
//   - The API server bounds the cost of a CEL rule by how often it could run.
//     At the innermost level that is 64 steps × 16 cases × 16 steps × 16 cases ×
//     16 steps, beyond which no rule is admitted, so the rules there are
//     rewritten to value validations (oneOf, anyOf, not), which are not costed.
//   - A CEL rule cannot see a field of any type, such as a request's body. A rule
//     that names one is rewritten at every level.
//   - Every description would stand in the CRD seven times. The nested levels
//     leave them out; they are the same as those of spec.steps.
//
// Indentation is most of so deep a file, so the innermost level is written in
// flow style.
package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"regexp"
	"strings"

	yamlv3 "go.yaml.in/yaml/v3"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"sigs.k8s.io/yaml"
)

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: crdsteps FILE")
		os.Exit(2)
	}
	if err := run(os.Args[1]); err != nil {
		fmt.Fprintf(os.Stderr, "crdsteps: %s: %v\n", os.Args[1], err)
		os.Exit(1)
	}
}

func run(path string) error {
	raw, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	crd := &apiextensionsv1.CustomResourceDefinition{}
	if err := yaml.UnmarshalStrict(raw, crd); err != nil {
		return err
	}
	for i := range crd.Spec.Versions {
		spec := crd.Spec.Versions[i].Schema.OpenAPIV3Schema.Properties["spec"]
		if err := rewriteSpec(&spec); err != nil {
			return fmt.Errorf("version %s: %w", crd.Spec.Versions[i].Name, err)
		}
		crd.Spec.Versions[i].Schema.OpenAPIV3Schema.Properties["spec"] = spec
	}
	out, err := yaml.Marshal(map[string]any{
		"apiVersion": crd.APIVersion, "kind": crd.Kind, "metadata": metadata(crd), "spec": crd.Spec,
	})
	if err != nil {
		return err
	}
	if out, err = compact(out); err != nil {
		return err
	}
	return os.WriteFile(path, append([]byte("---\n"), out...), 0o644)
}

// flowDepth is how deep the innermost level of steps begins.
const flowDepth = 23

// compact writes what is nested deeply in flow style.
func compact(in []byte) ([]byte, error) {
	var doc yamlv3.Node
	if err := yamlv3.Unmarshal(in, &doc); err != nil {
		return nil, err
	}
	var visit func(n *yamlv3.Node, depth int)
	visit = func(n *yamlv3.Node, depth int) {
		if depth >= flowDepth && n.Kind != yamlv3.ScalarNode {
			n.Style = yamlv3.FlowStyle
			return
		}
		for _, c := range n.Content {
			visit(c, depth+1)
		}
	}
	visit(&doc, 0)
	var out bytes.Buffer
	encoder := yamlv3.NewEncoder(&out)
	encoder.SetIndent(2)
	if err := encoder.Encode(&doc); err != nil {
		return nil, err
	}
	return out.Bytes(), encoder.Close()
}

// metadata leaves out what the Go type always writes, such as creationTimestamp.
func metadata(crd *apiextensionsv1.CustomResourceDefinition) map[string]any {
	m := map[string]any{"name": crd.Name}
	if len(crd.Annotations) > 0 {
		m["annotations"] = crd.Annotations
	}
	return m
}

func rewriteSpec(spec *apiextensionsv1.JSONSchemaProps) error {
	steps, ok := spec.Properties["steps"]
	if !ok || steps.Items == nil {
		return errors.New("spec.steps is missing")
	}
	leaves := 0
	leaf := func(s *apiextensionsv1.JSONSchemaProps) error {
		leaves++
		return withoutCEL(s, "leaf step")
	}
	if err := untypedWithoutCEL(steps.Items.Schema); err != nil {
		return err
	}
	inner := func(s *apiextensionsv1.JSONSchemaProps) error {
		withoutDescriptions(s)
		return eachNested(s, leaf)
	}
	if err := eachNested(steps.Items.Schema, inner); err != nil {
		return err
	}
	onFailure, ok := spec.Properties["onFailure"]
	if !ok || onFailure.Items == nil {
		return errors.New("spec.onFailure is missing")
	}
	withoutDescriptions(onFailure.Items.Schema)
	if err := leaf(onFailure.Items.Schema); err != nil {
		return err
	}
	// One in onFailure; a switch and a forEach inside each of a switch and a
	// forEach.
	if leaves != 5 {
		return fmt.Errorf("found %d places for leaf steps; want 5", leaves)
	}
	return nil
}

// eachNested calls fn for the schema of the steps inside a step.
func eachNested(step *apiextensionsv1.JSONSchemaProps, fn func(*apiextensionsv1.JSONSchemaProps) error) error {
	forEach, okForEach := step.Properties["forEach"]
	cases, okCases := step.Properties["switch"]
	if !okForEach || !okCases || cases.Items == nil {
		return errors.New("a step has no switch or no forEach")
	}
	for _, holder := range []*apiextensionsv1.JSONSchemaProps{&forEach, cases.Items.Schema} {
		nested, ok := holder.Properties["steps"]
		if !ok || nested.Items == nil {
			return errors.New("a switch or forEach has no steps")
		}
		if err := fn(nested.Items.Schema); err != nil {
			return err
		}
	}
	return nil
}

func withoutDescriptions(s *apiextensionsv1.JSONSchemaProps) {
	_ = walk(s, "", func(s *apiextensionsv1.JSONSchemaProps, _ string) error {
		s.Description = ""
		return nil
	})
}

func withoutCEL(s *apiextensionsv1.JSONSchemaProps, path string) error {
	return walk(s, path, func(s *apiextensionsv1.JSONSchemaProps, path string) error {
		return rewriteRules(s, path, func(string) bool { return true })
	})
}

func untypedWithoutCEL(s *apiextensionsv1.JSONSchemaProps) error {
	return walk(s, "step", func(s *apiextensionsv1.JSONSchemaProps, path string) error {
		return rewriteRules(s, path, func(rule string) bool {
			for _, field := range sumField.FindAllStringSubmatch(rule, -1) {
				if s.Properties[field[1]].Type == "" {
					return true
				}
			}
			return false
		})
	})
}

// rewriteRules replaces the CEL rules of s that are selected.
func rewriteRules(s *apiextensionsv1.JSONSchemaProps, path string, selected func(rule string) bool) error {
	var kept apiextensionsv1.ValidationRules
	for _, v := range s.XValidations {
		if !selected(v.Rule) {
			kept = append(kept, v)
			continue
		}
		validation, err := valueValidation(v.Rule)
		if err != nil {
			return fmt.Errorf("%s: rule %q: %w", path, v.Rule, err)
		}
		s.AllOf = append(s.AllOf, validation)
	}
	s.XValidations = kept
	return nil
}

// walk calls fn for s and every schema inside it. Value validations are not
// entered.
func walk(s *apiextensionsv1.JSONSchemaProps, path string, fn func(*apiextensionsv1.JSONSchemaProps, string) error) error {
	if err := fn(s, path); err != nil {
		return err
	}
	for name, property := range s.Properties {
		if err := walk(&property, path+"."+name, fn); err != nil {
			return err
		}
		s.Properties[name] = property
	}
	if s.Items != nil && s.Items.Schema != nil {
		if err := walk(s.Items.Schema, path+"[]", fn); err != nil {
			return err
		}
	}
	if s.AdditionalProperties != nil && s.AdditionalProperties.Schema != nil {
		return walk(s.AdditionalProperties.Schema, path+"{}", fn)
	}
	return nil
}

var (
	sumRule  = regexp.MustCompile(`^(?:\(has\(self\.\w+\)\?1:0\)\+?)+ (==|<=) 1$`)
	sumField = regexp.MustCompile(`has\(self\.(\w+)\)`)
	term     = regexp.MustCompile(`^(!?)has\(self\.(\w+)\)$|^self\.(\w+) (==|!=) '([^']*)'$`)
)

// valueValidation translates a CEL rule. It knows the sums that controller-gen
// writes for ExactlyOneOf and AtMostOneOf (of two), and disjunctions of
// has(self.f), !has(self.f), self.f == 'v' and self.f != 'v'.
func valueValidation(rule string) (apiextensionsv1.JSONSchemaProps, error) {
	var none apiextensionsv1.JSONSchemaProps
	if m := sumRule.FindStringSubmatch(rule); m != nil {
		var fields []string
		for _, f := range sumField.FindAllStringSubmatch(rule, -1) {
			fields = append(fields, f[1])
		}
		if m[1] == "==" {
			return oneRequired(fields), nil
		}
		if len(fields) != 2 {
			return none, errors.New("at most one of more than two fields is not known here")
		}
		return negate(apiextensionsv1.JSONSchemaProps{Required: fields}), nil
	}
	var any []apiextensionsv1.JSONSchemaProps
	for _, text := range strings.Split(rule, " || ") {
		m := term.FindStringSubmatch(text)
		switch {
		case m == nil:
			return none, fmt.Errorf("%q cannot be translated", text)
		case m[2] != "" && m[1] == "":
			any = append(any, apiextensionsv1.JSONSchemaProps{Required: []string{m[2]}})
		case m[2] != "":
			any = append(any, negate(apiextensionsv1.JSONSchemaProps{Required: []string{m[2]}}))
		case m[4] == "==":
			any = append(any, equals(m[3], m[5]))
		default:
			any = append(any, negate(equals(m[3], m[5])))
		}
	}
	return apiextensionsv1.JSONSchemaProps{AnyOf: any}, nil
}

func oneRequired(fields []string) apiextensionsv1.JSONSchemaProps {
	var one []apiextensionsv1.JSONSchemaProps
	for _, f := range fields {
		one = append(one, apiextensionsv1.JSONSchemaProps{Required: []string{f}})
	}
	return apiextensionsv1.JSONSchemaProps{OneOf: one}
}

func equals(field, value string) apiextensionsv1.JSONSchemaProps {
	return apiextensionsv1.JSONSchemaProps{
		Required: []string{field},
		Properties: map[string]apiextensionsv1.JSONSchemaProps{
			field: {Enum: []apiextensionsv1.JSON{{Raw: []byte(`"` + value + `"`)}}},
		},
	}
}

func negate(s apiextensionsv1.JSONSchemaProps) apiextensionsv1.JSONSchemaProps {
	return apiextensionsv1.JSONSchemaProps{Not: &s}
}
