// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package expr

import (
	"context"
	"errors"
	"fmt"
	"strings"
)

// Template is literal text with ${CEL} holes. "$${" is a literal "${".
type Template struct {
	source string
	parts  []part
	most   int // bytes that its text may have; 0: no matter
}

type part struct {
	text string
	hole *Program
}

// Template parses and compiles a template.
func (e *Env) Template(source string) (*Template, error) {
	if len(source) > MaxSource {
		return nil, &Error{Message: fmt.Sprintf("the text has %d bytes; at most %d are allowed", len(source), MaxSource)}
	}
	t := &Template{source: source, most: e.most}
	var text strings.Builder
	for i := 0; i < len(source); {
		switch {
		case strings.HasPrefix(source[i:], "$${"):
			text.WriteString("${")
			i += 3
		case strings.HasPrefix(source[i:], "${"):
			end := holeEnd(source, i+2)
			if end < 0 {
				return nil, positioned(source, i, "the hole ${ is not closed")
			}
			if text.Len() > 0 {
				t.parts = append(t.parts, part{text: text.String()})
				text.Reset()
			}
			code := source[i+2 : end]
			if strings.TrimSpace(code) == "" {
				return nil, positioned(source, i, "the hole ${} is empty")
			}
			p, err := e.Compile(code, Dyn)
			if err != nil {
				return nil, within(err, source, i+2)
			}
			t.parts = append(t.parts, part{hole: p})
			i = end + 1
		default:
			text.WriteByte(source[i])
			i++
		}
	}
	if text.Len() > 0 {
		t.parts = append(t.parts, part{text: text.String()})
	}
	return t, nil
}

// holeEnd returns the index of the brace that closes the hole whose code
// starts at i, or -1. It knows CEL's string literals, comments and braces.
func holeEnd(s string, i int) int {
	depth := 0
	for i < len(s) {
		switch c := s[i]; c {
		case '{':
			depth++
		case '}':
			if depth == 0 {
				return i
			}
			depth--
		case '\'', '"':
			raw := i > 0 && (s[i-1] == 'r' || s[i-1] == 'R')
			if i = stringEnd(s, i, raw); i < 0 {
				return -1
			}
		case '/':
			if strings.HasPrefix(s[i:], "//") {
				nl := strings.IndexByte(s[i:], '\n')
				if nl < 0 {
					return -1
				}
				i += nl
			}
		}
		i++
	}
	return -1
}

// stringEnd returns the index of the last byte of the literal that opens at i.
func stringEnd(s string, i int, raw bool) int {
	quote := s[i : i+1]
	if triple := strings.Repeat(quote, 3); strings.HasPrefix(s[i:], triple) {
		quote = triple
	}
	for j := i + len(quote); j < len(s); j++ {
		switch {
		case s[j] == '\\' && !raw:
			j++
		case s[j] == '\n' && len(quote) == 1:
			return -1
		case strings.HasPrefix(s[j:], quote):
			return j + len(quote) - 1
		}
	}
	return -1
}

func positioned(source string, at int, msg string) *Error {
	before := source[:at]
	line := strings.Count(before, "\n")
	return &Error{Source: source, Line: line + 1, Column: at - strings.LastIndexByte(before, '\n'), Message: msg}
}

// within moves the position of a hole's error to the template around it.
func within(err error, source string, at int) error {
	var e *Error
	if !errors.As(err, &e) || e.Line == 0 {
		return err
	}
	outer := positioned(source, at, e.Message)
	if e.Line == 1 {
		outer.Column += e.Column - 1
	} else {
		outer.Line += e.Line - 1
		outer.Column = e.Column
	}
	return outer
}

// Source returns the template's text.
func (t *Template) Source() string { return t.source }

// Literal returns the text of a template without holes.
func (t *Template) Literal() (string, bool) {
	var b strings.Builder
	for _, p := range t.parts {
		if p.hole != nil {
			return "", false
		}
		b.WriteString(p.text)
	}
	return b.String(), true
}

// Eval fills the holes. A template that is one hole keeps the value's type;
// any other is a string in which null is "".
func (t *Template) Eval(ctx context.Context, vars map[string]any) (any, error) {
	if len(t.parts) == 1 && t.parts[0].hole != nil {
		return t.parts[0].hole.Eval(ctx, vars)
	}
	return t.Text(ctx, vars, nil)
}

// Text fills the holes and returns text. Escape, if given, is applied to what
// each hole yields and may refuse it.
func (t *Template) Text(ctx context.Context, vars map[string]any, escape func(string) (string, error)) (string, error) {
	var b strings.Builder
	for _, p := range t.parts {
		if p.hole == nil {
			b.WriteString(p.text)
			continue
		}
		s, err := p.hole.EvalString(ctx, vars)
		if err != nil {
			return "", err
		}
		if escape != nil {
			if s, err = escape(s); err != nil {
				return "", &Error{Source: t.source, Message: fmt.Sprintf("${%s}: %v", p.hole.source, err)}
			}
		}
		b.WriteString(s)
		if t.most > 0 && b.Len() > t.most {
			return "", &Error{Source: t.source, Message: tooLarge(t.most), cause: ErrTooLarge}
		}
	}
	return b.String(), nil
}
