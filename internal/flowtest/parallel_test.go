// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package flowtest

import "testing"

const tellAll = `apiVersion: seatkeeper.dev/v1alpha1
kind: Workflow
metadata:
  name: leaver
spec:
  trigger:
    manual:
      subject: None
  steps:
  - name: all
    forEach:
      in: "input.who"
      as: who
      maxParallel: 2
      steps:
      - name: open
        http: {method: POST, url: "https://desk.example/open", body: {who: "${who}"}, class: Idempotent}
        outputs:
          id:
            value: "resp.id"
      - name: pause
        wait: {for: 1h}
      - name: tell
        when: "who != 'b'"
        http: {method: POST, url: "https://desk.example/tell", body: {id: "${steps.open.id}"}, class: Idempotent}
      - name: agreed
        approval:
          approvers:
          - email: mia@acme.example
          text: "Close for ${who}?"
        onError: Continue
    onError: Continue
  - name: report
    http: {method: POST, url: "https://desk.example/report", body: {done: "${steps.all.items.map(i, i.result)}", ids: "${steps.all.items.map(i, i.steps.open.id)}"}, class: Idempotent}
`

// Items that are at work at the same time come out in one order: what they send
// and the answers that they are given.
func TestItemsAtOnce(t *testing.T) {
	path := files(t, tellAll, `tests:
- name: in order
  given:
    now: 2026-11-20T09:00:00Z
    people: [{email: mia@acme.example}]
    answers:
      open: [{body: {id: 1}}, {body: {id: 2}}, {body: {id: 3}}]
      tell: [{}, {status: 404, message: no}]
      agreed: {answer: Approve, after: 30m}
  when: {input: {who: [a, b, c]}}
  expect:
    outcome: succeeded
    steps:
    - all: failed
    - report: done
    requests:
    - {step: "all[0].open", body: {who: a}}
    - {step: "all[1].open", body: {who: b}}
    - {step: "all[0].tell", body: {id: 1}}
    - {step: "all[0].agreed"}
    - {step: "all[1].agreed"}
    - {step: "all[0].agreed"}
    - {step: "all[2].open", body: {who: c}}
    - {step: "all[1].agreed"}
    - {step: "all[2].tell", body: {id: 3}}
    - {step: report, body: {done: [done, done, failed], ids: [1, 2, 3]}}
    asked:
    - {step: "all[0].agreed", to: [mia@acme.example], answer: Approve}
    - {step: "all[1].agreed", to: [mia@acme.example], answer: Approve}
`)
	for range 3 {
		all, err := RunFile(t.Context(), path, "")
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range all {
			for _, f := range r.Failures {
				t.Fatalf("%s: %s", r.Test.Name, f)
			}
		}
	}
}
