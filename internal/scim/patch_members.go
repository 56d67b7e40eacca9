// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package scim

import "slices"

// Member is a member of a Group.
type Member struct {
	// Value is the id of the member.
	Value string
	// Type is "User" or "Group", as the client gave it; empty where it did not.
	Type string
}

func (m Member) object() Object {
	o := Object{"value": m.Value}
	if m.Type != "" {
		o["type"] = m.Type
	}
	return o
}

// MemberDelta is what a PATCH does to the values of an External attribute: the
// members of a Group. The operations are already reduced to their common end: a
// member is in Add or in Remove, not in both, and once.
type MemberDelta struct {
	// ReplaceAll drops every member that is not in Add. Remove is empty then.
	ReplaceAll bool
	// Add are to be members. Adding one that is a member already is no change.
	Add []Member
	// Remove are not to be members. Removing one that is none is no change.
	Remove []string
}

// Apply is what the delta makes of a list of members, for those who have it whole.
func (d *MemberDelta) Apply(members []Member) []Member {
	if d == nil {
		return members
	}
	var out []Member
	have := map[string]bool{}
	if !d.ReplaceAll {
		gone := make(map[string]bool, len(d.Remove))
		for _, id := range d.Remove {
			gone[id] = true
		}
		for _, m := range members {
			if !gone[m.Value] {
				out = append(out, m)
				have[m.Value] = true
			}
		}
	}
	for _, m := range d.Add {
		if !have[m.Value] {
			out = append(out, m)
		}
	}
	return out
}

// MemberReader finds the stored members that a filter over the sub-attributes of
// members selects. It is asked only where the ids do not stand in the filter
// itself, as in members[type eq "Group"].
type MemberReader func(filter Expr) ([]Member, error)

// memberSet reduces operations on members to a delta.
type memberSet struct {
	cleared bool
	add     map[string]Member
	remove  map[string]bool
	// order is how ids were first named.
	order []string
	known map[string]bool
}

func (s *memberSet) note(id string) {
	if s.known == nil {
		s.known, s.add, s.remove = map[string]bool{}, map[string]Member{}, map[string]bool{}
	}
	if !s.known[id] {
		s.known[id] = true
		s.order = append(s.order, id)
	}
}

func (s *memberSet) put(m Member) {
	s.note(m.Value)
	delete(s.remove, m.Value)
	if old, ok := s.add[m.Value]; !ok || old.Type == "" {
		s.add[m.Value] = m
	}
}

func (s *memberSet) drop(id string) {
	s.note(id)
	delete(s.add, id)
	if !s.cleared {
		s.remove[id] = true
	}
}

func (s *memberSet) clear() {
	*s = memberSet{cleared: true}
}

// delta is nil where nothing was said about members.
func (s *memberSet) delta() *MemberDelta {
	d := &MemberDelta{ReplaceAll: s.cleared}
	for _, id := range s.order {
		if m, ok := s.add[id]; ok {
			d.Add = append(d.Add, m)
		} else if s.remove[id] {
			d.Remove = append(d.Remove, id)
		}
	}
	if !d.ReplaceAll && len(d.Add) == 0 && len(d.Remove) == 0 {
		return nil
	}
	return d
}

// external carries an operation out on an attribute whose values are kept apart.
func (a *applier) external(op Operation) error {
	ref := op.Path.Attr
	switch {
	case ref.Sub != nil, op.Path.Filter != nil && op.Op != OpRemove:
		return badRequest(Mutability, "%s are added and removed, not changed.", ref.Attr.Name)
	case op.Path.Filter != nil && op.Value != nil:
		return badRequest(InvalidValue, "The path says which %s to remove: send no value beside it.", ref.Attr.Name)
	case op.Path.Filter != nil:
		return a.dropSelected(op.Path.Filter)
	case op.Op == OpRemove && op.Value != nil:
		return a.dropListed(ref.Attr, op.Value)
	case op.Op == OpRemove:
		a.members.clear()
		return nil
	}
	var raw []any
	switch v := op.Value.(type) {
	case nil:
	case []any:
		raw = v
	default:
		raw = []any{v}
	}
	list, err := a.decoder.elements("", ref.Attr, raw)
	if err != nil {
		return err
	}
	if op.Op == OpReplace {
		a.members.clear()
	}
	for _, m := range toMembers(list) {
		a.members.put(m)
	}
	return nil
}

func (a *applier) dropListed(attr *Attribute, value any) error {
	entries, err := listed(attr, value)
	if err != nil {
		return err
	}
	for _, e := range entries {
		id, ok := e["value"].(string)
		if !ok {
			return badRequest(InvalidValue, "What to remove from %s is named by its value.", attr.Name)
		}
		a.members.drop(id)
	}
	return nil
}

func (a *applier) dropSelected(filter Expr) error {
	ids, plain := valuesIn(filter)
	if !plain {
		for _, id := range slices.Clone(a.members.order) {
			if m, ok := a.members.add[id]; ok && (scope{at: m.object()}).match(filter) {
				ids = append(ids, id)
			}
		}
		if !a.members.cleared {
			if a.read == nil {
				return badRequest(InvalidFilter, "Members are selected by their value here.")
			}
			stored, err := a.read(filter)
			if err != nil {
				return err
			}
			for _, m := range stored {
				ids = append(ids, m.Value)
			}
		}
	}
	for _, id := range ids {
		a.members.drop(id)
	}
	return nil
}

// valuesIn are the ids that a filter names, where it does nothing else:
// value eq "a" or value eq "b".
func valuesIn(filter Expr) ([]string, bool) {
	terms := []Expr{filter}
	if or, ok := filter.(*Or); ok {
		terms = or.Terms
	}
	var out []string
	for _, t := range terms {
		c, ok := t.(*Compare)
		if !ok || c.Op != OpEq || c.Attr.Attr.Name != "value" || c.Value.Kind != LiteralString {
			return nil, false
		}
		out = append(out, c.Value.Text)
	}
	return out, true
}
