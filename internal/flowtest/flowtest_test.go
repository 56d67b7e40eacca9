// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package flowtest

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/seatkeeper/seatkeeper/internal/store"
)

const zoomLeaver = `apiVersion: seatkeeper.dev/v1alpha1
kind: Workflow
metadata:
  name: leaver
spec:
  trigger:
    manual:
      subject: Person
  direction: Offboarding
  steps:
  - name: agree
    approval:
      approvers:
      - role: Manager
      text: "Take Zoom away from ${person.displayName}?"
      timeout: 2d
    onError: Continue
  - name: lastDay
    when: "steps.agree.approved"
    wait:
      until:
        date: person.endDate
        time: EndOfDay
  - name: ticket
    when: "steps.agree.approved"
    http:
      method: POST
      url: https://desk.example/tickets
      body:
        about: "${person.email}"
      class: Idempotent
    outputs:
      id:
        value: "resp.id"
  - name: giveBack
    when: "steps.agree.approved"
    action:
      integration: video
      name: license.remove
      with:
        userId: "${person.accounts[0].externalId}"
    retry:
      maxAttempts: 2
`

const jo = `
      email: jo@acme.example
      displayName: Jo
      managerEmail: mia@acme.example
      timeZone: Europe/Berlin
      endDate: "2026-11-27"
      accounts:
      - {integration: zoom, externalId: z1}
`

// files writes a Workflow and its tests into a directory.
func files(t *testing.T, workflow, tests string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range map[string]string{"leaver.yaml": workflow, "leaver_test.yaml": tests} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return filepath.Join(dir, "leaver_test.yaml")
}

func TestRunFile(t *testing.T) {
	path := files(t, zoomLeaver, `tests:
- name: agreed
  given:
    now: 2026-11-20T09:00:00Z
    organization: {endOfDay: "17:30"}
    integrations: {video: zoom}
    person: `+jo+`
    answers:
      agree: {answer: Approve, after: 3h}
      ticket: {status: 201, body: {id: 4711}}
      giveBack:
      - {result: conflict, message: not yet}
      - {}
  expect:
    outcome: succeeded
    steps:
    - agree: Approved
    - lastDay: done
    - ticket: done
    - giveBack: done
    requests:
    - {integration: Email}
    - {integration: Email}
    - {method: POST, url: "https://desk.example/tickets", body: {about: jo@acme.example}}
    - {integration: video, action: license.remove, with: {userId: z1}}
    - {integration: video, action: license.remove, with: {userId: z1}}
    asked:
    - {step: agree, to: [mia@acme.example], answer: Approve}
- name: nobody answers
  given:
    now: 2026-11-20T09:00:00Z
    integrations: {video: zoom}
    person: `+jo+`
  expect:
    outcome: succeeded
    steps:
    - agree: Rejected
    - lastDay: skipped
    - ticket: skipped
    - giveBack: skipped
`)
	all, err := RunFile(t.Context(), path, "")
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range all {
		for _, f := range r.Failures {
			t.Errorf("%s: %s", r.Test.Name, f)
		}
	}
	agreed := all[0].Outcome
	if agreed.Run.State != store.RunSucceeded || agreed.Run.EndedAt.Before(time.Date(2026, 11, 27, 16, 30, 0, 0, time.UTC)) {
		t.Errorf("%s at %s", agreed.Run.State, agreed.Run.EndedAt)
	}
	if one, err := RunFile(t.Context(), path, "nobody"); err != nil || len(one) != 1 {
		t.Errorf("%d tests, %v", len(one), err)
	}
}

// A test that expects something else fails, and shows what differs.
func TestFailures(t *testing.T) {
	path := files(t, zoomLeaver, `tests:
- name: wrong
  given:
    now: 2026-11-20T09:00:00Z
    person: `+jo+`
    answers:
      agree: {answer: Reject, by: mia@acme.example}
  expect:
    outcome: failed
    reason: Denied
    endedAt: 2026-11-20T10:00:00Z
    steps:
    - agree: Approved
    - lastDay: skipped
    - ticket: skipped
    - giveBack: skipped
    requests: []
    asked: []
`)
	all, err := RunFile(t.Context(), path, "")
	if err != nil {
		t.Fatal(err)
	}
	text := strings.Join(all[0].Failures, "\n")
	for _, want := range []string{"outcome:\n  want failed\n  got  succeeded", "reason:\n  want Denied", "endedAt:\n  want 2026-11-20T10:00:00Z\n  got  2026-11-20T09:00:00Z", "-- agree: Approved\n+- agree: Rejected", "+  step: agree", "requests wanted"} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in\n%s", want, text)
		}
	}
}

// What is wrong in a file is said with its line.
func TestRefused(t *testing.T) {
	plain := "tests:\n- name: a\n  given:\n    person: {email: jo@acme.example}\n"
	for name, tc := range map[string]struct{ workflow, tests, want string }{
		"a field that is not there":    {zoomLeaver, "tests:\n- name: a\n  gven: {}\n", "leaver_test.yaml:3: field gven not found"},
		"a field of an answer":         {zoomLeaver, "tests:\n- name: a\n  given:\n    answers:\n      agree: {anwser: Approve}\n", "leaver_test.yaml:5: field anwser"},
		"no tests":                     {zoomLeaver, "tests: []\n", "leaver_test.yaml:1: there are no tests"},
		"nothing":                      {zoomLeaver, "", "leaver_test.yaml:1: is empty"},
		"no name":                      {zoomLeaver, "tests:\n- given: {}\n", "leaver_test.yaml:2: the test has no name"},
		"no person":                    {zoomLeaver, "tests:\n- name: a\n", `leaver_test.yaml:2: test "a": the Workflow runs for a person`},
		"an answer to no step":         {zoomLeaver, plain + "    answers: {consent: {answer: Approve}}\n", `given.answers.consent: the Workflow has no step "consent"`},
		"an answer that is none":       {zoomLeaver, plain + "    answers: {giveBack: {result: perhaps}}\n", `given.answers.giveBack.result: "perhaps"`},
		"an answer of nobody":          {zoomLeaver, "tests:\n- name: a\n  given:\n    person: " + jo + "    answers: {agree: {answer: Approve, by: eve@acme.example}}\n", `eve@acme.example answers "Approve"`},
		"a field of the Workflow":      {strings.Replace(zoomLeaver, "      timeout: 2d", "      timout: 2d", 1), plain, "leaver.yaml:16: spec.steps[0].approval.timout: there is no such field"},
		"an expression":                {strings.Replace(zoomLeaver, "resp.id", "resp.", 1), plain, "leaver.yaml:34: spec.steps[ticket].outputs.id.value"},
		"an action that is not there":  {strings.Replace(strings.Replace(zoomLeaver, "integration: video", "integration: zoom", 1), "license.remove", "license.burn", 1), plain, `leaver.yaml:39: spec.steps[giveBack].action.name: the connector of Integration "zoom" has no action "license.burn"`},
		"an input that is missing":     {strings.Replace(strings.Replace(zoomLeaver, "integration: video", "integration: zoom", 1), "userId:", "user:", 1), plain, `leaver.yaml:40: spec.steps[giveBack].action.with`},
		"a step that is no Workflow's": {strings.Replace(zoomLeaver, "kind: Workflow", "kind: Deployment", 1), plain, "leaver.yaml:1: is seatkeeper.dev/v1alpha1 Deployment"},
		"YAML that is none":            {zoomLeaver + "   x: [", plain, "leaver.yaml:"},
		"a Workflow that is nowhere":   {zoomLeaver, "workflow: none.yaml\n" + plain, "none.yaml: no such file"},
		"two fields of the same name":  {strings.Replace(zoomLeaver, "  name: leaver", "  name: leaver\n  name: leaver", 1), plain, "leaver.yaml:5"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := RunFile(t.Context(), files(t, tc.workflow, tc.tests), "")
			if err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("%v; want %s", err, tc.want)
			}
		})
	}
}
