// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package workflow

import (
	"fmt"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"github.com/seatkeeper/seatkeeper/api/v1alpha1"
	"github.com/seatkeeper/seatkeeper/internal/connector"
	"github.com/seatkeeper/seatkeeper/internal/reconcile/reconciletest"
)

// refused is where a bad spec gets no further: the API server does not take it,
// as kubectl asks it to check fields.
const refused = "refused by the API server"

// TestBadInput has what can be known to be wrong before anything runs. Each is
// refused with the field and what to do, by the API server or in the conditions,
// and starts no run.
func TestBadInput(t *testing.T) {
	k := newKit(t)
	k.r.Requests = outside{connector.NewRequester(connector.RequesterOptions{}), map[string]bool{}}
	const (
		wait    = "{name: w, wait: {for: 1h}}"
		asking  = "{name: first, ask: {to: a@acme.example, text: Which one, options: [A, B], default: A}}"
		calling = "{name: first, http: {url: 'https://desk.example.com/t'}, outputs: {id: {value: resp.id}}}"
		tell    = "{name: tell, delegate: {to: [{email: it@acme.example}], text: '${%s}'}}"
		waiting = "steps: [" + wait + "]"
		person  = "trigger: {person: {events: [Joined]}}\n"
		step    = v1alpha1.ReasonInvalidStep
		expr    = v1alpha1.ReasonInvalidExpression
	)
	reads := func(what string) string { return fmt.Sprintf(tell, what) }
	steps := func(all ...string) string { return start + "steps:\n- " + strings.Join(all, "\n- ") + "\n" }
	for i, c := range []struct{ name, spec, where, says string }{
		{"unknown field of a step", steps("{name: w, wait: {fro: 1h}}"), refused, `unknown field "spec.steps[0].wait.fro"`},
		{"unknown field of the spec", start + waiting + "\nstep: []", refused, `unknown field "spec.step"`},
		{"wrong type", steps("{name: w, wait: {for: 3}}"), refused, "spec.steps[0].wait.for"},
		{"wrong type of a list", start + "steps: {}", refused, "spec.steps"},
		{"nothing to do", steps("{name: w}"), refused, "spec.steps[0]"},
		{"no such kind", start + "direction: Sideways\n" + waiting, refused, `spec.direction: Unsupported value: "Sideways": supported values: "Onboarding"`},

		{"name twice", steps(wait, wait), refused, `spec.steps[1]: Duplicate value`},
		{"name twice in two branches", steps("{name: s, switch: [{when: 'true == false', steps: [" + wait + "]}, {steps: [" + wait + "]}]}"), step, `another step has the name "w"`},

		{"case behind one without a condition", steps("{name: s, switch: [{steps: [{name: a, wait: {for: 1h}}]}, {when: 'false', steps: [{name: b, wait: {for: 1h}}]}]}"), step, "spec.steps[s].switch[0]: has no condition, so no case behind it is ever reached: put it last"},
		{"case behind one that is always true", steps("{name: s, switch: [{when: 'true', steps: [{name: a, wait: {for: 1h}}]}, {steps: [{name: b, wait: {for: 1h}}]}]}"), step, "spec.steps[s].switch[0].when: is always true"},
		{"case that repeats one", steps(`{name: s, switch: [{when: "input.a", steps: [{name: a, wait: {for: 1h}}]}, {when: " input.a", steps: [{name: b, wait: {for: 1h}}]}]}`), step, "spec.steps[s].switch[1].when: is the condition of case 0"},

		{"unknown Integration", steps("{name: a, action: {integration: slak, name: user.signOut, with: {userId: x}}}"), v1alpha1.ReasonIntegrationGone, `spec.steps[a].action.integration: there is no Integration "slak"`},
		{"unknown action", steps("{name: a, action: {integration: zoom, name: user.signOff, with: {userId: x}}}"), v1alpha1.ReasonActionUnknown, `spec.steps[a].action.name: the connector of Integration "zoom" has no action "user.signOff"`},
		{"permission Read", steps("{name: a, action: {integration: read, name: user.signOut, with: {userId: x}}}"), v1alpha1.ReasonPermissionRead, "ReadAndAct would allow user.signOut"},
		{"destructive and not granted", steps("{name: a, action: {integration: zoom, name: user.deactivate, with: {userId: x}}}"), v1alpha1.ReasonActionNotAllowed, `spec.destructiveActions of Integration "zoom" does not name it`},
		{"secret in a literal", steps("{name: h, http: {url: 'https://desk.example.com/', headers: {X-Api-Key: abcdefghijklmnopqrstu}}}"), v1alpha1.ReasonSecretInLiteral, "spec.steps[h].http.headers.X-Api-Key: a secret in a literal: put it into a Secret"},
		{"host of the inside", steps("{name: h, http: {url: 'https://10.0.0.7/'}}"), v1alpha1.ReasonHostNotAllowed, "10.0.0.7"},
		{"host that is computed", steps("{name: h, http: {url: '${input.url}'}}"), step, "spec.steps[h].http.url: the host is computed, so allowHosts must name"},

		{"unknown step", steps(asking, reads("steps.fist.choice")), step, `spec.steps[tell].delegate.text: there is no step "fist"; did you mean first?`},
		{"unknown output", steps(calling, reads("steps.first.ident")), step, `spec.steps[tell].delegate.text: steps.first has no "ident": it has result, reason, message, path, at, n, id`},
		{"output before its step", steps(reads("steps.first.choice"), asking), step, "spec.steps[tell].delegate.text: reads steps.first, and that step comes later; put it before"},
		{"output of the step itself", steps(`{name: first, when: "steps.first.result == 'done'", wait: {for: 1h}}`), step, "spec.steps[first].when: reads steps.first, the result of the step itself"},
		{"output of the step around", steps("{name: s, switch: [{steps: [" + reads("steps.s.result") + "]}]}"), step, "spec.steps[s].switch[0].steps[tell].delegate.text: reads steps.s, which is around it"},
		{"output of another case", steps(`{name: s, switch: [{when: "input.a", steps: [` + asking + `]}, {steps: [` + reads("steps.first.choice") + `]}]}`), step, "spec.steps[s].switch[1].steps[tell].delegate.text: reads steps.first, and no run comes to both"},
		{"output behind its loop", steps("{name: l, forEach: {in: '[1]', as: i, steps: ["+asking+"]}}", reads("steps.first.choice")), step, "reads steps.first, which is gone behind the forEach l; steps.l.items has"},
		{"output of what comes after a failure", start + "steps: [" + reads("steps.first.choice") + "]\nonFailure: [" + asking + "]", step, "comes later"},

		{"a Workflow that runs itself", steps("{name: s, workflow: {name: SELF}}"), step, "spec.steps[s].workflow.name: the Workflow would run itself"},
		{"an unknown Workflow", steps("{name: s, workflow: {name: nobody}}"), v1alpha1.ReasonReferenceNotFound, `spec.steps[s].workflow.name: there is no Workflow "nobody"`},
		{"forEach over a text", steps("{name: l, forEach: {in: person.email, as: i, steps: [" + wait + "]}}"), expr, "spec.steps[l].forEach.in: column 1: the expression yields string, want list"},
		{"too many items at once", steps("{name: l, forEach: {in: '[1]', as: i, maxParallel: 10, steps: [{name: m, forEach: {in: '[1]', as: j, maxParallel: 10, steps: [" + wait + "]}}]}}"), step,
			"spec.steps[l].forEach.steps[m].forEach.maxParallel: 10 items at once for each of 10 are 100: at most 64"},
		{"forEach over a number", steps("{name: l, forEach: {in: '3', as: i, steps: [" + wait + "]}}"), expr, "the expression yields int, want list"},
		{"a condition that is no yes or no", steps("{name: w, when: person.email, wait: {for: 1h}}"), expr, "spec.steps[w].when: column 1: the expression yields string, want bool"},
		{"a field that nobody has", steps("{name: w, when: 'person.mail == \"\"', wait: {for: 1h}}"), expr, "spec.steps[w].when: column 7: undefined field 'mail'"},

		{"approver that nobody is", steps("{name: a, approval: {approvers: [{role: AppOwner}]}}"), step, "spec.steps[a].approval.approvers[0].role: nobody is AppOwner"},
		{"approver without a person", "trigger: {manual: {}}\nsteps: [{name: a, approval: {approvers: [{role: Manager}]}}]", step, "spec.steps[a].approval.approvers[0].role: nobody is Manager: runs of this trigger are about nobody; name somebody by email"},
		{"approver of themselves", steps("{name: a, approval: {approvers: [{role: Person}]}}"), step, "nobody approves what concerns themselves"},

		{"timeout of no time", start + "timeout: 0s\n" + waiting, step, `spec.timeout: "0s" is no time at all`},
		{"timeout of a step of no time", steps("{name: w, timeout: 0h0m, wait: {for: 1h}}"), step, "spec.steps[w].timeout"},
		{"timeout of an approval of no time", steps("{name: a, approval: {approvers: [{role: Manager}], timeout: 0ms}}"), step, "spec.steps[a].approval.timeout"},
		{"timeout that is too long", steps("{name: a, approval: {approvers: [{role: Manager}], timeout: 99999h99999h}}"), step, "spec.steps[a].approval.timeout: span"},
		{"wait that is too long", steps("{name: w, wait: {for: 99999h99999h99999h}}"), step, "spec.steps[w].wait.for: span"},
		{"wait of too many days", steps("{name: w, wait: {for: 10000d}}"), refused, "spec.steps[0].wait.for"},
		{"wait in ISO 8601", steps("{name: w, wait: {for: P3D}}"), refused, "spec.steps[0].wait.for"},
		{"retry that waits too long", start + "retry: {backoff: 99999h99999h}\nsteps: [{name: a, action: {integration: zoom, name: user.signOut, with: {userId: x}}}]", step, "spec.retry.backoff: span"},
		{"retry without end", start + "retry: {maxAttempts: 101}\n" + waiting, refused, "spec.retry.maxAttempts"},

		{"cron that cannot be", "trigger: {schedule: {cron: '61 2 * * *'}}\n" + waiting, expr, "spec.trigger.schedule.cron"},
		{"cron of six fields", "trigger: {schedule: {cron: '0 0 2 * * *'}}\n" + waiting, refused, "spec.trigger.schedule.cron"},
		{"zone that is not", "trigger: {schedule: {cron: '0 2 * * *', timeZone: Europe/Atlantis}}\n" + waiting, expr, "spec.trigger.schedule.timeZone"},
		{"zone that is short for several", "trigger: {schedule: {cron: '0 2 * * *', timeZone: EST}}\n" + waiting, refused, "spec.trigger.schedule.timeZone"},
		{"at of a schedule", "trigger: {schedule: {cron: '0 2 * * *'}}\nat: {date: now}\n" + waiting, step, "spec.at: a schedule says itself when its runs start"},
		{"catchUp of runs that start by hand", start + "catchUp: {mode: Run}\n" + waiting, step, "spec.catchUp: is for runs that start by themselves"},
		{"catchUp within no time", person + "catchUp: {mode: RunIfWithin, within: 0h}\n" + waiting, step, "spec.catchUp.within"},
		{"guard of runs that start by hand", start + "guard: {minItems: 1}\n" + waiting, step, "spec.guard: is for runs that start by themselves"},
		{"guard of more than all", person + "guard: {maxPercent: 101}\n" + waiting, refused, "spec.guard.maxPercent"},
		{"guard without a window", person + "guard: {per: 0s}\n" + waiting, refused, "spec.guard.per"},
	} {
		t.Run(c.name, func(t *testing.T) {
			name := fmt.Sprintf("bad-%02d", i)
			k := *k
			k.T = t
			w, err := k.apply(name, strings.ReplaceAll(c.spec, "SELF", name))
			if c.where == refused {
				if err == nil || !strings.Contains(err.Error(), c.says) {
					t.Errorf("the API server says %v, want %s in it", err, c.says)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			reconciletest.Steady(t, k.client, w, k.r)
			for _, kind := range []string{v1alpha1.ConditionValid, v1alpha1.ConditionReady} {
				if got := meta.FindStatusCondition(w.Status.Conditions, kind); got == nil || got.Status != "False" || got.Reason != c.where || !strings.Contains(got.Message, c.says) {
					t.Errorf("%s is %+v, want False, %s, %s", kind, got, c.where, c.says)
				}
			}
			if s, err := k.store.Workflow(t.Context(), k.store.tenant, name); err != nil || s.State == "Ready" {
				t.Errorf("the store has it as %q, %v", s.State, err)
			}
		})
	}
}

// apply creates a Workflow as kubectl does: unknown fields are errors.
func (k *kit) apply(name, spec string) (*v1alpha1.Workflow, error) {
	k.Helper()
	u := &unstructured.Unstructured{}
	text := "apiVersion: " + v1alpha1.GroupVersion.String() + "\nkind: Workflow\nmetadata: {name: " + name + ", namespace: " + k.ns + "}\nspec:\n  " + strings.ReplaceAll(strings.TrimSpace(spec), "\n", "\n  ")
	if err := yaml.Unmarshal([]byte(text), &u.Object); err != nil {
		k.Fatal(err)
	}
	if err := k.client.Create(k.Context(), u, client.FieldValidation("Strict")); err != nil {
		return nil, err
	}
	w := &v1alpha1.Workflow{}
	return w, k.client.Get(k.Context(), client.ObjectKey{Namespace: k.ns, Name: name}, w)
}

// TestReadsThatMayFail warns of a result that may not be there when a step reads
// it, and of no other.
func TestReadsThatMayFail(t *testing.T) {
	const (
		call  = "http: {url: 'https://desk.example.com/t'}, outputs: {id: {value: resp.id}}"
		tells = "delegate: {to: [{email: it@acme.example}], text: "
	)
	for name, c := range map[string]struct{ steps, says string }{
		"always there":               {"- {name: a, " + call + "}\n- {name: t, " + tells + "'${steps.a.id}'}}", ""},
		"in a case":                  {"- {name: s, switch: [{when: input.x, steps: [{name: a, " + call + "}]}]}\n- {name: t, " + tells + "'${steps.a.result}'}}", "spec.steps[t].delegate.text reads steps.a.result, and that step may not have run"},
		"in the last case":           {"- {name: s, switch: [{when: input.x, steps: [{name: b, wait: {for: 1h}}]}, {steps: [{name: a, " + call + "}]}]}\n- {name: t, " + tells + "'${steps.a.id}'}}", "may not have run"},
		"later in the same case":     {"- {name: s, switch: [{steps: [{name: a, " + call + "}, {name: t, " + tells + "'${steps.a.id}'}}]}]}", ""},
		"under a condition":          {"- {name: a, when: input.x, " + call + "}\n- {name: t, " + tells + "'${steps.a.id}'}}", "spec.steps[t].delegate.text reads steps.a.id, and that step may not have run: its condition is not that of the reader; ask by has(steps.a.id)"},
		"its result":                 {"- {name: a, when: input.x, " + call + "}\n- {name: t, when: \"steps.a.result == 'done'\", wait: {for: 1h}}", ""},
		"under the same condition":   {"- {name: a, when: input.x, " + call + "}\n- {name: t, when: input.x, " + tells + "'${steps.a.id}'}}", ""},
		"asked":                      {"- {name: a, when: input.x, " + call + "}\n- {name: t, " + tells + "'${has(steps.a.id) ? steps.a.id : \"\"}'}}", ""},
		"asked before":               {"- {name: a, when: input.x, " + call + "}\n- {name: t, when: has(steps.a.id), " + tells + "'${steps.a.id}'}}", ""},
		"asked by the case":          {"- {name: a, when: input.x, " + call + "}\n- {name: s, switch: [{when: has(steps.a.id), steps: [{name: t, " + tells + "'${steps.a.id}'}}]}]}", ""},
		"a computed name":            {"- {name: a, when: input.x, " + call + "}\n- {name: t, " + tells + "'${steps[input.s].id}'}}", ""},
		"in an item, for the item":   {"- {name: l, forEach: {in: '[1]', as: i, steps: [{name: a, " + call + "}, {name: t, " + tells + "'${steps.a.id}'}}]}}", ""},
		"of the loop, behind it":     {"- {name: l, forEach: {in: '[1]', as: i, steps: [{name: a, " + call + "}]}}\n- {name: t, " + tells + "'${steps.l.items[0].result}'}}", ""},
		"where something has failed": {"- {name: a, " + call + "}\nonFailure:\n- {name: t, " + tells + "'${steps.a.id}'}}", "spec.onFailure[t].delegate.text reads steps.a.id, and the run may have failed before that step; ask by has(steps.a)"},
		"of a failure, by asking":    {"- {name: a, " + call + "}\nonFailure:\n- {name: t, " + tells + "'${has(steps.a.id) ? steps.a.id : \"\"}'}}", ""},
	} {
		t.Run(name, func(t *testing.T) {
			p, err := planOf(t, "Person", c.steps)
			if err != nil {
				t.Fatal(err)
			}
			if got := strings.Join(p.warnings, "; "); (c.says == "") != (got == "") || !strings.Contains(got, c.says) {
				t.Errorf("warnings %q, want %q", got, c.says)
			}
		})
	}
}
