// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package workflow

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/seatkeeper/seatkeeper/internal/schedule"
)

// Span is a length of time: elapsed ("72h") or calendar days in a zone ("90d").
type Span struct {
	Days    int
	Elapsed time.Duration
}

// Hours is a span of elapsed hours.
func Hours(n int) Span { return Span{Elapsed: time.Duration(n) * time.Hour} }

// Days is a span of calendar days.
func Days(n int) Span { return Span{Days: n} }

// maxElapsed is the longest span that its written form can hold.
const maxElapsed = 99999 * time.Hour

var (
	daysForm     = regexp.MustCompile(`^[1-9][0-9]{0,3}d$`)
	durationForm = regexp.MustCompile(`^([0-9]{1,5}(h|m|s|ms)){1,4}$`)
)

// ParseSpan reads the forms of decision 23.
func ParseSpan(s string) (Span, error) {
	if daysForm.MatchString(s) {
		n, err := strconv.Atoi(s[:len(s)-1])
		return Span{Days: n}, err
	}
	if durationForm.MatchString(s) {
		d, err := time.ParseDuration(s)
		if err == nil && d > maxElapsed {
			err = fmt.Errorf("span %q: want at most %s", s, Span{Elapsed: maxElapsed})
		}
		if err != nil {
			return Span{}, err
		}
		return Span{Elapsed: d}, nil
	}
	return Span{}, fmt.Errorf("span %q: want days such as 90d, or a duration such as 72h or 1h30m", s)
}

// IsZero reports an unset span.
func (s Span) IsZero() bool { return s == Span{} }

// After returns the instant a span after t; days are calendar days in loc at
// the same wall time, as schedule resolves it.
func (s Span) After(t time.Time, loc *time.Location) time.Time {
	if s.Days != 0 {
		return schedule.AddDays(t, s.Days, loc)
	}
	return t.Add(s.Elapsed).UTC()
}

// String returns the form that ParseSpan reads: days, or each unit that is not
// zero, from hours down, since no number of decision 23 has over five digits.
func (s Span) String() string {
	if s.Days != 0 {
		return strconv.Itoa(s.Days) + "d"
	}
	var b strings.Builder
	rest := s.Elapsed
	for _, unit := range []struct {
		name   string
		length time.Duration
	}{{"h", time.Hour}, {"m", time.Minute}, {"s", time.Second}, {"ms", time.Millisecond}} {
		if n := rest / unit.length; n > 0 {
			b.WriteString(strconv.FormatInt(int64(n), 10) + unit.name)
			rest -= n * unit.length
		}
	}
	return b.String()
}

// MarshalText implements encoding.TextMarshaler.
func (s Span) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// UnmarshalText implements encoding.TextUnmarshaler.
func (s *Span) UnmarshalText(b []byte) (err error) {
	if len(b) == 0 {
		*s = Span{}
		return nil
	}
	*s, err = ParseSpan(string(b))
	return err
}
