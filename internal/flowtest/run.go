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

// Outcome is what came of a run.
type Outcome struct {
	Run      store.RunDetail
	Steps    []workflow.StepProgress
	Requests []Request
}

// defaultNow is when runs start that do not say: a Monday.
var defaultNow = time.Date(2026, 1, 5, 9, 0, 0, 0, time.UTC)

const (
	// maxWaits bounds how often the clock jumps.
	maxWaits = 10_000
	// maxReal bounds how long a run may really take.
	maxReal = 2 * time.Minute
	// trigger is the key of the only run.
	trigger = "test"
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
	world := &world{Store: st, given: given, used: map[string]int{}}
	if world.tenant, err = st.EnsureTenant(ctx, "test"); err != nil {
		return nil, err
	}
	if world.run, err = begin(ctx, world, w, when, clock); err != nil {
		return nil, err
	}
	engine, err := workflow.New(workflow.Options{
		Store: world, Actions: actions{world}, Facts: world, People: people{world}, Channels: []workflow.Channel{workflow.Slack{}, workflow.Email{}}, Language: expr.Workflow{},
		Requests: world, Sealer: keys, PromptKey: []byte(strings.Repeat("test", 8)), Alone: true, Clock: clock, Log: slog.New(slog.DiscardHandler), Lease: maxReal,
		BatchDelay: time.Millisecond,
		AnswerLink: func(model.TenantID, string, store.Assignee) (string, error) {
			return "https://gateway.example/answer", nil
		},
	})
	if err != nil {
		return nil, err
	}
	for range maxWaits {
		if err := engine.Settle(ctx); err != nil {
			return nil, fmt.Errorf("the run did not come to an end or a wait: %w", err)
		}
		over, err := world.next(ctx, clock)
		if err != nil {
			return nil, err
		}
		if over {
			run, err := st.Run(ctx, world.tenant, world.run)
			if err != nil {
				return nil, err
			}
			steps, err := workflow.Progress(run)
			return &Outcome{Run: run, Steps: steps, Requests: world.requests}, err
		}
	}
	return nil, fmt.Errorf("the run waited %d times without coming to an end", maxWaits)
}

// next lets the next thing happen: somebody answers, or the clock jumps to what
// is due first. over says that the run has ended, or that nothing will happen.
func (w *world) next(ctx context.Context, clock *clocktesting.FakeClock) (over bool, err error) {
	runs, err := w.ListRuns(ctx, w.tenant, store.RunFilter{})
	if err != nil {
		return false, err
	}
	due := time.Time{}
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
	for _, r := range runs {
		detail, err := w.Run(ctx, w.tenant, r.ID)
		if err != nil {
			return false, err
		}
		if answered, err := w.people(ctx, detail, due, clock); err != nil || answered {
			return false, err
		}
	}
	if due.Sub(w.given.now()) > forever {
		return true, nil
	}
	if due.After(clock.Now()) {
		clock.SetTime(due)
	}
	return false, nil
}

// forever is longer than any run takes: what is due then waits for somebody.
const forever = 20 * 366 * 24 * time.Hour

func (g Given) now() time.Time {
	if g.Now.IsZero() {
		return defaultNow
	}
	return g.Now.UTC()
}

// begin stores the Workflow and its run.
func begin(ctx context.Context, world *world, w *Workflow, when When, clock *clocktesting.FakeClock) (id string, err error) {
	g := world.given
	subject := w.Definition.Subject == workflow.SubjectPerson
	switch {
	case subject && (g.Person == nil || g.Person.Email == ""):
		return "", errors.New("the Workflow runs for a person: give one with an email")
	case !subject && g.Person != nil:
		return "", errors.New("the Workflow does not run for a person: its trigger has no subject; leave the person out")
	}
	o := g.Organization
	if err := world.SetTenantFacts(ctx, world.tenant, store.TenantFacts{DisplayName: o.DisplayName, Domains: o.Domains, TimeZone: o.TimeZone, Workday: store.WorkdayFacts{End: o.EndOfDay}}); err != nil {
		return "", err
	}
	state, err := world.put(ctx, w)
	for _, called := range w.calls {
		if err == nil {
			_, err = world.put(ctx, called)
		}
	}
	if err != nil {
		return "", err
	}
	event := map[string]any{"kind": cmp.Or(when.Event.Kind, w.Trigger), "data": when.Event.Data}
	if when.Event.Data == nil {
		event["data"] = map[string]any{}
	}
	start := workflow.Beginning{Event: event, Input: when.Input, Why: "started by a test", DryRun: w.Spec.DryRun}
	run := store.NewRun{Kind: workflow.KindWorkflow, Name: w.Name, Revision: state.Revision, TriggerKind: w.Trigger, TriggerKey: trigger, Priority: workflow.PriorityOf(state.Direction, true)}
	if subject {
		p := view(*g.Person)
		start.Person, run.PersonID, run.Subject = &p, p.ID, p.Email
	}
	vars, err := start.Vars(ctx, world, world.tenant)
	if err == nil {
		run.Vars, err = json.Marshal(vars)
	}
	var at time.Time
	if err == nil {
		at, err = startAt(w, vars, workflow.ClocksOf(store.TenantFacts{TimeZone: o.TimeZone, Workday: store.WorkdayFacts{End: o.EndOfDay}}, zoneOf(g.Person)), clock.Now())
	}
	if err != nil {
		return "", err
	}
	clock.SetTime(at) // a run begins to be when it starts
	r, _, err := world.StartRun(ctx, world.tenant, run, store.Decider{Actor: "test", Kind: model.ActorUser})
	return r.ID, err
}

// put stores a Workflow as its controller does.
func (w *world) put(ctx context.Context, wf *Workflow) (store.WorkflowState, error) {
	definition, err := wf.Definition.Marshal()
	if err != nil {
		return store.WorkflowState{}, err
	}
	return w.PutWorkflow(ctx, w.tenant, store.WorkflowState{
		Name: wf.Name, TriggerKind: wf.Trigger, Subject: wf.Definition.Subject, Direction: string(wf.Spec.Direction), State: store.WorkflowReady, DryRun: wf.Spec.DryRun,
	}, definition)
}

func zoneOf(p *Person) string {
	if p == nil {
		return ""
	}
	return p.TimeZone
}

// startAt is the moment of spec.at, or now.
func startAt(w *Workflow, vars map[string]any, clocks workflow.Clocks, now time.Time) (time.Time, error) {
	at := w.Spec.At
	if at == nil {
		return now, nil
	}
	date, err := expr.Workflow{}.Value(w.Definition.Subject, string(at.Date))
	if err != nil {
		return now, fmt.Errorf("spec.at.date: %w", err)
	}
	v, err := date(workflow.Scope(vars, now))
	if err != nil {
		return now, fmt.Errorf("spec.at.date: %w", err)
	}
	t, err := workflow.Moment{OffsetDays: int(at.OffsetDays), Time: at.Time, Zone: string(at.Zone)}.Instant(v, clocks)
	if err != nil {
		return now, fmt.Errorf("spec.at: %w", err)
	}
	if t.Before(now) {
		return now, nil
	}
	return t, nil
}

// people lets those answer who are asked now, at their time.
func (w *world) people(ctx context.Context, run store.RunDetail, due time.Time, clock *clocktesting.FakeClock) (answered bool, err error) {
	for _, p := range run.Prompts {
		if p.State != store.PromptOpen || len(p.Messages) == 0 {
			continue
		}
		step := w.named(run.Run, p.StepPath)
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

// Asked lists the questions of a run, in order.
func (o *Outcome) Asked() []ExpectedQuestion {
	out := []ExpectedQuestion{}
	for _, p := range o.Run.Prompts {
		q := ExpectedQuestion{Step: workflow.StepName(p.StepPath), Answer: p.Answer}
		for _, a := range p.Assignees {
			q.To = append(q.To, a.Email)
		}
		slices.Sort(q.To)
		out = append(out, q)
	}
	return out
}
