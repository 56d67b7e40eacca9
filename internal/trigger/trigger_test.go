// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package trigger

import (
	"encoding/json"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/seatkeeper/seatkeeper/internal/model"
	"github.com/seatkeeper/seatkeeper/internal/store"
	"github.com/seatkeeper/seatkeeper/internal/workflow"
)

func joiners(edit ...func(*Spec)) Spec {
	g := DefaultGuard
	s := Spec{Person: &Person{Events: []string{Joined}}, Subject: workflow.SubjectPerson, Guard: &g}
	for _, e := range edit {
		e(&s)
	}
	return s
}

func on(events ...string) func(*Spec) { return func(s *Spec) { s.Person.Events = events } }

// TestJoiners: a first listing is nobody's first day; who is new in a later one
// joins once, however often the event is seen.
func TestJoiners(t *testing.T) {
	eachOffice(t, func(o *office) {
		o.workflow("onboard", joiners(func(s *Spec) { s.When = "person.department == 'Sales'" }))
		o.employ(50)
		o.sync()
		o.look()
		o.started("onboard")
		o.people = append(o.people, person("ada"), person("bob", func(p *model.Person) { p.Department = "Legal" }))
		o.sync()
		o.look()
		o.started("onboard", "ada@acme.example")
		o.notStarted("onboard")
		o.change("ada", func(p *model.Person) { p.Title = "Head" })
		o.sync()
		o.look()
		o.started("onboard", "ada@acme.example")

		run, err := o.store.ListRuns(o.Context(), o.tenant, store.RunFilter{Kind: workflow.KindWorkflow, Name: "onboard"})
		o.must(err)
		var vars struct {
			Person, Event map[string]any
			Start         map[string]string
		}
		o.must(json.Unmarshal(run[0].Vars, &vars))
		if vars.Person["department"] != "Sales" || vars.Event["kind"] != "person.joined" || vars.Start["why"] != "started by person.joined of hris" || run[0].PersonID == "" {
			o.Errorf("the run begins with %+v", vars)
		}
	})
}

// TestRehire: the same person joins again after having left, and leaves again.
func TestRehire(t *testing.T) {
	eachOffice(t, func(o *office) {
		o.employ(50)
		o.people = append(o.people, person("ada"))
		o.sync()
		o.workflow("both", joiners(on(Joined, Left)))
		for range 2 {
			o.change("ada", func(p *model.Person) { p.Lifecycle = model.LifecyclePast })
			o.sync()
			o.look()
			o.change("ada", func(p *model.Person) { p.Lifecycle = model.LifecycleCurrent })
			o.sync()
			o.look()
		}
		o.started("both", slices.Repeat([]string{"ada@acme.example"}, 4)...)
	})
}

// TestConditionsSeeThePersonWhole: a condition reads groups and the manager.
func TestConditionsSeeThePersonWhole(t *testing.T) {
	eachOffice(t, func(o *office) {
		o.employ(50)
		o.groups = map[string][]string{"Sales EMEA": {"ada"}, "All": {"ada", "bob"}}
		o.sync()
		o.workflow("onboard", joiners(func(s *Spec) {
			s.When = "'Sales EMEA' in person.groups && person.manager.displayName == 'e001' && person.accounts.exists(a, a.integration == 'hris')"
		}))
		managed := func(p *model.Person) { p.ManagerEmail = "e001@acme.example" }
		o.people = append(o.people, person("ada", managed), person("bob", managed))
		o.sync()
		o.look()
		o.started("onboard", "ada@acme.example")
	})
}

// TestMovers looks only at the fields that were asked for.
func TestMovers(t *testing.T) {
	eachOffice(t, func(o *office) {
		o.employ(50)
		o.sync()
		o.workflow("move", joiners(on(Changed), func(s *Spec) { s.Person.Changed = []string{"department"} }))
		o.change("e001", func(p *model.Person) { p.Title = "Head" })
		o.change("e002", func(p *model.Person) { p.Department = "Legal" })
		o.sync()
		o.look()
		o.started("move", "e002@acme.example")
	})
}

// TestGuard: of more than the guard lets through the oldest start, the rest is
// held; what a person releases starts, and nothing that came after (invariant 4).
func TestGuard(t *testing.T) {
	eachOffice(t, func(o *office) {
		o.employ(400)
		o.sync()
		o.workflow("offboard", joiners(on(Left)))
		leave := func(from, to int) {
			leavers(o, from, to, func(p *model.Person) { p.Lifecycle = model.LifecyclePast })
			o.sync()
			o.look()
		}
		leave(0, 30)
		if n := len(o.runs("offboard")); n != 20 {
			o.Fatalf("%d of 30 leavers have runs, want 20", n)
		}
		hold, err := o.store.Hold(o.Context(), o.tenant, store.WorkflowHold("offboard"))
		o.must(err)
		if hold.Count != 10 || hold.Allowed != 20 || hold.Reason != "GuardHeld" {
			o.Fatalf("held: %+v", hold)
		}
		leave(30, 32)
		if ok, err := o.store.ReleaseHeld(o.Context(), o.tenant, store.WorkflowHold("offboard"), hold.Digest, model.Actor{Name: "ada", Kind: model.ActorUser}, ""); err != nil || ok {
			o.Fatalf("the digest of a smaller set released a larger one: %v, %v", ok, err)
		}
		o.release("offboard")
		leave(32, 33)
		if n := len(o.runs("offboard")); n != 32 {
			o.Fatalf("%d runs after the release of twelve, want 32", n)
		}
		o.notStarted("offboard", "e032@acme.example held GuardHeld")
		o.pass(25 * time.Hour)
		if n := len(o.runs("offboard")); n != 33 {
			o.Fatalf("%d runs when the window has moved on, want 33", n)
		}
		if _, err = o.store.Hold(o.Context(), o.tenant, store.WorkflowHold("offboard")); err == nil {
			o.Error("an empty set is still held")
		}
	})
}

// TestNotReady: what happens while a Workflow is suspended or broken waits for
// it, and a week later is no reason to act any more.
func TestNotReady(t *testing.T) {
	eachOffice(t, func(o *office) {
		o.employ(50)
		o.sync()
		suspended := func(w *store.WorkflowState) { w.Suspended = true }
		o.workflow("onboard", joiners(), suspended)
		o.people = append(o.people, person("ada"))
		o.sync()
		o.look()
		o.notStarted("onboard", "ada@acme.example waiting WorkflowSuspended")
		o.workflow("onboard", joiners(), func(w *store.WorkflowState) { w.State, w.Trigger, w.Message = store.WorkflowInvalid, "", "broken" })
		o.pass(time.Hour)
		o.notStarted("onboard", "ada@acme.example waiting WorkflowNotReady")
		o.workflow("onboard", joiners())
		o.pass(time.Minute)
		o.started("onboard", "ada@acme.example")
		o.notStarted("onboard")

		o.workflow("onboard", joiners(), suspended)
		o.people = append(o.people, person("bob"))
		o.sync()
		o.pass(8 * 24 * time.Hour)
		o.workflow("onboard", joiners())
		o.pass(time.Hour)
		o.started("onboard", "ada@acme.example")
		o.notStarted("onboard", "bob@acme.example skipped TooLate")

		o.must(o.store.DeleteWorkflow(o.Context(), o.tenant, "onboard", false, store.Decider{}))
		o.people = append(o.people, person("cyd"))
		o.sync()
		o.look()
		o.workflow("onboard", joiners())
		o.pass(time.Hour)
		o.started("onboard", "ada@acme.example") // made anew, it refires nothing
	})
}

// TestRealtime starts runs on what a vendor tells, once per event.
func TestRealtime(t *testing.T) {
	eachOffice(t, func(o *office) {
		o.employ(50)
		o.sync()
		o.workflow("alert", Spec{Realtime: &Realtime{Integration: "hris", Event: "account.deactivated"}, When: "event.data.data.severity == 'high'"})
		o.workflow("leaver", Spec{Realtime: &Realtime{Integration: "hris", Event: "account.deactivated"}, Subject: workflow.SubjectPerson})
		e := model.RealtimeEvent{Name: "account.deactivated", EventID: "v1", PersonExternalID: "e007", At: o.clock.Now(), Data: map[string]any{"severity": "high"}}
		o.tell("d1/0000", e)
		o.tell("d2/0000", e) // delivered again under another id
		o.tell("d3/0000", model.RealtimeEvent{Name: "account.created", EventID: "v2", PersonExternalID: "e008", Data: map[string]any{}})
		o.tell("d4/0000", model.RealtimeEvent{Name: "account.deactivated", EventID: "v3", Person: "E009@acme.example", Data: map[string]any{"severity": "low"}})
		o.tell("d5/0000", model.RealtimeEvent{Name: "account.deactivated", EventID: "v4", Person: "new@acme.example", Data: map[string]any{}})
		o.look()
		o.started("alert", "e007")
		o.started("leaver", "e007@acme.example", "e009@acme.example")
		o.notStarted("alert", "new@acme.example skipped ExpressionFailed") // it has no severity
		o.notStarted("leaver", "new@acme.example waiting SubjectNotFound")
		o.people = append(o.people, person("new"))
		o.sync()
		o.pass(time.Minute)
		o.started("leaver", "e007@acme.example", "e009@acme.example", "new@acme.example")
		o.tell("d6/0000", model.RealtimeEvent{Name: "account.deactivated", EventID: "v5", Person: "nobody@acme.example", Data: map[string]any{}})
		o.pass(2 * time.Hour)
		o.notStarted("leaver", "nobody@acme.example skipped SubjectNotFound")
	})
}

// TestWebhook finds the person of a body, or makes one: an API call wants
// somebody who is there, a webhook may bring somebody (acceptance row 48).
func TestWebhook(t *testing.T) {
	eachOffice(t, func(o *office) {
		o.employ(50)
		o.sync()
		hook := Webhook{Match: []Match{{MatchEmployeeID, "${body.id}"}, {MatchEmail, "${body.email}"}}, Create: true,
			Fields: map[string]string{"email": "${body.email}", "givenName": "${body.first}", "familyName": "${body.last}", "startDate": "${body.start}", "custom.badge": "${body.badge}", "department": "${body.dept}"}}
		g := DefaultGuard
		o.workflow("hire", Spec{Webhook: &hook, Subject: workflow.SubjectPerson, Guard: &g, When: "!has(event.data.body.kind) || event.data.body.kind == 'hire'"})
		known := hook
		known.Create, known.Fields = false, nil
		o.workflow("known", Spec{Webhook: &known, Subject: workflow.SubjectPerson, Guard: &g})
		o.workflow("bare", Spec{Webhook: &Webhook{}})

		o.hook("hire", `{"id": "N-e001"}`)
		o.hook("hire", `{"email": "E002@acme.example"}`)
		o.hook("hire", `{"id": 4711, "email": "Ada@acme.example", "first": "Ada", "last": "Lovelace", "start": "2026-12-01", "badge": 7}`)
		o.hook("hire", `{"id": 4711, "email": "ada@acme.example"}`) // about the same person
		o.hook("hire", `{"id": 4712, "kind": "fire", "email": "x@acme.example"}`)
		o.hook("hire", `{"id": 4713}`)
		o.hook("hire", `"just text"`)
		o.hook("known", `{"id": "N-e003"}`)
		o.hook("known", `{"email": "stranger@acme.example"}`)
		bare := o.hook("bare", `[1, 2]`)
		o.look()
		o.started("hire", "ada@acme.example", "ada@acme.example", "e001@acme.example", "e002@acme.example")
		o.notStarted("hire", "hook-006 skipped InvalidPerson", "hook-007 skipped SubjectNotFound")
		o.started("known", "e003@acme.example")
		o.notStarted("known", "hook-009 skipped SubjectNotFound")
		o.started("bare", bare)

		ada, err := o.store.PersonByEmail(o.Context(), o.tenant, "ada@acme.example")
		o.must(err)
		if ada.DisplayName != "Ada Lovelace" || ada.StartDate != "2026-12-01" || ada.EmployeeID != "4711" || ada.Custom["badge"] != "7" || len(ada.Sources) != 1 || ada.Sources[0].Integration != "Webhook" {
			o.Errorf("the webhook made %+v", ada)
		}
		if _, err := o.store.PersonByEmail(o.Context(), o.tenant, "x@acme.example"); err == nil {
			o.Error("somebody was made whom the condition excludes")
		}
		// When the HR system knows her, she is the same person.
		o.people = append(o.people, person("ada", func(p *model.Person) { p.EmployeeID = "4711" }))
		o.sync()
		again, err := o.store.PersonByEmail(o.Context(), o.tenant, "ada@acme.example")
		o.must(err)
		if again.ID != ada.ID || len(again.Sources) != 2 {
			o.Errorf("she became %+v", again)
		}
	})
}

// TestWebhookGuard: a flood of bodies makes no more people known than runs start.
func TestWebhookGuard(t *testing.T) {
	eachOffice(t, func(o *office) {
		o.employ(50)
		o.sync()
		g := DefaultGuard
		o.workflow("hire", Spec{Webhook: &Webhook{Match: []Match{{MatchEmail, "${body.email}"}}, Create: true, Fields: map[string]string{"department": "Sales"}}, Subject: workflow.SubjectPerson, Guard: &g})
		for i := range 40 {
			o.hook("hire", fmt.Sprintf(`{"email": "new%02d@acme.example"}`, i))
		}
		o.look()
		if n := len(o.runs("hire")); n != 20 {
			o.Errorf("%d runs, want 20", n)
		}
		counts, err := o.store.PeopleCounts(o.Context(), o.tenant)
		o.must(err)
		if n := counts[""]; n != 20 {
			o.Errorf("%d people were made, want 20", n)
		}
	})
}

// TestTwoStarters start each run once, and together no more than the guard lets.
func TestTwoStarters(t *testing.T) {
	eachOffice(t, func(o *office) {
		o.employ(400)
		o.sync()
		o.workflow("offboard", joiners(on(Left)))
		for i := range 30 {
			o.change(fmt.Sprintf("e%03d", i), func(p *model.Person) { p.Lifecycle = model.LifecyclePast })
		}
		o.sync()
		other := NewStarter(*o.starter)
		done := make(chan error, 2)
		for _, s := range []*Starter{o.starter, other} {
			go func() { _, err := s.Look(o.Context()); done <- err }()
		}
		o.must(<-done)
		o.must(<-done)
		o.look()
		if n := len(o.runs("offboard")); n != 20 {
			o.Errorf("%d runs, want 20", n)
		}
	})
}
