// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package offboarding

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/seatkeeper/seatkeeper/internal/model"
)

func user(more ...Input) []Input {
	return append([]Input{{Name: "userId", Type: "account", Required: true}}, more...)
}

// google can do everything, and may.
func google() Integration {
	return Integration{Name: "google", Known: true, ReadAndAct: true, Destructive: []string{"user.delete"}, Actions: []Action{
		{Name: "user.create", Inputs: []Input{{Name: "email", Type: "string", Required: true}}},
		{Name: "user.suspend", Removes: true, Inputs: user()},
		{Name: "user.delete", Removes: true, Destructive: true, Inputs: user()},
		{Name: "user.signOut", Removes: true, Inputs: user()},
		{Name: "token.revoke", Removes: true, Inputs: user(Input{Name: "clientId", Type: "app", Required: true})},
		{Name: "license.remove", Removes: true, Inputs: user(Input{Name: "planKey", Type: "plan", Required: true})},
		{Name: "data.transfer", Inputs: user(Input{Name: "toUserId", Type: "account", Required: true}, Input{Name: "what", Type: "array"})},
	}}
}

// zoom hands data over when it deletes.
func zoom() Integration {
	return Integration{Name: "zoom", Known: true, ReadAndAct: true, Destructive: []string{"user.deactivate", "user.delete"}, Actions: []Action{
		{Name: "license.remove", Removes: true, Inputs: user()},
		{Name: "user.deactivate", Removes: true, Destructive: true, Inputs: user()},
		{Name: "user.delete", Removes: true, Destructive: true, Inputs: user(Input{Name: "transferTo", Type: "string"})},
	}}
}

// slack ends the account with the seat.
func slack() Integration {
	return Integration{Name: "slack", Known: true, ReadAndAct: true, Destructive: []string{"user.deactivate"}, Actions: []Action{
		{Name: "user.deactivate", Removes: true, Destructive: true, EndsAccount: true, Inputs: user()},
		{Name: "data.transfer", Inputs: user(Input{Name: "toUserId", Type: "account", Required: true})},
	}}
}

func okta() Integration {
	return Integration{Name: "okta", Known: true, ReadAndAct: true, Actions: []Action{
		{Name: "user.suspend", Removes: true, Inputs: user()},
		{Name: "app.unassign", Removes: true, Inputs: user(Input{Name: "appId", Type: "app", Required: true})},
	}}
}

func changed(in Integration, change func(*Integration)) Integration {
	change(&in)
	return in
}

func TestCheck(t *testing.T) {
	to := []Recipient{{Role: "Manager"}}
	auto := func(action string) Entry { return Entry{Method: Automatic, Action: action} }
	read := func(in *Integration) { in.ReadAndAct = false }
	unnamed := func(in *Integration) { in.Destructive = nil }
	tests := []struct {
		name    string
		entry   Entry
		in      Integration
		foreign bool
		field   string
		message string // empty: nothing is wrong
	}{
		{name: "suspend", entry: auto("user.suspend"), in: google()},
		{name: "no such action", entry: auto("user.deactivate"), in: google(), field: "action", message: "has no action user.deactivate; name user.suspend"},
		{name: "nothing to name", entry: auto("user.suspend"), in: Integration{Name: "sheet", Known: true}, field: "action", message: "use method Delegate"},
		{name: "not known", entry: auto("user.suspend"), in: Integration{Name: "own"}, field: "action", message: "its own status says why"},
		{name: "grants", entry: auto("user.create"), in: google(), field: "action", message: "takes no access away"},
		{name: "neutral", entry: auto("data.transfer"), in: google(), field: "action", message: "takes no access away"},
		{name: "deletes at once", entry: auto("user.delete"), in: google(), field: "action", message: "set deleteAfter"},
		{name: "ends sessions only", entry: auto("user.signOut"), in: google(), field: "action", message: "can sign in again"},
		{name: "an input nobody knows", entry: auto("license.remove"), in: google(), field: "action", message: "planKey"},
		{name: "an app that is not there", entry: auto("token.revoke"), in: google(), field: "action", message: "clientId"},
		{name: "permission", entry: auto("user.suspend"), in: changed(google(), read), field: "action", message: "ReadAndAct would allow user.suspend"},
		{name: "destructive", entry: auto("user.deactivate"), in: changed(zoom(), unnamed), field: "action", message: "does not name it"},
		{name: "from the side", entry: auto("app.unassign"), in: okta(), foreign: true},
		{name: "another system's account", entry: auto("user.suspend"), in: okta(), foreign: true, field: "action", message: "in its own system; name app.unassign"},
		{name: "delete later", entry: Entry{Method: Automatic, Action: "user.suspend", DeleteAfter: 14}, in: google()},
		{name: "delete later, not allowed", entry: Entry{Method: Automatic, Action: "user.suspend", DeleteAfter: 14}, in: changed(google(), unnamed), field: "deleteAfter", message: "user.delete is destructive"},
		{name: "cannot delete", entry: Entry{Method: Automatic, Action: "user.deactivate", DeleteAfter: 14}, in: slack(), field: "deleteAfter", message: "cannot delete"},
		{name: "delete what is in use", entry: Entry{Method: Automatic, Action: "license.remove", DeleteAfter: 14}, in: zoom(), field: "deleteAfter", message: "only a stopped one is deleted"},
		{name: "delete from the side", entry: Entry{Method: Automatic, Action: "token.revoke", DeleteAfter: 14}, in: google(), foreign: true, field: "deleteAfter", message: "leave deleteAfter out"},
		{name: "transfer", entry: Entry{Method: Automatic, Action: "user.suspend", TransferTo: to}, in: google()},
		{name: "transfer with the deletion", entry: Entry{Method: Automatic, Action: "user.deactivate", DeleteAfter: 1, TransferTo: to}, in: zoom()},
		{name: "transfer without the deletion", entry: Entry{Method: Automatic, Action: "user.deactivate", TransferTo: to}, in: zoom(), field: "transferTo", message: "set deleteAfter"},
		{name: "cannot transfer", entry: Entry{Method: Automatic, Action: "user.suspend", TransferTo: to}, in: changed(okta(), func(in *Integration) {}), field: "transferTo", message: "cannot hand over"},
		{name: "transfer from the side", entry: Entry{Method: Automatic, Action: "app.unassign", TransferTo: to}, in: okta(), foreign: true, field: "transferTo", message: "leave transferTo out"},
		{name: "delegate", entry: Entry{Method: Delegate, TransferTo: to}, in: Integration{Name: "own"}},
		{name: "ignore", entry: Entry{Method: Ignore}, in: Integration{Name: "own"}},
		{name: "ignore and transfer", entry: Entry{Method: Ignore, TransferTo: to}, in: google(), field: "transferTo", message: "method Ignore"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p := Check(tt.entry, &tt.in, !tt.foreign)
			if p == nil {
				p = &Problem{}
			}
			if p.Field != tt.field || (tt.message == "") != (p.Message == "") || !strings.Contains(p.Message, tt.message) {
				t.Errorf("got %q: %q; want %q: …%s…", p.Field, p.Message, tt.field, tt.message)
			}
		})
	}
	if p := Check(Entry{Integration: "gone", Method: Ignore}, nil, false); p == nil || p.Kind != Missing || !strings.Contains(p.Message, `"gone"`) {
		t.Errorf("an Integration that is not there: %+v", p)
	}
}

func TestResolve(t *testing.T) {
	to := []Recipient{{Role: "Manager"}, {Email: "it@acme.example"}}
	id := map[string]any{"userId": "u1"}
	suspend := Call{Action: "user.suspend", Input: id}
	transfer := Call{Action: "data.transfer", Input: id, Recipient: "toUserId", RecipientIs: RecipientAccount, Optional: true}
	at := func(integration string) Account {
		return Account{Integration: integration, ID: "u1", Status: model.AccountActive, Kind: model.AccountHuman}
	}
	side := func(integration, app string) Account { a := at(integration); a.App = app; return a }
	with := func(a Account, s model.AccountStatus, k model.AccountKind) Account { a.Status, a.Kind = s, k; return a }
	all := []Integration{google(), zoom(), slack(), okta()}
	tests := []struct {
		name         string
		entries      []Entry
		integrations []Integration
		accounts     []Account
		want         []Decision // without Account
		why          string     // in the last decision
	}{
		{name: "declared", entries: []Entry{{Integration: "google", Method: Automatic, Action: "user.suspend", DeleteAfter: 30, TransferTo: to}},
			accounts: []Account{at("google")}, want: []Decision{{Method: Automatic, Source: Declared, TransferTo: to,
				Calls: []Call{suspend, transfer, {Action: "user.delete", Input: id, AfterDays: 30}}}}},
		{name: "data moves before the account ends", entries: []Entry{{Integration: "slack", Method: Automatic, Action: "user.deactivate", TransferTo: to}},
			accounts: []Account{at("slack")}, want: []Decision{{Method: Automatic, Source: Declared, TransferTo: to, Calls: []Call{transfer, {Action: "user.deactivate", Input: id}}}}},
		{name: "data moves with the deletion", entries: []Entry{{Integration: "zoom", Method: Automatic, Action: "user.deactivate", DeleteAfter: 7, TransferTo: to}},
			accounts: []Account{at("zoom")}, want: []Decision{{Method: Automatic, Source: Declared, TransferTo: to, Calls: []Call{
				{Action: "user.deactivate", Input: id}, {Action: "user.delete", Input: id, AfterDays: 7, Recipient: "transferTo", RecipientIs: RecipientEmail, Optional: true}}}}},
		{name: "from the side", entries: []Entry{{Integration: "okta", Method: Automatic, Action: "app.unassign"}},
			accounts: []Account{side("okta", "0oa1")}, want: []Decision{{Method: Automatic, Source: Declared, Calls: []Call{{Action: "app.unassign", Input: map[string]any{"userId": "u1", "appId": "0oa1"}}}}}},
		{name: "the mildest is the default", accounts: []Account{at("google")}, want: []Decision{{Method: Automatic, Source: Default, Calls: []Call{suspend}}}},
		{name: "the default may be destructive if named", accounts: []Account{at("zoom")}, want: []Decision{{Method: Automatic, Source: Default, Calls: []Call{{Action: "user.deactivate", Input: id}}}}},
		{name: "no default without permission", integrations: []Integration{changed(google(), func(in *Integration) { in.ReadAndAct = false })},
			accounts: []Account{at("google")}, want: []Decision{{Method: Delegate, Source: Unmanaged}}, why: "permission Read"},
		{name: "no default that is destructive and not named", integrations: []Integration{changed(zoom(), func(in *Integration) { in.Destructive = nil })},
			accounts: []Account{at("zoom")}, want: []Decision{{Method: Delegate, Source: Unmanaged}}, why: "no action that it may use"},
		{name: "an Integration that is gone", accounts: []Account{at("ramp")}, want: []Decision{{Method: Delegate, Source: Unmanaged}}, why: "not known"},
		{name: "seen from the side and nowhere else", accounts: []Account{side("okta", "0oa1")}, want: []Decision{{Method: Delegate, Source: Unmanaged}}, why: "from the side"},
		{name: "seen from the side as well", accounts: []Account{at("google"), side("okta", "0oa1")},
			want: []Decision{{Method: Automatic, Source: Default, Calls: []Call{suspend}}, {Method: Ignore, Source: Unmanaged}}, why: "the app itself lists"},
		{name: "one's own account is not covered by itself", integrations: []Integration{{Name: "google", Known: true}},
			accounts: []Account{at("google")}, want: []Decision{{Method: Delegate, Source: Unmanaged}}, why: "permission Read"},
		{name: "unmanaged, ignored", entries: []Entry{{Integration: "google", Method: Ignore, Unmanaged: Ignore}},
			accounts: []Account{side("okta", "0oa1")}, want: []Decision{{Method: Ignore, Source: Unmanaged}}},
		{name: "unmanaged, in doubt delegated", entries: []Entry{{Integration: "google", Method: Ignore, Unmanaged: Ignore}, {Integration: "zoom", Method: Ignore, Unmanaged: Delegate}},
			accounts: []Account{side("okta", "0oa1")}, want: []Decision{{Method: Delegate, Source: Unmanaged}}, why: "from the side"},
		{name: "delegated", entries: []Entry{{Integration: "google", Method: Delegate, TransferTo: to}}, accounts: []Account{at("google")},
			want: []Decision{{Method: Delegate, Source: Declared, TransferTo: to}}},
		{name: "delegated and gone", entries: []Entry{{Integration: "google", Method: Delegate}}, accounts: []Account{with(at("google"), model.AccountSuspended, model.AccountHuman)},
			want: []Decision{{Method: Ignore, Source: Declared}}, why: "suspended already"},
		{name: "suspended and to be deleted", entries: []Entry{{Integration: "google", Method: Automatic, Action: "user.suspend", DeleteAfter: 30}},
			accounts: []Account{with(at("google"), model.AccountSuspended, model.AccountHuman)},
			want:     []Decision{{Method: Automatic, Source: Declared, Calls: []Call{suspend, {Action: "user.delete", Input: id, AfterDays: 30}}}}},
		{name: "deleted", accounts: []Account{with(at("google"), model.AccountDeleted, model.AccountHuman)}, want: []Decision{{Method: Ignore, Source: Default}}, why: "deleted already"},
		{name: "a status nobody understands", accounts: []Account{with(at("google"), model.AccountUnknown, model.AccountHuman)}, want: []Decision{{Method: Automatic, Source: Default, Calls: []Call{suspend}}}},
		{name: "ignored", entries: []Entry{{Integration: "google", Method: Ignore}}, accounts: []Account{at("google")}, want: []Decision{{Method: Ignore, Source: Declared}}},
		{name: "a service account is for a person", entries: []Entry{{Integration: "google", Method: Automatic, Action: "user.suspend"}},
			accounts: []Account{with(at("google"), model.AccountActive, model.AccountService)}, want: []Decision{{Method: Delegate, Source: Declared}}, why: "service account"},
		{name: "what cannot be done is for a person", entries: []Entry{{Integration: "google", Method: Automatic, Action: "user.deactivate", Unmanaged: Ignore}},
			accounts: []Account{at("google")}, want: []Decision{{Method: Delegate, Source: Declared}}, why: "has no action user.deactivate"},
		{name: "what is being disconnected is for a person", integrations: []Integration{changed(google(), func(in *Integration) { in.Disconnecting = true })},
			accounts: []Account{at("google")}, want: []Decision{{Method: Delegate, Source: Default}}, why: "being disconnected"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if tt.integrations == nil {
				tt.integrations = all
			}
			byName := map[string]Integration{}
			for _, in := range tt.integrations {
				byName[in.Name] = in
			}
			got := Resolve(tt.entries, byName, tt.accounts)
			if len(got) != len(tt.accounts) {
				t.Fatalf("%d decisions for %d accounts", len(got), len(tt.accounts))
			}
			last := got[len(got)-1].Why
			if (tt.why == "") != (last == "") || !strings.Contains(last, tt.why) {
				t.Errorf("why: %q; want …%s…", last, tt.why)
			}
			for i := range got {
				if d := cmp.Diff(tt.accounts[i], got[i].Account); d != "" {
					t.Error(d)
				}
				if want := ""; got[i].Method == Automatic {
					if want = tt.want[i].Calls[0].Action; want == "data.transfer" {
						want = tt.want[i].Calls[1].Action
					}
					if got[i].Action != want {
						t.Errorf("action %q, want %q", got[i].Action, want)
					}
				}
				got[i].Account, got[i].Why, got[i].Action = Account{}, "", ""
			}
			if d := cmp.Diff(tt.want, got); d != "" {
				t.Errorf("(-want +got):\n%s", d)
			}
		})
	}
}
