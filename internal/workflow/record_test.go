// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package workflow

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/seatkeeper/seatkeeper/internal/expr"
	"github.com/seatkeeper/seatkeeper/internal/model"
	"github.com/seatkeeper/seatkeeper/internal/notify"
	"github.com/seatkeeper/seatkeeper/internal/store"
)

// paused is a directory whose look-ups wait until they are told to go on.
type paused struct {
	*world
	entered, leave chan struct{}
}

func (p *paused) ByEmail(ctx context.Context, tenant model.TenantID, email string) ([]store.Assignee, bool, error) {
	p.entered <- struct{}{}
	<-p.leave
	return p.world.ByEmail(ctx, tenant, email)
}

// whileLookingUp starts a run of wf whose first step looks somebody up, has
// meanwhile done while it does, and runs it to its first wait.
func (k *kit) whileLookingUp(meanwhile func(id string)) {
	k.t.Helper()
	p := &paused{k.world, make(chan struct{}, 9), make(chan struct{})}
	k.engine = k.newEngine(func(o *Options) { o.Language, o.People = expr.Workflow{}, p })
	r, _, err := Start(k.t.Context(), k.store, k.tenant, StartRequest{Workflow: "wf", Key: "k", By: store.Decider{Actor: "test", Kind: model.ActorUser}})
	if err != nil {
		k.t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() {
		ctx, cancel := context.WithTimeout(k.t.Context(), 30*time.Second)
		defer cancel()
		done <- k.engine.Settle(ctx)
	}()
	<-p.entered
	if _, err := k.store.StopRun(k.t.Context(), k.tenant, r.ID, store.Decider{Actor: "mia"}); err != nil {
		k.t.Fatal(err)
	}
	meanwhile(r.ID)
	close(p.leave)
	if err := <-done; err != nil {
		k.t.Fatal(err)
	}
}

func (k *kit) verb(id string, v Verb) {
	k.t.Helper()
	v.By = store.Decider{Actor: "mia", Kind: model.ActorUser}
	if _, err := Do(k.t.Context(), k.store, k.tenant, id, v, expr.Workflow{}); err != nil {
		k.t.Fatal(err)
	}
}

func tellsIT() Step {
	return Step{Name: "tell", OnError: OnErrorContinue, Notify: &NotifyStep{To: []Recipient{{Email: "it@acme.example"}}, Text: "x"}}
}

// What was found out for a step is not for the one to which a person has sent
// the run meanwhile.
func TestLookUpIsForItsStepAlone(t *testing.T) {
	eachStore(t, func(t *testing.T, k *kit) {
		k.put(Definition{Language: LanguageCEL, Steps: []Step{waits("pause", Hours(1))}}, named("child"))
		k.put(Definition{Language: LanguageCEL, Steps: []Step{tellsIT(), runs("call", "child", nil)}})
		k.whileLookingUp(func(id string) { k.verb(id, Verb{Kind: VerbSkip}) })
		k.stand("wf", "waiting WaitingForRun")
	})
}

// A run that was resumed in another revision does what that one says, though a
// look-up of the old one was under way.
func TestResumedInAnotherRevisionWhileLookingUp(t *testing.T) {
	eachStore(t, func(t *testing.T, k *kit) {
		k.put(Definition{Language: LanguageCEL, Steps: []Step{tellsIT(), ticket("act", "old")}})
		k.whileLookingUp(func(id string) {
			k.put(Definition{Language: LanguageCEL, Steps: []Step{tellsIT(), ticket("act", "new")}})
			k.verb(id, Verb{Kind: VerbResume, ToRevision: 2})
		})
		k.expect(store.RunSucceeded, store.OutcomeUndelivered, "")
		k.want("tickets", k.tickets(), []string{"new"})
	})
}

// crashing is a channel with a defect.
type crashing struct{ Slack }

func (crashing) Send(string, string, notify.Question) (Call, error) { panic("index out of range") }

// A crash in the decision about one run hands that run to a person; others, the
// process and what is counted go on.
func TestCrashParksOnlyItsRun(t *testing.T) {
	eachStore(t, func(t *testing.T, k *kit) {
		defects := 0
		k.engine = k.newEngine(func(o *Options) {
			o.Language, o.Channels, o.OnDefect = expr.Workflow{}, []Channel{crashing{}}, func() { defects++ }
		})
		k.put(Definition{Language: LanguageCEL, Steps: []Step{{Name: "tell", Notify: &NotifyStep{To: []Recipient{{Email: "mia@acme.example"}}, Text: "x"}}}})
		k.put(Definition{Language: LanguageCEL, Steps: []Step{ticket("act", "other")}}, named("other"))
		for _, name := range []string{"wf", "other"} {
			if _, _, err := Start(t.Context(), k.store, k.tenant, StartRequest{Workflow: name, Key: "k", By: store.Decider{Actor: "test", Kind: model.ActorUser}}); err != nil {
				t.Fatal(err)
			}
		}
		k.settle()
		k.stand("other", "succeeded")
		if r := k.stand("wf", "attention Defect"); strings.Contains(r.Message, "index") || strings.Contains(r.Message, "goroutine") || !strings.Contains(r.Message, "log") {
			t.Errorf("people read %q", r.Message)
		}
		if defects != 1 {
			t.Errorf("%d defects are counted", defects)
		}
	})
}

// refusing is a store that does not take what becomes of runs while err is set.
type refusing struct {
	*store.Store
	err   error
	times int // how often, and then it does; below 0: for ever
}

func (f *refusing) AdvanceRuns(ctx context.Context, l store.Leases, keys []store.RunKey, decide func(time.Time, store.LoadedRun) (*store.RunChange, error)) error {
	if f.err == nil || f.times == 0 {
		return f.Store.AdvanceRuns(ctx, l, keys, decide)
	}
	f.times--
	return f.err
}

// sentInto has a call made whose outcome the store will not take at first.
func (k *kit) sentInto(err error, times int) *refusing {
	k.t.Helper()
	f := &refusing{Store: k.store}
	k.engine = k.newEngine(func(o *Options) { o.Store = f })
	raw, _ := one("ticket.create", nil).Marshal()
	if _, err := k.store.CreateRuns(k.t.Context(), k.tenant, []store.NewRun{{Kind: "Workflow", Name: "w", TriggerKind: "manual", TriggerKey: "1", Definition: raw}}); err != nil {
		k.t.Fatal(err)
	}
	k.vendor.onCall = func(c Call) {
		if c.Action == "ticket.create" {
			f.err, f.times = err, times
		}
	}
	ctx, cancel := context.WithCancel(k.t.Context())
	defer cancel()
	if err := k.engine.start(ctx); err != nil {
		k.t.Fatal(err)
	}
	k.engine.tick(ctx)
	for range 2 { // what the action is, and its outcome
		k.engine.commit(ctx, k.engine.collect(<-k.engine.results))
	}
	return f
}

// The outcome of a call is kept while the database is away, however long.
func TestOutcomeOutlastsAnOutage(t *testing.T) {
	eachStore(t, func(t *testing.T, k *kit) {
		f := k.sentInto(fmt.Errorf("advance runs: begin: %w", driver.ErrBadConn), -1)
		for range 90 { // far beyond the lease, the deadline and the grace
			k.clock.Step(time.Second)
			k.engine.tick(t.Context())
		}
		if r := k.run(); r.State != store.RunInFlight {
			t.Fatalf("the run is %s: %s", r.State, r.Message)
		}
		f.err = nil
		k.clock.Step(time.Second)
		k.settle()
		k.expect(store.RunSucceeded, "", "")
		k.effects(map[string]int{"ticket.create": 1})
		if n := k.audits()["ticket.create"]; n != 1 {
			t.Errorf("%d audit records", n)
		}
	})
}

// A step that the store refuses after its call was sent says so, and is not
// called a defect that could simply be repeated.
func TestRefusedOutcomeSaysThatItWasSent(t *testing.T) {
	eachStore(t, func(t *testing.T, k *kit) {
		k.sentInto(errors.New("value too long"), maxRefusals)
		for range maxRefusals {
			k.clock.Step(time.Second)
			k.engine.tick(t.Context())
		}
		r := k.expect(store.RunAttention, "", "OutcomeUnknown")
		if !strings.Contains(r.Message, "was sent, and ended as done") || !strings.Contains(r.Message, "value too long") {
			t.Errorf("people read %q", r.Message)
		}
		if n := k.audits()["ticket.create"]; n != 1 || r.Attempts[0].State != store.AttemptAmbiguous {
			t.Errorf("%d audit records, the attempt is %s", n, r.Attempts[0].State)
		}
	})
}

// A call is not sent once its time or the lease is over, by the clock.
func TestTimeIsLookedAtBeforeSending(t *testing.T) {
	eachStore(t, func(t *testing.T, k *kit) {
		if err := k.engine.start(t.Context()); err != nil {
			t.Fatal(err)
		}
		send := func(within time.Duration, meanwhile func()) bool {
			fx := &effect{call: &Call{Integration: "desk", Action: "ticket.create", IdemKey: "x"}, attempt: store.Attempt{StartedAt: k.clock.Now(), DeadlineAt: k.clock.Now().Add(within)}}
			meanwhile()
			return k.engine.call(t.Context(), k.tenant, fx).Sent
		}
		if !send(time.Minute, func() {}) {
			t.Error("not sent in time")
		}
		if send(time.Minute, func() { k.clock.Step(2 * time.Minute); k.engine.hold(t.Context()) }) {
			t.Error("sent after the attempt's deadline")
		}
		if send(time.Hour, func() { k.clock.Step(time.Minute) }) {
			t.Error("sent after the end of the lease")
		}
		k.effects(map[string]int{"ticket.create": 1})
	})
}

// A call that never left this process is tried again, whatever its class.
func TestNotSentIsTriedAgain(t *testing.T) {
	eachStore(t, func(t *testing.T, k *kit) {
		k.vendor.script("ticket.create", func(Call) (Result, error) {
			return Result{}, fmt.Errorf("open: %w", &NotSentError{errors.New("the API server is away")})
		})
		k.beginDefinition(one("ticket.create", nil))
		k.expect(store.RunWaiting, "", "Retrying")
		k.pass(time.Minute)
		k.expect(store.RunSucceeded, "", "")
		k.effects(map[string]int{"ticket.create": 1})
		if n := k.audits()["ticket.create"]; n != 1 {
			t.Errorf("%d audit records of one write", n)
		}
	})
}
