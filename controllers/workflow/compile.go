// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package workflow

import (
	"fmt"

	"github.com/seatkeeper/seatkeeper/api/v1alpha1"
	"github.com/seatkeeper/seatkeeper/internal/trigger"
	engine "github.com/seatkeeper/seatkeeper/internal/workflow"
)

// Compiled is a spec as the engine runs it.
type Compiled struct {
	Definition engine.Definition
	// Trigger is the kind of what starts runs.
	Trigger string
	// Starts is what it says; nil: nothing starts runs by itself.
	Starts   *trigger.Spec
	Warnings []string
}

// Compile checks a spec as the controller does, without the namespace around
// it. action describes an action of an Integration; known is false where nobody
// knows what that can do, which is then not checked. The error begins with the
// field.
func Compile(spec v1alpha1.WorkflowSpec, lang engine.Language, action func(integration, name string) (a Action, known, ok bool)) (Compiled, error) {
	p, err := translate(spec)
	if err != nil {
		return Compiled{}, err
	}
	if err := engine.Check(p.definition, lang); err != nil {
		return Compiled{}, fmt.Errorf("spec.%w", err)
	}
	for _, u := range p.uses {
		a, known, ok := action(u.integration, u.action)
		if !known {
			continue
		}
		if !ok {
			return Compiled{}, wrong(v1alpha1.ReasonActionUnknown, "%s.name: the connector of Integration %q has no action %q", u.field, u.integration, u.action)
		}
		if err := fits(spec.Direction, u, a); err != nil {
			return Compiled{}, err
		}
		p.destructive = p.destructive || a.Destructive
	}
	for _, u := range p.requests {
		if err := literals(u); err != nil {
			return Compiled{}, err
		}
	}
	if p.starts != nil {
		if err := trigger.Check(*p.starts, lang); err != nil {
			return Compiled{}, err
		}
	}
	p.guarded()
	return Compiled{Definition: p.definition, Trigger: p.trigger, Starts: p.starts, Warnings: p.warnings}, nil
}

// fits compares what a step asks with what its action is.
func fits(way v1alpha1.Direction, u use, a Action) error {
	if err := inputs(u, a); err != nil {
		return err
	}
	if u.literal != "" {
		return wrong(v1alpha1.ReasonSecretInLiteral, "%s.%s: a secret in a literal: git keeps what is committed", u.field, u.literal)
	}
	if way == v1alpha1.DirectionOffboarding && a.Grants || way == v1alpha1.DirectionOnboarding && a.Removes {
		does := "gives access"
		if a.Removes {
			does = "takes access away"
		}
		return wrong(v1alpha1.ReasonDirectionViolation, "%s.name: %s %s, which a Workflow with direction %s may not do", u.field, u.action, does, way)
	}
	return nil
}
