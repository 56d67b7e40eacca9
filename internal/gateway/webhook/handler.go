// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

// Package webhook takes what vendors and users' own senders post, and hands it
// to what acts on it.
//
// The address is a credential: a path with a secret, found by its keyed digest.
// A delivery is verified over its raw bytes, committed to the inbox, and only
// then acknowledged, from the store alone. The manager's Drainer reads what it
// says. Neither writes an address, a header or a body into a log.
package webhook

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"log/slog"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"time"

	"k8s.io/utils/clock"

	"github.com/seatkeeper/seatkeeper/internal/connector"
	"github.com/seatkeeper/seatkeeper/internal/failpoint"
	"github.com/seatkeeper/seatkeeper/internal/gateway/access"
	"github.com/seatkeeper/seatkeeper/internal/ratelimit"
	"github.com/seatkeeper/seatkeeper/internal/store"
	"github.com/seatkeeper/seatkeeper/internal/tokens"
)

const (
	maxBody = 1 << 20
	// usualBody is for how much at most there is room before it has come.
	usualBody = 64 << 10
	// bodyWindow is for how long the same bytes are the same delivery where a
	// sender gives it no id: two real events may well be the same.
	bodyWindow = 10 * time.Minute
	// storeRetry and configRetry are when to try again what could not be stored,
	// or not be verified for want of a key.
	storeRetry  = 5 * time.Second
	configRetry = 5 * time.Minute
)

// Limits are budgets of requests; a zero one is the default.
type Limits struct {
	Address  ratelimit.Rate // of one sender
	Endpoint ratelimit.Rate // of one endpoint
	// Refused bounds how often one sender is told what is wrong.
	Refused ratelimit.Rate
}

var defaultLimits = Limits{
	Address:  ratelimit.Rate{Count: 1000, Per: time.Second, Burst: 20_000},
	Endpoint: ratelimit.Rate{Count: 1000, Per: time.Second, Burst: 20_000},
	Refused:  ratelimit.Rate{Count: 60, Per: time.Minute},
}

// senders is how many buckets senders share, so that nobody fills the memory.
const senders = 4096

// StoredNotAnswered is the failpoint between the commit of a delivery and the
// answer to its sender.
const StoredNotAnswered = "webhook-stored-not-answered"

// Inbox keeps received events.
type Inbox interface {
	ReceiveEvent(ctx context.Context, e store.Event) (string, error)
}

// Limiter meters requests.
type Limiter interface {
	Take(ctx context.Context, key string, rate ratelimit.Rate) (wait time.Duration, err error)
}

// Handler serves the addresses of webhooks.
type Handler struct {
	Endpoints *Endpoints
	Inbox     Inbox
	Limiter   Limiter
	Limits    Limits
	Clock     clock.PassiveClock
	Log       *slog.Logger
	// Received, if not nil, is called after an event was committed.
	Received func()
	// Tokens keeps what test deliveries teach; nil keeps nothing.
	Tokens tokens.Store
}

// Register adds the routes. GET is for vendors that ask by it whether the
// address is ours.
func (h *Handler) Register(mux access.Mux) {
	mux.HandleFunc("POST /hooks/{token}", h.serve)
	mux.HandleFunc("GET /hooks/{token}", h.serve)
	mux.HandleFunc("POST /hooks/{token}/test", h.test)
}

// Receipt is the answer to a delivery that was committed.
type Receipt struct {
	ID string `json:"id"`
	// Duplicate tells that it came before, as the event with this id.
	Duplicate bool `json:"duplicate,omitempty"`
}

func (h *Handler) serve(w http.ResponseWriter, r *http.Request) {
	t, out, err := h.take(w, r)
	if err != nil {
		h.refuse(w, r, t, err)
		return
	}
	if out.answer != nil {
		count(t, "challenge")
		w.Header().Set("Content-Type", out.answer.ContentType)
		_, _ = w.Write(out.answer.Body)
		return
	}
	outcome, code := "accepted", http.StatusAccepted
	if out.receipt.Duplicate {
		outcome = "duplicate"
	}
	if t.OwnerKind == ownerIntegration {
		code = http.StatusOK // vendors take 200 and 204, and some nothing else, for success
	}
	count(t, outcome)
	access.WriteJSON(w, code, out.receipt)
}

type taken struct {
	answer  *connector.WebhookAnswer
	receipt Receipt
}

// take does everything up to the commit, and that.
func (h *Handler) take(w http.ResponseWriter, r *http.Request) (*target, taken, error) {
	var out taken
	t, in, received, err := h.receive(w, r)
	if err != nil || received.Answer != nil {
		out.answer = received.Answer
		return t, out, err
	}
	out.receipt, err = h.commit(r.Context(), t, in, received.ID)
	return t, out, err
}

// receive verifies and reads a delivery. The target is nil until it is known.
func (h *Handler) receive(w http.ResponseWriter, r *http.Request) (t *target, in connector.WebhookRequest, out connector.Receipt, err error) {
	if err := h.within(r.Context(), "from/"+sender(r), cmp.Or(h.Limits.Address, defaultLimits.Address)); err != nil {
		return nil, in, out, err
	}
	t, err = h.Endpoints.byToken(r.Context(), r.PathValue("token"))
	if errors.Is(err, store.ErrNotFound) {
		return nil, in, out, errUnknown
	}
	if err != nil {
		return nil, in, out, err
	}
	note := access.NoteOf(r.Context())
	note.Tenant, note.ObjectKind, note.ObjectName = t.Tenant, t.OwnerKind, t.OwnerName
	if err := h.within(r.Context(), t.budget, cmp.Or(h.Limits.Endpoint, defaultLimits.Endpoint)); err != nil {
		return t, in, out, err
	}
	if c := r.Header.Get("Content-Encoding"); c != "" && !strings.EqualFold(c, "identity") {
		return t, in, out, access.Refuse(http.StatusUnsupportedMediaType, "send the body as it is, without Content-Encoding: its signature is over the bytes sent")
	}
	var body bytes.Buffer
	body.Grow(int(min(max(r.ContentLength, 0), usualBody)) + bytes.MinRead)
	_, err = body.ReadFrom(http.MaxBytesReader(w, r.Body, maxBody))
	var large *http.MaxBytesError
	switch {
	case errors.As(err, &large):
		return t, in, out, access.Refuse(http.StatusRequestEntityTooLarge, "the body is larger than 1 MiB")
	case err != nil:
		return t, in, out, access.Refuse(http.StatusBadRequest, "the body was cut off")
	}
	in = connector.WebhookRequest{Method: r.Method, Query: r.URL.Query(), Header: r.Header, Body: body.Bytes()}
	out, err = t.webhook.Receive(r.Context(), in, t.secrets, h.Clock.Now())
	switch {
	case r.Method == http.MethodGet && (err != nil || out.Answer == nil):
		w.Header().Set("Allow", http.MethodPost)
		return t, in, out, access.Refuse(http.StatusMethodNotAllowed, "POST deliveries here")
	case err != nil:
		return t, in, out, h.explain(t, err)
	}
	return t, in, out, nil
}

func (h *Handler) commit(ctx context.Context, t *target, in connector.WebhookRequest, id string) (Receipt, error) {
	e := store.Event{Tenant: t.Tenant, Endpoint: t.Endpoint.Endpoint(), Body: in.Body, Headers: keptHeaders(in.Header)}
	e.DedupeKey, e.DedupeFor = knownBy(id, in.Body, t.window)
	stored, err := h.Inbox.ReceiveEvent(ctx, e)
	failpoint.Hit(StoredNotAnswered)
	if errors.Is(err, store.ErrDuplicate) {
		return Receipt{ID: stored, Duplicate: true}, nil
	}
	if err == nil && h.Received != nil {
		h.Received()
	}
	return Receipt{ID: stored}, err
}

// knownBy is what a repeated delivery is known by, and for how long; 0 is for as
// long as the inbox keeps ids.
func knownBy(id string, body []byte, window time.Duration) (key string, within time.Duration) {
	if id != "" {
		return dedupeKey(id), 0
	}
	return "body/" + digest(body), cmp.Or(window, bodyWindow)
}

// opaqueID is what senders call a message by in a header made for it, which says
// nothing of a person.
var opaqueID = regexp.MustCompile(`^(?:Webhook-Id|X-Github-Delivery)\n[A-Za-z0-9_-]{1,64}$`)

// dedupeKey keeps an opaque id as it is: many senders' sort by time, so that
// those of a burst are neighbours in the index and their commit writes few of
// its pages. Of any other only the digest outlives the delivery.
func dedupeKey(id string) string {
	if opaqueID.MatchString(id) {
		return "id:" + id
	}
	return "id/" + digest([]byte(id))
}

func digest(b []byte) string {
	sum := sha256.Sum256(b)
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

// errUnknown is the one answer where nothing is, whatever was there before.
var errUnknown = access.Refuse(http.StatusNotFound, "there is nothing here")

// explain turns what the connector says of a delivery into an answer. It never
// holds a value of the delivery.
func (h *Handler) explain(t *target, err error) error {
	var e *connector.Error
	if !errors.As(err, &e) {
		return err
	}
	switch e.Class {
	case connector.ClassAuth:
		return access.Refuse(http.StatusUnauthorized, "%s", e.Message)
	case connector.ClassInvalid:
		return access.Refuse(http.StatusBadRequest, "%s", e.Message)
	case connector.ClassConfig:
		h.Log.Warn("A delivery cannot be verified", "owner", t.OwnerKind+"/"+t.OwnerName, "webhook", t.Webhook, "error", e.Message, "fix", e.Fix)
		refusal := access.Refuse(http.StatusServiceUnavailable, "deliveries cannot be verified yet; nothing was lost, send it again later")
		refusal.RetryAfter = configRetry
		return refusal
	}
	return err
}

// refuse answers. Who is told often what is wrong is told to wait instead.
func (h *Handler) refuse(w http.ResponseWriter, r *http.Request, t *target, err error) {
	var e *access.Refusal
	if !errors.As(err, &e) {
		if !errors.Is(err, context.Canceled) {
			h.Log.Error("A delivery could not be stored", "route", r.Pattern, "error", err)
		}
		e = access.Refuse(http.StatusServiceUnavailable, "temporarily unavailable; nothing was lost, send it again")
		e.RetryAfter = storeRetry
	}
	if e.Code < 500 && e.Code != http.StatusTooManyRequests {
		if limited := h.within(r.Context(), "refused/"+sender(r), cmp.Or(h.Limits.Refused, defaultLimits.Refused)); limited != nil {
			errors.As(limited, &e)
		}
	}
	access.NoteOf(r.Context()).Reason = "delivery " + outcomes[e.Code]
	count(t, outcomes[e.Code])
	e.Write(w)
}

var outcomes = map[int]string{
	http.StatusNotFound: "unknown", http.StatusUnauthorized: "unverified", http.StatusBadRequest: "invalid", http.StatusRequestEntityTooLarge: "too large",
	http.StatusTooManyRequests: "limited", http.StatusServiceUnavailable: "unavailable", http.StatusMethodNotAllowed: "invalid", http.StatusUnsupportedMediaType: "invalid",
}

// within takes one request of a budget, or refuses it.
func (h *Handler) within(ctx context.Context, key string, rate ratelimit.Rate) error {
	wait, err := h.Limiter.Take(ctx, key, rate)
	if err != nil || wait <= 0 {
		return err
	}
	e := access.Refuse(http.StatusTooManyRequests, "too many requests: send this again after the time in Retry-After")
	e.RetryAfter = wait
	return e
}

// sender is the bucket of who sent a request.
func sender(r *http.Request) string {
	sum := sha256.Sum256(access.ClientAddress(r).AsSlice())
	return strconv.Itoa((int(sum[0])<<8 | int(sum[1])) % senders)
}

// ownerIntegration and ownerWorkflow are the kinds that have endpoints.
const (
	ownerIntegration = "Integration"
	ownerWorkflow    = "Workflow"
)

// Bounds of the headers that are kept with an event.
const (
	maxHeaders     = 32
	maxHeaderValue = 512
)

// keptHeaders are those that a manifest may read later. None that proves a
// sender is among them.
func keptHeaders(h http.Header) map[string]string {
	out := map[string]string{}
	for name, values := range h {
		name = strings.ToLower(name)
		custom := strings.HasPrefix(name, "x-") || strings.HasPrefix(name, "webhook-")
		if name != "content-type" && !custom || len(values) == 0 || len(values[0]) > maxHeaderValue || len(out) == maxHeaders {
			continue
		}
		secret := false
		for _, word := range []string{"sign", "auth", "token", "secret", "key", "cookie", "password", "hmac", "forwarded", "real-ip"} {
			secret = secret || strings.Contains(name, word)
		}
		if !secret {
			out[name] = values[0]
		}
	}
	return out
}
