// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package flowtest

import (
	"fmt"
	"strings"
	"testing"
)

// triggered is a Workflow with one step and this trigger.
func triggered(spec string) string {
	return `apiVersion: seatkeeper.dev/v1alpha1
kind: Workflow
metadata: {name: leaver}
spec:
  ` + strings.ReplaceAll(strings.TrimSpace(spec), "\n", "\n  ") + `
  steps:
  - name: pause
    wait: {for: 1h}
`
}

const (
	endsOn = `
trigger: {person: {events: [EndsOn]}}
at: {date: person.endDate, time: EndOfDay, zone: Person}
`
	leftSales = `
trigger: {person: {events: [Left]}}
when: "person.department == 'Sales'"
`
	moved    = `trigger: {person: {events: [Changed], changed: [department]}}`
	vendors  = `trigger: {realtime: {integration: okta, event: account.changed, subject: Person}}`
	nightly  = `trigger: {schedule: {cron: "0 3 * * *", timeZone: Europe/Berlin}}`
	newHires = `
trigger:
  webhook:
    person:
      match: [{employeeID: "${body.employee}"}, {email: "${body.email}"}]
      create: true
      fields: {email: "${body.email}", displayName: "${body.name}", startDate: "${body.start}", timeZone: Asia/Tokyo, custom.badge: "${body.badge}"}
at: {date: person.startDate, time: "09:00", zone: Person}
`
)

// TestStarts: what starts runs in the cluster starts them here, at its time, and
// what does not says why.
func TestStarts(t *testing.T) {
	const hour = "given: {now: 2026-11-20T09:00:00Z, person: {email: jo@acme.example, department: Sales, timeZone: America/New_York, endDate: \"2026-11-20\", accounts: [{integration: okta, externalId: o1}]%s}}\n"
	person := func(more string) string { return fmt.Sprintf(hour, more) }
	past := person(", lifecycle: past")
	for name, tc := range map[string]struct{ workflow, test string }{
		"at the end of the day": {endsOn, person("") + "expect: {outcome: succeeded, starts: true, startsAt: 2026-11-20T23:00:00Z, endedAt: 2026-11-21T00:00:00Z}"},
		"a date that is moved": {endsOn, "given: {now: 2026-11-20T09:00:00Z, later: [{at: 2026-11-20T12:00:00Z, person: {endDate: \"2026-11-30\"}}], " +
			"person: {email: jo@acme.example, endDate: \"2026-11-20\"}}\nexpect: {startsAt: 2026-11-30T18:00:00Z, person: {endDate: \"2026-11-30\"}}"},
		"a date that is taken back": {endsOn, "given: {now: 2026-11-20T09:00:00Z, later: [{at: 2026-11-20T12:00:00Z, person: {endDate: \"\"}}], " +
			"person: {email: jo@acme.example, endDate: \"2026-11-20\"}}\nexpect: {starts: false}"},
		"a date long past":         {endsOn, "given: {now: 2026-11-20T09:00:00Z, person: {email: jo@acme.example, endDate: \"2026-10-01\"}}\nexpect: {starts: false, reason: MomentPassed}"},
		"somebody left":            {leftSales, past + "expect: {startsAt: 2026-11-20T09:00:00Z}"},
		"somebody else's concern":  {leftSales, strings.Replace(past, "Sales", "Legal", 1) + "expect: {starts: false, reason: ConditionFalse}"},
		"who is back has not left": {leftSales, person("") + "expect: {starts: false, reason: NotAnswered}"},
		"another event":            {leftSales, past + "when: {person: {event: Joined}}\nexpect: {starts: false, reason: NotAnswered}"},
		"a guard that is full":     {leftSales, strings.Replace(past, "given: {", "given: {guard: {started: 20, people: 100}, ", 1) + "expect: {starts: false, reason: GuardHeld}"},
		"a guard with room":        {leftSales, strings.Replace(past, "given: {", "given: {guard: {started: 19, people: 100}, ", 1) + "expect: {starts: true}"},
		"a field that counts":      {moved, person("") + "when: {person: {event: Changed, changed: [title, department]}}\nexpect: {starts: true}"},
		"a field that does not":    {moved, person("") + "when: {person: {event: Changed, changed: [title]}}\nexpect: {starts: false, reason: NotAnswered}"},
		"as expressions see it":    {moved, person("") + "when: {event: {kind: person.changed, data: {changed: [title]}}}\nexpect: {starts: false}"},
		"a vendor, by account":     {vendors, person("") + "when: {realtime: {account: o1}}\nexpect: {starts: true, person: {email: jo@acme.example}}"},
		"a vendor, of nobody":      {vendors, person("") + "when: {realtime: {account: o2}}\nexpect: {starts: false, reason: SubjectNotFound}"},
		"a vendor, another event":  {vendors, person("") + "when: {realtime: {event: account.added, account: o1}}\nexpect: {starts: false, reason: NotAnswered}"},
		"its time":                 {nightly, "when: {schedule: 2026-11-20T02:00:00Z}\nexpect: {startsAt: 2026-11-20T02:00:00Z}"},
		"not its time":             {nightly, "when: {schedule: 2026-11-20T03:00:00Z}\nexpect: {starts: false}"},
		"a person who is made": {newHires, "given: {now: 2026-11-20T09:00:00Z}\nwhen: {webhook: {body: {email: LIN@acme.example, name: Lin Ho, start: 2026-11-23, badge: 7}}}\n" +
			"expect: {startsAt: 2026-11-23T00:00:00Z, created: true, person: {email: lin@acme.example, displayName: Lin Ho, startDate: \"2026-11-23\", custom: {badge: \"7\"}}}"},
		"a person who is there": {newHires, "given: {now: 2026-11-20T09:00:00Z, person: {email: lin@acme.example, employeeId: \"17\", startDate: \"2026-11-21\"}}\n" +
			"when: {webhook: {body: {employee: 17, email: other@acme.example}}}\nexpect: {startsAt: 2026-11-21T09:00:00Z, created: false, person: {email: lin@acme.example}}"},
		"a body without an address": {newHires, "when: {webhook: {body: {employee: 17}}}\nexpect: {starts: false, reason: InvalidPerson}"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			all, err := RunFile(t.Context(), files(t, triggered(tc.workflow), "tests:\n- name: a\n  "+strings.ReplaceAll(tc.test, "\n", "\n  ")+"\n"), "")
			if err != nil {
				t.Fatal(err)
			}
			for _, f := range all[0].Failures {
				t.Errorf("%s\n%+v", f, all[0].Outcome.Start)
			}
		})
	}
}

// TestStartsDiffer: an expectation that is not met says so.
func TestStartsDiffer(t *testing.T) {
	const given = "given: {now: 2026-11-20T09:00:00Z, person: {email: jo@acme.example, department: Sales, lifecycle: past}}\n"
	for name, tc := range map[string]struct{ workflow, test, want string }{
		"a run too many":     {leftSales, given + "expect: {starts: false}", "starts:\n  want false\n  got  2026-11-20T09:00:00Z"},
		"a reason":           {leftSales, given + "expect: {starts: false, reason: TooLate}", "reason:\n  want TooLate\n  got  none"},
		"no run":             {leftSales, given + "when: {person: {event: Joined}}\nexpect: {outcome: succeeded}", "outcome:\n  want succeeded\n  got  no run: NotAnswered"},
		"no run, unforeseen": {leftSales, given + "when: {person: {event: Joined}}\nexpect: {steps: [{pause: done}]}", "starts:\n  want true\n  got  no run: NotAnswered"},
		"another time":       {leftSales, given + "expect: {startsAt: 2026-11-20T10:00:00Z}", "startsAt:\n  want 2026-11-20T10:00:00Z\n  got  2026-11-20T09:00:00Z"},
		"another person":     {leftSales, given + "expect: {created: true, person: {department: Legal}}", "-department: Legal\n+department: Sales"},
		"not created":        {leftSales, given + "expect: {created: true}", "created:\n  want true\n  got  false"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			all, err := RunFile(t.Context(), files(t, triggered(tc.workflow), "tests:\n- name: a\n  "+strings.ReplaceAll(tc.test, "\n", "\n  ")+"\n"), "")
			if err != nil {
				t.Fatal(err)
			}
			if text := strings.Join(all[0].Failures, "\n"); !strings.Contains(text, tc.want) {
				t.Errorf("no %q in\n%s", tc.want, text)
			}
		})
	}
}

// TestStartsRefused: what cannot happen to a Workflow is no test of it.
func TestStartsRefused(t *testing.T) {
	const given = "given: {person: {email: jo@acme.example}}\n"
	for name, tc := range map[string]struct{ workflow, test, want string }{
		"another trigger":    {leftSales, given + "when: {webhook: {body: {}}}", "when.webhook: the Workflow has trigger person"},
		"two things":         {leftSales, given + "when: {webhook: {body: {}}, person: {}}", "when: person, webhook: one thing happens at a time"},
		"an event of nobody": {leftSales, given + "when: {person: {event: Gone}}", `when.person.event: "Gone": want one of Changed, EndsOn, Joined, Left, StartsOn`},
		"nobody":             {leftSales, "", "give one with an email"},
		"an input":           {leftSales, given + "when: {input: {a: 1}}", "when.input: is given by who starts a run by hand"},
		"no body":            {newHires, "", "when.webhook: say the body"},
		"no time":            {nightly, "", "when.schedule: say the time"},
		"by hand":            {`trigger: {manual: {subject: Person}}`, given + "when: {person: {event: Left}}", "when.person: runs of this Workflow are started by hand"},
		"a field of later":   {leftSales, "given: {person: {email: jo@acme.example}, later: [{at: 2026-11-20T12:00:00Z, person: {nme: x}}]}", "given.later[0].person: line 3: field nme not found"},
		"later without time": {leftSales, "given: {person: {email: jo@acme.example}, later: [{person: {title: x}}]}", "given.later[0]: say at"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := RunFile(t.Context(), files(t, triggered(tc.workflow), "tests:\n- name: a\n  "+strings.ReplaceAll(tc.test, "\n", "\n  ")+"\n"), "")
			if err == nil || !strings.Contains(err.Error(), tc.want) || !strings.Contains(err.Error(), "leaver_test.yaml:2") {
				t.Errorf("%v; want %s", err, tc.want)
			}
		})
	}
}

// TestByHandAboutAnApp: a run that somebody starts has the app, or the contract and its
// app, of the test.
func TestByHandAboutAnApp(t *testing.T) {
	const wait = `
  steps: [{name: pause, wait: {for: 1h}, when: "application.users > 3"}]
`
	for name, tc := range map[string]struct{ spec, test, fails string }{
		"an app":      {"trigger: {manual: {subject: Application}}", "given: {application: {name: zoom, users: 4}}\n  expect: {outcome: succeeded, steps: [{pause: done}]}", ""},
		"a contract":  {"trigger: {manual: {subject: Contract}}\n  when: contract.end == '2026-12-31'", "given: {application: {name: zoom, users: 4}, contract: {name: c, end: '2026-12-31'}}\n  expect: {outcome: succeeded, steps: [{pause: done}]}", ""},
		"no app":      {"trigger: {manual: {subject: Application}}", "given: {}", "give given.application a name"},
		"no contract": {"trigger: {manual: {subject: Contract}}", "given: {application: {name: zoom}}", "give given.contract a name"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			workflow := "apiVersion: seatkeeper.dev/v1alpha1\nkind: Workflow\nmetadata: {name: leaver}\nspec:\n  " + tc.spec + wait
			all, err := RunFile(t.Context(), files(t, workflow, "tests:\n- name: a\n  "+tc.test+"\n"), "")
			if tc.fails != "" {
				if err == nil || !strings.Contains(err.Error(), tc.fails) {
					t.Errorf("%v, want %q", err, tc.fails)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			for _, f := range all[0].Failures {
				t.Error(f)
			}
		})
	}
}
