// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package scim

import (
	"encoding/json"
	"strings"
)

// Sort is an order of resources (RFC 7644 section 3.4.2.3).
type Sort struct {
	// By is never complex: an attribute with a value stands for it, and By.Sub is
	// set then.
	By         Ref
	Descending bool
}

// ParseSort reads sortBy and sortOrder. Without sortBy it is nil: the order is
// the store's own.
func ParseSort(rt *ResourceType, sortBy, sortOrder string) (*Sort, error) {
	s := &Sort{}
	switch {
	case sortOrder == "", strings.EqualFold(sortOrder, "ascending"):
	case strings.EqualFold(sortOrder, "descending"):
		s.Descending = true
	default:
		return nil, badRequest(InvalidValue, "sortOrder is ascending or descending.")
	}
	if sortBy == "" {
		return nil, nil
	}
	if len(sortBy) > MaxFilterLength {
		return nil, badRequest(InvalidValue, "sortBy is longer than %d bytes.", MaxFilterLength)
	}
	ref, ok := rt.Resolve(sortBy)
	if !ok || ref.Attr == nil || ref.Leaf().Returned == ReturnedNever {
		return nil, badRequest(InvalidValue, "sortBy names no attribute that can be sorted by.")
	}
	if ref.Leaf().Type == TypeComplex {
		ref.Sub = ref.Attr.Sub("value")
	}
	if ref.Leaf().Type == TypeComplex || ref.Attr.External || ref.Attr.Name == "schemas" {
		return nil, badRequest(InvalidValue, "sortBy: %s has no single value to sort by.", ref)
	}
	s.By = ref
	return s, nil
}

// Value is what a resource is sorted by: of a multi-valued attribute, that of
// the primary value, else of the first. It is nil where there is none.
func (s *Sort) Value(r *Resource) any {
	at := r.Attributes
	if s.By.Extension != nil {
		at, _ = at[s.By.Extension.ID].(Object)
	}
	v := at[s.By.Attr.Name]
	if list, ok := v.([]any); ok && len(list) > 0 {
		v = list[0]
		for _, e := range list {
			if o, ok := e.(Object); ok && o["primary"] == true {
				v = e
				break
			}
		}
	}
	if s.By.Sub == nil {
		return v
	}
	o, _ := v.(Object)
	return o[s.By.Sub.Name]
}

// Compare orders two resources: those without a value last, or first where
// descending, and equal ones by id.
func (s *Sort) Compare(a, b *Resource) int {
	va, vb := s.Value(a), s.Value(b)
	order := 0
	switch {
	case va == nil && vb == nil:
	case va == nil:
		order = 1
	case vb == nil:
		order = -1
	default:
		order = compareValues(s.By.Leaf(), va, vb)
	}
	if s.Descending {
		order = -order
	}
	if order == 0 {
		order = strings.Compare(a.ID(), b.ID())
	}
	return order
}

func compareValues(attr *Attribute, a, b any) int {
	switch attr.Type {
	case TypeBoolean:
		if a == b {
			return 0
		}
		if a == false {
			return -1
		}
		return 1
	case TypeDateTime:
		ta, _ := timeOf(a)
		tb, _ := timeOf(b)
		return ta.Compare(tb)
	case TypeDecimal, TypeInteger:
		na, _ := a.(json.Number)
		nb, _ := b.(json.Number)
		fa, _ := na.Float64()
		fb, _ := nb.Float64()
		return compareFloat(fa, fb)
	}
	sa, _ := a.(string)
	sb, _ := b.(string)
	if !attr.CaseExact {
		sa, sb = Fold(sa), Fold(sb)
	}
	return strings.Compare(sa, sb)
}
