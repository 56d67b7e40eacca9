// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package workflow

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
)

// pathEnd is where a program ends.
const pathEnd = ""

// node is one step with the way on from it.
type node struct {
	step Step
	path string
	// field is where the step stands in its Workflow.
	field string
	next  string // path of the step that runs after it, or pathEnd
	// entry is the first path of each case, and of Otherwise, of a switch.
	entry     map[string]string
	cases     []branch
	otherwise string

	// items of a forEach, the first step for each, and all steps in it. item is
	// the definition of the runs of its items, where they have their own.
	items value
	first string
	inner []Step
	item  json.RawMessage

	when        condition
	http        *httpNode
	integration value
	with        value
	until       value
	outputs     map[string]value
	text        value
	subject     value
	to          []value // the addresses of those whom a step turns to
}

// branch is a case of a switch with a condition.
type branch struct {
	when  condition
	first string
}

// program is a definition with every step addressable by its path, so that a
// cursor is a string, and every expression compiled.
type program struct {
	cel       bool
	subject   string
	when      condition
	start     string
	onFailure string // pathEnd: none
	nodes     map[string]*node
	timeout   Span
	bound     *bound
	defect    error // the definition does not compile
	revision  int64
}

// Check compiles a definition as the engine will. The error says where: the
// field is that of a Workflow's spec.
func Check(d Definition, lang Language) error {
	_, err := link(d, lang)
	return err
}

// compile reads a stored definition and links it.
func compile(raw json.RawMessage, lang Language) (*program, error) {
	var d Definition
	if err := json.Unmarshal(raw, &d); err != nil {
		return nil, fmt.Errorf("definition: %w", err)
	}
	return link(d, lang)
}

// link checks a definition and links it.
func link(d Definition, lang Language) (*program, error) {
	p := &program{nodes: map[string]*node{}, subject: d.Subject, timeout: d.Timeout}
	switch {
	case d.Language == "":
		lang = paths{}
	case d.Language != LanguageCEL || lang == nil:
		return nil, fmt.Errorf("definition: nothing here reads language %q", d.Language)
	default:
		p.cel = true
	}
	l := &linker{program: p, compiler: compiler{lang: lang, subject: d.Subject, locals: d.Locals}, names: map[string]bool{}, width: 1}
	var err error
	if p.when, err = l.condition("when", d.When); err != nil {
		return nil, err
	}
	if p.bound, err = l.bound(d.Concurrency); err != nil {
		return nil, err
	}
	if p.start, err = l.link("", "steps", d.Steps, pathEnd); err != nil {
		return nil, err
	}
	p.onFailure, err = l.link("onFailure:", "onFailure", d.OnFailure, pathEnd)
	return p, err
}

type linker struct {
	compiler
	program *program
	names   map[string]bool
	width   int // how many items of the loops around may be at work at once
}

// link adds steps under prefix, in order, and returns the path of the first;
// next follows the last.
func (l *linker) link(prefix, field string, steps []Step, next string) (string, error) {
	for i := len(steps) - 1; i >= 0; i-- {
		s := steps[i]
		path := prefix + s.Name
		if s.Name == "" {
			return "", fmt.Errorf("%s[%d]: the step has no name", field, i)
		}
		n := &node{step: s, path: path, field: field + "[" + s.Name + "]", next: next}
		_, twice := l.program.nodes[path]
		// Results are found by name, whatever branch a step is in.
		if twice || l.program.cel && l.names[s.Name] {
			return "", fmt.Errorf("%s: another step has the name %q", n.field, s.Name)
		}
		l.program.nodes[path], l.names[s.Name] = n, true
		if s.kinds() != 1 {
			return "", fmt.Errorf("%s: a step must do exactly one thing", n.field)
		}
		if err := l.compile(n); err != nil {
			return "", err
		}
		if s.Switch != nil {
			if err := l.branches(n, s.Switch); err != nil {
				return "", err
			}
		}
		if s.ForEach != nil {
			if err := l.loop(n, s.ForEach); err != nil {
				return "", err
			}
		}
		next = path
	}
	return next, nil
}

// branches links the cases of a switch.
func (l *linker) branches(n *node, s *SwitchStep) (err error) {
	n.entry = make(map[string]string, len(s.Cases))
	for _, v := range slices.Sorted(maps.Keys(s.Cases)) {
		if n.entry[v], err = l.link(n.path+"["+v+"]/", n.field+".switch["+v+"].steps", s.Cases[v], n.next); err != nil {
			return err
		}
	}
	for i, c := range s.When {
		at := "[" + strconv.Itoa(i) + "]"
		b := branch{}
		if c.When == "" {
			return fmt.Errorf("%s.switch%s: a case that is not the last needs a condition", n.field, at)
		}
		if b.when, err = l.condition(n.field+".switch"+at+".when", c.When); err != nil {
			return err
		}
		if b.first, err = l.link(n.path+at+"/", n.field+".switch"+at+".steps", c.Steps, n.next); err != nil {
			return err
		}
		n.cases = append(n.cases, b)
	}
	n.otherwise, err = l.link(n.path+"[]/", n.field+".switch["+strconv.Itoa(len(s.When))+"].steps", s.Otherwise, n.next)
	return err
}

// compile compiles the expressions of one step.
func (l *linker) compile(n *node) (err error) {
	s := n.step
	if n.when, err = l.condition(n.field+".when", s.When); err != nil {
		return err
	}
	for _, name := range slices.Sorted(maps.Keys(s.Outputs)) {
		field := n.field + ".outputs." + name
		if reservedResults[name] {
			return fmt.Errorf("%s: every step's result has a %s of its own; take another name", field, name)
		}
		f, err := l.lang.Output(s.Outputs[name])
		if err != nil {
			return &fieldError{field + ".value", err}
		}
		if n.outputs == nil {
			n.outputs = map[string]value{}
		}
		n.outputs[name] = f
	}
	switch {
	case s.Action != nil:
		if n.integration, err = l.value(n.field+".action.integration", s.Action.Integration); err != nil {
			return err
		}
		n.with, err = l.value(n.field+".action.with", s.Action.With)
	case s.HTTP != nil:
		n.http, err = l.http(n.field+".http", s.HTTP)
	case s.Ask != nil && s.Ask.Matter != nil:
		err = l.matter(n, s.Ask)
	case s.Notify != nil:
		err = l.notice(n, s.Notify)
	case s.Workflow != nil:
		n.with, err = l.value(n.field+".workflow.input", s.Workflow.Input)
	case s.Wait != nil && s.Wait.Until != nil:
		n.until, err = l.expression(n.field+".wait.until.date", s.Wait.Until.Date)
	}
	return err
}

// reservedResults are what the results of steps have beside their outputs.
var reservedResults = map[string]bool{"result": true, "reason": true, "message": true, "output": true, "at": true, "n": true, "path": true, "request": true, "run": true, "apps": true}

func (s Step) kinds() (n int) {
	for _, set := range []bool{s.Action != nil, s.HTTP != nil, s.ForEach != nil, s.Workflow != nil, s.Offboarding != nil, s.Ask != nil, s.Notify != nil, s.Switch != nil, s.Wait != nil, s.Check != nil, s.Book != nil, s.Tell != nil, s.End != nil} {
		if set {
			n++
		}
	}
	return n
}
