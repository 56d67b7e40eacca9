// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package model

import (
	"math"
	"testing"
)

func TestGuardAllowed(t *testing.T) {
	for _, tc := range []struct {
		guard       Guard
		total, want int64
	}{
		{DefaultShrinkGuard, 0, 0},
		{DefaultShrinkGuard, -5, 0},
		{DefaultShrinkGuard, 1, 0}, // never over half: the only one does not go
		{DefaultShrinkGuard, 2, 1},
		{DefaultShrinkGuard, 30, 15},  // 20 would be over half
		{DefaultShrinkGuard, 100, 20}, // minItems beats 10 %
		{DefaultShrinkGuard, 201, 21}, // ⌈20.1⌉
		{DefaultShrinkGuard, 1000, 100},
		{DefaultActionGuard, 1000, 50},
		{DefaultActionGuard, 399, 20},
		{DefaultActionGuard, 401, 21},
		{Guard{MinItems: 0, MaxPercent: 0}, 1000, 0},
		{Guard{MinItems: -3, MaxPercent: -1}, 1000, 0},
		{Guard{MinItems: 100000, MaxPercent: 50}, 10, 5},
		{Guard{MaxPercent: 500}, 11, 5},
		{Guard{MaxPercent: 50}, math.MaxInt64, math.MaxInt64 / 2},
	} {
		if got := tc.guard.Allowed(tc.total); got != tc.want {
			t.Errorf("%+v of %d: %d, want %d", tc.guard, tc.total, got, tc.want)
		}
	}
}

func TestGuardTightenNeverLoosens(t *testing.T) {
	user := Guard{MinItems: 10, MaxPercent: 8}
	for manifest, want := range map[Guard]Guard{{}: user, {5, 0}: {5, 8}, {0, 3}: {10, 3}, {50, 50}: user} {
		if got := user.Tighten(manifest); got != want {
			t.Errorf("tightened by %+v: %+v, want %+v", manifest, got, want)
		}
	}
}

func TestSetDigestNamesASet(t *testing.T) {
	a := SetDigest([]string{"x", "y"})
	if a != SetDigest([]string{"y", "x", "x"}) {
		t.Error("order or repetition changes the digest")
	}
	for _, other := range [][]string{{"x"}, {"xy"}, {"x", "y", ""}, {"1:x1:y"}, nil} {
		if SetDigest(other) == a {
			t.Errorf("%q has the digest of x, y", other)
		}
	}
}
