// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package workflow

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/seatkeeper/seatkeeper/internal/expr"
	"github.com/seatkeeper/seatkeeper/internal/notify"
	"github.com/seatkeeper/seatkeeper/internal/store"
)

// wide is a step for the items of a list, so many of them at once.
func wide(atOnce int, name, in, as string, steps ...Step) Step {
	s := each(name, in, as, steps...)
	s.ForEach.MaxParallel = atOnce
	return s
}

// items are the runs of items, the oldest first, and how many have not ended.
func (k *kit) items() (all []store.Run, open int) {
	k.t.Helper()
	all, err := k.store.ListRuns(k.t.Context(), k.tenant, store.RunFilter{Kind: KindItem, Limit: 1000})
	if err != nil {
		k.t.Fatal(err)
	}
	slices.Reverse(all)
	for _, r := range all {
		if !r.State.Ended() {
			open++
		}
	}
	return all, open
}

// root is the run that was started by hand.
func (k *kit) root() store.RunDetail {
	k.t.Helper()
	all := k.of("wf")
	d, err := k.store.Run(k.t.Context(), k.tenant, all[len(all)-1].ID)
	if err != nil {
		k.t.Fatal(err)
	}
	return d
}

// ofStep is the result that the root keeps of a step.
func (k *kit) ofStep(name string) map[string]any {
	k.t.Helper()
	v, err := parseVars(k.root().Vars)
	if err != nil {
		k.t.Fatal(err)
	}
	r, _ := v.lookup("steps." + name).(map[string]any)
	return r
}

// ofItems are the results of a step's items, in order.
func (k *kit) ofItems(name string) []string {
	k.t.Helper()
	list, _ := k.ofStep(name)["items"].([]any)
	out := []string{}
	for _, one := range list {
		r, _ := one.(map[string]any)
		s := fmt.Sprint(r["result"])
		if r["reason"] != nil {
			s += " " + fmt.Sprint(r["reason"])
		}
		out = append(out, s)
	}
	return out
}

// TestForEachParallel: never more items at once than may be, what each came to
// in the order of the list, and what an item may read of what is around it.
func TestForEachParallel(t *testing.T) {
	eachStore(t, func(t *testing.T, k *kit) {
		k.ada(nil)
		before := ticket("before", "before")
		before.Outputs = map[string]string{"ts": "resp.ts"}
		act := ticket("act", "${i.name} after ${steps.before.ts} for ${person.displayName} ${input.word}")
		act.Outputs = map[string]string{"ts": "resp.ts"}
		only := ticket("only", "only ${i.name} ${has(steps.act) ? 'known' : 'unknown'}")
		only.When = "i.last"
		k.put(cel(before, wide(2, "loop", "input.list", "i", waits("pause", Hours(1)), act, only),
			ticket("after", "${string(size(steps.loop.items))} ${string(steps.loop.failed)} ${has(steps.act) ? 'kept' : 'gone'} ${steps.loop.items[2].steps.act.ts}")))
		r := k.by("k", func(r *StartRequest) {
			r.Input = map[string]any{"word": "w", "list": []any{map[string]any{"name": "a", "last": false}, map[string]any{"name": "b", "last": false}, map[string]any{"name": "c", "last": true}}}
		})
		k.stand("wf", "waiting WaitingForRun")
		all, open := k.items()
		if len(all) != 2 || open != 2 || all[0].ParentID != r.ID || all[0].PersonID != r.PersonID || all[0].Name != "wf" {
			t.Fatalf("%d items, %d open: %+v", len(all), open, all)
		}
		if m := k.root().Message; m != "2 of 3 items are at work, 0 have ended" {
			t.Error(m)
		}
		k.pass(time.Hour)
		if all, open = k.items(); len(all) != 3 || open != 1 {
			t.Fatalf("%d items, %d open", len(all), open)
		}
		k.pass(time.Hour)
		k.stand("wf", "succeeded")
		got := k.texts()
		slices.Sort(got[1:3]) // whichever is first
		k.want("tickets", got, []string{"before", "a after 1.0 for Ada w", "b after 1.0 for Ada w", "c after 1.0 for Ada w", "only c known", "3 0 gone 4.0"})
		k.want("items", k.ofItems("loop"), []string{"done", "done", "done"})
		if keys := k.keys(); len(keys) != 6 {
			t.Errorf("%d keys of 6 effects", len(keys))
		}
		for _, r := range k.vendor.sent {
			if r.Action != "ticket.create" {
				t.Error(r)
			}
		}
		records, err := k.store.Audit(t.Context(), k.tenant, store.AuditQuery{Limit: 100})
		if err != nil {
			t.Fatal(err)
		}
		for _, a := range records {
			if strings.Contains(a.Actor, KindItem) {
				t.Errorf("actor %q", a.Actor)
			}
		}
	})
}

// TestForEachParallelFailures: what a failed item does is what it does where one
// comes after the other, but for those that had begun.
func TestForEachParallelFailures(t *testing.T) {
	for _, tc := range []struct {
		name, policy, onError string
		tickets               []string
		state                 store.RunState
		items                 []string
	}{
		{"others go on", "", "", []string{"0", "1", "2", "3", "failure ItemsFailed"}, store.RunFailed, []string{"done", "failed Denied", "done", "done"}},
		{"none begins after it", FailureStop, "", []string{"0", "1", "failure ItemsFailed"}, store.RunFailed, []string{"done", "failed Denied"}},
		{"run goes on", "", OnErrorContinue, []string{"0", "1", "2", "3", "after"}, store.RunSucceeded, []string{"done", "failed Denied", "done", "done"}},
		{"asks", FailureStop, OnErrorAsk, []string{"0", "1"}, store.RunAttention, []string{}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			eachStore(t, func(t *testing.T, k *kit) {
				k.ada(nil)
				for range 4 {
					k.vendor.script("ticket.create", func(c Call) (Result, error) {
						if c.Input["text"] == "1" {
							return Result{Class: ResultDenied, Sent: true, Message: "no"}, nil
						}
						return k.vendor.do(c), nil
					})
				}
				loop := wide(2, "loop", "[0, 1, 2, 3]", "i", ticket("act", "${string(i)}"))
				loop.OnError, loop.ForEach.FailurePolicy = tc.onError, tc.policy
				d := cel(loop, ticket("after", "after"))
				d.OnFailure = []Step{ticket("failed", "failure ${steps.loop.reason}")}
				k.put(d)
				r := k.by("k")
				tickets := func() []string { out := k.texts(); slices.Sort(out); return out }
				k.want("tickets", tickets(), tc.tickets)
				root := k.root()
				if root.State != tc.state {
					t.Fatalf("the run is %s (%s), want %s", root.State, root.Message, tc.state)
				}
				k.want("items", k.ofItems("loop"), tc.items)
				if tc.state == store.RunFailed && !strings.Contains(root.Message, "item 1: Denied: loop[1].act: no") {
					t.Error(root.Message)
				}
				if tc.state != store.RunAttention {
					return
				}
				resolve := func(how store.Resolution) store.RunDetail {
					t.Helper()
					if _, err := k.store.ResolveAttention(t.Context(), k.tenant, r.ID, how, store.Decider{Actor: "eve"}); err != nil {
						t.Fatal(err)
					}
					k.settle()
					return k.root()
				}
				if got := resolve(store.ResolveRetry); got.State != store.RunAttention || !strings.Contains(got.Message, "items are not tried again as a whole") {
					t.Fatalf("%s %s", got.State, got.Message)
				}
				if got := resolve(store.ResolveSkip); got.State != store.RunSucceeded {
					t.Fatalf("%s %s", got.State, got.Message)
				}
				k.want("tickets", tickets(), append(tc.tickets, "after"))
				k.want("items", k.ofItems("loop"), []string{"done", "failed Denied"})
			})
		})
	}
}

// TestForEachParallelInside of one another: the items of the inner loop know those
// of the outer.
func TestForEachParallelInside(t *testing.T) {
	for name, of := range map[string][2]int{"in one after the other": {1, 2}, "in parallel": {2, 2}, "one after the other in parallel": {2, 1}} {
		t.Run(name, func(t *testing.T) {
			eachStore(t, func(t *testing.T, k *kit) {
				k.ada(nil)
				label := ticket("label", "${team.name}")
				label.Outputs = map[string]string{"ts": "resp.ts"}
				k.put(cel(wide(of[0], "teams", "input.teams", "team", label,
					wide(of[1], "members", "team.who", "who", ticket("greet", "${who} of ${team.name} ${steps.label.ts != '' ? 'ok' : ''}")),
					ticket("count", "${team.name} ${string(size(steps.members.items))}")), ticket("after", "after")))
				k.by("k", withInput("teams", []any{
					map[string]any{"name": "red", "who": []any{"a", "b", "c"}}, map[string]any{"name": "blue", "who": []any{}},
				}))
				k.stand("wf", "succeeded")
				got := k.texts()
				slices.Sort(got)
				k.want("tickets", got, []string{"a of red ok", "after", "b of red ok", "blue", "blue 0", "c of red ok", "red", "red 3"})
			})
		})
	}
}

// TestForEachParallelStops: a stop, and the timeout of the step, stop the items
// that are at work; a resume goes on with each where it was.
func TestForEachParallelStops(t *testing.T) {
	eachStore(t, func(t *testing.T, k *kit) {
		k.ada(nil)
		loop := wide(2, "loop", "['a', 'b', 'c']", "i", ticket("first", "${i}1"), waits("pause", Hours(2)), ticket("second", "${i}2"))
		k.put(cel(loop, ticket("after", "after")))
		r := k.by("k")
		k.pass(time.Hour)
		if _, err := k.store.StopRun(t.Context(), k.tenant, r.ID, store.Decider{Actor: "eve"}); err != nil {
			t.Fatal(err)
		}
		k.pass(9 * time.Hour)
		if all, open := k.items(); len(all) != 2 || open != 0 {
			t.Fatalf("%d items, %d open", len(all), open)
		}
		if err := k.onRun(r.ID, Verb{Kind: VerbResume}); err != nil {
			t.Fatal(err)
		}
		k.pass(9 * time.Hour)
		k.stand("wf", "succeeded")
		got := k.texts()
		slices.Sort(got)
		k.want("tickets", got, []string{"a1", "a2", "after", "b1", "b2", "c1", "c2"})
		if all, _ := k.items(); len(all) != 3 {
			t.Errorf("%d items of three", len(all))
		}
		if err := k.onRun(k.firstItem(), Verb{Kind: VerbRetry}); err == nil || !strings.Contains(err.Error(), "that of an item of run "+r.ID) {
			t.Errorf("retry of an item: %v", err)
		}

		k.vendor.sent = nil
		loop.Timeout, loop.OnError = Span{Elapsed: time.Hour}, OnErrorContinue
		k.put(cel(loop, ticket("after", "${steps.loop.reason}")))
		k.by("late")
		k.pass(time.Hour)
		k.want("late", k.ofItems("loop"), []string{"failed TimedOut", "failed TimedOut"})
		got = k.texts()
		slices.Sort(got)
		k.want("tickets", got, []string{"TimedOut", "a1", "b1"})
		if _, open := k.items(); open != 0 {
			t.Errorf("%d items are open", open)
		}
	})
}

func (k *kit) firstItem() string {
	k.t.Helper()
	all, _ := k.items()
	return all[0].ID
}

// TestForEachParallelVerbs: a skip stops the items, but passes over no approval;
// a retry begins the list anew with new effects; another revision is not taken
// for items that have begun.
func TestForEachParallelVerbs(t *testing.T) {
	eachStore(t, func(t *testing.T, k *kit) {
		k.ada(nil)
		k.put(cel(wide(2, "loop", "['a', 'b']", "i", ticket("act", "${i}"), waits("pause", Hours(9))), ticket("after", "after")))
		r := k.by("skip")
		if err := k.onRun(r.ID, Verb{Kind: VerbSkip}); err != nil {
			t.Fatal(err)
		}
		k.stand("wf", "succeeded")
		if _, open := k.items(); open != 0 {
			t.Errorf("%d items are open after a skip", open)
		}
		k.want("skipped", k.texts()[2:], []string{"after"})

		r = k.by("moved")
		if _, err := k.store.StopRun(t.Context(), k.tenant, r.ID, store.Decider{Actor: "eve"}); err != nil {
			t.Fatal(err)
		}
		w := k.put(cel(wide(2, "loop", "['a', 'b']", "i", ticket("act", "other")), ticket("after", "after")))
		if err := k.onRun(r.ID, Verb{Kind: VerbResume, ToRevision: w.Revision}); err == nil || !strings.Contains(err.Error(), "runs that step \"loop\" started have begun") {
			t.Errorf("resume in another revision: %v", err)
		}
		k.vendor.sent = nil
		if err := k.onRun(r.ID, Verb{Kind: VerbRetry, FromStep: "loop"}); err != nil {
			t.Fatal(err)
		}
		got := k.texts()
		slices.Sort(got)
		k.want("again", got, []string{"a", "b"})

		k.put(cel(wide(2, "loop", "['a']", "i", approval("ok", alone)), ticket("after", "passed over")))
		r = k.by("approval")
		if err := k.onRun(r.ID, Verb{Kind: VerbSkip}); err == nil {
			t.Error("an approval was passed over")
		}
		k.status(k.onCLI(k.open(), "mia", notify.Approve, ""), store.AnswerAccepted)
		k.settle()
		if got := k.root(); got.State != store.RunSucceeded {
			t.Errorf("%s %s", got.State, got.Message)
		}
	})
}

// park hands a run to a person, as a defect does.
func (k *kit) park(id string) {
	k.t.Helper()
	err := k.store.AdvanceRuns(k.t.Context(), k.engine.leases, []store.RunKey{{Tenant: k.tenant, ID: id}}, func(_ time.Time, l store.LoadedRun) (*store.RunChange, error) {
		l.Run.State, l.Run.Reason, l.Run.Message = store.RunAttention, "Defect", "by hand"
		return &store.RunChange{Run: l.Run}, nil
	})
	if err != nil {
		k.t.Fatal(err)
	}
}

// TestForEachParallelResolved: what a person decides about a run that was parked
// while its items were at work is done, and skips no approval.
func TestForEachParallelResolved(t *testing.T) {
	for name, tc := range map[string]struct {
		inner Step
		how   store.Resolution
		state store.RunState
		open  int
	}{
		"skip":             {waits("pause", Hours(9)), store.ResolveSkip, store.RunSucceeded, 0},
		"fail":             {waits("pause", Hours(9)), store.ResolveFail, store.RunFailed, 0},
		"retry":            {waits("pause", Hours(9)), store.ResolveRetry, store.RunWaiting, 2},
		"skip an approval": {approval("ok", alone), store.ResolveSkip, store.RunFailed, 0},
	} {
		t.Run(name, func(t *testing.T) {
			eachStore(t, func(t *testing.T, k *kit) {
				k.ada(nil)
				k.put(cel(wide(2, "loop", "['a', 'b']", "i", tc.inner), ticket("after", "after")))
				r := k.by("k")
				k.park(r.ID)
				load, err := k.store.WorkflowLoad(t.Context(), k.tenant, "wf")
				if err != nil || load.Attention != 1 || load.Parked == nil || load.Parked.ID != r.ID {
					t.Fatalf("%+v, %v", load, err)
				}
				if _, err := k.store.ResolveAttention(t.Context(), k.tenant, r.ID, tc.how, store.Decider{Actor: "eve"}); err != nil {
					t.Fatal(err)
				}
				k.settle()
				if got := k.root(); got.State != tc.state {
					t.Errorf("the run is %s (%s), want %s", got.State, got.Message, tc.state)
				}
				if _, open := k.items(); open != tc.open {
					t.Errorf("%d items are open, want %d", open, tc.open)
				}
			})
		})
	}
}

// TestForEachParallelNeedsAPerson: an item that waits for a person is seen on its
// Workflow.
func TestForEachParallelNeedsAPerson(t *testing.T) {
	eachStore(t, func(t *testing.T, k *kit) {
		k.ada(nil)
		k.put(cel(wide(2, "loop", "['a', 'b']", "i", waits("pause", Hours(9)))))
		k.by("k")
		k.park(k.firstItem())
		load, err := k.store.WorkflowLoad(t.Context(), k.tenant, "wf")
		if err != nil || load.Attention != 1 || load.Waiting != 1 || load.Parked == nil || load.Parked.ID != k.firstItem() {
			t.Errorf("%+v, %v", load, err)
		}
	})
}

// TestForEachParallelTooMuch: many items that would each begin with much are
// refused before any has begun.
func TestForEachParallelTooMuch(t *testing.T) {
	eachStore(t, func(t *testing.T, k *kit) {
		k.ada(nil)
		k.put(cel(wide(2, "loop", "input.list", "i", ticket("act", "x"))))
		k.by("k", func(r *StartRequest) {
			r.Input = map[string]any{"list": make([]any, maxItems), "much": strings.Repeat("x", maxItemsVars/maxItems)}
		})
		if got := k.root(); got.State != store.RunFailed || !strings.Contains(got.Message, "forEach.maxParallel: the runs of 1000 items would begin with") {
			t.Errorf("%s %s", got.State, got.Message)
		}
		if all, _ := k.items(); len(all) != 0 {
			t.Errorf("%d items have begun", len(all))
		}
	})
}

// TestForEachParallelUnknown: what nobody knows of an item's effect is not done
// again by a retry of the step.
func TestForEachParallelUnknown(t *testing.T) {
	eachStore(t, func(t *testing.T, k *kit) {
		k.ada(nil)
		unsafe := ticket("act", "x")
		unsafe.Action.OnAmbiguous = AmbiguousFail
		k.put(cel(wide(2, "loop", "['a']", "i", unsafe)))
		k.vendor.script("ticket.create", k.effectThenLost)
		r := k.by("k")
		k.stand("wf", "failed ItemsFailed")
		if err := k.onRun(r.ID, Verb{Kind: VerbRetry}); err == nil {
			t.Error("the retry was not refused")
		}
		k.want("tickets", k.texts(), []string{"x"})
	})
}

// TestForEachParallelSealed: a sensitive value opens in the run alone that has it,
// and goes neither down to an item nor back up.
func TestForEachParallelSealed(t *testing.T) {
	eachStore(t, func(t *testing.T, k *kit) {
		k.ada(nil)
		k.engine = k.newEngine(func(o *Options) { o.Sealer = keyring(t) })
		login := ticket("login", "login")
		login.Outputs, login.Sensitive = map[string]string{"token": "'hunter2-' + resp.ts", "plain": "resp.ts"}, []string{"token"}
		inner := ticket("inner", "inner")
		inner.Outputs, inner.Sensitive = map[string]string{"token": "'hunter3-' + resp.ts", "plain": "resp.ts"}, []string{"token"}
		use := ticket("use", "${steps.inner.token} ${steps.login.plain}")
		k.put(cel(login, wide(2, "loop", "['a']", "i", inner, use, ticket("leak", "${steps.login.token}"))))
		k.by("k")
		k.stand("wf", "failed ItemsFailed")
		k.want("tickets", k.texts(), []string{"login", "inner", "hunter3-2.0 1.0"})
		if got := fmt.Sprint(k.ofStep("loop")["items"]); !strings.Contains(got, "ExpressionFailed") && !strings.Contains(got, "BadInput") || !strings.Contains(got, "plain:2.0") || strings.Contains(got, "token:") {
			t.Error(got)
		}
		all, _ := k.items()
		for _, r := range append(all, k.root().Run) {
			raw, err := json.Marshal([]string{string(r.Vars), string(r.Cursor), r.Message})
			if err != nil {
				t.Fatal(err)
			}
			if strings.Contains(string(raw), "hunter") {
				t.Errorf("in the clear: %s", raw)
			}
		}
	})
}

// TestForEachParallelDryRun sends nothing, and shows for each item what it would.
func TestForEachParallelDryRun(t *testing.T) {
	eachStore(t, func(t *testing.T, k *kit) {
		k.ada(nil)
		k.put(cel(wide(3, "loop", "['a', 'b']", "i", waits("pause", Hours(9)), ticket("act", "${i}"))))
		k.by("k", func(r *StartRequest) { r.DryRun = true })
		k.stand("wf", "succeeded")
		all, _ := k.items()
		if len(k.vendor.sent) != 0 || len(all) != 2 {
			t.Fatalf("%d calls, %d items", len(k.vendor.sent), len(all))
		}
		steps, err := StepResults(all[1])
		if err != nil || len(steps) != 2 || fmt.Sprint(steps[1].Request["input"]) != "map[text:b]" {
			t.Errorf("%+v, %v", steps, err)
		}
	})
}

// TestForEachParallelMany: a long list goes through, and the run reads those
// items again that it has not counted, and no others.
func TestForEachParallelMany(t *testing.T) {
	eachStore(t, func(t *testing.T, k *kit) {
		k.ada(nil)
		k.put(cel(wide(20, "loop", "input.list", "i", ticket("act", "${string(i)}"))))
		list := make([]any, 200)
		for i := range list {
			list[i] = i
		}
		k.by("k", withInput("list", list))
		k.stand("wf", "succeeded")
		if n, doubled := k.vendor.count("ticket.create"); n != 200 || len(doubled) > 0 {
			t.Errorf("%d effects, doubled %v", n, doubled)
		}
		if got := k.ofItems("loop"); len(got) != 200 || slices.Contains(got, "stopped") {
			t.Errorf("%d items", len(got))
		}
	})
}

// TestForEachParallelBounds are what is refused before anything runs.
func TestForEachParallelBounds(t *testing.T) {
	act := ticket("act", "a")
	for name, tc := range map[string]struct {
		step Step
		says string
	}{
		"too many":            {wide(65, "l", "[1]", "x", act), "steps[l].forEach.maxParallel: 65: want 1 to 64"},
		"negative":            {wide(-1, "l", "[1]", "x", act), "steps[l].forEach.maxParallel: -1"},
		"too many together":   {wide(16, "l", "[1]", "x", wide(5, "m", "[1]", "y", act)), "steps[l].forEach.steps[m].forEach.maxParallel: 5 items at once for each of 16 are 80: at most 64"},
		"as many as may be":   {wide(16, "l", "[1]", "x", wide(4, "m", "[1]", "y", act)), ""},
		"inner after another": {wide(64, "l", "[1]", "x", each("m", "[1]", "y", act)), ""},
	} {
		err := Check(cel(tc.step), expr.Workflow{})
		if err == nil != (tc.says == "") || err != nil && !strings.Contains(err.Error(), tc.says) {
			t.Errorf("%s: %v, want %q", name, err, tc.says)
		}
	}
}
