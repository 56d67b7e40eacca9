// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package vendorspec

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

// Find looks an operation up by method and path, in whatever description of
// the vendor has it.
type Find func(method, path string) *Operation

// MissingFields lists what the expressions of a manifest read of answers and
// the vendor does not describe, as violations of the operation that answers.
func MissingFields(manifest []byte, find Find) ([]Violation, error) {
	var doc struct {
		Spec map[string]any `yaml:"spec"`
	}
	if err := yaml.Unmarshal(manifest, &doc); err != nil {
		return nil, fmt.Errorf("read the manifest: %w", err)
	}
	w := &walker{http: obj(doc.Spec, "http"), find: find, found: map[Violation]bool{}}
	if acc := obj(doc.Spec, "account"); acc != nil {
		w.answer(acc, w.start(acc, nil), "id", "name")
	}
	w.streams(obj(doc.Spec, "streams"))
	for _, name := range sorted(obj(doc.Spec, "actions")) {
		w.action(obj(obj(doc.Spec, "actions"), name))
	}
	out := slices.Collect(maps.Keys(w.found))
	slices.Sort(out)
	return out, w.err
}

type walker struct {
	http  map[string]any
	find  Find
	found map[Violation]bool
	err   error
}

func obj(m map[string]any, key string) map[string]any {
	o, _ := m[key].(map[string]any)
	return o
}

func str(m map[string]any, key string) string {
	s, _ := m[key].(string)
	return s
}

// base is what the paths of a manifest are relative to: the path of its base
// URL, or of one of its other hosts.
func (w *walker) base(host string) string {
	address := str(w.http, "baseURL")
	if host != "" {
		address = str(obj(w.http, "hosts"), host)
	}
	_, rest, _ := strings.Cut(address, "://")
	if _, path, ok := strings.Cut(rest, "/"); ok {
		return "/" + strings.TrimSuffix(path, "/")
	}
	return ""
}

// at is an environment together with the operation that its resp comes from.
type at struct {
	vars map[string]Shape
	op   *Operation
}

func (a at) with(name string, s Shape) at {
	vars := maps.Clone(a.vars)
	if vars == nil {
		vars = map[string]Shape{}
	}
	vars[name] = s
	return at{vars, a.op}
}

func (w *walker) eval(a at, source string) Shape {
	if source == "" {
		return nil
	}
	f := fields{a.vars, func(name string) {
		if a.op != nil {
			w.found[a.op.Lacks(name)] = true
		}
	}}
	s, err := f.eval(source)
	if err != nil && w.err == nil {
		w.err = err
	}
	return s
}

// holes evaluates the ${CEL} parts of every text below v.
func (w *walker) holes(a at, v any) {
	switch t := v.(type) {
	case map[string]any:
		for _, k := range sorted(t) {
			w.holes(a, t[k])
		}
	case []any:
		for _, e := range t {
			w.holes(a, e)
		}
	case string:
		for _, h := range holesOf(t) {
			w.eval(a, h)
		}
	}
}

// holesOf cuts the holes out of a template.
func holesOf(s string) []string {
	var out []string
	for i := 0; i < len(s); i++ {
		switch {
		case strings.HasPrefix(s[i:], "$${"):
			i += 2
		case strings.HasPrefix(s[i:], "${"):
			end := closing(s, i+2)
			out = append(out, s[i+2:end])
			i = end
		}
	}
	return out
}

func closing(s string, from int) int {
	depth, quote := 0, byte(0)
	for i := from; i < len(s); i++ {
		switch c := s[i]; {
		case quote != 0:
			switch c {
			case '\\':
				i++
			case quote:
				quote = 0
			}
		case c == '\'' || c == '"':
			quote = c
		case c == '{':
			depth++
		case c == '}' && depth > 0:
			depth--
		case c == '}':
			return i
		}
	}
	return len(s)
}

// start finds the operation of a request and puts its answer into resp.
func (w *walker) start(request map[string]any, vars map[string]Shape) at {
	a := at{vars: vars}
	for _, method := range []string{"get", "post", "put", "patch", "delete"} {
		path := str(request, method)
		if path == "" {
			continue
		}
		plain := path
		for _, h := range holesOf(path) {
			plain = strings.Replace(plain, "${"+h+"}", "x", 1)
		}
		a.op = w.find(strings.ToUpper(method), w.base(str(request, "host"))+plain)
		w.holes(a, request["query"])
		w.holes(a, path)
		if body, ok := request["body"].(string); ok {
			w.eval(a, body)
		}
	}
	var resp Shape
	if a.op != nil {
		resp = a.op.Response
	}
	return a.with("resp", resp)
}

// answer evaluates the expressions under keys of m.
func (w *walker) answer(m map[string]any, a at, keys ...string) {
	for _, k := range keys {
		w.eval(a, str(m, k))
	}
}

func (w *walker) streams(streams map[string]any) {
	records := map[string]at{} // by stream: where r is known
	for range 2 {              // parents first, whatever their order
		for _, name := range sorted(streams) {
			st := obj(streams, name)
			each := obj(st, "forEach")
			parent := str(each, "stream")
			if _, done := records[name]; done {
				continue
			}
			vars := map[string]Shape{}
			if parent != "" {
				p, ok := records[parent]
				if !ok {
					continue
				}
				as := str(each, "as")
				if as == "" {
					as = "p"
				}
				w.eval(p.with(as, p.vars["r"]), str(each, "when"))
				vars[as], vars["p"] = p.vars["r"], p.vars["r"]
			}
			records[name] = w.stream(st, vars)
		}
	}
}

func (w *walker) stream(st map[string]any, vars map[string]Shape) at {
	a := w.start(obj(st, "request"), vars)
	list := w.eval(a, str(st, "records"))
	var r Shape
	if list != nil {
		if item, ok := list.Item(); ok {
			r = item
		}
	}
	a = a.with("records", list).with("r", r)
	w.answer(st, a, "filter", "stopWhen", "key")
	w.answer(obj(st, "page"), a, "next", "delta", "removed", "last", "total")
	w.answer(obj(st, "sync"), a, "cursor", "field", "removed")
	if test, ok := obj(st, "test")["expect"].([]any); ok {
		for _, e := range test {
			if m, ok := e.(map[string]any); ok {
				w.answer(m, a, "when")
			}
		}
	}
	emits, _ := st["emit"].([]any)
	for _, e := range emits {
		m, _ := e.(map[string]any)
		in := a
		if as := str(m, "as"); as != "" {
			var item Shape
			if l := w.eval(a, str(m, "forEach")); l != nil {
				item, _ = l.Item()
			}
			in = a.with(as, item)
		}
		w.answer(m, in, "when", "custom")
		fields := obj(m, "map")
		w.answer(fields, in, sorted(fields)...)
	}
	return a
}

func (w *walker) action(action map[string]any) {
	check := func(c map[string]any, vars map[string]Shape) {
		if c == nil {
			return
		}
		var last at
		if steps, ok := c["steps"].([]any); ok {
			last = w.steps(steps, vars)
		} else {
			last = w.start(c, vars)
			w.answer(c, last, "okWhen")
		}
		w.answer(c, last, "done", "expect", "failed")
		w.answer(obj(c, "output"), last, sorted(obj(c, "output"))...)
	}
	check(obj(action, "precheck"), nil)
	steps, _ := action["steps"].([]any)
	last := w.steps(steps, nil)
	w.answer(obj(action, "output"), last, sorted(obj(action, "output"))...)
	check(obj(action, "verify"), nil)
	check(obj(action, "wait"), map[string]Shape{"vars": last.vars["vars"]})
}

func (w *walker) steps(steps []any, vars map[string]Shape) at {
	saved := object{}
	a := at{vars: maps.Clone(vars)}
	for _, s := range steps {
		m, _ := s.(map[string]any)
		before := a.with("vars", saved)
		w.eval(before, str(m, "when"))
		a = w.start(m, before.vars)
		w.answer(m, a, "okWhen")
		kept := maps.Clone(saved)
		for _, name := range sorted(obj(m, "save")) {
			kept[name] = w.eval(a, str(obj(m, "save"), name))
		}
		saved = kept
		a = a.with("vars", saved)
	}
	return a
}
