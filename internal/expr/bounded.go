// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package expr

import (
	"errors"
	"math"
	"strings"
	"sync"
	"unicode/utf8"

	"github.com/google/cel-go/cel"
	"github.com/google/cel-go/common/decls"
	"github.com/google/cel-go/common/functions"
	"github.com/google/cel-go/common/operators"
	"github.com/google/cel-go/common/types"
	"github.com/google/cel-go/common/types/ref"
	"github.com/google/cel-go/common/types/traits"
	"github.com/google/cel-go/ext"
)

// maxSearch bounds the work of a search for a text in another: the product of both
// lengths.
const maxSearch = 64 << 20

// texts are the functions of texts. Those whose result, or whose work, can be a
// product of their arguments look at what it would be first.
func texts() (cel.EnvOption, error) {
	library := ext.Strings(ext.StringsVersion(4), ext.StringsMaxPrecision(100))
	bounds, err := bounded(library)
	if err != nil {
		return nil, err
	}
	return func(e *cel.Env) (*cel.Env, error) {
		e, err := library(e)
		for _, o := range bounds {
			if err == nil {
				e, err = o(e)
			}
		}
		return e, err
	}, nil
}

// sizes say how long the result, or how large the work, of an overload would be.
var sizes = map[string]func(args []ref.Val) (n, most int){
	"string_replace_string_string": func(args []ref.Val) (int, int) { return replacedSize(args, -1), maxText },
	"string_replace_string_string_int": func(args []ref.Val) (int, int) {
		n, _ := args[3].(types.Int)
		return replacedSize(args, int(n)), maxText
	},
	"list_join":                       func(args []ref.Val) (int, int) { return joinedSize(args), maxText },
	"list_join_string":                func(args []ref.Val) (int, int) { return joinedSize(args), maxText },
	"string_format":                   func(args []ref.Val) (int, int) { return formattedSize(args), maxText },
	"string_index_of_string":          searched,
	"string_index_of_string_int":      searched,
	"string_last_index_of_string":     searched,
	"string_last_index_of_string_int": searched,
}

// bounded are the overloads of a library that have a size, with that look first.
func bounded(library cel.EnvOption) ([]cel.EnvOption, error) {
	env, err := cel.NewCustomEnv(library)
	if err != nil {
		return nil, err
	}
	var out []cel.EnvOption
	for name, f := range env.Functions() {
		bindings, err := f.Bindings()
		if err != nil {
			return nil, err
		}
		for _, o := range f.OverloadDecls() {
			size := sizes[o.ID()]
			if size == nil {
				continue
			}
			call := callOf(bindings, o.ID())
			if call == nil {
				return nil, errors.New("the library of texts has no function " + o.ID())
			}
			out = append(out, cel.Function(name, cel.MemberOverload(o.ID(), o.ArgTypes(), o.ResultType(), decls.FunctionBinding(func(args ...ref.Val) ref.Val {
				if n, most := size(args); n > most {
					return types.NewErr("%s: the texts are too long for it: %d bytes, at most %d are allowed", name, n, most)
				}
				return call(args...)
			}))))
		}
	}
	if len(out) != len(sizes) {
		return nil, errors.New("the library of texts does not have all functions that are to be bounded")
	}
	return out, nil
}

func callOf(bindings []*functions.Overload, id string) func(args ...ref.Val) ref.Val {
	for _, b := range bindings {
		switch {
		case b.Operator != id:
		case b.Unary != nil:
			return func(args ...ref.Val) ref.Val { return b.Unary(args[0]) }
		case b.Binary != nil:
			return func(args ...ref.Val) ref.Val { return b.Binary(args[0], args[1]) }
		default:
			return b.Function
		}
	}
	return nil
}

func textOf(v ref.Val) string {
	s, _ := v.(types.String)
	return string(s)
}

func replacedSize(args []ref.Val, limit int) int {
	s, old, by := textOf(args[0]), textOf(args[1]), textOf(args[2])
	n := strings.Count(s, old) // of "" one more than there are runes, as is replaced
	if limit >= 0 {
		n = min(n, limit)
	}
	return len(s) + n*max(0, len(by)-len(old)) // both are far below the root of the largest number
}

func joinedSize(args []ref.Val) int {
	l, ok := args[0].(traits.Lister)
	if !ok {
		return 0
	}
	between := 0
	if len(args) > 1 {
		between = len(textOf(args[1]))
	}
	n := 0
	for it := l.Iterator(); n <= maxText && it.HasNext() == types.True; {
		n += len(textOf(it.Next())) + between
	}
	return n
}

// formattedSize is not less than what a text has that shows each value once.
func formattedSize(args []ref.Val) int {
	most := int64(math.MaxInt32)
	return len(textOf(args[0])) + int(most-weigh(args[1], most))
}

func searched(args []ref.Val) (n, most int) {
	return utf8.RuneCountInString(textOf(args[0])) * max(1, utf8.RuneCountInString(textOf(args[1]))), maxSearch
}

// walked are the functions that walk through their arguments.
var walked = func() map[string]bool {
	m := map[string]bool{}
	for _, f := range []string{
		operators.Equals, operators.NotEquals, operators.In, "words", "coalesce", "omit", "lower", "soql", "join", "format", "replace", "split", "reverse", "indexOf",
		"lastIndexOf", "charAt", "substring", "trim", "lowerAscii", "upperAscii", "strings.quote",
	} {
		m[f] = true
	}
	return m
}()

// costs has what CEL takes for a single step cost as much as it walks through.
type costs struct{}

// CallCost implements interpreter.ActualCostEstimator.
func (costs) CallCost(function, _ string, args []ref.Val, _ ref.Val) *uint64 {
	if !walked[function] {
		return nil
	}
	const most = 2 * mostMade
	left := int64(most)
	for _, a := range args {
		if left = weigh(a, max(0, left)); left < 0 {
			break
		}
	}
	cost := 1 + uint64(most-max(0, left))/10
	return &cost
}

var boundedTexts = sync.OnceValues(texts)
