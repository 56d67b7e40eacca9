// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package workflow

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"github.com/seatkeeper/seatkeeper/api/v1alpha1"
	"github.com/seatkeeper/seatkeeper/internal/expr"
	"github.com/seatkeeper/seatkeeper/internal/model"
	"github.com/seatkeeper/seatkeeper/internal/reconcile"
	"github.com/seatkeeper/seatkeeper/internal/reconcile/reconciletest"
	"github.com/seatkeeper/seatkeeper/internal/store"
	"github.com/seatkeeper/seatkeeper/internal/store/storetest"
	"github.com/seatkeeper/seatkeeper/internal/testenv"
	"github.com/seatkeeper/seatkeeper/internal/tokens"
)

func TestMain(m *testing.M) { testenv.Start(m) }

// backend is a store with one tenant.
type backend struct {
	*store.Store
	tenant model.TenantID
}

func (b backend) Put(ctx context.Context, _ string, w store.WorkflowState, definition json.RawMessage) (store.WorkflowState, error) {
	return b.PutWorkflow(ctx, b.tenant, w, definition)
}

func (b backend) Delete(ctx context.Context, _, name string, stop bool, by store.Decider) error {
	return b.DeleteWorkflow(ctx, b.tenant, name, stop, by)
}

func (b backend) Load(ctx context.Context, _, name string) (store.RunCounts, error) {
	return b.WorkflowLoad(ctx, b.tenant, name)
}

func (b backend) Tokens(ctx context.Context, _, name string) (tokens.Known, error) {
	return tokens.Of(ctx, b.Store, b.tenant, name)
}

func (b backend) Held(ctx context.Context, _, name string) (*store.Hold, error) {
	h, err := b.Hold(ctx, b.tenant, store.WorkflowHold(name))
	if errors.Is(err, store.ErrNotFound) {
		return nil, nil
	}
	return &h, err
}

func (b backend) Release(ctx context.Context, _, name, digest string) error {
	_, err := b.ReleaseHeld(ctx, b.tenant, store.WorkflowHold(name), digest, model.Actor{Name: "annotation", Kind: model.ActorUser}, "")
	return err
}

// zoom is what a connector can do.
type zoom struct{}

func (zoom) Events(_ context.Context, i *v1alpha1.Integration) ([]string, bool) {
	return []string{"user.deactivated"}, i.Name != "unknown"
}

func (zoom) Action(_ context.Context, i *v1alpha1.Integration, name string) (a Action, known, ok bool) {
	account := []Input{{Name: "userId", Required: true}}
	actions := map[string]Action{
		"user.create":     {Acts: true, Grants: true, Inputs: []Input{{Name: "email", Required: true}, {Name: "licensed"}}},
		"user.signOut":    {Acts: true, Removes: true, Inputs: account},
		"user.deactivate": {Acts: true, Removes: true, Destructive: true, Inputs: account},
	}
	a, ok = actions[name]
	return a, i.Name != "unknown", ok
}

type kit struct {
	*testing.T
	client client.Client
	ns     string
	r      *Reconciler
	store  backend
}

func newKit(t *testing.T) *kit {
	t.Helper()
	env := testenv.Cluster(t)
	k := &kit{T: t, client: env.Client(t), ns: env.Namespace(t)}
	s := storetest.Open(t, storetest.SQLite(t))
	tenant, err := s.EnsureTenant(t.Context(), k.ns)
	if err != nil {
		t.Fatal(err)
	}
	k.store = backend{s, tenant}
	k.r = &Reconciler{Env: &reconcile.Env{Client: k.client}, Backend: k.store, Connectors: zoom{}, Language: expr.Workflow{}}
	for name, spec := range map[string]v1alpha1.IntegrationSpec{
		"zoom":    {Connector: "zoom", Permission: v1alpha1.PermissionReadAndAct},
		"granted": {Connector: "zoom", Permission: v1alpha1.PermissionReadAndAct, DestructiveActions: []v1alpha1.ActionName{"user.deactivate"}},
		"read":    {Connector: "zoom", Permission: v1alpha1.PermissionRead},
		"unknown": {Connector: "zoom", Permission: v1alpha1.PermissionReadAndAct},
	} {
		k.create(&v1alpha1.Integration{ObjectMeta: metav1.ObjectMeta{Namespace: k.ns, Name: name}, Spec: spec})
	}
	return k
}

func (k *kit) create(o client.Object) {
	k.Helper()
	if err := k.client.Create(k.Context(), o); err != nil {
		k.Fatal(err)
	}
}

// workflow creates a Workflow of a spec in YAML.
func (k *kit) workflow(name, spec string) *v1alpha1.Workflow {
	k.Helper()
	w := &v1alpha1.Workflow{ObjectMeta: metav1.ObjectMeta{Namespace: k.ns, Name: name}}
	if err := yaml.UnmarshalStrict([]byte(spec), &w.Spec); err != nil {
		k.Fatal(err)
	}
	k.create(w)
	return w
}

// settles reconciles until nothing changes any more, and compares conditions.
func (k *kit) settles(w *v1alpha1.Workflow, want string) (message string) {
	k.Helper()
	reconciletest.Steady(k.T, k.client, w, k.r)
	got := ""
	for _, kind := range []string{v1alpha1.ConditionValid, v1alpha1.ConditionReady} {
		c := meta.FindStatusCondition(w.Status.Conditions, kind)
		if c == nil {
			k.Fatalf("%s has no %s: %+v", w.Name, kind, w.Status.Conditions)
		}
		got += fmt.Sprintf("%s=%s %s ", kind, c.Status, c.Reason)
		message = c.Message
	}
	if got = strings.TrimSpace(got); got != want {
		k.Errorf("%s is %s (%s), want %s", w.Name, got, message, want)
	}
	return message
}

const (
	fine  = "Valid=True Compiled Ready=True Reconciled"
	start = "trigger: {manual: {subject: Person}}\n"
)

// act is a spec with one action.
func act(more, integration, action, with string) string {
	return start + more + "\nsteps:\n- name: act\n  action: {integration: " + integration + ", name: " + action + ", with: {" + with + "}}\n"
}

// TestWorkflowIsChecked has what can be wrong with a Workflow, and the message
// that names the field.
func TestWorkflowIsChecked(t *testing.T) {
	k := newKit(t)
	const signOut = `userId: "${person.email}"`
	bad := func(reason string) string {
		return fmt.Sprintf("Valid=False %[1]s Ready=False %[1]s", reason)
	}
	for i, tc := range []struct{ name, spec, want, says string }{
		{"good", act("", "zoom", "user.signOut", signOut), fine, ""},
		{"app", "trigger: {manual: {subject: Application}}\nwhen: application.users > 3\nsteps:\n- {name: t, delegate: {to: [{role: AppOwner}], text: x}}\n", fine, ""},
		{"named", act("", "granted", "user.deactivate", signOut), fine, ""},
		{"gone", act("", "slack", "user.signOut", signOut), bad(v1alpha1.ReasonIntegrationGone), `spec.steps[act].action.integration: there is no Integration "slack"`},
		{"no-such-action", act("", "zoom", "user.promote", signOut), bad(v1alpha1.ReasonActionUnknown), `"user.promote"`},
		{"not-known", act("", "unknown", "user.signOut", signOut), bad(v1alpha1.ReasonActionUnknown), "its own status says why"},
		{"read-only", act("", "read", "user.signOut", signOut), bad(v1alpha1.ReasonPermissionRead), "ReadAndAct would allow"},
		{"read-dry", act("dryRun: true", "read", "user.signOut", signOut), fine, ""},
		{"destructive", act("", "zoom", "user.deactivate", signOut), bad(v1alpha1.ReasonActionNotAllowed), "spec.destructiveActions"},
		{"grants", act("direction: Offboarding", "zoom", "user.create", `email: "x"`), bad(v1alpha1.ReasonDirectionViolation), "user.create gives access"},
		{"removes", act("direction: Onboarding", "zoom", "user.signOut", signOut), bad(v1alpha1.ReasonDirectionViolation), "user.signOut takes access away"},
		{"missing-input", act("", "zoom", "user.signOut", ""), bad(v1alpha1.ReasonInvalidStep), "spec.steps[act].action.with.userId: user.signOut"},
		{"odd-input", act("", "zoom", "user.signOut", signOut+", force: true"), bad(v1alpha1.ReasonInvalidStep), "takes no such input; it takes userId"},
		{"expression", act("", "zoom", "user.signOut", `userId: "${person.mail}"`), bad(v1alpha1.ReasonInvalidExpression), "spec.steps[act].action.with.userId: column 9: undefined field 'mail'"},
		{"when", act(`when: "input.x"`, "zoom", "user.signOut", signOut), fine, ""},
		{"when-no-bool", act(`when: "person.email"`, "zoom", "user.signOut", signOut), bad(v1alpha1.ReasonInvalidExpression), "spec.when: column 1: the expression yields string, want bool"},
		{"case-order", start + "steps:\n- name: s\n  switch:\n  - {steps: [{name: a, wait: {for: 1h}}]}\n  - {when: 'true', steps: [{name: b, wait: {for: 1h}}]}\n", bad(v1alpha1.ReasonInvalidStep), "spec.steps[s].switch[0]: has no condition"},
		{"outputs", start + "steps:\n- {name: s, wait: {for: 1h}, outputs: {x: {value: resp.x}}}\n", bad(v1alpha1.ReasonInvalidStep), "spec.steps[s].outputs"},
		{"zone", start + "steps:\n- {name: s, wait: {until: {date: person.endDate, zone: Mars/Base}}}\n", bad(v1alpha1.ReasonInvalidStep), "Mars/Base"},
		{"at-by-hand", start + "at: {date: person.endDate}\nsteps:\n- {name: w, wait: {for: 1h}}\n", bad(v1alpha1.ReasonInvalidStep), "spec.at: is for runs that start by themselves"},
		{"bound", start + "concurrency: {max: 1, key: '${person.email}'}\nsteps:\n- {name: w, wait: {for: 1h}}\n", fine, ""},
		{"bound-key", start + "concurrency: {max: 1, key: '${who}'}\nsteps:\n- {name: w, wait: {for: 1h}}\n", bad(v1alpha1.ReasonInvalidExpression), "spec.concurrency.key"},
		{"loop", start + "steps:\n- name: l\n  forEach:\n    in: person.accounts\n    as: account\n    maxParallel: 4\n    failurePolicy: Stop\n    steps:\n    - {name: a, action: {integration: zoom, name: user.signOut, with: {userId: '${account.externalId}'}}}\n    - name: m\n      forEach: {in: '[account]', as: again, steps: [{name: b, when: again == account, wait: {for: 1h}}]}\n", fine, ""},
		{"calls", start + "steps:\n- {name: s, workflow: {name: 00-good, input: {a: '${person.email}', b: [1]}}, outputs: {o: {value: resp.outcome}}}\n", fine, ""},
		{"calls-calls", start + "steps:\n- {name: s, workflow: {name: later}}\n", bad(v1alpha1.ReasonReferenceNotFound), `spec.steps[s].workflow.name: there is no Workflow "later"`},
		{"calls-self", start + "steps:\n- {name: l, forEach: {in: '[1]', as: i, steps: [{name: s, workflow: {name: SELF}}]}}\n", bad(v1alpha1.ReasonInvalidStep), "spec.steps[l].forEach.steps[s].workflow.name: the Workflow would run itself"},
		{"calls-way", start + "direction: Offboarding\nsteps:\n- {name: s, workflow: {name: 00-good}}\n", bad(v1alpha1.ReasonDirectionViolation), "does not have direction Offboarding"},
		{"calls-subject", "trigger: {manual: {}}\nsteps:\n- {name: s, workflow: {name: 00-good}}\n", bad(v1alpha1.ReasonInvalidStep), "runs for a person"},
		{"leaves", start + "steps:\n- {name: s, offboarding: {except: [zoom]}}\n", fine, ""},
		{"leaves-nobody", "trigger: {manual: {}}\nsteps:\n- {name: s, offboarding: {}}\n", bad(v1alpha1.ReasonInvalidStep), "spec.steps[s]: the run is about no person"},
		{"leaves-unknown", start + "steps:\n- {name: s, offboarding: {applications: [zoom, zomo]}}\n", bad(v1alpha1.ReasonReferenceNotFound), `spec.steps[s].offboarding.applications: there is no Application "zomo"`},
		{"leaves-joiners", start + "direction: Onboarding\nsteps:\n- {name: s, offboarding: {}}\n", bad(v1alpha1.ReasonDirectionViolation), "spec.steps[s].offboarding takes access away"},
		{"loop-name", start + "steps:\n- {name: l, forEach: {in: person.accounts, as: person, steps: [{name: w, wait: {for: 1h}}]}}\n", bad(v1alpha1.ReasonInvalidStep), "spec.steps[l].forEach.as: \"person\" has a meaning"},
		{"loop-action", start + "steps:\n- {name: l, forEach: {in: person.accounts, as: a, steps: [{name: r, action: {integration: read, name: user.signOut, with: {userId: x}}}]}}\n", bad(v1alpha1.ReasonPermissionRead), "spec.steps[l].forEach.steps[r].action"},
		{"contract", "trigger: {manual: {subject: Contract}}\nsteps:\n- {name: w, wait: {until: {date: contract.end}}}\n- {name: c, workflow: {name: 01-app}}\n", fine, ""},
		{"contract-person", "trigger: {manual: {subject: Contract}}\nsteps:\n- {name: s, workflow: {name: 00-good}}\n", bad(v1alpha1.ReasonInvalidStep), "runs for a person"},
		{"person-app", start + "steps:\n- {name: s, workflow: {name: 01-app}}\n", bad(v1alpha1.ReasonInvalidStep), "has the subject Application, and this one does not"},
		{"application", "trigger: {application: {events: [Discovered]}}\nwhen: application.users > 3\nsteps:\n- {name: t, delegate: {to: [{role: AppOwner}], text: x}}\n", fine, "runs start by themselves, as spec.trigger.application says"},
		{"application-manager", "trigger: {application: {events: [Discovered]}}\nsteps:\n- {name: t, delegate: {to: [{role: Manager}], text: x}}\n", bad(v1alpha1.ReasonInvalidStep), "spec.steps[t].delegate.to[0].role: nobody is Manager: runs of this trigger have the subject Application; use AppOwner"},
		{"renewal", "trigger: {contract: {before: 60d}}\nat: {date: contract.cancellationDeadline, time: '07:30'}\nsteps:\n- name: l\n  forEach:\n    in: application.accounts\n    as: a\n    steps:\n    - {name: s, action: {integration: zoom, name: user.signOut, with: {userId: '${a.externalId}'}}}\n", fine, ""},
		{"renewal-date", "trigger: {contract: {before: 60d}}\nat: {date: contract.end}\nsteps:\n- {name: w, wait: {for: 1h}}\n", bad(v1alpha1.ReasonInvalidExpression), "spec.at.date: \"contract.end\": with trigger contract the date is contract.cancellationDeadline"},
		{"renewal-person", "trigger: {contract: {before: 0d, of: End}}\nwhen: person.email == ''\nsteps:\n- {name: w, wait: {for: 1h}}\n", bad(v1alpha1.ReasonInvalidExpression), "spec.when: column 1: undeclared reference to 'person'"},
		{"license", "trigger: {license: {inactiveFor: 90d}}\nsteps:\n- {name: s, action: {integration: zoom, name: user.signOut, with: {userId: '${license.externalId}'}}}\n- {name: t, delegate: {to: [{role: Manager}, {role: AppOwner}], text: '${person.email}'}}\n", fine, ""},
		{"license-policy", "trigger: {license: {policyRef: {name: zoom-9d}}}\nsteps:\n- {name: w, wait: {for: 1h}}\n", bad(v1alpha1.ReasonReferenceNotFound), `spec.trigger.license.policyRef: there is no LicensePolicy "zoom-9d"`},
		{"license-leaver", "trigger: {license: {inactiveFor: 90d}}\nsteps:\n- {name: s, offboarding: {}}\n", bad(v1alpha1.ReasonInvalidStep), "spec.steps[s]: an unused seat is no reason to offboard"},
		{"person", "trigger: {person: {events: [Left]}}\nsteps:\n- {name: w, wait: {for: 1h}}\n", fine, "runs start by themselves, as spec.trigger.person says"},
		{"at", "trigger: {person: {events: [StartsOn]}}\nat: {date: person.startDate, offsetDays: -3}\nsteps:\n- {name: w, wait: {for: 1h}}\n", fine, ""},
		{"other-date", "trigger: {person: {events: [StartsOn]}}\nat: {date: person.endDate}\nsteps:\n- {name: w, wait: {for: 1h}}\n", bad(v1alpha1.ReasonInvalidExpression), "spec.at.date: \"person.endDate\": with event StartsOn the date is person.startDate"},
		{"webhook", "trigger: {webhook: {person: {match: [{email: '${body.mail}'}], create: true, fields: {givenName: '${body.first}', custom.badge: '${body.badge}'}}}}\nsteps:\n- {name: w, wait: {for: 1h}}\n", fine, ""},
		{"webhook-field", "trigger: {webhook: {person: {match: [{email: '${body.mail}'}], create: true, fields: {firstName: '${body.first}'}}}}\nsteps:\n- {name: w, wait: {for: 1h}}\n", bad(v1alpha1.ReasonInvalidExpression), "spec.trigger.webhook.person.fields.firstName: no person has such a field: want "},
		{"webhook-match", "trigger: {webhook: {person: {match: [{email: '${mail}'}]}}}\nsteps:\n- {name: w, wait: {for: 1h}}\n", bad(v1alpha1.ReasonInvalidExpression), "spec.trigger.webhook.person.match[0].email"},
		{"realtime", "trigger: {realtime: {integration: zoom, event: user.deactivated, subject: Person}}\nwhen: person.department == 'Sales'\nsteps:\n- {name: w, wait: {for: 1h}}\n", fine, ""},
		{"realtime-event", "trigger: {realtime: {integration: zoom, event: user.eaten}}\nsteps:\n- {name: w, wait: {for: 1h}}\n", bad(v1alpha1.ReasonInvalidSpec), "tells of no \"user.eaten\"; it tells of user.deactivated"},
		{"realtime-gone", "trigger: {realtime: {integration: nobody, event: user.deactivated}}\nsteps:\n- {name: w, wait: {for: 1h}}\n", bad(v1alpha1.ReasonIntegrationGone), "spec.trigger.realtime.integration"},
		{"schedule", "trigger: {schedule: {cron: '0 2 * * *', timeZone: Europe/Berlin}}\nsteps:\n- {name: w, wait: {for: 1h}}\n", fine, ""},
		{"schedule-cron", "trigger: {schedule: {cron: '0 25 * * *'}}\nsteps:\n- {name: w, wait: {for: 1h}}\n", bad(v1alpha1.ReasonInvalidExpression), "spec.trigger.schedule.cron"},
		{"suspended", act("suspend: true", "zoom", "user.signOut", signOut), "Valid=True Compiled Ready=False Suspended", "no run starts"},
	} {
		name := fmt.Sprintf("%02d-%s", i, tc.name)
		w := k.workflow(name, strings.ReplaceAll(tc.spec, "SELF", name))
		if says := k.settles(w, tc.want); !strings.Contains(says, tc.says) {
			t.Errorf("%s says %q, want %q in it", tc.name, says, tc.says)
		}
	}
}

// TestWorkflowsThatRunEachOther refuses chains without an end, and those that
// are too long, and looks again when one of them has changed.
func TestWorkflowsThatRunEachOther(t *testing.T) {
	k := newKit(t)
	runs := func(name string) string { return start + "steps:\n- {name: s, workflow: {name: " + name + "}}\n" }
	bad := fmt.Sprintf("Valid=False %[1]s Ready=False %[1]s", v1alpha1.ReasonInvalidStep)
	last := k.workflow("w6", start+"steps:\n- {name: w, wait: {for: 1h}}\n")
	k.settles(last, fine)
	for _, name := range []string{"w5", "w4", "w3", "w2"} {
		next := fmt.Sprintf("w%d", name[1]-'0'+1)
		k.settles(k.workflow(name, runs(next)), fine)
	}
	first := k.workflow("w1", runs("w2"))
	if says := k.settles(first, bad); !strings.Contains(says, "w1, w2, w3, w4, w5, w6: at most 5") {
		t.Error(says)
	}
	last.Spec.Steps[0] = v1alpha1.Step{StepBase: last.Spec.Steps[0].StepBase, StepAction: v1alpha1.StepAction{Workflow: &v1alpha1.WorkflowStep{Name: "w4"}}}
	if err := k.client.Update(t.Context(), last); err != nil {
		t.Fatal(err)
	}
	if says := k.settles(last, bad); !strings.Contains(says, "without end: w6, w4, w5, w6") {
		t.Error(says)
	}
}

// TestRevisions keeps one revision for each spec, whatever is wrong in between.
func TestRevisions(t *testing.T) {
	k := newKit(t)
	w := k.workflow("wf", act("", "zoom", "user.signOut", `userId: "a"`))
	revision := func(with string, want int64) {
		t.Helper()
		w.Spec.Steps[0].Action.With["userId"] = v1alpha1.Value{Raw: []byte(with)}
		if err := k.client.Update(t.Context(), w); err != nil {
			t.Fatal(err)
		}
		reconciletest.Steady(t, k.client, w, k.r)
		if w.Status.Revision != want {
			t.Errorf("with %s it is revision %d, want %d", with, w.Status.Revision, want)
		}
	}
	reconciletest.Steady(t, k.client, w, k.r)
	revision(`"b"`, 2)
	revision(`"${"`, 2)
	if s, err := k.store.Workflow(t.Context(), k.store.tenant, "wf"); err != nil || s.State != store.WorkflowInvalid || s.Revision != 2 {
		t.Errorf("%+v, %v", s, err)
	}
	revision(`"a"`, 1)
	revision(`"c"`, 3)

	if err := k.client.Delete(t.Context(), w); err != nil {
		t.Fatal(err)
	}
	if _, err := k.r.Reconcile(t.Context(), ctrl.Request{NamespacedName: client.ObjectKeyFromObject(w)}); err != nil {
		t.Fatal(err)
	}
	if all, err := k.store.ListWorkflows(t.Context(), k.store.tenant); err != nil || len(all) != 0 {
		t.Errorf("after it was deleted: %v, %v", all, err)
	}
	if err := k.client.Get(t.Context(), client.ObjectKeyFromObject(w), w); client.IgnoreNotFound(err) != nil || err == nil {
		t.Errorf("the object is still there: %v", err)
	}
}
