// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package offboarding

import (
	"fmt"
	"slices"
	"strings"
)

// Names of the closed list of actions that matter here.
const (
	actionSuspend    = "user.suspend"
	actionDeactivate = "user.deactivate"
	actionDelete     = "user.delete"
	actionSignOut    = "user.signOut"
	actionTransfer   = "data.transfer"
)

// Types of inputs that an account tells, and names that connectors agree on.
const (
	typeAccount     = "account"
	typeApp         = "app"
	inputUserID     = "userId"
	inputTransferTo = "transferTo"
)

// Kind says what helps against a Problem.
type Kind int

// Kinds of problems.
const (
	// Wrong: a change of the entry, or of the Integration, helps.
	Wrong Kind = iota
	// Missing: there is no such Integration.
	Missing
	// Unknown: what the Integration can do is not known yet.
	Unknown
)

// Problem is why an entry cannot be carried out.
type Problem struct {
	Kind Kind
	// Field is a path below the entry; empty is the entry itself.
	Field string
	// Message says what is wrong and how to mend it.
	Message string
}

func wrong(field, format string, args ...any) *Problem {
	return &Problem{Field: field, Message: fmt.Sprintf(format, args...)}
}

// Check says what keeps an entry from being carried out; nil: nothing does. in
// is its Integration, nil if there is none. own says that the Integration lists
// the app's own accounts, and does not see them from the side.
func Check(e Entry, in *Integration, own bool) *Problem {
	switch {
	case in == nil || in.Name == "":
		return &Problem{Kind: Missing, Field: "name", Message: fmt.Sprintf("there is no Integration %q in this namespace; create it, or remove the entry", e.Integration)}
	case e.Method == Ignore && len(e.TransferTo) > 0:
		return wrong("transferTo", "nothing is handed over with method Ignore; leave transferTo out, or use Automatic or Delegate")
	case e.Method != Automatic:
		return nil
	case !in.Known:
		return &Problem{Kind: Unknown, Field: "action", Message: fmt.Sprintf("what the connector of Integration %q can do is not known; its own status says why", in.Name)}
	}
	if p := checkAction(e, in, own); p != nil {
		return p
	}
	if p := checkDeletion(e, in, own); p != nil {
		return p
	}
	return checkTransfer(e, in, own)
}

func checkAction(e Entry, in *Integration, own bool) *Problem {
	a, ok := in.action(e.Action)
	switch {
	case !ok:
		return wrong("action", "the connector of Integration %q has no action %s; %s", in.Name, e.Action, in.offer(own))
	case a.Name == actionDelete:
		return wrong("action", "%s would delete the account at once; %s, and set deleteAfter to delete it later", a.Name, in.offer(own))
	case a.Name == actionSignOut:
		return wrong("action", "%s ends sessions, and the person can sign in again; %s", a.Name, in.offer(own))
	case !a.Removes:
		return wrong("action", "%s takes no access away; %s", a.Name, in.offer(own))
	case !own && appInput(a) == "":
		return wrong("action", "Integration %q does not list this app's own accounts, and %s would act on the account that the person has in its own system; %s, or name the Integration in spec.integrationRefs if its accounts are this app's",
			in.Name, a.Name, in.offer(own))
	case accountInput(a) == "":
		return wrong("action", "%s is about no account; %s", a.Name, in.offer(own))
	}
	if missing := untold(a, own); missing != "" {
		return wrong("action", "%s needs the input %s, which an account does not tell; %s", a.Name, missing, in.offer(own))
	}
	return in.allows("action", a)
}

func checkDeletion(e Entry, in *Integration, own bool) *Problem {
	if e.DeleteAfter == 0 {
		return nil
	}
	a, ok := in.action(actionDelete)
	switch {
	case !own:
		return wrong("deleteAfter", "Integration %q does not list this app's own accounts, and would delete the account that the person has in its own system; leave deleteAfter out", in.Name)
	case !ok || !a.Removes || accountInput(a) == "" || untold(a, own) != "":
		return wrong("deleteAfter", "the connector of Integration %q cannot delete an account; leave deleteAfter out", in.Name)
	case !slices.Contains(defaults, e.Action):
		return wrong("deleteAfter", "%s does not stop the account, and only a stopped one is deleted; use %s, or leave deleteAfter out", e.Action, strings.Join(defaults, " or "))
	}
	return in.allows("deleteAfter", a)
}

func checkTransfer(e Entry, in *Integration, own bool) *Problem {
	if len(e.TransferTo) == 0 {
		return nil
	}
	if !own {
		return wrong("transferTo", "Integration %q does not list this app's own accounts, so it cannot hand over their data; leave transferTo out", in.Name)
	}
	if a, ok := in.transfer(); ok {
		return in.allows("transferTo", a)
	}
	deletion, ok := in.action(actionDelete)
	switch {
	case ok && handsOver(deletion) && e.DeleteAfter > 0:
		return nil
	case ok && handsOver(deletion):
		return wrong("transferTo", "the connector of Integration %q hands data over when it deletes an account; set deleteAfter, or leave transferTo out", in.Name)
	}
	return wrong("transferTo", "the connector of Integration %q cannot hand over data; leave transferTo out, or use method Delegate", in.Name)
}

// allows says whether the Integration may use an action that its connector has.
func (in *Integration) allows(field string, a Action) *Problem {
	switch {
	case !in.ReadAndAct:
		return wrong(field, "Integration %q has spec.permission: Read; ReadAndAct would allow %s", in.Name, a.Name)
	case a.Destructive && !slices.Contains(in.Destructive, a.Name):
		return wrong(field, "%s is destructive, and spec.destructiveActions of Integration %q does not name it; add it there, or choose another way", a.Name, in.Name)
	}
	return nil
}

func (in *Integration) action(name string) (Action, bool) {
	i := slices.IndexFunc(in.Actions, func(a Action) bool { return a.Name == name })
	if i < 0 {
		return Action{}, false
	}
	return in.Actions[i], true
}

// transfer returns the action that hands an account's data to another account.
func (in *Integration) transfer() (Action, bool) {
	a, ok := in.action(actionTransfer)
	return a, ok && accountInput(a) != "" && recipientInput(a) != ""
}

// offer says which actions an entry could name.
func (in *Integration) offer(own bool) string {
	var names []string
	for _, a := range in.Actions {
		if a.Removes && a.Name != actionDelete && a.Name != actionSignOut && accountInput(a) != "" && untold(a, own) == "" && (own || appInput(a) != "") {
			names = append(names, a.Name)
		}
	}
	if len(names) == 0 {
		return "it has none that could be named, so use method Delegate"
	}
	slices.Sort(names)
	return "name " + strings.Join(names, " or ")
}

// accountInput is the input that takes the account, or "".
func accountInput(a Action) string {
	first := ""
	for _, in := range a.Inputs {
		if in.Type == typeAccount && in.Required && (first == "" || in.Name == inputUserID) {
			first = in.Name
		}
	}
	return first
}

// recipientInput is the input of a transfer that takes the other account, or "".
func recipientInput(a Action) string {
	from := accountInput(a)
	for _, in := range a.Inputs {
		if in.Type == typeAccount && in.Name != from {
			return in.Name
		}
	}
	return ""
}

func appInput(a Action) string {
	for _, in := range a.Inputs {
		if in.Type == typeApp {
			return in.Name
		}
	}
	return ""
}

// untold is a required input that an account does not tell, or "".
func untold(a Action, own bool) string {
	account := accountInput(a)
	for _, in := range a.Inputs {
		if in.Required && in.Name != account && (in.Type != typeApp || own) {
			return in.Name
		}
	}
	return ""
}

// handsOver says whether a deletion can give the data to somebody by e-mail.
func handsOver(a Action) bool {
	return slices.ContainsFunc(a.Inputs, func(in Input) bool { return in.Name == inputTransferTo })
}
