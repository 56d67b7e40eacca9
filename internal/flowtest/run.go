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
	if world.run, err = begin(ctx, world, w, when, clock.Now()); err != nil {
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
		run, err := st.Run(ctx, world.tenant, world.run)
		if err != nil {
			return nil, err
		}
		answered, err := world.people(ctx, run, clock)
		switch {
		case err != nil:
			return nil, err
		case answered:
			continue
		}
		if run.State.Ended() || run.State == store.RunAttention || run.DueAt.Sub(given.now()) > forever {
			steps, err := workflow.Progress(run)
			return &Outcome{Run: run, Steps: steps, Requests: world.requests}, err
		}
		if run.DueAt.After(clock.Now()) {
			clock.SetTime(run.DueAt)
		}
	}
	return nil, fmt.Errorf("the run waited %d times without coming to an end", maxWaits)
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
func begin(ctx context.Context, world *world, w *Workflow, when When, now time.Time) (id string, err error) {
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
	definition, err := w.Definition.Marshal()
	if err != nil {
		return "", err
	}
	state, err := world.PutWorkflow(ctx, world.tenant, store.WorkflowState{Name: w.Name, TriggerKind: w.Trigger, Subject: w.Definition.Subject, Direction: string(w.Spec.Direction), State: store.WorkflowReady}, definition)
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
	if err == nil {
		run.DueAt, err = startAt(w, vars, workflow.ClocksOf(store.TenantFacts{TimeZone: o.TimeZone, Workday: store.WorkdayFacts{End: o.EndOfDay}}, zoneOf(g.Person)), now)
	}
	if err != nil {
		return "", err
	}
	r, _, err := world.StartRun(ctx, world.tenant, run, store.Decider{Actor: "test", Kind: model.ActorUser})
	return r.ID, err
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
func (w *world) people(ctx context.Context, run store.RunDetail, clock *clocktesting.FakeClock) (answered bool, err error) {
	for _, p := range run.Prompts {
		if p.State != store.PromptOpen || len(p.Messages) == 0 {
			continue
		}
		step := workflow.StepName(p.StepPath)
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
			if run.DueAt.Before(at) && run.DueAt.After(clock.Now()) {
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
	for _, key := range []string{step, step[strings.LastIndexByte(step, '.')+1:]} {
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
		q := ExpectedQuestion{Step: workflow.StepName(p.StepPath), Answer: string(p.Answer)}
		for _, a := range p.Assignees {
			q.To = append(q.To, a.Email)
		}
		slices.Sort(q.To)
		out = append(out, q)
	}
	return out
}
