// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package manager

import (
	"strings"
	"testing"

	"github.com/seatkeeper/seatkeeper/internal/connector"
	"github.com/seatkeeper/seatkeeper/internal/syncer/handover"
)

// TestRefusal is invariant 3 at the last moment: what the Integration says now
// decides, whatever it said when the run began.
func TestRefusal(t *testing.T) {
	allowed := handover.Spec{Permission: string(connector.PermissionReadAndAct), DestructiveActions: []string{"user.delete"}}
	remove := connector.ActionInfo{Name: "license.remove", Mode: connector.ModeAct, Enabled: true}
	destroy := connector.ActionInfo{Name: "user.delete", Mode: connector.ModeAct, Destructive: true, Enabled: true}
	for name, tc := range map[string]struct {
		spec func(*handover.Spec)
		info connector.ActionInfo
		want string // part of the refusal; empty: allowed
	}{
		"allowed":               {func(*handover.Spec) {}, remove, ""},
		"named and destructive": {func(*handover.Spec) {}, destroy, ""},
		"permission Read":       {func(s *handover.Spec) { s.Permission = string(connector.PermissionRead) }, remove, "permission"},
		"permission not set":    {func(s *handover.Spec) { s.Permission = "" }, remove, "permission"},
		"not named":             {func(s *handover.Spec) { s.DestructiveActions = []string{"user.suspend"} }, destroy, "destructiveActions"},
		"suspended":             {func(s *handover.Spec) { s.Suspended = true }, remove, "suspended"},
		"disconnecting":         {func(s *handover.Spec) { s.Disconnecting = true }, remove, "disconnected"},
		"switched off":          {func(*handover.Spec) {}, connector.ActionInfo{Name: "license.remove", Mode: connector.ModeAct}, "switched off"},
	} {
		spec := allowed
		tc.spec(&spec)
		got := refusal("zoom", spec, tc.info)
		if (got == "") != (tc.want == "") || !strings.Contains(got, tc.want) {
			t.Errorf("%s: %q, want %q", name, got, tc.want)
		}
	}
}
