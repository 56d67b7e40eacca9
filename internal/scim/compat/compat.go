// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

// Package compat turns what identity providers really send into what SCIM says,
// before package scim reads it. It never refuses: what it does not know it
// leaves as it is, for the protocol to judge. It changes nothing that it is
// given; what it returns may share parts with it.
//
// Microsoft Entra ID, with and without its flag aadOptscim062020:
//   - "True" and "False" for booleans, in values and in filters
//   - a list around the one value of a single-valued attribute, and an object
//     with "value" in place of a plain one
//   - a bare id for the manager
//   - remove with the values to remove in "value"
//   - dotted names, URNs and value paths as names in a value without a path
//   - enterprise attributes beside the extension in place of in it
//   - the URN of the enterprise extension without its last colon
//   - a PATCH without operations
//   - add and replace of a value path that selects nothing yet
//   - filters with bare words for strings
//
// Okta:
//   - the id, and other read-only attributes, in the value of a PATCH
//   - empty strings for attributes that have no value
//
// Both reach one tenant, so there is one dialect for the two.
package compat

import (
	"maps"
	"slices"
	"strings"

	"github.com/seatkeeper/seatkeeper/internal/scim"
)

// Dialect is what package scim has to tolerate because it shows only there.
var Dialect = scim.Dialect{
	BareLiterals:    true,
	StringBooleans:  true,
	EmptyOperations: true,
	CreateUnmatched: true,
	RemoveListed:    true,
	RepeatedTypes:   true,
	AnySchemas:      true,
}

// misspelled are URNs that are sent for an extension, by what is meant.
var misspelled = map[string]string{
	"urn:ietf:params:scim:schemas:extension:enterprise:2.0User": scim.EnterpriseUserURN,
}

// respell mends a misspelled URN at the beginning of a name or a path.
func respell(name string) string {
	for wrong, right := range misspelled {
		if len(name) >= len(wrong) && strings.EqualFold(name[:len(wrong)], wrong) {
			return right + name[len(wrong):]
		}
	}
	return name
}

// Resource normalises the body of a POST or a PUT.
func Resource(rt *scim.ResourceType, doc map[string]any) map[string]any {
	out, rest := attributes(rt, doc)
	for _, name := range slices.Sorted(maps.Keys(rest)) {
		if !place(rt, out, name, rest[name]) {
			out[name] = rest[name]
		}
	}
	for name, v := range out {
		if strings.EqualFold(name, "schemas") {
			out[name] = urns(v)
		}
	}
	return out
}

// urns mends the list of schemas.
func urns(v any) any {
	list, ok := v.([]any)
	if !ok {
		return v
	}
	out := make([]any, len(list))
	for i, e := range list {
		if s, ok := e.(string); ok {
			e = respell(s)
		}
		out[i] = e
	}
	return out
}

// attributes normalises the values under plain names; rest are those under
// names that are none.
func attributes(rt *scim.ResourceType, doc map[string]any) (out, rest map[string]any) {
	out, rest = map[string]any{}, map[string]any{}
	for name, v := range doc {
		fixed := respell(name)
		if _, taken := doc[fixed]; fixed != name && taken {
			fixed = name
		}
		switch attr, ext := rt.Attribute(fixed), rt.Extension(fixed); {
		case attr != nil:
			out[fixed] = value(attr, v)
		case ext != nil:
			out[fixed] = members(ext.Attribute, v)
		default:
			rest[fixed] = v
		}
	}
	return out, rest
}

// place puts a value where a dotted name, a name after a URN or the bare name of
// an enterprise attribute means, unless something is there.
func place(rt *scim.ResourceType, doc map[string]any, name string, v any) bool {
	ref, ok := rt.Resolve(name)
	if !ok || ref.Attr == nil || ref.Sub != nil && ref.Attr.MultiValued {
		return false
	}
	if v = value(ref.Leaf(), v); v == nil && ref.Extension != nil && !strings.Contains(name, ":") {
		return false // "manager": null beside the extension says nothing
	}
	at := doc
	if ref.Extension != nil {
		if at, ok = inner(at, ref.Extension.ID); !ok {
			return false
		}
	}
	leaf := ref.Attr.Name
	if ref.Sub != nil {
		if at, ok = inner(at, leaf); !ok {
			return false
		}
		leaf = ref.Sub.Name
	}
	if _, taken := lookup(at, leaf); !taken {
		at[leaf] = v
	}
	return true
}

// inner is the object called name in doc, made if there is none.
func inner(doc map[string]any, name string) (map[string]any, bool) {
	key, found := lookup(doc, name)
	if !found || doc[key] == nil {
		if !found {
			key = name
		}
		made := map[string]any{}
		doc[key] = made
		return made, true
	}
	o, ok := doc[key].(map[string]any)
	if !ok {
		return nil, false
	}
	o = maps.Clone(o)
	doc[key] = o
	return o, true
}

// lookup finds the spelling under which doc has a name.
func lookup(doc map[string]any, name string) (string, bool) {
	if _, ok := doc[name]; ok {
		return name, true
	}
	for key := range doc {
		if strings.EqualFold(key, name) {
			return key, true
		}
	}
	return "", false
}

// members normalises each value of an object.
func members(find func(string) *scim.Attribute, v any) any {
	doc, ok := v.(map[string]any)
	if !ok {
		return v
	}
	out := make(map[string]any, len(doc))
	for name, e := range doc {
		if attr := find(name); attr != nil {
			e = value(attr, e)
		}
		out[name] = e
	}
	return out
}

// value normalises the value of an attribute as a whole.
func value(attr *scim.Attribute, v any) any {
	if v == nil || !attr.MultiValued {
		return single(attr, v)
	}
	list, ok := v.([]any)
	if !ok {
		list = []any{v}
	}
	out := make([]any, len(list))
	for i, e := range list {
		out[i] = one(attr, e)
	}
	return out
}

// single normalises one value that may have a list around it.
func single(attr *scim.Attribute, v any) any {
	if list, ok := v.([]any); ok {
		switch len(list) {
		case 0:
			return nil
		case 1:
			v = list[0]
		}
	}
	return one(attr, v)
}

// one normalises one value.
func one(attr *scim.Attribute, v any) any {
	if attr.Type == scim.TypeComplex {
		if s, ok := v.(string); ok && !attr.MultiValued && attr.Sub("value") != nil {
			if s == "" {
				return nil
			}
			return map[string]any{"value": s}
		}
		return members(attr.Sub, v)
	}
	if doc, ok := v.(map[string]any); ok {
		if key, found := lookup(doc, "value"); found {
			v = doc[key]
		}
	}
	s, ok := v.(string)
	switch {
	case !ok:
	case s == "" && !attr.Required:
		return nil
	case attr.Type == scim.TypeBoolean && strings.EqualFold(s, "true"):
		return true
	case attr.Type == scim.TypeBoolean && strings.EqualFold(s, "false"):
		return false
	}
	return v
}
