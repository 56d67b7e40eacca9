// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package webhook_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/seatkeeper/seatkeeper/connectors"
	"github.com/seatkeeper/seatkeeper/internal/connector"
	"github.com/seatkeeper/seatkeeper/internal/gateway/webhook"
	"github.com/seatkeeper/seatkeeper/internal/model"
	"github.com/seatkeeper/seatkeeper/internal/store"
	"github.com/seatkeeper/seatkeeper/internal/syncer/handover"
)

const oktaEvent = `{"eventId":%q,"eventTime":"2026-11-21T09:59:00.000Z","data":{"events":[{"uuid":%q,"published":"2026-11-21T09:58:58.000Z","eventType":"user.lifecycle.deactivate","target":[{"id":%q,"type":"User","alternateId":"a@acme.example"}]}]}}`

var oktaSecrets = map[string]string{"eventHookToken": "sesame"}

// okta connects Okta and returns what delivers an event of a user.
func (w *world) okta() func(user string) answer {
	w.Helper()
	m, err := connectors.Builtin("okta")
	w.must(err)
	path := w.integration("okta", "okta", "eventHook", oktaSecrets)
	w.settle("okta")
	n := 0
	return func(user string) answer {
		w.Helper()
		n++
		a := w.deliver(path, m.Webhook("eventHook"), oktaSecrets, fmt.Sprintf(oktaEvent, fmt.Sprint("hook-", n), fmt.Sprint("e-", n), user))
		if a.code != 200 || a.Duplicate {
			w.Fatalf("event %d: %d %s", n, a.code, a.body)
		}
		return a
	}
}

// A thousand events are kept in their order, and ask for one sync.
func TestBurstAsksForOneSync(t *testing.T) {
	each(t, func(w *world) {
		send := w.okta()
		for i := range 1000 {
			send(fmt.Sprintf("u%04d", i))
			w.clock.Step(time.Millisecond)
			if i%100 == 0 {
				w.must(w.drainer.Drain(w.Context()))
				if told := i/100 + 1; w.told != told {
					w.Fatalf("what starts runs was told %d times, want %d", w.told, told)
				}
			}
		}
		events := w.events()
		if len(events) != 1000 || !slices.IsSortedFunc(events, func(a, b model.Event) int { return strings.Compare(a.Subject, b.Subject) }) {
			w.Errorf("%d events, or not in their order", len(events))
		}
		if w.synced != 1 {
			w.Errorf("%d syncs were asked for", w.synced)
		}
	})
}

// flaky is a store that refuses what an endpoint's events say.
type flaky struct {
	webhook.DrainStore
	refuse func(store.HookEvents) error
}

func (f *flaky) ApplyHook(ctx context.Context, h store.HookEvents) (bool, error) {
	if err := f.refuse(h); err != nil {
		return false, err
	}
	return f.DrainStore.ApplyHook(ctx, h)
}

// An event at which the program itself fails is tried again as any other, and holds
// up its own endpoint alone.
func TestPanicHoldsUpItsEndpointAlone(t *testing.T) {
	for name, breaks := range map[string]func(w *world){
		"where it is read": func(w *world) {
			w.drainer.Manifest = func(handover.Spec) (*connector.Manifest, error) { panic("ada@acme.example") }
		},
		"where it is stored": func(w *world) {
			w.drainer.Store = &flaky{DrainStore: w.s, refuse: func(h store.HookEvents) error {
				if h.Hook.OwnerName == "okta" {
					panic("ada@acme.example")
				}
				return nil
			}}
		},
	} {
		t.Run(name, func(t *testing.T) {
			each(t, func(w *world) {
				send := w.okta()
				poison := send("poison").ID
				if got := w.send("POST", w.workflow("open", connector.GenericWebhook{}, ""), `{"a":1}`); got.code != 202 {
					w.Fatal(got.body)
				}
				breaks(w)
				w.must(w.drainer.Drain(w.Context()))
				e, err := w.s.ReceivedEvent(w.Context(), w.tenant, poison)
				w.must(err)
				if e.State != store.EventNew || e.Attempts != 1 || strings.Contains(e.Message, "ada@") {
					w.Errorf("the event is %+v", e)
				}
				if waiting, dead := w.waiting(); waiting != 1 || dead != 0 {
					w.Errorf("%d events wait and %d are dead letters", waiting, dead)
				}
			})
		})
	}
}

// What cannot be handled is tried again, ever later, and holds up what came after
// it at the same endpoint alone; in the end it is a dead letter, which can be
// replayed.
func TestRetriesAndDeadLetter(t *testing.T) {
	each(t, func(w *world) {
		send := w.okta()
		open := w.workflow("open", connector.GenericWebhook{}, "")
		poison := send("poison").ID
		after := send("after").ID
		if got := w.send("POST", open, `{"a":1}`); got.code != 202 {
			w.Fatal(got.body)
		}
		bad := &flaky{DrainStore: w.s, refuse: func(h store.HookEvents) error {
			if slices.ContainsFunc(h.Events, func(e model.Event) bool { return e.Subject == "poison" }) {
				return errors.New("the row is refused")
			}
			return nil
		}}
		w.drainer.Store = bad
		var waits []time.Duration
		for range 7 {
			w.must(w.drainer.Drain(w.Context()))
			e, err := w.s.ReceivedEvent(w.Context(), w.tenant, poison)
			w.must(err)
			if e.State != store.EventNew || e.Attempts != len(waits)+1 || e.NextTry == nil || !strings.Contains(e.Message, "refused") {
				w.Fatalf("after %d attempts: %+v", len(waits)+1, e)
			}
			wait := e.NextTry.Sub(w.clock.Now())
			waits = append(waits, wait)
			w.must(w.drainer.Drain(w.Context())) // too early
			w.clock.Step(wait)
			if next, err := w.s.ReceivedEvent(w.Context(), w.tenant, after); err != nil || next.State != store.EventNew {
				w.Fatalf("what came after is %q, %v", next.State, err)
			}
		}
		if waits[0] < 750*time.Millisecond || waits[0] > 1250*time.Millisecond || waits[6] < 48*time.Second || waits[6] > 80*time.Second {
			w.Errorf("waits %v", waits)
		}
		if events, err := w.s.NewEvents(w.Context(), w.tenant, 10); err != nil || len(events) != 1 || events[0].Subject != "Workflow/open" {
			w.Errorf("another endpoint's event: %v, %v", events, err)
		}
		events := w.events()
		e, err := w.s.ReceivedEvent(w.Context(), w.tenant, poison)
		w.must(err)
		if e.State != store.EventDead || !e.HasBody || e.Attempts != 8 || len(events) != 2 || events[1].Subject != "Workflow/open" && events[1].Subject != "after" {
			w.Fatalf("%+v, %v", e, events)
		}
		if got := w.send("POST", open, `{"a":1}`); !got.Duplicate {
			w.Errorf("a handled event again: %s", got.body)
		}
		w.drainer.Store = w.s
		w.must(w.s.ReplayEvent(w.Context(), w.ring, w.tenant, poison, model.Actor{Name: "grace", Kind: model.ActorUser}, "mended"))
		if events = w.events(); len(events) != 3 || !slices.ContainsFunc(events, func(e model.Event) bool { return e.Subject == "poison" }) {
			w.Errorf("replayed: %v", events)
		}
		if waiting, dead := w.waiting(); waiting != 0 || dead != 0 {
			w.Errorf("%d wait, %d are dead", waiting, dead)
		}
	})
}

// Events of what is gone are kept, and can be replayed by who connects it again.
func TestOrphans(t *testing.T) {
	each(t, func(w *world) {
		send := w.okta()
		var ids []string
		for i := range 20 {
			ids = append(ids, send(fmt.Sprint("u", i)).ID)
		}
		w.must(w.s.HideIntegration(w.Context(), w.tenant, "okta", time.Hour))
		if events := w.events(); len(events) != 0 {
			w.Fatalf("%d events", len(events))
		}
		if waiting, dead := w.waiting(); waiting != 0 || dead != 20 {
			w.Fatalf("%d wait, %d are dead", waiting, dead)
		}
		w.okta()
		w.must(w.s.ReplayEvent(w.Context(), w.ring, w.tenant, ids[3], model.Actor{Name: "grace", Kind: model.ActorUser}, ""))
		if events := w.events(); len(events) != 1 || events[0].Subject != "u3" {
			w.Fatalf("%v", events)
		}
	})
}

// Two gateways on one database take the same deliveries once each.
func TestTwoGateways(t *testing.T) {
	each(t, func(w *world) {
		if w.s.Dialect() == "sqlite" {
			w.Skip("SQLite serves one process")
		}
		path := w.workflow("open", connector.GenericWebhook{Dedupe: "${body.id}"}, "")
		second := serve(w.T, w.gateway(w.s, w.handler.Log))
		const events = 300
		ids, errs := make(chan [2]string, 2*events), make(chan error, 2*events)
		for i := range events {
			for _, server := range []int{0, 1} {
				go func() {
					to := w.server
					if server == 1 {
						to = second
					}
					a, err := post(w.Context(), to, "POST", path, fmt.Sprintf(`{"id":%d,"by":%d}`, i, server))
					if err == nil && a.code != 202 {
						err = fmt.Errorf("%d %s", a.code, a.body)
					}
					errs <- err
					ids <- [2]string{fmt.Sprint(i), a.ID}
				}()
			}
		}
		known := map[string]string{}
		for range 2 * events {
			w.must(<-errs)
			pair := <-ids
			if before := known[pair[0]]; before != "" && before != pair[1] {
				w.Errorf("event %s is known as %s and %s", pair[0], before, pair[1])
			}
			known[pair[0]] = pair[1]
		}
		got := w.events()
		said := map[string]int{}
		for _, e := range got {
			var p model.WebhookEvent
			var body struct{ ID int }
			w.must(json.Unmarshal(e.Payload, &p))
			w.must(json.Unmarshal(p.Body, &body))
			said[fmt.Sprint(body.ID)]++
		}
		if len(got) != events || len(said) != events {
			w.Errorf("%d events of %d", len(got), events)
		}
	})
}
