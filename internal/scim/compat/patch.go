// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package compat

import (
	"maps"
	"slices"
	"strings"

	"github.com/seatkeeper/seatkeeper/internal/scim"
)

// Patch normalises the body of a PATCH of the resource with the given id.
func Patch(rt *scim.ResourceType, id string, doc map[string]any) map[string]any {
	key, found := lookup(doc, "Operations")
	list, ok := doc[key].([]any)
	if !found || !ok || len(list) > scim.MaxOperations {
		return doc
	}
	out := maps.Clone(doc)
	ops := make([]any, 0, len(list))
	for _, v := range list {
		ops = append(ops, operations(rt, id, v)...)
	}
	out[key] = ops
	return out
}

// operations are what one operation comes to: itself, and one more for each
// value path that its value has as a name.
func operations(rt *scim.ResourceType, id string, raw any) []any {
	op, ok := raw.(map[string]any)
	if !ok {
		return []any{raw}
	}
	op = maps.Clone(op)
	kindKey, _ := lookup(op, "op")
	valueKey, hasValue := lookup(op, "value")
	kind, _ := op[kindKey].(string)
	pathKey, hasPath := lookup(op, "path")
	text, isText := op[pathKey].(string)
	if hasPath && isText && text != "" {
		text = respell(text)
		op[pathKey] = text
		if path, err := scim.ParsePath(rt, text, Dialect); err == nil && hasValue {
			targeted(op, valueKey, path, strings.EqualFold(kind, string(scim.OpRemove)))
		}
		return []any{op}
	}
	if hasPath && (isText || op[pathKey] == nil) {
		delete(op, pathKey)
		hasPath = false
	}
	if list, ok := op[valueKey].([]any); ok && len(list) == 1 {
		op[valueKey] = list[0]
	}
	doc, ok := op[valueKey].(map[string]any)
	if !ok || hasPath {
		return []any{op}
	}
	plain, more := pathless(rt, id, doc)
	op[valueKey] = plain
	out := []any{op}
	for _, name := range slices.Sorted(maps.Keys(more)) {
		split := maps.Clone(op)
		split["path"], split[valueKey] = name, more[name]
		out = append(out, split)
	}
	return out
}

// targeted normalises the value of an operation with a path.
func targeted(op map[string]any, valueKey string, path *scim.Path, remove bool) {
	v := op[valueKey]
	ref := path.Attr
	if ref.Attr == nil {
		op[valueKey] = members(ref.Extension.Attribute, v)
		return
	}
	whole := ref.Sub == nil && path.Filter == nil && ref.Attr.MultiValued
	switch {
	case remove && !whole:
		// There is one value to remove: saying which is idle.
		delete(op, valueKey)
	case whole:
		op[valueKey] = value(ref.Attr, v)
	default:
		op[valueKey] = single(ref.Leaf(), v)
	}
}

// pathless normalises the value of an operation without a path. more are the
// values under names that only a path can hold.
func pathless(rt *scim.ResourceType, id string, doc map[string]any) (plain, more map[string]any) {
	plain, rest := attributes(rt, doc)
	more = map[string]any{}
	for _, name := range slices.Sorted(maps.Keys(plain)) {
		attr := rt.Attribute(name)
		if attr == nil || attr.Mutability != scim.ReadOnly {
			continue
		}
		// Another id than the resource's own is left for the protocol to refuse.
		if attr.Name != "id" || plain[name] == id {
			delete(plain, name)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(rest)) {
		if place(rt, plain, name, rest[name]) {
			continue
		}
		path, err := scim.ParsePath(rt, name, Dialect)
		if err != nil {
			continue // unknown attributes are ignored
		}
		target := map[string]any{"value": rest[name]}
		targeted(target, "value", path, false)
		more[name] = target["value"]
	}
	return plain, more
}
