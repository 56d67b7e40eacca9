// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package workflow

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"k8s.io/utils/clock"

	"github.com/seatkeeper/seatkeeper/internal/store"
)

// one is a definition with a single action.
func one(action string, change func(*ActionStep)) Definition {
	s := &ActionStep{Integration: "zoom", Action: action, With: map[string]any{"userId": "acc1"}}
	if change != nil {
		change(s)
	}
	return Definition{Steps: []Step{{Name: "act", Action: s}, {Name: "after", Action: &ActionStep{Integration: "zoom", Action: "noop"}}}}
}

func (k *kit) beginDefinition(d Definition) store.RunDetail {
	k.t.Helper()
	raw, err := d.Marshal()
	if err != nil {
		k.t.Fatal(err)
	}
	if _, err := k.store.CreateRuns(k.t.Context(), k.tenant, []store.NewRun{{Kind: "Workflow", Name: "w", TriggerKind: "manual", TriggerKey: "1", Definition: raw}}); err != nil {
		k.t.Fatal(err)
	}
	k.settle()
	return k.run()
}

var errLost = errors.New("connection reset after the request was sent")

// effectThenLost has the effect and loses the answer.
func (k *kit) effectThenLost(c Call) (Result, error) {
	k.vendor.do(c)
	return Result{}, errLost
}

func lostBeforeEffect(Call) (Result, error) { return Result{}, errLost }

// Invariant 7: an unknown outcome is resolved by the action's class.
func TestUnknownOutcomeByClass(t *testing.T) {
	for _, had := range []bool{true, false} {
		script := func(k *kit) func(Call) (Result, error) {
			if had {
				return k.effectThenLost
			}
			return lostBeforeEffect
		}
		t.Run(fmt.Sprintf("effect=%v", had), func(t *testing.T) {
			eachStore(t, func(t *testing.T, k *kit) {
				t.Run("idempotent", func(t *testing.T) {
					k.vendor.script("license.remove", script(k))
					k.beginDefinition(one("license.remove", nil))
					k.pass(10 * time.Second)
					k.expect(store.RunSucceeded, "", "")
					k.effects(map[string]int{"license.remove": 1})
					if n := k.audits()["license.remove"]; n != 1 {
						t.Errorf("%d audit records of one write", n)
					}
				})
			})
			eachStore(t, func(t *testing.T, k *kit) {
				t.Run("verifiable", func(t *testing.T) {
					k.vendor.script("message.send", script(k))
					k.beginDefinition(one("message.send", nil))
					for range 5 {
						k.pass(10 * time.Second)
					}
					k.expect(store.RunSucceeded, "", "")
					k.effects(map[string]int{"message.send": 1})
					if n := k.audits()["message.send"]; n != 1 {
						t.Errorf("%d audit records of one write", n)
					}
				})
			})
			eachStore(t, func(t *testing.T, k *kit) {
				t.Run("unsafe", func(t *testing.T) {
					k.vendor.script("ticket.create", script(k))
					r := k.beginDefinition(one("ticket.create", nil))
					k.expect(store.RunAttention, "", "OutcomeUnknown")
					k.pass(24 * time.Hour)
					if k.vendor.calls["ticket.create"] != 1 {
						t.Fatalf("an unsafe action was repeated: %d calls", k.vendor.calls["ticket.create"])
					}
					if n := k.audits()["ticket.create"]; n != 1 {
						t.Errorf("%d audit records of one write", n)
					}
					how := store.ResolveSkip
					if !had {
						how = store.ResolveRetry
					}
					if _, err := k.store.ResolveAttention(t.Context(), k.tenant, r.ID, how, store.Decider{Actor: "eve", Reason: "looked"}); err != nil {
						t.Fatal(err)
					}
					k.settle()
					k.expect(store.RunSucceeded, "", "")
					k.effects(map[string]int{"ticket.create": 1})
				})
			})
		})
	}
}

func TestResolveFailEndsTheRun(t *testing.T) {
	eachStore(t, func(t *testing.T, k *kit) {
		k.vendor.script("ticket.create", lostBeforeEffect)
		r := k.beginDefinition(one("ticket.create", nil))
		if _, err := k.store.ResolveAttention(t.Context(), k.tenant, r.ID, store.ResolveFail, store.Decider{Actor: "eve"}); err != nil {
			t.Fatal(err)
		}
		k.settle()
		k.expect(store.RunFailed, "failed", "OutcomeUnknown")
		if _, err := k.store.ResolveAttention(t.Context(), k.tenant, r.ID, store.ResolveFail, store.Decider{Actor: "eve"}); !errors.Is(err, store.ErrNotInState) {
			t.Errorf("resolving an ended run: %v", err)
		}
	})
}

func TestNotSentIsNotAmbiguous(t *testing.T) {
	eachStore(t, func(t *testing.T, k *kit) {
		k.vendor.script("ticket.create", func(Call) (Result, error) {
			return Result{Class: ResultUnknown, Sent: false, Message: "connection refused"}, nil
		})
		k.beginDefinition(one("ticket.create", nil))
		k.expect(store.RunWaiting, "", "Retrying")
		k.pass(5 * time.Second)
		k.expect(store.RunSucceeded, "", "")
		k.effects(map[string]int{"ticket.create": 1})
	})
}

func TestRateLimitWaitsWithoutCounting(t *testing.T) {
	eachStore(t, func(t *testing.T, k *kit) {
		for range 20 {
			k.vendor.script("license.remove", func(Call) (Result, error) {
				return Result{Class: ResultRateLimited, Sent: true, RetryAfter: 7 * time.Second}, nil
			})
		}
		k.beginDefinition(one("license.remove", func(s *ActionStep) { s.Retry.MaxAttempts = 2 }))
		for range 20 {
			k.expect(store.RunWaiting, "", "RateLimited")
			k.pass(7 * time.Second)
		}
		k.expect(store.RunSucceeded, "", "")
		k.effects(map[string]int{"license.remove": 1})
	})
}

func TestRefusalFails(t *testing.T) {
	eachStore(t, func(t *testing.T, k *kit) {
		k.vendor.script("license.remove", func(Call) (Result, error) {
			return Result{Class: ResultDenied, Sent: true, StatusCode: 403, Message: "the token lacks user:write"}, nil
		})
		r := k.begin(k.spec())
		k.answer(r.Prompts[0], "U-ada", "Reclaim")
		k.settle()
		k.expect(store.RunFailed, "failed", "Denied")
		k.effects(map[string]int{"message.send": 1, "message.update": 1})
		if text := k.lastUpdate(); !strings.Contains(text, "did not work: the token lacks user:write") {
			t.Errorf("the message says %q", text)
		}
		if n := len(k.ledger()); n != 0 {
			t.Errorf("%d ledger entries for a removal that failed", n)
		}
	})
}

func TestRefusedBeforeSendingIsNoWrite(t *testing.T) {
	eachStore(t, func(t *testing.T, k *kit) {
		k.vendor.infos["license.remove"] = ActionInfo{Class: ClassIdempotent, Refused: "integration zoom has permission Read"}
		k.beginDefinition(one("license.remove", nil))
		k.expect(store.RunFailed, "failed", "Refused")
		if k.vendor.calls["license.remove"] != 0 || k.audits()["license.remove"] != 0 {
			t.Error("a refused action was sent or audited as a write")
		}
	})
}

// A definite failure is retried under a new generation, so a new key.
func TestGenerationRisesOnlyAfterDefiniteFailure(t *testing.T) {
	eachStore(t, func(t *testing.T, k *kit) {
		k.vendor.script("license.remove", lostBeforeEffect)
		k.vendor.script("license.remove", func(Call) (Result, error) {
			return Result{Class: ResultConflict, Sent: true, Message: "busy"}, nil
		})
		k.beginDefinition(one("license.remove", nil))
		k.pass(10 * time.Second)
		k.pass(10 * time.Second)
		r := k.expect(store.RunSucceeded, "", "")
		var seen []string
		keys := map[string]bool{}
		for _, a := range r.Attempts {
			if a.Action == "license.remove" {
				seen = append(seen, fmt.Sprintf("%d.%d %s", a.Generation, a.N, a.State))
				keys[a.IdemKey] = true
			}
		}
		if got := fmt.Sprint(seen); got != "[0.1 ambiguous 0.2 failed 1.1 ok]" || len(keys) != 2 {
			t.Errorf("attempts %s with %d keys", got, len(keys))
		}
	})
}

// The intent is on disk before the call.
func TestIntentBeforeSend(t *testing.T) {
	eachStore(t, func(t *testing.T, k *kit) {
		var checked atomic.Int32
		k.vendor.onCall = func(c Call) {
			runs, err := k.store.ListRuns(context.Background(), k.tenant, store.RunFilter{})
			if err != nil || len(runs) != 1 {
				t.Errorf("list runs during the call: %d, %v", len(runs), err)
				return
			}
			d, err := k.store.Run(context.Background(), k.tenant, runs[0].ID)
			if err != nil {
				t.Errorf("read the run during the call: %v", err)
				return
			}
			last := d.Attempts[len(d.Attempts)-1]
			if d.State != store.RunInFlight || last.State != store.AttemptIntent || last.IdemKey != c.IdemKey || last.RequestDigest == "" {
				t.Errorf("during %s the run is %s and its last attempt %+v", c.Action, d.State, last)
			}
			checked.Add(1)
		}
		k.beginDefinition(one("license.remove", nil))
		if checked.Load() != 2 {
			t.Errorf("%d calls were checked", checked.Load())
		}
	})
}

// Invariant 8: a stop lets no further step start, and an effect under way is
// accounted for first.
func TestStopDuringACall(t *testing.T) {
	eachStore(t, func(t *testing.T, k *kit) {
		k.vendor.onCall = func(c Call) {
			if c.Action != "ticket.create" {
				t.Errorf("%s started after the stop", c.Action)
				return
			}
			runs, _ := k.store.ListRuns(context.Background(), k.tenant, store.RunFilter{})
			if _, err := k.store.StopRun(context.Background(), k.tenant, runs[0].ID, store.Decider{Actor: "eve"}); err != nil {
				t.Error(err)
			}
		}
		k.beginDefinition(one("ticket.create", nil))
		r := k.expect(store.RunStopped, "stopped", "StopRequested")
		if a := r.Attempts[len(r.Attempts)-1]; a.State != store.AttemptOK {
			t.Errorf("the call under way is recorded as %s", a.State)
		}
		if n := k.audits()["ticket.create"]; n != 1 {
			t.Errorf("%d audit records of the write under way", n)
		}
	})
}

func TestStopWhileWaiting(t *testing.T) {
	eachStore(t, func(t *testing.T, k *kit) {
		r := k.begin(k.spec())
		if _, err := k.store.StopRun(t.Context(), k.tenant, r.ID, store.Decider{Actor: "eve", Reason: "wrong policy"}); err != nil {
			t.Fatal(err)
		}
		if out := k.answer(r.Prompts[0], "U-ada", "Reclaim"); out.Status != store.AnswerLate {
			t.Errorf("an answer after the stop: %+v", out)
		}
		k.pass(100 * time.Hour)
		k.expect(store.RunStopped, "stopped", "StopRequested")
		k.effects(map[string]int{"message.send": 1})
	})
}

// A stopped run whose unsafe call is unresolved waits for a person, then stops.
func TestStopAfterAmbiguousCall(t *testing.T) {
	eachStore(t, func(t *testing.T, k *kit) {
		k.vendor.script("ticket.create", func(c Call) (Result, error) {
			runs, _ := k.store.ListRuns(context.Background(), k.tenant, store.RunFilter{})
			if _, err := k.store.StopRun(context.Background(), k.tenant, runs[0].ID, store.Decider{Actor: "eve"}); err != nil {
				t.Error(err)
			}
			return lostBeforeEffect(c)
		})
		r := k.beginDefinition(one("ticket.create", nil))
		k.expect(store.RunAttention, "", "OutcomeUnknown")
		if _, err := k.store.ResolveAttention(t.Context(), k.tenant, r.ID, store.ResolveRetry, store.Decider{Actor: "eve"}); err != nil {
			t.Fatal(err)
		}
		k.settle()
		k.expect(store.RunStopped, "stopped", "StopRequested")
		if n := k.vendor.calls["ticket.create"]; n != 1 {
			t.Errorf("%d calls: a stopped run sent again", n)
		}
	})
}

// A process that died between intent and outcome: the next one waits for the
// deadline, then resolves by class. The dead one's commit fails.
func TestLeftoverIntentAndFencing(t *testing.T) {
	eachStore(t, func(t *testing.T, k *kit) {
		old := k.engine
		entered, release := make(chan struct{}), make(chan struct{})
		k.vendor.script("license.remove", func(c Call) (Result, error) {
			close(entered)
			<-release // the old process is paused in the middle of the call
			return Result{}, errLost
		})
		raw, err := one("license.remove", nil).Marshal()
		if err != nil {
			t.Fatal(err)
		}
		if _, err := k.store.CreateRuns(t.Context(), k.tenant, []store.NewRun{{Kind: "Workflow", Name: "w", TriggerKind: "manual", TriggerKey: "1", Definition: raw}}); err != nil {
			t.Fatal(err)
		}
		done := make(chan error, 1)
		go func() { done <- old.Settle(context.Background()) }()
		<-entered

		k.engine = k.newEngine(func(*Options) {})
		k.settle() // takes the shards; the intent's deadline has not passed
		k.expect(store.RunInFlight, "", "")
		k.pass(34 * time.Second)
		k.expect(store.RunInFlight, "", "")
		k.pass(2 * time.Second)
		k.expect(store.RunSucceeded, "", "")
		version := k.run().Version
		close(release)
		if err := <-done; err != nil {
			t.Fatal(err)
		}
		if got := k.run().Version; got != version {
			t.Error("the fenced process wrote to the run")
		}
		k.effects(map[string]int{"license.remove": 1})
	})
}

func TestVerificationThatNeverShows(t *testing.T) {
	eachStore(t, func(t *testing.T, k *kit) {
		k.vendor.script("license.remove", func(Call) (Result, error) {
			return Result{Class: ResultDone, Sent: true, StatusCode: 204}, nil // 2xx and does nothing
		})
		k.beginDefinition(one("license.remove", nil))
		for range 10 {
			k.pass(time.Minute)
		}
		k.expect(store.RunFailed, "failed", "NotVerified")
	})
}

func TestDefectParksTheRun(t *testing.T) {
	eachStore(t, func(t *testing.T, k *kit) {
		if _, err := k.store.CreateRuns(t.Context(), k.tenant, []store.NewRun{{Kind: "Workflow", Name: "w", TriggerKind: "manual", TriggerKey: "1",
			Definition: json.RawMessage(`{"steps":[{"name":"a"}]}`)}}); err != nil {
			t.Fatal(err)
		}
		k.settle()
		k.expect(store.RunAttention, "", "Defect")
	})
}

// A step that the store refuses is handed to a person; other runs go on.
func TestUnstorableStepParksOnlyItsRun(t *testing.T) {
	eachStore(t, func(t *testing.T, k *kit) {
		k.clock.SetTime(time.Now()) // calls are sent by the engine's clock
		k.engine = k.newEngine(func(o *Options) { o.Clock, o.BusyPoll = clock.RealClock{}, time.Millisecond })
		bad, good := k.spec(), k.spec()
		for _, s := range []*ReclaimSpec{&bad, &good} {
			s.Mode, s.Ask = ModeAuto, nil
		}
		good.Seat.PlanKey = "other"
		badRun, err := bad.NewRun()
		if err != nil {
			t.Fatal(err)
		}
		badRun.Definition = json.RawMessage(`{"steps":[{"name":"b","book":{"kind":"Nonsense"}}]}`)
		goodRun, err := good.NewRun()
		if err != nil {
			t.Fatal(err)
		}
		if _, err := k.store.CreateRuns(t.Context(), k.tenant, []store.NewRun{badRun, goodRun}); err != nil {
			t.Fatal(err)
		}
		k.settle()
		runs, err := k.store.ListRuns(t.Context(), k.tenant, store.RunFilter{})
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range runs {
			if want := map[string]store.RunState{badRun.Subject: store.RunAttention, goodRun.Subject: store.RunSucceeded}[r.Subject]; r.State != want {
				t.Errorf("run of %s is %s (%s), want %s", r.Subject, r.State, r.Message, want)
			}
		}
	})
}

// E9: a removal that could not be sent at once is sent later only if its reason
// still stands then.
func TestDelayedRemovalIsRecheckedFirst(t *testing.T) {
	limited := func(Call) (Result, error) { return Result{Class: ResultRateLimited, RetryAfter: 2 * time.Hour}, nil }
	notSent := func(Call) (Result, error) { return Result{Class: ResultFailed, Message: "connection refused"}, nil }
	lost := func(Call) (Result, error) { return Result{Class: ResultUnknown, Sent: true, Message: "timeout"}, nil }
	for name, tc := range map[string]struct {
		reply   func(Call) (Result, error)
		verdict Verdict
		state   store.RunState
		outcome string
		reason  string
	}{
		"rate limited, used again":      {limited, Verdict{Decision: Drop, Reason: "RenewedUse"}, store.RunSucceeded, "skipped", "RenewedUse"},
		"rate limited, suspended":       {limited, Verdict{Decision: Hold, Reason: "PolicySuspended"}, store.RunWaiting, "", "PolicySuspended"},
		"rate limited, still unused":    {limited, Verdict{Decision: Go}, store.RunSucceeded, "reclaimed", ""},
		"not sent, used again":          {notSent, Verdict{Decision: Drop, Reason: "RenewedUse"}, store.RunSucceeded, "skipped", "RenewedUse"},
		"perhaps removed, used again":   {lost, Verdict{Decision: Drop, Reason: "RenewedUse"}, store.RunAttention, "", "OutcomeUnknown"},
		"perhaps removed, still unused": {lost, Verdict{Decision: Go}, store.RunSucceeded, "reclaimed", ""},
	} {
		t.Run(name, func(t *testing.T) {
			eachStore(t, func(t *testing.T, k *kit) {
				s := k.spec()
				s.Mode, s.Ask = ModeAuto, nil
				s.Removal.Retry.Base = Hours(1)
				s.Removal.Retry.Max = Hours(1)
				k.vendor.infos["license.remove"] = ActionInfo{Class: ClassIdempotent}
				k.vendor.script("license.remove", tc.reply)
				k.begin(s)
				k.world.set(func() { k.world.verdict = tc.verdict })
				k.pass(3 * time.Hour)
				k.expect(tc.state, tc.outcome, tc.reason)
				want := map[string]int{}
				if tc.outcome == "reclaimed" {
					want["license.remove"] = 1
				}
				k.effects(want)
			})
		})
	}
}

// A process that stopped right before a removal rechecks when it is back.
func TestRemovalAfterAPauseIsRecheckedFirst(t *testing.T) {
	eachStore(t, func(t *testing.T, k *kit) {
		s := k.spec()
		s.Mode, s.Ask = ModeAuto, nil
		k.vendor.script("license.remove", func(Call) (Result, error) {
			return Result{Class: ResultFailed, Message: "the process is stopping"}, nil
		})
		k.begin(s)
		k.expect(store.RunWaiting, "", "Retrying")
		k.world.set(func() {
			k.world.verdict = Verdict{Decision: Drop, Reason: "PolicyGone", Message: "the policy went away"}
		})
		k.pass(72 * time.Hour)
		k.expect(store.RunSucceeded, "skipped", "PolicyGone")
		k.effects(map[string]int{})
	})
}

// A removal outlasts a suspended integration, and asks again whether it is still
// due when that goes on.
func TestRemovalWaitsForASuspendedIntegration(t *testing.T) {
	for verdict, want := range map[Decision]string{Go: "reclaimed", Drop: "skipped"} {
		t.Run(want, func(t *testing.T) {
			eachStore(t, func(t *testing.T, k *kit) {
				s := k.spec()
				s.Mode, s.Ask = ModeAuto, nil
				active := k.vendor.infos["license.remove"]
				paused := active
				paused.Paused = "Integration \"zoom\" is suspended"
				set := func(info ActionInfo) {
					k.vendor.mu.Lock()
					defer k.vendor.mu.Unlock()
					k.vendor.infos["license.remove"] = info
				}
				set(paused)
				k.begin(s)
				k.expect(store.RunWaiting, "", "IntegrationSuspended")
				k.pass(40 * 24 * time.Hour)
				k.expect(store.RunWaiting, "", "IntegrationSuspended")
				k.effects(map[string]int{})
				set(active)
				k.world.set(func() { k.world.verdict = Verdict{Decision: verdict, Reason: "RenewedUse"} })
				k.pass(time.Hour)
				if r := k.run(); r.State != store.RunSucceeded || r.Outcome != want {
					t.Errorf("%s, %s, %s", r.State, r.Outcome, r.Reason)
				}
			})
		})
	}
}
