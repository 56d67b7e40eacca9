// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package scim

import "strings"

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
}

// SplitNames reads a list of attributes as it stands in a query.
func SplitNames(list string) []string {
	var out []string
	for name := range strings.SplitSeq(list, ",") {
		if name = strings.TrimSpace(name); name != "" {
			out = append(out, name)
		}
	}
	return out
}

// ParseProjection reads attributes and excludedAttributes, which exclude each
// other. Names that nothing has are ignored, as unknown attributes are elsewhere.
func ParseProjection(rt *ResourceType, attributes, excluded []string) (*Projection, error) {
	if len(attributes) > 0 && len(excluded) > 0 {
		return nil, badRequest(InvalidValue, "attributes and excludedAttributes exclude each other: send one.")
	}
	p := &Projection{rt: rt, only: len(attributes) > 0, named: map[*Attribute]*selection{}}
	for _, name := range append(attributes, excluded...) {
		ref, ok := rt.Resolve(name)
		if !ok {
			continue
		}
		if ref.Attr == nil {
			for _, a := range ref.Extension.Attributes {
				p.named[a] = &selection{whole: true}
			}
			continue
		}
		s := p.named[ref.Attr]
		if s == nil {
			s = &selection{subs: map[*Attribute]bool{}}
			p.named[ref.Attr] = s
		}
		if ref.Sub == nil {
			s.whole = true
		} else if s.subs != nil {
			s.subs[ref.Sub] = true
		}
	}
	return p, nil
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
		out := Object{}
		for _, sub := range a.SubAttributes {
			if e, ok := v[sub.Name]; ok && p.keepsSub(sub, s) {
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

func (p *Projection) keepsSub(sub *Attribute, s *selection) bool {
	switch sub.Returned {
	case ReturnedAlways:
		return true
	case ReturnedNever:
		return false
	}
	if s == nil {
		return true
	}
	if p.only {
		return s.whole || s.subs[sub]
	}
	return !s.subs[sub]
}
