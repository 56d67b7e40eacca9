// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"context"
	"encoding/xml"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/seatkeeper/seatkeeper/internal/flowtest"
)

// formatJUnit is the report that most build servers show.
const formatJUnit = "junit"

// junitReport is the XML of JUnit: a suite for each file, a case for each test.
type junitReport struct {
	XMLName  xml.Name     `xml:"testsuites"`
	Name     string       `xml:"name,attr"`
	Tests    int          `xml:"tests,attr"`
	Failures int          `xml:"failures,attr"`
	Errors   int          `xml:"errors,attr"`
	Time     string       `xml:"time,attr"`
	Suites   []junitSuite `xml:"testsuite"`
}

type junitSuite struct {
	Name     string      `xml:"name,attr"`
	Tests    int         `xml:"tests,attr"`
	Failures int         `xml:"failures,attr"`
	Errors   int         `xml:"errors,attr"`
	Time     string      `xml:"time,attr"`
	Cases    []junitCase `xml:"testcase"`
}

type junitCase struct {
	Name      string        `xml:"name,attr"`
	ClassName string        `xml:"classname,attr"`
	File      string        `xml:"file,attr"`
	Line      int           `xml:"line,attr,omitempty"`
	Failure   *junitProblem `xml:"failure"`
	Error     *junitProblem `xml:"error"`
	Output    string        `xml:"system-out,omitempty"`
}

type junitProblem struct {
	Message string `xml:"message,attr"`
	Text    string `xml:",chardata"`
}

// reportTests runs all tests and writes what came of them as XML, also where a file
// is wrong.
func reportTests(ctx context.Context, e *env, files []string, only string, verbose bool) error {
	report := junitReport{Name: "seatkeeper workflow test"}
	began := time.Now()
	var wrong error
	for _, path := range files {
		since := time.Now()
		results, err := flowtest.RunFile(ctx, path, only)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		suite, problem := suiteOf(path, results, err, verbose)
		if problem != nil {
			return problem
		}
		if err != nil && wrong == nil {
			wrong = flowFile(err)
		}
		if suite.Tests == 0 {
			continue
		}
		suite.Time = seconds(time.Since(since))
		report.Suites = append(report.Suites, suite)
		report.Tests, report.Failures, report.Errors = report.Tests+suite.Tests, report.Failures+suite.Failures, report.Errors+suite.Errors
	}
	report.Time = seconds(time.Since(began))
	if err := writeXML(e.out, report); err != nil {
		return err
	}
	if wrong != nil {
		return wrong
	}
	return verdictOf(e, report.Tests-report.Failures, report.Failures, only)
}

// suiteOf is what came of the tests of one file.
func suiteOf(path string, results []flowtest.Result, broken error, verbose bool) (junitSuite, error) {
	class := strings.TrimSuffix(strings.TrimSuffix(path, ".yaml"), ".yml")
	out := junitSuite{Name: path, Tests: len(results)}
	if broken != nil {
		out.Tests, out.Errors = 1, 1
		out.Cases = []junitCase{{Name: "the file", ClassName: class, File: path, Error: &junitProblem{Message: broken.Error()}}}
		return out, nil
	}
	for _, r := range results {
		c := junitCase{Name: r.Test.Name, ClassName: class, File: path, Line: r.Test.Line}
		if len(r.Failures) > 0 {
			out.Failures++
			first, _, _ := strings.Cut(r.Failures[0], "\n")
			c.Failure = &junitProblem{Message: first, Text: strings.Join(r.Failures, "\n")}
		}
		if verbose {
			var text strings.Builder
			if err := writeOutcome(&text, r.Outcome); err != nil {
				return out, err
			}
			c.Output = text.String()
		}
		out.Cases = append(out.Cases, c)
	}
	return out, nil
}

func seconds(d time.Duration) string { return fmt.Sprintf("%.3f", d.Seconds()) }

func writeXML(out io.Writer, report junitReport) error {
	raw, err := xml.MarshalIndent(report, "", "  ")
	if err != nil {
		return fmt.Errorf("write the report: %w", err)
	}
	_, err = fmt.Fprintf(out, "%s%s\n", xml.Header, raw)
	return err
}
