// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package workflow

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/seatkeeper/seatkeeper/internal/expr"
	"github.com/seatkeeper/seatkeeper/internal/store"
)

const (
	// reasonExpression is why a step fails whose expression has no value.
	reasonExpression = "ExpressionFailed"
	reasonTimedOut   = "TimedOut"
	resultDryRun     = "dryRun"
	resultSkipped    = "skipped"
	// maxOutput bounds what a step keeps of an answer.
	maxOutput = 64 << 10
)

// scopeVars are the variables of a run that its expressions see.
var scopeVars = []string{"person", "application", "contract", "license", "event", "input", "steps", "vars", "org"}

// scope returns the variables of the current step's expressions. now is when
// the step began, so that a repeated look at it sees the same.
func (t *turn) scope() map[string]any {
	if !t.program.cel {
		return t.vars
	}
	out := Scope(t.vars, t.cur.Since)
	t.withSealed(out)
	t.vars.around(out)
	t.locals(out)
	return out
}

// plain gives numbers without a fraction back the type that they had before
// they were stored as JSON.
func plain(v any) any {
	switch x := v.(type) {
	case map[string]any:
		out := make(map[string]any, len(x))
		for k, e := range x {
			out[k] = plain(e)
		}
		return out
	case []any:
		out := make([]any, len(x))
		for i, e := range x {
			out[i] = plain(e)
		}
		return out
	case int:
		return int64(x)
	case float64:
		if x == math.Trunc(x) && math.Abs(x) < 1<<53 {
			return int64(x)
		}
	}
	return v
}

// begin enters the definition, unless its own condition is false.
func (t *turn) begin() {
	t.run.StepPath = t.program.start
	t.cur = cursor{Since: t.now}
	ok, err := true, error(nil)
	if t.program.when != nil {
		ok, err = t.program.when(t.scope())
	}
	switch {
	case err != nil:
		t.end(store.RunFailed, "failed", reasonExpression, "when: "+err.Error())
	case !ok:
		t.end(store.RunSucceeded, resultSkipped, "ConditionNotMet", "spec.when is not true of what the run is about")
	case t.unplaced():
		t.claim()
		t.run.StepPath, t.cur = pathEnd, t.cur.fresh(time.Time{}) // it has not begun
	}
}

// enter looks at the step's own condition once. It reports whether the step is
// to go on.
func (t *turn) enter(n *node) bool {
	if n.when == nil || t.cur.Entered || t.loopOf(n) != nil {
		return true
	}
	ok, err := n.when(t.scope())
	switch {
	case err != nil:
		t.failStep(n, reasonExpression, "when: "+err.Error())
		return false
	case !ok:
		t.complete(n, map[string]any{"result": resultSkipped, "reason": "ConditionNotMet"})
		return false
	}
	t.cur.Entered = true
	return true
}

// failStep ends a step for good, as its OnError says.
func (t *turn) failStep(n *node, reason, message string) {
	message = t.redact(message)
	if reason == reasonUnknown {
		t.vars[varUnknown] = t.run.StepPath
	}
	switch n.step.OnError {
	case OnErrorContinue:
		t.complete(n, map[string]any{"result": "failed", "reason": reason, "message": message})
	case OnErrorAsk:
		t.park(reason, message+"; say retry, skip or fail")
	default:
		if !t.failItem(reason, message) {
			t.fail(reason, message)
		}
	}
}

// unfilled goes on where an action's input has no value. A dry run has no
// answers of earlier calls, so there it proves nothing.
func (t *turn) unfilled(n *node, err error) {
	if how, ok := t.resolution(); ok {
		t.run.Reason, t.run.Message = "", ""
		switch how {
		case store.ResolveSkip:
			t.complete(n, map[string]any{"result": resultSkipped})
			return
		case store.ResolveFail:
			t.fail("Resolved", "a person ended the run as failed")
			return
		}
	}
	if t.dryRun() {
		t.complete(n, t.withoutAnswer(n, map[string]any{"result": resultDryRun, "message": "the input has no value in a dry run: " + t.redact(err.Error())}))
		return
	}
	message := err.Error()
	if errors.Is(err, expr.ErrTooLarge) {
		message = fmt.Sprintf("step %q: %s", n.step.Name, message)
	}
	t.failStep(n, "BadInput", message)
}

// dryRun says that the run goes through its steps and sends nothing.
func (t *turn) dryRun() bool {
	dry, _ := t.vars["dryRun"].(bool)
	return dry
}

// deadline is when the step, or the run, has taken as long as it may.
func (t *turn) deadline() (end time.Time, ok bool) {
	if !t.program.timeout.IsZero() && !t.cur.Failing {
		end, ok = t.program.timeout.After(t.begun(), t.zone()), true
	}
	sooner := func(path string, since time.Time) {
		n, known := t.node(path)
		if !known || n.step.Timeout.IsZero() {
			return
		}
		if step := n.step.Timeout.After(since, t.zone()); !ok || step.Before(end) {
			end, ok = step, true
		}
	}
	sooner(t.run.StepPath, t.cur.Since)
	for _, l := range t.cur.Loops {
		sooner(l.Path, l.Since)
	}
	return end, ok
}

// overdue reports that the run has taken as long as it may, and nothing of it
// is under way.
func (t *turn) overdue() bool {
	return t.intent == nil && !t.cur.Failing && !t.program.timeout.IsZero() && t.cur.Asking == "" && !t.cur.Lost &&
		!t.now.Before(t.program.timeout.After(t.begun(), t.zone()))
}

// begun is when the time of the run began: a person who sends it back gives it
// its time anew.
func (t *turn) begun() time.Time { return later(t.run.CreatedAt, t.cur.Resumed) }

// stepOverdue is overdue for the current step alone.
func (t *turn) stepOverdue() bool {
	n, ok := t.node(t.run.StepPath)
	return ok && !n.step.Timeout.IsZero() && !t.now.Before(n.step.Timeout.After(t.cur.Since, t.zone()))
}

// keep stores the result of a step under its name.
func (t *turn) keep(n *node, result map[string]any) {
	if t.program.cel { // names say nothing of the branch that they are in
		result["path"] = n.path
		if result["at"] == nil {
			result["at"] = t.now.Format(time.RFC3339)
		}
	}
	t.vars.setStep(n.step.Name, result)
}

// bounded drops an answer that is too large to keep; outputs name what matters.
func bounded(output map[string]any) map[string]any {
	if raw, err := json.Marshal(output); err != nil || len(raw) > maxOutput {
		return map[string]any{}
	}
	return output
}

// addOutputs adds the outputs that the step declares to its result.
func (t *turn) addOutputs(n *node, out callOutcome, result map[string]any) error {
	if len(n.outputs) == 0 {
		return nil
	}
	answer := map[string]any{"resp": plain(out.output), "status": int64(out.status), "headers": map[string]any{}}
	if out.output == nil {
		answer["resp"] = map[string]any{}
	}
	kept := map[string]any{}
	for name, f := range n.outputs {
		v, err := f(answer)
		if err != nil && n.step.sensitive() {
			return fmt.Errorf("outputs.%s: %s", name, noValue(err))
		}
		if err != nil {
			return fmt.Errorf("outputs.%s: %w", name, err)
		}
		kept[name] = v
		if err := t.addOutput(n.step, name, v, result); err != nil {
			return fmt.Errorf("outputs.%s: %w", name, err)
		}
	}
	if size, ok := fits(kept); !ok {
		return fmt.Errorf("outputs have %d bytes: at most %d are kept", size, maxOutput)
	}
	return nil
}

// fits reports whether outputs are small enough to be kept.
func fits(kept map[string]any) (size int, ok bool) {
	raw, err := json.Marshal(kept)
	return len(raw), err == nil && len(raw) <= maxOutput
}
