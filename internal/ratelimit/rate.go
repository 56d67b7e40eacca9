// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

// Package ratelimit holds budgets of requests keyed by credential: token
// buckets for declared rates, and blocks for what a vendor said.
package ratelimit

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Rate is Count requests in every Per, with bursts of at most Burst (Count
// when zero). The zero Rate is no limit.
type Rate struct {
	Count int
	Per   time.Duration
	Burst int
}

// IsZero reports whether the rate limits nothing.
func (r Rate) IsZero() bool { return r.Count <= 0 || r.Per <= 0 }

// Max returns the greatest number of tokens that a bucket of this rate holds.
func (r Rate) Max() float64 {
	if r.Burst > 0 {
		return float64(r.Burst)
	}
	return float64(r.Count)
}

// PerSecond returns the refill of a bucket in tokens per second.
func (r Rate) PerSecond() float64 {
	if r.IsZero() {
		return 0
	}
	return float64(r.Count) / r.Per.Seconds()
}

// Scale returns the rate that leaves reservePercent of it to others, never
// less than one request per Per.
func (r Rate) Scale(reservePercent int) Rate {
	if r.IsZero() || reservePercent <= 0 {
		return r
	}
	if reservePercent > 99 {
		reservePercent = 99
	}
	share := func(n int) int { return max(1, n*(100-reservePercent)/100) }
	r.Count = share(r.Count)
	if r.Burst > 0 {
		r.Burst = share(r.Burst)
	}
	return r
}

// String returns the form that ParseRate reads.
func (r Rate) String() string {
	if r.IsZero() {
		return "unlimited"
	}
	for unit, d := range units {
		if r.Per == d {
			return strconv.Itoa(r.Count) + "/" + unit
		}
	}
	return strconv.Itoa(r.Count) + "/" + r.Per.String()
}

var units = map[string]time.Duration{"s": time.Second, "m": time.Minute, "h": time.Hour, "d": 24 * time.Hour}

// ParseRate reads "18/m": a count from 1 to 1,000,000, and s, m, h, d or a
// duration such as 10s.
func ParseRate(s string) (Rate, error) {
	count, per, ok := strings.Cut(s, "/")
	n, err := strconv.Atoi(strings.TrimSpace(count))
	if !ok || err != nil || n < 1 || n > 1_000_000 {
		return Rate{}, fmt.Errorf("rate %q: want a count and a unit such as 18/m", s)
	}
	per = strings.TrimSpace(per)
	if d, ok := units[per]; ok {
		return Rate{Count: n, Per: d}, nil
	}
	d, err := time.ParseDuration(per)
	if err != nil || d < time.Second || d > 31*24*time.Hour {
		return Rate{}, fmt.Errorf("rate %q: want s, m, h, d or a duration of 1s to 744h after the slash", s)
	}
	return Rate{Count: n, Per: d}, nil
}
