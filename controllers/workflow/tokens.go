// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package workflow

import (
	"context"
	"fmt"

	"github.com/seatkeeper/seatkeeper/api/v1alpha1"
	"github.com/seatkeeper/seatkeeper/internal/reconcile"
	"github.com/seatkeeper/seatkeeper/internal/tokens"
)

const (
	// maxTokens is how many of the paths a status shows.
	maxTokens = 128
	// maxToken is how long one may be there.
	maxToken = 256
	// maxFindings is how many expressions a condition names.
	maxFindings = 5
)

// tokens shows what the webhook of a Workflow received, and says of expressions
// that they read what it did not. That is no error: a sender may be yet to send it.
func (r *Reconciler) tokens(ctx context.Context, obj *v1alpha1.Workflow, c *reconcile.Conditions) error {
	obj.Status.Tokens = nil
	if obj.Spec.Trigger.Webhook == nil {
		return nil
	}
	known, err := r.Backend.Tokens(ctx, obj.Namespace, obj.Name)
	if err != nil {
		return err
	}
	for _, p := range known.Paths() {
		if name := p.String(); name != "" && len(name) <= maxToken && len(obj.Status.Tokens) < maxTokens {
			obj.Status.Tokens = append(obj.Status.Tokens, name)
		}
	}
	spec, _, err := written(obj)
	if err != nil {
		return err
	}
	found, err := tokens.Check([]byte(spec), known)
	if err != nil || len(found) == 0 {
		return err
	}
	var lines []string
	for _, f := range found {
		lines = append(lines, f.String())
	}
	c.True(v1alpha1.ConditionPathsUnreceived, v1alpha1.ReasonNeverReceived,
		fmt.Sprintf("%s; `seatkeeper workflow tokens %s` lists what was received", reconcile.List(lines, maxFindings), obj.Name))
	return nil
}
