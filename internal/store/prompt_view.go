// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package store

import (
	"context"
	"fmt"

	"github.com/seatkeeper/seatkeeper/internal/model"
)

// PromptView is a prompt as one who was asked finds it.
type PromptView struct {
	Prompt Prompt
	// Run that waits for the answer.
	Run Run
	// Open says that an answer would count.
	Open bool
}

// AskedPrompt reads a prompt and changes nothing. It returns ErrNotFound for one
// that is not there.
func (s *Store) AskedPrompt(ctx context.Context, tenant model.TenantID, id string) (PromptView, error) {
	prompts, err := collect(ctx, s.reads, scanPrompt, `SELECT `+promptColumns+` FROM prompt p WHERE p.tenant = $1 AND p.id = $2`, tenant, id)
	if err != nil {
		return PromptView{}, fmt.Errorf("read prompt %s: %w", id, err)
	}
	if len(prompts) == 0 {
		return PromptView{}, fmt.Errorf("prompt %s: %w", id, ErrNotFound)
	}
	v := PromptView{Prompt: prompts[0]}
	runs, err := collect(ctx, s.reads, scanRun, `SELECT `+runColumns+` FROM run r WHERE r.tenant = $1 AND r.id = $2`, tenant, v.Prompt.RunID)
	if err != nil {
		return PromptView{}, fmt.Errorf("read the run of prompt %s: %w", id, err)
	}
	if len(runs) == 0 {
		return PromptView{}, fmt.Errorf("the run of prompt %s: %w", id, ErrNotFound)
	}
	v.Run = runs[0]
	v.Open = v.Prompt.State == PromptOpen && v.Prompt.ExpiresAt.UnixMilli() > s.now() && !v.Run.State.Ended()
	return v, nil
}

// Instead says to who was asked what happened to a question that takes no
// answer any more.
func (v PromptView) Instead(who Assignee) string {
	p := v.Prompt
	switch {
	case p.State == PromptAnswered && p.AnsweredBy == who.AnswerName():
		return "Your answer is recorded: " + p.Answer + "."
	case p.State == PromptAnswered:
		return "Somebody else who was asked has answered: " + p.Answer + "."
	case p.State == PromptOpen && v.Run.State.Ended():
		return "The question is closed: " + orDefault(v.Run.Message, "the run has ended") + "."
	}
	return "The question is closed: " + orDefault(p.ClosedReason, "its time has passed and the declared default applies") + "."
}
