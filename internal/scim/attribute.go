// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package scim

import "strings"

// Type is the data type of an attribute (RFC 7643 section 2.3).
type Type string

// The data types.
const (
	TypeString    Type = "string"
	TypeBoolean   Type = "boolean"
	TypeDecimal   Type = "decimal"
	TypeInteger   Type = "integer"
	TypeDateTime  Type = "dateTime"
	TypeReference Type = "reference"
	TypeBinary    Type = "binary"
	TypeComplex   Type = "complex"
)

// MutabilityKind says who may change an attribute (RFC 7643 section 7).
type MutabilityKind string

// The kinds of mutability.
const (
	ReadOnly  MutabilityKind = "readOnly"
	ReadWrite MutabilityKind = "readWrite"
	Immutable MutabilityKind = "immutable"
	WriteOnly MutabilityKind = "writeOnly"
)

// ReturnedKind says when an attribute is part of an answer (RFC 7643 section 7).
type ReturnedKind string

// The kinds of return.
const (
	ReturnedAlways  ReturnedKind = "always"
	ReturnedNever   ReturnedKind = "never"
	ReturnedDefault ReturnedKind = "default"
	ReturnedRequest ReturnedKind = "request"
)

// UniquenessKind says among what a value is unique (RFC 7643 section 7).
type UniquenessKind string

// The kinds of uniqueness.
const (
	UniqueNone   UniquenessKind = "none"
	UniqueServer UniquenessKind = "server"
	UniqueGlobal UniquenessKind = "global"
)

// Attribute is the definition of one attribute.
type Attribute struct {
	// Name is the canonical spelling.
	Name            string
	Type            Type
	Description     string
	MultiValued     bool
	Required        bool
	CaseExact       bool
	Mutability      MutabilityKind
	Returned        ReturnedKind
	Uniqueness      UniquenessKind
	SubAttributes   []*Attribute
	CanonicalValues []string
	ReferenceTypes  []string
	// External marks a multi-valued attribute whose values are kept apart from
	// the resource because there may be very many: a PATCH answers them as a
	// delta and never reads the rest.
	External bool
	// OnePerType marks a multi-valued attribute that holds one value per "type".
	OnePerType bool
}

// Sub finds a sub-attribute by name, in any case.
func (a *Attribute) Sub(name string) *Attribute {
	return find(a.SubAttributes, name)
}

// Stored reports whether a client's value is kept at all.
func (a *Attribute) Stored() bool {
	return a.Mutability != WriteOnly
}

// find returns the attribute called name, in any case.
func find(list []*Attribute, name string) *Attribute {
	for _, a := range list {
		if strings.EqualFold(a.Name, name) {
			return a
		}
	}
	return nil
}

// Schema is a named set of attributes.
type Schema struct {
	// ID is the URN.
	ID          string
	Name        string
	Description string
	Attributes  []*Attribute
}

// Attribute finds an attribute by name, in any case.
func (s *Schema) Attribute(name string) *Attribute {
	return find(s.Attributes, name)
}

// ResourceType is a kind of resource: its own schema and those that extend it.
type ResourceType struct {
	Name string
	// Endpoint is the path below the base, with a leading slash.
	Endpoint    string
	Description string
	Schema      *Schema
	Extensions  []*Schema
}

// Extension finds an extension by its URN, in any case.
func (rt *ResourceType) Extension(urn string) *Schema {
	for _, s := range rt.Extensions {
		if strings.EqualFold(s.ID, urn) {
			return s
		}
	}
	return nil
}

// Attribute finds an attribute of the resource itself by its plain name: a
// common one or one of the core schema.
func (rt *ResourceType) Attribute(name string) *Attribute {
	if a := find(commonAttributes, name); a != nil {
		return a
	}
	return rt.Schema.Attribute(name)
}

// Ref is a resolved reference to an attribute, a sub-attribute or, in a path
// only, a whole extension.
type Ref struct {
	// Extension is the schema that Attr belongs to where that is not the core
	// one. With Attr nil the whole extension is meant.
	Extension *Schema
	Attr      *Attribute
	// Sub is nil where the attribute itself is meant.
	Sub *Attribute
}

// Leaf is the most precise definition that is referred to; nil for a whole extension.
func (r Ref) Leaf() *Attribute {
	if r.Sub != nil {
		return r.Sub
	}
	return r.Attr
}

// String is the canonical spelling: emails.value, or
// urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:manager.value.
func (r Ref) String() string {
	var b strings.Builder
	if r.Extension != nil {
		b.WriteString(r.Extension.ID)
		if r.Attr == nil {
			return b.String()
		}
		b.WriteByte(':')
	}
	b.WriteString(r.Attr.Name)
	if r.Sub != nil {
		b.WriteByte('.')
		b.WriteString(r.Sub.Name)
	}
	return b.String()
}

// Resolve finds what a name refers to: attr, attr.sub, and both after the URN of
// a schema and a colon, in any case. A bare name that the core schema lacks is
// looked up in the extensions (RFC 7644 section 3.10 asks clients for the URN
// there, but does not oblige them). The URN of an extension alone is the whole of it.
func (rt *ResourceType) Resolve(name string) (Ref, bool) {
	if s, rest, ok := rt.cutURN(name); ok {
		if s != rt.Schema {
			if rest == "" {
				return Ref{Extension: s}, true
			}
			return resolveIn(Ref{Extension: s}, s.Attribute, rest)
		}
		return resolveIn(Ref{}, s.Attribute, rest)
	}
	if ref, ok := resolveIn(Ref{}, rt.Attribute, name); ok {
		return ref, true
	}
	for _, s := range rt.Extensions {
		if ref, ok := resolveIn(Ref{Extension: s}, s.Attribute, name); ok {
			return ref, true
		}
	}
	return Ref{}, false
}

// cutURN splits a schema's URN, and the colon after it, from the rest of a name.
func (rt *ResourceType) cutURN(name string) (*Schema, string, bool) {
	for _, s := range append([]*Schema{rt.Schema}, rt.Extensions...) {
		n := len(s.ID)
		if len(name) < n || !strings.EqualFold(name[:n], s.ID) {
			continue
		}
		if len(name) == n {
			return s, "", true
		}
		if name[n] == ':' && len(name) > n+1 {
			return s, name[n+1:], true
		}
	}
	return nil, "", false
}

// resolveIn completes ref with the attribute, and the sub-attribute, called name.
func resolveIn(ref Ref, lookup func(string) *Attribute, name string) (Ref, bool) {
	head, tail, dotted := strings.Cut(name, ".")
	if ref.Attr = lookup(head); ref.Attr == nil {
		return Ref{}, false
	}
	if dotted {
		if ref.Sub = ref.Attr.Sub(tail); ref.Sub == nil {
			return Ref{}, false
		}
	}
	return ref, true
}
