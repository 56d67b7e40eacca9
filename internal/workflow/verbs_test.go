// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package workflow

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/seatkeeper/seatkeeper/internal/expr"
	"github.com/seatkeeper/seatkeeper/internal/model"
	"github.com/seatkeeper/seatkeeper/internal/store"
)

// do uses a verb on the newest run and lets the engine go on.
func (k *kit) do(v Verb) error {
	k.t.Helper()
	v.By = store.Decider{Actor: "mia", Kind: model.ActorUser, Reason: "ticket 4711"}
	_, err := Do(k.t.Context(), k.store, k.tenant, k.run().ID, v, expr.Workflow{})
	if err == nil {
		k.settle()
	}
	return err
}

// refuses wants a verb to change nothing and to say why.
func (k *kit) refuses(v Verb, words ...string) {
	k.t.Helper()
	before := k.run()
	err := k.do(v)
	var not *VerbError
	if !errors.As(err, &not) {
		k.t.Fatalf("%+v: %v, want a refusal", v, err)
	}
	for _, w := range words {
		if !strings.Contains(err.Error(), w) {
			k.t.Errorf("%+v: %q does not say %q", v, err, w)
		}
	}
	if after := k.run(); after.Version != before.Version {
		k.t.Errorf("%+v was refused and changed the run", v)
	}
}

func (k *kit) stopRun() {
	k.t.Helper()
	if _, err := k.store.StopRun(k.t.Context(), k.tenant, k.run().ID, store.Decider{Actor: "mia", Kind: model.ActorUser}); err != nil {
		k.t.Fatal(err)
	}
	k.settle()
}

// A stopped run goes on where it was: a wait keeps its time, and what was done
// is not done again.
func TestResume(t *testing.T) {
	eachStore(t, func(t *testing.T, k *kit) {
		k.ada(nil)
		k.put(cel(ticket("one", "1"), waits("pause", Hours(10)), ticket("two", "${person.department}")))
		k.by("k")
		k.refuses(Verb{Kind: VerbResume}, "waiting", "only a stopped run")
		k.pass(4 * time.Hour)
		k.stopRun()
		k.expect(store.RunStopped, "stopped", "StopRequested")
		k.pass(2 * time.Hour)
		k.ada(func(p *model.Person) { p.Department = "Legal" })
		if err := k.do(Verb{Kind: VerbResume}); err != nil {
			t.Fatal(err)
		}
		if r := k.expect(store.RunWaiting, "", "Waiting"); !r.DueAt.Equal(start.Add(10*time.Hour)) || r.StopAt != nil || r.EndedAt != nil {
			t.Errorf("%+v", r.Run)
		}
		k.pass(4 * time.Hour)
		k.expect(store.RunSucceeded, "", "")
		k.want("tickets", k.texts(), []string{"1", "Legal"})
		if n := k.audits()["run.resume"]; n != 1 {
			t.Errorf("%d audit records", n)
		}
		k.refuses(Verb{Kind: VerbResume}, "succeeded")
		k.refuses(Verb{Kind: VerbRetry}, "succeeded")
		k.refuses(Verb{Kind: VerbSkip}, "succeeded")
	})
}

// A stopped run moves to another revision if its step is there, and not
// otherwise.
func TestResumeToRevision(t *testing.T) {
	eachStore(t, func(t *testing.T, k *kit) {
		k.ada(nil)
		k.put(cel(ticket("one", "1"), waits("pause", Hours(10)), ticket("two", "old")))
		k.by("k")
		k.put(cel(ticket("one", "1"), ticket("two", "new")))
		k.put(cel(ticket("one", "1"), waits("pause", Hours(1)), ticket("two", "newer")))
		k.put(Definition{Language: LanguageCEL, Steps: []Step{waits("pause", Hours(1))}})
		k.stopRun()
		k.refuses(Verb{Kind: VerbResume, ToRevision: 2}, `step "pause"`, "revision 2 has no step there")
		k.refuses(Verb{Kind: VerbResume, ToRevision: 4}, "another subject")
		k.refuses(Verb{Kind: VerbResume, ToRevision: 9}, "no revision 9")
		if err := k.do(Verb{Kind: VerbResume, ToRevision: 3}); err != nil {
			t.Fatal(err)
		}
		if r := k.expect(store.RunWaiting, "", "Waiting"); r.Revision != 3 || !r.DueAt.Equal(start.Add(time.Hour)) {
			t.Errorf("revision %d, due %s", r.Revision, r.DueAt)
		}
		k.pass(time.Hour)
		k.expect(store.RunSucceeded, "", "")
		k.want("tickets", k.texts(), []string{"1", "newer"})
	})
}

// A retry is a new effect, and does again what comes behind the step.
func TestRetryFromStep(t *testing.T) {
	eachStore(t, func(t *testing.T, k *kit) {
		k.ada(nil)
		failing := ticket("three", "3")
		failing.Action.Retry.MaxAttempts = 1
		k.vendor.infos["ticket.create"] = ActionInfo{Class: ClassIdempotent}
		third := func(c Call) (Result, error) {
			if c.Input["text"] == "3" {
				return Result{Class: ResultDenied, Sent: true, Message: "no"}, nil
			}
			return k.vendor.do(c), nil
		}
		for range 6 {
			k.vendor.script("ticket.create", third)
		}
		d := cel(ticket("one", "1"), ticket("two", "2"), failing, ticket("four", "4"))
		d.OnFailure = []Step{ticket("sorry", "sorry")}
		k.put(d)
		k.by("k")
		k.expect(store.RunFailed, "failed", "Denied")
		k.want("tickets", k.texts(), []string{"1", "2", "3", "sorry"})
		k.refuses(Verb{Kind: VerbResume}, "retry")
		k.refuses(Verb{Kind: VerbRetry, FromStep: "four"}, `not come to step "four"`)
		k.refuses(Verb{Kind: VerbRetry, FromStep: "five"}, `no step "five"`)
		if err := k.do(Verb{Kind: VerbRetry, FromStep: "two"}); err != nil {
			t.Fatal(err)
		}
		k.expect(store.RunFailed, "failed", "Denied")
		k.want("tickets", k.texts(), []string{"1", "2", "3", "sorry", "2", "3", "sorry"})
		k.vendor.script("ticket.create", func(c Call) (Result, error) { return k.vendor.do(c), nil })
		if err := k.do(Verb{Kind: VerbRetry}); err != nil {
			t.Fatal(err)
		}
		k.expect(store.RunSucceeded, "", "")
		k.want("steps", k.steps(), []string{"one done", "two done", "sorry done", "three done", "four done"})
		if n, doubled := k.vendor.count("ticket.create"); len(doubled) > 0 {
			t.Errorf("%d effects, doubled %v", n, doubled)
		}
	})
}

// A failed step can be passed over; the last one too.
func TestSkip(t *testing.T) {
	for name, last := range map[string]bool{"in the middle": false, "the last": true} {
		t.Run(name, func(t *testing.T) {
			eachStore(t, func(t *testing.T, k *kit) {
				k.ada(nil)
				steps := []Step{ticket("one", "1"), ticket("two", "${input.none}")}
				if !last {
					steps = append(steps, waits("pause", Days(2)), ticket("three", "3"))
				}
				k.put(cel(steps...))
				k.by("k")
				k.expect(store.RunFailed, "failed", "BadInput")
				if err := k.do(Verb{Kind: VerbSkip}); err != nil {
					t.Fatal(err)
				}
				want := []string{"one done", "two skipped"}
				if !last {
					k.expect(store.RunWaiting, "", "Waiting")
					if err := k.do(Verb{Kind: VerbSkip}); err != nil { // a wait
						t.Fatal(err)
					}
					want = append(want, "pause skipped", "three done")
				}
				k.expect(store.RunSucceeded, "", "")
				k.want("steps", k.steps(), want)
			})
		})
	}
}

// Where an effect may be there, nobody retries without having looked.
func TestRetryOfUnknownOutcome(t *testing.T) {
	eachStore(t, func(t *testing.T, k *kit) {
		k.ada(nil)
		step := ticket("one", "1")
		step.Action.OnAmbiguous = AmbiguousFail
		k.vendor.script("ticket.create", func(c Call) (Result, error) {
			k.vendor.do(c)
			return Result{Class: ResultUnknown, Sent: true, Message: "the answer was lost"}, nil
		})
		k.put(cel(step))
		k.by("k")
		k.expect(store.RunFailed, "failed", "OutcomeUnknown")
		k.refuses(Verb{Kind: VerbRetry}, `step "one"`, "may have had its effect")
		if err := k.do(Verb{Kind: VerbRetry, LookedAt: true}); err != nil {
			t.Fatal(err)
		}
		k.expect(store.RunSucceeded, "", "")
		if n, doubled := k.vendor.count("ticket.create"); n != 2 || len(doubled) > 0 {
			t.Errorf("%d effects, doubled %v", n, doubled)
		}
	})
}

// A person gives a run that is sent back its time anew.
func TestRetryAfterTimeout(t *testing.T) {
	eachStore(t, func(t *testing.T, k *kit) {
		k.ada(nil)
		d := cel(waits("pause", Days(5)), ticket("one", "1"))
		d.Timeout = Days(3)
		k.put(d)
		k.by("k")
		k.pass(3 * 24 * time.Hour)
		k.expect(store.RunFailed, "failed", "TimedOut")
		if err := k.do(Verb{Kind: VerbSkip}); err != nil {
			t.Fatal(err)
		}
		k.expect(store.RunSucceeded, "", "")
	})
}

// unreachable is a vendor that does not say whether an effect is there.
type unreachable struct{ *vendor }

func (unreachable) Verify(context.Context, model.TenantID, Call) (Result, error) {
	return Result{Class: ResultUnknown, Message: "not reachable"}, nil
}

// A stop of a parked run leaves no attempt open, and what may have happened is
// audited.
func TestStopOfAParkedRunAuditsWhatMayHaveHappened(t *testing.T) {
	eachStore(t, func(t *testing.T, k *kit) {
		k.ada(nil)
		k.vendor.infos["ticket.create"] = ActionInfo{Class: ClassVerifiable, HasVerify: true, VerifyWithin: 10 * time.Second}
		k.engine = k.newEngine(func(o *Options) { o.Actions = unreachable{k.vendor} })
		k.vendor.script("ticket.create", k.effectThenLost)
		k.put(cel(ticket("act", "x")))
		k.by("k")
		for range 20 {
			k.pass(time.Minute)
		}
		k.expect(store.RunAttention, "", "OutcomeUnknown")
		k.refuses(Verb{Kind: VerbSkip}, "runs resolve")
		k.stopRun()
		r := k.expect(store.RunStopped, "stopped", "StopRequested")
		if a := r.Attempts[0]; a.State != store.AttemptAmbiguous || a.EndedAt == nil {
			t.Errorf("the attempt is %s", a.State)
		}
		records, err := k.store.Audit(t.Context(), k.tenant, store.AuditQuery{Action: "ticket.create"})
		if err != nil || len(records) != 1 || records[0].Result != "unknown" || records[0].RunID != r.ID {
			t.Errorf("audit: %+v, %v", records, err)
		}
	})
}
