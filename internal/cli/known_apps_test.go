// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"strings"
	"testing"
)

func TestKnownApps(t *testing.T) {
	for args, want := range map[string][]string{
		"apps known slack":                                  {"APP", "slack", "team-chat"},
		"apps known helpscout.com -o name":                  {"help-scout"},
		"apps known --category team-chat -o csv":            {"slack.com", "Mattermost"},
		"apps known --category list":                        {"team-chat", "Team chat"},
		"apps known --recognise domain acme.zendesk.com":    {"zendesk", "domain acme.zendesk.com"},
		"apps known --recognise expense FRESHWORKS -o json": {`"among"`, `"freshdesk"`},
	} {
		code, out, errOut := execute(t, strings.Fields(args)...)
		if code != 0 || errOut != "" {
			t.Errorf("%s: %d %s", args, code, errOut)
		}
		for _, w := range want {
			if !strings.Contains(out, w) {
				t.Errorf("%s: no %q in\n%s", args, w, out)
			}
		}
	}
	for args, want := range map[string]string{
		"apps known --category talk":       "--category list",
		"apps known --recognise receipt x": "want expense",
		"apps known --recognise expense":   "needs the text",
		"apps known slack -o xml":          "want table",
	} {
		if code, _, errOut := execute(t, strings.Fields(args)...); code != exitUsage || !strings.Contains(errOut, want) {
			t.Errorf("%s: %d %s, want %q", args, code, errOut, want)
		}
	}
	if code, out, errOut := execute(t, "apps", "known", "no-such-app"); code != 0 || out != "" || !strings.Contains(errOut, "--view unmatched") {
		t.Errorf("nothing found: %d %q %q", code, out, errOut)
	}
}
