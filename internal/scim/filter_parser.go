// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package scim

import (
	"strings"
	"time"
)

// ParseFilter reads a filter (RFC 7644 section 3.4.2.2) and resolves its names
// and types against rt. Every refusal is a 400 invalidFilter. Length, depth and
// number of terms are bounded before anything recurses.
func ParseFilter(rt *ResourceType, filter string, dialect Dialect) (Expr, error) {
	p := &filterParser{lex: lexer{in: filter, kind: InvalidFilter}, dialect: dialect, resolve: rt.Resolve}
	if err := p.lex.check(); err != nil {
		return nil, err
	}
	e, err := p.or()
	if err != nil {
		return nil, err
	}
	p.lex.space()
	if !p.lex.done() {
		return nil, p.lex.fail("the filter ends before this")
	}
	return e, nil
}

// filterParser is a recursive-descent parser: or > and > term. It recurses only
// in group and element, which count the depth.
type filterParser struct {
	lex     lexer
	dialect Dialect
	// resolve is what names mean here: in an element, its sub-attributes.
	resolve func(string) (Ref, bool)
	// inElement forbids a value path within a value path.
	inElement bool
	depth     int
	terms     int
}

func (p *filterParser) or() (Expr, error) {
	terms, err := p.list("or", p.and)
	if err != nil {
		return nil, err
	}
	if len(terms) == 1 {
		return terms[0], nil
	}
	out := &Or{}
	for _, t := range terms {
		if o, ok := t.(*Or); ok {
			out.Terms = append(out.Terms, o.Terms...)
			continue
		}
		out.Terms = append(out.Terms, t)
	}
	return out, nil
}

func (p *filterParser) and() (Expr, error) {
	terms, err := p.list("and", p.term)
	if err != nil {
		return nil, err
	}
	if len(terms) == 1 {
		return terms[0], nil
	}
	out := &And{}
	for _, t := range terms {
		if a, ok := t.(*And); ok {
			out.Terms = append(out.Terms, a.Terms...)
			continue
		}
		out.Terms = append(out.Terms, t)
	}
	return out, nil
}

// list reads what next reads, as often as the word glue stands between.
func (p *filterParser) list(glue string, next func() (Expr, error)) ([]Expr, error) {
	var out []Expr
	for {
		e, err := next()
		if err != nil {
			return nil, err
		}
		out = append(out, e)
		if !p.lex.keyword(glue) {
			return out, nil
		}
	}
}

func (p *filterParser) term() (Expr, error) {
	p.lex.space()
	if p.lex.accept('(') {
		return p.group()
	}
	start := p.lex.pos
	name := p.lex.word()
	if name == "" {
		return nil, p.lex.fail("the name of an attribute is expected here")
	}
	if strings.EqualFold(name, "not") {
		p.lex.space()
		if !p.lex.accept('(') {
			return nil, p.lex.fail(`"not" is followed by a parenthesis`)
		}
		e, err := p.group()
		if err != nil {
			return nil, err
		}
		return &Not{Term: e}, nil
	}
	ref, ok := p.resolve(name)
	if !ok || ref.Attr == nil {
		p.lex.pos = start
		return nil, p.lex.fail("no attribute has this name")
	}
	if ref.Leaf().Returned == ReturnedNever {
		p.lex.pos = start
		return nil, p.lex.fail("this attribute cannot be filtered by")
	}
	if p.lex.accept('[') {
		return p.valuePath(ref, start)
	}
	return p.comparison(ref)
}

// group reads to the closing parenthesis of one that was just opened.
func (p *filterParser) group() (Expr, error) {
	if err := p.enter(); err != nil {
		return nil, err
	}
	e, err := p.or()
	if err != nil {
		return nil, err
	}
	p.lex.space()
	if !p.lex.accept(')') {
		return nil, p.lex.fail("a closing parenthesis is expected here")
	}
	p.depth--
	return e, nil
}

func (p *filterParser) enter() error {
	if p.depth++; p.depth > MaxFilterDepth {
		return badRequest(InvalidFilter, "The filter nests deeper than %d.", MaxFilterDepth)
	}
	return nil
}

// valuePath reads from after the opening bracket: the filter of the element, and
// a comparison of a sub-attribute of it if one follows.
func (p *filterParser) valuePath(ref Ref, start int) (Expr, error) {
	if p.inElement || ref.Sub != nil || !takesFilter(ref.Attr) {
		p.lex.pos = start
		return nil, p.lex.fail("only a multi-valued complex attribute takes a filter in brackets")
	}
	filter, err := p.element(ref)
	if err != nil {
		return nil, err
	}
	if !p.lex.accept('.') {
		return &ValuePath{Attr: ref, Filter: filter}, nil
	}
	name := p.lex.word()
	sub := ref.Attr.Sub(name)
	if sub == nil {
		return nil, p.lex.fail("the attribute has no sub-attribute of this name")
	}
	test, err := p.comparison(Ref{Attr: sub})
	if err != nil {
		return nil, err
	}
	// A negative test of the one element that is meant is a negative of the whole.
	positive, negated := affirm(test)
	out := Expr(&ValuePath{Attr: ref, Filter: conjunction(filter, positive)})
	if negated {
		out = &Not{Term: out}
	}
	return out, nil
}

// element reads a filter over the sub-attributes of ref, and its closing bracket.
func (p *filterParser) element(ref Ref) (Expr, error) {
	if err := p.enter(); err != nil {
		return nil, err
	}
	outer := p.resolve
	p.inElement, p.resolve = true, func(name string) (Ref, bool) {
		sub := ref.Attr.Sub(name)
		return Ref{Attr: sub}, sub != nil
	}
	e, err := p.or()
	if err != nil {
		return nil, err
	}
	p.inElement, p.resolve = false, outer
	p.lex.space()
	if !p.lex.accept(']') {
		return nil, p.lex.fail("a closing bracket is expected here")
	}
	p.depth--
	return e, nil
}

// affirm turns ne and "eq null" into what they deny.
func affirm(e Expr) (Expr, bool) {
	c, ok := e.(*Compare)
	if !ok {
		return e, false
	}
	switch {
	case c.Value.Kind == LiteralNull:
		return &Present{Attr: c.Attr}, c.Op == OpEq
	case c.Op == OpNe:
		return &Compare{Attr: c.Attr, Op: OpEq, Value: c.Value}, true
	}
	return e, false
}

// conjunction is a and b without an And inside an And.
func conjunction(a, b Expr) Expr {
	if and, ok := a.(*And); ok {
		return &And{Terms: append(and.Terms[:len(and.Terms):len(and.Terms)], b)}
	}
	return &And{Terms: []Expr{a, b}}
}

// comparison reads an operator and, but for pr, a value.
func (p *filterParser) comparison(ref Ref) (Expr, error) {
	if p.terms++; p.terms > MaxFilterTerms {
		return nil, badRequest(InvalidFilter, "The filter has more than %d comparisons.", MaxFilterTerms)
	}
	p.lex.space()
	start := p.lex.pos
	op := Op(strings.ToLower(p.lex.word()))
	if op == "pr" {
		return &Present{Attr: ref}, nil
	}
	switch op {
	case OpEq, OpNe, OpCo, OpSw, OpEw, OpGt, OpGe, OpLt, OpLe:
	default:
		p.lex.pos = start
		return nil, p.lex.fail("an operator is expected here: eq, ne, co, sw, ew, gt, ge, lt, le or pr")
	}
	if ref.Leaf().Type == TypeComplex {
		value := ref.Attr.Sub("value")
		if value == nil {
			return nil, badRequest(InvalidFilter, "%s has no value of its own: compare one of its sub-attributes.", ref)
		}
		ref.Sub = value
	}
	p.lex.space()
	raw, err := p.lex.value(p.dialect.BareLiterals)
	if err != nil {
		return nil, err
	}
	value, err := p.typed(ref, op, raw)
	if err != nil {
		return nil, err
	}
	return &Compare{Attr: ref, Op: op, Value: value}, nil
}

// typed checks the operator and the literal against the attribute's type.
func (p *filterParser) typed(ref Ref, op Op, tok token) (Literal, error) {
	raw := tok.Literal
	if raw.Kind == LiteralNull {
		if op == OpEq || op == OpNe {
			return raw, nil
		}
		return raw, badRequest(InvalidFilter, "null compares with eq and ne only.")
	}
	t := ref.Leaf().Type
	switch t {
	case TypeBoolean, TypeBinary:
		if op != OpEq && op != OpNe && (t == TypeBoolean || op == OpGt || op == OpGe || op == OpLt || op == OpLe) {
			return raw, badRequest(InvalidFilter, "%s is of type %s and cannot be compared with %s.", ref, t, op)
		}
	case TypeDateTime, TypeDecimal, TypeInteger:
		if op == OpCo || op == OpSw || op == OpEw {
			return raw, badRequest(InvalidFilter, "%s is of type %s and cannot be compared with %s.", ref, t, op)
		}
	}
	want := LiteralString
	switch t {
	case TypeBoolean:
		want = LiteralBool
		if b, ok := boolWord(raw.Text); ok && raw.Kind == LiteralString && p.dialect.StringBooleans {
			raw = Literal{Kind: LiteralBool, Bool: b}
		}
	case TypeDecimal, TypeInteger:
		want = LiteralNumber
	case TypeDateTime:
		if at, err := ParseTime(raw.Text); err == nil && raw.Kind == LiteralString {
			return Literal{Kind: LiteralTime, Text: raw.Text, Time: at}, nil
		}
		return raw, badRequest(InvalidFilter, "%s compares with a date and time such as \"2026-01-31T18:42:00Z\".", ref)
	}
	if want == LiteralString && tok.bare != "" {
		raw = Literal{Kind: LiteralString, Text: tok.bare}
	}
	if raw.Kind != want {
		return raw, badRequest(InvalidFilter, "%s is of type %s: the value does not fit.", ref, t)
	}
	return raw, nil
}

// boolWord reads true or false in any case.
func boolWord(s string) (value, ok bool) {
	switch {
	case strings.EqualFold(s, "true"):
		return true, true
	case strings.EqualFold(s, "false"):
		return false, true
	}
	return false, false
}

// ParseTime reads a dateTime (RFC 7643 section 2.3.5: xsd:dateTime). One without
// a zone is taken as UTC.
func ParseTime(s string) (time.Time, error) {
	t, err := time.Parse(time.RFC3339Nano, s)
	if err != nil {
		if local, lerr := time.Parse("2006-01-02T15:04:05.999999999", s); lerr == nil {
			return local, nil
		}
	}
	return t, err
}
