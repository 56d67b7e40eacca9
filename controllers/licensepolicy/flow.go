// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package licensepolicy

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/seatkeeper/seatkeeper/api/v1alpha1"
	"github.com/seatkeeper/seatkeeper/internal/intent"
	"github.com/seatkeeper/seatkeeper/internal/model"
	"github.com/seatkeeper/seatkeeper/internal/policy"
	"github.com/seatkeeper/seatkeeper/internal/reconcile"
	"github.com/seatkeeper/seatkeeper/internal/store"
	"github.com/seatkeeper/seatkeeper/internal/workflow"
)

// Defaults of spec.ask.
const (
	defaultAskTimeout = "72h"
	defaultKeepFor    = "90d"
)

// licenseRemove is the action that takes a seat and keeps the account.
const licenseRemove = "license.remove"

// flow makes the runs of a policy.
type flow struct {
	policy *v1alpha1.LicensePolicy
	res    *resolution
	action string
	// actions by Integration.
	actions map[string]Action
	ask     *workflow.ReclaimAsk
	// via is the group whose membership a run ends; nil: it ends the seat.
	via *membership
}

// flowOf resolves what a run does. An error says why the policy cannot act as
// declared; then it only reports. Integrations that may not be acted on are
// recorded as barred, each with its reason.
func (r *Reconciler) flowOf(ctx context.Context, obj *v1alpha1.LicensePolicy, res *resolution) (*flow, error) {
	if res.mode.mode == v1alpha1.ModeReport {
		return nil, nil
	}
	if err := supported(obj); err != nil {
		return nil, err
	}
	f := &flow{policy: obj, res: res, action: actionOf(obj), actions: map[string]Action{}}
	if rm := obj.Spec.Removal; rm != nil && rm.Via == v1alpha1.ViaIdentityProvider {
		if err := r.resolveMembership(ctx, f); err != nil {
			return nil, err
		}
	} else {
		for name, in := range res.integrations {
			r.bar(ctx, f, name, in)
		}
	}
	if res.mode.mode == v1alpha1.ModeAsk {
		ask, err := askOf(obj.Spec.Ask)
		if err != nil {
			return nil, err
		}
		f.ask = ask
		r.checkMail(ctx, f)
	}
	return f, nil
}

// actionOf is the action that the policy runs.
func actionOf(obj *v1alpha1.LicensePolicy) string {
	switch rm := obj.Spec.Removal; {
	case rm == nil:
		return licenseRemove
	case rm.Via == v1alpha1.ViaIdentityProvider:
		return groupRemoveMember
	default:
		return cmp.Or(string(rm.Action), licenseRemove)
	}
}

// bar records the action of an Integration, and why it may not be sent there.
func (r *Reconciler) bar(ctx context.Context, f *flow, name string, in *v1alpha1.Integration) {
	action, ok := r.Connectors.Action(ctx, in, f.action)
	f.actions[name] = action
	switch {
	case !ok:
		f.res.barred[name] = v1alpha1.ReasonRemovalUnsupported
	case in.Spec.Permission != v1alpha1.PermissionReadAndAct:
		f.res.barred[name] = v1alpha1.ReasonPermissionRead
	case action.Destructive && !slices.Contains(in.Spec.DestructiveActions, v1alpha1.ActionName(f.action)):
		f.res.barred[name] = v1alpha1.ReasonActionNotAllowed
	case !in.DeletionTimestamp.IsZero():
		f.res.barred[name] = v1alpha1.ReasonDisconnecting
	}
}

// mayAct says whether seats that an Integration reports may be acted on.
func (f *flow) mayAct(integration string) bool {
	if f.via != nil && f.res.barred[f.via.integration] != "" || f.res.mail != nil && f.res.mail.alone {
		return false
	}
	return f.res.barred[integration] == ""
}

// supported refuses what this version does not do, before it does half of it.
func supported(obj *v1alpha1.LicensePolicy) error {
	s := obj.Spec
	what := ""
	switch rm := s.Removal; {
	case s.Mode == v1alpha1.ModeApprove:
		what = "spec.mode: Approve does not act yet; use Ask, or Report"
	case s.WorkflowRef != nil:
		what = "spec.workflowRef: a Workflow of your own does not run yet; leave the field out"
	case rm != nil && rm.Via != v1alpha1.ViaDirect && rm.Via != v1alpha1.ViaIdentityProvider:
		what = fmt.Sprintf("spec.removal.via: %s does not act yet; use Direct or IdentityProvider", rm.Via)
	case rm != nil && rm.Via == v1alpha1.ViaDirect && rm.Integration != "":
		what = "spec.removal.integration: another Integration than the one that reports the seat does not act yet; leave the field out"
	}
	if what == "" {
		return nil
	}
	return reconcile.Stalling(v1alpha1.ReasonNotImplemented, "%s. Until then the policy only reports", what)
}

func askOf(a *v1alpha1.Ask) (*workflow.ReclaimAsk, error) {
	if a == nil {
		return nil, reconcile.Stalling(v1alpha1.ReasonInvalidSpec, "spec.ask must be set with mode Ask: it says how people are asked")
	}
	out := &workflow.ReclaimAsk{OnTimeout: string(cmp.Or(a.OnTimeout, v1alpha1.TimeoutKeep))}
	if out.OnTimeout == string(v1alpha1.TimeoutEscalate) {
		return nil, reconcile.Stalling(v1alpha1.ReasonNotImplemented, "spec.ask.onTimeout: Escalate does not act yet; use Keep or Reclaim. Until then the policy only reports")
	}
	for _, c := range a.Channels {
		ref := workflow.ChannelRef{Kind: workflow.ChannelEmail}
		if c.Integration != "" {
			ref = workflow.ChannelRef{Kind: workflow.ChannelSlack, Integration: string(c.Integration)}
		}
		out.Channels = append(out.Channels, ref)
	}
	for _, o := range a.Options {
		out.Options = append(out.Options, string(o))
	}
	if len(out.Options) == 0 {
		out.Options = []string{string(v1alpha1.OptionReclaim), string(v1alpha1.OptionKeep)}
		if a.Escalate != nil {
			out.Options = append(out.Options, string(v1alpha1.OptionEscalate))
		}
	}
	var err error
	if out.Timeout, err = span("spec.ask.timeout", string(a.Timeout), defaultAskTimeout); err != nil {
		return nil, err
	}
	if out.KeepFor, err = span("spec.ask.keepFor", string(a.KeepFor), defaultKeepFor); err != nil {
		return nil, err
	}
	for i, d := range a.Reminders {
		s, err := span(fmt.Sprintf("spec.ask.reminders[%d]", i), string(d), "")
		if err != nil {
			return nil, err
		}
		out.Reminders = append(out.Reminders, s)
	}
	if q := a.QuietHours; q != nil {
		if q.Zone != "" && q.Zone != v1alpha1.ZonePerson {
			return nil, reconcile.Stalling(v1alpha1.ReasonNotImplemented, "spec.ask.quietHours.zone: only Person acts yet. Until then the policy only reports")
		}
		out.Quiet = &workflow.QuietHours{From: string(q.From), To: string(q.To)}
	}
	out.Escalate, err = escalationOf(a.Escalate)
	return out, err
}

func escalationOf(e *v1alpha1.Escalation) (*workflow.ReclaimEscalate, error) {
	if e == nil {
		return nil, nil
	}
	out := &workflow.ReclaimEscalate{}
	var err error
	if out.Timeout, err = span("spec.ask.escalate.timeout", string(e.Timeout), defaultAskTimeout); err != nil {
		return nil, err
	}
	if out.To, err = rolesOf("spec.ask.escalate.to", e.To); err != nil {
		return nil, err
	}
	out.Fallback, err = rolesOf("spec.ask.escalate.fallback", e.Fallback)
	return out, err
}

func rolesOf(field string, list []v1alpha1.Recipient) ([]workflow.Role, error) {
	var out []workflow.Role
	for i, r := range list {
		switch r.Role {
		case v1alpha1.RoleManager:
			out = append(out, workflow.RoleManager)
		case v1alpha1.RoleAppOwner, v1alpha1.RoleOwner:
			out = append(out, workflow.RoleAppOwner)
		default:
			return nil, reconcile.Stalling(v1alpha1.ReasonNotImplemented, "%s[%d]: only the roles Manager and AppOwner act yet. Until then the policy only reports", field, i)
		}
	}
	return out, nil
}

func span(field, value, unset string) (workflow.Span, error) {
	s, err := workflow.ParseSpan(cmp.Or(value, unset))
	if err != nil {
		return s, reconcile.Stalling(v1alpha1.ReasonInvalidSpec, "%s: %v", field, err)
	}
	return s, nil
}

// proof is what says that a seat was not used, and since when it would have
// said otherwise: a vendor's own memory where it has one, else our watching.
func proof(c policy.Candidate, s model.Seat) (source string, since time.Time) {
	since = s.ObservedSince
	if c.Evidence.ObservedSince != nil {
		since = *c.Evidence.ObservedSince
	}
	return cmp.Or(c.Evidence.Source, s.Integration), since
}

// ending is how one seat ends: what is called, and what a person is told.
type ending struct {
	removal workflow.ReclaimRemoval
	via     *workflow.ReclaimVia
	effect  string // a clause
}

// endOf says how a seat ends.
func (f *flow) endOf(s model.Seat, c policy.Candidate, app, plan string) (ending, error) {
	if f.via != nil {
		return f.via.endOf(c, app, plan)
	}
	action := f.actions[s.Integration]
	with := map[string]any{}
	if action.AccountInput != "" {
		with[action.AccountInput] = s.AccountExternalID
	}
	if action.PlanInput != "" {
		with[action.PlanInput] = s.PlanKey
	}
	effect := fmt.Sprintf("your %s seat is taken back; your account stays", plan)
	if action.EndsAccount {
		effect = fmt.Sprintf("your %s account ends, not only the seat", app)
	}
	return ending{removal: workflow.ReclaimRemoval{Action: f.action, With: with}, effect: effect}, nil
}

// newRun makes the run that takes one seat back.
func (f *flow) newRun(s model.Seat, c policy.Candidate, annual *model.Money) (store.NewRun, error) {
	app := f.res.apps[f.res.rules.Sources[s.Integration].App]
	mode := workflow.ModeAuto
	if f.ask != nil {
		mode = workflow.ModeAsk
	}
	plan := intent.PlanName(app, s.PlanKey, s.PlanName)
	contact := cmp.Or(intent.Owner(app), "your IT team")
	end, err := f.endOf(s, c, intent.Title(app), plan)
	if err != nil {
		return store.NewRun{}, err
	}
	source, since := proof(c, s)
	spec := workflow.ReclaimSpec{
		Policy: f.policy.Name, Generation: f.policy.Generation, Mode: mode, IdleSince: c.Since, Ask: f.ask,
		Removal: end.removal,
		Seat: workflow.ReclaimSeat{
			App: app.Name, AppTitle: intent.Title(app), Asker: f.asker(), Integration: s.Integration, AccountID: s.AccountExternalID,
			Why:     fmt.Sprintf("seats that were not used for %d days are given back", f.res.rules.InactiveAfterDays),
			Account: cmp.Or(s.Username, s.Email), PlanKey: s.PlanKey, PlanName: plan, PersonID: s.PersonID, PersonName: cmp.Or(s.PersonName, s.DisplayName),
			Email: s.Email, TimeZone: cmp.Or(s.TimeZone, f.res.zone.String()), LastUse: c.Evidence.LastUsed, Source: source, Observed: since, YearlyCost: annual,
			Effect: end.effect, GetBack: "ask " + contact, Contact: contact, Via: end.via,
		},
	}
	return spec.NewRun()
}

func (f *flow) asker() string {
	if f.res.org != nil && f.res.org.Spec.DisplayName != "" {
		return f.res.org.Spec.DisplayName + " IT"
	}
	return "IT"
}
