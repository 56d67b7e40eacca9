// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package workflow

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/seatkeeper/seatkeeper/internal/model"
	"github.com/seatkeeper/seatkeeper/internal/notify"
	"github.com/seatkeeper/seatkeeper/internal/store"
)

// KindOffboarding is the definition kind of the runs of an offboarding step: one
// for each account, named as the Workflow. Each goes on by itself, so that an
// app which does not answer, or a grace period, holds up no other.
const KindOffboarding = "Offboarding"

// OffboardingStep ends what a leaver has, as each app says.
type OffboardingStep struct {
	Applications []string `json:"applications,omitempty"` // empty: all
	Except       []string `json:"except,omitempty"`
}

// Leavers knows what happens to the accounts of a run's person.
type Leavers interface {
	Plan(ctx context.Context, tenant model.TenantID, run Subject, s OffboardingStep) ([]Leaving, error)
}

// Methods of Leaving.
const (
	LeaveAutomatic = "Automatic"
	LeaveDelegate  = "Delegate"
	LeaveIgnore    = "Ignore"
)

// Leaving is what happens to one account. It is fixed when the step begins.
type Leaving struct {
	App         string `json:"app"`
	Title       string `json:"title,omitempty"` // for people
	Integration string `json:"integration"`
	AccountID   string `json:"accountID"`
	// AppID is the app's id at the Integration, where that is an identity provider
	// which sees the account from the side.
	AppID   string `json:"appID,omitempty"`
	Account string `json:"account,omitempty"` // as its holder knows it
	Method  string `json:"method"`
	Why     string `json:"why,omitempty"`
	// Calls of Automatic, in order.
	Calls []LeavingCall `json:"calls,omitempty"`
	// Lifecycle and Period are the person's when the step began.
	Lifecycle model.Lifecycle `json:"lifecycle,omitempty"`
	Period    int64           `json:"period,omitempty"`
	// TransferTo is who is to have the data, for the text of a task.
	TransferTo string `json:"transferTo,omitempty"`

	// Of its run: how often it was begun anew, and how the last one ended.
	Again  int    `json:"again,omitempty"`
	Result string `json:"result,omitempty"`
}

// LeavingCall is one action on the account.
type LeavingCall struct {
	Action string         `json:"action"`
	Input  map[string]any `json:"input"`
	// AfterDays is the grace period before it, from when the call before it
	// succeeded.
	AfterDays int `json:"afterDays,omitempty"`
}

const (
	// reasonAppsFailed is why an offboarding step fails of which an account has.
	reasonAppsFailed = "AppsFailed"
	// resultCancelled is of a run that came to something else than was planned:
	// the person is back, or protected.
	resultCancelled = "cancelled"
)

// taskReminders are after how many days somebody is reminded of a task.
var taskReminders = []int{2, 5, 10, 20, 30, 45, 60, 75}

// definition is what the run of one account does.
func (l Leaving) definition() Definition {
	var steps []Step
	check := func(name, outcome string) {
		steps = append(steps, Step{Name: name, Check: &CheckStep{}}, Step{Name: name + "ed", Switch: &SwitchStep{
			On: "steps." + name + ".decision", Cases: map[string][]Step{string(Go): {}},
			Otherwise: []Step{{Name: name + "End", End: &EndStep{Outcome: outcome, From: "steps." + name}}},
		}})
	}
	if l.Method == LeaveDelegate {
		check("check", string(notify.Skipped))
		ask := &AskStep{
			Matter: &AskMatter{Kind: notify.Task, Text: "${leaver.task}", Evidence: "Required"}, Options: []string{notify.Done},
			Stages: []AskStage{{To: &Recipient{Role: RoleAppOwner}}, {To: &Recipient{Role: RoleManager}}},
		}
		for _, days := range taskReminders {
			ask.Reminders = append(ask.Reminders, Days(days))
		}
		steps = append(steps, Step{Name: "task", Ask: ask})
		return Definition{Steps: append(steps, Step{Name: "end", End: &EndStep{Outcome: "done"}})}
	}
	for i, c := range l.Calls {
		n, outcome := strconv.Itoa(i), string(notify.Skipped)
		if c.AfterDays > 0 {
			steps = append(steps, Step{Name: "grace" + n, Wait: &WaitStep{For: Days(c.AfterDays)}})
		}
		if i > 0 {
			outcome = resultCancelled
		}
		check("check"+n, outcome)
		steps = append(steps, Step{Name: "act" + n, Action: &ActionStep{Integration: "${leaver.integration}", Action: c.Action, WithFrom: "calls.c" + n, Recheck: "check" + n}})
	}
	return Definition{Steps: append(steps, Step{Name: "end", End: &EndStep{Outcome: "done"}})}
}

// task says what a person is to do.
func (l Leaving) task(person string) string {
	s := fmt.Sprintf("%s leaves. Take the access to %s away", person, l.Title)
	if l.Account != "" {
		s += fmt.Sprintf(" (account %s)", l.Account)
	}
	if l.TransferTo != "" {
		s += ", and hand the data over to " + l.TransferTo
	}
	s += ". Say what you did."
	if l.Why != "" {
		s += " It is not done by itself: " + l.Why + "."
	}
	return s
}

// offboard plans the accounts of the run's person, and waits for their runs.
func (t *turn) offboard(n *node, s *OffboardingStep) {
	if t.cur.Phase == phaseChild {
		t.awaitLeavings(n)
		return
	}
	switch plan, known := t.leavings(n); {
	case t.run.PersonID == "":
		t.failStep(n, "SubjectMismatch", "the run is about no person")
		return
	case known: // somebody said retry
		t.startLeavings(n, plan)
		return
	case t.event.kind != eventPrepared:
		t.need(gather{leaving: s})
		return
	}
	p := t.event.prepared
	t.event = event{kind: eventDue}
	switch {
	case p.err != nil && t.stepOverdue():
		t.failStep(n, reasonTimedOut, "what is to be done could not be found out: "+p.err.Error())
	case p.err != nil:
		t.sleep(t.now.Add(time.Minute), "PlanFailed", "what is to be done could not be found out: "+p.err.Error())
	case t.dryRun():
		t.complete(n, map[string]any{"result": resultDryRun, "apps": dryLeavings(p.leaving)})
	default:
		t.startLeavings(n, p.leaving)
	}
}

// dryLeavings shows a plan.
func dryLeavings(plan []Leaving) []any {
	out := make([]any, len(plan))
	for i, l := range plan {
		var calls []any
		for _, c := range l.Calls {
			calls = append(calls, map[string]any{"action": c.Action, "input": c.Input, "afterDays": c.AfterDays})
		}
		out[i] = map[string]any{"app": l.App, "integration": l.Integration, "method": l.Method, "reason": l.Why, "calls": calls}
	}
	return out
}

// leavings is the plan of a step that has begun.
func (t *turn) leavings(n *node) (plan []Leaving, ok bool) {
	all, _ := t.vars["offboarding"].(map[string]any)
	raw, ok := all[n.path]
	if !ok {
		return nil, false
	}
	text, err := json.Marshal(raw)
	if err == nil {
		err = json.Unmarshal(text, &plan)
	}
	return plan, err == nil
}

func (t *turn) keepLeavings(n *node, plan []Leaving) {
	all, _ := t.vars["offboarding"].(map[string]any)
	if all == nil {
		all = map[string]any{}
		t.vars["offboarding"] = all
	}
	if plan == nil {
		delete(all, n.path)
		return
	}
	all[n.path] = plan
}

// leavingKey is the trigger key of the run of one account.
func (t *turn) leavingKey(n *node, i int, l Leaving) string {
	return fmt.Sprintf("%s/%s[#%d]/%d", t.run.ID, n.path, i, l.Again)
}

// startLeavings starts a run for each account that is not settled.
func (t *turn) startLeavings(n *node, plan []Leaving) {
	begun := 0
	for i := range plan {
		l := &plan[i]
		if l.Method == LeaveIgnore {
			l.Result = resultSkipped
		}
		if l.Result == StepFailed {
			l.Again, l.Result = l.Again+1, ""
		}
		if l.Result != "" {
			continue
		}
		r, err := t.leavingRun(n, i, *l)
		if err != nil {
			t.failStep(n, "BadInput", err.Error())
			return
		}
		t.change.Starts = append(t.change.Starts, r)
		begun++
	}
	t.keepLeavings(n, plan)
	if begun == 0 {
		t.endLeavings(n, plan, nil)
		return
	}
	t.cur.Phase = phaseChild
	t.sleep(t.now.Add(childFor), store.ReasonWaitingForRun, fmt.Sprintf("waits for %d accounts; `seatkeeper runs` lists their runs", begun))
}

// leavingRun is the run of one account.
func (t *turn) leavingRun(n *node, i int, l Leaving) (store.NewRun, error) {
	definition, err := l.definition().Marshal()
	if err != nil {
		return store.NewRun{}, err
	}
	calls := map[string]any{}
	for j, c := range l.Calls {
		calls["c"+strconv.Itoa(j)] = c.Input
	}
	name := t.vars.text("person.displayName")
	vars, err := json.Marshal(map[string]any{
		"start": map[string]any{"why": "offboarding by Workflow/" + t.run.Name + ": step " + StepName(n.path), "by": t.vars.text("start.by"), "depth": t.depth() + 1},
		"org":   t.vars["org"], "calls": calls,
		"person": map[string]any{"displayName": name, "email": t.vars.text("person.email"), "timeZone": t.vars.text("person.timeZone")},
		"leaver": map[string]any{
			"app": l.App, "integration": l.Integration, "accountID": l.AccountID, "appID": l.AppID, "calls": l.Calls, "lifecycle": l.Lifecycle, "period": l.Period, "task": l.task(name),
		},
		"seat": map[string]any{ // what people and audit know it by
			"app": l.App, "appTitle": l.Title, "integration": l.Integration, "accountID": l.AccountID, "account": l.Account, "personID": t.run.PersonID,
			"personName": name, "email": t.vars.text("person.email"), "timeZone": t.vars.text("person.timeZone"),
			"why": "offboarding by Workflow/" + t.run.Name,
		},
	})
	return store.NewRun{
		Kind: KindOffboarding, Name: t.run.Name, TriggerKind: TriggerWorkflow, TriggerKey: t.leavingKey(n, i, l), ParentID: t.run.ID, Definition: definition,
		Subject: l.App + "/" + l.Integration, PersonID: t.run.PersonID, Cause: t.run.Cause, Vars: vars, Priority: store.PriorityOffboarding,
	}, err
}

// awaitLeavings goes on when the runs of all accounts have ended.
func (t *turn) awaitLeavings(n *node) {
	if !t.loadedChildren {
		t.run.State, t.run.DueAt, t.run.Reason, t.run.Message = store.RunReady, t.now, store.ReasonWaitingForRun, ""
		t.done = true
		return
	}
	plan, ok := t.leavings(n)
	if !ok {
		t.failStep(n, "PlanGone", "what was to be done is not known any more")
		return
	}
	byKey := map[string]store.Run{}
	for _, c := range t.children {
		byKey[c.TriggerKey] = c
	}
	ended, open, resumed := make([]store.Run, len(plan)), 0, false
	for i := range plan {
		if plan[i].Result != "" {
			continue
		}
		c, there := byKey[t.leavingKey(n, i, plan[i])]
		switch {
		case there && !c.State.Ended():
			open++
		case there && c.State == store.RunStopped && c.StopAt != nil && c.StopAt.Before(t.cur.Resumed):
			plan[i].Result, resumed = StepFailed, true // stopped with this run, which somebody resumed: its time of grace begins anew
		default:
			ended[i] = c
		}
	}
	switch {
	case resumed:
		t.startLeavings(n, plan)
	case open == 0:
		t.endLeavings(n, plan, ended)
	case t.stepOverdue():
		t.failStep(n, reasonTimedOut, fmt.Sprintf("%d accounts took longer than %s, and their runs are stopped", open, n.step.Timeout))
	default:
		t.sleep(t.now.Add(childFor), store.ReasonWaitingForRun, fmt.Sprintf("waits for %d of %d accounts; `seatkeeper runs` lists their runs", open, len(plan)))
	}
}

// endLeavings takes the results.
func (t *turn) endLeavings(n *node, plan []Leaving, ended []store.Run) {
	t.cur.Phase = ""
	before, _ := t.vars.lookup("steps." + n.step.Name + ".apps").([]any)
	apps, failed := make([]any, len(plan)), []string{}
	for i := range plan {
		l := &plan[i]
		app := map[string]any{"app": l.App, "integration": l.Integration, "method": l.Method, "result": l.Result}
		switch {
		case l.Result == "":
			c := ended[i]
			l.Result = leavingResult(c)
			app["result"], app["run"] = l.Result, c.ID
			if c.Reason != "" {
				app["reason"], app["message"] = c.Reason, c.Message
			}
			if l.Result == StepFailed {
				failed = append(failed, fmt.Sprintf("%s: %s", l.App, strings.TrimSpace(c.Reason+" "+c.Message)))
			}
		case i < len(before):
			if was, ok := before[i].(map[string]any); ok {
				app = was // settled before somebody said retry
			}
		default:
			app["reason"] = l.Why
		}
		apps[i] = app
	}
	t.keepLeavings(n, plan)
	result := map[string]any{"result": string(ResultDone), "apps": apps}
	if len(failed) == 0 {
		t.keepLeavings(n, nil)
		t.complete(n, result)
		return
	}
	message := fmt.Sprintf("%d of %d accounts: %s", len(failed), len(plan), strings.Join(failed[:min(len(failed), 3)], "; "))
	result["result"], result["reason"], result["message"] = StepFailed, reasonAppsFailed, message
	if n.step.OnError == OnErrorContinue {
		t.complete(n, result)
		return
	}
	t.keep(n, result)
	t.failStep(n, reasonAppsFailed, message)
}

// leavingResult is what a run that has ended came to.
func leavingResult(c store.Run) string {
	switch {
	case c.State != store.RunSucceeded:
		return StepFailed
	case c.Outcome == string(notify.Skipped):
		return resultSkipped
	case c.Outcome == resultCancelled:
		return resultCancelled
	}
	return string(ResultDone)
}
