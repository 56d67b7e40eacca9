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

	"github.com/seatkeeper/seatkeeper/internal/notify"
	"github.com/seatkeeper/seatkeeper/internal/store"
)

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
		Workflow: t.run.Name, Title: q.Title(), Text: text, About: t.about(store.Assignee{}), Asker: q.Asker, Why: q.Why, Evidence: s.Matter.Evidence, Silence: q.Matter.Silence,
	}, t.run.PersonID, q})
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
	PersonID string          `json:"personID,omitempty"` // whom the run is about
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
