// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package query

import (
	"errors"
	"io"
	"net/http"
	"time"

	"github.com/seatkeeper/seatkeeper/internal/connector"
	"github.com/seatkeeper/seatkeeper/internal/expr"
	"github.com/seatkeeper/seatkeeper/internal/gateway/access"
	"github.com/seatkeeper/seatkeeper/internal/gateway/webhook"
	"github.com/seatkeeper/seatkeeper/internal/store"
	"github.com/seatkeeper/seatkeeper/internal/tokens"
	"github.com/seatkeeper/seatkeeper/internal/trigger"
	"github.com/seatkeeper/seatkeeper/internal/workflow"
)

// Token is a part of the bodies that a Workflow's webhook received.
type Token struct {
	Path string `json:"path"`
	Type string `json:"type"`
	// Trigger is how the templates of spec.trigger.webhook write it, and Expression
	// how every other expression of the Workflow does.
	Trigger    string `json:"trigger"`
	Expression string `json:"expression"`
	FirstSeen  string `json:"firstSeen"` // days, UTC
	LastSeen   string `json:"lastSeen"`
}

// TokenList is what a Workflow's webhook received.
type TokenList struct {
	List[Token]
	// Full: more came than is kept.
	Full bool `json:"full,omitempty"`
	// Unreceived are expressions of the newest revision that read what never came.
	Unreceived []tokens.Finding `json:"unreceived"`
}

func (a *API) tokens(c *call) (any, error) {
	w, err := a.webhookWorkflow(c)
	if err != nil {
		return nil, err
	}
	known, err := tokens.Of(c, a.Store, c.tenant, w.Name)
	if err != nil {
		return nil, err
	}
	out := TokenList{List: page("TokenList", []Token(nil), ""), Full: known.Full(), Unreceived: []tokens.Finding{}}
	for _, p := range known.Paths() {
		out.Items = append(out.Items, Token{Path: p.Under(tokens.RootTrigger), Type: p.Type(), Trigger: "${" + p.Expression(tokens.RootTrigger) + "}",
			Expression: "${" + p.Expression(tokens.RootSteps) + "}", FirstSeen: p.FirstSeen, LastSeen: p.LastSeen})
	}
	if w.Revision == 0 {
		return out, nil
	}
	revision, err := a.Store.WorkflowRevision(c, c.tenant, w.Name, w.Revision)
	if err != nil {
		return nil, err
	}
	if len(revision.Spec) > 0 { // else it is older than specs are kept
		found, err := tokens.Check(revision.Spec, known)
		if err != nil {
			return nil, err
		}
		out.Unreceived = append(out.Unreceived, found...)
	}
	return out, nil
}

// webhookTrigger is the kind of trigger of Workflows that have an address.
const webhookTrigger = "webhook"

func (a *API) webhookWorkflow(c *call) (store.WorkflowState, error) {
	w, err := a.Store.Workflow(c, c.tenant, c.path("name"))
	if err == nil && w.TriggerKind != webhookTrigger {
		return w, badRequest("Workflow %q has trigger %s, and nothing is sent to it: only spec.trigger.webhook has an address", w.Name, w.TriggerKind)
	}
	return w, err
}

// WebhookTest is what a body would lead to if it were delivered.
type WebhookTest struct {
	Test     bool   `json:"test"`
	Workflow string `json:"workflow"`
	trigger.Rehearsal
	Event TestEvent `json:"event"`
	// Paths are what the body has; New tells of those that came for the first time.
	Paths []TestPath `json:"paths"`
}

// TestEvent says what a repeated delivery would be known by.
type TestEvent struct {
	ID string `json:"id,omitempty"` // empty: its bytes, within Window
	// Window is for how long; empty: as long as ids are kept.
	Window string `json:"window,omitempty"`
	// CopyOf is the event that the delivery would be a copy of, so that nothing
	// would come of it; empty: it would be a new one.
	CopyOf string `json:"copyOf,omitempty"`
}

// TestPath is a part of the body.
type TestPath struct {
	webhook.TestedPath
	New bool `json:"new,omitempty"`
}

// maxTestBody is how much a webhook takes.
const maxTestBody = 1 << 20

// testWebhook says what a body would lead to, learns what it has, and starts
// nothing: it comes near neither the inbox nor what starts runs.
func (a *API) testWebhook(c *call) (any, error) {
	w, err := a.webhookWorkflow(c)
	if err != nil {
		return nil, err
	}
	endpoint, err := a.Store.EndpointOf(c, c.tenant, store.Hook{OwnerKind: workflow.KindWorkflow, OwnerName: w.Name})
	if errors.Is(err, store.ErrNotFound) {
		return nil, conflict("Workflow %q has no address yet: its condition WebhookReady says why", w.Name)
	}
	if err != nil {
		return nil, err
	}
	raw, err := io.ReadAll(http.MaxBytesReader(c.response, c.request.Body, maxTestBody))
	var large *http.MaxBytesError
	switch {
	case errors.As(err, &large):
		return nil, access.Refuse(http.StatusRequestEntityTooLarge, "the body is larger than 1 MiB")
	case err != nil:
		return nil, badRequest("the body was cut off")
	}
	now := a.now()
	read, err := webhook.Rehearse(c, endpoint, connector.WebhookRequest{Method: http.MethodPost, Header: c.request.Header, Body: raw}, now)
	if err != nil {
		return nil, err
	}
	out := WebhookTest{Test: true, Workflow: w.Name, Event: TestEvent{ID: read.DedupeID}}
	if out.Event.CopyOf, err = a.Store.EventKnownBy(c, c.tenant, endpoint.Endpoint(), read.DedupeKey); err != nil {
		return nil, err
	}
	if read.Window > 0 {
		out.Event.Window = read.Window.String()
	}
	if out.Rehearsal, err = trigger.Rehearse(c, a.Store, expr.Workflow{}, c.tenant, w, read.Event, now); err != nil {
		return nil, err
	}
	if out.Event.CopyOf != "" {
		out.Outcome, out.Reason, out.Message = trigger.OutcomeNothing, "", "the same was delivered before, as event "+out.Event.CopyOf
	}
	out.Paths, err = a.learn(c, w.Name, read.Body, now)
	return out, err
}

// learn teaches what a body has, and says what of it is new.
func (a *API) learn(c *call, name string, body any, now time.Time) ([]TestPath, error) {
	before, err := tokens.Of(c, a.Store, c.tenant, name)
	if err != nil {
		return nil, err
	}
	if _, err := tokens.Teach(c, a.Store, c.tenant, name, tokens.Body{Value: body, At: now}); err != nil {
		return nil, err
	}
	known := map[string]bool{}
	for _, p := range before.Paths() {
		known[p.Under(tokens.RootTrigger)] = true
	}
	out := []TestPath{}
	for _, p := range webhook.PathsOf(body) {
		out = append(out, TestPath{p, !known[p.Path]})
	}
	return out, nil
}
