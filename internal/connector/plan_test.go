// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package connector

import (
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// A plan that is not sold any more is read as long as somebody has it, or may
// have it; and it goes with its last user.
func TestPlanThatIsNotSold(t *testing.T) {
	body := ""
	v := newVendor(t, map[string]http.HandlerFunc{"/v1/groups": func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(body)) }})
	manifest := load1(t, strings.NewReplacer(
		"  auth:", "  config: {size: {type: integer, default: 5}}\n  auth:",
		"emit: [{type: Group, map: {externalId: r.id, name: r.name}}]",
		"emit: [{type: Plan, map: {key: r.id, name: r.id, used: \"get(r, 'used')\", active: \"get(r, 'active')\"}}]",
	).Replace(oneStream(changingStream)))
	var state StreamState
	sync := func() (out []string) {
		t.Helper()
		s, _ := session(t, v, func(o *Options) { o.Manifest, o.State = manifest, map[string]StreamState{"groups": state} })
		recs, res, err := read(t, s, "groups")
		if err != nil {
			t.Fatal(err)
		}
		state = res.State
		for _, r := range recs {
			if r.Removed {
				out = append(out, "-"+r.Plan.Key)
			} else {
				out = append(out, r.Plan.Key)
			}
		}
		return out
	}
	body = `[{"id":"sold","used":0,"active":true,"at":"2026-11-21T09:00:00Z"},{"id":"unused","used":0,"active":false},{"id":"held","used":2,"active":false},
		{"id":"unknown","active":false},{"id":"silent","used":0}]`
	if d := cmp.Diff([]string{"sold", "held", "unknown", "silent"}, sync()); d != "" {
		t.Fatalf("(-want +got)\n%s", d)
	}
	body = `[{"id":"held","used":0,"active":false,"at":"2026-11-21T09:30:00Z"},{"id":"sold","used":1,"active":true}]`
	if d := cmp.Diff([]string{"-held", "sold"}, sync()); d != "" {
		t.Fatalf("(-want +got)\n%s", d)
	}
}
