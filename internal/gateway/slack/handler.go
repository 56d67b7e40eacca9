// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

// Package slack receives what Slack sends when a person presses a button under
// a question of ours.
//
// A request is verified over its raw bytes, committed to the inbox, and only
// then acknowledged; Slack waits three seconds. The answer itself is decided
// by the store in one transaction, which knows who was asked.
package slack

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"time"

	"k8s.io/utils/clock"

	"github.com/seatkeeper/seatkeeper/internal/defect"
	"github.com/seatkeeper/seatkeeper/internal/gateway/access"
	"github.com/seatkeeper/seatkeeper/internal/model"
	"github.com/seatkeeper/seatkeeper/internal/store"
)

const (
	maxBody = 1 << 20
	// answerBudget leaves the rest of Slack's three seconds for the commit
	// before it and the network.
	answerBudget = 1500 * time.Millisecond
	replyTimeout = 10 * time.Second
	// endpointPrefix begins the inbox endpoint of a workspace's callbacks.
	endpointPrefix = "slack/"
)

// Inbox keeps received events.
type Inbox interface {
	ReceiveEvent(ctx context.Context, e store.Event) (string, error)
	FinishEvent(ctx context.Context, tenant model.TenantID, id, deadReason string) error
}

// Directory finds the tenant and signing secret of a workspace. Both return
// store.ErrNotFound for one that does not exist.
type Directory interface {
	TenantByNamespace(ctx context.Context, namespace string) (model.TenantID, error)
	SigningSecret(ctx context.Context, tenant model.TenantID, integration string) ([]byte, error)
}

// Answer is a pressed button: who pressed which choice under which question.
type Answer struct {
	Integration string
	TeamID      string
	UserID      string
	Token       string
	Choice      string
	Text        string // written beside the button: a reason, or evidence
}

// Answers decides what an answer does. The text is for the person who pressed
// the button; empty if the message itself will be updated.
type Answers interface {
	AnswerFromSlack(ctx context.Context, tenant model.TenantID, a Answer) (text string, err error)
}

// Replier sends a text that only the person who pressed the button sees.
type Replier interface {
	Reply(ctx context.Context, responseURL, text string) error
}

// Handler serves POST /slack/interactions/{namespace}/{integration}.
type Handler struct {
	Inbox     Inbox
	Directory Directory
	Answers   Answers
	Replier   Replier
	Clock     clock.PassiveClock
	Log       *slog.Logger

	replies sync.WaitGroup
}

// Drain waits for replies that are being sent.
func (h *Handler) Drain() { h.replies.Wait() }

// Register adds the handler's route.
func (h *Handler) Register(mux access.Mux) {
	mux.HandleFunc("POST /slack/interactions/{namespace}/{integration}", h.serve)
}

func (h *Handler) serve(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	if err != nil {
		http.Error(w, "the body is larger than 1 MiB or was cut off", http.StatusRequestEntityTooLarge)
		return
	}
	integration := r.PathValue("integration")
	tenant, secret, err := h.secret(r.Context(), r.PathValue("namespace"), integration)
	if err != nil {
		h.unavailable(w, "look up the workspace", err)
		return
	}
	if len(secret) > 0 {
		note := access.NoteOf(r.Context())
		note.Tenant, note.ObjectKind, note.ObjectName = tenant, "Integration", integration
	}
	// A workspace that does not exist has no secret and fails here like a
	// forged signature does.
	if err := verify(secret, body, r.Header, h.Clock.Now()); err != nil {
		http.Error(w, err.Error(), http.StatusUnauthorized)
		return
	}
	event := store.Event{Tenant: tenant, Endpoint: endpointPrefix + integration, DedupeKey: dedupeKey(r.Header), Body: body}
	event.ID, err = h.Inbox.ReceiveEvent(r.Context(), event)
	if errors.Is(err, store.ErrDuplicate) {
		http.Error(w, errSignature.Error(), http.StatusUnauthorized) // a replay of a request that was answered
		return
	}
	if err != nil {
		h.unavailable(w, "commit the event", err)
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(r.Context()), answerBudget)
	defer cancel()
	if err := h.Process(ctx, event); err != nil {
		// The event is durable: the manager will handle it.
		h.Log.Warn("An answer from Slack was stored and will be handled later", "integration", integration, "event", event.ID, "error", err)
	}
	w.WriteHeader(http.StatusOK)
}

// secret returns no error and no secret for a workspace that does not exist.
func (h *Handler) secret(ctx context.Context, namespace, integration string) (model.TenantID, []byte, error) {
	tenant, err := h.Directory.TenantByNamespace(ctx, namespace)
	if errors.Is(err, store.ErrNotFound) {
		return 0, nil, nil
	}
	if err != nil {
		return 0, nil, err
	}
	secret, err := h.Directory.SigningSecret(ctx, tenant, integration)
	if errors.Is(err, store.ErrNotFound) {
		return tenant, nil, nil
	}
	return tenant, secret, err
}

// Handles reports whether Process understands the event.
func Handles(e store.Event) bool { return strings.HasPrefix(e.Endpoint, endpointPrefix) }

// Process applies a committed event and marks it handled. It may run again
// after a crash: the store lets an answer count once.
func (h *Handler) Process(ctx context.Context, e store.Event) error {
	c, err := parseClick(e.Body)
	switch {
	case errors.Is(err, errNotAnswer):
		return h.Inbox.FinishEvent(ctx, e.Tenant, e.ID, "")
	case err != nil:
		return h.Inbox.FinishEvent(ctx, e.Tenant, e.ID, err.Error())
	}
	text, err := h.Answers.AnswerFromSlack(ctx, e.Tenant, Answer{
		Integration: strings.TrimPrefix(e.Endpoint, endpointPrefix),
		TeamID:      c.TeamID, UserID: c.UserID, Token: c.Token, Choice: c.Choice, Text: c.Text,
	})
	if err != nil {
		return err
	}
	if text != "" && c.ResponseURL != "" {
		h.reply(ctx, c.ResponseURL, text, e.ID)
	}
	return h.Inbox.FinishEvent(ctx, e.Tenant, e.ID, "")
}

func (h *Handler) reply(ctx context.Context, responseURL, text, event string) {
	h.replies.Add(1)
	go func() {
		defer h.replies.Done()
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), replyTimeout)
		defer cancel()
		if err := defect.Guard(func() error { return h.Replier.Reply(ctx, responseURL, text) }); err != nil {
			h.Log.Warn("A reply to a person in Slack was not delivered", append([]any{"event", event}, defect.Attrs(err)...)...)
		}
	}()
}

func (h *Handler) unavailable(w http.ResponseWriter, what string, err error) {
	h.Log.Error("The gateway could not "+what, "error", err)
	w.Header().Set("Retry-After", "5")
	http.Error(w, "temporarily unavailable; nothing was lost or changed", http.StatusServiceUnavailable)
}
