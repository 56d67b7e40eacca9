// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package apivalidation

import "fmt"

// workflowCases are the cases of Workflow. Rules of steps are tried at every
// level of nesting, because the schema of the innermost states them otherwise.
func workflowCases() []ruleCase {
	const (
		oneTrigger = "exactly one of the fields in [person application license contract realtime webhook schedule manual] must be set"
		oneStep    = "exactly one of the fields in [action http wait approval ask delegate notify offboarding workflow switch forEach] must be set"
		trigger    = "{trigger: {manual: null, %s}}"
	)
	cases := []ruleCase{
		{name: "no trigger", spec: `{trigger: {manual: null}}`, want: oneTrigger},
		{name: "two triggers", spec: `{trigger: {schedule: {cron: "0 9 * * 1"}}}`, want: oneTrigger},
		{name: "person", spec: fmt.Sprintf(trigger, "person: {events: [Joined, Changed], changed: [department]}")},
		{name: "changed without the event", spec: fmt.Sprintf(trigger, "person: {events: [Joined], changed: [department]}"), want: "changed must be set with event Changed, and only with it"},
		{name: "the event without changed", spec: fmt.Sprintf(trigger, "person: {events: [Changed]}"), want: "changed must be set with event Changed, and only with it"},
		{name: "application", spec: fmt.Sprintf(trigger, "application: {events: [Discovered, NotInIdP]}")},
		{name: "license by policy", spec: fmt.Sprintf(trigger, "license: {policyRef: {name: zoom-90d}}")},
		{name: "license by time", spec: fmt.Sprintf(trigger, "license: {inactiveFor: 90d}")},
		{name: "license by both", spec: fmt.Sprintf(trigger, "license: {policyRef: {name: zoom-90d}, inactiveFor: 90d}"), want: "exactly one of the fields in [policyRef inactiveFor] must be set"},
		{name: "contract", spec: fmt.Sprintf(trigger, "contract: {before: 60d, of: CancellationDeadline}")},
		{name: "realtime", spec: fmt.Sprintf(trigger, "realtime: {integration: okta, event: user.lifecycle.deactivate}")},
		{name: "schedule", spec: fmt.Sprintf(trigger, "schedule: {cron: '0 9 * * 1', timeZone: Europe/Berlin}")},
		{name: "webhook", spec: fmt.Sprintf(trigger, `webhook: {person: {match: [{employeeID: "${body.id}"}, {email: "${body.email}"}], create: true, fields: {givenName: "${body.first_name}"}}, hmac: {secretName: s, header: X-Signature, prefix: "sha256=", encoding: Hex}, dedupe: "${body.id}"}`)},
		{name: "webhook by Standard Webhooks", spec: fmt.Sprintf(trigger, `webhook: {hmac: {secretName: s, scheme: StandardWebhooks, maxSkew: 10m}, dedupeWindow: 1m}`)},
		{name: "webhook with a timestamp", spec: fmt.Sprintf(trigger, `webhook: {hmac: {secretName: s, header: X-Sig, timestampHeader: X-At, signed: "${headers['x-at']}.${rawBody}"}}`)},
		{name: "webhook without header", spec: fmt.Sprintf(trigger, `webhook: {hmac: {secretName: s}}`), want: "scheme Plain needs header; scheme StandardWebhooks says the rest itself"},
		{name: "webhook by Standard Webhooks, and otherwise", spec: fmt.Sprintf(trigger, `webhook: {hmac: {secretName: s, scheme: StandardWebhooks, header: X-Sig}}`), want: "scheme Plain needs header; scheme StandardWebhooks says the rest itself"},
		{name: "webhook with an unsigned timestamp", spec: fmt.Sprintf(trigger, `webhook: {hmac: {secretName: s, header: X-Sig, timestampHeader: X-At}}`), want: "timestampHeader needs signed, with the timestamp in it"},
		{name: "webhook that is good for days", spec: fmt.Sprintf(trigger, `webhook: {hmac: {secretName: s, header: X-Sig, maxSkew: 48h}}`), want: "must be 1s to 1h"},
		{name: "webhook with a long window", spec: fmt.Sprintf(trigger, `webhook: {dedupeWindow: 100h}`), want: "must be 72h or less"},
		{name: "webhook creates nothing", spec: fmt.Sprintf(trigger, `webhook: {person: {match: [{email: "${body.email}"}], create: true}}`), want: "create needs fields"},
		{name: "webhook matches by two", spec: fmt.Sprintf(trigger, `webhook: {person: {match: [{email: a, employeeID: b}]}}`), want: "exactly one of the fields in [employeeID email externalID] must be set"},
		{name: "at a day of work", spec: `{at: {date: person.endDate, offsetBusinessDays: 0}}`},
		{name: "at two offsets", spec: `{at: {date: person.endDate, offsetDays: -3, offsetBusinessDays: -3}}`, want: "at most one of the fields in [offsetDays offsetBusinessDays] may be set"},
		{name: "at", spec: `{at: {date: person.endDate, offsetDays: -3, time: EndOfDay, zone: Person}, catchUp: {mode: RunIfWithin, within: 168h}}`},
		{name: "at midnight", spec: `{at: {date: person.endDate, time: "24:00"}}`, want: "at.time"},
		{name: "at in an abbreviated zone", spec: `{at: {date: person.endDate, zone: CET}}`, want: "at.zone"},
		{name: "catch up within nothing", spec: `{catchUp: {mode: RunIfWithin}}`, want: "within must be set with mode RunIfWithin, and only with it"},
		{name: "catch up always within", spec: `{catchUp: {mode: Run, within: 1h}}`, want: "within must be set with mode RunIfWithin, and only with it"},
		{name: "guard of a second", spec: `{guard: {per: 1s}}`, want: guardWindow},
		{name: "no steps", spec: `{steps: []}`, want: "spec.steps"},
		{name: "same name twice", spec: `{steps: [{name: a, offboarding: {}}, {name: a, offboarding: {}}]}`, want: "Duplicate value"},
		{name: "too many steps", spec: `{steps: [` + manySteps(65) + `]}`, want: "must have at most 64 items"},
		{name: "most steps", spec: `{steps: [` + manySteps(64) + `]}`},
		{name: "a fourth level", spec: `{steps: [{name: a, forEach: {in: l, as: x, steps: [{name: b, forEach: {in: l, as: inner, steps: [{name: c, forEach: {in: l, as: z, steps: [{name: d, offboarding: {}}]}}]}}]}}]}`, want: "forEach"},
	}
	levels := []struct {
		name, format string
		leaf         bool
	}{
		{"step", `{steps: [%s]}`, false},
		{"in switch", `{steps: [{name: a, switch: [{when: "true", steps: [%s]}]}]}`, false},
		{"in forEach", `{steps: [{name: a, forEach: {in: l, as: x, steps: [%s]}}]}`, false},
		{"in switch in switch", `{steps: [{name: a, switch: [{steps: [{name: b, switch: [{steps: [%s]}]}]}]}]}`, true},
		{"in forEach in switch", `{steps: [{name: a, switch: [{steps: [{name: b, forEach: {in: l, as: x, steps: [%s]}}]}]}]}`, true},
		{"in switch in forEach", `{steps: [{name: a, forEach: {in: l, as: x, steps: [{name: b, switch: [{steps: [%s]}]}]}}]}`, true},
		{"in forEach in forEach", `{steps: [{name: a, forEach: {in: l, as: x, steps: [{name: b, forEach: {in: l, as: inner, steps: [%s]}}]}}]}`, true},
		{"on failure", `{onFailure: [%s]}`, true},
	}
	steps := []struct {
		name, step string
		// want is the error of a CEL rule, leaf that of the value validation.
		want, leaf string
	}{
		{"action", `{name: s, action: {integration: google, name: user.create, with: {email: "${person.email}", n: 1}}}`, "", ""},
		{"nothing", `{name: s}`, oneStep, "must validate one and only one schema (oneOf)"},
		{"two things", `{name: s, offboarding: {}, wait: {for: 1h}}`, oneStep, "must validate one and only one schema (oneOf)"},
		{"name in capitals", `{name: Step, offboarding: {}}`, "name", "name"},
		{"get", `{name: s, http: {url: "https://x.example"}, outputs: {token: {value: resp.t, sensitive: true}}}`, "", ""},
		{"post without class", `{name: s, http: {url: "https://x.example", method: POST}}`, "class is required unless method is GET", "must validate at least one schema (anyOf)"},
		{"post", `{name: s, http: {url: "https://x.example", method: POST, class: Keyed, body: {a: [1]}}}`, "", ""},
		{"verifiable without verify", `{name: s, http: {url: "https://x.example", method: PUT, class: Verifiable}}`, "class Verifiable needs verify", "must validate at least one schema (anyOf)"},
		{"verifiable", `{name: s, http: {url: "https://x.example", method: PUT, class: Verifiable, verify: {url: "https://x.example", expect: "status == 200"}}}`, "", ""},
		{"two bodies", `{name: s, http: {url: "https://x.example", method: POST, class: Keyed, body: a, graphql: {query: q}}}`, "must not validate the schema (not)", "must not validate the schema (not)"},
		{"client credentials without url", `{name: s, http: {url: "https://x.example", auth: {type: ClientCredentials, secretName: s}}}`, "type ClientCredentials needs tokenURL", "must validate at least one schema (anyOf)"},
		{"wait for days", `{name: s, wait: {for: 3d}}`, "", ""},
		{"wait for days of work", `{name: s, wait: {businessDays: 3}}`, "", ""},
		{"wait for no day of work", `{name: s, wait: {businessDays: -1}}`, "businessDays", "businessDays"},
		{"two ways to wait", `{name: s, wait: {businessDays: 1, for: 1h}}`, "exactly one of the fields in [for until businessDays] must be set", "must validate one and only one schema (oneOf)"},
		{"wait until a day of work", `{name: s, wait: {until: {date: person.startDate, offsetBusinessDays: 0}}}`, "", ""},
		{"wait until", `{name: s, wait: {until: {date: person.startDate, offsetDays: -1}}}`, "", ""},
		{"wait for nothing", `{name: s, wait: {}}`, "exactly one of the fields in [for until businessDays] must be set", "must validate one and only one schema (oneOf)"},
		{"approval by two at once", `{name: s, approval: {approvers: [{role: Manager, email: a@acme.example}]}}`, oneRecipient, "must validate one and only one schema (oneOf)"},
		{"ask", `{name: s, ask: {to: "${person.email}", via: [{integration: slack}], text: "Which?", options: [A, B], timeout: 72h}}`, "", ""},
		{"ask via nothing", `{name: s, ask: {to: "${person.email}", via: [{}], text: "Which?", options: [A, B]}}`, oneChannel, "must validate one and only one schema (oneOf)"},
		{"delegate", `{name: s, delegate: {to: [{role: AppOwner}], text: Do it, evidence: Required}}`, "", ""},
		{"notify", `{name: s, notify: {to: [{role: AppOwner}], via: [Slack, Email], text: Done}}`, "", ""},
		{"workflow", `{name: s, workflow: {name: other, input: {a: 1}}}`, "", ""},
	}
	for _, level := range levels {
		for _, s := range steps {
			want := s.want
			if level.leaf {
				want = s.leaf
			}
			cases = append(cases, ruleCase{name: level.name + "/" + s.name, spec: fmt.Sprintf(level.format, s.step), want: want})
		}
	}
	return cases
}

func manySteps(n int) string {
	out := ""
	for i := range n {
		out += fmt.Sprintf("{name: s%d, offboarding: {}}, ", i)
	}
	return out
}
