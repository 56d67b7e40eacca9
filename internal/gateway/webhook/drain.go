// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package webhook

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"time"

	"k8s.io/utils/clock"

	"github.com/seatkeeper/seatkeeper/internal/connector"
	"github.com/seatkeeper/seatkeeper/internal/defect"
	"github.com/seatkeeper/seatkeeper/internal/failpoint"
	"github.com/seatkeeper/seatkeeper/internal/model"
	"github.com/seatkeeper/seatkeeper/internal/store"
	"github.com/seatkeeper/seatkeeper/internal/syncer/handover"
	"github.com/seatkeeper/seatkeeper/internal/tokens"
)

const (
	drainEvery = time.Second
	drainBatch = 500
	drainBytes = 16 << 20
	// syncGap is the least time between two syncs that events ask for.
	syncGap = time.Minute
	// maxAttempts is after how many failures an event is a dead letter; with the
	// back-off between them that is some four minutes.
	maxAttempts  = 8
	firstBackOff = time.Second
	maxBackOff   = 5 * time.Minute
)

// AppliedNotFinished is the failpoint between the commit of what an event says
// and that of its end, which on SQLite are two files.
const AppliedNotFinished = "webhook-applied-not-finished"

// DrainStore is where events wait and what is made of them goes.
type DrainStore interface {
	PendingHooks(ctx context.Context, without []store.TenantEndpoint, limit int, maxBytes int64) ([]store.Event, error)
	IntegrationState(ctx context.Context, tenant model.TenantID, name string) (store.IntegrationState, error)
	ApplyHook(ctx context.Context, h store.HookEvents) (due bool, err error)
	FinishEvents(ctx context.Context, tenant model.TenantID, ids []string) error
	RetryEvent(ctx context.Context, tenant model.TenantID, id, reason string, due time.Time) error
	BuryEvent(ctx context.Context, k *store.Keyring, e store.Event, reason string) error
	TouchOwner(ctx context.Context, tenant model.TenantID, h store.Hook) error
	tokens.Store
	InboxDepth(ctx context.Context) (waiting, dead int64, err error)
}

// Drainer handles received events, in the order of their arrival at each
// endpoint: one that has to be tried again holds up those behind it. One process
// of an installation runs it; two at once do no harm.
type Drainer struct {
	Store    DrainStore
	Keyring  *store.Keyring
	Manifest func(spec handover.Spec) (*connector.Manifest, error)
	// Due is called when an Integration was made due.
	Due func()
	// Told is called when events that may start runs were stored.
	Told  func()
	Clock clock.WithTicker
	Log   *slog.Logger

	hint    chan struct{}
	waiting map[store.TenantEndpoint]time.Time // endpoints that wait for another try
}

// NewDrainer returns a drainer of what d says.
func NewDrainer(d Drainer) *Drainer {
	d.hint, d.waiting = make(chan struct{}, 1), map[store.TenantEndpoint]time.Time{}
	return &d
}

// Hint says that an event has come.
func (d *Drainer) Hint() {
	select {
	case d.hint <- struct{}{}:
	default: // one is there already
	}
}

// NeedLeaderElection tells controller-runtime that one drainer is enough.
func (*Drainer) NeedLeaderElection() bool { return true }

// Start drains until ctx ends.
func (d *Drainer) Start(ctx context.Context) error {
	tick := d.Clock.NewTicker(drainEvery)
	defer tick.Stop()
	for {
		if err := d.Drain(ctx); err != nil && ctx.Err() == nil {
			d.Log.Error("Received events cannot be handled now", "error", err)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C():
		case <-d.hint:
		}
	}
}

// Drain handles everything that may be handled now. The error is the store's.
func (d *Drainer) Drain(ctx context.Context) error {
	defer d.measure(ctx)
	for ctx.Err() == nil {
		now, without := d.Clock.Now(), []store.TenantEndpoint{}
		for endpoint, until := range d.waiting {
			if until.After(now) {
				without = append(without, endpoint)
			} else {
				delete(d.waiting, endpoint)
			}
		}
		events, err := d.Store.PendingHooks(ctx, without, drainBatch, drainBytes)
		if err != nil || len(events) == 0 {
			return err
		}
		for _, of := range byEndpoint(events) {
			if err := d.handle(ctx, of); err != nil {
				return err
			}
		}
	}
	return ctx.Err()
}

func (d *Drainer) measure(ctx context.Context) {
	waiting, dead, err := d.Store.InboxDepth(ctx)
	if err != nil {
		return // what failed before is told already
	}
	depth.Set(float64(waiting))
	letters.Set(float64(dead))
}

// byEndpoint keeps the order of each endpoint's events, and of first arrivals.
func byEndpoint(events []store.Event) [][]store.Event {
	var out [][]store.Event
	at := map[store.TenantEndpoint]int{}
	for _, e := range events {
		i, ok := at[endpointOf(e)]
		if !ok {
			i = len(out)
			at[endpointOf(e)] = i
			out = append(out, nil)
		}
		out[i] = append(out[i], e)
	}
	return out
}

// handle handles events of one endpoint, up to the first that has to wait.
func (d *Drainer) handle(ctx context.Context, events []store.Event) error {
	first := events[0]
	hook, ok := store.HookOf(first.Endpoint)
	if !ok {
		return d.bury(ctx, first, hook, "no part of this version handles "+first.Endpoint)
	}
	var read func(context.Context, store.Event) (reading, error)
	err := d.contain(first, func() (err error) { read, err = d.reader(ctx, first.Tenant, hook); return err })
	if errors.Is(err, store.ErrNotFound) {
		return d.orphaned(ctx, events, hook, err)
	}
	if err != nil {
		return d.failed(ctx, first, hook, err)
	}
	var readings []reading
	for _, e := range events {
		if e.DueAt.After(d.Clock.Now()) {
			d.waiting[endpointOf(e)] = e.DueAt
			break
		}
		var made reading
		err := d.contain(e, func() (err error) { made, err = read(ctx, e); return err })
		if err != nil {
			if err := d.apply(ctx, hook, readings); err != nil {
				return err
			}
			if _, held := d.waiting[endpointOf(e)]; held {
				return nil // those before it come first
			}
			// What cannot be read now cannot be read later either, until
			// somebody mends the manifest and replays it.
			return d.bury(ctx, e, hook, err.Error())
		}
		made.event = e
		readings = append(readings, made)
	}
	return d.apply(ctx, hook, readings)
}

// contain does what an event has the drainer do: a panic is that event's error.
func (d *Drainer) contain(e store.Event, do func() error) error {
	err := defect.Guard(do)
	if defect.Is(err) {
		d.Log.Error("The program failed at a received event", append([]any{"endpoint", e.Endpoint, "event", e.ID}, defect.Attrs(err)...)...)
	}
	return err
}

// orphaned keeps events whose owner, or whose webhook of it, is gone: who makes it
// anew can replay them.
func (d *Drainer) orphaned(ctx context.Context, events []store.Event, hook store.Hook, cause error) error {
	for _, e := range events {
		if err := d.bury(ctx, e, hook, cause.Error()); err != nil {
			return err
		}
	}
	return nil
}

// reading is a received event with what it says.
type reading struct {
	event store.Event
	says  []model.Event
	// body is what a Workflow's sender sent.
	body any
}

func endpointOf(e store.Event) store.TenantEndpoint {
	return store.TenantEndpoint{Tenant: e.Tenant, Endpoint: e.Endpoint}
}

// apply stores what events of one endpoint say, and ends them. Which of them the
// store does not take is found by taking each alone.
func (d *Drainer) apply(ctx context.Context, hook store.Hook, of []reading) error {
	if len(of) == 0 {
		return nil
	}
	batch := store.HookEvents{Tenant: of[0].event.Tenant, Hook: hook, Between: syncGap}
	ids := make([]string, len(of))
	for i, r := range of {
		ids[i] = r.event.ID
		batch.Events = append(batch.Events, r.says...)
	}
	batch.AskForSync = hook.OwnerKind == ownerIntegration
	due := false
	if len(batch.Events) > 0 {
		err := d.contain(of[0].event, func() (err error) { due, err = d.Store.ApplyHook(ctx, batch); return err })
		switch {
		case err == nil:
		case ctx.Err() != nil:
			return ctx.Err()
		case len(of) == 1:
			return d.failed(ctx, of[0].event, hook, err)
		default:
			for _, r := range of {
				if err := d.apply(ctx, hook, []reading{r}); err != nil {
					return err
				}
				if _, held := d.waiting[endpointOf(r.event)]; held {
					break
				}
			}
			return nil
		}
	}
	d.learn(ctx, hook, of)
	failpoint.Hit(AppliedNotFinished)
	if err := d.Store.FinishEvents(ctx, batch.Tenant, ids); err != nil {
		return fmt.Errorf("end handled events: %w", err)
	}
	handled.WithLabelValues("handled").Add(float64(len(of)))
	if due && d.Due != nil {
		d.Due()
	}
	if len(batch.Events) > 0 && d.Told != nil {
		d.Told()
	}
	return nil
}

// learn keeps what the bodies of a Workflow have. It holds up no event.
func (d *Drainer) learn(ctx context.Context, hook store.Hook, of []reading) {
	if hook.OwnerKind != ownerWorkflow {
		return
	}
	bodies := make([]tokens.Body, len(of))
	for i, r := range of {
		bodies[i] = tokens.Body{Value: r.body, At: r.event.ReceivedAt}
	}
	if _, err := tokens.Teach(ctx, d.Store, of[0].event.Tenant, hook.OwnerName, bodies...); err != nil && ctx.Err() == nil {
		d.Log.Warn("What a webhook received was not learned", "endpoint", of[0].event.Endpoint, "error", err)
	}
}

// failed has an event tried again later, or gives it up.
func (d *Drainer) failed(ctx context.Context, e store.Event, hook store.Hook, cause error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if e.Attempts+1 >= maxAttempts {
		return d.bury(ctx, e, hook, cause.Error())
	}
	due := d.Clock.Now().Add(backOff(e.Attempts)).Truncate(time.Millisecond) // as it is stored
	if err := d.Store.RetryEvent(ctx, e.Tenant, e.ID, cause.Error(), due); err != nil {
		return fmt.Errorf("put off an event: %w", errors.Join(err, cause))
	}
	d.waiting[endpointOf(e)] = due
	handled.WithLabelValues("retried").Inc()
	d.Log.Warn("A received event could not be handled yet", "endpoint", e.Endpoint, "event", e.ID, "attempt", e.Attempts+1, "error", cause)
	return nil
}

// backOff doubles from one second, give or take a quarter.
func backOff(attempts int) time.Duration {
	d := min(firstBackOff<<min(attempts, 20), maxBackOff)
	return d*3/4 + rand.N(d/2) //nolint:gosec // it spreads load and keeps no secret
}

func (d *Drainer) bury(ctx context.Context, e store.Event, hook store.Hook, reason string) error {
	if err := d.Store.BuryEvent(ctx, d.Keyring, e, reason); err != nil {
		return fmt.Errorf("keep a dead letter: %w", err)
	}
	handled.WithLabelValues("dead").Inc()
	d.Log.Error("A received event cannot be handled; `seatkeeper events` shows and replays it", "endpoint", e.Endpoint, "event", e.ID, "reason", reason)
	return d.Store.TouchOwner(ctx, e.Tenant, hook)
}

// reader returns what reads the events of an endpoint.
func (d *Drainer) reader(ctx context.Context, tenant model.TenantID, hook store.Hook) (func(context.Context, store.Event) (reading, error), error) {
	switch hook.OwnerKind {
	case ownerIntegration:
		st, err := d.Store.IntegrationState(ctx, tenant, hook.OwnerName)
		if err != nil {
			return nil, err
		}
		w, err := integrationWebhook(st.Spec, hook.Webhook, d.Manifest)
		if err != nil {
			return nil, err
		}
		return func(ctx context.Context, e store.Event) (reading, error) {
			says, err := realtime(ctx, w, e)
			return reading{says: says}, err
		}, nil
	case ownerWorkflow:
		w, err := connector.NewWebhook(connector.GenericWebhook{})
		if err != nil {
			return nil, err
		}
		return func(_ context.Context, e store.Event) (reading, error) {
			body, err := w.Parse(request(e))
			if err != nil {
				return reading{}, err
			}
			says, err := generic(hook.OwnerName, e.ID, e.ReceivedAt, body)
			return reading{says: []model.Event{says}, body: body}, err
		}, nil
	}
	return nil, fmt.Errorf("no part of this version handles events of a %s", hook.OwnerKind)
}

// realtime is what a vendor's delivery tells. The ids are made of the event's,
// so that what is read twice is stored once.
func realtime(ctx context.Context, w *connector.Webhook, e store.Event) ([]model.Event, error) {
	res, err := w.Events(ctx, request(e), e.ReceivedAt)
	if err != nil {
		return nil, err
	}
	out := make([]model.Event, len(res.Events))
	for i, ev := range res.Events {
		payload, err := json.Marshal(model.RealtimeEvent{
			Name: ev.Name, EventID: ev.ID, Webhook: w.Name(), At: ev.At, Account: ev.Account, App: ev.App, Person: ev.Person,
			PersonExternalID: ev.PersonExternalID, Data: ev.Data})
		if err != nil {
			return nil, fmt.Errorf("event %d of the delivery cannot be encoded", i)
		}
		subject := ev.Account
		if subject == "" {
			subject = ev.App
		}
		out[i] = model.Event{ID: fmt.Sprintf("%s/%04d", e.ID, i), Kind: model.EventRealtime, Subject: subject, Payload: payload, CreatedAt: e.ReceivedAt}
	}
	return out, nil
}

// generic is a body that somebody sent to a Workflow.
func generic(workflow, id string, at time.Time, body any) (e model.Event, err error) {
	raw, err := json.Marshal(body)
	if err != nil {
		return e, errors.New("the body cannot be encoded as JSON")
	}
	payload, err := json.Marshal(model.WebhookEvent{EventID: id, ReceivedAt: at, Body: raw})
	if err != nil {
		return e, errors.New("the body cannot be encoded as JSON")
	}
	return model.Event{ID: id, Kind: model.EventWebhook, Subject: ownerWorkflow + "/" + workflow, Payload: payload, CreatedAt: at}, nil
}

// request is a delivery as it is kept.
func request(e store.Event) connector.WebhookRequest {
	in := connector.WebhookRequest{Method: http.MethodPost, Header: http.Header{}, Body: e.Body}
	for name, value := range e.Headers {
		in.Header.Set(name, value)
	}
	return in
}
