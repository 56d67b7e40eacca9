// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package query

import (
	"testing"

	"github.com/seatkeeper/seatkeeper/internal/store"
)

// Those whom an identity provider disabled are held under a name that no
// Integration has.
func TestHoldOfLeaversHasAName(t *testing.T) {
	for name, want := range map[string]store.HoldSubject{
		"SCIM/leavers": store.SCIMLeaversHold(),
		"scim/leavers": {Kind: store.HoldShrink, SubjectKind: "Integration", SubjectName: "scim/leavers"},
		"okta/users":   {Kind: store.HoldShrink, SubjectKind: "Integration", SubjectName: "okta/users"},
	} {
		if got, err := holdSubject("shrink", name); err != nil || got != want {
			t.Errorf("shrink/%s is %v, %v; want %v", name, got, err, want)
		}
	}
}

func TestOutcomeOfARequest(t *testing.T) {
	for want, r := range map[string]store.SCIMRequest{
		"ok": {Status: 201}, "uniqueness": {Status: 409, ScimType: "uniqueness"}, "failed": {Status: 503},
	} {
		if got := scimRequestView(r).Outcome; got != want {
			t.Errorf("%d %s: outcome %q, want %q", r.Status, r.ScimType, got, want)
		}
	}
}
