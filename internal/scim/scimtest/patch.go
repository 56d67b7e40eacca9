// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package scimtest

import "github.com/seatkeeper/seatkeeper/internal/scim"

// Patch is the body of a PATCH, as ParseJSON gives it. Each of its operations is
// well formed; what they ask for may be refused.
func (s *Source) Patch(rt *scim.ResourceType) map[string]any {
	list := []any{}
	for range 1 + s.Intn(4) {
		list = append(list, s.operation(rt))
	}
	return map[string]any{"schemas": []any{scim.PatchOpURN}, "Operations": list}
}

func (s *Source) operation(rt *scim.ResourceType) map[string]any {
	op := map[string]any{"op": s.caseOf(pick(s, []string{"add", "remove", "replace"}))}
	if s.Chance(4) {
		value := map[string]any{}
		for range 1 + s.Intn(3) {
			_, a := s.attribute(rt)
			value[a.Name] = s.value(a)
		}
		op["value"] = value
		return op
	}
	name, a := s.attribute(rt)
	path, target, whole := name, a, true
	if a.Type == scim.TypeComplex {
		if a.MultiValued && s.Chance(2) {
			path += "[" + s.expr(1, func() string { return s.selector(a) }) + "]"
			whole = false
		}
		if s.Chance(2) {
			target = pick(s, a.SubAttributes)
			path += "." + target.Name
		}
	}
	op["path"] = path
	switch {
	case op["op"] == "remove" && !s.Chance(6):
	case target == a && !whole:
		op["value"] = s.single(a)
	default:
		op["value"] = s.value(target)
	}
	if s.Chance(10) {
		op["value"] = pick(s, []any{nil, "True", true, "", []any{}, map[string]any{}, []any{map[string]any{"value": "a"}}})
	}
	return op
}

// selector is a comparison that selects an element of the kinds that value makes.
func (s *Source) selector(a *scim.Attribute) string {
	if a.Sub("type") != nil && s.Chance(2) {
		return "type eq " + quote(pick(s, []string{"work", "home", "other"}))
	}
	sub := s.sub(a)
	return s.comparison(sub.Name, sub)
}
