// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package scim

import (
	"encoding/json"
	"strconv"
	"strings"
)

// precedence orders the operators by how tightly they bind.
type precedence int

const (
	bindsOr precedence = iota
	bindsAnd
	bindsNot
)

func render(e Expr) string {
	var b strings.Builder
	e.write(&b, bindsOr)
	return b.String()
}

// String implements Expr.
func (e *And) String() string { return render(e) }

// String implements Expr.
func (e *Or) String() string { return render(e) }

// String implements Expr.
func (e *Not) String() string { return render(e) }

// String implements Expr.
func (e *Compare) String() string { return render(e) }

// String implements Expr.
func (e *Present) String() string { return render(e) }

// String implements Expr.
func (e *ValuePath) String() string { return render(e) }

func (e *And) write(b *strings.Builder, inside precedence) {
	writeTerms(b, e.Terms, " and ", bindsAnd, inside)
}

func (e *Or) write(b *strings.Builder, inside precedence) {
	writeTerms(b, e.Terms, " or ", bindsOr, inside)
}

func (e *Not) write(b *strings.Builder, _ precedence) {
	b.WriteString("not (")
	e.Term.write(b, bindsOr)
	b.WriteByte(')')
}

func (e *Compare) write(b *strings.Builder, _ precedence) {
	b.WriteString(e.Attr.String())
	b.WriteByte(' ')
	b.WriteString(string(e.Op))
	b.WriteByte(' ')
	b.WriteString(e.Value.String())
}

func (e *Present) write(b *strings.Builder, _ precedence) {
	b.WriteString(e.Attr.String())
	b.WriteString(" pr")
}

func (e *ValuePath) write(b *strings.Builder, _ precedence) {
	b.WriteString(e.Attr.String())
	b.WriteByte('[')
	e.Filter.write(b, bindsOr)
	b.WriteByte(']')
}

// writeTerms joins terms, within parentheses where what is around binds tighter.
func writeTerms(b *strings.Builder, terms []Expr, glue string, own, inside precedence) {
	if own < inside {
		b.WriteByte('(')
		defer b.WriteByte(')')
	}
	for i, t := range terms {
		if i > 0 {
			b.WriteString(glue)
		}
		t.write(b, own+1)
	}
}

// String is the literal as it is written in a filter.
func (l Literal) String() string {
	switch l.Kind {
	case LiteralBool:
		return strconv.FormatBool(l.Bool)
	case LiteralNumber:
		return l.Number.String()
	case LiteralNull:
		return "null"
	default:
		quoted, err := json.Marshal(l.Text)
		if err != nil { // no string fails to marshal
			return `""`
		}
		return string(quoted)
	}
}
