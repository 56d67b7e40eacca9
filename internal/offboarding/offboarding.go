// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

// Package offboarding decides what happens to a leaver's accounts in an app: by
// what the Application declares for each Integration, or else by what its
// connector can do. It sends nothing.
package offboarding

import (
	"slices"

	"github.com/seatkeeper/seatkeeper/internal/model"
)

// Method says who takes access away.
type Method string

// Methods.
const (
	// Automatic sends calls to the Integration.
	Automatic Method = "Automatic"
	// Delegate opens a task for a person.
	Delegate Method = "Delegate"
	// Ignore does nothing.
	Ignore Method = "Ignore"
)

// Source says where a method comes from.
type Source string

// Sources of a method.
const (
	// Declared by the Application for the Integration.
	Declared Source = "Declared"
	// Default of the connector, since the Application declares nothing.
	Default Source = "Default"
	// Unmanaged: no Integration can act on the account.
	Unmanaged Source = "Unmanaged"
)

// Entry is what an Application declares for the accounts that one Integration
// lists.
type Entry struct {
	Integration string `json:"integration"`
	Method      Method `json:"method"`
	Action      string `json:"action,omitempty"`
	// DeleteAfter so many days the account is deleted; 0: it is not.
	DeleteAfter int         `json:"deleteAfter,omitempty"`
	TransferTo  []Recipient `json:"transferTo,omitempty"`
	// Unmanaged is the method for accounts of the app that no Integration can act
	// on; empty is Delegate.
	Unmanaged Method `json:"unmanaged,omitempty"`
}

// Recipient is who gets the leaver's data: a role, or an e-mail address.
type Recipient struct {
	Role  string `json:"role,omitempty"`
	Email string `json:"email,omitempty"`
}

// Integration is what matters of an Integration that lists accounts.
type Integration struct {
	Name string
	// Known is false while nobody knows what its connector can do.
	Known bool
	// ReadAndAct: it has that permission.
	ReadAndAct bool
	// Disconnecting: it was deleted, so it sends nothing any more.
	Disconnecting bool
	// Destructive are the destructive actions that it names.
	Destructive []string
	Actions     []Action
}

// Action is what matters of an action of a connector.
type Action struct {
	Name string
	// Removes: it takes access away.
	Removes     bool
	Destructive bool
	// EndsAccount: the account itself goes.
	EndsAccount bool
	Inputs      []Input
}

// Input is an input of an action.
type Input struct {
	Name     string
	Type     string
	Required bool
}

// Account is an account of the person in the app.
type Account struct {
	Integration string // that lists it
	// App is the app's id there. It is empty for an account of the Integration's
	// own system; with one, the Integration knows the account from the side, as an
	// identity provider does.
	App    string
	ID     string
	Status model.AccountStatus
	Kind   model.AccountKind
}

// Decision is what happens to one account.
type Decision struct {
	Account Account
	Method  Method
	Source  Source
	// Action of Automatic that takes access away; Calls has it.
	Action string
	// Why is one sentence for a person. It is empty where a declared method
	// applies as it stands.
	Why string
	// Calls of Automatic, in the order in which they are sent. Each starts when
	// the one before has succeeded.
	Calls []Call
	// TransferTo tells who is to have the data, whoever hands it over.
	TransferTo []Recipient
}

// Call is one action on the account.
type Call struct {
	Action string
	// Input names the account; what it needs beside is in Recipient.
	Input map[string]any
	// AfterDays is the grace period before it, counted from when the call before
	// it succeeded. Somebody who is back by then keeps the account.
	AfterDays int
	// Recipient is the input that takes who gets the data; empty: there is none.
	Recipient string
	// RecipientIs says what it takes.
	RecipientIs RecipientInput
	// Optional: without a recipient the call is left out (a transfer), or sent
	// without that input (a deletion that can transfer).
	Optional bool
}

// RecipientInput says what an input takes to name a person.
type RecipientInput string

// What inputs take.
const (
	RecipientAccount RecipientInput = "account" // the id of their account in the same Integration
	RecipientEmail   RecipientInput = "email"
)

// Resolve says what happens to each of a person's accounts in one app, in their
// order. entries are the Application's; integrations has those that list the
// accounts, by name. It is used for all accounts of the app at once: one that is
// seen from the side needs nothing where the app itself shows the account.
//
// A caller that opens tasks opens one for all accounts of the app that are
// delegated.
func Resolve(entries []Entry, integrations map[string]Integration, accounts []Account) []Decision {
	own := slices.ContainsFunc(accounts, func(a Account) bool { return a.App == "" && a.Status != model.AccountDeleted })
	out := make([]Decision, len(accounts))
	for i, a := range accounts {
		out[i] = resolve(entries, integrations, a, own)
	}
	return out
}

func resolve(entries []Entry, integrations map[string]Integration, a Account, own bool) Decision {
	entry, source := entryFor(entries, integrations, a)
	d := Decision{Account: a, Method: entry.Method, Source: source, TransferTo: entry.TransferTo}
	if source == Unmanaged && own && a.App != "" {
		d.Method, d.Why = Ignore, "the app itself lists the account"
	}
	if d.Method == Ignore {
		d.TransferTo = nil
		return d
	}
	if gone := goneAlready(a.Status); gone && (d.Method == Delegate || a.Status == model.AccountDeleted) {
		d.Method, d.TransferTo, d.Why = Ignore, nil, "the account is "+string(a.Status)+" already"
		return d
	}
	if d.Method == Delegate {
		if d.Source != Declared {
			d.Why = unmanagedWhy(integrations, a)
		}
		return d
	}
	if a.Kind == model.AccountService || a.Kind == model.AccountShared {
		d.Method, d.Why = Delegate, "it is a "+string(a.Kind)+" account, which others may depend on"
		return d
	}
	in := integrations[a.Integration]
	if p := Check(entry, &in, a.App == ""); p != nil {
		d.Method, d.Why = Delegate, p.Message
		return d
	}
	if in.Disconnecting {
		d.Method, d.Why = Delegate, "Integration "+in.Name+" is being disconnected, so it sends nothing"
		return d
	}
	d.Action, d.Calls = entry.Action, calls(entry, &in, a)
	return d
}

// goneAlready says whether an account lets nobody in.
func goneAlready(s model.AccountStatus) bool {
	switch s {
	case model.AccountSuspended, model.AccountArchived, model.AccountDeactivated, model.AccountDeleted:
		return true
	}
	return false
}

// entryFor returns what applies to an account: the entry of the Integration that
// lists it, else its connector's default, else what is declared for accounts
// that no Integration can act on.
func entryFor(entries []Entry, integrations map[string]Integration, a Account) (Entry, Source) {
	for _, e := range entries {
		if e.Integration == a.Integration {
			return e, Declared
		}
	}
	if in, ok := integrations[a.Integration]; ok && a.App == "" {
		if e, ok := DefaultOf(&in); ok {
			return e, Default
		}
	}
	return Entry{Integration: a.Integration, Method: unmanaged(entries)}, Unmanaged
}

// unmanaged is Ignore only if somebody said so and nobody the contrary.
func unmanaged(entries []Entry) Method {
	said := false
	for _, e := range entries {
		if e.Unmanaged == Delegate {
			return Delegate
		}
		said = said || e.Unmanaged == Ignore
	}
	if said {
		return Ignore
	}
	return Delegate
}

func unmanagedWhy(integrations map[string]Integration, a Account) string {
	in, ok := integrations[a.Integration]
	switch {
	case a.App != "":
		return "Integration " + a.Integration + " sees the account from the side, and no Integration lists the app's own accounts for the person"
	case !ok || !in.Known:
		return "what Integration " + a.Integration + " can do is not known"
	case !in.ReadAndAct:
		return "Integration " + a.Integration + " has permission Read"
	}
	return "Integration " + a.Integration + " has no action that it may use to stop the account"
}

// defaults are the actions that stop an account, the mildest first.
var defaults = []string{actionSuspend, actionDeactivate}

// DefaultOf returns what happens to own accounts of an Integration for which
// nothing is declared: the mildest action that stops an account and that the
// Integration may use. ok is false if there is none.
func DefaultOf(in *Integration) (e Entry, ok bool) {
	for _, name := range defaults {
		e = Entry{Integration: in.Name, Method: Automatic, Action: name}
		if Check(e, in, true) == nil {
			return e, true
		}
	}
	return Entry{}, false
}

// calls are what an entry that passed Check sends for an account: access ends
// before data moves, unless the account goes with it.
func calls(e Entry, in *Integration, a Account) []Call {
	action, _ := in.action(e.Action)
	access := Call{Action: e.Action, Input: inputOf(action, a)}
	out := []Call{access}
	if transfer, ok := in.transfer(); ok && len(e.TransferTo) > 0 {
		t := Call{
			Action: transfer.Name, Input: map[string]any{accountInput(transfer): a.ID},
			Recipient: recipientInput(transfer), RecipientIs: RecipientAccount, Optional: true,
		}
		if out = append(out, t); action.EndsAccount {
			slices.Reverse(out)
		}
	}
	if e.DeleteAfter > 0 {
		deletion, _ := in.action(actionDelete)
		c := Call{Action: actionDelete, Input: inputOf(deletion, a), AfterDays: e.DeleteAfter}
		if len(e.TransferTo) > 0 && handsOver(deletion) {
			c.Recipient, c.RecipientIs, c.Optional = inputTransferTo, RecipientEmail, true
		}
		out = append(out, c)
	}
	return out
}

// inputOf fills what an account tells of an action's input.
func inputOf(action Action, a Account) map[string]any {
	out := map[string]any{accountInput(action): a.ID}
	if a.App == "" {
		return out
	}
	for _, in := range action.Inputs {
		if in.Type == typeApp {
			out[in.Name] = a.App
		}
	}
	return out
}
