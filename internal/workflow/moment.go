// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package workflow

import (
	"cmp"
	"fmt"
	"time"

	"github.com/seatkeeper/seatkeeper/internal/schedule"
	"github.com/seatkeeper/seatkeeper/internal/store"
)

// Zones of a moment.
const (
	ZonePerson       = "Person"
	ZoneOrganization = "Organization"
)

// EndOfDay is the time of a moment at which the organisation's day of work ends.
const EndOfDay = "EndOfDay"

// defaultTime is the wall time of a moment that names none.
const defaultTime = "09:00"

// Clocks are what the wall times of a run go by.
type Clocks struct {
	Person       string // zone of the person; empty: the organisation's
	Organization string // zone of the organisation; empty: UTC
	EndOfDay     string // HH:MM; empty: 18:00
	// Weekdays and Holidays say which days are worked.
	Weekdays, Holidays []string
}

// ClocksOf are those of a person of the tenant.
func ClocksOf(facts store.TenantFacts, personZone string) Clocks {
	w := facts.Workday
	return Clocks{Person: personZone, Organization: facts.TimeZone, EndOfDay: w.End, Weekdays: w.Weekdays, Holidays: w.Holidays}
}

// Business are the days of work.
func (c Clocks) Business() (schedule.BusinessDays, error) {
	b, err := schedule.ParseBusinessDays(c.Weekdays, c.Holidays)
	if err != nil {
		return b, fmt.Errorf("workday of the Organization: %w", err)
	}
	return b, nil
}

// Zone is the zone that a moment means.
func (c Clocks) Zone(name string) *time.Location {
	switch name {
	case ZoneOrganization:
		return zoneOf(c.Organization)
	case "", ZonePerson:
		if loc, err := schedule.Zone(c.Person); err == nil {
			return loc
		}
		return zoneOf(c.Organization) // what no database knows is no zone
	}
	return zoneOf(name)
}

func zoneOf(name string) *time.Location {
	if loc, err := schedule.Zone(name); err == nil {
		return loc
	}
	return time.UTC
}

// Instant resolves the moment, whose date has the value.
func (m Moment) Instant(date any, c Clocks) (time.Time, error) {
	loc := c.Zone(m.Zone)
	var day schedule.Day
	var err error
	switch x := date.(type) {
	case time.Time:
		day = schedule.DayOf(x.In(loc))
	case string:
		if day, err = schedule.ParseDay(x); err != nil {
			return time.Time{}, err
		}
	default:
		return time.Time{}, fmt.Errorf("date: got a %T, want a calendar date", date)
	}
	wall := cmp.Or(m.Time, defaultTime)
	if wall == EndOfDay {
		wall = cmp.Or(c.EndOfDay, schedule.DefaultEndOfDay)
	}
	hour, minute, err := schedule.ParseTimeOfDay(wall)
	if err != nil {
		return time.Time{}, err
	}
	at := schedule.Moment{Day: day, OffsetDays: m.OffsetDays, OffsetBusinessDays: m.OffsetBusinessDays, Hour: hour, Minute: minute, Zone: loc}
	if m.OffsetBusinessDays != nil {
		if at.Business, err = c.Business(); err != nil {
			return time.Time{}, err
		}
	}
	return at.Instant()
}
