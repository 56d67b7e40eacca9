// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package schedule

import (
	"fmt"
	"math/bits"
	"strings"
	"time"

	"github.com/robfig/cron/v3"
)

// Schedule is a cron schedule of five fields. The zero value never comes.
//
// Where the hour has a * or a step, it runs on real time: at every instant
// whose wall time matches, so that an hourly schedule comes each hour of a day
// of 23 or 25. Else its wall times come once a local day each, as the package
// says: no day is left out.
type Schedule struct {
	text                              string
	minute, hour, dom, month, weekday uint64 // a bit for each value
	either                            bool   // day of month or weekday, as both are restricted
	realTime                          bool
}

// fields of a schedule, in order.
var fields = [...]struct{ name, want string }{
	{"minute", "0-59"},
	{"hour", "0-23"},
	{"day of month", "1-31"},
	{"month", "1-12 or JAN-DEC"},
	{"weekday", "0-6 (0 is Sunday) or SUN-SAT"},
}

// maxText is far beyond any schedule of use.
const maxText = 256

// star marks a field that restricts nothing, in what the parser returns.
const star = 1 << 63

var parser = cron.NewParser(cron.Minute | cron.Hour | cron.Dom | cron.Month | cron.Dow)

// Parse reads five cron fields. The error names the field.
func Parse(text string) (Schedule, error) {
	in := strings.Fields(text)
	if len(in) != len(fields) || len(text) > maxText {
		return Schedule{}, fmt.Errorf("schedule %q: want five cron fields (minute hour day-of-month month weekday), such as 0 9 * * MON; got %d", text[:min(len(text), maxText)], len(in))
	}
	for i, f := range in {
		if err := parseField(i, f); err != nil {
			return Schedule{}, fmt.Errorf("schedule %q: %s %q: %w; want %s, lists, ranges and steps of them", text, fields[i].name, f, err, fields[i].want)
		}
	}
	parsed, err := parser.Parse(strings.Join(in, " "))
	if err != nil {
		return Schedule{}, fmt.Errorf("schedule %q: %w", text, err)
	}
	p := parsed.(*cron.SpecSchedule) // what the parser is documented to return
	s := Schedule{
		text: strings.Join(in, " "), minute: p.Minute &^ star, hour: p.Hour &^ star, dom: p.Dom &^ star, month: p.Month &^ star, weekday: p.Dow &^ star,
		either: p.Dom&star == 0 && p.Dow&star == 0, realTime: strings.ContainsAny(in[1], "*?/"),
	}
	if !s.comes() {
		return Schedule{}, fmt.Errorf("schedule %q: day of month %q never comes in month %q", text, in[2], in[3])
	}
	return s, nil
}

// parseField checks one field by itself.
func parseField(i int, f string) error {
	for _, c := range f {
		if !strings.ContainsRune("0123456789*?/,-", c) && (c < 'A' || c > 'Z') && (c < 'a' || c > 'z') {
			return fmt.Errorf("%q has no meaning", c)
		}
	}
	for item := range strings.SplitSeq(f, ",") {
		if item == "" {
			return fmt.Errorf("an item of the list is empty")
		}
	}
	alone := [...]string{"*", "*", "*", "*", "*"}
	alone[i] = f
	_, err := parser.Parse(strings.Join(alone[:], " "))
	return err
}

// comes is false for the 30th of February.
func (s Schedule) comes() bool {
	if s.either || s.dom == 0 {
		return true
	}
	for m := time.January; m <= time.December; m++ {
		longest := time.Date(2024, m+1, 0, 0, 0, 0, 0, time.UTC).Day()
		if s.month&(1<<m) != 0 && bits.TrailingZeros64(s.dom) <= longest {
			return true
		}
	}
	return false
}

// String returns the text that was parsed.
func (s Schedule) String() string { return s.text }

// horizon is longer than any schedule stays away: a leap day over a century
// that is none.
const horizon = 9 * 366 * 24 * time.Hour

// Next returns the first instant later than after at which the schedule comes
// in the zone; the zero time for a zero Schedule.
func (s Schedule) Next(after time.Time, loc *time.Location) time.Time {
	if s.realTime {
		return s.nextReal(after, loc)
	}
	wall := wallOf(after.In(loc))
	for limit := wall.Add(horizon); ; {
		wall = s.nextWall(wall.Truncate(time.Minute).Add(time.Minute), limit)
		if wall.IsZero() {
			return time.Time{}
		}
		if t := at(wall, loc); t.After(after) {
			return t
		}
	}
}

// nextReal looks between one change of the clocks and the next, where wall
// times run as real time does.
func (s Schedule) nextReal(after time.Time, loc *time.Location) time.Time {
	from, limit := after.Add(1), after.Add(horizon)
	for from.Before(limit) {
		in := from.In(loc)
		_, seconds := in.Zone()
		offset := time.Duration(seconds) * time.Second
		_, end := in.ZoneBounds()
		until := limit
		if !end.IsZero() && end.Before(limit) {
			until = end
		}
		wall := from.UTC().Add(offset)
		if t := wall.Truncate(time.Minute); t.Before(wall) {
			wall = t.Add(time.Minute)
		}
		if wall = s.nextWall(wall, until.UTC().Add(offset)); !wall.IsZero() {
			return wall.Add(-offset)
		}
		from = until
	}
	return time.Time{}
}

// nextWall returns the first wall time from wall on, a full minute, and before
// limit; zero: there is none.
func (s Schedule) nextWall(wall, limit time.Time) time.Time {
	for wall.Before(limit) {
		y, m, d := wall.Date()
		switch {
		case s.month&(1<<m) == 0:
			wall = time.Date(y, m+1, 1, 0, 0, 0, 0, time.UTC)
		case !s.onDay(d, wall.Weekday()):
			wall = time.Date(y, m, d+1, 0, 0, 0, 0, time.UTC)
		case s.hour&(1<<wall.Hour()) == 0:
			wall = time.Date(y, m, d, wall.Hour()+1, 0, 0, 0, time.UTC)
		case s.minute&(1<<wall.Minute()) == 0:
			wall = wall.Add(time.Minute)
		default:
			return wall
		}
	}
	return time.Time{}
}

// onDay follows cron: where day of month and weekday are both restricted,
// either will do.
func (s Schedule) onDay(day int, w time.Weekday) bool {
	dom, weekday := s.dom&(1<<day) != 0, s.weekday&(1<<w) != 0
	if s.either {
		return dom || weekday
	}
	return dom && weekday
}

// Key names what comes at an instant of a schedule: the local date and wall
// time, so that nothing comes twice when the zone of a schedule is changed, or
// its clocks are set back. Where a schedule on real time comes a second time at
// a wall time, the key has the offset too.
func Key(instant time.Time, loc *time.Location) string {
	t := instant.In(loc)
	wall := wallOf(t).Truncate(time.Minute)
	if first := at(wall, loc); instant.Sub(first) < time.Minute {
		return wall.Format("2006-01-02T15:04")
	}
	return t.Format("2006-01-02T15:04-07:00")
}
