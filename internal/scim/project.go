// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package scim

import (
	"maps"
	"strings"
)

// Projection is which attributes an answer holds (RFC 7644 section 3.9).
type Projection struct {
	rt *ResourceType
	// only tells a list of what is wanted from one of what is not.
	only bool
	// named are the attributes that the list names, whole or in part.
	named map[*Attribute]*selection
}

// selection is what of an attribute is named.
type selection struct {
	whole bool
	subs  map[*Attribute]bool
	// values are those that a value path names: emails[type eq "work"].value.
	values []valueSelection
}

// valueSelection is a filter over values, and the sub-attribute of them that is
// named if not all.
type valueSelection struct {
	filter Expr
	sub    *Attribute
}

// MaxNames bounds how many attributes a list names.
const MaxNames = 256

// SplitNames reads a list of attributes as it stands in a query. A comma within
// brackets, as in emails[value eq "a,b"], separates nothing.
func SplitNames(list string) []string {
	var out []string
	quoted, depth, start := false, 0, 0
	add := func(end int) {
		if name := strings.TrimSpace(list[start:end]); name != "" {
			out = append(out, name)
		}
		start = end + 1
	}
	for i := 0; i < len(list); i++ {
		switch c := list[i]; {
		case quoted && c == '\\':
			i++
		case c == '"' && depth > 0:
			quoted = !quoted
		case quoted:
		case c == '[':
			depth++
		case c == ']' && depth > 0:
			depth--
		case c == ',' && depth == 0:
			add(i)
		}
	}
	add(len(list))
	return out
}

// ParseProjection reads attributes and excludedAttributes, which exclude each
// other. Names that nothing has are ignored, as unknown attributes are elsewhere.
// A value path names the values that it selects.
func ParseProjection(rt *ResourceType, attributes, excluded []string) (*Projection, error) {
	if len(attributes) > 0 && len(excluded) > 0 {
		return nil, badRequest(InvalidValue, "attributes and excludedAttributes exclude each other: send one.")
	}
	if max(len(attributes), len(excluded)) > MaxNames {
		return nil, badRequest(InvalidValue, "attributes and excludedAttributes name %d attributes at most.", MaxNames)
	}
	p := &Projection{rt: rt, only: len(attributes) > 0, named: map[*Attribute]*selection{}}
	for _, name := range append(attributes, excluded...) {
		if path, err := ParsePath(rt, name, Dialect{StringBooleans: true}); err == nil {
			p.name(path)
		}
	}
	return p, nil
}

// name notes what a path names.
func (p *Projection) name(path *Path) {
	ref := path.Attr
	if ref.Attr == nil {
		for _, a := range ref.Extension.Attributes {
			p.named[a] = &selection{whole: true}
		}
		return
	}
	s := p.named[ref.Attr]
	if s == nil {
		s = &selection{subs: map[*Attribute]bool{}}
		p.named[ref.Attr] = s
	}
	switch {
	case path.Filter != nil:
		s.values = append(s.values, valueSelection{filter: path.Filter, sub: ref.Sub})
	case ref.Sub == nil:
		s.whole = true
	case s.subs != nil:
		s.subs[ref.Sub] = true
	}
}

// Includes reports whether an answer may hold the attribute called name, so that
// the caller need not read what it would only leave out.
func (p *Projection) Includes(name string) bool {
	ref, ok := p.rt.Resolve(name)
	return ok && ref.Attr != nil && p.keeps(ref.Attr, p.named[ref.Attr])
}

// keeps decides on an attribute as a whole; some of it may still be left out.
func (p *Projection) keeps(a *Attribute, s *selection) bool {
	switch a.Returned {
	case ReturnedAlways:
		return true
	case ReturnedNever:
		return false
	case ReturnedRequest:
		return p.only && s != nil
	}
	if p.only {
		return s != nil
	}
	return s == nil || !s.whole
}

// Apply is a copy with what the answer holds.
func (p *Projection) Apply(r *Resource) *Resource {
	out := NewResource(r.Type)
	p.copy(out.Attributes, r.Attributes, commonAttributes)
	p.copy(out.Attributes, r.Attributes, r.Type.Schema.Attributes)
	for _, s := range r.Type.Extensions {
		from, _ := r.Attributes[s.ID].(Object)
		to := Object{}
		if p.copy(to, from, s.Attributes); len(to) > 0 {
			out.Attributes[s.ID] = to
		}
	}
	return out
}

// List encodes the values of a multi-valued attribute one after the other, as the
// answer holds them: a group may have more members than there should be objects
// at the same time.
type List struct {
	projection *Projection
	attr       *Attribute
	named      *selection
	w          writer
}

// List begins the values of the attribute called name, which the resource type has.
func (p *Projection) List(name string) *List {
	l := &List{projection: p, attr: p.rt.Attribute(name)}
	l.named = p.named[l.attr]
	return l
}

// Add adds a value, which is not kept.
func (l *List) Add(v Object) {
	part := l.projection.part(l.attr, l.named, v)
	if isEmpty(part) {
		return
	}
	glue := byte(',')
	if l.w.buf.Len() == 0 {
		glue = '['
	}
	l.w.buf.WriteByte(glue)
	l.w.value(l.attr, part)
}

// Put makes the values those of an attribute of a resource that is answered and
// nothing else.
func (l *List) Put(r *Resource) {
	if l.w.buf.Len() > 0 {
		r.Attributes[l.attr.Name] = encoded(append(l.w.buf.Bytes(), ']'))
	}
}

// encoded is a value as it is answered.
type encoded []byte

func (p *Projection) copy(to, from Object, attrs []*Attribute) {
	for _, a := range attrs {
		s := p.named[a]
		v, ok := from[a.Name]
		if !ok || !p.keeps(a, s) {
			continue
		}
		if v = p.part(a, s, v); !isEmpty(v) {
			to[a.Name] = v
		}
	}
}

// part is what of a value the answer holds.
func (p *Projection) part(a *Attribute, s *selection, v any) any {
	switch v := v.(type) {
	case Object:
		whole, subs := p.selected(s, v)
		out := Object{}
		for _, sub := range a.SubAttributes {
			if e, ok := v[sub.Name]; ok && p.keepsSub(sub, whole, subs) {
				out[sub.Name] = e
			}
		}
		return out
	case []any:
		out := make([]any, 0, len(v))
		for _, e := range v {
			if e = p.part(a, s, e); !isEmpty(e) {
				out = append(out, e)
			}
		}
		return out
	}
	return v
}

// selected says of one value whether the list names all of it, or which
// sub-attributes.
func (p *Projection) selected(s *selection, v Object) (bool, map[*Attribute]bool) {
	if s == nil {
		return p.only, nil // kept without being named: all of it
	}
	whole, subs := s.whole, s.subs
	for _, sel := range s.values {
		if !(scope{at: v}).match(sel.filter) {
			continue
		}
		if sel.sub == nil {
			return true, nil
		}
		subs = maps.Clone(subs)
		if subs == nil {
			subs = map[*Attribute]bool{}
		}
		subs[sel.sub] = true
	}
	return whole, subs
}

func (p *Projection) keepsSub(sub *Attribute, whole bool, subs map[*Attribute]bool) bool {
	switch sub.Returned {
	case ReturnedAlways:
		return true
	case ReturnedNever:
		return false
	}
	return (whole || subs[sub]) == p.only
}
