// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package workflow

import (
	"context"
	"fmt"
	"time"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/seatkeeper/seatkeeper/api/v1alpha1"
	"github.com/seatkeeper/seatkeeper/internal/reconcile"
	"github.com/seatkeeper/seatkeeper/internal/webhookurl"
)

// Webhooks makes the address at which a Workflow receives events.
type Webhooks interface {
	Ensure(ctx context.Context, kind string, owner client.Object, hooks []webhookurl.Hook) (webhookurl.Result, error)
	// Sign keeps, for the gateway, the key that a Secret of the user's has for
	// deliveries to a Workflow; without a name it forgets it. missing is what the
	// Secret lacks.
	Sign(ctx context.Context, namespace, workflow, secret string) (missing string, problem *webhookurl.Problem, err error)
	// DeadLetters names the webhooks with events that could not be handled.
	DeadLetters(ctx context.Context, namespace, workflow string) ([]string, error)
}

// webhook makes the address of a Workflow with trigger webhook, and ends that of
// one which has none any more. It returns when to look again, 0 for no time.
func (r *Reconciler) webhook(ctx context.Context, obj *v1alpha1.Workflow, c *reconcile.Conditions) (time.Duration, error) {
	if r.Webhooks == nil {
		return 0, nil
	}
	t := obj.Spec.Trigger.Webhook
	if t == nil {
		obj.Status.Webhook = nil
		return 0, r.endWebhook(ctx, obj)
	}
	hook, err := webhookurl.OfWorkflow(t)
	if err != nil {
		// What was valid before stays; deliveries to it are kept.
		c.False(v1alpha1.ConditionWebhookReady, v1alpha1.ReasonInvalidSpec, fmt.Sprintf("spec.trigger.webhook.%v", err))
		return 0, nil
	}
	secret := ""
	if t.HMAC != nil {
		secret = string(t.HMAC.SecretName)
	}
	// The key first: an address that takes what it cannot verify must not be.
	lacks, problem, err := r.Webhooks.Sign(ctx, obj.Namespace, obj.Name, secret)
	if err != nil {
		return 0, unready(err)
	}
	res, err := r.Webhooks.Ensure(ctx, v1alpha1.KindWorkflow, obj, []webhookurl.Hook{hook})
	if err != nil {
		return 0, unready(err)
	}
	if res.Problem == nil {
		res.Problem = problem
	}
	dead, err := r.Webhooks.DeadLetters(ctx, obj.Namespace, obj.Name)
	if err != nil {
		return 0, unready(err)
	}
	var missing []string
	if lacks != "" {
		missing = []string{lacks}
	}
	obj.Status.Webhook = webhookurl.Report(c, res, missing, dead)
	return res.After, nil
}

func (r *Reconciler) endWebhook(ctx context.Context, obj *v1alpha1.Workflow) error {
	if r.Webhooks == nil {
		return nil
	}
	if _, err := r.Webhooks.Ensure(ctx, v1alpha1.KindWorkflow, obj, nil); err != nil {
		return unready(err)
	}
	if _, _, err := r.Webhooks.Sign(ctx, obj.Namespace, obj.Name, ""); err != nil {
		return unready(err)
	}
	return nil
}

func unready(err error) error {
	return reconcile.Transient(err, v1alpha1.ReasonTransientError, "the address of its webhook could not be made")
}
