// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package trigger

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"time"

	"github.com/seatkeeper/seatkeeper/internal/expr"
	"github.com/seatkeeper/seatkeeper/internal/model"
	"github.com/seatkeeper/seatkeeper/internal/store"
	"github.com/seatkeeper/seatkeeper/internal/tokens"
	"github.com/seatkeeper/seatkeeper/internal/workflow"
)

// Outcome is what an event would lead to.
type Outcome string

// Outcomes.
const (
	OutcomeStarts  Outcome = "Starts"  // a run starts
	OutcomeWaits   Outcome = "Waits"   // a run starts later
	OutcomeHeld    Outcome = "Held"    // the guard holds it
	OutcomeSkipped Outcome = "Skipped" // no run starts, and `seatkeeper starts` says why
	OutcomeNothing Outcome = "Nothing" // spec.when says that it is none of the Workflow's
)

// Rehearsal is what an event would lead to, had it come now.
type Rehearsal struct {
	Outcome Outcome `json:"outcome"`
	Reason  string  `json:"reason,omitempty"`
	Message string  `json:"message,omitempty"`
	// Due is when a run that waits for its moment starts.
	Due    *time.Time       `json:"due,omitempty"`
	Person *RehearsedPerson `json:"person,omitempty"`
	When   *RehearsedWhen   `json:"when,omitempty"`
	Guard  *RehearsedGuard  `json:"guard,omitempty"`
}

// RehearsedPerson is whom the run would be about.
type RehearsedPerson struct {
	ID          string `json:"id,omitempty"` // of somebody who is known
	Email       string `json:"email,omitempty"`
	DisplayName string `json:"displayName,omitempty"`
	// By is the field that decided, and Value what the body says there.
	By    string `json:"by"`
	Value string `json:"value"`
	// Created: nobody has it, and the person would be made of Fields.
	Created bool              `json:"created"`
	Fields  map[string]string `json:"fields,omitempty"`
}

// RehearsedWhen is how spec.when came out, and what it read.
type RehearsedWhen struct {
	Expression string          `json:"expression"`
	Result     bool            `json:"result"`
	Error      string          `json:"error,omitempty"`
	Reads      []RehearsedRead `json:"reads,omitempty"`
}

// RehearsedRead is a value that a condition read.
type RehearsedRead struct {
	Path  string `json:"path"`
	Value any    `json:"value"`
	// Absent: there is no such field.
	Absent bool `json:"absent,omitempty"`
}

// RehearsedGuard is how many runs the guard lets start.
type RehearsedGuard struct {
	Allowed int64  `json:"allowed"`
	Started int64  `json:"started"`
	Per     string `json:"per"`
}

// errRehearsal is what a rehearsal that would change something is told.
var errRehearsal = errors.New("a rehearsal starts nothing")

// unchanged is a store to which nothing is written.
type unchanged struct{ Store }

func (unchanged) ApplyStarts(context.Context, model.TenantID, store.StartBatch) (int, error) {
	return 0, errRehearsal
}

func (unchanged) RecheckStarts(context.Context, model.TenantID, []string) error { return errRehearsal }

func (unchanged) AddWebhookPerson(context.Context, model.TenantID, store.WebhookPerson) (string, error) {
	return "", errRehearsal
}

// Rehearse decides about the event of a Workflow's webhook as the Starter would,
// and starts nothing: no run, no wait, nobody is made known.
func Rehearse(ctx context.Context, st Store, lang workflow.Language, tenant model.TenantID, state store.WorkflowState, e model.Event, now time.Time) (out Rehearsal, err error) {
	not := func(reason, format string, args ...any) (Rehearsal, error) {
		return Rehearsal{Outcome: OutcomeSkipped, Reason: reason, Message: fmt.Sprintf(format, args...)}, nil
	}
	if state.Trigger == "" {
		return not(ReasonNotReady, "Workflow %q cannot run: %s", state.Name, cmp.Or(state.Message, "it was not checked yet"))
	}
	s := NewStarter(Starter{Store: unchanged{st}, Language: lang, Log: slog.New(slog.NewTextHandler(io.Discard, nil))})
	var spec Spec
	if err := json.Unmarshal([]byte(state.Trigger), &spec); err != nil {
		return out, fmt.Errorf("read the trigger of Workflow %q: %w", state.Name, err)
	}
	w, err := compile(state, spec, lang)
	if err != nil {
		return not(ReasonNotReady, "Workflow %q cannot run: %v", state.Name, err)
	}
	f, ok, err := w.fact(e)
	if err != nil {
		return out, err
	}
	if !ok {
		return not(ReasonNotReady, "Workflow %q has no webhook", state.Name)
	}
	l := &look{Starter: s, tenant: tenant, now: now}
	blocked, takes := w.open(f, now)
	w.Suspended, w.State = false, store.WorkflowReady // what then?
	if err := l.rehearse(ctx, w, f, &out); err != nil {
		return out, err
	}
	if !takes && out.Outcome != OutcomeSkipped && out.Outcome != OutcomeNothing {
		out.Outcome, out.Reason, out.Message = OutcomeWaits, blocked.reason, blocked.message
	}
	return out, nil
}

func (l *look) rehearse(ctx context.Context, w *watch, f fact, out *Rehearsal) error {
	who, _, found, err := w.find(ctx, l.Store, l.tenant, f, l.now)
	if err != nil {
		return err
	}
	if found {
		out.Person = w.rehearsed(who, f)
		if out.When, err = l.rehearsedWhen(ctx, w, f, who); err != nil {
			return err
		}
	}
	c, v, ok, err := l.consider(ctx, w, f)
	switch {
	case err != nil:
		return err
	case !ok && v.drop:
		out.Outcome, out.Message = OutcomeNothing, "spec.when is false"
		return nil
	case !ok:
		out.Outcome, out.Reason, out.Message = OutcomeSkipped, v.reason, v.message
		if v.state == store.StartWaiting {
			out.Outcome = OutcomeWaits
		}
		if !v.due.IsZero() {
			out.Due = &v.due
		}
		return nil
	}
	start, _, err := l.guard(ctx, w, []candidate{c})
	if err != nil {
		return err
	}
	out.Outcome = OutcomeStarts
	if g := w.spec.Guard; g != nil {
		allowed, err := l.allowed(ctx, w)
		if err != nil {
			return err
		}
		out.Guard = &RehearsedGuard{Allowed: allowed, Per: g.Per.String()}
		for _, n := range l.out.Counted {
			out.Guard.Started = n.N
		}
	}
	if len(start) == 0 {
		out.Outcome, out.Reason = OutcomeHeld, ReasonGuardHeld
		out.Message = fmt.Sprintf("the guard lets %d runs start in %s, and %d have started", out.Guard.Allowed, out.Guard.Per, out.Guard.Started)
	}
	return nil
}

// rehearsed describes whom a body is about; nil: nobody.
func (w *watch) rehearsed(who subject, f fact) *RehearsedPerson {
	p := who.view()
	if p == nil {
		return nil
	}
	out := &RehearsedPerson{ID: p.ID, Email: p.Email, DisplayName: p.DisplayName, Created: who.made != nil}
	for i, m := range w.spec.Webhook.Match { // as findByBody does
		if value, err := text(w.match[i], map[string]any{localBody: f.data["body"]}); err == nil && value != "" {
			out.By, out.Value = m.Field, value
			break
		}
	}
	if who.made == nil {
		return out
	}
	out.Fields = map[string]string{}
	for name, field := range setters {
		if value := *field(who.made); value != "" {
			out.Fields[name] = value
		}
	}
	for name, value := range who.made.Custom {
		out.Fields[customPrefix+name] = fmt.Sprint(value)
	}
	return out
}

// rehearsedWhen evaluates spec.when and what it reads; nil: there is none.
func (l *look) rehearsedWhen(ctx context.Context, w *watch, f fact, who subject) (*RehearsedWhen, error) {
	if w.when == nil {
		return nil, nil
	}
	all, err := workflow.Beginning{Event: f.event(), Person: who.view(), Why: why(f)}.Vars(ctx, l.Store, l.tenant)
	if err != nil {
		return nil, err
	}
	scope := workflow.Scope(all, l.now)
	out := &RehearsedWhen{Expression: w.spec.When}
	if out.Result, err = w.when(scope); err != nil {
		out.Error = err.Error()
	}
	for _, root := range [][]string{{"person"}, {"event", "data", "body"}} {
		for _, use := range expr.PathUses(w.spec.When, root...) {
			if read, ok := reads(w, l.Language, root, use.Path, scope); ok && !slices.ContainsFunc(out.Reads, func(r RehearsedRead) bool { return r.Path == read.Path }) {
				out.Reads = append(out.Reads, read)
			}
		}
	}
	return out, nil
}

// reads evaluates a path; false: it is no single value that people can read.
func reads(w *watch, lang workflow.Language, root, parts []string, scope map[string]any) (RehearsedRead, bool) {
	if slices.Contains(parts, expr.AnyItem) {
		return RehearsedRead{}, false
	}
	at := tokens.Path{Parts: append(slices.Clone(root[1:]), parts...)}.Expression(root[0])
	value, err := lang.Value(w.spec.Subject, at)
	if err != nil {
		return RehearsedRead{}, false
	}
	v, err := value(scope)
	if err != nil {
		return RehearsedRead{Path: at, Absent: true}, true
	}
	switch v.(type) {
	case nil, string, bool, int64, float64, time.Time:
		return RehearsedRead{Path: at, Value: v}, true
	}
	return RehearsedRead{}, false
}
