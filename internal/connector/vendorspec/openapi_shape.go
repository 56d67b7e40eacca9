// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package vendorspec

import "github.com/getkin/kin-openapi/openapi3"

// schema is the shape of an OpenAPI schema.
type schema struct{ s *openapi3.Schema }

func schemaShape(ref *openapi3.SchemaRef) Shape {
	if ref == nil || ref.Value == nil {
		return nil
	}
	s := ref.Value
	if anything(s) {
		return nil
	}
	if scalar(s) {
		return nothing{}
	}
	return schema{s}
}

func composed(s *openapi3.Schema) []openapi3.SchemaRefs {
	return []openapi3.SchemaRefs{s.AllOf, s.AnyOf, s.OneOf}
}

// anything reports whether a schema leaves open what the value is.
func anything(s *openapi3.Schema) bool {
	if len(s.Properties) > 0 || s.Items != nil || s.AdditionalProperties.Schema != nil {
		return false
	}
	for _, list := range composed(s) {
		if len(list) > 0 {
			return false
		}
	}
	return s.Type == nil || s.Type.Is("object") || s.Type.Is("array")
}

func scalar(s *openapi3.Schema) bool {
	return s.Type != nil && !s.Type.Includes("object") && !s.Type.Includes("array")
}

func (d schema) Field(name string) (Shape, bool) {
	if p, ok := d.s.Properties[name]; ok {
		return schemaShape(p), true
	}
	var found []Shape
	for _, list := range composed(d.s) {
		for _, ref := range list {
			if ref.Value == nil || scalar(ref.Value) || ref.Value.Items != nil {
				continue
			}
			if anything(ref.Value) && len(ref.Value.Properties) == 0 {
				continue // an empty member of allOf adds nothing
			}
			if f, ok := (schema{ref.Value}).Field(name); ok {
				found = append(found, f)
			}
		}
	}
	if len(found) > 0 {
		return either(found...), true
	}
	if more := d.s.AdditionalProperties; more.Schema != nil {
		return schemaShape(more.Schema), true
	} else if more.Has != nil && *more.Has {
		return nil, true
	}
	return nil, false
}

func (d schema) Item() (Shape, bool) {
	if d.s.Items != nil {
		return schemaShape(d.s.Items), true
	}
	for _, list := range composed(d.s) {
		for _, ref := range list {
			if ref.Value != nil {
				if item, ok := (schema{ref.Value}).Item(); ok {
					return item, true
				}
			}
		}
	}
	return nil, false
}
