// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package workflow

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"

	"github.com/seatkeeper/seatkeeper/api/v1alpha1"
	engine "github.com/seatkeeper/seatkeeper/internal/workflow"
)

// call is another Workflow that a step runs.
type call struct{ field, name string }

func (t *translator) workflow(field string, s v1alpha1.WorkflowStep) (*engine.CallStep, error) {
	out := &engine.CallStep{Name: string(s.Name)}
	for _, name := range slices.Sorted(maps.Keys(s.Input)) {
		var v any
		if raw := s.Input[name].Raw; len(raw) > 0 {
			if err := json.Unmarshal(raw, &v); err != nil {
				return nil, &stepError{field + ".workflow.input." + name, "is no JSON"}
			}
		}
		if out.Input == nil {
			out.Input = map[string]any{}
		}
		out.Input[name] = v
	}
	t.plan.calls = append(t.plan.calls, call{field + ".workflow", out.Name})
	return out, nil
}

// checkCalls checks the Workflows that the steps run, and those that these run.
func (r *Reconciler) checkCalls(ctx context.Context, obj *v1alpha1.Workflow, p *plan) error {
	for _, c := range p.calls {
		if err := r.checkCall(ctx, obj, p, c); err != nil {
			return err
		}
	}
	return nil
}

func (r *Reconciler) checkCall(ctx context.Context, obj *v1alpha1.Workflow, p *plan, c call) error {
	if c.name == obj.Name {
		return wrong(v1alpha1.ReasonInvalidStep, "%s.name: the Workflow would run itself without end", c.field)
	}
	target, callee, err := r.callee(ctx, obj.Namespace, c.name)
	if err != nil {
		return err
	}
	way := obj.Spec.Direction
	switch {
	case target == nil:
		return wrong(v1alpha1.ReasonReferenceNotFound, "%s.name: there is no Workflow %q in this namespace", c.field, c.name)
	case callee.trigger != "manual":
		return wrong(v1alpha1.ReasonInvalidStep, "%s.name: Workflow %q has trigger %s; only one with trigger manual can be a step", c.field, c.name, callee.trigger)
	case callee.definition.Subject == engine.SubjectPerson && !engine.HasPerson(p.definition.Subject):
		return wrong(v1alpha1.ReasonInvalidStep, "%s.name: Workflow %q runs for a person, and this one does not", c.field, c.name)
	case !engine.HandsOn(p.definition.Subject, callee.definition.Subject):
		return wrong(v1alpha1.ReasonInvalidStep, "%s.name: Workflow %q has the subject %s, and this one does not", c.field, c.name, callee.definition.Subject)
	case (way == v1alpha1.DirectionOffboarding || way == v1alpha1.DirectionOnboarding) && target.Spec.Direction != way:
		return wrong(v1alpha1.ReasonDirectionViolation, "%s.name: Workflow %q does not have direction %s, as this one has", c.field, c.name, way)
	}
	return r.checkChain(ctx, obj.Namespace, c, []string{obj.Name, c.name}, callee)
}

// checkChain follows the Workflows that one runs down to the last.
func (r *Reconciler) checkChain(ctx context.Context, namespace string, from call, chain []string, p *plan) error {
	for _, c := range p.calls {
		next := append(slices.Clone(chain), c.name)
		switch {
		case slices.Contains(chain, c.name):
			return wrong(v1alpha1.ReasonInvalidStep, "%s.name: the Workflows would run each other without end: %s", from.field, strings.Join(next, ", "))
		case len(next) > engine.MaxDepth:
			return wrong(v1alpha1.ReasonInvalidStep, "%s.name: %s: at most %d Workflows may run one another in a row", from.field, strings.Join(next, ", "), engine.MaxDepth)
		}
		_, callee, err := r.callee(ctx, namespace, c.name)
		if err != nil {
			return err
		}
		if callee == nil {
			continue // its own caller says so
		}
		if err := r.checkChain(ctx, namespace, from, next, callee); err != nil {
			return err
		}
	}
	return nil
}

// callee reads a Workflow; nil if it is not there.
func (r *Reconciler) callee(ctx context.Context, namespace, name string) (*v1alpha1.Workflow, *plan, error) {
	var w v1alpha1.Workflow
	err := r.Env.Client.Get(ctx, types.NamespacedName{Namespace: namespace, Name: name}, &w)
	if apierrors.IsNotFound(err) || err == nil && !w.DeletionTimestamp.IsZero() {
		return nil, nil, nil
	}
	if err != nil {
		return nil, nil, fmt.Errorf("read Workflow %q: %w", name, err)
	}
	p, err := translate(w.Spec)
	if err != nil { // its own status says so
		p = &plan{}
		p.triggerOf(w.Spec.Trigger)
	}
	return &w, p, nil
}
