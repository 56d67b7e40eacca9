// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"cmp"
	"fmt"
	"strings"

	"github.com/seatkeeper/seatkeeper/api/v1alpha1"
	"github.com/seatkeeper/seatkeeper/internal/reconcile"
	"github.com/seatkeeper/seatkeeper/internal/syncer/handover"
)

// report fills the status from what a worker left.
func report(obj *v1alpha1.Integration, c *reconcile.Conditions, spec handover.Spec, st *handover.Status, overridden bool) {
	if overridden {
		c.True(v1alpha1.ConditionEndpointOverridden, v1alpha1.ReasonOperatorOverride,
			"the operator redirects this connector: what is synced does not come from the vendor's own address")
	}
	if st == nil {
		c.Unknown(v1alpha1.ConditionTested, v1alpha1.ReasonProgressing, "the connect test has not run yet")
		c.Unknown(v1alpha1.ConditionSynced, v1alpha1.ReasonSyncing, "no sync has finished yet")
		return
	}
	obj.Status.Digest = st.Digest
	obj.Status.DataTypes = obj.Status.DataTypes[:0:0]
	for _, d := range st.DataTypes {
		obj.Status.DataTypes = append(obj.Status.DataTypes, v1alpha1.DataTypeStatus{
			Name: v1alpha1.DataType(d.Name), State: v1alpha1.DataTypeState(d.State), Records: d.Records,
			Quarantined: d.Quarantined, Reason: d.Reason, Message: reconcile.Message(d.Message)})
	}
	obj.Status.Held = nil
	if len(st.Held) > 0 {
		h := st.Held[0]
		obj.Status.Held = &v1alpha1.HeldSet{Digest: h.Digest, Count: h.Count, Total: h.Total, Allowed: h.Allowed, Reason: h.Reason}
		c.True(v1alpha1.ConditionHeld, v1alpha1.ReasonGuardHeld, heldMessage(st.Held))
	}
	tested(c, spec, st)
	synced(c, st)
}

// setAccount shows the remote account; what checks siblings looks at it.
func setAccount(obj *v1alpha1.Integration, st *handover.Status) {
	obj.Status.Account = nil
	if st != nil && st.Account != nil {
		obj.Status.Account = &v1alpha1.RemoteAccount{ID: st.Account.ID, Name: st.Account.Name}
	}
}

func heldMessage(held []handover.HeldSet) string {
	parts := make([]string, len(held))
	for i, h := range held {
		parts[i] = fmt.Sprintf("stream %s lacks %d of %d known records, %d may go unasked; set %s", h.Stream, h.Count, h.Total, h.Allowed, h.Digest)
	}
	return strings.Join(parts, "; ")
}

func tested(c *reconcile.Conditions, spec handover.Spec, st *handover.Status) {
	t := st.Test
	switch {
	case t == nil && st.Problem != nil:
		c.False(v1alpha1.ConditionTested, st.Problem.Reason, st.Problem.Message)
	case t == nil:
		c.Unknown(v1alpha1.ConditionTested, v1alpha1.ReasonProgressing, "the connect test has not run yet")
	case t.Input != spec.TestInput():
		c.Unknown(v1alpha1.ConditionTested, v1alpha1.ReasonProgressing, "spec or Secret changed; the connect test runs again")
	case t.Outcome == handover.AllPassed:
		c.True(v1alpha1.ConditionTested, v1alpha1.ReasonAllPassed, "every data type passed the connect test")
	case t.Outcome == handover.Partial && spec.AcceptPartial:
		c.True(v1alpha1.ConditionTested, v1alpha1.ReasonPartial, "accepted by spec.acceptPartial; not passed: "+t.Message)
	case t.Outcome == handover.Partial:
		c.False(v1alpha1.ConditionTested, v1alpha1.ReasonPartial, cmp.Or(t.Message, "some data types failed the connect test"))
	case t.Outcome == handover.Inconclusive:
		c.Unknown(v1alpha1.ConditionTested, v1alpha1.ReasonVendorError, cmp.Or(t.Message, "the connect test could not be finished"))
	case t.Message == "" && st.Problem != nil && st.Problem.Reason == v1alpha1.ReasonAccountChanged:
		c.False(v1alpha1.ConditionTested, v1alpha1.ReasonAccountChanged, "the credentials work and reach another remote account than before; Ready says how to go on")
	case t.Message == "" && st.Problem != nil && st.Problem.Reason == v1alpha1.ReasonAccountAlreadyConnected:
		c.False(v1alpha1.ConditionTested, v1alpha1.ReasonAccountAlreadyConnected, st.Problem.Message)
	default:
		c.False(v1alpha1.ConditionTested, v1alpha1.ReasonFailed, cmp.Or(t.Message, "the connect test failed"))
	}
}

func synced(c *reconcile.Conditions, st *handover.Status) {
	switch {
	case st.Problem != nil && st.Problem.Reason == v1alpha1.ReasonGuardHeld:
		c.False(v1alpha1.ConditionSynced, v1alpha1.ReasonGuardHeld, "a guard holds the last listing; what was known before is kept")
	case st.Problem != nil && st.Problem.Verbatim:
		c.False(v1alpha1.ConditionSynced, v1alpha1.ReasonSyncFailed, "nothing was synced and what was known before is kept; Ready says why and how to go on")
	case st.Problem != nil:
		c.False(v1alpha1.ConditionSynced, v1alpha1.ReasonSyncFailed, st.Problem.Message)
	case !st.Synced:
		c.Unknown(v1alpha1.ConditionSynced, v1alpha1.ReasonSyncing, "no sync has finished yet")
	default:
		c.True(v1alpha1.ConditionSynced, v1alpha1.ReasonSynced, "the last listing completed")
	}
}

// verdict sums up. What keeps the spec from being synced comes before how the
// last sync went.
func verdict(obj *v1alpha1.Integration, spec handover.Spec, st *handover.Status, problem *handover.Problem) (reconcile.Outcome, error) {
	switch {
	case problem != nil && problem.Transient:
		return reconcile.Outcome{}, reconcile.Transient(nil, problem.Reason, "%s", problem.Message)
	case problem != nil:
		return reconcile.Outcome{}, reconcile.Stalling(problem.Reason, "%s", problem.Message)
	case obj.Spec.Suspend:
		return reconcile.Outcome{}, reconcile.Waiting(v1alpha1.ReasonSuspended, 0, "spec.suspend is true: nothing is synced or done until it is false")
	case st == nil:
		return reconcile.Outcome{}, reconcile.Waiting(v1alpha1.ReasonSyncing, 0, "the first sync is in progress")
	case st.Generation != obj.Generation || st.Test != nil && st.Test.Input != spec.TestInput():
		return reconcile.Outcome{}, reconcile.Waiting(v1alpha1.ReasonProgressing, 0, "spec or Secret changed; the sync that takes it up is in progress")
	case st.Problem != nil && st.Problem.Transient:
		return reconcile.Outcome{}, reconcile.Waiting(st.Problem.Reason, 0, "%s", st.Problem.Message)
	case st.Problem != nil:
		return reconcile.Outcome{}, &reconcile.StallingError{Reason: st.Problem.Reason, Message: mismatch(obj, st) + st.Problem.Message, Verbatim: st.Problem.Verbatim}
	}
	return reconcile.Outcome{Reason: v1alpha1.ReasonSynced, Message: summary(spec, st)}, nil
}

// mismatch says that a release annotation names another set than the one held.
func mismatch(obj *v1alpha1.Integration, st *handover.Status) string {
	digest := obj.Annotations[v1alpha1.ReleaseAnnotation]
	if digest == "" || len(st.Held) == 0 {
		return ""
	}
	for _, h := range st.Held {
		if h.Digest == digest {
			return "released, the next sync applies it: "
		}
	}
	return fmt.Sprintf("annotation %s is for another set and releases nothing: ", v1alpha1.ReleaseAnnotation)
}

// pushConnector is the connector whose records others send.
const pushConnector = "push"

// summary is the message of Ready=True. It holds no counts: those move.
func summary(spec handover.Spec, st *handover.Status) string {
	if len(st.DataTypes) == 0 {
		if spec.Connector == pushConnector {
			return "connected; no records were pushed yet"
		}
		return "connected; there is nothing to sync"
	}
	var fresh, disabled []string
	for _, d := range st.DataTypes {
		switch d.State {
		case handover.Fresh:
			fresh = append(fresh, string(d.Name))
		case handover.Disabled:
			disabled = append(disabled, string(d.Name))
		case handover.Pending, handover.Stale, handover.Held:
		}
	}
	text := "connected and synced: " + reconcile.List(fresh, 16)
	if len(disabled) > 0 {
		text += "; not fetched: " + reconcile.List(disabled, 16)
	}
	return text
}
