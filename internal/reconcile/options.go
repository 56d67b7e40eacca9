// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package reconcile

import (
	"math/rand/v2"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"k8s.io/client-go/util/workqueue"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/metrics"
	"sigs.k8s.io/controller-runtime/pkg/predicate"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/seatkeeper/seatkeeper/api/v1alpha1"
)

// Back-off of an object whose step fails; controller-runtime's own starts at
// 5 ms, which hammers a vendor or a database that is down.
const (
	minBackoff = time.Second
	maxBackoff = 15 * time.Minute
)

// passTimeout bounds one pass.
const passTimeout = 2 * time.Minute

// ControllerOptions are the options of every controller of this project.
// The priority queue is off: with it, what is polled starves what is new.
func ControllerOptions(workers int) controller.Options {
	return controller.Options{
		MaxConcurrentReconciles: max(1, workers),
		UsePriorityQueue:        ptr.To(false),
		RateLimiter:             workqueue.NewTypedItemExponentialFailureRateLimiter[reconcile.Request](minBackoff, maxBackoff),
		ReconciliationTimeout:   passTimeout,
	}
}

// Jitter spreads d by up to 10 % either way.
func Jitter(d time.Duration) time.Duration {
	if d <= 0 {
		return 0
	}
	return d + time.Duration((rand.Float64()*2-1)*0.1*float64(d))
}

// RequestedAt returns the annotation that asks for a reconcile now.
func RequestedAt(obj client.Object) (string, bool) {
	v, ok := obj.GetAnnotations()[v1alpha1.RequestedAtAnnotation]
	if len(v) > 128 {
		v = v[:128]
	}
	return v, ok && v != ""
}

// Changed passes what a controller must look at: a new generation (deletion
// included), an explicit request, or a change of one of the annotations named.
// Status writes, our own above all, wake nobody.
func Changed(annotations ...string) predicate.Predicate {
	watched := append([]string{v1alpha1.RequestedAtAnnotation}, annotations...)
	return predicate.Or(predicate.GenerationChangedPredicate{}, predicate.Funcs{
		CreateFunc:  func(event.CreateEvent) bool { return true },
		DeleteFunc:  func(event.DeleteEvent) bool { return true },
		GenericFunc: func(event.GenericEvent) bool { return true },
		UpdateFunc: func(e event.UpdateEvent) bool {
			if e.ObjectOld == nil || e.ObjectNew == nil {
				return false
			}
			for _, key := range watched {
				if e.ObjectOld.GetAnnotations()[key] != e.ObjectNew.GetAnnotations()[key] {
					return true
				}
			}
			return false
		},
	})
}

var duration = prometheus.NewHistogramVec(prometheus.HistogramOpts{
	Name:    "seatkeeper_reconcile_duration_seconds",
	Help:    "Time that one pass over one object took.",
	Buckets: prometheus.ExponentialBuckets(0.001, 4, 9),
}, []string{"kind"})

func init() { metrics.Registry.MustRegister(duration) }

func observeDuration(kind string, d time.Duration) {
	duration.WithLabelValues(kind).Observe(d.Seconds())
}
