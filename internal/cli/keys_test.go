// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestKeyFlags(t *testing.T) {
	now := time.Date(2026, 3, 2, 9, 0, 0, 5, time.UTC)
	for name, tc := range map[string]struct {
		in   keySpec
		want map[string]any
		err  string
	}{
		"nothing": {want: map[string]any{}},
		"all": {in: keySpec{kind: "rest", description: "d", expiresIn: "180d", overlap: "1h", scopes: []string{"a:read", "b"}, networks: []string{"10.0.0.0/8"}},
			want: map[string]any{"type": "REST", "description": "d", "expiresAt": "2026-08-29T09:00:00Z", "overlap": "1h", "scopes": []any{"a:read", "b"}, "sourceNetworks": []any{"10.0.0.0/8"}}},
		"hours":            {in: keySpec{expiresIn: "36h"}, want: map[string]any{"expiresAt": "2026-03-03T21:00:00Z"}},
		"a date":           {in: keySpec{expiresAt: "2027-12-31"}, want: map[string]any{"expiresAt": "2027-12-31T00:00:00Z"}},
		"a time elsewhere": {in: keySpec{expiresAt: "2027-12-31T01:00:00+02:00"}, want: map[string]any{"expiresAt": "2027-12-30T23:00:00Z"}},
		"another type":     {in: keySpec{kind: "SAML"}, err: "--type"},
		"both":             {in: keySpec{expiresAt: "2027-12-31", expiresIn: "1d"}, err: "exclude"},
		"over":             {in: keySpec{expiresAt: "2026-03-01"}, err: "is over"},
		"no time":          {in: keySpec{expiresAt: "tomorrow"}, err: "--expires-at"},
		"no duration":      {in: keySpec{expiresIn: "soon"}, err: "--expires-in"},
		"backwards":        {in: keySpec{expiresIn: "-1d"}, err: "--expires-in"},
		"too long":         {in: keySpec{expiresIn: "99999999999d"}, err: "--expires-in"},
		"much too long":    {in: keySpec{expiresIn: "213504d"}, err: "--expires-in"}, // more than a Duration holds
	} {
		got, err := tc.in.spec(now)
		switch {
		case tc.err != "" && (err == nil || !strings.Contains(err.Error(), tc.err)):
			t.Errorf("%s: %v, want an error with %q", name, err, tc.err)
		case tc.err == "" && (err != nil || cmp.Diff(tc.want, got) != ""):
			t.Errorf("%s: %v\n%s", name, err, cmp.Diff(tc.want, got))
		}
	}
}
