// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package licensepolicy

import (
	"testing"
	"time"

	"github.com/seatkeeper/seatkeeper/internal/model"
	"github.com/seatkeeper/seatkeeper/internal/policy"
)

// A person who is asked reads since when nothing was seen, and by whom: never
// the day of our own first sync where the vendor remembers more.
func TestProof(t *testing.T) {
	created, synced := time.Date(2024, 10, 2, 0, 0, 0, 0, time.UTC), time.Date(2026, 11, 22, 0, 0, 0, 0, time.UTC)
	seat := model.Seat{Integration: "zoom", ObservedSince: synced}
	for name, tc := range map[string]struct {
		evidence model.Evidence
		source   string
		since    time.Time
	}{
		"the vendor says never": {model.Evidence{ObservedSince: &created}, "zoom", created},
		"by a named field":      {model.Evidence{Source: "zoom.last_login_time", ObservedSince: &created}, "zoom.last_login_time", created},
		"only watched":          {model.Evidence{}, "zoom", synced},
	} {
		source, since := proof(policy.Candidate{Evidence: tc.evidence}, seat)
		if source != tc.source || !since.Equal(tc.since) {
			t.Errorf("%s: %s since %v, want %s since %v", name, source, since, tc.source, tc.since)
		}
	}
}
