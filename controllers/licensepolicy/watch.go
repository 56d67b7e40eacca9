// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package licensepolicy

import (
	"context"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/clock"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/predicate"

	"github.com/seatkeeper/seatkeeper/internal/reconcile"
)

// releasePoll is how soon a release by the CLI is noticed; it costs one query.
const releasePoll = 5 * time.Second

// releaseWatcher wakes policies whose held set was released through the store.
type releaseWatcher struct {
	backend Backend
	clock   clock.WithTicker
	out     chan<- event.GenericEvent
}

// NeedLeaderElection tells controller-runtime that only the leader watches.
func (w *releaseWatcher) NeedLeaderElection() bool { return true }

// Start watches until ctx ends.
func (w *releaseWatcher) Start(ctx context.Context) error {
	ticker := w.clock.NewTicker(releasePoll)
	defer ticker.Stop()
	for {
		released, err := w.backend.Released(ctx)
		if err != nil && ctx.Err() == nil {
			ctrl.LoggerFrom(ctx).Error(err, "Could not read which held sets were released")
		}
		for _, v := range released {
			obj := &metav1.PartialObjectMetadata{ObjectMeta: metav1.ObjectMeta{Namespace: v[0], Name: v[1]}}
			select {
			case w.out <- event.GenericEvent{Object: obj}:
			case <-ctx.Done():
				return nil
			}
		}
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C():
		}
	}
}

// intentOrLabels passes a new generation or new labels, by which
// applicationSelector selects.
type intentOrLabels struct{ predicate.Funcs }

// Update implements predicate.Predicate.
func (intentOrLabels) Update(e event.UpdateEvent) bool {
	return reconcile.Changed().Update(e) || (predicate.TypedLabelChangedPredicate[client.Object]{}).Update(e)
}
