// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package workflow

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/seatkeeper/seatkeeper/internal/model"
	"github.com/seatkeeper/seatkeeper/internal/store"
)

// CallStep runs another Workflow for the same person, and waits for the end
// of that run.
type CallStep struct {
	Name  string         `json:"name"`
	Input map[string]any `json:"input,omitempty"`
}

// TriggerWorkflow is the trigger kind of runs that a step of another started.
const TriggerWorkflow = "workflow"

// MaxDepth is how many runs may wait for one another.
const MaxDepth = 5

const (
	// phaseChild is the phase of a step whose run is there.
	phaseChild = "child"
	// childFor is how long a run waits for another before it looks by itself:
	// the end of that one wakes it.
	childFor = time.Hour
	// reasonNotReady is why a step waits whose Workflow cannot be started now.
	reasonNotReady = "WorkflowNotReady"
)

// childStart is what is known of the Workflow that a step is to run.
type childStart struct {
	state store.WorkflowState
	found bool
	vars  map[string]any
	email string
}

// childOf reads what the run of a step would begin with.
func (e *Engine) childOf(ctx context.Context, tenant model.TenantID, name string, parent Subject, dry bool) (*childStart, error) {
	w, err := e.o.Store.Workflow(ctx, tenant, name)
	if errors.Is(err, store.ErrNotFound) {
		return &childStart{}, nil
	}
	if err != nil {
		return nil, err
	}
	out := &childStart{state: w, found: true}
	begin := Beginning{
		Event: map[string]any{"kind": TriggerWorkflow, "data": map[string]any{}}, DryRun: dry || w.DryRun,
		Why: fmt.Sprintf("started by run %s of %s/%s", parent.RunID, parent.Kind, parent.Name), By: parent.StartedBy,
	}
	if w.Subject == SubjectPerson && parent.PersonID != "" {
		p, err := e.o.Store.Person(ctx, tenant, parent.PersonID)
		if err != nil {
			return nil, fmt.Errorf("read the person of the run: %w", err)
		}
		begin.Person, out.email = &p, p.Email
	}
	out.vars, err = begin.Vars(ctx, e.o.Store, tenant)
	return out, err
}

// child starts the run of another Workflow, or looks how it stands.
func (t *turn) child(n *node, s *CallStep) {
	if t.cur.Phase == phaseChild {
		t.awaitChild(n, s)
		return
	}
	if t.stepOverdue() {
		t.failStep(n, reasonTimedOut, "the step took longer than its timeout: "+t.run.Message)
		return
	}
	input, err := n.with(t.scope())
	if err != nil {
		t.unfilled(n, within("input", err))
		return
	}
	if t.event.kind != eventPrepared {
		t.need(gather{child: s.Name})
		return
	}
	p := t.event.prepared
	t.event = event{kind: eventDue}
	w := p.child
	switch {
	case p.err != nil:
		t.sleep(t.now.Add(time.Minute), "WorkflowUnavailable", fmt.Sprintf("Workflow %q could not be read: %v", s.Name, p.err))
	case !w.found:
		t.sleep(t.now.Add(holdFor), reasonNotReady, fmt.Sprintf("there is no Workflow %q", s.Name))
	case w.state.Suspended:
		t.sleep(t.now.Add(holdFor), reasonNotReady, fmt.Sprintf("Workflow %q is suspended", s.Name))
	case w.state.State != store.WorkflowReady:
		t.sleep(t.now.Add(holdFor), reasonNotReady, fmt.Sprintf("Workflow %q cannot run: %s", s.Name, w.state.Message))
	case w.state.TriggerKind != TriggerManual:
		t.failStep(n, "TriggerMismatch", fmt.Sprintf("Workflow %q has trigger %s: only one with trigger manual can be a step", s.Name, w.state.TriggerKind))
	case w.state.Subject == SubjectPerson && t.run.PersonID == "":
		t.failStep(n, "SubjectMismatch", fmt.Sprintf("Workflow %q runs for a person, and this run is about none", s.Name))
	case !HandsOn(t.program.subject, w.state.Subject):
		t.failStep(n, "SubjectMismatch", fmt.Sprintf("Workflow %q has the subject %s, and this run is about no such", s.Name, w.state.Subject))
	case t.depth() >= MaxDepth:
		t.failStep(n, "TooDeep", fmt.Sprintf("Workflow %q would be the run number %d in a row, each started by the one before: at most %d may", s.Name, t.depth()+1, MaxDepth))
	default:
		t.startChild(n, w, input)
	}
}

// depth is how many runs are in a row down to this one.
func (t *turn) depth() int {
	d, _ := t.vars.lookup("start.depth").(float64)
	return max(1, int(d))
}

// childKey is the trigger key of the run of a step: however often the step is
// begun, it is one run.
func (t *turn) childKey(n *node) string {
	return t.run.ID + "/" + n.path + "/" + strconv.Itoa(t.cur.generation())
}

// startChild starts the run in the transaction that writes this turn.
func (t *turn) startChild(n *node, w *childStart, input any) {
	raw, err := json.Marshal(input)
	if err == nil && len(raw) > MaxInput {
		err = fmt.Errorf("%d bytes: at most %d are taken", len(raw), MaxInput)
	}
	if err != nil {
		t.failStep(n, "BadInput", "input: "+unwritten(err).Error())
		return
	}
	w.vars["input"] = input
	w.vars[varAround] = map[string]any{"left": t.toCome()}
	if start, ok := w.vars["start"].(map[string]any); ok {
		start["depth"] = t.depth() + 1
	}
	if HasApp(w.state.Subject) { // as this run has it
		for _, name := range []string{"application", "contract", varAbout} {
			w.vars[name] = t.vars[name]
		}
	}
	vars, err := json.Marshal(w.vars)
	if err != nil {
		t.failStep(n, "BadInput", err.Error())
		return
	}
	r := store.NewRun{
		Kind: KindWorkflow, Name: w.state.Name, Revision: w.state.Revision, TriggerKind: TriggerWorkflow, TriggerKey: t.childKey(n), ParentID: t.run.ID,
		Cause: fmt.Sprintf("%s/%s revision %d", KindWorkflow, w.state.Name, w.state.Revision), Vars: vars, Priority: t.run.Priority,
	}
	switch w.state.Subject {
	case SubjectPerson:
		r.Subject, r.PersonID = w.email, t.run.PersonID
	case SubjectApplication, SubjectContract:
		r.Subject = t.run.Subject
	}
	t.change.Starts = append(t.change.Starts, r)
	t.change.Audits = append(t.change.Audits, model.AuditRecord{
		Actor: t.owner(), ActorKind: model.ActorPolicy, Action: "run.start", ObjectKind: r.Kind, ObjectName: r.Name,
		PersonID: r.PersonID, Reason: "step " + StepName(n.path), Cause: t.run.Cause, RunID: t.run.ID, Result: "started",
	})
	t.cur.Phase = phaseChild
	t.sleep(t.now.Add(childFor), store.ReasonWaitingForRun, fmt.Sprintf("waits for the run of Workflow %s that it started", w.state.Name))
}

// awaitChild goes on when the run of the step has ended.
func (t *turn) awaitChild(n *node, s *CallStep) {
	if !t.loadedChildren { // it waited for something else meanwhile
		t.run.State, t.run.DueAt, t.run.Reason, t.run.Message = store.RunReady, t.now, store.ReasonWaitingForRun, ""
		t.done = true
		return
	}
	key := t.childKey(n)
	for _, c := range t.children {
		if c.TriggerKey != key {
			continue
		}
		switch {
		case c.State.Ended():
			t.childEnded(n, c)
		case t.stepOverdue():
			t.failStep(n, reasonTimedOut, fmt.Sprintf("run %s of Workflow %s took longer than %s, and is stopped", c.ID, c.Name, n.step.Timeout))
		default:
			t.sleep(t.now.Add(childFor), store.ReasonWaitingForRun, fmt.Sprintf("waits for run %s of Workflow %s", c.ID, c.Name))
		}
		return
	}
	t.cur.Phase, t.cur.Gen = "", t.cur.Gen+1
	t.failStep(n, "RunGone", fmt.Sprintf("the run of Workflow %s that the step started is gone, and how it ended is not known", s.Name))
}

// noteUnknown keeps in mind that a run below this one ended without anybody
// knowing of an effect whether it is there.
func (t *turn) noteUnknown(c store.Run) {
	v, err := parseVars(c.Vars)
	if c.Reason == reasonUnknown || err == nil && v.text(varUnknown) != "" {
		t.vars[varUnknown] = t.run.StepPath
	}
}

// childEnded takes the result of the run of the step.
func (t *turn) childEnded(n *node, c store.Run) {
	t.cur.Phase, t.cur.Gen = "", t.cur.Gen+1 // who says retry wants another run
	if c.State != store.RunSucceeded {
		t.noteUnknown(c)
		how := map[store.RunState]string{store.RunFailed: "WorkflowFailed", store.RunStopped: "WorkflowStopped"}[c.State]
		message := fmt.Sprintf("run %s of Workflow %s %s", c.ID, c.Name, c.State)
		if c.Reason != "" {
			message += ": " + c.Reason
		}
		if c.Message != "" {
			message += ": " + c.Message
		}
		t.failStep(n, how, message)
		return
	}
	v, err := parseVars(c.Vars)
	if err != nil {
		t.failStep(n, "WorkflowFailed", fmt.Sprintf("run %s of Workflow %s: %v", c.ID, c.Name, err))
		return
	}
	steps, _ := v["steps"].(map[string]any)
	if steps == nil {
		steps = map[string]any{}
	}
	output := map[string]any{"outcome": c.Outcome, "steps": steps}
	result := map[string]any{"result": string(ResultDone), "run": c.ID}
	if c.Outcome == resultSkipped {
		result["result"], result["reason"], result["message"] = resultSkipped, c.Reason, c.Message
	}
	if err := t.addOutputs(n, callOutcome{output: output}, result); err != nil {
		t.failStep(n, reasonExpression, err.Error())
		return
	}
	t.complete(n, result)
}
