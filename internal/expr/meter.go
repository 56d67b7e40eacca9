// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package expr

import (
	"fmt"

	"github.com/google/cel-go/common/operators"
	"github.com/google/cel-go/common/overloads"
	"github.com/google/cel-go/common/types"
	"github.com/google/cel-go/common/types/ref"
	"github.com/google/cel-go/common/types/traits"
	"github.com/google/cel-go/interpreter"
)

// CEL's cost counts steps. It does not see how large a value of unknown type gets
// that is added to itself, nor that a list which has another twice is twice as much
// for whoever compares, formats or stores it. So everything that an evaluation makes
// is weighed, and one that makes too much is ended.

const (
	// bytesPerCost is what an evaluation may make for each unit of its cost limit,
	// and mostMade what any may.
	bytesPerCost = 40
	mostMade     = 256 << 20
	// maxText bounds one text that an expression makes.
	maxText = 4 << 20
	// maxPattern bounds a regular expression, which takes a thousand times as much
	// when it is compiled.
	maxPattern = 1 << 10
	// valueOverhead is what a value takes beside its text.
	valueOverhead = 16
)

// meterName is no name that an expression could have.
const meterName = "\x00meter"

// meter is what one evaluation may still make.
type meter struct{ left, most int64 }

// metered are variables with a meter.
type metered struct {
	vars  map[string]any
	meter meter
}

// ResolveName implements cel.Activation.
func (m *metered) ResolveName(name string) (any, bool) {
	if name == meterName {
		return &m.meter, true
	}
	v, ok := m.vars[name]
	return v, ok
}

// Parent implements cel.Activation.
func (*metered) Parent() interpreter.Activation { return nil }

// spend ends the evaluation when nothing is left. Unlike an error, nothing in the
// expression can pass over it.
func (m *meter) spend(n int64) {
	if m.left -= n; m.left < 0 {
		panic(interpreter.EvalCancelledError{Cause: interpreter.CostLimitExceeded, Message: fmt.Sprintf("the expression makes more than %d bytes on the way to its value, which is its limit", m.most)})
	}
}

// take spends what a value weighs.
func (m *meter) take(v ref.Val) {
	if m != nil {
		left := m.left
		m.spend(left - weigh(v, left))
	}
}

func meterOf(f *interpreter.ExecutionFrame) *meter {
	v, _ := f.ResolveName(meterName)
	m, _ := v.(*meter)
	return m
}

// weigh takes a value's weight, as often as it has each part, from what is left. It
// stops below 0.
func weigh(v ref.Val, left int64) int64 {
	left -= valueOverhead
	switch x := v.(type) {
	case types.String:
		return left - int64(len(x))
	case types.Bytes:
		return left - int64(len(x))
	case traits.Lister:
		switch raw := x.Value().(type) {
		case []any:
			return weighPlain(raw, left)
		case []ref.Val:
			for _, e := range raw {
				if left = weigh(e, left); left < 0 {
					break
				}
			}
			return left
		}
		for it := x.Iterator(); left >= 0 && it.HasNext() == types.True; {
			left = weigh(it.Next(), left)
		}
	case traits.Mapper:
		switch raw := x.Value().(type) {
		case map[string]any:
			return weighPlain(raw, left)
		case map[ref.Val]ref.Val:
			for k, e := range raw {
				if left = weigh(e, weigh(k, left)); left < 0 {
					break
				}
			}
			return left
		}
		for it := x.Iterator(); left >= 0 && it.HasNext() == types.True; {
			k := it.Next()
			if left = weigh(k, left); left >= 0 {
				left = weigh(x.Get(k), left)
			}
		}
	}
	return left
}

// Weigh says how much a plain Go value is, which is about its length as JSON, and
// whether that is at most so many bytes. It looks no further than that.
func Weigh(v any, most int) (n int, ok bool) {
	left := weighPlain(v, int64(most))
	return most - int(left), left >= 0
}

// weighPlain is weigh for plain Go values. Those that are opened lazily weigh
// nothing more: what is made of them is weighed when it is.
func weighPlain(v any, left int64) int64 {
	left -= valueOverhead
	switch x := v.(type) {
	case string:
		return left - int64(len(x))
	case []any:
		for _, e := range x {
			if left = weighPlain(e, left); left < 0 {
				break
			}
		}
	case map[string]any:
		for k, e := range x {
			if left = weighPlain(e, left-int64(len(k))); left < 0 {
				break
			}
		}
	case ref.Val:
		return weigh(x, left)
	}
	return left
}

// free are the functions that make nothing.
var free = func() map[string]bool {
	m := map[string]bool{}
	for _, f := range []string{
		operators.Conditional, operators.LogicalAnd, operators.LogicalOr, operators.LogicalNot, operators.Less, operators.LessEquals,
		operators.Greater, operators.GreaterEquals, operators.Subtract, operators.Multiply, operators.Divide, operators.Modulo, operators.Negate,
		operators.Index, operators.NotStrictlyFalse, "get", "coalesce", "list", "ts", "rfc3339", "lookup", "int", "double", "bool", "size", "duration",
		"timestamp", "startsWith", "endsWith", "contains", "indexOf", "lastIndexOf", "charAt",
	} {
		m[f] = true
	}
	return m
}()

// weighed decorates the steps of a program that make something or whose work
// depends on how much something is. used is set if there are any.
func weighed(linear bool, used *bool) interpreter.InterpretableDecoratorV2 {
	return func(i interpreter.InterpretableV2) (interpreter.InterpretableV2, error) {
		var out interpreter.InterpretableV2
		switch step := i.(type) {
		case interpreter.InterpretableConstructor:
			if linear || constant(step.InitVals()) {
				return i, nil // a list of the source is no longer than the source
			}
			out = &makes{step}
		case interpreter.InterpretableCall:
			switch f := step.Function(); {
			case f == operators.Add:
				out = &adds{step}
			case f == overloads.Matches:
				out = &matches{step}
			case f == operators.Equals || f == operators.NotEquals || f == operators.In:
				if linear {
					return i, nil
				}
				out = &compares{step}
			case free[f]:
				return i, nil
			default:
				out = &calls{step}
			}
		default:
			return i, nil
		}
		*used = true
		return out, nil
	}
}

func constant(parts []interpreter.InterpretableV2) bool {
	for _, p := range parts {
		if _, ok := p.(interpreter.InterpretableConst); !ok {
			return false
		}
	}
	return true
}

// calls weighs what a function returns.
type calls struct{ interpreter.InterpretableCall }

// Exec implements interpreter.InterpretableV2.
func (c *calls) Exec(f *interpreter.ExecutionFrame) ref.Val {
	v := c.InterpretableCall.Exec(f)
	meterOf(f).take(v)
	return v
}

// Eval implements interpreter.Interpretable.
func (c *calls) Eval(a interpreter.Activation) ref.Val { return c.Exec(interpreter.AsFrame(a)) }

// makes weighs a list or map that is written out.
type makes struct {
	interpreter.InterpretableConstructor
}

// Exec implements interpreter.InterpretableV2.
func (c *makes) Exec(f *interpreter.ExecutionFrame) ref.Val {
	v := c.InterpretableConstructor.Exec(f)
	meterOf(f).take(v)
	return v
}

// Eval implements interpreter.Interpretable.
func (c *makes) Eval(a interpreter.Activation) ref.Val { return c.Exec(interpreter.AsFrame(a)) }

// operands evaluates both sides of an operator. ok is false if one has no value,
// which then is the operator's.
func operands(c interpreter.InterpretableCall, f *interpreter.ExecutionFrame) (l, r ref.Val, ok bool) {
	args := c.Args()
	l, r = args[0].Exec(f), args[1].Exec(f)
	switch {
	case types.IsUnknownOrError(l):
		return l, nil, false
	case types.IsUnknownOrError(r):
		return r, nil, false
	}
	return l, r, true
}

// adds is an addition. Lists become one list: CEL's own is a view of both sides,
// which takes for ever to walk through when it was added to itself often.
type adds struct{ interpreter.InterpretableCall }

// Exec implements interpreter.InterpretableV2.
func (c *adds) Exec(f *interpreter.ExecutionFrame) ref.Val {
	l, r, ok := operands(c, f)
	if !ok {
		return l
	}
	m := meterOf(f)
	switch x := l.(type) {
	case traits.MutableLister: // of a comprehension, which alone has it
		m.take(r)
	case types.String:
		if s, ok := r.(types.String); ok && len(x)+len(s) > maxText {
			return tooLong("+", len(x)+len(s))
		} else if ok && m != nil {
			m.spend(int64(len(x) + len(s)))
		}
	case types.Bytes:
		if s, ok := r.(types.Bytes); ok && m != nil {
			m.spend(int64(len(x) + len(s)))
		}
	case traits.Lister:
		if y, ok := r.(traits.Lister); ok {
			m.take(l)
			m.take(r)
			return joined(x, y)
		}
	}
	if a, ok := l.(traits.Adder); ok {
		return a.Add(r)
	}
	return types.MaybeNoSuchOverloadErr(l)
}

// Eval implements interpreter.Interpretable.
func (c *adds) Eval(a interpreter.Activation) ref.Val { return c.Exec(interpreter.AsFrame(a)) }

func joined(lists ...traits.Lister) ref.Val {
	var out []ref.Val
	for _, l := range lists {
		for it := l.Iterator(); it.HasNext() == types.True; {
			out = append(out, it.Next())
		}
	}
	return types.NewRefValList(types.DefaultTypeAdapter, out)
}

// compares is an operator that may walk through both sides.
type compares struct{ interpreter.InterpretableCall }

// Exec implements interpreter.InterpretableV2.
func (c *compares) Exec(f *interpreter.ExecutionFrame) ref.Val {
	l, r, ok := operands(c, f)
	if !ok {
		return l
	}
	m := meterOf(f)
	for _, side := range []ref.Val{l, r} {
		switch side.(type) {
		case traits.Lister, traits.Mapper:
			m.take(side)
		}
	}
	switch c.Function() {
	case operators.Equals:
		return types.Equal(l, r)
	case operators.NotEquals:
		return types.Bool(types.Equal(l, r) != types.True)
	}
	if in, ok := r.(traits.Container); ok {
		return in.Contains(l)
	}
	return types.MaybeNoSuchOverloadErr(r)
}

// Eval implements interpreter.Interpretable.
func (c *compares) Eval(a interpreter.Activation) ref.Val { return c.Exec(interpreter.AsFrame(a)) }

// matches is a match with a regular expression of a bounded size.
type matches struct{ interpreter.InterpretableCall }

// Exec implements interpreter.InterpretableV2.
func (c *matches) Exec(f *interpreter.ExecutionFrame) ref.Val {
	l, r, ok := operands(c, f)
	if !ok {
		return l
	}
	s, isText := l.(types.String)
	pattern, isPattern := r.(types.String)
	switch {
	case !isText:
		return types.MaybeNoSuchOverloadErr(l)
	case !isPattern:
		return types.MaybeNoSuchOverloadErr(r)
	case len(pattern) > maxPattern:
		return types.WrapErr(errPattern(len(pattern)))
	}
	return s.Match(pattern)
}

// Eval implements interpreter.Interpretable.
func (c *matches) Eval(a interpreter.Activation) ref.Val { return c.Exec(interpreter.AsFrame(a)) }

func errPattern(n int) error {
	return fmt.Errorf("matches: the regular expression has %d bytes; at most %d are allowed", n, maxPattern)
}

func tooLong(function string, n int) ref.Val {
	return types.NewErr("%s: the text would have %d bytes; at most %d are allowed", function, n, maxText)
}
