// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package reconcile

import (
	"context"
	"sync"
	"time"

	"golang.org/x/time/rate"
	"k8s.io/apimachinery/pkg/types"

	"github.com/seatkeeper/seatkeeper/api/v1alpha1"
)

// Bounds on status writes (decision 28).
const (
	StatusWriteInterval   = 30 * time.Second
	StatusWritesPerSecond = 20
)

// WriteLimiter bounds status writes: one per object in StatusWriteInterval
// unless a person would notice the change, and StatusWritesPerSecond in all.
// The nil limiter bounds nothing.
type WriteLimiter struct {
	bucket *rate.Limiter
	mu     sync.Mutex
	last   map[objectKey]time.Time
}

type objectKey struct {
	kind string
	name types.NamespacedName
}

// NewWriteLimiter returns the limiter that all controllers of a manager share.
func NewWriteLimiter() *WriteLimiter {
	return &WriteLimiter{bucket: rate.NewLimiter(StatusWritesPerSecond, StatusWritesPerSecond), last: map[objectKey]time.Time{}}
}

// hold returns how long a write must still wait.
func (w *WriteLimiter) hold(kind string, key types.NamespacedName, now time.Time, urgent bool) time.Duration {
	if w == nil || urgent {
		return 0
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	last, ok := w.last[objectKey{kind, key}]
	if !ok {
		return 0
	}
	return max(0, StatusWriteInterval-now.Sub(last))
}

func (w *WriteLimiter) wait(ctx context.Context) error {
	if w == nil {
		return nil
	}
	return w.bucket.Wait(ctx)
}

func (w *WriteLimiter) wrote(kind string, key types.NamespacedName, now time.Time) {
	if w == nil {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.last[objectKey{kind, key}] = now
}

func (w *WriteLimiter) forget(kind string, key types.NamespacedName) {
	if w == nil {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.last, objectKey{kind, key})
}

// urgentChange is one that must not wait: a new generation was seen, a
// condition turned that is not calm, or an explicit request was handled.
func urgentChange(before, after *v1alpha1.CommonStatus, calm []string) bool {
	return before.ObservedGeneration != after.ObservedGeneration ||
		before.LastHandledReconcileAt != after.LastHandledReconcileAt ||
		conditionsDiffer(before.Conditions, after.Conditions, calm)
}
