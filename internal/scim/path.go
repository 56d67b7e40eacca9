// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package scim

import "strings"

// Path is what an operation of a PATCH is about.
type Path struct {
	// Attr is the attribute, or a whole extension.
	Attr Ref
	// Filter selects elements of a multi-valued attribute. With it, Attr.Sub is
	// the sub-attribute of those elements that is meant, if not all of them.
	Filter Expr
	// terms counts the comparisons of Filter.
	terms int
}

// String is the canonical text of the path.
func (p *Path) String() string {
	if p.Filter == nil {
		return p.Attr.String()
	}
	whole := p.Attr
	whole.Sub = nil
	var b strings.Builder
	b.WriteString(whole.String())
	b.WriteByte('[')
	b.WriteString(p.Filter.String())
	b.WriteByte(']')
	if p.Attr.Sub != nil {
		b.WriteByte('.')
		b.WriteString(p.Attr.Sub.Name)
	}
	return b.String()
}

// ParsePath reads the path of an operation of a PATCH (RFC 7644 section 3.5.2,
// figure 1): an attribute, a sub-attribute, a value path with or without a
// sub-attribute after it, each with or without a URN, or the URN of an
// extension. A malformed path is a 400 invalidPath; a comparison in it that the
// attribute's type does not have is a 400 invalidFilter.
func ParsePath(rt *ResourceType, path string, dialect Dialect) (*Path, error) {
	p := &filterParser{lex: lexer{in: path, kind: InvalidPath}, dialect: dialect, resolve: rt.Resolve}
	if err := p.lex.check(); err != nil {
		return nil, err
	}
	ref, ok := rt.Resolve(p.lex.word())
	if !ok {
		p.lex.pos = 0
		return nil, p.lex.fail("no attribute has this name")
	}
	out := &Path{Attr: ref}
	if p.lex.accept('[') {
		if ref.Sub != nil || !takesFilter(ref.Attr) {
			return nil, p.lex.fail("only a multi-valued complex attribute takes a filter in brackets")
		}
		var err error
		if out.Filter, err = p.element(ref); err != nil {
			return nil, err
		}
		if p.lex.accept('.') {
			if out.Attr.Sub = ref.Attr.Sub(p.lex.word()); out.Attr.Sub == nil {
				return nil, p.lex.fail("the attribute has no sub-attribute of this name")
			}
		}
	}
	if !p.lex.done() {
		return nil, p.lex.fail("the path ends before this")
	}
	out.terms = p.terms
	return out, nil
}

// takesFilter reports whether elements of the attribute can be selected.
func takesFilter(a *Attribute) bool {
	return a != nil && a.MultiValued && a.Type == TypeComplex
}
