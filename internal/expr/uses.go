// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package expr

import (
	"strings"

	"github.com/google/cel-go/common/ast"
	"github.com/google/cel-go/common/operators"
	"github.com/google/cel-go/common/types"
)

// StepUse is a look at the result of a step: at one Output, at the whole where
// that is empty, and at the results of all steps where Step is empty too.
type StepUse struct{ Step, Output string }

// StepUses lists where an expression looks at the results of steps. A text
// with ${ } holes is looked through hole by hole. What does not parse has none.
func StepUses(source string) []StepUse {
	codes := []string{source}
	if strings.Contains(source, "${") {
		codes = holes(source)
	}
	env, err := workflowBase()
	if err != nil {
		return nil
	}
	var out []StepUse
	for _, code := range codes {
		if !strings.Contains(code, VarSteps) {
			continue
		}
		parsed, issues := env.Parse(code)
		if issues.Err() != nil {
			continue
		}
		out = stepUses(parsed.NativeRep().Expr(), out)
	}
	return out
}

// holes returns the code in the holes of a template.
func holes(source string) (out []string) {
	for i := 0; i < len(source); i++ {
		switch {
		case strings.HasPrefix(source[i:], "$${"):
			i += 2
		case strings.HasPrefix(source[i:], "${"):
			end := holeEnd(source, i+2)
			if end < 0 {
				return out
			}
			out = append(out, source[i+2:end])
			i = end
		}
	}
	return out
}

func stepUses(e ast.Expr, out []StepUse) []StepUse {
	if path, ok := memberPath(e); ok {
		if path[0] != VarSteps {
			return out
		}
		u := StepUse{}
		if len(path) > 1 {
			u.Step = path[1]
		}
		if len(path) > 2 {
			u.Output = path[2]
		}
		return append(out, u)
	}
	switch e.Kind() {
	case ast.SelectKind:
		return stepUses(e.AsSelect().Operand(), out)
	case ast.CallKind:
		c := e.AsCall()
		if c.IsMemberFunction() {
			out = stepUses(c.Target(), out)
		}
		for _, a := range c.Args() {
			out = stepUses(a, out)
		}
	case ast.ListKind:
		for _, v := range e.AsList().Elements() {
			out = stepUses(v, out)
		}
	case ast.MapKind:
		for _, v := range e.AsMap().Entries() {
			out = stepUses(v.AsMapEntry().Key(), out)
			out = stepUses(v.AsMapEntry().Value(), out)
		}
	case ast.StructKind:
		for _, f := range e.AsStruct().Fields() {
			out = stepUses(f.AsStructField().Value(), out)
		}
	case ast.ComprehensionKind:
		c := e.AsComprehension()
		for _, part := range []ast.Expr{c.IterRange(), c.AccuInit(), c.LoopCondition(), c.LoopStep(), c.Result()} {
			out = stepUses(part, out)
		}
	}
	return out
}

// memberPath is a.b["c"] as names; ok is false for anything else.
func memberPath(e ast.Expr) (path []string, ok bool) {
	switch e.Kind() {
	case ast.IdentKind:
		return []string{e.AsIdent()}, true
	case ast.SelectKind:
		path, ok = memberPath(e.AsSelect().Operand())
		return append(path, e.AsSelect().FieldName()), ok
	case ast.CallKind:
		c := e.AsCall()
		if c.FunctionName() != operators.Index || len(c.Args()) != 2 || c.Args()[1].Kind() != ast.LiteralKind {
			return nil, false
		}
		key, isText := c.Args()[1].AsLiteral().(types.String)
		if path, ok = memberPath(c.Args()[0]); !ok || !isText {
			return nil, false
		}
		return append(path, string(key)), true
	}
	return nil, false
}
