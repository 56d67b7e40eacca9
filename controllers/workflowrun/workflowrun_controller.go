// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

// Package workflowrun reconciles WorkflowRuns: each starts one run, whose
// idempotency key is its name, and follows it like a Job. The run itself is a
// row; deleting the object stops nothing.
package workflowrun

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/handler"

	"github.com/seatkeeper/seatkeeper/api/v1alpha1"
	"github.com/seatkeeper/seatkeeper/internal/model"
	"github.com/seatkeeper/seatkeeper/internal/reconcile"
	"github.com/seatkeeper/seatkeeper/internal/store"
	engine "github.com/seatkeeper/seatkeeper/internal/workflow"
)

// Backend is what the controller needs of the store.
type Backend interface {
	// Start starts the run of a request, or returns the one that its key started.
	Start(ctx context.Context, namespace string, r engine.StartRequest) (store.Run, error)
	// Find returns the run that a key started, or store.ErrNotFound.
	Find(ctx context.Context, namespace, workflow, key string) (store.RunDetail, error)
	// Stop lets no further step of a run start.
	Stop(ctx context.Context, namespace, id string, by store.Decider) error
}

const (
	// follow is how often a run that has not ended is looked at.
	follow = 10 * time.Second
	// defaultTTL is how long the object stays after its run ended.
	defaultTTL = 168 * time.Hour
)

// Reconciler reconciles WorkflowRuns.
type Reconciler struct {
	Env     *reconcile.Env
	Backend Backend
}

// +kubebuilder:rbac:groups=seatkeeper.dev,resources=workflowruns,verbs=get;list;watch;delete
// +kubebuilder:rbac:groups=seatkeeper.dev,resources=workflowruns/status,verbs=get;patch
// +kubebuilder:rbac:groups=seatkeeper.dev,resources=workflows,verbs=get;list;watch

// SetupWithManager registers the controller.
func (r *Reconciler) SetupWithManager(mgr ctrl.Manager, workers int) error {
	list := func() client.ObjectList { return &v1alpha1.WorkflowRunList{} }
	its := handler.EnqueueRequestsFromMapFunc(reconcile.InNamespace(r.Env.Client, list, ofWorkflow))
	return ctrl.NewControllerManagedBy(mgr).
		Named("workflowrun").
		For(&v1alpha1.WorkflowRun{}, builder.WithPredicates(reconcile.Changed())).
		Watches(&v1alpha1.Workflow{}, its, builder.WithPredicates(reconcile.Changed())).
		WithOptions(reconcile.ControllerOptions(workers)).
		Complete(r.loop())
}

// ofWorkflow says whether a WorkflowRun that has not started waits for the
// Workflow that changed.
func ofWorkflow(changed, woken client.Object) bool {
	run, ok := woken.(*v1alpha1.WorkflowRun)
	return ok && run.Status.RunID == "" && string(run.Spec.WorkflowRef.Name) == changed.GetName()
}

func (r *Reconciler) loop() *reconcile.Loop[*v1alpha1.WorkflowRun] {
	return &reconcile.Loop[*v1alpha1.WorkflowRun]{
		Env: r.Env, Kind: v1alpha1.KindWorkflowRun, New: func() *v1alpha1.WorkflowRun { return &v1alpha1.WorkflowRun{} },
		Owned: []string{v1alpha1.ConditionSucceeded}, Step: r.step,
	}
}

// Reconcile implements reconcile.Reconciler, for tests without a manager.
func (r *Reconciler) Reconcile(ctx context.Context, req ctrl.Request) (ctrl.Result, error) {
	return r.loop().Reconcile(ctx, req)
}

func (r *Reconciler) step(ctx context.Context, obj *v1alpha1.WorkflowRun, c *reconcile.Conditions) (reconcile.Outcome, error) {
	name := string(obj.Spec.WorkflowRef.Name)
	run, err := r.Backend.Find(ctx, obj.Namespace, name, obj.Name)
	if errors.Is(err, store.ErrNotFound) {
		if run.Run, err = r.start(ctx, obj, c); err != nil {
			return reconcile.Outcome{}, err
		}
		if run.ID == "" { // it shall not start
			return r.ended(ctx, obj, obj.CreationTimestamp.Time)
		}
	}
	if err != nil {
		return reconcile.Outcome{}, err
	}
	if obj.Spec.Stop && !run.State.Ended() && run.StopAt == nil {
		if err := r.Backend.Stop(ctx, obj.Namespace, run.ID, decider(obj, "spec.stop is true")); err != nil {
			return reconcile.Outcome{}, err
		}
		if run, err = r.Backend.Find(ctx, obj.Namespace, name, obj.Name); err != nil {
			return reconcile.Outcome{}, err
		}
	}
	if err := show(&obj.Status, run); err != nil {
		return reconcile.Outcome{}, err
	}
	return r.conclude(ctx, obj, c, run.Run)
}

func decider(obj *v1alpha1.WorkflowRun, reason string) store.Decider {
	return store.Decider{Actor: v1alpha1.KindWorkflowRun + "/" + obj.Name, Kind: model.ActorSystem, Reason: reason}
}

// start starts the run. A run without id says that none is to start.
func (r *Reconciler) start(ctx context.Context, obj *v1alpha1.WorkflowRun, c *reconcile.Conditions) (store.Run, error) {
	if obj.Spec.Stop {
		c.False(v1alpha1.ConditionSucceeded, v1alpha1.ReasonStopped, "spec.stop is true: no run was started")
		return store.Run{}, nil
	}
	req := engine.StartRequest{Workflow: string(obj.Spec.WorkflowRef.Name), Key: obj.Name, DryRun: obj.Spec.DryRun, By: decider(obj, "a WorkflowRun was created")}
	if s := obj.Spec.Subject; s != nil {
		req.Person, req.Application, req.Contract = string(s.Person), string(s.Application), string(s.Contract)
	}
	if len(obj.Spec.Input) > 0 {
		raw, err := json.Marshal(obj.Spec.Input)
		if err == nil {
			err = json.Unmarshal(raw, &req.Input)
		}
		if err != nil {
			return store.Run{}, refused(c, v1alpha1.ReasonInvalidSpec, "spec.input is no JSON")
		}
	}
	run, err := r.Backend.Start(ctx, obj.Namespace, req)
	var not *engine.StartError
	if !errors.As(err, &not) {
		return run, err
	}
	switch not.Reason {
	case engine.StartNoSubject:
		return run, refused(c, v1alpha1.ReasonSubjectNotFound, "spec.subject: "+not.Message)
	case engine.StartWrongSubject, engine.StartKeyTaken:
		return run, refused(c, v1alpha1.ReasonSubjectMismatch, "spec.subject: "+not.Message)
	case engine.StartBadInput:
		return run, refused(c, v1alpha1.ReasonInvalidSpec, "spec."+not.Message)
	case engine.StartNoWorkflow, engine.StartNotReady, engine.StartSuspended:
	}
	// Whoever applies a Workflow and its run together means both.
	c.Unknown(v1alpha1.ConditionSucceeded, v1alpha1.ReasonWorkflowNotValid, not.Message)
	return run, reconcile.Waiting(v1alpha1.ReasonWorkflowNotValid, time.Minute, "spec.workflowRef: %s; the run starts when it can", not.Message)
}

// refused says that no run will start.
func refused(c *reconcile.Conditions, reason, message string) error {
	c.False(v1alpha1.ConditionSucceeded, reason, message)
	return reconcile.Stalling(reason, "%s", message)
}

// conclude says in conditions how the run stands.
func (r *Reconciler) conclude(ctx context.Context, obj *v1alpha1.WorkflowRun, c *reconcile.Conditions, run store.Run) (reconcile.Outcome, error) {
	switch run.State {
	case store.RunSucceeded:
		message := "every step is done"
		if run.Message != "" {
			message = run.Message
		}
		c.True(v1alpha1.ConditionSucceeded, v1alpha1.ReasonCompleted, message)
	case store.RunStopped:
		c.False(v1alpha1.ConditionSucceeded, v1alpha1.ReasonStopped, run.Message)
	case store.RunFailed:
		reason := v1alpha1.ReasonStepFailed
		if run.Reason == v1alpha1.ReasonTimedOut {
			reason = v1alpha1.ReasonTimedOut
		}
		c.False(v1alpha1.ConditionSucceeded, reason, run.Reason+": "+run.Message)
	case store.RunAttention:
		c.Unknown(v1alpha1.ConditionSucceeded, v1alpha1.ReasonNeedsAttention, run.Message)
		return reconcile.Outcome{}, reconcile.Waiting(v1alpha1.ReasonNeedsAttention, follow, "%s", run.Message)
	case store.RunWaiting:
		message := "the run waits: " + run.Reason
		if run.Message != "" {
			message += ": " + run.Message
		}
		c.Unknown(v1alpha1.ConditionSucceeded, v1alpha1.ReasonWaiting, message)
		return reconcile.Outcome{}, reconcile.Waiting(v1alpha1.ReasonWaiting, follow, "%s", message)
	case store.RunReady, store.RunInFlight:
		c.Unknown(v1alpha1.ConditionSucceeded, v1alpha1.ReasonRunning, "a step is in progress")
		return reconcile.Outcome{}, reconcile.Waiting(v1alpha1.ReasonRunning, follow, "a step is in progress")
	}
	at := ptr.Deref(run.EndedAt, run.UpdatedAt)
	if created := obj.CreationTimestamp.Time; created.After(at) { // it follows a run that had ended
		at = created
	}
	return r.ended(ctx, obj, at)
}

// ended waits out the time that a finished object stays, and deletes it.
func (r *Reconciler) ended(ctx context.Context, obj *v1alpha1.WorkflowRun, at time.Time) (reconcile.Outcome, error) {
	end := at.Add(defaultTTL)
	if obj.Spec.TTLAfterFinished != "" {
		ttl, err := engine.ParseSpan(string(obj.Spec.TTLAfterFinished))
		if err != nil {
			return reconcile.Outcome{}, reconcile.Stalling(v1alpha1.ReasonInvalidSpec, "spec.ttlAfterFinished: %v", err)
		}
		end = ttl.After(at, time.UTC)
	}
	if left := end.Sub(r.Env.Time().Now()); left > 0 {
		return reconcile.Outcome{Reason: v1alpha1.ReasonCompleted, Message: "the run has ended; Succeeded says how", RequeueAfter: left, Exact: true}, nil
	}
	err := r.Env.Client.Delete(ctx, obj, client.Preconditions{UID: &obj.UID, ResourceVersion: &obj.ResourceVersion})
	if err != nil && !apierrors.IsNotFound(err) {
		return reconcile.Outcome{}, fmt.Errorf("delete the finished WorkflowRun: %w", err)
	}
	return reconcile.Outcome{Reason: v1alpha1.ReasonCompleted, Message: "the run has ended; Succeeded says how"}, nil
}

// maxSteps bounds the steps in the status.
const maxSteps = 64

// show sums the run up.
func show(s *v1alpha1.WorkflowRunStatus, run store.RunDetail) error {
	s.RunID, s.Revision = run.ID, run.Revision
	s.StartTime = ptr.To(metav1.NewTime(run.CreatedAt.Truncate(time.Second)))
	s.CompletionTime = nil
	if run.EndedAt != nil {
		s.CompletionTime = ptr.To(metav1.NewTime(run.EndedAt.Truncate(time.Second)))
	}
	steps, err := engine.Progress(run)
	if err != nil {
		return err
	}
	s.Steps = nil
	for _, p := range steps[max(0, len(steps)-maxSteps):] {
		s.Steps = append(s.Steps, v1alpha1.RunStepStatus{Name: p.Name, State: stateOf(p), Reason: p.Reason, Attempts: int32(min(p.Attempts, 1000))}) //nolint:gosec // bounded
	}
	return nil
}

func stateOf(p engine.StepProgress) v1alpha1.StepState {
	switch {
	case p.Result == engine.StepSkipped:
		return v1alpha1.StepSkipped
	case p.Result == engine.StepFailed:
		return v1alpha1.StepFailed
	case p.Result != "":
		return v1alpha1.StepSucceeded
	}
	switch p.State {
	case store.RunAttention:
		return v1alpha1.StepAttention
	case store.RunWaiting:
		return v1alpha1.StepWaiting
	case store.RunStopped:
		return v1alpha1.StepStopped
	case store.RunFailed:
		return v1alpha1.StepFailed
	case store.RunReady, store.RunInFlight, store.RunSucceeded:
	}
	return v1alpha1.StepRunning
}
