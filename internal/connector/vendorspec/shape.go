// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package vendorspec

import "strings"

// Shape is what a description says of a JSON value. A nil Shape says nothing:
// whatever is read of it passes.
type Shape interface {
	// Field returns the shape of an object's member, and whether the value may
	// have such a member.
	Field(name string) (Shape, bool)
	// Item returns the shape of a list's element, and whether the value is a
	// list.
	Item() (Shape, bool)
}

// union is a value that has one of several shapes.
type union []Shape

// either joins shapes; one that says nothing makes the whole say nothing.
func either(shapes ...Shape) Shape {
	var u union
	for _, s := range shapes {
		if s == nil {
			return nil
		}
		u = append(u, s)
	}
	switch len(u) {
	case 0:
		return nil
	case 1:
		return u[0]
	}
	return u
}

func (u union) Field(name string) (Shape, bool) {
	var found []Shape
	for _, s := range u {
		if f, ok := s.Field(name); ok {
			found = append(found, f)
		}
	}
	return either(found...), len(found) > 0
}

func (u union) Item() (Shape, bool) {
	var found []Shape
	for _, s := range u {
		if f, ok := s.Item(); ok {
			found = append(found, f)
		}
	}
	return either(found...), len(found) > 0
}

// listOf is a list whose elements have the shape.
type listOf struct{ of Shape }

func (l listOf) Field(string) (Shape, bool) { return nil, false }
func (l listOf) Item() (Shape, bool)        { return l.of, true }

// object has exactly these members.
type object map[string]Shape

func (o object) Field(name string) (Shape, bool) {
	s, ok := o[name]
	return s, ok
}
func (o object) Item() (Shape, bool) { return nil, false }

// nothing is a scalar: it has neither members nor elements.
type nothing struct{}

func (nothing) Field(string) (Shape, bool) { return nil, false }
func (nothing) Item() (Shape, bool)        { return nil, false }

// Unknown lists the members of a JSON value that the shape does not have, as
// dotted paths with list indices left out.
func Unknown(s Shape, v any) []string {
	var out []string
	seen := map[string]bool{}
	var walk func(s Shape, v any, path []string)
	walk = func(s Shape, v any, path []string) {
		if s == nil {
			return
		}
		switch t := v.(type) {
		case map[string]any:
			for name, e := range t {
				at := append(path[:len(path):len(path)], name)
				f, ok := s.Field(name)
				if !ok {
					if text := strings.Join(at, "."); !seen[text] {
						seen[text] = true
						out = append(out, text)
					}
					continue
				}
				walk(f, e, at)
			}
		case []any:
			if item, ok := s.Item(); ok {
				for _, e := range t {
					walk(item, e, path)
				}
			} else if text := strings.Join(path, ".") + "[]"; len(t) > 0 && !seen[text] {
				seen[text] = true
				out = append(out, text)
			}
		}
	}
	walk(s, v, nil)
	return out
}
