// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package workflow

import (
	"context"
	"fmt"

	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/handler"

	"github.com/seatkeeper/seatkeeper/api/v1alpha1"
)

// namedIndex finds the Workflows that name an object: with a thousand of them and
// ten thousand Applications, reading all for each that comes or goes is quadratic.
const namedIndex = "spec.named"

// indexNamed has the cache know which Workflows name what.
func indexNamed(ctx context.Context, indexer client.FieldIndexer) error {
	if err := indexer.IndexField(ctx, &v1alpha1.Workflow{}, namedIndex, named); err != nil {
		return fmt.Errorf("index Workflows by what they name: %w", err)
	}
	return nil
}

// named are the objects that a Workflow names, by kind and name. What Integrations
// are about depends on more than that: a change of one concerns all.
func named(o client.Object) []string {
	w, ok := o.(*v1alpha1.Workflow)
	if !ok {
		return nil
	}
	p, err := translate(w.Spec)
	if err != nil {
		return nil // nothing but another spec mends it
	}
	var out []string
	for _, c := range p.calls {
		out = append(out, namedKey(v1alpha1.KindWorkflow, c.name))
	}
	for _, a := range p.apps {
		out = append(out, namedKey(v1alpha1.KindApplication, a.name))
	}
	if p.starts != nil && p.starts.License != nil && p.starts.License.Policy != "" {
		out = append(out, namedKey(v1alpha1.KindLicensePolicy, p.starts.License.Policy))
	}
	return out
}

func namedKey(kind, name string) string { return kind + "/" + name }

// naming has the Workflows looked at that name an object of a kind.
func (r *Reconciler) naming(kind string) handler.EventHandler {
	return handler.EnqueueRequestsFromMapFunc(func(ctx context.Context, o client.Object) []ctrl.Request {
		var all v1alpha1.WorkflowList
		err := r.Env.Client.List(ctx, &all, client.InNamespace(o.GetNamespace()), client.MatchingFields{namedIndex: namedKey(kind, o.GetName())}, client.UnsafeDisableDeepCopy)
		if err != nil {
			ctrl.LoggerFrom(ctx).Error(err, "Could not list the Workflows that name an object", "kind", kind, "namespace", o.GetNamespace(), "name", o.GetName())
			return nil
		}
		out := make([]ctrl.Request, len(all.Items))
		for i := range all.Items {
			out[i].NamespacedName = client.ObjectKeyFromObject(&all.Items[i])
		}
		return out
	})
}
