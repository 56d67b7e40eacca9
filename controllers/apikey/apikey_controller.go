// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

// Package apikey reconciles APIKeys: it declares each to the store, where the
// gateway looks keys up, delivers tokens to Secrets and withdraws them again, and
// warns before a key expires. Deleting an APIKey ends its tokens.
package apikey

import (
	"context"
	"errors"
	"fmt"
	"time"

	"k8s.io/apimachinery/pkg/types"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/source"

	"github.com/seatkeeper/seatkeeper/api/v1alpha1"
	"github.com/seatkeeper/seatkeeper/internal/reconcile"
)

// Defaults of the spec.
const (
	defaultOverlap     = 24 * time.Hour
	defaultDeleteAfter = time.Hour
)

// Spec is what the store is told of a key.
type Spec struct {
	Name, UID, Type, Description string
	Scopes, Networks             []string
	ExpiresAt                    *time.Time
	Overlap                      time.Duration
	Revoked                      bool
}

// State is what the store knows of a key.
type State struct {
	Revoked   bool
	RevokedBy string
	// RevokedByResource: nobody revoked it at a gateway before spec.revoked did.
	RevokedByResource bool
	// Current is the id of the newest token that works, and Previous that of one
	// that a rotation replaced and that works until PreviousEnds.
	Current, Previous string
	PreviousEnds      time.Time
	// Tokens are all that were made, the newest first.
	Tokens []Token
}

// Token is one token that was made.
type Token struct {
	KeyID string
	Works bool
	// Secret that it was made for; it has it from Delivered to Withdrawn.
	Secret               string
	Delivered, Withdrawn *time.Time
}

// Backend is what the controller needs of the store.
type Backend interface {
	// Declare tells the store of the key and returns what it knows of it.
	Declare(ctx context.Context, namespace string, spec Spec) (State, error)
	// Issue makes a token for a Secret and returns it for the only time. The
	// token before goes on working for the overlap.
	Issue(ctx context.Context, namespace, name, secret string) (keyID, token string, err error)
	// Delivered and Withdrawn record what became of a token's Secret.
	Delivered(ctx context.Context, namespace, keyID string) error
	Withdrawn(ctx context.Context, namespace, keyID string) error
	// Remove ends every token of a key that is deleted, and returns them.
	Remove(ctx context.Context, namespace, name string) (State, error)
}

// Reconciler reconciles APIKeys.
type Reconciler struct {
	Env     *reconcile.Env
	Backend Backend
	// TenantRole is the YAML that lets the manager write the Secrets of a
	// namespace, for the message that asks for it; nil says none.
	TenantRole func(namespace string) string
}

// +kubebuilder:rbac:groups=seatkeeper.dev,resources=apikeys,verbs=get;list;watch;patch
// +kubebuilder:rbac:groups=seatkeeper.dev,resources=apikeys/status,verbs=get;patch
// +kubebuilder:rbac:groups=seatkeeper.dev,resources=apikeys/finalizers,verbs=update

// SetupWithManager registers the controller. changed carries an APIKey whenever
// a gateway made or revoked a token of it.
func (r *Reconciler) SetupWithManager(mgr ctrl.Manager, changed <-chan event.GenericEvent, workers int) error {
	return ctrl.NewControllerManagedBy(mgr).
		Named("apikey").
		For(&v1alpha1.APIKey{}, builder.WithPredicates(reconcile.Changed())).
		WatchesRawSource(source.Channel(changed, &handler.EnqueueRequestForObject{})).
		WithOptions(reconcile.ControllerOptions(workers)).
		Complete(r.loop())
}

func (r *Reconciler) loop() *reconcile.Loop[*v1alpha1.APIKey] {
	return &reconcile.Loop[*v1alpha1.APIKey]{
		Env: r.Env, Kind: v1alpha1.KindAPIKey, New: func() *v1alpha1.APIKey { return &v1alpha1.APIKey{} },
		Owned: []string{v1alpha1.ConditionDelivered, v1alpha1.ConditionExpiring},
		Step:  r.step, Finalizer: v1alpha1.APIKeyFinalizer, Delete: r.delete,
		Gone: func(_ context.Context, key types.NamespacedName) error {
			expiry.DeletePartialMatch(map[string]string{"namespace": key.Namespace, "name": key.Name})
			return nil
		},
	}
}

// Reconcile implements reconcile.Reconciler, for tests without a manager.
func (r *Reconciler) Reconcile(ctx context.Context, req ctrl.Request) (ctrl.Result, error) {
	return r.loop().Reconcile(ctx, req)
}

func (r *Reconciler) step(ctx context.Context, obj *v1alpha1.APIKey, c *reconcile.Conditions) (reconcile.Outcome, error) {
	spec, err := specOf(obj)
	if err != nil {
		return reconcile.Outcome{}, err
	}
	state, err := r.Backend.Declare(ctx, obj.Namespace, spec)
	if err != nil {
		return reconcile.Outcome{}, unavailable(err)
	}
	now := r.Env.Time().Now()
	ended := state.Revoked || spec.ExpiresAt != nil && !now.Before(*spec.ExpiresAt)
	observeExpiry(obj, state.Revoked)

	var delivery error
	if !ended {
		state, delivery = r.deliver(ctx, obj, state)
	}
	next, err := r.withdraw(ctx, obj, state, ended)
	if delivery == nil {
		delivery = err
	}
	obj.Status.KeyID, obj.Status.PreviousKeyID, obj.Status.SecretName = state.Current, state.Previous, secretOf(state)
	reportDelivery(obj, c, state, delivery)
	if delivery != nil {
		return reconcile.Outcome{}, delivery
	}
	if state.Revoked {
		by := "by " + state.RevokedBy
		if state.RevokedByResource {
			by = "as spec.revoked says"
		}
		return reconcile.Outcome{}, reconcile.Stalling(v1alpha1.ReasonRevoked, "the key was revoked, %s: no token of it works; create another APIKey", by)
	}
	if ended {
		return reconcile.Outcome{}, reconcile.Stalling(v1alpha1.ReasonExpired, "spec.expiresAt: the key expired at %s; set a later time, and its tokens work again", stamp(*spec.ExpiresAt))
	}
	if spec.ExpiresAt != nil {
		next = sooner(next, r.warn(obj, c, *spec.ExpiresAt, now))
	}
	if !state.PreviousEnds.IsZero() {
		next = sooner(next, state.PreviousEnds)
	}
	if state.Current == "" && state.Previous == "" {
		return reconcile.Outcome{}, reconcile.Waiting(v1alpha1.ReasonNotIssued, until(next, now),
			"no token was made yet: `seatkeeper keys create %s -n %s` makes one and prints it once", obj.Name, obj.Namespace)
	}
	return reconcile.Outcome{Reason: v1alpha1.ReasonIssued, Message: "the key works; it is used by its token, which is not kept", RequeueAfter: until(next, now), Exact: true}, nil
}

// delete ends the tokens before the object may go. What is left of the Secret
// holds nothing that works, and keeps nobody waiting.
func (r *Reconciler) delete(ctx context.Context, obj *v1alpha1.APIKey, _ *reconcile.Conditions) (bool, reconcile.Outcome, error) {
	state, err := r.Backend.Remove(ctx, obj.Namespace, obj.Name)
	if err != nil {
		return false, reconcile.Outcome{}, unavailable(err)
	}
	_, _ = r.withdraw(ctx, obj, state, true) // its condition would go with the object
	return true, reconcile.Outcome{}, nil
}

func unavailable(err error) error {
	return reconcile.Transient(err, v1alpha1.ReasonStoreUnavailable, "the store does not answer")
}

func specOf(obj *v1alpha1.APIKey) (Spec, error) {
	s := obj.Spec
	out := Spec{Name: obj.Name, UID: string(obj.UID), Type: string(s.Type), Description: s.Description, Scopes: s.Scopes, Networks: s.SourceNetworks, Revoked: s.Revoked}
	if s.ExpiresAt != nil {
		at := s.ExpiresAt.Time.UTC()
		out.ExpiresAt = &at
	}
	var err error
	out.Overlap, err = duration("spec.overlap", s.Overlap, defaultOverlap)
	return out, err
}

func duration(path string, d v1alpha1.Duration, otherwise time.Duration) (time.Duration, error) {
	if d == "" {
		return otherwise, nil
	}
	out, err := time.ParseDuration(string(d))
	if err != nil {
		return 0, reconcile.Stalling(v1alpha1.ReasonInvalidSpec, "%s: %q is no duration such as 24h", path, d)
	}
	return out, nil
}

func stamp(t time.Time) string { return t.UTC().Format(time.RFC3339) }

// sooner returns the earlier of two times; zero is never.
func sooner(a, b time.Time) time.Time {
	if a.IsZero() || !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}

// until is how long to wait for a time; 0 for never.
func until(at, now time.Time) time.Duration {
	if at.IsZero() {
		return 0
	}
	return max(at.Sub(now), time.Second)
}

// secretOf is the Secret that has a token now.
func secretOf(s State) string {
	for _, t := range s.Tokens {
		if t.Delivered != nil && t.Withdrawn == nil {
			return t.Secret
		}
	}
	return ""
}

// reportDelivery says what became of the token's Secret, where there is one.
func reportDelivery(obj *v1alpha1.APIKey, c *reconcile.Conditions, state State, failed error) {
	to := obj.Spec.DeliverTo
	if to == nil {
		return
	}
	after, err := duration("spec.deliverTo.deleteAfter", to.DeleteAfter, defaultDeleteAfter)
	if err != nil {
		return
	}
	for _, t := range state.Tokens {
		switch {
		case t.Secret != string(to.SecretName) || t.Delivered == nil:
		case t.Withdrawn != nil:
			c.True(v1alpha1.ConditionDelivered, v1alpha1.ReasonIssued, fmt.Sprintf("key %s was delivered to Secret %s and removed from it", t.KeyID, t.Secret))
			return
		default:
			c.True(v1alpha1.ConditionDelivered, v1alpha1.ReasonIssued, fmt.Sprintf("key %s was delivered to Secret %s at %s and is removed from it %s later", t.KeyID, t.Secret, stamp(*t.Delivered), after))
			return
		}
	}
	reason, message := v1alpha1.ReasonDeliveryPending, "no token was delivered"
	var waiting *reconcile.WaitingError
	if errors.As(failed, &waiting) {
		reason, message = waiting.Reason, waiting.Message
	}
	c.False(v1alpha1.ConditionDelivered, reason, message)
}
