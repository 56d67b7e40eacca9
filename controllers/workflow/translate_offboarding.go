// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package workflow

import (
	"context"
	"fmt"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"

	"github.com/seatkeeper/seatkeeper/api/v1alpha1"
	engine "github.com/seatkeeper/seatkeeper/internal/workflow"
)

// appName is an Application that a step names.
type appName struct{ field, name string }

func (t *translator) offboarding(field string, s v1alpha1.OffboardingStep) (*engine.OffboardingStep, error) {
	switch t.plan.definition.Subject {
	case engine.SubjectPerson:
	case engine.SubjectLicense:
		return nil, &stepError{field, "an unused seat is no reason to offboard who holds it; give the seat back by an action"}
	default:
		return nil, &stepError{field, "the run is about no person; give the trigger a subject Person"}
	}
	out := &engine.OffboardingStep{}
	for _, name := range s.Applications {
		out.Applications = append(out.Applications, string(name))
		t.plan.apps = append(t.plan.apps, appName{field + ".offboarding.applications", string(name)})
	}
	for _, name := range s.Except {
		out.Except = append(out.Except, string(name))
		t.plan.apps = append(t.plan.apps, appName{field + ".offboarding.except", string(name)})
	}
	t.plan.offboards = append(t.plan.offboards, field+".offboarding")
	return out, nil
}

// checkOffboarding checks what offboarding steps name: an app that is not there
// would be left out without a word.
func (r *Reconciler) checkOffboarding(ctx context.Context, obj *v1alpha1.Workflow, p *plan) error {
	if len(p.offboards) > 0 && obj.Spec.Direction == v1alpha1.DirectionOnboarding {
		return wrong(v1alpha1.ReasonDirectionViolation, "%s takes access away, which a Workflow with direction Onboarding may not do", p.offboards[0])
	}
	for _, a := range p.apps {
		at := types.NamespacedName{Namespace: obj.Namespace, Name: a.name}
		err := r.Env.Client.Get(ctx, at, &v1alpha1.Application{})
		if apierrors.IsNotFound(err) { // what no Application is about is known by its Integration
			err = r.Env.Client.Get(ctx, at, &v1alpha1.Integration{})
		}
		if apierrors.IsNotFound(err) {
			return wrong(v1alpha1.ReasonReferenceNotFound, "%s: there is no Application %q in this namespace", a.field, a.name)
		}
		if err != nil {
			return fmt.Errorf("read Application %q: %w", a.name, err)
		}
	}
	return nil
}
