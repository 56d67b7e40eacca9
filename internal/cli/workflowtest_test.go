// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"bytes"
	"encoding/xml"
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
		"an odd format":          {[]string{tests, "-o", "tap"}, exitUsage, []string{"want junit"}},
		"a report of one run":    {[]string{"-f", wf, "-o", "junit"}, exitUsage, []string{"-o is for files of tests"}},
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

// TestWorkflowTestReport reads the report as a build server does.
func TestWorkflowTestReport(t *testing.T) {
	t.Setenv("KUBECONFIG", filepath.Join(t.TempDir(), "none"))
	dir := t.TempDir()
	for name, text := range map[string]string{
		"pause.yaml":      "apiVersion: seatkeeper.dev/v1alpha1\nkind: Workflow\nmetadata: {name: pause}\nspec:\n  trigger: {manual: {}}\n  steps: [{name: pause, wait: {for: 2d}}]\n",
		"pause_test.yaml": "tests:\n- name: good & <quick>\n  expect: {outcome: succeeded}\n- name: bad\n  expect: {outcome: failed}\n",
		"worse_test.yaml": "workflow: pause.yaml\ntests:\n- nme: a\n",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	report := func(want int, args ...string) (out junitReport, raw string) {
		t.Helper()
		var stdout, stderr bytes.Buffer
		if code := Execute(t.Context(), "seatkeeper", append([]string{"workflow", "test", "-o", "junit"}, args...), &stdout, &stderr); code != want {
			t.Errorf("exit %d, want %d: %s", code, want, stderr.String())
		}
		if err := xml.Unmarshal(stdout.Bytes(), &out); err != nil {
			t.Fatalf("%v in\n%s", err, stdout.String())
		}
		return out, stdout.String()
	}

	all, raw := report(exitFailure, dir)
	if !strings.HasPrefix(raw, xml.Header) || all.Tests != 3 || all.Failures != 1 || all.Errors != 1 || len(all.Suites) != 2 {
		t.Fatalf("%s", raw)
	}
	suite := all.Suites[0]
	good, bad := suite.Cases[0], suite.Cases[1]
	if suite.Name != filepath.Join(dir, "pause_test.yaml") || suite.Tests != 2 || suite.Failures != 1 || suite.Errors != 0 {
		t.Errorf("%+v", suite)
	}
	if good.Name != "good & <quick>" || good.Failure != nil || good.Error != nil || good.Line != 2 || good.File != suite.Name || good.ClassName != filepath.Join(dir, "pause_test") || good.Output != "" {
		t.Errorf("%+v", good)
	}
	if bad.Failure == nil || bad.Line != 4 || !strings.Contains(bad.Failure.Text, "want failed") || bad.Failure.Message == "" {
		t.Errorf("%+v", bad)
	}
	if broken := all.Suites[1].Cases; len(broken) != 1 || broken[0].Error == nil || !strings.Contains(broken[0].Error.Message, "field nme not found") {
		t.Errorf("%+v", all.Suites[1])
	}
	one, raw := report(exitOK, filepath.Join(dir, "pause_test.yaml"), "--run", "good", "-v")
	if one.Tests != 1 || one.Failures+one.Errors != 0 || !strings.Contains(one.Suites[0].Cases[0].Output, "2d0h") {
		t.Errorf("%s", raw)
	}
	if none, _ := report(exitUsage, filepath.Join(dir, "pause_test.yaml"), "--run", "none"); none.Tests != 0 {
		t.Errorf("%+v", none)
	}
}
