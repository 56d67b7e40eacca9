// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package webhook

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/seatkeeper/seatkeeper/internal/connector"
	"github.com/seatkeeper/seatkeeper/internal/gateway/access"
	"github.com/seatkeeper/seatkeeper/internal/model"
	"github.com/seatkeeper/seatkeeper/internal/store"
	"github.com/seatkeeper/seatkeeper/internal/tokens"
)

// Tested is the answer to a test delivery: what the body has, and no more than
// its sender knows.
type Tested struct {
	Test    bool         `json:"test"`
	Message string       `json:"message"`
	Paths   []TestedPath `json:"paths"`
}

// TestedPath is a path of a body with its type.
type TestedPath struct {
	Path string `json:"path"`
	Type string `json:"type"`
}

// test takes a delivery that starts nothing: it is verified as any, and learned
// from. It never comes near the inbox, so that nothing can replay it.
func (h *Handler) test(w http.ResponseWriter, r *http.Request) {
	t, _, received, err := h.receive(w, r)
	switch {
	case err != nil:
	case t.OwnerKind != ownerWorkflow:
		err = errUnknown
	case received.Answer != nil:
		err = access.Refuse(http.StatusBadRequest, "this is a request of set-up and no event: send it to the address itself")
	case h.Tokens != nil:
		_, err = tokens.Teach(r.Context(), h.Tokens, t.Tenant, t.OwnerName, tokens.Body{Value: received.Body, At: h.Clock.Now()})
	}
	if err != nil {
		h.refuse(w, r, t, err)
		return
	}
	count(t, "test")
	access.WriteJSON(w, http.StatusOK, Tested{Test: true, Message: "verified and learned; nothing was started", Paths: PathsOf(received.Body)})
}

// PathsOf lists what a body has.
func PathsOf(body any) []TestedPath {
	known, _ := tokens.Known{}.Learn(body, time.Time{})
	out := []TestedPath{}
	for _, p := range known.Paths() {
		out = append(out, TestedPath{Path: p.Under(tokens.RootTrigger), Type: p.Type()})
	}
	return out
}

// Rehearsed is a body as a delivery of it to a Workflow's address would be read.
type Rehearsed struct {
	// Event is what starting runs would be told.
	Event model.Event
	Body  any
	// DedupeID is the id that the sender gives, as people read it; empty: the
	// delivery is known by its bytes, within Window.
	DedupeID string
	Window   time.Duration
	// DedupeKey is the same as the inbox has it.
	DedupeKey string
}

// rehearsalID stands for the id of an event that is none.
const rehearsalID = "test"

// Rehearse reads a delivery to a Workflow's endpoint as the gateway and the
// Drainer would, but for its signature: whoever calls was asked who they are. It
// stores nothing. The error is an *access.Refusal if it is about the delivery.
func Rehearse(ctx context.Context, e store.Endpoint, in connector.WebhookRequest, now time.Time) (out Rehearsed, err error) {
	var g connector.GenericWebhook
	if err := json.Unmarshal(e.Config, &g); err != nil {
		return out, fmt.Errorf("the endpoint of Workflow %q: %w", e.OwnerName, err)
	}
	g.Signature = nil
	w, err := connector.NewWebhook(g)
	if err != nil {
		return out, fmt.Errorf("the endpoint of Workflow %q: %w", e.OwnerName, err)
	}
	received, err := w.Receive(ctx, in, nil, now)
	var refused *connector.Error
	if errors.As(err, &refused) {
		return out, access.Refuse(http.StatusBadRequest, "%s", refused.Message)
	}
	if err != nil {
		return out, err
	}
	if received.Answer != nil {
		return out, access.Refuse(http.StatusBadRequest, "this is a request of set-up, which is answered and starts nothing")
	}
	out.Body = received.Body
	_, out.DedupeID, _ = strings.Cut(received.ID, "\n")
	out.DedupeKey, out.Window = knownBy(received.ID, in.Body, g.DedupeWindow)
	out.Event, err = generic(e.OwnerName, rehearsalID, now, received.Body)
	return out, err
}
