// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package scimtest

import (
	"slices"
	"strings"

	"github.com/seatkeeper/seatkeeper/internal/scim"
)

// Filter is the text of a valid filter over a resource type.
func (s *Source) Filter(rt *scim.ResourceType) string {
	return s.expr(3, func() string { return s.term(rt) })
}

// expr joins terms, with parentheses where they may be idle.
func (s *Source) expr(depth int, term func() string) string {
	if depth == 0 {
		return term()
	}
	inner := func() string { return s.expr(depth-1, term) }
	switch s.Intn(8) {
	case 0:
		return inner() + s.caseOf(" and ") + inner()
	case 1:
		return inner() + s.caseOf(" or ") + inner()
	case 2:
		return s.caseOf("not ") + "(" + inner() + ")"
	case 3:
		return "(" + inner() + s.caseOf(" or ") + inner() + ")" + s.caseOf(" and ") + inner()
	case 4:
		return "( " + inner() + " )"
	}
	return term()
}

// caseOf is a name in some case.
func (s *Source) caseOf(name string) string {
	switch s.Intn(8) {
	case 0:
		return strings.ToUpper(name)
	case 1:
		return strings.ToLower(name)
	}
	return name
}

// term is a comparison, or a value path.
func (s *Source) term(rt *scim.ResourceType) string {
	name, a := s.attribute(rt)
	if a.Type != scim.TypeComplex {
		return s.comparison(name, a)
	}
	if a.MultiValued && s.Chance(3) {
		element := func() string {
			sub := s.sub(a)
			return s.comparison(s.caseOf(sub.Name), sub)
		}
		out := name + "[" + s.expr(2, element) + "]"
		if s.Chance(3) {
			sub := s.sub(a)
			return s.comparison(out+"."+sub.Name, sub)
		}
		return out
	}
	if sub := a.Sub("value"); sub != nil && s.Chance(4) {
		return s.comparison(name, sub)
	}
	if s.Chance(4) {
		return name + " pr"
	}
	sub := s.sub(a)
	return s.comparison(name+"."+s.caseOf(sub.Name), sub)
}

// attribute is one that can be filtered by, and a name of it.
func (s *Source) attribute(rt *scim.ResourceType) (string, *scim.Attribute) {
	if s.Chance(5) {
		a := rt.Attribute(pick(s, []string{"id", "externalId", "meta", "schemas"}))
		return s.caseOf(a.Name), a
	}
	schema := rt.Schema
	if len(rt.Extensions) > 0 && s.Chance(4) {
		schema = pick(s, rt.Extensions)
	}
	a := pick(s, schema.Attributes)
	for a.Returned == scim.ReturnedNever {
		a = pick(s, schema.Attributes)
	}
	if schema != rt.Schema && !s.Chance(4) || s.Chance(8) {
		return s.caseOf(schema.ID + ":" + a.Name), a
	}
	return s.caseOf(a.Name), a
}

// sub is a sub-attribute that need not be avoided.
func (s *Source) sub(a *scim.Attribute) *scim.Attribute {
	for {
		sub := pick(s, a.SubAttributes)
		if !slices.Contains(s.Avoid, a.Name+"."+sub.Name) {
			return sub
		}
	}
}

// comparison is one that the attribute's type has.
func (s *Source) comparison(name string, a *scim.Attribute) string {
	switch s.Intn(6) {
	case 0:
		return name + s.caseOf(" pr")
	case 1:
		return name + s.caseOf(pick(s, []string{" eq ", " ne "})) + "null"
	}
	switch a.Type {
	case scim.TypeBoolean:
		return name + s.caseOf(pick(s, []string{" eq ", " ne "})) + pick(s, []string{"true", "false"})
	case scim.TypeDateTime:
		return name + s.caseOf(pick(s, []string{" eq ", " ne ", " gt ", " ge ", " lt ", " le "})) + quote(s.time())
	case scim.TypeBinary:
		return name + s.caseOf(pick(s, []string{" eq ", " ne ", " co ", " sw ", " ew "})) + quote(pick(s, []string{"", "aGk=", "aGK=", "Y", "="}))
	}
	op := pick(s, []string{" eq ", " eq ", " ne ", " co ", " sw ", " ew ", " gt ", " ge ", " lt ", " le "})
	return name + s.caseOf(op) + quote(s.literal(a))
}

func (s *Source) literal(a *scim.Attribute) string {
	switch {
	case a.Name == "schemas" && !s.Chance(3):
		return pick(s, []string{scim.CoreUserURN, scim.CoreGroupURN, scim.EnterpriseUserURN, "urn:ietf"})
	case a.Name == "resourceType":
		return pick(s, []string{"User", "Group", "user", "U"})
	case a.Name == "userName" && s.Chance(2):
		return pick(s, userNames)
	case (a.Name == "id" || a.Name == "value") && s.Chance(2):
		return pick(s, s.IDs)
	}
	return s.fragment()
}

// Sort is sortBy and sortOrder, valid for most attributes and refused for some.
func (s *Source) Sort(rt *scim.ResourceType) (by, order string) {
	name, a := s.attribute(rt)
	if len(a.SubAttributes) > 0 && s.Chance(2) {
		name += "." + s.sub(a).Name
	}
	return name, pick(s, []string{"", "ascending", "descending", "Descending"})
}
