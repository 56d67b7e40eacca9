// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestWorkflowTest is what a pipeline runs, without any cluster.
func TestWorkflowTest(t *testing.T) {
	t.Setenv("KUBECONFIG", filepath.Join(t.TempDir(), "none"))
	dir := t.TempDir()
	write := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	wf := write("pause.yaml", `apiVersion: seatkeeper.dev/v1alpha1
kind: Workflow
metadata: {name: pause}
spec:
  trigger:
    manual: {}
  steps:
  - name: pause
    wait: {for: 2d}
  - name: say
    action:
      integration: slack
      name: channel.send
      with: {channel: C1, text: "${input.text} ${event.data.n}"}
`)
	tests := write("pause_test.yaml", "tests:\n- name: good\n  when: {input: {text: hi}, event: {data: {n: 1}}}\n  expect: {outcome: succeeded}\n- name: bad\n  expect: {outcome: succeeded}\n")
	broken := write("broken_test.yaml", "workflow: pause.yaml\ntests:\n- nme: a\n")
	leaver := write("leaver.yaml", "apiVersion: seatkeeper.dev/v1alpha1\nkind: Workflow\nmetadata: {name: leaver}\nspec:\n  trigger: {person: {events: [EndsOn]}}\n  steps: [{name: pause, wait: {for: 1h}}]\n")
	person := write("person.json", `{"email": "jo@acme.example", "endDate": "2026-11-20"}`)
	joined := write("joined.json", `{"person": {"event": "Joined"}}`)
	event := write("event.json", `{"kind": "manual", "data": {"n": 7}}`)
	for name, tc := range map[string]struct {
		args []string
		code int
		says []string
	}{
		"a test that fails":      {[]string{tests}, exitFailure, []string{"ok    " + tests + ":2: good", "FAIL  " + tests + ":5: bad", "want succeeded", "got  failed: BadInput", "SK9021", "1 of 2 tests"}},
		"one test":               {[]string{tests, "--run", "good", "-v"}, exitOK, []string{"Passed: 1.", `→ slack channel.send {"channel":"C1","text":"hi 1"}`, "2d0h"}},
		"no such test":           {[]string{tests, "--run", "none"}, exitUsage, []string{`no test has a name that contains "none"`}},
		"a broken file":          {[]string{broken}, exitFailure, []string{"SK9022", broken + ":3: field nme not found"}},
		"a directory":            {[]string{dir}, exitFailure, []string{broken + ":3"}},
		"nothing":                {nil, exitUsage, []string{"want a file or directory"}},
		"no such file":           {[]string{filepath.Join(dir, "x_test.yaml")}, exitFailure, []string{"SK9019"}},
		"one run":                {[]string{"-f", wf, "--event", event, "--input", "text=ho", "--now", "2026-11-20T09:00:00Z"}, exitOK, []string{"succeeded 2026-11-22 09:00:00Z", `{"channel":"C1","text":"ho 7"}`}},
		"what the trigger names": {[]string{"-f", leaver, "--person", person, "--now", "2026-11-20T09:00:00Z"}, exitOK, []string{"succeeded 2026-11-20 19:00:00Z"}},
		"what starts nothing":    {[]string{"-f", leaver, "--person", person, "--event", joined}, exitOK, []string{"No run starts: NotAnswered"}},
		"both":                   {[]string{"-f", wf, tests}, exitUsage, []string{"give one of them"}},
		"a time that is one":     {[]string{"-f", wf, "--now", "noon"}, exitUsage, []string{"2026-11-20T09:00:00Z"}},
	} {
		t.Run(name, func(t *testing.T) {
			var out bytes.Buffer
			code := Execute(t.Context(), "seatkeeper", append([]string{"workflow", "test"}, tc.args...), &out, &out)
			if code != tc.code {
				t.Errorf("exit %d, want %d", code, tc.code)
			}
			for _, want := range tc.says {
				if !strings.Contains(out.String(), want) {
					t.Errorf("no %q in\n%s", want, out.String())
				}
			}
		})
	}
}
