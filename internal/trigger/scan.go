// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package trigger

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/seatkeeper/seatkeeper/internal/defect"
	"github.com/seatkeeper/seatkeeper/internal/model"
	"github.com/seatkeeper/seatkeeper/internal/schedule"
	"github.com/seatkeeper/seatkeeper/internal/store"
	"github.com/seatkeeper/seatkeeper/internal/workflow"
)

const (
	// scanEvery is how often the moments of a Workflow are looked for. A change of
	// a date is seen at once, by its event.
	scanEvery = time.Hour
	// ahead is how far: a manager that is away for a day misses no moment.
	ahead = 26 * time.Hour
	// zones is how far apart the same date can be in two zones.
	zones = 2
	// onTime is how late a time of a schedule may be seen without being missed.
	onTime = 5 * time.Minute
	// caughtUp is how many times of a schedule are caught up with at most.
	caughtUp = 24
)

// scan adds the moments of a Workflow that no event brings: dates that people had
// from the beginning, and times of a schedule. Where they cannot be looked for now,
// that is tried again in a minute, and holds up no other Workflow.
func (l *look) scan(ctx context.Context, w *watch, facts []fact) ([]fact, error) {
	done := store.Scan{Workflow: w.Name, At: w.ScannedAt, Next: l.now.Add(lookAgain)}
	if _, ready := w.open(fact{due: l.now}, l.now); ready || w.Suspended { // else what passes meanwhile is caught up with
		found, next := facts, time.Time{}
		err := defect.Guard(func() (err error) { found, next, err = l.moments(ctx, w, facts); return err })
		switch {
		case err == nil:
			facts, done.At, done.Next = found, l.now, next
		case ctx.Err() != nil:
			return nil, err
		default:
			l.failures = append(l.failures, failure{w.Name, err})
			l.defect(err)
		}
	}
	l.out.Scans = append(l.out.Scans, done)
	return facts, nil
}

// moments are the facts with those that a scan finds, and when to scan again.
func (l *look) moments(ctx context.Context, w *watch, facts []fact) (_ []fact, next time.Time, err error) {
	next = l.now.Add(scanEvery)
	switch {
	case w.spec.Schedule != nil && w.Suspended:
		_, next, err = l.times(ctx, w, nil)
	case w.spec.Schedule != nil:
		facts, next, err = l.times(ctx, w, facts)
	case w.startsOn != nil || w.endsOn != nil:
		err = l.dates(ctx, w, facts)
	case w.spec.Contract != nil:
		facts, err = l.contracts(ctx, w, facts)
	case w.spec.License != nil:
		more := false
		if facts, more, err = l.licenses(ctx, w, facts); more {
			next = l.now
		}
	}
	return facts, next, err
}

// times are the times of a schedule that have come since the last look. Of several
// that were missed the last counts, unless the Workflow wants all.
func (l *look) times(ctx context.Context, w *watch, facts []fact) (_ []fact, next time.Time, err error) {
	zone := w.spec.Schedule.TimeZone
	if zone == "" {
		all, err := l.Store.TenantFacts(ctx, l.tenant)
		if err != nil {
			return nil, next, err
		}
		zone = all.TimeZone
	}
	loc := workflow.Clocks{}.Zone(zone)
	var missed []time.Time
	for next = w.cron.Next(w.ScannedAt, loc); !next.IsZero() && !next.After(l.now); next = w.cron.Next(next, loc) {
		if missed = append(missed, next); len(missed) > caughtUp {
			missed = missed[1:]
		}
	}
	if len(missed) > 1 && (w.spec.CatchUp == nil || w.spec.CatchUp.Mode != CatchUpRun) {
		missed = missed[len(missed)-1:]
	}
	for _, at := range missed {
		known := fact{kind: kindSchedule, at: l.now}
		if l.now.Sub(at) > onTime && w.spec.CatchUp != nil && !w.late(known, l.now, at, workflow.Clocks{Organization: zone}) {
			continue
		}
		key := schedule.Key(at, loc)
		facts = append(facts, fact{key: "at/" + key, kind: kindSchedule, label: key, data: map[string]any{"time": at.In(loc).Format(time.RFC3339)}, at: at, due: at})
	}
	return facts, next, nil
}

// dates writes down the moments of people that come next, so that people can see
// them. What an event has brought is there already.
func (l *look) dates(ctx context.Context, w *watch, facts []fact) error {
	known := map[string]bool{}
	for _, f := range facts {
		known[f.key] = true
	}
	for _, kind := range []string{kindStartsOn, kindEndsOn} {
		m := w.momentOf(fact{kind: kind})
		if m == nil || kind == kindStartsOn && w.startsOn == nil || kind == kindEndsOn && w.endsOn == nil {
			continue
		}
		from, to, err := l.between(ctx, m, schedule.DayOf(w.ScannedAt).AddDays(-zones), schedule.DayOf(l.now.Add(ahead)).AddDays(zones))
		if err != nil {
			return err
		}
		for after := ""; ; {
			ids, err := l.Store.DatedPeople(ctx, l.tenant, kind == kindEndsOn, model.Date(from.String()), model.Date(to.String()), after, batch)
			if err != nil {
				return fmt.Errorf("find people with dates: %w", err)
			}
			for _, id := range ids {
				if err := l.date(ctx, w, kind, id, m, known); err != nil {
					return err
				}
			}
			if len(ids) < batch {
				break
			}
			after = ids[len(ids)-1]
		}
	}
	return nil
}

// date writes down one person's moment if it comes soon, or came since the last
// look, and nothing has been made of it.
func (l *look) date(ctx context.Context, w *watch, kind, id string, m *moment, known map[string]bool) error {
	p, err := l.Store.Person(ctx, l.tenant, id)
	if errors.Is(err, store.ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	date := p.StartDate
	if kind == kindEndsOn {
		date = p.EndDate
	}
	f := datedFact(kind, id, p.Period, string(date), l.now)
	if known[f.key] {
		return nil
	}
	taken, err := l.Store.TakenKeys(ctx, l.tenant, w.Name, []string{f.key})
	if err != nil || taken[f.key] {
		return err
	}
	all, err := workflow.Beginning{Event: f.event(), Person: &p}.Vars(ctx, l.Store, l.tenant)
	if err != nil {
		return err
	}
	clocks, err := l.clocks(ctx, m, all)
	if err != nil {
		return err
	}
	at, ok, err := m.instant(workflow.Scope(all, l.now), clocks)
	if err != nil || !ok || !at.After(w.ScannedAt) || at.After(l.now.Add(ahead)) {
		return nil // what it has no value for is no moment; what had passed before the Workflow looked is none of its
	}
	f.label = or(p.Email, p.DisplayName)
	v := wait(at, ReasonMoment, "the run starts at %s", at.Format(time.RFC3339))
	v.due = at
	known[f.key] = true
	l.out.Starts = append(l.out.Starts, f.start(w.Name, v))
	return nil
}
