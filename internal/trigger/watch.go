// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package trigger

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/seatkeeper/seatkeeper/internal/model"
	"github.com/seatkeeper/seatkeeper/internal/schedule"
	"github.com/seatkeeper/seatkeeper/internal/store"
	"github.com/seatkeeper/seatkeeper/internal/workflow"
)

// localBody is what the templates of a webhook's trigger read.
const localBody = "body"

// watch is a Workflow with its trigger, compiled.
type watch struct {
	store.WorkflowState
	spec Spec
	// broken says why the trigger does not compile; empty: it does.
	broken string
	when   func(vars map[string]any) (bool, error) // nil: always
	at     *moment                                 // spec.at; nil: none
	// startsOn and endsOn are the moments of those events where spec.at says none.
	startsOn, endsOn *moment
	contractAt       *moment // of the date that a contract is answered by
	match            []func(vars map[string]any) (any, error)
	fields           map[string]func(vars map[string]any) (any, error)
	cron             schedule.Schedule
}

// FieldError says which field of a trigger is wrong, as its Workflow names it.
type FieldError struct {
	Field string
	Err   error
}

func (e *FieldError) Error() string { return e.Field + ": " + e.Err.Error() }
func (e *FieldError) Unwrap() error { return e.Err }

// Check compiles a trigger as the loop will. The error is a *FieldError.
func Check(s Spec, lang workflow.Language) error {
	_, err := compile(store.WorkflowState{}, s, lang)
	return err
}

func compile(state store.WorkflowState, s Spec, lang workflow.Language) (w *watch, err error) {
	w = &watch{WorkflowState: state, spec: s}
	at := func(field string, err error) error {
		if err == nil {
			return nil
		}
		return &FieldError{field, err}
	}
	if s.When != "" {
		if w.when, err = lang.Condition(s.Subject, s.When); err != nil {
			return nil, at("spec.when", err)
		}
	}
	if err := w.compileMoments(lang); err != nil {
		return nil, at("spec.at.date", err)
	}
	if s.Schedule != nil {
		if w.cron, err = schedule.Parse(s.Schedule.Cron); err != nil {
			return nil, at("spec.trigger.schedule.cron", err)
		}
		if s.Schedule.TimeZone != "" {
			if _, err = schedule.Zone(s.Schedule.TimeZone); err != nil {
				return nil, at("spec.trigger.schedule.timeZone", err)
			}
		}
	}
	return w, w.compilePerson(s.Webhook, lang)
}

// Dates of a person, as expressions name them.
const (
	dateStart = "person.startDate"
	dateEnd   = "person.endDate"
)

func (w *watch) compileMoments(lang workflow.Language) (err error) {
	of := func(m workflow.Moment) (*moment, error) {
		date, err := lang.Value(w.spec.Subject, m.Date)
		return &moment{Moment: m, date: date}, err
	}
	if w.spec.At != nil {
		if w.at, err = of(*w.spec.At); err != nil {
			return err
		}
	}
	if w.watches(StartsOn) {
		if w.startsOn, err = of(workflow.Moment{Date: dateStart}); err != nil {
			return err
		}
	}
	if w.watches(EndsOn) {
		if w.endsOn, err = of(workflow.Moment{Date: dateEnd, Time: workflow.EndOfDay}); err != nil {
			return err
		}
	}
	if w.spec.Contract != nil {
		m, err := w.spec.Contract.moment(w.spec.At)
		if err != nil {
			return err
		}
		if w.contractAt, err = of(m); err != nil {
			return err
		}
		w.at = nil // that is what it is
	}
	switch {
	case w.at == nil:
	case w.watches(StartsOn) && w.watches(EndsOn):
		return fmt.Errorf("%s and %s have dates of their own: one Workflow for each, or no spec.at", StartsOn, EndsOn)
	case w.watches(StartsOn) && w.spec.At.Date != dateStart:
		return fmt.Errorf("%q: with event %s the date is %s, moved by offsetDays", w.spec.At.Date, StartsOn, dateStart)
	case w.watches(EndsOn) && w.spec.At.Date != dateEnd:
		return fmt.Errorf("%q: with event %s the date is %s, moved by offsetDays", w.spec.At.Date, EndsOn, dateEnd)
	}
	return nil
}

// watches reports that the Workflow has the event of people in its trigger.
func (w *watch) watches(event string) bool {
	return w.spec.Person != nil && slices.Contains(w.spec.Person.Events, event)
}

func (w *watch) compilePerson(h *Webhook, lang workflow.Language) error {
	if h == nil {
		return nil
	}
	for i, m := range h.Match {
		f, err := lang.Template("", m.Value, localBody)
		if err != nil {
			return &FieldError{fmt.Sprintf("spec.trigger.webhook.person.match[%d].%s", i, m.Field), err}
		}
		w.match = append(w.match, f)
	}
	w.fields = map[string]func(map[string]any) (any, error){}
	for name, source := range h.Fields {
		field := "spec.trigger.webhook.person.fields." + name
		if !settable(name) {
			return &FieldError{field, errors.New("no person has such a field: " + settableNames())}
		}
		f, err := lang.Template("", source, localBody)
		if err != nil {
			return &FieldError{field, err}
		}
		w.fields[name] = f
	}
	return nil
}

// fact is something that a Workflow would answer with a run.
type fact struct {
	key    string
	kind   string
	person string // id; empty: of nobody, or of whom data tells
	// subject is the app, the contract or the seat; empty: none.
	subject string
	label   string
	source  string // Integration
	data    map[string]any
	at      time.Time // when it came to be known
	due     time.Time // when its run is to start
	period  int64     // of employment, of facts about one
	// row is the start that waited; nil for what has just come.
	row *store.WorkflowStart
}

// Keys of facts (decision 2).
func joinKey(person string, period int64) string  { return fmt.Sprintf("in/%s/%d", person, period) }
func leaveKey(person string, period int64) string { return fmt.Sprintf("out/%s/%d", person, period) }

// personPayload is what the store tells with an event of a person.
type personPayload struct {
	Changed []string `json:"changed"`
	Was     string   `json:"was"`
	// StartDate and EndDate are those of the person then.
	StartDate string `json:"startDate"`
	EndDate   string `json:"endDate"`
	Period    int64  `json:"period"`
}

// facts are what an event means to the Workflow. They are decided by the event
// alone.
func (w *watch) facts(e model.Event) (out []fact, err error) {
	if e.Initial || e.CreatedAt.Before(w.CreatedAt) {
		return nil, nil // nobody joined, and nobody was told
	}
	f, ok, err := w.fact(e)
	if err != nil {
		return nil, err
	}
	if ok {
		out = append(out, f)
	}
	apps, err := w.appFacts(e)
	if err != nil {
		return nil, err
	}
	dated, err := w.datedFacts(e)
	return append(append(out, apps...), dated...), err
}

func (w *watch) fact(e model.Event) (f fact, ok bool, err error) {
	f = fact{kind: string(e.Kind), at: e.CreatedAt, due: e.CreatedAt, source: e.Integration}
	switch {
	case w.spec.Realtime != nil && e.Kind == model.EventRealtime:
		var r model.RealtimeEvent
		if err := json.Unmarshal(e.Payload, &r); err != nil {
			return f, false, fmt.Errorf("event %s: %w", e.ID, err)
		}
		if e.Integration != w.spec.Realtime.Integration || r.Name != w.spec.Realtime.Event {
			return f, false, nil
		}
		id := r.EventID
		if id == "" {
			id = e.ID
		}
		f.key, f.label = "realtime/"+e.Integration+"/"+short(id), or(r.Person, r.PersonExternalID, r.Account, r.App, r.Name)
		f.data, err = decoded(e.Payload)
		return f, true, err
	case w.spec.Webhook != nil && e.Kind == model.EventWebhook && e.Subject == workflow.KindWorkflow+"/"+w.Name:
		var h model.WebhookEvent
		if err := json.Unmarshal(e.Payload, &h); err != nil {
			return f, false, fmt.Errorf("event %s: %w", e.ID, err)
		}
		f.key, f.label = "webhook/"+h.EventID, h.EventID
		f.data, err = decoded(e.Payload)
		return f, true, err
	case w.spec.Person != nil:
		return w.personFact(f, e)
	}
	return f, false, nil
}

func (w *watch) personFact(f fact, e model.Event) (fact, bool, error) {
	event := map[model.EventKind]string{model.EventPersonJoined: Joined, model.EventPersonLeft: Left, model.EventPersonChanged: Changed}[e.Kind]
	if event == "" || !slices.Contains(w.spec.Person.Events, event) {
		return f, false, nil
	}
	var p personPayload
	if err := json.Unmarshal(e.Payload, &p); err != nil {
		return f, false, fmt.Errorf("event %s: %w", e.ID, err)
	}
	f.person = e.Subject
	switch event {
	case Joined:
		f.key, f.period = joinKey(f.person, p.Period), p.Period
	case Left:
		f.key, f.period = leaveKey(f.person, p.Period), p.Period
	default:
		if !slices.ContainsFunc(p.Changed, func(field string) bool { return slices.Contains(w.spec.Person.Changed, field) }) {
			return f, false, nil
		}
		f.key = "changed/" + e.ID
	}
	changed := make([]any, len(p.Changed))
	for i, c := range p.Changed {
		changed[i] = c
	}
	f.data = map[string]any{"changed": changed, "was": p.Was}
	return f, true, nil
}

// datedFacts are the dates that an event of a person brings.
func (w *watch) datedFacts(e model.Event) (out []fact, err error) {
	if w.startsOn == nil && w.endsOn == nil || e.Kind != model.EventPersonAdded && e.Kind != model.EventPersonChanged {
		return nil, nil
	}
	var p personPayload
	if err := json.Unmarshal(e.Payload, &p); err != nil {
		return nil, fmt.Errorf("event %s: %w", e.ID, err)
	}
	brings := func(field, date string) bool {
		return date != "" && (e.Kind == model.EventPersonAdded || slices.Contains(p.Changed, field))
	}
	if w.startsOn != nil && brings("startDate", p.StartDate) {
		out = append(out, datedFact(kindStartsOn, e.Subject, p.Period, p.StartDate, e.CreatedAt))
	}
	if w.endsOn != nil && brings("endDate", p.EndDate) {
		out = append(out, datedFact(kindEndsOn, e.Subject, p.Period, p.EndDate, e.CreatedAt))
	}
	return out, nil
}

func datedFact(kind, person string, period int64, date string, at time.Time) fact {
	f := fact{kind: kind, person: person, data: map[string]any{"date": date}, at: at, due: at, key: joinKey(person, period), period: period}
	if kind == kindEndsOn {
		f.key = leaveKey(person, period)
	}
	return f
}

// waiting is a fact that was written down before.
func waiting(row store.WorkflowStart) (fact, error) {
	data, err := decoded(row.Data)
	period, _ := strconv.ParseInt(row.Key[strings.LastIndexByte(row.Key, '/')+1:], 10, 64) // only where the key has one
	return fact{period: period, key: row.Key, kind: row.Kind, person: row.PersonID, subject: row.Subject, label: row.Label, source: row.Source, data: data, at: row.HappenedAt, due: row.DueAt, row: &row}, err
}

func decoded(raw json.RawMessage) (out map[string]any, err error) {
	if err = json.Unmarshal(raw, &out); err != nil {
		return nil, fmt.Errorf("the content of an event: %w", err)
	}
	return out, nil
}

// Kinds of facts that are no events of the outbox.
const (
	kindStartsOn = "person.startsOn"
	kindEndsOn   = "person.endsOn"
	kindSchedule = "schedule"
)

// dated reports a fact that is a date in a record.
func (f fact) dated() bool {
	return f.kind == kindStartsOn || f.kind == kindEndsOn || f.kind == kindContract
}

// event is what expressions see of the fact.
func (f fact) event() map[string]any { return map[string]any{"kind": f.kind, "data": f.data} }

// start is the fact as a row.
func (f fact) start(workflow string, v verdict) store.WorkflowStart {
	out := store.WorkflowStart{Workflow: workflow, Key: f.key, Kind: f.kind, PersonID: f.person, Subject: f.subject, Label: clip(f.label), Source: f.source,
		State: v.state, Reason: v.reason, Message: v.message, HappenedAt: f.at, DueAt: f.due, LookAt: v.look}
	if !v.due.IsZero() {
		out.DueAt = v.due
	}
	out.Data, _ = json.Marshal(f.data) // came from JSON
	return out
}

// maxKey bounds what of a vendor's id is in a key, which an index has.
const maxKey = 200

// short is an id, or the digest of a long one, or of one that no database can have.
func short(id string) string {
	if len(id) <= maxKey && strings.IndexByte(id, 0) < 0 {
		return id
	}
	sum := sha256.Sum256([]byte(id))
	return "sha256:" + hex.EncodeToString(sum[:])
}

// clip bounds what people read.
func clip(text string) string {
	text = strings.ReplaceAll(text, "\x00", "")
	if r := []rune(text); len(r) > maxKey {
		return string(r[:maxKey]) + "…"
	}
	return text
}

func or(texts ...string) string {
	for _, t := range texts {
		if t != "" {
			return t
		}
	}
	return ""
}
