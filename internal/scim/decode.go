// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package scim

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Decode reads the body of a POST or a PUT. Unknown attributes and those that a
// client cannot write are ignored, null and [] are unassigned, a password is
// discarded. A value of the wrong type, a required attribute without a value and
// a second primary value are refused.
func Decode(rt *ResourceType, doc map[string]any, dialect Dialect) (*Resource, error) {
	d := decoder{dialect: dialect}
	if err := checkSchemas(doc, rt.Schema.ID, dialect); err != nil {
		return nil, err
	}
	r, err := d.resource(rt, doc)
	if err != nil {
		return nil, err
	}
	return r, checkRequired(r)
}

// Restore reads a resource that was stored as its own JSON, with what only the
// service provider writes.
func Restore(rt *ResourceType, data []byte) (*Resource, error) {
	doc, err := ParseJSON(data)
	if err != nil {
		return nil, fmt.Errorf("scim: restoring a %s: %w", rt.Name, err)
	}
	d := decoder{dialect: Dialect{RepeatedTypes: true}, stored: true}
	r, err := d.resource(rt, doc)
	if err != nil {
		return nil, fmt.Errorf("scim: restoring a %s: %w", rt.Name, err)
	}
	return r, nil
}

// checkSchemas wants the URN of what is sent among "schemas"; others are tolerated.
func checkSchemas(doc map[string]any, urn string, dialect Dialect) error {
	var list []any
	for name, v := range doc {
		if !strings.EqualFold(name, "schemas") || v == nil {
			continue
		}
		var ok bool
		if list, ok = v.([]any); !ok {
			return badRequest(InvalidValue, "schemas is a list of URNs.")
		}
	}
	found := dialect.AnySchemas
	for _, v := range list {
		s, ok := v.(string)
		if !ok {
			return badRequest(InvalidValue, "schemas is a list of URNs.")
		}
		found = found || strings.EqualFold(s, urn)
	}
	if !found {
		return badRequest(InvalidValue, "schemas lacks %s.", urn)
	}
	return nil
}

// checkRequired wants a value for every required attribute.
func checkRequired(r *Resource) error {
	for _, a := range r.Type.Schema.Attributes {
		if v := r.Attributes[a.Name]; a.Required && (isEmpty(v) || v == "") {
			return badRequest(InvalidValue, "%s is required.", a.Name)
		}
	}
	return nil
}

// decoder turns JSON into canonical values.
type decoder struct {
	dialect Dialect
	// stored keeps what only the service provider writes.
	stored bool
}

func (d decoder) resource(rt *ResourceType, doc map[string]any) (*Resource, error) {
	r := NewResource(rt)
	core, err := d.object("", rt.Attribute, doc)
	if err != nil {
		return nil, err
	}
	r.Attributes = core
	for _, name := range slices.Sorted(maps.Keys(doc)) {
		ext := rt.Extension(name)
		if ext == nil || doc[name] == nil {
			continue
		}
		if _, twice := core[ext.ID]; twice {
			return nil, badRequest(InvalidSyntax, "%s stands twice, in different spelling.", ext.ID)
		}
		sub, ok := doc[name].(map[string]any)
		if !ok {
			return nil, badRequest(InvalidValue, "%s is an object.", ext.ID)
		}
		v, err := d.object(ext.ID+":", ext.Attribute, sub)
		if err != nil {
			return nil, err
		}
		if len(v) > 0 {
			core[ext.ID] = v
		}
	}
	return r, nil
}

// object reads the members of an object that lookup knows. The prefix goes
// before names in refusals.
func (d decoder) object(prefix string, lookup func(string) *Attribute, doc map[string]any) (Object, error) {
	out := Object{}
	seen := map[string]bool{}
	for _, name := range slices.Sorted(maps.Keys(doc)) {
		attr := lookup(name)
		if attr == nil || attr.Name == "schemas" {
			continue
		}
		if seen[attr.Name] {
			return nil, badRequest(InvalidSyntax, "%s%s stands twice, in different spelling.", prefix, attr.Name)
		}
		seen[attr.Name] = true
		if attr.Mutability == ReadOnly && !d.stored {
			continue
		}
		v, err := d.value(prefix, attr, doc[name])
		if err != nil {
			return nil, err
		}
		if !isEmpty(v) && attr.Stored() {
			out[attr.Name] = v
		}
	}
	return out, nil
}

// value reads the value of an attribute: all of them where it is multi-valued.
func (d decoder) value(prefix string, attr *Attribute, raw any) (any, error) {
	if raw == nil {
		return nil, nil
	}
	if !attr.MultiValued {
		return d.single(prefix, attr, raw)
	}
	list, ok := raw.([]any)
	if !ok {
		return nil, badRequest(InvalidValue, "%s%s is a list.", prefix, attr.Name)
	}
	out, err := d.elements(prefix, attr, list)
	if err != nil {
		return nil, err
	}
	out = distinct(attr, out)
	return out, d.checkValues(prefix, attr, out)
}

// elements reads each value of a list; those without anything in them are dropped.
func (d decoder) elements(prefix string, attr *Attribute, list []any) ([]any, error) {
	out := make([]any, 0, len(list))
	for _, raw := range list {
		v, err := d.single(prefix, attr, raw)
		if err != nil {
			return nil, err
		}
		if !isEmpty(v) {
			out = append(out, v)
		}
	}
	return out, nil
}

// single reads one value.
func (d decoder) single(prefix string, attr *Attribute, raw any) (any, error) {
	if raw == nil {
		return nil, nil
	}
	wrong := func() error {
		return badRequest(InvalidValue, "%s%s is of type %s.", prefix, attr.Name, attr.Type)
	}
	switch attr.Type {
	case TypeComplex:
		doc, ok := raw.(map[string]any)
		if !ok {
			return nil, wrong()
		}
		inner := prefix + attr.Name + "."
		out, err := d.object(inner, attr.Sub, doc)
		if err != nil {
			return nil, err
		}
		for _, sub := range attr.SubAttributes {
			if v := out[sub.Name]; sub.Required && !d.stored && (v == nil || v == "") {
				return nil, badRequest(InvalidValue, "%s%s is required.", inner, sub.Name)
			}
		}
		return out, nil
	case TypeBoolean:
		if b, ok := raw.(bool); ok {
			return b, nil
		}
		return nil, wrong()
	case TypeDecimal, TypeInteger:
		n, ok := raw.(json.Number)
		if !ok || !isNumber(n.String()) || attr.Type == TypeInteger && strings.ContainsAny(n.String(), ".eE") {
			return nil, wrong()
		}
		return n, nil
	}
	s, ok := raw.(string)
	if !ok {
		return nil, wrong()
	}
	if strings.ContainsRune(s, 0) {
		return nil, badRequest(InvalidValue, "%s%s holds U+0000.", prefix, attr.Name)
	}
	switch attr.Type {
	case TypeDateTime:
		if _, err := ParseTime(s); err != nil {
			return nil, wrong()
		}
	case TypeBinary:
		if !isBase64(s) {
			return nil, wrong()
		}
	}
	return s, nil
}

// isBase64 accepts both alphabets, with and without padding (RFC 7643 section 2.3.6).
func isBase64(s string) bool {
	s = strings.TrimRight(s, "=")
	if _, err := base64.RawStdEncoding.DecodeString(s); err == nil {
		return true
	}
	_, err := base64.RawURLEncoding.DecodeString(s)
	return err == nil
}

// distinct drops repetitions of one value, keeping the first.
func distinct(attr *Attribute, list []any) []any {
	seen := make(map[string]bool, len(list))
	out := list[:0:0]
	for _, v := range list {
		key := identity(attr, v)
		if !seen[key] {
			seen[key] = true
			out = append(out, v)
		}
	}
	return out
}

// identity tells two values of a multi-valued attribute apart: a member by its
// id, anything else by all that it holds.
func identity(attr *Attribute, v any) string {
	if o, ok := v.(Object); ok && attr.External {
		s, _ := o["value"].(string)
		return s
	}
	key, err := json.Marshal(v) // sorts the names
	if err != nil {
		return fmt.Sprint(v)
	}
	return string(key)
}

// checkValues bounds a multi-valued attribute and wants one primary value, and
// one value of each type, at most.
func (d decoder) checkValues(prefix string, attr *Attribute, list []any) error {
	if d.stored {
		return nil
	}
	if len(list) > MaxValues && !attr.External {
		return badRequest(InvalidValue, "%s%s has more than %d values.", prefix, attr.Name, MaxValues)
	}
	primaries, types := 0, map[string]bool{}
	for _, v := range list {
		o, _ := v.(Object)
		if o["primary"] == true {
			primaries++
		}
		kind, _ := o["type"].(string)
		if kind = Fold(kind); kind == "" || !attr.OnePerType || d.dialect.RepeatedTypes {
			continue
		}
		if types[kind] {
			return badRequest(InvalidValue, "%s%s has two values of one type.", prefix, attr.Name)
		}
		types[kind] = true
	}
	if primaries > 1 {
		return badRequest(InvalidValue, "%s%s has more than one primary value.", prefix, attr.Name)
	}
	return nil
}
