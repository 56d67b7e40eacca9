// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package flowtest

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/seatkeeper/seatkeeper/internal/model"
	"github.com/seatkeeper/seatkeeper/internal/trigger"
	"github.com/seatkeeper/seatkeeper/internal/workflow"
)

// When is what happens. The Workflow's trigger says what comes of it; without a
// kind it is the one thing that the trigger names.
type When struct {
	// Person is something that happens to given.person.
	Person *PersonEvent `yaml:"person"`
	// Realtime is what a vendor tells.
	Realtime *RealtimeEvent `yaml:"realtime"`
	// Webhook is what is sent to the Workflow's address.
	Webhook *WebhookEvent `yaml:"webhook"`
	// Application is something that happens to given.application.
	Application *ApplicationEvent `yaml:"application"`
	// Contract and License say that the date of given.contract comes, or that
	// given.license is found unused.
	Contract *struct{} `yaml:"contract"`
	License  *struct{} `yaml:"license"`
	// Schedule is the time that comes.
	Schedule time.Time `yaml:"schedule"`
	// Event and Input are what somebody gives who starts a run by hand.
	Event Event          `yaml:"event"`
	Input map[string]any `yaml:"input"`
}

// Event is what expressions see as event.
type Event struct {
	Kind string `yaml:"kind"`
	Data any    `yaml:"data"`
}

// PersonEvent is one of the events of trigger person: what their source tells
// of given.person, or with StartsOn and EndsOn that it tells of them at all.
type PersonEvent struct {
	Event   string   `yaml:"event"`
	Changed []string `yaml:"changed"` // fields
	Was     string   `yaml:"was"`     // the lifecycle before
}

// RealtimeEvent is one thing that a vendor tells of.
type RealtimeEvent struct {
	ID               string         `yaml:"id"`
	Integration      string         `yaml:"integration"` // default: that of the trigger
	Event            string         `yaml:"event"`       // default: that of the trigger
	Account          string         `yaml:"account"`
	App              string         `yaml:"app"`
	Person           string         `yaml:"person"`
	PersonExternalID string         `yaml:"personExternalID"`
	At               time.Time      `yaml:"at"`
	Data             map[string]any `yaml:"data"`
}

// WebhookEvent is a body that somebody sends.
type WebhookEvent struct {
	ID   string `yaml:"id"`
	Body any    `yaml:"body"`
}

// kinds are what is said to happen, by the trigger that answers it.
func (w When) kinds() []string {
	var out []string
	for kind, said := range map[string]bool{kindPerson: w.Person != nil, kindRealtime: w.Realtime != nil, kindWebhook: w.Webhook != nil, kindSchedule: !w.Schedule.IsZero(),
		kindApplication: w.Application != nil, kindContract: w.Contract != nil, kindLicense: w.License != nil} {
		if said {
			out = append(out, kind)
		}
	}
	slices.Sort(out)
	return out
}

// Kinds of triggers.
const (
	kindPerson   = "person"
	kindRealtime = "realtime"
	kindWebhook  = "webhook"
	kindSchedule = "schedule"

	kindApplication = "application"
	kindContract    = "contract"
	kindLicense     = "license"
)

// personEvents are what the store tells when something happens to a person.
// Who is new brings their dates.
var personEvents = map[string]model.EventKind{
	trigger.Joined: model.EventPersonJoined, trigger.Left: model.EventPersonLeft, trigger.Changed: model.EventPersonChanged,
	trigger.StartsOn: model.EventPersonAdded, trigger.EndsOn: model.EventPersonAdded,
}

// fits says whether it can happen to this Workflow, and fills in what is clear.
func (w When) fits(wf *Workflow) (When, error) {
	kinds := w.kinds()
	if wf.Starts == nil {
		if len(kinds) > 0 {
			return w, fmt.Errorf("when.%s: runs of this Workflow are started by hand: say when.input or when.event", kinds[0])
		}
		return w, nil
	}
	switch {
	case len(kinds) > 1:
		return w, fmt.Errorf("when: %s: one thing happens at a time", strings.Join(kinds, ", "))
	case len(w.Input) > 0:
		return w, fmt.Errorf("when.input: is given by who starts a run by hand, and the Workflow has trigger %s", wf.Trigger)
	case len(kinds) == 0 && (w.Event.Kind != "" || w.Event.Data != nil):
		var err error
		if w, err = w.told(wf); err != nil {
			return w, err
		}
	case len(kinds) == 1 && kinds[0] != wf.Trigger:
		return w, fmt.Errorf("when.%s: the Workflow has trigger %s, so that can start nothing", kinds[0], wf.Trigger)
	}
	return w.filled(wf)
}

// filled adds what the trigger leaves no choice about.
func (w When) filled(wf *Workflow) (When, error) {
	switch s := wf.Starts; {
	case s.Person != nil:
		p := PersonEvent{}
		if w.Person != nil {
			p = *w.Person
		}
		if p.Event == "" && len(s.Person.Events) == 1 {
			p.Event = s.Person.Events[0]
		}
		if _, ok := personEvents[p.Event]; !ok {
			return w, fmt.Errorf("when.person.event: %q: want one of %s", p.Event, strings.Join(slices.Sorted(maps.Keys(personEvents)), ", "))
		}
		if p.Event == trigger.Changed && len(p.Changed) == 0 {
			p.Changed = s.Person.Changed
		}
		w.Person = &p
	case s.Realtime != nil:
		r := RealtimeEvent{}
		if w.Realtime != nil {
			r = *w.Realtime
		}
		r.Integration, r.Event = cmp.Or(r.Integration, s.Realtime.Integration), cmp.Or(r.Event, s.Realtime.Event)
		w.Realtime = &r
	case s.Application != nil:
		a := ApplicationEvent{}
		if w.Application != nil {
			a = *w.Application
		}
		if a.Event == "" && len(s.Application.Events) == 1 {
			a.Event = s.Application.Events[0]
		}
		if _, ok := appEvents[a.Event]; !ok {
			return w, fmt.Errorf("when.application.event: %q: want one of %s", a.Event, strings.Join(slices.Sorted(maps.Keys(appEvents)), ", "))
		}
		w.Application = &a
	case s.Webhook != nil && w.Webhook == nil:
		return w, errors.New("when.webhook: say the body that is sent")
	case s.Schedule != nil && w.Schedule.IsZero():
		return w, errors.New("when.schedule: say the time that comes, such as 2026-11-20T03:00:00Z")
	}
	return w, nil
}

// told reads an event as expressions see it.
func (w When) told(wf *Workflow) (When, error) {
	raw, err := json.Marshal(w.Event.Data)
	if err != nil {
		return w, fmt.Errorf("when.event.data: %w", err)
	}
	var data struct {
		Changed          []string       `json:"changed"`
		Was              string         `json:"was"`
		Time             time.Time      `json:"time"`
		Body             any            `json:"body"`
		Event            string         `json:"event"`
		Account          string         `json:"account"`
		Person           string         `json:"person"`
		PersonExternalID string         `json:"personExternalID"`
		Data             map[string]any `json:"data"`
	}
	if err := json.Unmarshal(raw, &data); err != nil {
		return w, fmt.Errorf("when.event.data: %w", err)
	}
	switch {
	case wf.Starts.Person != nil:
		for event, kind := range personEvents {
			if w.Event.Kind == string(kind) {
				w.Person = &PersonEvent{Event: event, Changed: data.Changed, Was: data.Was}
			}
		}
		if _, event, _ := strings.Cut(w.Event.Kind, "."); w.Person == nil || strings.HasSuffix(event, "On") {
			w.Person = &PersonEvent{Event: upper(event), Changed: data.Changed, Was: data.Was}
		}
	case wf.Starts.Realtime != nil:
		w.Realtime = &RealtimeEvent{Event: data.Event, Account: data.Account, Person: data.Person, PersonExternalID: data.PersonExternalID, Data: data.Data}
	case wf.Starts.Webhook != nil:
		w.Webhook = &WebhookEvent{Body: data.Body}
	case wf.Starts.Schedule != nil:
		w.Schedule = data.Time
	}
	return w, nil
}

func upper(s string) string {
	if s == "" {
		return s
	}
	return strings.ToUpper(s[:1]) + s[1:]
}

// event is what the outbox has of it; nothing for a schedule.
func (w When) event(wf *Workflow, given Given, now time.Time) (*model.Event, error) {
	e := &model.Event{ID: "when", CreatedAt: now}
	var payload any
	switch {
	case w.Person != nil:
		e.Kind, e.Subject = personEvents[w.Person.Event], personID(*given.Person)
		payload = personPayload(*given.Person, w.Person.Changed, w.Person.Was)
	case w.Realtime != nil:
		r := w.Realtime
		e.Kind, e.Integration = model.EventRealtime, r.Integration
		at := r.At
		if at.IsZero() {
			at = now
		}
		payload = model.RealtimeEvent{Name: r.Event, EventID: cmp.Or(r.ID, "1"), At: at, Account: r.Account, App: r.App, Person: r.Person, PersonExternalID: r.PersonExternalID, Data: r.Data}
	case w.Webhook != nil:
		body, err := json.Marshal(w.Webhook.Body)
		if err != nil {
			return nil, fmt.Errorf("when.webhook.body: %w", err)
		}
		e.Kind, e.Subject = model.EventWebhook, workflow.KindWorkflow+"/"+wf.Name
		payload = model.WebhookEvent{EventID: cmp.Or(w.Webhook.ID, "1"), ReceivedAt: now, Body: body}
	case w.Application != nil:
		e.Kind, e.Subject = appEvents[w.Application.Event], given.Application.Name
		if e.Integration = "discovery"; e.Kind != model.EventAppDiscovered {
			e.Integration = ""
		}
		payload = map[string]any{"state": given.Application.State, "was": w.Application.Was}
	default:
		return nil, nil
	}
	var err error
	e.Payload, err = json.Marshal(payload)
	return e, err
}

// personPayload is what the store tells with an event of a person.
func personPayload(p Person, changed []string, was string) map[string]any {
	if changed == nil {
		changed = []string{}
	}
	return map[string]any{"changed": changed, "lifecycle": p.Lifecycle, "was": was, "period": p.period(), "startDate": p.StartDate, "endDate": p.EndDate}
}
