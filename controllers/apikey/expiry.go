// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package apikey

import (
	"fmt"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"sigs.k8s.io/controller-runtime/pkg/metrics"

	"github.com/seatkeeper/seatkeeper/api/v1alpha1"
	"github.com/seatkeeper/seatkeeper/internal/reconcile"
)

var expiry = prometheus.NewGaugeVec(prometheus.GaugeOpts{
	Name: "seatkeeper_api_key_expiry_timestamp_seconds", Help: "When an APIKey expires, in seconds since 1970; absent for keys that do not, or are revoked.",
}, []string{"namespace", "name", "type"})

func init() { metrics.Registry.MustRegister(expiry) }

func observeExpiry(obj *v1alpha1.APIKey, revoked bool) {
	if revoked || obj.Spec.ExpiresAt == nil {
		expiry.DeletePartialMatch(map[string]string{"namespace": obj.Namespace, "name": obj.Name})
		return
	}
	expiry.WithLabelValues(obj.Namespace, obj.Name, string(obj.Spec.Type)).Set(float64(obj.Spec.ExpiresAt.Unix()))
}

// thresholds are when a warning comes before a key expires, the nearest first.
var thresholds = []struct {
	before time.Duration
	words  string
}{{24 * time.Hour, "1 day"}, {7 * 24 * time.Hour, "7 days"}, {30 * 24 * time.Hour, "30 days"}}

// warn sets the condition of a key that expires soon, with an event for each
// threshold, and returns when to look again. The message names the threshold and
// the time, and counts nothing down (decision 28).
func (r *Reconciler) warn(obj *v1alpha1.APIKey, c *reconcile.Conditions, at, now time.Time) (next time.Time) {
	next = at
	for _, t := range thresholds {
		if edge := at.Add(-t.before); now.Before(edge) {
			next = edge
			continue
		}
		message := reconcile.Message(fmt.Sprintf("the key expires at %s, in %s or less: set a later spec.expiresAt, or replace the key where it is used", stamp(at), t.words))
		if before := c.Get(v1alpha1.ConditionExpiring); before == nil || before.Message != message {
			r.Env.Events.Warning(obj, v1alpha1.ReasonExpiresSoon, "Expire", message)
		}
		c.True(v1alpha1.ConditionExpiring, v1alpha1.ReasonExpiresSoon, message)
		break
	}
	return next
}
