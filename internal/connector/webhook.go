// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package connector

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/seatkeeper/seatkeeper/internal/expr"
)

// Bounds of what a vendor may deliver at once.
const (
	maxWebhookBytes  = 1 << 20
	maxWebhookEvents = 1000
)

// Webhook is a section of a manifest by which a vendor tells what happened. It
// is immutable and safe for concurrent use.
type Webhook struct {
	name      string
	title     string
	secrets   []secretField
	verify    verifySpec
	challenge *challengeSpec
	generic   *genericSpec // for the address of a user's own sender; see NewWebhook
	parse     string       // json, form, text, field, any
	field     string       // parse: {form: field}: JSON inside one field
	id        *expr.Program
	at        *expr.Program
	emits     []webhookEmit
}

type challengeSpec struct {
	when        *expr.Program
	respond     *expr.Program
	sign        *expr.Program // what `signature` signs
	contentType string
	unverified  bool
}

type webhookEmit struct {
	event   string
	each    *expr.Program
	as      string
	when    *expr.Program
	id, at  *expr.Program
	account *expr.Program
	app     *expr.Program
	person  *expr.Program
	userID  *expr.Program // personExternalId
	data    *expr.Program
}

// Webhook returns a section of the manifest's webhooks, nil if there is none.
func (m *Manifest) Webhook(name string) *Webhook {
	for _, w := range m.webhooks {
		if w.name == name {
			return w
		}
	}
	return nil
}

// Webhooks lists the names of the manifest's webhooks in its order.
func (m *Manifest) Webhooks() []string {
	names := make([]string, len(m.webhooks))
	for i, w := range m.webhooks {
		names[i] = w.name
	}
	return names
}

// Events lists the names of the events that the manifest's webhooks tell, each
// once, in the manifest's order.
func (m *Manifest) Events() []string {
	var names []string
	for _, w := range m.webhooks {
		for _, e := range w.emits {
			if !slices.Contains(names, e.event) {
				names = append(names, e.event)
			}
		}
	}
	return names
}

// Name returns the webhook's name.
func (w *Webhook) Name() string { return w.name }

// Title returns the name for people.
func (w *Webhook) Title() string { return w.title }

// SecretNames lists the Secret keys that verifying a delivery needs.
func (w *Webhook) SecretNames() []string {
	names := make([]string, len(w.secrets))
	for i, s := range w.secrets {
		names[i] = s.name
	}
	return names
}

// RequiredSecrets lists those of them without which no delivery is taken.
func (w *Webhook) RequiredSecrets() []string {
	var names []string
	for _, s := range w.secrets {
		if !s.optional {
			names = append(names, s.name)
		}
	}
	return names
}

// WebhookRequest is a delivery as it came.
type WebhookRequest struct {
	Method string
	Query  url.Values
	Header http.Header
	Body   []byte
}

// WebhookResult says what a delivery means.
type WebhookResult struct {
	// Answer is to be sent back where the vendor asks for a proof; nothing has
	// happened then. Nil: answer 200 once the events are stored.
	Answer *WebhookAnswer
	// ID identifies the delivery: one that comes again is the same.
	ID string
	At time.Time
	// Events are what happened, in order; none if nothing that matters did.
	Events []WebhookEvent
	// Body is the delivery as its expressions see it.
	Body any
}

// WebhookAnswer answers a vendor's challenge.
type WebhookAnswer struct {
	ContentType string
	Body        []byte
}

// WebhookEvent is one thing that happened, with whom it is about in the words
// of the source. Empty references are not stated.
type WebhookEvent struct {
	Name string
	// ID identifies the event, for triggers to fire once.
	ID               string
	At               time.Time
	Account          string // external id
	App              string // external id of the app behind the source
	Person           string // e-mail address
	PersonExternalID string
	Data             map[string]any
}

// Handle verifies a delivery and reads what it says. It changes nothing and
// asks nobody. The error is an *Error: ClassAuth for a delivery that is not
// proven to be the vendor's, or is too old; ClassInvalid for one that cannot be
// read; ClassConfig where the Secret lacks a key; ClassMapping where it is not
// what the manifest expects. No error holds a value of the delivery.
func (w *Webhook) Handle(ctx context.Context, in WebhookRequest, secrets map[string]string, now time.Time) (WebhookResult, error) {
	var res WebhookResult
	vars, body, answer, err := w.received(ctx, in, secrets, now)
	if err != nil || answer != nil {
		res.Answer = answer
		return res, err
	}
	res.Body = body
	return res, w.read(ctx, vars, &res, now)
}

// Receipt says what to do with a delivery before anything is known of its
// events.
type Receipt struct {
	// Answer is as in WebhookResult: nothing has happened then.
	Answer *WebhookAnswer
	// ID identifies the delivery. Empty: it has no id that could be read, and is
	// known by its bytes alone.
	ID string
	// Body is the delivery as its expressions see it.
	Body any
}

// Receive verifies a delivery and finds its id, and leaves what it says to
// Events. Its errors are those of Handle, but for ClassMapping: a delivery that
// is the vendor's is one, whatever the manifest makes of it.
func (w *Webhook) Receive(ctx context.Context, in WebhookRequest, secrets map[string]string, now time.Time) (Receipt, error) {
	vars, body, answer, err := w.received(ctx, in, secrets, now)
	if err != nil || answer != nil {
		return Receipt{Answer: answer}, err
	}
	out := Receipt{Body: body}
	if w.generic != nil {
		out.ID = w.generic.deliveryID(ctx, in, vars)
	} else if id, err := w.id.EvalString(ctx, vars); err == nil {
		out.ID = id
	}
	return out, nil
}

// Events reads what a delivery says that Receive has taken, as kept: without
// its query, and without headers that carry credentials.
func (w *Webhook) Events(ctx context.Context, in WebhookRequest, now time.Time) (WebhookResult, error) {
	var res WebhookResult
	body, err := w.parsed(in)
	if err != nil {
		return res, err
	}
	vars := w.vars(in, now)
	vars["resp"], res.Body = body, body
	return res, w.read(ctx, vars, &res, now)
}

// received verifies a delivery, answers it if it is a challenge, and parses it.
func (w *Webhook) received(ctx context.Context, in WebhookRequest, secrets map[string]string, now time.Time) (vars map[string]any, body any, _ *WebhookAnswer, err error) {
	if len(in.Body) > maxWebhookBytes {
		return nil, nil, nil, w.wrong(ClassInvalid, fmt.Sprintf("the delivery has more than %d bytes", maxWebhookBytes))
	}
	vars = map[string]any{}
	if !w.generic.plain(w.verify) {
		vars = w.vars(in, now)
	}
	if answer := w.generic.ping(in); answer != nil {
		return nil, nil, answer, nil
	}
	if c := w.challenge; c != nil && c.unverified {
		if body, err := w.parsed(in); err == nil { // an empty body is nobody's fault here
			vars["resp"] = body
		}
		if answer, err := w.answer(ctx, vars, ""); err != nil || answer != nil {
			return nil, nil, answer, err
		}
	}
	secret, err := w.verified(ctx, in, vars, secrets, now)
	if err != nil {
		return nil, nil, nil, err
	}
	if body, err = w.parsed(in); err != nil {
		return nil, nil, nil, err
	}
	vars["resp"] = body
	if w.generic != nil {
		vars["body"] = body
		return vars, body, w.generic.challenge(in, body), nil
	}
	if c := w.challenge; c != nil && !c.unverified {
		if answer, err := w.answer(ctx, vars, secret); err != nil || answer != nil {
			return nil, nil, answer, err
		}
	}
	return vars, body, nil, nil
}

// read fills in what a delivery says.
func (w *Webhook) read(ctx context.Context, vars map[string]any, res *WebhookResult, now time.Time) (err error) {
	if res.ID, err = w.id.EvalString(ctx, vars); err != nil {
		return w.failed("id", err)
	}
	if res.ID == "" || len(res.ID) > maxFieldBytes {
		return w.wrong(ClassMapping, "the delivery has no id by which to know it again")
	}
	if res.At, err = w.moment(ctx, w.at, "at", vars, now); err != nil {
		return err
	}
	for i := range w.emits {
		if err := w.emit(ctx, &w.emits[i], vars, res); err != nil {
			*res = WebhookResult{}
			return err // all of it or nothing
		}
	}
	return nil
}

// vars are the variables of a webhook's expressions. No secret is among them.
func (w *Webhook) vars(in WebhookRequest, now time.Time) map[string]any {
	headers := make(map[string]string, len(in.Header))
	for k := range in.Header {
		headers[strings.ToLower(k)] = in.Header.Get(k)
	}
	query := make(map[string]any, len(in.Query))
	for k := range in.Query {
		query[k] = in.Query.Get(k)
	}
	text := string(in.Body)
	return map[string]any{
		"r": nil, "p": nil, "resp": nil, "status": int64(0), "headers": headers, "config": map[string]any{}, "state": map[string]any{},
		"window": map[string]any{}, "input": map[string]any{}, "vars": map[string]any{}, "records": []any{}, "secretNames": map[string]bool{},
		"idempotencyKey": "", "now": now.UTC(), "body": text, "query": query, "method": in.Method, "signature": "", "rawBody": text,
	}
}

// answer answers a challenge, if this is one.
func (w *Webhook) answer(ctx context.Context, vars map[string]any, secret string) (*WebhookAnswer, error) {
	c := w.challenge
	asked, err := c.when.EvalBool(ctx, vars)
	if err != nil || !asked {
		return nil, nil // a condition that cannot read this delivery says that it is none
	}
	if c.sign != nil {
		text, err := c.sign.EvalString(ctx, vars)
		if err != nil {
			return nil, w.failed("challenge.sign", err)
		}
		vars["signature"] = w.verify.sign(secret, text)
	}
	v, err := c.respond.Eval(ctx, vars)
	if err != nil {
		return nil, w.failed("challenge.respond", err)
	}
	out := &WebhookAnswer{ContentType: c.contentType}
	switch t := v.(type) {
	case map[string]any, []any:
		if out.Body, err = encodeJSON(t); err != nil {
			return nil, w.failed("challenge.respond", err)
		}
		if out.ContentType == "" {
			out.ContentType = "application/json"
		}
	default:
		text, err := expr.Format(t)
		if err != nil {
			return nil, w.failed("challenge.respond", err)
		}
		out.Body = []byte(text)
		if out.ContentType == "" {
			out.ContentType = "text/plain; charset=utf-8"
		}
	}
	return out, nil
}

func (w *Webhook) emit(ctx context.Context, e *webhookEmit, vars map[string]any, res *WebhookResult) error {
	elements := []any{nil}
	if e.each != nil {
		v, err := e.each.Eval(ctx, vars)
		if err != nil {
			return w.failed("emit.forEach", err)
		}
		list, ok := v.([]any)
		if !ok && v != nil {
			return w.wrong(ClassMapping, "emit.forEach: got "+expr.TypeName(v)+", want a list")
		}
		elements = list
	}
	for i, el := range elements {
		if e.as != "" {
			vars[e.as] = el
		}
		if e.when != nil {
			on, err := e.when.EvalBool(ctx, vars)
			if err != nil {
				return w.failed("emit.when", err)
			}
			if !on {
				continue
			}
		}
		if len(res.Events) == maxWebhookEvents {
			return w.wrong(ClassInvalid, fmt.Sprintf("the delivery tells of more than %d events", maxWebhookEvents))
		}
		ev, err := w.event(ctx, e, vars, res, i)
		if err != nil {
			return err
		}
		res.Events = append(res.Events, ev)
	}
	return nil
}

func (w *Webhook) event(ctx context.Context, e *webhookEmit, vars map[string]any, res *WebhookResult, index int) (ev WebhookEvent, err error) {
	ev.Name = e.event
	for _, ref := range []struct {
		name string
		prg  *expr.Program
		to   *string
	}{{"id", e.id, &ev.ID}, {"account", e.account, &ev.Account}, {"app", e.app, &ev.App}, {"person", e.person, &ev.Person}, {"personExternalId", e.userID, &ev.PersonExternalID}} {
		if ref.prg == nil {
			continue
		}
		if *ref.to, err = ref.prg.EvalString(ctx, vars); err != nil {
			return ev, w.failed("emit."+ref.name, err)
		}
		if len(*ref.to) > maxFieldBytes {
			return ev, w.wrong(ClassMapping, "emit."+ref.name+": the text is too long")
		}
	}
	ev.Person = lowerTrim(ev.Person)
	if ev.ID == "" {
		ev.ID = fmt.Sprintf("%s/%s/%d", res.ID, e.event, index)
	}
	if ev.At, err = w.moment(ctx, e.at, "emit.at", vars, res.At); err != nil {
		return ev, err
	}
	if e.data == nil {
		return ev, nil
	}
	v, err := e.data.Eval(ctx, vars)
	if err != nil {
		return ev, w.failed("emit.data", err)
	}
	ev.Data, _ = plainCopy(v).(map[string]any)
	if raw, err := json.Marshal(ev.Data); err != nil || len(raw) > maxEventData {
		return ev, w.wrong(ClassMapping, fmt.Sprintf("emit.data has more than %d bytes", maxEventData))
	}
	return ev, nil
}

// maxEventData bounds what an event carries along, as free values of the API.
const maxEventData = 16 << 10

func (w *Webhook) moment(ctx context.Context, prg *expr.Program, what string, vars map[string]any, otherwise time.Time) (time.Time, error) {
	if prg == nil {
		return otherwise.UTC(), nil
	}
	v, err := prg.Eval(ctx, vars)
	if err != nil {
		return time.Time{}, w.failed(what, err)
	}
	t, ok := v.(time.Time)
	if !ok {
		return time.Time{}, w.wrong(ClassMapping, what+": got "+expr.TypeName(v)+", want a timestamp; use ts()")
	}
	return t.UTC(), nil
}

func (w *Webhook) wrong(class ErrorClass, message string) *Error {
	return &Error{Class: class, Message: "webhook " + w.name + ": " + message}
}

func (w *Webhook) failed(what string, err error) *Error {
	var e *expr.Error
	if !errors.As(err, &e) {
		return w.wrong(ClassMapping, what+": it cannot be evaluated")
	}
	return w.wrong(ClassMapping, what+": "+e.Message)
}
