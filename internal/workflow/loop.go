// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package workflow

import (
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/seatkeeper/seatkeeper/internal/store"
)

// ForEachStep runs steps once for each item of a list. Expressions of those steps
// have the item under the name As.
type ForEachStep struct {
	In string `json:"in"` // an expression that gives the list
	As string `json:"as"`
	// FailurePolicy says what a failed item does to those after it: Continue
	// (default) or Stop. Either way the step has failed in the end.
	FailurePolicy string `json:"failurePolicy,omitempty"`
	// MaxParallel items are at work at once, each in a run of its own; up to 1: one
	// after the other, in the run itself.
	MaxParallel int    `json:"maxParallel,omitempty"`
	Steps       []Step `json:"steps"`
}

// FailureStop is the FailurePolicy that begins no item after a failed one.
const FailureStop = "Stop"

const (
	// maxItems and maxItemsBytes bound a list: it is kept in the run's row.
	maxItems      = 1000
	maxItemsBytes = 64 << 10
	// maxResultsBytes bounds what is kept of the outputs of items, and of the
	// messages of those that failed.
	maxResultsBytes = 32 << 10
	// longTurn is after how many moves a run with many items lets others have
	// a turn.
	longTurn = 200
)

// reasonItemsFailed is why a forEach fails of which an item has.
const reasonItemsFailed = "ItemsFailed"

// loopMark stands in the path of a step for the items of the loop around it.
// In the path of a run's step it has the index: each[#2]/act.
const loopMark = "[#]"

var indexMark = regexp.MustCompile(`\[#[0-9]+\]`)

// staticPath is a step's path in the definition.
func staticPath(path string) string {
	if !strings.Contains(path, "[#") {
		return path
	}
	return indexMark.ReplaceAllString(path, loopMark)
}

// loop is a forEach that a run is in. The list is read once, so that what its
// steps change does not change it.
type loop struct {
	Path    string           `json:"path"` // of the step, with indices
	Since   time.Time        `json:"since,omitzero"`
	Items   []any            `json:"items"`
	Ix      int              `json:"ix"` // the item at work, or the next; behind the last when all were
	Results []map[string]any `json:"results,omitempty"`
	Failed  int              `json:"failed,omitempty"`
	Late    bool             `json:"late,omitempty"` // it took longer than its step may
	Kept    int              `json:"kept,omitempty"` // bytes of outputs and messages in Results
	Cut     bool             `json:"cut,omitempty"`  // some outputs found no room there
	// Parallel says that items have runs of their own; Open are those at work.
	Parallel bool  `json:"parallel,omitempty"`
	Open     []int `json:"open,omitempty"`
}

// itemEnd is what an item came to.
type itemEnd struct {
	result, reason, message string
	steps                   map[string]any // the outputs of its steps
	run                     string         // its own, if it had one
}

// add keeps what the item at work came to.
func (l *loop) add(end itemEnd) {
	l.Results = append(l.Results, l.keep(end))
	l.Ix++
}

// keep counts what an item came to, and returns what is kept of it.
func (l *loop) keep(end itemEnd) map[string]any {
	r := map[string]any{"result": end.result}
	if end.reason != "" {
		r["reason"] = end.reason
	}
	if end.run != "" {
		r["run"] = end.run
	}
	if end.message != "" && l.Kept+len(end.message) <= maxResultsBytes {
		l.Kept += len(end.message)
		r["message"] = end.message
	}
	if len(end.steps) > 0 {
		if size, ok := fits(end.steps); ok && l.Kept+size <= maxResultsBytes {
			l.Kept += size
			r["steps"] = end.steps
		} else {
			l.Cut = true
		}
	}
	if end.result == StepFailed {
		l.Failed++
	}
	return r
}

// result is that of the whole step.
func (l *loop) result() map[string]any {
	items := make([]any, len(l.Results))
	for i, r := range l.Results {
		if r == nil { // left behind by a run that fails meanwhile
			r = map[string]any{"result": string(store.RunStopped)}
		}
		items[i] = r
	}
	out := map[string]any{"result": string(ResultDone), "count": len(l.Items), "failed": l.Failed, "items": items}
	if l.Cut {
		out["truncated"] = true
	}
	if l.Failed > 0 {
		out["result"], out["reason"], out["message"] = StepFailed, l.reason(), l.failure()
	}
	return out
}

func (l *loop) reason() string {
	if l.Late {
		return reasonTimedOut
	}
	return reasonItemsFailed
}

// failure says what failed.
func (l *loop) failure() string {
	first := slices.IndexFunc(l.Results, func(r map[string]any) bool { return r["result"] == StepFailed })
	if first < 0 {
		return ""
	}
	s := fmt.Sprintf("%d of %d items failed", l.Failed, len(l.Items))
	if n := len(l.Items) - len(l.Results); n > 0 {
		s += fmt.Sprintf(" and %d were not begun", n)
	}
	s += fmt.Sprintf("; item %d: %v", first, l.Results[first]["reason"])
	if m, ok := l.Results[first]["message"]; ok {
		s += fmt.Sprintf(": %v", m)
	}
	return s
}

// loop links the steps of a forEach; the last leads back to it.
func (l *linker) loop(n *node, s *ForEachStep) (err error) {
	field := n.field + ".forEach"
	if len(s.Steps) == 0 {
		return fmt.Errorf("%s.steps: there is nothing to do for an item", field)
	}
	if n.items, err = l.list(field+".in", s.In); err != nil {
		return err
	}
	if err := l.lang.Local(s.As, l.locals...); err != nil {
		return fmt.Errorf("%s.as: %w", field, err)
	}
	outer, width := l.locals, l.width
	defer func() { l.locals, l.width = outer, width }()
	l.locals = append(slices.Clone(outer), s.As)
	if err := l.widen(field, s.MaxParallel); err != nil {
		return err
	}
	if n.first, err = l.link(n.path+loopMark+"/", field+".steps", s.Steps, n.path); err != nil {
		return err
	}
	n.inner = everyStep(s.Steps, nil)
	if s.MaxParallel > 1 {
		n.item, err = Definition{Language: LanguageCEL, Subject: l.subject, Locals: l.locals, Steps: s.Steps}.Marshal()
	}
	return err
}

// everyStep lists steps and those inside of them.
func everyStep(steps, out []Step) []Step {
	for _, s := range steps {
		out = append(out, s)
		if s.Switch != nil {
			for _, c := range s.Switch.Cases {
				out = everyStep(c, out)
			}
			for _, c := range s.Switch.When {
				out = everyStep(c.Steps, out)
			}
			out = everyStep(s.Switch.Otherwise, out)
		}
		if s.ForEach != nil {
			out = everyStep(s.ForEach.Steps, out)
		}
	}
	return out
}

// node returns the step at a path of the run. Inside of loops its path has the
// indices, and with it every key that names an effect or a question.
func (t *turn) node(path string) (*node, bool) {
	n, ok := t.program.nodes[staticPath(path)]
	if !ok || n.path == path {
		return n, ok
	}
	in := *n
	in.path = path
	return &in, true
}

// indexed puts the indices of the items at work into the path of a step.
func (t *turn) indexed(path string) string {
	for _, l := range t.cur.Loops {
		path = strings.Replace(path, loopMark, "[#"+strconv.Itoa(l.Ix)+"]", 1)
	}
	return path
}

// checkLoops reports a cursor that does not fit the definition.
func (t *turn) checkLoops() error {
	for _, l := range t.cur.Loops {
		n, ok := t.node(l.Path)
		if !ok || n.step.ForEach == nil || l.Ix < 0 || l.Ix > len(l.Items) || len(l.Results) > len(l.Items) {
			return fmt.Errorf("run %s: cursor: the definition has no such loop: %q", t.run.ID, l.Path)
		}
	}
	return nil
}

// loopOf returns the loop that a step is the head of, nil before it began.
func (t *turn) loopOf(n *node) *loop {
	if i := len(t.cur.Loops) - 1; i >= 0 && t.cur.Loops[i].Path == n.path {
		return &t.cur.Loops[i]
	}
	return nil
}

// locals are the items at work, by the names that expressions have for them.
func (t *turn) locals(into map[string]any) {
	for _, l := range t.cur.Loops {
		if n, ok := t.node(l.Path); ok && !l.Parallel && l.Ix < len(l.Items) {
			into[n.step.ForEach.As] = plain(l.Items[l.Ix])
		}
	}
}

// forEach begins a loop, or counts an item whose steps have ended.
func (t *turn) forEach(n *node, s *ForEachStep) {
	l := t.loopOf(n)
	switch {
	case l == nil:
		t.enterLoop(n, s)
	case len(l.Open) > 0 && t.leaveItems(n, s, l):
	case len(l.Open) > 0:
		t.awaitItems(n, s, l)
	case t.allDone(s, l):
		t.resolveLoop(n, l)
	case l.Parallel:
		t.beginItems(n, s, l)
	default:
		l.add(itemEnd{result: string(ResultDone), steps: outputsOf(n, t.vars)})
		t.iterate(n, s)
	}
}

// enterLoop reads the list.
func (t *turn) enterLoop(n *node, s *ForEachStep) {
	v, err := n.items(t.scope())
	if err != nil && t.dryRun() {
		t.complete(n, map[string]any{"result": resultDryRun, "message": "the list has no value in a dry run: " + err.Error()})
		return
	}
	if err != nil {
		t.failStep(n, reasonExpression, "forEach.in: "+err.Error())
		return
	}
	items, err := listOf(v)
	if err != nil {
		t.failStep(n, "BadInput", "forEach.in: "+err.Error())
		return
	}
	if err := t.roomForItems(n, len(items)); err != nil {
		t.failStep(n, "BadInput", err.Error())
		return
	}
	t.cur.Loops = append(t.cur.Loops, loop{Path: n.path, Since: t.cur.Since, Items: items, Parallel: n.item != nil})
	if l := t.loopOf(n); l.Parallel {
		t.beginItems(n, s, l)
		return
	}
	t.iterate(n, s)
}

// listOf is a list as it is kept.
func listOf(v any) ([]any, error) {
	raw, err := json.Marshal(v)
	if err != nil {
		return nil, unwritten(err)
	}
	var items []any
	if err := json.Unmarshal(raw, &items); err != nil || items == nil && v != nil {
		return nil, fmt.Errorf("got a %T, want a list", v)
	}
	switch {
	case v == nil:
		return nil, fmt.Errorf("got null, want a list")
	case len(items) > maxItems:
		return nil, fmt.Errorf("the list has %d items: at most %d are taken", len(items), maxItems)
	case len(raw) > maxItemsBytes:
		return nil, fmt.Errorf("the list has %d bytes: at most %d are kept; map it to the fields that the steps need", len(raw), maxItemsBytes)
	}
	return items, nil
}

// allDone reports that no further item begins.
func (t *turn) allDone(s *ForEachStep, l *loop) bool {
	return l.Late || l.Ix >= len(l.Items) || l.Failed > 0 && s.FailurePolicy == FailureStop
}

// iterate begins the next item, or ends the step.
func (t *turn) iterate(n *node, s *ForEachStep) {
	for _, inner := range n.inner { // what one item did is not the next one's
		t.vars.dropStep(inner.Name)
	}
	l := t.loopOf(n)
	if t.allDone(s, l) {
		t.endLoop(n, l)
		return
	}
	t.goTo(n.first)
}

// endLoop ends the step as its items did.
func (t *turn) endLoop(n *node, l *loop) {
	result := l.result()
	switch {
	case l.Failed == 0 || n.step.OnError == OnErrorContinue:
		t.leaveLoop()
		t.complete(n, result)
	case n.step.OnError == OnErrorAsk:
		t.goTo(n.path)
		t.park(l.reason(), l.failure()+"; say skip to go on behind the step, or fail")
	default:
		t.leaveLoop()
		t.goTo(n.path)
		t.keep(n, result)
		t.failStep(n, l.reason(), l.failure())
	}
}

func (t *turn) leaveLoop() { t.cur.Loops = t.cur.Loops[:len(t.cur.Loops)-1] }

// resolveLoop goes on as a person decided about a step of which items failed.
// Its items are not repeated: some of their steps have had their effect.
func (t *turn) resolveLoop(n *node, l *loop) {
	how, ok := t.resolution()
	if !ok {
		t.endLoop(n, l)
		return
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
		t.park(reasonItemsFailed, l.failure()+"; items are not tried again as a whole: give the steps for an item onError: Ask to be asked about each. Say skip or fail")
	}
}

// failItem ends the item at work as failed. It reports false outside of loops.
func (t *turn) failItem(reason, message string) bool {
	i := len(t.cur.Loops) - 1
	if i < 0 || t.cur.Failing {
		return false
	}
	n, ok := t.node(t.cur.Loops[i].Path)
	if !ok {
		return false
	}
	t.cur.Loops[i].add(itemEnd{result: StepFailed, reason: reason, message: StepName(t.run.StepPath) + ": " + message, steps: outputsOf(n, t.vars)})
	t.run.Reason, t.run.Message = "", ""
	t.iterate(n, n.step.ForEach)
	return true
}

// abandonLoops leaves all loops because the run fails; what became of their
// items is kept.
func (t *turn) abandonLoops() {
	for i := range t.cur.Loops {
		l := &t.cur.Loops[i]
		if n, ok := t.node(l.Path); ok {
			result := l.result()
			result["result"] = StepFailed
			t.keep(n, result)
		}
	}
	t.cur.Loops = nil
}

// endOverdueLoop ends the outermost loop that has taken as long as its step
// may, in the middle of an item, unless something of it is under way.
func (t *turn) endOverdueLoop() bool {
	if t.intent != nil || t.cur.Asking != "" || t.cur.Lost {
		return false
	}
	for i := range t.cur.Loops {
		l := &t.cur.Loops[i]
		n, ok := t.node(l.Path)
		if !ok || l.Parallel || n.step.Timeout.IsZero() || t.now.Before(n.step.Timeout.After(l.Since, t.zone())) || t.allDone(n.step.ForEach, l) {
			continue
		}
		l.Late = true
		l.add(itemEnd{result: StepFailed, reason: reasonTimedOut, message: StepName(t.run.StepPath) + ": the step took longer than " + n.step.Timeout.String()})
		t.cur.Loops = t.cur.Loops[:i+1]
		t.iterate(n, n.step.ForEach)
		return true
	}
	return false
}
