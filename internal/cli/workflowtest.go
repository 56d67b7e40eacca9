// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/seatkeeper/seatkeeper/internal/flowtest"
)

var (
	errFlowFailed = errors.New("a test failed")
	errFlowFile   = errors.New("the Workflow or its test is not as it must be")
)

func newWorkflowTestCommand(e *env) *cobra.Command {
	var o rehearsal
	var only, format string
	var verbose bool
	cmd := &cobra.Command{
		Use: "test [FILE|DIR…]", Short: "Carry a Workflow out on this machine, and compare what it does",
		Long: `Carry a Workflow out on this machine, by the code that runs it in the cluster:
with a clock that jumps over waits, and with vendors and people whose answers
are written down. Nothing is sent, and no cluster is needed.

With files or directories, every test in files named *_test.yaml is run; see
docs/workflows.md for what they say. With -f one Workflow is carried out for the
event and the person given, and its steps are shown with every request that it
would send.`,
		Example: "  seatkeeper workflow test workflows/\n" +
			"  seatkeeper workflow test workflows/zoom-leaver_test.yaml --run Sales -v\n" +
			"  seatkeeper workflow test workflows/ -o junit > report.xml\n" +
			"  seatkeeper workflow test -f zoom-leaver.yaml --person person.json --event event.json",
		RunE: func(cmd *cobra.Command, args []string) error {
			switch {
			case o.file != "" && len(args) > 0:
				return usageError{errors.New("-f carries one Workflow out, and files of tests are run without it: give one of them")}
			case format != "" && format != formatJUnit:
				return usageError{fmt.Errorf("-o %q: want junit, or nothing for text", format)}
			case o.file != "" && format != "":
				return usageError{errors.New("-o is for files of tests; -f shows the steps of one run")}
			case o.file != "":
				return o.run(cmd.Context(), e)
			case len(args) == 0:
				return usageError{errors.New("want a file or directory of tests, or -f WORKFLOW.yaml")}
			}
			files, err := testFiles(args)
			switch {
			case err != nil:
				return err
			case format == formatJUnit:
				return reportTests(cmd.Context(), e, files, only, verbose)
			}
			return runTests(cmd.Context(), e, files, only, verbose)
		},
	}
	f := cmd.Flags()
	f.StringVarP(&o.file, "filename", "f", "", "Workflow to carry out once")
	f.StringVar(&o.event, "event", "", "file with what happens, as JSON or YAML: as `when` of a test says it, or kind and data of the event")
	f.StringVar(&o.person, "person", "", "file with the person, as JSON or YAML: fields as expressions see them")
	f.StringVar(&o.answers, "answers", "", "file with the answers of vendors and people, by step")
	f.StringArrayVar(&o.inputs, "input", nil, "what expressions read as input.NAME: NAME=VALUE; may be repeated")
	f.StringVar(&o.now, "now", "", "when the run starts, in RFC 3339 (default: now)")
	f.StringVar(&only, "run", "", "only tests whose name contains this")
	f.StringVarP(&format, "output", "o", "", "junit writes a report as XML, for a build server")
	f.BoolVarP(&verbose, "verbose", "v", false, "show the steps and requests of every test")
	return cmd
}

// rehearsal carries one Workflow out.
type rehearsal struct {
	file, event, person, answers, now string
	inputs                            []string
}

func (o rehearsal) run(ctx context.Context, e *env) error {
	given, when := flowtest.Given{Now: time.Now().Truncate(time.Second)}, flowtest.When{}
	var err error
	if when.Input, err = inputOf(o.inputs); err != nil {
		return usageError{err}
	}
	if o.now != "" {
		if given.Now, err = time.Parse(time.RFC3339, o.now); err != nil {
			return usageError{fmt.Errorf("--now %q: want a time such as 2026-11-20T09:00:00Z", o.now)}
		}
	}
	if o.event != "" {
		input := when.Input
		if when, err = flowtest.ReadEvent(o.event); err != nil {
			return flowFile(err)
		}
		if input != nil {
			when.Input = input
		}
	}
	for path, into := range map[string]any{o.person: &given.Person, o.answers: &given.Answers} {
		if path == "" {
			continue
		}
		if err := flowtest.Decode(path, into); err != nil {
			return flowFile(err)
		}
	}
	w, err := flowtest.ReadWorkflow(o.file, flowtest.Given{})
	if err != nil {
		return flowFile(err)
	}
	out, err := flowtest.Run(ctx, w, given, when)
	if err != nil {
		return flowFile(fmt.Errorf("%s: %w", o.file, err))
	}
	for _, warning := range w.Warnings {
		e.say("Warning: %s", warning)
	}
	return writeOutcome(e.out, out)
}

// flowFile marks a file that is wrong, but not one that cannot be read.
func flowFile(err error) error {
	var path *fs.PathError
	if errors.As(err, &path) {
		return err
	}
	return fmt.Errorf("%w: %w", errFlowFile, err)
}

// writeOutcome shows a run as `seatkeeper runs ID` does, with its requests.
func writeOutcome(out io.Writer, o *flowtest.Outcome) error {
	if o.Start.At.IsZero() {
		_, err := fmt.Fprintf(out, "No run starts: %s: %s\n", o.Start.Reason, o.Start.Message)
		return err
	}
	doc := runDocument{RunDetail: o.Run, Steps: o.Steps, Sent: map[string][]string{}}
	for _, r := range o.Requests {
		raw, err := json.Marshal(r.With)
		if err != nil {
			return err
		}
		line := fmt.Sprintf("→ %s %s %s", r.Integration, r.Action, raw)
		if r.Method != "" {
			line = fmt.Sprintf("→ %s %s", r.Method, r.URL)
			if r.Body != nil {
				if raw, err = json.Marshal(r.Body); err != nil {
					return err
				}
				line += " " + string(raw)
			}
		}
		doc.Sent[r.Step] = append(doc.Sent[r.Step], line)
	}
	return writeRun(out, doc)
}

// runTests runs all tests and fails if one does.
func runTests(ctx context.Context, e *env, files []string, only string, verbose bool) error {
	passed, failed := 0, 0
	for _, path := range files {
		results, err := flowtest.RunFile(ctx, path, only)
		if err != nil {
			return flowFile(err)
		}
		for _, r := range results {
			verdict := "ok    "
			if len(r.Failures) > 0 {
				verdict = "FAIL  "
				failed++
			} else {
				passed++
			}
			if _, err := fmt.Fprintf(e.out, "%s%s:%d: %s\n", verdict, path, r.Test.Line, r.Test.Name); err != nil {
				return err
			}
			for _, f := range r.Failures {
				if _, err := fmt.Fprintln(e.out, indent(f)); err != nil {
					return err
				}
			}
			if verbose {
				if err := writeOutcome(e.out, r.Outcome); err != nil {
					return err
				}
			}
		}
	}
	return verdictOf(e, passed, failed, only)
}

// verdictOf is what the command says at its end.
func verdictOf(e *env, passed, failed int, only string) error {
	switch {
	case failed > 0:
		return fmt.Errorf("%d of %d tests: %w", failed, failed+passed, errFlowFailed)
	case passed == 0:
		return usageError{fmt.Errorf("no test has a name that contains %q", only)}
	}
	e.say("Passed: %d.", passed)
	return nil
}

func indent(s string) string {
	return "      " + strings.ReplaceAll(strings.TrimRight(s, "\n"), "\n", "\n      ")
}

// testFiles lists the files named, and those named *_test.yaml in directories.
func testFiles(args []string) (files []string, err error) {
	for _, a := range args {
		info, err := os.Stat(a)
		if err != nil {
			return nil, err
		}
		if !info.IsDir() {
			files = append(files, a)
			continue
		}
		before := len(files)
		err = filepath.WalkDir(a, func(path string, d fs.DirEntry, err error) error {
			if err == nil && !d.IsDir() && (strings.HasSuffix(path, "_test.yaml") || strings.HasSuffix(path, "_test.yml")) {
				files = append(files, path)
			}
			return err
		})
		if err != nil {
			return nil, err
		}
		if len(files) == before {
			return nil, usageError{fmt.Errorf("%s: no file in it is named *_test.yaml", a)}
		}
	}
	return files, nil
}
