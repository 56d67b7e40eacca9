// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package connectors_test

import (
	"encoding/json"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/seatkeeper/seatkeeper/connectors"
	"github.com/seatkeeper/seatkeeper/internal/connector"
	"github.com/seatkeeper/seatkeeper/internal/connector/fixture"
	"github.com/seatkeeper/seatkeeper/internal/fakesaas"
)

// Every action of every manifest, carried out once: the requests are what the
// vendor's description allows (simulate checks), the effect is there and
// verified, and a second precheck finds it.
func TestEveryAction(t *testing.T) {
	company := fakesaas.Generate(config)
	zoomUser := company.ZoomUsers[slices.IndexFunc(company.ZoomUsers, func(u *fakesaas.ZoomUser) bool { return u.Type == 2 && u.Status == "active" })].ID
	slackUser := company.SlackMembers[slices.IndexFunc(company.SlackMembers, func(m *fakesaas.SlackMember) bool { return !m.Deleted && !m.Bot && m.Email != "" })].ID
	// An active user with an app of their own and a membership that can be taken.
	direct := func(id string) func(*fakesaas.OktaApp) bool {
		return func(a *fakesaas.OktaApp) bool {
			return slices.ContainsFunc(a.Assignments, func(as *fakesaas.OktaAssignment) bool { return as.UserID == id && !as.Group })
		}
	}
	member := func(id string) func(*fakesaas.OktaGroup) bool {
		return func(g *fakesaas.OktaGroup) bool { return g.Type == "OKTA_GROUP" && slices.Contains(g.Members, id) }
	}
	oktaUser := company.OktaUsers[slices.IndexFunc(company.OktaUsers, func(u *fakesaas.OktaUser) bool {
		return u.Status == "ACTIVE" && slices.ContainsFunc(company.OktaApps, direct(u.ID)) && slices.ContainsFunc(company.OktaGroups, member(u.ID))
	})].ID
	group := company.OktaGroups[slices.IndexFunc(company.OktaGroups, member(oktaUser))].ID
	app := company.OktaApps[slices.IndexFunc(company.OktaApps, direct(oktaUser))].ID
	inputs := map[string]map[string]any{
		"okta": {"userId": oktaUser, "groupId": group, "appId": app, "email": "new.hire@acme.example", "givenName": "New", "familyName": "Hire"},
		"zoom": {"userId": zoomUser}, "slack": {"userId": slackUser, "text": "Hello", "callback": "prompt-1", "channel": "C0GENERAL"},
	}
	// What one action undoes comes after it; deletion comes last.
	order := map[string][]string{
		"okta":  {"user.create", "user.suspend", "user.unsuspend", "user.signOut", "group.removeMember", "group.addMember", "app.unassign", "app.assign", "user.deactivate", "user.activate", "user.delete"},
		"zoom":  {"license.remove", "license.assign", "user.signOut", "user.deactivate", "user.activate", "user.delete"},
		"slack": {"message.send", "message.update", "channel.send", "user.signOut", "user.deactivate"},
	}
	// What the simulators do not have is played by the fixtures alone.
	unsimulated := map[string][]string{"slack": {"user.create"}, "zoom": {"user.create"}}
	for _, name := range []string{"okta", "slack", "zoom"} {
		t.Run(name, func(t *testing.T) {
			srv := simulate(t)
			s := open(t, srv, name, func(o *connector.Options) {
				for _, a := range o.Manifest.Actions() {
					if a.Destructive {
						o.Destructive = append(o.Destructive, a.Name)
					}
				}
				if name == "slack" {
					o.Config = map[string]any{"scim": true}
				}
			})
			all := s.Manifest().Capabilities().Actions
			if d := cmp.Diff(sorted(all), sorted(slices.Concat(order[name], unsimulated[name]))); d != "" {
				t.Fatalf("the test does not cover the manifest:\n%s", d)
			}
			sent := map[string]any{}
			for _, action := range order[name] {
				info, _ := s.Action(action)
				call := connector.ActionCall{Name: action, IdempotencyKey: "key-" + action, Input: map[string]any{}}
				for _, in := range info.Input {
					if v, ok := inputs[name][in.Name]; ok {
						call.Input[in.Name] = v
					}
				}
				if action == "message.update" {
					call.Input = map[string]any{"channel": sent["channel"], "ts": sent["ts"], "text": "Done"}
				}
				if info.HasPrecheck {
					if res, err := s.Precheck(t.Context(), call); err != nil || res.Class != connector.ResultAbsent {
						t.Fatalf("%s precheck: %+v, %v", action, res, err)
					}
				}
				before := srv.Writes(name)
				res, err := s.Execute(t.Context(), call)
				if err != nil || res.Class != connector.ResultDone || !res.Sent || res.RequestDigest == "" {
					t.Fatalf("%s: %+v, %v", action, res, err)
				}
				if srv.Writes(name) == before {
					t.Errorf("%s: nothing was written", action)
				}
				if action == "message.send" {
					sent = res.Output
				}
				if info.HasVerify {
					v, err := s.Verify(t.Context(), call)
					if err != nil || v.Class != connector.ResultDone {
						t.Fatalf("%s verify: %+v, %v", action, v, err)
					}
					if action == "message.send" && !cmp.Equal(v.Output, res.Output) {
						t.Errorf("verification found %v, want %v", v.Output, res.Output)
					}
				}
				if info.HasPrecheck {
					if res, err := s.Precheck(t.Context(), call); err != nil || res.Class != connector.ResultAlready {
						t.Errorf("%s: second precheck: %+v, %v", action, res, err)
					}
				}
			}
		})
	}
}

// What one action undoes, where a connector has it: the first that is there.
var inverse = map[string][]string{
	"user.create":        {"user.delete", "user.deactivate", "user.suspend"},
	"user.activate":      {"user.deactivate"},
	"user.deactivate":    {"user.activate"},
	"user.suspend":       {"user.unsuspend"},
	"user.unsuspend":     {"user.suspend"},
	"license.assign":     {"license.remove"},
	"license.remove":     {"license.assign"},
	"group.addMember":    {"group.removeMember"},
	"group.removeMember": {"group.addMember"},
	"app.assign":         {"app.unassign"},
	"app.unassign":       {"app.assign"},
}

// Where an inverse exists the manifest names it, and what it needs is known
// once the action is done: from its input, or from its output.
func TestUndoWhereOneExists(t *testing.T) {
	fetched(t, func(t *testing.T, name string, m *connector.Manifest) {
		actions := map[string]connector.ActionInfo{}
		for _, a := range m.Actions() {
			actions[a.Name] = a
		}
		f, err := fixture.Load(name + "/testdata/fixtures.yaml")
		if err != nil {
			t.Fatal(err)
		}
		played, err := f.Run(t.Context(), m)
		if err != nil {
			t.Fatal(err)
		}
		for _, a := range m.Actions() {
			want := ""
			for _, other := range inverse[a.Name] {
				if _, ok := actions[other]; ok {
					want = other
					break
				}
			}
			if a.Undo != want {
				t.Errorf("%s: undo is %q, want %q", a.Name, a.Undo, want)
			}
			for _, need := range actions[a.Undo].Input {
				fromInput := slices.ContainsFunc(a.Input, func(in connector.InputField) bool { return in.Name == need.Name })
				for _, p := range played.Actions {
					if done := p.Action.Name == a.Name && p.Got == connector.ResultDone; need.Required && !fromInput && done && p.Output[need.Name] == nil {
						t.Errorf("%s: %s needs %s, which is known by neither input nor output", a.Name, a.Undo, need.Name)
					}
				}
			}
		}
	})
}

func sorted(s []string) []string {
	s = slices.Clone(s)
	slices.Sort(s)
	return s
}

// A message whose answer is lost is found again by its callback, and one that
// was never posted is not.
func TestLostMessageIsFound(t *testing.T) {
	srv := simulate(t)
	s := open(t, srv, "slack")
	user := ""
	for _, m := range fakesaas.Generate(config).SlackMembers {
		if !m.Deleted && !m.Bot && m.Email != "" {
			user = m.ID
			break
		}
	}
	blocks := []any{
		map[string]any{"type": "section", "block_id": "q", "text": map[string]any{"type": "mrkdwn", "text": "*Zoom*: do you need it?"}},
		map[string]any{"type": "actions", "block_id": "prompt-7", "elements": []any{
			map[string]any{"type": "button", "action_id": "keep", "value": "Keep", "text": map[string]any{"type": "plain_text", "text": "Keep"}},
		}},
	}
	call := connector.ActionCall{Name: "message.send", Input: map[string]any{"userId": user, "text": "Do you need Zoom?", "blocks": blocks, "callback": "prompt-7"}}

	srv.AddFault(fakesaas.Fault{Kind: fakesaas.FaultLostResponse, Vendor: "slack", Path: "/api/chat.postMessage", Times: 1})
	res, err := s.Execute(t.Context(), call)
	if res.Class != connector.ResultUnknown || !res.Sent || err == nil {
		t.Fatalf("lost answer: %+v, %v", res, err)
	}
	found, err := s.Verify(t.Context(), call)
	if err != nil || found.Class != connector.ResultDone {
		t.Fatalf("verify: %+v, %v", found, err)
	}
	messages := srv.Messages()
	if len(messages) != 1 || found.Output["ts"] != messages[0].TS || found.Output["channel"] != messages[0].Channel {
		t.Fatalf("found %v, want %+v", found.Output, messages)
	}
	var got any
	if err := json.Unmarshal(messages[0].Blocks, &got); err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(any(blocks), got); d != "" {
		t.Errorf("the blocks changed on the way:\n%s", d)
	}

	other := call
	other.Input = map[string]any{"userId": user, "text": "Another", "callback": "prompt-8"}
	srv.AddFault(fakesaas.Fault{Kind: fakesaas.FaultDropConnection, Vendor: "slack", Path: "/api/chat.postMessage", Times: 1})
	if res, _ := s.Execute(t.Context(), other); res.Class != connector.ResultUnknown {
		t.Fatalf("dropped connection: %+v", res)
	}
	if res, err := s.Verify(t.Context(), other); err != nil || res.Class != connector.ResultAbsent {
		t.Fatalf("verify of what was never posted: %+v, %v", res, err)
	}
}

// A failure of the preparing step proves that the message was not posted.
func TestMessageThatWasNotSent(t *testing.T) {
	srv := simulate(t)
	s := open(t, srv, "slack")
	srv.AddFault(fakesaas.Fault{Kind: fakesaas.FaultError, Vendor: "slack", Path: "/api/conversations.open", Status: 503})
	res, err := s.Execute(t.Context(), connector.ActionCall{Name: "message.send",
		Input: map[string]any{"userId": fakesaas.Generate(config).SlackMembers[1].ID, "text": "x", "callback": "c"}})
	if err == nil || res.Sent || res.Class != connector.ResultFailed {
		t.Fatalf("got %+v, %v", res, err)
	}
}

// ACTIONS.md is the readable form of the closed list; the two are the same.
func TestActionsPage(t *testing.T) {
	page, err := os.ReadFile("ACTIONS.md")
	if err != nil {
		t.Fatal(err)
	}
	row := regexp.MustCompile("(?m)^\\| `([a-zA-Z.]+)` \\| (\\w+) \\| (yes|no) \\| (.+) \\|$")
	var got []connector.ActionName
	for _, m := range row.FindAllStringSubmatch(string(page), -1) {
		got = append(got, connector.ActionName{Name: m[1], Effect: connector.Effect(m[2]), Destructive: m[3] == "yes", Meaning: m[4]})
	}
	if d := cmp.Diff(connector.ActionNames(), got); d != "" {
		t.Errorf("ACTIONS.md (-list +page):\n%s", d)
	}
	for _, name := range connectors.Names() {
		readme, err := os.ReadFile(name + "/README.md")
		if err != nil {
			t.Error(err)
			continue
		}
		m, err := connectors.Builtin(name)
		if err != nil {
			t.Fatal(err)
		}
		for _, a := range m.Capabilities().Actions {
			if !strings.Contains(string(readme), "`"+a+"`") {
				t.Errorf("%s/README.md does not mention %s", name, a)
			}
		}
		for _, set := range m.SecretSets() {
			for _, key := range append(set.Required, set.Optional...) {
				if !strings.Contains(string(readme), "`"+key+"`") {
					t.Errorf("%s/README.md does not mention the Secret key %s", name, key)
				}
			}
		}
	}
}
