// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package workflow

import (
	"testing"
	"time"

	"github.com/seatkeeper/seatkeeper/internal/store"
)

// A run that was stopped while nobody knew of an effect waits for a person again
// when it is resumed, as it did before, and is not retried without one.
func TestStoppedInDoubt(t *testing.T) {
	for name, class := range map[string]ActionInfo{
		"unsafe":     {Class: ClassUnsafe},
		"verifiable": {Class: ClassVerifiable, HasVerify: true, VerifyWithin: 10 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			eachStore(t, func(t *testing.T, k *kit) {
				k.ada(nil)
				k.vendor.infos["ticket.create"] = class
				k.engine = k.newEngine(func(o *Options) { o.Actions = unreachable{k.vendor} })
				k.vendor.script("ticket.create", k.effectThenLost)
				k.put(cel(ticket("act", "x")))
				k.by("k")
				for range 20 {
					k.pass(time.Minute)
				}
				k.expect(store.RunAttention, "", "OutcomeUnknown")
				k.stopRun()
				k.refuses(Verb{Kind: VerbRetry}, `step "act"`, "may have had its effect")
				if err := k.do(Verb{Kind: VerbResume}); err != nil {
					t.Fatal(err)
				}
				r := k.expect(store.RunAttention, "", "OutcomeUnknown")
				if _, err := k.store.ResolveAttention(t.Context(), k.tenant, r.ID, store.ResolveSkip, store.Decider{Actor: "eve"}); err != nil {
					t.Fatal(err)
				}
				k.settle()
				k.expect(store.RunSucceeded, "", "")
				k.want("tickets", k.texts(), []string{"x"})
			})
		})
	}
}

// A step is not done again without a person having looked where a run that it
// started has left an effect of which nobody knows: it was stopped, or the time of
// the step or of the whole run was over.
func TestRetryOverDoubtBelow(t *testing.T) {
	call := func(k *kit) Definition {
		k.put(cel(ticket("act", "x")), named("child"))
		return cel(runs("call", "child", nil))
	}
	loop := func(*kit) Definition { return cel(wide(2, "loop", "['a']", "i", ticket("act", "x"))) }
	stop := func(k *kit) { k.stopped(k.root().ID) }
	for name, tc := range map[string]struct {
		of   func(k *kit) Definition
		edit func(d *Definition)
		end  func(k *kit)
	}{
		"item, stopped":           {loop, nil, stop},
		"item, time of step over": {loop, func(d *Definition) { d.Steps[0].Timeout = Span{Elapsed: time.Hour} }, nil},
		"item, time of run over":  {loop, func(d *Definition) { d.Timeout = Span{Elapsed: time.Hour} }, nil},
		"child, stopped":          {call, nil, stop},
		"child of an item, stopped": {func(k *kit) Definition {
			k.put(cel(ticket("act", "x")), named("child"))
			return cel(wide(2, "loop", "['a']", "i", runs("call", "child", nil)))
		}, nil, stop},
		"child, time of run over":   {call, func(d *Definition) { d.Timeout = Span{Elapsed: time.Hour} }, nil},
		"item, stopped and resumed": {loop, nil, func(k *kit) { stop(k); k.resumed(); stop(k) }},
	} {
		t.Run(name, func(t *testing.T) {
			eachStore(t, func(t *testing.T, k *kit) {
				k.ada(nil)
				d := tc.of(k)
				if tc.edit != nil {
					tc.edit(&d)
				}
				k.put(d)
				k.vendor.script("ticket.create", k.effectThenLost)
				r := k.by("k")
				if tc.end != nil {
					tc.end(k)
				}
				k.pass(2 * time.Hour)
				if s := k.root().State; !s.Ended() {
					t.Fatalf("the run is %s", s)
				}
				if err := k.onRun(r.ID, Verb{Kind: VerbRetry, FromStep: d.Steps[0].Name}); err == nil {
					t.Error("the retry was not refused")
				}
				k.want("tickets", k.texts(), []string{"x"})
				if err := k.onRun(r.ID, Verb{Kind: VerbRetry, FromStep: d.Steps[0].Name, LookedAt: true}); err != nil {
					t.Fatal(err)
				}
				k.want("tickets", k.texts(), []string{"x", "x"})
			})
		})
	}
}

// stopped stops a run and lets time pass, so that a later stop is another.
func (k *kit) stopped(id string) {
	k.t.Helper()
	if _, err := k.store.StopRun(k.t.Context(), k.tenant, id, store.Decider{Actor: "eve"}); err != nil {
		k.t.Fatal(err)
	}
	k.pass(time.Minute)
}

func (k *kit) resumed() {
	k.t.Helper()
	if err := k.onRun(k.root().ID, Verb{Kind: VerbResume}); err != nil {
		k.t.Fatal(err)
	}
}
