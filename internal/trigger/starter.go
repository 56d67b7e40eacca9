// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package trigger

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"time"

	"k8s.io/utils/clock"

	"github.com/seatkeeper/seatkeeper/internal/defect"
	"github.com/seatkeeper/seatkeeper/internal/failpoint"
	"github.com/seatkeeper/seatkeeper/internal/model"
	"github.com/seatkeeper/seatkeeper/internal/store"
	"github.com/seatkeeper/seatkeeper/internal/workflow"
)

const (
	pollBusy = time.Second
	pollIdle = 2 * time.Second
	// batch is how many events, or starts, one look takes.
	batch = 500
	// maxRounds is how many such looks follow each other before others have a turn.
	maxRounds = 100
)

// Starter starts the runs of Workflows. One process of an installation runs it;
// two at once start no run twice, and no more than the guards allow.
type Starter struct {
	Store    Store
	Seats    Seats // unused ones
	Language workflow.Language
	Clock    clock.WithTicker
	Log      *slog.Logger
	// OnFailed is told of every fact of which nothing could be made now; nil: nobody is.
	OnFailed func(tenant model.TenantID, workflow string)
	// OnDefect is told whenever the program itself fails; nil: nobody is.
	OnDefect func()

	hint    chan struct{}
	watches map[watchKey]*watch
	// rechecked says that this process has looked again at what waited before it
	// was there: the rules of time zones may be others now.
	rechecked bool
	// seats is up to where the unused seats for a Workflow were looked at, where they
	// are too many for one look.
	seats map[watchKey]*model.SeatKey
	// resting are the tenants at which the program failed, and until when.
	resting map[model.TenantID]time.Time
}

// PersonMadeBeforeRun is the failpoint between the commit that makes somebody known
// and that of their run.
const PersonMadeBeforeRun = "person-made-before-run"

type watchKey struct {
	tenant model.TenantID
	name   string
}

// NewStarter returns a starter of what s says.
func NewStarter(s Starter) *Starter {
	s.hint, s.watches, s.seats, s.resting = make(chan struct{}, 1), map[watchKey]*watch{}, map[watchKey]*model.SeatKey{}, map[model.TenantID]time.Time{}
	return &s
}

// Hint says that something has happened.
func (s *Starter) Hint() {
	select {
	case s.hint <- struct{}{}:
	default: // one is there already
	}
}

// NeedLeaderElection tells controller-runtime that one starter is enough.
func (*Starter) NeedLeaderElection() bool { return true }

// Start starts runs until ctx ends.
func (s *Starter) Start(ctx context.Context) error {
	poll := s.Clock.NewTimer(0)
	defer poll.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-poll.C():
		case <-s.hint:
		}
		worked, err := s.Look(ctx)
		if err != nil && ctx.Err() == nil {
			s.Log.Error("Runs of Workflows cannot be started now", "error", err)
		}
		next := pollIdle
		if worked {
			next = pollBusy
		}
		poll.Stop()
		poll.Reset(next)
	}
}

// Look handles everything that may be handled now. The error is the store's; that
// of one tenant keeps no other waiting.
func (s *Starter) Look(ctx context.Context) (worked bool, err error) {
	if !s.rechecked {
		if err := s.Store.RecheckMoments(ctx); err != nil {
			return false, err
		}
		s.rechecked = true
	}
	for range maxRounds {
		if ctx.Err() != nil {
			return worked, ctx.Err()
		}
		tenants, err := s.Store.TriggerWork(ctx)
		if err != nil || len(tenants) == 0 {
			return worked, err
		}
		tenants = slices.DeleteFunc(tenants, s.rests)
		if len(tenants) == 0 {
			return worked, nil
		}
		worked = true
		var failed []error
		for _, tenant := range tenants {
			err := defect.Guard(func() error { return s.tenant(ctx, tenant) })
			if defect.Is(err) {
				s.Log.Error("What starts the runs of a tenant failed and is tried again in a minute", append([]any{"tenant", tenant}, defect.Attrs(err)...)...)
				s.resting[tenant] = s.Clock.Now().Add(lookAgain)
				s.defect(err)
			} else if err != nil {
				failed = append(failed, fmt.Errorf("tenant %d: %w", tenant, err))
			}
		}
		if len(failed) > 0 {
			return worked, errors.Join(failed...)
		}
	}
	return worked, nil // the next look goes on
}

// defect counts a failure of the program itself.
func (s *Starter) defect(err error) {
	if defect.Is(err) && s.OnDefect != nil {
		s.OnDefect()
	}
}

// rests reports that the program failed at a tenant a moment ago.
func (s *Starter) rests(tenant model.TenantID) bool {
	until, ok := s.resting[tenant]
	if ok && !s.Clock.Now().Before(until) {
		delete(s.resting, tenant)
		return false
	}
	return ok
}

// tenant takes one look at what happened in a tenant.
func (s *Starter) tenant(ctx context.Context, tenant model.TenantID) error {
	for range 5 {
		err := s.look(ctx, tenant)
		if !errors.Is(err, store.ErrStartsMoved) {
			return err
		}
	}
	return store.ErrStartsMoved
}

// look gathers what happened, decides, and writes what it led to.
func (s *Starter) look(ctx context.Context, tenant model.TenantID) error {
	watches, err := s.load(ctx, tenant)
	if err != nil {
		return err
	}
	events, err := s.Store.NewEvents(ctx, tenant, batch)
	if err != nil {
		return err
	}
	if err := s.Store.RecheckStarts(ctx, tenant, changedPeople(events)); err != nil {
		return err
	}
	due, err := s.Store.DueStarts(ctx, tenant, batch)
	if err != nil {
		return err
	}
	l := &look{Starter: s, tenant: tenant, now: s.Clock.Now()}
	for _, e := range events {
		l.out.Handled = append(l.out.Handled, e.ID)
	}
	for _, w := range watches {
		facts, err := l.facts(ctx, w, events, due)
		if err != nil {
			return err
		}
		if !w.ScanAt.IsZero() && !l.now.Before(w.ScanAt) {
			if facts, err = l.scan(ctx, w, facts); err != nil {
				return err
			}
		}
		if len(facts) > 0 {
			if err := l.workflow(ctx, w, facts); err != nil {
				return fmt.Errorf("start the runs of Workflow %q: %w", w.Name, err)
			}
		}
	}
	l.orphans(watches, due)
	if _, err = s.Store.ApplyStarts(ctx, tenant, l.out); err == nil {
		l.tell()
	}
	return err
}

// changedPeople are those of whom something changed.
func changedPeople(events []model.Event) (ids []string) {
	for _, e := range events {
		switch e.Kind {
		case model.EventPersonChanged, model.EventPersonLeft, model.EventPersonJoined:
			ids = append(ids, e.Subject)
		}
	}
	slices.Sort(ids)
	return slices.Compact(ids)
}

// load returns the Workflows that something else than a person starts.
func (s *Starter) load(ctx context.Context, tenant model.TenantID) ([]*watch, error) {
	states, err := s.Store.ListWorkflows(ctx, tenant)
	if err != nil {
		return nil, err
	}
	s.forget(tenant, states)
	var out []*watch
	for _, state := range states {
		if state.Trigger == "" {
			continue
		}
		key := watchKey{tenant, state.Name}
		if w := s.watches[key]; w != nil && w.Trigger == state.Trigger {
			known := *w
			known.WorkflowState = state
			out = append(out, &known)
			continue
		}
		var spec Spec
		if err := json.Unmarshal([]byte(state.Trigger), &spec); err != nil {
			return nil, fmt.Errorf("read the trigger of Workflow %q: %w", state.Name, err)
		}
		w, err := compile(state, spec, s.Language)
		if err != nil { // its controller says so too; what happens meanwhile waits
			s.Log.Error("The trigger of a Workflow does not compile; what it answers waits", "workflow", state.Name, "error", err)
			out = append(out, &watch{WorkflowState: state, spec: spec, broken: err.Error()})
			continue
		}
		s.watches[key] = w
		out = append(out, w)
	}
	return out, nil
}

// forget drops what is kept of Workflows that are gone.
func (s *Starter) forget(tenant model.TenantID, states []store.WorkflowState) {
	gone := func(k watchKey) bool {
		return k.tenant == tenant && !slices.ContainsFunc(states, func(w store.WorkflowState) bool { return w.Name == k.name })
	}
	maps.DeleteFunc(s.watches, func(k watchKey, _ *watch) bool { return gone(k) })
	maps.DeleteFunc(s.seats, func(k watchKey, _ *model.SeatKey) bool { return gone(k) })
}

// look is one look at a tenant.
type look struct {
	*Starter
	tenant model.TenantID
	now    time.Time
	people int64 // in the directory; 0 until counted
	out    store.StartBatch
	// failures are the facts of which nothing could be made.
	failures []failure
}

// facts are what concerns a Workflow: of each key the start that waits, or else
// what has just come.
func (l *look) facts(ctx context.Context, w *watch, events []model.Event, due []store.WorkflowStart) ([]fact, error) {
	var out []fact
	for _, row := range due {
		if row.Workflow != w.Name {
			continue
		}
		f, err := waiting(row)
		if err != nil {
			return nil, err
		}
		if !w.answers(f) {
			l.note(ctx, w, f, verdict{drop: true})
			continue
		}
		out = append(out, f)
	}
	fresh := map[string]fact{}
	var keys []string
	for _, e := range events {
		found, err := w.facts(e)
		if err != nil { // what was stored is not what is read: a defect, and no reason to hold up others
			l.Log.Error("An event cannot be read and starts nothing", "workflow", w.Name, "event", e.ID, "error", err)
			continue
		}
		for _, f := range found {
			have, twice := fresh[f.key]
			if !twice {
				keys = append(keys, f.key)
			}
			// That somebody came or left is more than the date on which they were to.
			if !twice || have.dated() && !f.dated() {
				fresh[f.key] = f
			}
		}
	}
	if len(keys) == 0 {
		return out, nil
	}
	started, err := l.Store.StartedKeys(ctx, l.tenant, w.Name, keys)
	if err != nil {
		return nil, err
	}
	for _, key := range keys {
		f := fresh[key]
		at := slices.IndexFunc(out, func(row fact) bool { return row.key == key })
		switch {
		case started[key]:
		case at < 0:
			out = append(out, f)
		case out[at].dated() && !f.dated():
			out[at] = f
		}
	}
	return out, nil
}

// orphans ends starts whose Workflow has no trigger any more.
func (l *look) orphans(watches []*watch, due []store.WorkflowStart) {
	for _, row := range due {
		if !slices.ContainsFunc(watches, func(w *watch) bool { return w.Name == row.Workflow }) {
			l.out.Dropped = append(l.out.Dropped, row)
			l.out.Holds = append(l.out.Holds, store.Hold{HoldSubject: store.WorkflowHold(row.Workflow), Reason: ReasonGuardHeld})
		}
	}
}

// note writes down what becomes of a fact that starts nothing now.
func (l *look) note(ctx context.Context, w *watch, f fact, v verdict) {
	switch {
	case !v.drop:
		if f.label == "" && f.person != "" {
			if p, err := l.Store.Person(ctx, l.tenant, f.person); err == nil { // else it has no name that people know
				f.label = or(p.Email, p.DisplayName)
			}
		}
		l.out.Starts = append(l.out.Starts, f.start(w.Name, v))
	case f.row != nil:
		l.out.Dropped = append(l.out.Dropped, *f.row)
	}
}

// workflow decides about the facts of one Workflow.
func (l *look) workflow(ctx context.Context, w *watch, facts []fact) error {
	var candidates []candidate
	for _, f := range facts {
		c, v, ok := candidate{fact: f}, verdict{}, false
		err := defect.Guard(func() (err error) { c, v, ok, err = l.consider(ctx, w, f); return err })
		if err != nil {
			if err = l.failed(ctx, w, c.fact, err); err != nil {
				return err
			}
			continue
		}
		if !ok {
			l.note(ctx, w, c.fact, v)
			continue
		}
		candidates = append(candidates, c)
	}
	start, held, err := l.guard(ctx, w, candidates)
	if err != nil {
		return err
	}
	for _, c := range start {
		run, v := store.NewRun{}, verdict{}
		err := defect.Guard(func() (err error) { run, v, err = c.begin(); return err })
		if err != nil {
			if err = l.failed(ctx, w, c.fact, err); err != nil {
				return err
			}
			continue
		}
		if !v.start {
			l.note(ctx, w, c.fact, v)
			continue
		}
		if c.released() {
			run.MayTake = c.accounts
		}
		l.out.Runs = append(l.out.Runs, run)
	}
	// What is held is written for a Workflow that is there, too.
	l.out.Of = append(l.out.Of, w.WorkflowState)
	return l.hold(ctx, w, held)
}

// consider looks at one fact: whether a run about it may start.
func (l *look) consider(ctx context.Context, w *watch, f fact) (c candidate, v verdict, ok bool, err error) {
	c.fact = f
	if v, ok = w.open(f, l.now); !ok {
		return c, v, false, nil
	}
	who, v, ok, err := l.who(ctx, w, f)
	f.label = who.label(f.label)
	c.fact = f
	if err != nil || !ok {
		return c, v, false, err
	}
	if who.known != nil && !f.stands(*who.known) {
		return c, verdict{drop: true}, false, nil
	}
	begin := workflow.Beginning{Event: f.event(), Person: who.view(), App: who.app, Contract: who.contract, License: who.license, About: who.about, Why: why(f), DryRun: w.DryRun}
	all, err := begin.Vars(ctx, l.Store, l.tenant)
	if err != nil {
		return c, v, false, err
	}
	clocks, err := l.clocks(ctx, w.momentOf(f), all)
	if err != nil {
		return c, v, false, err
	}
	if v = w.decide(f, l.now, all, clocks); !v.start {
		return c, v, false, nil
	}
	return candidate{fact: f, accounts: who.accounts(), begin: func() (store.NewRun, verdict, error) { return l.begin(ctx, w, f, who, begin, all) }}, v, true, nil
}

// who finds whom or what a fact is about.
func (l *look) who(ctx context.Context, w *watch, f fact) (subject, verdict, bool, error) {
	if workflow.HasApp(w.spec.Subject) {
		return l.about(ctx, w, f)
	}
	return w.find(ctx, l.Store, l.tenant, f, l.now)
}

// why says, for people, why a run was started.
func why(f fact) string {
	out := "started by " + f.kind
	if f.source != "" {
		out += " of " + f.source
	}
	return out
}

// begin makes the run of a fact. Somebody whom it makes known is stored first;
// that the run starts after it is sure, because until then the event stays.
func (l *look) begin(ctx context.Context, w *watch, f fact, who subject, begin workflow.Beginning, all map[string]any) (run store.NewRun, v verdict, err error) {
	if who.made != nil {
		by := store.Decider{Actor: workflow.KindWorkflow + "/" + w.Name, Kind: model.ActorSystem, Reason: "webhook event " + f.label}
		id, err := l.Store.AddWebhookPerson(ctx, l.tenant, store.WebhookPerson{Workflow: w.Name, Person: *who.made, By: by})
		if errors.Is(err, store.ErrAmbiguousPerson) {
			return run, wait(l.now.Add(time.Hour), ReasonAmbiguous, "the body may describe several people: `seatkeeper people --reviews` lists whom"), nil
		}
		if err != nil {
			return run, v, err
		}
		failpoint.Hit(PersonMadeBeforeRun)
		p, err := l.Store.Person(ctx, l.tenant, id)
		if err != nil {
			return run, v, err
		}
		who.known, begin.Person = &p, &p
		if all, err = begin.Vars(ctx, l.Store, l.tenant); err != nil {
			return run, v, err
		}
	}
	vars, err := json.Marshal(all)
	if err != nil {
		return run, v, fmt.Errorf("start a run: %w", err)
	}
	urgent := w.spec.Realtime != nil || w.spec.Webhook != nil
	run = store.NewRun{
		Kind: workflow.KindWorkflow, Name: w.Name, Revision: w.Revision, TriggerKind: w.TriggerKind, TriggerKey: f.key, Subject: clip(f.label),
		Cause: fmt.Sprintf("%s/%s revision %d, %s", workflow.KindWorkflow, w.Name, w.Revision, f.key), Vars: vars, Priority: workflow.PriorityOf(w.Direction, urgent),
	}
	if who.known != nil {
		run.PersonID = who.known.ID
	}
	return run, verdict{start: true}, nil
}
