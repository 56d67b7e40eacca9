// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package workflow

import (
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/google/uuid"

	"github.com/seatkeeper/seatkeeper/internal/failpoint"
	"github.com/seatkeeper/seatkeeper/internal/model"
	"github.com/seatkeeper/seatkeeper/internal/notify"
	"github.com/seatkeeper/seatkeeper/internal/store"
)

// Phases of an ask step. Each stage goes through them.
const (
	askFind   = ""       // who is asked, and how are they reached
	askSend   = "send"   // deliver the question
	askWait   = "wait"   // for an answer, a reminder, the end
	askRemind = "remind" // deliver a reminder
	askHeld   = "held"   // nobody could be asked yet: look again
)

const (
	// unreachableFor is how long a question that nobody can be sent waits
	// before it looks for a channel again.
	unreachableFor = time.Hour
	// nobodyFor is the same for a question that there is nobody to ask.
	nobodyFor = 24 * time.Hour
	// farAway is the end of a question that could not be delivered: silence
	// means nothing when nobody was asked.
	farAway = 10 * 365 * 24 * time.Hour
)

// ask asks people and waits for the answer.
func (t *turn) ask(n *node, s *AskStep) {
	if s.Matter != nil {
		t.askMatter(n, s)
		return
	}
	if p, ok := t.prompt(t.run.StepPath); ok && p.State == store.PromptAnswered && !t.underWay() {
		t.answered(n, s, p)
		return
	}
	switch t.cur.Phase {
	case askFind:
		t.askFind(n, s)
	case askSend, askRemind:
		t.askDeliver(n, s)
	case askHeld:
		t.askHeld(n, s)
	default:
		t.askWait(n, s)
	}
}

// underWay reports a delivery whose end is not recorded: people may answer a
// message before this process knows that it was sent.
func (t *turn) underWay() bool { return t.intent != nil || t.cur.Asking != "" || t.cur.Lost }

// prompt returns the prompt of the current stage.
func (t *turn) prompt(path string) (store.Prompt, bool) {
	id := t.promptID(path)
	i := slices.IndexFunc(t.prompts, func(p store.Prompt) bool { return p.ID == id })
	if i < 0 {
		return store.Prompt{}, false
	}
	return t.prompts[i], true
}

// promptID is the same however often the step is begun, so that a prompt and
// its token exist once.
func (t *turn) promptID(path string) string {
	name := fmt.Appendf(nil, "prompt\x00%s\x00%s\x00%d", t.run.ID, path, t.cur.Stage)
	if t.cur.Round > 0 { // asked again because a person sent the run back
		name = fmt.Appendf(name, "\x00%d", t.cur.Round)
	}
	return uuid.NewSHA1(idemNamespace, name).String()
}

// putPrompt writes a prompt.
func (t *turn) putPrompt(p store.Prompt) {
	for _, list := range []*[]store.Prompt{&t.prompts, &t.change.Prompts} {
		if i := slices.IndexFunc(*list, func(o store.Prompt) bool { return o.ID == p.ID }); i >= 0 {
			(*list)[i] = p
		} else {
			*list = append(*list, p)
		}
	}
}

func (t *turn) closePrompt(p store.Prompt, state store.PromptState, why string) {
	p.State, p.ClosedReason = state, why
	t.putPrompt(p)
}

// askFind creates the stage's prompt once it is known whom to ask.
func (t *turn) askFind(n *node, s *AskStep) {
	if t.cur.Stage >= len(s.Stages) {
		t.askNobody(n, s)
		return
	}
	if t.event.kind != eventPrepared {
		g, err := t.whom(n, s)
		if err != nil {
			t.failStep(n, reasonExpression, "to: "+err.Error())
			return
		}
		t.need(g)
		return
	}
	p := t.event.prepared
	t.event = event{kind: eventDue}
	switch {
	case p.err != nil:
		t.sleep(t.now.Add(time.Minute), "LookupFailed", "whom to ask could not be found out: "+p.err.Error())
		return
	case len(p.assignees) == 0:
		t.cur.Stage++ // unknown, has left, or may not decide about themselves
		return
	}
	if until, quiet := s.Quiet.until(t.now, t.zoneFor(p.assignees[0])); quiet && s.Matter == nil {
		t.cur.Phase = askHeld // a night is long: look again before asking
		t.sleep(until, "QuietHours", "the question waits for the end of the quiet hours")
		return
	}
	t.cur.Deliveries = nil
	for _, ways := range p.addresses {
		if len(ways) > 0 && !t.cur.Offline {
			first := ways[0]
			first.Else = ways[1:]
			t.cur.Deliveries = append(t.cur.Deliveries, first)
		}
	}
	if len(t.cur.Deliveries) == 0 && t.cur.Stage+1 < len(s.Stages) && !t.cur.Offline {
		t.cur.Found = cmp.Or(t.cur.Found, t.cur.Stage+1)
		t.cur.Stage, t.cur.Unreached = t.cur.Stage+1, true
		return
	}
	if len(t.cur.Deliveries) == 0 && t.firstFound(s) {
		return
	}
	if s.Matter == nil {
		t.openPrompt(n, s, p.assignees)
	} else if err := t.openMatter(n, s, p.assignees); err != nil {
		t.failStep(n, reasonExpression, "text: "+err.Error())
		return
	}
	if len(t.cur.Deliveries) == 0 {
		t.unreachable(s.noChannel("reaches the person who is asked"))
		return
	}
	t.cur.Phase, t.cur.At, t.cur.Delivered = askSend, 0, 0
}

// askNobody goes on where nobody is left to ask. The default that a policy
// declares is what a person's silence stands for: it applies where somebody was
// asked, in this step or before, and never where nobody could be.
func (t *turn) askNobody(n *node, s *AskStep) {
	before, _ := t.decision()
	asked := before.Source == sourceAnswer || slices.ContainsFunc(t.prompts, func(p store.Prompt) bool { return p.StepPath == t.run.StepPath })
	const nobody = "the person who would be asked has left or is not known"
	switch {
	case t.cur.Unreached && t.firstFound(s):
	case t.cur.Unreached: // somebody may decide, and was not asked (decision 31)
		t.unreachable(s.noChannel("reaches a person who may decide"))
	case asked:
		t.auditPolicy("prompt.default", "nobody may decide, so the declared default applied", s.OnTimeout)
		t.settle(n, s, decision{Answer: s.OnTimeout, Source: sourceNoApprover}, "nobody may decide")
	case s.IfNobody != "":
		t.auditPolicy("prompt.escalate", nobody, s.IfNobody)
		t.settle(n, s, decision{Answer: s.IfNobody, Source: sourceNobody}, nobody)
	default:
		t.cur.Stage, t.cur.Phase = 0, askHeld
		t.sleep(t.now.Add(nobodyFor), "NoReachableChannel", nobody+", and so has everybody else who may decide; nothing is done until there is somebody to ask")
	}
}

// askHeld looks whether the question still arises before it looks again for
// somebody to ask.
func (t *turn) askHeld(n *node, s *AskStep) {
	v, ok := t.arises(s)
	switch {
	case !ok:
	case v.Decision == Drop:
		p, _ := t.prompt(t.run.StepPath)
		t.withdraw(n, p, v)
	case v.Decision == Hold:
		t.sleep(t.now.Add(unreachableFor), v.Reason, v.Message)
	default:
		t.cur.Phase = askFind
		if t.cur.Unreached { // those before may be reached now
			if p, ok := t.prompt(t.run.StepPath); ok && s.Matter == nil {
				t.closePrompt(p, store.PromptExpired, "it is asked again from the first who may decide")
			}
			t.cur.Stage, t.cur.Unreached, t.cur.Found, t.cur.Offline = 0, false, 0, false
		}
	}
}

// arises says whether the question still does: a matter is asked whatever the
// inventory says.
func (t *turn) arises(s *AskStep) (Verdict, bool) {
	if s.Matter != nil {
		return Verdict{Decision: Go}, true
	}
	return t.verdict()
}

// withdraw ends a question that no longer arises, whether it was sent or not.
func (t *turn) withdraw(n *node, p store.Prompt, v Verdict) {
	if p.ID != "" {
		t.closePrompt(p, store.PromptWithdrawn, v.Message)
	}
	t.auditPolicy("prompt.withdraw", v.Reason, Withdrawn)
	t.settleAs(n, decision{Answer: Withdrawn, Source: sourceWithdrawn, Reason: v.Reason}, v.Reason, v.Message, false)
}

func (t *turn) openPrompt(n *node, s *AskStep, assignees []store.Assignee) {
	id := t.promptID(t.run.StepPath)
	p, ok := t.prompt(t.run.StepPath)
	if !ok {
		subject, _ := json.Marshal(t.vars["seat"]) // came from JSON
		p = store.Prompt{
			Tenant: t.run.Tenant, ID: id, RunID: t.run.ID, StepPath: t.run.StepPath, Stage: t.cur.Stage, Purpose: s.Purpose,
			TokenHash: store.HashPromptToken(t.env.token(t.run.Tenant, id)), State: store.PromptOpen, Options: s.Options, Subject: subject, CreatedAt: t.now,
		}
	}
	p.Assignees, p.State, p.ClosedReason = assignees, store.PromptOpen, ""
	if len(t.cur.Deliveries) > 0 {
		p.ExpiresAt = s.Timeout.After(t.now, zoneOf(assignees[0].TimeZone))
	} else {
		p.ExpiresAt = t.now.Add(farAway)
	}
	t.putPrompt(p)
	if !ok {
		p.Subject = t.asked(n, s, p)
		t.putPrompt(p)
	}
}

// subjectQuestion is where a prompt's subject has what was asked, for the page
// that asks the same.
const subjectQuestion = "question"

// asked is a prompt's subject with what was asked.
func (t *turn) asked(n *node, s *AskStep, p store.Prompt) json.RawMessage {
	q, err := t.question(n, s, delivery{})
	if err != nil {
		return p.Subject // a delivery says what is wrong
	}
	subject := map[string]any{}
	if json.Unmarshal(p.Subject, &subject) != nil || subject == nil {
		subject = map[string]any{}
	}
	subject[subjectQuestion] = q
	raw, err := json.Marshal(subject)
	if err != nil {
		return p.Subject
	}
	return raw
}

func (t *turn) unreachable(message string) {
	t.cur.Phase = askHeld
	t.sleep(t.now.Add(unreachableFor), "NoReachableChannel", message)
}

// askDeliver sends the question, or a reminder, to each assignee.
func (t *turn) askDeliver(n *node, s *AskStep) {
	for t.cur.At < len(t.cur.Deliveries) {
		if p, ok := t.prompt(t.run.StepPath); !ok || p.State != store.PromptOpen && !t.underWay() {
			break // answered meanwhile: nobody else need be disturbed
		}
		d := t.cur.Deliveries[t.cur.At]
		q, err := t.question(n, s, d)
		if err != nil {
			t.fail("BadInput", err.Error())
			return
		}
		channel, ok := t.env.channels[d.Kind]
		if !ok {
			t.nextWay()
			continue
		}
		if d.Kind == ChannelEmail && !t.linked(n, d, &q) {
			t.nextWay()
			continue
		}
		call, err := channel.Send(d.Integration, d.Address, q)
		if err != nil && s.Matter != nil {
			t.run.Message = err.Error()
			t.nextWay()
			continue
		}
		if err != nil {
			t.fail("BadInput", err.Error())
			return
		}
		spec := callSpec{path: t.deliveryPath(n, d), loop: t.cur.At, call: call, postedPoint: failpoint.PromptPostedNotRecorded}
		if s.Matter != nil {
			spec.retry = askReach
		}
		if d.Kind == ChannelEmail {
			spec.retry.Timeout = mailTimeout
		}
		var out callOutcome
		if s.Matter == nil {
			out = t.perform(spec)
		} else {
			out = t.deliver(spec)
		}
		switch {
		case out.pending && t.run.State == store.RunAttention && d.Kind == ChannelEmail:
			t.unpark() // whether a mail arrived need not be known: a second question does no harm
			t.nextWay()
		case out.pending:
			return
		case out.ok:
			t.delivered(n, channel, d, out.output)
		default:
			t.run.Message = out.message
			t.nextWay()
		}
	}
	t.sent(n, s)
}

// linked gives the question the links of the page where its reader answers.
func (t *turn) linked(n *node, d delivery, q *notify.Question) bool {
	if t.env.link == nil {
		t.run.Message = "no address is known under which people reach the gateway, so nobody can be asked by e-mail: set the manager's --public-url"
		return false
	}
	p, _ := t.prompt(t.run.StepPath)
	q.Links = map[string]string{}
	for _, asked := range q.Prompts() {
		link, err := t.env.link(t.run.Tenant, asked.ID, p.Assignees[d.Assignee])
		if err != nil {
			t.run.Message = "no link could be made: " + err.Error()
			return false
		}
		q.Links[asked.ID] = link
	}
	return true
}

// deliveryPath names the logical effect: stage, reminder and way.
func (t *turn) deliveryPath(n *node, d delivery) string {
	if t.cur.Phase == askRemind {
		return fmt.Sprintf("%s#%d.remind%d.%s", t.run.StepPath, t.cur.Stage, t.cur.Reminders, d.Kind)
	}
	return fmt.Sprintf("%s#%d.%s", t.run.StepPath, t.cur.Stage, d.Kind)
}

// delivered records where the message is. A message whose place is not told
// was sent all the same; it cannot be updated later.
func (t *turn) delivered(n *node, channel Channel, d delivery, output map[string]any) {
	p, _ := t.prompt(t.run.StepPath)
	if ref, err := channel.Ref(output); err == nil {
		p.Messages = append(p.Messages, store.MessageRef{Kind: d.Kind, Integration: d.Integration, PersonID: p.Assignees[d.Assignee].PersonID, Ref: ref,
			Reminder: t.cur.Phase == askRemind})
		t.putPrompt(p)
	}
	t.nextMessage(true)
}

// nextWay tries the assignee's next channel.
func (t *turn) nextWay() {
	d := t.cur.Deliveries[t.cur.At]
	if len(d.Else) == 0 {
		t.nextMessage(false)
		return
	}
	next := d.Else[0]
	next.Else = d.Else[1:]
	t.cur.Deliveries[t.cur.At] = next
	t.cur.resetEffect()
}

// sent begins the wait once every assignee was tried.
func (t *turn) sent(n *node, s *AskStep) {
	p, _ := t.prompt(t.run.StepPath)
	first := t.cur.Phase == askSend
	t.cur.Phase = askWait
	if first {
		t.cur.AskedAt = t.now
	}
	switch {
	case p.State != store.PromptOpen: // answered meanwhile: the next move sees it
	case first && t.cur.Delivered == 0 && t.cur.Stage+1 < len(s.Stages):
		t.closePrompt(p, store.PromptExpired, "no channel took the question, so others are asked now")
		found := cmp.Or(t.cur.Found, t.cur.Stage+1)
		t.nextStage(t.cur.Stage + 1)
		t.cur.Unreached, t.cur.Found = true, found
	case first && t.cur.Delivered == 0 && t.firstFound(s):
	case first && t.cur.Delivered == 0:
		p.ExpiresAt = t.now.Add(farAway)
		t.putPrompt(p)
		t.unreachable(s.noChannel("took the question: " + t.run.Message))
	default:
		t.sleepUntilNext(p, s)
	}
}

// askWait waits for an answer. Each time it wakes without one it looks again
// whether the question still arises.
func (t *turn) askWait(n *node, s *AskStep) {
	p, ok := t.prompt(t.run.StepPath)
	if !ok {
		t.park("PromptGone", "the question's row is gone")
		return
	}
	v, ok := t.arises(s)
	if !ok {
		return
	}
	switch {
	case v.Decision == Drop:
		t.withdraw(n, p, v)
	case !t.now.Before(p.ExpiresAt):
		t.expire(n, s, p)
	case t.cur.Reminders < len(s.Reminders) && v.Decision == Go && !t.now.Before(t.reminderAt(p, s)):
		t.cur.Phase, t.cur.At = askRemind, 0
		t.cur.Reminders++
		t.cur.resetEffect()
	default:
		if v.Decision == Hold && t.cur.Reminders < len(s.Reminders) && !t.now.Before(t.reminderAt(p, s)) {
			t.cur.Reminders++ // nobody is reminded of what may not be done now
		}
		t.sleepUntilNext(p, s)
	}
}

func (t *turn) reminderAt(p store.Prompt, s *AskStep) time.Time {
	zone := t.zoneFor(p.Assignees[0])
	at := s.Reminders[t.cur.Reminders].After(t.cur.AskedAt, zone)
	if until, quiet := s.Quiet.until(at, zone); quiet {
		return until
	}
	return at
}

func (t *turn) nextAt(p store.Prompt, s *AskStep) time.Time {
	if t.cur.Reminders < len(s.Reminders) {
		if at := t.reminderAt(p, s); at.Before(p.ExpiresAt) {
			return at
		}
	}
	return p.ExpiresAt
}

func (t *turn) sleepUntilNext(p store.Prompt, s *AskStep) {
	reason, message := "WaitingForAnswer", ""
	if s.Matter != nil {
		reason, message = waitsFor[s.Matter.Kind], fmt.Sprintf("`seatkeeper %s %s` shows who is asked", lists[s.Matter.Kind], p.ID)
	}
	t.sleep(later(t.now, t.nextAt(p, s)), reason, message)
}

// expire goes to the next stage, or takes the declared default.
func (t *turn) expire(n *node, s *AskStep, p store.Prompt) {
	why := "nobody answered by " + notify.Instant(p.ExpiresAt, t.zoneFor(p.Assignees[0])) + ", so "
	if next := s.later(t.cur.Stage); next < len(s.Stages) {
		t.closePrompt(p, store.PromptExpired, why+"others are asked now")
		t.nextStage(next)
		return
	}
	if s.OnTimeout == "" {
		t.closePrompt(p, store.PromptExpired, why+"the step of the workflow failed")
		t.auditPolicy("prompt.default", why+"the step failed, which has no default", "none")
		t.settle(n, s, decision{Source: sourceTimeout}, "nobody answered in time")
		return
	}
	t.closePrompt(p, store.PromptExpired, why+"the declared default applied: "+s.OnTimeout)
	t.auditPolicy("prompt.default", why+"the declared default applied", s.OnTimeout)
	t.settle(n, s, decision{Answer: s.OnTimeout, Source: sourceTimeout}, why+"the declared default applied")
}

// nextStage turns to those who are asked next.
func (t *turn) nextStage(stage int) {
	entered := t.cur.Entered
	t.cur = t.cur.fresh(t.cur.Since)
	t.cur.Stage, t.cur.Entered = stage, entered
	t.event = event{kind: eventDue}
}

// auditPolicy records a decision that no person took.
func (t *turn) auditPolicy(action, reason, result string) {
	t.change.Audits = append(t.change.Audits, model.AuditRecord{
		Actor: t.run.Kind + "/" + t.run.Name, ActorKind: model.ActorPolicy, Action: action, ObjectKind: t.run.Kind, ObjectName: t.run.Name,
		PersonID: t.run.PersonID, Reason: reason, Cause: t.run.Cause, RunID: t.run.ID, Result: result,
	})
}

// answered takes the recorded answer.
func (t *turn) answered(n *node, s *AskStep, p store.Prompt) {
	t.settle(n, s, whoAnswered(p), "answered "+p.Answer)
}

// settle ends the ask with a decision.
func (t *turn) settle(n *node, s *AskStep, d decision, message string) {
	if s.Matter != nil {
		t.settleAnswer(n, s, d)
		return
	}
	t.settleAs(n, d, d.Source, message, true)
}

func (t *turn) settleAs(n *node, d decision, reason, message string, decides bool) {
	if decides {
		t.vars["decision"] = map[string]any{"answer": d.Answer, "by": d.By, "kind": string(d.Kind), "role": d.Role, "name": d.Name, "reason": d.Reason, "source": d.Source}
	}
	t.complete(n, map[string]any{"answer": d.Answer, "source": d.Source, "reason": reason, "message": message})
}

// question words what is asked.
func (t *turn) question(n *node, s *AskStep, d delivery) (notify.Question, error) {
	if s.Matter != nil {
		return t.matterQuestion(s, d)
	}
	seat, err := t.seat()
	if err != nil {
		return notify.Question{}, err
	}
	p, _ := t.prompt(t.run.StepPath)
	to := p.Assignees[d.Assignee]
	q := notify.Question{
		Asker: seat.Asker, Policy: t.run.Name, Why: seat.Why, To: to.Name, Zone: zoneOf(to.TimeZone), Deadline: p.ExpiresAt, Silence: s.OnTimeout,
		KeepFor: spanWords(s.KeepFor), NextUp: "your manager", Contact: seat.Contact,
		Seats: []notify.Seat{{
			PromptID: p.ID, Token: t.env.token(t.run.Tenant, p.ID), Options: s.Options, App: seat.AppTitle, Plan: seat.PlanName, Account: seat.Account,
			LastUse: seat.LastUse, Source: seat.Source, Observed: seat.Observed, YearlyCost: seat.YearlyCost, Effect: seat.Effect, GetBack: seat.GetBack,
		}},
	}
	if to.PersonID != t.run.PersonID {
		q.Holder = seat.PersonName
	}
	if t.cur.Phase == askRemind {
		q.Reminder = t.cur.Reminders
	}
	return q, nil
}

func spanWords(s Span) string {
	switch {
	case s.Days == 1:
		return "1 day"
	case s.Days != 0:
		return fmt.Sprintf("%d days", s.Days)
	case s.Elapsed >= 48*time.Hour && s.Elapsed%(24*time.Hour) == 0:
		return fmt.Sprintf("%d days", int(s.Elapsed.Hours())/24)
	}
	return s.String()
}

// until returns the end of the quiet hours that now falls into.
func (q *QuietHours) until(now time.Time, zone *time.Location) (time.Time, bool) {
	if q == nil {
		return time.Time{}, false
	}
	from, errFrom := time.Parse("15:04", q.From)
	to, errTo := time.Parse("15:04", q.To)
	if errFrom != nil || errTo != nil || from.Equal(to) {
		return time.Time{}, false
	}
	local := now.In(zone)
	minute, start, end := local.Hour()*60+local.Minute(), from.Hour()*60+from.Minute(), to.Hour()*60+to.Minute()
	at := func(days int) time.Time {
		return time.Date(local.Year(), local.Month(), local.Day()+days, to.Hour(), to.Minute(), 0, 0, zone).UTC()
	}
	switch {
	case start < end && minute >= start && minute < end:
		return at(0), true
	case start > end && minute >= start:
		return at(1), true
	case start > end && minute < end:
		return at(0), true
	}
	return time.Time{}, false
}
