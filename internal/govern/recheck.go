// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package govern

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"

	"k8s.io/utils/clock"

	"github.com/seatkeeper/seatkeeper/internal/model"
	"github.com/seatkeeper/seatkeeper/internal/policy"
	"github.com/seatkeeper/seatkeeper/internal/store"
	"github.com/seatkeeper/seatkeeper/internal/workflow"
)

// Modes in which a policy acts.
const (
	modeAsk  = "Ask"
	modeAuto = "Auto"
)

// Reasons of a verdict beside those of package policy.
const (
	ReasonPolicyGone      = "PolicyGone"
	ReasonPolicySuspended = "PolicySuspended"
	ReasonSeatGone        = "SeatGone"
	ReasonRenewedUse      = "RenewedUse"
	ReasonProtected       = "Protected"
)

// Rechecker decides again, right before a run acts, from what the store knows
// then.
type Rechecker struct {
	store Store
	clock clock.PassiveClock

	mu    sync.Mutex
	rules map[rulesKey]*policy.Compiled
}

type rulesKey struct {
	tenant model.TenantID
	policy string
	raw    string
}

// maxRules bounds the compiled rules that are kept.
const maxRules = 1024

var _ workflow.Facts = (*Rechecker)(nil)

// NewRechecker returns a Rechecker over the store.
func NewRechecker(st Store, c clock.PassiveClock) *Rechecker {
	return &Rechecker{store: st, clock: c, rules: map[rulesKey]*policy.Compiled{}}
}

// Recheck implements workflow.Facts.
func (r *Rechecker) Recheck(ctx context.Context, tenant model.TenantID, run workflow.Subject) (workflow.Verdict, error) {
	if run.Kind == workflow.KindOffboarding {
		return r.recheckLeaver(ctx, tenant, run)
	}
	var vars struct {
		Seat workflow.ReclaimSeat `json:"seat"`
	}
	if err := json.Unmarshal(run.Vars, &vars); err != nil {
		return workflow.Verdict{}, fmt.Errorf("recheck run %s: variables: %w", run.RunID, err)
	}
	state, verdict, err := r.policyState(ctx, tenant, run.Name)
	if err != nil || verdict != nil {
		return orZero(verdict), err
	}
	rules, err := r.compiled(tenant, state)
	if err != nil {
		return hold(policy.ReasonExpressionFailed, "An expression of the policy or of the organisation is wrong; nothing is done until it is mended."), nil
	}
	key := model.SeatKey{Integration: vars.Seat.Integration, AccountID: vars.Seat.AccountID, PlanKey: vars.Seat.PlanKey}
	seat, err := r.seat(ctx, tenant, rules, key)
	if err != nil {
		return workflow.Verdict{}, err
	}
	if seat == nil || !rules.Covers(*seat) {
		return drop(ReasonSeatGone, "The seat is no longer there, or no longer one that the policy is about."), nil
	}
	in, err := r.input(ctx, tenant, rules, *seat, key)
	if err != nil {
		return workflow.Verdict{}, err
	}
	if via := vars.Seat.Via; via != nil {
		if seat.PersonID == "" {
			return drop(policy.ReasonNoDirectoryAccount, "It is not known any more whose seat it is; nothing was done."), nil
		}
		group, err := directoryOf(ctx, r.store, tenant, Group{Integration: via.Integration, ExternalID: via.GroupID}, seat.PersonID)
		if err != nil {
			return workflow.Verdict{}, err
		}
		in.Directory = group.Of(seat.PersonID)
		if v := membershipVerdict(*via, in.Directory.Leaves()); v != nil {
			return *v, nil
		}
	}
	return verdictOf(rules.Decide(ctx, in), in), nil
}

func orZero(v *workflow.Verdict) workflow.Verdict {
	if v == nil {
		return workflow.Verdict{}
	}
	return *v
}

// policyState returns the policy, or the verdict if it no longer acts.
func (r *Rechecker) policyState(ctx context.Context, tenant model.TenantID, name string) (store.PolicyState, *workflow.Verdict, error) {
	state, err := r.store.Policy(ctx, tenant, name)
	var v workflow.Verdict
	switch {
	case errors.Is(err, store.ErrNotFound), err == nil && state.Removed:
		v = drop(ReasonPolicyGone, "The policy "+name+" went away; nothing was done.")
	case err != nil:
		return state, nil, fmt.Errorf("read policy %q: %w", name, err)
	case state.Suspended:
		v = hold(ReasonPolicySuspended, "The policy "+name+" is suspended; nothing is done until it goes on.")
	case state.Mode != modeAsk && state.Mode != modeAuto:
		v = drop(ReasonPolicyGone, "The policy "+name+" only reports now; nothing was done.")
	default:
		return state, nil, nil
	}
	return state, &v, nil
}

func (r *Rechecker) compiled(tenant model.TenantID, state store.PolicyState) (*policy.Compiled, error) {
	key := rulesKey{tenant, state.Policy, string(state.Rules)}
	r.mu.Lock()
	defer r.mu.Unlock()
	if c, ok := r.rules[key]; ok {
		return c, nil
	}
	var rules policy.Rules
	if err := json.Unmarshal(state.Rules, &rules); err != nil {
		return nil, fmt.Errorf("rules of policy %q: %w", state.Policy, err)
	}
	c, err := policy.Compile(rules)
	if err != nil {
		return nil, err
	}
	if len(r.rules) >= maxRules {
		clear(r.rules)
	}
	r.rules[key] = c
	return c, nil
}

func (r *Rechecker) seat(ctx context.Context, tenant model.TenantID, rules *policy.Compiled, key model.SeatKey) (*model.Seat, error) {
	var found *model.Seat
	err := r.store.Seats(ctx, tenant, accountOf(rules, key.Integration, key.AccountID), func(s model.Seat) error {
		if s.PlanKey == key.PlanKey {
			found = &s
		}
		return nil
	})
	return found, err
}

func (r *Rechecker) input(ctx context.Context, tenant model.TenantID, rules *policy.Compiled, seat model.Seat, key model.SeatKey) (policy.Input, error) {
	in := policy.Input{Seat: seat, Now: r.clock.Now()}
	var err error
	if in.Keep, err = r.store.SeatKeep(ctx, tenant, rules.Policy, key); err != nil {
		return in, fmt.Errorf("read keep: %w", err)
	}
	if seat.IsAdmin {
		admins, err := r.store.Admins(ctx, tenant, []string{key.Integration})
		if err != nil {
			return in, err
		}
		for _, id := range admins[key.Integration] {
			if id != key.AccountID {
				in.OtherAdmins++
			}
		}
	}
	groups, err := groupsOf(ctx, r.store, tenant, rules)
	in.Groups = groups[seat.PersonID]
	return in, err
}

// membershipVerdict drops a run whose account is not the one that would leave
// the group now: it left by another way, or is somebody else's.
func membershipVerdict(via workflow.ReclaimVia, leaves *model.DirectoryAccount) *workflow.Verdict {
	if leaves != nil && leaves.ExternalID == via.AccountID {
		return nil
	}
	v := drop(policy.ReasonNotGroupMember, fmt.Sprintf("The account in %s that the run is about is no longer the person's one member of group %s; nothing was done.", via.Integration, via.Group))
	return &v
}

// verdictOf says what a decision means for a run under way.
func verdictOf(d policy.Decision, in policy.Input) workflow.Verdict {
	switch d.Class {
	case model.SeatInactive:
		return workflow.Verdict{Decision: workflow.Go}
	case model.SeatActive:
		used := ""
		if d.Evidence.LastUsed != nil {
			used = " on " + d.Evidence.LastUsed.UTC().Format("2006-01-02") + " (" + d.Evidence.Source + ")"
		}
		return drop(ReasonRenewedUse, "The seat was used again"+used+"; it stays.")
	case model.SeatProtected:
		return drop(ReasonProtected, "The person or account is protected; the seat stays.")
	case model.SeatExempt:
		return drop(policy.ReasonExempt, "The seat is exempt from the policy; it stays.")
	case model.SeatKept:
		return drop(policy.ReasonExempt, "Somebody asked to keep the seat until "+in.Keep.Until.UTC().Format("2006-01-02")+"; it stays.")
	case model.SeatHeld:
		return hold(policy.ReasonOnLeave, "The person is on leave; nothing is done until they are back.")
	}
	return hold(d.Reason, "It is not known whether the seat is in use; nothing is done until it is.")
}

func drop(reason, message string) workflow.Verdict {
	return workflow.Verdict{Decision: workflow.Drop, Reason: reason, Message: message}
}

func hold(reason, message string) workflow.Verdict {
	return workflow.Verdict{Decision: workflow.Hold, Reason: reason, Message: message}
}
