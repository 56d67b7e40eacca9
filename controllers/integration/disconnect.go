// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/seatkeeper/seatkeeper/api/v1alpha1"
	"github.com/seatkeeper/seatkeeper/internal/reconcile"
)

// heldRecheck is the net below the watches on dependents.
const heldRecheck = time.Minute

// delete holds a deleted Integration while others depend on it, and disconnects
// when nothing does, a person confirmed, or the namespace itself goes
// (decision 17). It needs no credentials.
func (r *Reconciler) delete(ctx context.Context, obj *v1alpha1.Integration, c *reconcile.Conditions) (bool, reconcile.Outcome, error) {
	why, dependents, err := r.mayDisconnect(ctx, obj)
	if err != nil {
		return false, reconcile.Outcome{}, err
	}
	if why == "" {
		c.Keep(v1alpha1.ConditionWebhookReady)
		return false, reconcile.Outcome{}, r.hold(ctx, obj, c, dependents)
	}
	retain, err := days(obj.Spec.RetainFor)
	if err != nil {
		retain = defaultRetainFor // an unreadable time must not keep the object for ever
	}
	if err := r.Backend.Disconnect(ctx, obj.Namespace, obj.Name, why, retain); err != nil {
		return false, reconcile.Outcome{}, reconcile.Transient(err, v1alpha1.ReasonStoreUnavailable, "the store did not take the disconnect")
	}
	r.Env.Events.Normal(obj, v1alpha1.ReasonDisconnecting, "Disconnect", "disconnected: "+why)
	return true, reconcile.Outcome{}, nil
}

// mayDisconnect says why the disconnect may go on, or what holds it.
func (r *Reconciler) mayDisconnect(ctx context.Context, obj *v1alpha1.Integration) (why string, dependents []string, err error) {
	if obj.Annotations[v1alpha1.ConfirmDisconnectAnnotation] == string(obj.UID) {
		return "confirmed by annotation", nil, nil
	}
	var ns corev1.Namespace
	err = r.Reader.Get(ctx, types.NamespacedName{Name: obj.Namespace}, &ns)
	if apierrors.IsNotFound(err) || err == nil && !ns.DeletionTimestamp.IsZero() {
		return "the namespace is being deleted", nil, nil
	}
	if err != nil {
		return "", nil, fmt.Errorf("read the namespace: %w", err)
	}
	dependents, err = r.dependents(ctx, obj)
	if err == nil && len(dependents) == 0 {
		why = "nothing depends on it"
	}
	return why, dependents, err
}

// hold keeps the Integration syncing and from acting, and lists what breaks.
func (r *Reconciler) hold(ctx context.Context, obj *v1alpha1.Integration, c *reconcile.Conditions, dependents []string) error {
	list := reconcile.List(dependents, 10)
	message := fmt.Sprintf("deleted, and held because these name it: %s. No account at the vendor changes either way; its rows would be hidden. "+
		"Remove them, or confirm: kubectl annotate integration %s -n %s --overwrite %s=$(kubectl get integration %s -n %s -o jsonpath={.metadata.uid})",
		list, obj.Name, obj.Namespace, v1alpha1.ConfirmDisconnectAnnotation, obj.Name, obj.Namespace)
	c.True(v1alpha1.ConditionDisconnectHeld, v1alpha1.ReasonDependentsExist, message)
	r.Env.Events.Warning(obj, v1alpha1.ReasonDependentsExist, "Disconnect", message)

	spec, state, problem, err := r.handOver(ctx, obj, true)
	if err == nil && problem == nil {
		overridden, problem, checkErr := r.check(ctx, obj, &spec)
		if checkErr == nil && problem == nil {
			err = r.Backend.HandOver(ctx, HandOver{Namespace: obj.Namespace, Name: obj.Name, UID: string(obj.UID), Generation: obj.Generation, Spec: spec})
		}
		report(obj, c, spec, state, overridden)
	}
	if err != nil || problem != nil {
		// Syncing on is a courtesy; the hold itself must be seen.
		c.Keep(v1alpha1.ConditionTested)
		c.Keep(v1alpha1.ConditionSynced)
	}
	return reconcile.Waiting(v1alpha1.ReasonDependentsExist, heldRecheck, "%s", message)
}

// dependents lists what names the Integration, as Kind/name.
func (r *Reconciler) dependents(ctx context.Context, obj *v1alpha1.Integration) ([]string, error) {
	var out []string
	for kind, list := range map[string]client.ObjectList{
		v1alpha1.KindApplication: &v1alpha1.ApplicationList{}, v1alpha1.KindLicensePolicy: &v1alpha1.LicensePolicyList{},
		v1alpha1.KindWorkflow: &v1alpha1.WorkflowList{}, v1alpha1.KindOrganization: &v1alpha1.OrganizationList{},
	} {
		if err := r.Env.Client.List(ctx, list, client.InNamespace(obj.Namespace)); err != nil {
			return nil, fmt.Errorf("list what depends on the Integration: %w", err)
		}
		for _, d := range items(list) {
			names, err := namesIntegration(d.spec, obj.Name)
			if err != nil {
				return nil, err
			}
			if names && d.GetDeletionTimestamp().IsZero() {
				out = append(out, kind+"/"+d.GetName())
			}
		}
	}
	return out, nil
}

// dependent is a resource that may name an Integration.
type dependent struct {
	client.Object
	spec any
}

func items(list client.ObjectList) []dependent {
	var out []dependent
	switch l := list.(type) {
	case *v1alpha1.ApplicationList:
		for i := range l.Items {
			out = append(out, dependent{&l.Items[i], l.Items[i].Spec})
		}
	case *v1alpha1.LicensePolicyList:
		for i := range l.Items {
			out = append(out, dependent{&l.Items[i], l.Items[i].Spec})
		}
	case *v1alpha1.WorkflowList:
		for i := range l.Items {
			out = append(out, dependent{&l.Items[i], l.Items[i].Spec})
		}
	case *v1alpha1.OrganizationList:
		for i := range l.Items {
			out = append(out, dependent{&l.Items[i], l.Items[i].Spec})
		}
	}
	return out
}

// references are the places where a spec names Integrations: a field
// integration anywhere, and lists of objects keyed by the name of one.
var references = map[string]bool{"integrationRefs": true, "offboarding": true}

// namesIntegration walks the spec as JSON, so that a field that a later version
// adds below a step or a channel counts as well.
func namesIntegration(spec any, name string) (bool, error) {
	data, err := json.Marshal(spec)
	if err != nil {
		return false, fmt.Errorf("encode a possible dependent: %w", err)
	}
	var tree any
	if err := json.Unmarshal(data, &tree); err != nil {
		return false, fmt.Errorf("decode a possible dependent: %w", err)
	}
	return walk(tree, name), nil
}

func walk(node any, name string) bool {
	switch n := node.(type) {
	case []any:
		for _, v := range n {
			if walk(v, name) {
				return true
			}
		}
	case map[string]any:
		for k, v := range n {
			if k == "integration" && v == name || references[k] && listNames(v, name) || k == "sources" && contains(v, name) || walk(v, name) {
				return true
			}
		}
	}
	return false
}

func listNames(v any, name string) bool {
	list, _ := v.([]any)
	for _, item := range list {
		if m, ok := item.(map[string]any); ok && m["name"] == name {
			return true
		}
	}
	return false
}

func contains(v any, name string) bool {
	list, _ := v.([]any)
	for _, item := range list {
		if item == name {
			return true
		}
	}
	return false
}

// gone hides the rows of an Integration whose finalizer somebody took away:
// the rows of what is not there are not to be seen either.
func (r *Reconciler) gone(ctx context.Context, key types.NamespacedName) error {
	return r.Backend.Disconnect(ctx, key.Namespace, key.Name, "the resource is gone", defaultRetainFor)
}
