// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package workflow

import (
	"context"
	"fmt"
	"slices"

	ctrl "sigs.k8s.io/controller-runtime"

	"github.com/seatkeeper/seatkeeper/api/v1alpha1"
	"github.com/seatkeeper/seatkeeper/internal/reconcile"
	engine "github.com/seatkeeper/seatkeeper/internal/workflow"
)

// Mail knows whether people can be reached by e-mail.
type Mail interface {
	// ProblemIn says why they cannot in a namespace, by the reason of a condition
	// and in words; no reason: they can.
	ProblemIn(ctx context.Context, namespace string) (reason, message string, err error)
}

// unmailed says of steps that need e-mail that there is none,
// before a run comes to them.
func (r *Reconciler) unmailed(ctx context.Context, obj *v1alpha1.Workflow, c *reconcile.Conditions, p *plan) {
	if r.Mail == nil || p == nil {
		return
	}
	steps := slices.Concat(mailOnly(p.definition.Steps), mailOnly(p.definition.OnFailure))
	if len(steps) == 0 {
		return
	}
	reason, message, err := r.Mail.ProblemIn(ctx, obj.Namespace)
	switch {
	case err != nil: // a delivery looks again
		ctrl.LoggerFrom(ctx).Error(err, "Could not find out whether people can be asked by e-mail")
	case reason != "":
		c.True(v1alpha1.ConditionPeopleUnreached, reason, fmt.Sprintf("the steps %s need e-mail, which is not possible: %s", reconcile.List(steps, 5), message))
	}
}

// mailOnly names the steps that need e-mail: by their own words no other channel
// would do.
func mailOnly(steps []engine.Step) []string {
	var out []string
	for _, s := range steps {
		if a := s.Ask; a != nil && len(a.Channels) > 0 && !slices.ContainsFunc(a.Channels, func(c engine.ChannelRef) bool { return c.Kind != engine.ChannelEmail }) {
			out = append(out, s.Name)
		}
		if n := s.Notify; n != nil && slices.Contains(n.Via, engine.ChannelEmail) { // each of Via tells everybody
			out = append(out, s.Name)
		}
		if s.ForEach != nil {
			out = append(out, mailOnly(s.ForEach.Steps)...)
		}
		if w := s.Switch; w != nil {
			for _, c := range w.When {
				out = append(out, mailOnly(c.Steps)...)
			}
			out = append(out, mailOnly(w.Otherwise)...)
		}
	}
	return out
}
