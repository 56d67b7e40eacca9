// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package trigger

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/seatkeeper/seatkeeper/internal/expr"
	"github.com/seatkeeper/seatkeeper/internal/model"
	"github.com/seatkeeper/seatkeeper/internal/store"
	"github.com/seatkeeper/seatkeeper/internal/workflow"
)

// rehearse is what a body would lead to.
func (o *office) rehearse(name, body string) Rehearsal {
	o.Helper()
	payload, err := json.Marshal(model.WebhookEvent{EventID: "test", ReceivedAt: o.clock.Now(), Body: json.RawMessage(body)})
	o.must(err)
	state, err := o.store.Workflow(o.Context(), o.tenant, name)
	o.must(err)
	e := model.Event{ID: "test", Kind: model.EventWebhook, Subject: workflow.KindWorkflow + "/" + name, Payload: payload, CreatedAt: o.clock.Now()}
	r, err := Rehearse(o.Context(), o.store, expr.Workflow{}, o.tenant, state, e, o.clock.Now())
	o.must(err)
	return r
}

// TestRehearse: what would happen is what happens, and nothing of it happens.
func TestRehearse(t *testing.T) {
	eachOffice(t, func(o *office) {
		o.employ(100)
		o.sync()
		hire := Spec{Subject: workflow.SubjectPerson, When: "event.data.body.kind == 'hire' && person.department == 'Sales'", Guard: &Guard{MinItems: 2, MaxPercent: 2, Per: 24 * time.Hour},
			Webhook: &Webhook{Match: []Match{{MatchEmployeeID, "${body.employee}"}, {MatchEmail, "${body.email}"}}, Create: true,
				Fields: map[string]string{"email": "${body.email}", "department": "${body.department}", "custom.badge": "${body.badge}"}}}
		o.workflow("hire", hire)
		late := hire
		late.When, late.At = "", &workflow.Moment{Date: "event.data.body.start", OffsetDays: -1, Time: "09:00"}
		o.workflow("late", late)
		strict := hire
		strict.Webhook = &Webhook{Match: hire.Webhook.Match}
		o.workflow("strict", strict)
		o.workflow("paused", hire, func(w *store.WorkflowState) { w.Suspended = true })
		people, err := o.store.PeopleCounts(o.Context(), o.tenant)
		o.must(err)

		const known, unknown = `{"kind": "hire", "employee": "N-e001"}`, `{"kind": "hire", "email": "New@acme.example", "department": "Sales", "badge": 7}`
		for _, tc := range []struct{ name, workflow, body, want string }{
			{"known", "hire", known, "Starts: e001@acme.example by employeeID N-e001; true [event.data.body.kind=hire person.department=Sales]; guard 2, 0 started in 24h0m0s"},
			{"unknown", "hire", unknown, "Starts: new@acme.example by email New@acme.example, made of custom.badge 7, department Sales, email new@acme.example; true [event.data.body.kind=hire person.department=Sales]; guard 2, 0 started in 24h0m0s"},
			{"other", "hire", `{"kind": "fire", "employee": "N-e001"}`, "Nothing: e001@acme.example by employeeID N-e001; false [event.data.body.kind=fire person.department=Sales]: spec.when is false"},
			{"failing", "hire", `{"employee": "N-e001"}`, "Skipped ExpressionFailed: e001@acme.example by employeeID N-e001; error [event.data.body.kind absent person.department=Sales]"},
			{"nobody", "hire", `{"kind": "hire"}`, "Skipped SubjectNotFound"},
			{"not made", "strict", unknown, "Skipped SubjectNotFound"},
			{"no mail", "hire", `{"kind": "hire", "employee": "N-zzz"}`, "Skipped InvalidPerson"},
			{"later", "late", `{"employee": "N-e001", "start": "2026-12-01"}`, "Waits WaitingForMoment 2026-11-30T08:00:00Z: e001@acme.example by employeeID N-e001"},
			{"suspended", "paused", known, "Waits WorkflowSuspended: e001@acme.example by employeeID N-e001; true [event.data.body.kind=hire person.department=Sales]; guard 2, 0 started in 24h0m0s"},
		} {
			if diff := cmp.Diff(tc.want, rehearsalText(o.rehearse(tc.workflow, tc.body))); diff != "" {
				t.Errorf("%s: %s", tc.name, diff)
			}
		}
		after, err := o.store.PeopleCounts(o.Context(), o.tenant)
		o.must(err)
		if diff := cmp.Diff(people, after); diff != "" {
			t.Errorf("people were made known: %s", diff)
		}
		for _, name := range []string{"hire", "late", "strict", "paused"} {
			o.started(name)
			o.notStarted(name)
		}

		// With the guard used up it would be held, as the next is.
		o.hook("hire", known)
		o.hook("hire", `{"kind": "hire", "employee": "N-e002"}`)
		o.look()
		if got := o.rehearse("hire", `{"kind": "hire", "employee": "N-e003"}`); got.Outcome != OutcomeHeld || got.Guard.Started != 2 {
			t.Errorf("%+v", got)
		}
		o.hook("hire", `{"kind": "hire", "employee": "N-e003"}`)
		o.look()
		o.started("hire", "e001@acme.example", "e002@acme.example")
	})
}

// TestWebhooksAreAboutPeople: a run that a webhook starts is about a person, or
// about nothing.
func TestWebhooksAreAboutPeople(t *testing.T) {
	for when, subjects := range map[string][2]bool{ // about nothing, about a person
		"event.data.body.x == 1": {true, true}, "person.department == 'Sales'": {false, true},
		"license.app == 'zoom'": {}, "contract.name == 'zoom'": {}, "application.name == 'zoom'": {},
	} {
		for i, subject := range []string{"", workflow.SubjectPerson} {
			if err := Check(Spec{Webhook: &Webhook{}, Subject: subject, When: when}, expr.Workflow{}); (err == nil) != subjects[i] {
				t.Errorf("%q about %q: %v", when, subject, err)
			}
		}
	}
}

func rehearsalText(r Rehearsal) string {
	out := strings.TrimSpace(string(r.Outcome) + " " + r.Reason)
	if r.Due != nil {
		out += " " + r.Due.UTC().Format(time.RFC3339)
	}
	if p := r.Person; p != nil {
		out += fmt.Sprintf(": %s by %s %s", p.Email, p.By, p.Value)
		for i, name := range []string{"custom.badge", "department", "email"} {
			if v := p.Fields[name]; v != "" {
				out += map[bool]string{true: ", made of ", false: ", "}[i == 0] + name + " " + v
			}
		}
	}
	if w := r.When; w != nil {
		result := fmt.Sprint(w.Result)
		if w.Error != "" {
			result = "error"
		}
		var reads []string
		for _, read := range w.Reads {
			text := fmt.Sprintf("%s=%v", read.Path, read.Value)
			if read.Absent {
				text = read.Path + " absent"
			}
			reads = append(reads, text)
		}
		slices.Sort(reads)
		out += fmt.Sprintf("; %s %v", result, reads)
	}
	if g := r.Guard; g != nil {
		out += fmt.Sprintf("; guard %d, %d started in %s", g.Allowed, g.Started, g.Per)
	}
	if r.Outcome == OutcomeNothing {
		out += ": " + r.Message
	}
	return out
}
