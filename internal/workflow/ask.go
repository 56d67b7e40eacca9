// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package workflow

import (
	"cmp"
	"fmt"
	"slices"
	"time"

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
		t.sleep(until, store.ReasonQuietHours, "the question waits for the end of the quiet hours")
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
	t.askPhase(n, s)
}

// askPhase goes on where the stage stands.
func (t *turn) askPhase(n *node, s *AskStep) {
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

// askMatter asks people what a user's Workflow wants of them.
func (t *turn) askMatter(n *node, s *AskStep) {
	switch {
	case t.dryRun():
		t.askDry(n, s)
		return
	case t.cur.Settled != nil:
		t.askClose(n, s)
		return
	case t.underWay():
	case t.stepOverdue():
		message := fmt.Sprintf("nobody answered within the step's timeout of %s", n.step.Timeout)
		t.settleMatter(settled{Failed: reasonTimedOut, Message: message})
		return
	default:
		if p, ok := t.answeredHere(s); ok {
			t.answered(n, s, p)
			return
		}
	}
	t.askPhase(n, s)
}

// underWay reports a delivery whose end is not recorded: people may answer a
// message before this process knows that it was sent.
func (t *turn) underWay() bool { return t.intent != nil || t.cur.Asking != "" || t.cur.Lost }

// askNobody goes on where nobody is left to ask. The default that a policy
// declares is what a person's silence stands for: it applies where somebody was
// asked the same, and never where nobody could be.
func (t *turn) askNobody(n *node, s *AskStep) {
	asked := slices.ContainsFunc(t.prompts, func(p store.Prompt) bool { return p.StepPath == t.run.StepPath })
	if before, _ := t.decision(); s.Matter == nil && before.Source == sourceAnswer {
		asked = true // the steps of a reclaim are stages of one question
	}
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

func (t *turn) unreachable(message string) {
	t.cur.Phase = askHeld
	t.sleep(t.now.Add(unreachableFor), "NoReachableChannel", message)
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

// later is the first stage whose turn comes after a silence; those in between
// are others who could have been asked instead.
func (s *AskStep) later(stage int) int {
	for i := stage + 1; i < len(s.Stages); i++ {
		if s.Matter == nil || s.Stages[i].Group != s.Stages[stage].Group {
			return i
		}
	}
	return len(s.Stages)
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

// firstFound has the first who was found keep the question while no channel
// reaches anybody: they may come and answer it.
func (t *turn) firstFound(s *AskStep) bool {
	if s.Matter == nil || t.cur.Found == 0 || t.cur.Offline {
		return false
	}
	found := t.cur.Found
	t.nextStage(found - 1)
	t.cur.Unreached, t.cur.Found, t.cur.Offline = true, found, true
	return true
}
