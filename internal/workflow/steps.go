// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package workflow

import (
	"cmp"
	"fmt"
	"maps"
	"time"

	"github.com/seatkeeper/seatkeeper/internal/failpoint"
	"github.com/seatkeeper/seatkeeper/internal/model"
	"github.com/seatkeeper/seatkeeper/internal/notify"
	"github.com/seatkeeper/seatkeeper/internal/store"
)

const (
	// holdFor is how long a held run waits before it looks again by itself.
	holdFor = 15 * time.Minute
	// standsFor is how long a verdict lets an effect be sent.
	standsFor = time.Minute
)

// action makes one external write. Its result is done, or already when the
// effect was there without this run.
func (t *turn) action(n *node, s *ActionStep) {
	call, err := t.fillCall(n, s)
	if err != nil {
		t.unfilled(n, err)
		return
	}
	if t.dryRun() {
		t.complete(n, t.withoutAnswer(n, map[string]any{"result": resultDryRun, "request": map[string]any{"integration": call.Integration, "action": call.Action, "input": t.mask(call.Input)}}))
		return
	}
	if s.Recheck != "" && !t.stands(s) {
		return
	}
	t.event.result.Message = t.redact(t.event.result.Message)
	if t.event.result.Output != nil && !n.step.sensitive() { // vendors repeat what they are sent
		t.event.result.Output, _ = t.mask(t.event.result.Output).(map[string]any)
	}
	out := t.perform(callSpec{path: n.path, call: call, retry: s.Retry, onAmbiguous: s.OnAmbiguous, postedPoint: failpoint.AfterEffectBeforeOutcome, outlasts: true})
	switch {
	case out.pending:
	case out.ok:
		result := string(ResultDone)
		if !out.wrote {
			result = string(ResultAlready)
		}
		res := map[string]any{"result": result, "at": t.now.Format(time.RFC3339)}
		if !n.step.sensitive() {
			res["output"] = bounded(out.output)
		}
		if err := t.addOutputs(n, out, res); err != nil {
			t.failStep(n, reasonExpression, err.Error())
			return
		}
		t.complete(n, res)
	case out.decided:
		t.fail(out.reason, out.message)
	default:
		t.failStep(n, out.reason, out.message)
	}
}

func (t *turn) fillCall(n *node, s *ActionStep) (Call, error) {
	scope := t.scope()
	integration, err := n.integration(scope)
	if err != nil {
		return Call{}, err
	}
	name, ok := integration.(string)
	if !ok {
		return Call{}, fmt.Errorf("integration: %v is not a name", integration)
	}
	with := map[string]any{}
	if s.WithFrom != "" {
		from, _ := t.vars.lookup(s.WithFrom).(map[string]any)
		maps.Copy(with, from)
	}
	filled, err := n.with(scope)
	if err == nil {
		filled, err = reveal(filled)
	}
	if err != nil {
		return Call{}, within("with", err)
	}
	if m, ok := filled.(map[string]any); ok {
		maps.Copy(with, m)
	}
	if _, err := take(with, maxInput); err != nil {
		return Call{}, &fieldError{"with", err}
	}
	return Call{Integration: name, Action: s.Action, Input: with}, nil
}

// check asks whether the reason to act still stands; a Hold waits and asks
// again, also when somebody wakes the run.
func (t *turn) check(n *node) {
	v, ok := t.verdict()
	if !ok {
		return
	}
	if v.Decision == Hold {
		t.sleep(t.now.Add(holdFor), v.Reason, v.Message)
		return
	}
	t.complete(n, map[string]any{"decision": string(v.Decision), "reason": v.Reason, "message": v.Message})
}

// stands reports whether the next attempt of an action may be sent as far as
// its reason goes; otherwise the run has moved elsewhere or waits.
func (t *turn) stands(s *ActionStep) bool {
	if t.intent != nil || t.cur.Asking != "" {
		return true // an attempt is under way: first its outcome
	}
	if _, ok := t.resolution(); ok {
		return true // a person has just looked
	}
	if t.now.Sub(later(t.cur.Since, t.cur.CheckedAt)) <= standsFor {
		return true
	}
	v, ok := t.verdict()
	switch {
	case !ok:
		return false
	case v.Decision == Go:
		t.cur.CheckedAt = t.now
		return true
	case v.Decision == Hold:
		t.sleep(t.now.Add(holdFor), v.Reason, v.Message)
		return false
	case t.cur.Lost:
		t.park("OutcomeUnknown", fmt.Sprintf("%s in %s may have happened, and is not repeated because its reason is gone (%s): look, then say retry, skip or fail",
			s.Action, cmp.Or(t.vars.text("seat.via.integration"), t.vars.text("seat.integration")), v.Message))
		return false
	}
	n, ok := t.program.nodes[s.Recheck]
	if !ok {
		t.park("StepGone", fmt.Sprintf("the definition has no step %q", s.Recheck))
		return false
	}
	t.complete(n, map[string]any{"decision": string(v.Decision), "reason": v.Reason, "message": v.Message})
	return false
}

// verdict returns what Recheck says, gathering it first.
func (t *turn) verdict() (Verdict, bool) {
	if t.event.kind != eventPrepared || t.event.prepared.verdict == nil && t.event.prepared.err == nil {
		t.need(gather{verdict: true})
		return Verdict{}, false
	}
	p := t.event.prepared
	t.event = event{kind: eventDue}
	if p.err != nil {
		t.sleep(t.now.Add(time.Minute), "RecheckFailed", "whether the seat is still unused could not be found out: "+p.err.Error())
		return Verdict{}, false
	}
	return *p.verdict, true
}

func (t *turn) branch(n *node, s *SwitchStep) {
	if s.On != "" {
		path, ok := n.entry[fmt.Sprint(t.vars.lookup(s.On))]
		if !ok {
			path = n.otherwise
		}
		t.goTo(path)
		return
	}
	taken, path := "otherwise", n.otherwise
	for i, b := range n.cases {
		ok, err := b.when(t.scope())
		if err != nil {
			t.failStep(n, reasonExpression, fmt.Sprintf("case %d: %v", i, err))
			return
		}
		if ok {
			taken, path = fmt.Sprintf("case %d", i), b.first
			break
		}
	}
	t.keep(n, map[string]any{"result": taken})
	t.goTo(path)
}

// book writes the ledger and exemptions in the transaction that moves the run
// on, so exactly once.
func (t *turn) book(n *node, s *BookStep) {
	seat, err := t.seat()
	if err != nil {
		t.fail("BadInput", err.Error())
		return
	}
	actor, kind, reason := t.decider()
	if seat.Via != nil && s.Kind == string(store.BookReclaimed) {
		reason += "; " + seat.Via.Action + ": " + seat.Via.done()
	}
	b := store.Booking{
		Kind: store.BookingKind(s.Kind), Policy: t.run.Name, App: seat.App, Integration: seat.Integration, AccountID: seat.AccountID, PlanKey: seat.PlanKey,
		PersonID: seat.PersonID, YearlyCost: seat.YearlyCost, DecidedBy: actor, DecidedKind: kind, Reason: reason,
	}
	result := map[string]any{"kind": s.Kind}
	if b.Kind == store.BookKept {
		b.KeepUntil = s.KeepFor.After(t.now, t.zone())
		result["until"] = b.KeepUntil.Format(time.RFC3339)
	}
	t.change.Bookings = append(t.change.Bookings, b)
	t.vars["booked"] = result
	t.complete(n, result)
}

func (t *turn) endStep(s *EndStep) {
	reason, message := s.Reason, s.Message
	if s.From != "" {
		reason, message = t.vars.text(s.From+".reason"), t.vars.text(s.From+".message")
	}
	t.end(store.RunSucceeded, s.Outcome, reason, message)
}

func (t *turn) seat() (ReclaimSeat, error) {
	var seat ReclaimSeat
	return seat, t.vars.decode("seat", &seat)
}

// decision is the last answer of the run, under vars["decision"].
type decision struct {
	Answer string          `json:"answer"`
	By     string          `json:"by"`
	Kind   model.ActorKind `json:"kind"`
	Role   string          `json:"role,omitempty"`
	Name   string          `json:"name,omitempty"` // of who decided; sealed off from audit
	Reason string          `json:"reason,omitempty"`
	Source string          `json:"source"`
}

// Sources of a decision.
const (
	sourceAnswer     = "answer"
	sourceTimeout    = "timeout"
	sourceNoApprover = "noApprover"
	sourceWithdrawn  = "withdrawn"
	sourceNobody     = "nobody"
)

func (t *turn) decision() (decision, bool) {
	var d decision
	if t.vars["decision"] == nil {
		return d, false
	}
	return d, t.vars.decode("decision", &d) == nil
}

// owner is what the run's audit records name: items are their Workflow's.
func (t *turn) owner() string {
	if t.run.Kind == KindItem {
		return KindWorkflow + "/" + t.run.Name
	}
	return t.run.Kind + "/" + t.run.Name
}

// decider says who or what decided, and why, as audit records it.
func (t *turn) decider() (actor string, kind model.ActorKind, reason string) {
	why := cmp.Or(t.vars.text("seat.why"), t.vars.text("start.why"))
	policy := t.owner()
	d, ok := t.decision()
	if !ok {
		return policy, model.ActorPolicy, why
	}
	switch d.Source {
	case sourceAnswer:
		reason = why + "; answered " + d.Answer
		if d.Reason != "" {
			reason += ": " + d.Reason
		}
		return d.By, d.Kind, reason
	case sourceTimeout:
		return policy, model.ActorPolicy, why + "; nobody answered in time, so the declared default applies: " + d.Answer
	case sourceNoApprover:
		return policy, model.ActorPolicy, why + "; nobody may decide, so the declared default applies: " + d.Answer
	}
	return policy, model.ActorPolicy, why
}

func (t *turn) auditDetail(a store.Attempt) map[string]string {
	d := map[string]string{"step": a.StepPath, "idempotencyKey": a.IdemKey}
	if seat, err := t.seat(); err == nil && seat.App != "" {
		d["application"], d["plan"] = seat.App, seat.PlanKey
		if seat.Via != nil {
			d["seatIntegration"], d["group"], d["groupName"] = seat.Integration, seat.Via.GroupID, seat.Via.Group
		}
	}
	return d
}

// auditSubject is what identifies the person; audit keeps it apart.
func (t *turn) auditSubject() map[string]string {
	seat, err := t.seat()
	if err != nil {
		return nil
	}
	if seat.AccountID == "" {
		if t.vars["person"] == nil {
			return nil
		}
		return map[string]string{"name": t.vars.text("person.displayName"), "email": t.vars.text("person.email")}
	}
	subject := map[string]string{"account": seat.AccountID, "name": seat.PersonName, "email": seat.Email}
	if seat.Via != nil {
		subject["directoryAccount"] = seat.Via.AccountID
	}
	return subject
}

// tell replaces every delivered message by what happened.
func (t *turn) tell(n *node, s *TellStep) {
	messages := t.messages()
	if !t.replace(n.path, Retry{}, messages, func(m sentMessage) notify.Closing { return t.closing(s, m.reader) }) {
		return
	}
	t.complete(n, map[string]any{"told": t.cur.Delivered, "messages": len(messages)})
}

func (t *turn) unpark() {
	t.done, t.run.State, t.run.Reason, t.run.Message = false, store.RunReady, "", ""
	if t.intent != nil {
		t.closeIntent(*t.intent, store.AttemptAmbiguous)
	}
}

func (t *turn) nextMessage(delivered bool) {
	t.cur.At++
	if delivered {
		t.cur.Delivered++
	}
	t.cur.resetEffect()
	t.event = event{kind: eventDue}
}

type sentMessage struct {
	ref    store.MessageRef
	reader store.Assignee
	prompt string // id
}

func (t *turn) messages() []sentMessage {
	var out []sentMessage
	for _, p := range t.prompts {
		for _, m := range p.Messages {
			reader := store.Assignee{}
			for _, a := range p.Assignees {
				if a.PersonID == m.PersonID && (m.PersonID != "" || len(p.Assignees) == 1) {
					reader = a
				}
			}
			out = append(out, sentMessage{m, reader, p.ID})
		}
	}
	return out
}

// closing says what happened, to one reader.
func (t *turn) closing(s *TellStep, reader store.Assignee) notify.Closing {
	seat, _ := t.seat()
	c := notify.Closing{
		Outcome: notify.Outcome(s.Outcome), App: seat.AppTitle, Plan: seat.PlanName, At: t.cur.Since, Zone: zoneOf(reader.TimeZone), Effect: seat.Effect,
		GetBack: seat.GetBack, Contact: seat.Contact, Detail: s.Detail,
	}
	if s.From != "" {
		c.Detail = t.vars.text(s.From + ".message")
	}
	if reader.PersonID != t.run.PersonID {
		c.Holder = seat.PersonName
	}
	if until, err := time.Parse(time.RFC3339, t.vars.text("booked.until")); err == nil {
		c.Until = string(model.DateOf(until, c.Zone))
	}
	if d, ok := t.decision(); ok && c.Outcome != notify.Skipped {
		c.Decided = d.clause(reader)
	}
	return c
}

// clause says who decided, to one reader.
func (d decision) clause(reader store.Assignee) string {
	switch {
	case d.Source == sourceTimeout:
		return "nobody answered in time, so the declared default applied: " + d.Answer
	case d.Source == sourceNoApprover:
		return "nobody else may decide, so the declared default applied: " + d.Answer
	case d.By == "person:"+reader.PersonID:
		return "you chose " + d.Answer
	}
	return d.Name + " chose " + d.Answer
}
