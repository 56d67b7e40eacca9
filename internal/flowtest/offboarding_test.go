// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package flowtest

import (
	"strings"
	"testing"
)

const everything = `apiVersion: seatkeeper.dev/v1alpha1
kind: Workflow
metadata: {name: leaver}
spec:
  trigger: {person: {events: [Left]}}
  direction: Offboarding
  steps:
  - name: everything
    offboarding: {except: [notion]}
`

// TestOffboarding: every app does with the accounts of a leaver what its
// Application says, and what it may.
func TestOffboarding(t *testing.T) {
	const given = `given:
  now: 2026-11-20T09:00:00Z
  person: &jo
    email: jo@acme.example
    displayName: Jo
    lifecycle: past
    managerEmail: mia@acme.example
    accounts:
    - {integration: zoom, externalId: z1}
    - {integration: google-workspace, externalId: g1}
    - {integration: notion, externalId: n1}
  people:
  - {email: mia@acme.example, accounts: [{integration: google-workspace, externalId: g2}]}
  - {email: ola@acme.example}
`
	const apps = `  applications:
  - name: google
    integrationRefs: [{name: google-workspace}]
    offboarding: [{name: google-workspace, method: Automatic, action: user.suspend, deleteAfter: 14d, transferTo: [{role: Manager}]}]
  - name: zoom
    integrationRefs: [{name: zoom}]
    owners: [{email: ola@acme.example, role: Primary}]
    offboarding: [{name: zoom, method: Delegate}]
`
	for name, test := range map[string]string{
		"as the Applications say": given + apps + `  answers:
    everything.zoom: {answer: Done, after: 1h, reason: closed}
expect:
  outcome: succeeded
  endedAt: 2026-12-04T09:00:00Z
  apps: [{google: done}, {zoom: done}]
  asked: [{step: everything.zoom, to: [ola@acme.example], answer: Done}]
  requests:
  - {step: everything.google, integration: google-workspace, action: user.suspend, with: {userId: g1}}
  - {step: everything.google, action: data.transfer, with: {userId: g1, toUserId: g2}}
  - {step: everything.zoom, integration: Email, with: {to: ola@acme.example, subject: "A task for you: leaver"}}
  - {integration: Email}
  - {step: everything.google, action: user.delete, with: {userId: g1}}
`,
		"by default": given + `expect:
  outcome: succeeded
  apps: [{google-workspace: done}, {zoom: done}]
  requests:
  - {step: everything.google-workspace, action: user.suspend}
  - {step: everything.zoom, action: user.deactivate, with: {userId: z1}}
`,
		"what only the identity provider lists": `given:
  now: 2026-11-20T09:00:00Z
  person:
    email: jo@acme.example
    lifecycle: past
    managerEmail: mia@acme.example
    accounts:
    - {integration: okta, externalId: u1}
    - {integration: okta, externalId: u1, app: Figma}
    - {integration: okta, externalId: u1, app: Miro}
    - {integration: okta, externalId: u1, app: Zoom}
    - {integration: zoom, externalId: z1}
  people: [{email: mia@acme.example}]
  applications:
  - name: miro
    offboarding: [{name: okta, method: Automatic, action: app.unassign}]
  answers:
    everything.Figma: {answer: Done, reason: closed by hand}
expect:
  outcome: succeeded
  apps: [{Figma: done}, {miro: done}, {okta: done}, {zoom: skipped}, {zoom: done}]
  asked: [{step: everything.Figma, to: [mia@acme.example], answer: Done}]
  requests:
  - {step: everything.Figma, integration: Email}
  - {step: everything.miro, integration: okta, action: app.unassign, with: {userId: u1, appId: Miro}}
  - {step: everything.okta, integration: okta, action: user.suspend, with: {userId: u1}}
  - {step: everything.zoom, action: user.deactivate}
  - {step: everything.Figma, integration: Email}
`,
		"what nothing may do is a task": given + `  integrations: {zoom: {connector: zoom, permission: Read}}
  answers:
    everything.zoom: {answer: Done, reason: closed by hand}
expect:
  outcome: succeeded
  asked: [{step: everything.zoom, to: [mia@acme.example]}]
  requests:
  - {step: everything.google-workspace, action: user.suspend}
  - {step: everything.zoom, integration: Email}
  - {step: everything.zoom, integration: Email}
`,
		"who is back keeps the account": given + apps + `  later: [{at: 2026-11-23T09:00:00Z, person: {lifecycle: current}}]
  answers:
    everything.zoom: {answer: Done, reason: closed by hand}
expect:
  outcome: succeeded
  apps: [{google: cancelled}, {zoom: done}]
`,
		"who opens it again keeps it": given + apps + `  later: [{at: 2026-11-23T09:00:00Z, person: {accounts: [{integration: google-workspace, externalId: g1, status: active}]}}]
  answers:
    everything.zoom: {answer: Done, reason: closed by hand}
expect:
  apps: [{google: cancelled}, {zoom: done}]
`,
		"what a vendor refuses fails": given + apps + `  answers:
    everything.zoom: {answer: Done, reason: closed by hand}
    everything.google: [{}, {}, {result: denied, message: no}]
expect:
  outcome: failed
  reason: AppsFailed
  apps: [{google: failed}, {zoom: done}]
`,
		"who is protected is left alone": given + "  organization: {protected: [jo@acme.example]}\n" + `expect:
  outcome: succeeded
  apps: [{google-workspace: skipped}, {zoom: skipped}]
  requests: []
`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			all, err := RunFile(t.Context(), files(t, everything, "tests:\n- name: a\n  "+strings.ReplaceAll(test, "\n", "\n  ")+"\n"), "")
			if err != nil {
				t.Fatal(err)
			}
			for _, f := range all[0].Failures {
				t.Error(f)
			}
		})
	}
}

// TestBackDuringTheGracePeriod: who leaves and is employed anew keeps the account,
// also where the step began before they had left.
func TestBackDuringTheGracePeriod(t *testing.T) {
	byHand := strings.Replace(everything, "person: {events: [Left]}", "manual: {subject: Person}", 1)
	const given = `tests:
- name: a
  given:
    now: 2026-11-20T09:00:00Z
    person: {email: jo@acme.example, lifecycle: current, accounts: [{integration: zoom, externalId: z1}]}
    applications:
    - name: zoom
      integrationRefs: [{name: zoom}]
      offboarding: [{name: zoom, method: Automatic, action: user.deactivate, deleteAfter: 14d}]
`
	for name, test := range map[string]string{
		"back": `    later:
    - {at: 2026-11-21T09:00:00Z, person: {lifecycle: past}}
    - {at: 2026-11-23T09:00:00Z, person: {lifecycle: current}}
  expect: {outcome: succeeded, endedAt: 2026-12-04T09:00:00Z, apps: [{zoom: cancelled}]}
`,
		"gone": `    later:
    - {at: 2026-11-21T09:00:00Z, person: {lifecycle: past}}
  expect: {outcome: succeeded, apps: [{zoom: done}]}
`,
		"back and gone again": `    later:
    - {at: 2026-11-21T09:00:00Z, person: {lifecycle: past}}
    - {at: 2026-11-23T09:00:00Z, person: {lifecycle: current}}
    - {at: 2026-11-25T09:00:00Z, person: {lifecycle: past}}
  expect: {outcome: succeeded, apps: [{zoom: done}]}
`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			all, err := RunFile(t.Context(), files(t, byHand, given+test), "")
			if err != nil {
				t.Fatal(err)
			}
			for _, f := range all[0].Failures {
				t.Error(f)
			}
		})
	}
}
