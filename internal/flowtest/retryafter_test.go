// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package flowtest

import (
	"strings"
	"testing"
)

// A simulated answer that asks to wait is waited for as a real one.
func TestRetryAfter(t *testing.T) {
	const wf = `apiVersion: seatkeeper.dev/v1alpha1
kind: Workflow
metadata: {name: leaver}
spec:
  trigger: {manual: {}}
  steps:
  - name: ticket
    http: {method: POST, url: "https://desk.example/tickets", class: Idempotent}
`
	for name, c := range map[string]struct{ answer, ended string }{
		"429 with seconds":  {`{status: 429, headers: {Retry-After: "3600"}}`, "2026-11-20T10:00:00Z"},
		"429 with a date":   {`{status: 429, headers: {retry-after: "Fri, 20 Nov 2026 12:00:00 GMT"}}`, "2026-11-20T12:00:00Z"},
		"503 with seconds":  {`{status: 503, headers: {Retry-After: "7200"}}`, "2026-11-20T11:00:00Z"},
		"429 with nothing":  {`{status: 429}`, "2026-11-20T09:00:30Z"},
		"429 with nonsense": {`{status: 429, headers: {Retry-After: soon}}`, "2026-11-20T09:00:30Z"},
	} {
		t.Run(name, func(t *testing.T) {
			results, err := RunFile(t.Context(), files(t, wf, `tests:
- name: waits
  given:
    now: 2026-11-20T09:00:00Z
    answers:
      ticket: [`+c.answer+`, {status: 201}]
  expect:
    outcome: succeeded
    endedAt: `+c.ended+`
    requests: [{method: POST}, {method: POST}]
`), "")
			if err != nil {
				t.Fatal(err)
			}
			if f := results[0].Failures; len(f) > 0 {
				t.Error(strings.Join(f, "\n"))
			}
		})
	}
}
