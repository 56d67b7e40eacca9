// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package vendorspec

import (
	"fmt"
	"strings"
	"sync"

	"github.com/google/cel-go/cel"
	"github.com/google/cel-go/common/ast"
	"github.com/google/cel-go/common/operators"
)

// parser reads expressions without their types and with macros as plain calls:
// what is wanted is which members they read.
var parser = sync.OnceValues(func() (*cel.Env, error) { return cel.NewEnv(cel.ClearMacros()) })

// fields follows an expression through the shapes of its variables.
type fields struct {
	vars map[string]Shape
	// missing is told every member that is read of a shape that has none such.
	missing func(name string)
}

// eval follows an expression and returns the shape of what it yields.
func (f fields) eval(source string) (Shape, error) {
	env, err := parser()
	if err != nil {
		return nil, fmt.Errorf("prepare reading expressions: %w", err)
	}
	parsed, issues := env.Parse(source)
	if issues.Err() != nil {
		return nil, fmt.Errorf("read %q: %w", source, issues.Err())
	}
	return f.expr(parsed.NativeRep().Expr()), nil
}

func (f fields) with(name string, s Shape) fields {
	vars := map[string]Shape{}
	for k, v := range f.vars {
		vars[k] = v
	}
	vars[name] = s
	return fields{vars, f.missing}
}

func (f fields) expr(e ast.Expr) Shape {
	switch e.Kind() {
	case ast.IdentKind:
		return f.vars[e.AsIdent()]
	case ast.SelectKind:
		return f.member(f.expr(e.AsSelect().Operand()), e.AsSelect().FieldName())
	case ast.ListKind:
		var of []Shape
		known := true
		for _, el := range e.AsList().Elements() {
			s := f.expr(el)
			known = known && s != nil
			of = append(of, s)
		}
		if !known || len(of) == 0 {
			return listOf{}
		}
		return listOf{either(of...)}
	case ast.MapKind:
		out := object{}
		for _, entry := range e.AsMap().Entries() {
			m := entry.AsMapEntry()
			v := f.expr(m.Value())
			if name, ok := text(m.Key()); ok {
				out[name] = v
			} else {
				f.expr(m.Key())
				out = nil
			}
			if out == nil {
				return nil
			}
		}
		return out
	case ast.CallKind:
		return f.call(e.AsCall())
	}
	return nil
}

func text(e ast.Expr) (string, bool) {
	if e.Kind() != ast.LiteralKind {
		return "", false
	}
	s, ok := e.AsLiteral().Value().(string)
	return s, ok
}

// member reads one member, and tells if there is none.
func (f fields) member(s Shape, name string) Shape {
	if s == nil {
		return nil
	}
	m, ok := s.Field(name)
	if !ok {
		f.missing(name)
	}
	return m
}

func (f fields) item(s Shape) Shape {
	if s == nil {
		return nil
	}
	item, ok := s.Item()
	if !ok {
		return nil
	}
	return item
}

// path reads what get(x, 'a.b.0') reads.
func (f fields) path(s Shape, dotted string) Shape {
	steps := strings.Split(dotted, ".")
	for i, step := range steps {
		if s == nil {
			return nil
		}
		if item, ok := s.Item(); ok && strings.Trim(step, "0123456789") == "" {
			s = item
			continue
		}
		next, ok := s.Field(step)
		if !ok {
			f.missing(strings.Join(steps[:i+1], "."))
			return nil
		}
		s = next
	}
	return s
}

func (f fields) call(c ast.CallExpr) Shape {
	args := c.Args()
	if c.IsMemberFunction() {
		return f.method(c.FunctionName(), f.expr(c.Target()), args)
	}
	switch c.FunctionName() {
	case "get":
		if dotted, ok := text(args[1]); ok {
			return f.path(f.expr(args[0]), dotted)
		}
	case "list":
		s := f.expr(args[0])
		if s == nil {
			return nil
		}
		if _, ok := s.Item(); ok {
			return s
		}
		return listOf{s}
	case "coalesce":
		return f.item(f.expr(args[0]))
	case "omit":
		return f.expr(args[0])
	case "lookup":
		f.expr(args[2])
		if name, ok := text(args[1]); ok {
			return f.member(f.expr(args[0]), name)
		}
	case operators.Index:
		s := f.expr(args[0])
		if name, ok := text(args[1]); ok {
			return f.member(s, name)
		}
		f.expr(args[1])
		return f.item(s)
	case operators.Conditional:
		f.expr(args[0])
		return either(f.expr(args[1]), f.expr(args[2]))
	case operators.In:
		if name, ok := text(args[0]); ok {
			if s := f.expr(args[1]); s != nil {
				if _, isList := s.Item(); !isList {
					f.member(s, name) // 'name' in object
				}
			}
			return nil
		}
	case operators.Add:
		return either(f.expr(args[0]), f.expr(args[1]))
	}
	for _, a := range args {
		f.expr(a)
	}
	return nil
}

// method follows the macros over lists, whose first argument is a variable.
func (f fields) method(name string, target Shape, args []ast.Expr) Shape {
	binds := map[string]bool{"filter": true, "map": true, "exists": true, "all": true, "exists_one": true, "existsOne": true}
	if !binds[name] || len(args) < 2 || args[0].Kind() != ast.IdentKind {
		for _, a := range args {
			f.expr(a)
		}
		return nil
	}
	inner := f.with(args[0].AsIdent(), f.item(target))
	var last Shape
	for _, a := range args[1:] {
		last = inner.expr(a)
	}
	switch name {
	case "filter":
		return target
	case "map":
		return listOf{last}
	}
	return nil
}
