// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package expr

import (
	"slices"
	"strings"

	"github.com/google/cel-go/common/ast"
	"github.com/google/cel-go/common/operators"
	"github.com/google/cel-go/common/types"
)

// AnyItem stands in a path for an element of a list, and for a key that is
// computed.
const AnyItem = "[]"

// PathUse is a look at something below a root.
type PathUse struct {
	Path []string
	// Guarded: the expression asks whether it is there.
	Guarded bool
}

// PathUses lists what an expression reads below a root such as event.data, given
// by its names. A text with ${ } holes is looked through hole by hole; what does
// not parse has none. Elements of lists are followed into macros: items.exists(i,
// i.sku == "x") reads items[].sku.
func PathUses(source string, root ...string) []PathUse {
	codes := []string{source}
	if strings.Contains(source, "${") {
		codes = holes(source)
	}
	env, err := workflowBase()
	if err != nil {
		return nil
	}
	var out []PathUse
	for _, code := range codes {
		if !strings.Contains(code, root[len(root)-1]) {
			continue
		}
		parsed, issues := env.Parse(code)
		if issues.Err() != nil {
			continue
		}
		r := pathReader{root: root}
		r.read(parsed.NativeRep().Expr(), nil)
		for _, u := range r.uses {
			u.Guarded = slices.ContainsFunc(r.asked, func(a []string) bool { return len(a) <= len(u.Path) && slices.Equal(a, u.Path[:len(a)]) })
			out = append(out, u)
		}
	}
	return out
}

type pathReader struct {
	root  []string
	uses  []PathUse
	asked [][]string
}

// names are what the variables of macros stand for; nil: nothing that is known.
type names map[string][]string

// below is the part of a path behind the root.
func (r *pathReader) below(path []string) ([]string, bool) {
	if len(path) <= len(r.root) || !slices.Equal(path[:len(r.root)], r.root) {
		return nil, false
	}
	return path[len(r.root):], true
}

// path is what an expression stands for; asked says that it asks whether that is
// there. What else it reads, such as a computed key, is read on the way.
func (r *pathReader) path(e ast.Expr, vars names) (path []string, asked, ok bool) {
	switch e.Kind() {
	case ast.IdentKind:
		if p, bound := vars[e.AsIdent()]; bound {
			return p, false, p != nil
		}
		return []string{e.AsIdent()}, false, true
	case ast.SelectKind:
		s := e.AsSelect()
		path, asked, ok = r.path(s.Operand(), vars)
		return with(path, s.FieldName()), asked || s.IsTestOnly(), ok
	case ast.CallKind:
		c := e.AsCall()
		optional := c.FunctionName() == operators.OptSelect || c.FunctionName() == operators.OptIndex
		if c.FunctionName() != operators.Index && !optional || len(c.Args()) != 2 {
			return nil, false, false
		}
		if path, asked, ok = r.path(c.Args()[0], vars); !ok {
			return nil, false, false
		}
		key := c.Args()[1]
		if key.Kind() == ast.LiteralKind {
			if name, isText := key.AsLiteral().(types.String); isText {
				return with(path, string(name)), asked || optional, true
			}
		} else {
			r.read(key, vars)
		}
		return with(path, AnyItem), asked || optional, true
	}
	return nil, false, false
}

func with(path []string, part string) []string { return append(path[:len(path):len(path)], part) }

// read finds the uses in an expression.
func (r *pathReader) read(e ast.Expr, vars names) {
	if path, asked, ok := r.path(e, vars); ok {
		if below, ok := r.below(path); ok {
			r.uses = append(r.uses, PathUse{Path: below})
			if asked {
				r.asked = append(r.asked, below)
			}
		}
		return
	}
	switch e.Kind() {
	case ast.SelectKind:
		r.read(e.AsSelect().Operand(), vars)
	case ast.CallKind:
		c := e.AsCall()
		if c.IsMemberFunction() {
			r.read(c.Target(), vars)
		}
		r.within(c, vars)
		for _, a := range c.Args() {
			r.read(a, vars)
		}
	case ast.ListKind:
		for _, v := range e.AsList().Elements() {
			r.read(v, vars)
		}
	case ast.MapKind:
		for _, v := range e.AsMap().Entries() {
			r.read(v.AsMapEntry().Key(), vars)
			r.read(v.AsMapEntry().Value(), vars)
		}
	case ast.StructKind:
		for _, f := range e.AsStruct().Fields() {
			r.read(f.AsStructField().Value(), vars)
		}
	case ast.ComprehensionKind:
		r.comprehension(e.AsComprehension(), vars)
	}
}

// within takes "name" in object for a question whether it is there.
func (r *pathReader) within(c ast.CallExpr, vars names) {
	if c.FunctionName() != operators.In || len(c.Args()) != 2 || c.Args()[0].Kind() != ast.LiteralKind {
		return
	}
	name, isText := c.Args()[0].AsLiteral().(types.String)
	if path, _, ok := r.path(c.Args()[1], vars); ok && isText {
		if below, ok := r.below(with(path, string(name))); ok {
			r.asked = append(r.asked, below)
		}
	}
}

func (r *pathReader) comprehension(c ast.ComprehensionExpr, vars names) {
	r.read(c.IterRange(), vars)
	inner := names{}
	for name, path := range vars {
		inner[name] = path
	}
	inner[c.AccuVar()] = nil
	inner[c.IterVar()] = nil
	if path, _, ok := r.path(c.IterRange(), vars); ok && !c.HasIterVar2() {
		inner[c.IterVar()] = with(path, AnyItem)
	} else if ok {
		inner[c.IterVar2()] = with(path, AnyItem)
	} else if c.HasIterVar2() {
		inner[c.IterVar2()] = nil
	}
	r.read(c.AccuInit(), vars)
	for _, part := range []ast.Expr{c.LoopCondition(), c.LoopStep(), c.Result()} {
		r.read(part, inner)
	}
}
