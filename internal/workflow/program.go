// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package workflow

import (
	"encoding/json"
	"fmt"
)

// pathEnd is where a program ends.
const pathEnd = ""

// node is one step with the way on from it.
type node struct {
	step Step
	path string
	next string // path of the step that runs after it, or pathEnd
	// entry is the first path of each case, and of Otherwise, of a switch.
	entry     map[string]string
	otherwise string
}

// program is a definition with every step addressable by its path, so that a
// cursor is a string.
type program struct {
	start     string
	onFailure string // pathEnd: none
	nodes     map[string]*node
	defect    error // the definition does not compile
}

// compile checks a definition and links it.
func compile(raw json.RawMessage) (*program, error) {
	var d Definition
	if err := json.Unmarshal(raw, &d); err != nil {
		return nil, fmt.Errorf("definition: %w", err)
	}
	p := &program{nodes: map[string]*node{}}
	var err error
	if p.start, err = p.link("", d.Steps, pathEnd); err != nil {
		return nil, err
	}
	p.onFailure, err = p.link("onFailure:", d.OnFailure, pathEnd)
	return p, err
}

// link adds steps under prefix, in order, and returns the path of the first;
// next follows the last.
func (p *program) link(prefix string, steps []Step, next string) (string, error) {
	for i := len(steps) - 1; i >= 0; i-- {
		s := steps[i]
		path := prefix + s.Name
		if s.Name == "" {
			return "", fmt.Errorf("definition: step %d under %q has no name", i, prefix)
		}
		if _, ok := p.nodes[path]; ok {
			return "", fmt.Errorf("definition: step %q is there twice", path)
		}
		n := &node{step: s, path: path, next: next}
		p.nodes[path] = n
		switch {
		case s.kinds() != 1:
			return "", fmt.Errorf("definition: step %q must do exactly one thing", path)
		case s.Switch != nil:
			n.entry = make(map[string]string, len(s.Switch.Cases))
			for value, branch := range s.Switch.Cases {
				first, err := p.link(path+"["+value+"]/", branch, next)
				if err != nil {
					return "", err
				}
				n.entry[value] = first
			}
			first, err := p.link(path+"[]/", s.Switch.Otherwise, next)
			if err != nil {
				return "", err
			}
			n.otherwise = first
		}
		next = path
	}
	return next, nil
}

func (s Step) kinds() (n int) {
	for _, set := range []bool{s.Action != nil, s.Ask != nil, s.Switch != nil, s.Wait != nil, s.Check != nil, s.Book != nil, s.Tell != nil, s.End != nil} {
		if set {
			n++
		}
	}
	return n
}
