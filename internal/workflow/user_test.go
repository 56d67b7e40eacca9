// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package workflow

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/seatkeeper/seatkeeper/internal/expr"
	"github.com/seatkeeper/seatkeeper/internal/model"
	"github.com/seatkeeper/seatkeeper/internal/store"
)

// ticket is a step that opens a ticket with a text.
func ticket(name, text string) Step {
	return Step{Name: name, Action: &ActionStep{Integration: "desk", Action: "ticket.create", With: map[string]any{"text": text}}}
}

func waits(name string, s Span) Step { return Step{Name: name, Wait: &WaitStep{For: s}} }

// cel is a definition of a user's about a person.
func cel(steps ...Step) Definition {
	return Definition{Language: LanguageCEL, Subject: SubjectPerson, Steps: steps}
}

// put stores a Workflow as its controller does.
func (k *kit) put(d Definition, change ...func(*store.WorkflowState)) store.WorkflowState {
	k.t.Helper()
	if err := Check(d, expr.Workflow{}); err != nil {
		k.t.Fatal(err)
	}
	raw, err := d.Marshal()
	if err != nil {
		k.t.Fatal(err)
	}
	s := store.WorkflowState{Name: "wf", TriggerKind: TriggerManual, Subject: d.Subject, State: store.WorkflowReady}
	for _, c := range change {
		c(&s)
	}
	if s, err = k.store.PutWorkflow(k.t.Context(), k.tenant, s, raw); err != nil {
		k.t.Fatal(err)
	}
	return s
}

// ada puts a person into the directory.
func (k *kit) ada(change func(*model.Person)) {
	k.t.Helper()
	ctx := k.t.Context()
	p := &model.Person{ExternalID: "1", Email: "ada@acme.example", DisplayName: "Ada", Department: "Sales", TimeZone: "Europe/Berlin", Lifecycle: model.LifecycleCurrent, EndDate: "2026-11-20"}
	if change != nil {
		change(p)
	}
	_, err := k.store.UpsertIntegration(ctx, k.tenant, store.IntegrationSpec{Name: "hris", UID: "hris", Connector: "csv", RequestedAt: k.clock.Now().String(), Interval: time.Hour})
	if err != nil {
		k.t.Fatal(err)
	}
	c, err := k.store.ClaimIntegration(ctx, k.tenant, "hris", "worker", time.Minute)
	if err != nil {
		k.t.Fatal(err)
	}
	y, err := k.store.BeginSync(ctx, c)
	if err == nil {
		err = y.Stage(ctx, "people", "", []model.Record{{Person: p}, {Person: &model.Person{ExternalID: "2", Email: "bob@acme.example", Lifecycle: model.LifecycleCurrent}}})
	}
	if err == nil {
		_, err = y.FinishStream(ctx, "people", store.StreamOutcome{Complete: true, Types: []model.DataType{model.DataPeople}, Guard: model.DefaultShrinkGuard})
	}
	if err = errors.Join(err, y.Close(ctx), k.store.FinishIntegration(ctx, c, store.IntegrationResult{Synced: true})); err != nil {
		k.t.Fatal(err)
	}
}

// by starts a run by hand and runs it to its first wait.
func (k *kit) by(key string, change ...func(*StartRequest)) store.Run {
	k.t.Helper()
	k.engine.o.Language = expr.Workflow{}
	r := StartRequest{Workflow: "wf", Key: key, Person: "ada@acme.example", By: store.Decider{Actor: "test", Kind: model.ActorUser}}
	for _, c := range change {
		c(&r)
	}
	run, _, err := Start(k.t.Context(), k.store, k.tenant, r)
	if err != nil {
		k.t.Fatal(err)
	}
	k.settle()
	return run
}

// texts lists the tickets that were opened.
func (k *kit) texts() []string {
	var out []string
	for _, c := range k.vendor.sent {
		out = append(out, fmt.Sprint(c.Input["text"]))
	}
	return out
}

// steps lists the newest run's steps with their results.
func (k *kit) steps() []string {
	k.t.Helper()
	all, err := Progress(k.run())
	if err != nil {
		k.t.Fatal(err)
	}
	var out []string
	for _, s := range all {
		out = append(out, strings.TrimSpace(s.Name+" "+s.Result))
	}
	return out
}

func (k *kit) want(what string, got, want []string) {
	k.t.Helper()
	if diff := cmp.Diff(want, got); diff != "" {
		k.t.Errorf("%s (-want +got):\n%s", what, diff)
	}
}

// TestUserDefinition goes through conditions, branches, templates and outputs.
func TestUserDefinition(t *testing.T) {
	eachStore(t, func(t *testing.T, k *kit) {
		k.ada(nil)
		first := ticket("first", "${person.displayName} of ${person.department}, ${string(input.count + 1)}")
		first.Outputs = map[string]string{"where": "resp.channel", "code": "status"}
		never := ticket("never", "no")
		never.When = "person.department == 'Legal'"
		k.put(cel(
			first, never,
			Step{Name: "dept", Switch: &SwitchStep{
				When: []CaseStep{
					{When: "person.department == 'Marketing'", Steps: []Step{ticket("marketing", "m")}},
					{When: "person.department == 'Sales'", Steps: []Step{ticket("sales", "in ${steps.first.where}, ${string(steps.first.code)}")}},
				},
				Otherwise: []Step{ticket("others", "o")},
			}},
			ticket("last", "${event.kind} ${org.timeZone} $${literal}"),
		))
		k.by("k", func(r *StartRequest) { r.Input = map[string]any{"count": 6} })
		k.expect(store.RunSucceeded, "", "")
		k.want("tickets", k.texts(), []string{"Ada of Sales, 7", "in D1, 200", "manual  ${literal}"})
		k.want("steps", k.steps(), []string{"first done", "never skipped", "dept case 1", "dept.sales done", "last done"})
		records, err := k.store.Audit(t.Context(), k.tenant, store.AuditQuery{Action: "ticket.create"})
		if err != nil || len(records) != 3 {
			t.Fatalf("%d records, %v", len(records), err)
		}
		if r := records[0]; r.Actor != "Workflow/wf" || r.Cause != "Workflow/wf revision 1" || r.Reason != "started by hand by test" {
			t.Errorf("audit: %+v", r)
		}
	})
}

// TestRunKeepsItsRevision is invariant 8: a run that waits goes on with the
// definition that it began with, and with what its person has become.
func TestRunKeepsItsRevision(t *testing.T) {
	eachStore(t, func(t *testing.T, k *kit) {
		k.ada(nil)
		d := cel(waits("pause", Days(2)), ticket("then", "old ${person.department}"))
		if s := k.put(d); s.Revision != 1 || k.put(d).Revision != 1 {
			t.Error("the same definition is another revision")
		}
		k.by("a")
		k.expect(store.RunWaiting, "", "Waiting")
		if s := k.put(cel(ticket("then", "new"))); s.Revision != 2 {
			t.Errorf("revision %d", s.Revision)
		}
		k.by("b")
		k.ada(func(p *model.Person) { p.Department = "Legal" })
		k.pass(47 * time.Hour)
		k.want("too early", k.texts(), []string{"new"})
		k.pass(time.Hour)
		k.want("tickets", k.texts(), []string{"new", "old Legal"})
		if s := k.put(d); s.Revision != 1 {
			t.Errorf("the first definition again is revision %d", s.Revision)
		}
	})
}

// TestSameKeySameRun covers who may start what.
func TestSameKeySameRun(t *testing.T) {
	eachStore(t, func(t *testing.T, k *kit) {
		k.ada(nil)
		k.put(cel(ticket("one", "x")))
		first := k.by("k")
		if again := k.by("k"); again.ID != first.ID {
			t.Errorf("run %s, then %s", first.ID, again.ID)
		}
		k.effects(map[string]int{"ticket.create": 1})
		var taken *StartError
		if _, _, err := Start(t.Context(), k.store, k.tenant, StartRequest{Workflow: "wf", Key: "k", Person: "bob@acme.example"}); !errors.As(err, &taken) || taken.Reason != StartKeyTaken {
			t.Errorf("the key of another person's run: %v", err)
		}
		refuse := func(want StartReason, change func(*StartRequest)) {
			t.Helper()
			r := StartRequest{Workflow: "wf", Key: "other", Person: "ada@acme.example"}
			change(&r)
			var not *StartError
			if _, _, err := Start(t.Context(), k.store, k.tenant, r); !errors.As(err, &not) || not.Reason != want {
				t.Errorf("%v, want %s", err, want)
			}
		}
		refuse(StartNoSubject, func(r *StartRequest) { r.Person = "eve@acme.example" })
		refuse(StartWrongSubject, func(r *StartRequest) { r.Person = "" })
		refuse(StartNoWorkflow, func(r *StartRequest) { r.Workflow = "none" })
		refuse(StartBadInput, func(r *StartRequest) { r.Input = map[string]any{"x": strings.Repeat("x", MaxInput)} })
		k.put(cel(ticket("one", "x")), func(s *store.WorkflowState) { s.Suspended = true })
		refuse(StartSuspended, func(*StartRequest) {})
		k.put(cel(ticket("one", "x")), func(s *store.WorkflowState) { s.State = store.WorkflowInvalid })
		refuse(StartNotReady, func(*StartRequest) {})
		k.put(Definition{Language: LanguageCEL, Steps: []Step{ticket("one", "x")}})
		refuse(StartWrongSubject, func(*StartRequest) {})
		if runs, err := k.store.ListRuns(t.Context(), k.tenant, store.RunFilter{}); err != nil || len(runs) != 1 {
			t.Errorf("%d runs, %v", len(runs), err)
		}
	})
}

// TestSuspendedWorkflow lets no step begin, and goes on where it was.
func TestSuspendedWorkflow(t *testing.T) {
	eachStore(t, func(t *testing.T, k *kit) {
		k.ada(nil)
		d := cel(waits("pause", Hours(1)), ticket("one", "1"))
		k.put(d)
		k.by("k")
		k.put(d, func(s *store.WorkflowState) { s.Suspended = true })
		k.pass(2 * time.Hour)
		k.expect(store.RunWaiting, "", store.ReasonWorkflowSuspended)
		k.effects(map[string]int{})
		k.put(d)
		k.settle()
		k.expect(store.RunSucceeded, "", "")
		k.effects(map[string]int{"ticket.create": 1})
	})
}

// TestDeletedWorkflow stops its runs, or lets them end.
func TestDeletedWorkflow(t *testing.T) {
	eachStore(t, func(t *testing.T, k *kit) {
		k.ada(nil)
		d := cel(waits("pause", Hours(1)), ticket("one", "1"))
		number := k.put(d).APIID
		k.by("stopped")
		if err := k.store.DeleteWorkflow(t.Context(), k.tenant, "wf", true, store.Decider{Actor: "test"}); err != nil {
			t.Fatal(err)
		}
		k.expect(store.RunStopped, "stopped", "StopRequested")
		if s := k.put(d); s.APIID != number || s.Revision != 1 {
			t.Errorf("created again it is %+v", s)
		}
		k.by("drained")
		if err := k.store.DeleteWorkflow(t.Context(), k.tenant, "wf", false, store.Decider{}); err != nil {
			t.Fatal(err)
		}
		k.pass(time.Hour)
		k.expect(store.RunSucceeded, "", "")
	})
}

// TestDryRun goes through every step and sends nothing.
func TestDryRun(t *testing.T) {
	eachStore(t, func(t *testing.T, k *kit) {
		k.ada(nil)
		one := ticket("one", "${person.email}")
		one.Outputs = map[string]string{"id": "resp.ts"}
		k.put(cel(one, waits("pause", Days(30)), ticket("two", "${steps.one.id}"), ticket("three", "x")))
		k.by("k", func(r *StartRequest) { r.DryRun = true })
		k.expect(store.RunSucceeded, "", "")
		k.want("steps", k.steps(), []string{"one dryRun", "pause dryRun", "two dryRun", "three dryRun"})
		if len(k.vendor.sent) != 0 || len(k.run().Attempts) != 0 {
			t.Errorf("sent %v", k.vendor.sent)
		}
		all, err := Progress(k.run())
		want := map[string]any{"integration": "desk", "action": "ticket.create", "input": map[string]any{"text": "ada@acme.example"}}
		if err != nil || cmp.Diff(want, all[0].Request) != "" || all[2].Message == "" {
			t.Errorf("would have sent %v, %v", all, err)
		}
	})
}

func denied(Call) (Result, error) {
	return Result{Class: ResultDenied, Sent: true, Message: "no"}, nil
}

// TestOnError says what a step that failed does to its run.
func TestOnError(t *testing.T) {
	eachStore(t, func(t *testing.T, k *kit) {
		k.ada(nil)
		bad := func(onError string) Definition {
			s := ticket("one", "1")
			s.OnError = onError
			d := cel(s, ticket("two", "after ${steps.one.result}"))
			d.OnFailure = []Step{ticket("alert", "failed")}
			return d
		}
		k.put(bad(""))
		k.vendor.script("ticket.create", denied)
		k.by("fail")
		k.expect(store.RunFailed, "failed", "Denied")
		k.want("failing", k.texts(), []string{"1", "failed"})
		k.want("its steps", k.steps(), []string{"alert done", "one failed"})

		k.vendor.sent = nil
		k.put(bad(OnErrorContinue))
		k.vendor.script("ticket.create", denied)
		k.by("continue")
		k.expect(store.RunSucceeded, "", "")
		k.want("going on", k.texts(), []string{"1", "after failed"})

		k.vendor.sent = nil
		k.put(bad(OnErrorAsk))
		k.vendor.script("ticket.create", denied)
		run := k.by("ask")
		k.expect(store.RunAttention, "", "Denied")
		if _, err := k.store.ResolveAttention(t.Context(), k.tenant, run.ID, store.ResolveRetry, store.Decider{Actor: "test"}); err != nil {
			t.Fatal(err)
		}
		k.settle()
		k.expect(store.RunSucceeded, "", "")
		k.want("asking", k.texts(), []string{"1", "1", "after done"})
	})
}

// TestTimeouts end a step that is refused for too long, and a run that takes
// too long.
func TestTimeouts(t *testing.T) {
	eachStore(t, func(t *testing.T, k *kit) {
		k.ada(nil)
		s := ticket("one", "1")
		s.Timeout = Hours(2)
		k.put(cel(s))
		for range 20 {
			k.vendor.script("ticket.create", func(Call) (Result, error) {
				return Result{Class: ResultRateLimited, RetryAfter: 50 * time.Minute}, nil
			})
		}
		k.by("step")
		for range 3 {
			k.pass(50 * time.Minute)
		}
		k.expect(store.RunFailed, "failed", reasonTimedOut)

		d := cel(waits("pause", Days(3)), ticket("two", "2"))
		d.Timeout = Hours(48)
		k.put(d)
		k.by("run")
		k.pass(47 * time.Hour)
		k.expect(store.RunWaiting, "", "Waiting")
		k.pass(time.Hour)
		k.expect(store.RunFailed, "failed", reasonTimedOut)
	})
}

// TestWhen ends a run that shall do nothing.
func TestWhen(t *testing.T) {
	eachStore(t, func(t *testing.T, k *kit) {
		k.ada(nil)
		d := cel(ticket("one", "1"))
		d.When = "person.department == 'Legal'"
		k.put(d)
		k.by("k")
		k.expect(store.RunSucceeded, "skipped", "ConditionNotMet")
		k.effects(map[string]int{})
	})
}

// TestMissingValue fails a step whose input has no value, instead of sending
// less than was meant.
func TestMissingValue(t *testing.T) {
	eachStore(t, func(t *testing.T, k *kit) {
		k.ada(nil)
		k.put(cel(ticket("one", "${input.ticket}")))
		k.by("k")
		r := k.expect(store.RunFailed, "failed", "BadInput")
		if !strings.Contains(r.Message, "with.text") || len(k.vendor.sent) != 0 {
			t.Errorf("%s; sent %v", r.Message, k.vendor.sent)
		}
	})
}

// TestWaitUntil waits until a wall time of a date, in the zone that is meant.
func TestWaitUntil(t *testing.T) {
	berlin := time.FixedZone("CET", 3600)
	for name, tc := range map[string]struct {
		m    Moment
		want time.Time
	}{
		"the person's zone":  {Moment{Date: "person.endDate", Time: "18:00"}, time.Date(2026, 11, 20, 18, 0, 0, 0, berlin)},
		"days before":        {Moment{Date: "person.endDate", OffsetDays: -3, Time: "09:30"}, time.Date(2026, 11, 17, 9, 30, 0, 0, berlin)},
		"another zone":       {Moment{Date: "person.endDate", Zone: "America/New_York"}, time.Date(2026, 11, 20, 14, 0, 0, 0, time.UTC)},
		"the end of the day": {Moment{Date: "person.endDate", Time: EndOfDay}, time.Date(2026, 11, 20, 17, 30, 0, 0, berlin)},
		"a timestamp":        {Moment{Date: "now + duration('48h')", Time: "12:00", Zone: ZoneOrganization}, start.Add(50 * time.Hour)},
	} {
		t.Run(name, func(t *testing.T) {
			eachStore(t, func(t *testing.T, k *kit) {
				k.ada(nil)
				if err := k.store.SetTenantFacts(t.Context(), k.tenant, store.TenantFacts{Workday: store.WorkdayFacts{End: "17:30"}}); err != nil {
					t.Fatal(err)
				}
				k.put(cel(Step{Name: "until", Wait: &WaitStep{Until: &tc.m}}, ticket("one", "1")))
				k.by("k")
				k.until(tc.want, "until ")
				k.pass(tc.want.Sub(k.clock.Now()))
				k.expect(store.RunSucceeded, "", "")
			})
		})
	}
}

// TestCheck says where in a spec something is wrong.
func TestCheck(t *testing.T) {
	step := func(change func(*Step)) Definition {
		s := ticket("one", "x")
		change(&s)
		return cel(s)
	}
	inner := cel(Step{Name: "dept", Switch: &SwitchStep{When: []CaseStep{{When: "true", Steps: []Step{ticket("in", "${persn.email}")}}}}})
	for name, tc := range map[string]struct {
		d          Definition
		says       string
		expression bool
	}{
		"a misspelt field":       {step(func(s *Step) { s.Action.With["text"] = "a ${person.emial}" }), "steps[one].action.with.text: column 11: undefined field 'emial'", true},
		"no person":              {Definition{Language: LanguageCEL, Steps: []Step{ticket("one", "${person.email}")}}, "steps[one].action.with.text: column 3: undeclared reference to 'person'", true},
		"deep in a value":        {step(func(s *Step) { s.Action.With["text"] = map[string]any{"a": []any{"${"}} }), "steps[one].action.with.text.a[0]: ", true},
		"a condition of no bool": {step(func(s *Step) { s.When = "person.email" }), "steps[one].when: column 1: the expression yields string, want bool", true},
		"in a case":              {inner, "steps[dept].switch[0].steps[in].action.with.text: column 3", true},
		"an output":              {step(func(s *Step) { s.Outputs = map[string]string{"id": "respons.id"} }), "steps[one].outputs.id.value: column 1", true},
		"a name that is taken":   {step(func(s *Step) { s.Outputs = map[string]string{"result": "resp.id"} }), "steps[one].outputs.result", false},
		"chance":                 {step(func(s *Step) { s.Action.With["text"] = "${randomPassword()}" }), "randomPassword", true},
		"two of one name":        {cel(ticket("one", "x"), Step{Name: "s", Switch: &SwitchStep{Otherwise: []Step{ticket("one", "y")}}}), `another step has the name "one"`, false},
		"of another language":    {Definition{Language: "Rego", Steps: []Step{ticket("one", "x")}}, "Rego", false},
		"when":                   {Definition{Language: LanguageCEL, When: "1", Steps: []Step{ticket("one", "x")}}, "when: ", true},
		"until":                  {cel(Step{Name: "w", Wait: &WaitStep{Until: &Moment{Date: "person.end"}}}), "steps[w].wait.until.date: column", true},
		"on failure":             {Definition{Language: LanguageCEL, Steps: []Step{ticket("one", "x")}, OnFailure: []Step{ticket("two", "${x}")}}, "onFailure[two].action.with.text", true},
	} {
		err := Check(tc.d, expr.Workflow{})
		if err == nil || !strings.Contains(err.Error(), tc.says) || IsExpression(err) != tc.expression {
			t.Errorf("%s: %v (expression: %t), want %q", name, err, IsExpression(err), tc.says)
		}
	}
}

// TestPersonVarsAreTyped compares what a run knows of its person with what
// expressions are told.
func TestPersonVarsAreTyped(t *testing.T) {
	eachStore(t, func(t *testing.T, k *kit) {
		k.ada(nil)
		p, err := k.store.PersonByEmail(t.Context(), k.tenant, "ada@acme.example")
		if err != nil {
			t.Fatal(err)
		}
		vars, err := personVars(t.Context(), k.store, k.tenant, p)
		if err != nil {
			t.Fatal(err)
		}
		var names []string
		for name := range vars {
			names = append(names, name)
		}
		slices.Sort(names)
		if diff := cmp.Diff(expr.WorkflowTypes()["Person"], names); diff != "" {
			t.Errorf("-declared +given:\n%s", diff)
		}
	})
}

// TestKeyOfACaller: no key that somebody chooses takes the place of a run that
// something else starts.
func TestKeyOfACaller(t *testing.T) {
	eachStore(t, func(t *testing.T, k *kit) {
		k.ada(nil)
		k.put(cel(ticket("act", "x")))
		const key = "left/1/1"
		r := k.by(key, func(r *StartRequest) { r.DryRun = true })
		if ShownKey(r.TriggerKey) != key {
			t.Errorf("the caller sees %q", r.TriggerKey)
		}
		n, err := k.store.CreateRuns(t.Context(), k.tenant, []store.NewRun{{Kind: KindWorkflow, Name: "wf", Revision: 1, TriggerKind: "person", TriggerKey: key}})
		if err != nil || n != 1 {
			t.Errorf("%d runs of the event start, %v", n, err)
		}
		if again := k.by(key, func(r *StartRequest) { r.DryRun = true }); again.ID != r.ID {
			t.Error("the caller's key is another run")
		}
	})
}
