// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package workflow

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/seatkeeper/seatkeeper/internal/model"
	"github.com/seatkeeper/seatkeeper/internal/notify"
	"github.com/seatkeeper/seatkeeper/internal/store"
)

const (
	reasonUnknown = "OutcomeUnknown"
	// varUnknown is the variable with the step whose outcome nobody knows, once
	// there is one.
	varUnknown = "unknown"
	// onFailurePrefix begins the paths of the steps of OnFailure.
	onFailurePrefix = "onFailure:"
)

// VerbStore is what verbs on a run need of the store.
type VerbStore interface {
	Run(ctx context.Context, tenant model.TenantID, id string) (store.RunDetail, error)
	Workflow(ctx context.Context, tenant model.TenantID, name string) (store.WorkflowState, error)
	Definition(ctx context.Context, tenant model.TenantID, kind, name string, revision int64) (json.RawMessage, error)
	RewindRun(ctx context.Context, tenant model.TenantID, id string, v store.Rewind) (store.Run, error)
}

// VerbKind is what a person does to a run, beside stop and resolve.
type VerbKind string

// Verbs.
const (
	// VerbResume goes on where a run was stopped.
	VerbResume VerbKind = "resume"
	// VerbRetry does a step again that the run has come to, and all behind it.
	VerbRetry VerbKind = "retry"
	// VerbSkip goes on behind the step that the run is at or failed at.
	VerbSkip VerbKind = "skip"
)

// Verb is one request of a person.
type Verb struct {
	Kind VerbKind
	// FromStep is the step of a retry; empty: the one that failed.
	FromStep string
	// ToRevision of a resume; 0: the run's own.
	ToRevision int64
	// LookedAt says that a person has looked whether a step whose outcome is
	// unknown had its effect.
	LookedAt bool
	By       store.Decider
}

// VerbError says why a verb was refused; nothing has changed.
type VerbError struct{ Message string }

func (e *VerbError) Error() string { return e.Message }

func refused(format string, args ...any) error { return &VerbError{fmt.Sprintf(format, args...)} }

// Do carries a verb out.
func Do(ctx context.Context, st VerbStore, tenant model.TenantID, id string, v Verb, lang Language) (store.Run, error) {
	run, err := st.Run(ctx, tenant, id)
	if err != nil {
		return store.Run{}, err
	}
	if run.Kind == KindItem {
		return store.Run{}, refused("run %s is that of an item of run %s: %s that one", id, run.ParentID, v.Kind)
	}
	if run.Kind != KindWorkflow {
		return store.Run{}, refused("run %s is of %s %q, which decides by itself at its next evaluation; only runs of Workflows take %s", id, run.Kind, run.Name, v.Kind)
	}
	if _, err := st.Workflow(ctx, tenant, run.Name); errors.Is(err, store.ErrNotFound) {
		return store.Run{}, refused("Workflow %q of run %s is deleted; apply it again, then %s", run.Name, id, v.Kind)
	} else if err != nil {
		return store.Run{}, err
	}
	load := func(revision int64) (*program, error) {
		raw, err := st.Definition(ctx, tenant, run.Kind, run.Name, revision)
		if errors.Is(err, store.ErrNotFound) {
			return nil, refused("Workflow %q has no revision %d; `seatkeeper workflow history %s` lists them", run.Name, revision, run.Name)
		}
		if err != nil {
			return nil, err
		}
		p, err := compile(raw, lang)
		if err != nil {
			return nil, refused("revision %d of Workflow %q does not compile in this version: %v", revision, run.Name, err)
		}
		return p, nil
	}
	is, err := load(run.Revision)
	if err != nil {
		return store.Run{}, err
	}
	to := is
	if v.ToRevision != 0 {
		if to, err = load(v.ToRevision); err != nil {
			return store.Run{}, err
		}
	}
	r := store.Rewind{
		Action: "run." + string(v.Kind), By: v.By,
		Decide: func(now time.Time, l store.LoadedRun) (store.Run, string, error) { return rewind(now, is, to, l, v) },
	}
	if v.Kind == VerbResume {
		r.Resume = func(now time.Time, l store.LoadedRun) (store.Run, error) {
			run, _, err := rewind(now, nil, nil, l, Verb{Kind: VerbResume, By: v.By})
			return run, err
		}
	}
	return st.RewindRun(ctx, tenant, id, r)
}

// rewind is what a verb makes of a run. A resume in the run's own revision needs
// no program.
func rewind(now time.Time, is, to *program, l store.LoadedRun, v Verb) (store.Run, string, error) {
	r := &rewinding{now: now, is: is, to: to, loaded: l, run: l.Run, verb: v}
	var err error
	if r.vars, err = parseVars(l.Run.Vars); err == nil {
		err = json.Unmarshal(orObject(l.Run.Cursor), &r.cur)
	}
	if err != nil {
		return store.Run{}, "", fmt.Errorf("run %s: %w", l.Run.ID, err)
	}
	var result string
	switch v.Kind {
	case VerbResume:
		result, err = r.resume()
	case VerbRetry:
		result, err = r.retry()
	case VerbSkip:
		result, err = r.skip()
	default:
		err = refused("%q: want resume, retry or skip", v.Kind)
	}
	if err != nil {
		return store.Run{}, "", err
	}
	r.cur.Resumed, r.cur.Refresh = now, true
	r.run.State, r.run.DueAt, r.run.EndedAt, r.run.Outcome = store.RunReady, now, nil, ""
	r.run.Reason, r.run.Message, r.run.Lane = "", "", ""
	if v.Kind == VerbResume && r.doubled() {
		r.run.State, r.run.Reason, r.run.Message = store.RunAttention, reasonUnknown,
			fmt.Sprintf("step %q may have had its effect before the run was stopped, and repeating it is not safe: look, then say retry, skip or fail", StepName(r.run.StepPath))
	}
	if r.run.Cursor, err = json.Marshal(r.cur); err == nil {
		r.run.Vars, err = json.Marshal(r.vars)
	}
	return r.run, result, err
}

type rewinding struct {
	now    time.Time
	is, to *program
	loaded store.LoadedRun
	run    store.Run
	cur    cursor
	vars   vars
	verb   Verb
}

// resume goes on where the run was stopped, in its own revision or another.
func (r *rewinding) resume() (string, error) {
	if r.run.State != store.RunStopped {
		hint := ""
		switch r.run.State {
		case store.RunFailed:
			hint = ": retry it, or skip the step that failed"
		case store.RunAttention:
			hint = ": resolve it"
		case store.RunReady, store.RunWaiting, store.RunInFlight, store.RunSucceeded, store.RunStopped:
		}
		return "", refused("run %s is %s, and only a stopped run is resumed%s", r.run.ID, r.run.State, hint)
	}
	path := r.run.StepPath
	result := "at the beginning"
	if path != "" {
		result = fmt.Sprintf("at step %q", StepName(path))
	}
	if r.to != r.is {
		if err := r.move(path); err != nil {
			return "", err
		}
		result += fmt.Sprintf(" in revision %d instead of %d", r.verb.ToRevision, r.loaded.Run.Revision)
		r.run.Revision = r.verb.ToRevision
	}
	if slices.ContainsFunc(r.loaded.Prompts, func(p store.Prompt) bool { return p.StepPath == path && p.State == store.PromptWithdrawn }) {
		r.restart(path) // the question was withdrawn, so it is asked again
	}
	return result, nil
}

// move checks that the run can go on at the same step of another revision.
func (r *rewinding) move(path string) error {
	if r.to.subject != r.is.subject {
		return refused("revision %d is about another subject (%s) than run %s (%s)", r.verb.ToRevision, cmp.Or(r.to.subject, "None"), r.run.ID, cmp.Or(r.is.subject, "None"))
	}
	if path == "" {
		return nil
	}
	n, ok := r.to.nodes[staticPath(path)]
	if !ok {
		return refused("run %s stands at step %q (%s), and revision %d has no step there; resume it on revision %d, or start a new run", r.run.ID, StepName(path), path, r.verb.ToRevision, r.run.Revision)
	}
	for _, at := range insideOf(path) { // the loop that the run is in
		if _, ok := r.to.nodes[staticPath(at)]; !ok {
			return refused("run %s stands inside of step %q, which revision %d does not have", r.run.ID, StepName(at), r.verb.ToRevision)
		}
	}
	was, ok := r.is.nodes[staticPath(path)]
	if !ok || sameStep(was.step, n.step) {
		return nil
	}
	if r.cur.Lost {
		return refused("an attempt of step %q may have had its effect, and revision %d does something else there; resume the run on revision %d until that is known", StepName(path), r.verb.ToRevision, r.run.Revision)
	}
	if strings.Contains(path, "[#") {
		return refused("step %q is inside of a forEach and differs in revision %d", StepName(path), r.verb.ToRevision)
	}
	if r.cur.Phase == phaseChild || r.itemsHaveBegun(path) { // they go on, beside what the other revision would start
		return refused("runs that step %q started have begun, and revision %d does something else there; resume the run on revision %d", StepName(path), r.verb.ToRevision, r.run.Revision)
	}
	r.restart(path)
	return nil
}

// insideOf lists the steps around a path.
func insideOf(path string) (out []string) {
	for i, c := range path {
		if c == '/' {
			at := path[:i]
			out = append(out, at[:strings.LastIndexByte(at, '[')])
		}
	}
	return out
}

func sameStep(a, b Step) bool {
	x, errX := json.Marshal(a)
	y, errY := json.Marshal(b)
	return errX == nil && errY == nil && string(x) == string(y)
}

// itemsHaveBegun reports that the run stands at a forEach whose items have runs of
// their own.
func (r *rewinding) itemsHaveBegun(path string) bool {
	return slices.ContainsFunc(r.cur.Loops, func(l loop) bool { return l.Path == path && l.Parallel })
}

// restart begins a step anew, of the same item where it is inside of a loop. What
// it sends is a new effect.
func (r *rewinding) restart(path string) {
	r.run.StepPath = path
	cur := cursor{Since: r.now, Round: r.cur.Round + 1, Failing: strings.HasPrefix(path, onFailurePrefix)}
	if strings.Contains(path, "[#") {
		cur.Loops = r.cur.Loops
	}
	r.cur = cur
}

// retry does a step again.
func (r *rewinding) retry() (string, error) {
	switch r.run.State {
	case store.RunFailed, store.RunStopped, store.RunAttention:
	case store.RunReady, store.RunWaiting, store.RunInFlight, store.RunSucceeded:
		return "", refused("run %s is %s; only a failed or stopped run, or one in attention, is retried", r.run.ID, r.run.State)
	}
	n, err := r.from()
	if err != nil {
		return "", err
	}
	if err := r.known(); err != nil {
		return "", err
	}
	delete(r.vars, varUnknown)
	r.forget(n)
	r.restart(n.path)
	if !r.cur.Failing {
		delete(r.vars, "failure")
	}
	return fmt.Sprintf("from step %q", StepName(n.path)), nil
}

// at is the step that the run is at, or failed at.
func (r *rewinding) at() string {
	failed := r.vars.text("failure.step")
	if r.run.State == store.RunFailed {
		return cmp.Or(failed, r.run.StepPath)
	}
	return cmp.Or(r.run.StepPath, failed)
}

// from is the step that a retry begins with: one that the run has come to.
func (r *rewinding) from() (*node, error) {
	path := r.at()
	if r.verb.FromStep != "" {
		path = ""
		for p := range r.is.nodes {
			if p == r.verb.FromStep || StepName(p) == r.verb.FromStep || r.is.nodes[p].step.Name == r.verb.FromStep {
				path = p
			}
		}
		if path == "" {
			return nil, refused("Workflow %q has no step %q in revision %d", r.run.Name, r.verb.FromStep, r.run.Revision)
		}
	}
	n, ok := r.is.nodes[staticPath(path)]
	switch {
	case !ok:
		return nil, refused("run %s has not come to any step; start a new one", r.run.ID)
	case strings.Contains(n.path, loopMark):
		return nil, refused("step %q is inside of a forEach: retry from %q", StepName(n.path), StepName(n.path[:strings.Index(n.path, loopMark)]))
	case n.path == r.at() || n.path == r.run.StepPath || r.result(n) != nil:
		return n, nil
	}
	return nil, refused("run %s has not come to step %q, so there is nothing to do again", r.run.ID, StepName(n.path))
}

func (r *rewinding) result(n *node) map[string]any {
	m, _ := r.vars.lookup("steps." + n.step.Name).(map[string]any)
	return m
}

// forget drops the results of a step and of all that ended after it.
func (r *rewinding) forget(n *node) {
	steps, _ := r.vars["steps"].(map[string]any)
	first, ok := r.result(n)["n"].(float64)
	if !ok {
		return
	}
	for name, s := range steps {
		m, _ := s.(map[string]any)
		if at, ok := m["n"].(float64); ok && at >= first {
			delete(steps, name)
		}
	}
}

// approvesBelow reports that a run of a step, or one below it, asked for an
// approval that was not given.
func (r *rewinding) approvesBelow(n *node) bool {
	keys := ""
	switch {
	case n.step.Workflow != nil:
		keys = r.run.ID + "/" + n.path + "/"
	case n.item != nil:
		keys = itemKeys(r.run.ID, n)
	default:
		return false
	}
	for _, c := range r.loaded.Children {
		if !strings.HasPrefix(c.TriggerKey, keys) {
			continue
		}
		for _, p := range r.loaded.Approvals[c.ID] {
			if p.State != store.PromptAnswered || p.Answer != notify.Approve {
				return true
			}
		}
	}
	return false
}

// skip goes on behind a step.
func (r *rewinding) skip() (string, error) {
	switch r.run.State {
	case store.RunFailed, store.RunStopped, store.RunAttention, store.RunWaiting:
	case store.RunReady, store.RunInFlight, store.RunSucceeded:
		return "", refused("run %s is %s: no step of it can be skipped", r.run.ID, r.run.State)
	}
	path := r.at()
	n, ok := r.is.nodes[staticPath(path)]
	switch {
	case !ok:
		return "", refused("run %s has not come to any step", r.run.ID)
	case strings.Contains(path, "[#"):
		return "", refused("step %q is inside of a forEach, whose items go on by themselves", StepName(path))
	case n.step.approves():
		return "", refused("step %q is an approval, which only who is asked can give; retry the run from it to have it asked again", StepName(path))
	case r.loaded.Intent != nil && r.run.State == store.RunAttention:
		return "", refused("step %q of run %s may have had its effect: look at the vendor, then `seatkeeper runs resolve %s --how skip`, retry or fail", StepName(path), r.run.ID, r.run.ID)
	case r.approvesBelow(n):
		return "", refused("below step %q an approval was asked for and not given: only who is asked can give it; retry the step to have it asked again", StepName(path))
	case r.loaded.Intent != nil || r.run.State == store.RunWaiting && (r.cur.Lost || r.cur.Asking != ""):
		return "", refused("step %q of run %s may have had its effect, which is being found out; wait for it, or stop the run", StepName(path), r.run.ID)
	}
	if !r.cur.Failing { // else it says why the run fails
		delete(r.vars, "failure")
	}
	r.vars.setStep(n.step.Name, map[string]any{"result": resultSkipped, "reason": "SkippedByPerson", "message": "skipped by " + r.verb.By.Actor, "path": n.path, "at": r.now.Format(time.RFC3339)})
	r.restart(n.next)
	r.cur.Failing = strings.HasPrefix(n.path, onFailurePrefix)
	return fmt.Sprintf("behind step %q", StepName(path)), nil
}
