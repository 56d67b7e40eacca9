// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package flowtest

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"
)

// maxFile bounds a file that is read.
const maxFile = 1 << 20

// File is a file of tests beside a Workflow.
type File struct {
	Path string `yaml:"-"`
	// Workflow is the file of the Workflow, beside this one. Default: this
	// file's name without _test.
	Workflow string `yaml:"workflow"`
	Tests    []Test `yaml:"tests"`
}

// Test is one run, and what is expected of it.
type Test struct {
	Line   int    `yaml:"-"`
	Name   string `yaml:"name"`
	Given  Given  `yaml:"given"`
	When   When   `yaml:"when"`
	Expect Expect `yaml:"expect"`
}

// Given is how things stand.
type Given struct {
	// Now is when the run starts. Default: 2026-01-05T09:00:00Z, a Monday.
	Now          time.Time    `yaml:"now"`
	Organization Organization `yaml:"organization"`
	// Person is whom the run is about.
	Person *Person `yaml:"person"`
	// Application, Contract and License are what the run is about, or what that
	// belongs to. The seat is given.person's.
	Application *App      `yaml:"application"`
	Contract    *Contract `yaml:"contract"`
	License     *License  `yaml:"license"`
	// People are others who are in the directory.
	People []Person `yaml:"people"`
	// Later is what changes of the person while the run, or its start, waits.
	Later []Change `yaml:"later"`
	// Guard is how full the guard of the Workflow is.
	Guard Guard `yaml:"guard"`
	// Integrations maps names to built-in connectors, whose actions are then
	// checked. One that is called as a connector needs no entry.
	Integrations map[string]Integration `yaml:"integrations"`
	// Applications say what happens to the accounts of a leaver.
	Applications []Application `yaml:"applications"`
	// Workflows maps the names of Workflows that steps run to their files, beside
	// this one.
	Workflows map[string]string `yaml:"workflows"`
	// Answers say by step what vendors and people answer. A step without one is
	// done, without an answer.
	Answers map[string]Answers `yaml:"answers"`
}

// Change is what changes of the person, at an instant.
type Change struct {
	At     time.Time `yaml:"at"`
	Person yaml.Node `yaml:"person"` // the fields that change
}

// fields are the names of what changes.
func (c Change) fields() (out []string) {
	for i := 0; i+1 < len(c.Person.Content); i += 2 {
		out = append(out, c.Person.Content[i].Value)
	}
	return out
}

// Guard is what the guard of a Workflow counts.
type Guard struct {
	People  int64 `yaml:"people"`  // in the directory. Default: 1000
	Started int64 `yaml:"started"` // runs of the Workflow in the guard's window
}

// Organization is what matters of the tenant.
type Organization struct {
	DisplayName string   `yaml:"displayName"`
	Domains     []string `yaml:"domains"`
	TimeZone    string   `yaml:"timeZone"`
	EndOfDay    string   `yaml:"endOfDay"` // HH:MM
	// LifecycleSource is the Integration that tells who works there. Default: hris.
	LifecycleSource string `yaml:"lifecycleSource"`
	// Protected are addresses of people whom nothing may touch.
	Protected []string `yaml:"protected"`
	Weekdays  []string `yaml:"weekdays"` // that are worked
	Holidays  []string `yaml:"holidays"`
}

// Person is a person as expressions see one.
type Person struct {
	ID             int64          `yaml:"id"`
	Email          string         `yaml:"email"`
	DisplayName    string         `yaml:"displayName"`
	GivenName      string         `yaml:"givenName"`
	FamilyName     string         `yaml:"familyName"`
	Title          string         `yaml:"title"`
	Department     string         `yaml:"department"`
	Division       string         `yaml:"division"`
	CostCenter     string         `yaml:"costCenter"`
	Location       string         `yaml:"location"`
	TimeZone       string         `yaml:"timeZone"`
	EmployeeID     string         `yaml:"employeeId"`
	EmploymentType string         `yaml:"employmentType"`
	ManagerEmail   string         `yaml:"managerEmail"`
	StartDate      string         `yaml:"startDate"`
	EndDate        string         `yaml:"endDate"`
	Lifecycle      string         `yaml:"lifecycle"`
	Custom         map[string]any `yaml:"custom"`
	Accounts       []Account      `yaml:"accounts"`
	Groups         []string       `yaml:"groups"`

	before int64 // employments that have ended before this one
}

// Account is one of a person's accounts.
type Account struct {
	Integration string `yaml:"integration"`
	App         string `yaml:"app"` // that an identity provider lists; empty: its own
	ExternalID  string `yaml:"externalId"`
	Username    string `yaml:"username"`
	DisplayName string `yaml:"displayName"`
	Status      string `yaml:"status"`
	Kind        string `yaml:"kind"`
	Role        string `yaml:"role"`
	IsAdmin     bool   `yaml:"isAdmin"`
}

// Answer is what a vendor or a person answers to a step.
type Answer struct {
	// Of an action: its result, by default done, and what it gives.
	Result  string         `yaml:"result"`
	Message string         `yaml:"message"`
	Output  map[string]any `yaml:"output"`
	// Of an http step; status is 200 by default.
	Status  int               `yaml:"status"`
	Headers map[string]string `yaml:"headers"`
	Body    any               `yaml:"body"`
	// Of a person who is asked. By is the address of who answers, by default the
	// first who is asked, After how long after being asked.
	Answer string `yaml:"answer"`
	By     string `yaml:"by"`
	After  string `yaml:"after"`
	Reason string `yaml:"reason"`
}

// Answers are given one after the other; the last is given again.
type Answers []Answer

// UnmarshalYAML takes one answer or a list.
func (a *Answers) UnmarshalYAML(n *yaml.Node) error {
	if n.Kind != yaml.SequenceNode {
		n = &yaml.Node{Kind: yaml.SequenceNode, Content: []*yaml.Node{n}, Line: n.Line}
	}
	for _, item := range n.Content {
		var one Answer
		if err := known(item, &one); err != nil {
			return err
		}
		*a = append(*a, one)
	}
	if len(*a) == 0 {
		return fmt.Errorf("line %d: an empty list answers nothing", n.Line)
	}
	return nil
}

// known decodes a node and refuses unknown fields, which Node.Decode does not.
func known(n *yaml.Node, into any) error {
	raw, err := yaml.Marshal(n)
	if err != nil {
		return err
	}
	d := yaml.NewDecoder(bytes.NewReader(raw))
	d.KnownFields(true)
	if err := d.Decode(into); err != nil {
		var types *yaml.TypeError
		if errors.As(err, &types) && len(types.Errors) > 0 {
			_, what, _ := strings.Cut(types.Errors[0], ": ")
			return fmt.Errorf("line %d: %s", n.Line, what)
		}
		return fmt.Errorf("line %d: %w", n.Line, err)
	}
	return nil
}

// Expect is what must come of the run. What it leaves out may be anything.
type Expect struct {
	// Outcome is the state that the run ends in, or skipped. waiting and
	// attention are not ends: nothing of it goes on by itself.
	Outcome string `yaml:"outcome"`
	// Reason is the run's, or why there is none.
	Reason string `yaml:"reason"`
	// Starts says whether there is a run, and StartsAt when it starts.
	Starts   *bool     `yaml:"starts"`
	StartsAt time.Time `yaml:"startsAt"`
	// Person are fields of whom the run is about, as it stands at its end, and
	// Created whether the run has made them known.
	Person  map[string]any `yaml:"person"`
	Created *bool          `yaml:"created"`
	// EndedAt is when.
	EndedAt time.Time `yaml:"endedAt"`
	// Steps are all that the run came to, each as NAME: RESULT, in order.
	Steps []map[string]string `yaml:"steps"`
	// Requests are all that were sent, in order; of each, what is written down
	// must be so.
	Requests *[]ExpectedRequest `yaml:"requests"`
	// Apps are the results of offboarding steps, as APP: RESULT.
	Apps []AppResult `yaml:"apps"`
	// Asked are all questions, in order.
	Asked *[]ExpectedQuestion `yaml:"asked"`
}

// ExpectedRequest is a request, or some of it.
type ExpectedRequest struct {
	Step        string         `yaml:"step,omitempty"`
	Integration string         `yaml:"integration,omitempty"`
	Action      string         `yaml:"action,omitempty"`
	With        map[string]any `yaml:"with,omitempty"`
	Method      string         `yaml:"method,omitempty"` // of an http step
	URL         string         `yaml:"url,omitempty"`
	Body        any            `yaml:"body,omitempty"`
}

// ExpectedQuestion is a question, or some of it.
type ExpectedQuestion struct {
	Step   string   `yaml:"step,omitempty"`
	To     []string `yaml:"to,omitempty"`
	Answer string   `yaml:"answer,omitempty"`
}

// ReadFile reads a file of tests.
func ReadFile(path string) (*File, error) {
	raw, err := read(path)
	if err != nil {
		return nil, err
	}
	f := &File{}
	d := yaml.NewDecoder(bytes.NewReader(raw))
	d.KnownFields(true)
	if err := d.Decode(f); err != nil {
		return nil, located(path, err)
	}
	var doc yaml.Node
	if err := yaml.Unmarshal(raw, &doc); err != nil {
		return nil, located(path, err)
	}
	f.Path = path
	if f.Workflow == "" {
		f.Workflow = strings.TrimSuffix(filepath.Base(path), filepath.Ext(path))
		f.Workflow = strings.TrimSuffix(f.Workflow, "_test") + filepath.Ext(path)
	}
	f.Workflow = filepath.Join(filepath.Dir(path), f.Workflow)
	if len(f.Tests) == 0 {
		return nil, fmt.Errorf("%s:1: there are no tests in it", path)
	}
	for i := range f.Tests {
		t := &f.Tests[i]
		for name, file := range t.Given.Workflows {
			t.Given.Workflows[name] = filepath.Join(filepath.Dir(path), file)
		}
		for j := range t.Given.Applications {
			a := &t.Given.Applications[j]
			if a.file == "" {
				continue
			}
			if a.Application, err = readApplication(filepath.Join(filepath.Dir(path), a.file)); err != nil {
				return nil, err
			}
		}
		t.Line = lineOf(&doc, fmt.Sprintf("tests[%d]", i))
		if t.Name == "" {
			return nil, fmt.Errorf("%s:%d: the test has no name", path, t.Line)
		}
	}
	return f, nil
}

// Decode reads a file of one thing: a person, an event, answers.
func Decode(path string, into any) error {
	raw, err := read(path)
	if err != nil {
		return err
	}
	d := yaml.NewDecoder(bytes.NewReader(raw))
	d.KnownFields(true)
	if err := d.Decode(into); err != nil {
		return located(path, err)
	}
	return nil
}

// ReadEvent reads a file that says what happens: as a test does, or as
// expressions see it.
func ReadEvent(path string) (When, error) {
	var f struct {
		When  `yaml:",inline"`
		Plain Event `yaml:",inline"`
	}
	err := Decode(path, &f)
	if f.Plain.Kind != "" || f.Plain.Data != nil {
		f.When.Event = f.Plain
	}
	return f.When, err
}

func read(path string) ([]byte, error) {
	f, err := os.Open(path) //nolint:gosec // the file that the user names
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }()
	raw, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err == nil && len(raw) > maxFile {
		err = fmt.Errorf("%s: has more than %d bytes", path, maxFile)
	}
	return raw, err
}

// located says the file and line of an error of the YAML decoder.
func located(path string, err error) error {
	if errors.Is(err, io.EOF) {
		return fmt.Errorf("%s:1: is empty", path)
	}
	if m := inLine.FindStringSubmatch(err.Error()); m != nil {
		return fmt.Errorf("%s:%s: %s", path, m[1], m[2])
	}
	return fmt.Errorf("%s: %w", path, err)
}

// inLine is how the decoders say a line; the first of several errors.
var inLine = regexp.MustCompile(`line ([0-9]+): ([^\n]+)`)
