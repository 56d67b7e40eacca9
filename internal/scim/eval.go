// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package scim

import (
	"encoding/json"
	"strings"
	"time"
)

// Match reports whether a resource satisfies a filter. It is what the store's
// SQL is measured against.
func Match(e Expr, r *Resource) bool {
	return scope{at: r.Attributes, resource: r}.match(e)
}

// scope is what names in a filter are relative to: a resource or an element.
type scope struct {
	at Object
	// resource is nil in an element.
	resource *Resource
	// folds remembers what was folded, where many filters look at one resource.
	folds folds
}

// folds is Fold with a memory; nil has none.
type folds map[string]string

// of is Fold of s. Short strings are folded sooner than found.
func (f folds) of(s string) string {
	if f == nil || len(s) < 64 {
		return Fold(s)
	}
	folded, ok := f[s]
	if !ok {
		folded = Fold(s)
		f[s] = folded
	}
	return folded
}

func (s scope) match(e Expr) bool {
	switch e := e.(type) {
	case *And:
		for _, t := range e.Terms {
			if !s.match(t) {
				return false
			}
		}
		return true
	case *Or:
		for _, t := range e.Terms {
			if s.match(t) {
				return true
			}
		}
		return false
	case *Not:
		return !s.match(e.Term)
	case *Present:
		return s.present(e.Attr)
	case *Compare:
		return s.compare(e)
	case *ValuePath:
		for _, v := range s.values(e.Attr) {
			if o, ok := v.(Object); ok && (scope{at: o, folds: s.folds}).match(e.Filter) {
				return true
			}
		}
	}
	return false
}

func (s scope) compare(c *Compare) bool {
	switch {
	case c.Value.Kind == LiteralNull:
		return s.present(c.Attr) == (c.Op == OpNe)
	case c.Op == OpNe:
		return !s.any(c.Attr, OpEq, c.Value)
	}
	return s.any(c.Attr, c.Op, c.Value)
}

func (s scope) any(ref Ref, op Op, want Literal) bool {
	for _, v := range s.values(ref) {
		if s.holds(ref.Leaf(), op, v, want) {
			return true
		}
	}
	return false
}

func (s scope) present(ref Ref) bool {
	for _, v := range s.values(ref) {
		if hasContent(v) {
			return true
		}
	}
	return false
}

// hasContent reports whether a value is present: not empty, nor an object with
// nothing but empty values.
func hasContent(v any) bool {
	switch v := v.(type) {
	case nil:
		return false
	case string:
		return v != ""
	case Object:
		for _, e := range v {
			if hasContent(e) {
				return true
			}
		}
		return false
	}
	return true
}

// values are all values that a reference has, elements one by one.
func (s scope) values(ref Ref) []any {
	at := s.at
	if ref.Extension != nil {
		at, _ = at[ref.Extension.ID].(Object)
	}
	if s.resource != nil && ref.Extension == nil && ref.Attr.Name == "schemas" {
		var out []any
		for _, urn := range s.resource.Schemas() {
			out = append(out, urn)
		}
		return out
	}
	list, ok := at[ref.Attr.Name].([]any)
	if !ok {
		if at[ref.Attr.Name] == nil {
			return nil
		}
		list = []any{at[ref.Attr.Name]}
	}
	if ref.Sub == nil {
		return list
	}
	out := make([]any, 0, len(list))
	for _, v := range list {
		if o, ok := v.(Object); ok && o[ref.Sub.Name] != nil {
			out = append(out, o[ref.Sub.Name])
		}
	}
	return out
}

// holds compares one value with a literal.
func (s scope) holds(attr *Attribute, op Op, v any, want Literal) bool {
	switch want.Kind {
	case LiteralBool:
		b, ok := v.(bool)
		return ok && op == OpEq && b == want.Bool
	case LiteralNumber:
		have, ok := v.(json.Number)
		if !ok {
			return false
		}
		a, errA := have.Float64()
		b, errB := want.Number.Float64()
		return errA == nil && errB == nil && ordered(op, compareFloat(a, b))
	case LiteralTime:
		at, ok := timeOf(v)
		return ok && ordered(op, at.Compare(want.Time))
	}
	have, ok := v.(string)
	if !ok {
		return false
	}
	text := want.Text
	if !attr.CaseExact {
		have, text = s.folds.of(have), s.folds.of(text)
	}
	switch op {
	case OpCo:
		return strings.Contains(have, text)
	case OpSw:
		return strings.HasPrefix(have, text)
	case OpEw:
		return strings.HasSuffix(have, text)
	}
	return ordered(op, strings.Compare(have, text))
}

func timeOf(v any) (time.Time, bool) {
	s, ok := v.(string)
	if !ok {
		return time.Time{}, false
	}
	t, err := ParseTime(s)
	return t, err == nil
}

func compareFloat(a, b float64) int {
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	}
	return 0
}

// ordered says what the order of two values means for an operator.
func ordered(op Op, order int) bool {
	switch op {
	case OpEq:
		return order == 0
	case OpGt:
		return order > 0
	case OpGe:
		return order >= 0
	case OpLt:
		return order < 0
	case OpLe:
		return order <= 0
	}
	return false
}
