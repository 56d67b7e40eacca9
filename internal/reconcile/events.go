// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package reconcile

import (
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/tools/events"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/seatkeeper/seatkeeper/api/v1alpha1"
)

// eventTTL is how long the same event about the same object is not repeated.
const eventTTL = 10 * time.Minute

// maxRemembered bounds the memory of past events.
const maxRemembered = 8192

// Events reports transitions as Kubernetes events, each once. The nil Events
// reports nothing.
type Events struct {
	recorder events.EventRecorder
	clock    clock.PassiveClock
	mu       sync.Mutex
	seen     map[eventKey]time.Time
}

type eventKey struct {
	uid             types.UID
	reason, message string
}

// NewEvents wraps a manager's GetEventRecorder.
func NewEvents(recorder events.EventRecorder, c clock.PassiveClock) *Events {
	return &Events{recorder: recorder, clock: c, seen: map[eventKey]time.Time{}}
}

// Normal reports something worth noticing that is as it should be.
func (e *Events) Normal(obj client.Object, reason, action, message string) {
	e.emit(obj, corev1.EventTypeNormal, reason, action, message)
}

// Warning reports something that a person should look at.
func (e *Events) Warning(obj client.Object, reason, action, message string) {
	e.emit(obj, corev1.EventTypeWarning, reason, action, message)
}

func (e *Events) emit(obj client.Object, kind, reason, action, message string) {
	if e == nil {
		return
	}
	message = Message(message)
	if e.repeated(eventKey{obj.GetUID(), reason, message}) {
		return
	}
	e.recorder.Eventf(obj, nil, kind, reason, action, "%s", message)
}

func (e *Events) repeated(key eventKey) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	now := e.clock.Now()
	if at, ok := e.seen[key]; ok && now.Sub(at) < eventTTL {
		return true
	}
	if len(e.seen) >= maxRemembered {
		for k, at := range e.seen {
			if now.Sub(at) >= eventTTL {
				delete(e.seen, k)
			}
		}
		if len(e.seen) >= maxRemembered {
			clear(e.seen)
		}
	}
	e.seen[key] = now
	return false
}

// transition reports a Ready condition that turned or changed its reason.
func (e *Events) transition(_, obj client.Object, before, after []metav1.Condition) {
	if e == nil {
		return
	}
	was, is := meta.FindStatusCondition(before, v1alpha1.ConditionReady), meta.FindStatusCondition(after, v1alpha1.ConditionReady)
	if is == nil || (was != nil && was.Status == is.Status && was.Reason == is.Reason) {
		return
	}
	if is.Status == metav1.ConditionTrue {
		e.Normal(obj, is.Reason, "Reconcile", is.Message)
		return
	}
	e.Warning(obj, is.Reason, "Reconcile", is.Message)
}
