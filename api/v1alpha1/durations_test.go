// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

import (
	"math"
	"testing"
	"time"
)

func TestDurationOrDaysParse(t *testing.T) {
	tests := []struct {
		text    DurationOrDays
		elapsed time.Duration
		days    int
		ok      bool
	}{
		{"", 0, 0, true},
		{"90s", 90 * time.Second, 0, true},
		{"1h30m", 90 * time.Minute, 0, true},
		{"250ms", 250 * time.Millisecond, 0, true},
		{"99999h99999h99999h99999h", 4 * 99999 * time.Hour, 0, true},
		{"3d", 0, 3, true},
		{"9999d", 0, 9999, true},
		{"0d", 0, 0, false},
		{"03d", 0, 0, false},
		{"10000d", 0, 0, false},
		{"d", 0, 0, false},
		{"1d12h", 0, 0, false},
		{"1.5h", 0, 0, false},
		{"-1h", 0, 0, false},
		{"60", 0, 0, false},
		{"PT1H", 0, 0, false},
		{"1h\n", 0, 0, false},
	}
	for _, tt := range tests {
		elapsed, days, err := tt.text.Parse()
		if (err == nil) != tt.ok || elapsed != tt.elapsed || days != tt.days {
			t.Errorf("%q = %v, %d days, %v; want %v, %d days, ok %t", tt.text, elapsed, days, err, tt.elapsed, tt.days, tt.ok)
		}
	}
	if n, err := DaysOrNone("0d").Count(); n != 0 || err != nil {
		t.Errorf("0d = %d, %v; want 0 without an error", n, err)
	}
}

func FuzzDurationOrDaysParse(f *testing.F) {
	for _, seed := range []string{"", "72h", "3d", "1h30m", "250ms", "0d", "-1h", "1e9h"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		elapsed, days, err := DurationOrDays(text).Parse()
		if elapsed < 0 || days < 0 || days > math.MaxInt16 {
			t.Errorf("%q = %v, %d days", text, elapsed, days)
		}
		if elapsed != 0 && days != 0 {
			t.Errorf("%q is both %v and %d days", text, elapsed, days)
		}
		if err != nil && (elapsed != 0 || days != 0) {
			t.Errorf("%q has the value %v, %d days beside the error %v", text, elapsed, days, err)
		}
	})
}
