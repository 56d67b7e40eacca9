// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package model

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
)

// Guard bounds how much of a set one sync may remove or one policy may act on
// before a person releases it.
type Guard struct {
	// MinItems may always go, within half of the set.
	MinItems int
	// MaxPercent of the set may go, rounded up.
	MaxPercent int
}

// The guards that apply where nothing else is declared.
var (
	DefaultShrinkGuard = Guard{MinItems: 20, MaxPercent: 10}
	DefaultActionGuard = Guard{MinItems: 20, MaxPercent: 5}
)

// Allowed returns how many of a set of total may go:
// max(MinItems, ⌈MaxPercent of total⌉), and never over half of the set.
func (g Guard) Allowed(total int64) int64 {
	if total <= 0 {
		return 0
	}
	percent := min(max(int64(g.MaxPercent), 0), 100)
	// total/100*percent does not overflow where total*percent might.
	share := total/100*percent + (total%100*percent+99)/100
	return min(max(int64(g.MinItems), share, 0), total/2)
}

// Tighten returns the stricter of both bounds, field by field: a connector may
// only ever narrow what the user declared. Zero fields of o leave g as it is.
func (g Guard) Tighten(o Guard) Guard {
	if o.MinItems > 0 {
		g.MinItems = min(g.MinItems, o.MinItems)
	}
	if o.MaxPercent > 0 {
		g.MaxPercent = min(g.MaxPercent, o.MaxPercent)
	}
	return g
}

// SetDigest names a set of items independently of their order: a release is
// bound to it, so that it releases this set and no later one.
func SetDigest(items []string) string {
	sorted := slices.Sorted(slices.Values(items))
	h := sha256.New()
	for _, item := range slices.Compact(sorted) {
		_, _ = fmt.Fprintf(h, "%d:%s", len(item), item)
	}
	return "sha256:" + hex.EncodeToString(h.Sum(nil))[:32]
}
