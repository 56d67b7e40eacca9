// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package workflow

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/seatkeeper/seatkeeper/internal/expr"
	"github.com/seatkeeper/seatkeeper/internal/model"
	"github.com/seatkeeper/seatkeeper/internal/store"
)

func each(name, in, as string, steps ...Step) Step {
	return Step{Name: name, ForEach: &ForEachStep{In: in, As: as, Steps: steps}}
}

// withInput starts a run with input.
func withInput(name string, v any) func(*StartRequest) {
	return func(r *StartRequest) { r.Input = map[string]any{name: v} }
}

// sent lists the calls with their keys.
func (k *kit) keys() map[string]int {
	out := map[string]int{}
	for _, c := range k.vendor.sent {
		out[c.IdemKey]++
	}
	return out
}

// result is what the newest run keeps of a step.
func (k *kit) result(name string) map[string]any {
	k.t.Helper()
	v, err := parseVars(k.run().Vars)
	if err != nil {
		k.t.Fatal(err)
	}
	r, _ := v.lookup("steps." + name).(map[string]any)
	return r
}

// itemResults are the results of a loop's items.
func (k *kit) itemResults(name string) []string {
	k.t.Helper()
	items, _ := k.result(name)["items"].([]any)
	out := []string{}
	for _, i := range items {
		r, _ := i.(map[string]any)
		s := fmt.Sprint(r["result"])
		if r["reason"] != nil {
			s += " " + fmt.Sprint(r["reason"])
		}
		out = append(out, s)
	}
	return out
}

// TestForEach goes through two levels: the item of each, results within an item
// only, and a key for each effect.
func TestForEach(t *testing.T) {
	eachStore(t, func(t *testing.T, k *kit) {
		k.ada(nil)
		first := ticket("open", "${person.displayName}: ${team.name} ${string(team.size + 1)}")
		first.Outputs = map[string]string{"ts": "resp.ts"}
		second := ticket("tell", "${steps.open.ts} ${has(steps.only) ? 'stale' : 'fresh'}")
		only := ticket("only", "first only")
		only.When = "team.size == 2"
		k.put(cel(
			each("teams", "input.teams", "team", first, second, only,
				each("members", "team.who.filter(w, w != '')", "who", ticket("greet", "${who} of ${team.name}"))),
			ticket("last", "${string(size(steps.teams.items))} ${has(steps.open) ? 'kept' : 'gone'}"),
		))
		k.by("k", withInput("teams", []any{
			map[string]any{"name": "red", "size": 2, "who": []any{"a", "", "b"}},
			map[string]any{"name": "blue", "size": 3, "who": []any{}},
		}))
		r := k.expect(store.RunSucceeded, "", "")
		k.want("tickets", k.texts(), []string{
			"Ada: red 3", "1.0 fresh", "first only", "a of red", "b of red",
			"Ada: blue 4", "6.0 fresh", "2 gone",
		})
		k.want("steps", k.steps(), []string{"teams done", "last done"})
		k.want("items", k.itemResults("teams"), []string{"done", "done"})
		if keys := k.keys(); len(keys) != 8 {
			t.Errorf("%d keys of 8 effects", len(keys))
		}
		const deep = "teams[#0]/members[#1]/greet"
		if !slices.ContainsFunc(r.Attempts, func(a store.Attempt) bool { return a.StepPath == deep }) || StepName(deep) != "teams[0].members[1].greet" {
			t.Errorf("no attempt at %s (%s): %+v", deep, StepName(deep), r.Attempts)
		}
		executions, _, _, err := k.store.ActionExecutions(t.Context(), k.tenant, store.ExecutionQuery{})
		if err != nil {
			t.Fatal(err)
		}
		numbers := map[int64]bool{}
		for _, e := range executions {
			numbers[e.ActionNumber()] = true
		}
		if len(executions) != 8 || len(numbers) != 5 {
			t.Errorf("%d executions of %d steps", len(executions), len(numbers))
		}
	})
}

// TestForEachFailures is what a failed item does to those after it and to the
// run.
func TestForEachFailures(t *testing.T) {
	denied := func(Call) (Result, error) { return Result{Class: ResultDenied, Sent: true, Message: "no"}, nil }
	for _, tc := range []struct {
		name, policy, onError string
		tickets               []string
		state                 store.RunState
		items                 []string
		steps                 []string
	}{
		{"others go on", "", "", []string{"0", "1", "2", "failure ItemsFailed"}, store.RunFailed, []string{"done", "failed Denied", "done"}, []string{"loop failed", "failed done"}},
		{"stops", FailureStop, "", []string{"0", "1", "failure ItemsFailed"}, store.RunFailed, []string{"done", "failed Denied"}, []string{"loop failed", "failed done"}},
		{"run goes on", "", OnErrorContinue, []string{"0", "1", "2", "after"}, store.RunSucceeded, []string{"done", "failed Denied", "done"}, []string{"loop failed", "after done"}},
		{"asks", FailureStop, OnErrorAsk, []string{"0", "1"}, store.RunAttention, []string{}, []string{"loop"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			eachStore(t, func(t *testing.T, k *kit) {
				k.ada(nil)
				k.vendor.script("ticket.create", func(c Call) (Result, error) { return k.vendor.do(c), nil })
				k.vendor.script("ticket.create", denied)
				loop := each("loop", "[0, 1, 2]", "i", ticket("act", "${string(i)}"))
				loop.OnError, loop.ForEach.FailurePolicy = tc.onError, tc.policy
				d := cel(loop, ticket("after", "after"))
				d.OnFailure = []Step{ticket("failed", "failure ${steps.loop.reason}")}
				k.put(d)
				r := k.by("k")
				k.want("tickets", k.texts(), tc.tickets)
				if got := k.run().State; got != tc.state {
					t.Fatalf("the run is %s (%s), want %s", got, k.run().Message, tc.state)
				}
				k.want("items", k.itemResults("loop"), tc.items)
				k.want("steps", k.steps(), tc.steps)
				if tc.state != store.RunAttention {
					return
				}
				resolve := func(how store.Resolution) {
					t.Helper()
					if _, err := k.store.ResolveAttention(t.Context(), k.tenant, r.ID, how, store.Decider{Actor: "eve"}); err != nil {
						t.Fatal(err)
					}
					k.settle()
				}
				resolve(store.ResolveRetry)
				k.expect(store.RunAttention, "", reasonItemsFailed)
				resolve(store.ResolveSkip)
				k.expect(store.RunSucceeded, "", "")
				k.want("tickets", k.texts(), append(tc.tickets, "after"))
				k.want("items", k.itemResults("loop"), []string{"done", "failed Denied"})
			})
		})
	}
}

// TestForEachWaits has waits in items: who is asked for a stop stops between
// items, a timeout ends the loop in the middle, and the list stays as it was.
func TestForEachWaits(t *testing.T) {
	eachStore(t, func(t *testing.T, k *kit) {
		k.ada(nil)
		loop := each("loop", "person.department == 'Sales' ? ['a', 'b', 'c'] : []", "i", ticket("act", "${i}"), waits("pause", Hours(1)))
		k.put(cel(loop, ticket("after", "after")))
		k.by("all")
		k.ada(func(p *model.Person) { p.Department = "Legal" })
		k.want("first", k.texts(), []string{"a"})
		k.want("steps", k.steps(), []string{"loop[0].act done", "loop[0].pause"})
		k.pass(time.Hour)
		k.pass(time.Hour)
		k.pass(time.Hour)
		k.expect(store.RunSucceeded, "", "")
		k.want("all", k.texts(), []string{"a", "b", "c", "after"})

		k.ada(nil)
		r := k.by("stopped")
		k.pass(time.Hour)
		if _, err := k.store.StopRun(t.Context(), k.tenant, r.ID, store.Decider{Actor: "eve"}); err != nil {
			t.Fatal(err)
		}
		k.pass(10 * time.Hour)
		k.want("stopped", k.texts(), []string{"a", "b", "c", "after", "a", "b"})

		k.vendor.sent = nil
		late := loop
		late.Timeout, late.OnError = Span{Elapsed: 90 * time.Minute}, OnErrorContinue
		k.put(cel(late, ticket("after", "${steps.loop.reason}")))
		k.by("late")
		k.pass(time.Hour)
		k.expect(store.RunWaiting, "", "Waiting")
		k.pass(30 * time.Minute)
		k.expect(store.RunSucceeded, "", "")
		k.want("late", k.texts(), []string{"a", "b", "TimedOut"})
		k.want("items", k.itemResults("loop"), []string{"done", "failed TimedOut"})
	})
}

// TestForEachBounds is about lists that are no list, or too long; a dry run
// goes through every item, however many moves that takes.
func TestForEachBounds(t *testing.T) {
	eachStore(t, func(t *testing.T, k *kit) {
		k.ada(nil)
		k.put(cel(each("loop", "has(input.list) && type(input.list) == list && size(input.list) == 1 ? input.list + input.list : input.list", "i", ticket("act", "${string(i)}"))))
		thousand := make([]any, maxItems)
		for i := range thousand {
			thousand[i] = i
		}
		for i, tc := range []struct {
			list            any
			reason, message string
		}{
			{"text", "BadInput", "got a string, want a list"},
			{nil, "BadInput", "want a list"},
			{append(thousand[:maxItems:maxItems], 1), "BadInput", "1001 items: at most 1000"},
			{[]any{strings.Repeat("x", maxItemsBytes/2)}, "BadInput", "bytes: at most 65536"},
			{[]any{}, "", ""},
		} {
			k.by(fmt.Sprint("k", i), withInput("list", tc.list))
			if r := k.run(); r.Reason != tc.reason || !strings.Contains(r.Message, tc.message) {
				t.Errorf("%d: %s %q", i, r.Reason, r.Message)
			}
		}
		k.by("many", withInput("list", thousand), func(r *StartRequest) { r.DryRun = true })
		k.expect(store.RunSucceeded, "", "")
		if n := len(k.itemResults("loop")); n != maxItems || len(k.vendor.sent) != 0 {
			t.Errorf("%d items, %d calls", n, len(k.vendor.sent))
		}
		k.by("missing", func(r *StartRequest) { r.DryRun = true })
		k.expect(store.RunSucceeded, "", "")
	})
}

// TestForEachNames: the name of an item is one only inside of its loop, and
// hides nothing.
func TestForEachNames(t *testing.T) {
	act := ticket("act", "${x}")
	for name, tc := range map[string]struct {
		steps []Step
		says  string
	}{
		"behind the loop": {[]Step{each("l", "[1]", "x", ticket("a", "a")), act}, "steps[act].action.with.text"},
		"in its own list": {[]Step{each("l", "[x]", "x", act)}, "steps[l].forEach.in"},
		"a variable":      {[]Step{each("l", "[1]", "person", ticket("a", "a"))}, `steps[l].forEach.as: "person" has a meaning`},
		"a word of CEL":   {[]Step{each("l", "[1]", "in", ticket("a", "a"))}, `"in" has a meaning`},
		"a type of CEL":   {[]Step{each("l", "[1]", "string", ticket("a", "a"))}, `"string" has a meaning`},
		"the outer item":  {[]Step{each("l", "[1]", "x", each("m", "[x]", "x", ticket("a", "a")))}, `steps[l].forEach.steps[m].forEach.as: "x" is the name of an item`},
		"one step twice":  {[]Step{each("l", "[1]", "x", act), ticket("act", "a")}, `another step has the name "act"`},
		"nothing":         {[]Step{each("l", "[1]", "x")}, "nothing to do"},
		"two of one name": {[]Step{each("l", "[1]", "x", act), each("m", "[1]", "x", ticket("a", "${x}"))}, ""},
	} {
		err := Check(cel(tc.steps...), expr.Workflow{})
		if err == nil != (tc.says == "") || err != nil && !strings.Contains(err.Error(), tc.says) {
			t.Errorf("%s: %v, want %q", name, err, tc.says)
		}
	}
}
