// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package licensepolicy

import (
	"hash/fnv"
	"time"

	"github.com/seatkeeper/seatkeeper/api/v1alpha1"
	"github.com/seatkeeper/seatkeeper/internal/reconcile"
	"github.com/seatkeeper/seatkeeper/internal/schedule"
	"github.com/seatkeeper/seatkeeper/internal/store"
)

// due says when a policy is evaluated next and whether it may act now.
type due struct {
	next time.Time
	// last is the scheduled instant that is not later than now; zero without a
	// schedule of its own.
	last time.Time
}

// mayAct says whether runs may be started: always without a schedule, else
// once per scheduled instant. An evaluation that something else woke reports
// and starts nothing.
func (d due) mayAct(state store.PolicyState) bool {
	if d.last.IsZero() {
		return true
	}
	since := state.CreatedAt
	if state.ActedAt != nil {
		since = *state.ActedAt
	}
	return d.last.After(since)
}

// dueAt resolves spec.schedule; unset is hourly, at an offset that spreads
// policies over the hour.
func dueAt(obj *v1alpha1.LicensePolicy, zone *time.Location, now time.Time) (due, error) {
	if obj.Spec.Schedule == "" {
		h := fnv.New32a()
		_, _ = h.Write([]byte(obj.Namespace + "/" + obj.Name)) // a hash.Hash never fails a write
		next := now.Truncate(time.Hour).Add(time.Duration(h.Sum32()%3600) * time.Second)
		if !next.After(now) {
			next = next.Add(time.Hour)
		}
		return due{next: next}, nil
	}
	s, err := schedule.Parse(obj.Spec.Schedule)
	if err != nil {
		return due{}, reconcile.Stalling(v1alpha1.ReasonScheduleInvalid, "spec.schedule: %v", err)
	}
	return due{next: s.Next(now, zone), last: lastBefore(s, now, zone)}, nil
}

// lastBefore returns the newest scheduled instant that is not later than now,
// looking back twice as far until there is one; a schedule that did not come in
// two years counts from then.
func lastBefore(s schedule.Schedule, now time.Time, zone *time.Location) time.Time {
	oldest := now.AddDate(-2, 0, 0)
	for span := time.Hour; ; span *= 2 {
		from := now.Add(-span)
		if from.Before(oldest) {
			from = oldest
		}
		last := time.Time{}
		for at := s.Next(from, zone); !at.IsZero() && !at.After(now); at = s.Next(at, zone) {
			last = at
		}
		if !last.IsZero() {
			return last
		}
		if from.Equal(oldest) {
			return oldest
		}
	}
}
