// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package licensepolicy

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/seatkeeper/seatkeeper/api/v1alpha1"
	"github.com/seatkeeper/seatkeeper/internal/govern"
	"github.com/seatkeeper/seatkeeper/internal/intent"
	"github.com/seatkeeper/seatkeeper/internal/model"
	"github.com/seatkeeper/seatkeeper/internal/policy"
	"github.com/seatkeeper/seatkeeper/internal/reconcile"
	"github.com/seatkeeper/seatkeeper/internal/store"
)

// Outcomes of runs, as the engine names them.
const (
	outcomeReclaimed = "reclaimed"
	outcomeFailed    = "failed"
)

// put hands the resolved policy over to the store, where runs find it.
func (r *Reconciler) put(ctx context.Context, obj *v1alpha1.LicensePolicy, res *resolution, mode v1alpha1.PolicyMode, suspended bool) (store.PolicyState, error) {
	raw, err := json.Marshal(res.rules)
	if err != nil {
		return store.PolicyState{}, fmt.Errorf("encode the rules: %w", err)
	}
	state, err := r.Backend.Put(ctx, obj.Namespace, store.PolicyState{
		Policy: obj.Name, UID: string(obj.UID), Generation: obj.Generation, App: names(res.apps), Mode: string(mode), Suspended: suspended, Rules: raw,
	})
	if err != nil {
		return state, storeError(err)
	}
	return state, nil
}

// report fills the status. It holds counts and amounts that change only when a
// result does: no times, nothing that decays by itself.
func (r *Reconciler) report(ctx context.Context, obj *v1alpha1.LicensePolicy, c *reconcile.Conditions, result govern.Result, res *resolution) error {
	runs, totals, err := r.Backend.Outcomes(ctx, obj.Namespace, obj.Name)
	if err != nil {
		return storeError(err)
	}
	n := result.Counts
	counts := &v1alpha1.PolicyCounts{
		Candidates: n.Covered, Active: n.Active, Inactive: n.Inactive, Unknown: n.Unknown, Exempt: n.Exempt + n.Protected, Held: n.OnLeave + n.Unremovable,
		InFlight: int64(runs.Active()), Kept: n.Kept, Reclaimed: int64(runs.Outcomes[outcomeReclaimed]), Failed: int64(runs.Outcomes[outcomeFailed] + runs.Attention),
	}
	obj.Status.Evaluated = counts
	obj.Status.Savings = savings(n, totals)
	obj.Status.Held = nil
	if h := result.Held; h != nil && h.ReleasedAt == nil {
		counts.Held += h.Count
		obj.Status.Held = &v1alpha1.HeldSet{Digest: h.Digest, Count: h.Count, Total: h.Total, Allowed: h.Allowed, Reason: v1alpha1.ReasonGuardHeld}
		c.True(v1alpha1.ConditionHeld, v1alpha1.ReasonGuardHeld, heldMessage(obj, h))
	}
	if runs.Unreached > 0 {
		c.True(v1alpha1.ConditionPeopleUnreached, v1alpha1.ReasonNoReachableChannel, fmt.Sprintf(
			"questions that reach nobody by the channels of spec.ask: %d. Nothing is decided meanwhile; `seatkeeper runs --policy %s` shows which, and why", runs.Unreached, obj.Name))
	}
	if stale := n.UnknownBy[policy.ReasonSyncStale]; stale > 0 {
		c.True(v1alpha1.ConditionInventoryStale, v1alpha1.ReasonInventoryStale, fmt.Sprintf(
			"%d seats are unknown because no listing of %s completed in time; see the conditions of the Integration", stale, names(res.integrations)))
	}
	return nil
}

func heldMessage(obj *v1alpha1.LicensePolicy, h *store.Hold) string {
	text := fmt.Sprintf("the guard lets through %d of %d seats per window and holds %d; list them with: seatkeeper guards policy/%s; release exactly this set by the annotation %s: %s",
		h.Allowed, h.Total, h.Count, obj.Name, v1alpha1.ReleaseAnnotation, h.Digest)
	if digest := obj.Annotations[v1alpha1.ReleaseAnnotation]; digest != "" && digest != h.Digest {
		text += "; the annotation there now names another set and releases nothing"
	}
	return text
}

// summary says in Ready how the policy stands. The mode that applies matters
// more than numbers, which have columns of their own.
func summary(obj *v1alpha1.LicensePolicy, result govern.Result, mode limitedMode, res *resolution) reconcile.Outcome {
	n := result.Counts
	found := fmt.Sprintf("%d of %d seats unused for %d days, %d unknown", n.Inactive, n.Covered, res.rules.InactiveAfterDays, n.Unknown) + unremovable(n)
	switch {
	case mode.message != "":
		return reconcile.Outcome{Reason: v1alpha1.ReasonModeLimited, Message: mode.message + "; " + found}
	case len(res.barred) > 0:
		reason, text := barredText(obj, res)
		return reconcile.Outcome{Reason: reason, Message: text + "; " + found}
	case res.mail != nil:
		reason, text := res.mail.text()
		return reconcile.Outcome{Reason: reason, Message: text + "; " + found}
	case len(res.waiting) > 0:
		return reconcile.Outcome{Reason: v1alpha1.ReasonDependencyNotReady, Message: fmt.Sprintf(
			"Integration %s has not completed its first sync and is left out; %s", reconcile.List(res.waiting, 5), found)}
	case n.Covered > 0 && n.UnknownBy[policy.ReasonNoTrustedSignal] == n.Covered:
		return reconcile.Outcome{Reason: v1alpha1.ReasonNoTrustedSignal, Message: fmt.Sprintf(
			"no source reports %s for these seats, so all %d are unknown and none is acted on; name a signal that a source reports in spec.signals, or connect one that reports it",
			strings.Join(res.rules.Signals, " or "), n.Covered)}
	}
	return reconcile.Outcome{Message: found}
}

// barredText names why nothing may act on some Integrations, and how to mend it.
func barredText(obj *v1alpha1.LicensePolicy, res *resolution) (reason, text string) {
	list := make([]string, 0, len(res.barred))
	for name := range res.barred {
		list = append(list, name)
	}
	slices.Sort(list)
	first := list[0]
	action, mend := actionOf(obj), "name another in spec.removal.action"
	if action == groupRemoveMember {
		mend = "name an Integration whose connector has it in spec.removal.integration"
	}
	switch reason = res.barred[first]; reason {
	case v1alpha1.ReasonPermissionRead:
		text = fmt.Sprintf("Integration %s has permission Read, so nothing is asked or taken back there; set its spec.permission to ReadAndAct", first)
	case v1alpha1.ReasonActionNotAllowed:
		text = fmt.Sprintf("%s is destructive at Integration %s and not named in its spec.destructiveActions, so nothing is asked or taken back there", action, first)
	case v1alpha1.ReasonRemovalUnsupported:
		text = fmt.Sprintf("the connector of Integration %s has no action %s, so nothing is asked or taken back there; %s", first, action, mend)
	default:
		text = fmt.Sprintf("Integration %s is being disconnected, so nothing is asked or taken back there", first)
	}
	return reason, text
}

// savings keeps what would be saved, what is prepaid, what fell and what was
// avoided apart; amounts of different currencies are never added up.
func savings(n policy.Counts, totals []store.LedgerTotal) *v1alpha1.PolicySavings {
	out := &v1alpha1.PolicySavings{PotentialAnnual: amounts(n.Potential), Unpriced: n.Unpriced}
	byKind := map[model.LedgerKind]map[string]int64{}
	for _, t := range totals {
		if t.Amount == nil {
			continue
		}
		if byKind[t.Kind] == nil {
			byKind[t.Kind] = map[string]int64{}
		}
		byKind[t.Kind][t.Amount.Currency] += t.Amount.Minor
	}
	out.Sunk, out.Realised, out.Avoided = amounts(byKind[model.LedgerSunk]), amounts(byKind[model.LedgerRealised]), amounts(byKind[model.LedgerAvoided])
	out.Summary = moneySummary(out.PotentialAnnual, n.Unpriced)
	return out
}

func amounts(m map[string]int64) []v1alpha1.Money {
	var out []v1alpha1.Money
	for currency, minor := range m {
		out = append(out, v1alpha1.Money{Minor: minor, Currency: v1alpha1.CurrencyCode(currency)})
	}
	slices.SortFunc(out, func(a, b v1alpha1.Money) int { return strings.Compare(string(a.Currency), string(b.Currency)) })
	return out[:min(len(out), 16)]
}

// moneySummary writes amounts as people do; what has no price is Unknown, not 0.
func moneySummary(list []v1alpha1.Money, unpriced int64) string {
	var parts []string
	for _, m := range list {
		parts = append(parts, intent.Money(m).String())
	}
	switch {
	case len(parts) == 0 && unpriced > 0:
		return "Unknown"
	case unpriced > 0:
		parts = append(parts, "Unknown")
	}
	return strings.Join(parts, " + ")
}
