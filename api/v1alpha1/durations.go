// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"
)

var (
	durationPattern = regexp.MustCompile(`^([0-9]{1,5}(h|m|s|ms)){1,4}$`)
	daysPattern     = regexp.MustCompile(`^(0|[1-9][0-9]{0,3})d$`)
)

// Parse returns the elapsed time. The empty Duration is 0.
func (d Duration) Parse() (time.Duration, error) {
	if d == "" {
		return 0, nil
	}
	if !durationPattern.MatchString(string(d)) {
		return 0, fmt.Errorf("duration %q: want elapsed time such as 90s or 1h30m", string(d))
	}
	return time.ParseDuration(string(d))
}

// Count returns the number of days. The empty Days is 0.
func (d Days) Count() (int, error) {
	if d == "0d" {
		return 0, fmt.Errorf("days %q: want at least 1d", string(d))
	}
	return DaysOrNone(d).Count()
}

// Count returns the number of days. The empty DaysOrNone is 0, so a caller that
// has a default looks for emptiness first.
func (d DaysOrNone) Count() (int, error) {
	if d == "" {
		return 0, nil
	}
	if !daysPattern.MatchString(string(d)) {
		return 0, fmt.Errorf("days %q: want calendar days such as 90d", string(d))
	}
	return strconv.Atoi(strings.TrimSuffix(string(d), "d"))
}

// Parse returns elapsed time or calendar days; the other is 0. Days are not
// turned into hours, since a calendar day has 23, 24 or 25 of them.
func (d DurationOrDays) Parse() (elapsed time.Duration, days int, err error) {
	if strings.HasSuffix(string(d), "d") {
		days, err = Days(d).Count()
		return 0, days, err
	}
	elapsed, err = Duration(d).Parse()
	return elapsed, 0, err
}
