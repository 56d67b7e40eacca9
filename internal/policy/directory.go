// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package policy

import (
	"context"
	"slices"
	"strings"

	"github.com/seatkeeper/seatkeeper/internal/model"
)

// Directory is the group of an identity provider whose membership gives people
// the seats of a policy.
type Directory struct {
	Integration string
	// Accounts of each person there, by id.
	Accounts map[string][]model.DirectoryAccount
}

// Of returns how one person stands to the group; nil if seats do not end with a
// membership.
func (d *Directory) Of(person string) *Membership {
	if d == nil {
		return nil
	}
	m := &Membership{Integration: d.Integration}
	if person != "" {
		m.Accounts = d.Accounts[person]
	}
	return m
}

// Membership is how one person stands to the group.
type Membership struct {
	Integration string
	Accounts    []model.DirectoryAccount
}

// members are the person's accounts that are in the group.
func (m *Membership) members() []model.DirectoryAccount {
	var out []model.DirectoryAccount
	for _, a := range m.Accounts {
		if a.Member {
			out = append(out, a)
		}
	}
	return out
}

// Leaves returns the one account that would leave the group, or nil: nobody
// guesses which of several it is.
func (m *Membership) Leaves() *model.DirectoryAccount {
	if m == nil {
		return nil
	}
	if in := m.members(); len(in) == 1 {
		return &in[0]
	}
	return nil
}

// protectedDirectory protects accounts of the identity provider as those of the
// app. A group may be what makes somebody an administrator there, so none of
// them leaves one without a person.
func protectedDirectory(ctx context.Context, c *Compiled, in Input, _ usage) (Decision, bool) {
	if in.Directory == nil {
		return Decision{}, false
	}
	protected := func(reason string) (Decision, bool) {
		return Decision{Class: model.SeatProtected, Reason: reason}, true
	}
	for _, a := range in.Directory.members() {
		switch {
		case slices.Contains(c.Protected.Accounts[in.Directory.Integration], a.ExternalID):
			return protected(ReasonProtectedAccount)
		case c.protectedPeople[strings.ToLower(a.Username)]:
			return protected(ReasonProtectedPerson)
		case a.Kind == model.AccountService:
			return protected(ReasonServiceAccount)
		case a.IsAdmin:
			return protected(ReasonDirectoryAdmin)
		}
		match, err := c.matches(ctx, c.protectedWhen, in, &a)
		if err != nil {
			return Decision{Class: model.SeatUnknown, Reason: ReasonExpressionFailed}, true
		}
		if match {
			return protected(ReasonProtectedByRule)
		}
	}
	return Decision{}, false
}

// notRemovable holds a seat whose membership is not there to be taken.
func notRemovable(_ context.Context, _ *Compiled, in Input, _ usage) (Decision, bool) {
	if in.Directory == nil || in.Directory.Leaves() != nil {
		return Decision{}, false
	}
	reason := ReasonDirectoryAccountAmbiguous
	switch {
	case len(in.Directory.Accounts) == 0:
		reason = ReasonNoDirectoryAccount
	case len(in.Directory.members()) == 0:
		reason = ReasonNotGroupMember
	}
	return Decision{Class: model.SeatHeld, Reason: reason}, true
}
