// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package connector

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"github.com/seatkeeper/seatkeeper/internal/expr"
)

var inputTypes = []string{"string", "account", "group", "app", "plan", "boolean", "integer", "array", "object"}

func (l *loader) action(name string, n node) {
	n.object("class", "mode", "destructive", "endsAccount", "enabled", "input", "precheck", "steps", "wait", "verify", "output", "undo",
		"description", "effect")
	known := l.actionName(name, n)
	a := &action{ActionInfo: ActionInfo{
		Name:        name,
		Class:       ActionClass(n.need("class", "read, idempotent, keyed, verifiable or unsafe").enum("read", "idempotent", "keyed", "verifiable", "unsafe")),
		Mode:        ModeAct,
		Destructive: n.get("destructive").boolean(),
		EndsAccount: n.get("endsAccount").boolean(),
		Undo:        n.get("undo").text(),
		Effect:      known.Effect,
		Description: n.get("description").text(),
	}}
	if n.get("mode").enum("act", "read") == "read" {
		a.Mode = ModeRead
	}
	if known.Destructive && !a.Destructive {
		n.get("destructive").problem(n.get("destructive").kind(), "true: "+name+" is destructive everywhere", "")
	}
	l.manifest.actions = append(l.manifest.actions, a)
	a.enabled = n.get("enabled").program(l.env, expr.Bool)
	l.inputs(a, n.get("input"))
	n.need("steps", "the requests that carry it out").items(func(_ int, v node) { a.steps = append(a.steps, l.step(v)) })
	if p := n.get("precheck"); p.exists() {
		a.precheck = l.check(p, "done")
		a.HasPrecheck = true
	}
	if v := n.get("verify"); v.exists() {
		a.verify = l.check(v, "expect")
		a.HasVerify = true
		a.VerifyWithin = v.get("within").duration()
	}
	if w := n.get("wait"); w.exists() {
		a.wait = l.wait(w)
		a.WaitEvery, a.WaitTimeout = a.wait.every, a.wait.timeout
	}
	a.output = l.namedPrograms(n.get("output"))
	l.lintAction(a, n)
}

// actionName returns what the list says of the name, or, of an action of the
// manifest's own, what the manifest itself must say.
func (l *loader) actionName(name string, n node) ActionName {
	if strings.HasPrefix(name, ownPrefix) && !l.builtin {
		if !ownPattern.MatchString(name) {
			n.problem("the action "+name, ownPrefix+" and a name of letters and digits, such as http.closeTicket", "")
		}
		n.need("destructive", "true or false: true if it loses something that no other action brings back")
		return ActionName{Name: name, Effect: Effect(n.need("effect", "grants, removes or neutral: what it does to a person's access").
			enum(string(EffectGrants), string(EffectRemoves), string(EffectNeutral)))}
	}
	if e := n.get("effect"); e.exists() {
		e.problem("effect", "nothing: the list says what "+name+" does", "")
	}
	known, ok := actionName(name)
	if !ok {
		n.problem("the action "+name, "a name of connectors/ACTIONS.md, or in a Connector resource one that begins with "+ownPrefix,
			didYouMean(name, actionNameList()))
	}
	return known
}

func (l *loader) inputs(a *action, n node) {
	n.entries(func(name string, v node) {
		v.object("type", "required", "default", "title", "maxLength", "description")
		in := inputSpec{
			InputField: InputField{Name: name, Type: v.need("type", strings.Join(inputTypes, ", ")).enum(inputTypes...),
				Required: v.get("required").boolean(), Title: v.get("title").text()},
			maxLength: v.get("maxLength").integer(1, 1<<20),
		}
		if d := v.get("default"); d.exists() {
			var raw any
			if err := d.yaml.Decode(&raw); err != nil {
				d.problem(d.kind(), "a value", "")
			}
			value, err := in.check(raw)
			if err != nil {
				d.problem(d.kind(), err.Error(), "")
			}
			in.Default = value
		}
		a.input = append(a.input, in)
		a.Input = append(a.Input, in.InputField)
	})
}

func (l *loader) step(n node) stepSpec {
	n.object(append(slices.Clone(requestKeys), "when", "save", "safe")...)
	st := stepSpec{
		request: l.request(n, l.env),
		when:    n.get("when").program(l.env, expr.Bool),
		save:    l.namedPrograms(n.get("save")),
		safe:    n.get("safe").boolean() || n.get("get").exists(),
	}
	st.safe = st.safe || st.request.reads // a GraphQL query
	return st
}

// check reads a precheck or a verification: one request, or steps, and then a
// condition over the last answer.
func (l *loader) check(n node, condition string) *check {
	n.object(append(slices.Clone(requestKeys), "steps", "within", "output", condition)...)
	c := &check{
		expect: n.need(condition, "a CEL condition over resp and status").program(l.pageEnv, expr.Bool),
		output: l.namedPrograms(n.get("output")),
	}
	if steps := n.get("steps"); steps.exists() {
		steps.items(func(_ int, v node) { c.steps = append(c.steps, l.step(v)) })
	} else {
		req := l.request(n, l.env)
		c.steps = []stepSpec{{request: req, safe: n.get("get").exists() || req.reads}}
	}
	for _, s := range c.steps {
		if !s.safe {
			n.problem("a "+s.request.method+" request", "requests that are safe: GET, or marked safe: true", "a check changes nothing")
		}
	}
	return c
}

// Bounds of a wait.
const (
	defaultWaitEvery   = 30 * time.Second
	leastWaitEvery     = 5 * time.Second
	defaultWaitTimeout = 6 * time.Hour
	maxWaitTimeout     = 7 * 24 * time.Hour
)

// wait reads how the end of accepted work is found out.
func (l *loader) wait(n node) *waitSpec {
	n.object(append(slices.Clone(requestKeys), "safe", "every", "timeout", "done", "failed")...)
	w := &waitSpec{
		step:  stepSpec{request: l.request(n, l.env), safe: true},
		every: cmp.Or(n.get("every").duration(), defaultWaitEvery), timeout: cmp.Or(n.get("timeout").duration(), defaultWaitTimeout),
		done:   n.need("done", "a CEL condition over resp and status").program(l.pageEnv, expr.Bool),
		failed: n.get("failed").program(l.pageEnv, expr.Bool),
	}
	if r := w.step.request; r.method != "GET" && !r.reads && !n.get("safe").boolean() {
		n.problem("a "+r.method+" request", "a request that is safe: GET, or marked safe: true", "it is repeated until the work is done")
	}
	if w.every < leastWaitEvery {
		n.get("every").problem(n.get("every").kind(), "at least 5s", "")
	}
	if w.timeout > maxWaitTimeout || w.timeout < w.every {
		n.get("timeout").problem(n.get("timeout").kind(), "at most 168h, and no less than every", "")
	}
	return w
}

func (l *loader) namedPrograms(n node) []named {
	var out []named
	n.entries(func(name string, v node) {
		if p := v.program(l.pageEnv, expr.Dyn); p != nil {
			out = append(out, named{name, p})
		}
	})
	return out
}

func (l *loader) lintAction(a *action, n node) {
	writes := slices.ContainsFunc(a.steps, func(s stepSpec) bool { return s.request.method != "GET" && !s.request.reads })
	if writes && (a.Mode == ModeRead || a.Class == ActionRead) {
		n.get("class").problem("a reading action that writes", "mode act and a class that says how to resolve a lost answer", "")
	}
	if a.Class == ActionVerifiable && a.verify == nil {
		n.get("verify").problem("nothing", "a verification: the class is verifiable", "")
	}
	if a.Destructive && a.Mode == ModeRead {
		n.get("destructive").problem("true", "mode act", "")
	}
	effects := 0
	for _, s := range a.steps {
		if !s.safe {
			effects++
		}
	}
	if a.Mode == ModeAct && effects == 0 {
		n.get("steps").problem("no step with an effect", "at least one", "a step is without effect if it is a GET or marked safe")
	}
}

// cross checks what spans sections.
func (l *loader) cross(n node) {
	m := l.manifest
	essential := false
	for _, s := range m.streams {
		at := n.get("streams").get(s.name)
		essential = essential || s.essential
		if s.parent == "" {
			continue
		}
		switch parent := m.stream(s.parent); {
		case parent == nil:
			at.get("forEach").get("stream").problem(at.get("forEach").get("stream").kind(), "the name of a stream", "")
		case parent.parent != "" || parent.items != nil:
			at.get("forEach").get("stream").problem("a stream that has forEach itself", "a stream without forEach", "")
		}
	}
	if len(m.streams) > 0 && !essential {
		n.get("streams").problem("no essential stream", "at least one", "a connection without it would be no connection")
	}
	if len(m.streams) == 0 && len(m.actions) == 0 {
		n.problem("neither streams nor actions", "at least one of them", "")
	}
	for _, a := range m.actions {
		if a.Undo != "" && m.action(a.Undo) == nil {
			n.get("actions").get(a.Name).get("undo").problem(a.Undo, "an action of this manifest", "")
		}
	}
}
