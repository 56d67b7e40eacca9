// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package apikey

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/seatkeeper/seatkeeper/api/v1alpha1"
	"github.com/seatkeeper/seatkeeper/internal/reconcile"
)

// tokenKey is the key of a delivered Secret.
const tokenKey = "token"

// recheck is how often a Secret in the way is looked at again: nothing watches
// Secrets (decision 12).
const recheck = time.Minute

const fieldOwner = client.FieldOwner(v1alpha1.FieldOwnerPrefix + "apikey")

// deliver makes a token for the Secret that the spec names, once for each name:
// naming another Secret is how a delivered key is rotated. After a crash between
// the token and its Secret the token is replaced; nobody has seen it.
func (r *Reconciler) deliver(ctx context.Context, obj *v1alpha1.APIKey, state State) (State, error) {
	to := obj.Spec.DeliverTo
	if to == nil {
		return state, nil
	}
	name := string(to.SecretName)
	var pending *Token
	for i, t := range state.Tokens {
		if t.Secret != name {
			continue
		}
		if t.Delivered != nil {
			return state, nil
		}
		if t.Works {
			pending = &state.Tokens[i]
		}
	}
	have, err := r.read(ctx, obj, name)
	if err != nil {
		return state, err
	}
	if have != nil && pending != nil && ours(have, obj) && have.Annotations[v1alpha1.KeyIDAnnotation] == pending.KeyID && len(have.Data[tokenKey]) > 0 {
		return r.delivered(ctx, obj, pending.KeyID)
	}
	if have != nil && !(ours(have, obj) && (len(have.Data) == 0 || pending != nil)) {
		return state, reconcile.Waiting(v1alpha1.ReasonDeliveryConflict, recheck,
			"spec.deliverTo.secretName: a Secret %s exists already and was not made for this key; delete it, or name another", name)
	}
	keyID, token, err := r.Backend.Issue(ctx, obj.Namespace, obj.Name, name)
	if err != nil {
		return state, unavailable(err)
	}
	if err := r.writeSecret(ctx, obj, have, name, keyID, token); err != nil {
		return state, err
	}
	r.Env.Events.Normal(obj, v1alpha1.ReasonIssued, "Deliver", fmt.Sprintf("key %s was delivered to Secret %s", keyID, name))
	return r.delivered(ctx, obj, keyID)
}

func (r *Reconciler) delivered(ctx context.Context, obj *v1alpha1.APIKey, keyID string) (State, error) {
	spec, err := specOf(obj)
	if err != nil {
		return State{}, err
	}
	if err := r.Backend.Delivered(ctx, obj.Namespace, keyID); err != nil {
		return State{}, unavailable(err)
	}
	state, err := r.Backend.Declare(ctx, obj.Namespace, spec)
	if err != nil {
		return state, unavailable(err)
	}
	return state, nil
}

func labels(obj *v1alpha1.APIKey) map[string]string {
	return map[string]string{v1alpha1.ManagedByLabel: v1alpha1.ManagedByValue, v1alpha1.OwnerKindLabel: v1alpha1.KindAPIKey, v1alpha1.OwnerNameLabel: obj.Name}
}

// ours reports whether a Secret was made for this key. Another is not touched:
// whoever may change an APIKey could have any Secret overwritten otherwise.
func ours(s *corev1.Secret, obj *v1alpha1.APIKey) bool {
	for k, v := range labels(obj) {
		if s.Labels[k] != v {
			return false
		}
	}
	return s.Annotations[v1alpha1.KeyIDAnnotation] != ""
}

func (r *Reconciler) read(ctx context.Context, obj *v1alpha1.APIKey, name string) (*corev1.Secret, error) {
	var s corev1.Secret
	err := r.Env.Client.Get(ctx, types.NamespacedName{Namespace: obj.Namespace, Name: name}, &s)
	if apierrors.IsNotFound(err) {
		return nil, nil //nolint:nilnil // no Secret is an answer
	}
	if err != nil {
		return nil, r.failure("read", obj, name, err)
	}
	return &s, nil
}

func (r *Reconciler) writeSecret(ctx context.Context, obj *v1alpha1.APIKey, have *corev1.Secret, name, keyID, token string) error {
	if have == nil {
		fresh := &corev1.Secret{
			ObjectMeta: metav1.ObjectMeta{Namespace: obj.Namespace, Name: name, Labels: labels(obj), Annotations: map[string]string{v1alpha1.KeyIDAnnotation: keyID}},
			Type:       corev1.SecretTypeOpaque, Data: map[string][]byte{tokenKey: []byte(token)},
		}
		return r.failure("create", obj, name, r.Env.Client.Create(ctx, fresh, fieldOwner))
	}
	return r.patch(ctx, obj, have, keyID, []byte(token))
}

// patch sets or, with nil, removes the token.
func (r *Reconciler) patch(ctx context.Context, obj *v1alpha1.APIKey, s *corev1.Secret, keyID string, token []byte) error {
	data := map[string]any{tokenKey: nil}
	if token != nil {
		data[tokenKey] = token // encoded as base64, as a Secret's data is
	}
	body, err := json.Marshal(map[string]any{"data": data, "metadata": map[string]any{
		"resourceVersion": s.ResourceVersion, "annotations": map[string]any{v1alpha1.KeyIDAnnotation: keyID}}})
	if err != nil {
		return fmt.Errorf("encode the Secret %s", s.Name) // the cause could quote it
	}
	return r.failure("change", obj, s.Name, r.Env.Client.Patch(ctx, s, client.RawPatch(types.MergePatchType, body), fieldOwner))
}

// failure keeps the API server's reason and not its text, which may quote what
// was sent.
func (r *Reconciler) failure(verb string, obj *v1alpha1.APIKey, name string, err error) error {
	switch {
	case err == nil:
		return nil
	case apierrors.IsForbidden(err):
		message := fmt.Sprintf("the manager may not %s the Secret %s: apply a RoleBinding of the ClusterRole seatkeeper-tenant in namespace %s", verb, name, obj.Namespace)
		if r.TenantRole != nil {
			message += ": " + r.TenantRole(obj.Namespace)
		}
		return reconcile.Waiting(v1alpha1.ReasonSecretAccessDenied, recheck, "%s", message)
	case apierrors.IsConflict(err) || apierrors.IsAlreadyExists(err):
		return reconcile.Waiting(v1alpha1.ReasonDeliveryPending, time.Second, "the Secret %s changed meanwhile", name)
	}
	return reconcile.Transient(fmt.Errorf("%s the Secret %s: the API server answered %q", verb, name, apierrors.ReasonForError(err)), v1alpha1.ReasonDeliveryPending,
		"the API server did not let the manager %s the Secret %s", verb, name)
}

// withdraw takes tokens out of their Secrets when their time is over, or the key
// has ended, and returns when the next one is due.
func (r *Reconciler) withdraw(ctx context.Context, obj *v1alpha1.APIKey, state State, ended bool) (next time.Time, _ error) {
	after := defaultDeleteAfter
	if to := obj.Spec.DeliverTo; to != nil {
		var err error
		if after, err = duration("spec.deliverTo.deleteAfter", to.DeleteAfter, defaultDeleteAfter); err != nil {
			return next, err
		}
	}
	now := r.Env.Time().Now()
	var errs []error
	for i, t := range state.Tokens {
		if t.Delivered == nil || t.Withdrawn != nil {
			continue
		}
		if due := t.Delivered.Add(after); !ended && now.Before(due) {
			next = sooner(next, due)
			continue
		}
		if err := r.empty(ctx, obj, t); err != nil {
			errs = append(errs, err)
			continue
		}
		if err := r.Backend.Withdrawn(ctx, obj.Namespace, t.KeyID); err != nil {
			errs = append(errs, unavailable(err))
			continue
		}
		state.Tokens[i].Withdrawn = &now
	}
	return next, errors.Join(errs...)
}

// empty removes the token from its Secret, which it has the right to, and then
// the Secret, which it has where somebody grants it: without a value in it, it is
// of no use to anybody.
func (r *Reconciler) empty(ctx context.Context, obj *v1alpha1.APIKey, t Token) error {
	s, err := r.read(ctx, obj, t.Secret)
	if err != nil || s == nil || !ours(s, obj) || s.Annotations[v1alpha1.KeyIDAnnotation] != t.KeyID {
		return err
	}
	if err := r.patch(ctx, obj, s, t.KeyID, nil); err != nil {
		return err
	}
	err = r.Env.Client.Delete(ctx, s, client.Preconditions{UID: &s.UID, ResourceVersion: &s.ResourceVersion})
	if apierrors.IsForbidden(err) || apierrors.IsNotFound(err) || apierrors.IsConflict(err) {
		return nil
	}
	return r.failure("delete", obj, t.Secret, err)
}
