// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"context"
	"time"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/seatkeeper/seatkeeper/api/v1alpha1"
	"github.com/seatkeeper/seatkeeper/internal/reconcile"
	"github.com/seatkeeper/seatkeeper/internal/syncer/handover"
	"github.com/seatkeeper/seatkeeper/internal/webhookurl"
)

// Addresses makes the addresses at which an Integration receives events.
type Addresses interface {
	Ensure(ctx context.Context, kind string, owner client.Object, hooks []webhookurl.Hook) (webhookurl.Result, error)
}

// Webhooks is how the webhooks of an Integration's connector fare.
type Webhooks struct {
	// Names of the manifest's webhooks, in its order.
	Names []string
	// Missing are the keys that the Secret lacks to verify deliveries, as far as
	// a sync has seen it.
	Missing []string
	// Dead are the webhooks with events that could not be handled.
	Dead []string
}

// webhooks makes the addresses and reports them. It returns when to look again,
// 0 for no time. A problem with them keeps nothing else from going on.
func (r *Reconciler) webhooks(ctx context.Context, obj *v1alpha1.Integration, c *reconcile.Conditions, spec handover.Spec, state *handover.Status, blocked *handover.Problem) (time.Duration, error) {
	if r.Addresses == nil {
		return 0, nil
	}
	w, problem, err := r.Backend.Webhooks(ctx, obj.Namespace, obj.Name, spec)
	if problem != nil { // without its connector nobody knows; what is there stays
		c.Keep(v1alpha1.ConditionWebhookReady)
		return 0, nil
	}
	if err != nil {
		return 0, reconcile.Transient(err, v1alpha1.ReasonStoreUnavailable, "the store does not answer")
	}
	hooks := make([]webhookurl.Hook, len(w.Names))
	for i, name := range w.Names {
		hooks[i].Name = name
	}
	res, err := r.Addresses.Ensure(ctx, v1alpha1.KindIntegration, obj, hooks)
	if err != nil {
		return 0, reconcile.Transient(err, v1alpha1.ReasonTransientError, "the addresses of its webhooks could not be made")
	}
	unseen := state == nil && len(w.Missing) > 0
	if unseen {
		w.Missing = nil // no sync has looked into the Secret yet
	}
	if unseen && blocked != nil && res.Problem == nil && res.SecretName != "" {
		c.Unknown(v1alpha1.ConditionWebhookReady, blocked.Reason,
			"deliveries are refused as long as nothing verifies them, and the Secret is not read before Ready's problem is mended")
		obj.Status.Webhook = &v1alpha1.WebhookStatus{SecretName: v1alpha1.ResourceName(res.SecretName), Rotation: res.Rotation}
		return res.After, nil
	}
	obj.Status.Webhook = webhookurl.Report(c, res, w.Missing, w.Dead)
	return res.After, nil
}
