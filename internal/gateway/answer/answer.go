// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

// Package answer serves the page on which people answer a question that they
// were sent by e-mail. The address of the page is a credential: it is signed,
// stands for one addressee and one question, and takes one answer. Loading the
// page decides nothing, because programs that look into mail load it too.
package answer

import (
	"context"
	"errors"
	"log/slog"
	"mime"
	"net/http"
	"slices"

	"github.com/seatkeeper/seatkeeper/internal/answerlink"
	"github.com/seatkeeper/seatkeeper/internal/gateway/access"
	"github.com/seatkeeper/seatkeeper/internal/gateway/page"
	"github.com/seatkeeper/seatkeeper/internal/model"
	"github.com/seatkeeper/seatkeeper/internal/notify"
	"github.com/seatkeeper/seatkeeper/internal/store"
	"github.com/seatkeeper/seatkeeper/internal/workflow"
)

// maxForm bounds what is posted: a choice and a text.
const maxForm = 64 << 10

// Store keeps questions. Nothing else is asked, so that a person can answer
// while neither manager nor API server is there.
type Store interface {
	AskedPrompt(ctx context.Context, tenant model.TenantID, id string) (store.PromptView, error)
	AnswerPrompt(ctx context.Context, tenant model.TenantID, r store.AnswerRequest) (store.AnswerOutcome, error)
}

// Handler serves the pages.
type Handler struct {
	Store   Store
	Keys    answerlink.Keys
	Limiter page.Limiter
	Log     *slog.Logger
}

// Register adds the routes.
func (h *Handler) Register(mux access.Mux) {
	mux.HandleFunc("GET "+answerlink.Path+"{token}", page.Handler(h.Limiter, h.signed, h.show))
	mux.HandleFunc("POST "+answerlink.Path+"{token}", page.Handler(h.Limiter, h.signed, h.answer))
}

// signed reports a link that was made here.
func (h *Handler) signed(r *http.Request) bool {
	_, ok := h.Keys.Open(r.PathValue("token"))
	return ok
}

// asked is a question and the one who follows its link.
type asked struct {
	link   answerlink.Link
	view   store.PromptView
	reader store.Assignee
}

// open finds the question that a link leads to. A link that nobody signed is
// answered like one whose question is gone.
func (h *Handler) open(w http.ResponseWriter, r *http.Request) (asked, bool) {
	a := asked{}
	var ok bool
	if a.link, ok = h.Keys.Open(r.PathValue("token")); !ok {
		h.unknown(w)
		return a, false
	}
	var err error
	a.view, err = h.Store.AskedPrompt(r.Context(), a.link.Tenant, a.link.PromptID)
	switch {
	case errors.Is(err, store.ErrNotFound):
		h.unknown(w)
		return a, false
	case err != nil:
		h.unavailable(w, err)
		return a, false
	}
	i := slices.IndexFunc(a.view.Prompt.Assignees, func(p store.Assignee) bool {
		return a.link.IsFor(answerlink.Addressee{PersonID: p.PersonID, Email: p.Email})
	})
	if i < 0 {
		h.stranger(w, r, a)
		return a, false
	}
	a.reader = a.view.Prompt.Assignees[i]
	return a, true
}

// stranger turns away who was asked before and is not any more: an attempt to
// answer is told who can, and audited (decision 15).
func (h *Handler) stranger(w http.ResponseWriter, r *http.Request, a asked) {
	text := "It is asked of somebody else now, or was sent to an address that is no longer yours. Nothing was changed."
	if r.Method == http.MethodPost {
		out, err := h.Store.AnswerPrompt(r.Context(), a.link.Tenant, store.AnswerRequest{PromptID: a.link.PromptID})
		if err != nil {
			h.unavailable(w, err)
			return
		}
		if out.Status == store.AnswerWrongPerson {
			text = out.Message
		}
	}
	page.Say(w, http.StatusGone, "This question is no longer yours", text)
}

func (h *Handler) unknown(w http.ResponseWriter) {
	page.Say(w, http.StatusNotFound, "This link is not known", "It may have been cut off on its way: copy it whole. Or the question is older than what is kept. Nothing was changed.")
}

func (h *Handler) unavailable(w http.ResponseWriter, err error) {
	h.Log.Error("A page that asks a person failed", "error", err)
	w.Header().Set("Retry-After", "5")
	page.Say(w, http.StatusServiceUnavailable, "Not available at the moment", "Nothing was changed. Load this page again in a moment.")
}

// closed says what happened instead of an answer (decision 15).
func (h *Handler) closed(w http.ResponseWriter, a asked, more ...string) {
	text := append([]string{a.view.Instead(a.reader)}, more...)
	if run := a.view.Run; run.State.Ended() && run.Message != "" && run.Message != a.view.Prompt.ClosedReason {
		text = append(text, "What came of it: "+run.Message+".")
	}
	if q, ok := workflow.QuestionOf(a.view.Prompt, a.reader); ok {
		text = append(text, "It was about: "+q.Title())
		if q.Contact != "" {
			text = append(text, "Questions: "+q.Contact)
		}
	}
	page.Say(w, http.StatusGone, "This question takes no answer any more", text...)
}

// show asks the question. It changes nothing, however often it is loaded.
func (h *Handler) show(w http.ResponseWriter, r *http.Request) {
	a, ok := h.open(w, r)
	if !ok {
		return
	}
	if !a.view.Open {
		h.closed(w, a)
		return
	}
	h.ask(w, http.StatusOK, a, given{})
}

// given is what was sent and not taken, and why.
type given struct{ choice, text, wrong string }

func (h *Handler) ask(w http.ResponseWriter, code int, a asked, g given) {
	q, ok := workflow.QuestionOf(a.view.Prompt, a.reader)
	prompts := q.Prompts()
	i := slices.IndexFunc(prompts, func(p notify.Prompt) bool { return p.ID == a.view.Prompt.ID })
	if !ok || i < 0 {
		h.Log.Error("A question was not kept in words", "prompt", a.view.Prompt.ID)
		page.Say(w, http.StatusConflict, "This question cannot be shown here", "Answer it on the command line, or ask who sent the link. Nothing was changed.")
		return
	}
	page.Render(w, code, questionPage, formOf(q, prompts[i], a.view.Prompt, g))
}

// answer takes the answer, once.
func (h *Handler) answer(w http.ResponseWriter, r *http.Request) {
	a, ok := h.open(w, r)
	if !ok {
		return
	}
	// The link is the only credential, so that a page elsewhere that has it
	// could as well send the form without a browser: there is nothing to forge.
	if mediaType, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type")); mediaType != "application/x-www-form-urlencoded" {
		page.Say(w, http.StatusUnsupportedMediaType, "Not from this page", "The answer has to be sent with the form of this page. Nothing was changed.")
		return
	}
	r.Body = http.MaxBytesReader(w, r.Body, maxForm)
	if err := r.ParseForm(); err != nil {
		page.Say(w, http.StatusRequestEntityTooLarge, "Too large", "What was sent is larger than any answer, or was cut off. Nothing was changed.")
		return
	}
	g := given{choice: r.PostForm.Get(fieldChoice), text: r.PostForm.Get(fieldText)}
	out, err := h.Store.AnswerPrompt(r.Context(), a.link.Tenant, store.AnswerRequest{
		PromptID: a.link.PromptID, Actor: store.Identity{Email: a.reader.Email}, Choice: g.choice, Reason: g.text,
	})
	if err != nil {
		h.unavailable(w, err)
		return
	}
	switch out.Status {
	case store.AnswerAccepted:
		page.Say(w, http.StatusOK, "Thank you, your answer is recorded", out.Message, "This link has done its work; you can close the page.")
	case store.AnswerAlready, store.AnswerLate:
		a.view.Prompt = out.Prompt
		h.closed(w, a, "What you sent now changed nothing.")
	case store.AnswerUnknown, store.AnswerWrongPerson: // gone since it was found
		h.unknown(w)
	case store.AnswerInvalidChoice:
		g.wrong = "Choose one of the answers."
		h.ask(w, http.StatusUnprocessableEntity, a, g)
	default:
		g.wrong = out.Message
		h.ask(w, http.StatusUnprocessableEntity, a, g)
	}
}
