// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package reconcile

import (
	"context"
	"errors"
	"fmt"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/clock"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"
	"sigs.k8s.io/controller-runtime/pkg/log"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/seatkeeper/seatkeeper/api/v1alpha1"
)

// statusGrace is kept of a pass's time so that status can still be written
// after the step ran into its deadline.
const statusGrace = 10 * time.Second

// Outcome is what a step that did not fail says.
type Outcome struct {
	// Reason and Message go to Ready=True; empty is Succeeded.
	Reason, Message string
	// RequeueAfter asks for the next visit, jittered by 10 %; 0 waits for an
	// event.
	RequeueAfter time.Duration
	// Exact asks for no jitter, because RequeueAfter is spread already.
	Exact bool
}

// Env is what the controllers of one manager share.
type Env struct {
	Client client.Client
	// Clock is the source of time; nil is the wall clock.
	Clock clock.WithTicker
	// Writes bounds status writes; nil does not bound them (tests).
	Writes *WriteLimiter
	// Events reports transitions; nil reports none.
	Events *Events
}

// Time returns the source of time.
func (e *Env) Time() clock.WithTicker {
	if e.Clock == nil {
		return clock.RealClock{}
	}
	return e.Clock
}

// Object is what every kind of the API is.
type Object interface {
	client.Object
	// GetCommonStatus returns the part of the status that every kind shares.
	GetCommonStatus() *v1alpha1.CommonStatus
}

// Loop reconciles one kind. It implements reconcile.Reconciler.
type Loop[T Object] struct {
	Env *Env
	// Kind is the name of the kind, for metrics and logs.
	Kind string
	// New returns an empty object.
	New func() T
	// Owned are the domain conditions that Step may set, beside Ready,
	// Reconciling and Stalled.
	Owned []string
	// Calm are those of them that turn as often as what goes on below the object
	// does. Like counts they are written once in StatusWriteInterval, and so is
	// another reason of a Ready that stays True.
	Calm []string
	// Suspended says whether spec.suspend is set; nil is never.
	Suspended func(T) bool
	// Step does the work. It changes nothing of the object but its status.
	Step func(context.Context, T, *Conditions) (Outcome, error)

	// Finalizer is held while external cleanup is due; empty holds none.
	Finalizer string
	// Delete runs while an object that has the finalizer terminates; done
	// releases it. A Waiting or Stalling error keeps it and shows why. Delete
	// must come to an end when credentials are gone.
	Delete func(context.Context, T, *Conditions) (done bool, out Outcome, err error)
	// Gone runs when the object no longer exists; nil does nothing.
	Gone func(context.Context, types.NamespacedName) error
}

var _ reconcile.Reconciler = (*Loop[*v1alpha1.Integration])(nil)

// Reconcile implements reconcile.Reconciler.
func (l *Loop[T]) Reconcile(ctx context.Context, req ctrl.Request) (ctrl.Result, error) {
	start := l.Env.Time().Now()
	defer func() { observeDuration(l.Kind, l.Env.Time().Since(start)) }()

	obj := l.New()
	if err := l.Env.Client.Get(ctx, req.NamespacedName, obj); err != nil {
		if !apierrors.IsNotFound(err) {
			return ctrl.Result{}, fmt.Errorf("read %s %s: %w", l.Kind, req.NamespacedName, err)
		}
		return ctrl.Result{}, l.gone(ctx, req.NamespacedName)
	}
	if !obj.GetDeletionTimestamp().IsZero() && !controllerutil.ContainsFinalizer(obj, l.Finalizer) {
		return ctrl.Result{}, nil // Gone follows when it is really gone
	}
	return l.pass(ctx, obj)
}

func (l *Loop[T]) gone(ctx context.Context, key types.NamespacedName) error {
	l.Env.Writes.forget(l.Kind, key)
	if l.Gone == nil {
		return nil
	}
	return l.Gone(ctx, key)
}

// pass runs one step over obj, sums it up and patches the status.
func (l *Loop[T]) pass(ctx context.Context, obj T) (ctrl.Result, error) {
	if l.Finalizer != "" && obj.GetDeletionTimestamp().IsZero() && !controllerutil.ContainsFinalizer(obj, l.Finalizer) {
		if err := l.patchFinalizer(ctx, obj, true); err != nil {
			return result(classify(err), Outcome{}, nil)
		}
	}
	before := obj.DeepCopyObject().(T)
	conditions := newConditions(obj.GetCommonStatus().Conditions, obj.GetGeneration(), l.Env.Time())

	done, out, err := l.run(ctx, obj, conditions)
	v := classify(err)
	if done {
		return result(classify(l.patchFinalizer(ctx, obj, false)), Outcome{}, nil)
	}

	conditions.summarise(v, out, l.Owned)
	status := obj.GetCommonStatus()
	status.Conditions = conditions.list
	status.ObservedGeneration = obj.GetGeneration()
	if at, ok := RequestedAt(obj); ok {
		status.LastHandledReconcileAt = at
	}
	held, patchErr := l.patchStatus(ctx, before, obj)
	if patchErr == nil && held == 0 {
		l.Env.Events.transition(before, obj, before.GetCommonStatus().Conditions, status.Conditions)
	}
	if v.class == classTransient {
		log.FromContext(ctx).V(1).Info("Step failed", "kind", l.Kind, "reason", v.reason)
	}
	res, err := result(v, out, patchErr)
	if err == nil && held > 0 && (res.RequeueAfter == 0 || held < res.RequeueAfter) {
		res.RequeueAfter = held
	}
	return res, err
}

// run chooses between deletion, suspension and the step. done says that the
// finalizer may go.
func (l *Loop[T]) run(ctx context.Context, obj T, c *Conditions) (done bool, out Outcome, err error) {
	if deadline, ok := ctx.Deadline(); ok && time.Until(deadline) > 2*statusGrace {
		var cancel context.CancelFunc
		ctx, cancel = context.WithDeadline(ctx, deadline.Add(-statusGrace))
		defer cancel()
	}
	if !obj.GetDeletionTimestamp().IsZero() {
		if l.Delete == nil {
			return true, Outcome{}, nil
		}
		done, out, err = l.Delete(ctx, obj, c)
		return done && err == nil, out, err
	}
	if l.Suspended != nil && l.Suspended(obj) {
		return false, Outcome{}, &suspendedError{}
	}
	out, err = l.Step(ctx, obj, c)
	return false, out, err
}

// suspendedError makes a suspended object wait for its next change.
type suspendedError struct{}

func (*suspendedError) Error() string { return v1alpha1.ReasonSuspended }

// As lets classify see a suspension as waiting without a time.
func (*suspendedError) As(target any) bool {
	w, ok := target.(**WaitingError)
	if ok {
		*w = &WaitingError{Reason: v1alpha1.ReasonSuspended, Message: "spec.suspend is true: nothing is read, evaluated or done until it is false"}
	}
	return ok
}

// result is the only place that makes a ctrl.Result.
func result(v verdict, out Outcome, patchErr error) (ctrl.Result, error) {
	if patchErr != nil {
		if apierrors.IsConflict(patchErr) || apierrors.IsNotFound(patchErr) {
			// The cache is behind; the change that we lost against wakes us, and
			// this is the net below it.
			return ctrl.Result{RequeueAfter: Jitter(time.Second)}, nil
		}
		return ctrl.Result{}, errors.Join(v.err, patchErr)
	}
	switch v.class {
	case classStalled:
		if v.after > 0 {
			return ctrl.Result{RequeueAfter: Jitter(v.after)}, nil
		}
		return ctrl.Result{}, reconcile.TerminalError(v.err)
	case classWaiting:
		return ctrl.Result{RequeueAfter: Jitter(v.after)}, nil
	case classTransient:
		if apierrors.IsConflict(v.err) {
			return ctrl.Result{RequeueAfter: Jitter(time.Second)}, nil
		}
		return ctrl.Result{}, v.err
	}
	if out.Exact {
		return ctrl.Result{RequeueAfter: out.RequeueAfter}, nil
	}
	return ctrl.Result{RequeueAfter: Jitter(out.RequeueAfter)}, nil
}

// patchFinalizer adds or removes the finalizer by a patch of metadata alone,
// with optimistic lock: an Update would claim the user's spec fields.
func (l *Loop[T]) patchFinalizer(ctx context.Context, obj T, add bool) error {
	if l.Finalizer == "" {
		return nil
	}
	gvk, err := l.Env.Client.GroupVersionKindFor(obj)
	if err != nil {
		return fmt.Errorf("kind of %T: %w", obj, err)
	}
	m := &metav1.PartialObjectMetadata{ObjectMeta: metav1.ObjectMeta{
		Name: obj.GetName(), Namespace: obj.GetNamespace(), ResourceVersion: obj.GetResourceVersion(),
		Finalizers: append([]string(nil), obj.GetFinalizers()...),
	}}
	m.SetGroupVersionKind(gvk)
	patch := client.MergeFromWithOptions(m.DeepCopy(), client.MergeFromWithOptimisticLock{})
	if add {
		controllerutil.AddFinalizer(m, l.Finalizer)
	} else {
		controllerutil.RemoveFinalizer(m, l.Finalizer)
	}
	if err := l.Env.Client.Patch(ctx, m, patch); err != nil {
		if !add && apierrors.IsNotFound(err) {
			return nil
		}
		return fmt.Errorf("patch finalizer %s: %w", l.Finalizer, err)
	}
	obj.SetFinalizers(m.GetFinalizers())
	obj.SetResourceVersion(m.GetResourceVersion())
	return nil
}
