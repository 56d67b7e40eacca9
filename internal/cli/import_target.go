// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"context"
	"fmt"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/dynamic"
	"sigs.k8s.io/yaml"

	"github.com/seatkeeper/seatkeeper/internal/connector/csvfile"
)

var (
	namespaceGVR    = schema.GroupVersionResource{Version: "v1", Resource: "namespaces"}
	integrationsGVR = schema.GroupVersionResource{Group: "seatkeeper.dev", Version: "v1alpha1", Resource: "integrations"}
	applicationsGVR = schema.GroupVersionResource{Group: "seatkeeper.dev", Version: "v1alpha1", Resource: "applications"}
)

// ensureImportTarget makes what the import needs and is not there yet, and
// prints it: from then on it belongs into git.
func ensureImportTarget(ctx context.Context, e *env, namespace string, o importOptions, r *csvfile.Result) error {
	cfg, err := e.kube.ToRESTConfig()
	if err != nil {
		return err
	}
	client, err := dynamic.NewForConfig(cfg)
	if err != nil {
		return err
	}
	existing, err := client.Resource(integrationsGVR).Namespace(namespace).Get(ctx, o.name, metav1.GetOptions{})
	if err == nil {
		connector, _, _ := unstructured.NestedString(existing.Object, "spec", "connector")
		if connector != "csv" {
			return fmt.Errorf("integration %s in namespace %s has the connector %q, not csv: choose another --name", o.name, namespace, connector)
		}
		return nil
	}
	if !apierrors.IsNotFound(err) {
		return fmt.Errorf("look for the Integration %s: %w", o.name, err)
	}
	for _, step := range []struct {
		gvr schema.GroupVersionResource
		obj *unstructured.Unstructured
	}{
		{namespaceGVR, object("v1", "Namespace", "", namespace, nil)},
		{integrationsGVR, object("seatkeeper.dev/v1alpha1", "Integration", namespace, o.name, integrationSpec(o, r))},
		{applicationsGVR, object("seatkeeper.dev/v1alpha1", "Application", namespace, o.name, map[string]any{
			"displayName": o.name, "integrationRefs": []any{map[string]any{"name": o.name}},
		})},
	} {
		var res dynamic.ResourceInterface = client.Resource(step.gvr)
		if step.gvr != namespaceGVR {
			res = client.Resource(step.gvr).Namespace(namespace)
		}
		_, err := res.Create(ctx, step.obj, metav1.CreateOptions{FieldManager: "seatkeeper-import"})
		if apierrors.IsAlreadyExists(err) {
			continue
		}
		if err != nil {
			return fmt.Errorf("create the %s %s: %w", step.obj.GetKind(), step.obj.GetName(), err)
		}
		text, err := yaml.Marshal(step.obj.Object)
		if err != nil {
			return err
		}
		e.say("Created; keep it in git:\n---\n%s", text)
	}
	return nil
}

func integrationSpec(o importOptions, r *csvfile.Result) map[string]any {
	config := map[string]any{"format": r.Format}
	if len(o.columns) > 0 {
		columns := map[string]any{}
		for k, v := range o.columns {
			columns[k] = v
		}
		config["columns"] = columns
	}
	for key, v := range map[string]string{"dateFormat": o.dateFormat, "delimiter": o.delimiter} {
		if v != "" {
			config[key] = v
		}
	}
	return map[string]any{"connector": "csv", "config": config, "interval": "24h"}
}

func object(apiVersion, kind, namespace, name string, spec map[string]any) *unstructured.Unstructured {
	meta := map[string]any{"name": name}
	if namespace != "" {
		meta["namespace"] = namespace
	}
	o := map[string]any{"apiVersion": apiVersion, "kind": kind, "metadata": meta}
	if spec != nil {
		o["spec"] = spec
	}
	return &unstructured.Unstructured{Object: o}
}
