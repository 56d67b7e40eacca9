// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package schedule

import (
	"slices"
	"strings"
	"testing"
)

// The names are those of the database: a release of Go may bring new ones.
func TestZoneNames(t *testing.T) {
	want := zoneNames(t)
	slices.Sort(want)
	if got := strings.Fields(zoneNamesText); !slices.Equal(got, want) {
		t.Errorf("zones.txt has %d names, the database %d: write the database's into it, sorted, one a line", len(got), len(want))
	}
}

func TestRules(t *testing.T) {
	if a, b := Rules(), Rules(); a != b || len(a) != 32 {
		t.Errorf("%q, then %q", a, b)
	}
}

func BenchmarkRules(b *testing.B) {
	for b.Loop() {
		_ = Rules()
	}
}
