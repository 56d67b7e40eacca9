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

	"github.com/seatkeeper/seatkeeper/api/v1alpha1"
	"github.com/seatkeeper/seatkeeper/internal/expr"
	"github.com/seatkeeper/seatkeeper/internal/spelling"
)

// made is a step whose result others read.
type made struct {
	place
	step      step
	onFailure bool
	// whens are the conditions without which it does not run: its own and those of
	// the cases around it.
	whens []string
}

// everyResult is what every result may have.
var everyResult = []string{"result", "reason", "message", "path", "at", "n"}

// results are what the result of a step may have beside its declared outputs, by
// what the step does.
func (m made) results() []string {
	out := append(slices.Clone(everyResult), slices.Sorted(maps.Keys(m.step.base.Outputs))...)
	asked := []string{"answer", "source", "by", "byName", "text", "request"}
	switch a := m.step.action; {
	case a.Action != nil:
		return append(out, "output", "request")
	case a.HTTP != nil:
		return append(out, "status", "request")
	case a.Approval != nil:
		return append(append(out, "approved"), asked...)
	case a.Ask != nil:
		return append(append(out, "choice"), asked...)
	case a.Delegate != nil:
		return append(append(out, "evidence"), asked...)
	case a.Notify != nil:
		return append(out, "delivered", "undelivered", "messages", "request")
	case a.Offboarding != nil:
		return append(out, "apps")
	case a.Workflow != nil:
		return append(out, "run")
	case m.step.loop != nil:
		return append(out, "count", "failed", "items", "truncated")
	}
	return out
}

// references follows what expressions read of the results of other steps.
type references struct {
	made     map[string]made
	count    int
	warnings []string
	err      error
}

// reader is where an expression stands.
type reader struct {
	place
	field     string
	name      string // of the step
	onFailure bool
	whens     []string
}

// refer refuses what a step reads of another that is never there when it does,
// and warns of what may not be: the one may not have run.
func refer(steps, onFailure []step) (warnings []string, err error) {
	r := &references{made: map[string]made{}}
	r.collect(steps, nil, nil, false)
	r.collect(onFailure, nil, nil, true)
	r.count = 0
	r.walk("spec.steps", steps, reader{})
	r.walk("spec.onFailure", onFailure, reader{onFailure: true})
	return r.warnings, r.err
}

func (r *references) collect(steps []step, in []around, whens []string, onFailure bool) {
	for _, one := range steps {
		name := string(one.base.Name)
		m := made{place: place{r.count, in}, step: one, onFailure: onFailure, whens: conditions(whens, one.base.When)}
		r.count++
		r.made[name] = m
		for i, c := range one.cases {
			r.collect(c.steps, append(in[:len(in):len(in)], around{name, i}), conditions(m.whens, caseOf(name, c)), onFailure)
		}
		if one.loop != nil {
			r.collect(one.loop.steps, append(in[:len(in):len(in)], around{name, -1}), m.whens, onFailure)
		}
	}
}

// caseOf is the condition of a case: the last may have none of its own, and then
// only what is in it shares it.
func caseOf(name string, c branch) v1alpha1.Expression {
	if c.when == "" {
		return v1alpha1.Expression("otherwise of " + name)
	}
	return c.when
}

// conditions adds one to those that hold around it.
func conditions(whens []string, when v1alpha1.Expression) []string {
	if when == "" {
		return whens
	}
	return append(whens[:len(whens):len(whens)], strings.TrimSpace(string(when)))
}

func (r *references) walk(field string, steps []step, at reader) {
	for _, one := range steps {
		name := string(one.base.Name)
		here := at
		here.place, here.name = place{r.count, at.around}, name
		r.count++
		of := field + "[" + name + "]"
		r.look(here, of+".when", one.base.When)
		here.whens = conditions(at.whens, one.base.When)
		r.look(here, of, one.action)
		for i, c := range one.cases {
			r.look(here, of+".switch["+strconv.Itoa(i)+"].when", c.when)
			inner := here
			inner.around, inner.whens = append(at.around[:len(at.around):len(at.around)], around{name, i}), conditions(here.whens, caseOf(name, c))
			r.walk(of+".switch["+strconv.Itoa(i)+"].steps", c.steps, inner)
		}
		if one.loop != nil {
			r.look(here, of+".forEach.in", one.loop.base.In)
			inner := here
			inner.around = append(at.around[:len(at.around):len(at.around)], around{name, -1})
			r.walk(of+".forEach.steps", one.loop.steps, inner)
		}
	}
}

// look finds what every text in a part of a step reads.
func (r *references) look(at reader, field string, part any) {
	raw, err := json.Marshal(part)
	if err != nil {
		return // it came from JSON
	}
	var v any
	if json.Unmarshal(raw, &v) == nil {
		r.texts(at, field, v)
	}
}

func (r *references) texts(at reader, field string, v any) {
	switch x := v.(type) {
	case map[string]any:
		for _, k := range slices.Sorted(maps.Keys(x)) {
			r.texts(at, field+"."+k, x[k])
		}
	case []any:
		for i, e := range x {
			r.texts(at, field+"["+strconv.Itoa(i)+"]", e)
		}
	case string:
		for _, u := range expr.PathUses(x, expr.VarSteps) {
			if r.err != nil {
				return
			}
			at.field = field
			r.use(at, u)
		}
	}
}

func (r *references) use(at reader, u expr.PathUse) {
	name := u.Path[0]
	if name == expr.AnyItem {
		return // computed
	}
	refuse := func(format string, args ...any) {
		r.err = &stepError{at.field, fmt.Sprintf(format, args...)}
	}
	m, ok := r.made[name]
	if !ok {
		near := ""
		if n := spelling.Nearest(name, slices.Collect(maps.Keys(r.made))); n != "" {
			near = "; did you mean " + n + "?"
		}
		refuse("there is no step %q%s", name, near)
		return
	}
	loop := loopAround(m.place, at.place)
	switch {
	case name == at.name:
		refuse("reads steps.%s, the result of the step itself, which is not there before its end", name)
	case slices.ContainsFunc(at.around, func(a around) bool { return a.step == name }):
		refuse("reads steps.%s, which is around it and has no result before its end", name)
	case m.order > at.order:
		refuse("reads steps.%s, and that step comes later; put it before", name)
	case m.exclusive(at.place):
		refuse("reads steps.%s, and no run comes to both: they are in different cases of one switch", name)
	case loop != "" && !at.onFailure:
		refuse("reads steps.%s, which is gone behind the forEach %s; steps.%s.items has the result of each item", name, loop, loop)
	case len(u.Path) > 1 && u.Path[1] != expr.AnyItem && !slices.Contains(m.results(), u.Path[1]):
		refuse("steps.%s has no %q: it has %s; outputs of the step add to them", name, u.Path[1], strings.Join(m.results(), ", "))
	case u.Guarded || guarded(at, u):
	case m.onFailure != at.onFailure:
		r.warn("%s reads steps.%s, and the run may have failed before that step; ask by has(steps.%s)", at.field, strings.Join(u.Path, "."), name)
	case mayBeMissing(m, at, u):
		r.warn("%s reads steps.%s, and that step may not have run: its condition is not that of the reader; ask by has(steps.%s)", at.field, strings.Join(u.Path, "."), strings.Join(u.Path[:min(2, len(u.Path))], "."))
	}
}

func (r *references) warn(format string, args ...any) {
	if w := fmt.Sprintf(format, args...); !slices.Contains(r.warnings, w) {
		r.warnings = append(r.warnings, w)
	}
}

// loopAround names the innermost loop around p that is not around q.
func loopAround(p, q place) (name string) {
	for _, a := range p.around {
		if a.index < 0 && !q.inLoop(a.step) {
			name = a.step
		}
	}
	return name
}

// guarded reports a reader whose own conditions ask whether what it reads is
// there.
func guarded(at reader, u expr.PathUse) bool {
	return slices.ContainsFunc(at.whens, func(when string) bool {
		return slices.ContainsFunc(expr.PathUses(when, expr.VarSteps), func(w expr.PathUse) bool {
			return w.Guarded && len(w.Path) <= len(u.Path) && slices.Equal(w.Path, u.Path[:len(w.Path)])
		})
	})
}

// mayBeMissing reports a result that a run may come to the reader without: the
// step is in a case that is not around the reader, or was skipped by a condition
// that is none of the reader's. One that was skipped still has a result.
func mayBeMissing(m made, at reader, u expr.PathUse) bool {
	inCase := slices.ContainsFunc(m.around, func(a around) bool { return a.index >= 0 && !slices.Contains(at.around, a) })
	always := len(u.Path) < 2 || slices.Contains(everyResult, u.Path[1])
	return (inCase || !always) && !sameConditions(m, at)
}

// sameConditions reports a reader that runs only where the step does.
func sameConditions(m made, at reader) bool {
	for _, w := range m.whens {
		if !slices.Contains(at.whens, w) {
			return false
		}
	}
	return true
}
