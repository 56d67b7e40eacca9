// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package workflow

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/seatkeeper/seatkeeper/internal/model"
	"github.com/seatkeeper/seatkeeper/internal/store"
)

// Why an effect is being verified.
const (
	callResolve = "resolve" // the outcome of the attempt is unknown
	callVerify  = "verify"  // the vendor said it is done
)

// reasonQueued is why a run waits whose lane is busy.
const reasonQueued = "WaitingForTurn"

// Defaults of Retry.
const (
	defaultRefusals   = 4
	defaultPatience   = 24 * time.Hour
	defaultBase       = time.Second
	defaultMaxBackoff = 5 * time.Minute
	defaultRetryAfter = 30 * time.Second
	maxPoll           = time.Minute
	// verifyPatience is how long unanswered verifications are repeated beyond
	// the action's own time before a person is asked.
	verifyPatience = 10 * time.Minute
)

// callSpec is one logical effect of a step. path and loop, with the cursor's
// generation, name it.
type callSpec struct {
	path        string
	loop        int
	call        Call
	info        *ActionInfo // nil: what the integration says of the action
	retry       Retry
	onAmbiguous string
	postedPoint string // failpoint of this kind of call
	// outlasts says that the effect waits for a paused integration; messages
	// take another way instead.
	outlasts bool
}

// callOutcome is how an effect ended; pending means that the turn is over and
// a later one goes on.
type callOutcome struct {
	pending bool
	ok      bool
	wrote   bool // this run changed something outside
	output  map[string]any
	status  int
	reason  string
	message string
	decided bool // a person said that it failed
}

var pending = callOutcome{pending: true}

// perform moves one logical effect on: intent, call, outcome, verification.
func (t *turn) perform(c callSpec) callOutcome {
	if how, ok := t.resolution(); ok {
		return t.resolved(c, how)
	}
	if t.intent != nil {
		switch {
		case t.event.kind == eventResult:
			res := t.event.result
			t.event = event{kind: eventDue}
			return t.outcome(c, res)
		case t.cur.Asking == callResolve:
			return t.askEffect(c)
		}
		return t.ambiguous(c, "the process ended before the outcome was known", true)
	}
	if t.cur.Asking == callVerify {
		return t.askEffect(c)
	}
	if t.stepOverdue() {
		return t.outOfTime(c)
	}
	if c.info != nil {
		return t.send(c, *c.info)
	}
	info, known, err := t.env.info(infoKey{t.run.Tenant, c.call.Integration, c.call.Action})
	switch {
	case !known:
		t.need(gather{info: &infoKey{t.run.Tenant, c.call.Integration, c.call.Action}})
		return pending
	case err != nil:
		return t.again(c, "IntegrationUnavailable", fmt.Sprintf("integration %s cannot be used now: %v", c.call.Integration, err))
	case info.Paused != "" && c.outlasts:
		t.sleep(t.now.Add(holdFor), "IntegrationSuspended", info.Paused)
		return pending
	case info.Paused != "":
		return callOutcome{reason: "Refused", message: info.Paused}
	case info.Refused != "":
		return callOutcome{reason: "Refused", message: info.Refused}
	case info.Removes && !t.mayRemove(c.call):
		return pending
	}
	return t.send(c, info)
}

// outOfTime ends an effect whose step has taken as long as it may.
func (t *turn) outOfTime(c callSpec) callOutcome {
	message := fmt.Sprintf("the step took longer than its timeout; last: %s", cmp.Or(t.run.Message, "no attempt was made"))
	if t.cur.Lost {
		t.park("OutcomeUnknown", fmt.Sprintf("%s in %s may have happened: %s; look, then say retry, skip or fail", c.call.Action, c.call.Integration, message))
		return pending
	}
	return callOutcome{reason: reasonTimedOut, message: message}
}

// send commits the intent; the engine makes the call after the commit.
func (t *turn) send(c callSpec, info ActionInfo) callOutcome {
	lane := laneName(t.run.Tenant, c.call.Integration)
	if ok, again := t.env.start(lane); !ok {
		t.queue(c, lane, again)
		return pending
	}
	timeout := c.retry.Timeout.Elapsed
	if timeout <= 0 {
		timeout = t.env.timeout
	}
	if t.run.Reason == reasonQueued {
		t.run.Reason, t.run.Message = "", ""
	}
	t.cur.N++
	t.cur.Info, t.cur.SentAt = info, t.now
	c.call.IdemKey = idemKey(t.run.ID, c.path, c.loop, t.cur.generation())
	a := store.Attempt{
		StepPath: c.path, LoopIx: c.loop, Generation: t.cur.generation(), N: t.cur.N, State: store.AttemptIntent, Integration: c.call.Integration,
		Action: c.call.Action, Class: string(info.Class), IdemKey: c.call.IdemKey, RequestDigest: t.digest(c.call), DeadlineAt: t.now.Add(timeout), StartedAt: t.now,
	}
	t.put(a)
	t.run.State, t.run.DueAt = store.RunInFlight, a.DeadlineAt.Add(t.env.grace)
	t.effect = &effect{call: &c.call, info: info, attempt: a, lane: lane, postedPoint: c.postedPoint}
	t.done = true
	return pending
}

// queue waits for a place in the lane. A lane that is shut for long is waited for
// like anything else, so that the timeouts of the step and the run count.
func (t *turn) queue(c callSpec, lane string, again time.Time) {
	if again.Sub(t.now) >= shutFor {
		t.sleep(again, "RateLimited", fmt.Sprintf("%s lets no call start before %s", c.call.Integration, again.UTC().Format(time.RFC3339)))
		return
	}
	t.run.State, t.run.DueAt, t.run.Lane = store.RunReady, later(t.now, again), lane
	if t.run.Reason == "" {
		t.run.Reason, t.run.Message = reasonQueued, fmt.Sprintf("waits for its turn among the calls to %s", c.call.Integration)
	}
	t.done = true
}

// outcome records how the intended call ended and says what that means.
func (t *turn) outcome(c callSpec, res Result) callOutcome {
	a := *t.intent
	t.retryAfter = res.RetryAfter
	a.Result, a.StatusCode, a.Error, a.EndedAt = string(res.Class), res.StatusCode, res.Message, &t.now
	if res.RequestDigest != "" {
		a.RequestDigest = res.RequestDigest
	}
	switch {
	case res.Class == ResultDone || res.Class == ResultAccepted || res.Class == ResultAlready:
		t.closeIntent(a, store.AttemptOK)
		return t.succeeded(c, a, res)
	case res.Class == ResultRateLimited:
		t.closeIntent(a, store.AttemptNotSent)
		wait := res.RetryAfter
		if wait <= 0 {
			wait = defaultRetryAfter
		}
		t.blocks = append(t.blocks, block{t.run.Tenant, c.call.Integration, t.now.Add(wait)})
		t.sleep(t.now.Add(wait), "RateLimited", fmt.Sprintf("%s asks to wait %s", c.call.Integration, wait))
		return pending
	case res.Class == ResultDenied || res.Class == ResultNotFound:
		t.closeIntent(a, store.AttemptFailed)
		if res.Sent {
			t.audit(a, string(res.Class))
		}
		return t.refusedForGood(c, a, res)
	case !res.Sent:
		t.closeIntent(a, store.AttemptNotSent)
		return t.again(c, "NotSent", res.Message)
	case res.Class == ResultConflict || res.Class == ResultFailed:
		t.closeIntent(a, store.AttemptFailed)
		t.audit(a, string(res.Class))
		if res.Final {
			return t.refusedForGood(c, a, res)
		}
		out := t.again(c, reasonOf(res.Class), res.Message)
		// A definite failure: the next try is a new effect, unless an attempt before
		// may have had this one and another would double it.
		if out.pending && (!t.cur.Lost || Class(a.Class) == ClassIdempotent) {
			t.cur.Gen, t.cur.N, t.cur.Lost = t.cur.Gen+1, 0, false
		}
		return out
	}
	t.intent = &a
	return t.ambiguous(c, res.Message, false)
}

// refusedForGood ends an effect that the vendor refuses. That it refuses now does
// not say what became of an attempt before whose answer was lost.
func (t *turn) refusedForGood(c callSpec, a store.Attempt, res Result) callOutcome {
	if !t.cur.Lost {
		return callOutcome{reason: reasonOf(res.Class), message: res.Message}
	}
	t.audit(a, string(ResultUnknown))
	if Class(a.Class) == ClassIdempotent { // doing it again doubles nothing
		return callOutcome{reason: reasonOf(res.Class), message: res.Message + "; an attempt before, whose answer was lost, may have happened"}
	}
	t.park(reasonUnknown, fmt.Sprintf("an attempt of %s in %s may have happened, its answer was lost, and now it is refused (%s); look, then say retry, skip or fail", c.call.Action, c.call.Integration, res.Message))
	return pending
}

func reasonOf(c ResultClass) string {
	switch c {
	case ResultDenied:
		return "Denied"
	case ResultNotFound:
		return "NotFound"
	case ResultConflict:
		return "Conflict"
	}
	return "Failed"
}

// succeeded goes on after the vendor confirmed the effect.
func (t *turn) succeeded(c callSpec, a store.Attempt, res Result) callOutcome {
	// "Already" after an attempt whose answer was lost is that attempt's effect.
	wrote := res.Class != ResultAlready || t.cur.Lost
	if wrote {
		result := string(res.Class)
		if res.Class == ResultAlready {
			result = "verified"
		}
		t.audit(a, result)
	}
	t.cur.Output, t.cur.Status = res.Output, res.StatusCode
	// A verifiable action's verification is for lost answers; this one came.
	waits := t.cur.Info.WaitTimeout > 0 && res.Class == ResultAccepted
	if waits || t.cur.Info.HasVerify && res.Class != ResultAlready && (t.cur.Info.Class != ClassVerifiable || res.Class == ResultAccepted) {
		t.cur.Asking, t.cur.Polls = callVerify, 0
		return t.askEffect(c)
	}
	return callOutcome{ok: true, wrote: wrote, output: res.Output, status: res.StatusCode}
}

// ambiguous resolves an attempt whose outcome is unknown, by its class.
func (t *turn) ambiguous(c callSpec, message string, leftover bool) callOutcome {
	a := *t.intent
	a.Result, a.Error = string(ResultUnknown), message
	switch Class(a.Class) {
	case ClassRead, ClassIdempotent, ClassKeyed:
		t.cur.Lost = Class(a.Class) != ClassRead
		t.closeIntent(a, store.AttemptAmbiguous)
		if leftover {
			return t.perform(c) // its deadline has passed: nobody can be sending it
		}
		return t.again(c, "OutcomeUnknown", message)
	case ClassVerifiable:
		// The intent stays open until the answer is known.
		t.cur.Asking, t.cur.Polls = callResolve, 0
		t.put(a)
		return t.askEffect(c)
	}
	t.closeIntent(a, store.AttemptAmbiguous)
	t.audit(a, string(ResultUnknown))
	t.cur.Lost = true
	switch c.onAmbiguous {
	case AmbiguousFail:
		return callOutcome{reason: "OutcomeUnknown", message: message}
	case AmbiguousRetry:
		return t.again(c, "OutcomeUnknown", message)
	}
	t.park("OutcomeUnknown", fmt.Sprintf("%s in %s may or may not have happened (%s), and repeating it is not safe: look, then say retry, skip or fail", a.Action, a.Integration, message))
	return pending
}

// askEffect verifies whether the effect is there, and goes on by the answer.
func (t *turn) askEffect(c callSpec) callOutcome {
	if t.event.kind != eventVerified {
		c.call.IdemKey = idemKey(t.run.ID, c.path, c.loop, t.cur.generation())
		if t.waiting() {
			c.call.Accepted = t.cur.Output
			if c.call.Accepted == nil {
				c.call.Accepted = map[string]any{}
			}
		}
		t.run.State, t.run.DueAt = store.RunReady, t.now
		t.holdState()
		t.effect = &effect{verify: &c.call}
		t.done = true
		return pending
	}
	res := t.event.result
	t.event = event{kind: eventDue}
	t.cur.Polls++
	there := res.Class == ResultDone || res.Class == ResultAlready
	within := t.cur.Info.VerifyWithin
	if t.waiting() {
		within += t.cur.Info.WaitTimeout
	}
	settled := !t.now.Before(t.cur.SentAt.Add(within))
	switch {
	case res.Final && t.waiting():
		return t.endedInVain(c, res)
	case there && t.waiting():
		return callOutcome{ok: true, wrote: true, output: res.Output, status: t.cur.Status}
	case there && t.cur.Asking == callVerify:
		return callOutcome{ok: true, wrote: true, output: t.cur.Output, status: t.cur.Status}
	case there:
		a := *t.intent
		a.Result, a.EndedAt = "verified", &t.now
		t.closeIntent(a, store.AttemptOK)
		t.audit(a, "verified")
		return callOutcome{ok: true, wrote: true, output: res.Output, status: t.cur.Status}
	case t.cur.Asking == callVerify && t.stepOverdue():
		return t.verifiedTooLate(c, within)
	case res.Class == ResultAbsent && !settled:
		t.poll("the effect is not visible yet")
		return pending
	case res.Class == ResultAbsent && t.cur.Asking == callVerify:
		return callOutcome{reason: "NotVerified", message: fmt.Sprintf("%s accepted %s, but its effect is not there after %s", c.call.Integration, c.call.Action, within)}
	case res.Class == ResultAbsent:
		a := *t.intent
		a.Result, a.EndedAt = string(ResultAbsent), &t.now
		t.closeIntent(a, store.AttemptNotSent)
		t.cur.Asking = ""
		return t.again(c, "OutcomeUnknown", "the effect is provably not there")
	case t.now.After(t.cur.SentAt.Add(within + verifyPatience)):
		t.park("OutcomeUnknown", fmt.Sprintf("whether %s in %s happened could not be found out: %s; look, then say retry, skip or fail", c.call.Action, c.call.Integration, res.Message))
		return pending
	}
	if res.Class == ResultRateLimited && res.RetryAfter > 0 {
		t.blocks = append(t.blocks, block{t.run.Tenant, c.call.Integration, t.now.Add(res.RetryAfter)})
	}
	t.poll(res.Message)
	return pending
}

// verifiedTooLate ends a step whose effect was accepted and had not shown when
// its time was over.
func (t *turn) verifiedTooLate(c callSpec, within time.Duration) callOutcome {
	return callOutcome{reason: reasonTimedOut, wrote: true, message: fmt.Sprintf("%s accepted %s, and its effect was not there when the step's timeout was over; it may still come within %s",
		c.call.Integration, c.call.Action, t.cur.SentAt.Add(within).Sub(t.now).Round(time.Second))}
}

// waiting reports that the end of work is asked for which the vendor accepted.
func (t *turn) waiting() bool { return t.cur.Asking == callVerify && t.cur.Info.WaitTimeout > 0 }

// endedInVain goes on after accepted work failed at the vendor: as after any
// definite failure, the next try is a new effect.
func (t *turn) endedInVain(c callSpec, res Result) callOutcome {
	out := t.again(c, reasonOf(ResultFailed), res.Message)
	if out.pending {
		t.cur.Gen, t.cur.N, t.cur.Lost, t.cur.Asking, t.cur.Output = t.cur.Gen+1, 0, false, "", nil
	}
	return out
}

// poll waits before the next verification: 1, 2, 4 … 60 seconds, or as long as
// the action says.
func (t *turn) poll(message string) {
	wait := min(time.Second<<min(t.cur.Polls-1, 10), maxPoll)
	if t.waiting() {
		wait = t.cur.Info.WaitEvery
	}
	t.sleep(t.now.Add(wait), "Verifying", message)
	t.holdState()
}

// holdState keeps a run with an open intent in flight, so that a stop waits
// for its resolution.
func (t *turn) holdState() {
	if t.intent != nil {
		t.run.State = store.RunInFlight
	}
}

// again repeats the effect after a backoff, or gives up.
func (t *turn) again(c callSpec, reason, message string) callOutcome {
	t.cur.Tries++
	if t.spent(c.retry, reason) {
		if t.cur.Lost {
			t.park("OutcomeUnknown", fmt.Sprintf("%s in %s was tried %d times and may have happened: %s; look, then say retry, skip or fail", c.call.Action, c.call.Integration, t.cur.Tries, message))
			return pending
		}
		return callOutcome{reason: reason, message: fmt.Sprintf("%s (tried %d times)", message, t.cur.Tries)}
	}
	base, most := c.retry.Base.Elapsed, c.retry.Max.Elapsed
	if base <= 0 {
		base = defaultBase
	}
	if most <= 0 {
		most = defaultMaxBackoff
	}
	wait := min(base<<min(t.cur.Tries-1, 20), most)
	wait += wait * time.Duration(t.run.Shard) / (4 * store.Shards) // spread over a quarter of it
	wait = max(wait, t.retryAfter)
	t.sleep(t.now.Add(wait), "Retrying", fmt.Sprintf("%s: %s", reason, message))
	return pending
}

// spent reports that the effect is not tried again. Without a limit of its
// own, a step outlasts a day's outage, but not more than a few refusals. A day
// that nobody tried in, for the machine slept, is no outage.
func (t *turn) spent(r Retry, reason string) bool {
	refused := reason == reasonOf(ResultConflict) || reason == reasonOf(ResultFailed)
	switch {
	case r.MaxAttempts > 0:
		return t.cur.Tries >= r.MaxAttempts
	case refused:
		return t.cur.Tries >= defaultRefusals
	}
	return t.cur.Tries >= defaultRefusals && t.now.Sub(t.cur.Since) >= defaultPatience
}

// resolved goes on as a person decided about the parked effect.
func (t *turn) resolved(c callSpec, how store.Resolution) callOutcome {
	t.run.Reason, t.run.Message = "", ""
	if t.intent != nil {
		t.closeIntent(*t.intent, store.AttemptAmbiguous)
	}
	gen := t.cur.Gen
	t.cur.resetEffect()
	switch how {
	case store.ResolveSkip:
		return callOutcome{ok: true, wrote: true}
	case store.ResolveFail:
		return callOutcome{reason: "OutcomeUnknown", message: "a person ended the run as failed", decided: true}
	}
	t.cur.Gen = gen + 1 // deliberate: a new effect
	return t.perform(c)
}

// put writes an attempt.
func (t *turn) put(a store.Attempt) {
	for i, b := range t.change.Attempts {
		if b.StepPath == a.StepPath && b.LoopIx == a.LoopIx && b.Generation == a.Generation && b.N == a.N {
			t.change.Attempts[i] = a
			return
		}
	}
	t.change.Attempts = append(t.change.Attempts, a)
}

// closeIntent records an attempt's final state.
func (t *turn) closeIntent(a store.Attempt, state store.AttemptState) {
	a.State = state
	if a.EndedAt == nil {
		a.EndedAt = &t.now
	}
	t.put(a)
	t.intent = nil
}

// audit adds the one record of an external write (invariant 9).
func (t *turn) audit(a store.Attempt, result string) {
	if Class(a.Class) == ClassRead {
		return
	}
	actor, kind, reason := t.decider()
	t.change.Audits = append(t.change.Audits, model.AuditRecord{
		Actor: actor, ActorKind: kind, Action: a.Action, ObjectKind: objectKind(a.Integration), ObjectName: a.Integration, PersonID: t.run.PersonID,
		Reason: reason, Cause: t.run.Cause, RunID: t.run.ID, RequestDigest: a.RequestDigest, Result: result,
		Detail: t.auditDetail(a), Subject: t.auditSubject(),
	})
}

// objectKind is what a call changes something in.
func objectKind(integration string) string {
	if strings.HasPrefix(integration, httpPrefix) {
		return "Host"
	}
	return "Integration"
}

// digest is over what is asked, without credentials, known before it is sent.
func (t *turn) digest(c Call) string {
	c.Input, _ = t.mask(c.Input).(map[string]any)
	raw, err := json.Marshal(c)
	if err != nil {
		return ""
	}
	sum := sha256.Sum256(raw)
	return "sha256:" + hex.EncodeToString(sum[:])
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}
