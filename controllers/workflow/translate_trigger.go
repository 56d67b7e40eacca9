// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package workflow

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"

	"github.com/seatkeeper/seatkeeper/api/v1alpha1"
	"github.com/seatkeeper/seatkeeper/internal/trigger"
	engine "github.com/seatkeeper/seatkeeper/internal/workflow"
)

// startsOf is what starts runs by itself; nil: nothing does.
func startsOf(spec v1alpha1.WorkflowSpec, subject string) (*trigger.Spec, error) {
	t := spec.Trigger
	out := &trigger.Spec{Subject: subject, When: string(spec.When)}
	switch {
	case t.Person != nil:
		out.Person = &trigger.Person{Changed: t.Person.Changed}
		for _, e := range t.Person.Events {
			out.Person.Events = append(out.Person.Events, string(e))
		}
	case t.Realtime != nil:
		out.Realtime = &trigger.Realtime{Integration: string(t.Realtime.Integration), Event: t.Realtime.Event}
	case t.Webhook != nil:
		out.Webhook = webhookStarts(t.Webhook.Person)
	case t.Schedule != nil:
		out.Schedule = &trigger.Schedule{Cron: t.Schedule.Cron, TimeZone: string(t.Schedule.TimeZone)}
	case t.Application != nil:
		out.Application = &trigger.Application{}
		for _, e := range t.Application.Events {
			out.Application.Events = append(out.Application.Events, string(e))
		}
	case t.Contract != nil:
		days, err := t.Contract.Before.Count()
		if err != nil {
			return nil, &stepError{"spec.trigger.contract.before", err.Error()}
		}
		out.Contract = &trigger.Contract{Before: days, Of: cmp.Or(t.Contract.Of, trigger.OfDeadline)}
	case t.License != nil:
		days, err := t.License.InactiveFor.Count()
		if err != nil {
			return nil, &stepError{"spec.trigger.license.inactiveFor", err.Error()}
		}
		out.License = &trigger.License{InactiveFor: days}
		if t.License.PolicyRef != nil {
			out.License.Policy = string(t.License.PolicyRef.Name)
		}
	default: // by hand
		for _, f := range []struct {
			name string
			set  bool
		}{{"spec.at", spec.At != nil}, {"spec.catchUp", spec.CatchUp != nil}, {"spec.guard", spec.Guard != nil}} {
			if f.set {
				return nil, &stepError{f.name, "is for runs that start by themselves, and trigger manual starts none"}
			}
		}
		return nil, nil
	}
	if spec.At != nil {
		if t.Schedule != nil {
			return nil, &stepError{"spec.at", "a schedule says itself when its runs start"}
		}
		m, err := moment("spec.at", *spec.At)
		if err != nil {
			return nil, err
		}
		out.At = &m
	}
	if c := spec.CatchUp; c != nil {
		out.CatchUp = &trigger.CatchUp{Mode: c.Mode}
		if c.Within != "" {
			var err error
			if out.CatchUp.Within, err = limit("spec.catchUp.within", c.Within); err != nil {
				return nil, err
			}
		}
	}
	var err error
	out.Guard, err = guard(spec.Guard)
	return out, err
}

func webhookStarts(p *v1alpha1.WebhookPerson) *trigger.Webhook {
	out := &trigger.Webhook{}
	if p == nil {
		return out
	}
	out.Create = p.Create
	for _, m := range p.Match {
		for field, value := range map[string]v1alpha1.Template{trigger.MatchEmployeeID: m.EmployeeID, trigger.MatchEmail: m.Email, trigger.MatchExternalID: m.ExternalID} {
			if value != "" {
				out.Match = append(out.Match, trigger.Match{Field: field, Value: string(value)})
			}
		}
	}
	for name, value := range p.Fields {
		if out.Fields == nil {
			out.Fields = map[string]string{}
		}
		out.Fields[name] = string(value)
	}
	return out
}

// guard is what a Workflow declares; nil: nothing.
func guard(g *v1alpha1.Guard) (*trigger.Guard, error) {
	if g == nil {
		return nil, nil
	}
	out := trigger.DefaultGuard
	if g.MinItems != nil {
		out.MinItems = int(*g.MinItems)
	}
	if g.MaxPercent != nil {
		out.MaxPercent = int(*g.MaxPercent)
	}
	if g.Per != "" {
		per, err := g.Per.Parse()
		if err != nil {
			return nil, &stepError{"spec.guard.per", err.Error()}
		}
		out.Per = per
	}
	return &out, nil
}

// guarded gives a trigger the guard that it has without one of its own.
func (p *plan) guarded() {
	if p.starts != nil && p.starts.Guard == nil && (engine.HasPerson(p.definition.Subject) || p.destructive || len(p.calls) > 0) {
		g := trigger.DefaultGuard
		p.starts.Guard = &g
	}
}

// checkTrigger checks what starts runs, and what it refers to.
func (r *Reconciler) checkTrigger(ctx context.Context, obj *v1alpha1.Workflow, p *plan) error {
	if p.starts == nil {
		return nil
	}
	var bad *trigger.FieldError
	if err := trigger.Check(*p.starts, r.Language); errors.As(err, &bad) {
		return wrong(v1alpha1.ReasonInvalidExpression, "%v", bad)
	} else if err != nil {
		return err
	}
	if p.starts.License != nil && p.starts.License.Policy != "" {
		return r.checkPolicy(ctx, obj.Namespace, p.starts.License.Policy)
	}
	if t := obj.Spec.Trigger.Realtime; t != nil {
		return r.checkRealtime(ctx, obj, t)
	}
	return nil
}

// checkPolicy checks that the LicensePolicy is there whose seats are looked for.
func (r *Reconciler) checkPolicy(ctx context.Context, namespace, name string) error {
	var p v1alpha1.LicensePolicy
	err := r.Env.Client.Get(ctx, types.NamespacedName{Namespace: namespace, Name: name}, &p)
	if apierrors.IsNotFound(err) {
		return wrong(v1alpha1.ReasonReferenceNotFound, "spec.trigger.license.policyRef: there is no LicensePolicy %q in this namespace; create it, or correct the name", name)
	}
	if err != nil {
		return fmt.Errorf("read LicensePolicy %q: %w", name, err)
	}
	return nil
}

// checkRealtime checks that the Integration tells of the event.
func (r *Reconciler) checkRealtime(ctx context.Context, obj *v1alpha1.Workflow, t *v1alpha1.RealtimeTrigger) error {
	var i v1alpha1.Integration
	err := r.Env.Client.Get(ctx, types.NamespacedName{Namespace: obj.Namespace, Name: string(t.Integration)}, &i)
	if apierrors.IsNotFound(err) {
		return wrong(v1alpha1.ReasonIntegrationGone, "spec.trigger.realtime.integration: there is no Integration %q in this namespace", t.Integration)
	}
	if err != nil {
		return fmt.Errorf("read Integration %q: %w", t.Integration, err)
	}
	events, known := r.Connectors.Events(ctx, &i)
	switch {
	case !known:
		return wrong(v1alpha1.ReasonActionUnknown, "spec.trigger.realtime.event: what the connector of Integration %q tells is not known; its own status says why", t.Integration)
	case len(events) == 0:
		return wrong(v1alpha1.ReasonInvalidSpec, "spec.trigger.realtime: the connector of Integration %q has no webhook, so nothing tells of events", t.Integration)
	case !slices.Contains(events, t.Event):
		return wrong(v1alpha1.ReasonInvalidSpec, "spec.trigger.realtime.event: the connector of Integration %q tells of no %q; it tells of %s", t.Integration, t.Event, strings.Join(events, ", "))
	}
	return nil
}
