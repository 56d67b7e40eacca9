// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package connector

import (
	"regexp"
	"slices"
)

// Effect is what an action does to a person's access; a Workflow's direction
// refuses the opposite one (decision 24).
type Effect string

// Effects.
const (
	EffectGrants  Effect = "grants"
	EffectRemoves Effect = "removes"
	EffectNeutral Effect = "neutral"
)

// ActionName is an entry of the closed list of actions.
type ActionName struct {
	Name   string
	Effect Effect
	// Destructive actions lose something that no other action brings back; a
	// manifest must declare them so.
	Destructive bool
	Meaning     string
}

// actionNames is the closed list; connectors/ACTIONS.md is its readable form,
// and a test keeps the two the same.
var actionNames = []ActionName{
	{"user.create", EffectGrants, false, "Create an account for a person."},
	{"user.update", EffectNeutral, false, "Change an account's address, name or place in the organisation."},
	{"user.activate", EffectGrants, false, "Make a deactivated account usable again."},
	{"user.suspend", EffectRemoves, false, "Stop sign-in and keep everything; user.unsuspend reverses it."},
	{"user.unsuspend", EffectGrants, false, "Reverse user.suspend."},
	{"user.deactivate", EffectRemoves, true, "End the account's use. What comes back on activation depends on the vendor."},
	{"user.delete", EffectRemoves, true, "Delete the account."},
	{"user.signOut", EffectRemoves, false, "End every session of the account."},
	{"license.assign", EffectGrants, false, "Give the account a seat of a plan."},
	{"license.remove", EffectRemoves, false, "Take the seat and keep the account."},
	{"group.addMember", EffectGrants, false, "Put the account into a group."},
	{"group.removeMember", EffectRemoves, false, "Take the account out of a group."},
	{"app.assign", EffectGrants, false, "Assign an app behind single sign-on."},
	{"app.unassign", EffectRemoves, false, "Take back an app behind single sign-on."},
	{"token.revoke", EffectRemoves, false, "Revoke a third party's OAuth grant."},
	{"data.transfer", EffectNeutral, false, "Hand the account's data to another person."},
	{"message.send", EffectNeutral, false, "Send a message to a person, with buttons if wanted."},
	{"message.update", EffectNeutral, false, "Replace a message that was sent."},
	{"channel.send", EffectNeutral, false, "Send a message to a channel."},
	{"ticket.create", EffectNeutral, false, "Open a ticket."},
	{"ticket.comment", EffectNeutral, false, "Comment on a ticket."},
	{"row.append", EffectNeutral, false, "Append a row to a sheet or database."},
	{"page.add", EffectNeutral, false, "Add a page to a wiki, document space or database."},
}

// ActionNames returns the closed list of actions.
func ActionNames() []ActionName { return slices.Clone(actionNames) }

// ownPrefix begins the names of actions beside the list, which the author of a
// Connector resource chooses: requests of an API that no list foresees. The
// manifest says what they do to a person's access.
const ownPrefix = "http."

var ownPattern = regexp.MustCompile(`^http\.[a-z][a-zA-Z0-9]{0,57}$`)

func actionName(name string) (ActionName, bool) {
	for _, a := range actionNames {
		if a.Name == name {
			return a, true
		}
	}
	return ActionName{}, false
}

func actionNameList() []string {
	names := make([]string, len(actionNames))
	for i, a := range actionNames {
		names[i] = a.Name
	}
	return names
}
