// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package workflow

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/seatkeeper/seatkeeper/internal/failpoint"
	"github.com/seatkeeper/seatkeeper/internal/model"
	"github.com/seatkeeper/seatkeeper/internal/notify"
	"github.com/seatkeeper/seatkeeper/internal/store"
)

// AskMatter makes an AskStep an approval, a question or a task of a user's
// Workflow. It is worded by its author, and asked whatever the inventory says.
type AskMatter struct {
	Kind notify.MatterKind `json:"kind"`
	Text string            `json:"text,omitempty"` // with holes
	// Evidence of a task is Optional or Required.
	Evidence string `json:"evidence,omitempty"`
}

// Recipient is whom a step of a user's Workflow turns to: a role, or an address.
type Recipient struct {
	Role Role `json:"role,omitempty"`
	// Email has holes. One without may name a mailbox that is no person's: who
	// wrote the Workflow chose it. One that was computed must be a person's.
	Email string `json:"email,omitempty"`
}

// literal reports an address that the definition itself names.
func (r Recipient) literal() bool { return !strings.Contains(r.Email, "${") }

// approves reports a step that nobody passes over but by an approval.
func (s Step) approves() bool {
	return s.Ask != nil && s.Ask.Matter != nil && s.Ask.Matter.Kind == notify.Approval
}

// Results of an approval.
const (
	StepApproved = "Approved"
	StepRejected = "Rejected"
)

// Reasons of steps that ask people.
const (
	reasonRejected = "Rejected"
	reasonNoAnswer = "NoAnswer"
)

// waitsFor is why a run waits for people.
var waitsFor = map[notify.MatterKind]string{notify.Approval: "WaitingForApproval", notify.Choice: "WaitingForAnswer", notify.Task: "WaitingForTask"}

// lists are the commands that show what is asked.
var lists = map[notify.MatterKind]string{notify.Approval: "approvals", notify.Choice: "reviews", notify.Task: "tasks"}

// askReach bounds how long one channel is tried before the next.
var askReach = Retry{MaxAttempts: 4}

// closeReach bounds how long a run is kept by messages about what is past.
var closeReach = Retry{MaxAttempts: 2}

// settled is how a matter ended, kept while those who were asked are told.
type settled struct {
	decision
	Email string `json:"email,omitempty"` // of who decided
	// Failed is why the step fails; empty: it does not.
	Failed  string `json:"failed,omitempty"`
	Message string `json:"message"`
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

// ours are the prompts of the step, one for each stage that was asked.
func (t *turn) ours(s *AskStep) map[string]bool {
	at := t.cur.Stage
	defer func() { t.cur.Stage = at }()
	ids := make(map[string]bool, len(s.Stages))
	for i := range s.Stages {
		t.cur.Stage = i
		ids[t.promptID(t.run.StepPath)] = true
	}
	return ids
}

// answeredHere is the answer to the step, whichever stage gave it.
func (t *turn) answeredHere(s *AskStep) (store.Prompt, bool) {
	ours := t.ours(s)
	i := slices.IndexFunc(t.prompts, func(p store.Prompt) bool { return ours[p.ID] && p.State == store.PromptAnswered })
	if i < 0 {
		return store.Prompt{}, false
	}
	return t.prompts[i], true
}

// whom says whom the stage asks; the address may be computed.
func (t *turn) whom(n *node, s *AskStep) (gather, error) {
	stage := s.Stages[t.cur.Stage]
	g := gather{roles: stage.Roles, ask: s}
	if stage.To == nil {
		return g, nil
	}
	to, err := t.addressed(*stage.To, n.to[t.cur.Stage])
	g.to = []addressee{to}
	return g, err
}

// addressee is a recipient whose address is known.
type addressee struct {
	Recipient
	address string
}

func (t *turn) addressed(r Recipient, email value) (addressee, error) {
	if r.Role != "" {
		return addressee{Recipient: r}, nil
	}
	v, err := email(t.scope())
	if err != nil {
		return addressee{}, err
	}
	address, ok := v.(string)
	if !ok || !strings.Contains(address, "@") {
		return addressee{}, fmt.Errorf("%v is no e-mail address", v)
	}
	return addressee{r, strings.TrimSpace(address)}, nil
}

// text is the author's, with its holes filled.
func (t *turn) text(n *node) (string, error) {
	if n.text == nil {
		return "", nil
	}
	v, err := n.text(t.scope())
	if err != nil {
		return "", err
	}
	return clipped(inWords(v)), nil
}

// maxText bounds what people are sent, in characters: every channel takes it.
const maxText = 8000

func clipped(s string) string {
	if r := []rune(s); len(r) > maxText {
		return string(r[:maxText-1]) + "…"
	}
	return s
}

// inWords writes a value into a text.
func inWords(v any) string {
	switch x := v.(type) {
	case string:
		return x
	case nil:
		return ""
	case bool, int64, uint64, float64:
		return fmt.Sprint(x)
	}
	raw, err := json.Marshal(v)
	if err != nil {
		return fmt.Sprint(v)
	}
	return string(raw)
}

// askDry says what would be asked.
func (t *turn) askDry(n *node, s *AskStep) {
	text, err := t.text(n)
	if err != nil {
		text = "the text has no value in a dry run: " + err.Error()
	}
	to := make([]any, 0, len(s.Stages))
	for i, stage := range s.Stages {
		r, err := t.addressed(*stage.To, n.to[i])
		if err != nil {
			r.address = err.Error()
		}
		to = append(to, cmp.Or(string(r.Role), r.address))
	}
	result := map[string]any{"result": resultDryRun, "request": map[string]any{"kind": string(s.Matter.Kind), "to": to, "text": text, "options": s.Options}}
	switch s.Matter.Kind {
	case notify.Approval:
		result["approved"] = true // the steps behind it are what a dry run is for
	case notify.Choice:
		result["choice"] = cmp.Or(s.OnTimeout, s.Options[0])
	case notify.Task, notify.Notice:
	}
	t.complete(n, result)
}

// openMatter opens the prompt of a stage. Another stage's that is still open,
// because nobody could be reached then, is closed.
func (t *turn) openMatter(n *node, s *AskStep, assignees []store.Assignee) error {
	text, err := t.text(n)
	if err != nil {
		return err
	}
	p, ok := t.prompt(t.run.StepPath)
	if !ok {
		id := t.promptID(t.run.StepPath)
		p = store.Prompt{
			Tenant: t.run.Tenant, ID: id, RunID: t.run.ID, StepPath: t.run.StepPath, Stage: t.cur.Stage, Purpose: string(s.Matter.Kind),
			TokenHash: store.HashPromptToken(t.env.token(t.run.Tenant, id)), Options: s.Options, CreatedAt: t.now,
		}
	}
	for _, o := range t.prompts {
		if o.StepPath == p.StepPath && o.ID != p.ID && o.State == store.PromptOpen {
			t.closePrompt(o, store.PromptExpired, "somebody else is asked now")
		}
	}
	p.Assignees, p.State, p.ClosedReason, p.ExpiresAt = assignees, store.PromptOpen, "", t.now.Add(farAway)
	if len(t.cur.Deliveries) > 0 {
		p.ExpiresAt = t.expiry(n, s, assignees[0])
	}
	q := t.worded(s, p, assignees[0])
	q.Matter.Text = text
	p.Subject, err = json.Marshal(matterSubject{store.PromptMatter{
		Workflow: t.run.Name, Title: q.Title(), Text: text, About: q.Matter.About, Asker: q.Asker, Why: q.Why, Evidence: s.Matter.Evidence, Silence: q.Matter.Silence,
	}, q})
	if err != nil {
		return err
	}
	t.putPrompt(p)
	return nil
}

// matterSubject is the subject of a prompt: for lists, and for the page that
// asks the same.
type matterSubject struct {
	store.PromptMatter
	Question notify.Question `json:"question"`
}

// expiry is when the stage's silence counts: never for a task without a timeout.
func (t *turn) expiry(n *node, s *AskStep, to store.Assignee) time.Time {
	at := t.now.Add(farAway)
	if !s.Timeout.IsZero() {
		at = s.Timeout.After(t.now, t.zoneFor(to))
	}
	if !n.step.Timeout.IsZero() {
		if end := n.step.Timeout.After(t.cur.Since, t.zone()); end.Before(at) {
			at = end
		}
	}
	return at
}

// zoneFor is the zone in which somebody reads and sleeps.
func (t *turn) zoneFor(a store.Assignee) *time.Location {
	return zoneOf(cmp.Or(a.TimeZone, t.vars.text("org.timeZone")))
}

// worded is what is asked of one reader, without the author's text.
func (t *turn) worded(s *AskStep, p store.Prompt, to store.Assignee) notify.Question {
	q := notify.Question{
		Asker: cmp.Or(t.vars.text("org.displayName"), "Seatkeeper"), Policy: t.run.Name, Why: cmp.Or(t.vars.text("start.why"), "a run of the workflow has come to it"),
		To: to.Name, Zone: t.zoneFor(to),
		Matter: &notify.Matter{Kind: s.Matter.Kind, ID: p.ID, Options: s.Options, Evidence: s.Matter.Evidence, Silence: t.silence(s), About: t.about(to)},
	}
	if p.ExpiresAt.Before(p.CreatedAt.Add(farAway / 2)) {
		q.Deadline = p.ExpiresAt
	}
	return q
}

// about names the run's person to others.
func (t *turn) about(to store.Assignee) string {
	name, email := t.vars.text("person.displayName"), t.vars.text("person.email")
	switch {
	case email == "":
		return ""
	case t.run.PersonID != "" && to.PersonID == t.run.PersonID:
		return "you"
	}
	return strings.TrimSpace(name + " (" + email + ")")
}

// silence says what happens without an answer.
func (t *turn) silence(s *AskStep) string {
	switch {
	case s.Matter.Kind == notify.Task && s.Timeout.IsZero():
		return "the workflow waits"
	case s.later(t.cur.Stage) < len(s.Stages):
		return "others are asked instead"
	case s.OnTimeout == "":
		return "the step of the workflow fails"
	}
	return "it counts as " + s.OnTimeout
}

// matterQuestion is what is sent to one reader.
func (t *turn) matterQuestion(s *AskStep, d delivery) (notify.Question, error) {
	p, ok := t.prompt(t.run.StepPath)
	if !ok {
		return notify.Question{}, errors.New("the question's row is gone")
	}
	var m store.PromptMatter
	if err := json.Unmarshal(p.Subject, &m); err != nil {
		return notify.Question{}, fmt.Errorf("the question's row: %w", err)
	}
	q := t.worded(s, p, p.Assignees[d.Assignee])
	q.Matter.Text, q.Matter.Token = m.Text, t.env.token(t.run.Tenant, p.ID)
	if t.cur.Phase == askRemind {
		q.Reminder = t.cur.Reminders
	}
	return q, nil
}

// deliver makes a call that tells people something. That one channel does not
// take it is never what a run stays behind for: whether it came through in the
// end need not be known, as the same question twice does no harm.
func (t *turn) deliver(c callSpec) callOutcome {
	c.onAmbiguous = AmbiguousRetry
	out := t.perform(c)
	if out.pending && t.run.State == store.RunAttention {
		out = callOutcome{reason: t.run.Reason, message: t.run.Message}
		t.unpark()
	}
	return out
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

// settleMatter keeps how it ended and turns to those who were asked.
func (t *turn) settleMatter(end settled) {
	for _, p := range t.prompts {
		if p.StepPath == t.run.StepPath && p.State == store.PromptOpen {
			t.closePrompt(p, store.PromptWithdrawn, end.Message)
		}
	}
	cur := t.cur.fresh(t.cur.Since)
	cur.Stage, cur.Entered, cur.Settled = t.cur.Stage, t.cur.Entered, &end
	t.cur, t.event = cur, event{kind: eventDue}
}

// settleAnswer is settleMatter for a decision.
func (t *turn) settleAnswer(n *node, s *AskStep, d decision) {
	end := settled{decision: d}
	switch d.Source {
	case sourceTimeout:
		end.Message = "nobody answered in time, so it counted as " + d.Answer
	case sourceNoApprover:
		end.Message = "nobody else may answer, so it counted as " + d.Answer
	}
	if p, ok := t.answeredHere(s); ok && d.Source == sourceAnswer {
		// Names stay with the question: messages of runs are shown in status.
		did := "answered"
		if s.Matter.Kind == notify.Approval {
			did = map[string]string{notify.Approve: "approved", notify.Reject: "rejected"}[d.Answer]
		}
		end.Message = fmt.Sprintf("%s; `seatkeeper %s %s` shows by whom", did, lists[s.Matter.Kind], p.ID)
		for _, a := range p.Assignees {
			if d.By == a.AnswerName() {
				end.Email = a.Email
			}
		}
	}
	switch {
	case d.Answer == "":
		end.Failed, end.Message = reasonNoAnswer, "nobody answered in time, and the step has no default"
	case s.Matter.Kind == notify.Approval && d.Answer == notify.Reject && n.step.OnError != OnErrorContinue:
		end.Failed = reasonRejected
	}
	if s.Matter.Kind != notify.Task && d.Answer != "" { // a task that is done decides nothing
		t.vars["decision"] = map[string]any{"answer": d.Answer, "by": d.By, "kind": string(d.Kind), "role": d.Role, "name": d.Name, "reason": d.Reason, "source": d.Source}
	}
	t.settleMatter(end)
}

// askClose tells those who were asked how it ended, and ends the step.
func (t *turn) askClose(n *node, s *AskStep) {
	end := *t.cur.Settled
	var messages []sentMessage
	ours := t.ours(s)
	for _, m := range t.messages() {
		if ours[m.prompt] {
			messages = append(messages, m)
		}
	}
	if !t.replace(t.run.StepPath+"#close", closeReach, messages, func(m sentMessage) notify.Closing { return t.closingMatter(s, end, m.reader) }) {
		return
	}
	if !t.refreshed() { // people take their time
		return
	}
	result := map[string]any{"answer": end.Answer, "source": end.Source, "reason": cmp.Or(end.Failed, end.Source), "message": end.Message}
	if end.Source == sourceAnswer {
		result["by"], result["byName"], result["text"] = end.Email, end.Name, end.Reason
	}
	switch s.Matter.Kind {
	case notify.Approval:
		result["result"], result["approved"] = StepRejected, end.Answer == notify.Approve
		if end.Answer == notify.Approve {
			result["result"] = StepApproved
		}
	case notify.Choice:
		result["result"], result["choice"] = "answered", end.Answer
		if end.Source != sourceAnswer {
			result["result"] = "default"
		}
	case notify.Task:
		result["result"], result["evidence"] = string(ResultDone), end.Reason
	case notify.Notice:
	}
	switch {
	case end.Failed == reasonRejected:
		t.keep(n, result) // for onFailure, and for people
		t.fail(end.Failed, end.Message)
	case end.Failed != "":
		t.failStep(n, end.Failed, end.Message)
	default:
		t.complete(n, result)
	}
}

func (t *turn) closingMatter(s *AskStep, end settled, reader store.Assignee) notify.Closing {
	q := t.worded(s, store.Prompt{}, reader)
	c := notify.Closing{Outcome: notify.Settled, Title: q.Title(), At: t.now, Zone: q.Zone, Detail: end.Message}
	if end.Source == sourceAnswer {
		who := cmp.Or(end.Name, "somebody who was asked")
		if end.By == reader.AnswerName() {
			who = "you"
		}
		c.Detail = who + " answered " + end.Answer
		if end.Reason != "" {
			c.Detail += ": " + end.Reason
		}
	}
	c.Detail = sentence(c.Detail)
	return c
}

// sentence begins with a capital.
func sentence(s string) string {
	r, size := utf8.DecodeRuneInString(s)
	if size == 0 {
		return s
	}
	return string(unicode.ToUpper(r)) + s[size:]
}

// replace updates messages one after the other; it reports that it is through.
// That a message cannot be replaced never fails the run: what it tells of is
// there all the same.
func (t *turn) replace(path string, retry Retry, messages []sentMessage, word func(sentMessage) notify.Closing) bool {
	for t.cur.At < len(messages) {
		m := messages[t.cur.At]
		channel, ok := t.env.channels[m.ref.Kind]
		if !ok {
			t.nextMessage(false)
			continue
		}
		call, err := channel.Update(m.ref, word(m))
		if err != nil {
			t.nextMessage(false)
			continue
		}
		out := t.deliver(callSpec{path: path, loop: t.cur.At, call: call, retry: retry, postedPoint: failpoint.MessageUpdatedNotRecorded})
		if out.pending {
			return false
		}
		t.nextMessage(out.ok)
	}
	return true
}

// whoAnswered is the decision that a recorded answer is.
func whoAnswered(p store.Prompt) decision {
	d := decision{Answer: p.Answer, By: p.AnsweredBy, Kind: model.ActorEmployee, Reason: p.AnswerReason, Source: sourceAnswer}
	for _, a := range p.Assignees {
		switch p.AnsweredBy {
		case "person:" + a.PersonID:
			d.Name, d.Role = a.Name, a.Role
		case "user:" + a.KubernetesUser:
			d.Name, d.Role, d.Kind = a.Name, a.Role, model.ActorUser
		}
	}
	return d
}

// matter compiles what a question, an approval or a task has of expressions.
func (l *linker) matter(n *node, s *AskStep) (err error) {
	kind, ok := map[notify.MatterKind]string{notify.Approval: "approval", notify.Choice: "ask", notify.Task: "delegate"}[s.Matter.Kind]
	field := n.field + "." + kind
	switch {
	case !ok:
		return fmt.Errorf("%s: nobody knows how to ask a %q", n.field, s.Matter.Kind)
	case len(s.Stages) == 0:
		return fmt.Errorf("%s: there is nobody to ask", field)
	case len(s.Options) == 0:
		return fmt.Errorf("%s: there is nothing to choose from", field)
	case s.OnTimeout != "" && !slices.Contains(s.Options, s.OnTimeout):
		return fmt.Errorf("%s: silence counts as %q, which is none of the options", field, s.OnTimeout)
	}
	if s.Matter.Text != "" {
		if n.text, err = l.value(field+".text", s.Matter.Text); err != nil {
			return err
		}
	}
	to := make([]Recipient, len(s.Stages))
	for i, stage := range s.Stages {
		if stage.To == nil {
			return fmt.Errorf("%s: a stage without anybody to ask", field)
		}
		to[i] = *stage.To
	}
	n.to, err = l.recipients(field, to)
	return err
}

// recipients compiles the addresses of those whom a step turns to.
func (l *linker) recipients(field string, to []Recipient) ([]value, error) {
	out := make([]value, len(to))
	for i, r := range to {
		if r.Role != "" {
			continue
		}
		v, err := l.value(fmt.Sprintf("%s.to[%d]", field, i), r.Email)
		if err != nil {
			return nil, err
		}
		out[i] = v
	}
	return out, nil
}

// noChannel says that a question stays with us.
func (s *AskStep) noChannel(does string) string {
	if s.Matter == nil {
		return "no channel of the policy " + does
	}
	return "no channel " + does + "; until one does it can be answered with `seatkeeper " + lists[s.Matter.Kind] + "`"
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
