// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package workflow

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/seatkeeper/seatkeeper/internal/expr"
)

// place is where a step stands in the order of a Workflow.
type place struct {
	order int
	// around are the cases and loops around it, the outermost first.
	around []around
}

type around struct {
	step  string
	index int // of the case; -1: it is a loop
}

// exclusive reports whether no run comes to both.
func (p place) exclusive(q place) bool {
	for i := range min(len(p.around), len(q.around)) {
		if p.around[i].step != q.around[i].step {
			return false
		}
		if p.around[i].index != q.around[i].index {
			return true
		}
	}
	return false
}

func (p place) inLoop(step string) bool {
	return slices.Contains(p.around, around{step, -1})
}

// crosses reports whether a value of p that q uses is kept while w waits.
func crosses(p, w, q place) bool {
	if w.exclusive(q) || w.exclusive(p) {
		return false
	}
	if p.order < w.order && w.order < q.order {
		return true
	}
	// In a loop the next item comes behind the wait of the one before.
	return slices.ContainsFunc(q.around, func(a around) bool { return a.index < 0 && w.inLoop(a.step) && !p.inLoop(a.step) })
}

// sensitivity follows the sensitive outputs of a Workflow.
type sensitivity struct {
	outputs map[string][]string // by step
	made    map[string]place
	waits   map[string]place // steps that may take long, by name
	// parallel are the loops whose items have runs of their own.
	parallel map[string]bool
	uses     []sensitiveUse
	count    int
	err      error
}

type sensitiveUse struct {
	at            place
	field         string
	step, outputs string
}

// sensitive checks that only steps which may use a sensitive output do, and
// warns of one that is kept while a run waits: a token may end meanwhile.
func sensitive(steps, onFailure []step) (warnings []string, err error) {
	s := &sensitivity{outputs: map[string][]string{}, made: map[string]place{}, waits: map[string]place{}, parallel: map[string]bool{}}
	s.declared(steps)
	s.declared(onFailure)
	if len(s.outputs) == 0 {
		return nil, nil
	}
	s.walk("spec.steps", steps, nil)
	s.walk("spec.onFailure", onFailure, nil)
	if s.err != nil {
		return nil, s.err
	}
	said := map[string]bool{}
	for _, u := range s.uses {
		for _, name := range slices.Sorted(maps.Keys(s.waits)) {
			if !crosses(s.made[u.step], s.waits[name], u.at) {
				continue
			}
			w := fmt.Sprintf("%s uses steps.%s.%s, which is sensitive, behind the step %s: it stays sealed meanwhile and may have ended by then; get it again behind that step", u.field, u.step, u.outputs, name)
			if !said[w] {
				said[w] = true
				warnings = append(warnings, w)
			}
			break
		}
	}
	return warnings, nil
}

// declared collects the sensitive outputs.
func (s *sensitivity) declared(steps []step) {
	for _, one := range steps {
		for _, name := range slices.Sorted(maps.Keys(one.base.Outputs)) {
			if one.base.Outputs[name].Sensitive {
				s.outputs[string(one.base.Name)] = append(s.outputs[string(one.base.Name)], name)
			}
		}
		for _, c := range one.cases {
			s.declared(c.steps)
		}
		if one.loop != nil {
			s.declared(one.loop.steps)
		}
	}
}

func (s *sensitivity) walk(field string, steps []step, in []around) {
	for _, one := range steps {
		name := string(one.base.Name)
		at, here := field+"["+name+"]", place{s.count, in}
		s.count++
		s.made[name] = here
		a := one.action
		if a.Wait != nil || a.Approval != nil || a.Ask != nil || a.Delegate != nil || a.Offboarding != nil || a.Workflow != nil {
			s.waits[name] = here
		}
		may := a.Action != nil || a.HTTP != nil || one.isCase
		s.look(here, at+".when", one.base.When, may)
		s.look(here, at, a, may)
		for i, c := range one.cases {
			s.look(here, at+".switch["+strconv.Itoa(i)+"].when", c.when, true)
			s.walk(at+".switch["+strconv.Itoa(i)+"].steps", c.steps, append(in[:len(in):len(in)], around{name, i}))
		}
		if one.loop != nil {
			s.look(here, at+".forEach.in", one.loop.base.In, false)
			s.parallel[name] = one.loop.base.MaxParallel > 1
			s.walk(at+".forEach.steps", one.loop.steps, append(in[:len(in):len(in)], around{name, -1}))
		}
	}
}

// look finds the uses of sensitive outputs in every text of a part of a step.
func (s *sensitivity) look(at place, field string, part any, may bool) {
	raw, err := json.Marshal(part)
	if err != nil {
		return // it came from JSON
	}
	var v any
	if json.Unmarshal(raw, &v) == nil {
		s.texts(at, field, v, may)
	}
}

func (s *sensitivity) texts(at place, field string, v any, may bool) {
	switch x := v.(type) {
	case map[string]any:
		for _, k := range slices.Sorted(maps.Keys(x)) {
			s.texts(at, field+"."+k, x[k], may)
		}
	case []any:
		for i, e := range x {
			s.texts(at, field+"["+strconv.Itoa(i)+"]", e, may)
		}
	case string:
		for _, u := range expr.StepUses(x) {
			for _, step := range slices.Sorted(maps.Keys(s.outputs)) {
				s.use(at, field, u, step, may)
			}
		}
	}
}

func (s *sensitivity) use(at place, field string, u expr.StepUse, step string, may bool) {
	if u.Step != "" && u.Step != step {
		return
	}
	names := s.outputs[step]
	if u.Output != "" {
		if !slices.Contains(names, u.Output) {
			return
		}
		names = []string{u.Output}
	}
	if !may && s.err == nil {
		s.err = &stepError{field, fmt.Sprintf("steps.%s.%s is sensitive: only action and http steps and the cases of a switch may use it", step, strings.Join(names, ", "))}
	}
	for _, a := range at.around {
		if a.index < 0 && s.parallel[a.step] && !s.made[step].inLoop(a.step) && s.err == nil {
			s.err = &stepError{field, fmt.Sprintf("steps.%s.%s is sensitive, and only the run opens it that has it: the items of forEach %s have runs of their own; get it inside of the forEach, or take maxParallel away", step, strings.Join(names, ", "), a.step)}
		}
	}
	s.uses = append(s.uses, sensitiveUse{at, field, step, strings.Join(names, ", ")})
}
