// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package spelling

import (
	"strings"
	"testing"
)

func TestNearest(t *testing.T) {
	words := []string{"zoom-leaver", "onboarding", "offboarding", strings.Repeat("x", 70)}
	for word, want := range map[string]string{
		"zoom-leavr": "zoom-leaver", "ZOOM-LEAVER": "zoom-leaver", "offbording": "offboarding", "onbaording": "onboarding",
		"payroll": "", "": "", strings.Repeat("x", 69): "",
	} {
		if got := Nearest(word, words); got != want {
			t.Errorf("nearest to %q is %q, want %q", word, got, want)
		}
	}
}

func TestDistance(t *testing.T) {
	for _, c := range []struct {
		a, b string
		want int
	}{{"", "", 0}, {"a", "", 1}, {"", "ab", 2}, {"kitten", "sitting", 3}, {"größe", "grösse", 2}} {
		if got := Distance(c.a, c.b); got != c.want {
			t.Errorf("%q to %q: %d, want %d", c.a, c.b, got, c.want)
		}
	}
}
