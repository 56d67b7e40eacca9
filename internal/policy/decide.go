// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package policy

import (
	"context"
	"strings"
	"time"

	"github.com/seatkeeper/seatkeeper/internal/model"
)

// Reasons of decisions.
const (
	ReasonUsed             = "Used"
	ReasonUnused           = "Unused"
	ReasonNeverUsed        = "NeverUsed"
	ReasonNoTrustedSignal  = "NoTrustedSignal"
	ReasonSyncStale        = "SyncStale"
	ReasonNotEnoughHistory = "NotEnoughHistory"
	ReasonAccountUnknown   = "AccountUnknown"
	ReasonExpressionFailed = "ExpressionFailed"
	ReasonProtectedPerson  = "ProtectedPerson"
	ReasonProtectedAccount = "ProtectedAccount"
	ReasonProtectedByRule  = "ProtectedByRule"
	ReasonServiceAccount   = "ServiceAccount"
	ReasonLastAdmin        = "LastAdmin"
	ReasonExempt           = "Exempt"
	ReasonKept             = "Kept"
	ReasonOnLeave          = "OnLeave"
	ReasonInFlight         = "InFlight"
	ReasonGuardHeld        = "GuardHeld"

	// Of seats that end with a membership in an identity provider's group.
	ReasonDirectoryAdmin            = "DirectoryAdmin"
	ReasonNoDirectoryAccount        = "NoDirectoryAccount"
	ReasonNotGroupMember            = "NotGroupMember"
	ReasonDirectoryAccountAmbiguous = "DirectoryAccountAmbiguous"
)

// Input is everything that a decision about one seat looks at.
type Input struct {
	Seat model.Seat
	// Groups that the account is in, of those that the rules mention.
	Groups []string
	Keep   *model.Keep
	// InFlight says that a run for the seat has not ended.
	InFlight bool
	// OtherAdmins is how many other administrators the account's Integration
	// has that nothing is about to take.
	OtherAdmins int64
	// Directory is set where the seat ends with a membership.
	Directory *Membership
	Now       time.Time
}

// Decision is the verdict on one seat.
type Decision struct {
	Class model.SeatClass
	// Use is what is known of the seat's use, whatever rule decided.
	Use    model.Use
	Reason string
	// Detail is the reason that a person gave, if any.
	Detail string
	// Since is the instant from which the seat counts as idle.
	Since    time.Time
	Evidence model.Evidence
}

// check is one link of the chain; ok says that it has decided.
type check func(context.Context, *Compiled, Input, usage) (d Decision, ok bool)

// chain is the order in which rules win: what is known of use, since only an
// idle seat is anybody's business; then what must never be touched, what is
// exempt, and what stands in the way of acting.
var chain = []check{
	notInactive,
	protectedListed,
	protectedService,
	protectedRule,
	protectedDirectory,
	lastAdmin,
	exempt,
	kept,
	inFlight,
	onLeave,
	notRemovable,
}

// Decide gives the verdict on a seat that the policy covers.
func (c *Compiled) Decide(ctx context.Context, in Input) Decision {
	u := c.judge(in.Seat, in.Now)
	for _, link := range chain {
		if d, ok := link(ctx, c, in, u); ok {
			d.Use, d.Evidence, d.Since = u.use(), u.evidence, u.since
			return d
		}
	}
	return Decision{Class: model.SeatInactive, Use: u.use(), Reason: u.reason, Since: u.since, Evidence: u.evidence}
}

func protectedListed(_ context.Context, c *Compiled, in Input, _ usage) (Decision, bool) {
	if c.protectedPeople[strings.ToLower(in.Seat.Email)] {
		return Decision{Class: model.SeatProtected, Reason: ReasonProtectedPerson}, true
	}
	for _, id := range c.Protected.Accounts[in.Seat.Integration] {
		if id == in.Seat.AccountExternalID {
			return Decision{Class: model.SeatProtected, Reason: ReasonProtectedAccount}, true
		}
	}
	return Decision{}, false
}

func protectedService(_ context.Context, _ *Compiled, in Input, _ usage) (Decision, bool) {
	kind := in.Seat.AccountKind
	return Decision{Class: model.SeatProtected, Reason: ReasonServiceAccount}, kind == model.AccountService
}

func protectedRule(ctx context.Context, c *Compiled, in Input, _ usage) (Decision, bool) {
	match, err := c.matches(ctx, c.protectedWhen, in, nil)
	if err != nil {
		return Decision{Class: model.SeatUnknown, Reason: ReasonExpressionFailed}, true
	}
	return Decision{Class: model.SeatProtected, Reason: ReasonProtectedByRule}, match
}

func lastAdmin(_ context.Context, _ *Compiled, in Input, _ usage) (Decision, bool) {
	return Decision{Class: model.SeatProtected, Reason: ReasonLastAdmin}, in.Seat.IsAdmin && in.OtherAdmins <= 0
}

func exempt(ctx context.Context, c *Compiled, in Input, _ usage) (Decision, bool) {
	today := model.DateOf(in.Now, c.zone)
	for _, e := range c.exempt {
		if e.Until != "" && today > e.Until {
			continue
		}
		match := e.people[strings.ToLower(in.Seat.Email)]
		for _, g := range in.Groups {
			match = match || e.groups[g]
		}
		if !match {
			var err error
			if match, err = c.matches(ctx, e.when, in, nil); err != nil {
				return Decision{Class: model.SeatUnknown, Reason: ReasonExpressionFailed}, true
			}
		}
		if match {
			return Decision{Class: model.SeatExempt, Reason: ReasonExempt, Detail: e.Reason}, true
		}
	}
	return Decision{}, false
}

func kept(_ context.Context, _ *Compiled, in Input, _ usage) (Decision, bool) {
	if in.Keep == nil || !in.Now.Before(in.Keep.Until) {
		return Decision{}, false
	}
	return Decision{Class: model.SeatKept, Reason: ReasonKept, Detail: in.Keep.Reason}, true
}

func notInactive(_ context.Context, _ *Compiled, _ Input, u usage) (Decision, bool) {
	return Decision{Class: u.class, Reason: u.reason}, u.class != model.SeatInactive
}

func inFlight(_ context.Context, _ *Compiled, in Input, _ usage) (Decision, bool) {
	return Decision{Class: model.SeatInFlight, Reason: ReasonInFlight}, in.InFlight
}

func onLeave(_ context.Context, c *Compiled, in Input, _ usage) (Decision, bool) {
	return Decision{Class: model.SeatHeld, Reason: ReasonOnLeave}, c.HoldOnLeave && in.Seat.Lifecycle == model.LifecycleOnLeave
}
