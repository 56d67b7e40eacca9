// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package flowtest

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"slices"
	"strings"
	"time"

	clocktesting "k8s.io/utils/clock/testing"

	"github.com/seatkeeper/seatkeeper/internal/expr"
	"github.com/seatkeeper/seatkeeper/internal/model"
	"github.com/seatkeeper/seatkeeper/internal/store"
	"github.com/seatkeeper/seatkeeper/internal/workflow"
)

// Outcome is what came of it.
type Outcome struct {
	Start Start
	// Run is zero where none started.
	Run store.RunDetail
	// Person is whom the run is about as expressions see them at its end; Created
	// says that the run has made them known.
	Person   map[string]any
	Created  bool
	Steps    []workflow.StepProgress
	Requests []Request
	// Apps are the results of offboarding steps.
	Apps []AppResult
	// Asked are the questions of the run, and of those that it has started.
	Asked []ExpectedQuestion
}

// defaultNow is when runs start that do not say: a Monday.
var defaultNow = time.Date(2026, 1, 5, 9, 0, 0, 0, time.UTC)

const (
	// maxWaits bounds how often the clock jumps.
	maxWaits = 10_000
	// maxReal bounds how long a run may really take.
	maxReal = 2 * time.Minute
	// triggerKey is that of a run that is started by hand.
	triggerKey = "test"
)

// Run carries a Workflow out until its run ends, or waits for what will not
// come.
func Run(ctx context.Context, w *Workflow, given Given, when When) (*Outcome, error) {
	ctx, cancel := context.WithTimeout(ctx, maxReal)
	defer cancel()
	dir, err := os.MkdirTemp("", "seatkeeper-test-")
	if err != nil {
		return nil, err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	clock := clocktesting.NewFakeClock(given.now()) // the engine's, which stands still but for the jumps below
	st, err := store.Open(ctx, store.Options{DSN: "sqlite:" + dir, Clock: clock})
	if err != nil {
		return nil, err
	}
	defer func() { _ = st.Close() }()
	if err := st.Migrate(ctx); err != nil {
		return nil, err
	}
	keys, err := store.LoadKeyring(dir+"/keys", true)
	if err != nil {
		return nil, err
	}
	world, err := newWorld(ctx, st, given, clock)
	if err != nil {
		return nil, err
	}
	if when, err = when.fits(w); err != nil {
		return nil, err
	}
	if err := world.begin(ctx, w, when, clock); err != nil {
		return nil, err
	}
	engine, err := workflow.New(workflow.Options{
		Store: world, Actions: actions{world}, Facts: facts{world}, Leavers: world.leavers(), Seats: seats{world}, People: asked{world}, Channels: []workflow.Channel{workflow.Slack{}, workflow.Email{}}, Language: expr.Workflow{},
		Requests: world, Sealer: keys, PromptKey: []byte(strings.Repeat("test", 8)), Alone: true, Clock: clock, Log: slog.New(slog.DiscardHandler), Lease: maxReal,
		BatchDelay: time.Millisecond, MaxInFlight: 1, // so that a test comes out the same each time
		AnswerLink: func(model.TenantID, string, store.Assignee) (string, error) {
			return "https://gateway.example/answer", nil
		},
	})
	if err != nil {
		return nil, err
	}
	for range maxWaits {
		if err := world.look(ctx, w); err != nil {
			return nil, err
		}
		if err := engine.Settle(ctx); err != nil {
			return nil, fmt.Errorf("the run did not come to an end or a wait: %w", err)
		}
		over, err := world.next(ctx, w, when, clock)
		if err != nil {
			return nil, err
		}
		if over {
			return world.outcome(ctx)
		}
	}
	return nil, fmt.Errorf("the run waited %d times without coming to an end", maxWaits)
}

func (w *world) outcome(ctx context.Context) (*Outcome, error) {
	out := &Outcome{Start: w.start}
	if w.run == "" {
		return out, nil
	}
	var err error
	if out.Run, err = w.Run(ctx, w.tenant, w.run); err != nil {
		return nil, err
	}
	out.Requests = w.requests
	out.Created = out.Run.PersonID != "" && !strings.HasPrefix(out.Run.PersonID, idPrefix)
	var vars struct {
		Person map[string]any `json:"person"`
	}
	if err := json.Unmarshal(out.Run.Vars, &vars); err != nil {
		return nil, err
	}
	out.Person = vars.Person
	if out.Steps, err = workflow.Progress(out.Run); err != nil {
		return nil, err
	}
	if out.Apps, err = appResults(out.Run.Vars, out.Steps); err != nil {
		return nil, err
	}
	out.Asked, err = w.asked(ctx)
	return out, err
}

// everyRun lists all runs, the newest first.
func (w *world) everyRun(ctx context.Context) (all []store.Run, err error) {
	for before := ""; ; before = all[len(all)-1].ID {
		page, err := w.ListRuns(ctx, w.tenant, store.RunFilter{Limit: 1000, Before: before})
		if all = append(all, page...); err != nil || len(page) < 1000 {
			return all, err
		}
	}
}

// asked lists all questions, in order.
func (w *world) asked(ctx context.Context) ([]ExpectedQuestion, error) {
	runs, err := w.everyRun(ctx)
	if err != nil {
		return nil, err
	}
	type asked struct {
		at time.Time
		q  ExpectedQuestion
	}
	var all []asked
	for _, r := range slices.Backward(runs) { // the newest is the first
		detail, err := w.Run(ctx, w.tenant, r.ID)
		if err != nil {
			return nil, err
		}
		for _, p := range detail.Prompts {
			q := ExpectedQuestion{Answer: p.Answer}
			if q.Step, err = w.named(ctx, r, p.StepPath); err != nil {
				return nil, err
			}
			for _, a := range p.Assignees {
				q.To = append(q.To, a.Email)
			}
			slices.Sort(q.To)
			all = append(all, asked{p.CreatedAt, q})
		}
	}
	slices.SortStableFunc(all, func(a, b asked) int { return cmp.Or(a.at.Compare(b.at), cmp.Compare(a.q.Step, b.q.Step)) })
	out := make([]ExpectedQuestion, len(all))
	for i, a := range all {
		out[i] = a.q
	}
	return out, nil
}

// next lets the next thing happen: somebody answers, something changes, or the
// clock jumps to what is due first. over says that the run has ended, or that
// nothing will happen.
func (w *world) next(ctx context.Context, wf *Workflow, when When, clock *clocktesting.FakeClock) (over bool, err error) {
	due := time.Time{}
	if w.run == "" {
		if due, err = w.pending(ctx, wf, when); err != nil || due.IsZero() {
			return true, err
		}
		return false, w.jump(due, clock)
	}
	runs, err := w.everyRun(ctx)
	if err != nil {
		return false, err
	}
	for _, r := range runs {
		if r.State.Ended() || r.State == store.RunAttention {
			if r.ID == w.run {
				return true, nil
			}
			continue
		}
		if due.IsZero() || r.DueAt.Before(due) {
			due = r.DueAt
		}
	}
	for _, r := range slices.Backward(runs) { // the oldest first
		if r.State.Ended() {
			continue
		}
		detail, err := w.Run(ctx, w.tenant, r.ID)
		if err != nil {
			return false, err
		}
		if answered, err := w.answers(ctx, detail, due, clock); err != nil || answered {
			return false, err
		}
	}
	if due.Sub(w.given.now()) > forever && len(w.given.Later) == 0 {
		return true, nil
	}
	return false, w.jump(due, clock)
}

// jump sets the clock to what is due, or to what changes before.
func (w *world) jump(due time.Time, clock *clocktesting.FakeClock) error {
	if later := w.given.Later; len(later) > 0 && !later[0].At.After(due) {
		if later[0].At.After(clock.Now()) {
			clock.SetTime(later[0].At.UTC())
		}
		return w.change(clock.Now())
	}
	if due.After(clock.Now()) {
		clock.SetTime(due)
	}
	return nil
}

// forever is longer than any run takes: what is due then waits for somebody.
const forever = 20 * 366 * 24 * time.Hour

func (g Given) now() time.Time {
	if g.Now.IsZero() {
		return defaultNow
	}
	return g.Now.UTC()
}

// begin stores the Workflow, and its run where one is started by hand.
func (w *world) begin(ctx context.Context, wf *Workflow, when When, clock *clocktesting.FakeClock) error {
	for _, called := range wf.calls {
		if _, err := w.put(ctx, called); err != nil {
			return err
		}
	}
	subject, person := workflow.HasPerson(wf.Definition.Subject), w.given.Person
	if !subject && person != nil {
		return errors.New("the Workflow does not run for a person: its trigger has no subject; leave the person out")
	}
	if wf.Starts != nil {
		w.starter = w.newStarter(clock)
		return w.happen(ctx, wf, when, clock)
	}
	if subject && (person == nil || person.Email == "") {
		return errors.New("the Workflow runs for a person: give one with an email")
	}
	state, err := w.put(ctx, wf)
	if err != nil {
		return err
	}
	event := map[string]any{"kind": cmp.Or(when.Event.Kind, wf.Trigger), "data": when.Event.Data}
	if when.Event.Data == nil {
		event["data"] = map[string]any{}
	}
	start := workflow.Beginning{Event: event, Input: when.Input, Why: "started by a test", DryRun: wf.Spec.DryRun}
	run := store.NewRun{Kind: workflow.KindWorkflow, Name: wf.Name, Revision: state.Revision, TriggerKind: wf.Trigger, TriggerKey: triggerKey, Priority: workflow.PriorityOf(state.Direction, true)}
	if subject {
		p := w.view(*person)
		start.Person, run.PersonID, run.Subject = &p, p.ID, p.Email
	}
	if err := w.about(wf.Definition.Subject, &start, &run); err != nil {
		return err
	}
	vars, err := start.Vars(ctx, w, w.tenant)
	if err == nil {
		run.Vars, err = json.Marshal(vars)
	}
	if err != nil {
		return err
	}
	r, _, err := w.StartRun(ctx, w.tenant, run, store.Decider{Actor: "test", Kind: model.ActorUser})
	w.run, w.start = r.ID, Start{At: r.CreatedAt}
	return err
}

// put stores a Workflow as its controller does.
func (w *world) put(ctx context.Context, wf *Workflow) (store.WorkflowState, error) {
	definition, err := wf.Definition.Marshal()
	if err != nil {
		return store.WorkflowState{}, err
	}
	state := store.WorkflowState{
		Name: wf.Name, TriggerKind: wf.Trigger, Subject: wf.Definition.Subject, Direction: string(wf.Spec.Direction), State: store.WorkflowReady, DryRun: wf.Spec.DryRun,
	}
	if wf.Starts != nil {
		if state.Trigger, err = wf.Starts.Marshal(); err != nil {
			return state, err
		}
	}
	return w.PutWorkflow(ctx, w.tenant, state, definition)
}

// answers lets those answer who are asked now, at their time.
func (w *world) answers(ctx context.Context, run store.RunDetail, due time.Time, clock *clocktesting.FakeClock) (answered bool, err error) {
	for _, p := range run.Prompts {
		if p.State != store.PromptOpen || len(p.Messages) == 0 {
			continue
		}
		step, err := w.named(ctx, run.Run, p.StepPath)
		if err != nil {
			return false, err
		}
		a, ok := w.peek(step)
		if !ok || a.Answer == "" {
			continue
		}
		at := p.CreatedAt
		if a.After != "" {
			after, err := workflow.ParseSpan(a.After)
			if err != nil {
				return false, fmt.Errorf("answers.%s.after: %w", step, err)
			}
			at = after.After(at, time.UTC)
		}
		if at.After(clock.Now()) {
			if due.Before(at) && due.After(clock.Now()) {
				return false, nil // something else comes first: a reminder, the end of the time
			}
			clock.SetTime(at)
		}
		by := a.By
		if by == "" && len(p.Assignees) > 0 {
			by = p.Assignees[0].Email
		}
		w.answer(step)
		out, err := w.AnswerPrompt(ctx, w.tenant, store.AnswerRequest{PromptID: p.ID, Actor: store.Identity{Email: by}, Choice: a.Answer, Reason: a.Reason})
		if err != nil {
			return false, err
		}
		if out.Status != store.AnswerAccepted {
			return false, fmt.Errorf("answers.%s: %s answers %q: %s: %s", step, by, a.Answer, out.Status, out.Message)
		}
		return true, nil
	}
	return false, nil
}

// peek is the answer that comes next, if one is left.
func (w *world) peek(step string) (Answer, bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, key := range []string{step, short(step)} {
		if all, ok := w.given.Answers[key]; ok {
			return all[min(w.used[key], len(all)-1)], true
		}
	}
	return Answer{}, false
}
