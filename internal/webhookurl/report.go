// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package webhookurl

import (
	"fmt"
	"strings"

	"github.com/seatkeeper/seatkeeper/api/v1alpha1"
	"github.com/seatkeeper/seatkeeper/internal/reconcile"
)

// Report shows an owner's addresses in its status. missing are keys that its
// Secret lacks to verify deliveries, dead the webhooks with events that could
// not be handled.
func Report(c *reconcile.Conditions, r Result, missing, dead []string) *v1alpha1.WebhookStatus {
	if r.SecretName == "" {
		return nil
	}
	list := "list them with `seatkeeper events list --state dead`, mend the cause, and replay them"
	switch {
	case r.Problem != nil:
		c.False(v1alpha1.ConditionWebhookReady, r.Problem.Reason, r.Problem.Message)
	case len(missing) > 0:
		c.False(v1alpha1.ConditionWebhookReady, v1alpha1.ReasonSecretKeyMissing, fmt.Sprintf(
			"deliveries are refused as long as nothing verifies them, and what happens is seen by the next sync alone: the Secret with the credentials lacks %s", reconcile.List(missing, 8)))
	case len(dead) > 0 && strings.Join(dead, "") != "":
		c.False(v1alpha1.ConditionWebhookReady, v1alpha1.ReasonDeadLetters, fmt.Sprintf("events of %s were received and could not be handled: %s", reconcile.List(dead, 8), list))
	case len(dead) > 0:
		c.False(v1alpha1.ConditionWebhookReady, v1alpha1.ReasonDeadLetters, "events were received and could not be handled: "+list)
	case r.PathOnly:
		c.True(v1alpha1.ConditionWebhookReady, v1alpha1.ReasonPublicURLUnset, fmt.Sprintf(
			"the Secret %s has the path only: put it behind the address at which senders reach the gateway, or start the manager with --public-url", r.SecretName))
	default:
		c.True(v1alpha1.ConditionWebhookReady, v1alpha1.ReasonAddressReady, fmt.Sprintf("the address is in the Secret %s", r.SecretName))
	}
	return &v1alpha1.WebhookStatus{SecretName: v1alpha1.ResourceName(r.SecretName), Rotation: r.Rotation}
}
