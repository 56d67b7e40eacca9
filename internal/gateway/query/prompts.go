// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package query

import (
	"context"
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/seatkeeper/seatkeeper/internal/gateway/access"
	"github.com/seatkeeper/seatkeeper/internal/model"
	"github.com/seatkeeper/seatkeeper/internal/notify"
	"github.com/seatkeeper/seatkeeper/internal/store"
	"github.com/seatkeeper/seatkeeper/internal/workflow"
)

// PromptStore reads what people are asked, and takes their answers.
type PromptStore interface {
	ListPrompts(ctx context.Context, t model.TenantID, f store.PromptFilter) ([]store.Prompt, error)
	AskedPrompt(ctx context.Context, t model.TenantID, id string) (store.PromptView, error)
	AnswerPrompt(ctx context.Context, t model.TenantID, r store.AnswerRequest) (store.AnswerOutcome, error)
}

// Asked is an approval, a question or a task, as people read it.
type Asked struct {
	ID    string `json:"id"`
	Title string `json:"title"`
	State string `json:"state"` // open, answered, expired, withdrawn
	// Of is the LicensePolicy or Workflow that asks.
	Of        string        `json:"of"`
	About     string        `json:"about,omitempty"`
	AskedOf   []AskedPerson `json:"askedOf"`
	Options   []string      `json:"options"`
	Evidence  string        `json:"evidence,omitempty"` // of a task: Optional, Required
	Deadline  *time.Time    `json:"deadline,omitempty"`
	CreatedAt time.Time     `json:"createdAt"`
	RunID     string        `json:"runID"`
	// Text is what was asked, with who asks and why; of one question only.
	Text       string     `json:"text,omitempty"`
	Answer     string     `json:"answer,omitempty"`
	AnsweredBy string     `json:"answeredBy,omitempty"`
	AnsweredAt *time.Time `json:"answeredAt,omitempty"`
	// AnswerText is the reason, or the evidence.
	AnswerText string `json:"answerText,omitempty"`
	// Closed says why a question takes no answer that got none.
	Closed string `json:"closed,omitempty"`
	// Sent are the messages that were delivered.
	Sent []SentMessage `json:"sent,omitempty"`
}

// AskedPerson is somebody who may answer.
type AskedPerson struct {
	Name  string `json:"name"`
	Email string `json:"email,omitempty"`
	Role  string `json:"role,omitempty"`
}

// SentMessage is a delivered message.
type SentMessage struct {
	Channel     string `json:"channel"`
	Integration string `json:"integration,omitempty"`
	Reminder    bool   `json:"reminder,omitempty"`
}

// promptLists are the resources by which prompts are listed.
var promptLists = map[string][]string{
	"approvals": {store.PromptApproval},
	"reviews":   {store.PromptQuestion, workflow.PurposeSeatKeep, workflow.PurposeSeatEscalation},
	"tasks":     {store.PromptTask},
}

func askedView(p store.Prompt) Asked {
	v := Asked{
		ID: p.ID, Title: p.Purpose, State: string(p.State), Options: p.Options, CreatedAt: p.CreatedAt, RunID: p.RunID, AskedOf: []AskedPerson{},
		Answer: p.Answer, AnsweredAt: p.AnsweredAt, AnswerText: p.AnswerReason, Closed: p.ClosedReason,
	}
	for _, a := range p.Assignees {
		v.AskedOf = append(v.AskedOf, AskedPerson{Name: a.Name, Email: a.Email, Role: a.Role})
		if p.AnsweredBy == a.AnswerName() {
			v.AnsweredBy = a.Name
		}
	}
	for _, m := range p.Messages {
		v.Sent = append(v.Sent, SentMessage{Channel: m.Kind, Integration: m.Integration, Reminder: m.Reminder})
	}
	var m store.PromptMatter
	if json.Unmarshal(p.Subject, &m) == nil {
		v.About, v.Evidence = m.About, m.Evidence
	}
	if len(p.Assignees) == 0 {
		return v
	}
	if q, ok := workflow.QuestionOf(p, p.Assignees[0]); ok {
		v.Title, v.Of, v.Text = q.Title(), q.Policy, notify.Text(q)
		if !q.Deadline.IsZero() {
			v.Deadline = &q.Deadline
		}
	}
	return v
}

// prompts lists what the caller is asked; all=true lists what anybody is.
func (a *API) prompts(list string) func(*call) (any, error) {
	return func(c *call) (any, error) {
		states, err := oneOf(c, "state", store.PromptOpen, store.PromptAnswered, store.PromptExpired, store.PromptWithdrawn)
		if err != nil {
			return nil, err
		}
		f := store.PromptFilter{Purposes: promptLists[list], User: c.user, State: store.PromptOpen, Before: c.query.Get("continue"), Limit: c.limit}
		if len(states) > 0 {
			f.State = states[0]
		}
		if c.query.Get("all") == "true" {
			if err := a.mayReadRuns(c); err != nil {
				return nil, err
			}
			f.User = ""
		}
		found, err := a.Store.ListPrompts(c, c.tenant, f)
		if err != nil {
			return nil, err
		}
		views := make([]Asked, len(found))
		for i, p := range found {
			views[i] = askedView(p)
			views[i].Text = ""
		}
		return page("PromptList", views, c.next(len(views), func(i int) string { return views[i].ID })), nil
	}
}

// mayReadRuns lets those look at what others are asked who may read the runs
// that ask it.
func (a *API) mayReadRuns(c *call) error {
	_, err := access.Authorise(a.Guard, c.request, access.Request{Verb: "list", Namespace: c.namespace, Resource: "runs"})
	return err
}

// onList reads a prompt of the list. Others than those who were asked are told
// that it is there only if they may read runs.
func (a *API) onList(c *call, list string) (store.Prompt, error) {
	v, err := a.Store.AskedPrompt(c, c.tenant, c.path("name"))
	if err != nil {
		return store.Prompt{}, err
	}
	if !slices.Contains(promptLists[list], v.Prompt.Purpose) {
		return store.Prompt{}, notFound("there is no %s of this id: `seatkeeper %s` lists those that you are asked", strings.TrimSuffix(list, "s"), list)
	}
	return v.Prompt, nil
}

func (a *API) prompt(list string) func(*call) (any, error) {
	return func(c *call) (any, error) {
		p, err := a.onList(c, list)
		if err != nil {
			return nil, err
		}
		if !p.AskedOf(store.Identity{KubernetesUser: c.user}) {
			if err := a.mayReadRuns(c); err != nil {
				return nil, err
			}
		}
		return askedView(p), nil
	}
}

// Decided says what came of an answer.
type Decided struct {
	Asked
	Message string `json:"message"`
}

// decide takes the caller's answer. Only who was asked is heard, whatever a
// role allows (decision 15).
func (a *API) decide(list string) func(*call) (any, error) {
	return func(c *call) (any, error) {
		var in struct {
			Choice string `json:"choice"`
			Text   string `json:"text"`
		}
		if err := c.decode(&in); err != nil {
			return nil, err
		}
		p, err := a.onList(c, list)
		if err != nil {
			return nil, err
		}
		out, err := a.Store.AnswerPrompt(c, c.tenant, store.AnswerRequest{PromptID: p.ID, Actor: store.Identity{KubernetesUser: c.user}, Choice: in.Choice, Reason: in.Text})
		if err != nil {
			return nil, err
		}
		switch out.Status {
		case store.AnswerAccepted:
		case store.AnswerWrongPerson:
			return nil, access.Refuse(http.StatusForbidden, "%s", out.Message)
		case store.AnswerUnknown:
			return nil, notFound("%s", out.Message)
		case store.AnswerInvalidChoice, store.AnswerNeedsText, store.AnswerTextTooLong:
			return nil, badRequest("%s", out.Message)
		default:
			return nil, conflict("%s", out.Message)
		}
		v, err := a.Store.AskedPrompt(c, c.tenant, p.ID)
		if err != nil {
			return nil, err
		}
		return Decided{askedView(v.Prompt), out.Message}, nil
	}
}
