// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

// Package workflow reconciles Workflows: it checks each with the code that will
// run it, keeps what is valid as a revision, and shows how its runs stand. It
// runs nothing itself.
package workflow

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/predicate"

	"github.com/seatkeeper/seatkeeper/api/v1alpha1"
	"github.com/seatkeeper/seatkeeper/internal/model"
	"github.com/seatkeeper/seatkeeper/internal/reconcile"
	"github.com/seatkeeper/seatkeeper/internal/store"
	"github.com/seatkeeper/seatkeeper/internal/tokens"
	"github.com/seatkeeper/seatkeeper/internal/trigger"
	engine "github.com/seatkeeper/seatkeeper/internal/workflow"
)

// Backend is what the controller needs of the store.
type Backend interface {
	// Put stores what was found about a Workflow; see store.PutWorkflow.
	Put(ctx context.Context, namespace string, w store.WorkflowState, definition json.RawMessage) (store.WorkflowState, error)
	// Delete forgets a Workflow, and stops its runs if asked to.
	Delete(ctx context.Context, namespace, name string, stop bool, by store.Decider) error
	// Held is what the guard of a Workflow holds; nil: nothing.
	Held(ctx context.Context, namespace, name string) (*store.Hold, error)
	// Release lets the held set with the digest pass; another is left alone.
	Release(ctx context.Context, namespace, name, digest string) error
	// Load counts the runs of a Workflow that have not ended.
	Load(ctx context.Context, namespace, name string) (store.RunCounts, error)
	// Tokens is what is known of the bodies that its webhook received.
	Tokens(ctx context.Context, namespace, name string) (tokens.Known, error)
}

// Connectors is what the controller needs to know of connectors.
type Connectors interface {
	// Action describes an action of the connector of an Integration. known is
	// false while nobody knows what the connector can do; ok is false if it has no
	// action of that name.
	Action(ctx context.Context, i *v1alpha1.Integration, name string) (a Action, known, ok bool)
	// Events names what the connector's webhooks tell; known is as with Action.
	Events(ctx context.Context, i *v1alpha1.Integration) (names []string, known bool)
}

// Action is what matters about an action that a step asks for.
type Action struct {
	Acts        bool // changes something at the vendor
	Destructive bool
	// Grants and Removes say what it does to a person's access.
	Grants, Removes bool
	Inputs          []Input
}

// Input is one input of an action.
type Input struct {
	Name     string
	Required bool
}

// refresh is how often the runs are counted again.
const refresh = time.Minute

// Reconciler reconciles Workflows.
type Reconciler struct {
	Env        *reconcile.Env
	Backend    Backend
	Connectors Connectors
	Language   engine.Language
	// Requests knows where requests of http steps may go; nil: that is not checked.
	Requests Requests
	// Webhooks makes the addresses of webhooks; nil makes none.
	Webhooks Webhooks
	// Mail knows whether e-mail reaches people; nil: nothing is said of it.
	Mail Mail
}

// +kubebuilder:rbac:groups=seatkeeper.dev,resources=workflows,verbs=get;list;watch;patch
// +kubebuilder:rbac:groups=seatkeeper.dev,resources=workflows/status,verbs=get;patch
// +kubebuilder:rbac:groups=seatkeeper.dev,resources=applications;integrations;connectors;licensepolicies,verbs=get;list;watch

// SetupWithManager registers the controller.
func (r *Reconciler) SetupWithManager(mgr ctrl.Manager, workers int) error {
	if err := indexNamed(context.Background(), mgr.GetFieldIndexer()); err != nil {
		return err
	}
	list := func() client.ObjectList { return &v1alpha1.WorkflowList{} }
	all := handler.EnqueueRequestsFromMapFunc(reconcile.InNamespace(r.Env.Client, list))
	return ctrl.NewControllerManagedBy(mgr).
		Named("workflow").
		For(&v1alpha1.Workflow{}, builder.WithPredicates(reconcile.Changed(v1alpha1.ReleaseAnnotation, v1alpha1.RotateWebhookAnnotation, v1alpha1.WebhookOverlapAnnotation))).
		Watches(&v1alpha1.Workflow{}, r.naming(v1alpha1.KindWorkflow), builder.WithPredicates(reconcile.Changed())).
		Watches(&v1alpha1.Application{}, r.naming(v1alpha1.KindApplication), builder.WithPredicates(thereOrGone)).
		Watches(&v1alpha1.LicensePolicy{}, r.naming(v1alpha1.KindLicensePolicy), builder.WithPredicates(thereOrGone)).
		Watches(&v1alpha1.Integration{}, all, builder.WithPredicates(reconcile.Changed())).
		Watches(&v1alpha1.Connector{}, all, builder.WithPredicates(reconcile.Changed())).
		WithOptions(reconcile.ControllerOptions(workers)).
		Complete(r.loop())
}

// thereOrGone passes only that an object has come or gone.
var thereOrGone = predicate.Funcs{UpdateFunc: func(event.UpdateEvent) bool { return false }}

func (r *Reconciler) loop() *reconcile.Loop[*v1alpha1.Workflow] {
	return &reconcile.Loop[*v1alpha1.Workflow]{
		Env: r.Env, Kind: v1alpha1.KindWorkflow, New: func() *v1alpha1.Workflow { return &v1alpha1.Workflow{} },
		Owned: []string{v1alpha1.ConditionValid, v1alpha1.ConditionHeld, v1alpha1.ConditionWebhookReady, v1alpha1.ConditionPeopleUnreached, v1alpha1.ConditionPathsUnreceived,
			v1alpha1.ConditionAttentionNeeded, v1alpha1.ConditionLastRunFailed},
		Calm: []string{v1alpha1.ConditionAttentionNeeded, v1alpha1.ConditionLastRunFailed},
		Step: r.step, Finalizer: v1alpha1.WorkflowFinalizer, Delete: r.delete,
	}
}

// Reconcile implements reconcile.Reconciler, for tests without a manager.
func (r *Reconciler) Reconcile(ctx context.Context, req ctrl.Request) (ctrl.Result, error) {
	return r.loop().Reconcile(ctx, req)
}

func (r *Reconciler) delete(ctx context.Context, obj *v1alpha1.Workflow, _ *reconcile.Conditions) (bool, reconcile.Outcome, error) {
	if err := r.endWebhook(ctx, obj); err != nil {
		return false, reconcile.Outcome{}, err
	}
	by := store.Decider{Actor: v1alpha1.KindWorkflow + "/" + obj.Name, Kind: model.ActorSystem, Reason: "the Workflow was deleted"}
	err := r.Backend.Delete(ctx, obj.Namespace, obj.Name, obj.Spec.DeletionPolicy != "Drain", by)
	return err == nil, reconcile.Outcome{}, err
}

// problem is why a Workflow cannot run.
type problem struct {
	reason, message string
	// waits says that the spec is fine, and something that it needs may come.
	waits bool
}

func (p *problem) Error() string { return p.message }

func wrong(reason, format string, args ...any) error {
	return &problem{reason: reason, message: fmt.Sprintf(format, args...)}
}

func (r *Reconciler) step(ctx context.Context, obj *v1alpha1.Workflow, c *reconcile.Conditions) (reconcile.Outcome, error) {
	state := store.WorkflowState{
		Name: obj.Name, DisplayName: obj.Spec.DisplayName, Direction: string(obj.Spec.Direction), State: store.WorkflowReady,
		Suspended: obj.Spec.Suspend, DryRun: obj.Spec.DryRun,
	}
	p, err := r.check(ctx, obj)
	var bad *problem
	if err != nil && !errors.As(err, &bad) {
		return reconcile.Outcome{}, err
	}
	var definition json.RawMessage
	switch {
	case bad != nil:
		state.State, state.Message = store.WorkflowInvalid, bad.message
	}
	if bad == nil || bad.waits {
		if definition, err = p.definition.Marshal(); err != nil {
			return reconcile.Outcome{}, fmt.Errorf("encode the definition: %w", err)
		}
	}
	state.TriggerKind = triggerKind(obj.Spec.Trigger)
	if state.Spec, state.Author, err = written(obj); err != nil {
		return reconcile.Outcome{}, err
	}
	if p != nil {
		state.Subject = p.definition.Subject
		// What happens while something else is missing waits for it. A trigger that
		// is wrong leaves the one before in place.
		if p.starts != nil && trigger.Check(*p.starts, r.Language) == nil {
			p.destructive = p.destructive || bad != nil && !bad.waits // not every step was looked at
			p.guarded()
			if state.Trigger, err = p.starts.Marshal(); err != nil {
				return reconcile.Outcome{}, err
			}
		}
	}
	if state, err = r.Backend.Put(ctx, obj.Namespace, state, definition); err != nil {
		return reconcile.Outcome{}, err
	}
	load, err := r.Backend.Load(ctx, obj.Namespace, obj.Name)
	if err != nil {
		return reconcile.Outcome{}, err
	}
	r.unmailed(ctx, obj, c, p)
	if load.Unreached > 0 {
		c.True(v1alpha1.ConditionPeopleUnreached, v1alpha1.ReasonNoReachableChannel,
			"runs wait for people whom no channel reaches, or could not tell somebody within the last day: `seatkeeper runs --workflow "+obj.Name+"` shows which")
	}
	if err := r.held(ctx, obj, c); err != nil {
		return reconcile.Outcome{}, err
	}
	again, err := r.webhook(ctx, obj, c)
	if err != nil {
		return reconcile.Outcome{}, err
	}
	if err := r.tokens(ctx, obj, c); err != nil {
		return reconcile.Outcome{}, err
	}
	obj.Status.Revision, obj.Status.Runs = state.Revision, nil
	if bad == nil || bad.waits { // else it is not looked at again by time, so its counts would be old
		obj.Status.Runs = runCounts(load)
		noteRuns(obj.Name, c, load)
	}
	return sooner(again)(r.conclude(obj, c, p, bad, load))
}

// held says what the guard holds, after letting pass what an annotation releases.
func (r *Reconciler) held(ctx context.Context, obj *v1alpha1.Workflow, c *reconcile.Conditions) error {
	digest := obj.Annotations[v1alpha1.ReleaseAnnotation]
	if digest != "" {
		if err := r.Backend.Release(ctx, obj.Namespace, obj.Name, digest); err != nil {
			return err
		}
	}
	h, err := r.Backend.Held(ctx, obj.Namespace, obj.Name)
	if obj.Status.Held = nil; err != nil || h == nil || h.ReleasedAt != nil {
		return err
	}
	obj.Status.Held = &v1alpha1.HeldSet{Digest: h.Digest, Count: h.Count, Total: h.Total, Allowed: h.Allowed, Reason: v1alpha1.ReasonGuardHeld}
	does := "the guard lets %d runs start per window and holds %d"
	if h.Kind == store.HoldRemovals {
		does = "the guard lets runs take access from %d accounts per window and holds up to %d"
	}
	text := fmt.Sprintf(does+"; list them with: seatkeeper guards %s/%s; release exactly this set by the annotation %s: %s",
		h.Allowed, h.Count, h.Kind, obj.Name, v1alpha1.ReleaseAnnotation, h.Digest)
	if digest != "" && digest != h.Digest {
		text += "; the annotation there now names another set and releases nothing"
	}
	c.True(v1alpha1.ConditionHeld, v1alpha1.ReasonGuardHeld, text)
	return nil
}

// written is what a revision keeps of what the user wrote, and who applied it.
// Whether runs are suspended is how things stand, and no version of them.
func written(obj *v1alpha1.Workflow) (spec, author string, err error) {
	s := obj.Spec.DeepCopy()
	s.Suspend = false
	raw, err := json.Marshal(s)
	if err != nil {
		return "", "", fmt.Errorf("encode the spec: %w", err)
	}
	var at time.Time
	for _, m := range obj.ManagedFields {
		if m.Subresource == "" && m.Time != nil && !m.Time.Before(&metav1.Time{Time: at}) && m.FieldsV1 != nil && strings.Contains(m.FieldsV1.GetRawString(), `"f:spec"`) {
			author, at = m.Manager, m.Time.Time
		}
	}
	if commit := obj.Annotations[v1alpha1.CommitAnnotation]; commit != "" {
		author = strings.TrimSpace(author + " " + commit)
	}
	return string(raw), author[:min(len(author), maxAuthor)], nil
}

// maxAuthor bounds what an annotation may say.
const maxAuthor = 256

// sooner has an outcome looked at again no later than after d, unless that is 0.
func sooner(d time.Duration) func(reconcile.Outcome, error) (reconcile.Outcome, error) {
	return func(out reconcile.Outcome, err error) (reconcile.Outcome, error) {
		if d > 0 && (out.RequeueAfter == 0 || d < out.RequeueAfter) {
			out.RequeueAfter = d
		}
		return out, err
	}
}

// conclude says in conditions what was found.
func (r *Reconciler) conclude(obj *v1alpha1.Workflow, c *reconcile.Conditions, p *plan, bad *problem, load store.RunCounts) (reconcile.Outcome, error) {
	switch {
	case bad != nil && bad.waits:
		c.True(v1alpha1.ConditionValid, v1alpha1.ReasonCompiled, "every step and expression is valid")
		return reconcile.Outcome{}, reconcile.Waiting(bad.reason, refresh, "%s", bad.message)
	case bad != nil:
		c.False(v1alpha1.ConditionValid, bad.reason, bad.message)
		return reconcile.Outcome{}, reconcile.Stalling(bad.reason, "%s", bad.message)
	}
	c.True(v1alpha1.ConditionValid, v1alpha1.ReasonCompiled, strings.Join(append([]string{"every step and expression is valid"}, p.warnings...), "; "))
	switch {
	case obj.Spec.Suspend:
		return reconcile.Outcome{}, reconcile.Waiting(v1alpha1.ReasonSuspended, refresh, "spec.suspend is true: no run starts, and no further step of any run")
	case load.Attention > 0:
		return reconcile.Outcome{Reason: v1alpha1.ReasonRunsNeedAttention, Message: "runs wait for a person: `seatkeeper runs --state attention` lists them", RequeueAfter: refresh}, nil
	}
	return reconcile.Outcome{Message: strings.Join(append([]string{p.readiness()}, p.warnings...), "; "), RequeueAfter: refresh}, nil
}

// readiness says what a Workflow that is ready does.
func (p *plan) readiness() string {
	if p.starts == nil {
		return "runs can be started"
	}
	return "runs start by themselves, as spec.trigger." + p.trigger + " says"
}

func triggerKind(t v1alpha1.Trigger) string {
	p := &plan{}
	p.triggerOf(t)
	return p.trigger
}

// check compiles the spec and checks what it refers to. A *problem says what
// is wrong with it.
func (r *Reconciler) check(ctx context.Context, obj *v1alpha1.Workflow) (*plan, error) {
	p, err := translate(obj.Spec)
	if err != nil {
		return nil, wrong(v1alpha1.ReasonInvalidStep, "%v", err)
	}
	if err := engine.Check(p.definition, r.Language); err != nil {
		reason := v1alpha1.ReasonInvalidStep
		if engine.IsExpression(err) {
			reason = v1alpha1.ReasonInvalidExpression
		}
		return p, wrong(reason, "spec.%v", err)
	}
	for _, u := range p.uses {
		destructive, err := r.checkUse(ctx, obj, u)
		if err != nil {
			return p, err
		}
		p.destructive = p.destructive || destructive
	}
	if err := r.checkCalls(ctx, obj, p); err != nil {
		return p, err
	}
	if err := r.checkOffboarding(ctx, obj, p); err != nil {
		return p, err
	}
	var waits *problem
	for _, u := range p.requests {
		err := r.checkRequest(ctx, obj.Namespace, u)
		var lack *problem
		switch {
		case errors.As(err, &lack) && lack.waits:
			if !obj.Spec.DryRun { // else nothing is sent
				waits = lack
			}
		case err != nil:
			return p, err
		}
	}
	p.guarded()
	if err := r.checkTrigger(ctx, obj, p); err != nil {
		return p, err
	}
	if waits != nil {
		return p, waits
	}
	return p, nil
}

// checkUse checks one action that a step asks of an Integration, and says whether
// it takes something away.
func (r *Reconciler) checkUse(ctx context.Context, obj *v1alpha1.Workflow, u use) (destructive bool, err error) {
	var i v1alpha1.Integration
	err = r.Env.Client.Get(ctx, types.NamespacedName{Namespace: obj.Namespace, Name: u.integration}, &i)
	if apierrors.IsNotFound(err) {
		return false, wrong(v1alpha1.ReasonIntegrationGone, "%s.integration: there is no Integration %q in this namespace", u.field, u.integration)
	}
	if err != nil {
		return false, fmt.Errorf("read Integration %q: %w", u.integration, err)
	}
	a, known, ok := r.Connectors.Action(ctx, &i, u.action)
	switch {
	case !known:
		return false, wrong(v1alpha1.ReasonActionUnknown, "%s.name: what the connector of Integration %q can do is not known; its own status says why", u.field, u.integration)
	case !ok:
		return false, wrong(v1alpha1.ReasonActionUnknown, "%s.name: the connector of Integration %q has no action %q", u.field, u.integration, u.action)
	}
	if err := fits(obj.Spec.Direction, u, a); err != nil {
		return false, err
	}
	if obj.Spec.DryRun {
		return false, nil // nothing is sent
	}
	switch {
	case a.Acts && i.Spec.Permission != v1alpha1.PermissionReadAndAct:
		return false, wrong(v1alpha1.ReasonPermissionRead, "%s: Integration %q has spec.permission: Read; ReadAndAct would allow %s", u.field, u.integration, u.action)
	case a.Destructive && !slices.Contains(i.Spec.DestructiveActions, v1alpha1.ActionName(u.action)):
		return false, wrong(v1alpha1.ReasonActionNotAllowed, "%s: %s is destructive, and spec.destructiveActions of Integration %q does not name it", u.field, u.action, u.integration)
	}
	return a.Destructive || a.Removes, nil
}

// inputs compares what a step gives with what the action takes.
func inputs(u use, a Action) error {
	var names []string
	for _, in := range a.Inputs {
		names = append(names, in.Name)
		if in.Required && !slices.Contains(u.inputs, in.Name) {
			return wrong(v1alpha1.ReasonInvalidStep, "%s.with.%s: %s of Integration %q requires it", u.field, in.Name, u.action, u.integration)
		}
	}
	for _, name := range u.inputs {
		if !slices.Contains(names, name) {
			return wrong(v1alpha1.ReasonInvalidStep, "%s.with.%s: %s of Integration %q takes no such input; it takes %s", u.field, name, u.action, u.integration, strings.Join(names, ", "))
		}
	}
	return nil
}
