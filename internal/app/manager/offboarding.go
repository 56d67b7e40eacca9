// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package manager

import (
	"context"

	"github.com/seatkeeper/seatkeeper/api/v1alpha1"
	"github.com/seatkeeper/seatkeeper/internal/connector"
	"github.com/seatkeeper/seatkeeper/internal/offboarding"
)

// Offboarding implements the Application controller's Backend.
func (c *catalog) Offboarding(ctx context.Context, i *v1alpha1.Integration) offboarding.Integration {
	out := offboarding.Integration{Name: i.Name, ReadAndAct: i.Spec.Permission == v1alpha1.PermissionReadAndAct, Disconnecting: !i.DeletionTimestamp.IsZero()}
	for _, name := range i.Spec.DestructiveActions {
		out.Destructive = append(out.Destructive, string(name))
	}
	if m := c.manifest(ctx, i); m != nil {
		out.Known, out.Actions = true, offboardingActions(m.Actions())
	}
	return out
}

// offboardingActions keeps what matters of actions that can change something.
func offboardingActions(list []connector.ActionInfo) []offboarding.Action {
	var out []offboarding.Action
	for _, a := range list {
		if a.Mode != connector.ModeAct {
			continue
		}
		action := offboarding.Action{Name: a.Name, Removes: a.Effect == connector.EffectRemoves, Destructive: a.Destructive, EndsAccount: a.EndsAccount}
		for _, in := range a.Input {
			action.Inputs = append(action.Inputs, offboarding.Input{Name: in.Name, Type: in.Type, Required: in.Required})
		}
		out = append(out, action)
	}
	return out
}
