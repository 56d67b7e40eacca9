// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package reconcile

import (
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/clock"

	"github.com/seatkeeper/seatkeeper/api/v1alpha1"
)

// Conditions collects what one pass says of an object. A domain condition that
// the controller owns and a successful pass does not set is removed: one that
// does not apply is absent, not False.
type Conditions struct {
	list       []metav1.Condition
	set        map[string]bool
	generation int64
	clock      clock.PassiveClock
}

func newConditions(current []metav1.Condition, generation int64, c clock.PassiveClock) *Conditions {
	list := make([]metav1.Condition, len(current))
	copy(list, current)
	return &Conditions{list: list, set: map[string]bool{}, generation: generation, clock: c}
}

// True sets a domain condition to True.
func (c *Conditions) True(kind, reason, message string) {
	c.put(kind, metav1.ConditionTrue, reason, message)
}

// False sets a domain condition to False.
func (c *Conditions) False(kind, reason, message string) {
	c.put(kind, metav1.ConditionFalse, reason, message)
}

// Unknown sets a domain condition to Unknown.
func (c *Conditions) Unknown(kind, reason, message string) {
	c.put(kind, metav1.ConditionUnknown, reason, message)
}

// Keep leaves a domain condition as an earlier pass set it.
func (c *Conditions) Keep(kind string) {
	if old := meta.FindStatusCondition(c.list, kind); old != nil {
		old.ObservedGeneration = c.generation
		c.set[kind] = true
	}
}

// Get returns the condition as it stands in this pass, or nil.
func (c *Conditions) Get(kind string) *metav1.Condition {
	return meta.FindStatusCondition(c.list, kind)
}

func (c *Conditions) put(kind string, status metav1.ConditionStatus, reason, message string) {
	c.putText(kind, status, reason, Message(message))
}

func (c *Conditions) putText(kind string, status metav1.ConditionStatus, reason, text string) {
	c.set[kind] = true
	meta.SetStatusCondition(&c.list, metav1.Condition{
		Type: kind, Status: status, Reason: reason, Message: text,
		ObservedGeneration: c.generation, LastTransitionTime: metav1.NewTime(c.clock.Now()),
	})
}

func (c *Conditions) remove(kind string) { meta.RemoveStatusCondition(&c.list, kind) }

// summarise adds Ready, Reconciling and Stalled for a verdict and drops the
// owned domain conditions that no longer apply.
func (c *Conditions) summarise(v verdict, ready Outcome, owned []string) {
	switch v.class {
	case classDone:
		reason, message := ready.Reason, ready.Message
		if reason == "" {
			reason = v1alpha1.ReasonReconciled
		}
		if message == "" {
			message = "all is as declared"
		}
		c.put(v1alpha1.ConditionReady, metav1.ConditionTrue, reason, message)
		c.remove(v1alpha1.ConditionReconciling)
		c.remove(v1alpha1.ConditionStalled)
	case classStalled:
		text := Message(v.message)
		if v.verbatim {
			text = Verbatim(v.message)
		}
		c.putText(v1alpha1.ConditionReady, metav1.ConditionFalse, v.reason, text)
		c.put(v1alpha1.ConditionStalled, metav1.ConditionTrue, v.reason, v.message)
		c.remove(v1alpha1.ConditionReconciling)
	case classWaiting, classTransient:
		c.put(v1alpha1.ConditionReady, metav1.ConditionFalse, v.reason, v.message)
		c.put(v1alpha1.ConditionReconciling, metav1.ConditionTrue, v.reason, v.message)
		c.remove(v1alpha1.ConditionStalled)
	}
	if v.class == classTransient {
		return // what the pass did not come to is not thereby untrue
	}
	for _, kind := range owned {
		if !c.set[kind] {
			c.remove(kind)
		}
	}
}

// ownedSet is every condition type that the Loop may write.
func ownedSet(domain []string) map[string]bool {
	set := map[string]bool{v1alpha1.ConditionReady: true, v1alpha1.ConditionReconciling: true, v1alpha1.ConditionStalled: true}
	for _, kind := range domain {
		set[kind] = true
	}
	return set
}

// mergeConditions lays our owned conditions over the ones that are stored now,
// so that somebody else's condition survives our patch.
func mergeConditions(stored, ours []metav1.Condition, owned map[string]bool) []metav1.Condition {
	out := make([]metav1.Condition, 0, len(ours))
	done := map[string]bool{}
	for _, cond := range stored {
		if !owned[cond.Type] {
			out = append(out, cond)
			done[cond.Type] = true
			continue
		}
		if own := meta.FindStatusCondition(ours, cond.Type); own != nil {
			out = append(out, *own)
			done[cond.Type] = true
		}
	}
	for _, cond := range ours {
		if owned[cond.Type] && !done[cond.Type] {
			out = append(out, cond)
		}
	}
	return out
}
