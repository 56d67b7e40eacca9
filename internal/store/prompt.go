// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package store

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"time"

	"github.com/seatkeeper/seatkeeper/internal/model"
)

// PromptState is where a question stands.
type PromptState string

// Prompt states.
const (
	PromptOpen      PromptState = "open"
	PromptAnswered  PromptState = "answered"
	PromptExpired   PromptState = "expired"   // the declared default applied
	PromptWithdrawn PromptState = "withdrawn" // the question no longer arises
)

// Assignee is a person who may answer, with every identity that proves it is
// them.
type Assignee struct {
	PersonID string `json:"personID"`
	Name     string `json:"name"`
	Role     string `json:"role"` // Person, Manager, AppOwner, …
	Email    string `json:"email,omitempty"`
	TimeZone string `json:"timeZone,omitempty"`
	// SlackUsers is the person's user id in each Slack integration.
	SlackUsers     map[string]string `json:"slackUsers,omitempty"`
	KubernetesUser string            `json:"kubernetesUser,omitempty"`
}

// MessageRef finds a delivered message again.
type MessageRef struct {
	Kind        string            `json:"kind"` // slack, email
	Integration string            `json:"integration,omitempty"`
	PersonID    string            `json:"personID"`
	Ref         map[string]string `json:"ref"` // Slack: channel, ts
	Reminder    bool              `json:"reminder,omitempty"`
}

// Prompt is a question to people. The token that answers it is not stored;
// only its hash is.
type Prompt struct {
	Tenant       model.TenantID  `json:"-"`
	ID           string          `json:"id"`
	RunID        string          `json:"runID"`
	StepPath     string          `json:"stepPath"`
	Stage        int             `json:"stage"`
	Purpose      string          `json:"purpose"`
	TokenHash    string          `json:"-"`
	State        PromptState     `json:"state"`
	Assignees    []Assignee      `json:"assignees"`
	Options      []string        `json:"options"`
	Subject      json.RawMessage `json:"subject,omitempty"` // what the question is about, for lists
	Messages     []MessageRef    `json:"messages,omitempty"`
	ExpiresAt    time.Time       `json:"expiresAt"`
	Answer       string          `json:"answer,omitempty"`
	AnsweredBy   string          `json:"answeredBy,omitempty"` // person id, or Kubernetes user
	AnswerReason string          `json:"answerReason,omitempty"`
	AnsweredAt   *time.Time      `json:"answeredAt,omitempty"`
	ClosedReason string          `json:"closedReason,omitempty"`
	CreatedAt    time.Time       `json:"createdAt"`
}

// PromptMatter is the Subject of a prompt that a user's Workflow opened, for
// lists and pages.
type PromptMatter struct {
	Workflow string `json:"workflow"`
	Title    string `json:"title"`
	Text     string `json:"text,omitempty"`
	About    string `json:"about,omitempty"` // whom the run is about
	Asker    string `json:"asker"`
	Why      string `json:"why"`
	// Evidence of a task is Optional or Required.
	Evidence string `json:"evidence,omitempty"`
	Silence  string `json:"silence"` // what happens without an answer
}

// Purposes of the prompts of users' Workflows.
const (
	PromptApproval = "approval"
	PromptQuestion = "question"
	PromptTask     = "task"
)

// OutcomeUndelivered marks a run that could not tell everybody whom it should.
const OutcomeUndelivered = "undelivered"

// EvidenceRequired is the evidence of a task that is not done without.
const EvidenceRequired = "Required"

// MaxAnswerText bounds the reason or the evidence with an answer, in characters.
const MaxAnswerText = 2000

// needsText reports a task that is not done without evidence.
func (p Prompt) needsText() bool {
	var m PromptMatter
	return p.Purpose == PromptTask && json.Unmarshal(p.Subject, &m) == nil && m.Evidence == EvidenceRequired
}

// HashPromptToken is what is stored of a prompt's token.
func HashPromptToken(token string) string {
	sum := sha256.Sum256([]byte("seatkeeper-prompt\n" + token))
	return hex.EncodeToString(sum[:])
}

// AskedOf reports somebody who may answer.
func (p Prompt) AskedOf(id Identity) bool {
	_, ok := p.assignee(id)
	return ok
}
