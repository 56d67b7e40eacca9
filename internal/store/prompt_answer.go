// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/seatkeeper/seatkeeper/internal/failpoint"
	"github.com/seatkeeper/seatkeeper/internal/model"
)

// Identity is who the caller proved to be. Only what was authenticated is set:
// the Slack user of a signed request, the addressee of a signed link, the
// Kubernetes user of a token.
type Identity struct {
	SlackIntegration, SlackUserID string
	Email                         string
	KubernetesUser                string
}

// AnswerRequest answers a prompt.
type AnswerRequest struct {
	Token    string
	PromptID string // names the prompt where the caller is authenticated otherwise; empty with a token
	Actor    Identity
	Choice   string
	Reason   string // or the evidence of a task: a text, or a link
}

// AnswerStatus is what came of an answer.
type AnswerStatus string

// Answer statuses. Only Accepted changed anything.
const (
	AnswerAccepted      AnswerStatus = "Accepted"
	AnswerAlready       AnswerStatus = "AlreadyAnswered"
	AnswerWrongPerson   AnswerStatus = "WrongPerson"
	AnswerLate          AnswerStatus = "Late"
	AnswerUnknown       AnswerStatus = "Unknown"
	AnswerInvalidChoice AnswerStatus = "InvalidChoice"
	AnswerNeedsText     AnswerStatus = "NeedsText"   // a task that is done only with evidence
	AnswerTextTooLong   AnswerStatus = "TextTooLong" // it is kept as given, or not at all
)

// AnswerOutcome says what came of an answer, in words for the person who gave
// it.
type AnswerOutcome struct {
	Status  AnswerStatus
	Message string
	Prompt  Prompt // zero when Unknown
}

// AnswerPrompt records an answer, wakes the run and writes the audit record in
// one transaction. Repeating an answer is free: the second one is told that
// the first counted. Nobody but an assignee is heard (decision 15).
func (s *Store) AnswerPrompt(ctx context.Context, tenant model.TenantID, r AnswerRequest) (AnswerOutcome, error) {
	var out AnswerOutcome
	err := s.write(ctx, func(tx *sql.Tx) error {
		out = AnswerOutcome{}
		p, err := s.findPrompt(ctx, tx, tenant, r)
		if errors.Is(err, ErrNotFound) {
			out = AnswerOutcome{Status: AnswerUnknown, Message: "This question is not known here. It may be older than what is kept; nothing was changed."}
			return nil
		}
		if err != nil {
			return err
		}
		run, err := s.lockRun(ctx, tx, tenant, p.RunID) // before the prompt: the engine locks in this order
		if err != nil {
			return err
		}
		if p, err = s.lockPrompt(ctx, tx, tenant, p.ID); err != nil {
			return err
		}
		out.Prompt = p
		return s.decideAnswer(ctx, tx, run, r, &out)
	})
	if err != nil {
		return AnswerOutcome{}, fmt.Errorf("answer prompt: %w", err)
	}
	if out.Status == AnswerAccepted {
		s.wakeEngine()
	}
	return out, nil
}

func (s *Store) decideAnswer(ctx context.Context, tx *sql.Tx, run Run, r AnswerRequest, out *AnswerOutcome) error {
	p := out.Prompt
	who, ok := p.assignee(r.Actor)
	if !ok {
		out.Status, out.Message = AnswerWrongPerson, "This question is not yours to answer. "+p.whoCanAnswer()+" Nothing was changed."
		return s.auditAnswer(ctx, tx, run, p, r.Actor, r.Actor.auditName(), model.ActorUser, "prompt.refuse", "not an assignee", "refused")
	}
	switch {
	case p.State == PromptAnswered && p.AnsweredBy == who.AnswerName():
		out.Status, out.Message = AnswerAlready, "Your answer is recorded already: "+p.Answer+"."
		return nil
	case p.State == PromptAnswered:
		out.Status, out.Message = AnswerAlready, "This question was answered already: "+p.Answer+"."
		return nil
	case p.State != PromptOpen || p.ExpiresAt.UnixMilli() <= s.now():
		out.Status, out.Message = AnswerLate, "This question is closed: "+orDefault(p.ClosedReason, "its time has passed and the declared default applies")+". Your answer changed nothing."
		return nil
	case run.State.Ended():
		out.Status, out.Message = AnswerLate, "This question is closed: "+orDefault(run.Message, "the run has ended")+". Your answer changed nothing."
		return nil
	case !slices.Contains(p.Options, r.Choice):
		out.Status, out.Message = AnswerInvalidChoice, fmt.Sprintf("%q is not among the answers: %s.", r.Choice, strings.Join(p.Options, ", "))
		return nil
	case p.needsText() && strings.TrimSpace(r.Reason) == "":
		out.Status, out.Message = AnswerNeedsText, "This task is done only with evidence: a text, or a link that shows it. Nothing was changed."
		return nil
	case utf8.RuneCountInString(r.Reason) > MaxAnswerText:
		out.Status, out.Message = AnswerTextTooLong, fmt.Sprintf("The text has more than %d characters. Nothing was changed.", MaxAnswerText)
		return nil
	}
	now := s.now()
	if _, err := tx.ExecContext(ctx, `UPDATE prompt SET state = 'answered', answer = $1, answered_by = $2, answer_reason = $3, answered_at = $4
		WHERE tenant = $5 AND id = $6`, r.Choice, who.AnswerName(), r.Reason, now, run.Tenant, p.ID); err != nil {
		return fmt.Errorf("record the answer: %w", err)
	}
	// A run with a call in flight finds the answer when it records the outcome.
	if _, err := tx.ExecContext(ctx, `UPDATE run SET state = 'ready', due_at = $1, version = version + 1 WHERE tenant = $2 AND id = $3 AND state IN ('ready', 'waiting')`,
		now, run.Tenant, run.ID); err != nil {
		return fmt.Errorf("wake the run: %w", err)
	}
	failpoint.Hit(failpoint.AnswerBeforeCommit)
	out.Prompt.State, out.Prompt.Answer, out.Prompt.AnsweredBy = PromptAnswered, r.Choice, who.AnswerName()
	out.Status, out.Message = AnswerAccepted, "Recorded: "+r.Choice+"."
	kind := model.ActorEmployee
	if r.Actor.KubernetesUser != "" {
		kind = model.ActorUser
	}
	return s.auditAnswer(ctx, tx, run, p, r.Actor, who.AnswerName(), kind, "prompt.answer", r.Reason, r.Choice)
}

func (s *Store) auditAnswer(ctx context.Context, tx *sql.Tx, run Run, p Prompt, by Identity, actor string, kind model.ActorKind, action, reason, result string) error {
	return s.appendAudit(ctx, tx, run.Tenant, model.AuditRecord{Actor: actor, ActorKind: kind, Action: action, ObjectKind: run.Kind, ObjectName: run.Name,
		PersonID: run.PersonID, Reason: reason, Cause: run.Cause, RunID: run.ID, Result: result, Detail: map[string]string{"prompt": p.ID, "purpose": p.Purpose, "via": by.via()}})
}

func (s *Store) findPrompt(ctx context.Context, tx *sql.Tx, tenant model.TenantID, r AnswerRequest) (Prompt, error) {
	column, value := "token_hash", HashPromptToken(r.Token)
	if r.Token == "" {
		column, value = "id", r.PromptID
	}
	prompts, err := collect(ctx, tx, scanPrompt, `SELECT `+promptColumns+` FROM prompt p WHERE p.tenant = $1 AND p.`+column+` = $2`, tenant, value)
	if err != nil {
		return Prompt{}, fmt.Errorf("find the prompt: %w", err)
	}
	if len(prompts) == 0 {
		return Prompt{}, fmt.Errorf("prompt: %w", ErrNotFound)
	}
	return prompts[0], nil
}

func (s *Store) lockPrompt(ctx context.Context, tx *sql.Tx, tenant model.TenantID, id string) (Prompt, error) {
	prompts, err := collect(ctx, tx, scanPrompt, `SELECT `+promptColumns+` FROM prompt p WHERE p.tenant = $1 AND p.id = $2`+s.dialect.forUpdate, tenant, id)
	if err != nil || len(prompts) == 0 {
		return Prompt{}, fmt.Errorf("lock prompt %s: %w", id, errors.Join(err, ErrNotFound))
	}
	return prompts[0], nil
}

// assignee returns the assignee whom the identity proves.
func (p Prompt) assignee(id Identity) (Assignee, bool) {
	for _, a := range p.Assignees {
		switch {
		case id.SlackUserID != "" && a.SlackUsers[id.SlackIntegration] == id.SlackUserID,
			id.Email != "" && strings.EqualFold(id.Email, a.Email),
			id.KubernetesUser != "" && strings.EqualFold(id.KubernetesUser, a.KubernetesUser):
			return a, true
		}
	}
	return Assignee{}, false
}

func (p Prompt) whoCanAnswer() string {
	names := make([]string, len(p.Assignees))
	for i, a := range p.Assignees {
		names[i] = a.Name
	}
	return "It was asked of " + strings.Join(names, " or ") + ", who can answer it."
}

// AnswerName is how audit names the assignee without identifying them.
func (a Assignee) AnswerName() string {
	if a.PersonID != "" {
		return "person:" + a.PersonID
	}
	return "user:" + a.KubernetesUser
}

// via names how the caller proved who they are.
func (id Identity) via() string {
	switch {
	case id.KubernetesUser != "":
		return "cluster identity"
	case id.SlackUserID != "":
		return "Slack"
	}
	return "e-mail link"
}

// auditName names a stranger by the identity that was authenticated, which is
// not one of a person in the inventory.
func (id Identity) auditName() string {
	switch {
	case id.KubernetesUser != "":
		return "user:" + id.KubernetesUser
	case id.SlackUserID != "":
		return "slack:" + id.SlackUserID
	}
	return "email:addressee"
}
