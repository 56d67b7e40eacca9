// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package workflow

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/seatkeeper/seatkeeper/internal/store"
)

// KindItem is the definition kind of the runs of a forEach whose items are at
// work at the same time: one for each item, named as the Workflow.
const KindItem = "Item"

// MaxParallel bounds how many items of one run are at work at once, those of
// loops inside of one another together.
const MaxParallel = 64

// varAround is the variable of an item's run with what it knows of the run that
// its forEach is in: items by name, and the results of the steps before.
const varAround = "around"

// widen counts how many items may be at work at once inside of a loop.
func (l *linker) widen(field string, parallel int) error {
	if parallel < 0 || parallel > MaxParallel {
		return fmt.Errorf("%s.maxParallel: %d: want 1 to %d", field, parallel, MaxParallel)
	}
	around := l.width
	if l.width *= max(1, parallel); l.width > MaxParallel {
		return fmt.Errorf("%s.maxParallel: %d items at once for each of %d are %d: at most %d may be at work at once in one run; lower one of the two",
			field, parallel, around, l.width, MaxParallel)
	}
	return nil
}

// itemKey is the trigger key of the run of one item: however often it is begun,
// it is one run.
func (t *turn) itemKey(n *node, i int) string {
	return fmt.Sprintf("%s%d]/%d", itemKeys(t.run.ID, n), i, t.cur.Round)
}

// itemKeys begin the trigger keys of the runs of a step's items.
func itemKeys(run string, n *node) string { return run + "/" + n.path + "[#" }

// beginItems starts runs for the next items as long as there is room, and ends
// the step when none is at work any more.
func (t *turn) beginItems(n *node, s *ForEachStep, l *loop) {
	for len(l.Open) < s.MaxParallel && !t.allDone(s, l) {
		r, err := t.itemRun(n, s, l)
		if err != nil {
			t.failStep(n, "BadInput", err.Error())
			return
		}
		t.change.Starts = append(t.change.Starts, r)
		l.Open, l.Results = append(l.Open, l.Ix), append(l.Results, nil)
		l.Ix++
	}
	if len(l.Open) == 0 {
		t.cur.Phase = ""
		t.endLoop(n, l)
		return
	}
	t.cur.Phase = phaseChild
	message := fmt.Sprintf("%d of %d items are at work, %d have ended", len(l.Open), len(l.Items), l.Ix-len(l.Open))
	if l.Failed > 0 {
		message += fmt.Sprintf(" and %d of them failed", l.Failed)
	}
	if l.Late {
		message += "; the step took longer than " + n.step.Timeout.String() + ", and what is at work is stopped"
	}
	t.sleep(t.now.Add(childFor), store.ReasonWaitingForRun, message)
}

// maxItemsVars bounds what the runs of the items of a step begin with, together:
// each has a copy of what its run knows.
const maxItemsVars = 32 << 20

// roomForItems refuses so many items with runs of their own that they would begin
// with too much.
func (t *turn) roomForItems(n *node, items int) error {
	if n.item == nil {
		return nil
	}
	raw, err := json.Marshal(t.vars)
	if err != nil {
		return unwritten(err)
	}
	if all := len(raw) * items; all > maxItemsVars {
		return fmt.Errorf("forEach.maxParallel: the runs of %d items would begin with %d bytes of variables each, %d in all: at most %d may be; "+
			"have the run keep less, or set maxParallel to 1", items, len(raw), all, maxItemsVars)
	}
	return nil
}

// leaveItems does as a person decided about a run that was parked while its items
// were at work: they are stopped. It reports false where they go on.
func (t *turn) leaveItems(n *node, s *ForEachStep, l *loop) bool {
	how, _ := t.resolution()
	if how == store.ResolveSkip && approvesIn(s.Steps) {
		how = store.ResolveFail // only who is asked can give it
	}
	t.run.Reason, t.run.Message = "", ""
	switch how {
	case store.ResolveSkip:
		result := l.result()
		t.leaveLoop()
		result["result"] = resultSkipped
		t.complete(n, result)
	case store.ResolveFail:
		t.fail("Resolved", "a person ended the run as failed")
	default:
		return false
	}
	return true
}

// approvesIn says whether one of the steps, or of those in them, is an approval.
func approvesIn(steps []Step) bool {
	return slices.ContainsFunc(steps, func(s Step) bool {
		switch {
		case s.Switch != nil:
			for _, c := range s.Switch.Cases {
				if approvesIn(c) {
					return true
				}
			}
			return approvesIn(s.Switch.Otherwise) || slices.ContainsFunc(s.Switch.When, func(c CaseStep) bool { return approvesIn(c.Steps) })
		case s.ForEach != nil:
			return approvesIn(s.ForEach.Steps)
		}
		return s.approves()
	})
}

// itemRun is the run of the next item.
func (t *turn) itemRun(n *node, s *ForEachStep, l *loop) (store.NewRun, error) {
	all := maps.Clone(t.vars)
	for _, own := range []string{"steps", "failure", "offboarding", varUnknown} {
		delete(all, own)
	}
	items := map[string]any{}
	if outer, ok := t.vars.lookup(varAround + ".items").(map[string]any); ok {
		maps.Copy(items, outer)
	}
	t.locals(items)
	items[s.As] = l.Items[l.Ix]
	all[varAround] = map[string]any{"items": items, "steps": t.resultsBefore(), "left": t.toCome()}
	raw, err := json.Marshal(all)
	return store.NewRun{
		Kind: KindItem, Name: t.run.Name, TriggerKind: TriggerWorkflow, TriggerKey: t.itemKey(n, l.Ix), ParentID: t.run.ID, Definition: n.item,
		Subject: t.run.Subject, PersonID: t.run.PersonID, Cause: t.run.Cause, Vars: raw, Priority: t.run.Priority,
	}, err
}

// resultsBefore are the results that the run of an item may read: those of its
// own run, and what that one may read. What is sealed opens in its own run only
// and is left out.
func (t *turn) resultsBefore() map[string]any {
	out := map[string]any{}
	if outer, ok := t.vars.lookup(varAround + ".steps").(map[string]any); ok {
		maps.Copy(out, outer)
	}
	steps, _ := t.vars["steps"].(map[string]any)
	for name, result := range steps {
		members, _ := result.(map[string]any)
		open := maps.Clone(members)
		maps.DeleteFunc(open, func(_ string, v any) bool { _, sealed := sealedIn(v); return sealed })
		out[name] = open
	}
	return out
}

// around adds what the run of an item knows of the run around it.
func (v vars) around(scope map[string]any) {
	if items, ok := v.lookup(varAround + ".items").(map[string]any); ok {
		for name, item := range items {
			scope[name] = plain(item)
		}
	}
	before, _ := v.lookup(varAround + ".steps").(map[string]any)
	steps, ok := scope["steps"].(map[string]any)
	if !ok {
		return
	}
	for name, result := range before {
		if _, own := steps[name]; !own {
			steps[name] = plain(result)
		}
	}
}

// awaitItems takes what items came to whose runs have ended, and lets the next
// begin.
func (t *turn) awaitItems(n *node, s *ForEachStep, l *loop) {
	if !t.loadedChildren { // it waited for something else meanwhile
		t.run.State, t.run.DueAt, t.run.Reason, t.run.Message = store.RunReady, t.now, store.ReasonWaitingForRun, ""
		t.done = true
		return
	}
	byKey := map[string]store.Run{}
	for _, c := range t.children {
		byKey[c.TriggerKey] = c
	}
	l.Open = slices.DeleteFunc(l.Open, func(i int) bool {
		c, there := byKey[t.itemKey(n, i)]
		if there && !c.State.Ended() {
			return false
		}
		end := itemEnd{result: StepFailed, reason: "RunGone", message: "the run of the item is gone, and how it ended is not known"}
		if there {
			end = t.itemEnded(n, l, i, c)
			t.change.Settled = append(t.change.Settled, c.ID)
		}
		l.Results[i] = l.keep(end)
		return true
	})
	if !l.Late && t.stepOverdue() && (len(l.Open) > 0 || !t.allDone(s, l)) {
		l.Late, t.change.StopChildren = true, true
	}
	t.beginItems(n, s, l)
}

// itemEnded is what an item came to whose run has ended.
func (t *turn) itemEnded(n *node, l *loop, i int, c store.Run) itemEnd {
	t.noteUnknown(c)
	end := itemEnd{result: string(ResultDone), run: c.ID}
	v, err := parseVars(c.Vars)
	if err == nil {
		end.steps = outputsOf(n, v)
	}
	if c.State == store.RunSucceeded {
		return end
	}
	at := fmt.Sprintf("%s[#%d]", n.path, i)
	if step := v.text("failure.step"); step != "" {
		at += "/" + step
	}
	end.result, end.reason, end.message = StepFailed, c.Reason, StepName(at)+": "+c.Message
	if l.Late && c.State == store.RunStopped {
		end.reason, end.message = reasonTimedOut, StepName(at)+": the step took longer than "+n.step.Timeout.String()
	}
	return end
}

// outputsOf are the outputs of the steps for an item that may be kept in the
// clear, by step.
func outputsOf(n *node, v vars) map[string]any {
	out := map[string]any{}
	for _, s := range n.inner {
		result, _ := v.lookup("steps." + s.Name).(map[string]any)
		kept := map[string]any{}
		for name := range s.Outputs {
			if value, ok := result[name]; ok && !slices.Contains(s.Sensitive, name) {
				kept[name] = value
			}
		}
		if len(kept) > 0 {
			out[s.Name] = kept
		}
	}
	return out
}

// StartedBy is the step that started a run which its parent waits for, and behind
// it the place of the item or of the account there: [2].
func StartedBy(r store.Run) (path, place string) {
	key, ok := strings.CutPrefix(r.TriggerKey, r.ParentID+"/")
	i := strings.LastIndexByte(key, '/') // before the generation
	if r.ParentID == "" || !ok || i < 0 {
		return "", ""
	}
	path = key[:i]
	if i := strings.LastIndex(path, "[#"); i >= 0 && r.Kind != KindWorkflow {
		return path[:i], "[" + path[i+len("[#"):]
	}
	return path, ""
}
