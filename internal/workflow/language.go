// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package workflow

import (
	"errors"
	"fmt"
)

// LanguageCEL marks definitions whose conditions are CEL and whose texts have
// ${CEL} holes: those of users. Without a language, texts have ${path} holes:
// those of flows that the code makes itself.
const LanguageCEL = "CEL"

// Language compiles the expressions of definitions. What it returns is a pure
// function of the variables: the interpreter evaluates inside a transaction
// that may be repeated. subject decides which variables there are; locals name
// further ones, of any type.
type Language interface {
	// Condition compiles a condition.
	Condition(subject, source string, locals ...string) (func(vars map[string]any) (bool, error), error)
	// Value compiles an expression.
	Value(subject, source string, locals ...string) (func(vars map[string]any) (any, error), error)
	// List compiles an expression that gives a list.
	List(subject, source string, locals ...string) (func(vars map[string]any) (any, error), error)
	// Template compiles a text with holes; one that is a single hole keeps the
	// type of its value.
	Template(subject, source string, locals ...string) (func(vars map[string]any) (any, error), error)
	// Local refuses the name of a local that would hide something, or that no
	// expression could read. locals are those around it.
	Local(name string, locals ...string) error
	// Output compiles an expression over what a call answered: resp, status,
	// headers.
	Output(source string) (func(vars map[string]any) (any, error), error)
	// Expect compiles a condition over the same.
	Expect(source string) (func(vars map[string]any) (bool, error), error)
	// URL compiles an https address with holes, which change neither its host
	// nor more than a segment of its path. host is empty where a hole decides it.
	URL(subject, source string, locals ...string) (host string, fill func(vars map[string]any) (string, error), err error)
}

// condition and value are compiled expressions.
type (
	condition func(vars map[string]any) (bool, error)
	value     func(vars map[string]any) (any, error)
)

// paths is the language of the flows that the code makes itself.
type paths struct{}

var errNoCEL = errors.New("this definition takes no CEL")

func (paths) Condition(_, _ string, _ ...string) (func(map[string]any) (bool, error), error) {
	return nil, errNoCEL
}

func (paths) Value(_, _ string, _ ...string) (func(map[string]any) (any, error), error) {
	return nil, errNoCEL
}

func (paths) List(_, _ string, _ ...string) (func(map[string]any) (any, error), error) {
	return nil, errNoCEL
}

func (paths) Local(string, ...string) error { return errNoCEL }

func (paths) Expect(string) (func(map[string]any) (bool, error), error) { return nil, errNoCEL }

func (paths) URL(string, string, ...string) (string, func(map[string]any) (string, error), error) {
	return "", nil, errNoCEL
}

func (paths) Output(string) (func(map[string]any) (any, error), error) { return nil, errNoCEL }

func (paths) Template(_, source string, _ ...string) (func(map[string]any) (any, error), error) {
	return func(v map[string]any) (any, error) { return vars(v).fillString(source) }, nil
}

// fieldError says where in a definition something is wrong.
type fieldError struct {
	field string
	err   error
}

func (e *fieldError) Error() string { return e.field + ": " + e.err.Error() }
func (e *fieldError) Unwrap() error { return e.err }

// compiler compiles the expressions of one definition.
type compiler struct {
	lang    Language
	subject string
	locals  []string // of the loops around what is compiled
}

func (c compiler) condition(field, source string) (condition, error) {
	if source == "" {
		return nil, nil
	}
	f, err := c.lang.Condition(c.subject, source, c.locals...)
	if err != nil {
		return nil, &fieldError{field, err}
	}
	return f, nil
}

func (c compiler) expression(field, source string) (value, error) {
	f, err := c.lang.Value(c.subject, source, c.locals...)
	if err != nil {
		return nil, &fieldError{field, err}
	}
	return f, nil
}

func (c compiler) list(field, source string) (value, error) {
	f, err := c.lang.List(c.subject, source, c.locals...)
	if err != nil {
		return nil, &fieldError{field, err}
	}
	return f, nil
}

// value compiles every text in a free value.
func (c compiler) value(field string, in any) (value, error) {
	switch x := in.(type) {
	case map[string]any:
		parts := make(map[string]value, len(x))
		for k, e := range x {
			p, err := c.value(field+"."+k, e)
			if err != nil {
				return nil, err
			}
			parts[k] = p
		}
		return func(v map[string]any) (any, error) {
			out := make(map[string]any, len(parts))
			left := maxInput
			for k, p := range parts {
				e, err := p(v)
				if err == nil {
					left, err = take(e, left)
				}
				if err != nil {
					return nil, within(k, err)
				}
				out[k] = e
			}
			return out, nil
		}, nil
	case []any:
		parts := make([]value, len(x))
		for i, e := range x {
			p, err := c.value(fmt.Sprintf("%s[%d]", field, i), e)
			if err != nil {
				return nil, err
			}
			parts[i] = p
		}
		return func(v map[string]any) (any, error) {
			out := make([]any, len(parts))
			left := maxInput
			for i, p := range parts {
				e, err := p(v)
				if err == nil {
					left, err = take(e, left)
				}
				if err != nil {
					return nil, within(fmt.Sprintf("[%d]", i), err)
				}
				out[i] = e
			}
			return out, nil
		}, nil
	case string:
		f, err := c.lang.Template(c.subject, x, c.locals...)
		if err != nil {
			return nil, &fieldError{field, err}
		}
		return f, nil
	}
	return func(map[string]any) (any, error) { return in, nil }, nil
}

// within names the part of a value that could not be filled.
func within(key string, err error) error {
	var inner *fieldError
	if errors.As(err, &inner) {
		return &fieldError{key + "." + inner.field, inner.err}
	}
	return &fieldError{key, err}
}

// IsExpression reports whether an error of Check is about an expression.
func IsExpression(err error) bool {
	var e *fieldError
	return errors.As(err, &e)
}
