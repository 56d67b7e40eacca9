// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package workflow

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/seatkeeper/seatkeeper/internal/model"
	"github.com/seatkeeper/seatkeeper/internal/store"
)

// cursor is where inside its current step a run stands. The step's path is
// the run's StepPath.
type cursor struct {
	Phase string    `json:"phase,omitempty"`
	Since time.Time `json:"since,omitzero"` // when the step began
	// Of the logical effect at work: its generation, the number of the last
	// attempt, how many attempts count against the retry limit, and whether one
	// of them may have had its effect.
	Gen   int  `json:"gen,omitempty"`
	N     int  `json:"n,omitempty"`
	Tries int  `json:"tries,omitempty"`
	Lost  bool `json:"lost,omitempty"`
	// Asking is why the effect is being verified: callResolve or callVerify.
	Asking string `json:"asking,omitempty"`
	Polls  int    `json:"polls,omitempty"`
	// Of the attempt sent last: when, and what held for its action.
	SentAt time.Time      `json:"sentAt,omitzero"`
	Info   ActionInfo     `json:"info,omitzero"`
	Output map[string]any `json:"output,omitempty"`
	Sealed any            `json:"sealed,omitempty"` // Output, where it is sensitive
	Status int            `json:"status,omitempty"`
	// Passed says that the guard let the effect at work take access away.
	Passed bool `json:"passed,omitempty"`
	// Of ask and tell: the stage, the position in the list at work, how many
	// were delivered, and the reminders sent.
	Stage      int        `json:"stage,omitempty"`
	Unreached  bool       `json:"unreached,omitempty"` // a stage before had no channel
	At         int        `json:"at,omitempty"`
	Delivered  int        `json:"delivered,omitempty"`
	Reminders  int        `json:"reminders,omitempty"`
	AskedAt    time.Time  `json:"askedAt,omitzero"` // when the question was delivered
	Deliveries []delivery `json:"deliveries,omitempty"`
	Failing    bool       `json:"failing,omitempty"` // in OnFailure
	// Of an action that is rechecked: when its reason was last seen to stand.
	CheckedAt time.Time `json:"checkedAt,omitzero"`
	// Round counts how often a person sent the run back, so that a step that is
	// done again is a new effect; Resumed is when they last did, and Refresh says
	// that what the run is about is to be read again.
	Round   int       `json:"round,omitempty"`
	Resumed time.Time `json:"resumed,omitzero"`
	Refresh bool      `json:"refresh,omitempty"`
	// Until is when the wait was to be over when it was last looked at.
	Until time.Time `json:"until,omitzero"`
	// Entered says that the step's own condition was looked at.
	Entered bool `json:"entered,omitempty"`
	// Of a matter: the first stage that has somebody, counted from 1, that
	// nobody could be reached, and how it ended.
	Found   int      `json:"found,omitempty"`
	Offline bool     `json:"offline,omitempty"`
	Settled *settled `json:"settled,omitempty"`
	Notice  *notice  `json:"notice,omitempty"`
	// Loops are those that the step is in, the outermost first.
	Loops []loop `json:"loops,omitempty"`
}

// resetEffect makes the cursor ready for the next logical effect.
func (c *cursor) resetEffect() {
	c.Gen, c.N, c.Tries, c.Lost, c.Asking, c.Polls, c.SentAt, c.Info, c.Output, c.Sealed, c.Status = 0, 0, 0, false, "", 0, time.Time{}, ActionInfo{}, nil, nil, 0
}

// fresh is the cursor at the beginning of a step: of the one before it keeps
// what belongs to the run.
func (c cursor) fresh(since time.Time) cursor {
	return cursor{Since: since, Failing: c.Failing, Loops: c.Loops, Round: c.Round, Resumed: c.Resumed, Refresh: c.Refresh}
}

// maxGenerations is more than a step has in one round.
const maxGenerations = 1 << 20

// generation of the logical effect at work, over all rounds.
func (c cursor) generation() int { return c.Round*maxGenerations + c.Gen }

// eventKind is why a run is looked at.
type eventKind int

const (
	eventDue      eventKind = iota // its time has come, or it was woken
	eventPrepared                  // what the step asked to gather is there
	eventResult                    // the intended call has ended
	eventVerified                  // the verification has ended
	eventCrashed                   // the program failed while it gathered
)

// event is an occurrence that moves a run on.
type event struct {
	kind     eventKind
	of       place // that the effect was for which led to it
	prepared *prepared
	result   Result
	crash    error
}

// place is where a run stands, so that what was found out for one step is not
// taken for another that a person has meanwhile sent the run to.
type place struct {
	path    string
	round   int
	resumed int64
}

func (t *turn) place() place {
	return place{t.run.StepPath, t.cur.Round, t.cur.Resumed.UnixNano()}
}

// prepared is what was gathered for a step, outside the transaction.
type prepared struct {
	verdict   *Verdict
	child     *childStart
	leaving   []Leaving
	person    map[string]any // the run's person as expressions see it; nil: not there any more
	about     map[string]any // the variables of what else it is about that are there
	org       *store.TenantFacts
	assignees []store.Assignee
	// addresses has, for each assignee, the ways to reach them in order of
	// preference.
	addresses [][]delivery
	// missing are the recipients that nobody is.
	missing []string
	err     error
}

// delivery is one way to reach one assignee.
type delivery struct {
	Assignee    int        `json:"assignee"`
	Kind        string     `json:"kind"`
	Integration string     `json:"integration"`
	Address     string     `json:"address"`
	Else        []delivery `json:"else,omitempty"` // when this one fails for good
}

// gather says what a step needs to know before it can begin.
type gather struct {
	verdict bool
	person  bool
	about   *About
	org     bool // what the organisation says of itself
	roles   []Role
	child   string // the Workflow that a step is to run
	leaving *OffboardingStep
	to      []addressee
	ask     *AskStep
	info    *infoKey
}

// effect is what the engine does after the commit.
type effect struct {
	gather  *gather       // read facts
	call    *Call         // make the call
	verify  *Call         // ask whether the call's effect is there
	info    ActionInfo    // of call
	attempt store.Attempt // of call
	subject Subject
	dry     bool // the run sends nothing
	lane    string
	// postedPoint is the failpoint after the call.
	postedPoint string
}

// infoKey names an action of an integration of a tenant.
type infoKey struct {
	tenant              model.TenantID
	integration, action string
}

// surroundings is what a decision may use besides the run: pure look-ups.
type surroundings struct {
	// info returns what is known of an action; ok is false if it must be
	// gathered first.
	info   func(infoKey) (ActionInfo, bool, error)
	sealer Sealer // nil: nothing can be sealed
	// start takes a place in a lane, or says when to ask again.
	start    func(lane string) (ok bool, again time.Time)
	channels map[string]Channel
	timeout  time.Duration // of one call
	grace    time.Duration // after a deadline, before anybody touches the attempt
	token    func(tenant model.TenantID, promptID string) string
	// link makes the link by which an assignee answers from an e-mail; nil:
	// there is no page to lead to.
	link func(tenant model.TenantID, promptID string, to store.Assignee) (string, error)
}

// block asks that nobody draws from an integration's budget for a while.
type block struct {
	tenant      model.TenantID
	integration string
	until       time.Time
}

// turn is one look at one run: it turns (run, event) into the change to write
// and the effect to have. It does no I/O and keeps nothing between turns.
type turn struct {
	now     time.Time
	program *program
	env     *surroundings
	run     store.Run
	cur     cursor
	vars    vars
	prompts []store.Prompt
	intent  *store.Attempt
	event   event
	// suspended says that no step of the definition's runs may begin.
	suspended bool
	removal   *store.RemovalGuard // that the run stands at
	// children are the runs that this one started, where they were read.
	children       []store.Run
	loadedChildren bool

	opened     []any         // the sensitive values that expressions came to
	grown      int           // by how much the variables did in this turn, in bytes
	retryAfter time.Duration // what the vendor asked for before another attempt

	change store.RunChange
	effect *effect
	blocks []block
	done   bool // the turn is over
}

// maxMoves bounds the steps of one turn; those in loops end it before, so only a
// defect could reach it.
const maxMoves = 1000

// decide is the interpreter: what becomes of a run at an event.
func decide(now time.Time, p *program, l store.LoadedRun, ev event, env *surroundings) (*turn, error) {
	if l.Run.State.Ended() || l.Run.State == store.RunAttention {
		return nil, nil
	}
	if p.defect != nil {
		return nil, p.defect
	}
	t := &turn{now: now, program: p, env: env, run: l.Run, prompts: l.Prompts, intent: l.Intent, event: ev, suspended: l.Suspended, removal: l.Removal, children: l.Children, loadedChildren: l.Run.Reason == store.ReasonWaitingForRun}
	var err error
	if t.vars, err = parseVars(l.Run.Vars); err != nil {
		return nil, fmt.Errorf("run %s: %w", t.run.ID, err)
	}
	if err := json.Unmarshal(orObject(l.Run.Cursor), &t.cur); err != nil {
		return nil, fmt.Errorf("run %s: cursor: %w", t.run.ID, err)
	}
	if err := t.checkLoops(); err != nil {
		return nil, err
	}
	if err := t.openCursor(); err != nil {
		return nil, fmt.Errorf("run %s: %w", t.run.ID, err)
	}
	if t.event.kind != eventDue && t.event.of != t.place() {
		t.event = event{kind: eventDue}
	}
	if t.event.kind == eventCrashed && t.run.StopAt == nil {
		t.park(reasonDefect, t.event.crash.Error())
		return t, t.finish()
	}
	if t.run.StepPath == pathEnd && t.cur.Since.IsZero() {
		t.begin()
	} else if t.unplaced() {
		t.claim()
	}
	t.withdrawElsewhere()
	for moves := range maxMoves {
		if moves >= longTurn && len(t.cur.Loops) > 0 && t.event.kind == eventDue && !t.done {
			t.run.State, t.run.DueAt, t.done = store.RunReady, t.now, true
		}
		if t.done {
			return t, t.finish()
		}
		t.move()
	}
	return nil, fmt.Errorf("run %s: more than %d moves in one turn at %q", t.run.ID, maxMoves, t.run.StepPath)
}

func orObject(raw json.RawMessage) json.RawMessage {
	if len(raw) == 0 {
		return json.RawMessage("{}")
	}
	return raw
}

// move does one thing. A call whose outcome is open is always resolved first,
// so that a stop never leaves an effect unaccounted for (invariant 8).
func (t *turn) move() {
	n, ok := t.node(t.run.StepPath)
	switch {
	case t.intent == nil && t.run.StopAt != nil:
		t.stop()
	case t.intent == nil && t.suspended:
		t.holdSuspended()
	case t.overdue():
		t.fail("TimedOut", fmt.Sprintf("the run took longer than %s", t.program.timeout))
	case len(t.cur.Loops) > 0 && t.endOverdueLoop():
	case t.run.StepPath == pathEnd && t.cur.Failing:
		t.end(store.RunFailed, "failed", t.vars.text("failure.reason"), t.vars.text("failure.message"))
	case t.run.StepPath == pathEnd:
		t.end(store.RunSucceeded, t.run.Outcome, "", "")
	case !ok:
		t.park("StepGone", fmt.Sprintf("the definition has no step %q", t.run.StepPath))
	default:
		t.step(n)
	}
}

func (t *turn) step(n *node) {
	if how, ok := t.resolution(); ok && n.step.Action == nil && n.step.HTTP == nil && t.loopOf(n) == nil {
		t.run.Reason, t.run.Message = "", ""
		if n.step.approves() && how == store.ResolveSkip {
			how = store.ResolveFail // only who is asked can give it
		}
		switch how {
		case store.ResolveSkip:
			t.complete(n, map[string]any{"result": "skipped"})
			return
		case store.ResolveFail:
			t.fail("Resolved", "a person ended the run as failed")
			return
		}
	}
	if t.cur.Refresh && !t.underWay() {
		if !t.refreshed() {
			return
		}
		t.cur.Refresh = false
	}
	if !t.enter(n) {
		return
	}
	switch s := n.step; {
	case s.Action != nil:
		t.action(n, s.Action)
	case s.HTTP != nil:
		t.http(n, s.HTTP)
	case s.Ask != nil:
		t.ask(n, s.Ask)
	case s.Notify != nil:
		t.notifyAll(n, s.Notify)
	case s.Tell != nil:
		t.tell(n, s.Tell)
	case s.Check != nil:
		t.check(n)
	case s.Switch != nil:
		t.branch(n, s.Switch)
	case s.ForEach != nil:
		t.forEach(n, s.ForEach)
	case s.Workflow != nil:
		t.child(n, s.Workflow)
	case s.Offboarding != nil:
		t.offboard(n, s.Offboarding)
	case s.Wait != nil:
		t.wait(n, s.Wait)
	case s.Book != nil:
		t.book(n, s.Book)
	case s.End != nil:
		t.endStep(s.End)
	}
}

// goTo makes path the current step.
func (t *turn) goTo(path string) {
	t.withdrawOpen("the run has gone on without an answer")
	t.change.StopChildren = t.change.StopChildren || t.cur.Phase == phaseChild
	t.run.StepPath = t.indexed(path)
	t.cur = t.cur.fresh(t.now)
	t.event = event{kind: eventDue}
	t.run.Lane = ""
	if !t.cur.Failing {
		t.run.Reason, t.run.Message = "", ""
	}
}

// withdrawElsewhere closes what was asked at a step that a person had the run
// leave.
func (t *turn) withdrawElsewhere() {
	for _, p := range t.prompts {
		if p.State == store.PromptOpen && p.StepPath != t.run.StepPath {
			t.closePrompt(p, store.PromptWithdrawn, "the run has gone on without an answer")
		}
	}
}

// withdrawOpen closes what nobody need answer any more: the run goes elsewhere.
func (t *turn) withdrawOpen(why string) {
	for _, p := range t.prompts {
		if p.State == store.PromptOpen && p.StepPath == t.run.StepPath {
			t.closePrompt(p, store.PromptWithdrawn, why)
		}
	}
}

// complete stores a step's result and goes on behind it.
func (t *turn) complete(n *node, result map[string]any) {
	if !t.roomFor(result) {
		t.tooMuch(n)
		return
	}
	t.keep(n, result)
	t.goTo(n.next)
}

// fail ends the step for good: the failure branch runs, then the run ends.
func (t *turn) fail(reason, message string) {
	t.vars["failure"] = map[string]any{"step": t.run.StepPath, "reason": reason, "message": message}
	t.abandonLoops()
	if t.cur.Failing || t.program.onFailure == pathEnd {
		t.end(store.RunFailed, "failed", reason, message)
		return
	}
	t.cur.Failing = true
	t.run.Reason, t.run.Message = reason, message
	t.goTo(t.program.onFailure)
}

// park waits for a person.
func (t *turn) park(reason, message string) {
	t.run.State, t.run.Reason, t.run.Message = store.RunAttention, reason, message
	t.done = true
}

// sleep waits until a time, but wakes when the step or the run has taken as long
// as it may. What goes on beyond that, such as an effect that is being verified,
// keeps its pace.
func (t *turn) sleep(until time.Time, reason, message string) {
	if end, ok := t.deadline(); ok && end.Before(until) && end.After(t.now) {
		until = end
	}
	t.run.State, t.run.DueAt, t.run.Reason, t.run.Message = store.RunWaiting, until, reason, message
	t.run.Lane = ""
	t.done = true
}

func (t *turn) holdSuspended() {
	t.sleep(t.now.Add(holdFor), store.ReasonWorkflowSuspended, fmt.Sprintf("%s %s is suspended: no further step begins until it is not", KindWorkflow, t.run.Name))
}

// need gathers facts; the run stays due, so that a crash loses nothing.
func (t *turn) need(g gather) {
	t.run.State, t.run.DueAt = store.RunReady, t.now
	t.effect = &effect{gather: &g, subject: t.subject(), dry: t.dryRun()}
	t.done = true
}

func (t *turn) end(state store.RunState, outcome, reason, message string) {
	t.withdrawOpen("the run has ended")
	t.change.StopChildren = t.change.StopChildren || t.cur.Phase == phaseChild
	t.run.State, t.run.Outcome, t.run.Reason, t.run.Message, t.run.EndedAt = state, outcome, reason, message, &t.now
	t.run.Lane = ""
	t.done = true
}

func (t *turn) stop() {
	for _, p := range t.prompts {
		if p.State == store.PromptOpen {
			t.closePrompt(p, store.PromptWithdrawn, "the run was stopped; nothing was changed")
		}
	}
	t.end(store.RunStopped, "stopped", "StopRequested", "stopped by "+t.run.StopBy)
}

// resolution returns what a person decided about the parked run.
func (t *turn) resolution() (store.Resolution, bool) {
	how, ok := strings.CutPrefix(t.run.Reason, store.ReasonResolved)
	return store.Resolution(how), ok
}

// finish writes the cursor and variables back.
func (t *turn) finish() error {
	cur, err := t.sealCursor(t.cur)
	if err != nil {
		return err
	}
	if t.run.State == store.RunSucceeded {
		t.forgetSealed()
	}
	if t.run.Cursor, err = json.Marshal(cur); err != nil {
		return err
	}
	if t.run.Vars, err = json.Marshal(t.vars); err != nil {
		return err
	}
	t.change.Run = t.run
	return nil
}

func (t *turn) subject() Subject {
	raw, _ := json.Marshal(t.vars) // came from JSON a moment ago
	return Subject{StartedBy: t.vars.text("start.by"), RunID: t.run.ID, Kind: t.run.Kind, Name: t.run.Name, Subject: t.run.Subject, PersonID: t.run.PersonID, CreatedAt: t.run.CreatedAt, Vars: raw}
}

// idemNamespace is the UUIDv5 name space of idempotency keys.
var idemNamespace = uuid.MustParse("6f0c8b1e-4a0b-5f57-9d0e-6a5b1f0a7c11")

// idemKey names the logical effect, so crash re-sends reuse it.
func idemKey(runID, stepPath string, loop, generation int) string {
	name := runID + "\x00" + stepPath + "\x00" + strconv.Itoa(loop) + "\x00" + strconv.Itoa(generation)
	return uuid.NewSHA1(idemNamespace, []byte(name)).String()
}

// laneName is the lane of an integration's calls.
func laneName(tenant model.TenantID, integration string) string {
	return strconv.FormatInt(int64(tenant), 10) + "/" + integration
}
