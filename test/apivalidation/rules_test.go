// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package apivalidation

import (
	"maps"
	"slices"
	"strings"
	"testing"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/dynamic"
	"sigs.k8s.io/yaml"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"

	"github.com/seatkeeper/seatkeeper/api/v1alpha1"
	"github.com/seatkeeper/seatkeeper/internal/testenv"
)

// ruleCase changes the kind's base object by a merge patch and says what the
// API server answers.
type ruleCase struct {
	name string
	// spec is merged into the base object's spec (RFC 7386: null removes).
	spec string
	// update, if set, is merged into the spec of the created object, and the
	// answer to the update is what counts.
	update string
	// objectName replaces the base object's name.
	objectName string
	// want is a part of the error; empty if the object is accepted.
	want string
}

// bases are the smallest valid objects of the kinds.
var bases = map[string]string{
	v1alpha1.KindOrganization:  `{}`,
	v1alpha1.KindIntegration:   `{connector: okta}`,
	v1alpha1.KindApplication:   `{}`,
	v1alpha1.KindContract:      `{applicationRef: {name: slack}, term: {start: "2026-01-01", end: "2026-12-31"}}`,
	v1alpha1.KindLicensePolicy: `{applicationRef: {name: slack}}`,
	v1alpha1.KindWorkflow:      `{trigger: {manual: {}}, steps: [{name: offboard, offboarding: {}}]}`,
	v1alpha1.KindWorkflowRun:   `{workflowRef: {name: leaver}}`,
	v1alpha1.KindConnector:     `{title: Timesheets, category: app}`,
	v1alpha1.KindAccessRequest: `{applicationRef: {name: slack}, person: jo@acme.example, requestedBy: jo}`,
	v1alpha1.KindAPIKey:        `{type: REST}`,
}

// TestRules runs every case against the API server, and then proves that every
// CEL rule of every CRD was broken by at least one of them.
func TestRules(t *testing.T) {
	client := newClient(t)
	namespace := testenv.Cluster(t).Namespace(t)
	for kind := range crds(t) {
		if len(ruleCases[kind]) == 0 {
			t.Errorf("no cases of kind %s", kind)
		}
	}
	for _, kind := range slices.Sorted(maps.Keys(ruleCases)) {
		var errors strings.Builder
		for _, c := range slices.Concat([]ruleCase{{name: "base"}}, ruleCases[kind]) {
			t.Run(kind+"/"+c.name, func(t *testing.T) {
				err := try(t, client, namespace, kind, c)
				switch {
				case c.want == "" && err != nil:
					t.Fatalf("refused: %v", err)
				case c.want != "" && err == nil:
					t.Fatalf("accepted; want an error with %q", c.want)
				case c.want != "" && !apierrors.IsInvalid(err) && !apierrors.IsBadRequest(err): // unknown fields are the latter
					t.Fatalf("error %v is not about validity", err)
				case c.want != "" && !strings.Contains(err.Error(), c.want):
					t.Fatalf("error %v; want it to contain %q", err, c.want)
				case err != nil:
					errors.WriteString(err.Error() + "\n")
				}
			})
		}
		for _, message := range ruleMessages(t, kind) {
			if !strings.Contains(errors.String(), message) {
				t.Errorf("%s: no case breaks the rule %q", kind, message)
			}
		}
	}
}

// ruleMessages returns the messages of the CEL rules of a kind's schema. The
// same rule in several places counts once.
func ruleMessages(t *testing.T, kind string) []string {
	messages := map[string]bool{}
	walkSchema(kind, crds(t)[kind].schema(), func(path string, s *apiextensionsv1.JSONSchemaProps) {
		for _, rule := range s.XValidations {
			if rule.Message == "" {
				t.Errorf("%s: rule %q has no message", path, rule.Rule)
			}
			messages[rule.Message] = true
		}
	})
	return slices.Sorted(maps.Keys(messages))
}

// try creates the object of a case, or creates and updates it, and returns the
// API server's answer.
func try(t *testing.T, client dynamic.Interface, namespace, kind string, c ruleCase) error {
	t.Helper()
	name := c.objectName
	if name == "" {
		if name = "case"; kind == v1alpha1.KindOrganization {
			name = v1alpha1.OrganizationName
		}
	}
	obj := &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": v1alpha1.GroupVersion.String(), "kind": kind,
		"metadata": map[string]any{"name": name, "namespace": namespace},
		"spec":     mergePatch(decode(t, bases[kind]), decode(t, c.spec)),
	}}
	objects := resources(t, client, obj)
	if c.update == "" {
		_, err := objects.Create(t.Context(), obj, metav1.CreateOptions{
			DryRun: []string{metav1.DryRunAll}, FieldValidation: metav1.FieldValidationStrict,
		})
		return err
	}
	created, err := objects.Create(t.Context(), obj, metav1.CreateOptions{FieldValidation: metav1.FieldValidationStrict})
	if err != nil {
		t.Fatalf("create the object to update: %v", err)
	}
	defer func() {
		if err := objects.Delete(t.Context(), name, metav1.DeleteOptions{}); err != nil {
			t.Errorf("delete: %v", err)
		}
	}()
	created.Object["spec"] = mergePatch(created.Object["spec"], decode(t, c.update))
	_, err = objects.Update(t.Context(), created, metav1.UpdateOptions{FieldValidation: metav1.FieldValidationStrict})
	return err
}

func decode(t *testing.T, text string) any {
	t.Helper()
	if text == "" {
		text = "{}"
	}
	var out map[string]any
	if err := yaml.UnmarshalStrict([]byte(text), &out); err != nil {
		t.Fatalf("%v in %s", err, text)
	}
	return out
}

// mergePatch applies a JSON merge patch (RFC 7386).
func mergePatch(target, patch any) any {
	changes, ok := patch.(map[string]any)
	if !ok {
		return patch
	}
	merged := map[string]any{}
	if fields, ok := target.(map[string]any); ok {
		maps.Copy(merged, fields)
	}
	for key, value := range changes {
		if value == nil {
			delete(merged, key)
		} else {
			merged[key] = mergePatch(merged[key], value)
		}
	}
	return merged
}
